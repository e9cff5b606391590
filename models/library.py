"""The sample pack, decoded once into one int16 memory map, seen through one part of the split.

The cache holds audio and measurements only; every field of an entry is read from MANIFEST.csv each
time. So the manifest may gain columns freely, and the cache is made anew only when an audio file
comes, goes or changes its size.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from stemd.errors import ConfigError

SAMPLERATE = 44100
PARTS = ("train", "validation", "test", "songs")
SPLIT = Path(__file__).parent / "split.json"
LAYOUT = 1  # of the cache; counts up when what is stored changes

BPM = re.compile(r"(?<![\d.])(\d{2,3})\s*BPM", re.IGNORECASE)
KEY = re.compile(r"\b([A-G])(sharp|flat|b|#)? ?(major|minor)", re.IGNORECASE)
PITCH_CLASS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Library:
    """Recordings of one part of the split.

    Parameters
    ----------
    samples : Path
        Folder with MANIFEST.csv.
    cache : Path
        Folder for the decoded audio, one sub-folder per state of the pack, about 1.4 GB.
    part : {"train", "validation", "test", "songs"}
        Which side of `split` to see.
    split : dict, optional
        Instead of split.json, with the same keys.

    Attributes
    ----------
    entries : list of dict
        path, folder, stem, kind, instrument, pitch (MIDI or None), song, start_s, velocity, singer,
        bpm and key ((pitch class, "major" | "minor")) where they are known, length and channels,
        lead (samples of silence before the sound), peak and rms (of what is louder than -40 dB
        of the peak; both linear).

    Raises
    ------
    ConfigError
        From the constructor: no manifest, an unknown part, a file missing or unreadable.
    """

    def __init__(self, samples, cache, part="train", split=None):
        if part not in PARTS:
            raise ConfigError(f"library.part: got {part!r}, expected one of {', '.join(PARTS)}")
        self.samples = Path(samples)
        rows = read_manifest(self.samples)
        folder = _decoded(self.samples, Path(cache), rows)
        places = json.loads((folder / "index.json").read_text())
        self._audio = np.memmap(folder / "audio.i16", np.int16, mode="r")
        split = split or read_split(SPLIT)
        self.part = part
        self.entries = [
            _entry(row) | places[row["path"]] for row in rows if part_of(row, split) == part
        ]

    def read(self, entry, start=0, length=None):
        """At most `length` samples from `start`, (c, n) float32, full scale ±1."""
        start = min(max(0, start), entry["length"])
        stop = entry["length"] if length is None else min(entry["length"], start + length)
        c = entry["channels"]
        raw = self._audio[entry["offset"] + start * c : entry["offset"] + stop * c]
        return raw.reshape(-1, c).T.astype(np.float32) / np.float32(32768)

    def hours(self):
        """Hours of recordings in this part."""
        return sum(entry["length"] for entry in self.entries) / SAMPLERATE / 3600


def read_split(path):
    """The split of a file like split.json."""
    return json.loads(Path(path).read_text())


def part_of(row, split):
    """The part of the split that a row of the manifest belongs to, or None: left out."""
    folder = Path(row["path"]).parent.as_posix()
    if folder in split["left_out"]:
        return None
    if row["song_id"] in split["songs"]:
        return "songs"
    if folder in split["validation_folders"]:
        return "validation"
    return "test" if folder in split["test_folders"] else "train"


def read_manifest(samples):
    """Rows of MANIFEST.csv, as dicts of text."""
    path = samples / "MANIFEST.csv"
    if not path.exists():
        raise ConfigError(f"library.samples: got {samples}, expected a folder with MANIFEST.csv")
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _entry(row):
    """What the manifest knows of one file, in our words."""
    hint = f"{row['note']}; {Path(row['source_path']).stem}"
    bpm = None
    if row["kind"] in ("loop", "phrase"):
        bpm = BPM.search(hint) or re.match(r"(\d{2,3})-", Path(row["source_path"]).stem)
    key = KEY.search(hint.replace("_", " "))
    return {
        "path": row["path"],
        "folder": Path(row["path"]).parent.as_posix(),
        "stem": row["stem"],
        "kind": row["kind"],
        "instrument": row["instrument"],
        "pitch": int(row["midi_pitch"]) if row["midi_pitch"] else None,
        "song": row["song_id"],
        "start_s": float(row["start_s"]) if row["start_s"] else None,
        "velocity": row["velocity"],
        "singer": row["singer"],
        "bpm": int(bpm[1]) if bpm else None,
        "key": _key(key) if key else None,
    }


def _key(match):
    letter, sign, mode = match.groups()
    shift = {"sharp": 1, "#": 1, "flat": -1, "b": -1}.get((sign or "").lower(), 0)
    return ((PITCH_CLASS[letter.upper()] + shift) % 12, mode.lower())


# -------------------------------------------------------------------------------------------- cache


def _decoded(samples, cache, rows):
    """Folder with audio.i16 and index.json of exactly these files; decodes them when missing."""
    state = hashlib.sha256(str(LAYOUT).encode())
    for row in rows:
        try:
            size = (samples / row["path"]).stat().st_size
        except FileNotFoundError as error:
            raise ConfigError(
                f"{samples}/MANIFEST.csv: lists {row['path']}, no such file"
            ) from error
        state.update(f"{row['path']} {size}\n".encode())
    folder = cache / state.hexdigest()[:12]
    if (folder / "index.json").exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # Several processes may start at once: each decodes for itself, the first to finish is kept.
    making = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    try:
        _decode(samples, rows, making)
        try:
            os.rename(making, folder)
        except OSError:
            if not (folder / "index.json").exists():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _decode(samples, rows, folder):
    places, position = {}, 0
    with open(folder / "audio.i16", "wb") as out:
        for row in rows:
            audio = _read(samples / row["path"])
            audio.tofile(out)
            places[row["path"]] = {
                "offset": position,
                "length": audio.shape[0],
                "channels": audio.shape[1],
                **_measure(audio),
            }
            position += audio.size
    (folder / "index.json").write_text(json.dumps(places))


def _read(path):
    """(n, c) int16 at 44100 Hz."""
    try:
        audio, samplerate = sf.read(path, dtype="int16", always_2d=True)
    except sf.LibsndfileError as error:
        raise ConfigError(f"{path}: got {error}, expected an audio file") from error
    if samplerate != SAMPLERATE:
        audio = soxr.resample(audio, samplerate, SAMPLERATE)
    return audio


def _measure(audio):
    """Onset and loudness of (n, c) int16, in samples and linear full scale."""
    level = np.abs(audio.astype(np.float32)).max(1) / 32768
    peak = float(level.max(initial=0.0))
    loud = np.flatnonzero(level > 0.01 * peak)
    if loud.size == 0:
        return {"lead": 0, "peak": 0.0, "rms": 0.0}
    # The first crossing of -30 dB, 1 ms early: attacks stay whole.
    lead = max(0, int(np.argmax(level > 0.03 * peak)) - SAMPLERATE // 1000)
    rms = float(np.sqrt(np.square(audio[loud].astype(np.float32) / 32768).mean()))
    return {"lead": lead, "peak": peak, "rms": rms}
