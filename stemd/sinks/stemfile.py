"""A take, or what `stemd separate` wrote, as a Native Instruments stem file: one MP4, five tracks.

The mix comes first and is all that an ordinary player plays; a box in the user data names the four
stems behind it.  Source: Native Instruments, Stem File Specification 1.0.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from .. import __version__
from ..config import NATIVE_RATES
from ..errors import DeviceError
from ..spec import SOURCES, STEMS
from .exports import TAKE, part_name
from .mp4 import add_user_data
from .soundfiles import length_of

Float32Array = npt.NDArray[np.float32]

MIX = SOURCES[0]
# Four faders of a controller, in the order DJs have on them.
TRACKS = (MIX, "drums", "bass", "other", "vocals")
COLORS = {"drums": "#ffb84d", "bass": "#45c4ff", "other": "#a78bfa", "vocals": "#ff6d8f"}
CODECS = {"aac": "fltp", "alac": "s32p"}  # and the samples each takes, planar
AAC_BITS_PER_S = 256_000  # as the specification has it, each track
ALAC_BITS = 24
BLOCK = 1 << 14  # samples encoded at once
ENDING = ".stem.mp4"
# A player's own compressor and limiter for the sum, switched off: the stems add up to the mix.
MASTERING = {
    "compressor": {
        "enabled": False,
        "input_gain": 0.5,
        "output_gain": 0.5,
        "threshold": 0,
        "ratio": 3,
        "attack": 0.003,
        "release": 0.3,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {"enabled": False, "threshold": 0, "ceiling": -0.35, "release": 0.05},
}


@dataclass(frozen=True, slots=True)
class Song:
    """What becomes one stem file: files by source, a dictionary for each part of a take."""

    name: str
    samplerate: int
    parts: tuple[dict[str, Path], ...]

    @property
    def n_samples(self) -> int:
        """Of all parts, one after the other."""
        return sum(_length(part) for part in self.parts)


def songs_of(folder: Path) -> list[Song]:
    """Songs in a folder: one for each feed of a take, or the one that was separated into it.

    Raises
    ------
    DeviceError
        When there is no file of some stem, or a rate stem files do not have.
    """
    name = folder.resolve().name
    try:
        if (folder / TAKE).exists():
            take = json.loads((folder / TAKE).read_text("utf-8"))
            given = {}
            for feed in take["feeds"]:
                # Of a single feed neither files nor song carry its name.
                prefix = f"{feed}-" if len(take["feeds"]) > 1 else ""
                song = f"{name}-{feed}" if prefix else name
                given[song] = [
                    _found(folder, {s: part_name(prefix + s, i, take["format"]) for s in SOURCES})
                    for i, _ in enumerate(take["parts"], 1)
                ]
        else:
            form = "wav" if (folder / f"{STEMS[0]}.wav").exists() else "flac"
            given = {name: [_found(folder, {s: f"{s}.{form}" for s in SOURCES})]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeviceError(f"{folder / TAKE}: got {error!r}, expected what stemd wrote") from error
    return [_checked(folder, song, parts) for song, parts in given.items()]


def _found(folder: Path, names: dict[str, str]) -> dict[str, Path]:
    paths = {source: folder / name for source, name in names.items()}
    return {source: path for source, path in paths.items() if path.exists()}


def _checked(folder: Path, name: str, parts: list[dict[str, Path]]) -> Song:
    missing = [stem for stem in STEMS if not parts or stem not in parts[0]]
    if missing:
        raise DeviceError(
            f"{folder}: got no {', '.join(missing)}, expected a take or the folder of a song "
            "that was separated, with all four stems"
        )
    with _sound_file(path := parts[0][STEMS[0]]):
        rate = soundfile.info(str(path)).samplerate
    if rate not in NATIVE_RATES:
        raise DeviceError(f"{folder}: got {rate} Hz, expected 44100 or 48000, as stem files have")
    song = Song(name, rate, tuple(parts))
    if song.n_samples == 0:
        raise DeviceError(f"{folder}: got no samples, expected some")
    return song


@contextlib.contextmanager
def _sound_file(path: Path) -> Iterator[None]:
    """What libsndfile complains of, in our words."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise DeviceError(f"{path}: got {error}, expected a sound file") from error


def _samples(path: Path) -> int:
    with _sound_file(path):
        return length_of(path)


def _length(part: dict[str, Path]) -> int:
    return max(map(_samples, part.values()), default=0)


def write_stem_file(
    song: Song,
    target: Path,
    codec: str = "aac",
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write `target`, whole or not at all.  Returns how many samples had to be cut at full scale.

    Parameters
    ----------
    codec : str
        A key of `CODECS`; alac is lossless, 24 bits.
    advance : (done, total) -> None
        Called after each block, in samples.

    Raises
    ------
    DeviceError
        PyAV is not installed, a file cannot be read, or the target not written.
    """
    try:
        import av
    except ImportError as error:
        raise DeviceError(
            "av: got no such package, expected it for stem files: pip install av"
        ) from error

    work = target.with_name(f".{target.name}.unfinished-{os.getpid()}")
    try:
        work.mkdir(parents=True)
        try:
            clipped = _encode(av, song, work / "tracks.mp4", codec, advance)
            content = json.dumps(manifest(), separators=(",", ":")).encode()
            add_user_data(work / "tracks.mp4", work / target.name, b"stem", content)
            os.replace(work / target.name, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except (OSError, RuntimeError, ValueError, av.FFmpegError) as error:
        raise DeviceError(f"{target}: got {error}, expected to write a stem file") from error
    return clipped


def manifest() -> dict[str, Any]:
    """What the `stem` box says, before it is JSON."""
    stems = [{"name": stem.capitalize(), "color": COLORS[stem]} for stem in TRACKS[1:]]
    return {"version": 1, "mastering_dsp": MASTERING, "stems": stems}


def _encode(
    av: Any, song: Song, path: Path, codec: str, advance: Callable[[int, int], None]
) -> int:
    total, done, clipped = song.n_samples, 0, 0
    tick = Fraction(1, song.samplerate)
    # The movie counts in samples too: in its usual milliseconds the end would be beside the point.
    options = {"movie_timescale": str(song.samplerate)}
    with av.open(str(path), "w", format="mp4", options=options) as file:
        file.metadata.update({"title": song.name, "encoder": f"stemd {__version__}"})
        streams = [_add_stream(av, file, source, song.samplerate, codec) for source in TRACKS]
        for block in blocks(song):
            clipped += int(np.count_nonzero(np.abs(block) > 1.0))
            for stream, samples in zip(streams, _scaled(block, codec), strict=True):
                frame = av.AudioFrame.from_ndarray(samples, CODECS[codec], "stereo")
                frame.sample_rate, frame.pts, frame.time_base = song.samplerate, done, tick
                file.mux(stream.encode(frame))
            done += block.shape[-1]
            advance(done, total)
        for stream in streams:
            file.mux(stream.encode(None))
    return clipped


def _add_stream(av: Any, file: Any, source: str, samplerate: int, codec: str) -> Any:
    stream = file.add_stream(codec, rate=samplerate)
    stream.time_base = stream.codec_context.time_base = Fraction(1, samplerate)
    stream.codec_context.layout, stream.codec_context.format = "stereo", CODECS[codec]
    if codec == "aac":
        stream.codec_context.bit_rate = AAC_BITS_PER_S
    # Enabled in the file's words: what a player that knows no stems plays.
    heard = av.stream.Disposition.default if source == MIX else av.stream.Disposition(0)
    stream.disposition = heard
    stream.metadata["title"] = source
    return stream


def _scaled(block: Float32Array, codec: str) -> Float32Array | npt.NDArray[np.int32]:
    if codec == "aac":
        return np.clip(block, -1.0, 1.0)
    full = 2 ** (ALAC_BITS - 1)
    # A float has 24 bits of its own: times a power of two it stays exact.
    whole = np.clip(np.rint(block * np.float32(full)), -full, full - 1)
    scaled: npt.NDArray[np.int32] = whole.astype(np.int32) << (32 - ALAC_BITS)
    return scaled


def blocks(song: Song) -> Iterator[Float32Array]:
    """The song, (source, c, n) in the order of `TRACKS`; where there is no mix the stems' sum."""
    for part in song.parts:
        with contextlib.ExitStack() as stack:
            files = [
                # of a recorder that was killed as it began there is a file and nothing in it
                stack.enter_context(soundfile.SoundFile(str(part[s])))
                if s in part and _samples(part[s])
                else None
                for s in TRACKS
            ]
            length = _length(part)
            for at in range(0, length, BLOCK):
                yield _read(files, min(BLOCK, length - at))


def _read(files: Sequence[Any], n: int) -> Float32Array:
    """The next n samples of each; a killed take's files may differ at the end: silence there."""
    block = np.zeros((len(files), 2, n), np.float32)
    for samples, file in zip(block, files, strict=True):
        if file is not None:
            got = file.read(n, dtype="float32", always_2d=True)
            samples[:, : len(got)] = got.T  # (n, c) -> (c, n), mono on both
    if files[0] is None:
        block[0] = block[1:].sum(0)
    return block
