"""How many plugins one daemon serves, how soon a block comes back, and how fast a bounce is.

    python benchmarks/inserts.py                      # every profile, 1 to 16 instances, 5 s each
    python benchmarks/inserts.py --profile live --instances 8 --seconds 60

A real daemon (`source.kind = none`), real clients at the pace of a host: each sends a block every
block's time. The time of a block is from its sending to the stems that it completed.
What fills a core is told by the processor time of the inserts process (Linux), which other work on
the machine changes least.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.spec import PROFILES
from stemd.wire.insert import InsertClient

RATE = 48_000
HOPS = {name: profile.hop_length for name, profile in PROFILES.items()}
START_S = 120.0
HOST_PRIORITY = 5  # below the daemon's 10


class Served:
    """A daemon and a thread that looks after it."""

    def __init__(self, profile: str, limit: int) -> None:
        settings = ["source.kind=none", "inserts.enabled=true", f"inserts.limit={limit}"]
        settings += [f"profile={profile}", "zeromq.enabled=false", "osc.enabled=false"]
        self.daemon = Daemon(load_config(None, settings), overrides=settings)
        self.daemon.start()
        until_s = time.monotonic() + START_S
        while not self.section["ready"]:
            assert self.daemon.poll(0.1), self.daemon.status.reason
            assert time.monotonic() < until_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_after)
        self._thread.start()

    @property
    def section(self) -> Any:
        return self.daemon.status.inserts

    def cpu_s(self) -> float:
        """Processor time the inserts process has used."""
        fields = (
            Path(f"/proc/{int(self.section['pid'])}/stat").read_text().rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _look_after(self) -> None:
        while not self._stop.is_set():
            self.daemon.poll(0.1)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.daemon.stop()


def music(seconds: float) -> Any:
    """The demo loop, (n, c) at 48 kHz; noise is nothing a model is for."""
    import soundfile
    import soxr

    from stemd.sources.file import DEMO

    loop, rate = soundfile.read(DEMO, dtype="float32", always_2d=True)
    loop = soxr.resample(loop, rate, RATE) if rate != RATE else loop
    if loop.shape[1] == 1:
        loop = np.repeat(loop, 2, axis=1)
    n = round(seconds * RATE)
    return np.tile(loop, (-(-n // len(loop)), 1))[:n].astype(np.float32)


@contextlib.contextmanager
def as_a_host() -> Iterator[None]:
    """Real-time scheduling, as hosts give their audio threads, where it is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(HOST_PRIORITY))
    except OSError:
        print("no real-time scheduling")
        yield
        return
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def paced(
    served: Served, profile: str, n_instances: int, block: int, seconds: float
) -> dict[str, Any]:
    """Instances at the pace of hosts, begun evenly over a block's time."""
    audio = music(seconds + 1.0)
    context: zmq.Context[Any] = zmq.Context()  # its threads inherit the scheduling
    instances = [
        InsertClient(block=block, latency=RATE // 10, context=context) for _ in range(n_instances)
    ]
    for instance in instances:
        instance.greet()
    times: list[float] = []

    def hear(until_s: float) -> None:
        while True:
            for instance in instances:
                while stems := instance.receive():
                    times.append((time.monotonic_ns() - stems.t_ns) * 1e-6)
            left_s = until_s - time.monotonic()
            if left_s <= 0.0:
                return
            time.sleep(min(left_s, 0.0002))

    cpu_s = served.cpu_s()
    before = {name: int(served.section[name]) for name in ("late", "hops", "rounds", "dropped")}
    began_s = time.monotonic()
    for k in range(round(seconds * RATE / block)):
        for i, instance in enumerate(instances):
            hear(began_s + (k + i / n_instances) * block / RATE)
            instance.send(audio[k * block : (k + 1) * block])
    hear(time.monotonic() + 0.3)
    for instance in instances:
        instance.close()
    context.term()
    p50, p99, p999 = np.percentile(times, [50, 99, 99.9])
    counts = {name: int(served.section[name]) - was for name, was in before.items()}
    cost_s = (served.cpu_s() - cpu_s) / max(counts["hops"], 1)
    return {
        "cost_us": 1e6 * cost_s,
        "per_core": HOPS[profile] / RATE / cost_s,
        "p50": p50,
        "p99": p99,
        "p999": p999,
        "late": counts["late"],
        "hops": counts["hops"],
        "together": counts["hops"] / max(counts["rounds"], 1),
        "dropped": counts["dropped"],
    }


def bounced(
    served: Served, n_clients: int, seconds: float, rate: int = RATE
) -> tuple[float, float]:
    """Seconds of music separated per second, and per second of a core, by clients at once."""
    audio = music(seconds * rate / RATE)
    clients = [InsertClient(samplerate=rate, offline=True) for _ in range(n_clients)]
    threads = [threading.Thread(target=c.separate, args=(audio,)) for c in clients]
    cpu_s, began_s = served.cpu_s(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s, cpu_s = time.monotonic() - began_s, served.cpu_s() - cpu_s
    for client in clients:
        client.close()
    return n_clients * seconds / took_s, n_clients * seconds / cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=("tight", "live", "quality"))
    parser.add_argument("--instances", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_RUNTIME_DIR"] = place
        print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
        for profile in [options.profile] if options.profile else ["tight", "live", "quality"]:
            served = Served(profile, max(options.instances))
            try:
                print(f"\n{profile}: blocks of {options.block} at {RATE} Hz")
                print(
                    "| instances | block back, ms p50 / p99 / p99.9 | load | late of hops | batch |"
                )
                print("|---|---|---|---|---|")
                for n in options.instances:
                    with as_a_host():
                        r = paced(served, profile, n, options.block, options.seconds)
                    print(
                        f"| {n} | {r['p50']:.2f} / {r['p99']:.2f} / {r['p999']:.2f} "
                        f"| {r['cost_us']:.0f} | {r['per_core']:.1f} "
                        f"| {r['late']} of {r['hops']} | {r['together']:.1f} |",
                        flush=True,
                    )
                for n, rate in ((1, 48_000), (4, 48_000), (1, 96_000)):
                    speed, per_core = bounced(served, n, options.seconds, rate)
                    print(
                        f"offline, {n} at {rate} Hz: {speed:.1f} x real time, "
                        f"{per_core:.1f} x per core used",
                        flush=True,
                    )
            finally:
                served.close()


if __name__ == "__main__":
    main()
