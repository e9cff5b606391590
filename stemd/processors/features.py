"""All features of the mix and each stem, one row per source and hop."""

from __future__ import annotations

import numpy as np

from stemd.processors.chroma import Chroma
from stemd.processors.drums import Drums
from stemd.processors.meter import Meter
from stemd.processors.notes import Notes
from stemd.processors.onset import Onset
from stemd.processors.pitch import Pitch
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.processors.stft import Float32Array
from stemd.processors.tempo import Tempo
from stemd.spec import StreamSpec


class Features:
    """Everything there is to say about one hop after the separator has taken it.

    They describe the stems before any mixer gain, so that a fader causes no onset.

    Attributes
    ----------
    onset, meter, pitch, notes, chroma, drums, tempo : the processors
        Their thresholds and ranges may be turned at any time.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        self._powers = Powers(spec)
        self.onset = Onset(spec)
        self.meter = Meter(spec)
        self.pitch = Pitch(spec)
        self.notes = Notes(spec)
        self.chroma = Chroma(spec)
        self.drums = Drums(spec)
        self.tempo = Tempo(spec)
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
        if True in separator.fading.tolist():  # of so few, numpy's `any` takes longer
            for feed in np.flatnonzero(separator.fading):
                self.seam(int(feed))
        powers, onset = self._powers.process(separator.spectra, separator.masked), self.onset
        self.drums.listen(powers)
        onset.process(powers, separator.frames, separator.masked_frames, out, self.drums.logits)
        self.meter.process(mix, stems, powers, onset.flux, out)
        self.pitch.process(mix, stems, out)
        self.notes.process(out)  # of onset, level and pitch
        self.chroma.process(powers, out)
        self.drums.process(onset.odds, out)
        self.tempo.process(onset.flux, out)  # of the bands, too

    def seam(self, feed: int) -> None:
        """Say before `process` that the hop holds a discontinuity: nothing is struck for 30 ms."""
        self.onset.mute(feed)
        self.notes.mute(feed)
        self.drums.mute(feed)

    def forget(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's, in a stream that goes on; counts do, too."""
        running = [processor.counts for processor in (self.onset, self.notes, self.tempo)]
        kept = [counts.copy() for counts in running]
        self.reset(feed)
        for counts, before in zip(running, kept, strict=True):
            counts[:] = before

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's; counts start again."""
        for processor in (
            self.onset,
            self.meter,
            self.pitch,
            self.notes,
            self.chroma,
            self.drums,
            self.tempo,
        ):
            processor.reset(feed)
