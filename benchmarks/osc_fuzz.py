"""A million wrong OSC packets: no exception, no growth, each counted.

    python benchmarks/osc_fuzz.py [--packets 1000000] [--seed 0]

Random bytes, mutated good packets, good packets and bundles of both go to the inlet as datagrams
would, while hops are written and clients come and go. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.sinks.fuzz import Fuzz


def packets_per_line(n: int) -> Iterator[int]:
    """Where to report: twenty times."""
    yield from (n * k // 20 for k in range(1, 21))


def resident_mb() -> float:
    """Memory held now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Send, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
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
