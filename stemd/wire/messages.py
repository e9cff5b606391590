"""Audio, feature and event messages: what a receiver makes of the frames it gets."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ProtocolError
from ..spec import FEATURES, SOURCES
from . import topics
from .header import DTYPE_F32, DTYPE_FIELDS, DTYPE_OPUS, PLANAR, Header, unpack_header

Float32Array = npt.NDArray[np.float32]

EVENT = struct.Struct("<IIff")  # kind, count, strength, 0.0
EVENT_ONSET = 1
MAX_RATE_HZ = 768_000  # no converter is faster
_F32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class AudioMessage:
    """One hop of one stem (2 channels), or of `all` (8: four stereo stems)."""

    feed: str
    stem: str
    header: Header
    samples: Float32Array  # (c, n), read-only view of the message


@dataclass(frozen=True, slots=True)
class OpusMessage:
    """One packet of one stem."""

    feed: str
    stem: str
    header: Header  # n_channels and n_frames are of what it decodes to
    packet: bytes


@dataclass(frozen=True, slots=True)
class Features:
    """One row of features of one source; `row["rms"]`, `row["f0_hz"]`, …"""

    feed: str
    source: str
    header: Header
    values: Float32Array  # (n_features,), order as in the welcome
    names: tuple[str, ...] = FEATURES

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one input sample; header.content_pos says which."""

    feed: str
    source: str
    header: Header
    kind: int
    count: int  # running, per source
    strength: float  # 0..1


def decode_audio(frames: Sequence[bytes]) -> AudioMessage:
    """Topic, header, payload.

    Raises
    ------
    ProtocolError
        When any of the three is not as PROTOCOL.md says.
    """
    topic, header, payload = _three(frames)
    kind, feed, stem = topics.split(topic)
    if kind != "a":
        raise ProtocolError(f"topic: got {topic!r}, expected audio")
    _floats(header, len(payload), header.n_channels * header.n_frames)
    if header.n_frames < 1:
        raise ProtocolError("header.n_frames: got 0, expected 1 or more")
    if not 1 <= header.rate_nominal <= MAX_RATE_HZ:
        raise ProtocolError(
            f"header.rate_nominal: got {header.rate_nominal} Hz, expected 1 to {MAX_RATE_HZ}"
        )
    if header.layout != PLANAR:
        raise ProtocolError(f"header.layout: got {header.layout}, expected {PLANAR} (planar)")
    samples = np.frombuffer(payload, _F32).reshape(header.n_channels, header.n_frames)
    return AudioMessage(feed, stem, header, samples)


def decode_opus(frames: Sequence[bytes]) -> OpusMessage:
    """Topic, header, payload of a packet, which is not looked into.

    Raises
    ------
    ProtocolError
        When any of the three is not as PROTOCOL.md says.
    """
    topic, header, payload = _three(frames)
    kind, feed, stem = topics.split(topic)
    if kind != "o" or header.dtype != DTYPE_OPUS:
        raise ProtocolError(f"topic: got {topic!r} of type {header.dtype}, expected Opus")
    return OpusMessage(feed, stem, header, payload)


def decode_features(message: bytes, names: tuple[str, ...] = FEATURES) -> Features:
    """Topic NUL header payload. Values beyond `names` belong to a newer minor version.

    Raises
    ------
    ProtocolError
        When the message is not as PROTOCOL.md says.
    """
    topic, content = split_single(message)
    kind, feed, source = topics.split(topic)
    if kind != "f" or source not in SOURCES:
        raise ProtocolError(f"topic: got {topic!r}, expected features of one of {SOURCES}")
    header = unpack_header(content)
    n_bytes = len(content) - header.header_bytes
    _floats(header, n_bytes, header.n_channels)
    if header.n_channels < len(names):
        raise ProtocolError(f"features: got {header.n_channels}, expected {len(names)}")
    values = np.frombuffer(content, _F32, header.n_channels, header.header_bytes)
    return Features(feed, source, header, values, names)


def encode_event(kind: int, count: int, strength: float) -> bytes:
    """Payload of an event."""
    return EVENT.pack(kind, count & 0xFFFFFFFF, strength, 0.0)


def decode_event(frames: Sequence[bytes]) -> Event:
    """Topic, header, payload.

    Raises
    ------
    ProtocolError
        When any of the three is not as PROTOCOL.md says.
    """
    topic, header, payload = _three(frames)
    kind, feed, _ = topics.split(topic)
    if kind != "e":
        raise ProtocolError(f"topic: got {topic!r}, expected events")
    if header.dtype != DTYPE_FIELDS or len(payload) < EVENT.size:
        raise ProtocolError(f"event: got {len(payload)} bytes, expected {EVENT.size} of fields")
    if header.stem >= len(SOURCES):
        raise ProtocolError(f"header.stem: got {header.stem}, expected 0 to {len(SOURCES) - 1}")
    what, count, strength, _ = EVENT.unpack_from(payload)
    return Event(feed, SOURCES[header.stem], header, what, count, strength)


def split_single(message: bytes) -> tuple[bytes, bytes]:
    """Topic and content of a single-frame message.

    Raises
    ------
    ProtocolError
        When there is no NUL where a topic could end.
    """
    topic, separator, content = message.partition(topics.SEPARATOR)
    if not separator or len(topic) > MAX_TOPIC_BYTES:
        raise ProtocolError(f"message: got {message[:40]!r}, expected topic NUL content")
    return topic, content


MAX_TOPIC_BYTES = 128  # "stemd/1/a/" + a feed name of 32 + a stem, with room to spare


def encode_json(value: Any) -> bytes:
    """Compact UTF-8 JSON; what is not finite becomes null, because JSON knows no NaN."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False).encode()


def decode_json(data: bytes, limit: int) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes.

    Raises
    ------
    ProtocolError
        For anything else.
    """
    if len(data) > limit:
        raise ProtocolError(f"message: got {len(data)} bytes, expected at most {limit}")
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"message: got {error}, expected a JSON object") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"message: got {type(value).__name__}, expected a JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is not JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _three(frames: Sequence[bytes]) -> tuple[bytes, Header, bytes]:
    if len(frames) != 3:
        raise ProtocolError(f"message: got {len(frames)} frames, expected topic, header, payload")
    topic, header, payload = frames
    return topic, unpack_header(header), payload


def _floats(header: Header, n_bytes: int, n_values: int) -> None:
    if header.dtype != DTYPE_F32:
        raise ProtocolError(f"header.dtype: got {header.dtype}, expected {DTYPE_F32} (float32)")
    if not header.payload_bytes == n_bytes == n_values * _F32.itemsize:
        raise ProtocolError(
            f"payload: got {n_bytes} bytes, expected {header.payload_bytes} in the header "
            f"and {n_values} float32"
        )
