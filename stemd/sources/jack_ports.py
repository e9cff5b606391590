"""Audio input through JACK ports of our own name: whoever has sound connects it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..config import SourceConfig
from ..errors import DeviceError
from ..portaudio import open_jack_client
from .base import Stopping, Writer

CLIENT = "stemd-in"
ALIAS = "stemd"  # what people know; ports of the output have this client's name
WATCH_S = 0.02  # how often the server's life is looked at


class JackSource:
    """Ports `stemd:in_L`, `stemd:in_R`; with more or fewer channels `stemd:in_1`, `in_2`, …

    Nothing is connected: an input nobody has connected is silence.

    Parameters
    ----------
    config : SourceConfig
    channels : int
        Channels wanted: the highest any feed uses.
    stall_s : float
        Silence of the server that means death.
    follow_rate : bool
        Refuse a server that runs at another rate than `config` says, and say which: the stream
        then starts anew with it. Otherwise the server's rate is resampled.
    """

    def __init__(
        self, config: SourceConfig, channels: int, blocksize: int, stall_s: float, follow_rate: bool
    ) -> None:
        self.samplerate = config.samplerate
        self.blocksize = blocksize
        self.device_rate = 0  # Hz, the server's, when it is not the one expected
        self.label = f"{ALIAS}:in (JACK)"
        self._channels = channels
        self._stall_s = stall_s
        self._follow_rate = follow_rate
        self._client: Any = None
        self._ports: list[Any] = []
        self._writer: Writer | None = None
        self._samples = 0
        self._dead = ""
        self._last_s = 0.0

    def open(self) -> None:
        """Register the ports."""
        self._client = open_jack_client(CLIENT, "source.kind")
        rate = int(self._client.samplerate)
        if self._follow_rate and rate != self.samplerate:
            self.device_rate = rate
            raise DeviceError(
                f"{self.label}: got {rate} Hz, expected {self.samplerate} Hz: following it"
            )
        self.samplerate = rate
        self.blocksize = int(self._client.blocksize)
        for name in input_names(self._channels):
            port = self._client.inports.register(name)
            port.set_alias(f"{ALIAS}:{name}")
            self._ports.append(port)
        self._block = np.zeros((self.blocksize, self._channels), np.float32)
        self._client.set_process_callback(self._process)
        self._client.set_shutdown_callback(self._shutdown)

    def _process(self, frames: int) -> None:
        arrival_ns = time.monotonic_ns()
        if frames != len(self._block):  # somebody gave the graph another period
            self._block = np.zeros((frames, self._channels), np.float32)
        for c, port in enumerate(self._ports):
            self._block[:, c] = port.get_array()
        # The server's own count of samples, 32 bits of it: a cycle that was missed is a jump.
        counted = self._client.last_frame_time
        self._samples += (counted - self._samples) & 0xFFFFFFFF
        adc_s = self._samples / self.samplerate
        first_ns = arrival_ns - round(frames * 1e9 / self.samplerate)
        if self._writer is not None:
            self._writer.write(self._block, adc_s, first_ns, arrival_ns)
        self._last_s = time.monotonic()

    def _shutdown(self, _status: Any, reason: str) -> None:
        self._dead = reason or "the server left"

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Let the callback work until the server dies or the daemon ends."""
        self._writer = writer
        self._last_s = time.monotonic() + 1.0  # a server takes a while for the first block
        self._client.activate()
        while not stopping():
            time.sleep(WATCH_S)
            if self._dead:
                raise DeviceError(f"{self.label}: {self._dead}")
            if time.monotonic() - self._last_s > self._stall_s:
                raise DeviceError(f"{self.label}: no audio for {self._stall_s * 1000:.0f} ms")
        return False

    def close(self) -> None:
        """Nothing: a dead server keeps whoever says goodbye, so the process just leaves."""


def input_names(channels: int) -> list[str]:
    """Names of the ports, in the order of `[[feed]] channels`."""
    if channels == 2:
        return ["in_L", "in_R"]
    return [f"in_{n + 1}" for n in range(channels)]
