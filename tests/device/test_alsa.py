"""The ALSA host API, through PulseAudio: what a desktop machine has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyaudio
import pytest

from stemd.config import load_config
from stemd.errors import DeviceError
from stemd.portaudio import choose, list_devices
from stemd.sources.device import DeviceSource
from stemd.sources.probe import probe
from stemd.status import State

from ..servers import pulse
from .conftest import Running, running

pytestmark = pytest.mark.device

ALSA = ["source.kind=device", "source.device=pulse", "source.host_api=ALSA"]


@pytest.fixture
def counter_file(tmp_path: Path) -> Path:
    """Two minutes of the exact sample counter, raw."""
    n = np.arange(120 * 48_000)
    ramp = ((n % (2**24 - 1) + 1) / 2**24).astype("<f4")
    path = tmp_path / "counter.raw"
    np.stack([ramp, -ramp], axis=1).tofile(path)
    return path


def longest_exact_run(it: Running, seconds: float) -> int:
    """Samples in a row that count up by one, in what comes out."""
    mix = it.collect(seconds).mix()
    n = np.rint(mix[0].astype(np.float64) * 2**24)
    np.testing.assert_array_equal(mix[1], -mix[0])
    breaks = np.flatnonzero(np.diff(n) != 1)
    return int(np.diff(np.concatenate([[-1], breaks, [len(n) - 1]])).max())


def test_audio_is_exact_through_alsa_and_survives_the_server(
    tmp_path: Path, counter_file: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pulse(folder) as server:
        assert any("ALSA" in d["host_api"] and "pulse" in d["name"] for d in probe())
        with running(*ALSA) as it:
            with server.playing(counter_file):
                it.until(lambda: int(it.status.capture["blocks"]) > 200, 20.0, "blocks")
                assert longest_exact_run(it, 3.0) > 48_000
            server.kill()
            it.until_state(State.STALLED)
            separate = int(it.status.separate["pid"])
            server.start()
            with server.playing(counter_file):
                it.until_state(State.RUNNING)
                it.collect(1.0)
                assert longest_exact_run(it, 3.0) > 48_000
            assert int(it.status.separate["pid"]) == separate


def test_a_rate_the_device_lacks_is_resampled_by_the_server_or_refused(tmp_path: Path) -> None:
    """Either way the daemon says what it does and goes on."""
    folder = tmp_path / "run"
    folder.mkdir()
    with pulse(folder), running(*ALSA, "source.samplerate=44100") as it:
        it.until_state(State.RUNNING)
        assert it.daemon.spec.samplerate == 44_100
        assert abs(len(it.collect(2.0)) * 256 / 44_100 - 2.0) < 0.3


def test_a_device_that_is_busy_for_a_moment_keeps_its_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some time after it was plugged in again, hardware opens; ours is told to refuse once."""
    folder = tmp_path / "run"
    folder.mkdir()

    def busy(*_: object, **__: object) -> None:
        raise OSError("Device unavailable")

    with pulse(folder):
        source = DeviceSource(load_config(None, ALSA).source, 2, 256, 0.25, follow_rate=True)
        source.samplerate = 48_000
        with monkeypatch.context() as patch:
            patch.setattr(pyaudio.PyAudio, "open", busy)
            with pytest.raises(DeviceError, match="Device unavailable"):
                source.open()
        assert source.device_rate == 0
        source.open()
        device = choose(list_devices(source._audio), "input", "pulse", "ALSA", "source")
        assert device.rates[-1] == 44_100
        assert source._takes(device, 2, 44_100)
        assert not source._takes(device, 2, 10_000_000)
