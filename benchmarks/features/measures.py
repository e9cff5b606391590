"""Scores of detections against truth, with mir_eval's matching; counts add up over pieces."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import mir_eval
import numpy as np

from benchmarks.features.truth import STEP_S, Contour, Events

WINDOWS_S = (0.05, 0.025)
CENTS = 50.0
LAGS_S = np.arange(0.0, 0.121, STEP_S)  # a tracker may be late by as much; it is told how late
NOTE_LAGS_S = np.arange(0.0, 0.161, 0.01)
NEAR_S = 0.05  # a detection this near to a weak event is not counted
BEAT_WINDOW_S = 0.07
BEATS_FROM_S = 5.0  # trackers may listen this long before they are asked
TEMPO_WINDOW = 0.04
OCTAVES = (1 / 3, 1 / 2, 1, 2, 3)


@dataclass
class Found:
    """Counts of one kind of event; F1 of all pieces together."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    delays_s: list[float] = field(default_factory=list)

    def __iadd__(self, other: Found) -> Found:
        self.right += other.right
        self.wrong += other.wrong
        self.missed += other.missed
        self.delays_s += other.delays_s
        return self

    @property
    def f1(self) -> float:
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else float("nan")

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    def delay_ms(self, percentile: float) -> float:
        if not self.delays_s:
            return float("nan")
        return float(np.percentile(self.delays_s, percentile)) * 1e3


def match_events(
    truth: Events, times: np.ndarray, decided: np.ndarray | None, window_s: float
) -> Found:
    """Score moments (s); `decided` is when each was known to the listener."""
    order = np.argsort(times)
    times = np.asarray(times, float)[order]
    late = None if decided is None else np.asarray(decided, float)[order]
    asked = ~truth.weak & truth.known(truth.times)
    reference = truth.times[asked]
    pairs = mir_eval.util.match_events(reference, times, window_s)
    used = np.zeros(times.size, bool)
    used[[j for _, j in pairs]] = True
    weak = truth.times[truth.weak]
    excused = ~truth.known(times)
    if weak.size:
        excused |= np.abs(times[:, None] - weak).min(1) <= NEAR_S
    delays = [] if late is None else [float(late[j] - reference[i]) for i, j in pairs]
    wrong = int((~used & ~excused).sum())
    return Found(len(pairs), wrong, int(reference.size - len(pairs)), delays)


@dataclass
class Track:
    """Frame counts of pitch at every lag: (lags,) each."""

    asked: int = 0
    unvoiced: int = 0
    pitch: np.ndarray = field(default_factory=lambda: np.zeros(LAGS_S.size))
    chroma: np.ndarray = field(default_factory=lambda: np.zeros(LAGS_S.size))
    recalled: np.ndarray = field(default_factory=lambda: np.zeros(LAGS_S.size))
    alarms: np.ndarray = field(default_factory=lambda: np.zeros(LAGS_S.size))

    def __iadd__(self, other: Track) -> Track:
        self.asked += other.asked
        self.unvoiced += other.unvoiced
        for name in ("pitch", "chroma", "recalled", "alarms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def summary(self) -> dict[str, float]:
        """At the constant lag that suits the tracker best."""
        best = int(np.argmax(self.pitch))
        asked, unvoiced = max(1, self.asked), max(1, self.unvoiced)
        return {
            "rpa": self.pitch[best] / asked,
            "rca": self.chroma[best] / asked,
            "rpa_of_voiced": self.pitch[best] / max(1, self.recalled[best]),
            "voicing_recall": self.recalled[best] / asked,
            "voicing_false_alarm": self.alarms[best] / unvoiced,
            "lag_ms": float(LAGS_S[best]) * 1e3,
            "frames": self.asked,
        }


def match_contour(truth: Contour, times: np.ndarray, hertz: np.ndarray) -> Track:
    """Score a pitch track: `hertz` heard at `times`, 0 where unvoiced, held until the next.

    RPA counts voiced frames within 50 cents of the truth (of one of its octaves where the waveform
    has two), RCA whatever the octave; a frame called unvoiced is wrong, since a stage gets no note.
    """
    track = Track()
    voiced = np.isfinite(truth.midi[:, 0]) & truth.known
    silent = ~np.isfinite(truth.midi[:, 0]) & truth.known
    track.asked, track.unvoiced = int(voiced.sum()), int(silent.sum())
    if not len(times):
        return track
    with np.errstate(divide="ignore"):
        midi = 69 + 12 * np.log2(np.maximum(hertz, 0) / 440)
    for k, lag in enumerate(LAGS_S):
        at = np.searchsorted(times, truth.times + lag, side="right") - 1
        heard = np.where(at >= 0, midi[np.maximum(at, 0)], -np.inf)
        sounds = np.isfinite(heard)
        apart = np.where(sounds[:, None], np.abs(heard[:, None] - truth.midi), np.inf)
        right = np.nan_to_num(apart, nan=np.inf).min(1) <= CENTS / 100
        folded = np.abs((np.where(sounds, heard, 0) - truth.midi[:, 0] + 6) % 12 - 6)
        octave = sounds & (np.nan_to_num(folded, nan=np.inf) <= CENTS / 100)
        track.pitch[k] = (right & voiced).sum()
        track.chroma[k] = ((octave | right) & voiced).sum()
        track.recalled[k] = (sounds & voiced).sum()
        track.alarms[k] = (sounds & silent).sum()
    return track


@dataclass
class Notes:
    """Counts of notes at every lag."""

    truth: int = 0
    told: int = 0
    right: np.ndarray = field(default_factory=lambda: np.zeros(NOTE_LAGS_S.size))

    def __iadd__(self, other: Notes) -> Notes:
        self.truth += other.truth
        self.told += other.told
        self.right = self.right + other.right
        return self

    def summary(self) -> dict[str, float]:
        best = int(np.argmax(self.right))
        total = max(1, self.truth + self.told)
        return {
            "f1": 2 * self.right[best] / total,
            "f1_no_lag": 2 * self.right[0] / total,
            "lag_ms": float(NOTE_LAGS_S[best]) * 1e3,
            "notes": self.truth,
            "told": self.told,
        }


def match_notes(truth: np.ndarray, onsets: np.ndarray, midi: np.ndarray) -> Notes:
    """Score notes by onset (50 ms) and pitch (50 cents); truth (n, 3) onset, offset, MIDI."""
    out = Notes(len(truth), len(onsets))
    if not len(truth) or not len(onsets):
        return out
    hertz = 440 * 2 ** ((truth[:, 2] - 69) / 12)
    length = np.maximum(truth[:, 1] - truth[:, 0], 0.01)
    reference = np.stack([truth[:, 0], truth[:, 0] + length], 1)
    for k, lag in enumerate(NOTE_LAGS_S):
        start = np.maximum(onsets - lag, 0.0)
        intervals = np.stack([start, start + 0.1], 1)
        pairs = mir_eval.transcription.match_notes(
            reference, hertz, intervals, 440 * 2 ** ((midi - 69) / 12), offset_ratio=None
        )
        out.right[k] = len(pairs)
    return out


def tempo_is_right(truth: float, told: float) -> tuple[bool, bool]:
    """(within 4 %, within 4 % of it or of a third, half, double or triple)."""

    def near(factor: float) -> bool:
        return abs(told - factor * truth) <= TEMPO_WINDOW * factor * truth

    return near(1.0), any(near(factor) for factor in OCTAVES)


def beat_f1(truth: np.ndarray, told: np.ndarray) -> float:
    """mir_eval's, from BEATS_FROM_S on."""
    reference = truth[truth >= BEATS_FROM_S]
    estimate = np.sort(told[told >= BEATS_FROM_S])
    if not reference.size:
        return float("nan")
    if not estimate.size:
        return 0.0
    return float(mir_eval.beat.f_measure(reference, estimate, BEAT_WINDOW_S))


class Totals:
    """Sums by key, made when first asked for."""

    def __init__(self) -> None:
        self.found: dict[tuple, Found] = defaultdict(Found)
        self.tracks: dict[tuple, Track] = defaultdict(Track)
        self.notes: dict[tuple, Notes] = defaultdict(Notes)
        self.tempos: dict[tuple, list[tuple[bool, bool]]] = defaultdict(list)
        self.beats: dict[tuple, list[float]] = defaultdict(list)
