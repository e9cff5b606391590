"""`stemd run` in a terminal: meters appear, follow a reload, and the terminal is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import stemd.client as stemd_client
from stemd.errors import EXIT_OK
from tests.device.conftest import START_S, port_overrides
from tests.servers import wait_for

from .conftest import ROOT, command, pending

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class Terminal:
    """A command on a pseudo-terminal of 90 columns."""

    def __init__(self, *arguments: object) -> None:
        try:
            self._master, slave = pty.openpty()
        except OSError as error:
            pytest.skip(f"no pseudo-terminals here: {error}")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 90, 0, 0))
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(slave)
        self.shown = ""

    def read(self, seconds: float) -> str:
        """What appears in this time, with its control sequences."""
        new = b""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                break
            try:
                new += os.read(self._master, 65_536)
            except OSError:  # the other side is closed
                break
        self.shown += new.decode("utf-8", "replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", new.decode("utf-8", "replace"))

    def until(self, text: str, timeout_s: float) -> str:
        """Read until `text` appears."""
        seen = ""
        deadline = time.monotonic() + timeout_s
        while text not in seen:
            assert time.monotonic() < deadline, f"no {text!r} in {seen[-2000:]}"
            assert self.process.poll() is None, seen[-2000:]
            seen += self.read(0.2)
        return seen

    def full(self) -> bool:
        """Nothing more goes in that nobody reads."""
        waits = pending(self._master)
        time.sleep(1.0)
        return waits == pending(self._master) > 0

    def hang_up(self) -> None:
        """The other end is closed, as by a window manager or sshd."""
        os.close(self._master)
        self._master = -1
        os.killpg(self.process.pid, signal.SIGHUP)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self._master >= 0:
            os.close(self._master)


@pytest.fixture
def terminal(tmp_path):
    """`stemd run` on a tone, with its configuration in a file."""
    path = tmp_path / "stemd.toml"
    path.write_text('[source]\nkind = "tone"\n')
    sets = [word for override in port_overrides()[0] for word in ("--set", override)]
    made = Terminal("run", "-c", path, *sets)
    yield made
    made.close()


def test_meters_appear_and_the_cursor_comes_back(terminal):
    shown = terminal.until("RUNNING", START_S) + terminal.until("█", 10)
    for word in ("vocals", "other", "512 samples", "subscribers", "tcp://127.0.0.1"):
        assert word in shown
    terminal.process.send_signal(signal.SIGINT)
    while terminal.process.poll() is None:
        terminal.read(0.1)
    terminal.read(0.1)
    assert terminal.process.returncode == EXIT_OK
    assert terminal.shown.rfind(SHOW_CURSOR) > terminal.shown.rfind(HIDE_CURSOR) >= 0


def on_a_tone():
    """`stemd run` without a file, and its control port."""
    overrides, control_port = port_overrides()
    sets = [word for one in [*overrides, "source.kind=tone"] for word in ("--set", one)]
    return Terminal("run", *sets), control_port


def test_a_terminal_that_stands_still_holds_nothing_up():
    """Ctrl-S, or a connection that died without a word."""
    terminal, control_port = on_a_tone()
    try:
        terminal.until("█", START_S)
        wait_for(terminal.full, START_S, "a full terminal")
        time.sleep(5.0)  # behind what it tells there is room for some pictures more
        with stemd_client.connect(control_port=control_port, timeout_s=START_S) as client:
            assert client.control("reload")["text"] == "nothing changed"
        terminal.process.terminate()
        assert terminal.process.wait(START_S) == EXIT_OK
    finally:
        terminal.close()


def test_a_terminal_that_goes_away_ends_no_sound():
    """A window that is closed, or sshd that has given a dead connection up."""
    terminal, control_port = on_a_tone()
    try:
        terminal.until("█", START_S)
        terminal.hang_up()
        time.sleep(1.0)
        with stemd_client.connect(control_port=control_port, timeout_s=START_S) as client:
            before = client.status()["separate"]["hops"]
            time.sleep(1.0)
            assert client.status()["separate"]["hops"] > before + 50
        assert terminal.process.poll() is None
        terminal.process.terminate()
        assert terminal.process.wait(START_S) == EXIT_OK
    finally:
        terminal.close()


def test_the_view_follows_a_reload_that_builds_everything_anew(terminal, tmp_path):
    terminal.until("512 samples", START_S)
    (tmp_path / "stemd.toml").write_text(
        'profile = "quality"\n[source]\nkind = "tone"\n[[feed]]\nname = "desk"\n'
        '[[feed]]\nname = "choir"\nchannels = [1]\n'
    )
    terminal.process.send_signal(signal.SIGHUP)
    shown = terminal.until("1024 samples", START_S)
    shown += terminal.until("█", 10)
    assert "desk" in shown
    assert "choir" in shown
    assert "(quality)" in shown


def test_monitor_waits_for_a_daemon_or_a_feed_that_went_away(run_command):
    ports = port_overrides()

    def begin(*names):
        feeds = ",".join(f'{{name="{name}", channels=[1]}}' for name in names)
        running = run_command("--set", "source.kind=tone", "--set", f"feed=[{feeds}]", ports=ports)
        running.until_running()
        return running

    def stop(running):
        running.process.terminate()
        running.process.communicate(timeout=20)

    daemon = begin("desk", "choir")
    watching = Terminal("monitor", "--feed", "choir", "--port", ports[1])
    try:
        watching.until("RUNNING", 10)
        stop(daemon)
        watching.until("GONE", 15)
        daemon = begin("stage")
        watching.until("feed: got stage, expected choir among them", 15)
        stop(daemon)
        begin("choir")
        watching.until("RUNNING", 15)
        watching.until("█", 10)
        watching.process.send_signal(signal.SIGINT)
        while watching.process.poll() is None:
            watching.read(0.1)
        assert "Traceback" not in watching.shown
    finally:
        watching.close()
