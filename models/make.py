"""Make every released model, from the sample pack to the cards.

    python models/make.py --samples ../shared/samples --runs ../runs

`base` learns at hop 512, where a processor hears twice the audio in the same time; what it knows of
bands and timbres serves every profile. `live` gets the longest of what is left; the others start
from it and only have to learn another frame clock.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
STAGES = (  # run, profile, minutes, start, seed, peak rate, part of the run in which the rate falls
    ("base", "quality", 20, None, 0, 2e-3, 0.2),
    ("live", "live", 24, "base", 1, 2e-3, 0.6),
    ("tight", "tight", 4.5, "live", 2, 1e-3, 0.7),
    ("quality", "quality", 3.5, "live", 3, 1e-3, 0.7),
    ("classic", "classic", 4, "live", 4, 1e-3, 0.7),
    ("live_more", "live", 4.3, "live", 5, 1e-3, 0.7),
)
RELEASED = {
    "first_tight": "tight",
    "first_live": "live_more",
    "first_quality": "quality",
    "first_classic": "classic",
}


def python(script, *arguments):
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--runs", type=Path, default=Path("../runs"))
    args = parser.parse_args()

    where = ("--samples", args.samples, "--cache", args.cache)
    for run, profile, minutes, start, seed, rate, decay in STAGES:
        begin = ("--from", args.runs / start / "ema.pt") if start else ()
        budget = ("--profile", profile, "--minutes", minutes)
        budget += ("--seed", seed, "--rate", rate, "--decay", decay)
        python("train.py", "--run", args.runs / run, *budget, *begin, *where)
    names = list(RELEASED)
    for name, run in RELEASED.items():
        python("export.py", "--run", args.runs / run, "--name", name)
    python("evaluate.py", *names, *where)
    python("speed.py", *names)
    python("card.py", *names)


if __name__ == "__main__":
    main()
