"""Microseconds per hop of every stage, beside the FFTs it cannot do without.

    python -m benchmarks.dsp [--profile live] [--samplerate 48000] [--feeds 1] [--model default]

Prints a table and one line of JSON. Percentiles are over single hops; `floor` runs the same number
and sizes of transforms as the stages do, through the same kernels, and nothing else. Rows:

analysis, masks+synthesis   the separator's two halves, with random masks
powers, onset, meter, …     the features, each by itself
dsp                         all of these, one whole hop without a model
model, hop                  the model alone, and a whole hop with it
dsp in silence, denormals   the same after noise has stopped, and on input of 1e-40, with the
                            thread's denormal switch off, then on
offline                     times real time of `Separator` on one core, no features
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stemd.errors import ModelError
from stemd.kernels.denormals import flush_denormals
from stemd.kernels.fft import LAST_OF_TWO, forward, inverse
from stemd.processors.catalogue import find_model
from stemd.processors.features import Features
from stemd.processors.masknet import MaskNet
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator, Separator
from stemd.spec import N_CHANNELS, N_FEATURES, N_STEMS, PROFILES, SOURCES, StreamSpec

WARM_UP = 200
ROUNDS = 20
OFFLINE_S = 10
OFFLINE_GOES = 5


class RandomMasks:
    """What a model hands over, at no cost: masks that sum to about one."""

    complex_masks = False

    def __init__(self, spec: StreamSpec) -> None:
        masks = np.random.default_rng(0).random((spec.n_feeds, N_STEMS, N_CHANNELS, spec.n_bins))
        self._masks = (masks / masks.sum(axis=1, keepdims=True)).astype(np.float32)

    def process(self, spectra: Any, deadline: float | None = None) -> Any:
        return self._masks

    def reset(self, slot: int | None = None) -> None:
        pass


class Bench:
    """Input and output of one profile."""

    def __init__(self, spec: StreamSpec) -> None:
        rng = np.random.default_rng(1)
        shape = (spec.n_feeds, N_CHANNELS, spec.hop_length)
        self.noise = [(0.1 * rng.standard_normal(shape)).astype(np.float32) for _ in range(16)]
        self.stems = np.zeros((spec.n_feeds, N_STEMS, *shape[1:]), np.float32)
        self.mix = np.zeros(shape, np.float32)
        self.out = np.zeros((spec.n_feeds, len(SOURCES), N_FEATURES), np.float32)

    def hop(self, separator: HopSeparator, audio: Any, features: Features | None) -> None:
        separator.process(audio, self.stems, self.mix)
        if features is not None:
            features.process(separator, self.mix, self.stems, self.out)


def fft_floor(spec: StreamSpec, features: Features | None) -> Callable[[int], None]:
    """The transforms of one hop and nothing else."""
    rng = np.random.default_rng(2)
    both = ("forward", "inverse")
    # rows, points, ways, every so many hops, in which of them
    sizes = [(spec.n_feeds * N_CHANNELS, spec.n_fft, both[:1], 1, 0)]
    sizes += [(spec.n_feeds * (N_STEMS - 1) * N_CHANNELS, spec.n_fft, both[1:], 1, 0)]
    if features is not None:
        for rows, n_padded, every, turn in features.pitch.transforms:
            sizes.append((rows, n_padded, both, every, turn))
    jobs: list[tuple[Any, Any, Any, int, int]] = []
    for rows, n_fft, ways, every, turn in sizes:
        frames = rng.standard_normal((rows, n_fft)).astype(np.float32)
        spectra = np.fft.rfft(frames).astype(np.complex64)
        for way in ways:
            if way == "forward":
                jobs.append((forward, frames, spectra, every, turn))
            else:
                jobs.append((inverse, spectra, frames, every, turn))

    def run(k: int) -> None:
        for kernel, source, target, every, turn in jobs:
            if k % every == turn:
                kernel(source, target, LAST_OF_TWO)

    return run


@dataclass
class Job:
    """One row of the table: what a hop of it calls, and the denormal switch it runs under."""

    call: Callable[[int], object]
    flushed: bool = True
    taken: list[float] = field(default_factory=list)  # s
    calls: int = 0

    def run(self, hops: int, measured: bool) -> None:
        flush_denormals(self.flushed)
        for _ in range(hops):
            start = time.perf_counter()
            self.call(self.calls)
            if measured:
                self.taken.append(time.perf_counter() - start)
            self.calls += 1

    def percentiles(self) -> dict[str, float]:
        p50, p99 = np.percentile(np.array(self.taken) * 1e6, [50, 99])
        return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}


def measure(jobs: dict[str, Job], hops: int) -> dict[str, dict[str, float]]:
    """Percentiles in µs of every job, taken in turns: a machine's mood is the same for all."""
    for job in jobs.values():
        job.run(WARM_UP, False)
    for _ in range(ROUNDS):
        for job in jobs.values():
            job.run(4, False)  # bring its arrays back into the cache
            job.run(hops // ROUNDS, True)
    return {name: job.percentiles() for name, job in jobs.items()}


def offline_speed(spec: StreamSpec, model: Any) -> float:
    """Seconds of audio per second, best of several goes: others only ever make it slower."""
    rng = np.random.default_rng(3)
    audio = rng.standard_normal((2, OFFLINE_S * spec.samplerate)).astype(np.float32)
    separator = Separator(spec, model)
    best = 0.0
    for _ in range(OFFLINE_GOES):
        start = time.perf_counter()
        separator.process(audio)
        best = max(best, OFFLINE_S / (time.perf_counter() - start))
    return round(best, 1)


def quiet_job(b: Bench, spec: StreamSpec, audio: Any, flushed: bool) -> Job:
    """A whole hop of `audio` after noise has stopped: filters and averages are still decaying."""
    separator, features = HopSeparator(spec, RandomMasks(spec)), Features(spec)
    for k in range(64):
        b.hop(separator, b.noise[k % 16], features)
    return Job(lambda k: b.hop(separator, audio, features), flushed)


def bench(
    profile: str, samplerate: int, n_feeds: int, model_name: str, hops: int
) -> dict[str, Any]:
    """All figures of one profile."""
    spec = StreamSpec.of(profile, samplerate, n_feeds)
    b = Bench(spec)
    noise = b.noise
    separator, features = HopSeparator(spec, RandomMasks(spec)), Features(spec)
    f, s = features, separator
    powers = Powers(spec)
    jobs = {
        "fft floor: separation": Job(fft_floor(spec, None)),
        "fft floor: with pitch": Job(fft_floor(spec, features)),
        "analysis": Job(lambda k: s.analyse(noise[k % 16])),
        "masks + synthesis": Job(lambda k: s.synthesise(b.stems, b.mix)),
        "separation": Job(lambda k: b.hop(s, noise[k % 16], None)),
        "powers": Job(lambda k: powers.process(s.spectra, s.masked)),
        "onset": Job(lambda k: f.onset.process(powers, s.frames, s.masked_frames, b.out)),
        "meter": Job(lambda k: f.meter.process(b.mix, b.stems, powers, f.onset.flux, b.out)),
        "pitch": Job(lambda k: f.pitch.process(b.mix, b.stems, b.out)),
        "notes": Job(lambda k: f.notes.process(b.out)),
        "chroma": Job(lambda k: f.chroma.process(powers, b.out)),
        "drums": Job(lambda k: (f.drums.listen(powers), f.drums.process(f.onset.odds, b.out))),
        "tempo": Job(lambda k: f.tempo.process(f.onset.flux, b.out)),
        "dsp": Job(lambda k: b.hop(s, noise[k % 16], features)),
    }
    model: MaskNet | None = None
    try:
        model = net = MaskNet(find_model(model_name, profile), spec, "cpu")
        whole_hop, its_features = HopSeparator(spec, model), Features(spec)
        jobs["model"] = Job(lambda k: net.process(s.spectra))
        jobs["hop"] = Job(lambda k: b.hop(whole_hop, noise[k % 16], its_features))
    except ModelError as error:
        print(f"{profile}: no model in the figures: {error}")
    silence = np.zeros_like(noise[0])
    for name, audio in (("silence", silence), ("denormals", np.full_like(silence, 1e-40))):
        for flushed in (False, True):
            row = f"dsp in {name}, switch {'on' if flushed else 'off'}"
            jobs[row] = quiet_job(b, spec, audio, flushed)
    rows = measure(jobs, hops)

    flush_denormals(True)
    one = StreamSpec.of(profile, samplerate)
    speeds = {"offline x real time, dsp": offline_speed(one, RandomMasks(one))}
    if model is not None and n_feeds == 1:
        speeds["offline x real time, model"] = offline_speed(one, model)

    flush_denormals(False)

    hop_us = spec.hop_s * 1e6
    whole = rows.get("hop", rows["dsp"])

    def ratio(name: str, floor: str) -> float:
        return round(rows[name]["p50"] / rows[f"fft floor: {floor}"]["p50"], 2)

    return {
        "profile": profile,
        "samplerate": samplerate,
        "feeds": n_feeds,
        "hop_us": round(hop_us, 1),
        "model": model.name if model is not None else None,
        "us": rows,
        "separation / floor": ratio("separation", "separation"),
        "dsp / floor": ratio("dsp", "with pitch"),
        "load p50": round(whole["p50"] / hop_us, 4),
        "load p99": round(whole["p99"] / hop_us, 4),
        **speeds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=[*PROFILES, "all"], default="all")
    parser.add_argument("--samplerate", type=int, default=48000)
    parser.add_argument("--feeds", type=int, default=1)
    parser.add_argument("--model", default="default")
    parser.add_argument("--hops", type=int, default=3000)
    arguments = parser.parse_args()
    profiles = PROFILES if arguments.profile == "all" else [arguments.profile]
    for profile in profiles:
        result = bench(
            profile, arguments.samplerate, arguments.feeds, arguments.model, arguments.hops
        )
        print(f"\n{profile}, {result['feeds']} feed(s), {result['samplerate']} Hz")
        for name, row in result["us"].items():
            share = 100 * row["p50"] / result["hop_us"]
            print(f"  {name:32s} p50 {row['p50']:8.1f}  p99 {row['p99']:8.1f} µs  {share:5.1f} %")
        for name, value in result.items():
            if "/" in name or "load" in name or "offline" in name:
                print(f"  {name:32s} {value}")
        print(json.dumps(result))


if __name__ == "__main__":
    main()
