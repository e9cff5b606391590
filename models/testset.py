"""Make the test set: the songs nobody trained on, and music rendered from sources nobody heard.

    python -m models.testset --samples ../shared/samples --out ../testset
    python -m models.testset --folder /data/musdb18hq/test --out ../musdb

The set is a folder of items, one sub-folder each with a FLAC of 16 bits per stem that is there, and
`items.json`, which lists them with a checksum of what they decode to. The mixture is no file: it is
the sum. Three parts:

songs      every section of the held-out songs of split.json that has two stems or more, up to 20 s
           each, balance as released. A song is one track.
rendered   music made by `models.render` from the `test` sources, in which no singer, kit,
           instrument or recording of the training is heard; fixed seeds, one item is one track. All
           four stems are there, none further than 25 dB below the mixture; but the last four each
           lack one stem, another every time. The renderer draws studio and stage as in training.
folder     whole tracks of a folder of stems (MUSDB18-HQ and others, see `models.folders`): those of
           its test part, or all when it has none
"""

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from stemd.errors import ConfigError
from stemd.spec import STEMS

SAMPLERATE = 44100
SOURCES = (*STEMS, "nobody")
ITEMS = "items.json"
LAYOUT = 1  # of items.json
SEED = 20
FULL, LACKING = 12, 4  # rendered items with all stems, and with all but one
RENDERED_S = 12
QUIET = 10 ** (-50 / 10)  # mean square of a mixture that is too quiet for 16 bits
HIDDEN = 10 ** (-25 / 10)  # of the mixture's energy; a stem below is neither there nor absent
TRIES = 500  # seeds looked through for one item


@dataclass(frozen=True)
class Item:
    """One piece of music whose stems are known.

    name, part, track : str
    length : samples at `samplerate`
    stems : tuple of str, those that are not silent
    sha256 : of the decoded stems
    folder : Path
    """

    name: str
    part: str
    track: str
    samplerate: int
    length: int
    stems: tuple
    sha256: str
    folder: Path

    def read(self, seconds=None):
        """Sources (5, 2, n) float32, order SOURCES, absent ones zero; `seconds` from the start."""
        n = self.length if seconds is None else min(self.length, int(seconds * self.samplerate))
        sources = np.zeros((len(SOURCES), 2, n), np.float32)
        for s, source in enumerate(SOURCES):
            path = self.folder / f"{source}.flac"
            if path.exists():
                audio, _ = sf.read(path, n, dtype="float32", always_2d=True)
                sources[s] = audio.T
        return sources


def read_set(folder):
    """Items of a test set, and the checksum of its list.

    Raises
    ------
    ConfigError
        If there is none.
    """
    folder = Path(folder)
    path = folder / ITEMS
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: got no readable file, expected a test set; python -m models.testset makes one"
        ) from error
    table = json.loads(text)
    if table.get("layout") != LAYOUT:
        raise ConfigError(f"{path}.layout: got {table.get('layout')!r}, expected {LAYOUT}")
    items = []
    for row in table["items"]:
        row = {**row, "stems": tuple(row["stems"]), "folder": folder / row["part"] / row["name"]}
        items.append(Item(**{field: row[field] for field in Item.__dataclass_fields__}))
    return items


def verify(item):
    """Whether the files still decode to what the list says."""
    return digest(to_int16(item.read())) == item.sha256


def set_digest(items):
    """One checksum for several items, whatever their order."""
    return hashlib.sha256("".join(sorted(item.sha256 for item in items)).encode()).hexdigest()


def to_int16(sources):
    """(5, 2, n) float to int16, as FLAC keeps it."""
    return np.clip(np.round(sources * 32768), -32768, 32767).astype(np.int16)


def digest(pcm):
    """Checksum of decoded sources (5, 2, n) int16."""
    return hashlib.sha256(np.ascontiguousarray(pcm, "<i2").tobytes()).hexdigest()


def write_item(out, part, name, track, sources):
    """Write one item; returns its row of items.json.

    sources : (5, 2, n) float, full scale 1; made quieter as a whole if it would clip
    """
    peak = max(np.abs(sources).max(), np.abs(sources.sum(0)).max())
    pcm = to_int16(sources * min(1.0, 0.98 / max(peak, 1e-9)))
    folder = out / part / name
    folder.mkdir(parents=True, exist_ok=True)
    for s, source in enumerate(SOURCES):
        path = folder / f"{source}.flac"
        path.unlink(missing_ok=True)
        if pcm[s].any():
            sf.write(path, pcm[s].T, SAMPLERATE, subtype="PCM_16")
    return {
        "name": name,
        "part": part,
        "track": track,
        "samplerate": SAMPLERATE,
        "length": pcm.shape[-1],
        "stems": [stem for s, stem in enumerate(STEMS) if pcm[s].any()],
        "sha256": digest(pcm),
    }


def sections(library):
    """(song, start in seconds, (5, 2, n) float32) of each section with two stems or more."""
    groups = {}
    for entry in library.entries:
        if entry["song"]:
            groups.setdefault((entry["song"], entry["start_s"]), []).append(entry)
    for (song, start_s), entries in sorted(groups.items()):
        if len({entry["stem"] for entry in entries}) < 2:
            continue
        sources = np.zeros((len(SOURCES), 2, max(e["length"] for e in entries)), np.float32)
        for entry in entries:
            audio = library.read(entry)  # (1, n) is heard on both sides
            sources[STEMS.index(entry["stem"]), :, : audio.shape[1]] += audio
        yield song, start_s, sources


def fits(sources, absent=()):
    """Whether a rendered take may be an item: stems are there and heard, except those absent."""
    stems, mix = sources[: len(STEMS)], sources.sum(0)
    energy = (stems.astype(np.float64) ** 2).mean((1, 2))
    whole = (mix.astype(np.float64) ** 2).mean()
    heard = energy > HIDDEN * whole
    return whole > QUIET and all(
        not stems[s].any() if s in absent else heard[s] for s in range(len(STEMS))
    )


def rendered(renderer, n, seed, full=FULL, lacking=LACKING):
    """(name, (5, 2, n) float32) of the rendered part; each from the first seed that fits."""
    for i in range(full + lacking):
        absent = () if i < full else ((i - full) % len(STEMS),)
        for attempt in range(TRIES):
            sources = renderer.take(np.random.default_rng((seed, i, attempt)), n)
            if fits(sources, absent):
                break
        else:
            missing = ", ".join(STEMS[s] for s in absent) or "none"
            raise ConfigError(f"testset: got no take in {TRIES} with absent: {missing}")
        yield f"rendered_{i:02d}", sources


def write_pack(samples, cache, out, seed=SEED):
    """Write the set of songs and rendered items; returns the rows of its list."""
    rows = _write_items(samples, cache, out, seed)
    write_list(out, rows, f"python -m models.testset --seed {seed}")
    return rows


def _write_items(samples, cache, out, seed):
    from models.library import Library
    from models.render import Renderer

    rows = []
    for song, start_s, sources in sections(Library(samples, cache, "songs")):
        name = f"{song}_{start_s:03.0f}s"
        rows.append(write_item(out, "songs", name, song, sources))
    renderer = Renderer(Library(samples, cache, "test"))
    for name, sources in rendered(renderer, RENDERED_S * SAMPLERATE, seed):
        rows.append(write_item(out, "rendered", name, name, sources))
    return rows


def copy_folder(root, out):
    """Write whole tracks of a folder of stems; returns the rows."""
    from models.folders import songs

    found = songs(root)
    rows = []
    for song in [song for song in found if song.part == "test"] or found:
        sources = np.zeros((len(SOURCES), 2, song.length), np.float32)
        for s, stem in enumerate(STEMS):
            sources[s] = song.read(stem)
        rows.append(write_item(out, "folder", song.name, song.name, sources))
    return rows


def write_list(out, rows, made_by):
    """items.json"""
    table = {"layout": LAYOUT, "made_by": made_by, "items": rows}
    (out / ITEMS).write_text(json.dumps(table, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--out", type=Path, default=Path("../testset"))
    parser.add_argument("--folder", type=Path, help="of stems, instead of the pack")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--check", action="store_true", help="only compare the files with the list")
    args = parser.parse_args()
    if args.check:
        bad = [item.name for item in read_set(args.out) if not verify(item)]
        print("all as listed" if not bad else f"changed: {', '.join(bad)}")
        raise SystemExit(bool(bad))
    if args.folder:
        rows = copy_folder(args.folder, args.out)
        write_list(args.out, rows, "python -m models.testset --folder")
    else:
        rows = write_pack(args.samples, args.cache, args.out, args.seed)
    for row in rows:
        print(
            f"{row['part']:9} {row['name']:18} {row['length'] / SAMPLERATE:5.1f} s  {row['stems']}"
        )


if __name__ == "__main__":
    main()
