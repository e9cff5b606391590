"""Scores whose values are known on paper, and the package that BSS Eval comes in as their twin."""

import importlib.util

import numpy as np
import pytest

from models import scores
from stemd.spec import STEMS

RATE = 8000


def noise(seed, seconds=3.0, count=4):
    """(count, 2, n) of independent noises."""
    shape = (count, 2, int(seconds * RATE))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.1


def measured(stems, estimates, **options):
    return scores.measure(stems, estimates, stems.sum(0), RATE, **options)


def one(stems, estimates):
    return scores.summarise({"a": [measured(stems, estimates)]})


def test_half_of_a_stem_scores_six_db_and_nothing_is_wrong_with_its_shape():
    stems = noise(0)
    result = one(stems, stems / 2)
    for stem in (*STEMS, "mean"):
        assert result["sdr"][stem] == pytest.approx(6.021, abs=1e-3)
        assert result["usdr"][stem] == pytest.approx(6.021, abs=1e-3)
        assert result["si_sdr"][stem] > 90


def test_an_orthogonal_error_a_hundred_times_weaker_scores_twenty_db():
    stems = noise(0, 1.0)
    error = noise(1, 1.0)
    for s in range(4):
        a, b = stems[s].ravel().astype(float), error[s].ravel().astype(float)
        b -= a * (a @ b) / (a @ a)
        error[s] = (0.1 * b * np.sqrt((a @ a) / (b @ b))).reshape(2, -1)
    result = one(stems, stems + error)
    for metric in ("sdr", "usdr", "si_sdr"):
        assert result[metric]["mean"] == pytest.approx(20.0, abs=1e-3)


def test_an_estimate_of_silence_scores_zero_and_the_truth_a_hundred():
    stems = noise(0)
    assert one(stems, np.zeros_like(stems))["sdr"]["mean"] == 0.0
    assert one(stems, stems)["sdr"]["mean"] == 100.0


def test_silent_frames_of_a_stem_are_left_to_the_leak():
    stems = noise(0, 4.0)
    stems[1, :, 2 * RATE :] = 0.0  # drums stop after two seconds
    estimates = stems / 2
    estimates[1, :, 2 * RATE :] = stems.sum(0)[:, 2 * RATE :] / 10
    result = one(stems, estimates)
    assert result["sdr"]["drums"] == pytest.approx(6.021, abs=1e-3)
    assert result["leak"]["drums"] == pytest.approx(-20.0, abs=1e-3)
    assert result["leak_median"]["drums"] == pytest.approx(-20.0, abs=1e-3)
    assert result["leak"]["vocals"] is None


def test_a_stem_that_never_sounds_has_no_score_and_no_part_in_the_mean():
    stems = noise(0)
    stems[2] = 0.0
    estimates = np.stack([stems.sum(0) / 4] * 4)
    estimates[[0, 1, 3]] = stems[[0, 1, 3]] / 2
    result = one(stems, estimates)
    assert result["usdr"]["bass"] is None
    assert result["usdr"]["mean"] == pytest.approx(6.021, abs=1e-3)
    assert result["leak"]["bass"] == pytest.approx(-12.041, abs=1e-3)
    assert result["leak"]["mean"] == result["leak"]["bass"]


def test_a_silent_estimate_leaks_nothing():
    stems = noise(0)
    stems[2] = 0.0
    estimates = stems.copy()
    assert one(stems, estimates)["leak"]["bass"] == scores.FLOOR_DB


def test_input_gain_changes_no_score():
    stems = noise(0)
    stems[3, :, RATE:] *= 1e-4
    estimates = 0.8 * stems + 0.02 * noise(1)
    assert one(stems, estimates) == one(stems * 2.0**-6, estimates * 2.0**-6)


def test_silence_scores_nothing_at_all():
    silence = np.zeros((4, 2, 2 * RATE), np.float32)
    result = one(silence, silence)
    assert all(v is None for row in result.values() for v in row.values())


def test_sections_of_a_track_are_pooled_and_tracks_are_averaged():
    loud, quiet = noise(0), noise(1) * 0.1
    whole = [measured(loud, loud / 2), measured(quiet, 0 * quiet)]
    other = [measured(loud, 0.9 * loud)]
    result = scores.summarise({"a": whole, "b": other})
    a = 10 * np.log10(1.01 / (0.25 + 0.01))  # energies of loud and quiet are 1 and about 0.01
    assert result["usdr"]["mean"] == pytest.approx((a + 20) / 2, abs=0.02)
    frames = [6.021] * 3 + [0.0] * 3
    assert result["sdr"]["mean"] == pytest.approx((np.median(frames) + 20) / 2, abs=1e-2)


def test_a_last_partial_second_counts_in_usdr_but_is_no_frame():
    stems = noise(0, 2.5)
    estimates = stems / 2
    estimates[:, :, 2 * RATE :] = 0.0
    result = one(stems, estimates)
    assert result["sdr"]["mean"] == pytest.approx(6.021, abs=1e-3)
    assert result["usdr"]["mean"] == pytest.approx(10 * np.log10(2.5 / (0.5 + 0.5)), abs=0.02)


def test_flicker_of_a_steady_gain_is_zero():
    stems = noise(0)
    mix = stems.sum(0)
    assert scores.flicker_db(0.3 * mix, mix) == pytest.approx(0.0, abs=1e-4)


def test_flicker_is_the_mean_height_of_steps_where_the_mixture_sounds():
    mix = np.ones((5, 3))
    mix[:, 2] = 1e-4  # nobody hears this bin
    gain = np.ones((5, 3))
    gain[1::2, 0] = 0.5  # one bin steps by 6 dB every frame, its neighbour never
    gain[1::2, 2] = 0.001
    assert scores.flicker_of(gain * mix, mix) == pytest.approx(20 * np.log10(2) / 2)
    gain[1::2, 0] = 0.0  # to nothing: 40 dB is as far as anyone hears
    assert scores.flicker_of(gain * mix, mix) == pytest.approx(40 / 2)


def test_flicker_of_noise_gated_ten_times_a_second_is_more_than_that_of_a_slow_fade():
    stems = noise(0)
    n = np.arange(stems.shape[2])
    gate, fade = n // (RATE // 20) % 2, n / n.size
    gated, faded = (scores.flicker_db(stems[0] * gain, stems[0]) for gain in (gate, fade))
    assert gated > 5 * faded


def test_oracle_gain_is_a_share_of_the_way():
    row = scores.oracle_gain({"a": 4.0, "b": None}, {"a": -2.0, "b": 1.0}, {"a": 10.0, "b": 2.0})
    assert row == {"a": 0.5, "b": None}


def test_sdr_is_that_of_museval():
    if not scores.has_museval():
        pytest.skip("needs the training extra: museval")
    kept = scores._museval_metrics()
    path = kept.__spec__.origin
    spec = importlib.util.spec_from_file_location("museval_as_it_is", path)
    metrics = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(metrics)
    stems = noise(0, 2.0)
    estimates = 0.7 * stems + 0.3 * noise(1, 2.0)
    stems[2:], estimates[2:] = 0.0, 0.0  # two sources keep the package fast
    item = measured(stems, estimates, bss=True)
    sdr, isr, sir, sar, _ = metrics.bss_eval(
        stems[:2].transpose(0, 2, 1), estimates[:2].transpose(0, 2, 1), window=RATE, hop=RATE
    )
    ours = 10 * np.log10(item.sums[:, :2, scores.SIGNAL] / item.sums[:, :2, scores.ERROR]).T
    np.testing.assert_allclose(ours, sdr, atol=1e-5)  # float32 differences, summed in float64
    np.testing.assert_allclose(item.bss[:, :2], [isr, sir, sar], atol=1e-6)
    assert np.isnan(item.bss[:, 2:]).all()
