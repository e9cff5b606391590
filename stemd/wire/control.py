"""Control requests and replies: JSON objects over a ROUTER socket, checked here completely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ProtocolError
from ..spec import DRUMS, SOURCES, STEMS
from .messages import decode_json

MAX_REQUEST_BYTES = 16_384  # the longest sensible request sets every stem of 64 feeds
MAX_ID_BYTES = 64
# For programs on the same machine only.
LOCAL_OPS = ("reload", "model", "profile", "device", "subscribers", "shutdown")
LOOKING_OPS = ("hello", "get", "status", "ping")  # for those, too, who may not turn knobs
OPS = ("hello", "get", "set", "tap", "preset", "status", "devices", "ping", *LOCAL_OPS)

GAIN_MAX_DB = 20.0
GAIN_MIN_DB = -120.0  # and below: silence
GAIN_MAX = 10 ** (GAIN_MAX_DB / 20)

PITCH_HZ = (20.0, 5000.0)  # what a fundamental may be set to lie between
TEMPO_BPM = (20.0, 400.0)

Scope = Literal["stem", "source", "drum", "feed", "stream"]


@dataclass(frozen=True, slots=True)
class Range:
    """What a setting belongs to, what it may be, and what it means."""

    scope: Scope
    low: float
    high: float
    text: str
    switch: bool = False  # only on and off


SETTINGS: Mapping[str, Range] = {
    "gain": Range("stem", 0.0, GAIN_MAX, "linear gain"),
    "mute": Range("stem", 0.0, 1.0, "silence this stem", switch=True),
    "solo": Range("stem", 0.0, 1.0, "only stems that are solo are heard", switch=True),
    "onset_threshold": Range("source", 0.01, 100.0, "odds asked for of an onset"),
    "pitch_confidence": Range("source", 0.0, 1.0, "confidence from which pitch is given"),
    "pitch_low_hz": Range("source", *PITCH_HZ, "lowest pitch looked for, Hz"),
    "pitch_high_hz": Range("source", *PITCH_HZ, "highest pitch looked for, Hz"),
    "drum_threshold": Range("drum", 0.1, 10.0, "factor on the threshold of this drum"),
    "bypass": Range("feed", 0.0, 1.0, "hear the input instead of the stems", switch=True),
    "tempo_low_bpm": Range("feed", *TEMPO_BPM, "slowest tempo looked for, beats per minute"),
    "tempo_high_bpm": Range("feed", *TEMPO_BPM, "fastest tempo looked for, beats per minute"),
    "tempo_lock": Range("feed", 0.0, 1.0, "keep the tempo, follow its phase only", switch=True),
    "paused": Range("stream", 0.0, 1.0, "silence everything", switch=True),
    "recording": Range("stream", 0.0, 1.0, "write stems to files", switch=True),
    "hold": Range("stream", 0.0, 1.0, "OSC, MIDI and mappings stand still", switch=True),
}
# The lower end and the upper end of a range: the one that is turned pushes the other.
PAIRS = (("pitch_low_hz", "pitch_high_hz"), ("tempo_low_bpm", "tempo_high_bpm"))


@dataclass(frozen=True, slots=True)
class Setting:
    """One value for one place; `feed` and `source` are indices, 0 where the scope has none."""

    name: str
    feed: int
    source: int  # into SOURCES (a stem's number is one less); of a drum: into DRUMS
    value: float


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose `op` and `id` are known to be good."""

    op: str
    id: Any  # str, int or None; comes back in the reply
    fields: Mapping[str, Any]


def decode_request(data: bytes) -> Request:
    """Check what every request has.

    Raises
    ------
    ProtocolError
        With a sentence for the sender.
    """
    return decode_fields(decode_json(data, MAX_REQUEST_BYTES))


def decode_fields(fields: dict[str, Any]) -> Request:
    """Check what every request has; takes `op` and `id` out of `fields`.

    Raises
    ------
    ProtocolError
        With a sentence for the sender.
    """
    op, request_id = fields.pop("op", None), fields.pop("id", None)
    if not isinstance(request_id, str | int | None) or len(str(request_id)) > MAX_ID_BYTES:
        raise ProtocolError(f"id: got {_show(request_id)}, expected text or a number")
    if not isinstance(op, str) or op not in OPS:
        raise ProtocolError(f"op: got {_show(op)}, expected one of {', '.join(OPS)}")
    return Request(op, request_id, fields)


def decode_settings(fields: Mapping[str, Any], feeds: Sequence[str]) -> list[Setting]:
    """What a `set` request asks for; all of it is good, or none of it is taken.

    Raises
    ------
    ProtocolError
        With a sentence for the sender.
    """
    rest = dict(fields)
    feed = _index(rest.pop("feed", feeds[0]), feeds, "feed")
    source = _index(rest.pop("stem"), SOURCES, "stem") if "stem" in rest else None
    drum = _index(rest.pop("drum"), DRUMS, "drum") if "drum" in rest else None
    if not rest:
        raise ProtocolError(f"set: got nothing to set, expected any of {_names()}")
    settings = []
    for key, value in rest.items():
        name = "gain" if key == "gain_db" else key
        if name not in SETTINGS:
            raise ProtocolError(f"set: got {_show(key)}, expected any of {_names()}")
        scope = SETTINGS[name].scope
        if scope in ("stem", "source") and source is None:
            raise ProtocolError(f"{key}: got no stem, expected stem to be one of {SOURCES}")
        if scope == "stem" and source == 0:
            raise ProtocolError(f"stem: got 'mix', expected one of {STEMS} for {key}")
        if scope == "drum" and drum is None:
            raise ProtocolError(f"{key}: got no drum, expected drum to be one of {DRUMS}")
        checked = check_value(name, _number(key, value), key)
        place = {"stem": source, "source": source, "drum": drum}.get(scope)
        settings.append(Setting(name, feed if scope != "stream" else 0, place or 0, checked))
    return settings


def decode_feed(fields: Mapping[str, Any], feeds: Sequence[str]) -> int:
    """Number of the feed a request names; the first when it names none.

    Raises
    ------
    ProtocolError
        When there is no such feed.
    """
    return _index(fields.get("feed", feeds[0]), feeds, "feed")


def check_value(name: str, value: float, key: str = "") -> float:
    """The value as it is kept, or a refusal.

    Raises
    ------
    ProtocolError
        When it is out of range.
    """
    limits = SETTINGS[name]
    key = key or name
    if key == "gain_db":
        if not GAIN_MIN_DB <= value <= GAIN_MAX_DB:
            raise ProtocolError(f"gain_db: got {value:g}, expected {GAIN_MIN_DB:g} to 20")
        return gain_of_db(value)
    if not limits.low <= value <= limits.high or (limits.switch and value not in (0.0, 1.0)):
        expected = "true or false" if limits.switch else f"{limits.low:g} to {limits.high:g}"
        raise ProtocolError(f"{key}: got {value:g}, expected {expected}")
    return value


def gain_of_db(db: float) -> float:
    """Decibels to linear gain; the bottom of the scale is silence."""
    return 0.0 if db <= GAIN_MIN_DB else float(10 ** (min(db, GAIN_MAX_DB) / 20))


def db_of_gain(gain: float) -> float:
    """Linear gain to decibels, not below the bottom of the scale."""
    return GAIN_MIN_DB if gain <= 1e-6 else max(20 * math.log10(gain), GAIN_MIN_DB)


def _number(key: str, value: Any) -> float:
    if not isinstance(value, bool | int | float):
        raise ProtocolError(f"{key}: got {_show(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ProtocolError(f"{key}: got a huge number, expected a number") from error
    if not math.isfinite(number):
        raise ProtocolError(f"{key}: got {number}, expected a number")
    return number


def _index(value: Any, names: Sequence[str], key: str) -> int:
    if not isinstance(value, str) or value not in names:
        raise ProtocolError(f"{key}: got {_show(value)}, expected one of {', '.join(names)}")
    return names.index(value)


def _names() -> str:
    return ", ".join((*SETTINGS, "gain_db"))


def _show(value: Any) -> str:
    """A foreign value, short enough to be quoted back."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"
