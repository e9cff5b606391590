"""A real sound server and a real daemon for the tests in this folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.sinks.memory import MemorySink
from stemd.status import State

from ..servers import JackServer, feeder, jack, wait_for
from ..sinks.support import free_ports

START_S = 90.0  # a machine that has never run stemd compiles its kernels first
SHARE = 0.8  # of the hops that belong to a time: what is collected at least
LATE_S = 10.0  # for which those hops are waited


def port_overrides() -> tuple[list[str], int]:
    """Settings that keep a test's daemon off the default ports, and its control port."""
    audio, features, control, osc_in, osc_out = free_ports(5)
    return [
        f"zeromq.audio_port={audio}",
        f"zeromq.features_port={features}",
        f"zeromq.control_port={control}",
        f'osc.listen="127.0.0.1:{osc_in}"',
        f'osc.targets=["127.0.0.1:{osc_out}"]',
        "console.enabled=false",
    ], control


class Running:
    """A daemon under a test's eyes."""

    def __init__(self, daemon: Daemon, control_port: int) -> None:
        self.daemon = daemon
        self.control_port = control_port
        self.tap: Any = None

    @property
    def status(self) -> Any:
        """The daemon's status; a new object after a restart."""
        return self.daemon.status

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
        """Supervise until `condition()`; it keeps supervising, as `stemd run` does."""

        def poll() -> Any:
            assert self.daemon.poll(0.01), self.daemon.status.reason
            return condition()

        return wait_for(poll, timeout_s, what)

    def until_state(self, state: State, timeout_s: float = 20.0) -> None:
        """Supervise until the stream is in `state`."""
        self.until(lambda: self.status.state is state, timeout_s, f"state {state.name}")

    def until_sound(self, timeout_s: float = 20.0) -> None:
        """Supervise until audio flows and the fade-in it came with has left the separator."""
        self.until_state(State.RUNNING, timeout_s)
        faded_in = int(self.status.separate["hops"]) + 10
        self.until(lambda: int(self.status.separate["hops"]) > faded_in, timeout_s, "sound")

    def collect(self, seconds: float) -> MemorySink:
        """The hops of the next `seconds`; a machine that stands still gets more time for them."""
        sink = MemorySink()
        if self.tap is None:
            self.tap = self.daemon.tap()
        while self.tap.read():
            pass
        enough = round(SHARE * seconds / self.daemon.spec.hop_s)
        end_s = time.monotonic() + seconds
        while (late_s := time.monotonic() - end_s) < 0 or (len(sink) < enough and late_s < LATE_S):
            assert self.daemon.poll(0.005), self.daemon.status.reason
            while self.tap.read():
                sink.write(self.tap.hop)
        return sink


@contextlib.contextmanager
def running(*overrides: str) -> Iterator[Running]:
    """A daemon that is up and separating."""
    ports, control = port_overrides()
    daemon = Daemon(load_config(None, [*ports, *overrides]), overrides=[*ports, *overrides])
    daemon.start()
    try:
        it = Running(daemon, control)
        it.until(lambda: int(daemon.status.separate["hops"]) > 0, START_S, "the first hop")
        # On a busy machine a device may open so late that silence flows first, and sound fades in.
        it.until_sound(START_S)
        yield it
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    """jackd for a module; tests that hurt it start their own."""
    with jack() as running_server:
        yield running_server


@pytest.fixture
def feed(server: JackServer) -> Iterator[Any]:
    """The sample counter, playing."""
    with feeder(server) as process:
        yield process
