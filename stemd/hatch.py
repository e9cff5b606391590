"""JSON lines between two of our own processes, through a socket pair nobody else can reach.

Neither end ever waits: what does not fit is refused, what makes no sense is passed over.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

MAX_LINE_BYTES = 65_536
MAX_WAITING_BYTES = 262_144  # for an end that does not read
MAX_LINES = 64  # taken at once


class Hatch:
    """One end; the other is in another process, and may be replaced by a new one at any time."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._out = b""
        self._in = b""
        # A process before us may have died in the middle of a line.
        self._torn = True

    def send(self, message: dict[str, Any]) -> bool:
        """Hand a message over; False when it is no message, or none was taken for too long."""
        try:
            line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        except RecursionError:  # what could be read could yet be too deep to be written
            return False
        if len(self._out) + len(line) > MAX_WAITING_BYTES or len(line) > MAX_LINE_BYTES:
            return False
        self._out += b"\n" + line if self._torn else line
        self._torn = False
        self._push()
        return True

    def receive(self) -> list[dict[str, Any]]:
        """What has come, a bounded number of messages."""
        self._push()
        with contextlib.suppress(OSError):  # nothing there
            self._in += self._socket.recv(MAX_LINE_BYTES)
        *lines, self._in = self._in.split(b"\n", MAX_LINES)
        if len(self._in) > 2 * MAX_LINE_BYTES:
            self._in = b""
        return [message for line in lines if (message := _decoded(line)) is not None]

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _push(self) -> None:
        if self._out:
            with contextlib.suppress(OSError):  # full
                self._out = self._out[self._socket.send(self._out) :]


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
