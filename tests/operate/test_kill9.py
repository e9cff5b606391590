"""kill -9 of any process at any moment: nothing stays behind, nothing is half written."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import stemd.client
from stemd.errors import StemdError
from stemd.shared import PLACE, PREFIX, sweep

from ..cli.conftest import RunningCommand, alive, end, start
from ..device.conftest import START_S
from ..servers import wait_for
from ..sinks.support import free_port

ROUNDS = int(os.environ.get("KILL9_ROUNDS", "50"))
ROLES = ("capture", "separate", "publish", "record", "metrics")


def pids_of(status: dict[str, Any]) -> dict[str, int]:
    return {name: status[name]["pid"] for name in ("daemon", *ROLES)}


def turn(running: RunningCommand, value: float) -> None:
    """Move a fader, so that there is something to be half written."""
    try:
        with stemd.client.connect(control_port=running.control_port, timeout_s=2.0) as client:
            client.control("set", stem="bass", gain=value)
    except StemdError:
        pass  # the publisher is the one that was killed


@pytest.mark.slow
def test_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    state, takes = tmp_path / "state.json", tmp_path / "takes"
    config = tmp_path / "stemd.toml"
    config.write_text(
        f'[source]\nkind = "tone"\n[record]\nenabled = true\ndirectory = "{takes}"\n'
        f'[state]\nfile = "{state}"\n[metrics]\nenabled = true\nport = {free_port()}\n'
    )
    written = config.read_bytes()
    chance = random.Random(9)
    seen: set[int] = set()
    killed = dict.fromkeys(("daemon", *ROLES), 0)
    running = start("-c", config)
    try:
        running.until_running()
        for _ in range(ROUNDS):
            status = running.next_status()
            pids = pids_of(status)
            seen |= {pid for pid in pids.values() if pid}
            turn(running, chance.random())
            time.sleep(chance.random() * 1.5)
            victim = chance.choice([*killed])
            killed[victim] += 1
            try:
                os.kill(pids[victim], signal.SIGKILL)
            except ProcessLookupError:
                continue  # it was being replaced
            if victim == "daemon":
                running.process.wait(10)
                wait_for_end(pids)
                running = start("-c", config)
                running.until_running()
            else:
                wait_until_whole(running, victim, pids[victim])
            assert config.read_bytes() == written
            if state.exists():
                kept = json.loads(state.read_bytes())
                assert 0.0 <= kept["knobs"]["gain"]["main"]["bass"] <= 1.0
        seen |= set(pids_of(running.next_status()).values())
    finally:
        end(running)
    assert sum(killed.values()) == ROUNDS
    wait_for(lambda: not any(map(alive, seen - {0})), 20.0, "the end of every process")
    sweep()
    assert not [p for p in PLACE.glob(f"{PREFIX}*") if int(p.name.split("-")[1]) in seen]
    # A part of a file that was being written may lie beside it, under a name nobody reads.
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")} <= {
        *("state.json", "takes", "stemd.toml"),
    }


def wait_until_whole(running: RunningCommand, victim: str, pid: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        status = running.next_status()
        back = status[victim]["ready"] and status[victim]["pid"] not in (0, pid)
        if status["state"] == "RUNNING" and back:
            return
    raise AssertionError(f"{victim} did not come back")


def wait_for_end(pids: dict[str, int]) -> None:
    wait_for(lambda: not any(map(alive, pids.values())), 20.0, "the children's end")
