"""Requests and settings at the door."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemd.errors import ProtocolError
from stemd.wire.control import (
    SETTINGS,
    Setting,
    check_value,
    db_of_gain,
    decode_request,
    decode_settings,
    gain_of_db,
)

FEEDS = ("main", "drummer")


def test_a_request_is_an_object_with_op_and_id():
    request = decode_request(b'{"op":"set","id":7,"stem":"vocals","gain":0.5}')
    assert (request.op, request.id) == ("set", 7)
    assert request.fields == {"stem": "vocals", "gain": 0.5}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"{}", "op: got None, expected one of hello"),
        (b'{"op":"format_disk"}', "op: got 'format_disk'"),
        (b'{"op":["get"]}', "op: got "),
        (b'{"op":"get","id":[1]}', "id: got "),
        (b'{"op":"get","id":"' + b"x" * 65 + b'"}', "id: got "),
        (b"x" * 20_000, "at most 16384"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(data, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_request(data)


def test_settings_know_their_place():
    fields = {"feed": "drummer", "stem": "bass", "gain_db": -20, "mute": True, "bypass": 1}
    assert decode_settings({**fields, "onset_threshold": 0.2, "paused": False}, FEEDS) == [
        Setting("gain", 1, 3, pytest.approx(0.1)),
        Setting("mute", 1, 3, 1.0),
        Setting("bypass", 1, 0, 1.0),
        Setting("onset_threshold", 1, 3, 0.2),
        Setting("paused", 0, 0, 0.0),
    ]


def test_drums_and_tempo_know_their_place():
    fields = {"feed": "drummer", "drum": "hihat", "drum_threshold": 2, "tempo_low_bpm": 90}
    assert decode_settings(fields, FEEDS) == [
        Setting("drum_threshold", 1, 2, 2.0),
        Setting("tempo_low_bpm", 1, 0, 90.0),
    ]
    assert decode_settings({"stem": "mix", "pitch_confidence": 0.5}, FEEDS) == [
        Setting("pitch_confidence", 0, 0, 0.5)
    ]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "set: got nothing to set"),
        ({"stem": "vocals"}, "set: got nothing to set"),
        ({"gain": 1}, "gain: got no stem"),
        ({"stem": "mix", "gain": 1}, "stem: got 'mix', expected one of"),
        ({"stem": "piano", "gain": 1}, "stem: got 'piano'"),
        ({"feed": "nobody", "paused": 1}, "feed: got 'nobody', expected one of main, drummer"),
        ({"stem": "bass", "gain": 11}, "gain: got 11, expected 0 to 10"),
        ({"stem": "bass", "gain": -0.1}, "gain: got -0.1"),
        ({"stem": "bass", "gain_db": 21}, "gain_db: got 21, expected -120 to 20"),
        ({"stem": "bass", "mute": 2}, "mute: got 2, expected true or false"),
        ({"stem": "bass", "mute": 0.5}, "mute: got 0.5"),
        ({"stem": "bass", "mute": "yes"}, "mute: got 'yes', expected a number"),
        ({"stem": "bass", "gain": 10**400}, "gain: got a huge number"),
        ({"stem": "bass", "gain": 1, "volume": 3}, "set: got 'volume'"),
        ({"drum_threshold": 2}, "drum_threshold: got no drum, expected drum to be one of"),
        ({"drum": "cowbell", "drum_threshold": 2}, "drum: got 'cowbell', expected one of kick"),
        ({"drum": "kick", "drum_threshold": 0}, "drum_threshold: got 0, expected 0.1 to 10"),
        ({"stem": "bass", "pitch_low_hz": 5}, "pitch_low_hz: got 5, expected 20 to 5000"),
        ({"tempo_lock": 2}, "tempo_lock: got 2, expected true or false"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(fields, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_settings(fields, FEEDS)


def test_the_bottom_of_the_decibels_is_silence():
    assert gain_of_db(-120) == 0.0
    assert gain_of_db(0) == 1.0
    assert db_of_gain(0.0) == -120.0
    assert db_of_gain(10.0) == pytest.approx(20.0)


@given(st.sampled_from(sorted(SETTINGS)), st.floats())
def test_values_that_pass_are_in_range(name, value):
    limits = SETTINGS[name]
    try:
        checked = check_value(name, value)
    except ProtocolError:
        in_range = limits.low <= value <= limits.high
        assert not in_range or (limits.switch and value not in (0.0, 1.0))
    else:
        assert limits.low <= checked <= limits.high


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(["op", "id", "feed", "stem", *SETTINGS, "gain_db"]) | st.text(max_size=4)
ours = st.sampled_from(["set", "get", "main", "bass", "mix", 0, 1, 0.5, -3])


@given(st.dictionaries(keys, json_values | ours, max_size=6))
def test_no_json_does_more_than_be_refused(value):
    try:
        request = decode_request(json.dumps(value).encode())
        settings = decode_settings(request.fields, FEEDS)
    except ProtocolError:
        return
    for setting in settings:
        assert setting.feed in (0, 1)
        assert setting.source in range(5)
        assert check_value(setting.name, setting.value) == setting.value


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data):
    with pytest.raises(ProtocolError):
        decode_request(data)
