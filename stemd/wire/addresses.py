"""OSC addresses, written once. `base` is the prefix, with the feed's name for further feeds."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..spec import BAND_EDGES_HZ, DRUMS, PITCH_CLASSES, SOURCES

MAX_PATTERN_CHARS = 128
MAX_ALTERNATIVES = 16

FLOOR_DB = -120.0
LEVEL_RANGE_DB = 60.0  # a level is 0…1, linear in dB over -60…0 dBFS
CENTROID_HZ = (50.0, 12_800.0)  # a centroid is 0…1, linear in octaves over these eight

# What becomes of a feature before it leaves: nothing, dBFS, 0…1 over 60 dB, MIDI note of Hz,
# 0…1 over the octaves of a centroid, the highest since the last tick, a decaying envelope.
Scale = Literal["same", "db", "level", "note", "octaves", "peak", "envelope"]

_DRUMS_ONLY = ("drums",)
_TUNED = tuple(name for name in SOURCES if name not in _DRUMS_ONLY)  # what has notes and chords
FEED = ()  # in place of sources: one for the whole feed, without a source in its address


@dataclass(frozen=True, slots=True)
class Level:
    """A continuous value: sent when it has moved by `step`, or after 250 ms. Always `f`."""

    name: str
    group: str
    feature: str
    text: str
    scale: Scale = "same"
    low: float = 0.0
    high: float = 1.0
    step: float = 0.002  # what an eye or an ear would not notice
    sources: Sequence[str] = SOURCES
    voiced_only: bool = False


# In this order on the wire.
LEVELS = (
    Level("level", "level", "rms", "RMS, linear in dB over -60…0 dBFS", "level"),
    Level("peak", "level", "peak", "highest sample since the last message", "peak"),
    Level("level_db", "level", "rms", "RMS, dBFS", "db", FLOOR_DB, 20.0, 0.1),
    Level("onset/env", "onset", "onset", "envelope of onsets, halves in 100 ms", "envelope"),
    Level("pitch", "pitch", "f0_hz", "MIDI note with fraction; holds while unvoiced", "note", 0.0,
          140.0, 0.01, voiced_only=True),
    Level("pitch_hz", "pitch", "f0_hz", "fundamental, Hz; holds while unvoiced", "same", 0.0,
          20_000.0, 0.05, voiced_only=True),
    Level("pitch_conf", "pitch", "voicing", "how sure the pitch is"),
    *(Level(f"{drum}/env", "hits", drum, f"envelope of the {drum}, halves in 100 ms", "envelope",
            sources=_DRUMS_ONLY) for drum in DRUMS),
    Level("tempo", "tempo", "tempo_bpm", "beats per minute; 0 unknown", "same", 0.0, 400.0, 0.02,
          FEED),
    Level("tempo/confidence", "tempo", "tempo_confidence", "how sure the tempo is", sources=FEED),
    Level("beat/phase", "tempo", "beat_phase", "from the last beat to the next", sources=FEED),
    Level("lufs", "lufs", "lufs", "momentary loudness, LUFS", "same", FLOOR_DB, 20.0, 0.1),
    Level("crest_db", "crest", "crest_db", "peak over RMS of the last 400 ms, dB", "same", 0.0,
          60.0, 0.1),
    Level("centroid", "centroid", "centroid_hz", "centroid, linear in octaves over 50…12800 Hz",
          "octaves"),
    Level("centroid_hz", "centroid", "centroid_hz", "spectral centroid, Hz; 0 in silence", "same",
          0.0, 96_000.0, 5.0),
    Level("flux", "flux", "flux", "mean rise over bands, nats",
          "same", 0.0, 10.0, 0.005),
    Level("width", "width", "width", "0 mono, 1 side only"),
    *(Level(f"band/{i + 1}", "bands", f"band_{i + 1}",
            f"RMS from {edge:g} Hz, linear in dB over -60…0 dBFS", "level")
      for i, edge in enumerate(BAND_EDGES_HZ)),
    *(Level(f"chroma/{name}", "chroma", f"chroma_{name}", "strength of a pitch class", step=0.01,
            sources=_TUNED)
      for name in PITCH_CLASSES),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """What happens at a moment: sent at once, its own packet, `f`, with `/count` i, `/age_ms` f."""

    name: str
    group: str
    trigger: str  # feature that is not 0 in the hop in which it happens
    feature: str  # what is sent
    text: str
    sources: Sequence[str] = SOURCES
    count: str = ""  # feature that counts; empty: counted where it is sent
    offset: str = ""  # feature that says how far into its hop it happened, samples
    delay_ms: float = 0.0  # how long its detector listens before it tells


EVENTS = (
    Event("onset", "onset", "onset", "onset_strength", "strength of the newest onset",
          count="onset_count", offset="onset_offset"),
    *(Event(drum, "hits", drum, drum, f"velocity of the newest {drum}", _DRUMS_ONLY, delay_ms=11.0)
      for drum in DRUMS),
    Event("beat", "tempo", "beat", "tempo_confidence", "how sure the newest beat is", FEED,
          count="beat_count"),
)  # fmt: skip

# Notes and chords last: sent at once when they change, and each second.
NOTE, NOTE_VELOCITY, NOTE_COUNT, CHORD = "note", "note/velocity", "note/count", "chord"
NOTE_SOURCES: Sequence[str] = _TUNED
CHORD_SOURCES: Sequence[str] = _TUNED

# Per stream, once a second and on change.
STATE, ALIVE, LATENCY_MS, LOAD = "state", "alive", "latency_ms", "load"
XRUNS, LOST, LATE = "xruns", "lost", "late"

# To `osc.text_targets` only.
EVENT, STARTUP, SHUTDOWN = "event", "startup", "shutdown"

# In: address to setting, by what it belongs to.
STEM_SETTINGS = {"gain": "gain", "gain_db": "gain", "mute": "mute", "solo": "solo"}
SOURCE_SETTINGS = {
    "onset/threshold": "onset_threshold",
    "pitch/min_conf": "pitch_confidence",
    "pitch/low_hz": "pitch_low_hz",
    "pitch/high_hz": "pitch_high_hz",
}
DRUM_SETTINGS = {"threshold": "drum_threshold"}  # of /stemd/drums/kick and its neighbours
FEED_SETTINGS = {
    "bypass": "bypass",
    "tempo/low_bpm": "tempo_low_bpm",
    "tempo/high_bpm": "tempo_high_bpm",
    "tempo/lock": "tempo_lock",
}
STREAM_SETTINGS = {"paused": "paused", "record": "recording", "hold": "hold"}
TAP = "tempo/tap"  # of a feed
PANIC, PING, PONG, STATUS, STATUS_REPLY = "panic", "ping", "pong", "status", "status.reply"
SYNC, SYNCED, DONE, FAIL, ERROR = "sync", "synced", "done", "fail", "error"
PRESET, RELOAD, MODEL, PROFILE = "preset", "reload", "model", "profile"
SUBSCRIBE, SUBSCRIBED, RENEW, UNSUBSCRIBE = "subscribe", "subscribed", "renew", "unsubscribe"


def bases(prefix: str, feeds: Iterable[str]) -> list[str]:
    """Where each feed's addresses start: the first feed's have no feed part."""
    return [prefix if i == 0 else f"{prefix}/{feed}" for i, feed in enumerate(feeds)]


def source_address(base: str, source: int, name: str) -> str:
    """Address of something that belongs to a source."""
    return f"{base}/{SOURCES[source]}/{name}"


def address_of(base: str, source: int, name: str, sources: Sequence[str]) -> str | None:
    """Address of a level or event in one source's row; None when that source has none.

    What belongs to the feed is in the row of the mix.
    """
    if not sources:
        return f"{base}/{name}" if source == 0 else None
    return source_address(base, source, name) if SOURCES[source] in sources else None


def is_pattern(address: str) -> bool:
    """Whether it may mean several addresses."""
    return any(c in "*?[{" for c in address)


def matching(pattern: str, addresses: Iterable[str], below: bool = False) -> list[str]:
    """Addresses an OSC pattern means; no part of it crosses a `/`. Empty for a wild pattern.

    below : also everything under what it means
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        return []
    # Not fnmatch's own cache: it would keep 32768 patterns of a sender that thinks of new ones.
    wanted = [
        [_Part(part) for part in alternative.split("/")] for alternative in _alternatives(pattern)
    ]
    found = []
    for address in addresses:
        parts = address.split("/")
        if any(_fits(parts, want, below) for want in wanted):
            found.append(address)
    return found


class _Part:
    """One part of a pattern, and what it said to parts it has seen: there are few of them."""

    def __init__(self, pattern: str) -> None:
        # OSC negates with !, as fnmatch does.
        self._match = re.compile(fnmatch.translate(pattern)).match
        self._seen: dict[str, bool] = {}

    def fits(self, part: str) -> bool:
        known = self._seen.get(part)
        if known is None:
            known = self._seen[part] = self._match(part) is not None
        return known


def _fits(parts: list[str], wanted: list[_Part], below: bool) -> bool:
    if len(parts) != len(wanted) and not (below and len(parts) > len(wanted)):
        return False
    return all(want.fits(part) for part, want in zip(parts, wanted, strict=False))


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
