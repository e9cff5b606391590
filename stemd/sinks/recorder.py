"""Stems into sound files, one file for each, all of one length and aligned to the sample."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from .. import __version__
from ..config import Config
from ..errors import DeviceError
from ..files import write_whole
from ..spec import SOURCES, STEMS, StreamSpec
from .exports import EVENTS, TAKE, finish, part_name
from .soundfiles import Stamp, TrackFile
from .take_events import TakeEvents

MAX_FILLED_S = 60.0  # a longer jump of the clock is left out instead of filled
MEGABYTE = 1_000_000
REFRESH_S = 1.0  # what a killed recorder may lose
BATCH = 16  # hops written together: a call of libsndfile costs as much as a hop
UNFINISHED = 20  # newest folders looked through for takes of daemons that were killed


class Recorder:
    """Writes hops of every feed into `directory/<date-time>/[feed-]stem.wav`, events beside them.

    Parameters
    ----------
    config : Config
    spec : StreamSpec
    first : hop
        The first one that will be written; its time is the files'.

    Raises
    ------
    DeviceError
        From the constructor and `write`, when a file cannot be made, written, or would fill the
        disk. Files written so far are whole.
    """

    def __init__(self, config: Config, spec: StreamSpec, first: Any) -> None:
        self._config = config.record
        self._spec = spec
        self._feeds = [feed.name for feed in config.feed]
        prefix = len(self._feeds) > 1
        self._tracks = [
            (f"{name}-{stem}" if prefix else stem, feed, stem)
            for feed, name in enumerate(self._feeds)
            for stem in self._config.stems
        ]
        self._files: list[TrackFile] = []
        self._events: TakeEvents | None = None
        self._parts: list[int] = []  # where each begins, samples of the take
        self._origin = self._position = int(first["sample_pos"])
        self._utc_ns = int(first["t_capture_ns"]) or time.time_ns()
        self._rotate = round(self._config.rotate_min * 60 * spec.samplerate)
        self._refresh_at_s = 0.0
        self._batch = np.zeros((len(self._tracks), BATCH * spec.hop_length, 2), np.float32)
        self._filled = 0  # samples of it
        self.samples = 0
        self.directory = Path(self._config.directory)
        self.directory = self._make_directory()
        try:
            self._begin_part()
            self._events = TakeEvents(self.directory / EVENTS, spec, self._feeds)
        except (OSError, soundfile.LibsndfileError) as error:
            self.close()
            raise self._failed(error) from error

    def check_space(self) -> None:
        """Raise DeviceError before the disk is full, while files can still be closed properly."""
        try:
            free = shutil.disk_usage(self.directory).free
        except OSError as error:  # it was unplugged, or moved away
            raise self._failed(error) from error
        if free < self._config.keep_free_mb * MEGABYTE:
            raise DeviceError(
                f"record.keep_free_mb: got {free // MEGABYTE} MB left, "
                f"expected {self._config.keep_free_mb}: recording stopped"
            )

    def write(self, hop: Any) -> None:
        """Append one hop; samples lost on the way become silence, so that files stay aligned."""
        position = int(hop["sample_pos"])
        missing = position - self._position
        try:
            if missing < 0 or missing > MAX_FILLED_S * self._spec.samplerate:
                self._origin += missing
                missing = 0
            if missing:
                self._flush()
                silence = np.zeros((missing, 2), np.float32)
                for file in self._files:
                    file.write(silence)
                self.samples += missing
            if self._rotate and self.samples - self._parts[-1] >= self._rotate:
                self._begin_part()
            at = slice(self._filled, self._filled + self._spec.hop_length)
            for i, (_, feed, stem) in enumerate(self._tracks):
                block = hop["mix"][feed]
                if stem != SOURCES[0]:
                    block = hop["stems"][feed, STEMS.index(stem)]
                self._batch[i, at] = block.T
            self._filled = at.stop
            if self._filled == self._batch.shape[1]:
                self._flush()
            if self._events:
                self._events.write(hop, self._origin)
            if time.monotonic() >= self._refresh_at_s:
                self._refresh()
        except (OSError, RuntimeError) as error:  # LibsndfileError is a RuntimeError
            raise self._failed(error) from error
        self._position = position + self._spec.hop_length
        self.samples += self._spec.hop_length

    def close(self) -> None:
        """Finish all files, whatever the disk says; `finish_take` is for later."""
        with contextlib.suppress(OSError, RuntimeError):
            self._flush()
        for file in (*self._files, *([self._events] if self._events else ())):
            # A full disk: the other files may still be closed.
            with contextlib.suppress(OSError, RuntimeError):
                file.close()
        self._files, self._events = [], None

    def _flush(self) -> None:
        filled, self._filled = self._filled, 0
        for file, block in zip(self._files, self._batch, strict=False):
            file.write(block[:filled])

    def _refresh(self) -> None:
        """What is on the disk now will be there, whatever happens to us."""
        self._refresh_at_s = time.monotonic() + REFRESH_S
        self._flush()
        for file in self._files:
            file.refresh()
        if self._events:
            self._events.flush()

    def _begin_part(self) -> None:
        self._flush()
        for file in self._files:
            file.close()
        self._files = []
        self._parts.append(self.samples)
        stamp = Stamp(self._utc_ns, self._spec.samplerate, self.samples)
        form = self._config.format
        for name, _, _ in self._tracks:
            path = self.directory / part_name(name, len(self._parts), form)
            self._files.append(TrackFile(path, self._spec.samplerate, stamp))
        first = Stamp(self._utc_ns, self._spec.samplerate)
        take = {
            "stemd": __version__,
            "samplerate": self._spec.samplerate,
            "feeds": self._feeds,
            "tracks": [name for name, _, _ in self._tracks],
            "format": form,
            "start_utc": datetime.fromtimestamp(self._utc_ns * 1e-9, UTC).isoformat(),
            "time_reference": first.time_reference,
            "parts": self._parts,
            "finished": False,
        }
        write_whole(self.directory / TAKE, json.dumps(take, indent=1).encode())

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
        full = False
        with contextlib.suppress(OSError):
            full = shutil.disk_usage(self.directory).free < MEGABYTE
        what = "a full disk" if full else str(error)
        return DeviceError(f"record.directory: got {what}, expected a place to write")


class Preroll:
    """The newest hops, kept for whoever presses record too late.

    Parameters
    ----------
    spec : StreamSpec
    dtype : numpy dtype
        Of a hop.
    seconds : float
    """

    def __init__(self, spec: StreamSpec, dtype: Any, seconds: float) -> None:
        self._hops = np.zeros(max(round(seconds / spec.hop_s), 0), dtype)
        self._next = 0
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def push(self, hop: Any) -> None:
        """Keep a copy; the oldest goes."""
        if len(self._hops):
            if not self._held:  # in memory that was touched before
                self._next = 0
            self._hops[self._next] = hop
            self._next = (self._next + 1) % len(self._hops)
            self._held = min(self._held + 1, len(self._hops))

    def pop(self) -> Any:
        """The oldest; valid until the next `push`."""
        hop = self._hops[(self._next - self._held) % len(self._hops)]
        self._held -= 1
        return hop


def finish_take(directory: Path) -> bool:
    """Write a take's exports; False where that cannot be done now."""
    try:
        finish(directory)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, ArithmeticError):
        return False
    return True


def unfinished(directory: str) -> Sequence[Path]:
    """Takes whose recorder was killed, of the newest few."""
    found = []
    try:
        takes = sorted(Path(directory).glob(f"*/{TAKE}"), reverse=True)[:UNFINISHED]
        for take in takes:
            if b'"finished": false' in take.read_bytes():
                found.append(take.parent)
    except OSError:
        return found
    return found
