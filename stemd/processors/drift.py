"""Two clocks that never agree: a controller and a resampler between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import samplerate

MAX_PPM = 1000.0  # crystals differ by 100 ppm, cheap ones by 300; beyond this pitch is heard
PROPORTIONAL_PPM = 400.0  # correction for a fill that is off by its whole target
INTEGRAL_PPM_S = 20.0  # … and its growth each second
SMOOTHING_S = 0.5  # of the fill, which saws with every block


class DriftCorrector:
    """Resample hops so that a cushion stays at its target fill.

    Parameters
    ----------
    ratio : float
        Output rate over input rate, nominal.
    channels : int
    target : float
        Samples of output that should wait in the cushion.

    Latency:  the resampler holds back a few dozen samples; the cushion holds `target`.
    """

    def __init__(self, ratio: float, channels: int, target: float) -> None:
        self._nominal = ratio
        self._target = target
        self._resampler = samplerate.Resampler("sinc_fastest", channels)
        self.reset()

    def reset(self) -> None:
        """Start again with a cushion at its target."""
        self._resampler.reset()
        self._fill = self._target
        self._integral_ppm = 0.0
        self.ppm = 0.0  # correction in force

    def process(self, block: np.ndarray[Any, Any], fill: float, elapsed_s: float) -> Any:
        """Resample one block.

        Parameters
        ----------
        block : (n, channels) float32
        fill : float
            Samples in the cushion now.
        elapsed_s : float
            Time one block stands for.

        Returns
        -------
        (m, channels) float32
        """
        self._fill += min(elapsed_s / SMOOTHING_S, 1.0) * (fill - self._fill)
        error = np.clip((self._target - self._fill) / self._target, -1.0, 1.0)
        self._integral_ppm = float(
            np.clip(self._integral_ppm + INTEGRAL_PPM_S * error * elapsed_s, -MAX_PPM, MAX_PPM)
        )
        ppm = float(np.clip(PROPORTIONAL_PPM * error + self._integral_ppm, -MAX_PPM, MAX_PPM))
        self.ppm = ppm
        return self._resampler.process(block, self._nominal * (1 + ppm * 1e-6))
