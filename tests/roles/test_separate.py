"""What clients turn reaches the stems and the features of the feed it was turned for."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

from stemd.processors.features import Features
from stemd.roles.separate import Pipeline
from stemd.spec import SOURCES, StreamSpec
from stemd.status import State, Status

from ..device.conftest import START_S, running


@pytest.fixture
def role():
    """As much of the role as tuning touches, of two feeds."""
    spec = StreamSpec.of("live", 48000, 2)
    features = Features(spec)
    calls = []
    for name in ("pitch", "tempo"):
        processor = getattr(features, name)
        plain = processor.set_range

        def counted(*given, name=name, plain=plain):
            calls.append((name, *given))
            plain(*given)

        processor.set_range = counted
    return SimpleNamespace(
        spec=spec,
        features=features,
        calls=calls,
        intake=SimpleNamespace(arrival_ns=0),
        _hop_ns=0,
        _taps=np.zeros(2, np.int64),
        _tempi=np.zeros((2, 2)),
        _pitches=np.zeros((2, len(SOURCES), 2)),
    )


@pytest.fixture
def mixer():
    status = Status.create(2)
    yield status.mixer
    status.close()


def test_each_feed_has_thresholds_of_its_own(role, mixer):
    mixer["onset_threshold"][1, 2] = 3.0
    mixer["drum_threshold"][0, 1] = 2.0
    Pipeline._tune(role, mixer)
    wanted = np.ones((2, len(SOURCES)))
    wanted[1, 2] = 3.0
    np.testing.assert_array_equal(role.features.onset.threshold, wanted)
    np.testing.assert_array_equal(role.features.drums.threshold, [[1, 2, 1], [1, 1, 1]])


def test_only_the_range_that_was_turned_is_set_again(role, mixer):
    Pipeline._tune(role, mixer)
    assert len(role.calls) == 2 + 2 * len(SOURCES)  # at first all
    role.calls.clear()
    Pipeline._tune(role, mixer)
    assert role.calls == []
    mixer["pitch_high_hz"][1, 3] = 500.0
    mixer["tempo_low_bpm"][0] = 90.0
    Pipeline._tune(role, mixer)
    low = float(mixer["pitch_low_hz"][1, 3])
    assert role.calls == [("tempo", 0, 90.0, 180.0), ("pitch", 3, low, 500.0, 1)]


def test_what_is_muted_from_the_start_is_never_heard():
    with running("source.kind=demo", 'mixer.mute=["vocals", "drums"]') as it:
        it.collect(0.2)
        pid = int(it.status.separate["pid"])
        os.kill(pid, signal.SIGKILL)  # its successor has never heard of a mute either
        heard, end_s = [], time.monotonic() + START_S
        while int(it.status.separate["pid"]) == pid or len(heard) < 200:
            assert time.monotonic() < end_s
            if len(sink := it.collect(0.1)):
                heard += list(sink.hops["stems"])
        stems = np.array(heard)
        assert np.abs(stems).max() > 0.01
        assert not stems[:, 0, :2].any()


def test_bypass_is_the_input_whatever_the_faders_say():
    desk = ["mixer.bypass=true", 'mixer.mute=["other"]', 'mixer.solo=["bass"]']
    with running("source.kind=tone", *desk) as it:
        hops = it.collect(0.5).hops
        assert np.abs(hops["mix"]).max() > 0.01
        np.testing.assert_allclose(hops["stems"].sum(axis=2), hops["mix"], atol=1e-6)
        mixer = it.status.mixer
        mixer["paused"] = 1
        mixer["rev"] += 1
        it.until_state(State.PAUSED)
        it.collect(0.2)  # the fade, and what was in the outbox
        hops = it.collect(0.3).hops
        assert np.abs(hops["mix"]).max() > 0.01
        assert not hops["stems"].any()


def test_what_is_made_faster_than_it_plays_waits_for_its_masks():
    """With a deadline that no model keeps."""
    with running("source.kind=demo", 'source.pace="fast"', "model.deadline=0.05") as it:
        hops = it.collect(0.5).hops
        assert len(hops) > 100
        separate = it.status.separate
        assert (int(separate["late"]), int(separate["skipped"])) == (0, 0)
