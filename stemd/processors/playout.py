"""How long to wait for a network: a delay that follows its jitter, up at once, down slowly."""

from __future__ import annotations

import math

import numpy as np

BIN_S = 0.5e-3
FORGET_S = 3.0  # one in 2000 is left of an hour of trouble 23 s after it has ended
QUANTILE = 0.9995  # of the blocks are to be there in time
GUARD_S = 1e-3  # timers are as exact as that
LEARN_S = 2.0  # until then the delay stays at its start
WINDOW_S = 2.0  # of the fastest way; two of them are looked at
SHRINK = 5e-3  # seconds of delay given back each second
UPDATE_S = 0.25


class Playout:
    """Decides when each sample of a sender is played here.

    What comes first in two to four seconds is taken as the sender's clock plus the fastest way; how
    much later the others come is counted, and the delay covers nearly all of it. Times are seconds
    of our own monotonic clock.

    Parameters
    ----------
    samplerate : int
        Nominal, Hz. A clock that is off moves the fastest way; it is followed.
    least_s, most_s, start_s : float
        Limits of the delay, and where it begins. least = most: it is fixed.
    bias_s : float
        More than is needed.

    Attributes
    ----------
    target_s : float
        Delay wanted.
    outages : int
        Blocks later than any delay allowed: not learned from.
    """

    def __init__(
        self, samplerate: int, least_s: float, most_s: float, start_s: float, bias_s: float = 0.0
    ) -> None:
        self._rate = samplerate
        self._least_s, self._most_s = least_s, most_s
        self._start_s = min(max(start_s, least_s), most_s)
        self._bias_s = bias_s
        self._late = np.zeros(math.ceil(most_s / BIN_S) + 1)
        self.outages = 0
        self.restart()

    def restart(self) -> None:
        """Begin again with what comes next: another way, or another clock."""
        self._late.fill(0.0)
        self._newest_s = self._before_s = math.inf
        self._turned_s = self._updated_s = self._began_s = -math.inf
        self._lag_s = math.nan  # nothing is known yet
        self.target_s = self._start_s

    @property
    def known(self) -> bool:
        """Something came."""
        return not math.isnan(self._lag_s)

    @property
    def delay_s(self) -> float:
        """Beyond the fastest way, now."""
        return self._lag_s - self._base_s if self.known else self.target_s

    def due_s(self, end: int) -> float:
        """When the block that ends before sample `end` is played."""
        return self._lag_s + end / self._rate

    def heard(self, end: int, now_s: float, counts: bool = True) -> float:
        """Take note of a block's arrival; returns how much later than the fastest, seconds.

        Parameters
        ----------
        end : int
            Sample behind its last.
        counts : bool
            False: it says nothing of the network (it was asked for again, or we looked late).
        """
        way_s = now_s - end / self._rate
        if not self.known:
            self._began_s = self._turned_s = self._updated_s = now_s
            self._lag_s = way_s + self.target_s
        self._newest_s = min(self._newest_s, way_s)
        late_s = way_s - self._base_s
        if counts:
            place = int(late_s / BIN_S)
            if place < len(self._late):
                self._late[place] += 1.0
            else:
                self.outages += 1
        return late_s

    def advance(self, now_s: float) -> None:
        """Let the delay follow."""
        elapsed_s = now_s - self._updated_s
        if elapsed_s < UPDATE_S or not self.known:
            return
        self._updated_s = now_s
        if now_s - self._turned_s > WINDOW_S:
            self._turned_s = now_s
            if math.isfinite(self._newest_s):
                self._before_s, self._newest_s = self._newest_s, math.inf
        self._late *= math.exp(-elapsed_s / FORGET_S)
        if now_s - self._began_s > LEARN_S:
            self.target_s = min(max(self._needed_s(), self._least_s), self._most_s)
        wanted_s = self._base_s + self.target_s
        self._lag_s = max(wanted_s, self._lag_s - SHRINK * elapsed_s)

    @property
    def _base_s(self) -> float:
        return min(self._newest_s, self._before_s)

    def _needed_s(self) -> float:
        total = float(self._late.sum())
        if total < 1.0:
            return self.target_s
        place = int(np.searchsorted(np.cumsum(self._late), QUANTILE * total))
        return (place + 1) * BIN_S + GUARD_S + self._bias_s
