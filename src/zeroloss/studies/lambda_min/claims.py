"""What theory and the paper say of lambda_0, and what we measured. Tolerances stand with their reasons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.lambda_min import sphere_claims as sphere_judges
from zeroloss.studies.lambda_min import tables
from zeroloss.studies.lambda_min.experiment import Settings
from zeroloss.theory import lambda_min as theory


def _unit(dimension: int) -> float:
    """One unit of the last printed digit of Table 2 of Xie et al."""
    return 1e-6 if dimension == 4 else 1e-4


def judge_table2(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Each of the 8 published values is one more draw from what our draws come from, w in closed form.

    The closest pair decides, and its angle has a Weibull law of shape d - 1, so ln lambda_0 has a spread proportional
    to 1 / (d - 1); its factor is pooled over the D dimensions. The difference from our mean over S draws is then
    sqrt(1 + 1/S) spreads times a Student t variable with D (S - 1) degrees of freedom; the limit is its two-sided 99 %
    quantile for 8 values together (Bonferroni). Half a unit of the last printed digit is allowed beside it. The paper's
    sampling of w is not: the note says what it does on one draw. (A first version took each spread from its 5 draws
    alone and had a limit of 8.9 spreads; this one is stricter.)
    """
    from scipy import stats

    paper = published.load("xie2017_table2")
    orthant = metrics[(metrics["part"] == "orthant") & (metrics["method"] == "closed form")]
    dimensions = set(orthant["dimension"].astype(int))
    draws = orthant["draw"].nunique()
    if settings.orthant.samples != 3000 or not set(paper["d"]) <= dimensions or draws < 2:
        return Judgement(
            "one more draw", "not measured", "", "", "undecided",
            f"the published sizes (3000 points, d = 4 to 7) with two draws or more are not run at this scale: "
            f"{settings.orthant.samples} points, {draws} draws",
        )  # fmt: skip
    exact = orthant[orthant["dimension"].isin(paper["d"]) & (orthant["law"] == "uniform")]
    logs = np.log(exact["lambda_0"])
    scaled = (logs - logs.groupby(exact["dimension"]).transform("mean")) * (exact["dimension"] - 1)
    freedom = len(paper) * (draws - 1)
    factor = float(np.sqrt((scaled**2).sum() / freedom))
    limit = float(stats.t.ppf(1 - 0.01 / 8 / 2, freedom) * np.sqrt(1 + 1 / draws))
    found = []
    for _, row in paper.iterrows():
        unit = _unit(int(row["d"]))
        for law in ("uniform", "split"):
            logs = np.log(orthant[(orthant["dimension"] == row["d"]) & (orthant["law"] == law)]["lambda_0"])
            gap = abs(np.log(row[law]) - logs.mean())
            gap = max(0.0, gap - np.log1p(unit / 2 / row[law]))
            found.append(
                (gap / (factor / (row["d"] - 1)), f"d = {int(row['d'])} {law}", row[law] / np.exp(logs.mean()))
            )
    worst = max(found)
    sampled = metrics[(metrics["part"] == "orthant") & (metrics["method"] == "samples")]
    lowered = []
    for _, row in sampled.iterrows():
        same = orthant[
            (orthant["dimension"] == row["dimension"]) & (orthant["law"] == row["law"]) & (orthant["draw"] == 0)
        ]
        lowered.append(f"d = {int(row['dimension'])} {row['law']} {row['lambda_0'] / same['lambda_0'].iloc[0]:.3f}")
    ratios = ", ".join(f"{name} {ratio:.2f}" for _, name, ratio in found)
    return Judgement(
        expected="one more draw: about 1 spread",
        measured=f"{worst[0]:.2f} spreads at the worst of 8 values ({worst[1]})",
        spread=f"of ln lambda_0: {factor:.2f} / (d - 1), pooled, {freedom} degrees of freedom (closest pair, theory: 1.28)",
        tolerance=f"at most {limit:.2f} spreads (99 % for 8 values together), plus half a unit of the last digit",
        verdict="reproduced" if worst[0] <= limit else "differs",
        note=f"published over our mean: {ratios}. Sampled w over closed form on one draw: {', '.join(lowered) or 'not run'}",
    )


def judge_split_gain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The gain of F_E over the uniform sphere, d by d, against the ratio of the two published columns.

    On the same points the gain is at most 1 / (1 - 2^(1-d)) (theory), so a published ratio must be below that, up to
    half a unit of the last digit in both numbers. Reproduced where it is for every d and where our mean gain, with its
    t interval, lies in the range that the printed digits leave.
    """
    from zeroloss.theory.statistics import estimate

    paper = published.load("xie2017_table2").set_index("d")
    ours = tables.gains(metrics)
    rows, agree, widest = [], [], 0.0
    for d, group in ours.groupby("dimension"):
        if int(d) not in paper.index:
            continue
        gain = estimate(group["gain"])
        half = 0.0 if np.isnan(gain.half_width) else gain.half_width
        widest = max(widest, half)
        split, uniform = paper.loc[int(d), "split"], paper.loc[int(d), "uniform"]
        half_unit = _unit(int(d)) / 2
        low, high = (split - half_unit) / (uniform + half_unit), (split + half_unit) / (uniform - half_unit)
        agree.append(low <= gain.mean + half and gain.mean - half <= high)
        limit = theory.split_gain_limit(int(d))
        rows.append(f"d = {int(d)}: {gain.mean:.3f} (at most {limit:.3f}), published {low:.2f} to {high:.2f}")
    if not rows:
        return Judgement(
            "the published ratios", "not measured", "", "", "undecided", "no published dimension at this scale"
        )
    return Judgement(
        expected="the published ratios, and at most 1 / (1 - 2^(1-d))",
        measured=f"{sum(agree)} of {len(agree)} dimensions agree; {'; '.join(rows)}",
        spread=f"95 % t interval over {settings.orthant.draws} draws, at most ± {widest:.2g}",
        tolerance="half a unit of the last printed digit of both numbers",
        verdict="reproduced" if all(agree) else "differs",
        note=""
        if all(agree)
        else "a published ratio above the limit cannot come from one set of points and exact expectations: "
        "separate draws of the points for the two columns, or the sampling of w, would explain it",
    )


def _judge_law(metrics: pd.DataFrame, settings: Settings, law: str, sign: int) -> Judgement:
    """The sign of ln(lambda_0 / lambda_0 with w ~ N(0, I)) for every a > 0; decided where the t interval leaves out 0.

    Bonferroni over the values of a.
    """
    from zeroloss.theory.statistics import estimate

    ratios = tables.law_ratios(metrics)
    powers = [power for power in settings.anisotropic.powers if power > 0]
    found = {}
    for power in powers:
        here = ratios[(ratios["power"] == power) & (ratios["law"] == law)]
        found[power] = estimate(np.log(here["ratio"]), len(powers))
    if not found or settings.anisotropic.draws < 2:
        return Judgement("a ratio with an interval", "not measured", "", "", "undecided", "needs a > 0 and two draws")
    signed = {power: (sign * one.mean, one.half_width) for power, one in found.items()}
    verdict: Verdict = "undecided"
    if all(mean > half for mean, half in signed.values()):
        verdict = "reproduced"
    elif any(mean < -half for mean, half in signed.values()):
        verdict = "differs"
    return Judgement(
        expected="below 1 for every a > 0" if sign < 0 else "above 1 for every a > 0",
        measured="; ".join(f"a = {power:g}: {np.exp(one.mean):.3f}" for power, one in found.items())
        + " (lambda_0 over that of w ~ N(0, I))",
        spread="; ".join(f"ln: {one.spread}" for one in found.values()),
        tolerance="none: the sign decides, where the interval leaves out 1",
        verdict=verdict,
    )


def judge_covariance(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_law(metrics, settings, "covariance", -1)


def judge_inverse_covariance(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_law(metrics, settings, "inverse covariance", 1)


def judge_linear_in_separation(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The least lambda_0 over sets with lines delta apart is linear in delta: log-log slope 1 for every n, d.

    Tolerance: for two points lambda_0 = (delta / 2 pi)(1 + (pi / 2) delta + ...), which bends the slope by
    (pi / 2)(delta_last - delta_first) / ln(delta_last / delta_first); twice this is allowed, for a constant that grows
    with n, and at least 0.05 for what the search misses.
    """
    from zeroloss.theory.statistics import loglog_slope

    part = metrics[(metrics["part"] == "separated") & metrics["separation"].isin(settings.separated.separations)]
    deltas = sorted(settings.separated.separations)
    tolerance = max(0.05, np.pi * (deltas[-1] - deltas[0]) / np.log(deltas[-1] / deltas[0]))
    slopes = {
        key: loglog_slope(group["separation"], group["lambda_0"])
        for key, group in part.groupby(["samples", "dimension"])
    }
    (n, d), worst = max(slopes.items(), key=lambda pair: abs(pair[1] - 1))
    return Judgement(
        expected="1",
        measured=f"{worst:.3f} at the worst (n = {int(n)}, d = {int(d)}; log-log slope over delta)",
        spread=f"range over {len(slopes)} pairs (n, d): {min(slopes.values()):.3f} to {max(slopes.values()):.3f}",
        tolerance=f"± {tolerance:.2g}",
        verdict="reproduced" if abs(worst - 1) <= tolerance else "differs",
        note=f"delta = {', '.join(f'{delta:g}' for delta in deltas)}; the search gives upper bounds of the minimum",
    )


def judge_chain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """On the circle the least lambda_0 is that of a chain, delta / (2 pi (1 + cos(pi / n))), as delta -> 0.

    Tolerance: relative pi delta, twice the next term of the pair, and 1e-2 for the search. The formula was recognised
    from a trial search with other starts than the seeds used here, so this claim checks it, it did not predict it.
    """
    part = metrics[(metrics["part"] == "separated") & (metrics["dimension"] == 2)]
    if part.empty:
        return Judgement("the chain", "not measured", "", "", "undecided", "no sets on the circle at this scale")
    delta = part["separation"].min()
    here = part[part["separation"] == delta]
    ratio = here["lambda_0"] / [float(theory.chain_eigenvalue(delta, int(n))) for n in here["samples"]]
    tolerance = np.pi * delta + 1e-2
    worst = float((ratio - 1).abs().max())
    return Judgement(
        expected="1",
        measured=", ".join(f"n = {int(n)}: {value:.4f}" for n, value in zip(here["samples"], ratio, strict=True))
        + f" (least lambda_0 found over the chain's, delta = {delta:g})",
        spread=f"worst deviation {worst:.2g}",
        tolerance=f"± {tolerance:.2g}",
        verdict="reproduced" if worst <= tolerance else "differs",
    )


def judge_grid(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The gradient search finds what an exhaustive grid finds: three points on a circle.

    One-sided: the search must not end above the grid by more than 1e-3 of it. It may end below by the grid's spacing,
    a share 1 / grid_per_separation of the separation at most.
    """
    grid = metrics[metrics["part"] == "grid"]
    apart = metrics[metrics["part"] == "separated"]
    same = apart[
        (apart["samples"] == 3)
        & (apart["dimension"] == 2)
        & (apart["separation"] == settings.separated.grid_separation)
    ]
    if grid.empty or same.empty:
        return Judgement("<= 1.001", "not measured", "", "", "undecided", "three points on a circle are not searched")
    ratio = float(same["lambda_0"].iloc[0] / grid["lambda_0"].iloc[0])
    low = 1 - 1 / settings.separated.grid_per_separation
    return Judgement(
        expected="1",
        measured=f"{ratio:.5f} (gradient search over grid of {int(grid['starts'].iloc[0])} sets)",
        spread="one search with all its starts",
        tolerance=f"{low:.3g} to 1.001",
        verdict="reproduced" if low <= ratio <= 1.001 else "differs",
    )


def judge_antipodal(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """d + 1 antipodal pairs in general position make lambda_0 = 0; up to d pairs keep it above 1e-3.

    Tolerance 1e-14 for zero: eigvalsh on matrices of at most 8 rows with norm below 1.
    """
    part = metrics[metrics["part"] == "antipodal"]
    many = part["samples"] / 2 > part["dimension"]
    zero, rest = part[many]["lambda_0"].abs().max(), part[~many]["lambda_0"].min()
    return Judgement(
        expected="0",
        measured=f"{zero:.2g} (d + 1 pairs, {part[many]['separation'].min():.3g} apart); up to d pairs: {rest:.3g}",
        spread="exact sets",
        tolerance="1e-14 (rounding); above 1e-3 for up to d pairs",
        verdict="reproduced" if zero <= 1e-14 and rest > 1e-3 else "differs",
        note="so |x_i - x_j| >= delta alone gives no positive lower bound; the separation of lines does",
    )


def claims(settings: Settings) -> list[Claim]:
    sphere, matched, apart = ("003-Q5", "003-Q6"), ("003-Q7",), ("003-Q8",)
    falls = "At fixed d, E(λ₀) falls like n^(−2/(d−1)), the angle of the closest pair: "
    return [
        Claim("closest-pair-d2", sphere, f"{falls}d = 2.", sphere_judges.judge_circle),
        Claim("closest-pair-d3", sphere, f"{falls}d = 3.", sphere_judges.judge_dimension_3),
        Claim("closest-pair-d5", sphere, f"{falls}d = 5.", sphere_judges.judge_dimension_5),
        Claim(
            "high-dimension",
            sphere,
            "For d much larger than n, 1/2 − E(λ₀) falls like d^(−1/2).",
            sphere_judges.judge_high_dimension,
        ),
        Claim(
            "bulk-edge",
            sphere,
            "For n and d both large, E(λ₀) is the lower bulk edge that the kernel's harmonics give (steps 1/2, 1/4, "
            "1/4 − 1/(2π)).",
            sphere_judges.judge_bulk_edge,
        ),
        Claim(
            "pair-bound",
            (*sphere, "003-F1"),
            "λ₀ is at most the least eigenvalue of any pair.",
            sphere_judges.judge_pair_bound,
        ),
        Claim("xie-table2", matched, "Table 2 of Xie et al.: λ₀ of 3000 points on the positive orthant.", judge_table2),
        Claim("split-gain", matched, "What w uniform on F_E gains over w uniform on the sphere.", judge_split_gain),
        Claim(
            "covariance-lowers",
            matched,
            "Matching by covariance, w ~ N(0, Cov(x)), lowers λ₀ on anisotropic inputs (erratum g).",
            judge_covariance,
        ),
        Claim(
            "inverse-covariance-raises",
            matched,
            "The inverse covariance, w ~ N(0, Cov(x)⁻¹), raises it.",
            judge_inverse_covariance,
        ),
        Claim(
            "linear-in-separation",
            apart,
            "The least λ₀ of inputs whose lines are δ apart is linear in δ (our finding).",
            judge_linear_in_separation,
        ),
        Claim(
            "chain", apart, "On the circle the least λ₀ is that of a chain of neighbours (our finding).", judge_chain
        ),
        Claim("grid", apart, "The gradient search is as good as an exhaustive grid.", judge_grid),
        Claim(
            "antipodal-zero",
            apart,
            "Inputs can be far apart and λ₀ zero: more than d antipodal pairs.",
            judge_antipodal,
        ),
    ]
