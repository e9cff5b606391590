"""A sine, for tests of levels, wiring and latency."""

from __future__ import annotations

import time

import numpy as np

from ..config import SourceConfig
from .base import Pace, Stopping, Writer, offer


class ToneSource:
    """Sine on every channel."""

    def __init__(self, config: SourceConfig, channels: int, blocksize: int) -> None:
        self.samplerate = config.samplerate
        self.blocksize = blocksize
        self.label = f"tone {config.frequency_hz:g} Hz at {config.level_db:g} dBFS"
        self._channels = channels
        self._gain = 10 ** (config.level_db / 20)
        self._step = 2 * np.pi * config.frequency_hz / config.samplerate
        self._paced = config.pace == "real"

    def open(self) -> None:
        """Nothing to open."""

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Sound until stopped."""
        pace = Pace(self.samplerate)
        block = np.empty((self.blocksize, self._channels), np.float32)
        n = np.arange(self.blocksize)
        position = 0
        while not stopping():
            block[:] = (self._gain * np.sin(self._step * (position + n)))[:, None]
            first_ns = pace.wait(self.blocksize) if self._paced else time.monotonic_ns()
            offer(writer, stopping, block, position / self.samplerate, first_ns)
            position += self.blocksize
        return False

    def close(self) -> None:
        """Nothing to close."""
