"""What each idea is worth: the same short training with one thing changed, row by row.

    python -m models.ablations --runs ../runs/ablations              all rows, one after the other
    python -m models.ablations --runs ../runs/ablations --rows muon blocks3
    python -m models.ablations --runs ../runs/ablations --table      what is there, as Markdown

Rows get the same time, not the same number of steps: what is slow must be better per step. Minutes
on two cores rank big effects only; the table says how long each row ran and where.
"""

import argparse
import json
import platform
import tomllib
from pathlib import Path

import torch

from models import train
from models.nets import BandNet

CONFIG = Path(__file__).parent / "configs" / "ablations.toml"


def settings_of(config, name):
    """Settings of one row, whole."""
    row = {key: value for key, value in config["rows"][name].items() if key != "about"}
    return train.DEFAULTS | {"seed": 11} | config["settings"] | row


def table(config, runs):
    """Markdown: validation SDR by stem, mean, leak; the rows that ran."""
    lines = [
        "| row | what | MMAC a frame | steps | vocals | drums | bass | other | mean | leak |",
        "|---" * 10 + "|",
    ]
    for name, row in config["rows"].items():
        path = runs / name / "last.pt"
        if not (runs / name / "ema.pt").exists():
            continue
        saved = torch.load(path, map_location="cpu")
        scores = [r for r in saved["history"] if r[0] == "validation"][-1][3:]
        net = BandNet(1024, **settings_of(config, name)["net"])
        cells = " | ".join(f"{x:.2f}" for x in scores)
        macs = net.macs() / 1e6
        lines.append(f"| {name} | {row['about']} | {macs:.2f} | {saved['step']} | {cells} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    config = tomllib.loads(CONFIG.read_text())
    parser.add_argument("--rows", nargs="+", choices=config["rows"], default=list(config["rows"]))
    parser.add_argument("--minutes", type=float, default=config["minutes"])
    parser.add_argument("--pool", type=Path, default=Path("../takes"))
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="train nothing")
    args = parser.parse_args()
    for name in () if args.table else args.rows:
        settings = settings_of(config, name)
        print(f"== {name}", json.dumps(config["rows"][name]), flush=True)
        train.train(
            settings, args.pool, args.runs / name, minutes=args.minutes, threads=args.threads
        )
    print(f"{args.minutes:g} minutes a row, {platform.processor() or platform.machine()}\n")
    print(table(config, args.runs))


if __name__ == "__main__":
    main()
