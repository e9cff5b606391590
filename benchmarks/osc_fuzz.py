"""A million wrong OSC packets: no exception, no growth, each counted.

    python benchmarks/osc_fuzz.py [--packets 1000000] [--seed 0]
    python benchmarks/osc_fuzz.py --live --rate 3000      # over UDP, to a daemon that plays

Random bytes, mutated good packets, good packets and bundles of both go to the inlet as datagrams
would, while hops are written and clients come and go. `--live` sends them to a running daemon and
compares its audio with as long a time of peace; without what asks for another model, profile or
configuration, which a daemon on loopback obeys. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stemd.config import load_config
from stemd.daemon import Daemon
from tests.device.conftest import port_overrides
from tests.sinks.fuzz import Fuzz


def packets_per_line(n: int) -> Iterator[int]:
    """Where to report: twenty times."""
    yield from (n * k // 20 for k in range(1, 21))


def resident_mb(pid: int | str = "self") -> float:
    """Memory a process holds now, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


SENDER = """
import pickle, socket, sys, time
packets = pickle.load(open(sys.argv[1], "rb"))
port, n, rate = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for i in range(n):
    out.sendto(packets[i % len(packets)], ("127.0.0.1", port))
    if i % 16 == 15:
        time.sleep(max(0.0, start + i / rate - time.monotonic()))
"""
OBEYED = (b"profile", b"model", b"reload", b"panic", b"bypass", b"record", b"*", b"?", b"[", b"{")


def live(packets: int, rate: float, seed: int) -> dict[str, Any]:
    """Peace, then war, on a daemon that plays; what its audio lost in each."""
    fuzz = Fuzz(seed)
    made = (fuzz._packet()[0] for _ in range(40_000))
    kept = [data for data in made if not any(word in data for word in OBEYED)]
    fuzz.close()
    overrides, _ = port_overrides()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = [*overrides, "source.kind=demo", f"osc.listen=127.0.0.1:{port}"]
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    seconds = packets / rate
    try:
        while int(daemon.status.separate["hops"]) < 1000:
            assert daemon.poll(0.02), daemon.status.reason
        peace = _counted(daemon, lambda began: time.monotonic() - began < seconds)
        with tempfile.NamedTemporaryFile() as file:
            file.write(pickle.dumps(kept))
            file.flush()
            arguments = [file.name, str(port), str(packets), str(rate)]
            sender = subprocess.Popen([sys.executable, "-c", SENDER, *arguments])
            war = _counted(daemon, lambda began: sender.poll() is None)
    finally:
        daemon.stop()
    return {"benchmark": "osc_fuzz --live", "packets": packets, "peace": peace, "war": war}


def _counted(daemon: Daemon, lasts: Any) -> dict[str, Any]:
    def counts() -> dict[str, int]:
        snapshot = daemon.status.snapshot()
        names = ("hops", "misses", "late", "skipped", "lost_input")
        facts = {name: int(snapshot["separate"][name]) for name in names}
        facts["osc_received"] = int(snapshot["publish"]["osc_received"])
        facts["restarts"] = int(daemon.status.daemon["restarts"].sum())
        return facts

    before, began = counts(), time.monotonic()
    while lasts(began):
        assert daemon.poll(0.02), daemon.status.reason
    after = counts()
    facts: dict[str, Any] = {name: after[name] - before[name] for name in before}
    pid = int(daemon.status.publish["pid"])
    facts["publish_mb"] = round(resident_mb(pid), 1)
    return facts


def main() -> None:
    """Send, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--live", action="store_true", help="over UDP, to a running daemon")
    parser.add_argument("--rate", type=float, default=3000.0, help="packets a second, with --live")
    arguments = parser.parse_args()
    if arguments.live:
        print(json.dumps(live(arguments.packets, arguments.rate, arguments.seed)))
        return
    fuzz = Fuzz(arguments.seed)
    fuzz.run(20_000)  # what is taken once is taken now
    start_mb, start_s = resident_mb(), time.perf_counter()
    memory = []
    sent = 0
    for goal in packets_per_line(arguments.packets):
        fuzz.run(goal - sent)
        sent = goal
        memory.append(resident_mb())
        print(f"{sent:9d} packets  {fuzz.wrong:9d} wrong  {memory[-1]:7.1f} MB", flush=True)
    fuzz.check()
    assert fuzz.obeys()
    us = (time.perf_counter() - start_s) / arguments.packets * 1e6
    facts = {
        "benchmark": "osc_fuzz",
        "packets": arguments.packets,
        "wrong": fuzz.wrong,
        "us_per_packet": round(us, 1),
        "grown_mb": round(memory[-1] - start_mb, 2),
        "slope_mb_per_million": round(
            float(np.polyfit(np.arange(20) / 20 * arguments.packets / 1e6, memory, 1)[0]), 2
        ),
        "clients": fuzz.sink.clients,
        "worst_ms": round(fuzz.worst_s * 1e3, 1),
    }
    print(json.dumps(facts))
    fuzz.close()


if __name__ == "__main__":
    main()
