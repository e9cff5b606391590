"""Analysis and synthesis against their twins, and reconstruction."""

import numpy as np
import pytest

from stemd.processors.stft import Analysis, Synthesis
from stemd.spec import PROFILES

from .. import reference
from .support import db, spec_of

HOPS = 24


@pytest.fixture(params=PROFILES)
def spec(request):
    return spec_of(request.param, n_feeds=3)


def noise(spec, hops=HOPS, seed=0):
    rng = np.random.default_rng(seed)
    shape = (hops, spec.n_feeds, 2, spec.hop_length)
    return (0.3 * rng.standard_normal(shape)).astype(np.float32)


def joined(hops):
    """(hop, ..., n) to (..., hop * n)."""
    return np.concatenate(list(hops), axis=-1)


def test_spectra_are_the_twins(spec):
    analysis, hops = Analysis(spec), noise(spec)
    got = np.array([analysis.process(hop).copy() for hop in hops])
    audio = joined(hops)
    for feed in range(spec.n_feeds):
        wanted = reference.stft(audio[feed], spec.n_fft, spec.hop_length)
        # float32 transforms: 1e-6 of a spectrum whose bins are around 10
        np.testing.assert_allclose(got[:, feed], wanted, atol=5e-5)


def test_audio_is_the_twins(spec):
    rng = np.random.default_rng(1)
    shape = (HOPS, spec.n_feeds, 3, 2, spec.n_bins)
    spectra = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    spectra[..., 0].imag = spectra[..., -1].imag = 0.0
    synthesis = Synthesis(spec)
    out = np.zeros((spec.n_feeds, 3, 2, spec.hop_length), np.float32)
    got = []
    for frame in spectra:
        synthesis.process(frame, out)
        got.append(out.copy())
    got = joined(got)
    for feed in range(spec.n_feeds):
        wanted = reference.istft(spectra[:, feed, 1], spec.n_fft, spec.hop_length)
        np.testing.assert_allclose(got[feed, 1], wanted, atol=1e-6)


def test_synthesis_of_analysis_is_the_input_120_db_down(spec):
    analysis, synthesis = Analysis(spec), Synthesis(spec, n_stems=1)
    hops = noise(spec)
    out = np.zeros((spec.n_feeds, 1, 2, spec.hop_length), np.float32)
    got = []
    for hop in hops:
        synthesis.process(analysis.process(hop)[:, None].copy(), out)
        got.append(out[:, 0].copy())
    audio, got = joined(hops), joined(got)
    late = synthesis.latency
    assert late == spec.hop_length
    error = got[..., late:] - audio[..., :-late]
    assert db(error.std() / audio.std()) <= -120.0


def test_feeds_do_not_hear_each_other(spec):
    hops = noise(spec)
    together, alone = Analysis(spec), Analysis(spec)
    silent = hops.copy()
    silent[:, 1:] = 0.0
    for hop, quiet in zip(hops, silent, strict=True):
        a, b = together.process(hop), alone.process(quiet)
        np.testing.assert_array_equal(a[0], b[0])
        assert (b[1:] == 0.0).all()


def test_reset_of_one_feed_leaves_the_others(spec):
    analysis = Analysis(spec)
    for hop in noise(spec):
        analysis.process(hop)
    before = analysis.history.copy()
    analysis.reset(1)
    assert (analysis.history[1] == 0.0).all()
    np.testing.assert_array_equal(analysis.history[[0, 2]], before[[0, 2]])
