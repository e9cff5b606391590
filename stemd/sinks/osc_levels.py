"""Continuous values: what the addresses say of the newest features, and who was told what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ..spec import FEATURES, SOURCES, StreamSpec
from ..wire import addresses, osc
from ..wire.addresses import CENTROID_HZ, FLOOR_DB, LEVEL_RANGE_DB, LEVELS, Scale

KEEP_ALIVE_S = 0.25  # a value that did not change is sent again, because UDP loses packets
ENVELOPE_HALF_S = 0.1
A4_HZ, A4_NOTE = 440.0, 69
N_FEATURES = len(FEATURES)

_FLOOR = 10 ** (FLOOR_DB / 20)
_PEAK, _F0 = FEATURES.index("peak"), FEATURES.index("f0_hz")

Send = Callable[..., None]  # a packet, and whose address is left out
Element = tuple[str, bytes, float]  # address, its `osc.head`, number


def _columns(*scales: Scale) -> Any:
    """Places in LEVELS of what is scaled in one of these ways."""
    return np.array([k for k, level in enumerate(LEVELS) if level.scale in scales])


_FEATURE = np.array([FEATURES.index(level.feature) for level in LEVELS])
_LOW = np.array([level.low for level in LEVELS])
_HIGH = np.array([level.high for level in LEVELS])
_DB, _LEVEL, _NOTE = _columns("db"), _columns("level"), _columns("note")
_OCTAVES, _ENVELOPE = _columns("octaves"), _columns("envelope")
_STRENGTH = np.array(
    [
        FEATURES.index(event.feature)
        for k in _ENVELOPE
        for event in addresses.EVENTS
        if event.trigger == LEVELS[k].feature
    ]
)
assert len(_STRENGTH) == len(_ENVELOPE)  # an envelope follows an event
_STRUCK = _FEATURE[_ENVELOPE]


class Board:
    """Every continuous value of every source, of the newest hop.

    Attributes
    ----------
    addresses : list of str
    heads : list of bytes
        As `osc.head` makes them.
    steps : (k,) float64
        By how much a value must move to be sent.
    rows : (k,) int64
        Row of the features a value is from.
    peaks, voiced : (k,) bool
        Values that are the highest since the last tick; values that hold while unvoiced.
    """

    def __init__(self, spec: StreamSpec, feeds: Sequence[str], prefix: str) -> None:
        bases = addresses.bases(prefix, feeds)
        n_rows = len(bases) * len(SOURCES)
        found = [
            (address, row, k)
            for row in range(n_rows)
            for k, level in enumerate(LEVELS)
            if (
                address := addresses.address_of(
                    bases[row // len(SOURCES)], row % len(SOURCES), level.name, level.sources
                )
            )
        ]
        self.addresses = [address for address, _, _ in found]
        self.heads = [osc.head(address, "f") for address in self.addresses]
        self.rows = np.array([row for _, row, _ in found])
        columns = np.array([k for _, _, k in found])
        self._places = self.rows * len(LEVELS) + columns
        self.steps = np.array([level.step for level in LEVELS])[columns]
        self.peaks = np.array([level.scale == "peak" for level in LEVELS])[columns]
        self.voiced = np.array([level.voiced_only for level in LEVELS])[columns]
        self._values = np.zeros((n_rows, len(LEVELS)))
        self._envelopes = np.zeros((n_rows, len(_ENVELOPE)))
        self._decay = 0.5 ** (spec.hop_s / ENVELOPE_HALF_S)
        self._features: Any = np.zeros((n_rows, N_FEATURES), np.float32)
        self._current: Any = None
        self.live = False

    def write(self, rows: Any) -> None:
        """Take one hop.

        rows : (feed and source, feature) float32, finite; copied, for while hops are held back
        """
        self.live = True
        self._features[:] = rows
        self._current = None
        self._envelopes *= self._decay
        struck = np.where(rows[:, _STRUCK] > 0.0, rows[:, _STRENGTH], np.float32(0.0))
        np.maximum(self._envelopes, struck, out=self._envelopes)

    @property
    def peak(self) -> Any:
        """Highest sample of each row in this hop."""
        return self._features[:, _PEAK]

    @property
    def sounding(self) -> Any:
        """Whether each row has a pitch now."""
        return self._features[:, _F0] > 0.0

    def values(self) -> Any:
        """What every address says of the newest hop, as (k,) float64; measured once for all."""
        if self._current is None:
            values, features = self._values, self._features
            values[:] = features[:, _FEATURE]
            db = 20.0 * np.log10(np.maximum(values[:, _DB], _FLOOR))
            level_db = 20.0 * np.log10(np.maximum(values[:, _LEVEL], _FLOOR))
            octaves = np.maximum(values[:, _OCTAVES], CENTROID_HZ[0])
            values[:, _DB] = db
            values[:, _LEVEL] = 1.0 + level_db / LEVEL_RANGE_DB
            values[:, _NOTE] = A4_NOTE + 12.0 * np.log2(np.maximum(values[:, _NOTE], 1.0) / A4_HZ)
            values[:, _OCTAVES] = np.log2(octaves / CENTROID_HZ[0]) / np.log2(
                CENTROID_HZ[1] / CENTROID_HZ[0]
            )
            values[:, _ENVELOPE] = self._envelopes
            np.clip(values, _LOW, _HIGH, out=values)
            self._current = values.ravel()[self._places]
        return self._current


class Outlet:
    """One receiver, or several with one taste: what it wants, how often, what it heard last.

    Parameters
    ----------
    board : Board
    wanted : collection of str
        Addresses; others are not sent.
    send : callable
        Takes a packet.
    rate_hz : float
        How often continuous values may be sent.
    """

    def __init__(self, board: Board, wanted: Collection[str], send: Send, rate_hz: float) -> None:
        self.wanted = frozenset(wanted)
        self.send = send
        self._board = board
        self._period_s = 1.0 / rate_hz
        self._due = 0.0
        self._bundle = osc.Bundle()
        which = [k for k, address in enumerate(board.addresses) if address in self.wanted]
        self._which = np.array(which, np.int64)
        self._heads = [board.heads[k] for k in which]
        rows = board.rows[self._which]
        self._steps = board.steps[self._which]
        self._peak_at = np.flatnonzero(board.peaks[self._which])
        self._peak_rows = rows[self._peak_at]
        self._voiced_at = np.flatnonzero(board.voiced[self._which])
        self._voiced_rows = rows[self._voiced_at]
        self._peak = board.peak[self._peak_rows]
        self._told = True  # this peak was sent; it stays until a hop begins another
        self._sent = np.full(len(which), np.inf)  # so that the first tick sends everything
        self._sent_at = np.zeros(len(which))

    def hear(self) -> None:
        """A hop was written to the board."""
        if len(self._peak):
            peak = self._board.peak[self._peak_rows]
            self._peak = peak if self._told else np.maximum(self._peak, peak, out=self._peak)
            self._told = False

    def tick(self, now: float) -> None:
        """Send what has changed, and what has not been said for a while, when it is time."""
        if now < self._due or not self._board.live:
            return
        # Behind by more than a tick: start a new rhythm instead of a burst.
        self._due = max(self._due + self._period_s, now)
        if not len(self._which):
            return
        values = self._board.values()[self._which]
        values[self._peak_at] = np.clip(self._peak, 0.0, 1.0)
        self._told = True
        due = np.abs(values - self._sent) > self._steps
        due |= now - self._sent_at > KEEP_ALIVE_S
        due[self._voiced_at] &= self._board.sounding[self._voiced_rows]
        if due.any():
            self._sent[due] = values[due]
            self._sent_at[due] = now
            self._send_floats(np.flatnonzero(due).tolist(), values.tolist())

    def say(self, elements: Iterable[Element], but: Any = None) -> None:
        """What is wanted of these now, in as few packets as it fits in, but not to `but`."""
        bundle, wanted = self._bundle, self.wanted
        more = () if but is None else (but,)
        bundle.clear()
        for address, start, value in elements:
            if address in wanted and not bundle.add(start, value):
                if not bundle.empty:
                    self.send(bundle.packet, *more)
                bundle.clear()
                bundle.add(start, value)
        if not bundle.empty:
            self.send(bundle.packet, *more)

    def _send_floats(self, which: list[int], values: list[float]) -> None:
        starts = [self._heads[k] for k in which]
        numbers = [values[k] for k in which]
        bundle, at = self._bundle, 0
        while at < len(starts):
            bundle.clear()
            # An address longer than a packet is left out, not tried for ever.
            at = max(bundle.add_floats(starts, numbers, at), at + 1)
            if not bundle.empty:
                self.send(bundle.packet)
