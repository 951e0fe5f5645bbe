"""How far the theorems' conditions are from what is run; what time the published curves have got to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.arora2019_fine_grained import cues
from zeroloss.studies.arora2019_fine_grained.experiment import Settings
from zeroloss.studies.arora2019_fine_grained.published_claims import PRINTED_STEP
from zeroloss.studies.contract import Table
from zeroloss.theory import arora2019_fine_grained as theory

DELTA = 0.05
ACCURACY = 0.05


def conditions_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for source, here in metrics.groupby("source", sort=False):
        spectrum = here[(here["part"] == "spectrum") & (here["label"] == "true")]
        n, step = len(spectrum), float(spectrum["step_size"].iloc[0])
        least, largest = float(spectrum["eigenvalue"].min()), float(spectrum["eigenvalue"].max())
        noise = here[here["part"] == "noise"].groupby("portion")["complexity"].mean()
        # the theorem's epsilon is on |y - u|, which is sqrt(n) at the start
        width = theory.required_width(n, least, settings.nets.kappa, DELTA, ACCURACY * n**0.5)
        rows.append(
            {
                "data": source,
                "n": n,
                "d": int(here["dimension"].iloc[0]),
                "lambda_0": least,
                "lambda_max": largest,
                "step": step,
                "orders of magnitude above the step of Theorem 4.1": np.log10(step / theory.allowed_step(n, least)),
                "width of the networks": settings.nets.width,
                "orders of magnitude below the width of Theorem 4.1": np.log10(width / settings.nets.width),
                "complexity, true labels": float(noise.loc[0.0]),
                "complexity, random labels": float(noise.loc[1.0]),
            }
        )
    return pd.DataFrame(rows)


def time_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = []
    for dataset in ("mnist", "cifar"):
        curves, spectrum = cues.published_curves(dataset), cues.published_spectrum(dataset)
        for label in ("random", "worst case"):
            curve = curves[curves["label"] == label]
            places = [len(curve) // 4, len(curve) // 2, len(curve) - 1]
            for _, one in cues.implied_steps(curve.iloc[places], spectrum, label).iterrows():
                rows.append(
                    {
                        "data": dataset,
                        "labels": label,
                        "iteration": int(one["iteration"]),
                        "time in the limit": one["time"],
                        "implied step": one["step_size"],
                        "printed over implied": PRINTED_STEP / one["step_size"],
                    }
                )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    return [
        Table(
            name="arora2019_fine_grained_conditions",
            items=("004-F9",),
            title="Conditions of Theorem 4.1 and what is run",
            caption=f"Orders without the theorem's constants, delta = {DELTA:g}, epsilon = {ACCURACY:g} |y|; lambda_0 and "
            f"complexity on all training images; kappa = {settings.nets.kappa:g}.",
            make=conditions_table,
        ),
        Table(
            name="arora2019_fine_grained_time",
            items=("004-F9",),
            title="The time axis of Figure 1 (a) and (c)",
            caption="Published numbers only: the time at which Theorem 4.1 with the published eigenvalues gives the "
            f"published loss, over the printed iteration. Printed step: {PRINTED_STEP:g}. Eigenvalues beyond the panel's "
            "upper edge are filled in from the trace n/2; they are fitted long before.",
            make=time_table,
        ),
    ]
