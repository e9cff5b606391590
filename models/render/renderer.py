"""Compose takes of any length: four stems and what belongs to nobody."""

from dataclasses import replace

import numpy as np

from models.library import SAMPLERATE
from models.render import desk, sections, stage
from models.render.audio import fit, gain, pick, power
from models.render.bass import Bassist
from models.render.drums import Drummer
from models.render.grammar import STYLES, draw_plan
from models.render.harmony import Harmonist
from models.render.kits import draw_kit
from models.render.score import DEAF, Part, written
from models.render.taste import FIRST
from models.render.voices import Vocalist
from models.render.wild import wild_kit
from stemd.spec import STEMS

# Who plays: the chance of each number of absent stems, and how likely each stem is to be the one.
ABSENT = (0.68, 0.18, 0.08, 0.06)
MISSED = {"vocals": 0.4, "drums": 0.22, "bass": 0.25, "other": 0.13}
LEVELS_DB = {"vocals": (0, 3.5), "drums": (0, 3.5), "bass": (-1, 3.5)}
SONG_SHARE = 0.28  # takes that stand on a real song
OWN_SHARE = 0.7  # of those, when there are songs of the user's own
LOOSE_SHARE = 0.08  # takes whose stems know nothing of each other: key and beat are no law


class Renderer:
    """Endless aligned multitrack music out of one library.

    Parameters
    ----------
    library : Library
    songs : sequence of folders.Song
        Multitrack songs of the user's own, to be rendered beside the pack.
    taste : taste.Taste
    """

    def __init__(self, library, songs=(), taste=FIRST):
        self.library, self.taste = library, taste
        self.own = list(songs)
        self.songs = sections.pack_songs(library)
        self.vocalist = Vocalist(library, taste)
        self.drummer = Drummer(library)
        self.bassist = Bassist(library)
        self.harmonist = Harmonist(library, taste)

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
            stems are zero. `nobody` is what no stem owns and no target may hold: the residual of
            clipping and of lossy coding.
        """
        return self._performed(rng, n, dict.fromkeys(STEMS, DEAF))[0]

    def take_with_score(self, rng, n):
        """The same take to the bit, and what was played in it.

        Returns
        -------
        take : (5, 2, n) float32
        score : Score
        """
        parts = {stem: Part(n) for stem in STEMS}
        take, plan = self._performed(rng, n, parts)
        for s, stem in enumerate(STEMS):
            if not take[s].any():  # left out, or faded out, after it was played
                parts[stem] = Part(n)
        return take, written(plan, n, parts)

    def _performed(self, rng, n, parts):
        if (self.songs or self.own) and rng.random() < SONG_SHARE:
            stems, plan = self._on_a_song(rng, n, parts), None
        else:
            stems, plan = self._composed(rng, n, parts)
        stems = desk.master(rng, stems)
        return stage.perform(rng, stems, list(parts.values())), plan

    # ---- the two kinds of takes

    def _composed(self, rng, n, parts):
        """(stems, plan) of a band, or of four strangers, whose plan is None."""
        plan = draw_plan(rng, n)
        cast = self._cast(rng)
        loose = rng.random() < LOOSE_SHARE
        stems = np.zeros((4, 2, n), np.float32)
        acoustic = rng.random() < STYLES[plan.style].acoustic
        kicks = []
        # Somebody plays in every section; a voice breathes, so rather not the voice.
        steady = [stem for stem in cast if stem != "vocals"] or list(cast)
        anchors = {section.first: pick(rng, steady) for section in plan.sections}
        for s, stem in enumerate(STEMS):
            if stem not in cast:
                continue
            mine = draw_plan(rng, n) if loose else plan
            mine = replace(mine, sure=frozenset(at for at, who in anchors.items() if who == stem))
            audio, hits = self._part(rng, stem, mine, n, acoustic, parts[stem])
            kicks = hits or kicks
            stems[s] = self._levelled(rng, stem, audio)
        if kicks and not acoustic and rng.random() < 0.45:
            curve = desk.duck(rng, n, kicks, plan.beat_length)
            stems[2] *= curve
            stems[3] *= curve
            if rng.random() < 0.2:
                stems[0] *= curve
        return stems, None if loose else plan

    def _on_a_song(self, rng, n, parts):
        """A real section; what it lacks may be played to it, what it has may be replaced."""
        song = sections.choose(rng, self.songs, self.own, OWN_SHARE)
        ratio = 2 ** (rng.uniform(-3, 3) / 12)
        for _ in range(4):  # songs have long silences; two stems make a mix
            real, _ = sections.excerpt(rng, song, n, ratio)
            if sum(steadiness(audio) > 0.5 for audio in real.values()) > 1:
                break
        plan = self._plan_of(rng, real, n)
        acoustic = rng.random() < 0.4
        stems = np.zeros((4, 2, n), np.float32)
        reference = max((power(audio) for audio in real.values()), default=0.0)
        for s, stem in enumerate(STEMS):
            draw = rng.random()
            if stem in real and draw > 0.12:
                # A real balance stays nearly as it is.
                parts[stem].unknown("onsets")
                parts[stem].unknown("pitch")
                stems[s] = real[stem] * gain(rng.normal(0, 3)) * (-1) ** int(rng.integers(2))
                if rng.random() < 0.4:
                    stems[s] = desk.equalise(rng, stem, stems[s])
            elif draw < (0.06 if stem in real else 0.85 if stem == "bass" else 0.7):
                audio, _ = self._part(rng, stem, plan, n, acoustic, parts[stem])
                audio = self._levelled(rng, stem, audio)
                stems[s] = audio * np.float32(np.sqrt(reference) if reference else 1.0)
        if rng.random() < 0.15:  # the same song without one, or with one alone
            for s in range(4):
                if rng.random() < 0.4:
                    stems[s] = 0
        return stems

    def _plan_of(self, rng, real, n):
        """A plan in the tempo, phase and key of what is heard."""
        drums = real.get("drums", next(iter(real.values()), None))
        tones = [audio for stem, audio in real.items() if stem != "drums"]
        if drums is None:
            return draw_plan(rng, n)
        bpm, first_s = sections.beats_of(drums)
        root, minor = sections.key_of(sum(tones)) if tones else (None, None)
        style = pick(rng, ("pop", "house", "hiphop", "techno", "rock"))
        plan = draw_plan(rng, n, style, bpm, root, minor)
        # Beat `meter` falls on the first beat heard, wherever the bar line may be.
        return replace(plan, start=plan.meter - first_s * bpm / 60, swing=0.0)

    # ---- parts

    @staticmethod
    def _cast(rng):
        """Who is there."""
        cast = list(STEMS)
        for _ in range(int(rng.choice(len(ABSENT), p=ABSENT))):
            chance = np.array([MISSED[stem] for stem in cast])
            cast.pop(int(rng.choice(len(cast), p=chance / chance.sum())))
        return cast

    def _part(self, rng, stem, plan, n, acoustic, told=DEAF):
        """(audio (2, n), samples of the kicks) of one stem, through its channel."""
        if stem == "vocals":
            return self.vocalist.play(rng, plan, n, told), []
        if stem == "other":
            return self.harmonist.play(rng, plan, n, acoustic, told), []
        if stem == "bass":
            audio = self.bassist.play(rng, plan, n, acoustic, told)
            return desk.channel(rng, stem, audio, plan, told, self.taste), []
        kit = self.drummer.kit
        if self.taste.wild_kits:
            kit = wild_kit if rng.random() < self.taste.wild_kits else draw_kit
        with self.drummer.on(kit):
            audio, kicks = self.drummer.play(rng, plan, n, acoustic, told)
        return desk.channel(rng, stem, audio, plan, told, self.taste), kicks

    def _levelled(self, rng, stem, audio):
        """At the level of its place in a mix; silence stays silent."""
        audio = fit(audio, audio.shape[1])
        level = np.sqrt(power(audio))
        if level < 1e-5:
            return np.zeros_like(audio)
        mean, spread = self.taste.other_db if stem == "other" else LEVELS_DB[stem]
        db = np.clip(rng.normal(mean, spread), mean - 9, mean + 8)
        if stem == "other" and rng.random() < self.taste.faint_other:
            db -= rng.uniform(8, 18)
        return audio * gain(db) / np.float32(level)


def steadiness(audio):
    """Share of the seconds of (2, n) in which something sounds."""
    seconds = max(1, audio.shape[1] // SAMPLERATE)
    level = np.square(audio[:, : seconds * SAMPLERATE]).reshape(2, seconds, -1).mean((0, 2))
    return float((level > 1e-6).mean())
