"""A torch module in training as arrays: weights, buffers, momentum, generator; for checkpoints of SGD."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch


def arrays_of(
    module: torch.nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> dict[str, np.ndarray]:
    """All that the next step depends on besides its data and its learning rate."""
    state = {f"network.{name}": value.detach().cpu().numpy() for name, value in module.state_dict().items()}
    for index, parameter in enumerate(module.parameters()):
        buffer = optimiser.state[parameter].get("momentum_buffer")
        if buffer is not None:
            state[f"momentum.{index}"] = buffer.cpu().numpy()
    return {**state, "generator": generator.get_state().numpy()}


def put_back(
    state: Mapping[str, np.ndarray],
    module: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Everything as it was when :func:`arrays_of` gave ``state``."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(torch.as_tensor(state[f"network.{name}"]))
    for index, parameter in enumerate(module.parameters()):
        if f"momentum.{index}" in state:
            buffer = torch.empty_like(parameter).copy_(torch.as_tensor(state[f"momentum.{index}"]))
            optimiser.state[parameter]["momentum_buffer"] = buffer
    generator.set_state(torch.as_tensor(state["generator"]))
