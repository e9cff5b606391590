"""How loud: root mean square and peak of a hop."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], int64, int64, float32[:, :, ::1])",
    fastmath=True,
)
def measure_levels(mix, stems, rms_column, peak_column, out):
    """Level of the mix and each stem, over both channels together.

    mix : (b, c, hop_length) float32
    stems : (b, s, c, hop_length) float32
    out : (b, 1 + s, features) float32, two columns overwritten
    """
    n_feeds, n_stems, n_channels, hop_length = stems.shape
    for b in range(n_feeds):
        for source in range(n_stems + 1):
            energy = np.float32(0.0)
            peak = np.int32(0)
            for c in range(n_channels):
                audio = mix[b, c] if source == 0 else stems[b, source - 1, c]
                for n in range(hop_length):
                    energy += audio[n] * audio[n]
                # positive floats are ordered as their bits are, and integers vectorise
                bits = audio.view(np.int32)
                for n in range(hop_length):
                    peak = max(peak, bits[n] & np.int32(0x7FFFFFFF))
            out[b, source, rms_column] = math.sqrt(energy / np.float32(n_channels * hop_length))
            out[b, source].view(np.int32)[peak_column] = peak
