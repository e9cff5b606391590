"""Time one step of released models, as the daemon runs them: one feed, one thread, bound buffers.

    python models/speed.py first_live first_tight first_quality first_classic

Percentiles of `--steps` steps go into the .json under `speed`, with the processor's name. Other
work on the machine shows in p99 first: measure on an idle one.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import onnxruntime
from export import session


def processor():
    """What the system calls its processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def step_times_us(path, steps, batch=1):
    """Microseconds of each of `steps` steps, warm-up left out."""
    model = session(path)
    binding = model.io_binding()
    rng = np.random.default_rng(0)
    for node in model.get_inputs():
        data = rng.random((batch, *node.shape[1:]), np.float32)
        binding.bind_ortvalue_input(node.name, onnxruntime.OrtValue.ortvalue_from_numpy(data))
    for node in model.get_outputs():
        data = np.zeros((batch, *node.shape[1:]), np.float32)
        binding.bind_ortvalue_output(node.name, onnxruntime.OrtValue.ortvalue_from_numpy(data))
    times = np.empty(steps + 500)
    for i in range(times.size):
        start = time.perf_counter()
        model.run_with_iobinding(binding)
        times[i] = time.perf_counter() - start
    return 1e6 * times[500:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--models", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--batch", type=int, default=1)
    args = parser.parse_args()
    for name in args.names:
        path = args.models / f"{name}.onnx"
        times = step_times_us(path, args.steps, args.batch)
        p50, p99 = (round(float(x), 1) for x in np.percentile(times, (50, 99)))
        print(f"{name}: batch {args.batch}, p50 {p50} us, p99 {p99} us, {processor()}")
        if args.batch == 1:
            facts = json.loads(path.with_suffix(".json").read_text())
            facts["speed"] = {
                "step_p50_us": p50,
                "step_p99_us": p99,
                "processor": processor(),
                "onnxruntime": onnxruntime.__version__,
            }
            path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
