"""Train a net of the band family: one loop, one file, one TOML per released model.

    python -m models.train models/configs/base.toml --run ../runs/base
    python -m models.train models/configs/live.toml --run ../runs/live --start ../runs/base/ema.pt

A run is a list of stages; each says at which hop length, for how many steps and at which peak
rate, and may have a `remix` and `losses` of its own; one that is `calm` hears music nearly as it
was rendered, like that which will be separated. `--minutes` squeezes the whole list into a time
instead: the shares stay. A run folder holds `last.pt` (everything; the same command goes on from
there), `ema.pt` (the weights to export), `log.csv` and `curve.png`. Step n hears the same clips on
every machine that has the same pool, and a run that was stopped and resumed ends in the same
weights as one that was not.
"""

import argparse
import csv
import ctypes
import datetime
import json
import time
import tomllib
from pathlib import Path

import numpy as np
import torch

from models import fused
from models.fused import EPS, FARTHEST, ROOT_EPS
from models.library import SAMPLERATE
from models.nets import MaskNet, made, parameters
from models.spectra import Statistics, Tails
from models.takes import Takes
from stemd.spec import STEMS

SEGMENT = 22  # scored frames, 1024 samples apart: half a second
TAU = 1e-3  # a stem 30 dB under the mixture counts as absent in the SDR term

DEFAULTS = {
    "start": "",  # the run whose weights this one starts from
    "net": {},  # arguments of nets.made
    "seed": 0,
    "batch": 8,  # clips; on few cores more steps beat bigger ones
    "seconds": 3.0,
    "windows": [],  # of which hop lengths frames are weighted, by lot; none: of the stage's own
    "warmup_s": 0.5,  # heard but not scored
    "span": 1,  # steps through which a clip goes on; each worker makes all of it
    "remix": 0.5,  # share of clips whose stems come from different takes
    "sways": 0.2,  # how often what is in `other` sways in pitch
    "optimiser": "muon",
    "rate": 2e-3,
    "decay": 0.6,  # last share of the run in which the rate falls
    "weight_decay": 1e-3,
    "clip": 1.0,  # of the gradient's norm
    "ema": 0.998,
    "blend": 0.0,  # share of the weights it starts from in the weights it ends in
    "losses": {"sdr": 0.1, "complex": 4.0, "magnitude": 2.0},
    "played": 0,  # frames of a clip of which the loss `played` is taken, where it has a weight
    "validate_every": 200,
    "bfloat16": True,  # products in bfloat16, on processors that are quick at them
    "cuda": {},  # what is different on a GPU
}


# --------------------------------------------------------------------------------------------- loss


def losses(masks, energy, cross, mixture, errors=None):
    """Three views of the same error; masks, energy, cross (b, t, k, s, c), mixture (b, t, k, c).

    sdr        10 log10 of error over stem, per clip and stem, both softened by TAU of the mixture,
               in dB: what the ear and the score ask for. Absent stems pay for what leaks into them.
               Half of it is the same of each half second: a stem that pauses is absent meanwhile.
    complex    error after compressing the spectra with |X|^0.4: the same, but soft bands count too.
    magnitude  (|mX|^0.4 - |S|^0.4)^2: like the one above, blind to phase. Mixing both helps
               (Braun & Tashev, A consolidated view of loss functions for supervised deep
               learning-based speech enhancement, TSP 2021).

    errors : another way to `plain_errors`, as `fused.errors`
    """
    soft = (mixture + EPS) ** 0.2  # |X|^0.4 of bands
    scale = 1 / (soft.square().mean() + 1e-6)
    target = (energy / (mixture + EPS)[..., None, :]).clamp_min(0) ** 0.2
    error, complex_, magnitude = (errors or plain_errors)(
        masks, energy, cross, mixture, target, soft
    )
    energy, mixture = energy.sum((2, 4)), mixture.sum((2, 3))[..., None]  # as error (b, t, s)
    floor = TAU * mixture.sum(1) + 1e-6
    sdr = 10 * torch.log10((error.sum(1) + floor) / (energy.sum(1) + floor))  # (b, s)
    both = (sdr.mean() + in_segments(error, energy, mixture).mean()) / 2
    return {"sdr": both, "complex": complex_ * scale, "magnitude": magnitude * scale}, -sdr


def plain_errors(masks, energy, cross, mixture, target, soft):
    """Of each frame and stem the error (b, t, s); what `complex` and `magnitude` are of."""
    mixture, soft = mixture[..., None, :], soft[..., None, :]
    error = (energy - 2 * masks * cross + masks.square() * mixture).clamp_min(0)
    magnitude = (((masks + ROOT_EPS) ** 0.4 - target) * soft).square().clamp_max(FARTHEST)
    weighted = error * soft.square() / (mixture + EPS)
    return error.sum((2, 4)), weighted.mean(), magnitude.mean()


def in_segments(error, energy, mixture):
    """The SDR term of each SEGMENT frames and stem, (b, n, s); quiet ones are as soft as if they
    were a tenth as loud as the clip.

    error, energy (b, t, s), mixture (b, t, 1)
    """
    n = max(error.shape[1] // SEGMENT, 1)

    def summed(x):
        return x[:, : n * SEGMENT].reshape(x.shape[0], n, -1, x.shape[2]).sum(2)

    error, energy, mixture = (summed(x) for x in (error, energy, mixture))
    floor = TAU * mixture.maximum(0.1 * mixture.mean(1, keepdim=True)) + 1e-6
    return 10 * torch.log10((error + floor) / (energy + floor))


def played_sdr(ours, stems):
    """The SDR term of what is played of some frames; ours, stems (b, j, s, c, m)."""
    over = (1, 3, 4)
    error, power = (ours - stems).square().sum(over), stems.square().sum(over)
    floor = TAU * stems.sum(2).square().sum((1, 2, 3))[:, None] + 1e-9
    return (10 * torch.log10((error + floor) / (power + floor))).mean()


def run_batch(net, batch, states, warmup, every, low=None):
    """Forward pass of one batch; `low`: with the walks of models.fused and products of this type.

    Returns the losses, the SDR of each clip and stem (b, s), and the states it ends in.
    """
    power, energy, cross, phase, *played = batch
    scored = slice(phase + warmup, None, every)
    with torch.no_grad():
        logs, level = net.normalise(power, states["level"])
    if low:
        masks, following = fused.bands(net, logs, states, scored, low)
    else:
        with torch.autocast("cuda", torch.bfloat16, enabled=power.is_cuda):
            masks, following = net.bands(logs, states, scored)
    mixture = power[:, scored, :2].transpose(2, 3)
    mixture = mixture / (power[:, :, :2].mean((1, 2, 3))[:, None, None, None] + 1e-9)
    skip = warmup // every
    energy, cross = (x[:, skip:].float() for x in (energy, cross))
    masks = masks.float()
    parts, sdr = losses(masks, energy, cross, mixture, fused.errors if low else None)
    if played:
        tails, frames, window, mix, stems = played
        bins = masks[:, frames].permute(0, 1, 3, 4, 2) @ net.weight_bins
        parts["played"] = played_sdr(tails.play(bins, mix, window), stems)
    return parts, sdr, {"level": level, **following}


# --------------------------------------------------------------------------------------------- data


class Clips(torch.utils.data.Dataset):
    """Item n is what step n hears.

    A clip goes on for `span` steps, so that states come to hold what a stream has been for longer
    than one step. Rows of a batch begin at different steps; at the first steps of a stage some have
    the states of other music.
    """

    def __init__(self, takes, statistics, n_frames, settings, on_device, warmup=0, tails=None):
        self.takes, self.statistics, self.n_frames = takes, statistics, n_frames
        self.settings, self.on_device = settings, on_device
        self.warmup, self.tails = warmup, tails
        self._rows = {}  # row: (turn, the whole clip), where clips go on

    def __len__(self):
        return 10**9

    def __getitem__(self, step):
        s, statistics = self.settings, self.statistics
        rng = np.random.default_rng((s["seed"], 5, step // s["span"]))
        phase = int(rng.integers(statistics.every))
        window = int(rng.integers(len(statistics.windows)))
        audio = torch.from_numpy(np.stack([self._row(step, i) for i in range(s["batch"])]))
        frames = self._frames(rng, phase) if s["played"] else None
        if self.on_device:  # the GPU is quicker at transforms than at waiting for them
            return audio.half(), phase, window, frames
        torch.set_num_threads(1)
        return make_batch(statistics, self.tails, audio, phase, window, self.warmup, frames)

    def _frames(self, rng, phase):
        """Some of the scored frames, (j,)."""
        n = len(range(phase + self.warmup, self.n_frames, self.statistics.every))
        return np.sort(rng.permutation(n)[: self.settings["played"]])

    def _row(self, step, row):
        """What row `row` hears in a step: (5, 2, n) float32."""
        span = self.settings["span"]
        turn, part = divmod(step + row % span, span)
        piece, n = (
            self.n_frames * self.statistics.hop_length,
            self.statistics.samples(self.n_frames),
        )
        kept, clip = self._rows.get(row, (None, None))
        if kept != turn:
            rng = np.random.default_rng((self.settings["seed"], 6, row, turn))
            (clip,) = self.takes.batch(rng, 1, (span - 1) * piece + n)
            if span > 1:
                self._rows[row] = turn, clip
        return clip[..., part * piece : part * piece + n]


def begins(step, batch, span):
    """Which rows of a step begin a clip, (batch,) bool."""
    return (step + np.arange(batch) % span) % span == 0


def make_batch(statistics, tails, audio, phase, window, warmup, frames):
    """What `run_batch` takes; `frames`: scored ones of which `played` is taken, or None."""
    batch = pack(statistics(audio, phase, window), phase)
    if frames is None:
        return batch
    starts = (phase + warmup + statistics.every * frames) * statistics.hop_length
    return *batch, tails, torch.as_tensor(frames), window, *tails(audio, starts, window)


def pack(numbers, phase):
    """Halve what travels between processes; targets of silence stay finite."""
    power, energy, cross = numbers
    return power, energy.clamp(max=6e4).half(), cross.clamp(-6e4, 6e4).half(), phase


def fixed_batches(takes, statistics, n_frames, batch):
    """All takes of a pool from their start, nothing augmented."""
    n = statistics.samples(n_frames)
    for first in range(0, len(takes), batch):
        audio = np.stack([takes.plain(i, n) for i in range(first, min(first + batch, len(takes)))])
        yield pack(statistics(torch.from_numpy(audio), 0), 0)


# --------------------------------------------------------------------------------------------- loop


class Run:
    """Everything that a checkpoint keeps, and one step of it."""

    def __init__(self, settings, folder, device):
        self.settings, self.folder, self.device = settings, folder, device
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings["seed"])
        hop = settings["stages"][0]["hop_length"]
        self.net = made(hop, **settings["net"]).to(device)
        self.average = made(hop, **settings["net"]).to(device)
        self.average.load_state_dict(self.net.state_dict())
        self.average.eval()
        self.low = None
        if device.type == "cpu":
            self.low = torch.bfloat16 if settings["bfloat16"] and fused.quick() else torch.float32
        self.optimisers = self._optimisers()
        self.step, self.minutes, self.seconds, self.history = 0, 0.0, 0.0, []
        self.ends, self.origin = None, None
        self.heard = {}  # by hop length, what `validate` hears

    def _optimisers(self):
        s = self.settings
        hidden = [p for n, p in self.net.named_parameters() if p.dim() == 2 and "blocks" in n
                  and n.endswith("weight")]  # fmt: skip
        rest = {id(p) for p in hidden}
        rest = [p for p in self.net.parameters() if id(p) not in rest]
        adam = {"betas": (0.9, 0.98), "weight_decay": 0.0}
        if s["optimiser"] == "adamw":
            groups = [{"params": hidden, "weight_decay": s["weight_decay"]}, {"params": rest}]
            return [torch.optim.AdamW(groups, lr=s["rate"], **adam)]
        # Orthogonalised momentum for what multiplies vectors, Adam for all else (Jordan, 2024).
        muon = torch.optim.Muon(
            hidden, lr=s["rate"], weight_decay=s["weight_decay"], adjust_lr_fn="match_rms_adamw"
        )
        return [muon, torch.optim.AdamW(rest, lr=s["rate"], **adam)]

    def learn(self, batch, stage, warmup, every, progress):
        """One step; returns the loss and its parts."""
        s, draw = self.settings, np.random.default_rng((self.settings["seed"], 7, self.step))
        # Half of the clips that begin start in silence, half in the state some other clip ended in:
        # a stream runs for days and seldom starts. The others go on.
        states = self.net.zero_state(s["batch"], self.device)
        if self.ends is not None:
            begin = begins(self.step, s["batch"], s["span"])
            first, source = np.flatnonzero(begin), np.arange(s["batch"])
            carried = draw.permutation(first)[: len(first) // 2]
            source[carried] = draw.permutation(s["batch"])[: len(carried)]
            rows = np.union1d(np.flatnonzero(~begin), carried)
            to, of = (torch.from_numpy(x).to(self.device) for x in (rows, source[rows]))
            for name, state in states.items():
                state[to] = self.ends[name][of]
            if draw.random() < 0.5:
                states["level"][torch.from_numpy(carried).to(self.device)] = 0
        parts, sdr, ends = run_batch(self.net, batch, states, warmup, every, self.low)
        self.ends = {name: state.detach().float().clone() for name, state in ends.items()}
        losses = stage.get("losses", s["losses"])
        loss = sum(weight * parts[name] for name, weight in losses.items())
        if not torch.isfinite(loss):
            self.ends = None  # or every step after this one would carry it on
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), s["clip"])
        rate = stage.get("rate", s["rate"]) * min(
            1.0, progress / 0.01 + 0.05, max(0.0, (1 - progress) / s["decay"]) + 0.01
        )
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            if torch.isfinite(norm):
                optimiser.step()
        blend = 1 - min(s["ema"], (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            slow, fast = list(self.average.parameters()), list(self.net.parameters())
            torch._foreach_lerp_(slow, fast, blend)
        self.step += 1
        return [float(x.detach()) for x in (loss, *parts.values(), -sdr.mean(), norm)], rate

    def at_hop(self, hop_length):
        """The same weights at another hop length."""
        self.net.at_hop(hop_length)
        self.average.at_hop(hop_length)

    def save(self):
        """Write last.pt and ema.pt; a crash in between leaves the old ones."""
        whole = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "ends": self.ends,
            "step": self.step,
            "minutes": self.minutes,
            "seconds": self.seconds,
            "history": self.history,
        }
        facts = {
            "hop_length": self.net.hop_length,
            "net": self.net.sizes,
            "steps": self.step,
            "minutes": round(self.minutes, 1),
            "hours_of_audio": round(self.seconds / 3600, 1),
            "seed": self.settings["seed"],
            "date": datetime.date.today().isoformat(),
            "machine": "one GPU" if self.device.type == "cuda" else "processor cores",
            "stages": self.settings["stages"],
            "started_from": self.settings.get("started_from"),
        }
        for name, content in (
            ("last.pt", whole),
            ("ema.pt", {"net": self.blended(), "facts": facts}),
        ):
            torch.save(content, self.folder / (name + ".part"))
            (self.folder / (name + ".part")).rename(self.folder / name)

    def blended(self):
        """The averaged weights, part of the way back to those the run started from.

        What a short run learns at its own hop is worth more there with less of what it forgets
        (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
        """
        weights = self.average.state_dict()
        if self.origin is None or not self.settings["blend"]:
            return weights
        return {
            name: torch.lerp(value, self.origin[name], self.settings["blend"])
            for name, value in weights.items()
        }

    def resume(self):
        """Go on from last.pt, if there is one."""
        if not (self.folder / "last.pt").exists():
            return
        saved = torch.load(self.folder / "last.pt", map_location=self.device)
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        for name in ("ends", "step", "minutes", "seconds", "history"):
            setattr(self, name, saved[name])

    def start_from(self, path):
        """Take over another run's weights, whatever its hop length and number of blocks."""
        saved = torch.load(path, map_location=self.device)
        self.net.inherit(saved["net"])
        self.average.load_state_dict(self.net.state_dict())
        self.origin = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.settings["started_from"] = saved["facts"]


def keep_memory():
    """Have glibc keep what it once got: giving big tensors back costs a third of each step."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library; it has its own ideas
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # malloc.h
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_max, 0)
    mallopt(arena_max, 1)


def prepare_worker(_):
    """What `train` does for its own process, in one that makes clips."""
    keep_memory()
    torch.set_flush_denormal(True)


def train(settings, pool, folder, start=None, minutes=None, threads=0, workers=1, device=None):
    """Train or resume one run; returns the path of the averaged weights.

    Parameters
    ----------
    settings : dict
        As in a TOML of configs/, with `stages`.
    pool : Path
        Folders train, validation and, if there, songs of takes.
    minutes : float, optional
        Wall clock for all stages together; without it their `steps` count.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        settings = settings | settings["cuda"]
    if threads:
        torch.set_num_threads(threads)
    keep_memory()
    torch.set_flush_denormal(True)  # decaying memories and moments would crawl
    torch.backends.cuda.matmul.allow_tf32 = True
    run = Run(settings, Path(folder), device)
    if start:
        run.start_from(start)
    run.resume()
    (run.folder / "settings.json").write_text(json.dumps(settings, indent=1))
    total = sum(stage["steps"] for stage in settings["stages"])
    pools = {"train": Path(pool) / "train", "validation": Path(pool) / "validation"}
    if (Path(pool) / "songs").exists():
        pools["songs"] = Path(pool) / "songs"

    with open(run.folder / "log.csv", "a", newline="", buffering=1) as journal:
        log = csv.writer(journal)
        begun = 0.0
        for stage in settings["stages"]:
            ended = begun + stage["steps"] / total

            def progress():
                return run.minutes / minutes if minutes else run.step / total

            if progress() < ended:
                run.at_hop(stage["hop_length"])
                _stage(run, stage, pools, progress, ended, log, workers)
            begun = ended
    run.save()
    draw(run)
    return run.folder / "ema.pt"


def _stage(run, stage, pools, progress, ended, log, workers):
    s, hop = run.settings, stage["hop_length"]
    every = max(1, 1024 // hop)
    n_frames = int(s["seconds"] * SAMPLERATE / hop) // every * every
    warmup = int(s["warmup_s"] * SAMPLERATE / hop) // every * every
    cuda = run.device.type == "cuda"
    windows = s["windows"] or (hop,)
    drawn, there = (
        Statistics(MaskNet.n_fft, hop, every, device, windows) for device in ("cpu", run.device)
    )
    tails = Tails(MaskNet.n_fft, windows, run.device) if s["played"] else None
    # Frames far apart are looked at through a window that will be played.
    here = Statistics(MaskNet.n_fft, hop, every, windows=windows[-1:])
    calm = stage.get("calm", False)
    sways = 0.0 if calm else s["sways"]
    takes = Takes(pools["train"], stage.get("remix", s["remix"]), calm, sways)
    clips = Clips(takes, drawn, n_frames, s, cuda, warmup, None if cuda else tails)
    loader = torch.utils.data.DataLoader(
        clips,
        sampler=range(run.step, len(clips)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=prepare_worker if workers else None,
        pin_memory=cuda,
    )
    if hop not in run.heard:
        run.heard[hop] = {
            name: list(fixed_batches(Takes(folder), here, int(8 * SAMPLERATE / hop), 8))
            for name, folder in pools.items()
            if name != "train"
        }
    recent, clock, saved = [], time.monotonic(), time.monotonic()
    for batch in loader:
        if cuda:
            audio, phase, window, frames = batch
            audio = audio.to(run.device, non_blocking=True).float()
            batch = make_batch(there, tails, audio, phase, window, warmup, frames)
        row, rate = run.learn(batch, stage, warmup, every, progress())
        run.seconds += s["batch"] * s["seconds"]
        recent.append(row)
        now = time.monotonic()
        run.minutes += min(now - clock, 20.0) / 60  # a pause of the whole process is no training
        clock = now
        if run.step % 50 == 0:
            mean = np.mean(recent, 0).round(4).tolist()
            recent = []
            row = ["train", run.step, hop, round(run.minutes, 2), round(rate, 6), *mean]
            log.writerow(row)
            print(*row, flush=True)
        done = progress() >= ended
        if run.step % s["validate_every"] == 0 or done:
            for name, batches in run.heard[hop].items():
                row = validate(run.average, batches, every, run.device)
                run.history.append([name, run.step, round(run.minutes, 2), *row])
                log.writerow(run.history[-1])
                print(*run.history[-1], flush=True)
            clock = time.monotonic()  # looking is not training either
        if now - saved > 120:
            saved = now
            run.save()
        if done:
            return


def validate(net, batches, every, device):
    """Mean SDR of vocals, drums, bass, other where they sound, their mean, and the leak.

    The leak is what an absent stem gets, in dB under the mixture.
    """
    rows, leaks = [], []
    with torch.no_grad():
        for batch in batches:
            batch = tuple(x.to(device) if torch.is_tensor(x) else x for x in batch)
            states = net.zero_state(len(batch[0]), device)
            _, sdr, _ = run_batch(net, batch, states, 0, every)
            energy = batch[1].float().sum((1, 2, 4))
            present = energy > 3e-3 * energy.sum(1, keepdim=True)
            silent = energy <= 1e-7 * energy.sum(1, keepdim=True)
            rows.append(torch.where(present, sdr, torch.nan))
            # error = what leaked; both sides of the SDR carry TAU of the mixture
            leaks.append(torch.where(silent, 10 ** (-sdr / 10) * TAU - TAU, torch.nan))
    rows = torch.cat(rows).nanmean(0)
    leak = 10 * torch.log10(torch.cat(leaks).nanmean().clamp_min(1e-9))
    return [round(float(x), 3) for x in (*rows, rows.mean(), leak)]


def draw(run):
    """curve.png: validation SDR over minutes."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(8, 4))
    axes = figure.add_subplot()
    for name in sorted({row[0] for row in run.history}):
        rows = [row for row in run.history if row[0] == name]
        for i, stem in enumerate((*STEMS, "mean")):
            style = "-" if name == "validation" else ":"
            axes.plot(
                [r[2] for r in rows],
                [r[3 + i] for r in rows],
                style,
                c=f"C{i}",
                label=f"{name} {stem}",
            )
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("SDR, dB")
    axes.legend(fontsize=6, ncol=2)
    axes.grid(alpha=0.3)
    figure.savefig(run.folder / "curve.png", dpi=100)


def load_settings(path):
    """A TOML of configs/ over the defaults."""
    with open(path, "rb") as file:
        given = tomllib.load(file)
    unknown = set(given) - set(DEFAULTS) - {"stages"}
    if unknown or not given.get("stages"):
        raise ValueError(
            f"{path}: got {sorted(unknown) or 'no stages'}, expected stages and {sorted(DEFAULTS)}"
        )
    return DEFAULTS | given


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--pool", type=Path, default=Path("../takes"))
    parser.add_argument("--run", type=Path, required=True, help="a folder outside the repository")
    parser.add_argument("--start", type=Path, help="ema.pt of another run to start from")
    parser.add_argument("--minutes", type=float, help="wall clock instead of the stages' steps")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON")
    args = parser.parse_args()
    settings = load_settings(args.config)
    for change in args.set:
        key, value = change.split("=", 1)
        settings[key] = json.loads(value)
    path = train(
        settings, args.pool, args.run, args.start, args.minutes, args.threads, args.workers,
        args.device,
    )  # fmt: skip
    print(path, parameters(made(256, **settings["net"])), "parameters")


if __name__ == "__main__":
    main()
