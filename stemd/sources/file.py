"""Sound files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..config import SourceConfig
from ..errors import DeviceError
from .base import Pace, Stopping, Writer, offer

RATES_HZ = (1_000, 768_000)  # beyond it is no sound, whatever the header says
DEMO = Path(__file__).parent.parent / "assets" / "demo.ogg"


class FileSource:
    """A file libsndfile reads, at real-time pace or as fast as the separator takes it.

    Files with fewer channels than asked for repeat their last one; further channels are dropped.
    """

    def __init__(self, config: SourceConfig, channels: int, blocksize: int) -> None:
        demo = config.kind != "file"
        self._path = DEMO if demo else Path(config.path)
        self.samplerate = config.samplerate
        self.blocksize = blocksize
        self.label = "demo loop" if demo else f"file {self._path.name}"
        self._channels = channels
        self._paced = config.pace == "real"
        self._loop = config.loop or demo
        self._file: Any = None

    @staticmethod
    def rate_of(path: str | Path) -> int:
        """Samplerate of a file, Hz.

        Raises
        ------
        DeviceError
            When it is not a sound file.
        """
        with _open(path) as file:
            return int(file.samplerate)

    def open(self) -> None:
        """Open the file."""
        self._file = _open(self._path)
        self.samplerate = self._file.samplerate

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Deliver the file, once or for ever."""
        pace: Pace | None = None
        position = 0
        while not stopping():
            block = self._read(self.blocksize)
            # The first read sets up the decoder; time counted from before it would make the first
            # blocks come in a burst.
            pace = pace or Pace(self.samplerate)
            while self._loop and len(block) < self.blocksize:
                again = self._again(self.blocksize - len(block))
                if len(again) == 0:  # whatever its header says
                    break
                block = np.concatenate([block, again])
            if len(block) == 0:
                return True
            first_ns = pace.wait(len(block)) if self._paced else time.monotonic_ns()
            offer(writer, stopping, block, position / self.samplerate, first_ns)
            position += len(block)
        return False

    def _again(self, n: int) -> np.ndarray[Any, Any]:
        """Up to `n` samples from the beginning."""
        try:
            self._file.seek(0)
        except soundfile.LibsndfileError as error:
            raise self._broken(error) from error
        return self._read(n)

    def _read(self, n: int) -> np.ndarray[Any, Any]:
        try:
            block = self._file.read(n, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._broken(error) from error
        pick = np.minimum(np.arange(self._channels), block.shape[1] - 1)
        return np.ascontiguousarray(block[:, pick])

    def _broken(self, error: Exception) -> DeviceError:
        return DeviceError(
            f"source.path: got {self._path} ({error}), expected a file that can be read to its end"
        )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _open(path: str | Path) -> soundfile.SoundFile:
    """A file libsndfile reads, or a refusal."""
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # a name in .raw wants to be told more
        raise DeviceError(f"source.path: got {path} ({error}), expected a sound file") from error
    if not RATES_HZ[0] <= file.samplerate <= RATES_HZ[1]:
        file.close()
        low, high = RATES_HZ
        raise DeviceError(
            f"source.path: got {path} at {file.samplerate} Hz, expected {low} to {high}"
        )
    return file
