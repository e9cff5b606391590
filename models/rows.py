"""Train the article's variants at modest size and print what each choice is worth.

    python -m models.rows train joint             one row; `all` for every row not yet there
    python -m models.rows table                   the rows as markdown, into models/rows.md
    python -m models.rows release joint --minutes 20
                                                  train a row longer, write cnn_classic.onnx + .json

A star: `joint` is the centre (four branches trained jointly, newest frame, cross-entropy, the
loudest stem wins), every other row changes one thing. All rows see the same number of batches of
the same size; an independent branch sees its own. A row takes about a minute of one core.

Scores are those of models/row_scores.py; released models are scored by models.evaluate, on audio.
"""

import argparse
import dataclasses
import datetime
import itertools
import json
import math
import os
import platform
import textwrap
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models import classic
from models.library import SAMPLERATE
from models.row_scores import STEMS, TAKES, baselines, binary_masks, score
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
    "independent": dataclasses.replace(
        CENTRE, text="variant 1: four branches, each alone, merged", apart=True
    ),
    "weighted": dataclasses.replace(
        CENTRE, text="not in the article: joint, loud bins weigh more", loss="weighted"
    ),
}

STEPS = 240
BATCH = 2  # small steps, many of them: the budget is in products
CLIP = 60  # frames; long clips waste less past, short ones bring more music
FIRST = 4  # third frames without a target: their past is short, and a middle lies before the clip
WARM_UP = 10  # steps
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


def fit(net, row, takes, seed, steps, rate=RATE, stem=None, minutes=None):
    """Train `net` in place; returns the curve [(step, loss)] and the number of steps.

    seed : tuple of int; batches depend on it and on the step
    stem : which one a net of one stem learns
    minutes : by the clock, instead of steps
    """
    optimiser = torch.optim.Adam(net.parameters(), rate)
    n = classic.N_FFT + (CLIP - 1) * classic.HOP_LENGTH
    curve, mean, begun = [], 0.0, time.monotonic()
    net.train()
    for step in itertools.count():
        done = (time.monotonic() - begun) / (60 * minutes) if minutes else step / steps
        if done >= 1:
            return curve, step
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
            rate * warm * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * done)))
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


def train(name, args):
    """One row: weights and facts into NAME.pt, scores into NAME.json."""
    row, takes = ROWS[name], Takes(args.takes)
    begun = time.process_time()
    torch.manual_seed(args.seed)
    if row.apart:
        nets, curves = [], []
        for stem in range(len(STEMS)):
            torch.manual_seed(args.seed + stem)
            nets.append(classic.ClassicNet("branch", normed=True))
            seed = (args.seed, 1 + stem)
            curves.append(fit(nets[-1], row, takes, seed, args.steps, stem=stem)[0])
        net, curve = classic.merge(nets), curves
    else:
        net = classic.ClassicNet(row.variant, normed=True)
        curve, _ = fit(net, row, takes, (args.seed, 0), args.steps)
    facts = {
        "row": dataclasses.asdict(row),
        "steps": args.steps,
        "seed": args.seed,
        "minutes": round((time.process_time() - begun) / 60, 1),
        "takes": len(takes),
        "hours_of_audio": round(hours(args.steps), 2),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "parameters": sum(p.numel() for p in classic.settle(net).parameters()),
        "products": classic.count_products(net),
        "curve": curve,
    }
    args.runs.mkdir(parents=True, exist_ok=True)
    torch.save({"net": net.state_dict(), "facts": facts}, args.runs / f"{name}.pt")
    facts["scores"] = score(classic.settle(net), row, Takes(args.validation))
    (args.runs / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(name, json.dumps(facts["scores"]))


def hours(steps):
    return steps * BATCH * CLIP * classic.HOP_LENGTH / SAMPLERATE / 3600


def machine():
    return f"{os.cpu_count()} x {platform.machine()}, one thread, torch {torch.__version__}"


def table(args):
    """Every row there is, as markdown."""
    found = {
        name: json.loads((args.runs / f"{name}.json").read_text())
        for name in ROWS
        if (args.runs / f"{name}.json").exists()
    }
    centre = found["joint"]
    size = (
        f"The article's network (`models/classic.py`) in its variants, trained at a modest size: "
        f"{centre['steps']} steps of {BATCH} clips of {CLIP} frames from {centre['takes']} "
        "rendered takes. That ranks choices at this size and says little about long training. "
        "Made with "
        f"`python -m models.rows train all`, {centre['date']}, {centre['machine']}; "
        f"{centre['minutes']} minutes of one core for the first row."
    )
    scale = (
        f"SDR of spectra in dB on {TAKES} validation takes (`models/row_scores.py`), three ways to "
        "use the same outputs: over 0.5, as they are, and divided by their sum over stems. Right "
        "bins are counted against the row's own binary masks; in brackets, for always saying no."
    )
    lines = [
        "# The classic rows",
        "",
        textwrap.fill(size, 100),
        "",
        textwrap.fill(scale, 100),
        "",
        "| row | thresholded | soft | sum to one | right bins | parameters |"
        " M products a frame and channel, streamed (patch) |",
        "|---|---|---|---|---|---|---|",
    ]
    for facts in found.values():
        s, count = facts["scores"], facts["products"]
        lines.append(
            f"| {facts['row']['text']} | {s['thresholded']['mean']:.2f} | {s['soft']['mean']:.2f}"
            f" | {s['sum_to_one']['mean']:.2f}"
            f" | {s['accuracy']:.1f} % ({s['accuracy_of_no']:.1f} %) | {facts['parameters']:,}"
            f" | {count['stream'] / 1e6:.1f} ({count['article'] / 1e6:.1f}) |"
        )
    for name, s in baselines(Takes(args.validation)).items():
        lines.append(f"| {name} | | {s['mean']:.2f} | | | | |")
    lines += ["", "By stem, masks as they are:", "", "| row | " + " | ".join(STEMS) + " |"]
    lines.append("|---|" + "---|" * len(STEMS))
    for facts in found.values():
        s = facts["scores"]["soft"]
        cells = " | ".join(f"{s[stem]:.2f}" for stem in STEMS)
        lines.append(f"| {facts['row']['text']} | {cells} |")
    return "\n".join([*lines, "", *streaming()]) + "\n"


def streaming():
    """What computing each column once saves, counted and timed, as lines of text."""
    from models.classic_step import time_step

    net = classic.ClassicNet().eval()
    count = classic.count_products(net)
    per_stem = {name: n / net.variant.stems / 1e6 for name, n in count.items()}
    step_ms = 1e3 * time_step(net)
    window = torch.rand(2, 25, classic.N_BINS)
    with torch.no_grad():
        patch_ms = 1e3 * median_time(lambda: classic.patch(net, window, 1))
    saved = (
        f"A stem, a channel, a frame: {per_stem['stream']:.2f} M products streamed, "
        f"{per_stem['article']:.1f} M with the article's patch of 25 frames run anew, which is "
        f"{count['article'] / count['stream']:.1f} times as many. Against the twin that computes "
        f"the very same masks from all 34 frames they depend on ({per_stem['twin']:.1f} M) it is "
        f"{count['twin'] / count['stream']:.1f} times. Timed for four stems and two channels, one "
        f"thread: {step_ms:.1f} ms a frame (ONNX Runtime, keeping the columns included) against "
        f"{patch_ms:.1f} ms (torch), {patch_ms / step_ms:.1f} times; at 48 kHz a frame lasts "
        "10.7 ms."
    )
    changed = (
        "Parameters are the article's own, 323,233 a stem. Not the article's: a patch sees zeros "
        "before its first and after its newest frame, at every convolution; the stream sees the "
        "true past there, 34 frames instead of 25, and has its taps in the past alone."
    )
    texts = [textwrap.fill(text, 100) for text in (saved, changed)]
    return ["## Each column once", "", texts[0], "", texts[1]]


def median_time(call, n=9):
    """Seconds of processor time."""
    times = []
    for _ in range(n):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return sorted(times)[n // 2]


def release(name, args):
    """Train a row longer, and again longer at the next call; write the file the daemon loads."""
    from models.classic_step import export  # needs onnx, rows do not
    from models.graph import DATA

    row, takes = ROWS[name], Takes(args.takes)
    if row.delay:
        raise SystemExit(f"{name}: got a delay of {row.delay} frames, expected a row without")
    kept = args.runs / f"{NAME}_{name}.pt"
    saved = torch.load(kept if kept.exists() else args.runs / f"{name}.pt", map_location="cpu")
    facts = saved["facts"]
    net = classic.ClassicNet(row.variant, normed=True)
    net.load_state_dict(saved["net"])
    begun = time.process_time()
    # Its own batches at every call: no row has as many stems, so no seed comes twice.
    seed = (args.seed, len(STEMS) + 1, facts["steps"])
    _, steps = fit(net, row, takes, seed, args.steps, FINISH_RATE, minutes=args.minutes)
    facts["steps"] += steps
    facts["minutes"] = round(facts["minutes"] + (time.process_time() - begun) / 60, 1)
    torch.save({"net": net.state_dict(), "facts": facts}, kept)
    scores = score(classic.settle(net), row, Takes(args.validation))
    training = {
        "data": DATA,
        "row": name,
        "hours_of_audio": round(hours(facts["steps"]), 2),
        "steps": facts["steps"],
        "minutes": facts["minutes"],
        "seed": args.seed,
        "date": datetime.date.today().isoformat(),
        "products_per_frame_and_channel": facts["products"],
        "row_scores": scores,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{NAME}.onnx"
    worst = export(classic.settle(net), path, training)
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
    parser.add_argument("--minutes", type=float, help="of a release, by the clock, not --steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.what == "table":
        text = table(args)
        (Path(__file__).parent / "rows.md").write_text(text)
        print(text)
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
