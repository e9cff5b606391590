"""Stems on an output device, whose clock is not the input's."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pyaudio

from ..config import Config
from ..errors import DeviceError
from ..portaudio import choose, list_devices, name_jack_client, quiet
from ..processors.drift import DriftCorrector
from ..spec import SOURCES, STEMS, StreamSpec

MAX_FILL = 3.0  # times the target; more is dropped at once: latency comes back instead of staying
STALL_S = 0.5
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


class OutputDevice:
    """Plays pairs of stems through PortAudio.

    Parameters
    ----------
    config : Config
    spec : StreamSpec

    Raises
    ------
    DeviceError
        From the constructor, when there is no such device; from `write`, when it died.
    """

    def __init__(self, config: Config, spec: StreamSpec) -> None:
        wanted = config.output
        self._pairs = [[name.strip() for name in pair.split("+")] for pair in wanted.pairs]
        names = [feed.name for feed in config.feed]
        self._feed = names.index(wanted.feed) if wanted.feed else 0
        self._hop_s = spec.hop_s
        self.samplerate = wanted.samplerate or spec.samplerate
        blocksize = wanted.blocksize or spec.hop_length
        channels = 2 * len(self._pairs)
        ratio = self.samplerate / spec.samplerate
        # One block the device takes at once, one hop that comes at once, and the margin.
        target = round(
            blocksize + spec.hop_length * ratio + wanted.margin_ms * 1e-3 * self.samplerate
        )
        self.target = target
        self._drift = DriftCorrector(ratio, channels, target)
        self._cushion = Cushion(8 * target, channels, target)
        self._mixed = np.zeros((spec.hop_length, channels), np.float32)
        self.overruns = 0
        quiet()
        name_jack_client(f"stemd-out-{os.getpid()}")
        audio = pyaudio.PyAudio()
        device = choose(list_devices(audio), "output", wanted.device, wanted.host_api, "output")
        self.label = f"{device.name} ({device.host_api})"
        if device.max_output_channels < channels:
            raise DeviceError(
                f"output.device {self.label}: got {device.max_output_channels} output channels, "
                f"expected {channels} for {len(self._pairs)} pairs"
            )
        self._channels = channels
        self._last_s = time.monotonic() + 1.0
        try:
            self._stream = audio.open(
                rate=self.samplerate,
                channels=channels,
                format=pyaudio.paFloat32,
                output=True,
                output_device_index=device.index,
                frames_per_buffer=blocksize,
                stream_callback=self._callback,
            )
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"output.device {self.label}: got {error} for {channels} channels at "
                f"{self.samplerate} Hz, expected one that opens"
            ) from error

    def _callback(self, _data: Any, frame_count: int, _times: Any, _flags: int) -> Any:
        out = np.empty((frame_count, self._channels), np.float32)
        self._cushion.read(out)
        self._last_s = time.monotonic()
        return out.tobytes(), pyaudio.paContinue

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
        """Raise DeviceError when the device takes nothing any more."""
        if not self._stream.is_active() or time.monotonic() - self._last_s > STALL_S:
            raise DeviceError(f"output.device {self.label}: it stopped taking audio")

    def close(self) -> None:
        """Nothing: PortAudio's own ending hangs on a dead server, so the process just leaves."""
