"""The way back: a stem of a daemon elsewhere, played on a device here, clock by clock.

Between the network and the device lies the cushion of `play`: what comes in bursts is smoothed, and
the two clocks, which never agree, are brought together by resampling a few parts per million.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .client import Client
from .config import Config, OutputConfig
from .errors import DeviceError
from .sinks.device import OutputDevice
from .sinks.player import MIX
from .spec import StreamSpec

N_FFT_PER_HOP = 2  # of the stream's shape only the hop matters here


class Listener:
    """Blocks of a client to an output device.

    Parameters
    ----------
    client : Client
        Asked for the stems that are to be heard together.
    device, host_api : str
        Parts of the names, any case; empty: the default.
    margin_ms : float
        Cushion beyond one block of each side: what the network may be late.

    Attributes
    ----------
    skipped : int
        Samples of blocks of another length than the stream's; where a short gap ended.

    Raises
    ------
    DeviceError
        When there is no such device; from `step`, when it died or the stream is another one now.

    Latency:  `device.target` samples, the network's way, and the device's own.
    """

    def __init__(self, client: Client, device: str, host_api: str, margin_ms: float) -> None:
        hop_length = client.block_length
        spec = StreamSpec(client.samplerate, N_FFT_PER_HOP * hop_length, hop_length)
        output = OutputConfig(device=device, host_api=host_api, pairs=(MIX,), margin_ms=margin_ms)
        self.device = OutputDevice(dataclasses.replace(Config(), output=output), spec)
        self.skipped = 0
        self._client = client
        self._spec = spec
        # (feed, c, n): what `play` gets from its outbox
        self._hop = {MIX: np.zeros((1, 2, hop_length), np.float32)}

    def step(self, timeout_s: float) -> bool:
        """Play the next block; False when none came in time."""
        block = self._client.read_block(timeout_s)
        self.device.check()
        if block is None:
            return False
        if block.samplerate != self._spec.samplerate:
            raise DeviceError(
                f"listen: got a stream at {block.samplerate} Hz, expected {self._spec.samplerate} "
                "as before: start it again"
            )
        n = block.stems.shape[-1]
        if n != self._spec.hop_length:
            if not block.filled:
                raise DeviceError(
                    f"listen: got a stream in hops of {n} samples, expected "
                    f"{self._spec.hop_length} as before: start it again"
                )
            self.skipped += n
            return True
        mixed = self._hop[MIX][0]
        if block.mix is not None:
            mixed[:] = block.mix
        else:
            np.sum(block.stems, axis=0, out=mixed)
        self.device.write(self._hop)
        return True

    def counters(self) -> dict[str, Any]:
        """How it goes."""
        counters, device = self._client.counters, self.device
        return {
            "device": device.label,
            "samplerate": device.samplerate,
            "target": device.target,
            "fill": device.fill,
            "ppm": round(device.ppm, 1),
            "played": device.played,
            "underruns": device.underruns,
            "overruns": device.overruns,
            "late": counters.late,
            "filled": counters.filled,
            "lost": counters.lost,
            "skipped": self.skipped,
            "sessions": counters.sessions,
            "alive": self._client.alive,
        }
