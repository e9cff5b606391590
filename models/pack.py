"""A reduced sample pack: the same files under the same names in the same layout, made smaller.

    python -m models.pack --samples ../shared/samples --out ../samples-small --megabytes 45

Mono Opus at a rate that fits the size. Drums and songs keep more bits, speech and bass need fewer;
one-shots are cut where they have rung for long enough. `Library` reads the result like the whole
pack, so a checkout with it under 64 MB can train wherever there is a fast machine. Songs held out
for evaluation may be left behind with --without songs. Takes six minutes of processor time.
"""

import argparse
import csv
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from models.library import PARTS, SPLIT, part_of, read_manifest, read_split

RATE = 48000  # of Opus
LONGEST_S = {"one-shot": 6.0}
WEIGHTS = {"drums": 1.4, "other": 1.0, "vocals": 1.0, "bass": 0.7}  # bits a second, relative
SPEECH = 0.6
OVERHEAD = 700  # bytes of a file before its first sample
LOWEST_KBPS, HIGHEST_KBPS = 12.0, 128.0


def reduced(samples, out, megabytes, without=()):
    """Write the reduced pack; returns its size in MB.

    Parameters
    ----------
    samples, out : Path
        Folders; `out` is made.
    megabytes : float
        Not to be exceeded.
    without : sequence of str
        Parts of the split to leave behind.

    Raises
    ------
    ConfigError
        No manifest in `samples`.
    """
    samples, out = Path(samples), Path(out)
    split = read_split(SPLIT)
    rows = [row for row in read_manifest(samples) if part_of(row, split) not in (None, *without)]
    budget = megabytes * 1e6 * 0.97 - OVERHEAD * len(rows) - 600 * len(rows)
    scale = budget * 8 / 1000 / sum(_seconds(row) * _weight(row) for row in rows)
    while True:
        with ThreadPoolExecutor() as pool:  # libsndfile encodes outside the interpreter's lock
            list(pool.map(partial(_write, samples, out, scale), rows))
        _manifest(out, rows)
        for name in ("LICENSES.md", "README.md"):
            if (samples / name).exists():
                shutil.copy(samples / name, out / name)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
        if size <= megabytes or scale * max(WEIGHTS.values()) < LOWEST_KBPS:
            return size
        scale *= 0.97 * megabytes / size


def _seconds(row):
    return min(float(row["seconds"]), LONGEST_S.get(row["kind"], np.inf))


def _weight(row):
    return WEIGHTS[row["stem"]] * (SPEECH if row["kind"] == "speech" else 1)


def _write(samples, out, scale, row):
    """One file, mono, cut, at the rate that its kind is worth."""
    kbps = np.clip(scale * _weight(row), LOWEST_KBPS, HIGHEST_KBPS)
    audio, samplerate = sf.read(samples / row["path"], dtype="float32", always_2d=True)
    audio = audio.mean(1)[: int(_seconds(row) * samplerate)].copy()
    if _seconds(row) < float(row["seconds"]) - 0.01:
        audio[-samplerate // 5 :] *= np.linspace(1, 0, samplerate // 5, dtype=np.float32)
    path = out / row["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = soxr.resample(audio, samplerate, RATE)
    # libsndfile maps 0 … 1 to 256 … 6 kbit/s a channel.
    level = float(np.clip((256 - kbps) / 250, 0, 1))
    with sf.SoundFile(
        path, "w", RATE, 1, "OPUS", format="OGG", compression_level=level
    ) as file:  # fmt: skip
        file.write(np.clip(audio, -1, 1))


def _manifest(out, rows):
    """The manifest of what is there now; other columns stay as they were."""
    with open(out / "MANIFEST.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            seconds = f"{_seconds(row):.3f}"
            writer.writerow(row | {"sr": RATE, "channels": 1, "seconds": seconds})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=45.0)
    parser.add_argument("--without", choices=PARTS, nargs="*", default=[])
    arguments = parser.parse_args()
    size = reduced(arguments.samples, arguments.out, arguments.megabytes, arguments.without)
    print(f"{arguments.out}: {size:.1f} MB")


if __name__ == "__main__":
    main()
