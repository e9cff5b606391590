"""What of a machine hurts live audio, whatever program makes it.

Each check looks at one thing and returns one Finding; it never fails, because a machine on which
something cannot be asked is still a machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "warn", "bad"]

ENOUGH_CORES = 4  # capture, separate, publish, and one for everything else
ENOUGH_MEMORY_MB = 400  # measured: 260 for all processes of one stereo feed on the CPU
LIMITS = "/etc/security/limits.d/stemd.conf"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""


def cores() -> Finding:
    """Processors this process may use."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n >= ENOUGH_CORES:
        return Finding("processor cores", "ok", str(n))
    return Finding(
        "processor cores",
        "warn",
        str(n),
        "Run nothing else beside stemd, or use --profile quality, which needs least of them.",
    )


def realtime() -> Finding:
    """Whether SCHED_FIFO is granted: asked for, and given back at once."""
    name = "real-time scheduling"
    if not hasattr(os, "sched_setscheduler"):
        return Finding(name, "warn", f"none on {sys.platform}", "Close other programs.")
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        os.sched_setscheduler(0, before, parameters)
    except OSError as error:
        return Finding(
            name,
            "warn",
            str(error.strerror),
            f"Put '@audio - rtprio 95' into {LIMITS}, join the group audio, log in again.",
        )
    return Finding(name, "ok", "granted")


def memory_lock() -> Finding:
    """Whether enough memory may be locked."""
    name = "locked memory"
    try:
        import resource
    except ImportError:
        return Finding(name, "ok", f"not used on {sys.platform}")
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or os.geteuid() == 0:
        return Finding(name, "ok", "as much as needed")
    if soft >= ENOUGH_MEMORY_MB << 20:
        return Finding(name, "ok", f"up to {soft >> 20} MB")
    return Finding(
        name,
        "warn",
        f"at most {soft >> 20} MB",
        f"Put '@audio - memlock unlimited' into {LIMITS}, join the group audio, log in again.",
    )


def governor(root: Path = Path("/sys/devices/system/cpu")) -> Finding:
    """What decides the processor's clock."""
    name = "processor clock"
    found = set()
    for path in root.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        with contextlib.suppress(OSError):
            found.add(path.read_text().strip())
    if not found:
        return Finding(name, "ok", "not scaled by this system")
    shown = ", ".join(sorted(found))
    if found == {"performance"}:
        return Finding(name, "ok", shown)
    return Finding(
        name,
        "warn",
        f"governor {shown}",
        "For the show: sudo cpupower frequency-set -g performance.",
    )


def preemption(
    version: str | None = None,
    cmdline: Path = Path("/proc/cmdline"),
    configs: Sequence[Path] | None = None,
) -> Finding:
    """Whether the kernel, at work for another program, lets a thread of ours have its processor."""
    name = "kernel preemption"
    if not sys.platform.startswith("linux"):
        return Finding(name, "ok", f"not told by {sys.platform}")
    version = os.uname().version if version is None else version
    if "PREEMPT_RT" in version:
        return Finding(name, "ok", "full, a real-time kernel")
    if configs is None:
        configs = Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}")
    mode = _preemption(cmdline, configs)
    if mode is None and "PREEMPT" in version and "DYNAMIC" not in version:
        mode = "full"
    if mode is None:
        return Finding(name, "ok", "cannot be asked here")
    if mode != "none":
        return Finding(name, "ok", mode)
    return Finding(
        name,
        "warn",
        mode,
        "Boot with preempt=full, or a low-latency kernel; until then, copy no files in the show.",
    )


def _preemption(cmdline: Path, configs: Sequence[Path]) -> str | None:
    """none, voluntary, lazy or full, as asked for at boot or else built in; None: not told."""
    with contextlib.suppress(OSError):
        for word in cmdline.read_text().split():
            key, _, value = word.partition("=")
            if key == "preempt":
                return value
    modes = {"_NONE": "none", "_VOLUNTARY": "voluntary", "_LAZY": "lazy", "": "full"}
    for path in configs:
        with contextlib.suppress(OSError, EOFError, zlib.error):
            content = path.read_bytes()
            text = gzip.decompress(content) if path.suffix == ".gz" else content
            lines = text.decode("utf-8", "replace").splitlines()
            for ending, mode in modes.items():
                if f"CONFIG_PREEMPT{ending}=y" in lines:
                    return mode
    return None


def memory(path: Path = Path("/proc/meminfo")) -> Finding:
    """Memory that is free for us."""
    name = "free memory"
    available = _meminfo(path).get("MemAvailable")
    if available is None:
        return Finding(name, "ok", "cannot be asked here")
    found = f"{available >> 10} MB"
    if available >> 10 >= ENOUGH_MEMORY_MB:
        return Finding(name, "ok", found)
    return Finding(name, "warn", found, f"Free some: stemd takes about {ENOUGH_MEMORY_MB} MB.")


def swap(path: Path = Path("/proc/meminfo")) -> Finding:
    """Memory on disk: a page that must be fetched back is a drop-out."""
    total, free = (_meminfo(path).get(key, 0) for key in ("SwapTotal", "SwapFree"))
    if total == 0:
        return Finding("swap", "ok", "none")
    used = (total - free) >> 10
    if used == 0:
        return Finding("swap", "ok", f"{total >> 10} MB, unused")
    return Finding("swap", "warn", f"{used} MB in use", "Before the show: sudo swapoff -a.")


def _meminfo(path: Path) -> dict[str, int]:
    """Fields of /proc/meminfo in kB; empty where there is none."""
    fields = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            if value.split()[:1] and value.split()[0].isdigit():
                fields[key] = int(value.split()[0])
    return fields


TIME_ERROR = 5  # adjtimex: the clock is not synchronised


def clock() -> Finding:
    """Whether the wall clock follows a reference: capture times are only as good as it is."""
    name = "clock"
    if sys.platform != "linux":
        return Finding(name, "ok", "kept by the system")
    modes_zero = ctypes.create_string_buffer(512)  # struct timex is 208 bytes; only read
    state = ctypes.CDLL(None, use_errno=True).adjtimex(modes_zero)
    if state == TIME_ERROR:
        return Finding(
            name,
            "warn",
            "not synchronised",
            "Where capture times matter between machines: sudo apt install chrony.",
        )
    return Finding(name, "ok", "synchronised" if state >= 0 else "cannot be asked here")


def throttling() -> Finding:
    """A Raspberry Pi that is too hot or badly fed slows down without a word."""
    name = "power and heat"
    if shutil.which("vcgencmd") is None:
        return Finding(name, "ok", "not a Raspberry Pi")
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        answer = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5, check=True
        )
        return throttled(int(answer.stdout.strip().partition("=")[2], 16))
    return Finding(name, "ok", "cannot be asked here")


def throttled(bits: int) -> Finding:
    """What the Pi's firmware reports: low half now, high half since it was switched on."""
    words = [
        word
        for bit, word in ((0, "under-voltage"), (1, "capped"), (2, "throttled"), (3, "too hot"))
        if bits >> bit & 1 or bits >> (bit + 16) & 1
    ]
    if not words:
        return Finding("power and heat", "ok", "never throttled")
    return Finding(
        "power and heat",
        "warn",
        ", ".join(words),
        "Use the official power supply and a case with a fan.",
    )
