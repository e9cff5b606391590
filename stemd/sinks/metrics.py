"""The status as Prometheus reads it: counters, gauges and two histograms, in base units."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from .. import __version__
from ..outbox import READERS, Outbox
from ..ring import Ring
from ..shared import text
from ..status import ROLES, State, Status, step_edge_us
from .gpu import Gpus
from .processes import usage_of

__all__ = ["CONTENT_TYPE", "Exporter", "StatusCollector"]

FRESH_S = 0.25  # who asks more often gets the same text again
HEALTHY = (State.RUNNING, State.PAUSED)
BUCKETS = range(40, 101, 4)  # of status.STEP_BUCKETS: 0.1 ms … 0.1 s, five to the decade

# Metric, section, field, help. Counters since the session began, or since their process did.
COUNTERS: tuple[tuple[str, str, str, str], ...] = (
    ("hops", "separate", "hops", "Hops separated"),
    ("deadline_misses", "separate", "misses", "Hops ready more than a hop after their input"),
    ("late_hops", "separate", "late", "Hops that went out with older masks, or dry"),
    ("dry_hops", "separate", "dry", "Hops that went out dry"),
    ("skipped_frames", "separate", "skipped", "Frames the model never saw"),
    ("rested_hops", "separate", "rested", "Hops of silence for which the model rested"),
    ("input_lost_samples", "separate", "lost_input", "Input that never came, or came too late"),
    ("input_overrun_samples", "separate", "overruns", "Input that found the ring full"),
    ("concealed_samples", "separate", "concealed", "Samples invented in place of lost ones"),
    ("repaired_samples", "separate", "repaired", "Samples that were no numbers, or absurd"),
    ("captured_samples", "capture", "samples", "Samples the source delivered"),
    ("host_flags", "capture", "host_flags", "Callbacks for which the host API raised a flag"),
    ("published_hops", "publish", "hops", "Hops that reached the sinks"),
    ("zeromq_sent", "publish", "sent", "ZeroMQ messages sent"),
    ("zeromq_sent_bytes", "publish", "bytes", "Bytes of them"),
    ("osc_sent", "publish", "osc_sent", "OSC packets sent"),
    ("osc_errors", "publish", "osc_errors", "OSC packets the system did not take"),
    ("osc_received", "publish", "osc_received", "OSC messages taken in"),
    ("midi_sent", "publish", "midi_sent", "MIDI messages sent"),
    ("midi_dropped", "publish", "midi_dropped", "MIDI messages there was no port for"),
    ("control_requests", "publish", "requests", "Control requests"),
    ("control_refused", "publish", "refused", "Control requests refused"),
    ("played_samples", "play", "samples", "Samples the output device took"),
    ("recorded_samples", "record", "samples", "Samples of each stem written to files"),
    ("record_lost_samples", "record", "lost", "Samples the disk was too slow for"),
    ("scrapes", "metrics", "requests", "HTTP requests answered here"),
    ("insert_hops", "inserts", "hops", "Hops separated for plugins"),
    ("insert_late_hops", "inserts", "late", "Hops no model was asked for: the host had gone on"),
    ("insert_dry_hops", "inserts", "dry", "Hops of plugins that went out dry"),
    ("insert_refused", "inserts", "refused", "Plugins that were not let in"),
)
GAUGES: tuple[tuple[str, str, str, str], ...] = (
    ("load", "separate", "load", "Time used over time available, smoothed over a second"),
    ("subscribers", "publish", "subscribers", "ZeroMQ subscriptions"),
    ("osc_clients", "publish", "osc_clients", "OSC subscribers"),
    ("recording", "record", "recording", "1 while files are written"),
    ("insert_instances", "inserts", "instances", "Plugins connected"),
    ("insert_load", "inserts", "load", "Share of the time spent separating for plugins"),
    ("config_revision", "daemon", "config_rev", "Reloads that changed something"),
)


class StatusCollector(Collector):
    """Reads the shared memory anew at each scrape.

    Parameters
    ----------
    status : Status
    ring : Ring
    outbox : Outbox
    profile : str
    """

    def __init__(self, status: Status, ring: Ring, outbox: Outbox, profile: str) -> None:
        self._status = status
        self._ring = ring
        self._outbox = outbox
        self._profile = profile
        self._gpus = Gpus()

    def collect(self) -> Iterator[Metric]:
        """Everything the status counts."""
        for name, section, field, told in COUNTERS:
            value = float(self._section(section)[field])
            yield CounterMetricFamily(f"stemd_{name}", told, value=value)
        for name, section, field, told in GAUGES:
            yield GaugeMetricFamily(
                f"stemd_{name}", told, value=float(self._section(section)[field])
            )
        yield from self._stream()
        yield from self._edges()
        yield from self._delays()
        yield from self._processes()
        yield from self._graphics()

    def _section(self, name: str) -> Any:
        return getattr(self._status, name)

    def _stream(self) -> Iterator[Metric]:
        status = self._status
        facts = {
            "version": __version__,
            "profile": self._profile,
            "model": text(status.separate["model"]),
            "provider": text(status.separate["provider"]),
            "source": text(status.capture["source"]),
        }
        yield InfoMetricFamily("stemd", "What runs", value=facts)
        states = {state.name: state is status.state for state in State}
        yield StateSetMetricFamily("stemd_state", "Run state", value=states)
        started_s = float(status.daemon["started_utc_ns"]) * 1e-9
        yield GaugeMetricFamily("stemd_start_time_seconds", "UTC, of the session", value=started_s)
        xruns = CounterMetricFamily(
            "stemd_xruns", "Breaks of the input; of the output, samples it wanted", labels=["edge"]
        )
        xruns.add_metric(["input"], float(status.separate["discontinuities"]))
        xruns.add_metric(["output"], float(status.play["underruns"]))
        yield xruns
        cut = CounterMetricFamily("stemd_output_cut_samples", "Dropped to come back to the target")
        cut.add_metric([], float(status.play["overruns"]))
        yield cut

    def _edges(self) -> Iterator[Metric]:
        """What waits between processes, and how far clocks are apart."""
        status = self._status
        separate, play = status.separate, status.play
        rate = float(separate["samplerate"]) or float("nan")
        buffered = GaugeMetricFamily("stemd_buffer_seconds", "Audio that waits", labels=["edge"])
        buffered.add_metric(["input"], self._ring.backlog / rate)
        if play["samplerate"]:
            buffered.add_metric(["output"], float(play["fill"]) / float(play["samplerate"]))
        dropped = CounterMetricFamily(
            "stemd_dropped_hops", "Hops a reader was too late for", labels=["reader"]
        )
        for name in READERS:
            if name != "memory":
                lag = self._outbox.lag(name) * self._outbox.hop_length
                buffered.add_metric([name], lag / rate)
                dropped.add_metric([name], float(self._outbox.dropped(name)))
        yield buffered
        yield dropped
        drift = GaugeMetricFamily(
            "stemd_drift_ppm", "Clock of a device against the system's", labels=["edge"]
        )
        drift.add_metric(["input"], 1e6 * (float(separate["rate_measured"]) / rate - 1.0))
        if play["samplerate"]:
            drift.add_metric(["output"], float(play["ppm"]))
        yield drift
        latency = GaugeMetricFamily(
            "stemd_latency_seconds", "Of the method: input sample to the same sample", labels=["of"]
        )
        latency.add_metric(["stems"], float(separate["latency"]) / rate)
        latency.add_metric(["features"], float(separate["feature_latency"]) / rate)
        yield latency

    def _delays(self) -> Iterator[Metric]:
        separate, publish = self._status.separate, self._status.publish
        yield _histogram(
            "stemd_step_seconds",
            "Work on one hop",
            separate["steps"],
            float(separate["steps_ns"]),
            0.0,
        )
        rate = float(separate["samplerate"])
        method_s = float(separate["latency"]) / rate if rate else 0.0
        yield _histogram(
            "stemd_end_to_end_latency_seconds",
            "From an input sample's arrival to the same sample's stems at the sinks",
            publish["delays"],
            float(publish["delays_ns"]),
            method_s,
        )

    def _processes(self) -> Iterator[Metric]:
        status = self._status
        restarts = CounterMetricFamily(
            "stemd_restarts", "Processes that were started again", labels=["process"]
        )
        for name, count in zip(ROLES, status.daemon["restarts"], strict=True):
            restarts.add_metric([name], float(count))
        yield restarts
        told = (
            ("heartbeat_age_seconds", "Since a process last said it is alive"),
            ("resident_bytes", "Memory in use"),
            ("threads", "Threads"),
            ("handles", "Open files and sockets"),
        )
        gauges = {
            name: GaugeMetricFamily(f"stemd_process_{name}", help_text, labels=["process"])
            for name, help_text in told
        }
        cpu = CounterMetricFamily(
            "stemd_process_cpu_seconds", "Processor time used", labels=["process"]
        )
        now_ns = time.monotonic_ns()
        for name in ("daemon", *ROLES):
            section = self._section(name)
            usage = usage_of(int(section["pid"]))
            if usage is None:
                continue
            age_s = max(now_ns - int(section["heartbeat_ns"]), 0) * 1e-9
            gauges["heartbeat_age_seconds"].add_metric([name], age_s)
            gauges["resident_bytes"].add_metric([name], usage.resident_bytes)
            gauges["threads"].add_metric([name], usage.threads)
            gauges["handles"].add_metric([name], usage.handles)
            cpu.add_metric([name], usage.cpu_s)
        yield from gauges.values()
        yield cpu

    def _graphics(self) -> Iterator[Metric]:
        told = (
            ("clock_hertz", "clock_hz", "Clock of the streaming multiprocessors"),
            ("temperature_celsius", "temperature_c", "Temperature"),
            ("used_bytes", "used_bytes", "Memory in use, by all programs"),
            ("busy_ratio", "busy", "Share of the time in which it did anything"),
        )
        gpus = self._gpus.read()
        for name, field, help_text in told:
            family = GaugeMetricFamily(f"stemd_gpu_{name}", help_text, labels=["gpu", "name"])
            for i, gpu in enumerate(gpus):
                family.add_metric([str(i), gpu.name], float(getattr(gpu, field)))
            yield family


class Exporter:
    """Answers HTTP: `/metrics`, and `/health` for what restarts sick containers."""

    def __init__(self, status: Status, ring: Ring, outbox: Outbox, profile: str) -> None:
        self._status = status
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(StatusCollector(status, ring, outbox, profile))
        self._text = b""
        self._fresh_until_s = 0.0

    def answer(self, target: str) -> tuple[int, bytes]:
        """Code and body for a request's target."""
        path = target.partition("?")[0]
        if path == "/metrics":
            return 200, self.text()
        if path == "/health":
            state = self._status.state
            line = f"{state.name} {self._status.reason}".strip() + "\n"
            return 200 if state in HEALTHY else 503, line.encode()
        return 404, b"there is /metrics and /health\n"

    def text(self) -> bytes:
        """Prometheus text, at most `FRESH_S` old."""
        now_s = time.monotonic()
        if now_s >= self._fresh_until_s:
            self._text = generate_latest(self._registry)
            self._fresh_until_s = now_s + FRESH_S
        return self._text


def _histogram(name: str, told: str, counts: Any, sum_ns: float, offset_s: float) -> Metric:
    """Our fine logarithmic buckets as Prometheus' coarser cumulative ones, moved by `offset_s`."""
    below = np.cumsum(counts)
    edges = [(f"{offset_s + step_edge_us(i) * 1e-6:.6g}", float(below[i])) for i in BUCKETS]
    total = float(below[-1])
    return HistogramMetricFamily(
        name, told, [*edges, ("+Inf", total)], sum_ns * 1e-9 + total * offset_s
    )
