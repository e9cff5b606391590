"""Subscriptions: who asked for which addresses, how often, and until when."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ProtocolError
from ..wire import addresses, osc
from .osc_inlet import Arguments, Peer, host_of, numbers, word
from .osc_levels import Board, Outlet

MAX_CLIENTS = 16
WISHES_PER_SERVICE = 4  # one of a stream of 64 feeds takes some ms
MAX_PER_HOST = 8  # so that one machine leaves room for others
TTL_S = 10.0
TTL_RANGE_S = (1.0, 60.0)  # who is gone, or never was there, is sent to no longer than this
RATE_RANGE_HZ = (0.1, 240.0)
PORTS = (1024, 65_535)

Send = Callable[[bytes, Peer], None]


@dataclass(slots=True)
class Subscription:
    """One client's wish."""

    id: int
    sender: Peer  # who asked
    receiver: Peer  # where it goes
    pattern: str
    ttl_s: float
    expires: float
    outlet: Outlet


class OscClients:
    """All subscriptions; a bounded number of them, each for a bounded time.

    Parameters
    ----------
    board : Board
    offered : sequence of str
        Addresses there are.
    prefix : str
    rate_hz : float
        For who names none.
    send : callable
        Takes a packet and who it is for.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        board: Board,
        offered: Sequence[str],
        prefix: str,
        rate_hz: float,
        send: Send,
        clock: Callable[[], float],
    ) -> None:
        self._board = board
        self._offered = tuple(offered)
        self._subscribed = f"{prefix}/{addresses.SUBSCRIBED}"
        self._done = f"{prefix}/{addresses.DONE}"
        self._unsubscribe = f"{prefix}/{addresses.UNSUBSCRIBE}"
        self._rate_hz = rate_hz
        self._send = send
        self._clock = clock
        self._all: list[Subscription] = []
        self._wishes = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def outlets(self) -> list[Outlet]:
        """Where to send to."""
        return [one.outlet for one in self._all]

    @property
    def described(self) -> list[dict[str, Any]]:
        """Who gets what, at which rate, for how long."""
        now = self._clock()
        return [
            {
                "to": f"{one.receiver[0]}:{one.receiver[1]}",
                "pattern": one.pattern,
                "left_s": round(max(one.expires - now, 0.0), 1),
            }
            for one in self._all
        ]

    def others(self, peer: Peer) -> list[Outlet]:
        """All outlets but this peer's own."""
        return [one.outlet for one in self._all if peer not in (one.sender, one.receiver)]

    def service(self) -> None:
        """Forget who was not heard of for too long."""
        self._wishes = 0
        self._expire()

    def heard(self, peer: Peer) -> None:
        """Any message from a client keeps it."""
        for one in self._all:
            if peer in (one.sender, one.receiver):
                one.expires = self._clock() + one.ttl_s

    def subscribe(self, arguments: Arguments, peer: Peer) -> None:
        """`pattern [max Hz [ttl s [port]]]`; the same again keeps it, with the new rate and ttl.

        Raises
        ------
        ProtocolError
            When nothing matches, the port cannot be meant, or there are too many.
        """
        self._wishes += 1
        if self._wishes > WISHES_PER_SERVICE:
            raise ProtocolError("subscribe: got too many at once, expected them one by one")
        pattern = word(arguments)
        given = numbers(arguments[1:])
        rate_hz = _clamp(given[0] if given else self._rate_hz, RATE_RANGE_HZ)
        ttl_s = _clamp(given[1] if len(given) > 1 else TTL_S, TTL_RANGE_S)
        receiver = _receiver(peer, given[2]) if len(given) > 2 else peer
        wanted = addresses.matching(pattern, self._offered, below=True)
        if not wanted:
            raise ProtocolError(f"{pattern[:80]}: got no address it matches, expected one")
        self._expire()
        old = [one for one in self._all if (one.receiver, one.pattern) == (receiver, pattern)]
        if not old:
            self._make_room(peer)
        outlet = Outlet(self._board, wanted, lambda packet: self._send(packet, receiver), rate_hz)
        one = Subscription(
            old[0].id if old else secrets.randbelow(2**31 - 1) + 1,
            peer,
            receiver,
            pattern,
            ttl_s,
            self._clock() + ttl_s,
            outlet,
        )
        self._all = [other for other in self._all if other not in old] + [one]
        self._answer(one, peer)

    def renew(self, arguments: Arguments, peer: Peer) -> None:
        """By id, from the same machine.

        Raises
        ------
        ProtocolError
            When there is no such subscription.
        """
        one = self._find(arguments, peer)
        one.expires = self._clock() + one.ttl_s
        self._answer(one, peer)

    def unsubscribe(self, arguments: Arguments, peer: Peer) -> None:
        """By id, from the same machine.

        Raises
        ------
        ProtocolError
            When there is no such subscription.
        """
        one = self._find(arguments, peer)
        self._all = [other for other in self._all if other is not one]
        self._send(osc.message(self._done, self._unsubscribe), peer)

    def _expire(self) -> None:
        if self._all:
            now = self._clock()
            self._all = [one for one in self._all if now < one.expires]

    def _make_room(self, peer: Peer) -> None:
        host = host_of(peer)
        own = sum(host_of(one.sender) == host for one in self._all)
        if len(self._all) >= MAX_CLIENTS or own >= MAX_PER_HOST:
            raise ProtocolError(
                f"subscribe: got too many, expected {MAX_CLIENTS}, and {MAX_PER_HOST} of a machine"
            )

    def _find(self, arguments: Arguments, peer: Peer) -> Subscription:
        wanted = int((numbers(arguments[:1]) or [0.0])[0])
        self._expire()
        for one in self._all:
            if one.id == wanted and host_of(one.sender) == host_of(peer):
                return one
        raise ProtocolError(f"subscription: got {wanted}, expected the id of one of yours")

    def _answer(self, one: Subscription, peer: Peer) -> None:
        self._send(osc.message(self._subscribed, one.id, one.pattern, one.ttl_s), peer)


def _clamp(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def _receiver(peer: Peer, port: float) -> Peer:
    """Another port of the same machine: nobody is sent anything because somebody else asked."""
    if not PORTS[0] <= port <= PORTS[1]:
        raise ProtocolError(f"port: got {port:g}, expected {PORTS[0]} to {PORTS[1]}")
    host, _, *rest = peer
    return (host, int(port), *rest)
