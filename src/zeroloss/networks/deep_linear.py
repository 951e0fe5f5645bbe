"""Deep linear networks x -> scale W_L ... W_1 x and the ways they are started.

Layers are lists [W_1, ..., W_L] of tensors (batch, out, in): networks of one shape that differ in their random numbers
run as one batch. With hidden width m the shapes are (m, d_in), (m, m), ..., (d_out, m).

The prefactor of Du and Hu (arXiv 1901.08572, eq. 1), 1 / sqrt(m^(L-1) d_out), overflows float64 at m = 256, L = 129. The
same function and the same descent come from V_i = W_i / sqrt(m), the prefactor sqrt(m / d_out) and the step size
eta / m: V_i(k + 1) = V_i(k) - (eta / m) dl/dV_i. Here everything is written in V.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from zeroloss.errors import UserError

Layers = list[torch.Tensor]


def layer_shapes(d_in: int, width: int, d_out: int, depth: int) -> list[tuple[int, int]]:
    """Shapes (out, in) of W_1..W_L.

    Raises:
        UserError: for fewer than two layers, which is plain linear regression.
    """
    if depth < 2:
        raise UserError(f"depth {depth}: a deep linear network has at least 2 layers")
    return [(width, d_in), *[(width, width)] * (depth - 2), (d_out, width)]


def gaussian(
    shapes: Sequence[tuple[int, int]],
    standard_deviations: float | Sequence[float],
    generators: Sequence[torch.Generator],
    dtype: torch.dtype = torch.float64,
) -> Layers:
    """Entries iid N(0, s_l^2), one network per generator.

    Args:
        shapes: (out, in) of every layer.
        standard_deviations: s_l of every layer, or one for all.
        generators: on the CPU; drawn in float64, so that dtypes share their starts up to rounding.
        dtype: of the layers.
    """
    spread = [standard_deviations] * len(shapes) if isinstance(standard_deviations, float) else standard_deviations
    drawn = [
        [
            s * torch.randn(shape, generator=generator, dtype=torch.float64)
            for shape, s in zip(shapes, spread, strict=True)
        ]
        for generator in generators
    ]
    return [torch.stack(layer).to(dtype) for layer in zip(*drawn, strict=True)]


def haar(rows: int, columns: int, generator: torch.Generator) -> torch.Tensor:
    """A matrix of Haar measure with orthonormal columns (rows >= columns) or rows, float64.

    The QR decomposition alone is not Haar: it fixes the signs of the triangle's diagonal, and with them the determinant;
    multiplied by those signs it is.
    """
    tall = (max(rows, columns), min(rows, columns))
    q, r = torch.linalg.qr(torch.randn(tall, generator=generator, dtype=torch.float64))
    q = q * torch.sign(torch.diagonal(r))
    return q if rows >= columns else q.mT.contiguous()


def orthogonal(
    shapes: Sequence[tuple[int, int]], generators: Sequence[torch.Generator], dtype: torch.dtype = torch.float64
) -> Layers:
    """Every layer of Haar measure, times 1: in the notation of W, W_i^T W_i = m I (Hu, Xiao, Pennington 2020)."""
    drawn = [[haar(*shape, generator) for shape in shapes] for generator in generators]
    return [torch.stack(layer).to(dtype) for layer in zip(*drawn, strict=True)]


def compressed(first: torch.Tensor, last: torch.Tensor, depth: int) -> Layers:
    """The least wide network with the same losses, for orthogonal hidden layers: width at most d_in + d_out.

    A change of basis in each hidden layer turns V_2..V_{L-1} into identities and V_L into V_L ... V_2. Every gradient
    then lives on the span of V_1's columns and that V_L's rows, d_in + d_out dimensions; outside of it nothing ever
    happens, and the loss does not see it. Exact, at every step of gradient descent; scale and step size stay those of
    the wide network.

    Args:
        first: V_1, shape (batch, width, d_in).
        last: V_L ... V_2, shape (batch, d_out, width).
        depth: L.
    """
    width, needed = first.shape[1], first.shape[2] + last.shape[1]
    if width > needed:
        basis, _ = torch.linalg.qr(torch.cat([first, last.mT], dim=2))
        first, last, width = basis.mT @ first, last @ basis, needed
    middle = torch.eye(width, dtype=first.dtype, device=first.device).repeat(len(first), 1, 1)
    return [first, *(middle.clone() for _ in range(depth - 2)), last]


def compressed_orthogonal(
    d_in: int,
    width: int,
    d_out: int,
    depth: int,
    generators: Sequence[torch.Generator],
    dtype: torch.dtype = torch.float64,
) -> Layers:
    """The ``compressed`` form of ``orthogonal`` starts, without ever drawing the wide layers.

    Haar hidden layers only rotate V_L, so V_1 and V_L ... V_2 are two independent Haar frames.

    Raises:
        UserError: where the width is below d_in or d_out: the layers cannot be orthogonal then.
    """
    if width < max(d_in, d_out):
        raise UserError(f"width {width}: an orthogonal start needs at least max(d_in, d_out) = {max(d_in, d_out)}")
    layer_shapes(d_in, width, d_out, depth)
    frames = [(haar(width, d_in, generator), haar(d_out, width, generator)) for generator in generators]
    first, last = (torch.stack(part) for part in zip(*frames, strict=True))
    return [layer.to(dtype) for layer in compressed(first, last, depth)]


def identity(shapes: Sequence[tuple[int, int]], batch: int, dtype: torch.dtype = torch.float64) -> Layers:
    """All layers the identity (Bartlett, Helmbold, Long 2018).

    Raises:
        UserError: where a layer is not square.
    """
    if any(rows != columns for rows, columns in shapes):
        raise UserError(
            f"identity and zero-asymmetric starts need square layers (width = d_in = d_out), got {list(shapes)}"
        )
    return [torch.eye(shape[0], dtype=dtype).repeat(batch, 1, 1) for shape in shapes]


def near_identity(
    shapes: Sequence[tuple[int, int]], generators: Sequence[torch.Generator], dtype: torch.dtype = torch.float64
) -> Layers:
    """W_l = I + U_l with entries of U_l iid N(0, 1/(d L)), one network per generator.

    The usual reading of "near identity"; the variance in Wu, Wang, Ma 2019 was not available.

    Raises:
        UserError: where a layer is not square.
    """
    start = identity(shapes, len(generators), dtype)
    noise = gaussian(shapes, float((shapes[0][0] * len(shapes)) ** -0.5), generators, dtype)
    return [layer + part for layer, part in zip(start, noise, strict=True)]


def zero_asymmetric(shapes: Sequence[tuple[int, int]], batch: int, dtype: torch.dtype = torch.float64) -> Layers:
    """W_1 = ... = W_{L-1} = I, W_L = 0 (Wu, Wang, Ma 2019)."""
    layers = identity(shapes, batch, dtype)
    layers[-1] = torch.zeros_like(layers[-1])
    return layers


def product(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """W_L ... W_1, shape (batch, out of the last, in of the first)."""
    found = layers[0]
    for layer in layers[1:]:
        found = layer @ found
    return found
