"""Teach the nets that weigh the peaks of pitch; they belong to the daemon, not to a model.

    python -m models.pitch --samples ../shared/samples --pool ../takes/train --takes 140

A take is a voice and a bass rendered with their scores over drums and others of a pool (a third of
the time others that play with them). The released model separates it, and the net of each sees
what the daemon's `Pitch` sees: how the stem and the mixture repeat, and their spectra. It also
hears the stem alone, and half-way between, and tones of any partials. Moved by up to a minor third
and coloured at random, 140 takes are enough for two small layers, and minutes for one core.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
import torch

from benchmarks.features.truth import STEP_S, contour_of_notes, loud_enough
from models.library import SAMPLERATE, Library
from models.render import Renderer, desk, stage
from models.render.grammar import STYLES, draw_plan
from models.render.score import Part
from stemd.kernels.ear import LEVELS
from stemd.processors.catalogue import find_model
from stemd.processors.masknet import MaskNet
from stemd.processors.pitch import BANDS, BASS, HEARD, NETS, STATES, VOCALS, VOICING, Pitch
from stemd.processors.separator import HopSeparator
from stemd.spec import N_CHANNELS, N_FEATURES, N_STEMS, SOURCES, STEMS, StreamSpec

LAG_S = {VOCALS: 0.035, BASS: 0.045}  # about half of the window: what a frame is asked for
FROM_S = 0.12  # the window fills
EVERY = 2  # frames of 10 ms; neighbours are much alike
FAINT = 1e-3  # of the mixture's power: nobody could hear it
SEEKS = 4  # times a part is rendered whose pitch nobody knows
FAR = 6  # half semitones by which a frame may be moved
HIDDEN = (64, 48)
BATCH, RATE, SLOW_START, DECAY = 256, 3e-3, 3e4, 1e-3
TONE_S = 6.0
RANGE_HZ = {VOCALS: (60.0, 1190.0), BASS: (30.0, 600.0)}
TOP_HZ = {VOCALS: 2200.0, BASS: 1000.0}  # partials of tones


def render(rng, renderer, pool, n):
    """(tracks (5, 2, n), {source: (midi (t, k), known (t,))}) of one take."""
    plan = draw_plan(rng, n)
    acoustic = rng.random() < STYLES[plan.style].acoustic
    stems, told = np.zeros((N_STEMS, 2, n), np.float32), [Part(n) for _ in STEMS]
    for s, absent in ((2, 0.08), (0, 0.1)):
        if rng.random() < absent:
            continue
        for _ in range(SEEKS):
            told[s] = Part(n)
            audio, _ = renderer._part(rng, STEMS[s], plan, n, acoustic, told[s])
            if not told[s].spans["pitch"] and (told[s].notes if s else told[s].sung is not None):
                break
        stems[s] = renderer._levelled(rng, STEMS[s], audio)
    take = np.load(pool[int(rng.integers(len(pool)))], mmap_mode="r")
    start = int(rng.integers(max(1, take.shape[2] - n)))
    for s in (1, 3):
        cut = take[s, :, start : start + n].astype(np.float32) / 16384
        cut = np.pad(cut, ((0, 0), (0, n - cut.shape[1])))
        if s == 3 and rng.random() < 0.35:
            cut, _ = renderer._part(rng, "other", plan, n, acoustic)
        if rng.random() > 0.06:
            stems[s] = renderer._levelled(rng, STEMS[s], cut)
    tracks = stage.perform(rng, desk.master(rng, stems), told)
    return tracks, {VOCALS: sung(told[0], tracks[0]), BASS: played(told[2], tracks[2])}


def played(part, audio):
    """Contour of a bass; silence is known to be silent."""
    contour = contour_of_notes(part, audio, SAMPLERATE)
    if not audio.any():
        return np.full_like(contour.midi, np.nan), np.ones(len(contour.midi), bool)
    return contour.midi, contour.known


def sung(part, audio):
    """Contour of a voice."""
    audible = loud_enough(audio, SAMPLERATE)
    midi, known = np.full((audible.size, 1), np.nan), np.ones(audible.size, bool)
    if audio.any():
        known = part.knows("pitch", np.arange(audible.size) * STEP_S) & (part.sung is not None)
        if part.sung is not None:
            n = min(len(part.sung), audible.size)
            midi[:n, 0] = np.where(audible[:n], part.sung[:n], np.nan)
    return midi, known


def hear(rng, spec, net, tracks, truth):
    """[(source, x (t, n_in), midi (t, 2), known (t,))] of a take: separated, and less so."""
    m = spec.hop_length
    fed = soxr.resample(tracks.reshape(-1, tracks.shape[2]).T, SAMPLERATE, spec.samplerate).T
    hops = fed.shape[1] // m
    fed = fed[:, : hops * m].astype(np.float32).reshape(5, N_CHANNELS, hops, m)
    ideal = np.ascontiguousarray(fed[:N_STEMS].transpose(2, 0, 1, 3))[:, None]
    mixes = np.ascontiguousarray(fed.sum(0).transpose(1, 0, 2))[:, None]
    net.reset()
    separator, ears = HopSeparator(spec, net), [Pitch(spec), Pitch(spec)]
    stems = np.zeros((1, N_STEMS, N_CHANNELS, m), np.float32)
    mix = np.zeros((1, N_CHANNELS, m), np.float32)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    share = np.float32(1.0 if rng.random() < 0.25 else rng.uniform(0.25, 0.75))
    seen = {(i, source): [] for i in range(2) for source in HEARD}
    audible, ends_s = ({source: [] for source in HEARD} for _ in range(2))
    looked = {key: [] for key in seen}  # silence is not looked at
    for h in range(hops):
        separator.process(mixes[h], stems, mix)
        alone = ideal[max(h - 1, 0)]  # audio is a hop older
        for i, heard in enumerate((stems, stems + share * (alone - stems))):
            before = [ear.frames for ear in ears[i].ears]
            ears[i].process(mix, heard, out)
            for source, ear, frames in zip(HEARD, ears[i].ears, before, strict=True):
                if ear.frames == frames or frames % EVERY:
                    continue
                seen[i, source].append(ear.x.astype(np.float16))
                looked[i, source].append(out[0, source, VOICING] > 0)
                if i == 0:
                    power = np.mean(np.square(alone[0, source - 1]))
                    audible[source].append(power > FAINT * np.mean(np.square(mix)))
                    ends_s[source].append((h + 1) * spec.hop_s)
    rows = []
    for (i, source), x in seen.items():
        midi, known = truth[source]
        at_s = np.array(ends_s[source]) - spec.hop_s - LAG_S[source]
        at = np.clip(np.round(at_s / STEP_S).astype(int), 0, len(midi) - 1)
        pair = np.stack([midi[at, 0], midi[at, -1]], 1)
        faint = np.isfinite(pair[:, 0]) & ~np.array(audible[source])
        asked = known[at] & (at_s >= FROM_S) & ~faint & np.array(looked[i, source])
        rows.append((source, np.array(x), pair, asked))
    return rows


def tones(rng, spec, source):
    """The same of tones, and noise, of one source alone; the mixture is the same, or nothing."""
    samples, m = int(TONE_S * spec.samplerate), spec.hop_length
    audio, midi = np.zeros(0), np.zeros(0)
    while audio.size < samples:
        n = int(rng.uniform(0.25, 0.9) * spec.samplerate)
        hertz = np.exp(rng.uniform(*np.log(RANGE_HZ[source])))
        wide = rng.uniform(0, 0.4) * (rng.random() < 0.4)
        t = np.arange(n) / spec.samplerate
        swing = hertz * 2 ** (wide / 12 * np.sin(2 * np.pi * rng.uniform(4, 7) * t))
        phase = 2 * np.pi * np.cumsum(swing) / spec.samplerate
        count = int(rng.choice((1, 1, 2, 3, 4, 6, 8)))
        strength = 1 / np.arange(1, count + 1)
        if rng.random() < 0.5:
            strength = rng.exponential(1, count)
        if count > 2 and rng.random() < 0.3:
            strength[0] *= rng.choice((0, 0.1, 0.3))
        if count > 2 and rng.random() < 0.2:
            strength[1::2] *= 0.1
        strength *= hertz * np.arange(1, count + 1) < TOP_HZ[source]
        tone = sum(a * np.sin((k + 1) * phase + rng.uniform(0, 6)) for k, a in enumerate(strength))
        tone *= 10 ** (rng.uniform(-35, 0) / 20) / (np.abs(tone).max() + 1e-9)
        noise = rng.standard_normal(n)
        pitch = 69 + 12 * np.log2(swing / 440)
        tone += 10 ** (rng.uniform(-70, -45) / 20) * noise
        if rng.random() < 0.3:
            tone = 10 ** (rng.uniform(-50, -8) / 20) * noise * (rng.random() < 0.8)
            pitch[:] = np.nan
        audio, midi = np.concatenate([audio, tone]), np.concatenate([midi, pitch])
    pitch = Pitch(spec)
    beside = float(rng.random() < 0.5)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    stems = np.zeros((1, N_STEMS, N_CHANNELS, m), np.float32)
    x, ends, ear = [], [], pitch.ears[list(HEARD).index(source)]
    for end in range(m, samples // m * m, m):
        stems[:, source - 1] = audio[end - m : end]
        frames = ear.frames
        pitch.process(np.float32(beside) * stems[:, source - 1], stems, out)
        if ear.frames > frames and frames % EVERY == 0:
            x.append(ear.x.astype(np.float16))
            ends.append(end)
    ends = np.array(ends)
    at = np.clip(ends - int(LAG_S[source] * spec.samplerate), 0, midi.size - 1)
    pair = np.stack([midi[at], midi[at]], 1)
    return source, np.array(x), pair, ends > FROM_S * spec.samplerate


def wanted(midi, lowest, n):
    """Soft targets (t, n) on semitones, an octave's two pitches alike; and (t,) voiced."""
    voiced = np.isfinite(midi[:, 0])
    target, row = np.zeros((len(midi), n), np.float32), np.arange(len(midi))
    for column in midi.T:
        at = np.clip(np.nan_to_num(column) - lowest, 0, n - 1.001)
        low = at.astype(int)
        target[row, low] += 0.5 * (1 - (at - low))
        target[row, low + 1] += 0.5 * (at - low)
    target[~voiced] = 0
    return target, voiced.astype(np.float32)


def varied(rng, x, source):
    """(x, half semitones by which it is higher now): moved, coloured, sometimes without stem."""
    n_lags, n_bands = (2 * (b - a) + 1 for a, b in (STATES[source], BANDS[source]))
    x = x.astype(np.float32)
    by = int(rng.integers(-FAR, FAR + 1)) if rng.random() < 0.7 else 0
    parts = np.cumsum([0, n_lags, n_lags, n_bands, n_bands])
    assert parts[-1] + LEVELS == x.shape[1]
    for first, end in pairwise(parts):
        at = np.clip(np.arange(end - first) - by, 0, end - first - 1)
        x[:, first:end] = x[:, first + at]
    places = np.linspace(0, n_bands - 1, 5)
    colour = np.interp(np.arange(n_bands), places, rng.normal(0, 0.1, 5)).astype(np.float32)
    x[:, parts[2] : parts[3]] += colour
    x[:, parts[3] : parts[4]] += colour
    if rng.random() < 0.04:
        x[:, :n_lags] = 0
        x[:, parts[2] : parts[3]] -= rng.uniform(0, 0.5)
    return x, by


def learn(rng, rows, source, epochs):
    """Layers, each (n_in + 1, n_out), of rows as `hear` gives them; AdamW."""
    lowest, n = STATES[source][0], STATES[source][1] - STATES[source][0] + 1
    sizes = (rows[0][0].shape[1], *HIDDEN, n + 1)
    torch.manual_seed(int(rng.integers(1 << 30)))
    linear = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    net = torch.nn.Sequential(linear[0], torch.nn.ReLU(), linear[1], torch.nn.ReLU(), linear[2])
    steps = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    for epoch in range(epochs):
        clips = []
        for x, midi, known in rows:
            use = np.flatnonzero(known)[int(rng.integers(2)) :: 2]
            moved, by = varied(rng, x[use], source)
            clips.append((moved, *wanted(midi[use] + by / 2, lowest, n)))
        x, target, voiced = (
            torch.from_numpy(np.concatenate(part)) for part in zip(*clips, strict=True)
        )
        order, losses = torch.randperm(len(x)), []
        for start in range(0, len(x) - BATCH // 2, BATCH):
            done = epoch * len(x) + start
            for group in steps.param_groups:
                turn = np.cos(np.pi * done / (epochs * len(x)))
                group["lr"] = RATE * min(1, done / SLOW_START + 0.05) * 0.5 * (1 + turn)
            at = order[start : start + BATCH]
            logits = net(x[at])
            pitch = -(target[at] * torch.log_softmax(logits[:, :-1], 1)).sum()
            sound = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, -1], voiced[at])
            loss = pitch / (voiced[at].sum() + 1) + sound
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses.append(loss.item())
        print(f"{HEARD[source]} {epoch}: {np.mean(losses):.3f}", flush=True)
    return [
        torch.cat([layer.weight.T, layer.bias[None]]).detach().numpy().astype(np.float16)
        for layer in linear
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--pool", type=Path, required=True, help="rendered takes, for the rest")
    parser.add_argument("--takes", type=int, default=140)
    parser.add_argument("--tones", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=14.0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=NETS)
    args = parser.parse_args()
    renderer = Renderer(Library(args.samples, args.cache, "train"))
    pool = sorted(args.pool.glob("take_*.npy"))
    spec = StreamSpec.of("live", 48000)
    net = MaskNet(find_model("default", "live"), spec, "cpu")
    rows = {source: [] for source in HEARD}
    for i in range(args.takes):
        rng = np.random.default_rng((args.seed, i))
        tracks, truth = render(rng, renderer, pool, int(args.seconds * SAMPLERATE))
        for source, *row in hear(rng, spec, net, tracks, truth):
            rows[source].append(row)
        print(f"take {i}", flush=True)
    rng = np.random.default_rng(args.seed)
    layers = {}
    for source, name in HEARD.items():
        rows[source] += [tones(rng, spec, source)[1:] for _ in range(args.tones)]
        learned = learn(rng, rows[source], source, args.epochs)
        for layer, weights in zip(("first", "second", "third"), learned, strict=True):
            layers[f"{name}_{layer}"] = weights
    np.savez_compressed(args.out, **layers)


if __name__ == "__main__":
    main()
