"""What is true of a piece, in the few shapes that can be scored.

Events come with two masks: `weak` events are too quiet to ask for, `known` says where the truth is
complete. A detection near a weak event, or where nothing is known, is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STEMS = ("vocals", "drums", "bass", "other")
CLASSES = ("kick", "snare", "hihat")
MERGE_S = 0.03  # strokes closer than this are one onset
QUIET_DB = 26.0  # below the loudest onsets of its stem an onset is weak
MASKED_DB = 20.0  # below the mixture at that moment it is weak in the mixture
CLASS_DB = 20.0  # below the loudest stroke of its class a stroke is weak
STROKE_DB = 34.0  # … and below the loudest stroke of all
LOOK_S = 0.025  # energy of an onset is that of the time after it
STEP_S = 0.01  # of contours
VOICED_DB = 35.0  # below the loud parts of its stem a sound is no longer asked for its pitch
BENT = (
    -0.7,
    1.7,
)  # semitones off the note played: a plucked string begins sharp, the lower the more
BENT_HZ = 1200.0  # partials up to here tell how far
CLEAR = 0.6  # of the normalised square difference: it tells a period


@dataclass
class Events:
    """Moments (s), sorted; see the module for `weak` and `known`."""

    times: np.ndarray
    weak: np.ndarray
    known: Callable[[np.ndarray], np.ndarray] = lambda times: np.ones(len(times), bool)


@dataclass
class Contour:
    """Pitch every 10 ms.

    midi : (t, k) of equal right, nan rows where nothing with a pitch sounds
    known : (t,) bool
    """

    midi: np.ndarray
    known: np.ndarray

    @property
    def times(self) -> np.ndarray:
        return np.arange(len(self.midi)) * STEP_S


@dataclass
class Piece:
    """Music whose truth is known, whole or in part.

    sources : (5, 2, n) float32 at 44100 Hz: vocals, drums, bass, other, nobody
    onsets : {"mix" or stem: Events}
    hits : {class: Events}
    contours : {stem: Contour}
    notes : {stem: (n, 3) onset s, offset s, MIDI}
    tempo_bpm : float or None
    beats : (n,) s, or None
    """

    name: str
    part: str
    sources: np.ndarray
    onsets: dict[str, Events] = field(default_factory=dict)
    hits: dict[str, Events] = field(default_factory=dict)
    contours: dict[str, Contour] = field(default_factory=dict)
    notes: dict[str, np.ndarray] = field(default_factory=dict)
    tempo_bpm: float | None = None
    beats: np.ndarray | None = None

    samplerate = 44100

    @property
    def mix(self) -> np.ndarray:
        return self.sources.sum(0)

    @property
    def seconds(self) -> float:
        return self.sources.shape[2] / self.samplerate


def merged(times: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events closer than MERGE_S made one: at the first that is not far weaker, as loud as all."""
    order = np.argsort(times)
    out: list[list[float]] = []
    for time, weight in zip(times[order], weights[order], strict=True):
        if out and time - out[-1][0] < MERGE_S:
            if weight > 4 * out[-1][1]:
                out[-1][0] = time  # a ghost before a stroke is not the stroke
            out[-1][1] = max(out[-1][1], weight)
        else:
            out.append([time, weight])
    table = np.array(out).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def energy_after(audio: np.ndarray, times: np.ndarray, samplerate: int) -> np.ndarray:
    """Energy of (2, n) in the 25 ms after each moment; of its differences, as onsets are high."""
    x = np.square(np.diff(audio, axis=1, prepend=0.0)).sum(0)
    total = np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)])
    first = np.clip((times * samplerate).astype(int) - 64, 0, x.size)
    last = np.clip(first + int(LOOK_S * samplerate), 0, x.size)
    return total[last] - total[first] + 1e-15


def from_score(name: str, sources: np.ndarray, score: Any) -> Piece:
    """A rendered piece; sources (5, 2, n), score as `models.render.score.Score`."""
    piece = Piece(name, "rendered", sources)
    rate = piece.samplerate
    mix = piece.mix
    everything: list[tuple[np.ndarray, np.ndarray]] = []
    for s, stem in enumerate(STEMS):
        part, audio = score.parts[stem], sources[s]
        times = np.array([e.time for e in part.hits] + [e.onset for e in part.notes])
        times = times[times >= 0]
        strength = energy_after(audio, times, rate)
        times, strength = merged(times, strength)
        quiet = strength.size and 10 ** (-QUIET_DB / 10) * np.percentile(strength, 95)
        piece.onsets[stem] = Events(times, strength < quiet, _knows(part, "onsets"))
        masked = strength < 10 ** (-MASKED_DB / 10) * energy_after(mix, times, rate)
        everything.append((times, np.where(masked | (strength < quiet), -strength, strength)))
        if part.notes:
            rows = [(e.onset, e.offset, e.pitches[0]) for e in part.notes if e.pitches]
            if rows and not part.spans["pitch"] and stem in ("vocals", "bass"):
                piece.notes[stem] = np.array([row for row in rows if row[0] >= 0]).reshape(-1, 3)
    piece.onsets["mix"] = _of_all(everything, score)
    drums = score.parts["drums"]
    if not drums.spans["onsets"]:
        piece.hits = _hits(drums.hits)
    piece.contours["bass"] = contour_of_notes(score.parts["bass"], sources[2], rate)
    vocals = score.parts["vocals"]
    if vocals.sung is not None:
        audible = loud_enough(sources[0], rate)
        t = min(len(vocals.sung), len(audible))
        midi = np.where(audible[:t], vocals.sung[:t], np.nan)[:, None]
        piece.contours["vocals"] = Contour(midi, vocals.knows("pitch", np.arange(t) * STEP_S))
    if score.tempo_bpm and score.tempo_bpm > 0:
        piece.tempo_bpm, piece.beats = score.tempo_bpm, np.array(score.beats)
    return piece


def _knows(part: Any, aspect: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda times: part.knows(aspect, times)


def _of_all(everything: list[tuple[np.ndarray, np.ndarray]], score: Any) -> Events:
    times = np.concatenate([times for times, _ in everything])
    signed = np.concatenate([strength for _, strength in everything])
    audible = signed > 0
    strong, _ = merged(times[audible], signed[audible])
    weak = times[~audible]
    both = np.concatenate([strong, weak])
    order = np.argsort(both)
    mask = np.concatenate([np.zeros(strong.size, bool), np.ones(weak.size, bool)])

    def known(at: np.ndarray) -> np.ndarray:
        return np.all([score.parts[stem].knows("onsets", at) for stem in STEMS], axis=0)

    return Events(both[order], mask[order], known)


def _hits(hits: list[Any]) -> dict[str, Events]:
    loudest = max((hit.level for hit in hits), default=0.0)
    out = {}
    for drum in CLASSES:
        mine = [hit for hit in hits if hit.drum == drum]
        times, level = merged(np.array([h.time for h in mine]), np.array([h.level for h in mine]))
        peak = level.max(initial=0.0)
        weak = (level < peak * 10 ** (-CLASS_DB / 20)) | (level < loudest * 10 ** (-STROKE_DB / 20))
        out[drum] = Events(times, weak)
    return out


def loud_enough(audio: np.ndarray, samplerate: int) -> np.ndarray:
    """(t,) bool every 10 ms: within VOICED_DB of the loud parts of (2, n)."""
    step = int(STEP_S * samplerate)
    t = audio.shape[1] // step
    level = np.square(audio[:, : t * step]).reshape(2, t, step).mean((0, 2))
    level = np.convolve(level, np.ones(3) / 3, "same")
    return level > 10 ** (-VOICED_DB / 10) * (np.percentile(level, 95) + 1e-12)


def contour_of_notes(part: Any, audio: np.ndarray, samplerate: int) -> Contour:
    """Of a line of notes, the newest counts; bends, and notes of no pitch, are not known.

    A string is not in tune while it swings wide: the pitch is the one that sounds, see `bent`.
    """
    audible = loud_enough(audio, samplerate)
    low, rate = low_passed(audio, samplerate)
    starts = [max(0, round(note.onset / STEP_S)) for note in part.notes] + [audible.size]
    midi = np.full((audible.size, 2), np.nan)
    known = part.knows("pitch", np.arange(audible.size) * STEP_S)
    for i, note in enumerate(part.notes):
        first, last = (max(0, round(time / STEP_S)) for time in (note.onset, note.offset))
        if not note.pitches:
            known[first:last] = False
            continue
        known[first:last] = part.knows("pitch", np.arange(first, min(last, known.size)) * STEP_S)
        known[first : max(first, int(np.ceil(note.settled / STEP_S)))] = False
        midi[first:last] = (note.pitches[0], note.pitches[-1])
        own = slice(first, max(first, min(last, audible.size, starts[i + 1])))
        frames = np.flatnonzero(audible[own]) + first
        midi[own] += bent(low, rate, note.pitches[-1], frames, np.arange(own.start, own.stop))
    midi[~audible] = np.nan
    return Contour(midi, known)


def low_passed(audio: np.ndarray, samplerate: int) -> tuple[np.ndarray, int]:
    """Mono of (2, n) below BENT_HZ, every fourth sample, and its rate; as late as it was."""
    taps = np.sinc(2 * BENT_HZ / samplerate * np.arange(-128, 129)) * np.hanning(257)
    mono = audio.sum(0, dtype=np.float64)
    return np.convolve(mono, taps / taps.sum(), "same")[::4], samplerate // 4


def bent(
    x: np.ndarray, rate: int, pitch: float, frames: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """Semitones, (t, 1), by which x sounds higher than MIDI `pitch` at the frames `wanted`.

    The highest normalised square difference within BENT of `pitch`, around each of `frames`, which
    looks ahead as far as back and cannot take another octave; between those that are CLEAR a line.
    0 where none is.
    """
    periods = rate / (440 * 2 ** ((pitch + np.array(BENT[::-1]) - 69) / 12))
    lags = np.arange(int(periods[0]) - 1, int(np.ceil(periods[1])) + 2)
    length = 2 * int(periods[1])
    padded = np.pad(x, length + lags[-1])
    found, places = [], []
    for frame in frames:
        # (x[n], x[n + lag]) lie to both sides of the frame's time
        middle = length + lags[-1] + round(frame * STEP_S * rate)
        begin = middle - (length + int(lags.mean())) // 2
        here = padded[begin : begin + length]
        there = np.lib.stride_tricks.sliding_window_view(
            padded[begin + lags[0] : begin + lags[-1] + length], length
        )
        energy = here @ here + np.square(there).sum(1)
        d = 2 * (there @ here) / (energy + 1e-12)
        best = int(d.argmax())
        if not 0 < best < d.size - 1 or d[best] < CLEAR:
            continue
        curve = d[best - 1] - 2 * d[best] + d[best + 1]
        period = lags[best] + 0.5 * (d[best - 1] - d[best + 1]) / min(curve, -1e-9)
        found.append(69 + 12 * np.log2(rate / period / 440) - pitch)
        places.append(frame)
    if not found:
        return np.zeros((wanted.size, 1))
    return np.interp(wanted, places, found)[:, None]
