"""A model for feeds that come and go: it runs for those that are there, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stemd.processors.masknet import SlotNet
from stemd.processors.stft import Complex64Array, Float32Array
from stemd.spec import N_CHANNELS, N_STEMS, StreamSpec

USABLE = 0.75  # of a hop; what is left is for the day the machine does something else
TRIED = 24  # hops, for each number of feeds


class PresentNet:
    """`SlotNet` with the face of `MaskNet`: all feeds in, all masks out.

    Parameters
    ----------
    net : SlotNet
    spec : StreamSpec
        `n_feeds` is the number of slots.

    Attributes
    ----------
    present : tuple of int
        Feeds the model runs for. May be replaced from another thread; the next frame counts. The
        masks of the others stay as they were.
    """

    def __init__(self, net: SlotNet, spec: StreamSpec) -> None:
        self._net = net
        self.name, self.provider = net.name, net.provider
        self.complex_masks = net.complex_masks
        self.present: tuple[int, ...] = tuple(range(spec.n_feeds))
        parts = (2,) if net.complex_masks else ()
        shape = (spec.n_feeds, N_STEMS, N_CHANNELS, spec.n_bins, *parts)
        self._masks = np.zeros(shape, np.float32)
        # An index for each number of feeds: taken now, not in the middle of a hop.
        self._indices = [np.zeros(n, np.intp) for n in range(spec.n_feeds + 1)]

    def process(self, spectra: Complex64Array) -> Float32Array:
        """Masks of all feeds' newest frames; see `MaskNet.process`."""
        present = self.present
        indices = self._indices[len(present)]
        if not len(indices):
            return self._masks
        for row, feed in enumerate(present):
            indices[row] = feed
            self._net.mix[row] = spectra[feed]
        self._masks[indices] = self._net.process(indices)
        return self._masks

    def reset(self, slot: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        self._net.reset(slot)

    def export_state(self, slot: int) -> bytes:
        """See `MaskNet.export_state`: the bytes are the same."""
        return self._net.export_state(slot)

    def import_state(self, slot: int, data: bytes) -> None:
        """See `MaskNet.import_state`."""
        self._net.import_state(slot, data)


def feeds_that_fit(
    net: PresentNet,
    n_feeds: int,
    hop_s: float,
    step: Callable[[], float],
    usable: float = USABLE,
) -> int:
    """How many feeds can be separated in time, by trying one and all.

    Parameters
    ----------
    step : () -> float
        Runs a whole hop; returns the seconds it took.

    Returns
    -------
    n : int
        0 when not even one can; may be more than there are feeds.
    """
    one = _typical(net, (0,), step)
    if n_feeds == 1:
        return int(usable * hop_s // one)
    every = _typical(net, tuple(range(n_feeds)), step)
    each = max((every - one) / (n_feeds - 1), 1e-6)
    if every <= usable * hop_s:
        return max(n_feeds, int(1 + (usable * hop_s - one) / each))
    return max(0, min(n_feeds - 1, int(1 + (usable * hop_s - one) // each)))


def _typical(net: PresentNet, present: Sequence[int], step: Callable[[], float]) -> float:
    net.present = tuple(present)
    return float(np.median([step() for _ in range(TRIED)]))
