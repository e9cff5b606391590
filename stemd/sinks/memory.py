"""Keeps hops in memory: for tests, and for whoever wants arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


class MemorySink:
    """Collects copies of hop records."""

    def __init__(self) -> None:
        self._hops: list[Any] = []

    def write(self, hop: Any) -> None:
        """Keep a copy."""
        self._hops.append(hop.copy())

    def close(self) -> None:
        """Nothing to close."""

    def __len__(self) -> int:
        return len(self._hops)

    @property
    def hops(self) -> np.ndarray[Any, Any]:
        """All records, in order."""
        return np.array(self._hops)

    def stems(self, feed: int = 0) -> np.ndarray[Any, Any]:
        """(s, c, n) float32, hop after hop as they came."""
        return np.concatenate(list(self.hops["stems"][:, feed]), axis=-1)

    def mix(self, feed: int = 0) -> np.ndarray[Any, Any]:
        """(c, n) float32, the delayed input."""
        return np.concatenate(list(self.hops["mix"][:, feed]), axis=-1)
