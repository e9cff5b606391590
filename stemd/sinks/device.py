"""Stems on an output device."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pyaudio

from ..config import Config
from ..errors import DeviceError
from ..portaudio import choose, list_devices, name_jack_client, quiet
from ..spec import StreamSpec
from .player import Player

STALL_S = 0.5


class OutputDevice(Player):
    """Plays pairs of stems through PortAudio.

    Raises
    ------
    DeviceError
        From the constructor, when there is no such device; from `check`, when it died.
    """

    def __init__(self, config: Config, spec: StreamSpec) -> None:
        wanted = config.output
        blocksize = wanted.blocksize or spec.hop_length
        super().__init__(config, spec, wanted.samplerate or spec.samplerate, blocksize)
        quiet()
        name_jack_client(f"stemd-out-{os.getpid()}")
        audio = pyaudio.PyAudio()
        device = choose(list_devices(audio), "output", wanted.device, wanted.host_api, "output")
        self.label = f"{device.name} ({device.host_api})"
        if device.max_output_channels < self.channels:
            raise DeviceError(
                f"output.device {self.label}: got {device.max_output_channels} output channels, "
                f"expected {self.channels} for {self.channels // 2} pairs"
            )
        self._last_s = time.monotonic() + 1.0
        try:
            self._stream = audio.open(
                rate=self.samplerate,
                channels=self.channels,
                format=pyaudio.paFloat32,
                output=True,
                output_device_index=device.index,
                frames_per_buffer=blocksize,
                stream_callback=self._callback,
            )
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"output.device {self.label}: got {error} for {self.channels} channels at "
                f"{self.samplerate} Hz, expected one that opens"
            ) from error

    def _callback(self, _data: Any, frame_count: int, _times: Any, _flags: int) -> Any:
        out = np.empty((frame_count, self.channels), np.float32)
        self._cushion.read(out)
        self._last_s = time.monotonic()
        return out.tobytes(), pyaudio.paContinue

    def check(self) -> None:
        """Raise DeviceError when the device takes nothing any more."""
        # Never closed: PortAudio's own ending hangs on a dead server, so the process just leaves.
        if not self._stream.is_active() or time.monotonic() - self._last_s > STALL_S:
            raise DeviceError(f"output.device {self.label}: it stopped taking audio")
