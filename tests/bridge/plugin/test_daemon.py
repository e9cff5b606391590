"""The plugin with the real daemon and its model: what a person hears in a DAW."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .support import BOTH, ROOT, STATUS, Host, noise, wait_until

NULL = 1e-6  # rounding of float32 at half scale, four times


@pytest.fixture(scope="module")
def studio(built: None) -> Iterator[Host]:
    """A host, and a daemon that serves it alone."""
    place = Path(tempfile.mkdtemp(prefix="stemd-", dir="/tmp"))
    host = Host(place)
    with (place / "daemon.log").open("w") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "stemd", "run", "--inserts", "--no-view"],
            cwd=ROOT,
            env={**host.environment, "HOME": os.environ.get("HOME", "/")},
            stdout=log,
            stderr=log,
        )
    try:

        def ready() -> bool:
            assert daemon.poll() is None, (place / "daemon.log").read_text()
            return (host.runtime / "0.json").exists()

        wait_until(ready, 180)  # the first time kernels are compiled
        yield host
    finally:
        daemon.send_signal(signal.SIGINT)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
        shutil.rmtree(place, ignore_errors=True)


def separated(stems: np.ndarray) -> bool:
    """Not the dry signal on one bus: every stem has some of it."""
    return bool((np.abs(stems[len(stems) // 2 :]).max(axis=(0, 2)) > 1e-5).all())


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_stems_add_up_to_the_delayed_input(kind: str, rate: int, studio: Host) -> None:
    heard = studio.run(kind, noise(1.5, rate), rate=rate, blocks=[512, 1, 300], max_block=512)
    assert heard.null() <= NULL
    assert heard.missed == 0
    assert separated(heard.stems[0])
    # what the discovery file says, and two blocks
    known = json.loads((studio.runtime / "0.json").read_text())["minimum"]
    assert heard.latency == known * (2 if rate > 90_000 else 1) + 2 * 512


def test_eight_instances(studio: Host) -> None:
    heard = studio.run("vst3", noise(1), instances=8)
    for n in range(8):
        assert heard.null(n) <= NULL
        assert heard.parameters(n)["Frames missed"] == 0
        np.testing.assert_allclose(heard.stems[n], heard.stems[0], atol=1e-5)


def test_in_real_time(studio: Host) -> None:
    heard = studio.run("vst3", noise(4), offline=False, paced=True, max_block=256)
    assert heard.null() <= NULL
    assert heard.parameters()["Status"] == STATUS.index("connected")


def through_dawdreamer(studio: Host, rate: int, block: int, instances: int = 1) -> None:
    given = noise(1.2, rate)
    report, rendered = studio.python_host(
        "dawdreamer", given, rate=rate, block=block, instances=instances
    )
    assert report["channels"] == [[2, 8]] * instances
    assert float(report["parameters"]["Frames missed"]) == 0
    for latency, audio in zip(report["latency"], rendered, strict=True):
        stems = audio.reshape(-1, 4, 2)
        total = stems.sum(axis=1)
        assert latency > 0
        np.testing.assert_array_equal(total[:latency], 0)
        there = min(len(total) - latency, len(given))
        assert np.abs(total[latency : latency + there] - given[:there]).max() <= NULL
        assert separated(stems)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("block", [32, 128, 480, 512, 2048])
def test_dawdreamer(rate: int, block: int, studio: Host) -> None:
    through_dawdreamer(studio, rate, block)


def test_dawdreamer_with_eight_tracks(studio: Host) -> None:
    through_dawdreamer(studio, 48_000, 512, instances=8)


def test_pedalboard_hears_the_vocals(studio: Host) -> None:
    """It offers a plugin's first bus alone, and turns delay compensation on by itself."""
    given = noise(1.2)
    report, (vocals,) = studio.python_host("pedalboard", given, rate=48_000, block=512)
    heard = studio.run("vst3", given, max_block=512)
    assert report["latency"] == [heard.latency]
    expected = heard.stems[0][heard.latency :, 0]
    there = min(len(expected), len(vocals))
    assert there > 40_000
    np.testing.assert_allclose(vocals[:there], expected[:there], atol=1e-5)
