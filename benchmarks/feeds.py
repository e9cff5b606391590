"""Feeds per core: all in one call of the model, beside a process for each.

    python benchmarks/feeds.py                    # profile live, one core
    python benchmarks/feeds.py --provider cuda --counts 1,16,64,128,256,512

A hop is all that `separate` does for it: transforms, model, features, mixing. Hops run back to
back; *feeds* is how many one core carries at that cost: feeds of a hop times the time a hop has,
over the processor time it took (on a GPU: the time). So it is the same on a machine that does other
things meanwhile, nearly: they take the caches. A machine should be filled to three quarters of it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from typing import Any

import numpy as np

WARM, SECONDS = 40, 4.0


def prepare(n_feeds: int, profile: str, provider: str) -> Any:
    """A function that runs one hop and returns its time and the model's, seconds."""
    from stemd.processors.catalogue import find_model
    from stemd.processors.features import Features
    from stemd.processors.masknet import MaskNet
    from stemd.processors.mixer import Mixer
    from stemd.processors.separator import HopSeparator
    from stemd.spec import N_CHANNELS, N_FEATURES, N_STEMS, SOURCES, StreamSpec

    spec = StreamSpec.of(profile, 48_000, n_feeds)
    net = MaskNet(find_model("default", profile), spec, provider)
    separator, features, mixer = HopSeparator(spec, net), Features(spec), Mixer(spec)
    hop = np.zeros((n_feeds, N_CHANNELS, spec.hop_length), np.float32)
    stems = np.zeros((n_feeds, N_STEMS, *hop.shape[1:]), np.float32)
    mix = np.zeros_like(hop)
    rows = np.zeros((n_feeds, len(SOURCES), N_FEATURES), np.float32)
    random = np.random.default_rng(0)
    model_s = 0.0
    clock = time.process_time if net.provider == "cpu" else time.perf_counter
    plain = net.process

    def timed(*arguments: Any, **options: Any) -> Any:
        nonlocal model_s
        started_s = clock()
        masks = plain(*arguments, **options)
        model_s = clock() - started_s
        return masks

    net.process = timed  # type: ignore[method-assign]

    def step() -> tuple[float, float]:
        hop[:] = 0.1 * random.standard_normal(hop.shape)
        started_s = clock()
        separator.process(hop, stems, mix)
        features.process(separator, mix, stems, rows)
        mixer.process(stems)
        return clock() - started_s, model_s

    for _ in range(WARM):
        step()
    return step, spec.hop_s, net.provider


def batched(n_feeds: int, options: argparse.Namespace) -> None:
    step, hop_s, provider = prepare(n_feeds, options.profile, options.provider)
    until_s = time.monotonic() + options.seconds
    times = []
    while time.monotonic() < until_s:
        times.append(step())
    hops, models = np.array(times).T
    typical = float(np.median(hops))
    print(
        f"{n_feeds:5d} in one call ({provider}): hop p50 {typical * 1e3:7.2f} p99 "
        f"{np.percentile(hops, 99) * 1e3:7.2f} ms, model p50 {np.median(models) * 1e3:6.2f} p99 "
        f"{np.percentile(models, 99) * 1e3:6.2f} ms; {n_feeds * hop_s / typical:6.1f} feeds",
        flush=True,
    )


def alone(options: argparse.Namespace, ready: Any, go: Any, done: Any) -> None:
    step, hop_s, _ = prepare(1, options.profile, options.provider)
    ready.release()
    go.wait()
    until_s = time.monotonic() + options.seconds
    times = []
    while time.monotonic() < until_s:
        times.append(step()[0])
    done.put(hop_s / float(np.median(times)))


def apart(n_feeds: int, options: argparse.Namespace) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go, done = context.Semaphore(0), context.Event(), context.Queue()
    processes = [
        context.Process(target=alone, args=(options, ready, go, done)) for _ in range(n_feeds)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    go.set()
    feeds = float(np.mean([done.get() for _ in processes]))
    for process in processes:
        process.join()
    print(f"{n_feeds:5d} processes of one feed: {feeds:6.1f} feeds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="live")
    parser.add_argument("--provider", default="cpu", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--counts", default="1,2,4,8,16")
    parser.add_argument("--apart", default="1,4,8", help="processes to compare with; empty: none")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    if options.provider == "cpu" and hasattr(os, "sched_setaffinity"):
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})  # children inherit it
        print(f"on core {core} alone")
    for n_feeds in map(int, options.counts.split(",")):
        batched(n_feeds, options)
    for n_feeds in map(int, filter(None, options.apart.split(","))):
        apart(n_feeds, options)


if __name__ == "__main__":
    main()
