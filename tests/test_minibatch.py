"""Mini-batch SGD against a plain script, checkpoints against uninterrupted runs."""

import os
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from zeroloss.checkpoint import TERMINATED, Checkpoints
from zeroloss.randomness import numpy_generator, torch_generator
from zeroloss.training.minibatch import Images, Schedule, initialise, train

SCHEDULE = Schedule(epochs=4, batch=16, learning_rate=0.1, decay=0.9, momentum=0.9, weight_decay=1e-3, drops=(3,))


def network():
    """A small convolutional net with a norm, so that buffers matter."""
    made = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    )
    initialise(made, torch_generator(0, "network"))
    return made


def data(n=50):
    generator = numpy_generator(0, "images")
    return generator.standard_normal((n, 6, 6, 2)).astype(np.float32), generator.integers(0, 3, n)


def run(checkpoint=None, net=None, **more):
    x, y = data()
    images = Images.place(x[:40], y[:40], "cpu")
    test = Images.place(x[40:], y[40:], "cpu")
    net = net or network()
    return net, train(net, images, test, SCHEDULE, torch_generator(1, "order"), checkpoint=checkpoint, **more)


def test_training_is_that_of_the_plain_script():
    ours, epochs = run()
    plain, generator = network(), torch_generator(1, "order")
    x, y = data()
    inputs, labels = torch.tensor(x[:40]).permute(0, 3, 1, 2).contiguous(), torch.tensor(y[:40])
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    losses, accuracies = [], []
    for epoch in range(4):
        for group in optimiser.param_groups:
            group["lr"] = 0.1 * 0.9**epoch * (0.1 if epoch == 3 else 1)
        total = right = 0
        for index in torch.randperm(40, generator=generator).split(16):
            outputs = plain(inputs[index])
            loss = functional.cross_entropy(outputs, labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(index)
            right += int((outputs.argmax(1) == labels[index]).sum())
        losses.append(total / 40)
        accuracies.append(right / 40)
    np.testing.assert_allclose([one.loss for one in epochs], losses, rtol=1e-4)
    np.testing.assert_allclose([one.train_accuracy for one in epochs], accuracies, atol=1e-7)
    assert [one.steps for one in epochs] == [3, 6, 9, 12]
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    plain.eval()
    with torch.no_grad():
        outputs = plain(torch.tensor(x[40:]).permute(0, 3, 1, 2))
    assert epochs[-1].test_loss == pytest.approx(
        float(functional.cross_entropy(outputs, torch.tensor(y[40:]))), rel=1e-4
    )


class KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_run_taken_up_again_has_the_same_bits(tmp_path, at):
    whole, expected = run()
    folder = Checkpoints(tmp_path / "kept", key="k", seconds=0)

    def kill(epoch):
        if epoch.epoch == at + 1:
            raise KilledError

    with pytest.raises(KilledError):
        run(folder.part("a"), on_epoch=kill)
    resumed, epochs = run(Checkpoints(tmp_path / "kept", key="k").part("a"))
    assert epochs == expected
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), resumed.state_dict()[name].numpy())


def test_a_finished_part_is_not_done_again(tmp_path):
    kept = Checkpoints(tmp_path, key="k")
    first, epochs = run(kept.part("a"))

    def never(epoch):
        raise AssertionError("trained again")

    again, same = run(kept.part("a"), on_epoch=never)
    assert same == epochs
    torch.testing.assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)


def test_states_of_other_orders_and_damaged_ones_are_not_taken_up(tmp_path, capsys):
    kept = Checkpoints(tmp_path, key="k")
    kept.part("a").save({"x": np.ones(3)})
    assert Checkpoints(tmp_path, key="other").part("a").load() is None
    assert kept.part("b").load() is None
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    assert kept.part("a").load() is None
    assert "damaged" in capsys.readouterr().err
    kept.remove()
    assert not tmp_path.exists()


def test_sigterm_keeps_the_state_and_ends(tmp_path):
    kept = Checkpoints(tmp_path, key="k")
    _, expected = run()

    def ask(epoch):
        if epoch.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with kept.heeding_sigterm(), pytest.raises(SystemExit) as end:
        run(kept.part("a"), on_epoch=ask)
    assert end.value.code == TERMINATED
    assert signal.getsignal(signal.SIGTERM) == before
    started = []
    _, epochs = run(Checkpoints(tmp_path, key="k").part("a"), on_epoch=lambda one: started.append(one.epoch))
    assert epochs == expected and started == [3, 4]


def test_a_diverged_run_ends_with_what_it_came_to():
    net = network()
    with torch.no_grad():
        net[-1].weight.mul_(torch.inf)
    _, epochs = run(net=net)
    assert len(epochs) == 1 and not np.isfinite(epochs[0].loss)


def test_stopping_early():
    _, epochs = run(stop=lambda one: one.epoch == 2)
    assert len(epochs) == 2
