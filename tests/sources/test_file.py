"""Files, tones and pipes as sources."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stemd.config import SourceConfig
from stemd.errors import DeviceError
from stemd.sources.file import FileSource
from stemd.sources.stdin import StdinSource
from stemd.sources.tone import ToneSource


class Heard:
    """Collects blocks; has no room for the first few, as a full ring."""

    def __init__(self, refusals: int = 0) -> None:
        self.blocks: list[np.ndarray[Any, Any]] = []
        self.times: list[float] = []
        self._refusals = refusals

    def room(self, n: int) -> bool:
        self._refusals -= 1
        return self._refusals < 0

    def write(
        self, block: Any, adc_s: float, first_ns: int, arrival_ns: int, flags: int = 0
    ) -> None:
        assert block.dtype == np.float32
        assert first_ns <= arrival_ns
        self.blocks.append(block.copy())
        self.times.append(adc_s)

    @property
    def audio(self) -> np.ndarray[Any, Any]:
        return np.concatenate(self.blocks)


def after(n: int) -> Any:
    """A `stopping` that says yes after it was asked `n` times."""
    asked = iter(range(n))
    return lambda: next(asked, None) is None


def write(path: Path, audio: np.ndarray[Any, Any]) -> SourceConfig:
    soundfile.write(path, audio, 48_000, subtype="FLOAT")
    return SourceConfig(kind="file", path=str(path), pace="fast")


NOISE = np.random.default_rng(0).uniform(-1, 1, (1000, 3)).astype(np.float32)


@pytest.mark.parametrize("blocksize", [1, 63, 256, 5000])
def test_a_file_arrives_whole_and_says_when_it_is_through(tmp_path: Path, blocksize: int) -> None:
    source = FileSource(write(tmp_path / "a.wav", NOISE), 3, blocksize)
    source.open()
    heard = Heard(refusals=3)  # a full ring makes it wait and loses nothing
    assert source.run(heard, lambda: False) is True
    source.close()
    np.testing.assert_array_equal(heard.audio, NOISE)
    np.testing.assert_allclose(heard.times, np.arange(len(heard.times)) * blocksize / 48_000)


def test_missing_channels_repeat_the_last_and_others_are_dropped(tmp_path: Path) -> None:
    config = write(tmp_path / "a.wav", NOISE)
    for channels in (1, 2, 5):
        source = FileSource(config, channels, 256)
        source.open()
        heard = Heard()
        source.run(heard, lambda: False)
        expected = NOISE[:, np.minimum(np.arange(channels), 2)]
        np.testing.assert_array_equal(heard.audio, expected)


def test_a_loop_has_no_seam(tmp_path: Path) -> None:
    config = replace(write(tmp_path / "a.wav", NOISE), loop=True)
    source = FileSource(config, 3, 256)
    source.open()
    heard = Heard()
    assert source.run(heard, after(20)) is False
    expected = np.concatenate([NOISE] * 6)[: 20 * 256]
    np.testing.assert_array_equal(heard.audio, expected)


def test_the_demo_loop_is_there_and_stereo() -> None:
    source = FileSource(SourceConfig(kind="demo", pace="fast"), 2, 256)
    source.open()
    heard = Heard()
    source.run(heard, after(48_000 // 256 * 5))
    assert source.samplerate == 48_000
    assert np.abs(heard.audio).max() > 0.1
    assert not np.array_equal(heard.audio[:, 0], heard.audio[:, 1])


@pytest.mark.parametrize("content", [None, b"", b"not a sound file"])
def test_what_is_no_sound_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeviceError, match=r"^source\.path: got .*expected a sound file"):
        FileSource(SourceConfig(kind="file", path=str(path)), 2, 256).open()


def test_a_tone_is_a_sine_of_the_level_and_pitch_asked_for() -> None:
    config = SourceConfig(
        kind="tone", samplerate=48_000, pace="fast", frequency_hz=1000.0, level_db=-6.0
    )
    source = ToneSource(config, 2, 100)
    source.open()
    heard = Heard()
    source.run(heard, after(480))
    expected = 10 ** (-6 / 20) * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    np.testing.assert_allclose(heard.audio[:, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(heard.audio[:, 0], heard.audio[:, 1])


@pytest.fixture
def pipe() -> Iterator[tuple[int, Connection]]:
    read, write = os.pipe()
    yield write, Connection(read, writable=False)
    for fd in (write,):
        try:
            os.close(fd)
        except OSError:
            continue  # the test closed it


@pytest.mark.parametrize(
    ("encoding", "dtype", "scale"),
    [("f32le", "<f4", 1.0), ("s16le", "<i2", 2**15), ("s32le", "<i4", 2**31)],
)
def test_a_pipe_is_heard_to_its_last_whole_sample(
    pipe: tuple[int, Connection], encoding: Any, dtype: str, scale: float
) -> None:
    fd, connection = pipe
    samples = (NOISE[:, :2] * 0.9 * scale).astype(dtype)
    data = samples.tobytes() + b"\1\2\3"  # a writer that died in the middle of a sample

    def feed() -> None:
        for i in range(0, len(data), 777):
            os.write(fd, data[i : i + 777])
        os.close(fd)

    thread = threading.Thread(target=feed)
    thread.start()
    source = StdinSource(
        SourceConfig(kind="stdin", samplerate=48_000, encoding=encoding), 2, 256, connection
    )
    source.open()
    heard = Heard(refusals=2)
    assert source.run(heard, lambda: False) is True
    thread.join()
    np.testing.assert_allclose(heard.audio, samples / np.float32(scale), atol=1e-7)


def test_numbers_that_are_none_do_not_come_in(pipe: tuple[int, Connection]) -> None:
    fd, connection = pipe
    os.write(fd, np.array([[np.nan, np.inf], [-np.inf, 0.5]], "<f4").tobytes())
    os.close(fd)
    heard = Heard()
    StdinSource(SourceConfig(kind="stdin", samplerate=48_000), 2, 256, connection).run(
        heard, lambda: False
    )
    np.testing.assert_array_equal(heard.audio, np.array([[0, 1], [-1, 0.5]], np.float32))


def test_without_a_pipe_the_stdin_source_says_what_it_needs() -> None:
    with pytest.raises(DeviceError, match="got 'stdin' without one, expected a pipe"):
        StdinSource(SourceConfig(kind="stdin", samplerate=48_000), 2, 256, None).open()


def test_a_file_that_holds_less_than_it_says_ends(tmp_path: Path) -> None:
    """Its header says half a second, and all the sound is gone."""
    path = tmp_path / "a.flac"
    config = SourceConfig(kind="file", path=str(path), pace="fast", loop=True)
    soundfile.write(path, NOISE, 48_000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:100])
    source = FileSource(config, 2, 256)
    source.open()
    heard = Heard()
    try:
        assert source.run(heard, after(20)) is True
    except DeviceError as error:
        assert "expected a file that can be read to its end" in str(error)  # noqa: PT017
    assert not heard.blocks


@pytest.mark.parametrize(
    ("name", "rate"), [("a.raw", 48_000), ("a.wav", 1), ("a.wav", 2_000_000_000)]
)
def test_what_cannot_be_played_is_refused(tmp_path: Path, name: str, rate: int) -> None:
    path = tmp_path / name
    soundfile.write(tmp_path / "b.wav", NOISE, rate)
    (tmp_path / "b.wav").rename(path)
    with pytest.raises(DeviceError, match=r"^source\.path: got .*, expected"):
        FileSource(SourceConfig(kind="file", path=str(path)), 2, 256).open()
