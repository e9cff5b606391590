"""The test set: written, read back, changed and noticed; made of a pack of five tiny files."""

import csv
import json

import numpy as np
import pytest

from models import testset
from stemd.errors import ConfigError
from stemd.spec import STEMS

sf = pytest.importorskip("soundfile")
from models.library import Library  # noqa: E402

SPLIT = {
    "left_out": [],
    "songs": ["a_song"],
    "validation_folders": [],
    "test_folders": ["drums/kit"],
}
FIELDS = ("path", "stem", "instrument", "midi_pitch", "kind", "channels", "velocity", "singer")
FIELDS += ("song_id", "start_s", "source_path", "note")


@pytest.fixture
def pack(tmp_path):
    """Two sections of a song, the second of one stem only, and a kick that is no song."""
    files = (
        ("vocals", "lead", 0, 1),
        ("vocals", "choir", 0, 2),
        ("bass", "bass", 0, 1),
        ("bass", "bass", 20, 1),
        ("drums", "kick", None, 1),
    )
    rng = np.random.default_rng(0)
    rows, audio = [], {}
    for stem, instrument, start_s, channels in files:
        folder = "a_song" if start_s is not None else "kit"
        path = f"{stem}/{folder}/{instrument}_{start_s}.wav"
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        data = (rng.standard_normal((4410, channels)) * 3000).astype(np.int16)
        sf.write(tmp_path / path, data, 44100)
        audio[path] = data.T / np.float32(32768)
        row = dict.fromkeys(FIELDS, "") | {"path": path, "stem": stem, "instrument": instrument}
        row |= {"kind": "song-stem" if folder == "a_song" else "one-shot"}
        row |= {"song_id": folder if folder == "a_song" else "", "source_path": path}
        row |= {"start_s": "" if start_s is None else str(start_s), "channels": channels}
        rows.append(row)
    with open(tmp_path / "MANIFEST.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    return Library(tmp_path, tmp_path / "cache", "songs", SPLIT), audio


class Band:
    """A renderer whose takes have each stem with an even chance."""

    def take(self, rng, n):
        sources = 0.1 * rng.standard_normal((5, 2, n)).astype(np.float32)
        sources[:4] *= (rng.random(4) < 0.5)[:, None, None]
        sources[4] = 0.0
        return sources


def test_sections_with_two_stems_are_summed_per_stem(pack):
    library, audio = pack
    ((song, start_s, sources),) = testset.sections(library)
    assert (song, start_s) == ("a_song", 0.0)
    voices = audio["vocals/a_song/lead_0.wav"] + audio["vocals/a_song/choir_0.wav"]
    np.testing.assert_allclose(sources[0], voices, atol=1e-7)  # mono is heard on both sides
    assert not sources[1].any()
    assert not sources[4].any()


def test_items_come_back_as_they_were_written(pack, tmp_path):
    library, _ = pack
    ((song, _, sources),) = testset.sections(library)
    row = testset.write_item(tmp_path, "songs", "a_song_000s", song, sources)
    testset.write_list(tmp_path, [row], "a test")
    (item,) = testset.read_set(tmp_path)
    assert item.stems == ("vocals", "bass")
    assert (item.track, item.length) == ("a_song", 4410)
    np.testing.assert_array_equal(item.read(), testset.to_int16(sources) / np.float32(32768))
    assert item.read(0.05).shape == (5, 2, 2205)
    assert not (item.folder / "drums.flac").exists()
    assert testset.verify(item)


def test_a_changed_file_is_noticed(pack, tmp_path):
    library, _ = pack
    ((song, _, sources),) = testset.sections(library)
    testset.write_list(tmp_path, [testset.write_item(tmp_path, "songs", "x", song, sources)], "")
    (item,) = testset.read_set(tmp_path)
    audio, _ = sf.read(item.folder / "bass.flac", dtype="int16")
    audio[100, 1] ^= 1
    sf.write(item.folder / "bass.flac", audio, 44100)
    assert not testset.verify(item)


def test_a_stem_that_is_gone_leaves_no_file_behind(tmp_path):
    sources = np.full((5, 2, 100), 0.1, np.float32)
    testset.write_item(tmp_path, "rendered", "x", "x", sources)
    sources[4] = 0.0
    row = testset.write_item(tmp_path, "rendered", "x", "x", sources)
    assert row["stems"] == list(STEMS)
    assert not (tmp_path / "rendered/x/nobody.flac").exists()


def test_an_item_that_would_clip_is_made_quieter_as_a_whole(tmp_path):
    sources = np.full((5, 2, 100), 0.5, np.float32)
    sources[0] = 0.1
    row = testset.write_item(tmp_path, "rendered", "x", "x", sources)
    testset.write_list(tmp_path, [row], "")
    read = testset.read_set(tmp_path)[0].read()
    assert np.abs(read.sum(0)).max() == pytest.approx(0.98, abs=1e-3)
    np.testing.assert_allclose(read[0], read[1] / 5, atol=1e-4)


def test_rendered_items_are_full_first_and_then_lack_each_stem_once():
    items = list(testset.rendered(Band(), 1000, seed=1, full=3, lacking=4))
    for name, sources in items[:3]:
        assert sources[:4].any((1, 2)).all(), name
    for s, (name, sources) in enumerate(items[3:]):
        assert list(np.flatnonzero(~sources[:4].any((1, 2)))) == [s], name
    again = list(testset.rendered(Band(), 1000, seed=1, full=3, lacking=4))
    for (_, a), (_, b) in zip(items, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_stems_that_hide_are_no_item():
    sources = np.random.default_rng(0).standard_normal((5, 2, 1000)) * 0.1
    assert testset.fits(sources)
    sources[1] *= 0.01
    assert not testset.fits(sources)


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"items\.json: got no readable file, expected a test"):
        testset.read_set(tmp_path)
    (tmp_path / "items.json").write_text(json.dumps({"layout": 99, "items": []}))
    with pytest.raises(ConfigError, match=r"layout: got 99, expected 1"):
        testset.read_set(tmp_path)


def test_whole_tracks_of_a_folder_become_items(tmp_path):
    song = tmp_path / "music/test/a song"
    song.mkdir(parents=True)
    for stem in STEMS[:3]:
        sf.write(song / f"{stem}.wav", np.full((500, 2), 0.1), 44100)
    row, *more = testset.copy_folder(tmp_path / "music", tmp_path)
    assert not more
    assert row["part"] == "folder"
    assert row["stems"] == list(STEMS[:3])
    assert row["length"] == 500
