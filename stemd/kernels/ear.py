"""What the net behind pitch sees of a source, and what it makes of it."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.dense import three_layers
from stemd.kernels.jit import kernel
from stemd.kernels.reduce import mean_square

LEVELS = 5  # numbers beside lags and bands
SOFT = np.float32(1e-6)  # of the loudest band: below, all is equal
FAINT = np.float32(1e-10)  # mean square, -100 dBFS


@kernel(
    "void(float32[:, ::1], complex64[:, ::1], float32[:, ::1], int64[::1], int64, float64[::1],"
    "int64[:, ::1], float32[:, ::1], float32[::1], float32, float32[::1])"
)
def look(frames, powers, nsdf, rows, length, lags, first, shares, loudest, keep, x):
    """Periodicity, spectra and levels of one frame of a source and of the mixture, for the net.

    frames : (rows, n_padded) float32
    powers : (rows, f) complex64, |X|^2 of the same
    nsdf : (rows, > longest lag + 1) float32, 0 at lag 0: there is none
    rows : (2,) int64, the source's, and the mixture's of the same rate
    length : samples in a frame
    lags : (n_lags,) float64, at which periodicity is looked at
    first : (n_bands, 2) int64, first bin of each band, and how many
    shares : (n_bands, widest) float32, of the bins from there on
    loudest : (2,) float32, running; of the source, of the mixture
    keep : share of that which a frame leaves
    x : (2 * n_lags + 2 * n_bands + LEVELS,) float32, overwritten
    """
    n_lags, n_bands = lags.shape[0], first.shape[0]
    frame, third = frames[rows[0], :length], length // 3
    own, whole = mean_square(frame), mean_square(frames[rows[1], :length])
    early, late = mean_square(frame[:third]), mean_square(frame[length - third :])
    if own < np.float32(1e6) and whole < np.float32(1e6):  # what is none would stay for ever
        loudest[0] = max(keep * loudest[0], own)
        loudest[1] = max(keep * loudest[1], whole)
    reference = max(max(own, whole), FAINT)
    scale = np.float32(1.0) / (np.float32(length) * np.float32(length) * reference)
    for r in range(2):
        d, into = nsdf[rows[r]], x[r * n_lags : (r + 1) * n_lags]
        for k in range(n_lags):
            lag = int(lags[k])
            into[k] = d[lag] + np.float32(lags[k] - lag) * (d[lag + 1] - d[lag])
        if d[0] == np.float32(0.0):
            into[:] = np.float32(0.0)
        power = powers[rows[r]].view(np.float32)
        into = x[2 * n_lags + r * n_bands : 2 * n_lags + (r + 1) * n_bands]
        for k in range(n_bands):
            p, b = np.float32(0.0), power[2 * first[k, 0] :]
            for i in range(first[k, 1]):
                p += shares[k, i] * b[2 * i]
            into[k] = p * scale + SOFT
        # of 60 dB the net sees -1 ... 1; the bits of a number are its logarithm, in straight lines
        bits = into.view(np.int32)
        for k in range(n_bands):
            into[k] = np.float32(0.104 / (1 << 23)) * np.float32(
                bits[k] - (127 << 23)
            ) + np.float32(1.0)
    levels = x[2 * n_lags + 2 * n_bands :]
    levels[0] = 0.15 * math.log(own / (loudest[0] + FAINT) + SOFT) + 1.0
    levels[1] = 0.15 * math.log(own / reference + SOFT) + 1.0
    levels[2] = 0.15 * math.log(whole / (loudest[1] + FAINT) + SOFT) + 1.0
    levels[3] = 0.3 * math.log(early / (own + FAINT) + 1e-3)
    levels[4] = 0.3 * math.log(late / (own + FAINT) + 1e-3)


@kernel("float64(float32[::1], float64[::1])")
def posterior(logits, chances):
    """Chances of the pitches, (n,), of logits (n + 1,), and the chance that there is any."""
    n = chances.shape[0]
    top = logits[0]
    for k in range(n):
        top = max(top, logits[k])
    total = 0.0
    for k in range(n):
        chances[k] = math.exp(float(logits[k] - top))
        total += chances[k]
    for k in range(n):
        chances[k] /= total
    return 1.0 / (1.0 + math.exp(-float(logits[n])))


@kernel(
    "void(float64[::1], float64, float64, float64, float64, float64[::1], float64,float64[:, ::1])"
)
def advise(chances, lowest, rate, low_hz, high_hz, taste, doubt, peaks):
    """Weigh the peaks of one row by the net's chances, and add its own two best guesses.

    chances : (n,) float64, of the semitones from MIDI `lowest` on
    low_hz, high_hz : where guesses may lie
    taste : (4,) float64; weight of a peak's own score, of the chance's logarithm, height a guess
        lacks beside a peak, cost of an octave down
    doubt : factor on the weight of chances
    peaks : (n_peaks, 4) float64, see `find_peaks`; scores overwritten; a guess has no height
    """
    n, n_peaks = chances.shape[0], peaks.shape[0]
    weight = doubt * taste[1]
    for j in range(n_peaks):
        if peaks[j, 0] > 0.0:
            at = 69.0 + 12.0 * math.log2(rate / (peaks[j, 0] * 440.0)) - lowest
            chance = 0.0
            if 0.0 <= at <= n - 1:
                k = min(int(at), n - 2)
                chance = chances[k] + (at - k) * (chances[k + 1] - chances[k])
            peaks[j, 3] = taste[0] * peaks[j, 3] + weight * math.log(chance + 1e-4)
    taken = -2
    for _ in range(2):
        best, most = -1, 0.0
        for k in range(1, n - 1):
            c = chances[k]
            if c > most and c >= chances[k - 1] and c >= chances[k + 1] and abs(k - taken) > 1:
                best, most = k, c
        if best < 0:
            return
        taken = best
        c0, c1, c2 = chances[best - 1], chances[best], chances[best + 1]
        pitch = lowest + best + (c2 - c0) / (c0 + c1 + c2)
        hertz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
        known = not low_hz <= hertz <= high_hz
        octaves = math.log2(rate / hertz)
        slot = 0
        for j in range(n_peaks):
            if peaks[j, 0] > 0.0 and abs(peaks[j, 1] - octaves) < 0.8 / 12.0:
                known = True
            empty = peaks[j, 0] == 0.0 and peaks[slot, 0] != 0.0
            if empty or (peaks[slot, 0] != 0.0 and peaks[j, 3] < peaks[slot, 3]):
                slot = j
        if known:
            continue
        chance = c1 + 0.3 * (c0 + c2)
        peaks[slot, 0] = rate / hertz
        peaks[slot, 1] = octaves
        peaks[slot, 2] = 0.0
        peaks[slot, 3] = weight * math.log(chance + 1e-4) - taste[0] * (
            taste[2] + taste[3] * octaves
        )


@kernel("void(float32[:, :, ::1], int64, int64, float64[::1], float64[:, ::1])")
def low_pass(past, row, made, section, state):
    """Second-order section over the newest of one row of each feed, in place.

    past : (b, rows, n) float32, [:, row, -made:] overwritten
    section : (5,) float64; b0 b1 b2 a1 a2
    state : (b, 2) float64, running
    """
    for b in range(past.shape[0]):
        newest = past[b, row, past.shape[2] - made :]
        s0, s1 = state[b, 0], state[b, 1]
        for n in range(made):
            x = float(newest[n])
            if not abs(x) < 1e6:  # a number that is none would stay for ever
                x = 0.0
            y = section[0] * x + s0
            s0 = section[1] * x - section[3] * y + s1
            s1 = section[2] * x - section[4] * y
            newest[n] = np.float32(y)
        state[b, 0], state[b, 1] = s0, s1


@kernel("float64(float64[:, ::1])")
def highest(peaks):
    """Height of the highest of peaks (n_peaks, 4), 0: there are none."""
    top = 0.0
    for j in range(peaks.shape[0]):
        top = max(top, peaks[j, 2])
    return min(top, 1.0)


@kernel("float64(float32[::1], float64[::1])")
def most_alike(nsdf, lags):
    """Highest of the NSDF at the lags, once it has been negative."""
    left, top = False, np.float32(0.0)
    for k in range(lags.shape[0] - 1, -1, -1):
        value = nsdf[int(lags[k])]
        if value < np.float32(0.0):
            left = True
        elif left:
            top = max(top, value)
    return min(float(top), 1.0)


@kernel(
    "void(float32[:, ::1], complex64[:, ::1], float32[:, ::1], int64[:, ::1], int64, float64,"
    "float64[::1], int64[:, ::1], float32[:, ::1], float32, float64[:, ::1], float64[:, ::1],"
    "int64, int16[::1], float32[::1], int64, float32[::1], float32[::1], float32[::1],"
    "float64[::1], float64[::1], float32[:, ::1], float64[:, :, ::1], float64[::1])"
)
def listen(
    frames,
    powers,
    nsdf,
    rows,
    length,
    rate,
    lags,
    first,
    shares,
    keep,
    low_hz,
    high_hz,
    source,
    weights,
    steps,
    n_1,
    x,
    hidden,
    logits,
    chances,
    taste,
    loudest,
    peaks,
    told,
):
    """Weigh one source's peaks by what its net makes of it, and tell its voicing, in each feed.

    rows : (b, 2) int64, of the source and of the mixture beside it
    low_hz, high_hz : (b, n_sources) float64, range of guesses
    taste : (8,) float64; four of `advise`, MIDI number of the first state, exponent that makes a
        voicing of a chance, how far below 1 a height is clear of doubt, height that is voiced
    loudest : (b, 2) float32, running
    peaks : (rows, n_peaks, 4) float64, see `find_peaks`
    told : (rows,) float64, voicing, overwritten in the source's rows
    the rest : see `look`, `three_layers`, `posterior`
    """
    for feed in range(rows.shape[0]):
        row = rows[feed, 0]
        told[row] = 0.0
        if nsdf[row, 0] == 0.0:
            continue
        own = peaks[row]
        top = highest(own)
        look(frames, powers, nsdf, rows[feed], length, lags, first, shares, loudest[feed], keep, x)
        three_layers(x, weights, steps, n_1, hidden, logits)
        chance = posterior(logits, chances)
        if not chance > 0.0:  # no number
            continue
        # what repeats without a flaw needs no advice
        doubt = min((1.0 - top) / taste[6], 1.0)
        low, high = low_hz[feed, source], high_hz[feed, source]
        advise(chances, taste[4], rate, low, high, taste[:4], doubt, own)
        # what repeats neither alone nor in the mixture has no pitch
        alike, beside = top, nsdf[rows[feed, 1]]
        if beside[0] != 0.0:
            alike = max(top, most_alike(beside, lags))
        voicing = min(chance ** taste[5], 0.15 + 0.85 * math.sqrt(alike))
        if top > taste[7]:
            voicing = max(voicing, math.sqrt(top))
        told[row] = voicing
