"""Claims on empirical Rademacher complexities (eq. 1)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Claim, Judgement
from zeroloss.studies.zhang2017_theory.experiment import Settings
from zeroloss.studies.zhang2017_theory.slopes import bootstrap_slope, slope_judgement


def _of(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    return metrics[(metrics["part"] == "rademacher") & (metrics["class"] == name)]


def _judge_decay(metrics: pd.DataFrame, name: str) -> Judgement:
    """A norm ball's complexity falls like n^-1/2, the norm bound above it and no more than sqrt(2) away, at every n.

    Its bound is exactly proportional to n^-1/2, as K(x, x) is constant here; R_n over the bound lies between 1/sqrt(2)
    and 1, by Latala and Oleszkiewicz 1994 and Jensen, and tends to a constant as n grows over the spectrum of K.
    Tolerance of the slope 0.05: that ratio can change by at most a factor sqrt(2), which over n from 75 to 1200 would
    be 0.125; less than half of it is allowed. The means over draws may pass the two bounds by two standard errors.
    """
    parts, slopes, inside = [], [], []
    part = _of(metrics, name)
    for title, group in part.groupby("data_title"):
        by = group.groupby("samples")
        mean, error, bound = by["value"].mean(), by["value"].sem(), by["bound"].first()
        inside.append(bool((mean <= bound + 2 * error).all() and (mean >= bound / np.sqrt(2) - 2 * error).all()))
        ratio = mean / bound
        parts.append(f"{title}: mean over bound {ratio.min():.3f} to {ratio.max():.3f}")
        slopes.append(bootstrap_slope(group, "samples", "value"))
    worst = max(slopes, key=lambda one: abs(one.value + 0.5))
    judged = slope_judgement(
        worst, -0.5, 0.05, "log-log slope over n of the median, the data set furthest from -1/2", "; ".join(parts)
    )
    if judged.verdict == "reproduced" and not all(inside):
        return Judgement(**{**judged.__dict__, "verdict": "differs", "note": f"outside the two bounds; {judged.note}"})
    return judged


def judge_linear(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_decay(metrics, "linear")


def judge_relu_kernel(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_decay(metrics, "relu kernel")


def judge_gaussian_kernel(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    return _judge_decay(metrics, "gaussian kernel")


def judge_networks(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """Networks with 10 parameters or more for each sample reach a correlation of 0.99 or more with random signs.

    Theorem 1 makes R_n = 1 exactly from width n on. Below that width only training tells; ten parameters for each
    number to be fitted is what counting asks with a margin of an order, and 0.99 leaves one sign in 200 to a training
    run that stops early. A lower bound of the supremum: what training misses, another network of the class may have.
    """
    nets = _of(metrics, "network")
    mean = nets.groupby(["data_title", "samples", "width"]).agg(
        value=("value", "mean"), low=("value", "min"), parameters=("parameters", "first")
    )
    rich = mean[mean["parameters"] >= 10 * mean.index.get_level_values("samples")]
    if rich.empty:
        return Judgement("0.99 or more", "not measured", "", "", "undecided", "no network with 10 n parameters here")
    widest = mean.xs(nets["width"].max(), level="width")["value"]
    last = int(nets["samples"].max())
    narrow = mean.xs(nets["width"].min(), level="width")["value"].xs(last, level="samples")
    return Judgement(
        expected="0.99 or more, up to 1",
        measured=f"{rich['value'].min():.4f} (least mean over draws of {len(rich)} pairs n, m with 10 n parameters); "
        "at "
        f"m = {int(nets['width'].max())}: {widest.min():.4f} or more for n up to {last}",
        spread=f"least of single draws: {rich['low'].min():.4f} ({int(nets['draw'].nunique())} draws)",
        tolerance="0.99",
        verdict="reproduced" if rich["value"].min() >= 0.99 else "differs",
        note=f"m = {int(nets['width'].min())} at n = {last}: {narrow.min():.3f} to {narrow.max():.3f}",
    )


def judge_balls(metrics: pd.DataFrame, settings: Settings) -> Judgement:
    """The ball of H-infinity just large enough for random labels has R_n about 1 or more; that of the true labels less.

    (s' K^-1 s)(s' K s) >= n^2 (Cauchy-Schwarz), so with the radius of the drawn signs themselves the supremum is at
    least 1; the radius here is that of an independent draw. Tolerance: its relative spread between draws, about n^-1/2
    each for radius and supremum, three times: R_n >= 1 - 3 sqrt(2 / n) for random labels; for the true ones R_n below
    that of random labels at every n.
    """
    random, true = (
        _of(metrics, f"ball of {what} labels").groupby(["data_title", "samples"])["value"].mean()
        for what in ("random", "the true")
    )
    sizes = random.index.get_level_values("samples").to_numpy(dtype=float)
    enough = bool((random.to_numpy() >= 1 - 3 * np.sqrt(2 / sizes)).all())
    smaller = bool((true < random).all())
    share = true / random
    return Judgement(
        expected="random labels: 1 or more; true labels: less",
        measured=f"random labels {random.min():.2f} to {random.max():.2f}; true over random {share.min():.3f} to "
        f"{share.max():.3f}",
        spread=f"{settings.rademacher.class_draws} draws of the signs, one of each radius",
        tolerance="1 - 3 sqrt(2/n); below 1",
        verdict="reproduced" if enough and smaller else "differs",
    )


def claims(settings: Settings) -> list[Claim]:
    item = ("004-E3",)
    return [
        Claim("linear-class", item, "A ball of linear functions: R_n falls like n^-1/2.", judge_linear),
        Claim("relu-kernel-class", item, "A ball of the H-infinity RKHS: R_n falls like n^-1/2.", judge_relu_kernel),
        Claim("gaussian-kernel-class", item, "A ball of the Gaussian RKHS: R_n falls like n^-1/2.", judge_gaussian_kernel),
        Claim("networks", item, "Networks that fit random labels have R_n near 1, so eq. 1 says nothing.", judge_networks),
        Claim("balls-that-fit", item, "A kernel ball large enough for random labels has R_n of 1 or more (ours).", judge_balls),
    ]  # fmt: skip
