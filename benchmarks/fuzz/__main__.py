"""Fuzz what comes in, one surface after the other, and say what was found.

    python -m benchmarks.fuzz osc --minutes 30 [--corpus build/fuzz/osc]
    python -m benchmarks.fuzz all --minutes 30
    python -m benchmarks.fuzz all --merge         # a small corpus for tests/fuzz

Needs atheris (`pip install stemd[fuzz]`). Prints a table and one line of JSON for each surface.
Inputs behind faults lie in build/fuzz/faults/SURFACE, each with its traceback.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .packed import pack, unpack
from .surfaces import SURFACES, Target, make

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
OURS = str(ROOT / "stemd")
MAX_BYTES = 4096  # of one input; longer ones reach the same places more slowly
RSS_MB = 2048
MERGED_BYTES = 55_000  # of one surface's inputs in the repository


def fuzz(surface: str, corpus: Path, faults: Path, seconds: float) -> dict[str, Any]:
    """Fuzz for so long, whatever ends a process on the way."""
    corpus.mkdir(parents=True, exist_ok=True)
    for data in unpack(CORPUS / surface):
        _put(corpus, data)
    found: dict[str, Any] = {"executions": 0, "edges": 0, "features": 0, "ends": 0}
    until_s = time.monotonic() + seconds
    began_s = _child_s()
    while (left_s := until_s - time.monotonic()) > 1.0:
        said = _engine(
            surface,
            corpus,
            faults,
            f"-max_total_time={round(left_s)}",
            f"-max_len={MAX_BYTES}",
            f"-rss_limit_mb={RSS_MB}",
        )
        counts = re.findall(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+)", said, re.M)
        if counts:
            found["executions"] += int(counts[-1][0])
            found["edges"] = max(found["edges"], int(counts[-1][1]))
            found["features"] = max(found["features"], int(counts[-1][2]))
        if "ERROR: libFuzzer" in said or not counts:
            found["ends"] += 1
            faults.mkdir(parents=True, exist_ok=True)
            (faults / f"end-{time.time():.0f}.txt").write_text(said[-20_000:])
            if not counts:
                print(said[-3000:], file=sys.stderr)
                break
    return {
        "surface": surface,
        "cpu_min": round((_child_s() - began_s) / 60, 2),
        **found,
        "corpus": len(list(corpus.iterdir())),
        "faults": len(list(faults.glob("*.txt"))),
    }


def merge(surface: str, corpus: Path) -> dict[str, Any]:
    """Put into the repository what goes every way through the code that the corpus goes."""
    before = [*unpack(CORPUS / surface), *(path.read_bytes() for path in corpus.iterdir())]
    inputs = sorted(set(before), key=lambda data: (len(data), data))
    known: set[tuple[Any, int, int]] = set()
    kept, total = [], 0
    target = make(surface)
    for data in inputs:
        ways = ways_of(target, data)
        if not ways <= known and total + len(data) <= MERGED_BYTES:
            known |= ways
            kept.append(data)
            total += len(data)
    target.close()
    size = pack(CORPUS / surface, kept)
    return {"surface": surface, "inputs": len(inputs), "kept": len(kept), "bytes": size}


def ways_of(target: Target, data: bytes) -> set[tuple[Any, int, int]]:
    """Steps from line to line of our own code that an input makes."""
    ways: set[tuple[Any, int, int]] = set()
    lines: dict[Any, int] = {}

    def step(frame: Any, event: str, argument: Any) -> Any:
        ways.add((frame.f_code, lines.get(frame, 0), frame.f_lineno))
        lines[frame] = frame.f_lineno
        if event == "return":
            lines.pop(frame, None)
        return step

    def call(frame: Any, event: str, argument: Any) -> Any:
        return step if frame.f_code.co_filename.startswith(OURS) else None

    sys.settrace(call)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return ways


def main() -> None:
    """Fuzz or merge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("surface", choices=(*SURFACES, "all"))
    parser.add_argument("--minutes", type=float, default=30.0, help="for each surface")
    parser.add_argument("--corpus", type=Path, help="of one surface; by default build/fuzz/SURFACE")
    parser.add_argument("--merge", action="store_true", help="minimise the corpus in tests/fuzz")
    arguments = parser.parse_args()
    for surface in SURFACES if arguments.surface == "all" else (arguments.surface,):
        corpus = BUILD / surface
        if arguments.corpus and arguments.surface != "all":
            corpus = arguments.corpus
        if arguments.merge:
            facts = merge(surface, corpus)
        else:
            faults = BUILD / "faults" / surface
            faults.mkdir(parents=True, exist_ok=True)
            facts = fuzz(surface, corpus, faults, arguments.minutes * 60)
        print("  ".join(f"{name} {value}" for name, value in facts.items()))
        print(json.dumps({"benchmark": "fuzz", **facts}), flush=True)


def _engine(surface: str, corpus: Path, faults: Path, *options: str) -> str:
    """What a process said that fuzzed until its end."""
    command = [sys.executable, "-m", f"{__package__}.engine", surface, str(corpus), str(faults)]
    ended = subprocess.run([*command, *options], capture_output=True, cwd=ROOT, check=False)
    return ended.stderr.decode("utf-8", "replace")


def _put(corpus: Path, data: bytes) -> None:
    (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)


def _child_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
