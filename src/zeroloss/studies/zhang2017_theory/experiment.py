"""Settings, data sets and cells; what a cell computes is in ``compute``."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import Field, model_validator

from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.recipes import Recipe
from zeroloss.studies.contract import Cell, Cost, StudySettings
from zeroloss.studies.settings import ImageSources, LayerCount, PositiveCount, Seed, Seeds, StepSize, Widths

Share = Annotated[float, Field(gt=0, le=1)]
Depth = Annotated[LayerCount, Field(ge=2)]
Sizes = Annotated[Widths, Len(min_length=2)]


class ConstructionSettings(StudySettings):
    """The networks of Theorem 1 and Corollary 1."""

    seeds: Seeds = Field(description="seeds of inputs, labels, direction a and random thresholds")
    dimension: PositiveCount = Field(description="d of the Gaussian inputs")
    samples: Sizes = Field(description="sample sizes n; images use those that the pool holds")
    shares: Annotated[list[Share], Len(min_length=1)] = Field(
        description="s: b_j stands at the share s of the gap below x_j; 0.5, the midpoint, is always among them"
    )
    depths: Annotated[list[Depth], Len(min_length=1)] = Field(description="depths k of Corollary 1")
    depth_samples: PositiveCount = Field(description="n there")
    drawn_samples: Annotated[PositiveCount, Field(ge=3)] = Field(description="n of the picture of c(x)")

    @model_validator(mode="after")
    def _midpoint(self) -> ConstructionSettings:
        if 0.5 not in self.shares:
            raise ValueError("shares must hold 0.5, the midpoint")
        if max(self.depths) - 1 > self.depth_samples:
            raise ValueError("depths go up to depth_samples + 1: a layer needs a sample")
        return self


class RademacherSettings(StudySettings):
    """Empirical Rademacher complexities over n."""

    seed: Seed = Field(description="seed of the subset, the signs and the initial weights")
    samples: Sizes = Field(description="sample sizes n, nested subsets of the pool")
    class_draws: PositiveCount = Field(description="draws of the signs for classes in closed form")
    network_draws: PositiveCount = Field(description="draws of the signs on which networks are trained")
    widths: Sizes = Field(description="hidden units m of the trained networks")
    steps: PositiveCount = Field(description="full-batch Adam steps at most")
    step_size: StepSize = Field(description="Adam's step size")


class KernelSettings(StudySettings):
    """Table 3: kernel interpolation."""

    seeds: Seeds = Field(description="seeds of the subsets and of the random labels")
    samples: Sizes = Field(description="training sizes n")
    printed_coefficient: StepSize = Field(description="c of exp(-c |x - x'|^2) on MNIST, pixels from 0 to 1")
    relative_coefficient: StepSize = Field(description="c times the mean squared distance of two images, other sources")
    dense_up_to: PositiveCount = Field(description="largest n solved by Cholesky; beyond it by tiles")
    tile_mb: StepSize = Field(description="size of a tile of K, MB")
    rank: PositiveCount = Field(description="of the preconditioner, a pivoted Cholesky factor")
    tolerance: StepSize = Field(description="relative residual at which conjugate gradients stop")
    most_iterations: PositiveCount = Field(description="of conjugate gradients")


class Settings(StudySettings):
    """Zhang et al. 2017, theory."""

    sources: ImageSources = Field(description="image data: auto or a list")
    pool: PositiveCount = Field(description="training images from which subsets are drawn")
    test: PositiveCount = Field(description="test images")
    construction: ConstructionSettings = Field(description="Theorem 1, Corollary 1")
    rademacher: RademacherSettings = Field(description="eq. 1")
    kernels: KernelSettings = Field(description="Table 3")

    @model_validator(mode="after")
    def _pool_is_enough(self) -> Settings:
        if self.pool < max(*self.rademacher.samples, *self.kernels.samples):
            raise ValueError(f"pool must hold the largest sample size of rademacher and kernels, and is {self.pool}")
        return self


def recipe(settings: Settings, source: str) -> ImageSplit:
    return ImageSplit(source=source, train=settings.pool, test=settings.test)


def recipes(settings: Settings) -> list[Recipe]:
    return [recipe(settings, source) for source in settings.sources]


def cells(settings: Settings) -> list[Cell]:
    names = tuple(recipe(settings, source).name for source in settings.sources)
    part = settings.construction
    cubes = sum(n**3 for n in part.samples) * (len(part.shares) + 1) * len(part.seeds) * (1 + len(names))
    found = [
        Cell(
            "construction",
            part.model_dump(),
            names,
            Cost(4 + cubes * 6e-11, 450 + 60 * max(part.samples) ** 2 // 2**20),
        )
    ]
    kernel_rules = {
        "printed_coefficient": settings.kernels.printed_coefficient,
        "relative_coefficient": settings.kernels.relative_coefficient,
    }
    for source, name in zip(settings.sources, names, strict=True):
        one = settings.rademacher
        work = sum(one.samples) * sum(one.widths) * one.network_draws * one.steps
        memory = 600 + 40 * max(one.samples) ** 2 // 2**20
        cost = Cost(4 + work * 1.3e-8, memory, gpu_speedup=10)  # networks of up to 256 units, all draws at once
        found.append(Cell(f"rademacher_{source}", {**one.model_dump(), **kernel_rules}, (name,), cost))
        found.append(Cell(f"kernels_{source}", settings.kernels.model_dump(), (name,), _kernel_cost(settings.kernels)))
    return found


def _kernel_cost(settings: KernelSettings) -> Cost:
    """Iterations of a tiled solve grow like n^0.8 (MNIST, rank 200); a kernel entry of 784 pixels costs 1.5e-8 s."""
    dense = [n for n in settings.samples if n <= settings.dense_up_to]
    tiled = [n for n in settings.samples if n > settings.dense_up_to] + dense[-1:]
    seconds = sum(1e-10 * n**3 + 1e-7 * n**2 for n in dense)
    seconds += sum(120 * (n / 1000) ** 0.8 * 1.5e-8 * n**2 for n in tiled)
    memory = 500 + 24 * max([*dense, 1]) ** 2 // 2**20 + 8 * max(tiled) * (settings.rank + 2000) // 2**20
    # estimated: an hour of a data-centre GPU, which has half of its speed in float64, for 290 of a core at n = 60000
    return Cost(4 + 2 * len(settings.seeds) * seconds, memory + int(3 * settings.tile_mb), gpu_speedup=250)
