"""The slow, obvious twin of each kernel, in NumPy and double precision."""

from __future__ import annotations

import numpy as np


def window_pair(n_fft, hop_length):
    """Sample by sample from the formula."""
    rise = n_fft - hop_length

    def u(n):
        return np.sin(np.pi * n / (2 * rise))

    def v(n):
        return np.sin(np.pi * n / (2 * hop_length))

    analysis, synthesis = np.zeros(n_fft), np.zeros(n_fft)
    for n in range(n_fft):
        analysis[n] = u(n) if n < rise else v(n - n_fft + 2 * hop_length)
        if n >= n_fft - 2 * hop_length:
            late = v(n - n_fft + 2 * hop_length)
            if n >= rise:
                synthesis[n] = late
            elif late > 0:
                synthesis[n] = late**2 / u(n)
    return analysis, synthesis[n_fft - 2 * hop_length :]


def stft(audio, n_fft, hop_length):
    """audio (c, n) to spectra (t, c, f): frame t ends with sample (t + 1) * hop_length."""
    analysis, _ = window_pair(n_fft, hop_length)
    padded = np.concatenate([np.zeros((len(audio), n_fft - hop_length)), audio], axis=1)
    n_frames = audio.shape[1] // hop_length
    frames = [padded[:, t * hop_length : t * hop_length + n_fft] for t in range(n_frames)]
    return np.fft.rfft(np.array(frames) * analysis)


def istft(spectra, n_fft, hop_length):
    """spectra (t, c, f) to audio (c, t * hop_length): sample n of it is input n - hop_length."""
    _, synthesis = window_pair(n_fft, hop_length)
    n_frames, n_channels, _ = spectra.shape
    audio = np.zeros((n_channels, (n_frames + 1) * hop_length))
    for t in range(n_frames):
        tail = np.fft.irfft(spectra[t], n_fft)[:, n_fft - 2 * hop_length :]
        audio[:, t * hop_length : (t + 2) * hop_length] += tail * synthesis
    return audio[:, : n_frames * hop_length]


def project(masks):
    """masks (s, ...) to masks that sum to one, the residual shared by squared magnitude."""
    power = np.abs(masks) ** 2
    return masks + power / (power.sum(axis=0) + 1e-6) * (1 - masks.sum(axis=0))


def levels(audio):
    """audio (c, n): rms and peak over both channels."""
    return np.sqrt(np.mean(audio.astype(np.float64) ** 2)), np.abs(audio).max()


def rising_flux(now, old, less_old, leak, knee):
    """now, old, less_old (n_bands,)."""
    total = 0.0
    for band in range(len(now)):
        near = slice(max(band - 1, 0), band + 2)
        ceiling = max(old[near].max(), less_old[near].max())
        blur = knee + leak[band] @ now
        total += max(0.0, np.log((now[band] + blur) / (ceiling + blur)))
    return total / len(now)


def attack_start(audio, window, start, grain):
    """audio (c, n_fft) under `window`: the grain of the steepest rise of differenced energy."""
    n_fft = audio.shape[1]
    before = min(8, (start - 1) // grain)
    energies, at = [], []
    for n in range(start - before * grain, n_fft - grain + 1, grain):
        x = audio[:, n : n + grain] - audio[:, n - 1 : n + grain - 1]
        weight = 0.05 * grain + np.sum(window[n : n + grain] ** 2)
        energies.append(np.sum(x**2) / weight)
        at.append(n)
    floor = 0.05 * max(energies) + 1e-20
    recent, best, best_at = 0.0, 0.0, start
    for g, energy in enumerate(energies):
        rise = (energy + floor) / (recent + floor)
        if g >= before and rise > best:
            best, best_at = rise, at[g]
        recent += (energy - recent) / min(g + 1, 8)
    return best_at


def nsdf(x, n_lags):
    """Normalised square difference of x (n,) for lags 0 ... n_lags - 1."""
    x = np.asarray(x, np.float64)
    n = len(x)
    out = np.zeros(n_lags)
    for lag in range(n_lags):
        a, b = x[: n - lag], x[lag:]
        out[lag] = 2 * np.sum(a * b) / np.sum(a**2 + b**2)
    return out


def decimate(mono, taps, factor):
    """mono (n,) filtered and every factor-th sample kept, ending with the last."""
    filtered = np.convolve(mono.astype(np.float64), taps)[: len(mono)]
    return filtered[factor - 1 :: factor]


def ramped(stem, start, target, ramp):
    """stem (c, n) under a gain that walks from start to target along `ramp`."""
    gain = np.full(stem.shape[1], target, np.float64)
    n = min(len(ramp), len(gain))
    gain[:n] = start + (target - start) * ramp[:n]
    return stem * gain
