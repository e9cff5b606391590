"""Gains that move without clicks and, at rest, do nothing."""

import numpy as np
import pytest

from stemd.processors.mixer import Mixer

from .support import spec_of

SPEC = spec_of("live", n_feeds=2)
RAMP = 960  # 20 ms


def ones(hops=8):
    return np.ones((hops, 2, 4, 2, 256), np.float32)


def mixed(mixer, audio, blocksize=256):
    """audio (hop, b, s, c, n) through the mixer, joined to (b, s, c, n)."""
    joined = np.concatenate(list(audio), axis=-1)
    out = [
        np.ascontiguousarray(joined[..., n : n + blocksize])
        for n in range(0, joined.shape[-1], blocksize)
    ]
    for block in out:
        mixer.process(block)
    return np.concatenate(out, axis=-1)


def test_unity_leaves_every_bit():
    audio = np.random.default_rng(0).standard_normal((4, 2, 4, 2, 256)).astype(np.float32)
    audio[0, 0, 0, 0, :3] = [1e-42, -0.0, np.nextafter(1, 2, dtype=np.float32)]
    got = mixed(Mixer(SPEC), audio)
    assert got.tobytes() == np.concatenate(list(audio), axis=-1).tobytes()


def test_a_gain_is_reached_after_20_ms_without_a_step():
    mixer = Mixer(SPEC)
    mixer.set_gain(1, 0.25, feed=1)
    got = mixed(mixer, ones())
    assert (got[0] == 1.0).all()
    assert (got[1, [0, 2, 3]] == 1.0).all()
    ramp = got[1, 1, 0]
    assert (ramp[RAMP:] == 0.25).all()
    assert ramp[RAMP - 1] != 0.25
    assert (np.diff(ramp) <= 0.0).all()
    # a raised cosine's steepest step is pi / 2 of the mean step
    assert np.abs(np.diff(ramp)).max() < 1.6 * 0.75 / RAMP
    np.testing.assert_array_equal(got[1, 1, 0], got[1, 1, 1])


def test_settled_it_is_there_at_once():
    mixer = Mixer(SPEC)
    mixer.set_mute(0, True, feed=1)
    mixer.set_gain(2, 0.5)
    mixer.settle()
    got = mixed(mixer, ones())
    assert (got[1, 0] == 0.0).all()
    assert (got[:, 2] == 0.5).all()
    assert (got[0, 0] == 1.0).all()
    mixer.set_mute(0, False, feed=1)
    assert 0.0 < mixed(mixer, ones(2))[1, 0, 0, 100] < 1.0


def test_a_ramp_turns_round_from_where_it_is():
    mixer = Mixer(SPEC)
    mixer.set_gain(0, 0.0)
    down = mixed(mixer, ones(2))[0, 0, 0]
    mixer.set_gain(0, 1.0)
    up = mixed(mixer, ones())[0, 0, 0]
    assert 0.0 < down[-1] < 1.0
    assert abs(up[0] - down[-1]) < 1.6 / RAMP
    assert (up[RAMP:] == 1.0).all()


def test_mute_silences_and_gives_the_gain_back():
    mixer = Mixer(SPEC)
    mixer.set_gain(2, 0.5)
    mixer.set_mute(2, True)
    assert (mixed(mixer, ones())[:, 2, :, RAMP:] == 0.0).all()
    mixer.set_mute(2, False)
    assert (mixed(mixer, ones())[:, 2, :, RAMP:] == 0.5).all()


def test_solo_silences_the_other_stems_of_that_feed():
    mixer = Mixer(SPEC)
    mixer.set_solo(3, True, feed=0)
    mixer.set_solo(1, True, feed=0)
    mixer.set_mute(1, True, feed=0)
    got = mixed(mixer, ones())[..., -1][..., 0]
    assert got.tolist() == [[0, 0, 0, 1], [1, 1, 1, 1]]
    mixer.set_solo(3, False, feed=0)
    mixer.set_solo(1, False, feed=0)
    mixer.set_mute(1, False, feed=0)
    assert (mixed(mixer, ones())[..., -1] == 1.0).all()


@pytest.mark.parametrize("blocksize", [1, 63, 1000])
def test_gains_do_not_depend_on_blocksize(blocksize):
    audio = np.random.default_rng(1).standard_normal((6, 2, 4, 2, 256)).astype(np.float32)
    results = []
    for size in (blocksize, 256):
        mixer = Mixer(SPEC)
        mixer.set_gain(0, 0.3)
        mixer.set_mute(1, True)
        results.append(mixed(mixer, audio, size))
    np.testing.assert_array_equal(*results)


def test_setting_what_is_already_set_starts_no_ramp():
    mixer = Mixer(SPEC)
    mixer.set_gain(0, 0.5)
    mixed(mixer, ones())
    mixer.set_gain(0, 0.5)
    assert (mixed(mixer, ones())[:, 0] == 0.5).all()


def test_reset_is_unity_at_once():
    mixer = Mixer(SPEC)
    mixer.set_gain(0, 0.5)
    mixer.set_solo(2, True)
    mixed(mixer, ones())
    mixer.reset()
    assert (mixed(mixer, ones()) == 1.0).all()
