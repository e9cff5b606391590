"""A sender, a network and a box's door: how late, how heavy, and 50 restarts.

    python benchmarks/network.py                      # loopback, 60 s, the node's weight
    python benchmarks/network.py --restarts 50        # sender and box killed in random order

Latency is what the network adds: from the sample at the sender's converter (its own block included)
until the box hands it on; both clocks are this machine's.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import stemd.client
from tests.network.support import Box, Ear, Sender, until

TICK_S = 1 / 100


def cpu_s(pid: int) -> float:
    """Processor time of a process."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * TICK_S


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def way(options: argparse.Namespace) -> None:
    box = Ear([{"name": "main"}])
    sender = Sender(box.port, "--tone", 440, *options.sender)
    try:
        sender.until_sending()
        time.sleep(options.settle)  # the buffer finds its size
        pid, started_s = sender.process.pid, time.monotonic()
        before_s, first = cpu_s(pid), len(box.written)
        time.sleep(options.seconds)
        share = (cpu_s(pid) - before_s) / (time.monotonic() - started_s)
        late_ms = [
            (arrived - first_ns) * 1e-6 for (_, _, first_ns, _), arrived in box.arrivals(first)
        ]
        status = box.status()
        print(f"node: {100 * share:.1f} % of a core, {resident_mb(pid):.0f} MB resident")
        quantiles = " / ".join(f"{np.percentile(late_ms, q):.1f}" for q in (50, 99, 99.9))
        print(f"converter to box, ms p50 / p99 / p99.9: {quantiles}; {len(late_ms)} blocks")
        told = ("buffer_ms", "late", "concealed", "seams", "offset_error_ms", "way_ms")
        print(", ".join(f"{key} {status[key][0]:g}" for key in told))
    finally:
        sender.end()
        box.end()


class Subscriber(threading.Thread):
    """Hears the vocals through all restarts of the box; how old the oldest was it was given."""

    def __init__(self, control_port: int) -> None:
        super().__init__(daemon=True)
        self.blocks, self.oldest_s = 0, 0.0
        self.client = stemd.client.connect(control_port=control_port, stems=("vocals",))

    def run(self) -> None:
        while not self.client.closed:
            block = self.client.read_block(1.0)
            if block is not None and not block.filled and block.t_capture_ns:
                self.blocks += 1
                age_s = (time.time_ns() - block.t_capture_ns) * 1e-9
                self.oldest_s = max(self.oldest_s, age_s)


def handles(box: Box) -> dict[str, int]:
    """Open files of each of the box's processes."""
    pids = {
        role: part["pid"]
        for role, part in box.status.items()
        if isinstance(part, dict) and part.get("pid")
    }
    return {role: len(list(Path(f"/proc/{pid}/fd").iterdir())) for role, pid in pids.items()}


def restarts(options: argparse.Namespace) -> None:
    choose = random.Random(1)
    settings = ("runtime.realtime=false", "profile=quality")
    box = Box(*settings).until_up()
    sender = Sender(box.port, "--tone", 440)
    ear = Subscriber(box.control_port)
    ear.start()
    times: list[float] = []
    opened: list[dict[str, int]] = []  # by a box that has seen senders go and come
    try:
        for i in range(options.restarts):
            box.until(lambda n: n["present"][0] and n["senders"] == 1, "audio")
            which = choose.choice(("sender", "sender", "box", "both"))
            if which in ("sender", "both"):
                sender.kill()
            if which in ("box", "both"):
                box.kill()
                box = Box(*settings, ports=box.ports).until_up()
            started_s = time.monotonic()
            if which in ("sender", "both"):
                sender = Sender(box.port, "--tone", 440)
            stamp, there = box.stamp, box
            until(lambda: there.stamp > stamp + 1, "a status of now")  # noqa: B023
            box.until(lambda n: n["present"][0] and n["senders"] == 1, f"audio after {which}")
            times.append(time.monotonic() - started_s)
            heard = ear.blocks
            until(lambda: ear.blocks > heard, "a block at the subscriber")  # noqa: B023
            opened = [*opened, handles(box)] if which == "sender" else []
            print(f"{i + 1:3d} {which:7s} audio after {times[-1]:5.1f} s", flush=True)
            assert not opened or opened[-1] == opened[0], opened
    finally:
        sender.end()
        box.end()
    counters = ear.client.counters
    ear.client.close()
    left = [p.name for p in Path("/dev/shm").glob("stemd-*")]
    print(
        f"median {np.median(times):.1f}, longest {max(times):.1f} s; shared memory left: "
        f"{left or 'none'}; "
        f"the subscriber heard {ear.blocks} blocks of {counters.sessions} sessions, "
        f"the oldest {1e3 * ear.oldest_s:.0f} ms after it was captured"
    )


def door_restarts(options: argparse.Namespace) -> None:
    """The same with the box's door alone: what a daemon needs to load is not in it."""
    choose = random.Random(1)
    box, times, sessions = Ear([{"name": "main"}]), [], 0
    sender = Sender(box.port, "--tone", 440)
    try:
        for _ in range(options.door):
            box.until(lambda n: n["present"][0] and n["senders"] == 1, "audio")
            which = choose.choice(("sender", "box", "both"))
            started_s = time.monotonic()
            if which in ("sender", "both"):
                sender.kill()
            if which in ("box", "both"):
                box.kill()
                box = Ear([{"name": "main"}], port=box.port)
            if which in ("sender", "both"):
                sender = Sender(box.port, "--tone", 440)
            hellos = box.status()["hellos"]
            box.until(lambda n: n["hellos"] > hellos, f"a session after {which}")  # noqa: B023
            first = len(box.written)
            until(lambda: len(box.written) > first + 20, f"audio after {which}")  # noqa: B023
            times.append(time.monotonic() - started_s)
            # What is heard now was captured now: nothing waited anywhere.
            ages_s = [(at - one[2]) * 1e-9 for one, at in box.arrivals(first)]
            assert max(ages_s) < 1.0, max(ages_s)
            sessions += 1
    finally:
        sender.end()
        box.end()
    files = len(list(Path("/proc/self/fd").iterdir()))
    left = [p.name for p in Path("/dev/shm").glob("stemd-*")]
    print(
        f"{sessions} restarts: audio again after {np.median(times):.1f} s, at most "
        f"{max(times):.1f} s; {files} files open, shared memory left: {left or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=20.0, help="seconds before that")
    parser.add_argument("--restarts", type=int, default=0)
    parser.add_argument("--door", type=int, default=0, help="restarts, with the box's door alone")
    parser.add_argument("sender", nargs="*", help="more options of stemd send, after --")
    options = parser.parse_args()
    if options.door:
        door_restarts(options)
    elif options.restarts:
        restarts(options)
    else:
        way(options)


if __name__ == "__main__":
    main()
