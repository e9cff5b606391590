"""Masks: made to sum to one, held, faded to dry, applied.

`held` keeps the first three stems only: the last one is 1 minus their sum.
"""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel

LEAN = np.float32(1e-6)
"""Share of the residual given to the last stem where all masks are 0, as a squared mask."""


@kernel("boolean(float32[:, :, ::1])")
def all_finite(masks):
    """Whether one feed's masks hold no NaN and no infinity.

    masks : (s, c, f) float32
    """
    flat = masks.reshape(masks.size)
    bad = 0
    for i in range(flat.shape[0]):
        bad += not (abs(flat[i]) < np.float32(3e38))
    return bad == 0


@kernel("void(float32[:, :, ::1], float32[:, :, ::1])", fastmath=True)
def project_real(masks, held):
    """Spread 1 - sum(masks) over the stems by squared mask and keep all but the last.

    masks : (s=4, c, f) float32
    held : (3, c, f) float32, overwritten

    Source: Wisdom et al., Differentiable consistency constraints, ICASSP 2019, eq. 7 with weights
    |mask|^2.  A stem that is silent stays silent, which equal shares would not give.
    """
    for c in range(masks.shape[1]):
        for f in range(masks.shape[2]):
            v, d, b, o = masks[0, c, f], masks[1, c, f], masks[2, c, f], masks[3, c, f]
            vv, dd, bb = v * v, d * d, b * b
            share = (np.float32(1.0) - (v + d + b + o)) / (vv + dd + bb + o * o + LEAN)
            held[0, c, f] = v + vv * share
            held[1, c, f] = d + dd * share
            held[2, c, f] = b + bb * share


@kernel("void(float32[:, :, ::1], complex64[:, :, ::1])", fastmath=True)
def project_complex(masks, held):
    """Complex masks, given as floats in pairs; otherwise `project_real`.

    masks : (s=4, c, 2 * f) float32, re and im alternating
    held : (3, c, f) complex64, overwritten
    """
    for c in range(masks.shape[1]):
        for f in range(held.shape[2]):
            re, im = 2 * f, 2 * f + 1
            total_re = masks[0, c, re] + masks[1, c, re] + masks[2, c, re] + masks[3, c, re]
            total_im = masks[0, c, im] + masks[1, c, im] + masks[2, c, im] + masks[3, c, im]
            power = LEAN
            for s in range(4):
                power += masks[s, c, re] ** 2 + masks[s, c, im] ** 2
            share_re = (np.float32(1.0) - total_re) / power
            share_im = -total_im / power
            for s in range(3):
                weight = masks[s, c, re] ** 2 + masks[s, c, im] ** 2
                held[s, c, f] = np.complex64(
                    complex(
                        masks[s, c, re] + weight * share_re, masks[s, c, im] + weight * share_im
                    )
                )


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
