"""What the document says or asks, and what we measured. Every tolerance and the reason for it was written first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Judgement, Verdict
from zeroloss.studies.mccloskey2022.settings import Settings
from zeroloss.theory import mccloskey2022 as theory


def part(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of one experiment."""
    return metrics[metrics["part"] == name]


def judge_orthogonal(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """lambda_0 = 1/2 for orthonormal inputs, whatever the rotation.

    Exact, so the tolerance is rounding: entries of H-infinity carry a few 1e-16 each from a QR factorisation, and n of
    them move an eigenvalue by less than n 1e-15.
    """
    table = part(metrics, "orthogonal")
    worst, limit = float((table["lambda_0"] - 0.5).abs().max()), 1e-15 * float(table["samples"].max())
    return Judgement(
        expected="1/2 exactly",
        measured=f"|lambda_0 - 1/2| <= {worst:.1e}",
        spread=f"the worst of {len(table)} random rotations",
        tolerance=f"{limit:.0e}, for rounding in float64",
        verdict="reproduced" if worst <= limit else "differs",
    )


def judge_gershgorin(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """lambda_0 >= delta wherever row sums are at most 1/2 - delta; no tolerance but rounding (1e-13).

    Undecided where no set satisfies the hypothesis with delta > 0: the statement is then empty.
    """
    table = part(metrics, "gershgorin")
    slack = table["lambda_0"] - table["gershgorin"]
    holds = table[table["gershgorin"] > 0]
    tight = (holds["gershgorin"] / holds["lambda_0"]).groupby(holds["dimension"]).median()
    useful = ", ".join(f"d = {d}: {value:.2f}" for d, value in tight.items())
    verdict: Verdict = "differs" if slack.min() < -1e-13 else "reproduced" if len(holds) else "undecided"
    return Judgement(
        expected="lambda_0 - delta >= 0",
        measured=f"{slack.min():.3g} (least lambda_0 - delta over {len(table)} random sets)",
        spread=f"largest {slack.max():.3g}",
        tolerance="1e-13, for rounding in float64",
        verdict=verdict,
        note=f"delta > 0 for {len(holds)} of {len(table)} sets; median delta / lambda_0 among those, by dimension: {useful}",
    )


def _judge_linear(metrics: pd.DataFrame, name: str) -> Judgement:
    """lambda_0 ~ eps / (2 pi): slope 1 of ln lambda_0 against ln eps over eps <= 1e-3, and lambda_0 / eps at the least.

    Corrections are of relative order eps times the inverse of the other eigenvalues (below 100 in these sets), so at
    eps = 1e-6 the limit is met to 1e-4 and over 1e-3 and below the slope to 0.02: limits 1 % and 0.02.
    """
    table = part(metrics, name)
    small = table[table["distance"] <= 1e-3]
    if small["distance"].nunique() < 2:
        return Judgement("1 / (2 pi)", "not measured", "", "", "undecided", "needs two distances of at most 1e-3")
    if (small["lambda_0"] <= 0).any():
        return Judgement(
            "1 / (2 pi) = 0.1592", "lambda_0 <= 0 within rounding", "", "none", "undecided",
            "an eigenvalue was lost to rounding",
        )  # fmt: skip
    slopes = [
        float(np.polyfit(np.log(one["distance"]), np.log(one["lambda_0"]), 1)[0]) for _, one in small.groupby("seed")
    ]
    least = small[small["distance"] == small["distance"].min()]
    ratio = least["lambda_0"] / least["distance"] / theory.CLOSE_PAIR_SLOPE
    worst_slope = max(abs(slope - 1) for slope in slopes)
    worst_ratio = float((ratio - 1).abs().max())
    return Judgement(
        expected="slope 1, lambda_0 / eps -> 1 / (2 pi) = 0.1592",
        measured=f"slope {np.mean(slopes):.4f}, lambda_0 / eps = {ratio.mean() * theory.CLOSE_PAIR_SLOPE:.4f}",
        spread=f"worst of {len(slopes)} seeds: slope off by {worst_slope:.2g}, limit by {100 * worst_ratio:.2g} %",
        tolerance="0.02 on the slope, 1 % on the limit",
        verdict="reproduced" if worst_slope <= 0.02 and worst_ratio <= 0.01 else "differs",
    )


def judge_pair(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_linear(metrics, "pair_in_set")


def judge_antipodal_pairs(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """As for the close pair: the null vector of H-infinity gains eps / (2 pi) from each moved partner, and the smooth
    part of the kernel contributes in second order only (the null combination of features vanishes everywhere)."""
    return _judge_linear(metrics, "antipodal_pairs")


def judge_antipode(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """A single antipodal pair does not drive lambda_0 to 0: at the least eps it keeps at least half of its value at
    the largest eps. Half is a wide margin: a close pair loses a factor of eps, six orders of magnitude."""
    table = part(metrics, "antipode_in_set")
    wide = table[table["distance"] == table["distance"].max()].set_index("seed")["lambda_0"]
    near = table[table["distance"] == table["distance"].min()].set_index("seed")["lambda_0"]
    kept = near / wide
    alone = part(metrics, "antipode")
    alone = alone[alone["distance"] == alone["distance"].min()]["lambda_0"]
    return Judgement(
        expected="does not vanish",
        measured=f"{kept.min():.3f} (least of lambda_0 at the least eps over that at the largest)",
        spread=f"range over {len(kept)} seeds: {kept.min():.3f} to {kept.max():.3f}",
        tolerance="at least 0.5",
        verdict="reproduced" if kept.min() >= 0.5 else "differs",
        note=f"the pair alone: lambda_0 = {alone.mean():.6f} at the least eps (1/2 in the limit)",
    )


# Found after the runs, so it is a note and not a claim; figure mccloskey2022_approach, panel c, shows it.
EXPLANATION = (
    "Best explanation of runs slower than the bound: only m eps / pi units tell the two inputs apart, and to make the "
    "outputs differ they move so far that their kinks leave the gap, so lambda_min(H(k)) falls below lambda_0 / 2; this "
    "ends at a width of about 4 pi^2 / eps^4, the power 4 of 1 / lambda_0 in the theorem's own width."
)


def widest(metrics: pd.DataFrame) -> pd.DataFrame:
    """Runs of Q1 at the largest width."""
    table = part(metrics, "approach")
    return table[table["width"] == table["width"].max()]


def judge_approach_bound(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Every run trains within the number of steps after which Theorem 4.1's bound is below the threshold.

    No tolerance: it is a bound. A run that did not train at all breaks it unless the bound itself lies beyond the
    largest number of steps that was allowed; then it decides nothing. The theorem speaks of wide enough networks and
    its width is out of reach, so the verdict is that of the widest one.
    """
    table = widest(metrics)
    failed = table["steps_to_threshold"].isna()
    open_ = failed & ~table["diverged"].astype(bool) & (table["steps_bound"] > settings.approach.most_steps)
    ratio = (table["steps_to_threshold"] / table["steps_bound"]).where(~failed, np.inf)[~open_]
    every = part(metrics, "approach")
    inside = (every["steps_to_threshold"] <= every["steps_bound"]).groupby(every["width"]).agg(["sum", "size"])
    shown = ", ".join(f"{width}: {row['sum']} of {row['size']}" for width, row in inside.iterrows())
    by_distance = table.groupby("distance")["steps_to_threshold"].median()
    verdict: Verdict = "differs" if (ratio > 1).any() else "undecided" if open_.any() else "reproduced"
    return Judgement(
        expected="steps / bound <= 1",
        measured=f"{ratio.max():.3f} (largest)",
        spread=f"the worst of {len(table)} runs; least {ratio.min():.3f}",
        tolerance="none",
        verdict=verdict,
        note="median steps by distance: "
        + ", ".join(f"{eps:g}: {steps:.0f}" for eps, steps in by_distance.items())
        + f"; runs within the bound by width: {shown}. {EXPLANATION}",
    )


def judge_approach_slope(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Steps grow like 1 / lambda_0 once the pair's mode rules: log-log slope -1 between the two least distances.

    Tolerance 0.25, from the linear theory: the pair's share of the initial error is about 2 / (1.5 n), so at distance
    eps the count is ln(share / threshold) / (2 eta lambda_0), exactly -1 where only this mode is left; a finite width
    has m eps / pi separating units; this was written for 13 of them and kept for the some 180 of the default scale: a
    Poisson spread of 28 % in one lambda_min(H(0)) is 12 % in a mean over 5 seeds: over a factor 2 in eps that is
    0.12 / ln 2 = 0.18, plus 0.07 for the mode's not being alone. Undecided where the
    interval over seeds reaches into the tolerance.
    """
    from zeroloss.theory.statistics import estimate, loglog_slope

    table = widest(metrics)
    if table["steps_to_threshold"].isna().any():
        return Judgement("-1", "not measured", "", "", "undecided", "some runs did not reach the threshold")
    two = sorted(table["distance"].unique())[:2]
    near = table[table["distance"].isin(two)]
    slopes = [loglog_slope(one["lambda_0"], one["steps_to_threshold"]) for _, one in near.groupby("seed")]
    found = estimate(slopes)
    linear = [loglog_slope(one["lambda_0"], one["steps_linear"]) for _, one in near.groupby("seed")]
    close = abs(found.mean + 1) <= 0.25
    far = abs(found.mean + 1) - (0.0 if np.isnan(found.half_width) else found.half_width) > 0.25
    return Judgement(
        expected="-1",
        measured=f"{found} (log-log slope of steps against lambda_0, eps = {two[0]:g} and {two[1]:g})",
        spread=found.spread,
        tolerance="± 0.25",
        verdict="reproduced" if close else "differs" if far else "undecided",
        note=f"with the constant matrix H-infinity instead of training: {np.mean(linear):.3f}. {EXPLANATION} At the least "
        f"distance that width is {theory.lazy_pair_width(two[0]):.1e}, and the largest here {int(table['width'].max())}.",
    )


def judge_only_the_pair(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Only the pair's difference mode slows down: the rest of the error needs as many steps at the least distance as at
    the largest, within a factor 1.5, and at the least distance at least 90 % of what is left is in that mode.

    1.5: the rest has a fixed spectrum up to the one entry that moves, which changes lambda_max by at most a factor
    1.25 (a pair adds one half of cos(eps) to a largest eigenvalue that is above 1), and counts are whole numbers.
    """
    table = widest(metrics)
    order = sorted(table["distance"].unique())
    near = table[table["distance"] == order[0]].set_index("seed")
    far = table[table["distance"] == order[-1]].set_index("seed")
    slower, share = near["steps_rest"] / far["steps_rest"], near["share_of_pair"]
    if slower.isna().any():
        return Judgement("1", "not measured", "", "", "undecided", "the rest of the error did not reach the threshold")
    total = near["steps_to_threshold"] / far["steps_to_threshold"]
    good = slower.max() <= 1.5 and share.min() >= 0.9
    return Judgement(
        expected="rest: ratio 1; share of the pair's mode 1",
        measured=f"rest: {slower.mean():.2f} times the steps; share {share.mean():.3f}",
        spread=f"worst of {len(slower)} seeds: {slower.max():.2f} and {share.min():.3f}",
        tolerance="at most 1.5 and at least 0.9",
        verdict="reproduced" if good else "differs",
        note=f"all of the error: {total.mean():.1f} times the steps at eps = {order[0]:g} against eps = {order[-1]:g}",
    )


def _judge_exponent(metrics: pd.DataFrame, settings: Settings, series: str) -> Judgement:
    """The width that trains grows more slowly than n^6: the bootstrap interval of the exponent lies below 6.

    No tolerance: the sign of the difference decides, where the interval leaves 6 out. Seeds for which no width up to
    the largest was enough count as the largest width in medians, which is right while they are fewer than half.
    """
    from zeroloss.studies.mccloskey2022.tables import exponent, width_groups

    groups = width_groups(metrics, settings, series)
    if len(groups) < 2:
        return Judgement("below 6", "not measured", "", "", "undecided", "needs two sizes with a known median")
    found = exponent(metrics, settings, series)
    medians = ", ".join(f"{n:g}: {np.median(values):.0f}" for n, values in groups.items())
    return Judgement(
        expected="below 6 (the theorem's exponent)",
        measured=f"{found.value:.2f}",
        spread=f"95 % percentile bootstrap over seeds: [{found.low:.2f}, {found.high:.2f}]",
        tolerance="none: 6 must lie above the interval",
        verdict="reproduced" if found.high < 6 else "differs" if found.low > 6 else "undecided",
        note=f"median smallest width by n: {medians}",
    )


def judge_exponent_square(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_exponent(metrics, settings, "square")


def judge_exponent_fixed(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_exponent(metrics, settings, "fixed")


def judge_law_rate(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """a_r uniform on [-1, 1]: three times the steps at the same step size, as many at three times the step size.

    Tolerance 10 %, at the largest width: H_a(0) deviates from its limit by a factor sqrt(E a^4) / E a^2 = sqrt(9/5)
    more than with signs, which for n / m = 1/40 moves eigenvalues by some sqrt(n / m) / 4 = 4 %; one whole step in
    some 60 is 2 %, and the smaller initial outputs (E u^2 = 1/6 against 1/2 beside E y^2 = 1) change the mix of modes
    by some 3 %.
    """
    from zeroloss.theory.statistics import estimate

    table = part(metrics, "output_law")
    table = table[table["width"] == table["width"].max()]
    steps = table.set_index(["seed", "law", "step_factor"])["steps_to_threshold"].unstack(["law", "step_factor"])
    if steps.isna().any().any():
        return Judgement("3 and 1", "not measured", "", "", "undecided", "some runs did not reach the threshold")
    same = estimate(steps[("uniform", 1.0)] / steps[("signs", 1.0)])
    rescaled = estimate(steps[("uniform", 3.0)] / steps[("signs", 1.0)])
    good = abs(same.mean / 3 - 1) <= 0.1 and abs(rescaled.mean - 1) <= 0.1
    return Judgement(
        expected="3 at the same step size, 1 at three times it",
        measured=f"{same} and {rescaled} (ratio of steps to the threshold, m = {int(table['width'].max())})",
        spread=f"{same.spread}; {rescaled.spread}",
        tolerance="10 % each",
        verdict="reproduced" if good else "differs",
    )


def judge_law_limit(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """3 H_a(0) tends to H-infinity like m^(-1/2) (Hoeffding's inequality needs a_r^2 bounded, not equal to 1).

    Slope of the spectral deviation against m, tolerance 0.1: where n / m is not small the deviation has a part of order
    n / m beside sqrt(n / m) (Marchenko-Pastur), which at the default widths steepens the slope by less than 0.1.
    """
    from zeroloss.theory.statistics import slope_over_width

    table = part(metrics, "output_law")
    table = table[table["step_factor"] == 1.0]
    if table["width"].nunique() < 2:
        return Judgement("-0.5", "one width", "", "", "undecided", "needs two widths")
    uniform = slope_over_width(table[table["law"] == "uniform"], "gram_deviation")
    signs = slope_over_width(table[table["law"] == "signs"], "gram_deviation")
    wide = table[table["width"] == table["width"].max()].groupby("law")["gram_deviation"].mean()
    return Judgement(
        expected="-0.5",
        measured=f"{uniform} (log-log slope of |3 H(0) - H-infinity| over width)",
        spread=uniform.spread,
        tolerance="± 0.1",
        verdict="reproduced" if abs(uniform.mean + 0.5) <= 0.1 else "differs",
        note=f"with signs: {signs}; uniform over signs at the largest width: {wide['uniform'] / wide['signs']:.2f}",
    )
