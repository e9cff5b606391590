"""What the daemon gives each process, and what every process does the same way."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..config import Config
from ..outbox import OutboxHandle
from ..ring import RingHandle
from ..spec import StreamSpec
from ..status import State, Status, StatusHandle


@dataclass(frozen=True, slots=True)
class Links:
    """Arguments of a role; travels through `spawn`."""

    config: Config
    spec: StreamSpec
    status: StatusHandle
    ring: RingHandle
    outbox: OutboxHandle
    wake: dict[str, Any]  # semaphores by reader: separate, publish, play, record
    follow_rate: bool = False  # the configuration leaves the rate to the device
    logbook: Any = None  # SharedHandle
    hatch: Any = None  # socket pair: publish's end, the console's end
    stdin: Any = None  # Connection around the daemon's standard input, for the stdin source


class Role:
    """A process's own section of the status, and its orders.

    Parameters
    ----------
    name : str
        One of `status.ROLES`.
    status : Status
        Attached in this process.
    """

    def __init__(self, name: str, status: Status) -> None:
        self.status = status
        self.section = getattr(status, name)
        # Not os.getppid(): a daemon that was killed while we started is nobody's parent any more.
        parent = multiprocessing.parent_process()
        self._parent = (parent.pid if parent else None) or os.getppid()
        # Terminals and service managers signal the whole group, but the daemon decides the order
        # of ending.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if hasattr(signal, "SIGHUP"):  # a terminal that is closed says so to the group, too
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.section["pid"] = os.getpid()
        self.beat()

    def beat(self) -> None:
        """Tell the daemon that this process is alive."""
        self.section["heartbeat_ns"] = time.monotonic_ns()

    @property
    def stopping(self) -> bool:
        """The daemon asked for the end, or is gone."""
        return bool(self.section["stop"]) or os.getppid() != self._parent

    @property
    def is_first_start(self) -> bool:
        """Whether somebody is still watching the daemon start.

        Then a taken port is an error to be seen. Later, in the middle of a show, it is not worth
        the audio: what is missing is tried again.
        """
        daemon = self.status.daemon
        return int(daemon["state"]) == State.STARTING and int(daemon["config_rev"]) == 0

    def note(self, lines: list[str]) -> None:
        """One line for the daemon's log."""
        Status.set_text(self.section, "note", "; ".join(lines))

    def reason(self, line: str) -> None:
        """Why things are not as they should be; empty when they are."""
        Status.set_text(self.section, "reason", line)

    def ready(self) -> None:
        """Start-up is over: what is alive now stays, so the garbage collector need not look."""
        gc.collect()
        gc.freeze()
        self.section["ready"] = 1
        self.beat()


def wait(wake: Any, timeout_s: float) -> None:
    """Sleep until a hop is told, at most `timeout_s`; the round that follows takes all of them."""
    if wake.acquire(True, timeout_s):
        while wake.acquire(False):
            pass


RunRole = Callable[[Links], None]
