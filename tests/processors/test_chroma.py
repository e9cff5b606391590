"""Chroma and chords of tones and triads."""

import numpy as np
import pytest

from stemd.kernels.chroma import choose_chord, fold_peaks, likeness
from stemd.processors.chroma import CHORD, CHROMA, Chroma
from stemd.processors.powers import Powers
from stemd.processors.stft import Analysis
from stemd.spec import N_FEATURES, PITCH_CLASSES, PROFILES, SOURCES

from .support import spec_of

OTHER, DRUMS, BASS = (SOURCES.index(name) for name in ("other", "drums", "bass"))
SHAPES = {"major": (0, 4, 7), "minor": (0, 3, 7)}


def hertz(pitch):
    return 440 * 2 ** ((pitch - 69) / 12)


def sound(pitches, seconds=1.0, partials=6, samplerate=48000, seed=0):
    """Notes of decaying partials together, (n,)."""
    rng, t = np.random.default_rng(seed), np.arange(int(seconds * samplerate)) / samplerate
    audio = np.zeros(len(t))
    for pitch in pitches:
        for k in range(1, partials + 1):
            audio += np.sin(2 * np.pi * hertz(pitch) * k * t + rng.uniform(0, 6)) / k
    return 0.1 * audio


def run(audio, profile="live", source=OTHER, samplerate=48000, chroma=None):
    """Rows (hop, 13) of chroma and chord; all of the audio is one source's."""
    spec = spec_of(profile, samplerate)
    analysis, powers, chroma = Analysis(spec), Powers(spec), chroma or Chroma(spec)
    masked = np.zeros((1, 3, *analysis.spectra.shape[1:]), np.complex64)
    out = np.full((1, len(SOURCES), N_FEATURES), 9.0, np.float32)
    rows, m = [], spec.hop_length
    for k in range(len(audio) // m):
        hop = np.tile(audio[k * m : (k + 1) * m].astype(np.float32), (1, 2, 1))
        analysis.process(hop)
        if source in (1, 2, 3):
            masked[:, source - 1] = analysis.spectra
        chroma.process(powers.process(analysis.spectra, masked), out)
        rows.append(np.append(out[0, source, CHROMA : CHROMA + 12], out[0, source, CHORD]))
    return np.array(rows)


def chord_of(root, kind):
    return 1 + root + (12 if kind == "minor" else 0)


@pytest.mark.parametrize("samplerate", [44100, 48000])
@pytest.mark.parametrize("pitch", range(48, 84))
def test_a_tone_is_its_pitch_class(pitch, samplerate):
    row = run(sound([pitch], 0.4, 3, samplerate), samplerate=samplerate)[-1]
    assert np.argmax(row[:12]) == pitch % 12
    assert row[pitch % 12] == 1.0
    assert np.sort(row[:12])[-2] < 0.5  # the third partial is the fifth
    assert row[12] == 0  # one note is no chord


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("root", range(12))
def test_triads_in_any_inversion_are_told(root, kind):
    for inversion in range(3):
        pitches = [root + p + (60 if i >= inversion else 72) for i, p in enumerate(SHAPES[kind])]
        rows = run(sound(pitches, seed=root))
        assert rows[-1, 12] == chord_of(root, kind)
        classes = {(root + p) % 12 for p in SHAPES[kind]}
        assert set(np.argsort(rows[-1, :12])[-3:]) == classes
        assert rows[-1, :12].max() == 1.0


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("source", [0, 1, BASS, OTHER])
def test_every_source_and_profile_tells_the_chord(profile, source):
    octave = 12 if profile == "classic" else 0  # whose bins are twice as wide
    rows = run(sound(np.array([57, 60, 64, 69]) + octave), profile, source)
    assert rows[-1, 12] == chord_of(9, "minor")


def test_the_drums_row_stays_zero():
    assert not run(sound([60, 64, 67]), source=DRUMS).any()


def test_chords_follow_each_other_once_and_in_time():
    progression = [(0, "major"), (9, "minor"), (5, "major"), (7, "major")]
    audio = [sound([55 + (r - 7) % 12 + p for p in SHAPES[k]], 1.0) for r, k in progression]
    told = run(np.concatenate(audio))[:, 12]
    changes = np.flatnonzero(np.diff(told)) + 1
    named = [int(told[k]) for k in changes if told[k]]
    assert named == [chord_of(r, k) for r, k in progression]
    starts = np.array([k for k in changes if told[k]]) * 256 / 48000 - np.arange(4)
    assert (starts > 0).all()
    assert starts.max() < 0.47


def test_a_passing_note_does_not_change_the_chord():
    audio = np.concatenate([sound([60, 64, 67], 2.0)])
    audio[48000 : 48000 + 7200] += 0.5 * sound([69], 0.15)
    told = run(audio)[100:, 12]
    assert (told == chord_of(0, "major")).all()


def test_noise_and_clusters_are_no_chord():
    rng = np.random.default_rng(0)
    assert (run(0.2 * rng.standard_normal(96000))[60:, 12] > 0).mean() < 0.05
    assert not run(sound(range(60, 72), 2.0, 2))[100:, 12].any()


def test_silence_is_zero_at_once_and_forgotten():
    audio = np.concatenate([sound([60, 64, 67], 1.0), np.zeros(96000), sound([62], 0.3, 2)])
    rows = run(audio)
    assert not rows[48000 // 256 + 9 : 144000 // 256].any()  # a frame is eight hops
    assert np.argmax(rows[-1, :12]) == 2
    assert not run(np.zeros(9600)).any()
    assert not run(1e-5 * sound([60], 0.3)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_frame_leaves_no_trace(bad):
    spec = spec_of("live")
    chroma, out = Chroma(spec), np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    spectra = np.zeros((1, 2, spec.n_bins), np.complex64)
    masked = np.zeros((1, 3, 2, spec.n_bins), np.complex64)
    spectra[..., 10:60] = bad
    for _ in range(2):  # every second one is looked at
        chroma.process(Powers(spec).process(spectra, masked), out)
    assert np.isfinite(out).all()
    rows = run(sound([60, 64, 67], 0.5), chroma=chroma)
    np.testing.assert_array_equal(rows, run(sound([60, 64, 67], 0.5)))


def test_reset_and_feeds():
    spec = spec_of("live", n_feeds=2)
    both, powers, analysis = Chroma(spec), Powers(spec), Analysis(spec)
    singles = [Chroma(spec_of("live")) for _ in range(2)]
    power = Powers(spec_of("live"))
    audio = [sound([60, 64, 67], 0.8), sound([57, 60, 64], 0.8)]
    masked = np.zeros((2, 3, 2, spec.n_bins), np.complex64)
    out = np.zeros((2, len(SOURCES), N_FEATURES), np.float32)
    one = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    for k in range(len(audio[0]) // 256):
        hop = np.stack([np.tile(a[k * 256 : (k + 1) * 256], (2, 1)) for a in audio])
        spectra = analysis.process(hop.astype(np.float32))
        both.process(powers.process(spectra, masked), out)
        for feed in range(2):
            power.process(spectra[feed : feed + 1].copy(), masked[:1])
            singles[feed].process(power, one)
            np.testing.assert_array_equal(out[feed], one[0])
        if k == 71:  # after whole turns: whose turn it is begins anew with all feeds only
            both.reset(1)
            singles[1].reset()
    assert out[:, OTHER, CHORD].tolist() == [chord_of(0, "major"), chord_of(9, "minor")]
    both.reset()
    fresh = Chroma(spec)
    again = out.copy()
    both.process(powers, out)
    fresh.process(powers, again)
    np.testing.assert_array_equal(out, again)


def test_peaks_equal_the_twin():
    rng = np.random.default_rng(2)
    powers, sums = rng.random(80).astype(np.float32) ** 6, rng.random(12)
    first, bin_hz, keep = 4, 23.4375, 0.9
    wanted = keep * sums
    for f in range(1, 79):
        left, here, right = (float(p) for p in powers[f - 1 : f + 2])
        if here > 1e-4 * powers[1:-1].max() and here >= left and here > right:
            a, c = (np.log(max(p / here, 1e-9)) for p in (left, right))
            hz = (first + f + 0.5 * (a - c) / (a + c)) * bin_hz
            pitch = 69 + 12 * np.log2(hz / 440)
            nearest = round(pitch)
            share = 1 - (2 * (pitch - nearest)) ** 2
            wanted[nearest % 12] += (1 - keep) * np.sqrt(here) * share
    assert fold_peaks(powers, first, bin_hz, keep, sums) == powers[1:-1].max()
    np.testing.assert_allclose(sums, wanted, rtol=1e-4)


def test_likeness_is_the_cosine_with_the_triad():
    rng = np.random.default_rng(3)
    for chord in range(1, 25):
        strengths = rng.random(12)
        strengths /= strengths.max()
        shape = SHAPES["major" if chord <= 12 else "minor"]
        triad = np.zeros(12)
        triad[[((chord - 1) + p) % 12 for p in shape]] = 1
        wanted = strengths @ triad / np.linalg.norm(strengths) / np.sqrt(3)
        wanted = 0.0 if strengths[triad > 0].min() < 0.25 else wanted
        norm = np.sqrt(3 * strengths @ strengths)
        assert likeness(strengths, chord, norm) == pytest.approx(wanted)


def test_a_chord_holds_against_a_slightly_better_and_a_short_rival():
    def triad(*classes):
        strengths = np.full(12, 0.05)
        strengths[list(classes)] = 1.0
        return strengths

    state = np.zeros(3, np.int64)
    assert [choose_chord(triad(0, 4, 7), state, 3) for _ in range(4)] == [0, 0, 1, 1]
    near = triad(0, 4, 7)  # c major, with enough of an a to be a minor as well
    near[9] = 1.02
    assert all(choose_chord(near, state, 3) == 1 for _ in range(9))
    told = [choose_chord(triad(9, 0, 4), state, 3) for _ in range(2)]
    told += [choose_chord(triad(0, 4, 7), state, 3) for _ in range(3)]
    assert told == [1] * 5
    assert [choose_chord(triad(9, 0, 4), state, 3) for _ in range(3)][-1] == 22
    assert PITCH_CLASSES[22 - 13] == "a"
