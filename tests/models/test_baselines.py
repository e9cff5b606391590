"""Baselines: oracles that know, medians that guess, all through the daemon's own separator."""

import numpy as np
import pytest

from models import baselines
from models.streamed import separate, separate_feeds
from stemd.spec import StreamSpec

LIVE = StreamSpec.of("live", 44100)
TWO = StreamSpec.of("live", 44100, 2)


def tones(*freqs_hz, seconds=1.0):
    """(s, 2, n): one sine per stem."""
    n = np.arange(int(seconds * 44100))
    rows = [0.2 * np.sin(2 * np.pi * f * n / 44100) for f in freqs_hz]
    return np.stack([np.stack([row, 0.5 * row]) for row in rows]).astype(np.float32)


def usdr(stem, estimate):
    return 10 * np.log10((stem**2).sum() / ((stem - estimate) ** 2).sum())


@pytest.mark.parametrize("blocksizes", [(480,), (1, 63, 700), (100_000,)])
def test_stems_come_back_aligned_whatever_the_blocks(blocksizes):
    mix = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    stems = separate(LIVE, None, mix, blocksizes)
    np.testing.assert_array_equal(stems[3], mix)  # no model: dry, all of it in other
    np.testing.assert_array_equal(stems[:3], 0.0)


def test_many_feeds_are_aligned_too():
    mix = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    stems = separate_feeds(TWO, None, mix)
    assert stems.shape == (2, 4, 2, 5000)
    np.testing.assert_array_equal(stems[:, 3], np.stack([mix, mix]))


def test_oracles_part_tones_that_share_no_bin():
    stems = tones(220, 1500, 60, 6000)
    found = dict(baselines.estimates(LIVE, stems, ("ratio_mask", "binary_mask")))
    for estimate in found.values():
        np.testing.assert_allclose(estimate.sum(0), stems.sum(0), atol=1e-6)
        for s in range(4):
            assert usdr(stems[s, :, 4096:], estimate[s, :, 4096:]) > 20


def test_what_is_nobodys_goes_to_other():
    sources = np.concatenate([tones(220, 1500, 60, 6000), tones(3000)])
    sources[3] = 0.0
    for _, estimate in baselines.estimates(LIVE, sources, ("ratio_mask", "binary_mask")):
        assert usdr(sources[4, :, 4096:], estimate[3, :, 4096:]) > 20


def test_oracle_masks_equal_their_slow_twin():
    rng = np.random.default_rng(0)
    spectra = (rng.standard_normal((5, 2, 65)) + 1j * rng.standard_normal((5, 2, 65))).astype(
        np.complex64
    )
    masks = np.empty((2, 4, 2, 65), np.float32)
    baselines._oracle_masks(spectra, masks)
    level = np.abs(spectra[:4])
    level[3] += np.abs(spectra[4])
    np.testing.assert_allclose(masks[0], level / level.sum(0), rtol=1e-5)
    np.testing.assert_array_equal(masks[1], level == level.max(0))


def test_medians_equal_their_slow_twins():
    rng = np.random.default_rng(0)
    past = rng.random((18, 40)).astype(np.float32)
    out = np.empty(40, np.float32)
    baselines._median_over_time(past, out)
    np.testing.assert_array_equal(out, np.sort(past, 0)[9])
    magnitude = rng.random(40).astype(np.float32)
    magnitude[5:9] = magnitude[5]  # ties
    for span in (1, 7, 60):
        baselines._median_over_frequency(magnitude, span, out)
        for f in range(40):
            near = np.sort(magnitude[max(0, f - span) : f + span + 1])
            assert out[f] == near[near.size // 2], (span, f)


def test_hpss_files_clicks_under_drums_and_a_low_tone_under_bass():
    mix = tones(70, seconds=2.0)[0]
    clicks = np.zeros_like(mix)
    clicks[:, 20000::11025] = 0.9
    (_, stems), *_ = baselines.estimates(LIVE, (mix + clicks)[None], ("hpss",))
    late = slice(44100, None)
    assert usdr(mix[:, late], stems[2][:, late]) > 10
    assert usdr(clicks[:, late], stems[1][:, late]) > 3
    np.testing.assert_allclose(stems.sum(0), mix + clicks, atol=1e-5)


def test_hpss_parts_a_high_tone_between_vocals_and_other():
    mix = tones(1000, seconds=1.5)[0]
    (_, stems), *_ = baselines.estimates(LIVE, mix[None], ("hpss",))
    late = slice(44100, None)
    np.testing.assert_allclose(stems[0][:, late], stems[3][:, late], atol=5e-3)
    assert usdr(mix[:, late], (stems[0] + stems[3])[:, late]) > 10


def test_hpss_hears_no_future():
    mix = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    changed = mix.copy()
    changed[:, 5000:] = 0.0
    one, two = (separate(LIVE, baselines.Hpss(LIVE), x) for x in (mix, changed))
    known = 5000 - LIVE.latency  # output that left before the first changed sample came
    np.testing.assert_array_equal(one[:, :, :known], two[:, :, :known])
