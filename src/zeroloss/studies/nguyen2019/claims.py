"""What the paper says, and what we measured. Every tolerance and the reason for it stands in its judge's docstring."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.nguyen2019 import run_claims
from zeroloss.studies.nguyen2019.settings import Settings
from zeroloss.studies.nguyen2019.tables import SCALINGS, all_slices, slices


def _ranks(metrics: pd.DataFrame, settings: Settings, activation: str) -> pd.DataFrame:
    table = metrics[(metrics["part"] == "rank") & (metrics["activation"] == activation)]
    return table[table["dimension"] == max(settings.rank.dimensions)]


def _judge_full(metrics: pd.DataFrame, settings: Settings, activation: str) -> Judgement:
    """Lemma 3.2: rank N for almost every U, so for every draw; no tolerance for exceptions.

    float64 certifies full rank where the least singular value is above rounding; it cannot refute it. Up to a stated N the
    other draws are decided by elimination with D digits: full rank if the least pivot is above 10^(-D / 2), lacking if not.
    Reproduced if every draw up to that N is certified in one of the two ways, differs if one lacks rank, else undecided.
    Larger N, where float64 alone speaks and can only say yes, are in the note. All dimensions count.
    """
    every = metrics[(metrics["part"] == "rank") & (metrics["activation"] == activation)]
    table = every[every["samples"] <= settings.rank.exact_samples]
    beyond = every[every["samples"] > settings.rank.exact_samples]
    plain = table["rank"] == table["samples"]
    decided = table["log10_pivot"].notna() & ~plain
    full = decided & (table["log10_pivot"] > -settings.rank.digits / 2)
    lacking, open_ = decided & ~full, ~plain & ~decided
    verdict: Verdict = "differs" if lacking.any() else "undecided" if open_.any() else "reproduced"
    least = f", least pivot 1e{table.loc[full, 'log10_pivot'].min():.0f}" if full.any() else ""
    certified = int((beyond["rank"] == beyond["samples"]).sum())
    note = (
        f"N beyond: float64 certifies {certified} of {len(beyond)} draws and leaves the others open"
        if len(beyond)
        else ""
    )
    return Judgement(
        expected=f"rank N in all {len(table)} draws",
        measured=f"{int(plain.sum())} certified in float64, {int(full.sum())} with {settings.rank.digits} digits{least}, "
        f"{int(open_.sum())} open, {int(lacking.sum())} lacking",
        spread=f"all draws, N = {int(table['samples'].min())} to {int(table['samples'].max())}",
        tolerance=f"float64: max(N, M) eps times the largest singular value; pivots: 1e-{settings.rank.digits // 2}",
        verdict=verdict,
        note=note,
    )


def judge_rank_sigmoid(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_full(metrics, settings, "sigmoid")


def judge_rank_softplus(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_full(metrics, settings, "softplus")


def judge_rank_relu(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """ReLU is not analytic, and the lemma's "almost every U" fails: units dead on all inputs have positive probability.

    A dead unit makes a zero column, so rank is lacking at least as often as some first-layer unit is dead, p = 1 -
    (1 - 1 / (N + 1))^(N / 2). Reproduced if some draw lacks rank; differs if none does though p says that one would have
    been seen with 99 % probability; else undecided.
    """
    from zeroloss.theory.nguyen2019 import some_unit_dead

    table = _ranks(metrics, settings, "relu")
    lacking = int((table["rank"] < table["samples"]).sum())
    expected = np.array([some_unit_dead(int(n), int(n) // 2) for n in table["samples"]])
    unseen = float(np.prod(1 - expected))
    verdict: Verdict = "reproduced" if lacking else "differs" if unseen < 0.01 else "undecided"
    return Judgement(
        expected=f"at least {expected.mean():.2f} of the draws lack rank (a first-layer unit is dead)",
        measured=f"{lacking / len(table):.2f} ({lacking} of {len(table)} draws)",
        spread=f"{len(table)} draws",
        tolerance="one draw is enough: the lemma allows none",
        verdict=verdict,
        note="a draw with more wired neurons than samples may still have full rank; here M = N",
    )


def judge_rank_linear(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """With the identity every neuron is affine in the first layer's N / 2, and those in x, so the rank is exactly
    min(N, N / 2 + 1, d + 1), at every d. No tolerance.
    """
    table = metrics[(metrics["part"] == "rank") & (metrics["activation"] == "linear")]
    expected = np.minimum(np.minimum(table["samples"], table["samples"] // 2 + 1), table["dimension"] + 1)
    off = int((table["rank"] != expected).sum())
    tested = (table["samples"] > table["dimension"] + 1).any()
    verdict: Verdict = "undecided" if not tested else "differs" if off else "reproduced"
    return Judgement(
        expected="min(N, N / 2 + 1, d + 1)",
        measured=f"{len(table) - off} of {len(table)} draws",
        spread="all draws",
        tolerance="none",
        verdict=verdict,
    )


def judge_lemma(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Lemma 2.1: where the mean cross-entropy is below log(2) / N there is no error. A theorem: one exception refutes it.

    Every record of every run is looked at (training, planes, random outputs). Tolerance: 1e-6 of the bound, for outputs that
    are float32. Undecided where no record is below the bound, which would test nothing.
    """
    table = metrics.dropna(subset=["loss", "errors", "samples"])
    relative = table["loss"] * table["samples"] / np.log(2)
    below = relative < 1 - 1e-6
    broken = int((below & (table["errors"] > 0)).sum())
    with_errors = relative[table["errors"] > 0]
    verdict: Verdict = "differs" if broken else "reproduced" if below.any() else "undecided"
    return Judgement(
        expected="0 records with errors below log(2) / N",
        measured=f"{broken} of {int(below.sum())} records below the bound",
        spread=f"least N loss / log 2 among records with errors: {with_errors.min():.3f}",
        tolerance="1e-6 of the bound, for rounding",
        verdict=verdict,
        note=f"{len(table)} records in all",
    )


def _judge_valleys(metrics: pd.DataFrame, settings: Settings, activation: str, skip: bool) -> Judgement:
    """Bad local valleys of random planes, by the criterion of the settings (factor 2 above the solution, rim 10 %).

    The paper shows one plane, so a statement on all planes is ours. Without skip connections ("a bad valley"): reproduced
    if at least half of the planes have one, differs if none has. With them ("none"): reproduced if no plane has one, differs
    if at least half have. Anything between is undecided. Planes whose solution misclassifies an image do not count: they
    do not go through a solution.

    The factor 2 asks that the floor be clearly worse than the solution; 10 % is far above rounding (1e-6) and keeps out
    dents that the grid makes of a valley that runs askew to it. Minima on the border are not counted.
    """
    table = slices(metrics, settings)
    table = table[(table["activation"] == activation) & (table["skip"] == skip)]
    solved = table[table["errors"] == 0]
    expected = "none on any plane" if skip else "a bad valley on at least half of the planes"
    if solved.empty:
        return Judgement(expected, "no network was trained to 0 errors", "", "", "undecided")
    share = float((solved["bad"] > 0).mean())
    if skip:
        verdict: Verdict = "reproduced" if share == 0 else "differs" if share >= 0.5 else "undecided"
    else:
        verdict = "reproduced" if share >= 0.5 else "differs" if share == 0 else "undecided"
    rest = all_slices(metrics, settings)
    rest = rest[(rest["activation"] == activation) & (rest["skip"] == skip) & (rest["errors"] == 0)]
    rest = rest[rest["scaling"] != settings.surfaces.scaling]
    others = f"; of {len(rest)} planes of other lengths {int((rest['bad'] > 0).sum())} have one" if len(rest) else ""
    depth = f", deepest rim / floor {solved['deepest'].max():.3g}" if (solved["bad"] > 0).any() else ""
    return Judgement(
        expected=expected,
        measured=f"{int((solved['bad'] > 0).sum())} of {len(solved)} planes have one{depth}",
        spread=f"bad valleys by plane: {', '.join(str(n) for n in solved['bad'])}",
        tolerance=f"floor over {settings.surfaces.above:g} times the solution's loss, rim over {settings.surfaces.depth:g} "
        "times the floor",
        verdict=verdict,
        note="a valley of a plane need not be a valley of the whole space, so this tests the picture, not the theorem; "
        f"the paper does not say how long its directions are; here {SCALINGS[settings.surfaces.scaling]}{others}",
    )


def judge_valleys_sigmoid_plain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_valleys(metrics, settings, "sigmoid", False)


def judge_valleys_sigmoid_skip(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_valleys(metrics, settings, "sigmoid", True)


def judge_valleys_softplus_plain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_valleys(metrics, settings, "softplus", False)


def judge_valleys_softplus_skip(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_valleys(metrics, settings, "softplus", True)


def claims(settings: Settings) -> list[Claim]:
    item = ("004-TH3",)
    picture = ("004-TH3", "004-?2")
    full = "The feature matrix has rank N for almost every U (Lemma 3.2)"
    return [
        Claim("nguyen2019-rank-sigmoid", item, f"{full}: sigmoid.", judge_rank_sigmoid),
        Claim("nguyen2019-rank-softplus", item, f"{full}: softplus, gamma = 20.", judge_rank_softplus),
        Claim("nguyen2019-rank-relu", item, "Analyticity matters: with ReLU rank is lost with M = N.", judge_rank_relu),
        Claim("nguyen2019-rank-linear", item, "With linear neurons the rank is at most d + 1.", judge_rank_linear),
        Claim("nguyen2019-lemma-2-1", item, "A loss below log(2) / N leaves no training error.", judge_lemma),
        Claim(
            "nguyen2019-valleys-sigmoid-plain", picture,
            "Figure 3: without skip connections the sigmoid network's loss has a bad local valley.",
            judge_valleys_sigmoid_plain,
        ),
        Claim(
            "nguyen2019-valleys-sigmoid-skip", picture,
            "Figure 3: with skip connections the sigmoid network's loss has none.", judge_valleys_sigmoid_skip,
        ),
        Claim(
            "nguyen2019-valleys-softplus-plain", picture,
            "The softplus pair: without skip connections there is a bad local valley.", judge_valleys_softplus_plain,
        ),
        Claim(
            "nguyen2019-valleys-softplus-skip", picture,
            "The softplus pair: with skip connections there is none.", judge_valleys_softplus_skip,
        ),
        *run_claims.claims(settings),
    ]  # fmt: skip
