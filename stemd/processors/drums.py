"""Hits of kick, snare and hi-hat, from the newest masked spectrum: before the audio that has them.

A small net looks at the levels of the drums and of the mix in a few bands, now and up to 85 ms ago,
and says for each class by itself whether it has just been hit, so that two at once are two hits.
`models/drums.py` makes it. In company the net of `Odds`, which sees all stems and knows what a
separator spills, has as much to say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemd.kernels.drums import pick_hits, weigh_hits
from stemd.kernels.window import window_pair
from stemd.processors.layers import in_16_bits
from stemd.processors.odds import OUTPUTS, Odds
from stemd.processors.onset import seam_hops
from stemd.processors.powers import Powers
from stemd.processors.stft import Float32Array, sine_gain
from stemd.spec import DRUMS, FEATURES, SOURCES, StreamSpec

NET = Path(__file__).parents[1] / "assets" / "drums.npz"
COLUMN = FEATURES.index(DRUMS[0])  # the others follow
ROW = SOURCES.index("drums")
HEARD = np.array([ROW, SOURCES.index("mix")], np.int64)

EDGES_HZ = (
    *(35.0, 60.0, 85.0, 115.0, 155.0, 210.0, 290.0, 410.0, 580.0, 820.0, 1200.0, 1700.0),
    *(2400.0, 3400.0, 4800.0, 6800.0, 9600.0, 13000.0, 18000.0),
)
LOUDEST_S = 4.0  # memory of how loud the drums are; what is small beside it is no hit
MIX_SHARE = 0.1  # what is 20 dB below the mix is not drums but what separation left
FLOOR = 1e-4  # -80 dBFS
KNEE = 1e-3  # -60 dB below the loudest, levels turn linear
REFRACTORY_MS = 40.0
DECISION_MS = 11.0  # sound that the net was taught to wait for: kick and snare begin alike
# Weight of the net of `Odds` in company: it errs differently.  On clips that neither was taught, F1
# is best from 0.35 to 0.5.  Alone, it takes kicks of dry kits for snares.
ODDS_SHARE = 0.5
ALONE, IN_COMPANY = 0.9, 0.6  # share of the mix's energy that is drums
COMPANY_S = 1.0  # memory of that
SPANS = ((0, 5), (4, 15), (14, 18))  # bands in which a class is measured: its body, not its click


class Drums:
    """Three kinds of hits and how hard each was.

    Velocity is on a scale of decibels below the hard hits of the last while, of the same class: a
    track that was recorded softly has loud hits too.

    Separated drums are told apart less well than drums alone, and at hops of 10 ms dry snares are
    often taken for kicks: use `live` or `tight` where snares matter.

    Attributes
    ----------
    logits : (b, 3) float32
        Logarithms of the odds that each class has just been hit, by this net; of the newest frame.
    threshold : (b, 3) float32
        Factor on the odds at which a hit is declared, in the order of `spec.DRUMS`; write to it at
        any time.  1 balances missed and false hits on rendered songs.

    Latency:  about so many samples from a hit to the end of the hop in which it is declared.
    """

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds, hop_length = spec.n_feeds, spec.hop_length
        window, _ = window_pair(spec.n_fft, hop_length)
        self._edges = (np.array(EDGES_HZ) * spec.n_fft / spec.samplerate).astype(np.float32)
        self._gain = sine_gain(window)
        name = spec.nearest_profile
        with np.load(NET) as net:
            layers = [
                net[f"{name}_{layer}"].astype(np.float32) for layer in ("first", "second", "third")
            ]
            pick = net[f"{name}_pick"].astype(np.float32)
            self._lags = net[f"{name}_lags"].astype(np.int64)
        layers[-1][-1] -= pick[:, 0]  # the odds are 1 where a hit is told
        self._weights, self._steps = in_16_bits(layers)
        self._n_first = layers[0].shape[1]
        self._built_in = np.ascontiguousarray(pick[:, 1:])
        n_bands = len(EDGES_HZ) - 1
        assert layers[0].shape[0] == len(self._lags) * n_bands + 1
        decay = np.exp(-hop_length / (LOUDEST_S * spec.samplerate))
        self._limits = np.array([decay, MIX_SHARE, FLOOR, KNEE], np.float32)
        self._levels = np.zeros((n_feeds, 2, n_bands), np.float32)
        n_past = int(self._lags[:, 1].max()) + 1
        self._past = np.zeros((n_past, n_feeds, 2, n_bands), np.float32)
        self._at = 0
        self._loudest = np.zeros((n_feeds, 2), np.float32)
        self._scratch = np.zeros(sum(len(layer) - 1 for layer in layers), np.float32)
        shape = (n_feeds, len(DRUMS))
        self.logits = np.zeros(shape, np.float32)
        self._armed = np.zeros(shape, np.bool_)
        self._since = np.zeros(shape, np.int64)
        self._heard = np.zeros((2, *shape), np.float32)
        self._muted = np.zeros(n_feeds, np.int64)
        self._keep = np.float32(np.exp(-hop_length / (COMPANY_S * spec.samplerate)))
        self._company = np.array([ALONE, IN_COMPANY, ODDS_SHARE], np.float32)
        self._energies = np.zeros((n_feeds, 2), np.float32)
        self._shares = np.zeros(n_feeds, np.float32)
        self.threshold = np.ones(shape, np.float32)
        self._refractory = max(1, round(spec.samples(REFRACTORY_MS) / hop_length))
        self.latency = max(1, round(spec.samples(DECISION_MS) / hop_length)) * hop_length
        self._seam_hops = seam_hops(spec)
        self._spans = np.array(SPANS, np.int64)
        self.reset()

    def listen(self, powers: Powers) -> None:
        """Make `logits` of the newest frame."""
        self._at = (self._at + 1) % len(self._past)
        weigh_hits(
            powers.bins,
            HEARD,
            self._edges,
            self._gain,
            self._levels,
            self._past,
            self._at,
            self._lags,
            self._loudest,
            self._limits,
            self._weights,
            self._steps,
            self._n_first,
            self._scratch,
            self.logits,
            self._keep,
            self._company,
            self._energies,
            self._shares,
        )

    def process(self, odds: Odds, out: Float32Array) -> None:
        """Say what was hit, after `listen`.

        Parameters
        ----------
        odds : what they make of the same frame
        out : (b, source, feature) float32
            The three columns of drums overwritten in the row of drums.
        """
        pick_hits(
            self.logits,
            odds.logits,
            self._shares,
            self._levels,
            self.threshold,
            self._built_in,
            self._spans,
            self._armed,
            self._since,
            self._heard,
            self._muted,
            self._refractory,
            ROW,
            COLUMN,
            out,
        )

    def mute(self, feed: int) -> None:
        """A discontinuity lies in this feed's newest hop: declare nothing for the next 30 ms."""
        self._muted[feed] = self._seam_hops

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's. Thresholds stay."""
        which = slice(None) if feed is None else feed
        self._past[:, which] = 0.0
        self._armed[which] = True
        self._since[which] = self._refractory
        self._heard[:, which] = 0.0
        running = self._levels, self._loudest, self.logits, self._muted, self._energies
        for state in running:
            state[which] = 0
        if feed is None:
            self._at = 0


assert OUTPUTS[-len(DRUMS) :] == DRUMS  # the kernel takes the last
