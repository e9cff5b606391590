"""Fundamental frequency and voicing of the mix and each stem."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemd.kernels.ear import LEVELS, listen, low_pass
from stemd.kernels.fft import LAST_OF_TWO
from stemd.kernels.nsdf import (
    decide,
    decimate,
    find_peaks,
    repeat,
)
from stemd.processors.layers import in_16_bits
from stemd.processors.stft import Complex64Array, Float32Array
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
MIX, VOCALS, DRUMS, BASS, OTHER = (
    SOURCES.index(name) for name in ("mix", "vocals", "drums", "bass", "other")
)
LOW = len(SOURCES)  # one more row: the mix as the bass is heard, the highs taken away
LOW_HZ = 250.0

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

NETS = Path(__file__).parent.parent / "assets" / "pitch.npz"  # taught by models/pitch.py
HEARD = {VOCALS: "vocals", BASS: "bass"}  # who has a net
BESIDE = {VOCALS: MIX, BASS: LOW}  # the mixture it is compared with
STATES = {VOCALS: (34, 88), BASS: (22, 72)}  # MIDI numbers a net may choose from
BANDS = {VOCALS: (36, 96), BASS: (24, 84)}  # of its spectra, two a semitone
LOUDEST_S = 10.0  # memory of what a net calls loud
# Weights of a peak's own score and of the net's log chance, height lacking a guess without a peak
TASTE = (1.0, 0.4, 0.2)
DOUBT = 0.1  # below a height of 1; what is nearer needs less advice
CLEAR = 0.95  # height of a peak that is voiced, whatever the net says
EVEN = {VOCALS: 0.2, BASS: 0.3}  # chance of a pitch that is called a voicing of 0.7

# Of the bass, and of all others: a bass is heard longer, and through a narrower filter.
DECIMATED_HZ = (6000, 12000)  # near this rate ten samples are left of a short period
CUTOFF_HZ = (1100.0, 2300.0)  # higher partials make peaks too narrow for the decimated lags
N_TAPS = (96, 48)
WINDOW_MS = (90.0, 57.0)  # two periods of the lowest note and a half
LOWEST_HZ, HIGHEST_HZ = (29.0, 34.0), (750.0, 1500.0)  # what the window and the filter allow
N_PADDED = 1024  # window and longest lag together, in any row
NARROWEST = 1.2  # a range's upper end over its lower

N_PEAKS = 8  # of the normalised square difference, followed from frame to frame
LEAST_PEAK = 0.1
# An octave down costs this much height, and this much more for a height of 0.  A voice's stem holds
# chords of others whose common period is low; a bass is the lowest itself.
OCTAVE_COST, NOISE_COST = (0.05, 0.04), (0.0, 0.25)
FRAME_MS = 5.8  # the costs below are for frames this far apart
MEMORY_MS = 80.0  # a wrong octave is given up after about as long
LEAP_COST, START_COST = 0.3, 0.5  # of an octave's leap; of a new start; heights of one frame
QUIET = 1e-8  # mean square: -80 dBFS
EVERY_MS = 10.0  # a source is analysed about so often, those of a group in the same hop
GROUPS = ((MIX, VOCALS, DRUMS, OTHER), (BASS, LOW))  # a net's source beside its mixture
LANES = 4  # rows that are transformed in the time of one and a half
AVERAGE_MS = 80.0  # of a tone that does not move
AGREE = 8.0 / 1200.0  # octaves; beyond, it moves: vibrato and glides are not averaged


class Pitch:
    """McLeod pitch of each source's decimated mono audio, on the cheapest path through its peaks.

    Of vocals and bass a small net weighs the peaks and tells the voicing: it sees how the stem and
    the mixture repeat, and both spectra, and has learned what separation loses and leaves.  It may
    add a guess of its own where the stem has no such peak; that one is good to a third of a
    semitone, peaks to a cent.  The others' voicing is the share of amplitude that repeats.

    A new value comes about every 10 ms, that of the bass between those of the others: with hops of
    5 ms (`live`) in every second hop, with shorter ones (`tight`) in every fourth.

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
        n_feeds, n_sources = spec.n_feeds, len(SOURCES) + 1
        kind = kinds_of(range(n_sources))
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
        self.latencies = ((self._lengths * self._factors + self._n_taps) // 2)[: len(SOURCES)]
        self.latency = int(self.latencies[0])
        self._voiced = np.ones((n_feeds, n_sources), np.float32)
        self.voiced = self._voiced[:, : len(SOURCES)]
        self.voiced[:] = PITCH_CONFIDENCE
        self.lowest_hz = np.zeros((n_feeds, len(SOURCES)))
        self.highest_hz = np.zeros((n_feeds, len(SOURCES)))
        self._tail = np.zeros((n_feeds, n_sources, max(N_TAPS) + spec.hop_length), np.float32)
        self._past = np.zeros((n_feeds, n_sources, int(self._lengths.max())), np.float32)
        self._section = _section(LOW_HZ / self._rates[LOW])
        self._low = np.zeros((n_feeds, 2))
        self._made = spec.hop_length // int(self._factors[LOW])
        self._found = np.zeros((n_feeds, n_sources, 2), np.float32)
        self._every = hops_between_looks(spec)
        frame_ms = spec.hop_s * self._every * 1e3
        analysed = _Analysed(
            self._rates, self._lengths, n_lags, self._limits_hz[0], frame_ms, n_feeds
        )
        self._groups = [_Group(sources, analysed) for sources in GROUPS]
        self.ears = [ear for group in self._groups for ear in group.ears]
        self._turns = [k * self._every // len(GROUPS) for k in range(len(GROUPS))]
        self._turn = 0
        # rows and points there and back, of each group, every so many hops, in which of them
        self.transforms = [
            (group.padded, N_PADDED, self._every, turn)
            for group, turn in zip(self._groups, self._turns, strict=True)
        ]
        for source, name in enumerate(SOURCES):
            self.set_range(source, *PITCH_RANGES_HZ[name])

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
        for group in self._groups:
            if source in group.sources:
                # one lag more at the short end: a peak needs a neighbour on each side
                lags = math.floor(rate / high) - 1, math.ceil(rate / low)
                group.lags[which, group.sources.tolist().index(source)] = lags

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
        low_pass(self._past, LOW, self._made, self._section, self._low)
        for turn, group in zip(self._turns, self._groups, strict=True):
            if turn == self._turn:
                group.process(
                    self._past, self.lowest_hz, self.highest_hz, self._voiced, self._found
                )
        self._turn = (self._turn + 1) % self._every
        out[:, :, F0 : VOICING + 1] = self._found[:, : len(SOURCES)]

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's.  Thresholds and ranges stay."""
        which = slice(None) if feed is None else feed
        for state in (self._tail, self._past, self._low, self._found):
            state[which] = 0.0
        for group in self._groups:
            group.reset(which)
        if feed is None:
            self._turn = 0


@dataclass(frozen=True, slots=True)
class _Analysed:
    """How each source is looked at, and the row after them: arrays (n_sources + 1,)."""

    rates: Float64Array  # Hz, decimated
    lengths: Int64Array  # samples of a frame
    n_lags: Int64Array
    lowest_hz: Float64Array
    frame_ms: float  # from one frame to the next
    n_feeds: int


class _Group:
    """Sources that are analysed together, of all feeds: a row of each array for each of them."""

    def __init__(self, sources: tuple[int, ...], analysed: _Analysed) -> None:
        self.sources = np.array(sources, np.int64)
        n_feeds, frame_ms = analysed.n_feeds, analysed.frame_ms
        k = len(sources)
        rows, n_lags = n_feeds * k, analysed.n_lags[self.sources]
        self._rates, self._lengths = analysed.rates[self.sources], analysed.lengths[self.sources]
        shortest, longest = np.ones(k, np.int64), n_lags - 2
        self._all_lags = np.tile(np.stack([shortest, longest], axis=-1), (n_feeds, 1))
        self._lags = np.full((rows, 2), 2, np.int64)
        self.lags = self._lags.reshape(n_feeds, k, 2)
        kind = kinds_of(sources)
        costs = np.stack([np.array(OCTAVE_COST)[kind], np.array(NOISE_COST)[kind]], axis=-1)
        self._octave_cost = np.tile(costs, (n_feeds, 1)).astype(np.float32)
        # rows beyond the last are silent and fill the lanes of the transform
        self.padded = padded = -(-rows // LANES) * LANES
        self._all_frames = np.zeros((padded, N_PADDED), np.float32)
        self._all_spectra = np.zeros((padded, N_PADDED // 2 + 1), np.complex64)
        self._all_correlation = np.zeros((padded, N_PADDED), np.float32)
        self._frames, self._spectra = self._all_frames[:rows], self._all_spectra[:rows]
        self._nsdf = np.zeros((rows, int(n_lags.max()) + 1), np.float32)
        self._peaks = np.zeros((rows, N_PEAKS, 4))
        self._paths = np.zeros((rows, N_PEAKS, 2))
        self._chosen = np.zeros(rows, np.int64)
        self._told = np.full(rows, -1.0)
        self._steady = np.zeros(rows)
        keep, slowest = math.exp(-frame_ms / MEMORY_MS), 1.0 - math.exp(-frame_ms / AVERAGE_MS)
        self._costs = np.array([frame_ms / FRAME_MS, keep, LEAP_COST, START_COST, slowest])
        self._n_feeds = n_feeds
        self.ears = [_Ear(source, sources, analysed) for source in sources if source in HEARD]

    def process(
        self,
        past: Float32Array,
        lowest_hz: Float64Array,
        highest_hz: Float64Array,
        voiced: Float32Array,
        found: Float32Array,
    ) -> None:
        """Tell f0 and voicing of the newest `past`, in these sources' columns of `found`."""
        nsdf, lags, peaks, chosen = self._nsdf, self._lags, self._peaks, self._chosen
        repeat(
            past,
            self.sources,
            self._lengths,
            self._all_lags,
            QUIET,
            LAST_OF_TWO,
            self._all_frames,
            self._all_spectra,
            self._all_correlation,
            nsdf,
        )
        find_peaks(nsdf, lags, self._octave_cost, LEAST_PEAK, peaks)
        for ear in self.ears:
            ear.process(self._frames, self._spectra, nsdf, lowest_hz, highest_hz, peaks, self._told)
        decide(
            nsdf,
            peaks,
            self._costs,
            self._paths,
            chosen,
            lags,
            self.sources,
            self._rates,
            voiced,
            self._told,
            AGREE,
            self._steady,
            found,
        )

    def reset(self, which: int | slice) -> None:
        """Forget the past of a feed, or of all."""
        for state in (self._paths, self._steady):
            state.reshape(self._n_feeds, len(self.sources), *state.shape[1:])[which] = 0.0
        for ear in self.ears:
            ear.loudest[which] = 0.0


class _Ear:
    """The net of one source, for all feeds."""

    def __init__(self, source: int, sources: tuple[int, ...], analysed: _Analysed) -> None:
        rate = self._rate = float(analysed.rates[source])
        self._source, self._length = source, int(analysed.lengths[source])
        with np.load(NETS) as nets:
            names = [f"{HEARD[source]}_{layer}" for layer in ("first", "second", "third")]
            layers = [nets[name].astype(np.float32) for name in names]
        self._net = *in_16_bits(layers), layers[0].shape[1]
        first, last = STATES[source]
        longest = math.ceil(rate / analysed.lowest_hz[source])
        halves = np.arange(2 * first, 2 * last + 1) / 2
        self._lags = np.minimum(rate / hertz_of(halves), longest)
        self._first, self._shares = bands(rate / N_PADDED, *BANDS[source])
        n_in = 2 * len(self._lags) + 2 * len(self._first) + LEVELS
        assert layers[0].shape[0] == n_in + 1
        assert layers[2].shape[1] == last - first + 2
        self.x = np.zeros(n_in, np.float32)
        self._hidden = np.zeros(sum(layer.shape[1] for layer in layers[:2]), np.float32)
        self._logits = np.zeros(last - first + 2, np.float32)
        self._chances = np.zeros(last - first + 1)
        octave_cost = OCTAVE_COST[0 if source == BASS else 1]
        steep = math.log(0.7) / math.log(EVEN[source])
        self._taste = np.array([*TASTE, octave_cost, first, steep, DOUBT, CLEAR])
        self._keep = np.float32(math.exp(-analysed.frame_ms * 1e-3 / LOUDEST_S))
        self.loudest = np.zeros((analysed.n_feeds, 2), np.float32)
        places = np.array([sources.index(source), sources.index(BESIDE[source])])
        self._rows = np.arange(analysed.n_feeds)[:, None] * len(sources) + places
        self.frames = 0  # heard so far

    def process(
        self,
        frames: Float32Array,
        powers: Complex64Array,
        nsdf: Float32Array,
        lowest_hz: Float64Array,
        highest_hz: Float64Array,
        peaks: Float64Array,
        told: Float64Array,
    ) -> None:
        """Weigh the peaks of this source's rows, and tell their voicing."""
        self.frames += 1
        listen(
            frames,
            powers,
            nsdf,
            self._rows,
            self._length,
            self._rate,
            self._lags,
            self._first,
            self._shares,
            self._keep,
            lowest_hz,
            highest_hz,
            self._source,
            *self._net,
            self.x,
            self._hidden,
            self._logits,
            self._chances,
            self._taste,
            self.loudest,
            peaks,
            told,
        )


def hops_between_looks(spec: StreamSpec) -> int:
    """Every so many hops a source's pitch is looked at, and its chroma."""
    return max(1, round(EVERY_MS * 1e-3 / spec.hop_s))


def kinds_of(sources: Iterable[int]) -> Int64Array:
    """0 for what is heard as a bass is, else 1: places in the pairs of constants above."""
    return np.array([0 if source in (BASS, LOW) else 1 for source in sources], np.int64)


def hertz_of(midi: Float64Array) -> Float64Array:
    """Frequencies of MIDI numbers."""
    hertz: Float64Array = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
    return hertz


def bands(bin_hz: float, lowest: int, highest: int) -> tuple[Int64Array, Float32Array]:
    """Triangles over the bins, two a semitone between two MIDI numbers, no narrower than two bins.

    Returns
    -------
    first : (n_bands, 2) int64, first bin of each, and how many
    shares : (n_bands, widest) float32, of the bins from there on
    """
    edges = hertz_of(np.arange(2 * lowest - 1, 2 * highest + 2) / 2) / bin_hz
    rows = []
    for left, top, right in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        left, right = min(left, top - 1), max(right, top + 1)
        bins = np.arange(math.floor(left), math.ceil(right) + 1)
        share = np.minimum((bins - left) / (top - left), (right - bins) / (right - top))
        rows.append((bins[share > 0], share[share > 0]))
    shares = np.zeros((len(rows), max(len(bins) for bins, _ in rows)), np.float32)
    for row, (_, share) in zip(shares, rows, strict=True):
        row[: len(share)] = share
    return np.array([(bins[0], len(bins)) for bins, _ in rows], np.int64), shares


def _factor(spec: StreamSpec, wanted_hz: float) -> int:
    """Decimation to nearly `wanted_hz` that divides the hop."""
    wanted = spec.samplerate / wanted_hz
    divisors = [n for n in range(1, spec.hop_length + 1) if spec.hop_length % n == 0]
    return min(divisors, key=lambda n: abs(math.log(n / wanted)))


def _section(cutoff: float) -> Float64Array:
    """Butterworth low-pass of second order, b0 b1 b2 a1 a2; `cutoff` in cycles per sample."""
    k = math.tan(math.pi * cutoff)
    scale = 1.0 / (1.0 + math.sqrt(2.0) * k + k * k)
    gain = k * k * scale
    a1, a2 = 2.0 * (k * k - 1.0) * scale, (1.0 - math.sqrt(2.0) * k + k * k) * scale
    return np.array([gain, 2.0 * gain, gain, a1, a2])


def _low_pass(n_taps: int, cutoff: float) -> Float32Array:
    """Windowed sinc; `cutoff` in cycles per sample."""
    sinc = np.sinc(2.0 * cutoff * (np.arange(n_taps) - (n_taps - 1) / 2)) * np.hamming(n_taps)
    taps: Float32Array = (sinc / sinc.sum()).astype(np.float32)
    return taps


assert len(SOURCES) == 1 + N_STEMS  # the kernels take the mix and then the stems
assert VOICING == F0 + 1
