"""Nonlinear residual networks on images: training loss and error from three starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroloss.randomness import torch_generator

if TYPE_CHECKING:
    from zeroloss.datasets.recipes import Dataset
    from zeroloss.progress import Progress

Rows = list[dict[str, Any]]
# name -> label
STARTS = {"mzas": "mZAS (our reading)", "near_identity": "near identity", "he": "standard (He)"}
CLASS_COUNT = 10


def rows(parameters: Mapping[str, Any], data: Dataset, device: str, progress: Progress) -> Rows:
    """For each start: pilot runs over the grid of step sizes, then all seeds at the best step size without divergence.

    z_0 = A x with A fixed, entries N(0, 1) for unit inputs (minus their mean), so that entries of z_0 are of order 1.
    Rows: part ``pilot`` (one per step size), part ``residual`` (one per seed and step).
    """
    import torch

    from zeroloss.networks import residual_blocks
    from zeroloss.training.residual_descent import descend

    seeds, depth, width = parameters["seeds"], parameters["depth"], parameters["width"]
    x = torch.from_numpy(data.x.T).float()
    classes = torch.from_numpy(data.y).long().to(device)
    maps = [torch.randn(width, len(x), generator=torch_generator(seed, "input map")) for seed in seeds]
    z = torch.stack([first @ x for first in maps]).to(device)
    about = {"depth": depth, "source": parameters["source"], "data_title": data.info["title"]}
    about |= {"fidelity": data.info["fidelity"], "labels": data.info["labels"]}
    found: Rows = []
    for start in STARTS:
        generators = [torch_generator(seed, "blocks", depth) for seed in seeds]
        network = residual_blocks.start(start, depth, width, CLASS_COUNT, generators)
        falls = {}
        for eta in parameters["step_grid"]:
            pilot = descend(network, z, classes, [eta] * len(seeds), parameters["pilot_steps"])
            ended = pilot.losses[:, -1]
            # a start that diverges for one seed is of no use: NaN
            falls[eta] = float(np.log(ended / pilot.losses[:, 0]).mean())
            diverged = int((pilot.diverged_at >= 0).sum())
            found.append({"part": "pilot", "start": start, **about, "step_size": eta, "fall": falls[eta],
                          "diverged": diverged})  # fmt: skip
        usable = {eta: fall for eta, fall in falls.items() if np.isfinite(fall)}
        eta = min(usable, key=lambda value: usable[value]) if usable else min(falls)
        path = descend(network, z, classes, [eta] * len(seeds), parameters["steps"])
        for index, seed in enumerate(seeds):
            name = {"part": "residual", "start": start, **about, "seed": seed, "step_size": eta}
            name["diverged_at"] = int(path.diverged_at[index])
            for k in np.flatnonzero(np.isfinite(path.losses[index])):
                found.append({**name, "step": int(k), "loss": path.losses[index, k], "error": path.errors[index, k]})
        progress.advance(state=f"L={depth}, {start}")
    return found
