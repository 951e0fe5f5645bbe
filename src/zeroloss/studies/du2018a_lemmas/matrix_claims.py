"""What Lemmas 3.1 and 3.2 say of the Gram matrix. Tolerances and their reasons were written before the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from zeroloss.studies.contract import Judgement, Verdict
from zeroloss.studies.du2018a_lemmas.experiment import Settings
from zeroloss.studies.du2018a_lemmas.tables import part, surviving_radius, three_quarters
from zeroloss.theory import du2018a_lemmas as theory
from zeroloss.theory.binomial import Fraction, fraction

if TYPE_CHECKING:
    from zeroloss.theory.statistics import Estimate

# the law n / m of matrices with fewer units than inputs still bends curves at a few times n: fits start here
FIT_FROM = 4


def _by_delta(worst: Fraction, delta: float) -> Verdict:
    return "reproduced" if worst.high <= delta else "differs" if worst.low > delta else "undecided"


def judge_entries(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Hoeffding's step of Lemma 3.1 holds at every width: an entry is too far in a fraction of at most delta of draws.

    No tolerance but counting error: reproduced where the 95 % Clopper-Pearson intervals of all widths together
    (Bonferroni) end below delta, differs where one begins above it.
    """
    delta, table = settings.failure_probability, part(metrics, "initial")
    bound = theory.entry_deviation(table["width"].to_numpy(), settings.initial.samples, delta)
    missed = (table["entry_gap"] > bound).groupby(table["width"])
    each = {width: fraction(int(hits.sum()), len(hits), missed.ngroups) for width, hits in missed}
    width, worst = max(each.items(), key=lambda pair: pair[1].value)
    closest = (table["entry_gap"] / bound).max()
    return Judgement(
        expected=f"at most delta = {delta:g} of the draws, at every width",
        measured=f"{worst} draws (most, at m = {width}); largest entry at most {closest:.2f} of the bound",
        spread=f"{worst.spread} (for {len(each)} widths together)",
        tolerance="none but counting error",
        verdict=_by_delta(worst, delta),
    )


def judge_three_quarters(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """lambda_min(H(0)) >= 3/4 lambda_0 with probability at least 1 - delta at the widest width that was run.

    That width is below the lemma's, so a failure would be no counterexample: it differs only if the lemma's width was
    run; no tolerance but counting error (95 % Clopper-Pearson).
    """
    delta, good = settings.failure_probability, three_quarters(metrics)
    widest = int(good.index.max())
    found: Fraction = good[widest]
    asked = theory.initial_width(settings.initial.samples, part(metrics, "initial")["lambda_0"].iloc[0], delta)
    verdict: Verdict = "reproduced" if found.low >= 1 - delta else "undecided"
    if found.high < 1 - delta and widest >= asked:
        verdict = "differs"
    shown = ", ".join(f"{width}: {one.value:.3g}" for width, one in good.items())
    return Judgement(
        expected=f">= {1 - delta:g}",
        measured=f"{found.value:.3f} of draws at m = {widest} ({found})",
        spread=found.spread,
        tolerance="none but counting error",
        verdict=verdict,
        note=f"by width: {shown}; the width that the proof asks for is {asked:.2g}",
    )


def judge_gram_rate(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """|H(0) - H-infinity|_2 falls like m^(-1/2): log-log slope per draw, its mean within 0.1 of -1/2.

    Fitted from m = 4 n on. A sample second moment in n dimensions deviates by 2 sqrt(g) + g, g = n/m: the second term
    is 25 % of the first at m = 4 n and fades, which tilts the slope by about 0.05 to 0.08; 0.1 leaves room for that.
    """
    table = part(metrics, "initial")
    wide = table[table["width"] >= FIT_FROM * settings.initial.samples]
    return slope_of(wide, "gap", "|H(0) - H_inf|_2")


def within(found: Estimate, expected: float, tolerance: float, resolution: float = 0.0) -> Verdict:
    """Reproduced if the mean is within the tolerance, differs if its whole interval is not, undecided between.

    The interval is that over seeds, widened by what the measurement cannot resolve.
    """
    off = abs(found.mean - expected)
    if off <= tolerance:
        return "reproduced"
    return "differs" if found.seeds > 1 and off - found.half_width - resolution > tolerance else "undecided"


def slope_of(table: pd.DataFrame, value: str, name: str) -> Judgement:
    from zeroloss.theory.statistics import slope_over_width

    if table["width"].nunique() < 2 or not (table[value] > 0).all():
        return Judgement(
            "-0.5", "not measurable", "", "± 0.1", "undecided", f"needs two widths from {FIT_FROM} n on and a change"
        )
    found = slope_over_width(table, value)
    widths = f"m = {table['width'].min()} to {table['width'].max()}"
    return Judgement(
        expected="-0.5",
        measured=f"{found} (log-log slope of {name} over {widths})",
        spread=found.spread,
        tolerance="± 0.1",
        verdict=within(found, -0.5, 0.1),
    )


def judge_flip_probability(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """P(|w_r . x_i| < R) <= 2 R / sqrt(2 pi), and no move of length R flips more.

    The measured fraction is a mean over seeds of a count, and for small R bound and probability agree to R^2 / 6, so it
    exceeds the bound by chance half of the time: it differs only where a 95 % t interval over seeds, for all radii
    together (Bonferroni), lies above the bound. Radii whose expected count is below 10 pairs are left out: a t interval
    says nothing there. That a move flips no more than the pairs in reach has no tolerance.
    """
    from zeroloss.theory.statistics import estimate

    table = part(metrics, "perturbed")
    table = table[table["width"] == table["width"].max()]
    pairs = int(table["width"].iloc[0]) * settings.perturbed.samples
    counted = table[(theory.flip_probability(table["radius"]) * pairs >= 10) & (table["direction"] == "random")]
    beyond = int((table["flipped"] > table["reachable"]).sum())
    if counted["seed"].nunique() < 2:
        return Judgement("<= 1", "not measurable", "one seed", "", "undecided", "needs seeds and radii that flip")
    groups = counted.groupby("radius")["reachable"]
    each = {
        radius: estimate(values / theory.flip_probability_bound(radius), groups.ngroups) for radius, values in groups
    }
    radius, worst = max(each.items(), key=lambda pair: pair[1].mean - pair[1].half_width)
    above = worst.mean - worst.half_width > 1
    greedy = table[(table["direction"] == "most flips") & (table["reachable"] > 0)]
    share = (greedy["flipped"] / greedy["reachable"]).groupby(greedy["radius"]).mean()
    return Judgement(
        expected="<= 1 (measured over bound)",
        measured=f"{worst} at R = {radius:.3g} (closest); {beyond} moves flipped more than was in reach",
        spread=worst.spread,
        tolerance="none but the interval",
        verdict="differs" if above or beyond else "reproduced",
        note=(
            f"the greedy adversary flips {share.iloc[0]:.2f} of the pairs in reach at R = {share.index[0]:.2g} and "
            f"{share.min():.2f} where it does worst"
        ),
    )


def judge_gram_change(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """|H - H(0)|_2 <= 4 n^2 R / (sqrt(2 pi) delta) for all moves of length R, in all but a fraction delta of draws.

    A draw (seed and width) counts as missed if any direction at any radius is above the bound. No tolerance but
    counting error; a handful of seeds cannot bound a fraction by delta, so no miss at all is called reproduced.
    """
    delta, table = settings.failure_probability, part(metrics, "perturbed")
    share = table["gram_change"] / theory.gram_change_bound(table["radius"], settings.perturbed.samples, delta)
    missed = (share > 1).groupby([table["seed"], table["width"]]).any()
    found = fraction(int(missed.sum()), len(missed))
    verdict: Verdict = "reproduced" if not found.hits else "differs" if found.low > delta else "undecided"
    return Judgement(
        expected=f"missed in at most {delta:g} of draws",
        measured=f"missed in {found} draws; the norm reaches {share.max():.2g} of the bound",
        spread=found.spread,
        tolerance="none but counting error",
        verdict=verdict,
        note="the bound adds up all n^2 entries as if they had one sign, and Markov divides by delta",
    )


def judge_safe_radius(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """lambda_min(H) > lambda_0 / 2 when every unit moves by the lemma's own R; no tolerance.

    The lemma starts from Lemma 3.1, so only draws with lambda_min(H(0)) >= 3/4 lambda_0 are judged.
    """
    table = part(metrics, "perturbed")
    table = table[table["safe"].astype(bool) & (table["lambda_min_start"] >= 0.75 * table["lambda_0"])]
    if table.empty:
        return Judgement("> 0.5", "not measurable", "", "", "undecided", "no draw fulfils Lemma 3.1")
    ratio = table["lambda_min"] / table["lambda_0"]
    return Judgement(
        expected="> 0.5",
        measured=f"{ratio.min():.3f} (least lambda_min(H) / lambda_0 at R = {table['radius'].mean():.2g})",
        spread=f"range over {table['seed'].nunique()} seeds, widths and directions: {ratio.min():.3f} to {ratio.max():.3f}",
        tolerance="none",
        verdict="reproduced" if (ratio > 0.5).all() else "differs",
        note=f"at the widest width it holds up to R = {surviving_radius(metrics):.3g} of the radii tried, in all directions",
    )
