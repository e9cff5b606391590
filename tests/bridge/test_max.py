"""The generated patchers: whole, wired to what exists, and as their script writes them today.

Max and Live run on no machine of ours: what they make of the objects is not proven here. What is:
the files are the JSON and the chunks Max writes, each line joins an outlet and an inlet that exist,
and the messages in the boxes are what stemd understands and sends.
"""

from __future__ import annotations

import importlib.util
import json
import struct
import sys

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

from stemd.wire import addresses, directory
from tests.sinks.osc_support import hear, new_ear

from .support import BRIDGE, wait_until

PATCHERS = ("max/stemd.maxpat", "ableton/stemd.maxpat")


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_max", BRIDGE / "max/make.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_max"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_max"]


def load(name):
    return json.loads((BRIDGE / name).read_text("utf-8"))["patcher"]


def boxes(patcher):
    return {box["box"]["id"]: box["box"] for box in patcher["boxes"]}


def test_the_files_are_what_the_script_writes(make):
    for path, content in make.files().items():
        assert path.read_bytes() == content, f"run bridge/max/make.py: {path.name} is old"


@pytest.mark.parametrize("name", PATCHERS)
def test_every_line_joins_what_exists(name, make):
    patcher = load(name)
    there = boxes(patcher)
    assert len(there) == len(patcher["boxes"]), "two boxes of one id"
    seen = set()
    for line in patcher["lines"]:
        (source, outlet), (target, inlet) = (
            line["patchline"]["source"],
            line["patchline"]["destination"],
        )
        assert 0 <= outlet < there[source]["numoutlets"], there[source]
        assert 0 <= inlet < there[target]["numinlets"], there[target]
        ends = (source, outlet, target, inlet)
        assert ends not in seen, "the same line twice"
        seen.add(ends)
    for box in there.values():
        words = box.get("text", "").split()
        shape = make.SHAPES[words[0] if box["maxclass"] == "newobj" else box["maxclass"]]
        wanted = shape(len(words) - 1) if callable(shape) else shape
        assert (box["numinlets"], box["numoutlets"]) == wanted
        assert len(box["outlettype"]) == box["numoutlets"]
        joined = {end for s, _, t, _ in seen for end in (s, t)}
        assert box["id"] in joined or box["maxclass"] == "comment", f"{box} hangs in the air"


@pytest.mark.parametrize("name", PATCHERS)
def test_what_it_listens_to_is_what_is_sent(name):
    said = directory.outgoing("/stemd", ("main",))
    knobs = directory.settings("/stemd", ("main",))
    routes = [b["text"].split()[1:] for b in boxes(load(name)).values() if _is(b, "route")]
    routed = {word for words in routes for word in words} - {"id"}
    assert routed
    assert routed <= {*said, *knobs}, routed - {*said, *knobs}
    # and the subscription covers them
    (pattern,) = {
        b["text"].split('"')[1]
        for b in boxes(load(name)).values()
        if b.get("text", "").startswith("/stemd/subscribe")
    }
    wanted = addresses.matching(pattern, [*said, *knobs], below=True)
    assert routed <= set(wanted), routed - set(wanted)


def _is(box, word):
    return box["maxclass"] == "newobj" and box["text"].split()[0] == word


@pytest.mark.parametrize("name", PATCHERS)
def test_its_subscription_is_answered_to_the_port_it_hears_on(name, speaker):
    """The message in the box, sent as Max would, from another socket than the one that hears."""
    (text,) = [
        b["text"]
        for b in boxes(load(name)).values()
        if b.get("text", "").startswith("/stemd/subscribe")
    ]
    address, pattern, rate, ttl, port = text.replace('"', "").split()
    with new_ear() as ear, new_ear() as mouth:
        message = OscMessageBuilder(address)
        message.add_arg(pattern)
        message.add_arg(float(rate))
        message.add_arg(float(ttl))
        assert port == "$1"
        message.add_arg(ear.getsockname()[1])
        mouth.sendto(message.build().dgram, ("127.0.0.1", speaker.port))
        assert hear(mouth)["/stemd/subscribed"][1:] == [pattern, 10.0]
        heard = {}
        wait_until(lambda: heard.update(hear(ear)) or "/stemd/drums/kick" in heard, "a kick")
        wait_until(lambda: heard.update(hear(ear)) or "/stemd/vocals/level" in heard, "a level")


def test_the_mixer_sends_what_is_understood():
    knobs = directory.settings("/stemd", ("main",))
    sent = {
        b["text"].split()[1]
        for b in boxes(load("max/stemd.maxpat")).values()
        if _is(b, "prepend") and b["text"] != "prepend id"
    }
    assert sent == {
        f"/stemd/{s}/{knob}"
        for s in ("vocals", "drums", "bass", "other")
        for knob in ("gain", "mute", "solo")
    }
    assert sent <= set(knobs)


def test_what_is_shown_is_not_sent_back():
    """What arrives for a knob goes through `set`, which no Max control passes on."""
    patcher = load("max/stemd.maxpat")
    there = boxes(patcher)
    lines = [(x["patchline"]["source"], x["patchline"]["destination"]) for x in patcher["lines"]]
    for (source, _), (target, _) in lines:
        if there[target]["maxclass"] in ("toggle", "slider") and not there[target].get(
            "ignoreclick"
        ):
            assert there[source]["text"] == "set $1"


def test_the_device_is_an_audio_effect_with_the_same_patcher():
    data = (BRIDGE / "ableton/stemd.amxd").read_bytes()
    chunks = {}
    while data:
        name, size = struct.unpack("<4sI", data[:8])
        chunks[name], data = data[8 : 8 + size], data[8 + size :]
        assert len(chunks[name]) == size
    assert list(chunks) == [b"ampf", b"meta", b"ptch"]
    assert chunks[b"ampf"] == b"aaaa"
    assert len(chunks[b"meta"]) == 4
    assert chunks[b"ptch"][-1:] == b"\0"
    assert json.loads(chunks[b"ptch"][:-1])["patcher"] == load("ableton/stemd.maxpat")


def test_each_slot_has_all_it_needs(make):
    patcher = load("ableton/stemd.maxpat")
    there = boxes(patcher)
    named = {b["varname"]: b for b in there.values() if b.get("parameter_enable")}
    assert len(named) == 1 + 4 * make.SLOTS
    assert {v[0] for v in patcher["parameters"].values()} == set(named)
    for slot in range(1, make.SLOTS + 1):
        values = named[f"Follow {slot}"]["saved_attribute_attributes"]["valueof"]
        assert values["parameter_enum"] == [name for name, _, _ in make.FOLLOWED]
        assert values["parameter_mmax"] == len(make.FOLLOWED) - 1 == 15
    remotes = [b for b in there.values() if _is(b, "live.remote~")]
    assert len(remotes) == make.SLOTS
    assert all(b["saved_object_attributes"]["_persistence"] == 1 for b in remotes)
    # The Map button must not be a parameter: clicking it would select it.
    buttons = [b for b in there.values() if b["maxclass"] == "textbutton"]
    assert len(buttons) == 2 * make.SLOTS
    assert not any(b["parameter_enable"] for b in buttons)


def test_no_parameter_is_an_int_of_more_values_than_live_has():
    """Cycling '74: type Int has up to 256; beyond, Float with the unit style Int."""
    for box in boxes(load("ableton/stemd.maxpat")).values():
        if box.get("parameter_enable"):
            values = box["saved_attribute_attributes"]["valueof"]
            low, high = values.get("parameter_mmin", 0), values.get("parameter_mmax", 127)
            assert values["parameter_type"] != 1 or high - low < 256, box["varname"]


def test_the_port_is_a_whole_number_to_whom_it_is_said():
    patcher = load("ableton/stemd.maxpat")
    there = boxes(patcher)
    lines = [(x["patchline"]["source"], x["patchline"]["destination"]) for x in patcher["lines"]]

    def behind(name):
        return [(there[target], inlet) for (source, _), (target, inlet) in lines if source == name]

    (port,) = [name for name, box in there.items() if box.get("varname") == "Port"]
    ((whole, _),) = behind(port)
    assert whole["text"] == "int"
    said = {(box["text"], inlet) for box, inlet in behind(whole["id"])}
    assert said == {("port $1", 0), ("int 9704", 1)}


def test_every_value_can_be_followed_in_every_slot():
    patcher = load("ableton/stemd.maxpat")
    there = boxes(patcher)
    lines = [(x["patchline"]["source"], x["patchline"]["destination"]) for x in patcher["lines"]]
    clips = [name for name, box in there.items() if _is(box, "clip")]
    for name, box in there.items():
        if _is(box, "switch"):
            inlets = {end[1]: source[0] for source, end in lines if end[0] == name}
            assert [inlets[k + 1] for k in range(16)] == clips


def test_nothing_shown_lies_on_something_else(make):
    for patcher in (make.live_device(),):
        shown = [b["box"] for b in patcher.boxes if b["box"].get("presentation")]
        for i, one in enumerate(shown):
            for other in shown[i + 1 :]:
                a, b = one["presentation_rect"], other["presentation_rect"]
                apart = (
                    a[0] + a[2] <= b[0]
                    or b[0] + b[2] <= a[0]
                    or a[1] + a[3] <= b[1]
                    or b[1] + b[3] <= a[1]
                )
                assert apart, (one, other)
            assert one["presentation_rect"][1] + one["presentation_rect"][3] <= 169  # Live's height
