"""OSC out as real receivers hear it, and OSC in from well- and ill-behaved senders."""

import contextlib
import math
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage
from pythonosc.osc_packet import OscPacket

from stemd.desk import Desk
from stemd.errors import DeviceError
from stemd.sinks.osc import OscLevels, OscSender, OscSink, Vitals
from stemd.sinks.osc_mixer import OscInlet
from stemd.spec import FEATURES, SOURCES, StreamSpec
from stemd.status import Status
from stemd.wire import osc

from .support import PATIENCE_S, SPEC, free_port, make_hop, wait_until

TWO_FEEDS = StreamSpec.of("live", 48_000, n_feeds=2)
FACTS = Vitals(state=2, load=0.25, xruns=3, lost=480, late=5)


class Catcher(OscSender):
    """Has no sockets: packets as they would have left."""

    def __init__(self):
        super().__init__([])
        self.packets = []

    def send(self, packet):
        self.packets.append(bytes(packet))

    def take(self):
        """Address and value of everything since the last call."""
        messages = [m.message for p in self.packets for m in OscPacket(p).messages]
        self.packets.clear()
        return {m.address: m.params[0] for m in messages}


@pytest.fixture
def catcher():
    return Catcher()


@pytest.fixture
def levels(catcher):
    return OscLevels(SPEC, ("main",), "/stemd", catcher)


@pytest.fixture
def ear():
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(PATIENCE_S)
        yield one


@pytest.fixture
def status():
    one = Status.create(2)
    yield one
    one.close()


@pytest.fixture
def desk(status):
    return Desk(status, ("main", "two"))


def make_sink(desk, ear=None, listen=("127.0.0.1", 0), vitals=lambda: FACTS, **more):
    targets = [ear.getsockname()] if ear else []
    return OscSink(TWO_FEEDS, ("main", "two"), desk, vitals, targets, listen, **more)


# -- out ------------------------------------------------------------------------------------------


def test_levels_say_what_the_features_say(levels, catcher):
    levels.write(make_hop(0, rms=0.1, peak=0.5, f0_hz=220.0, voicing=0.9))
    levels.tick(1.0)
    said = catcher.take()
    assert said["/stemd/vocals/level"] == pytest.approx(1 - 20 / 60, abs=1e-6)
    assert said["/stemd/vocals/level_db"] == pytest.approx(-20.0, abs=1e-4)
    assert said["/stemd/mix/peak"] == 0.5
    assert said["/stemd/bass/pitch"] == pytest.approx(57.0, abs=1e-4)  # A3
    assert said["/stemd/bass/pitch_hz"] == 220.0
    assert said["/stemd/other/pitch_conf"] == pytest.approx(0.9)
    assert {a.split("/")[2] for a in said} == set(SOURCES)


def test_silence_stays_on_the_scale(levels, catcher):
    levels.write(make_hop(0))
    levels.tick(1.0)
    said = catcher.take()
    assert said["/stemd/drums/level"] == 0.0
    assert said["/stemd/drums/level_db"] == -120.0
    assert "/stemd/drums/pitch" not in said


def test_the_peak_is_the_highest_since_the_last_tick(levels, catcher):
    for peak in (0.2, 0.9, 0.1):
        levels.write(make_hop(0, peak=peak))
    levels.tick(1.0)
    assert catcher.take()["/stemd/mix/peak"] == pytest.approx(0.9)
    levels.write(make_hop(0, peak=0.1))
    levels.tick(1.1)
    assert catcher.take()["/stemd/mix/peak"] == pytest.approx(0.1)


def test_only_changes_are_sent_until_a_quarter_second_passed(levels, catcher):
    hop = make_hop(0, rms=0.1, peak=0.5)
    levels.write(hop)
    levels.tick(1.0)
    everything = set(catcher.take())
    levels.write(hop)
    levels.tick(1.02)
    assert catcher.take() == {}
    hop["features"][0, 2, FEATURES.index("rms")] = 0.2
    levels.write(hop)
    levels.tick(1.04)
    assert set(catcher.take()) == {"/stemd/drums/level", "/stemd/drums/level_db"}
    levels.write(hop)
    levels.tick(1.26)
    again = set(catcher.take())
    assert again | {"/stemd/drums/level", "/stemd/drums/level_db"} == {
        a for a in everything if not a.endswith("count")
    }


def test_the_pitch_holds_while_unvoiced(levels, catcher):
    levels.write(make_hop(0, f0_hz=220.0, voicing=0.9))
    levels.tick(1.0)
    catcher.take()
    levels.write(make_hop(1, f0_hz=0.0, voicing=0.1))
    levels.tick(2.0)
    said = catcher.take()
    assert said["/stemd/vocals/pitch_conf"] == pytest.approx(0.1)
    assert not [a for a in said if a.endswith(("/pitch", "/pitch_hz"))]


def test_an_onset_leaves_at_once_in_its_own_packet(levels, catcher):
    hop = make_hop(0, rms=0.1)
    hop["features"][0, 2, FEATURES.index("onset")] = 1.0
    hop["features"][0, 2, FEATURES.index("onset_strength")] = 0.75
    hop["features"][0, 2, FEATURES.index("onset_count")] = 12
    hop["features"][0, 2, FEATURES.index("onset_offset")] = -224
    before = (time.monotonic_ns() - int(hop["t_arrival_ns"])) * 1e-6
    levels.write(hop)
    after = (time.monotonic_ns() - int(hop["t_arrival_ns"])) * 1e-6
    assert len(catcher.packets) == 1
    said = catcher.take()
    age = said.pop("/stemd/drums/onset/age_ms")
    assert said == {"/stemd/drums/onset": 0.75, "/stemd/drums/onset/count": 12}
    # One hop and 224 samples before the hop had arrived: 10 ms, and what went by since.
    assert 10.0 + before <= age <= 10.0 + after + 1e-3
    levels.tick(1.0)
    assert catcher.take()["/stemd/drums/onset/env"] == 0.75


def test_the_envelope_halves_in_a_tenth_of_a_second(levels, catcher):
    levels.write(make_hop(0, onset=1.0, onset_strength=1.0))
    for k in range(round(0.1 / SPEC.hop_s)):
        levels.write(make_hop(k + 1))
    levels.tick(1.0)
    assert catcher.take()["/stemd/bass/onset/env"] == pytest.approx(0.5, abs=0.02)


def test_counts_are_repeated_each_second(levels, catcher):
    levels.write(make_hop(0, onset=1.0, onset_count=7))
    levels.tick(1.0)
    catcher.take()
    levels.tick(1.5)
    assert not [a for a in catcher.take() if a.endswith("count")]
    levels.tick(2.1)
    assert catcher.take()["/stemd/vocals/onset/count"] == 7


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_but_finite_numbers_leaves(levels, catcher, bad):
    hop = make_hop(0)
    hop["features"][:] = bad
    hop["features"][..., FEATURES.index("onset")] = 1.0
    levels.write(hop)
    levels.tick(1.0)
    said = catcher.take()
    assert said
    assert all(math.isfinite(v) for v in said.values())


def test_nothing_is_said_before_there_is_something_to_say(levels, catcher):
    levels.tick(1.0)
    assert catcher.packets == []


def test_every_address_carries_one_number_in_packets_that_fit(catcher):
    two = OscLevels(TWO_FEEDS, ("main", "two"), "/a/rather/long/prefix", catcher)
    two.write(make_hop(0, TWO_FEEDS, rms=0.1, peak=0.2, f0_hz=99, voicing=1, onset=1))
    two.tick(1.0)
    assert max(map(len, catcher.packets)) <= 1400
    addresses = []
    for packet in catcher.packets:
        for message in osc.messages(packet):
            parsed = OscMessage(message)
            addresses.append(parsed.address)
            assert re.search(rb",[fi]\0\0....$", message, re.S), parsed.address
    assert "/a/rather/long/prefix/vocals/level" in addresses
    assert "/a/rather/long/prefix/two/vocals/level" in addresses
    assert len(set(addresses)) == 2 * 5 * 10


def test_an_endless_prefix_ends(catcher):
    levels = OscLevels(SPEC, ("main",), "/x" * 1000, catcher)
    levels.write(make_hop(0, onset=1))
    levels.tick(1.0)
    assert catcher.take() == {}


def hear(ear):
    return {m.message.address: m.message.params for m in OscPacket(ear.recv(2000)).messages}


def test_vitals_come_at_once_and_on_change(desk, ear):
    facts = [FACTS]
    sink = make_sink(desk, ear, vitals=lambda: facts[0])
    sink.service()
    said = hear(ear)
    assert said.pop("/stemd/alive") == [0]
    assert said == {
        "/stemd/state": [2],
        "/stemd/latency_ms": [0.0],
        "/stemd/load": [0.25],
        "/stemd/xruns": [3],
        "/stemd/lost": [480],
        "/stemd/late": [5],
    }
    facts[0] = Vitals(state=4, load=math.nan, xruns=3, lost=2**40, late=5)
    sink.service()
    said = hear(ear)
    assert (said["/stemd/state"], said["/stemd/load"]) == ([4], [0.0])
    assert said["/stemd/lost"] == [2**31 - 1]
    sink.close()
    assert hear(ear) == {"/stemd/state": [0]}


def test_latency_is_the_streams_and_what_came_on_top(desk, ear):
    sink = make_sink(desk, ear)
    hop = make_hop(0, TWO_FEEDS)
    sink.write(hop)
    most = (time.monotonic_ns() - int(hop["t_arrival_ns"])) * 1e-6
    sink.service()
    (latency,) = hear(ear)["/stemd/latency_ms"]
    sink.close()
    assert 512 / 48 <= latency <= 512 / 48 + most + 1e-3


def test_a_target_that_does_not_exist_costs_nothing_but_a_sentence():
    sender = OscSender(
        [("no.such.host.invalid", 9000), ("127.0.0.1", free_port(socket.SOCK_DGRAM))]
    )
    assert len(sender.unresolved) == 1
    assert sender.unresolved[0].startswith("osc.targets: got no.such.host.invalid:9000 (")
    for _ in range(3):
        sender.send(osc.message("/x"))  # nobody listens there
    assert (sender.sent, sender.errors) == (3, 0)
    sender.send(b"x" * 100_000)  # no datagram is so long
    assert (sender.sent, sender.errors) == (3, 1)
    sender.close()


# -- in -------------------------------------------------------------------------------------------


@pytest.fixture
def inlet(desk):
    one = OscInlet(("127.0.0.1", 0), "/stemd", ("main", "two"), desk, lambda: (2, 0.25, 3, 480, 5))
    yield one
    one.close()


@pytest.fixture
def say(inlet, ear):
    """Send messages from `ear`, and return what comes back until a pong does."""

    def say(*packets):
        for packet in (*packets, osc.message("/stemd/ping", 77)):
            ear.sendto(packet, ("127.0.0.1", inlet.port))
        expected = inlet.received + len(packets) + 1
        wait_until(lambda: inlet.received >= expected, "the packets", inlet.service)
        replies = []
        while True:
            reply = OscMessage(ear.recv(4000))
            if reply.address == "/stemd/pong":
                assert reply.params == [77]
                return replies
            replies.append((reply.address, reply.params))

    return say


def test_knobs_turn(say, status):
    replies = say(
        osc.message("/stemd/vocals/gain", 0.5),
        osc.message("/stemd/two/bass/mute", 1),
        osc.message("/stemd/drums/solo", 1.0),
        osc.message("/stemd/other/gain_db", -20),
        osc.message("/stemd/mix/onset/threshold", 0.3),
        osc.message("/stemd/two/bypass", 1),
        osc.message("/stemd/paused", 1),
        osc.message("/stemd/record", 1),
    )
    assert replies == []
    mixer = status.mixer
    assert mixer["gain"][0].tolist() == pytest.approx([0.5, 1, 1, 0.1])
    assert mixer["mute"].tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]
    assert mixer["solo"].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    assert mixer["onset_threshold"][0, 0] == pytest.approx(0.3)
    assert mixer["bypass"].tolist() == [0, 1]
    assert (mixer["paused"], mixer["recording"]) == (1, 1)


@pytest.mark.parametrize(
    ("data", "gain"),
    [
        (b",f\0\0" + struct.pack(">f", 0.25), 0.25),
        (b",d\0\0" + struct.pack(">d", 0.25), 0.25),
        (b",i\0\0" + struct.pack(">i", 0), 0.0),
        (b",h\0\0" + struct.pack(">q", 0), 0.0),
        (b",T\0\0", 1.0),
        (b",F\0\0", 0.0),
        (b",f\0\0" + struct.pack(">f", 127.0), 1.0),  # a MIDI habit must not blow up the system
        (b",f\0\0" + struct.pack(">f", -3.0), 0.0),
    ],
)
def test_any_number_type_does_and_is_clamped(say, status, data, gain):
    status.mixer["gain"] = 0.5
    say(osc.string("/stemd/bass/gain") + data)
    assert status.mixer["gain"][0, 2] == gain


def test_decibels_are_clamped_too(say, status):
    say(osc.message("/stemd/bass/gain_db", 99.0), osc.message("/stemd/drums/gain_db", -999.0))
    assert status.mixer["gain"][0].tolist() == [1, 0, 10, 1]


def test_patterns_reach_every_match(say, status):
    say(osc.message("/stemd/*/mute", 1), osc.message("/stemd/two/{bass,drums}/solo", 1))
    assert status.mixer["mute"].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert status.mixer["solo"].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]


def test_a_flood_of_patterns_is_refused(inlet, status):
    wild = osc.message("/stemd/{vocals,*a*b*c*d*}/mu[s-t]e", 1)
    packet = osc.BUNDLE_HEAD + (struct.pack(">i", len(wild)) + wild) * 100
    inlet.take(packet, ("127.0.0.1", 9))
    assert status.mixer["rev"] == 16
    assert inlet.errors == 1


def test_an_empty_message_asks(say, status):
    status.mixer["gain"][0, 0] = 0.5
    assert say(osc.message("/stemd/vocals/gain"), osc.message("/stemd/vocals/mute")) == [
        ("/stemd/vocals/gain", [0.5]),
        ("/stemd/vocals/mute", [0]),
    ]
    assert len(say(osc.message("/stemd/*/solo"))) == 4


def test_status_and_panic(say, status):
    assert say(osc.message("/stemd/status")) == [("/stemd/status.reply", [2, 0.25, 3, 480, 5])]
    say(osc.message("/stemd/panic"))
    assert status.mixer["bypass"].tolist() == [1, 1]


def test_bundles_work_and_time_tags_never_wait(say, status):
    inner = osc.message("/stemd/bass/mute", 1)
    tomorrow = struct.pack(">II", int(time.time()) + 2_208_988_800 + 86_400, 0)
    say(b"#bundle\0" + tomorrow + struct.pack(">i", len(inner)) + inner)
    assert status.mixer["mute"][0, 2] == 1


@pytest.mark.parametrize(
    ("packet", "where"),
    [
        (osc.message("/stemd/piano/gain", 1), "/stemd/piano/gain"),
        (osc.message("/other/thing"), "/other/thing"),
        (osc.message("/stemd/vocals/gain", "loud"), "argument"),
        (osc.message("/stemd/vocals/gain", math.nan), "argument"),
        (osc.message("/stemd/ping", math.inf), "argument"),
        (osc.message("/nothing/*", 1), "/nothing/*"),
        (osc.BUNDLE_HEAD + struct.pack(">i", -4) + bytes(8), "osc"),
        (osc.string("/stemd/vocals/mute") + osc.string(",x"), "osc"),
        (osc.string("/stemd/vocals/mute") + osc.string("," + "[" * 3000 + "]" * 3000), "osc"),
        (b"no address", "osc"),
    ],
)
def test_mistakes_are_answered_and_change_nothing(say, status, inlet, packet, where):
    before = status.mixer.copy()
    ((address, (place, why)),) = say(packet)
    assert (address, place) == ("/stemd/error", where)
    assert "got" in why
    assert inlet.errors == 1
    assert status.mixer == before


def test_a_flood_of_mistakes_gets_few_answers(say, inlet):
    start = time.monotonic()
    replies = say(*[b"nonsense"] * 60)
    earned = (time.monotonic() - start) * 5
    assert 5 <= len(replies) <= 5 + earned + 1
    assert inlet.errors == 60


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=120) | st.binary(max_size=80).map(lambda b: b"#bundle\0" + b))
def test_no_bytes_end_the_inlet(inlet, packet):
    inlet.take(packet, ("127.0.0.1", 9))


tags = st.text(",ifsbhtdSrTFNIm[]x", max_size=6).map(lambda t: osc.string("," + t))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["/stemd/vocals/gain", "/stemd/*/mute", "/stemd/ping"]),
    tags,
    st.binary(max_size=40),
)
def test_no_arguments_end_the_inlet(inlet, status, address, types, data):
    inlet._patterns = 0  # as between hops
    inlet.take(osc.string(address) + types + data, ("127.0.0.1", 9))
    gains = status.mixer["gain"]
    assert np.isfinite(gains).all()
    assert (gains >= 0).all()
    assert (gains <= 1).all()


def test_changes_are_echoed_to_the_targets(desk, ear):
    sink = make_sink(desk, ear, vitals=lambda: FACTS)
    sink.service()
    hear(ear)  # vitals
    sink._inlet.take(osc.message("/stemd/bass/gain", 0.5), ("127.0.0.1", 9))
    sink.service()
    said = hear(ear)
    assert said["/stemd/bass/gain"] == [0.5]
    assert said["/stemd/bass/gain_db"] == [pytest.approx(-6.02, abs=0.01)]
    assert len(said) == 2
    # Saying the same again is no change: controllers that answer an echo cause no loop.
    sink._inlet.take(osc.message("/stemd/bass/gain", 0.5), ("127.0.0.1", 9))
    sink.service()
    sink.close()
    assert hear(ear) == {"/stemd/state": [0]}


def test_a_taken_port_is_said_in_a_sentence(desk, inlet):
    with pytest.raises(DeviceError, match=r"osc.listen: got 127.0.0.1:\d+ .*expected a free port"):
        make_sink(desk, listen=("127.0.0.1", inlet.port))
    with pytest.raises(DeviceError, match=r"osc.listen: got no.such.host.invalid:9"):
        make_sink(desk, listen=("no.such.host.invalid", 9))


def test_output_alone_listens_nowhere(desk, ear):
    sink = make_sink(desk, ear, listen=None)
    assert sink.port == 0
    sink.service()
    assert "/stemd/state" in hear(ear)
    sink.close()


# -- real receivers -------------------------------------------------------------------------------


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
