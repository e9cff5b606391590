"""Levels, loudness and spectral shape of signals whose answers are known on paper."""

import numpy as np
import pytest

from stemd.kernels.window import window_pair
from stemd.processors.meter import Meter, k_weighting, octave_edges
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.spec import BAND_EDGES_HZ, FEATURES, N_FEATURES, N_STEMS, PROFILES, SOURCES, STEMS

from .support import FixedMasks, db, spec_of, stereo

BANDS = [f"band_{i + 1}" for i in range(8)]


@pytest.fixture(params=PROFILES)
def profile(request):
    return request.param


class Metered:
    """Audio (c, n), or several feeds (b, c, n), through a separator and a meter."""

    def __init__(self, audio, spec, model=None, flux=None):
        audio = np.asarray(audio, np.float32).reshape(spec.n_feeds, 2, -1)
        hop_length = spec.hop_length
        self.separator = core = HopSeparator(spec, model)
        self.meter, powers = Meter(spec), Powers(spec)
        stems = np.zeros((spec.n_feeds, N_STEMS, 2, hop_length), np.float32)
        mix = np.zeros((spec.n_feeds, 2, hop_length), np.float32)
        out = np.zeros((spec.n_feeds, len(SOURCES), N_FEATURES), np.float32)
        flux = np.zeros(out.shape[:2], np.float32) if flux is None else flux
        rows, self.windowed = [], []
        for k in range(audio.shape[2] // hop_length):
            piece = np.ascontiguousarray(audio[:, :, k * hop_length : (k + 1) * hop_length])
            core.process(piece, stems, mix)
            powers.process(core.spectra, core.masked)
            self.meter.process(mix, stems, powers, flux, out)
            rows.append(out.copy())
            self.windowed.append((core.frames[0].copy(), core.masked_frames[0].copy()))
        self.rows = np.array(rows)

    def __call__(self, name, source="mix", feed=0):
        return self.rows[:, feed, SOURCES.index(source), FEATURES.index(name)]


def sine(hz, seconds=1.0, samplerate=48000, height=1.0):
    return height * np.sin(2 * np.pi * hz * np.arange(int(seconds * samplerate)) / samplerate)


def noise(seconds=1.0, height=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return height * rng.standard_normal((2, int(48000 * seconds)))


def test_the_filters_at_48_khz_are_the_standards_tables():
    table = (1.53512485958697, -2.69169618940638, 1.19839281085285)
    table += (-1.69065929318241, 0.73248077421585, -1.99004745483398, 0.99007225036621)
    np.testing.assert_allclose(k_weighting(48000), table, atol=1e-11)


@pytest.mark.parametrize("samplerate", [44100, 48000, 96000])
def test_a_full_scale_sine_in_one_channel_is_minus_3_lufs(profile, samplerate):
    """BS.1770-4, annex 1: 997 Hz, 0 dBFS, in one channel reads -3.01 LKFS."""
    audio = np.zeros((2, samplerate))
    audio[0] = sine(997, 1.0, samplerate)
    got = Metered(audio, spec_of(profile, samplerate))
    assert got("lufs")[-1] == pytest.approx(-3.01, abs=0.02)
    both = Metered(stereo(sine(997, 1.0, samplerate, 0.1)), spec_of(profile, samplerate))
    assert both("lufs")[-1] == pytest.approx(-20.0, abs=0.02)  # EBU Tech 3341's tone, both


@pytest.mark.parametrize("hz", [40.0, 100.0, 500.0, 4000.0, 12000.0])
@pytest.mark.parametrize("samplerate", [44100, 48000])
def test_loudness_follows_the_weighting_curve(hz, samplerate):
    """The curve is that of the filters at 48 kHz, whatever the rate."""
    b0, b1, b2, a1, a2, c1, c2 = k_weighting(48000)
    z = np.exp(-2j * np.pi * hz / 48000)
    shelf = (b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)
    weight = abs(shelf * (1 - z) ** 2 / (1 + c1 * z + c2 * z * z))
    got = Metered(stereo(sine(hz, 1.5, samplerate, 0.25)), spec_of("live", samplerate))
    # the bilinear transforms of two rates part company towards half the rate
    assert got("lufs")[-1] == pytest.approx(-0.691 + db(0.25 * weight), abs=0.1)


def test_loudness_of_a_stem_is_that_of_its_audio():
    spec = spec_of("live")
    got = Metered(noise(), spec, FixedMasks.one(spec, "bass"))
    # what vocals keep is rounding
    assert got("lufs", "bass")[-1] == pytest.approx(got("lufs", "mix")[-1], abs=0.01)
    assert got("lufs", "vocals")[-1] < -100


def test_loudness_forgets_after_400_ms_and_ends_at_its_floor():
    spec = spec_of("live")
    audio = np.concatenate([stereo(sine(997)), np.zeros((2, 48000))], axis=1)
    lufs = Metered(audio, spec)("lufs")
    end = 48000 // 256 + 1  # audio is one hop late
    half = lufs[end + 37]  # of 75 hops in 400 ms
    assert half == pytest.approx(-3.01, abs=0.2)
    assert lufs[end + 74] > -25
    assert lufs[end + 90] < -100
    assert lufs[-1] == -120.0


def test_rms_and_peak_are_of_the_hop(profile):
    got = Metered(stereo(sine(1500, 0.5, height=0.5)), spec_of(profile))
    assert got("rms")[-1] == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
    assert got("peak")[-1] == pytest.approx(0.5, rel=1e-3)


def test_crest_of_sine_square_and_a_lone_click(profile):
    spec = spec_of(profile)
    tone = sine(1000)
    assert Metered(stereo(tone), spec)("crest_db")[-1] == pytest.approx(3.01, abs=0.03)
    assert Metered(stereo(0.3 * np.sign(tone + 1e-9)), spec)("crest_db")[-1] < 0.1
    click = np.zeros(48000)
    click[40000] = 0.5
    n_past = round(0.4 * 48000 / spec.hop_length)
    wanted = 10 * np.log10(n_past * spec.hop_length)
    assert Metered(stereo(click), spec)("crest_db")[-1] == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("source", SOURCES)
def test_the_squares_of_the_bands_add_up_to_the_windowed_power(profile, source):
    """Parseval, so exact up to rounding: for the mix, masked stems and what they leave."""
    spec = spec_of(profile)
    got = Metered(noise(0.3), spec, FixedMasks.random(spec))
    window, _ = window_pair(spec.n_fft, spec.hop_length)
    frames, masked = got.windowed[-1]
    if source == "mix":
        frame = frames
    elif source == "other":
        frame = frames - masked.sum(axis=0)
    else:
        frame = masked[STEMS.index(source)]
    energy = np.sum(window.astype(np.float64) ** 2)
    wanted = np.sum(frame.astype(np.float64) ** 2) / (2 * energy)
    total = sum(got(band, source)[-1] ** 2 for band in BANDS)
    assert total == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("band", range(8))
def test_a_sine_is_in_its_band_with_its_rms(profile, band):
    edges = [*BAND_EDGES_HZ, 24000.0]
    hz = np.sqrt(max(edges[band], 30.0) * edges[band + 1])
    got = Metered(stereo(sine(hz, 0.3, height=0.5)), spec_of(profile))
    levels = np.array([got(name)[-1] for name in BANDS])
    assert levels.argmax() == band
    # the window weighs some periods more than others; the lowest band is one bin wide in classic
    tolerance = 0.5 if band < 2 else 0.1
    assert levels[band] == pytest.approx(0.5 / np.sqrt(2), rel=tolerance)
    far = np.delete(levels, [b for b in (band - 1, band, band + 1) if 0 <= b < 8])
    if band >= 2:
        assert far.max() < 0.05 * levels[band]


def test_the_edges_of_the_bands(profile):
    spec = spec_of(profile)
    edges = octave_edges(spec)
    assert edges[0] == 0
    assert edges[-1] == spec.n_bins
    assert (np.diff(edges) > 0).all()
    assert np.abs(edges[:-1] * spec.samplerate / spec.n_fft - BAND_EDGES_HZ).max() < 24


@pytest.mark.parametrize("hz", [300.0, 2000.0, 9000.0])
def test_centroid_of_a_sine_and_of_white_noise(hz):
    spec = spec_of("live")
    got = Metered(stereo(sine(hz, 0.3, height=0.5)), spec)
    # magnitudes of sidelobes reach all the way up
    assert got("centroid_hz")[-1] == pytest.approx(hz, rel=0.2)
    centroid = Metered(noise(1.0), spec)("centroid_hz")[40:]
    assert centroid.mean() == pytest.approx(12000, rel=0.01)


def test_centroid_is_the_twins(profile):
    spec = spec_of(profile)
    got = Metered(noise(0.2, seed=3) + sine(440, 0.2), spec, FixedMasks.random(spec))
    core = got.separator
    rest = core.spectra - core.masked.sum(axis=1)
    hz = np.arange(spec.n_bins) * spec.samplerate / spec.n_fft
    for source in SOURCES:
        x = core.spectra[0] if source == "mix" else rest[0]
        if source in STEMS[:3]:
            x = core.masked[0, STEMS.index(source)]
        magnitude = np.sqrt((np.abs(x) ** 2).sum(axis=0))
        wanted = (hz * magnitude).sum() / magnitude.sum()
        assert got("centroid_hz", source)[-1] == pytest.approx(wanted, rel=2e-3)


def test_width_of_mono_side_one_channel_and_strangers():
    spec = spec_of("live")
    mono = noise(1.0)[0]

    def width(left, right):
        return Metered(np.stack([left, right]), spec)("width")[-1]

    assert width(mono, mono) == pytest.approx(0.0, abs=1e-3)
    assert width(mono, -mono) == pytest.approx(1.0, abs=1e-3)
    assert width(mono, 0 * mono) == pytest.approx(0.5, abs=1e-3)
    assert Metered(noise(1.0), spec)("width")[40:].mean() == pytest.approx(0.5, abs=0.02)
    assert width(1.1 * mono, 0.9 * mono) == pytest.approx(0.1 / 1.1, abs=1e-3)


def test_flux_is_handed_on():
    flux = np.arange(5, dtype=np.float32)[None] / 10
    got = Metered(noise(0.1), spec_of("live"), flux=flux)
    np.testing.assert_array_equal(got.rows[-1, 0, :, FEATURES.index("flux")], flux[0])


def test_silence_is_the_floor_and_zero(profile):
    got = Metered(np.zeros((2, 48000)), spec_of(profile))
    silent = np.delete(got.rows, FEATURES.index("lufs"), axis=-1)
    assert (silent == 0.0).all()
    assert (got("lufs") == -120.0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_what_is_no_audio_is_forgotten(bad):
    """The ring of filters would hold it for ever."""
    spec = spec_of("live")
    meter = Meter(spec)
    stems, mix = np.zeros((1, 4, 2, 256), np.float32), np.zeros((1, 2, 256), np.float32)
    powers = Powers(spec)
    flux, out = np.zeros((1, 5), np.float32), np.zeros((1, 5, N_FEATURES), np.float32)
    tone = sine(997)[: 187 * 256].astype(np.float32).reshape(-1, 1, 256)
    for k in range(187):
        mix[0] = tone[k]
        if k == 20:
            mix[0, 0, 7] = bad
        meter.process(mix, stems, powers, flux, out)
        assert np.isfinite(out[0, 0, FEATURES.index("lufs")])
        assert np.isfinite(out[0, 0, FEATURES.index("crest_db")])
    assert out[0, 0, FEATURES.index("lufs")] == pytest.approx(0.0, abs=0.02)


def test_two_feeds_are_two_meters_and_reset_forgets_one(profile):
    one, two = spec_of(profile), spec_of(profile, n_feeds=2)
    a, b = noise(0.6, 0.2, 1), noise(0.6, 0.01, 2)
    together = Metered(np.stack([a, b]), two)
    np.testing.assert_array_equal(together.rows[:, :1], Metered(a, one).rows)
    np.testing.assert_array_equal(together.rows[:, 1:], Metered(b, one).rows)
    before = together.meter._energies_feeds[:, 0].copy()
    together.meter.reset(1)
    np.testing.assert_array_equal(together.meter._energies_feeds[:, 0], before)
    assert not together.meter._energies_feeds[:, 1].any()
    assert not together.meter._state[1].any()


@pytest.mark.parametrize("samplerate", [44100, 48000])
def test_loudness_and_crest_do_not_depend_on_the_hop(samplerate):
    audio = noise(2.0, 0.2, 5)[:, : 2 * samplerate]
    readings = [
        Metered(audio, spec_of(profile, samplerate))("lufs")[-1] for profile in ("tight", "quality")
    ]
    assert readings[0] == pytest.approx(readings[1], abs=0.1)
