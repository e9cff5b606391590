"""Concealment: what is heard where input is missing, and how it comes back."""

from __future__ import annotations

import numpy as np

from stemd.processors.stft import Float32Array
from stemd.spec import N_CHANNELS, StreamSpec

SEAM_MS = 5.0  # short enough to repeat nothing one could name, long enough not to click


def raised_cosine(n: int) -> Float32Array:
    """From 0 to 1 without a corner, (n,) float32; its mirror image is one minus it."""
    rise = (np.arange(n) + 0.5) / n
    return (0.5 - 0.5 * np.cos(np.pi * rise)).astype(np.float32)


class Seam:
    """Bridge gaps in one feed: the last 5 ms mirrored and faded out, silence, 5 ms fade-in.

    A gap shorter than the mirror is cross-faded: the mirror goes on fading under the new audio.

    Attributes
    ----------
    concealed : int
        Samples invented since start.

    Latency:  none.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        self._length = max(1, spec.samples(SEAM_MS))
        self._fade_in = raised_cosine(self._length)
        self._fade_out = self._fade_in[::-1].copy()
        self._past = np.zeros((N_CHANNELS, self._length), np.float32)  # newest output, oldest first
        self._mirror = np.zeros((N_CHANNELS, self._length), np.float32)
        self.concealed = 0
        self.reset()

    def process(self, block: Float32Array) -> None:
        """Take good audio; after a gap it is faded in.

        Parameters
        ----------
        block : (c, n) float32
            Changed in place during the first 5 ms after a gap, else left to the bit.
        """
        n_samples = block.shape[1]
        self._in_gap = False
        fading = min(self._length - self._faded_in, n_samples)
        if fading > 0:
            block[:, :fading] *= self._fade_in[self._faded_in : self._faded_in + fading]
            self._faded_in += fading
        self._add_mirror(block)
        self._remember(block)

    def conceal(self, out: Float32Array) -> None:
        """Fill a gap, or the next part of it.

        Parameters
        ----------
        out : (c, n) float32
            Overwritten.
        """
        if not self._in_gap:
            self._in_gap = True
            np.multiply(self._past[:, ::-1], self._fade_out, out=self._mirror)
            self._mirrored = 0
            self._faded_in = 0
        out.fill(0.0)
        self._add_mirror(out)
        self._remember(out)
        self.concealed += out.shape[1]

    def reset(self) -> None:
        """Start again as if new; `concealed` goes on."""
        self._past.fill(0.0)
        self._mirror.fill(0.0)
        self._mirrored = self._length  # samples of the mirror already heard
        self._faded_in = self._length
        self._in_gap = False

    def _add_mirror(self, block: Float32Array) -> None:
        left = min(self._length - self._mirrored, block.shape[1])
        if left > 0:
            block[:, :left] += self._mirror[:, self._mirrored : self._mirrored + left]
            self._mirrored += left

    def _remember(self, block: Float32Array) -> None:
        n_samples = block.shape[1]
        if n_samples >= self._length:
            self._past[:] = block[:, n_samples - self._length :]
        elif n_samples:
            self._past[:, :-n_samples] = self._past[:, n_samples:]
            self._past[:, -n_samples:] = block
