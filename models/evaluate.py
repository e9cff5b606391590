"""Score models on stems as the daemon would have played them, beside what costs nothing and what
knows the truth.

    python -m models.testset --samples ../shared/samples --out ../testset
    python -m models.evaluate band_live band_tight --set ../testset
    python -m models.evaluate band_live --quick       # usdr of some seconds of some items
    python -m models.evaluate runs/live/band_live.onnx --out live_scores.json

Every item is fed to the daemon's own `Separator` with its `MaskNet` in blocks of 480 samples, and
what comes out is compared after `spec.latency` samples. The same material is scored at 44.1 kHz, as
it is, and resampled to 48 kHz. Definitions of the numbers: `models/scores.py`; of the baselines:
`models/baselines.py`; of the material: `models/testset.py`.

Baselines depend on the items and the window alone and are computed once (`cache/` of the set). SIR
and SAR come from museval at 5 s of work an item, hence of `--bss` items only, 10 s of each; every
other number is of all items.

Results go into the model's .json under `scores`, and from there into its card; those of `--quick`
only while there are no others. A set that is not there is made from `--samples` first.
"""

import argparse
import hashlib
import json
import os
import time
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import soxr

from models import baselines, testset
from models.scores import ItemScores, has_museval, measure, oracle_gain, summarise
from models.streamed import BLOCKSIZES, separate, spec_of
from models.testset import SAMPLERATE, read_set, set_digest
from stemd.processors.masknet import MaskNet
from stemd.spec import STEMS

HERE = Path(__file__).parent
RATES = (44100, 48000)
CLASSIC = "cnn_classic"  # what nets are compared with, once it is there
CACHE = 4  # counts up when a baseline or a score means something else than before
QUICK_S, QUICK_ITEMS = 8, {"songs": 6, "rendered": 12}
BSS_S, BSS_ITEMS = 10, 6
BSS_OF = ("model", "ratio_mask")
FREE = ("mixture", "quarter_mix")
LABELS = {
    "mixture": "the mixture",
    "quarter_mix": "a quarter of it",
    "hpss": "hpss, causal",
    CLASSIC: "`cnn_classic`",
    "model": "**this model**",
    "ratio_mask": "true ratio mask",
    "binary_mask": "true binary mask",
}


class Bench:
    """Items at one rate, and what has been measured on them.

    Parameters
    ----------
    folder : Path
        Test set; a folder `cache` is made in it.
    items : list of Item
    samplerate : int
    seconds : float or None
        From the start of each item.
    bss : set of str
        Names of the items that museval sees.
    """

    def __init__(self, folder, items, samplerate, seconds=None, bss=(), flicker=True):
        self.folder = Path(folder) / "cache"
        self.items = items
        self.samplerate = samplerate
        self.seconds = seconds
        self.bss = bss
        self.flicker = flicker

    def sources(self, item):
        """(5, 2, n) float32 at our rate; the mixture is their sum."""
        sources = item.read(self.seconds)
        if item.samplerate == self.samplerate:
            return sources
        n = round(sources.shape[2] * self.samplerate / item.samplerate)
        resampled = np.zeros((*sources.shape[:2], n), np.float32)
        for source, out in zip(sources, resampled, strict=True):
            if source.any():
                audio = soxr.resample(source.T, item.samplerate, self.samplerate, "VHQ").T[:, :n]
                out[:, : audio.shape[1]] = audio
        return resampled

    def score(self, item, sources, estimates, with_bss):
        """ItemScores of one item."""
        mix = sources.sum(0)
        stems = sources[: len(STEMS)]
        result = measure(stems, estimates, mix, self.samplerate, flicker=self.flicker)
        if with_bss and item.name in self.bss:
            n = BSS_S * self.samplerate
            part = measure(
                stems[..., :n], estimates[..., :n], mix[:, :n], self.samplerate, bss=True
            )
            result.bss = part.bss
        return result

    def model(self, path, facts, blocksizes=BLOCKSIZES):
        """{part: {track: [ItemScores]}} of a model, streamed."""
        spec = spec_of(facts, self.samplerate)
        net = MaskNet(path, spec, "cpu")
        tracks = {}
        for item in self.items:
            sources = self.sources(item)
            stems = separate(spec, net, sources.sum(0), blocksizes)
            scores = self.score(item, sources, stems, True)
            tracks.setdefault(item.part, {}).setdefault(item.track, []).append(scores)
        return tracks

    def cached_model(self, path, facts):
        """The same, from the cache for items that this very file has been scored on."""
        spec = spec_of(facts, self.samplerate)
        net = None
        tracks = {}
        for item in self.items:
            key = self._key(item, facts["sha256"], spec)
            scores = self._read(key, False)
            if scores is None:
                net = net or MaskNet(path, spec, "cpu")
                sources = self.sources(item)
                scores = self.score(item, sources, separate(spec, net, sources.sum(0)), False)
                self._write(key, scores)
            tracks.setdefault(item.part, {}).setdefault(item.track, []).append(scores)
        return tracks

    def baselines(self, spec, names=baselines.NAMES):
        """{name: {part: {track: [ItemScores]}}} at a model's window, as far as possible cached."""
        result = {name: {} for name in names}
        for item in self.items:
            with_bss = item.name in self.bss
            keys = {name: self._key(item, name, spec) for name in names}
            scores = {
                name: self._read(key, with_bss and name in BSS_OF) for name, key in keys.items()
            }
            missing = [name for name in names if scores[name] is None]
            if missing:
                sources = self.sources(item)
                for name, stems in baselines.estimates(spec, sources, missing):
                    scores[name] = self.score(item, sources, stems, name in BSS_OF)
                    self._write(keys[name], scores[name])
            for name in names:
                tracks = result[name].setdefault(item.part, {})
                tracks.setdefault(item.track, []).append(scores[name])
        return result

    def _key(self, item, name, spec):
        window = (spec.n_fft, spec.hop_length, spec.window)
        if name in ("mixture", "quarter_mix"):
            window = ()
        what = (CACHE, item.sha256, self.samplerate, self.seconds, self.flicker, name, window)
        return hashlib.sha256(repr(what).encode()).hexdigest()[:24]

    def _read(self, key, with_bss):
        path = self.folder / f"{key}.npz"
        if not path.exists():
            return None
        with np.load(path) as stored:
            arrays = dict(stored)
        if with_bss and "bss" not in arrays:
            return None
        return ItemScores(
            arrays["sums"],
            arrays["seconds"],
            self.samplerate,
            arrays.get("flicker"),
            arrays.get("bss") if with_bss else None,
        )

    def _write(self, key, scores):
        self.folder.mkdir(parents=True, exist_ok=True)
        optional = {k: getattr(scores, k) for k in ("flicker", "bss")}
        arrays = {k: v for k, v in optional.items() if v is not None}
        part = self.folder / f"{key}.{os.getpid()}.part.npz"  # others may read while we write
        np.savez(part, sums=scores.sums, seconds=scores.seconds, **arrays)
        part.replace(self.folder / f"{key}.npz")


def spread(items, count):
    """`count` items of a list, evenly."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def some(items, counts):
    """A few of the items of each part: half of them those with most stems, half any."""
    chosen = []
    for part in dict.fromkeys(item.part for item in items):
        here = [item for item in items if item.part == part]
        count = counts.get(part, 6)
        rich = sorted(here, key=lambda item: -len(item.stems))[: count // 2]
        rest = [item for item in here if item not in rich]
        chosen += [item for item in here if item in rich + spread(rest, count - len(rich))]
    return chosen


def museval_items(items, count):
    """Names of the items museval sees: of each part those with most stems, as many of each."""
    parts = dict.fromkeys(item.part for item in items)
    names = []
    for part in parts:
        rich = sorted((x for x in items if x.part == part), key=lambda x: (-len(x.stems), x.name))
        names += [item.name for item in rich[: -(-count // len(parts))]]
    return set(names[:count]) if count else set()


def evaluate(path, folder, items, rates=RATES, seconds=None, bss=BSS_ITEMS, names=baselines.NAMES):
    """Everything about one model that goes under `scores`."""
    facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
    quick = seconds is not None
    scores = {
        "date": date.today().isoformat(),
        "set": {
            "parts": dict(Counter(item.part for item in items)),
            "sha256": set_digest(items),
            "seconds": seconds,
        },
        "bss_items": bss,
    }
    classic = find(CLASSIC, path.parent)
    for samplerate in rates:
        first = samplerate == rates[0]
        seen = museval_items(items, bss) if first and not quick else ()
        bench = Bench(folder, items, samplerate, seconds, seen, flicker=first and not quick)
        started = time.monotonic()
        measured = {"model": bench.model(path, facts)}
        model_s = time.monotonic() - started
        # what the truth knows is told at the first rate; the second is for the difference
        here = names if first else [name for name in names if name in FREE]
        measured |= bench.baselines(spec_of(facts, samplerate), here)
        if classic.exists() and facts["name"] != CLASSIC and not quick:
            card = json.loads(classic.with_suffix(".json").read_text("utf-8"))
            measured[CLASSIC] = bench.cached_model(classic, card)
        parts = {}
        for part in measured["model"]:
            parts[part] = {
                name: summarise(measured[name][part]) for name in LABELS if name in measured
            }
            rows = parts[part]
            if {"mixture", "ratio_mask"} <= rows.keys():
                parts[part]["oracle_gain"] = {
                    name: oracle_gain(
                        rows[name]["usdr"], rows["mixture"]["usdr"], rows["ratio_mask"]["usdr"]
                    )
                    for name in rows
                    if name not in ("mixture", "ratio_mask", "binary_mask")
                }
            if len(measured["model"][part]) <= 4:  # real songs have names, rendered items have not
                parts[part]["tracks"] = {
                    track: {
                        name: {
                            metric: summarise({track: measured[name][part][track]})[metric]
                            for metric in ("sdr", "usdr")
                        }
                        for name in ("model", "mixture")
                        if name in measured
                    }
                    for track in measured["model"][part]
                }
        scores[f"{samplerate} Hz"] = parts
        print(f"{facts['name']} at {samplerate} Hz: model {model_s:.0f} s,", end=" ")
        print(f"baselines {time.monotonic() - started - model_s:.0f} s", flush=True)
    return scores


def table(rows, metric, names=tuple(LABELS)):
    """Markdown: methods down, stems across, one metric."""
    lines = [f"| {metric}, dB | {' | '.join(STEMS)} | mean |", "|---" * 6 + "|"]
    for name in names:
        row = rows.get(name, {}).get(metric)
        if row is None:
            continue
        cells = ["-" if row[k] is None else f"{row[k]:.2f}" for k in (*STEMS, "mean")]
        lines.append(f"| {LABELS[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rates_of(scores):
    """{"44100 Hz": {part: …}, …} of what `evaluate` returned."""
    return {key: value for key, value in scores.items() if key.endswith(" Hz")}


def facts_of(scores):
    """What the tables mean, in sentences that hold numbers: [str]."""
    lines = []
    rates = rates_of(scores)
    first = next(iter(rates.values()))
    for part, rows in first.items():
        gains = rows.get("oracle_gain", {})
        if gains.get("model", {}).get("mean") is not None:
            others = ", ".join(
                f"{LABELS[name]} {100 * row['mean']:.0f} %"
                for name, row in gains.items()
                if name != "model" and row["mean"] is not None
            )
            lines.append(
                f"{part}: {100 * gains['model']['mean']:.0f} % of what the true ratio mask gains "
                f"over the mixture in usdr ({others})"
            )
        for track, both in rows.get("tracks", {}).items():
            if "mixture" not in both:
                continue
            change = [
                f"{stem} {both['model']['sdr'][stem] - both['mixture']['sdr'][stem]:+.1f}"
                for stem in STEMS
                if both["model"]["sdr"][stem] is not None
            ]
            lines.append(f"{track}: sdr over the mixture, dB: {', '.join(change)}")
    if len(rates) > 1:
        (one, a), (two, b) = list(rates.items())[:2]
        for part in a:
            change = b[part]["model"]["sdr"]["mean"] - a[part]["model"]["sdr"]["mean"]
            change_usdr = b[part]["model"]["usdr"]["mean"] - a[part]["model"]["usdr"]["mean"]
            lines.append(
                f"{part}: {two} minus {one}, mean: sdr {change:+.2f} dB, usdr {change_usdr:+.2f} dB"
            )
    return lines


def find(name, folder=HERE):
    """Path of the .onnx of a name or path."""
    path = Path(name)
    return path if path.suffix == ".onnx" else Path(folder) / f"{name}.onnx"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="+", help="released names, or paths that end in .onnx")
    parser.add_argument("--models", type=Path, default=HERE, help="where names are looked up")
    parser.add_argument("--set", type=Path, default=Path("../testset"))
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--parts", nargs="+", help="only these of songs, rendered, folder")
    parser.add_argument("--rates", nargs="+", type=int, default=RATES)
    parser.add_argument("--quick", action="store_true", help="usdr of the first seconds of some")
    parser.add_argument("--bss", type=int, default=BSS_ITEMS, help="items that museval sees")
    parser.add_argument("--out", type=Path, help="write there, not into the model's .json")
    args = parser.parse_args()
    if not (args.set / testset.ITEMS).exists():
        testset.write_pack(args.samples, args.cache, args.set)
    items = read_set(args.set)
    if args.bss and not has_museval():
        print("museval is not installed: no sir, sar and isr")
        args.bss = 0
    if args.parts:
        items = [item for item in items if item.part in args.parts]
    for name in args.names:
        path = find(name, args.models)
        if args.quick:
            few = some(items, QUICK_ITEMS)
            names = ("mixture", "quarter_mix", "ratio_mask")
            scores = evaluate(path, args.set, few, (SAMPLERATE,), QUICK_S, 0, names)
            metrics = ("usdr",)
        else:
            scores = evaluate(path, args.set, items, tuple(args.rates), None, args.bss)
            metrics = ("sdr", "usdr", "si_sdr", "leak", "leak_median", "flicker", "sir", "sar")
        for samplerate, parts in rates_of(scores).items():
            for part, rows in parts.items():
                print(f"\n{path.stem}, {part}, {samplerate}\n")
                for metric in metrics:
                    if metric in rows["model"]:
                        print(table(rows, metric) + "\n")
        print("\n".join(facts_of(scores)), flush=True)
        if args.out:
            args.out.write_text(json.dumps(scores, indent=1) + "\n")
            continue
        card = path.with_suffix(".json")
        facts = json.loads(card.read_text("utf-8"))
        if not args.quick or not facts["scores"]:
            facts["scores"] = scores
            card.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
