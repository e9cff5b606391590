"""Vocals: phrases in key and in time, tunes sung by speakers, rap, choirs, harmonies, ad-libs.

The pack has few singers, so every take invents one: a throat (formants), a register, a manner of
tuning. What is natural already stays natural for a good part of the takes.
"""

import numpy as np

from models.library import SAMPLERATE
from models.render import desk, instruments, psola
from models.render.audio import (
    add,
    fade_in,
    fade_out,
    gain,
    pan,
    pick,
    power,
    repitch,
    stereo,
)
from models.render.grammar import ladder, voicing
from models.render.melody import tune
from models.render.psola import STEP
from models.render.score import DEAF
from models.render.taste import FIRST

MANNERS = {  # of the leading voice
    "phrases": 0.36,
    "song": 0.16,
    "sung speech": 0.13,
    "rap": 0.10,
    "speech": 0.05,
    "choir": 0.07,
    "shouts": 0.06,
    "chops": 0.05,
    "wild": 0.02,
}
QUIET = 1e-5  # -50 dB of power: below it, a recorded stretch counts as silence


class Vocalist:
    """Sings and talks over a plan with the voices of one library."""

    def __init__(self, library, taste=FIRST):
        self.library, self.taste = library, taste
        voices = [e for e in library.entries if e["stem"] == "vocals"]
        self.song = [e for e in voices if e["kind"] == "song-stem"]
        self.phrases = [e for e in voices if e["kind"] == "phrase"]
        self.speech = [e for e in voices if e["kind"] == "speech"]
        self.vowels = instruments.groups_of(voices)
        self.shots = [e for e in voices if e["kind"] == "one-shot" and e["pitch"] is None]
        self.banks = {}
        for entry in self.phrases:
            key = (entry["singer"], entry["key"], entry["bpm"])
            self.banks.setdefault(key, []).append(entry)
        self.banks = [bank for _, bank in sorted(self.banks.items(), key=lambda item: str(item[0]))]

    def play(self, rng, plan, n, told=DEAF):
        """A part: a leading voice and what joins it, (2, n)."""
        names = list(MANNERS)
        manner = names[int(rng.choice(len(names), p=list(MANNERS.values())))]
        active = plan.active(rng, 0.5, 1.2, lead=True)
        lead = self._lead(rng, manner, plan, n, active, told)
        if rng.random() < 0.12:
            lead = self._double(rng, lead)
        out = desk.channel(rng, "vocals", lead, plan, told, self.taste)
        level = np.sqrt(power(out)) + 1e-6
        if rng.random() < 0.15 and self.vowels:
            choir = self._choir(rng, plan, n, active)
            choir = desk.channel(rng, "vocals", choir, plan, taste=self.taste)
            out += choir * gain(rng.uniform(-16, -3)) * level / (np.sqrt(power(choir)) + 1e-6)
            _uncharted(told)
        if rng.random() < 0.15 and (self.shots or self.phrases):
            calls = self._shouts(rng, plan, n, plan.active(rng, 0.2, 0.7), sparse=True)
            calls = desk.channel(rng, "vocals", calls, plan, taste=self.taste)
            out += calls * gain(rng.uniform(-14, 0)) * level / (np.sqrt(power(calls)) + 1e-6)
            _uncharted(told)
        return out

    def _lead(self, rng, manner, plan, n, active, told=DEAF):
        """The leading voice; of what is neither sung, rapped nor spoken, the truth is unknown."""
        if manner == "phrases" and self.banks:
            return self._phrases(rng, plan, n, active, told)
        if manner == "sung speech" and (self.speech or self.phrases):
            return self._sung(rng, plan, n, active, told)
        if manner == "rap" and (self.speech or self.shots):
            return self._rap(rng, plan, n, active, told)
        if manner == "speech" and self.speech:
            return self._speech(rng, n, told)
        _uncharted(told)
        if manner == "song" and self.song:
            return self._song(rng, n)
        if manner == "choir" and self.vowels:
            return self._choir(rng, plan, n, active)
        if manner == "chops" and (self.phrases or self.song):
            return self._chops(rng, plan, n, active)
        if manner == "wild" and self.phrases:
            return self._wild(rng, n)
        if self.shots:
            return self._shouts(rng, plan, n, active)
        if self.banks:
            return self._phrases(rng, plan, n, active)
        if self.speech:
            return self._speech(rng, n)
        return self._song(rng, n) if self.song else np.zeros((2, n), np.float32)

    # ---- recorded singing

    def _phrases(self, rng, plan, n, active, told=DEAF):
        """Phrases of one singer, moved into the plan's key and tempo, in an order with returns."""
        bank = pick(rng, self.banks)
        few = [pick(rng, bank) for _ in range(int(rng.integers(2, 7)))]
        formant = throat(rng)
        tight = float(rng.choice((0.0, 0.5, 0.9)))
        voices = [(0, 1.0, 0.0)]
        if rng.random() < 0.3:  # harmonies: steps of the scale, quieter, to the sides
            for step in ((2,), (-3,), (2, 4), (7,), (-7,), (2, -3))[int(rng.integers(6))]:
                voices.append((step, rng.uniform(0.3, 0.8), rng.uniform(-0.8, 0.8)))
        rest = rng.uniform(0, 1.5)  # bars between phrases, on average
        told.unknown("onsets")
        if len(voices) > 1 or any("choir" in entry["instrument"] for entry in few):
            told.unknown("pitch")
        out = np.zeros((2, n), np.float32)
        made, bar, turn = {}, 0, 0
        while bar < plan.bars:
            at = plan.at(bar * plan.meter)
            if not active[bar]:
                bar += 1
                continue
            which = (0, 0, 1, 2, 0, 1, 3, 4)[turn % 8] % len(few)
            turn += 1
            if rng.random() < 0.25:
                which = int(rng.integers(len(few)))
            if which not in made:
                made[which] = self._phrase(rng, few[which], plan, formant, tight, voices, told)
            sung, contour = made[which]
            if self.taste.upbeats and rng.random() < self.taste.upbeats:
                at -= int(plan.beat_length * pick(rng, (0.25, 0.5, 1.0)))
            add(out, at, sung)
            told.contour(at, contour)
            bars = sung.shape[1] / plan.beat_length / plan.meter
            bar += max(1, round(bars + rng.exponential(rest)))
        return out

    def _phrase(self, rng, entry, plan, formant, tight, voices, told=DEAF):
        """One phrase with its harmonies, (2, m), and the contour of its first voice."""
        x = self.library.read(entry, 0, 12 * SAMPLERATE).mean(0)
        shift, speed = 0.0, 1.0
        if entry["key"]:
            shift = transposition(entry["key"], plan)
        if entry["bpm"]:
            speed = plan.bpm / entry["bpm"]
            speed = 2 ** (np.log2(speed) - round(np.log2(speed)))
            speed = speed if 0.75 < speed < 1.35 else 1.0
        natural = rng.random() < self.taste.natural and abs(shift) < 5
        if natural and len(voices) == 1:
            ratio = 2 ** (shift / 12)
            return stereo(repitch(x[None], ratio)), _natural(told, x, ratio)
        voice = psola.analyse(x)
        where = np.arange(int(x.size / speed / STEP)) * STEP * speed
        pitches = resample_track(voice.pitches, where)
        out = np.zeros((2, where.size * STEP), np.float32)
        contour = None
        for step, loud, side in voices:
            target = tuned(pitches + shift, plan, tight)
            if step:
                target = harmony(target, plan, step)
            factor = 2 ** (np.nan_to_num(target - pitches) / 12)
            drift = 0 if not step else int(rng.normal(0, 2))
            other = formant * (1.0 if not step else 2 ** (rng.normal(0, 1) / 12))
            sung = psola.resing(voice, where + drift * STEP, factor, other)
            out += sung * pan(side) * np.float32(loud)
            if contour is None:
                contour = psola.sounding(voice, where, factor)
        return out, contour

    def _song(self, rng, n):
        """A stretch of a real song's voices as it is, or sung by another throat."""
        semitones = rng.uniform(-5, 5)
        ratio = 2 ** (semitones / 12)
        length = int(n * ratio) + 64
        for _ in range(6):
            entry = pick(rng, self.song)
            start = int(rng.integers(max(1, entry["length"] - length)))
            audio = self.library.read(entry, start, length)
            if power(audio) > QUIET:
                break
        else:  # what is left of a silent track is the floor of its codec, not a voice
            return np.zeros((2, n), np.float32)
        # Only one voice at a time can be taken apart.
        if rng.random() < self.taste.natural_song or "backing" in entry["instrument"]:
            return _round(stereo(repitch(audio, ratio)), n)
        voice = psola.analyse(audio.mean(0))
        where = np.arange(audio.shape[1] // STEP) * float(STEP)
        factor = np.full(where.size, ratio)
        return _round(stereo(psola.resing(voice, where, factor, throat(rng))[None]), n)

    def _wild(self, rng, n):
        """Phrases at any moment in any key: not all voices come from this band."""
        out = np.zeros((2, n), np.float32)
        at = int(rng.integers(-SAMPLERATE, SAMPLERATE))
        while at < n:
            audio = self.library.read(pick(rng, self.phrases), 0, 8 * SAMPLERATE)
            audio = stereo(repitch(audio, 2 ** (rng.uniform(-5, 5) / 12)))
            add(out, at, audio)
            at += audio.shape[1] + int(rng.exponential(0.4) * SAMPLERATE)
        return out

    # ---- speech made into music

    def _talk(self, rng, seconds):
        """A stretch of one speaker, (n,), faded in and out."""
        pool = self.speech if self.speech else self.phrases
        entry = pick(rng, pool)
        length = int(seconds * SAMPLERATE)
        start = int(rng.integers(max(1, entry["length"] - length)))
        x = self.library.read(entry, start, length).mean(0, keepdims=True)
        fade_out(fade_in(x, 500), 2000)
        return x[0]

    def _sung(self, rng, plan, n, active, told=DEAF):
        """A speaker sings a tune: each syllable is held on a note, with vibrato and portamento."""
        x = self._talk(rng, 10)
        voice = psola.analyse(x)
        syllables = split(x)
        if len(syllables) < 2:
            _uncharted(told)
            return self._shouts(rng, plan, n, active)
        known = voice.pitches[np.isfinite(voice.pitches)]
        home = float(np.median(known)) if known.size else 57.0
        centre = home + rng.uniform(1, 9)  # singing lies above speaking
        formant = throat(rng)
        notes = tune(rng, plan, centre, active, int(centre - 9), int(centre + 10))
        vibrato, speed = rng.uniform(0, 0.5), rng.uniform(4.5, 6.5)
        scoop = rng.uniform(0, 2)
        out = np.zeros((2, n), np.float32)
        doubles = 2 if rng.random() < 0.15 else 1
        for double in range(doubles):
            k = int(rng.integers(len(syllables)))
            for note in notes:
                first, last = syllables[k % len(syllables)]
                k += 1
                at, until = plan.at(note.beat), plan.at(note.beat + note.length)
                frames = max(8, (until - at) // STEP)
                # The vowel stretches, the consonants before it do not.
                source = last - first
                attack = min(int(0.08 * SAMPLERATE), source // 3)
                where = np.interp(
                    np.arange(frames) * STEP,
                    (0, attack, frames * STEP),
                    (first, first + attack, last - min(source // 6, 2000)),
                )
                t = np.arange(frames) * STEP / SAMPLERATE
                wave = vibrato * np.minimum(1, 2.5 * t) * np.sin(2 * np.pi * speed * t)
                target = note.pitch - scoop * np.exp(-t / 0.04) + wave + rng.normal(0, 0.1)
                factor = 2 ** (np.nan_to_num(target - resample_track(voice.pitches, where)) / 12)
                sung = psola.resing(voice, where, factor, formant)[None]
                fade_out(fade_in(sung, 200), 1500)
                late = int(rng.normal(0, 0.012 * (doubles > 1)) * SAMPLERATE)
                add(out, at + late, stereo(sung) * np.float32(note.velocity))
                if not double:
                    told.note(at + late, sung, (note.pitch,), note.velocity)
                    told.contour(at + late, psola.sounding(voice, where, factor))
        return out

    def _rap(self, rng, plan, n, active, told=DEAF):
        """Syllables on the grid: sixteenths with rests, each sped up or held to its slot."""
        out = np.zeros((2, n), np.float32)
        if not self.speech or (self.shots and rng.random() < 0.25):
            _uncharted(told)
            return self._shouts(rng, plan, n, active)
        x = self._talk(rng, 14)
        voice = psola.analyse(x)
        syllables = split(x)
        formant, shift = throat(rng), rng.uniform(-3, 3)
        rhythm = rng.choice((1, 1, 2, 2, 3), size=16)
        k, flat = 0, rng.uniform(0, 0.9)
        known = voice.pitches[np.isfinite(voice.pitches)]
        home = float(np.median(known)) if known.size else 57.0
        beat, i = 0.0, 0
        while beat < plan.bars * plan.meter and syllables:
            length = rhythm[i % 16] / 4
            bar = min(plan.bars - 1, int(beat // plan.meter))
            i += 1
            if not active[bar] or (i % 16 == 0 and rng.random() < 0.7) or rng.random() < 0.06:
                beat += length
                continue
            first, last = syllables[k % len(syllables)]
            k += 1
            slot = plan.at(beat + length) - plan.at(beat)
            speed = np.clip((last - first) / slot, 0.6, 1.9)
            frames = max(4, int((last - first) / speed / STEP))
            where = first + np.arange(frames) * STEP * speed
            pitches = resample_track(voice.pitches, where)
            target = pitches + shift + flat * (home - pitches)
            factor = 2 ** (np.nan_to_num(target - pitches) / 12)
            spoken = psola.resing(voice, where, factor, formant)[None]
            fade_out(fade_in(spoken, 80), 600)
            loud = 1.0 if (beat % 1) < 0.01 else rng.uniform(0.6, 1)
            add(out, plan.at(beat), stereo(spoken) * np.float32(loud))
            told.note(plan.at(beat), spoken, (), loud)
            told.contour(plan.at(beat), psola.sounding(voice, where, factor))
            beat += length
        return out

    def _speech(self, rng, n, told=DEAF):
        """Talk, at a slightly other pitch; with pauses."""
        out = np.zeros((2, n), np.float32)
        at = int(rng.integers(-SAMPLERATE, SAMPLERATE))
        ratio = 2 ** (rng.uniform(-3, 3) / 12)
        told.unknown("onsets")
        while at < n:
            talk = self._talk(rng, rng.uniform(2, 12))
            x = repitch(talk[None], ratio)
            add(out, at, stereo(x))
            told.contour(at, _natural(told, talk, ratio))
            at += x.shape[1] + int(rng.exponential(1.0) * SAMPLERATE)
        return out

    # ---- vowels, shouts, chops

    def _choir(self, rng, plan, n, active):
        """Chords of sung vowels, several detuned singers a note."""
        if not self.vowels:
            return self._wild(rng, n)
        out = np.zeros((2, n), np.float32)
        section = [pick(rng, self.vowels) for _ in range(int(rng.integers(1, 4)))]
        singers = [instruments.sampler(rng, self.library, group) for group in section]
        n_notes, each = int(rng.choice((1, 2, 3, 4))), int(rng.integers(1, 4))
        centre = float(np.clip(rng.normal(60, 5), 48, 74))
        hold = rng.choice((0.5, 1.0, 1.0))
        for chord in plan.chords:
            bar = min(plan.bars - 1, int(chord.beat // plan.meter))
            if not active[bar]:
                continue
            last = int(plan.at(chord.beat + chord.length * hold) - plan.at(chord.beat))
            for pitch in voicing(chord, centre, n_notes):
                for _ in range(each):
                    audio = pick(rng, singers).play(pitch, last, 0.7)
                    audio = stereo(repitch(audio, 2 ** (rng.normal(0, 0.12) / 12)))
                    late = int(abs(rng.normal(0, 0.025)) * SAMPLERATE)
                    fade_in(audio, 2000)
                    add(out, plan.at(chord.beat) + late, audio * pan(rng.uniform(-0.7, 0.7)))
        return out

    def _shouts(self, rng, plan, n, active, sparse=False):
        """Words and calls on the beat."""
        out = np.zeros((2, n), np.float32)
        pool = self.shots or self.phrases
        folders = sorted({e["folder"] for e in pool})
        home = [e for e in pool if e["folder"] == pick(rng, folders)] or pool
        few = [pick(rng, home) for _ in range(int(rng.integers(1, 6)))]
        ratio, formant = 2 ** (rng.uniform(-4, 4) / 12), throat(rng)
        grid = float(rng.choice((0.5, 1, 2, 4)))
        chance = 0.25 if sparse else rng.uniform(0.4, 0.95)
        changed = rng.random() < 0.5
        free = -SAMPLERATE
        for i in range(int(plan.bars * plan.meter / grid)):
            beat = i * grid
            at = plan.at(beat)
            bar = min(plan.bars - 1, int(beat // plan.meter))
            if not active[bar] or at < free or rng.random() > chance:
                continue
            entry = pick(rng, few)
            audio = self.library.read(entry, entry["lead"], 3 * SAMPLERATE)
            if changed:
                voice = psola.analyse(audio.mean(0))
                where = np.arange(audio.shape[1] // STEP) * float(STEP)
                audio = psola.resing(voice, where, np.full(where.size, ratio), formant)[None]
            else:
                audio = repitch(audio, ratio)
            add(out, at, stereo(audio / (entry["peak"] + 1e-6)) * np.float32(rng.uniform(0.5, 1)))
            free = at + int(0.7 * audio.shape[1])
        return out

    def _chops(self, rng, plan, n, active):
        """A syllable or two as an instrument: cut, pitched onto a tune, gated."""
        entry = pick(rng, self.phrases or self.song)
        x = self.library.read(entry, entry["lead"], 8 * SAMPLERATE).mean(0)
        voice = psola.analyse(x)
        syllables = split(x) or [(0, x.size)]
        pitches = voice.pitches
        out = np.zeros((2, n), np.float32)
        centre = rng.uniform(55, 76)
        few = [pick(rng, syllables) for _ in range(int(rng.integers(1, 4)))]
        fast = rng.random() < 0.5
        for note in tune(rng, plan, centre, active, int(centre) - 12, int(centre) + 12):
            first, last = pick(rng, few)
            inside = pitches[first // STEP : max(first // STEP + 1, last // STEP)]
            inside = inside[np.isfinite(inside)]
            shift = note.pitch - (np.median(inside) if inside.size else note.pitch)
            shift = float(np.clip(shift, -9, 9))
            length = plan.at(note.beat + note.length) - plan.at(note.beat)
            if fast:
                audio = repitch(x[None, first:last], 2 ** (shift / 12))[:, :length]
            else:
                where = np.linspace(first, last, max(4, length // STEP))
                audio = psola.resing(voice, where, np.full(where.size, 2 ** (shift / 12)))[None]
            audio = fade_out(fade_in(audio.copy(), 100), 1000)
            add(out, plan.at(note.beat), stereo(audio) * np.float32(note.velocity))
        return out

    @staticmethod
    def _double(rng, audio):
        """The same once more: a few cents and milliseconds off, to the other side."""
        off = repitch(audio, 2 ** (rng.normal(0, 0.12) / 12))
        late = int(rng.uniform(0.008, 0.03) * SAMPLERATE)
        out = audio * pan(-rng.uniform(0, 0.8))
        add(out, late, off * pan(rng.uniform(0, 0.8)) * np.float32(rng.uniform(0.4, 1)))
        return out


def _uncharted(told):
    """Several voices at once, or words and calls at a pitch of their own."""
    told.unknown("onsets")
    told.unknown("pitch")


def _natural(told, x, ratio):
    """Contour of a voice (n,) played `ratio` times as fast; nobody analyses what nobody hears."""
    if not told.listening:
        return ()
    where = np.arange(int(x.size / ratio / STEP)) * STEP * ratio
    return psola.sounding(psola.analyse(x), where, np.full(where.size, ratio))


def throat(rng):
    """A formant factor: often as recorded, up to four semitones smaller or larger."""
    return 1.0 if rng.random() < 0.3 else float(2 ** (np.clip(rng.normal(0, 2), -4.5, 4.5) / 12))


def transposition(key, plan):
    """Semitones from a recorded key to the plan's, by the relative key where the modes differ."""
    root, mode = key
    if (mode == "minor") != plan.minor:
        root = (root + 3) % 12 if mode == "minor" else (root - 3) % 12
    return float((plan.root - root + 6) % 12 - 6)


def tuned(pitches, plan, tight):
    """Pull a pitch contour onto the plan's scale; tight 0 … 1."""
    if not tight or not np.isfinite(pitches).any():
        return pitches
    steps = np.array(ladder(plan.chords[0], 30, 96))
    nearest = steps[np.abs(pitches[:, None] - steps).argmin(1)]
    return pitches + tight * np.where(np.isfinite(pitches), nearest - pitches, 0)


def harmony(pitches, plan, step):
    """The contour `step` steps of the scale away."""
    steps = np.array(ladder(plan.chords[0], 24, 108))
    place = np.abs(np.nan_to_num(pitches, nan=60.0)[:, None] - steps).argmin(1)
    moved = steps[np.clip(place + step, 0, steps.size - 1)] - steps[place]
    return pitches + moved


def resample_track(track, where):
    """Values of a track (every STEP source samples) at source samples `where`."""
    return track[np.clip((where / STEP).astype(np.int64), 0, track.size - 1)]


def split(x):
    """Syllables of (n,): stretches between onsets, [(first, last), …] in samples."""
    n_frames = x.size // STEP
    if n_frames < 8:
        return []
    energy = np.square(x[: n_frames * STEP]).reshape(n_frames, STEP).mean(1)
    level = 10 * np.log10(np.convolve(energy, np.ones(3) / 3, "same") + 1e-9)
    loud = level > max(level.max() - 32, -70)
    rise = np.diff(level, prepend=level[0])
    rise[1:] += rise[:-1]
    starts, last = [], -20
    for t in range(n_frames):
        if loud[t] and rise[t] > 3.5 and t - last >= 10:
            starts.append(t)
            last = t
    pieces = []
    for first, until in zip(starts, [*starts[1:], n_frames], strict=True):
        quiet = np.flatnonzero(~loud[first + 3 : until])
        end = min(until, first + 3 + int(quiet[0]) if quiet.size else until)
        if 6 <= end - first <= 90:
            pieces.append((max(0, first - 2) * STEP, end * STEP))
    return pieces


def _round(audio, n):
    """n samples of a stretch that goes round when it is short."""
    if audio.shape[1] < n:
        audio = np.tile(audio, (1, -(-n // max(1, audio.shape[1]))))
    return audio[:, :n]
