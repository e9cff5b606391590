"""Each step of pitch beside its slow twin."""

import itertools
import math

import numpy as np
import pytest

from stemd.kernels.nsdf import (
    centre,
    crest,
    decimate,
    find_peaks,
    follow,
    normalise,
    refine,
    sharpen,
    tell_pitch,
)

from .. import reference

C, S = 2, 4


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_decimation_equals_the_twin_over_many_hops(rng):
    hops, hop_length, most = 6, 16, 12
    reaches = np.array([12, 6, 6, 12, 6], np.int64)
    factors = np.array([4, 2, 2, 8, 4], np.int64)
    taps = np.zeros((5, most), np.float32)
    for source, reach in enumerate(reaches):
        half = rng.random(reach // 2).astype(np.float32)
        taps[source, :reach] = np.concatenate([half, half[::-1]])
    mix, stems = real(rng, hops, 1, C, hop_length), real(rng, hops, 1, S, C, hop_length)
    tail = np.zeros((1, 5, most + hop_length), np.float32)
    past = np.zeros((1, 5, hops * hop_length), np.float32)
    for h in range(hops):
        decimate(mix[h], stems[h], taps, reaches, factors, tail, past)
    for i in range(5):
        audio = mix[:, 0] if i == 0 else stems[:, 0, i - 1]
        mono = np.concatenate([a.mean(axis=0) for a in audio])
        wanted = reference.decimate(mono, taps[i, : reaches[i]], factors[i])
        np.testing.assert_allclose(past[0, i, -len(wanted) :], wanted, atol=1e-5)
        assert not past[0, i, : -len(wanted)].any()


def nsdf_of(x, n_padded, longest, lengths, lags=None):
    """Rows x (rows, n) through the kernels."""
    rows = len(x)
    frames = np.zeros((rows, n_padded), np.float32)
    sources = np.arange(len(lengths))
    centre(x.reshape(-1, len(lengths), x.shape[1]), sources, lengths, frames)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames)) ** 2).astype(np.float32)
    d = np.full((rows, longest + 2), 7.0, np.float32)
    lags = np.tile(np.array([10, longest], np.int64), (rows, 1)) if lags is None else lags
    normalise(frames, correlation, lengths, lags, 1e-8, d)
    return d


def test_nsdf_equals_the_twin_in_rows_of_two_lengths(rng):
    longest = 300
    x, lengths = real(rng, 4, 700) + np.float32(0.3), np.array([600, 700], np.int64)
    d = nsdf_of(x, 1024, longest, lengths)
    for row in range(4):
        newest = x[row, 700 - lengths[row % 2] :].astype(np.float64)
        wanted = reference.nsdf(newest - newest.mean(), longest + 2)
        np.testing.assert_allclose(d[row], wanted, atol=5e-5)  # float32 sums of 600 samples


@pytest.mark.parametrize("value", [0.0, 1e-5, np.nan, np.inf])
def test_what_is_quiet_or_no_number_has_no_nsdf_and_no_peaks(value):
    x = np.full((1, 600), value, np.float32)
    d = nsdf_of(x, 1024, 300, np.array([600], np.int64))
    assert d[0, 0] == 0.0
    peaks = np.ones((1, 3, 4))
    lags = np.array([[10, 300]], np.int64)
    find_peaks(d, lags, np.zeros((1, 2), np.float32), 0.1, peaks)
    assert (peaks == 0.0).all()


def test_parabola_finds_its_own_top():
    n = np.arange(5)
    d = (1.0 - 0.1 * (n - 2.3) ** 2).astype(np.float32)
    assert refine(d, 2) == pytest.approx(2.3, abs=1e-5)
    assert crest(d, 2) == pytest.approx(1.0, abs=1e-6)


def bumpy(rng, n_lags, row=0):
    """A curve with many peaks that leaves lag 0 as an NSDF does."""
    d = 0.6 * np.cos(np.arange(n_lags) * (0.31 + 0.05 * row)) + 0.2 * real(rng, n_lags)
    d[0] = 1.0
    return d.astype(np.float32)


def test_the_best_peaks_are_found_and_those_before_the_first_zero_are_none(rng):
    d = np.stack([bumpy(rng, 202, row) for row in range(3)])
    lags = np.array([[5, 200], [30, 120], [1, 60]], np.int64)
    cost = np.array([[0.05, 0.0], [0.0, 0.25], [0.1, 0.1]], np.float32)
    peaks = np.zeros((3, 4, 4))
    find_peaks(d, lags, cost, 0.1, peaks)
    for row in range(3):
        low, high = lags[row]
        zero = next(lag for lag in range(1, high + 2) if not d[row, lag] > 0 or lag > high)
        inside = range(max(zero, low), high + 1)
        top = min(max(float(d[row, n]) for n in inside), 1.0)
        octave = cost[row, 0] + cost[row, 1] * (1 - top)
        wanted = []
        for n in inside:
            if d[row, n] > 0.1 and d[row, n] >= d[row, n - 1] and d[row, n] > d[row, n + 1]:
                place, height = refine(d[row], n), crest(d[row], n)
                wanted.append((height - octave * math.log2(place), place, height))
        wanted = sorted(wanted)[-4:]
        got = sorted((score, place, height) for place, _, height, score in peaks[row] if place)
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)  # float32 heights
        np.testing.assert_allclose(peaks[row, :, 1], np.log2(peaks[row, :, 0]))


def test_the_path_is_the_cheapest_of_all(rng):
    """Against all 3**7 paths, one after another."""
    weight, keep, jump, most, n_frames = 0.8, 0.9, 0.5, 10.0, 7
    places = rng.uniform(3, 9, (n_frames, 3))
    scores = rng.uniform(0, 1, (n_frames, 3))
    paths, chosen = np.zeros((1, 3, 2)), np.zeros(1, np.int64)
    for t in range(n_frames):
        peaks = np.stack([2.0 ** places[t], places[t], scores[t], scores[t]], -1)[None].copy()
        follow(peaks, weight, keep, jump, most, paths, chosen)

    def cost(path):
        total = 0.0
        for t, i in enumerate(path):
            if t:
                total = keep * total + jump * min(abs(places[t, i] - places[t - 1, path[t - 1]]), 1)
            total -= weight * scores[t, i]
        return total

    best = min(itertools.product(range(3), repeat=n_frames), key=cost)
    assert chosen[0] == best[-1]


def test_a_path_ends_where_there_is_no_peak_and_begins_again(rng):
    paths, chosen = np.zeros((1, 2, 2)), np.zeros(1, np.int64)
    peak = np.array([[[64.0, 6.0, 0.9, 0.9], [0.0, 0.0, 0.0, 0.0]]])
    follow(peak.copy(), 1.0, 0.9, 0.5, 0.8, paths, chosen)
    assert chosen[0] == 0
    follow(np.zeros((1, 2, 4)), 1.0, 0.9, 0.5, 0.8, paths, chosen)
    assert chosen[0] == -1
    assert not paths[:, :, 0].any()


def test_a_short_wrong_octave_does_not_break_the_path():
    """Two frames in which the octave's peak is somewhat higher; ten in which it is much higher."""
    paths, chosen, told = np.zeros((1, 2, 2)), np.zeros(1, np.int64), []
    for t in range(40):
        octave = 0.95 if 10 <= t < 12 or t >= 30 else 0.5
        peaks = np.array([[[128.0, 7.0, 0.8, 0.8], [64.0, 6.0, octave, octave]]])
        follow(peaks, 1.0, 0.9, 0.5, 0.8, paths, chosen)
        told.append(int(chosen[0]))
    assert told[:30] == [0] * 30
    assert told[-1] == 1


def test_the_period_is_read_at_its_largest_multiple():
    n = np.arange(130)
    d = np.cos(2 * np.pi * n / 10.3).astype(np.float32)
    assert abs(sharpen(d, refine(d, 10), 1.0, 120.0) - 10.3) < 3e-3
    assert abs(refine(d, 10) - 10.3) > 5e-3
    broken = d.copy()
    broken[28:] *= 0.1  # the third period no longer repeats: the second is the last that counts
    assert sharpen(broken, refine(d, 10), 1.0, 120.0) == pytest.approx(refine(d, 21) / 2)


def test_steady_tones_are_averaged_and_moves_are_not():
    rate, out = np.array([1000.0]), np.zeros((1, 1, 2), np.float32)
    steady, voiced = np.zeros(1), np.full((1, 1), 0.7, np.float32)
    lags, chosen = np.array([[5, 40]], np.int64), np.zeros(1, np.int64)
    d, told, source = np.zeros((1, 64), np.float32), np.array([-1.0]), np.zeros(1, np.int64)

    def tell(period, height=0.9):
        peaks = np.array([[[period, math.log2(period), height, 0.0]]])
        tell_pitch(d, peaks, chosen, lags, source, rate, voiced, told, 0.1, 8 / 1200, steady, out)
        return out[0, 0].tolist()

    assert tell(20.0)[0] == pytest.approx(50.0)
    one_cent = 2 ** (1 / 1200)
    assert tell(20.0 / one_cent)[0] == pytest.approx(50.0 * one_cent**0.1, rel=1e-6)
    assert tell(20.0 / 1.1)[0] == pytest.approx(55.0)
    f0, voicing = tell(20.0, 0.4)
    assert f0 == 0.0
    assert voicing == pytest.approx(math.sqrt(0.4))
    assert tell(20.0 / one_cent)[0] == pytest.approx(50.0 * one_cent, rel=1e-6)  # a new average
    chosen[0] = -1
    assert tell(20.0) == [0.0, 0.0]
