"""Tempo and beats of pulses whose grid is known."""

import math

import numpy as np
import pytest

from stemd.kernels.tempo import SPREAD, advance, deep_rise, gather, spread_evenly, standardise
from stemd.processors.meter import Meter
from stemd.processors.onset import Onset
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.processors.tempo import DEEP, TEMPO, Tempo, changes, circle
from stemd.spec import FEATURES, N_FEATURES, N_STEMS, PROFILES, SOURCES, StreamSpec

from .support import spec_of, stereo

BAND = FEATURES.index("band_1")


def grid(bpm, seconds, start=0.25):
    """Times of beats."""
    return np.arange(start, seconds, 60.0 / bpm)


class Heard:
    """Flux with pulses at `times`, through a Tempo; one value per hop."""

    def __init__(self, times, seconds, spec=None, tempo=None, before_hop=None, seed=0):
        spec = spec or spec_of("live")
        self.hop_s = spec.hop_s
        self.tempo = tempo or Tempo(spec)
        flux = pulses(times, seconds, spec, seed)
        out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
        rows = []
        for k, row in enumerate(flux):
            if before_hop:
                before_hop(k * spec.hop_s, self.tempo)
            self.tempo.process(row[None], out)
            rows.append(out[0, 0, TEMPO : TEMPO + 5].copy())
        self.bpm, self.confidence, self.beat, self.phase, self.count = np.array(rows).T

    @property
    def beats(self):
        """Seconds of the beats told, by the phase that is left over."""
        hops = np.flatnonzero(self.beat)
        return (hops + 1) * self.hop_s - self.phase[hops] * 60.0 / self.bpm[hops]


def pulses(times, seconds, spec, seed=0):
    """(hop, source) float32: quiet flutter, and what `Onset` makes of hits: 11 ms of rise."""
    n_hops = int(seconds / spec.hop_s)
    flux = np.random.default_rng(seed).uniform(0.0, 0.01, (n_hops, len(SOURCES)))
    ends = (np.arange(n_hops) + 1) * spec.hop_s
    for time in times:
        flux[(ends > time + 0.004) & (ends <= time + 0.017)] += 0.4
    return flux.astype(np.float32)


def off_grid(beats, bpm, start=0.25):
    """Signed distance of beats to the grid, seconds."""
    period = 60.0 / bpm
    return (beats - start + period / 2) % period - period / 2


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bpm", [75.0, 97.3, 120.0, 128.0, 174.0])
def test_pulses_are_beats_in_every_profile(profile, bpm):
    spec = spec_of(profile)
    tempo = Tempo(spec)
    if bpm > 140.0:
        tempo.set_range(0, 100.0, 200.0)  # what repeats every 345 ms is 87 bpm as well
    got = Heard(grid(bpm, 15.0), 15.0, spec, tempo)
    late = got.beats[got.beats > 6.0]
    assert got.bpm[-1] == pytest.approx(bpm, rel=0.01)
    assert np.abs(off_grid(late, bpm)).max() < 0.02
    assert len(late) == pytest.approx(9.0 * bpm / 60.0, abs=1.0)
    assert got.confidence[-1] > 0.7


@pytest.mark.parametrize("samplerate", [44100, 48000])
@pytest.mark.parametrize("kind", ["noise", "kick"])
def test_beats_of_audio_are_on_time(kind, samplerate):
    spec = spec_of("live", samplerate)
    rng = np.random.default_rng(3)
    audio = 1e-4 * rng.standard_normal(12 * samplerate)
    t = np.arange(samplerate // 8) / samplerate
    for time in grid(110.0, 11.5):
        if kind == "noise":
            hit = rng.standard_normal(len(t)) * np.exp(-t / 0.03)
        else:
            hit = np.sin(2 * np.pi * (50 * t - 3 * np.exp(-t / 0.02))) * np.exp(-t / 0.08)
        audio[round(time * samplerate) :][: len(t)] += 0.3 * hit
    audio = stereo(audio)[None]
    core, onset, meter, tempo = HopSeparator(spec), Onset(spec), Meter(spec), Tempo(spec)
    powers = Powers(spec)
    stems = np.zeros((1, N_STEMS, 2, 256), np.float32)
    mix = np.zeros((1, 2, 256), np.float32)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    beats = []
    for k in range(audio.shape[2] // 256):
        core.process(np.ascontiguousarray(audio[:, :, k * 256 : (k + 1) * 256]), stems, mix)
        powers.process(core.spectra, core.masked)
        onset.process(powers, core.frames, core.masked_frames, out)
        meter.process(mix, stems, powers, onset.flux, out)
        tempo.process(onset.flux, out)
        if out[0, 0, TEMPO + 2]:
            beats.append((k + 0.5) * spec.hop_s)
    late = np.array(beats)[np.array(beats) > 5.0]
    assert out[0, 0, TEMPO] == pytest.approx(110.0, rel=0.01)
    assert len(late) >= 11
    assert np.abs(off_grid(late, 110.0)).max() < 0.015


def test_lock_on_comes_within_a_few_beats():
    got = Heard(grid(120.0, 10.0), 10.0)
    known = np.flatnonzero(np.abs(got.bpm / 120.0 - 1.0) < 0.02)[0] * got.hop_s
    assert known < 4.0
    assert (got.bpm[: int(0.5 / got.hop_s)] == 0.0).all()  # nothing is claimed before two pulses


def test_phase_never_turns_back_and_each_beat_is_one():
    times = np.concatenate([grid(100.0, 12.0), grid(100.0, 26.0, 12.55), grid(133.0, 40.0, 26.2)])
    got = Heard(times, 40.0)
    known = got.bpm > 0.0
    travel = np.diff(got.count[known] + got.phase[known].astype(float))
    assert (travel >= 0.0).all()
    # at most half as fast again as the tempo says, rounded as single precision is
    assert (travel <= 1.51 * got.hop_s * got.bpm[known][1:] / 60.0 + 1e-4).all()
    np.testing.assert_array_equal(np.cumsum(got.beat), got.count)
    gaps = np.diff(got.beats)
    assert gaps.min() > 60.0 / 133.0 / 1.6
    assert gaps.max() < 60.0 / 100.0 * 2.0


def test_it_follows_a_grid_that_moves_by_half_a_beat():
    times = np.concatenate([grid(110.0, 12.0), grid(110.0, 30.0, 12.2)])
    got = Heard(times, 30.0)
    assert np.abs(off_grid(got.beats[got.beats > 24.0], 110.0, 12.2)).max() < 0.025


def test_it_follows_a_new_tempo():
    got = Heard(np.concatenate([grid(100.0, 12.0), grid(132.0, 32.0, 12.0)]), 32.0)
    assert got.bpm[int(11.0 / got.hop_s)] == pytest.approx(100.0, rel=0.01)
    assert got.bpm[-1] == pytest.approx(132.0, rel=0.01)
    assert np.abs(off_grid(got.beats[got.beats > 26.0], 132.0, 12.0)).max() < 0.025


def test_a_break_holds_tempo_and_beats_and_confidence_fades():
    times = grid(120.0, 40.0)
    times = times[(times < 14.0) | (times > 23.0)]
    got = Heard(times, 30.0)
    inside = slice(int(14.0 / got.hop_s), int(23.0 / got.hop_s))
    np.testing.assert_allclose(got.bpm[inside], 120.0, rtol=0.01)
    beats = got.beats[(got.beats > 14.0) & (got.beats < 23.0)]
    assert len(beats) == 18
    assert np.abs(off_grid(beats, 120.0)).max() < 0.04
    assert got.confidence[inside][-1] < 0.75 * got.confidence[inside][0]
    assert got.confidence[-1] > 0.9


def test_a_minute_of_silence_ends_it():
    times = grid(120.0, 10.0)
    got = Heard(times, 130.0)
    silent = StreamSpec(48000, 2048, 256)
    flux = np.zeros((1, len(SOURCES)), np.float32)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    for _ in range(int(90.0 / silent.hop_s)):
        got.tempo.process(flux, out)
    assert out[0, 0, TEMPO] == 0.0
    assert not out[0, 0, TEMPO + 2 : TEMPO + 4].any()


def test_silence_has_no_tempo():
    spec = spec_of("live")
    tempo = Tempo(spec)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    for _ in range(2000):
        tempo.process(np.zeros((1, len(SOURCES)), np.float32), out)
        assert not out.any() or out[0, 0, TEMPO + 1] < 0.05
        assert out[0, 0, TEMPO] == out[0, 0, TEMPO + 4] == 0.0


def test_what_is_no_number_is_no_news():
    spec = spec_of("live")
    flux = pulses(grid(120.0, 12.0), 12.0, spec)
    flux[::97] = np.nan
    flux[50::101] = np.inf
    tempo, out = Tempo(spec), np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    for k, row in enumerate(flux):
        out[0, 0, BAND] = np.nan if k % 89 == 0 else 0.0
        tempo.process(row[None], out)
        out[0, 0, BAND] = 0.0
        assert np.isfinite(out).all()
    assert out[0, 0, TEMPO] == pytest.approx(120.0, rel=0.01)


def test_the_range_decides_between_octaves():
    tempo = Tempo(spec_of("live"))
    tempo.set_range(0, 140.0, 200.0)
    assert Heard(grid(80.0, 12.0), 12.0, tempo=tempo).bpm[-1] == pytest.approx(160.0, rel=0.01)

    def widen(time_s, tempo):
        tempo.set_range(0, 60.0, 100.0) if time_s > 6.0 else tempo.set_range(0, 140.0, 200.0)

    got = Heard(grid(80.0, 20.0), 20.0, before_hop=widen)
    assert got.bpm[int(5.9 / got.hop_s)] == pytest.approx(160.0, rel=0.01)
    assert got.bpm[-1] == pytest.approx(80.0, rel=0.01)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e9), (300.0, 20.0), (90.0, 90.0)])
def test_a_range_that_makes_no_sense_is_clamped(low, high):
    tempo = Tempo(spec_of("live"))
    tempo.set_range(0, low, high)
    got = Heard(grid(120.0, 4.0), 4.0, tempo=tempo)
    assert np.isfinite(got.bpm).all()
    assert ((got.bpm == 0.0) | ((got.bpm > 39.0) & (got.bpm < 245.0))).all()


def test_lock_keeps_the_tempo_and_follows_the_phase():
    def lock(time_s, tempo):
        tempo.lock[0] = 8.0 < time_s < 28.0

    times = np.concatenate([grid(100.0, 16.0), grid(132.0, 22.0, 16.0), grid(100.0, 28.0, 22.4)])
    times = np.concatenate([times, grid(132.0, 44.0, 28.0)])
    got = Heard(times, 44.0, before_hop=lock)
    locked = slice(int(8.1 / got.hop_s), int(27.9 / got.hop_s))
    assert np.ptp(got.bpm[locked]) == 0.0
    assert got.bpm[locked][0] == pytest.approx(100.0, rel=0.01)
    end = got.beats[(got.beats > 26.5) & (got.beats < 28.0)]
    assert np.abs(off_grid(end, 100.0, 22.4)).max() < 0.04
    assert got.bpm[-1] == pytest.approx(132.0, rel=0.01)


def test_lock_outlives_a_past_that_is_forgotten():
    """As of a sender that was away for a moment."""
    gone = []

    def lock(time_s, tempo):
        tempo.lock[0] = time_s > 8.0
        if time_s > 12.0 and not gone:
            gone.append(time_s)
            tempo.reset(0)

    got = Heard(np.concatenate([grid(100.0, 12.0), grid(132.0, 40.0, 12.0)]), 40.0, before_hop=lock)
    told = got.bpm[int(12.1 / got.hop_s) :]
    assert ((told == 0.0) | (np.abs(told - 100.0) < 4.0)).all()


def tapped(times, seconds=12.0, **options):
    """Silence with taps."""
    left = list(times)

    def tap(time_s, tempo):
        if left and time_s >= left[0]:
            tempo.tap(0, time_s - left.pop(0))

    return Heard([], seconds, before_hop=tap, **options)


def test_four_taps_set_tempo_and_phase():
    got = tapped([3.0, 3.51, 3.99, 4.5])
    assert (got.bpm[: int(4.4 / got.hop_s)] == 0.0).all()
    np.testing.assert_allclose(got.bpm[int(4.6 / got.hop_s) :], 120.3, rtol=0.01)
    beats = got.beats[(got.beats > 4.7) & (got.beats < 8.0)]
    assert len(beats) == 7
    assert np.abs(off_grid(beats, 120.24, 4.5)).max() < 0.04


def test_three_taps_are_none_and_a_pause_begins_anew():
    assert (tapped([3.0, 3.5, 4.0]).bpm == 0.0).all()
    assert (tapped([1.0, 1.5, 4.5, 5.0, 5.5], 6.5).bpm == 0.0).all()


def test_taps_outside_the_range_are_moved_by_octaves():
    assert tapped([2.0, 3.2, 4.4, 5.6]).bpm[-1] == pytest.approx(100.0, rel=0.02)
    assert tapped([2.0, 2.25, 2.5, 2.75]).bpm[-1] == pytest.approx(120.0, rel=0.02)


def test_taps_correct_a_tempo_that_was_found():
    tempo = Tempo(spec_of("live"))
    tempo.lock[0] = 1
    times = np.concatenate([grid(90.0, 10.0)])

    left = [10.0, 10.4, 10.8, 11.2, 11.6]

    def tap(time_s, tempo):
        if left and time_s >= left[0]:
            tempo.tap(0, time_s - left.pop(0))

    got = Heard(times, 16.0, tempo=tempo, before_hop=tap)
    assert got.bpm[int(9.9 / got.hop_s)] == pytest.approx(90.0, rel=0.01)
    assert got.bpm[-1] == pytest.approx(150.0, rel=0.01)
    late = got.beats[got.beats > 14.0]
    assert np.abs(off_grid(late, 150.0, 10.0)).max() < 0.04
    gaps = np.diff(got.beats)
    assert gaps.min() > 0.4 / 1.6


def test_profiles_agree_on_tempo_and_beats():
    rng = np.random.default_rng(5)
    times = grid(104.0, 16.0)
    times = times[rng.random(len(times)) < 0.8]
    runs = [Heard(times, 16.0, spec_of(p, r)) for p in PROFILES for r in (44100, 48000)]
    wanted = runs[0].beats[runs[0].beats > 6.0]
    for got in runs[1:]:
        assert got.bpm[-1] == pytest.approx(runs[0].bpm[-1], rel=0.003)
        beats = got.beats[got.beats > 6.0 - 0.02][: len(wanted)]
        np.testing.assert_allclose(beats, wanted[: len(beats)], atol=0.015)


def test_two_feeds_are_two_trackers_and_reset_forgets_one():
    one, two = spec_of("live"), spec_of("live", n_feeds=2)
    a, b = pulses(grid(100.0, 8.0), 8.0, one, 1), pulses(grid(140.0, 8.0), 8.0, one, 2)
    together, alone = Tempo(two), [Tempo(one), Tempo(one)]
    out = np.zeros((2, len(SOURCES), N_FEATURES), np.float32)
    outs = [np.zeros((1, len(SOURCES), N_FEATURES), np.float32) for _ in range(2)]
    levels = np.random.default_rng(0).uniform(0, 0.1, (len(a), 2, len(DEEP)))
    for k in range(len(a)):
        out[:, 0, BAND : BAND + len(DEEP)] = levels[k]
        together.process(np.stack([a[k], b[k]]), out)
        for feed, row in enumerate((a[k], b[k])):
            outs[feed][0, 0, BAND : BAND + len(DEEP)] = levels[k, feed]
            alone[feed].process(row[None], outs[feed])
            np.testing.assert_array_equal(out[feed], outs[feed][0])
    assert out[0, 0, TEMPO] > 0.0
    together.reset(1)
    together.process(np.stack([a[-1], b[-1]]), out)
    alone[0].process(a[-1:], outs[0])
    np.testing.assert_array_equal(out[0, 0, TEMPO:], outs[0][0, 0, TEMPO:])
    assert out[1, 0, TEMPO] == out[1, 0, TEMPO + 4] == 0.0


def test_reset_begins_anew_to_the_bit():
    tempo = Tempo(spec_of("live"))
    first = Heard(grid(123.0, 6.0), 6.0, tempo=tempo)
    tempo.tap(0, 0.1)
    tempo.reset()
    second = Heard(grid(123.0, 6.0), 6.0, tempo=tempo)
    for name in ("bpm", "confidence", "beat", "phase", "count"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


# ------------------------------------------------------------------------------------------- twins


@pytest.mark.parametrize("hop_length", [128, 256, 441, 512, 1100])
def test_frames_are_means_of_the_flux_that_fell_into_them(hop_length):
    rng = np.random.default_rng(0)
    flux = rng.random((60, 2, 3)).astype(np.float32)
    weights, rise = np.array([1.0, 0.5, 0.25], np.float32), rng.random((60, 2))
    sums, frames, done = np.zeros(2), np.zeros((hop_length // 441 + 1, 2)), np.zeros(1, np.int64)
    fill, got = 0, []
    for k in range(60):
        fill = gather(flux[k], weights, rise[k], hop_length, 441, fill, sums, frames, done)
        got += [row.copy() for row in frames[: done[0]]]
    samples = np.repeat(flux @ weights + rise, hop_length, axis=0)
    whole = len(samples) // 441
    wanted = samples[: whole * 441].reshape(whole, 441, 2).mean(axis=1)
    assert fill == len(samples) % 441
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_deep_rise_is_the_rise_over_the_two_oldest_hops():
    rng = np.random.default_rng(1)
    levels = rng.random((40, 2, 5, N_FEATURES)).astype(np.float32) ** 4
    past, weights = np.zeros((3, 2, 2), np.float32), np.array([0.7, 0.2], np.float32)
    rise = np.zeros(2)
    padded = np.concatenate([np.zeros((3, 2, 2)), levels[:, :, 0, 4:6]])
    for k in range(40):
        deep_rise(levels[k], 4, past, k % 3, weights, np.float32(1e-3), rise)
        before = np.maximum(padded[k], padded[k + 1])
        wanted = np.maximum(np.log((padded[k + 3] + 1e-3) / (before + 1e-3)), 0.0) @ weights
        np.testing.assert_allclose(rise, wanted, rtol=1e-4, atol=1e-6)


def test_standardised_novelty_is_centred_and_scaled():
    rng = np.random.default_rng(2)
    values, stats = rng.gamma(2.0, 0.1, 3000), np.zeros(5)
    got = [standardise(v, stats, 1 / 400, 0.03) for v in values]
    mean, deviation = values.mean(), values.std()
    wanted = np.clip((values - mean) / (deviation + 0.03), -1.0, 3.0)
    np.testing.assert_allclose(got[1500:], wanted[1500:], atol=0.35)
    assert np.corrcoef(got[1500:], wanted[1500:])[0, 1] > 0.99


def twin(novelty, activity, shortest, longest, change, prior, strength):
    """The filter with one belief per period and place, moved on by hand."""
    periods = range(shortest, longest + 1)
    n = len(periods)
    belief = {p: np.full(p, 1.0 / (p * n)) for p in periods}
    for x in novelty:
        leaving = {p: belief[p][-1] for p in periods}
        lost = strength[2] + 0.1 * (1 - activity)
        total = sum(leaving.values())
        for i, p in enumerate(periods):
            entry = sum(
                leaving[q] * change[j, i - j + SPREAD]
                for j, q in enumerate(periods)
                if abs(i - j) <= SPREAD
            )
            seconds = p / strength[3]
            entry = (1 - lost) * entry + lost * total / n
            belief[p] = np.concatenate(
                [[entry * math.exp(prior[i] * seconds * activity)], belief[p][:-1]]
            )
            gain = strength[0] * seconds * x * np.array([0.5, 1, 1, 1, 0.5])
            belief[p][:5] *= np.exp(gain)
            half = (np.arange(5) + p // 2) % p
            belief[p][half] *= np.exp(strength[1] * gain)
        total = sum(b.sum() for b in belief.values())
        belief = {p: b / total for p, b in belief.items()}
    return np.concatenate([np.roll(belief[p], -(len(novelty) - 1) % p) for p in periods]), belief


def test_the_filter_equals_its_twin():
    shortest, longest, frames = 12, 30, 400
    periods = np.arange(shortest, longest + 1)
    offsets = np.concatenate([[0], np.cumsum(periods)]).astype(np.int64)
    rng = np.random.default_rng(4)
    novelty = rng.uniform(-1.0, 1.0, frames)
    novelty[::19] += 2.0
    prior = -0.1 * np.abs(periods - 20.0)
    strength = np.array([0.8, 0.3, 0.01, 100.0])
    posterior, heard = np.zeros(offsets[-1], np.float32), np.zeros(3)
    bounds, scratch = np.array([shortest, longest]), np.zeros((3, len(periods)))
    spread_evenly(posterior, shortest, shortest, longest, offsets)
    for t, x in enumerate(novelty):
        advance(
            x, 0.7, posterior, shortest, bounds, offsets, t, changes(periods), prior,
            circle(periods), strength, scratch, heard,
        )  # fmt: skip
    slots, belief = twin(novelty, 0.7, shortest, longest, changes(periods), prior, strength)
    # single precision over 400 products
    np.testing.assert_allclose(posterior, slots, rtol=2e-3, atol=1e-7)
    mass = np.array([belief[p].sum() for p in periods])
    best = int(np.argmax(np.convolve(mass, np.ones(3), "same")))
    near = range(max(best - 3, 0), min(best + 4, len(periods)))
    assert periods[best] in (18, 19, 20)
    assert heard[0] == pytest.approx(
        sum(mass[i] * periods[i] for i in near) / sum(mass[i] for i in near), rel=1e-3
    )
    z = sum(
        belief[periods[i]] @ np.exp(2j * np.pi * np.arange(periods[i]) / periods[i]) for i in near
    )
    assert heard[1] == pytest.approx(np.angle(z) / (2 * np.pi) % 1.0, abs=1e-3)
    assert heard[2] == pytest.approx(abs(z), rel=1e-3)
