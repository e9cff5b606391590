"""What the plugin does when the daemon is not what it should be."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import ifaddr
import numpy as np
import pytest
import zmq

from .fake import SHARES
from .support import STATUS, Host, noise

SANITIZED = ("core-tsan", "core-asan")
ALL = ("vst3", *SANITIZED)
# For what takes long: the core under a sanitizer is what a plugin does, and finds more.
ALONE = pytest.param("vst3", marks=pytest.mark.slow)
OTHER = np.array([0, 0, 0, 1], np.float32)


def status(heard) -> str:
    return STATUS[int(heard.parameters()["Status"])]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("away", ["dry", "silence"])
def test_nobody_there(kind: str, away: str, host: Host) -> None:
    begin = time.monotonic()
    heard = host.run(kind, noise(5), parameters={"When stemd is away": int(away == "silence")})
    assert time.monotonic() - begin < 30  # a render waits for nobody, once
    assert not heard.wrong_stems(OTHER * (away == "dry")).any()
    assert status(heard) == "searching"
    assert heard.parameters()["Renders given up"] == 1
    assert heard.missed == len(heard.given) - heard.latency


@pytest.mark.parametrize("kind", ALL)
def test_a_daemon_that_says_nothing(kind: str, host: Host) -> None:
    with host.fake("silent"):
        heard = host.run(kind, noise(2))
    assert not heard.wrong_stems(OTHER).any()
    assert heard.parameters()["Renders given up"] == 1


@pytest.mark.parametrize("kind", [ALONE, *SANITIZED])
def test_a_slow_daemon_is_waited_for(kind: str, host: Host) -> None:
    with host.fake("slow"):
        heard = host.run(kind, noise(3))
    assert not heard.wrong_stems(SHARES).any()
    assert heard.missed == 0


@pytest.mark.parametrize("kind", ALL)
def test_credit_is_kept_to(kind: str, host: Host) -> None:
    with host.fake("miser"):
        heard = host.run(kind, noise(1), max_block=512, parameters={"Latency (0: automatic)": 30})
    assert not heard.wrong_stems(SHARES).any()


@pytest.mark.parametrize("kind", [ALONE, *SANITIZED])
def test_a_daemon_that_stops_answering(kind: str, host: Host) -> None:
    """One wait in vain, then the dry signal; the sum holds throughout."""
    with host.fake("stall"):
        heard = host.run(kind, noise(3))
    assert heard.null() <= 1e-6
    assert heard.parameters()["Renders given up"] == 1
    assert not heard.wrong_stems(SHARES)[: heard.latency + 30 * 256].any()
    assert not heard.wrong_stems(OTHER)[-48_000:].any()


@pytest.mark.parametrize("kind", [ALONE, *SANITIZED])
@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("refuse", "refused"),
        ("garbage", "strange answer"),
        ("high", "latency too low"),
        ("oversize", "connected"),
        ("foreign", "connected"),
    ],
)
def test_answers_that_are_of_no_use(kind: str, behaviour: str, said: str, host: Host) -> None:
    with host.fake(behaviour):
        heard = host.run(kind, noise(2))
    assert heard.null() <= 1e-6
    assert status(heard) == said
    if behaviour != "high":  # there stems come, and are heard when they happen to be in time
        assert not heard.wrong_stems(OTHER)[-4800:].any()
    if behaviour == "refuse":
        assert "full: 0 instances are the limit" in heard.report["errors"]


@pytest.mark.parametrize("kind", SANITIZED)
@pytest.mark.parametrize(("block", "said"), [(256, "connected"), (1024, "latency too low")])
def test_blocks_that_grow_need_more(kind: str, block: int, said: str, host: Host) -> None:
    """LV2 hosts may under a running instance; the latency they were told stays."""
    with host.fake():
        heard = host.run(kind, noise(2), offline=False, paced=True, max_block=256, blocks=[block])
    assert heard.null() <= 1e-6
    assert status(heard) == said


@pytest.mark.parametrize("kind", ALL)
def test_fuzz_is_passed_over(kind: str, host: Host) -> None:
    """Broken messages before every good one: what is heard is the good ones."""
    with host.fake("fuzz"):
        heard = host.run(kind, noise(2))
    assert heard.null() <= 1e-6
    assert heard.parameters()["Connected"] == 1
    assert not heard.wrong_stems(SHARES).any()


@pytest.mark.parametrize("kind", [ALONE, "core-tsan"])
def test_killed_and_started_again(kind: str, host: Host) -> None:
    """Aligned again by itself, in real time, without the host noticing."""
    length = 11
    with host.fake() as first:
        run = host.start(kind, noise(length), offline=False, paced=True, max_block=256)
        time.sleep(3)
        first.kill()
        first.wait()
        time.sleep(1)
    with host.fake():
        heard = host.finish(run)
    assert heard.null() <= 1e-6  # the dry signal fills the hole
    assert heard.parameters()["Connected"] == 1
    wrong = heard.wrong_stems(SHARES)
    assert (~wrong[: 4 * 48_000]).any()
    assert (~wrong[-2 * 48_000 :]).any()


@pytest.mark.parametrize("kind", [ALONE, "core-tsan"])
def test_stopped_and_continued(kind: str, host: Host) -> None:
    with host.fake() as daemon:
        run = host.start(kind, noise(10), offline=False, paced=True, max_block=256)
        time.sleep(2)
        daemon.send_signal(signal.SIGSTOP)
        time.sleep(5)
        daemon.send_signal(signal.SIGCONT)
        heard = host.finish(run)
    assert heard.null() <= 1e-6
    assert heard.parameters()["Connected"] == 1
    connected = heard.trace[:, 1]
    assert 0 in connected[10:]  # it was noticed
    assert (~heard.wrong_stems(SHARES)[-48_000:]).any()


@pytest.mark.parametrize("kind", ["vst3", "clap", "core-asan"])
def test_no_descriptors_left(kind: str, host: Host) -> None:
    """libzmq would abort the host; we do not even start it."""
    with host.fake():
        heard = host.run(kind, noise(0.5), descriptors=20)
    assert status(heard) == "no descriptors"
    assert not heard.wrong_stems(OTHER).any()


@pytest.mark.parametrize("kind", ["vst3", "core-asan"])
def test_beyond_this_machine_only_with_a_key(kind: str, host: Host) -> None:
    heard = host.run(kind, noise(0.5), environment={"STEMD_PLUGIN": "tcp://192.0.2.1:5575"})
    assert status(heard) == "needs key"
    assert not heard.wrong_stems(OTHER).any()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("kind", [ALONE, "core-asan"])
def test_with_keys_everything_is_encrypted(kind: str, host: Host) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    config = host.place / "config" / "stemd"
    config.mkdir(parents=True)
    # in real time: who speaks TCP binds when it likes
    order = dict(offline=False, paced=True, max_block=512)
    with host.fake(endpoint=endpoint, secret=secret):
        (config / "plugin.conf").write_text(f"endpoint = {endpoint}\nkey = {public}\n")
        heard = host.run(kind, noise(5), **order)
        assert status(heard) == "connected"
        assert (~heard.wrong_stems(SHARES)[-48_000:]).any()
        assert (config / "plugin.key").stat().st_mode & 0o777 == 0o600
        stranger = zmq.curve_keypair()[0].decode()
        for key in (stranger, "insecure", ""):
            (config / "plugin.conf").write_text(f"endpoint = {endpoint}\nkey = {key}\n")
            heard = host.run(kind, noise(1.5), **order)
            assert status(heard) == "searching"
            assert not heard.wrong_stems(OTHER).any()


def own_addresses() -> list[str]:
    """Of this machine, beyond 127.0.0.1."""
    ips = [ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    newer = ["[::1]"] if any(ip.is_IPv6 and ip.ip[0] == "::1" for ip in ips) else []
    beyond = [str(ip.ip) for ip in ips if ip.is_IPv4 and not str(ip.ip).startswith("127.")]
    return newer + beyond[:1]


@pytest.mark.parametrize("address", own_addresses())
def test_the_daemon_of_this_machine_needs_no_key_wherever_it_is_bound(
    address: str, host: Host
) -> None:
    """Its file says that it has none, and only our own user can have written it."""
    endpoint = f"tcp://{address}:{free_port()}"
    about = {"plugin": endpoint, "pid": os.getpid(), "curve": ""}
    (host.runtime / "0.json").write_text(json.dumps(about))
    with host.fake(endpoint=endpoint):
        heard = host.run("vst3", noise(5), offline=False, paced=True, max_block=512)
    assert status(heard) == "connected"
    assert (~heard.wrong_stems(SHARES)[-48_000:]).any()


def test_an_instance_at_rest_costs_nothing(host: Host) -> None:
    """A daemon that comes while the host is stopped: nobody reads it, nor waits for it."""
    run = host.start("vst3", noise(1), offline=False, paced=True, idle_s=4.0)
    time.sleep(1.5)
    with host.fake():
        heard = host.finish(run)
    assert heard.report["idle_cpu_s"] < 0.5


def test_a_session_can_be_chosen_by_number(host: Host) -> None:
    with host.fake(endpoint=f"ipc://{host.runtime}/plugin-3.sock"):
        heard = host.run("vst3", noise(0.5), parameters={"Session (0: any)": 3})
        assert not heard.wrong_stems(SHARES).any()
        heard = host.run("vst3", noise(0.5), parameters={"Session (0: any)": 4})
        assert status(heard) == "searching"


def test_a_daemon_that_comes_later_is_found(host: Host) -> None:
    run = host.start("vst3", noise(7), offline=False, paced=True)
    time.sleep(2)
    with host.fake():
        heard = host.finish(run)
    assert heard.parameters()["Connected"] == 1
    assert heard.null() <= 1e-6
    assert (~heard.wrong_stems(SHARES)[-48_000:]).any()
