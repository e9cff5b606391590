"""How far another machine's clock is from ours, and how sure that is."""

from __future__ import annotations

from collections import deque

KEPT = 8  # exchanges
DRIFT = 100e-6  # two clocks part by as much, at worst, of the time that has passed


class ClockOffset:
    """The quickest of the last eight exchanges tells most: what it waited, it waited least.

    Source:   D. L. Mills, RFC 5905, section 10 (clock filter).
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int, int]] = deque(maxlen=KEPT)

    def add(self, asked_ns: int, heard_ns: int, said_ns: int, answered_ns: int) -> None:
        """One exchange: our clock, theirs, theirs, ours. What cannot be is passed over."""
        way_ns = (answered_ns - asked_ns) - (said_ns - heard_ns)
        if not 0 <= way_ns < 10_000_000_000:
            return
        offset_ns = ((heard_ns - asked_ns) + (said_ns - answered_ns)) // 2
        self._kept.append((float(way_ns), offset_ns, answered_ns))

    @property
    def known(self) -> bool:
        """There was an exchange."""
        return bool(self._kept)

    @property
    def offset_ns(self) -> int:
        """Their clock minus ours."""
        return min(self._kept)[1] if self._kept else 0

    @property
    def way_s(self) -> float:
        """There and back, at best."""
        return min(self._kept)[0] * 1e-9 if self._kept else 0.0

    def uncertainty_s(self, now_ns: int) -> float:
        """The offset is no further off."""
        if not self._kept:
            return float("inf")
        way_ns, _, at_ns = min(self._kept)
        return (way_ns / 2 + DRIFT * (now_ns - at_ns)) * 1e-9
