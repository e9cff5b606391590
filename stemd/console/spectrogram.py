"""Columns of a spectrogram for looking at: log frequency, dB, one byte per band."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

N_BANDS = 96
LOW_HZ, HIGH_HZ = 40.0, 16_000.0
FLOOR_DB = -90.0
N_FFT = 2048
COLUMNS_PER_S = 48.0  # half a window from one to the next


class Spectrogram:
    """Columns of several signals at once.

    Parameters
    ----------
    n_signals : int
    samplerate, hop_length : int
        Hz; samples handed over at a time.
    """

    def __init__(self, n_signals: int, samplerate: int, hop_length: int) -> None:
        self._window = np.hanning(N_FFT)
        # From powers to bytes: a times their logarithm and b.
        step_db = 255.0 / -FLOOR_DB
        self._a = 10.0 * step_db
        self._b = 20.0 * step_db * math.log10(2.0 / float(self._window.sum())) - FLOOR_DB * step_db
        self._floor = 10.0 ** (-self._b / self._a)  # the power whose byte is 0
        self._hop = hop_length
        self.hops = max(round(samplerate / hop_length / COLUMNS_PER_S), 1)  # to a column
        self._held = np.zeros((n_signals, N_FFT), np.float32)
        top = min(HIGH_HZ, samplerate / 2)
        self.bands_hz = np.geomspace(LOW_HZ, top, N_BANDS)
        bins = self.bands_hz * N_FFT / samplerate
        step = (self.bands_hz[1] / self.bands_hz[0]) ** 0.5
        last = N_FFT // 2
        # From where a band holds more than one bin, the loudest of them speaks for it.
        self._first = int(np.searchsorted(bins * (step - 1.0 / step), 1.5))
        # Below, the magnitude is drawn straight from one bin to the next.
        low = np.minimum(np.floor(bins).astype(int), last - 1)[: self._first]
        share = np.minimum(bins[: self._first] - low, 1.0)
        self._between = np.zeros((int(low.max(initial=-1)) + 2, self._first))
        self._between[low, np.arange(self._first)] = 1.0 - share
        self._between[low + 1, np.arange(self._first)] = share
        edges = np.round(bins[self._first :] / step).astype(int)
        self._edges = np.minimum(edges, last)

    def write(self, signals: Any) -> Any:
        """Some more hops, (signals, n) float32; the columns they end, (columns, signals, bands).

        Bytes: 0 is `FLOOR_DB` and below, 255 a sine of full scale.
        """
        step = self.hops * self._hop
        held = np.concatenate((self._held, signals), axis=1)
        n_columns = (held.shape[1] - N_FFT) // step
        self._held = held[:, n_columns * step :]
        # All in float64: NumPy's transform is quicker with it. Each call costs far more here than
        # in a loop of its own, for thirty times a second nothing of it is in any cache.
        frames = np.empty((n_columns, len(held), N_FFT))
        for k, frame in enumerate(frames, 1):
            np.multiply(held[:, k * step : k * step + N_FFT], self._window, out=frame)
        spectra = np.fft.rfft(frames)
        power, imaginary = np.square(spectra.real), np.square(spectra.imag)
        power += imaginary
        bands = np.empty((*power.shape[:2], N_BANDS))
        low = np.sqrt(power[..., : len(self._between)]) @ self._between
        np.square(low, out=bands[..., : self._first])
        np.maximum.reduceat(power, self._edges, axis=2, out=bands[..., self._first :])
        np.fmax(bands, self._floor, out=bands)
        np.log10(bands, out=bands)
        bands *= self._a
        bands += self._b
        np.minimum(bands, 255.0, out=bands)
        return bands.astype(np.uint8)
