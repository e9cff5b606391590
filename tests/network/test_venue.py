"""The manifests say what the daemon does: ports, probes, and a configuration that loads."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stemd.config import build_config

FOLDER = Path(__file__).parents[2] / "configs" / "kubernetes"


@pytest.fixture(scope="module")
def parts() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "boxes.yaml").read_text("utf-8")))


def of_kind(parts: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [part for part in parts if part["kind"] == kind]


def test_the_configuration_loads_and_asks_for_keys(parts):
    (text,) = of_kind(parts, "ConfigMap")[0]["data"].values()
    config = build_config(tomllib.loads(text))
    assert config.source.kind == "network"
    assert config.network_guarded
    assert config.zeromq_guarded


def test_ports_and_probes_are_those_of_the_configuration(parts):
    (text,) = of_kind(parts, "ConfigMap")[0]["data"].values()
    config = build_config(tomllib.loads(text))
    (box,) = of_kind(parts, "StatefulSet")[0]["spec"]["template"]["spec"]["containers"]
    ports = {(p["containerPort"], p.get("protocol", "TCP")) for p in box["ports"]}
    z = config.zeromq
    assert ports == {
        (config.network.port, "UDP"),
        *((n, "TCP") for n in (config.network.port, config.metrics.port)),
        *((n, "TCP") for n in (z.audio_port, z.features_port, z.control_port)),
    }
    for probe in ("startupProbe", "livenessProbe"):
        assert box[probe]["tcpSocket"]["port"] == config.network.port
    assert box["args"][0] == "run"
    assert box["args"][-1].startswith(box["volumeMounts"][0]["mountPath"])


def test_every_group_has_an_address_of_its_own(parts):
    (pods,) = of_kind(parts, "StatefulSet")
    name, n = pods["metadata"]["name"], pods["spec"]["replicas"]
    services = of_kind(parts, "Service")
    chosen = {s["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] for s in services}
    assert chosen == {f"{name}-{i}" for i in range(n)}
    for service in services:
        protocols = [p["protocol"] for p in service["spec"]["ports"] if p["port"] == 5573]
        assert sorted(protocols) == ["TCP", "UDP"]
