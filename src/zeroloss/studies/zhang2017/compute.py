"""One cell: preprocessing, randomisation and training of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets import corruption
from zeroloss.datasets.recipes import Dataset
from zeroloss.randomness import numpy_generator
from zeroloss.studies.zhang2017.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from zeroloss.checkpoint import Checkpoints

RATES = {"inception": "inception_rate", "inception_plain": "plain_rate"}


def scaled(images: np.ndarray, largest: int, margin: int) -> np.ndarray:
    """Bytes (n, H, W) or (n, H, W, 3) to float32 frames (n, H + 2 margin, W + 2 margin, colours) in [0, 1]."""
    with_colours = images if images.ndim == 4 else images[..., None]
    return corruption.padded(with_colours.astype(np.float32) / np.float32(largest), margin)


def small(frames: np.ndarray, sizes: Mapping[str, int]) -> np.ndarray:
    """The middle of the frames at the resolution that networks see."""
    return corruption.mean_pooled(corruption.centre_crop(frames, sizes["crop"]), sizes["pool"])


def randomised(train: np.ndarray, test: np.ndarray, inputs: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test inputs of one of the settings of Figure 1 a; a permutation of pixels serves both parts."""
    if inputs == "true":
        return train, test
    generator, both = numpy_generator(seed, "zhang2017", inputs), np.concatenate([train, test])
    if inputs == "gaussian":
        both = corruption.gaussian_pixels(both, train, generator)
    else:
        both = {"shuffled": corruption.shuffled_pixels, "random": corruption.random_pixels}[inputs](both, generator)
    return both[: len(train)], both[len(train) :]


def network(name: str, sizes: Mapping[str, int], colours: int, classes: int) -> torch.nn.Module:
    """A key of ``runs.NETWORKS`` at the sizes of the source; its weights are drawn later."""
    from zeroloss.networks.zhang2017 import SmallAlexNet, SmallInception, mlp

    side = sizes["crop"] // sizes["pool"]
    if name.startswith("mlp"):
        return mlp(side**2 * colours, [sizes["mlp_width"]] * int(name[-1]), classes)
    if name == "alexnet":
        return SmallAlexNet(colours, side, sizes["alexnet_divisor"], classes)
    return SmallInception(colours, sizes["inception_divisor"], norm=name == "inception", classes=classes)


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    import torch

    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = before[0] or allowed
    torch.set_float32_matmul_precision("high" if allowed else before[1])
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])


def run(
    parameters: Mapping[str, Any],
    datasets: Sequence[Dataset],
    *,
    device: str,
    quiet: bool,
    checkpoints: Checkpoints | None = None,
) -> pd.DataFrame:
    """One row for each run and epoch: loss, accuracies, and what was trained how."""
    from zeroloss.progress import Progress

    (data,) = datasets
    tables = []
    todo = [Run(**one) for one in parameters["runs"]]
    title = f"zhang2017 {todo[0].group}"
    with Progress(sum(parameters["epochs"]), title, quiet) as progress, _tf32(parameters["precision"] == "tf32"):
        for number, (one, epochs) in enumerate(zip(todo, parameters["epochs"], strict=True)):
            state = checkpoints.part(f"run{number}") if checkpoints is not None else None
            tables.append(_train(one, epochs, parameters, data, device, progress, state))
    info = data.info
    return pd.concat(tables, ignore_index=True).assign(data_title=info["title"], fidelity=info["fidelity"])


def _train(
    one: Run, epochs: int, parameters: Mapping[str, Any], data: Dataset, device: str, progress: Any, state: Any
) -> pd.DataFrame:
    from zeroloss.randomness import torch_generator
    from zeroloss.training.augmentation import Augmentation
    from zeroloss.training.minibatch import Epoch, Images, Schedule, evaluate, initialise, train

    sizes, classes = parameters["sizes"], data.info["classes"]
    frames, test_frames = (scaled(x, data.info["largest"], sizes["margin"]) for x in (data.x, data.x_test))
    inputs, test_inputs = randomised(small(frames, sizes), small(test_frames, sizes), one.inputs, one.seed)
    y = corruption.corrupt_labels(data.y, one.share, classes, numpy_generator(one.seed, "zhang2017", "labels"))
    images = Images.place(corruption.whiten_each(inputs), y, device)
    test = Images.place(corruption.whiten_each(test_inputs), data.y_test, device)
    augment, trained_on = None, images
    if one.crops or one.augmented:
        degrees = parameters["rotation"] if one.augmented else 0.0
        augment = Augmentation(sizes["crop"], sizes["pool"], crops=one.crops, flips=one.augmented, degrees=degrees)
        trained_on = Images.place(frames, y, device)
    net = network(one.network, sizes, inputs.shape[3], classes)
    initialise(net, torch_generator(one.seed, "zhang2017", one.network))
    net.to(device)
    per_epoch = -(-len(y) // sizes["batch"]) / parameters["decay_steps"]
    schedule = Schedule(
        epochs=epochs,
        batch=sizes["batch"],
        learning_rate=parameters[RATES.get(one.network, "other_rate")],
        decay=parameters["slow_decay" if one.slow else "decay"] ** per_epoch,
        momentum=parameters["momentum"],
        weight_decay=parameters["weight_decay"] if one.decays else 0.0,
    )

    def fitted(last: Epoch) -> bool:
        return not one.whole and last.loss <= parameters["final_loss"]

    path = train(
        net,
        trained_on,
        test,
        schedule,
        torch_generator(one.seed, "zhang2017", "order"),
        augment=augment,
        bfloat16=parameters["precision"] == "bfloat16",
        stop=fitted,
        checkpoint=state,
        on_epoch=lambda last: progress.advance(state=f"{one.network} {last.epoch}: loss {last.loss:.3g}"),
    )
    progress.advance(epochs - len(path))
    diverged = not np.isfinite(path[-1].loss)
    table = pd.DataFrame([asdict(epoch) for epoch in path])
    return table.assign(
        **asdict(one),
        diverged=diverged,
        final_train_accuracy=np.nan if diverged else evaluate(net, images)[0],
        labels="class" if not one.share else f"class, {one.share:g} of them replaced at random",
    )
