"""Tables: the recursion, f_ntk, the gap, and Tables 1 and 2 with the printed values below ours."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.arora2019_ntk.convergence_claims import fitted
from zeroloss.studies.arora2019_ntk.experiment import Settings
from zeroloss.studies.contract import Table
from zeroloss.studies.wording import seeds_text
from zeroloss.theory.statistics import slope_over_width


def recursion_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """A row per activation, depth and width: mean and standard deviation over seeds."""
    rows = []
    part = metrics[metrics["part"] == "entry"]
    for (activation, depth, width), group in part.groupby(["activation", "depth", "width"], sort=False):
        rows.append(
            {
                "activation": activation,
                "c_sigma": group["scale"].iloc[0],
                "L": int(depth),
                "m": int(width),
                "relative error of the kernel": group["relative_error"].mean(),
                "standard deviation over seeds": group["relative_error"].std(ddof=1),
                "largest entry's error": group["largest_error"].mean(),
                "diagonal over the limit's": group["mean_ratio"].mean(),
                "mean |g|²": group["square_norm"].mean(),
            }
        )
    return pd.DataFrame(rows)


def regression_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """A row per n and depth."""
    part = metrics[metrics["part"] == "regression"]
    names = {
        "data_title": "data", "samples": "n", "depth": "L", "accuracy": "test accuracy", "residual": "residual",
        "condition": "condition number", "lambda_min": "lambda_min", "rkhs_norm": "RKHS norm",
        "iterations": "iterations by tiles", "tiled_difference": "largest difference by tiles",
    }  # fmt: skip
    table = part.reindex(columns=list(names)).rename(columns=names)
    return table.astype({"n": int, "L": int})


def gap_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """A row per data set, start, kappa and width; the slope over widths at which all networks fit their labels."""
    rows = []
    part = metrics[metrics["part"] == "gap"]
    floors = metrics[metrics["part"] == "floor"].set_index("place")
    for (place, start, kappa), group in part.groupby(["place", "start", "kappa"], sort=False):
        fits = fitted(metrics, place, settings)
        fits = fits[(fits["start"] == start) & (fits["kappa"] == kappa)]
        slope = slope_over_width(fits, "gap") if fits["width"].nunique() >= 3 else None
        for width, nets in group.groupby("width"):
            rows.append(
                {
                    "data": nets["data_title"].iloc[0],
                    "start": start,
                    "kappa": kappa,
                    "m": int(width),
                    "gap": nets["gap"].mean(),
                    "standard deviation over seeds": nets["gap"].std(ddof=1),
                    "kappa times what a start leaves": kappa * floors.loc[place, "floor"] if start == "plain" else 0.0,
                    "slope over m": slope.mean if slope else np.nan,
                    "± (95 %)": slope.half_width if slope else np.nan,
                    "largest training residual": nets["residual"].max(),
                    "steps": int(nets["steps"].max()),
                    "diverged": int((nets["diverged_at"] >= 0).sum()),
                }
            )
    return pd.DataFrame(rows)


def _ours(metrics: pd.DataFrame, problem: str) -> pd.DataFrame:
    part = metrics[(metrics["part"] == "cntk") & (metrics["problem"] == problem)]
    wide = part.pivot_table(
        index=["data_title", "side", "samples", "trained_on", "test", "depth"], columns="kernel", values="accuracy",
        sort=False,
    ).reset_index()  # fmt: skip
    return pd.DataFrame(
        {
            "data": wide["data_title"],
            "pixels": [f"{int(side)} x {int(side)}" for side in wide["side"]],
            "n": wide["trained_on"].astype(int),
            "test images": wide["test"].astype(int),
            "depth": wide["depth"].astype(int),
            "CNTK-V": 100 * wide["CNTK-V"],
            "CNTK-GAP": 100 * wide["CNTK-GAP"],
            "NTK": 100 * wide["NTK"],
            "source": "ours",
        }
    )


def table_1(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Ours by data, n and depth, then the printed columns of 2000 and of 50000 images."""
    printed = published.load("arora2019_ntk_table1")
    theirs = [
        pd.DataFrame(
            {
                "data": "CIFAR-10", "pixels": "32 x 32", "n": n, "test images": 10000, "depth": printed["depth"],
                "CNTK-V": printed[f"cntk_v{suffix}"], "CNTK-GAP": printed[f"cntk_gap{suffix}"], "source": "published",
                **({} if suffix else {"CNN-V": printed["cnn_v"], "CNN-GAP": printed["cnn_gap"]}),
            }
        )
        for n, suffix in ((2000, "_2k"), (50000, ""))
    ]  # fmt: skip
    return pd.concat([_ours(metrics, "all classes"), *theirs], ignore_index=True)


def table_2(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The first two classes: ours, then the printed rows with the random features that we do not compute."""
    printed = published.load("arora2019_ntk_table2")
    theirs = pd.DataFrame(
        {
            "data": "CIFAR-2", "pixels": "32 x 32", "n": 10000, "test images": 2000, "depth": printed["depth"],
            "CNTK-V": printed["cntk_v"], "CNTK-GAP": printed["cntk_gap"], "RF-V": printed["rf_v"],
            "RF-GAP": printed["rf_gap"], "source": "published",
        }
    )  # fmt: skip
    return pd.concat([_ours(metrics, "first two classes"), theirs], ignore_index=True)


def tables(settings: Settings) -> list[Table]:
    recursion, part = settings.recursion, settings.convergence
    note = (
        "per cent. Ours: no ridge, labels 0.9 and -0.1, channels standardised; NTK: fully connected with as many layers "
        "of weights. Heights compare at equal data, pixels and n only."
    )
    return [
        Table(
            name="arora2019_ntk_recursion",
            items=("004-E4",),
            title="The recursion against gradients of finite networks",
            caption=f"n = {recursion.samples} inputs on the sphere (synthetic), d = {recursion.dimension}, "
            f"{seeds_text(recursion.seeds)}. Relative error in the Frobenius norm.",
            make=recursion_table,
        ),
        Table(
            name="arora2019_ntk_regression",
            items=("004-E5",),
            title="The kernel predictor without ridge",
            caption=f"{settings.source}, {settings.regression.test} test images; by tiles: conjugate gradients that never "
            "form the matrix, at the largest n of Cholesky.",
            make=regression_table,
        ),
        Table(
            name="arora2019_ntk_gap",
            items=("004-TH9",),
            title="|f_nn - f_ntk| over width and output scale",
            caption=f"Root mean square over {part.test} test inputs, mean over {seeds_text(part.seeds)}; n = {part.samples}. "
            "Slopes over the widths at which every network fits its labels, one for each seed.",
            make=gap_table,
        ),
        Table("arora2019_ntk_table1", ("004-T2",), "Table 1: all classes", f"Test accuracy, {note}", table_1),
        Table("arora2019_ntk_table2", ("004-T2",), "Table 2: the first two classes", f"Test accuracy, {note}", table_2),
    ]
