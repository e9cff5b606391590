"""Feature rows of one feed become MIDI: notes, bends and drum hits. Bytes only, no port.

What sounds is known here and nowhere else, so nothing is left hanging: a note ends in the first row
that no longer has it, however many rows were lost in between, and `release` ends them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import MidiConfig
from ..spec import DRUMS, FEATURES, SOURCES, StreamSpec
from ..wire import midi

Send = Callable[[bytes], None]

UNSEEN_VELOCITY = 0.6  # of a note whose first hop was lost
BEND_STEP_CENTS = 1.0  # nobody hears less
BEND_PERIOD_S = 0.01  # a cable carries about 1000 messages a second: leave most of them
BEND_LIMIT = 1.0  # semitones beyond the range; further away it is another octave, not a glide
A4_HZ, A4_NOTE = 440.0, 69

_NOTE = [FEATURES.index(f) for f in ("note", "note_velocity", "note_count", "f0_hz")]


@dataclass(slots=True)
class _Voice:
    """One stem on one channel: a single note at a time."""

    channel: int
    sounding: int = 0  # note on the wire; 0: none
    row: int = 0  # note in the last row
    count: float = math.nan  # notes begun, of the last row
    bend: int = midi.BEND_CENTRE
    bend_at: int = 0  # sample position of the last bend


class NotePlayer:
    """Notes of the stems and hits of the drums.

    Parameters
    ----------
    spec : StreamSpec
    config : MidiConfig
    send : callable
        Takes one message.

    Process:  publish only; bounded work per row, and no row is waited for.
    """

    def __init__(self, spec: StreamSpec, config: MidiConfig, send: Send) -> None:
        self._send = send
        self._voices = [_Voice(channel) for channel in config.channels.values()]
        self._bends = config.pitch_bend
        self._bend_range = config.bend_range
        self._bend_step = BEND_STEP_CENTS / 100.0 / config.bend_range * midi.BEND_CENTRE
        self._bend_period = spec.samples(BEND_PERIOD_S * 1e3)
        self._drum_channel = config.drum_channel
        self._drum_length = max(spec.samples(config.drum_length_ms), 1)
        drums = config.drums if config.drum_channel else {}
        self._hits = [drums[name] for name in DRUMS if name in drums]
        self._ends: dict[int, int] = {}  # note of a drum that sounds: sample position of its end
        # Places of all columns we need, so that a row costs one `take`.
        n = len(FEATURES)
        stems = [SOURCES.index(stem) for stem in config.channels]
        drum_row = SOURCES.index("drums") * n
        self._columns = np.array(
            [stem * n + column for stem in stems for column in _NOTE]
            + [drum_row + FEATURES.index(name) for name in DRUMS if name in drums],
            np.intp,
        )
        self._row = np.zeros(len(self._columns), np.float32)
        self.notes = 0  # begun
        self.hits = 0

    @property
    def sounding(self) -> list[tuple[int, int]]:
        """(channel, note) of everything that has begun and not ended."""
        notes = [(voice.channel, voice.sounding) for voice in self._voices if voice.sounding]
        return notes + [(self._drum_channel, note) for note in self._ends]

    def play(self, rows: Any, position: int) -> None:
        """Take one hop.

        Parameters
        ----------
        rows : (sources, features) float32
            NaN counts as nothing.
        position : int
            Sample position of the hop; it only rises, `release` comes before it falls.
        """
        values = np.take(rows, self._columns, out=self._row).tolist()
        if self._ends:
            self._end_hits(position)
        at = 0
        for voice in self._voices:
            self._follow(
                voice, values[at], values[at + 1], values[at + 2], values[at + 3], position
            )
            at += 4
        for note in self._hits:
            if values[at] > 0.0:
                self._hit(note, values[at], position)
            at += 1

    def release(self) -> None:
        """End everything that sounds. What goes on in the next row is not begun again."""
        for channel, note in self.sounding:
            self._send(midi.note_off(channel, note))
        for voice in self._voices:
            voice.sounding = 0
            if voice.bend != midi.BEND_CENTRE:
                voice.bend = midi.BEND_CENTRE
                self._send(midi.pitch_bend(voice.channel, voice.bend))
        self._ends.clear()

    def forget(self) -> None:
        """A new stream: the counts begin again."""
        for voice in self._voices:
            voice.row = 0
            voice.count = math.nan

    def silence(self) -> None:
        """All notes off on every channel of ours, for receivers that missed a message."""
        for voice in self._voices:
            self._send(midi.all_notes_off(voice.channel))
        if self._hits:
            self._send(midi.all_notes_off(self._drum_channel))

    def prepare(self) -> None:
        """Tell a receiver that just appeared what to expect, and that nothing sounds."""
        self.silence()
        for voice in self._voices:
            if self._bends:
                for message in midi.bend_range(voice.channel, self._bend_range):
                    self._send(message)
                self._send(midi.pitch_bend(voice.channel, midi.BEND_CENTRE))

    def _follow(
        self, voice: _Voice, value: float, strength: float, count: float, f0: float, position: int
    ) -> None:
        note = int(value + 0.5) if 0.5 <= value < 127.5 else 0
        # The count also tells of a begin that fell into hops we never saw.
        counted = not math.isnan(count) and count != voice.count
        begun = strength > 0.0 or note != voice.row or counted
        voice.row = note
        if counted:
            voice.count = count
        if voice.sounding and (begun or note != voice.sounding):
            self._send(midi.note_off(voice.channel, voice.sounding))
            voice.sounding = 0
        if note and begun:
            if self._bends:
                self._bend(voice, note, f0, position, True)
            strength = strength if strength > 0.0 else UNSEEN_VELOCITY
            self._send(midi.note_on(voice.channel, note, midi.velocity(strength)))
            voice.sounding = note
            self.notes += 1
        elif voice.sounding and self._bends and position - voice.bend_at >= self._bend_period:
            self._bend(voice, note, f0, position, False)

    def _bend(self, voice: _Voice, note: int, f0: float, position: int, fresh: bool) -> None:
        """Move the wheel to where the pitch is; before a fresh note, so that it does not chirp."""
        bend = midi.BEND_CENTRE if fresh else voice.bend
        if 0.0 < f0 < math.inf:
            off = A4_NOTE + 12.0 * math.log2(f0 / A4_HZ) - note
            if abs(off) <= self._bend_range + BEND_LIMIT:
                wheel = midi.BEND_CENTRE + round(off / self._bend_range * midi.BEND_CENTRE)
                bend = min(max(wheel, 0), 2 * midi.BEND_CENTRE - 1)
        if abs(bend - voice.bend) >= (1 if fresh else self._bend_step):
            voice.bend = bend
            voice.bend_at = position
            self._send(midi.pitch_bend(voice.channel, bend))

    def _hit(self, note: int, strength: float, position: int) -> None:
        if note in self._ends:
            self._send(midi.note_off(self._drum_channel, note))
        self._send(midi.note_on(self._drum_channel, note, midi.velocity(strength)))
        self._ends[note] = position + self._drum_length
        self.hits += 1

    def _end_hits(self, position: int) -> None:
        for note in [note for note, end in self._ends.items() if position >= end]:
            del self._ends[note]
            self._send(midi.note_off(self._drum_channel, note))
