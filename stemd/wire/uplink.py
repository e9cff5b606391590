"""What a sender and a box say to each other: 48 bytes of header, then a payload.

The tables are in PROTOCOL.md. A change touches that page, this file and the literals in the tests.
Pure: no sockets here; see `seal` for what protects a datagram.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ProtocolError
from ..spec import LOUDEST

MAGIC = b"STUP"
VERSION = 1
HEADER = struct.Struct("<4sBBBBQQQqHBBI")
HEADER_BYTES = HEADER.size
assert HEADER_BYTES == 48

PORT = 5573  # TCP for the handshake, UDP for audio
MAX_DATAGRAM = 1452  # bytes of UDP that fit an Ethernet frame, over IPv6 too
TAG_BYTES = 16
MAX_MESSAGE = 65_536  # bytes over TCP
MAX_CHANNELS = 64
# Of a block; fewer samples would be more blocks than a box can keep up with.
MIN_FRAMES, MAX_FRAMES = 8, 1024
MAX_COPIES = 3
MAX_RESENT = 32  # positions of one NACK
MAX_TEXT = 1024
MAX_NAME = 32
MAX_POSITION = 1 << 62

FLAG_RESENT = 1
FLAG_GAP = 2  # samples were lost between the block before and this one

_TIMES = struct.Struct("<qq")


class Type(IntEnum):
    """What a datagram is."""

    AUDIO = 1
    PING = 2
    PONG = 3
    NACK = 4
    BYE = 5


class Encoding(IntEnum):
    """How a sample is written; little endian."""

    NONE = 0
    F32 = 1
    S16 = 2
    S24 = 3


SAMPLE_BYTES = {Encoding.F32: 4, Encoding.S16: 2, Encoding.S24: 3}
ENCODINGS = {"f32": Encoding.F32, "s16": Encoding.S16, "s24": Encoding.S24}
COPY = Encoding.S16  # earlier blocks are repeated at 16 bits: they are heard once in a while

Audio = npt.NDArray[np.float32]


class Header(NamedTuple):
    """Decoded header; fields in wire order, magic and version left out."""

    type: Type
    channels: int
    encoding: Encoding
    session: int
    counter: int  # of datagrams in this direction: order, replays, and the nonce
    position: int  # of the first sample since the sender opened its device
    t_ns: int  # the sender's monotonic clock: first sample at the ADC, or when this was sent
    frames: int
    copies: int  # earlier blocks that follow the newest
    flags: int
    rate: float  # Hz, measured; 0 unknown


def pack_header(
    type_: Type,
    *,
    session: int,
    counter: int,
    t_ns: int,
    position: int = 0,
    channels: int = 0,
    encoding: Encoding = Encoding.NONE,
    frames: int = 0,
    copies: int = 0,
    flags: int = 0,
    rate: float = 0.0,
) -> bytes:
    """The 48 bytes in front of a payload."""
    return HEADER.pack(
        MAGIC,
        VERSION,
        type_,
        channels,
        encoding,
        session,
        counter,
        position,
        t_ns,
        frames,
        copies,
        flags,
        round(rate * 1000),
    )


def unpack_header(datagram: Any) -> Header:
    """Read a header; the payload is not looked at: it may be sealed.

    Raises
    ------
    ProtocolError
        When any field is impossible.
    """
    if len(datagram) < HEADER_BYTES:
        raise ProtocolError(f"header: got {len(datagram)} bytes, expected {HEADER_BYTES}")
    values = HEADER.unpack_from(datagram)
    magic, version, kind, channels, encoding, session, counter, position, t_ns, *rest = values
    frames, copies, flags, rate_mhz = rest
    if magic != MAGIC:
        raise ProtocolError(f"header.magic: got {magic!r}, expected {MAGIC!r}")
    if version != VERSION:
        raise ProtocolError(f"header.version: got {version}, expected {VERSION}")
    if not Type.AUDIO <= kind <= Type.BYE:
        raise ProtocolError(f"header.type: got {kind}, expected 1 to {Type.BYE}")
    if position > MAX_POSITION:
        raise ProtocolError(f"header.position: got {position}, expected {MAX_POSITION} at most")
    if kind == Type.AUDIO:
        if not 1 <= channels <= MAX_CHANNELS:
            raise ProtocolError(f"header.channels: got {channels}, expected 1 to {MAX_CHANNELS}")
        if encoding not in (1, 2, 3):
            raise ProtocolError(f"header.encoding: got {encoding}, expected 1 to 3")
        if not 1 <= frames <= MAX_FRAMES:
            raise ProtocolError(f"header.frames: got {frames}, expected 1 to {MAX_FRAMES}")
        if copies > MAX_COPIES:
            raise ProtocolError(f"header.copies: got {copies}, expected {MAX_COPIES} at most")
    elif encoding or channels or frames or copies:
        raise ProtocolError(f"header.type: got {kind} with audio, expected none")
    return Header(
        Type(kind),
        channels,
        Encoding(encoding),
        session,
        counter,
        position,
        t_ns,
        frames,
        copies,
        flags,
        rate_mhz / 1000,
    )


def payload_bytes(frames: int, channels: int, encoding: Encoding, copies: int) -> int:
    """Length of the payload of AUDIO."""
    return frames * channels * (SAMPLE_BYTES[encoding] + copies * SAMPLE_BYTES[COPY])


def largest_block(channels: int, encoding: Encoding, copies: int, most: int) -> int:
    """Frames per datagram: a multiple of 8 that fits, at most `most`; 0 when none does."""
    room = MAX_DATAGRAM - HEADER_BYTES - TAG_BYTES
    return min(room // payload_bytes(1, channels, encoding, copies), most) // 8 * 8


def encode_block(block: Audio, encoding: Encoding) -> bytes:
    """Interleaved samples.

    block : (n, c) float32, full scale 1.0; what is beyond is clipped, but not in F32
    """
    if encoding == Encoding.F32:
        return np.ascontiguousarray(block, "<f4").tobytes()
    bits = 15 if encoding == Encoding.S16 else 23
    top = float((1 << bits) - 1)
    whole = block * np.float32(1 << bits)
    np.rint(whole, out=whole)
    np.minimum(whole, np.float32(top), out=whole)  # np.clip takes ten times as long to begin
    np.maximum(whole, np.float32(-top - 1.0), out=whole)
    if encoding == Encoding.S16:
        short: bytes = whole.astype("<i2").tobytes()
        return short
    wide: bytes = whole.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    return wide


def decode_block(data: Any, channels: int, encoding: Encoding) -> Audio:
    """(n, c) float32 of what `encode_block` wrote; what is no audio becomes 0."""
    if encoding == Encoding.F32:
        block = np.frombuffer(data, "<f4").astype(np.float32)
        audio = np.abs(block) <= LOUDEST  # not so of what is no number
        if not audio.all():
            block[~audio] = 0.0
    elif encoding == Encoding.S16:
        block = np.frombuffer(data, "<i2").astype(np.float32)
        block *= np.float32(2.0**-15)
    else:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        block = wide.view("<i4")[:, 0].astype(np.float32)
        block *= np.float32(2.0**-31)
    return block.reshape(-1, channels)


def decode_audio(header: Header, payload: Any) -> list[tuple[int, Audio]]:
    """Position and samples of each block of AUDIO, the newest first.

    Raises
    ------
    ProtocolError
        When the payload is not as long as its header says.
    """
    h = header
    expected = payload_bytes(h.frames, h.channels, h.encoding, h.copies)
    if len(payload) != expected:
        raise ProtocolError(f"payload: got {len(payload)} bytes, expected {expected}")
    if h.position < h.copies * h.frames:
        raise ProtocolError(f"header.copies: got {h.copies} of blocks before the first")
    view = memoryview(payload)
    at = h.frames * h.channels * SAMPLE_BYTES[h.encoding]
    blocks = [(h.position, decode_block(view[:at], h.channels, h.encoding))]
    step = h.frames * h.channels * SAMPLE_BYTES[COPY]
    for i in range(1, h.copies + 1):
        copy = decode_block(view[at : at + step], h.channels, COPY)
        blocks.append((h.position - i * h.frames, copy))
        at += step
    return blocks


def encode_times(asked_ns: int, heard_ns: int) -> bytes:
    """Payload of PONG: the box's clock in the PING, the sender's when that came."""
    return _TIMES.pack(asked_ns, heard_ns)


def decode_times(payload: Any) -> tuple[int, int]:
    """What `encode_times` wrote.

    Raises
    ------
    ProtocolError
    """
    if len(payload) != _TIMES.size:
        raise ProtocolError(f"payload: got {len(payload)} bytes, expected {_TIMES.size}")
    asked_ns, heard_ns = _TIMES.unpack(payload)
    return asked_ns, heard_ns


def encode_positions(positions: Sequence[int]) -> bytes:
    """Payload of NACK: blocks that are missed."""
    return struct.pack(f"<{len(positions)}Q", *positions)


def decode_positions(payload: Any) -> tuple[int, ...]:
    """What `encode_positions` wrote.

    Raises
    ------
    ProtocolError
    """
    n, rest = divmod(len(payload), 8)
    if rest or not 1 <= n <= MAX_RESENT:
        raise ProtocolError(f"payload: got {len(payload)} bytes, expected 8 to {8 * MAX_RESENT}")
    return struct.unpack(f"<{n}Q", payload)


# -- handshake ------------------------------------------------------------------------------------


class Hello(NamedTuple):
    """What a sender says of itself."""

    name: str
    rate: int  # Hz, nominal
    channels: int
    frames: int  # of every block
    encoding: Encoding
    transport: str  # "udp" or "tcp"


class Welcome(NamedTuple):
    """What the box answers."""

    session: int
    key: bytes  # 32, or none: nothing is sealed
    port: int  # UDP
    feeds: str  # names, for people


def encode_text(verb: str, fields: Mapping[str, Any]) -> bytes:
    """A verb and `key=value`, a line each."""
    return "".join([f"{verb}\n", *(f"{k}={v}\n" for k, v in fields.items())]).encode()


def decode_text(message: Any) -> tuple[str, dict[str, str]]:
    """What `encode_text` wrote; unknown lines are passed over.

    Raises
    ------
    ProtocolError
    """
    if len(message) > MAX_TEXT:
        raise ProtocolError(f"message: got {len(message)} bytes, expected {MAX_TEXT} at most")
    try:
        verb, *lines = bytes(message).decode().split("\n")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"message: got {error.reason}, expected UTF-8") from error
    pairs = (line.partition("=") for line in lines)
    return verb, {key: value for key, equals, value in pairs if equals}


def encode_hello(hello: Hello) -> bytes:
    """HELLO."""
    fields = {**hello._asdict(), "encoding": hello.encoding.name.lower()}
    return encode_text("HELLO", {"protocol": VERSION, "role": "send", **fields})


def decode_hello(fields: Mapping[str, str]) -> Hello:
    """The fields of HELLO.

    Raises
    ------
    ProtocolError
        When one is missing or impossible.
    """
    if fields.get("protocol") != str(VERSION):
        raise ProtocolError(f"protocol: got {fields.get('protocol', 'none')}, expected {VERSION}")
    name = fields.get("name", "")
    if not 1 <= len(name) <= MAX_NAME or not all(c.isascii() and c.isprintable() for c in name):
        raise ProtocolError(f"name: got {name[:MAX_NAME]!r}, expected 1 to {MAX_NAME} characters")
    if fields.get("encoding") not in ENCODINGS:
        raise ProtocolError(f"encoding: got {fields.get('encoding')}, expected f32, s16 or s24")
    if fields.get("transport") not in ("udp", "tcp"):
        raise ProtocolError(f"transport: got {fields.get('transport')}, expected udp or tcp")
    return Hello(
        name,
        _number(fields, "rate", 8_000, 192_000),
        _number(fields, "channels", 1, MAX_CHANNELS),
        _number(fields, "frames", MIN_FRAMES, MAX_FRAMES),
        ENCODINGS[fields["encoding"]],
        fields["transport"],
    )


def encode_welcome(welcome: Welcome) -> bytes:
    """WELCOME."""
    fields = {**welcome._asdict(), "key": welcome.key.hex()}
    return encode_text("WELCOME", {"protocol": VERSION, **fields})


def decode_welcome(fields: Mapping[str, str]) -> Welcome:
    """The fields of WELCOME.

    Raises
    ------
    ProtocolError
    """
    try:
        key = bytes.fromhex(fields.get("key", ""))
        session = int(fields.get("session", "")[:20])
    except ValueError as error:
        raise ProtocolError(f"welcome: got {error}, expected a session and a key") from error
    if not 0 <= session < 1 << 64:
        raise ProtocolError(f"session: got {session}, expected 0 to 2^64 - 1")
    if len(key) not in (0, 32):
        raise ProtocolError(f"key: got {len(key)} bytes, expected 32")
    return Welcome(session, key, _number(fields, "port", 0, 65_535), fields.get("feeds", ""))


def _number(fields: Mapping[str, str], key: str, low: int, high: int) -> int:
    text = fields.get(key, "none")
    # the length first: Python refuses to read integers of thousands of digits
    if len(text) <= 8 and text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise ProtocolError(f"{key}: got {text[:20]}, expected {low} to {high}")
