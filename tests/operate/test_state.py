"""What clients turned is there again after a restart, and nonsense in its file does no harm."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.desk import Desk
from stemd.files import write_whole
from stemd.keeper import Keeper
from stemd.status import State, Status
from stemd.wire.control import Setting

from ..device.conftest import START_S, port_overrides
from ..servers import wait_for

FEEDS = ("main", "desk")


@pytest.fixture
def status(monkeypatch: Any) -> Iterator[Status]:
    monkeypatch.setattr("stemd.keeper.FINISH_S", 30.0)  # this machine's disk may be slow
    made = Status.create(2)
    yield made
    made.close()


def test_knobs_come_back_where_they_were(tmp_path: Path, status: Status, caplog: Any) -> None:
    path = tmp_path / "state.json"
    turned = [
        Setting("gain", 1, 2, 0.25),
        Setting("mute", 0, 1, 1.0),
        Setting("onset_threshold", 0, 0, 3.0),
        Setting("drum_threshold", 1, 2, 2.0),
        Setting("tempo_low_bpm", 0, 0, 90.0),
        Setting("paused", 0, 0, 1.0),
    ]
    Desk(status, FEEDS).set(turned)
    first = Keeper(str(path))
    first.keep(status, FEEDS, ["model.name=oak"])
    first.finish()
    fresh = Status.create(2)
    try:
        with caplog.at_level(logging.WARNING):
            keeper = Keeper(str(path))
            keeper.restore(fresh, FEEDS)
        for one in turned[:-1]:
            value = Desk(fresh, FEEDS).value(one.name, one.feed, one.source)
            assert value == pytest.approx(one.value), one
        assert not fresh.mixer["paused"]  # nobody wants to start in silence
        assert "desk drums gain 0.25" in caplog.text
        assert keeper.overrides() == ["model.name=oak"]
    finally:
        fresh.close()


NONSENSE = [
    b"",
    b"\xff\x00",
    b"[]",
    b"[" * 100_000,
    b'{"version": 2}',
    b'{"version": 1, "knobs": 3, "overrides": {"a": 1}, "preset": 7}',
    b'{"version": 1, "knobs": {"gain": {"main": {"vocals": 1e9, "drums": "x", "bass": null}}}}',
    b'{"version": 1, "knobs": {"gain": {"main": {"vocals": NaN}}}, "overrides": ["zeromq.bind=0"]}',
    b" " * 2_000_000,
    b'{"version": 1, "knobs": {"gain": {"main": {"vocals": 1' + b"0" * 400 + b"}}}}",
    b'{"version": 1, "preset": "\\ud800"}',
]


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_changes_nothing(tmp_path: Path, status: Status, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    before = status.mixer["gain"].copy()
    keeper = Keeper(str(tmp_path / "state.json"))
    keeper.restore(status, FEEDS)
    assert keeper.overrides() == []
    assert (status.mixer["gain"] == before).all()


def test_a_place_that_cannot_be_written_is_said_once(
    tmp_path: Path, status: Status, caplog: Any, monkeypatch: Any
) -> None:
    keeper = Keeper(str(tmp_path / "nowhere" / "state.json"))
    monkeypatch.setattr("stemd.keeper.PERIOD_S", 0.0)
    for _ in range(3):
        keeper.keep(status, FEEDS, ())
        keeper.finish()
    assert caplog.text.count("expected a place to write") == 1


def test_a_disk_that_hangs_holds_nobody_up(
    tmp_path: Path, status: Status, monkeypatch: Any
) -> None:
    hangs = threading.Event()
    asked: list[bytes] = []

    def hang(path: Path, content: bytes) -> None:
        asked.append(content)
        hangs.wait(30.0)
        write_whole(path, content)

    monkeypatch.setattr("stemd.keeper.write_whole", hang)
    monkeypatch.setattr("stemd.keeper.PERIOD_S", 0.0)
    keeper = Keeper(str(tmp_path / "state.json"))
    for gain in (0.5, 0.25, 0.125):
        Desk(status, FEEDS).set([Setting("gain", 0, 1, gain)])
        keeper.keep(status, FEEDS, ())
    wait_for(lambda: asked, 10.0, "the write")
    assert len(asked) == 1
    hangs.set()
    keeper.finish()
    keeper.keep(status, FEEDS, ())  # and then it is the newest
    keeper.finish()
    kept = json.loads((tmp_path / "state.json").read_bytes())
    assert kept["knobs"]["gain"]["main"]["vocals"] == 0.125


def test_who_cannot_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with pytest.raises(OSError, match=r"."):
        write_whole(tmp_path / "file" / "below", b"new")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_daemon_restores_what_was_turned_before_it_was_ended(tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "state.json"

    def begin() -> Daemon:
        settings = [*port_overrides()[0], "source.kind=tone", f'state.file="{path}"']
        daemon = Daemon(load_config(None, settings), overrides=settings)
        daemon.start()
        wait_for(
            lambda: daemon.poll(0.01) and daemon.status.state is State.RUNNING, START_S, "running"
        )
        return daemon

    daemon = begin()
    Desk(daemon.status, ["main"]).set([Setting("mute", 0, 3, 1.0)])
    wait_for(
        lambda: (
            daemon.poll(0.01)
            and path.exists()
            and json.loads(path.read_bytes())["knobs"]["mute"]["main"]["bass"]
        ),
        20.0,
        "the state file",
    )
    daemon.kill()
    daemon = begin()
    try:
        assert daemon.status.mixer["mute"][0].tolist() == [0, 0, 1, 0]
        assert "main bass mute 1" in caplog.text
    finally:
        daemon.stop()
