"""The patch in a real Pure Data without a window, with a real daemon."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

import stemd.client
from tests.sinks.support import free_port

from .support import BRIDGE, wait_until

FOLDER = BRIDGE / "puredata"

# What it hears under names a patch would use; and anything said to its port as `name value` is
# sent to that name.
LISTENER = """#N canvas 0 0 400 300 10;
#X obj 10 200 netreceive -u {port};
#X obj 10 230 list;
#X obj 10 260 list split 1;
#X obj 10 290 send;
#X obj 100 200 r stemd-in;
#X obj 100 230 print in;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
#X connect 2 0 3 1;
#X connect 2 1 3 0;
#X connect 4 0 5 0;
"""


class PureData:
    """Its console, and a way to say something to it."""

    def __init__(self, process, port):
        self.lines = []
        self._to = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._reader = threading.Thread(target=self._read, args=[process], daemon=True)
        self._reader.start()

    def _read(self, process):
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))

    def say(self, name, value):
        self._socket.sendto(f"{name} {value};\n".encode(), self._to)

    def values(self, name):
        """Everything `name` has printed."""
        found = [re.match(rf"{re.escape(name)}:? (.*)", line) for line in list(self.lines)]
        return [match[1] for match in found if match]

    def until(self, name, condition, what):
        return wait_until(lambda: [v for v in self.values(name) if condition(v)], what)

    def close(self):
        self._reader.join(5)
        self._socket.close()


@contextlib.contextmanager
def pure_data(tmp_path, osc_port, names):
    if shutil.which("pd") is None:
        pytest.skip("Pure Data is not installed")
    port = free_port(socket.SOCK_DGRAM)
    patch = LISTENER.format(port=port)
    first = 6
    for k, name in enumerate(names):
        patch += f"#X obj 200 {40 * k} r {name};\n#X obj 300 {40 * k} print {name};\n"
        patch += f"#X connect {first + 2 * k} 0 {first + 2 * k + 1} 0;\n"
    listener = tmp_path / "listener.pd"
    listener.write_text(patch)
    options = ["-nogui", "-noaudio", "-nomidi", "-stderr", "-nrt", "-noprefs"]
    process = subprocess.Popen(
        ["pd", *options, "-open", FOLDER / "stemd.pd", "-open", listener]
        + ["-send", f"stemd-connect 127.0.0.1 {osc_port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    it = PureData(process, port)
    try:
        yield it
    finally:
        process.kill()
        process.wait()
        it.close()
        process.stdout.close()


COMPLAINT = re.compile(r"error|couldn't|no such object|no method|bad arguments", re.I)


def knobs(daemon):
    with stemd.client.connect(control_port=daemon.control) as client:
        return client.control("get")["feeds"]["main"]


def number(low, high):
    return lambda said: re.fullmatch(r"-?[\d.e+-]+", said) and low <= float(said) <= high


def test_every_value_has_a_name(daemon, tmp_path):
    names = [
        "stemd-state-name",
        *(f"stemd-{s}-level" for s in ("vocals", "drums", "bass", "other")),
        *(f"stemd-{s}-peak" for s in ("vocals", "drums")),
        "stemd-drums-onset",
        "stemd-drums-onset-count",
        "stemd-mix-onset",
        "stemd-mix-level_db",
        "stemd-bass-note",
        "stemd-beat",
        "stemd-tempo",
        "stemd-drums-kick",
    ]
    with pure_data(tmp_path, daemon.osc_in, names) as pd:
        pd.until("stemd-state-name", lambda v: v == "symbol running", "the state")
        for stem in ("vocals", "drums", "bass", "other"):
            pd.until(f"stemd-{stem}-level", number(0.05, 1.0), f"the level of {stem}")
        pd.until("stemd-vocals-peak", number(0.001, 1.0), "a peak")
        pd.until("stemd-drums-onset", number(0.0, 1.0), "an onset")
        pd.until("stemd-drums-onset-count", number(1, 1e9), "its count")
        pd.until("stemd-mix-level_db", number(-60, 0), "the level of the mix")
        pd.until("stemd-mix-onset", number(0.0, 1.0), "an onset of the mix")
        pd.until("stemd-bass-note", number(20, 80), "a bass note")
        pd.until("stemd-drums-kick", number(0.01, 1.0), "a kick")
        pd.until("stemd-tempo", number(0, 400), "a tempo")
        complaints = [line for line in pd.lines if COMPLAINT.search(line)]
    assert complaints == []


def test_knobs_turn_both_ways(daemon, tmp_path):
    with pure_data(tmp_path, daemon.osc_in, ["stemd-state-name"]) as pd:
        pd.until("stemd-state-name", lambda v: v == "symbol running", "the state")
        pd.until("in", lambda v: v.startswith("vocals gain "), "the answer to what was asked")
        pd.say("stemd-vocals-gain", 0.5)
        wait_until(lambda: knobs(daemon)["stems"]["vocals"]["gain"] == 0.5, "the gain")
        pd.say("stemd-drums-mute", 1)
        wait_until(lambda: knobs(daemon)["stems"]["drums"]["mute"], "the mute")
        pd.say("stemd-bypass", 1)
        wait_until(lambda: knobs(daemon)["bypass"], "the bypass")
        # What somebody else turned is shown, and not sent back.
        with stemd.client.connect(control_port=daemon.control) as client:
            client.control("set", stem="vocals", gain=0.25)
            client.control("set", stem="drums", mute=False)
            client.control("set", bypass=False)
            pd.until("in", lambda v: v == "vocals gain 0.25", "the echo")
            pd.until("in", lambda v: v == "bypass 0", "the echo of the bypass")
            rev = client.control("get")["rev"]
            pd.say("stemd-panic", "bang")
            wait_until(lambda: client.control("get")["rev"] == rev + 1, "the panic, alone")
            client.control("set", bypass=False)
            client.control("set", stem="vocals", gain=1.0)


def test_it_waits_for_a_daemon(tmp_path):
    """Nobody answers: it says so, tries again and complains in its own words only."""
    nobody = free_port(socket.SOCK_DGRAM)
    with pure_data(tmp_path, nobody, ["stemd-state-name"]) as pd:
        pd.until("stemd-state-name", lambda v: v == "symbol no_daemon", "the verdict")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(("127.0.0.1", nobody))
            late.settimeout(20)
            assert late.recvfrom(2048)[0].startswith(b"/stemd/subscribe\0")
