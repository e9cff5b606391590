"""Small nets for the kernels' tests."""

import numpy as np

from stemd.processors.layers import in_16_bits


def kept(layers):
    """Layers as 16 bits hold them, and those 16 bits: ([(n_in + 1, n_out)], weights, steps)."""
    apart = [in_16_bits([layer]) for layer in layers]
    held = [
        (weights.reshape(layer.shape) * steps.astype(float)).astype(np.float32)
        for layer, (weights, steps) in zip(layers, apart, strict=True)
    ]
    return held, *in_16_bits(layers)
