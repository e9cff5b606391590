"""Songs on disk in the three layouts read alike, and broken ones say what is wrong."""

import json

import numpy as np
import pytest
import soundfile as sf

from models.folders import MOISES, songs
from models.library import SAMPLERATE
from stemd.errors import ConfigError
from stemd.spec import STEMS


def ramp(level, n=20_000, channels=2):
    """(n, c) that is different at every sample and for every level."""
    return np.repeat(level * np.linspace(0, 1, n)[:, None], channels, 1).astype(np.float32)


def write(path, audio, samplerate=SAMPLERATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, audio, samplerate, subtype="FLOAT" if path.suffix == ".wav" else None)


def test_musdb_is_read_by_part_song_and_stem(tmp_path):
    for part, name in (("train", "A - One"), ("train", "B - Two"), ("test", "C - Three")):
        for k, stem in enumerate(("mixture", *STEMS)):
            write(tmp_path / part / name / f"{stem}.wav", ramp(0.1 * k))
    found = {song.name: song for song in songs(tmp_path)}
    assert {name: song.part for name, song in found.items()} == {
        "A - One": "train",
        "B - Two": "train",
        "C - Three": "test",
    }
    song = found["B - Two"]
    assert (song.stems, song.length) == (STEMS, 20_000)
    np.testing.assert_allclose(song.read("bass", 500, 100), ramp(0.3)[500:600].T, atol=1e-7)
    # The mixture is what the stems sum to, not a file that may be mastered otherwise.
    np.testing.assert_allclose(song.read("mixture"), ramp(0.1 + 0.2 + 0.3 + 0.4).T, atol=1e-6)


def test_a_missing_stem_and_the_time_after_the_end_are_silence(tmp_path):
    write(tmp_path / "mine" / "drums.flac", ramp(0.5, channels=1))
    (song,) = songs(tmp_path)
    assert song.stems == ("drums",)
    assert song.read("vocals", 0, 50).shape == (2, 50)
    assert not song.read("vocals", 0, 50).any()
    end = song.read("drums", 19_990, 30)
    np.testing.assert_allclose(end[:, :10], ramp(0.5)[19_990:].T, atol=1e-4)
    assert not end[:, 10:].any()
    assert not song.read("drums", 30_000, 10).any()


@pytest.mark.parametrize("start", [0, 1, 4_410, 30_001])
def test_other_samplerates_are_read_in_place(tmp_path, start):
    t = np.arange(48_000 * 2) / 48_000
    write(tmp_path / "song" / "other.wav", np.sin(2 * np.pi * 700 * t)[:, None] * 0.5, 48_000)
    (song,) = songs(tmp_path)
    assert song.length == 2 * SAMPLERATE
    expected = 0.5 * np.sin(2 * np.pi * 700 * (start + np.arange(5000)) / SAMPLERATE)
    inner = slice(200, None)  # the file itself begins with a jump
    heard = song.read("other", start, 5000)
    np.testing.assert_allclose(heard[0, inner], expected[inner], atol=2e-3)


def moises(root, stems):
    listed = []
    for name, tracks in stems.items():
        entries = []
        for k, (kind, level) in enumerate(tracks):
            write(root / name / f"{name}{k}.wav", ramp(level))
            entries.append({"id": f"{name}{k}", "extension": "wav", "trackType": kind})
        listed.append({"stemName": name, "tracks": entries})
    (root / "data.json").write_text(json.dumps({"song": "Seven", "artist": "N", "stems": listed}))


def test_moises_stems_fold_into_four(tmp_path):
    moises(
        tmp_path / "0f3a",
        {
            "vocals": [("lead male singer", 0.1), ("background vocals", 0.05)],
            "drums": [("kick drum", 0.2)],
            "percussion": [
                ("a-tonal percussion (claps, shakers, congas, cowbell etc)", 0.1),
                ("pitched percussion (mallets, glockenspiel, ...)", 0.03),
            ],
            "bass": [("bass guitar", 0.15)],
            "guitar": [("acoustic guitar", 0.01)],
            "other_keys": [("synth pad", 0.02)],
        },
    )
    (song,) = songs(tmp_path)
    assert song.name == "Seven"
    sums = {"vocals": 0.15, "drums": 0.3, "bass": 0.15, "other": 0.06}
    for stem, level in sums.items():
        np.testing.assert_allclose(song.read(stem), ramp(level).T, atol=1e-6)
    assert set(MOISES.values()) == set(STEMS)


def broken_json(root):
    (root / "s").mkdir()
    (root / "s" / "data.json").write_text("{}")


def unknown_stem(root):
    moises(root / "s", {"theremin": [("lead", 0.1)]})


def lost_track(root):
    moises(root / "s", {"bass": [("bass guitar", 0.1)]})
    (root / "s" / "bass" / "bass0.wav").unlink()


def no_audio(root):
    (root / "song").mkdir()
    (root / "song" / "vocals.wav").write_text("la la")


def surround(root):
    write(root / "song" / "vocals.wav", ramp(0.1, channels=6))


def twice(root):
    write(root / "song" / "vocals.wav", ramp(0.1))
    write(root / "song" / "vocals.flac", ramp(0.1))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: None, "without songs, expected MUSDB18-HQ"),
        (broken_json, "data.json: got 'stems', expected MoisesDB's list"),
        (unknown_stem, "got stem 'theremin', expected one of vocals, drums"),
        (lost_track, r"names bass/bass0.wav, no such file"),
        (no_audio, r"vocals.wav: got .*, expected an audio file"),
        (surround, "got 6 channels, expected 1 or 2"),
        (twice, "got vocals in 2 files, expected one"),
    ],
)
def test_broken_songs_say_what_is_wrong(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        songs(tmp_path)


def test_a_folder_that_is_not_there_and_a_stem_that_is_none_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="nowhere, expected a folder"):
        songs(tmp_path / "nowhere")
    write(tmp_path / "song" / "bass.wav", ramp(0.1))
    with pytest.raises(ConfigError, match="got stem 'kazoo', expected one of vocals"):
        songs(tmp_path)[0].read("kazoo")


def test_songs_of_the_training_part_and_no_other_enter_the_pool(tiny, tmp_path, monkeypatch):
    from argparse import Namespace

    from models import library, takes
    from tests.models import tinypack

    monkeypatch.setattr(library, "SPLIT", tmp_path / "split.json")
    library.SPLIT.write_text(json.dumps(tinypack.SPLIT))
    for part in ("train", "test"):
        for stem in STEMS:
            write(tmp_path / "own" / part / f"{part} song" / f"{stem}.wav", ramp(0.1))
    heard = []

    class Listening(takes.Renderer):
        def __init__(self, library, songs=(), *rest):
            super().__init__(library, songs, *rest)
            heard.extend(song.name for song in songs)

    monkeypatch.setattr(takes, "Renderer", Listening)
    (tmp_path / "pool").mkdir()
    args = Namespace(
        pool=tmp_path / "pool", part="train", folder=tmp_path / "own", samples=tiny,
        cache=tmp_path / "cache", nice=0, count=2, seconds=2.0, seed=0, minutes=None, keep=None,
    )  # fmt: skip
    takes.render(args, 0, 1)
    assert heard == ["train song"]
    assert len(takes.Takes(args.pool)) == 2
    first, second = (np.load(path) for path in sorted(args.pool.glob("take_*.npy")))
    args.count, args.keep = 3, 2  # the third in place of the first
    takes.render(args, 0, 1)
    assert len(takes.Takes(args.pool)) == 2
    assert not np.array_equal(np.load(args.pool / "take_00000.npy"), first)
    np.testing.assert_array_equal(np.load(args.pool / "take_00001.npy"), second)
