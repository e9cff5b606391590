"""Feeds that come and go: each gets what it would get alone, and takes its past along."""

from __future__ import annotations

import numpy as np
import pytest

from stemd.processors.catalogue import find_model
from stemd.processors.masknet import MaskNet, SlotNet
from stemd.processors.presence import PresentNet, feeds_that_fit
from stemd.spec import StreamSpec

SPEC = StreamSpec.of("quality", 48_000, 3)
PATH = find_model("default", "quality")


@pytest.fixture(scope="module")
def nets():
    return PresentNet(SlotNet(PATH, SPEC, "cpu"), SPEC), MaskNet(PATH, SPEC, "cpu")


def frames(n, seed=0):
    random = np.random.default_rng(seed)
    shape = (n, 3, 2, SPEC.n_bins)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


def test_company_changes_nothing(nets):
    net, alone = nets
    net.reset()
    alone.reset()
    spectra = frames(12)
    for t, frame in enumerate(spectra):
        net.present = ((0, 1, 2), (2, 1), (1,))[t % 3]  # feed 1 is always there
        got = net.process(frame)[1].copy()
        expected = alone.process(frame)[1]
        np.testing.assert_allclose(got, expected, atol=1e-5)  # rows of another batch size


def test_who_is_away_keeps_state_and_masks(nets):
    net, _ = nets
    net.reset()
    net.present = (0, 1, 2)
    for frame in frames(3):
        net.process(frame)
    state, masks = net.export_state(0), net.process(frames(1)[0])[0].copy()
    state = net.export_state(0)
    net.present = (1, 2)
    for frame in frames(5, seed=1):
        np.testing.assert_array_equal(net.process(frame)[0], masks)
    assert net.export_state(0) == state
    net.present = ()
    net.process(frames(1)[0])
    assert net.export_state(0) == state


def test_a_state_moves_to_another_slot_and_another_net_to_the_bit(nets):
    net, other = nets
    net.reset()
    other.reset()
    net.present = (0, 1, 2)
    spectra = frames(8)
    for frame in spectra[:4]:
        net.process(frame)
    data = net.export_state(1)
    other.import_state(1, data)
    assert other.export_state(1) == data
    net.import_state(2, data)
    assert net.export_state(2) == data
    for frame in spectra[4:]:
        frame[2] = frame[1]
        masks = net.process(frame)
        np.testing.assert_array_equal(masks[2], masks[1])
        np.testing.assert_array_equal(other.process(frame)[1], masks[1])
    net.reset(1)
    assert net.export_state(1) != net.export_state(2)


@pytest.mark.parametrize(
    ("first_ms", "each_ms", "hop_ms", "n_feeds", "fits"),
    [(1, 1, 10, 4, 7), (1, 3, 10, 4, 3), (9, 1, 10, 4, 0), (7, 1, 10, 1, 1), (9, 1, 10, 1, 0)],
)
def test_what_fits_is_known_from_one_and_all(nets, first_ms, each_ms, hop_ms, n_feeds, fits):
    net, _ = nets

    def step():
        return (first_ms + each_ms * (len(net.present) - 1)) * 1e-3

    assert feeds_that_fit(net, n_feeds, hop_ms * 1e-3, step) == fits
