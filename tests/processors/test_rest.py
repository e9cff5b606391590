"""A model that rests in silence: what stays the same, and what alone may differ."""

from __future__ import annotations

import numpy as np
import pytest

from stemd import Separator
from stemd.processors.rest import AWAKE_HOPS, Rest
from stemd.processors.separator import HopSeparator
from stemd.spec import PROFILES, StreamSpec

from .support import FixedMasks, spec_of

RATE = 48_000


class Counting:
    """A model that says how often it was asked."""

    complex_masks = False

    def __init__(self, spec, late=()):
        self.calls = 0
        self._late = late
        self._masks = FixedMasks.random(spec).masks

    def process(self, spectra, deadline=None):
        self.calls += 1
        return None if self.calls in self._late else self._masks

    def reset(self, slot=None):
        pass


def music(seconds, seed=0):
    """Tones with hits: loud enough, and never the same."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) for f in (82.4, 220, 330, 1100))
    hits = rng.standard_normal((2, len(t))) * np.exp(-((t % 0.25) * 30))
    return (0.05 * tones + 0.1 * hits).astype(np.float32)


def quiet(seconds, below_db=None, seed=0):
    shape = 2, round(seconds * RATE)
    if below_db is None:
        return np.zeros(shape, np.float32)
    noise = np.random.default_rng(seed).uniform(-1, 1, shape)
    return (noise * 10 ** (below_db / 20)).astype(np.float32)


def resting(profile, after_s, below_db=-90.0):
    separator = Separator.load(profile)
    separator.core.rest = Rest(separator.spec, after_s, below_db)
    return separator


@pytest.mark.parametrize("profile", PROFILES)
def test_all_is_as_after_a_shorter_silence(profile):
    """The model's memory fades for minutes, at rest an eighth as fast: nothing else differs."""
    pre, post = music(1.024), music(1.024, 1)  # whole hops of every profile
    post[:, :77] = 0.0
    post[:, 77:300] += 0.5  # an attack that the silence ends with
    silence = quiet(8.192)
    separator = resting(profile, 3.0)
    hop_length, latency = separator.spec.hop_length, separator.latency
    n_rested = 0
    parts = []
    audio = np.concatenate([pre, silence, post], axis=1)
    for at in range(0, audio.shape[1], hop_length):
        parts.append(separator.process(audio[:, at : at + hop_length]))
        n_rested += separator.core.resting
    stems = np.concatenate(parts, axis=-1)
    assert n_rested * hop_length > 4 * RATE
    shorter = silence[:, n_rested * hop_length :]
    wanted = Separator.load(profile).process(np.concatenate([pre, shorter, post], axis=1))
    n = post.shape[1]
    np.testing.assert_array_equal(stems[..., -n:], wanted[..., -n:])
    # What is silent stays so, and the first sample of sound is where it belongs.
    assert not stems[..., pre.shape[1] + 4 * RATE : -n].any()
    first = np.flatnonzero(np.abs(stems[..., -n:].sum(0)).max(0) > 1e-3)[0]
    assert first == 77 + latency


def test_noise_nobody_hears_comes_out_as_it_went_in():
    audio = np.concatenate([music(1.0), quiet(6.0, -91.0), music(1.0, 1)], axis=1)
    awake = Separator.load("live").process(audio)
    stems = resting("live", 3.0).process(audio)
    np.testing.assert_allclose(stems.sum(0), awake.sum(0), rtol=0, atol=1e-6)
    noise = slice(2 * RATE, 7 * RATE)
    assert np.abs((stems - awake)[..., noise]).max() < 10 ** (-90 / 20)


@pytest.mark.parametrize("blocksize", [1, 63, 512, 1000])
def test_stems_do_not_depend_on_blocksize(blocksize):
    spec = spec_of("live")
    audio = np.concatenate([music(0.3), quiet(0.5), music(0.1, 1)], axis=1)

    def run(size):
        separator = Separator(spec, Counting(spec))
        separator.core.rest = Rest(spec, 0.1, -90.0)
        blocks = [audio[:, i : i + size] for i in range(0, audio.shape[1], size)]
        return np.concatenate([separator.process(block) for block in blocks], axis=-1)

    np.testing.assert_array_equal(run(blocksize), run(audio.shape[1]))


# -- when it rests ---------------------------------------------------------------------------------


def hop_of(spec, value=0.0):
    return np.full((spec.n_feeds, 2, spec.hop_length), value, np.float32)


def rests(rest, spec, n, value=0.0):
    return [rest.process(hop_of(spec, value)) for _ in range(n)]


def test_it_rests_after_its_time_and_hears_each_eighth_hop():
    spec = spec_of("live")
    rest = Rest(spec, 0.1, -90.0)
    waits = int(np.ceil(0.1 / spec.hop_s))
    told = rests(rest, spec, waits + 3 * AWAKE_HOPS)
    assert not any(told[:waits])
    assert told[waits:] == ([True] * (AWAKE_HOPS - 1) + [False]) * 3
    assert not rest.process(hop_of(spec, 1e-4))
    assert not any(rests(rest, spec, waits))
    assert rest.process(hop_of(spec))
    rest.reset()
    assert not any(rests(rest, spec, waits))


def test_never_before_the_window_is_quiet():
    spec = spec_of("live")
    assert not any(rests(Rest(spec, 1e-6, -90.0), spec, spec.n_fft // spec.hop_length))


def test_not_at_all_unless_asked():
    spec = spec_of("live")
    assert not any(rests(Rest(spec, 0.0, -90.0), spec, 10_000))


@pytest.mark.parametrize(
    ("value", "wanted"), [(3e-5, True), (-3e-5, True), (4e-5, False), (-4e-5, False)]
)
def test_the_threshold_is_of_the_peak(value, wanted):
    spec = spec_of("live")
    assert any(rests(Rest(spec, 0.1, -90.0), spec, 100, value)) == wanted


def test_one_feed_that_sounds_keeps_it_awake():
    spec = StreamSpec.of("live", RATE, 3)
    rest = Rest(spec, 0.1, -90.0)
    hop = hop_of(spec)
    hop[1, 0, 5] = 0.1
    assert not any(rest.process(hop) for _ in range(200))


def test_the_model_is_asked_as_rarely_as_promised():
    spec = spec_of("live")
    model = Counting(spec)
    core = HopSeparator(spec, model)
    core.rest = Rest(spec, 0.1, -90.0)
    stems, mix = np.zeros((1, 4, 2, spec.hop_length), np.float32), hop_of(spec)
    rested = 0
    for _ in range(1000):
        core.process(hop_of(spec), stems, mix)
        rested += core.resting
        assert not core.late.any()
        assert not core.dry.any()
    assert model.calls == 1000 - rested
    assert 0.85 < rested / 1000 < 0.875
    core.reset()
    core.process(hop_of(spec), stems, mix)
    assert not core.resting


def test_late_masks_are_waited_for():
    """A model in its own thread may still be at work on an older hop."""
    spec = spec_of("live")
    waits = int(np.ceil(0.1 / spec.hop_s))
    model = Counting(spec, late=range(waits, waits + 5))
    core = HopSeparator(spec, model)
    core.rest = Rest(spec, 0.1, -90.0)
    stems, mix = np.zeros((1, 4, 2, spec.hop_length), np.float32), hop_of(spec)
    told = []
    for _ in range(waits + 20):
        core.process(hop_of(spec), stems, mix)
        told.append(core.resting)
    # Late in its last hop awake, and then asked until it was in time.
    assert told.index(True) == waits + 5
    assert core.late_hops[0] == 5
