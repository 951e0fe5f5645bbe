"""How gradient descent leaves saddles. Every tolerance was written before the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.kawaguchi2016.settings import Settings
from zeroloss.theory import kawaguchi2016 as theory
from zeroloss.theory.statistics import estimate, loglog_slope


def escapes(metrics: pd.DataFrame, strict: bool) -> pd.DataFrame:
    """Rows of starts near strict saddles, or near those without negative eigenvalue."""
    table = metrics[metrics["part"] == "escape"]
    return table[table["strict"].astype(bool) == strict]


def _out(table: pd.DataFrame) -> str:
    late = int((table["steps"].isna() & (table["diverged_at"] < 0)).sum())
    return f"{late} of {len(table)} starts not out in time, {int((table['diverged_at'] >= 0).sum())} diverged"


def judge_strict_escape(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """From near a strict saddle gradient descent gets out, whatever the random direction.

    A random direction has a part along the negative eigenvector with probability 1. A start that diverged or is still
    there after the most steps counts against it, unless linear theory, with a margin of 3 for the constant in the
    logarithm, asks for more steps than were allowed; such starts leave it undecided.
    """
    table = escapes(metrics, strict=True)
    if table.empty:
        return Judgement("all", "not measured", "", "", "undecided", "no start near a strict saddle")
    missing = table["steps"].isna()
    predicted = theory.escape_prediction(table["perturbation"], table["least"]) / table["step_size"]
    excused = missing & (table["diverged_at"] < 0) & (3 * predicted > settings.escape.most_steps)
    verdict: Verdict = "differs" if (missing & ~excused).any() else "undecided" if missing.any() else "reproduced"
    return Judgement(
        expected="all starts get out",
        measured=f"{int((~missing).sum())} of {len(table)} starts, within {table['steps'].max():.0f} steps",
        spread=f"{table['seed'].nunique()} data sets, {settings.escape.directions} directions each",
        tolerance="none",
        verdict=verdict,
        note=_out(table),
    )


def judge_logarithm(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Steps to leave a strict saddle grow by 1 / ln(1 + eta |lambda_min|) for each unit of ln(1 / delta).

    One slope per saddle and direction over the perturbations, times ln(1 + eta |lambda_min|), must be 1; the mean over
    the saddles of a data set, each H, with its 95 % t interval over data sets (Bonferroni over H). Tolerance 0.05: a
    second negative eigenvalue near the least one moves the time by at most some ln 2 / 2, over a range of nine units of
    ln(1 / delta) or more at the default scale. An interval that reaches across the tolerance leaves it undecided.
    """
    table = escapes(metrics, strict=True)
    if table.empty or table["steps"].isna().any() or table["perturbation"].nunique() < 2:
        return Judgement("1", "not measured", "", "", "undecided", _out(table))
    rows = []
    for (depth, seed, *_), group in table.groupby(["depth", "seed", "subset", "rank", "direction"]):
        first = group.iloc[0]
        slope = np.polyfit(np.log(1 / group["perturbation"]), group["steps"], 1)[0]
        rows.append((depth, seed, slope * np.log1p(first["step_size"] * abs(first["least"]))))
    slopes = pd.DataFrame(rows, columns=["depth", "seed", "slope"])
    per = slopes.groupby(["depth", "seed"])["slope"].mean()
    found = {int(depth): estimate(group.to_numpy(), per.index.levels[0].size) for depth, group in per.groupby("depth")}
    worst = max(found.values(), key=lambda one: abs(one.mean - 1))
    half = float(np.nan_to_num(worst.half_width))
    off = abs(worst.mean - 1)
    verdict: Verdict = "undecided" if off - half <= 0.05 < off + half else "reproduced" if off <= 0.05 else "differs"
    return Judgement(
        expected="1",
        measured=", ".join(f"H = {depth}: {one}" for depth, one in found.items())
        + " (slope over ln(1 / delta) times ln(1 + eta |lambda_min|))",
        spread=worst.spread.replace("seeds", "data sets"),
        tolerance="± 0.05",
        verdict=verdict,
        note=f"single saddles and directions: {slopes['slope'].min():.3f} to {slopes['slope'].max():.3f}",
    )


def measured_degenerate(metrics: pd.DataFrame) -> pd.DataFrame:
    """Starts near saddles without negative eigenvalue: those (H, S) where every start of every data set got out."""
    table = escapes(metrics, strict=False)
    return table[table["steps"].notna().groupby([table["depth"], table["subset"]]).transform("all")]


def judge_degenerate(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Steps to leave a saddle without negative eigenvalue grow like delta^-(H-1), each H >= 2.

    Near such a point H + 1 factors must grow together: each at the rate of the product of the others, delta^(H-1). Slope
    of ln steps over ln(1 / delta), mean over saddles and directions of a data set, over subsets S with every start out.
    Way out and start have relative parts of order delta, so the tolerance is twice their change over the range, as in
    study yu_chen1995: 2 (delta_max - delta_min) / ln(delta_max / delta_min). Undecided when the point zero is not among
    them for some H, or an interval (95 % t, over data sets) reaches across the tolerance.
    """
    table = measured_degenerate(metrics)
    whole = escapes(metrics, strict=False)
    deltas = settings.escape.degenerate_perturbations
    zero = set(table[table["kept"] == 0]["depth"])
    if whole.empty or zero != set(whole["depth"]):
        return Judgement("H - 1", "not measured", "", "", "undecided", _out(whole) if len(whole) else "needs H >= 2")
    tolerance = 2 * (max(deltas) - min(deltas)) / float(np.log(max(deltas) / min(deltas)))
    rows = [
        (depth, seed, loglog_slope(1 / group["perturbation"], group["steps"].clip(lower=1)))
        for (depth, seed, *_), group in table.groupby(["depth", "seed", "subset", "direction"])
    ]
    per = pd.DataFrame(rows, columns=["depth", "seed", "slope"]).groupby(["depth", "seed"])["slope"].mean()
    found = {int(depth): estimate(group.to_numpy()) for depth, group in per.groupby("depth")}
    depth, worst = max(found.items(), key=lambda pair: abs(pair[1].mean - pair[0] + 1))
    off, half = abs(worst.mean - depth + 1), float(np.nan_to_num(worst.half_width))
    near, far = off - half <= tolerance, off + half > tolerance
    late = whole[whole["steps"].isna()].groupby(["depth", "subset"]).size()
    return Judgement(
        expected=", ".join(f"H = {depth}: {depth - 1}" for depth in found),
        measured=", ".join(f"H = {depth}: {one}" for depth, one in found.items()) + " (log-log slope over 1 / delta)",
        spread=worst.spread.replace("seeds", "data sets"),
        tolerance=f"± {tolerance:.2g}",
        verdict="undecided" if near and far else "reproduced" if near else "differs",
        note="left out, not all starts out in time: "
        + (", ".join(f"H = {h:.0f}, S = {name} ({count})" for (h, name), count in late.items()) or "none"),
    )


def claims(settings: Settings) -> list[Claim]:
    saddle = ("001-Q1", "004-TH1")
    return [
        Claim("strict-escape", saddle, "Gradient descent leaves every strict saddle.", judge_strict_escape),
        Claim("logarithm", saddle, "It takes ln(1/δ) / (η|λ_min|) steps, up to a constant.", judge_logarithm),
        Claim("degenerate", saddle, "Without negative eigenvalue it takes δ^−(H−1).", judge_degenerate),
    ]
