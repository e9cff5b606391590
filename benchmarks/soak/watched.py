"""`stemd run` in a process of its own, and the eyes of the soak on it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import stemd.client
from benchmarks.kills import shared_of
from stemd.shared import PLACE
from stemd.status import State, Status, _dtype
from tests.device.conftest import START_S
from tests.servers import wait_for


class _Mapped:
    """The daemon's status, looked at and not touched."""

    def __init__(self, path: Path) -> None:
        self.view: Any = np.memmap(path, _dtype(1), mode="r", shape=(1,))[0]


class Watched:
    """A daemon of one feed.

    Parameters
    ----------
    config : path
    control_port : int
    log : path
        Takes what it says.

    Attributes
    ----------
    status : Status
        As the daemon's own processes see it, read-only.
    """

    def __init__(self, config: Path, control_port: int, log: Path) -> None:
        self.control_port = control_port
        command = [sys.executable, "-m", "stemd", "run", "-c", str(config), "--no-view"]
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)
        self.status: Any = None
        size = _dtype(1).itemsize
        memory = self.until(lambda: self._memory(size), START_S, "the daemon's status")
        self.status = Status(_Mapped(memory), 1)  # type: ignore[arg-type]

    @property
    def pid(self) -> int:
        """Process number."""
        return self.process.pid

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
        """Wait for `condition()`; the daemon has to live meanwhile."""

        def look() -> Any:
            self._check()
            return condition()

        return wait_for(look, timeout_s, what)

    def until_state(self, state: State, timeout_s: float) -> None:
        """Wait for a state."""
        self.until(lambda: self.status.state is state, timeout_s, f"state {state.name}")

    def wait(self, seconds: float) -> None:
        """Wait so long; the daemon has to live meanwhile."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left_s, 0.1))

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """A request to its control port, and the answer."""
        with stemd.client.connect(control_port=self.control_port) as client:
            return client.control(op, timeout_s=40.0, **fields)

    def end(self) -> int:
        """Its exit code, after an order to end."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(30.0)
        self.process.kill()
        return self.process.wait()

    def _check(self) -> None:
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}"

    def _memory(self, size: int) -> Path | None:
        for name in shared_of({self.pid}):
            with contextlib.suppress(OSError):
                if os.stat(PLACE / name).st_size == size:
                    return PLACE / name
        return None
