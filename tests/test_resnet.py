"""Residual nets: size by formula, shapes, the plain script of one block; random images."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from zeroloss.datasets.random_images import RandomImages
from zeroloss.networks.resnet18 import ResNet
from zeroloss.randomness import torch_generator
from zeroloss.theory import resnet_size
from zeroloss.training.minibatch import initialise

SHAPES = [
    (3, 64, (2, 2, 2, 2), 10),
    (1, 64, (2, 2, 2, 2), 10),
    (3, 64, (2, 2, 2, 2), 100),
    (1, 8, (1, 1, 1, 1), 10),
    (3, 4, (3, 1), 7),
    (3, 6, (2,), 2),
]


def test_resnet18_has_the_parameters_that_everybody_counts():
    assert resnet_size.parameters(3, resnet_size.RESNET18_WIDTH, resnet_size.RESNET18_BLOCKS, 10) == 11_173_962
    # eight blocks of two convolutions, the first convolution and the output are 18 layers
    assert 2 * sum(resnet_size.RESNET18_BLOCKS) + 2 == 18


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_by_formula(shape):
    assert sum(one.numel() for one in ResNet(*shape).parameters()) == resnet_size.parameters(*shape)


@pytest.mark.parametrize(("shape", "side"), [((3, 4, (2, 2, 2, 2), 10), 24), ((1, 4, (1, 1, 1, 1), 10), 7)])
def test_multiplications_by_formula(shape, side):
    network, counted = ResNet(*shape), []

    def count(module, inputs, output):
        per_output = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        counted.append(per_output * output[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network(torch.zeros(2, shape[0], side, side))
    assert sum(counted) == resnet_size.multiplications(side, *shape[:3])


def test_forward_is_that_of_the_definition():
    network = ResNet(2, 3, (1, 1), 4)
    initialise(network, torch_generator(0, "net"))
    network.eval()
    x = torch.randn(5, 2, 8, 8, generator=torch_generator(0, "x"))

    def conv(module, norm, x, stride, padding):
        # a norm that has seen nothing divides by sqrt(1 + eps)
        return functional.conv2d(x, module.weight, stride=stride, padding=padding) / (1 + norm.eps) ** 0.5

    h = conv(network.stem, network.stem_norm, x, 1, 1).relu()
    one, two = network.stages
    h = (conv(one.second, one.second_norm, conv(one.first, one.first_norm, h, 1, 1).relu(), 1, 1) + h).relu()
    inner = conv(two.second, two.second_norm, conv(two.first, two.first_norm, h, 2, 1).relu(), 1, 1)
    h = (inner + conv(two.shortcut[0], two.shortcut[1], h, 2, 0)).relu()
    expected = h.mean((2, 3)) @ network.output.weight.T
    torch.testing.assert_close(network(x), expected)
    assert h.shape == (5, 6, 4, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_random_images(channels):
    recipe = RandomImages(train=3000, test=100, side=6, channels=channels, classes=5, seed=3)
    data = recipe.build(None)
    assert data.x.shape == (3000, 6, 6, 3)[: 3 if channels == 1 else 4]
    assert data.x.dtype == np.uint8 and data.y.dtype == np.int64
    assert (data.x.min(), data.x.max()) == (0, 255)
    assert set(data.y) == set(range(5))
    assert abs(np.corrcoef(data.x.reshape(3000, -1).mean(1), data.y)[0, 1]) < 4 / 3000**0.5
    again = recipe.build(None)
    np.testing.assert_array_equal(again.x_test, data.x_test)
    other = recipe.model_copy(update={"seed": 4})
    assert other.name != recipe.name
    assert (other.build(None).y != data.y).any()
    # more training images change no test image
    longer = recipe.model_copy(update={"train": 4000}).build(None)
    np.testing.assert_array_equal(longer.y_test, data.y_test)
