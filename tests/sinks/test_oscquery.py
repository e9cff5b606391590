"""OSCQuery as browsers see it: attribute names and codes of the proposal, over a real socket."""

import contextlib
import http.client
import json
import socket
import threading
import time
from typing import ClassVar

import pytest
import wsproto
from pythonosc.osc_message import OscMessage
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from stemd.errors import DeviceError
from stemd.sinks.http_server import MAX_CONNECTIONS, HttpServer
from stemd.sinks.osc_listen import MAX_PENDING_BYTES
from stemd.spec import FEATURES, STEMS
from stemd.wire import osc
from stemd.wire.control import Setting
from stemd.wire.directory import outgoing, settings, verbs

from .osc_support import TWO_FEEDS, make_sink
from .support import PATIENCE_S, make_hop, wait_until


@pytest.fixture
def sink(desk):
    desk.presets = {"verse": [Setting("mute", 0, 2, 1.0)]}
    one = make_sink(desk, query=("127.0.0.1", 0))
    yield one
    one.close()


@pytest.fixture
def get(sink):
    """Ask as a browser does, while the sink is serviced; returns code and parsed JSON."""

    def get(target, method="GET"):
        said = []

        def ask():
            client = http.client.HTTPConnection("127.0.0.1", sink.query_port, timeout=PATIENCE_S)
            with contextlib.closing(client):
                client.request(method, target)
                reply = client.getresponse()
                said.append((reply.status, reply.getheader("Content-Type"), reply.read()))

        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: said, "the answer", sink.service)
        thread.join()
        ((code, kind, body),) = said
        assert kind == "application/json"
        return code, json.loads(body) if body else None

    return get


def walk(node):
    yield node
    for child in node.get("CONTENTS", {}).values():
        yield from walk(child)


def test_the_host_says_where_osc_is(get, sink):
    code, host = get("/?HOST_INFO")
    assert code == 200
    assert host["OSC_PORT"] == sink.port
    assert host["OSC_TRANSPORT"] == "UDP"
    known = host["EXTENSIONS"]
    assert all(known[name] for name in ("ACCESS", "VALUE", "RANGE", "DESCRIPTION"))
    assert known["LISTEN"]


def test_the_tree_holds_every_address_with_its_facts(get, sink):
    sink.write(make_hop(0, TWO_FEEDS, **{name: 0.25 for name in FEATURES}))
    sink.service()
    _, tree = get("/")
    assert (tree["FULL_PATH"], tree["ACCESS"]) == ("/", 0)
    found = {node["FULL_PATH"]: node for node in walk(tree)}
    feeds = ("main", "two")
    table = {
        **outgoing("/stemd", feeds),
        **settings("/stemd", feeds),
        **verbs("/stemd", feeds, ["verse"]),
    }
    assert {path for path, node in found.items() if node["ACCESS"]} == set(table)
    for address, node in table.items():
        said = found[address]
        assert said["ACCESS"] == node.access
        assert said["DESCRIPTION"] == node.text
        assert said.get("TYPE", "") == node.tags
        assert len(said.get("RANGE", ())) == len(node.tags)
        if node.access & 1 and "VALUE" in said:
            (value,) = said["VALUE"]
            assert isinstance(value, int if node.tags == "i" else float), address
    # a method may also be a container
    assert "CONTENTS" in found["/stemd/vocals/onset"]
    assert found["/stemd/vocals/onset"]["VALUE"] == [0.25]
    assert found["/stemd/preset"]["RANGE"] == [{"VALS": ["verse"]}]
    assert found["/stemd/vocals/gain"]["RANGE"] == [{"MIN": 0.0, "MAX": 1.0}]
    assert found["/stemd/two/mix/onset/threshold"]["VALUE"] == [1.0]


def test_one_attribute_of_one_address(get, desk):
    desk.set([Setting("gain", 0, 3, 0.5)])
    assert get("/stemd/bass/gain?VALUE") == (200, {"VALUE": [0.5]})
    assert get("/stemd/bass/gain?TYPE") == (200, {"TYPE": "f"})
    assert get("/stemd/bass/gain?RANGE") == (200, {"RANGE": [{"MIN": 0.0, "MAX": 1.0}]})
    assert get("/stemd/bass/mute?ACCESS") == (200, {"ACCESS": 3})
    _, bass = get("/stemd/bass/")
    assert (bass["FULL_PATH"], bass["CONTENTS"]["gain"]["VALUE"]) == ("/stemd/bass", [0.5])


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/stemd/piano", 404),
        ("/stemd/bass?VALUE", 204),
        ("/stemd/preset?VALUE", 204),
        ("/stemd/bass/gain?COLOUR", 400),
        ("/stemd/%2e%2e/%2e%2e/etc/passwd", 404),
    ],
)
def test_what_is_not_there_has_the_codes_of_the_proposal(get, target, code):
    assert get(target) == (code, None)


def test_a_value_that_was_never_said_is_an_empty_object(get):
    assert get("/stemd/drums/kick?VALUE") == (200, {})


def test_only_get_is_answered(get):
    assert get("/", "POST") == (405, None)


def test_what_is_written_over_osc_is_read_over_http(get, sink):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(osc.message("/stemd/drums/kick/threshold", 2.5), ("127.0.0.1", sink.port))
    wait_until(lambda: sink.received, "the packet", sink.service)
    assert get("/stemd/drums/kick/threshold?VALUE") == (200, {"VALUE": [2.5]})


def test_rude_clients_cost_nothing(get, sink):
    """Nonsense, endless headers, silence and more connections than there are places."""
    rude = [socket.create_connection(("127.0.0.1", sink.query_port)) for _ in range(3)]
    rude[0].sendall(b"\x16\x03\x01\x02\x00" * 10 + b"\r\n\r\n")
    rude[1].sendall(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 2000)
    wait_until(lambda: sink._query.requests >= 2, "two refusals", sink.service)
    assert get("/stemd/bass/gain?TYPE") == (200, {"TYPE": "f"})
    crowd = []
    for _ in range(20):
        crowd.append(socket.create_connection(("127.0.0.1", sink.query_port)))
        sink.service()
    assert len(sink._query._connections) <= MAX_CONNECTIONS
    for one in (*rude, *crowd):
        one.close()
    wait_until(lambda: not sink._query._connections, "the end of them", sink.service)


def test_strangers_are_not_answered():
    server = HttpServer("127.0.0.1", 0, lambda target: (200, b"{}"), lambda peer: False)
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.settimeout(PATIENCE_S)
        one.sendall(b"GET / HTTP/1.1\r\n\r\n")
        server.service()
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(100) == b""
    assert server.requests == 0
    server.close()


def test_a_taken_query_port_is_said_in_a_sentence(desk, sink):
    with pytest.raises(DeviceError, match=r"osc.query_port: got 127.0.0.1:\d+ .*expected a free"):
        make_sink(desk, query=("127.0.0.1", sink.query_port))


def test_without_a_port_nobody_listens(desk):
    one = make_sink(desk)
    assert one.query_port == 0
    one.close()


@pytest.fixture
def listener(sink):
    """A WebSocket client as browsers have one, while the sink is serviced."""
    protocol = conversation = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    one = socket.create_connection(("127.0.0.1", sink.query_port), timeout=PATIENCE_S)

    class Listener:
        socket = one
        protocol = conversation
        events: ClassVar[list] = []  # not asked for yet

        def say(self, event):
            one.sendall(protocol.send(event))

        def command(self, verb, address):
            self.say(TextMessage(json.dumps({"COMMAND": verb, "DATA": address})))

        def wait(self, kind):
            """The next event of a kind."""
            one.settimeout(0.02)

            def found():
                with contextlib.suppress(TimeoutError):
                    protocol.receive_data(one.recv(65536) or None)
                    self.events += protocol.events()
                return any(isinstance(event, kind) for event in self.events)

            if not any(isinstance(event, kind) for event in self.events):
                wait_until(found, kind.__name__, sink.service)
            at = next(i for i, event in enumerate(self.events) if isinstance(event, kind))
            return self.events.pop(at)

    Listener.events = []
    yield Listener()
    one.close()


def heard(event):
    """(address, value) pairs of a binary frame."""
    return [(m.address, *m.params) for m in map(OscMessage, osc.messages(bytes(event.data)))]


def test_a_listener_hears_what_it_asked_for_as_it_changes(sink, listener, desk):
    listener.say(Request("127.0.0.1", "/"))
    listener.wait(AcceptConnection)
    listener.command("LISTEN", "/stemd/vocals/onset/count")
    listener.command("LISTEN", "/stemd/bass/gain")
    listener.command("LISTEN", "/stemd/nobody")  # passed over
    wait_until(lambda: sink._listeners.refused == 1, "the commands", sink.service)
    sink.write(make_hop(0, TWO_FEEDS, onset=1.0, onset_count=3.0))
    assert heard(listener.wait(BytesMessage)) == [("/stemd/vocals/onset/count", 3)]
    sink._mixer.service()
    desk.set([Setting("gain", 0, 3, 0.5)])
    while True:
        (said,) = heard(listener.wait(BytesMessage))
        if said[0] == "/stemd/bass/gain":  # counts are repeated each second
            break
    assert said == ("/stemd/bass/gain", 0.5)
    listener.command("IGNORE", "/stemd/vocals/onset/count")
    listener.say(CloseConnection(1000))
    listener.wait(CloseConnection)
    wait_until(lambda: not len(sink._listeners), "the end", sink.service)


def test_a_page_may_ask_for_all_it_shows_at_once(sink, listener):
    listener.say(Request("127.0.0.1", "/"))
    listener.wait(AcceptConnection)
    addresses = [f"/stemd/{s}/band/{k}" for s in STEMS for k in range(1, 9)]
    addresses += [f"/stemd/{s}/{name}" for s in STEMS for name in ("level", "peak", "lufs", "gain")]
    client = listener.protocol
    commands = [json.dumps({"COMMAND": "LISTEN", "DATA": one}) for one in addresses]
    listener.socket.sendall(b"".join(client.send(TextMessage(one)) for one in commands))
    listeners = sink._listeners
    wait_until(
        lambda: len(listeners) and len(listeners._all[0].wanted) == len(addresses),
        "all of them",
        sink.service,
    )
    assert listeners.refused == 0


@pytest.mark.parametrize(
    ("origin", "answer"),
    [
        ("https://evil.example", RejectConnection),
        ("null", RejectConnection),
        ("http://[", RejectConnection),  # no address at all
        ("http://127.0.0.1:8080", AcceptConnection),
    ],
)
def test_a_page_of_somebody_else_may_not_listen(listener, origin, answer):
    listener.say(Request("127.0.0.1", "/", extra_headers=[(b"Origin", origin.encode())]))
    listener.wait(answer)


def test_who_does_not_read_costs_a_bounded_buffer(sink, listener):
    listener.say(Request("127.0.0.1", "/"))
    listener.wait(AcceptConnection)
    for stem in ("vocals", "drums", "bass", "other"):
        listener.command("LISTEN", f"/stemd/{stem}/onset/count")
    listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    hop = make_hop(0, TWO_FEEDS, onset=1.0, onset_count=1.0)
    for k in range(100_000):
        sink.write(hop)
        if k % 50 == 0:
            sink.service()
        if sink._listeners.dropped:
            break
    assert sink._listeners.dropped
    assert all(len(one.left) <= MAX_PENDING_BYTES + 64 for one in sink._listeners._all)


def test_who_pings_and_does_not_read_costs_a_bounded_buffer(sink):
    # Not TCP: it stalls by itself when one side reads nothing.
    server, client = socket.socketpair()
    server.setblocking(False)
    client.settimeout(PATIENCE_S)
    protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    listeners, most = sink._listeners, 0
    with contextlib.closing(client):
        listeners.take(server, protocol.send(Request("127.0.0.1", "/")))
        listeners.service()
        protocol.receive_data(client.recv(4096))
        assert isinstance(next(protocol.events()), AcceptConnection)
        for _ in range(10_000):
            client.sendall(protocol.send(Ping(b"x" * 125)))
            listeners.service()
            if not len(listeners):
                break
            most = max(most, len(listeners._all[0].left))
    assert 0 < most <= MAX_PENDING_BYTES + 128
    assert not len(listeners)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff" * 40,
        b"\x81\x85\0\0\0\0hello",
        b"\x81\xfe\x20\x00\0\0\0\0" + b"x" * 8192,
        b"\x82\x80",
    ],
)
def test_nonsense_ends_or_is_counted(sink, listener, nonsense):
    listener.say(Request("127.0.0.1", "/"))
    listener.wait(AcceptConnection)
    listener.socket.sendall(nonsense)
    listeners = sink._listeners
    for _ in range(50):
        sink.service()
        time.sleep(0.002)
    assert listeners.refused or not len(listeners) or nonsense == b"\x82\x80"
    assert len(listeners) <= 1


def test_a_header_beyond_ascii_ends_the_connection(sink, listener):
    listener.socket.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Extensions: \xff\r\n\r\n"
    )
    wait_until(lambda: sink._listeners.refused == 1, "the refusal", sink.service)
    wait_until(lambda: not len(sink._listeners), "the end", sink.service)


@pytest.mark.parametrize("address", [[], {}, ["/stemd/state"], 1, None])
def test_what_is_no_address_is_refused_and_the_next_is_heard(sink, listener, address):
    listener.say(Request("127.0.0.1", "/"))
    listener.wait(AcceptConnection)
    listener.command("LISTEN", address)
    wait_until(lambda: sink._listeners.refused == 1, "the refusal", sink.service)
    listener.command("LISTEN", "/stemd/vocals/onset/count")
    wait_until(lambda: sink._listeners.outlets, "the next", sink.service)
