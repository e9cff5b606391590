"""Our OSC against literals, and against python-osc in both directions."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from stemd.errors import ProtocolError
from stemd.wire import addresses, osc

LEVEL = bytes.fromhex(
    "2362756e646c6500"  # #bundle
    "0000000000000001"  # immediately
    "0000001c"
    "2f7374656d642f766f63616c732f6c6576656c00"  # /stemd/vocals/level
    "2c660000"
    "3f000000"  # 0.5
)  # fmt: skip
STATE = bytes.fromhex(
    "00000018"
    "2f7374656d642f737461746500000000"  # /stemd/state
    "2c690000"
    "00000002"
)  # fmt: skip


def filled():
    bundle = osc.Bundle()
    assert bundle.empty
    assert bundle.add(osc.head("/stemd/vocals/level", "f"), 0.5)
    assert bundle.add(osc.head("/stemd/state", "i"), 2)
    return bundle


def test_a_bundle_is_these_bytes():
    assert bytes(filled().packet) == LEVEL + STATE


def test_a_bundle_is_what_python_osc_would_build():
    builder = OscBundleBuilder(IMMEDIATELY)
    for address, value, tag in (("/stemd/vocals/level", 0.5, "f"), ("/stemd/state", 2, "i")):
        message = OscMessageBuilder(address)
        message.add_arg(value, tag)
        builder.add_content(message.build())
    assert bytes(filled().packet) == builder.build().dgram


def test_python_osc_reads_our_bundle():
    messages = [m.message for m in OscPacket(bytes(filled().packet)).messages]
    assert [(m.address, m.params) for m in messages] == [
        ("/stemd/vocals/level", [0.5]),
        ("/stemd/state", [2]),
    ]


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    st.lists(
        st.integers(-(2**31) + 1, 2**31 - 1)
        | st.floats(width=32, allow_nan=False)
        | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
        max_size=5,
    ),
)
def test_python_osc_reads_our_messages_and_writes_the_same(address, values):
    address = "/" + address
    ours = osc.message(address, *values)
    theirs = OscMessageBuilder(address)
    for value in values:
        theirs.add_arg(value, {int: "i", float: "f", str: "s"}[type(value)])
    assert ours == theirs.build().dgram
    assert OscMessage(ours).params == values


def test_a_bundle_stays_within_one_packet():
    bundle = osc.Bundle()
    head = osc.head("/stemd/vocals/level_db", "f")
    n = 0
    while bundle.add(head, -12.0):
        n += 1
    assert len(bundle.packet) <= 1400 < len(bundle.packet) + len(head) + 4
    assert len(OscPacket(bytes(bundle.packet)).messages) == n
    bundle.clear()
    assert bundle.empty


@pytest.mark.parametrize("n", [0, 1, 36, 37, 100])
def test_many_floats_are_as_many_single_ones(n):
    heads = [osc.head(f"/stemd/vocals/value{i:04}", "f") for i in range(n)]
    values = [float(i) for i in range(n)]
    one, many = osc.Bundle(), osc.Bundle()
    fitting = sum(one.add(head, value) for head, value in zip(heads, values, strict=True))
    assert many.add_floats(heads, values) == fitting
    assert many.packet == one.packet
    many.clear()
    assert many.add_floats(heads, values, fitting) == min(n, 2 * fitting)
    assert many.empty == (n == fitting)


def test_counters_stop_at_the_end_of_int32():
    assert OscMessage(osc.message("/x", 2**40)).params == [2**31 - 1]
    assert osc.clip_int(-(2**40)) == -(2**31) + 1


def test_text_is_ascii_without_surprises():
    assert osc.string("a\0é") == b"a??\0"
    assert osc.string("four") == b"four\0\0\0\0"


def test_bundles_open_whatever_their_time():
    inner = osc.message("/a", 1)
    late = b"#bundle\0" + struct.pack(">II", 0xFFFFFFFF, 0) + struct.pack(">i", len(inner)) + inner
    outer = (
        osc.BUNDLE_HEAD
        + struct.pack(">i", len(late))
        + late
        + struct.pack(">i", 8)
        + b"/b\0\0,\0\0\0"
    )
    assert list(osc.messages(outer)) == [inner, b"/b\0\0,\0\0\0"]


@pytest.mark.parametrize("size", [-4, -(2**31), 0, 3, 5, 12, 2**31 - 1])
def test_bundles_of_wrong_size_end(size):
    # python-osc 1.10.2 never returns from the first of these.
    packet = osc.BUNDLE_HEAD + struct.pack(">i", size) + b"/b\0\0,\0\0\0"
    with pytest.raises(ProtocolError, match="osc: got an element of"):
        list(osc.messages(packet))


def test_bundles_in_bundles_end():
    packet = b"/b\0\0,\0\0\0"
    for _ in range(9):
        packet = osc.BUNDLE_HEAD + struct.pack(">i", len(packet)) + packet
    with pytest.raises(ProtocolError, match="8 deep"):
        list(osc.messages(packet))


@given(st.binary(max_size=100))
def test_no_bundle_does_more_than_be_refused(rest):
    try:
        found = list(osc.messages(b"#bundle\0" + rest))
    except ProtocolError:
        return
    assert sum(map(len, found)) <= len(rest)


KNOWN = ("/stemd/vocals/mute", "/stemd/bass/mute", "/stemd/bass/solo", "/stemd/bypass")


@pytest.mark.parametrize(
    ("pattern", "n"),
    [
        ("/stemd/*/mute", 2),
        ("/stemd/bas?/*", 2),
        ("/stemd/{vocals,bass}/mute", 2),
        ("/stemd/[a-c]*/mute", 1),
        ("/*/*", 1),
        ("/stemd/*", 1),
        ("*", 0),
        ("/stemd/{a,b/mute", 0),
        ("/stemd/" + "{a,b}" * 10, 0),
        ("/" + "*" * 200, 0),
        ("/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a/mute", 0),
    ],
)
def test_patterns_match_part_by_part(pattern, n):
    assert len(addresses.matching(pattern, KNOWN)) == n


@given(st.text("/stemd*?[]{},!-a\\", max_size=40))
def test_no_pattern_does_more_than_not_match(pattern):
    assert set(addresses.matching(pattern, KNOWN)) <= set(KNOWN)


def test_the_first_feed_needs_no_name():
    assert addresses.bases("/stemd", ["main", "two"]) == ["/stemd", "/stemd/two"]
    assert addresses.source_address("/stemd/two", 1, "level") == "/stemd/two/vocals/level"


@pytest.mark.parametrize(
    "data", [b"", b"/", b"/abc", b"x\0\0\0,i\0\0", b"/a\0\0,[]\0", b"/a\0\0,ifz\0"]
)
def test_messages_without_address_or_of_odd_types_are_refused(data):
    with pytest.raises(ProtocolError, match="osc: got"):
        osc.check_types(data)


@pytest.mark.parametrize(
    "data", [b"/a\0\0", b"/a\0\0,\0\0\0", b"/abc\0\0\0\0,ifTF\0\0\0" + bytes(8)]
)
def test_messages_of_numbers_pass(data):
    osc.check_types(data)
