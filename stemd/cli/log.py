"""What `stemd run` says in lines: the daemon's log, and what a person watching would note."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from stemd.daemon import Daemon

SETTLED_S = 10.0  # after this long running, the counters mean something

log = logging.getLogger("stemd")


def log_to(handler: logging.Handler) -> None:
    """Send stemd's log there and nowhere else."""
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class Above(logging.Handler):
    """Lines that scroll by above the picture."""

    def __init__(self, screen: Console) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        from rich.text import Text

        self._screen.print(Text(self.format(record), "dim"))


class Narrator:
    """A line for each change of state, and one that sums up the first ten seconds."""

    def __init__(self) -> None:
        self._told: tuple[str, str] | None = None
        self._running_since_s: float | None = None

    def __call__(self, daemon: Daemon) -> None:
        status = daemon.status.snapshot()
        now_s = time.monotonic()
        if (status["state"], status["reason"]) != self._told:
            self._told = status["state"], status["reason"]
            if status["state"] != "FAILED":  # the daemon says why, as an error
                log.info("%s", described(status))
            self._running_since_s = now_s if status["state"] == "RUNNING" else None
        since_s = self._running_since_s
        if since_s is not None and now_s - since_s > SETTLED_S:
            self._running_since_s = None
            if status["inserts"]["alone"]:
                return  # nothing has been heard yet that could be judged
            log.info("after %.0f s: %s", SETTLED_S, verdict(status))


def described(status: dict[str, Any]) -> str:
    """State, and why; for a running stream what is being heard and how."""
    capture, separate = status["capture"], status["separate"]
    if status["state"] == "STARTING" and not status["reason"]:
        return "starting; the first time, kernels are compiled"
    inserts = status["inserts"]
    if status["state"] == "RUNNING" and inserts["alone"]:
        return (
            f"running: plugins at {inserts['endpoint']}, {inserts['model']} on "
            f"{inserts['provider']}{'; ' if status['reason'] else ''}{status['reason']}"
        )
    if status["state"] != "RUNNING" or not separate["samplerate"]:
        return f"{status['state'].lower()}{': ' if status['reason'] else ''}{status['reason']}"
    latency_ms = 1e3 * separate["latency"] / separate["samplerate"]
    return (
        f"running: {capture['source']}, {capture['samplerate']} Hz, "
        f"{separate['model']} on {separate['provider']}, stems {latency_ms:.1f} ms late"
        f"{'; ' if status['reason'] else ''}{status['reason']}"
    )


def verdict(status: dict[str, Any]) -> str:
    """Load and what went wrong, in one line."""
    separate = status["separate"]
    hop_ms = 1e3 * separate["hop_length"] / separate["samplerate"]
    wrong = {
        "late": separate["late"],
        "missed": separate["misses"],
        "overrun samples": separate["overruns"],
        "lost samples": separate["lost_input"],
    }
    counted = ", ".join(f"{count} {name}" for name, count in wrong.items() if count)
    return (
        f"load {separate['load']:.0%}, step p99 {separate['step_us']['0.99'] / 1e3:.1f} "
        f"of {hop_ms:.1f} ms, {counted or 'nothing late or lost'}"
    )
