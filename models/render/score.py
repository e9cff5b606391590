"""What was played in a take: hits, notes, sung contours, beats and chords, as the ear meets them.

Players are handed a listener and tell it what they play. The default, `DEAF`, forgets it at once;
a `Part` keeps it. Telling draws no chance, so a take is the same to the bit whoever listens.

Times are seconds of the take. Onsets are taken from the sound itself: the moment it first comes
within 20 dB of its peak, so silence and slow attacks before it are counted in. Everything after a
player (channel, bus, stage) leaves the direct sound where it is. What those add late, and whatever
is recorded music rather than played, is marked unknown, and must not be scored.
"""

import json
from dataclasses import asdict, dataclass, field

import numpy as np

from models.library import SAMPLERATE

STEP = 441  # samples between values of a contour: 10 ms
GRAIN = 32  # samples: resolution of attacks
ATTACK = 0.1  # of the peak: where an onset is heard
OVER = 10 ** (-30 / 20)  # of the peak: below, a note is over
CLASSES = {
    "kick": "kick",
    "snare": "snare",
    "clap": "snare",
    "rim": "snare",
    "brush": "snare",
    "hat": "hihat",
    "open": "hihat",
}  # every other role is "other"
ASPECTS = ("onsets", "pitch")


@dataclass(frozen=True)
class Hit:
    """One stroke; `drum` is kick, snare, hihat or other, `level` its peak before the desk."""

    time: float
    drum: str
    role: str
    velocity: float
    level: float


@dataclass(frozen=True)
class Note:
    """One note; `pitches` are the MIDI numbers one may rightly hear, more than one where the
    waveform holds an octave below, none where it has no pitch; `settled` is when bends are over."""

    onset: float
    offset: float
    pitches: tuple[float, ...]
    velocity: float
    settled: float


class Deaf:
    """A listener that forgets."""

    listening = False

    def hit(self, at, audio, role, velocity, level):
        """A stroke `audio` (c, m), laid down at sample `at`, to be scaled by `level`."""

    def note(self, at, audio, pitches, velocity, settles_s=0.0):
        """A note `audio` (c, m), laid down at sample `at`."""

    def contour(self, at, pitches):
        """MIDI pitch every STEP samples from `at`, nan where there is none."""

    def unknown(self, aspect, first=0, last=None):
        """From sample `first` to `last` (the end) nobody knows the onsets, or the pitch."""

    def layer(self):
        """A listener for something that may yet be dropped; see `join`."""
        return self

    def join(self, layer):
        """Keep what a layer heard."""


DEAF = Deaf()


@dataclass
class Part(Deaf):
    """What one stem plays in a take of `n` samples."""

    n: int
    hits: list[Hit] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    sung: np.ndarray | None = None  # (t,) MIDI every STEP samples, nan where there is none
    spans: dict = field(default_factory=lambda: {aspect: [] for aspect in ASPECTS})

    listening = True

    def hit(self, at, audio, role, velocity, level):
        start, _, peak = extent(audio)
        time = (at + start) / SAMPLERATE
        if 0 <= at + start < self.n:
            drum = CLASSES.get(role.split()[0], "other")
            self.hits.append(Hit(time, drum, role, float(velocity), float(peak * level)))

    def note(self, at, audio, pitches, velocity, settles_s=0.0):
        start, end, _ = extent(audio)
        if at + start < self.n and at + end > 0:
            onset = (at + start) / SAMPLERATE
            pitches = tuple(float(pitch) for pitch in pitches)
            settled = max(onset, at / SAMPLERATE + float(settles_s))
            offset = min(at + end, self.n) / SAMPLERATE
            self.notes.append(Note(onset, offset, pitches, float(velocity), settled))

    def contour(self, at, pitches):
        if self.sung is None:
            self.sung = np.full(-(-self.n // STEP), np.nan)
        first = round(at / STEP)
        there = slice(max(0, first), max(0, first + len(pitches)))
        size = self.sung[there].size
        self.sung[there] = np.asarray(pitches, float)[there.start - first :][:size]

    def unknown(self, aspect, first=0, last=None):
        last = self.n if last is None else min(last, self.n)
        if last > max(0, first):
            self.spans[aspect].append((max(0, first) / SAMPLERATE, last / SAMPLERATE))

    def layer(self):
        return Part(self.n)

    def join(self, layer):
        self.hits += layer.hits
        self.notes += layer.notes
        for aspect, spans in layer.spans.items():
            self.spans[aspect] += spans

    def tidy(self):
        """In order of time, spans joined."""
        self.hits.sort(key=lambda hit: hit.time)
        self.notes.sort(key=lambda note: note.onset)
        self.spans = {aspect: joined(spans) for aspect, spans in self.spans.items()}

    def knows(self, aspect, times):
        """(t,) bool: whether the truth about `aspect` is known at each of `times` (s)."""
        times = np.asarray(times)
        known = np.ones(times.shape, bool)
        for first, last in self.spans[aspect]:
            known &= (times < first) | (times >= last)
        return known


@dataclass(frozen=True)
class Score:
    """What was played in one take.

    seconds : float
    tempo_bpm : float or None; None: nobody agreed on one
    beats, downbeats : list of float, empty without a tempo
    chords : list of (time, root as pitch class, intervals above it), empty without an agreement
    parts : {stem: Part}
    """

    seconds: float
    tempo_bpm: float | None
    beats: list[float]
    downbeats: list[float]
    chords: list[tuple]
    parts: dict[str, Part]

    def to_json(self):
        """Text; `from_json` reads it."""
        table = asdict(self)
        for part in table["parts"].values():
            sung = part["sung"]
            if sung is not None:
                sung = [None if np.isnan(pitch) else round(float(pitch), 3) for pitch in sung]
            part["sung"] = sung
        return json.dumps(table)

    @classmethod
    def from_json(cls, text):
        table = json.loads(text)
        for stem, part in table["parts"].items():
            part["hits"] = [Hit(**hit) for hit in part["hits"]]
            part["notes"] = [
                Note(**(note | {"pitches": tuple(note["pitches"])})) for note in part["notes"]
            ]
            if part["sung"] is not None:
                part["sung"] = np.array([np.nan if p is None else p for p in part["sung"]])
            part["spans"] = {a: [tuple(s) for s in spans] for a, spans in part["spans"].items()}
            table["parts"][stem] = Part(**part)
        table["chords"] = [(time, root, tuple(tones)) for time, root, tones in table["chords"]]
        return cls(**table)


def written(plan, n, parts):
    """The score of a take: what the band agreed on (None: nothing), and what each part did."""
    beats, downbeats, chords = [], [], []
    if plan is not None:
        for beat in range(plan.bars * plan.meter):
            time = plan.at(beat) / SAMPLERATE
            if 0 <= time < n / SAMPLERATE:
                beats.append(time)
                if beat % plan.meter == 0:
                    downbeats.append(time)
        for chord in plan.chords:
            if plan.at(chord.beat + chord.length) > 0 and plan.at(chord.beat) < n:
                time = max(0, plan.at(chord.beat)) / SAMPLERATE
                chords.append((time, int(chord.root), tuple(int(tone) for tone in chord.tones)))
    for part in parts.values():
        part.tidy()
    tempo = None if plan is None else float(plan.bpm)
    return Score(n / SAMPLERATE, tempo, beats, downbeats, chords, parts)


def extent(audio):
    """(first, last, peak) of (c, m): where it comes within 20 dB of its peak, and where it has
    gone 30 dB below for good; in samples, to GRAIN."""
    audio = np.asarray(audio)
    n_grains = -(-audio.shape[1] // GRAIN)
    level = np.zeros(n_grains * GRAIN, np.float32)
    level[: audio.shape[1]] = np.abs(audio).max(0)
    level = level.reshape(n_grains, GRAIN).max(1)
    peak = float(level.max(initial=0.0))
    if peak == 0.0:
        return 0, 0, 0.0
    first = int(np.argmax(level >= ATTACK * peak)) * GRAIN
    last = (n_grains - int(np.argmax(level[::-1] >= OVER * peak))) * GRAIN
    return first, min(last, audio.shape[1]), peak


def joined(spans):
    """Spans in order, those that touch made one."""
    out = []
    for first, last in sorted(spans):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return out
