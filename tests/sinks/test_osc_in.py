"""OSC in, from well- and ill-behaved senders."""

import math
import struct
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage

from stemd.errors import DeviceError, ProtocolError
from stemd.sinks.osc_inlet import Gate
from stemd.wire import osc
from stemd.wire.control import Setting

from .osc_support import FACTS, hear, make_sink
from .support import wait_until


@pytest.fixture
def sink(desk):
    one = make_sink(desk)
    yield one
    one.close()


@pytest.fixture
def inlet(sink):
    return sink._inlet


@pytest.fixture
def say(sink, ear):
    """Send messages from `ear`, and return what comes back until a pong does."""

    def say(*packets):
        for packet in (*packets, osc.message("/stemd/ping", 77)):
            ear.sendto(packet, ("127.0.0.1", sink.port))
        expected = sink.received + len(packets) + 1
        wait_until(lambda: sink.received >= expected, "the packets", sink.service)
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


def test_detectors_are_tuned(say, status):
    assert (
        say(
            osc.message("/stemd/bass/pitch/min_conf", 0.5),
            osc.message("/stemd/two/vocals/pitch/low_hz", 100.0),
            osc.message("/stemd/two/vocals/pitch/high_hz", 800.0),
            osc.message("/stemd/drums/snare/threshold", 2.0),
            osc.message("/stemd/two/tempo/low_bpm", 100),
            osc.message("/stemd/two/tempo/lock", 1),
        )
        == []
    )
    mixer = status.mixer
    assert mixer["pitch_confidence"][0].tolist() == pytest.approx([0.7, 0.7, 0.7, 0.5, 0.7])
    assert (mixer["pitch_low_hz"][1, 1], mixer["pitch_high_hz"][1, 1]) == (100.0, 800.0)
    assert mixer["drum_threshold"].tolist() == [[1, 2, 1], [1, 1, 1]]
    assert mixer["tempo_low_bpm"].tolist() == [70, 100]
    assert mixer["tempo_lock"].tolist() == [0, 1]


def test_an_end_of_a_range_takes_the_other_along(say, status):
    say(
        osc.message("/stemd/tempo/low_bpm", 200.0),
        osc.message("/stemd/vocals/pitch/high_hz", 50.0),
        osc.message("/stemd/vocals/pitch/high_hz", 1.0),  # clamped
    )
    mixer = status.mixer
    assert (mixer["tempo_low_bpm"][0], mixer["tempo_high_bpm"][0]) == (200, 200)
    assert (mixer["pitch_low_hz"][0, 1], mixer["pitch_high_hz"][0, 1]) == (20, 20)


def test_taps_are_counted_and_timed(say, status):
    before = time.monotonic_ns()
    say(
        osc.message("/stemd/two/tempo/tap"),
        osc.message("/stemd/two/tempo/tap", 1),
        osc.message("/stemd/two/tempo/tap", 0),  # the finger leaves the button
    )
    assert status.mixer["tap_count"].tolist() == [0, 2]
    assert before <= status.mixer["tap_ns"][1] <= time.monotonic_ns()
    assert status.mixer["rev"] == 2


def test_a_preset_is_recalled_by_name(say, status, desk):
    desk.presets = {"verse": [Setting("mute", 0, 2, 1.0), Setting("gain", 1, 3, 0.25)]}
    assert say(osc.message("/stemd/preset", "verse")) == [("/stemd/done", ["/stemd/preset"])]
    assert status.mixer["mute"][0].tolist() == [0, 1, 0, 0]
    assert status.mixer["gain"][1, 2] == 0.25
    ((address, (what, why)),) = say(osc.message("/stemd/preset", "chorus"))
    assert (address, what) == ("/stemd/fail", "/stemd/preset")
    assert why == "preset: got 'chorus', expected verse"
    ((address, _),) = say(osc.message("/stemd/preset", 3))
    assert address == "/stemd/fail"


class Office:
    """Answers as the daemon would: one after the other, when the test says so."""

    def __init__(self):
        self.asked = []
        self.ready = {}

    def __call__(self, request, local):
        if not local:
            raise ProtocolError(f"{request.op}: got it from another machine, expected this one")
        self.asked.append((request.op, dict(request.fields)))
        return lambda: self._poll(request.op)

    def _poll(self, op):
        answer = self.ready.get(op)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def office(sink):
    one = Office()
    sink._orders._answer = one
    return one


def test_what_the_daemon_does_is_answered_when_it_is_done(sink, say, office, ear):
    assert say(osc.message("/stemd/reload"), osc.message("/stemd/model", "pi")) == []
    say(osc.message("/stemd/sync", 5))
    assert office.asked == [("reload", {}), ("model", {"name": "pi"})]
    office.ready["model"] = ProtocolError("model: got 'pi', expected another")
    assert say() == []  # it was asked after the reload, and waits for it
    office.ready["reload"] = {"text": "reloading"}
    sink.service()
    replies = [OscMessage(ear.recv(2000)) for _ in range(3)]
    assert [(r.address, r.params) for r in replies] == [
        ("/stemd/done", ["/stemd/reload"]),
        ("/stemd/fail", ["/stemd/model", "model: got 'pi', expected another"]),
        ("/stemd/synced", [5]),
    ]
    assert say(osc.message("/stemd/sync", 6)) == [("/stemd/synced", [6])]


def test_the_daemon_is_asked_from_this_machine_only(sink, office):
    said = []
    sink._inlet.send = lambda packet, peer: said.append(OscMessage(packet))
    sink._inlet._gate = Gate(None)
    for op, *arguments in (("reload",), ("model", "pi"), ("profile", "tight")):
        sink._inlet.take(osc.message(f"/stemd/{op}", *arguments), ("192.0.2.1", 9))
        assert (said[-1].address, said[-1].params[0]) == ("/stemd/fail", f"/stemd/{op}")
        assert "another machine" in said[-1].params[1]
    assert office.asked == []


def test_orders_wait_in_a_short_queue(sink, say, office):
    replies = say(*[osc.message("/stemd/profile", "tight")] * 20)
    assert len(replies) == 4
    assert {address for address, _ in replies} == {"/stemd/fail"}


def test_without_a_daemon_nothing_is_promised(say):
    ((address, (what, why)),) = say(osc.message("/stemd/reload"))
    assert (address, what) == ("/stemd/fail", "/stemd/reload")
    assert "daemon" in why


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
        (osc.message("/no\nthing", 1), "/no?thing"),
    ],
)
def test_mistakes_are_answered_and_change_nothing(say, status, inlet, packet, where):
    before = status.mixer.copy()
    ((address, (place, why)),) = say(packet)
    assert (address, place) == ("/stemd/error", where)
    assert "got" in why
    assert "\n" not in why
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
def test_no_arguments_end_the_inlet(sink, inlet, status, address, types, data):
    sink.service()  # as between hops
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
