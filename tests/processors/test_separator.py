"""Separation with models that are there, late, wrong, bypassed or gone."""

import numpy as np
import pytest

from stemd.errors import ModelError
from stemd.processors.separator import HopSeparator, Separator
from stemd.spec import PROFILES, STEMS

from .. import reference
from .support import FixedMasks, Run, db, spec_of, stereo

VOCALS, DRUMS, BASS, OTHER = range(4)


@pytest.fixture(params=PROFILES)
def spec(request):
    return spec_of(request.param)


def noise(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal((2, n_samples))).astype(np.float32)


def late_by(audio, latency):
    return np.concatenate([np.zeros((2, latency), np.float32), audio], axis=1)[:, :-latency]


def test_stems_are_the_twins(spec):
    audio, model = noise(40 * spec.hop_length), FixedMasks.random(spec)
    stems = Separator(spec, model).process(audio)
    spectra = reference.stft(audio, spec.n_fft, spec.hop_length)
    masks = reference.project(model.masks[0].astype(np.float64))
    for s in range(4):
        # the twin's audio is one hop late, ours has collected another
        wanted = reference.istft(masks[s] * spectra, spec.n_fft, spec.hop_length)
        wanted = late_by(wanted, spec.hop_length)
        np.testing.assert_allclose(stems[s], wanted, atol=3e-6)


@pytest.mark.parametrize("stem", STEMS)
def test_a_full_mask_gives_the_input_120_db_down_after_the_latency(spec, stem):
    audio = noise(60 * spec.hop_length)
    stems = Separator(spec, FixedMasks.one(spec, stem)).process(audio)
    wanted = late_by(audio, spec.latency)
    start = 2 * spec.latency  # the first masks find no earlier ones to overlap with
    error = (stems[STEMS.index(stem)] - wanted)[:, start:]
    assert db(error.std() / audio.std()) <= -120.0
    for s in range(4):
        if s != STEMS.index(stem):
            assert np.abs(stems[s][:, start:]).max() < 1e-6


def test_an_impulse_arrives_exactly_latency_samples_later(spec):
    audio = np.zeros((2, 8000), np.float32)
    audio[:, 5000] = 1.0
    stems = Separator(spec, FixedMasks.random(spec)).process(audio).sum(axis=0)
    assert np.argmax(stems[0]) == 5000 + spec.latency
    assert spec.latency == Separator(spec).latency == 2 * spec.hop_length


def test_hop_latency_and_collection_are_the_published_latency(spec):
    core = HopSeparator(spec)
    assert core.latency + spec.hop_length == spec.latency
    audio = noise(20 * spec.hop_length)
    run = Run(audio, spec, FixedMasks.random(spec), features=False)
    np.testing.assert_array_equal(run.mix, late_by(audio, core.latency))


class Chaos:
    """Masks, none, other masks, huge ones, NaN: whatever comes to mind."""

    complex_masks = False

    def __init__(self, spec):
        self.rng = np.random.default_rng(5)
        self.shape = (1, 4, 2, spec.n_bins)

    def process(self, spectra, deadline=None):
        kind = self.rng.integers(6)
        masks = self.rng.standard_normal(self.shape).astype(np.float32)
        if kind == 0:
            return None
        if kind == 1:
            masks[0, 1, 0, 3] = np.nan
        if kind == 2:
            masks[0, 2, 1, 9] = np.inf
        if kind == 3:
            masks[:] = 0.0
        return masks

    def reset(self, slot=None):
        pass


def test_stems_sum_to_the_delayed_input_in_every_block_whatever_happens(spec):
    audio = noise(300 * spec.hop_length)
    model = Chaos(spec)

    def disturb(hop, run):
        run.separator.set_bypass(hop % 50 > 40)
        run.separator.model = None if 100 < hop < 130 else model

    run = Run(audio, spec, model, features=False, before_hop=disturb)
    error = np.abs(run.stems.sum(axis=0) - run.mix)
    # random masks reach several times the mix, and float32 rounds each stem
    assert error.max() <= 1e-6 * max(1.0, np.abs(run.stems).max())
    np.testing.assert_array_equal(run.mix, late_by(audio, spec.hop_length))
    assert run.separator.bad_hops[0] > 0
    assert np.isfinite(run.stems).all()


def test_plain_masks_sum_to_1e_6(spec):
    run = Run(noise(100 * spec.hop_length), spec, FixedMasks.random(spec), features=False)
    assert np.abs(run.stems.sum(axis=0) - run.mix).max() <= 1e-6


class Poisoned(FixedMasks):
    """Its state holds a NaN until it is reset, as a recurrent one does."""

    poisoned = True

    def process(self, spectra, deadline=None):
        masks = super().process(spectra, deadline)
        return np.full_like(masks, np.nan) if self.poisoned else masks

    def reset(self, slot=None):
        super().reset(slot)
        self.poisoned = False


def test_a_poisoned_model_is_cured(spec):
    model = Poisoned.random(spec)
    model.poisoned = False

    def disturb(hop, run):
        model.poisoned |= hop == 20

    run = Run(noise(40 * spec.hop_length), spec, model, features=False, before_hop=disturb)
    assert run.separator.bad_hops[0] == 1
    assert not run.separator.late[0]


def sine(spec, hops, hz=997.0):
    n = np.arange(hops * spec.hop_length)
    return stereo(0.5 * np.sin(2 * np.pi * hz * n / spec.samplerate))


def roughness(signal, spec, hz=997.0):
    """Energy of `signal` that a fade of that sine cannot have: far from its frequency, in dB."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    freqs = np.fft.rfftfreq(len(signal), 1 / spec.samplerate)
    far = np.abs(freqs - hz) > 600
    return 10 * np.log10(spectrum[far].sum() / spectrum.sum())


def stopping(model, at, until):
    masks = model.masks

    def before_hop(hop, run):
        model.masks = None if at <= hop < until else masks

    return before_hop


def test_late_masks_are_held_then_the_mix_goes_dry_and_returns(spec):
    model = FixedMasks.one(spec, "vocals")
    probe = HopSeparator(spec)
    hold, fade = probe.hold_hops, probe.fade_hops
    assert hold * spec.hop_s == pytest.approx(0.05, abs=spec.hop_s)
    start, stop = 40, 40 + hold + 4 * fade
    end = stop + 4 * fade
    wet, flags = [], []

    stopper = stopping(model, start, stop)
    run = Run(
        sine(spec, end),
        spec,
        model,
        features=False,
        before_hop=lambda hop, run: (
            wet.append(float(run.separator._wet[0])),
            flags.append(tuple(bool(x[0]) for x in (run.separator.late, run.separator.dry))),
            stopper(hop, run),
        ),
    )
    wet, flags = np.array(wet[1:]), flags[1:]  # state after each hop
    assert (wet[: start + hold] == 1.0).all()
    assert (np.diff(wet[start + hold - 1 : start + hold + fade]) < 0).all()
    assert (wet[start + hold + fade - 1 : stop] == 0.0).all()
    assert (wet[stop + fade - 1 :] == 1.0).all()
    assert flags[start - 1] == (False, False)
    assert flags[start] == (True, False)
    assert flags[start + hold] == (True, True)
    assert flags[stop] == (False, True)
    assert flags[end - 2] == (False, False)
    assert run.separator.late_hops[0] == stop - start
    assert run.separator.dry_hops[0] == (stop - start - hold) + fade - 1


@pytest.mark.parametrize("stem", [VOCALS, OTHER])
def test_fallback_and_return_do_not_click(spec, stem):
    """A steady sine moves between two stems; each stays a sine under a smooth fade."""
    model = FixedMasks.one(spec, "vocals")
    hops = int(1.2 * spec.samplerate / spec.hop_length)
    at, until = hops // 3, 2 * hops // 3
    run = Run(sine(spec, hops), spec, model, features=False, before_hop=stopping(model, at, until))
    assert run.separator.dry_hops[0] > 0
    assert roughness(run.stems[stem, 0, 4 * spec.n_fft :], spec) <= -60.0


@pytest.mark.parametrize("stem", [VOCALS, OTHER])
def test_bypass_does_not_click_and_is_dry(spec, stem):
    hops = int(1.2 * spec.samplerate / spec.hop_length)

    def before_hop(hop, run):
        run.separator.set_bypass(hops // 3 <= hop < 2 * hops // 3)

    model = FixedMasks.one(spec, "vocals")
    run = Run(sine(spec, hops), spec, model, features=False, before_hop=before_hop)
    assert roughness(run.stems[stem, 0, 4 * spec.n_fft :], spec) <= -60.0
    middle = slice(hops // 2 * spec.hop_length, (hops // 2 + 3) * spec.hop_length)
    np.testing.assert_allclose(run.stems[OTHER][:, middle], run.mix[:, middle], atol=1e-7)
    assert run.separator.late_hops[0] == 0


def test_a_hard_switch_would_fail_the_click_test():
    """The measure above can fail: a gain step at a hop's edge is not smooth."""
    spec = spec_of("live")
    audio = sine(spec, 200)[0].copy()
    audio[100 * 256 + 64 :] = 0.0
    assert roughness(audio, spec) > -60.0


def test_no_model_is_dry_from_the_first_sample(spec):
    audio = noise(30 * spec.hop_length)
    stems = Separator(spec).process(audio)
    np.testing.assert_array_equal(stems[OTHER], late_by(audio, spec.latency))
    assert (stems[:OTHER] == 0.0).all()


def test_a_model_can_be_changed_while_it_runs(spec):
    first, second = FixedMasks.one(spec, "drums"), FixedMasks.one(spec, "bass")

    def before_hop(hop, run):
        run.separator.model = first if hop < 50 else second

    run = Run(noise(100 * spec.hop_length), spec, first, features=False, before_hop=before_hop)
    half = 50 * spec.hop_length
    tail = slice(half + spec.latency, None)
    np.testing.assert_allclose(
        run.stems[DRUMS][:, :half][:, 9000:], run.mix[:, 9000:half], atol=2e-6
    )
    np.testing.assert_allclose(run.stems[BASS][:, tail], run.mix[:, tail], atol=2e-6)


def test_a_model_with_complex_masks_can_turn_the_phase(spec):
    masks = np.zeros((1, 4, 2, spec.n_bins, 2), np.float32)
    masks[:, DRUMS, ..., 1] = 0.5  # a quarter turn
    masks[:, VOCALS, ..., 0] = 1.0
    masks[:, BASS, ..., 1] = -0.5
    run = Run(sine(spec, 80), spec, FixedMasks(masks, complex_masks=True), features=False)
    late = slice(60 * spec.hop_length, None)
    drums, vocals = run.stems[DRUMS, 0, late], run.stems[VOCALS, 0, late]
    assert np.std(drums) == pytest.approx(0.5 * np.std(vocals), rel=0.02)
    assert abs(np.corrcoef(drums, vocals)[0, 1]) < 0.02
    np.testing.assert_allclose(drums, -run.stems[BASS, 0, late], atol=1e-5)


def test_feeds_fall_back_each_on_its_own():
    spec = spec_of("live", n_feeds=2)
    model = FixedMasks.one(spec, "vocals")
    separator = HopSeparator(spec, model)
    hop = noise(256)[None].repeat(2, axis=0)
    stems, mix = np.zeros((2, 4, 2, 256), np.float32), np.zeros((2, 2, 256), np.float32)
    for k in range(80):
        model.masks[1, 0, 0, 0] = np.nan if k >= 20 else 1.0
        separator.process(hop, stems, mix)
    assert separator.late.tolist() == [False, True]
    assert separator.dry.tolist() == [False, True]
    np.testing.assert_allclose(stems[0, VOCALS], mix[0], atol=2e-6)
    np.testing.assert_array_equal(stems[1, OTHER], mix[1])


def test_reset_of_one_feed_tells_the_model_that_slot():
    spec = spec_of("live", n_feeds=2)
    model = FixedMasks.one(spec, "vocals")
    separator = HopSeparator(spec, model)
    separator.reset(1)
    separator.reset()
    assert model.resets == [1, None]


def test_mono_is_heard_on_both_channels(spec):
    audio = noise(30 * spec.hop_length)[:1]
    model = FixedMasks.random(spec)
    model.masks[:, :, 1] = model.masks[:, :, 0]
    flat = Separator(spec, model).process(audio[0])
    row = Separator(spec, model).process(audio)
    both = Separator(spec, model).process(stereo(audio[0]))
    np.testing.assert_array_equal(flat, row)
    np.testing.assert_array_equal(flat, both)
    np.testing.assert_array_equal(flat[:, 0], flat[:, 1])


def test_shapes_that_do_not_fit_are_refused():
    separator = Separator(spec_of("live"))
    with pytest.raises(ValueError, match=r"block: got shape \(3, 5\), expected"):
        separator.process(np.zeros((3, 5), np.float32))
    with pytest.raises(
        ValueError, match=r"out: got float64 \(4, 2, 5\), expected float32 \(4, 2, 5"
    ):
        separator.process(np.zeros((2, 5), np.float32), np.zeros((4, 2, 5)))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_released_model_is_loaded_by_profile_and_separates(profile):
    try:
        separator = Separator.load(profile, 44100, provider="cpu")
    except ModelError:
        pytest.skip("no released model in this checkout")
    audio = noise(40 * separator.spec.hop_length)
    stems = separator.process(audio)
    assert separator.core.dry_hops[0] == 0
    np.testing.assert_allclose(stems.sum(axis=0), late_by(audio, separator.latency), atol=1e-6)


def test_loading_what_does_not_exist_says_so():
    with pytest.raises(ModelError, match="model: got 'nosuch', expected a path or the name"):
        Separator.load(model="nosuch")
