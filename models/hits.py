"""Teach the net behind onsets and hits; it belongs to the daemon, not to a model.

    python -m models.hits --clips ../clips --work ../hits --profile live --minutes 60
    python -m models.hits --clips ../clips --work ../hits --profile tight --minutes 15 --like live
    python -m models.hits --clips ../clips --work ../hits --minutes 47 \\
        --start stemd/assets/odds.npz --mean stemd/assets/odds.npz

Clips are those of `models.clips`. What the net sees (`stemd.processors.odds`) of one is made once:
as the released model separates it, and of the true stems. `--like` spares the separation: it takes
each band's gain from another profile's, and starts from that profile's net. Levels are varied each
time they are shown: better or worse separated, other colours, other loudness, drums alone put over
the rest of another clip. Half-way between what was learned and what was there (`--mean`) each
output is about as good as at the better end, as in `models.mean`.

Thresholds are those that are best, in F1, on what was not taught: of the validation part the clips
whose truth is a score; of drums all of them, and two thirds of the say have the real songs.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
import torch
from torch import nn
from torch.nn import functional

from models import signals
from models.clips import STROKES, load
from models.library import SAMPLERATE
from models.mean import mean
from stemd.kernels.powers import band_magnitudes
from stemd.kernels.window import window_pair
from stemd.processors.catalogue import find_model
from stemd.processors.drums import Drums
from stemd.processors.masknet import MaskNet
from stemd.processors.odds import (
    EDGES_HZ,
    FLOOR,
    KNEE,
    LAYERS,
    LOUDEST_S,
    MIX_SHARE,
    NET,
    OUTPUTS,
    RISE_MS,
)
from stemd.processors.onset import HITS_SHARE, SURE
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.processors.stft import Analysis, sine_gain
from stemd.spec import DRUMS, N_CHANNELS, N_STEMS, PROFILES, SOURCES, StreamSpec

# Hops ago at which the net looks at its own projections: up to 85 ms.
LAGS = {
    "tight": (0, 2, 4, 8, 16, 32),
    "live": (0, 1, 2, 4, 8, 16),
    "quality": (0, 1, 2, 3, 5, 8),
    "classic": (0, 1, 2, 3, 5, 8),
}
N_BANDS, N_SOURCES = len(EDGES_HZ) - 1, len(SOURCES)
STRUCK = SOURCES.index("drums")
N_EMBED, N_HIDDEN, N_STATE = SIZE = (48, 64, 40)
APART, ALONE = range(2)  # rows of levels kept: separated, and of the true stems
# Of a frame that ends so many ms after an event the net is to say so; before and for DEAF_MS after
# that it may say what it likes.  A voice begins slowly; drums begin alike.
ONSET_MS = {"mix": (3.5, 22), "vocals": (5, 34), "drums": (3.5, 19), "bass": (4.5, 30),
            "other": (4.5, 30)}  # fmt: skip
STROKE_MS, DEAF_MS = (6.5, 20), 12.0
DOUBT = 0.25  # weight of "nothing begins" where a detector says so, that soft onsets escape
WEIGHTS = (0.6, 0.7, 1.6, 1.0, 1.0, 1.0, 1.0, 0.8, 0.4, 0.4)  # of the outputs in the loss
SEQUENCE_S, BATCH, SIGNALS = 4.0, 30, 6
RATE, SLOW_START = 3e-3, 100
FEEDS = 4  # separated at a time
GRID = np.arange(-3, 3.01, 0.25)  # of thresholds


def resampled(tracks, rate):
    """(5, 2, n) at another rate."""
    if rate == SAMPLERATE:
        return tracks
    flat = tracks.reshape(-1, tracks.shape[-1])
    return soxr.resample(flat.T, SAMPLERATE, rate, "MQ").T.reshape(5, 2, -1).astype(np.float32)


class Levels:
    """Levels in the bands of `Odds`, and the `powers` they are of, from spectra."""

    def __init__(self, spec):
        window, _ = window_pair(spec.n_fft, spec.hop_length)
        self._gain = sine_gain(window)
        self._edges = (np.array(EDGES_HZ) * spec.n_fft / spec.samplerate).astype(np.float32)
        self.powers, self._sources = Powers(spec), np.arange(N_SOURCES)
        self.levels = np.zeros((spec.n_feeds, N_SOURCES, N_BANDS), np.float32)

    def __call__(self, spectra, masked):
        bins = self.powers.process(spectra, masked).bins
        band_magnitudes(bins, self._sources, self._edges, self._gain, self.levels)
        return self.levels


def hear(spec, clips, model=None):
    """Levels (hop, b, APART | ALONE, source, band) of clips (5, 2, n), one a feed, and logits
    (hop, b, 3) of `Drums`; APART, and these, if there is a model, else no numbers."""
    levels, drums, hop_length = Levels(spec), Drums(spec), spec.hop_length
    separator = HopSeparator(spec, model)
    analyses = [Analysis(spec) for _ in range(N_STEMS - 1)]
    n_hops = min(clip.shape[2] for clip in clips) // hop_length
    clips = np.stack([clip[:, :, : n_hops * hop_length] for clip in clips])
    kept = np.zeros((n_hops, len(clips), 2, N_SOURCES, N_BANDS), np.float32)
    hits = np.full((n_hops, len(clips), len(DRUMS)), np.nan, np.float32)
    stems = np.zeros((len(clips), N_STEMS, N_CHANNELS, hop_length), np.float32)
    mix = np.zeros((len(clips), N_CHANNELS, hop_length), np.float32)
    true = np.zeros_like(separator.masked)
    for h, row in enumerate(kept):
        cut = clips[..., h * hop_length : (h + 1) * hop_length]
        separator.process(np.ascontiguousarray(cut.sum(1)), stems, mix)
        if model is not None:
            row[:, APART] = levels(separator.spectra, separator.masked)
            drums.listen(levels.powers)
            hits[h] = drums.logits
        for s, analysis in enumerate(analyses):
            true[:, s] = analysis.process(np.ascontiguousarray(cut[:, s]))
        row[:, ALONE] = levels(separator.spectra, true)
    return kept, hits


def carried(levels, like, hop_length, like_hop_length):
    """Put into APART of (hop, 2, source, band) what another profile's model would have made."""
    gains = like[:, APART] / np.maximum(like[:, APART, :1], 1e-9)
    at = (np.arange(len(levels)) + 1) * hop_length // like_hop_length - 1
    levels[:, APART] = levels[:, ALONE, :1] * np.minimum(gains[np.clip(at, 0, len(like) - 1)], 1.5)


class Heard(NamedTuple):
    """What the net sees of a clip, and what is true of it.

    levels (hop, 2, source, band), hits (hop, 3): as `hear` makes them; no hits with --like
    onsets, heard, strokes : as `clips.known` tells them
    """

    levels: np.ndarray
    hits: np.ndarray
    onsets: np.ndarray
    heard: np.ndarray
    strokes: np.ndarray
    rate: int

    @classmethod
    def read(cls, path):
        with np.load(path) as file:
            return cls(*(file[name] for name in cls._fields[:-1]), int(file["rate"]))


def prepare(args, part):
    """What the net sees of all clips of a part: files in work/<profile>; those there are kept."""
    folder = args.work / args.profile
    folder.mkdir(parents=True, exist_ok=True)
    todo = [p for p in sorted(args.clips.glob(f"{part}_*.npz")) if not (folder / p.name).exists()]
    for start in range(0, len(todo), FEEDS):
        group = todo[start : start + FEEDS]
        rate = 44100 if start // FEEDS % 3 == 2 else 48000
        if args.like:
            with np.load(args.work / args.like / group[0].name) as file:
                rate = int(file["rate"])
        spec = StreamSpec.of(args.profile, rate, len(group))
        clips, known = zip(*map(load, group), strict=True)
        model = None
        if not args.like:
            model = MaskNet(find_model("default", args.profile), spec, "cpu")
        heard, hits = hear(spec, [resampled(tracks, rate) for tracks in clips], model)
        for b, (path, facts) in enumerate(zip(group, known, strict=True)):
            levels = heard[:, b]
            if args.like:
                with np.load(args.work / args.like / path.name) as file:
                    like = StreamSpec.of(args.like, rate).hop_length
                    carried(levels, file["levels"], spec.hop_length, like)
            np.savez(folder / path.name, levels=levels, hits=hits[:, b], rate=rate, **facts)
        print(f"{args.profile}: heard {start + len(group)} of {len(todo)}", flush=True)
    return [Heard.read(path) for path in sorted(folder.glob(f"{part}_*.npz"))]


def paper(rng, profile, count):
    """(kind, levels (hop, band), onsets, strokes, rate) of signals known on paper."""
    told = []
    for i in range(count):
        rate = 44100 if i % 3 == 2 else 48000
        kind, audio, onsets, strokes = signals.draw(rng, rate)
        clip = np.zeros((5, 2, audio.size), np.float32)
        clip[0] = audio
        levels, _ = hear(StreamSpec.of(profile, rate), [clip])
        levels = levels[:, 0, ALONE, 0]
        told.append((kind, levels, onsets, strokes, rate))
    return told


# ---- what is shown


def wanted(onsets, strokes, hops, hop_ms, heard=()):
    """(target, weight), each (hop, output): 1 just after an event, weight 0 around that and where
    nobody knows.

    heard : (source,) bool, whose onsets a detector had to find
    """
    target = np.zeros((hops, N_SOURCES + len(STROKES)), np.float32)
    weight = np.ones_like(target)
    if np.isnan(strokes).any():
        strokes = np.zeros((0, 3))
        weight[:, N_SOURCES:] = 0

    def frames(at_s, first_ms, last_ms):
        first, last = (int(np.ceil((1e3 * at_s + ms) / hop_ms - 1)) for ms in (first_ms, last_ms))
        return slice(max(first, 0), max(last, 0))

    for events, base, windows in (
        (onsets, 0, list(ONSET_MS.values())),
        (strokes, N_SOURCES, [STROKE_MS] * len(STROKES)),
    ):
        spans = [(early, max(late, early + 1.05 * hop_ms)) for early, late in windows]
        for which, at, weak in events:
            late = spans[int(which)][1]
            deaf = frames(at, -4, late + 25) if weak else frames(at, 0, late + DEAF_MS)
            weight[deaf, base + int(which)] = 0
        for which, at, weak in events:
            if not weak:
                now = frames(at, *spans[int(which)])
                target[now, base + int(which)] = weight[now, base + int(which)] = 1
    for source in np.flatnonzero(heard):
        if source != STRUCK:
            weight[target[:, source] == 0, source] *= DOUBT
    return target, weight


def seen(levels, spec):
    """What the net sees, (hop, 2 * source * band), of levels (hop, source, band): `see` for a whole
    take."""
    total = np.sqrt((levels.astype(np.float64) ** 2).sum(2)) + 1e-12
    fall = np.arange(len(levels))[:, None] * spec.hop_length / (LOUDEST_S * spec.samplerate)
    loudest = np.exp(np.maximum.accumulate(np.log(total) + fall, 0) - fall)
    scale = np.maximum(np.maximum(loudest, MIX_SHARE * loudest[:, :1]), FLOOR)
    x = (0.4 * np.log(levels / scale[:, :, None] + KNEE) + 1.4).astype(np.float32)
    lag = max(1, round(spec.samples(RISE_MS) / spec.hop_length))
    old = np.full_like(x, 0.4 * np.log(KNEE) + 1.4)
    old[lag:] = x[:-lag]
    old[lag + 1 :] = np.maximum(old[lag + 1 :], x[: -lag - 1])
    near = old.copy()
    near[..., 1:] = np.maximum(near[..., 1:], old[..., :-1])
    near[..., :-1] = np.maximum(near[..., :-1], old[..., 1:])
    return np.concatenate([x, np.maximum(x - near, 0)], axis=1).reshape(len(x), -1)


def curve(rng, low, high):
    """(band,) from `low` to `high` dB, smooth."""
    return np.interp(np.arange(N_BANDS), np.linspace(0, N_BANDS - 1, 5), rng.uniform(low, high, 5))


def tuned(rng, levels):
    """Everything a third of an octave or less up or down."""
    at = np.clip(np.arange(N_BANDS) + rng.uniform(-0.8, 0.8), 0, N_BANDS - 1)
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float32)
    return levels[..., low] * (1 - share) + levels[..., np.minimum(low + 1, N_BANDS - 1)] * share


def spilled(rng, true):
    """Power (hop, stem, band) as a poor separator would part it."""
    kept = true * np.stack([10 ** (-np.abs(curve(rng, -4, 4)) / 10) for _ in range(N_STEMS)])
    mix, loss = true.sum(1), rng.uniform(-30, -10)
    for s in range(N_STEMS - 1):
        kept[:, s] += 10 ** ((loss + curve(rng, -6, 6)) / 10) * (mix - true[:, s])
    kept[:, -1] = np.maximum(mix - kept[:, :-1].sum(1), 0.03 * rng.random() * mix)
    return kept


def with_mix(stems):
    """Levels (hop, source, band) of power (hop, stem, band)."""
    return np.sqrt(np.concatenate([stems.sum(1, keepdims=True), stems], axis=1))


def varied(rng, levels):
    """One version of a clip's levels (hop, 2, source, band): (hop, source, band)."""
    apart, alone, draw = levels[:, APART], levels[:, ALONE], rng.random()
    if draw < 0.6:
        out = apart
    elif draw < 0.8:
        share = rng.random()
        out = np.sqrt(share * apart**2 + (1 - share) * alone**2)
    elif draw < 0.92:
        out = alone
    else:
        out = with_mix(spilled(rng, alone[:, 1:] ** 2))
    return tuned(rng, out) if rng.random() < 0.7 else out


def transplanted(rng, drums, other):
    """The drums of one clip over the rest of another, levels (hop, 2, source, band) both."""
    n = min(len(drums), len(other))
    true = np.roll(other[:n, ALONE, 1:], int(rng.integers(n)), axis=0) ** 2
    mine = tuned(rng, drums[:n, ALONE, STRUCK]) ** 2
    true[:, STRUCK - 1] = 0
    power = true.sum((1, 2)).mean()
    if power > 1e-10:
        loud = 10 ** (rng.uniform(-12, 8) / 10) if rng.random() < 0.85 else 1e-5
        true *= loud * mine.sum(1).mean() / power
    true[:, STRUCK - 1] = mine
    return with_mix(spilled(rng, true) if rng.random() < 0.8 else true)


def example(rng, bands, kits, profile):
    """(seen, target, weight) of one version of one clip: of a band, or of a drummer."""
    fill_in = rng.random() < 0.35
    pool = kits if fill_in else bands
    take = pool[int(rng.integers(len(pool)))]
    levels, spec = take.levels, StreamSpec.of(profile, take.rate)
    target, weight = wanted(take.onsets, take.strokes, len(levels), 1e3 * spec.hop_s, take.heard)
    if fill_in and rng.random() < 0.92:
        shown = transplanted(rng, levels, bands[int(rng.integers(len(bands)))].levels)
        weight[:, [0, 1, 3, 4]] = 0
    else:
        shown = varied(rng, levels)
    loud = 10 ** ((curve(rng, -5, 5) + rng.normal(0, 6)) / 20)
    n = len(shown)
    return seen((shown * loud).astype(np.float32), spec), target[:n], weight[:n]


def known_signal(rng, told, profile):
    """(seen, target, weight) of a signal in one stem alone."""
    kind, one, onsets, strokes, rate = told[int(rng.integers(len(told)))]
    source = 1 + int(rng.integers(N_STEMS))
    if kind == "kit" and rng.random() < 0.85:
        source = STRUCK
    levels = np.zeros((len(one), N_SOURCES, N_BANDS), np.float32)
    levels[:, [0, source]] = one[:, None] * np.float32(10 ** (rng.normal(0, 4) / 20))
    rows = np.array([(row, at, 0) for row in (0, source) for at in onsets]).reshape(-1, 3)
    hits = np.zeros((0, 3))
    steady = kind in ("noise", "tone", "vibrato")
    if source == STRUCK and kind == "kit":
        hits = np.column_stack([strokes, np.zeros(len(strokes))])
    elif source == STRUCK and not steady:
        hits = np.full((1, 3), np.nan)  # who knows what a click is
    spec = StreamSpec.of(profile, rate)
    target, weight = wanted(rows, hits, len(levels), 1e3 * spec.hop_s)
    target, weight = target[: len(levels)], weight[: len(levels)]
    if source == STRUCK and steady:
        weight[: int(0.3 / spec.hop_s), N_SOURCES:] = 0
    return seen(levels, spec), target, weight


# ---- the net


class Net(nn.Module):
    """`think` for whole sequences (b, t, n_in); before them all was as in the first frame."""

    def __init__(self, profile):
        super().__init__()
        self.lags = LAGS[profile]
        self.embed = nn.Linear(2 * N_SOURCES * N_BANDS, N_EMBED)
        self.mid = nn.Linear(N_EMBED * len(self.lags), N_HIDDEN)
        self.gru = nn.GRU(N_HIDDEN, N_STATE, batch_first=True)
        self.out = nn.Linear(N_HIDDEN + N_STATE, N_SOURCES + len(STROKES))
        nn.init.constant_(self.out.bias, -3.0)  # events are rare

    def forward(self, x):
        e = self.embed(x)
        past = [torch.cat([e[:, :1].expand(-1, lag, -1), e[:, : e.shape[1] - lag]], 1)
                for lag in self.lags]  # fmt: skip
        hidden = torch.relu(self.mid(torch.cat(past, -1)))
        state, _ = self.gru(hidden)
        return self.out(torch.cat([hidden, state], -1))

    def pairs(self):
        """(weight, bias) of each of `LAYERS`."""
        gru = self.gru
        return (
            (self.embed.weight, self.embed.bias),
            (self.mid.weight, self.mid.bias),
            (gru.weight_ih_l0, gru.bias_ih_l0),
            (gru.weight_hh_l0, gru.bias_hh_l0),
            (self.out.weight, self.out.bias),
        )

    def load(self, path, profile):
        """Weights of a .pt, or of a released file; what that leaves out stays as it is."""
        if path.suffix == ".pt":
            self.load_state_dict(torch.load(path))
            return
        with np.load(path) as file, torch.no_grad():
            for layer, (weight, bias) in zip(LAYERS, self.pairs(), strict=True):
                whole = torch.from_numpy(file[f"{profile}_{layer}"].astype(np.float32))
                weight[: whole.shape[1]] = whole[:-1].T
                bias[: whole.shape[1]] = whole[-1]

    def halve(self, path, profile):
        """Half the way to the weights of another net; what it leaves out stays as it is."""
        other = Net(profile)
        other.load_state_dict(self.state_dict())
        other.load(path, profile)
        self.load_state_dict(mean(self.state_dict(), [other.state_dict()]))

    def layers(self, threshold):
        """{name: (n_in + 1, n_out)} as `Odds` wants them, the last row is the bias; what is not
        told is left out, and the odds are 1 where the logit is `threshold`."""
        parts = [
            torch.cat([weight.T, bias[None]]).detach().numpy() for weight, bias in self.pairs()
        ]
        parts[-1] = parts[-1][:, : len(OUTPUTS)].copy()
        parts[-1][-1] -= threshold
        return dict(zip(LAYERS, parts, strict=True))


def batch(rng, bands, kits, told, profile):
    """(seen, target, weight), each (BATCH + SIGNALS, t, n): stretches of SEQUENCE_S."""
    shown = []
    n = int(SEQUENCE_S * 48000 / PROFILES[profile].hop_length)
    while len(shown) < BATCH:
        one = example(rng, bands, kits, profile)
        for _ in range(3):  # making it takes longer than learning from it
            start = int(rng.integers(len(one[0]) - n + 1))
            shown.append(stretch(one, start, n))
    for _ in range(SIGNALS):
        one = known_signal(rng, told, profile)
        start = int(rng.integers(len(one[0]) - n + 1)) if rng.random() < 0.5 else 0
        shown.append(stretch(one, start, n))
    return [torch.from_numpy(np.stack(part)) for part in zip(*shown, strict=True)]


def stretch(one, start, n):
    """`n` frames; of the first, whose past is cut off, nothing is asked."""
    x, target, weight = (part[start : start + n] for part in one)
    if start:
        weight = weight.copy()
        weight[:8] = 0
    return x, target, weight


def learn(args, rng, takes, told, net):
    """AdamW at a rate that falls to nothing when the time is up; the mean of the last steps."""
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-3)
    weights = torch.tensor(WEIGHTS)
    begun, step, average, losses = time.monotonic(), 0, None, []
    kits = [take for take in takes if not np.isnan(take.strokes).any()]
    bands = [take for take in takes if take.levels[:, ALONE, [1, 3, 4]].any()]
    top = RATE / 2 if args.like or args.start else RATE
    while (done := (time.monotonic() - begun) / (60 * args.minutes)) < 1:
        rate = top * min(1, (step + 1) / SLOW_START) * (0.02 + 0.49 * (1 + np.cos(np.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, target, weight = batch(rng, bands, kits, told, args.profile)
        loss = functional.binary_cross_entropy_with_logits(net(x), target, reduction="none")
        loss = (loss * weight * (1 + 0.5 * target) * weights).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        losses.append(float(loss))
        keep = min(0.995, step / (step + 10))
        now = {k: v.detach().clone() for k, v in net.state_dict().items()}
        before = average or now
        average = {k: keep * before[k] + (1 - keep) * now[k] for k in now}
        if step % 50 == 0:
            torch.save(average, args.work / f"{args.profile}.part.pt")
            print(f"{args.profile} {step}: {np.mean(losses[-50:]):.4f}, {done:.0%}", flush=True)
    net.load_state_dict(average)
    return net


def balanced(net, takes, songs, profile):
    """Logit of each output at which it is best, in F1, on takes it was not taught.

    Where a detector had to find the onsets of a stem, or of what the mixture is made of, that clip
    has no say: soft ones are not in its truth, and thresholds asked too much. Drums are what it
    finds best, and what real songs are there for: they have two thirds of the say. Rendered drums
    would have it hear more, and on real music three of ten were then false.
    """
    f1 = curves(net, takes, profile)
    # Of few events, one more or less makes a peak.
    f1[:, 1:-1] = f1[:, :-2] / 4 + f1[:, 1:-1] / 2 + f1[:, 2:] / 4
    if songs:
        f1[STRUCK] = (f1[STRUCK] + 2 * curves(net, songs, profile)[STRUCK]) / 3
    print(profile, {k: f"{100 * v:.1f}" for k, v in zip(OUTPUTS, f1.max(1), strict=True)})
    return GRID[f1.argmax(1)]


def curves(net, takes, profile):
    """F1 of each output where it is declared at logits of GRID, (output, n)."""
    right, told, asked = np.zeros((3, len(OUTPUTS), len(GRID)))
    for take in takes:
        spec = StreamSpec.of(profile, take.rate)
        with torch.no_grad():
            logits = net(torch.from_numpy(seen(take.levels[:, APART], spec))[None])[0].numpy()
        named = take.strokes[take.strokes[:, 0] < len(DRUMS)] + [N_SOURCES, 0, 0]
        strokes_known = not np.isnan(take.strokes).any()
        events = np.concatenate([take.onsets, named]) if strokes_known else take.onsets
        gap = max(1, round(0.045 / spec.hop_s))
        for k in range(len(OUTPUTS) if strokes_known else N_SOURCES):
            if k < N_SOURCES and take.heard[k] and k != STRUCK:
                continue
            mine = events[events[:, 0] == k]
            strong, weak = (mine[mine[:, 2] == flag, 1] for flag in (0, 1))
            for g, asked_logit in enumerate(GRID):
                over = logits[:, k] - asked_logit
                if k == STRUCK and not np.isnan(take.hits).any():  # as `pick_onsets` has it
                    over = np.maximum(over - SURE, over + HITS_SHARE * (take.hits.max(1) - over))
                found = picked(over, gap) * spec.hop_s
                hit = matched(found, strong)
                near = [np.abs(weak - at).min(initial=1) < 0.05 for at in found]
                right[k, g] += hit
                asked[k, g] += len(strong)
                told[k, g] += max(hit, len(found) - int(np.sum(near)))
    return 2 * right / np.maximum(told + asked, 1)


def picked(over, gap):
    """Frames in which `pick_onsets` and `pick_hits` declare something."""
    found, armed = [-gap], True
    for h, value in enumerate(over):
        if value <= -1:
            armed = True
        elif armed and value > 0 and h - found[-1] >= gap:
            found.append(h)
            armed = False
    return np.array(found[1:], int)


def matched(found, truth, tolerance=0.05):
    """Pairs of two rising lists of times, each used once, in order."""
    i = j = pairs = 0
    while i < len(found) and j < len(truth):
        apart = found[i] - truth[j]
        if abs(apart) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif apart < 0:
            i += 1
        else:
            j += 1
    return pairs


def saved(path, profile, net, threshold):
    """Put one profile's net into the file; the others stay."""
    parts = {}
    if path.exists():
        with np.load(path) as file:
            parts = dict(file)
    for name, layer in net.layers(threshold).items():
        parts[f"{profile}_{name}"] = layer.astype(np.float16)
    parts[f"{profile}_lags"] = np.array(net.lags, np.int16)
    np.savez_compressed(path, **parts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="of `models.clips`, both parts")
    parser.add_argument("--work", type=Path, required=True, help="for levels and unfinished nets")
    parser.add_argument("--profile", choices=PROFILES, default="live")
    parser.add_argument("--like", choices=PROFILES, help="a profile that is finished")
    parser.add_argument("--start", type=Path, help="a net to go on from, .pt or .npz")
    parser.add_argument("--mean", type=Path, help="a net to end half-way to, .pt or .npz")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--signals", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=NET)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    takes, held, songs = (prepare(args, part) for part in ("train", "validation", "song"))
    told = paper(rng, args.profile, args.signals)
    net = Net(args.profile)
    start = args.start or (args.work / f"{args.like}.pt" if args.like else None)
    if start:
        net.load(start, args.profile)
    learn(args, rng, takes, told, net)
    if args.mean:
        net.halve(args.mean, args.profile)
    torch.save(net.state_dict(), args.work / f"{args.profile}.pt")
    saved(args.out, args.profile, net, balanced(net, held, songs, args.profile))


if __name__ == "__main__":
    main()
