"""Moments at which the machine itself stood still, told by a process that does nothing else.

    python -m benchmarks.soak.stops PROCESSOR      # Linux, with real-time rights

It keeps to one processor, with a higher real-time priority than anything of stemd, and sleeps a
millisecond at a time. What wakes it late is no program: the kernel, or the host of a virtual
machine, had the processor. Prints when it was to wake and when it woke, in seconds of the monotonic
clock. A stop that began while it slept was up to a millisecond longer than it says.
"""

from __future__ import annotations

import ctypes
import os
import sys

import numpy as np
from numba import njit

from stemd.realtime import MCL_CURRENT, MCL_FUTURE

PRIORITY = 90
STEP_NS, LATE_NS = 1_000_000, 700_000
MONOTONIC, ABSOLUTE = 1, 1  # as <time.h> has them on Linux

_libc = ctypes.CDLL(None)
_sleep = _libc.clock_nanosleep
_sleep.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_clock = _libc.clock_gettime
_clock.argtypes = (ctypes.c_int, ctypes.c_void_p)
_SECOND = 1_000_000_000


@njit("void(int64[::1], int64[::1])")
def until_late(due, now):
    """Sleep from step to step until one is late: `due` and `now` as (seconds, nanoseconds)."""
    while True:
        _clock(MONOTONIC, now.ctypes.data)
        ns = now[1] + STEP_NS
        due[0], due[1] = now[0] + ns // _SECOND, ns % _SECOND
        _sleep(MONOTONIC, ABSOLUTE, due.ctypes.data, 0)
        _clock(MONOTONIC, now.ctypes.data)
        if (now[0] - due[0]) * _SECOND + now[1] - due[1] > LATE_NS:
            return


def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[1])})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    _libc.mlockall(MCL_CURRENT | MCL_FUTURE)
    due, now = np.zeros((2, 2), np.int64)
    while True:
        until_late(due, now)
        print(f"{due[0] + 1e-9 * due[1]:.6f} {now[0] + 1e-9 * now[1]:.6f}", flush=True)


if __name__ == "__main__":
    main()
