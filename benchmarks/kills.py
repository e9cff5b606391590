"""kill -9 of any process of a daemon at random moments, and what is left of it.

    python benchmarks/kills.py --rounds 200     # a quarter of an hour

The daemon records, keeps a state file, serves metrics, plugins and a console. Each round a fader is
moved, so that there is something to be half written, and after a random while one of its processes
is killed, the daemon too, also while it starts. Prints what was counted as one line of JSON; ends
with 1 when anything but times is not 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import soundfile

import stemd.client
from stemd.errors import StemdError
from stemd.shared import pieces
from tests.cli.conftest import RunningCommand, start
from tests.sinks.support import free_port

ROLES = ("capture", "separate", "publish", "record", "inserts", "metrics", "console")
TRACKER = "tracker"  # multiprocessing's, of shared memory
VICTIMS = ("daemon", *ROLES, TRACKER)
BACK_S = 90.0
GONE_S = 15.0  # a child looks for its parent each time it would wait
WHOLE = ("config", "state", "take", "sound")  # kinds of files looked at


def session_of(pid: int) -> int:
    """Session of a process that runs (a zombie does not); 0: it does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[3])


def processes_of(sessions: set[int]) -> list[int]:
    """All that runs in these sessions: daemons and whatever they started."""
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    return [pid for pid in pids if session_of(pid) in sessions]


def shared_of(pids: set[int]) -> list[str]:
    """Shared memory and semaphores of these daemons."""
    return [path.name for path, pid in pieces() if pid in pids]


class Watched:
    """A daemon, and the newest it said."""

    def __init__(self, config: Path, control_port: int) -> None:
        self.running: RunningCommand = start("-c", config, ports=([], control_port))
        self.pid = self.running.process.pid
        self.latest: dict[str, Any] = {}
        for read in (self._listen, self._drain):
            threading.Thread(target=read, daemon=True).start()

    def _listen(self) -> None:
        assert self.running.process.stdout is not None
        for line in self.running.process.stdout:
            with contextlib.suppress(ValueError):  # it was killed in the middle of a word
                self.latest = json.loads(line)

    def _drain(self) -> None:
        assert self.running.process.stderr is not None
        for _ in self.running.process.stderr:
            pass

    def whole(self) -> bool:
        """Everything is there and well."""
        said = self.latest
        return bool(said) and said["state"] == "RUNNING" and all(
            said[role]["ready"] and session_of(said[role]["pid"]) for role in ROLES
        )  # fmt: skip

    def pid_of(self, victim: str) -> int:
        """0: it is not there now."""
        if victim == "daemon":
            return self.pid
        if victim == TRACKER:
            return next((p for p in processes_of({self.pid}) if _is_tracker(p)), 0)
        return int(self.latest[victim]["pid"]) if self.latest else 0


def _is_tracker(pid: int) -> bool:
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Kills:
    """Rounds in one folder.

    Attributes
    ----------
    killed : Counter
        By process.
    found : Counter
        What should not be, by kind.
    back_s : dict
        The longest time until all was well again, by process.
    """

    def __init__(self, folder: Path, seed: int = 9) -> None:
        self.killed: Counter[str] = Counter()
        self.found = Counter(dict.fromkeys(
            ("orphans", "shared_memory", "not_back", *(f"broken_{kind}" for kind in WHOLE)), 0
        ))  # fmt: skip
        self.back_s: dict[str, float] = {}
        self.swept = 0  # pieces of memory that waited for the next start
        self.starting = 0  # daemons killed before they ran
        self._chance = random.Random(seed)
        self._folder = folder
        self._control_port = free_port()
        self._config = folder / "stemd.toml"
        self._state, self._takes = folder / "state.json", folder / "takes"
        self._config.write_text(
            "[source]\nkind = 'tone'\n"
            f"[record]\nenabled = true\ndirectory = '{self._takes}'\n"
            f"[state]\nfile = '{self._state}'\n"
            f"[metrics]\nenabled = true\nport = {free_port()}\n"
            f"[console]\nport = {free_port()}\n"
            f"[inserts]\nenabled = true\nendpoint = 'ipc://{folder}/inserts'\nsession = 13\n"
            f"[zeromq]\naudio_port = {free_port()}\nfeatures_port = {free_port()}\n"
            f"control_port = {self._control_port}\n"
            f"[osc]\nlisten = '127.0.0.1:{free_port()}'\ntargets = []\n"
        )
        self._written = self._config.read_bytes()
        self._daemons: set[int] = set()
        self._watched: Watched

    def run(self, rounds: int, say: Callable[[str], None] = lambda line: None) -> None:
        """Kill so many times, then end the last one in order and look around."""
        self._begin()
        self._until("daemon", self._watched.whole)
        try:
            while sum(self.killed.values()) < rounds:
                self._round(self._chance.choice(VICTIMS))
                say(f"{sum(self.killed.values())}/{rounds} {dict(+self.found)}")
        finally:
            self._end()
        self._look_for_orphans(self._daemons)
        self.found["shared_memory"] += len(shared_of(self._daemons))
        self._look_at_files()

    def _end(self) -> None:
        process = self._watched.running.process
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            self.found["orphans"] += 1
            os.killpg(process.pid, signal.SIGKILL)

    def _begin(self) -> None:
        self._watched = Watched(self._config, self._control_port)
        self._daemons.add(self._watched.pid)

    def _round(self, victim: str) -> None:
        self._turn()
        time.sleep(self._chance.random() * 1.5)
        pid = self._watched.pid_of(victim)
        try:
            if pid == 0:
                return
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it was being replaced
        self.killed[victim] += 1
        if victim == "daemon":
            self._bury()
            while self._chance.random() < 0.3:  # and the next one does not even come to run
                time.sleep(self._chance.random() * 3.0)
                self._watched.running.process.kill()
                self.killed[victim] += 1
                self.starting += 1
                self._bury()
            self._until(victim, self._watched.whole)
        elif victim == TRACKER:
            pass  # nobody needs it to go on
        elif self._chance.random() < 0.8:  # else the next is killed while this one comes back
            self._until(
                victim,
                lambda: self._watched.pid_of(victim) != pid and self._watched.whole(),
            )
        self._look_at_files()

    def _bury(self) -> None:
        """A daemon is dead: nothing of it may go on; the next one sweeps what it left."""
        dead = self._watched.pid
        self._watched.running.process.wait(10)
        self._look_for_orphans({dead})
        before = len(shared_of({dead}))
        self._begin()
        deadline = time.monotonic() + BACK_S
        while shared_of({dead}) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = len(shared_of({dead}))
        self.swept += before - left
        self.found["shared_memory"] += left

    def _turn(self) -> None:
        """Move a fader, so that there is something to be half written."""
        with (
            contextlib.suppress(StemdError),  # the publisher is the one that was killed
            stemd.client.connect(control_port=self._control_port, timeout_s=1.0) as client,
        ):
            client.control("set", stem="bass", gain=self._chance.random())

    def _until(self, victim: str, well: Callable[[], bool]) -> None:
        begin = time.monotonic()
        while not well():
            if time.monotonic() - begin > BACK_S:
                self.found["not_back"] += 1
                return
            time.sleep(0.05)
        took_s = round(time.monotonic() - begin, 1)
        self.back_s[victim] = max(self.back_s.get(victim, 0.0), took_s)

    def _look_for_orphans(self, sessions: set[int]) -> None:
        deadline = time.monotonic() + GONE_S
        while processes_of(sessions) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in processes_of(sessions):
            self.found["orphans"] += 1
            os.kill(pid, signal.SIGKILL)

    def _look_at_files(self) -> None:
        self.found["broken_config"] += self._config.read_bytes() != self._written
        if self._state.exists():
            try:
                gain = json.loads(self._state.read_bytes())["knobs"]["gain"]["main"]["bass"]
                self.found["broken_state"] += not 0.0 <= gain <= 1.0
            except (ValueError, KeyError, TypeError):
                self.found["broken_state"] += 1
        takes = sorted(self._takes.glob("*"))
        for take in takes[-3:]:  # the older ones were looked at before
            try:
                if (take / "take.json").exists():
                    json.loads((take / "take.json").read_bytes())
            except ValueError:
                self.found["broken_take"] += 1
            for file in take.glob("*.wav"):
                # Of a file that is just being made there is not even a header.
                if file.stat().st_size > 4096 and not _plays(file):
                    self.found["broken_sound"] += 1


def _plays(file: Path) -> bool:
    for _ in range(3):  # a header may be half read while it is brought up to date
        try:
            return bool(soundfile.info(str(file)).samplerate == 48_000)
        except soundfile.LibsndfileError:
            time.sleep(0.05)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stemd-kills-") as folder:
        kills = Kills(Path(folder), arguments.seed)
        kills.run(arguments.rounds, lambda line: print(line, file=sys.stderr, flush=True))
    print(
        json.dumps(
            {
                "killed": dict(kills.killed),
                "while_starting": kills.starting,
                "found": dict(kills.found),
                "swept_at_the_next_start": kills.swept,
                "back_s": kills.back_s,
            }
        )
    )
    sys.exit(bool(+kills.found))


if __name__ == "__main__":
    main()
