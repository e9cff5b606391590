"""The pack is decoded once, split cleanly, and read as it was written."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.library import PARTS, SPLIT, Library, part_of, read_manifest, read_split
from models.pack import reduced
from stemd.errors import ConfigError
from tests.models import tinypack

REAL = Path(__file__).parents[3] / "shared" / "samples"


def test_read_returns_the_file_s_own_samples(tiny, libraries):
    entry = next(e for e in libraries["train"].entries if e["path"] == "bass/known/2.wav")
    expected, _ = sf.read(tiny / entry["path"], dtype="float32", always_2d=True)
    np.testing.assert_allclose(libraries["train"].read(entry), expected.T, atol=1 / 32768)
    part = libraries["train"].read(entry, 100, 50)
    np.testing.assert_allclose(part, expected.T[:, 100:150], atol=1 / 32768)
    assert libraries["train"].read(entry, entry["length"] + 5, 10).shape == (2, 0)


def test_no_folder_song_or_singer_is_in_two_parts(libraries):
    for field in ("folder", "song", "singer", "path"):
        seen = {}
        for part, library in libraries.items():
            for entry in library.entries:
                if field == "folder" and entry["song"]:
                    continue  # songs of both sides are told apart by their name
                if entry[field] and entry["singer"] != "the band":
                    assert seen.setdefault(entry[field], part) == part
    assert all(library.entries for library in libraries.values())
    everything = [e["path"] for library in libraries.values() for e in library.entries]
    assert "bass/kicky/0.wav" not in everything


@pytest.mark.skipif(not REAL.exists(), reason="needs the sample pack")
def test_the_released_split_parts_folders_songs_and_singers():
    split = read_split(SPLIT)
    rows = read_manifest(REAL)
    folders = {Path(row["path"]).parent.as_posix() for row in rows}
    named = split["validation_folders"] + split["test_folders"] + split["left_out"]
    assert set(named) <= folders
    assert len(set(named)) == len(named)
    singers = {}
    for row in rows:
        # One singer is on every song; the held-out songs are there for their bands.
        if row["singer"] and not row["song_id"]:
            assert singers.setdefault(row["singer"], part_of(row, split)) == part_of(row, split)
    for stem in ("vocals", "drums", "bass", "other"):
        for part in ("train", "validation", "test"):
            assert any(r["stem"] == stem and part_of(r, split) == part for r in rows)


def test_manifest_may_gain_columns_without_a_new_cache(tmp_path):
    pack = tinypack.make(tmp_path / "pack", parts=("train",))
    Library(pack, tmp_path / "cache", "train", tinypack.SPLIT)
    (folder,) = (tmp_path / "cache").iterdir()
    before = os.stat(folder / "audio.i16").st_mtime_ns
    rows = read_manifest(pack)
    with open(pack / "MANIFEST.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "mood"])
        writer.writeheader()
        writer.writerows({**row, "mood": "blue", "singer": "somebody"} for row in rows)
    library = Library(pack, tmp_path / "cache", "train", tinypack.SPLIT)
    assert {e["singer"] for e in library.entries} == {"somebody"}
    assert os.stat(folder / "audio.i16").st_mtime_ns == before


def test_a_changed_file_is_decoded_anew(tmp_path):
    pack = tinypack.make(tmp_path / "pack", parts=("train",))
    Library(pack, tmp_path / "cache", "train", tinypack.SPLIT)
    sf.write(pack / "vocals/train/hey.wav", np.full((999, 1), 0.25), 44100)
    library = Library(pack, tmp_path / "cache", "train", tinypack.SPLIT)
    entry = next(e for e in library.entries if e["path"] == "vocals/train/hey.wav")
    np.testing.assert_allclose(library.read(entry), 0.25, atol=1e-4)
    assert entry["length"] == 999


def test_tempo_and_key_are_read_from_the_manifest(libraries):
    phrase = next(e for e in libraries["train"].entries if e["kind"] == "phrase")
    assert (phrase["bpm"], phrase["key"]) == (124, (9, "minor"))
    loop = next(e for e in libraries["train"].entries if e["kind"] == "loop")
    assert (loop["bpm"], loop["key"]) == (120, None)
    shot = next(e for e in libraries["train"].entries if e["pitch"] == 28)
    assert shot["bpm"] is None


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda pack: (pack / "MANIFEST.csv").unlink(), "expected a folder with MANIFEST.csv"),
        (lambda pack: (pack / "vocals/train/hey.wav").unlink(), "hey.wav, no such file"),
        (lambda pack: (pack / "vocals/train/hey.wav").write_text("hey"), "expected an audio file"),
    ],
)
def test_a_broken_pack_says_what_is_wrong(tmp_path, break_it, sentence):
    pack = tinypack.make(tmp_path / "pack", parts=("train",))
    break_it(pack)
    with pytest.raises(ConfigError, match=sentence):
        Library(pack, tmp_path / "cache", "train", tinypack.SPLIT)
    # Nothing half-made stays behind.
    assert not [p for p in (tmp_path / "cache").glob("*") if (p / "audio.i16").exists()]


def test_an_unknown_part_is_refused(tiny, tmp_path):
    with pytest.raises(ConfigError, match="expected one of train, validation, test, songs"):
        Library(tiny, tmp_path, "valid", tinypack.SPLIT)
    assert set(PARTS) == {"train", "validation", "test", "songs"}


def test_a_reduced_pack_fits_and_reads_like_the_whole(tiny, libraries, tmp_path):
    if "OPUS" not in sf.available_subtypes("OGG"):
        pytest.skip("libsndfile without Opus")
    whole = sum(path.stat().st_size for path in tiny.rglob("*.wav")) / 1e6
    size = reduced(tiny, tmp_path / "small", 0.1 * whole)
    assert size <= 0.1 * whole
    small = Library(tmp_path / "small", tmp_path / "cache", "train", tinypack.SPLIT)
    known = {e["path"]: e for e in libraries["train"].entries}
    assert {e["path"] for e in small.entries} == set(known)
    entry = next(e for e in small.entries if e["path"] == "vocals/train/ah60.wav")
    before = libraries["train"].read(known[entry["path"]]).mean(0)
    after = small.read(entry)[0]
    assert abs(after.size - before.size) < 50
    n = min(after.size, before.size)
    assert np.corrcoef(before[:n], after[:n])[0, 1] > 0.95


def test_the_cache_index_holds_measurements_only(tiny, libraries, tmp_path):
    library = Library(tiny, tmp_path, "train", tinypack.SPLIT)
    (index,) = tmp_path.glob("*/index.json")
    (fields,) = {tuple(sorted(place)) for place in json.loads(index.read_text()).values()}
    assert fields == ("channels", "lead", "length", "offset", "peak", "rms")
    hours = sum(e["length"] for e in library.entries) / 44100 / 3600
    assert library.hours() == pytest.approx(hours)
