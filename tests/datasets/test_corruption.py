"""The randomisations of Zhang et al. 2017 do what the paper says, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroloss.datasets import corruption
from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.recipes import Dataset
from zeroloss.errors import UserError
from zeroloss.randomness import numpy_generator


def images(n=6, side=4, colours=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, colours), dtype=np.uint8)


@settings(max_examples=25, deadline=None)
@given(low=st.floats(0, 1), high=st.floats(0, 1), seed=st.integers(0, 1000))
def test_corrupted_labels_are_nested(low, high, seed):
    low, high = sorted((low, high))
    y = np.random.default_rng(seed).integers(0, 10, 200)
    less = corruption.corrupt_labels(y, low, 10, numpy_generator(seed, "labels"))
    more = corruption.corrupt_labels(y, high, 10, numpy_generator(seed, "labels"))
    assert ((less == y) | (less == more)).all()
    assert set(less) <= set(range(10))


def test_share_of_changed_labels():
    y = np.zeros(20000, dtype=np.int64)
    found = corruption.corrupt_labels(y, 0.5, 10, numpy_generator(0, "labels"))
    # a replaced label is the old one with probability 1/10: 0.45 changed; five standard deviations are 0.018
    assert abs((found != 0).mean() - 0.45) < 0.018
    np.testing.assert_array_equal(corruption.corrupt_labels(y, 0.0, 10, numpy_generator(0, "labels")), y)


def test_one_permutation_for_all_images_and_one_for_each():
    x = images()
    flat = x.reshape(6, 16, 3)
    shuffled = corruption.shuffled_pixels(x, numpy_generator(0, "pixels")).reshape(6, 16, 3)
    order = [int(np.flatnonzero((flat[0] == pixel).all(axis=1))[0]) for pixel in shuffled[0]]
    assert sorted(order) == list(range(16)) and order != list(range(16))
    np.testing.assert_array_equal(shuffled, flat[:, order])
    same = np.repeat(x[:1], 6, axis=0)
    scattered = corruption.random_pixels(same, numpy_generator(0, "pixels")).reshape(6, 16, 3)
    assert len({one.tobytes() for one in scattered}) == 6
    for one in scattered:
        assert sorted(map(tuple, one)) == sorted(map(tuple, flat[0]))


def test_gaussian_pixels_have_the_moments_of_the_data():
    x = images(50, 16)
    found = corruption.gaussian_pixels(x, x, numpy_generator(0, "gaussian"))
    assert found.dtype == np.float32
    # 38400 values of standard deviation about 74: five standard errors
    assert abs(found.mean() - x.mean()) < 5 * x.std() / 38400**0.5
    assert abs(found.std() - x.std()) < 5 * x.std() / (2 * 38400) ** 0.5


def test_whitening_and_crop():
    x = images(5, 8)
    found = corruption.whiten_each(x)
    np.testing.assert_allclose(found.reshape(5, -1).mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(found.reshape(5, -1).std(axis=1), 1, rtol=1e-5)
    flat = corruption.whiten_each(np.full((1, 4, 4, 3), 7, dtype=np.uint8))
    assert not flat.any()
    np.testing.assert_array_equal(corruption.centre_crop(x, 4), x[:, 2:6, 2:6])


def test_image_split_keeps_the_original_order_and_says_what_it_tests_on(tmp_path):
    recipe = ImageSplit(source="digits", train=1000, test=797)
    made = recipe.build(None)
    assert made.x.shape == (1000, 8, 8) and made.x_test.shape == (797, 8, 8) and made.x.dtype == np.uint8
    assert "no test set of its own" in made.info["fidelity"] and made.info["classes"] == 10
    made.write(tmp_path / "a.npz", {})
    again = Dataset.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.x_test, made.x_test)
    np.testing.assert_array_equal(again.y, made.y)
    with pytest.raises(UserError, match="lower train or test"):
        ImageSplit(source="digits", train=1000, test=798).build(None)
