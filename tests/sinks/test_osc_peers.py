"""OSC between stemd and programs of others."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from stemd.sinks.osc import OscSink

from .osc_support import FACTS, make_sink
from .support import SPEC, free_port, make_hop, wait_until


@contextlib.contextmanager
def running(command, **more):
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def talk(desk, port, lines, wanted):
    """Publish hops until the receiver has printed all that is wanted."""
    sink = OscSink(SPEC, ("main",), desk, lambda: FACTS, [("127.0.0.1", port)], None)
    said = []
    reader = threading.Thread(target=lambda: said.extend(lines), daemon=True)
    reader.start()
    k = 0

    def speak():
        nonlocal k
        sink.write(
            make_hop(k, rms=0.1, peak=0.5, f0_hz=220, voicing=1, onset=k % 20 == 0, onset_count=7)
        )
        sink.service()
        k += 1
        reader.join(SPEC.hop_s)

    wait_until(lambda: all(any(w(line) for line in list(said)) for w in wanted), "all of it", speak)
    sink.close()
    return said


def test_oscdump_reads_us(desk):
    if shutil.which("oscdump") is None:
        pytest.skip("oscdump (liblo-tools) is not installed")
    port = free_port(socket.SOCK_DGRAM)
    with running(["oscdump", "-L", str(port)]) as child:
        said = talk(
            desk,
            port,
            child.stdout,
            [
                lambda line: "/stemd/vocals/level f 0.666667" in line,
                lambda line: "/stemd/mix/pitch f 57.0" in line,
                lambda line: "/stemd/drums/onset/count i 7" in line,
                lambda line: "/stemd/drums/onset/age_ms f " in line,
                lambda line: "/stemd/state i 2" in line,
            ],
        )
    assert all(re.search(r"/stemd/\S+ [fi] \S+$", line) for line in said)


PATCH = """#N canvas 0 0 400 300 10;
#X obj 10 10 netreceive -u -b {port};
#X obj 10 40 oscparse;
#X obj 10 70 print osc;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
"""


def test_pure_data_reads_us(desk, tmp_path):
    if shutil.which("pd") is None:
        pytest.skip("Pure Data is not installed")
    port = free_port(socket.SOCK_DGRAM)
    patch = tmp_path / "osc.pd"
    patch.write_text(PATCH.format(port=port))
    options = ["-nogui", "-noaudio", "-nomidi", "-stderr", "-nrt", "-noprefs"]
    environ = {**os.environ, "HOME": str(tmp_path)}
    with running(["pd", *options, "-open", str(patch)], env=environ) as child:
        talk(
            desk,
            port,
            child.stdout,
            [
                lambda line: "osc: list stemd vocals level 0.666667" in line,
                lambda line: "osc: list stemd bass pitch_hz 220" in line,
                lambda line: "osc: list stemd drums onset count 7" in line,
                lambda line: "osc: list stemd state 2" in line,
            ],
        )


def test_oscsend_turns_our_knobs(desk, status):
    if shutil.which("oscsend") is None:
        pytest.skip("oscsend (liblo-tools) is not installed")
    sink = make_sink(desk)
    subprocess.run(["oscsend", "127.0.0.1", str(sink.port), "/stemd/vocals/mute", "T"], check=True)
    wait_until(lambda: status.mixer["mute"][0, 0] == 1, "the mute", sink.service)
    sink.close()
