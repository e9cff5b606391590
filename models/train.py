"""Train the first network.

    python models/train.py --profile live --minutes 75 --run runs/live
    python models/train.py --profile tight --minutes 10 --run runs/tight --from runs/live/ema.pt

One process renders batches ahead, this one learns. Both runs resume where they stopped: the run
folder holds `last.pt` (everything), `ema.pt` (the weights to export) and `log.csv`.

Hyper-parameters and their reasons are the defaults of the arguments at the bottom.
"""

import argparse
import csv
import datetime
import json
import time
from pathlib import Path

import numpy as np
import torch
from data import Batches, Library, Mixer
from nets import PROFILES, FirstNet

TAU = 1e-3  # a stem 30 dB under the mixture counts as absent in the SDR term


def losses(masks, energy, cross):
    """Three views of the same error; masks, energy, cross (b, t, k, s, c); returns {name: scalar}.

    sdr        10 log10 of error over stem, per clip and stem, both softened by TAU of the mixture,
               in dB: what the ear and the score ask for. Absent stems pay for what leaks into them.
    complex    error after compressing the spectra with |X|^0.4: the same, but soft bands count too.
    magnitude  (|mX|^0.4 - |S|^0.4)^2: like the one above, blind to phase. Mixing both helps
               (Braun & Tashev, A consolidated view of loss functions for supervised deep
               learning-based speech enhancement, TSP 2021).
    """
    # The mixture's energy is the sum of its inner products with the stems: X = sum of S.
    mixture = cross.sum(3, keepdim=True).clamp_min(0)  # (b, t, k, 1, c)
    error = (energy - 2 * masks * cross + masks.square() * mixture).clamp_min(0)
    over = (1, 2, 4)
    floor = TAU * mixture.sum((1, 2, 3, 4))[:, None] + 1e-6
    sdr = 10 * torch.log10((error.sum(over) + floor) / (energy.sum(over) + floor))  # (b, s)
    eps = 1e-5
    soft = (mixture + eps) ** 0.2  # |X|^0.4 of bands
    scale = 1 / (soft.square().mean() + 1e-6)
    complex_ = (error * soft.square() / (mixture + eps)).mean() * scale
    target = (energy / (mixture + eps)).clamp_min(0) ** 0.2
    magnitude = ((((masks + 1e-4) ** 0.4 - target) * soft).square()).clamp_max(1e3).mean() * scale
    return {"sdr": sdr.mean(), "complex": complex_, "magnitude": magnitude}


def score(parts):
    """One number to go down. A decibel of SDR is worth as much as some 2 % of compressed error."""
    return 0.1 * parts["sdr"] + 4.0 * parts["complex"] + 2.0 * parts["magnitude"]


def run_batch(net, batch, states, warmup, every):
    """Forward pass of one batch; returns its losses and the states it ends in.

    power (b, t, 4, k), energy and cross (b, t', k, s, c) of the frames phase, phase + every, …
    """
    power, energy, cross, phase = batch
    with torch.no_grad():
        logs, level = net.normalise(power, states["level"])
    masks, following = net.bands(logs, states, slice(phase, None, every))
    skip = warmup // every
    parts = losses(masks[:, skip:], energy[:, skip:].float(), cross[:, skip:].float())
    return parts, {"level": level, **following}


def swap_channels(batch):
    """The same scene seen in a mirror."""
    power, energy, cross, phase = batch
    return power[:, :, [1, 0, 2, 3]], energy.flip(4), cross.flip(4), phase


def to_tensors(batch):
    return (*(torch.as_tensor(x) for x in batch[:3]), batch[3])


class Schedule:
    """Learning rate over wall-clock minutes: up in 1 %, flat, down to nothing over the last part.

    Wall clock, since the machine is shared and the end is not negotiable; the log has the steps.
    """

    def __init__(self, peak, minutes, decay):
        self.peak, self.minutes, self.decay = peak, minutes, decay

    def __call__(self, minutes):
        done = minutes / self.minutes
        return self.peak * min(1.0, done / 0.01 + 0.05, max(0.0, (1 - done) / self.decay) + 0.01)


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    run = args.run
    run.mkdir(parents=True, exist_ok=True)
    n_fft, hop_length, _ = PROFILES[args.profile]
    args.every = args.every or 1024 // hop_length

    net = FirstNet(n_fft, hop_length)
    if args.start:
        net.load_state_dict(torch.load(args.start)["net"])
    average = FirstNet(n_fft, hop_length)
    average.load_state_dict(net.state_dict())
    decays = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decays, "weight_decay": 1e-3}, {"params": others, "weight_decay": 0.0}],
        lr=args.rate,
        betas=(0.9, 0.98),
    )
    step, minutes, seconds_seen = 0, 0.0, 0.0
    if (run / "last.pt").exists():
        saved = torch.load(run / "last.pt")
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step, minutes, seconds_seen = saved["step"], saved["minutes"], saved["seconds_seen"]
    rate = Schedule(args.rate, args.minutes, args.decay)

    shape = {"batch": args.batch, "seconds": args.seconds, "every": args.every}
    library = Library(args.samples, args.cache)
    rendered = Batches(Mixer(library), n_fft, hop_length, 10**6, seed=args.seed, **shape)
    start = -(-step // args.reuse)  # rendered batches already used
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(rendered, range(start, 10**6)),
        batch_size=None,
        num_workers=1,
        prefetch_factor=4,
        multiprocessing_context="spawn",
    )
    fresh = iter(loader)
    unseen = Library(args.samples, args.cache, "validation")
    unseen = Batches(Mixer(unseen), n_fft, hop_length, 100, seed=args.seed + 1, **shape)
    validation = [to_tensors(unseen[i]) for i in range(3)]

    (run / "args.json").write_text(
        json.dumps(
            {k: str(v) for k, v in vars(args).items()} | {"hours_of_recordings": library.hours()}
        )
    )
    journal = open(run / "log.csv", "a", newline="", buffering=1)  # noqa: SIM115, open until we end
    log = csv.writer(journal)
    warmup = int(args.warmup_s * 44100 / hop_length) // args.every * args.every
    pool, ends, recent = [], None, []
    clock = last_save = time.monotonic()
    while minutes < args.minutes:
        # Every `reuse`-th step hears something new; the others hear one of the last rendered
        # batches again, mirrored. Rendering and learning then take the same time.
        draw = np.random.default_rng((args.seed, 7, step))
        if step % args.reuse == 0 or not pool:
            batch = to_tensors(next(fresh))
            pool = [*pool[-args.pool :], batch]
        else:
            batch = pool[draw.integers(max(1, len(pool) - 4))]
        if draw.random() < 0.5:
            batch = swap_channels(batch)

        # Half of the clips start in silence, half in the state some other clip ended in: a stream
        # runs for days and seldom starts.
        states = net.zero_state(args.batch)
        if ends is not None:
            carried = torch.from_numpy(draw.permutation(args.batch)[: args.batch // 2])
            for name, state in states.items():
                state[: len(carried)] = ends[name][carried]
            if draw.random() < 0.5:
                states["level"][:] = 0
        parts, ends = run_batch(net, batch, states, warmup, args.every)
        ends = {name: state.detach() for name, state in ends.items()}
        loss = score(parts)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate(minutes)
        if torch.isfinite(norm):
            optimiser.step()
        blend = 1 - min(args.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, blend)

        step += 1
        seconds_seen += args.batch * args.seconds
        recent.append(
            [float(loss.detach()), *(float(v.detach()) for v in parts.values()), float(norm)]
        )
        now = time.monotonic()
        # A pause of the whole process is not training time.
        minutes += min(now - clock, 20.0) / 60
        clock = now
        if step % 50 == 0:
            mean = np.mean(recent, 0).round(4).tolist()
            recent = []
            stamp = datetime.datetime.now().strftime("%H:%M:%S")
            row = [stamp, step, round(minutes, 2), round(rate(minutes), 6), *mean]
            log.writerow(["train", *row])
            print("train", *row, flush=True)
        if step % args.validate == 0:
            row = validate(average, validation, warmup, args)
            log.writerow(["validation", step, *row])
            print("validation", step, *row, flush=True)
        if now - last_save > 120 or minutes >= args.minutes:
            last_save = now
            save(run, net, average, optimiser, step, minutes, seconds_seen, args, library)


def validate(net, batches, warmup, args):
    """Mean losses over fixed batches of sources no training batch has."""
    with torch.no_grad():
        rows = []
        for batch in batches:
            parts, _ = run_batch(net, batch, net.zero_state(args.batch), warmup, args.every)
            rows.append([float(score(parts)), *(float(v) for v in parts.values())])
    return np.mean(rows, 0).round(4).tolist()


def save(run, net, average, optimiser, step, minutes, seconds_seen, args, library):
    facts = {
        "profile": args.profile,
        "steps": step,
        "minutes": round(minutes, 1),
        "hours_of_audio": round(seconds_seen / 3600, 1),
        "hours_of_new_mixes": round(seconds_seen / args.reuse / 3600, 1),
        "hours_of_recordings": round(library.hours(), 2),
        "seed": args.seed,
        "date": datetime.date.today().isoformat(),
    }
    before = torch.load(args.start)["facts"] if args.start else None
    if before:
        facts["started_from"] = before
    whole = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "minutes": minutes,
        "seconds_seen": seconds_seen,
    }
    for name, content in (
        ("last.pt", whole),
        ("ema.pt", {"net": average.state_dict(), "facts": facts}),
    ):
        torch.save(content, run / (name + ".part"))
        (run / (name + ".part")).rename(run / name)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument(
        "--run", type=Path, required=True, help="folder of this run, outside the repository"
    )
    parser.add_argument(
        "--from", dest="start", type=Path, help="ema.pt of another profile to start from"
    )
    parser.add_argument("--profile", choices=PROFILES, default="live")
    parser.add_argument("--minutes", type=float, default=75, help="wall clock, pauses left out")
    parser.add_argument(
        "--rate", type=float, default=2e-3, help="peak; 3e-3 is where it gets unsteady"
    )
    parser.add_argument(
        "--decay", type=float, default=0.5, help="last part of the run in which the rate falls"
    )
    parser.add_argument(
        "--batch", type=int, default=8, help="clips; more steps beat bigger ones here"
    )
    parser.add_argument("--seconds", type=float, default=2.8)
    parser.add_argument("--warmup-s", type=float, default=0.4, help="heard but not scored")
    parser.add_argument(
        "--every",
        type=int,
        help="score every n-th frame; default one in 1024 samples, since frames overlap by more",
    )
    parser.add_argument("--reuse", type=int, default=2, help="steps per rendered batch")
    parser.add_argument("--pool", type=int, default=40, help="rendered batches kept for reuse")
    parser.add_argument("--ema", type=float, default=0.997)
    parser.add_argument("--validate", type=int, default=200, help="steps between validations")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
