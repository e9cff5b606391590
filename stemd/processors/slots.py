"""A changing set of feeds, each with a slot of one model: any of them go one hop on per call.

Each feed has transforms of its own, so what it gets does not depend on its company but through the
model's batch, which is the same arithmetic for every row. Feeds at 88.2 kHz and above are not
resampled: window and hop grow with the rate, so that bins keep their width and the hop its time.
The model sees the bins it knows; those above take the mask of its last one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stemd.processors.masknet import SlotNet
from stemd.processors.separator import HopSeparator
from stemd.processors.stft import Complex64Array, Float32Array
from stemd.spec import N_CHANNELS, N_STEMS, StreamSpec

# Rate in Hz, and by how much the window grows.
GROWTH = {44_100: 1, 48_000: 1, 88_200: 2, 96_000: 2, 176_400: 4, 192_000: 4}


def grown(spec: StreamSpec, samplerate: int) -> StreamSpec:
    """The spec of one feed at a rate in `GROWTH`; all ratios to the second stay."""
    factor = GROWTH[samplerate]
    return StreamSpec(samplerate, spec.n_fft * factor, spec.hop_length * factor, spec.window)


class Slot:
    """One feed.

    Attributes
    ----------
    index : int
        Row of the model's state.
    spec : StreamSpec
    core : HopSeparator
        Its counts and flags are of this feed alone.
    hop : (c, hop_length) float32
        To be filled with the next samples before `Slots.process`.
    stems : (s, c, hop_length) float32
        What came out: the hop before the newest.
    """

    def __init__(self, spec: StreamSpec, samplerate: int, complex_masks: bool) -> None:
        self.index = -1
        self.complex_masks = complex_masks
        self.spec = own = grown(spec, samplerate)
        self.core = HopSeparator(own)
        self._growth = GROWTH[samplerate]
        self._n_bins = spec.n_bins
        hop_length = own.hop_length
        self._hop = np.zeros((1, N_CHANNELS, hop_length), np.float32)
        self._stems = np.zeros((1, N_STEMS, N_CHANNELS, hop_length), np.float32)
        self._mix = np.zeros((1, N_CHANNELS, hop_length), np.float32)
        self.hop = self._hop[0]
        self.stems = self._stems[0]
        parts = (2,) if complex_masks else ()
        self._masks = np.zeros((1, N_STEMS, N_CHANNELS, own.n_bins, *parts), np.float32)

    def analyse(self) -> None:
        """The newest frame of `hop`."""
        self.core.analyse(self._hop)

    def show(self, out: Complex64Array) -> None:
        """The newest frame as the model knows frames, into (c, f); a longer one is louder."""
        np.multiply(
            self.core.spectra[0, :, : self._n_bins], np.float32(1.0 / self._growth), out=out
        )

    def finish(self, masks: Float32Array | None, net: _SlotModel | None) -> None:
        """`stems` from masks (s, c, f[, 2]) of the newest frame, or without."""
        if masks is None:
            self.core.take(None, net)
        else:
            known = self._masks[0]
            known[:, :, : self._n_bins] = masks
            known[:, :, self._n_bins :] = masks[:, :, -1:]
            self.core.take(self._masks, net)
        self.core.synthesise(self._stems, self._mix)


class _SlotModel:
    """One row of a `SlotNet`, as `HopSeparator.take` asks for it."""

    def __init__(self, net: SlotNet, index: int) -> None:
        self.complex_masks = net.complex_masks
        self._net, self._index = net, index

    def process(self, spectra: Complex64Array, deadline: float | None = None) -> None:
        """Masks come for all slots at once: see `Slots.process`."""

    def reset(self, slot: int | None = None) -> None:
        """Forget the row's past."""
        self._net.reset(self._index)


class Slots:
    """Separate up to `spec.n_feeds` feeds that come and go.

    Parameters
    ----------
    spec : StreamSpec
        What the model was made for; `n_feeds` is the most there can be.
    net : SlotNet or None
        None is dry.

    Latency:  hop_length samples of the feed's own spec, as `HopSeparator`.
    """

    def __init__(self, spec: StreamSpec, net: SlotNet | None = None) -> None:
        self.spec = spec
        self._net = net
        self._free = list(range(spec.n_feeds))[::-1]
        # A feed that comes back finds its memory made.
        self._spare: dict[int, list[Slot]] = {}
        self._models = [None if net is None else _SlotModel(net, i) for i in range(spec.n_feeds)]
        self._indices = np.zeros(spec.n_feeds, np.intp)

    @property
    def room(self) -> int:
        """How many more feeds there is room for."""
        return len(self._free)

    def admit(self, samplerate: int) -> Slot | None:
        """A slot as if new, for a rate in `GROWTH`; None when all are taken."""
        if not self._free:
            return None
        spare = self._spare.setdefault(samplerate, [])
        complex_masks = self._net is not None and self._net.complex_masks
        slot = spare.pop() if spare else Slot(self.spec, samplerate, complex_masks)
        slot.index = self._free.pop()
        self.reset(slot)
        return slot

    def evict(self, slot: Slot) -> None:
        """Give a slot back."""
        self._free.append(slot.index)
        slot.index = -1
        self._spare[slot.spec.samplerate].append(slot)

    def reset(self, slot: Slot) -> None:
        """Start a feed again as if new."""
        slot.core.reset()
        if self._net is not None:
            self._net.reset(slot.index)

    def process(self, slots: Sequence[Slot], without: Sequence[Slot] = ()) -> None:
        """The next hop of some feeds: from their `hop` to their `stems`.

        Parameters
        ----------
        slots : sequence of Slot
            In one call of the model; none twice.
        without : sequence of Slot
            Feeds that have no time for the model: earlier masks, then dry.
        """
        net = self._net
        for slot in (*slots, *without):
            slot.analyse()
        if net is None or not slots:
            masks = None
        else:
            indices = self._indices[: len(slots)]
            for row, slot in enumerate(slots):
                indices[row] = slot.index
                slot.show(net.mix[row])
            masks = net.process(indices)
        for row, slot in enumerate(slots):
            slot.finish(None if masks is None else masks[row], self._models[slot.index])
        for slot in without:
            slot.finish(None, self._models[slot.index])
