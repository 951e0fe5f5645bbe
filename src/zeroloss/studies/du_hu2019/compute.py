"""What one cell computes. Rows of several parts, told apart by the column ``part``:

- ``run``: one trained network; how it ended and how far it ever was above the bounds,
- ``curve``: its loss at some steps (theorem and stuck only),
- ``gram``: extreme eigenvalues of P(t), and for orthogonal starts singular values of all partial products,
- ``products``: how often the singular values of W_{L:i} leave their band (Proposition 6.2),
- ``vector``: how often |A_q ... A_1 v| leaves its own (Lemma 6.1),
- ``norm``: |outputs|^2 / |X|^2 of many Gaussian networks at the start (Claim 3.1),
- ``stable``: the largest step that trains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.recipes import Dataset
from zeroloss.studies.du_hu2019.experiment import TARGETS, stuck_width
from zeroloss.theory import du_hu2019 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.training.deep_linear_descent import LinearPath

CURVE_POINTS = 60  # steps kept of a loss curve; bounds are checked at every step before the others are dropped
BAND = 0.1  # of Lemma 6.1
WIDE_BAND = 0.2  # of Proposition 6.2
STUCK = (0.4, 0.6)  # of |Y|_F^2, Theorem 5.1 of Hu, Xiao, Pennington


def run(parameters: Mapping[str, Any], datasets: Sequence[Dataset], *, device: str, quiet: bool) -> pd.DataFrame:
    """The tidy table of one cell."""
    experiment = {"theorem": _theorem, "heat": _heat, "stuck": _stuck, "start": _start}[parameters["experiment"]]
    return experiment(parameters, device, quiet)


def problem_of(parameters: Mapping[str, Any], target: Any) -> theory.Problem:
    """X and W* of the cell: the same numbers for every target, scaled."""
    from zeroloss.randomness import numpy_generator

    samples, outputs = parameters["samples"], parameters["outputs"]
    generator = numpy_generator(parameters["data_seed"], "du_hu2019", "problem", samples, outputs)
    return theory.gaussian_problem(generator, parameters["inputs"], samples, outputs, target)


def _about(parameters: Mapping[str, Any], target: str) -> dict[str, Any]:
    shape = f"{parameters['inputs']} x {parameters['samples']}"
    return {
        "target": target,
        "data_title": f"Gaussian X ({shape}), Y = W* X",
        "fidelity": "synthetic",
        "labels": {"raw": "W* Gaussian", "unit": "|W*| = 1", "unit_phi": "|Phi| = 1"}[target],
    }


class _Sweep:
    """One problem, its tensors, and the training of one (depth, width) for all seeds."""

    def __init__(self, problem: theory.Problem, start: str, seeds: Sequence[int], device: str):
        import torch

        self.problem, self.start, self.seeds, self.device = problem, start, seeds, device
        self.x = torch.from_numpy(problem.x).to(device)
        self.y = torch.from_numpy(problem.y).to(device)

    def layers(self, depth: int, width: int) -> list[torch.Tensor]:
        """V_1..V_L, float32: training is bound by products, and ratios of losses above 1e-10 need no more."""
        import torch

        from zeroloss.networks import deep_linear
        from zeroloss.randomness import torch_generator

        rank, outputs = self.problem.rank, self.problem.outputs
        generators = [torch_generator(seed, "du_hu2019", self.start, depth, width) for seed in self.seeds]
        if self.start == "orthogonal":
            drawn = deep_linear.compressed_orthogonal(rank, width, outputs, depth, generators, torch.float32)
        else:
            shapes = deep_linear.layer_shapes(rank, width, outputs, depth)
            drawn = deep_linear.gaussian(shapes, width**-0.5, generators, torch.float32)
        return [layer.to(self.device) for layer in drawn]

    def first_outputs(self, layers: Sequence[torch.Tensor], width: int) -> torch.Tensor:
        """Outputs at the start, float64, shape (seeds, d_out, n)."""
        found = self.x.expand(len(layers[0]), *self.x.shape)
        for layer in layers:
            found = layer.double() @ found
        return (width / self.problem.outputs) ** 0.5 * found

    def train(
        self, depth: int, width: int, steps: int, stop: float, on_step: Callable[[int, float], None],
        record_at: Sequence[int] = (), observe: Any = None,
    ) -> tuple[pd.DataFrame, LinearPath]:  # fmt: skip
        """Rows of part "run", one per seed, and the path; the step is Du and Hu's, which both theorems allow."""
        from zeroloss.training.deep_linear_descent import descend

        problem = self.problem
        layers = self.layers(depth, width)
        outputs = self.first_outputs(layers, width)
        first = 0.5 * (outputs - self.y).square().sum(dim=(1, 2)).cpu().numpy()
        eta = theory.gaussian_step(problem, depth)
        path = descend(
            layers, self.x, self.y, eta / width, steps, scale=(width / problem.outputs) ** 0.5,
            stop_below=stop * first, record_at=record_at, observe=observe, on_step=on_step,
        )  # fmt: skip
        last = np.isfinite(path.losses).sum(1) - 1
        final = path.losses[np.arange(len(last)), last]
        rows = {
            "part": "run",
            "start": self.start,
            "depth": depth,
            "width": width,
            "seed": self.seeds,
            "step_size": eta,
            "start_loss": first,
            "step": last,
            "relative_loss": np.where(path.diverged_at >= 0, np.inf, final / first),
            "converged_at": path.converged_at,
            "diverged_at": path.diverged_at,
        }
        return pd.DataFrame(rows), path

    def slack(self, path: LinearPath, depth: int) -> np.ndarray:
        """max over steps t >= 1 of ln(l(t) / l(0)) - t ln(contraction) of the start's theorem, shape (seeds,).

        Infinite for a diverged run. What comes after convergence is not looked at.
        """
        factor = theory.contraction(self.problem, depth, theory.gaussian_step(self.problem, depth), self.start)
        excess = np.log(path.losses / path.losses[:, :1]) - np.arange(path.losses.shape[1]) * np.log(factor)
        return np.where(path.diverged_at >= 0, np.inf, np.nanmax(excess[:, 1:], axis=1))


def _curves(path: LinearPath, seeds: Sequence[int], head: Mapping[str, Any]) -> list[pd.DataFrame]:
    """Rows of part "curve": losses at about geometrically spaced steps and the last one."""
    steps = path.losses.shape[1] - 1
    spaced = np.unique(np.concatenate([[0], np.geomspace(1, steps, CURVE_POINTS).round().astype(int)]))
    found = []
    for seed, losses in zip(seeds, path.losses, strict=True):
        end = int(np.isfinite(losses).sum()) - 1
        here = np.append(spaced[spaced < end], end)
        own = {"seed": seed, "step": here, "loss": losses[here], "relative_loss": losses[here] / losses[0]}
        found.append(pd.DataFrame({"part": "curve", **head, **own}))
    return found


def _theorem(parameters: Mapping[str, Any], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.kernels.linear_gram import linear_gram, partial_singular_values, spectra
    from zeroloss.progress import Progress

    problem = problem_of(parameters, parameters["target"])
    start, seeds, steps = parameters["start"], parameters["seeds"], parameters["steps"]
    sweep = _Sweep(problem, start, seeds, device)
    about = _about(parameters, parameters["target"])
    unit = {"lambda_max": problem.lambda_max / problem.outputs, "lambda_min": problem.lambda_r / problem.outputs}
    parts: list[pd.DataFrame] = []
    with Progress(
        len(parameters["depths"]) * len(parameters["widths"]), f"du_hu2019 theorem {start}", quiet
    ) as progress:
        for depth in parameters["depths"]:
            for width in parameters["widths"]:
                head = {"start": start, "depth": depth, "width": width, **about}

                def observe(k: int, who: np.ndarray, layers: list[torch.Tensor], head: Any = head) -> None:
                    spectrum = spectra(linear_gram(layers, sweep.x) / problem.outputs).cpu().numpy()
                    own: dict[str, Any] = {
                        "seed": np.array(seeds)[who],
                        "step": k,
                        # relative to L lambda(X^T X) / d_out, eq. 9
                        "relative_min": spectrum[:, 0] / (head["depth"] * unit["lambda_min"]),
                        "relative_max": spectrum[:, -1] / (head["depth"] * unit["lambda_max"]),
                    }
                    if start == "orthogonal":
                        own["singular_min"], own["singular_max"] = partial_singular_values(layers).T.numpy()
                    parts.append(pd.DataFrame({"part": "gram", **head, **own}))  # noqa: B023  one list for all turns

                rows, path = sweep.train(
                    depth, width, steps, 1e-10, lambda k, worst: None, parameters["recorded_steps"], observe
                )
                reached = path.losses <= parameters["accuracy"] * path.losses[:, :1]
                rows["iterations"] = np.where(reached.any(1), reached.argmax(1), np.nan)
                rows["slack"] = sweep.slack(path, depth)
                parts.append(rows.assign(**about))
                parts += _curves(path, seeds, head)
                progress.advance(state=f"L={depth}, m={width}")
    return pd.concat(parts, ignore_index=True)


def _heat(parameters: Mapping[str, Any], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.progress import Progress

    targets = TARGETS if parameters["target"] == "all" else (parameters["target"],)
    parts = []
    total = len(targets) * len(parameters["depths"]) * len(parameters["widths"])
    with Progress(total, f"du_hu2019 heat {parameters['start']}", quiet) as progress:
        for target in targets:
            sweep = _Sweep(problem_of(parameters, target), parameters["start"], parameters["seeds"], device)
            for depth in parameters["depths"]:
                for width in parameters["widths"]:
                    rows, _ = sweep.train(depth, width, parameters["steps"], parameters["floor"], lambda k, worst: None)
                    parts.append(rows.assign(part="heat", **_about(parameters, target)))
                    progress.advance(state=f"L={depth}, m={width}")
    return pd.concat(parts, ignore_index=True)


def _stuck(parameters: Mapping[str, Any], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.progress import Progress

    parts = []
    seeds = parameters["seeds"]
    with Progress(len(TARGETS) * len(parameters["depths"]), "du_hu2019 stuck", quiet) as progress:
        for target in TARGETS:
            problem = problem_of(parameters, target)
            size = float((problem.y**2).sum())
            sweep = _Sweep(problem, "gaussian", seeds, device)
            for depth in parameters["depths"]:
                width = stuck_width(depth, parameters["gamma"])
                rows, path = sweep.train(depth, width, parameters["steps"], 0.0, lambda k, worst: None)
                share = path.losses / size
                outside = (share < STUCK[0]) | (share > STUCK[1]) | np.isnan(share)
                rows["left_at"] = np.where(outside.any(1), outside.argmax(1), -1)
                about = _about(parameters, target)
                parts.append(rows.assign(part="stuck", **about))
                head = {"start": "gaussian", "depth": depth, "width": width, **about}
                parts += [
                    rows.assign(part="stuck_curve", loss_share=rows["loss"] / size)
                    for rows in _curves(path, seeds, head)
                ]
                progress.advance(state=f"L={depth}, m={width}")
    return pd.concat(parts, ignore_index=True)


def _start(parameters: Mapping[str, Any], device: str, quiet: bool) -> pd.DataFrame:
    from zeroloss.progress import Progress

    with Progress(2, "du_hu2019 start", quiet) as progress:
        parts = [_products(parameters), _norms(parameters)]
        progress.advance(state="products")
        parts.append(_stable(parameters, device))
        progress.advance(state="stable steps")
    return pd.concat(parts, ignore_index=True)


def _products(parameters: Mapping[str, Any]) -> pd.DataFrame:
    """How often products of q factors leave the bands of Lemma 6.1 and Proposition 6.2."""
    from zeroloss.randomness import numpy_generator

    own, outputs = parameters["products"], parameters["outputs"]
    rows = []
    for factors in own["factors"]:
        for aspect in own["aspects"]:
            width = max(outputs, round(factors * aspect))
            head = {"depth": factors, "width": width, "aspect": width / factors}
            generator = numpy_generator(0, "du_hu2019", "vectors", factors, width)
            norms = theory.product_norms(width, factors, own["draws"], generator)
            outside = int((np.abs(norms - 1) > BAND).sum())
            rows.append({"part": "vector", **head, "outside": outside, "draws": own["draws"]})
            generator = numpy_generator(0, "du_hu2019", "products", factors, width)
            least, largest = theory.product_singular_values(width, factors, outputs, own["networks"], generator)
            outside = int(((least < 1 - WIDE_BAND) | (largest > 1 + WIDE_BAND)).sum())
            rows.append({"part": "products", **head, "outside": outside, "draws": own["networks"]})
    return pd.DataFrame(rows)


def _norms(parameters: Mapping[str, Any]) -> pd.DataFrame:
    import torch

    from zeroloss.randomness import torch_generator

    own = parameters["products"]
    networks, width = own["norm_networks"], own["norm_width"]
    problem = problem_of(parameters, "unit_phi")
    x = torch.from_numpy(problem.x)
    parts = []
    for depth in own["factors"]:
        generator = torch_generator(0, "du_hu2019", "norms", depth, width)
        found = x.expand(networks, *x.shape)
        # layer by layer: all networks of a deep batch together need not fit in memory
        for layer in range(depth):
            shape = (networks, problem.outputs if layer == depth - 1 else width, found.shape[1])
            found = torch.randn(shape, generator=generator, dtype=torch.float64) @ found
            found /= (problem.outputs if layer == depth - 1 else width) ** 0.5
        ratio = found.square().sum(dim=(1, 2)).numpy() / float((problem.x**2).sum())
        head = {"depth": depth, "width": width, "seed": range(networks), "output_ratio": ratio}
        parts.append(pd.DataFrame({"part": "norm", "start": "gaussian", **head, **_about(parameters, "unit_phi")}))
    return pd.concat(parts, ignore_index=True)


def _stable(parameters: Mapping[str, Any], device: str) -> pd.DataFrame:
    from zeroloss.training.deep_linear_descent import descend

    own, seeds = parameters["stable"], parameters["seeds"]
    problem = problem_of(parameters, "unit_phi")
    multiples = np.sort(np.array(own["multiples"]))
    rows = []
    for start in ("gaussian", "orthogonal"):
        sweep = _Sweep(problem, start, seeds, device)
        for depth in own["depths"]:
            width, eta = own["width"], theory.gaussian_step(problem, depth)
            layers = [layer.repeat_interleave(len(multiples), dim=0) for layer in sweep.layers(depth, width)]
            path = descend(
                layers, sweep.x, sweep.y, np.tile(multiples * eta / width, len(seeds)), own["steps"],
                scale=(width / problem.outputs) ** 0.5,
            )  # fmt: skip
            falls = (path.losses[:, -1] < path.losses[:, 0]) & (path.diverged_at < 0)
            # a step size counts when it and all smaller ones train
            trains = np.logical_and.accumulate(falls.reshape(len(seeds), -1), axis=1).sum(1)
            for seed, number in zip(seeds, trains, strict=True):
                rows.append(
                    {
                        "part": "stable", "start": start, "depth": depth, "width": width, "seed": seed,
                        "multiple": multiples[number - 1] if number else np.nan,
                        "at_grid_end": bool(number in (0, len(multiples))), "step_size": eta, **_about(parameters, "unit_phi"),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)
