"""Stem files: read again by a decoder, and by a parser of this file's own."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from stemd.config import build_config
from stemd.errors import DeviceError
from stemd.sinks.mp4 import add_user_data
from stemd.sinks.recorder import Recorder, finish_take
from stemd.sinks.stemfile import TRACKS, songs_of, write_stem_file
from stemd.spec import STEMS, StreamSpec

from .support import SPEC, make_hop
from .test_recorder import UTC_NS, hops, record

HOP = SPEC.hop_length


# -- an MP4 parser of our own: a path of boxes, first come first served ----------------------------


def children(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    while len(content) >= 8:
        size, kind = struct.unpack(">I4s", content[:8])
        assert 8 <= size <= len(content), (kind, size)
        yield kind, content[8:size]
        content = content[size:]


def inside(content: bytes, *path: bytes) -> list[bytes]:
    """Contents of all boxes at a path."""
    if not path:
        return [content]
    return [
        found
        for kind, body in children(content)
        if kind == path[0]
        for found in inside(body, *path[1:])
    ]


def offsets(content: bytes) -> list[list[int]]:
    """Where each track's chunks begin."""
    tables = inside(content, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stco")
    return [list(struct.unpack(f">{len(t) // 4 - 2}I", t[8:])) for t in tables]


# -- what a player hears ---------------------------------------------------------------------------


def decoded(path: Path) -> np.ndarray[Any, Any]:
    """(track, c, n), as long as the container says each is."""
    tracks = []
    with av.open(str(path)) as file:
        lengths = [s.duration for s in file.streams.audio]
        assert all(s.time_base == Fraction(1, s.rate) for s in file.streams.audio)
    for i, length in enumerate(lengths):
        with av.open(str(path)) as file:
            frames = list(file.decode(audio=i))
        assert frames[0].pts == 0
        samples = np.concatenate([f.to_ndarray() for f in frames], axis=1)
        if samples.dtype == np.int32:
            samples = samples / 2.0**31
        tracks.append(samples[:, :length])
    return np.stack(tracks)


def music(n_hops: int) -> list[Any]:
    """Four tones that swell, an impulse in each: what a codec can keep, and where it lies."""
    made = hops(n_hops)
    t = np.arange(n_hops * HOP) / SPEC.samplerate
    stems = np.zeros((4, 2, len(t)), np.float32)
    for i in range(4):
        tone = 0.1 * (1 + i % 2 * 0.5) * np.sin(2 * np.pi * 220 * (i + 1) * t) * np.hanning(len(t))
        stems[i] = tone
    stems[:, :, len(t) // 3] += 0.1
    for k, hop in enumerate(made):
        hop["stems"][0] = stems[:, :, k * HOP : (k + 1) * HOP]
        hop["mix"] = hop["stems"].sum(axis=1)
    return made


def samples_of(folder: Path, source: str, form: str = "wav") -> np.ndarray[Any, Any]:
    names = [folder / f"{source}.{form}", *sorted(folder.glob(f"{source}-*.{form}"))]
    return np.concatenate([soundfile.read(n, dtype="float32")[0] for n in names]).T


def written(folder: Path, codec: str) -> Path:
    (song,) = songs_of(folder)
    target = folder / f"{song.name}.stem.mp4"
    assert write_stem_file(song, target, codec) == 0
    return target


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_alac_is_the_take_bit_for_bit(tmp_path: Path, form: str) -> None:
    folder = record(tmp_path, music(150), format=form)
    heard = decoded(written(folder, "alac"))
    for track, source in zip(heard, TRACKS, strict=True):
        wanted = samples_of(folder, source, form).astype(np.float64)
        np.testing.assert_array_equal(track, np.rint(wanted * 2**23) / 2**23)
    # Five roundings to 24 bits, half a step each.
    np.testing.assert_allclose(heard[1:].sum(0), heard[0], rtol=0, atol=2.5 * 2.0**-23)


def test_aac_is_the_take_nearly_and_not_a_sample_late(tmp_path: Path) -> None:
    folder = record(tmp_path, music(400))
    heard = decoded(written(folder, "aac"))
    assert heard.shape == (5, 2, 400 * HOP)
    for track, source in zip(heard, TRACKS, strict=True):
        wanted = samples_of(folder, source)
        lags = range(-3, 4)
        matches = [np.vdot(np.roll(track, lag, 1), wanted) for lag in lags]
        assert lags[int(np.argmax(matches))] == 0
    # 256 kb/s for a few tones: far below the tones, and in the sum of four too.
    error = heard[1:].sum(0) - heard[0]
    assert 20 * np.log10(error.std() / heard[0].std()) < -30


def test_a_take_in_parts_is_one_song(tmp_path: Path) -> None:
    given = music(120)
    folder = record(tmp_path, given, rotate_min=0.004)
    assert len([*folder.glob("vocals*.wav")]) > 2
    heard = decoded(written(folder, "alac"))
    wanted = np.concatenate([hop["stems"][0, 0] for hop in given], 1).astype(np.float64)
    np.testing.assert_array_equal(heard[TRACKS.index("vocals")], np.rint(wanted * 2**23) / 2**23)


def test_a_take_without_its_mix_gets_the_sum(tmp_path: Path) -> None:
    folder = record(tmp_path, music(60), stems=list(STEMS))
    assert not (folder / "mix.wav").exists()
    heard = decoded(written(folder, "alac"))
    assert heard[0].std() > 0.05
    np.testing.assert_allclose(heard[1:].sum(0), heard[0], rtol=0, atol=2.5 * 2.0**-23)


def test_each_feed_is_a_song(tmp_path: Path) -> None:
    config = build_config(
        {
            "record": {"directory": str(tmp_path)},
            "feed": [{"name": "desk", "channels": [1, 2]}, {"name": "room", "channels": [3]}],
        }
    )
    spec = StreamSpec.of("live", 48_000, 2)
    made = [make_hop(k, spec) for k in range(20)]
    for hop in made:
        hop["t_capture_ns"] = UTC_NS
        hop["stems"] = 0.1
        hop["stems"][1] = -0.05
        hop["mix"] = hop["stems"].sum(axis=1)
    recorder = Recorder(config, spec, made[0])
    for hop in made:
        recorder.write(hop)
    recorder.close()
    assert finish_take(recorder.directory)
    folder = recorder.directory
    songs = songs_of(folder)
    assert [song.name for song in songs] == [f"{folder.name}-desk", f"{folder.name}-room"]
    for song, level in zip(songs, (0.1, -0.05), strict=True):
        write_stem_file(song, tmp_path / song.name, "alac")
        np.testing.assert_allclose(decoded(tmp_path / song.name)[1:], level, atol=2.0**-23)


def test_samples_beyond_full_scale_are_cut_and_counted(tmp_path: Path) -> None:
    for stem in STEMS:
        loud = np.full((1000, 1), 1.5 if stem == "bass" else 0.0, np.float32)
        soundfile.write(tmp_path / f"{stem}.wav", loud, 44_100, subtype="FLOAT")
    (song,) = songs_of(tmp_path)
    target = tmp_path / "loud.stem.mp4"
    assert write_stem_file(song, target, "alac") == 4 * 1000  # bass and mix, both sides
    heard = decoded(target)
    np.testing.assert_array_equal(heard[TRACKS.index("bass")], (2**23 - 1) / 2**23)
    assert not heard[TRACKS.index("drums")].any()


# -- the container ---------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_the_container_is_what_stem_players_look_for(tmp_path: Path, codec: str) -> None:
    content = written(record(tmp_path, music(60)), codec).read_bytes()
    told = json.loads(inside(content, b"moov", b"udta", b"stem")[0])
    assert told["version"] == 1
    assert [stem["name"] for stem in told["stems"]] == ["Drums", "Bass", "Other", "Vocals"]
    assert all(len(stem["color"]) == 7 and stem["color"][0] == "#" for stem in told["stems"])
    assert not told["mastering_dsp"]["compressor"]["enabled"]
    assert not told["mastering_dsp"]["limiter"]["enabled"]
    heads = inside(content, b"moov", b"trak", b"tkhd")
    assert [head[3] & 1 for head in heads] == [1, 0, 0, 0, 0]  # track_enabled
    entries = inside(content, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    assert {entry[12:16] for entry in entries} == {b"mp4a" if codec == "aac" else b"alac"}
    assert [kind for kind, _ in children(content)][-1] == b"moov"
    for edit in inside(content, b"moov", b"trak", b"edts", b"elst"):
        count, length, start = struct.unpack(">4xIIi", edit[:16])
        assert (count, length) == (1, 60 * HOP)
        assert start == (1024 if codec == "aac" else 0)  # the encoder's run-in


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MP4 with its movie box in front."""
    path = tmp_path_factory.mktemp("mp4") / "tone.mp4"
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
        stream = file.add_stream("alac", rate=48_000, layout="stereo", format="s32p")
        for at in range(0, 40_960, 4096):
            n = np.arange(at, at + 4096) * 97 % 5003 << 16
            frame = av.AudioFrame.from_ndarray(np.stack([n, -n]).astype(np.int32), "s32p")
            frame.sample_rate, frame.pts = 48_000, at
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def widened(content: bytes) -> bytes:
    """The same file with 64-bit chunk offsets."""

    def rebuilt(content: bytes, extra: int) -> bytes:
        made = b""
        for kind, body in children(content):
            if kind == b"stco":
                places = struct.unpack(f">{len(body) // 4 - 2}I", body[8:])
                kind = b"co64"
                body = body[:8] + struct.pack(f">{len(places)}Q", *(p + extra for p in places))
            elif kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                body = rebuilt(body, extra)
            made += struct.pack(">I4s", len(body) + 8, kind) + body
        return made

    return rebuilt(content, len(rebuilt(content, 0)) - len(content))


@pytest.mark.parametrize("wide", [False, True])
def test_a_movie_in_front_still_finds_its_samples(tmp_path: Path, tone: Path, wide: bool) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    content = tone.read_bytes()
    source.write_bytes(widened(content) if wide else content)
    kinds = [kind for kind, _ in children(content)]
    assert kinds.index(b"moov") < kinds.index(b"mdat")
    add_user_data(source, target, b"stem", b"x" * 12_345)
    np.testing.assert_array_equal(decoded(target), decoded(tone))
    if not wide:
        moved = np.subtract(offsets(target.read_bytes()), offsets(content))
        assert set(moved.flat) == {target.stat().st_size - source.stat().st_size}


def test_a_second_box_replaces_the_first(tmp_path: Path, tone: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    add_user_data(tone, first, b"stem", b"long" * 1000)
    add_user_data(first, second, b"stem", b"short")
    assert inside(second.read_bytes(), b"moov", b"udta", b"stem") == [b"short"]
    np.testing.assert_array_equal(decoded(second), decoded(tone))


def test_a_file_that_is_none_is_refused(tmp_path: Path, tone: Path) -> None:
    source = tmp_path / "source"
    for content in (b"", b"RIFF" * 10, tone.read_bytes()[:-100], struct.pack(">I4s", 4, b"moov")):
        source.write_bytes(content)
        with pytest.raises(ValueError, match="expected"):
            add_user_data(source, tmp_path / "target", b"stem", b"")


def test_a_rate_stem_files_do_not_have_is_refused(tmp_path: Path) -> None:
    for stem in STEMS:
        soundfile.write(tmp_path / f"{stem}.wav", np.zeros((10, 2)), 96_000)
    with pytest.raises(DeviceError, match="got 96000 Hz, expected 44100 or 48000"):
        songs_of(tmp_path)


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    folder = record(tmp_path, music(4))
    (song,) = songs_of(folder)
    (tmp_path / "a file").write_text("")
    with pytest.raises(DeviceError, match="expected to write a stem file"):
        write_stem_file(song, tmp_path / "a file" / "x.stem.mp4")
    blocked = tmp_path / "blocked.stem.mp4"
    blocked.mkdir()
    (blocked / "full").write_text("")
    with pytest.raises(DeviceError, match="expected to write a stem file"):
        write_stem_file(song, blocked)
    assert not [*tmp_path.glob(".*")]
