"""The daemon's newest log lines in shared memory: one writer, read by the console."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from .shared import SharedHandle, SharedRecord, encode, text

LINES = 256
_LINE = np.dtype([("seq", "<i8"), ("t_utc_ns", "<i8"), ("level", "S10"), ("text", "S400")])
_DTYPE = np.dtype([("count", "<i8"), ("lines", _LINE, (LINES,))])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    seq: int  # 1 for the first
    t_utc_ns: int
    level: str
    text: str


class Logbook:
    """Ring of lines; a reader that is late misses the oldest."""

    def __init__(self, shared: SharedRecord) -> None:
        self._shared = shared

    @classmethod
    def create(cls) -> Logbook:
        """Take the memory."""
        return cls(SharedRecord.create(_DTYPE))

    @classmethod
    def attach(cls, handle: SharedHandle) -> Logbook:
        """Map it in another process."""
        return cls(handle.attach())

    @property
    def handle(self) -> SharedHandle:
        """To be sent to a child."""
        return self._shared.handle

    def write(self, line: Line) -> None:
        """Add a line."""
        view = self._shared.view
        slot = view["lines"][line.seq % LINES]
        slot["seq"] = 0
        slot["t_utc_ns"] = line.t_utc_ns
        slot["level"] = line.level
        slot["text"] = encode(line.text, slot.dtype["text"].itemsize)
        slot["seq"] = line.seq
        view["count"] = line.seq

    def since(self, seq: int) -> list[Line]:
        """Lines after `seq`, those that are still there."""
        view = self._shared.view
        newest = int(view["count"])
        lines = []
        for wanted in range(max(seq + 1, newest - LINES + 2), newest + 1):
            slot: Any = view["lines"][wanted % LINES].copy()
            if int(slot["seq"]) == wanted:
                lines.append(
                    Line(wanted, int(slot["t_utc_ns"]), text(slot["level"]), text(slot["text"]))
                )
        return lines

    def close(self) -> None:
        """Unmap; the creator also removes the memory."""
        self._shared.close()


class LogKeeper(logging.Handler):
    """Writes what is logged into the logbook there is, and remembers it for the next."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[Line] = deque(maxlen=LINES - 2)
        self._count = 0
        self._book: Logbook | None = None

    def open(self) -> Logbook:
        """A new logbook with all that was kept."""
        self.close_book()
        self._book = Logbook.create()
        for line in self._lines:
            self._book.write(line)
        return self._book

    def close_book(self) -> None:
        """Give the memory back."""
        if self._book is not None:
            self._book.close()
            self._book = None

    def emit(self, record: logging.LogRecord) -> None:
        """One more line."""
        self._count += 1
        line = Line(self._count, time.time_ns(), record.levelname, record.getMessage())
        self._lines.append(line)
        if self._book is not None:
            self._book.write(line)
