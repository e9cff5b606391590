"""Columns of a spectrogram for looking at: log frequency, dB, one byte per band."""

from __future__ import annotations

from typing import Any

import numpy as np

N_BANDS = 96
LOW_HZ, HIGH_HZ = 40.0, 16_000.0
FLOOR_DB = -90.0
N_FFT = 2048
COLUMNS_PER_S = 60.0


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
        self._scale = 2.0 / float(self._window.sum())
        self._hop = hop_length
        self.hops = max(round(samplerate / hop_length / COLUMNS_PER_S), 1)  # to a column
        self._held = np.zeros((n_signals, N_FFT), np.float32)
        top = min(HIGH_HZ, samplerate / 2)
        self.bands_hz = np.geomspace(LOW_HZ, top, N_BANDS)
        bins = self.bands_hz * N_FFT / samplerate
        step = (self.bands_hz[1] / self.bands_hz[0]) ** 0.5
        last = N_FFT // 2
        self._low = np.minimum(np.floor(bins).astype(int), last - 1)
        self._share = np.minimum(bins - self._low, 1.0).astype(np.float32)
        # From where a band holds more than one bin, the loudest of them speaks for it.
        self._first = int(np.searchsorted(bins * (step - 1.0 / step), 1.5))
        edges = np.round(bins[self._first :] / step).astype(int)
        self._edges = np.minimum(edges, last)

    def write(self, signals: Any) -> Any:
        """Some more hops, (signals, n) float32; the columns they end, (columns, signals, bands).

        Bytes: 0 is `FLOOR_DB` and below, 255 a sine of full scale.
        """
        step = self.hops * self._hop
        held = np.concatenate((self._held, signals), axis=1)
        n_columns = (held.shape[1] - N_FFT) // step
        self._held = held[:, n_columns * step :].copy()
        windows = np.empty((n_columns, len(held), N_FFT))  # float64: NumPy is quicker with it
        for n in range(n_columns):
            start = (n + 1) * step
            np.multiply(held[:, start : start + N_FFT], self._window, out=windows[n])
        magnitude = np.abs(np.fft.rfft(windows, axis=2)).astype(np.float32) * self._scale
        left = magnitude[..., self._low]
        bands = left + self._share * (magnitude[..., self._low + 1] - left)
        bands[..., self._first :] = np.maximum.reduceat(magnitude, self._edges, axis=2)
        db = 20.0 * np.log10(np.maximum(bands, 1e-5))
        return np.clip((db - FLOOR_DB) * (255.0 / -FLOOR_DB), 0.0, 255.0).astype(np.uint8)
