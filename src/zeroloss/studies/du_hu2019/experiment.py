"""Settings and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import LayerCount, PositiveCount, Seed, Seeds, StepSize, Widths

STARTS = ("gaussian", "orthogonal")
TARGETS = ("unit", "raw")
TARGET_NAMES = {"unit": r"$\|W^*\|=1$", "raw": r"$W^*_{ij}\sim N(0,1)$", "unit_phi": r"$\|\Phi\|=1$"}

Depth = Annotated[LayerCount, Field(ge=2)]
Depths = Annotated[list[Depth], Len(min_length=2)]
Steps = Annotated[list[Annotated[int, Field(ge=0, le=10**12, strict=True)]], Len(min_length=1)]
Ratio = Annotated[float, Field(gt=0, lt=1)]


class TheoremSettings(StudySettings):
    """Training at the theorem's step, a small problem so that wide means wide on a laptop."""

    seeds: Seeds = Field(description="seeds of the initial weights")
    samples: PositiveCount = Field(description="n = rank of X")
    outputs: PositiveCount = Field(description="d_out")
    depths: Depths = Field(description="L")
    widths: Widths = Field(description="m")
    steps: PositiveCount = Field(description="most gradient steps")
    drawn_depths: Depths = Field(description="L of the loss curves, among depths")
    drawn_widths: Widths = Field(description="m of the loss curves, among widths")
    recorded_steps: Steps = Field(description="steps at which the spectrum of P(t) is computed")
    accuracy: Ratio = Field(description="epsilon: iterations are counted until l(t) <= epsilon l(0)")
    aspect: PositiveCount = Field(description="m / L from which a width counts as much larger than the depth")


class ProductSettings(StudySettings):
    """Products of Gaussian matrices at the start, no training."""

    factors: Depths = Field(description="q: number of factors; of networks, the depth L")
    aspects: Annotated[list[StepSize], Len(min_length=2)] = Field(description="m / q")
    networks: PositiveCount = Field(description="networks per point, for the singular values of Proposition 6.2")
    draws: PositiveCount = Field(description="random vectors per point, for Lemma 6.1")
    norm_networks: PositiveCount = Field(description="networks per depth whose output norm is taken, for Claim 3.1")
    norm_width: PositiveCount = Field(description="m of these networks")


class StableSettings(StudySettings):
    """The largest step size that trains."""

    depths: Depths = Field(description="L")
    width: PositiveCount = Field(description="m")
    multiples: Annotated[list[StepSize], Len(min_length=2)] = Field(
        description="step sizes tried, as multiples of the theorem's d_out / (3 L |X^T X|)"
    )
    steps: PositiveCount = Field(description="steps after which the loss must be below its start")


class HeatSettings(StudySettings):
    """The map of the final loss over depth and width."""

    seeds: Seeds = Field(description="seeds of the initial weights")
    samples: PositiveCount = Field(description="n")
    outputs: PositiveCount = Field(description="d_y")
    depths: Depths = Field(description="L")
    widths: Widths = Field(description="m")
    steps: PositiveCount = Field(description="T")
    floor: Ratio = Field(description="l(t) / l(0) at which a run counts as converged and stops")
    trained: Ratio = Field(description="l(T) / l(0) below which a cell counts as trained: the contour that is drawn")


class StuckSettings(StudySettings):
    """Narrow deep Gaussian networks at the data of the map."""

    seeds: Seeds = Field(description="seeds of the initial weights")
    depths: Depths = Field(description="L")
    gamma: Ratio = Field(description="gamma: the width is L^(1 - gamma), rounded up")
    steps: PositiveCount = Field(description="gradient steps")


class Settings(StudySettings):
    """Du, Hu 2019 with the experiment of Hu, Xiao, Pennington 2020."""

    inputs: PositiveCount = Field(description="d_x, rows of X before the QR reduction to n")
    data_seed: Seed = Field(description="seed of X and W*, one fixed data set")
    failure: Ratio = Field(description="delta of the theorems, in the tables")
    theorem: TheoremSettings = Field(description="Theorem 4.1 of both papers")
    products: ProductSettings = Field(description="Lemma 6.1 and Proposition 6.2")
    stable: StableSettings = Field(description="largest stable step, data of the theorem")
    heat: HeatSettings = Field(description="depth x width maps")
    stuck: StuckSettings = Field(description="Theorem 5.1 of Hu, Xiao, Pennington")

    @model_validator(mode="after")
    def _possible(self) -> Settings:
        for name, part in (("theorem", self.theorem), ("heat", self.heat)):
            least = max(part.samples, part.outputs)
            if min(part.widths) < least:
                raise ValueError(
                    f"{name}.widths: {min(part.widths)} is below max(samples, outputs) = {least}, "
                    "the least width of an orthogonal start"
                )
            if part.samples > self.inputs:
                raise ValueError(f"{name}.samples: {part.samples} inputs of dimension {self.inputs} have a lower rank")
        if max(self.theorem.recorded_steps) > self.theorem.steps:
            raise ValueError(f"theorem.recorded_steps must not be above theorem.steps = {self.theorem.steps}")
        if not set(self.theorem.drawn_depths) <= set(self.theorem.depths):
            raise ValueError(f"theorem.drawn_depths must be among theorem.depths = {self.theorem.depths}")
        if not set(self.theorem.drawn_widths) <= set(self.theorem.widths):
            raise ValueError(f"theorem.drawn_widths must be among theorem.widths = {self.theorem.widths}")
        return self


def recipes(settings: Settings) -> list[Recipe]:
    return []


def _seconds(depth: int, width: int, samples: int, networks: int, steps: int) -> float:
    """Expected seconds of so many steps: calls, 6 n m^2 flops a layer, and 12 m^2 bytes of weights moved."""
    layer = 6.0 * samples * width**2 / 60e9 + 12.0 * width**2 / 9e9 + 3e-7
    return steps * depth * (1.5e-5 + networks * layer)


def cells(settings: Settings) -> list[Cell]:
    data = {"inputs": settings.inputs, "data_seed": settings.data_seed}
    theorem, heat, stuck, stable, products = (
        settings.theorem, settings.heat, settings.stuck, settings.stable, settings.products,
    )  # fmt: skip
    found = []

    # estimated: a whole grid of networks moves its weights, at 9 GB/s of a core and some 3 TB/s of a GPU, of which a
    # third is left beside the starts of kernels; narrow networks are all starts
    def add(name: str, parameters: dict[str, Any], seconds: float, memory_mb: int, gpu_speedup: float = 100) -> None:
        found.append(Cell(name, {**data, **parameters}, (), Cost(3 + seconds, memory_mb, 2.0, gpu_speedup)))

    def memory(depth: int, width: int, networks: int, bytes_of_weight: int = 20) -> int:
        """Weights, their start and gradient in float32, and what products of them leave; measured."""
        return 450 + int(networks * depth * width**2 * bytes_of_weight / 1e6)

    def sweep(part: TheoremSettings | HeatSettings, depths: list[int], start: str) -> tuple[float, int]:
        """Seconds and memory; an orthogonal network is computed at width n + d_out at most."""
        most = part.samples + part.outputs if start == "orthogonal" else max(part.widths)
        seconds = sum(
            _seconds(depth, min(width, most), part.samples, len(part.seeds), part.steps)
            for depth in depths
            for width in part.widths
        )
        # spectra of the theorem are taken in float64
        return seconds, memory(max(depths), most, len(part.seeds), 32 if part is theorem else 20)

    common = theorem.model_dump(include={"seeds", "samples", "outputs", "depths", "widths", "steps", "accuracy"})
    for start in STARTS:
        own = {"experiment": "theorem", "start": start, "target": "unit_phi", **common}
        own["recorded_steps"] = theorem.recorded_steps
        add(f"theorem_{start}", own, *sweep(theorem, theorem.depths, start))
    common = heat.model_dump(include={"seeds", "samples", "outputs", "widths", "steps", "floor"})
    for target in TARGETS:
        groups = {"shallow": heat.depths[:-1], "deepest": heat.depths[-1:]}
        for name, depths in groups.items():
            own = {"experiment": "heat", "start": "gaussian", "target": target, "depths": depths, **common}
            add(f"heat_{target}_gaussian_{name}", own, *sweep(heat, depths, "gaussian"))
    own = {"experiment": "heat", "start": "orthogonal", "target": "all", "depths": heat.depths, **common}
    seconds, size = sweep(heat, heat.depths, "orthogonal")
    add("heat_orthogonal", own, 2 * seconds, size)
    own = stuck.model_dump() | {"experiment": "stuck", "samples": heat.samples, "outputs": heat.outputs}
    seconds = sum(
        2 * _seconds(depth, stuck_width(depth, stuck.gamma), heat.samples, len(stuck.seeds), stuck.steps)
        for depth in stuck.depths
    )
    add("stuck", own, seconds, 550, gpu_speedup=1)
    own = {
        "experiment": "start", "products": products.model_dump(), "stable": stable.model_dump(),
        "samples": theorem.samples, "outputs": theorem.outputs, "seeds": theorem.seeds,
    }  # fmt: skip
    tried = len(theorem.seeds) * len(stable.multiples)
    seconds = sum(_seconds(depth, stable.width, theorem.samples, tried, stable.steps) for depth in stable.depths)
    seconds += sum(products.factors) * len(products.aspects) * (products.draws * 8e-8 + products.networks * 1e-5)
    seconds += sum(products.factors) * products.norm_networks * products.norm_width**2 * 1.5e-8
    add("start", own, seconds, memory(max(stable.depths), stable.width, tried), gpu_speedup=1)
    return found


def stuck_width(depth: int, gamma: float) -> int:
    """L^(1 - gamma), rounded up; 1e-9 below, so that the root of a square is itself."""
    return int(-(-(depth ** (1 - gamma) - 1e-9) // 1))
