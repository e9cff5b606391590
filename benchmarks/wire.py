"""What publishing costs, and how late a subscriber is.

    python benchmarks/wire.py [--hops 2000] [--profile live]

Prints a table and one line of JSON. Subscribers are processes of their own; latency is from
`t_publish_mono_ns` to the block in the client's hands, at the pace of the profile.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import zmq

import stemd.client
from stemd.desk import Desk
from stemd.outbox import hop_dtype
from stemd.sinks.control import ControlServer
from stemd.sinks.osc import OscSink, Vitals
from stemd.sinks.osc_sender import OscSender
from stemd.sinks.zeromq import ZeroMQSink
from stemd.spec import FEATURES, GROUPS, LIGHT_GROUPS, SOURCES, STEMS, StreamSpec
from stemd.status import Status
from stemd.wire import osc, topics
from stemd.wire.addresses import EVENTS

SPAWN = multiprocessing.get_context("spawn")
QUANTILES = (50, 99, 99.9)
OPUS_KBPS = 128


def percentiles(us: list[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the worst."""
    values = np.array(us)
    found = {f"p{q:g}": round(float(np.percentile(values, q)), 1) for q in QUANTILES}
    return {**found, "max": round(float(values.max()), 1)}


def make_hop(spec: StreamSpec) -> Any:
    """A hop of noise."""
    rng = np.random.default_rng(0)
    hop = np.zeros(1, hop_dtype(1, spec.hop_length))[0]
    hop["session"] = 1
    hop["latency"] = spec.latency
    hop["rate_measured"] = spec.samplerate
    hop["stems"] = rng.standard_normal(hop["stems"].shape)
    hop["mix"] = rng.standard_normal(hop["mix"].shape)
    hop["features"] = rng.random(hop["features"].shape)
    hop["features"][..., FEATURES.index("onset")] = 0.0
    return hop


def listen(control_port: int, n: int, ready: Any, pipe: Any) -> None:
    """A subscriber: its ages in µs, and its counters."""
    client = stemd.client.connect(control_port=control_port, budget_s=10.0)
    client.blocks()
    ready.release()
    ages = []
    while len(ages) < n:
        block = client.read_block(5.0)
        if block is None:
            break
        if not block.filled:
            ages.append((time.monotonic_ns() - block.t_publish_mono_ns) * 1e-3)
    counters = client.counters
    pipe.send((ages, counters.filled + counters.lost, counters.late))
    client.close()


def zeromq_case(spec: StreamSpec, n_subscribers: int, n: int) -> dict[str, Any]:
    """Send n hops at the stream's pace; µs per hop, and what subscribers saw."""
    context = zmq.Context()
    info: dict[str, Any] = {
        "feeds": ["main"],
        "samplerate": spec.samplerate,
        "hop_length": spec.hop_length,
        "latency": spec.latency,
        "features": FEATURES,
        "stems": STEMS,
        "sources": SOURCES,
    }
    sink = ZeroMQSink(context, "127.0.0.1", 0, 0, spec, ("main",), lambda: info, lambda: info)
    info |= {"audio_port": sink.audio_port, "features_port": sink.features_port}
    control = ControlServer(context, "127.0.0.1", 0, lambda request, local: info)
    ready = SPAWN.Semaphore(0)
    pipes, children = [], []
    for _ in range(n_subscribers):
        ours, theirs = SPAWN.Pipe()
        child = SPAWN.Process(target=listen, args=(control.port, n, ready, theirs))
        child.start()
        pipes.append(ours)
        children.append(child)
    waiting = n_subscribers
    while waiting:
        control.service()
        sink.service()
        waiting -= ready.acquire(timeout=0.005)
    while sink._audio.subscribers < n_subscribers or (
        n_subscribers and not sink._audio.wants(b"stemd/1/a/main/all/")
    ):
        sink.service()
        time.sleep(0.005)
    time.sleep(0.2)
    hop = make_hop(spec)
    took = []
    due = time.monotonic()
    for k in range(n):
        due += spec.hop_s
        time.sleep(max(due - time.monotonic(), 0))
        hop["seq"] = k
        hop["sample_pos"] = (k + 1) * spec.hop_length
        start = time.perf_counter_ns()
        sink.write(hop)
        took.append((time.perf_counter_ns() - start) * 1e-3)
        sink.service()
    result: dict[str, Any] = {"send_us": percentiles(took)}
    if pipes:
        heard = [pipe.recv() for pipe in pipes]
        result["latency_us"] = percentiles([age for ages, _, _ in heard for age in ages])
        result["samples_lost"] = sum(lost for _, lost, _ in heard)
    for child in children:
        child.join()
    control.close()
    sink.close()
    context.term()
    return result


def features_case(spec: StreamSpec, n: int) -> dict[str, float]:
    """Sink cost with everything wanted: five audio topics, all, five rows of features."""
    context = zmq.Context()
    sink = ZeroMQSink(context, "127.0.0.1", 0, 0, spec, ("main",), dict, dict)
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    for port in (sink.audio_port, sink.features_port):
        sub.connect(f"tcp://127.0.0.1:{port}")
    while not (sink._audio.wants(b"stemd/1/a/") and sink._small.wants(b"stemd/1/f/")):
        sink.service()
    hop = make_hop(spec)
    took = []
    for _ in range(n):
        start = time.perf_counter_ns()
        sink.write(hop)
        took.append((time.perf_counter_ns() - start) * 1e-3)
        while sub.poll(0):
            sub.recv_multipart()
    sub.close(linger=0)
    sink.close()
    context.term()
    return percentiles(took)


def opus_case(spec: StreamSpec, n: int) -> dict[str, float]:
    """A hop of one stem that somebody hears in Opus; every other one or so completes a packet."""
    context = zmq.Context()
    sink = ZeroMQSink(context, "127.0.0.1", 0, 0, spec, ("main",), dict, dict, opus_kbps=OPUS_KBPS)
    sub = context.socket(zmq.SUB)
    topic = topics.opus("main", "vocals")
    sub.setsockopt(zmq.SUBSCRIBE, topic)
    sub.connect(f"tcp://127.0.0.1:{sink.audio_port}")
    while not sink._audio.wants(topic):
        sink.service()
    noise = np.random.default_rng(0).standard_normal((2, n * spec.hop_length)).astype(np.float32)
    hop = make_hop(spec)
    took = []
    for k in range(n):
        at = k * spec.hop_length
        hop["sample_pos"] = at
        hop["stems"][0, 0] = 0.1 * noise[:, at : at + spec.hop_length]
        start = time.perf_counter_ns()
        sink.write(hop)
        took.append((time.perf_counter_ns() - start) * 1e-3)
        while sub.poll(0):
            sub.recv_multipart()
    share = 1e-6 * sum(took) / (n * spec.hop_s)
    print(f"Opus, {OPUS_KBPS} kbit/s: {100 * share:.2f} % of a core for a stem")
    sub.close(linger=0)
    sink.close()
    context.term()
    return percentiles(took)


def osc_bundle_case(n: int) -> dict[str, float]:
    """Build a bundle of 24 floats and send it."""
    heads = [
        osc.head(f"/stemd/{stem}/{name}", "f")
        for stem in STEMS
        for name in ("level", "peak", "level_db", "pitch", "pitch_hz", "pitch_conf")
    ]
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind(("127.0.0.1", 0))
    sender = OscSender([ear.getsockname()])
    bundle = osc.Bundle()
    values = [0.1 * i for i in range(len(heads))]
    took = []
    for _ in range(n):
        start = time.perf_counter_ns()
        bundle.clear()
        bundle.add_floats(heads, values)
        sender.send(bundle.packet)
        took.append((time.perf_counter_ns() - start) * 1e-3)
    sender.close()
    ear.close()
    return percentiles(took)


def osc_sink_case(
    spec: StreamSpec, n: int, groups: Sequence[str], n_clients: int = 0
) -> dict[str, dict[str, float]]:
    """The sink's own work: taking a hop, and a tick in which everything has changed."""
    ears = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(1 + n_clients)]
    for ear in ears:
        ear.bind(("127.0.0.1", 0))
    status = Status.create(1)
    vitals = Vitals(2, 0.1, 0, 0, 0)
    clock = [0.0]
    sink = OscSink(
        spec,
        ("main",),
        Desk(status, ("main",)),
        lambda: vitals,
        [ears[0].getsockname()],
        ("127.0.0.1", 0),
        groups=groups,
        clock=lambda: clock[0],
    )
    for ear in ears[1:]:
        ear.sendto(
            osc.message("/stemd/subscribe", "/stemd/*/level", 60.0, 60.0), ("127.0.0.1", sink.port)
        )
    rng = np.random.default_rng(0)
    hop = make_hop(spec)
    lasting = [FEATURES.index(name) for name in ("note", "note_count", "chord")]
    happening = [FEATURES.index(event.trigger) for event in EVENTS]
    took: dict[str, list[float]] = {"write": [], "write with an onset": [], "tick": [], "idle": []}
    for k in range(n):
        hop["features"] = rng.random(hop["features"].shape)
        hop["features"][..., lasting] = 0.0
        hop["features"][..., happening] = 0.0
        onset = k % 20 == 0
        hop["features"][0, 2, FEATURES.index("onset")] = onset
        start = time.perf_counter_ns()
        sink.write(hop)
        took["write with an onset" if onset else "write"].append(since_us(start))
        clock[0] += 1.0 / 60
        start = time.perf_counter_ns()
        sink.service()
        took["tick"].append(since_us(start))
        start = time.perf_counter_ns()
        sink.service()
        took["idle"].append(since_us(start))
    assert sink.clients == n_clients
    sink.close()
    status.close()
    for ear in ears:
        ear.close()
    return {name: percentiles(us) for name, us in took.items()}


def since_us(start_ns: int) -> float:
    """Time that went by."""
    return (time.perf_counter_ns() - start_ns) * 1e-3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hops", type=int, default=2000)
    parser.add_argument("--profile", default="live")
    arguments = parser.parse_args()
    n = arguments.hops
    spec = StreamSpec.of(arguments.profile, 48_000)
    rows: dict[str, dict[str, float]] = {}
    lost = {}
    for n_subscribers in (0, 1, 4):
        case = zeromq_case(spec, n_subscribers, n)
        rows[f"zeromq, {n_subscribers} subscribers: send"] = case["send_us"]
        if n_subscribers:
            rows[f"zeromq, {n_subscribers} subscribers: latency"] = case["latency_us"]
            lost[str(n_subscribers)] = case["samples_lost"]
    rows["zeromq, all 11 topics wanted: send"] = features_case(spec, n)
    rows["zeromq, one stem in Opus: send"] = opus_case(spec, n)
    rows["osc, bundle of 24 floats: build + send"] = osc_bundle_case(n)
    for what, groups, n_clients in (
        ("default groups", LIGHT_GROUPS, 0),
        ("all groups", GROUPS, 0),
        ("default groups, 4 clients", LIGHT_GROUPS, 4),
    ):
        for name, row in osc_sink_case(spec, n, groups, n_clients).items():
            rows[f"osc, {what}: {name}"] = row
    print(f"{'µs':<50}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>9}")
    for name, row in rows.items():
        print(f"{name:<50}" + "".join(f"{value:9.1f}" for value in row.values()))
    print(f"samples lost by subscribers: {lost}")
    print(json.dumps({"benchmark": "wire", "profile": arguments.profile, "hops": n, "us": rows}))


if __name__ == "__main__":
    main()
