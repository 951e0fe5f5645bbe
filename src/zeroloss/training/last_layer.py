"""Gradient descent on the last layer alone: theta <- theta - eta o grad J with eta zero for every other layer.

J = (1/n) sum_i l(f(x_i), y_i) and f = W phi with fixed features phi (n, p), so everything lives in the n x n matrix
K = phi phi^T. Squared loss |f - y|^2 / 2: one eigendecomposition gives any number of steps at once. Cross-entropy:
F <- F - (eta / n) K (P - Y), at a cost that does not depend on p. float64: K has a condition number of 1e7 and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues (ascending, (n,)) and eigenvectors (n, n) of K = phi phi^T."""

    values: torch.Tensor
    vectors: torch.Tensor

    @property
    def positive(self) -> torch.Tensor:
        """Which eigenvalues stand above rounding, n times 2^-52 of the largest."""
        return self.values > len(self.values) * 2.0**-52 * self.values[-1]


def spectrum(features: torch.Tensor) -> Spectrum:
    """Of features (n, p), float64."""
    values, vectors = torch.linalg.eigh(features @ features.T)
    return Spectrum(values, vectors)


def stable_step(spectrum: Spectrum, zeta: float) -> float:
    """1 / (zeta lambda_max(K / n)): J never rises with steps up to twice that, for a loss with zeta-Lipschitz gradient."""
    return len(spectrum.values) / (zeta * float(spectrum.values[-1]))


@dataclass(frozen=True)
class SquaredLossDescent:
    """Gradient descent on J = (1/2n) sum |W phi_i - y_i|^2, any numbers of steps in closed form.

    Many numbers of steps at once become one matrix product; one by one the skinny products would take ten times longer.

    Attributes:
        spectrum: of the features.
        start: U^T (F(0) - Y), the residuals in the eigenbasis, (n, columns).
        step: eta.
    """

    spectrum: Spectrum
    start: torch.Tensor
    step: float

    @classmethod
    def of(cls, spectrum: Spectrum, residuals: torch.Tensor, step: float) -> SquaredLossDescent:
        """From F(0) - Y, shape (n, columns)."""
        return cls(spectrum, spectrum.vectors.T @ residuals, step)

    def _kept(self, steps: Sequence[int]) -> torch.Tensor:
        """(1 - eta lambda / n)^t, shape (times, n); overflows to infinity where training diverges."""
        t = torch.tensor(steps, dtype=torch.float64, device=self.start.device)[:, None]
        rate = self.step * self.spectrum.values.clamp(min=0) / len(self.spectrum.values)
        # log1p keeps what is left of directions that have hardly begun to move
        slow = torch.exp(t * torch.log1p(-rate.clamp(max=0.5)))
        size = torch.where(rate < 0.5, slow, (1 - rate).abs() ** t)
        return torch.where((rate > 1) & (t % 2 == 1), -size, size)

    def _in_samples(self, shares: torch.Tensor) -> torch.Tensor:
        """U diag(share) U^T (F(0) - Y) for each row of ``shares`` (times, n); shape (times, n, columns)."""
        columns = (shares[:, :, None] * self.start).transpose(0, 1).flatten(1)
        found = self.spectrum.vectors @ columns
        return found.view(len(self.start), len(shares), -1).transpose(0, 1)

    def residuals(self, steps: Sequence[int]) -> torch.Tensor:
        """F(t) - Y, shape (times, n, columns)."""
        return self._in_samples(self._kept(steps))

    def loss(self, steps: Sequence[int]) -> torch.Tensor:
        """J(t), shape (times,)."""
        return self._kept(steps) ** 2 @ self.start.square().sum(dim=1) / (2 * len(self.start))

    def coefficients(self, steps: Sequence[int]) -> torch.Tensor:
        """alpha with W(t) = W(0) + alpha^T phi, shape (times, n, columns): -(1 - kept) / lambda in the eigenbasis."""
        values, seen = self.spectrum.values, self.spectrum.positive
        share = (1 - self._kept(steps)) / torch.where(seen, values, torch.ones_like(values))
        # where lambda is lost in rounding (1 - kept) / lambda is its limit, t eta / n
        limit = torch.tensor(steps, dtype=torch.float64, device=values.device)[:, None] * self.step / len(values)
        return self._in_samples(-torch.where(seen, share, limit))

    def least_loss(self) -> float:
        """What is out of reach: the residuals where K has no eigenvalue above rounding."""
        return float(self.start[~self.spectrum.positive].square().sum()) / (2 * len(self.start))

    def distance_to_minimiser(self) -> float:
        """|W* - W(0)|^2 of the nearest minimiser: the last layer's part of the paper's c_r."""
        seen = self.spectrum.positive
        return float((self.start[seen].square().sum(dim=1) / self.spectrum.values[seen]).sum())


def cross_entropy(outputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Mean over samples; outputs (..., n, m_y), classes (..., n)."""
    own = outputs.gather(-1, classes[..., None])[..., 0]
    return (torch.logsumexp(outputs, dim=-1) - own).mean(dim=-1)


def cross_entropy_step(
    gram: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor, coefficients: torch.Tensor, step: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step in function space: alpha and F after it.

    Args:
        gram: K, (batch, n, n).
        outputs: F, (batch, n, m_y).
        targets: one-hot, (batch, n, m_y).
        coefficients: alpha with W = W(0) + alpha^T phi, (batch, n, m_y).
        step: eta / n, (batch, 1, 1).
    """
    change = step * (torch.softmax(outputs, dim=-1) - targets)
    return outputs - torch.bmm(gram, change), coefficients - change
