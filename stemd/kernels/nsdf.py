"""Pitch: decimation, and the peak of the normalised square difference function."""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel


@kernel("void(float32[:, ::1], float32[::1])", fastmath=True)
def add_channels(audio, mono):
    """Mean of the channels.

    audio : (c, n) float32
    mono : (n,) float32, overwritten
    """
    share = np.float32(1.0) / np.float32(audio.shape[0])
    for n in range(mono.shape[0]):
        mono[n] = audio[0, n] * share
    for c in range(1, audio.shape[0]):
        for n in range(mono.shape[0]):
            mono[n] += audio[c, n] * share


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], float32[::1], float32[:, :, ::1], int64,"
    "float32[:, :, ::1])",
    fastmath=True,
)
def decimate(mix, stems, taps, tail, factor, past):
    """Mono, low-pass, every `factor`-th sample, appended to each source's past.

    mix : (b, c, hop_length) float32
    stems : (b, s, c, hop_length) float32
    taps : (n_taps,) float32, symmetric
    tail : (b, 1 + s, n_taps + hop_length) float32, running; mono, n_taps of earlier hops first
    past : (b, 1 + s, n) float32, moved on by hop_length // factor
    """
    n_feeds, n_stems, _, hop_length = stems.shape
    n_taps = taps.shape[0]
    made = hop_length // factor
    kept = past.shape[2] - made
    for b in range(n_feeds):
        for source in range(n_stems + 1):
            x = tail[b, source]
            y = past[b, source]
            # not slice assignments: numba makes a copy first where both sides overlap
            moved = x[hop_length:]
            for n in range(n_taps):
                x[n] = moved[n]
            fresh = x[n_taps:]
            if source == 0:
                add_channels(mix[b], fresh)
            else:
                add_channels(stems[b, source - 1], fresh)
            moved = y[made:]
            for n in range(kept):
                y[n] = moved[n]
            for n in range(made):
                # slices: with an index sum numba checks for negatives and LLVM does not vectorise
                heard = x[(n + 1) * factor : (n + 1) * factor + n_taps]
                total = np.float32(0.0)
                for k in range(n_taps):
                    total += taps[k] * heard[k]
                y[kept + n] = total


@kernel("void(float32[:, ::1], float32[:, ::1])", fastmath=True)
def centre(past, frames):
    """The past without its mean, padded with zeros.

    past : (rows, n) float32
    frames : (rows, n_padded) float32, [:, :n] overwritten, the rest stays 0
    """
    n_samples = past.shape[1]
    for row in range(past.shape[0]):
        x = past[row]
        mean = np.float32(0.0)
        for n in range(n_samples):
            mean += x[n]
        mean /= np.float32(n_samples)
        for n in range(n_samples):
            frames[row, n] = x[n] - mean


@kernel("void(complex64[:, ::1])")
def square_magnitude(spectra):
    """|X|^2 in place; its inverse transform is the autocorrelation.

    spectra : (rows, f) complex64, overwritten
    """
    for row in range(spectra.shape[0]):
        x = spectra[row].view(np.float32)
        for f in range(spectra.shape[1]):
            re, im = x[2 * f], x[2 * f + 1]
            x[2 * f] = re * re + im * im
            x[2 * f + 1] = np.float32(0.0)


@kernel("float64(float32[::1], int64)")
def refine(d, n):
    """Place of the parabola's top through three points around a peak."""
    curve = d[n - 1] - 2.0 * d[n] + d[n + 1]
    if curve >= 0.0:
        return float(n)
    return n + 0.5 * (d[n - 1] - d[n + 1]) / curve


@kernel("float32(float32[::1], int64)")
def crest(d, n):
    """Height of the parabola's top through three points around a peak."""
    curve = d[n - 1] - 2.0 * d[n] + d[n + 1]
    slope = d[n - 1] - d[n + 1]
    if curve >= 0.0:
        return d[n]
    return np.float32(d[n] - 0.125 * slope * slope / curve)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], int64, int64[::1], int64[::1], float32, float32,"
    "float32, float32[:, ::1], float32[:, ::1])"
)
def pick_pitch(
    frames, correlation, n_samples, shortest, longest, quiet, voiced, samplerate, nsdf, out
):
    """Fundamental and periodicity of each row by McLeod's rule: the first of the high peaks.

    frames : (rows, >= n_samples) float32, without mean
    correlation : (rows, > longest + 1) float32, autocorrelation of `frames`
    shortest, longest : (n_sources,) int64, lags; row r is source r % n_sources
    quiet : mean square below which there is no pitch
    voiced : periodicity from which f0 is given
    samplerate : of the rows, Hz
    nsdf : (rows, max(longest) + 2) float32, overwritten
    out : (rows, 2) float32, running; f0 in Hz (0: unvoiced) and periodicity 0 ... 1

    Source: McLeod & Wyvill, A smarter way to find pitch, ICMC 2005.  Deviations: the lag is
    refined at the highest multiple of the period within the first 10 ms of lags, and a peak at the
    last frame's period wins if it is higher.
    """
    n_sources = shortest.shape[0]
    for row in range(frames.shape[0]):
        x = frames[row]
        r = correlation[row]
        d = nsdf[row]
        low, high = shortest[row % n_sources], longest[row % n_sources]
        before = out[row, 0]
        out[row, 0] = np.float32(0.0)
        out[row, 1] = np.float32(0.0)
        energy = float(r[0])
        if not energy > quiet * n_samples:
            continue
        both = 2.0 * energy  # double: it is a long running difference
        least = 1e-6 * energy
        d[0] = np.float32(1.0)
        for lag in range(1, high + 2):
            head, foot = x[lag - 1], x[n_samples - lag]
            both -= head * head + foot * foot
            d[lag] = np.float32(max(both, least))
        for lag in range(1, high + 2):
            d[lag] = np.float32(2.0) * r[lag] / d[lag]

        lag = 1
        while lag <= high and d[lag] > 0.0:  # leave the peak at lag 0
            lag += 1
        top = np.float32(0.0)
        for n in range(max(lag, low), high + 1):
            if d[n] > top and d[n] >= d[n - 1] and d[n] >= d[n + 1]:
                top = max(top, crest(d, n))
        if top <= 0.0:
            continue
        found = 0
        for n in range(max(lag, low), high + 1):
            # a peak counts if it is the highest of its lobe: all peaks above 0.9 of the top are
            if d[n] >= d[n - 1] and d[n] >= d[n + 1] and crest(d, n) >= np.float32(0.9) * top:
                found = n
                break
        if found == 0:
            continue
        if before > 0.0:
            # a strong partial may pass for the note; the note that sounded just now is then higher
            last = samplerate / before
            best = crest(d, found) + np.float32(0.02)
            for n in range(max(low, round(0.94 * last)), min(high, round(1.06 * last)) + 1):
                if d[n] >= d[n - 1] and d[n] >= d[n + 1] and crest(d, n) >= best:
                    found = n
                    best = crest(d, n)
        height = crest(d, found)
        out[row, 1] = min(max(height, np.float32(0.0)), np.float32(1.0))
        if height < voiced:
            continue
        period = refine(d, found)
        multiple = 2
        while multiple * period < min(high, samplerate * 0.01):
            near = round(multiple * period)
            if d[near - 1] > d[near]:
                near -= 1
            elif d[near + 1] > d[near]:
                near += 1
            is_peak = d[near] >= d[near - 1] and d[near] >= d[near + 1]
            if not is_peak or d[near] < np.float32(0.8) * height:
                break
            period = refine(d, near) / multiple
            multiple += 1
        out[row, 0] = np.float32(samplerate / period)
