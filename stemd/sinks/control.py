"""The control socket: JSON requests in, JSON replies out. No bytes from outside can end it."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from ..errors import DeviceError, ProtocolError
from ..keys import ROLES
from ..wire.control import LOOKING_OPS, MAX_REQUEST_BYTES, Request, decode_request
from ..wire.messages import encode_json
from .peers import ANYBODY, MAX_PEERS, Guard, Peers, sender
from .sockets import bind, hardened, has_input

RATE_PER_S = 100.0  # requests of one peer; a fader sends 60
BURST = 100.0
MAX_BUCKETS = 256  # peers remembered for the rate limit
MAX_PENDING = 64  # requests answered later
REQUESTS_PER_SERVICE = 16  # so that a flood leaves time for audio
# A reply to `shutdown` must still leave while the process ends.
LINGER_MS = 1000

Answer = dict[str, Any]
Answerer = Callable[[Request, bool], Answer | Callable[[], Answer | None]]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class _Later:
    envelope: list[bytes]
    request: Request
    poll: Callable[[], Answer | None]


class ControlServer:
    """ROUTER socket that asks `answer(request, local)`; `local` means a peer on this machine.

    Parameters
    ----------
    context : zmq.Context
    host, port : str, int
        Where to bind; port 0: the system chooses.
    answer : callable
    guard : Guard or None
        Asked what a peer may: to look, whoever is on its list; to turn knobs, who may `control`.
        None: everybody may everything.
    max_peers : int

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
        answer: Answerer,
        guard: Guard | None = None,
        max_peers: int = MAX_PEERS,
    ) -> None:
        self._answer = answer
        self._guard = guard
        self._socket = hardened(context.socket(zmq.ROUTER))
        self._socket.setsockopt(zmq.MAXMSGSIZE, 4 * MAX_REQUEST_BYTES)
        self._socket.setsockopt(zmq.SNDHWM, 64)
        self._socket.setsockopt(zmq.RCVHWM, 64)
        if guard is not None:
            guard.guard(self._socket, ANYBODY)
        self._peers = Peers(context, self._socket, max_peers)
        try:
            self.port = bind(self._socket, host, port, "zeromq.control_port")
        except DeviceError:
            self._peers.close()
            raise
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()
        self._later: list[_Later] = []
        self.requests = 0
        self.refused = 0

    def service(self) -> None:
        """Answer what has come in; never blocks."""
        self._peers.service()
        for _ in range(REQUESTS_PER_SERVICE):
            if not has_input(self._socket):
                break
            self._take(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))
        if self._later:
            self._later = [later for later in self._later if not self._finish(later)]

    def close(self) -> None:
        """Give the last answers and the port back."""
        while self._later:
            self._finish(self._later.pop())
        self._peers.close()
        self._socket.close(linger=LINGER_MS)

    def _take(self, frames: list[zmq.Frame]) -> None:
        # A REQ peer puts an empty frame before its request, a DEALER does not.
        envelope = [f.bytes for f in frames[:-1]]
        self.requests += 1
        if not 1 <= len(envelope) <= 2 or (len(envelope) == 2 and envelope[1]):
            self.refused += 1
            return
        if not self._allowed(envelope[0]):
            self._refuse(envelope, None, f"requests: got too many, expected {RATE_PER_S:g}/s")
            return
        request = None
        try:
            request = decode_request(frames[-1].bytes)
            self._check(request, frames[-1])
            answer = self._answer(request, is_local(frames[-1]))
            if callable(answer):
                self._postpone(_Later(envelope, request, answer))
            else:
                self._reply(envelope, request, answer)
        except ProtocolError as error:
            self._refuse(envelope, request, str(error))

    @property
    def strangers(self) -> int:
        """Connections of those who had no key, or a wrong one."""
        return self._peers.failed

    @property
    def turned_away(self) -> int:
        """Connections beyond `max_peers`."""
        return self._peers.turned_away

    def _check(self, request: Request, frame: zmq.Frame) -> None:
        """Whether the list, as it is now, lets the sender ask for this."""
        if self._guard is None:
            return
        roles = ROLES if request.op in LOOKING_OPS else ("control",)
        if not self._guard.allows(sender(frame), roles):
            raise ProtocolError(f"{request.op}: got a key without a role, expected {_any(roles)}")

    def _postpone(self, later: _Later) -> None:
        if len(self._later) >= MAX_PENDING:
            raise ProtocolError("requests: got too many at once, expected fewer")
        if not self._finish(later):
            self._later.append(later)

    def _finish(self, later: _Later) -> bool:
        try:
            answer = later.poll()
        except ProtocolError as error:
            self._refuse(later.envelope, later.request, str(error))
            return True
        if answer is None:
            return False
        self._reply(later.envelope, later.request, answer)
        return True

    def _reply(self, envelope: list[bytes], request: Request, answer: Answer) -> None:
        self._send(envelope, {"ok": True, "op": request.op, "id": request.id, **answer})

    def _refuse(self, envelope: list[bytes], request: Request | None, why: str) -> None:
        self.refused += 1
        known = {} if request is None else {"op": request.op, "id": request.id}
        self._send(envelope, {"ok": False, **known, "error": why})

    def _send(self, envelope: list[bytes], reply: Answer) -> None:
        # A ROUTER drops what nobody waits for, and what its peer is too slow to take.
        try:
            self._socket.send_multipart([*envelope, encode_json(reply)], zmq.NOBLOCK)
        except zmq.Again:
            self.refused += 1

    def _allowed(self, peer: bytes) -> bool:
        now = time.monotonic()
        bucket = self._buckets.pop(peer, None) or _Bucket(BURST, now)
        bucket.tokens = min(bucket.tokens + (now - bucket.at) * RATE_PER_S, BURST)
        bucket.at = now
        self._buckets[peer] = bucket
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


def _any(roles: tuple[str, ...]) -> str:
    return " or ".join(roles)


def is_local(frame: zmq.Frame) -> bool:
    """Whether a message came over loopback, as the kernel (not the peer) says."""
    try:
        address = str(frame.get("Peer-Address"))
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except (zmq.ZMQError, ValueError):
        return False
