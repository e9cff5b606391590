"""The steps of the net behind pitch beside their slow twins."""

import numpy as np
import pytest

from stemd.kernels.ear import (
    LEVELS,
    SOFT,
    advise,
    highest,
    look,
    low_pass,
    most_alike,
    posterior,
)
from stemd.processors.pitch import _section, bands


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_what_the_net_sees_equals_the_twin(rng):
    length, n_padded, n_lags = 300, 512, 40
    frames = np.zeros((3, n_padded), np.float32)
    frames[:, :length] = 0.1 * real(rng, 3, length)
    powers = (np.abs(np.fft.rfft(frames)) ** 2).astype(np.complex64)
    nsdf = rng.uniform(-1, 1, (3, 100)).astype(np.float32)
    lags = np.sort(rng.uniform(2, 98, n_lags))
    first, shares = bands(6000 / n_padded, 40, 60)
    loudest, before = np.array([0.02, 1e-9], np.float32), np.array([0.02, 1e-9])
    x = np.zeros(2 * n_lags + 2 * len(first) + LEVELS, np.float32)
    rows, keep = np.array([2, 0]), np.float32(0.5)
    look(frames, powers, nsdf, rows, length, lags, first, shares, loudest, keep, x)
    energy = np.square(frames[rows, :length]).mean(1)
    np.testing.assert_allclose(loudest, np.maximum(0.5 * before, energy), rtol=1e-5)
    wanted = [np.interp(lags, np.arange(100), nsdf[row]) for row in rows]
    for row in rows:
        level = [
            (share[:count] * powers[row].real[at : at + count]).sum()
            for (at, count), share in zip(first, shares, strict=True)
        ]
        wanted.append(0.15 * np.log(np.array(level) / length**2 / energy.max() + SOFT) + 1)
    third = length // 3
    own = np.square(frames[2, :length])
    wanted.append(0.15 * np.log([energy[0] / loudest[0] + SOFT]) + 1)
    wanted.append(0.15 * np.log([energy[0] / energy.max() + SOFT]) + 1)
    wanted.append(0.15 * np.log([energy[1] / loudest[1] + SOFT]) + 1)
    wanted.append(0.3 * np.log([own[:third].mean() / energy[0] + 1e-3]))
    wanted.append(0.3 * np.log([own[-third:].mean() / energy[0] + 1e-3]))
    # logarithms of levels are read from the bits of a number: 0.06 of a neper at most, times 0.15
    np.testing.assert_allclose(x, np.concatenate(wanted), atol=0.01)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_the_loudest_forgets_what_is_no_number(bad):
    frames = np.full((2, 64), bad, np.float32)
    powers, nsdf = np.zeros((2, 33), np.complex64), np.zeros((2, 20), np.float32)
    loudest = np.zeros(2, np.float32)
    first, shares = bands(100.0, 50, 60)
    x = np.zeros(2 * 2 + 2 * len(first) + LEVELS, np.float32)
    lags, rows = np.array([3.5, 7.0]), np.array([0, 1])
    look(frames, powers, nsdf, rows, 64, lags, first, shares, loudest, np.float32(1.0), x)
    assert not loudest.any()


def test_bands_meet_at_their_tops():
    """Each is 1 where its neighbours are 0, unless they are wider than their distance."""
    first, shares = bands(5.86, 60, 84)
    tops = 440 * 2 ** ((np.arange(120, 169) / 2 - 69) / 12) / 5.86
    for (at, count), share, top in zip(first, shares, tops, strict=True):
        assert at <= top <= at + count
        assert share[:count].min() > 0
        assert not share[count:].any()
        assert abs((np.arange(count) + at)[share[:count].argmax()] - top) <= 1


def test_chances_sum_to_one(rng):
    logits, chances = 30 * real(rng, 9), np.zeros(8)
    voiced = posterior(logits, chances)
    wanted = np.exp(logits[:8].astype(float) - logits[:8].max())
    np.testing.assert_allclose(chances, wanted / wanted.sum(), rtol=1e-5)
    assert voiced == pytest.approx(1 / (1 + np.exp(-float(logits[8]))))


RATE = 6000.0
TASTE = np.array([1.0, 0.4, 0.2, 0.05])


def place(midi):
    return RATE / (440 * 2 ** ((midi - 69) / 12))


def peaks_at(*heights):
    peaks = np.zeros((4, 4))
    for row, (midi, height) in zip(peaks, heights, strict=False):
        row[:] = place(midi), np.log2(place(midi)), height, height - 0.05 * np.log2(place(midi))
    return peaks


def test_advice_turns_the_order_of_peaks_that_are_in_doubt():
    chances = np.full(30, 0.001)
    chances[10] = 0.9
    for doubt, best in ((1.0, 0), (0.0, 1)):
        peaks = peaks_at((40.0, 0.6), (52.0, 0.8))
        advise(chances, 30.0, RATE, 20.0, 700.0, TASTE, doubt, peaks)
        assert peaks[:2, 3].argmax() == best
        assert (peaks[:2, 2] == [0.6, 0.8]).all()


def test_a_guess_is_added_where_there_is_no_peak_and_within_the_range():
    chances = np.full(30, 0.001)
    chances[14:17] = 0.2, 0.5, 0.1
    peaks = peaks_at((40.0, 0.6))
    advise(chances, 30.0, RATE, 20.0, 700.0, TASTE, 1.0, peaks)
    guess = peaks[peaks[:, 2] == 0.0][0]
    assert 69 + 12 * np.log2(RATE / guess[0] / 440) == pytest.approx(45 - 0.1 / 0.8)
    assert guess[1] == pytest.approx(np.log2(guess[0]))
    for low, high in ((200.0, 700.0), (20.0, 90.0)):
        peaks = peaks_at((40.0, 0.6))
        advise(chances, 30.0, RATE, low, high, TASTE, 1.0, peaks)
        told = RATE / peaks[1:, 0][peaks[1:, 0] > 0]
        assert ((told >= low) & (told <= high)).all()


def test_a_peak_is_not_guessed_again_and_the_worst_gives_way():
    chances = np.full(30, 1e-6)
    chances[10] = 0.9
    peaks = peaks_at((40.2, 0.6))
    advise(chances, 30.0, RATE, 20.0, 700.0, TASTE, 1.0, peaks)
    assert (peaks[:, 0] > 0).sum() <= 2  # the second guess may lie anywhere
    peaks = peaks_at((47.0, 0.6), (53.0, 0.5), (55.0, 0.15), (58.0, 0.5))
    advise(chances, 30.0, RATE, 20.0, 700.0, TASTE, 1.0, peaks)
    assert (np.abs(peaks[:, 0] - place(40.0)) < 1e-6 * place(40.0)).sum() == 1


def test_the_highest_peak_and_the_most_alike():
    assert highest(peaks_at((40.0, 0.6), (52.0, 0.8))) == 0.8
    assert highest(np.zeros((4, 4))) == 0.0
    d = np.cos(2 * np.pi * np.arange(100) / 30).astype(np.float32)
    lags = np.arange(80.0, 2.0, -1.0)
    assert most_alike(d, lags) == pytest.approx(1.0)
    assert most_alike(np.ones(100, np.float32), lags) == 0.0  # never left lag 0


def test_the_low_pass_is_a_butterworth_and_does_not_depend_on_blocks(rng):
    section, x = _section(250 / 6000), real(rng, 4096)
    told = {}
    for made in (8, 32):
        past, state = np.zeros((1, 2, 64), np.float32), np.zeros((1, 2))
        out = []
        for block in x.reshape(-1, made):
            past[0, 1, -made:] = block
            low_pass(past, 1, made, section, state)
            out.append(past[0, 1, -made:].copy())
        told[made] = np.concatenate(out)
        assert not past[0, 0].any()
    np.testing.assert_array_equal(told[8], told[32])
    b, a = section[:3], np.array([1.0, *section[3:]])
    for hertz, gain in ((0.0, 1.0), (250.0, 0.5**0.5), (2500.0, 0.0)):
        z = np.exp(-2j * np.pi * hertz / 6000 * np.arange(3))
        assert abs(b @ z) / abs(a @ z) == pytest.approx(gain, abs=2e-3)


def test_the_low_pass_forgets_what_is_no_number():
    past, state = np.full((1, 1, 16), np.nan, np.float32), np.zeros((1, 2))
    low_pass(past, 0, 8, _section(0.04), state)
    assert np.isfinite(past[0, 0, -8:]).all()
    assert np.isfinite(state).all()
