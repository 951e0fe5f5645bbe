"""Rates: growth with depth, Theorem 4.3, images. Tolerances were written before the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.randomness import numpy_generator
from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.wu_wang_ma2019.experiment import best_of
from zeroloss.studies.wu_wang_ma2019.settings import Settings
from zeroloss.theory import zero_asymmetric as theory

ITEMS = ("004-TH5",)


def judge_zas_polynomial(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Iterations of ZAS at the best step size of the grid grow at most like L^3: log-log slope, Gaussian targets.

    One slope per dimension and seed of the target over all depths; the 95 % t interval of their mean must lie at or
    below 3 ("O(L^3)" is an upper bound, so a smaller slope agrees). Above 3 as a whole refutes; 3 inside leaves it
    undecided, and so does a run that reached its target at no step size.
    """
    from zeroloss.theory.statistics import estimate, loglog_slope

    table = metrics[(metrics["part"] == "depth") & (metrics["kind"] == "best") & (metrics["start"] == "zas")]
    best = best_of(table[table["target"] == "gaussian"], ("dimension", "depth", "seed"))
    if best["iterations"].isna().any() or best["depth"].nunique() < 3:
        missing = int(best["iterations"].isna().sum())
        return Judgement(
            "at most 3", f"{missing} runs reached their target at no step size of the grid", "", "", "undecided"
        )
    slopes = [
        loglog_slope(group["depth"], group["iterations"].clip(lower=1))
        for _, group in best.groupby(["dimension", "seed"])
    ]
    found = estimate(slopes)
    half = 0.0 if np.isnan(found.half_width) else found.half_width
    verdict: Verdict = "reproduced" if found.mean + half <= 3 else "differs" if found.mean - half > 3 else "undecided"
    medians = best.groupby("depth")["iterations"].median()
    return Judgement(
        expected="at most 3",
        measured=f"{found} (log-log slope over depth)",
        spread=f"95 % t interval over {len(slopes)} targets: ± {found.half_width:.2g}",
        tolerance="the interval lies at or below 3",
        verdict=verdict,
        note="median iterations: " + ", ".join(f"L = {depth:g}: {value:g}" for depth, value in medians.items()),
    )


def growth_of(metrics: pd.DataFrame, settings: Settings, dimension: int, start: str = "xavier") -> theory.Growth | None:
    """Fit of iterations over depth in the growth experiment."""
    table = metrics[(metrics["part"] == "growth") & (metrics["start"] == start) & (metrics["dimension"] == dimension)]
    # a diverged run is no slow run
    table = table[table["diverged_at"] < 0]
    times = {int(depth): group["iterations"].to_numpy() for depth, group in table.groupby("depth")}
    generator = numpy_generator(0, "growth bootstrap", dimension)
    return theory.growth(times, settings.growth.steps, settings.growth.resamples, generator)


def _judge_exponential(metrics: pd.DataFrame, settings: Settings, dimension: int) -> Judgement:
    """Median iterations of Xavier grow exponentially with depth, targets within reach of the sign.

    Two things must hold: the slope of ln(median) against L has a 95 % bootstrap interval above 0, and the line in L
    fits better than the line in ln L (both two parameters: less squared residual is less AIC) in at least 97.5 % of
    bootstrap resamples. At most 2.5 %, or an interval below 0, refutes; between, or with fewer than four depths whose
    median run ends by the cap, it is undecided.
    """
    found = growth_of(metrics, settings, dimension)
    if found is None:
        return Judgement("exponential", "too few depths end by the cap", "", "", "undecided")
    low, high = found.rate_interval
    verdict: Verdict = "undecided"
    if low > 0 and found.exponential_share >= 0.975:
        verdict = "reproduced"
    elif high < 0 or found.exponential_share <= 0.025:
        verdict = "differs"
    return Judgement(
        expected="slope above 0, and better than a power law",
        measured=f"ln(iterations) grows by {found.rate:.3f} a layer; better than a power law in "
        f"{found.exponential_share:.1%} of resamples",
        spread=f"95 % bootstrap interval of the slope: {low:.3f} to {high:.3f} ({len(settings.growth.seeds)} seeds)",
        tolerance="interval above 0 and 97.5 % of resamples",
        verdict=verdict,
        note=f"d = {dimension}, depths {', '.join(map(str, found.depths))}; deeper medians are beyond the cap of "
        f"{settings.growth.steps} steps"
        if len(found.depths) < len(settings.growth.depths)
        else f"d = {dimension}, depths {', '.join(map(str, found.depths))}",
    )


def judge_envelope(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """R(t) <= (1 - eta/2)^t R(0) at every step of every case, at the theorem's step size.

    Tolerance: the losses of 1e5 steps carry rounding of about 1e-12 of themselves; a violation counts from 1e-10 on.
    """
    table = metrics[metrics["part"] == "envelope"]
    worst = table.loc[table["excess"].idxmax()]
    return Judgement(
        expected="<= 0",
        measured=f"{worst['excess']:.3g} (largest ln of R over bound; {worst['target']}, L = {worst['depth']:g}, step "
        f"{worst['step']:g})",
        spread=f"{int(table['steps'].sum())} steps of {len(table)} cases",
        tolerance="1e-10, for rounding",
        verdict="reproduced" if worst["excess"] <= 1e-10 else "differs",
    )


def _judge_residual(metrics: pd.DataFrame, settings: Settings, other: str) -> Judgement:
    """On images the last training loss from mZAS is below that of the other start, at the largest depth.

    Each start has its own best step size of the pilot grid. Decided on ln(loss of mZAS / loss of the other), paired by
    seed; the sign decides where the t interval (95 % for the two comparisons together, Bonferroni) leaves out 0. A start
    that diverges at every step size of the grid, or a run that does, counts as worse than any that does not.
    """
    from zeroloss.theory.statistics import estimate

    table = metrics[(metrics["part"] == "residual") & (metrics["depth"] == max(settings.residual.depths))]
    last = table[table["step"] == settings.residual.steps]
    key = ["source", "seed"]
    ours = last[last["start"] == "mzas"].set_index(key)["loss"]
    theirs = last[last["start"] == other].set_index(key)["loss"].reindex(ours.index)
    count = len(settings.seeds) * len(settings.residual.sources)
    steps = table.groupby("start")["step_size"].first()
    note = "step sizes: " + ", ".join(f"{name} {value:g}" for name, value in steps.items())
    if len(ours) < count:
        return Judgement("< 0", f"mZAS diverged in {count - len(ours)} of {count} runs", "", "", "differs", note)
    if theirs.isna().any():
        lost = int(theirs.isna().sum())
        return Judgement(
            "< 0", f"{other} diverged in {lost} of {count} runs, mZAS in none", "", "a diverged run is worse than any "
            "other", "reproduced" if lost == count else "undecided", note,
        )  # fmt: skip
    errors = ", ".join(f"{name} {last.loc[last['start'] == name, 'error'].mean():.2f}" for name in ("mzas", other))
    found = estimate(np.log(ours / theirs), comparisons=2)
    half = 0.0 if np.isnan(found.half_width) else found.half_width
    verdict: Verdict = "reproduced" if found.mean < -half else "differs" if found.mean > half else "undecided"
    return Judgement(
        expected="< 0",
        measured=f"{found} (ln of the ratio of last losses, L = {max(settings.residual.depths)})",
        spread=found.spread,
        tolerance="none: the sign decides, where the interval leaves out 0",
        verdict=verdict,
        note=f"last loss: mZAS {ours.mean():.4g}, {other} {theirs.mean():.4g}; last training error: {errors} (0.9 is "
        f"guessing: a start that only stays there at the one step size that does not diverge is not trained); {note}",
    )


def judge_residual_near_identity(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_residual(metrics, settings, "near_identity")


def judge_residual_he(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_residual(metrics, settings, "he")


def judge_scalar_exponential(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_exponential(metrics, settings, min(settings.growth.dimensions))


def judge_matrix_exponential(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_exponential(metrics, settings, max(settings.growth.dimensions))


def claims(settings: Settings) -> list[Claim]:
    smallest, largest = min(settings.growth.dimensions), max(settings.growth.dimensions)

    def claim(name: str, statement: str, judge: object) -> Claim:
        return Claim(f"wu_wang_ma2019_{name}", ITEMS, statement, judge)  # type: ignore[arg-type]

    return [
        claim("zas_polynomial", "Iterations from ZAS grow at most like L^3", judge_zas_polynomial),
        claim(
            "xavier_exponential_scalar",
            f"Iterations from Xavier grow exponentially with depth at d = {smallest} (Shamir)",
            judge_scalar_exponential,
        ),
        claim(
            "xavier_exponential_matrix",
            f"Iterations from Xavier grow exponentially with depth at d = {largest}",
            judge_matrix_exponential,
        ),
        claim("envelope", "Theorem 4.3's bound (1 - eta/2)^t holds at every step", judge_envelope),
        claim(
            "residual_near_identity",
            "On images mZAS trains a residual network faster than a near-identity start",
            judge_residual_near_identity,
        ),
        claim(
            "residual_he", "On images mZAS trains a residual network faster than a standard start", judge_residual_he
        ),
    ]
