"""Tempo and beats of each feed, predicted: a beat is told in the hop in which it falls."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stemd.kernels.tempo import (
    SPREAD,
    believe,
    deep_rise,
    gather,
    listen,
    restrict,
    spread_evenly,
    swing,
)
from stemd.processors.stft import Float32Array
from stemd.spec import FEATURES, SOURCES, TEMPO_RANGE_BPM, StreamSpec

TEMPO, BANDS = FEATURES.index("tempo_bpm"), FEATURES.index("band_1")

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
FRAME_MS = 10.0  # 2 % of the period at 120 bpm; all profiles are heard at this rate
WEIGHTS = {"mix": 1.0, "drums": 1.0, "bass": 0.5, "other": 0.5}  # of each source's flux
DEEP = (0.4, 0.3, 0.3)  # of the lowest bands' rise: who plays low plays on the beat
KNEE = 1e-3  # -60 dBFS: below it levels are linear, so that hum does not count
LAG_MS = 11.0  # a rise is measured over this time, as in `Onset`
USUAL_S = 4.0  # memory of what flux is usual
FLOOR = 0.03  # nats: a deviation of flux below this is no music
USUAL_BPM, OCTAVES = 120.0, 0.7  # the likeliest tempo, and how far others are from it
PRIOR = 2.0  # weight of that, per second
EVIDENCE = 1.0  # weight of standardised flux at the beat, per second
HALFWAY = 0.5  # of that weight: what falls between two beats belongs to them
STEADY = 100.0  # the larger, the less a period changes from beat to beat
ANEW = 1e-3  # share of belief that begins anew at each beat, so that tempo may jump
BELIEVED, FREE = 0.3, 0.1  # belief to start, to be followed
SILENCE_S = 30.0  # ends the beats
PULL = 2.0  # an error of phase is down to 14 % after a beat
SETTLE_S = 1.0  # in which the period follows
JUMP = 0.06  # from this ratio on it is another tempo
BELIEVED_OVER = 0.6  # belief in another tempo to leave one for it
LEAD_FRAMES = 2.0  # flux is expected two frames after the filter's beat
FLUX_DELAY_MS = (
    16.0  # from an attack to the middle of its flux; found with bursts and rendered songs
)
TAPS = 4
TAP_GAP_S = 2.5  # after a longer pause taps begin anew


class Tempo:
    """Tempo, beat and phase of each feed, in the row of the mix.

    A filter keeps a belief in every period (1 frame of 10 ms apart) and every phase, and moves it
    by the flux of mix and stems. A pendulum follows what it finds likeliest, by going faster or
    slower, so that no correction doubles a beat or leaves one out. Through a break it swings on;
    confidence fades.

    Attributes
    ----------
    lock : (b,) int32
        Not 0: keep the tempo there is, or the first one found, and follow the phase only; over a
        silence and a reset, too.

    Latency:  none; beats are predicted.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds = spec.n_feeds
        self._samplerate = spec.samplerate
        self._hop_length = spec.hop_length
        self._frame_length = max(1, spec.samples(FRAME_MS))
        self._frame_rate = spec.samplerate / self._frame_length
        self._deep = np.array(DEEP, np.float32)
        n_past = 1 + max(1, round(spec.samples(LAG_MS) / spec.hop_length))
        self._past = np.zeros((n_past, n_feeds, len(DEEP)), np.float32)
        self._oldest = 0
        self._rise = np.zeros(n_feeds)
        self._weights = np.array([WEIGHTS.get(name, 0.0) for name in SOURCES], np.float32)
        self._shortest = math.floor(60.0 * self._frame_rate / FASTEST_BPM)
        self._longest = math.ceil(60.0 * self._frame_rate / SLOWEST_BPM)
        periods = np.arange(self._shortest, self._longest + 1)
        self._offsets = np.concatenate([[0], np.cumsum(periods)]).astype(np.int64)
        self._circle = circle(periods)
        self._change = changes(periods)
        off = np.log2(60.0 * self._frame_rate / periods / USUAL_BPM) / OCTAVES
        self._prior = -0.5 * PRIOR * off**2
        self._strength = np.array([EVIDENCE, HALFWAY, ANEW, self._frame_rate])
        self._share = -math.expm1(-1.0 / (USUAL_S * self._frame_rate))
        n_frames = spec.hop_length // self._frame_length + 1
        self._frames = np.zeros((n_frames, n_feeds))
        self._done = np.zeros(1, np.int64)
        self._sums = np.zeros(n_feeds)
        self._fill = 0
        self._time = 0
        self._stats = np.zeros((n_feeds, 5))
        self._posterior = np.zeros((n_feeds, int(self._offsets[-1])), np.float32)
        self._bounds = np.zeros((n_feeds, 2), np.int64)
        self._wanted = np.zeros((n_feeds, 2), np.int64)
        self._range = np.zeros((n_feeds, 2), np.int64)
        self._scratch = np.zeros((3, len(periods)))
        self._heard = np.zeros((n_feeds, 3))
        self._pendulum = np.zeros((n_feeds, 4))
        delay = spec.samples(FLUX_DELAY_MS) - LEAD_FRAMES * self._frame_length
        self._lengths = np.array(
            [self._frame_length, spec.hop_length, 0.0, delay, spec.samplerate], np.float64
        )
        settle = -math.expm1(-spec.hop_s / SETTLE_S)
        silence = SILENCE_S * spec.samplerate
        self._follow = np.array([BELIEVED, FREE, silence, PULL, settle, JUMP, BELIEVED_OVER])
        self._position = 0
        self._taps: list[list[int]] = [[] for _ in range(n_feeds)]
        self.lock = np.zeros(n_feeds, np.int32)
        self._kept = np.zeros(n_feeds)  # samples: the period a lock is on, also while none is heard
        for feed in range(n_feeds):
            self.set_range(feed, *TEMPO_RANGE_BPM)
        self.reset()

    def process(self, flux: Float32Array, out: Float32Array) -> None:
        """Take the next hop.

        Parameters
        ----------
        flux : (b, source) float32
            As `Onset` has just computed it.
        out : (b, source, feature) float32
            The mix's lowest bands are read, as `Meter` has just written them; `tempo_bpm`,
            `tempo_confidence`, `beat`, `beat_phase`, `beat_count` of the mix overwritten.
        """
        deep_rise(out, BANDS, self._past, self._oldest, self._deep, np.float32(KNEE), self._rise)
        self._oldest = (self._oldest + 1) % len(self._past)
        self._fill = gather(
            flux,
            self._weights,
            self._rise,
            self._hop_length,
            self._frame_length,
            self._fill,
            self._sums,
            self._frames,
            self._done,
        )
        done = int(self._done[0])
        if done:
            restrict(
                self.lock,
                self._pendulum,
                self._kept,
                self._range,
                self._shortest,
                self._longest,
                self._frame_length,
                self._wanted,
            )
            listen(
                self._frames,
                done,
                self._time,
                self._share,
                FLOOR,
                self._stats,
                self._posterior,
                self._shortest,
                self._bounds,
                self._wanted,
                self._offsets,
                self._change,
                self._prior,
                self._circle,
                self._strength,
                self._scratch,
                self._heard,
            )
            self._time += done
        self._position += self._hop_length
        self._lengths[2] = self._fill
        swing(
            self._heard,
            self._stats,
            self._pendulum,
            self.lock,
            self._lengths,
            self._follow,
            TEMPO,
            out,
        )

    @property
    def counts(self) -> npt.NDArray[np.float64]:
        """(b,), running: beats told."""
        return self._pendulum[:, 2]

    def set_range(self, feed: int, low: float, high: float) -> None:
        """Seek the tempo between two, in bpm; kept within 40 .. 240, and at least 5 % apart."""
        low = min(max(low, SLOWEST_BPM), FASTEST_BPM / 1.05)
        high = min(max(high, 1.05 * low), FASTEST_BPM)
        frames = 60.0 * self._frame_rate
        self._range[feed] = max(math.floor(frames / high), self._shortest), math.ceil(frames / low)

    def tap(self, feed: int, ago_s: float = 0.0) -> None:
        """The beat fell `ago_s` before the end of the newest hop; four taps set tempo and phase."""
        at = self._position - round(ago_s * self._samplerate)
        taps = self._taps[feed]
        if taps and not 0 < at - taps[-1] < TAP_GAP_S * self._samplerate:
            taps.clear()
        taps.append(at)
        del taps[:-8]
        if len(taps) < TAPS:
            return
        # a line through the taps: each of them helps
        n = np.arange(len(taps)) - (len(taps) - 1) / 2
        middle = float(np.mean(taps))
        period = float(np.dot(n, taps) / np.dot(n, n))
        phase = (self._position - middle) / period - n[0]
        shortest, longest = self._range[feed] * self._frame_length
        octave = 0
        while period > longest and period / 2 >= shortest:
            period, octave = period / 2, octave + 1
        while period < shortest and period * 2 <= longest:
            period, octave = period * 2, octave - 1
        if not shortest <= period <= longest:
            return
        phase *= 2.0**octave
        self._pendulum[feed, 0] = period
        if self.lock[feed]:
            self._kept[feed] = period
        self._pendulum[feed, 3] = 0.0
        self._bounds[feed] = self._wanted[feed] = self._range[feed]
        # the filter's beat is before the beat by the lead, and its clock by the unfinished frame
        heard = phase - (self._fill + self._lengths[3]) / period
        believe(
            self._posterior[feed],
            self._shortest,
            self._bounds[feed],
            self._offsets,
            self._time - 1,
            period / self._frame_length,
            heard % 1.0,
        )
        self._heard[feed] = period / self._frame_length, heard % 1.0, 1.0

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's. Range and lock stay."""
        which = slice(None) if feed is None else feed
        for state in (self._stats, self._heard, self._pendulum, self._sums):
            state[which] = 0.0
        self._past[:, which] = 0.0
        self._wanted[which] = self._bounds[which] = self._range[which]
        for b in range(len(self.lock)) if feed is None else (feed,):
            self._taps[b].clear()
            spread_evenly(
                self._posterior[b], self._shortest, *map(int, self._bounds[b]), self._offsets
            )
        if feed is None:
            self._fill = self._time = self._position = self._oldest = 0


def circle(periods: npt.NDArray[np.int64]) -> Float32Array:
    """(2, n_states) float32: cosine and sine of each slot's share of its period."""
    angle = np.concatenate([2.0 * np.pi * np.arange(p) / p for p in periods])
    return np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def changes(periods: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(n_periods, 2 SPREAD + 1): how likely a beat is followed by a shorter or longer one."""
    by = np.arange(-SPREAD, SPREAD + 1)
    likely: npt.NDArray[np.float64] = np.exp(-STEADY * np.abs(by)[None, :] / periods[:, None])
    to = periods[:, None] + by
    likely[(to < periods[0]) | (to > periods[-1])] = 0.0
    likely /= likely.sum(axis=1, keepdims=True)
    return likely
