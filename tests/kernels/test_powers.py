"""Powers of sources and their sums over bands beside their slow twins."""

from itertools import pairwise

import numpy as np
import pytest

from stemd.kernels.powers import band_magnitudes, source_powers

B, F, N_BANDS = 2, 129, 5
# Bins: inside one bin, over many, beyond the last of 129.
EDGES = [[1, 2.25, 2.5, 9.75, 40, 130], [0.6, 0.9, 1.1, 7, 64.4, 128.5]]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def cplx(rng, *shape):
    x = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return x.astype(np.complex64)


def test_powers_and_products_equal_the_twin(rng):
    spectra, masked = cplx(rng, B, 2, F), cplx(rng, B, 3, 2, F)
    rest = np.zeros((2, 2 * F), np.float32)
    powers, products = np.full((B, 5, F), 9.0, np.float32), np.full((B, 5), 9.0, np.float32)
    source_powers(spectra, masked, rest, powers, products)
    weights = np.ones(F)
    weights[[0, -1]] = 0.5  # they have no image
    left = spectra - masked.sum(axis=1)
    sources = np.stack([spectra, *masked.swapaxes(0, 1), left], axis=1).astype(np.complex128)
    wanted = weights * (np.abs(sources) ** 2).sum(axis=2)
    np.testing.assert_allclose(powers, wanted, rtol=1e-5, atol=1e-5)
    along = (weights * (sources[:, :, 0] * sources[:, :, 1].conj()).real).sum(axis=-1)
    np.testing.assert_allclose(products, along, rtol=1e-4, atol=1e-3)


def slow_magnitudes(power, edges, gain):
    """Each bin gives a band the share of its width that lies inside."""
    bins = np.arange(power.shape[-1])
    levels = []
    for low, high in pairwise(edges):
        share = np.clip(np.minimum(bins + 0.5, high) - np.maximum(bins - 0.5, low), 0, 1)
        levels.append(gain * np.sqrt((share * power).sum(axis=-1)))
    return np.stack(levels, axis=-1)


@pytest.mark.parametrize("edges", EDGES)
def test_bands_share_bins_by_their_width(rng, edges):
    edges, rows = np.array(edges, np.float32), np.array([2, 0], np.int64)
    powers = (4.0 * rng.random((B, 5, F)) ** 2).astype(np.float32)
    levels = np.full((B, 2, N_BANDS), 9.0, np.float32)
    band_magnitudes(powers, rows, edges, np.float32(0.3), levels)
    wanted = slow_magnitudes(powers[:, rows].astype(np.float64), edges.astype(np.float64), 0.3)
    # the sum over a band in float32, and what its edges cut off it
    np.testing.assert_allclose(levels, wanted, rtol=5e-5, atol=5e-5)
