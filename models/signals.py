"""Signals whose onsets are known on paper: clicks, bursts, steady tones, bare synthesised drums.

Music teaches an ear nearly nothing about them, and whoever tests it tries them first.
"""

import numpy as np

from models.render.audio import log_uniform

SECONDS = 6.0
KINDS = {
    "clicks": 0.16, "growing": 0.08, "bursts": 0.12, "noise": 0.06, "tone": 0.14, "vibrato": 0.1,
    "ticks": 0.08, "notes": 0.12, "kit": 0.14,
}  # fmt: skip
SAME_S = 0.04


def draw(rng, rate):
    """(kind, mono (n,), onsets (s), strokes (class, s)) of a signal of SECONDS."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    audio = np.zeros(int(SECONDS * rate))
    onsets, strokes = globals()[f"_{kind}"](rng, rate, audio)
    onsets = np.unique(onsets)
    apart = np.diff(onsets, prepend=-1.0) > SAME_S
    return kind, audio, onsets[apart], np.array(strokes, float).reshape(-1, 2)


def _times(rng, shortest, longest):
    """Moments at a pace of its own, even or not."""
    at, times = rng.uniform(0.1, 0.5), []
    pace = log_uniform(rng, shortest, longest)
    while at < SECONDS - 0.15:
        times.append(at)
        at += pace * (1 if rng.random() < 0.5 else rng.uniform(0.8, 1.6))
    return times


def _clicks(rng, rate, audio):
    times = _times(rng, 0.07, 0.5)
    height = log_uniform(rng, 0.01, 0.9)
    for at in times:
        audio[int(at * rate)] = height * rng.uniform(0.6, 1) * rng.choice((-1, 1))
    return times, []


def _growing(rng, rate, audio):
    """Each click well above the last."""
    at, height, times = 0.2, 2e-3, []
    factor, pace = rng.uniform(1.1, 1.8), rng.uniform(0.06, 0.2)
    while at < SECONDS - 0.2 and height < 0.9:
        audio[int(at * rate)] = height
        times.append(at)
        at, height = at + pace, height * factor
    return times, []


def _bursts(rng, rate, audio):
    """Noise that swells up at once over noise that goes on."""
    times = _times(rng, 0.15, 0.8)
    base = log_uniform(rng, 1e-4, 0.02)
    level = np.full(audio.size, base)
    for at in times:
        first, n = int(at * rate), int(log_uniform(rng, 0.03, 0.2) * rate)
        burst = 0.1 * np.exp(-np.arange(n) / rate / log_uniform(rng, 0.005, 0.06))
        there = level[first : first + n]
        np.maximum(there, burst[: there.size], out=there)
    audio += rng.standard_normal(audio.size) * level
    return [0.0, *times] if base > 1e-3 else times, []


def _noise(rng, rate, audio):
    audio += log_uniform(rng, 0.001, 0.3) * rng.standard_normal(audio.size)
    return [0.0], []


def _tone(rng, rate, audio, depth=0.0, highest=900.0):
    """A steady note of some partials."""
    t = np.arange(audio.size) / rate
    hertz, pace = log_uniform(rng, 35, highest), rng.uniform(4, 7)
    begin, attack = rng.choice((0.0, rng.uniform(0.1, 1))), log_uniform(rng, 0.005, 0.1)
    sway = depth * hertz / (2 * np.pi * pace) * np.sin(2 * np.pi * pace * t)
    phase = 2 * np.pi * (hertz * t + sway)
    level = log_uniform(rng, 0.02, 0.3) * np.clip((t - begin) / attack, 0, 1)
    for k in range(1, int(rng.integers(2, 13))):
        audio += level * np.sin(k * phase + rng.uniform(0, 6)) / k
    return [begin + 0.1 * attack], []


def _vibrato(rng, rate, audio):
    return _tone(rng, rate, audio, rng.uniform(0.005, 0.04))


def _ticks(rng, rate, audio):
    """Soft strokes over a steady low note."""
    onsets, _ = _tone(rng, rate, audio, highest=300.0)
    n = int(0.03 * rate)
    for at in _times(rng, 0.15, 0.4):
        if at > onsets[0] + 0.3:
            tick = rng.standard_normal(n) * np.exp(-np.arange(n) / rate / 0.006)
            there = audio[int(at * rate) :][:n]
            there += log_uniform(rng, 0.05, 0.3) * tick[: there.size]
            onsets.append(at)
    return onsets, []


def _notes(rng, rate, audio):
    onsets = []
    for at in _times(rng, 0.15, 0.7):
        hertz, length = log_uniform(rng, 40, 900), log_uniform(rng, 0.08, 0.6)
        attack = log_uniform(rng, 0.002, 0.03)
        there = audio[int(at * rate) :][: int(length * rate)]
        t = np.arange(there.size) / rate
        shape = np.minimum(1, t / attack) * np.exp(-t / log_uniform(rng, 0.1, 2))
        shape *= np.clip((length - t) / 0.01, 0, 1) * log_uniform(rng, 0.05, 0.3)
        for k in range(1, int(rng.integers(2, 10))):
            there += shape * np.sin(2 * np.pi * hertz * k * t) / k
        onsets.append(at + 0.1 * attack)
    return onsets, []


def _kit(rng, rate, audio):
    """Kick, snare and hi-hat as one would sketch them, at a steady pace."""
    t = np.arange(int(0.5 * rate)) / rate
    pitch, length = 2 ** rng.uniform(-0.4, 0.4), log_uniform(rng, 0.6, 1.6)
    noise = rng.standard_normal((3, t.size))
    bright = np.diff(noise, prepend=0.0)  # 6 dB per octave
    sweep = 2 * np.pi * np.cumsum(pitch * (50 + 170 * np.exp(-t / 0.02))) / rate
    kick = np.sin(sweep) * np.exp(-t / (0.15 * length))
    kick += rng.uniform(0, 0.3) * noise[0] * np.exp(-t / 0.002)
    body = np.sin(2 * np.pi * 230 * pitch * t) * np.exp(-t / (0.035 * length))
    snare = rng.uniform(0.2, 0.6) * body + 0.4 * bright[1] * np.exp(-t / (0.11 * length))
    hihat = np.diff(bright[2], prepend=0.0) * np.exp(-t / (0.03 * length))
    drums = [drum / np.abs(drum).max() for drum in (kick, snare, hihat)]
    drums[2] *= rng.uniform(0.2, 0.5)
    step, loud, pattern = rng.uniform(0.12, 0.35), log_uniform(rng, 0.02, 0.5), rng.integers(4)
    onsets, strokes = [], []
    for i in range(int((SECONDS - 0.6) / step)):
        at = 0.4 + i * step
        struck = (
            [2] + [0] * (i % 8 in (0, 3, 4)) + [1] * (i % 8 in (2, 6)),
            [int(rng.integers(3))],
            [2, int(rng.integers(2))],
            [int(i % 2 == 0)],
        )[pattern]
        onsets.append(at)
        for drum in struck:
            ghost = 1.0 if rng.random() < 0.8 else 10 ** (-rng.uniform(6, 16) / 20)
            there = audio[int(at * rate) :][: t.size]
            there += loud * ghost * drums[drum][: there.size]
            strokes.append((drum, at))
    audio += log_uniform(rng, 1e-6, 2e-3) * rng.standard_normal(audio.size)
    return onsets, strokes
