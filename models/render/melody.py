"""Tunes: a motif of two bars, repeated, moved with the chords, varied now and then."""

from dataclasses import dataclass

import numpy as np

from models.render.audio import pick
from models.render.grammar import ladder, nearest


@dataclass(frozen=True)
class Note:
    beat: float
    length: float  # beats
    pitch: int
    velocity: float


RHYTHMS = (  # sixteenths of two bars; digits and letters are lengths, c is 12, g is 16
    "4...4...4...4...8.......8.......",
    "..2.2.2.4...2.2.2.2.4...8.......",
    "6.....2.4...4...6.....2.8.......",
    "2.2.4...2.2.4...2.2.2.2.8.......",
    "3..3..2.3..3..2.8.......8.......",
    "....4...4...4...c...............",
    "8.......6.....2.8.......4...4...",
    "1112.1112.4...4...1112.2.4...4..",
    "2.2.2.2.2.2.2.2.2.2.2.2.2.2.2.2.",
    "......2.4...4.......2.4...4.....",
    "g...............g...............",
    "3..1.2.2.4...4..3..1.2.2.8......",
)


def tune(rng, plan, centre, active, low=0, high=127, dense=1.0):
    """Notes over the whole plan, in and around `centre`."""
    rhythm = pick(rng, RHYTHMS)
    starts = [(i, int(mark, 17)) for i, mark in enumerate(rhythm) if mark != "."]
    contour = np.cumsum(rng.choice((-2, -1, -1, 0, 1, 1, 2), len(starts)))
    notes, rest = [], rng.uniform(0, 0.25)
    for bar in range(0, plan.bars, 2):
        if rng.random() < 0.25:
            contour = np.cumsum(rng.choice((-2, -1, 0, 0, 1, 2, 3), len(starts)))
        for (i, length), degree in zip(starts, contour, strict=True):
            beat = bar * plan.meter + i / 4
            which = int(beat // plan.meter)
            if which >= plan.bars or not active[which] or rng.random() < rest:
                continue
            if i >= plan.meter * 8 or rng.random() > dense:
                continue
            chord = plan.chord_at(beat)
            steps = ladder(chord, max(low, centre - 14), min(high, centre + 14))
            if not steps:
                continue
            home = int(np.abs(np.array(steps) - centre).argmin())
            pitch = steps[int(np.clip(home + degree, 0, len(steps) - 1))]
            if i % 8 == 0 and rng.random() < 0.7:  # strong beats rest on the chord
                tones = [nearest((chord.root + tone) % 12, pitch) for tone in chord.tones]
                pitch = min(tones, key=lambda tone: abs(tone - pitch))
            velocity = float(np.clip(rng.normal(0.85 if i % 4 == 0 else 0.7, 0.1), 0.3, 1))
            notes.append(Note(beat, length / 4, int(np.clip(pitch, low, high)), velocity))
    return notes
