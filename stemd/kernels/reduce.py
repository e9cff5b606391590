"""Sums and maxima of one row, by index: loops over an array's values are not vectorised."""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel


@kernel("float32(float32[::1])", fastmath=True)
def sum_of(x):
    """Of all of (n,)."""
    total = np.float32(0.0)
    for n in range(x.shape[0]):
        total += x[n]
    return total


@kernel("float32(float32[::1])", fastmath=True)
def mean_square(x):
    """Of all of (n,); 0 of none."""
    total = np.float32(0.0)
    for n in range(x.shape[0]):
        total += x[n] * x[n]
    return total / np.float32(max(1, x.shape[0]))


@kernel("int32(int32[::1])")
def largest_bits(bits):
    """The largest of (n,), 0 where none is above."""
    top = np.int32(0)
    for n in range(bits.shape[0]):
        top = max(top, bits[n])
    return top


@kernel("float32(float32[::1])")
def largest(x):
    """The largest of (n,), 0 where none is above; no number where one is none and has no sign."""
    # positive floats are ordered as their bits are, and integers vectorise
    bits = largest_bits(x.view(np.int32))
    return np.int32(bits).view(np.float32)
