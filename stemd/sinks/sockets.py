"""ZeroMQ sockets as stemd wants them: nothing waits, nothing lingers, dead peers are noticed."""

from __future__ import annotations

import time
from typing import Any

import zmq

from ..errors import DeviceError
from .peers import MAX_PEERS, Guard, Peers, connection, sender

SEND_BUFFER_BYTES = 131_072  # the kernel's queue adds to ours, and to what a stalled reader holds
MESSAGES_PER_SERVICE = 256  # so that a flood leaves time for audio,
SERVICE_S = 0.002  # also on a machine that has none to spare
MAX_PREFIXES = 512  # subscriptions remembered; beyond, everything counts as wanted
MAX_TOPIC_BYTES = 1024
TOPICS_AT_ONCE = 448  # of one subscriber: every stem of 64 feeds, and their features
TOPICS_PER_S = 50.0
WAITING_TOPICS = 64  # of each subscriber; then it has to wait
MAX_ASKED = 10_000  # then it has to come again, and ZeroMQ forgets what it asked for
HANDSHAKE_MS = 5000  # who has not said who it is by then is a stranger
LISTEN = "listen"


def hardened(socket: zmq.Socket[Any]) -> zmq.Socket[Any]:
    """Options every socket of ours has: nothing outlives its use, dead peers are noticed."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
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
    """An XPUB socket that knows who is connected and what they want.

    Parameters
    ----------
    context : zmq.Context
    host, port : str, int
        Where to bind; port 0: the system chooses.
    key : str
        Of the configuration, for complaints.
    queued : int
        Messages for each subscriber; it loses what is more.
    guard : Guard or None
        Asked whether a subscriber may listen; None: everybody may.
    max_peers : int

    Attributes
    ----------
    evicted : int
        Connections that were ended: they asked for too many topics, or may not listen any more.

    Raises
    ------
    DeviceError
        When the port is taken.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        host: str,
        port: int,
        key: str,
        queued: int,
        guard: Guard | None = None,
        max_peers: int = MAX_PEERS,
    ) -> None:
        self.socket = hardened(context.socket(zmq.XPUB))
        self.socket.setsockopt(zmq.SNDHWM, queued)
        self.socket.setsockopt(zmq.SNDBUF, SEND_BUFFER_BYTES)
        # Subscribers have nothing to say but topics, and ZeroMQ reads all that waits at once.
        self.socket.setsockopt(zmq.RCVHWM, WAITING_TOPICS)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_TOPIC_BYTES)
        # Also those somebody has already: each tells whose connection it came through.
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._guard = guard
        if guard is not None:
            guard.guard(self.socket, LISTEN)
        self._peers = Peers(context, self.socket, max_peers)
        try:
            self.port = bind(self.socket, host, port, key)
        except DeviceError:
            self._peers.close()
            raise
        self._prefixes: set[bytes] = set()
        self._crowded = False
        self._subscribers: dict[int, _Subscriber] = {}
        self._ended: set[int] = set()  # whose messages may still wait; until the next review
        self.evicted = 0

    @property
    def subscribers(self) -> int:
        """Connections."""
        return len(self._peers.here)

    @property
    def strangers(self) -> int:
        """Connections of those who had no key, or a wrong one."""
        return self._peers.failed

    @property
    def turned_away(self) -> int:
        """Connections beyond `max_peers`."""
        return self._peers.turned_away

    @property
    def prefixes(self) -> list[str]:
        """What was subscribed to."""
        return [prefix.decode("utf-8", "replace") for prefix in self._prefixes]

    def wants(self, topic: bytes) -> bool:
        """Whether any subscription covers the topic."""
        return self._crowded or any(topic.startswith(prefix) for prefix in self._prefixes)

    def service(self) -> bool:
        """Read who came and what they want; True when that changed."""
        changed = False
        end_s = time.monotonic() + SERVICE_S
        for i in range(MESSAGES_PER_SERVICE):
            if not has_input(self.socket) or (i % 8 == 7 and time.monotonic() > end_s):
                break
            frame = self.socket.recv(zmq.NOBLOCK, copy=False)
            message = frame.bytes
            if i == 0:
                self._peers.service()  # whoever sent it is among them
            if message[:1] == b"\1":
                changed |= self._take(message[1:], frame)
            elif message[:1] == b"\0" and message[1:] in self._prefixes:
                self._prefixes.discard(message[1:])
                changed = True
        self._peers.service()
        return changed

    def review(self) -> None:
        """End the connections of those who may not listen any more."""
        here = self._peers.here
        self._ended.clear()
        self._subscribers = {
            fd: one for fd, one in self._subscribers.items() if here.get(fd) == one.serial
        }
        if self._guard is None:
            return
        for fd, one in self._subscribers.items():
            if not self._guard.allows(one.key, (LISTEN,)):
                self._end(fd)

    def close(self) -> None:
        """Give the port back."""
        self._peers.close()
        self.socket.close(linger=0)

    def _take(self, prefix: bytes, frame: zmq.Frame) -> bool:
        """Note one subscription; True when it is new to us."""
        fd, now_s = connection(frame), time.monotonic()
        serial = self._peers.here.get(fd)
        if serial is None and fd not in self._ended:
            self._peers.service()  # it came while we read
            serial = self._peers.here.get(fd)
        if serial is None:
            return False  # gone: ZeroMQ forgets what it wanted
        one = self._subscribers.get(fd)
        if one is None or one.serial != serial:
            one = self._subscribers[fd] = _Subscriber(serial, now_s)
        one.key = sender(frame)
        if not one.may_ask(now_s):
            self._end(fd)
            return False
        if prefix in self._prefixes:
            return False
        if len(self._prefixes) < MAX_PREFIXES:
            self._prefixes.add(prefix)
        else:
            self._crowded = True
        return True

    def _end(self, fd: int) -> None:
        self._peers.end(fd)
        self._peers.here.pop(fd, None)
        self._ended.add(fd)
        self.evicted += 1


class _Subscriber:
    """Whose connection it is, and how many topics it may still ask for."""

    def __init__(self, serial: int, now_s: float) -> None:
        self.serial = serial
        self.key = ""
        self._left = float(TOPICS_AT_ONCE)
        self._asked = 0
        self._at_s = now_s

    def may_ask(self, now_s: float) -> bool:
        """For one more."""
        self._left = min(self._left + (now_s - self._at_s) * TOPICS_PER_S, TOPICS_AT_ONCE) - 1.0
        self._at_s = now_s
        self._asked += 1
        return self._left >= 0.0 and self._asked <= MAX_ASKED
