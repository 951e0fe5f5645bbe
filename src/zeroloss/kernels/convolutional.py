"""The tangent kernel of convolutional networks of infinite width (CNTK, Arora et al. 2019, section 4).

ReLU, 3 x 3 filters, stride 1, zero padding; with or without global average pooling (GAP) before the output. Between two
images, for every pair of pixels (i, j), (i', j') of them, with tr the sum over the nine common shifts of a patch:

    S^(0) = tr(x . x'),  K = (2 / 9) E[s(u) s(v)],  D = (2 / 9) E[s'(u) s'(v)],  (u, v) ~ N(0, S^(h-1)),
    S^(h) = tr(K^(h)),  T^(h) = tr(D^(h) T^(h-1) + K^(h)).

As in the authors' code (ruosongwang/CNTK), and not as printed, the last layer has no tr, and a depth counts convolutions
and the output layer, d = L + 1. Without pooling the value is the sum of D T + K over equal pixels, T^(0) = S^(0), and
only equal pixels of the two images are ever needed. With pooling it is the mean over all pairs of pixels; the first and
the last layer are not trained: T^(0) = 0, and the last K is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zeroloss.checkpoint import Checkpoints
from zeroloss.errors import UserError
from zeroloss.kernels.arguments import finite_lengths, require_tensor
from zeroloss.kernels.assembly import assemble, require_memory
from zeroloss.kernels.dual_activation import relu_pairs

# c_sigma / q^2: relu's 2 over nine pixels of a patch
FACTOR = 2.0 / 9.0
# arrays of a block that are alive at once, with pooling and without (peaks of resident memory, one pair of images)
ARRAYS = {True: 6, False: 13}
# entries of one array of a block: a few stay in a core's cache; a GPU wants more at once
ENTRIES = {"cpu": 1 << 16, "cuda": 1 << 26}


def _patch_sum(covariance: torch.Tensor, axes: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """tr: the sum over shifts of -1, 0, 1 along all of ``axes[k]`` together, for each k in turn; zero beyond the border.

    Overwrites its argument: two buffers take turns, since new memory costs as much as the sums.
    """
    here, spare = covariance, torch.empty_like(covariance)
    for together in axes:
        low: list[slice] = [slice(None)] * covariance.ndim
        high = low.copy()
        for axis in together:
            low[axis], high[axis] = slice(None, -1), slice(1, None)
        spare.copy_(here)
        # add_, as += on an indexed tensor would copy the sum onto itself once more
        spare[tuple(high)].add_(here[tuple(low)])
        spare[tuple(low)].add_(here[tuple(high)])
        here, spare = spare, here
    return here


@dataclass(frozen=True)
class ConvolutionalKernel:
    """CNTK between images.

    Attributes:
        depths: a tuple or list of d = convolutions + 1, at least 2 (3 where first and last layer are not trained); all
            come from one pass at the cost of the largest.
        pooling: CNTK-GAP where true, CNTK-V otherwise.
        all_trained: whether first and last layer are trained too; None for the authors' choice: not with pooling.

    >>> images = torch.eye(2, dtype=torch.float64).reshape(2, 1, 1, 2)     # one channel, 1 x 2 pixels
    >>> ConvolutionalKernel(depths=(2,), pooling=False)(images)[0] * 9
    tensor([[4.0000, 0.6366],
            [0.6366, 4.0000]], dtype=torch.float64)
    """

    depths: tuple[int, ...]
    pooling: bool
    all_trained: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.depths, tuple | list) or not all(isinstance(d, int | np.integer) for d in self.depths):
            raise UserError(f"depths is {self.depths!r}: it takes a tuple of whole numbers, one or more, such as (3,)")
        least = 2 if self.trained else 3
        if not self.depths or min(self.depths) < least:
            raise UserError(
                f"depths are {self.depths}: each is the number of convolutions plus 1, so {least} at least"
                + ("" if self.trained else " where first and last layer are not trained")
            )

    @property
    def trained(self) -> bool:
        """Whether first and last layer are."""
        return not self.pooling if self.all_trained is None else self.all_trained

    def __call__(
        self,
        x: torch.Tensor,
        z: torch.Tensor | None = None,
        *,
        checkpoints: Checkpoints | None = None,
        name: str = "cntk",
        quiet: bool = True,
    ) -> torch.Tensor:
        """One matrix for each depth, shape (depths, n, n').

        Of a symmetric matrix only the upper triangle is computed, and equal pixels of equal images have correlation
        exactly 1. Cost: n n' P^2 Q^2 entries per layer with pooling, n n' P Q without. Memory: the result, and
        :data:`ARRAYS` arrays of the entries of one block, which is one pair of images at least.

        Args:
            x: images, float32 or float64, shape (n, channels, P, Q), CPU or GPU.
            z: images, shape (n', channels, P, Q); None for ``x`` itself.
            checkpoints: finished rows are kept there.
            name: of the checkpoints and of the progress.
            quiet: show no progress.

        Raises:
            UserError: shapes or types are wrong, an image has entries that are not finite, or memory is short.
        """
        symmetric = z is None
        other = x if z is None else z
        _check_images(x, other)
        rows = self._variances(x)
        columns = rows if z is None else self._variances(other)

        def block(high: slice, wide: slice) -> torch.Tensor:
            same = _common(high, wide) if symmetric else []
            above, beside = [layer[high] for layer in rows], [layer[wide] for layer in columns]
            return self._block(x[high], other[wide], above, beside, same)

        pixels = x.shape[2] * x.shape[3]
        per_pair = pixels**2 if self.pooling else pixels
        edge = max(1, int((ENTRIES.get(x.device.type, ENTRIES["cpu"]) / per_pair) ** 0.5))
        rows_columns = f"{x.shape[2]} x {x.shape[3]}"
        of_pair = "pairs of pixels" if self.pooling else "pixels"
        arrays = ARRAYS[bool(self.pooling)]
        block_bytes = arrays * min(edge, len(x)) * min(edge, len(other)) * per_pair * x.element_size()
        require_memory(
            block_bytes, x.device, f"{name}: {arrays} arrays over the {of_pair} of images of {rows_columns}, {x.dtype},",
            f"take images of fewer pixels{' (memory grows with the square of their number)' * self.pooling} or float32",
        )  # fmt: skip
        return assemble(
            block, len(self.depths), len(x), len(other), symmetric=symmetric, edge=edge, like=x,
            checkpoints=checkpoints, name=name, quiet=quiet,
        )  # fmt: skip

    def _variances(self, x: torch.Tensor) -> list[torch.Tensor]:
        """S^(h) of every pixel of every image with itself, h = 0..L-1, each (n, P, Q)."""
        found = [_patch_sum(x.square().sum(dim=1), [(1,), (2,)])]
        for _ in range(max(self.depths) - 2):
            found.append(_patch_sum(found[-1] * (FACTOR / 2), [(1,), (2,)]))
        return found

    def _block(
        self,
        x: torch.Tensor,
        z: torch.Tensor,
        rows: Sequence[torch.Tensor],
        columns: Sequence[torch.Tensor],
        same: Sequence[tuple[int, int]],
    ) -> torch.Tensor:
        """The values of all pairs of ``x`` and ``z``, shape (depths, n, n'); ``same`` are the pairs of equal images."""
        axes: list[tuple[int, ...]]
        if self.pooling:
            products = torch.einsum("acij,bckl->abijkl", x, z)
            axes = [(2, 4), (3, 5)]
        else:
            products = torch.einsum("acij,bcij->abij", x, z)
            axes = [(2,), (3,)]
        covariance = _patch_sum(products, axes)
        tangent = covariance.clone() if self.trained else None
        found: dict[int, torch.Tensor] = {}
        last = max(self.depths)
        for depth, (above, beside) in enumerate(zip(rows, columns, strict=True), start=2):
            left = above[:, None, :, :, None, None] if self.pooling else above[:, None]
            right = beside[None, :, None, None] if self.pooling else beside[None]
            covariance, slope = relu_pairs(covariance, left, right, FACTOR)
            for i, j in same:
                self._equal_pixels(covariance[i, j]).copy_(above[i] * (FACTOR / 2))
                self._equal_pixels(slope[i, j]).fill_(FACTOR / 2)
            passed = None if tangent is None else slope.mul_(tangent)
            if depth in self.depths:
                found[depth] = self._value(passed, covariance)
            if depth < last:
                tangent = None if passed is None else _patch_sum(passed.add_(covariance), axes)
                covariance = _patch_sum(covariance, axes)
                tangent = covariance.clone() if tangent is None else tangent
        return torch.stack([found[depth] for depth in self.depths])

    def _equal_pixels(self, entries: torch.Tensor) -> torch.Tensor:
        """The view (P, Q) of what one pair of images has at equal pixels."""
        return torch.einsum("ijij->ij", entries) if self.pooling else entries

    def _value(self, passed: torch.Tensor | None, covariance: torch.Tensor) -> torch.Tensor:
        """The kernel's value from D T (None: zero) and K of the last layer, shape (n, n')."""
        entries = torch.zeros_like(covariance) if passed is None else passed
        if self.trained:
            entries = entries + covariance
        flat = entries.flatten(2)
        return flat.mean(dim=2) if self.pooling else flat.sum(dim=2)


def _common(high: slice, wide: slice) -> list[tuple[int, int]]:
    """Positions within a block of a symmetric matrix that stand on its diagonal."""
    both = range(max(high.start, wide.start), min(high.stop, wide.stop))
    return [(index - high.start, index - wide.start) for index in both]


def _check_images(x: torch.Tensor, z: torch.Tensor) -> None:
    for images in (x,) if z is x else (x, z):
        require_tensor(images, "images", "(n, channels, rows, columns)", 4)
        finite_lengths(images, "image")
    if x.shape[1:] != z.shape[1:] or x.dtype != z.dtype or x.device != z.device:
        raise UserError(
            f"the two sets of images differ: {tuple(x.shape[1:])} and {tuple(z.shape[1:])}, {x.dtype} and {z.dtype}, "
            f"{x.device} and {z.device}"
        )
