"""When the model may rest: in silence that has lasted."""

from __future__ import annotations

import math

from stemd.processors.stft import Float32Array
from stemd.spec import StreamSpec

# At rest the model still hears each so many-th hop: code and weights stay in the caches, for the
# first hop of sound to be in time, and its state goes on fading, this many times slower.
AWAKE_HOPS = 8


class Rest:
    """Tells which hops the model need not hear.

    Parameters
    ----------
    spec : StreamSpec
    after_s : float
        All feeds have been quiet for so long, and for the window at least; 0: never.
    below_db : float
        What is quiet: dBFS, peak.
    """

    def __init__(self, spec: StreamSpec, after_s: float, below_db: float) -> None:
        self._below = 10.0 ** (below_db / 20.0)
        window = math.ceil(spec.n_fft / spec.hop_length)
        self._after = max(math.ceil(after_s / spec.hop_s), window) if after_s > 0.0 else 0
        self._quiet = 0  # hops in a row

    def process(self, hop: Float32Array) -> bool:
        """Whether the model may rest in this hop, (b, c, hop_length)."""
        if not self._after or hop.max() > self._below or hop.min() < -self._below:
            self._quiet = 0
            return False
        self._quiet += 1
        beyond = self._quiet - self._after
        return beyond > 0 and beyond % AWAKE_HOPS != 0

    def reset(self) -> None:
        """Nothing was quiet yet."""
        self._quiet = 0
