"""Real sound servers and real JACK clients for the tests, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

START_S = 10.0


def wait_for(condition: Any, timeout_s: float, what: str) -> Any:
    """Poll until `condition()` is truthy and return it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"gave up after {timeout_s} s waiting for {what}")


class JackServer:
    """jackd on its dummy driver: synchronous, so that clients that are late lose nothing.

    It offers `system` (silent inputs, 8 outputs) and `loopback` (8 out → 8 in). A private name
    keeps it apart from any server of the machine. It is always the same name, of each of
    pytest-xdist's workers: JACK knows eight servers at most, and those that were killed count until
    their name is used again.
    """

    def __init__(self, samplerate: int = 48_000, period: int = 256, sync: bool = True) -> None:
        if shutil.which("jackd") is None:
            pytest.skip("jackd is not installed")
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        self.name = "-".join(filter(None, ("stemd-test", str(os.getuid()), worker)))
        self.samplerate = samplerate
        self.period = period
        self._sync = sync
        self.environ = {
            "JACK_DEFAULT_SERVER": self.name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        self.process: Any = None

    def start(self) -> None:
        """Start it, or start it again under the same name."""
        allowed = subprocess.run(["chrt", "-f", "10", "true"], capture_output=True, check=False)
        realtime = "-R" if allowed.returncode == 0 else "-r"
        command = ["jackd", "-n", self.name, realtime, *(["-S"] if self._sync else []), "-L", "8"]
        command += ["-d", "dummy", "-r", str(self.samplerate), "-p", str(self.period)]
        command += ["-C", "2", "-P", "8"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env()
        )
        wait_for(lambda: "loopback" in self.ports(), START_S, "jackd")

    def env(self) -> dict[str, str]:
        """Environment for its clients."""
        return {**os.environ, **self.environ}

    def ports(self) -> str:
        """Names of all ports, one a line."""
        answer = subprocess.run(
            ["jack_lsp"], capture_output=True, text=True, env=self.env(), check=False
        )
        return answer.stdout if answer.returncode == 0 else ""

    def kill(self) -> None:
        """As if it crashed; reaped, so that its name is free again."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in good order."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def freeze(self) -> None:
        """As if the device hung."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """As if it came back."""
        self.process.send_signal(signal.SIGCONT)


FEEDER = """
import sys, jack, numpy as np
n = 0
client = jack.Client("feed", no_start_server=True)
ports = [client.outports.register(f"out_{i + 1}") for i in range(int(sys.argv[1]))]
@client.set_process_callback
def process(frames):
    global n
    ramp = (np.arange(n, n + frames) % (2**24 - 1) + 1).astype(np.float32) / np.float32(2**24)
    for i, port in enumerate(ports):
        port.get_array()[:] = ramp if i % 2 == 0 else -ramp
    n += frames
with client:
    print("feeding", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def feeder(server: JackServer, channels: int = 2) -> Iterator[Any]:
    """A JACK client `feed` that plays an exact sample counter: sample n is (n + 1) / 2**24.

    Odd channels carry it negated. Float32 holds it exactly, so that every lost, repeated or altered
    sample shows.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", FEEDER, str(channels)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=server.env(),
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "feeding\n"
        wait_for(lambda: f"feed:out_{channels}" in server.ports(), START_S, "the feeder's ports")
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def serving(server: Any) -> Iterator[Any]:
    """A running server, also the one this process's children use; ended and forgotten after."""
    before = {key: os.environ.get(key) for key in server.environ}
    os.environ.update(server.environ)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.stop()
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def jack(**options: Any) -> contextlib.AbstractContextManager[JackServer]:
    """A running jackd."""
    return serving(JackServer(**options))


class PulseServer:
    """PulseAudio with a null sink whose monitor is the default source; reached through ALSA.

    What desktop users have: another host API, other ways to fail, a clock of its own.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("pulseaudio") is None or shutil.which("pacat") is None:
            pytest.skip("pulseaudio is not installed")
        self._folder = folder
        folder.chmod(0o700)
        place = str(folder)
        self.environ = {
            "XDG_RUNTIME_DIR": place,
            "PULSE_RUNTIME_PATH": place,
            "HOME": place,
            "PULSE_SERVER": f"unix:{place}/sock",
        }
        self.process: Any = None

    def env(self) -> dict[str, str]:
        """Environment for its clients."""
        return {**os.environ, **self.environ}

    def start(self) -> None:
        """Start it, or start it again."""
        script = self._folder / "start.pa"
        # Without `norewinds` the first sample comes up to 1.8 s late.
        script.write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={self._folder}/sock\n"
            "load-module module-null-sink sink_name=mic format=float32le rate=48000 channels=2 "
            "norewinds=1\n"
            "set-default-sink mic\nset-default-source mic.monitor\n"
        )
        command = ["pulseaudio", "-n", "--use-pid-file=no", "--daemonize=no"]
        command += ["--exit-idle-time=-1", "-F", str(script)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env()
        )
        wait_for(lambda: "mic.monitor" in self._sources(), START_S, "pulseaudio")

    def _sources(self) -> str:
        answer = subprocess.run(
            ["pactl", "list", "short", "sources"],
            capture_output=True,
            text=True,
            env=self.env(),
            check=False,
        )
        return answer.stdout

    def kill(self) -> None:
        """As if it crashed."""
        self.process.kill()
        self.process.wait()

    stop = kill  # it keeps nothing that would have to be put in order

    @contextlib.contextmanager
    def playing(self, raw: Path) -> Iterator[None]:
        """Play a raw stereo float file into the microphone."""
        command = ["pacat", "-p", "--device=mic", "--raw", "--format=float32le", "--rate=48000"]
        command += ["--channels=2", "--latency-msec=60", str(raw)]
        player = subprocess.Popen(command, env=self.env(), stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            player.kill()
            player.wait()


def pulse(folder: Path) -> contextlib.AbstractContextManager[PulseServer]:
    """A running PulseAudio."""
    return serving(PulseServer(folder))
