"""Single-writer single-reader ring of samples in shared memory, with a log of the blocks in it.

The writer is a capture process, the reader is `separate`. Nothing here blocks or raises: what does
not fit is counted. Either side may die and be replaced while the other runs on, because every
counter lives in the shared memory and has exactly one writer.

Beware: the counters rely on stores becoming visible in program order. x86 guarantees it; elsewhere
the wake-up semaphore that accompanies every block is the barrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .shared import SharedHandle, SharedRecord

N_BLOCKS = 2048  # entries of the block log; more than any ring holds blocks

BLOCK = np.dtype(
    [
        ("start", "<i8"),  # ring position of its first sample
        ("n_samples", "<i8"),
        ("adc_s", "<f8"),  # device clock at the first sample; NaN where the source has none
        ("first_ns", "<i8"),  # CLOCK_MONOTONIC estimate for its first sample at the ADC
        ("arrival_ns", "<i8"),  # CLOCK_MONOTONIC when it could be read here
        ("stream", "<i8"),  # changes when the source was opened anew: clocks start over
        ("flags", "<i8"),  # as the host API raised them: not to be trusted, kept for the record
        ("overruns", "<i8"),  # samples lost at the ring's door before this block
        ("seams", "<u8"),  # a bit for each feed of which the source invented a part of it
    ]
)


@dataclass(frozen=True, slots=True)
class RingHandle:
    """What a child needs to find the ring."""

    shared: SharedHandle
    capacity: int
    channels: int


class Ring:
    """Interleaved float32 samples, `(capacity, channels)`.

    Parameters
    ----------
    shared : SharedRecord
        Made by `create`, or attached.
    capacity : int
        Samples held.
    channels : int
        Channels of the source, all of them.
    """

    def __init__(self, shared: SharedRecord, capacity: int, channels: int) -> None:
        self._shared = shared
        self.capacity = capacity
        self.channels = channels
        self._v = shared.view
        self._data = shared.view["data"]
        self._log = shared.view["log"]

    @staticmethod
    def _dtype(capacity: int, channels: int) -> np.dtype[Any]:
        counters = (
            "written",
            "blocks",
            "overruns",
            "read",
            "blocks_read",
            "overruns_seen",
            "ended",
            "streams",
        )
        return np.dtype(
            [(name, "<i8") for name in counters]
            + [("log", BLOCK, (N_BLOCKS,)), ("data", "<f4", (capacity, channels))]
        )

    @classmethod
    def create(cls, capacity: int, channels: int) -> Ring:
        """Take the memory."""
        return cls(SharedRecord.create(cls._dtype(capacity, channels)), capacity, channels)

    @classmethod
    def attach(cls, handle: RingHandle) -> Ring:
        """Map the ring in another process."""
        return cls(handle.shared.attach(), handle.capacity, handle.channels)

    @property
    def handle(self) -> RingHandle:
        """To be sent to a child."""
        return RingHandle(self._shared.handle, self.capacity, self.channels)

    def close(self) -> None:
        """Unmap; the creator also removes the memory."""
        self._v = self._data = self._log = None
        self._shared.close()

    # -- writer ---------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """Samples that still fit."""
        return self.capacity - int(self._v["written"]) + int(self._v["read"])

    def begin_stream(self) -> None:
        """Say that a source was opened: what follows has a clock of its own."""
        self._v["streams"] += 1

    def write(
        self,
        block: np.ndarray[Any, Any],
        adc_s: float,
        first_ns: int,
        arrival_ns: int,
        flags: int = 0,
        seams: int = 0,
    ) -> int:
        """Copy a block in, or count it as overrun when it does not fit.

        block : (n, channels) float32
        Returns the samples taken: all or none.
        """
        v = self._v
        n = len(block)
        start = int(v["written"])
        n_blocks = int(v["blocks"])
        if (
            n > self.capacity - start + int(v["read"])
            or n_blocks - int(v["blocks_read"]) >= N_BLOCKS
        ):
            v["overruns"] += n
            return 0
        at = start % self.capacity
        head = min(n, self.capacity - at)
        self._data[at : at + head] = block[:head]
        if head < n:
            self._data[: n - head] = block[head:]
        self._log[n_blocks % N_BLOCKS] = (
            start,
            n,
            adc_s,
            first_ns,
            arrival_ns,
            int(v["streams"]),
            flags,
            int(v["overruns"]),
            seams,
        )
        v["written"] = start + n
        v["blocks"] = n_blocks + 1
        return n

    def end(self) -> None:
        """No more samples will come: the source is through (a file at its end)."""
        self._v["ended"] = 1

    # -- reader ---------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """The source is through and everything was read."""
        return bool(self._v["ended"]) and int(self._v["read"]) == int(self._v["written"])

    @property
    def backlog(self) -> int:
        """Samples waiting to be read."""
        return int(self._v["written"]) - int(self._v["read"])

    @property
    def overruns(self) -> int:
        """Samples that found the ring full, since it was made."""
        return int(self._v["overruns"])

    def block(self) -> Any | None:
        """Log entry of the oldest unread block, or None."""
        i = int(self._v["blocks_read"])
        return None if i >= int(self._v["blocks"]) else self._log[i % N_BLOCKS]

    def copy(
        self, start: int, n: int, channels: tuple[int, ...], out: np.ndarray[Any, Any]
    ) -> None:
        """Samples `start … start + n` of some channels, interleaved to planar.

        channels : 0-based channels of the source, one per row of `out`.
        out : (c, n) float32. Overwritten.
        """
        at = start % self.capacity
        head = min(n, self.capacity - at)
        for row, channel in zip(out, channels, strict=True):
            row[:head] = self._data[at : at + head, channel]
            if head < n:
                row[head:n] = self._data[: n - head, channel]

    def past(self, n: int, step: int) -> range:
        """Where the newest `n` samples begin, in steps; they stay for a while, read or not."""
        end = int(self._v["written"])
        n = min(n, end, self.capacity // 2) // step * step
        return range(end - n, end, step)

    def release(self, n: int, block_done: bool) -> None:
        """Give `n` samples back to the writer, and their block when it is used up."""
        if block_done:
            self._v["overruns_seen"] = self._log[int(self._v["blocks_read"]) % N_BLOCKS]["overruns"]
            self._v["blocks_read"] += 1
        self._v["read"] += n

    def skip(self) -> int:
        """Throw away all that waits and return the samples that went by unheard, lost ones too."""
        v = self._v
        blocks, written, overruns = int(v["blocks"]), int(v["written"]), int(v["overruns"])
        unheard = written - int(v["read"]) + overruns - int(v["overruns_seen"])
        v["overruns_seen"] = overruns
        v["blocks_read"] = blocks
        v["read"] = written
        return unheard
