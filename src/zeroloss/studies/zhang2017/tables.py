"""Tables 1, 2 and 4 of the paper, with our columns beside the printed ones where we have any."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Table
from zeroloss.studies.wording import seeds_text
from zeroloss.studies.zhang2017.measures import chosen, ends
from zeroloss.studies.zhang2017.runs import NETWORKS
from zeroloss.studies.zhang2017.settings import Settings

TABLE_4 = {
    "weight decay": {"decays": True},
    "random cropping": {"crops": True, "slow": True},
    "augmentation": {"augmented": True, "slow": True},
}


def table_1(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Rows of the printed table; accuracies in per cent, means over the seeds of ``table_seeds``."""
    runs = ends(metrics, settings)
    runs = runs[runs["seed"].isin(settings.sizes.table_seeds)]
    rows = []
    for row in published.load("zhang2017_table1").to_dict("records"):
        ours = chosen(
            runs,
            network=row["network"],
            share=1.0 if row["labels"] == "random" else 0.0,
            crops=row["random_crop"] == "yes",
            decays=row["weight_decay"] == "yes",
        )
        rows.append(
            {
                "model": NETWORKS[row["network"]],
                "labels": row["labels"],
                "random crop": row["random_crop"],
                "weight decay": row["weight_decay"],
                "train, published": row["train"],
                "train, ours": 100 * ours["train_accuracy"].mean(),
                "test, published": row["test"],
                "test, ours": 100 * ours["test_accuracy"].mean(),
                "epochs, ours": ours["epochs"].mean(),
                "diverged, ours": int(ours["diverged"].sum()),
            }
        )
    return pd.DataFrame(rows)


def table_2(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """As printed; nothing of ours."""
    return published.load("zhang2017_table2").rename(columns=lambda name: name.replace("_", " "))


def table_4(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Random labels with a regulariser: training accuracy in per cent."""
    runs = ends(metrics, settings)
    runs = runs[runs["seed"].isin(settings.sizes.table_seeds)]
    rows = []
    for row in published.load("zhang2017_table4").to_dict("records"):
        ours = chosen(runs, network=row["network"], share=1.0, **TABLE_4[row["regulariser"]])
        rows.append(
            {
                "regulariser": row["regulariser"],
                "model": NETWORKS[row["network"]],
                "train, published": row["train"],
                "running average, ours": 100 * ours["running_accuracy"].mean(),
                "after training, ours": 100 * ours["train_accuracy"].mean(),
                "epochs, ours": ours["epochs"].mean(),
                "still falling, ours": "yes" if len(ours) and bool(ours["falling"].all()) else "no",
            }
        )
    return pd.DataFrame(rows).replace({np.nan: None})


def tables(settings: Settings) -> list[Table]:
    s = settings.sizes
    ours = (
        f"Ours: {settings.source}, n = {s.train}, {s.test} test images, {seeds_text(s.table_seeds)}, channels of small "
        f"Inception over {s.inception_divisor}, of AlexNet over {s.alexnet_divisor}, MLPs of width {s.mlp_width}, "
        f"inputs of side {s.crop // s.pool}, batch {s.batch}; a run ends at a mean loss of {settings.final_loss:g}. "
    )
    return [
        Table(
            name="zhang2017_table1",
            items=("004-T1", "003-Q11"),
            title="Table 1: accuracy with and without explicit regularisation",
            caption=(
                f"Per cent. {ours}Weight decay {settings.weight_decay:g} (the paper: 'default coefficient'). Published: "
                "CIFAR-10, all images, printed sizes. Train, ours: after training, on unaltered images."
            ),
            make=table_1,
        ),
        Table(
            name="zhang2017_table2",
            items=("004-T1",),
            title="Table 2: Inception v3 on ImageNet, published numbers only",
            caption="Per cent, copied from the paper; ImageNet is not computed here. Best: the best test accuracy of training.",
            make=table_2,
        ),
        Table(
            name="zhang2017_table4",
            items=("004-T1",),
            title="Table 4: random labels with a regulariser",
            caption=(
                f"Training accuracy, per cent. {ours}Weight decay {settings.weight_decay:g} (ours); augmentation: flips and "
                f"rotations of at most {settings.rotation:g} degrees; learning rate times {settings.slow_decay:g} every "
                f"{settings.decay_steps} steps where images are cropped or augmented, at most {s.augmented_epochs} epochs. "
                "The running average, as printed, is over the altered images of the last epoch."
            ),
            make=table_4,
        ),
    ]
