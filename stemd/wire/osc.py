"""OSC out of prepared bytes: an address is encoded once, a value costs one `pack_into`.

Only what every receiver takes: `f` and `i`, one or few arguments, bundles with the time tag
IMMEDIATELY. A tag in the future makes common receivers sleep, with all that comes behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from ..errors import ProtocolError

BUNDLE_HEAD = b"#bundle\0" + b"\0\0\0\0\0\0\0\1"  # IMMEDIATELY
MAX_PACKET_BYTES = 1400  # fits an Ethernet frame with room for tunnels
MAX_DEPTH = 8  # of bundles in bundles, on the way in
KNOWN_TYPES = b"ifsbhdrmtTFN"  # python-osc logs others and arrays can nest without end

_INT = struct.Struct(">i")
_FLOAT = struct.Struct(">f")
_INT_MAX = 0x7FFFFFFF


def string(text: str) -> bytes:
    """OSC string: ASCII, closed by NUL, padded to four bytes."""
    data = text.encode("ascii", "replace").replace(b"\0", b"?")
    return data + b"\0" * (4 - len(data) % 4)


def message(address: str, *values: float | str) -> bytes:
    """One whole message; ints become `i`, floats `f`, text `s`."""
    tags, data = ",", b""
    for value in values:
        if isinstance(value, str):
            tags += "s"
            data += string(value)
        elif isinstance(value, int):
            tags += "i"
            data += _INT.pack(clip_int(value))
        else:
            tags += "f"
            data += _FLOAT.pack(value)
    return string(address) + string(tags) + data


def head(address: str, tag: str) -> bytes:
    """All of a bundle element with one number but the number: size, address, type tag."""
    start = string(address) + string("," + tag)
    return _INT.pack(len(start) + 4) + start


def number_tag(value: float) -> str:
    """Type tag of a number: ints are `i`, all others `f`."""
    return "i" if isinstance(value, int) else "f"


def clip_int(value: int) -> int:
    """Into the range of `i`: counters stop there rather than turn negative."""
    return min(max(value, -_INT_MAX), _INT_MAX)


class Bundle:
    """A packet that is filled over and over; `add_…` answers False when the value does not fit."""

    def __init__(self, size: int = MAX_PACKET_BYTES) -> None:
        self._buffer = bytearray(size)
        self._buffer[: len(BUNDLE_HEAD)] = BUNDLE_HEAD
        self._view = memoryview(self._buffer)
        self._size = size
        self._end = len(BUNDLE_HEAD)

    @property
    def empty(self) -> bool:
        """Nothing was added."""
        return self._end == len(BUNDLE_HEAD)

    @property
    def packet(self) -> memoryview:
        """What to send; valid until the next `clear`."""
        return self._view[: self._end]

    def clear(self) -> None:
        """Start again."""
        self._end = len(BUNDLE_HEAD)

    def add_float(self, start: bytes, value: float) -> bool:
        """Add one `f`; `start` is from `head`."""
        return self._add(start, _FLOAT, value)

    def add_int(self, start: bytes, value: int) -> bool:
        """Add one `i`; `start` is from `head`."""
        return self._add(start, _INT, value)

    def add(self, start: bytes, value: float) -> bool:
        """Add one number; `start` is from `head`, with the `number_tag` of this value."""
        return self._add(start, _INT if isinstance(value, int) else _FLOAT, value)

    def _add(self, start: bytes, number: struct.Struct, value: Any) -> bool:
        at = self._end + len(start)
        if at + 4 > self._size:
            return False
        self._buffer[self._end : at] = start
        number.pack_into(self._buffer, at, value)
        self._end = at + 4
        return True


def messages(packet: bytes, depth: int = 0) -> Iterator[bytes]:
    """The messages in a packet, bundles opened, time tags ignored: late or early, it is now.

    The walk is ours because python-osc 1.10 never ends on an element of negative size.

    Raises
    ------
    ProtocolError
        When a bundle's sizes do not add up; what came before it was already handed out.
    """
    if not packet.startswith(b"#bundle\0"):
        yield packet
        return
    if depth >= MAX_DEPTH:
        raise ProtocolError(f"osc: got bundles {depth} deep, expected fewer than {MAX_DEPTH}")
    at = len(BUNDLE_HEAD)
    if len(packet) < at:
        raise ProtocolError(f"osc: got a bundle of {len(packet)} bytes, expected {at} or more")
    while at < len(packet):
        if at + 4 > len(packet):
            raise ProtocolError("osc: got half an element size, expected four bytes")
        (size,) = _INT.unpack_from(packet, at)
        at += 4
        if not 0 < size <= len(packet) - at or size % 4:
            raise ProtocolError(f"osc: got an element of {size} bytes, expected 4 to the end")
        yield from messages(packet[at : at + size], depth + 1)
        at += size


def check_types(data: bytes) -> None:
    """Refuse a message with arguments of types nobody has a use for.

    Raises
    ------
    ProtocolError
        When there is one, or no address.
    """
    if not data.startswith(b"/"):
        raise ProtocolError(f"osc: got {data[:20]!r}, expected an address")
    end = data.find(b"\0")
    tags = data[end + 4 - end % 4 :].partition(b"\0")[0]
    if end < 0 or tags[1:].translate(None, KNOWN_TYPES):
        raise ProtocolError(f"osc: got types {tags[:20]!r}, expected some of {KNOWN_TYPES!r}")
