"""ZeroMQ sockets as stemd wants them: nothing waits, nothing lingers, dead peers are noticed."""

from __future__ import annotations

from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from ..errors import DeviceError

SEND_BUFFER_BYTES = 131_072  # the kernel's queue adds to ours, and to what a stalled reader holds
MESSAGES_PER_SERVICE = 256  # so that a flood leaves time for audio
MAX_PREFIXES = 512  # subscriptions remembered; beyond, everything counts as wanted


def hardened(socket: zmq.Socket[Any]) -> zmq.Socket[Any]:
    """Options every socket of ours has: nothing outlives its use, dead peers are noticed."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 3000)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 10)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 2)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    socket.setsockopt(zmq.TOS, 0xB8)  # expedited forwarding, where the network listens to it
    return socket


def has_input(socket: zmq.Socket[Any]) -> bool:
    """Whether `recv` would get something; half the price of trying."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def bind(socket: zmq.Socket[Any], host: str, port: int, key: str) -> int:
    """Bind and return the port, which the system chooses when `port` is 0.

    Raises
    ------
    DeviceError
        When the address cannot be had.
    """
    if ":" in host:
        socket.setsockopt(zmq.IPV6, 1)
        host = f"[{host}]"
    try:
        socket.bind(f"tcp://{host}:{port or '*'}")
    except zmq.ZMQError as error:
        socket.close(linger=0)
        what = f"{host}:{port}"
        if error.errno == zmq.EADDRINUSE:
            raise DeviceError(
                f"{key}: got {what}, which another program uses, expected a free port "
                "(is another stemd running?)"
            ) from error
        raise DeviceError(
            f"{key}: got {what} ({error.strerror}), expected a local address"
        ) from error
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    return int(endpoint.rpartition(":")[2])


class Publisher:
    """An XPUB socket that knows who is connected and what they want."""

    def __init__(
        self, context: zmq.Context[Any], host: str, port: int, key: str, queued: int
    ) -> None:
        self.socket = hardened(context.socket(zmq.XPUB))
        self.socket.setsockopt(zmq.SNDHWM, queued)
        self.socket.setsockopt(zmq.SNDBUF, SEND_BUFFER_BYTES)
        # Subscribers have nothing to say but topics.
        self.socket.setsockopt(zmq.MAXMSGSIZE, 1024)
        self._monitor = self.socket.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
        )
        try:
            self.port = bind(self.socket, host, port, key)
        except DeviceError:
            self._monitor.close(linger=0)
            raise
        self._prefixes: set[bytes] = set()
        self._crowded = False
        self._peers: set[int] = set()

    @property
    def subscribers(self) -> int:
        """Connections."""
        return len(self._peers)

    def wants(self, topic: bytes) -> bool:
        """Whether any subscription covers the topic."""
        return self._crowded or any(topic.startswith(prefix) for prefix in self._prefixes)

    def service(self) -> bool:
        """Read subscriptions; True when they changed."""
        changed = False
        for _ in range(MESSAGES_PER_SERVICE):
            if not has_input(self.socket):
                break
            message = self.socket.recv(zmq.NOBLOCK)
            if message[:1] == b"\1":
                if len(self._prefixes) < MAX_PREFIXES:
                    self._prefixes.add(message[1:])
                else:
                    self._crowded = True
                changed = True
            elif message[:1] == b"\0":
                self._prefixes.discard(message[1:])
                changed = True
        return changed

    def count_peers(self) -> None:
        """Read who has come and gone."""
        while has_input(self._monitor):
            event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._peers.add(event["value"])
            else:
                self._peers.discard(event["value"])

    def close(self) -> None:
        """Give the port back."""
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=0)
