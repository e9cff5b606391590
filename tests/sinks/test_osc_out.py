"""OSC out: what the addresses say, when, and in which packets."""

import math
import re
import socket
import struct
import time
from collections import Counter

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage

from stemd import __version__
from stemd.processors.drums import Drums
from stemd.sinks.osc import Vitals
from stemd.sinks.osc_events import OscEvents
from stemd.sinks.osc_sender import OscSender
from stemd.spec import DRUMS, FEATURES, GROUPS, LIGHT_GROUPS, PROFILES, SOURCES, StreamSpec
from stemd.wire import osc

from .osc_support import FACTS, TWO_FEEDS, Stage, hear, make_sink
from .support import SPEC, free_port, make_hop

ONSET, STRENGTH, ONSETS = map(FEATURES.index, ("onset", "onset_strength", "onset_count"))
NOTE, VELOCITY, NOTES = map(FEATURES.index, ("note", "note_velocity", "note_count"))
KICK = FEATURES.index("kick")


def test_levels_say_what_the_features_say(stage):
    stage.write(make_hop(0, rms=0.1, peak=0.5, f0_hz=220.0, voicing=0.9))
    stage.tick(1.0)
    said = stage.take()
    assert said["/stemd/vocals/level"] == pytest.approx(1 - 20 / 60, abs=1e-6)
    assert said["/stemd/vocals/level_db"] == pytest.approx(-20.0, abs=1e-4)
    assert said["/stemd/mix/peak"] == 0.5
    assert said["/stemd/bass/pitch"] == pytest.approx(57.0, abs=1e-4)  # A3
    assert said["/stemd/bass/pitch_hz"] == 220.0
    assert said["/stemd/other/pitch_conf"] == pytest.approx(0.9)
    assert {a.split("/")[2] for a in said} == {*SOURCES, "tempo", "beat"}


def test_silence_stays_on_the_scale(stage):
    stage.write(make_hop(0))
    stage.tick(1.0)
    said = stage.take()
    assert said["/stemd/drums/level"] == 0.0
    assert said["/stemd/drums/level_db"] == -120.0
    assert "/stemd/drums/pitch" not in said


def test_the_peak_is_the_highest_since_the_last_tick(stage):
    for peak in (0.2, 0.9, 0.1):
        stage.write(make_hop(0, peak=peak))
    stage.tick(1.0)
    assert stage.take()["/stemd/mix/peak"] == pytest.approx(0.9)
    stage.write(make_hop(0, peak=0.1))
    stage.tick(1.1)
    assert stage.take()["/stemd/mix/peak"] == pytest.approx(0.1)


def test_the_peak_stays_while_no_hop_comes(stage):
    stage.write(make_hop(0, peak=0.9))
    said = []
    for k in range(100):
        stage.tick(1.0 + 0.02 * k)
        said += [value for address, value in stage.messages() if address == "/stemd/mix/peak"]
    assert len(said) > 1  # again and again, because packets are lost
    assert said == pytest.approx([0.9] * len(said))
    stage.write(make_hop(1, peak=0.1))
    stage.tick(4.0)
    assert stage.take()["/stemd/mix/peak"] == pytest.approx(0.1)


def test_values_do_not_follow_a_hop_that_was_not_written(stage):
    """The record they came in is read into again while they are held."""
    hop = make_hop(0, rms=0.1, f0_hz=220.0, voicing=0.9)
    stage.write(hop)
    hop["features"] = 0.0
    stage.tick(1.0)
    said = stage.take()
    assert said["/stemd/vocals/level_db"] == pytest.approx(-20.0, abs=1e-4)
    assert said["/stemd/vocals/pitch_hz"] == 220.0


def test_only_changes_are_sent_until_a_quarter_second_passed(stage):
    hop = make_hop(0, rms=0.1, peak=0.5)
    stage.write(hop)
    stage.tick(1.0)
    everything = set(stage.take())
    stage.write(hop)
    stage.tick(1.02)
    assert stage.take() == {}
    hop["features"][0, 2, FEATURES.index("rms")] = 0.2
    stage.write(hop)
    stage.tick(1.04)
    assert set(stage.take()) == {"/stemd/drums/level", "/stemd/drums/level_db"}
    stage.write(hop)
    stage.tick(1.26)
    again = set(stage.take())
    assert again | {"/stemd/drums/level", "/stemd/drums/level_db"} == {
        a for a in everything if not a.endswith(("count", "note", "chord"))
    }


def test_the_pitch_holds_while_unvoiced(stage):
    stage.write(make_hop(0, f0_hz=220.0, voicing=0.9))
    stage.tick(1.0)
    stage.take()
    stage.write(make_hop(1, f0_hz=0.0, voicing=0.1))
    stage.tick(2.0)
    said = stage.take()
    assert said["/stemd/vocals/pitch_conf"] == pytest.approx(0.1)
    assert not [a for a in said if a.endswith(("/pitch", "/pitch_hz"))]


def test_an_onset_leaves_at_once_in_its_own_packet(stage):
    hop = make_hop(0, rms=0.1)
    hop["features"][0, 2, FEATURES.index("onset")] = 1.0
    hop["features"][0, 2, FEATURES.index("onset_strength")] = 0.75
    hop["features"][0, 2, FEATURES.index("onset_count")] = 12
    hop["features"][0, 2, FEATURES.index("onset_offset")] = -224
    before = (time.monotonic_ns() - int(hop["t_arrival_ns"])) * 1e-6
    stage.write(hop)
    after = (time.monotonic_ns() - int(hop["t_arrival_ns"])) * 1e-6
    assert len(stage.packets) == 1
    said = stage.take()
    age = said.pop("/stemd/drums/onset/age_ms")
    assert said == {"/stemd/drums/onset": 0.75, "/stemd/drums/onset/count": 12}
    # One hop and 224 samples before the hop had arrived: 10 ms, and what went by since.
    assert 10.0 + before <= age <= 10.0 + after + 1e-3
    stage.tick(1.0)
    assert stage.take()["/stemd/drums/onset/env"] == 0.75


def test_the_envelope_halves_in_a_tenth_of_a_second(stage):
    stage.write(make_hop(0, onset=1.0, onset_strength=1.0))
    for k in range(round(0.1 / SPEC.hop_s)):
        stage.write(make_hop(k + 1))
    stage.tick(1.0)
    assert stage.take()["/stemd/bass/onset/env"] == pytest.approx(0.5, abs=0.02)


def test_counts_are_repeated_each_second(stage):
    stage.write(make_hop(0, onset=1.0, onset_count=7))
    stage.tick(1.0)
    stage.take()
    stage.tick(1.5)
    assert not [a for a in stage.take() if a.endswith("count")]
    stage.tick(2.1)
    assert stage.take()["/stemd/vocals/onset/count"] == 7


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_but_finite_numbers_leaves(stage, bad):
    hop = make_hop(0)
    hop["features"][:] = bad
    hop["features"][..., FEATURES.index("onset")] = 1.0
    stage.write(hop)
    stage.tick(1.0)
    said = stage.take()
    assert said
    assert all(math.isfinite(v) for v in said.values())


def test_nothing_is_said_before_there_is_something_to_say(stage):
    stage.tick(1.0)
    assert stage.take() == {}


# -- every address --------------------------------------------------------------------------------


def everything(desk, spec=TWO_FEEDS, prefix="/stemd"):
    """A stage whose targets want every group, after two hops in which everything happened."""
    stage = Stage(desk, spec, groups=GROUPS, prefix=prefix)
    moving = {name: 0.5 for name in FEATURES}
    stage.write(make_hop(0, spec, **moving))
    stage.tick(1.0)
    stage.write(make_hop(1, spec, **{**moving, "note": 60, "note_count": 2, "chord": 13}))
    stage.tick(2.5)
    return stage


def test_the_walk_over_every_address_finds_one_number_each(desk):
    stage = everything(desk)
    assert max(map(len, stage.packets)) <= 1400
    types = {}
    for packet in stage.packets:
        for message in osc.messages(packet):
            address = OscMessage(message).address
            tag = re.search(rb",([fi])\0\0....$", message, re.S)
            assert tag, address
            kind = tag[1].decode()
            assert types.setdefault(address, kind) == kind
    # Exactly those the table of addresses promises, with the type it promises.
    assert types == {address: node.tags for address, node in stage.known.items()}


def test_values_stay_in_the_range_the_table_promises(desk):
    stage = everything(desk)
    for address, value in stage.messages():
        ((low, high),) = stage.known[address].limits
        assert low is None or value >= low, address
        assert high is None or value <= high, address


def test_another_prefix_and_feed_are_other_addresses(desk):
    said = everything(desk, prefix="/a/rather/long/prefix").take()
    assert "/a/rather/long/prefix/vocals/level" in said
    assert "/a/rather/long/prefix/two/drums/kick/count" in said
    assert "/a/rather/long/prefix/two/beat/phase" in said


def test_groups_decide_what_goes_to_the_targets(desk):
    light, heavy = Stage(desk), Stage(desk, groups=(*LIGHT_GROUPS, "bands", "flux"))
    none = Stage(desk, groups=())
    hop = make_hop(0, **{name: 0.5 for name in FEATURES})
    for stage in (light, heavy, none):
        stage.write(hop)
        stage.tick(1.0)
    assert none.take() == {}
    before, after = light.take(), heavy.take()
    assert set(after) - set(before) == {
        f"/stemd/{source}/{name}"
        for source in SOURCES
        for name in ("flux", *(f"band/{i + 1}" for i in range(8)))
    }
    assert not [a for a in before if "chroma" in a or "chord" in a or "width" in a]


def test_an_endless_prefix_ends(desk):
    stage = everything(desk, SPEC, "/x" * 1000)
    assert stage.take() == {}


# -- events ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("drum", DRUMS)
def test_a_hit_leaves_at_once_with_count_and_age(stage, drum):
    stage.tick(0.0)
    stage.take()
    for k, velocity in enumerate((0.25, 0.75)):
        hop = make_hop(k)
        hop["features"][0, 2, FEATURES.index(drum)] = velocity
        stage.write(hop)
        assert len(stage.packets) == 1
        said = stage.take()
        age = said.pop(f"/stemd/drums/{drum}/age_ms")
        assert said == {f"/stemd/drums/{drum}": velocity, f"/stemd/drums/{drum}/count": k + 1}
        assert 3 * 256 / 48 <= age < 1000  # its hop, and the two the detector waited
        stage.write(make_hop(k))
        assert stage.take() == {}
    stage.tick(1.0)
    assert stage.take()[f"/stemd/drums/{drum}/env"] == pytest.approx(0.75, abs=0.1)


def test_a_hit_of_another_row_is_not_a_drum(stage):
    hop = make_hop(0)
    hop["features"][0, [0, 1, 3, 4], FEATURES.index("kick")] = 1.0
    stage.write(hop)
    assert stage.take() == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_hit_is_as_old_as_its_detector_is_late(desk, profile):
    spec = StreamSpec.of(profile, 48_000)
    assert Stage(desk, spec).sink._events._delays[1:4] == [Drums(spec).latency] * 3


def note_hop(k, number, velocity=0.0, count=0):
    hop = make_hop(k)
    for name, value in (("note", number), ("note_velocity", velocity), ("note_count", count)):
        hop["features"][0, 1, FEATURES.index(name)] = value
    return hop


def test_a_note_begins_lasts_and_ends(stage):
    stage.write(note_hop(0, 60, 0.5, 1))
    assert len(stage.packets) == 1
    # The number comes last, when its velocity is known.
    assert stage.messages() == [
        ("/stemd/vocals/note/velocity", 0.5),
        ("/stemd/vocals/note/count", 1),
        ("/stemd/vocals/note", 60),
    ]
    stage.write(note_hop(1, 60, 0.0, 1))
    assert stage.messages() == []
    stage.write(note_hop(2, 60, 0.75, 2))  # the same key again
    assert stage.take() == {
        "/stemd/vocals/note/velocity": 0.75,
        "/stemd/vocals/note/count": 2,
        "/stemd/vocals/note": 60,
    }
    stage.tick(1.0)
    assert stage.take()["/stemd/vocals/note"] == 60
    stage.write(note_hop(3, 0, 0.0, 2))
    assert stage.take() == {
        "/stemd/vocals/note/velocity": 0.0,
        "/stemd/vocals/note/count": 2,
        "/stemd/vocals/note": 0,
    }


def test_a_note_that_is_released_stays_so_until_the_next_hop(stage):
    stage.write(make_hop(0))
    stage.tick(0.0)
    stage.write(hop := note_hop(1, 60, 0.5, 1))
    stage.take()
    stage.sink.release(hop)
    ended = {
        "/stemd/vocals/note/velocity": 0.0,
        "/stemd/vocals/note/count": 1,
        "/stemd/vocals/note": 0,
    }
    assert stage.take() == ended  # and nothing of what did not sound
    stage.sink.release(hop)
    assert stage.take() == {}
    stage.tick(1.0)
    assert stage.take()["/stemd/vocals/note"] == 0
    # It goes on, with the count it had: nothing has begun.
    stage.write(note_hop(2, 60, 0.0, 1))
    assert stage.take() == {**ended, "/stemd/vocals/note": 60}


def test_a_beat_is_of_the_feed(desk):
    stage = Stage(desk, TWO_FEEDS)
    hop = make_hop(0, TWO_FEEDS)
    for name, value in (("beat", 1), ("tempo_confidence", 0.75), ("beat_count", 9)):
        hop["features"][1, 0, FEATURES.index(name)] = value
    stage.write(hop)
    said = stage.take()
    assert said.pop("/stemd/two/beat/age_ms") >= 256 / 48
    assert said == {"/stemd/two/beat": 0.75, "/stemd/two/beat/count": 9}


def test_words_go_to_the_text_targets_and_numbers_do_not(desk, ear):
    sink = make_sink(desk, listen=None, text_targets=[ear.getsockname()])
    first = OscMessage(ear.recv(2000))
    assert (first.address, first.params) == ("/stemd/startup", [__version__])
    hop = make_hop(9, TWO_FEEDS)
    row = hop["features"][1, 2]
    for name, value in (("onset", 1), ("onset_strength", 0.5), ("onset_offset", -100)):
        row[FEATURES.index(name)] = value
    for name, value in (("note", 64), ("note_velocity", 0.25), ("note_count", 1)):
        hop["features"][0, 3, FEATURES.index(name)] = value
    sink.write(hop)
    sink.service()
    sink.close()
    onset, velocity, note, last = (ear.recv(2000) for _ in range(4))
    sample = 9 * 256 - 100  # the hop's start, and what the detector said
    utc = 1_700_000_000 + (sample - (10 * 256 - 512)) / 48_000
    assert onset == (
        osc.string("/stemd/two/event")
        + osc.string(",sihdf")
        + osc.string("onset")
        + struct.pack(">iqdf", 2, sample, utc, 0.5)
    )
    velocity, note = OscMessage(velocity), OscMessage(note)
    # Notes are of the audio, which is a hop older than the newest input.
    assert velocity.params[:3] + velocity.params[4:] == ["velocity", 3, 8 * 256, 0.25]
    assert note.params[:3] + note.params[4:] == ["note", 3, 8 * 256, 64.0]
    assert note.address == "/stemd/event"
    assert OscMessage(last).address == "/stemd/shutdown"


@pytest.mark.parametrize(
    "hours", [0.1, pytest.param(24, marks=pytest.mark.slow)], ids=lambda h: f"{h}h"
)
def test_hours_of_events_leave_no_count_behind(hours):
    """Ten a second of onsets, hits and notes: sent is what was counted, and nothing hangs."""
    said, last = Counter(), {}

    def count(elements):
        for address, _, value in elements:
            last[address] = value
            said[address] += 1

    events = OscEvents(SPEC, ("main",), "/stemd", count)
    hop = make_hop(0)
    rows = hop["features"].reshape(-1, len(FEATURES))
    rng = np.random.default_rng(1)
    turns = (
        round(10 * 3600 * hours) // 3
    )  # each: an onset with or without a kick, a note and its end
    kicks = 0
    for turn in range(1, turns + 1):
        kick = rng.random() < 0.5
        kicks += kick
        rows[2, [ONSET, STRENGTH, ONSETS, KICK]] = 1.0, 1.0, turn, kick
        rows[1, [NOTE, VELOCITY, NOTES]] = 48 + turn % 24, 0.5, turn
        events.write(hop, rows, 0.0)
        rows[2, [ONSET, KICK]] = 0.0
        rows[1, [NOTE, VELOCITY]] = 0.0
        events.write(hop, rows, 0.0)
    assert said["/stemd/drums/onset"] == last["/stemd/drums/onset/count"] == turns
    assert said["/stemd/drums/kick"] == last["/stemd/drums/kick/count"] == kicks
    assert said["/stemd/vocals/note"] == 2 * turns
    assert last["/stemd/vocals/note/count"] == turns
    assert last["/stemd/vocals/note"] == 0


# -- the stream -----------------------------------------------------------------------------------


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
