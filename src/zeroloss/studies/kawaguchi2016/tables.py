"""All points of the family for one data set; all of them in short; what the search found; times of escape."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.kawaguchi2016.settings import Settings
from zeroloss.studies.wording import listed
from zeroloss.theory import kawaguchi2016 as theory

KINDS = ("global minimum", "strict saddle", "no negative eigenvalue", "not critical")


def critical_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every point of the family of the first data set, at the shown width."""
    family = metrics[metrics["part"] == "family"]
    family = family[(family["width"] == settings.shown_width) & (family["seed"] == settings.seeds[0])]
    return pd.DataFrame(
        {
            "H": family["depth"].astype(int),
            "kept directions": family["subset"],
            "rank of the middle": family["rank"].astype(int),
            "loss - optimum, expected": family["expected_excess"],
            "loss - optimum, measured": family["excess"].where(family["excess"].abs() > 1e-14, 0.0),
            "gradient norm": family["gradient"],
            "least eigenvalue": family["least"].where(family["negative"] > 0, 0.0),
            "negative": family["negative"].astype(int),
            "negative, expected": family["expected_negative"].astype(int),
            "zero": family["zero"].astype(int),
            "parameters": family["parameters"].astype(int),
        }
    ).reset_index(drop=True)


def summary_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Points of the family over all data sets, by width, H and rank of the middle."""
    family = metrics[metrics["part"] == "family"]
    rows = []
    for (width, depth, rank), group in family.groupby(["width", "depth", "rank"]):
        saddles = group[~group["is_global"].astype(bool)]
        strict = saddles[saddles["negative"] > 0]
        rows.append(
            {
                "p": int(width),
                "H": int(depth),
                "rank of the middle": int(rank),
                "points": len(group),
                "global minima": len(group) - len(saddles),
                "strict saddles": len(strict),
                "saddles without negative eigenvalue": len(saddles) - len(strict),
                "least eigenvalue of strict saddles, at most": strict["least"].max() if len(strict) else np.nan,
                "largest error of loss - optimum": (group["excess"] - group["expected_excess"]).abs().max(),
                "largest gradient norm": group["gradient"].max(),
            }
        )
    return pd.DataFrame(rows)


def search_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """What least squares on the gradient ended at, by H."""
    rows = []
    for depth, group in metrics[metrics["part"] == "search"].groupby("depth"):
        found, counts = group[group["kind"] != "not critical"], group["kind"].value_counts()
        saddles = found[found["kind"] != "global minimum"]
        full = saddles["full_rank"].astype(bool)
        degenerate = found[found["kind"] == "no negative eigenvalue"]
        rows.append(
            {
                "H": int(depth),
                "starts": len(group),
                **{kind: int(counts.get(kind, 0)) for kind in KINDS},
                "saddles with a middle of rank p": int(full.sum()),
                "of these without negative eigenvalue": int((full & (saddles["negative"] == 0)).sum()),
                "largest gradient norm": found["gradient"].max(),
                "farthest from a loss of the family": found["off_value"].max(),
                "least fall near those without negative eigenvalue": -degenerate["lowest_nearby"].max(),
            }
        )
    return pd.DataFrame(rows)


def escape_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Steps to leave saddles, by H, kind and size of the perturbation."""
    rows = []
    table = metrics[metrics["part"] == "escape"]
    for (depth, strict, delta), group in table.groupby(["depth", "strict", "perturbation"]):
        least = group["least"].where(group["strict"].astype(bool))
        predicted = theory.escape_prediction(delta, least) / group["step_size"]
        rows.append(
            {
                "H": int(depth),
                "negative eigenvalue": "yes" if strict else "no",
                "delta": delta,
                "starts": len(group),
                "not out in time": int((group["steps"].isna() & (group["diverged_at"] < 0)).sum()),
                "diverged": int((group["diverged_at"] >= 0).sum()),
                "steps, least": group["steps"].min(),
                "steps, median": group["steps"].median(),
                "steps, most": group["steps"].max(),
                "ln(1/delta) / (eta |lambda_min|), median": predicted.median(),
                "steps over it, median": (group["steps"] / predicted).median(),
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    s, escape = settings, settings.escape
    data = f"d_x = {s.inputs}, d_y = {s.outputs}, N = {s.samples}, linear labels with noise {s.noise:g} (synthetic)"
    net = f"{data}, all hidden widths {s.shown_width}, {len(s.seeds)} data sets"
    return [
        Table(
            name="kawaguchi2016_critical",
            items=("004-TH1", "001-Q1"),
            title="All points of the family: loss and Hessian",
            caption=f"{data}, all hidden widths {s.shown_width}, seed {s.seeds[0]}. Kept directions count from the largest "
            "eigenvalue of Sigma; W_1 = U_S^T R, W_2 = ... = W_H = the projector of the stated rank, W_(H+1) = U_S. Without "
            "negative eigenvalues the least one is 0. Losses within 1e-14 of the optimum are written as 0.",
            make=critical_table,
        ),
        Table(
            name="kawaguchi2016_summary",
            items=("004-TH1",),
            title="Points of the family by width, depth and rank of the middle",
            caption=f"{data}, {len(s.seeds)} data sets, exact Hessians in float64. A least eigenvalue below -1e-10 of the scale "
            "counts as negative.",
            make=summary_table,
        ),
        Table(
            name="kawaguchi2016_search",
            items=("004-TH1",),
            title="Critical points found from random starts",
            caption=f"{net}; {s.search.starts} starts for each scale {listed(s.search.scales)} of the entries and stretch of "
            f"{listed(s.search.descents)} steps of gradient descent, then at most {s.search.steps} Levenberg-Marquardt steps on "
            "the squared gradient. Critical: gradient below 1e-11 of the scale. Near points without negative eigenvalue "
            f"(distance {s.search.radius:g}) {s.search.nearby} gradient descents look for lower losses.",
            make=search_table,
        ),
        Table(
            name="kawaguchi2016_escape",
            items=("001-Q1", "004-TH1"),
            title="Steps that gradient descent needs to leave a saddle",
            caption=f"{net}, {escape.directions} directions for each saddle; eta = {escape.relative_step:g} / largest Hessian "
            f"eigenvalue of the family; out: {100 * escape.share:g} % of the loss above the optimum gone, within "
            f"{escape.most_steps} steps. delta = {listed(escape.perturbations)}; without negative eigenvalue "
            f"{listed(escape.degenerate_perturbations)}.",
            make=escape_table,
        ),
    ]
