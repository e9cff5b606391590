"""The relay as a browser and as a foreign page meet it, and the sketch in a real browser."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import importlib.util
import json
import re
import subprocess
import sys

import pytest

import stemd.client
from stemd.spec import FEATURES, SOURCES
from stemd.wire.messages import Features

from .browser import OFFLINE, browser
from .support import BRIDGE

FOLDER = BRIDGE / "p5"


@pytest.fixture(scope="module")
def port(daemon):
    """Of a relay that runs as its page says."""
    process = subprocess.Popen(
        [sys.executable, FOLDER / "relay.py", "--port", "0", "--control-port", str(daemon.control)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stdout.readline()
        yield int(re.fullmatch(r"open http://127\.0\.0\.1:(\d+)\n", said)[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def request(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def ask(port, method, path, value=None, **headers):
    body = None if value is None else json.dumps(value)
    with request(port, method, path, body, **headers) as answer:
        return answer.status, json.loads(answer.read())


OURS = {"Content_Type": "application/json"}


def test_pictures_stream(port):
    with request(port, "GET", "/features") as answer:
        assert answer.getheader("Content-Type") == "text/event-stream"
        seen, heard = set(), {}
        for _ in range(60):
            line = answer.readline()
            assert line.startswith(b"data: "), line
            assert answer.readline() == b"\n"
            heard = json.loads(line[6:])
            seen |= set(heard)
    assert seen == set(SOURCES)
    assert set(heard["mix"]) == set(FEATURES)


@pytest.fixture(scope="module")
def relay():
    spec = importlib.util.spec_from_file_location("relay", FOLDER / "relay.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_lasts_one_hop_is_not_missed_between_two_pictures(relay):
    assert set(FEATURES) > relay.HIGHEST
    pictures = relay.Pictures()
    for hop in range(4):
        values = dict.fromkeys(FEATURES, 0.0) | {"rms": hop, "kick": 0.7 * (hop == 1)}
        pictures.add(relay_row("drums", values))
    taken = pictures.take(0.0)["drums"]
    assert (taken["rms"], taken["kick"]) == (3.0, pytest.approx(0.7))
    pictures.add(relay_row("drums", dict.fromkeys(FEATURES, 0.0)))
    assert pictures.take(0.0)["drums"]["kick"] == 0.0
    assert pictures.take(0.0) == {}


@pytest.mark.parametrize(
    ("hops", "strength"),
    [
        ([(0, 0.1), (1, 0.8), (0, 0.0)], 0.8),
        ([(0, 0.9), (1, 0.3)], 0.3),
        ([(1, 0.3), (0, 0.9), (1, 0.5), (0, 0.2)], 0.5),
        ([(0, 0.9), (0, 0.2)], 0.2),
    ],
)
def test_an_onset_keeps_its_own_strength(relay, hops, strength):
    pictures = relay.Pictures()
    for onset, loud in hops:
        values = dict.fromkeys(FEATURES, 0.0) | {"onset": onset, "onset_strength": loud}
        pictures.add(relay_row("drums", values))
    taken = pictures.take(0.0)["drums"]
    assert taken["onset"] == max(onset for onset, _ in hops)
    assert taken["onset_strength"] == pytest.approx(strength)


def relay_row(source, values):
    import numpy as np

    row = np.array([values[name] for name in FEATURES], np.float32)
    return Features("main", source, None, row)


def test_knobs_turn(port, daemon):
    status, reply = ask(port, "POST", "/set", {"stem": "bass", "gain_db": -6.0}, **OURS)
    assert status == 200
    assert reply["feeds"]["main"]["stems"]["bass"]["gain_db"] == -6.0
    with stemd.client.connect(control_port=daemon.control) as client:
        assert client.control("get")["feeds"]["main"]["stems"]["bass"]["gain_db"] == -6.0
    status, reply = ask(port, "POST", "/set", {"stem": "bass", "gain": 99}, **OURS)
    assert (status, "gain" in reply["error"]) == (400, True)
    assert ask(port, "POST", "/set", {"stem": "bass", "gain_db": 0.0}, **OURS)[0] == 200
    assert ask(port, "GET", "/settings")[1]["feeds"]["main"]["stems"]["bass"]["gain"] == 1.0


@pytest.mark.parametrize(
    ("method", "path", "value", "headers", "status"),
    [
        ("POST", "/set", {"stem": "bass", "mute": True}, {}, 403),
        ("POST", "/set", {"mute": True}, {**OURS, "Origin": "http://elsewhere.example"}, 403),
        ("POST", "/set", {"mute": True}, {**OURS, "Host": "elsewhere.example"}, 403),
        ("GET", "/features", None, {"Host": "elsewhere.example"}, 403),
        ("POST", "/set", [1], OURS, 400),
        ("POST", "/set", {"op": "shutdown"}, OURS, 400),
        ("POST", "/set", {"timeout_s": "long"}, OURS, 400),
        ("POST", "/set", {"pad": "x" * 5000}, OURS, 403),
        ("GET", "/../python/stems.py", None, {}, 404),
        ("GET", "/relay.py", None, {}, 404),
        ("GET", "/nothing.js", None, {}, 404),
    ],
)
def test_what_is_not_ours_is_refused(port, method, path, value, headers, status):
    assert ask(port, method, path, value, **headers)[0] == status
    assert not ask(port, "GET", "/settings")[1]["feeds"]["main"]["stems"]["bass"]["mute"]


def test_the_sketch_draws_and_mutes(port, tmp_path):
    """Without a network: p5 does not load, plain.js draws."""
    with browser(tmp_path, OFFLINE) as page:
        page.open(f"http://127.0.0.1:{port}")
        page.until("document.querySelector('canvas') !== null")
        page.until("stemd.frames > 30 && stemd.alive() && stemd.get('mix', 'rms') > 0.001")
        page.until("rings.some((ring) => ring > 0)")
        page.until("stemd.settings")
        # Columns are as wide as they say: something coloured stands in the middle of the second.
        page.until(
            "(() => { const c = document.querySelector('canvas');"
            "const p = c.getContext('2d').getImageData(c.width * 3 / 8, c.height * 0.42, 1, 1);"
            "return p.data[0] > 200 && p.data[2] < 150; })()"
        )
        page.click(360, 200)
        page.until("isMuted('drums')")
        page.click(360, 200)
        page.until("!isMuted('drums')")
        assert page.complaints == []


def test_p5_is_named_with_its_digest():
    """A copy beside the page, when there is one, is what index.html promises to accept."""
    page = (FOLDER / "index.html").read_text("utf-8")
    (digest,) = re.findall(r'"sha384-([A-Za-z0-9+/]{64})"', page)
    assert len(base64.b64decode(digest)) == hashlib.sha384().digest_size
    assert re.search(r"/p5@\d+\.\d+\.\d+/", page)
