"""`stemd monitor` and `stemd tap` beside a real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

from stemd.errors import EXIT_DEVICE, EXIT_FAILED
from stemd.processors.catalogue import DEFAULT_MODELS
from stemd.spec import SOURCES

from .conftest import command, stemd


def tap(daemon, *arguments):
    return stemd("tap", *arguments, "--port", daemon.control_port)


@pytest.mark.parametrize("source", SOURCES)
def test_tap_records_as_long_as_asked(daemon, tmp_path, source):
    path = tmp_path / f"{source}.wav"
    ran = tap(daemon, source, "-o", path, "--seconds", 1.5)
    assert ran.returncode == 0, ran.stderr
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, "FLOAT")
    assert info.frames == 72_000
    samples, _ = soundfile.read(path)
    assert np.abs(samples).max() > 1e-3
    assert list(tmp_path.iterdir()) == [path]


def test_tap_keeps_what_it_has_when_it_is_ended(daemon, tmp_path):
    path = tmp_path / "x.flac"
    process = subprocess.Popen(
        command("tap", "drums", "-o", path, "--port", daemon.control_port),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not any(file.stat().st_size > 10_000 for file in tmp_path.iterdir()):
        assert time.monotonic() < deadline, "nothing is written"
        time.sleep(0.05)
    assert not path.exists()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert soundfile.info(path).subtype == "PCM_24"
    assert soundfile.info(path).frames > 0
    assert "of drums" in said


def test_tap_does_not_overwrite(daemon, tmp_path):
    path = tmp_path / "x.wav"
    path.write_text("mine")
    ran = tap(daemon, "bass", "-o", path, "--seconds", 0.1)
    assert ran.returncode == EXIT_DEVICE
    assert path.read_text() == "mine"
    assert tap(daemon, "bass", "-o", path, "--seconds", 0.1, "--overwrite").returncode == 0
    assert soundfile.info(path).frames == 4_800


def test_tap_of_a_feed_that_is_none(daemon, tmp_path):
    ran = tap(daemon, "bass", "-o", tmp_path / "x.wav", "--feed", "nobody")
    assert ran.returncode == EXIT_FAILED
    assert "expected one of main" in ran.stderr


def test_monitor_shows_the_daemon(daemon):
    ran = stemd("monitor", "--once", "--port", daemon.control_port)
    assert ran.returncode == 0, ran.stderr
    for word in ("RUNNING", "demo loop", DEFAULT_MODELS["live"], "512 samples = 10.7 ms", *SOURCES):
        assert word in ran.stdout


def test_monitor_speaks_json(daemon):
    ran = stemd("monitor", "--once", "--json", "--port", daemon.control_port)
    status = json.loads(ran.stdout)
    assert status["state"] == "RUNNING"
    assert status["separate"]["latency"] == 512
