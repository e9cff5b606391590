"""What Prometheus is told: by a real daemon over HTTP, and what alerts and panels make of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.errors import EXIT_DEVICE
from stemd.outbox import Outbox
from stemd.ring import Ring
from stemd.sinks.metrics import Exporter
from stemd.status import State, Status

from ..device.conftest import Running, port_overrides, running
from ..servers import wait_for
from ..sinks.support import free_port

PLACE = Path(__file__).parents[2] / "configs" / "prometheus"
RULES = yaml.safe_load((PLACE / "rules.yml").read_text())
PANELS = json.loads((PLACE / "grafana.json").read_text())["panels"]
PROMTOOL = shutil.which("promtool")

Scrape = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def get(port: int, path: str = "/metrics") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return bytes(reply.read())


def scrape(port: int) -> Scrape:
    """Every sample by name and sorted labels, through Prometheus' own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(get(port).decode())
        for sample in family.samples
    }


def one(samples: Scrape, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Running, int]]:
    port = free_port()
    with running("source.kind=tone", "metrics.enabled=true", f"metrics.port={port}") as it:
        it.until(lambda: int(it.status.metrics["ready"]), 20.0, "the metrics process")
        yield it, port


def test_a_scrape_tells_what_the_status_counts(served: tuple[Running, int]) -> None:
    it, port = served
    before = scrape(port)
    it.collect(1.0)
    status, after = it.status.snapshot(), scrape(port)
    hops = one(after, "stemd_hops_total")
    assert hops - one(before, "stemd_hops_total") > 20
    assert abs(hops - status["separate"]["hops"]) < 400  # two seconds
    assert one(after, "stemd_state", stemd_state="RUNNING") == 1
    assert sum(v for (name, _), v in after.items() if name == "stemd_state") == 1
    assert one(after, "stemd_latency_seconds", of="stems") == pytest.approx(512 / 48_000)
    roles = ("daemon", "capture", "separate", "publish", "metrics")
    for role in roles:
        assert one(after, "stemd_process_resident_bytes", process=role) > 5e6
        assert one(after, "stemd_process_handles", process=role) >= 3
        assert one(after, "stemd_process_threads", process=role) >= 1
    assert one(after, "stemd_process_cpu_seconds_total", process="separate") > 0


def test_histograms_hold_every_hop_and_the_latency_of_the_method(
    served: tuple[Running, int],
) -> None:
    it, port = served
    it.collect(0.3)
    samples = scrape(port)
    for name in ("stemd_step_seconds", "stemd_end_to_end_latency_seconds"):
        buckets = sorted(
            (float(dict(labels)["le"]), value)
            for (sample, labels), value in samples.items()
            if sample == f"{name}_bucket"
        )
        counts = [count for _, count in buckets]
        assert counts == sorted(counts)
        assert buckets[-1][0] == float("inf")
        assert counts[-1] == one(samples, f"{name}_count") > 50
    mean_s = one(samples, "stemd_end_to_end_latency_seconds_sum") / one(
        samples, "stemd_end_to_end_latency_seconds_count"
    )
    assert mean_s > 512 / 48_000  # nothing leaves before it was heard


def test_a_killed_metrics_process_comes_back_and_costs_the_audio_nothing(
    served: tuple[Running, int],
) -> None:
    it, port = served
    pid = int(it.status.metrics["pid"])
    os.kill(pid, signal.SIGKILL)
    hops = it.collect(0.5).hops
    assert (np.diff(hops["seq"]) == 1).all()
    it.until(
        lambda: int(it.status.metrics["pid"]) != pid and it.status.metrics["ready"],
        20.0,
        "a new metrics process",
    )
    assert one(scrape(port), "stemd_restarts_total", process="metrics") == 1


def test_who_opens_connections_and_says_nothing_is_hung_up_on(served: tuple[Running, int]) -> None:
    it, port = served
    idle = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(40)]

    def answered() -> bool:
        try:
            return bool(get(port))
        except (OSError, urllib.error.URLError):
            return False

    it.until(answered, 30.0, "an answer beside silent connections")
    for connection in idle:
        connection.close()
    assert it.status.state is State.RUNNING


def test_wrong_paths_and_verbs_are_refused(served: tuple[Running, int]) -> None:
    _, port = served
    for path, data, code in [("/", None, 404), ("/metrics", b"x", 405)]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=10)
        assert refused.value.code == code
    assert get(port, "/health").startswith(b"RUNNING")


def test_alerts_and_panels_name_metrics_that_exist(served: tuple[Running, int]) -> None:
    _, port = served
    text = get(port).decode()
    known = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    known |= {f"{name}_bucket" for name in re.findall(r"^# TYPE (\S+) histogram", text, re.M)}
    alerts = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    shown = [target["expr"] for panel in PANELS for target in panel["targets"]]
    assert len(alerts) >= 10
    assert len(shown) >= 20
    for expression in [*alerts, *shown]:
        names = set(re.findall(r"\bstemd_\w+", re.sub(r"\{[^}]*\}", "", expression)))
        assert names or expression.startswith("up")
        assert names <= known, expression


def test_every_alert_says_what_to_do() -> None:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "warn")
            assert set(rule["annotations"]) == {"summary", "remedy"}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not there; .ci/run brings it")
def test_alerts_fire_when_they_should() -> None:
    for arguments in (
        ["check", "config", PLACE / "prometheus.yml"],
        ["test", "rules", Path(__file__).parent / "rules_test.yml"],
    ):
        ran = subprocess.run(
            [str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_promtool_likes_what_we_say(served: tuple[Running, int]) -> None:
    if PROMTOOL is None:
        pytest.skip("promtool is not there; .ci/run brings it")
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=get(served[1]), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_health_follows_the_state() -> None:
    status, ring, outbox = Status.create(1), Ring.create(100, 2), Outbox.create(1, 256, 48_000)
    try:
        exporter = Exporter(status, ring, outbox, "live")
        status.daemon["state"] = State.RUNNING
        for state, code in [(State.RUNNING, 200), (State.PAUSED, 200), (State.STALLED, 503)]:
            status.separate["state"] = state
            assert exporter.answer("/health")[0] == code
        # Before the first hop there is no rate: nothing divides by it.
        assert b"stemd_hops_total 0.0" in exporter.answer("/metrics")[1]
    finally:
        for one_of_them in (status, ring, outbox):
            one_of_them.close()


def test_a_taken_port_is_said_at_the_start() -> None:
    ports, _ = port_overrides()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = [*ports, "source.kind=tone", "metrics.enabled=true", f"metrics.port={port}"]
        daemon = Daemon(load_config(None, settings))
        daemon.start()
        try:
            wait_for(lambda: not daemon.poll(0.01), 90.0, "the end")
            assert daemon.exit_code == EXIT_DEVICE
            assert f"metrics.port: got 127.0.0.1:{port}" in daemon.status.reason
        finally:
            daemon.stop()
        assert daemon.final["state"] == "FAILED"


def test_figures_of_one_moment_are_made_once() -> None:
    """Who asks in a loop costs one rendering in a quarter second."""
    status, ring, outbox = Status.create(1), Ring.create(100, 2), Outbox.create(1, 256, 48_000)
    try:
        exporter = Exporter(status, ring, outbox, "live")
        first = exporter.text()
        status.separate["hops"] = 5
        assert exporter.text() is first
        later: Any = wait_for(
            lambda: exporter.text() if exporter.text() is not first else None, 5.0, "fresh figures"
        )
        assert b"stemd_hops_total 5.0" in later
    finally:
        for one_of_them in (status, ring, outbox):
            one_of_them.close()
