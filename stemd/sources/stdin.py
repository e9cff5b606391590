"""Raw PCM on standard input."""

from __future__ import annotations

import os
import select
import time
from typing import Any

import numpy as np

from ..config import SourceConfig
from ..errors import DeviceError
from .base import Stopping, Writer, offer

# numpy type and the value of full scale's reciprocal
ENCODINGS = {"f32le": ("<f4", 1.0), "s16le": ("<i2", 2.0**-15), "s32le": ("<i4", 2.0**-31)}


class StdinSource:
    """Interleaved raw PCM from a pipe: `arecord -t raw -f FLOAT_LE -c 2 -r 48000 | stemd run …`.

    The pipe's writer sets the pace; when it is faster than real time it is made to wait.
    """

    def __init__(self, config: SourceConfig, channels: int, blocksize: int, pipe: Any) -> None:
        self.samplerate = config.samplerate
        self.blocksize = blocksize
        self.label = f"standard input, {config.encoding}, {config.channels} channels"
        self._dtype, self._scale = ENCODINGS[config.encoding]
        self._source_channels = config.channels
        self._pick = np.minimum(np.arange(channels), config.channels - 1)
        self._pipe = pipe

    def open(self) -> None:
        """Nothing to open: the daemon was started with it."""
        if self._pipe is None:
            raise DeviceError("source.kind: got 'stdin' without one, expected a pipe or a file")

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Deliver blocks until the writer closes its end."""
        fd = self._pipe.fileno()
        frame = self._source_channels * np.dtype(self._dtype).itemsize
        pending = bytearray()
        position = 0
        while not stopping():
            if not select.select([fd], [], [], 0.1)[0]:
                continue
            data = os.read(fd, self.blocksize * frame - len(pending))
            pending += data
            whole = len(pending) // frame
            if whole == self.blocksize or (not data and whole):
                raw = np.frombuffer(bytes(pending[: whole * frame]), self._dtype)
                block = raw.reshape(whole, -1)[:, self._pick].astype(np.float32)
                if self._scale != 1.0:
                    block *= np.float32(self._scale)
                np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
                first_ns = time.monotonic_ns() - whole * 1_000_000_000 // self.samplerate
                offer(writer, stopping, block, position / self.samplerate, first_ns)
                position += whole
                pending.clear()
            if not data:
                return True
        return False

    def close(self) -> None:
        """The pipe belongs to the daemon."""
