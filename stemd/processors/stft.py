"""Short-time Fourier analysis and synthesis of n_feeds x stereo, one hop at a time, in place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stemd.kernels.fft import LAST_OF_TWO, forward, inverse
from stemd.kernels.overlap import overlap_add, push_hop
from stemd.kernels.window import window_pair
from stemd.spec import N_CHANNELS, N_STEMS, StreamSpec

Float32Array = npt.NDArray[np.float32]
Complex64Array = npt.NDArray[np.complex64]


class Analysis:
    """Spectra of the frame that ends with the newest hop.

    Attributes
    ----------
    history : (b, c, n_fft) float32
        The newest samples as they came, oldest first.
    frames : (b, c, n_fft) float32
        The same under the analysis window.
    spectra : (b, c, f) complex64
        rfft of `frames`, not normalised.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        self._window, _ = window_pair(spec.n_fft, spec.hop_length)
        shape = (spec.n_feeds, N_CHANNELS, spec.n_fft)
        self.history = np.zeros(shape, np.float32)
        self.frames = np.zeros(shape, np.float32)
        self.spectra = np.zeros((*shape[:2], spec.n_bins), np.complex64)
        rows = spec.n_feeds * N_CHANNELS
        self._history = self.history.reshape(rows, -1)
        self._frames = self.frames.reshape(rows, -1)
        self._spectra = self.spectra.reshape(rows, -1)
        self._hop_shape = (rows, spec.hop_length)

    def process(self, hop: Float32Array) -> Complex64Array:
        """Take the next hop.

        Parameters
        ----------
        hop : (b, c, hop_length) float32, C-contiguous

        Returns
        -------
        spectra : (b, c, f) complex64
            Ours; overwritten by the next call.
        """
        push_hop(hop.reshape(self._hop_shape), self._history, self._window, self._frames)
        forward(self._frames, self._spectra, LAST_OF_TWO)
        return self.spectra

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if feed is None else feed
        self.history[which] = 0.0
        self.frames[which] = 0.0
        self.spectra[which] = 0.0


class Synthesis:
    """Audio of the masked frames: inverse transform and overlap-add of the newest two hops.

    Attributes
    ----------
    frames : (b, n_stems, c, n_fft) float32
        The masked frames before the synthesis window, that is still under the analysis window.

    Latency:  hop_length samples: the last hop of a frame waits for the next frame.
    """

    def __init__(self, spec: StreamSpec, n_stems: int = N_STEMS - 1) -> None:
        self.latency = spec.hop_length
        _, self._window = window_pair(spec.n_fft, spec.hop_length)
        shape = (spec.n_feeds, n_stems, N_CHANNELS)
        self.frames = np.zeros((*shape, spec.n_fft), np.float32)
        self._overlap = np.zeros((*shape, spec.hop_length), np.float32)
        rows = spec.n_feeds * n_stems * N_CHANNELS
        self._frames = self.frames.reshape(rows, -1)
        self._spectra_shape = (rows, spec.n_bins)

    def process(self, spectra: Complex64Array, out: Float32Array) -> None:
        """Take the spectra of the newest frame, hand out the hop before the newest.

        Parameters
        ----------
        spectra : (b, n_stems, c, f) complex64, C-contiguous
        out : (b, >= n_stems, c, hop_length) float32
            Its first n_stems are overwritten.
        """
        inverse(spectra.reshape(self._spectra_shape), self._frames, LAST_OF_TWO)
        overlap_add(self.frames, self._window, self._overlap, out)

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if feed is None else feed
        self.frames[which] = 0.0
        self._overlap[which] = 0.0


def sine_gain(window: Float32Array) -> np.float32:
    """Factor that makes a sine's amplitude of the root of its power over bins and channels."""
    energy = float(np.sum(window.astype(np.float64) ** 2))
    return np.float32(2.0 / np.sqrt(len(window) * energy * N_CHANNELS))
