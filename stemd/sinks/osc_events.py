"""What happens at a moment: onsets, hits, beats, notes, chords. It leaves with the hop it is in."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spec import FEATURES, SOURCES, StreamSpec
from ..wire import addresses, osc
from ..wire.addresses import EVENTS
from .osc_levels import Element
from .osc_sender import OscSender

REPEAT_S = 1.0  # counts, notes and chords are said again, because UDP loses packets

_TRIGGER = np.array([FEATURES.index(event.trigger) for event in EVENTS])
_VALUE = [FEATURES.index(event.feature) for event in EVENTS]
_COUNT = [FEATURES.index(event.count) if event.count else -1 for event in EVENTS]
_OFFSET = [FEATURES.index(event.offset) if event.offset else -1 for event in EVENTS]
_NOTE, _VELOCITY = FEATURES.index("note"), FEATURES.index("note_velocity")
_NOTE_COUNT, _CHORD = FEATURES.index("note_count"), FEATURES.index("chord")
_LASTING = np.array([_NOTE, _NOTE_COUNT, _CHORD])

Say = Callable[[Sequence[Element]], None]


class EventLog:
    """Events in words, for receivers that take text: nothing is left out, nothing is put together.

    Parameters
    ----------
    spec : StreamSpec
    feeds : sequence of str
    prefix : str
    sender : OscSender
        The text targets.
    version : str
    """

    def __init__(
        self, spec: StreamSpec, feeds: Sequence[str], prefix: str, sender: OscSender, version: str
    ) -> None:
        kinds = [event.name for event in EVENTS]
        kinds += [addresses.NOTE, "velocity", addresses.CHORD]
        self._heads = {
            (b, kind): osc.string(f"{base}/{addresses.EVENT}")
            + osc.string(",sihdf")
            + osc.string(kind)
            for b, base in enumerate(addresses.bases(prefix, feeds))
            for kind in kinds
        }
        self._pack = struct.Struct(">iqdf").pack
        self._spec = spec
        self._sender = sender
        self._goodbye = osc.message(f"{prefix}/{addresses.SHUTDOWN}")
        sender.send(osc.message(f"{prefix}/{addresses.STARTUP}", version))

    def write(self, hop: Any, row: int, kind: str, offset: float, value: float) -> None:
        """One event; `offset` is where in the newest hop of input it happened, samples."""
        feed, source = divmod(row, len(SOURCES))
        position = int(hop["sample_pos"])
        sample = position - self._spec.feature_latency + round(offset)
        utc_ns, content = int(hop["t_capture_ns"]), position - int(hop["latency"])
        utc_s = utc_ns * 1e-9 + (sample - content) / self._spec.samplerate if utc_ns else 0.0
        self._sender.send(
            self._heads[feed, kind] + self._pack(source, max(sample, 0), utc_s, value)
        )

    def close(self) -> None:
        """Say goodbye."""
        self._sender.send(self._goodbye)
        self._sender.close()


@dataclass(frozen=True, slots=True)
class _Heads:
    """Addresses of one event of one source, and their prepared bytes."""

    value: tuple[str, bytes]
    count: tuple[str, bytes]
    age: tuple[str, bytes]


class OscEvents:
    """Finds what happened in a hop and says it at once.

    Parameters
    ----------
    spec : StreamSpec
    feeds : sequence of str
    prefix : str
    say : callable
        Takes the numbers of one event, which belong in one packet.
    log : EventLog or None
    """

    def __init__(
        self,
        spec: StreamSpec,
        feeds: Sequence[str],
        prefix: str,
        say: Say,
        log: EventLog | None = None,
    ) -> None:
        self._spec = spec
        self._say = say
        self._log = log
        # Notes are of the audio that leaves with them, which is older than the newest input.
        self._delays = [delay_of(spec, event) for event in EVENTS]
        self._behind = spec.feature_latency - spec.latency
        bases = addresses.bases(prefix, feeds)
        n_rows = len(bases) * len(SOURCES)
        places = [(bases[row // len(SOURCES)], row % len(SOURCES)) for row in range(n_rows)]
        self._heads = [[_event_heads(base, i, event) for event in EVENTS] for base, i in places]
        self._exists = np.array([[heads is not None for heads in row] for row in self._heads])
        self._notes = [_note_heads(base, i) for base, i in places]
        self._chords = [_chord_head(base, i) for base, i in places]
        has = [[bool(n), bool(n), bool(c)] for n, c in zip(self._notes, self._chords, strict=True)]
        self._lasts = np.array(has)
        self._counts = [[0] * len(EVENTS) for _ in range(n_rows)]
        self._lasting = np.zeros((n_rows, len(_LASTING)), np.float32)
        self._velocities = [0.0] * n_rows
        self._due = 0.0

    def write(self, hop: Any, rows: Any, since_ms: float) -> None:
        """Take one hop.

        rows : (feed and source, feature) float32, finite
        since_ms : how long ago the hop's newest sample could be read
        """
        fired = rows[:, _TRIGGER] > 0.0
        if fired.any():
            for row, k in np.argwhere(fired & self._exists).tolist():
                self._happen(hop, rows, row, k, since_ms)
        lasting = rows[:, _LASTING]
        changed = lasting != self._lasting
        if changed.any():
            changed &= self._lasts
            self._lasting = lasting
            for row in np.flatnonzero(changed[:, :2].any(axis=1)).tolist():
                self._play(hop, row, float(rows[row, _VELOCITY]))
            for row in np.flatnonzero(changed[:, 2]).tolist():
                chord = self._chord(row)
                self._say([chord])
                if self._log:
                    self._log.write(hop, row, addresses.CHORD, 0.0, chord[2])

    def release(self, hop: Any) -> None:
        """End every note that sounds; one that goes on in the next hop is said again."""
        for row in np.flatnonzero(self._lasts[:, 0] & (self._lasting[:, 0] > 0.0)).tolist():
            self._lasting[row, 0] = 0.0
            self._play(hop, row, 0.0)

    def tick(self, now: float) -> None:
        """Say counts and what lasts again, when it is time."""
        if now < self._due:
            return
        self._due = now + REPEAT_S
        elements: list[Element] = []
        for row, heads in enumerate(self._heads):
            for k, one in enumerate(heads):
                if one:
                    elements.append((*one.count, self._counts[row][k]))
            if self._notes[row]:
                elements += self._note(row)[1:]
            if self._chords[row]:
                elements.append(self._chord(row))
        self._say(elements)

    def _happen(self, hop: Any, rows: Any, row: int, k: int, since_ms: float) -> None:
        heads = self._heads[row][k]
        assert heads is not None
        value = float(rows[row, _VALUE[k]])
        counts = self._counts[row]
        counts[k] = int(rows[row, _COUNT[k]]) if _COUNT[k] >= 0 else counts[k] + 1
        offset = float(rows[row, _OFFSET[k]]) if _OFFSET[k] >= 0 else -float(self._delays[k])
        ms = 1e3 / self._spec.samplerate
        age_ms = max(since_ms + (self._spec.feature_latency - offset) * ms, 0.0)
        self._say([(*heads.value, value), (*heads.count, counts[k]), (*heads.age, age_ms)])
        if self._log:
            self._log.write(hop, row, EVENTS[k].name, offset, value)

    def _play(self, hop: Any, row: int, velocity: float) -> None:
        if velocity > 0.0 or self._lasting[row, 0] <= 0.0:
            self._velocities[row] = velocity
        elements = self._note(row)
        self._say(elements)
        if self._log:
            self._log.write(hop, row, "velocity", self._behind, elements[0][2])
            self._log.write(hop, row, addresses.NOTE, self._behind, elements[2][2])

    def _note(self, row: int) -> list[Element]:
        velocity, count, note = self._notes[row]
        # The number comes last: what hears it has the velocity already.
        return [
            (*velocity, self._velocities[row]),
            (*count, int(self._lasting[row, 1])),
            (*note, osc.clip_int(round(float(self._lasting[row, 0])))),
        ]

    def _chord(self, row: int) -> Element:
        (head,) = self._chords[row]
        return (*head, osc.clip_int(round(float(self._lasting[row, 2]))))


def delay_of(spec: StreamSpec, event: addresses.Event) -> int:
    """How long before its hop an event lies, whole hops in samples."""
    if not event.delay_ms:
        return 0
    return max(1, round(spec.samples(event.delay_ms) / spec.hop_length)) * spec.hop_length


def _head(address: str, tag: str) -> tuple[str, bytes]:
    return address, osc.head(address, tag)


def _event_heads(base: str, source: int, event: addresses.Event) -> _Heads | None:
    at = addresses.address_of(base, source, event.name, event.sources)
    if at is None:
        return None
    return _Heads(_head(at, "f"), _head(f"{at}/count", "i"), _head(f"{at}/age_ms", "f"))


def _note_heads(base: str, source: int) -> list[tuple[str, bytes]]:
    if SOURCES[source] not in addresses.NOTE_SOURCES:
        return []
    at = addresses.source_address
    return [
        _head(at(base, source, addresses.NOTE_VELOCITY), "f"),
        _head(at(base, source, addresses.NOTE_COUNT), "i"),
        _head(at(base, source, addresses.NOTE), "i"),
    ]


def _chord_head(base: str, source: int) -> list[tuple[str, bytes]]:
    if SOURCES[source] not in addresses.CHORD_SOURCES:
        return []
    return [_head(addresses.source_address(base, source, addresses.CHORD), "i")]
