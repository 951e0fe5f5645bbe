"""Agreement with the published curves, rates by width, eigenvalues of the data sets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.du2018a.experiment import VARIANTS, Settings, published_curves
from zeroloss.studies.wording import seeds_text
from zeroloss.theory import du2018a as theory


def deviations(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame | None:
    """Our curves against the published ones over all steps, one row per panel and width; None where sizes differ.

    Everything is compared in logarithms, so that a deviation is a relative one on every panel and the spreads of the
    five widths can be pooled: with S seeds a spread from one width alone has S - 1 degrees of freedom, too few.

    Columns: panel, width, published / ours / spread at the last step (in the panel's units), rms deviation over the
    curve in pooled spreads and in percent, worst deviation in percent.
    """
    curves = published_curves(settings)
    if curves is None:
        return None
    table = metrics[metrics["variant"] == "as_published"]
    logs = {
        "a": table.assign(value=np.log(table["mean_squared_error"])),
        "b": table.assign(value=np.log(table["pattern_change"].where(table["pattern_change"] > 0))),
        "c": table.assign(value=2 * np.log(table["max_distance"].where(table["max_distance"] > 0))),
    }
    rows = []
    for panel, ours in logs.items():
        by_step = ours.groupby(["width", "step"])["value"]
        mean, variance = by_step.mean(), by_step.var(ddof=1)
        paper = curves[curves["panel"] == panel].set_index(["width", "step"])["value"]
        paper = paper if panel == "a" else np.log(paper)
        shared = mean.index.intersection(paper.index)
        gap = mean[shared] - paper[shared]
        pooled = float(np.sqrt(variance[shared].mean()))
        last = int(shared.get_level_values("step").max())
        for width in settings.synthetic.widths:
            here = gap.xs(width, level="width")
            final = ours[(ours["width"] == width) & (ours["step"] == last)]["value"]
            shown = final if panel == "a" else np.exp(final)
            rms = float(np.sqrt((here**2).mean()))
            rows.append(
                {
                    "panel": panel,
                    "width": width,
                    "published, last step": float(paper[width, last] if panel == "a" else np.exp(paper[width, last])),
                    "ours, last step": float(shown.mean()),
                    "seed spread, last step": float(shown.std(ddof=1)),
                    "deviation over the curve, spreads": rms / pooled if pooled > 0 else np.nan,
                    "deviation over the curve, %": 100 * float(np.expm1(rms)),
                    "worst deviation, %": 100 * float(np.expm1(here.abs().max())),
                }
            )
    return pd.DataFrame(rows)


def agreement_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    found = deviations(metrics, settings)
    if found is None:
        return pd.DataFrame(
            {"note": ["the published curves have n = d = 1000 and five widths, which this scale does not run"]}
        )
    return found


def data_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """lambda_0, lambda_max and step-size limits of H-infinity for each data set."""
    rows = []
    for (source, seed), group in metrics.groupby(["source", "seed"], sort=False):
        first = group.iloc[0]
        samples = settings.synthetic.samples if source == "sphere" else settings.images.samples
        rows.append(
            {
                "data set": first["data_title"],
                "fidelity": first["fidelity"],
                "n": samples,
                "seed": seed,
                "lambda_0": first["lambda_0"],
                "lambda_max": first["lambda_max_limit"],
                "step limit 2/lambda_max": 2 / first["lambda_max_limit"],
                "least step used": group["step_size"].min(),
                "largest step used": group["step_size"].max(),
                "proven step lambda_0/(8 n^2)": theory.proven_step_size(first["lambda_0"], samples),
            }
        )
    return pd.DataFrame(rows)


def decrease(metrics: pd.DataFrame, variant: str) -> pd.DataFrame:
    """How far ln(mean squared error) fell from the first to the last step; columns width, seed, decrease."""
    table = metrics[metrics["variant"] == variant].sort_values("step")
    errors = np.log(table["mean_squared_error"]).groupby([table["width"], table["seed"]])
    return (errors.first() - errors.last()).rename("decrease").reset_index()


def rate_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """How fast training was, by width and variant: the finding in numbers."""
    rows = []
    for variant in VARIANTS:
        falls = decrease(metrics, variant)
        narrow = falls[falls["width"] == falls["width"].min()]["decrease"].mean()
        for width, group in falls.groupby("width"):
            here = metrics[(metrics["variant"] == variant) & (metrics["width"] == width)]
            rows.append(
                {
                    "variant": variant.replace("_", " "),
                    "width": width,
                    "step size": here["step_size"].iloc[0],
                    "decrease of ln MSE": group["decrease"].mean(),
                    "seed spread": group["decrease"].std(ddof=1) if len(group) > 1 else np.nan,
                    "relative to the narrowest": group["decrease"].mean() / narrow,
                }
            )
    return pd.DataFrame(rows)


def tables(settings: Settings) -> list[Table]:
    synthetic = settings.synthetic
    sizes = (
        f"n = {synthetic.samples}, d = {synthetic.dimension}, {synthetic.steps} steps, {seeds_text(synthetic.seeds)}."
    )
    return [
        Table(
            name="du2018a_agreement",
            items=("001-F1",),
            title="Agreement with the published curves of Figure 1",
            caption=(
                f"{sizes} Panel a: ln of the mean squared error, b: fraction, c: squared distance. Deviations: root mean "
                "square over all steps of the difference of logarithms, in pooled seed spreads and in percent."
            ),
            make=agreement_table,
        ),
        Table(
            name="du2018a_rates",
            items=("001-F1", "001-TH6"),
            title="How much of the rate is width, and how much the step size",
            caption=f"{sizes} Decrease of ln(mean squared error) from the first to the last step.",
            make=rate_table,
        ),
        Table(
            name="du2018a_data",
            items=("001-E2",),
            title="Least and largest eigenvalue of H-infinity, and the step sizes they allow",
            caption="Gradient descent on the limit diverges above 2 / lambda_max; the proof asks for lambda_0 / (8 n^2).",
            make=data_table,
        ),
    ]
