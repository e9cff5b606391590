"""Every OSC address of a stream with its type, range and meaning, as browsers ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..spec import DRUMS, PROFILES, SOURCES, STEMS
from . import addresses as a
from .control import GAIN_MAX_DB, GAIN_MIN_DB, SETTINGS

# Linear gain above 1 only through gain_db, on purpose: a controller that sends 0…127 must not
# blow up a sound system.
OSC_GAIN_MAX = 1.0
READ, WRITE = 1, 2

Limits = tuple[float | None, float | None]
_ANY: Limits = (None, None)
_COUNT: Limits = (0, None)
_BUTTON: Limits = (0, 1)


@dataclass(frozen=True, slots=True)
class Node:
    """What one address takes or says."""

    tags: str
    access: int
    text: str
    limits: Sequence[Limits] = ()  # one for each tag
    group: str = ""  # of what goes out; empty: always
    choices: Sequence[str] = ()  # the only values of its first argument


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting behind an address."""

    name: str
    feed: int
    source: int
    in_db: bool = False

    @property
    def limits(self) -> tuple[float, float]:
        """What the address takes; more is clamped."""
        if self.in_db:
            return GAIN_MIN_DB, GAIN_MAX_DB
        limits = SETTINGS[self.name]
        return limits.low, OSC_GAIN_MAX if self.name == "gain" else limits.high


def knobs(prefix: str, feeds: Sequence[str]) -> dict[str, Knob]:
    """Every address that takes a setting."""
    found = {f"{prefix}/{address}": Knob(n, 0, 0) for address, n in a.STREAM_SETTINGS.items()}
    for b, base in enumerate(a.bases(prefix, feeds)):
        for address, name in a.FEED_SETTINGS.items():
            found[f"{base}/{address}"] = Knob(name, b, 0)
        for i in range(len(SOURCES)):
            for address, name in a.SOURCE_SETTINGS.items():
                found[a.source_address(base, i, address)] = Knob(name, b, i)
        for s in range(len(STEMS)):
            for address, name in a.STEM_SETTINGS.items():
                knob = Knob(name, b, s + 1, in_db=address == "gain_db")
                found[a.source_address(base, s + 1, address)] = knob
        for d, drum in enumerate(DRUMS):
            for address, name in a.DRUM_SETTINGS.items():
                found[f"{base}/drums/{drum}/{address}"] = Knob(name, b, d)
    return found


def outgoing(prefix: str, feeds: Sequence[str]) -> dict[str, Node]:
    """Every address of the numeric port: one `f` or one `i` each."""
    nodes = _vitals(prefix)
    for base in a.bases(prefix, feeds):
        for i in range(len(SOURCES)):
            nodes |= _source(base, i)
    return nodes


def settings(prefix: str, feeds: Sequence[str]) -> dict[str, Node]:
    """Every address that takes a setting, and says where it stands."""
    nodes = {}
    for address, knob in knobs(prefix, feeds).items():
        limits = SETTINGS[knob.name]
        text = "gain, dB" if knob.in_db else limits.text
        tag = "i" if limits.switch else "f"
        nodes[address] = Node(tag, READ | WRITE, text, (knob.limits,))
    return nodes


def verbs(prefix: str, feeds: Sequence[str], presets: Sequence[str]) -> dict[str, Node]:
    """Every address that does something at once."""
    nodes = {f"{base}/{a.TAP}": Node("", WRITE, "a beat is now") for base in a.bases(prefix, feeds)}
    for name, node in {
        a.PANIC: Node("i", WRITE, "bypass every feed", (_BUTTON,)),
        a.PRESET: Node("s", WRITE, "recall a preset", (_ANY,), choices=presets),
        a.RELOAD: Node("i", WRITE, "read the configuration again", (_BUTTON,)),
        a.MODEL: Node("s", WRITE, "go on with this model", (_ANY,)),
        a.PROFILE: Node("s", WRITE, "start anew with this profile", (_ANY,), "", tuple(PROFILES)),
        a.PING: Node("i", WRITE, "answered by pong", (_ANY,)),
        a.SYNC: Node("i", WRITE, "answered by synced when all before it is done", (_ANY,)),
        a.STATUS: Node("", WRITE, "answered by status.reply"),
        a.SUBSCRIBE: Node("sffi", WRITE, "pattern, max Hz, ttl s, port", (_ANY,) * 4),
        a.RENEW: Node("i", WRITE, "keep a subscription", (_ANY,)),
        a.UNSUBSCRIBE: Node("i", WRITE, "end a subscription", (_ANY,)),
    }.items():
        nodes[f"{prefix}/{name}"] = node
    return nodes


def _source(base: str, source: int) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for level in a.LEVELS:
        address = a.address_of(base, source, level.name, level.sources)
        if address:
            nodes[address] = Node("f", READ, level.text, ((level.low, level.high),), level.group)
    for event in a.EVENTS:
        address = a.address_of(base, source, event.name, event.sources)
        if address:
            group = event.group
            nodes[address] = Node("f", READ, event.text, ((0.0, 1.0),), group)
            nodes[f"{address}/count"] = Node("i", READ, "since start", (_COUNT,), group)
            nodes[f"{address}/age_ms"] = Node("f", READ, "how long ago, ms", (_COUNT,), group)
    if SOURCES[source] in a.NOTE_SOURCES:
        for name, node in {
            a.NOTE_VELOCITY: Node("f", READ, "of the newest note", ((0.0, 1.0),), "note"),
            a.NOTE_COUNT: Node("i", READ, "notes since start", (_COUNT,), "note"),
            a.NOTE: Node("i", READ, "MIDI number that sounds; 0 none", ((0, 127),), "note"),
        }.items():
            nodes[a.source_address(base, source, name)] = node
    if SOURCES[source] in a.CHORD_SOURCES:
        text = "0 none, 1…12 major on C…B, 13…24 minor"
        nodes[a.source_address(base, source, a.CHORD)] = Node("i", READ, text, ((0, 24),), "chord")
    return nodes


def _vitals(prefix: str) -> dict[str, Node]:
    return {
        f"{prefix}/{name}": node
        for name, node in {
            a.STATE: Node("i", READ, "0 stopped 1 starting 2 running 3 paused 4 stalled 5 failed",
                          ((0, 5),)),
            a.ALIVE: Node("i", READ, "s since the publisher started", (_COUNT,)),
            a.LATENCY_MS: Node("f", READ, "input to here, ms", (_COUNT,)),
            a.LOAD: Node("f", READ, "time used over time available", (_COUNT,)),
            a.XRUNS: Node("i", READ, "discontinuities", (_COUNT,)),
            a.LOST: Node("i", READ, "input samples lost", (_COUNT,)),
            a.LATE: Node("i", READ, "hops with older masks", (_COUNT,)),
        }.items()
    }  # fmt: skip
