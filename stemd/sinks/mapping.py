"""Features move controls of other programs, as the [[mapping]] sections of the configuration say.

What a feature means is in `processors/follower.py`; here is when it is sent. Values that follow
leave when they have changed, no faster than their rate; triggers and gates leave in the hop in
which they happen. Every mapping costs the same in every hop, whatever is sent.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..config import ALIASES, EVENTS, MappingConfig, mapping_source, split_endpoint
from ..processors.follower import Follow, Follower, usual
from ..spec import FEATURES, SOURCES, StreamSpec
from ..status import State
from ..wire import midi, osc
from .osc_sender import OscSender

STEP = 0.002  # of the output range: a smaller change is not sent
HALF = 0.55  # of a whole number or step: more than half, so that nothing flickers between two
ANYTHING = 1e-6  # threshold of an event that is given none
A4_HZ, A4_NOTE = 440.0, 69
_DB_RANGE = (-60.0, 0.0)
# Where 0 says that there is nothing to say; a control that follows then stays where it is.
HELD = ("pitch", "f0_hz", "note", "chord", "tempo_bpm", "centroid_hz")


class Outlet(Protocol):
    """Where one mapping's values go."""

    def send(self, value: float) -> None: ...
    def end(self, rest: float) -> None: ...


class OscOutlet:
    """One OSC message with one number in it, encoded but for the number."""

    def __init__(self, sender: OscSender, mapping: MappingConfig) -> None:
        before, after = _arguments(mapping.before), _arguments(mapping.after)
        tag = {"float": "f", "int": "i", "none": ""}[mapping.value]
        tags = osc.string(f",{before[0]}{tag}{after[0]}")
        self._head = osc.string(mapping.osc) + tags + before[1]
        self._tail = after[1]
        self._whole = mapping.value == "int"
        self._pack = struct.Struct(">" + tag).pack if tag else None
        self._sender = sender

    def send(self, value: float) -> None:
        """One datagram: some receivers read no bundles (grandMA3 says so)."""
        number = b""
        if self._pack:
            number = self._pack(osc.clip_int(round(value)) if self._whole else value)
        self._sender.send(self._head + number + self._tail)

    end = send


class MidiOutlet:
    """One controller, program, wheel or note."""

    def __init__(self, send: Callable[[bytes], None], mapping: MappingConfig) -> None:
        self._out = send
        self._type = mapping.midi.type
        self._channel = mapping.midi.channel
        self._number = mapping.midi.number

    def send(self, value: float) -> None:
        """A value, or the begin of a note as loud as it says."""
        number, channel = round(value), self._channel
        if self._type == "note":
            self._out(midi.note_on(channel, self._number, min(max(number, 1), 127)))
        elif self._type == "cc":
            self._out(midi.control_change(channel, self._number, number))
        elif self._type == "program":
            self._out(midi.program_change(channel, number))
        else:
            self._out(midi.pitch_bend(channel, number))

    def end(self, rest: float) -> None:
        """The end of a note, or what a gate rests at."""
        if self._type == "note":
            self._out(midi.note_off(self._channel, self._number))
        else:
            self.send(rest)


@dataclass(slots=True)
class _Event:
    """A trigger or a gate."""

    outlet: Outlet
    low: float
    high: float
    is_gate: bool
    lasts: bool  # it has an end: every gate, and a trigger that is a note
    hold: int  # samples
    gap: int  # samples between two begins
    next: int = 0  # sample position before which it does not begin again
    open: bool = False
    fallen: bool = False  # nothing but `hold` keeps it open
    close_at: int = 0
    told: bool = False  # something was sent

    def rise(self, control: float, position: int) -> None:
        """The feature went above its threshold."""
        if self.is_gate and self.open:
            self.fallen = False
        if position < self.next:
            return
        self.next = position + self.gap
        if self.lasts:
            if self.open:
                self.outlet.end(self.low)
            self.open, self.fallen = True, not self.is_gate
            self.close_at = position + self.hold
        value = self.high if self.is_gate else self.low + control * (self.high - self.low)
        self.told = True
        self.outlet.send(value)

    def fall(self) -> None:
        """The feature went below."""
        self.fallen = True

    def close(self) -> None:
        """The end, if it has begun."""
        if self.open:
            self.open = False
            self.outlet.end(self.low)


class _Values:
    """All mappings whose control follows."""

    def __init__(self, which: Sequence[int], mappings: Sequence[MappingConfig]) -> None:
        self.which = np.array(which, np.intp)
        self.midi = np.array([bool(m.midi.type) for m in mappings], bool)
        whole = [m.value == "int" or bool(m.midi.type) for m in mappings]
        steps = [m.curve == "steps" for m in mappings]
        self.levels = [m.output if m.curve == "steps" else () for m in mappings]
        self.whole = [w and not s for w, s in zip(whole, steps, strict=True)]
        # A stepped mapping counts in steps until it is sent.
        ends = [
            (0.0, float(len(levels))) if levels else output_range(m)
            for levels, m in zip(self.levels, mappings, strict=True)
        ]
        self.low = np.array([low for low, _ in ends], np.float64)
        self.span = np.array([high - low for low, high in ends], np.float64)
        counted = np.array([w or s for w, s in zip(whole, steps, strict=True)], bool)
        self.step = np.where(counted, HALF, STEP * np.abs(self.span))
        self.period_s = np.array([1.0 / m.rate_hz for m in mappings])
        repeat = [math.inf if m.midi.type or not m.repeat_s else m.repeat_s for m in mappings]
        self.repeat_s = np.array(repeat)
        self.brief = np.array([_feature(m) in EVENTS for m in mappings], bool)
        self.sent = np.full(len(mappings), np.inf)  # so that the first hop sends everything
        self.sent_at = np.zeros(len(mappings))
        self.due_at = np.zeros(len(mappings))
        self.peak = np.zeros(len(mappings))
        self.known = np.zeros(len(mappings), bool)  # there was a value: until then none is sent

    def due(self, controls: Any, inputs: Any, now: float) -> list[tuple[int, float]]:
        """Places among `which`, and values, of what is to be sent now."""
        fresh = controls[self.which]
        self.known |= np.isfinite(inputs[self.which])
        # What lasts a single hop is kept until it may be sent.
        np.maximum(self.peak, fresh, out=self.peak, where=self.brief)
        np.copyto(self.peak, fresh, where=~self.brief)
        out = self.low + self.peak * self.span
        may = (now >= self.due_at) & self.known
        self.peak[may] = 0.0
        due = may & ((np.abs(out - self.sent) > self.step) | (now - self.sent_at >= self.repeat_s))
        if not due.any():
            return []
        sending = []
        for i in np.flatnonzero(due).tolist():
            value = float(out[i])
            if levels := self.levels[i]:
                step = min(max(int(value), 0), len(levels) - 1)
                self.sent[i] = step + 0.5
                value = levels[step]
            else:
                value = float(round(value)) if self.whole[i] else value
                self.sent[i] = value
            self.sent_at[i] = now
            # In rhythm while it flows; after a rest a new rhythm.
            period_s = self.period_s[i]
            in_rhythm = self.due_at[i] > now - period_s
            self.due_at[i] = (self.due_at[i] if in_rhythm else now) + period_s
            sending.append((i, value))
        return sending


class MappingSink:
    """All mappings of one daemon.

    Parameters
    ----------
    spec : StreamSpec
    feeds : sequence of str
    mappings : sequence of MappingConfig
    targets : sequence of (host, port)
        Of mappings that name none.
    play : callable or None
        Takes MIDI messages; None where there is no MIDI.
    stall_s : float
        Without a hop for this long every gate closes and every note ends.

    Process:  publish only, one thread.
    """

    def __init__(
        self,
        spec: StreamSpec,
        feeds: Sequence[str],
        mappings: Sequence[MappingConfig],
        targets: Sequence[tuple[str, int]],
        play: Callable[[bytes], None] | None = None,
        stall_s: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._stall_s = stall_s
        self._now = clock
        self._senders: dict[str, OscSender] = {}
        outlets: list[Outlet] = []
        for i, m in enumerate(mappings):
            if m.midi.type:
                outlets.append(MidiOutlet(play or _nobody, m))
            else:
                outlets.append(OscOutlet(self._sender(m.target, targets, i), m))
        self._follower = Follower([follow_of(m) for m in mappings])
        self._columns = np.array([_column(m, feeds) for m in mappings], np.intp)
        self._inputs = np.zeros(len(mappings), np.float32)
        self._pitches = [i for i, m in enumerate(mappings) if _feature(m) == "pitch"]
        held = [m.mode == "value" and _feature(m) in HELD for m in mappings]
        self._held = np.array(held, bool)
        values = [i for i, m in enumerate(mappings) if m.mode == "value"]
        self._values = _Values(values, [mappings[i] for i in values])
        self._outlets = [outlets[i] for i in values]
        self._events = {
            i: self._event(outlets[i], m) for i, m in enumerate(mappings) if m.mode != "value"
        }
        self._session = -1
        self._position = -1
        self._written_at = 0.0
        self.events = 0  # triggers and gates begun or ended

    @property
    def reason(self) -> str:
        """Targets that are nobody; empty when all are known."""
        return "; ".join(line for sender in self._senders.values() for line in sender.unresolved)

    @property
    def sent(self) -> int:
        """OSC datagrams out."""
        return sum(sender.sent for sender in self._senders.values())

    @property
    def errors(self) -> int:
        """OSC datagrams the system did not take."""
        return sum(sender.errors for sender in self._senders.values())

    def write(self, hop: Any) -> None:
        """Send what this hop moves."""
        position, session = int(hop["sample_pos"]), int(hop["session"])
        if session != self._session or position <= self._position:
            self._restart(session)
        self._position = position
        if int(hop["state"]) != State.RUNNING:
            self.release()
            return
        now = self._written_at = self._now()
        inputs = np.take(hop["features"], self._columns, out=self._inputs)
        inputs[self._held & (inputs <= 0.0)] = np.nan
        for i in self._pitches:
            inputs[i] = _note_of(float(inputs[i]))
        controls = self._follower.process(inputs, self._spec.hop_s)
        if self._events:
            self._write_events(position, controls)
        for i, value in self._values.due(controls, inputs, now):
            self._outlets[i].send(value)

    def service(self) -> None:
        """Close what is open when the stream has stalled."""
        if self._now() - self._written_at > self._stall_s:
            self.release()

    def release(self) -> None:
        """Close every gate, end every note; once."""
        for i, event in self._events.items():
            if event.open and event.is_gate:
                self._follower.gate[i] = False  # what is still above opens it again …
                event.next = 0  # … at once
            event.close()

    def repeat_midi(self) -> None:
        """A MIDI receiver appeared: it knows of no value, and of no end while it was away."""
        self._values.sent[self._values.midi] = np.inf
        for event in self._events.values():
            if event.lasts and event.told and isinstance(event.outlet, MidiOutlet):
                if event.open and event.is_gate:
                    event.outlet.send(event.high)
                else:
                    event.open = False
                    event.outlet.end(event.low)

    def close(self) -> None:
        """Leave nothing open, close the sockets."""
        self.release()
        for sender in self._senders.values():
            sender.close()

    def _write_events(self, position: int, controls: Any) -> None:
        edge = self._follower.edge
        if edge.any():
            for i in np.flatnonzero(edge).tolist():
                if event := self._events.get(i):
                    self.events += 1
                    if edge[i] > 0:
                        event.rise(float(controls[i]), position)
                    else:
                        event.fall()
        for event in self._events.values():
            if event.open and event.fallen and position >= event.close_at:
                event.close()

    def _restart(self, session: int) -> None:
        """Another stream: positions begin again, and nothing is known of it."""
        self.release()
        self._session = session
        self._follower.reset()
        for event in self._events.values():
            event.next = 0

    def _event(self, outlet: Outlet, m: MappingConfig) -> _Event:
        low, high = output_range(m)
        gap, hold = self._spec.samples(1e3 / m.rate_hz), self._spec.samples(m.hold_ms)
        is_gate = m.mode == "gate"
        lasts = is_gate or m.midi.type == "note"
        return _Event(outlet, low, high, is_gate, lasts, max(hold, gap if is_gate else 1), gap)

    def _sender(self, target: str, targets: Sequence[tuple[str, int]], i: int) -> OscSender:
        if target not in self._senders:
            where = [split_endpoint(target)] if target else targets
            key = f"mapping[{i}].target" if target else "osc.targets"
            self._senders[target] = OscSender(where, key)
        return self._senders[target]


def output_range(m: MappingConfig) -> tuple[float, float]:
    """What the control is at the low and at the high end of the input."""
    if m.output:
        return m.output[0], m.output[-1]
    most = {"": 1.0, "bend": 2.0 * midi.BEND_CENTRE - 1.0}.get(m.midi.type, 127.0)
    return 0.0, most


def follow_of(m: MappingConfig) -> Follow:
    """How the follower is to treat a mapping's feature."""
    feature = _feature(m)
    base = usual("note" if feature == "pitch" else ALIASES.get(feature, feature))
    curve = {"auto": base.curve, "steps": base.curve, "power": "linear"}.get(m.curve, m.curve)
    low, high = base.low, base.high
    if m.input:
        low, high = m.input
    elif curve != base.curve and "db" in (curve, base.curve):
        low, high = _DB_RANGE if curve == "db" else (0.0, 1.0)
    brief = m.mode != "value" and feature in EVENTS
    return dataclasses.replace(
        base,
        low=low,
        high=high,
        curve=curve,
        exponent=m.exponent if m.curve == "power" else 1.0,
        attack_ms=m.attack_ms,
        release_ms=m.release_ms,
        history_s=m.history_s,
        threshold=m.threshold or (ANYTHING if brief else 0.0),
        hysteresis=m.hysteresis,
    )


def _feature(m: MappingConfig) -> str:
    return mapping_source(m.source)[1]


def _column(m: MappingConfig, feeds: Sequence[str]) -> int:
    """Place of a mapping's feature among all of a hop's."""
    source, feature = mapping_source(m.source)
    row = (feeds.index(m.feed) if m.feed else 0) * len(SOURCES) + source
    return row * len(FEATURES) + FEATURES.index(ALIASES.get(feature, feature))


def _note_of(f0_hz: float) -> float:
    """MIDI note with fractions; without a pitch NaN, or 0 where that was not to be held."""
    if 0.0 < f0_hz < math.inf:
        return A4_NOTE + 12.0 * math.log2(f0_hz / A4_HZ)
    return f0_hz


def _arguments(values: Sequence[int | float | str]) -> tuple[str, bytes]:
    """Type tags and data of constant arguments."""
    tags, data = "", b""
    for value in values:
        if isinstance(value, str):
            tags, data = tags + "s", data + osc.string(value)
        else:
            tag = osc.number_tag(value)
            tags, data = tags + tag, data + struct.pack(">" + tag, value)
    return tags, data


def _nobody(message: bytes) -> None:
    """Where MIDI goes when there is none."""
