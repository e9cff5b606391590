"""Control requests and replies: JSON objects over a ROUTER socket, checked here completely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ProtocolError
from ..spec import SOURCES, STEMS
from .messages import decode_json

MAX_REQUEST_BYTES = 16_384  # the longest sensible request sets every stem of 64 feeds
MAX_ID_BYTES = 64
OPS = ("hello", "get", "set", "status", "devices", "reload", "shutdown", "ping")
LOCAL_OPS = ("reload", "shutdown")  # for programs on the same machine only

GAIN_MAX_DB = 20.0
GAIN_MIN_DB = -120.0  # and below: silence
GAIN_MAX = 10 ** (GAIN_MAX_DB / 20)

Scope = Literal["stem", "source", "feed", "stream"]


@dataclass(frozen=True, slots=True)
class Range:
    """What a setting belongs to and what it may be."""

    scope: Scope
    low: float
    high: float
    switch: bool = False  # only on and off


SETTINGS: Mapping[str, Range] = {
    "gain": Range("stem", 0.0, GAIN_MAX),  # linear
    "mute": Range("stem", 0.0, 1.0, switch=True),
    "solo": Range("stem", 0.0, 1.0, switch=True),
    "onset_threshold": Range("source", 0.0, 10.0),
    "bypass": Range("feed", 0.0, 1.0, switch=True),
    "paused": Range("stream", 0.0, 1.0, switch=True),
    "recording": Range("stream", 0.0, 1.0, switch=True),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One value for one place; `feed` and `source` are indices, 0 where the scope has none."""

    name: str
    feed: int
    source: int  # into SOURCES: a stem's number is one less
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
    fields = decode_json(data, MAX_REQUEST_BYTES)
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
    source = None
    if "stem" in rest:
        source = _index(rest.pop("stem"), SOURCES, "stem")
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
        checked = check_value(name, _number(key, value), key)
        settings.append(
            Setting(
                name,
                feed if scope != "stream" else 0,
                (source or 0) if scope in ("stem", "source") else 0,
                checked,
            )
        )
    return settings


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
