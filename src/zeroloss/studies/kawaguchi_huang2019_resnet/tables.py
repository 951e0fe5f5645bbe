"""Epochs, accuracies and sizes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.kawaguchi_huang2019_resnet.experiment import (
    PUBLISHED_AS,
    TITLES,
    Settings,
    epochs_to,
    names,
    published_curves,
)
from zeroloss.studies.wording import seeds_text
from zeroloss.theory import resnet_size

# n and classes beside which the text around the figure counts parameters
PRINTED_SAMPLES, PRINTED_CLASSES = 50_000, 10
# Table I of the paper at H = 1, hidden constants and logarithms put to 1
POWERS = {
    "n (this paper)": 1,
    "n^2 (Oymak and Soltanolkotabi)": 2,
    "n^6 (Du et al. 2018a)": 6,
    "n^8 (Du et al. 2018b; Zou and Gu)": 8,
}


def _range(values: pd.Series) -> str:
    """``4`` or ``4 to 6``; ``never`` where a run did not get there."""
    if values.isna().any():
        return "never" if values.isna().all() else f"from {values.min():g}, not every seed"
    return f"{values.min():g}" if values.min() == values.max() else f"{values.min():g} to {values.max():g}"


def first_published(source: str, accuracy: float) -> float:
    """First legible epoch at which the published training accuracy is at least this; NaN where there is none."""
    curves = published_curves()
    here = curves[(curves["panel"] == "b") & (curves["source"] == PUBLISHED_AS.get(source))]
    return float(here.loc[here["value"] >= accuracy, "epoch"].min())


def make_summary(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per data set."""
    ninety, fitted = epochs_to(metrics, 0.9), epochs_to(metrics, 0.999)
    rows = []
    for source in names(settings):
        runs = metrics[metrics["source"] == source]
        last = runs[runs["epoch"] == runs.groupby("seed")["epoch"].transform("max")]
        one = last.iloc[0]
        train, test = 100 * last["train_accuracy"], 100 * last["test_accuracy"]
        rows.append(
            {
                "data set": TITLES.get(source, source),
                "n": one["samples"],
                "classes K": one["classes"],
                "input": f"{one['channels']}x{one['side']}x{one['side']}",
                "parameters": one["parameters"],
                "epochs to 90 %": _range(ninety[source]),
                "published": _published(first_published(source, 0.9)),
                "epochs to 99.9 %": _range(fitted[source]),
                "steps to 99.9 %": _range(fitted[source] * (one["step"] / one["epoch"])),
                "training accuracy, %": train.mean(),
                "test accuracy, %": test.mean(),
                "test range over seeds": f"{test.min():.1f} to {test.max():.1f}",
                "chance, %": 100 / one["classes"],
                "gap, points": (train - test).mean(),
            }
        )
    return pd.DataFrame(rows)


def _published(epoch: float) -> str:
    return "-" if np.isnan(epoch) else f"{epoch:g}"


def make_sizes(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Parameters that theorems ask for against those of the nets that fit, printed sizes first."""
    runs = metrics.groupby("source").agg(n=("samples", "first"), p=("parameters", "first"))
    printed = resnet_size.parameters(3, resnet_size.RESNET18_WIDTH, resnet_size.RESNET18_BLOCKS, PRINTED_CLASSES)
    rows = [("ResNet-18, printed n", PRINTED_SAMPLES, printed)]
    rows += [(TITLES.get(s, s), int(runs["n"][s]), int(runs["p"][s])) for s in names(settings)]
    return pd.DataFrame(
        [
            {"data set": title, "n": n, "parameters": count}
            | {
                f"orders of magnitude to {name}": power * np.log10(n) - np.log10(count)
                for name, power in POWERS.items()
            }
            for title, n, count in rows
        ]
    )


def tables(settings: Settings) -> list[Table]:
    return [
        Table(
            name="kawaguchi_huang2019_resnet_summary",
            items=("000-F2",),
            title="Epochs to fit and test accuracy, natural and random data",
            caption=(
                "Epochs until the running training accuracy of an epoch reaches a level "
                f"(range over {seeds_text(settings.seeds)}) and accuracies after the last epoch (means over seeds). "
                "Published: first legible epoch of the paper's curve at 90 % or more, with its own n."
            ),
            make=make_summary,
        ),
        Table(
            name="kawaguchi_huang2019_resnet_sizes",
            items=("000-F2",),
            title="Parameters of the net that fits against those that theorems ask for",
            caption=(
                "log10 of the power of n over the parameters of the net; negative: the net is larger than the theorem asks. "
                "Hidden constants, logarithms and dependence on depth are put to 1."
            ),
            make=make_sizes,
        ),
    ]
