"""All features of the mix and each stem, one row per source and hop."""

from __future__ import annotations

import numpy as np

from stemd.processors.loudness import Loudness
from stemd.processors.onset import Onset
from stemd.processors.pitch import Pitch
from stemd.processors.separator import HopSeparator
from stemd.processors.stft import Float32Array
from stemd.spec import StreamSpec


class Features:
    """Loudness, onset and pitch of one hop after the separator has taken it.

    They describe the stems before any mixer gain, so that a fader causes no onset.

    Attributes
    ----------
    loudness, onset, pitch : the processors
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        self.loudness = Loudness(spec)
        self.onset = Onset(spec)
        self.pitch = Pitch(spec)
        self._n_feeds = spec.n_feeds

    def process(
        self, separator: HopSeparator, mix: Float32Array, stems: Float32Array, out: Float32Array
    ) -> None:
        """Describe the separator's newest hop.

        Parameters
        ----------
        separator : HopSeparator
            Just after its `process`.
        mix : (b, c, hop_length) float32
        stems : (b, s, c, hop_length) float32
            What that `process` wrote, before any gain.
        out : (b, source, feature) float32
            Overwritten; order `spec.SOURCES`, `spec.FEATURES`.
        """
        if separator.fading.any():
            for feed in np.flatnonzero(separator.fading):
                self.onset.mute(int(feed))
        self.loudness.process(mix, stems, out)
        self.onset.process(
            separator.spectra, separator.masked, separator.frames, separator.masked_frames, out
        )
        self.pitch.process(mix, stems, out)

    def seam(self, feed: int) -> None:
        """Say before `process` that the hop holds a discontinuity: no onset for 30 ms."""
        self.onset.mute(feed)

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's; onset counts start again."""
        self.loudness.reset(feed)
        self.onset.reset(feed)
        self.pitch.reset(feed)
