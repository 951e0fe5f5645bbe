"""Error bars, and the sentence for a misspelt name; their doctests."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroloss import errors
from zeroloss.plotting import bars
from zeroloss.plotting.bars import bar_lengths


@given(st.floats(1e-300, 1e300), st.integers(2, 40))
def test_equal_values_have_bars_of_no_length(value, count):
    """Their mean lies beside them by rounding."""
    values = pd.Series([value] * count)
    lengths = bar_lengths([values.mean()], [values.min()], [values.max()])
    assert (lengths >= 0).all()
    assert (lengths <= 1e-12 * value).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_bars_reach_the_extremes(values):
    middle = float(np.median(values))
    (down,), (up,) = bar_lengths([middle], [min(values)], [max(values)])
    assert abs(middle - down - min(values)) <= 1e-9 and abs(middle + up - max(values)) <= 1e-9


@pytest.mark.parametrize("module", [bars, errors])
def test_doctests(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
