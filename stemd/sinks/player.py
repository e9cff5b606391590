"""Stems for somebody whose clock is not the input's: mixed, drift-corrected, on a cushion."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import Config
from ..processors.drift import DriftCorrector
from ..spec import SOURCES, STEMS, StreamSpec

MAX_FILL = 3.0  # times the target; more is dropped at once: latency comes back instead of staying
MIX = SOURCES[0]


class Cushion:
    """Samples between the outbox's pace and the device's; one writer, one reader, one process.

    The reader is PortAudio's callback. It starts only when the target is reached, and waits for
    the target again after it ran dry.
    """

    def __init__(self, capacity: int, channels: int, target: int) -> None:
        self._data = np.zeros((capacity, channels), np.float32)
        self._written = 0
        self._read = 0
        self._primed = False
        self._target = target
        self._level = np.zeros(channels, np.float32)  # last sample played, to leave it gently
        self.underruns = 0
        self.played = 0

    @property
    def fill(self) -> int:
        """Samples waiting."""
        return self._written - self._read

    def write(self, block: np.ndarray[Any, Any]) -> int:
        """Append (n, channels); returns the samples that did not fit."""
        capacity = len(self._data)
        n = min(len(block), capacity - self.fill)
        at = self._written % capacity
        head = min(n, capacity - at)
        self._data[at : at + head] = block[:head]
        self._data[: n - head] = block[head:n]
        self._written += n
        return len(block) - n

    def drop(self, n: int) -> None:
        """Throw away the oldest `n` samples; the writer's way to give latency back."""
        self._read += n

    def read(self, out: np.ndarray[Any, Any]) -> None:
        """Fill `out` (n, channels), with silence where there is nothing."""
        self._primed = self._primed or self.fill >= self._target
        n = min(len(out), self.fill) if self._primed else 0
        at = self._read % len(self._data)
        head = min(n, len(self._data) - at)
        out[:head] = self._data[at : at + head]
        out[head:n] = self._data[: n - head]
        if n:
            self._level[:] = out[n - 1]
        if n < len(out):
            rest = len(out) - n
            out[n:] = self._level * np.linspace(1, 0, rest, dtype=np.float32)[:, None] ** 2
            self._level[:] = 0.0
            self.underruns += rest if self._primed else 0
            self._primed = False
        self._read += n
        self.played += n


class Player:
    """Pairs of stems at the pace of whoever reads `cushion`.

    Parameters
    ----------
    config : Config
    spec : StreamSpec
    samplerate : int
        The reader's, Hz.
    blocksize : int
        What the reader takes at once, samples.

    Attributes
    ----------
    label : str
        Whom it plays to, for people.
    channels : int
    samplerate : int
        Hz.
    target : int
        Samples that should wait in the cushion.
    overruns : int
        Samples thrown away because the reader took too few.
    """

    label = ""

    def __init__(self, config: Config, spec: StreamSpec, samplerate: int, blocksize: int) -> None:
        wanted = config.output
        self._pairs = wanted.channel_pairs
        names = [feed.name for feed in config.feed]
        self._feed = names.index(wanted.feed) if wanted.feed else 0
        self._hop_s = spec.hop_s
        self.samplerate = samplerate
        self.channels = 2 * len(self._pairs)
        ratio = samplerate / spec.samplerate
        # One block the device takes at once, one hop that comes at once, and the margin.
        self.target = round(
            blocksize + spec.hop_length * ratio + wanted.margin_ms * 1e-3 * samplerate
        )
        self._drift = DriftCorrector(ratio, self.channels, self.target)
        self._cushion = Cushion(8 * self.target, self.channels, self.target)
        self._mixed = np.zeros((spec.hop_length, self.channels), np.float32)
        self.overruns = 0

    @property
    def ppm(self) -> float:
        """Correction in force."""
        return self._drift.ppm

    @property
    def fill(self) -> int:
        """Samples in the cushion."""
        return self._cushion.fill

    @property
    def underruns(self) -> int:
        """Samples of silence the device got because nothing was there."""
        return self._cushion.underruns

    @property
    def played(self) -> int:
        """Samples played."""
        return self._cushion.played

    def write(self, hop: Any) -> None:
        """Mix one hop for the device and put it on the cushion."""
        self._mixed.fill(0.0)
        for i, pair in enumerate(self._pairs):
            out = self._mixed[:, 2 * i : 2 * i + 2]
            for name in pair:
                block = hop["mix"] if name == MIX else hop["stems"][:, STEMS.index(name)]
                out += block[self._feed].T
        fill = self._cushion.fill
        if fill > MAX_FILL * self.target:
            self._cushion.drop(fill - self.target)
            self.overruns += fill - self.target
            self._drift.reset()
        block = self._drift.process(self._mixed, self._cushion.fill, self._hop_s)
        self.overruns += self._cushion.write(block)

    def check(self) -> None:
        """Raise DeviceError when nobody takes anything any more."""
        raise NotImplementedError
