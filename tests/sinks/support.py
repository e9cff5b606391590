"""Hops without a separator, and daemons without audio, for tests of what publishes and receives."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from stemd.outbox import hop_dtype
from stemd.roles.keyring import Keyring
from stemd.sinks.control import ControlServer
from stemd.sinks.peers import MAX_PEERS
from stemd.sinks.zeromq import ZeroMQSink
from stemd.spec import FEATURES, SOURCES, STEMS, StreamSpec

SPEC = StreamSpec.of("live", 48_000)
PATIENCE_S = 10.0  # for things that take milliseconds on an idle machine


def make_hop(k: int, spec: StreamSpec = SPEC, **fields: Any) -> Any:
    """Hop k of a stream whose every sample says where it comes from."""
    hop = np.zeros(1, hop_dtype(spec.n_feeds, spec.hop_length))[0]
    fill_hop(hop, k, spec, **fields)
    return hop


def fill_hop(hop: Any, k: int, spec: StreamSpec = SPEC, **fields: Any) -> None:
    """Write hop k into a record."""
    hop["seq"] = k
    hop["session"] = 0xABC
    hop["sample_pos"] = (k + 1) * spec.hop_length
    hop["latency"] = spec.latency
    hop["t_capture_ns"] = 1_700_000_000_000_000_000
    hop["t_arrival_ns"] = hop["t_ready_ns"] = time.monotonic_ns()
    hop["rate_measured"] = spec.samplerate + 0.5
    hop["state"] = 2
    stems = np.arange(hop["stems"].size, dtype=np.float32).reshape(hop["stems"].shape)
    hop["stems"] = stems / stems.size + k
    hop["mix"] = hop["stems"].sum(axis=1)
    hop["features"] = 0.0
    for name, value in fields.items():
        if name in FEATURES:
            hop["features"][..., FEATURES.index(name)] = value
        else:
            hop[name] = value


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port nobody uses, for what cannot choose one itself."""
    return free_ports(1, kind)[0]


def free_ports(n: int, kind: int = socket.SOCK_STREAM) -> list[int]:
    """Different ports nobody uses: held together, or the system may name one twice."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(n)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]


def wait_until(
    condition: Callable[[], Any], what: str, step: Callable[[], Any] | None = None
) -> Any:
    """Run `step` (or rest a moment) until the condition holds, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        if step:
            step()
        else:
            threading.Event().wait(0.002)
    return value


def descriptor(spec: StreamSpec, **more: Any) -> dict[str, Any]:
    """A welcome."""
    return {
        "proto": 1,
        "session": "0000000000000abc",
        "samplerate": spec.samplerate,
        "hop_length": spec.hop_length,
        "latency": spec.latency,
        "feeds": ["main", "two"][: spec.n_feeds],
        "stems": STEMS,
        "sources": SOURCES,
        "features": FEATURES,
        **more,
    }


class MiniDaemon:
    """The sockets of a daemon in a thread of this process; hops are what the test gives it."""

    def __init__(
        self,
        spec: StreamSpec = SPEC,
        answer: Any = None,
        keys: Path | None = None,
        max_peers: int = MAX_PEERS,
        opus_kbps: int = 0,
    ) -> None:
        self.spec = spec
        self.keyring: Any = None
        self._keys, self._max_peers = keys, max_peers
        self._opus_kbps = opus_kbps
        self.status: dict[str, Any] = {"state": "RUNNING"}
        self.changes: dict[str, Any] = {"opus_kbps": opus_kbps}  # to the welcome
        self._answer = answer or self._hello
        self._orders: queue.Queue[Any] = queue.Queue()
        self._ready = threading.Event()
        self._stop = threading.Event()
        self.requests: list[Any] = []
        self.sink: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def send(self, *hops: Any) -> None:
        """Publish hops, and return when they are on their way."""
        self.do(lambda: [self.sink.write(hop) for hop in hops])

    def do(self, order: Callable[[], Any]) -> None:
        """Run something in the thread that owns the sockets."""
        done = threading.Event()
        self._orders.put((order, done))
        assert done.wait(PATIENCE_S)

    def wait_for_topic(self, topic: bytes) -> None:
        """Return when somebody has subscribed to a topic."""
        publishers = (self.sink._audio, self.sink._small)
        wait_until(lambda: any(p.wants(topic) for p in publishers), f"a subscription of {topic!r}")

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _hello(self, request: Any, local: bool) -> Any:
        self.requests.append(request)
        return self._describe()

    def _describe(self) -> dict[str, Any]:
        ports = (
            {}
            if self.sink is None
            else {"audio_port": self.sink.audio_port, "features_port": self.sink.features_port}
        )
        return {**descriptor(self.spec, **ports), **self.changes}

    def _run(self) -> None:
        context = zmq.Context()
        feeds = ("main", "two")[: self.spec.n_feeds]
        if self._keys is not None:
            self.keyring = Keyring(self._keys, context)
        self.sink = ZeroMQSink(
            context,
            "127.0.0.1",
            0,
            0,
            self.spec,
            feeds,
            self._describe,
            lambda: self.status,
            self.keyring,
            self._max_peers,
            self._opus_kbps,
        )
        control = self.control = ControlServer(
            context, "127.0.0.1", 0, self._answer, self.keyring, self._max_peers
        )
        self.control_port = control.port
        self._ready.set()
        while not self._stop.is_set():
            if self.keyring is not None:
                self.keyring.service()
            self.sink.service()
            control.service()
            try:
                order, done = self._orders.get(timeout=0.002)
            except queue.Empty:
                continue
            self.sink.service()
            order()
            done.set()
        control.close()
        self.sink.close()
        if self.keyring is not None:
            self.keyring.close()
        context.term()


@contextmanager
def mini_daemon(
    spec: StreamSpec = SPEC, answer: Any = None, **settings: Any
) -> Iterator[MiniDaemon]:
    daemon = MiniDaemon(spec, answer, **settings)
    try:
        yield daemon
    finally:
        daemon.close()


@contextmanager
def subscriber(port: int, *wanted: bytes, conflate: bool = False) -> Iterator[Any]:
    """A plain SUB socket."""
    context = zmq.Context()
    one = context.socket(zmq.SUB)
    one.setsockopt(zmq.LINGER, 0)
    one.setsockopt(zmq.RCVTIMEO, int(PATIENCE_S * 1000))
    one.setsockopt(zmq.RCVHWM, 0)
    if conflate:
        one.setsockopt(zmq.CONFLATE, 1)
    for topic in wanted:
        one.setsockopt(zmq.SUBSCRIBE, topic)
    one.connect(f"tcp://127.0.0.1:{port}")
    try:
        yield one
    finally:
        one.close()
        context.term()
