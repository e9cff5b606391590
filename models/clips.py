"""Clips of music whose onsets and strokes are known, to teach the ear: each kept as one file.

    clips="python -m models.clips --samples ../shared/samples --folder ../clips"
    $clips --pool ../takes/train --count 240
    $clips --pool ../takes/train --kind score --first 240 --count 440
    $clips --pool ../takes/validation --kind song
    $clips --pool ../takes/validation --part validation --count 40
    $clips --pool ../takes/validation --part validation --kind score --first 40 --count 180
    $clips --pool ../takes/train --kind sung --first 440 --count 520
    $clips --pool ../takes/validation --part validation --kind sung --first 180 --count 230

Five kinds, drawn by lot: a take rendered with its score; a drum track rendered with its score over
vocals, bass and other of a pool, or alone, or strokes that keep no time; a stretch of a pool,
remixed, of which no stroke is known by name. Most drummers play kits bent out of shape
(`models.render.wild`): there are few to be had, and many out there. Where the score is silent
(recorded songs, loops), onsets are those that an offline detector finds in the isolated stem; it
misses soft ones, so `heard` says of which stems. A clip depends on (seed, part, index) and the pool
alone. Few voices are among them whose onsets a score tells; `sung` are such over a stretch of a
pool. Of kind `song` are sections of the real songs that may be trained on, to choose thresholds
by; their drums are all that is surely known of them. A section without a bass gets that of a take
of the pool: where nothing low can spill into the drums, any threshold will do.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.features.material import annotate
from benchmarks.features.truth import STEMS, energy_after, from_score, merged
from models.library import PARTS, SAMPLERATE, Library
from models.render import Renderer, desk, stage
from models.render.audio import add, gain, log_uniform, pan, stereo
from models.render.drums import LEVELS_DB
from models.render.grammar import STYLES, draw_plan
from models.render.kits import draw_kit
from models.render.score import Part, Score
from models.render.wild import wild_kit
from models.takes import FULL_SCALE, Takes, draw_ratio, sections

KINDS = {"score": 0.14, "drums": 0.4, "pool": 0.12, "solo": 0.22, "strokes": 0.12}
WILD = 0.8  # of the kits that train
# What the net is to tell apart; the first three are told, the others keep them from being told.
STROKES = ("kick", "snare", "hihat", "drum", "cymbal")
ROLES = {
    "kick": 0, "snare": 1, "clap": 1, "rim": 1, "brush": 1, "hat": 2, "open": 2, "tom": 3,
    "percussion": 3, "ride": 4, "crash": 4, "shaker": 4,
}  # fmt: skip
STRUCK = {
    "kick": 0.22, "snare": 0.2, "clap": 0.05, "rim": 0.04, "hat": 0.18, "open": 0.05, "ride": 0.05,
    "crash": 0.04, "tom": 0.08, "shaker": 0.03, "percussion": 0.06,
}  # how often, when nobody keeps time  # fmt: skip
VOCALS, DRUMS, BASS = (STEMS.index(stem) for stem in ("vocals", "drums", "bass"))
SEEKS = 24  # times a voice is rendered whose onsets nobody knows
STROKE_DB, CLASS_DB = 34.0, 20.0  # softer than the loudest, or the loudest of its class: not asked
MASKED_DB = 20.0  # below the mixture at that moment: not asked of the mixture


def strokes(rng, drummer, n, acoustic, part):
    """Strokes at random times, alone or two at once, (2, n): what no pattern gives away."""
    kit = drummer.kit(rng, drummer.library, drummer.pool, acoustic)
    chance = np.array([STRUCK[role] for role in STRUCK])
    loud = {role: gain(LEVELS_DB[role] + rng.normal(0, 2.5)) for role in STRUCK}
    out = np.zeros((2, n), np.float32)
    shortest = rng.uniform(0.07, 0.35)
    at = int(0.2 * SAMPLERATE)
    while at < n:
        for role in rng.choice(list(STRUCK), int(rng.choice((1, 1, 2))), False, chance):
            force = float(rng.uniform(0.2, 1) if rng.random() < 0.5 else 1.0)
            take, level = kit[role].strike(rng, force)
            here = at + int(rng.exponential(0.003) * SAMPLERATE)
            add(out, here, stereo(take), pan(kit[role].place) * (level * loud[role]))
            part.hit(here, take, str(role), force, level * loud[role])
        at += int(log_uniform(rng, shortest, 4 * shortest) * SAMPLERATE)
    return out


def drummed(rng, renderer, takes, n, random=False):
    """(tracks (5, 2, n), score) of a drum track, over a stretch of the pool if there are takes; the
    score knows the drums only."""
    plan = draw_plan(rng, n)
    acoustic = rng.random() < STYLES[plan.style].acoustic
    part, drummer = Part(n), renderer.drummer
    if random:
        audio = strokes(rng, drummer, n, acoustic, part)
    else:
        audio, _ = drummer.groove(rng, plan, n, acoustic, part)
    stems = beneath(rng, takes, n)
    stems[DRUMS] = desk.channel(rng, "drums", audio, plan)
    return performed(rng, renderer, stems, DRUMS, part)


def sung(rng, renderer, takes, n):
    """The same of a voice of which every onset is known, where one is found in time."""
    for _ in range(SEEKS):
        part = Part(n)
        audio, _ = renderer._part(rng, "vocals", draw_plan(rng, n), n, False, part)
        if part.notes and not part.spans["onsets"]:
            break
    stems = beneath(rng, takes, n)
    stems[VOCALS] = audio
    return performed(rng, renderer, stems, VOCALS, part)


def beneath(rng, takes, n):
    """A stretch of a pool, (4, 2, n); nothing where there is none."""
    if takes is None:
        return np.zeros((len(STEMS), 2, n), np.float32)
    return takes._cut(rng, n, range(len(STEMS)), draw_ratio(rng, 3))


def performed(rng, renderer, stems, lead, part):
    """(tracks (5, 2, n), score) of stems, one of which is the `lead` of known `part`."""
    n = stems.shape[2]
    for s, stem in enumerate(STEMS):
        if s == lead or rng.random() < 0.9:
            stems[s] = renderer._levelled(rng, stem, stems[s])
        else:
            stems[s] = 0
    parts = {stem: Part(n) for stem in STEMS}
    for stem in STEMS:
        parts[stem].unknown("onsets")
    parts[STEMS[lead]] = part
    tracks = stage.perform(rng, desk.master(rng, stems), list(parts.values()))
    part.tidy()
    return tracks, Score(n / SAMPLERATE, None, [], [], [], parts)


def onsets_of(tracks, score):
    """(source, time, weak) rows of the mix, 0, and the stems; of which of them a detector had to
    find some, (source,) bool."""
    piece = from_score("", tracks, score) if score else None
    rows, audible = [], []
    mix, detected = tracks.sum(0), np.zeros(1 + len(STEMS), bool)
    for s, stem in enumerate(STEMS):
        times, weak = np.zeros(0), np.zeros(0, bool)
        silent = score is None or score.parts[stem].spans["onsets"]
        if silent and tracks[s].any():
            heard = annotate(tracks[s])
            times, weak = heard.times, heard.weak
            detected[[0, 1 + s]] = True
        if piece is not None:
            told = piece.onsets[stem]
            keep = ~told.known(times)
            inside = told.known(told.times)
            times = np.concatenate([times[keep], told.times[inside]])
            weak = np.concatenate([weak[keep], told.weak[inside]])
        order = np.argsort(times)
        times, weak = times[order], weak[order]
        rows += [(1 + s, at, faint) for at, faint in zip(times, weak, strict=True)]
        strength = energy_after(tracks[s], times, SAMPLERATE)
        hidden = strength < 10 ** (-MASKED_DB / 10) * energy_after(mix, times, SAMPLERATE)
        audible += list(zip(times, strength, weak | hidden, strict=True))
    table = np.array(audible, float).reshape(-1, 3)
    faint = table[:, 2] > 0
    rows += [(0, at, False) for at in merged(table[~faint, 0], table[~faint, 1])[0]]
    rows += [(0, at, True) for at in table[faint, 0]]
    return np.array(rows, float).reshape(-1, 3), detected


def strokes_of(score):
    """(class, time, weak) rows; none where not every stroke is known."""
    if score is None or score.parts["drums"].spans["onsets"]:
        return np.full((1, 3), np.nan)
    rows = []
    hits = score.parts["drums"].hits
    loudest = max((hit.level for hit in hits), default=0.0)
    for k in range(len(STROKES)):
        mine = [hit for hit in hits if ROLES[hit.role.split()[0]] == k]
        times, level = merged(np.array([h.time for h in mine]), np.array([h.level for h in mine]))
        peak = level.max(initial=0.0)
        weak = level < max(peak * 10 ** (-CLASS_DB / 20), loudest * 10 ** (-STROKE_DB / 20))
        rows += [(k, at, faint) for at, faint in zip(times, weak, strict=True)]
    return np.array(rows, float).reshape(-1, 3)


def make(rng, renderer, takes, n, kind=None):
    """What is kept of one clip: tracks (5, 2, n), and `known` of it."""
    drawn = rng.choice(list(KINDS), p=list(KINDS.values()))
    kind = kind or drawn
    wild = renderer.library.part == "train" and rng.random() < WILD
    with renderer.drummer.on(wild_kit if wild else draw_kit):
        tracks, score = music(rng, renderer, takes, n, kind)
    return tracks, known(tracks, score)


def music(rng, renderer, takes, n, kind):
    """(tracks (5, 2, n), score or None) of one kind."""
    if kind == "score":
        return renderer.take_with_score(rng, n)
    if kind == "pool":
        return takes._clip(rng, n), None
    if kind == "sung":
        return sung(rng, renderer, takes, n)
    over = takes if kind == "drums" or (kind == "strokes" and rng.random() < 0.6) else None
    return drummed(rng, renderer, over, n, kind == "strokes")


def known(tracks, score):
    """{"onsets", "heard", "strokes"} as `onsets_of` and `strokes_of` tell them."""
    onsets, heard = onsets_of(tracks, score)
    return {"onsets": onsets, "heard": heard, "strokes": strokes_of(score)}


def song_clips(library, takes, n, seed=0):
    """What is kept of sections of songs that have drums and something else."""
    rng = np.random.default_rng(seed)
    for tracks in sections(library, n):
        if tracks[DRUMS].any():
            if not tracks[BASS].any():
                tracks[BASS] = borrowed(rng, takes, tracks[DRUMS])
            yield tracks, known(tracks, None)


def borrowed(rng, takes, drums):
    """The bass of a take (2, n), as loud beside these drums as beside its own."""
    for index in rng.permutation(len(takes)):
        take = takes.plain(index, drums.shape[-1])
        if take[DRUMS].any() and take[BASS].any():
            own = np.square(take[DRUMS]).mean()
            return take[BASS] * np.sqrt(np.square(drums).mean() / own)
    raise ValueError(f"{takes.folder}: got no take with drums and a bass, expected some")


def write(path, tracks, facts):
    """One file, whole or not there."""
    whole = np.clip(np.round(tracks * (32768 / FULL_SCALE)), -32767, 32767).astype(np.int16)
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, tracks=whole, **facts)
    unfinished.rename(path)


def load(path):
    """Tracks (5, 2, n) float32, and `known` of them."""
    with np.load(path) as file:
        tracks = file["tracks"].astype(np.float32) * np.float32(FULL_SCALE / 32768)
        return tracks, {name: file[name] for name in ("onsets", "heard", "strokes")}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--pool", type=Path, required=True, help="rendered takes, of the same part")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--part", choices=PARTS[:2], default="train")
    parser.add_argument("--kind", choices=(*KINDS, "sung", "song"), help="of this kind only")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    library, n = Library(args.samples, args.cache, args.part), int(args.seconds * SAMPLERATE)
    begun = time.monotonic()
    if args.kind == "song":
        for index, clip in enumerate(song_clips(library, Takes(args.pool), n, args.seed)):
            write(args.folder / f"song_{index:04d}.npz", *clip)
        return
    renderer, takes = Renderer(library), Takes(args.pool)
    for index in range(args.first, args.count):
        path = args.folder / f"{args.part}_{index:04d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng((args.seed, PARTS.index(args.part), index))
        tracks, facts = make(rng, renderer, takes, n, args.kind)
        write(path, tracks, facts)
        onsets = len(facts["onsets"])
        print(f"{path.name}: {onsets} onsets, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
