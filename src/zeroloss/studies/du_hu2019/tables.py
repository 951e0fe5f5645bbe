"""Widths and steps of the theorems beside those found, and the maps as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.du_hu2019.compute import problem_of
from zeroloss.studies.du_hu2019.experiment import STARTS, TARGETS, Settings
from zeroloss.studies.du_hu2019.map_figures import cell_table
from zeroloss.studies.du_hu2019.widths import bound_widths
from zeroloss.studies.wording import listed, seeds_text
from zeroloss.theory import du_hu2019 as theory


def _problem(settings: Settings) -> theory.Problem:
    part = settings.theorem
    parameters = {
        "samples": part.samples, "outputs": part.outputs, "inputs": settings.inputs, "data_seed": settings.data_seed,
    }  # fmt: skip
    return problem_of(parameters, "unit_phi")


def conservative_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Width of the theorems with C = 1 and the least width found; l(0) beside its order; largest stable step."""
    problem, rows = _problem(settings), []
    stable = metrics[metrics["part"] == "stable"]
    runs = metrics[metrics["part"] == "run"]
    for start in STARTS:
        found = bound_widths(metrics, start)
        for depth in settings.theorem.depths:
            widths = found.loc[found["depth"] == depth, "width"]
            here = runs[(runs["start"] == start) & (runs["depth"] == depth)]
            steps = stable[(stable["start"] == start) & (stable["depth"] == depth)]
            order = theory.width_order(problem, depth, start, settings.failure)
            step = {"gaussian": theory.gaussian_step, "orthogonal": theory.orthogonal_step}[start](problem, depth)
            # multiples are of the Gaussian theorem's step
            largest = (steps["multiple"] * theory.gaussian_step(problem, depth)).min() if len(steps) else np.nan
            least = widths.max() if widths.notna().all() and len(widths) else np.nan
            rows.append(
                {
                    "start": start,
                    "L": depth,
                    "m of the theorem, C = 1": order,
                    "least m found": least,
                    "orders of magnitude, m": np.log10(order / least),
                    "eta of the theorem": step,
                    "largest stable eta": largest,
                    "largest stable / theorem": largest / step,
                    "end of the grid": bool(steps["at_grid_end"].any()) if len(steps) else False,
                    "largest l(0) / order of the theorem": here["start_loss"].max()
                    / theory.start_order(problem, settings.failure),
                }
            )
    return pd.DataFrame(rows)


def map_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The cells of the maps."""
    parts = [
        cell_table(metrics, settings, start, target).assign(start=start, target=target)
        for target in TARGETS
        for start in STARTS
    ]
    table = pd.concat(parts, ignore_index=True)
    names = {
        "target": "W*", "start": "start", "depth": "L", "width": "m", "log_ratio": "log10 l(T)/l(0), median",
        "converged_step": "step of convergence", "diverged": "seeds diverged", "first_diverged": "step of divergence",
    }  # fmt: skip
    return table[list(names)].rename(columns=names)


def tables(settings: Settings) -> list[Table]:
    part, heat, stable = settings.theorem, settings.heat, settings.stable
    return [
        Table(
            name="du_hu2019_conservative",
            items=("004-TH4",),
            title="Widths and steps of the theorems beside those found",
            caption=(
                f"n = {part.samples}, d_out = {part.outputs}, |Phi| = 1, delta = {settings.failure:g}. Least m found: from "
                f"there on the bound holds at every step, every one of {seeds_text(part.seeds)}, widths {listed(part.widths)}. "
                f"Largest stable eta: m = {stable.width}, below the start after {stable.steps} steps, all seeds."
            ),
            make=conservative_table,
        ),
        Table(
            name="du_hu2019_map",
            items=("004-TH4",),
            title="Final loss over depth and width",
            caption=(
                f"d_x = {settings.inputs}, n = {heat.samples}, d_y = {heat.outputs}, T = {heat.steps}, {seeds_text(heat.seeds)}; "
                "medians over the seeds that did not diverge."
            ),
            make=map_table,
        ),
    ]
