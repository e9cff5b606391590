"""Stems into sound files, one file for each, all of one length and aligned to the sample."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..config import Config
from ..errors import DeviceError
from ..spec import SOURCES, STEMS, StreamSpec

SUBTYPES = {"wav": "FLOAT", "flac": "PCM_24"}
MAX_FILLED_S = 60.0  # a longer jump of the clock starts new files instead of filling them
MEGABYTE = 1_000_000


class Recorder:
    """Writes hops of every feed into `directory/<date-time>/[feed-]stem.wav`.

    Parameters
    ----------
    config : Config
    spec : StreamSpec

    Raises
    ------
    DeviceError
        From the constructor and `write`, when a file cannot be made, written, or would fill the
        disk. Files written so far are whole.
    """

    def __init__(self, config: Config, spec: StreamSpec) -> None:
        self._config = config.record
        self._spec = spec
        self._feeds = [feed.name for feed in config.feed]
        self._files: list[tuple[Any, int, str]] = []
        self._position = -1
        self.samples = 0
        self.directory = Path(self._config.directory)
        self.directory = self._make_directory()
        prefix = len(self._feeds) > 1
        try:
            for feed, name in enumerate(self._feeds):
                for stem in self._config.stems:
                    stem_name = f"{name}-{stem}" if prefix else stem
                    self._files.append((self._create(stem_name), feed, stem))
        except (OSError, soundfile.LibsndfileError) as error:
            self.close()
            raise self._failed(error) from error

    def _make_directory(self) -> Path:
        base = Path(self._config.directory) / time.strftime("%Y-%m-%d-%H%M%S")
        for attempt in range(100):
            directory = base if attempt == 0 else base.with_name(f"{base.name}-{attempt}")
            try:
                directory.mkdir(parents=True)
                return directory
            except FileExistsError:
                continue
            except OSError as error:
                raise self._failed(error) from error
        raise DeviceError(f"record.directory: got {base} a hundred times, expected a new name")

    def _failed(self, error: Exception) -> DeviceError:
        """In our words: libsndfile calls a full disk a system error."""
        full = self.directory.exists() and shutil.disk_usage(self.directory).free < MEGABYTE
        what = "a full disk" if full else str(error)
        return DeviceError(f"record.directory: got {what}, expected a place to write")

    def _create(self, name: str) -> Any:
        form = self._config.format
        return soundfile.SoundFile(
            str(self.directory / f"{name}.{form}"),
            "x",
            samplerate=self._spec.samplerate,
            channels=2,
            subtype=SUBTYPES[form],
            # A plain WAV header counts to 4 GiB; RF64 goes on, and is a plain WAV until then.
            format="RF64" if form == "wav" else "FLAC",
        )

    def check_space(self) -> None:
        """Raise DeviceError before the disk is full, while files can still be closed properly."""
        free = shutil.disk_usage(self.directory).free
        if free < self._config.keep_free_mb * MEGABYTE:
            raise DeviceError(
                f"record.keep_free_mb: got {free // MEGABYTE} MB left, "
                f"expected {self._config.keep_free_mb}: recording stopped"
            )

    def write(self, hop: Any) -> None:
        """Append one hop; samples lost on the way become silence, so that files stay aligned."""
        position = int(hop["sample_pos"])
        missing = position - self._position if self._position >= 0 else 0
        if missing < 0 or missing > MAX_FILLED_S * self._spec.samplerate:
            missing = 0
        try:
            for file, feed, stem in self._files:
                if missing:
                    file.write(np.zeros((missing, 2), np.float32))
                block = hop["mix"][feed]
                if stem != SOURCES[0]:
                    block = hop["stems"][feed, STEMS.index(stem)]
                file.write(block.T)
        except (OSError, RuntimeError) as error:  # LibsndfileError is a RuntimeError
            raise self._failed(error) from error
        self._position = position + self._spec.hop_length
        self.samples += missing + self._spec.hop_length

    def close(self) -> None:
        """Finish all files, whatever the disk says."""
        for file, _, _ in self._files:
            try:
                file.close()
            except (OSError, RuntimeError):
                continue  # a full disk: the other files may still be closed
        self._files = []
