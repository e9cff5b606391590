"""A reload that wants other ports: tried before anything stops."""

from __future__ import annotations

import errno
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stemd.client
from stemd.config import build_config
from stemd.errors import DeviceError, StemdError
from stemd.roles.doors import check_doors, doors_of

from ..cli.conftest import RunningCommand, end, start
from ..device.conftest import START_S
from ..servers import wait_for
from ..sinks.support import free_port, free_ports

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
NAMES = ("audio", "features", "control", "osc", "metrics", "spare")


def toml(ports: dict[str, int], more: str = "") -> str:
    return (
        f"[source]\nkind = 'tone'\n[console]\nenabled = false\n"
        f"[zeromq]\naudio_port = {ports['audio']}\nfeatures_port = {ports['features']}\n"
        f"control_port = {ports['control']}\n"
        f"[osc]\nlisten = '127.0.0.1:{ports['osc']}'\ntargets = []\n"
        f"[metrics]\nenabled = true\nport = {ports['metrics']}\n{more}"
    )


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[RunningCommand, Path, dict[str, int]]]:
    ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
    path = tmp_path / "stemd.toml"
    path.write_text(toml(ports))
    running = start("-c", path, ports=([], ports["control"]))
    try:
        running.until_running()
        yield running, path, ports
    finally:
        end(running)


@pytest.fixture
def stranger() -> Iterator[Callable[[socket.SocketKind], int]]:
    """Another program: `stranger(TCP)` is a port it has from now on."""
    held: list[socket.socket] = []

    def hold(kind: socket.SocketKind) -> int:
        one = socket.socket(socket.AF_INET, kind)
        held.append(one)
        one.bind(("127.0.0.1", 0))
        if kind is TCP:
            one.listen()
        return int(one.getsockname()[1])

    yield hold
    for one in held:
        one.close()


def until_whole(running: RunningCommand) -> dict[str, Any]:
    """A status that is RUNNING and lacks nothing."""

    def whole() -> Any:
        status = running.next_status()
        return status["state"] == "RUNNING" and not status["reason"] and status

    found: dict[str, Any] = wait_for(whole, START_S, "a daemon that lacks nothing")
    return found


def pids(status: dict[str, Any]) -> dict[str, int]:
    roles = ("daemon", "capture", "separate", "publish", "metrics", "console")
    return {role: status[role]["pid"] for role in roles}


def test_a_port_somebody_has_is_refused_and_nothing_stops(
    daemon: Any, stranger: Callable[[socket.SocketKind], int]
) -> None:
    running, path, ports = daemon
    tcp, udp = stranger(TCP), stranger(UDP)
    before = until_whole(running)
    refused = {
        "zeromq.audio_port": toml({**ports, "audio": tcp}),
        "zeromq.features_port": toml({**ports, "features": tcp}),
        "zeromq.control_port": toml({**ports, "control": tcp}),
        "metrics.port": toml({**ports, "metrics": tcp}),
        "osc.listen": toml({**ports, "osc": udp}),
        "osc.query_port": toml(ports).replace("[osc]", f"[osc]\nquery_port = {tcp}"),
        "console.port": toml(ports).replace("enabled = false", f"port = {tcp}"),
        "inserts.endpoint": toml(
            ports, f"[inserts]\nenabled = true\nendpoint = 'tcp://127.0.0.1:{tcp}'"
        ),
        # together with what would start the stream anew
        "network.port": toml(ports).replace("'tone'", f"'network'\n[network]\nport = {tcp}"),
    }
    for key, content in refused.items():
        path.write_text(content)
        port = udp if key == "osc.listen" else tcp
        with (
            stemd.client.connect(control_port=ports["control"]) as client,
            pytest.raises(StemdError) as refusal,
        ):
            client.control("reload")
        sentence = f"{key}: got 127.0.0.1:{port} (Address already in use), expected a free port"
        assert sentence in str(refusal.value)
    running.process.send_signal(signal.SIGHUP)
    running.next_status()
    after = until_whole(running)
    assert pids(after) == pids(before)
    assert after["daemon"]["session"] == before["daemon"]["session"]
    assert after["daemon"]["config_rev"] == before["daemon"]["config_rev"] == 0
    assert not any(after["daemon"]["restarts"].values())
    assert after["separate"]["discontinuities"] == before["separate"]["discontinuities"]
    with stemd.client.connect(control_port=ports["control"]) as client:
        assert next(client.blocks()).stems.any()
    running.process.terminate()
    _, said = running.process.communicate(timeout=20)
    assert said.count("reload refused: network.port") == 1  # the signal; clients are told


def test_a_free_port_is_moved_to_and_ours_may_change_places(daemon: Any) -> None:
    running, path, ports = daemon
    until_whole(running)
    moved = {
        **ports,
        "audio": ports["features"],
        "features": ports["metrics"],
        "metrics": ports["audio"],
        "control": ports["spare"],
    }
    path.write_text(toml(moved))
    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: running.next_status()["daemon"]["config_rev"] == 1, 20.0, "the new ports")
    until_whole(running)
    with stemd.client.connect(control_port=moved["control"], timeout_s=20.0) as client:
        assert next(client.blocks()).stems.any()

    def scraped() -> bool:
        try:
            url = f"http://127.0.0.1:{moved['metrics']}/health"
            return bool(urllib.request.urlopen(url, timeout=2.0).status == 200)
        except OSError:
            return False

    wait_for(scraped, 20.0, "metrics at their new port")


# -- without a daemon ------------------------------------------------------------------------------


def config_of(**sections: Any) -> Any:
    return build_config({"source": {"kind": "tone"}, **sections})


def test_doors_are_those_that_are_wanted() -> None:
    assert [d.key for d in doors_of(config_of())] == [
        *("zeromq.audio_port", "zeromq.features_port", "zeromq.control_port"),
        *("osc.listen", "console.port"),
    ]
    off = {"enabled": False}
    assert not [*doors_of(config_of(zeromq=off, osc=off, console=off))]
    assert [
        d.kind for d in doors_of(config_of(osc={"listen": "[::1]:9700"}, zeromq=off, console=off))
    ] == [UDP]


def test_what_runs_is_not_in_its_own_way(stranger: Callable[[socket.SocketKind], int]) -> None:
    port = stranger(TCP)  # stands for our own publisher
    old = config_of(console={"enabled": False}, metrics={"enabled": True, "port": port})
    check_doors(old, old)
    wider = {"enabled": True, "port": port, "bind": "0.0.0.0", "insecure": True}
    check_doors(config_of(console={"enabled": False}, metrics=wider), old)
    other = config_of(console={"enabled": False})
    with pytest.raises(DeviceError, match=rf"console.port: got 127.0.0.1:{port} \(Address"):
        check_doors(config_of(console={"port": port}), other)


def test_an_address_of_another_machine_is_refused() -> None:
    away = {"enabled": True, "port": free_port(), "bind": "203.0.113.9", "insecure": True}
    with pytest.raises(DeviceError, match=r"metrics.port: got 203\.0\.113\.9") as refusal:
        check_doors(config_of(metrics=away), config_of())
    assert isinstance(refusal.value.__cause__, OSError)
    assert refusal.value.__cause__.errno == errno.EADDRNOTAVAIL


def test_names_of_interfaces_are_left_to_zeromq() -> None:
    check_doors(config_of(zeromq={"bind": "eth9", "insecure": True}), config_of())
