"""A sound server has one rate and may go away; a stream that follows it does not forget either."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import stemd.client
import stemd.machine
from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.status import State

from ..servers import feeder, jack
from .conftest import START_S, Running, port_overrides, running

pytestmark = pytest.mark.device


def test_the_rate_of_a_jack_server_is_taken_over() -> None:
    with jack(samplerate=44_100) as server, feeder(server), running("source.kind=jack") as it:
        it.until(lambda: it.status.capture["blocks"] > 10, START_S, "audio from the ports")
        assert int(it.status.capture["samplerate"]) == 44_100
        assert it.daemon.config.source.samplerate == 44_100
        nothing_changes(it)
        assert int(it.status.capture["samplerate"]) == 44_100


def nothing_changes(it: Running) -> None:
    """A reload of the same configuration does not touch the stream."""
    session, source = int(it.status.daemon["session"]), it.daemon.config.source
    assert it.daemon.reload() == (True, "nothing changed")
    it.collect(0.3)
    assert it.daemon.config.source == source
    assert int(it.status.daemon["session"]) == session


# `auto` becomes `device` on its way.
@pytest.mark.parametrize("kind", ["auto", pytest.param("device", marks=pytest.mark.slow)])
def test_a_reload_while_the_device_is_away_waits_on(kind: str) -> None:
    with jack(samplerate=44_100) as server, running(f"source.kind={kind}") as it:
        it.until(lambda: it.status.capture["samplerate"] == 44_100, START_S, "the server's rate")
        it.until_sound(START_S)
        nothing_changes(it)
        server.kill()
        it.until_state(State.STALLED)
        nothing_changes(it)
        assert it.daemon.config.source.kind == "device"
        server.start()
        it.until_sound(START_S)
        assert int(it.status.capture["samplerate"]) == 44_100


def test_a_device_that_is_named_and_not_there_is_awaited() -> None:
    ports, _ = port_overrides()
    settings = [*ports, "source.kind=auto", "source.device=nobody's"]
    daemon = Daemon(load_config(None, settings), overrides=settings)
    daemon.start()
    it = Running(daemon, 0)
    try:
        it.until_state(State.STALLED, START_S)
        it.until(lambda: "nobody's" in it.status.reason, START_S, "its name")
        nothing_changes(it)
        assert it.status.state is State.STALLED
        assert daemon.config.source.kind == "device"
    finally:
        daemon.stop()


def test_a_refused_reload_leaves_the_rate_followed(tmp_path: Path) -> None:
    path = tmp_path / "stemd.toml"
    path.write_text('[source]\nkind = "jack"\n')
    ports, _ = port_overrides()
    daemon = Daemon(load_config(path, ports), config_path=path, overrides=ports)
    it = Running(daemon, 0)
    with jack(samplerate=44_100) as server:
        daemon.start()
        try:
            it.until(lambda: it.status.capture["samplerate"] == 44_100, START_S, "its rate")
            it.until_sound(START_S)
            path.write_text(
                '[source]\nkind = "jack"\nsamplerate = 44100\n[model]\nname = "nobody"\n'
            )
            ok, refusal = daemon.reload()
            assert not ok
            assert "nobody" in refusal
            server.kill()
            server.samplerate = 48_000
            server.start()
            it.until(lambda: it.status.capture["samplerate"] == 48_000, START_S, "the other rate")
        finally:
            daemon.stop()


def test_a_client_that_chooses_a_device_has_the_machine_asked_once(monkeypatch: Any) -> None:
    asked = []
    real = stemd.machine.probe

    def counted(timeout_s: float) -> Any:
        asked.append(timeout_s)
        return real(timeout_s)

    monkeypatch.setattr(stemd.machine, "probe", counted)
    with jack(), running("source.kind=tone") as it:
        assert not asked
        session = int(it.status.daemon["session"])
        answer: list[Any] = []

        def choose() -> None:
            with stemd.client.connect(control_port=it.control_port, timeout_s=30.0) as client:
                answer.append(client.control("device", name="system", host_api="JACK"))

        client = threading.Thread(target=choose)
        client.start()
        it.until(lambda: int(it.status.daemon["session"]) != session, START_S, "the device")
        client.join()
        assert answer
        assert len(asked) == 1
        it.until_sound(START_S)
        nothing_changes(it)
        assert len(asked) == 1
