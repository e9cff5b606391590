"""A real daemon on the demo loop for the starting points in bridge/."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from stemd.desk import Desk
from stemd.sinks.osc import OscSink, Vitals
from stemd.spec import SOURCES
from stemd.status import Status
from stemd.wire.control import Setting
from tests.cli.conftest import end, start
from tests.sinks.support import SPEC, free_ports, make_hop

T = TypeVar("T")
BRIDGE = Path(__file__).parents[2] / "bridge"


@dataclass(frozen=True)
class Demo:
    """Where a daemon can be reached."""

    control: int
    features: int
    osc_in: int
    osc_out: int  # its static target


@contextlib.contextmanager
def demo() -> Iterator[Demo]:
    """`stemd run` with the built-in loop: no device, all ports its own."""
    audio, features, control = free_ports(3)
    osc_in, osc_out = free_ports(2, socket.SOCK_DGRAM)
    overrides = [
        f"zeromq.audio_port={audio}",
        f"zeromq.features_port={features}",
        f"zeromq.control_port={control}",
        f'osc.listen="127.0.0.1:{osc_in}"',
        f'osc.targets=["127.0.0.1:{osc_out}"]',
        "source.kind=demo",
        "console.enabled=false",
    ]
    running = start(ports=(overrides, control))
    try:
        running.until_running()
        yield Demo(control, features, osc_in, osc_out)
    finally:
        end(running)


def wait_until(condition: Callable[[], T], what: str, patience_s: float = 20.0) -> T:
    """Poll until the condition is true, and return it."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.02)
    return value


class Speaker:
    """OSC as the daemon speaks it, from features that never change; knobs as the daemon has them.

    Every hop says the same of every source, and each `EVERY` hops everything happens at once.
    """

    EVERY = 20
    STEADY: ClassVar = {"rms": 0.1, "peak": 0.5, "f0_hz": 220.0, "voicing": 1.0}
    STEADY |= {"tempo_bpm": 120.5, "tempo_confidence": 0.9, "note": 57.0}
    MOMENTS: ClassVar = {"onset": 1.0, "onset_strength": 0.62, "note_velocity": 0.7}
    MOMENTS |= {"kick": 0.8, "snare": 0.6, "hihat": 0.4, "beat": 1.0}

    def __init__(self) -> None:
        self._status = Status.create(1)
        self.desk = Desk(self._status, ("main",))
        facts = Vitals(state=2, load=0.25, xruns=0, lost=0, late=0)
        self._sink = OscSink(SPEC, ("main",), self.desk, lambda: facts, [], ("127.0.0.1", 0))
        self.port = self._sink.port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def knob(self, name: str, source: str = "mix") -> float:
        """Where one stands."""
        return self.desk.value(name, 0, SOURCES.index(source))

    def turn(self, name: str, value: float, source: str = "mix") -> None:
        """As another client would."""
        self.desk.set([Setting(name, 0, SOURCES.index(source), value)])

    @property
    def subscriptions(self) -> int:
        """How many are served."""
        return len(self._sink._clients)

    def close(self) -> None:
        """Silence."""
        self._stop.set()
        self._thread.join()
        self._sink.close()
        self._status.close()

    def _run(self) -> None:
        k = 0
        while not self._stop.wait(SPEC.hop_s):
            happened = k // self.EVERY
            counts = dict.fromkeys(("onset_count", "note_count", "beat_count"), happened)
            moment = self.MOMENTS if k % self.EVERY == 0 else {}
            # A note ends in the hop before the next begins, or it would not begin anew.
            ends = {"note": 0.0} if k % self.EVERY == self.EVERY - 1 else {}
            self._sink.write(make_hop(k, **{**self.STEADY, **counts, **moment, **ends}))
            self._sink.service()
            k += 1
