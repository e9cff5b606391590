"""Onsets of the mix and each stem, from the newest masked spectrum: one hop before the audio."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stemd.kernels.flux import attack_start, measure_flux, pick_onsets
from stemd.kernels.window import window_pair
from stemd.processors.odds import Odds
from stemd.processors.powers import Powers
from stemd.processors.stft import Float32Array, sine_gain
from stemd.spec import DRUMS, FEATURES, ONSET_THRESHOLD, SOURCES, StreamSpec

STRENGTH = FEATURES.index("onset_strength")
ONSET = FEATURES.index("onset")
COUNT = FEATURES.index("onset_count")
OFFSET = FEATURES.index("onset_offset")
_COLUMNS = np.array([STRENGTH, ONSET, COUNT, OFFSET], np.int64)

STRUCK = SOURCES.index("drums")

LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
BANDS_PER_OCTAVE = 3
KNEE = 1.0 / 3000.0  # -70 dBFS: below it levels are linear, so that hiss does not count
LEAK_MARGIN = 4.0  # times the sidelobes' envelope; 2 is too little at 2.7 ms hops
LAG_MS = 11.0  # a rise is measured over this time: a plucked string takes about as long
REFRACTORY_MS = 50.0  # 20 onsets per second; a drum roll stays below
USUAL = 0.07  # flux of half the strength: of the softer strokes of a drum track
# An onset of the drums is most often a hit; the net of `Drums` errs differently.  Weight of its log
# odds, and by how much those of `Odds` must be over what is asked for to be heard without.  On
# clips that neither was taught F1 is 83.9 instead of 81.8, and onsets are told 0.4 ms later.
HITS_SHARE, SURE = 0.5, 1.0
SEAM_MS = 30.0  # after a discontinuity, a click of ours is no onset, no hit and no stroke
GRAIN = 32  # samples: resolution of the offset


def seam_hops(spec: StreamSpec) -> int:
    """For how many hops nothing is declared, that of the discontinuity included."""
    return max(1, -(-spec.samples(SEAM_MS) // spec.hop_length))


class Onset:
    """Onsets where `Odds` are for one, as strong as the spectrum rises, for each source.

    Attributes
    ----------
    threshold : (b, source) float32
        Odds asked for, in the order of `spec.SOURCES`; write to it at any time.  1 balances missed
        and false onsets on rendered songs; more hears less.
    odds : Odds
        What the net made of the newest frame.
    flux : (b, source) float32
        Of the newest frame: mean rise over bands, nats, before any threshold.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds, n_sources = spec.n_feeds, len(SOURCES)
        hop_length = spec.hop_length
        self._hop_length = hop_length
        self._edges = band_edges(spec)
        self._window, _ = window_pair(spec.n_fft, hop_length)
        self._gain = sine_gain(self._window)
        self._leak = leakage(self._edges, spec)
        n_past = 1 + max(1, round(spec.samples(LAG_MS) / hop_length))
        n_bands = len(self._edges) - 1
        self._levels = np.zeros((n_feeds, n_sources, n_bands), np.float32)
        self._past = np.zeros((n_past, n_feeds, n_sources, n_bands), np.float32)
        self._oldest = 0
        self.odds = Odds(spec)
        shape = (n_feeds, n_sources)
        self.flux = np.zeros(shape, np.float32)
        self._unheard = np.full((n_feeds, len(DRUMS)), np.nan, np.float32)
        self._second = np.array([HITS_SHARE, SURE], np.float32)
        self._armed = np.ones(shape, np.bool_)
        self._since = np.zeros(shape, np.int64)
        self._count = np.zeros(shape, np.int64)
        self._muted = np.zeros(n_feeds, np.int64)
        self.threshold = np.full(shape, ONSET_THRESHOLD, np.float32)
        self._refractory = max(1, round(spec.samples(REFRACTORY_MS) / hop_length))
        self._seam_hops = seam_hops(spec)
        # an attack is looked for in the newest hop and as far back as flux looks
        self._hop_start = spec.n_fft - hop_length
        search = max(self._hop_start - n_past * hop_length, 1)
        self._search = search + (spec.n_fft - search) % GRAIN  # the last grain ends with the frame
        self._energies = np.zeros(spec.n_fft // GRAIN, np.float32)
        self.reset()

    def process(
        self,
        powers: Powers,
        frames: Float32Array,
        masked_frames: Float32Array,
        out: Float32Array,
        hits: Float32Array | None = None,
    ) -> None:
        """Look at the newest frame.

        Parameters
        ----------
        powers : of the newest frame
        frames, masked_frames : as `HopSeparator` keeps them
        out : (b, source, feature) float32
            The four onset columns overwritten.
        hits : (b, 3) float32 or None
            As `Drums` makes of the newest frame; None: the drums' onsets are judged without.
        """
        self.odds.process(powers)
        measure_flux(
            powers.bins,
            self._edges,
            self._gain,
            self._levels,
            self._past,
            self._oldest,
            self._leak,
            np.float32(KNEE),
            self.flux,
        )
        self._oldest = (self._oldest + 1) % len(self._past)
        found = pick_onsets(
            self.odds.logits,
            self._unheard if hits is None else hits,
            self._second,
            STRUCK,
            self.flux,
            self.threshold,
            np.float32(USUAL),
            self._armed,
            self._since,
            self._count,
            self._muted,
            self._refractory,
            _COLUMNS,
            out,
        )
        if found:
            self._locate(frames, masked_frames, out)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(b, source), running: onsets declared."""
        return self._count

    def mute(self, feed: int) -> None:
        """A discontinuity lies in this feed's newest hop: declare nothing for the next 30 ms."""
        self._muted[feed] = self._seam_hops

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past and count, or every feed's. Thresholds stay."""
        self.odds.reset(feed)
        which = slice(None) if feed is None else feed
        self._past[:, which] = 0.0
        for state in (self.flux, self._count, self._muted):
            state[which] = 0
        self._armed[which] = True
        self._since[which] = self._refractory
        if feed is None:
            self._oldest = 0

    def _locate(self, frames: Float32Array, masked_frames: Float32Array, out: Float32Array) -> None:
        for feed, source in np.argwhere(out[:, :, ONSET]):
            start = attack_start(
                frames[feed],
                masked_frames[feed],
                self._window,
                source,
                self._search,
                GRAIN,
                self._energies,
            )
            out[feed, source, OFFSET] = start - self._hop_start


def band_edges(spec: StreamSpec) -> npt.NDArray[np.int64]:
    """Edges in bins of bands a third of an octave wide, none narrower than a bin."""
    octaves = np.log2(min(HIGHEST_HZ, spec.samplerate / 2) / LOWEST_HZ)
    hz = LOWEST_HZ * 2.0 ** (np.arange(int(octaves * BANDS_PER_OCTAVE) + 1) / BANDS_PER_OCTAVE)
    bins = np.round(hz * spec.n_fft / spec.samplerate).astype(np.int64)
    return np.unique(np.clip(bins, 1, spec.n_bins))


def leakage(edges: npt.NDArray[np.int64], spec: StreamSpec) -> Float32Array:
    """What of band j's magnitude the window's sidelobes may spill into band i.

    The window falls to 0 with a corner of slope pi / (2 hop_length), whose transform is that slope
    over the angular frequency squared; the window's sum is 2 / pi * n_fft.

    Returns
    -------
    leak : (n_bands, n_bands) float32
    """
    centre = 0.5 * (edges[:-1] + edges[1:])
    width = np.diff(edges)
    apart = np.maximum(np.abs(centre[:, None] - centre[None, :]), 1.0)
    image = centre[:, None] + centre[None, :]  # the same at negative frequency
    envelope = spec.n_fft / (16.0 * spec.hop_length) * (1.0 / apart**2 + 1.0 / image**2)
    leak = np.minimum(LEAK_MARGIN * envelope * np.sqrt(width)[:, None], 1.0)
    np.fill_diagonal(leak, 0.0)
    return leak.astype(np.float32)
