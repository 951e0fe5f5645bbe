"""Which networks are trained: one list without repetitions, from which all figures and tables take their runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost
from zeroloss.studies.zhang2017.settings import Settings, Sizes

# Figure 1 a: key of the inputs, the share of corrupted labels, the paper's name
SETTINGS_OF_FIGURE = {
    "true labels": ("true", 0.0),
    "shuffled pixels": ("shuffled", 0.0),
    "gaussian": ("gaussian", 0.0),
    "random pixels": ("random", 0.0),
    "random labels": ("true", 1.0),
}
NETWORKS = {
    "inception": "Inception",
    "inception_plain": "Inception w/o BatchNorm",
    "alexnet": "AlexNet",
    "mlp_3": "MLP 3x512",
    "mlp_1": "MLP 1x512",
}
# those of Figure 1 b and c
CORRUPTED = ("inception", "alexnet", "mlp_1")
SECONDS_OF_CELL = 60.0


@dataclass(frozen=True)
class Run:
    """One network trained once.

    Attributes:
        group: cells hold runs of one group.
        network: a key of NETWORKS.
        inputs: true, shuffled, random (pixels) or gaussian.
        share: of corrupted labels.
        crops: trained on random crops.
        augmented: trained on flipped and rotated images.
        decays: with weight decay.
        slow: with the slow decay of the learning rate.
        whole: all epochs of Figure 2 b are run.
        seed: of labels, noise, weights and order.
    """

    group: str
    network: str
    seed: int
    inputs: str = "true"
    share: float = 0.0
    crops: bool = False
    augmented: bool = False
    decays: bool = False
    slow: bool = False
    whole: bool = False


def runs(settings: Settings) -> list[Run]:
    """All runs, each once; a seed's runs follow one another."""
    seeds = list(dict.fromkeys([*settings.sizes.seeds, *settings.sizes.table_seeds]))
    found = [run for seed in seeds if seed in settings.sizes.seeds for run in _of_figures(settings, seed)]
    return found + [run for seed in settings.sizes.table_seeds for run in _of_tables(settings, seed)]


def _of_figures(settings: Settings, seed: int) -> Iterator[Run]:
    yield Run("norm", "inception", seed, whole=True)
    yield Run("norm", "inception_plain", seed, whole=True)
    for name, (inputs, share) in SETTINGS_OF_FIGURE.items():
        if name != "true labels":
            yield Run("curves", "inception", seed, inputs=inputs, share=share)
    for network in CORRUPTED:
        for share in settings.corruptions:
            if network != "inception" or 0 < share < 1:
                yield Run(f"corrupted_{network}", network, seed, share=share)


def _of_tables(settings: Settings, seed: int) -> Iterator[Run]:
    for network in ("inception", "alexnet"):
        for crops, decays in ((True, True), (True, False), (False, True)):
            yield Run(f"regularised_{network}", network, seed, crops=crops, decays=decays)
    for network in ("inception_plain", "mlp_3", "mlp_1"):
        yield Run("regularised_others", network, seed, decays=True)
    yield Run("regularised_others", "mlp_3", seed)
    for network in ("inception_plain", "mlp_3"):
        yield Run("random_others", network, seed, share=1.0)
    for network in ("inception", "alexnet", "mlp_3", "mlp_1"):
        yield Run("random_regularised", network, seed, share=1.0, decays=True)
    yield Run("random_augmented", "inception", seed, share=1.0, crops=True, slow=True)
    yield Run("random_augmented", "inception", seed, share=1.0, augmented=True, slow=True)


def most_epochs(run: Run, sizes: Sizes) -> int:
    """Epochs after which a run ends."""
    if run.whole:
        return sizes.norm_epochs
    if run.crops or run.augmented:
        return sizes.augmented_epochs
    return {"inception": sizes.inception_epochs, "alexnet": sizes.alexnet_epochs, "mlp": sizes.mlp_epochs}[
        run.network.split("_")[0]
    ]


def _seconds(run: Run, settings: Settings) -> float:
    """Of one CPU core, were all epochs run: at the rates measured for each network, 20 Gflop/s for narrow ones."""
    sizes = settings.sizes
    area = (sizes.crop / sizes.pool / 28) ** 2
    if run.network.startswith("mlp"):
        inputs = 784 * area * settings.colours
        flops = 6 * sizes.mlp_width * (inputs + 10 + (2 * sizes.mlp_width if run.network == "mlp_3" else 0))
        each = 5e-6 + flops / 100e9
    else:
        macs, divisor = (25.1e6, sizes.alexnet_divisor)
        if run.network != "alexnet":
            macs, divisor = 204.2e6, sizes.inception_divisor
        each = 5e-5 + 6 * macs * area / divisor**2 / (20e9 if divisor > 1 else 80e9)
    return each * (sizes.train + sizes.test / 3) * most_epochs(run, sizes) * (1 if run.whole else 0.7)


# estimated for the printed sizes in float32 without TF32 (docs/zhang2017.md): 5.5 GPU hours for 370 of a core
GPU_SPEEDUP = 65.0


def recipe(settings: Settings) -> ImageSplit:
    return ImageSplit(source=settings.source, train=settings.sizes.train, test=settings.sizes.test)


def recipes(settings: Settings) -> list[Recipe]:
    return [recipe(settings)]


def cells(settings: Settings) -> list[Cell]:
    """Runs of one group, in cells of about a minute; where one run takes longer it is a cell of its own."""
    sizes, groups = settings.sizes, dict[str, list[tuple[list[Run], float]]]()
    for run in runs(settings):
        packs, seconds = groups.setdefault(run.group, []), _seconds(run, settings)
        if not packs or packs[-1][1] + seconds > SECONDS_OF_CELL:
            packs.append(([], 3.0))
        packs[-1] = ([*packs[-1][0], run], packs[-1][1] + seconds)
    shared = {
        "sizes": sizes.model_dump(),
        **settings.model_dump(mode="json", exclude={"digits", "cifar10", "corruptions", "overfit_loss"}),
    }
    side = sizes.crop + 2 * sizes.margin
    memory = 600 + 6 * 4 * (sizes.train + sizes.test) * side**2 * settings.colours // 2**20
    return [
        Cell(
            f"{group}_{number}",
            {"runs": [asdict(run) for run in pack], "epochs": [most_epochs(run, sizes) for run in pack], **shared},
            (recipe(settings).name,),
            Cost(seconds, memory, 0.2, gpu_speedup=GPU_SPEEDUP),
            resumable=seconds > 300,
        )
        for group, packs in groups.items()
        for number, (pack, seconds) in enumerate(packs)
    ]
