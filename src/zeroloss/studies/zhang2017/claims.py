"""What the paper says of fitting noise, and what we measured. Tolerances were written before the numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.zhang2017.claims_generalisation import GENERALISATION
from zeroloss.studies.zhang2017.measures import CHANCE_LOSS, FITTED, by_seed, ends, of_setting, relative_times
from zeroloss.studies.zhang2017.runs import CORRUPTED, NETWORKS, SETTINGS_OF_FIGURE
from zeroloss.studies.zhang2017.settings import Settings

# from fastest to slowest, as in the paper
ORDER = ("true labels", "shuffled pixels", "gaussian", "random pixels", "random labels")
RANDOM = ("gaussian", "random pixels", "random labels")
CHANCE_MARGIN = 0.2


def _number(value: float, digits: int = 1) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def _mean(epochs: pd.Series) -> str:
    """A mean over seeds; a dash where a seed did not get there."""
    return _number(float(epochs.mean()) if epochs.notna().all() else np.nan)


def judge_all_fit(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """All five settings reach (near-)zero training error.

    Near-zero is at least 99 % right, measured after training on the very images and labels: the least that Table 1
    prints is 99.34 %. A run that misses it while its loss still falls decides nothing: it ended, at its last epoch or at
    the final loss, before it was done.
    """
    runs = ends(metrics, settings)
    least: dict[str, float] = {}
    cut: list[str] = []
    failed: list[str] = []
    for name in SETTINGS_OF_FIGURE:
        here = of_setting(runs, name)
        least[name] = float(here["train_accuracy"].min())
        missed = here[~(here["train_accuracy"] >= FITTED)]
        if len(missed):
            (cut if missed["falling"].all() and not missed["diverged"].any() else failed).append(name)
    verdict: Verdict = "differs" if failed else "undecided" if cut else "reproduced"
    return Judgement(
        expected="100 % in every setting",
        measured=", ".join(f"{name}: {100 * value:.1f} %" for name, value in least.items()),
        spread=f"least of {len(settings.sizes.seeds)} seeds",
        tolerance=f"at least {FITTED:.0%}, the least of Table 1 being 99.3 %",
        verdict=verdict,
        note=f"ended while the loss still fell: {', '.join(cut)}" if cut else "",
    )


def judge_order(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The order of the five curves by the epoch at which the mean loss is at most 1 and at most .5.

    True labels, shuffled pixels, Gaussian, random pixels, random labels. Neighbours are compared seed by seed. A
    difference of one epoch is a tie (the paper's own Gaussian and random pixels are one epoch apart at a loss of 1);
    a pair reversed by more than an epoch on average refutes the order where its t interval leaves out zero, and leaves
    it undecided where it does not, as does a run that never got there.
    """
    from zeroloss.theory.statistics import estimate

    runs = ends(metrics, settings)
    texts: list[str] = []
    reversed_pairs: list[str] = []
    unclear: list[str] = []
    for column, loss in (("to_1", "1"), ("to_half", "0.5")):
        epochs = pd.DataFrame({name: by_seed(of_setting(runs, name), column) for name in ORDER})
        texts.append(f"loss {loss}: " + ", ".join(_mean(epochs[name]) for name in ORDER))
        for first, second in pairwise(ORDER):
            gap = epochs[second] - epochs[first]
            if gap.isna().any():
                unclear.append(f"{second} at {loss} not reached")
            elif gap.mean() < -1:
                gain = estimate(gap)
                decided = gain.mean < -gain.half_width
                (reversed_pairs if decided else unclear).append(f"{second} before {first} at {loss}: {gain}")
    verdict: Verdict = "differs" if reversed_pairs else "undecided" if unclear else "reproduced"
    return Judgement(
        expected=", ".join(ORDER),
        measured="epochs in this order, " + "; ".join(texts),
        spread=f"{len(settings.sizes.seeds)} seeds, neighbours compared seed by seed (95 % t intervals)",
        tolerance="one epoch is a tie",
        verdict=verdict,
        note="; ".join([*reversed_pairs, *unclear]),
    )


def judge_initial_loss(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """With random inputs or labels the first epoch's mean loss is about ln 10: nothing is learned in it.

    Within 0.2: the paper's are 2.303 to 2.306, but an epoch of ours has a few steps only, so that the mean holds the
    outputs of the start, whose spread (He normal) adds to the loss, and the first steps of a large learning rate.
    """
    runs = ends(metrics, settings)
    first = {name: float(of_setting(runs, name)["first_loss"].mean()) for name in RANDOM}
    worst = max(abs(value - CHANCE_LOSS) for value in first.values())
    return Judgement(
        expected=f"ln 10 = {CHANCE_LOSS:.3f}",
        measured=", ".join(f"{name}: {value:.3f}" for name, value in first.items()),
        spread=f"means over {len(settings.sizes.seeds)} seeds; farthest from ln 10: {worst:.3f}",
        tolerance=f"± {CHANCE_MARGIN}",
        verdict="reproduced" if worst <= CHANCE_MARGIN else "differs",
    )


def judge_time_grows(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Time to overfit grows with corruption, for every network.

    Decided on the time at full corruption over that at none, seed by seed: above 1 with its t interval (with one seed:
    above 1 by at least an epoch). A network that did not overfit within its epochs leaves the claim undecided.
    """
    from zeroloss.theory.statistics import estimate

    runs = ends(metrics, settings)
    texts, verdicts = [], []
    for network in CORRUPTED:
        times = relative_times(runs, network, settings.corruptions)
        if times[1.0].isna().any():
            reached = [share for share in settings.corruptions if times[share].notna().all()]
            texts.append(
                f"{NETWORKS[network]}: {f'overfits up to {max(reached):g} only' if reached else 'never overfits'}"
            )
            verdicts.append("undecided")
            continue
        ratio = estimate(times[1.0])
        half = 0.0 if np.isnan(ratio.half_width) else ratio.half_width
        texts.append(f"{NETWORKS[network]}: {ratio}")
        verdicts.append("reproduced" if ratio.mean - half > 1 else "differs" if ratio.mean + half <= 1 else "undecided")
    verdict: Verdict = "reproduced"
    if verdicts.count("reproduced") < len(verdicts):
        verdict = "differs" if "differs" in verdicts else "undecided"
    return Judgement(
        expected="above 1; published: Inception 3.6, AlexNet 1.55, MLP 1.96",
        measured="ratio, " + "; ".join(texts),
        spread=f"95 % t interval over {len(settings.sizes.seeds)} seeds",
        tolerance="the interval decides",
        verdict=verdict,
        note="a network that does not overfit within its epochs has no ratio" if verdict == "undecided" else "",
    )


def judge_published_slowdown(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The slow-down by full corruption is that of the published curves.

    Within a factor of 2 for every network: data, widths and n differ from the paper's below paper scale, so that only
    the magnitude can be compared; the published ratios themselves span a factor of 2.3.
    """
    runs, theirs = ends(metrics, settings), published.load("zhang2017_fig1b")
    ours, factors = {}, {}
    for network in CORRUPTED:
        line = theirs[(theirs["model"] == NETWORKS[network]) & (theirs["label_corruption"] == 1)]
        ours[network] = float(relative_times(runs, network, settings.corruptions)[1.0].mean(skipna=False))
        factors[network] = ours[network] / float(line["relative_time_to_overfit"].iloc[0])
    values = np.array(list(factors.values()))
    verdict: Verdict = "reproduced" if (abs(np.log(values)) <= np.log(2)).all() else "differs"
    if np.isnan(values).any() and not (abs(np.log(values[~np.isnan(values)])) > np.log(2)).any():
        verdict = "undecided"
    return Judgement(
        expected="Inception 3.6, AlexNet 1.55, MLP 1.96",
        measured=", ".join(f"{NETWORKS[network]} {_number(value, 2)}" for network, value in ours.items()),
        spread=f"means over {len(settings.sizes.seeds)} seeds",
        tolerance="a factor of 2",
        verdict=verdict,
        note="; ".join(
            (["-: did not overfit within its epochs"] if np.isnan(values).any() else [])
            + (
                ["slower than in print probably because the true labels here take so few steps"]
                if (values > 2).any()
                else []
            )
        ),
    )


FITTING = [
    Claim(
        "all-settings-fit",
        ("004-F4", "002-F1"),
        "Small Inception reaches zero training error with true labels, random labels, shuffled and random pixels and noise.",
        judge_all_fit,
    ),
    Claim(
        "order-of-curves",
        ("004-F4",),
        "Random labels are fitted last; the order is true labels, shuffled pixels, Gaussian, random pixels, random labels.",
        judge_order,
    ),
    Claim(
        "initial-loss",
        ("004-F4",),
        "With random inputs or labels the loss starts at that of guessing, ln 10.",
        judge_initial_loss,
    ),
    Claim(
        "time-grows",
        ("004-F5",),
        "The time to overfit grows with the share of corrupted labels.",
        judge_time_grows,
    ),
    Claim(
        "published-slowdown",
        ("004-F5",),
        "Random labels take as many times longer as in the published figure.",
        judge_published_slowdown,
    ),
]


def claims(settings: Settings) -> list[Claim]:
    return [*FITTING, *GENERALISATION]
