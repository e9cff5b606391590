"""What a band agrees on before it plays: style, tempo, swing, key, chords, form.

A `Plan` covers a whole take and a bar around it. Time is counted in beats from the first bar line;
`at` turns beats into samples and is the only place that knows tempo and swing.
"""

from dataclasses import dataclass

import numpy as np

from models.library import SAMPLERATE
from models.render.audio import pick

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
MIXOLYDIAN = (0, 2, 4, 5, 7, 9, 10)
PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)
HARMONIC = (0, 2, 3, 5, 7, 8, 11)

NUMERALS = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}

# Roman numerals over a major scale, flats written out; small letters are minor chords.
PROGRESSIONS = {
    "major": (
        "I V vi IV",
        "I vi IV V",
        "vi IV I V",
        "I IV vi V",
        "I IV I V",
        "I iii IV iv",
        "IV V iii vi",
        "I V IV IV",
        "I I IV V",
        "I bVII IV I",
        "ii V I I",
        "iii vi ii V",
        "I vi ii V",
        "I I7 IV iv I V I V",
        "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
        "I IV",
        "I",
        "IV I V vi",
    ),
    "minor": (
        "i bVI bIII bVII",
        "i bVII bVI V",
        "i iv v i",
        "i bVI iv V",
        "i bVII i bVII",
        "i i bVI bVII",
        "i iv",
        "i",
        "i bII",
        "i bIII bVII iv",
        "i v bVI bVII",
        "bVI bVII i i",
        "iv bVII bIII bVI",
        "i IV",
        "i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7",
        "iio V i i",
    ),
}


@dataclass(frozen=True)
class Style:
    """Ranges of one manner of playing; probabilities where nothing else is said."""

    bpm: tuple[float, float]
    swing: tuple[float, float] = (0.0, 0.0)  # share of half a pair that the offbeat comes late
    unit: float = 0.25  # beats between swung neighbours
    minor: float = 0.5
    sevenths: float = 0.15
    triple: float = 0.0
    acoustic: float = 0.5  # of drum kit and bass
    weight: float = 1.0


STYLES = {
    "rock": Style((90, 170), minor=0.45, sevenths=0.05, acoustic=0.95, weight=1.6),
    "metal": Style((90, 200), minor=0.9, sevenths=0.0, acoustic=0.9, weight=0.6),
    "pop": Style((80, 130), minor=0.4, acoustic=0.5, weight=1.6),
    "funk": Style((88, 120), (0.0, 0.15), minor=0.6, sevenths=0.7, acoustic=0.85),
    "hiphop": Style((72, 102), (0.0, 0.3), minor=0.7, sevenths=0.3, acoustic=0.3, weight=1.1),
    "trap": Style((120, 160), minor=0.9, sevenths=0.1, acoustic=0.0),
    "house": Style((116, 130), (0.0, 0.15), minor=0.7, sevenths=0.35, acoustic=0.05, weight=1.2),
    "techno": Style((124, 145), minor=0.9, sevenths=0.1, acoustic=0.0, weight=0.8),
    "trance": Style((128, 142), minor=0.85, sevenths=0.05, acoustic=0.0, weight=0.6),
    "dnb": Style((160, 180), (0.0, 0.1), minor=0.8, sevenths=0.2, acoustic=0.25, weight=0.8),
    "jazz": Style((80, 210), (0.2, 0.36), 0.5, 0.45, 0.9, 0.15, 0.97, weight=0.8),
    "latin": Style((90, 130), minor=0.6, sevenths=0.4, acoustic=0.85, weight=0.8),
    "reggae": Style((66, 92), (0.0, 0.25), minor=0.5, acoustic=0.8, weight=0.6),
    "ballad": Style((56, 84), minor=0.4, sevenths=0.2, triple=0.2, acoustic=0.7),
    "folk": Style((70, 130), minor=0.35, triple=0.3, acoustic=0.98, weight=0.8),
    "blues": Style((60, 125), (0.25, 0.34), 0.5, 0.2, 0.6, 0.1, 0.95, weight=0.7),
    "ambient": Style((60, 110), minor=0.5, sevenths=0.4, acoustic=0.3, weight=0.5),
}


@dataclass(frozen=True)
class Chord:
    beat: float
    length: float  # beats
    root: int  # pitch class
    tones: tuple[int, ...]  # intervals above the root
    scale: tuple[int, ...]  # pitch classes that fit


@dataclass(frozen=True)
class Section:
    first: int  # bar
    bars: int
    energy: float  # 0 … 1


@dataclass(frozen=True)
class Plan:
    """The agreement; see the module's docstring."""

    style: str
    bpm: float
    meter: int  # beats of a bar
    swing: float
    unit: float
    root: int
    minor: bool
    start: float  # beat at sample 0
    bars: int
    chords: tuple[Chord, ...]
    sections: tuple[Section, ...]
    sure: frozenset[int] = frozenset()  # first bars of the sections where this part must play

    def at(self, beat):
        """Sample of a beat, swung."""
        if self.swing:
            pair = 2 * self.unit
            whole, phase = divmod(beat / pair, 1.0)
            late = 0.5 + self.swing / 2
            phase = phase * late / 0.5 if phase < 0.5 else late + (phase - 0.5) * (1 - late) / 0.5
            beat = (whole + phase) * pair
        return int((beat - self.start) * 60 / self.bpm * SAMPLERATE)

    @property
    def beat_length(self):
        """Samples of a beat."""
        return 60 / self.bpm * SAMPLERATE

    def chord_at(self, beat):
        for chord in reversed(self.chords):
            if chord.beat <= beat + 1e-6:
                return chord
        return self.chords[0]

    def active(self, rng, calm, full, lead=False):
        """(bars,): does a layer play?  One draw a section, its chance between `calm` and `full`.

        A `lead` layer also plays wherever its part must, so that no section is empty.
        """
        playing = np.zeros(self.bars, bool)
        for section in self.sections:
            chance = calm + (full - calm) * section.energy
            playing[section.first : section.first + section.bars] = rng.random() < chance or (
                lead and section.first in self.sure
            )
        return playing


def draw_plan(rng, n, style=None, bpm=None, root=None, minor=None):
    """A plan for n samples; what is given is kept, the rest is drawn."""
    if style is None:
        names = list(STYLES)
        weights = np.array([STYLES[name].weight for name in names])
        style = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    manner = STYLES[style]
    bpm = float(rng.uniform(*manner.bpm)) if bpm is None else bpm
    meter = 3 if rng.random() < manner.triple else 4
    minor = bool(rng.random() < manner.minor) if minor is None else minor
    root = int(rng.integers(12)) if root is None else root
    start = float(rng.uniform(0, meter)) + meter  # a bar of lead-in lets notes ring into the take
    bars = int(np.ceil((start + n / SAMPLERATE / 60 * bpm) / meter)) + 1
    scale = _scale(rng, style, minor)
    return Plan(
        style=style,
        bpm=bpm,
        meter=meter,
        swing=float(rng.uniform(*manner.swing)),
        unit=manner.unit,
        root=root,
        minor=minor,
        start=start,
        bars=bars,
        chords=tuple(_chords(rng, manner, root, minor, scale, bars, meter)),
        sections=tuple(_sections(rng, bars)),
    )


def _scale(rng, style, minor):
    if minor:
        return pick(rng, (MINOR, MINOR, MINOR, DORIAN, HARMONIC, PHRYGIAN))
    return MIXOLYDIAN if style in ("blues", "funk") and rng.random() < 0.5 else MAJOR


def _sections(rng, bars):
    """Bars of four or eight under one energy; the take may begin anywhere inside one."""
    first = -int(rng.integers(8))
    while first < bars:
        length = int(rng.choice((4, 4, 8, 8, 8, 16)))
        begin, end = max(0, first), min(bars, first + length)
        energy = float(rng.choice((0.2, 0.6, 0.9, 1.0, 1.0)))
        if end > begin:
            yield Section(begin, end - begin, energy)
        first += length


def _chords(rng, manner, root, minor, scale, bars, meter):
    tokens = pick(rng, PROGRESSIONS["minor" if minor else "major"]).split()
    length = meter * float(rng.choice((0.5, 1, 1, 1, 2))) if len(tokens) > 1 else meter * 2.0
    sevenths = rng.random() < manner.sevenths
    colour = rng.random()
    offset = int(rng.integers(len(tokens)))
    pitches = tuple((root + degree) % 12 for degree in scale)
    for i in range(int(np.ceil(bars * meter / length))):
        degree, tones = _numeral(tokens[(i + offset) % len(tokens)])
        if sevenths and len(tones) == 3:
            tones = (*tones, 11 if tones[1] == 4 and degree in (0, 5) else 10)
            if colour < 0.3:
                tones = (*tones, 14)
        elif colour > 0.92 and tones[:3] in ((0, 4, 7), (0, 3, 7)):
            tones = (0, 2, 7) if colour < 0.96 else (0, 5, 7)
        chord_root = (root + degree) % 12
        yield Chord(i * length, length, chord_root, tones, pitches)


def _numeral(token):
    """(semitones above the key, intervals) of "bVII7" and friends."""
    flat = token.startswith("b")
    body = token.lstrip("b")
    seventh, diminished = body.endswith("7"), body.endswith("o")
    name = body.rstrip("7o")
    degree = (NUMERALS[name.upper()] - flat) % 12
    tones = (0, 4, 7) if name.isupper() else (0, 3, 6 if diminished else 7)
    return degree, (*tones, 10) if seventh else tones


def nearest(pitch_class, centre):
    """The MIDI pitch of a pitch class that lies closest to `centre`."""
    return round((centre - pitch_class) / 12) * 12 + pitch_class


def ladder(chord, low, high):
    """MIDI pitches of the chord's scale between low and high."""
    return [p for p in range(int(low), int(high) + 1) if p % 12 in chord.scale]


def voicing(chord, centre, n_notes=None):
    """The chord's tones around `centre`, each where it is closest: smooth voice leading."""
    tones = chord.tones if n_notes is None else chord.tones[:n_notes]
    return sorted(nearest((chord.root + tone) % 12, centre) for tone in tones)
