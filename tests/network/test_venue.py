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
    documents = yaml.safe_load_all((FOLDER / "boxes.yaml").read_text("utf-8"))
    return [part for one in documents for part in one.get("items", [one])]


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
    z = config.zeromq
    expected = {
        (config.network.port, "UDP"),
        *((n, "TCP") for n in (config.network.port, config.metrics.port)),
        *((n, "TCP") for n in (z.audio_port, z.features_port, z.control_port)),
    }
    for pods in of_kind(parts, "Deployment"):
        (box,) = pods["spec"]["template"]["spec"]["containers"]
        ports = {(p["containerPort"], p.get("protocol", "TCP")) for p in box["ports"]}
        assert ports == expected
        for probe in ("startupProbe", "livenessProbe"):
            assert box[probe]["tcpSocket"]["port"] == config.network.port
        assert box["args"][0] == "run"
        assert box["args"][-1].startswith(box["volumeMounts"][0]["mountPath"])


def test_every_group_is_one_pod_with_an_address_of_its_own(parts):
    groups, services = of_kind(parts, "Deployment"), of_kind(parts, "Service")
    assert len(groups) == len(services) > 1
    for service in services:
        selector = service["spec"]["selector"].items()
        chosen = [
            pods
            for pods in groups
            if selector <= pods["spec"]["template"]["metadata"]["labels"].items()
        ]
        (pods,) = chosen
        assert pods["spec"]["replicas"] == 1
        assert pods["spec"]["selector"]["matchLabels"].items() == selector
        assert pods["metadata"]["name"] == service["metadata"]["name"]
    for service in services:
        protocols = [p["protocol"] for p in service["spec"]["ports"] if p["port"] == 5573]
        assert sorted(protocols) == ["TCP", "UDP"]


def test_a_dead_machine_s_pods_are_replaced_soon(parts):
    """A StatefulSet would wait for ever for a word from the machine that its pod has ended."""
    assert not of_kind(parts, "StatefulSet")
    for pods in of_kind(parts, "Deployment"):
        assert pods["spec"]["strategy"] == {"type": "Recreate"}
        for one in pods["spec"]["template"]["spec"]["tolerations"]:
            assert one["tolerationSeconds"] == 5
        assert {one["key"] for one in pods["spec"]["template"]["spec"]["tolerations"]} == {
            "node.kubernetes.io/unreachable",
            "node.kubernetes.io/not-ready",
        }
