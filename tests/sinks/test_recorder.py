"""Recordings: whole at any moment, in time with the wall clock, ready for other programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import mido
import numpy as np
import pytest
import soundfile

from stemd.config import build_config
from stemd.roles.record import Finisher
from stemd.shared import text
from stemd.sinks import stemfile
from stemd.sinks.exports import finish
from stemd.sinks.recorder import Preroll, Recorder, finish_take, unfinished
from stemd.sinks.soundfiles import Stamp, TrackFile, length_of
from stemd.spec import SOURCES, STEMS

from ..device.conftest import START_S, running
from .support import SPEC, make_hop, wait_until

UTC_NS = 1_700_000_000_000_000_000  # 22:13:20
HOP = SPEC.hop_length
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (100_000, 2)).astype(np.float32)


def hops(n: int, **fields: Any) -> list[Any]:
    made = [make_hop(k, **fields) for k in range(n)]
    for k, hop in enumerate(made):
        hop["t_capture_ns"] = UTC_NS + k * HOP * 10**9 // SPEC.samplerate
        hop["stems"] /= 5 * (n + 1)
        hop["mix"] = hop["stems"].sum(axis=1)
    return made


def record(tmp_path: Path, given: list[Any], **settings: Any) -> Path:
    config = build_config({"record": {"directory": str(tmp_path), **settings}})
    recorder = Recorder(config, SPEC, given[0])
    for hop in given:
        recorder.write(hop)
    recorder.close()
    assert finish_take(recorder.directory)
    return recorder.directory


def bext(path: Path) -> dict[str, Any]:
    """The fields we promise, read by their offsets in EBU Tech 3285."""
    content = path.read_bytes()[:4096]
    chunk = content[content.index(b"bext") + 8 :]
    return {
        "originator": chunk[256:288].rstrip(b"\0"),
        "date": chunk[320:330],
        "time": chunk[330:338],
        "reference": struct.unpack("<Q", chunk[338:346])[0],
    }


def since_midnight(utc_ns: int) -> float:
    local = datetime.fromtimestamp(utc_ns * 1e-9, UTC).astimezone()
    return local.hour * 3600 + local.minute * 60 + local.second + local.microsecond * 1e-6


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_every_source_has_its_file_and_every_sample_is_in_it(tmp_path: Path, form: str) -> None:
    given = hops(40)
    folder = record(tmp_path, given, format=form)
    for name in SOURCES:
        heard, rate = soundfile.read(folder / f"{name}.{form}", dtype="float32")
        assert rate == 48_000
        wanted = [
            hop["mix"][0] if name == "mix" else hop["stems"][0, STEMS.index(name)] for hop in given
        ]
        # 24 bits round, floats do not.
        atol = 0 if form == "wav" else 2**-23
        np.testing.assert_allclose(heard.T, np.concatenate(wanted, 1), atol=atol)


def test_files_tell_their_first_sample_to_the_sample(tmp_path: Path) -> None:
    folder = record(tmp_path, hops(10))
    told = bext(folder / "vocals.wav")
    assert told["originator"].startswith(b"stemd ")
    assert told["reference"] == round(since_midnight(UTC_NS) * 48_000)
    local = datetime.fromtimestamp(UTC_NS * 1e-9, UTC).astimezone()
    assert told["date"].decode() == local.strftime("%Y-%m-%d")
    assert told["time"].decode() == local.strftime("%H:%M:%S")


def test_lost_hops_become_silence_so_that_files_stay_aligned(tmp_path: Path) -> None:
    given = hops(30)
    folder = record(tmp_path, [*given[:10], *given[14:]])
    heard, _ = soundfile.read(folder / "bass.wav", dtype="float32")
    assert len(heard) == 30 * HOP
    assert not heard[10 * HOP : 14 * HOP].any()
    np.testing.assert_array_equal(heard[20 * HOP : 21 * HOP].T, given[20]["stems"][0, 2])


def test_rotated_files_follow_each_other_without_a_hole(tmp_path: Path) -> None:
    minutes = 0.002  # 5760 samples, 22.5 hops
    given = hops(60)
    folder = record(tmp_path, given, rotate_min=minutes)
    parts = [folder / "mix.wav", *sorted(folder.glob("mix-*.wav"))]
    assert len(parts) == 3
    heard = np.concatenate([soundfile.read(part, dtype="float32")[0] for part in parts])
    np.testing.assert_array_equal(heard.T, np.concatenate([h["mix"][0] for h in given], 1))
    references = [bext(part)["reference"] for part in parts]
    lengths = [soundfile.info(part).frames for part in parts]
    assert np.diff(references).tolist() == lengths[:-1]
    assert lengths[0] == 23 * HOP


KILLED = """
import sys, os
from pathlib import Path
import numpy as np
from stemd.sinks.soundfiles import Stamp, TrackFile
files = [TrackFile(Path(name), 48000, Stamp({utc}, 48000)) for name in sys.argv[1:]]
noise = np.random.default_rng(0).uniform(-0.5, 0.5, (100_000, 2)).astype(np.float32)
for at in range(0, 100_000, 1000):
    for file in files:
        file.write(noise[at : at + 1000])
        if at == 90_000:
            file.refresh()
os.kill(os.getpid(), 9)
"""


def test_files_of_a_killed_process_play(tmp_path: Path) -> None:
    names = [str(tmp_path / f"take.{form}") for form in ("wav", "flac")]
    killed = subprocess.run([sys.executable, "-c", KILLED.format(utc=UTC_NS), *names], check=False)
    assert killed.returncode == -signal.SIGKILL
    for name, least in zip(names, (80_000, 95_000), strict=True):  # FLAC knows each block
        heard, _ = soundfile.read(name, dtype="float32")
        assert least < len(heard) <= (91_000 if name.endswith("wav") else 100_000)
        np.testing.assert_allclose(heard, NOISE[: len(heard)], atol=2**-23)
        if shutil.which("sox"):
            played = subprocess.run(["sox", name, "-n", "stat"], capture_output=True, check=False)
            assert played.returncode == 0, played.stderr


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from stemd.sinks.soundfiles import TrackFile
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
noise = np.random.default_rng(0).uniform(-0.5, 0.5, (100_000, 2)).astype(np.float32)
file = None
try:
    file = TrackFile(Path(sys.argv[1]), 48000, None)
    for at in range(0, 100_000, 4000):
        file.write(noise[at : at + 4000])
except (OSError, RuntimeError):
    if file:
        file.close()
    sys.exit(7)
"""


def test_a_folder_that_is_gone_ends_the_take_with_a_sentence(tmp_path: Path) -> None:
    settings = ["record.enabled=true", f'record.directory="{tmp_path}/stick"']
    with running("source.kind=tone", *settings) as it:
        it.until(lambda: int(it.status.record["samples"]) > 24_000, START_S, "half a second")
        shutil.move(tmp_path / "stick", tmp_path / "elsewhere")
        it.until(lambda: text(it.status.record["reason"]), 20.0, "the complaint")
        assert "record.directory" in text(it.status.record["reason"])
        assert it.status.record["recording"] == 0
        assert int(it.status.daemon["restarts"].sum()) == 0
        it.status.mixer["recording"] = 0
        it.until(lambda: not text(it.status.record["reason"]), 20.0, "its end")


@pytest.mark.parametrize("form", ["wav", "flac"])
@pytest.mark.parametrize("room", [8_192, 70_000, 300_000])
def test_files_play_as_far_as_there_was_room(tmp_path: Path, form: str, room: int) -> None:
    """What a full disk says, a limit of the system says too: so much and no more."""
    path = tmp_path / f"take.{form}"
    stopped = subprocess.run([sys.executable, "-c", FULL, path, str(room)], check=False)
    assert stopped.returncode == 7
    if form == "flac" and room < 4096 * 6:  # no whole block of noise
        assert not path.exists()
        return
    heard, _ = soundfile.read(path, dtype="float32")
    assert len(heard) == length_of(path) > room / 8 - 9_000
    np.testing.assert_allclose(heard, NOISE[: len(heard)], atol=2**-23)


BEGUN = """
import os, sys
from pathlib import Path
import numpy as np
from stemd.sinks.soundfiles import TrackFile
file = TrackFile(Path(sys.argv[1]), 48000, None)
file.write(np.zeros((1000, 2), np.float32))
os.kill(os.getpid(), 9)
"""


def test_a_file_whose_recorder_was_killed_as_it_began_spoils_no_take(tmp_path: Path) -> None:
    folder = record(tmp_path, hops(60), format="flac", rotate_min=0.004)
    whole = json.loads((folder / "take.json").read_text())
    last = folder / f"bass-{len(whole['parts'])}.flac"
    kept = stemfile.songs_of(folder)[0].n_samples
    last.unlink()
    killed = subprocess.run([sys.executable, "-c", BEGUN, last], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert last.exists()
    assert length_of(last) == 0
    assert finish_take(folder)
    assert last.name not in (folder / "take.rpp").read_text()
    assert json.loads((folder / "take.json").read_text())["samples"] == whole["samples"]
    (song,) = stemfile.songs_of(folder)
    assert song.n_samples == kept
    assert sum(block.shape[-1] for block in stemfile.blocks(song)) == kept


@pytest.mark.slow
def test_a_file_longer_than_a_wav_can_count_is_rf64(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 6e9:
        pytest.skip("needs 6 GB of disk")
    path = tmp_path / "long.wav"
    file = TrackFile(path, 48_000, Stamp(UTC_NS, 48_000))
    block = np.zeros((1_000_000, 2), np.float32)
    for second in range(540):  # 4.32 GB
        block[0] = second / 1000
        file.write(block)
        if second == 539:
            file.refresh()  # as a killed daemon would leave it
            assert soundfile.info(str(path)).frames == 540_000_000
    file.close()
    with path.open("rb") as raw:
        assert raw.read(4) == b"RF64"
    info = soundfile.info(str(path))
    assert info.frames == 540_000_000
    last, _ = soundfile.read(str(path), start=539_000_000, frames=1, dtype="float32")
    assert last[0, 0] == np.float32(0.539)


# -- events and exports ----------------------------------------------------------------------------


def musical(n: int = 400) -> list[Any]:
    """A bass note from hop 100 to 200, a kick at 50 and 150, a chord from 20 on."""
    given = hops(n)
    bass, drums, mix = (SOURCES.index(s) for s in ("bass", "drums", "mix"))
    from stemd.spec import FEATURES

    column = FEATURES.index
    for k, hop in enumerate(given):
        rows = hop["features"][0]
        rows[:] = 0.0
        if 100 <= k < 200:
            rows[bass, column("note")], rows[bass, column("note_count")] = 40, 1
            rows[bass, column("note_velocity")] = 0.5 if k == 100 else 0.0
        if k >= 200:
            rows[bass, column("note_count")] = 1
        if k in (50, 150):
            rows[drums, column("kick")] = 0.9
        rows[mix, column("chord")] = 13 if k >= 20 else 0
    return given


def test_events_are_lines_at_their_sample(tmp_path: Path) -> None:
    folder = record(tmp_path, musical())
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    notes = [line for line in lines if line["kind"] == "note"]
    assert [(n["sample"], n["value"], n["velocity"]) for n in notes] == [
        (100 * HOP, 40, 0.5),
        (200 * HOP, 0, 0.0),
    ]
    kicks = [line["sample"] for line in lines if line["kind"] == "kick"]
    # Features are of input whose stems come a hop later; a hit is known two hops after it began.
    assert kicks == [(50 + 1 - 2) * HOP, (150 + 1 - 2) * HOP]
    assert [line["value"] for line in lines if line["kind"] == "chord"] == [13]


def test_the_midi_file_plays_notes_and_hits_in_time(tmp_path: Path) -> None:
    folder = record(tmp_path, musical())
    heard = []
    now_s = 0.0
    for message in mido.MidiFile(folder / "events.mid"):
        now_s += message.time
        if message.type in ("note_on", "note_off"):
            heard.append((message.type, message.channel, message.note, now_s))
        if message.type == "note_on" and message.channel == 2:
            assert message.velocity == 64
    hop_s = HOP / 48_000
    wanted = [
        ("note_on", 9, 36, 49 * hop_s),
        ("note_off", 9, 36, 49 * hop_s + 0.05),
        ("note_on", 2, 40, 100 * hop_s),
        ("note_on", 9, 36, 149 * hop_s),
        ("note_off", 9, 36, 149 * hop_s + 0.05),
        ("note_off", 2, 40, 200 * hop_s),
    ]
    assert [h[:3] for h in heard] == [w[:3] for w in wanted]
    np.testing.assert_allclose([h[3] for h in heard], [w[3] for w in wanted], atol=6e-4)
    markers = [m.text for m in mido.MidiFile(folder / "events.mid").tracks[0] if m.type == "marker"]
    assert markers == ["Cm"]


def blocks(text: str) -> Any:
    """A REAPER project as nested lists: `<NAME …` opens, `>` closes."""
    root: list[Any] = []
    stack = [root]
    for line in text.splitlines():
        line = line.strip()
        if line == ">":
            stack.pop()
        elif line.startswith("<"):
            inner: list[Any] = [line[1:]]
            stack[-1].append(inner)
            stack.append(inner)
        else:
            stack[-1].append(line)
    assert len(stack) == 1
    return root


def test_the_reaper_project_has_each_file_in_its_place(tmp_path: Path) -> None:
    folder = record(tmp_path, hops(60), rotate_min=0.002)
    (project,) = blocks((folder / "take.rpp").read_text())
    tracks = [part for part in project if isinstance(part, list)]
    assert [track[1] for track in tracks] == [f'NAME "{name}"' for name in SOURCES]
    assert [track[2] for track in tracks] == ["MUTESOLO 1 0 0", *["MUTESOLO 0 0 0"] * 4]
    for track in tracks:
        end_s = 0.0
        items = [part for part in track if isinstance(part, list)]
        assert len(items) == 3
        for item in items:
            facts = dict(
                line.split(" ", 1) for line in item if isinstance(line, str) and " " in line
            )
            (source,) = (part for part in item if isinstance(part, list))
            name = re.fullmatch(r'FILE "(.*)"', source[1])
            assert name is not None
            assert float(facts["POSITION"]) == pytest.approx(end_s, abs=1e-8)
            end_s += float(facts["LENGTH"])
            frames = soundfile.info(folder / name[1]).frames
            assert float(facts["LENGTH"]) == pytest.approx(frames / 48_000)


@pytest.mark.parametrize(
    ("feeds", "stems", "muted"),
    [
        (1, ["mix", "bass"], {"mix"}),
        (2, ["mix", "bass"], {"desk-mix", "choir-mix"}),
        (1, ["mix"], set()),
        (2, ["mix"], set()),
        (2, ["bass", "other"], set()),
    ],
)
def test_an_input_is_muted_only_beside_its_stems(
    tmp_path: Path, feeds: int, stems: list[str], muted: set[str]
) -> None:
    names = ["desk", "choir"][:feeds]
    table = {"directory": str(tmp_path), "stems": stems}
    config = build_config({"feed": [{"name": name} for name in names], "record": table})
    recorder = Recorder(config, config.spec, hop := make_hop(0, config.spec))
    recorder.write(hop)
    recorder.close()
    assert finish_take(recorder.directory)
    tracks = {f"{name}-{stem}" if feeds > 1 else stem for name in names for stem in stems}
    (project,) = blocks((recorder.directory / "take.rpp").read_text())
    found = {part[1]: part[2] for part in project if isinstance(part, list)}
    assert found == {f'NAME "{name}"': f"MUTESOLO {name in muted:d} 0 0" for name in tracks}
    with zipfile.ZipFile(recorder.directory / "take.dawproject") as archive:
        project = xml.fromstring(archive.read("project.xml"))
    mutes = {one.get("name"): one.find("Channel/Mute") for one in project.iter("Track")}
    assert {n: m.get("value") for n, m in mutes.items() if m is not None} == {
        name: str(name in muted).lower() for name in tracks
    }


def test_the_dawproject_names_files_and_holds_notes(tmp_path: Path) -> None:
    folder = record(tmp_path, musical())
    with zipfile.ZipFile(folder / "take.dawproject") as archive:
        assert archive.testzip() is None
        project = xml.fromstring(archive.read("project.xml"))
        assert xml.fromstring(archive.read("metadata.xml")).findtext("Title") == folder.name
    names = [track.get("name") for track in project.findall("Structure/Track")]
    assert names == ["Master", *SOURCES, "drums notes", "bass notes"]
    ids = [e.get("id") for e in project.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert {lane.get("track") for lane in project.findall("Arrangement/Lanes/Lanes")} <= set(ids)
    for audio in project.iter("Audio"):
        file = audio.find("File")
        assert file is not None
        info = soundfile.info(folder / str(file.get("path")))
        assert float(audio.get("duration", 0)) == pytest.approx(info.frames / info.samplerate)
    (bass,) = [n for n in project.iter("Note") if n.get("key") == "40"]
    assert float(bass.get("time", 0)) == pytest.approx(100 * HOP / 48_000, abs=1e-4)


def test_a_take_that_is_nonsense_is_left_alone(tmp_path: Path) -> None:
    for i, content in enumerate(['{"finished": false}', '{"finished": false, "tracks": 3}', "["]):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "take.json").write_text(content)
    found = unfinished(str(tmp_path))
    assert len(found) == 2
    assert not any(finish_take(folder) for folder in found)
    assert unfinished(str(tmp_path / "nowhere")) == []


def test_lines_of_nonsense_in_the_event_list_are_passed_over(tmp_path: Path) -> None:
    folder = record(tmp_path, musical())
    good = (folder / "events.mid").read_bytes()
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": 3}\n[]\n\xff\xfe\n{"sample": 10, "t": 1')
    finish(folder)
    assert (folder / "events.mid").read_bytes() == good


# -- in a running daemon ---------------------------------------------------------------------------


def test_who_presses_record_too_late_has_what_they_missed(tmp_path: Path) -> None:
    settings = ["record.enabled=true", "record.at_start=false", "record.preroll_s=1.0"]
    with running("source.kind=demo", f'record.directory="{tmp_path}"', *settings) as it:
        it.until(
            lambda: int(it.status.record["held"]) >= 48_000 - HOP, 30.0, "a second of pre-roll"
        )
        assert not [*tmp_path.iterdir()]
        missed = it.collect(0.7).hops
        it.status.mixer["recording"] = 1
        after = it.collect(0.7).hops
        it.status.mixer["recording"] = 0
        it.until(lambda: not it.status.record["recording"], 20.0, "the end of the recording")
        lost = int(it.status.record["lost"])
    if lost:
        pytest.skip("this machine was too busy to record everything")
    (folder,) = tmp_path.iterdir()
    heard, _ = soundfile.read(folder / "drums.wav", dtype="float32")
    # The file began up to a second before it was asked for; everything else follows from there.
    begun = [
        i for i in range(0, len(heard), HOP) if (heard[i] == missed["stems"][0, 0, 1, :, 0]).all()
    ]
    origins = [int(missed["sample_pos"][0]) - at for at in begun]

    def whole(origin: int) -> bool:
        found = 0
        for hop in (*missed, *after):
            at = int(hop["sample_pos"]) - origin
            if at + HOP <= len(heard):
                if not np.array_equal(heard[at : at + HOP].T, hop["stems"][0, 1]):
                    return False
                found += 1
        return found > len(missed) + 20

    assert any(map(whole, origins))


def test_a_killed_recorder_leaves_files_that_play_and_its_successor_finishes_the_take(
    tmp_path: Path,
) -> None:
    settings = ["record.enabled=true", f'record.directory="{tmp_path}"']
    with running("source.kind=demo", *settings) as it:
        it.until(lambda: int(it.status.record["samples"]) > 2.5 * 48_000, 60.0, "two seconds")
        pid = int(it.status.record["pid"])
        os.kill(pid, signal.SIGKILL)
        (first,) = tmp_path.iterdir()
        for name in SOURCES:
            assert len(soundfile.read(first / f"{name}.wav")[0]) > 48_000
        assert json.loads((first / "take.json").read_text())["finished"] is False
        it.until(
            lambda: json.loads((first / "take.json").read_text())["finished"],
            START_S,
            "the finished take",
        )
        assert (first / "events.mid").read_bytes()[:4] == b"MThd"
        assert zipfile.is_zipfile(first / "take.dawproject")
        it.until(lambda: len([*tmp_path.iterdir()]) == 2, 20.0, "a new take")
        assert np.all(np.diff(it.collect(0.3).hops["seq"]) == 1)


def test_a_take_the_disk_had_no_room_for_is_finished_after_the_next(tmp_path: Path) -> None:
    def unfinished_take(name: str) -> Path:
        folder = record(tmp_path / name, hops(4))
        take = json.loads((folder / "take.json").read_text()) | {"finished": False}
        (folder / "take.json").write_text(json.dumps(take))
        (folder / "take.dawproject").unlink()
        return folder

    early, *later = (unfinished_take(name) for name in ("early", "later", "last"))
    (early / "take.dawproject").mkdir()  # no file can be written there
    finisher = Finisher([])
    for take in (early, later[0]):
        finisher.finish(take)
    wait_until(lambda: not unfinished(str(later[0].parent)), "the one after it")
    assert {*unfinished(str(early.parent))} == {early}
    (early / "take.dawproject").rmdir()
    finisher.finish(later[1])
    finisher.end()
    assert not unfinished(str(early.parent))
    assert zipfile.is_zipfile(early / "take.dawproject")


@pytest.mark.parametrize(
    ("take", "event"),
    [
        ({"samplerate": 0}, {}),
        ({"samplerate": 1e400}, {}),
        ({}, {"t": 10**400}),
        ({}, {"t": 1e400}),
        ({}, {"value": float("inf")}),
        ({"tracks": 3}, {}),
    ],
)
def test_a_take_without_sense_stays_unfinished(tmp_path: Path, take: Any, event: Any) -> None:
    good = {"feeds": ["main"], "samplerate": 48_000, "tracks": ["bass"], "parts": [0],
            "format": "wav", "finished": False}  # fmt: skip
    note = {"t": 0.1, "feed": "main", "source": "bass", "kind": "note", "value": 40.0}
    soundfile.write(tmp_path / "bass.wav", np.zeros((480, 2)), 48_000)
    (tmp_path / "take.json").write_text(json.dumps({**good, **take}))
    (tmp_path / "events.jsonl").write_text("[" * 100_000 + "\n" + json.dumps({**note, **event}))
    assert not finish_take(tmp_path)
    (tmp_path / "take.json").write_text(json.dumps(good))
    (tmp_path / "events.jsonl").write_text("[" * 100_000 + "\n" + json.dumps(note))
    assert finish_take(tmp_path)


def test_what_is_kept_before_a_recording_takes_the_same_memory_each_time() -> None:
    """As it fills, its pages are touched; a recording begun again must not touch more of them."""
    dtype = make_hop(0).dtype
    kept = Preroll(SPEC, dtype, 100 * SPEC.hop_s)
    places = []
    for _ in range(3):
        for hop in hops(5):
            kept.push(hop)
        places.append([kept.pop().__array_interface__["data"][0] for _ in range(5)])
        assert not len(kept)
    assert places[0] == places[1] == places[2]
