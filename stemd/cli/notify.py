"""What the service manager is told: ready, alive, stopping.  Source: sd_notify(3).

Alive means that hops come out. A daemon whose audio hangs is restarted, however well it ticks.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .log import described

if TYPE_CHECKING:
    from stemd.daemon import Daemon

STATUS_S = 1.0


class Notifier:
    """Speaks to one socket; does nothing where there is none.

    Parameters
    ----------
    address : str
        Of a datagram socket in the file system, or with a leading @ in the abstract one. Empty:
        there is no service manager.
    watchdog_s : float
        It wants to hear from us this often; 0: it does not watch.
    """

    def __init__(self, address: str, watchdog_s: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every_s = watchdog_s / 3
        self._socket = None
        if address and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._ready = False
        self._said = ""
        self._progress = -1
        self._fed_s = self._told_s = 0.0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Notifier:
        """As systemd tells it to the process it started."""
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "0") if watched else "0"
        return cls(
            environment.get("NOTIFY_SOCKET", ""), int(usec) * 1e-6 if usec.isdigit() else 0.0
        )

    def look(self, daemon: Daemon) -> None:
        """Say what is new."""
        if self._socket is None:
            return
        status, now_s = daemon.status, time.monotonic()
        state = status.state.name
        if not self._ready and state in ("RUNNING", "STALLED", "PAUSED"):
            # The first hop is out: whoever was started after us finds audio.
            if status.inserts["alone"] or int(status.publish["hops"]) > 0:
                self._ready = self._send("READY=1")
        elif self._ready and self._every_s and now_s - self._fed_s >= self._every_s:
            progress = int(status.separate["hops"])
            if status.inserts["alone"]:
                progress = int(status.inserts["heartbeat_ns"])
            # While everything starts anew there is no hop, and the daemon gives up by itself.
            moved = progress != self._progress or state == "STARTING"
            if moved and self._send("WATCHDOG=1"):
                self._progress, self._fed_s = progress, now_s
        if now_s - self._told_s >= STATUS_S:
            self._told_s = now_s
            line = described(status.snapshot())
            if line != self._said and self._send(f"STATUS={line}"):
                self._said = line

    def stopping(self) -> None:
        """The orderly end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        """False when the manager is not there, or its queue is full: to be tried again."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True
