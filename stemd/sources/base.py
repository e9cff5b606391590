"""What a source is: three methods, and the doors they share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

Stopping = Callable[[], bool]


class Writer(Protocol):
    """Where blocks go."""

    def room(self, n: int) -> bool:
        """True when `n` samples would fit; asked by sources that can wait."""

    def write(
        self,
        block: np.ndarray[Any, Any],
        adc_s: float,
        first_ns: int,
        arrival_ns: int,
        flags: int = 0,
        seams: int = 0,
    ) -> None:
        """Take a block, or count it as lost. Neither blocks nor raises.

        block : (n, channels) float32
        adc_s : the source's own clock at the first sample.
        first_ns, arrival_ns : CLOCK_MONOTONIC of the first sample, and of the block's arrival here.
        flags : as the host API raised them.
        seams : a bit for each feed of which a part was invented.
        """


class Source(Protocol):
    """Where blocks come from."""

    samplerate: int  # Hz, of the blocks
    blocksize: int  # samples, nominal
    label: str  # what a person calls it

    def open(self) -> None:
        """Raises DeviceError, saying what is missing."""

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Deliver blocks until `stopping()`; True when the source is through, False otherwise.

        Raises DeviceError when the source died.
        """

    def close(self) -> None:
        """May be called at any time, also after a failed `open`."""


class Pace:
    """Real time for sources that have no clock of their own."""

    def __init__(self, samplerate: int) -> None:
        self._samplerate = samplerate
        self._start_ns = time.monotonic_ns()
        self._samples = 0

    def wait(self, n: int) -> int:
        """Sleep until `n` more samples have sounded; returns the time of the first, ns."""
        first_ns = self._start_ns + self._samples * 1_000_000_000 // self._samplerate
        self._samples += n
        due_ns = self._start_ns + self._samples * 1_000_000_000 // self._samplerate
        late_ns = time.monotonic_ns() - due_ns
        if late_ns < 0:
            time.sleep(-late_ns * 1e-9)
        elif late_ns > 1_000_000_000:
            # The machine slept: go on from now instead of racing through what was missed.
            self._start_ns += late_ns
        return first_ns


def offer(
    writer: Writer, stopping: Stopping, block: np.ndarray[Any, Any], adc_s: float, first_ns: int
) -> None:
    """Deliver a block from a source that can wait: nothing is lost when the ring is full."""
    while not writer.room(len(block)):
        if stopping():
            return
        time.sleep(0.0005)
    writer.write(block, adc_s, first_ns, time.monotonic_ns())
