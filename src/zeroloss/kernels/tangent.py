"""The neural tangent kernel of fully connected networks of infinite width, and their Gaussian-process kernel.

With S_1 = a x.x' + b and, for h = 1..L (L hidden layers),

    S_(h+1) = c E[sigma(u) sigma(v)] + b,  D_h = c E[sigma'(u) sigma'(v)],  (u, v) ~ N(0, S_h),
    T_1 = S_1,  T_(h+1) = D_h T_h + S_(h+1),

the Gaussian-process kernel (NNGP) is S_(L+1) and the tangent kernel is T_(L+1). Two parametrisations are common:

- Arora et al. 2019 (arXiv 1904.11955, eqs. 6-13): a = 1, b = 0, c = c_sigma = 1 / E sigma(z)^2; for relu c = 2 and
  unit inputs have T = L + 1 on the diagonal. This is the default.
- Jacot et al. 2018 (arXiv 1806.07572): a = 1 / d, b = beta^2, c = 1 (no factor 2); their L counts layers of weights,
  one more than ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from zeroloss.checkpoint import Checkpoints
from zeroloss.errors import UserError
from zeroloss.kernels.arguments import finite_lengths, require_tensor
from zeroloss.kernels.assembly import assemble
from zeroloss.kernels.dual_activation import dual_activation
from zeroloss.networks.deep import Activation

# rows and columns of a block: four float64 arrays of this size stay in a core's cache
EDGE = 192
# unit length is checked to this much
UNIT_TOLERANCE = 1e-4


class Kernels(NamedTuple):
    """NNGP and NTK matrices of one network, each of shape (n, n')."""

    nngp: torch.Tensor
    ntk: torch.Tensor


@dataclass(frozen=True)
class TangentKernel:
    """The kernels of one architecture.

    Calling it gives the tangent kernel alone, so it serves wherever a kernel function is wanted (``tiled_solve``).

    Attributes:
        depth: L, hidden layers; 0 is the linear model.
        activation: relu and erf (closed forms), softplus, tanh, or any smooth ``Activation``.
        weight_variance: c; None for c_sigma.
        bias_variance: b, e.g. Jacot's beta^2.
        input_scale: a; 1 / d in the parametrisation of Jacot et al.
        unit_inputs: refuse inputs that are not of unit length (the theory of Arora et al. takes them).
        nodes: of the quadrature, per dimension, 1 to 4000; unused by relu and erf.

    In float32 an entry of two equal or almost parallel inputs is below the diagonal by up to 1e-3 of it (arccos and arcsin
    keep half the digits there), so two equal inputs do not make the matrix singular: take float64 where inputs may
    repeat. ``regression.interpolate`` finds such pairs in most float32 matrices, not in all.

    >>> x = torch.eye(2, dtype=torch.float64)
    >>> TangentKernel(depth=1)(x)        # off the diagonal: 1 / pi, no common direction at the start
    tensor([[2.0000, 0.3183],
            [0.3183, 2.0000]], dtype=torch.float64)
    >>> jacot = TangentKernel(depth=3, weight_variance=1.0, bias_variance=0.1**2, input_scale=1 / 2)
    >>> jacot(x[:1], x)                  # their L = 4 on the circle, gamma = 0 and pi / 2
    tensor([[0.2825, 0.0927]], dtype=torch.float64)
    """

    depth: int
    activation: str | Activation = "relu"
    weight_variance: float | None = None
    bias_variance: float = 0.0
    input_scale: float = 1.0
    unit_inputs: bool = False
    nodes: int = 100

    def __post_init__(self) -> None:
        if not isinstance(self.depth, int | np.integer) or self.depth < 0:
            raise UserError(f"depth is {self.depth!r}: a network has 0 hidden layers or more, a whole number")
        if self.weight_variance is not None and not self.weight_variance > 0:
            raise UserError(f"weight_variance is {self.weight_variance:g}: it must be above 0, or None for c_sigma")
        if not self.bias_variance >= 0 or not self.input_scale > 0:
            raise UserError(
                f"bias_variance is {self.bias_variance:g} and input_scale {self.input_scale:g}: "
                "the first must not be negative, the second must be above 0"
            )
        dual_activation(self.activation, self.nodes)  # an unknown name is told at once

    @property
    def scale(self) -> float:
        """c."""
        if self.weight_variance is not None:
            return self.weight_variance
        return dual_activation(self.activation, self.nodes).normaliser

    def diagonal(self, x: torch.Tensor) -> Kernels:
        """K(x_i, x_i) without rounding errors of arccos: variances pass through the layers on their own; shape (n,).

        Args:
            x: inputs, float32 or float64, shape (n, d).

        Raises:
            UserError: as :meth:`kernels`.
        """
        _check_inputs(x, x, self.unit_inputs)
        variances = self._variances(x)
        tangent, dual = variances[0], dual_activation(self.activation, self.nodes)
        for here, above in pairwise(variances):
            tangent = self.scale * dual.variances(here)[1] * tangent + above
        return Kernels(variances[-1], tangent)

    def _variances(self, x: torch.Tensor) -> list[torch.Tensor]:
        """S_1(x_i, x_i), ..., S_(L+1)(x_i, x_i), each (n,)."""
        dual = dual_activation(self.activation, self.nodes)
        found = [self.input_scale * x.square().sum(dim=1) + self.bias_variance]
        for _ in range(self.depth):
            found.append(self.scale * dual.variances(found[-1])[0] + self.bias_variance)
        return found

    def kernels(
        self,
        x: torch.Tensor,
        z: torch.Tensor | None = None,
        *,
        checkpoints: Checkpoints | None = None,
        name: str = "tangent",
        quiet: bool = True,
    ) -> Kernels:
        """NNGP and NTK between the rows of ``x`` and ``z``, by default of ``x`` with itself.

        Blocks of :data:`EDGE` rows and columns; of a symmetric matrix only the upper triangle, and the diagonal from
        :meth:`diagonal`. In float32 entries are good to 1e-6 of the diagonal while inputs are not almost parallel.

        Args:
            x: inputs, float32 or float64, shape (n, d), CPU or GPU.
            z: inputs, shape (n', d).
            checkpoints: finished rows are kept there.
            name: of the checkpoints and of the progress.
            quiet: show no progress.

        Raises:
            UserError: shapes or types are wrong, an input has entries that are not finite, a length is not 1 where
                ``unit_inputs``, the quadrature has too few nodes, or memory is short.
        """
        nngp, ntk = self._matrices(x, z, 2, checkpoints, name, quiet)
        return Kernels(nngp, ntk)

    def __call__(self, x: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
        """The tangent kernel alone, shape (n, n'), for half the memory; see :meth:`kernels`."""
        return self._matrices(x, z, 1)[0]

    def _matrices(
        self,
        x: torch.Tensor,
        z: torch.Tensor | None,
        wanted: int,
        checkpoints: Checkpoints | None = None,
        name: str = "tangent",
        quiet: bool = True,
    ) -> torch.Tensor:
        """The last ``wanted`` of NNGP and NTK, shape (wanted, n, n')."""
        symmetric = z is None
        other = x if z is None else z
        _check_inputs(x, other, self.unit_inputs)
        scale, dual = self.scale, dual_activation(self.activation, self.nodes)
        rows, columns = self._variances(x), self._variances(other)
        if even := all(_even(torch.cat(pair)) for pair in zip(rows, columns, strict=True)):
            rows = columns = [layer.mean() for layer in rows]

        def block(high: slice, wide: slice) -> torch.Tensor:
            covariance = (x[high] @ other[wide].T).mul_(self.input_scale).add_(self.bias_variance)
            tangent = covariance.clone()
            for above, beside in zip(rows[:-1], columns[:-1], strict=True):
                variances = (above, beside) if even else (above[high, None], beside[wide])
                covariance, slope = dual.pairs(covariance, *variances, scale)
                if self.bias_variance:
                    covariance.add_(self.bias_variance)
                tangent = torch.addcmul(covariance, slope, tangent, out=tangent)
            return tangent[None] if wanted == 1 else torch.stack([covariance, tangent])

        found = assemble(
            block, wanted, len(x), len(other), symmetric=symmetric, edge=EDGE, like=x,
            checkpoints=checkpoints, name=name, quiet=quiet,
        )  # fmt: skip
        if symmetric:
            for matrix, exact in zip(found, self.diagonal(x)[-wanted:], strict=True):
                matrix.diagonal().copy_(exact)
        return found


def _even(variances: torch.Tensor) -> bool:
    """Whether all are one number to rounding, as of inputs of one length: blocks then scale by a number."""
    spread = float(variances.max() - variances.min())
    return spread <= 16 * torch.finfo(variances.dtype).eps * float(variances.max())


def _check_inputs(x: torch.Tensor, z: torch.Tensor, unit: bool) -> None:
    for inputs in (x,) if z is x else (x, z):
        require_tensor(inputs, "inputs", "rows (n, d)", 2)
        lengths = finite_lengths(inputs, "input")
        if unit:
            worst = int((lengths - 1).abs().argmax())
            if abs(float(lengths[worst]) - 1) > UNIT_TOLERANCE:
                raise UserError(
                    f"input {worst} has length {float(lengths[worst]):.6g}: inputs of unit length are assumed; divide "
                    "each by its length, or set unit_inputs=False"
                )
    if x.shape[1] != z.shape[1] or x.dtype != z.dtype or x.device != z.device:
        raise UserError(
            f"the two sets of inputs differ: {x.shape[1]} and {z.shape[1]} dimensions, {x.dtype} and {z.dtype}, "
            f"{x.device} and {z.device}"
        )
