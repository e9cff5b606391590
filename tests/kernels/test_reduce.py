"""Sums and maxima of a row beside numpy's."""

import numpy as np
import pytest

from stemd.kernels.reduce import largest, mean_square, sum_of


@pytest.mark.parametrize("n", [0, 1, 7, 64, 1025])
def test_sums_and_maxima_equal_the_twins(n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n).astype(np.float32)
    wide = x.astype(np.float64)
    assert sum_of(x) == pytest.approx(wide.sum(), abs=1e-6 * max(n, 1))
    assert mean_square(x) == pytest.approx(np.square(wide).sum() / max(n, 1), rel=1e-5)
    assert largest(x) == max(0.0, x.max(initial=0.0))
    assert largest(-np.abs(x)) == 0.0


def test_what_is_no_number_is_seen_among_the_largest():
    x = np.array([1.0, np.nan, 2.0, np.inf, -np.inf], np.float32)
    assert np.isnan(largest(x))
    assert largest(x[2:]) == np.inf
    assert largest(x[4:]) == 0.0
