"""Synthesised drum hits: swept sines, shaped noise, metal."""

import numpy as np

from models.library import SAMPLERATE
from models.render.audio import log_uniform
from models.render.filters import bandpass, filtered, highpass


def hit(rng, role):
    """One hit of a kit drawn at random, (1, n) float32, peak 1."""
    maker = {
        "kick": _kick,
        "snare": _snare,
        "rim": _rim,
        "clap": _clap,
        "hat": _hat,
        "open": _open,
        "ride": _metal,
        "crash": _metal,
        "tom": _tom,
    }.get(role, _percussion)
    out = maker(rng)
    out = np.tanh(out * log_uniform(rng, 0.5, 4))
    return (out / (np.abs(out).max() + 1e-9))[None].astype(np.float32)


def _time(seconds):
    return np.arange(int(seconds * SAMPLERATE)) / SAMPLERATE


def _tone(hertz):
    return np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLERATE)


def _through(noise, *rows):
    return filtered(noise[None].astype(np.float32), *rows)[0]


def _kick(rng):
    """From a tight thud to a long boom: 909s, 808s, gabber, clicks on top."""
    fall = log_uniform(rng, 0.04, 0.9 if rng.random() < 0.25 else 0.3)
    t = _time(min(1.6, 0.15 + 4 * fall))
    end, depth = log_uniform(rng, 36, 75), log_uniform(rng, 20, 600)
    hertz = end + depth * np.exp(-t / log_uniform(rng, 0.005, 0.06))
    body = _tone(hertz) * np.exp(-t / fall)
    if rng.random() < 0.3:  # compressed: stays, then falls
        body = np.tanh(body * rng.uniform(2, 8))
    click = rng.standard_normal(t.size) * np.exp(-t / log_uniform(rng, 0.0008, 0.008))
    return body + rng.uniform(0, 0.6) * _through(click, highpass(log_uniform(rng, 200, 4000)))


def _snare(rng):
    t = _time(0.5)
    hertz = log_uniform(rng, 130, 320) * (1 + rng.uniform(0, 0.6) * np.exp(-t / 0.01))
    body = _tone(hertz) * np.exp(-t / log_uniform(rng, 0.02, 0.14))
    noise = rng.standard_normal(t.size) * np.exp(-t / log_uniform(rng, 0.03, 0.22))
    snap = _through(noise, highpass(log_uniform(rng, 400, 3500)))
    return rng.uniform(0, 1) * body + rng.uniform(0.3, 1) * snap


def _rim(rng):
    t = _time(0.15)
    out = sum(_tone(np.full(t.size, log_uniform(rng, 400, 2500))) for _ in range(3))
    return out * np.exp(-t / log_uniform(rng, 0.006, 0.03))


def _clap(rng):
    t = _time(0.45)
    level = np.exp(-t / log_uniform(rng, 0.04, 0.15)) * (t > 0.03)
    for start in np.sort(rng.uniform(0, 0.03, 3)):
        level = np.maximum(level, np.exp(-(t - start) / 0.006) * (t >= start))
    centre = log_uniform(rng, 800, 2500)
    return 4 * _through(rng.standard_normal(t.size) * level, bandpass(centre, rng.uniform(0.6, 3)))


def _hat(rng, tail=(0.01, 0.07)):
    t = _time(0.6)
    level = np.exp(-t / log_uniform(rng, *tail))
    noise = rng.standard_normal(t.size)
    if rng.random() < 0.5:
        noise = noise * 0.4 + _cymbal(rng, t)
    return _through(noise * level, highpass(log_uniform(rng, 3500, 10000)))


def _open(rng):
    return _hat(rng, (0.1, 0.4))


def _metal(rng):
    t = _time(2.0)
    noise = 0.6 * rng.standard_normal(t.size) + _cymbal(rng, t)
    level = np.exp(-t / log_uniform(rng, 0.3, 1.2)) + rng.uniform(0, 1) * np.exp(-t / 0.02)
    return _through(noise * level, highpass(log_uniform(rng, 800, 5000)))


def _cymbal(rng, t):
    """Six square waves that agree on nothing, as in the TR-808."""
    base = log_uniform(rng, 200, 600)
    ratios = rng.uniform(1, 4, 6)
    return sum(np.sign(np.sin(2 * np.pi * base * r * t)) for r in ratios) / 3


def _tom(rng):
    t = _time(0.8)
    base = log_uniform(rng, 60, 300)
    hertz = base * (1 + rng.uniform(0.1, 1) * np.exp(-t / log_uniform(rng, 0.01, 0.08)))
    noise = rng.standard_normal(t.size) * np.exp(-t / 0.02)
    return _tone(hertz) * np.exp(-t / log_uniform(rng, 0.06, 0.35)) + rng.uniform(0, 0.3) * noise


def _percussion(rng):
    t = _time(0.5)
    hertz = log_uniform(rng, 90, 2500)
    fall = hertz * (1 + rng.uniform(0, 0.8) * np.exp(-t / 0.03))
    out = _tone(fall) * np.exp(-t / log_uniform(rng, 0.02, 0.25))
    if rng.random() < 0.3:  # cowbells, agogos
        out += _tone(fall * rng.uniform(1.3, 2.8)) * np.exp(-t / 0.1)
    noise = rng.standard_normal(t.size) * np.exp(-t / log_uniform(rng, 0.005, 0.1))
    return out + rng.uniform(0, 0.7) * _through(noise, highpass(2000))
