"""What a model is compared with: nothing, everything, the truth, and what was known before nets.

mixture      every stem is the mixture
quarter_mix  every stem is a quarter of it: no wit at all, and the usdr of it is above 0 dB
ratio_mask   |S| / sum |S| of the true stems in the daemon's own window: what real masks between 0
             and 1 can do, nearly. Its phase is the mixture's.
binary_mask  every bin goes whole to the stem that is loudest in it
hpss         harmonic and percussive parts by medians over time and frequency (Fitzgerald,
             Harmonic/percussive separation using median filtering, DAFx 2010), made causal: the
             median over time looks back 0.2 s and never forward. Percussive is drums; harmonic is
             bass below 160 Hz (it fades over an octave), and above it half vocals and half other,
             since medians cannot tell a voice from a violin.

The last three are mask models for the daemon's own separator, so window, overlap-add, closing of
the sum and delay are those of a network. What belongs to nobody is the oracles' `other`, where the
daemon puts it too.
"""

import math

import numpy as np
from numba import njit

from models.streamed import separate, separate_feeds
from stemd.processors.stft import Analysis
from stemd.spec import N_CHANNELS, N_STEMS, OTHER, STEMS, StreamSpec

NAMES = ("mixture", "quarter_mix", "ratio_mask", "binary_mask", "hpss")
LOOK_BACK_S = 0.2
FREQUENCY_SPAN_HZ = 650.0  # 31 bins of 2048 at 44.1 kHz, the usual size
BASS_HZ = 160.0


class Oracles:
    """A mask model that knows the stems; feed 0 gets ratio masks, feed 1 binary ones.

    Parameters
    ----------
    spec : StreamSpec
        Two feeds.
    sources : (>= s, 2, n) float32
        True stems; rows after the stems belong to nobody.
    """

    complex_masks = False
    latency = 0

    def __init__(self, spec, sources):
        assert spec.n_feeds == 2
        self._hop_length = spec.hop_length
        n_sources, _, n = sources.shape
        room = -n % spec.hop_length + 4 * spec.hop_length  # the separator flushes beyond the end
        self._sources = np.pad(sources, ((0, 0), (0, 0), (0, room))).astype(np.float32)
        self._hop = np.zeros((n_sources, N_CHANNELS, spec.hop_length), np.float32)
        self._analysis = Analysis(
            StreamSpec(spec.samplerate, spec.n_fft, spec.hop_length, spec.window, n_feeds=n_sources)
        )
        self._masks = np.zeros((2, N_STEMS, N_CHANNELS, spec.n_bins), np.float32)
        self._position = 0

    def process(self, spectra, deadline=None):
        """Masks of the frame that ends with the next hop of the sources."""
        here = slice(self._position, self._position + self._hop_length)
        self._hop[:] = self._sources[:, :, here]
        self._position += self._hop_length
        _oracle_masks(self._analysis.process(self._hop), self._masks)
        return self._masks

    def reset(self, slot=None):
        """Start the sources again."""
        self._analysis.reset()
        self._position = 0


@njit(cache=True)
def _oracle_masks(spectra, masks):
    """spectra : (sources, c, f) complex64; masks : (2, s, c, f) float32, overwritten"""
    n_stems = masks.shape[1]
    level = np.zeros(n_stems)
    for c in range(spectra.shape[1]):
        for f in range(spectra.shape[2]):
            total, loudest = 1e-30, n_stems - 1
            for s in range(n_stems):
                level[s] = abs(spectra[s, c, f])
            for s in range(n_stems, spectra.shape[0]):
                level[n_stems - 1] += abs(spectra[s, c, f])
            for s in range(n_stems):
                total += level[s]
                if level[s] > level[loudest]:
                    loudest = s
            for s in range(n_stems):
                masks[0, s, c, f] = level[s] / total
                masks[1, s, c, f] = 1.0 if s == loudest else 0.0


class Hpss:
    """Median filtering as a mask model, one feed."""

    complex_masks = False
    latency = 0

    def __init__(self, spec):
        assert spec.n_feeds == 1
        bin_hz = spec.samplerate / spec.n_fft
        # frames 512 samples apart say as much as all of them
        self._stride = max(1, 512 // spec.hop_length)
        spacing_s = self._stride * spec.hop_s
        self._past = np.zeros((math.ceil(LOOK_BACK_S / spacing_s), spec.n_bins), np.float32)
        self._span = int(FREQUENCY_SPAN_HZ / bin_hz / 2)
        self._count = 0
        self._percussive = np.zeros(spec.n_bins, np.float32)
        self._harmonic = np.zeros(spec.n_bins, np.float32)
        self._masks = np.zeros((1, N_STEMS, N_CHANNELS, spec.n_bins), np.float32)
        octaves = np.log2(np.maximum(np.arange(spec.n_bins) * bin_hz, 1.0) / BASS_HZ)
        self._low = np.clip(0.5 - octaves, 0.0, 1.0).astype(np.float32)

    def process(self, spectra, deadline=None):
        """Masks of the newest frame."""
        magnitude = np.abs(spectra[0]).sum(0)
        if self._count % self._stride == 0:
            self._past[self._count // self._stride % len(self._past)] = magnitude
            _median_over_time(self._past, self._harmonic)
        self._count += 1
        _median_over_frequency(magnitude, self._span, self._percussive)
        p, h = self._percussive**2, self._harmonic**2
        percussive = p / (p + h + 1e-20)
        harmonic = 1 - percussive
        above = 0.5 * harmonic * (1 - self._low)
        parts = {
            "drums": percussive,
            "bass": harmonic * self._low,
            "vocals": above,
            "other": above,
        }
        for s, stem in enumerate(STEMS):
            self._masks[0, s] = parts[stem]
        return self._masks

    def reset(self, slot=None):
        """Forget the past."""
        self._past.fill(0.0)
        self._harmonic.fill(0.0)
        self._count = 0


@njit(cache=True)
def _median_over_time(past, out):
    """past : (t, f) float32; out : (f,) float32, overwritten with upper medians"""
    n = past.shape[0]
    row = np.empty(n, np.float32)
    for f in range(past.shape[1]):
        for t in range(n):
            _insert(row, t, past[t, f])
        out[f] = row[n // 2]


@njit(cache=True)
def _median_over_frequency(magnitude, span, out):
    """magnitude : (f,) float32; out : (f,) float32, upper medians of f - span ... f + span"""
    n_bins = magnitude.shape[0]
    row = np.empty(2 * span + 2, np.float32)  # one enters before one leaves
    n = 0
    for f in range(min(span, n_bins)):
        _insert(row, n, magnitude[f])
        n += 1
    for f in range(n_bins):
        if f + span < n_bins:
            _insert(row, n, magnitude[f + span])
            n += 1
        if f > span:
            old = magnitude[f - span - 1]
            i = 0
            while row[i] != old:
                i += 1
            n -= 1
            for j in range(i, n):
                row[j] = row[j + 1]
        out[f] = row[n // 2]


@njit(cache=True)
def _insert(row, n, value):
    """Into the first n values, which are sorted."""
    i = n
    while i > 0 and row[i - 1] > value:
        row[i] = row[i - 1]
        i -= 1
    row[i] = value


def estimates(spec, sources, names=NAMES):
    """Stems by each baseline.

    Parameters
    ----------
    spec : StreamSpec
        One feed; what the oracles and hpss run at.
    sources : (>= s, 2, n) float32

    Yields
    ------
    name, (s, 2, n) float32
    """
    assert OTHER == N_STEMS - 1  # what the oracles take for granted
    mix = sources.sum(0)
    if "mixture" in names:
        yield "mixture", np.broadcast_to(mix, (N_STEMS, *mix.shape))
    if "quarter_mix" in names:
        yield "quarter_mix", np.broadcast_to(mix / N_STEMS, (N_STEMS, *mix.shape))
    if {"ratio_mask", "binary_mask"} & set(names):
        two = StreamSpec(spec.samplerate, spec.n_fft, spec.hop_length, spec.window, n_feeds=2)
        both = separate_feeds(two, Oracles(two, sources), mix)
        for name, stems in zip(("ratio_mask", "binary_mask"), both, strict=True):
            if name in names:
                yield name, stems
    if "hpss" in names:
        yield "hpss", separate(spec, Hpss(spec), mix)
