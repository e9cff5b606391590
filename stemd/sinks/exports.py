"""A finished take for other programs: its events as a MIDI file, its files as DAW projects.

Made from what lies in the folder, so that a take whose daemon was killed can be finished later.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import mido

from .. import __version__
from ..files import write_whole
from ..spec import DRUMS, SOURCES
from .soundfiles import length_of

TAKE, EVENTS = "take.json", "events.jsonl"
MIDI, REAPER, DAWPROJECT = "events.mid", "take.rpp", "take.dawproject"

TEMPO_BPM = 120  # of the projects and the MIDI file: seconds are what counts, beats are two to one
TICKS = 960  # to the beat: half a millisecond
CHANNELS = {"mix": 0, "vocals": 1, "drums": 9, "bass": 2, "other": 3}  # counted from 0
HIT_NOTES = dict(zip(DRUMS, (36, 38, 42), strict=True))  # General MIDI's
HIT_S = 0.05
_KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of one track."""

    name: str
    start_s: float  # in the take
    length_s: float


@dataclass(frozen=True, slots=True)
class Track:
    """One stem of one feed."""

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Of one stem, or a drum's hit."""

    track: str  # as the stem's files are called
    channel: int
    key: int
    velocity: float
    start_s: float
    end_s: float


def finish(directory: Path) -> None:
    """Write the exports of a take, and that it is finished.

    Raises
    ------
    OSError, RuntimeError, ValueError, KeyError, TypeError, ArithmeticError
        When the folder does not hold what a take holds, or the disk is full.
    """
    take = json.loads((directory / TAKE).read_text("utf-8"))
    tracks = tracks_of(directory, take)
    end_s = max((p.start_s + p.length_s for t in tracks for p in t.parts), default=0.0)
    events = list(events_of(directory / EVENTS))
    prefix = len(take["feeds"]) > 1
    notes = notes_of(events, end_s, prefix)
    write_whole(directory / MIDI, midi_of(notes, events))
    write_whole(directory / REAPER, reaper_of(tracks, take["samplerate"]).encode())
    write_whole(directory / DAWPROJECT, dawproject_of(directory.name, tracks, notes, take))
    take |= {"samples": round(end_s * take["samplerate"]), "finished": True}
    write_whole(directory / TAKE, json.dumps(take, indent=1).encode())


def tracks_of(directory: Path, take: dict[str, Any]) -> list[Track]:
    """Tracks as they lie on the disk: a killed daemon's files are as long as their headers say."""
    rate = int(take["samplerate"])
    tracks = []
    for name in take["tracks"]:
        parts = []
        for i, first in enumerate(take["parts"], 1):
            file = directory / part_name(str(name), i, str(take["format"]))
            if length := length_of(file):
                parts.append(Part(file.name, int(first) / rate, length / rate))
        tracks.append(Track(str(name), tuple(parts)))
    return tracks


def part_name(track: str, number: int, form: str) -> str:
    """File name of the number-th part of a track, counted from 1."""
    return f"{track}.{form}" if number == 1 else f"{track}-{number}.{form}"


def events_of(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of the event list; a last one that was cut off is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and {"t", "feed", "source", "kind", "value"} <= {*event}:
                yield event


def notes_of(events: Sequence[dict[str, Any]], end_s: float, prefix: bool) -> list[Note]:
    """Notes and hits, each with its end."""
    notes: list[Note] = []
    sounding: dict[str, tuple[int, float, float, str]] = {}

    def end(track: str, at_s: float) -> None:
        key, velocity, start_s, source = sounding.pop(track)
        notes.append(Note(track, CHANNELS[source], key, velocity, start_s, max(at_s, start_s)))

    for event in events:
        source, at_s = event["source"], float(event["t"])
        track = f"{event['feed']}-{source}" if prefix else source
        if event["kind"] in HIT_NOTES:
            key = HIT_NOTES[event["kind"]]
            hit = float(event["value"])
            notes.append(Note(track, CHANNELS[source], key, hit, at_s, at_s + HIT_S))
        elif event["kind"] == "note":
            if track in sounding:
                end(track, at_s)
            key = round(float(event["value"]))
            if 0 < key < 128:
                # A note whose beginning was lost has no velocity.
                velocity = float(event.get("velocity", 0.0)) or 0.6
                sounding[track] = key, velocity, at_s, source
    for track in [*sounding]:
        end(track, end_s)
    return sorted(notes, key=lambda note: note.start_s)


def midi_of(notes: Sequence[Note], events: Sequence[dict[str, Any]]) -> bytes:
    """A Standard MIDI File: tempo and chords, then a track for each that played."""
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    conductor = [(0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO_BPM)))]
    for event in events:
        if event["kind"] == "chord" and event["source"] == "mix":
            marker = mido.MetaMessage("marker", text=chord_name(round(float(event["value"]))))
            conductor.append((_ticks(float(event["t"])), marker))
    file.tracks.append(_midi_track("stemd", conductor))
    for track in dict.fromkeys(note.track for note in notes):
        messages = []
        for note in notes:
            if note.track == track:
                velocity = min(max(round(note.velocity * 127), 1), 127)
                at = {"channel": note.channel, "note": note.key}
                on = mido.Message("note_on", velocity=velocity, **at)
                messages.append((_ticks(note.start_s), on))
                messages.append((_ticks(note.end_s), mido.Message("note_off", **at)))
        file.tracks.append(_midi_track(track, messages))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def chord_name(chord: int) -> str:
    """`N`, `C` … `B`, `Cm` … `Bm`."""
    if not 1 <= chord <= 24:
        return "N"
    return _KEYS[(chord - 1) % 12] + ("m" if chord > 12 else "")


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS * TEMPO_BPM / 60)


def _midi_track(name: str, messages: Sequence[tuple[int, Any]]) -> Any:
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    now = 0
    # An end before a beginning of the same tick, or a note struck again would be silenced.
    for at, message in sorted(messages, key=lambda m: (m[0], m[1].type == "note_on")):
        track.append(message.copy(time=at - now))
        now = at
    return track


def reaper_of(tracks: Sequence[Track], samplerate: int) -> str:
    """A REAPER project: a track for each stem, its files one after the other."""
    lines = [
        f'<REAPER_PROJECT 0.1 "stemd {__version__}" 0',
        f"  SAMPLERATE {samplerate} 1 0",
        f"  TEMPO {TEMPO_BPM} 4 4",
    ]
    twice = _heard_twice(tracks)
    for track in tracks:
        mute = track.name in twice
        lines += ["  <TRACK", f'    NAME "{track.name}"', f"    MUTESOLO {mute:d} 0 0"]
        for part in track.parts:
            kind = "FLAC" if part.name.endswith(".flac") else "WAVE"
            lines += [
                "    <ITEM",
                f"      POSITION {part.start_s:.9f}",
                f"      LENGTH {part.length_s:.9f}",
                "      LOOP 0",
                f'      NAME "{part.name}"',
                f"      <SOURCE {kind}",
                f'        FILE "{part.name}"',
                "      >",
                "    >",
            ]
        lines.append("  >")
    return "\n".join([*lines, ">", ""])


def _heard_twice(tracks: Sequence[Track]) -> set[str]:
    """Inputs beside stems of theirs: there to compare, and muted."""
    names, (mix, *stems) = {track.name for track in tracks}, SOURCES
    feeds = [name.removesuffix(mix) for name in names if name.endswith(mix)]
    return {feed + mix for feed in feeds if names & {feed + stem for stem in stems}}


def dawproject_of(
    title: str, tracks: Sequence[Track], notes: Sequence[Note], take: dict[str, Any]
) -> bytes:
    """A DAWproject 1.0 archive that names the take's files; notes lie on tracks of their own."""
    ids = iter(range(1_000_000))

    def part(parent: Any, tag: str, **attributes: Any) -> Any:
        texts = {key: str(value).lower() if isinstance(value, bool) else str(value)
                 for key, value in attributes.items()}  # fmt: skip
        return xml.SubElement(parent, tag, texts)

    def channel(parent: Any, mute: bool) -> None:
        one = part(parent, "Channel", id=f"i{next(ids)}", role="regular", audioChannels=2,
                   destination="master")  # fmt: skip
        part(one, "Mute", id=f"i{next(ids)}", value=mute, name="Mute")
        part(one, "Volume", id=f"i{next(ids)}", unit="linear", min=0, max=2, value=1, name="Volume")

    project = xml.Element("Project", {"version": "1.0"})
    part(project, "Application", name="stemd", version=__version__)
    transport = part(project, "Transport")
    part(transport, "Tempo", id="tempo", unit="bpm", min=20, max=666, value=TEMPO_BPM, name="Tempo")
    part(transport, "TimeSignature", id="meter", numerator=4, denominator=4)
    structure = part(project, "Structure")
    master = part(structure, "Track", id="out", contentType="audio", loaded=True, name="Master")
    part(master, "Channel", id="master", role="master", audioChannels=2)
    arrangement = part(project, "Arrangement", id="arrangement")
    lanes = part(arrangement, "Lanes", id="lanes", timeUnit="seconds")
    twice = _heard_twice(tracks)
    for i, track in enumerate(tracks):
        one = part(structure, "Track", id=f"t{i}", contentType="audio", loaded=True,
                   name=track.name)  # fmt: skip
        channel(one, track.name in twice)
        lane = part(lanes, "Lanes", id=f"i{next(ids)}", track=f"t{i}")
        clips = part(lane, "Clips", id=f"i{next(ids)}")
        for file in track.parts:
            clip = part(clips, "Clip", time=file.start_s, duration=file.length_s, playStart=0,
                        contentTimeUnit="seconds", name=file.name)  # fmt: skip
            audio = part(clip, "Audio", id=f"i{next(ids)}", channels=2, duration=file.length_s,
                         sampleRate=take["samplerate"])  # fmt: skip
            part(audio, "File", path=file.name, external=True)
    for i, name in enumerate(dict.fromkeys(note.track for note in notes)):
        one = part(structure, "Track", id=f"n{i}", contentType="notes", loaded=True,
                   name=f"{name} notes")  # fmt: skip
        channel(one, False)
        lane = part(lanes, "Lanes", id=f"i{next(ids)}", track=f"n{i}")
        clips = part(lane, "Clips", id=f"i{next(ids)}")
        own = [note for note in notes if note.track == name]
        clip = part(clips, "Clip", time=0, duration=max(note.end_s for note in own), playStart=0,
                    contentTimeUnit="seconds")  # fmt: skip
        inside = part(clip, "Notes", id=f"i{next(ids)}")
        for note in own:
            part(inside, "Note", time=round(note.start_s, 5), channel=note.channel, key=note.key,
                 duration=round(max(note.end_s - note.start_s, 0.001), 5),
                 vel=round(note.velocity, 3))  # fmt: skip
    part(project, "Scenes")
    about = xml.Element("MetaData")
    part(about, "Title").text = title
    part(about, "Comment").text = f"Separated live by stemd {__version__}"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, tree in (("project.xml", project), ("metadata.xml", about)):
            archive.writestr(name, xml.tostring(tree, "UTF-8", xml_declaration=True))
    return content.getvalue()
