"""TABLE I with numbers, old and new sizes, the assumptions, what the constants matter, how far the bound is."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Table
from zeroloss.studies.kawaguchi_huang2019.experiment import VARIANT_NAMES, VARIANTS, Settings
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import assumptions
from zeroloss.theory import kawaguchi_huang2019 as theory


def networks() -> pd.DataFrame:
    """Networks that people train, from the published numbers."""
    return published.load("network_sizes")


def printed_size(row: Any, samples: Any, depth: int) -> Any:
    """A row of TABLE I as a number: its power of n, H^12 or 2^H, with every constant and logarithm dropped."""
    power = np.asarray(samples, float) ** row["n_power"]
    return power * float(depth) ** row["depth_power"] * (2.0**depth if row["exponential_in_depth"] else 1.0)


def table1(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """TABLE I, and each row's size for ResNet-18 on CIFAR-10 over what that network has."""
    resnet = networks().iloc[0]
    rows = []
    for _, row in published.load("kawaguchi_huang2019_table1").iterrows():
        size = float(printed_size(row, resnet["samples"], int(resnet["hidden_layers"])))
        known = bool(np.isfinite(size))
        rows.append(
            {
                "reference": row["reference"],
                "authors (inferred)": row["authors"] if isinstance(row["authors"], str) else "",
                "# parameters, order up to logarithms": row["printed"],
                "depth H": row["depth"],
                "trainability": row["trainability"],
                f"{resnet['network']} on {resnet['data']}": f"{size:.3g}" if known else "not a number",
                "orders of magnitude above its size": (
                    f"{np.log10(size / resnet['parameters']):.1f}" if known else "not a number"
                ),
            }
        )
    return pd.DataFrame(rows)


def size_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Sizes old and new for networks that people train, and the construction's own count at their n and m_x."""
    delta, constants, rows = settings.network.failure_probability, settings.network.constants, []
    for _, one in networks().iterrows():
        n, m_x, m_y, deep = (int(one[name]) for name in ("samples", "inputs", "outputs", "hidden_layers"))
        row = {"network": one["network"], "data": one["data"], "n": n, "H": deep, "its parameters": one["parameters"]}
        row["corollary: n m_y"] = n * m_y
        row["before, deep: 2^H n^8 + n^4 (m_x + m_y)"] = theory.earlier_size(n, deep, m_x, m_y)
        row["before, H = 1: n^2 (m_x + m_y)"] = float(theory.earlier_size(n, 1, m_x, m_y))
        row["now, remark: n m_y + m_x H^2 + H^5"] = theory.remark_size(n, deep, m_x, m_y)
        row["now, H = 1: n (m_x + m_y)"] = theory.remark_size(n, 1, m_x, m_y)
        row["Theorem 1 at its H, c = 1"] = theory.required_size(n, deep, delta, m_x, m_y)
        row["Theorem 1 at H = 3, c = 1"] = theory.required_size(n, 3, delta, m_x, m_y)
        for name, chosen in (("constants 1", theory.WidthConstants(1, 1, 1)), ("working constants", constants)):
            widths = theory.construction_widths(n, 3, delta, chosen)
            row[f"construction at H = 3, {name}"] = theory.parameter_count(m_x, widths, m_y)
        rows.append(row)
    return pd.DataFrame(rows)


def final(metrics: pd.DataFrame) -> pd.DataFrame:
    """The last recorded step of every run of the squared loss."""
    curves = metrics[metrics["part"] == "curve"]
    return curves[curves["step"] == curves["step"].max()]


def constants_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """What becomes of the network when one choice is changed; means over seeds at the last step."""
    last = final(metrics)
    last = last[last["source"] == settings.generalisation.sources[0]]
    rows = []
    for variant in VARIANTS:
        for labels, group in last[last["variant"] == variant].groupby("labels"):
            rows.append(
                {
                    "network": VARIANT_NAMES[variant],
                    "labels": labels,
                    "widths": group["widths"].iloc[0],
                    "d": int(group["parameters"].iloc[0]),
                    "training accuracy": group["train_accuracy"].mean(),
                    "test accuracy": group["test_accuracy"].mean(),
                    "loss": group["loss"].mean(),
                    "weight norm": group["weight_norm"].mean(),
                    "least over largest eigenvalue of K": group["condition"].mean(),
                    "rank of K": group["rank"].mean(),
                    "seeds": len(group),
                }
            )
    return pd.DataFrame(rows)


def samples_needed(run: pd.Series, settings: Settings) -> float:
    """The n at which the bound's first term alone is 1, with c = rms of |x^(H)| and the run's norm N.

    (c m_y^2 ceil(s N) / (rho s))^2.
    """
    part = settings.generalisation
    balls = max(np.ceil(part.bound_scale * run["weight_norm"]), 1)
    return (run["feature_size"] * run["outputs"] ** 2 * balls / (part.margin * part.bound_scale)) ** 2


def bound_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The proposition's bound beside the true gap at the last step, and the n that it needs to say anything."""
    last = final(metrics)
    rows = []
    for (_, variant, labels), group in last.groupby(["source", "variant", "labels"], sort=False):
        rows.append(
            {
                "data set": group["data_title"].iloc[0],
                "fidelity": group["fidelity"].iloc[0],
                "network": VARIANT_NAMES[variant],
                "labels": labels,
                "test error minus margin loss": group["true_gap"].mean(),
                "bound, c = 1": group["bound"].mean(),
                "bound, c = rms of |x^(H)|": group["bound_features"].mean(),
                "rms of |x^(H)|": group["feature_size"].mean(),
                "weight norm": group["weight_norm"].mean(),
                "n": settings.generalisation.samples,
                "n at which that bound's first term is 1": samples_needed(group.iloc[0], settings),
            }
        )
    return pd.DataFrame(rows)


def assumption_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Assumption 2 for activations, each part as measured, and whether all of it holds."""
    network = settings.network
    functions: dict[str, assumptions.Scalar] = {
        name: functools.partial(function, scale=1.0) for name, function in assumptions.ACTIVATIONS.items()
    }
    used = f"{network.activation}, a = {network.scale:g} (used here)"
    functions[used] = functools.partial(assumptions.ACTIVATIONS[network.activation], scale=network.scale)
    rows = []
    for name, function in {**functions, **assumptions.OTHERS}.items():
        check = assumptions.check_activation(function)
        rows.append(
            {
                "activation": name,
                "least slope": check.least_slope,
                "largest slope": check.largest_slope,
                "interpolation error, degree 128 over 64": check.decay,
                "value at -1e6": check.lower_limit,
                "increasing": check.increasing,
                "1-Lipschitz": check.lipschitz,
                "analytic": check.analytic,
                "limit below": check.bounded_below,
                "Assumption 2": check.holds,
            }
        )
    return pd.DataFrame(rows)


def loss_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Assumption 1 for both losses."""
    rows = []
    for name in assumptions.GRADIENTS:
        check = assumptions.check_loss(name, 10, 20000, numpy_generator(0, "loss", name))
        rows.append(
            {
                "loss": name.replace("_", "-"),
                "zeta": assumptions.ZETA[name],
                "largest |difference of gradients| / |difference|": check.largest_quotient,
                "least inner product (convex: not negative)": check.least_product,
            }
        )
    return pd.DataFrame(rows)


def trainability_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Share of starts that reach epsilon, with its exact 95 % interval (Clopper and Pearson)."""
    from scipy import stats

    rows = []
    for (bottleneck, _, widths), group in metrics[metrics["part"] == "trainability"].groupby(
        ["bottleneck", "last", "widths"]
    ):
        hits, total = int(group["reached"].sum()), len(group)
        rows.append(
            {
                "bottleneck constant": bottleneck,
                "widths": widths,
                "d": int(group["parameters"].iloc[0]),
                "d / (n m_y)": group["parameters"].iloc[0] / group["equations"].iloc[0],
                "m_H + 1 over n": (int(widths.split(", ")[-1]) + 1) / settings.trainability.samples,
                "share of starts": hits / total,
                "low": float(stats.beta.ppf(0.025, hits, total - hits + 1)) if hits else 0.0,
                "high": float(stats.beta.ppf(0.975, hits + 1, total - hits)) if hits < total else 1.0,
                "median loss": group["loss"].median(),
            }
        )
    return pd.DataFrame(rows)


def least_errors(metrics: pd.DataFrame) -> pd.DataFrame:
    """For each depth, m_y, width and data set: the best of the starts, the share at zero, and least |theta|^2."""
    rows = []
    part = metrics[metrics["part"] == "capacity"]
    for (depth, outputs, width, seed), group in part.groupby(["depth", "outputs", "width", "seed"]):
        best = group.loc[group["error"].idxmin()]
        zero = group[group["relative_error"] <= ZERO]
        rows.append(
            {
                "depth": int(depth),
                "outputs": int(outputs),
                "width": int(width),
                "seed": int(seed),
                "parameters": int(best["parameters"]),
                "equations": int(best["equations"]),
                "ratio": best["parameters"] / best["equations"],
                "error": best["error"],
                "relative_error": best["relative_error"],
                "norm_at_best": best["squared_norm"],
                "share": len(zero) / len(group),
                "least_norm_at_zero": zero["squared_norm"].min() if len(zero) else np.nan,
            }
        )
    return pd.DataFrame(rows)


# A share of sum |y|^2 below this counts as zero: residuals to 8 digits, half of what float64 holds.
ZERO = 1e-16


def capacity_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for (depth, outputs, width), group in least_errors(metrics).groupby(["depth", "outputs", "width"]):
        rows.append(
            {
                "H": depth,
                "m_y": outputs,
                "width": width,
                "d": int(group["parameters"].iloc[0]),
                "d / (n m_y)": group["ratio"].iloc[0],
                "data sets fitted": int((group["relative_error"] <= ZERO).sum()),
                "data sets": len(group),
                "share of starts at zero": group["share"].mean(),
                "largest of the least errors": group["relative_error"].max(),
                "median |theta|^2 of the best": group["norm_at_best"].median(),
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    part, trials, capacity = settings.generalisation, settings.trainability, settings.capacity
    n = f"n = {part.samples}, {part.steps} steps of the last layer, squared loss, {seeds_text(part.seeds)} (means)."
    return [
        Table(
            "kawaguchi_huang2019_table1", ("000-T1",), "TABLE I: parameters required, by reference",
            "As printed; each size is within a tilde Omega. The last two columns are ours: constants and logarithms "
            "dropped, 2^O(H) read as 2^H, H = 17.", table1,
        ),
        Table(
            "kawaguchi_huang2019_sizes", ("000-E5", "000-TH1", "000-TH3"), "Sizes old and new beside networks in use",
            f"delta = {settings.network.failure_probability:g}, natural logarithms, 2^O(H) read as 2^H. The construction: "
            "all weights and thresholds of the network of the proof, counted.", size_table,
        ),
        Table(
            "kawaguchi_huang2019_constants", ("000-TH1", "000-E4"), "What the constants matter",
            f"{part.sources[0]}, {n} 'Random' labels are uniform on the classes.", constants_table,
        ),
        Table(
            "kawaguchi_huang2019_bound", ("000-TH4",), "The bound of the proposition beside the true gap",
            f"{n} rho = {part.margin:g}, varsigma = {part.bound_scale:g}, delta' = {part.bound_failure:g}.",
            bound_table,
        ),
        Table(
            "kawaguchi_huang2019_activations", ("000-E2",), "Assumption 2, measured",
            "Slopes: difference quotients on [-20, 20]. Analytic: the error of Chebyshev interpolation on [-0.9, 1.1] "
            "falls geometrically with the degree; a kink gives a ratio of about 1/2.", assumption_table,
        ),
        Table(
            "kawaguchi_huang2019_losses", ("000-E2",), "Assumption 1, measured",
            "20000 pairs of outputs (ten classes), half of them at and along the largest curvature of cross-entropy.",
            loss_table,
        ),
        Table(
            "kawaguchi_huang2019_trainability", ("000-E4", "000-TH1"), "Probable trainability",
            f"n = {trials.samples} points on the sphere (synthetic), m_x = {trials.dimension}, m_y = {trials.outputs}, "
            f"labels uniform on [-1, 1], {trials.starts} starts; loss at most {trials.epsilon:g} after {trials.steps} "
            "steps. Intervals: exact, 95 %.", trainability_table,
        ),
        Table(
            "kawaguchi_huang2019_capacity", ("000-TH3", "000-TH2"), "The least loss over all parameters, around n m_y",
            f"n = {capacity.samples} points on the sphere (synthetic), m_x = {capacity.dimension}, tanh, labels uniform on "
            f"[-1, 1], H = {listed(capacity.depths)}, m_y = {listed(capacity.outputs)}; best of {capacity.starts} starts of "
            f"Levenberg-Marquardt, data sets: {seeds_text(capacity.seeds)}. Zero: {ZERO:g} of sum |y|^2.", capacity_table,
        ),
    ]  # fmt: skip
