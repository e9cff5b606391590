"""Who is connected to a bound socket, and the way to end a connection that may not be.

ZeroMQ tells of connections by their file descriptors; shutting one down makes it forget that peer
and nobody else.
"""

from __future__ import annotations

import contextlib
import itertools
import socket as sockets
from typing import Any, Protocol

import zmq
from zmq.utils.monitor import parse_monitor_message

MAX_PEERS = 64
ANYBODY = "any"  # role of a socket for which one is as good as another
_names = itertools.count()

_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_WATCHED = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | _FAILED


class Guard(Protocol):
    """Who may come; `roles.keyring.Keyring`."""

    def guard(self, socket: zmq.Socket[Any], role: str) -> None: ...
    def allows(self, key: str, roles: tuple[str, ...]) -> bool: ...


def sender(frame: zmq.Frame) -> str:
    """Public key of whoever sent a message over a guarded socket; empty where there is none."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def connection(frame: zmq.Frame) -> int:
    """What a message came through, for `Peers.end`."""
    return int(frame.get(zmq.SRCFD))


class Peers:
    """Connections of one socket; made before it is bound, closed before the socket.

    Parameters
    ----------
    context, socket
    limit : int
        Who comes when there are so many is turned away.

    Attributes
    ----------
    here : dict of int to int
        Their file descriptors, and which connection since the start each is: descriptors are
        used again.
    turned_away, failed : int
        Connections beyond the limit; those that were not ZeroMQ's, had no key or a wrong one.
    """

    def __init__(
        self, context: zmq.Context[Any], socket: zmq.Socket[Any], limit: int = MAX_PEERS
    ) -> None:
        self.here: dict[int, int] = {}
        self._count = 0
        self.turned_away = self.failed = 0
        self._socket = socket
        self._limit = limit
        place = f"inproc://stemd-peers-{next(_names)}"
        socket.monitor(place, _WATCHED)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.setsockopt(zmq.LINGER, 0)
        # ZeroMQ's own thread, the one that sends audio, waits where this is full.
        self._monitor.setsockopt(zmq.RCVHWM, 0)
        self._monitor.connect(place)

    def service(self) -> None:
        """Read who has come and gone."""
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            what, value = event["event"], int(event["value"])
            if what == zmq.EVENT_ACCEPTED:
                self._count += 1
                self.here[value] = self._count
                if len(self.here) > self._limit:
                    self.turned_away += 1
                    self.end(value)
            elif what == zmq.EVENT_DISCONNECTED:
                self.here.pop(value, None)
            else:
                self.failed += 1

    def end(self, connection: int) -> None:
        """Shut a connection down; ZeroMQ drops what belongs to it, and its client may try again."""
        if connection not in self.here:
            return
        with contextlib.suppress(OSError):
            found = sockets.socket(fileno=connection)
            try:
                # ZeroMQ may have closed it a moment ago, and something else have its number.
                if found.getsockname()[1] == self._port():
                    found.shutdown(sockets.SHUT_RDWR)
            finally:
                found.detach()

    def close(self) -> None:
        """Look no more."""
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def _port(self) -> int:
        return int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
