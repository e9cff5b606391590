"""What `stemd run` says in lines: the daemon's log, and what a person watching would note."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from stemd.daemon import Daemon

SETTLED_S = 10.0  # after this long running, the counters mean something

log = logging.getLogger("stemd")


def log_to(handler: logging.Handler, as_json: bool = False) -> None:
    """Send stemd's log there and nowhere else, in lines for people or for programs."""
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    handler.filters[:] = [Few()]
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class JsonFormatter(logging.Formatter):
    """One object a line: `time` (UTC), `level`, `message`, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        said = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


class Few(logging.Filter):
    """Lines of one kind, `BURST` in `PERIOD_S` and no more; the next one says how many it was."""

    BURST = 5
    PERIOD_S = 10.0
    KINDS = 256  # remembered; a kind is the sentence without what is filled in

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, list[float]] = {}  # since when, passed, held back

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = record.created
        # A sentence without blanks to fill, or with nothing but one, is its own kind.
        kind = record.getMessage() if record.msg == "%s" else str(record.msg)
        seen = self._kinds.pop(kind, None) or [now_s, 0, 0]
        held = 0
        if not 0 <= now_s - seen[0] < self.PERIOD_S:
            held = int(seen[2])
            seen = [now_s, 0, 0]
        self._kinds[kind] = seen
        if len(self._kinds) > self.KINDS:
            del self._kinds[next(iter(self._kinds))]
        if seen[1] >= self.BURST:
            seen[2] += 1
            return False
        seen[1] += 1
        if held:
            record.msg, record.args = f"{record.getMessage()} ({held} more like it before)", ()
        return True


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
