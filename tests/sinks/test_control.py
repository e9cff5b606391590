"""The control socket against well- and ill-behaved peers."""

import contextlib
import json
import socket
import sys
import time

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemd.desk import Desk, Operations
from stemd.errors import DeviceError, ProtocolError
from stemd.sinks.control import BURST, ControlServer
from stemd.status import Command, Status
from stemd.wire.control import Request

from .support import wait_until

LISTING = [{"name": "Card", "channels": 2}]
PROBE = (sys.executable, "-c", f"import json; print(json.dumps({LISTING!r}))")


class Office:
    """Status, desk and control server in this thread, and one peer."""

    def __init__(self, host="127.0.0.1", probe=PROBE):
        self.status = Status.create(2)
        self.desk = Desk(self.status, ("main", "two"))
        self.operations = Operations(self.status, self.desk, lambda: {"proto": 1}, probe)
        self.context = zmq.Context()
        self.server = ControlServer(self.context, host, 0, self.operations.answer)
        self.peer = self.join(zmq.DEALER, host)

    def join(self, kind, host="127.0.0.1"):
        peer = self.context.socket(kind)
        peer.setsockopt(zmq.LINGER, 0)
        peer.connect(f"tcp://{host}:{self.server.port}")
        return peer

    def hear(self, peer):
        def service():
            self.server.service()
            peer.poll(5)

        wait_until(lambda: peer.poll(0), "a reply", service)
        return json.loads(peer.recv_multipart()[-1])

    def ask(self, peer=None, **request):
        peer = peer or self.peer
        peer.send(json.dumps(request).encode())
        return self.hear(peer)

    def close(self):
        self.server.close()
        self.operations.close()
        self.context.destroy(linger=0)
        self.status.close()


@pytest.fixture
def office():
    one = Office()
    yield one
    one.close()


def test_a_request_is_answered_with_its_id(office):
    assert office.ask(op="hello", id="a") == {"ok": True, "op": "hello", "id": "a", "proto": 1}
    before = time.monotonic_ns()
    reply = office.ask(op="ping", id=2)
    assert before < reply["t_mono_ns"] < time.monotonic_ns()


def test_req_and_dealer_peers_are_both_answered(office):
    peer = office.join(zmq.REQ)
    assert office.ask(peer, op="ping")["ok"]
    peer.close()


def test_set_reaches_the_mixer_and_get_tells(office):
    reply = office.ask(
        op="set", feed="two", stem="drums", gain_db=-20, mute=True, onset_threshold=2
    )
    assert reply["ok"]
    mixer = office.status.mixer
    assert mixer["gain"][1].tolist() == pytest.approx([1, 0.1, 1, 1])
    assert mixer["mute"].tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]
    assert mixer["onset_threshold"][1, 2] == 2
    assert mixer["rev"] == 1
    office.ask(op="set", feed="two", bypass=True)
    office.ask(op="set", paused=1, recording=True)
    assert mixer["bypass"].tolist() == [0, 1]
    assert (mixer["paused"], mixer["recording"], mixer["rev"]) == (1, 1, 3)
    state = office.ask(op="get")
    assert state["rev"] == 3
    assert state["paused"] is True
    assert state["feeds"]["two"]["bypass"] is True
    assert state["feeds"]["two"]["stems"]["drums"] == {
        "gain": pytest.approx(0.1),
        "gain_db": -20.0,
        "mute": True,
        "solo": False,
    }


def test_a_set_that_is_half_wrong_changes_nothing(office):
    reply = office.ask(op="set", stem="drums", mute=True, gain=99)
    assert reply == {
        "ok": False,
        "op": "set",
        "id": None,
        "error": "gain: got 99, expected 0 to 10",
    }
    assert office.status.mixer["rev"] == 0
    assert not office.status.mixer["mute"].any()


def test_status_is_everything_as_json(office):
    office.status.daemon["session"] = 0xFEDCBA9876543210
    office.status.separate["load"] = float("nan")
    reply = office.ask(op="status")
    assert reply["daemon"]["session"] == "fedcba9876543210"
    assert reply["separate"]["load"] is None
    assert reply["feeds"] == ["main", "two"]
    assert set(reply) >= {"state", "reason", "capture", "publish", "mixer", "t_utc_ns"}


def test_unknown_requests_get_a_sentence(office):
    reply = office.ask(op="dance", id=1)
    assert reply["ok"] is False
    assert reply["error"].startswith("op: got 'dance', expected one of hello, get, set")


def test_devices_come_from_a_child(office):
    assert office.ask(op="devices")["devices"] == LISTING
    assert office.ask(op="devices")["devices"] == LISTING


@pytest.mark.parametrize(
    ("probe", "complaint"),
    [
        ((sys.executable, "-c", "print('oops')"), "devices: got b'oops"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "devices: got b''"),
        (("/no/such/program",), "devices: got no listing process"),
    ],
)
def test_a_listing_that_fails_is_a_sentence(probe, complaint):
    office = Office(probe=probe)
    try:
        assert office.ask(op="devices")["error"].startswith(complaint)
        assert office.ask(op="ping")["ok"]
    finally:
        office.close()


def test_a_long_listing_does_not_stop_its_child(office):
    office.operations._probe_command = (
        sys.executable,
        "-c",
        "import json; print(json.dumps([{'name': 'x' * 100}] * 3000))",
    )
    assert len(office.ask(op="devices")["devices"]) == 3000


def test_other_requests_are_answered_while_devices_are_listed(office):
    # This child ends only when its input does, which is when we end it.
    office.operations._probe_command = (sys.executable, "-c", "import signal; signal.pause()")
    office.peer.send(b'{"op":"devices","id":"d"}')
    assert office.ask(op="ping", id="p")["id"] == "p"


def test_reload_is_the_daemons_to_answer(office):
    office.peer.send(b'{"op":"reload","id":5}')
    command = office.status.command

    def asked():
        office.server.service()
        return int(command["asked"]) == 1

    wait_until(asked, "the order")
    assert command["what"] == Command.RELOAD
    assert office.peer.poll(0) == 0
    assert "busy" in office.ask(op="shutdown")["error"]
    command["text"], command["ok"], command["done"] = b"profile: got 'x'", 0, 1
    assert office.hear(office.peer) == {
        "ok": False,
        "op": "reload",
        "id": 5,
        "error": "profile: got 'x'",
    }
    office.peer.send(b'{"op":"shutdown"}')
    wait_until(lambda: office.server.service() or int(command["asked"]) == 2, "the order")
    assert command["what"] == Command.SHUTDOWN
    command["text"], command["ok"], command["done"] = b"stopping", 1, 2
    # Also when the process ends at once.
    office.server.close()
    assert json.loads(office.peer.recv())["text"] == "stopping"


def own_address():
    """An address of this machine that is not loopback; nothing is sent."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_orders_from_other_machines_are_refused():
    host = own_address()
    if host is None or host.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    office = Office(host)
    try:
        for op in ("reload", "shutdown"):
            reply = office.ask(op=op)
            assert reply["error"] == f"{op}: got it from another machine, expected this one"
        assert office.status.command["asked"] == 0
        assert office.ask(op="set", stem="bass", mute=True)["ok"]
    finally:
        office.close()


def test_orders_are_taken_from_this_machine_alone():
    status = Status.create(1)
    operations = Operations(status, Desk(status, ("main",)), dict, PROBE)
    with pytest.raises(ProtocolError, match="another machine"):
        operations.answer(Request("shutdown", None, {}), local=False)
    assert callable(operations.answer(Request("shutdown", None, {}), local=True))
    status.close()


def test_a_flood_is_refused_and_others_are_served(office):
    other = office.join(zmq.DEALER)
    for _ in range(int(BURST) * 3):
        office.peer.send(b'{"op":"ping"}')
    replies = [office.hear(office.peer) for _ in range(int(BURST) * 3)]
    refused = [r for r in replies if not r["ok"]]
    assert refused[0]["error"] == "requests: got too many, expected 100/s"
    assert office.server.refused == len(refused)
    assert office.ask(other, op="ping")["ok"]
    other.close()


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_no_frames_end_the_server(office, frames):
    noise = office.join(zmq.DEALER)
    noise.send_multipart(frames)
    received = office.server.requests
    wait_until(lambda: office.server.requests > received, "the noise", office.server.service)
    noise.close()
    good = office.join(zmq.DEALER)
    assert office.ask(good, op="ping")["ok"]
    good.close()


def test_a_huge_request_costs_only_its_sender(office):
    noise = office.join(zmq.DEALER)
    noise.send(b"x" * 1_000_000)
    noise.send(b'{"op":"ping"}')
    assert office.ask(op="ping")["ok"]
    almost = office.join(zmq.DEALER)
    almost.send(b'{"op":"' + b"x" * 20_000 + b'"}')
    assert "at most 16384" in office.hear(almost)["error"]
    for peer in (noise, almost):
        peer.close()


def test_a_peer_that_never_listens_is_forgotten(office):
    silent = office.join(zmq.DEALER)
    silent.setsockopt(zmq.RCVHWM, 1)
    for _ in range(90):
        silent.send(b'{"op":"status"}')
    wait_until(lambda: office.server.requests >= 90, "the requests", office.server.service)
    assert office.ask(op="ping")["ok"]
    silent.close()


def test_a_taken_port_is_said_in_a_sentence(office):
    with pytest.raises(DeviceError, match=r"zeromq.control_port: got 127.0.0.1:\d+, which"):
        ControlServer(office.context, "127.0.0.1", office.server.port, office.operations.answer)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": "\ud800"}, "device: got no name"),  # half a character
        ({"name": "𝄞" * 120, "host_api": "𝄞" * 120}, "device: got names too long, expected 600"),
    ],
)
def test_a_device_the_daemon_could_not_read_is_refused(office, fields, complaint):
    reply = office.ask(op="device", **fields)
    assert reply["error"].startswith(complaint)
    assert office.status.command["asked"] == 0
