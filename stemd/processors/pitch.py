"""Fundamental frequency and voicing of the mix and each stem."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.fft import LAST_OF_TWO, forward, inverse
from stemd.kernels.nsdf import (
    centre,
    decimate,
    find_peaks,
    follow,
    normalise,
    square_magnitude,
    tell_pitch,
)
from stemd.processors.stft import Float32Array
from stemd.spec import (
    FEATURES,
    N_STEMS,
    PITCH_CONFIDENCE,
    PITCH_RANGES_HZ,
    SOURCES,
    StreamSpec,
)

F0 = FEATURES.index("f0_hz")
VOICING = FEATURES.index("voicing")
BASS = SOURCES.index("bass")

# Of the bass, and of all others: a bass is heard longer, and through a narrower filter.
DECIMATED_HZ = (6000, 12000)  # near this rate ten samples are left of a short period
CUTOFF_HZ = (1100.0, 2300.0)  # higher partials make peaks too narrow for the decimated lags
N_TAPS = (96, 48)
WINDOW_MS = (90.0, 57.0)  # two periods of the lowest note and a half
LOWEST_HZ, HIGHEST_HZ = (29.0, 34.0), (750.0, 1500.0)  # what the window and the filter allow
N_PADDED = 1024  # window and longest lag together, in any row
NARROWEST = 1.2  # a range's upper end over its lower

N_PEAKS = 6  # of the normalised square difference, followed from frame to frame
LEAST_PEAK = 0.1
# An octave down costs this much height, and this much more for a height of 0.  A voice's stem holds
# chords of others whose common period is low; a bass is the lowest itself.
OCTAVE_COST, NOISE_COST = (0.05, 0.04), (0.0, 0.25)
FRAME_MS = 5.8  # the costs below are for frames this far apart
MEMORY_MS = 80.0  # a wrong octave is given up after about as long
LEAP_COST, START_COST = 0.3, 0.5  # of an octave's leap; of a new start; heights of one frame
QUIET = 1e-8  # mean square: -80 dBFS
EVERY_MS = 5.0  # hops shorter than this are analysed every second time
AVERAGE_MS = 80.0  # of a tone that does not move
AGREE = 8.0 / 1200.0  # octaves; beyond, it moves: vibrato and glides are not averaged


class Pitch:
    """McLeod pitch of each source's decimated mono audio, on the cheapest path through its peaks.

    With hops below 5 ms (`tight`) a new value comes every second hop.

    Attributes
    ----------
    voiced : (b, source) float32
        Voicing from which f0 is given, 0 to 1; write to it at any time.
    lowest_hz, highest_hz : (b, source) float64
        Range in which f0 is looked for; see `set_range`.
    latencies : (source,) int64
        Samples from the newest one to the centre of what is heard.

    Latency:  that of all sources but the bass: half a window of 57 ms.  The bass has 90 ms.  A new
              note is seen when it fills most of it.
    """

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds, n_sources = spec.n_feeds, len(SOURCES)
        kind = np.array([0 if source == BASS else 1 for source in range(n_sources)])
        factors = [_factor(spec, hz) for hz in DECIMATED_HZ]
        self._factors = np.array(factors, np.int64)[kind]
        self._rates = spec.samplerate / self._factors.astype(np.float64)
        self._n_taps = np.array(N_TAPS, np.int64)[kind]
        self._taps = np.zeros((n_sources, max(N_TAPS)), np.float32)
        for source, k in enumerate(kind):
            self._taps[source, : N_TAPS[k]] = _low_pass(N_TAPS[k], CUTOFF_HZ[k] / spec.samplerate)
        self._limits_hz = np.array([LOWEST_HZ, HIGHEST_HZ])[:, kind]
        n_lags = np.ceil(self._rates / self._limits_hz[0]).astype(np.int64) + 2
        wanted = np.round(np.array(WINDOW_MS)[kind] * 1e-3 * self._rates).astype(np.int64)
        self._lengths = np.minimum(wanted, N_PADDED - n_lags)
        self.latencies = (self._lengths * self._factors + self._n_taps) // 2
        self.latency = int(self.latencies[0])
        self.voiced = np.full((n_feeds, n_sources), PITCH_CONFIDENCE, np.float32)
        self.lowest_hz = np.zeros((n_feeds, n_sources))
        self.highest_hz = np.zeros((n_feeds, n_sources))
        rows = n_feeds * n_sources
        self._lags = np.zeros((rows, 2), np.int64)
        for source, name in enumerate(SOURCES):
            self.set_range(source, *PITCH_RANGES_HZ[name])
        costs = np.stack([np.array(OCTAVE_COST)[kind], np.array(NOISE_COST)[kind]], axis=-1)
        self._octave_cost = np.tile(costs, (n_feeds, 1)).astype(np.float32)
        self._tail = np.zeros((n_feeds, n_sources, max(N_TAPS) + spec.hop_length), np.float32)
        self._past = np.zeros((n_feeds, n_sources, int(self._lengths.max())), np.float32)
        self._past_rows = self._past.reshape(rows, -1)
        self._frames = np.zeros((rows, N_PADDED), np.float32)
        self._spectra = np.zeros((rows, N_PADDED // 2 + 1), np.complex64)
        self._correlation = np.zeros((rows, N_PADDED), np.float32)
        self._nsdf = np.zeros((rows, int(n_lags.max())), np.float32)
        self._peaks = np.zeros((rows, N_PEAKS, 4))
        self._paths = np.zeros((n_feeds, n_sources, N_PEAKS, 2))
        self._path_rows = self._paths.reshape(rows, N_PEAKS, 2)
        self._chosen = np.zeros(rows, np.int64)
        self._steady = np.zeros((n_feeds, n_sources))
        self._steady_rows = self._steady.reshape(rows)
        self._found = np.zeros((n_feeds, n_sources, 2), np.float32)
        self._every = 2 if spec.hop_s < EVERY_MS * 1e-3 else 1
        frame_ms = spec.hop_s * self._every * 1e3
        self._weight = frame_ms / FRAME_MS
        self._keep = math.exp(-frame_ms / MEMORY_MS)
        self._slowest = 1.0 - math.exp(-frame_ms / AVERAGE_MS)
        self._turn = 0
        self.transforms = (rows, N_PADDED, self._every)  # of that length, there and back, per hops

    def set_range(
        self, source: int, low_hz: float, high_hz: float, feed: int | None = None
    ) -> None:
        """Look for one source's f0 here only, of one feed or of all.

        Parameters
        ----------
        source : int
            Index into `spec.SOURCES`.
        low_hz, high_hz : float
            Moved into what the window allows, and apart if they are nearer than a minor third; NaN
            changes nothing.
        """
        lowest, highest = self._limits_hz[:, source]
        if math.isnan(low_hz + high_hz):
            return
        low = min(max(low_hz, lowest), highest / NARROWEST)
        high = min(max(high_hz, low * NARROWEST), highest)
        which = slice(None) if feed is None else feed
        self.lowest_hz[which, source] = low
        self.highest_hz[which, source] = high
        rate = self._rates[source]
        lags = self._lags.reshape(-1, len(SOURCES), 2)
        # one lag more at the short end: a peak needs a neighbour on each side
        lags[which, source, 0] = math.floor(rate / high) - 1
        lags[which, source, 1] = math.ceil(rate / low)

    def process(self, mix: Float32Array, stems: Float32Array, out: Float32Array) -> None:
        """Take the next hop of audio.

        Parameters
        ----------
        mix : (b, c, hop_length) float32
        stems : (b, s, c, hop_length) float32
        out : (b, source, feature) float32
            Columns `f0_hz` (0: unvoiced) and `voicing` overwritten.
        """
        decimate(mix, stems, self._taps, self._n_taps, self._factors, self._tail, self._past)
        self._turn = (self._turn + 1) % self._every
        if self._turn == 0:
            self._analyse()
        out[:, :, F0 : VOICING + 1] = self._found

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's.  Thresholds and ranges stay."""
        which = slice(None) if feed is None else feed
        for state in (self._tail, self._past, self._paths, self._steady, self._found):
            state[which] = 0.0
        if feed is None:
            self._turn = 0

    def _analyse(self) -> None:
        nsdf, lags, peaks, chosen = self._nsdf, self._lags, self._peaks, self._chosen
        centre(self._past_rows, self._lengths, self._frames)
        forward(self._frames, self._spectra, LAST_OF_TWO)
        square_magnitude(self._spectra)
        inverse(self._spectra, self._correlation, LAST_OF_TWO)
        normalise(self._frames, self._correlation, self._lengths, lags, QUIET, nsdf)
        find_peaks(nsdf, lags, self._octave_cost, LEAST_PEAK, peaks)
        follow(peaks, self._weight, self._keep, LEAP_COST, START_COST, self._path_rows, chosen)
        tell_pitch(
            nsdf,
            peaks,
            chosen,
            lags,
            self._rates,
            self.voiced,
            self._slowest,
            AGREE,
            self._steady_rows,
            self._found,
        )


def _factor(spec: StreamSpec, wanted_hz: float) -> int:
    """Decimation to about `wanted_hz` that divides the hop."""
    factor = max(1, round(spec.samplerate / wanted_hz))
    while spec.hop_length % factor:
        factor -= 1
    return factor


def _low_pass(n_taps: int, cutoff: float) -> Float32Array:
    """Windowed sinc; `cutoff` in cycles per sample."""
    sinc = np.sinc(2.0 * cutoff * (np.arange(n_taps) - (n_taps - 1) / 2)) * np.hamming(n_taps)
    taps: Float32Array = (sinc / sinc.sum()).astype(np.float32)
    return taps


assert len(SOURCES) == 1 + N_STEMS  # the kernels take the mix and then the stems
assert VOICING == F0 + 1
