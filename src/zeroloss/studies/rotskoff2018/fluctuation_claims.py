"""The 1/n test: particles of independent starts spread about the limit like central limit and large numbers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.rotskoff2018.divergence import withhold
from zeroloss.studies.rotskoff2018.experiment import Settings
from zeroloss.studies.rotskoff2018.slopes import judge_slope
from zeroloss.theory import rotskoff2018 as theory
from zeroloss.theory.statistics import estimate

ITEMS = ("004-L2",)


def flows(metrics: pd.DataFrame) -> pd.DataFrame:
    """All realisations of the flow at all times."""
    return metrics[metrics["part"] == "spread"]


def spread_at(metrics: pd.DataFrame, step: int) -> pd.DataFrame:
    part = flows(metrics)
    return part[part["step"] == step]


def steps(metrics: pd.DataFrame) -> list[int]:
    return sorted(int(step) for step in flows(metrics)["step"].unique())


def judge_start_variance(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """At the start n Var f_n = E c^2 E sigma^2 exactly, for every n.

    mu is a sample of points, but |x| is the same for all, so the mean over mu is exact too. Judged by 95 % t intervals over
    realisations for all n together (Bonferroni).
    """
    table = spread_at(metrics, 0)
    exact = theory.sigmoid_start_variance(settings.fluctuations.dimension, 1.0)
    groups = list(table.groupby("width"))
    found = {width: estimate(group["variance"] * width, len(groups)) for width, group in groups}
    if min(one.seeds for one in found.values()) < 5:
        return Judgement(f"{exact:.4f}", "not measurable", "", "", "undecided", "needs five realisations")
    inside = all(abs(one.mean - exact) <= one.half_width for one in found.values())
    return Judgement(
        expected=f"n Var f_n = {exact:.4f}",
        measured=", ".join(f"n = {width:.0f}: {one}" for width, one in found.items()),
        spread=f"95 % t intervals over {groups[0][1]['seed'].nunique()} realisations, for {len(groups)} n together",
        tolerance="the intervals",
        verdict="reproduced" if inside else "differs",
    )


def judge_variance(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Central limit theorem: at every time Var f_n is proportional to 1/n. The worst time decides.

    Tolerance 0.15: a relative correction of k/n moves the slope by k (1/n_first - 1/n_last) / ln(n_last / n_first), for
    n = 16 to 256 by 0.02 k; as the charges grow k may be some units. 0.15 is far below the distance to the next candidates,
    -1/2 and -3/2.
    """
    found = {
        step: judge_slope(spread_at(metrics, step), "variance", -1.0, 0.15, "corrections of relative order 1/n")
        for step in steps(metrics)
    }
    return withhold(_worst(found, settings), flows(metrics))


def judge_law(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Law of large numbers: the law of the charges is at a distance n^(-1/2) from the limit (Wasserstein 1), at all times.

    For n independent values with finite moments the distance is of that order exactly. The limit is a sample itself, of N
    values, which makes distances about sqrt(1 + n / N) too large: 3 % at n = N / 16, 0.01 of the slope. Tolerance 0.1.
    """
    found = {
        step: judge_slope(spread_at(metrics, step), "law_distance", -0.5, 0.1, "finite N and small n")
        for step in steps(metrics)
    }
    return withhold(_worst(found, settings), flows(metrics))


def _worst(found: dict[int, Judgement], settings: Settings) -> Judgement:
    """The judgement of the time that is worst off, with all slopes in its note."""
    order = {"reproduced": 0, "undecided": 1, "differs": 2}
    worst = max(found, key=lambda step: order[found[step].verdict])
    dt = settings.fluctuations.step
    listed = ", ".join(f"t = {step * dt:g}: {one.measured.split(' (')[0]}" for step, one in found.items())
    return replace(found[worst], note=f"t = {worst * dt:g} shown; all: {listed}")


def judge_limit(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """E (f_n - f_N)^2 at the last time falls like 1/n, N standing for infinity.

    Independent networks differ by V (1/n + 1/N) plus squared bias O(1/n^2): the 1/N bends the slope by up to
    ln(1 + n_last / N) / ln(n_last / n_first), 0.02 for N = 16 n_last. Tolerance 0.15 as for the variance.
    """
    found = judge_slope(
        spread_at(metrics, steps(metrics)[-1]), "from_limit", -1.0, 0.15, "corrections of relative order 1/n"
    )
    return withhold(found, flows(metrics))


def judge_sgd_law(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """SGD of small steps follows the same limit: its charges are no farther from it than those of the flow, but for sqrt 2.

    If the noise of SGD moves particles by less than their own sampling error, squared distances at most double. Reproduced
    where the interval of the mean distance (95 % t) lies below sqrt 2 times the flow's mean, differs where above.
    """
    sgd = estimate(metrics[metrics["part"] == "sgd"]["law_distance"])
    flow = spread_at(metrics, steps(metrics)[-1])
    flow = flow[flow["width"] == settings.fluctuations.sgd_width]
    allowed = 2**0.5 * flow["law_distance"].mean()
    verdict: Verdict = "undecided"
    if sgd.seeds >= 5:
        above, below = sgd.mean - sgd.half_width > allowed, sgd.mean + sgd.half_width <= allowed
        verdict = "reproduced" if below else "differs" if above else "undecided"
    found = Judgement(
        expected=f"<= {allowed:.3g}",
        measured=f"{sgd.mean:.3g} (distance of SGD's charges; the flow's {flow['law_distance'].mean():.3g})",
        spread=sgd.spread,
        tolerance="the interval at or below sqrt 2 times the flow's distance",
        verdict=verdict,
        note=f"n = {settings.fluctuations.sgd_width}, step {settings.fluctuations.sgd_step:g}, batch "
        f"{settings.fluctuations.sgd_batch}",
    )
    if not np.isfinite(sgd.mean):
        # of SGD only the charges at its end are kept
        return replace(found, measured="not finite", spread="", verdict="undecided", note="training of SGD diverged")
    return withhold(found, flows(metrics))


def claims(settings: Settings) -> list[Claim]:
    return [
        Claim(
            "start-variance",
            ITEMS,
            "At the start n Var f_n is the exact constant E c^2 E sigma^2",
            judge_start_variance,
        ),
        Claim(
            "variance-slope", ITEMS, "The variance of f_n over independent starts is 1/n at every time", judge_variance
        ),
        Claim("limit-slope", ITEMS, "Networks of n units are at mean square distance 1/n from the limit", judge_limit),
        Claim("law-of-charges", ITEMS, "The law of the charges is at distance n^(-1/2) from the limit", judge_law),
        Claim("sgd-law", ITEMS, "SGD with small steps ends with the law of the flow", judge_sgd_law),
    ]
