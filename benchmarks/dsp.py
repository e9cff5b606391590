"""Microseconds per hop of every stage, beside the FFTs it cannot do without.

    python -m benchmarks.dsp [--profile live] [--samplerate 48000] [--feeds 1] [--model default]

Prints a table and one line of JSON. Percentiles are over single hops; `floor` runs the same number
and sizes of transforms as the stages do, through the same kernels, and nothing else. Rows:

analysis, masks+synthesis   the separator's two halves, with random masks
features: level, onset, pitch
dsp                         all of these, one whole hop without a model
model, hop                  the model alone, and a whole hop with it
silence, denormal           `hop` (or `dsp`) after noise has stopped, and on input of 1e-40,
                            with the processor's denormal switch off, then on
offline                     times real time of `Separator` on one core, no features
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stemd.errors import ModelError
from stemd.kernels.denormals import flush_denormals
from stemd.kernels.fft import LAST_OF_TWO, forward, inverse
from stemd.processors.features import Features
from stemd.processors.masknet import MaskNet, find_model
from stemd.processors.separator import HopSeparator, Separator
from stemd.spec import N_CHANNELS, N_FEATURES, N_STEMS, PROFILES, SOURCES, StreamSpec

WARM_UP = 200
OFFLINE_S = 20


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
    """Buffers and processors of one profile."""

    def __init__(self, spec: StreamSpec, hops: int) -> None:
        self.spec, self.hops = spec, hops
        rng = np.random.default_rng(1)
        shape = (spec.n_feeds, N_CHANNELS, spec.hop_length)
        self.noise = [(0.1 * rng.standard_normal(shape)).astype(np.float32) for _ in range(16)]
        self.stems = np.zeros((spec.n_feeds, N_STEMS, *shape[1:]), np.float32)
        self.mix = np.zeros(shape, np.float32)
        self.out = np.zeros((spec.n_feeds, len(SOURCES), N_FEATURES), np.float32)
        self.features = Features(spec)

    def time(self, call: Callable[[int], object]) -> dict[str, float]:
        """Percentiles in µs of `call(hop index)`."""
        for k in range(WARM_UP):
            call(k)
        taken = np.zeros(self.hops)
        for k in range(self.hops):
            start = time.perf_counter()
            call(k)
            taken[k] = time.perf_counter() - start
        p50, p99 = np.percentile(taken * 1e6, [50, 99])
        return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}

    def hop(self, separator: HopSeparator, audio: Any, features: bool = True) -> None:
        separator.process(audio, self.stems, self.mix)
        if features:
            self.features.process(separator, self.mix, self.stems, self.out)


def fft_floor(spec: StreamSpec, features: Features | None) -> Callable[[int], None]:
    """The transforms of one hop and nothing else."""
    rng = np.random.default_rng(2)
    sizes = [(spec.n_feeds * N_CHANNELS, spec.n_fft, "forward")]
    sizes += [(spec.n_feeds * (N_STEMS - 1) * N_CHANNELS, spec.n_fft, "inverse")]
    every = 1
    if features is not None:
        rows, n_padded, every = features.pitch.transforms
        sizes += [(rows, n_padded, "pitch forward"), (rows, n_padded, "pitch inverse")]
    jobs: list[tuple[Any, Any, Any, int]] = []
    for rows, n_fft, kind in sizes:
        frames = rng.standard_normal((rows, n_fft)).astype(np.float32)
        spectra = np.fft.rfft(frames).astype(np.complex64)
        stride = every if kind.startswith("pitch") else 1
        if kind.endswith("forward"):
            jobs.append((forward, frames, spectra, stride))
        else:
            jobs.append((inverse, spectra, frames, stride))

    def run(k: int) -> None:
        for kernel, source, target, stride in jobs:
            if k % stride == 0:
                kernel(source, target, LAST_OF_TWO)

    return run


def bench(
    profile: str, samplerate: int, n_feeds: int, model_name: str, hops: int
) -> dict[str, Any]:
    """All figures of one profile."""
    spec = StreamSpec.of(profile, samplerate, n_feeds)
    b = Bench(spec, hops)
    rows: dict[str, dict[str, float]] = {}
    noise = b.noise

    flush_denormals(True)
    separator = HopSeparator(spec, RandomMasks(spec))
    rows["fft floor: separation"] = b.time(fft_floor(spec, None))
    rows["fft floor: with pitch"] = b.time(fft_floor(spec, b.features))
    rows["analysis"] = b.time(lambda k: separator.analyse(noise[k % 16]))
    rows["masks + synthesis"] = b.time(lambda k: separator.synthesise(b.stems, b.mix))
    rows["separation"] = b.time(lambda k: b.hop(separator, noise[k % 16], False))
    level, onset, pitch = b.features.loudness, b.features.onset, b.features.pitch
    rows["level"] = b.time(lambda k: level.process(b.mix, b.stems, b.out))
    rows["onset"] = b.time(
        lambda k: onset.process(
            separator.spectra, separator.masked, separator.frames, separator.masked_frames, b.out
        )
    )
    rows["pitch"] = b.time(lambda k: pitch.process(b.mix, b.stems, b.out))
    rows["dsp"] = b.time(lambda k: b.hop(separator, noise[k % 16]))

    model: MaskNet | None = None
    try:
        model = MaskNet(find_model(model_name, profile), spec, "cpu")
    except ModelError as error:
        print(f"{profile}: no model in the figures: {error}")
    if model is not None:
        net = model
        rows["model"] = b.time(lambda k: net.process(separator.spectra))
        separator = HopSeparator(spec, model)
        rows["hop"] = b.time(lambda k: b.hop(separator, noise[k % 16]))

    silence = np.zeros_like(noise[0])
    tiny = np.full_like(silence, 1e-40)
    for switch in ("off", "on"):
        flush_denormals(switch == "on")
        for name, audio in (("silence", silence), ("denormal", tiny)):
            bare = HopSeparator(spec, RandomMasks(spec))
            for k in range(64):
                b.hop(bare, noise[k % 16])
            rows[f"dsp in {name}, switch {switch}"] = b.time(
                lambda k, bare=bare, audio=audio: b.hop(bare, audio)
            )

    speeds = {}
    one = StreamSpec.of(profile, samplerate)
    audio = np.random.default_rng(3).standard_normal((2, OFFLINE_S * samplerate)).astype(np.float32)
    for name, offline_model in (
        ("dsp", RandomMasks(one)),
        ("model", model if n_feeds == 1 else None),
    ):
        if offline_model is None:
            continue
        offline = Separator(one, offline_model)
        offline.process(audio[:, :samplerate])
        start = time.perf_counter()
        offline.process(audio)
        speeds[f"offline x real time, {name}"] = round(OFFLINE_S / (time.perf_counter() - start), 1)

    hop_us = spec.hop_s * 1e6
    whole = rows.get("hop", rows["dsp"])
    return {
        "profile": profile,
        "samplerate": samplerate,
        "feeds": n_feeds,
        "hop_us": round(hop_us, 1),
        "model": model.name if model is not None else None,
        "us": rows,
        "dsp / floor": round(rows["dsp"]["p50"] / rows["fft floor: with pitch"]["p50"], 2),
        "separation / floor": round(
            rows["separation"]["p50"] / rows["fft floor: separation"]["p50"], 2
        ),
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
