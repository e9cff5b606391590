"""OSC out of prepared bytes: an address is encoded once, a value costs one `pack`.

Only what every receiver takes: `f` and `i`, one or few arguments, bundles with the time tag
IMMEDIATELY. A tag in the future makes common receivers sleep, with all that comes behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

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
    """A packet in the making; `add` answers False when the value does not fit any more."""

    def __init__(self, size: int = MAX_PACKET_BYTES) -> None:
        self._max = size
        self.clear()

    @property
    def empty(self) -> bool:
        """Nothing was added."""
        return len(self._parts) == 1

    @property
    def packet(self) -> bytes:
        """What to send."""
        return b"".join(self._parts)

    def clear(self) -> None:
        """Start again."""
        self._parts = [BUNDLE_HEAD]
        self._size = len(BUNDLE_HEAD)

    def add(self, start: bytes, value: float) -> bool:
        """Add one number; `start` is from `head`, with the `number_tag` of this value."""
        size = self._size + len(start) + 4
        if size > self._max:
            return False
        self._parts += (start, (_INT if isinstance(value, int) else _FLOAT).pack(value))
        self._size = size
        return True

    def add_floats(self, starts: Sequence[bytes], values: Sequence[float], first: int = 0) -> int:
        """Add many `f` from `first` on; returns the first that did not fit, or how many there are.

        The loop is in here because a call for each value costs more than the value.
        """
        parts, size, most, pack = self._parts, self._size, self._max, _FLOAT.pack
        for i in range(first, len(starts)):
            start = starts[i]
            if size + len(start) + 4 > most:
                break
            parts.append(start)
            parts.append(pack(values[i]))
            size += len(start) + 4
        else:
            i = len(starts)
        self._size = size
        return i


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
