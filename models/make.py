"""From a folder of recordings to a released model, in one command.

    make train PROFILE=live                             two processor cores: two hours and a half
    make train PROFILE=live MINUTES=25                  a large GPU and 16 cores
    python -m models.make --profile pi --minutes 90     the same without make

It renders a pool of takes, trains the weights all profiles share (configs/base.toml) unless they
are there, finishes them at the profile's hop length, writes .onnx, .json and card, and scores the
result. Each step is skipped when its result is there, and training goes on from its last
checkpoint, so the same command continues what was interrupted. `--minutes` is for all of it; what
remains after rendering is shared as SHARES says.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import torch

from models import export, takes, train

HERE = Path(__file__).parent
RELEASES = {"tight": "band_tight", "live": "band_live", "quality": "band_quality", "pi": "pi_live"}
RENDERING = 0.15  # of the whole time
SHARES = {"base": 0.60, "finish": 0.15}  # what is left is for scores and for the unforeseen
POOL = {"train": 1500, "validation": 24, "songs": 0}  # takes of 20 s, as far as time allows


def steps(args):
    """What has to be done: (name, function)."""

    def render():
        for part, count in POOL.items():
            pool = argparse.Namespace(
                pool=args.pool / part, part=part, folder=args.folder, samples=args.samples,
                cache=args.cache, nice=0, count=count, seconds=20.0, seed=0, workers=os.cpu_count(),
                minutes=RENDERING * args.minutes if part == "train" else None, keep=None,
            )  # fmt: skip
            takes.fill(pool)

    def learn(name):
        settings = train.load_settings(HERE / "configs" / f"{name}.toml")
        start = settings["start"]
        if start:
            learn(start)
        share = SHARES.get(name, SHARES["finish"])
        run = args.runs / name
        if (run / "done").exists():
            return
        train.train(
            settings, args.pool, run, args.runs / start / "ema.pt" if start else None,
            minutes=share * args.minutes, workers=max(1, min(12, os.cpu_count() - 2)),
        )  # fmt: skip
        (run / "done").touch()

    def write():
        path = args.out / f"{RELEASES[args.profile]}.onnx"
        worst, _ = export.export(args.runs / args.profile, path)
        print(f"{path}: {worst:.1e} from the trained network")

    def call(module, *arguments):
        command = [sys.executable, "-W", "ignore", "-m", f"models.{module}", *arguments]
        subprocess.run(command, check=True)

    def score():
        name, path = RELEASES[args.profile], str(args.out / f"{RELEASES[args.profile]}.onnx")
        if not (args.testset / "items.json").exists():
            sources = ("--samples", str(args.samples), "--cache", str(args.cache))
            call("testset", *sources, "--out", str(args.testset))
        call("evaluate", path, "--set", str(args.testset))
        call("speed", path)
        call("card", path)
        print(f"{name}: see {args.out / name}.md")

    return (
        ("render", render),
        ("train", lambda: learn(args.profile)),
        ("export", write),
        ("score", score),
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--profile", choices=RELEASES, default="live")
    default = 25 if torch.cuda.is_available() else 150
    parser.add_argument("--minutes", type=float, default=default)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--folder", type=Path, help="stems of your own, see models.folders")
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--pool", type=Path, default=Path("../takes"))
    parser.add_argument("--runs", type=Path, default=Path("../runs"))
    parser.add_argument("--testset", type=Path, default=Path("../testset"))
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--only", nargs="+", help="of: render train export score")
    args = parser.parse_args()
    for name, step in steps(args):
        if not args.only or name in args.only:
            print(f"== {name}", flush=True)
            step()


if __name__ == "__main__":
    main()
