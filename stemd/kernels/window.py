"""Perfect-reconstruction window pair: long analysis, short synthesis at the end of the frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def window_pair(
    n_fft: int, hop_length: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Analysis window, and the last 2 * hop_length samples of the synthesis window.

    The synthesis window is zero before; both multiplied are a Hann of 2 * hop_length, whose
    overlap-add at hop_length is 1.  With n_fft == 2 * hop_length both are the same sine.

    Returns
    -------
    analysis : (n_fft,) float32
    synthesis : (2 * hop_length,) float32

    Source: Mauler & Martin, A low delay, variable resolution, perfect reconstruction spectral
    analysis-synthesis system for speech enhancement, EUSIPCO 2007.
    """
    assert n_fft >= 2 * hop_length > 0
    rise = n_fft - hop_length
    u = np.sin(np.pi * np.arange(rise) / (2 * rise))
    v = np.sin(np.pi * np.arange(2 * hop_length) / (2 * hop_length))
    analysis = np.concatenate([u, v[hop_length:]])
    overlap = u[rise - hop_length :]  # the analysis window under the synthesis window's first half
    first = np.divide(v[:hop_length] ** 2, overlap, out=np.zeros(hop_length), where=overlap > 0.0)
    synthesis = np.concatenate([first, v[hop_length:]])
    return analysis.astype(np.float32), synthesis.astype(np.float32)
