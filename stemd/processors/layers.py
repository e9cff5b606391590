"""Weights of small nets as their kernels take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stemd.processors.stft import Float32Array

LARGEST = 32767  # of 16 bits


def in_16_bits(
    layers: Sequence[npt.NDArray[np.floating]],
) -> tuple[npt.NDArray[np.int16], Float32Array]:
    """Layers one behind the other; a weight is off by at most 1.6e-5 of its column's largest.

    Parameters
    ----------
    layers : each (n_in + 1, n_out); the last row is the bias

    Returns
    -------
    weights : (sum of sizes,) int16
    steps : (sum of n_out,) float32, what 1 of each column is worth
    """
    weights, steps = [], []
    for layer in layers:
        step = np.maximum(np.abs(layer).max(axis=0), 1e-9).astype(np.float64) / LARGEST
        weights.append(np.round(layer / step).astype(np.int16).ravel())
        steps.append(step.astype(np.float32))
    return np.concatenate(weights), np.concatenate(steps)
