"""The window pair against its formula and its promise."""

import numpy as np
import pytest

from stemd.kernels.window import window_pair
from stemd.spec import PROFILES

from .. import reference

SHAPES = [(p.n_fft, p.hop_length) for p in PROFILES.values()] + [(1024, 64), (4096, 128), (6, 3)]


@pytest.mark.parametrize(("n_fft", "hop_length"), SHAPES)
def test_windows_follow_the_formula(n_fft, hop_length):
    for ours, theirs in zip(
        window_pair(n_fft, hop_length), reference.window_pair(n_fft, hop_length), strict=True
    ):
        # float32 rounding of values up to 1
        np.testing.assert_allclose(ours, theirs, atol=6e-8)


@pytest.mark.parametrize(("n_fft", "hop_length"), SHAPES)
def test_product_of_windows_adds_up_to_one(n_fft, hop_length):
    analysis, synthesis = window_pair(n_fft, hop_length)
    product = analysis[n_fft - 2 * hop_length :].astype(np.float64) * synthesis
    np.testing.assert_allclose(product[:hop_length] + product[hop_length:], 1.0, atol=2e-7)


def test_synthesis_never_amplifies():
    assert max(window_pair(n, m)[1].max() for n, m in SHAPES) <= 1.0


def test_half_overlap_gives_one_and_the_same_sine():
    analysis, synthesis = window_pair(1024, 512)
    np.testing.assert_allclose(analysis, synthesis, atol=6e-8)
    np.testing.assert_allclose(analysis, np.sin(np.pi * np.arange(1024) / 1024), atol=6e-8)
