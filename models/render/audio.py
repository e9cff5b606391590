"""Arithmetic on (c, n) float32 audio that every room of the renderer needs."""

import numpy as np
import soxr

from models.library import SAMPLERATE


def gain(db):
    """Linear gain of decibels."""
    return np.float32(10 ** (db / 20))


def log_uniform(rng, low, high):
    """A draw that gives every octave between `low` and `high` the same chance."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def pick(rng, pool):
    """One of a sequence."""
    return pool[int(rng.integers(len(pool)))]


def stereo(audio):
    return np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio


def fit(audio, n):
    """Exactly n samples: cut, or followed by silence."""
    short = n - audio.shape[1]
    return np.pad(audio, ((0, 0), (0, short))) if short > 0 else audio[:, :n]


def repitch(audio, ratio):
    """Play (c, n) `ratio` times as fast, pitch and tempo alike."""
    if abs(ratio - 1) < 1e-3 or audio.shape[1] < 16:
        return audio.copy()
    return soxr.resample(audio.T, 1000.0 * ratio, 1000.0, quality="LQ").T


def add(out, position, audio, gains=1.0):
    """Add (c, m) times `gains` to (c, n) at `position`, whatever of it falls inside."""
    first, last = max(0, position), min(out.shape[1], position + audio.shape[1])
    if last > first:
        out[:, first:last] += audio[:, first - position : last - position] * gains


def pan(place):
    """Constant-power gains (2, 1) of a place between -1 (left) and 1 (right); 0 is unity."""
    angle = np.pi / 4 * (1 + np.clip(place, -1, 1))
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(np.sqrt(2))


def fade_out(audio, release):
    """Fade the end of (c, n) in place, at most its second half."""
    release = min(release, audio.shape[1] // 2)
    if release > 0:
        audio[:, -release:] *= np.linspace(1, 0, release, dtype=np.float32)
    return audio


def fade_in(audio, attack):
    """Fade the start of (c, n) in place."""
    attack = min(attack, audio.shape[1] // 2)
    if attack > 0:
        audio[:, :attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    return audio


def power(audio):
    """Mean square of what sounds: blocks of 100 ms within 30 dB of the loudest; 0 in silence."""
    block = SAMPLERATE // 10
    n = max(1, audio.shape[1] // block)
    blocks = np.square(audio[:, : n * block]).reshape(audio.shape[0], n, -1).mean((0, 2))
    return float(blocks[blocks >= 1e-3 * blocks.max()].mean())


def convolve(audio, response):
    """(c, n) through an impulse response (c, m) or (1, m), cut to n samples; overlap-add."""
    n, m = audio.shape[1], response.shape[1]
    size = 1 << max(13, int(np.ceil(np.log2(4 * m))))
    step = size - m + 1
    n_blocks = -(-n // step)
    padded = np.pad(audio, ((0, 0), (0, n_blocks * step - n))).reshape(-1, n_blocks, step)
    spectra = np.fft.rfft(padded, size) * np.fft.rfft(response, size)[:, None]
    blocks = np.fft.irfft(spectra, size).astype(np.float32)  # (c, blocks, size)
    out = np.zeros((audio.shape[0], n_blocks * step + size), np.float32)
    for i in range(n_blocks):
        out[:, i * step : i * step + size] += blocks[:, i]
    return out[:, :n]
