"""How well trained two-layer ReLU networks correlate with random signs: a lower bound of eq. 1 of Zhang et al. 2017."""

from __future__ import annotations

import torch


def best_correlations(
    x: torch.Tensor,
    signs: torch.Tensor,
    width: int,
    *,
    steps: int,
    step_size: float,
    generator: torch.Generator,
) -> tuple[torch.Tensor, int]:
    """(largest (1/n) sum_i sigma_i sign f(x_i) met in training, for each draw; steps taken).

    One network for each draw, f(x) = v . relu(W x + b) + c, all four trained by full-batch Adam on logistic loss; the
    draws are one tensor. Stops when every network has all signs right. A correlation of 1 is training accuracy 100 %.

    Args:
        x: float32, shape (n, d), with coordinates of size about 1.
        signs: +-1, float32, shape (draws, n).
        width: hidden units m.
        steps: at most so many.
        step_size: Adam's.
        generator: CPU generator of the initial weights.

    Returns:
        Correlations, float32, shape (draws,), CPU.
    """
    draws, (_, d) = len(signs), x.shape

    def normal(*shape: int, scale: float) -> torch.Tensor:
        return (torch.randn(draws, *shape, generator=generator) * scale).to(x.device).requires_grad_()

    first, outer = normal(d, width, scale=(2 / d) ** 0.5), normal(width, scale=width**-0.5)
    inner_bias, outer_bias = normal(1, width, scale=0.0), normal(1, scale=0.0)
    parameters = [first, outer, inner_bias, outer_bias]
    optimiser = torch.optim.Adam(parameters, lr=step_size)
    inputs = x.expand(draws, *x.shape)
    best = torch.full((draws,), -1.0, device=x.device)
    taken = 0
    for taken in range(steps + 1):
        outputs = (torch.baddbmm(inner_bias, inputs, first).relu() @ outer[:, :, None])[:, :, 0] + outer_bias
        margins = signs * outputs
        # an output of exactly 0 counts as wrong
        best = torch.maximum(best, torch.where(margins > 0, 1.0, -1.0).mean(dim=1))
        if taken == steps or bool((best == 1).all()):
            break
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.softplus(-margins).mean(dim=1).sum().backward()
        optimiser.step()
    return best.cpu(), taken
