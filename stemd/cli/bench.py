"""`stemd bench`: how long one hop takes on this machine, and whether that is fast enough."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemd.spec import N_CHANNELS, N_FEATURES, N_STEMS, PROFILES, SOURCES, StreamSpec

from .options import Feeds, Json, ModelName, Provider, Samplerate, choice

if TYPE_CHECKING:
    from stemd.processors.masknet import MaskNet

STAGES = ("separation", "model", "features", "hop")
WARM_HOPS = 100  # kernels compile, ONNX Runtime plans, caches fill
COMFORTABLE, POSSIBLE = 0.5, 0.8  # of a hop, at p99.9: other programs want the rest


def bench(
    profile: Annotated[str | None, choice("--profile", PROFILES, "Only this one of")] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.5, help="Length of audio for each profile.")
    ] = 10.0,
    samplerate: Samplerate = 48_000,
    feeds: Feeds = 1,
    model: ModelName = "default",
    provider: Provider = "auto",
    as_json: Json = False,
) -> None:
    """Measure microseconds per hop of each stage, and what share of a hop that is.

    The hops follow one another without a pause, in this process alone; `stemd run` shows what it
    is beside everything else.
    """
    from stemd.processors.catalogue import find_model
    from stemd.processors.masknet import MaskNet

    from .printing import console, print_json, table

    results = []
    for name in [profile] if profile else PROFILES:
        spec = StreamSpec.of(name, samplerate, feeds)
        net = MaskNet(find_model(model, name), spec, provider)
        results.append({"profile": name, **measure(spec, net, seconds)})
    if as_json:
        print_json(results)
        return
    rows = table("profile", "stage", ">µs p50", ">p99", ">p99.9", ">load p50", ">p99.9", "")
    for result in results:
        for stage in STAGES:
            last = stage == "hop"
            row = result["us"][stage]
            rows.add_row(
                result["profile"] if stage == STAGES[0] else "",
                f"{stage}" if not last else f"{stage} of {result['hop_us']:.0f} µs",
                *(f"{row[q]:.0f}" for q in ("p50", "p99", "p99.9")),
                f"{result['load']['p50']:.0%}" if last else "",
                f"{result['load']['p99.9']:.0%}" if last else "",
                result["verdict"] if last else "",
            )
    console().print(rows)
    names = ", ".join(dict.fromkeys(result["model"] for result in results))
    console().print(f"{names}; feeds: {feeds}, at {samplerate} Hz", style="dim")


def measure(spec: StreamSpec, net: MaskNet, seconds: float) -> dict[str, Any]:
    """Time `seconds` of audio, hop by hop, as the separate role takes it.

    Returns
    -------
    result : dict
        `us`: percentiles of each stage; `load`: of the whole hop, as a share of its time.
    """
    import gc

    import numpy as np

    from stemd.kernels.denormals import denormals_are_flushed, flush_denormals
    from stemd.processors.features import Features
    from stemd.processors.separator import HopSeparator

    timed = _Timed(net)
    separator, features = HopSeparator(spec, timed), Features(spec)
    stems = np.zeros((spec.n_feeds, N_STEMS, N_CHANNELS, spec.hop_length), np.float32)
    mix = np.zeros((spec.n_feeds, N_CHANNELS, spec.hop_length), np.float32)
    out = np.zeros((spec.n_feeds, len(SOURCES), N_FEATURES), np.float32)
    hops = _music(spec)
    n_hops = max(round(seconds / spec.hop_s), 1)
    taken = np.zeros((n_hops, len(STAGES)))
    gc.collect()
    gc.disable()
    flushed = denormals_are_flushed()
    flush_denormals(True)
    try:
        for k in range(-WARM_HOPS, n_hops):
            hop = hops[k % len(hops)]
            start_s = time.perf_counter()
            separator.process(hop, stems, mix)
            separated_s = time.perf_counter()
            features.process(separator, mix, stems, out)
            end_s = time.perf_counter()
            if k >= 0:
                apart_s = separated_s - start_s - timed.last_s
                taken[k] = apart_s, timed.last_s, end_s - separated_s, end_s - start_s
    finally:
        gc.enable()
        flush_denormals(flushed)
    quantiles = {"p50": 50, "p99": 99, "p99.9": 99.9}
    us = {
        stage: {q: float(np.percentile(taken[:, i], at) * 1e6) for q, at in quantiles.items()}
        for i, stage in enumerate(STAGES)
    }
    load = {q: us["hop"][q] * 1e-6 / spec.hop_s for q in quantiles}
    return {
        "model": f"{net.name} on {net.provider}",
        "samplerate": spec.samplerate,
        "feeds": spec.n_feeds,
        "hops": n_hops,
        "hop_us": spec.hop_s * 1e6,
        "us": us,
        "load": load,
        "verdict": verdict(load["p99.9"]),
    }


def verdict(load: float) -> str:
    """What a load means for a show."""
    if load <= COMFORTABLE:
        return "comfortable"
    return "possible, with little beside it" if load <= POSSIBLE else "too slow"


class _Timed:
    """A model that remembers how long it took."""

    def __init__(self, model: MaskNet) -> None:
        self._model = model
        self.complex_masks = model.complex_masks
        self.last_s = 0.0

    def process(self, spectra: Any, deadline: float | None = None) -> Any:
        start_s = time.perf_counter()
        masks = self._model.process(spectra, deadline)
        self.last_s = time.perf_counter() - start_s
        return masks

    def reset(self, slot: int | None = None) -> None:
        self._model.reset(slot)


def _music(spec: StreamSpec) -> list[Any]:
    """The demo loop as hops, the same for each feed: onsets and pitches cost what they cost."""
    import numpy as np
    import soundfile

    path = Path(__file__).parents[1] / "assets" / "demo.ogg"
    samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    n_hops = len(samples) // spec.hop_length
    # (n, c) -> (hop, n, c) -> (hop, c, n)
    hops = samples[: n_hops * spec.hop_length].reshape(n_hops, spec.hop_length, N_CHANNELS)
    planar = np.ascontiguousarray(hops.transpose(0, 2, 1))
    return [np.ascontiguousarray(np.stack([hop] * spec.n_feeds)) for hop in planar]
