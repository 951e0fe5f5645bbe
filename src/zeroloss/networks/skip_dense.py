"""Fully connected networks whose hidden neurons are wired to the output (Nguyen, Mukkamala, Hein 2019, section 2).

    a^(0) = x,   a^(l) = sigma(a^(l-1) W^(l) + b^(l)),   f(x) = psi(x) V,

psi(x) holds the M hidden neurons that are wired to the output, from any layers. A network without skip connections is
the same thing with psi = a^(L). Networks of one shape are one tensor whose first axis numbers them; which neurons are
wired is a mask, so plain networks and networks with skip connections run together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from zeroloss.randomness import torch_generator
from zeroloss.theory.nguyen2019 import check_width

Function = Callable[[torch.Tensor], torch.Tensor]
SHARPNESS = 20.0  # gamma of the paper's softplus


@dataclass(frozen=True)
class Activation:
    """sigma, and sigma' as a function of the value a = sigma(z), which is what backpropagation has at hand.

    ``gain`` is the variance of a weight times its fan-in at the start: 2 for what is nearly a ReLU (He et al. 2015), 16
    for the sigmoid, whose slope at 0 is 1/4, and 1 for the identity.
    """

    value: Function
    slope: Function
    gain: float


def _softplus(z: torch.Tensor) -> torch.Tensor:
    # log(1 + e^(gamma z)) / gamma; the cut at 40 is below rounding in float64 as well. In float32 tails below 1e-31 stay
    # there: smaller ones become subnormal numbers, which make a matrix product several times slower.
    if z.dtype == torch.float32:
        z = z.clamp(min=-3.5)
    return torch.nn.functional.softplus(z, beta=SHARPNESS, threshold=40.0)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(torch.sigmoid, lambda a: a * (1 - a), 16.0),
    # sigmoid(gamma z) = 1 - e^(-gamma a)
    "softplus": Activation(_softplus, lambda a: 1 - torch.exp(-SHARPNESS * a), 2.0),
    "relu": Activation(torch.relu, lambda a: (a > 0).to(a.dtype), 2.0),
    "linear": Activation(lambda z: z, torch.ones_like, 1.0),
}


@dataclass(frozen=True)
class DenseNetworks:
    """B networks.

    Attributes:
        weights: W^(l), shapes (B, in, out), from the first layer on.
        biases: b^(l), shapes (B, 1, out).
        readout: V, shape (B, K, classes), K = number of all hidden neurons in the order of the layers; zero where a
            neuron is not wired.
        wired: 1 where a neuron is wired to the output, else 0, shape (B, K, 1).
    """

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    readout: torch.Tensor
    wired: torch.Tensor

    def tensors(self) -> list[torch.Tensor]:
        """Every tensor of parameters, in a fixed order."""
        return [*self.weights, *self.biases, self.readout]


def choose_wired(widths: Sequence[int], count: int | None, seed: int) -> torch.Tensor:
    """Which neurons are wired to the output, 0 or 1, float32, shape (K,): ``count`` at random, None the last layer."""
    total = sum(widths)
    wired = torch.zeros(total)
    if count is None:
        wired[total - widths[-1] :] = 1
        return wired
    check_width(total, count)
    wired[torch.randperm(total, generator=torch_generator(seed, "wired neurons"))[:count]] = 1
    return wired


def draw_networks(
    inputs: int,
    widths: Sequence[int],
    classes: int,
    wired: torch.Tensor,
    activation: str,
    seeds: Sequence[int],
    bias: float = 0.0,
) -> DenseNetworks:
    """One network per seed, float32 on the CPU: weights N(0, gain / fan-in), biases N(0, bias^2), V N(0, 1 / M).

    Args:
        inputs: input dimension d.
        widths: of the hidden layers.
        classes: outputs.
        wired: 0 or 1, shape (B, K), one row per seed.
        activation: key of ACTIVATIONS; decides the gain.
        seeds: one per network; equal seeds give equal hidden weights.
        bias: standard deviation of the biases.
    """
    fans = [inputs, *widths[:-1]]
    weights, biases = [], []
    for layer, (fan, width) in enumerate(zip(fans, widths, strict=True)):
        scale = (ACTIVATIONS[activation].gain / fan) ** 0.5
        draws = [torch.randn(fan, width, generator=torch_generator(seed, "hidden", layer)) for seed in seeds]
        shifts = [torch.randn(1, width, generator=torch_generator(seed, "bias", layer)) for seed in seeds]
        weights.append(scale * torch.stack(draws))
        biases.append(bias * torch.stack(shifts))
    ends = [torch.randn(sum(widths), classes, generator=torch_generator(seed, "readout")) for seed in seeds]
    mask = wired[:, :, None]
    return DenseNetworks(weights, biases, torch.stack(ends) * mask / mask.sum(dim=1, keepdim=True).sqrt(), mask)


def hidden_values(networks: DenseNetworks, x: torch.Tensor, activation: str) -> list[torch.Tensor]:
    """a^(1), ..., a^(L) of every network; x has shape (n, d), the values (B, n, width)."""
    value, values = ACTIVATIONS[activation].value, []
    here = x.expand(len(networks.readout), *x.shape)
    for weight, bias in zip(networks.weights, networks.biases, strict=True):
        here = value(torch.baddbmm(bias, here, weight))
        values.append(here)
    return values


def outputs(networks: DenseNetworks, x: torch.Tensor, activation: str) -> torch.Tensor:
    """f(x) of every network, shape (B, n, classes)."""
    return torch.cat(hidden_values(networks, x, activation), dim=2) @ networks.readout


def losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy (natural logarithm), float64, and number of errors of each network, both of shape (B,).

    An example counts as an error where another class has at least the output of the right one, as in Lemma 2.1: where
    outputs tie, the loss of the example is at least log 2 and its class is not decided.

    Args:
        logits: shape (B, n, classes).
        labels: classes, int64, shape (n,).
    """
    logits = logits.double()
    right = logits.gather(2, labels.expand(len(logits), -1)[:, :, None])
    loss = (torch.logsumexp(logits, dim=2) - right[:, :, 0]).mean(dim=1)
    others = logits.scatter(2, labels.expand(len(logits), -1)[:, :, None], -torch.inf)
    wrong = ~(right[:, :, 0] > others.amax(dim=2))  # NaN counts as wrong
    return loss, wrong.sum(dim=1)
