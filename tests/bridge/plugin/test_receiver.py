"""stemd Receiver with a daemon that separates a tone: what comes out of a DAW that has a clock of
its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .support import BOTH, ROOT, STATUS, Host, bundle, noise, wait_until

TONE_HZ = 440.0
TRACE = ["Connected", "Status", "Frames missed", "Clock difference"]


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        ones = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in ones:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in ones]


class Stage:
    """A host's place, and the daemon in it; `start` and `stop` as a person would."""

    def __init__(self, host: Host, *settings: str) -> None:
        self.host = host
        self.ports = free_ports(3)
        names = ("audio_port", "features_port", "control_port")
        self._settings = [
            "source.kind=tone",
            f"source.frequency_hz={TONE_HZ}",
            "osc.enabled=false",
            *(f"zeromq.{name}={port}" for name, port in zip(names, self.ports, strict=True)),
            *settings,
        ]
        self.notice = host.runtime / "stream-0.json"

    def start(self) -> None:
        arguments = [part for setting in self._settings for part in ("--set", setting)]
        path = self.host.place / "stage.log"
        with path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stemd", "run", "--no-view", *arguments],
                cwd=ROOT,
                env={**self.host.environment, "HOME": os.environ.get("HOME", "/")},
                stdout=log,
                stderr=log,
            )

        def ready() -> bool:
            assert self.process.poll() is None, path.read_text()
            return self.notice.exists() and " running: " in path.read_text()

        wait_until(ready, 180)  # the first time kernels are compiled

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def stage(built: None) -> Iterator[Stage]:
    place = Path(tempfile.mkdtemp(prefix="stemd-", dir="/tmp"))
    one = Stage(Host(place))
    try:
        one.start()
        yield one
    finally:
        one.stop()
        shutil.rmtree(place, ignore_errors=True)


def receive(host: Host, kind: str, seconds: float, **order):
    given = noise(seconds, order.get("rate", 48_000))
    order = (
        dict(plugin="receiver", offline=False, paced=True, wait_s=0.5) | {"max_block": 256} | order
    )
    return host.run(kind, given, trace=TRACE, **order)


def impurity(signal: np.ndarray, rate: float) -> float:
    """The largest step that a pure tone does not make, against the tone's level.

    A tone whose pitch is steered by some millionths passes; a lost, repeated or broken sample does
    not.
    """
    signal = signal.astype(np.float64)
    assert np.abs(signal).max() > 0.1
    turn = 2 * np.cos(2 * np.pi * TONE_HZ / rate)
    return float(np.abs(signal[2:] + signal[:-2] - turn * signal[1:-1]).max() / signal.max())


def last_calm(heard, seconds: float, rate: int) -> np.ndarray:
    """(n, s, c): the longest end of the run in which nothing was missed, at most `seconds`."""
    missed = heard.trace[:, 3]
    began = heard.trace[np.flatnonzero(missed == missed[-1])[0], 0]
    length = int(min(seconds * rate, len(heard.given) - began))
    return heard.stems[0][len(heard.given) - length :]


@pytest.mark.parametrize("kind", BOTH)
def test_stems_of_the_stage_arrive(kind: str, stage: Stage) -> None:
    heard = receive(stage.host, kind, 4, sealed_after_s=1)
    assert heard.report["sealed"]  # the audio thread made no system call
    assert heard.report["inputs"] == []
    assert [name for name, _, _ in heard.report["outputs"]] == ["vocals", "drums", "bass", "other"]
    assert heard.parameters()["Connected"] == 1
    assert STATUS[int(heard.parameters()["Status"])] == "connected"
    assert heard.parameters()["Profile"] == 2  # live
    # two hops of the daemon, and what waits here
    assert 15 < heard.parameters()["Latency from the stage"] < 200
    total = last_calm(heard, 0.5, 48_000).sum(axis=1)
    assert len(total) > 4_800
    assert impurity(total[:, 0], 48_000) < 1e-3
    np.testing.assert_allclose(total[:, 0], total[:, 1], atol=1e-6)


@pytest.mark.parametrize("rate", [44_100, pytest.param(96_000, marks=pytest.mark.slow)])
def test_another_rate_is_another_number_of_samples(rate: int, stage: Stage) -> None:
    heard = receive(stage.host, "vst3", 4, rate=rate, blocks=[1, 300, 64], max_block=512)
    total = last_calm(heard, 0.5, rate).sum(axis=1)
    assert len(total) > rate // 10
    assert impurity(total[:, 0], rate) < 1e-3


@pytest.mark.slow  # receiver_test.cpp does the same in a time of its own
@pytest.mark.parametrize("ppm", [-700, 900])
def test_a_clock_of_known_difference_is_found(ppm: int, stage: Stage) -> None:
    """The host's sound card runs that much faster than the daemon's clock."""
    heard = receive(stage.host, "vst3", 40, pace_ppm=ppm, parameters={"Buffer (0: automatic)": 150})
    assert heard.parameters()["Clock difference"] == pytest.approx(ppm, abs=100)
    total = last_calm(heard, 0.25, 48_000).sum(axis=1)
    assert impurity(total[:, 0], 48_000) < 1e-3
    missed = heard.trace[:, 3]
    calm = missed == missed[-1]
    assert calm.sum() > 20 * 10  # ten seconds at the least, of 20 rows a second


@pytest.mark.parametrize("choice", [1, pytest.param(4, marks=pytest.mark.slow), 5])
def test_one_stem_on_the_first_output(choice: int, stage: Stage) -> None:
    heard = receive(stage.host, "clap", 3, parameters={"Stems": choice})
    calm = last_calm(heard, 0.5, 48_000)
    np.testing.assert_array_equal(calm[:, 1:], 0)
    if choice == 5:  # the mix is the tone
        assert impurity(calm[:, 0, 0], 48_000) < 1e-3
    else:
        assert 0 < np.abs(calm[:, 0]).max() < 1


def test_a_feed_that_is_not_there(stage: Stage) -> None:
    heard = receive(stage.host, "vst3", 2, parameters={"Feed": 3})
    assert STATUS[int(heard.parameters()["Status"])] == "no such feed"
    np.testing.assert_array_equal(heard.stems[0], 0)


@pytest.mark.parametrize("kind", BOTH)
def test_eight_receivers_share_one_thread(kind: str, stage: Stage) -> None:
    heard = receive(stage.host, kind, 4, instances=8, restarts=2)
    before = heard.report["threads_before"]
    assert before == 1  # nothing runs before the first activation
    assert heard.report["threads"] == before + 3  # ours, and two of libzmq
    assert heard.report["threads_after"] == before
    for n in range(8):
        assert heard.parameters(n)["Connected"] == 1
        assert np.abs(heard.stems[n][-24_000:]).max() > 0.1, (n, heard.parameters(n))


@pytest.mark.parametrize("kind", ["core-tsan", "core-asan"])
def test_under_sanitizers(kind: str, stage: Stage) -> None:
    heard = receive(stage.host, kind, 4, instances=2, restarts=1)
    assert heard.parameters()["Connected"] == 1
    assert heard.parameters()["Messages malformed"] == 0
    assert np.abs(heard.stems[0]).max() > 0.1


def test_a_session_and_an_endpoint_can_be_chosen(stage: Stage) -> None:
    heard = receive(stage.host, "vst3", 2, parameters={"Session (0: any)": 4})
    # nobody has that session: the default port is tried, where nobody listens
    assert STATUS[int(heard.parameters()["Status"])] == "searching"
    where = {"STEMD_STREAM": f"tcp://127.0.0.1:{stage.ports[0]}"}
    heard = receive(stage.host, "vst3", 3, parameters={"Session (0: any)": 4}, environment=where)
    assert heard.parameters()["Connected"] == 1
    far = {"STEMD_STREAM": "tcp://192.0.2.1:5570"}
    heard = receive(stage.host, "vst3", 0.5, environment=far)
    assert STATUS[int(heard.parameters()["Status"])] == "needs key"


@pytest.mark.parametrize("kind", BOTH)
def test_state_comes_back(kind: str, stage: Stage) -> None:
    settings = {"Stems": 2, "Feed": 7, "Buffer (0: automatic)": 90, "Bass": -6}
    state = stage.host.place / "state"
    receive(stage.host, kind, 0.1, wait_s=0, parameters=settings, save=str(state))
    heard = receive(stage.host, kind, 0.1, wait_s=0, state=str(state))
    for name, value in settings.items():
        assert heard.parameters()[name] == pytest.approx(value, abs=1e-3)
    assert heard.parameters()["Buffer in use"] == pytest.approx(90 + 1000 * 256 / 48_000, abs=0.1)
    saved = state.read_bytes()
    where = f"tcp://127.0.0.1:{stage.ports[0]}"
    assert saved.count(b"endpoint\0\0") == 1
    state.write_bytes(saved.replace(b"endpoint\0\0", b"endpoint\0" + where.encode() + b"\0"))
    heard = receive(
        stage.host,
        kind,
        3,
        state=str(state),
        parameters={"Stems": 0, "Feed": 1},
        environment={"STEMD_STREAM": "tcp://127.0.0.1:9"},
    )
    assert heard.parameters()["Connected"] == 1  # the project wins


def test_no_descriptors_left(stage: Stage) -> None:
    heard = receive(stage.host, "vst3", 0.3, descriptors=20)
    assert STATUS[int(heard.parameters()["Status"])] == "no descriptors"
    np.testing.assert_array_equal(heard.stems[0], 0)


def test_only_the_entry_points_are_exported(built: None) -> None:
    for kind in BOTH:
        table = subprocess.run(
            ["nm", "-D", "--defined-only", bundle(kind, "receiver")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        names = {line.split()[-1] for line in table.splitlines()}
        entries = {
            "vst3": {"GetPluginFactory", "ModuleEntry", "ModuleExit"},
            "clap": {"clap_entry"},
        }
        assert names == entries[kind]


def test_a_publisher_that_dies_is_silence_until_the_next(stage: Stage) -> None:
    """Silence and a count while nobody publishes; stems again when somebody does."""
    facts = json.loads(stage.notice.read_text())
    assert facts["stream"] == f"tcp://127.0.0.1:{stage.ports[0]}"
    assert stage.notice.stat().st_mode & 0o777 == 0o600
    order = dict(plugin="receiver", offline=False, paced=True, max_block=256, trace=TRACE)
    run = stage.host.start("vst3", noise(14), **order)
    time.sleep(3)
    stage.process.send_signal(signal.SIGSTOP)  # or there is another one before it is noticed
    try:
        os.kill(facts["pid"], signal.SIGKILL)
        time.sleep(3)
    finally:
        stage.process.send_signal(signal.SIGCONT)
    heard = stage.host.finish(run)
    connected = heard.trace[:, 1].astype(bool)
    assert connected[-1]
    first = int(np.argmax(connected))
    gone = first + int(np.argmax(~connected[first:]))  # it was noticed, 2 s later
    assert gone > first
    at = int(heard.trace[gone, 0])
    np.testing.assert_array_equal(heard.stems[0][at - 4_800 : at], 0)
    assert heard.missed > 48_000  # what was not heard is counted
    assert np.abs(heard.stems[0][-4_800:]).max() > 0.1
    assert json.loads(stage.notice.read_text())["pid"] != facts["pid"]


def test_in_dawdreamer(stage: Stage) -> None:
    """It renders as fast as it can and puts plugins to sleep in between: a receiver finds less than
    it asks for, and says so; what it finds, it plays."""
    report, (audio,) = stage.host.python_host(
        "dawdreamer", None, "receiver", rate=48_000, block=256, seconds=300
    )
    assert report["channels"] == [[0, 8]]
    assert report["latency"] == [0]
    assert report["parameters"]["Status"] == "connected"
    assert float(report["parameters"]["Frames missed"]) > 0
    stems = audio.reshape(-1, 4, 2)
    assert 0.1 < np.abs(stems.sum(axis=1)).max() < 1


def test_with_keys_only_those_on_the_list_hear(built: None) -> None:
    """A daemon that asks for keys on loopback too, and who comes with which."""
    place = Path(tempfile.mkdtemp(prefix="stemd-", dir="/tmp"))
    stage = Stage(Host(place), "security.loopback=true")

    def keys(*words: str) -> None:
        command = [sys.executable, "-m", "stemd", "keys", *words]
        subprocess.run(command, cwd=ROOT, env=stage.host.environment, check=True)

    def said(**order) -> str:
        heard = receive(stage.host, "vst3", 2.5, **order)
        status = STATUS[int(heard.parameters()["Status"])]
        assert (status == "connected") == bool(np.abs(heard.stems[0]).max() > 0.1)
        return status

    try:
        stage.start()
        facts = json.loads(stage.notice.read_text())
        # the daemon's own user: the key that was left for this machine's programs
        assert said() == "connected"
        # anybody else has the daemon's public key, and a pair of their own
        told = {"environment": {"STEMD_STREAM": f"{facts['stream']} {facts['curve']}"}}
        assert said(**told) == "searching"
        own = (place / "config/stemd/plugin.key").read_text().split()[0]
        keys("authorise", "daw", "--role", "listen", "--", own)
        assert said(**told) == "connected"
        keys("revoke", "daw")
        assert said(**told) == "searching"
        assert said(environment={"STEMD_STREAM": facts["stream"]}) == "searching"
    finally:
        stage.stop()
        shutil.rmtree(place, ignore_errors=True)
