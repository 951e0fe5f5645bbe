"""Verdicts on depth 3, depth 2 and the lower bound. Tolerances were written before the numbers were seen."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.daniely2017.experiment import Settings

WEIGHTS = 2.0  # of 1 + L: weights of the constructed networks


def part(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    return metrics[metrics["part"] == name]


def judge_error(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Networks built for a sup error keep to it at k = pi d^3.

    Tolerance 1e-9 for rounding: the sine is a sum of up to some 10^4 ReLUs with weights up to some 10^3, in float64.
    """
    built = part(metrics, "built")
    share = built["sup"] / built["accuracy"]
    kept = bool((built["sup"] <= built["accuracy"] + 1e-9).all() and (built["bound"] <= built["accuracy"] + 1e-9).all())
    return Judgement(
        expected="at most epsilon",
        measured=f"{share.min():.2f} to {share.max():.2f} times epsilon",
        spread=f"{len(built)} networks, d = {int(built['dimension'].min())} to {int(built['dimension'].max())}; "
        f"{settings.constructed.points} points",
        tolerance="1e-9 (rounding)",
        verdict="reproduced" if kept else "differs",
    )


def judge_size(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Width at most d^2 L / epsilon, weights at most 2 (1 + L), L = k = pi d^3.

    The paper says O(...) for both. Constants from the formulas: d n_1 = 2 d sqrt(d k / epsilon) and n_2 = k / sqrt(epsilon) are
    below d^2 k / epsilon for all d >= 2 here; the sine's jumps of slope are at most k^2 h = 2 k sqrt(epsilon) <= 2 k, with h =
    2 sqrt(epsilon) / k.
    """
    built = part(metrics, "built")
    lipschitz = built["frequency"] * math.pi
    width = built["width"] / (built["dimension"] ** 2 * lipschitz / built["accuracy"])
    weight = built["largest_weight"] / (WEIGHTS * (1 + lipschitz))
    return Judgement(
        expected="width O(d² L / ε), weights O(1 + L)",
        measured=f"width {width.min():.2g} to {width.max():.2g} times d² L / ε; weights {weight.min():.2g} to "
        f"{weight.max():.2g} times {WEIGHTS:g}(1 + L)",
        spread=f"{len(built)} networks; nothing is random",
        tolerance=f"the constants 1 and {WEIGHTS:g}",
        verdict="reproduced" if width.max() <= 1 and weight.max() <= 1 else "differs",
    )


def judge_features(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """At k = pi d^3, d >= 3: depth 2 with random neurons fails at every width, depth 3 does not.

    Failed means a relative error of at least ``bound.share`` (one half): a network built for the sup error epsilon has a
    mean square of at most epsilon^2, so those built for epsilon = 1/2 are guaranteed to stay below a quarter, half of the
    variance of 1/2. Reproduced where all seeds and widths of depth 2 fail for all d >= 3 and no depth-3 network does; differs
    where the median of some d and width does not fail, or depth 3 does. d = 2 is left out: the theorem is for large d. Compared
    are the d that both depths have, with a depth-3 network built for at most that error; undecided where there is none.
    """
    share = settings.bound.share
    table = part(metrics, "features")
    at = table[(table["dimension"] >= 3) & (table["frequency"] == table["dimension"] ** 3)]
    if at.empty:
        return Judgement(f"at least {share:g}", "not measured", "", "", "undecided", "takes d of at least 3")
    built = part(metrics, "built")
    built = built[built["dimension"].isin(at["dimension"]) & (built["accuracy"] ** 2 <= share / 2)]
    both = at["dimension"].isin(built["dimension"])
    alone = sorted(at[~both]["dimension"].astype(int).unique())
    left_out = f"; left out, no depth 3 built: d = {', '.join(map(str, alone))}" if alone else ""
    if built.empty:
        note = f"needs a d of both depths, with an epsilon of at most {math.sqrt(share / 2):.2g}{left_out}"
        return Judgement(f"depth 2 at least {share:g}, depth 3 less", "not compared", "", "", "undecided", note)
    at = at[both]
    deep = (built["mean_square"] / built["variance"]).max()
    medians = at.groupby(["dimension", "width"])["relative_error"].median()
    verdict: Verdict = "undecided"
    if at["relative_error"].min() >= share and deep < share:
        verdict = "reproduced"
    elif medians.min() < share or deep >= share:
        verdict = "differs"
    by = at.groupby("dimension")["relative_error"].median()
    return Judgement(
        expected=f"depth 2 at least {share:g}, depth 3 less",
        measured=f"depth 2, medians: {'; '.join(f'd = {int(d)}: {e:.2f}' for d, e in by.items())}; depth 3 at most {deep:.2g}",
        spread=f"depth 2, all {len(at)} fits: {at['relative_error'].min():.2f} to {at['relative_error'].max():.2f}",
        tolerance=f"failed means a relative error of at least {share:g}",
        verdict=verdict,
        note=f"random neurons; what the best weights could do is what the lower bound says{left_out}",
    )


def judge_trained(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """d >= 3: trained depth-2 networks learn the lowest frequency and fail at the highest, at every width.

    Failed as in judge_features; learned is less than that. Reproduced where it is so for all seeds; differs where for some d
    and width all seeds are on the wrong side of either; undecided otherwise. That a trained network fails does not say that
    no depth-2 network could do it: the theorem's bound is another claim.
    """
    share = settings.bound.share
    table = part(metrics, "trained")
    table = table[table["dimension"] >= 3]
    if table.empty:
        return Judgement("learns low, fails high", "not measured", "", "", "undecided", "takes d of at least 3")
    low, high = (table[table["frequency"] == end] for end in (table["frequency"].min(), table["frequency"].max()))
    learned = low["relative_error"] < share
    failed = ~(high["relative_error"] < share)  # a diverged run has failed
    wrong = (~learned).groupby([low["dimension"], low["width"]]).all().any() or (~failed).groupby(
        [high["dimension"], high["width"]]
    ).all().any()
    ends = {"lowest": low, "highest": high}
    return Judgement(
        expected=f"below {share:g} at the lowest, at least {share:g} at the highest frequency",
        measured="; ".join(
            f"d = {int(d)}, {name}: {group['relative_error'].median():.2g}"
            for name, end in ends.items()
            for d, group in end.groupby("dimension")
        ),
        spread=f"lowest {low['relative_error'].min():.2g} to {low['relative_error'].max():.2g}, highest "
        f"{high['relative_error'].min():.2g} to {high['relative_error'].max():.2g}, all seeds and widths",
        tolerance=f"a relative error of {share:g}",
        verdict="reproduced" if learned.all() and failed.all() else "differs" if wrong else "undecided",
        note=f"k / pi = {low['frequency'].iloc[0]:g} and {high['frequency'].iloc[0]:g}; {int(table['diverged'].sum())} of "
        f"{len(table)} runs diverged",
    )


def breaking_frequency(group: pd.DataFrame, share: float) -> float:
    """k / pi at which the relative error first reaches ``share``, linear in ln k; the end of the range where it never does."""
    group = group.sort_values("frequency")
    f, error = group["frequency"].to_numpy(), group["relative_error"].fillna(np.inf).to_numpy()
    above = np.flatnonzero(error >= share)
    if len(above) == 0:
        return float(f[-1])
    k = above[0]
    if k == 0 or not np.isfinite(error[k]):
        return float(f[k])
    t = (share - error[k - 1]) / (error[k] - error[k - 1])
    return float(np.exp(np.log(f[k - 1]) + t * np.log(f[k] / f[k - 1])))


def breaking_table(metrics: pd.DataFrame, settings: Settings, name: str) -> pd.DataFrame:
    """One row per dimension, width and seed: the frequency at which depth 2 breaks down."""
    rows = [
        {"dimension": d, "width": m, "seed": s, "breaking": breaking_frequency(group, settings.bound.share)}
        for (d, m, s), group in part(metrics, name).groupby(["dimension", "width", "seed"])
    ]
    return pd.DataFrame(rows)


def judge_breaking(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The frequency at which depth 2 of a given width breaks down falls with d, while d^3 rises.

    No law is stated, so the sign decides: slope of ln(frequency) over d for each seed at the largest width, 95 % t interval
    below 0, for random and for trained neurons (Bonferroni). Reproduced where both are, differs where one is above 0.
    """
    from zeroloss.theory.statistics import estimate

    rows, found = [], []
    for name in ("features", "trained"):
        table = breaking_table(metrics, settings, name)
        table = table[table["width"] == table["width"].max()]
        if table["seed"].nunique() < 2 or table["dimension"].nunique() < 2:
            return Judgement("falls", "one seed or one d", "", "", "undecided", "takes seeds and dimensions")
        slopes = [np.polyfit(g["dimension"], np.log(g["breaking"]), 1)[0] for _, g in table.groupby("seed")]
        found.append(estimate(slopes, 2))
        medians = table.groupby("dimension")["breaking"].median()
        rows.append(f"{name}: {', '.join(f'd = {int(d)}: {f:.2f}' for d, f in medians.items())}")
    falls = [one.mean + one.half_width < 0 for one in found]
    rises = [one.mean - one.half_width > 0 for one in found]
    return Judgement(
        expected="falls",
        measured=f"k / pi, medians; {'; '.join(rows)}",
        spread="slopes of its logarithm, 95 % t intervals together: " + "; ".join(str(one) for one in found),
        tolerance="the sign",
        verdict="reproduced" if all(falls) else "differs" if any(rises) else "undecided",
        note=f"the end of the range stands where the error never crosses {settings.bound.share:g}",
    )


def judge_bound(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """No trained depth-2 network is better than the lower bound for its own mass A.

    Tolerance: three standard errors of the mean over the test points; and one in 370 networks may be beyond them. A bound that
    is 0 says nothing: how many are positive is said.
    """
    table = part(metrics, "trained")
    table = table[~table["diverged"].astype(bool)]
    room = table["mean_square"] + 3 * table["standard_error"] - table["bound"]
    share = table["bound"] / table["mean_square"]
    useful = int((table["bound"] > 0.01 * table["variance"]).sum())
    allowed = math.ceil(len(table) / 370)
    broken = int((room < 0).sum())
    return Judgement(
        expected="error at least the bound",
        measured=f"{broken} of {len(table)} networks below; bound over error at most {share.max():.2f}, median "
        f"{share.median():.2g}",
        spread=f"all seeds, widths, d and frequencies; {useful} bounds are above 1 % of the variance",
        tolerance=f"three standard errors; {allowed} may be beyond",
        verdict="differs" if broken > allowed else "reproduced" if useful else "undecided",
    )


def judge_growth(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Depth 2 with weights up to 2^d needs 2^(c d log2 d) neurons: log2(neurons) / (d log2 d) stays away from 0.

    Omega is about large d: where the ratio is positive and rising over the upper half of the dimensions, it stays above its
    value at their beginning as far as they reach. From the formulas it tends to 1, with corrections of order 1 / log2 d, so no
    value is asked for. Undecided with fewer than six dimensions; differs where it falls, or is not positive at the largest d.
    """
    table = part(metrics, "needed").sort_values("dimension")
    d = table["dimension"].to_numpy(float)
    ratio = table["log2_neurons"].to_numpy() / (d * np.log2(d))
    half = len(d) // 2
    rising = bool((np.diff(ratio[half:]) > 0).all() and ratio[-1] > 0)
    positive = d[table["log2_neurons"].to_numpy() > 0]
    verdict: Verdict = "differs" if not rising else "reproduced" if len(d) >= 6 and ratio[half] > 0 else "undecided"
    return Judgement(
        expected="2^(Omega(d log d)) neurons",
        measured=f"log2(neurons) / (d log2 d) = {ratio[half]:.2f} at d = {int(d[half])}, {ratio[-1]:.2f} at d = {int(d[-1])}: "
        f"2^{table['log2_neurons'].iloc[-1]:.0f} neurons there",
        spread="nothing is random",
        tolerance="positive and rising over the upper half of the dimensions",
        verdict=verdict,
        note=f"with weights up to 2^d the bound asks for more than one neuron from d = {int(positive.min())} on"
        if len(positive)
        else "with weights up to 2^d the bound asks for less than one neuron at all d",
    )


def claims(settings: Settings) -> list[Claim]:
    item = ("004-TH7",)
    return [
        Claim("depth3-error", item, "Depth 3 approximates sin(πd³<x, x'>) to any ε.", judge_error),
        Claim("depth3-size", item, "It does with width O(d² L / ε) and weights O(1 + L).", judge_size),
        Claim("depth2-random", item, "Depth 2 with random neurons cannot, depth 3 can.", judge_features),
        Claim("depth2-trained", item, "Trained depth 2 learns low frequencies and not high ones.", judge_trained),
        Claim("depth2-breaking", item, "Where depth 2 breaks down moves away from d³ as d grows.", judge_breaking),
        Claim("lower-bound-holds", item, "No depth-2 network beats the lower bound of its mass.", judge_bound),
        Claim("lower-bound-grows", item, "Depth 2 needs 2^(Ω(d log d)) neurons with weights up to 2^d.", judge_growth),
    ]
