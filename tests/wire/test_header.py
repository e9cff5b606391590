"""96 bytes, written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemd.errors import ProtocolError
from stemd.wire.header import HEADER_BYTES, Header, pack_header, unpack_header

# Every field has another value, so that two that change places are noticed.
FIELDS = {
    "session": 0x1122334455667788,
    "seq": 3,
    "sample_pos": 1024,
    "t_capture_ns": 1_700_000_000_000_000_000,
    "t_publish_mono_ns": 987_654_321,
    "rate_measured": 47_999.5,
    "rate_nominal": 48_000,
    "n_frames": 256,
    "n_channels": 2,
    "dtype": 1,
    "stem": 3,
    "state": 2,
    "flags": 0x25,
    "latency_frames": 512,
    "lost_input_frames": 7,
    "config_rev": 9,
    "payload_bytes": 2048,
}
LITERAL = bytes.fromhex(
    "53544d44"  # STMD
    "01" "00" "6000"
    "8877665544332211"
    "0300000000000000"
    "0004000000000000"
    "00002a36fe9c9717"
    "b168de3a00000000"
    "00000000f06fe740"
    "80bb0000"
    "00010000"
    "0200" "01" "01" "03" "02" "2500"
    "00020000"
    "07000000"
    "09000000"
    "00080000"
    "00000000"
    "00000000"
)  # fmt: skip


def packed(**changes):
    buffer = bytearray(HEADER_BYTES)
    pack_header(buffer, 0, **{**FIELDS, **changes})
    return bytes(buffer)


def test_a_header_is_these_bytes():
    assert packed() == LITERAL


def test_these_bytes_are_a_header():
    assert unpack_header(LITERAL) == Header(**FIELDS, layout=1)
    assert unpack_header(LITERAL).content_pos == 512


def test_a_header_can_stand_anywhere():
    buffer = bytearray(b"\xaa" * 110)
    pack_header(buffer, 10, **FIELDS)
    assert buffer == b"\xaa" * 10 + LITERAL + b"\xaa" * 4
    assert unpack_header(buffer, 10) == unpack_header(LITERAL)


def test_counters_wrap():
    header = unpack_header(packed(lost_input_frames=(1 << 32) + 5, config_rev=(1 << 32) + 6))
    assert (header.lost_input_frames, header.config_rev) == (5, 6)


def test_a_newer_minor_version_is_read():
    newer = bytearray(LITERAL + b"new field")
    newer[5] = 7
    newer[6:8] = len(newer).to_bytes(2, "little")
    header = unpack_header(newer)
    assert (header.version_minor, header.header_bytes) == (7, 105)
    assert header.sample_pos == 1024


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda b: b[:95], "header: got 95 bytes, expected 96"),
        (lambda b: b"", "header: got 0 bytes"),
        (lambda b: b"RIFF" + b[4:], "header.magic: got b'RIFF'"),
        (lambda b: b[:4] + b"\x02" + b[5:], "header.version: got 2.0, expected 1.x"),
        (lambda b: b[:6] + b"\x5f\x00" + b[8:], "header.header_len: got 95"),
        (lambda b: b[:6] + b"\x61\x00" + b[8:], "header.header_len: got 97"),
    ],
)
def test_what_is_not_a_header_is_refused(change, complaint):
    with pytest.raises(ProtocolError, match=complaint.replace(".", r"\.")):
        unpack_header(change(LITERAL))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data):
    with pytest.raises(ProtocolError):
        unpack_header(data)


@given(st.binary(min_size=88, max_size=120))
def test_no_fields_do_more_than_be_refused(rest):
    header = unpack_header(LITERAL[:8] + rest)
    assert header.header_bytes == 96


def whole(bits):
    return st.integers(0, 2**bits - 1)


signed = st.integers(-(2**63), 2**63 - 1)


@given(
    st.fixed_dictionaries(
        {
            "session": whole(64),
            "seq": whole(64),
            "sample_pos": whole(64),
            "t_capture_ns": signed,
            "t_publish_mono_ns": signed,
            "rate_measured": st.floats(allow_nan=False),
            "rate_nominal": whole(32),
            "n_frames": whole(32),
            "n_channels": whole(16),
            "dtype": whole(8),
            "stem": whole(8),
            "state": whole(8),
            "flags": whole(16),
            "latency_frames": whole(32),
            "lost_input_frames": whole(32),
            "config_rev": whole(32),
            "payload_bytes": whole(32),
        }
    )
)
def test_what_goes_in_comes_out(fields):
    assert unpack_header(packed(**fields)) == Header(**fields, layout=1)
