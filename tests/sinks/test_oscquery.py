"""OSCQuery as browsers see it: attribute names and codes of the proposal, over a real socket."""

import contextlib
import http.client
import json
import socket
import threading

import pytest

from stemd.errors import DeviceError
from stemd.sinks.http_server import MAX_CONNECTIONS, HttpServer
from stemd.spec import FEATURES
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
    assert not known["LISTEN"]


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
