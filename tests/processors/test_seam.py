"""Gaps: what is heard in them and around them."""

import numpy as np
import pytest

from stemd.processors.seam import Seam

from .support import spec_of, stereo

SPEC = spec_of("live")
FADE = 240  # 5 ms
GAP_AT, GAP, END = 3000, 2000, 8000


def sine(hz=441.0):
    return stereo(0.5 * np.sin(2 * np.pi * hz * np.arange(END) / 48000 + 0.3))


def bridged(audio, gap_at=GAP_AT, gap=GAP, blocksize=256, seam=None):
    """audio (c, n) whose samples gap_at ... gap_at + gap never came."""
    seam = seam or Seam(SPEC)
    out = []
    for start, stop, good in (
        (0, gap_at, True),
        (gap_at, gap_at + gap, False),
        (gap_at + gap, audio.shape[1], True),
    ):
        for n in range(start, stop, blocksize):
            block = audio[:, n : min(n + blocksize, stop)].copy()
            if good:
                seam.process(block)
            else:
                block.fill(7.0)
                seam.conceal(block)
            out.append(block)
    return np.concatenate(out, axis=1), seam


def test_audio_without_gaps_is_left_to_the_bit():
    audio = sine()
    got, seam = bridged(audio, END, 0)
    assert got.tobytes() == audio.tobytes()
    assert seam.concealed == 0


def test_a_gap_is_the_mirrored_past_faded_then_silence():
    audio = sine()
    got, seam = bridged(audio)
    past = audio[:, GAP_AT - FADE : GAP_AT][:, ::-1]
    fade = 0.5 + 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)
    np.testing.assert_allclose(got[:, GAP_AT : GAP_AT + FADE], past * fade, atol=1e-6)
    assert (got[:, GAP_AT + FADE : GAP_AT + GAP] == 0.0).all()
    assert seam.concealed == GAP


def test_audio_returns_over_5_ms_and_is_then_untouched():
    audio = sine()
    got, _ = bridged(audio)
    back = GAP_AT + GAP
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)
    np.testing.assert_allclose(
        got[:, back : back + FADE], audio[:, back : back + FADE] * rise, atol=1e-6
    )
    np.testing.assert_array_equal(got[:, back + FADE :], audio[:, back + FADE :])


@pytest.mark.parametrize("gap", [1, 37, 239, 240, 241, 3000])
def test_no_gap_makes_a_step(gap):
    audio = sine()
    got, _ = bridged(audio, gap=gap)
    # the sine itself moves by at most 0.029 a sample
    assert np.abs(np.diff(got)).max() < 2 * np.abs(np.diff(audio)).max()


@pytest.mark.parametrize("blocksize", [1, 63, 1000])
@pytest.mark.parametrize("gap", [50, 2000])
def test_seams_do_not_depend_on_blocksize(blocksize, gap):
    audio = np.random.default_rng(0).standard_normal((2, END)).astype(np.float32)
    one, _ = bridged(audio, gap=gap, blocksize=blocksize)
    other, _ = bridged(audio, gap=gap, blocksize=END)
    np.testing.assert_array_equal(one, other)


def test_a_second_gap_during_the_fade_in_mirrors_what_was_heard():
    seam, audio = Seam(SPEC), sine()
    heard = []
    for start, stop, good in ((0, 1000, 1), (1000, 1500, 0), (1500, 1600, 1), (1600, 2000, 0)):
        block = audio[:, start:stop].copy()
        (seam.process if good else seam.conceal)(block)
        heard.append(block)
    heard = np.concatenate(heard, axis=1)
    assert np.abs(np.diff(heard)).max() < 2 * np.abs(np.diff(audio)).max()
    np.testing.assert_allclose(heard[:, 1600], heard[:, 1599], atol=1e-3)


def test_reset_forgets_to_the_bit():
    audio = sine()
    _, seam = bridged(audio, gap=100)
    seam.conceal(np.zeros((2, 10), np.float32))
    seam.reset()
    np.testing.assert_array_equal(bridged(audio, seam=seam)[0], bridged(audio)[0])


def test_a_gap_before_any_audio_is_silence():
    block = np.ones((2, 500), np.float32)
    Seam(SPEC).conceal(block)
    assert (block == 0.0).all()
