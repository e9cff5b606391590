"""Levels of the mix and each stem: rms, peak, loudness, crest, bands, centroid, width."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stemd.kernels.meter import describe, loudness
from stemd.kernels.window import window_pair
from stemd.processors.powers import Powers
from stemd.processors.stft import Float32Array
from stemd.spec import BAND_EDGES_HZ, FEATURES, N_CHANNELS, N_STEMS, SOURCES, StreamSpec

RMS, PEAK = FEATURES.index("rms"), FEATURES.index("peak")
LUFS, CREST = FEATURES.index("lufs"), FEATURES.index("crest_db")
CENTROID, WIDTH = FEATURES.index("centroid_hz"), FEATURES.index("width")
FLUX, BANDS = FEATURES.index("flux"), FEATURES.index("band_1")
_LEVEL_COLUMNS = np.array([RMS, PEAK, LUFS, CREST], np.int64)
_SPECTRAL_COLUMNS = np.array([CENTROID, WIDTH, BANDS], np.int64)

WINDOW_MS = 400.0  # BS.1770: momentary
SILENT = 1e-10  # mean square, -100 dBFS: centroid and width of less would be of rounding


class Meter:
    """Levels, and the shape of the spectrum, for each source.

    `rms` and `peak` are of one hop, `lufs` and `crest_db` of the last 400 ms, over both channels;
    bands, centroid and width are of the newest spectrum, one hop ahead of the audio.

    Latency:  of the audio and the spectra it is given.
    Source:   ITU-R BS.1770-4, annex 1, without gating, as EBU Tech 3341 asks of the momentary
              measure. Deviation: the window is a whole number of hops.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds, n_sources = spec.n_feeds, len(SOURCES)
        self._n_past = max(1, round(spec.samples(WINDOW_MS) / spec.hop_length))
        self._newest = 0
        self._coefficients = k_weighting(spec.samplerate)
        self._state = np.zeros((n_feeds, n_sources, N_CHANNELS, 4))
        self._energy = np.zeros((n_feeds, n_sources))
        self._energies = np.zeros((2 * n_feeds, n_sources, self._n_past))
        self._energies_feeds = self._energies.reshape(2, n_feeds, n_sources, self._n_past)
        self._peaks = np.zeros((n_feeds, n_sources, self._n_past), np.float32)
        self._edges = octave_edges(spec)
        self._hz = (np.arange(spec.n_bins) * spec.samplerate / spec.n_fft).astype(np.float32)
        window, _ = window_pair(spec.n_fft, spec.hop_length)
        energy = spec.n_fft * float(np.sum(window.astype(np.float64) ** 2))
        self._gain = np.float32(2.0 / (energy * N_CHANNELS))

    def process(
        self,
        mix: Float32Array,
        stems: Float32Array,
        powers: Powers,
        flux: Float32Array,
        out: Float32Array,
    ) -> None:
        """Measure one hop.

        Parameters
        ----------
        mix : (b, c, hop_length) float32
        stems : (b, s, c, hop_length) float32
        powers : of the newest frame
        flux : (b, source) float32
            As `Onset` has just computed it.
        out : (b, source, feature) float32
            Columns `rms`, `peak`, `lufs`, `crest_db`, `centroid_hz`, `flux`, `width` and the bands
            overwritten.
        """
        loudness(
            mix,
            stems,
            self._coefficients,
            self._state,
            self._energy,
            self._energies,
            self._peaks,
            self._newest,
            _LEVEL_COLUMNS,
            out,
        )
        self._newest = (self._newest + 1) % self._n_past
        describe(
            powers.bins,
            powers.products,
            self._edges,
            self._hz,
            self._gain,
            np.float32(SILENT),
            _SPECTRAL_COLUMNS,
            out,
        )
        out[:, :, FLUX] = flux

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if feed is None else feed
        self._state[which] = 0.0
        self._energies_feeds[:, which] = 0.0
        self._peaks[which] = 0.0
        if feed is None:
            self._newest = 0


def k_weighting(samplerate: int) -> npt.NDArray[np.float64]:
    """Coefficients of the two filters of BS.1770 for any rate.

    The standard gives them for 48 kHz; the analogue filters behind those are bilinear-transformed.

    Returns
    -------
    b0, b1, b2, a1, a2, a1, a2 : (7,) float64
        Of the shelf, then of the high-pass, whose b are 1, -2, 1.

    Source:  the frequencies, gain and Q that give the table of BS.1770-4, as found by Brecht De
             Man, Evaluation of implementations of the EBU R128 loudness measurement, AES 2018.
    """
    f_hz, gain_db, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * f_hz / samplerate)
    high = 10.0 ** (gain_db / 20.0)
    middle = high**0.4996667741545416
    a0 = 1.0 + k / q + k * k
    shelf = (
        (high + middle * k / q + k * k) / a0,
        2.0 * (k * k - high) / a0,
        (high - middle * k / q + k * k) / a0,
        2.0 * (k * k - 1.0) / a0,
        (1.0 - k / q + k * k) / a0,
    )
    f_hz, q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * f_hz / samplerate)
    a0 = 1.0 + k / q + k * k
    return np.array([*shelf, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0])


def octave_edges(spec: StreamSpec) -> npt.NDArray[np.int64]:
    """Edges in bins of the bands of `spec.BAND_EDGES_HZ`, the last one open upwards."""
    bins = np.round(np.array(BAND_EDGES_HZ) * spec.n_fft / spec.samplerate).astype(np.int64)
    return np.append(bins, spec.n_bins)


assert len(SOURCES) == 1 + N_STEMS == 5  # the kernels take the mix and then four stems
