"""Everything that is neither voice, drum nor bass: comping, strums, pads, arpeggios, leads, riffs.

A part is a few layers, each one instrument in one manner, placed and coloured on its own.
"""

import numpy as np

from models.library import SAMPLERATE
from models.render import desk, instruments, synth
from models.render.audio import (
    add,
    convolve,
    fade_in,
    fade_out,
    fit,
    gain,
    pan,
    pick,
    power,
    repitch,
    stereo,
)
from models.render.grammar import nearest, voicing
from models.render.melody import tune
from models.render.score import DEAF
from models.render.taste import FIRST

# Sixteenths of a bar where chords fall; - holds.
COMPS = (
    "x---------------", "x-------x-------", "x---x---x---x---", "x-x-x-x-x-x-x-x-",
    "..x...x...x...x.", "x--x--x---x--x--", "x-----x---x-----", "....x-......x-..",
    "..x-....x-..x-..", "x..x..x.x..x..x.", ".xx..xx..xx..xx.", "x-xxx-xxx-xxx-xx",
)  # fmt: skip
STRUMS = (
    "x---x-x---x-x-x-", "x-x-x-xxx-x-x-xx", "x---x---x---x---", "x-xxx-xxx-xxx-xx",
    "x-------x-x-x---", "xxxxxxxxxxxxxxxx", "x--x--x--x--x-x-",
)  # fmt: skip
CHUGS = (
    "x-x-x-x-x-x-x-x-", "xxxxxxxxxxxxxxxx", "x---------------", "x-------x-------",
    "x--x--x-x--x--x-", "x-xxx-xxx-xxx-xx", "x.x.xx.x.xx.x.x.",
)  # fmt: skip
MANNERS = {
    "rock": ("power", "power", "crunch", "strum", "lead", "organ", "comp"),
    "metal": ("power", "power", "power", "lead", "pad"),
    "pop": ("comp", "strum", "pad", "arpeggio", "lead", "stab", "strings"),
    "funk": ("scratch", "comp", "stab", "brass", "lead", "organ"),
    "hiphop": ("comp", "riff", "pad", "lead", "texture", "strings"),
    "trap": ("riff", "arpeggio", "pad", "lead", "texture"),
    "house": ("stab", "comp", "pad", "organ", "arpeggio", "riff"),
    "techno": ("stab", "arpeggio", "texture", "riff", "pad"),
    "trance": ("arpeggio", "supersaw", "pad", "lead", "stab"),
    "dnb": ("pad", "stab", "riff", "texture", "arpeggio"),
    "jazz": ("comp", "comp", "lead", "lead", "brass", "strum"),
    "latin": ("comp", "strum", "brass", "lead", "arpeggio"),
    "reggae": ("skank", "skank", "organ", "lead", "brass"),
    "ballad": ("comp", "arpeggio", "strings", "strum", "pad", "lead"),
    "folk": ("strum", "strum", "arpeggio", "lead", "strings"),
    "blues": ("crunch", "comp", "organ", "lead", "strum"),
    "ambient": ("pad", "texture", "strings", "arpeggio", "lead"),
}
GUITARS = ("guitar",)
KEYS = ("piano", "grand", "pianet", "wurlitzer", "rhodes", "harp", "marimba", "kalimba", "box")
LONG = ("string", "violin", "cello", "bagpipe", "sax", "oboe", "clarinet", "flute", "bassoon")


class Harmonist:
    """Plays the rest of the band from one library."""

    def __init__(self, library, taste=FIRST):
        self.library, self.taste = library, taste
        other = [e for e in library.entries if e["stem"] == "other"]
        self.groups = instruments.groups_of(other)
        self.textures = [e for e in other if e["kind"] == "one-shot" and e["pitch"] is None]
        self.loops = [e for e in other if e["kind"] in ("loop", "phrase")]

    def play(self, rng, plan, n, acoustic, told=DEAF):
        """A part of one to four layers, (2, n)."""
        n_layers = int(rng.choice((1, 2, 3, 4), p=(0.3, 0.35, 0.25, 0.1)))
        manners = MANNERS[plan.style if rng.random() < 0.85 else pick(rng, sorted(MANNERS))]
        out = np.zeros((2, n), np.float32)
        for i in range(n_layers):
            active = plan.active(rng, *((0.1, 0.9) if i else (0.6, 1.2)), lead=i == 0)
            if i and not active.any():
                continue
            manner = pick(rng, manners)
            played = told.layer()
            layer = self.layer(rng, manner, plan, n, acoustic, active, played)
            if layer is None:
                continue
            level = np.sqrt(power(layer)) + 1e-6
            if level < 1e-4:
                continue
            layer *= gain(rng.uniform(-9, 0) if i else 0.0) / np.float32(level)
            out += desk.channel(rng, "other", layer, plan, played, self.taste)
            told.join(played)
        return out

    def layer(self, rng, manner, plan, n, acoustic, active, told=DEAF):
        """One instrument in one manner, (2, n), not yet levelled; None when the pack lacks it."""
        if manner in ("power", "crunch"):
            return self._driven(rng, manner, plan, n, active, told)
        if manner in ("strum", "skank", "scratch"):
            return self._strummed(rng, manner, plan, n, active, told)
        if manner == "texture":
            return self._texture(rng, plan, n, active, told)
        if manner == "pad":
            voice = self._long(rng, acoustic)
            return self._chords(rng, voice, plan, n, active, "x" + 15 * "-", told)
        if manner == "strings":
            voice = self._sampled(rng, LONG) or instruments.patch(rng, "pad")
            return self._chords(rng, voice, plan, n, active, pick(rng, COMPS[:3]), told)
        if manner == "supersaw":
            line = pick(rng, COMPS[:10])
            voice = instruments.patch(rng, "pad")
            return self._chords(rng, voice, plan, n, active, line, told)
        if manner == "organ":
            voice = instruments.patch(rng, "keys", wave=synth.ORGAN)
            return self._chords(rng, voice, plan, n, active, pick(rng, COMPS), told)
        if manner in ("stab", "brass"):
            voice = instruments.patch(rng, "stab")
            if manner == "brass":
                voice = self._sampled(rng, ("sax", "tuba", "brass", "bassoon")) or voice
            line = pick(rng, COMPS[2:])
            return self._chords(rng, voice, plan, n, active, line, told, short=True)
        if manner == "comp":
            voice = self._keys(rng, acoustic)
            return self._chords(rng, voice, plan, n, active, pick(rng, COMPS), told)
        if manner == "arpeggio":
            return self._arpeggio(rng, plan, n, active, acoustic, told)
        return self._tune(rng, manner, plan, n, active, acoustic, told)

    # ---- instruments

    def _sampled(self, rng, words):
        fitting = [g for g in self.groups if any(w in g[0]["instrument"].lower() for w in words)]
        return instruments.sampler(rng, self.library, pick(rng, fitting)) if fitting else None

    def _any(self, rng):
        if not self.groups:
            return instruments.strings(rng, "guitar")
        return instruments.sampler(rng, self.library, pick(rng, self.groups))

    def _keys(self, rng, acoustic):
        if rng.random() < (0.75 if acoustic else 0.4):
            return self._sampled(rng, KEYS) or self._any(rng)
        return self._any(rng) if rng.random() < 0.3 else instruments.patch(rng, "keys")

    def _long(self, rng, acoustic):
        if rng.random() < (0.5 if acoustic else 0.2):
            return self._sampled(rng, LONG) or self._any(rng)
        return instruments.patch(rng, "pad")

    def _guitar(self, rng, role="guitar"):
        if rng.random() < 0.5:
            return self._sampled(rng, GUITARS) or instruments.strings(rng, role, 38, 86)
        return instruments.strings(rng, role, 38, 86)

    # ---- manners

    def _chords(self, rng, voice, plan, n, active, line, told=DEAF, short=False):
        """Chords in the rhythm of a line, hands a little apart."""
        out = np.zeros((2, n), np.float32)
        centre = float(np.clip(rng.normal(60, 6), voice.low + 4, voice.high - 4))
        n_notes = int(rng.choice((2, 3, 3, 4, 5)))
        roll, loose = rng.uniform(0, 0.02), rng.uniform(0, 0.008)
        octave = rng.random() < 0.15
        short = short or rng.random() < 0.2
        for beat, length in _events(line, plan, active):
            chord = plan.chord_at(beat)
            stop = min(length, chord.beat + chord.length - beat + 0.01) if not short else 0.2
            pitches = voicing(chord, centre, n_notes)
            if octave:
                pitches.append(pitches[0] - 12)
            at = plan.at(beat) + int(rng.normal(0, loose) * SAMPLERATE)
            last = max(1500, plan.at(beat + stop) - plan.at(beat))
            velocity = float(np.clip(rng.normal(0.75, 0.12), 0.2, 1))
            for k, pitch in enumerate(pitches):
                audio = voice.play(pitch, last, velocity)
                add(out, at + int(k * roll * SAMPLERATE), stereo(audio))
                told.note(at + int(k * roll * SAMPLERATE), audio, voice.heard.pitches, velocity)
            # A chord that outlasts its line's hold is struck anew with the harmony.
            if length > stop + 0.5 and not short:
                second = plan.chord_at(beat + stop)
                last = max(1500, plan.at(beat + length) - plan.at(beat + stop))
                for pitch in voicing(second, centre, n_notes):
                    audio = voice.play(pitch, last, velocity)
                    add(out, plan.at(beat + stop), stereo(audio))
                    told.note(plan.at(beat + stop), audio, voice.heard.pitches, velocity)
        return out

    def _arpeggio(self, rng, plan, n, active, acoustic, told=DEAF):
        voice = pick(
            rng,
            (
                lambda: instruments.patch(rng, "pluck"),
                lambda: self._keys(rng, acoustic),
                lambda: self._guitar(rng),
                lambda: instruments.strings(rng, "harp", 40, 90),
                lambda: self._any(rng),
            ),
        )()
        out = np.zeros((2, n), np.float32)
        centre = float(np.clip(rng.normal(66, 7), voice.low + 4, voice.high - 4))
        each = float(rng.choice((0.25, 0.25, 0.5, 1 / 3)))  # beats a note
        order = pick(rng, ("up", "down", "both", "any"))
        ring = rng.choice((0.8, 1.0, 2.0, 4.0))
        octaves = int(rng.choice((1, 2)))
        mask = rng.random(16) < rng.choice((1.0, 1.0, 0.75))
        for i in range(int(plan.bars * plan.meter / each)):
            beat = i * each
            if not active[min(plan.bars - 1, int(beat // plan.meter))] or not mask[i % 16]:
                continue
            tones = voicing(plan.chord_at(beat), centre)
            tones = [p + 12 * k for k in range(octaves) for p in tones]
            if order == "down":
                tones = tones[::-1]
            elif order == "both":
                tones = tones + tones[-2:0:-1]
            pitch = pick(rng, tones) if order == "any" else tones[i % len(tones)]
            last = max(1200, int(each * ring * plan.beat_length))
            velocity = float(np.clip(rng.normal(0.75, 0.1), 0.2, 1))
            audio = voice.play(pitch, last, velocity)
            add(out, plan.at(beat), stereo(audio))
            told.note(plan.at(beat), audio, voice.heard.pitches, velocity)
        return out

    def _tune(self, rng, manner, plan, n, active, acoustic, told=DEAF):
        """A lead or a riff of one voice, now and then in octaves or thirds."""
        if manner == "riff" and rng.random() < 0.5:
            voice = instruments.patch(rng, pick(rng, ("pluck", "stab", "lead")))
        elif rng.random() < (0.75 if acoustic else 0.4):
            voice = self._any(rng)
        else:
            voice = instruments.patch(rng, "lead")
        out = np.zeros((2, n), np.float32)
        taste, middle = self.taste, 70
        if manner == "riff" and taste.low_lines and rng.random() < taste.low_lines:
            middle = 46
        centre = float(np.clip(rng.normal(middle, 7), voice.low + 5, voice.high - 5))
        slides = voice.name.startswith("synth") and taste.glides and rng.random() < taste.glides
        previous = {}  # of each voice
        legato = rng.choice((0.5, 0.9, 1.1))
        second = int(rng.choice((0, 0, 0, 12, -12, 7)))
        for note in tune(rng, plan, centre, active, voice.low, voice.high):
            at, until = plan.at(note.beat), plan.at(note.beat + note.length * legato)
            last = max(1500, until - at)
            voices = [(note.pitch, note.velocity)]
            if second:
                voices.append((note.pitch + second, note.velocity * 0.7))
            for k, (pitch, velocity) in enumerate(voices):
                extra = {"glide_from": previous[k]} if slides and k in previous else {}
                audio = voice.play(pitch, last, velocity, **extra)
                previous[k] = pitch
                add(out, at, stereo(audio))
                settles_s = voice.heard.settles_s if extra else 0.0
                told.note(at, audio, voice.heard.pitches, velocity, settles_s)
        if rng.random() < 0.25:
            out = self._amplified(rng, out.mean(0, keepdims=True), rng.uniform(2, 30))
        return stereo(out)

    def _strummed(self, rng, manner, plan, n, active, told=DEAF):
        """A clean or acoustic guitar; one player, or two left and right."""
        line = {
            "strum": lambda: pick(rng, STRUMS),
            "skank": lambda: pick(rng, ("....x-......x-..", "..x...x...x...x.")),
            "scratch": lambda: pick(rng, COMPS[8:]),
        }[manner]()
        dry = manner != "strum" or rng.random() < 0.2
        players = 2 if rng.random() < 0.35 else 1
        out = np.zeros((2, n), np.float32)
        voice = self._guitar(
            rng, "mute" if manner == "scratch" and rng.random() < 0.5 else "guitar"
        )
        for player in range(players):
            track = np.zeros((1, n), np.float32)
            self._strum(rng, voice, plan, track, active, line, dry, told)
            place = rng.uniform(-0.5, 0.5) if players == 1 else (0.9, -0.9)[player]
            out += track * pan(place)
        return out

    @staticmethod
    def _strum(rng, voice, plan, out, active, line, dry, told=DEAF):
        for k, (beat, length) in enumerate(_events(line, plan, active)):
            chord = plan.chord_at(beat)
            low = nearest(chord.root, 45)
            shape = (0, chord.tones[2] if len(chord.tones) > 2 else 7, 12, 12 + chord.tones[1])
            pitches = [low + tone for tone in (*shape, 19)]
            if dry:
                pitches = [p + 12 for p in pitches[:4]]
            if k % 2 or line[int(beat * 4) % 16] == "o":
                pitches = pitches[::-1][: int(rng.integers(2, 5))]
            apart = rng.uniform(0.004, 0.022)
            hold = 0.18 if dry else length
            last = max(1500, plan.at(beat + hold) - plan.at(beat))
            velocity = float(np.clip(rng.normal(0.7, 0.15), 0.15, 1))
            at = plan.at(beat) + int(rng.normal(0, 0.006) * SAMPLERATE)
            for i, pitch in enumerate(pitches):
                audio = voice.play(pitch, last, velocity * rng.uniform(0.7, 1))
                add(out, at + int(i * apart * SAMPLERATE), audio.mean(0, keepdims=True))
                told.note(at + int(i * apart * SAMPLERATE), audio, voice.heard.pitches, velocity)

    def _driven(self, rng, manner, plan, n, active, told=DEAF):
        """Distorted guitars, played twice and panned apart."""
        line = pick(rng, CHUGS)
        drive = rng.uniform(15, 120) if manner == "power" else rng.uniform(3, 15)
        takes = 2 if rng.random() < 0.75 else 1
        out = np.zeros((2, n), np.float32)
        cabinet = _cabinet(rng)
        muted = rng.random() < 0.35
        for take in range(takes):
            voice = self._guitar(rng, "mute" if muted else "guitar")
            track = np.zeros((1, n), np.float32)
            for beat, length in _events(line, plan, active):
                chord = plan.chord_at(beat)
                low = nearest(chord.root, 43)
                tones = (0, 7, 12) if manner == "power" else (0, 7, 12, 12 + chord.tones[1])
                last = max(1500, plan.at(beat + length) - plan.at(beat))
                at = plan.at(beat) + int(rng.normal(0, 0.005) * SAMPLERATE)
                for tone in tones:
                    velocity = float(rng.uniform(0.6, 1))
                    audio = voice.play(low + tone, last, velocity)
                    add(track, at, audio.mean(0, keepdims=True))
                    told.note(at, audio, voice.heard.pitches, velocity)
            track = self._amplified(rng, track, drive, cabinet)
            place = rng.uniform(-0.3, 0.3) if takes == 1 else (1, -1)[take] * rng.uniform(0.6, 1)
            out += track * pan(place)
        return out

    @staticmethod
    def _amplified(rng, audio, drive, cabinet=None):
        """A guitar amplifier: the sum is bent as a whole, then a loudspeaker rounds it."""
        audio = audio / (np.sqrt(power(audio)) * 4 + 1e-6)
        bias = rng.uniform(0, 0.2)
        bent = np.tanh(audio * np.float32(drive) + np.float32(bias)) - np.float32(np.tanh(bias))
        return convolve(bent, _cabinet(rng) if cabinet is None else cabinet)

    def _texture(self, rng, plan, n, active, told=DEAF):
        """Recorded drones, noises and loops, wherever they fall."""
        pool = self.textures + self.loops
        if not pool:
            return None
        told.unknown("onsets")
        told.unknown("pitch")
        out = np.zeros((2, n), np.float32)
        at = -int(rng.integers(2 * SAMPLERATE))
        while at < n:
            entry = pick(rng, pool)
            audio = self.library.read(entry, 0, 12 * SAMPLERATE)
            audio = stereo(repitch(audio, 2 ** (rng.uniform(-5, 5) / 12))).copy()
            fade_out(fade_in(audio, 200), 3000)
            add(out, at, audio / (np.abs(audio).max() + 1e-6))
            at += int(rng.uniform(0.7, 1.6) * audio.shape[1]) + 2000
        beats = np.repeat(active, int(plan.meter * plan.beat_length))
        mask = beats[int(plan.start * plan.beat_length) :][:n].astype(np.float32)
        return out * fit(mask[None], n)


def _events(line, plan, active):
    """(beat, length in beats) of every x of a line, bar after bar."""
    steps = plan.meter * 4
    line = line[:steps]
    for bar in range(plan.bars):
        if not active[bar]:
            continue
        i = 0
        while i < steps:
            if line[i] in "-.":
                i += 1
                continue
            end = i + 1
            while end < steps and line[end] == "-":
                end += 1
            yield bar * plan.meter + i / 4, (end - i) / 4
            i = end


def _cabinet(rng):
    """Impulse response of a guitar loudspeaker: a band with bumps, (1, m)."""
    impulse = np.zeros((1, 1024), np.float32)
    impulse[0, 0] = 1
    return desk.cabinet(rng, impulse)
