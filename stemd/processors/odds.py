"""What has just begun, and in which stem: the odds of onsets and of hits, from the newest frame.

One small recurrent net looks at the levels of the mix and of every stem in a few bands, now and up
to 85 ms ago, and at how much they rise. Since it sees all stems at once it can tell a note of one
from what a separator spills into another; since it was taught on what the released models separate,
it knows how they err. `models/hits.py` makes it; `Onset` decides what to make of the odds, and
`Drums`, which errs less on dry kits, has those of hits beside its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemd.kernels.odds import weigh_odds
from stemd.kernels.window import window_pair
from stemd.processors.layers import in_16_bits
from stemd.processors.powers import Powers
from stemd.processors.stft import sine_gain
from stemd.spec import DRUMS, SOURCES, StreamSpec

NET = Path(__file__).parents[1] / "assets" / "odds.npz"
LAYERS = ("embed", "middle", "inward", "again", "outward")
OUTPUTS = (*SOURCES, *DRUMS)

EDGES_HZ = (
    *(30.0, 50.0, 70.0, 90.0, 115.0, 145.0, 185.0, 235.0, 300.0, 380.0, 480.0, 610.0, 780.0),
    *(1000.0, 1300.0, 1700.0, 2200.0, 2900.0, 3800.0, 5000.0, 6600.0, 8800.0, 11500.0),
    *(15000.0, 20000.0),
)
LOUDEST_S = 4.0  # memory of how loud a source is; what is small beside it has not begun
MIX_SHARE = 0.1  # what is 20 dB below the mix is no stem but what separation left
FLOOR = 1e-4  # -80 dBFS
KNEE = 1e-3  # -60 dB below the loudest, levels turn linear
RISE_MS = 11.0  # a rise is measured over this time and one hop more, as in `Onset`


class Odds:
    """The odds that each source begins something in the newest hop, and that each drum is hit.

    Attributes
    ----------
    logits : (b, source + 3) float32
        Logarithms of the odds, of the onsets in the order of `spec.SOURCES`, then of the hits in
        the order of `spec.DRUMS`; 0 is where missed and false ones balance on rendered songs.
    levels : (b, source, n_bands) float32
        Magnitude in the bands of `EDGES_HZ`, of the newest frame.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        n_feeds, hop_length, n_sources = spec.n_feeds, spec.hop_length, len(SOURCES)
        window, _ = window_pair(spec.n_fft, hop_length)
        self._edges = (np.array(EDGES_HZ) * spec.n_fft / spec.samplerate).astype(np.float32)
        self._gain = sine_gain(window)
        name = spec.nearest_profile
        with np.load(NET) as net:
            layers = [net[f"{name}_{layer}"].astype(np.float32) for layer in LAYERS]
            self._lags = net[f"{name}_lags"].astype(np.int64)
        self._weights, self._steps = in_16_bits(layers)
        embed, middle, inward, again, outward = layers
        n_bands, n_seen = len(EDGES_HZ) - 1, embed.shape[0] - 1
        assert n_seen == 2 * n_sources * n_bands
        assert outward.shape[1] == len(OUTPUTS)
        decay = np.exp(-hop_length / (LOUDEST_S * spec.samplerate))
        self._limits = np.array([decay, MIX_SHARE, FLOOR, KNEE], np.float32)
        self._sources = np.arange(n_sources)
        self.levels = np.zeros((n_feeds, n_sources, n_bands), np.float32)
        n_rise = max(1, round(spec.samples(RISE_MS) / hop_length)) + 2
        self._past = np.zeros((n_rise, n_feeds, n_sources, n_bands), np.float32)
        self._loudest = np.zeros((n_feeds, n_sources), np.float32)
        self._seen = np.zeros((n_feeds, n_seen), np.float32)
        self._thoughts = np.zeros((int(self._lags.max()) + 1, n_feeds, embed.shape[1]), np.float32)
        self._newest = self._newest_thought = 0
        self._state = np.zeros((n_feeds, again.shape[0] - 1), np.float32)
        self._scratch = np.zeros(middle.shape[1] + 2 * inward.shape[1], np.float32)
        self.logits = np.zeros((n_feeds, len(OUTPUTS)), np.float32)
        self._silence = np.float32(0.4 * np.log(KNEE) + 1.4)
        quiet = np.zeros(n_seen, np.float32)
        quiet[: n_seen // 2] = self._silence
        self._quiet = quiet @ embed[:-1] + embed[-1]
        self.reset()

    def process(self, powers: Powers) -> None:
        """Listen to the newest frame.

        Parameters
        ----------
        powers : of the newest frame
        """
        self._newest = (self._newest + 1) % len(self._past)
        self._newest_thought = (self._newest_thought + 1) % len(self._thoughts)
        weigh_odds(
            powers.bins,
            self._sources,
            self._edges,
            self._gain,
            self.levels,
            self._past,
            self._newest,
            self._loudest,
            self._limits,
            self._seen,
            self._thoughts,
            self._newest_thought,
            self._lags,
            self._weights,
            self._steps,
            self._state,
            self._scratch,
            self.logits,
        )

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if feed is None else feed
        self._past[:, which] = self._silence
        self._thoughts[:, which] = self._quiet
        for state in (self._loudest, self._state, self.levels, self.logits):
            state[which] = 0.0
        if feed is None:
            self._newest = self._newest_thought = 0
