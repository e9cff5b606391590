"""What `separate` costs in silence, awake and with `model.rest_after_s`.

    python benchmarks/rest.py --seconds 20

A daemon on a tone nobody hears (-120 dBFS). Prints one line of JSON: shares of a core, times of a
hop, the share of hops in which the model rested.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from stemd.spec import PROFILES
from stemd.status import step_percentile
from tests.device.conftest import Running, running

REST_S = 1.0


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(it: Running, seconds: float) -> dict[str, Any]:
    it.collect(REST_S + 1.0)
    separate = it.status.separate
    pid, steps, rested = int(separate["pid"]), separate["steps"].copy(), int(separate["rested"])
    hops, before_s = int(separate["hops"]), cpu_s(pid)
    it.collect(seconds)
    steps = np.subtract(separate["steps"], steps)
    return {
        "core": round((cpu_s(pid) - before_s) / seconds, 3),
        "us_p50": round(step_percentile(steps, 0.5)),
        "us_p99": round(step_percentile(steps, 0.99)),
        "rested": round((int(separate["rested"]) - rested) / (int(separate["hops"]) - hops), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    result: dict[str, Any] = {}
    for profile in PROFILES:
        for name, after_s in (("awake", 0.0), ("rests", REST_S)):
            silence = ("source.kind=tone", "source.level_db=-120")
            with running(*silence, f"profile={profile}", f"model.rest_after_s={after_s}") as it:
                result.setdefault(profile, {})[name] = measure(it, seconds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
