"""Bad networks: a cable between namespaces and tc, or a relay where tc knows no netem."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from .relay import Relay
from .support import Ear, Program, until

RATE = 48_000
FADE = 240  # samples of good audio a seam may change, after it
QUIET_S = 6.0
BACK_S = 30.0
PACKET_MS = 2.7


def run(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class Cable:
    """A veth pair: our end has 10.x.y.1, the sender's, in a namespace of its own, 10.x.y.2."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.namespace = f"stemd-{tag}"
        self.near, self.far = f"sa{tag}", f"sb{tag}"
        x, y = (1 + b % 250 for b in os.urandom(2))
        self.here, there = f"10.{x}.{y}.1", f"10.{x}.{y}.2"
        inside = ("ip", "netns", "exec", self.namespace)
        steps = (
            ("ip", "netns", "add", self.namespace),
            ("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far),
            ("ip", "link", "set", self.far, "netns", self.namespace),
            ("ip", "addr", "add", f"{self.here}/24", "dev", self.near),
            ("ip", "link", "set", self.near, "up"),
            (*inside, "ip", "addr", "add", f"{there}/24", "dev", self.far),
            (*inside, "ip", "link", "set", self.far, "up"),
            (*inside, "ip", "link", "set", "lo", "up"),
        )
        for words in steps:
            if not run(*words):
                self.close()
                pytest.skip(f"{' '.join(words[:3])} is not permitted here")

    def shape(self, *words: str) -> None:
        """Trouble on the sender's way to us; none when there are no words."""
        inside = ("ip", "netns", "exec", self.namespace)
        run(*inside, "tc", "qdisc", "del", "dev", self.far, "root")
        if words and not run(*inside, "tc", "qdisc", "add", "dev", self.far, "root", *words):
            pytest.skip(f"this kernel has no {words[0]}")

    def close(self) -> None:
        """Gone, with what is at its ends."""
        run("ip", "link", "del", self.near)
        run("ip", "netns", "del", self.namespace)


@pytest.fixture
def cable() -> Iterator[Cable]:
    if not shutil.which("ip") or not shutil.which("tc"):
        pytest.skip("iproute2 is not installed")
    one = Cable()
    yield one
    one.close()


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("noise") / "noise.wav"
    made = np.random.default_rng(3).uniform(-0.5, 0.5, (100 * RATE, 2)).astype(np.float32)
    soundfile.write(path, made, RATE, subtype="FLOAT")
    return path, made


CABLE = {
    "outage": (("tbf", "rate", "1kbit", "burst", "2kb", "limit", "1"), 0.2),
    "squeeze": (("tbf", "rate", "1mbit", "burst", "8kb", "latency", "100ms"), 2.0),
    "netem": (("netem", "delay", "20ms", "20ms", "loss", "5%"), 8.0),
    "netem reordering": (("netem", "delay", "10ms", "reorder", "25%", "50%"), 5.0),
}
Fate = Callable[[random.Random], tuple[float, ...]]
RELAY: dict[str, tuple[Fate, float]] = {
    "loss and jitter": (lambda r: () if r.random() < 0.05 else (0.02 + r.uniform(-0.02, 0.02),), 8),
    "outage": (lambda r: (), 0.2),
    "reordering": (lambda r: (0.0 if r.random() < 0.25 else 0.01,), 5),
    "doubles": (lambda r: (0.0, 0.003), 3),
}


def slow(names: Iterable[str], quick: str) -> list[Any]:
    return [pytest.param(n, marks=() if n == quick else pytest.mark.slow) for n in names]


class Heard:
    """What a sender of known noise brought through trouble, and what was counted."""

    def __init__(self, box: Ear, sent: np.ndarray) -> None:
        self.box, self.sent = box, sent
        self.written: list[Any] = []

    def through(self, begin: Callable[[], object], end: Callable[[], object], seconds: float):
        """Quiet, trouble, and back to where the buffer was."""
        box = self.box
        box.until(lambda n: n["present"][0], "audio")
        time.sleep(QUIET_S)
        self.before = box.status()
        begin()
        time.sleep(seconds)
        end()
        base_ms = max(self.before["buffer_ms"][0], 15.0)
        until(
            lambda: box.status()["buffer_ms"][0] <= base_ms + PACKET_MS,
            f"{base_ms} ms again",
            BACK_S,
        )
        n = len(box.written)
        until(lambda: len(box.written) > n + 400, "a second more")

    def finish(self) -> None:
        """No more."""

        def still() -> bool:  # what was written and what was counted, of one moment
            before = self.box.status()
            self.written = list(self.box.written)
            self.final = self.box.status()
            return all(before[key][0] == self.final[key][0] for key in ("concealed", "seams"))

        until(still, "a moment in which nothing is invented")

    def check(self) -> None:
        """Every sample is there once, and the invented ones are those that were counted."""
        written = self.written
        positions = np.cumsum([0, *(len(one[0]) for one in written)])[:-1]
        np.testing.assert_allclose([one[1] * RATE for one in written], positions, atol=1e-3)
        assert self.final["lost"][0] == 0
        audio = np.concatenate([one[0] for one in written])
        good = next(i for i, one in enumerate(written) if not one[3])
        at, sent = int(positions[good]), self.sent
        (found,) = np.flatnonzero((sent[:, 0] == audio[at, 0]) & (sent[:, 1] == audio[at, 1]))
        first = int(found) - at
        different = (audio != sent[first : first + len(audio)]).any(axis=1)
        concealed, seams = self.final["concealed"][0], self.final["seams"][0]
        invented = different.sum()
        assert concealed <= invented <= concealed + FADE * seams, (concealed, invented, seams)
        flagged = np.repeat([bool(one[3]) for one in written], [len(one[0]) for one in written])
        assert flagged[different].all()


WORDS = ("--insecure", "--status", "off", "--encoding", "f32", "--block", 128)


@pytest.mark.parametrize("kind", slow(CABLE, "outage"))
def test_a_bad_cable_is_counted_to_the_sample_and_forgotten(cable: Cable, noise, kind: str):
    path, sent = noise
    box = Ear([{"name": "main"}], bind=cable.here, insecure=True)
    heard = Heard(box, sent)
    sender = Program(
        *("send", f"{cable.here}:{box.port}", "--file", path, "--redundancy", 0, *WORDS),
        namespace=cable.namespace,
    )
    shape, seconds = CABLE[kind]

    try:
        heard.through(lambda: cable.shape(*shape), cable.shape, seconds)
        assert sender.process.poll() is None
        if "reordering" not in kind:
            assert heard.box.status()["concealed"][0] > heard.before["concealed"][0]
        heard.finish()
    finally:
        sender.end()
        box.end()
    heard.check()


@pytest.mark.parametrize("kind", slow(RELAY, "loss and jitter"))
def test_a_bad_network_is_counted_to_the_sample_and_forgotten(noise, kind: str):
    path, sent = noise
    box = Ear([{"name": "main"}])
    relay = Relay(box.port)
    heard = Heard(box, sent)
    sender = Program(
        *("send", f"127.0.0.2:{box.port}", "--file", path, "--redundancy", 0, *WORDS),
    )
    fate, seconds = RELAY[kind]
    quiet = relay.fate

    def bend(one: Fate) -> None:
        relay.fate = one

    try:
        heard.through(lambda: bend(fate), lambda: bend(quiet), seconds)
        assert sender.process.poll() is None
        heard.finish()
    finally:
        sender.end()
        relay.close()
        box.end()
    heard.check()
    if kind == "doubles":  # refused before they are looked at
        assert heard.final["replayed"] > 500
    if kind == "loss and jitter":
        assert heard.final["asked"][0] > 0
        assert heard.final["recovered"][0] > 0
