"""The odds that something begins: what a net sees of levels in bands, and the net."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel


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


@kernel("void(float32[::1], float32[:, ::1], float32[::1])", fastmath=True)
def _add(x, weights, out):
    """x @ weights onto `out`.

    x : (n_in,) float32
    weights : (>= n_in, n_out) float32
    out : (n_out,) float32
    """
    zero = np.float32(0.0)
    n = x.shape[0] - x.shape[0] % 4
    for i in range(0, n, 4):  # by fours: what is summed is loaded and stored less often
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        if a == zero and b == zero and c == zero and d == zero:
            continue  # rises are rare
        w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        for j in range(out.shape[0]):  # numba vectorises this, and no dot product
            out[j] += a * w0[j] + b * w1[j] + c * w2[j] + d * w3[j]
    for i in range(n, x.shape[0]):
        v = x[i]
        if v != zero:
            row = weights[i]
            for j in range(out.shape[0]):
                out[j] += v * row[j]


@kernel(
    "void(float32[:, ::1], float32[:, :, ::1], int64, int64[::1], float32[:, ::1],"
    "float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    "float32[::1], float32[::1], float32[::1], float32[:, ::1])"
)
def think(
    seen, past, at, lags, embed, middle, inward, again, outward, state, hidden, gates, kept, logits
):
    """One step of the net: a projection, a layer over some of its past, a recurrent layer, odds.

    seen : (b, n_in) float32
    past : (n_past, b, n_embed) float32; the projection at `at` is overwritten with that of `seen`
    at : place of the newest projection
    lags : (n_lags,) int64, hops ago
    embed : (n_in + 1, n_embed) float32; the last row is the bias, as in all layers
    middle : (n_lags * n_embed + 1, n_hidden) float32
    inward, again : (n_hidden + 1, 3 n_state), (n_state + 1, 3 n_state) float32: reset, update, new
    outward : (n_hidden + n_state + 1, n_out) float32
    state : (b, n_state) float32, running
    hidden : (n_hidden,) float32, scratch
    gates, kept : (3 n_state,) float32, scratch
    logits : (b, n_out) float32, overwritten

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014.
    Deviation: the form of cuDNN and PyTorch.
    """
    n_past, n_feeds, n_embed = past.shape
    n_state = state.shape[1]
    n_hidden = hidden.shape[0]
    one = np.float32(1.0)
    for b in range(n_feeds):
        now = past[at, b]
        now[:] = embed[-1]
        _add(seen[b], embed, now)
        hidden[:] = middle[-1]
        for lag in range(lags.shape[0]):
            then = past[(at - lags[lag]) % n_past, b]
            _add(then, middle[lag * n_embed : (lag + 1) * n_embed], hidden)
        for j in range(n_hidden):
            hidden[j] = max(hidden[j], np.float32(0.0))
        gates[:] = inward[-1]
        _add(hidden, inward, gates)
        kept[:] = again[-1]
        _add(state[b], again, kept)
        for j in range(n_state):
            reset = one / (one + np.float32(math.exp(-(gates[j] + kept[j]))))
            update = one / (one + np.float32(math.exp(-(gates[n_state + j] + kept[n_state + j]))))
            # the hyperbolic tangent: as an exponential it takes a third of the time
            v = gates[2 * n_state + j] + reset * kept[2 * n_state + j]
            new = one - (one + one) / (one + np.float32(math.exp(v + v)))
            state[b, j] = new + update * (state[b, j] - new)
        logits[b] = outward[-1]
        _add(hidden, outward, logits[b])
        _add(state[b], outward[n_hidden:], logits[b])
