"""Layers of small nets beside their slow twins."""

import numpy as np
import pytest

from stemd.kernels.dense import layer, three_layers
from stemd.processors.layers import in_16_bits
from tests.kernels.layers import kept


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_weights_are_kept_to_a_part_in_thirty_thousand_of_their_column(rng):
    layers = [real(rng, 9, 4) * np.float32([1e-3, 1, 1e3, 0]), real(rng, 5, 3)]
    weights, steps = in_16_bits(layers)
    assert (weights.dtype, steps.dtype) == (np.int16, np.float32)
    assert (weights.size, steps.size) == (9 * 4 + 5 * 3, 4 + 3)
    for one, held, step in (
        (layers[0], weights[:36].reshape(9, 4), steps[:4]),
        (layers[1], weights[36:].reshape(5, 3), steps[4:]),
    ):
        off = np.abs(held * step - one).max(0)
        assert (off <= 0.51 / 32767 * np.abs(one).max(0)).all()


@pytest.mark.parametrize("n_in", [8, 9, 10, 11])
def test_a_layer_equals_the_twin(rng, n_in):
    x, whole, out = real(rng, n_in), real(rng, n_in + 1, 5), np.zeros(5, np.float32)
    x[:4] = 0.0  # is skipped
    (whole,), weights, steps = kept([whole])
    layer(x, weights.reshape(-1, 5), steps, out)
    np.testing.assert_allclose(out, x @ whole[:-1] + whole[-1], atol=1e-5)


def test_three_layers_equal_the_twin(rng):
    x, layers = real(rng, 21), [real(rng, 22, 7), real(rng, 8, 6), real(rng, 7, 4)]
    layers, weights, steps = kept(layers)
    hidden, out = np.zeros(7 + 6, np.float32), np.zeros(4, np.float32)
    for _ in range(2):  # nothing is left of the first time
        three_layers(x, weights, steps, 7, hidden, out)
    wanted = x
    for i, whole in enumerate(layers):
        wanted = wanted @ whole[:-1] + whole[-1]
        wanted = np.maximum(wanted, 0) if i < 2 else wanted
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)
