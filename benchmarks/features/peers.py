"""Other people's detectors on the same audio: aubio hop by hop, librosa on the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import aubio
import librosa
import numpy as np

from benchmarks.features.heard import Heard

RATE = 44100
SIZE, HOP = 1024, 512  # aubio's own defaults
ONSET_METHODS = (
    "default",
    "energy",
    "hfc",
    "complex",
    "phase",
    "specdiff",
    "kl",
    "mkl",
    "specflux",
)
ONSET_THRESHOLDS = (0.1, 0.3, 0.6, 1.0)  # beside each method's own
PITCH_METHODS = ("yinfft", "yinfast")
PITCH_SIZE, PITCH_HOP = 2048, 512  # 4096 for the bass
PITCH_TOLERANCE = 0.8
PITCH_SILENCE_DB = -60.0
PYIN_HZ = {"vocals": (80.0, 1000.0), "bass": (30.0, 400.0)}
PYIN_RATE, PYIN_FRAME = 16000, 2048


def _hops(audio: np.ndarray, hop: int) -> np.ndarray:
    """(h, hop) of the mono sum of (2, n)."""
    mono = audio.mean(0).astype(np.float32)
    return np.ascontiguousarray(mono[: mono.size // hop * hop].reshape(-1, hop))


def _timed(detector: Any, hops: np.ndarray, us: np.ndarray) -> Iterator[Any]:
    """What is found in each hop; `us`, one a hop, is filled with the time it took."""
    for k, hop in enumerate(hops):
        begun = time.thread_time()
        found = detector(hop)
        us[k] = 1e6 * (time.thread_time() - begun)
        yield found


def aubio_onsets(audio: np.ndarray, method: str, threshold: float | None) -> Heard:
    detector = aubio.onset(method, SIZE, HOP, RATE)
    if threshold is not None:
        detector.set_threshold(threshold)
    hops = _hops(audio, HOP)
    times, decided, us = [], [], np.zeros(len(hops))
    for k, found in enumerate(_timed(detector, hops, us)):
        if found:
            times.append(detector.get_last_s())
            decided.append((k + 1) * HOP / RATE)
    return Heard(onsets={"": (np.array(times), np.array(decided))}, us=us)


def aubio_pitch(audio: np.ndarray, method: str, low: bool) -> Heard:
    size = 2 * PITCH_SIZE if low else PITCH_SIZE
    detector = aubio.pitch(method, size, PITCH_HOP, RATE)
    detector.set_unit("Hz")
    detector.set_silence(PITCH_SILENCE_DB)
    if method.startswith("yin"):
        detector.set_tolerance(PITCH_TOLERANCE)
    hops = _hops(audio, PITCH_HOP)
    hertz, us = np.zeros(len(hops)), np.zeros(len(hops))
    for k, found in enumerate(_timed(detector, hops, us)):
        hertz[k] = found[0]
    hertz[(hertz < 25) | (hertz > 2000)] = 0.0
    times = (np.arange(len(hops)) + 1) * PITCH_HOP / RATE
    return Heard(tracks={"": (times, hertz)}, us=us)


def aubio_notes(audio: np.ndarray) -> Heard:
    detector = aubio.notes("default", PITCH_SIZE, PITCH_HOP, RATE)
    onsets, midi = [], []
    for k, hop in enumerate(_hops(audio, PITCH_HOP)):
        note = detector(hop)
        if note[0]:
            onsets.append((k + 1) * PITCH_HOP / RATE)
            midi.append(float(note[0]))
    return Heard(notes={"": (np.array(onsets), np.array(midi))})


def aubio_tempo(audio: np.ndarray) -> Heard:
    detector = aubio.tempo("default", SIZE, HOP, RATE)
    beats, tempo = [], 0.0
    hops = _hops(audio, HOP)
    us = np.zeros(len(hops))
    for found in _timed(detector, hops, us):
        if found:
            beats.append(detector.get_last_s())
            tempo = detector.get_bpm()
    return Heard(tempo_bpm=float(tempo), beats=np.array(beats), us=us)


def librosa_onsets(audio: np.ndarray) -> Heard:
    """Not causal: it normalises by the whole piece."""
    times = librosa.onset.onset_detect(y=audio.mean(0), sr=RATE, hop_length=256, units="time")
    return Heard(onsets={"": (np.asarray(times, float), None)})


def librosa_tempo(audio: np.ndarray) -> Heard:
    """Not causal: dynamic programming over the whole piece."""
    tempo, beats = librosa.beat.beat_track(y=audio.mean(0), sr=RATE, units="time")
    return Heard(tempo_bpm=float(np.atleast_1d(tempo)[0]), beats=np.asarray(beats, float))


def pyin(audio: np.ndarray, stem: str) -> Heard:
    """Not causal: Viterbi over the whole piece."""
    mono = librosa.resample(audio.mean(0), orig_sr=RATE, target_sr=PYIN_RATE)
    low, high = PYIN_HZ[stem]
    hop = PYIN_RATE // 50
    hertz, _, _ = librosa.pyin(
        mono, fmin=low, fmax=high, sr=PYIN_RATE, frame_length=PYIN_FRAME, hop_length=hop,
        resolution=0.2,
    )  # fmt: skip
    return Heard(tracks={"": (np.arange(len(hertz)) * hop / PYIN_RATE, np.nan_to_num(hertz))})
