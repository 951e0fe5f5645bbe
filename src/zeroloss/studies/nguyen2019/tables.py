"""The paper's tables with a column for our runs, valleys by slice, ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zeroloss.studies.contract import Table
from zeroloss.studies.nguyen2019.settings import Settings
from zeroloss.studies.wording import seeds_text

SCALINGS = {
    "layer": "each layer's direction as long as the layer's own weights",
    "network": "the direction as long as all weights together",
    "entries": "every entry N(0, 1)",
    "unit": "the direction of length 1",
    "unit_layer": "each layer's direction of length 1",
}
NAMES = {"plain": "{}", "skip": "{}-skip (SGD)", "rand": "{}-skip (rand)"}


def slices(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The planes of :func:`all_slices` whose directions are scaled as the settings say."""
    return all_slices(metrics[metrics["scaling"] == settings.surfaces.scaling], settings)


def all_slices(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row per plane of Figure 3: its solution and its bad valleys.

    Columns: scaling, activation, skip, seed, solution (mean cross-entropy at alpha = 0), errors (there), bad (number of bad local
    valleys), deepest (largest rim over floor among them, a ratio of losses), floor (least floor among them over the
    solution's loss), lower (least loss on the plane over the solution's), top, rim_low, rim_high (ln of the
    largest loss of the plane, and of the least and largest on its border).
    """
    from zeroloss.theory.valleys import bad_valleys

    rows = []
    surfaces = metrics[metrics["part"] == "surface"]
    for (scaling, activation, skip, seed), group in surfaces.groupby(["scaling", "activation", "skip", "seed"]):
        grid = group.pivot(index="alpha_1", columns="alpha_2", values="loss").to_numpy()
        middle = group[(group["alpha_1"] == 0) & (group["alpha_2"] == 0)].iloc[0]
        log, reference = np.log(np.maximum(grid, 1e-300)), float(np.log(max(middle["loss"], 1e-300)))
        one = settings.surfaces
        found = bad_valleys(log, reference, float(np.log(one.above)), float(np.log(one.depth)))
        rim = np.concatenate([log[0], log[-1], log[1:-1, 0], log[1:-1, -1]])
        rows.append(
            {
                "scaling": scaling,
                "activation": activation,
                "skip": bool(skip),
                "seed": int(seed),
                "solution": float(middle["loss"]),
                "errors": int(middle["errors"]),
                "bad": len(found),
                "deepest": float(np.exp(max((b.depth for b in found), default=np.nan))),
                "floor": float(np.exp(min((b.floor for b in found), default=np.nan) - reference)),
                "lower": float(np.nanmin(grid) / middle["loss"]) if middle["loss"] > 0 else np.nan,
                "top": float(np.nanmax(log)),
                "rim_low": float(np.nanmin(rim)),
                "rim_high": float(np.nanmax(rim)),
            }
        )
    return pd.DataFrame(rows)


def valley_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    found = slices(metrics, settings).drop(columns=["scaling", "top", "rim_low", "rim_high"])
    names = {
        "skip": "skip connections",
        "solution": "loss at the solution",
        "errors": "errors there",
        "bad": "bad valleys",
        "deepest": "deepest: rim / floor",
        "floor": "lowest floor / solution",
        "lower": "least loss / solution",
    }
    return found.assign(skip=np.where(found["skip"], "yes", "no")).rename(columns=names)


def printed_tops() -> dict[tuple[str, bool], float]:
    """(activation, skip) -> ln loss at the top of the printed vertical axis of Figure 3."""
    from zeroloss import published

    axes = published.load("nguyen2019_fig3")
    return {(row.activation, bool(row.skip)): float(row.high) for row in axes.itertuples()}


def reading_distances(found: pd.DataFrame) -> pd.Series:
    """Of each scaling in :func:`all_slices`: mean over the panels of |mean highest ln loss - printed top|."""
    tops = found.groupby(["scaling", "activation", "skip"])["top"].mean()
    printed = printed_tops()
    gaps = [abs(top - printed[activation, skip]) for (_, activation, skip), top in tops.items()]
    return pd.Series(gaps, index=tops.index).groupby("scaling").mean()


def reading_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Every reading of the directions' length beside the printed axes: rim, top and bad valleys of its planes."""
    found, printed = all_slices(metrics, settings), printed_tops()
    distances = reading_distances(found)
    rows = []
    for (scaling, activation, skip), group in found.groupby(["scaling", "activation", "skip"]):
        rows.append(
            {
                "directions": scaling + (" (drawn)" if scaling == settings.surfaces.scaling else ""),
                "distance": distances[scaling],
                "activation": activation,
                "skip connections": "yes" if skip else "no",
                "planes": len(group),
                "ln loss, solution": np.log(group["solution"]).mean(),
                "ln loss, rim": f"{group['rim_low'].mean():.1f} to {group['rim_high'].mean():.1f}",
                "top": group["top"].mean(),
                "printed top": printed[activation, skip],
                "planes with a bad valley": int((group["bad"] > 0).sum()),
            }
        )
    return pd.DataFrame(rows).sort_values("distance", kind="stable", ignore_index=True)


def rank_table(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Draws with full numerical rank, and how small the least singular value becomes."""
    rows = []
    ranks = metrics[metrics["part"] == "rank"]
    for (activation, dimension, samples), group in ranks.groupby(["activation", "dimension", "samples"], sort=False):
        rows.append(
            {
                "activation": activation,
                "d": int(dimension),
                "N = M": int(samples),
                "draws": len(group),
                "of full rank": int((group["rank"] == group["samples"]).sum()),
                "least rank": int(group["rank"].min()),
                "median least / largest singular value": group["relative_least"].median(),
                "threshold": group["threshold"].iloc[0],
            }
        )
    return pd.DataFrame(rows)


def final_accuracies(metrics: pd.DataFrame) -> pd.DataFrame:
    """Last record of every convolutional run: training and test accuracy in percent."""
    runs = metrics[metrics["part"] == "cnn"].sort_values("epoch")
    last = runs.groupby(["architecture", "activation", "variant", "seed"], as_index=False).last()
    train = 100 * (1 - last["errors"] / last["samples"])
    chance = 100 * last["largest_class"] / last["samples"]
    return last.assign(train=train, test=100 * (1 - last["test_errors"] / last["test_samples"]), chance=chance)


def _ours(metrics: pd.DataFrame, settings: Settings) -> dict[tuple[str, str], tuple[str, str]]:
    """(model as in the paper, activation) -> test and training accuracy of our run, mean and standard deviation."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    finals = final_accuracies(metrics)
    for one in settings.cnn.architectures:
        for (activation, variant), runs in finals[finals["architecture"] == one.name].groupby(
            ["activation", "variant"]
        ):
            shown = []
            for value in ("test", "train"):
                spread = f" ± {runs[value].std(ddof=1):.2f}" if len(runs) > 1 else ""
                shown.append(f"{runs[value].mean():.2f}{spread}")
            found[NAMES[variant].format(one.row), activation] = (shown[0], shown[1])
    return found


def _published_table(name: str, metrics: pd.DataFrame, settings: Settings, ours: bool) -> pd.DataFrame:
    from zeroloss import published

    printed = published.load(name)
    mine = _ours(metrics, settings) if ours else {}
    reduced = {NAMES[v].format(one.row): one.reduced for one in settings.cnn.architectures for v in NAMES}
    models = list(dict.fromkeys(printed["model"]))
    models += [model for model, _ in mine if model not in models and model.startswith(models[0])]
    rows = []
    for model in dict.fromkeys(models):
        row = {"model": model}
        for activation in ("sigmoid", "softplus"):
            for augmented, label in ((0, ""), (1, ", augmented")):
                cell = printed[
                    (printed["model"] == model)
                    & (printed["activation"] == activation)
                    & (printed["augmented"] == augmented)
                ]
                if not (printed["augmented"] == augmented).any():
                    continue
                text = "-"
                if len(cell):
                    value, spread = cell.iloc[0][["accuracy", "spread"]]
                    text = f"{value:.2f}" + (f" ± {spread:.2f}" if pd.notna(spread) else "")
                row[f"published, {activation}{label}"] = text
            if ours:
                kind = "reduced run" if reduced.get(model) else "our run"
                test, train = mine.get((model, activation), ("-", "-"))
                row[f"ours, {activation}: test"] = f"{test} ({kind})" if test != "-" else "-"
                row[f"ours, {activation}: training"] = train
        rows.append(row)
    return pd.DataFrame(rows)


def table1(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return _published_table("nguyen2019_table1", metrics, settings, ours=True)


def table2(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    rows = {one.row for one in settings.cnn.architectures}
    return _published_table("nguyen2019_table2", metrics, settings, ours="VGG11" in rows)


def table4(metrics: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return _published_table("nguyen2019_table4", metrics, settings, ours=False)


def _our_runs(settings: Settings, row: str) -> str:
    """What our column holds, in words."""
    for one in settings.cnn.architectures:
        if one.row == row:
            size = "REDUCED: not the paper's network and data" if one.reduced else "the paper's network"
            return (
                f" Ours ({size}): {one.name}, {one.source}, {one.samples} training and {one.test_samples} test images, "
                f"learning rate {settings.cnn.rate:g}, {settings.cnn.epochs} epochs ({settings.cnn.rand_epochs} where only "
                f"the output layer is trained), {seeds_text(settings.cnn.seeds)}, mean ± standard deviation over seeds."
            )
    return " Ours: not run at this scale."


def tables(settings: Settings) -> list[Table]:
    surface, images = settings.surfaces, settings.surfaces.taken
    printed = "Published: test accuracy in percent, ± standard deviation over 8 choices of neurons."
    return [
        Table(
            "nguyen2019_table1",
            ("004-TH3",),
            "Table 1: test accuracy on MNIST",
            f"{printed}{_our_runs(settings, 'CNN13')}",
            table1,
        ),
        Table(
            "nguyen2019_table2",
            ("004-TH3", "004-?2"),
            "Tables 2 and 5: test accuracy on CIFAR-10",
            f"{printed} Training accuracy is 100 % everywhere but in plain VGG with sigmoid, 10 %."
            f"{_our_runs(settings, 'VGG11')}",
            table2,
        ),
        Table(
            "nguyen2019_table4",
            ("004-TH3",),
            "Table 4: the same with 2x2 convolutions of stride 2 for max-pooling",
            f"{printed} Not run here.",
            table4,
        ),
        Table(
            "nguyen2019_valleys",
            ("004-TH3",),
            "Bad local valleys of random planes through the solution",
            f"{images.source}, N = {images.samples} images, {surface.points} x {surface.points} grid, directions: "
            f"{SCALINGS[surface.scaling]}. A bad valley: a local "
            f"minimum inside the grid with more than {surface.above:g} times the solution's loss and a rim at least "
            f"{surface.depth:g} times its floor.",
            valley_table,
        ),
        Table(
            "nguyen2019_directions",
            ("004-TH3", "004-?2"),
            "Length of the directions of Figure 3: readings beside the printed axes",
            f"{images.source}, N = {images.samples}, means over planes; the paper does not print the length. "
            f"{'; '.join(f'{name}: {words}' for name, words in SCALINGS.items())}. Distance: mean over the four panels between "
            "the highest ln loss and the top of the printed axis. The reading that is drawn was the nearest of five in a "
            f"comparison over five seeds; here the others are computed for {images.compared_seeds} of {len(images.seeds)} seeds.",
            reading_table,
        ),
        Table(
            "nguyen2019_rank",
            ("004-TH3",),
            "Rank of the feature matrix for random weights",
            "Numerical rank in float64: singular values above max(N, M) eps times the largest.",
            rank_table,
        ),
    ]
