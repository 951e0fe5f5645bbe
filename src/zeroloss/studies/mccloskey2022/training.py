"""Q1, Q2, Q3, Q4 and Q9: what is trained. One function per question, each returns one tidy table with a column ``part``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zeroloss.datasets.sphere import uniform_on_sphere
from zeroloss.randomness import numpy_generator
from zeroloss.studies.mccloskey2022.examples import limit_gram, moved_to
from zeroloss.theory import mccloskey2022 as theory

if TYPE_CHECKING:
    import torch

    from zeroloss.training.gram_descent import GramDescent

Report = Callable[[str], None]


@dataclass(frozen=True)
class Problem:
    """Inputs on the sphere with labels, and what H-infinity says of them.

    Attributes:
        x: float64, shape (n, d).
        y: float64, shape (n,).
        limit: H-infinity, float64, shape (n, n).
        lambda_0, lambda_max: its extreme eigenvalues.
    """

    x: np.ndarray
    y: np.ndarray
    limit: torch.Tensor
    lambda_0: float
    lambda_max: float

    def engine(
        self, hidden: torch.Tensor, output: torch.Tensor, step_size: float, device: str, measure: bool = True
    ) -> GramDescent:
        """Gradient descent from W (m, d) with output weights a (m,), in float32."""
        import torch

        from zeroloss.training.gram_descent import GramDescent

        x = torch.from_numpy(self.x)
        gram = (x @ x.T).float().to(device)
        return GramDescent(gram, hidden @ x.float().T, output, torch.from_numpy(self.y).float(), step_size, measure)


def make_problem(x: np.ndarray, y: np.ndarray) -> Problem:
    """Attach H-infinity to a data set."""
    from zeroloss.kernels.relu_gram import extreme_eigenvalues

    gram = limit_gram(x)
    return Problem(x, y, gram, *extreme_eigenvalues(gram))


def sphere_problem(question: str, seed: int, samples: int, dimension: int, signs: bool = False) -> Problem:
    """Inputs uniform on the sphere, labels N(0, 1) or random signs; drawn anew for each question and size."""
    x = uniform_on_sphere(samples, dimension, numpy_generator(seed, question, "inputs", samples, dimension))
    labels = numpy_generator(seed, question, "labels", samples, dimension)
    y = labels.choice([-1.0, 1.0], size=samples) if signs else labels.standard_normal(samples)
    return make_problem(x, y)


def spaced_steps(steps: int, points: int) -> list[int]:
    """Step 0 and up to ``points`` steps from 1 to ``steps``, evenly spaced in the logarithm."""
    return [0, *sorted({round(float(step)) for step in np.geomspace(1, steps, points)})]


def first_below(values: np.ndarray, threshold: float) -> float:
    """First index at which values <= threshold values[0]; NaN where there is none."""
    below = np.flatnonzero(values <= threshold * values[0])
    return float(below[0]) if len(below) else float("nan")


def approach(p: Mapping[str, Any], seed: int, device: str, report: Report) -> pd.DataFrame:
    """Q1. Inputs 0 and 1 at distance eps with labels +1 and -1; everything else as in the theorem's setting.

    The error r = u - y is split into the pair's difference mode (r_0 - r_1) / sqrt 2 and the rest. Part ``approach``
    has one row per run, part ``approach_curve`` the squares of both parts at some steps.
    """
    import torch

    from zeroloss.kernels.relu_gram import extreme_eigenvalues
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.training.gram_descent import DIVERGED

    n, d, limit = p["samples"], p["dimension"], p["threshold"]
    spread = sphere_problem("approach", seed, n, d)
    y = spread.y.copy()
    y[0], y[1] = 1.0, -1.0
    tables = []
    for width, distance in itertools.product(p["widths"], p["distances"]):
        weights, signs = initial_weights(width, d, seed)
        problem = make_problem(moved_to(spread.x, 0, 1, distance), y)
        eta = p["relative_step"] / problem.lambda_max
        engine = problem.engine(weights, signs, eta, device, measure=False)
        start_gram = engine.hidden_gram().cpu()
        separating = int((engine.active[:, 0] != engine.active[:, 1]).sum())
        start = engine.residual.double().cpu()
        bound = theory.bound_steps(limit, eta, problem.lambda_0)
        predicted = {}
        for name, gram in (("limit", problem.limit), ("start", start_gram)):
            values, vectors = torch.linalg.eigh(gram)
            # H(0) of a narrow network is singular to rounding where no unit separates the pair
            usable = float(values[0]) > 1e-12
            predicted[name] = (
                theory.linear_steps(values.numpy(), (vectors.T @ start).numpy(), eta, limit) if usable else np.nan
            )
        split, diverged = [], False
        for k in range(p["most_steps"] + 1):
            if k:
                engine.step()
            r = engine.residual.double().cpu().numpy()
            total, difference = float(r @ r), float((r[0] - r[1]) ** 2 / 2)
            split.append((difference, total - difference))
            diverged = not np.isfinite(total) or total > DIVERGED * sum(split[0])
            if diverged or total <= limit * sum(split[0]):
                break
        path = np.array(split)
        report(f"width {width}, distance {distance:g}, {len(path) - 1} steps")
        common = {
            "seed": seed, "width": width, "samples": n, "dimension": d, "distance": distance, "step_size": eta,
            "lambda_0": problem.lambda_0, "lambda_max_limit": problem.lambda_max, "diverged": diverged,
        }  # fmt: skip
        one = {
            "part": "approach", **common, "steps_to_threshold": np.nan if diverged else first_below(path.sum(1), limit),
            "steps_rest": first_below(path[:, 1], limit), "steps_bound": bound, "steps_linear": predicted["limit"],
            "steps_start": predicted["start"], "share_of_pair": path[-1, 0] / path[-1].sum(),
            "share_at_start": path[0, 0] / path[0].sum(), "separating_units": separating,
            "lambda_min_start": extreme_eigenvalues(start_gram)[0],
            "lambda_min": extreme_eigenvalues(engine.hidden_gram())[0],
        }  # fmt: skip
        at = [k for k in spaced_steps(len(path) - 1, 40) if k < len(path)] if len(path) > 1 else [0]
        curve = {"step": at, "pair_error": path[at, 0] / path[0].sum(), "rest_error": path[at, 1] / path[0].sum()}
        tables += [pd.DataFrame([one]), pd.DataFrame({"part": "approach_curve", **common, **curve})]
    return pd.concat(tables, ignore_index=True)


def trains(problem: Problem, engine: GramDescent, step_size: float, threshold: float) -> tuple[bool, int]:
    """Whether the theorem's rate bound holds at every step until |u - y|^2 has fallen to ``threshold``; steps taken.

    A run cannot go on for ever: the bound itself falls to the threshold after ``theory.bound_steps`` steps.
    """
    rate = np.log1p(-step_size * problem.lambda_0 / 2.0)
    start = float(engine.residual.double().square().sum())
    for k in range(1, theory.bound_steps(threshold, step_size, problem.lambda_0) + 1):
        engine.step()
        now = float(engine.residual.double().square().sum())
        # 1e-5 for rounding in float32, as in the judgement of the theorem's bound; also False where now is not a number
        if not now <= start * np.exp(k * rate) * (1 + 1e-5):
            return False, k
        if now <= threshold * start:
            return True, k
    return True, k


def smallest_width(p: Mapping[str, Any], seed: int, device: str, report: Report) -> pd.DataFrame:
    """Q2. For each n, the smallest m at which :func:`trains` holds, by doubling and then bisection in ln m.

    The networks of one seed are nested (the first m units of one draw), so that the search compares like with like;
    the number found is where success begins, which is exact only if success is monotone in m.
    """
    from zeroloss.networks.two_layer import initial_weights

    rows = []
    series = [("square", n, n) for n in p["samples"]] + [("fixed", n, p["fixed_dimension"]) for n in p["fixed_samples"]]
    for name, n, d in series:
        problem = sphere_problem("smallest width", seed, n, d)
        eta = p["relative_step"] / problem.lambda_max
        weights, signs = initial_weights(p["largest_width"], d, seed)
        tried: dict[int, bool] = {}

        def attempt(m: int) -> bool:
            engine = problem.engine(weights[:m], signs[:m], eta, device, measure=False)  # noqa: B023
            tried[m], _ = trains(problem, engine, eta, p["threshold"])  # noqa: B023
            return tried[m]  # noqa: B023

        low, high = 1, 2
        while not attempt(high) and high < p["largest_width"]:
            low, high = high, min(2 * high, p["largest_width"])
        found = tried[high]
        while found and high - low > max(1.0, p["resolution"] * low):
            middle = round((low * high) ** 0.5)
            middle = min(max(middle, low + 1), high - 1)
            low, high = (low, middle) if attempt(middle) else (middle, high)
        report(f"n = {n}, d = {d}, m = {high if found else 'not found'}")
        rows.append(
            {
                "part": "smallest_width", "series": name, "seed": seed, "samples": n, "dimension": d,
                "smallest_width": float(high) if found else np.nan, "largest_failure": float(low),
                "widths_tried": len(tried), "step_size": eta, "lambda_0": problem.lambda_0,
                "lambda_max_limit": problem.lambda_max,
                "steps_bound": theory.bound_steps(p["threshold"], eta, problem.lambda_0),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


OUTPUT_LAWS = (("signs", 1.0), ("uniform", 1.0), ("uniform", 3.0))  # law of a_r and factor of the step size
SECOND_MOMENT = {"signs": 1.0, "uniform": 1.0 / 3.0}


def output_law(p: Mapping[str, Any], seed: int, device: str, report: Report) -> pd.DataFrame:
    """Q3. a_r = +-1 against a_r uniform on [-1, 1], at the same step size and at three times it; same hidden weights."""
    import torch

    from zeroloss.kernels.relu_gram import extreme_eigenvalues
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.randomness import torch_generator
    from zeroloss.training.gram_descent import descend

    problem = sphere_problem("output law", seed, p["samples"], p["dimension"])
    tables = []
    for width in p["widths"]:
        weights, signs = initial_weights(width, p["dimension"], seed)
        uniform = 2.0 * torch.rand(width, generator=torch_generator(seed, "output law", width)) - 1.0
        # a float32 zero comes up once in 2^24 draws: such a unit would be dead, so it keeps the least weight there is
        uniform = torch.where(uniform == 0, 2.0**-24, uniform)
        for law, factor in OUTPUT_LAWS:
            eta = factor * p["relative_step"] / problem.lambda_max
            engine = problem.engine(weights, signs if law == "signs" else uniform, eta, device)
            rescaled = engine.hidden_gram().cpu() / SECOND_MOMENT[law]
            path = descend(engine, p["steps"])
            common = {
                "seed": seed, "width": width, "samples": p["samples"], "dimension": p["dimension"], "law": law,
                "step_factor": factor, "step_size": eta, "lambda_0": problem.lambda_0,
                "lambda_max_limit": problem.lambda_max, "diverged": path.diverged_at is not None,
            }  # fmt: skip
            one = {
                "part": "output_law", **common, "steps_to_threshold": first_below(path.mse, p["threshold"]),
                "lambda_min_start": extreme_eigenvalues(rescaled)[0],
                "gram_deviation": float(torch.linalg.matrix_norm(rescaled - problem.limit, 2)),
                "pattern_change": path.pattern_change[-1], "max_distance": path.max_distance[-1],
            }  # fmt: skip
            tables.append(pd.DataFrame([one]))
            if width == max(p["widths"]):
                curve = {"step": np.arange(len(path.mse)), "loss": path.mse / path.mse[0]}
                tables.append(pd.DataFrame({"part": "output_law_curve", **common, **curve}))
        report(f"width {width}")
    return pd.concat(tables, ignore_index=True)


def radius(p: Mapping[str, Any], seed: int, device: str, report: Report) -> pd.DataFrame:
    """Q4. The same directions of w_r with Gaussian lengths and with all lengths equal to R, so H(0) is the same."""
    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.training.gram_descent import descend

    problem = sphere_problem("radius", seed, p["samples"], p["dimension"])
    eta = p["relative_step"] / problem.lambda_max
    gaussian, signs = initial_weights(p["width"], p["dimension"], seed)
    directions = gaussian / gaussian.norm(dim=1, keepdim=True)
    tables = []
    laws = [("gaussian", float(p["dimension"]) ** 0.5), *(("sphere", radius) for radius in p["radii"])]
    for law, length in laws:
        engine = problem.engine(gaussian if law == "gaussian" else length * directions, signs, eta, device)
        path = descend(engine, p["steps"], spaced_steps(p["steps"], p["spectrum_points"]))
        steps = np.arange(len(path.mse))
        drift = engine.distances().double().cpu().numpy()
        report(f"{law} {length:g}")
        tables.append(
            pd.DataFrame(
                {
                    "part": "radius", "law": law, "radius": length, "seed": seed, "width": p["width"],
                    "samples": p["samples"], "dimension": p["dimension"], "step": steps, "step_size": eta,
                    "loss": path.mse, "pattern_change": path.pattern_change, "max_distance": path.max_distance,
                    "lambda_min": [path.spectrum.get(int(k), (np.nan, np.nan))[0] for k in steps],
                    "mean_distance": np.where(steps == steps[-1], drift.mean(), np.nan),
                    "patterns_bound": np.where(
                        steps == steps[-1], theory.changed_patterns(drift, length / p["dimension"] ** 0.5), np.nan
                    ),
                    "lambda_0": problem.lambda_0, "lambda_max_limit": problem.lambda_max,
                    "diverged": path.diverged_at is not None,
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def methods(p: Mapping[str, Any], device: str, report: Report) -> pd.DataFrame:
    """Q9. One loss, every method, all seeds at once. Momentum and step of heavy_ball and nesterov are those that are
    best for a quadratic with the spectrum of H-infinity; for logistic loss the steps are ``logistic_factor`` longer."""
    import torch

    from zeroloss.networks.two_layer import initial_weights
    from zeroloss.training.first_order import METHODS, Method, Networks, train

    problems = [sphere_problem("methods", seed, p["samples"], p["dimension"], signs=True) for seed in p["seeds"]]
    inputs = torch.stack([torch.from_numpy(one.x).float() for one in problems]).to(device)
    targets = torch.stack([torch.from_numpy(one.y).float() for one in problems]).to(device)
    drawn = [initial_weights(p["width"], p["dimension"], seed) for seed in p["seeds"]]
    weights, signs = (torch.stack(group).to(device) for group in zip(*drawn, strict=True))
    longer = p["logistic_factor"] if p["loss"] == "logistic" else 1.0
    ends = [(one.lambda_0, one.lambda_max) for one in problems]
    constants = {
        "gradient_descent": [(longer * p["relative_step"] / largest, 0.0) for _, largest in ends],
        "heavy_ball": [(longer * eta, beta) for eta, beta in (theory.heavy_ball(*pair) for pair in ends)],
        "nesterov": [(longer * eta, beta) for eta, beta in (theory.nesterov(*pair) for pair in ends)],
        "adam": [(p["adam_step"], p["adam_momentum"])] * len(ends),
        "rmsprop": [(p["rmsprop_step"], 0.0)] * len(ends),
    }
    tables = []
    for name in METHODS:
        eta, beta = (torch.tensor(column) for column in zip(*constants[name], strict=True))
        memory = p["adam_memory"] if name == "adam" else p["rmsprop_memory"]
        method = Method(name, eta, beta, memory, p["adaptive_floor"])
        networks = Networks(inputs, targets, weights, signs, p["loss"])
        path = train(networks, method, p["steps"], p["threshold"], spaced_steps(p["steps"], p["record_points"]))
        report(f"{p['loss']} {name}")
        for b, seed in enumerate(p["seeds"]):
            common = {
                "loss_name": p["loss"], "method": name, "seed": seed, "width": p["width"], "samples": p["samples"],
                "dimension": p["dimension"], "step_size": float(eta[b]), "momentum": float(beta[b]),
                "lambda_0": ends[b][0], "lambda_max_limit": ends[b][1], "diverged": bool(path.diverged_at[b] >= 0),
            }  # fmt: skip
            at = [one.step for one in path.records]
            curve = {
                "step": at,
                "loss": path.loss[at, b],
                "relative_loss": path.loss[at, b] / path.loss[0, b],
                "pattern_change": [one.pattern_change[b] for one in path.records],
                "max_distance": [one.max_distance[b] for one in path.records],
                "rms_distance": [one.rms_distance[b] for one in path.records],
            }
            hit = {
                "steps_to_threshold": float(path.reached[b]) if path.reached[b] >= 0 else np.nan,
                "distance_at_threshold": path.reached_distance[b],
                "least_relative_loss": np.nanmin(path.loss[:, b]) / path.loss[0, b],
            }
            tables += [
                pd.DataFrame({"part": "methods_curve", **common, **curve}),
                pd.DataFrame([{"part": "methods", **common, **hit}]),
            ]
    return pd.concat(tables, ignore_index=True)
