"""Samples that are no audio: kept out, because a recurrent model would never forget them."""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import kernel


@kernel("int64(float32[:, :], float32)")
def repair(block, loudest):
    """Set what is not a number, or louder than anything, to 0; returns how many samples were.

    block : (c, n) float32, changed in place
    """
    n_bad = 0
    for c in range(block.shape[0]):
        for n in range(block.shape[1]):
            if not (abs(block[c, n]) <= loudest):  # also true of NaN
                block[c, n] = np.float32(0.0)
                n_bad += 1
    return n_bad
