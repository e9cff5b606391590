"""The OSC port: who may speak, how much, and what is done with bytes that mean nothing.

No bytes can end the inlet. Mistakes are counted and answered to who made them; a time tag is never
waited for; a stranger hears nothing at all.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pythonosc import osc_message
from pythonosc.parsing import osc_types

from ..errors import ProtocolError
from ..wire import addresses, osc
from .ports import open_port

PACKETS_PER_SERVICE = 32  # so that a flood leaves time for audio
MESSAGES_PER_SERVICE = 500  # in as few packets as they like
MAX_INPUT_BYTES = 8192
RATE_PER_S = 1000.0  # messages of one sender; sixteen faders send 960
BURST = 1000.0
ERRORS_PER_S = 5.0
MAX_PEERS = 256  # remembered for the rate limit

# What python-osc is known to raise for bytes that are not OSC.
PARSE_ERRORS = (
    osc_message.ParseError,
    osc_types.ParseError,
    ProtocolError,
    struct.error,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
)

Peer = Any  # an address as recvfrom gives it
Arguments = Sequence[Any]
Handle = Callable[[str, Arguments, Peer], None]


@dataclass(slots=True)
class _Known:
    """What we remember of a sender."""

    allowed: bool
    tokens: float
    at: float


class Gate:
    """Who may speak, and how fast.

    Parameters
    ----------
    networks : sequence of str or None
        Who may, besides this machine; None: everybody.
    """

    def __init__(self, networks: Sequence[str] | None) -> None:
        self._networks = (
            None if networks is None else [ipaddress.ip_network(n, strict=False) for n in networks]
        )
        self._peers: OrderedDict[Peer, _Known] = OrderedDict()

    def allows(self, peer: Peer) -> bool:
        """Whether this peer may speak at all."""
        return self._known(peer).allowed

    def spends(self, peer: Peer, now: float) -> bool:
        """Whether this peer may have one more message."""
        known = self._known(peer)
        known.tokens = min(known.tokens + (now - known.at) * RATE_PER_S, BURST)
        known.at = now
        if known.tokens < 1.0:
            return False
        known.tokens -= 1.0
        return True

    def _known(self, peer: Peer) -> _Known:
        known = self._peers.get(peer)
        if known is None:
            known = self._peers[peer] = _Known(self._judge(peer), BURST, time.monotonic())
            if len(self._peers) > MAX_PEERS:
                self._peers.popitem(last=False)
        else:
            self._peers.move_to_end(peer)
        return known

    def _judge(self, peer: Peer) -> bool:
        if self._networks is None:
            return True
        address = host_of(peer)
        return address is not None and (
            address.is_loopback
            or any(
                address.version == network.version and address in network
                for network in self._networks
            )
        )


def host_of(peer: Peer) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Address of a peer; IPv4 in IPv6 is IPv4."""
    try:
        address = ipaddress.ip_address(peer[0])
    except (ValueError, LookupError, TypeError):
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_local(peer: Peer) -> bool:
    """Whether a peer is on this machine."""
    address = host_of(peer)
    return address is not None and address.is_loopback


class OscInlet:
    """The control port.

    Parameters
    ----------
    listen : (host, port)
        Port 0: the system chooses.
    prefix : str
    gate : Gate
    handle : callable
        Takes address, arguments and sender of each message; may raise what bad input raises.
    heard : callable
        Told of each sender that may speak.

    Raises
    ------
    DeviceError
        When the port to listen on is taken.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        prefix: str,
        gate: Gate,
        handle: Handle,
        heard: Callable[[Peer], None] = lambda peer: None,
    ) -> None:
        self._socket = open_port(socket.SOCK_DGRAM, *listen, "osc.listen")
        self.port = int(self._socket.getsockname()[1])
        self._error = f"{prefix}/{addresses.ERROR}"
        self._gate = gate
        self._handle = handle
        self._heard = heard
        self._complaints = ERRORS_PER_S
        self._complained_at = time.monotonic()
        self._messages = 0
        self.received = 0
        self.sent = 0
        self.errors = 0

    def service(self) -> None:
        """Take what has come in; never blocks, never raises."""
        self._messages = 0
        for _ in range(PACKETS_PER_SERVICE):
            if self._messages >= MESSAGES_PER_SERVICE:
                return
            try:
                packet, peer = self._socket.recvfrom(MAX_INPUT_BYTES)
            except OSError:  # nothing there, or the echo of a reply nobody took
                return
            self.received += 1
            self.take(packet, peer)

    def take(self, packet: bytes, peer: Peer) -> None:
        """Act on one datagram."""
        if not self._gate.allows(peer):
            self.errors += 1
            return
        self._heard(peer)
        now = time.monotonic()
        try:
            for data in osc.messages(packet):
                self._messages += 1
                if not self._gate.spends(peer, now):
                    raise ProtocolError(f"messages: got too many, expected {RATE_PER_S:g}/s")
                osc.check_types(data)
                parsed = osc_message.OscMessage(data)
                self._handle(parsed.address, parsed.params, peer)
        except PARSE_ERRORS as error:
            self.errors += 1
            self._complain(str(error), peer)

    def send(self, packet: bytes, peer: Peer) -> None:
        """One datagram from this port; what the system does not take is counted."""
        try:
            self._socket.sendto(packet, peer)
            self.sent += 1
        except OSError:
            self.errors += 1

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _complain(self, why: str, peer: Peer) -> None:
        now = time.monotonic()
        earned = (now - self._complained_at) * ERRORS_PER_S
        self._complaints = min(self._complaints + earned, ERRORS_PER_S)
        self._complained_at = now
        if self._complaints >= 1.0:
            self._complaints -= 1.0
            why = "".join(c if c.isprintable() else "?" for c in why)  # it may quote what came
            where, _, _ = why.partition(": ")
            self.send(osc.message(self._error, where[:120], why[:240]), peer)


def numbers(arguments: Arguments) -> list[float]:
    """Arguments as finite numbers: i, f, d, h, T and F all count.

    Raises
    ------
    ProtocolError
        When one is something else.
    """
    found = []
    for argument in arguments:
        if not isinstance(argument, bool | int | float) or not math.isfinite(argument):
            raise ProtocolError(f"argument: got {str(argument)[:40]!r}, expected a number")
        found.append(float(argument))
    return found


def word(arguments: Arguments, at: int = 0) -> str:
    """An argument that is text.

    Raises
    ------
    ProtocolError
        When it is something else, or not there.
    """
    if len(arguments) <= at or not isinstance(arguments[at], str):
        shown = str(arguments[at])[:40] if len(arguments) > at else "nothing"
        raise ProtocolError(f"argument: got {shown!r}, expected text")
    return str(arguments[at])
