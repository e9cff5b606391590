"""Power of the mix and each stem in every bin: squared once a hop for all that looks at spectra."""

from __future__ import annotations

import numpy as np

from stemd.kernels.powers import source_powers
from stemd.processors.stft import Complex64Array, Float32Array
from stemd.spec import N_CHANNELS, SOURCES, StreamSpec


class Powers:
    """What the newest spectra hold, by source and bin.

    Attributes
    ----------
    bins : (b, source, f) float32
        Squared magnitudes of both channels together, at 0 Hz and half the rate half of them.
    products : (b, source) float32
        Left times right as vectors of the complex plane, summed over bins likewise.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        shape = (spec.n_feeds, len(SOURCES))
        self.bins: Float32Array = np.zeros((*shape, spec.n_bins), np.float32)
        self.products: Float32Array = np.zeros(shape, np.float32)
        self._rest = np.zeros((N_CHANNELS, 2 * spec.n_bins), np.float32)

    def process(self, spectra: Complex64Array, masked: Complex64Array) -> Powers:
        """Square the newest frame.

        Parameters
        ----------
        spectra, masked : as `HopSeparator` keeps them

        Returns
        -------
        self
        """
        source_powers(spectra, masked, self._rest, self.bins, self.products)
        return self


assert (N_CHANNELS, len(SOURCES)) == (2, 5)  # the kernel takes pairs, three stems and a rest
