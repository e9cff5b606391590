"""Weights half-way between trained runs, which are better than any of them.

    python -m models.mean --runs ../runs/live ../runs/base2 --logits 0.9 --out ../runs/mean
    python -m models.mean --masks --runs ../runs/live ../runs/other --out ../runs/both

Runs that started from one another lie in one valley; its middle generalises better than its walls
(Wortsman et al., Model soups, ICML 2022). What only the first run has, a block that grew, is kept
as it is. A run that is named twice counts twice. `--logits` softens the masks: nets trained for
hours rather than days are surer of themselves than they may be. `--masks` leaves the weights as
they are and puts the nets side by side (`nets.Together`), to be trained on as one. Writes `ema.pt`,
which `models.export` takes like that of any run.
"""

import argparse
import datetime
from collections import Counter
from pathlib import Path

import torch

from models.nets import Together, made, unlearned


def mean(first, others):
    """Mean of weights, each {name: tensor}; names and shapes are those of the first."""
    out = {}
    for name, value in first.items():
        all_ = [value] + [weights[name] for weights in others if name in weights]
        out[name] = torch.stack(all_).mean(0)
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--masks", action="store_true", help="of their masks: one run of all nets, side by side"
    )
    parser.add_argument("--logits", type=float, default=1.0, help="factor, 1: as they are")
    parser.add_argument("--hop", type=int, help="samples; default: that of the first run")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    first, *others = (torch.load(run / "ema.pt", map_location="cpu") for run in args.runs)
    hop = args.hop or first["facts"]["hop_length"]
    if args.masks:
        weights, facts = side_by_side([first, *others], hop)
    else:
        counts = Counter(args.runs)
        weights = mean(first["net"], [other["net"] for other in others])
        # What is told of the training: the longest chain of runs, and that this is a mean.
        facts = max((first, *others), key=lambda saved: total_steps(saved["facts"]))["facts"]
        facts = facts | {
            "hop_length": hop,
            "net": first["facts"]["net"],
            "mean_of": len(counts),
            "shares": [round(n / len(args.runs), 2) for n in counts.values()],
            "date": datetime.date.today().isoformat(),
        }
    for name in weights:
        if "head_out" in name:
            weights[name] = weights[name] * args.logits
    made(hop, **facts["net"]).load_state_dict(weights)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save({"net": weights, "facts": facts | {"logits": args.logits}}, args.out / "ema.pt")
    print(args.out / "ema.pt")


def side_by_side(saved, hop):
    """Runs, each {net, facts}, to the weights and facts of all their nets `Together`."""
    each = []
    for one in saved:
        net = made(hop, **one["facts"]["net"])
        net.load_state_dict(one["net"])
        each += getattr(net, "nets", [net])
    nets = Together(sorted(each, key=lambda net: -len(net.blocks)))
    together = [one["facts"] for one in saved]
    return nets.state_dict(), unlearned(hop, nets.sizes, together[0]["seed"], together=together)


def total_steps(facts):
    """Steps of a run and of those it started from."""
    return facts["steps"] + (total_steps(facts["started_from"]) if facts["started_from"] else 0)


if __name__ == "__main__":
    main()
