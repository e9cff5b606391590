"""The publish process itself, fed through an outbox as `separate` would."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import zmq

import stemd.client
import stemd.wire
from stemd.config import Config, DatagramsConfig, FeedConfig, MixerConfig, OscConfig, ZeroMQConfig
from stemd.errors import EXIT_DEVICE, EXIT_OK, StemdError
from stemd.outbox import Outbox
from stemd.ring import Ring
from stemd.roles import publish
from stemd.roles.links import Links
from stemd.shared import text
from stemd.status import Command, State, Status
from stemd.wire import osc
from tests.sinks.osc_support import hear
from tests.sinks.support import PATIENCE_S, fill_hop, free_port, free_ports, wait_until

SPAWN = multiprocessing.get_context("spawn")


class Stage:
    """What the daemon and `separate` would provide, and the process under test."""

    def __init__(self):
        self.ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ear.bind(("127.0.0.1", 0))
        self.ear.settimeout(PATIENCE_S)
        audio, features, control = free_ports(3)
        self.config = Config(
            feed=(FeedConfig("main"), FeedConfig("two")),
            zeromq=ZeroMQConfig(audio_port=audio, features_port=features, control_port=control),
            osc=OscConfig(
                targets=(f"127.0.0.1:{self.ear.getsockname()[1]}",),
                listen=f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
            ),
        )
        self.spec = self.config.spec
        self.status = Status.create(2)
        self.status.daemon["state"] = self.status.separate["state"] = State.RUNNING
        self.status.daemon["session"] = 0xABC
        self.outbox = Outbox.create(2, self.spec.hop_length, self.spec.samplerate)
        self.ring = Ring.create(1024, 2)
        self.wake = SPAWN.Semaphore(0)
        self.k = 0
        self.process = None

    def start(self, wait=True):
        links = Links(
            self.config,
            self.spec,
            self.status.handle,
            self.ring.handle,
            self.outbox.handle,
            {"publish": self.wake},
        )
        self.process = SPAWN.Process(target=publish.run, args=(links,))
        self.process.start()
        if wait:
            wait_until(lambda: self.status.publish["ready"], "publish")

    def play(self, n=1, **fields):
        """Hand on n hops."""
        for _ in range(n):
            fill_hop(self.outbox.claim(), self.k, self.spec, **fields)
            self.outbox.publish()
            self.wake.release()
            self.k += 1

    def connect(self, **arguments):
        return stemd.client.connect(control_port=self.config.zeromq.control_port, **arguments)

    def count(self, name):
        return int(self.status.publish[name])

    def close(self):
        if self.process is not None:
            self.status.publish["stop"] = 1
            self.process.join(PATIENCE_S)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
        self.ear.close()
        self.outbox.close()
        self.ring.close()
        self.status.close()


@pytest.fixture
def stage():
    one = Stage()
    yield one
    one.close()


def receive(stage, client, n, **arguments):
    """Play until n blocks have come."""
    blocks = []

    def step():
        stage.play()
        block = client.read_block(0.005)
        if block is not None:
            blocks.append(block)

    wait_until(lambda: len(blocks) >= n, f"{n} blocks", step)
    return blocks


def test_hops_come_out_of_every_door(stage):
    stage.start()
    with stage.connect(feed="two", mix=True) as client:
        block = receive(stage, client, 5)[-1]
        k = block.seq
        hop = np.zeros(1, stage.outbox._slots.dtype)[0]
        fill_hop(hop, k, stage.spec)
        np.testing.assert_array_equal(block.stems, hop["stems"][1])
        np.testing.assert_array_equal(block.mix, hop["mix"][1])
        assert (block.sample_pos, block.latency) == ((k + 1) * 256, 512)
        assert client.counters.malformed == 0
    heard = b""
    while b"/stemd/two/vocals/level" not in heard:
        stage.play()
        heard = stage.ear.recv(2000)
    wait_until(lambda: stage.count("hops") == stage.k, "the count")
    assert stage.count("sent") > 0
    assert stage.count("bytes") > 0
    assert stage.count("osc_sent") > 0
    assert stage.count("osc_errors") == 0
    assert stage.count("heartbeat_ns") > 0


def test_welcome_and_status_are_what_the_page_says(stage):
    page = (Path(stemd.wire.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
    section = page[page.index("Welcome: `") : page.index("## Control")]
    welcome, status, sections = (
        set(words.split()) for words in re.findall(r"`([^`]+)`", section)[:3]
    )
    stage.start()
    with stage.connect() as client:
        assert set(client.info) == welcome
        assert set(client.read_status(PATIENCE_S)) == status | sections


def test_clients_turn_the_mixer_both_ways(stage):
    stage.start()
    with stage.connect() as client:
        client.control("set", feed="two", stem="bass", gain=0.5)
        assert stage.status.mixer["gain"][1, 2] == 0.5
        with pytest.raises(StemdError, match="gain: got 99, expected 0 to 10"):
            client.control("set", stem="bass", gain=99)
        host, _, port = stage.config.osc.listen.partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as desk:
            desk.sendto(osc.message("/stemd/two/bass/mute", 1), (host, int(port)))
        wait_until(lambda: stage.status.mixer["mute"][1, 2], "the mute")
        assert client.control("get")["feeds"]["two"]["stems"]["bass"]["mute"] is True
        wait_until(lambda: stage.count("requests") == 4, "the count")
        assert (stage.count("refused"), stage.count("osc_received")) == (1, 1)
        heard = b""
        while b"/stemd/two/bass/mute" not in heard:
            heard = stage.ear.recv(2000)


def with_osc(stage, **more):
    """Change the stage's [osc] before it starts; returns where it listens."""
    osc_config = dataclasses.replace(stage.config.osc, **more)
    stage.config = dataclasses.replace(stage.config, osc=osc_config)
    host, _, port = osc_config.listen.partition(":")
    return host, int(port)


def test_a_subscriber_is_served_until_it_is_silent(stage):
    place = with_osc(stage, targets=())
    stage.start()
    stage.ear.sendto(osc.message("/stemd/subscribe", "/stemd/two/bass/level", 60, 1), place)
    wait_until(lambda: stage.count("osc_clients") == 1, "the subscription")
    heard = b""
    while b"/stemd/two/bass/level" not in heard:
        stage.play()
        heard = stage.ear.recv(2000)
    wait_until(lambda: stage.count("osc_clients") == 0, "its end")


def test_words_presets_and_browsers_have_their_doors(stage):
    text_port, query_port = stage.ear.getsockname()[1], free_port()
    place = with_osc(
        stage, targets=(), text_targets=(f"127.0.0.1:{text_port}",), query_port=query_port
    )
    preset = {"dark": MixerConfig(mute=("vocals",))}
    stage.config = dataclasses.replace(stage.config, preset=preset)
    stage.start()
    assert b"/stemd/startup" in stage.ear.recv(2000)
    stage.ear.sendto(osc.message("/stemd/preset", "dark"), place)
    assert stage.ear.recv(2000).startswith(b"/stemd/done")
    assert stage.status.mixer["mute"][:, 0].tolist() == [1, 1]
    url = f"http://127.0.0.1:{query_port}/stemd/two/vocals/mute?VALUE"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
        assert json.load(reply) == {"VALUE": [1]}
    with stage.connect() as client:
        assert client.control("get")["presets"] == ["dark"]
        assert client.control("preset", name="dark")["feeds"]["main"]["stems"]["vocals"]["mute"]
        client.control("tap", feed="two")
    assert stage.status.mixer["tap_count"].tolist() == [0, 1]


def test_audio_goes_on_while_somebody_holds_the_picture(stage):
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(PATIENCE_S)
        datagrams = DatagramsConfig(
            vban=(f"127.0.0.1:{ear.getsockname()[1]}",), stems=("bass",), feed="two"
        )
        stage.config = dataclasses.replace(stage.config, datagrams=datagrams)
        stage.start()
        stage.status.mixer["hold"] = 1
        with stage.connect() as client:
            assert client.control("get")["hold"] is True
        for k in range(5):
            stage.play()
            packets = [ear.recv(2048) for _ in range(2)]
            hop = np.zeros(1, stage.outbox._slots.dtype)[0]
            fill_hop(hop, k, stage.spec)
            heard = [np.frombuffer(p[28:], "<f4").reshape(-1, 2).T for p in packets]
            np.testing.assert_array_equal(np.concatenate(heard, axis=1), hop["stems"][1, 2])


def test_a_change_of_state_is_told_at_once_without_audio(stage):
    stage.start()
    with stage.connect() as client:
        assert client.read_status(PATIENCE_S)["state"] == "RUNNING"
        stage.status.separate["state"] = State.STALLED
        stage.status.separate["reason"] = b"no audio for 250 ms"
        status = wait_until(
            lambda: (s := client.read_status(PATIENCE_S))["state"] == "STALLED" and s, "the news"
        )
        assert status["reason"] == "no audio for 250 ms"


def test_hold_keeps_osc_values_and_ends_osc_notes(stage):
    stage.start()
    heard = []

    def says(address, value, times=1):
        heard.append(hear(stage.ear))
        return [m.get(address) for m in heard].count([value]) >= times

    music = {"peak": 0.5, "note": 40.0, "note_count": 1.0}
    stage.play(**music)
    wait_until(lambda: says("/stemd/bass/note", 40), "the note")
    wait_until(lambda: says("/stemd/bass/peak", 0.5), "the peak")
    stage.status.mixer["hold"] = 1
    stage.play(**music)
    wait_until(lambda: says("/stemd/bass/note", 0), "its end")
    heard.clear()
    stage.play(peak=0.25, note=45.0, note_count=2.0)
    wait_until(lambda: stage.count("hops") == 3, "the hops")
    wait_until(lambda: says("/stemd/bass/note", 0, times=2), "what is said each second")
    assert {m["/stemd/bass/note"][0] for m in heard if "/stemd/bass/note" in m} == {0}
    assert {m["/stemd/bass/peak"][0] for m in heard if "/stemd/bass/peak" in m} == {0.5}


def said(stage, reasons):
    """What publish complains of now; remembers all it ever did."""
    reasons.add(now := text(stage.status.publish["reason"]))
    return now


def test_a_taken_port_costs_only_its_own_service(stage):
    context = zmq.Context()
    squatter = context.socket(zmq.PUB)
    squatter.bind(f"tcp://127.0.0.1:{stage.config.zeromq.audio_port}")
    stage.start()
    reason = text(stage.status.publish["reason"])
    assert reason.startswith("zeromq.audio_port: got 127.0.0.1:")
    # Control and OSC work all the same.
    with stage.connect() as client:
        assert client.status()["publish"]["reason"] == reason
    assert stage.ear.recv(2000).startswith(b"#bundle")
    squatter.close(linger=0)
    context.term()
    reasons = {reason}
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not said(stage, reasons), "the port")
    assert not said(stage, reasons), reasons
    with stage.connect() as client:
        receive(stage, client, 1)


def test_a_port_taken_at_the_first_start_is_an_error(stage):
    stage.status.daemon["state"] = State.STARTING
    with contextlib.closing(socket.socket()) as squatter:
        squatter.bind(("127.0.0.1", stage.config.zeromq.control_port))
        squatter.listen()
        stage.start(wait=False)
        stage.process.join(PATIENCE_S)
    assert stage.process.exitcode == EXIT_DEVICE
    assert text(stage.status.publish["reason"]).startswith("zeromq.control_port: got 127.0.0.1:")
    assert not stage.status.publish["ready"]


def test_unknown_osc_targets_are_a_reason_not_an_end(stage):
    targets = ("no.such.host.invalid:9000", *stage.config.osc.targets)
    stage.config = dataclasses.replace(
        stage.config, osc=dataclasses.replace(stage.config.osc, targets=targets)
    )
    stage.start()
    assert "no.such.host.invalid:9000" in text(stage.status.publish["reason"])
    assert stage.ear.recv(2000).startswith(b"#bundle")


def test_a_shutdown_is_answered_before_the_end(stage):
    stage.start()
    with stage.connect() as client:
        command = stage.status.command
        reply = {}

        asking = threading.Thread(
            target=lambda: reply.update(client.control("shutdown", timeout_s=PATIENCE_S))
        )
        asking.start()
        wait_until(lambda: int(command["asked"]) == 1, "the order")
        assert command["what"] == Command.SHUTDOWN
        command["text"], command["ok"], command["done"] = b"stopping", 1, 1
        stage.status.publish["stop"] = 1
        asking.join(PATIENCE_S)
        assert reply["text"] == "stopping"
    stage.process.join(PATIENCE_S)
    assert stage.process.exitcode == EXIT_OK


def test_interrupts_are_left_to_the_daemon(stage):
    stage.start()
    os.kill(stage.process.pid, signal.SIGINT)
    with stage.connect() as client:
        assert client.control("ping")["ok"]
    assert stage.process.is_alive()


def test_it_ends_when_a_subscriber_hangs(stage):
    stage.start()
    context = zmq.Context()
    stuck = context.socket(zmq.SUB)
    stuck.setsockopt(zmq.RCVHWM, 1)
    stuck.setsockopt(zmq.LINGER, 0)
    stuck.setsockopt(zmq.SUBSCRIBE, b"")
    stuck.connect(f"tcp://127.0.0.1:{stage.config.zeromq.audio_port}")
    wait_until(lambda: stage.count("subscribers") == 1, "the subscriber")
    stage.play(500)
    wait_until(lambda: stage.count("hops") == stage.k, "the hops")
    stage.status.publish["stop"] = 1
    stage.process.join(PATIENCE_S)
    assert stage.process.exitcode == EXIT_OK
    stuck.close()
    context.term()


def test_it_ends_with_its_parent():
    script = """
import multiprocessing, os, sys
from tests.roles.test_publish import Stage
if __name__ == "__main__":
    stage = Stage()
    stage.start()
    print(stage.process.pid, flush=True)
    sys.stdin.read()
    os._exit(0)  # no farewell
"""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "parent.py"
        path.write_text(script)
        root = Path(__file__).parents[2]
        parent = subprocess.Popen(
            [sys.executable, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        pid = int(parent.stdout.readline())
        parent.stdin.close()
        parent.wait(PATIENCE_S)
        parent.stdout.close()

        def gone():
            with contextlib.suppress(FileNotFoundError):
                return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
            return True

        wait_until(gone, "the end of publish")


def test_osc_alone_needs_no_zeromq(stage):
    stage.config = dataclasses.replace(
        stage.config, zeromq=dataclasses.replace(stage.config.zeromq, enabled=False)
    )
    stage.start()
    stage.play()
    assert stage.ear.recv(2000).startswith(b"#bundle")
    assert text(stage.status.publish["reason"]) == ""
    wait_until(lambda: stage.count("hops") == 1, "the hop")
    assert json.loads(json.dumps(stage.status.snapshot()))["publish"]["subscribers"] == 0
