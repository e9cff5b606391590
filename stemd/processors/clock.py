"""A device's clock as seen from ours: when a sample was heard, and how fast samples come."""

from __future__ import annotations

import math


class DeviceClock:
    """Delay-locked loop over the arrival times of blocks.

    Latency:  none; it only observes.
    Source:   F. Adriaensen, Using a DLL to filter time, LAC 2005. Deviation: the bandwidth starts
              wide and narrows, so that the estimate is usable within a second.
    """

    WIDE_HZ, NARROW_HZ = 1.0, 0.05  # narrow: a server that delivers in bursts moves nothing
    SETTLE_S = 10.0
    MAX_OFF = 0.05  # an estimate further from nominal than any crystal means a bad start

    def __init__(self, samplerate: int) -> None:
        self._nominal = samplerate
        self.reset()

    def resume(self) -> None:
        """The same source goes on after a hole: its rate is known, when it goes on is not."""
        self._started = False

    def reset(self) -> None:
        """The source was opened anew."""
        self._started = False
        self.samplerate = float(self._nominal)  # Hz, measured; nominal until it has settled

    def process(self, n_samples: int, first_ns: int) -> int:
        """Take a block's length and the observed time of its first sample; return it filtered.

        Times are CLOCK_MONOTONIC, ns.
        """
        period_s = n_samples / self._nominal
        if not self._started:
            self._started = True
            self._origin_ns = first_ns  # seconds from here: float64 ns since boot lose precision
            self._elapsed_s = 0.0
            self._next_s = period_s
            self._rate_s = 1.0 / self.samplerate
            return first_ns
        error_s = (first_ns - self._origin_ns) * 1e-9 - self._next_s
        narrowing = min(self._elapsed_s / self.SETTLE_S, 1.0)
        bandwidth = self.WIDE_HZ * (self.NARROW_HZ / self.WIDE_HZ) ** narrowing
        omega = min(2 * math.pi * bandwidth * period_s, 0.5)
        now_s = self._next_s + math.sqrt(2) * omega * error_s
        self._rate_s += omega * omega * error_s / n_samples
        limit = self.MAX_OFF / self._nominal
        self._rate_s = min(max(self._rate_s, 1 / self._nominal - limit), 1 / self._nominal + limit)
        self._next_s = now_s + n_samples * self._rate_s
        self._elapsed_s += period_s
        if self._elapsed_s > self.SETTLE_S:
            self.samplerate = 1.0 / self._rate_s
        return self._origin_ns + int(now_s * 1e9)
