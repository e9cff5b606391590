"""Bass lines that follow the chords: held, walking, octaves, syncopated, slides, 808s, plucks."""

import numpy as np

from models.library import SAMPLERATE
from models.render import instruments
from models.render.audio import add, fade_out, log_uniform, pick, repitch, stereo
from models.render.grammar import nearest
from models.render.score import DEAF

# Sixteenths of a bar: digits are notes (0 root, 5 fifth, 8 octave, 3 third, 7 seventh, w a step of
# a walk), - holds, . rests.
LINES = {
    "held": ("0---------------", "0-------0-------", "0-------5-------", "0---------------"),
    "eighths": ("0-0-0-0-0-0-0-0-", "0-0-0-0-5-5-8-8-", "0-0-0-0-0-0-7-0-", "0.0.0.0.0.0.0.0."),
    "sixteenths": ("0000000000000000", "0.000.000.000.00", "..00..00..00..00", ".000.000.000.000"),
    "offbeat": ("..0-..0-..0-..0-", "..0...0...0...8.", "..8-..0-..8-..0-"),
    "octave": ("0-8-0-8-0-8-0-8-", "0.8.0.8.0.8.5.8.", "..8...8...8...8."),
    "walk": ("w---w---w---w---", "w---w---w--ww---", "w---w-w-w---w---"),
    "syncopated": ("0--0--0---0-5-8-", "0-.0..0...8.7.0.", "0..0....0.0...5.", "0.....8.0.3.5...",
                   "0--0--5-----8---", "0...0..0..0.5.8."),
    "sparse": ("0---------......", "0-....0-........", "0-----..........", "......0---------"),
    "two": ("0-------5-------", "0---....5---....", "0------.5-----8-"),
    "dub": ("0-..0-..3-5-....", "....0-0-..0-5-..", "0--0--0-....7-8-"),
    "gallop": ("0-000-000-000-00", "0.000.000.0005.8"),
}  # fmt: skip
HABITS = {
    "rock": ("eighths", "eighths", "held", "syncopated"),
    "metal": ("gallop", "eighths", "sixteenths", "held"),
    "pop": ("eighths", "syncopated", "held", "octave", "sparse"),
    "funk": ("syncopated", "syncopated", "octave", "sixteenths"),
    "hiphop": ("syncopated", "sparse", "held"),
    "trap": ("sparse", "held", "syncopated"),
    "house": ("offbeat", "octave", "syncopated", "sixteenths"),
    "techno": ("offbeat", "sixteenths", "gallop", "held"),
    "trance": ("offbeat", "sixteenths", "gallop"),
    "dnb": ("held", "syncopated", "sparse"),
    "jazz": ("walk", "walk", "two"),
    "latin": ("syncopated", "two", "sparse"),
    "reggae": ("dub", "dub", "syncopated"),
    "ballad": ("held", "two", "sparse"),
    "folk": ("two", "held", "walk"),
    "blues": ("walk", "eighths", "two"),
    "ambient": ("held", "sparse"),
}
STEP = {"0": 0, "5": 7, "8": 12, "7": 10, "3": None}


class Bassist:
    """Plays a plan on basses of one library."""

    def __init__(self, library):
        self.library = library
        bass = [e for e in library.entries if e["stem"] == "bass"]
        self.groups = instruments.groups_of(bass)
        self.hits = []
        for entry in bass:
            if entry["kind"] == "one-shot" and entry["pitch"] is None:
                pitch = instruments.pitch_of(library.read(entry))
                if pitch is not None and pitch < 64:
                    self.hits.append({**entry, "pitch": pitch})
        self.loops = [e for e in bass if e["kind"] == "loop"]

    def draw(self, rng, plan, acoustic):
        """(instrument, glide): a bass, and whether its notes may slide into each other."""
        draw = rng.random()
        if acoustic and self.groups and draw < 0.75:
            wanted = "upright" if plan.style in ("jazz", "latin") else "electric"
            fitting = [g for g in self.groups if wanted in g[0]["instrument"]]
            group = pick(rng, fitting if fitting and rng.random() < 0.7 else self.groups)
            return instruments.sampler(rng, self.library, group), False
        if acoustic and draw < 0.9:
            return instruments.strings(rng, "bass", 26, 60), False
        if self.hits and draw < 0.12:
            return self._hit(rng, pick(rng, self.hits)), False
        if self.groups and draw < 0.2:
            return instruments.sampler(rng, self.library, pick(rng, self.groups)), False
        if draw < (0.75 if plan.style in ("trap", "hiphop") else 0.32):
            return boom(rng), True
        if draw < 0.55:
            return instruments.patch(rng, "sub", 24, 55), rng.random() < 0.4
        return instruments.patch(rng, "bass", 24, 60), rng.random() < 0.3

    def _hit(self, rng, entry):
        """One recorded hit of known pitch played up and down the keys."""
        heard = instruments.Heard()

        def play(pitch, length, velocity=0.8):
            semitones = pitch - entry["pitch"]
            while semitones > 10:
                semitones -= 12
            while semitones < -10:
                semitones += 12
            ratio = 2 ** (semitones / 12)
            heard.pitches = (entry["pitch"] + semitones,)
            n = max(length, 1500)
            audio = self.library.read(entry, entry["lead"], int(n * ratio) + 8)
            audio = fade_out(repitch(audio, ratio)[:, :n].copy(), 1000)
            return audio * np.float32(0.5 * (0.3 + 0.7 * velocity) / (entry["peak"] + 1e-6))

        return instruments.Instrument(play, 24, 60, entry["folder"], heard)

    def play(self, rng, plan, n, acoustic, told=DEAF):
        """A part, (2, n)."""
        if self.loops and rng.random() < 0.03:
            told.unknown("onsets")
            told.unknown("pitch")
            return self._loop(rng, plan, n)
        voice, glide = self.draw(rng, plan, acoustic)
        habits = HABITS[plan.style if rng.random() < 0.8 else pick(rng, sorted(HABITS))]
        lines = LINES[pick(rng, habits)]
        active = plan.active(rng, 0.5, 1.2, lead=True)
        centre = float(np.clip(rng.choice((31, 33, 36, 40)), voice.low + 3, voice.high - 3))
        legato = rng.choice((0.35, 0.6, 0.9, 1.0, 1.05))
        loose = rng.uniform(0, 0.007) if acoustic else 0.0
        ghost = rng.uniform(0, 0.1) if acoustic else 0.0
        line = pick(rng, lines)
        out = np.zeros((2, n), np.float32)
        previous, steps = None, plan.meter * 4
        for bar in range(plan.bars):
            if rng.random() < 0.15:
                line = pick(rng, lines)
            if not active[bar]:
                continue
            for i, length in _notes(line[:steps]):
                beat = bar * plan.meter + i / 4
                chord = plan.chord_at(beat)
                pitch = self._pitch(rng, line[i], chord, plan, beat, centre, previous)
                until = plan.at(beat + length / 4 * legato)
                at = plan.at(beat) + int(rng.normal(0, loose) * SAMPLERATE)
                velocity = float(np.clip(rng.normal(0.95 if i % 4 == 0 else 0.75, 0.08), 0.2, 1))
                extra = {}
                if glide and previous is not None and rng.random() < 0.35:
                    extra["glide_from"] = previous
                audio = voice.play(pitch, max(800, until - at), velocity, **extra)
                add(out, at, stereo(audio))
                told.note(at, audio, voice.heard.pitches, velocity, voice.heard.settles_s)
                if rng.random() < ghost:
                    dead = voice.play(pitch, 900, 0.25)
                    ghostly = plan.at(beat + 0.25 * max(1, length - 1))
                    add(out, ghostly, stereo(dead))
                    told.note(ghostly, dead, voice.heard.pitches, 0.25, voice.heard.settles_s)
                previous = pitch
        return out

    @staticmethod
    def _pitch(rng, mark, chord, plan, beat, centre, previous):
        root = nearest(chord.root, centre)
        if mark == "3":
            return root + chord.tones[1]
        if mark != "w":
            return root + STEP[mark]
        if abs(beat - chord.beat) < 0.1 or previous is None:
            return root
        ahead = nearest(plan.chord_at(beat + 1).root, previous)
        if plan.chord_at(beat + 1).beat > beat and rng.random() < 0.6:
            return ahead + int(rng.choice((-1, 1, 2)))  # leads into the next chord
        near = [p for p in range(previous - 4, previous + 5) if p % 12 in chord.scale]
        near = [p for p in near if p != previous and abs(p - centre) < 11] or [root]
        return pick(rng, near)

    def _loop(self, rng, plan, n):
        entry = pick(rng, self.loops)
        audio = stereo(repitch(self.library.read(entry), 2 ** (rng.uniform(-3, 3) / 12)))
        out = np.zeros((2, n), np.float32)
        for at in range(-int(rng.integers(audio.shape[1])), n, audio.shape[1]):
            add(out, at, audio)
        return out


def boom(rng):
    """An 808 played as bass: a long falling sine with a beat in front, driven or clean."""
    fall = log_uniform(rng, 0.2, 2.5)
    drop, drop_s = rng.uniform(0.2, 5), log_uniform(rng, 0.006, 0.05)
    drive = log_uniform(rng, 0.6, 10)
    glide_s = log_uniform(rng, 0.02, 0.15)
    heard = instruments.Heard()

    def play(pitch, length, velocity=0.8, glide_from=None):
        total = length + 1500
        t = np.arange(total) / SAMPLERATE
        base = 440 * 2 ** ((pitch - 69) / 12)
        hertz = base * (1 + drop * np.exp(-t / drop_s))
        heard.pitches = (pitch,)
        heard.settles_s = instruments.settling(12 * np.log2(1 + drop), drop_s)
        if glide_from is not None:
            hertz *= (2 ** ((glide_from - pitch) / 12)) ** np.exp(-t / glide_s)
            glide = instruments.settling(glide_from - pitch, glide_s)
            heard.settles_s = max(heard.settles_s, glide)
        body = np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLERATE) * np.exp(-t / fall)
        body = np.tanh(body * drive) / np.tanh(drive)
        body *= np.minimum(1, t / 0.002)
        out = (0.7 * velocity * body).astype(np.float32)[None]
        out[:, length:] *= np.linspace(1, 0, total - length, dtype=np.float32)
        return out

    return instruments.Instrument(play, 22, 50, "808", heard)


def _notes(line):
    """(step, length) of each note of a line."""
    starts = [i for i, mark in enumerate(line) if mark not in "-."]
    for i in starts:
        end = i + 1
        while end < len(line) and line[end] == "-":
            end += 1
        yield i, end - i
