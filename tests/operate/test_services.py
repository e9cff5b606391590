"""Units, plist and what the service manager hears: over a real datagram socket."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemd.cli.app import app
from stemd.cli.notify import Notifier
from stemd.errors import EXIT_CONFIG, EXIT_MODEL

from ..cli.conftest import RunningCommand, end, start

PLACE = Path(__file__).parents[2] / "packaging"
UNITS = sorted(PLACE.glob("*.service"))


class Manager:
    """The end of the socket that systemd would hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.heard: list[tuple[float, str]] = []
        self._at = 0  # of these, looked at by `wait_for`

    def listen(self) -> list[str]:
        """What came since last time."""
        new = []
        while True:
            try:
                new.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                break
        self.heard += [(time.monotonic(), line) for line in new]
        return new

    def forget(self) -> None:
        """`wait_for` looks at what comes from now on."""
        self.listen()
        self._at = len(self.heard)

    def wait_for(self, line: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.listen()
            for i in range(self._at, len(self.heard)):
                if self.heard[i][1].startswith(line):
                    self._at = i + 1
                    return
            time.sleep(0.02)
        raise AssertionError(f"no {line} in {timeout_s} s: {self.heard}")


@pytest.fixture
def watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Manager, RunningCommand]]:
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    running = start("--set", "source.kind=tone")
    try:
        yield manager, running
    finally:
        end(running)


def test_ready_comes_with_the_first_hop_and_the_watchdog_is_fed_by_audio(
    watched: tuple[Manager, RunningCommand],
) -> None:
    manager, running = watched
    status = running.next_status()
    while status["state"] != "RUNNING":
        assert "READY=1" not in [line for _, line in manager.heard]
        status = running.next_status()
    manager.wait_for("READY=1", 30.0)
    if not any(line.startswith("STATUS=running: ") for _, line in manager.heard):
        manager.wait_for("STATUS=running: ", 10.0)
    for _ in range(3):
        manager.wait_for("WATCHDOG=1", 10.0)
    # A daemon that lives, with audio that does not: nothing feeds the watchdog.
    pid = running.next_status()["separate"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)  # what was on its way
    manager.listen()
    time.sleep(0.8)
    assert "WATCHDOG=1" not in manager.listen()
    manager.forget()
    manager.wait_for("WATCHDOG=1", 90.0)  # replaced
    running.process.send_signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1", 20.0)


def test_without_a_manager_nothing_is_said() -> None:
    Notifier.of_environment({}).stopping()
    Notifier.of_environment({"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "x"}).stopping()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    # The paths are examples: where they lead is put in their place.
    text = re.sub(r"^(ExecStart(?:Pre)?=)\S+", r"\1/bin/true", unit.read_text(), flags=re.M)
    text = text.replace("User=stemd\n", f"User={os.environ.get('USER', 'root')}\n")
    copy = tmp_path / "stemd.service"
    copy.write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in ran.stderr.splitlines() if "stemd" in line]
    assert (ran.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_what_is_refused_is_not_tried_for_ever(unit: Path) -> None:
    """RestartPreventExitStatus looks at the main process alone; others are tried again."""
    text = unit.read_text()
    prevented = re.search(r"^RestartPreventExitStatus=(.*)", text, re.M)
    assert prevented is not None
    assert {str(EXIT_CONFIG), str(EXIT_MODEL)} <= set(prevented[1].split())
    assert re.search(r"^Restart=", text, re.M)
    assert not re.search(r"^Exec(Condition|StartPre|StartPost)=", text, re.M)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_the_system_unit_is_locked_up_well() -> None:
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=35", "--no-pager",
         str(PLACE / "stemd.service")],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if "Unknown" in ran.stderr or "unrecognized" in ran.stderr:
        pytest.skip("this systemd is too old to judge a file")
    assert ran.returncode == 0, ran.stdout[-800:] + ran.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_units_use_options_that_exist(unit: Path) -> None:
    import typer

    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    known = {option for parameter in run.params for option in parameter.opts}
    command = re.search(r"^ExecStart=(.*(?:\\\n.*)*)", unit.read_text(), re.M)
    assert command is not None
    used = set(re.findall(r"\s(--?[a-z][\w-]*)", command[1]))
    assert used
    assert used <= known


def test_the_plist_is_one() -> None:
    agent = plistlib.loads((PLACE / "stemd.plist").read_bytes())
    assert agent["ProgramArguments"][1] == "run"
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


def test_the_container_is_built_in_a_format_that_knows_its_health() -> None:
    """Podman's default, OCI, has no HEALTHCHECK: the line would be passed over with a warning."""
    text = (PLACE / "Containerfile").read_text()
    assert re.search(r"^HEALTHCHECK ", text, re.M)
    builds = re.findall(r"^# podman build .*", text, re.M)
    assert builds
    assert all("--format docker" in line for line in builds)
