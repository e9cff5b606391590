"""`stemd doctor`: each check on machines made of files, and the whole on this one."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sys

import pytest

from stemd.cli import doctor
from stemd.cli.doctor import port_free
from stemd.cli.machine import governor, memory, preemption, realtime, swap, throttled
from stemd.config import build_config
from stemd.errors import EXIT_FAILED, EXIT_OK, DeviceError
from stemd.keys import KeyStore, make_pair


@pytest.mark.parametrize(
    ("governors", "verdict"),
    [([], "ok"), (["performance"] * 4, "ok"), (["performance", "powersave"], "warn")],
)
def test_governor(tmp_path, governors, verdict):
    for i, name in enumerate(governors):
        folder = tmp_path / f"cpu{i}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(name + "\n")
    assert governor(tmp_path).verdict == verdict


DYNAMIC, FIXED = "#1 SMP PREEMPT_DYNAMIC Thu Nov 19 2026", "#1 SMP PREEMPT Debian"
NONE = "CONFIG_PREEMPT_NONE=y\nCONFIG_PREEMPT_DYNAMIC=y\n"
VOLUNTARY = "# CONFIG_PREEMPT_NONE is not set\nCONFIG_PREEMPT_VOLUNTARY=y\n"
FULL = "CONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPT=y\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of Linux alone")
@pytest.mark.parametrize(
    ("version", "cmdline", "config", "found", "verdict"),
    [
        (DYNAMIC, "ro quiet", NONE, "none", "warn"),
        (DYNAMIC, "preempt=full ro", NONE, "full", "ok"),
        (DYNAMIC, "preempt=none", FULL, "none", "warn"),
        (DYNAMIC, "", VOLUNTARY, "voluntary", "ok"),
        (DYNAMIC, "", FULL, "full", "ok"),
        (DYNAMIC, "", "", "cannot be asked here", "ok"),
        (FIXED, "", "", "full", "ok"),
        ("#1 SMP PREEMPT_RT", "", "CONFIG_PREEMPT_RT=y\n", "full, a real-time kernel", "ok"),
    ],
)
def test_preemption(tmp_path, version, cmdline, config, found, verdict):
    line, torn, plain, packed = (tmp_path / n for n in ("line", "torn.gz", "config", "config.gz"))
    line.write_text(cmdline)
    torn.write_bytes(gzip.compress(NONE.encode())[:-9])  # passed over
    plain.write_text(config)
    packed.write_bytes(gzip.compress(config.encode()))
    for path in (plain, packed):
        told = preemption(version, line, [tmp_path / "absent", torn, path])
        assert (told.found, told.verdict) == (found, verdict)
        assert bool(told.fix) == (verdict == "warn")


@pytest.mark.parametrize(
    ("total", "free", "verdict"), [(0, 0, "ok"), (2048, 2048, "ok"), (4096, 1024, "warn")]
)
def test_swap(tmp_path, total, free, verdict):
    path = tmp_path / "meminfo"
    path.write_text(f"SwapTotal:  {total} kB\nSwapFree:  {free} kB\n")
    assert swap(path).verdict == verdict


@pytest.mark.parametrize(("available", "verdict"), [(100, "warn"), (4_000_000, "ok")])
def test_memory(tmp_path, available, verdict):
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: 8000000 kB\nMemAvailable: {available} kB\nHugePages_Total: 0\n")
    assert memory(path).verdict == verdict


def test_a_machine_without_proc(tmp_path):
    assert memory(tmp_path / "none").verdict == "ok"
    assert swap(tmp_path / "none").verdict == "ok"


@pytest.mark.parametrize(
    ("bits", "verdict", "word"),
    [(0, "ok", "never"), (0x50000, "warn", "under-voltage, throttled"), (8, "warn", "too hot")],
)
def test_raspberry_pi_throttling(bits, verdict, word):
    finding = throttled(bits)
    assert finding.verdict == verdict
    assert word in finding.found


def test_a_taken_port_is_found():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finding = port_free("127.0.0.1", port, socket.SOCK_STREAM, "zeromq")
        assert finding.verdict == "warn"
        assert "[zeromq]" in finding.fix
    assert port_free("127.0.0.1", port, socket.SOCK_STREAM, "zeromq").verdict == "ok"


CARD = {"name": "USB", "host_api": "ALSA", "default_samplerate": 44_100.0, "default_input": False}
BUILT_IN = {**CARD, "name": "PCH", "default_samplerate": 48_000.0, "default_input": True}


@pytest.mark.parametrize(
    ("source", "inputs", "verdict", "word"),
    [
        ({}, [CARD, BUILT_IN], "ok", "PCH (ALSA), 48000 Hz"),
        ({"device": "usb"}, [CARD, BUILT_IN], "ok", "USB (ALSA), 44100 Hz"),
        ({"device": "usb", "samplerate": 48_000}, [CARD], "warn", "44100 Hz"),
        ({"device": "Scarlett"}, [CARD], "warn", "no Scarlett"),
        ({"host_api": "JACK"}, [CARD], "warn", "no any JACK"),
        ({}, [], "warn", "none"),
        ({"kind": "device"}, [], "warn", "no any"),
    ],
)
def test_the_input_that_is_meant(source, inputs, verdict, word):
    finding = doctor.input_device(build_config({"source": source}), inputs)
    assert finding.verdict == verdict
    assert word in finding.found


def test_no_portaudio_is_bad(monkeypatch):
    def fails():
        raise DeviceError("devices: got no module, expected a list")

    monkeypatch.setattr("stemd.cli.devices.ask_devices", fails)
    (finding,) = doctor.sound(build_config({}))
    assert finding.verdict == "bad"
    assert finding.fix


def test_a_missing_model_is_bad():
    assert doctor.model(build_config({"model": {"name": "nobody"}})).verdict == "bad"


def test_the_released_model_is_well():
    assert doctor.model(build_config({})).verdict == "ok"


def test_everything_that_is_not_well_has_a_fix(invoke):
    result = invoke("doctor", "--json")
    findings = json.loads(result.stdout)
    assert {f["name"] for f in findings} >= {
        "processor cores",
        "real-time scheduling",
        "locked memory",
        "processor clock",
        "free memory",
        "swap",
        "clock",
        "compiled kernels",
        "PortAudio",
        "model",
        "port 5570",
    }
    for finding in findings:
        assert finding["verdict"] in ("ok", "warn", "bad")
        assert bool(finding["fix"]) == (finding["verdict"] != "ok")
    bad = any(f["verdict"] == "bad" for f in findings)
    assert result.exit_code == (EXIT_FAILED if bad else EXIT_OK)


def test_the_table_says_the_same(invoke):
    result = invoke("doctor")
    assert "PortAudio" in result.stdout


def test_scheduling_is_given_back():
    before = os.sched_getscheduler(0)
    realtime()
    assert os.sched_getscheduler(0) == before


def test_keys_are_looked_at(tmp_path):
    store = KeyStore(tmp_path)
    table = {"security": {"keys": str(tmp_path)}}
    assert doctor.keys(build_config(table)).found.startswith("none asked for")
    table["zeromq"] = {"bind": "0.0.0.0"}
    config = build_config(table)
    found = doctor.keys(config)
    assert found.verdict == "warn"
    assert "made at the first start; nobody is on the list" in found.found
    store.server()
    store.authorise("desk", make_pair().public)
    found = doctor.keys(config)
    assert (found.verdict, found.found[-10:]) == ("ok", "1 may come")
    with (tmp_path / "clients").open("a") as file:
        file.write("half a key\n")
    assert "clients:2: got 'half a key'" in doctor.keys(config).found
    (tmp_path / "server.key").write_text("nothing")
    assert doctor.keys(config).verdict == "bad"


def test_open_networks_are_pointed_at(monkeypatch):
    for name in ("sound", "model", "ports"):
        monkeypatch.setattr(doctor, name, lambda _config: [])
    table = {"zeromq": {"bind": "0.0.0.0", "insecure": True}}
    found = [f for f in doctor.examine(build_config(table)) if f and f.name == "insecure"]
    assert [(f.verdict, f.found) for f in found] == [("warn", "zeromq at 0.0.0.0 without keys")]
