"""What the system knows of our processes, read from Linux's /proc; nothing where there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process."""

    cpu_s: float
    resident_bytes: int
    threads: int
    handles: int  # open files and sockets; 0 where we may not look


def usage_of(pid: int) -> Usage | None:
    """What a process uses; None when there is no such process, or no /proc."""
    place = Path("/proc") / str(pid)
    try:
        # The name, in brackets, may hold anything; fields count from behind it.
        fields = (place / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if pid <= 0 or fields[0] in "ZX":
        return None
    try:
        handles = len(os.listdir(place / "fd"))
    except OSError:
        handles = 0
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) * _TICK_S,
        resident_bytes=int(fields[21]) * _PAGE_BYTES,
        threads=int(fields[17]),
        handles=handles,
    )
