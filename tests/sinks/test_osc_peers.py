"""OSC between stemd and programs of others."""

import contextlib
import ctypes
import ctypes.util
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest
from pythonosc.osc_message import OscMessage

from stemd.sinks.osc import OscSink
from stemd.wire import osc

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


class Immediately(ctypes.Structure):
    """liblo's time tag, as a value."""

    _fields_ = (("sec", ctypes.c_uint32), ("frac", ctypes.c_uint32))


@pytest.fixture
def liblo():
    name = ctypes.util.find_library("lo")
    if name is None:
        pytest.skip("liblo is not installed")
    lib = ctypes.CDLL(name)
    for made in ("lo_message_new", "lo_bundle_new", "lo_message_serialise", "lo_bundle_serialise"):
        getattr(lib, made).restype = ctypes.c_void_p
    lib.lo_bundle_new.argtypes = [Immediately]
    lib.lo_message_add_float.argtypes = [ctypes.c_void_p, ctypes.c_float]
    lib.lo_message_add_int32.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    lib.lo_message_add_string.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.lo_bundle_add_message.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    lib.lo_message_serialise.argtypes = [ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_void_p] * 2]
    lib.lo_bundle_serialise.argtypes = [ctypes.c_void_p] * 3
    return lib


def lo_message(lib, values):
    message = lib.lo_message_new()
    adds = {
        int: lib.lo_message_add_int32,
        float: lib.lo_message_add_float,
        str: lambda m, text: lib.lo_message_add_string(m, text.encode()),
    }
    for value in values:
        adds[type(value)](message, value)
    return message


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("/stemd/vocals/gain", (0.5,)),
        ("/stemd/subscribe", ("/stemd/*/level", 60.0, 10.0, 9005)),
        ("/stemd/subscribed", (2**31 - 1, "/stemd", 1.5)),
        ("/a", ("", "abc", "abcd", -1)),
        ("/stemd/shutdown", ()),
    ],
)
def test_liblo_writes_our_messages(liblo, address, values):
    size = ctypes.c_size_t()
    made = liblo.lo_message_serialise(
        lo_message(liblo, values), address.encode(), None, ctypes.byref(size)
    )
    assert ctypes.string_at(made, size.value) == osc.message(address, *values)


def test_liblo_writes_our_bundles(liblo, stage):
    """Every packet of a tick, byte for byte, from what is in it."""
    stage.write(make_hop(0, rms=0.1, peak=0.5, f0_hz=220, onset=1, onset_count=7, note=60, kick=1))
    stage.tick(1.0)
    assert len(stage.packets) > 5
    for packet in stage.packets:
        bundle = liblo.lo_bundle_new(Immediately(0, 1))
        for data in osc.messages(packet):
            message = OscMessage(data)
            liblo.lo_bundle_add_message(
                bundle, message.address.encode(), lo_message(liblo, message.params)
            )
        size = ctypes.c_size_t()
        made = liblo.lo_bundle_serialise(bundle, None, ctypes.byref(size))
        assert ctypes.string_at(made, size.value) == packet


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
