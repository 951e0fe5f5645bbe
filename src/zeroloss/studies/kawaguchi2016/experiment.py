"""What a cell computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from zeroloss.datasets.recipes import Dataset
from zeroloss.studies.kawaguchi2016.dynamics import run_escape, run_search
from zeroloss.studies.kawaguchi2016.family import run_family


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """Rows of one part: family (with way, segment, slice), search, or escape (with curve); column ``part`` tells which.

    float64 on the CPU whatever the device: the matrices have at most some tens of rows.
    """
    from zeroloss.progress import Progress

    part, seeds, depths = parameters["part"], len(parameters["seeds"]), len(parameters["depths"])
    parts = {"family": (run_family, seeds), "search": (run_search, seeds * depths), "escape": (run_escape, depths)}
    work, total = parts[part]
    with Progress(total, f"kawaguchi2016 {part}", quiet) as progress:
        table = work(parameters, progress)
    return table.assign(data_title="Gaussian inputs", fidelity="synthetic", labels="linear map with noise")
