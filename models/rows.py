"""Train the article's variants at modest size and print what each choice is worth.

    python -m models.rows train joint             one row; `all` for every row not yet there
    python -m models.rows table                   the rows as markdown, into models/rows.md
    python -m models.rows release joint --steps 1200
                                                  train a row longer, write cnn_classic.onnx + .json

A star: `joint` is the centre (four branches trained jointly, newest frame, cross-entropy, the
loudest stem wins), every other row changes one thing. All rows see the same number of batches of
the same size; an independent branch sees its own. A row takes about four minutes of one core.

Scores are those of models/row_scores.py; released models are scored by models.evaluate, on audio.
"""

import argparse
import dataclasses
import datetime
import json
import math
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models import classic
from models.row_scores import STEMS, TAKES, baselines, binary_masks, score
from models.spectra import SAMPLERATE
from models.takes import Takes

NAME = "cnn_classic"


@dataclasses.dataclass(frozen=True)
class Row:
    """What one row trains."""

    text: str
    variant: str = "branches"
    apart: bool = False  # each branch alone, with batches of its own
    delay: int = 0  # frames the target lies behind the newest
    loss: str = "bce"  # or mse, or weighted bce
    target: str = "competition"  # or ratio


CENTRE = Row("variant 4: four branches, jointly")
ROWS = {
    "joint": CENTRE,
    "independent": dataclasses.replace(
        CENTRE, text="variant 1: four branches, each alone, merged", apart=True
    ),
    "bottleneck": dataclasses.replace(
        CENTRE, text="variant 2: one network, 77 units", variant="bottleneck"
    ),
    "shared": dataclasses.replace(
        CENTRE, text="variant 3: first two layers shared", variant="shared"
    ),
    "middle": dataclasses.replace(
        CENTRE, text="joint, middle frame (128 ms look-ahead)", delay=classic.MIDDLE
    ),
    "mse": dataclasses.replace(CENTRE, text="joint, squared error", loss="mse"),
    "ratio": dataclasses.replace(CENTRE, text="joint, masks by magnitude ratio", target="ratio"),
    "weighted": dataclasses.replace(
        CENTRE, text="not in the article: joint, loud bins weigh more", loss="weighted"
    ),
}

STEPS = 360
BATCH = 4
CLIP = 75  # frames; long clips waste less past, short ones bring more music
FIRST = 4  # third frames without a target: their past is short, and a middle lies before the clip
WARM_UP = 20  # steps
RATE = 2e-3
FINISH_RATE = 1e-3  # of a release, which starts from a row


def one_channel(rng, audio):
    """(b, 5, 2, n) to (b, 5, n): left, right or what a mono feed would be."""
    kind = rng.integers(3)
    return torch.from_numpy(audio.mean(2) if kind == 2 else np.ascontiguousarray(audio[:, :, kind]))


def loss_of(logits, masks, kind, mix):
    """Mean over everything; mix (b, t, f) is the spectrum the masks belong to."""
    if kind == "bce":
        return functional.binary_cross_entropy_with_logits(logits, masks)
    if kind == "mse":
        return functional.mse_loss(torch.sigmoid(logits), masks)
    weight = (mix.abs() + 1e-6).sqrt()  # between every bin alike and the energy that SDR counts
    weight = (weight / weight.mean((1, 2), keepdim=True))[:, :, None].expand_as(masks)
    return functional.binary_cross_entropy_with_logits(logits, masks, weight)


def fit(net, row, takes, seed, steps, rate=RATE, stem=None, save=None):
    """Train `net` in place; returns the curve [(step, loss)].

    seed : tuple of int; batches depend on it and on the step
    stem : which one a net of one stem learns
    save : called as save(step) every hundred steps
    """
    optimiser = torch.optim.Adam(net.parameters(), rate)
    n = classic.N_FFT + (CLIP - 1) * classic.HOP_LENGTH
    curve, mean = [], 0.0
    for step in range(steps):
        rng = np.random.default_rng((*seed, step))
        audio = one_channel(rng, takes.batch(rng, BATCH, n))
        tracks = classic.spectra_of(audio)  # (b, 5, t, f)
        mix = tracks.sum(1)
        masks = binary_masks(tracks, row.target)
        frames = torch.arange(classic.POOL - 1, CLIP, classic.POOL)[FIRST:]
        frames = frames - row.delay
        masks = masks[:, frames]
        if stem is not None:
            masks = masks[:, :, stem : stem + 1]
        logits = net(classic.features_of(mix), every=classic.POOL)[:, FIRST:]
        loss = loss_of(logits, masks, row.loss, mix[:, frames])
        warm = min(1.0, (step + 1) / WARM_UP)
        optimiser.param_groups[0]["lr"] = (
            rate * warm * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * step / steps)))
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        mean += loss.item()
        if (step + 1) % 20 == 0:
            curve.append((step + 1, round(mean / 20, 5)))
            print(f"step {step + 1}: {mean / 20:.4f}, {time.process_time():.0f} s", flush=True)
            mean = 0.0
        if save and (step + 1) % 100 == 0:
            save(step + 1)
    return curve


def train(name, args):
    """One row: weights and facts into NAME.pt, scores into NAME.json."""
    row, takes = ROWS[name], Takes(args.takes)
    begun = time.process_time()
    torch.manual_seed(args.seed)
    if row.apart:
        nets, curves = [], []
        for stem in range(len(STEMS)):
            torch.manual_seed(args.seed + stem)
            nets.append(classic.ClassicNet("branch"))
            curves.append(fit(nets[-1], row, takes, (args.seed, 1 + stem), args.steps, stem=stem))
        net, curve = classic.merge(nets), curves
    else:
        net = classic.ClassicNet(row.variant)
        curve = fit(net, row, takes, (args.seed, 0), args.steps)
    facts = {
        "row": dataclasses.asdict(row),
        "steps": args.steps,
        "seed": args.seed,
        "minutes": round((time.process_time() - begun) / 60, 1),
        "takes": len(takes),
        "hours_of_audio": round(hours(args.steps), 2),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "parameters": sum(p.numel() for p in net.parameters()),
        "products": classic.count_products(net),
        "curve": curve,
    }
    args.runs.mkdir(parents=True, exist_ok=True)
    torch.save({"net": net.state_dict(), "facts": facts}, args.runs / f"{name}.pt")
    facts["scores"] = score(net, row, Takes(args.validation))
    (args.runs / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(name, json.dumps(facts["scores"]))


def hours(steps):
    return steps * BATCH * CLIP * classic.HOP_LENGTH / SAMPLERATE / 3600


def machine():
    return f"{os.cpu_count()} x {platform.machine()}, one thread, torch {torch.__version__}"


def table(args):
    """Every row there is, as markdown."""
    found = {n: json.loads((args.runs / f"{n}.json").read_text()) for n in ROWS
             if (args.runs / f"{n}.json").exists()}  # fmt: skip
    centre = found["joint"]
    lines = [
        "# The classic rows",
        "",
        "The article's network (models/classic.py) in its variants, trained at modest size:",
        f"{centre['steps']} steps of {BATCH} clips of {CLIP} frames, {centre['minutes']} minutes",
        "of one core; the rows rank choices at this size and say little about long training.",
        f"Made with `python -m models.rows train all`, {centre['date']}, {centre['machine']}.",
        f"SDR of spectra in dB on {TAKES} validation takes (see models/rows.py), three ways to use",
        "the same outputs: over 0.5, as they are, and divided by their sum over stems.",
        "",
        "| row | parameters | M products / frame / channel | thresholded | soft | sum to one |"
        " right bins |",
        "|---|---|---|---|---|---|---|",
    ]
    for facts in found.values():
        s, count = facts["scores"], facts["products"]
        lines.append(
            f"| {facts['row']['text']} | {facts['parameters']:,} | {count['stream'] / 1e6:.1f}"
            f" (patch {count['article'] / 1e6:.1f}) | {s['thresholded']['mean']:.2f}"
            f" | {s['soft']['mean']:.2f} | {s['sum_to_one']['mean']:.2f}"
            f" | {s['accuracy']:.1f} % (all no: {s['accuracy_of_no']:.1f} %) |"
        )
    for name, s in baselines(Takes(args.validation)).items():
        lines.append(f"| {name} | | | {s['mean']:.2f} | | | |")
    lines += ["", "By stem, masks as they are:", "", "| row | " + " | ".join(STEMS) + " |"]
    lines.append("|---|" + "---|" * len(STEMS))
    for facts in found.values():
        s = facts["scores"]["soft"]
        cells = " | ".join(f"{s[stem]:.2f}" for stem in STEMS)
        lines.append(f"| {facts['row']['text']} | {cells} |")
    text = "\n".join(lines) + "\n"
    print(text)
    return text


def release(name, args):
    """Train a row longer, from where it ended, and write the file the daemon loads."""
    from models.classic_step import export  # needs onnx, rows do not
    from models.graph import DATA

    row, takes = ROWS[name], Takes(args.takes)
    if row.delay:
        raise SystemExit(f"{name}: got a delay of {row.delay} frames, expected a row without")
    saved = torch.load(args.runs / f"{name}.pt", map_location="cpu")
    before = saved["facts"]
    net = classic.ClassicNet(row.variant)
    net.load_state_dict(saved["net"])
    path = args.out / f"{NAME}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)

    def save(step):
        torch.save({"net": net.state_dict(), "step": step}, args.runs / f"{NAME}.pt")

    begun = time.process_time()
    if args.steps:
        fit(net, row, takes, (args.seed, 5), args.steps, FINISH_RATE, save=save)
        save(args.steps)
    scores = score(net, row, Takes(args.validation))
    steps = before["steps"] + args.steps
    training = {
        "data": DATA,
        "row": name,
        "hours_of_audio": round(hours(steps), 2),
        "steps": steps,
        "minutes": round(before["minutes"] + (time.process_time() - begun) / 60, 1),
        "seed": args.seed,
        "date": datetime.date.today().isoformat(),
        "products_per_frame_and_channel": before["products"],
        "row_scores": scores,
    }
    worst = export(net, path, training)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {worst:.1e} from the torch network")
    print(json.dumps(scores))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("train", "table", "release"))
    parser.add_argument("row", nargs="?", choices=(*ROWS, "all"), default="all")
    parser.add_argument("--takes", type=Path, default=Path("../takes/train"))
    parser.add_argument("--validation", type=Path, default=Path("../takes/validation"))
    parser.add_argument("--runs", type=Path, default=Path("../runs/rows"))
    parser.add_argument("--out", type=Path, default=Path("../runs/out"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.what == "table":
        (Path(__file__).parent / "rows.md").write_text(table(args))
    elif args.what == "release":
        release(args.row, args)
    elif args.row == "all":
        for name in ROWS:
            if not (args.runs / f"{name}.json").exists():
                train(name, args)
    else:
        train(args.row, args)


if __name__ == "__main__":
    main()
