"""`stemd separate`: files in, files out, nothing shifted, nothing lost."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stemd.cli import offline
from stemd.cli.offline import separate_file
from stemd.errors import EXIT_DEVICE, EXIT_MODEL, DeviceError
from stemd.spec import N_CHANNELS, N_STEMS, PROFILES, STEMS
from tests.servers import wait_for

from .conftest import command, stemd

FLOAT32 = 3e-6  # a few roundings of samples near full scale


class ByBand:
    """Masks that give each stem a fixed quarter of the spectrum, left and right alike."""

    complex_masks = False

    def __init__(self, spec: Any) -> None:
        self._masks = np.zeros((1, N_STEMS, N_CHANNELS, spec.n_bins), np.float32)
        for stem, bins in enumerate(np.array_split(np.arange(spec.n_bins), N_STEMS)):
            self._masks[:, stem, :, bins] = 1.0

    def process(self, spectra: Any, deadline: float | None = None) -> Any:
        return self._masks

    def reset(self, slot: int | None = None) -> None:
        pass


class LeftOnly(ByBand):
    """All vocals on the left, nothing on the right: not what any real model does to mono."""

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self._masks[:] = 0.0
        self._masks[:, 0, 0] = 1.0


def noise(n: int, channels: int = 2) -> np.ndarray[Any, Any]:
    """(n, c) float32, full band."""
    return np.random.default_rng(n).uniform(-0.3, 0.3, (n, channels)).astype(np.float32)


def write(path: Path, samples: Any, samplerate: int = 48_000) -> Path:
    soundfile.write(path, samples, samplerate, subtype="FLOAT")
    return path


def read_stems(folder: Path, suffix: str = "wav") -> tuple[dict[str, Any], int]:
    """Each stem as (n, c), and the rate they agree on."""
    stems, rates = {}, set()
    for stem in STEMS:
        samples, rate = soundfile.read(folder / f"{stem}.{suffix}", dtype="float32", always_2d=True)
        stems[stem] = samples
        rates.add(rate)
    assert len(rates) == 1
    return stems, rates.pop()


@pytest.mark.parametrize("samplerate", [44_100, 48_000, 96_000, 22_050, 44_056])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_add_up_to_the_file(tmp_path, samplerate, channels):
    """Sample by sample: alignment, length and sum in one."""
    song = noise(60_123, channels)
    path = write(tmp_path / "song.wav", song, samplerate)
    done = separate_file(path, tmp_path / "out", ByBand, "live")
    stems, rate = read_stems(tmp_path / "out" / "song")
    assert (rate, done.samplerate, done.n_samples) == (samplerate, samplerate, len(song))
    assert all(samples.shape == song.shape for samples in stems.values())
    np.testing.assert_allclose(sum(stems.values()), song, rtol=0, atol=FLOAT32)
    # the lowest quarter exists at every rate, and is not all there is at any
    assert 0.2 * song.std() < stems["vocals"].std() < 0.95 * song.std()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("samplerate", [48_000, 96_000])
def test_every_stem_lies_where_its_sound_was(tmp_path, profile, samplerate):
    """A short burst at a frequency of the second quarter comes out of drums, at its place."""
    n, at, width = 48_000, 20_000, 2_400
    inside_hz = 48_000
    song = np.zeros((n, 2), np.float32)
    t = np.arange(width) / samplerate
    burst = 0.5 * np.hanning(width) * np.sin(2 * np.pi * inside_hz * 3 / 16 * t)
    song[at : at + width] = burst[:, None].astype(np.float32)
    path = write(tmp_path / "song.wav", song, samplerate)
    separate_file(path, tmp_path / "out", ByBand, profile)
    stems, _ = read_stems(tmp_path / "out" / "song")
    against = stems["drums"][:, 0]
    lag = np.argmax(np.correlate(against, song[at : at + width, 0], "valid")) - at
    assert lag == 0
    np.testing.assert_allclose(against, song[:, 0], rtol=0, atol=2e-3)  # skirts of the burst


@pytest.mark.parametrize("n", [0, 1, 2, 255, 511, 512, 513, 1024])
@pytest.mark.parametrize("samplerate", [48_000, 96_000])
def test_files_shorter_than_the_delay(tmp_path, n, samplerate):
    song = noise(n)
    path = write(tmp_path / "song.wav", song, samplerate)
    separate_file(path, tmp_path / "out", ByBand, "live")
    stems, _ = read_stems(tmp_path / "out" / "song")
    assert all(len(samples) == n for samples in stems.values())
    np.testing.assert_allclose(sum(stems.values()), song, rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("samplerate", [48_000, 96_000])
def test_blocks_leave_no_seam(tmp_path, monkeypatch, samplerate):
    """However the file is cut on its way, the same samples come out."""
    path = write(tmp_path / "song.wav", noise(30_000), samplerate)
    separate_file(path, tmp_path / "whole", ByBand, "live")
    monkeypatch.setattr(offline, "BLOCK", 777)
    separate_file(path, tmp_path / "cut", ByBand, "live")
    whole, _ = read_stems(tmp_path / "whole" / "song")
    cut, _ = read_stems(tmp_path / "cut" / "song")
    for stem in STEMS:
        np.testing.assert_allclose(cut[stem], whole[stem], rtol=0, atol=FLOAT32)


def test_memory_holds_blocks_not_files(tmp_path, monkeypatch):
    """No call hands over more than one block."""
    monkeypatch.setattr(offline, "BLOCK", 4_096)
    path = write(tmp_path / "song.wav", noise(100_000), 44_100)
    steps: list[int] = []
    separate_file(path, tmp_path, ByBand, "live", advance=lambda done, _: steps.append(done))
    assert max(np.diff([0, *steps])) <= 4_096 + PROFILES["live"].n_fft
    assert steps[-1] == 100_000


def test_mono_is_the_mean_of_what_a_model_makes_of_its_sides(tmp_path):
    song = noise(5_000, 1)
    path = write(tmp_path / "song.wav", song)
    separate_file(path, tmp_path / "out", LeftOnly, "live")
    stems, _ = read_stems(tmp_path / "out" / "song")
    np.testing.assert_allclose(stems["vocals"], song / 2, rtol=0, atol=FLOAT32)
    np.testing.assert_allclose(stems["other"], song / 2, rtol=0, atol=FLOAT32)


def test_flac_is_24_bit_and_says_what_it_cut(tmp_path):
    song = noise(20_000)
    song[100:110] = 2.0
    path = write(tmp_path / "song.wav", song)
    done = separate_file(path, tmp_path / "out", lambda spec: None, "live", "flac")
    info = soundfile.info(tmp_path / "out" / "song" / "other.flac")
    assert (info.format, info.subtype) == ("FLAC", "PCM_24")
    assert done.clipped == 20
    stems, _ = read_stems(tmp_path / "out" / "song", "flac")
    np.testing.assert_allclose(stems["other"], np.clip(song, -1, 1), rtol=0, atol=2**-22)


def test_what_is_not_a_number_becomes_silence(tmp_path):
    song = noise(10_000)
    broken = song.copy()
    broken[5_000], broken[5_001], broken[5_002] = np.nan, np.inf, -np.inf
    song[5_000:5_003] = 0.0
    path = write(tmp_path / "song.wav", broken)
    separate_file(path, tmp_path / "out", ByBand, "live")
    stems, _ = read_stems(tmp_path / "out" / "song")
    np.testing.assert_allclose(sum(stems.values()), song, rtol=0, atol=FLOAT32)


def test_more_than_two_channels_are_refused(tmp_path):
    path = write(tmp_path / "song.wav", noise(100, 6))
    with pytest.raises(DeviceError, match="got 6 channels, expected mono or stereo"):
        separate_file(path, tmp_path, ByBand, "live")


def test_a_model_that_fails_half_way_leaves_nothing_behind(tmp_path):
    class Fails(ByBand):
        calls = 0

        def process(self, spectra: Any, deadline: float | None = None) -> Any:
            self.calls += 1
            if self.calls > 50:
                raise RuntimeError("out of luck")
            return super().process(spectra)

    path = write(tmp_path / "song.wav", noise(30_000))
    with pytest.raises(RuntimeError, match="out of luck"):
        separate_file(path, tmp_path / "out", Fails, "live")
    assert list((tmp_path / "out").iterdir()) == []


def test_existing_stems_stay_unless_told_otherwise(tmp_path):
    path = write(tmp_path / "song.wav", noise(3_000))
    separate_file(path, tmp_path / "out", ByBand, "live")
    before = (tmp_path / "out" / "song" / "bass.wav").read_bytes()
    path = write(tmp_path / "song.wav", noise(4_000))
    with pytest.raises(DeviceError, match="--overwrite"):
        separate_file(path, tmp_path / "out", ByBand, "live")
    assert (tmp_path / "out" / "song" / "bass.wav").read_bytes() == before
    separate_file(path, tmp_path / "out", ByBand, "live", overwrite=True)
    assert len(read_stems(tmp_path / "out" / "song")[0]["bass"]) == 4_000


# -- the command, with the released models ---------------------------------------------------------


def test_the_command_separates_and_reports(tmp_path):
    song = noise(48_000, 1)
    path = write(tmp_path / "song.wav", song, 44_100)
    ran = stemd("separate", path, "-o", tmp_path / "out", "--json", "--profile", "live")
    assert ran.returncode == 0, ran.stderr
    (result,) = json.loads(ran.stdout)
    assert (result["ok"], result["samplerate"], result["n_samples"]) == (True, 44_100, 48_000)
    stems, rate = read_stems(tmp_path / "out" / "song")
    assert rate == 44_100
    np.testing.assert_allclose(sum(stems.values()), song, rtol=0, atol=FLOAT32)


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    good = write(tmp_path / "good.wav", noise(3_000))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF" + bytes(60))
    missing = tmp_path / "missing.wav"
    ran = stemd("separate", missing, bad, good, "-o", tmp_path / "out", "--json")
    assert ran.returncode == EXIT_DEVICE
    assert [result["ok"] for result in json.loads(ran.stdout)] == [False, False, True]
    assert len(ran.stderr.splitlines()) == 2
    assert f"{missing}: got no such file" in ran.stderr
    assert f"{bad}: got" in ran.stderr
    assert (tmp_path / "out" / "good" / "vocals.wav").exists()


def test_a_model_that_is_not_there(tmp_path):
    path = write(tmp_path / "song.wav", noise(3_000))
    ran = stemd("separate", path, "-o", tmp_path / "out", "--model", "nobody")
    assert ran.returncode == EXIT_MODEL
    assert "got 'nobody'" in ran.stderr
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_place_where_nothing_can_be_written(tmp_path):
    path = write(tmp_path / "song.wav", noise(3_000))
    (tmp_path / "file").write_text("no folder")
    ran = stemd("separate", path, "-o", tmp_path / "file")
    assert ran.returncode == EXIT_DEVICE
    assert len(ran.stderr.splitlines()) == 1


def test_an_interrupted_file_leaves_nothing_behind(tmp_path):
    path = write(tmp_path / "song.wav", noise(48_000 * 600))
    process = subprocess.Popen(
        command("separate", path, "-o", tmp_path / "out"), stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list((tmp_path / "out").glob(".song.*/vocals.wav")), 30, "the first samples")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []
