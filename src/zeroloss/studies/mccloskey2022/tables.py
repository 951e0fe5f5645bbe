"""Widths by n, output weights, and methods in numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.mccloskey2022.settings import Settings
from zeroloss.studies.wording import seeds_text
from zeroloss.theory import mccloskey2022 as theory
from zeroloss.theory.bootstrap import BootstrapSlope, slope_of_medians

SERIES = ("square", "fixed")


def width_groups(metrics: pd.DataFrame, settings: Settings, series: str) -> dict[float, np.ndarray]:
    """n -> smallest width of every seed; sizes for which half of the seeds or more found none are left out.

    A seed that found none counts as the largest width: its true number is larger, which a median above does not feel.
    """
    table = metrics[(metrics["part"] == "smallest_width") & (metrics["series"] == series)]
    found = {}
    for n, group in table.groupby("samples"):
        if 2 * group["smallest_width"].notna().sum() > len(group):
            found[float(n)] = group["smallest_width"].fillna(settings.smallest_width.largest_width).to_numpy()
    return found


def exponent(metrics: pd.DataFrame, settings: Settings, series: str) -> BootstrapSlope:
    """The exponent of the median smallest width against n, with its percentile bootstrap interval."""
    from zeroloss.randomness import numpy_generator

    groups = width_groups(metrics, settings, series)
    return slope_of_medians(groups, settings.smallest_width.resamples, numpy_generator(0, "bootstrap", series))


def width_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Measured widths beside the theorem's, and by how many powers of ten it is larger."""
    table = metrics[metrics["part"] == "smallest_width"]
    rows = []
    for (series, n), group in table.groupby(["series", "samples"], sort=False):
        widths = group["smallest_width"].fillna(settings.smallest_width.largest_width)
        lambda_0 = float(group["lambda_0"].median())
        theorem = theory.theorem_width(int(n), lambda_0, settings.smallest_width.failure)
        rows.append(
            {
                "series": "d = n" if series == "square" else f"d = {settings.smallest_width.fixed_dimension}",
                "n": int(n),
                "lambda_0": lambda_0,
                "smallest m, median": float(widths.median()),
                "least seed": float(widths.min()),
                "largest seed": float(widths.max()),
                "seeds without": int(group["smallest_width"].isna().sum()),
                "theorem n^6/(lambda_0^4 delta^3)": theorem,
                "powers of ten above": float(np.log10(theorem / widths.median())),
            }
        )
    return pd.DataFrame(rows)


def law_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Mean over seeds by width, law of a_r and step size."""
    table = metrics[metrics["part"] == "output_law"]
    rows = []
    for (width, law, factor), group in table.groupby(["width", "law", "step_factor"]):
        steps = group["steps_to_threshold"]
        rows.append(
            {
                "m": int(width),
                "a_r": "±1" if law == "signs" else "uniform on [-1, 1]",
                "step size over eta": factor,
                "steps to threshold": steps.mean(),
                "seed spread": steps.std(ddof=1) if len(steps) > 1 else np.nan,
                "lambda_min(H(0)) / (E a^2 lambda_0)": (group["lambda_min_start"] / group["lambda_0"]).mean(),
                "changed patterns": group["pattern_change"].mean(),
                "largest distance": group["max_distance"].mean(),
            }
        )
    return pd.DataFrame(rows)


def method_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Steps to the threshold and distance travelled, by loss and method."""
    curve = metrics[metrics["part"] == "methods_curve"]
    rows = []
    for (loss, method), group in metrics[metrics["part"] == "methods"].groupby(["loss_name", "method"], sort=False):
        here = curve[(curve["loss_name"] == loss) & (curve["method"] == method)]
        last = here[here["step"] == here["step"].max()]
        steps = group["steps_to_threshold"]
        rows.append(
            {
                "loss": loss,
                "method": method.replace("_", " "),
                "step size": group["step_size"].mean(),
                "momentum": group["momentum"].mean(),
                "steps to threshold": steps.mean() if steps.notna().all() else np.nan,
                "seed spread": steps.std(ddof=1) if steps.notna().all() and len(steps) > 1 else np.nan,
                "runs that reach it": f"{int(steps.notna().sum())} of {len(steps)}",
                "distance there": group["distance_at_threshold"].mean(),
                "least loss over start": group["least_relative_loss"].mean(),
                "loss over start, last step": last["relative_loss"].mean(),
                "distance, last step": last["rms_distance"].mean(),
                "largest distance, last step": last["max_distance"].mean(),
                "changed patterns, last step": last["pattern_change"].mean(),
            }
        )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    s, o, m = settings.smallest_width, settings.output_law, settings.methods
    return [
        Table(
            name="mccloskey2022_widths",
            items=("003-Q2",),
            title="The smallest width that trains, and the theorem's",
            caption=(
                f"Inputs uniform on the sphere (synthetic), labels N(0, 1), {seeds_text(s.seeds)}. Smallest m for which "
                f"the bound (1 - eta lambda_0 / 2)^k holds until the squared error is {s.threshold:g} of the start, "
                f"eta = {s.relative_step:g} / lambda_max. The theorem's constant is put to 1, delta = {s.failure:g}."
            ),
            make=width_table,
        ),
        Table(
            name="mccloskey2022_output_law",
            items=("003-Q3",),
            title="Output weights ±1 and uniform on [-1, 1]",
            caption=(
                f"n = {o.samples}, d = {o.dimension}, eta = {o.relative_step:g} / lambda_max(H-infinity), {o.steps} steps, "
                f"{seeds_text(o.seeds)}; threshold {o.threshold:g} of the initial error. Means over seeds."
            ),
            make=law_table,
        ),
        Table(
            name="mccloskey2022_methods",
            items=("003-Q9",),
            title="Steps and distance by loss and method",
            caption=(
                f"n = {m.samples}, d = {m.dimension}, m = {m.width}, labels ±1, {m.steps} full-batch steps, "
                f"{seeds_text(m.seeds)}; threshold {m.threshold:g} of the initial loss. Distance: root mean square over "
                f"units of |w_r - w_r(0)|. Adam: beta = ({m.adam_momentum:g}, {m.adam_memory:g}); RMSProp: alpha = "
                f"{m.rmsprop_memory:g}. Means over seeds; momentum from the spectrum of H-infinity."
            ),
            make=method_table,
        ),
    ]
