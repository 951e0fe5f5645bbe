"""Dual activations: E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] of two jointly Gaussian variables.

Closed forms for relu (Cho and Saul 2009; Arora et al. 2019, eqs. 17-20) and erf (Williams 1997), two-dimensional
Gauss-Hermite quadrature for every other smooth activation. The name is that of Daniely, Frostig and Singer 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.errors import UserError
from zeroloss.networks.deep import ACTIVATIONS, Activation, gauss_hermite

# pairs times nodes^2 of one block of the quadrature: a few arrays of this size stay in the cache
_BLOCK = 1 << 18

# relative error of a variance, above which the quadrature is refused; a kink or a steep activation shows here
QUADRATURE_TOLERANCE = 1e-5

# of the quadrature, per dimension: one pair of inputs then takes arrays of 128 MB
MOST_NODES = 4000

OfVariances = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
OfPairs = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class DualActivation:
    """The two expectations.

    Attributes:
        variances: s -> (E sigma(u)^2, E sigma'(u)^2) for u ~ N(0, s), any shape; exact where u = v, where ``pairs`` is not.
        pairs: (covariance, variance of u, variance of v, factor) -> factor times (E[sigma(u) sigma(v)],
            E[sigma'(u) sigma'(v)]); the variances broadcast against the covariance, whose memory is overwritten.
    """

    variances: OfVariances
    pairs: OfPairs

    @property
    def normaliser(self) -> float:
        """c_sigma = 1 / E_{z ~ N(0, 1)} sigma(z)^2; 2 for relu."""
        return 1.0 / float(self.variances(torch.ones((), dtype=torch.float64))[0])


def dual_activation(activation: str | Activation, nodes: int = 100) -> DualActivation:
    """The dual of a named activation, or of any smooth one.

    Args:
        activation: relu, erf, softplus or tanh, or an ``Activation(value, slope)``.
        nodes: of the quadrature, per dimension, 1 to :data:`MOST_NODES`; unused by relu and erf.

    Raises:
        UserError: the name is unknown or ``nodes`` is no such number; later, that the nodes are too few for a variance
            (twice as many tell), or that the activation is not finite at one.

    >>> dual_activation("relu").normaliser
    2.0
    >>> round(dual_activation("tanh").normaliser, 6)
    2.536175
    """
    if not isinstance(nodes, int | np.integer) or not 1 <= nodes <= MOST_NODES:
        raise UserError(f"nodes is {nodes!r}: it takes a whole number from 1 to {MOST_NODES}")
    if activation == "relu":
        return DualActivation(_relu_variances, relu_pairs)
    if activation == "erf":
        return DualActivation(_erf_variances, _erf_pairs)
    if isinstance(activation, Activation):
        return _quadrature(activation, nodes)
    if activation not in ACTIVATIONS:
        raise UserError(
            f"activation {activation!r} is not known; allowed are {', '.join(sorted(ACTIVATIONS))}, or an "
            "Activation(value, slope) of your own"
        )
    return _quadrature(ACTIVATIONS[activation], nodes)


def _relu_variances(variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return variance / 2, torch.full_like(variance, 0.5)


def relu_pairs(
    covariance: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, factor: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """With l the correlation: s_u s_v (l (pi - arccos l) + sqrt(1 - l^2)) / (2 pi) and (pi - arccos l) / (2 pi).

    A variance of zero counts as correlation 0; the first expectation is then 0, as it should be. Near l = 1 the
    arccos keeps half the digits of l: 1e-3 in float32.
    """
    tiny = torch.finfo(covariance.dtype).tiny
    # one pass over the block for a number, two for variances of rows and columns
    deviations = [(rows * columns).sqrt()] if rows.ndim == columns.ndim == 0 else [rows.sqrt(), columns.sqrt()]
    for deviation in deviations:
        covariance.mul_(deviation.clamp(min=tiny).reciprocal_())
    correlation = covariance.clamp_(-1.0, 1.0)
    slope = torch.neg(correlation).arccos_()  # arccos(-l) = pi - arccos(l)
    one = torch.ones((), dtype=covariance.dtype, device=covariance.device)
    value = torch.addcmul(one, correlation, correlation, value=-1.0).sqrt_().addcmul_(correlation, slope)
    deviations[0] = deviations[0] * (factor / (2 * math.pi))
    for deviation in deviations:
        value.mul_(deviation)
    return value, slope.mul_(factor / (2 * math.pi))


def _erf_variances(variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return 2 / math.pi * torch.arcsin(2 * variance / (1 + 2 * variance)), 4 / math.pi / (1 + 4 * variance).sqrt()


def _erf_pairs(
    covariance: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, factor: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """2 / pi arcsin(2 c / t), 4 / pi (t^2 - 4 c^2)^(-1/2) with t^2 = (1 + 2 s_u^2)(1 + 2 s_v^2)."""
    square = (1 + 2 * rows) * (1 + 2 * columns)
    double = covariance.mul_(2.0)
    slope = torch.addcmul(square.expand_as(double), double, double, value=-1.0).rsqrt_().mul_(4 * factor / math.pi)
    return double.mul_(square.rsqrt()).clamp_(-1.0, 1.0).arcsin_().mul_(2 * factor / math.pi), slope


def _quadrature(sigma: Activation, nodes: int) -> DualActivation:
    points, weights = gauss_hermite(nodes)
    finer = gauss_hermite(2 * nodes)

    def variances(variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found, finest = (
            [f(variance.double().sqrt()[..., None] * z.to(variance.device)).square() @ w.to(variance.device)
             for f in (sigma.value, sigma.slope)]
            for z, w in ((points, weights), finer)
        )  # fmt: skip
        # both are zero at variance 0 where the activation is zero at 0: no error; a tensor's maximum hands a NaN on
        tiny = torch.finfo(torch.float64).tiny
        errors = [(a - b).abs() / b.abs().clamp(min=tiny) for a, b in zip(found, finest, strict=True)]
        error = float(torch.stack(errors).max())
        if not math.isfinite(error):
            raise UserError(
                f"the activation is not finite at some of {nodes} or {2 * nodes} nodes of quadrature at variance "
                f"{float(variance.max()):.3g}: take inputs of smaller length, fewer nodes or another activation"
            )
        if error > QUADRATURE_TOLERANCE:
            raise UserError(
                f"{nodes} nodes of quadrature leave an error of {error:.1e} at variance {float(variance.max()):.3g} and "
                f"{QUADRATURE_TOLERANCE:g} is let through: take more nodes ({MOST_NODES} at most; the time grows with "
                "their square), or inputs of smaller length"
            )
        return found[0].to(variance), found[1].to(variance)

    def pairs(
        covariance: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, factor: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With u = s_u z_1, v = c / s_u z_1 + (s_v^2 - c^2 / s_u^2)^(1/2) z_2."""
        z, w = points.to(covariance), weights.to(covariance)
        shape = covariance.shape
        flat = [part.expand(shape).reshape(-1) for part in (covariance, rows.sqrt(), columns)]
        value, slope = torch.empty_like(flat[0]), torch.empty_like(flat[0])
        for block in torch.arange(len(value), device=value.device).split(max(1, _BLOCK // nodes**2)):
            c, deviation, other = (part[block] for part in flat)
            along = c / deviation.clamp(min=torch.finfo(c.dtype).tiny)
            # rounding can leave a tiny negative rest where u and v coincide
            across = (other - along.square()).clamp_(min=0.0).sqrt_()
            u = deviation[:, None] * z
            v = along[:, None, None] * z[:, None] + across[:, None, None] * z
            value[block] = (w * sigma.value(u) * (sigma.value(v) @ w)).sum(1)
            slope[block] = (w * sigma.slope(u) * (sigma.slope(v) @ w)).sum(1)
        return value.mul_(factor).view(shape), slope.mul_(factor).view(shape)

    return DualActivation(variances, pairs)
