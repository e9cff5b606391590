"""Values become controls: curve, range, gate, attack and release."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel

TINY = np.float32(1e-30)  # logarithms begin here: -600 dB


@kernel(
    "void(float32[::1], int64[::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    "float32[:, ::1], boolean[::1], int8[::1], float32[::1])"
)
def follow(values, curve, limits, shape, step, learned, gate, edge, out):
    """One step of each value.

    values : (n,) float32; what is not finite leaves its control where it is
    curve : (n,) int64, 0 linear, 1 dB of the amplitude, 2 octaves
    limits : (2, n) float32, ends of the range after the curve
    shape : (4, n) float32: exponent, gate opens at, gate closes below, smallest learned span
    step : (3, n) float32: share of the way gone in attack, in release, in forgetting (0: fixed)
    learned : (2, n) float32, running; ends of the range as history has them
    gate : (n,) bool, running
    edge : (n,) int8, overwritten: 1 gate opened, -1 closed, 0 neither
    out : (n,) float32, running; 0 ... 1
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    for i in range(values.shape[0]):
        edge[i] = 0
        value = values[i]
        if not math.isfinite(value):
            continue
        if curve[i] == 1:
            value = np.float32(20.0 * math.log10(max(abs(value), TINY)))
        elif curve[i] == 2:
            value = np.float32(math.log2(max(value, TINY)))
        low, high = limits[0, i], limits[1, i]
        forget = step[2, i]
        if forget > zero:
            if value > low:  # silence teaches nothing
                inside = min(value, high)
                learned[1, i] = max(inside, learned[1, i] + forget * (inside - learned[1, i]))
                learned[0, i] = min(inside, learned[0, i] + forget * (inside - learned[0, i]))
            low = learned[0, i]
            high = max(learned[1, i], low + shape[3, i])
        x = min(max((value - low) / (high - low), zero), one)
        if shape[0, i] != one:
            x = np.float32(x ** shape[0, i])
        was = gate[i]
        gate[i] = x >= shape[1, i] or (was and x >= shape[2, i])
        if gate[i] != was:
            edge[i] = 1 if gate[i] else -1
        target = x if gate[i] else zero
        share = step[0, i] if target > out[i] else step[1, i]
        out[i] += share * (target - out[i])
        if out[i] < np.float32(1e-6):  # -120 dB; and no denormals in a long release
            out[i] = target if target > zero else zero
