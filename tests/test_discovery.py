"""Found on a network, and not found where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import ifaddr
import pytest

from stemd import discovery
from stemd.config import build_config
from stemd.discovery import OSCQUERY, STEMD, Found, Service, _info, addresses_for
from stemd.errors import EXIT_NO_DAEMON, EXIT_OK
from stemd.keys import KeyStore, fingerprint
from stemd.roles.advertise import services
from tests.networks import cable, permitted

needs_networks = pytest.mark.skipif(not permitted(), reason="may not make network namespaces")

TELL = """
import sys, time
from stemd.discovery import *
told = Announcer([Service(STEMD, "box", 5572, {"role": "box", "key": sys.argv[1]})],
                 addresses_for(["0.0.0.0"]))
print(told.names[0], flush=True)
sys.stdin.read()
told.close()
"""


@pytest.fixture(scope="module")
def machines():
    with cable() as both:
        yield both


@pytest.fixture
def tell(machines, tmp_path):
    """Start telling of a box on one of the machines."""
    started = []

    def begin(i, key=""):
        process = subprocess.Popen(
            machines[i].command(sys.executable, "-c", TELL, key),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process.stdout.readline().strip()

    yield begin
    for process in started:
        process.communicate("", timeout=30)


def test_nothing_is_told_where_nothing_is_bound_beyond_loopback():
    assert build_config({}).advertised == ()
    assert build_config({"zeromq": {"bind": "0.0.0.0"}}).advertised == ("0.0.0.0",)
    off = {"zeromq": {"bind": "0.0.0.0"}, "discovery": {"enabled": False}}
    assert build_config(off).advertised == ()
    osc = {"listen": "192.0.2.7:9700", "insecure": True, "query_port": 9700}
    assert build_config({"osc": osc}).advertised == ("192.0.2.7",)
    assert build_config({"osc": {"query_port": 9700}}).advertised == ()
    assert addresses_for(["127.0.0.1", "192.0.2.99"]) == ()


def test_what_is_told(tmp_path):
    table = {
        "zeromq": {"bind": "0.0.0.0", "control_port": 6000},
        "security": {"keys": str(tmp_path)},
        "osc": {"listen": "0.0.0.0:9700", "insecure": True, "query_port": 9703},
        "discovery": {"name": "Main stage"},
    }
    config = build_config(table)
    stemd, oscquery = services(config, config.spec, 0xABC)
    assert (stemd.kind, stemd.name, stemd.port) == (STEMD, "Main stage", 6000)
    assert stemd.properties == {
        "proto": "1",
        "role": "box",
        "session": "0000000000000abc",
        "rate": "48000",
        "profile": "live",
        "feeds": "main",
        "stems": "vocals,drums,bass,other",
        "audio": "5570",
        "features": "5571",
        "control": "6000",
        "key": fingerprint(KeyStore(tmp_path).server().public),
    }
    assert (oscquery.kind, oscquery.port) == (OSCQUERY, 9703)
    table["zeromq"]["insecure"] = True
    assert services(build_config(table), config.spec, 1)[0].properties["key"] == ""


def test_long_names_are_cut_where_the_network_would_refuse_them():
    info = _info(Service(STEMD, "ü" * 200, 1, {"feeds": "x" * 500}), ["192.0.2.1"])
    assert len(info.name.removesuffix(f".{STEMD}").encode()) <= 63
    assert len(info.properties[b"feeds"]) <= 255 - len("feeds=")


def test_found_is_plain():
    found = Found("box", "192.0.2.1", 5572, {"key": "A"})
    assert found.key == "A"
    assert json.loads(json.dumps(found.to_dict()))["port"] == 5572


@needs_networks
def test_a_box_is_found_from_the_other_machine(machines, tell):
    assert tell(0, "ABCD") == "box"
    ran = machines[1].stemd("find", "--json", "--seconds", 5)
    assert ran.returncode == EXIT_OK, ran.stderr
    (found,) = json.loads(ran.stdout)
    assert found == {
        "name": "box",
        "address": machines[0].address,
        "port": 5572,
        "properties": {"role": "box", "key": "ABCD"},
        "trusted": False,
    }
    # the second takes another name, and who says "auto" is asked to choose
    assert tell(1) == "box-2"
    ran = machines[1].stemd("monitor", "--once", "--host", "auto")
    assert ran.returncode == EXIT_NO_DAEMON
    assert "got box (10.77.0.1), box-2 (10.77.0.2) in 2 s, expected one box" in ran.stderr


@needs_networks
def test_nobody_is_found_where_nobody_is(machines):
    time.sleep(0.5)
    ran = machines[1].stemd("find", "--seconds", 1)
    assert ran.returncode == EXIT_NO_DAEMON
    assert "nobody was found in 1 s" in ran.stderr


@pytest.mark.parametrize("reverse", [False, True])
def test_of_many_addresses_one_within_reach_is_dialled(monkeypatch, reverse):
    """A box with containers tells their network's address too, which is the same everywhere."""
    ours = [("172.17.0.1", 16), ("192.168.1.9", 24), ("127.0.0.1", 8)]
    ips = [SimpleNamespace(ip=ip, network_prefix=bits, is_IPv4=True) for ip, bits in ours]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [SimpleNamespace(ips=ips)])
    theirs = ["10.8.0.1", "172.17.0.1", "192.168.1.5"]
    assert discovery._nearest(theirs[::-1] if reverse else theirs) == "192.168.1.5"
    assert discovery._nearest(["10.8.0.1"]) == "10.8.0.1"
