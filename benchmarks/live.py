"""A paced run of the whole daemon: deadline misses, latency by stage, memory, load.

    python benchmarks/live.py --seconds 1800   # demo loop, machine otherwise idle
    python benchmarks/live.py --seconds 300 --busy   # four subscribers, a busy Python
    python benchmarks/live.py --seconds 60 --jack 128 --profile tight   # from a real device
    python benchmarks/live.py --seconds 1800 --wire   # from `stemd send`, with keys, over a cable

Prints a table and one line of JSON; `--log FILE` keeps one line of JSON for each second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.keys import KeyStore
from stemd.status import step_percentile
from tests.device.conftest import port_overrides
from tests.servers import feeder, jack
from tests.sinks.support import free_ports

SUBSCRIBER = """
import sys, time, numpy as np, stemd.client
port, path = int(sys.argv[1]), sys.argv[2]
offset = time.time_ns() - time.monotonic_ns()
rows = []
with stemd.client.connect(control_port=port, budget_s=1.0, timeout_s=60.0) as client:
    print("listening", flush=True)
    try:
        for block in client.blocks(timeout_s=3.0):
            now = time.monotonic_ns()
            if not block.filled:
                rows.append((block.sample_pos, block.t_capture_ns, block.t_publish_mono_ns, now))
    finally:
        np.save(path, np.array(rows, np.int64))
"""

BUSY = """
x = {}
while True:
    x = {i: str(i) for i in range(20_000)}
"""

SETTLE_S, SETTLE_WIRE_S = 3.0, 20.0
TOLD = ("buffer_ms", "received", "late", "recovered", "concealed", "lost", "seams", "slips")

ROLES = ("daemon", "capture", "separate", "publish", "play", "record")
# Weighing walks page tables in the kernel, which nothing preempts: it costs a deadline by itself.
MEMORY_EVERY_S = 60.0
PERCENTILES = (50, 99, 99.9, 100)


def memory_mb(pids: list[int]) -> tuple[float, float]:
    """Resident memory of some processes, MB: each page counted for each (RSS), and shared (PSS)."""
    rss = pss = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss += int(line.split()[1])
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1])
    return rss / 1024, pss / 1024


def cpu_s(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def percentiles(values: Any) -> dict[str, float]:
    """p50 … max, rounded."""
    return {
        f"p{q:g}": round(float(v), 3)
        for q, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--profile", default="live")
    parser.add_argument(
        "--jack", type=int, default=0, help="period of a real sound server; 0: demo loop"
    )
    parser.add_argument(
        "--busy", action="store_true", help="four subscribers and a busy Python process"
    )
    parser.add_argument(
        "--wire", action="store_true", help="a sender in a network namespace of its own"
    )
    parser.add_argument("--log", type=Path)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    ports, control = port_overrides()
    settings = [*ports, f"profile={options.profile}", *options.set]
    with contextlib.ExitStack() as stack:
        if options.jack:
            server = stack.enter_context(jack(period=options.jack, sync=False))
            stack.enter_context(feeder(server))
            settings += [
                "source.kind=device",
                "source.device=feed",
                f"source.blocksize={options.jack}",
            ]
        elif options.wire:
            settings += wire(stack)
        else:
            settings += ["source.kind=demo"]
        result = run(options, settings, control, stack)
    print(json.dumps(result))


def wire(stack: contextlib.ExitStack) -> list[str]:
    """A node at the other end of a cable, let in by its key; what the box is told of it."""
    # Not for all runs: what they load is locked in memory and would be weighed.
    from tests.network.support import Sender
    from tests.network.test_netem import Cable

    cable = Cable()
    stack.callback(cable.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    store, (port,) = KeyStore(folder / "box"), free_ports(1)
    store.authorise("pi", KeyStore(folder / "pi").own().public, ["send"])
    sender = Sender(
        port,
        *("--tone", 440, "--redundancy", 0, "--keys", folder / "pi"),
        f"--key={store.server().public}",
        host=cable.here,
        namespace=cable.namespace,
    )
    stack.callback(sender.kill)
    return [
        "source.kind=network",
        f"network.bind={cable.here}",
        f"network.port={port}",
        f"security.keys={folder / 'box'}",
    ]


def run(
    options: Any, settings: list[str], control: int, stack: contextlib.ExitStack
) -> dict[str, Any]:
    daemon = Daemon(load_config(None, settings))
    began = time.monotonic()
    daemon.start()
    stack.callback(daemon.stop)
    while int(daemon.status.separate["hops"]) == 0:
        assert daemon.poll(0.005), daemon.status.reason
    start_s = time.monotonic() - began
    status, spec = daemon.status, daemon.spec
    tap = daemon.tap()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    subscribers = []
    for i in range(4 if options.busy else 1):
        child = subprocess.Popen(
            [sys.executable, "-c", SUBSCRIBER, str(control), str(folder / f"{i}.npy")],
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(child.kill)
        subscribers.append(child)
    if options.busy:
        stack.callback(subprocess.Popen([sys.executable, "-c", BUSY]).kill)
    settle = time.monotonic() + (SETTLE_WIRE_S if options.wire else SETTLE_S)
    while time.monotonic() < settle:
        daemon.poll(0.02)
        while tap.read():
            pass
    pids = [int(getattr(status, role)["pid"]) for role in ROLES]
    pids = [pid for pid in pids if pid]
    first = status.snapshot()["separate"]
    network = status.snapshot()["network"]
    steps_before = status.separate["steps"].copy()
    cpu_before = {role: cpu_s(int(getattr(status, role)["pid"])) for role in ROLES[:4]}
    # Taken whole: what grows while it runs must be the daemon's, not ours.
    rows = np.zeros((round((options.seconds + 10) / spec.hop_s), 3), np.int64)
    n_rows = 0
    lines: list[dict[str, Any]] = []
    log = options.log.open("w") if options.log else None
    begin = last = weigh_at = time.monotonic()
    rss = pss = 0.0
    while last - begin < options.seconds:
        assert daemon.poll(0.02), daemon.status.reason
        while tap.read():
            hop = tap.hop
            rows[n_rows] = hop["sample_pos"], hop["t_arrival_ns"], hop["t_ready_ns"]
            n_rows += 1
        now = time.monotonic()
        if now - last >= 1.0:
            last = now
            section = status.separate
            if now >= weigh_at:
                weigh_at = now + MEMORY_EVERY_S
                rss, pss = memory_mb(pids)
            line = {
                "t_s": round(now - begin, 1),
                **{k: int(section[k]) for k in ("hops", "misses", "late", "skipped", "lost_input")},
                "load": round(float(section["load"]), 4),
                "rss_mb": round(rss, 1),
                "pss_mb": round(pss, 1),
                "restarts": int(status.daemon["restarts"].sum()),
            }
            lines.append(line)
            if log:
                log.write(json.dumps(line) + "\n")
                log.flush()
    elapsed = time.monotonic() - begin
    final = status.snapshot()["separate"]
    told = status.snapshot()["network"]
    steps = status.separate["steps"] - steps_before
    cpu = {
        role: (cpu_s(int(getattr(status, role)["pid"])) - cpu_before[role]) / elapsed
        for role in cpu_before
    }
    daemon.stop()
    for child in subscribers:
        child.wait(20)
    heard = np.load(folder / "0.npy")
    hop_us = spec.hop_s * 1e6
    made = {row[0]: row for row in rows[:n_rows].tolist()}
    joined = np.array([(*made[r[0]], *r[1:]) for r in heard if r[0] in made])
    _, arrival, ready, capture, published, received = joined.T
    utc = time.time_ns() - time.monotonic_ns()
    result = {
        "profile": options.profile,
        "source": "stemd send over a cable"
        if options.wire
        else f"jack {options.jack}"
        if options.jack
        else "demo loop",
        "busy": options.busy,
        "seconds": round(elapsed, 1),
        "hops": final["hops"] - first["hops"],
        "misses": final["misses"] - first["misses"],
        "late": final["late"] - first["late"],
        "skipped": final["skipped"] - first["skipped"],
        "lost_input": final["lost_input"] - first["lost_input"],
        "start_s": round(start_s, 2),
        "step_us": {
            f"p{q * 100:g}": round(step_percentile(steps, q), 1) for q in (0.5, 0.99, 0.999)
        },
        "step_share_of_hop": round(step_percentile(steps, 0.5) / hop_us, 4),
        "cpu_share_of_a_core": {role: round(share, 4) for role, share in cpu.items()},
        "rss_mb": [lines[0]["rss_mb"], lines[-1]["rss_mb"]],
        "pss_mb": [lines[0]["pss_mb"], lines[-1]["pss_mb"]],
        "ms": {
            "content to arrival (block, hop, overlap-add)": percentiles(
                (arrival - capture + utc) / 1e6
            ),
            "arrival to stems (wake, separate)": percentiles((ready - arrival) / 1e6),
            "stems to ZeroMQ (wake, pack)": percentiles((published - ready) / 1e6),
            "ZeroMQ to subscriber": percentiles((received - published) / 1e6),
            "device to subscriber": percentiles((received - capture + utc) / 1e6),
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    if options.wire:
        added = (arrival - capture + utc) / 1e6 - 1e3 * spec.latency / spec.samplerate
        result["ms"]["the network (converter to ring)"] = percentiles(added)
        result["network"] = {
            name: round(told[name][0] - (0 if name == "buffer_ms" else network[name][0]), 2)
            for name in TOLD
        }
        print(result["network"], file=sys.stderr)
    for name, values in result["ms"].items():
        cells = "".join(f"{key:>9s} {value:8.3f}" for key, value in values.items())
        print(f"{name:46s}{cells}", file=sys.stderr)
    return result


if __name__ == "__main__":
    main()
