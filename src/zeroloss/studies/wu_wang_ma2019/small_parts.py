"""Parts of seconds: growth with depth, Theorem 4.3 at its own step size, the exact identity as start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroloss.studies.wu_wang_ma2019 import starts
from zeroloss.theory import zero_asymmetric as theory

if TYPE_CHECKING:
    from zeroloss.progress import Progress
    from zeroloss.training.deep_linear_descent import LinearPath

Rows = list[dict[str, Any]]
# Theorem 4.3, small targets: its step size falls with the sixth power of |Phi|_F
THEOREM_TARGETS: dict[str, list[list[float]]] = {
    r"$-1$": [[-1.0]],
    r"$2$": [[2.0]],
    r"$-I_2$": [[-1.0, 0.0], [0.0, -1.0]],
}
# Bartlett, Helmbold, Long 2018: the diagonals of symmetric targets, one positive definite
IDENTITY_TARGETS = {
    r"$\mathrm{diag}(2,\,1/2,\,1)$": (2.0, 0.5, 1.0),
    r"$\mathrm{diag}(2,\,1/2,\,-1)$": (2.0, 0.5, -1.0),
    r"$-I_3$": (-1.0, -1.0, -1.0),
}
KEPT = 400
# of the initial loss: the goal of the search for the largest step size
DEEP = 1e-16


def _descend(layers: list[Any], targets: np.ndarray, etas: Any, steps: int, stop: Any) -> LinearPath:
    import torch

    from zeroloss.training.deep_linear_descent import descend

    eye = torch.eye(targets.shape[-1], dtype=torch.float64)
    return descend(layers, eye, torch.from_numpy(targets), etas, steps, stop_below=stop)


def growth(settings: Mapping[str, Any], goal: float, device: str, progress: Progress) -> Rows:
    """Iterations of Xavier and ZAS to a target that no sign forbids.

    The target is I where the determinant of the Xavier start is positive and diag(-1, 1, ..., 1) where it is negative:
    both are orthogonal, and by the invariance of the Gaussian law the two cases are one experiment.
    """
    import torch

    rows: Rows = []
    for dimension in settings["dimensions"]:
        for depth in settings["depths"]:
            networks = [("xavier", seed) for seed in settings["seeds"]] + [("zas", settings["seeds"][0])]
            layers = [starts.start(name, dimension, depth, seed) for name, seed in networks]
            targets = np.stack([np.eye(dimension)] * len(networks))
            targets[[starts.determinant_sign(own) < 0 for own in layers], 0, 0] = -1
            together = [torch.cat(parts).to(device) for parts in zip(*layers, strict=True)]
            path = _descend(together, targets, settings["step_size"], settings["steps"], goal * 0.5 * dimension)
            for index, (name, seed) in enumerate(networks):
                reached = path.converged_at[index]
                rows.append(
                    {
                        "part": "growth", "start": name, "seed": seed, "dimension": dimension, "depth": depth,
                        "step_size": settings["step_size"], "diverged_at": int(path.diverged_at[index]),
                        "iterations": float(reached) if reached >= 0 else np.nan,
                    }
                )  # fmt: skip
            progress.advance(state=f"growth d={dimension}, L={depth}")
    return rows


def theorem(settings: Mapping[str, Any], goal: float, device: str, progress: Progress) -> Rows:
    """R(t)/R(0) against the envelope at the theorem's step size; the largest step sizes that work."""
    rows: Rows = []
    cases = {name: np.array(values) for name, values in THEOREM_TARGETS.items()}
    for depth in settings["depths"]:
        for size in (1, 2):
            names = [name for name, phi in cases.items() if len(phi) == size]
            targets = np.stack([cases[name] for name in names])
            norms = np.linalg.norm(targets, axis=(1, 2))
            etas = np.array([theory.proven_step(depth, norm) for norm in norms])
            layers = _zero_asymmetric(size, depth, len(names), device)
            path = _descend(layers, targets, etas, settings["steps"], 1e-12 * 0.5 * norms**2)
            for name, eta, losses in zip(names, etas, path.losses, strict=True):
                taken = np.flatnonzero(np.isfinite(losses))
                logs = np.log(losses[taken] / losses[0])
                excess = logs[1:] - theory.log_envelope(taken[1:], eta)
                kept = np.unique(np.geomspace(1, taken[-1], KEPT).round().astype(int))
                of = {"target": name, "depth": depth, "step_size": eta}
                worst = int(excess.argmax())
                rows.append(
                    {"part": "envelope", **of, "excess": excess[worst], "step": worst + 1, "steps": int(taken[-1])}
                )
                rows += [{"part": "theorem", **of, "step": int(k), "log_ratio": logs[k]} for k in (0, *kept)]
        progress.advance(2, state=f"Theorem 4.3, L={depth}")
    for depth in settings["table_depths"]:
        for name, phi in cases.items():
            rows.append(_largest_steps(name, phi, depth, settings, goal, device))
        progress.advance(2, state=f"largest steps, L={depth}")
    return rows


def _zero_asymmetric(size: int, depth: int, count: int, device: str) -> list[Any]:
    from zeroloss.networks import deep_linear

    layers = deep_linear.zero_asymmetric(deep_linear.layer_shapes(size, size, size, depth), count)
    return [layer.to(device) for layer in layers]


def _largest_steps(
    name: str, phi: np.ndarray, depth: int, settings: Mapping[str, Any], goal: float, device: str
) -> dict[str, Any]:
    """From 2 downwards in equal ratios: the largest step sizes that converge, and whose loss never rises.

    From ZAS one step of size 1 reaches any target, W_L(1) = Phi, and step sizes near 1 come close to it however unstable
    they are. So a run must get to ``DEEP`` of its initial loss, where only stable step sizes lead.
    """
    norm = float(np.linalg.norm(phi))
    proven = theory.proven_step(depth, norm)
    lowest = 0.01 / (depth * max(norm, 1 / norm) ** 2)
    etas = 2.0 * settings["search_ratio"] ** -np.arange(1 + np.log(2 / lowest) / np.log(settings["search_ratio"]) // 1)
    targets = np.stack([phi] * len(etas))
    layers = _zero_asymmetric(len(phi), depth, len(etas), device)
    path = _descend(layers, targets, etas, settings["search_steps"], DEEP * 0.5 * norm**2)
    reached = path.converged_at >= 0
    with np.errstate(invalid="ignore"):
        falling = reached & ~(np.diff(path.losses, axis=1) > 0).any(axis=1)
    best = int(np.flatnonzero(falling)[0]) if falling.any() else None
    return {
        "part": "largest", "target": name, "depth": depth, "norm": norm, "step_size": proven,
        "largest_falling": np.nan if best is None else etas[best],
        "largest_reaching": etas[reached].max() if reached.any() else np.nan,
        "proven_steps": theory.proven_steps(depth, norm, goal),
        "steps": np.nan if best is None else float(np.argmax(path.losses[best] <= goal * 0.5 * norm**2)),
    }  # fmt: skip


def identity(settings: Mapping[str, Any], goal: float, device: str, progress: Progress) -> Rows:
    """The identity as start for diagonal targets: they stay diagonal, so every eigenvalue goes its own way."""
    depth, eta, steps = settings["depth"], settings["step_size"], settings["steps"]
    names: Sequence[str] = list(IDENTITY_TARGETS)
    targets = np.stack([np.diag(IDENTITY_TARGETS[name]) for name in names])
    norms = np.linalg.norm(targets, axis=(1, 2))
    from zeroloss.networks import deep_linear

    layers = [part.to(device) for part in deep_linear.identity(deep_linear.layer_shapes(3, 3, 3, depth), len(names))]
    path = _descend(layers, targets, eta, steps, goal * 0.5 * norms**2)
    rows: Rows = []
    for index, name in enumerate(names):
        losses = path.losses[index][np.isfinite(path.losses[index])]
        missing = 0.5 * sum(value**2 for value in IDENTITY_TARGETS[name] if value < 0)
        kept = np.unique([0, *np.geomspace(1, len(losses) - 1, KEPT).round().astype(int)])
        of = {"part": "identity", "target": name, "depth": depth, "step_size": eta, "plateau": missing}
        of |= {"reached": bool(path.converged_at[index] >= 0), "final_loss": losses[-1]}
        rows += [{**of, "step": int(k), "loss": losses[k]} for k in kept]
    progress.advance(state="identity")
    return rows
