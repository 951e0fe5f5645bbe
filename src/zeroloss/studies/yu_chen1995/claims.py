"""Verdicts on the theorem as quoted and on the saddle at zero. Tolerances were written before the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.yu_chen1995.experiment import ZERO, Settings
from zeroloss.studies.yu_chen1995.tables import copied_table


def judge_wide_reaches_zero(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Every random start with k >= n units ends at zero loss: residuals to 8 digits of the labels.

    One strict minimum among them refutes it. Starts that are flat (saturated), at a saddle or unfinished neither
    support nor refute it, so any of those leaves the claim undecided. The share has its exact lower 95 % limit
    (Clopper and Pearson), over all starts of all problems.
    """
    from scipy import stats

    starts = metrics[metrics["part"] == "starts"]
    wide = starts[starts["units"] >= settings.starts.samples]
    if wide.empty:
        return Judgement("all", "not run", "", "", "undecided", "no width from n on at this scale")
    kinds = wide["kind"].value_counts()
    zero, total = int(kinds.get("zero", 0)), len(wide)
    low = float(stats.beta.ppf(0.05, zero, total - zero + 1)) if zero else 0.0
    verdict: Verdict = "reproduced" if zero == total else "differs" if kinds.get("strict minimum", 0) else "undecided"
    rest = ", ".join(f"{kind}: {count}" for kind, count in kinds.items() if kind != "zero")
    return Judgement(
        expected="all starts",
        measured=f"{zero} of {total} starts with k >= n = {settings.starts.samples} at zero (largest share of |y|^2 / 2: "
        f"{wide[wide['kind'] == 'zero']['relative_loss'].max():.1e})",
        spread=f"one-sided 95 % limit of the share over {wide['problem'].nunique()} problems: {low:.3f}",
        tolerance=f"zero: at most {ZERO:g} |y|^2 / 2",
        verdict=verdict,
        note=f"not at zero: {rest}" if rest else "",
    )


def judge_narrow_gets_stuck(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """With k < n - 1 some runs get stuck though the same network fits the same patterns: stuck and zero starts both.

    Stuck: at a strict minimum, or flat (units saturated on the way to infinity) with a loss above 1e-3 of |y|^2 / 2.
    Reproduced where for one width and problem some starts end at zero and others are stuck; differs where all starts
    of all narrow widths reach zero; undecided otherwise (all stuck: too few parameters, not bad minima).
    (A first version asked for strict minima alone; a trial run showed that on random labels most minima lie at infinity.)
    """
    starts = metrics[(metrics["part"] == "starts") & (metrics["units"] < settings.starts.samples - 1)]
    if starts.empty:
        return Judgement("some", "not run", "", "", "undecided", "no width below n - 1 at this scale")
    halted = starts["kind"].isin(["strict minimum", "flat"]) & (starts["relative_loss"] > 1e-3)
    flags = (
        starts.assign(halted=halted, zero=starts["kind"] == "zero")
        .groupby(["units", "problem"])[["halted", "zero"]]
        .any()
    )
    both = flags["halted"] & flags["zero"]
    stuck = starts.groupby("units")["kind"].agg(lambda kinds: float((kinds != "zero").mean()))
    verdict: Verdict = "reproduced" if both.any() else "differs" if (starts["kind"] == "zero").all() else "undecided"
    widths = sorted({int(index[0]) for index in both[both].index})
    return Judgement(
        expected="some starts",
        measured=f"{int(both.sum())} of {len(both)} pairs (k, problem) have starts at zero and stuck ones "
        f"(k = {', '.join(map(str, widths)) or 'none'})",
        spread=f"{starts['problem'].nunique()} problems, {settings.starts.starts} starts each",
        tolerance="none: one such pair shows it",
        verdict=verdict,
        note="share not at zero by k: " + ", ".join(f"{int(k)}: {share:.0%}" for k, share in stuck.items()),
    )


def judge_every_minimum_global(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The theorem as quoted: with k = n every local minimum is global. One local minimum above zero refutes it.

    A copied minimum counts as one where the gradient is below 1e-8, the least Hessian eigenvalue above -1e-8 (zeros
    along the copies are expected, rounding of the others is 1e-14), the copied unit's curvature is positive, no nearby
    start is below its loss by more than 1e-12 before or after descent, and all end within 1e-6 of it: then it is
    stable, too. Differs where there is one with loss above 1e-3; reproduced where there are candidates and every one
    fails these checks; undecided without candidates.
    """
    if not (metrics["part"] == "copied").any():
        return Judgement("no local minimum above 0", "no candidate", "", "", "undecided", "no minimum could be copied")
    table = copied_table(metrics, settings)
    holds = (
        (table["gradient"] < 1e-8)
        & (table["least curvature"] > -1e-8)
        & (table["least curvature of the copied unit"] > 0)
        & (table["least loss nearby, minus loss"] > -1e-12)
        & (table["largest loss after descent, minus loss"] < 1e-6)
        & (table["loss"] > 1e-3)
    )
    best = table[holds] if holds.any() else table
    first = best.loc[best["loss"].idxmax()]
    return Judgement(
        expected="no local minimum with positive loss",
        measured=f"{int(holds.sum())} of {len(table)} candidates are local minima, with loss up to {first['loss']:.3f} of "
        f"|y|^2 / 2 (gradient {first['gradient']:.1e}, least curvature {first['least curvature']:.1e})",
        spread=f"{int(first['nearby starts'])} starts of gradient descent near each return to its loss within "
        f"{first['largest loss after descent, minus loss']:.1e}, none falls below it",
        tolerance="gradient 1e-8, curvature -1e-8, loss nearby -1e-12, return 1e-6",
        verdict="differs" if holds.any() else "reproduced",
        note="a narrow network's minimum with its unit copied, no thresholds; random starts do not end there. The theorem needs "
        "a further condition: compare Sprinkhuizen-Kuyper and Boers 1999, Ding, Li and Sun 2019 (1911.01413)"
        if holds.any()
        else "",
    )


def judge_hessian_at_zero(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Linear networks at zero: depth 2 has the eigenvalue -s_max(Y X^T); depth 3 and more have Hessian 0, exactly.

    Tolerance: 1e-12 relative at depth 2 (rounding of eigvalsh); none beyond: every product has a factor 0.
    """
    part = metrics[(metrics["part"] == "curvature") & (metrics["activation"] == "linear")]
    two, deep = part[part["depth"] == 2], part[part["depth"] > 2]
    if two.empty or deep.empty:
        return Judgement("", "not measured", "", "", "undecided", "needs depth 2 and one beyond")
    error = float((two["hessian_least"] / -two["top_singular_value"] - 1).abs().max())
    entry = float(deep["hessian_largest_entry"].max())
    return Judgement(
        expected="depth 2: -s_max(Y X^T) < 0; depth >= 3: 0",
        measured=f"depth 2: {two['hessian_least'].mean():.3f}, relative error {error:.1e}; depth >= 3: {entry:g}",
        spread=f"worst of {two['seed'].nunique()} seeds",
        tolerance="1e-12 relative at depth 2, none beyond",
        verdict="reproduced" if error <= 1e-12 and entry == 0 and two["hessian_least"].max() < 0 else "differs",
        note="so strict-saddle results do not apply from depth 3 on",
    )


def judge_relu_has_no_hessian(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """A ReLU network of depth 2 is not twice differentiable at zero: second differences break the parallelogram law.

    The linear network's defect, which must vanish, is rounding (below 1e-12); ReLU's must be above 1e-2 of the largest
    second difference, ten orders beyond.
    """
    part = metrics[(metrics["part"] == "curvature") & (metrics["depth"] == 2)]
    relu = part[part["activation"] == "ReLU"]["parallelogram_defect"]
    linear = part[part["activation"] == "linear"]["parallelogram_defect"]
    if relu.empty:
        return Judgement("> 0", "not measured", "", "", "undecided", "depth 2 is not run")
    holds = relu.min() > 1e-2 and linear.max() < 1e-12
    return Judgement(
        expected="linear: 0; ReLU: not 0",
        measured=f"ReLU: {relu.min():.2f} to {relu.max():.2f} of the largest second difference; linear: {linear.max():.1e}",
        spread=f"range over {len(relu)} seeds",
        tolerance="ReLU above 1e-2, linear below 1e-12",
        verdict="reproduced" if holds else "differs",
    )


def _escapes(metrics: pd.DataFrame, depths: list[int]) -> pd.DataFrame:
    part = metrics[(metrics["part"] == "escape") & metrics["depth"].isin(depths)]
    return part.assign(inverse=1 / part["scale"])


def judge_escape_power(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Time to leave zero from scale epsilon grows like epsilon^-(L-2) at depth L >= 3.

    Near zero the flow is homogeneous of degree L - 1, so times scale exactly; the way out has a relative part of order
    epsilon. Tolerance: twice its change over the range, 2 (eps_max - eps_min) / ln(eps_max / eps_min).
    """
    from zeroloss.theory.statistics import estimate, loglog_slope

    depths = [depth for depth in settings.saddle.depths if depth > 2]
    table = _escapes(metrics, depths)
    if table.empty or table["time"].isna().any():
        return Judgement(
            "L - 2",
            "not measured",
            "",
            "",
            "undecided",
            f"{int(table['time'].isna().sum())} starts did not leave in time",
        )
    largest, least = max(settings.saddle.scales), min(settings.saddle.scales)
    tolerance = 2 * (largest - least) / np.log(largest / least)
    found = {
        depth: estimate([loglog_slope(g["inverse"], g["time"]) for _, g in group.groupby("seed")])
        for depth, group in table.groupby(table["depth"].astype(int))
    }
    worst = max(abs(one.mean - (depth - 2)) for depth, one in found.items())
    return Judgement(
        expected=", ".join(f"depth {depth}: {depth - 2}" for depth in found),
        measured=", ".join(f"depth {depth}: {one}" for depth, one in found.items()) + " (log-log slope in 1 / epsilon)",
        spread="; ".join(one.spread for one in found.values()),
        tolerance=f"± {tolerance:.2g}",
        verdict="reproduced" if worst <= tolerance else "differs",
    )


def judge_escape_logarithm(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """At depth 2 the time grows like ln(1 / epsilon) / s_1, s_1 = 1 the largest singular value of the target.

    Tolerance: the second direction grows at the rate s_2 / s_1 = q and leaves a relative part epsilon^(1-q); twice its
    change over the range, divided by ln(eps_max / eps_min).
    """
    from zeroloss.theory.statistics import estimate

    table = _escapes(metrics, [2])
    if table.empty or table["time"].isna().any():
        return Judgement("1", "not measured", "", "", "undecided", "depth 2 is not run, or did not leave in time")
    largest, least, power = max(settings.saddle.scales), min(settings.saddle.scales), 1 - settings.saddle.decay
    tolerance = 2 * (largest**power - least**power) / np.log(largest / least)
    found = estimate([np.polyfit(np.log(g["inverse"]), g["time"], 1)[0] for _, g in table.groupby("seed")])
    return Judgement(
        expected="1",
        measured=f"{found} (slope of the time over ln(1 / epsilon))",
        spread=found.spread,
        tolerance=f"± {tolerance:.2g}",
        verdict="reproduced" if abs(found.mean - 1) <= tolerance else "differs",
    )


def claims(settings: Settings) -> list[Claim]:
    theorem, saddle = ("001-TH7",), ("001-Q1",)
    return [
        Claim(
            "wide-reaches-zero",
            theorem,
            "With k ≥ n units, random starts all reach zero loss.",
            judge_wide_reaches_zero,
        ),
        Claim(
            "narrow-gets-stuck", theorem, "With fewer than n − 1 units, some starts get stuck.", judge_narrow_gets_stuck
        ),
        Claim(
            "every-minimum-global",
            theorem,
            "As quoted: with k = n sigmoid units every local minimum is global.",
            judge_every_minimum_global,
        ),
        Claim(
            "hessian-at-zero",
            saddle,
            "Zero is a strict saddle of a linear network of depth 2 and a non-strict one from depth 3 on.",
            judge_hessian_at_zero,
        ),
        Claim(
            "relu-no-hessian",
            saddle,
            "The loss of a ReLU network is not twice differentiable.",
            judge_relu_has_no_hessian,
        ),
        Claim(
            "escape-power",
            saddle,
            "From depth 3 on, leaving zero takes a time of order ε^−(L−2).",
            judge_escape_power,
        ),
        Claim("escape-logarithm", saddle, "At depth 2 it takes a time of order ln(1/ε).", judge_escape_logarithm),
    ]
