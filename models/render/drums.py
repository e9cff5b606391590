"""Drum tracks: patterns by style with ghosts, fills and loose hands; loops cut and put together."""

from contextlib import contextmanager

import numpy as np

from models.library import SAMPLERATE
from models.render.audio import add, fade_in, fade_out, gain, pan, pick, repitch, stereo
from models.render.kits import Pool, draw_kit
from models.render.score import DEAF

# Sixteenths of a bar: X hard, x normal, o ghost.  One line is drawn for each role.
GROOVES = {
    "rock": {
        "kick": ("X.......X.......", "X.....x.X.......", "X.x.....X.x.....", "X..x..x.X.......",
                 "X...X...X...X...", "X.....X..xX....."),
        "snare": ("....X.......X...", "....X.......X..o", "....X..o.o..X...", "........X......."),
        "hat": ("X.x.X.x.X.x.X.x.", "x.x.x.x.x.x.x.x.", "X...X...X...X...", "xoxoxoxoxoxoxoxo"),
        "ride": ("x.x.x.x.x.x.x.x.", "X...x...X...x..."),
    },
    "metal": {
        "kick": ("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx", "x..x..x..x..x.x.", "X.xxX.xxX.xxX.xx",
                 "x.x.x.x.x.x.x.x."),
        "snare": ("....X.......X...", "........X.......", "..X...X...X...X.", "x.x.x.x.x.x.x.x."),
        "hat": ("X...X...X...X...", "X.x.X.x.X.x.X.x."),
        "crash": ("X...X...X...X...", "X.......X.......", "X..............."),
    },
    "pop": {
        "kick": ("X.......X.......", "X...X...X...X...", "X.....x.X.......", "X..x......x.....",
                 "X.........x....."),
        "snare": ("....X.......X...", "....X.......X...", "............X..."),
        "clap": ("....x.......x...", "................"),
        "hat": ("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", "..x...x...x...x.", "x...x...x...x..."),
        "shaker": ("oxoXoxoXoxoXoxoX", "................", "x.x.x.x.x.x.x.x."),
    },
    "funk": {
        "kick": ("X..x..X...x..x..", "X.x....x..x.....", "X..x...x..xx....", "X.....x..x......"),
        "snare": ("....X..o.o..X..o", "....X.o..o.oX...", "...oX..o.o..X.o.", ".o..X..o....X..o"),
        "hat": ("XoxoXoxoXoxoXoxo", "x.xxx.xxx.xxx.xx", "X.x.X.x.X.x.X.x."),
        "open": ("................", "......x.........", "..............x."),
        "percussion": ("................", "x..x..x...x.x...", "..x...x...x...x."),
    },
    "hiphop": {
        "kick": ("X.....x...X.....", "X..x......x.....", "X.x.......x..x..", "X......x..X.....",
                 "X..x..x...x....."),
        "snare": ("....X.......X...", "....X..o.o..X...", "....X.......X.o."),
        "hat": ("x.x.x.x.x.x.x.x.", "x.xxx.x.x.xxx.x.", "x...x...x...x...", "xoxoxoxoxoxoxoxo"),
        "percussion": ("................", "......x.......x.", "x.......x..x...."),
    },
    "trap": {
        "kick": ("X......x..X.....", "X.....x.....x...", "X..x......x..x..", "X...............",
                 "X.........x....."),
        "clap": ("........X.......", "........X.......", "........X.....x."),
        "snare": ("................", "........X.......", "........X...o.o."),
        "hat": ("x.x.x.x.x.x.x.x.", "x.x.x.xxx.x.xxxx", "xxx.x.x.xxx.x.x.", "xxxxxxxxxxxxxxxx"),
        "open": ("................", "......x.........", "..........x....."),
        "percussion": ("................", "...x..x.....x...", "............x.x."),
    },
    "house": {
        "kick": ("X...X...X...X...", "X...X...X...X..x", "X...X...X...X..."),
        "clap": ("....X.......X...", "....X.......X...", "................"),
        "snare": ("................", "....x.......x...", "...........x...."),
        "hat": ("..x...x...x...x.", "x.xxx.xxx.xxx.xx", "xxxxxxxxxxxxxxxx", "..X.o.X...X.o.X."),
        "open": ("..x...x...x...x.", "................"),
        "shaker": ("oxXxoxXxoxXxoxXx", "................"),
        "percussion": ("................", "x..x..x..x..x...", "...x..x....x..x."),
    },
    "techno": {
        "kick": ("X...X...X...X...", "X...X...X...X...", "X...X..xX...X..."),
        "clap": ("....X.......X...", "................", "............X..."),
        "hat": ("..x...x...x...x.", "xxxxxxxxxxxxxxxx", "..xx..xx..xx..xx"),
        "open": ("..X...X...X...X.", "................"),
        "ride": ("................", "x.x.x.x.x.x.x.x.", "..x...x...x...x."),
        "percussion": ("................", "x..x..x..x..x..x", "...x...x...x...x"),
        "tom": ("................", "..........x..x..", "...x..x....x...."),
    },
    "dnb": {
        "kick": ("X.........x.....", "X.....x...x.....", "X.x.......x....."),
        "snare": ("....X.......X...", "....X..o.o..X..o", "....X..o....X.o."),
        "hat": ("x.x.x.x.x.x.x.x.", "xoxoxoxoxoxoxoxo", "X.x.X.x.X.x.X.x."),
        "ride": ("................", "x.x.x.x.x.x.x.x.", "x...x...x...x..."),
    },
    "jazz": {
        "ride": ("x...x.x.x...x.x.", "x...x...x...x...", "x.x.x.x.x.x.x.x."),
        "hat": ("....x.......x...", "................"),
        "brush": ("x...x...x...x...", "x.o.x.o.x.o.x.o."),
        "snare": ("..o.......o.....", "......o...x.....", "................", "..........o..o.."),
        "kick": ("o...o...o...o...", "x.........o.....", "................", "......x........."),
    },
    "latin": {
        "kick": ("x..xx..xx..xx..x", "X..x..X.X..x..X.", "x......xx......x"),
        "rim": ("x..x..x...x.x...", "..x.x...x..x..x.", "x..x...x..x.x..."),
        "snare": ("................", "...x..x...x..x..", "....x.......x..."),
        "shaker": ("XoxoXoxoXoxoXoxo", "x.xxx.xxx.xxx.xx"),
        "percussion": ("x.xxx.x.xx.xx.x.", "..xx..xx..xx..xx", "x...xx..x...xx.."),
        "percussion 2": ("x...x.x.x...x.x.", "..x...xx..x...xx"),
        "hat": ("................", "x.x.x.x.x.x.x.x."),
    },
    "reggae": {
        "kick": ("........X.......", "X.......X.......", "X...X...X...X..."),
        "rim": ("........X.......", "....X.......X..."),
        "snare": ("................", "........x.......", "........X......o"),
        "hat": ("x.x.x.x.x.x.x.x.", "..x...x...x...x.", "xoxoxoxoxoxoxoxo"),
        "percussion": ("................", "...x..x....x..x."),
    },
    "ballad": {
        "kick": ("X.......x.......", "X.....x.........", "X..............."),
        "snare": ("....x.......x...", "........x.......", "....X.......X..."),
        "rim": ("................", "....x.......x..."),
        "hat": ("x.x.x.x.x.x.x.x.", "x...x...x...x...", "................"),
        "shaker": ("................", "o.x.o.x.o.x.o.x."),
    },
    "folk": {
        "kick": ("X.......X.......", "X...X...X...X...", "................"),
        "snare": ("....x.......x...", "................", "..x...x...x...x."),
        "brush": ("....x.......x...", "x.oxx.oxx.oxx.ox", "................"),
        "shaker": ("oxXxoxXxoxXxoxXx", "x.x.x.x.x.x.x.x.", "................"),
        "percussion": ("................", "x.....x...x....."),
    },
    "ambient": {
        "kick": ("X...............", "................", "X...X...X...X..."),
        "percussion": ("...x......x.....", "......x.........", "x..............."),
        "shaker": ("................", "..x...x...x...x."),
        "hat": ("................", "..x...x...x...x."),
    },
}  # fmt: skip
GROOVES["trance"] = GROOVES["techno"]
GROOVES["blues"] = GROOVES["rock"]
LEVELS_DB = {
    "kick": 0, "snare": -1, "clap": -3, "rim": -5, "hat": -11, "open": -10, "ride": -11,
    "crash": -7, "tom": -3, "shaker": -13, "percussion": -8, "percussion 2": -9, "brush": -7,
}  # fmt: skip
STRENGTH = {"X": 1.0, "x": 0.72, "o": 0.32}
FILL = ("snare", "tom", "tom", "kick", "snare")


class Drummer:
    """Plays a plan on kits of one library."""

    def __init__(self, library):
        self.library = library
        drums = [e for e in library.entries if e["stem"] == "drums"]
        self.pool = Pool.of([e for e in drums if e["kind"] == "one-shot"])
        self.loops = [e for e in drums if e["kind"] == "loop" and e["length"] > SAMPLERATE]
        self.kit = draw_kit  # where kits come from, see `on`

    @contextmanager
    def on(self, kit):
        """Take kits from another place, and then from where they came from before."""
        before, self.kit = self.kit, kit
        try:
            yield
        finally:
            self.kit = before

    def play(self, rng, plan, n, acoustic, told=DEAF):
        """(audio (2, n), kicks): a part, and the samples where its kick hits, for the sidechain."""
        draw = rng.random()
        if self.loops and draw < 0.12:
            return self.loop(rng, plan, n, told), []
        audio, kicks = self.groove(rng, plan, n, acoustic, told)
        if self.loops and draw < 0.27:
            audio += gain(rng.uniform(-14, -2)) * self.loop(rng, plan, n, told)
        return audio, kicks

    # ---- patterns

    def groove(self, rng, plan, n, acoustic, told=DEAF):
        """One-shots on the grid."""
        kit = self.kit(rng, self.library, self.pool, acoustic)
        groove = GROOVES[plan.style if rng.random() < 0.85 else pick(rng, sorted(GROOVES))]
        lines = self._lines(rng, groove)
        levels = {role: gain(LEVELS_DB[role] + rng.normal(0, 2.5)) for role in LEVELS_DB}
        loose = rng.uniform(0.001, 0.009) if acoustic else rng.choice((0.0, 0.0, 0.003))
        late = {role: rng.normal(0, 0.005 if acoustic else 0.002) for role in LEVELS_DB}
        steps = plan.meter * 4
        active = plan.active(rng, 0.5, 1.15, lead=True)
        rolls = plan.style == "trap" or (not acoustic and rng.random() < 0.1)
        busy = {s.first: rng.random() for s in plan.sections}
        out = np.zeros((2, n), np.float32)
        kicks = []
        section_ends = {s.first + s.bars - 1 for s in plan.sections}
        section_starts = {s.first for s in plan.sections}
        energy = 1.0
        for bar in range(plan.bars):
            energy = next((s.energy for s in plan.sections if s.first == bar), energy)
            if bar in section_starts:
                thin = {role for role in lines if rng.random() > 0.45 + 0.6 * energy}
                if busy[bar] < 0.3:
                    lines = self._lines(rng, groove)
            if not active[bar]:
                continue
            filling = bar in section_ends and rng.random() < 0.7
            fill_from = steps - int(rng.choice((2, 4, 4, 8))) if filling else steps
            strokes = []
            for role, line in lines.items():
                if role in thin and role not in ("kick",):
                    continue
                for i in range(min(steps, fill_from)):
                    mark = line[i % 16]
                    if mark != ".":
                        strokes.append((role, i, STRENGTH[mark]))
                    elif rng.random() < 0.006:
                        strokes.append((role, i, 0.4))
            if filling:
                strokes += self._fill(rng, fill_from, steps)
            if bar in section_starts and rng.random() < 0.5:
                strokes.append(("crash", 0, 0.9))
            for role, i, strength in strokes:
                beat = bar * plan.meter + i / 4
                reps = [(beat, strength)]
                if rolls and role == "hat" and rng.random() < 0.12:
                    k = int(rng.choice((2, 3, 4)))
                    reps = [(beat + j / 4 / k, strength * rng.uniform(0.6, 1)) for j in range(k)]
                for where, force in reps:
                    at = plan.at(where) + int((rng.normal(0, loose) + late[role]) * SAMPLERATE)
                    force = float(np.clip(force * rng.uniform(0.82, 1.1), 0.05, 1))
                    take, loud = kit[role].strike(rng, force)
                    if role == "open":  # the foot closes it
                        take = fade_out(take[:, : int(plan.beat_length * 0.55)].copy(), 800)
                    add(out, at, stereo(take), pan(kit[role].place) * (loud * levels[role]))
                    told.hit(at, take, kit[role].role or role, force, loud * levels[role])
                    if role == "kick":
                        kicks.append(at)
        return out, kicks

    @staticmethod
    def _lines(rng, groove):
        """One line a role, some left out, a mark moved here and there."""
        lines = {}
        for role, choices in groove.items():
            if role not in ("kick", "snare") and rng.random() < 0.2:
                continue
            line = list(pick(rng, choices))
            if set(line) == {"."}:
                continue
            for i in range(16):
                if rng.random() < 0.02:
                    line[i] = "." if line[i] != "." else "o"
            lines[role] = "".join(line)
        if "ride" in lines and "hat" in lines and rng.random() < 0.7:
            lines.pop(pick(rng, ("ride", "hat")))
        return lines

    @staticmethod
    def _fill(rng, first, steps):
        dense = rng.uniform(0.4, 1.0)
        rise = np.linspace(0.5, 1, max(1, steps - first))
        return [
            (pick(rng, FILL), i, float(rise[i - first]))
            for i in range(first, steps)
            if rng.random() < dense
        ]

    # ---- loops

    def loop(self, rng, plan, n, told=DEAF):
        """A recorded loop cut at its eighths or sixteenths and laid on the plan's grid."""
        entry = pick(rng, self.loops)
        audio = stereo(self.library.read(entry))
        beats = self._beats(entry)
        cut = int(rng.choice((1, 2, 4)))  # slices a beat
        n_slices = int(beats * cut)
        size = audio.shape[1] / n_slices
        ratio = 2 ** (rng.normal(0, 1.5) / 12)
        order = np.arange(n_slices)
        shuffle = rng.choice((0.0, 0.0, 0.15, 0.5))
        active = plan.active(rng, 0.5, 1.0, lead=True)
        slot = plan.beat_length / cut
        # A slice fills its slot at its own speed when it is short by no more than a third.
        speed = size / slot
        if not 0.67 < speed < 1.5:
            speed = 2 ** (np.log2(speed) - round(np.log2(speed)))
        ratio = speed if rng.random() < 0.5 else ratio
        out = np.zeros((2, n), np.float32)
        for i in range(plan.bars * plan.meter * cut):
            if not active[i // (plan.meter * cut)]:
                continue
            j = int(order[i % n_slices])
            if rng.random() < shuffle:  # another slice of the same place in the beat
                j = (j + cut * int(rng.integers(n_slices))) % n_slices
            first, last = int(j * size), int((j + 1) * size + 600)
            piece = repitch(audio[:, first:last], ratio)[:, : int(slot) + 300]
            fade_out(fade_in(piece, 60), 300)
            add(out, plan.at(i / cut), piece)
            told.unknown("onsets", plan.at(i / cut), plan.at(i / cut) + piece.shape[1])
        return out

    @staticmethod
    def _beats(entry):
        """Beats of a loop: by its tempo, or the power of two that makes a likely tempo."""
        seconds = entry["length"] / SAMPLERATE
        if entry["bpm"]:
            return max(1, round(seconds * entry["bpm"] / 60))
        return min((2, 4, 8, 16, 32), key=lambda beats: abs(np.log2(beats * 60 / seconds / 115)))
