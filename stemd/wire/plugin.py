"""What a plugin instance and the daemon say to each other: 48 bytes of header, then a payload.

The table is in PROTOCOL.md. A change touches that page, this file, the literals in the tests and
the plugin's own header file. Pure: no sockets here.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ProtocolError
from ..spec import N_CHANNELS, N_STEMS

MAGIC = b"STIN"
VERSION = 1
HEADER = struct.Struct("<4sBBHIIQIIQQ")
HEADER_BYTES = HEADER.size
assert HEADER_BYTES == 48

AUDIO_CHANNELS = N_CHANNELS
STEM_CHANNELS = N_STEMS * N_CHANNELS
SAMPLE_BYTES = 4  # float32
MAX_FRAMES = 8192  # of one AUDIO or STEMS message
MAX_TEXT = 1024  # bytes of HELLO, WELCOME, ERROR
MAX_NAME = 64  # bytes of an instance's name
MAX_WELCOME_FRAMES = 1 << 23  # a latency, or frames on their way: 40 s at 192 kHz
MAX_POSITION = 1 << 62  # sums of a position and lengths stay 64-bit numbers
MAX_MESSAGE_BYTES = HEADER_BYTES + MAX_FRAMES * AUDIO_CHANNELS * SAMPLE_BYTES  # of what comes in
MAX_SESSION = 15

FLAG_OFFLINE = 1
FLAG_GAP = 2
FLAG_LATE = 4
FLAG_DRY = 8


class Type(IntEnum):
    """What a message is."""

    HELLO = 1
    WELCOME = 2
    AUDIO = 3
    STEMS = 4
    PING = 5
    PONG = 6
    ERROR = 7
    BYE = 8


_CHANNELS = {Type.AUDIO: AUDIO_CHANNELS, Type.STEMS: STEM_CHANNELS}
_TYPES = {int(one): one for one in Type}


class Header(NamedTuple):
    """Decoded header; fields in wire order, magic and version left out."""

    type: Type
    channels: int
    epoch: int
    rate: int  # Hz
    position: int
    frames: int
    flags: int
    t_ns: int
    instance: int


class Hello(NamedTuple):
    """What an instance says of itself."""

    block: int
    latency: int  # frames at the session's rate
    offline: bool
    name: str


def pack_header(
    type_: Type,
    *,
    instance: int,
    epoch: int,
    rate: int = 0,
    position: int = 0,
    frames: int = 0,
    flags: int = 0,
    t_ns: int = 0,
) -> bytes:
    """The 48 bytes in front of a payload."""
    return HEADER.pack(
        MAGIC,
        VERSION,
        type_,
        _CHANNELS.get(type_, 0),
        epoch,
        rate,
        position,
        frames,
        flags,
        t_ns,
        instance,
    )


def unpack_message(header: Any, payload: Any) -> Header:
    """Read a header and check it against its payload, both bytes-like.

    Raises
    ------
    ProtocolError
        When any field is impossible.
    """
    if len(header) != HEADER_BYTES:
        raise ProtocolError(f"header: got {len(header)} bytes, expected {HEADER_BYTES}")
    values = HEADER.unpack(header)
    magic, version, kind, channels, epoch, rate, position, frames, flags, t_ns, instance = values
    if magic != MAGIC:
        raise ProtocolError(f"header.magic: got {magic!r}, expected {MAGIC!r}")
    if version != VERSION:
        raise ProtocolError(f"header.version: got {version}, expected {VERSION}")
    if kind not in _TYPES:
        raise ProtocolError(f"header.type: got {kind}, expected 1 to {max(_TYPES)}")
    wanted = _CHANNELS.get(_TYPES[kind], 0)
    if channels != wanted:
        raise ProtocolError(f"header.channels: got {channels}, expected {wanted}")
    if wanted == 0:
        if frames or len(payload) > MAX_TEXT:
            raise ProtocolError(f"payload: got {len(payload)} bytes, expected {MAX_TEXT} at most")
    elif not 1 <= frames <= MAX_FRAMES:
        raise ProtocolError(f"header.frames: got {frames}, expected 1 to {MAX_FRAMES}")
    elif len(payload) != frames * wanted * SAMPLE_BYTES:
        raise ProtocolError(
            f"payload: got {len(payload)} bytes, expected {frames * wanted * SAMPLE_BYTES}"
        )
    if position > MAX_POSITION:
        raise ProtocolError(f"header.position: got {position}, expected {MAX_POSITION} at most")
    return Header(_TYPES[kind], channels, epoch, rate, position, frames, flags, t_ns, instance)


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """`key=value` lines."""
    return "".join(f"{key}={value}\n" for key, value in fields.items()).encode()


def decode_fields(payload: Any) -> dict[str, str]:
    """What `encode_fields` wrote; lines without `=` are not ours and are passed over.

    Raises
    ------
    ProtocolError
        When it is not UTF-8.
    """
    try:
        content = bytes(payload).decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(f"payload: got {error.reason}, expected UTF-8") from error
    pairs = (line.partition("=") for line in content.split("\n"))
    return {key: value for key, equals, value in pairs if equals}


def encode_hello(hello: Hello) -> bytes:
    """Payload of HELLO."""
    return encode_fields(
        {
            "protocol": VERSION,
            "role": "insert",
            "block": hello.block,
            "latency": hello.latency,
            "offline": int(hello.offline),
            "name": hello.name,
        }
    )


def decode_hello(payload: Any) -> Hello:
    """What an instance says of itself.

    Raises
    ------
    ProtocolError
        When a field is missing or impossible.
    """
    fields = decode_fields(payload)
    if fields.get("protocol") != str(VERSION):
        raise ProtocolError(f"protocol: got {fields.get('protocol', 'none')}, expected {VERSION}")
    if fields.get("role") != "insert":
        raise ProtocolError(f"role: got {fields.get('role', 'none')}, expected insert")
    name = "".join(c for c in fields.get("name", "") if c.isprintable())
    return Hello(
        _number(fields, "block", 1, 1 << 20),
        _number(fields, "latency", 0, 1 << 24),
        _number(fields, "offline", 0, 1) == 1,
        name.encode()[:MAX_NAME].decode("utf-8", "ignore"),
    )


def decode_welcome(payload: Any) -> dict[str, str]:
    """The daemon's answer to HELLO: every length in it is a number of frames that can be.

    Raises
    ------
    ProtocolError
        When one is missing or impossible.
    """
    fields = decode_fields(payload)
    for key in ("algorithmic", "minimum", "credit"):
        _number(fields, key, 0, MAX_WELCOME_FRAMES)
    return fields


def _number(fields: Mapping[str, str], key: str, low: int, high: int) -> int:
    text = fields.get(key, "none")
    # the length first: Python refuses to read integers of thousands of digits
    if len(text) <= 8 and text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise ProtocolError(f"{key}: got {text[:20]}, expected {low} to {high}")


def runtime_directory() -> Path:
    """Where the daemon's discovery files and local sockets lie: the user's own place."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return Path(base) / "stemd"
    uid = os.getuid() if hasattr(os, "getuid") else 0
    return Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()) / f"stemd-{uid}"


def default_endpoint(session: int) -> str:
    """Where the daemon of a session listens unless told otherwise, without a check of the place."""
    return f"ipc://{runtime_directory()}/plugin-{session}.sock"


def discovery_file(session: int) -> Path:
    """What tells plugins where a session's daemon is."""
    return runtime_directory() / f"{session}.json"


def local_file(port: int) -> Path:
    """What tells this user's programs how to talk to a control port that asks for keys.

    Public key of the daemon; secret key of the pair that may do everything.
    """
    return runtime_directory() / f"control-{port}.key"


def stream_file(session: int) -> Path:
    """What tells receivers where a session's stream is."""
    return runtime_directory() / f"stream-{session}.json"
