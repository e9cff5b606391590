"""What `separate` hands on: one record per hop, in shared memory, for any number of readers.

The writer never waits. A reader that falls a whole outbox behind loses the oldest records, counted;
the others and the writer notice nothing. `seq` is written last and checked after copying, so
a record that was overwritten under a reader's hands is a counted loss too, never mixed audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .shared import SharedHandle, SharedRecord
from .spec import N_CHANNELS, N_FEATURES, N_STEMS, SOURCES

READERS = ("publish", "play", "record", "memory", "console")

HELD_S = 3.0  # outbox length: what a reader may sleep through (a slow disk, a restart)


def hop_dtype(n_feeds: int, hop_length: int) -> np.dtype[Any]:
    """One hop on its way from `separate` to the sinks.."""
    return np.dtype(
        [
            ("seq", "<i8"),  # hop number since session start; -1 while being written
            ("session", "<u8"),
            ("sample_pos", "<i8"),  # first sample of `stems` on the output clock
            ("latency", "<i8"),  # samples; stems[sample_pos] is input[sample_pos - latency]
            ("t_capture_ns", "<i8"),  # UTC at the ADC of the first sample in `stems`; 0: unknown
            ("t_arrival_ns", "<i8"),  # CLOCK_MONOTONIC when this hop's newest sample could be read
            ("t_ready_ns", "<i8"),  # CLOCK_MONOTONIC when the record was complete
            ("rate_measured", "<f8"),  # Hz
            ("lost_input", "<i8"),  # samples since session start
            ("config_rev", "<u4"),
            ("state", "<u2"),
            ("flags", "<u2"),
            ("stems", "<f4", (n_feeds, N_STEMS, N_CHANNELS, hop_length)),
            ("mix", "<f4", (n_feeds, N_CHANNELS, hop_length)),  # the delayed input
            ("features", "<f4", (n_feeds, len(SOURCES), N_FEATURES)),  # of the newest input hop
        ],
        align=True,
    )


@dataclass(frozen=True, slots=True)
class OutboxHandle:
    """What a child needs to find the outbox."""

    shared: SharedHandle
    n_feeds: int
    hop_length: int
    n_slots: int


class Outbox:
    """Ring of hop records with one writer and a read counter for each of `READERS`."""

    def __init__(self, shared: SharedRecord, n_feeds: int, hop_length: int, n_slots: int) -> None:
        self._shared = shared
        self.n_feeds = n_feeds
        self.hop_length = hop_length
        self.n_slots = n_slots
        self._v = shared.view
        self._slots = shared.view["slots"]
        self._readers = shared.view["readers"]
        self._attached = self._readers["attached"]

    @classmethod
    def create(cls, n_feeds: int, hop_length: int, samplerate: int) -> Outbox:
        """Take memory for `HELD_S` seconds of hops."""
        n_slots = max(64, round(HELD_S * samplerate / hop_length))
        reader = np.dtype([("read", "<i8"), ("dropped", "<i8"), ("attached", "<i8")])
        dtype = np.dtype(
            [
                ("count", "<i8"),
                ("readers", reader, (len(READERS),)),
                ("slots", hop_dtype(n_feeds, hop_length), (n_slots,)),
            ],
            align=True,
        )
        outbox = cls(SharedRecord.create(dtype), n_feeds, hop_length, n_slots)
        outbox._slots["seq"] = -1
        return outbox

    @classmethod
    def attach(cls, handle: OutboxHandle) -> Outbox:
        """Map the outbox in another process."""
        return cls(handle.shared.attach(), handle.n_feeds, handle.hop_length, handle.n_slots)

    @property
    def handle(self) -> OutboxHandle:
        """To be sent to a child."""
        return OutboxHandle(self._shared.handle, self.n_feeds, self.hop_length, self.n_slots)

    def close(self) -> None:
        """Unmap; the creator also removes the memory."""
        self._v = self._slots = self._readers = self._attached = None
        self._shared.close()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a record."""
        return self._slots.dtype  # type: ignore[no-any-return]

    @property
    def count(self) -> int:
        """Records published since the outbox was made."""
        return int(self._v["count"])

    # -- writer ---------------------------------------------------------------------------------

    def claim(self) -> Any:
        """The slot to fill next, invalid for readers until `publish`."""
        slot = self._slots[self.count % self.n_slots]
        slot["seq"] = -1
        return slot

    def publish(self) -> None:
        """Make the claimed slot readable."""
        count = self.count
        self._slots[count % self.n_slots]["seq"] = count
        self._v["count"] = count + 1

    def room(self) -> bool:
        """True while no attached reader would lose a record; for sources that can wait."""
        lag = self.count - self._readers["read"]
        return bool(np.all((self._attached == 0) | (lag < self.n_slots - 2)))

    @property
    def attached(self) -> Any:
        """For each of `READERS` whether it reads, 0 or 1: a view that stays true."""
        return self._attached

    # -- readers --------------------------------------------------------------------------------

    def reader(self, name: str) -> OutboxReader:
        """Start reading at the newest record: nobody wants to hear stale audio."""
        return OutboxReader(self, self._slots, self._readers[READERS.index(name)])

    def dropped(self, name: str) -> int:
        """Records `name` lost because it was late."""
        return int(self._readers[READERS.index(name)]["dropped"])

    def lag(self, name: str) -> int:
        """Records that wait for `name`; 0 where nobody of that name reads."""
        reader = self._readers[READERS.index(name)]
        return self.count - int(reader["read"]) if reader["attached"] else 0

    def detach(self, name: str) -> None:
        """Forget a reader that died, so that nobody waits for it."""
        self._readers[READERS.index(name)]["attached"] = 0


class OutboxReader:
    """One reader's place in the outbox; `hop` is its private copy of the record last read."""

    def __init__(self, outbox: Outbox, slots: Any, counters: Any) -> None:
        self._outbox = outbox
        self._slots = slots
        self._c = counters
        self._c["read"] = outbox.count
        self._c["attached"] = 1
        self._buffer = np.zeros(1, slots.dtype)
        self.hop: Any = self._buffer[0]

    @property
    def lag(self) -> int:
        """Records published and not read."""
        return self._outbox.count - int(self._c["read"])

    @property
    def dropped(self) -> int:
        """Records lost because this reader was late."""
        return int(self._c["dropped"])

    def read(self) -> bool:
        """Copy the oldest unread record into `hop`; False when there is none."""
        while True:
            count = self._outbox.count
            at = int(self._c["read"])
            if at >= count:
                return False
            oldest = count - self._outbox.n_slots + 1
            if at < oldest:
                self._c["dropped"] += oldest - at
                at = oldest
            slot = self._slots[at % self._outbox.n_slots]
            self._buffer[0] = slot
            self._c["read"] = at + 1
            if int(self.hop["seq"]) == at and int(slot["seq"]) == at:
                return True
            self._c["dropped"] += 1
