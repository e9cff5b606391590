"""A daemon with a console, its source a sound file whose levels and pitch are known."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from tests.cli.conftest import RunningCommand, end, start
from tests.device.conftest import port_overrides
from tests.sinks.support import free_port, wait_until

RATE = 48_000
SWEEP_S, LOW_HZ, HIGH_HZ = 6.0, 200.0, 8000.0
LEFT_DB, RIGHT_DB = -12.0, -18.0
TOKEN = "correct-horse-battery"


@dataclass
class Console:
    """Where it is, and the daemon behind it."""

    port: int
    running: RunningCommand

    @property
    def url(self) -> str:
        """Its page."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def control(self) -> int:
        """The daemon's control port."""
        return self.running.control_port


def write_sweep(path: Path, rate: int = RATE) -> None:
    """Up from LOW_HZ to HIGH_HZ, equally long in each octave; left is louder than right."""
    t = np.arange(round(SWEEP_S * rate)) / rate
    octaves = np.log(HIGH_HZ / LOW_HZ)
    phase = 2 * np.pi * LOW_HZ * SWEEP_S / octaves * (np.exp(t / SWEEP_S * octaves) - 1)
    gains = 10 ** (np.array([LEFT_DB, RIGHT_DB]) / 20)
    soundfile.write(path, np.sin(phase)[:, None] * gains, rate, subtype="FLOAT")


@contextlib.contextmanager
def served(*overrides: str, port: int = 0, ports: Any = None) -> Iterator[Console]:
    """A daemon that runs, and whose console answers."""
    port = port or free_port()
    sets = ["console.enabled=true", f"console.port={port}", *overrides]
    words = [word for one in sets for word in ("--set", one)]
    running = start(*words, ports=ports or port_overrides())
    try:
        running.until_running()
        wait_until(lambda: answers(port), "the console")
        yield Console(port, running)
    finally:
        end(running)


def answers(port: int) -> Any:
    """What the console says of us; None while there is none."""
    with contextlib.suppress(OSError):
        address = f"http://127.0.0.1:{port}/session"
        with urllib.request.urlopen(address, timeout=20) as answer:
            return json.load(answer)
    return None


@pytest.fixture(scope="package")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Settings of a source that plays the sweep again and again."""
    path = tmp_path_factory.mktemp("sweep") / "sweep.wav"
    write_sweep(path)
    return f'source={{kind="file", path="{path}", loop=true}}'


@pytest.fixture(scope="package")
def console(sweep: str) -> Iterator[Console]:
    """One for all tests that put its knobs back; whatever they did, it never had to start again."""
    with served(sweep) as one:
        yield one
        assert asyncio.run(restarts(one)) == 0


async def restarts(console: Console) -> int:
    """How often it was started again, as a new page is told."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(console.url + "socket") as ws,
    ):
        return int((await told(ws, "state"))["restarts"]["console"])


async def told(
    ws: aiohttp.ClientWebSocketResponse, kind: str, patience_s: float = 20.0
) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(patience_s):
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                fields: dict[str, Any] = json.loads(message.data)
                if fields["type"] == kind:
                    return fields
    raise AssertionError(f"closed with {ws.close_code} before {kind}")


@pytest.fixture(scope="package")
def locked(sweep: str) -> Iterator[Console]:
    """One that lets in three browsers, who know the token."""
    with served(sweep, f'console.token="{TOKEN}"', "console.limit=3") as one:
        yield one
