"""Chroma: spectral peaks folded into twelve pitch classes, and the chord they make."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel
from stemd.kernels.reduce import largest

FAINT = 1e-4  # of the highest peak's power: peaks 40 dB below are none
TRIAD = 0.25  # least strength of each of a chord's three notes: one note's partials are no chord
CLEAR = 0.78  # least likeness of a chord; twelve equal classes have 0.5
BETTER = 0.03  # by how much a new chord must be more like than the old


@kernel("float64(float32[::1], int64, float64, float64, float64[::1])")
def fold_peaks(powers, first, bin_hz, keep, sums):
    """Add the amplitude of each spectral peak to its pitch class; returns the highest peak's power.

    powers : (n,) float32, of bins from `first`
    keep : of the sums of earlier frames
    sums : (12,) float64, running, c first; A is 440 Hz
    """
    for k in range(12):
        sums[k] *= keep
    top = largest(powers[1 : powers.shape[0] - 1])
    if not (top > 0.0 and top < math.inf):
        return 0.0
    least = np.float32(FAINT) * top
    for f in range(1, powers.shape[0] - 1):
        here = powers[f]
        if not (here > least and here >= powers[f - 1] and here > powers[f + 1]):
            continue
        # the top of a parabola through the logarithms: a window's main lobe is nearly one
        below = math.log(max(powers[f - 1] / here, 1e-9))
        above = math.log(max(powers[f + 1] / here, 1e-9))
        curve = below + above
        off = 0.5 * (below - above) / curve if curve < 0.0 else 0.0
        pitch = 69.0 + 12.0 * math.log2((first + f + off) * bin_hz / 440.0)
        nearest = math.floor(pitch + 0.5)
        astray = 2.0 * (pitch - nearest)
        # between two classes it is neither
        sums[int(nearest) % 12] += (1.0 - keep) * math.sqrt(here) * (1.0 - astray * astray)
    return float(top)


@kernel("float64(float64[::1], int64, float64)")
def likeness(strengths, chord, norm):
    """Cosine of the angle between twelve strengths, the largest 1, and a triad; 0 if one is weak.

    chord : 1 ... 12 major on c ... b, 13 ... 24 minor
    norm : of the strengths and the triad, the root of three times the sum of squares
    """
    root = (chord - 1) % 12
    third = (root + (4 if chord <= 12 else 3)) % 12
    fifth = (root + 7) % 12
    if min(strengths[root], strengths[third], strengths[fifth]) < TRIAD:
        return 0.0
    return (strengths[root] + strengths[third] + strengths[fifth]) / norm


@kernel("int64(float64[::1], int64[::1], int64)")
def choose_chord(strengths, state, patience):
    """The chord, with hysteresis.

    strengths : (12,) float64, the largest 1
    state : (3,) int64, running; the chord told (0: none), its rival, hops the rival has led
    patience : hops a rival must lead
    """
    whole = 0.0
    for k in range(12):
        whole += strengths[k] * strengths[k]
    norm = math.sqrt(3.0 * whole)
    best, best_like = 0, CLEAR
    for chord in range(1, 25):
        like = likeness(strengths, chord, norm)
        if like > best_like:
            best, best_like = chord, like
    old = state[0]
    if old > 0 and best != old:
        like = likeness(strengths, old, norm)
        if like > CLEAR - BETTER and like + BETTER > best_like:
            best = old
    if best == old:
        state[1], state[2] = old, 0
        return old
    if best != state[1]:
        state[1], state[2] = best, 0
    state[2] += 1
    if state[2] >= patience:
        state[0], state[2] = best, 0
    return state[0]


@kernel(
    "void(float32[:, :, ::1], boolean[::1], int64[::1], float64, float64, float64, int64,"
    "float64[:, :, ::1], int64[:, :, ::1], float64[::1], float32[:, :, ::1])"
)
def track_chroma(powers, plays, span, bin_hz, keep, quiet, patience, sums, chords, strengths, out):
    """Chroma and chord of every source from its newest spectrum.

    powers : (b, 1 + s, f) float32, see `source_powers`
    plays : (1 + s,) bool, False: stays 0
    span : (2,) int64, first bin that is looked at, and the first that no longer is
    bin_hz, keep : see `fold_peaks`
    quiet : power of a peak below which a source is silent: 0 is told, and the past fades
    patience : see `choose_chord`
    sums, chords : (b, 1 + s, 12) float64, (b, 1 + s, 3) int64, running
    strengths : (12,) float64, overwritten
    out : (b, 1 + s, 13) float32, overwritten; the classes, then the chord
    """
    for b in range(out.shape[0]):
        for source in range(out.shape[1]):
            row, total = out[b, source], sums[b, source]
            row[:] = np.float32(0.0)
            if not plays[source]:
                continue
            bins = powers[b, source, span[0] : span[1]]
            loud = fold_peaks(bins, span[0], bin_hz, keep, total) > quiet
            top = np.max(total)
            if not (loud and top > 0.0):
                chords[b, source] = 0
                continue
            for k in range(12):
                strengths[k] = total[k] / top
                row[k] = np.float32(strengths[k])
            row[12] = np.float32(choose_chord(strengths, chords[b, source], patience))
