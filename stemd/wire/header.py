"""The 96 bytes in front of every audio, feature and event payload; little endian.

The table is in PROTOCOL.md. A change touches that page, this file and the literal in the tests.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..errors import ProtocolError

MAGIC = b"STMD"
VERSION_MAJOR = 1  # also in every topic
VERSION_MINOR = 0  # minor versions add only at the end
HEADER = struct.Struct("<4sBBHQQQqqdIIHBBBBHIIIIII")
HEADER_BYTES = HEADER.size
assert HEADER_BYTES == 96

DTYPE_FIELDS = 0  # the payload is a struct, see events
DTYPE_F32 = 1
DTYPE_OPUS = 5  # one packet of RFC 6716
INTERLEAVED, PLANAR = 0, 1
STEM_ALL = 255

FLAG_DISCONTINUITY = 1
FLAG_CONCEALED = 2
FLAG_DRY = 4
FLAG_CLIPPED = 8
FLAG_SILENCE = 16
FLAG_LATE = 32
FLAG_CONFIG = 64

_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Header:
    """Decoded header; fields in wire order, magic and lengths left out."""

    session: int
    seq: int
    sample_pos: int
    t_capture_ns: int
    t_publish_mono_ns: int
    rate_measured: float
    rate_nominal: int
    n_frames: int
    n_channels: int
    dtype: int
    layout: int
    stem: int
    state: int
    flags: int
    latency_frames: int
    lost_input_frames: int
    config_rev: int
    payload_bytes: int
    crc32c: int = 0
    version_minor: int = VERSION_MINOR
    header_bytes: int = HEADER_BYTES

    @property
    def content_pos(self) -> int:
        """Input sample that the first sample of the payload describes."""
        return self.sample_pos - self.latency_frames


def pack_header(
    buffer: Any,
    offset: int,
    *,
    session: int,
    seq: int,
    sample_pos: int,
    t_capture_ns: int,
    t_publish_mono_ns: int,
    rate_measured: float,
    rate_nominal: int,
    n_frames: int,
    n_channels: int,
    dtype: int,
    stem: int,
    state: int,
    flags: int,
    latency_frames: int,
    lost_input_frames: int,
    config_rev: int,
    payload_bytes: int,
) -> None:
    """Write a header into `buffer`, 96 bytes from `offset` on. Counters wrap."""
    HEADER.pack_into(
        buffer,
        offset,
        MAGIC,
        VERSION_MAJOR,
        VERSION_MINOR,
        HEADER_BYTES,
        session & _U64,
        seq & _U64,
        sample_pos & _U64,
        t_capture_ns,
        t_publish_mono_ns,
        rate_measured,
        rate_nominal,
        n_frames,
        n_channels,
        dtype,
        PLANAR,
        stem,
        state,
        flags,
        latency_frames,
        lost_input_frames & _U32,
        config_rev & _U32,
        payload_bytes,
        0,
        0,
    )


def unpack_header(data: Any, offset: int = 0) -> Header:
    """Read the header at `offset` of a bytes-like object.

    Raises
    ------
    ProtocolError
        When it is short, foreign or of another major version.
    """
    n = len(data) - offset
    if n < HEADER_BYTES:
        raise ProtocolError(f"header: got {n} bytes, expected {HEADER_BYTES}")
    values = HEADER.unpack_from(data, offset)
    magic, major, minor, header_bytes = values[:4]
    if magic != MAGIC:
        raise ProtocolError(f"header.magic: got {magic!r}, expected {MAGIC!r}")
    if major != VERSION_MAJOR:
        raise ProtocolError(f"header.version: got {major}.{minor}, expected {VERSION_MAJOR}.x")
    if not HEADER_BYTES <= header_bytes <= n:
        raise ProtocolError(f"header.header_len: got {header_bytes}, expected 96 to {n}")
    # All but the reserved word at the end, in wire order.
    return Header(*(*values[4:-1], minor, header_bytes))
