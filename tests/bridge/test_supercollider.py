"""The class in a real sclang without a window or a sound server, with stemd's real OSC."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from pythonosc.osc_packet import OscPacket

from stemd.spec import SOURCES
from tests.sinks.support import PATIENCE_S

from .support import BRIDGE, wait_until

FOLDER = BRIDGE / "supercollider"
SCLANG = shutil.which("sclang")

# `server` is a socket of the test: a bus that is set says so to its server.
SESSION = r"""
var x = Stemd("127.0.0.1", {osc}, Server(\stub, NetAddr("127.0.0.1", {server})));
var say = {{ |what ... more| (["SAID", what] ++ more).join(" ").postln }};
x.onset(\drums, {{ |strength, count| say.(\onset, strength, count) }});
x.onset(\drums, \kick, {{ |velocity| say.(\kick, velocity) }});
x.note(\bass, {{ |note, velocity| say.(\note, note, velocity) }});
x.beat({{ say.(\beat) }});
x.knob({{ |name, value| say.(\knob, name, value) }});
x.bus(\bass, \level);
x.start;
Routine({{
	while {{ x.isAlive.not or: {{ x.state != \running }} }} {{ 0.05.wait }};
	say.(\state, x.state);
	1.0.wait;
	Stemd.sources.do {{ |source| say.(\level, source, x.get(source, \level)) }};
	say.(\count, x.get(\mix, 'onset/count'));
	say.(\tempo, x.get(\tempo));
	x.gain(\vocals, 0.5); x.mute(\drums, 1); x.threshold(\bass, 0.2);
	// the daemon tells all but who turned: nothing of this is an answer
	say.(\kept, x.get(\vocals, \gain), x.get(\drums, \mute), x.get(\bass, 'onset/threshold'));
	say.(\turned);
	x.gainDb(\bass, 6);
	while {{ (x.get(\bass, \gain) - 6.dbamp).abs > 0.001 }} {{ 0.05.wait }};
	x.gain(\bass, 1);
	while {{ x.get(\bass, \gain_db) != 0 }} {{ 0.05.wait }};
	// the test turns the next one, and reads what was turned here before that
	while {{ x.get(\other, \gain) != 0.25 }} {{ 0.05.wait }};
	x.ask;
	while {{ x.get(\vocals, \gain) != 0.5 }} {{ 0.05.wait }};
	try {{ x.gain(\drum, 1) }} {{ |error| say.(\refused, error.errorString) }};
	x.gain(\vocals, 1); x.mute(\drums, 0); x.gain(\other, 1); x.threshold(\bass, 1);
	x.free;
	say.(\done);
	0.exit;
}}).play(AppClock);
"""


@contextlib.contextmanager
def sclang(tmp_path, program):
    """Run a program; yields what it says, growing."""
    if SCLANG is None:
        pytest.skip("sclang (supercollider-language) is not installed")
    settings = tmp_path / "sclang_conf.yaml"
    settings.write_text(
        f"includePaths:\n    - {FOLDER}\nexcludePaths: []\npostInlineWarnings: false\n"
    )
    script = tmp_path / "session.scd"
    script.write_text(program)
    environ = {
        **os.environ,
        "HOME": str(tmp_path),
        "QT_QPA_PLATFORM": "offscreen",
        # Its help browser is a Chromium, which refuses to be started by root otherwise.
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
    }
    process = subprocess.Popen(
        [SCLANG, "-l", settings, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environ,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
    reader.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        process.stdin.close()
        process.stdout.close()


def said(lines, what):
    """Words that came after `what`, once for each time."""
    return [line.split()[2:] for line in list(lines) if line.startswith(f"SAID {what}")]


def until(lines, what, patience_s=60.0):
    wait_until(lambda: said(lines, what), what, patience_s=patience_s)
    return said(lines, what)


def test_it_hears_and_is_heard(speaker, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE_S)
        program = SESSION.format(osc=speaker.port, server=server.getsockname()[1])
        with sclang(tmp_path, program) as lines:
            assert until(lines, "state") == [["running"]]
            until(lines, "turned")
            assert [float(value) for value in said(lines, "kept")[0]] == [
                0.5,
                1,
                pytest.approx(0.2),
            ]
            levels = {source: float(level) for source, level in said(lines, "level")}
            assert levels == dict.fromkeys(SOURCES, pytest.approx(2 / 3, abs=1e-3))
            assert int(said(lines, "count")[0][0]) > 0
            assert float(said(lines, "tempo")[0][0]) == pytest.approx(120.5)
            wait_until(lambda: speaker.knob("gain", "vocals") == 0.5, "the gain")
            wait_until(lambda: speaker.knob("mute", "drums") == 1, "the mute")
            assert speaker.knob("onset_threshold", "bass") == pytest.approx(0.2)
            strengths = [(float(s), int(count)) for s, count in until(lines, "onset")]
            assert all(s == pytest.approx(0.62) for s, _ in strengths)
            counts = [count for _, count in strengths]
            assert counts == list(range(counts[0], counts[0] + len(counts)))
            assert all(float(v) == pytest.approx(0.8) for (v,) in until(lines, "kick"))
            assert until(lines, "beat")
            notes = {(float(n), round(float(v), 3)) for n, v in until(lines, "note")}
            assert (57.0, 0.7) in notes
            assert {n for n, _ in notes} <= {0.0, 57.0}
            assert speaker.subscriptions == 1
            speaker.turn("gain", 0.25, "other")
            until(lines, "done")
            wait_until(lambda: speaker.subscriptions == 0, "its farewell", patience_s=5.0)
            assert ["other/gain", "0.25"] in said(lines, "knob")
            assert "stem: got drum, expected one of" in " ".join(said(lines, "refused")[0])
            assert not [line for line in lines if line.startswith(("ERROR", "WARNING: stemd"))]
        set_to = [
            message.message.params
            for message in OscPacket(server.recv(2048)).messages
            if message.message.address == "/c_set"
        ]
        assert set_to
        assert all(isinstance(index, int) for index, _ in set_to)


ALL_STOPPED = r"""
x = Stemd("127.0.0.1", {osc}).start;
Routine({{
	while {{ x.isAlive.not }} {{ 0.05.wait }};
	"SAID alive".postln;
	CmdPeriod.run;
}}).play(AppClock);
"""


@pytest.mark.slow
def test_it_goes_on_when_everything_is_stopped(speaker, tmp_path):
    """Ctrl-. ends all routines; a subscription that nobody renews ends after ten seconds."""
    with sclang(tmp_path, ALL_STOPPED.format(osc=speaker.port)) as lines:
        until(lines, "alive")
        time.sleep(12.0)
        assert speaker.subscriptions == 1


def test_the_example_is_understood(tmp_path):
    """Each block of stemd.scd compiles; nothing of it is run."""
    program = "".join(
        f'"SAID block %".format(thisProcess.interpreter.compile({quoted(block)}).notNil).postln;\n'
        for block in blocks()
    )
    with sclang(tmp_path, program + "0.exit;\n") as lines:
        wait_until(lambda: len(said(lines, "block")) == len(blocks()), "all", patience_s=60.0)
        assert said(lines, "block") == [["true"]] * len(blocks()), "".join(lines)


def blocks():
    """What a person evaluates at once: a parenthesis over lines, or a line."""
    code = (FOLDER / "stemd.scd").read_text("utf-8")
    found = re.findall(r"^\(\n.*?^\)$|^[^\s/(].*;", code, re.M | re.S)
    return [line for block in found for line in ([block] if block[0] == "(" else block.split("\n"))]


def quoted(code):
    return '"' + code.replace("\\", "\\\\").replace('"', '\\"') + '"'
