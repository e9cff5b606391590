"""A sound file through the streaming separator, block by block: four files, aligned and complete.

Hours fit in memory. The streaming delay is cut off in front and flushed out at the end. Rates that
models do not know are resampled at both doors; the sum is closed at the file's own rate, so that
the stems always add up to the file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from stemd.config import NATIVE_RATES
from stemd.errors import DeviceError
from stemd.processors.separator import MaskModel, Separator
from stemd.spec import N_CHANNELS, N_STEMS, OTHER, STEMS, StreamSpec

Float32Array = npt.NDArray[np.float32]

BLOCK = 1 << 16  # samples read at once: 1.4 s at 48 kHz
FORMATS = {"wav": ("WAV", "FLOAT"), "flac": ("FLAC", "PCM_24")}
WAV_MAX_BYTES = 2**32 - 4096  # its sizes are 32-bit; RF64 is the same with wider ones
SAMPLE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Separated:
    """What became of one file."""

    stems: dict[str, Path]
    samplerate: int  # Hz
    n_samples: int
    clipped: int  # samples beyond full scale that flac had to cut


def rate_inside(samplerate: int) -> int:
    """Rate a file is separated at: its own, or 48 kHz where models were not trained for it."""
    return samplerate if samplerate in NATIVE_RATES else 48_000


def open_input(path: Path) -> soundfile.SoundFile:
    """A mono or stereo sound file, open for reading.

    Raises
    ------
    DeviceError
        Missing, not a sound file, or with more channels than two.
    """
    if not path.is_file():
        raise DeviceError(f"{path}: got no such file, expected a sound file")
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise DeviceError(f"{path}: got {error}, expected a sound file") from error
    if file.channels > N_CHANNELS:
        channels = file.channels
        file.close()
        raise DeviceError(f"{path}: got {channels} channels, expected mono or stereo")
    return file


def separate_file(
    path: Path,
    directory: Path,
    model_for: Callable[[StreamSpec], MaskModel | None],
    profile: str,
    file_format: str = "wav",
    overwrite: bool = False,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Separated:
    """Write `directory/<name>/<stem>.<format>` for each stem.

    Parameters
    ----------
    model_for : (spec) -> model or None
        Asked once, when the rate is known; None leaves everything in `other`.
    file_format : str
        A key of `FORMATS`.
    advance : (done, total) -> None
        Called after each block, in samples of the input.

    Raises
    ------
    DeviceError
        The input is no mono or stereo sound file, the output exists or cannot be written.
    """
    folder = directory / path.stem
    targets = {stem: folder / f"{stem}.{file_format}" for stem in STEMS}
    existing = [str(target) for target in targets.values() if target.exists()]
    with open_input(path) as file:
        if existing and not overwrite:
            raise DeviceError(f"{existing[0]}: got a file that exists, expected none (--overwrite)")
        spec = StreamSpec.of(profile, rate_inside(file.samplerate))
        separator = Separator(spec, model_for(spec))
        separator.reset()
        try:
            with _unfinished(folder) as unfinished:
                parts = {stem: unfinished / target.name for stem, target in targets.items()}
                n_samples, clipped = _stream(file, separator, parts, file_format, advance)
                folder.mkdir(exist_ok=True)
                for stem, part in parts.items():
                    os.replace(part, targets[stem])
        except (OSError, soundfile.LibsndfileError) as error:
            raise DeviceError(f"{folder}: got {error}, expected room for four files") from error
        return Separated(targets, file.samplerate, n_samples, clipped)


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the final one; gone afterwards, whatever happened."""
    unfinished = folder.with_name(f".{folder.name}.unfinished-{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _stream(
    file: soundfile.SoundFile,
    separator: Separator,
    parts: dict[str, Path],
    file_format: str,
    advance: Callable[[int, int], None],
) -> tuple[int, int]:
    """Read, separate, write.  Returns samples written and samples clipped."""
    clipped = 0
    written = 0
    total = file.frames
    with contextlib.ExitStack() as stack:
        outputs = [
            stack.enter_context(_open_output(parts[stem], file, file_format)) for stem in STEMS
        ]
        for stems in _stems(file, separator):
            if file_format == "flac":
                clipped += int(np.count_nonzero(np.abs(stems) > 1.0))
                np.clip(stems, -1.0, 1.0, out=stems)
            for output, stem in zip(outputs, stems, strict=True):
                # (c, n) planar -> (n, c) interleaved
                output.write(_channels(stem, file.channels).T)
            written += stems.shape[-1]
            advance(written, total)
    return written, clipped


def _open_output(path: Path, source: soundfile.SoundFile, file_format: str) -> Any:
    kind, subtype = FORMATS[file_format]
    if kind == "WAV" and source.frames * source.channels * SAMPLE_BYTES > WAV_MAX_BYTES:
        kind = "RF64"
    return soundfile.SoundFile(
        str(path), "w", source.samplerate, source.channels, subtype, format=kind
    )


def _channels(stem: Float32Array, channels: int) -> Float32Array:
    """Back to mono where the file was: a model may treat its two equal channels unequally."""
    return stem if channels == N_CHANNELS else stem.mean(0, keepdims=True)


def _stems(file: soundfile.SoundFile, separator: Separator) -> Iterator[Float32Array]:
    """The file's stems, (s, c, n), aligned to the file and together exactly as long."""
    native = file.samplerate == separator.spec.samplerate
    blocks = _blocks(file) if native else _resampled(file, separator)
    if native:
        yield from _separated(blocks, separator)
        return
    yield from blocks


def _blocks(file: soundfile.SoundFile) -> Iterator[Float32Array]:
    """The file as stereo, (2, n); what is not a number becomes silence."""
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        planar = np.empty((N_CHANNELS, len(block)), np.float32)
        planar[:] = block.T  # (n, c) -> (c, n), mono on both
        yield np.nan_to_num(planar, copy=False, posinf=0.0, neginf=0.0)


def _separated(blocks: Iterator[Float32Array], separator: Separator) -> Iterator[Float32Array]:
    """Stems of a stream of blocks without the separator's delay, as many samples as came in."""
    delay = separator.latency
    for block in blocks:
        stems = separator.process(block)
        cut = min(delay, stems.shape[-1])
        delay -= cut
        if cut < stems.shape[-1]:
            yield stems[:, :, cut:]
    silence = np.zeros((N_CHANNELS, separator.latency), np.float32)
    # of a stream shorter than the delay some of it is still to be cut
    yield separator.process(silence)[:, :, delay:]


def _resampled(file: soundfile.SoundFile, separator: Separator) -> Iterator[Float32Array]:
    """As `_separated`, at a rate the separator does not have.

    Three stems go through the resamplers; `other` is the file minus the three, so it keeps what
    lies above the separator's band.
    """
    inside = separator.spec.samplerate
    n_masked = N_STEMS - 1
    door_in = soxr.ResampleStream(file.samplerate, inside, N_CHANNELS, "float32")
    door_out = soxr.ResampleStream(inside, file.samplerate, n_masked * N_CHANNELS, "float32")
    heard: list[Float32Array] = []  # of the file, waiting for its stems

    def blocks_inside() -> Iterator[Float32Array]:
        for block in _blocks(file):
            heard.append(block)
            yield door_in.resample_chunk(block.T).T
        yield door_in.resample_chunk(np.zeros((0, N_CHANNELS), np.float32), last=True).T

    def closed(masked: Float32Array) -> Float32Array:
        """(n, 6) interleaved -> (4, 2, n) that sum to the file."""
        waiting = np.concatenate([np.zeros((N_CHANNELS, 0), np.float32), *heard], axis=1)
        n = min(len(masked), waiting.shape[1])
        heard[:] = [waiting[:, n:]]
        stems = np.empty((N_STEMS, N_CHANNELS, n), np.float32)
        stems[:OTHER] = masked[:n].T.reshape(n_masked, N_CHANNELS, n)
        stems[OTHER] = waiting[:, :n] - stems[:OTHER].sum(0)
        return stems

    for stems in _separated(blocks_inside(), separator):
        masked = stems[:OTHER].reshape(n_masked * N_CHANNELS, -1).T
        yield closed(door_out.resample_chunk(np.ascontiguousarray(masked)))
    empty = np.zeros((0, n_masked * N_CHANNELS), np.float32)
    yield closed(door_out.resample_chunk(empty, last=True))
    # rounding of two ratios may leave the resamplers a sample short; those samples are all `other`
    rest = sum(block.shape[1] for block in heard)
    yield closed(np.zeros((rest, n_masked * N_CHANNELS), np.float32))
