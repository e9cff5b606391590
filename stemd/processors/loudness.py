"""Level of the mix and each stem."""

from __future__ import annotations

from stemd.kernels.level import measure_levels
from stemd.processors.stft import Float32Array
from stemd.spec import FEATURES, StreamSpec

RMS = FEATURES.index("rms")
PEAK = FEATURES.index("peak")


class Loudness:
    """Root mean square and peak of one hop, over both channels together.

    Latency:  of the hop it is given.  The separator's output hop is the one before the newest.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        pass

    def process(self, mix: Float32Array, stems: Float32Array, out: Float32Array) -> None:
        """Measure one hop.

        Parameters
        ----------
        mix : (b, c, hop_length) float32
        stems : (b, s, c, hop_length) float32
        out : (b, source, feature) float32
            Columns `rms` and `peak` overwritten, linear, full scale 1.
        """
        measure_levels(mix, stems, RMS, PEAK, out)

    def reset(self, feed: int | None = None) -> None:
        """Nothing is remembered."""
