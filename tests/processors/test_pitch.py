"""Pitch of tones, glides and traps whose fundamental is known on paper."""

import numpy as np
import pytest

from stemd.processors.pitch import BASS, F0, Pitch
from stemd.spec import N_FEATURES, PITCH_RANGES_HZ, PROFILES, SOURCES

from .support import spec_of

RATES = [44100, 48000]
VOCALS = SOURCES.index("vocals")


def run(mono, profile="live", source="vocals", samplerate=48000, before=None, n_feeds=1):
    """(f0, voicing) of each hop, and the processor; `mono` is one source's audio."""
    spec = spec_of(profile, samplerate, n_feeds)
    pitch, index, m = Pitch(spec), SOURCES.index(source), spec.hop_length
    if before:
        before(pitch)
    mix, stems = np.zeros((n_feeds, 2, m), np.float32), np.zeros((n_feeds, 4, 2, m), np.float32)
    out = np.zeros((n_feeds, len(SOURCES), N_FEATURES), np.float32)
    told = []
    for k in range(len(mono) // m):
        hop = mono[k * m : (k + 1) * m]
        mix[:] = hop if index == 0 else 0.0
        if index:
            stems[:, index - 1] = hop
        pitch.process(mix, stems, out)
        told.append(out[-1, index, F0 : F0 + 2].copy())
    f0, voicing = np.array(told, np.float64).T
    return f0, voicing, pitch


def partials(hz, strengths, seconds=0.8, samplerate=48000, seed=0):
    """hz: a number, or an array of one a sample."""
    t = np.arange(int(seconds * samplerate)) / samplerate
    phase = 2 * np.pi * (np.cumsum(hz) / samplerate if np.ndim(hz) else hz * t)
    shifts = np.random.default_rng(seed).uniform(0, 6, len(strengths))
    return 0.2 * sum(a * np.sin((k + 1) * phase + shifts[k]) for k, a in enumerate(strengths))


def harmonics(n):
    return 1.0 / np.arange(1, n + 1)


def cents(f0, hz):
    return 1200 * np.abs(np.log2(np.maximum(f0, 1e-3) / hz))


def settled(values):
    return values[len(values) // 2 :]


@pytest.mark.parametrize("samplerate", RATES)
@pytest.mark.parametrize("n_partials", [1, 6])
@pytest.mark.parametrize("hz", [41.2, 61.7, 98.0, 196.0, 440.0, 987.77, 1174.66])
def test_a_steady_tone_is_told_within_half_a_cent(hz, n_partials, samplerate):
    audio = partials(hz, harmonics(n_partials), samplerate=samplerate)
    for source in ("mix", "vocals") if hz > 60 else ("mix",):
        f0, voicing, _ = run(audio, "live", source, samplerate)
        assert cents(settled(f0), hz).max() < 0.5
        assert voicing[-1] > 0.98


@pytest.mark.parametrize("samplerate", RATES)
@pytest.mark.parametrize("n_partials", [1, 6])
@pytest.mark.parametrize("hz", [30.0, 32.7, 41.2, 55.0, 73.4, 98.0, 196.0, 523.25])
def test_a_steady_bass_is_told_within_half_a_cent(hz, n_partials, samplerate):
    audio = partials(hz, harmonics(n_partials), samplerate=samplerate)
    f0, _, _ = run(audio, "live", "bass", samplerate)
    assert cents(settled(f0), hz).max() < 0.5


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("hz", [45.0, 220.0, 523.25])
def test_every_profile_tells_the_same(profile, hz):
    audio = partials(hz, harmonics(5))
    for source in ("mix", "bass"):
        assert cents(settled(run(audio, profile, source)[0]), hz).max() < 0.5


@pytest.mark.parametrize("hz", [55.0, 220.0, 660.0])
def test_noise_30_db_below_moves_a_steady_tone_by_less_than_a_cent(hz):
    noise = 0.0063 * np.random.default_rng(1).standard_normal(96000)
    audio = partials(hz, harmonics(4), 2.0) + noise
    for source in ("mix", "bass") if hz < 600 else ("mix",):
        assert cents(settled(run(audio, "live", source)[0]), hz).max() < 1.0


STRENGTHS = [
    (1, 3, 1),
    (0.2, 1, 1, 1),
    (1, 0.1, 2, 0.1, 1),
    (0, 1, 1, 1, 1),  # no fundamental at all
    (1, 0, 0.5, 0, 0.3),  # odd partials only
    (0.5, 1, 0.1, 0.8),
]


@pytest.mark.parametrize("strengths", STRENGTHS)
@pytest.mark.parametrize("hz", [82.41, 110.0, 196.0, 330.0])
def test_strong_partials_are_not_taken_for_the_fundamental(hz, strengths):
    f0, _, _ = run(partials(hz, strengths))
    assert cents(settled(f0), hz).max() < 5.0


@pytest.mark.parametrize("strengths", STRENGTHS)
@pytest.mark.parametrize("hz", [31.0, 41.2, 61.7, 98.0])
def test_a_bass_with_strong_partials_keeps_its_octave(hz, strengths):
    f0, _, _ = run(partials(hz, strengths), source="bass")
    assert cents(settled(f0), hz).max() < 5.0


def test_a_partial_that_swells_for_a_moment_does_not_move_the_octave():
    """Formants pass over partials: the second alone is nearly all of the tone for 40 ms."""
    t = np.arange(96000) / 48000
    swell = 1 + 6 * np.exp(-(((t % 0.5) - 0.25) ** 2) / (2 * 0.02**2))
    phase = 2 * np.pi * 150 * t
    audio = 0.05 * (np.sin(phase) + swell * np.sin(2 * phase + 1) + 0.5 * np.sin(3 * phase + 2))
    f0, _, _ = run(audio)
    assert cents(f0[40:], 150).max() < 20.0


@pytest.mark.parametrize("octaves_per_second", [-1.0, 0.5, 1.0])
def test_f0_follows_a_glide(octaves_per_second):
    t = np.arange(96000) / 48000
    hz = 300 * 2 ** (octaves_per_second * (t - 1))
    f0, _, pitch = run(partials(hz, harmonics(6), 2.0))
    at = (np.arange(len(f0)) + 1) * 256 - int(pitch.latencies[VOCALS])
    assert cents(f0[40:], hz[at[40:]]).max() < 15.0


def test_f0_follows_vibrato():
    t = np.arange(96000) / 48000
    hz = 440 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.5 * t))
    f0, _, pitch = run(partials(hz, harmonics(8), 2.0))
    at = (np.arange(len(f0)) + 1) * 256 - int(pitch.latencies[VOCALS])
    off = cents(f0[40:], hz[at[40:]])
    assert off.max() < 15.0  # of 100 from end to end


def test_a_step_of_a_semitone_is_followed_at_once():
    audio = np.concatenate([partials(220, harmonics(5)), partials(233.08, harmonics(5), seed=1)])
    f0, _, _ = run(audio)
    begun = 38400 // 256
    assert cents(f0[begun + 14 :], 233.08).max() < 3.0  # 57 ms are 11 hops


@pytest.mark.parametrize("profile", PROFILES)
def test_noise_and_silence_have_no_pitch(profile):
    noise = 0.2 * np.random.default_rng(0).standard_normal(96000)
    for source in ("mix", "vocals", "bass"):
        assert (run(noise, profile, source)[0] == 0.0).mean() > 0.98
        f0, voicing, _ = run(np.zeros(48000), profile, source)
        assert not f0.any()
        assert not voicing.any()


@pytest.mark.parametrize("source", ["vocals", "bass"])
def test_pitch_stops_when_the_tone_does(source):
    f0, _, _ = run(np.concatenate([partials(220, [1.0], 0.5), np.zeros(24000)]), source=source)
    assert f0[80] > 0
    window_hops = {"vocals": 12, "bass": 18}[source]
    assert (f0[24000 // 256 + window_hops :] == 0.0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_a_bad_sample_is_forgotten_with_the_window(bad):
    audio = partials(220, harmonics(4), 1.5)
    audio[24000] = bad
    for source in ("vocals", "bass"):
        f0, voicing, _ = run(audio, source=source)
        assert np.isfinite(f0).all()
        assert np.isfinite(voicing).all()
        assert cents(f0[24000 // 256 + 20 :], 220).max() < 1.0


def test_the_confidence_asked_for_is_kept_and_live():
    rng = np.random.default_rng(3)
    audio = partials(220, harmonics(4), 1.0) + 0.15 * rng.standard_normal(48000)
    asked = {}
    for wanted in (0.0, 0.7, 0.99):

        def ask(pitch, wanted=wanted):
            pitch.voiced[:, VOCALS] = wanted

        f0, voicing, _ = run(audio, before=ask)
        assert ((f0 > 0) == ((voicing >= np.float32(wanted)) & (voicing > 0)))[20:].all()
        asked[wanted] = (f0[20:] > 0).mean()
    assert asked[0.0] == 1.0
    assert asked[0.99] < 0.1


def test_a_range_is_kept_and_tells_the_octave():
    audio = partials(110, harmonics(6))
    f0, _, _ = run(audio, before=lambda pitch: pitch.set_range(VOCALS, 180.0, 1000.0))
    assert (f0 == 0).all() or settled(f0).min() > 150
    low, _, _ = run(audio, before=lambda pitch: pitch.set_range(VOCALS, 60.0, 80.0))
    assert cents(settled(low), 55).min() > 100  # below 60 Hz nothing is looked for
    one, _, _ = run(audio, before=lambda pitch: pitch.set_range(VOCALS, 100.0, 120.0))
    assert cents(settled(one), 110).max() < 1.0


def test_ranges_are_moved_into_what_the_window_allows():
    pitch = Pitch(spec_of("live", n_feeds=2))
    assert pitch.lowest_hz[0, BASS] == PITCH_RANGES_HZ["bass"][0]
    assert pitch.highest_hz[1, BASS] == PITCH_RANGES_HZ["bass"][1]
    for low, high in ((0.0, 1e9), (-5.0, 5.0), (5000.0, 20.0), (300.0, 300.0), (1e9, np.inf)):
        for source in range(len(SOURCES)):
            pitch.set_range(source, low, high)
            assert (pitch.lowest_hz[:, source] >= 29.0).all()
            assert (pitch.highest_hz[:, source] <= 1500.0).all()
            assert (pitch.highest_hz[:, source] >= 1.19 * pitch.lowest_hz[:, source]).all()
    before = pitch.lowest_hz.copy()
    pitch.set_range(0, np.nan, 300.0)
    np.testing.assert_array_equal(pitch.lowest_hz, before)
    pitch.set_range(1, 200.0, 400.0, feed=1)
    assert pitch.lowest_hz[0, 1] == before[0, 1]
    assert pitch.lowest_hz[1, 1] == 200.0


def test_any_range_is_safe_on_any_sound():
    """The widest and narrowest ranges neither read past the lags nor give a pitch outside."""
    rng = np.random.default_rng(5)
    sounds = [partials(hz, harmonics(3), 0.3) for hz in (20.0, 33.0, 700.0, 1400.0, 3000.0)]
    sounds.append(rng.standard_normal(14400))
    for low, high in ((0.0, 1e9), (1400.0, 1500.0), (29.0, 34.0)):
        for source in ("vocals", "bass"):
            index = SOURCES.index(source)

            def narrow(pitch, index=index, low=low, high=high):
                pitch.voiced[:] = 0.0
                pitch.set_range(index, low, high)

            for audio in sounds:
                f0, _, pitch = run(audio, source=source, before=narrow)
                told = f0[f0 > 0]
                # the peak's neighbours are read, so it may lie a lag outside
                assert (told > 0.9 * pitch.lowest_hz[0, index]).all()
                assert (told < 1.3 * pitch.highest_hz[0, index]).all()


def test_two_feeds_are_what_each_is_alone():
    spec, single = spec_of("live", n_feeds=2), spec_of("live")
    audio = [partials(110, harmonics(5)), partials(261.6, harmonics(3), seed=2)]
    both, alone = Pitch(spec), [Pitch(single), Pitch(single)]
    out = np.zeros((2, len(SOURCES), N_FEATURES), np.float32)
    one = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    for k in range(len(audio[0]) // 256):
        hops = [np.tile(a[k * 256 : (k + 1) * 256].astype(np.float32), (1, 2, 1)) for a in audio]
        stems = [np.tile(hop[:, None], (1, 4, 1, 1)) for hop in hops]
        both.process(np.concatenate(hops), np.concatenate(stems), out)
        for feed in range(2):
            alone[feed].process(hops[feed], stems[feed], one)
            # transforms in other SIMD lanes round differently
            np.testing.assert_allclose(out[feed], one[0], rtol=1e-4, atol=1e-4)
        if k == 79:  # after whole turns: whose turn it is begins anew with all feeds only
            both.reset(0)
            alone[0].reset()
    assert out[1, VOCALS, F0] > 0
