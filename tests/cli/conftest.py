"""The command as a person runs it: in this process for speed, in its own for exit codes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stemd.cli.app import app
from tests.device.conftest import START_S, port_overrides

ROOT = Path(__file__).parents[2]


@pytest.fixture
def invoke() -> Callable[..., Any]:
    """`invoke("check", path)` -> result with exit_code, stdout, stderr."""
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def command(*arguments: object) -> list[str]:
    """What a shell would start."""
    return [sys.executable, "-m", "stemd", *map(str, arguments)]


def stemd(*arguments: object, timeout_s: float = 60.0, **options: Any) -> Any:
    """Run the real command to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def pending(fd: int) -> int:
    """Bytes that wait to be read."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


@dataclass
class RunningCommand:
    """A `stemd run --json` that is up, and what it said so far."""

    process: subprocess.Popen[str]
    control_port: int

    def next_status(self) -> dict[str, Any]:
        """The next line of JSON."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"ended with {self.process.wait(10)}"
        status: dict[str, Any] = json.loads(line)
        return status

    def until_running(self) -> dict[str, Any]:
        """The first status of a running stream."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            status = self.next_status()
            if status["state"] == "RUNNING":
                return status
        raise AssertionError(f"not running within {START_S} s")

    def children(self) -> list[int]:
        """Process ids of the roles."""
        status = self.next_status()
        return [status[role]["pid"] for role in ("capture", "separate", "publish")]


def start(*arguments: object, ports: tuple[list[str], int] | None = None) -> RunningCommand:
    """Start `stemd run --json`, on ports of its own unless told."""
    overrides, control_port = ports or port_overrides()
    sets = [word for override in overrides for word in ("--set", override)]
    process = subprocess.Popen(
        command("run", "--json", *sets, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    return RunningCommand(process, control_port)


def end(running: RunningCommand) -> None:
    """Whatever state it is in."""
    if running.process.poll() is None:
        running.process.terminate()
        try:
            running.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.communicate()


@pytest.fixture
def run_command() -> Iterator[Callable[..., RunningCommand]]:
    """Start commands that end with the test."""
    started: list[RunningCommand] = []

    def begin(*arguments: object, **options: Any) -> RunningCommand:
        started.append(start(*arguments, **options))
        return started[-1]

    yield begin
    for running in started:
        end(running)


@pytest.fixture(scope="module")
def daemon() -> Iterator[RunningCommand]:
    """One daemon on the demo loop for a module that only listens to it."""
    running = start("--set", "source.kind=demo")
    try:
        running.until_running()
        yield running
    finally:
        end(running)


def alive(pid: int) -> bool:
    """Whether a process of that id still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
