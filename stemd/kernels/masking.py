"""Masks: made to sum to one, held, faded to dry, applied.

`held` keeps the first three stems only: the last one is 1 minus their sum.
"""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel

LEAN = np.float32(1e-6)
"""Share of the residual given to the last stem where all masks are 0, as a squared mask."""


BIGGEST = np.float32(1e6)
"""+120 dB: no mask is meant to be larger, and squares of it are still numbers."""


@kernel("void(float32[:, ::1], boolean[::1])")
def find_usable(masks, usable):
    """Which feeds' masks are numbers of a sensible size.

    masks : (b, everything else) float32
    usable : (b,) bool, overwritten
    """
    for b in range(masks.shape[0]):
        bad = 0
        for i in range(masks.shape[1]):
            bad += not (abs(masks[b, i]) <= BIGGEST)  # also true of NaN
        usable[b] = bad == 0


@kernel("void(float32[:, :, :, ::1], boolean[::1], float32[:, :, :, ::1])", fastmath=True)
def project_real(masks, usable, held):
    """Spread 1 - sum(masks) over the stems by squared mask and keep all but the last.

    masks : (b, s=4, c, f) float32
    usable : (b,) bool; other feeds keep what they hold
    held : (b, 3, c, f) float32, overwritten

    Source: Wisdom et al., Differentiable consistency constraints, ICASSP 2019, eq. 7 with weights
    |mask|^2.  A stem that is silent stays silent, which equal shares would not give.
    """
    one = np.float32(1.0)
    for i in range(masks.shape[0]):
        if not usable[i]:
            continue
        for c in range(masks.shape[2]):
            for f in range(masks.shape[3]):
                v, d, b, o = (
                    masks[i, 0, c, f],
                    masks[i, 1, c, f],
                    masks[i, 2, c, f],
                    masks[i, 3, c, f],
                )
                vv, dd, bb = v * v, d * d, b * b
                share = (one - (v + d + b + o)) / (vv + dd + bb + o * o + LEAN)
                held[i, 0, c, f] = v + vv * share
                held[i, 1, c, f] = d + dd * share
                held[i, 2, c, f] = b + bb * share


@kernel("void(float32[:, :, :, ::1], boolean[::1], complex64[:, :, :, ::1])", fastmath=True)
def project_complex(masks, usable, held):
    """Complex masks, given as floats in pairs; otherwise `project_real`.

    masks : (b, s=4, c, 2 * f) float32, re and im alternating
    usable : (b,) bool; other feeds keep what they hold
    held : (b, 3, c, f) complex64, overwritten
    """
    one = np.float32(1.0)
    for b in range(masks.shape[0]):
        if not usable[b]:
            continue
        for c in range(masks.shape[2]):
            m0, m1, m2, m3 = masks[b, 0, c], masks[b, 1, c], masks[b, 2, c], masks[b, 3, c]
            h0 = held[b, 0, c].view(np.float32)
            h1 = held[b, 1, c].view(np.float32)
            h2 = held[b, 2, c].view(np.float32)
            for f in range(held.shape[3]):
                re, im = 2 * f, 2 * f + 1
                w0 = m0[re] * m0[re] + m0[im] * m0[im]
                w1 = m1[re] * m1[re] + m1[im] * m1[im]
                w2 = m2[re] * m2[re] + m2[im] * m2[im]
                w3 = m3[re] * m3[re] + m3[im] * m3[im]
                scale = one / (w0 + w1 + w2 + w3 + LEAN)
                share_re = (one - (m0[re] + m1[re] + m2[re] + m3[re])) * scale
                share_im = -(m0[im] + m1[im] + m2[im] + m3[im]) * scale
                h0[re] = m0[re] + w0 * share_re
                h0[im] = m0[im] + w0 * share_im
                h1[re] = m1[re] + w1 * share_re
                h1[im] = m1[im] + w1 * share_im
                h2[re] = m2[re] + w2 * share_re
                h2[im] = m2[im] + w2 * share_im


@kernel("void(float32[:, :, :, ::1], complex64[:, :, ::1], float32[::1], complex64[:, :, :, ::1])")
def apply_real(held, spectra, wet, masked):
    """Masked spectra of all stems but the last.

    held : (b, 3, c, f) float32
    spectra : (b, c, f) complex64
    wet : (b,) float32, 1 masks as they are, 0 all into the last stem
    masked : (b, 3, c, f) complex64, overwritten
    """
    for b in range(held.shape[0]):
        gain = wet[b]
        for s in range(held.shape[1]):
            for c in range(held.shape[2]):
                mask = held[b, s, c]
                x = spectra[b, c].view(np.float32)
                y = masked[b, s, c].view(np.float32)
                for f in range(mask.shape[0]):
                    m = mask[f] * gain
                    y[2 * f] = m * x[2 * f]
                    y[2 * f + 1] = m * x[2 * f + 1]


@kernel(
    "void(complex64[:, :, :, ::1], complex64[:, :, ::1], float32[::1], complex64[:, :, :, ::1])"
)
def apply_complex(held, spectra, wet, masked):
    """Masked spectra of all stems but the last, from complex masks; see `apply_real`."""
    for b in range(held.shape[0]):
        gain = wet[b]
        for s in range(held.shape[1]):
            for c in range(held.shape[2]):
                m = held[b, s, c].view(np.float32)
                x = spectra[b, c].view(np.float32)
                y = masked[b, s, c].view(np.float32)
                for f in range(spectra.shape[2]):
                    re, im = 2 * f, 2 * f + 1
                    y[re] = gain * (m[re] * x[re] - m[im] * x[im])
                    y[im] = gain * (m[re] * x[im] + m[im] * x[re])


@kernel(
    "void(boolean[::1], boolean[::1], boolean, int64, float32[::1], int64[:, ::1], int64[:, ::1],"
    "boolean[:, ::1], float32[::1])"
)
def move_fades(arrived, bypass, expected, hold_hops, fade, state, counts, flags, wet):
    """One hop of each feed's walk between dry and separated.

    arrived : (b,) bool, this hop has masks of its own
    bypass : (b,) bool, dry is wanted
    expected : there is a model, so that masks which have not arrived are late
    hold_hops : how long earlier masks do
    fade : (n_steps,) float32, 0 ... 1
    state : (2, b) int64, running; hops in a row without masks (-1: no hop yet), place in `fade`
    counts : (2, b) int64, running; late hops, dry hops
    flags : (3, b) bool, overwritten; late, dry, fade moved
    wet : (b,) float32, overwritten
    """
    missed, step = state[0], state[1]
    full = fade.shape[0] - 1
    for b in range(arrived.shape[0]):
        fresh = missed[b] < 0
        missed[b] = 0 if arrived[b] else max(missed[b], 0) + 1
        usable = arrived[b] or (not fresh and missed[b] <= hold_hops)
        target = full if usable and not bypass[b] else 0
        before = target if fresh else step[b]
        step[b] = before + (before < target) - (before > target)
        wet[b] = fade[step[b]]
        flags[0, b] = expected and not arrived[b]
        flags[1, b] = step[b] < full
        flags[2, b] = step[b] != before
        counts[0, b] += flags[0, b]
        counts[1, b] += flags[1, b]
