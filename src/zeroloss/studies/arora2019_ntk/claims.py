"""Claims on the recursion and on f_ntk, and the list of all; ``convergence_claims`` and ``table_claims`` have the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.arora2019_ntk import convergence_claims, table_claims
from zeroloss.studies.arora2019_ntk.experiment import Settings
from zeroloss.studies.contract import Claim, Judgement
from zeroloss.theory.statistics import estimate, slope_over_width


def judge_rate(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """|Theta_m - Theta|_F / |Theta|_F falls like m^(-1/2) for every activation and depth.

    Theorem 3.1 promises a width polynomial in 1 / epsilon and names no constant; -1/2 is the central limit theorem's, for
    each layer is a mean over m units. Tolerance 0.1: products of layers add terms of order 1 / m, a share of
    (depth + 1) / sqrt(m) of the error, which bends the line at the narrow end; for four layers and m = 32 to 1024 that
    is a slope steeper by up to 0.1. Reproduced where every 95 % interval (t, over seeds, Bonferroni for all lines) meets
    -0.5 +- 0.1, undecided where one of them is wider than 0.25.
    """
    part = metrics[metrics["part"] == "entry"]
    found = {}
    for key, group in part.groupby(["activation", "depth"]):
        found[key] = slope_over_width(group, "relative_error")
    halves = {key: _simultaneous(part, key, len(found)) for key in found}
    worst = max(found, key=lambda key: abs(found[key].mean + 0.5) - halves[key])
    value, half = found[worst].mean, halves[worst]
    wide = max(halves.values()) > 0.25 or not all(np.isfinite(list(halves.values())))
    meets = abs(value + 0.5) <= 0.1 + half
    return Judgement(
        expected="-0.5",
        measured=f"{value:.3f} at the worst ({worst[0]}, L = {int(worst[1])}); "
        f"range of {len(found)} lines {min(f.mean for f in found.values()):.3f} to "
        f"{max(f.mean for f in found.values()):.3f}",
        spread=f"95 % t interval over {found[worst].seeds} seeds, for {len(found)} lines together: ± {half:.2g}",
        tolerance="the interval meets -0.5 ± 0.1; undecided if wider than ± 0.25",
        verdict="undecided" if wide else "reproduced" if meets else "differs",
    )


def _simultaneous(part: pd.DataFrame, key: tuple[str, int], comparisons: int) -> float:
    from zeroloss.theory.statistics import loglog_slope

    here = part[(part["activation"] == key[0]) & (part["depth"] == key[1])]
    slopes = [loglog_slope(group["width"], group["relative_error"]) for _, group in here.groupby("seed")]
    return estimate(slopes, comparisons).half_width


def _at_largest_width(metrics: pd.DataFrame, value: str, comparisons: int) -> pd.DataFrame:
    part = metrics[metrics["part"] == "entry"]
    part = part[part["width"] == part["width"].max()]
    rows = []
    for (activation, depth), group in part.groupby(["activation", "depth"]):
        found = estimate(group[value], comparisons)
        rows.append((activation, depth, found.mean, found.half_width, found.seeds))
    return pd.DataFrame(rows, columns=["activation", "depth", "mean", "half_width", "seeds"])


def _judge_mean(metrics: pd.DataFrame, value: str, what: str, note: str) -> Judgement:
    part = metrics[metrics["part"] == "entry"]
    width = int(part["width"].max())
    lines = part.groupby(["activation", "depth"]).ngroups
    found = _at_largest_width(metrics, value, lines)
    # a finite net is off by order 1 / m in the mean; 5 (L + 1) / m is that with room for the constant
    found["allowed"] = found["half_width"] + 5 * (found["depth"] + 1) / width
    excess = (found["mean"] - 1).abs() - found["allowed"]
    worst = found.loc[(found["mean"] - 1).abs().idxmax()]
    wide = not (found["half_width"] <= 0.1).all()
    return Judgement(
        expected="1",
        measured=f"{worst['mean']:.4f} at the worst ({worst['activation']}, L = {int(worst['depth'])}; {what}, "
        f"m = {width})",
        spread=f"95 % t interval over {int(worst['seeds'])} seeds, for {lines} lines together: "
        f"± {worst['half_width']:.2g}",
        tolerance="the interval and 5 (L + 1) / m; undecided if wider than ± 0.1",
        verdict="undecided" if wide else "reproduced" if (excess <= 0).all() else "differs",
        note=note,
    )


def judge_mean(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The mean of <df, df> over networks is the recursion's diagonal, so no factor is missing.

    Tolerance: the 95 % interval over seeds (Bonferroni over activations and depths) plus 5 (L + 1) / m for the bias of a
    finite net, which is of order 1 / m. A missing factor c_sigma or a layer too many would show as a ratio of 2.
    """
    return _judge_mean(metrics, "mean_ratio", "mean diagonal over the recursion's", "")


def judge_c_sigma(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """c_sigma keeps E|g^(h)|^2 = 1 in every layer; it is 2 for ReLU. Tolerance as for the mean kernel, same reason."""
    part = metrics[metrics["part"] == "entry"]
    constants = part.groupby("activation")["scale"].first()
    note = "c_sigma: " + ", ".join(f"{name} {value:.5g}" for name, value in constants.items())
    return _judge_mean(metrics, "square_norm", "mean of |g|² over inputs and layers", note)


def judge_interpolation(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """f_ntk without ridge passes through all training labels.

    Tolerance: n eps cond(K), the rounding bound of a Cholesky solve up to a factor of order 1; in these norms a bound, so
    exceeding it would be an error of the solve, not of rounding.
    """
    part = metrics[metrics["part"] == "regression"]
    if "residual" not in part or part["residual"].isna().all():
        return Judgement("0", "not measured", "", "", "undecided", "no size is solved by Cholesky")
    part = part.dropna(subset=["residual"])
    share = part["residual"] / (part["samples"] * np.finfo(float).eps * part["condition"])
    return Judgement(
        expected="0",
        measured=f"{part['residual'].max():.2g} (largest |K alpha - y| / |y|)",
        spread=f"{len(part)} solves, condition numbers {part['condition'].min():.2g} to {part['condition'].max():.2g}",
        tolerance=f"n eps cond(K); largest share of it: {share.max():.2g}",
        verdict="reproduced" if bool((share <= 1).all()) else "differs",
    )


def judge_tiles(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The solve that never forms K gives the same predictor as Cholesky.

    Tolerance is a theorem: with r the residual of conjugate gradients, |k(z)' K^-1 r| <= (K(z, z) r' K^-1 r)^(1/2) <=
    ((L + 1) / lambda_min)^(1/2) |r|, as the kernel of training and test inputs together is positive; |r| is at most the
    relative residual times sqrt(n).
    """
    part = metrics[metrics["part"] == "regression"]
    if "tiled_difference" not in part or part["tiled_difference"].isna().all():
        return Judgement("0", "not measured", "", "", "undecided", "no size is solved both ways")
    part = part.dropna(subset=["tiled_difference"])
    bound = ((part["depth"] + 1) / part["lambda_min"]) ** 0.5 * part["tiled_residual"] * part["samples"] ** 0.5
    # what Cholesky itself rounds adds to it
    bound += part["samples"] * np.finfo(float).eps * part["condition"]
    share = part["tiled_difference"] / bound
    return Judgement(
        expected="0",
        measured=f"{part['tiled_difference'].max():.2g} (largest difference of two predictions)",
        spread=f"{len(part)} depths, n = {int(part['samples'].max())}, {int(part['iterations'].max())} iterations at most",
        tolerance=f"the bound of the docstring; largest share of it: {share.max():.2g}",
        verdict="reproduced" if bool((share <= 1).all()) else "differs",
    )


def claims(settings: Settings) -> list[Claim]:
    recursion, predictor = ("004-E4",), ("004-E5",)
    return [
        Claim(
            "recursion-rate",
            recursion,
            "Gradient inner products of finite nets approach the recursion, like m^(−1/2).",
            judge_rate,
        ),
        Claim("recursion-mean", recursion, "Their mean is the recursion's value.", judge_mean),
        Claim("c-sigma", recursion, "With c_σ = 1/E σ(z)² every layer keeps unit length.", judge_c_sigma),
        Claim("ridgeless", predictor, "f_ntk passes through the training labels.", judge_interpolation),
        Claim("tiles", predictor, "Solving tile by tile gives the same f_ntk.", judge_tiles),
        *convergence_claims.claims(settings),
        *table_claims.claims(settings),
    ]
