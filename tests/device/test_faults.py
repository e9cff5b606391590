"""Sound servers that die, freeze and come back."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from stemd.spec import STEMS
from stemd.status import State
from stemd.wire.header import FLAG_CONCEALED, FLAG_DISCONTINUITY, FLAG_LATE, FLAG_SILENCE

from ..servers import JackServer, feeder, jack
from .conftest import Running, running
from .test_live_path import FEED

pytestmark = pytest.mark.device


def stall(it: Running, server: JackServer, how: str) -> None:
    """Hurt the server, and look at what listeners get meanwhile."""
    session = int(it.status.daemon["session"])
    separate, publish = int(it.status.separate["pid"]), int(it.status.publish["pid"])
    sink = it.collect(0.5)
    before = int(sink.hops["sample_pos"][-1])
    getattr(server, how)()
    it.until_state(State.STALLED)
    stalled = it.collect(1.0).hops
    assert len(stalled) > 100  # silence flows at about real time: 187 hops a second
    quiet = stalled[-20:]
    assert (quiet["state"] == State.STALLED).all()
    assert (quiet["flags"] & FLAG_DISCONTINUITY).all()
    assert (quiet["flags"] & FLAG_CONCEALED).all()
    assert (quiet["flags"] & FLAG_SILENCE).all()
    assert not quiet["stems"].any()
    assert not quiet["features"][:, :, :, 3].any()  # no onset invented
    assert (np.diff(stalled["sample_pos"]) > 0).all()
    assert stalled["sample_pos"][0] > before
    assert int(it.status.separate["pid"]) == separate
    assert int(it.status.publish["pid"]) == publish
    assert int(it.status.daemon["session"]) == session


def back(it: Running) -> None:
    """Audio is there again, exact, without anything having been restarted by hand."""
    # A busy machine may need the whole second for less than the hops that are looked at.
    it.until_sound()
    sink = it.collect(1.0)
    hops = sink.hops
    tail = hops[-50:]
    # A late model is this machine's business, and costs neither a sample nor the sum.
    assert np.isin(tail["flags"], (0, FLAG_LATE)).all()
    assert (np.diff(tail["sample_pos"]) == 256).all()
    mix, stems = sink.mix(), sink.stems()
    np.testing.assert_allclose(stems.sum(axis=0), mix, atol=1e-6, rtol=0)
    n = np.rint(mix[0, -50 * 256 :].astype(np.float64) * 2**24)
    assert (np.diff(n) == 1).all()


def test_what_freezes_or_dies_stalls_the_stream_until_it_is_back() -> None:
    """Our own capture process, then the sound server, in both ways."""
    with jack() as server, feeder(server), running(*FEED) as it:
        pid = int(it.status.capture["pid"])
        os.kill(pid, signal.SIGSTOP)
        it.until_state(State.STALLED)
        it.until(lambda: int(it.status.capture["pid"]) != pid, 20.0, "a new capture process")
        back(it)
        stall(it, server, "freeze")
        server.thaw()
        back(it)
        stall(it, server, "kill")
        server.start()
        with feeder(server):
            back(it)


def test_a_killed_separator_is_replaced_while_the_others_live_on() -> None:
    with jack() as server, feeder(server), running(*FEED) as it:
        before = it.collect(0.3).hops
        others = [int(getattr(it.status, role)["pid"]) for role in ("capture", "publish")]
        pid = int(it.status.separate["pid"])
        os.kill(pid, signal.SIGKILL)
        hops = int(it.status.separate["hops"])
        it.until(lambda: int(it.status.separate["hops"]) > hops + 20, 60.0, "hops again")
        after = it.collect(0.5).hops
        assert int(it.status.separate["pid"]) != pid
        assert others == [int(getattr(it.status, role)["pid"]) for role in ("capture", "publish")]
        # The session's clock counted what nobody heard.
        assert int(it.status.separate["lost_input"]) > 0
        assert after["session"][0] == before["session"][0]
        assert after["sample_pos"][0] - before["sample_pos"][-1] > 48_000 * 0.3
        back(it)


def test_lost_blocks_become_as_much_silence() -> None:
    """Without `timeline=content` a jump of the device clock is lost audio."""
    with jack(sync=False) as server, feeder(server), running(*FEED[:-1]) as it:
        it.collect(0.5)
        pid = int(it.status.capture["pid"])
        os.kill(pid, signal.SIGSTOP)  # the server goes on without us
        time.sleep(0.1)
        os.kill(pid, signal.SIGCONT)
        sink = it.collect(1.0)
        lost = int(it.status.separate["lost_input"])
        concealed = int(it.status.separate["concealed"])
    assert lost >= 0.05 * 48_000
    assert concealed == lost
    assert (sink.hops["flags"] & FLAG_CONCEALED).any()
    assert (np.diff(sink.hops["sample_pos"]) == 256).all()
    # What follows the gap stands where the clock says, to within the device clock's own jitter.
    mix = sink.mix()[0].astype(np.float64) * 2**24
    assert len(STEMS) == sink.stems().shape[0]
    assert np.median(np.diff(mix[-4800:])) == 1


def test_a_device_that_comes_back_at_another_rate_is_followed() -> None:
    with jack(samplerate=44_100) as server, feeder(server), running(*FEED) as it:
        assert it.daemon.spec.samplerate == 44_100
        session = int(it.status.daemon["session"])
        server.kill()
        it.until_state(State.STALLED)
        server.samplerate = 48_000
        server.start()
        with feeder(server):
            it.until(lambda: it.daemon.spec.samplerate == 48_000, 20.0, "the new rate")
            it.until_sound()
            it.tap = None
            assert int(it.status.daemon["session"]) != session
            hops = it.collect(0.5).hops
            assert np.isin(hops["flags"], (0, FLAG_LATE)).all()


def test_jack_ports_are_the_stems_and_come_back_with_the_server() -> None:
    wanted = {f"stemd:{stem}_{side}" for stem in STEMS for side in "LR"}
    with (
        jack() as server,
        running("source.kind=demo", "output.enabled=true", "output.kind=jack") as it,
    ):
        it.until(lambda: wanted <= set(server.ports().split()), 20.0, "ports of the stems")
        server.kill()
        it.until(lambda: "server" in it.status.reason, 20.0, "the word that there is no server")
        server.start()
        it.until(lambda: wanted <= set(server.ports().split()), 20.0, "the ports again")
        samples = int(it.status.play["samples"])
        it.until(lambda: int(it.status.play["samples"]) > samples, 20.0, "audio on them")
