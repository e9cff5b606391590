"""How long each fault is felt: kill, freeze or starve a part, and wait until listeners are well.

    python benchmarks/faults.py            # needs jackd; about a minute

Prints a table and one line of JSON; seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import stemd.client
from stemd.status import State
from tests.device.conftest import Running, running
from tests.servers import feeder, jack

FEED = ["source.kind=device", "source.device=feed", "source.timeline=content"]


def seconds(it: Running, condition: Callable[[], object], what: str) -> float:
    """Time until `condition()`."""
    begin = time.monotonic()
    it.until(condition, 60.0, what)
    return round(time.monotonic() - begin, 3)


def stalled(it: Running) -> bool:
    return it.status.state is State.STALLED


def well(it: Running) -> bool:
    return it.status.state is State.RUNNING


def main() -> None:
    result = {}
    with jack() as server, feeder(server), running(*FEED) as it:
        server.freeze()
        result["sound server frozen: silence flows after"] = seconds(
            it, lambda: stalled(it), "stall"
        )
        it.collect(1.0)
        server.thaw()
        result["… audio after it went on"] = seconds(it, lambda: well(it), "audio")
        it.collect(1.0)
        server.kill()
        result["sound server killed: silence flows after"] = seconds(
            it, lambda: stalled(it), "stall"
        )
        it.collect(1.0)
        server.start()
        with feeder(server):
            result["… audio after it was back"] = seconds(it, lambda: well(it), "audio")
            it.collect(6.0)
            os.kill(int(it.status.capture["pid"]), signal.SIGKILL)
            blocks = int(it.status.capture["blocks"])
            result["capture killed: audio after"] = seconds(
                it, lambda: int(it.status.capture["blocks"]) > blocks + 1, "blocks"
            )
            it.collect(6.0)
            os.kill(int(it.status.separate["pid"]), signal.SIGKILL)
            hops = int(it.status.separate["hops"])
            result["separator killed: stems after"] = seconds(
                it, lambda: int(it.status.separate["hops"]) > hops + 1, "hops"
            )
            it.collect(6.0)
            with stemd.client.connect(control_port=it.control_port) as client:
                assert client.read_block(5.0) is not None
                os.kill(int(it.status.publish["pid"]), signal.SIGKILL)
                while client.read_block(0.1) is not None:
                    it.daemon.poll(0.0)
                result["publisher killed: a subscriber has stems again after"] = seconds(
                    it, lambda: client.read_block(0.01), "blocks"
                )
    for name, value in result.items():
        print(f"{name:55s} {value:7.2f} s", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
