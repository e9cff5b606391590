"""A pool of rendered takes on disk, and batches cut and remixed from it.

    python -m models.takes --pool ../takes/train --count 400
    python -m models.takes --pool ../takes/validation --part validation --count 24
    python -m models.takes --pool ../takes/songs --part songs

Rendering music is slow and mixing is fast, so a take is rendered once and heard several times, each
time another stretch of it at another speed, with other levels and colours, and half of the time
with its stems shuffled among takes. A take depends on (seed, part, index) alone: the same number
gives the same music anywhere. Training takes are of another taste than all others
(`render/taste.py`), and were of that one in older pools.

What is heard often is learned by heart, so a pool may be filled while it is heard, and without end:

    python -m models.takes --pool ../takes/train --count 100000 --keep 1500 --minutes 65 --workers 1

replaces the oldest once there are 1500. Trainers look again after every 500 clips; what their step
n hears is then no longer the same everywhere.
"""

import argparse
import math
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
from numba import njit

from models import folders
from models.library import PARTS, SAMPLERATE, Library
from models.render import Renderer
from models.render.taste import FIRST, TRAINING
from stemd.spec import STEMS

FULL_SCALE = 2.0  # of the int16 on disk: single stems may be louder than their mixture
LEVEL = 0.1  # RMS of a mixture in training, before its own gain
N_TRACKS = 5  # vocals, drums, bass, other, and what is in the mixture but in no stem
VOCALS, OTHER, NOBODY = 0, 3, 4
LOOK_AGAIN = 500  # clips between looks at what is in the folder
SWAYED = 64  # samples played at one speed
SWAY = 40  # samples to either side: half a semitone at five and a half turns a second


class Takes:
    """Every take found in a folder; it may grow and be replaced meanwhile.

    Parameters
    ----------
    folder : Path
        Holds take_*.npy, int16 (5, 2, n).
    remix : float
        How many clips have their stems from different takes.
    calm : bool
        Little is changed: the music as it was rendered, which is what is separated in the end.
    sways : float
        How often the pitch of `other` sways, where that hurts nothing: strings bend and horns
        glide, not only voices.
    """

    def __init__(self, folder, remix=0.5, calm=False, sways=0.0):
        self.folder, self.remix, self.calm, self.sways = Path(folder), remix, calm, sways
        self._clips = 0
        self.refresh()
        if not self._paths:
            raise FileNotFoundError(f"{folder}: got no take_*.npy, expected rendered takes")

    def refresh(self):
        """Look again."""
        self._paths = sorted(self.folder.glob("take_*.npy"))
        self._open, self._levels = {}, {}

    def __len__(self):
        return len(self._paths)

    def _take(self, index):
        """(5, 2, n) int16, opened once."""
        if index not in self._open:
            self._open[index] = np.load(self._paths[index], mmap_mode="r")
        return self._open[index]

    def read(self, index, start, n):
        """(5, 2, n) float32 of take `index`, silence behind its end."""
        cut = self._take(index)[:, :, start : start + n]
        out = np.zeros((N_TRACKS, 2, n), np.float32)
        out[:, :, : cut.shape[2]] = cut
        out *= FULL_SCALE / 32768
        return out

    def plain(self, index, n):
        """Take `index` from its start, as it was rendered: for validation."""
        return self.read(index % len(self), 0, n)

    def batch(self, rng, batch, n):
        """Augmented clips, (b, 5, 2, n) float32; the mixture is their sum over tracks."""
        self._clips += batch
        if self._clips > LOOK_AGAIN:
            self._clips = 0
            self.refresh()
        return np.stack([self._clip(rng, n) for _ in range(batch)])

    def _clip(self, rng, n):
        remixed = rng.random() < self.remix
        speeds = 2 if self.calm else 3  # semitones
        ratio = draw_ratio(rng, speeds) if rng.random() < 0.6 else 1.0
        clip = self._cut(rng, n, range(N_TRACKS), ratio, remixed)
        if remixed:  # across songs: nothing fits, so only timbre can tell
            for s in range(4):
                if rng.random() < 0.75:
                    clip[s] = self._sounding(
                        rng, n, s, 5 if s == VOCALS and not self.calm else speeds
                    )
            clip[NOBODY] = 0
        # What is in no stem was made of the stems as they are: they stay so.
        for s in () if clip[NOBODY].any() else range(4):
            gain = 10 ** (rng.normal(0, 1.5 if self.calm else 3) / 20)
            if rng.random() < (0.04 if self.calm else 0.08):
                gain = 0.0
            if rng.random() < 0.3:
                clip[s] = clip[s, ::-1]
            if rng.random() < 0.5:
                gain = -gain
            clip[s] *= np.float32(gain)
            for _ in range(0 if self.calm or not gain else int(rng.integers(3))):
                filtered(clip[s], *draw_filter(rng))
        if rng.random() < (0.04 if self.calm else 0.08):  # one stem alone, or all but one
            s = int(rng.integers(4))
            if rng.random() < 0.5:
                clip[[i for i in range(N_TRACKS) if i != s]] = 0
            else:
                clip[[s, NOBODY]] = 0
        if rng.random() < 0.5:
            clip = clip[:, ::-1]
        if rng.random() < 0.08:
            clip = np.repeat(clip.mean(1, keepdims=True), 2, axis=1)
        return np.ascontiguousarray(clip * np.float32(10 ** (rng.normal(0, 6) / 20)))

    def _sounding(self, rng, n, s, semitones):
        """Stem s of a random take, of one where it sounds if that is soon found: (2, n)."""
        for _ in range(3):
            (stem,) = self._cut(rng, n, [s], draw_ratio(rng, semitones), apart=True)
            if np.abs(stem).max() > 0.05 * LEVEL:
                break
        return stem

    def _cut(self, rng, n, tracks, ratio, apart=False):
        """A stretch of a random take, played `ratio` times as fast: (tracks, 2, n) float32.

        Takes come loud and quiet; here all are equally loud. Those with one stem are to those with
        four, too: where stems go `apart`, into a mixture with others, they are as loud as in a full
        one.
        """
        index = int(rng.integers(len(self)))
        take = self._take(index)
        if index not in self._levels:
            self._levels[index] = level_of(take)
        length = min(take.shape[2], int(n * ratio) + 4 + (2 * SWAY if self.sways else 0))
        start = int(rng.integers(take.shape[2] - length + 1))
        out = np.zeros((len(tracks), 2, n), np.float32)
        level, n_stems = self._levels[index]
        scale = LEVEL / level / 32768
        if apart:
            scale *= math.sqrt(n_stems / 4)
        # What is in no stem was made of the stems as they are.
        free = self.sways and (apart or not take[NOBODY, :, start : start + length].any())
        for row, track in zip(out, tracks, strict=True):
            depth = turn = phase = 0.0
            if free and track == OTHER and rng.random() < self.sways:
                depth, phase = rng.uniform(5, SWAY), rng.uniform(0, 2 * math.pi)
                turn = 2 * math.pi * rng.uniform(4, 7) / SAMPLERATE
            played(take[track, :, start : start + length], ratio, scale, row, depth, turn, phase)
        return out


def level_of(take, blocks=64, length=2048):
    """RMS of a take's mixture in parts of 1, looked at here and there, and how many of its stems
    sound: (5, 2, n) int16."""
    starts = np.linspace(0, max(take.shape[2] - length, 0), blocks).astype(int)
    parts = np.stack([take[:, :, at : at + length] for at in starts]).astype(np.float32) / 32768
    level = max(float(np.sqrt(np.square(parts.sum(1)).mean())), 1e-4)
    power = np.square(parts[:, :NOBODY]).mean((0, 2, 3))
    return level, max(int((power > 1e-4 * level**2).sum()), 1)


def draw_ratio(rng, semitones):
    """A speed; 1.5 semitones of it are the difference between 44.1 and 48 kHz."""
    return 2 ** (rng.uniform(-semitones, semitones) / 12)


@njit(cache=True, fastmath=True)
def played(samples, ratio, scale, out, depth=0.0, turn=0.0, phase=0.0):
    """Play samples `ratio` times as fast, by cubic interpolation; what is beyond the end stays.

    samples : (c, m) int16
    out : (c, n) float32
    depth, turn, phase : how far reading sways, in samples to either side, and how: radians

    Good enough for learning: images and droop stay 30 dB down below 10 kHz. The sway goes straight
    for SWAYED samples at a time: no sine is needed for each.
    """
    n_samples = samples.shape[1]
    gain, half = np.float32(scale), np.float32(0.5)
    # Four samples around the last place are there, wherever reading sways.
    count = max(min(out.shape[1], int((n_samples - 2 - 2 * depth) / ratio)), 0)
    line = np.empty(n_samples + 1, np.float32)
    for c in range(out.shape[0]):
        if ratio == 1.0 and depth == 0.0:
            for i in range(count):
                out[c, i] = gain * np.float32(samples[c, i])
            continue
        line[0] = samples[c, 0]
        line[1:] = samples[c]
        place = depth * (1 + math.sin(phase))
        for first in range(0, count, SWAYED):
            end = min(first + SWAYED, count)
            following = end * ratio + depth * (1 + math.sin(turn * end + phase))
            near, row = line[int(place) :], out[c, first:end]
            start = np.float32(place - int(place))
            step = np.float32((following - place) / (end - first))
            for i in range(len(row)):
                x = start + np.float32(i) * step
                j = np.int32(x)
                x -= np.float32(j)
                a, b, d, e = near[j], near[j + 1], near[j + 2], near[j + 3]
                # Catmull-Rom
                third = np.float32(3) * (b - d) + e - a
                second = np.float32(2) * a - np.float32(5) * b + np.float32(4) * d - e
                row[i] = gain * (b + half * x * (d - a + x * (second + x * third)))
            place = following


def draw_filter(rng):
    """Another microphone, another body: a shelf of ±6 dB or a bell of ±9 dB, as (b, a)."""
    if rng.random() < 0.5:
        gain = 10 ** (rng.uniform(-6, 6) / 20)
        corner = np.exp(rng.uniform(np.log(200), np.log(4000)))
        pole = np.exp(-2 * np.pi * corner / SAMPLERATE)
        b, a = (1 - pole + gain * pole, -gain * pole, 0.0), (1.0, -pole, 0.0)
        return np.array(b), np.array(a)
    gain = 10 ** (rng.uniform(-9, 9) / 40)
    w = 2 * np.pi * np.exp(rng.uniform(np.log(80), np.log(8000))) / SAMPLERATE
    alpha = np.sin(w) / (2 * rng.uniform(0.5, 4))
    b = np.array([1 + alpha * gain, -2 * np.cos(w), 1 - alpha * gain])
    a = np.array([1 + alpha / gain, -2 * np.cos(w), 1 - alpha / gain])
    return b / a[0], a / a[0]


@njit(cache=True)
def filtered(audio, b, a):
    """A filter of second order over (c, n) float32, in place."""
    for c in range(audio.shape[0]):
        x1 = x2 = y1 = y2 = 0.0
        for i in range(audio.shape[1]):
            x = audio[c, i]
            y = b[0] * x + b[1] * x1 + b[2] * x2 - a[1] * y1 - a[2] * y2
            x2, x1, y2, y1 = x1, x, y1, y
            audio[c, i] = y


def render(args, first, step):
    """Write takes first, first + step, … that are not there yet."""
    os.nice(args.nice)
    library = Library(args.samples, args.cache, args.part)
    n = int(args.seconds * SAMPLERATE)
    if args.part == "songs":
        for index, section in enumerate(sections(library, n)):
            write(args.pool, index, section)
        return
    # Of MUSDB18-HQ and its like only the training part may be heard in training.
    own = (
        [song for song in folders.songs(args.folder) if song.part != "test"] if args.folder else []
    )
    training = args.part == "train"
    renderer = Renderer(library, own if training else (), TRAINING if training else FIRST)
    part = PARTS.index(args.part)
    until = time.monotonic() + 60 * args.minutes if args.minutes else float("inf")
    for index in range(first, args.count, step):
        if time.monotonic() > until:
            return
        place = index % args.keep if args.keep else index
        if place < index or not (args.pool / name_of(place)).exists():
            rng = np.random.default_rng((args.seed, part, index))
            write(args.pool, place, renderer.take(rng, n))


def sections(library, n):
    """Sections of real songs with two stems or more, each (5, 2, n), silence behind their end."""
    groups = {}
    for entry in library.entries:
        if entry["song"]:
            groups.setdefault((entry["song"], entry["start_s"]), []).append(entry)
    for key in sorted(groups):
        if len({entry["stem"] for entry in groups[key]}) > 1:
            take = np.zeros((N_TRACKS, 2, n), np.float32)
            for entry in groups[key]:
                audio = library.read(entry, 0, n)
                take[STEMS.index(entry["stem"]), :, : audio.shape[1]] += audio
            yield take


def name_of(index):
    return f"take_{index:05d}.npy"


def write(pool, index, take):
    """Under another name until it is whole: trainers read the pool while it grows."""
    whole = np.clip(np.round(take * (32768 / FULL_SCALE)), -32768, 32767).astype(np.int16)
    unfinished = pool / f"part_{index:05d}.npy"
    np.save(unfinished, whole)
    unfinished.rename(pool / name_of(index))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--folder", type=Path, help="stems of your own, see models.folders")
    parser.add_argument("--part", choices=PARTS, default="train")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--keep", type=int, help="so many, and new ones in place of the oldest")
    parser.add_argument("--minutes", type=float, help="begin no take after that")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--nice", type=int, default=10, help="rendering gives way to training")
    args = parser.parse_args()
    fill(args)


def fill(args):
    """Render what the pool lacks; args as the command line's."""
    begun = time.monotonic()
    args.pool.mkdir(parents=True, exist_ok=True)
    if args.part == "songs":
        args.workers = 1
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=render, args=(args, i, args.workers)) for i in range(args.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - begun
    print(f"{args.pool}: {len(Takes(args.pool))} takes, {seconds:.0f} s")
    if any(worker.exitcode for worker in workers):
        raise SystemExit(f"{args.pool}: a worker failed, see above")


if __name__ == "__main__":
    main()
