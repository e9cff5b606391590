"""Chroma and chord of the mix and each stem but the drums, from the newest spectra."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.chroma import track_chroma
from stemd.kernels.window import window_pair
from stemd.processors.pitch import hops_between_looks
from stemd.processors.powers import Powers
from stemd.processors.stft import Float32Array
from stemd.spec import FEATURES, N_CHANNELS, PITCH_CLASSES, SOURCES, StreamSpec

CHROMA = FEATURES.index(f"chroma_{PITCH_CLASSES[0]}")
CHORD = FEATURES.index("chord")
N_COLUMNS = 13  # twelve classes and the chord

LOWEST_HZ, HIGHEST_HZ = 100.0, 2000.0  # below, bins are wider than tones; above are partials only
MEMORY_MS = 300.0
CHORD_MS = 60.0  # a new chord must lead so long
QUIET_DBFS = -70.0  # amplitude of the loudest partial


class Chroma:
    """Twelve pitch classes, the strongest 1, and the major or minor triad they are most like.

    Spectral peaks are counted, each at its interpolated frequency, so that a bin as wide as three
    semitones still tells which of them sounds; tuned to A = 440 Hz.

    `classic` has bins twice as wide: it tells chords from about A4 up.

    Latency:  none of the newest frame's; a chord is told up to 0.45 s after it begins, when it
              outweighs the one before.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        shape = (spec.n_feeds, len(SOURCES))
        self._bin_hz = spec.samplerate / spec.n_fft
        # one bin more on each side: a peak needs neighbours
        first = max(1, math.floor(LOWEST_HZ / self._bin_hz) - 1)
        last = min(spec.n_bins - 1, math.ceil(HIGHEST_HZ / self._bin_hz) + 1)
        self._span = np.array([first, last + 1], np.int64)
        self._every = hops_between_looks(spec)
        frame_ms = spec.hop_s * self._every * 1e3
        self._keep = math.exp(-frame_ms / MEMORY_MS)
        self._patience = max(1, round(CHORD_MS / frame_ms))
        window, _ = window_pair(spec.n_fft, spec.hop_length)
        # a sine's peak is half the window's sum in each channel
        peak = 10.0 ** (QUIET_DBFS / 20.0) * float(np.sum(window, dtype=np.float64)) / 2.0
        self._quiet = N_CHANNELS * peak * peak
        self._plays = np.array([name != "drums" for name in SOURCES])
        self._sums = np.zeros((*shape, 12))
        self._chords = np.zeros((*shape, 3), np.int64)
        self._strengths = np.zeros(12)
        self._told = np.zeros((*shape, N_COLUMNS), np.float32)
        self._due = self._every // 2  # the hop in which `Pitch` has less to do
        self._turn = 0

    def process(self, powers: Powers, out: Float32Array) -> None:
        """Look at the newest frame.

        Parameters
        ----------
        powers : of the newest frame
        out : (b, source, feature) float32
            The twelve chroma columns and `chord` overwritten.
        """
        if self._turn == self._due:
            track_chroma(
                powers.bins,
                self._plays,
                self._span,
                self._bin_hz,
                self._keep,
                self._quiet,
                self._patience,
                self._sums,
                self._chords,
                self._strengths,
                self._told,
            )
        self._turn = (self._turn + 1) % self._every
        out[:, :, CHROMA : CHROMA + N_COLUMNS] = self._told

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if feed is None else feed
        self._sums[which] = 0.0
        self._chords[which] = 0
        self._told[which] = 0.0
        if feed is None:
            self._turn = 0


assert CHORD == CHROMA + 12
assert [FEATURES[CHROMA + k] for k in range(12)] == [f"chroma_{name}" for name in PITCH_CLASSES]
