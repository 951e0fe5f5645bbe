"""Words that several captions of this study need."""

from __future__ import annotations

from zeroloss.studies.rotskoff2018.experiment import Settings, SigmoidRun
from zeroloss.studies.wording import listed

TARGET = "Synthetic: the spherical 3-spin function, coefficients drawn by us"


def sphere_text(settings: Settings) -> str:
    s = settings.sphere
    cut = (
        ""
        if (s.step, s.steps) == (0.001, 200_000)
        else " (the paper: steps of 10^-3 to t = 200, the first half with noise)"
    )
    return (
        f"{TARGET} (seed {settings.target_seed}), d = {s.dimension}, a = {s.exponent:g}; {len(s.seeds)} realisations of the "
        f"start, c = 0, y uniform; Euler steps of {s.step:g} to t = {s.step * s.steps:g}, no noise{cut}, float64. Losses are "
        "exact, from closed forms"
    )


def run_text(run: SigmoidRun) -> str:
    printed = run.dimension in (10, 25) and run.steps >= 2_000_000 and run.quench_steps >= 200_000
    cut = "" if printed else " (ours)" if run.dimension not in (10, 25) else " (paper: 2e6 + 2e5)"
    return (
        f"d = {run.dimension}: n = {listed(run.widths)}, {run.steps} steps of {run.step:g} and {run.quench_steps} of "
        f"quench{cut}"
    )


def sigmoid_text(settings: Settings) -> str:
    s = settings.sigmoid
    start = "N(0, 1)" if s.charge_deviation == 1 else f"N(0, 1), c with deviation {s.charge_deviation:g}"
    return (
        f"{TARGET} (seed {settings.target_seed}); {len(s.seeds)} realisations; batches of floor(n/{s.batch_divisor}) fresh "
        f"points, squared in the quench; start {start}, step size and start not printed. "
        + "; ".join(run_text(run) for run in s.runs)
    )


def fluctuation_text(settings: Settings) -> str:
    s = settings.fluctuations
    return (
        f"{TARGET} (seed {settings.target_seed}), d = {s.dimension}, on {s.points} points of the sphere; sigmoid units, "
        f"start N(0, 1), full-batch steps of {s.step:g} to t = {s.step * max(s.times):g}; {len(s.seeds)} realisations; limit: "
        f"one network of n = {s.reference}"
    )
