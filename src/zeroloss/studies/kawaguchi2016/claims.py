"""Theorem 2.3 and what belongs to it against the numbers. Every tolerance was written before the numbers."""

from __future__ import annotations

import pandas as pd

from zeroloss.studies.contract import Claim, Judgement
from zeroloss.studies.kawaguchi2016 import claims_escape
from zeroloss.studies.kawaguchi2016.settings import Settings

# Rounding: losses and gradients are sums of some hundreds of float64 products, errors of 1e-14; 1e-10 leaves four orders
# and is far below the least relative difference of interest.
ROUNDING = 1e-10


def part(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of one part."""
    return metrics[metrics["part"] == name]


def _sets(table: pd.DataFrame) -> str:
    return (
        f"worst of {len(table)} points: {table['seed'].nunique()} data sets, H = "
        f"{', '.join(f'{h:.0f}' for h in sorted(table['depth'].unique()))}, p = "
        f"{', '.join(f'{m:.0f}' for m in sorted(table['width'].unique()))}"
    )


def _nothing(expected: str, why: str) -> Judgement:
    return Judgement(expected, "not measured", "", "", "undecided", why)


def _true(column: pd.Series) -> pd.Series:
    """A column of booleans that other parts filled with NaN."""
    return column.astype(bool)


def saddles(metrics: pd.DataFrame) -> pd.DataFrame:
    """Points of the family that are not global minima."""
    family = part(metrics, "family")
    return family[~_true(family["is_global"])]


def judge_critical(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Every point of the family has gradient 0, up to rounding (1e-10 of the scale, see ROUNDING).

    The Hessian is checked beside it: against automatic differentiation to the same tolerance, and against central
    differences of the gradient with h = 1e-5 to 1e-7 (their truncation is of order h^2 times fourth derivatives, some
    hundreds at most, and their rounding 1e-14 / h = 1e-9). If it fails, no spectrum can be trusted: differs.
    """
    family = part(metrics, "family")
    if family.empty:
        return _nothing("0", "no family")
    gradient = float((family["gradient"] / family["scale"]).max())
    product, difference = float(family["product_error"].max()), float(family["difference_error"].max())
    holds = gradient <= ROUNDING and product <= ROUNDING and difference <= 1e-7
    return Judgement(
        expected="gradient 0",
        measured=f"gradient at most {gradient:.1e} of the scale",
        spread=_sets(family),
        tolerance=f"{ROUNDING:g}; Hessian: {ROUNDING:g} against autograd, 1e-7 against differences",
        verdict="reproduced" if holds else "differs",
        note=f"Hessian times random vectors: error {product:.1e} against autograd, {difference:.1e} against differences",
    )


def judge_excess(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Loss minus optimum is half the sum of the left-out eigenvalues of Sigma; relative to half the sum of all, 1e-10.

    With p < d_y the optimum itself leaves out the d_y - p least eigenvalues, which are subtracted. Both losses are taken
    from the definition, the expected value from the eigenvalues.
    """
    family = part(metrics, "family")
    if family.empty:
        return _nothing("half the sum", "no family")
    error = float(((family["excess"] - family["expected_excess"]).abs() / family["total"]).max())
    return Judgement(
        expected="half the sum of the eigenvalues left out (beyond those that width p must leave out)",
        measured=f"error at most {error:.1e} of half the sum of all",
        spread=_sets(family),
        tolerance=f"{ROUNDING:g}, for rounding",
        verdict="reproduced" if error <= ROUNDING else "differs",
    )


def judge_not_convex(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """(i) Not convex and not concave, each by one segment with its midpoint on the wrong side.

    Not convex: the midpoint of two global minima with opposite signs lies above both by half the sum of the eigenvalues
    (those within the width), to 1e-10 of it. Not concave: the midpoint of 0 and 2 W_{H+1} is the optimum, the ends are
    above it by the same amount.
    """
    table = part(metrics, "segment")
    if table.empty:
        return _nothing("above", "no segment")
    whole = table["expected_excess"]
    off = float((table["middle"] / whole - 1).abs().max())
    below = (table["ends"].abs() <= ROUNDING * whole) & (table["middle"] > table["ends"])
    concave = table["concave_middle"] < table["concave_ends"]
    holds = bool(below.all() and concave.all()) and off <= ROUNDING
    return Judgement(
        expected="midpoint of two global minima above both by half the sum of the eigenvalues; midpoint of the other segment "
        "below its ends",
        measured=f"relative error {off:.1e}; {int(below.sum())} and {int(concave.sum())} of {len(table)} segments",
        spread=_sets(table),
        tolerance=f"{ROUNDING:g} relative, for rounding; no exception",
        verdict="reproduced" if holds else "differs",
        note="random midpoints rarely show it: the segment joins minima with the signs of W_1 and W_(H+1) changed",
    )


def judge_minima_global(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """(ii) No local minimum above the optimum, in the family and among points found by least squares on the gradient.

    A critical point is shown not to be a local minimum by a negative eigenvalue or by a lower loss: along the explicit
    way down for the family, at every length t; by gradient descent from nearby for found points. One that has neither
    refutes the theorem: differs. Lower means by 1e-13 of the scale, ten roundings of a loss (a fall is 1e-10 and more).
    Undecided where the search found no critical point above the optimum, or nothing was computed.
    """
    ways, found = part(metrics, "way"), part(metrics, "search")
    found = found[found["kind"].isin(["strict saddle", "no negative eigenvalue"])] if len(found) else found
    if ways.empty or found.empty:
        return _nothing("no local minimum above the optimum", "no saddle was computed, or none was found by the search")
    stuck_family = ways[(ways["negative"] == 0) & (ways["down"] >= -1e-13 * ways["scale"])]
    degenerate = found[found["kind"] == "no negative eigenvalue"]
    stuck_found = degenerate[~(degenerate["lowest_nearby"] < -1e-13 * degenerate["scale"])]
    points = int((ways["t"] == ways["t"].max()).sum())
    flat = int(((ways["t"] == ways["t"].max()) & (ways["negative"] == 0)).sum())
    return Judgement(
        expected="0 local minima above the optimum",
        measured=f"{len(stuck_family)} of {points} points of the family, {len(stuck_found)} of {len(found)} found points",
        spread=_sets(ways[ways["t"] == ways["t"].max()]),
        tolerance="a negative eigenvalue, or a loss lower by 1e-13 of the scale nearby",
        verdict="differs" if len(stuck_family) + len(stuck_found) else "reproduced",
        note=f"{flat} of the family and {len(degenerate)} found points have no negative eigenvalue: their loss falls with a "
        "higher power of the distance",
    )


def judge_others_saddles(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """(iii) Every critical point above the optimum is a saddle: lower and higher losses at every distance.

    Along the explicit ways, at each of the lengths t the loss must be lower and higher than at the point by more than
    1e-13 of the scale (rounding of a loss is 1e-15).
    """
    ways = part(metrics, "way")
    if ways.empty:
        return _nothing("both", "no saddle was computed")
    both = (ways["down"] < -1e-13 * ways["scale"]) & (ways["up"] > 1e-13 * ways["scale"])
    return Judgement(
        expected="lower and higher loss at every distance",
        measured=f"both at {int(both.sum())} of {len(ways)} pairs of point and distance",
        spread=_sets(ways[ways["t"] == ways["t"].max()]) + f", t = {', '.join(f'{t:g}' for t in settings.way_lengths)}",
        tolerance="1e-13 of the scale, no exception",
        verdict="reproduced" if bool(both.all()) else "differs",
    )


def judge_full_rank(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """(iv) Middle product of rank p: the Hessian has a strictly negative eigenvalue, family and found points.

    Negative: below -1e-10 of the scale in the family (zeros come out at 1e-14); for found points, which are known less
    well, below what their gradient can hide (``dynamics.flat``, at most 3e-5). A found saddle of full rank
    without one is a counter-example: differs. Undecided without saddles.
    """
    table = saddles(metrics)
    table = table[table["rank"] == table["width"]] if len(table) else table
    found = part(metrics, "search")
    found = found[_true(found["full_rank"]) & found["kind"].isin(["strict saddle", "no negative eigenvalue"])]
    if table.empty:
        return _nothing("negative", "no saddle with a middle of rank p")
    without = int((table["negative"] == 0).sum()), int((found["kind"] == "no negative eigenvalue").sum())
    worst = float((table["least"] / table["scale"]).max())
    return Judgement(
        expected="a negative eigenvalue at every saddle with a middle product of rank p",
        measured=f"none at {without[0]} of {len(table)} points of the family and {without[1]} of {len(found)} found points; "
        f"least eigenvalue at most {worst:.2g} of the scale (family)",
        spread=_sets(table),
        tolerance="below -1e-10 of the scale (family), -(1e-9 + 10 sqrt(gradient)) (found points)",
        verdict="differs" if sum(without) else "reproduced",
    )


def judge_converse(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Rank p is sufficient, not necessary: below it some saddles have a negative eigenvalue and some have none.

    An existence: reproduced with at least one of each, differs when all are of one kind, undecided without any.
    """
    table = saddles(metrics)
    table = table[table["rank"] < table["width"]] if len(table) else table
    if table.empty:
        return _nothing("both kinds", "no saddle with a middle below rank p: needs H >= 2")
    strict = int((table["negative"] > 0).sum())
    return Judgement(
        expected="both kinds below rank p",
        measured=f"{strict} of {len(table)} have a negative eigenvalue, {len(table) - strict} have none",
        spread=_sets(table),
        tolerance="one of each kind",
        verdict="reproduced" if 0 < strict < len(table) else "differs",
    )


def judge_shallow(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Abstract: saddles without negative eigenvalue exist for H >= 2 and not for H = 1, family and found points.

    Counts; one at H = 1, or none at some H >= 2, refutes it. Undecided unless both kinds of depth were run.
    """
    table = saddles(metrics)
    shallow, deep = table[table["depth"] == 1], table[table["depth"] > 1]
    if shallow.empty or deep.empty:
        return _nothing("none; some", "needs H = 1 and H >= 2")
    found = part(metrics, "search")
    found = int(((found["kind"] == "no negative eigenvalue") & (found["depth"] == 1)).sum())
    bad = int((shallow["negative"] == 0).sum())
    each = (deep["negative"] == 0).groupby(deep["depth"]).sum()
    return Judgement(
        expected="H = 1: none; H >= 2: some",
        measured=f"H = 1: {bad} of {len(shallow)} in the family, {found} found; "
        + ", ".join(f"H = {depth:.0f}: {count}" for depth, count in each.items()),
        spread=_sets(table),
        tolerance="none",
        verdict="reproduced" if bad + found == 0 and each.min() > 0 else "differs",
    )


def judge_index(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Ours: the number of negative eigenvalues is (d_y - |S|)(r - |S|) + pairs of a kept and a larger left-out one.

    Integers, so no tolerance; one that differs refutes it. It makes precise which saddles have none: those that keep the
    largest eigenvalues and whose middle has no rank to spare.
    """
    family = part(metrics, "family")
    if family.empty:
        return _nothing("", "no family")
    same = family["negative"] == family["expected_negative"]
    return Judgement(
        expected="(d_y - |S|)(r - |S|) + number of pairs",
        measured=f"equal at {int(same.sum())} of {len(family)} points",
        spread=_sets(family),
        tolerance="none",
        verdict="reproduced" if bool(same.all()) else "differs",
    )


def judge_zero(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """At zero the Hessian is exactly 0 for H >= 2, and has the least eigenvalue -s_max(Y X^T) for H = 1.

    No tolerance for the first: every term has a factor 0. 1e-10 relative for the second (rounding).
    """
    family = part(metrics, "family")
    deep = family[(family["depth"] > 1) & (family["kept"] == 0) & (family["rank"] == 0)]
    shallow = family[(family["depth"] == 1) & (family["kept"] == 0)]
    if deep.empty:
        return _nothing("0", "needs H >= 2")
    entry = float(deep["largest_entry"].max())
    off = float((shallow["least"] / -shallow["top_singular_value"] - 1).abs().max()) if len(shallow) else 0.0
    also = f"; H = 1: relative error of -s_max(Y X^T) {off:.1e}" if len(shallow) else ""
    return Judgement(
        expected="0, exactly" + ("; H = 1: -s_max(Y X^T)" if len(shallow) else ""),
        measured=f"largest entry {entry:g}{also}",
        spread=_sets(deep),
        tolerance=f"none; H = 1: {ROUNDING:g} relative",
        verdict="reproduced" if entry == 0 and off <= ROUNDING else "differs",
    )


def judge_values(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Every critical point that the search finds has the loss of some subset S.

    Rounding decides nothing here: at a gradient of 1e-11 of the scale the loss of a degenerate point may be off by its
    distance cubed, about 1e-16; 1e-8 of half the sum of the eigenvalues is allowed, far below their gaps. Undecided when
    fewer than 20 critical points were found.
    """
    found = part(metrics, "search")
    found = found[found["kind"] != "not critical"] if len(found) else found
    if len(found) < 20:
        return _nothing("a value of the family", f"{len(found)} critical points were found")
    off = float((found["off_value"] / found["total"]).max())
    kinds = found["kind"].value_counts()
    return Judgement(
        expected="the loss of some subset S",
        measured=f"farthest {off:.1e} of half the sum of the eigenvalues",
        spread=f"worst of {len(found)} critical points from {int((part(metrics, 'search')['seed'] >= 0).sum())} starts",
        tolerance="1e-8",
        verdict="reproduced" if off <= 1e-8 else "differs",
        note=", ".join(f"{name}: {count}" for name, count in kinds.items()),
    )


def claims(settings: Settings) -> list[Claim]:
    theorem, both = ("004-TH1",), ("004-TH1", "001-Q1")
    listed = [
        ("critical", theorem, "The points of the family are critical.", judge_critical),
        ("excess", theorem, "Their loss minus the optimum is half the sum of the left-out eigenvalues.", judge_excess),
        ("not-convex", theorem, "(i) The loss is neither convex nor concave.", judge_not_convex),
        ("minima-global", theorem, "(ii) Every local minimum is a global minimum.", judge_minima_global),
        ("others-saddles", theorem, "(iii) Every other critical point is a saddle.", judge_others_saddles),
        ("full-rank", theorem, "(iv) Rank p of W_H ... W_2: the Hessian has a negative eigenvalue.", judge_full_rank),
        ("converse", theorem, "Ours: the converse of (iv) does not hold.", judge_converse),
        ("shallow", both, "Saddles without negative eigenvalue: none for H = 1, some for H ≥ 2.", judge_shallow),
        ("index", both, "Ours: the number of negative eigenvalues in closed form.", judge_index),
        ("zero", both, "At zero the Hessian is exactly 0 for H ≥ 2.", judge_zero),
        ("values", theorem, "Critical points found from random starts have losses of the family.", judge_values),
    ]
    return [Claim(*one) for one in listed] + claims_escape.claims(settings)
