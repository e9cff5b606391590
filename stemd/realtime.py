"""Ask the system for real-time treatment, and say in one line each what it refused."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Sequence

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4

# Capture above separation: a late block is lost, a late hop only counts. Both stay below the
# sound servers' own threads (JACK 70, PipeWire 83).
PRIORITY = {"capture": 20, "play": 18, "separate": 15, "inserts": 10}


def enter(role: str, realtime: bool, lock_memory: bool, threads: Sequence[int] = ()) -> list[str]:
    """Real-time scheduling, locked memory, no garbage collection for the calling process.

    Parameters
    ----------
    threads : sequence of int
        Native ids of threads that are there already; later ones inherit their priority.

    Returns
    -------
    refused : list of str
        One line for each thing that was asked for and not granted.
    """
    refused = []
    gc.disable()  # collections take 20 ms and more; roles take all they need before they are ready
    if realtime and hasattr(os, "sched_setscheduler"):
        try:
            # Threads made later inherit it: PortAudio's callback, the model's thread.
            for thread in (0, *threads):
                os.sched_setscheduler(
                    thread, os.SCHED_FIFO, os.sched_param(_allowed(PRIORITY[role]))
                )
        except OSError as error:
            refused.append(f"{role}: no real-time scheduling ({error.strerror}; see stemd doctor)")
    elif realtime:
        refused.append(f"{role}: no real-time scheduling on {sys.platform}")
    if lock_memory and sys.platform == "linux" and not _may_lock():
        refused.append(f"{role}: memory not locked (RLIMIT_MEMLOCK is not unlimited)")
    elif lock_memory and sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        # On fault: pages are locked as they are touched. Locking all at once would pull the whole
        # of every mapped library into memory.
        if libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0:
            refused.append(f"{role}: memory not locked ({os.strerror(ctypes.get_errno())})")
    return refused


def _allowed(priority: int) -> int:
    """The priority wanted, or the highest this user may have."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    return min(priority, limit) if 0 < limit != resource.RLIM_INFINITY else priority


def _may_lock() -> bool:
    """Whether all memory may be locked: with less, an allocation would fail in mid-show."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return limit == resource.RLIM_INFINITY or os.geteuid() == 0
