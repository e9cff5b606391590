"""From what a device hands over to blocks of one length, with positions and a measured rate."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from ..processors.clock import DeviceClock
from ..wire.uplink import Audio

QUEUE_S = 0.5  # what waits when the sender is held up; beyond, it is dropped and counted
JITTER = 64  # samples; device clocks read up to 24 off without any loss


class Run(NamedTuple):
    """Blocks that go out together, each into a datagram of its own."""

    position: int
    samples: Audio  # (n, c): one or more whole blocks
    first_ns: int  # CLOCK_MONOTONIC of the first at the ADC, filtered
    gap: bool  # samples were lost before it


class Door:
    """Takes blocks from the source's thread; `sources.base.Writer`.

    Parameters
    ----------
    samplerate : int
    wake : callable
        Called after each block.

    Attributes
    ----------
    dropped : int
        Samples that found the queue full.
    """

    def __init__(self, samplerate: int, wake: Any) -> None:
        self._most = round(QUEUE_S * samplerate)
        self._wake = wake
        # deque's append and popleft are atomic: one thread writes, another reads
        self._queue: deque[tuple[Audio, float, int]] = deque()
        self._put = self._got = 0
        self.dropped = 0

    def room(self, n: int) -> bool:
        """True when `n` samples would fit."""
        return self._put - self._got + n <= self._most

    def write(
        self,
        block: np.ndarray[Any, Any],
        adc_s: float,
        first_ns: int,
        arrival_ns: int,
        flags: int = 0,
        seams: int = 0,
    ) -> None:
        """Take a block, or count it as lost."""
        n = len(block)
        if self.room(n):
            self._put += n
            self._queue.append((np.array(block, np.float32), adc_s, first_ns))
        else:
            self.dropped += n
        self._wake()

    @property
    def waiting(self) -> bool:
        """Whether there is something to read."""
        return bool(self._queue)

    def read(self) -> tuple[Audio, float, int] | None:
        """The oldest block, its device time in seconds, its time in ns; or None."""
        try:
            oldest = self._queue.popleft()
        except IndexError:
            return None
        self._got += len(oldest[0])
        return oldest


class Blocks:
    """Cuts what comes into blocks.

    Parameters
    ----------
    samplerate, channels, frames : int
        frames: samples of a block.

    Attributes
    ----------
    position : int
        Samples the device has heard since it was opened, those of unfinished blocks not yet.
    lost : int
        … of those, samples it did not hand over.
    """

    def __init__(self, samplerate: int, channels: int, frames: int) -> None:
        self._rate, self._frames = samplerate, frames
        self._clock = DeviceClock(samplerate)
        self._rest = np.zeros((0, channels), np.float32)
        self.position = 0
        self.lost = 0
        self._next_adc_s = 0.0
        self._started = False
        self._gap = False

    @property
    def samplerate(self) -> float:
        """Measured, Hz."""
        return self._clock.samplerate

    def process(self, samples: Audio, adc_s: float, first_ns: int, door_lost: int) -> Run | None:
        """The blocks that are complete now, if any.

        samples : (n, c) float32
        adc_s : device clock at the first, seconds
        door_lost : samples that found our own queue full, since the start
        """
        n = len(samples)
        lost = door_lost - self._door_lost
        self._door_lost = door_lost
        jump = (adc_s - self._next_adc_s) * self._rate
        # A clock read at the wrong moment is off by part of a block, a loss is whole.
        if self._started and jump - lost > max(n / 2, JITTER):
            lost = max(n * round(jump / n), lost)
        self._started = True
        self._next_adc_s = adc_s + n / self._rate
        if lost:
            waited = len(self._rest)
            self.lost += lost + waited
            self.position += lost + waited  # the part of a block before the hole goes with it
            self._rest = self._rest[:0]
            self._gap = True
            self._clock.resume()
        first_ns = self._clock.process(n, first_ns)
        return self._cut(samples, first_ns)

    _door_lost = 0

    def _cut(self, samples: Audio, first_ns: int) -> Run | None:
        waited = len(self._rest)
        if waited:
            samples = np.concatenate((self._rest, samples))
            first_ns -= waited * 1_000_000_000 // self._rate
        whole = len(samples) // self._frames * self._frames
        self._rest = samples[whole:]
        if not whole:
            return None
        run = Run(self.position, samples[:whole], first_ns, self._gap)
        self.position += whole
        self._gap = False
        return run
