"""Full-batch gradient descent on the hidden layer of a two-layer ReLU network, without ever forming its weights.

The update of eq. 4 of Du et al. 2018a moves w_r by -eta m^(-1/2) a_r sum_i r_i 1{w_r . x_i >= 0} x_i, r = u - y.
Multiplied by the inputs, with K = X X^T, Z = W X^T (m, n) and the active patterns P (m, n) in {0, 1}:

    Z <- Z - s diag(a) (P diag(r)) K,      s = eta m^(-1/2).

So one product of 2 n^2 m flops replaces the two of 2 n d m flops each that a step in weight space needs, and nothing
depends on d any more. It is the same iteration in exact arithmetic. The state kept is D = sum_k (P_k diag(r_k)) K and
T = diag(a) Z(0) / s, so that a_r z_r = s (T - D)_r: small movements are not lost beside large initial values.
Rows are sorted by the sign of a, which only renames the hidden units.

The paper has a_r = +-1. For any a_r that is not 0 the same holds with T = Z(0) / (s a_r): then a_r z_r = s a_r^2 (T - D)_r,
so the squares of a weight the units in the outputs and in H(k) (document 003, section 3), and distances get a factor |a_r|.

Distances cost no product either: with C = sum_k P_k diag(r_k), w_r(k) - w_r(0) = -s a_r C_r X has squared length
s^2 <C_r, D_r>, and <C + G, D + G K> = <C, D> + <G, D + (D + G K)> updates it from the step's own buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.errors import UserError
from zeroloss.kernels.relu_gram import coactivation_counts, extreme_eigenvalues

# A block of rows passes through about ten elementwise operations, which are several times faster while it fits the
# second-level cache; products of fewer than 64 rows are slow (both measured in benchmarks/).
_BLOCK_BYTES = 768 * 1024
_LEAST_BLOCK_ROWS = 64
# Beyond this growth of the loss float32 soon overflows; the theory calls it divergence long before.
DIVERGED = 1e6


@dataclass(frozen=True)
class Trajectory:
    """Metrics after k = 0, 1, ... steps; shorter than asked for when training diverged.

    Attributes:
        mse: mean squared error |u - y|^2 / n, float64, shape (k + 1,).
        pattern_change: fraction of the m n activation patterns that differ from the start; NaN if not measured.
        max_distance: max_r |w_r(k) - w_r(0)|_2; NaN if not measured.
        spectrum: step -> (least, largest) eigenvalue of H(k).
        diverged_at: the step at which training was given up, or None.
    """

    mse: np.ndarray
    pattern_change: np.ndarray
    max_distance: np.ndarray
    spectrum: dict[int, tuple[float, float]]
    diverged_at: int | None


@dataclass(frozen=True)
class _Block:
    """Views of one slab of rows that share the sign of a; made once, because a step visits hundreds of slabs."""

    positive: bool
    start: torch.Tensor
    moved: torch.Tensor
    active: torch.Tensor
    start_active: torch.Tensor
    squared_distance: torch.Tensor
    buffer: torch.Tensor
    flags: torch.Tensor
    squared_weights: torch.Tensor


class GramDescent:
    """The iteration above on one device.

    Args:
        gram: K = X X^T, shape (n, n); its dtype and device are those of the computation.
        preactivations: Z(0) = W(0) X^T, shape (m, n).
        signs: a, shape (m,): -1 or +1 in the paper, any numbers but 0 here.
        targets: y, shape (n,).
        step_size: eta of eq. 4, > 0.
        measure: track pattern changes and distances.

    Raises:
        UserError: an output weight is 0 (its hidden unit would neither act nor move: leave it out).
    """

    def __init__(
        self,
        gram: torch.Tensor,
        preactivations: torch.Tensor,
        signs: torch.Tensor,
        targets: torch.Tensor,
        step_size: float,
        measure: bool = True,
    ) -> None:
        if bool((signs == 0).any()):
            raise UserError("an output weight a_r is 0: its hidden unit takes no part in training, so leave it out")
        width, samples = preactivations.shape
        dtype, device = gram.dtype, gram.device
        order = torch.argsort(signs, descending=True, stable=True)
        self.gram, self.width, self.samples, self.measure = gram.contiguous(), width, samples, measure
        self.scale = step_size / width**0.5
        self.targets = targets.to(device, dtype)
        self.residual = torch.empty(samples, dtype=dtype, device=device)
        self.flips = torch.zeros((), dtype=torch.int64, device=device)
        self.squared_distance = torch.zeros(width, dtype=dtype, device=device)
        # T, D and the active patterns of the text above, rows in the engine's order
        self.start = (preactivations[order] / (signs[order, None] * self.scale)).to(device, dtype)
        # squares of a, in the dtype of the computation, as the row vector that multiplies T - D
        self._squared_weights = signs[order].square().to(device, dtype)[None, :]
        self._unit_weights = bool((self._squared_weights == 1).all())
        self.moved = torch.zeros_like(self.start)
        self.active = torch.empty(width, samples, dtype=torch.bool, device=device)
        self._start_active = torch.empty_like(self.active)
        self._output = torch.empty(1, samples, dtype=dtype, device=device)
        self._blocks = self._row_blocks(int((signs > 0).sum()))
        self._output.zero_()
        for block in self._blocks:
            self._forward(block)
        self._start_active.copy_(self.active)
        self._close()

    def _row_blocks(self, positive: int) -> list[_Block]:
        """Slabs of rows that share a sign and, on a CPU, fit the cache."""
        rows = self.width
        if self.gram.device.type == "cpu":
            rows = max(_LEAST_BLOCK_ROWS, _BLOCK_BYTES // (self.samples * self.gram.element_size()))
        bounds = [
            (begin, min(begin + rows, last), sign)
            for first, last, sign in ((0, positive, True), (positive, self.width, False))
            for begin in range(first, last, rows)
        ]
        largest = max(stop - begin for begin, stop, _ in bounds)
        buffer = torch.empty(largest, self.samples, dtype=self.gram.dtype, device=self.gram.device)
        flags = torch.empty(largest, self.samples, dtype=torch.bool, device=self.gram.device)
        return [
            _Block(
                sign,
                self.start[begin:stop],
                self.moved[begin:stop],
                self.active[begin:stop],
                self._start_active[begin:stop],
                self.squared_distance[begin:stop],
                buffer[: stop - begin],
                flags[: stop - begin],
                self._squared_weights[:, begin:stop],
            )
            for begin, stop, sign in bounds
        ]

    def step(self) -> None:
        """One step of gradient descent: ``residual``, ``flips`` and ``squared_distance`` become those of W(k+1)."""
        self._output.zero_()
        self.flips.zero_()
        for block in self._blocks:
            _mask(block.active, self.residual, out=block.buffer)  # G = P diag(r)
            if self.measure:
                block.squared_distance.add_(_row_products(block.buffer, block.moved))
                block.moved.addmm_(block.buffer, self.gram)
                block.squared_distance.add_(_row_products(block.buffer, block.moved))
            else:
                block.moved.addmm_(block.buffer, self.gram)
            self._forward(block)
            if self.measure:
                self.flips += _count_differences(block.active, block.start_active, block.flags)
        self._close()

    def _forward(self, block: _Block) -> None:
        """Active patterns of one block, and its part of the outputs."""
        signed = torch.sub(block.start, block.moved, out=block.buffer)
        _is_active(signed, block.positive, out=block.active)
        # a_r relu(z_r) / s = a_r^2 times: relu of T - D where a > 0, and -relu of -(T - D) = min(T - D, 0) where a < 0
        (signed.clamp_min_ if block.positive else signed.clamp_max_)(0)
        self._output.addmm_(block.squared_weights, signed)

    def _close(self) -> None:
        torch.mul(self._output[0], self.scale / self.width**0.5, out=self.residual)
        self.residual.sub_(self.targets)

    def hidden_gram(self) -> torch.Tensor:
        """H(k) of eq. 6, each unit weighted with a_r^2 (1 in the paper), float64, shape (n, n)."""
        if self._unit_weights:
            return self.gram.double() * coactivation_counts(self.active) / self.width
        weighted = self.active.double() * self._squared_weights.double().T
        return self.gram.double() * (weighted.T @ self.active.double()) / self.width

    def distances(self) -> torch.Tensor:
        """|w_r(k) - w_r(0)|_2 of every hidden unit, in the engine's order of rows, shape (m,)."""
        # rounding can leave a tiny negative square where nothing has moved yet
        return self.scale * (self._squared_weights[0] * self.squared_distance.clamp(min=0.0)).sqrt()


# The four operations in which numpy beats torch 2.13 on a CPU: comparisons to bool by 6x, counting by 5x, row products
# by 2x (BLAS for each row, nothing stored), and bool times float by 10x. On a GPU they are torch's.


def _is_active(signed: torch.Tensor, positive: bool, out: torch.Tensor) -> None:
    """1{z >= 0} from a z: the sign of a is that of the block."""
    if signed.device.type == "cpu":
        (np.greater_equal if positive else np.less_equal)(signed.numpy(), 0, out=out.numpy())
    else:
        (torch.ge if positive else torch.le)(signed, 0, out=out)


def _mask(active: torch.Tensor, residual: torch.Tensor, out: torch.Tensor) -> None:
    """P diag(r)."""
    if active.device.type == "cpu":
        np.multiply(active.numpy(), residual.numpy(), out=out.numpy())
    else:
        torch.mul(active, residual, out=out)


def _row_products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """<left_r, right_r> for every row r, shape (rows,)."""
    if left.device.type == "cpu":
        return torch.from_numpy(np.vecdot(left.numpy(), right.numpy()))
    return torch.linalg.vecdot(left, right)


def _count_differences(active: torch.Tensor, before: torch.Tensor, flags: torch.Tensor) -> int | torch.Tensor:
    """In how many places two patterns differ; ``flags`` is scratch space of their shape."""
    if active.device.type == "cpu":
        return int(np.count_nonzero(np.not_equal(active.numpy(), before.numpy(), out=flags.numpy())))
    return torch.count_nonzero(torch.logical_xor(active, before, out=flags))


def descend(
    engine: GramDescent,
    steps: int,
    spectrum_at: Iterable[int] = (),
    on_step: Callable[[int, float], None] | None = None,
) -> Trajectory:
    """Run ``steps`` steps and record the metrics after each, the eigenvalues of H(k) at the steps ``spectrum_at``.

    Args:
        engine: a fresh :class:`GramDescent`.
        steps: number of gradient steps.
        spectrum_at: steps (0 is the start) at which the spectrum of H(k) is taken.
        on_step: called after every step with its number and the mean squared error.
    """
    wanted = set(spectrum_at)
    record = np.full((steps + 1, 3), np.nan)
    spectrum: dict[int, tuple[float, float]] = {}
    diverged_at = None
    replay = _captured(engine) if engine.gram.device.type == "cuda" else None
    for k in range(steps + 1):
        if k:
            (replay or engine.step)()
        mse = float(engine.residual.double().square().mean())
        record[k, 0] = mse
        if engine.measure:
            record[k, 1] = int(engine.flips) / (engine.width * engine.samples)
            record[k, 2] = float(engine.distances().max())
        if not np.isfinite(mse) or mse > DIVERGED * record[0, 0]:
            diverged_at = k
            record = record[: k + 1]
            break
        if k in wanted:
            spectrum[k] = extreme_eigenvalues(engine.hidden_gram())
        if on_step is not None and k:
            on_step(k, mse)
    return Trajectory(record[:, 0], record[:, 1], record[:, 2], spectrum, diverged_at)


def _captured(engine: GramDescent) -> Callable[[], None]:
    """The engine's step as a CUDA graph: below a width of about 2000 launching kernels costs more than running them.

    Warming up and capturing must not count as training, so the state they touch is saved and put back.
    """
    state = (engine.moved, engine.active, engine.squared_distance, engine.residual, engine.flips, engine._output)
    saved = [tensor.clone() for tensor in state]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            engine.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        engine.step()
    for tensor, value in zip(state, saved, strict=True):
        tensor.copy_(value)
    return graph.replay
