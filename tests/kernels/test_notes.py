"""The parts of the note tracker beside plain NumPy."""

import numpy as np
import pytest

from stemd.kernels.notes import is_steady, median_voiced, push_newest


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_the_median_is_that_of_the_voiced_if_half_are(n):
    rng = np.random.default_rng(n)
    scratch = np.zeros(12)
    for _ in range(200):
        pitches = rng.uniform(30, 80, 12) * (rng.random(12) < 0.6)
        newest = pitches[:n][pitches[:n] > 0]
        wanted = np.median(newest) if 2 * len(newest) >= n and len(newest) else 0.0
        before = pitches.copy()
        assert median_voiced(pitches, n, scratch) == pytest.approx(wanted)
        np.testing.assert_array_equal(pitches, before)


def test_steady_is_all_within_the_spread():
    pitches = np.array([60.1, 60.3, 59.9, 0.0, 60.0])
    assert is_steady(pitches, 3, 60.0, 0.5)
    assert not is_steady(pitches, 3, 60.0, 0.25)
    assert not is_steady(pitches, 4, 60.0, 0.5)


def test_the_newest_comes_first_and_the_oldest_goes():
    past = np.arange(4.0)
    push_newest(past, 9.0)
    assert past.tolist() == [9.0, 0.0, 1.0, 2.0]
