"""One slice of fuzzing in a process of its own: instrument, fuzz, say what was found.

    python -m benchmarks.fuzz.engine SURFACE CORPUS FAULTS [libFuzzer's options]

What escapes is written to FAULTS, one file for each place it comes from, and fuzzing goes on.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

import atheris

ROOT = Path(__file__).resolve().parents[2]
# numba reads the byte code of its kernels: they stay as they are.
KERNELS = [f"stemd.kernels.{path.stem}" for path in (ROOT / "stemd" / "kernels").glob("*.py")]
# What reads foreign bytes in Python.
INSTRUMENTED = ["stemd", "pythonosc", "wsproto", "h11", "tomllib", "json", "mido", "aiohttp"]
PER_INPUT_S = 10  # far above the slowest good input, far below what a show forgives


def place_of(error: BaseException) -> str:
    """Where it was raised, in our own code as far as possible."""
    found: TracebackType | None = error.__traceback__
    frames = traceback.extract_tb(found)
    ours = [f for f in frames if f"{ROOT}/stemd" in f.filename] or list(frames)
    last = ours[-1]
    return f"{type(error).__name__} {Path(last.filename).name}:{last.name}"


def main() -> None:
    """Fuzz until libFuzzer has had enough."""
    surface, corpus, faults, *options = sys.argv[1:]
    folder = Path(faults)
    folder.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=INSTRUMENTED, exclude=["stemd.kernels", *KERNELS]):
        from .surfaces import make

        target = make(surface)
    seeds = Path(tempfile.mkdtemp(prefix="stemd-fuzz-"))
    for seed in target.seeds():
        (seeds / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    words = seeds.with_suffix(".dict")
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in target.words))

    def one(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:
            name = hashlib.sha1(place_of(error).encode()).hexdigest()[:12]
            if not (folder / name).exists():
                (folder / name).write_bytes(data)
                story = f"{place_of(error)}\n" + "".join(traceback.format_exception(error))
                (folder / f"{name}.txt").write_text(story, errors="backslashreplace")
                print(f"FAULT {name} {place_of(error)}", file=sys.stderr, flush=True)

    atheris.Setup(
        [
            surface,
            corpus,
            str(seeds),
            f"-dict={words}",
            f"-timeout={PER_INPUT_S}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            *options,
        ],
        one,
    )
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
