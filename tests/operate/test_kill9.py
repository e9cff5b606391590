"""kill -9 of any process at any moment: nothing stays behind, nothing is half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.kills import Kills

ROUNDS = int(os.environ.get("KILL9_ROUNDS", "50"))


@pytest.mark.slow
def test_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    kills = Kills(tmp_path)
    kills.run(ROUNDS)
    assert sum(kills.killed.values()) >= ROUNDS
    assert not +kills.found
    # A part of a file that was being written may lie beside it, under a name nobody reads.
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")} <= {
        *("state.json", "takes", "stemd.toml", "inserts"),
    }
