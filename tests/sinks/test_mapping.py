"""Mappings: what leaves for which feature, when, and how often."""

import math
import socket

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage

from stemd.config import build_config
from stemd.sinks.mapping import STEP, MappingSink, follow_of, output_range
from stemd.spec import FEATURES, SOURCES, StreamSpec
from stemd.status import State
from stemd.wire import midi, osc

from .support import make_hop


class Stage:
    """A sink fed by hand; its packets are read from a real socket, its MIDI from a list."""

    def __init__(self, *mappings, feeds=("main",), **config):
        self.ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ear.bind(("127.0.0.1", 0))
        self.ear.setblocking(False)
        host, port = self.ear.getsockname()
        self.target = f"{host}:{port}"
        table = {
            "osc": {"targets": [self.target]},
            "midi": {"enabled": True},
            "feed": [{"name": name} for name in feeds],
            "mapping": list(mappings),
            **config,
        }
        self.config = build_config(table)
        self.spec = StreamSpec.of("live", 48_000, len(feeds))
        self.played = []
        self.now = 1000.0
        self.k = 0
        self.sink = MappingSink(
            self.spec,
            feeds,
            self.config.mapping,
            [(host, port)],
            self.played.append,
            0.25,
            lambda: self.now,
        )

    def play(self, n=1, feed=0, session=1, state=State.RUNNING, **values):
        """Hops with features such as drums_kick=0.5; what left meanwhile."""
        for _ in range(n):
            self.k += 1
            self.now += self.spec.hop_s
            hop = make_hop(self.k, self.spec, session=session, state=state)
            for name, value in values.items():
                source, _, feature = name.partition("_")
                hop["features"][feed, SOURCES.index(source), FEATURES.index(feature)] = value
            self.sink.write(hop)
            self.sink.service()
        return self.heard()

    def packets(self):
        """Datagrams that came."""
        got = []
        while True:
            try:
                got.append(self.ear.recv(2000))
            except BlockingIOError:
                return got

    def heard(self):
        """Address and arguments of each."""
        messages = [OscMessage(packet) for packet in self.packets()]
        return [(m.address, *m.params) for m in messages]


@pytest.fixture
def stage():
    stages = []

    def make(*mappings, **options):
        stages.append(Stage(*mappings, **options))
        return stages[-1]

    yield make
    for one in stages:
        one.sink.close()
        one.ear.close()


def value(source="vocals.rms", **more):
    return {"source": source, "osc": "/a", "rate_hz": 1000, **more}


# -- what is sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "feature", "expected"),
    [
        (value(), {"vocals_rms": 0.1}, 1 - 20 / 60),  # auto: dB over -60..0
        (value("vocals.level"), {"vocals_rms": 1.0}, 1.0),
        (value(curve="linear"), {"vocals_rms": 0.25}, 0.25),
        (value(curve="linear", input=[0, 0.5]), {"vocals_rms": 0.25}, 0.5),
        (value(curve="db", input=[-40, -20]), {"vocals_rms": 10**-1.5}, 0.5),
        (value(curve="power"), {"vocals_rms": 0.5}, 0.25),
        (value(curve="power", exponent=3), {"vocals_rms": 0.5}, 0.125),
        (value("bass.f0_hz", curve="log", input=[50, 200]), {"bass_f0_hz": 100}, 0.5),
        (value("vocals.pitch", input=[60, 72]), {"vocals_f0_hz": 440.0 * 2**-0.25}, 0.5),
        (value("mix.lufs", input=[-30, -10]), {"mix_lufs": -20}, 0.5),
        (value(output=[10, -10], curve="linear"), {"vocals_rms": 0.25}, 5.0),
        (value("mix.tempo_bpm", input=[60, 200], output=[60, 200]), {"mix_tempo_bpm": 128}, 128),
        (value("bass.band_1", curve="linear"), {"bass_band_1": 0.3}, 0.3),
        (value("other.chroma_c"), {"other_chroma_c": 0.7}, 0.7),
        (value("vocals.note_count", input=[0, 100]), {"vocals_note_count": 40}, 0.4),
        (value(curve="linear", threshold=0.2), {"vocals_rms": 0.1}, 0.0),
    ],
)
def test_a_value_is_what_the_curve_says(stage, mapping, feature, expected):
    heard = stage(mapping).play(**feature)
    assert len(heard) == 1
    assert heard[0] == ("/a", pytest.approx(expected, abs=1e-5))


@pytest.mark.parametrize(("level", "expected"), [(0.0, 7), (0.3, 8), (0.6, 9), (0.99, 10), (1, 10)])
def test_steps_are_equal_parts_of_the_range(stage, level, expected):
    mapping = value(curve="steps", output=[7, 8, 9, 10], value="int", source="vocals.width")
    assert stage(mapping).play(vocals_width=level) == [("/a", expected)]


def test_a_step_does_not_flicker_at_its_edge(stage):
    one = stage(value("vocals.width", curve="steps", output=[0, 1], repeat_s=0))
    one.play(vocals_width=0.49)
    one.heard()
    for k in range(50):
        one.play(vocals_width=0.49 + 0.02 * (k % 2))
    assert one.heard() == []
    assert one.play(vocals_width=0.6) == [("/a", 1.0)]


@pytest.mark.parametrize(
    ("more", "packet"),
    [
        ({}, osc.message("/a", 1.0)),
        ({"value": "int"}, osc.message("/a", 1)),
        ({"before": [2, 0]}, osc.message("/a", 2, 0, 1.0)),
        ({"before": ["x"], "after": [0.5, "yz"]}, osc.message("/a", "x", 1.0, 0.5, "yz")),
        (
            {"osc": "/Page1/Fader201", "value": "int", "output": [0, 100]},
            osc.message("/Page1/Fader201", 100),
        ),
    ],
)
def test_packets_byte_for_byte(stage, more, packet):
    one = stage(value(curve="linear", **more))
    one.play(vocals_rms=1.0)
    # heard() has emptied the socket: again, and look at the bytes
    one.now += 2
    hop = make_hop(999, one.spec)
    hop["session"] = 1
    hop["features"][0, SOURCES.index("vocals"), FEATURES.index("rms")] = 1.0
    one.sink.write(hop)
    assert one.packets() == [packet]


def test_a_trigger_may_carry_constants_alone(stage):
    one = stage(
        {
            "source": "drums.kick",
            "mode": "trigger",
            "osc": "/live/clip_slot/fire",
            "before": [2, 0],
            "value": "none",
        }
    )
    assert one.play(drums_kick=0.5) == [("/live/clip_slot/fire", 2, 0)]


def test_a_mapping_goes_to_its_own_target(stage):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(5)
        host, port = other.getsockname()
        one = stage(value(target=f"{host}:{port}"), value(osc="/b"))
        assert [m[0] for m in one.play(vocals_rms=1.0)] == ["/b"]
        assert OscMessage(other.recv(2000)).address == "/a"


def test_an_unknown_target_is_a_reason(stage):
    one = stage(value(target="no.such.host.invalid:9000"), value(osc="/b"))
    assert one.sink.reason.startswith("mapping[0].target: got no.such.host.invalid:9000")
    assert len(one.play(vocals_rms=1.0)) == 1


def test_a_mapping_listens_to_its_feed(stage):
    one = stage(value(), value(osc="/b", feed="two"), feeds=("main", "two"))
    heard = one.play(feed=1, vocals_rms=1.0)
    assert heard == [("/a", 0.0), ("/b", 1.0)]


# -- when ------------------------------------------------------------------------------------------


def test_values_leave_when_they_change_and_are_repeated(stage):
    one = stage(value(curve="linear", repeat_s=0.5))
    assert len(one.play(vocals_rms=0.5)) == 1
    assert one.play(vocals_rms=0.5 + STEP * 0.9) == []
    assert len(one.play(vocals_rms=0.5 + STEP * 1.1)) == 1
    assert len(one.play(round(2.0 / one.spec.hop_s), vocals_rms=0.5 + STEP * 1.1)) in (3, 4)


def test_without_repeat_a_still_value_is_sent_once(stage):
    one = stage(value(repeat_s=0))
    assert len(one.play(2000, vocals_rms=0.5)) == 1


@pytest.mark.parametrize("rate_hz", [1, 10, 60, 150])
def test_no_value_is_faster_than_its_rate(stage, rate_hz):
    one = stage(value(curve="linear", rate_hz=rate_hz))
    times = []
    for k in range(1000):
        if one.play(vocals_rms=k * 0.37 % 1):
            times.append(one.now)
    seconds = 1000 * one.spec.hop_s
    assert len(times) <= seconds * rate_hz + 1
    # a hop is the grain of the rhythm
    assert len(times) >= seconds * rate_hz / 2
    assert np.diff(times).min() > 1 / rate_hz - 1.01 * 2 * one.spec.hop_s


def test_a_hit_between_two_sends_is_not_missed(stage):
    one = stage(value("drums.kick", rate_hz=5, release_ms=0))
    one.play(drums_kick=0)
    one.play(2, drums_kick=0)
    one.play(drums_kick=0.8)
    heard = one.play(100, drums_kick=0)
    assert [round(m[1], 3) for m in heard] == [0.8, 0.0]


@pytest.mark.parametrize("rate_hz", [10, 60, 1000])
def test_a_hit_falls_as_its_release_says(stage, rate_hz):
    one = stage(value("drums.kick", rate_hz=rate_hz, release_ms=200, repeat_s=0))
    one.play(drums_kick=1.0)
    heard = one.play(round(0.2 / one.spec.hop_s))
    assert 1 <= len(heard) <= 0.2 * rate_hz + 1
    values = [m[1] for m in heard]
    assert values == sorted(values, reverse=True)
    # the highest since the last send is sent: a period late at most
    assert math.exp(-1.05) <= values[-1] <= math.exp(-1 + 1 / rate_hz / 0.2 * 2)


def test_what_is_unknown_is_not_sent_and_then_held(stage):
    one = stage(value("vocals.pitch"), value("mix.tempo_bpm", osc="/b"))
    assert one.play(50) == []
    assert len(one.play(vocals_f0_hz=220.0, mix_tempo_bpm=120)) == 2
    held = one.play(400)
    assert {m[0] for m in held} == {"/a", "/b"}
    assert all(m[1] == pytest.approx((57 - 24) / 72) for m in held if m[0] == "/a")


def test_attack_and_release_smooth(stage):
    one = stage(value(curve="linear", attack_ms=50, release_ms=200))
    n = round(0.05 / one.spec.hop_s)
    assert one.play(n, vocals_rms=1.0)[-1][1] == pytest.approx(1 - math.exp(-1), abs=0.05)
    one.play(300, vocals_rms=1.0)
    n = round(0.2 / one.spec.hop_s)
    assert one.play(n, vocals_rms=0.0)[-1][1] == pytest.approx(math.exp(-1), abs=0.05)


def test_history_opens_the_range(stage):
    one = stage(value(curve="linear", history_s=1.0))
    heard = []
    for k in range(4000):
        heard += one.play(vocals_rms=0.3 + 0.1 * math.sin(k / 20))
    late = [m[1] for m in heard[-500:]]
    assert min(late) < 0.1
    assert max(late) > 0.9


def test_no_number_moves_nothing(stage):
    one = stage(value(curve="linear", repeat_s=0))
    one.play(vocals_rms=0.5)
    for bad in (math.nan, math.inf, -math.inf):
        assert one.play(vocals_rms=bad) == []


# -- triggers and gates ----------------------------------------------------------------------------

KICK = {"source": "drums.kick", "osc": "/kick", "mode": "trigger"}


def test_a_trigger_leaves_in_its_hop_as_strong_as_the_hit(stage):
    one = stage(KICK)
    assert one.play(5) == []
    assert one.play(drums_kick=0.5) == [("/kick", 0.5)]
    assert one.play(100) == []
    assert one.play(drums_kick=1.0) == [("/kick", 1.0)]


def test_hits_below_the_threshold_are_not_sent(stage):
    one = stage({**KICK, "threshold": 0.4})
    assert one.play(drums_kick=0.3) == []
    assert one.play(2) == []
    assert one.play(drums_kick=0.5) == [("/kick", 0.5)]


def test_triggers_keep_their_rate(stage):
    one = stage({**KICK, "rate_hz": 10})
    heard = []
    for k in range(1000):
        heard += one.play(drums_kick=k % 2)
    assert len(heard) == pytest.approx(1000 * one.spec.hop_s * 10, rel=0.1)


def test_a_gate_follows_a_level_with_hysteresis(stage):
    one = stage(
        {
            "source": "bass.rms",
            "curve": "linear",
            "osc": "/gate",
            "mode": "gate",
            "threshold": 0.5,
            "hysteresis": 0.2,
            "hold_ms": 0,
            "value": "int",
        }
    )
    assert one.play(bass_rms=0.4) == []
    assert one.play(bass_rms=0.6) == [("/gate", 1)]
    assert one.play(20, bass_rms=0.4) == []
    assert one.play(20, bass_rms=0.2) == [("/gate", 0)]


def test_a_gate_of_a_hit_is_held_like_a_button(stage):
    one = stage({**KICK, "mode": "gate", "hold_ms": 100, "value": "int"})
    assert one.play(drums_kick=0.3) == [("/kick", 1)]
    hops = 0
    while not (heard := one.play()):
        hops += 1
    assert heard == [("/kick", 0)]
    assert hops * one.spec.hop_s == pytest.approx(0.1, abs=2 * one.spec.hop_s)


@pytest.mark.parametrize("how", ["stall", "pause", "session", "close"])
def test_no_gate_stays_open(stage, how):
    one = stage({**KICK, "mode": "gate", "hold_ms": 1000})
    one.play(drums_kick=1)
    if how == "stall":
        one.now += 0.3
        one.sink.service()
        heard = one.heard()
    elif how == "close":
        one.sink.close()
        heard = one.heard()
    else:
        state = State.PAUSED if how == "pause" else State.RUNNING
        heard = one.play(session=2 if how == "session" else 1, state=state)
    assert heard == [("/kick", 0.0)]


@pytest.mark.parametrize("how", ["stall", "pause"])
def test_a_gate_of_what_sounds_on_opens_again_after_a_rest(stage, how):
    one = stage({**KICK, "source": "bass.rms", "curve": "linear", "threshold": 0.5, "mode": "gate"})
    assert one.play(bass_rms=0.6) == [("/kick", 1.0)]
    if how == "stall":
        one.now += 0.3
        one.sink.service()
        assert one.heard() == [("/kick", 0.0)]
    else:
        assert one.play(bass_rms=0.6, state=State.PAUSED) == [("/kick", 0.0)]
    assert one.play(20, bass_rms=0.6) == [("/kick", 1.0)]


# -- midi ------------------------------------------------------------------------------------------


def test_a_receiver_that_comes_later_is_told_what_is_so(stage):
    controller = {"type": "cc", "channel": 1, "number": 7}
    one = stage({"source": "vocals.width", "midi": controller, "rate_hz": 1000})
    one.play(9, vocals_width=1.0)
    assert one.played == [midi.control_change(1, 7, 127)]
    one.sink.repeat_midi()
    one.play(9, vocals_width=1.0)
    assert one.played == 2 * [midi.control_change(1, 7, 127)]


def test_an_end_that_fell_while_the_receiver_was_away_is_told_when_it_is_back(stage):
    light = {"type": "cc", "channel": 1, "number": 7}
    note = {"type": "note", "channel": 1, "number": 40}
    linear = {"curve": "linear", "mode": "gate", "threshold": 0.5}
    one = stage(
        {**linear, "source": "bass.rms", "midi": light},
        {**linear, "source": "drums.rms", "midi": note},
    )
    one.play(20, bass_rms=0.1)
    one.sink.repeat_midi()
    assert one.played == []  # nothing was ever begun
    one.play(20, bass_rms=0.6)
    begun = midi.control_change(1, 7, 127)
    assert one.played == [begun]
    one.sink.repeat_midi()
    assert one.played == [begun, begun]  # it is still open
    one.play(200, bass_rms=0.1)
    ended = midi.control_change(1, 7, 0)
    assert one.played[2:] == [ended]
    one.sink.repeat_midi()
    assert one.played[3:] == [ended]


def test_controllers_programs_and_wheels(stage):
    one = stage(
        {"source": "vocals.width", "midi": {"type": "cc", "channel": 3, "number": 7}},
        {"source": "vocals.width", "midi": {"type": "program"}, "curve": "steps", "output": [4, 5]},
        {"source": "vocals.width", "midi": {"type": "bend", "channel": 16}},
    )
    one.play(vocals_width=1.0)
    assert one.played == [
        midi.control_change(3, 7, 127),
        midi.program_change(1, 5),
        midi.pitch_bend(16, 16383),
    ]
    one.play(500, vocals_width=1.0)
    assert len(one.played) == 3  # a cable loses nothing: no repeats


def test_a_controller_moves_by_whole_numbers_only(stage):
    one = stage({"source": "vocals.width", "midi": {"type": "cc", "number": 7}, "rate_hz": 1000})
    for k in range(1001):
        one.play(vocals_width=k / 1000)
    assert [m[2] for m in one.played] == list(range(128))


def test_a_trigger_plays_a_note_that_ends(stage):
    one = stage(
        {
            "source": "drums.snare",
            "mode": "trigger",
            "hold_ms": 20,
            "midi": {"type": "note", "channel": 10, "number": 40},
        }
    )
    one.play(drums_snare=0.5)
    one.play(10)
    assert one.played == [midi.note_on(10, 40, 64), midi.note_off(10, 40)]
    one.play(drums_snare=0.001)
    one.sink.close()
    assert one.played[2:] == [midi.note_on(10, 40, 1), midi.note_off(10, 40)]


def test_notes_of_random_hits_are_balanced(stage):
    one = stage(
        *(
            {
                "source": f"drums.{drum}",
                "mode": mode,
                "hold_ms": hold,
                "midi": {"type": "note", "number": number},
            }
            for number, (drum, mode, hold) in enumerate(
                [("kick", "trigger", 0), ("snare", "gate", 30), ("hihat", "trigger", 300)]
            )
        )
    )
    rng = np.random.default_rng(3)
    for _ in range(3000):
        hits = rng.random(3) * (rng.random(3) < 0.2)
        one.k += int(rng.random() < 0.02) * int(rng.integers(1, 500))
        one.play(drums_kick=hits[0], drums_snare=hits[1], drums_hihat=hits[2])
    one.sink.close()
    sounding = set()
    for status, note, _ in one.played:
        assert (note in sounding) == (status == 0x80)
        sounding ^= {note}
    assert sounding == set()
    assert len(one.played) > 500


# -- all of them -----------------------------------------------------------------------------------


def test_every_feature_of_every_source_can_be_mapped(stage):
    """Whatever a hop may hold, what leaves is a finite number inside the output range."""
    table = []
    for source in SOURCES:
        for feature in FEATURES:
            try:
                build_config({"mapping": [value(f"{source}.{feature}")]})
            except ValueError:
                continue
            table.append(value(f"{source}.{feature}", osc=f"/{source}/{feature}"))
    assert len(table) > 130
    rng = np.random.default_rng(5)
    for part in (table[:100], table[100:]):
        one = stage(*part)
        heard = []
        for k in range(60):
            hop = make_hop(k + 1, one.spec)
            scale = 10.0 ** rng.integers(-3, 5)
            hop["features"] = rng.normal(size=hop["features"].shape) * scale
            hop["features"][rng.random(hop["features"].shape) < 0.05] = rng.choice(
                [np.nan, np.inf, -np.inf]
            )
            one.now += one.spec.hop_s
            one.sink.write(hop)
            heard += one.heard()
        assert {m[0] for m in heard} == {m["osc"] for m in part}
        assert all(0.0 <= m[1] <= 1.0 for m in heard)


def test_ranges_and_defaults():
    mappings = build_config(
        {
            "midi": {"enabled": True},
            "mapping": [
                value(),
                value(curve="linear"),
                value("vocals.f0_hz", curve="linear"),
                {"source": "mix.level", "midi": {"type": "cc", "number": 1}},
                {"source": "mix.level", "midi": {"type": "bend"}},
                value(curve="steps", output=[1, 5, 2]),
            ],
        }
    ).mapping
    ranges = [(f.low, f.high, f.curve) for f in map(follow_of, mappings)]
    assert ranges[0] == (-60.0, 0.0, "db")
    assert ranges[1] == (0.0, 1.0, "linear")
    assert ranges[2][2] == "linear"
    assert ranges[5] == ranges[0]
    assert [output_range(m) for m in mappings] == [
        (0.0, 1.0),
        (0.0, 1.0),
        (0.0, 1.0),
        (0.0, 127.0),
        (0.0, 16383.0),
        (1.0, 2.0),
    ]
