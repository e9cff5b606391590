"""Level and onsets of signals whose answers are known on paper."""

import numpy as np
import pytest

from stemd.processors.onset import SEAM_MS, band_edges, leakage
from stemd.spec import DRUMS, FEATURES, PROFILES, SOURCES

from .support import FixedMasks, Run, spec_of, stereo

RATES = [44100, 48000]


@pytest.fixture(params=PROFILES)
def profile(request):
    return request.param


def run(mono, profile, stem="vocals", samplerate=48000, **kwargs):
    spec = spec_of(profile, samplerate)
    return Run(stereo(mono), spec, FixedMasks.one(spec, stem), **kwargs)


def tone(hz, seconds, samplerate=48000, partials=1, seed=0):
    phases = np.random.default_rng(seed).uniform(0, 6, partials)
    t = np.arange(int(seconds * samplerate)) / samplerate
    h = [np.sin(2 * np.pi * hz * (k + 1) * t + phases[k]) / (k + 1) for k in range(partials)]
    return 0.3 * np.sum(h, axis=0) * np.minimum(1.0, t / 0.05)


def clicks(positions, length, height=0.5):
    audio = np.zeros(length)
    audio[positions] = height
    return audio


def test_columns_and_rows_are_the_specs(profile):
    result = run(tone(440, 0.5), profile, "bass")
    assert result.features.shape[1:] == (len(SOURCES), len(FEATURES))
    assert result.feature("f0_hz", "bass")[-1] > 0
    assert result.feature("f0_hz", "mix")[-1] > 0
    assert (result.feature("rms", "vocals") < 1e-6).all()


def test_level_of_a_sine(profile):
    t = np.arange(48000) / 48000
    result = run(0.5 * np.sin(2 * np.pi * 1500 * t), profile)  # whole periods in each hop
    assert result.feature("rms")[-1] == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
    assert result.feature("peak")[-1] == pytest.approx(0.5, rel=1e-3)
    assert result.feature("rms", "vocals")[-1] == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)


def test_level_of_a_step_on_one_channel(profile):
    spec = spec_of(profile)
    audio = np.zeros((2, 48000), np.float32)
    audio[1] = -0.25
    result = Run(audio, spec, None)
    assert result.feature("rms")[-1] == pytest.approx(0.25 / np.sqrt(2), rel=1e-6)
    assert result.feature("peak", "other")[-1] == 0.25


@pytest.mark.parametrize("samplerate", RATES)
@pytest.mark.parametrize("stem", ["vocals", "other"])
def test_onsets_of_a_click_train_are_exactly_the_clicks(profile, stem, samplerate):
    positions = np.arange(4410, 3 * samplerate - 3000, 10007)
    result = run(clicks(positions, 3 * samplerate), profile, stem, samplerate)
    for source in ("mix", stem):
        hops = np.flatnonzero(result.feature("onset", source))
        assert len(hops) == len(positions)
        assert np.abs(hops - positions // result.hop_length).max() <= 1
        found = hops * result.hop_length + result.feature("onset_offset", source)[hops]
        assert np.abs(found - positions).max() <= 64
        assert result.feature("onset_count", source)[-1] == len(positions)
        assert (result.feature("onset_strength", source)[hops] > 0.0).all()
    for source in set(SOURCES) - {"mix", stem}:
        assert result.feature("onset_count", source)[-1] == 0


def test_onsets_come_one_hop_before_the_audio_that_carries_them():
    result = run(clicks([20 * 256 + 40], 40 * 256), "live")
    declared = np.flatnonzero(result.feature("onset"))[0]
    heard = np.flatnonzero(np.abs(result.mix[0]) > 0.1)[0] // 256
    assert (declared, heard) == (20, 21)


def test_noise_bursts_are_onsets_and_steady_noise_is_none(profile):
    rng = np.random.default_rng(1)
    audio = 0.1 * rng.standard_normal(5 * 48000)
    assert run(audio, profile).feature("onset_count")[-1] <= 1  # its beginning
    starts = np.arange(24000, 5 * 48000 - 12000, 24000)
    envelope = np.full(len(audio), 0.02)
    for start in starts:
        envelope[start : start + 4800] = np.exp(-np.arange(4800) / 1500)
    result = run(audio * envelope, profile)
    hops = np.flatnonzero(result.feature("onset"))
    hops = hops[hops > 40]
    # the first one comes while the ear is still getting used to the noise
    assert len(hops) in (len(starts) - 1, len(starts))
    late = hops - starts[len(starts) - len(hops) :] // result.hop_length
    assert np.abs(late).max() <= 1 + 480 // result.hop_length


@pytest.mark.parametrize("hz", [41.2, 82.41, 220.0])
@pytest.mark.parametrize("profile", ["tight", "live", "quality"])
def test_a_steady_low_note_has_no_onset_but_its_first(hz, profile):
    audio = tone(hz, 3.0, partials=8)
    late = run(audio, profile).feature("onset")[int(0.2 * 48000 / spec_of(profile).hop_length) :]
    assert late.sum() == 0


def test_vibrato_has_no_onsets():
    t = np.arange(3 * 48000) / 48000
    phase = 2 * np.pi * (330 * t + 330 * 0.03 / (2 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * t))
    audio = sum(np.sin(k * phase) / k for k in range(1, 8)) * 0.2 * np.minimum(1, t / 0.05)
    assert run(audio, "live").feature("onset")[40:].sum() == 0


def test_a_tick_is_heard_over_a_sounding_bass():
    audio = tone(55, 3.0, partials=10)
    positions = np.arange(24000, 140000, 12000)
    ticks = np.zeros(len(audio))
    rng = np.random.default_rng(2)
    for n in positions:
        ticks[n : n + 1500] = 0.15 * rng.standard_normal(1500) * np.exp(-np.arange(1500) / 300)
    result = run(audio + ticks, "live")
    hops = np.flatnonzero(result.feature("onset"))
    hops = hops[hops > 60]
    found = hops * 256 + result.feature("onset_offset")[hops]
    assert len(found) == len(positions)
    assert np.abs(found - positions).max() <= 128


def test_onsets_do_not_come_faster_than_the_refractory_time():
    positions = np.arange(10000, 40000, 2160)  # every 45 ms, each well above the last
    growing = clicks(positions, 48000, 2e-3 * 1.6 ** np.arange(len(positions)))
    hops = np.flatnonzero(run(growing, "tight").feature("onset"))
    assert len(hops) >= 3
    assert np.diff(hops).min() * 128 >= 0.049 * 48000


def test_a_higher_threshold_of_a_source_hears_less():
    def deaf(hop, result):
        result.feature_maker.onset.threshold[0, SOURCES.index("vocals")] = 1e30

    result = run(clicks([9000, 19000], 30000), "live", before_hop=deaf)
    assert result.feature("onset_count", "vocals")[-1] == 0
    assert result.feature("onset_count", "mix")[-1] == 2


def test_nothing_is_declared_around_a_seam(profile):
    hop_length = spec_of(profile).hop_length
    at = 30
    position = at * hop_length + hop_length // 3

    def seam(hop, result):
        if hop == at:
            result.feature_maker.seam(0)

    quiet = clicks([position, position + 9600], position + 20000)
    result = run(quiet, profile, before_hop=seam)
    hops = np.flatnonzero(result.feature("onset"))
    assert len(hops) == 1
    assert abs(hops[0] - (position + 9600) // hop_length) <= 1
    muted = result.feature("onset_strength")[at : at + int(SEAM_MS * 48 // hop_length)]
    assert (muted == 0.0).all()


def test_fallback_to_dry_and_back_is_no_onset(profile):
    spec = spec_of(profile)
    model = FixedMasks.one(spec, "vocals")
    masks = model.masks
    hops = 48000 * 2 // spec.hop_length

    def before_hop(hop, result):
        model.masks = None if hops // 3 < hop < 2 * hops // 3 else masks
        result.separator.set_bypass(hop > 5 * hops // 6)

    result = Run(stereo(tone(440, 2.0, partials=6)), spec, model, before_hop=before_hop)
    assert result.separator.dry_hops[0] > 0
    early = int(0.2 * 48000 / spec.hop_length)
    for source in SOURCES:
        assert result.feature("onset", source)[early:].sum() == 0


def test_another_model_makes_no_onset_and_no_hit(profile):
    """Its masks may let a stem rise from nothing to all there is."""
    spec = spec_of(profile)
    swapped = 48000 // spec.hop_length

    def before_hop(hop, result):
        if hop == swapped:
            result.separator.cross_fade()
            result.separator.model = FixedMasks.one(spec, stem)

    audio = stereo(tone(440, 2.0, partials=6))
    for stem in ("other", "drums"):
        result = Run(audio, spec, FixedMasks.one(spec, "vocals"), before_hop=before_hop)
        assert result.feature("rms", stem)[-1] > 0.1
        for name in ("onset", *DRUMS):
            found = result.features[swapped:, :, FEATURES.index(name)]
            assert not found.any(), (stem, name)


def test_fades_to_dry_and_back_do_not_strike_a_held_note_again(profile):
    spec = spec_of(profile)
    second = 48000 // spec.hop_length

    def before_hop(hop, result):
        result.separator.set_bypass(second < hop < 2 * second)

    audio = stereo(tone(220, 3.0, partials=6))
    result = Run(audio, spec, FixedMasks.random(spec), before_hop=before_hop)
    count = result.feature("note_count", "other")
    assert count[-1] == count[second] > 0


def test_another_model_does_not_strike_a_held_note_again(profile):
    spec = spec_of(profile)
    second = 48000 // spec.hop_length
    model = FixedMasks.random(spec)

    def before_hop(hop, result):
        if hop == second:
            result.separator.cross_fade()
            result.separator.model = FixedMasks.one(spec, "other")

    audio = stereo(tone(220, 2.0, partials=6))
    count = Run(audio, spec, model, before_hop=before_hop).feature("note_count", "other")
    assert count[-1] == count[second] > 0


@pytest.mark.parametrize("at_s", [1.0, 1.003])
def test_a_dropout_does_not_strike_a_held_note_again(profile, at_s):
    spec = spec_of(profile)
    hole = slice(round(at_s * 48000), round(at_s * 48000) + 1200)
    audio = stereo(tone(220, 2.0, partials=6))
    audio[:, hole] = 0.0
    torn = range(hole.start // spec.hop_length, (hole.stop - 1) // spec.hop_length + 1)

    def before_hop(hop, result):
        if hop in torn:
            result.feature_maker.seam(0)

    result = Run(audio, spec, FixedMasks.one(spec, "other"), before_hop=before_hop)
    for source in ("mix", "other"):
        count = result.feature("note_count", source)
        assert count[-1] == count[torn.start] > 0


def test_bands_cover_the_range_without_overlap(profile):
    spec = spec_of(profile)
    edges = band_edges(spec)
    assert (np.diff(edges) > 0).all()
    assert edges[0] >= 1
    assert edges[-1] <= spec.n_bins
    assert edges[-1] * spec.samplerate / spec.n_fft > 12000


@pytest.mark.parametrize("hz", [50.0, 300.0, 2000.0])
def test_the_leakage_bound_holds_for_sines_of_any_phase(profile, hz):
    """What a sine puts into bands far from its own stays below what the bound allows."""
    spec = spec_of(profile)
    edges = band_edges(spec)
    leak = leakage(edges, spec)
    worst = np.zeros(len(edges) - 1)
    for phase in np.linspace(0, np.pi, 7):
        t = np.arange(spec.n_fft * 2) / spec.samplerate
        result = Run(stereo(np.sin(2 * np.pi * hz * t + phase)), spec, None)
        levels = result.feature_maker.onset._levels[0, 0]
        own = int(np.argmax(levels))
        worst = np.maximum(worst, levels / np.maximum(leak[:, own] * levels[own], 1e-9))
    far = np.abs(np.arange(len(worst)) - own) > 4
    assert worst[far].max() <= 1.5
