"""What the web console costs: its process, by number of browsers; the audio, with and without.

    python benchmarks/console.py --seconds 30

Each browser here takes everything a page takes (30 pictures a second, words twice a second), one of
ten listens to a stem; they run in one other process, which is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.live import cpu_s, memory_mb
from stemd.config import load_config
from stemd.daemon import Daemon
from tests.device.conftest import port_overrides
from tests.sinks.support import free_port

BROWSERS = (0, 1, 10)


async def look(url: str, n: int, seconds: float) -> int:
    """Take what `n` pages take; returns how many messages came."""
    taken = 0

    async def one(session: aiohttp.ClientSession, listens: bool) -> None:
        nonlocal taken
        async with session.ws_connect(url) as ws:
            if listens:
                await ws.send_json({"op": "listen", "feed": "main", "source": "vocals"})
            async for _ in ws:
                taken += 1

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(one(session, k == 9)) for k in range(n)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
    return taken


def run(daemon: Daemon, until: Callable[[], bool]) -> None:
    """Supervise, as `stemd run` does."""
    while not until():
        if not daemon.poll(0.05):
            raise SystemExit(daemon.status.reason)


def measured(daemon: Daemon, seconds: float) -> dict[str, float]:
    """Cost and damage of some seconds."""
    status = daemon.status
    pid = int(status.console["pid"])
    names = ("late", "misses", "hops", "lost_input")
    before = {name: int(status.separate[name]) for name in names}
    dropped, cpu, start = (
        int(status.console["dropped"]),
        cpu_s(pid) if pid else 0.0,
        time.monotonic(),
    )
    run(daemon, lambda: time.monotonic() - start > seconds)
    took = time.monotonic() - start
    return {
        "console_share_of_a_core": round((cpu_s(pid) - cpu) / took, 4) if pid else 0.0,
        "console_rss_mb": round(memory_mb([pid])[0], 1) if pid else 0.0,
        "dropped": int(status.console["dropped"]) - dropped,
        **{name: int(status.separate[name]) - before[name] for name in names},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--look", nargs=2, help=argparse.SUPPRESS)  # url, browsers
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    if options.look:
        print(asyncio.run(look(options.look[0], int(options.look[1]), options.seconds)))
        return
    for enabled in (False, True):
        port = free_port()
        settings = [*port_overrides()[0], "source.kind=demo", f"console.port={port}"]
        settings += [f"console.enabled={str(enabled).lower()}"]
        daemon = Daemon(load_config(None, settings), overrides=settings)
        daemon.start()
        try:
            run(daemon, lambda d=daemon: int(d.status.separate["hops"]) > 500)
            for n in BROWSERS if enabled else (0,):
                command = [sys.executable, __file__, "--seconds", str(options.seconds + 4)]
                command += ["--look", f"http://127.0.0.1:{port}/socket", str(n)]
                with subprocess.Popen(command, stdout=subprocess.PIPE) as others:
                    settled = time.monotonic() + 3
                    run(daemon, lambda s=settled: time.monotonic() > s)
                    row = measured(daemon, options.seconds)
                    assert others.stdout is not None
                    run(daemon, lambda p=others: p.poll() is not None)
                    taken = int(others.stdout.read() or 0)
                print(json.dumps({"console": enabled, "browsers": n, **row, "taken": taken}))
        finally:
            daemon.stop()


if __name__ == "__main__":
    main()
