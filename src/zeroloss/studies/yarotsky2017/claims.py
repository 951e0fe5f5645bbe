"""Verdicts on the square, the product and Theorem 1. Tolerances were written before the numbers were seen."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.yarotsky2017.experiment import Settings
from zeroloss.theory import yarotsky2017 as theory


def part(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    return metrics[metrics["part"] == name]


def networks(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per network of part smooth, with the median, least and largest error over targets."""
    table = part(metrics, "smooth")
    keys = ["dimension", "smoothness", "accuracy", "epsilon", "grid", "levels", "hidden", "units", "connections"]
    found = table.groupby(keys)["error"].agg(["median", "min", "max"]).reset_index()
    return found.sort_values(["dimension", "smoothness", "accuracy"], ascending=[True, True, False])


def judge_square(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """max |f_m - x^2| = 2^(-2m-2), and 0 at the nodes k / 2^m.

    No tolerance: all values at the points looked at are dyadic numbers that float64 holds exactly, and that the largest
    error of a chord of x^2 is at its middle is elementary.
    """
    table = part(metrics, "square")
    exact = table["levels"].map(lambda m: theory.square_error(int(m)))
    same = bool((table["error"] == exact).all() and (table["node_error"] == 0).all())
    last = table.loc[table["levels"].idxmax()]
    return Judgement(
        expected="2^(-2m-2) for every m",
        measured=f"{'equal to the last bit' if same else 'not equal'}; m = {int(last['levels'])}: {last['error']:.3g}",
        spread=f"{len(table)} networks, m = {int(table['levels'].min())} to {int(last['levels'])}; nothing is random",
        tolerance="none: exact arithmetic",
        verdict="reproduced" if same else "differs",
    )


def judge_mean_square(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The integral of (f_m - x^2)^2 is 1 / (30 * 16^m), and above Telgarsky's bound for as many units and layers.

    Tolerance 1e-12 relative: the rule of integration is exact here and the values are, so only the sum is rounded, by less
    than 1e-16 times the square root of its length or a few times that. For the bound none. It counts units and layers
    as these do, hidden layers and their units.
    """
    table = part(metrics, "square")
    exact = table["levels"].map(lambda m: theory.square_mean_error(int(m)))
    bound = pd.Series(
        [theory.square_lower_bound(int(r.units), int(r.hidden)) for r in table.itertuples()], index=table.index
    )
    off = float((table["mean_square"] / exact - 1).abs().max())
    above = bool((table["mean_square"] >= bound).all())
    gap = np.log10(table["mean_square"] / bound)
    return Judgement(
        expected="1 / (30 * 16^m), above the bound",
        measured=f"largest relative difference {off:.1e}; {'above' if above else 'below'} the bound by "
        f"{gap.min():.1f} to {gap.max():.1f} orders of magnitude",
        spread=f"{len(table)} networks; nothing is random",
        tolerance="1e-12 (rounding); none for the bound",
        verdict="reproduced" if off <= 1e-12 and above else "differs",
    )


def judge_shallow(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Of x^2: the best network with one hidden layer of as many units errs by 1 / (8 p^2), p = units + 1; the deep one less.

    Tolerance 1e-6 relative between the law and the computed optimum, whose bisection stops at 1e-10 and whose pieces are
    found to 1e-9. The deep network must be better at every m from which on the formulas say so, 4^(m+1) > 8 (4m + 1)^2:
    from m = 5 on.
    """
    table = part(metrics, "square")
    law = theory.shallow_square_error(table["units"].to_numpy() + 1)
    off = float(np.abs(table["shallow_error"] / law - 1).max())
    ratio = table["shallow_error"] / table["error"]
    better = table[ratio > 1]["levels"]
    needed = 1 / np.sqrt(8 * table["error"].to_numpy())
    agrees = off <= 1e-6
    always = bool((ratio[table["levels"] >= 5] > 1).all())
    return Judgement(
        expected="1 / (8 p^2), above the deep network's error from m = 5 on",
        measured=f"largest relative difference from the law {off:.1e}; deep is better at m = "
        f"{', '.join(str(int(m)) for m in better)}; at the last by a factor {ratio.iloc[-1]:.3g}",
        spread="nothing is random",
        tolerance="1e-6; the sign",
        verdict="differs" if not (agrees and always) else "reproduced" if len(better) else "undecided",
        note=f"one hidden layer needs {needed[-1]:.3g} pieces for the error of {int(table['units'].iloc[-1])} units",
    )


def judge_product(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """|x y - product| <= M^2 4^(-m) on [-M, M]^2.

    Tolerance: rounding of a few numbers of size 2 M^2, 1e-14. A bound that is missed by a factor of more than 4 would
    belong to another m: noted.
    """
    table = part(metrics, "product")
    share = table["error"] / table["bound"]
    kept = bool((table["error"] <= table["bound"] + 1e-14).all())
    return Judgement(
        expected="at most M^2 4^(-m)",
        measured=f"{share.min():.3f} to {share.max():.3f} times the bound, m = {int(table['levels'].min())} to "
        f"{int(table['levels'].max())}",
        spread="nothing is random",
        tolerance="1e-14 (rounding)",
        verdict="reproduced" if kept else "differs",
        note="" if share.min() > 0.25 else "the bound is not tight",
    )


def judge_error(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Every network built for an error keeps to it, for every target.

    No tolerance: the proof leaves no room, and the points at which the error is taken can only underestimate it. How many
    times smaller it is says what the constants of the proof cost.
    """
    table = part(metrics, "smooth")
    share = table["error"] / table["accuracy"]
    return Judgement(
        expected="error at most the one built for",
        measured=f"{share.max():.3g} times it at most",
        spread=f"{len(table)} pairs of network and target, {table['seed'].nunique()} targets; least {share.min():.2g} "
        f"times, median {share.median():.2g}",
        tolerance="none",
        verdict="reproduced" if share.max() <= 1 else "differs",
        note=f"largest error at {settings.smooth.points} points, which may miss the maximum",
    )


def _leverage(x: np.ndarray) -> float:
    """The most that errors in an interval of width 1 can change a least-squares slope over x."""
    centred = x - x.mean()
    return float(np.abs(centred).sum() / 2 / (centred**2).sum())


def judge_depth(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Depth grows like ln(1/epsilon): slope of hidden layers over ln(1/epsilon) is (d + n - 2) / ln 4.

    One product after the other, each of m + 1 layers with m = log_4(1/epsilon) + const, rounded up. Tolerance: what
    rounding up (by less than 1 for each of the d + n - 2 products) can do to a least-squares slope at these points at
    most. Networks without a product have one layer at any epsilon and are left out.
    """
    rows, good = [], []
    for (d, n), group in networks(metrics).groupby(["dimension", "smoothness"]):
        products = int(d + n - 2)
        if products < 1:
            continue
        x = np.log(1 / group["epsilon"].to_numpy())
        slope = float(np.polyfit(x, group["hidden"], 1)[0])
        expected, room = products / math.log(4), products * _leverage(x)
        good.append(abs(slope - expected) <= room)
        rows.append(f"d = {int(d)}, n = {int(n)}: {slope:.2f} ({expected:.2f} ± {room:.2f})")
    if not rows:
        return Judgement("(d + n - 2) / ln 4", "not measured", "", "", "undecided", "no network has a product")
    return Judgement(
        expected="(d + n - 2) / ln 4 layers for each factor e",
        measured="; ".join(rows),
        spread="nothing is random",
        tolerance="in parentheses: rounding of m",
        verdict="reproduced" if all(good) else "differs",
    )


def judge_size(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Units and weights are at most c epsilon^(-d/n) (ln(1/epsilon) + 1) with one c(d, n) for all epsilon.

    c is read off at the coarsest accuracy; no finer network may need a larger one. Room: rounding of N and m, whose share
    is largest at the coarsest, where it can have made c too small by (1 + 1/N)^d (1 + 1/m) at most.
    """
    rows, good = [], []
    for (d, n), group in networks(metrics).groupby(["dimension", "smoothness"]):
        law = group["epsilon"] ** (-d / n) * (np.log(1 / group["epsilon"]) + 1)
        coarsest = group.iloc[0]
        room = (1 + 1 / coarsest["grid"]) ** d * (1 + 1 / coarsest["levels"])
        constants = group["units"] / law
        growth = max(float((group[of] / law / (group[of] / law).iloc[0]).max()) for of in ("units", "connections"))
        good.append(growth <= room)
        slope = float(np.polyfit(np.log(1 / group["epsilon"]), np.log(group["units"]), 1)[0])
        rows.append(f"d = {int(d)}, n = {int(n)}: c = {constants.max():.3g}, grows {growth:.2f} times (room {room:.2f}), "
                    f"exponent {slope:.2f} (d/n = {d / n:.2f})")  # fmt: skip
    return Judgement(
        expected="one c for all epsilon",
        measured="; ".join(rows),
        spread="nothing is random",
        tolerance="rounding of N and m",
        verdict="reproduced" if all(good) else "differs",
    )


def judge_rate(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """What is measured, not only what is guaranteed, falls like N^(-n): log-log slope of the error over N.

    Tolerance 0.15 n: the error has two parts in fixed proportion, Taylor's remainder, which bends by the next order's share
    W / ((n + 1) N) at the coarsest N, and the products' error, which jumps by up to a factor of 4 where m is rounded up; a
    jump of 4 across a range of 300 in the error would change the slope by a quarter of n if it stood at one end. The 95 %
    t interval over targets must meet n ± 0.15 n for each (d, n), Bonferroni.
    """
    from zeroloss.theory.statistics import estimate, loglog_slope

    table = part(metrics, "smooth")
    if table["seed"].nunique() < 2:
        return Judgement("-n", "one target", "", "", "undecided", "one target has no spread")
    groups = list(table.groupby(["dimension", "smoothness"]))
    rows, verdicts = [], []
    for (d, n), group in groups:
        slopes = [-loglog_slope(one["grid"], one["error"]) for _, one in group.groupby("seed")]
        found = estimate(slopes, len(groups))
        meets = abs(found.mean - n) <= 0.15 * n + found.half_width
        verdicts.append("undecided" if found.half_width > 0.25 * n else "reproduced" if meets else "differs")
        rows.append(f"d = {int(d)}, n = {int(n)}: {found.mean:.2f} ± {found.half_width:.2f}")
    verdict: Verdict = "differs" if "differs" in verdicts else "undecided" if "undecided" in verdicts else "reproduced"
    return Judgement(
        expected="n",
        measured="; ".join(rows),
        spread=f"95 % t intervals over {table['seed'].nunique()} targets, together",
        tolerance="the interval meets n ± 15 %; undecided if wider than ± 25 %",
        verdict=verdict,
    )


def shallow_law(metrics: pd.DataFrame) -> tuple[float, float]:
    """(constant c of the smallest error, slope): the best one hidden layer of w units errs by c / w^2, d = 1.

    Medians over targets of the least number of units; c at the smallest error, where rounding to whole pieces counts
    least.
    """
    from zeroloss.theory.statistics import loglog_slope

    by = part(metrics, "shallow").groupby("error")["units"].median().sort_index()
    by = by[by >= 5]
    return float(by.index[0] * by.iloc[0] ** 2), loglog_slope(by.to_numpy(), by.index.to_numpy())


def judge_crossing(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """d = 1: for a smooth function, too, depth needs fewer units than any one hidden layer, once the error is small.

    The best shallow network's error falls like units^(-2) (twice differentiable and not linear), the deep one's like
    (units / ln)^(-n). Reproduced where the deep network with the largest n is better at its largest size; differs where it
    is not and its exponent, fitted over all its sizes, is not beyond -2 either; otherwise undecided: the exponents say
    that it will be, the sizes do not reach. No tolerance.
    """
    from zeroloss.theory.statistics import loglog_slope

    table = networks(metrics)
    if 1 not in settings.smooth.dimensions or max(settings.smooth.smoothness) < 3:
        return Judgement("deep is better", "not measured", "", "", "undecided", "takes d = 1 and n of at least 3")
    deep = table[(table["dimension"] == 1) & (table["smoothness"] == table["smoothness"].max())]
    constant, shallow_slope = shallow_law(metrics)
    slope = loglog_slope(deep["units"], deep["median"])
    last = deep.iloc[-1]
    ratio = last["median"] / (constant / last["units"] ** 2)
    verdict: Verdict = "reproduced" if ratio < 1 else "undecided" if slope < -2 else "differs"
    crossing = last["units"] * ratio ** (1 / (-2 - slope)) if slope < -2 else math.inf
    note = "" if ratio < 1 else f"at these exponents they cross at about {crossing:.1g} units"
    return Judgement(
        expected="deep is better once epsilon is small",
        measured=f"n = {int(last['smoothness'])}, {int(last['units'])} units: deep error {last['median']:.2g}, "
        f"{ratio:.3g} times that of the best one hidden layer; exponents {slope:.2f} and {shallow_slope:.2f}",
        spread="medians over targets",
        tolerance="none: the sign",
        verdict=verdict,
        note=note,
    )


def claims(settings: Settings) -> list[Claim]:
    item = ("004-TH6",)
    return [
        Claim("square-exact", item, "The network of x² has the error 2^(-2m-2) exactly.", judge_square),
        Claim("square-mean", item, "Its mean squared error is 1/(30·16^m), above the bound for any network of its size.",
              judge_mean_square),
        Claim("square-shallow", item, "One hidden layer with as many units can only do 1/(8p²).", judge_shallow),
        Claim("product", item, "Three squares make a product to M² 4^(-m).", judge_product),
        Claim("theorem-error", item, "The architecture for ε expresses functions of F_(n,d) with error ε.", judge_error),
        Claim("theorem-depth", item, "Its depth is at most c(ln(1/ε) + 1).", judge_depth),
        Claim("theorem-size", item, "It has at most c ε^(-d/n) (ln(1/ε) + 1) weights and units.", judge_size),
        Claim("measured-rate", item, "The measured error falls with the order n of smoothness.", judge_rate),
        Claim("smooth-crossing", item, "For a smooth function depth needs fewer units than one hidden layer.", judge_crossing),
    ]  # fmt: skip
