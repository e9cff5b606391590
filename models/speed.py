"""Time released models as the daemon runs them: one feed, one thread, hop after hop, no pause.

    python -m models.speed band_live band_tight band_quality pi_live cnn_classic

Two things are timed, by the code of `stemd bench`: the step, which is the network alone, and the
whole hop around it, which is transforms, step, masks, overlap-add and features. Load is the hop's
time over the time it has. Percentiles go into the .json under `speed`, with the processor's name.
Other work on the machine shows in p99.9 first, and soon in all of them: measure on an idle one.
"""

import argparse
import json
import os
import platform
from datetime import date
from pathlib import Path

import onnxruntime

from models.evaluate import HERE, find
from models.streamed import spec_of
from stemd.cli.bench import measure
from stemd.processors.masknet import MaskNet

SAMPLERATE = 48000  # the faster clock of the two: less time for a hop


def processor():
    """What the system calls its processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def busy():
    """Processes that want a core beside us, the mean of a minute; None where nobody knows."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def timed(path, seconds):
    """What goes under `speed`."""
    facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
    before = busy()
    spec = spec_of(facts, SAMPLERATE)
    result = measure(spec, MaskNet(path, spec, "cpu"), seconds)

    def rounded(row, digits):
        return {quantile: round(value, digits) for quantile, value in row.items()}

    return {
        "samplerate": SAMPLERATE,
        "hops": result["hops"],
        "budget_us": round(result["hop_us"], 1),
        "step_us": rounded(result["us"]["model"], 1),
        "hop_us": rounded(result["us"]["hop"], 1),
        "load": rounded(result["load"], 4),
        "busy": before,
        "processor": processor(),
        "onnxruntime": onnxruntime.__version__,
        "date": date.today().isoformat(),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="+")
    parser.add_argument("--models", type=Path, default=HERE)
    parser.add_argument("--seconds", type=float, default=30.0, help="of audio")
    parser.add_argument("--keep", action="store_true", help="print only, leave the .json alone")
    args = parser.parse_args()
    print("| model | us | p50 | p99 | p99.9 | load p50 | p99.9 |\n" + "|---" * 7 + "|")
    for name in args.names:
        path = find(name, args.models)
        speed = timed(path, args.seconds)
        for what in ("step", "hop"):
            row = speed[f"{what}_us"]
            load = [f"{100 * speed['load'][q]:.1f} %" for q in ("p50", "p99.9")]
            cells = [f"{row[q]:.0f}" for q in ("p50", "p99", "p99.9")]
            cells += load if what == "hop" else ["", ""]
            print(f"| {path.stem} | {what} | {' | '.join(cells)} |")
        if not args.keep:
            card = path.with_suffix(".json")
            facts = json.loads(card.read_text("utf-8"))
            facts["speed"] = speed
            card.write_text(json.dumps(facts, indent=1) + "\n")
    if (load := busy()) is not None and load > 1:
        print(
            f"\n{load} processes wanted a core meanwhile: these are no figures of an idle machine"
        )
    print(f"\n{processor()}, ONNX Runtime {onnxruntime.__version__}, {SAMPLERATE} Hz, one feed")


if __name__ == "__main__":
    main()
