"""Claims on kernel interpolation (Table 3)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss import published
from zeroloss.studies.contract import Claim, Judgement, Verdict
from zeroloss.studies.zhang2017_theory.experiment import Settings


def _solved(metrics: pd.DataFrame, labels: str | None = None) -> pd.DataFrame:
    part = metrics[metrics["part"] == "kernel"]
    return part if labels is None else part[part["label_kind"] == labels]


def judge_interpolates(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """K alpha = y is solved, with true and with random labels: training error 0 without regularisation.

    Tolerance on |K alpha - y| / |y|: ten times the tolerance of conjugate gradients for tiles; 1e-10 for Cholesky,
    whose backward error n u |K| |alpha| / |y| stays below it while the condition number is below 1e10 / n.
    """
    solved = _solved(metrics)
    limit = np.where(solved["solver"] == "tiles", 10 * settings.kernels.tolerance, 1e-10)
    excess = float((solved["residual"] / limit).max())
    return Judgement(
        expected="0",
        measured=f"{solved['residual'].max():.2g} (largest relative residual)",
        spread=f"the worst of {len(solved)} solutions",
        tolerance=f"1e-10 (Cholesky), {10 * settings.kernels.tolerance:.0e} (tiles)",
        verdict="reproduced" if excess <= 1 else "differs",
    )


def judge_falls(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The test error of the interpolant falls with n, from each n to the next and clearly from the first to the last.

    The sign decides; first minus last over seeds with a t interval (Bonferroni over kernels and data sets) that leaves
    out 0. Between neighbours means may rise by two standard errors of their difference.
    """
    from zeroloss.theory.statistics import estimate

    solved = _solved(metrics, "true")
    groups = list(solved.groupby(["data_title", "kernel"]))
    rows, clear, monotone = [], [], True
    for (title, kernel), group in groups:
        table = group.pivot_table(index="seed", columns="samples", values="test_error")
        drop = estimate(table.iloc[:, 0] - table.iloc[:, -1], len(groups))
        clear.append((drop.mean, drop.half_width))
        steps = table.diff(axis=1).iloc[:, 1:]
        monotone &= bool((steps.mean() <= 2 * steps.sem().fillna(0)).all())
        first, last = table.iloc[:, 0].mean(), table.iloc[:, -1].mean()
        sizes = f"n = {int(table.columns[0])} to {int(table.columns[-1])}"
        rows.append(f"{title}, {kernel}: {first:.3f} to {last:.3f} ({sizes}), fall {drop}")
    verdict: Verdict = "undecided"
    if all(mean > half for mean, half in clear) and monotone:
        verdict = "reproduced"
    elif not monotone or any(mean < -half for mean, half in clear):
        verdict = "differs"
    return Judgement(
        expected="falls",
        measured="; ".join(rows),
        spread="95 % t intervals, together",
        tolerance="the sign",
        verdict=verdict,
    )


def judge_norm(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The minimum-norm solution has a larger RKHS norm for random labels than for true ones, at every n, kernel, seed.

    No tolerance: both are exact for the same K, and random labels are not smooth in x. Every single pair must agree.
    """
    table = _solved(metrics).pivot_table(
        index=["data_title", "kernel", "samples", "seed"], columns="label_kind", values="norm"
    )
    ratio = table["random"] / table["true"]
    mean = ratio.groupby(level=["kernel", "samples"]).mean()
    return Judgement(
        expected="above 1",
        measured="; ".join(f"{kernel}, n = {int(n)}: {value:.2f}" for (kernel, n), value in mean.items()),
        spread=f"all {len(ratio)} pairs: {ratio.min():.3f} to {ratio.max():.3f}",
        tolerance="none: above 1 for every pair",
        verdict="reproduced" if ratio.min() > 1 else "differs",
    )


def judge_tiles(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Tiles and Cholesky give the same predictions.

    The gap is at most |k_x K^-1 r|, which is not larger than the residual times sqrt(n) times |K^-1 k_x|, itself of
    order 1: ten times sqrt(n) times the residual asked of conjugate gradients is allowed, times |y| <= sqrt(n).
    """
    part = metrics[metrics["part"] == "solver"]
    if part.empty:
        return Judgement("0", "not measured", "", "", "undecided", "no size is solved by both")
    limit = float((10 * part["samples"] * settings.kernels.tolerance).max())
    worst = float(part["prediction_gap"].max())
    return Judgement(
        expected="0",
        measured=f"{worst:.2g} (largest difference of an output on test images), n = {int(part['samples'].max())}",
        spread=f"the worst of {len(part)} solves; {int(part['iterations'].min())} to {int(part['iterations'].max())} "
        "iterations",
        tolerance=f"{limit:.0e}",
        verdict="reproduced" if worst <= limit else "differs",
    )


def judge_published(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """1.2 % on MNIST at n = 60000 (1.22 % with the printed code).

    Tolerance: the same code on the same data is deterministic; half a unit of 1.2 %, and two binomial standard errors
    of 10000 test images (0.22 %) for another library's pixels. Undecided at any other n or data set: nothing is
    published there.
    """
    paper = published.load("zhang2017_table3")
    printed = paper[(paper["data"] == "mnist") & (paper["preprocessing"] == "none (printed code)")].iloc[0]
    solved = _solved(metrics, "true")
    same = solved[
        (solved["data_title"] == "MNIST") & (solved["samples"] == printed["n"]) & (solved["kernel"] == "gaussian")
    ]
    if same.empty:
        sizes = f"{', '.join(solved['data_title'].unique())}, n up to {int(solved['samples'].max())}"
        return Judgement(
            f"{printed['test_error']:.2%}", "not measured", "", "", "undecided",
            f"published for MNIST at n = 60000 only, not comparable with {sizes}; the scale paper has it",
        )  # fmt: skip
    tolerance = 0.0005 + 2 * np.sqrt(printed["test_error"] * (1 - printed["test_error"]) / 10000)
    error, norm = same["test_error"].mean(), same["norm"].mean()
    return Judgement(
        expected=f"{printed['test_error']:.2%}",
        measured=f"{error:.2%}",
        spread="all 60000 images: no draw",
        tolerance=f"± {tolerance:.2%}",
        verdict="reproduced" if abs(error - printed["test_error"]) <= tolerance else "differs",
        note=f"RKHS norm {norm:.0f}, norm of alpha {same['coefficient_norm'].mean():.0f}; the text says about 220",
    )


def claims(settings: Settings) -> list[Claim]:
    item = ("004-T1",)
    return [
        Claim("kernel-interpolates", item, "K alpha = y fits true and random labels exactly.", judge_interpolates),
        Claim("kernel-test-error", item, "The interpolant generalises: its test error falls with n.", judge_falls),
        Claim("kernel-norm", item, "Random labels need a larger norm than true ones.", judge_norm),
        Claim("kernel-tiles", item, "Solving by tiles changes nothing (what n = 60000 needs; ours).", judge_tiles),
        Claim("kernel-published", item, "Test error 1.2 % on MNIST without preprocessing.", judge_published),
    ]
