"""Power of the mix and of each stem in every bin, and its sums over bands."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel
from stemd.kernels.reduce import sum_of


@kernel("float32(float32[::1], float32[::1], float32[::1])", fastmath=True)
def _square(left, right, power):
    """Power of both channels in each bin; the product of the channels, summed.

    The ends, 0 Hz and half the rate, count half: they have no image at negative frequency.

    left, right : (2 f,) float32, real and imaginary parts in turn
    power : (f,) float32, overwritten
    """
    product = np.float32(0.0)
    for f in range(power.shape[0]):  # of flat arrays LLVM takes pairs apart in registers
        a, b, c, d = left[2 * f], left[2 * f + 1], right[2 * f], right[2 * f + 1]
        power[f] = a * a + b * b + c * c + d * d
        product += a * c + b * d
    half, last = np.float32(0.5), power.shape[0] - 1
    for f in (0, last):
        power[f] *= half
        for i in (2 * f, 2 * f + 1):
            product -= half * left[i] * right[i]
    return product


@kernel(
    "void(complex64[:, :, ::1], complex64[:, :, :, ::1], float32[:, ::1], float32[:, :, ::1],"
    "float32[:, ::1])",
    fastmath=True,
)
def source_powers(spectra, masked, rest, powers, products):
    """Power in each bin of the mix, of the masked stems, and of what they leave of the mix.

    spectra : (b, 2, f) complex64
    masked : (b, 3, 2, f) complex64
    rest : (2, 2 f) float32, scratch
    powers : (b, 5, f) float32, overwritten; both channels together, half of it at the ends
    products : (b, 5) float32, overwritten; left times right as vectors, summed over bins
    """
    for b in range(spectra.shape[0]):
        for c in range(2):
            r, x = rest[c], spectra[b, c].view(np.float32)
            y0 = masked[b, 0, c].view(np.float32)
            y1 = masked[b, 1, c].view(np.float32)
            y2 = masked[b, 2, c].view(np.float32)
            for i in range(r.shape[0]):
                r[i] = x[i] - y0[i] - y1[i] - y2[i]
        left, right = spectra[b, 0].view(np.float32), spectra[b, 1].view(np.float32)
        products[b, 0] = _square(left, right, powers[b, 0])
        for s in range(3):
            left, right = masked[b, s, 0].view(np.float32), masked[b, s, 1].view(np.float32)
            products[b, 1 + s] = _square(left, right, powers[b, 1 + s])
        products[b, 4] = _square(rest[0], rest[1], powers[b, 4])


@kernel(
    "void(float32[:, :, ::1], int64[::1], float32[::1], float32, float32[:, :, ::1])",
    fastmath=True,
)
def band_magnitudes(powers, rows, edges, gain, levels):
    """Magnitude in each band of some sources; a bin belongs to a band by the share it has in it.

    powers : (b, source, f) float32
    rows : (n_rows,) int64, of the sources
    edges : (n_bands + 1,) float32, bins; a bin is as wide as 1 and its middle is its number
    gain : times the root of the power
    levels : (b, n_rows, n_bands) float32, overwritten
    """
    n_bins, n_bands = powers.shape[2], edges.shape[0] - 1
    half, zero = np.float32(0.5), np.float32(0.0)
    for b in range(powers.shape[0]):
        for row in range(rows.shape[0]):
            p = powers[b, rows[row]]
            for band in range(n_bands):
                low, high = edges[band] + half, edges[band + 1] + half
                first, last = int(low), min(int(high), n_bins - 1)
                total = sum_of(p[first : last + 1])
                # of the outermost bins only what lies inside
                total -= (low - np.float32(first)) * p[first]
                total -= max(np.float32(last + 1) - high, zero) * p[last]
                levels[b, row, band] = gain * np.float32(math.sqrt(max(total, zero)))
