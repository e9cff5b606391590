"""One track of a recording on disk, playable at any moment: when we are killed, or it passes 4 GB.

The header is brought up to date as the file grows. libsndfile does that for WAV, which becomes RF64
beyond 4 GB; in FLAC we write the one number a player needs ourselves, each time there is more.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from .. import __version__

DAY_S = 86_400
SUBTYPES = {"wav": "FLOAT", "flac": "PCM_24"}

# sndfile.h; python-soundfile passes commands on, but has no names for these.
_UPDATE_HEADER_NOW, _SET_BROADCAST_INFO, _RF64_AUTO_DOWNGRADE = 0x1060, 0x10F1, 0x1210
# SF_BROADCAST_INFO: description, originator, reference, date, time, time reference (low, high),
# version, UMID, five loudness values, reserved, and a coding history with its size.
_BROADCAST = struct.Struct("<256s32s32s10s8s2xIIh64s10s180sI256s")
_FLAC_BLOCK = 4096  # samples libFLAC encodes together at libsndfile's compression level
_FLAC_TOTAL_AT = (
    4 + 4 + 13
)  # "fLaC", a block header, then STREAMINFO up to 36 bits of total samples
_UNKNOWN = 1 << 40  # samples; a FLAC file that does not say how many it holds has more


def length_of(path: Path) -> int:
    """Samples a file holds; 0: there is none, or its recorder ended before it could say.

    Raises
    ------
    soundfile.LibsndfileError
        When it is no sound file.
    """
    if not path.exists() or not path.stat().st_size:
        return 0
    frames = int(soundfile.info(str(path)).frames)
    return frames if frames < _UNKNOWN else 0


@dataclass(frozen=True, slots=True)
class Stamp:
    """When the first sample of a file sounded: `samples` after a moment."""

    utc_ns: int
    samplerate: int
    samples: int = 0

    @property
    def local(self) -> datetime:
        """On the clock on the wall, as the BWF asks for."""
        return datetime.fromtimestamp(
            self.utc_ns * 1e-9 + self.samples / self.samplerate, UTC
        ).astimezone()

    @property
    def time_reference(self) -> int:
        """Samples since the midnight before it.

        Counted, not converted, from the moment on: files of one take meet to the sample.
        """
        start = datetime.fromtimestamp(self.utc_ns * 1e-9, UTC).astimezone()
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        passed_ns = self.utc_ns - round(midnight.timestamp()) * 10**9
        count = passed_ns * self.samplerate // 10**9 + self.samples
        return count % (DAY_S * self.samplerate)

    def broadcast(self, description: str) -> bytes:
        """The `bext` chunk.  Source: EBU Tech 3285, version 1."""
        when, count = self.local, self.time_reference
        return _BROADCAST.pack(
            description.encode("ascii", "replace")[:256],
            f"stemd {__version__}".encode()[:32],
            b"",
            when.strftime("%Y-%m-%d").encode(),
            when.strftime("%H:%M:%S").encode(),
            count & 0xFFFFFFFF,
            count >> 32,
            1,
            bytes(64),
            bytes(10),
            bytes(180),
            0,
            bytes(256),
        )


class TrackFile:
    """Two channels into one new file.

    Parameters
    ----------
    path : Path
        Must not exist; its ending is the format, wav (32-bit float) or flac (24-bit).
    samplerate : int
    stamp : Stamp or None
        None: not known.

    Raises
    ------
    OSError, soundfile.LibsndfileError
        From everything, when the disk does not want to.
    """

    def __init__(self, path: Path, samplerate: int, stamp: Stamp | None) -> None:
        form = path.suffix[1:]
        self._path = path
        self._flac = -1
        self._file: Any = soundfile.SoundFile(
            str(path),
            "x",
            samplerate=samplerate,
            channels=2,
            subtype=SUBTYPES[form],
            format="RF64" if form == "wav" else "FLAC",
        )
        self.samples = 0
        if form == "wav":
            self._command(_RF64_AUTO_DOWNGRADE, None, 1)  # a plain WAV until it is too long for one
            if stamp:
                self._command(_SET_BROADCAST_INFO, stamp.broadcast(path.stem), _BROADCAST.size)
            self.refresh()
        else:
            if stamp:
                self._file.date = stamp.local.isoformat(timespec="milliseconds")
                self._file.comment = f"TIME_REFERENCE={stamp.time_reference}"
            self._file.software = f"stemd {__version__}"
            self._flac = os.open(path, os.O_WRONLY)

    def write(self, block: np.ndarray[Any, Any]) -> None:
        """Append (n, 2) float32."""
        self._file.write(block)
        self.samples += len(block)
        if self._flac >= 0:
            self._tell_length()

    def refresh(self) -> None:
        """Let the header say how much there is; that of FLAC always does."""
        if self._flac < 0:
            self._command(_UPDATE_HEADER_NOW, None, 0)

    def close(self) -> None:
        """Finish the file; one that holds nothing anybody could play goes."""
        if self._flac >= 0:
            os.close(self._flac)
            self._flac = -1
        self._file.close()
        if not length_of(self._path):
            self._path.unlink()

    def _tell_length(self) -> None:
        # Whole blocks are on disk one sample after their end; STREAMINFO's total is 36 bits, of
        # which the first four share a byte with the bits per sample.
        total = max(self.samples - 1, 0) // _FLAC_BLOCK * _FLAC_BLOCK
        if total:
            bits = 24 - 1 & 0x0F
            head = bytes([bits << 4 | total >> 32 & 0x0F])
            os.pwrite(self._flac, head + struct.pack(">I", total & 0xFFFFFFFF), _FLAC_TOTAL_AT)

    def _command(self, command: int, data: bytes | None, size: int) -> None:
        ffi = soundfile._ffi
        pointer = ffi.NULL if data is None else ffi.from_buffer(data)
        soundfile._snd.sf_command(self._file._file, command, pointer, size)
