"""MIDI messages as bytes. Channels are counted from 1, as people and manuals do."""

from __future__ import annotations

CLOCK, START, STOP = b"\xf8", b"\xfa", b"\xfc"
TICKS_PER_BEAT = 24
BEND_CENTRE = 8192  # of 14 bits


def note_on(channel: int, note: int, velocity: int) -> bytes:
    """A note begins; velocity 1..127, because 0 would end it."""
    return bytes((0x8F + channel, note, velocity))


def note_off(channel: int, note: int) -> bytes:
    """A note ends."""
    return bytes((0x7F + channel, note, 0))


def control_change(channel: int, number: int, value: int) -> bytes:
    """A controller moves."""
    return bytes((0xAF + channel, number, value))


def program_change(channel: int, program: int) -> bytes:
    """Another sound, 0..127."""
    return bytes((0xBF + channel, program))


def pitch_bend(channel: int, value: int) -> bytes:
    """The wheel: 0..16383, 8192 is its rest."""
    return bytes((0xDF + channel, value & 0x7F, value >> 7))


def all_notes_off(channel: int) -> bytes:
    """Channel mode message 123."""
    return control_change(channel, 123, 0)


def bend_range(channel: int, semitones: int) -> tuple[bytes, ...]:
    """Registered parameter 0: how far the wheel reaches; then no parameter is selected."""
    steps = ((101, 0), (100, 0), (6, semitones), (38, 0), (101, 127), (100, 127))
    return tuple(control_change(channel, number, value) for number, value in steps)


def velocity(strength: float) -> int:
    """0..1 as velocity 1..127."""
    return 1 + round(126 * min(max(strength, 0.0), 1.0))
