"""Drum hits: levels of the drums and of the mix in a few bands, and what they make of the past."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.dense import three_layers
from stemd.kernels.jit import kernel
from stemd.kernels.powers import band_magnitudes


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], int64, int64[:, ::1], float32[:, ::1],"
    "float32[::1], int16[::1], float32[::1], int64, float32[::1], float32[:, ::1])"
)
def drum_logits(levels, past, at, lags, loudest, limits, weights, steps, n_1, scratch, logits):
    """How likely each class has just been hit, from the levels of now and before.

    levels : (b, 2, n_bands) float32, of the drums, of the mix; set to 0 where not finite
    past : (n_past, b, 2, n_bands) float32; the frame at `at` is overwritten with `levels`
    at : place of the newest frame
    lags : (n_lags, 2) int64, (0 drums or 1 mix, hops ago), what the net sees
    loudest : (b, 2) float32, running: the largest level lately
    limits : (4,) float32: share of `loudest` kept per hop, least share of the mix in the reference,
        least reference, share of the reference below which levels are linear
    weights, steps, n_1 : the net, see `three_layers`
    scratch : (n_in + n_1 + n_2,) float32
    logits : (b, 3) float32, overwritten
    """
    n_past, n_feeds, n_rows, n_bands = past.shape
    zero, n_in = np.float32(0.0), lags.shape[0] * n_bands
    x, hidden = scratch[:n_in], scratch[n_in:]
    for b in range(n_feeds):
        now = past[at, b]
        for row in range(n_rows):
            total = zero
            for band in range(n_bands):
                total += levels[b, row, band] * levels[b, row, band]
            if not total < np.float32(1e12):
                levels[b, row] = zero
                total = zero
            for band in range(n_bands):
                now[row, band] = levels[b, row, band]
            loudest[b, row] = max(limits[0] * loudest[b, row], np.float32(math.sqrt(total)))
        scale = max(max(loudest[b, 0], limits[1] * loudest[b, 1]), limits[2])
        # of some 50 dB the net sees -1 ... 1
        scale = np.float32(1.0) / scale
        for lag in range(lags.shape[0]):
            then = past[(at - lags[lag, 1]) % n_past, b, lags[lag, 0]]
            into = x[lag * n_bands : (lag + 1) * n_bands]
            for band in range(n_bands):
                into[band] = np.float32(0.4) * np.float32(
                    math.log(then[band] * scale + limits[3])
                ) + np.float32(1.4)
        three_layers(x, weights, steps, n_1, hidden, logits[b])


@kernel("void(float32[:, :, ::1], float32, float32[::1], float32[:, ::1], float32[::1])")
def weigh_company(levels, keep, limits, energies, shares):
    """How much there is beside the drums, as a weight: none while they are alone.

    levels : (b, 2, n_bands) float32, of the drums, of the mix; finite
    keep : of the energies of earlier hops
    limits : (3,) float32; share of the mix's energy that is drums from which the weight is 0, below
        which it is whole, and what it is then
    energies : (b, 2) float32, running; of the drums, of the mix
    shares : (b,) float32, overwritten
    """
    for b in range(levels.shape[0]):
        for row in range(2):
            energy = np.float32(0.0)
            for band in range(levels.shape[2]):
                energy += levels[b, row, band] * levels[b, row, band]
            energies[b, row] = keep * energies[b, row] + energy
        alone = energies[b, 0] / max(energies[b, 1], np.float32(1e-20))
        company = (limits[0] - alone) / (limits[0] - limits[1])
        shares[b] = limits[2] * min(max(company, np.float32(0.0)), np.float32(1.0))


@kernel(
    "void(float32[:, :, ::1], int64[::1], float32[::1], float32, float32[:, :, ::1],"
    "float32[:, :, :, ::1], int64, int64[:, ::1], float32[:, ::1], float32[::1], int16[::1],"
    "float32[::1], int64, float32[::1], float32[:, ::1], float32, float32[::1], float32[:, ::1],"
    "float32[::1])"
)
def weigh_hits(
    powers,
    rows,
    edges,
    gain,
    levels,
    past,
    at,
    lags,
    loudest,
    limits,
    weights,
    steps,
    n_1,
    scratch,
    logits,
    keep,
    company,
    energies,
    shares,
):
    """From powers to odds and their weight in one call: see `band_magnitudes`, `drum_logits`,
    `weigh_company`, whose limits are `company`.
    """
    band_magnitudes(powers, rows, edges, gain, levels)
    drum_logits(levels, past, at, lags, loudest, limits, weights, steps, n_1, scratch, logits)
    weigh_company(levels, keep, company, energies, shares)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[:, :, ::1], float32[:, ::1],"
    "float32[:, ::1], int64[:, ::1], boolean[:, ::1], int64[:, ::1], float32[:, :, ::1],"
    "int64[::1], int64, int64, int64, float32[:, :, ::1])"
)
def pick_hits(
    logits,
    others,
    shares,
    levels,
    threshold,
    built_in,
    spans,
    armed,
    since,
    heard,
    muted,
    refractory,
    row,
    column,
    out,
):
    """Declare a hit of each class when its likelihood passes the threshold.

    logits : (b, 3) float32, above 0 is a hit
    others : (b, >= 3) float32, the last three are the same by another net
    shares : (b,) float32, weight of the others
    levels : (b, 2, n_bands) float32, of the drums, of the mix
    threshold : (b, 3) float32, factor on the odds that are asked for
    built_in : (3, 2) float32, per class: nominal loud level in dB, dB from velocity 0 to 1
    spans : (3, 2) int64, bands in which each class is measured
    armed : (b, 3) bool, running; the likelihood has fallen since the last hit
    since : (b, 3) int64, running; hops since the last hit
    heard : (2, b, 3) float32, running; loud level in dB, hits heard
    muted : (b,) int64, running; hops for which nothing is declared
    refractory : hops between two hits
    row, column : the drums among the sources, the first of the three columns
    out : (b, source, feature) float32, three columns of one row overwritten
    """
    loud, count = heard[0], heard[1]
    first = others.shape[1] - logits.shape[1]
    for b in range(logits.shape[0]):
        theirs = shares[b]
        own = np.float32(1.0) - theirs
        for k in range(logits.shape[1]):
            factor = max(threshold[b, k], np.float32(1e-6))
            odds = own * logits[b, k] + theirs * others[b, first + k]
            over = odds - np.float32(math.log(factor))
            velocity = np.float32(0.0)
            since[b, k] = min(since[b, k] + 1, 1 << 30)
            if muted[b] > 0:
                armed[b, k] = False
            elif not over > np.float32(-1.0):
                armed[b, k] = True
            elif armed[b, k] and over > np.float32(0.0) and since[b, k] >= refractory:
                armed[b, k] = False
                power = np.float32(0.0)
                for band in range(spans[k, 0], spans[k, 1]):
                    power += levels[b, 0, band] * levels[b, 0, band]
                if power < np.float32(1e-10):  # -100 dBFS: whatever the net makes of hiss
                    out[b, row, column + k] = velocity
                    continue
                since[b, k] = 0
                db = np.float32(10.0 * math.log10(power))
                if count[b, k] == 0.0:
                    loud[b, k] = built_in[k, 0]
                count[b, k] = min(count[b, k] + np.float32(1.0), np.float32(1e6))
                share = np.float32(0.5)  # up at once: hard hits may be rare
                if db < loud[b, k]:  # down in a few hits, and hardly any more after that
                    share = max(np.float32(0.7) / count[b, k], np.float32(0.02))
                loud[b, k] += share * (db - loud[b, k])
                velocity = np.float32(1.0) + (db - loud[b, k]) / built_in[k, 1]
                velocity = min(max(velocity, np.float32(0.02)), np.float32(1.0))
            out[b, row, column + k] = velocity
        if muted[b] > 0:
            muted[b] -= 1
