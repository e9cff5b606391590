"""OSC addresses, written once. `base` is the prefix, with the feed's name for further feeds."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..spec import SOURCES

MAX_PATTERN_CHARS = 128
MAX_ALTERNATIVES = 16


@dataclass(frozen=True, slots=True)
class Level:
    """A continuous value of one source: sent when it has moved by `step`, or after 250 ms."""

    name: str
    step: float
    voiced_only: bool = False


# In this order on the wire. Steps are what an eye or an ear would not notice.
LEVELS = (
    Level("level", 0.002),
    Level("peak", 0.002),
    Level("level_db", 0.1),
    Level("onset/env", 0.002),
    Level("pitch", 0.01, voiced_only=True),
    Level("pitch_hz", 0.05, voiced_only=True),
    Level("pitch_conf", 0.002),
)

# Per stream, once a second and on change.
STATE, ALIVE, LATENCY_MS, LOAD = "state", "alive", "latency_ms", "load"
XRUNS, LOST, LATE = "xruns", "lost", "late"

# Per source, in.
SOURCE_SETTINGS = {"onset/threshold": "onset_threshold"}
# Per stem, in.
STEM_SETTINGS = {"gain": "gain", "gain_db": "gain", "mute": "mute", "solo": "solo"}
FEED_SETTINGS = {"bypass": "bypass"}
STREAM_SETTINGS = {"paused": "paused", "record": "recording"}
PANIC, PING, PONG, STATUS, STATUS_REPLY = "panic", "ping", "pong", "status", "status.reply"
ERROR = "error"


def bases(prefix: str, feeds: Iterable[str]) -> list[str]:
    """Where each feed's addresses start: the first feed's have no feed part."""
    return [prefix if i == 0 else f"{prefix}/{feed}" for i, feed in enumerate(feeds)]


def source_address(base: str, source: int, name: str) -> str:
    """Address of something that belongs to a source."""
    return f"{base}/{SOURCES[source]}/{name}"


def is_pattern(address: str) -> bool:
    """Whether it may mean several addresses."""
    return any(c in "*?[{" for c in address)


def matching(pattern: str, addresses: Iterable[str]) -> list[str]:
    """Addresses an OSC pattern means; no part of it crosses a `/`. Empty for a wild pattern."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return []
    # Not fnmatch's own cache: it would keep 32768 patterns of a sender that thinks of new ones.
    wanted = [
        [re.compile(fnmatch.translate(part)) for part in alternative.split("/")]
        for alternative in _alternatives(pattern)
    ]
    return [a for a in addresses if any(_fits(a.split("/"), parts) for parts in wanted)]


def _fits(parts: list[str], wanted: list[re.Pattern[str]]) -> bool:
    return len(parts) == len(wanted) and all(
        want.match(part) for part, want in zip(parts, wanted, strict=True)
    )


def _alternatives(pattern: str) -> list[str]:
    """`{a,b}` written out."""
    pieces: list[list[str]] = []
    rest = pattern
    while rest:
        before, brace, after = rest.partition("{")
        pieces.append([before])
        if not brace:
            break
        inside, brace, rest = after.partition("}")
        if not brace:
            return []
        pieces.append(inside.split(","))
    n = 1
    for piece in pieces:
        n *= len(piece)
    if n > MAX_ALTERNATIVES:
        return []
    return ["".join(choice) for choice in itertools.product(*pieces)]
