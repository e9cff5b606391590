"""A very small HTTP server that waits for nobody: at each service a bounded bit of work."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from .ports import open_port

MAX_CONNECTIONS = 8
MAX_REQUEST_BYTES = 4096
BYTES_PER_SERVICE = 65_536  # to one client
IDLE_S = 5.0  # who asks nothing, or takes nothing, for so long is hung up on

_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}

Answer = Callable[[str], tuple[int, bytes]]
Upgrade = Callable[[socket.socket, bytes], bool]  # a connection, and what it said


class _Connection:
    """One client: what it has said so far, what it has still to be told."""

    def __init__(self, one: socket.socket, now: float) -> None:
        self.socket = one
        self.heard = b""
        self.left = memoryview(b"")
        self.answered = False
        self.upgraded = False
        self.active_at = now


class HttpServer:
    """Answers GET, one request to a connection.

    Parameters
    ----------
    host, port : str, int
        Port 0: the system chooses; see `port`.
    answer : callable
        Takes the target, returns code and body.
    allows : callable
        Whether a peer may ask.
    key : str
        What the configuration calls the port, for complaints.
    content_type : str
        Of every answer.
    upgrade : callable or None
        Takes over a connection that wants to become a WebSocket; False: it cannot.

    Raises
    ------
    DeviceError
        When the port is taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        answer: Answer,
        allows: Callable[[Any], bool] = lambda peer: True,
        key: str = "osc.query_port",
        content_type: str = "application/json",
        upgrade: Upgrade | None = None,
    ) -> None:
        self._content_type = content_type
        self._upgrade = upgrade
        self._answer = answer
        self._allows = allows
        self._connections: list[_Connection] = []
        self._socket = open_port(socket.SOCK_STREAM, host, port, key, MAX_CONNECTIONS)
        self.port = int(self._socket.getsockname()[1])
        self.requests = 0

    def service(self) -> None:
        """Welcome, hear, answer one request, send; never blocks, never raises."""
        now = time.monotonic()
        self._accept(now)
        answered = False
        for one in tuple(self._connections):
            try:
                if not one.answered and not answered:
                    answered = self._hear(one, now)
                    if one.upgraded:
                        self._connections.remove(one)
                        continue
                done = one.answered and self._send(one, now)
            except OSError:  # gone
                done = True
            if done or now - one.active_at > IDLE_S:
                one.socket.close()
                self._connections.remove(one)

    def wait(self, timeout_s: float) -> None:
        """Sleep until there is something to service, or for so long."""
        taking = [one.socket for one in self._connections if one.answered]
        asking = [one.socket for one in self._connections if not one.answered]
        select.select([self._socket, *asking], taking, [], timeout_s)

    def close(self) -> None:
        """Hang up."""
        for one in self._connections:
            one.socket.close()
        self._socket.close()

    def _accept(self, now: float) -> None:
        try:
            one, peer = self._socket.accept()
        except OSError:  # nobody there
            return
        if len(self._connections) >= MAX_CONNECTIONS or not self._allows(peer):
            one.close()
            return
        one.setblocking(False)
        self._connections.append(_Connection(one, now))

    def _hear(self, one: _Connection, now: float) -> bool:
        """Whether a request was answered."""
        try:
            more = one.socket.recv(MAX_REQUEST_BYTES)
        except BlockingIOError:
            return False
        if not more:
            raise ConnectionError
        one.active_at = now
        one.heard += more
        if b"\r\n\r\n" not in one.heard:
            if len(one.heard) <= MAX_REQUEST_BYTES:
                return False
            code, body = 431, b""
        elif self._upgrade and _wants_websocket(one.heard):
            one.upgraded = self._upgrade(one.socket, one.heard)
            code, body = 503, b""
        else:
            code, body = self._reply(one.heard)
        self.requests += 1
        if one.upgraded:
            return True
        head = (
            f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: {self._content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        one.left = memoryview(head.encode() + body)
        one.answered = True
        return True

    def _reply(self, heard: bytes) -> tuple[int, bytes]:
        line = heard.partition(b"\r\n")[0].decode("ascii", "replace").split(" ")
        if len(line) != 3 or not line[2].startswith("HTTP/1.") or not line[1].startswith("/"):
            return 400, b""
        if line[0] not in ("GET", "HEAD"):
            return 405, b""
        code, body = self._answer(line[1])
        return code, body if line[0] == "GET" else b""

    def _send(self, one: _Connection, now: float) -> bool:
        """Whether everything was sent."""
        try:
            sent = one.socket.send(one.left[:BYTES_PER_SERVICE])
        except BlockingIOError:
            return False
        one.left = one.left[sent:]
        one.active_at = now
        return not one.left


def _wants_websocket(heard: bytes) -> bool:
    """Whether a request wants to become a WebSocket."""
    lines = heard.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    return any(line.startswith(b"upgrade:") and b"websocket" in line for line in lines)
