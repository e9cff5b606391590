"""The mixer over OSC: knobs turned and asked for, and what became of them.

No bytes can end the inlet. Numbers are clamped, mistakes counted and answered to who made them;
a time tag is never waited for.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pythonosc import osc_message
from pythonosc.parsing import osc_types

from ..errors import DeviceError, ProtocolError
from ..spec import SOURCES, STEMS
from ..wire import addresses, osc
from ..wire.control import GAIN_MIN_DB, SETTINGS, Setting, db_of_gain, gain_of_db

PACKETS_PER_SERVICE = 32  # so that a flood leaves time for audio
PATTERNS_PER_SERVICE = 16  # one takes some ms when it is made to
MAX_INPUT_BYTES = 8192
ERRORS_PER_S = 5.0
# Linear gain above 1 only through gain_db, on purpose: a controller that sends 0…127 must not
# blow up a sound system.
OSC_GAIN_MAX = 1.0

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


class Mixer(Protocol):
    """What OSC in needs of the desk."""

    @property
    def rev(self) -> int: ...
    def set(self, settings: Sequence[Setting]) -> None: ...
    def value(self, name: str, feed: int, source: int) -> float: ...


SendAll = Callable[[Iterable[tuple[bytes, float]]], None]


@dataclass(frozen=True, slots=True)
class _Knob:
    name: str
    feed: int
    source: int
    in_db: bool = False


def _knobs(prefix: str, feeds: Sequence[str]) -> dict[str, _Knob]:
    """Every address that takes a value."""
    knobs = {f"{prefix}/{a}": _Knob(n, 0, 0) for a, n in addresses.STREAM_SETTINGS.items()}
    for b, base in enumerate(addresses.bases(prefix, feeds)):
        for address, name in addresses.FEED_SETTINGS.items():
            knobs[f"{base}/{address}"] = _Knob(name, b, 0)
        for i in range(len(SOURCES)):
            for address, name in addresses.SOURCE_SETTINGS.items():
                knobs[addresses.source_address(base, i, address)] = _Knob(name, b, i)
        for s in range(len(STEMS)):
            for address, name in addresses.STEM_SETTINGS.items():
                knob = _Knob(name, b, s + 1, in_db=address == "gain_db")
                knobs[addresses.source_address(base, s + 1, address)] = knob
    return knobs


def _reading(mixer: Mixer, knob: _Knob) -> float:
    """What an address says of its knob: switches are ints, the rest floats."""
    value = mixer.value(knob.name, knob.feed, knob.source)
    if SETTINGS[knob.name].switch:
        return int(value)
    return db_of_gain(value) if knob.in_db else float(value)


class Echo:
    """Tells the static targets what anybody changed on the mixer."""

    def __init__(self, prefix: str, feeds: Sequence[str], mixer: Mixer, send: SendAll) -> None:
        self._mixer = mixer
        self._send = send
        self._knobs = _knobs(prefix, feeds)
        self._rev = -1
        self._last: dict[str, float] = {}

    def service(self) -> None:
        rev = self._mixer.rev
        if rev == self._rev:
            return
        first = self._rev < 0
        self._rev = rev
        changed = []
        for address, knob in self._knobs.items():
            value = _reading(self._mixer, knob)
            if value != self._last.get(address):
                self._last[address] = value
                changed.append((osc.head(address, osc.number_tag(value)), value))
        if not first:  # where things stand at start is no change
            self._send(changed)


class OscInlet:
    """The control port. No bytes can end it; what is not understood is counted and answered."""

    def __init__(
        self,
        listen: tuple[str, int],
        prefix: str,
        feeds: Sequence[str],
        mixer: Mixer,
        status: Callable[[], Sequence[float]],
    ) -> None:
        host, port = listen
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise DeviceError(
                f"osc.listen: got {host}:{port} ({error.strerror}), expected a local address"
            ) from error
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise DeviceError(
                f"osc.listen: got {host}:{port} ({error.strerror}), expected a free port"
            ) from error
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self._mixer = mixer
        self._facts = status
        self._prefix = prefix
        self._n_feeds = len(feeds)
        self._knobs = _knobs(prefix, feeds)
        self._verbs: dict[str, Callable[[list[float], Any], None]] = {
            f"{prefix}/{addresses.PANIC}": self._panic,
            f"{prefix}/{addresses.PING}": self._ping,
            f"{prefix}/{addresses.STATUS}": self._status,
        }
        self._complaints = ERRORS_PER_S
        self._complained_at = time.monotonic()
        self._patterns = 0
        self.received = 0
        self.errors = 0

    def service(self) -> None:
        """Take what has come in; never blocks, never raises."""
        self._patterns = 0
        for _ in range(PACKETS_PER_SERVICE):
            try:
                packet, sender = self._socket.recvfrom(MAX_INPUT_BYTES)
            except OSError:  # nothing there, or the echo of a reply nobody took
                return
            self.received += 1
            self.take(packet, sender)

    def take(self, packet: bytes, sender: Any) -> None:
        """Act on one datagram."""
        try:
            for data in osc.messages(packet):
                osc.check_types(data)
                parsed = osc_message.OscMessage(data)
                self._dispatch(parsed.address, parsed.params, sender)
        except PARSE_ERRORS as error:
            self.errors += 1
            self._complain(str(error), sender)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _dispatch(self, address: str, arguments: Sequence[Any], sender: Any) -> None:
        if address in self._knobs:
            self._turn(address, arguments, sender)
        elif address in self._verbs:
            self._verbs[address](_numbers(arguments), sender)
        elif addresses.is_pattern(address):
            self._patterns += 1
            if self._patterns > PATTERNS_PER_SERVICE:
                raise ProtocolError(f"patterns: got too many, expected {PATTERNS_PER_SERVICE}")
            found = addresses.matching(address, self._knobs)
            if not found:
                raise ProtocolError(f"{address}: got no address it matches, expected one")
            for one in found:
                self._turn(one, arguments, sender)
        else:
            raise ProtocolError(f"{address}: got an unknown address, expected one of PROTOCOL.md")

    def _turn(self, address: str, arguments: Sequence[Any], sender: Any) -> None:
        knob = self._knobs[address]
        if not arguments:
            self._reply(osc.message(address, _reading(self._mixer, knob)), sender)
            return
        value = _clamped(knob, _numbers(arguments)[0])
        self._mixer.set([Setting(knob.name, knob.feed, knob.source, value)])

    def _panic(self, numbers: list[float], sender: Any) -> None:
        """Everything dry, now; the way back is `/bypass 0`."""
        self._mixer.set([Setting("bypass", b, 0, 1.0) for b in range(self._n_feeds)])

    def _ping(self, numbers: list[float], sender: Any) -> None:
        echo = [osc.clip_int(int(number)) for number in numbers[:1]]
        self._reply(osc.message(f"{self._prefix}/{addresses.PONG}", *echo), sender)

    def _status(self, numbers: list[float], sender: Any) -> None:
        reply = osc.message(f"{self._prefix}/{addresses.STATUS_REPLY}", *self._facts())
        self._reply(reply, sender)

    def _complain(self, why: str, sender: Any) -> None:
        now = time.monotonic()
        earned = (now - self._complained_at) * ERRORS_PER_S
        self._complaints = min(self._complaints + earned, ERRORS_PER_S)
        self._complained_at = now
        if self._complaints >= 1.0:
            self._complaints -= 1.0
            where, _, _ = why.partition(": ")
            text = osc.message(f"{self._prefix}/{addresses.ERROR}", where[:120], why[:240])
            self._reply(text, sender)

    def _reply(self, packet: bytes, sender: Any) -> None:
        try:
            self._socket.sendto(packet, sender)
        except OSError:
            self.errors += 1


def _numbers(arguments: Sequence[Any]) -> list[float]:
    """Arguments as finite numbers: i, f, d, h, T and F all count."""
    numbers = []
    for argument in arguments:
        if not isinstance(argument, bool | int | float) or not math.isfinite(argument):
            raise ProtocolError(f"argument: got {str(argument)[:40]!r}, expected a number")
        numbers.append(float(argument))
    return numbers


def _clamped(knob: _Knob, value: float) -> float:
    limits = SETTINGS[knob.name]
    if limits.switch:
        return 1.0 if value >= 0.5 else 0.0
    if knob.in_db:
        return gain_of_db(max(value, GAIN_MIN_DB))
    high = OSC_GAIN_MAX if knob.name == "gain" else limits.high
    return min(max(value, limits.low), high)
