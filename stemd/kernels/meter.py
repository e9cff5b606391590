"""Loudness as it is heard, and what a spectrum looks like: bands, centroid, width."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel
from stemd.kernels.level import measure_levels
from stemd.kernels.reduce import sum_of


@kernel("UniTuple(float64, 5)(UniTuple(float64, 7), UniTuple(float64, 5), float32)", fastmath=True)
def weigh(k, s, x):
    """One sample through shelf and high-pass: the four states after it, energy so far.

    k : b0, b1, b2, a1, a2 of the shelf, a1, a2 of the high-pass, whose zeros are both at 0 Hz
    s : states of the shelf, states of the high-pass, energy
    """
    y = k[0] * x + s[0]
    z = y + s[2]
    return (
        k[1] * x - k[3] * y + s[1],
        k[2] * x - k[4] * y,
        s[3] - y - y - k[5] * z,
        y - k[6] * z,
        s[4] + z * z,
    )


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], float64[::1], float64[:, :, :, ::1],"
    "float64[:, ::1])",
    fastmath=True,
)
def weighted_energy(mix, stems, coefficients, state, energy):
    """Sum over channels and samples of the K-weighted squares.

    mix : (b, c, hop_length) float32
    stems : (b, 4, c, hop_length) float32
    coefficients : (7,) float64, see `weigh`
    state : (b, 5, c, 4) float64, running; what is not finite becomes 0
    energy : (b, 5) float64, overwritten
    """
    k0, k1, k2, k3, k4, k5, k6 = coefficients
    k = (k0, k1, k2, k3, k4, k5, k6)
    for b in range(mix.shape[0]):
        energy[b] = 0.0
        for c in range(mix.shape[1]):
            s = state[b, :, c]
            s0 = (s[0, 0], s[0, 1], s[0, 2], s[0, 3], 0.0)
            s1 = (s[1, 0], s[1, 1], s[1, 2], s[1, 3], 0.0)
            s2 = (s[2, 0], s[2, 1], s[2, 2], s[2, 3], 0.0)
            s3 = (s[3, 0], s[3, 1], s[3, 2], s[3, 3], 0.0)
            s4 = (s[4, 0], s[4, 1], s[4, 2], s[4, 3], 0.0)
            x0, x1, x2 = mix[b, c], stems[b, 0, c], stems[b, 1, c]
            x3, x4 = stems[b, 2, c], stems[b, 3, c]
            for n in range(x0.shape[0]):
                # five recursions side by side: one alone waits for its own products
                s0 = weigh(k, s0, x0[n])
                s1 = weigh(k, s1, x1[n])
                s2 = weigh(k, s2, x2[n])
                s3 = weigh(k, s3, x3[n])
                s4 = weigh(k, s4, x4[n])
            for i in range(4):
                s[0, i], s[1, i], s[2, i], s[3, i], s[4, i] = s0[i], s1[i], s2[i], s3[i], s4[i]
            energy[b, 0] += s0[4]
            energy[b, 1] += s1[4]
            energy[b, 2] += s2[4]
            energy[b, 3] += s3[4]
            energy[b, 4] += s4[4]


@kernel(
    "void(float64[:, ::1], float64[:, :, :, ::1], float64[:, :, ::1], float32[:, :, ::1], int64,"
    "int64, int64[::1], float32[:, :, ::1])"
)
def momentary(energy, state, energies, peaks, newest, n_samples, columns, out):
    """Loudness and crest over the hops remembered.

    energy : (b, source) float64, K-weighted, of this hop
    state : (b, source, c, 4) float64, running, of `weighted_energy`; cleaned
    energies : (2 b, source, n_past) float64, running; K-weighted of all feeds, then plain
    peaks : (b, source, n_past) float32, running
    newest : place of this hop in the past, overwritten
    n_samples : of both channels in a hop
    columns : (4,) int64, rms and peak (read), lufs and crest_db (overwritten)
    out : (b, source, features) float32
    """
    n_feeds, n_sources, n_past = peaks.shape
    n_channels = state.shape[2]
    for b in range(n_feeds):
        for source in range(n_sources):
            row = out[b, source]
            weighted, plain = energies[b, source], energies[n_feeds + b, source]
            high = peaks[b, source]
            # the filters ring for ever on what is not finite, and slowly on what is all but nothing
            sound = energy[b, source]
            for c in range(n_channels):
                for i in range(4):
                    size = abs(state[b, source, c, i])
                    if not (1e-20 < size < 1e20):
                        state[b, source, c, i] = 0.0
            weighted[newest] = sound if sound < 1e20 else 0.0
            rms, peak = row[columns[0]], row[columns[1]]
            plain[newest] = np.float64(rms) * rms if rms < 1e10 else 0.0
            high[newest] = peak if peak < 1e10 else 0.0
            loud, power, top = 0.0, 0.0, np.float32(0.0)
            for t in range(n_past):
                loud += weighted[t]
                power += plain[t]
                top = max(top, high[t])
            # each channel's mean square counts in full
            mean = loud * n_channels / (n_samples * n_past)
            lufs = -0.691 + 10.0 * math.log10(max(mean, 1e-13))
            row[columns[2]] = np.float32(max(lufs, -120.0))
            power /= n_past
            crest = 20.0 * math.log10(top / math.sqrt(power)) if power > 1e-12 else 0.0
            row[columns[3]] = np.float32(crest)


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], float64[::1], float64[:, :, :, ::1],"
    "float64[:, ::1], float64[:, :, ::1], float32[:, :, ::1], int64, int64[::1],"
    "float32[:, :, ::1])"
)
def loudness(mix, stems, coefficients, state, energy, energies, peaks, newest, columns, out):
    """Levels of a hop and over those remembered, in one call: see `measure_levels`,
    `weighted_energy`, `momentary`.
    """
    measure_levels(mix, stems, columns[0], columns[1], out)
    weighted_energy(mix, stems, coefficients, state, energy)
    momentary(energy, state, energies, peaks, newest, mix[0].size, columns, out)


@kernel("UniTuple(float32, 2)(float32[::1], float32[::1])", fastmath=True)
def moments(power, hz):
    """Sum of magnitudes, and of each times its frequency.

    power, hz : (f,) float32
    """
    total, moment = np.float32(0.0), np.float32(0.0)
    for f in range(power.shape[0]):
        magnitude = np.float32(math.sqrt(power[f]))
        total += magnitude
        moment += magnitude * hz[f]
    return total, moment


@kernel(
    "void(float32[:, :, ::1], float32[:, ::1], int64[::1], float32[::1], float32, float32,"
    "int64[::1], float32[:, :, ::1])",
    fastmath=True,
)
def describe(powers, products, edges, hz, gain, floor, columns, out):
    """Octave bands, centroid and width of each source.

    powers, products : (b, source, f), (b, source) float32, see `source_powers`
    edges : (n_bands + 1,) int64, bins
    hz : (f,) float32, frequency of each bin
    gain : mean square of a sine over the power it has in the bins above 0 Hz
    floor : mean square below which there is neither centroid nor width
    columns : (3,) int64: centroid_hz, width, band_1
    out : (b, source, features) float32, columns overwritten
    """
    n_bands = edges.shape[0] - 1
    zero, half = np.float32(0.0), np.float32(0.5)
    for b in range(powers.shape[0]):
        for source in range(powers.shape[1]):
            row, power, product = out[b, source], powers[b, source], products[b, source]
            total = zero
            for band in range(n_bands):
                inside = sum_of(power[edges[band] : edges[band + 1]])
                row[columns[2] + band] = np.float32(math.sqrt(gain * inside))
                total += inside
            if gain * total > floor:
                magnitudes, moment = moments(power, hz)
                row[columns[0]] = moment / magnitudes
                side = math.sqrt(max(half * total - product, zero))
                mid = math.sqrt(max(half * total + product, zero))
                row[columns[1]] = np.float32(side / (mid + side))
            else:
                row[columns[0]] = zero
                row[columns[1]] = zero
