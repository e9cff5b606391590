"""An audio input device through PortAudio's callback.

Measured reasons for the shape of this file: float32 always (16-bit on JACK is dithered, and with
blocking reads corrupts the heap); callback mode (blocking reads lose audio silently); death is seen
by the silence of the callback, because neither flags nor exceptions tell.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import numpy as np
import pyaudio

from ..config import SourceConfig
from ..errors import DeviceError
from ..portaudio import DeviceInfo, choose, list_devices, name_jack_client, quiet
from .base import Stopping, Writer

WATCH_S = 0.02  # how often the stream's life is looked at


class DeviceSource:
    """PortAudio input.

    Parameters
    ----------
    config : SourceConfig
    channels : int
        Channels wanted: the highest any feed uses.
    blocksize : int
        Samples per callback; the sound server's period when it can be matched.
    stall_s : float
        Silence of the callback that means death.
    follow_rate : bool
        Refuse a device that runs at another rate than `config` says, instead of having it
        resampled by whatever lies between.
    """

    def __init__(
        self,
        config: SourceConfig,
        channels: int,
        blocksize: int,
        stall_s: float,
        follow_rate: bool = False,
    ) -> None:
        self.samplerate = config.samplerate
        self.device_rate = 0  # Hz, what to open it with instead; 0: nothing better is known
        self._follow_rate = follow_rate
        self.blocksize = blocksize
        self.label = config.device or "default input"
        self._config = config
        self._channels = channels
        self._stall_s = stall_s
        self._audio: Any = None
        self._stream: Any = None
        self._writer: Writer | None = None
        self._last_s = 0.0

    def open(self) -> None:
        """Find the device by name and check that it can do what is asked."""
        quiet()
        name_jack_client(f"stemd-{os.getpid()}")
        self._audio = pyaudio.PyAudio()
        device = choose(
            list_devices(self._audio),
            "input",
            self._config.device,
            self._config.host_api,
            "source",
        )
        self.label = f"{device.name} ({device.host_api})"
        if self._follow_rate and self.samplerate not in device.rates:
            self.device_rate = device.rates[0]
            raise DeviceError(
                f"source.device {self.label}: got {self.device_rate} Hz, "
                f"expected {self.samplerate} Hz as before: following it"
            )
        mono = device.max_input_channels == 1 and self._channels == 2
        if device.max_input_channels < self._channels and not mono:
            raise DeviceError(
                f"source.device {self.label}: got {device.max_input_channels} input channels, "
                f"expected {self._channels} for the channels the feeds name"
            )
        wanted = 1 if mono else self._channels
        # Some hardware opens only with all its channels; the callback drops the extra ones.
        for channels in dict.fromkeys((wanted, device.max_input_channels)):
            try:
                self._stream = self._audio.open(
                    rate=self.samplerate,
                    channels=channels,
                    format=pyaudio.paFloat32,
                    input=True,
                    input_device_index=device.index,
                    frames_per_buffer=self.blocksize,
                    start=False,
                    stream_callback=self._callback,
                )
                self._device_channels = channels
                return
            except (OSError, ValueError) as error:
                refusal = error
        # A device that is busy for a moment refuses every rate: that says nothing of its own.
        other = device.rates[-1]
        if (
            self._follow_rate
            and not self._takes(device, wanted, self.samplerate)
            and self._takes(device, wanted, other)
        ):
            self.device_rate = other
        raise DeviceError(
            f"source.device {self.label}: got {refusal} for {wanted} channels at "
            f"{self.samplerate} Hz, expected one that opens (its default rate is "
            f"{device.default_samplerate:g} Hz)"
        ) from refusal

    def _takes(self, device: DeviceInfo, wanted: int, rate: int) -> bool:
        """Whether it would open at this rate now."""
        for channels in dict.fromkeys((wanted, device.max_input_channels)):
            with contextlib.suppress(OSError, ValueError):
                if self._audio.is_format_supported(
                    rate,
                    input_device=device.index,
                    input_channels=channels,
                    input_format=pyaudio.paFloat32,
                ):
                    return True
        return False

    def _callback(
        self, data: bytes, frame_count: int, times: dict[str, float], flags: int
    ) -> tuple[None, int]:
        arrival_ns = time.monotonic_ns()
        block = np.frombuffer(data, np.float32).reshape(frame_count, self._device_channels)
        if self._device_channels < self._channels:
            block = np.broadcast_to(block, (frame_count, self._channels))
        age_s = times["current_time"] - times["input_buffer_adc_time"]
        # A block cannot be younger than its own length; some hosts say so (JACK: 0) or worse.
        least_s = frame_count / self.samplerate
        age_s = max(age_s, least_s) if age_s < 2.0 else least_s
        first_ns = arrival_ns - int(age_s * 1e9)
        assert self._writer is not None
        self._writer.write(
            block[:, : self._channels], times["input_buffer_adc_time"], first_ns, arrival_ns, flags
        )
        self._last_s = time.monotonic()
        return None, pyaudio.paContinue

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Let the callback work until the device dies or the daemon ends."""
        self._writer = writer
        self._last_s = time.monotonic() + 1.0  # sound servers take a while for the first block
        self._stream.start_stream()
        while not stopping():
            time.sleep(WATCH_S)
            if not self._stream.is_active():
                raise DeviceError(f"{self.label}: the device stopped")
            if time.monotonic() - self._last_s > self._stall_s:
                raise DeviceError(f"{self.label}: no audio for {self._stall_s * 1000:.0f} ms")
        return False

    def close(self) -> None:
        """Nothing: PortAudio's own ending hangs on a dead server, so the process just leaves."""
