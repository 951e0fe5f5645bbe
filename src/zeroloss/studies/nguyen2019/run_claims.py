"""Claims on whole training runs: Figure 5 and the tables."""

from __future__ import annotations

import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.nguyen2019.settings import Settings
from zeroloss.studies.nguyen2019.tables import final_accuracies

PRINTED_EPOCHS = 200  # by then the paper's network with skip connections has error 0


def best_runs(metrics: pd.DataFrame, skip: bool) -> pd.DataFrame:
    """Of each seed the run of Figure 5 whose learning rate ends at the least loss, all its records.

    A diverged run is never the best; where all of a seed's runs diverged, the first is taken.
    """
    runs = metrics[(metrics["part"] == "deep") & (metrics["skip"] == skip)]
    chosen = []
    for _, group in runs.groupby("seed"):
        last = group[group["epoch"] == group["epoch"].max()].sort_values("rate", ascending=False)
        losses = last["loss"].where(~last["diverged"].astype(bool))
        rate = last.loc[losses.idxmin(), "rate"] if losses.notna().any() else last["rate"].iloc[0]
        chosen.append(group[group["rate"] == rate])
    return pd.concat(chosen, ignore_index=True)


def judge_deep_skip(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """With skip connections the best run's training error reaches 0: in every seed, at some recorded epoch.

    No tolerance: the sentence says 0. Differs if some seed has not reached it though it had the 200 epochs within which the
    paper's run did; undecided if it had fewer.
    """
    best = best_runs(metrics, True)
    reached = best.groupby("seed")["errors"].min() == 0
    first = best[best["errors"] == 0].groupby("seed")["epoch"].min()
    enough = settings.deep.taken.epochs >= PRINTED_EPOCHS
    verdict: Verdict = "reproduced" if reached.all() else "differs" if enough else "undecided"
    least = 100 * best.groupby("seed")["errors"].min() / best.groupby("seed")["samples"].first()
    return Judgement(
        expected="0 % before epoch 200",
        measured=f"0 % in {int(reached.sum())} of {len(reached)} seeds, worst {least.max():.1f} %",
        spread=f"first at epochs {int(first.min())} to {int(first.max())}" if len(first) else "never",
        tolerance="none",
        verdict=verdict,
        note=f"best learning rates: {', '.join(f'{r:g}' for r in sorted(best['rate'].unique()))}",
    )


def judge_deep_plain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Without skip connections the best run's error does not get near 0 in the same epochs: at least 50 % in every seed.

    The paper's run ends between 67 and 70 % after 1000 epochs; half is well apart from both that and 0. Differs if some seed
    reaches 0; undecided between.
    """
    best = best_runs(metrics, False)
    least = 100 * best.groupby("seed")["errors"].min() / best.groupby("seed")["samples"].first()
    verdict: Verdict = "reproduced" if (least >= 50).all() else "differs" if (least == 0).any() else "undecided"
    return Judgement(
        expected="67 to 70 % after 1000 epochs, not converged",
        measured=f"least error {least.min():.1f} to {least.max():.1f} % by seed, {settings.deep.taken.epochs} epochs",
        spread=f"range over {len(least)} seeds",
        tolerance="at least 50 % in every seed",
        verdict=verdict,
    )


def _judge_cnn(metrics: pd.DataFrame, activation: str, variant: str, trains: bool) -> Judgement:
    """Training accuracy against chance, the share of the most frequent class: at chance, or clearly above it.

    At chance: at most 5 points above it in every seed, which a network that has learnt nothing beyond class frequencies and
    a few images does not exceed. Trains: at least 50 points above it in every seed, more than half way to 100 %. A claim
    differs if every seed is on the other side of its own line, and is undecided between. Training accuracy, because the
    theory speaks of the training loss; test accuracies are in the tables. Of several networks the first is judged.
    """
    finals = final_accuracies(metrics)
    finals = finals[(finals["activation"] == activation) & (finals["variant"] == variant)]
    if finals.empty:
        return Judgement("", "not run", "", "", "undecided")
    finals = finals[finals["architecture"] == finals["architecture"].iloc[0]]
    above = finals["train"] - finals["chance"]
    at_chance, trained = (above <= 5).all(), (above >= 50).all()
    right, wrong = (trained, at_chance) if trains else (at_chance, trained)
    verdict: Verdict = "reproduced" if right else "differs" if wrong else "undecided"
    return Judgement(
        expected="100 %" if trains else f"chance: {finals['chance'].iloc[0]:.1f} %",
        measured=f"training {finals['train'].mean():.1f} %, test {finals['test'].mean():.1f} %",
        spread=f"training {finals['train'].min():.1f} to {finals['train'].max():.1f} % over {len(finals)} seeds",
        tolerance="at least 50 points above chance" if trains else "at most 5 points above chance",
        verdict=verdict,
        note=f"{finals['architecture'].iloc[0]} with {int(finals['neurons'].iloc[0])} hidden neurons on "
        f"{int(finals['samples'].iloc[0])} images of {finals['data_title'].iloc[0]}, {int(finals['epoch'].iloc[0])} epochs"
        + (
            "; perhaps too few epochs for so deep and narrow a network without normalisation"
            if trains and wrong
            else ""
        ),
    )


def judge_cnn_sigmoid_plain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_cnn(metrics, "sigmoid", "plain", False)


def judge_cnn_sigmoid_skip(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_cnn(metrics, "sigmoid", "skip", True)


def judge_cnn_softplus_plain(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_cnn(metrics, "softplus", "plain", True)


def judge_cnn_softplus_skip(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_cnn(metrics, "softplus", "skip", True)


def claims(settings: Settings) -> list[Claim]:
    item = ("004-TH3",)
    depth = f"{settings.deep.depth} layers of width {settings.deep.width}"
    return [
        Claim("nguyen2019-deep-skip", item, f"Figure 5: {depth} with skip connections reach error 0.", judge_deep_skip),
        Claim("nguyen2019-deep-plain", item, f"Figure 5: {depth} without them do not train.", judge_deep_plain),
        Claim(
            "nguyen2019-cnn-sigmoid-plain", item,
            "Tables 1, 2: a deep convolutional network with sigmoid stays at chance.", judge_cnn_sigmoid_plain,
        ),
        Claim(
            "nguyen2019-cnn-sigmoid-skip", item,
            "Tables 1, 2: the same with skip connections trains.", judge_cnn_sigmoid_skip,
        ),
        Claim(
            "nguyen2019-cnn-softplus-plain", item,
            "Tables 1, 2: with softplus it trains without skip connections too.", judge_cnn_softplus_plain,
        ),
        Claim(
            "nguyen2019-cnn-softplus-skip", item,
            "Tables 1, 2: with softplus and skip connections it trains.", judge_cnn_softplus_skip,
        ),
    ]  # fmt: skip
