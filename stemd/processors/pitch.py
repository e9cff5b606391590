"""Fundamental frequency and voicing of the mix and each stem."""

from __future__ import annotations

import numpy as np

from stemd.kernels.fft import LAST_OF_TWO, forward, inverse
from stemd.kernels.nsdf import centre, decimate, pick_pitch, square_magnitude
from stemd.processors.stft import Float32Array
from stemd.spec import FEATURES, N_STEMS, SOURCES, StreamSpec

F0 = FEATURES.index("f0_hz")
VOICING = FEATURES.index("voicing")

LOWEST_HZ, HIGHEST_HZ = 35.0, 1200.0
BASS_HZ = (40.0, 600.0)
DECIMATED_HZ = 12000  # near this rate ten samples are left of the shortest period
CUTOFF_HZ = 2300.0  # higher partials make correlation peaks too narrow for the decimated lags
N_TAPS = 48
N_PADDED = 1024  # window and longest lag together: 57 ms, two periods of the lowest note
VOICED = 0.7  # periodicity from which f0 is given
QUIET = 1e-8  # mean square: -80 dBFS
EVERY_MS = 5.0  # hops shorter than this are analysed every second time


class Pitch:
    """McLeod pitch of each source's mono audio, decimated.

    With hops below 5 ms (`tight`) a new value comes every second hop.

    Latency:  half the window of 57 ms is the centre of what is heard; a new note is seen when it
              fills most of it.
    """

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds, n_sources = spec.n_feeds, len(SOURCES)
        factor = max(1, round(spec.samplerate / DECIMATED_HZ))
        while spec.hop_length % factor:
            factor -= 1
        self._factor = factor
        self._samplerate = spec.samplerate / factor
        lowest = np.full(n_sources, LOWEST_HZ)
        highest = np.full(n_sources, HIGHEST_HZ)
        bass = SOURCES.index("bass")
        lowest[bass], highest[bass] = BASS_HZ
        # one lag more at the short end: a peak needs a neighbour on each side
        self._shortest = np.floor(self._samplerate / highest).astype(np.int64) - 1
        self._longest = np.ceil(self._samplerate / lowest).astype(np.int64)
        n_lags = int(self._longest.max()) + 2
        self._n_samples = N_PADDED - n_lags
        self.latency = self._n_samples * factor // 2
        taps = np.sinc(2.0 * CUTOFF_HZ / spec.samplerate * (np.arange(N_TAPS) - (N_TAPS - 1) / 2))
        taps *= np.hamming(N_TAPS)
        self._taps = (taps / taps.sum()).astype(np.float32)
        rows = n_feeds * n_sources
        self._tail = np.zeros((n_feeds, n_sources, N_TAPS + spec.hop_length), np.float32)
        self._past = np.zeros((n_feeds, n_sources, self._n_samples), np.float32)
        self._past_rows = self._past.reshape(rows, -1)
        self._frames = np.zeros((rows, N_PADDED), np.float32)
        self._spectra = np.zeros((rows, N_PADDED // 2 + 1), np.complex64)
        self._correlation = np.zeros((rows, N_PADDED), np.float32)
        self._nsdf = np.zeros((rows, n_lags), np.float32)
        self._found = np.zeros((rows, 2), np.float32)
        self._found_feeds = self._found.reshape(n_feeds, n_sources, 2)
        self._every = 2 if spec.hop_s < EVERY_MS * 1e-3 else 1
        self._turn = 0
        self.transforms = (rows, N_PADDED, self._every)  # of that length, there and back, per hops

    def process(self, mix: Float32Array, stems: Float32Array, out: Float32Array) -> None:
        """Take the next hop of audio.

        Parameters
        ----------
        mix : (b, c, hop_length) float32
        stems : (b, s, c, hop_length) float32
        out : (b, source, feature) float32
            Columns `f0_hz` (0: unvoiced) and `voicing` overwritten.
        """
        decimate(mix, stems, self._taps, self._tail, self._factor, self._past)
        self._turn = (self._turn + 1) % self._every
        if self._turn == 0:
            self._analyse()
        out[:, :, F0 : VOICING + 1] = self._found_feeds

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if feed is None else feed
        self._tail[which] = 0.0
        self._past[which] = 0.0
        self._found_feeds[which] = 0.0
        if feed is None:
            self._turn = 0

    def _analyse(self) -> None:
        centre(self._past_rows, self._frames)
        forward(self._frames, self._spectra, LAST_OF_TWO)
        square_magnitude(self._spectra)
        inverse(self._spectra, self._correlation, LAST_OF_TWO)
        pick_pitch(
            self._frames,
            self._correlation,
            self._n_samples,
            self._shortest,
            self._longest,
            QUIET,
            VOICED,
            self._samplerate,
            self._nsdf,
            self._found,
        )


assert len(SOURCES) == 1 + N_STEMS  # the kernels take the mix and then the stems
assert VOICING == F0 + 1
