"""Networks of Zhang et al.: printed parameter counts, padding and local response against torch's and plain code."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from zeroloss.networks.zhang2017 import (
    LRN_ALPHA,
    LRN_BETA,
    LRN_RADIUS,
    Down,
    Inc,
    LocalResponse,
    SmallAlexNet,
    SmallInception,
    halving_padding,
    mlp,
    parameters,
)


@pytest.mark.parametrize(
    ("network", "printed"),
    [
        (lambda: SmallInception(3), 1_649_402),
        (lambda: SmallInception(3, norm=False), 1_649_402),
        (lambda: SmallAlexNet(3, 28), 1_387_786),
        (lambda: mlp(28 * 28 * 3, [512]), 1_209_866),
        (lambda: mlp(28 * 28 * 3, [512] * 3), 1_735_178),
    ],
)
def test_parameters_are_the_printed_ones(network, printed):
    assert parameters(network()) == printed


def test_batch_norm_is_left_out_of_the_count():
    assert sum(p.numel() for p in SmallInception(3).parameters()) > parameters(SmallInception(3))


@pytest.mark.parametrize(("size", "colours"), [(8, 1), (14, 3), (28, 3)])
@pytest.mark.parametrize("divisor", [4, 8])
def test_narrow_networks_take_smaller_inputs(size, colours, divisor):
    x = torch.zeros(2, colours, size, size)
    for network in (
        SmallInception(colours, divisor),
        SmallInception(colours, divisor, norm=False),
        SmallAlexNet(colours, size, divisor),
        mlp(size * size * colours, [16, 16]),
    ):
        assert network(x).shape == (2, 10)


def test_sides_of_the_pixel_grids_are_the_printed_ones():
    sides = []
    network = SmallInception(3, 8)
    for block in network.blocks:
        block.register_forward_hook(lambda module, given, out: sides.append(out.shape[2]))
    network(torch.zeros(1, 3, 28, 28))
    assert sides == [28, 28, 14, 14, 14, 14, 14, 7, 7, 7]


@pytest.mark.parametrize("size", [4, 7, 8, 9])
def test_padding_is_tensorflows_same(size):
    """SAME: ceil(H/2) outputs, zeros divided evenly with the odd one at the end."""
    total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
    x = torch.rand(1, 1, size, size)
    expected = functional.pad(x, (total // 2, total - total // 2) * 2)
    torch.testing.assert_close(halving_padding(x), expected)
    assert functional.max_pool2d(halving_padding(x), 3, stride=2).shape[2] == -(-size // 2)


def test_a_norm_after_the_concatenation_is_one_norm_for_each_part():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, 6, 6, generator=generator)
    block = Inc(5, 3, 2, norm=True)
    ones, threes = nn.BatchNorm2d(3), nn.BatchNorm2d(2)
    expected = torch.cat([torch.relu(ones(block.ones(x))), torch.relu(threes(block.threes(x)))], 1)
    torch.testing.assert_close(block(x), expected)


def test_the_pool_beside_a_convolution_keeps_its_input_positive_parts():
    x = torch.rand(2, 3, 8, 8)
    out = Down(3, 4, norm=False)(x)
    assert out.shape == (2, 7, 4, 4)
    # the window of the last row ends outside: the largest of what is inside
    torch.testing.assert_close(out[:, 4:, -1, -1], x[:, :, -2:, -2:].amax((2, 3)))


def test_local_response_is_torchs():
    x = torch.randn(2, 24, 5, 5, generator=torch.Generator().manual_seed(0)) * 20
    size = 2 * LRN_RADIUS + 1
    torchs = nn.LocalResponseNorm(size, alpha=LRN_ALPHA * size, beta=LRN_BETA, k=1)
    torch.testing.assert_close(LocalResponse(24)(x), torchs(x), rtol=1e-5, atol=1e-6)


def test_local_response_has_torchs_gradient():
    x = torch.randn(1, 12, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LocalResponse(12).double(), (x,))
