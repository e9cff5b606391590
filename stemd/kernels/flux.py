"""Onsets: band levels of each source, their rise, and the moment the rise began."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel
from stemd.kernels.reduce import sum_of


@kernel("void(float32[:, :, ::1], int64[::1], float32, float32[:, :, ::1])", fastmath=True)
def band_levels(powers, edges, gain, levels):
    """Magnitude in each band of each source.

    powers : (b, source, f) float32, see `source_powers`
    edges : (n_bands + 1,) int64, bins
    gain : times the root of the power
    levels : (b, source, n_bands) float32, overwritten
    """
    for b in range(powers.shape[0]):
        for source in range(powers.shape[1]):
            for band in range(edges.shape[0] - 1):
                power = sum_of(powers[b, source, edges[band] : edges[band + 1]])
                levels[b, source, band] = gain * np.float32(math.sqrt(power))


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], int64, float32[:, ::1], float32,"
    "float32[:, ::1])",
    fastmath=True,
)
def rising_flux(levels, past, oldest, leak, knee, flux):
    """Mean over bands of the log rise above the loudest of the old frames and neighbouring bands.

    levels : (b, source, n_bands) float32
    past : (n_past, b, source, n_bands) float32; the frame at `oldest` is overwritten with `levels`
    oldest : place of the frame n_past hops ago; the one after it is n_past - 1 hops ago
    leak : (n_bands, n_bands) float32, what of a band's magnitude may appear in another
    knee : magnitude below which levels are linear rather than logarithmic
    flux : (b, source) float32, overwritten

    Source: Böck & Widmer, Maximum filter vibrato suppression for onset detection, DAFx 2013.
    Deviation: bands of a third of an octave; the maximum runs over two old frames as well; what may
    be the window's sidelobes of another band is taken as no rise.  They swing with the phase of
    a low note, by tens of dB.
    """
    n_past, n_feeds, n_sources, n_bands = past.shape
    after = (oldest + 1) % n_past
    for b in range(n_feeds):
        for source in range(n_sources):
            now = levels[b, source]
            old = past[oldest, b, source]
            less_old = past[after, b, source]
            total = np.float32(0.0)
            for band in range(n_bands):
                ceiling = np.float32(0.0)
                for near in range(max(band - 1, 0), min(band + 2, n_bands)):
                    ceiling = max(ceiling, max(old[near], less_old[near]))
                if now[band] > ceiling:
                    blur = knee
                    for other in range(n_bands):
                        blur += leak[band, other] * now[other]
                    total += np.float32(math.log((now[band] + blur) / (ceiling + blur)))
            flux[b, source] = total / np.float32(n_bands)
            for band in range(n_bands):
                old[band] = now[band]


@kernel(
    "void(float32[:, :, ::1], int64[::1], float32, float32[:, :, ::1], float32[:, :, :, ::1],"
    "int64, float32[:, ::1], float32, float32[:, ::1])"
)
def measure_flux(powers, edges, gain, levels, past, oldest, leak, knee, flux):
    """From powers to flux in one call: see `band_levels`, `rising_flux`."""
    band_levels(powers, edges, gain, levels)
    rising_flux(levels, past, oldest, leak, knee, flux)


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[::1], int64, float32[:, ::1], float32[:, ::1],"
    "float32, boolean[:, ::1], int64[:, ::1], int64[:, ::1], int64[::1], int64, int64[::1],"
    "float32[:, :, ::1])"
)
def pick_onsets(
    logits,
    hits,
    second,
    struck,
    flux,
    threshold,
    usual,
    armed,
    since,
    count,
    muted,
    refractory,
    columns,
    out,
):
    """Declare an onset where its odds pass the threshold and there is a rise at all; how many were.

    logits : (b, >= source) float32, of the odds
    hits : (b, n) float32, the same of hits of one source; no number: nobody knows
    second : (2,) float32, weight of the likeliest hit; what the source's own must be over the
        threshold to count without
    struck : the source that hits are of
    flux : (b, source) float32
    threshold : (b, source) float32, odds that are asked for
    usual : flux of strength 1/2; below a fifth of it nothing is an onset
    armed : (b, source) bool, running; the odds have fallen since the last onset
    since : (b, source) int64, running; hops since the last onset
    count : (b, source) int64, running; onsets declared
    muted : (b,) int64, running; hops for which nothing is declared
    refractory : hops between two onsets
    columns : (4,) int64, of strength 0 ... 1, onset 0 or 1, count, offset (set to 0)
    out : (b, source, features) float32, four columns overwritten
    """
    found = 0
    zero = np.float32(0.0)
    for b in range(flux.shape[0]):
        for source in range(flux.shape[1]):
            asked = np.float32(math.log(max(threshold[b, source], np.float32(1e-6))))
            over = logits[b, source] - asked
            if source == struck:
                likeliest = hits[b, 0]
                for k in range(1, hits.shape[1]):
                    likeliest = max(likeliest, hits[b, k])
                if likeliest == likeliest:  # it is a number
                    together = over + second[0] * (likeliest - logits[b, source])
                    over = max(over - second[1], together)
            rise = flux[b, source]
            since[b, source] = min(since[b, source] + 1, 1 << 30)
            declared, strength = False, zero
            if muted[b] > 0:
                armed[b, source] = False
            elif not over > np.float32(-1.0):
                armed[b, source] = True
            elif over > zero and rise > np.float32(0.2) * usual:
                strength = rise / (rise + usual)
                declared = armed[b, source] and since[b, source] >= refractory
            if declared:
                armed[b, source] = False
                since[b, source] = 0
            count[b, source] += declared
            found += declared
            row = out[b, source]
            row[columns[0]] = strength
            row[columns[1]] = np.float32(declared)
            row[columns[2]] = np.float32(count[b, source])
            row[columns[3]] = zero
        if muted[b] > 0:
            muted[b] -= 1
    return found


@kernel(
    "int64(float32[:, ::1], float32[:, :, ::1], float32[::1], int64, int64, int64, float32[::1])"
)
def attack_start(frames, masked_frames, window, source, start, grain, energies):
    """First sample of the grain where, from `start` to the end, energy rises by the largest factor.

    frames : (c, n_fft) float32, the windowed mix
    masked_frames : (s - 1, c, n_fft) float32, the windowed stems
    window : (n_fft,) float32, analysis
    source : 0 mix, 1 ... s - 1 the stems, s what they leave
    start : sample of the frame, > 0
    grain : samples
    energies : (n_fft // grain,) float32, overwritten
    """
    n_channels, n_fft = frames.shape
    n_masked = masked_frames.shape[0]
    before = min(8, (start - 1) // grain)
    first = start - before * grain
    count = (n_fft - first) // grain
    largest = np.float32(0.0)
    for g in range(count):
        energy = np.float32(0.0)
        weight = np.float32(0.05 * grain)  # the newest samples are all but windowed away
        for n in range(first + g * grain, first + (g + 1) * grain):
            weight += window[n] * window[n]
            for c in range(n_channels):
                # differences: a note that sounds on must not hide the stick
                if source == 0 or source > n_masked:
                    x = frames[c, n] - frames[c, n - 1]
                else:
                    x = masked_frames[source - 1, c, n] - masked_frames[source - 1, c, n - 1]
                if source > n_masked:
                    for s in range(n_masked):
                        x -= masked_frames[s, c, n] - masked_frames[s, c, n - 1]
                energy += x * x
        energies[g] = energy / weight
        largest = max(largest, energies[g])
    floor = np.float32(0.05) * largest + np.float32(1e-20)
    recent = np.float32(0.0)
    best = np.float32(0.0)
    best_at = start
    for g in range(count):
        rise = (energies[g] + floor) / (recent + floor)
        if g >= before and rise > best:
            best = rise
            best_at = first + g * grain
        recent += (energies[g] - recent) / np.float32(min(g + 1, 8))
    return best_at
