"""The trainer's own measure, of runs that lie there: minutes where `models.evaluate` takes hours.

    python -m models.validate ../runs/live0 ../runs/base2 --pool ../takes --hop 256

Prints for each run and pool (takes nobody trained on, songs) the SDR of vocals, drums, bass, other
where they sound, their mean, and the leak: see `train.validate`. It compares runs; what listeners
get is what `models.evaluate` says.
"""

import argparse
from pathlib import Path

import torch

from models import train
from models.library import SAMPLERATE
from models.nets import MaskNet, load
from models.spectra import Statistics
from models.takes import Takes

SECONDS = 8  # of each take, as in training
HEARD = ("validation", "songs")
HEADS = "| run | pool | vocals | drums | bass | other | mean, dB | leak, dB |"


def fixed(pool, hop):
    """{pool: batches} of the parts of `pool` that nobody trains on."""
    every = max(1, 1024 // hop)
    numbers = Statistics(MaskNet.n_fft, hop, every)
    return {
        name: list(train.fixed_batches(Takes(pool / name), numbers, SECONDS * SAMPLERATE // hop, 8))
        for name in HEARD
        if (pool / name).exists()
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders with an ema.pt")
    parser.add_argument("--pool", type=Path, default=Path("../takes"))
    parser.add_argument("--hop", type=int, default=512, help="samples, at which all are heard")
    args = parser.parse_args()
    heard = fixed(args.pool, args.hop)
    if not heard:
        raise SystemExit(f"{args.pool}: got no {' or '.join(HEARD)}, expected rendered takes")
    print(HEADS, "|---" * 8 + "|", sep="\n")
    for run in args.runs:
        net, _ = load(run, args.hop)
        for name, batches in heard.items():
            row = train.validate(net, batches, max(1, 1024 // args.hop), torch.device("cpu"))
            print(f"| {run} | {name} |", " | ".join(f"{x:.2f}" for x in row), "|", flush=True)


if __name__ == "__main__":
    main()
