"""Synthesised notes and hits, beside the recorded ones.

The pack holds a handful of basses and kits; electronic music holds thousands. A patch drawn at
random costs nothing, belongs to nobody, and keeps the network from learning eight basses by heart.
Subtractive and FM voices for bass and other, swept sines and filtered noise for drums. None of it
is meant to be beautiful.
"""

import numpy as np
import scipy.signal

SAMPLERATE = 44100


def draw_patch(rng, stem):
    """One instrument of `stem` ("bass" or "other"), to play any number of notes with."""
    bass = stem == "bass"
    slow = not bass and rng.random() < 0.35  # pads and strings
    return {
        "wave": rng.choice(
            ("saw", "square", "triangle", "sine", "fm"), p=(0.3, 0.2, 0.1, 0.15, 0.25)
        ),
        "width": rng.uniform(0.1, 0.5),
        "voices": 1 if bass and rng.random() < 0.7 else int(rng.integers(1, 4)),
        "detune": rng.uniform(0, 0.012),
        "sub": rng.uniform(0, 1) if rng.random() < 0.4 else 0.0,
        "ratio": float(rng.choice((0.5, 1, 1, 2, 3, 1.41, 4))),
        "index": rng.uniform(0.3, 4),
        "low": rng.uniform(1, 6),  # filter corners, in multiples of the pitch
        "high": rng.uniform(3, 40),
        "attack_s": rng.uniform(0.03, 0.4) if slow else rng.uniform(0.001, 0.015),
        "decay_s": np.exp(rng.uniform(np.log(0.06), np.log(2.0))),
        "sustain": rng.uniform(0.3, 1.0) if slow else rng.uniform(0, 0.9),
        "sweep_s": np.exp(rng.uniform(np.log(0.03), np.log(1.0))),
        "vibrato": rng.uniform(0, 0.006) if rng.random() < 0.3 else 0.0,
    }


def note(rng, patch, pitch, length):
    """One note, (2, length) float32; MIDI `pitch`, released at the end."""
    t = np.arange(length) / SAMPLERATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    bend = 1 + patch["vibrato"] * np.sin(2 * np.pi * 5.5 * t)
    out = np.zeros((2, length))
    for voice in range(patch["voices"]):
        off = 1 + patch["detune"] * (voice - (patch["voices"] - 1) / 2)
        phase = (rng.random() + hertz * off * np.cumsum(bend) / SAMPLERATE) % 1.0
        left = 0.5 + 0.4 * (voice - (patch["voices"] - 1) / 2)
        out += np.array([[left], [1 - left]]) * _wave(patch, phase, t)
    if patch["sub"]:
        out += patch["sub"] * np.sin(2 * np.pi * hertz / 2 * t)
    # A moving filter, for the price of two still ones: fade from the open to the closed.
    open_ = _lowpass(out, min(hertz * patch["high"], 16000))
    closed = _lowpass(out, min(hertz * patch["low"], 16000))
    moving = np.exp(-t / patch["sweep_s"])
    out = closed + moving * (open_ - closed)
    level = patch["sustain"] + (1 - patch["sustain"]) * np.exp(-t / patch["decay_s"])
    level *= np.minimum(1, t / patch["attack_s"])
    release = min(length, 1500)
    level[length - release :] *= np.linspace(1, 0, release)
    return (0.5 * out * level).astype(np.float32)


def _wave(patch, phase, t):
    kind = patch["wave"]
    if kind == "saw":
        return 2 * phase - 1
    if kind == "square":
        return np.where(phase < patch["width"], 1.0, -1.0)
    if kind == "triangle":
        return 4 * np.abs(phase - 0.5) - 1
    angle = 2 * np.pi * phase
    if kind == "sine":
        return np.sin(angle)
    return np.sin(
        angle + patch["index"] * np.exp(-t / patch["sweep_s"]) * np.sin(patch["ratio"] * angle)
    )


def _lowpass(x, corner):
    b, a = scipy.signal.butter(2, corner / (SAMPLERATE / 2))
    return scipy.signal.lfilter(b, a, x)


def hit(rng, role):
    """One drum hit, (1, n) float32: role is kick, snare, hat or percussion."""
    t = np.arange(int(0.6 * SAMPLERATE)) / SAMPLERATE
    noise = rng.standard_normal(t.size)
    if role == "kick":
        end, depth = rng.uniform(38, 65), rng.uniform(40, 400)
        hertz = end + depth * np.exp(-t / rng.uniform(0.008, 0.05))
        body = np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLERATE) * np.exp(
            -t / rng.uniform(0.05, 0.3)
        )
        out = body + rng.uniform(0, 0.3) * noise * np.exp(-t / 0.004)
    elif role == "snare":
        hertz = rng.uniform(140, 260) * (1 + 0.3 * np.exp(-t / 0.01))
        body = np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLERATE) * np.exp(
            -t / rng.uniform(0.03, 0.12)
        )
        snap = _highpass(noise, rng.uniform(500, 3000)) * np.exp(-t / rng.uniform(0.03, 0.2))
        out = rng.uniform(0, 1) * body + rng.uniform(0.4, 1) * snap
    elif role == "hat":
        tail = rng.uniform(0.01, 0.06) if rng.random() < 0.7 else rng.uniform(0.1, 0.3)
        out = _highpass(noise, rng.uniform(4000, 10000)) * np.exp(-t / tail)
    else:
        hertz = np.exp(rng.uniform(np.log(80), np.log(2500)))
        fall = hertz * (1 + rng.uniform(0, 0.8) * np.exp(-t / 0.03))
        out = np.sin(2 * np.pi * np.cumsum(fall) / SAMPLERATE) * np.exp(-t / rng.uniform(0.02, 0.2))
        out += rng.uniform(0, 0.5) * _highpass(noise, 2000) * np.exp(-t / rng.uniform(0.005, 0.08))
    return np.tanh(out * rng.uniform(0.5, 3))[None].astype(np.float32)


def _highpass(x, corner):
    b, a = scipy.signal.butter(2, corner / (SAMPLERATE / 2), "high")
    return scipy.signal.lfilter(b, a, x)
