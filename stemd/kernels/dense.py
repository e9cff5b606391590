"""Layers of small nets, their weights in 16 bits: half of what must come from afar each hop.

The separator's network has just been through the caches when features are made, so that fetching
these weights takes longer than multiplying by them.
"""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel


@kernel("void(float32[::1], int16[:, ::1], float32[::1])", fastmath=True)
def accumulate(x, weights, out):
    """x @ weights onto `out`, both in steps of each column.

    x : (n_in,) float32
    weights : (>= n_in, n_out) int16
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
            out[j] += (
                a * np.float32(w0[j])
                + b * np.float32(w1[j])
                + c * np.float32(w2[j])
                + d * np.float32(w3[j])
            )
    for i in range(n, x.shape[0]):
        v, row = x[i], weights[i]
        for j in range(out.shape[0]):
            out[j] += v * np.float32(row[j])


@kernel("int16[:, ::1](int16[::1], int64, int64, int64)")
def part(weights, first, rows, columns):
    """One layer of those that lie one behind the other from `first` on: (rows, columns)."""
    return weights[first : first + rows * columns].reshape(rows, columns)


@kernel("void(float32[::1], int16[:, ::1], float32[::1], float32[::1])", fastmath=True)
def layer(x, weights, steps, out):
    """x @ weights + bias.

    x : (n_in,) float32
    weights : (n_in + 1, n_out) int16, the last row is the bias
    steps : (>= n_out,) float32, what 1 of a column is worth
    out : (n_out,) float32, overwritten
    """
    for j in range(out.shape[0]):
        out[j] = np.float32(weights[x.shape[0], j])
    accumulate(x, weights, out)
    for j in range(out.shape[0]):
        out[j] *= steps[j]


@kernel("void(float32[::1])")
def rectify(x):
    """What is below 0 becomes 0, in place."""
    for j in range(x.shape[0]):
        x[j] = max(x[j], np.float32(0.0))


@kernel("void(float32[::1], int16[::1], float32[::1], int64, float32[::1], float32[::1])")
def three_layers(x, weights, steps, n_1, hidden, out):
    """Three layers, the outputs of two of them rectified.

    x : (n_in,) float32
    weights : int16; (n_in + 1, n_1), (n_1 + 1, n_2), (n_2 + 1, n_out) one behind the other
    steps : (n_1 + n_2 + n_out,) float32, of the columns of all three
    hidden : (n_1 + n_2,) float32, scratch
    out : (n_out,) float32, overwritten
    """
    n_in, n_2, n_out = x.shape[0], hidden.shape[0] - n_1, out.shape[0]
    h1, h2 = hidden[:n_1], hidden[n_1:]
    second = (n_in + 1) * n_1
    third = second + (n_1 + 1) * n_2
    layer(x, part(weights, 0, n_in + 1, n_1), steps, h1)
    rectify(h1)
    layer(h1, part(weights, second, n_1 + 1, n_2), steps[n_1:], h2)
    rectify(h2)
    layer(h2, part(weights, third, n_2 + 1, n_out), steps[n_1 + n_2 :], out)
