"""`stemd monitor` and `stemd tap` beside a real daemon."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from stemd.cli.tap import _record
from stemd.errors import EXIT_DEVICE, EXIT_FAILED
from stemd.processors.catalogue import DEFAULT_MODELS
from stemd.spec import SOURCES, STEMS
from stemd.wire import topics
from tests.sinks.support import SPEC, make_hop, mini_daemon

from .conftest import command, stemd


@pytest.fixture
def keep_signals():
    """Give back what a command in this process took."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for one, handler in kept.items():
        signal.signal(one, handler)


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


def test_what_tap_lost_is_silence_however_long(tmp_path):
    path = tmp_path / "x.wav"
    first, last = make_hop(0), make_hop(400)  # two seconds later
    m = SPEC.hop_length
    n_samples = 401 * m
    seconds = n_samples / SPEC.samplerate
    with mini_daemon() as daemon:
        process = subprocess.Popen(
            command("tap", "bass", "-o", path, "--port", daemon.control_port, "--seconds", seconds),
            stderr=subprocess.PIPE,
            text=True,
        )
        daemon.wait_for_topic(topics.audio("main", "bass"))
        daemon.send(first, last)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert f"{399 * m} samples filled, 0 lost" in said
    samples, _ = soundfile.read(path, dtype="float32")
    assert len(samples) == n_samples
    bass = STEMS.index("bass")
    np.testing.assert_array_equal(samples[:m].T, first["stems"][0, bass])
    np.testing.assert_array_equal(samples[-m:].T, last["stems"][0, bass])
    assert not samples[m:-m].any()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_tap_goes_on_for_longer_than_a_wav_can_count(tmp_path, ending, keep_signals):
    if shutil.disk_usage(tmp_path).free < 6e9:
        pytest.skip("needs 6 GB of disk")
    path = tmp_path / f"long.{ending}"
    block = SimpleNamespace(
        samplerate=48_000, mix=None, stems=np.zeros((1, 2, 1_000_000), np.float32)
    )
    hours = SimpleNamespace(samplerate=48_000, read_block=lambda timeout_s: block)
    assert _record(hours, path, 540e6 / 48_000) == 540_000_000  # 3 h 07 min 30 s
    assert soundfile.info(path).frames == 540_000_000


LIMITED = """
import resource, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from stemd.cli.tap import _record
from stemd.errors import DeviceError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000,) * 2)
block = SimpleNamespace(samplerate=48_000, mix=None, stems=np.full((1, 2, 4_000), 0.5, np.float32))
client = SimpleNamespace(samplerate=48_000, read_block=lambda timeout_s: block)
try:
    _record(client, Path(sys.argv[1]), 10.0)
except DeviceError as error:
    sys.exit(str(error))
"""


def test_tap_keeps_what_the_disk_had_room_for(tmp_path):
    path = tmp_path / "x.wav"
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "expected to write there" in ran.stderr
    assert list(tmp_path.iterdir()) == [path]
    heard, _ = soundfile.read(path)
    assert len(heard) > 25_000
    assert (heard == 0.5).all()


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
