"""Levels in bands, slowly."""

from itertools import pairwise

import numpy as np

# Bins: inside one bin, over many, beyond the last of 129.
EDGES = [[1, 2.25, 2.5, 9.75, 40, 130], [0.6, 0.9, 1.1, 7, 64.4, 128.5]]


def slow_levels(spectra, edges, gain):
    """Each bin gives a band the share of its width that lies inside."""
    power = (np.abs(spectra.astype(np.complex128)) ** 2).sum(axis=1)  # (b, f)
    bins = np.arange(power.shape[1])
    levels = []
    for low, high in pairwise(edges):
        share = np.clip(np.minimum(bins + 0.5, high) - np.maximum(bins - 0.5, low), 0, 1)
        levels.append(gain * np.sqrt((share * power).sum(axis=1)))
    return np.stack(levels, axis=1)
