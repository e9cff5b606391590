"""What every processor must keep: blocks, reset, silence, numbers, causality."""

import copy

import numpy as np
import pytest

from stemd.processors.features import Features
from stemd.processors.meter import Meter
from stemd.processors.mixer import Mixer
from stemd.processors.onset import Onset
from stemd.processors.pitch import Pitch
from stemd.processors.powers import Powers
from stemd.processors.seam import Seam
from stemd.processors.separator import HopSeparator, Separator
from stemd.processors.stft import Analysis, Synthesis
from stemd.processors.tempo import Tempo
from stemd.spec import FEATURES, N_FEATURES, PROFILES, SOURCES

from .support import FixedMasks, spec_of

HOPS = 64


class Chain:
    """One processor, driven by hops of mixture (c, n), handing out a copy of all it makes."""

    def __init__(self, spec):
        self.spec = spec
        self.core = HopSeparator(spec, FixedMasks.random(spec))
        self.stems = np.zeros((1, 4, 2, spec.hop_length), np.float32)
        self.mix = np.zeros((1, 2, spec.hop_length), np.float32)
        self.out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
        self.powers = Powers(spec)
        self.processor = self.make(spec)

    def __call__(self, hop):
        self.core.process(np.ascontiguousarray(hop[None]), self.stems, self.mix)
        return self.step(hop[None])

    def reset(self):
        self.core.reset()
        self.processor.reset()


class AnalysisChain(Chain):
    make = Analysis

    def step(self, hop):
        return self.processor.process(np.ascontiguousarray(hop)).copy().view(np.float32)


class SynthesisChain(Chain):
    make = Synthesis

    def step(self, hop):
        self.processor.process(self.core.masked, self.stems)
        return self.stems.copy()


class HopSeparatorChain(Chain):
    def make(self, spec):
        return self.core

    def step(self, hop):
        return np.concatenate([self.stems, self.mix[:, None]], axis=1)


class SeparatorChain(Chain):
    def make(self, spec):
        return Separator(spec, FixedMasks.random(spec))

    def step(self, hop):
        return self.processor.process(hop[0])


class MixerChain(Chain):
    make = Mixer

    def step(self, hop):
        stems = self.stems.copy()
        self.processor.process(stems)
        return stems


class SeamChain(Chain):
    make = Seam

    def step(self, hop):
        block = hop[0].copy()
        self.processor.process(block)
        return block


class MeterChain(Chain):
    make = Meter

    def step(self, hop):
        powers = self.powers.process(self.core.spectra, self.core.masked)
        flux = np.zeros(self.out.shape[:2], np.float32)
        self.processor.process(self.mix, self.stems, powers, flux, self.out)
        return self.out.copy()


class TempoChain(Chain):
    def make(self, spec):
        self.onset, self.meter = Onset(spec), Meter(spec)
        return Tempo(spec)

    def step(self, hop):
        core, onset = self.core, self.onset
        powers = self.powers.process(core.spectra, core.masked)
        onset.process(powers, core.frames, core.masked_frames, self.out)
        self.meter.process(self.mix, self.stems, powers, onset.flux, self.out)
        self.processor.process(onset.flux, self.out)
        return self.out.copy()

    def reset(self):
        super().reset()
        self.onset.reset()
        self.meter.reset()


class OnsetChain(Chain):
    make = Onset

    def step(self, hop):
        core = self.core
        powers = self.powers.process(core.spectra, core.masked)
        self.processor.process(powers, core.frames, core.masked_frames, self.out)
        return self.out.copy()


class PitchChain(Chain):
    make = Pitch

    def step(self, hop):
        self.processor.process(self.mix, self.stems, self.out)
        return self.out.copy()


class FeaturesChain(Chain):
    make = Features

    def step(self, hop):
        self.processor.process(self.core, self.mix, self.stems, self.out)
        return self.out.copy()


CHAINS = [
    AnalysisChain,
    SynthesisChain,
    HopSeparatorChain,
    SeparatorChain,
    MixerChain,
    SeamChain,
    MeterChain,
    TempoChain,
    OnsetChain,
    PitchChain,
    FeaturesChain,
]


@pytest.fixture(params=CHAINS, ids=lambda c: c.__name__.removesuffix("Chain"))
def kind(request):
    return request.param


@pytest.fixture(params=PROFILES)
def spec(request):
    return spec_of(request.param)


def music(spec, hops=HOPS, seed=0):
    """Noise, a tone and clicks: (hop, c, n)."""
    rng = np.random.default_rng(seed)
    n = np.arange(hops * spec.hop_length)
    audio = 0.002 * rng.standard_normal((2, len(n))) + 0.2 * np.sin(2 * np.pi * 220 * n / 48000)
    audio[:, 3000::4000] += 0.6
    return np.ascontiguousarray(
        audio.astype(np.float32).reshape(2, hops, spec.hop_length).transpose(1, 0, 2)
    )


def test_the_face_is_the_same_everywhere(kind, spec):
    processor = kind(spec).processor
    assert isinstance(processor.latency, int)
    assert callable(processor.process)
    assert callable(processor.reset)


def test_reset_restores_all_state_to_the_bit(kind, spec):
    hops = music(spec)
    chain = kind(spec)
    first = [chain(hop) for hop in hops]
    chain.reset()
    for hop, wanted in zip(hops, first, strict=True):
        np.testing.assert_array_equal(chain(hop), wanted)


def test_what_forgets_is_as_new_but_for_its_counts(spec):
    hops = music(spec)
    chain = FeaturesChain(spec)
    first = np.array([chain(hop) for hop in hops])
    chain.core.reset()
    chain.processor.forget()
    counted = [i for i, name in enumerate(FEATURES) if name.endswith("_count")]
    assert first[-1, 0, 0, counted].any()
    wanted = first.copy()
    wanted[..., counted] += first[-1][..., counted]
    np.testing.assert_array_equal([chain(hop) for hop in hops], wanted)


LUFS, LUFS_FLOOR = FEATURES.index("lufs"), -120.0
REMEMBERED = [  # through a silence: what was counted, and the beat, which may go on
    i for i, name in enumerate(FEATURES) if name.endswith("_count") or "tempo" in name
] + [FEATURES.index("beat"), FEATURES.index("beat_phase")]


def above_silence(out):
    """What a chain says because it hears something; the floor of loudness is a number, too."""
    out = np.array(out)
    if out.shape[-1] == N_FEATURES:
        out[..., LUFS][out[..., LUFS] == LUFS_FLOOR] = 0.0
        out = np.delete(out, REMEMBERED, axis=-1)
    return out


def test_silence_stays_silence(kind, spec):
    chain = kind(spec)
    silent = np.zeros((2, spec.hop_length), np.float32)
    assert all((above_silence(chain(silent)) == 0.0).all() for _ in range(HOPS))


def test_silence_returns_after_sound(kind, spec):
    chain = kind(spec)
    for hop in music(spec):
        chain(hop)
    silent = np.zeros((2, spec.hop_length), np.float32)
    for _ in range(6 * 4096 // spec.hop_length + 2):  # loudness remembers 400 ms
        last = above_silence(chain(silent))
    assert np.abs(last).max() <= 1e-7


@pytest.mark.parametrize("level", [1e-40, 1e-12, 1.0, 30.0])
def test_finite_in_finite_out(kind, spec, level):
    chain = kind(spec)
    for hop in music(spec):
        assert np.isfinite(chain(level * hop)).all()


def test_the_input_is_not_modified(kind, spec):
    chain, hop = kind(spec), music(spec)[5]
    before = hop.copy()
    chain(hop)
    np.testing.assert_array_equal(hop, before)


def test_the_future_does_not_influence_the_past(kind, spec):
    hops, other = music(spec), music(spec)
    half = HOPS // 2
    other[half:] = 0.7 * music(spec, seed=9)[half:]
    one, two = kind(spec), kind(spec)
    same = [np.array_equal(one(a), two(b)) for a, b in zip(hops, other, strict=True)]
    assert all(same[:half])
    assert not all(same[half:])  # the change is heard


def test_two_streams_share_nothing(kind, spec):
    hops = music(spec)
    alone, first, second = kind(spec), kind(spec), kind(spec)
    for k, hop in enumerate(hops):
        second(hops[-1 - k])
        np.testing.assert_array_equal(alone(hop), first(hop))


@pytest.mark.parametrize("blocksize", [1, 63, 512, 1000])
def test_stems_do_not_depend_on_blocksize(spec, blocksize):
    audio = np.concatenate(list(music(spec, 24)), axis=1)
    whole = Separator(spec, FixedMasks.random(spec)).process(audio)
    parts = Separator(spec, FixedMasks.random(spec))
    blocks = [
        parts.process(audio[:, n : n + blocksize]) for n in range(0, audio.shape[1], blocksize)
    ]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=-1), whole)


def test_an_empty_block_is_a_block(spec):
    separator = Separator(spec)
    assert separator.process(np.zeros((2, 0), np.float32)).shape == (4, 2, 0)


def test_feeds_in_a_batch_are_what_they_are_alone():
    spec, single = spec_of("live", n_feeds=3), spec_of("live")
    hops = [music(single, seed=s) for s in range(3)]
    masks = FixedMasks.random(spec)
    batch = HopSeparator(spec, masks)
    features = Features(spec)
    stems, mix = np.zeros((3, 4, 2, 256), np.float32), np.zeros((3, 2, 256), np.float32)
    rows = np.zeros((3, len(SOURCES), N_FEATURES), np.float32)
    alone = []
    for feed in range(3):
        one = copy.copy(masks)
        one.masks = masks.masks[feed : feed + 1].copy()
        chain = FeaturesChain(single)
        chain.core.model = one
        alone.append(chain)
    for k in range(HOPS):
        batch.process(np.stack([h[k] for h in hops]), stems, mix)
        features.process(batch, mix, stems, rows)
        for feed, chain in enumerate(alone):
            wanted = chain(hops[feed][k])[0]
            # transforms in other SIMD lanes round differently
            np.testing.assert_allclose(stems[feed], chain.stems[0], atol=2e-6)
            onset = [3, 4]
            np.testing.assert_array_equal(rows[feed][:, onset], wanted[:, onset])
            np.testing.assert_allclose(rows[feed][:, :2], wanted[:, :2], atol=2e-6)
