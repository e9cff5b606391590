"""Topics and payloads, as bytes and from bytes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemd.errors import ProtocolError
from stemd.spec import SOURCES, STEMS
from stemd.wire import topics
from stemd.wire.header import HEADER_BYTES, pack_header
from stemd.wire.messages import (
    decode_audio,
    decode_event,
    decode_features,
    decode_json,
    encode_event,
    encode_json,
    split_single,
)
from stemd.wire.receiver import Assembler, Counters, Freshness

from .test_header import FIELDS


def header(**changes):
    buffer = bytearray(HEADER_BYTES)
    pack_header(buffer, 0, **{**FIELDS, **changes})
    return bytes(buffer)


def test_topics_are_these_bytes():
    assert topics.audio("main", "vocals") == b"stemd/1/a/main/vocals/"
    assert topics.audio("main", "all") == b"stemd/1/a/main/all/"
    assert topics.features("two", "mix") == b"stemd/1/f/two/mix/"
    assert topics.events("main") == b"stemd/1/e/main/"
    assert topics.STATUS == b"stemd/1/s/"
    assert topics.WELCOME == b"stemd/1/w/"


def test_topics_come_apart_again():
    assert topics.split(b"stemd/1/a/main/all/") == ("a", "main", "all")
    assert topics.split(b"stemd/1/e/main/") == ("e", "main", "")
    assert topics.split(b"stemd/1/s/") == ("s", "", "")


@pytest.mark.parametrize(
    "topic",
    [
        b"",
        b"stemd/2/a/main/all/",
        b"stemd/1/a/main/all",
        b"stemd/1/a/main/",
        b"stemd/1/e/main/vocals/",
        b"stemd/1/x/main/",
        b"stemd/1/a//all/",
        b"stemd/1/s/x/",
        b"\xff\xfe/1/s/",
    ],
)
def test_foreign_topics_are_refused(topic):
    with pytest.raises(ProtocolError, match="topic: got"):
        topics.split(topic)


def test_no_topic_is_the_beginning_of_another():
    every = [topics.STATUS, topics.WELCOME]
    for feed in ("main", "main2", "m"):
        every.append(topics.events(feed))
        for stem in (*SOURCES, "all"):
            every += [topics.audio(feed, stem), topics.features(feed, stem)]
    for one in every:
        assert [other for other in every if other.startswith(one)] == [one]


def test_audio_is_planar():
    payload = np.arange(8, dtype="<f4").tobytes()
    frames = [b"stemd/1/a/main/bass/", header(n_frames=4, payload_bytes=32), payload]
    message = decode_audio(frames)
    assert (message.feed, message.stem) == ("main", "bass")
    np.testing.assert_array_equal(message.samples, [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert payload[16:20] == bytes.fromhex("00008040")  # right channel starts in the middle: 4.0


def test_features_are_one_frame_with_names():
    literal = (
        b"stemd/1/f/main/vocals/\0"
        + header(n_channels=3, payload_bytes=12)
        + bytes.fromhex("0000003f" "0000803f" "00000040")  # 0.5 1.0 2.0
    )  # fmt: skip
    row = decode_features(literal, ("rms", "peak"))  # the third is of a newer minor version
    assert (row.feed, row.source) == ("main", "vocals")
    assert (row["rms"], row["peak"]) == (0.5, 1.0)


def test_features_with_a_longer_header_are_read():
    longer = bytearray(header(n_channels=1, payload_bytes=4) + b"more")
    longer[6:8] = (100).to_bytes(2, "little")
    message = b"stemd/1/f/main/mix/\0" + bytes(longer) + bytes.fromhex("0000803f")
    assert decode_features(message, ("rms",))["rms"] == 1.0


def test_an_onset_is_these_bytes():
    literal = bytes.fromhex("01000000" "2a000000" "0000403f" "00000000")  # fmt: skip
    assert encode_event(1, 42, 0.75) == literal
    event = decode_event([b"stemd/1/e/main/", header(dtype=0, latency_frames=0), literal])
    assert (event.feed, event.source, event.kind) == ("main", "bass", 1)
    assert (event.count, event.strength) == (42, 0.75)
    assert event.header.content_pos == 1024


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([], "got 0 frames"),
        ([b"stemd/1/a/main/all/", header()], "got 2 frames"),
        ([b"stemd/1/f/main/mix/", header(), b""], "expected audio"),
        ([b"stemd/1/a/main/all/", header(), b"short"], "payload: got 5 bytes"),
        ([b"stemd/1/a/main/all/", header(dtype=2), bytes(2048)], "header.dtype: got 2"),
        ([b"stemd/1/a/main/all/", header(payload_bytes=4), bytes(4)], "512 float32"),
        ([b"stemd/1/a/main/all/", header(n_frames=0, payload_bytes=0), b""], "n_frames: got 0"),
        (
            [b"stemd/1/a/main/all/", header(rate_nominal=2**32 - 1), bytes(2048)],
            "rate_nominal: got 4294967295 Hz",
        ),
    ],
)
def test_audio_that_does_not_add_up_is_refused(frames, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        decode_audio(frames)


@pytest.mark.parametrize("decode", [decode_audio, decode_event])
@given(frames=st.lists(st.binary(max_size=150), max_size=4))
def test_no_frames_do_more_than_be_refused(decode, frames):
    with pytest.raises(ProtocolError):
        decode(frames)


@given(st.binary(max_size=150), st.integers(0, 96), st.binary(max_size=4))
def test_damaged_messages_are_read_or_refused(rest, at, damage):
    good = header(n_channels=1, payload_bytes=4)
    damaged = good[:at] + damage + good[at + len(damage) :]
    for decode, message in (
        (decode_features, b"stemd/1/f/main/mix/\0" + damaged + rest),
        (decode_audio, [b"stemd/1/a/main/all/", damaged, rest]),
        (decode_event, [b"stemd/1/e/main/", damaged, rest]),
    ):
        try:
            decode(message)
        except ProtocolError as error:
            assert "got" in str(error)  # noqa: PT017


def test_single_frames_split_at_the_first_nul():
    assert split_single(b"stemd/1/s/\0{\0}") == (b"stemd/1/s/", b"{\0}")
    with pytest.raises(ProtocolError, match="expected topic NUL content"):
        split_single(b"x" * 200 + b"\0")


def test_json_carries_no_nan():
    assert encode_json({"a": [1.5, float("nan"), float("inf")]}) == b'{"a":[1.5,null,null]}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b'"x"',
        b"{",
        b"\xff",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"' + b"x" * 20_000 + b'"}',
    ],
)
def test_what_is_no_json_object_is_refused(data):
    with pytest.raises(ProtocolError, match="message: got"):
        decode_json(data, 16_384)


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()))
def test_json_comes_back(value):
    expected = {k: None if v in (float("inf"), -float("inf")) else v for k, v in value.items()}
    assert json.loads(encode_json(value)) == expected


def test_a_hole_is_filled_in_a_bounded_number_of_blocks():
    """A stream of one sample a block, which then jumps: a hole of many blocks, not of much time."""
    counters = Counters()
    freshness = Freshness(False, math.inf)
    assembler = Assembler("main", STEMS, False, freshness, 1.0, counters)
    for at, rate in ((0, 48_000), (100_000, 768_000), (100_011, 48_000)):
        head = header(n_frames=1, n_channels=8, payload_bytes=32, sample_pos=at, rate_nominal=rate)
        assembler.take([b"stemd/1/a/main/all/", head, bytes(32)])
    blocks = list(iter(assembler.pop, None))
    assert [block.filled for block in blocks] == [False, False, *[True] * 10, False]
    assert blocks[1].lost == counters.lost == 99_999
    assert counters.filled == 10
