"""How long the plugin keeps a host's audio thread, whatever the daemon does.

    python -m benchmarks.plugin.realtime [--seconds 10] [--block 256] [--kind vst3]

The mini-host calls the plugin from a SCHED_FIFO thread as a sound card would, every block in its
time. "a delay line" is what the machine makes of the least that any plugin does which delays,
"hung" a daemon stopped for the middle half of the run, "killed" one that dies in the middle,
"restarted" one that dies and comes back. Missed: frames replaced by the dry signal.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.bridge.plugin.fake import SHARES
from tests.bridge.plugin.support import Heard, Host, build, noise

CONDITIONS = ("a delay line", "healthy", "absent", "slow", "hung", "killed", "restarted")
PRIORITY = 80
START_S = 1.0  # of the run, before the daemon misbehaves


def measure(host: Host, condition: str, arguments: argparse.Namespace) -> Heard:
    seconds = arguments.seconds
    with contextlib.ExitStack() as stack:
        daemon = None
        if condition not in ("absent", "a delay line"):
            daemon = stack.enter_context(host.fake("slow" if condition == "slow" else "exact"))
        run = host.start(
            arguments.kind,
            noise(seconds),
            offline=False,
            paced=True,
            fifo=PRIORITY,
            hollow=condition == "a delay line",
            max_block=arguments.block,
            parameters={"Latency (0: automatic)": arguments.latency_ms},
        )
        time.sleep(START_S + seconds / 4)
        if daemon is not None and condition == "hung":
            daemon.send_signal(signal.SIGSTOP)
            time.sleep(seconds / 2)
            daemon.send_signal(signal.SIGCONT)
        if daemon is not None and condition in ("killed", "restarted"):
            daemon.kill()
            daemon.wait()
        if condition == "restarted":
            stack.enter_context(host.fake())
        return host.finish(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--kind", choices=("vst3", "clap"), default="vst3")
    parser.add_argument("--latency-ms", type=float, default=100)
    arguments = parser.parse_args()
    build()
    print("| daemon | p50 | p99 | p99.9 | max, µs | missed frames | waits | right at the end |")
    print("|---|---|---|---|---|---|---|---|")
    for condition in CONDITIONS:
        place = Path(tempfile.mkdtemp(prefix="stemd-", dir="/tmp"))
        try:
            heard = measure(Host(place), condition, arguments)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        assert heard.report["fifo"], "no right to SCHED_FIFO here"
        assert condition == "a delay line" or heard.null() <= 1e-6
        times = " | ".join(f"{t:.0f}" for t in heard.report["call_us"])
        wrong = heard.wrong_stems(SHARES)[-24_000:]
        waits = int(heard.parameters()["Renders given up"])
        share = 100 * float(np.mean(~wrong))
        print(f"| {condition} | {times} | {heard.missed} | {waits} | {share:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
