"""One more box in the user data of a finished MP4 file.  Source: ISO/IEC 14496-12, 4.2 and 8.10."""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_HEAD, _LARGE = struct.Struct(">I4s"), struct.Struct(">Q")
_ON_THE_WAY = {b"trak", b"mdia", b"minf", b"stbl"}  # from a movie to its tables of chunks
_CHUNKS = {b"stco": ">u4", b"co64": ">u8"}  # where in the file each chunk of samples begins

_PIECE = 1 << 20  # bytes copied at once


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies: its head, what is in it, its end."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Boxes one after the other, without what is inside them.

    Raises
    ------
    ValueError
        When one ends beyond `end`.
    """
    while end - start >= _HEAD.size:  # a QuickTime user data box may end with four zero bytes
        file.seek(start)
        size, kind = _HEAD.unpack(file.read(_HEAD.size))
        body = start + _HEAD.size
        if size == 1:
            size = _LARGE.unpack(file.read(_LARGE.size))[0]
            body += _LARGE.size
        stop = start + size if size else end
        if not body <= stop <= end:
            raise ValueError(f"box {kind!r}: got {size} bytes, expected at most {end - start}")
        yield Box(kind, start, body, stop)
        start = stop


def add_user_data(source: Path, target: Path, kind: bytes, content: bytes) -> None:
    """Copy an MP4 file with `moov/udta/kind` holding `content`; one that is there is replaced.

    Not for fragmented files: only chunk offsets are moved when the movie box lies in front.

    Raises
    ------
    OSError, ValueError
        From the disk; `source` is no MP4 file.
    """
    size = source.stat().st_size
    with source.open("rb") as file, target.open("wb") as out:
        found = {box.kind: box for box in boxes(file, 0, size)}
        if b"moov" not in found:
            raise ValueError(f"{source}: got no moov box, expected an MP4 file")
        moov = found[b"moov"]
        file.seek(moov.body)
        old = file.read(moov.end - moov.body)
        new = bytearray(_box(b"moov", _with_user_data(old, kind, content)))
        grown = len(new) - (moov.end - moov.start)
        _move_chunks(new, _HEAD.size, len(new), moov.end, grown)
        file.seek(0)
        for left in range(moov.start, 0, -_PIECE):
            out.write(file.read(min(left, _PIECE)))
        out.write(new)
        file.seek(moov.end)
        shutil.copyfileobj(file, out)


def _box(kind: bytes, content: bytes) -> bytes:
    return _HEAD.pack(_HEAD.size + len(content), kind) + content


def _with_user_data(movie: bytes, kind: bytes, content: bytes) -> bytes:
    """What is in a movie box, its user data with ours at the end."""
    file, kept, user = io.BytesIO(movie), b"", b""
    for box in boxes(file, 0, len(movie)):
        if box.kind == b"udta":
            for inner in boxes(file, box.body, box.end):
                user += movie[inner.start : inner.end] if inner.kind != kind else b""
        else:
            kept += movie[box.start : box.end]
    return kept + _box(b"udta", user + _box(kind, content))


def _move_chunks(moov: bytearray, start: int, end: int, beyond: int, by: int) -> None:
    """Add `by` to the place of all chunks that lay at or after `beyond` in the file."""
    for box in boxes(io.BytesIO(moov), start, end):
        if box.kind in _ON_THE_WAY:
            _move_chunks(moov, box.body, box.end, beyond, by)
        elif box.kind in _CHUNKS:
            (count,) = struct.unpack_from(">I", moov, box.body + 4)
            places = np.frombuffer(moov, _CHUNKS[box.kind], count, box.body + 8)
            later = places >= beyond
            if box.kind == b"stco" and later.any() and int(places.max()) + by >= 2**32:
                raise ValueError("stco: got a file of 4 GB, expected co64 boxes in one so long")
            places[later] = places[later].astype(np.int64) + by
