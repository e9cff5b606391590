"""Compose takes of any length: four stems and what belongs to nobody."""

from pathlib import Path

import numpy as np
import scipy.signal
import soxr

from models.library import SAMPLERATE, STEMS
from models.render import synth

MINOR, MAJOR = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11)
# Steps of a bar of sixteenths; a draw takes one of each and then flips a few.
KICKS = (
    "x...x...x...x...",
    "x.......x.......",
    "x..x..x...x.....",
    "x.....x...x..x..",
    "x.........x.....",
)
SNARES = (
    "....x.......x...",
    "........x.......",
    "....x..x.x..x...",
    "............x...",
    "....x.......x..x",
)
HATS = (
    "x.x.x.x.x.x.x.x.",
    "xxxxxxxxxxxxxxxx",
    "..x...x...x...x.",
    "x...x...x...x...",
    "x.xxx.xxx.xxx.xx",
)
DRUM_ROLES = {
    "kick": ("kick", "bd_", "bass drum", "ks_", "k_"),
    "snare": ("snare", "clap", "sn_", "rim", "sc_"),
    "hat": ("hat", "ride", "shaker", "hc_", "ho_", "tamb", "maraca"),
}


class Renderer:
    """Endless aligned multitrack music out of one library.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library):
        self.library = library
        kinds = {}
        for entry in library.entries:
            kinds.setdefault((entry["stem"], entry["kind"]), []).append(entry)
        self.song_stems = {stem: kinds.get((stem, "song-stem"), []) for stem in STEMS}
        self.sections = {}
        for stem in STEMS:
            for entry in self.song_stems[stem]:
                self.sections.setdefault((entry["song"], entry["start_s"]), []).append(entry)
        # A section with one stem is no mix; it still serves as a loose stem.
        self.sections = [
            group for group in self.sections.values() if len({e["stem"] for e in group}) > 1
        ]
        self.loops = {stem: kinds.get((stem, "loop"), []) for stem in STEMS}
        self.phrases = {stem: kinds.get((stem, "phrase"), []) for stem in STEMS}
        self.speech = kinds.get(("vocals", "speech"), [])
        self.shots = {stem: kinds.get((stem, "one-shot"), []) for stem in STEMS}
        self.pitched = {stem: {} for stem in STEMS}
        for stem in STEMS:
            for entry in self.shots[stem]:
                if entry["pitch"] is not None:
                    key = (Path(entry["path"]).parent.name, entry["instrument"])
                    self.pitched[stem].setdefault(key, []).append(entry)
            self.pitched[stem] = [group for group in self.pitched[stem].values() if len(group) > 2]
        self.drums = {role: [] for role in (*DRUM_ROLES, "percussion")}
        for entry in self.shots["drums"]:
            words = (entry["instrument"] + " " + Path(entry["path"]).name).lower()
            hits = [role for role, keys in DRUM_ROLES.items() if any(key in words for key in keys)]
            self.drums[hits[0] if hits else "percussion"].append(entry)

    # ---- a scene

    def take(self, rng, n):
        """One take.

        Parameters
        ----------
        rng : numpy.random.Generator
            The only source of chance: the same state and library give the same take.
        n : int
            Samples at 44100 Hz.

        Returns
        -------
        (5, 2, n) float32
            vocals, drums, bass, other, nobody; the mixture is the sum over the first axis. Absent
            stems are zero. `nobody` is what no stem owns and no target may hold.
        """
        tempo = {
            "bpm": rng.uniform(75, 175),
            "root": int(rng.integers(12)),
            "scale": MINOR if rng.random() < 0.6 else MAJOR,
        }
        stems = np.zeros((4, 2, n), np.float32)
        song = {}
        if self.sections and rng.random() < 0.35:
            song = self._section(rng, n)
        for s, stem in enumerate(STEMS):
            if stem in song:
                audio = song[stem]
            elif song and rng.random() < 0.5:
                continue  # real sections lack stems; half of them are left lacking
            else:
                audio = getattr(self, "_" + stem)(rng, n, tempo)
            stems[s] = self._treat(rng, stem, audio, n, light=stem in song)
        present = [s for s in range(4) if np.abs(stems[s]).max() > 1e-4]
        # Absent stems are what a mask network gets wrong first: they must be common in training.
        if rng.random() < 0.08 and present:
            keep = rng.choice(present)
            stems[[s for s in range(4) if s != keep]] = 0
        else:
            for s in present:
                if rng.random() < 0.12:
                    stems[s] = 0
        if (
            rng.random() < 0.15
        ):  # a room, an amplifier, an open microphone: it belongs to nobody, so to other
            hiss = scipy.signal.lfilter(
                [1.0], [1.0, -rng.uniform(0, 0.95)], rng.standard_normal((2, n))
            )
            stems[3] += (hiss / hiss.std() * 10 ** (rng.uniform(-70, -45) / 20)).astype(np.float32)
        if rng.random() < 0.1:
            stems = np.repeat(stems.mean(1, keepdims=True), 2, axis=1)
        peak = np.abs(stems.sum(0)).max()
        if peak > 0:  # full scale to -30 dB
            stems *= 10 ** (-rng.uniform(0, 30) / 20) / max(peak, 0.1)
        return np.concatenate([stems, np.zeros((1, 2, n), np.float32)])

    def _section(self, rng, n):
        """Stems of one real section, sample-aligned, with the tempo and pitch of one ratio."""
        group = self.sections[rng.integers(len(self.sections))]
        ratio = _ratio(rng)
        length = int(n * ratio) + 8
        start = int(rng.integers(max(1, group[0]["length"] - length)))
        stems = {}
        for entry in group:
            audio = _stereo(_repitch(self.library.read(entry, start, length), ratio))
            audio = np.pad(audio, ((0, 0), (0, max(0, n - audio.shape[1]))))[:, :n]
            stems[entry["stem"]] = stems.get(entry["stem"], 0) + audio
        return stems

    # ---- one method per stem

    def _vocals(self, rng, n, tempo):
        draw = rng.random()
        if draw < 0.25 and self.song_stems["vocals"]:
            return self._excerpt(rng, self.song_stems["vocals"], n)
        if draw < 0.40 and self.speech:
            return self._excerpt(rng, self.speech, n)
        if draw < 0.50 and self.pitched["vocals"]:
            return self._chords(rng, n, tempo, "vocals", 52)
        phrases, shots = self.phrases["vocals"], self.shots["vocals"]
        pool = (phrases if rng.random() < 0.75 else shots) or phrases or shots
        out = self._sparse(rng, pool, n)
        if rng.random() < 0.2:  # a second voice
            out = out + 0.7 * self._sparse(rng, pool, n)
        return out

    def _drums(self, rng, n, tempo):
        draw = rng.random()
        if draw < 0.25 and self.song_stems["drums"]:
            return self._excerpt(rng, self.song_stems["drums"], n)
        if draw < 0.40 and self.loops["drums"]:
            return self._excerpt(rng, self.loops["drums"], n)
        return self._pattern(rng, n, tempo)

    def _bass(self, rng, n, tempo):
        draw = rng.random()
        if draw < 0.20 and self.song_stems["bass"]:
            return self._excerpt(rng, self.song_stems["bass"], n)
        if draw < 0.24 and self.loops["bass"]:
            return self._excerpt(rng, self.loops["bass"], n)
        return self._line(rng, n, tempo)

    def _other(self, rng, n, tempo):
        draw = rng.random()
        if draw < 0.15 and self.song_stems["other"]:
            return self._excerpt(rng, self.song_stems["other"], n)
        if draw < 0.22 and self.loops["other"]:
            return self._excerpt(rng, self.loops["other"], n)
        if draw < 0.32:
            return self._sparse(rng, self.shots["other"], n)
        out = self._chords(rng, n, tempo, "other", 57)
        if rng.random() < 0.4:
            out = out + rng.uniform(0.3, 1.0) * self._chords(rng, n, tempo, "other", 64)
        return out

    # ---- the players

    def _excerpt(self, rng, pool, n):
        """A stretch of one long recording, at up to two semitones off; loops go round."""
        entry = pool[rng.integers(len(pool))]
        ratio = _ratio(rng)
        length = int(n * ratio) + 8
        total = entry["length"]
        start = int(rng.integers(max(1, total - length)))
        audio = self.library.read(entry, start, length)
        if audio.shape[1] < length:
            audio = np.tile(audio, (1, -(-length // audio.shape[1])))[:, :length]
        return _stereo(_repitch(audio, ratio))[:, :n]

    def _sparse(self, rng, pool, n):
        """Phrases or shots one after the other, with breaths between."""
        out = np.zeros((2, n + SAMPLERATE), np.float32)
        position = int(rng.integers(-SAMPLERATE, SAMPLERATE // 2))
        while position < n:
            entry = pool[rng.integers(len(pool))]
            audio = _repitch(self.library.read(entry, 0, 6 * SAMPLERATE), _ratio(rng))
            _add(out, position, _stereo(audio) * rng.uniform(0.5, 1.0))
            position += audio.shape[1] + int(rng.exponential(0.3) * SAMPLERATE)
        return out[:, :n]

    def _pattern(self, rng, n, tempo):
        """A pattern of one-shots on a grid of sixteenths, with velocities and a little swing."""
        step = 60 / tempo["bpm"] / 4 * SAMPLERATE
        phase = rng.uniform(0, 16 * step)
        swing = rng.uniform(0, 0.25) * step if rng.random() < 0.4 else 0.0
        out = np.zeros((2, n), np.float32)
        flips = rng.uniform(0, 0.12)
        for role, templates, level in (
            ("kick", KICKS, 1.0),
            ("snare", SNARES, 0.9),
            ("hat", HATS, 0.45),
            ("percussion", HATS, 0.4),
        ):
            pool = self.drums[role]
            if not pool or rng.random() < (0.55 if role == "percussion" else 0.12):
                continue
            level *= 10 ** (rng.uniform(-8, 4) / 20)
            pattern = np.array([mark == "x" for mark in templates[rng.integers(len(templates))]])
            if role == "percussion":
                pattern &= rng.random(16) < 0.4
            pattern ^= rng.random(16) < flips
            ratio = _ratio(rng, 5)
            shots = []
            synthetic = rng.random() < 0.3
            for _ in range(1 + int(rng.random() < 0.4)):
                if synthetic:
                    shots.append(_stereo(synth.hit(rng, role)))
                else:
                    shot = self.library.read(pool[rng.integers(len(pool))], 0, 2 * SAMPLERATE)
                    shots.append(_stereo(_repitch(shot, ratio)))
            shots = [shot / (np.abs(shot).max() + 1e-6) for shot in shots]
            pan = _pan(rng, 0.0 if role == "kick" else 0.6)
            for i in range(int((n + phase) / step) + 1):
                if pattern[i % 16]:
                    at = int(
                        i * step
                        - phase
                        + (swing if i % 2 else 0)
                        + rng.normal(0, 0.004) * SAMPLERATE
                    )
                    _add(
                        out,
                        at,
                        shots[rng.integers(len(shots))]
                        * pan
                        * np.float32(level * rng.uniform(0.35, 1.0)),
                    )
        return out

    def _line(self, rng, n, tempo):
        """A monophonic bass line: one instrument, one key, notes on eighths or sixteenths."""
        unpitched = [e for e in self.shots["bass"] if e["pitch"] is None]
        draw = rng.random()
        if draw < 0.4:
            play = self._synthesiser(rng, "bass")
        elif unpitched and draw < 0.5:
            play = self._sampler(rng, [unpitched[rng.integers(len(unpitched))]])
        else:
            play = self._sampler(rng, self.pitched["bass"][rng.integers(len(self.pitched["bass"]))])
        grid = 60 / tempo["bpm"] / rng.choice((1, 2, 2, 2, 4)) * SAMPLERATE
        out = np.zeros((2, n + SAMPLERATE), np.float32)
        position, previous = rng.uniform(-2, 0) * grid, 28 + tempo["root"] % 12
        base = 24 + tempo["root"] % 12 + (12 if tempo["root"] < 4 or rng.random() < 0.3 else 0)
        legato = rng.uniform(0.5, 1.05)
        while position < n:
            length = grid * rng.choice((1, 1, 1, 2, 3))
            if rng.random() < 0.85:
                if rng.random() < 0.6:
                    degree = tempo["scale"][rng.choice((0, 0, 0, 4, 4, 2, 3, 6, 5))]
                    previous = base + degree + (12 if rng.random() < 0.15 else 0)
                audio = play(previous, int(length * legato))
                _add(out, int(position), audio * rng.uniform(0.6, 1.0))
            position += length
        return out[:, :n]

    def _chords(self, rng, n, tempo, stem, centre):
        """Chords, arpeggios or a melody of one pitched instrument."""
        if stem == "other" and rng.random() < 0.35:
            play, lowest, highest = self._synthesiser(rng, stem), 40, 90
        else:
            group = self.pitched[stem][rng.integers(len(self.pitched[stem]))]
            play = self._sampler(rng, group)
            lowest, highest = min(e["pitch"] for e in group), max(e["pitch"] for e in group)
        centre = float(np.clip(centre + rng.normal(0, 6), lowest, highest))
        style = rng.choice(("chords", "arpeggio", "melody", "stabs"))
        divide = {
            "chords": (0.25, 0.5, 1),
            "arpeggio": (2, 4, 3),
            "melody": (1, 2),
            "stabs": (1, 2),
        }[style]
        grid = 60 / tempo["bpm"] / rng.choice(divide) * SAMPLERATE
        out = np.zeros((2, n + SAMPLERATE), np.float32)
        position = rng.uniform(-2, 0) * grid
        spread = _pan(rng, 0.7)
        notes = [0, 2, 4]
        ladder = np.array(
            [
                tempo["root"] + degree + 12 * octave
                for octave in range(9)
                for degree in tempo["scale"]
            ]
        )
        home = int(np.abs(ladder - centre).argmin())
        degree = 0
        sustain = rng.uniform(0.4, 1.6)
        while position < n:
            if rng.random() < 0.3:
                degree = int(rng.choice((0, 3, 4, 5, 1, -2)))
            if style in ("chords", "stabs"):
                chosen = [degree + i for i in ([*notes, 6] if rng.random() < 0.3 else notes)]
            else:
                chosen = [degree + int(rng.choice((0, 2, 4, 7, 1, 5)))]
            if rng.random() < 0.85:
                for i in chosen:
                    pitch = int(ladder[int(np.clip(home + i, 0, len(ladder) - 1))])
                    length = int(grid * sustain * (0.4 if style == "stabs" else 1))
                    audio = play(pitch, length) * spread
                    _add(out, int(position), audio * np.float32(rng.uniform(0.5, 1.0)))
            position += grid
        return out[:, :n]

    def _sampler(self, rng, group):
        """play(pitch, length) of a sampled instrument: a near sample, repitched, then released."""
        pitched = group[0]["pitch"] is not None
        pitches = np.array([e["pitch"] or 0 for e in group])
        release = 1500

        def play(pitch, length):
            if pitched:
                # Not always the nearest sample: there are few instruments, and a neighbour
                # stretched by a third is one more.
                far = np.abs(pitches - pitch)
                near = np.flatnonzero(far <= far.min() + (4 if rng.random() < 0.5 else 0))
                entry = group[near[rng.integers(len(near))]]
                semitones = (pitch - entry["pitch"] + 6) % 12 - 6
            else:
                entry, semitones = group[0], (pitch + 5) % 12 - 5
            ratio = 2 ** (semitones / 12)
            length = max(length, 2 * release)
            audio = _repitch(self.library.read(entry, 0, int(length * ratio) + 8), ratio)
            audio = audio[:, :length]
            if audio.shape[1] >= release:
                audio[:, -release:] *= np.linspace(1, 0, release, dtype=np.float32)
            return _stereo(audio)

        return play

    def _synthesiser(self, rng, stem):
        """play(pitch, length) of a patch drawn at random."""
        patch = synth.draw_patch(rng, stem)
        lift = 12 * int(rng.integers(2)) if stem == "bass" else 0

        def play(pitch, length):
            return synth.note(rng, patch, pitch + lift, int(np.clip(length, 3000, 3 * SAMPLERATE)))

        return play

    # ---- what happens to any stem on its way to the desk

    def _treat(self, rng, stem, audio, n, light=False):
        """Colour, drive, place and level one stem; `light` keeps the balance of a real section."""
        audio = np.ascontiguousarray(audio[:, :n], np.float32)
        if audio.shape[1] < n:
            audio = np.pad(audio, ((0, 0), (0, n - audio.shape[1])))
        level = np.sqrt((audio**2).mean())
        if level < 1e-5:
            return np.zeros((2, n), np.float32)
        if not light:
            audio = audio / level
            if rng.random() < 0.15:
                drive = rng.uniform(0.2, 1.0)
                audio = np.tanh(audio * drive) / drive
            wet = {"vocals": 0.4, "drums": 0.15, "bass": 0.05, "other": 0.3}[stem]
            if rng.random() < wet:
                audio = _reverb(rng, audio)
            if stem in ("vocals", "other") and rng.random() < 0.5:
                audio = audio * _pan(rng, 0.8)
        for _ in range(int(rng.integers(3))):
            audio = _tilt(rng, audio)
        if rng.random() < 0.3:
            audio = _resonance(rng, audio)
        if rng.random() < 0.5:
            audio = audio[::-1]
        if rng.random() < 0.5:
            audio = -audio
        if light:
            return audio * np.float32(10 ** (rng.normal(0, 3 if stem != "other" else 6) / 20))
        level_db = {"vocals": -20, "drums": -20, "bass": -20, "other": -22}[stem] + rng.normal(0, 4)
        audio = audio * np.float32(10 ** (level_db / 20) / np.sqrt((audio**2).mean() + 1e-12))
        return audio


def _stereo(audio):
    return np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio


def _ratio(rng, semitones=3):
    """A random speed; 1.5 semitones of it are the difference between 44.1 and 48 kHz."""
    return 2 ** (rng.uniform(-semitones, semitones) / 12)


def _repitch(audio, ratio):
    """Play (c, n) `ratio` times as fast."""
    if abs(ratio - 1) < 1e-3 or audio.shape[1] < 16:
        return audio.copy()
    return soxr.resample(audio.T, 1000.0 * ratio, 1000.0, quality="LQ").T


def _add(out, position, audio):
    """Add (2, m) to (2, n) at `position`, whatever of it falls inside."""
    first, last = max(0, position), min(out.shape[1], position + audio.shape[1])
    if last > first:
        out[:, first:last] += audio[:, first - position : last - position]


def _pan(rng, width):
    """Constant-power gains of a random place, (2, 1)."""
    angle = np.pi / 4 * (1 + rng.uniform(-width, width))
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(np.sqrt(2))


def _tilt(rng, audio):
    """A first-order shelf: +-6 dB between the lows and the highs, hinged at 200 Hz to 4 kHz."""
    gain = 10 ** (rng.uniform(-6, 6) / 20)
    corner = np.exp(rng.uniform(np.log(200), np.log(4000)))
    pole = np.exp(-2 * np.pi * corner / SAMPLERATE)
    low = scipy.signal.lfilter([1 - pole], [1, -pole], audio).astype(np.float32)
    return low + np.float32(gain) * (audio - low)


def _resonance(rng, audio):
    """A bell of +-9 dB somewhere between 100 Hz and 8 kHz: another microphone, another body."""
    gain = 10 ** (rng.uniform(-9, 9) / 40)
    w = 2 * np.pi * np.exp(rng.uniform(np.log(100), np.log(8000))) / SAMPLERATE
    alpha = np.sin(w) / (2 * rng.uniform(0.5, 4))
    b = [1 + alpha * gain, -2 * np.cos(w), 1 - alpha * gain]
    a = [1 + alpha / gain, -2 * np.cos(w), 1 - alpha / gain]
    return scipy.signal.lfilter(b, a, audio).astype(np.float32)


def _reverb(rng, audio):
    """Exponentially decaying noise, two uncorrelated ears, after 0 to 30 ms."""
    seconds = rng.uniform(0.15, 1.2)
    t = np.arange(int(seconds * SAMPLERATE)) / SAMPLERATE
    tail = rng.standard_normal((2, t.size)) * np.exp(-6.9 * t / seconds)
    tail = scipy.signal.lfilter([1.0], [1.0, -rng.uniform(0.2, 0.8)], tail)
    tail /= np.sqrt((tail**2).sum(1, keepdims=True))
    wet = scipy.signal.oaconvolve(audio, tail.astype(np.float32), axes=1)[:, : audio.shape[1]]
    delay = int(rng.uniform(0, 0.03) * SAMPLERATE)
    wet = np.pad(wet, ((0, 0), (delay, 0)))[:, : audio.shape[1]]
    return audio + np.float32(10 ** (rng.uniform(-16, -3) / 20)) * wet.astype(np.float32)
