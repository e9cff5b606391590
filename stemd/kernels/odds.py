"""The odds that something begins: what a net sees of levels in bands, and the net."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.dense import accumulate, layer, part
from stemd.kernels.jit import kernel
from stemd.kernels.powers import band_magnitudes


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], int64, float32[:, ::1], float32[::1],"
    "float32[:, ::1])"
)
def see(levels, past, at, loudest, limits, seen):
    """Levels beside what has been loud lately, some 50 dB of them as -1 ... 1, and their rise.

    levels : (b, 5, n_bands) float32; a source is set to 0 where it is not finite
    past : (n_past, b, 5, n_bands) float32; the frame at `at` is overwritten, those n_past - 1 and
        n_past - 2 hops ago are what a rise is measured against
    at : place of the newest frame
    loudest : (b, 5) float32, running: the largest level lately
    limits : (4,) float32: share of `loudest` kept per hop, least share of the mix in the reference,
        least reference, share of the reference below which levels are linear
    seen : (b, 2 * 5 * n_bands) float32, overwritten: levels, then rises above the loudest of three
        neighbouring bands then
    """
    n_past, n_feeds, n_sources, n_bands = past.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    for b in range(n_feeds):
        now = past[at, b]
        old, less_old = past[(at + 1) % n_past, b], past[(at + 2) % n_past, b]
        for source in range(n_sources):
            total = zero
            for band in range(n_bands):
                total += levels[b, source, band] * levels[b, source, band]
            if not total < np.float32(1e12):
                levels[b, source] = zero
                total = zero
            loudest[b, source] = max(limits[0] * loudest[b, source], np.float32(math.sqrt(total)))
        for source in range(n_sources):
            scale = max(max(loudest[b, source], limits[1] * loudest[b, 0]), limits[2])
            scale = one / scale
            first = source * n_bands
            for band in range(n_bands):
                ceiling = max(old[source, band], less_old[source, band])
                if band > 0:
                    ceiling = max(ceiling, max(old[source, band - 1], less_old[source, band - 1]))
                if band + 1 < n_bands:
                    ceiling = max(ceiling, max(old[source, band + 1], less_old[source, band + 1]))
                x = np.float32(0.4) * np.float32(
                    math.log(levels[b, source, band] * scale + limits[3])
                ) + np.float32(1.4)
                seen[b, first + band] = x
                seen[b, n_sources * n_bands + first + band] = max(x - ceiling, zero)
            for band in range(n_bands):
                now[source, band] = seen[b, first + band]


@kernel(
    "void(float32[:, ::1], float32[:, :, ::1], int64, int64[::1], int16[::1], float32[::1],"
    "float32[:, ::1], float32[::1], float32[:, ::1])"
)
def think(seen, past, at, lags, weights, steps, state, scratch, logits):
    """One step of the net: a projection, a layer over some of its past, a recurrent layer, odds.

    seen : (b, n_in) float32
    past : (n_past, b, n_embed) float32; the projection at `at` is overwritten with that of `seen`
    at : place of the newest projection
    lags : (n_lags,) int64, hops ago
    weights : int16, layers one behind the other, each (n_in + 1, n_out), the last row the bias:
        embed to n_embed; middle from n_lags * n_embed to n_hidden; inward from that, and again from
        the state, each to 3 n_state: reset, update, new; outward from n_hidden + n_state to n_out
    steps : float32, what 1 of each of their columns is worth
    state : (b, n_state) float32, running
    scratch : (n_hidden + 6 n_state,) float32
    logits : (b, n_out) float32, overwritten

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014.
    Deviation: the form of cuDNN and PyTorch.
    """
    n_past, n_feeds, n_embed = past.shape
    n_in, n_state, n_out = seen.shape[1], state.shape[1], logits.shape[1]
    n_gates, n_lags = 3 * n_state, lags.shape[0]
    n_hidden = scratch.shape[0] - 2 * n_gates
    hidden, gates = scratch[:n_hidden], scratch[n_hidden : n_hidden + n_gates]
    kept = scratch[n_hidden + n_gates :]
    embed = part(weights, 0, n_in + 1, n_embed)
    first = embed.size
    middle = part(weights, first, n_lags * n_embed + 1, n_hidden)
    first += middle.size
    inward = part(weights, first, n_hidden + 1, n_gates)
    first += inward.size
    again = part(weights, first, n_state + 1, n_gates)
    outward = part(weights, first + again.size, n_hidden + n_state + 1, n_out)
    of_middle, of_inward = steps[n_embed:], steps[n_embed + n_hidden :]
    of_again, of_outward = of_inward[n_gates:], of_inward[2 * n_gates :]
    one = np.float32(1.0)
    for b in range(n_feeds):
        layer(seen[b], embed, steps, past[at, b])
        for j in range(n_hidden):
            hidden[j] = np.float32(middle[n_lags * n_embed, j])
        for lag in range(n_lags):
            then = past[(at - lags[lag]) % n_past, b]
            accumulate(then, middle[lag * n_embed : (lag + 1) * n_embed], hidden)
        for j in range(n_hidden):
            hidden[j] = max(hidden[j] * of_middle[j], np.float32(0.0))
        layer(hidden, inward, of_inward, gates)
        layer(state[b], again, of_again, kept)
        for j in range(n_state):
            reset = one / (one + np.float32(math.exp(-(gates[j] + kept[j]))))
            update = one / (one + np.float32(math.exp(-(gates[n_state + j] + kept[n_state + j]))))
            # the hyperbolic tangent: as an exponential it takes a third of the time
            v = gates[2 * n_state + j] + reset * kept[2 * n_state + j]
            new = one - (one + one) / (one + np.float32(math.exp(v + v)))
            state[b, j] = new + update * (state[b, j] - new)
        for k in range(n_out):
            logits[b, k] = np.float32(outward[n_hidden + n_state, k])
        accumulate(hidden, outward, logits[b])
        accumulate(state[b], outward[n_hidden:], logits[b])
        for k in range(n_out):
            logits[b, k] *= of_outward[k]


@kernel(
    "void(float32[:, :, ::1], int64[::1], float32[::1], float32, float32[:, :, ::1],"
    "float32[:, :, :, ::1], int64, float32[:, ::1], float32[::1], float32[:, ::1],"
    "float32[:, :, ::1], int64, int64[::1], int16[::1], float32[::1], float32[:, ::1],"
    "float32[::1], float32[:, ::1])"
)
def weigh_odds(
    powers,
    sources,
    edges,
    gain,
    levels,
    past,
    at,
    loudest,
    limits,
    seen,
    thoughts,
    thought_at,
    lags,
    weights,
    steps,
    state,
    scratch,
    logits,
):
    """From powers to odds in one call: see `band_magnitudes`, `see`, `think`."""
    band_magnitudes(powers, sources, edges, gain, levels)
    see(levels, past, at, loudest, limits, seen)
    think(seen, thoughts, thought_at, lags, weights, steps, state, scratch, logits)
