"""Teach the net that hears kick, snare and hi-hat; it belongs to the daemon, not to a model.

    python -m models.drums --samples ../shared/samples --pool ../takes/train --takes 70
    python -m models.drums --samples ../shared/samples --pool ../takes/train --profile tight

A take is a drum track rendered with its score over vocals, bass and other of a pool, or a collage:
strokes of all the pack's drums one after the other, so that each is heard for itself. The net sees
levels in bands (`stemd.processors.drums`) of three versions of the drums: alone, as the
released model separates them, and, where separating takes too long, alone with some of the rest
leaking in. Eighteen bands and nine moments are 162 numbers; two small layers are enough, and NumPy
teaches them in a minute of one core.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr

from models.library import SAMPLERATE, Library
from models.render import Renderer, desk, stage
from models.render.audio import add, fade_out, gain, log_uniform, pick, stereo
from models.render.drums import LEVELS_DB, Drummer
from models.render.grammar import STYLES, draw_plan
from models.render.score import CLASSES, Part
from stemd.kernels.powers import band_magnitudes
from stemd.processors.catalogue import find_model
from stemd.processors.drums import EDGES_HZ, FLOOR, KNEE, LOUDEST_S, MIX_SHARE, NET, Drums
from stemd.processors.masknet import MaskNet
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.processors.stft import Analysis
from stemd.spec import DRUMS, N_CHANNELS, N_STEMS, PROFILES, STEMS, StreamSpec

STEM = STEMS.index("drums")
# Hops ago at which the net looks at the drums, and at the mix: up to 85 and 43 ms.
LAGS = {
    "tight": ((0, 2, 4, 8, 16, 32), (0, 4, 16)),
    "live": ((0, 1, 2, 4, 8, 16), (0, 2, 8)),
    "quality": ((0, 1, 1, 2, 4, 8), (0, 1, 4)),
    "classic": ((0, 1, 1, 2, 4, 8), (0, 1, 4)),
}
HIDDEN = (64, 24)
COLLAGE = {
    "kick": 22, "snare": 20, "clap": 6, "rim": 3, "hat": 20, "open": 5, "ride": 4, "crash": 3,
    "tom": 8, "shaker": 2, "percussion": 7,
}  # how often each is struck  # fmt: skip
BESIDE = ("hat", "hat", "hat", "kick", "snare", "clap", "shaker", "ride")  # at the same time
EARLY_MS, LATE_MS = 7.5, 18.5  # a frame that ends so long after a stroke is to say so
DEAF_MS = 12.0  # and for so long after that it may say what it likes
SAME_S = 0.025  # strokes of one class closer than this are one hit
BATCH, RATE, SLOW_START = 1024, 4e-3, 200
MIX, APART, ALONE = range(3)  # rows of the levels kept


def render(rng, drummer, renderer, pool, n):
    """(drums (2, n), rest (2, n), strokes [(second, class)]) of one take."""
    plan = draw_plan(rng, n)
    acoustic = rng.random() < STYLES[plan.style].acoustic
    told = Part(n)
    audio, _ = drummer.play(rng, plan, n, acoustic, told)
    stems = np.zeros((N_STEMS, 2, n), np.float32)
    stems[STEM] = renderer._levelled(rng, "drums", desk.channel(rng, "drums", audio, plan))
    for s, stem in enumerate(STEMS):
        if s == STEM or rng.random() < 0.15:
            continue
        take = np.load(pool[int(rng.integers(len(pool)))], mmap_mode="r")
        start = int(rng.integers(max(1, take.shape[2] - n)))
        cut = take[s, :, start : start + n].astype(np.float32) / 16384
        cut = np.pad(cut, ((0, 0), (0, n - cut.shape[1])))
        stems[s] = renderer._levelled(rng, stem, cut)
    tracks = stage.perform(rng, desk.master(rng, stems))
    strokes = [(hit.time, DRUMS.index(hit.drum)) for hit in told.hits if hit.drum in DRUMS]
    return tracks[STEM], tracks.sum(0) - tracks[STEM], strokes


def collage(rng, library, pieces, n):
    """(drums (2, n), strokes) of strokes at random times, alone or two at once."""
    out, strokes = np.zeros((2, n), np.float32), []
    roles = [role for role in COLLAGE if pieces.get(role)]
    chance = np.array([COLLAGE[role] for role in roles])
    palette = {role: [pick(rng, pieces[role]) for _ in range(6)] for role in roles}
    shortest = rng.uniform(0.06, 0.4)
    at = int(0.3 * SAMPLERATE)
    while at < n - SAMPLERATE // 5:
        struck = {roles[rng.choice(len(roles), p=chance / chance.sum())]}
        if rng.random() < 0.4:
            struck.add(pick(rng, [r for r in BESIDE if r in roles]))
        for role in sorted(struck):
            _, entry = pick(rng, pick(rng, palette[role]))
            audio = stereo(library.read(entry, entry["lead"], int(rng.uniform(3000, 40000)))).copy()
            velocity = rng.uniform(0.15, 1) if rng.random() < 0.5 else 1.0
            loud = gain(LEVELS_DB[role] + rng.normal(0, 3)) * (0.15 + 0.85 * velocity**1.5)
            audio *= np.float32(loud / (np.abs(audio).max(initial=0) + 1e-6))
            add(out, at, fade_out(audio, 800))
            if role in CLASSES:
                strokes.append((at / SAMPLERATE, DRUMS.index(CLASSES[role])))
        at += int(log_uniform(rng, shortest, 4 * shortest) * SAMPLERATE)
    return out * gain(-rng.uniform(6, 30)) / np.float32(np.abs(out).max() + 1e-9), strokes


def hear(spec, drums, rest, separated):
    """Levels (hop, 3, n_bands) of a take at 44100 Hz; `APART` is nan unless `separated`."""
    model = MaskNet(find_model("default", spec.nearest_profile), spec, "cpu") if separated else None
    separator, alone = HopSeparator(spec, model), Analysis(spec)
    ear = Drums(spec)
    tracks = [soxr.resample(x.T, SAMPLERATE, spec.samplerate).T for x in (drums + rest, drums)]
    hop_length, n_bands = spec.hop_length, len(EDGES_HZ) - 1
    stems = np.zeros((1, N_STEMS, N_CHANNELS, hop_length), np.float32)
    mix = np.zeros((1, N_CHANNELS, hop_length), np.float32)
    pair = np.zeros((1, 3, N_CHANNELS, spec.n_bins), np.complex64)
    powers, got = Powers(spec), np.zeros((1, 3, n_bands), np.float32)
    kept = np.full((tracks[0].shape[1] // hop_length, 3, n_bands), np.nan, np.float32)
    for h, row in enumerate(kept):
        cut = slice(h * hop_length, (h + 1) * hop_length)
        hops = [np.ascontiguousarray(t[None, :, cut], np.float32) for t in tracks]
        separator.process(hops[0], stems, mix)
        pair[:, 0], pair[:, 1] = alone.process(hops[1]), separator.masked[:, STEM]
        powers.process(separator.spectra, pair)
        band_magnitudes(powers.bins, np.arange(3), ear._edges, ear._gain, got)
        row[MIX], row[ALONE] = got[0, :2]
        if separated:
            row[APART] = got[0, 2]
    return kept


def seen(drums, mix, profile, spec):
    """What the net sees, (hop, n_in), of levels (hop, n_bands); `drum_logits` for a whole take."""
    keep = np.exp(-spec.hop_length / (LOUDEST_S * spec.samplerate))
    loudest = np.zeros((len(drums), 2), np.float32)
    now = np.zeros(2)
    for h, totals in enumerate(zip(drums, mix, strict=True)):
        now = np.maximum(keep * now, [np.sqrt(np.sum(x**2)) for x in totals])
        loudest[h] = now
    scale = np.maximum(np.maximum(loudest[:, 0], MIX_SHARE * loudest[:, 1]), FLOOR)[:, None]
    columns = []
    for levels, lags in zip((drums, mix), LAGS[profile], strict=True):
        for lag in lags:
            then = np.zeros_like(levels)
            then[lag:] = levels[: len(levels) - lag]
            columns.append(0.4 * np.log(then / scale + KNEE) + 1.4)
    return np.concatenate(columns, axis=1).astype(np.float32)


def wanted(strokes, hops, spec):
    """(target, weight), each (hop, 3): 1 just after a stroke, weight 0 around that."""
    target, weight = np.zeros((hops, 3), np.float32), np.ones((hops, 3), np.float32)
    ends_ms = (np.arange(hops) + 1) * spec.hop_s * 1e3
    for k in range(3):
        times = np.sort([at for at, which in strokes if which == k])
        times = times[np.diff(times, prepend=-1.0) >= SAME_S] if len(times) else times
        for at in times:
            past = ends_ms - 1e3 * at
            weight[(past > 0) & (past < LATE_MS + DEAF_MS), k] = 0
        for at in times:
            past = ends_ms - 1e3 * at
            yes = (past >= EARLY_MS) & (past < LATE_MS)
            target[yes, k], weight[yes, k] = 1, 1
    return target, weight


def varied(rng, takes, levels):
    """(drums, mix), each (hop, n_bands): one version of a take, otherwise tuned and equalised."""
    bands = np.arange(levels.shape[2])
    mix, alone = levels[:, MIX], levels[:, ALONE]
    draw = rng.random()
    if not np.isnan(levels).any() and draw > 0.35:
        drums = levels[:, APART if draw < 0.85 else ALONE if draw < 0.94 else MIX]
    else:
        draw, rest = rng.random(), rest_of(levels)
        power = np.mean(rest**2)
        if power < 1e-6 * np.mean(alone**2):  # a collage has none of its own
            power = np.mean(alone**2) * 10 ** (rng.uniform(-14, 10) / 10)
        if rng.random() < 0.5:  # the rest of another take
            other = rest_of(takes[int(rng.integers(len(takes)))][0])
            other = np.roll(np.resize(other, rest.shape), int(rng.integers(len(other))), axis=0)
            rest = other * np.sqrt(power / (np.mean(other**2) + 1e-9))
            mix = np.sqrt(alone**2 + rest**2)
        drums = alone if draw < 0.92 else mix
        if draw < 0.75:  # what a separator leaves of it, and leaves in it
            leak = 10 ** (np.interp(bands, [0, 3, 6, 10, 17], rng.uniform(-32, -8, 5)) / 20)
            keep = 10 ** (-np.abs(np.interp(bands, [0, 6, 17], rng.normal(0, 2.5, 3))) / 20)
            drums = np.sqrt((keep * alone) ** 2 + (leak * rest) ** 2)
    curve = 10 ** (np.interp(bands, [0, 5, 11, 17], rng.normal(0, 3, 4)) / 20)
    at = np.clip(bands + rng.uniform(-0.7, 0.7), 0, bands[-1])  # a third of an octave
    low = np.floor(at).astype(int)
    share = at - low
    drums, mix = (
        (x[:, low] * (1 - share) + x[:, np.minimum(low + 1, bands[-1])] * share) * curve
        for x in (drums * 10 ** (rng.normal(0, 2) / 20), mix)
    )
    return drums, mix


def rest_of(levels):
    """What is not drums, (hop, n_bands), if it had nothing in common with them."""
    return np.sqrt(np.maximum(levels[:, MIX] ** 2 - levels[:, ALONE] ** 2, 0))


def differences(x, profile):
    """Levels of now, and the rise since each earlier moment: the same, but quicker to learn."""
    drums, mix = (len(lags) for lags in LAGS[profile])
    x = x.reshape(len(x), drums + mix, -1).copy()
    x[:, 1:drums] = x[:, :1] - x[:, 1:drums]
    x[:, drums + 1 :] = x[:, drums : drums + 1] - x[:, drums + 1 :]
    return x.reshape(len(x), -1)


def undone(layer, profile):
    """A first layer for differences as one for levels."""
    drums, mix = (len(lags) for lags in LAGS[profile])
    layer = layer.copy()
    x = layer[:-1].reshape(drums + mix, -1, layer.shape[1])
    for first, end in ((0, drums), (drums, drums + mix)):
        x[first + 1 : end] *= -1
        x[first] -= x[first + 1 : end].sum(axis=0)
    return layer


def learn(rng, takes, profile, epochs):
    """Layers, each (n_in + 1, n_out) float32, of takes (levels, (target, weight), spec); Adam."""
    sizes = (sum(map(len, LAGS[profile])) * (len(EDGES_HZ) - 1), *HIDDEN, 3)
    layers = [
        np.concatenate([rng.standard_normal((i, o)) * np.sqrt(2 / i), np.zeros((1, o))])
        for i, o in pairwise(sizes)
    ]
    layers[-1] *= 0.5
    layers[-1][-1] = -3.0  # hits are rare
    layers = [layer.astype(np.float32) for layer in layers]
    first, second = ([np.zeros_like(w) for w in layers] for _ in range(2))
    total = max(1, epochs * sum(len(levels) for levels, _, _ in takes) // BATCH)
    step = 0
    for epoch in range(epochs):
        losses = []
        order = rng.permutation(len(takes))
        for group in np.array_split(order, max(1, len(order) // 18)):  # to bound memory
            rows = []
            for i in group:
                levels, (target, weight), spec = takes[i]
                use = weight.any(axis=1)
                x = seen(*varied(rng, takes, levels), profile, spec)[use]
                rows.append((differences(x, profile), target[use], weight[use]))
            x, target, weight = (np.concatenate(part) for part in zip(*rows, strict=True))
            shuffled = rng.permutation(len(x))
            for start in range(0, len(x) - BATCH // 2, BATCH):
                at = shuffled[start : start + BATCH]
                loss, slopes = descent(layers, x[at], target[at], weight[at])
                losses.append(loss)
                step += 1
                rate = RATE * min(1, step / SLOW_START) * 0.5 * (1 + np.cos(np.pi * step / total))
                for w, g, m, v in zip(layers, slopes, first, second, strict=True):
                    m += 0.1 * (g - m)
                    v += 0.001 * (g * g - v)
                    scale = np.sqrt(v / (1 - 0.999**step)) + 1e-8
                    w -= (rate * (m / (1 - 0.9**step) / scale + 1e-3 * w)).astype(np.float32)
        print(f"{profile} {epoch}: {np.mean(losses):.4f}", flush=True)
    return [undone(layers[0], profile), *layers[1:]]


def descent(layers, x, target, weight):
    """Weighted cross entropy of one batch, and its slopes."""
    inputs = [x]
    for layer in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ layer[:-1] + layer[-1], 0))
    logit = inputs[-1] @ layers[-1][:-1] + layers[-1][-1]
    weight = weight * (1 + 2 * target)  # hits are rare
    loss = (weight * (np.logaddexp(0, logit) - target * logit)).sum() / len(x)
    back = (weight * (1 / (1 + np.exp(-logit)) - target) / len(x)).astype(np.float32)
    slopes = []
    for layer, into in zip(layers[::-1], inputs[::-1], strict=True):
        slopes.append(np.concatenate([into.T @ back, back.sum(0)[None]]))
        back = (back @ layer[:-1].T) * (into > 0)
    return loss, slopes[::-1]


def saved(path, profile, layers):
    """Put one profile's net into the file; thresholds and levels stay."""
    with np.load(path) as file:
        parts = dict(file)
    for name, layer in zip(("first", "second", "third"), layers, strict=True):
        parts[f"{profile}_{name}"] = layer.astype(np.float16)
    lags = [(row, lag) for row, all_ in enumerate(LAGS[profile]) for lag in all_]
    parts[f"{profile}_lags"] = np.array(lags, np.int16)
    np.savez_compressed(path, **parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--pool", type=Path, required=True, help="rendered takes, for the rest")
    parser.add_argument("--profile", choices=PROFILES, default="live")
    parser.add_argument("--takes", type=int, default=70)
    parser.add_argument("--separated", type=int, default=24, help="of them; the rest is quicker")
    parser.add_argument("--collages", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=NET)
    args = parser.parse_args()
    library = Library(args.samples, args.cache, "train")
    renderer, drummer = Renderer(library), Drummer(library)
    drummer.loops = []  # nobody knows what is in them
    pool = sorted(args.pool.glob("take_*.npy"))
    takes = []
    for i in range(args.takes):
        rng = np.random.default_rng((args.seed, i))
        spec = StreamSpec.of(args.profile, 44100 if i % 3 == 2 else 48000)
        drums, rest, strokes = render(rng, drummer, renderer, pool, int(args.seconds * SAMPLERATE))
        levels = hear(spec, drums, rest, i < args.separated)
        takes.append((levels, wanted(strokes, len(levels), spec), spec))
        print(f"take {i}: {len(strokes)} strokes", flush=True)
    for i in range(args.collages):
        rng = np.random.default_rng((args.seed, 1, i))
        spec = StreamSpec.of(args.profile, 44100 if i % 3 == 2 else 48000)
        drums, strokes = collage(rng, library, drummer.pool.pieces, int(args.seconds * SAMPLERATE))
        levels = hear(spec, drums, np.zeros_like(drums), False)
        takes.append((levels, wanted(strokes, len(levels), spec), spec))
    rng = np.random.default_rng(args.seed)
    saved(args.out, args.profile, learn(rng, takes, args.profile, args.epochs))


if __name__ == "__main__":
    main()
