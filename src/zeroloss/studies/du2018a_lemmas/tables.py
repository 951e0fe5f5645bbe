"""What the lemmas ask for beside what is seen to suffice, and the numbers behind the pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.du2018a_lemmas.experiment import TRAINED, Settings
from zeroloss.studies.wording import seeds_text
from zeroloss.theory import du2018a as rates
from zeroloss.theory import du2018a_lemmas as theory
from zeroloss.theory.binomial import fraction

# the solver leaves relative errors below 1 % in |r|^2 while that is above 1e-4 of its start: docs/du2018a_lemmas.md
FLOW_TOLERANCE = 0.01


def part(metrics: pd.DataFrame, name: str, trained: str | None = None) -> pd.DataFrame:
    """The rows of one part, of one variant of the flow."""
    chosen = metrics["part"] == name
    if trained is not None:
        chosen &= metrics["trained"] == trained
    return metrics[chosen]


def three_quarters(metrics: pd.DataFrame) -> pd.Series:
    """Per width: the fraction of draws with lambda_min(H(0)) >= 3/4 lambda_0, as :class:`Fraction`."""
    table = part(metrics, "initial")
    good = (table["lambda_min"] >= 0.75 * table["lambda_0"]).groupby(table["width"])
    return good.agg(lambda hits: fraction(int(hits.sum()), len(hits)))


def flow_excess(metrics: pd.DataFrame, trained: str) -> pd.DataFrame:
    """Per width and seed: the largest of ln(|r(t)|^2 / |r(0)|^2) + lambda_0 t over t > 0; at most 0 says the theorem.

    Columns width, seed, excess, at (lambda_0 t where it is).
    """
    table = part(metrics, "flow", trained)
    table = table[table["time"] > 0]
    scaled = table["lambda_0"] * table["time"]
    excess = np.log(table["ratio"]) + scaled
    worst = excess.groupby([table["width"], table["seed"]]).idxmax()
    return pd.DataFrame({"excess": excess[worst].to_numpy(), "at": scaled[worst].to_numpy()}, worst.index).reset_index()


def descent_excess(metrics: pd.DataFrame) -> pd.DataFrame:
    """Of the runs of Corollary 4.1: per width and seed, largest ln ratio - k ln(1 - eta lambda_0 / 2) over k >= 1."""
    table = part(metrics, "descent")
    table = table[table["step"] > 0]
    excess = np.log(table["ratio"]) - table["step"] * np.log1p(-table["step_size"] * table["lambda_0"] / 2)
    excess = excess.where(~table["diverged"].astype(bool), np.inf)
    return excess.groupby([table["width"], table["seed"]]).max().rename("excess").reset_index()


def least_width(table: pd.DataFrame, limit: float) -> float:
    """The least width from which on ``excess`` <= ``limit`` in every run; NaN if there is none."""
    worst = table.groupby("width")["excess"].max()
    good = [width for width in worst.index if (worst[worst.index >= width] <= limit).all()]
    return float(good[0]) if good else float("nan")


def thresholds(metrics: pd.DataFrame) -> pd.DataFrame:
    """Where in the sweep of step sizes the rate stops being a bound, and where training stops lowering the loss.

    Per width and seed, in units of 2 / lambda_max(H-infinity): ``rate_holds`` and ``trains`` are the last step size up to
    which all hold, ``rate_breaks`` and ``fails`` the next one (NaN beyond the sweep); ``rate`` and ``training`` the middles;
    ``predicted`` is 1 - lambda_0 / (4 lambda_max), up to which (1 - eta lambda)^2 <= 1 - eta lambda_0 / 2 for all
    eigenvalues of H-infinity, that is, where the rate would break if H never moved.
    """
    sweep = part(metrics, "sweep")
    rows = []
    for (width, seed), group in sweep[~sweep["proven"].astype(bool)].groupby(["width", "seed"]):
        group = group.sort_values("relative_step")
        steps = group["relative_step"].to_numpy()
        first = group.iloc[0]
        row: dict[str, Any] = {"width": width, "seed": seed}
        row["predicted"] = 1 - first["lambda_0"] / (4 * first["lambda_max_limit"])
        failed = group["diverged"].astype(bool) | (group["ratio"] > 1)
        for names, bad in (
            (("rate_holds", "rate_breaks", "rate"), group["broken_at"].notna()),
            (("trains", "fails", "training"), failed),
        ):
            where = np.flatnonzero(bad.to_numpy())
            index = int(where[0]) if len(where) else len(steps)
            last = steps[index - 1] if index else 0.0
            following = steps[index] if index < len(steps) else np.nan
            row |= dict(zip(names, (last, following, (last + following) / 2), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def surviving_radius(metrics: pd.DataFrame) -> float:
    """Largest radius up to which lambda_min(H) > lambda_0 / 2 for every direction and seed at the widest width."""
    table = part(metrics, "perturbed")
    table = table[table["width"] == table["width"].max()]
    good = (table["lambda_min"] > table["lambda_0"] / 2).groupby(table["radius"]).all()
    kept = good.index[good.cummin()]
    return float(kept.max()) if len(kept) else float("nan")


def conservatism_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per quantity that a lemma or theorem asks for: asked, seen to suffice, orders of magnitude between."""
    delta = settings.failure_probability
    initial, perturbed = part(metrics, "initial").iloc[0], part(metrics, "perturbed")
    good = three_quarters(metrics)
    enough = [width for width in good.index if all(good[m].value >= 1 - delta for m in good.index if m >= width)]
    rows = [
        (
            "Lemma 3.1: width for lambda_min(H(0)) >= 3/4 lambda_0",
            theory.initial_width(settings.initial.samples, initial["lambda_0"], delta),
            float(enough[0]) if enough else np.nan,
        ),
        (
            "Lemma 3.2: radius for lambda_min(H) > lambda_0/2",
            perturbed[perturbed["safe"].astype(bool)]["radius"].min(),
            surviving_radius(metrics),
        ),
    ]
    for trained, name in zip(
        TRAINED, ("Theorem 3.2: width", "Theorem 3.3: width (its ln(m/delta) left out)"), strict=True
    ):
        rows.append(
            (f"{name}, flow", _width(part(metrics, "flow", trained), delta, "corrected"),
             least_width(flow_excess(metrics, trained), FLOW_TOLERANCE))
        )  # fmt: skip
    sweep = part(metrics, "sweep")
    rows.append(
        ("Theorem 4.1: width, descent", _width(part(metrics, "descent"), delta, "descent"),
         least_width(descent_excess(metrics), 1e-9))
    )  # fmt: skip
    found = thresholds(metrics)
    limit = (2 / sweep["lambda_max_limit"]).min()
    held = found[found["width"] == found["width"].max()]["rate_holds"].min() * limit
    proven = rates.proven_step_size(sweep["lambda_0"].min(), settings.descent.samples)
    rows.append(("Theorem 4.1: step size", proven, held if held > 0 else np.nan))
    table = pd.DataFrame(rows, columns=["quantity", "asked for", "seen to suffice"])
    table["orders of magnitude"] = np.abs(np.log10(table["asked for"] / table["seen to suffice"]))
    return table


def _width(table: pd.DataFrame, delta: float, constant: str) -> float:
    """``proven_width`` for the median problem: residuals differ between seeds and, at the start, between widths."""
    each = [
        theory.proven_width(
            int(row["samples"]), row["lambda_0"], delta, row["residual"], theory.DISTANCE_CONSTANTS[constant]
        )
        for _, row in table.drop_duplicates(["seed", "width"]).iterrows()
    ]
    return float(np.median(each))


def initial_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Lemma 3.1 by width."""
    rows = []
    for width, group in part(metrics, "initial").groupby("width"):
        ratio = group["lambda_min"] / group["lambda_0"]
        good = three_quarters(metrics)[width]
        rows.append(
            {
                "width": width,
                "lambda_min(H(0))/lambda_0, median": ratio.median(),
                "5 %": ratio.quantile(0.05),
                "95 %": ratio.quantile(0.95),
                "fraction >= 3/4": good.value,
                "interval, low": good.low,
                "interval, high": good.high,
                "|H(0)-H_inf|_2, median": group["gap"].median(),
                "over lambda_0/4": group["gap"].median() / (group["lambda_0"].iloc[0] / 4),
            }
        )
    return pd.DataFrame(rows)


def flow_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """How fast the flow really is: exponents over the second quarter of the time, in units of lambda_0."""
    rows = []
    for trained in TRAINED:
        for width, group in part(metrics, "flow", trained).groupby("width"):
            scaled = group["lambda_0"] * group["time"]
            span = group[(scaled >= settings.flow.horizon / 4 - 1e-9) & (scaled <= settings.flow.horizon / 2 + 1e-9)]
            exponents = {}
            for column in ("ratio", "linearised"):
                by_seed = span.sort_values("time").groupby("seed")
                fall = np.log(by_seed[column].first() / by_seed[column].last())
                exponents[column] = (
                    fall / (by_seed["time"].last() - by_seed["time"].first()) / by_seed["lambda_0"].first()
                )
            unit = theory.distance_bound(group["residual"], settings.flow.samples, float(width), group["lambda_0"], 1.0)
            rows.append(
                {
                    "trained": trained,
                    "width": width,
                    "exponent / lambda_0": exponents["ratio"].mean(),
                    "seed spread": exponents["ratio"].std(ddof=1),
                    "same, H(0) frozen": exponents["linearised"].mean(),
                    "theorem": 1.0,
                    "least lambda_min(H(t))/lambda_0": (group["lambda_min"] / group["lambda_0"]).min(),
                    "largest distance / printed bound": (group["max_distance"] / unit).max(),
                    "field evaluations, mean": group.groupby("seed")["evaluations"].first().mean(),
                }
            )
    return pd.DataFrame(rows)


def threshold_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Step sizes over 2/lambda_max: means over seeds of the last one that is good and the first one that is not."""
    found = thresholds(metrics).groupby("width")
    columns = {
        "rate_holds": "rate is a bound up to",
        "rate_breaks": "rate broken at",
        "predicted": "predicted for frozen H",
        "trains": "loss falls up to",
        "fails": "loss rises at",
    }
    sweep = part(metrics, "sweep")
    runs = sweep["diverged"].astype(bool).groupby(sweep["width"]).sum().rename("runs that diverged")
    return found[list(columns)].mean().rename(columns=columns).join(runs).reset_index()


def tables(settings: Settings) -> list[Table]:
    initial, flow, descent = settings.initial, settings.flow, settings.descent
    return [
        Table(
            name="du2018a_lemmas_conservatism",
            items=("001-TH1", "001-TH2", "001-TH5", "001-TH6", "003-TH1", "003-E1"),
            title="What the proofs ask for and what is seen to suffice",
            caption=(
                f"Constants written out from the proofs with delta = {settings.failure_probability:g}; asked widths of the "
                "theorems: where the distance bound equals the radius of Lemma 3.2, with the measured |y - u(0)| (median "
                "problem). Seen: the least width, or largest radius or step, of our grid from (up to) which every seed "
                "obeyed; a value at the end of the grid says at most (at least). Empty: none."
            ),
            make=conservatism_table,
        ),
        Table(
            name="du2018a_lemmas_initial",
            items=("001-TH1", "003-E1", "001-E2"),
            title="Lemma 3.1 by width",
            caption=(
                f"n = {initial.samples}, d = {initial.dimension}, one data set, {initial.draws} draws of W(0). Intervals: "
                "95 % Clopper-Pearson."
            ),
            make=initial_table,
        ),
        Table(
            name="du2018a_lemmas_flow",
            items=("001-TH5", "002-TH1", "001-TH6"),
            title="How fast gradient flow is",
            caption=(
                f"n = {flow.samples}, d = {flow.dimension}, {seeds_text(flow.seeds)}. Exponent: of |u(t) - y|^2 between "
                f"lambda_0 t = {flow.horizon / 4:g} and {flow.horizon / 2:g}, mean over seeds. The theorems have 1; H frozen "
                "at its limit has at least 2."
            ),
            make=flow_table,
        ),
        Table(
            name="du2018a_lemmas_step_sizes",
            items=("001-TH6", "003-TH1"),
            title="Step sizes: where the rate breaks and where training does",
            caption=(
                f"n = {descent.samples}, d = {descent.dimension}, {descent.steps} steps, {seeds_text(descent.seeds)}. Step "
                "sizes in units of 2/lambda_max of H-infinity."
            ),
            make=threshold_table,
        ),
    ]
