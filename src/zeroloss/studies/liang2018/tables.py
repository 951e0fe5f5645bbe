"""The bad minima, the ends of the runs, the critical points and the assumptions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.liang2018.experiment import STATIONARY
from zeroloss.studies.liang2018.settings import Settings
from zeroloss.studies.liang2018.toys import TOYS
from zeroloss.studies.wording import listed, seeds_text

# Coordinates up to here are a point of the plane; beyond, the search is on its way to infinity (exp(10) = 22026).
FINITE = 10.0
# A total loss below this is that of the global minimum, 0, at the accuracy of a gradient of 1e-8: l ~ (l' / 3)^(3/2).
AT_ZERO = 1e-10


def at_end(metrics: pd.DataFrame) -> pd.DataFrame:
    """Last record of every run of descent, one row each."""
    part = metrics[metrics["part"] == "descent"]
    return part[part["step"] == part["step"].max()]


def critical_points(metrics: pd.DataFrame) -> pd.DataFrame:
    """Ends of the search with their kind: at infinity, not critical, global minimum or other."""
    part = metrics[metrics["part"] == "critical"]
    kinds = np.select(
        [~(part["gradient"] <= STATIONARY), part["largest_parameter"] > FINITE, part["loss"] <= AT_ZERO],
        ["not critical", "towards infinity", "global minimum"],
        "other critical point",
    )
    return part.assign(kind=kinds)


def bad_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    part = metrics[metrics["part"] == "bad"]
    return pd.DataFrame(
        {
            "base network": part["toy"], "L_n": part["base_loss"], "closed form": part["bad_loss"], "least L_n": 0.0,
            "gradient": part["gradient"], "least curvature": part["curvature"],
            "largest curvature": part["largest_curvature"], "misclassified": part["base_rate"],
            "gradient with a silent neuron": part["neuron_gradient"],
            "least curvature with it": part["neuron_curvature"], "lowering by a move": part["lowered"],
        }
    )  # fmt: skip


def descent_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per network and lambda; medians over seeds, the worst seed beside the loss."""
    end = at_end(metrics)
    rows = []
    for name in TOYS:
        for regulariser in [None, *settings.descent.regularisers]:
            chosen = end["model"] == "alone" if regulariser is None else end["regulariser"] == regulariser
            group = end[(end["toy"] == name) & chosen]
            rows.append(
                {
                    "base network": name, "lambda": "no neuron" if regulariser is None else f"{regulariser:g}",
                    "runs": len(group), "diverged": int((group["diverged_at"] >= 0).sum()),
                    "total loss, median": group["loss"].median(), "largest": group["loss"].max(),
                    "gradient, median": group["gradient"].median(), "L_n, median": group["base_loss"].median(),
                    "misclassified with neuron": group["rate"].mean(), "by f alone": group["base_rate"].mean(),
                    "|a|, median": group["a"].abs().median(), "|w|, median": group["w"].abs().median(),
                    "b, median": group["b"].median(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def critical_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for (name, regulariser, kind), group in critical_points(metrics).groupby(["toy", "regulariser", "kind"]):
        excess = group["regulariser"] * group["a"] ** 2 - group["gradient"] * np.sqrt(1 + group["a"] ** 2)
        rows.append(
            {
                "base network": name, "lambda": regulariser, "kind": kind, "points": len(group),
                "largest gradient": group["gradient"].max(), "largest |a|": group["a"].abs().max(),
                "largest excess over the bound": max(excess.max(), 0.0),
                "largest defect of dL/da = S + lambda a": group["defect_a"].max(),
                "largest defect of dL/db = a S": group["defect_b"].max(),
                "total loss": f"{group['loss'].min():.3g} to {group['loss'].max():.3g}",
                "least curvature": group["curvature"].min(), "least lowering by a move": group["lowered"].min(),
                "largest L_n": group["base_loss"].max(), "misclassified by f alone": group["base_rate"].mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def assumption_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    part = metrics[metrics["part"] == "assumption"]
    return pd.DataFrame(
        {
            "dropped": part["dropped"], "gradient": part["gradient"], "least change by a move": part["least_change"],
            "total loss": part["loss"], "least total loss": part["least_loss"], "L_n": part["base_loss"],
            "misclassified by f": part["base_rate"], "least rate": part["least_rate"], "a": part["a"],
        }
    )  # fmt: skip


def tables(settings: Settings) -> list[Table]:
    descent, critical, assumptions = settings.descent, settings.critical, settings.assumptions
    data = " and ".join(f"{name}: n = {len(getattr(settings, name).inputs)}" for name in TOYS)
    minority, majority = assumptions.copies
    return [
        Table(
            name="liang2018_bad_minima",
            items=("004-TH2",),
            title="The bad minima of the base networks alone",
            caption=f"Synthetic samples on the line ({data}). Both outputs are the best constant there. The dead ReLU is flat "
            "in three directions; every point nearby has a loss at least as large, since only d acts. A silent neuron, "
            "a = w = b = 0, makes critical points of them again (lambda = 1), which a move of w and a leaves; at the quadratic "
            "unit the Hessian does not show it.",
            make=bad_table,
        ),
        Table(
            name="liang2018_descent",
            items=("004-TH2",),
            title="Where gradient descent is after its last step",
            caption=f"{descent.steps} steps of size {descent.step:g}, {seeds_text(descent.seeds)}, float64. L_n is the loss "
            "of the base network without the neuron: not what is minimised.",
            make=descent_table,
        ),
        Table(
            name="liang2018_critical",
            items=("004-TH2",),
            title="Ends of the search for critical points",
            caption=f"{critical.starts} random starts each, seed {critical.seed}. Critical: gradient below {STATIONARY:g}; "
            f"towards infinity: a parameter beyond {FINITE:g}. Bound: lambda a^2 <= g sqrt(1 + a^2), g the gradient. "
            "Not critical: the search stopped at a local minimum of the gradient's norm, or at its last step. Lowering: how "
            "much the total loss falls when w moves by a radius and a follows; the least over radii "
            f"{listed(critical.radii)}. A curvature of 0 or above does not make "
            "a minimum: some points are left only at fourth order.",
            make=critical_table,
        ),
        Table(
            name="liang2018_assumptions",
            items=("004-TH2",),
            title="The theorem without one of its assumptions",
            caption="Points of the network with a dead ReLU. lambda = 0: the neuron does the work, and the base network need "
            "not. Assumption 1 dropped: l(z) = max(0, z)^3. Assumption 2 dropped: one input with "
            f"{minority} labels -1 and {majority} labels 1, l(z) = m^3/(1 + m^3) with m = max(0, z + 1), which satisfies "
            f"Assumption 1. Least change over {assumptions.moves} random moves of all seven parameters, up to length "
            f"{assumptions.radius:g} (seed {assumptions.seed}): not below zero, to rounding, at a local minimum.",
            make=assumption_table,
        ),
    ]
