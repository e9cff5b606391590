"""Gains that move without a click."""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel


@kernel(
    "void(float32[:, :, :, ::1], float32[:, ::1], float32[:, ::1], int64[:, ::1], float32[::1])"
)
def apply_gains(stems, start, target, place, ramp):
    """Scale each stem in place; a gain of exactly 1 leaves every bit.

    stems : (b, s, c, n) float32
    start, target : (b, s) float32
    place : (b, s) int64, running; samples into the ramp, len(ramp) when it is over
    ramp : (n_ramp,) float32, 0 ... 1
    """
    n_feeds, n_stems, n_channels, n_samples = stems.shape
    for b in range(n_feeds):
        for s in range(n_stems):
            begin, end = start[b, s], target[b, s]
            left = min(ramp.shape[0] - place[b, s], n_samples)
            for c in range(n_channels):
                x = stems[b, s, c]
                for n in range(left):
                    x[n] *= begin + (end - begin) * ramp[place[b, s] + n]
                if end != np.float32(1.0):
                    for n in range(left, n_samples):
                        x[n] *= end
            place[b, s] += left
