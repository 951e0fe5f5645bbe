"""Gram matrices of the layers of deep networks (Du et al. 2018b): their limits of infinite width, and finite ones.

The limit of G^(H), the Gram matrix of the last hidden layer, is the paper's K^(H) (Definitions 5.1, 6.1, 7.1). Two
things in print are put right here, both confirmed against finite networks: the last line of eqs. 7, 8 and 10 has the
covariance A^(H-1) where A^(H) belongs (the paper's own Appendix F.2 has A^(H)); and in Definition 6.1 b_i belongs with
sigma(v) and b_j with sigma(u), which only inputs of unequal length can tell. For the convolutional net the factor
c_res^2 / H^2 of the branch is kept in K^(H), so that it is the limit of G^(H).

The other layers follow from the backward pass: with beta^(h) the limit of <g_i, g_j> / m for g = df/dx^(h),

    beta^(H) = 1,  M^(h) = s_h^2 beta^(h) E[sigma'(u) sigma'(v)],  G^(h) = sum_pixels K^(h-1) M^(h),
    beta^(h-1) = M^(h) spread over the patches, plus beta^(h) where there is a skip connection,

where s_h is sqrt(c_sigma), or c_res / H in a residual branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from zeroloss.networks.deep import ACTIVATIONS, Network, forward, gauss_hermite

# pairs times nodes^2 of one block: a few arrays of this size stay in the cache
_BLOCK = 1 << 18


def pair_expectations(
    covariance: torch.Tensor, activation: str, nodes: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """E[sigma(u_i) sigma(u_j)], E[sigma'(u_i) sigma'(u_j)] and E sigma(u_i) for u ~ N(0, covariance).

    Two-dimensional Gauss-Hermite quadrature with u = sqrt(a) z_1, v = c / sqrt(a) z_1 + sqrt(b - c^2 / a) z_2, over
    the upper triangle.

    Args:
        covariance: float64, shape (N, N), positive diagonal.
        nodes: per dimension.

    Returns:
        two matrices (N, N) and a vector (N,), float64.
    """
    sigma = ACTIVATIONS[activation]
    z, w = (part.to(covariance.device) for part in gauss_hermite(nodes))
    deviation = covariance.diagonal().sqrt()
    size = len(covariance)
    first, second = torch.triu_indices(size, size, device=covariance.device)
    values, slopes = torch.empty(2, len(first), dtype=covariance.dtype, device=covariance.device)
    u = deviation[:, None] * z
    value_u, slope_u = w * sigma.value(u), w * sigma.slope(u)
    rows = max(1, _BLOCK // nodes**2)
    for block in torch.arange(len(first), device=covariance.device).split(rows):
        i, j = first[block], second[block]
        along = covariance[i, j] / deviation[i]
        # rounding can leave a tiny negative rest where u and v coincide
        across = (covariance[j, j] - along**2).clamp(min=0).sqrt()
        v = along[:, None, None] * z[:, None] + across[:, None, None] * z
        values[block] = (value_u[i] * (sigma.value(v) @ w)).sum(1)
        slopes[block] = (slope_u[i] * (sigma.slope(v) @ w)).sum(1)
    full = torch.empty(2, size, size, dtype=covariance.dtype, device=covariance.device)
    for matrix, upper in zip(full, (values, slopes), strict=True):
        matrix[first, second] = upper
        matrix[second, first] = upper
    return full[0], full[1], value_u.sum(1)


@dataclass(frozen=True)
class Limits:
    """Limits of infinite width for one depth H.

    Attributes:
        layers: limits of G^(1), ..., G^(H), G^(H+1) (the last is that of a), shape (H + 1, n, n).
        printed: K^(H) with the last line as printed (covariance A^(H-1)), shape (n, n); for H = 1 not defined: zeros.
        norms: limit of the mean over inputs of |x^(h)|_F^2 for h = 0..H, shape (H + 1,).
    """

    layers: torch.Tensor
    printed: torch.Tensor
    norms: torch.Tensor

    @property
    def last(self) -> torch.Tensor:
        """K^(H), the limit of G^(H), shape (n, n)."""
        return self.layers[-2]

    @property
    def total(self) -> torch.Tensor:
        """The limit of the sum over all layers (the tangent kernel), shape (n, n)."""
        return self.layers.sum(0)


@dataclass(frozen=True)
class _Moments:
    """Per layer: features (n, p, n, p), covariances K^(h) after the patches, and E[sigma' sigma'] under them."""

    features: list[torch.Tensor]
    covariances: list[torch.Tensor]
    slopes: list[torch.Tensor]


def _patch_trace(gram: torch.Tensor, patch: int) -> torch.Tensor:
    """K_ij,lr = sum over the patch of H_ij,(l+k)(r+k), zero beyond the border; shapes (n, p, n, p)."""
    if patch == 1:
        return gram
    pixels, ends = gram.shape[1], (patch // 2, (patch - 1) // 2)
    padded = torch.nn.functional.pad(gram, (*ends, 0, 0, *ends))
    return torch.stack([padded[:, k : k + pixels, :, k : k + pixels] for k in range(patch)]).sum(0)


def _spread(gram: torch.Tensor, patch: int) -> torch.Tensor:
    """The transpose of taking patches, on pixel diagonals: sum over k of M_(l-k); shapes (n, n, p)."""
    if patch == 1:
        return gram
    pixels = gram.shape[-1]
    padded = torch.nn.functional.pad(gram, ((patch - 1) // 2, patch // 2))
    return torch.stack([padded[..., k : k + pixels] for k in range(patch)]).sum(0)


def _moments(network: Network, x: torch.Tensor, nodes: int) -> _Moments:
    """The forward recursion."""
    samples, pixels, _ = x.shape
    size = samples * pixels
    gram = torch.einsum("ild,jrd->iljr", x, x)
    found = _Moments([gram], [_patch_trace(gram, network.patch)], [])
    mean = torch.empty(0)
    for h in range(1, network.depth + 1):
        values, slopes, averages = pair_expectations(
            found.covariances[-1].reshape(size, size), network.activation, nodes
        )
        values = values.view_as(gram)
        if h == 1 or not network.residual:
            gram, mean = network.first_scale**2 * values, network.first_scale * averages
        else:
            scale = network.branch_scale
            cross = (torch.outer(mean, averages) + torch.outer(averages, mean)).view_as(gram)
            gram, mean = gram + scale * cross + scale**2 * values, mean + scale * averages
        found.features.append(gram)
        found.covariances.append(_patch_trace(gram, network.patch))
        found.slopes.append(slopes.view_as(gram))
    return found


def _pixel_diagonal(gram: torch.Tensor) -> torch.Tensor:
    """(n, p, n, p) -> (n, n, p)."""
    return torch.einsum("iljl->ijl", gram)


def _limits(network: Network, moments: _Moments) -> Limits:
    """The backward recursion from layer ``network.depth`` of ``moments``, which may hold more layers."""
    depth = network.depth
    top = _pixel_diagonal(moments.features[depth])
    layers, beta = [top.sum(-1)], torch.ones_like(top)
    for h in range(depth, 0, -1):
        scale = network.first_scale if h == 1 else network.branch_scale
        passed = scale**2 * beta * _pixel_diagonal(moments.slopes[h - 1])
        layers.append((passed * _pixel_diagonal(moments.covariances[h - 1])).sum(-1))
        beta = _spread(passed, network.patch) + (beta if network.residual and h > 1 else 0)
    printed = torch.zeros_like(layers[0])
    if depth > 1:
        below = _pixel_diagonal(moments.covariances[depth - 1]) * _pixel_diagonal(moments.slopes[depth - 2])
        printed = network.branch_scale**2 * below.sum(-1)
    norms = torch.stack([_pixel_diagonal(gram).sum(-1).diagonal().mean() for gram in moments.features[: depth + 1]])
    return Limits(torch.stack(layers[::-1]), printed, norms)


def limit_grams(network: Network, x: torch.Tensor, nodes: int) -> Limits:
    """Limits of the Gram matrices of all layers; the width of ``network`` plays no part.

    Args:
        x: inputs, float64, shape (n, p, d_0).
        nodes: of the quadrature, per dimension.
    """
    return _limits(network, _moments(network, x, nodes))


def limits_over_depth(
    network: Network, depths: Sequence[int], x: torch.Tensor, nodes: int
) -> Iterator[tuple[int, Limits]]:
    """:func:`limit_grams` for every depth; the layers of fully connected nets do not know H and are computed once."""
    if not network.residual:
        shared = _moments(network.at_depth(max(depths)), x, nodes)
    for depth in depths:
        here = network.at_depth(depth)
        yield depth, _limits(here, shared if not network.residual else _moments(here, x, nodes))


def finite_grams(network: Network, weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """G^(h)_ij = <du_i/dW^(h), du_j/dW^(h)> of finite networks, h = 1..H+1 (a last), shape (S, H + 1, n, n).

    For the first output. The gradient of u_i is an outer product of the layer's input and of D_i = du_i/dz, so without
    pixels its Gram matrix is (A A') * (D D') entry by entry and no gradient is ever stored.
    """
    frozen = [w.detach() for w in weights]
    # the graph must start somewhere: at the first layer's weights, whose gradient is never asked for
    frozen[0] = frozen[0].clone().requires_grad_()
    done = forward(network, frozen, x)
    deltas = torch.autograd.grad(done.outputs[..., 0].sum(), done.preactivations)
    found = []
    for seen, delta in zip(done.inputs, deltas, strict=True):
        if x.shape[1] == 1:
            a, d = seen.detach().squeeze(2), delta.squeeze(2)
            found.append((a @ a.transpose(1, 2)) * (d @ d.transpose(1, 2)))
        else:
            gradient = torch.einsum("sipm,sipc->simc", delta, seen.detach()).flatten(2)
            found.append(gradient @ gradient.transpose(1, 2))
    top = done.features[-1].detach().flatten(2)
    found.append(top @ top.transpose(1, 2))
    return torch.stack(found, dim=1)
