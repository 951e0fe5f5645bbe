"""What is computed: settings, data sets, cells and the epochs of one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import Field, ValidationInfo, field_validator, model_validator

from zeroloss import published
from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.random_images import RandomImages
from zeroloss.datasets.recipes import Dataset, Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import BROUGHT_BY_USERS, ImageChoice, LayerCount, PositiveCount, Seeds, StepSize
from zeroloss.theory import resnet_size

if TYPE_CHECKING:
    from zeroloss.checkpoint import Checkpoints

RANDOM = "random"
# names in the paper's legend, and of sets that it does not have
TITLES = {
    "cifar100": "CIFAR-100", "cifar10": "CIFAR-10", "cifar10_lossy": "CIFAR-10 (JPEG copy)", "svhn": "SVHN",
    "mnist": "MNIST", "kmnist": "KMNIST", "fashion_mnist": "FMNIST", RANDOM: "Random", "digits": "digits",
    "semeion": "Semeion",
}  # fmt: skip
PUBLISHED_AS = {name: name for name in ("cifar100", "cifar10", "svhn", "mnist", "kmnist", "fashion_mnist", RANDOM)}
PUBLISHED_AS["cifar10_lossy"] = "cifar10"
# sets without a known file: which one brings them
BROUGHT = {TITLES[name]: f"{name}.npz" for name in BROUGHT_BY_USERS}


class RandomSettings(StudySettings):
    """The data set Random: independent uniform bytes with random labels."""

    train: PositiveCount = Field(description="training images n")
    test: PositiveCount = Field(description="test images, of the same law")
    side: PositiveCount = Field(description="pixels a side")
    channels: Literal[1, 3] = Field(description="1 or 3")
    classes: Annotated[int, Field(ge=2, le=256, strict=True)] = Field(description="number of labels K")


class Settings(StudySettings):
    """Figure 1 of Kawaguchi and Huang: a residual net on natural and on random data."""

    seeds: Seeds = Field(description="seeds of initial weights, order of images, and of the random data")
    sources: Annotated[list[ImageChoice], Len(min_length=1)] = Field(
        description="image data sets that are wanted; those not at hand are left out and named in the caption"
    )
    random: RandomSettings = Field(description="the data set Random")
    width: PositiveCount = Field(description="channels of the first stage; 64 in ResNet-18")
    blocks: Annotated[list[LayerCount], Len(1, 8)] = Field(
        description="residual blocks of each stage; 2, 2, 2, 2 in ResNet-18"
    )
    epochs: PositiveCount = Field(description="passes through the data E")
    batch: PositiveCount = Field(description="images a step")
    learning_rate: StepSize = Field(description="of the first epochs")
    drop_after: PositiveCount = Field(description="epochs after which the learning rate is ten times less")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="of SGD")
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="coefficient of |theta|^2 / 2")

    @model_validator(mode="after")
    def _drop_within_the_run(self) -> Settings:
        if self.drop_after >= self.epochs:
            raise ValueError(f"drop_after must be below epochs = {self.epochs}, and is {self.drop_after}")
        return self

    @field_validator("sources")
    @classmethod
    def _one_entry_each(cls, value: list[ImageChoice], info: ValidationInfo) -> list[ImageChoice]:
        found = [one.found for one in value if one.found]
        if len(set(found)) < len(found):
            raise ValueError(f"two entries lead to the same data set: {', '.join(found)}")
        if not found:
            raise ValueError("none of these data sets is at hand")
        return value


def present(settings: Settings) -> list[ImageChoice]:
    """The wanted image data sets that are at hand, in their order."""
    return [one for one in settings.sources if one.found]


def names(settings: Settings) -> list[str]:
    """All data sets that are run, Random last."""
    return [*(str(one.found) for one in present(settings)), RANDOM]


def absent(settings: Settings) -> list[str]:
    """Titles of the wanted data sets that are not at hand."""
    return [TITLES.get(one.first_of[0], one.first_of[0]) for one in settings.sources if not one.found]


def _split(choice: ImageChoice) -> ImageSplit:
    return ImageSplit(source=str(choice.found), train=choice.train, test=choice.test)


def _random(settings: Settings, seed: int) -> RandomImages:
    return RandomImages(**settings.random.model_dump(), seed=seed)


def recipes(settings: Settings) -> list[Recipe]:
    return [
        *(_split(one) for one in present(settings)),
        *(_random(settings, seed) for seed in settings.seeds),
    ]


# side and channels, for the cost alone
_SHAPES = {"digits": (8, 1), "semeion": (16, 1), "mnist": (28, 1), "kmnist": (28, 1), "fashion_mnist": (28, 1)}


def _cost(settings: Settings, side: int, channels: int, train: int, test: int) -> Cost:
    """Measured: a busy core does 33 GFLOP/s in these convolutions, and a step of a small net has 3 ms of overhead."""
    flops = 2.0 * resnet_size.multiplications(side, channels, settings.width, settings.blocks)
    passes = len(settings.seeds) * settings.epochs
    seconds = passes * (flops * (3 * train + test) / 33e9 + 3e-3 * train / settings.batch)
    pixels = side * side * channels
    memory = 600 + 12.0 * (train + test) * pixels / 2**20 + 24.0 * settings.batch * side**2 * settings.width * 8 / 2**20
    # 25 TFLOP/s in float32 without TF32, some 40 % of the peak of an H100
    return Cost(4 + seconds, memory_mb=int(memory), disk_mb=0.2, gpu_speedup=25e12 / 33e9)


def cells(settings: Settings) -> list[Cell]:
    """One cell per data set, with all seeds; each seed is a part that is taken up from its last state."""
    keys = ("seeds", "width", "blocks", "epochs", "batch", "learning_rate", "drop_after", "momentum", "weight_decay")
    shared = {key: getattr(settings, key) for key in keys}
    found = []
    for choice in present(settings):
        source = str(choice.found)
        cost = _cost(settings, *_SHAPES.get(source, (32, 3)), choice.train, choice.test)
        found.append(Cell(source, {**shared, "source": source}, (_split(choice).name,), cost, resumable=True))
    random = settings.random
    cost = _cost(settings, random.side, random.channels, random.train, random.test)
    data = tuple(_random(settings, seed).name for seed in settings.seeds)
    return [*found, Cell(RANDOM, {**shared, "source": RANDOM}, data, cost, resumable=True)]


def standardised(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images as float32 (n, H, W, channels): each channel has mean 0 and deviation 1 in training.

    Grey images keep their one channel.
    """
    x, x_test = (images[..., None] if images.ndim == 3 else images for images in (data.x, data.x_test))
    mean = x.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    deviation = x.std(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    return (x - mean) / deviation, (x_test - mean) / deviation


def run(
    parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool, checkpoints: Checkpoints
) -> pd.DataFrame:
    """One row per seed and epoch: loss, accuracies, learning rate, sizes.

    float32 throughout; TF32 stays off for convolutions on a GPU too, as in every other study (``pipeline``).
    """
    from zeroloss.networks.resnet18 import ResNet
    from zeroloss.progress import Progress
    from zeroloss.randomness import torch_generator
    from zeroloss.training.minibatch import Epoch, Images, Schedule, initialise, train

    schedule = Schedule(
        epochs=parameters["epochs"],
        batch=parameters["batch"],
        learning_rate=parameters["learning_rate"],
        decay=1.0,
        momentum=parameters["momentum"],
        weight_decay=parameters["weight_decay"],
        drops=(parameters["drop_after"],),
    )
    source, seeds, rows = parameters["source"], parameters["seeds"], []
    # image data are the same for all seeds, random data are drawn anew
    per_seed = datasets if len(datasets) == len(seeds) else [datasets[0]] * len(seeds)
    with Progress(len(seeds) * schedule.epochs, f"kawaguchi_huang2019_resnet {source}", quiet) as progress:
        for seed, data in zip(seeds, per_seed, strict=True):
            x, x_test = standardised(data)
            classes = int(data.info["classes"])
            network = ResNet(x.shape[3], parameters["width"], parameters["blocks"], classes)
            initialise(network, torch_generator(seed, "residual net"))

            def advance(epoch: Epoch, seed: int = seed) -> None:
                progress.advance(state=f"seed {seed}, loss {epoch.loss:.3g}, accuracy {epoch.train_accuracy:.3f}")

            epochs = train(
                network.to(device),
                Images.place(x, data.y, device),
                Images.place(x_test, data.y_test, device),
                schedule,
                torch_generator(seed, "order of images"),
                checkpoint=checkpoints.part(f"seed{seed}"),
                on_epoch=advance,
            )
            common = {
                "source": source, "seed": seed, "samples": len(data.y), "test_samples": len(data.y_test),
                "classes": classes, "side": x.shape[1], "channels": x.shape[3],
                "parameters": sum(one.numel() for one in network.parameters()),
                "diverged": not np.isfinite(epochs[-1].loss), "data_title": data.info["title"],
                "fidelity": data.info["fidelity"], "labels": data.info["labels"],
            }  # fmt: skip
            rows += [
                {
                    **common, "epoch": one.epoch, "step": one.steps, "learning_rate": schedule.rate(one.epoch - 1),
                    "loss": one.loss, "normalised_loss": one.loss / np.log(classes),
                    "train_accuracy": one.train_accuracy, "test_accuracy": one.test_accuracy,
                    "test_loss": one.test_loss,
                }
                for one in epochs
            ]  # fmt: skip
    return pd.DataFrame(rows)


def epochs_to(metrics: pd.DataFrame, accuracy: float) -> pd.Series:
    """First epoch with at least this training accuracy, by (source, seed); NaN where there is none."""
    reached = metrics["epoch"].where(metrics["train_accuracy"] >= accuracy)
    return reached.groupby([metrics["source"], metrics["seed"]]).min()


def published_curves() -> pd.DataFrame:
    """The read-off of Figure 1: columns panel (a, b), source, title, epoch, value (a: loss, b: fraction)."""
    curves = published.load("kawaguchi_huang2019_fig1")
    sources = {TITLES[name]: name for name in set(PUBLISHED_AS.values())}
    value = curves["value_approx"].where(curves["panel"] == "a", curves["value_approx"] / 100)
    return pd.DataFrame(
        {
            "panel": curves["panel"], "source": curves["dataset"].map(sources), "title": curves["dataset"],
            "epoch": curves["epoch"], "value": value,
        }
    )  # fmt: skip
