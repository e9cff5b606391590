"""`stemd doctor`: what of this machine will hurt, and what to do about it.

Each check looks at one thing and returns one Finding; it never fails, because a machine on which
something cannot be asked is still a machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from .options import ConfigFile, Json

if TYPE_CHECKING:
    from stemd.config import Config

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


def doctor(config: ConfigFile = None, as_json: Json = False) -> None:
    """Look for what of this machine will hurt live audio, and say how to mend it.

    Exit code 102 when something is bad enough to keep stemd from running.
    """
    from rich.text import Text

    from stemd.config import load_config
    from stemd.errors import EXIT_FAILED, EXIT_OK

    from .printing import console, print_json, table

    findings = list(examine(load_config(config)))
    bad = any(f.verdict == "bad" for f in findings)
    if as_json:
        print_json([asdict(f) for f in findings])
        raise typer.Exit(EXIT_FAILED if bad else EXIT_OK)
    styles = {"ok": "green", "warn": "yellow", "bad": "bold red"}
    rows = table("", "", "")
    rows.show_header = False
    for f in findings:
        rows.add_row(Text(f.verdict, styles[f.verdict]), f.name, Text(f.found))
        if f.fix:
            rows.add_row("", "", Text(f.fix, "italic"))
    console().print(rows)
    raise typer.Exit(EXIT_FAILED if bad else EXIT_OK)


def examine(config: Config) -> Iterator[Finding]:
    """All checks, one after the other."""
    yield cores()
    yield realtime()
    yield memory_lock()
    yield governor()
    yield memory()
    yield swap()
    yield clock()
    yield throttling()
    yield numba_cache()
    yield from sound(config)
    yield model(config)
    yield from ports(config)


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


def numba_cache() -> Finding:
    """Compiled kernels are kept on disk; without that every start compiles them again."""
    name = "compiled kernels"
    configured = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(configured) if configured else Path(__file__).parents[1] / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(name, "ok", f"kept in {folder}")
    except OSError as error:
        return Finding(
            name,
            "warn",
            f"{folder}: {error.strerror}",
            "Set NUMBA_CACHE_DIR to a folder stemd may write, or wait at each start.",
        )


def sound(config: Config) -> Iterator[Finding]:
    """PortAudio, and the input device the configuration means."""
    from stemd.errors import DeviceError

    from .devices import ask_devices

    try:
        found = ask_devices()
    except DeviceError as error:
        yield Finding(
            "PortAudio", "bad", str(error), "make run installs it; see docs/platforms.md elsewhere."
        )
        return
    yield Finding("PortAudio", "ok", f"{len(found)} devices")
    if config.source.kind in ("auto", "device"):
        yield input_device(config, [d for d in found if d["max_input_channels"]])


def input_device(config: Config, inputs: list[dict[str, Any]]) -> Finding:
    """Whether the input is there, and whether it runs at the rate asked for."""
    name, source = "input device", config.source
    meant = [
        d
        for d in inputs
        if source.device.lower() in d["name"].lower()
        and source.host_api.lower() in d["host_api"].lower()
    ]
    if not meant:
        wanted = f"{source.device or 'any'} {source.host_api}".strip()
        demo = not inputs and source.kind == "auto"
        fix = (
            "Plug one in or start the sound server; until then the demo loop plays."
            if demo
            else "It will be waited for; stemd devices lists what is there."
        )
        return Finding(name, "warn", "none" if demo else f"no {wanted}", fix)
    device = next((d for d in meant if d["default_input"]), meant[0])
    rate = round(device["default_samplerate"])
    found = f"{device['name']} ({device['host_api']}), {rate} Hz"
    if source.samplerate in (0, rate):
        return Finding(name, "ok", found)
    return Finding(
        name, "warn", found, f"Set source.samplerate = 0, or the device to {source.samplerate} Hz."
    )


def model(config: Config) -> Finding:
    """Whether the model loads, and where it would run."""
    from stemd.errors import ModelError
    from stemd.processors.masknet import MaskNet, find_model

    name = "model"
    try:
        net = MaskNet(
            find_model(config.model.name, config.profile), config.spec, config.model.provider
        )
    except ModelError as error:
        return Finding(name, "bad", str(error), "Name a released model in model.name.")
    if net.provider == "cpu" and shutil.which("nvidia-smi"):
        return Finding(
            name,
            "warn",
            f"{net.name} on the CPU, although there is a GPU",
            "pip install 'onnxruntime-gpu[cuda,cudnn]' into the same environment.",
        )
    return Finding(name, "ok", f"{net.name} on {net.provider}")


def ports(config: Config) -> Iterator[Finding]:
    """Whether what we would bind is free."""
    from stemd.config import split_endpoint

    if config.zeromq.enabled:
        z = config.zeromq
        for port in (z.audio_port, z.features_port, z.control_port):
            yield port_free(z.bind, port, socket.SOCK_STREAM, "zeromq")
    if config.osc.enabled and config.osc.listen:
        host, port = split_endpoint(config.osc.listen)
        yield port_free(host, port, socket.SOCK_DGRAM, "osc")


def port_free(host: str, port: int, kind: socket.SocketKind, section: str) -> Finding:
    """Bind it and let go."""
    name = f"port {port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:  # a connection that ended a moment ago does not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                name,
                "warn",
                str(error.strerror),
                f"Another stemd runs, or another program has it: change it in [{section}].",
            )
    return Finding(name, "ok", "free")
