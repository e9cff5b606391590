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

from stemd.spec import STEMS
from tests.sinks.support import free_port

from .support import BRIDGE, wait_until

FOLDER = BRIDGE / "puredata"

# What it hears under names a patch would use; and anything said to its port as `name value` is
# sent to that name.
LISTENER = """#N canvas 0 0 400 300 10;
#X obj 10 200 netreceive -u {port};
#X obj 10 230 list;
#X obj 10 260 t l l;
#X obj 80 290 list split 1;
#X obj 10 290 list split 1;
#X obj 10 320 send;
#X obj 100 200 r stemd-in;
#X obj 100 230 print in;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
#X connect 2 1 3 0;
#X connect 2 0 4 0;
#X connect 3 0 5 1;
#X connect 4 1 5 0;
#X connect 6 0 7 0;
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
    first = 8
    for k, name in enumerate(names):
        patch += f"#X obj 200 {40 * k} r {name};\n#X obj 300 {40 * k} print {name};\n"
        patch += f"#X connect {first + 2 * k} 0 {first + 2 * k + 1} 0;\n"
    listener = tmp_path / "listener.pd"
    listener.write_text(patch)
    command = ["pd", "-nogui", "-noaudio", "-nomidi", "-stderr", "-nrt", "-noprefs"]
    command += ["-open", FOLDER / "stemd.pd", "-open", listener]
    command += ["-send", f"stemd-connect 127.0.0.1 {osc_port}"]
    process = subprocess.Popen(
        command,
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


def number(low, high):
    return lambda said: re.fullmatch(r"-?[\d.e+-]+", said) and low <= float(said) <= high


def test_every_value_has_a_name(speaker, tmp_path):
    names = {
        "stemd-state-name": "symbol running",
        **{f"stemd-{s}-level": number(0.6666, 0.6668) for s in STEMS},
        **{f"stemd-{s}-level_db": number(-20.1, -19.9) for s in STEMS},
        **{f"stemd-{s}-peak": number(0.49, 0.51) for s in STEMS},
        **{f"stemd-{s}-onset": number(0.61, 0.63) for s in STEMS},
        **{f"stemd-{s}-onset-count": number(1, 1e6) for s in STEMS},
        **{f"stemd-{s}-onset-env": number(0.0, 1.0) for s in STEMS},
        **{f"stemd-{s}-pitch": number(56.9, 57.1) for s in STEMS},
        "stemd-vocals-note": "57",
        "stemd-bass-note": "57",
        "stemd-bass-note-velocity": number(0.69, 0.71),
        "stemd-drums-kick": number(0.79, 0.81),
        "stemd-drums-snare": number(0.59, 0.61),
        "stemd-drums-hihat": number(0.39, 0.41),
        "stemd-beat": number(0.89, 0.91),
        "stemd-tempo": number(120.4, 120.6),
        "stemd-mix-onset": number(0.61, 0.63),
        "stemd-mix-level_db": number(-20.1, -19.9),
    }
    with pure_data(tmp_path, speaker.port, names) as pd:
        for name, wanted in names.items():
            pd.until(name, wanted.__eq__ if isinstance(wanted, str) else wanted, name)
        complaints = [line for line in pd.lines if COMPLAINT.search(line)]
    assert complaints == []


def test_knobs_turn_both_ways(speaker, tmp_path):
    with pure_data(tmp_path, speaker.port, ["stemd-state-name"]) as pd:
        pd.until("in", lambda v: v.startswith("vocals gain "), "the answer to what was asked")
        pd.say("stemd-vocals-gain", 0.5)
        wait_until(lambda: speaker.knob("gain", "vocals") == 0.5, "the gain")
        pd.say("stemd-drums-mute", 1)
        wait_until(lambda: speaker.knob("mute", "drums") == 1, "the mute")
        pd.say("stemd-bass-solo", 1)
        wait_until(lambda: speaker.knob("solo", "bass") == 1, "the solo")
        pd.say("stemd-record", 1)
        wait_until(lambda: speaker.knob("recording") == 1, "the recording")
        # What somebody else turned is shown, and not sent back.
        speaker.turn("gain", 0.25, "vocals")
        speaker.turn("bypass", 1)
        pd.until("in", lambda v: v == "vocals gain 0.25", "the echo")
        pd.until("in", lambda v: v == "bypass 1", "the echo of the bypass")
        speaker.turn("bypass", 0)
        pd.until("in", lambda v: v == "bypass 0", "the echo of the bypass")
        rev = speaker.desk.rev
        pd.say("stemd-panic", "bang")
        wait_until(lambda: speaker.knob("bypass") == 1, "the panic")
        assert speaker.desk.rev == rev + 1


def test_others_are_served_beside_it(speaker, tmp_path):
    """A second Pd, and liblo's oscdump on a port of its own; when they go, nobody notices."""
    if shutil.which("oscdump") is None:
        pytest.skip("oscdump (liblo-tools) is not installed")
    port = free_port(socket.SOCK_DGRAM)
    dump = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        with pure_data(tmp_path, speaker.port, ["stemd-drums-kick"]) as first:
            subscribe = ["/stemd/subscribe", "sffi", "/stemd/drums/kick", "60", "10", str(port)]
            subprocess.run(["oscsend", "127.0.0.1", str(speaker.port), *subscribe], check=True)
            other = tmp_path / "other"
            other.mkdir()
            with pure_data(other, speaker.port, ["stemd-drums-kick"]) as second:
                first.until("stemd-drums-kick", number(0.79, 0.81), "a kick")
                second.until("stemd-drums-kick", number(0.79, 0.81), "a kick")
                line = dump.stdout.readline()
                assert re.search(r"/stemd/drums/kick(/\w+)? [fi] ", line), line
            dump.kill()
            n = len(first.values("stemd-drums-kick"))
            wait_until(lambda: len(first.values("stemd-drums-kick")) > n + 3, "more kicks")
    finally:
        dump.kill()
        dump.wait()
        dump.stdout.close()


def test_it_follows_a_daemon(daemon, tmp_path):
    """All the way from the demo loop."""
    names = ["mix-level_db", "drums-onset", "drums-kick", "bass-note", "tempo", "beat"]
    with pure_data(tmp_path, daemon.osc_in, [f"stemd-{name}" for name in names]) as pd:
        pd.until("in", lambda v: v == "state 2", "the state")
        pd.until("stemd-mix-level_db", number(-60.0, 0.0), "the level")
        pd.until("stemd-drums-onset", number(0.0, 1.0), "an onset")
        pd.until("stemd-drums-kick", number(0.01, 1.0), "a kick")
        pd.until("stemd-bass-note", number(20, 80), "a note of the bass")
        pd.until("stemd-tempo", number(60, 200), "a tempo")
        pd.until("stemd-beat", number(0.0, 1.0), "a beat")


def test_it_waits_for_a_daemon(tmp_path):
    """Nobody answers: it says so, tries again and complains in its own words only."""
    nobody = free_port(socket.SOCK_DGRAM)
    with pure_data(tmp_path, nobody, ["stemd-state-name"]) as pd:
        pd.until("stemd-state-name", lambda v: v == "symbol no_daemon", "the verdict")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(("127.0.0.1", nobody))
            late.settimeout(20)
            assert late.recvfrom(2048)[0].startswith(b"/stemd/subscribe\0")
