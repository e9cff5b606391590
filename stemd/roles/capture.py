"""The capture process: source → ring.

It can be killed at any moment and started again; the ring and the separator carry on. It never ends
PortAudio (which hangs on a dead sound server) but leaves by `os._exit`.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any

import numpy as np

from .. import realtime
from ..config import SourceConfig
from ..errors import EXIT_DEVICE, EXIT_OK, DeviceError
from ..ring import Ring
from ..sources.base import Source
from ..status import Status
from .links import Links, Role

SLACK = 4096  # samples; a resampler holds back and then hands out a little more than it took


def make_source(
    config: SourceConfig, channels: int, blocksize: int, links: Links, status: Status
) -> Source:
    """The source a configuration means. Imports only what it needs: this process stays small."""
    if config.kind == "device":
        from ..sources.device import DeviceSource

        stall_s = links.config.runtime.stall_ms * 1e-3
        return DeviceSource(config, channels, blocksize, stall_s, links.follow_rate)
    if config.kind == "jack":
        from ..sources.jack_ports import JackSource

        stall_s = links.config.runtime.stall_ms * 1e-3
        return JackSource(config, channels, blocksize, stall_s, links.follow_rate)
    if config.kind == "tone":
        from ..sources.tone import ToneSource

        return ToneSource(config, channels, blocksize)
    if config.kind == "network":
        from ..sources.network import NetworkSource

        def fits() -> int:
            return int(status.separate["fits"])

        def keyring(context: Any) -> Any:
            from .keyring import Keyring

            return Keyring(links.config.security.folder, context)

        guard = keyring if links.config.network_guarded else None
        return NetworkSource(links.config, status.network, guard, fits)
    from ..sources.file import FileSource
    from ..sources.stdin import StdinSource

    if config.kind == "stdin":
        return StdinSource(config, channels, blocksize, links.stdin)
    return FileSource(config, channels, blocksize)


class Door:
    """Takes blocks from the source, at the stream's rate, into the ring; runs in its callback."""

    def __init__(self, ring: Ring, section: Any, wake: Any, source_rate: int, rate: int) -> None:
        self._ring = ring
        self._section = section
        self._wake = wake
        self._ratio = rate / source_rate
        self._source_rate = source_rate
        self._taken = self._given = 0
        self._resample: Any = None
        if source_rate != rate:
            import soxr

            self._resample = soxr.ResampleStream(
                source_rate, rate, ring.channels, dtype="float32", quality="HQ"
            )

    def room(self, n: int) -> bool:
        """True when `n` samples of the source would fit."""
        return self._ring.free > n * self._ratio + SLACK

    def write(
        self,
        block: np.ndarray[Any, Any],
        adc_s: float,
        first_ns: int,
        arrival_ns: int,
        flags: int = 0,
        seams: int = 0,
    ) -> None:
        """Copy one block into the ring, or count it as lost, and wake the separator."""
        section = self._section
        if self._resample is not None:
            block, lag_s = self._resampled(block)
            adc_s -= lag_s
            first_ns -= int(lag_s * 1e9)
        if len(block) == 0:
            return
        taken = self._ring.write(block, adc_s, first_ns, arrival_ns, flags, seams)
        self._wake.release()
        section["blocks"] += 1
        section["samples"] += taken
        section["last_block_ns"] = arrival_ns
        section["age_ns"] = arrival_ns - first_ns
        if flags:
            section["host_flags"] += 1

    def finish(self) -> None:
        """The source is through: hand over what the resampler still holds."""
        if self._resample is not None:
            now_ns = time.monotonic_ns()
            rest = self._resample.resample_chunk(
                np.zeros((0, self._ring.channels), np.float32), last=True
            )
            if len(rest):
                self._ring.write(rest, math.nan, now_ns, now_ns)
        self._ring.end()
        self._wake.release()

    def _resampled(self, block: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
        """The samples the resampler gives back, and how long before `block` they begin, seconds.

        It is aligned (output sample k stands for input sample k / ratio) but holds samples back.
        """
        lag = self._taken - self._given / self._ratio
        self._taken += len(block)
        out = self._resample.resample_chunk(np.ascontiguousarray(block))
        self._given += len(out)
        self._section["latency"] = round(lag * self._ratio)
        return out, lag / self._source_rate


def run(links: Links) -> None:
    """Capture until stopped, the source's end, or its death."""
    status = Status.attach(links.status)
    role = Role("capture", status)
    section = role.section
    ring = Ring.attach(links.ring)
    config = links.config
    role.note(realtime.enter("capture", config.runtime.realtime, config.runtime.lock_memory))
    blocksize = config.source.blocksize or links.spec.hop_length
    source = make_source(config.source, ring.channels, blocksize, links, status)
    code = EXIT_DEVICE
    try:
        # The model and the kernels are warm before the device opens.
        while not status.separate["ready"] and not role.stopping:
            role.beat()
            time.sleep(0.002)
        source.open()
        Status.set_text(section, "source", source.label)
        section["samplerate"] = source.samplerate
        section["channels"] = ring.channels
        section["blocksize"] = blocksize
        door = Door(ring, section, links.wake["separate"], source.samplerate, links.spec.samplerate)
        ring.begin_stream()
        role.reason("")
        role.ready()

        def stopping() -> bool:
            role.beat()
            return role.stopping

        if source.run(door, stopping):
            door.finish()
            role.reason(f"{source.label}: end")
        code = EXIT_OK
    except DeviceError as error:
        section["device_rate"] = getattr(source, "device_rate", 0)
        role.reason(str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
