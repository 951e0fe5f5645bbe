"""The Gram matrix P(t) of a deep linear network (Du, Hu 2019, eq. 7) and the singular values of its partial products."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def linear_gram(layers: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """d_out P = sum_i (V_{i-1:1} X)^T (V_{i-1:1} X) (x) V_{L:i+1} V_{L:i+1}^T, float64, shape (batch, n d_out, n d_out).

    With V_i = W_i / sqrt(m) and eq. 1's prefactor, P is the Jacobian of the outputs with respect to all W times its
    transpose; the output o of the input a has the index a d_out + o. Of one step, vec(U - Y) <- (I - eta P) vec(U - Y)
    up to order eta^2.

    Args:
        layers: V_1..V_L, shapes (batch, out, in), any float dtype: products are taken in float64.
        x: inputs in columns, shape (d_in, n).
    """
    batch, outputs = layers[-1].shape[:2]
    below = [x.double().expand(batch, *x.shape)]
    for layer in layers[:-1]:
        below.append(layer.double() @ below[-1])
    above = torch.eye(outputs, dtype=torch.float64, device=x.device).expand(batch, outputs, outputs)
    size = x.shape[1] * outputs
    found = torch.zeros(batch, x.shape[1], outputs, x.shape[1], outputs, dtype=torch.float64, device=x.device)
    for index in range(len(layers) - 1, -1, -1):
        found += torch.einsum("zab,zop->zaobp", below[index].mT @ below[index], above @ above.mT)
        if index:
            above = above @ layers[index].double()
    return found.view(batch, size, size)


def spectra(matrices: torch.Tensor) -> torch.Tensor:
    """Eigenvalues of symmetric matrices (batch, k, k), ascending; NaN for a matrix of a diverged network."""
    finite = torch.isfinite(matrices).all(dim=2).all(dim=1)
    found = matrices.new_full(matrices.shape[:2], torch.nan)
    found[finite] = torch.linalg.eigvalsh(matrices[finite])
    return found


def partial_singular_values(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Least and largest singular value over all partial products V_j ... V_i but the whole, float64, shape (batch, 2).

    The whole product V_L ... V_1 is left out: of an orthogonal start it is a corner of an orthogonal matrix, no isometry.

    NaN for a diverged network. Of a product of a (rows, columns) shape the min(rows, columns) singular values
    count. The number of products grows with the square of the depth: for narrow networks.
    """
    batch = len(layers[0])
    least = torch.full((batch,), torch.inf, dtype=torch.float64)
    largest = torch.zeros(batch, dtype=torch.float64)
    first: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    for number, layer in enumerate(layers):
        layer = layer.double()
        groups = []
        if number:
            own = layer[:, None]
            hidden = own if hidden is None else torch.cat([own @ hidden, own], dim=1)
            groups.append(hidden)
        if number < len(layers) - 1:
            first = layer if first is None else layer @ first
            groups.append(first[:, None])
        for group in groups:
            finite = torch.isfinite(group).flatten(1).all(dim=1)
            values = group.new_full((batch, group.shape[1] * min(group.shape[2:])), torch.nan)
            values[finite] = torch.linalg.svdvals(group[finite]).flatten(1)
            values = values.cpu()
            least, largest = torch.minimum(least, values.amin(1)), torch.maximum(largest, values.amax(1))
    return torch.stack([least, largest], dim=1)
