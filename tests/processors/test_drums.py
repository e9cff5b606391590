"""Drum hits of kits whose every stroke is known."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from stemd.processors.drums import Drums
from stemd.processors.odds import Odds
from stemd.processors.onset import SEAM_MS
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.spec import DRUMS, FEATURES, N_FEATURES, PROFILES, SOURCES, StreamSpec

from .support import FixedMasks, spec_of, stereo

RATE = 48000
ROW = SOURCES.index("drums")
COLUMNS = [FEATURES.index(name) for name in DRUMS]
KICK, SNARE, HIHAT = range(3)
TOLERANCE_S = 0.05
DATA = Path(__file__).parents[1] / "data"


class Kit:
    """Three synthesised drums, each (n,), peak 1."""

    def __init__(self, pitch=1.0, length=1.0, rate=RATE, seed=0):
        rng = np.random.default_rng(seed)
        t = np.arange(int(0.5 * rate)) / rate
        noise = rng.standard_normal((3, len(t)))
        bright = np.diff(noise, prepend=0.0)  # 6 dB per octave
        sweep = 2 * np.pi * np.cumsum(pitch * (50 + 170 * np.exp(-t / 0.02))) / rate
        kick = np.sin(sweep) * np.exp(-t / (0.15 * length))
        kick += 0.15 * noise[0] * np.exp(-t / 0.002)
        snare = 0.4 * np.sin(2 * np.pi * 230 * pitch * t) * np.exp(-t / (0.035 * length))
        snare += 0.4 * bright[1] * np.exp(-t / (0.11 * length))
        hihat = np.diff(bright[2], prepend=0.0) * np.exp(-t / (0.03 * length))
        self.drums = [d / np.abs(d).max() for d in (kick, snare, hihat)]
        self.drums[HIHAT] *= 0.3  # as it is in a mix
        self.rate = rate

    def play(self, strokes, seconds):
        """(n,) of strokes (seconds, drum, gain)."""
        audio = np.zeros(int(seconds * self.rate))
        for at, drum, gain in strokes:
            start = round(at * self.rate)
            piece = self.drums[drum][: len(audio) - start]
            audio[start : start + len(piece)] += 0.5 * gain * piece
        return audio


def rock(bpm=110, bars=4, lead_s=0.5):
    """Eighths on the hi-hat, kick on 1, 2+ and 3, snare on 2 and 4: (strokes, seconds)."""
    step = 30 / bpm
    strokes = []
    for bar in range(bars):
        for i in range(8):
            at = lead_s + (bar * 8 + i) * step
            strokes.append((at, HIHAT, 1.0))
            if i in (0, 3, 4):
                strokes.append((at, KICK, 1.0))
            if i in (2, 6):
                strokes.append((at, SNARE, 1.0))
    return strokes, lead_s + bars * 8 * step


def hits_of(audio, spec, stem="drums", before_hop=None):
    """Velocities (hop, 3) of audio (c, n); all of it is one stem."""
    separator = HopSeparator(spec, FixedMasks.one(spec, stem))
    drums, powers, odds = Drums(spec), Powers(spec), Odds(spec)
    stems = np.zeros((1, 4, 2, spec.hop_length), np.float32)
    mix = np.zeros((1, 2, spec.hop_length), np.float32)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    found = []
    for hop in range(audio.shape[1] // spec.hop_length):
        if before_hop:
            before_hop(hop, separator, drums, odds)
        piece = audio[None, :, hop * spec.hop_length : (hop + 1) * spec.hop_length]
        separator.process(np.ascontiguousarray(piece, np.float32), stems, mix)
        odds.process(powers.process(separator.spectra, separator.masked))
        drums.listen(powers)
        drums.process(odds, out)
        found.append(out[0, ROW, COLUMNS].copy())
        out[0, ROW, COLUMNS] = 0.0
        assert not out.any()  # no other column, no other row
    return np.array(found)


def matched(found, truth, tolerance=TOLERANCE_S):
    """Pairs of two rising lists of times, each used once, in order, no farther apart than this."""
    i = j = pairs = 0
    while i < len(found) and j < len(truth):
        apart = found[i] - truth[j]
        if abs(apart) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif apart < 0:
            i += 1
        else:
            j += 1
    return pairs


def f1_of(found, strokes, drum, spec):
    """F-measure of one class at 50 ms."""
    hops = np.flatnonzero(found[:, drum])
    got = ((hops + 1) * spec.hop_length - Drums(spec).latency) / spec.samplerate
    truth = sorted(at for at, which, _ in strokes if which == drum)
    return 2 * matched(got, truth) / max(len(got) + len(truth), 1)


@pytest.fixture(params=PROFILES)
def profile(request):
    return request.param


@pytest.fixture(params=["tight", "live"])
def quick(request):
    """Profiles whose hops are short enough to tell dry drums apart."""
    return request.param


def test_matching_counts_each_hit_once():
    assert matched([1.0, 1.02], [1.01]) == 1
    assert matched([1.0, 2.0, 3.0], [1.04, 2.06, 2.99]) == 2
    assert matched([], [1.0]) == 0


@pytest.mark.parametrize("samplerate", [44100, 48000])
@pytest.mark.parametrize("pitch", [0.85, 1.0, 1.2])
def test_every_stroke_of_a_synthesised_kit_is_heard_as_what_it_is(quick, samplerate, pitch):
    spec = spec_of(quick, samplerate)
    strokes, seconds = rock()
    audio = Kit(pitch, rate=samplerate).play(strokes, seconds)
    found = hits_of(stereo(audio), spec)
    scores = [f1_of(found, strokes, drum, spec) for drum in range(3)]
    assert min(scores[:2]) >= 0.9, scores
    assert scores[HIHAT] >= 0.75, scores  # a loud kick's click is taken for one now and then


@pytest.mark.parametrize("profile", ["quality", "classic"])
def test_long_hops_hear_kicks_and_hihats_and_miss_some_dry_snares(profile):
    spec = spec_of(profile)
    strokes, seconds = rock()
    found = hits_of(stereo(Kit().play(strokes, seconds)), spec)
    assert f1_of(found, strokes, KICK, spec) >= 0.7
    assert f1_of(found, strokes, HIHAT, spec) >= 0.8


@pytest.mark.parametrize("other", [KICK, SNARE])
def test_two_at_once_are_two_hits(quick, other):
    spec = spec_of(quick)
    at = 0.5 + 0.4 * np.arange(8)
    strokes = [(t, drum, 1.0) for t in at for drum in (HIHAT, other)]
    found = hits_of(stereo(Kit().play(strokes, 4.0)), spec)
    assert f1_of(found, strokes, HIHAT, spec) >= 0.9
    assert f1_of(found, strokes, other, spec) >= 0.9


def test_a_hit_is_declared_soon_and_once(quick):
    spec = spec_of(quick)
    strokes = [(0.5 + 0.41 * k, KICK, 1.0) for k in range(10)]
    found = hits_of(stereo(Kit().play(strokes, 5.0)), spec)
    hops = np.flatnonzero(found[:, KICK])
    late = (hops + 1) * spec.hop_length / spec.samplerate - [at for at, _, _ in strokes]
    assert (late > 0).all()
    # from likely to declared, and a hop until there is something to hear
    assert late.max() <= (Drums(spec).latency + 2 * spec.hop_length) / spec.samplerate


def test_a_track_may_be_as_soft_as_it_likes(quick):
    spec = spec_of(quick)
    strokes, seconds = rock()
    audio = stereo(Kit().play(strokes, seconds))
    loud, soft = hits_of(audio, spec), hits_of(np.float32(10**-1.5) * audio, spec)
    np.testing.assert_array_equal(loud[:, :HIHAT] > 0, soft[:, :HIHAT] > 0)
    assert abs((loud[:, HIHAT] > 0).sum() - (soft[:, HIHAT] > 0).sum()) <= 6  # the knee is near
    late = len(loud) // 2  # by then the scale has found the track's own loudness
    np.testing.assert_allclose(soft[late:, :HIHAT], loud[late:, :HIHAT], atol=0.35)


@pytest.mark.parametrize("drum", [KICK, SNARE])
def test_hard_hits_are_near_one_and_ghost_notes_below_a_third(drum):
    spec = spec_of("live")
    ghost = 10 ** (-15.0 / 20)
    strokes = [(0.5 + 0.3 * k, drum, ghost if k % 4 == 2 else 1.0) for k in range(24)]
    found = hits_of(stereo(Kit().play(strokes, 8.0)), spec)
    hops = np.flatnonzero(found[:, drum])
    at = ((hops + 1) * spec.hop_length / spec.samplerate - 0.5) / 0.3
    soft = np.round(at - 0.03).astype(int) % 4 == 2
    velocity = found[hops, drum]
    assert (~soft).sum() == 18
    assert np.median(velocity[~soft]) > 0.9
    assert np.median(velocity[soft]) < 0.3  # the first ones still set the scale
    assert velocity[soft].max() < 0.5


def test_kicks_and_hihats_of_a_recorded_loop():
    """Read off its spectrogram; what cannot be told by eye is not asked for."""
    audio, _ = sf.read(DATA / "heldout_drums.ogg", dtype="float32")
    spec = spec_of("live")
    found = hits_of(np.ascontiguousarray(audio.T), spec)
    got = [
        (np.flatnonzero(found[:, k]) + 1) * spec.hop_s - Drums(spec).latency / RATE for k in (0, 2)
    ]
    kicks = [0.70, 2.395, 2.88, 3.12]
    assert matched(got[0], kicks) == len(kicks)
    for first, last in ((0.78, 1.85), (1.95, 2.33), (3.41, 4.27)):  # hi-hat alone
        assert not ((got[0] > first) & (got[0] < last)).any()
    hihats = 0.815 + 0.1207 * np.arange(31)
    assert matched(got[1], hihats) >= 27


def test_other_stems_have_no_hits(profile):
    spec = spec_of(profile)
    strokes, seconds = rock(bars=2)
    assert not hits_of(stereo(Kit().play(strokes, seconds)), spec, "vocals").any()


def test_silence_has_no_hits_nor_has_what_is_next_to_it(profile):
    spec = spec_of(profile)
    rng = np.random.default_rng(0)
    assert not hits_of(np.zeros((2, 48000), np.float32), spec).any()
    assert not hits_of(1e-6 * rng.standard_normal((2, 48000)), spec).any()


@pytest.mark.parametrize("gain", [0.01, 0.3, 3.0])
def test_steady_noise_has_no_hits_after_its_beginning(profile, gain):
    spec = spec_of(profile)
    noise = gain * np.random.default_rng(1).standard_normal((2, 6 * RATE))
    late = hits_of(noise, spec)[int(0.2 * RATE) // spec.hop_length :]
    assert (late > 0).sum() <= 1  # of all three, in six seconds


@pytest.mark.parametrize("hz", [55.0, 220.0, 3000.0])
def test_a_steady_tone_has_no_hits_after_its_beginning(profile, hz):
    spec = spec_of(profile)
    t = np.arange(3 * RATE) / RATE
    tone = 0.4 * np.sin(2 * np.pi * hz * t) * np.minimum(1.0, t / 0.05)
    assert not hits_of(stereo(tone), spec)[int(0.3 * RATE) // spec.hop_length :].any()


def test_numbers_that_are_none_are_no_hits_and_are_forgotten(profile):
    spec = spec_of(profile)
    strokes, seconds = rock()
    audio = stereo(Kit().play(strokes, seconds))

    def spoil(hop, separator, drums, odds):
        """Once, straight into the spectra the next call would see."""
        if hop == 20:
            bad = np.full_like(separator.spectra, np.nan)
            masked = np.full_like(separator.masked, np.inf)
            out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
            powers = Powers(spec).process(bad, masked)
            odds.process(powers)
            drums.listen(powers)
            drums.process(odds, out)
            assert not out.any()

    clean, spoiled = hits_of(audio, spec), hits_of(audio, spec, before_hop=spoil)
    late = 20 + int(0.2 * RATE) // spec.hop_length
    np.testing.assert_array_equal(clean[late:] > 0, spoiled[late:] > 0)


def test_nothing_is_declared_around_a_seam(profile):
    spec = spec_of(profile)
    strokes = [(0.5 + 0.4 * k, KICK, 1.0) for k in range(6)]
    audio = stereo(Kit().play(strokes, 3.2))
    at = int((0.5 + 0.4 * 3) * RATE) // spec.hop_length

    def seam(hop, separator, drums, odds):
        if hop == at:
            drums.mute(0)

    with_seam, without = hits_of(audio, spec, before_hop=seam), hits_of(audio, spec)
    missed = slice(at, at + -(-spec.samples(SEAM_MS) // spec.hop_length))
    assert without[missed, KICK].any()
    assert not with_seam[missed].any()
    late = at + int(0.3 * RATE) // spec.hop_length
    np.testing.assert_array_equal(with_seam[late:] > 0, without[late:] > 0)


def test_two_feeds_are_two_runs():
    spec, one = spec_of("live", n_feeds=2), spec_of("live")
    strokes, seconds = rock(bars=2)
    tracks = [Kit(p, seed=s).play(strokes, seconds) for s, p in enumerate((0.9, 1.2))]
    tracks[1] = np.roll(tracks[1], 5000)
    both = HopSeparator(spec, FixedMasks.one(spec, "drums"))
    drums, powers, odds = Drums(spec), Powers(spec), Odds(spec)
    drums.threshold[1] = 2.0
    stems, mix = np.zeros((2, 4, 2, 256), np.float32), np.zeros((2, 2, 256), np.float32)
    out = np.zeros((2, len(SOURCES), N_FEATURES), np.float32)
    rows = []
    for hop in range(len(tracks[0]) // 256):
        cut = slice(hop * 256, (hop + 1) * 256)
        audio = np.stack([stereo(track[cut]) for track in tracks])
        both.process(audio, stems, mix)
        odds.process(powers.process(both.spectra, both.masked))
        drums.listen(powers)
        drums.process(odds, out)
        rows.append(out[:, ROW][:, COLUMNS])

    def threshold(hop, separator, drums, odds):
        drums.threshold[0] = 2.0

    rows = np.array(rows)
    assert rows.any(axis=(0, 2)).all()
    # transforms in other SIMD lanes round differently
    np.testing.assert_allclose(rows[:, 0], hits_of(stereo(tracks[0]), one), atol=1e-4)
    wanted = hits_of(stereo(tracks[1]), one, before_hop=threshold)
    np.testing.assert_allclose(rows[:, 1], wanted, atol=1e-4)


def test_reset_restores_all_state_to_the_bit(profile):
    spec = spec_of(profile)
    strokes, seconds = rock(bars=1)
    audio = stereo(Kit().play(strokes, seconds))
    hops = audio.shape[1] // spec.hop_length
    twice = np.concatenate([audio[:, : hops * spec.hop_length]] * 2, axis=1)

    def again(hop, separator, drums, odds):
        if hop == hops:
            drums.mute(0)
            separator.reset()
            drums.reset()
            odds.reset()

    found = hits_of(twice, spec, before_hop=again)
    assert found[:hops].any()
    np.testing.assert_array_equal(found[:hops], found[hops:])


def test_a_higher_threshold_hears_less_a_lower_one_more():
    spec = spec_of("live")
    strokes, seconds = rock()
    rng = np.random.default_rng(5)
    audio = stereo(Kit().play(strokes, seconds))
    audio += 0.004 * rng.standard_normal(audio.shape)

    def counts(factor):
        def ask(hop, separator, drums, odds):
            drums.threshold[0, SNARE] = factor

        return (hits_of(audio, spec, before_hop=ask) > 0).sum(axis=0)

    strict, plain, eager = counts(1e4), counts(1.0), counts(0.1)
    assert strict[SNARE] < plain[SNARE] <= eager[SNARE]
    assert strict[KICK] == plain[KICK] == eager[KICK]


def test_a_hop_allocates_no_arrays():
    spec = spec_of("live")
    drums, powers, odds = Drums(spec), Powers(spec), Odds(spec)
    separator = HopSeparator(spec, FixedMasks.one(spec, "drums"))
    rng = np.random.default_rng(3)
    stems, mix = np.zeros((1, 4, 2, 256), np.float32), np.zeros((1, 2, 256), np.float32)
    separator.process(rng.standard_normal((1, 2, 256)).astype(np.float32), stems, mix)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)

    def run(hops):
        for _ in range(hops):
            odds.process(powers.process(separator.spectra, separator.masked))
            drums.listen(powers)
            drums.process(odds, out)

    run(50)
    gc.collect()
    tracemalloc.start()
    try:
        run(8)
        tracemalloc.reset_peak()
        held, _ = tracemalloc.get_traced_memory()
        run(50)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - held < 4096
    assert after - held < 1024


def test_every_shape_has_a_net():
    for name in PROFILES:
        assert spec_of(name).nearest_profile == name
    assert StreamSpec(48000, 2048, 300, "asymmetric").nearest_profile == "live"
    Drums(StreamSpec(48000, 4096, 1024, "asymmetric"))
