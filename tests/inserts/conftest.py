"""A door with the real model, served by a thread of the test's own process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemd.config import InsertsConfig
from stemd.processors.catalogue import find_model
from stemd.processors.masknet import SlotNet
from stemd.processors.slots import Slots
from stemd.roles.inserts import Inserts
from stemd.spec import StreamSpec
from stemd.status import Status
from stemd.wire.insert import InsertClient

LIMIT = 8


def noise(n: int, seed: int = 0, level: float = 0.1) -> Any:
    """(n, c) float32."""
    return np.random.default_rng(seed).normal(0.0, level, (n, 2)).astype(np.float32)


@pytest.fixture(scope="session")
def net() -> SlotNet:
    """The default model of `live`, in eight slots; tests leave its slots as they found them."""
    return SlotNet(find_model("default", "live"), StreamSpec.of("live", 48_000, LIMIT))


@pytest.fixture
def slots(net: SlotNet) -> Slots:
    net.reset()
    return Slots(StreamSpec.of("live", 48_000, LIMIT), net)


class Door:
    """`Inserts` and its counters; `pump` is what the role's loop does."""

    def __init__(
        self, slots: Slots, keys: Path | None = None, pair: str = "", **settings: Any
    ) -> None:
        self._status = Status.create(1)
        self.section: Any = self._status.inserts
        self.config = InsertsConfig(enabled=True, **{"limit": LIMIT, **settings})
        self.inserts: Any = Inserts(
            self.config,
            "live",
            slots,
            "band_live",
            self.section,
            guarded=keys is not None,
            keys=keys,
            pair=pair,
        )
        try:
            self.inserts.open()
        except BaseException:
            self.section = self.inserts = None
            self._status.close()
            raise
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._counters: dict[str, Any] | None = None

    @property
    def endpoint(self) -> str:
        return self.inserts.endpoint

    def pump(self, rounds: int = 1) -> None:
        """Serve in this thread."""
        for _ in range(rounds):
            self.inserts.receive()
            if not self.inserts.step():
                self.inserts.wait()
            self.inserts.tidy(time.monotonic())

    def until(self, condition: Any, timeout_s: float = 20.0) -> Any:
        """Serve in this thread until it is so."""
        end_s = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < end_s, "gave up"
            self.pump()
        return value

    def start(self) -> None:
        """Serve in a thread from now on."""

        def loop() -> None:
            while not self._stop.is_set():
                self.pump()

        self._thread = threading.Thread(target=loop)
        self._thread.start()

    def wait_for(self, condition: Any, timeout_s: float) -> None:
        """Wait while the thread serves."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, "gave up"
            time.sleep(0.01)

    def close_early(self) -> dict[str, Any]:
        """End before the fixture does; the counters as they stood."""
        self._counters = self.close()
        return self._counters

    def close(self) -> dict[str, Any]:
        """End; the counters as they stood."""
        if self._counters is not None:
            return self._counters
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.inserts.close()
        counters = self._status.snapshot()["inserts"]
        self.section = None
        self._status.close()
        return counters


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A runtime directory of the test's own; short, because socket paths must be."""
    directory = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    return directory


@pytest.fixture
def door(slots: Slots, place: Any) -> Iterator[Door]:
    """A door nobody serves yet: the test pumps, or starts it."""
    made = Door(slots)
    yield made
    made.close()


@contextlib.contextmanager
def client(**settings: Any) -> Iterator[InsertClient]:
    """An instance that leaves without a word when the test is done."""
    made = InsertClient(**settings)
    try:
        yield made
    finally:
        made.close(goodbye=False)
