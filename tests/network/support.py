"""A box and senders as people start them: processes, sockets, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stemd.config import build_config
from stemd.sources.network import NetworkSource
from stemd.status import Status
from tests.device.conftest import START_S, port_overrides
from tests.sinks.support import free_ports

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0


def until(ready: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """What `ready` returns, once it is something."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answer := ready():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout_s} s")


class Program:
    """A `stemd` process, perhaps in a network namespace of its own."""

    def __init__(self, *arguments: object, namespace: str = "", python: str = sys.executable):
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*inside, python, "-m", "stemd", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=self._read, args=(pipe,), daemon=True)
            for pipe in (self.process.stdout, self.process.stderr)
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            self.heard(line.rstrip("\n"))

    def heard(self, line: str) -> None:
        """A line it said."""
        self.lines.append(line)

    def kill(self) -> None:
        """As a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> int:
        """In order, or else."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        for thread in self._threads:
            thread.join(5)
        return self.process.returncode


class Box(Program):
    """A daemon that senders come to."""

    def __init__(self, *settings: str, namespace: str = "", ports: Any = None) -> None:
        self.ports = ports or (*port_overrides(), free_ports(1)[0])
        overrides, self.control_port, self.port = self.ports
        self.settings = settings
        self.status: dict[str, Any] = {}
        self.stamp = 0
        sets = [
            *overrides,
            "source.kind=network",
            f"network.port={self.port}",
            *settings,
        ]
        words = [word for one in sets for word in ("--set", one)]
        super().__init__("run", "--json", *words, namespace=namespace)

    def heard(self, line: str) -> None:
        if line.startswith("{"):
            self.status = json.loads(line)
            self.stamp += 1
        else:
            super().heard(line)

    def until_up(self) -> Box:
        """Listening."""
        until(
            lambda: self.status.get("network", {}).get("endpoint") or self.process.poll(),
            "endpoint",
            START_S,
        )
        assert self.process.poll() is None, self.lines
        return self

    def until(self, wanted: Callable[[dict[str, Any]], Any], what: str) -> Any:
        """Until the network's part of the status is so."""
        return until(lambda: wanted(self.status["network"]), what)


class Ear:
    """The box's door alone, in a thread, with nobody behind it who could be slow."""

    def __init__(self, feeds: list[dict[str, Any]], guard: Any = None, **network: Any) -> None:
        self.port = network.pop("port", 0) or free_ports(1)[0]
        table = {
            "source": {"kind": "network"},
            "network": {"port": self.port, **network},
            "feed": feeds,
        }
        self._status = Status.create(len(feeds))
        self.section = self._status.network
        self.source = NetworkSource(build_config(table), self.section, guard)
        self.source.open()
        self.written: list[tuple[np.ndarray[Any, Any], float, int, int]] = []
        self._arrived_ns: list[int] = []
        self.lost_s = 0.0
        self._stop = False
        self._thread = threading.Thread(target=self.source.run, args=(self, lambda: self._stop))
        self._thread.start()

    def room(self, n: int) -> bool:
        """There is."""
        return True

    def write(
        self,
        block: np.ndarray[Any, Any],
        adc_s: float,
        first_ns: int,
        arrival_ns: int,
        flags: int = 0,
        seams: int = 0,
    ) -> None:
        """Keep it."""
        self.written.append((block, adc_s, first_ns, seams))
        self._arrived_ns.append(arrival_ns)

    def audio(self) -> np.ndarray[Any, Any]:
        """(c, n) of all that came."""
        return np.concatenate([one[0] for one in self.written]).T

    def arrivals(self, first: int) -> list[tuple[Any, int]]:
        """What was written from the `first` on, each with the time it was, ns."""
        return list(zip(self.written[first:], self._arrived_ns[first:], strict=False))

    def status(self) -> dict[str, Any]:
        """As `stemd monitor --json` has it."""
        found: dict[str, Any] = self._status.snapshot()["network"]
        return found

    def until(self, wanted: Callable[[dict[str, Any]], Any], what: str) -> Any:
        """Until the status is so."""
        return until(lambda: wanted(self.status()), what)

    def kill(self) -> None:
        """End without a word to anybody."""
        self.source._senders.clear()
        self.end()

    def end(self) -> None:
        """Say good-bye."""
        self._stop = True
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.source.close()
        self.section = None
        self.source._section = None
        self._status.close()


class Sender(Program):
    """`stemd send`."""

    def __init__(self, port: int, *arguments: object, host: str = "127.0.0.1", **options: Any):
        self.status_port = free_ports(1)[0]
        super().__init__(
            "send",
            f"{host}:{port}",
            "--status",
            f"127.0.0.1:{self.status_port}",
            *arguments,
            **options,
        )

    def status(self) -> dict[str, Any]:
        """What it says over HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def until_sending(self) -> Sender:
        """It has a session."""

        def sending() -> Any:
            with contextlib.suppress(OSError):
                return self.status()["state"] == "SENDING"

        until(sending, "session")
        return self
