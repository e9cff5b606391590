"""`stemd listen` on a real sound server, from sockets that send an exact sample counter."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stemd.errors import EXIT_DEVICE, EXIT_NO_DAEMON, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import command, stemd
from tests.sinks.support import SPEC, free_port, make_hop, mini_daemon

from ..servers import JackServer, wait_for
from .test_live_path import LISTENER

pytestmark = pytest.mark.device
SECONDS = 4.0


class Pacer:
    """Sends hops as a stream would; `fill` writes into each what its samples are."""

    def __init__(self, daemon: Any, fill: Callable[[Any, np.ndarray], None]) -> None:
        self._daemon, self._fill = daemon, fill
        self._k = 0
        self._began_s = time.monotonic()

    def catch_up(self) -> None:
        """All hops that are due by now."""
        while self._k * SPEC.hop_s < time.monotonic() - self._began_s:
            hop = make_hop(self._k)
            self._fill(hop, np.arange(SPEC.hop_length) + self._k * SPEC.hop_length)
            self._daemon.send(hop)
            self._k += 1

    def play(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.catch_up()
            time.sleep(0.002)


def counted(hop: Any, n: np.ndarray) -> None:
    """The sample counter as the mix, left and negated right."""
    hop["mix"][0] = np.stack([n + 1, -n - 1]).astype(np.float32) / np.float32(2**24)


def sung(hop: Any, n: np.ndarray) -> None:
    """A sine in every stem."""
    hop["stems"][:] = 0.5 * np.sin(2 * np.pi * 440 * n / SPEC.samplerate)


def listened(
    daemon: Any, server: JackServer, ear: Any, path: Any, topic: bytes, fill: Any, *words: str
) -> tuple[dict[str, Any], np.ndarray]:
    """What `stemd listen` counted, and what was heard from its port."""
    process = subprocess.Popen(
        command("listen", *words, "--device", "system", "--margin-ms", 200, "--json",
                "--port", daemon.control_port),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=server.env(),
    )  # fmt: skip
    try:
        daemon.wait_for_topic(topic)
        pacer = Pacer(daemon, fill)

        def port() -> list[str]:
            pacer.catch_up()
            start = f"stemd-out-{process.pid}"
            return [p for p in server.ports().split() if p.startswith(start)]

        ear("connect", wait_for(port, 20.0, "the output's port")[0])
        pacer.play(SECONDS)
        process.send_signal(signal.SIGTERM)
        said, complaint = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == EXIT_OK, complaint
    last = json.loads(said.splitlines()[-1])
    assert last["lost"] == last["filled"] == last["late"] == last["skipped"] == 0
    ear("save", path)
    return last, np.trim_zeros(np.load(path).astype(np.float64))


@pytest.fixture
def ear(server: JackServer, tmp_path: Any) -> Any:
    """Records what a port plays."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=server.env(),
        text=True,
    )
    assert process.stdout.readline() == "listening\n"

    def say(word: str, argument: object) -> None:
        process.stdin.write(f"{word} {argument}\n")
        process.stdin.flush()
        assert process.stdout.readline() == {"connect": "connected\n", "save": "saved\n"}[word]

    yield say
    process.kill()
    process.wait()


def test_what_is_heard_is_what_was_sent_in_order(
    server: JackServer, ear: Any, tmp_path: Any
) -> None:
    with mini_daemon() as daemon:
        there = (daemon, server, ear, tmp_path / "heard.npy", b"stemd/1/a/main/mix/")
        last, heard = listened(*there, counted, "mix")
    assert last["sessions"] == 1
    assert last["played"] > 0
    heard = heard[4800:-4800] * 2**24
    assert len(heard) > 48_000
    # One more a sample, give or take the drift correction; a hop lost or played twice is 256.
    if last["underruns"] == 0:
        assert np.abs(np.diff(heard) - 1.0).max() < 2.0


def test_opus_is_heard_without_a_hole(server: JackServer, ear: Any, tmp_path: Any) -> None:
    with mini_daemon(opus_kbps=128) as daemon:
        there = (daemon, server, ear, tmp_path / "heard.npy", b"stemd/1/o/main/bass/")
        last, heard = listened(*there, sung, "bass", "--opus")
    heard = heard[9600:-9600]
    assert len(heard) > 24_000
    if last["underruns"] == 0:
        # A sine of one frequency bends by so much from sample to sample, and a hole would not.
        bend = np.abs(np.diff(heard, 2)).max()
        assert bend < 3 * 0.5 * (2 * np.pi * 440 / SPEC.samplerate) ** 2
        assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_who_cannot_hear_is_told(server: JackServer) -> None:
    with mini_daemon() as daemon:
        there = ("--port", daemon.control_port)
        ran = stemd("listen", "mix", "--device", "no such card", *there, env=server.env())
        assert ran.returncode == EXIT_DEVICE
        assert "output.device: got 'no such card', expected one of the outputs" in ran.stderr
        assert stemd("listen", "violins", *there).returncode == EXIT_USAGE
        assert stemd("listen", "vocals+vocals", *there).returncode == EXIT_USAGE
        ran = stemd("listen", "mix", "--opus", *there, env=server.env())
        assert "opus: got a daemon that sends none" in ran.stderr
    assert stemd("listen", "mix", "--port", free_port()).returncode == EXIT_NO_DAEMON
