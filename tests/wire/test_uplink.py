"""The senders' wire as literal bytes, both ways, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stemd.wire
from stemd.errors import ProtocolError
from stemd.wire.seal import TO_BOX, TO_SENDER, WINDOW, Opener, Sealer
from stemd.wire.uplink import (
    FLAG_GAP,
    HEADER,
    HEADER_BYTES,
    MAX_DATAGRAM,
    TAG_BYTES,
    Encoding,
    Header,
    Hello,
    Type,
    Welcome,
    decode_audio,
    decode_block,
    decode_hello,
    decode_positions,
    decode_text,
    decode_times,
    decode_welcome,
    encode_block,
    encode_hello,
    encode_positions,
    encode_times,
    encode_welcome,
    largest_block,
    pack_header,
    payload_bytes,
    unpack_header,
)

PAGE = (Path(stemd.wire.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")

AUDIO = bytes.fromhex(
    "53545550 01 01 02 03 8877665544332211"  # STUP, version 1, AUDIO, 2 channels, s24, session
    "0500000000000000 0001000000000000"  # counter 5, position 256
    "00ca9a3b00000000 0200 01 02 4b6cdc02"  # t_ns 1 s, 2 frames, 1 copy, gap, 48000.075 Hz
)
PAYLOAD = bytes.fromhex(
    "000040 0000c0 ffff7f 000080"  # 0.5 -0.5, full scale both ways, at 24 bits
    "0020 00e0 0000 0100"  # 0.25 -0.25, 0 and the least step, at 16 bits
)
AUDIO_HEADER = Header(
    Type.AUDIO, 2, Encoding.S24, 0x1122334455667788, 5, 256, 10**9, 2, 1, FLAG_GAP, 48_000.075
)
HELLO = (
    b"HELLO\nprotocol=1\nrole=send\nname=pi-1\nrate=48000\nchannels=2\nframes=128\n"
    b"encoding=s24\ntransport=udp\n"
)
WELCOME = b"WELCOME\nprotocol=1\nsession=7\nkey=" + b"ab" * 32 + b"\nport=5573\nfeeds=main\n"


def audio_header(**changed):
    fields = AUDIO_HEADER._asdict() | changed
    return pack_header(fields.pop("type"), **fields)


def test_audio_is_these_bytes():
    assert audio_header() == AUDIO
    first = encode_block(np.array([[0.5, -0.5], [1.0, -1.0]], np.float32), Encoding.S24)
    copy = encode_block(np.array([[0.25, -0.25], [0.0, 2.0**-15]], np.float32), Encoding.S16)
    assert first + copy == PAYLOAD


def test_these_bytes_are_audio():
    header = unpack_header(AUDIO + PAYLOAD)
    assert header == AUDIO_HEADER
    (position, newest), (before, copy) = decode_audio(header, PAYLOAD)
    assert (position, before) == (256, 254)
    np.testing.assert_array_equal(newest, [[0.5, -0.5], [1.0 - 2.0**-23, -1.0]])
    np.testing.assert_array_equal(copy, [[0.25, -0.25], [0.0, 2.0**-15]])


def test_the_handshake_is_these_bytes():
    hello = Hello("pi-1", 48_000, 2, 128, Encoding.S24, "udp")
    assert encode_hello(hello) == HELLO
    verb, fields = decode_text(HELLO)
    assert (verb, decode_hello(fields)) == ("HELLO", hello)
    welcome = Welcome(7, b"\xab" * 32, 5573, "main")
    assert encode_welcome(welcome) == WELCOME
    verb, fields = decode_text(WELCOME)
    assert (verb, decode_welcome(fields)) == ("WELCOME", welcome)


def test_times_and_positions_are_these_bytes():
    times = bytes.fromhex("0100000000000000 feffffffffffffff")
    assert (encode_times(1, -2), decode_times(times)) == (times, (1, -2))
    positions = bytes.fromhex("8000000000000000 0001000000000000")
    assert (encode_positions([128, 256]), decode_positions(positions)) == (positions, (128, 256))


def test_sealed_is_these_bytes():
    sealer = Sealer(bytes(range(32)), TO_BOX)
    sealer.counter = 5
    sealed = sealer.seal(AUDIO, PAYLOAD)
    assert sealed == AUDIO + bytes.fromhex(SEALED)
    opener = Opener(bytes(range(32)), TO_BOX)
    assert opener.open(5, sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]) == PAYLOAD


SEALED = "2308d60a45e5b8c1f4aa39c8259530439e3e8245e6bee06ee73da139a3111a3311f17752"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({0: 0}, "header.magic"),
        ({4: 2}, "header.version: got 2, expected 1"),
        ({5: 9}, "header.type: got 9, expected 1 to 5"),
        ({6: 0}, "header.channels: got 0"),
        ({6: 65}, "header.channels: got 65"),
        ({7: 0}, "header.encoding: got 0"),
        ({31: 255}, "header.position"),
        ({40: 0}, "header.frames: got 0"),
        ({41: 255}, "header.frames"),
        ({42: 4}, "header.copies: got 4, expected 3 at most"),
        ({5: 2}, "header.type: got 2 with audio, expected none"),
    ],
)
def test_what_cannot_be_is_refused(change, sentence):
    wrong = bytearray(AUDIO + PAYLOAD)
    for at, value in change.items():
        wrong[at] = value
    with pytest.raises(ProtocolError, match=sentence):
        unpack_header(wrong)


def test_a_payload_of_another_length_is_refused():
    with pytest.raises(ProtocolError, match="payload: got 19 bytes, expected 20"):
        decode_audio(AUDIO_HEADER, PAYLOAD[:-1])
    with pytest.raises(ProtocolError, match="copies: got 1 of blocks before the first"):
        decode_audio(AUDIO_HEADER._replace(position=1), PAYLOAD)


@given(st.binary(max_size=200))
def test_nonsense_is_refused_and_nothing_else(data):
    for decode in (unpack_header, decode_times, decode_positions):
        try:
            decode(data)
        except ProtocolError:
            continue
    try:
        _, fields = decode_text(data)
        decode_hello(fields)
    except ProtocolError:
        pass


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("protocol=2", "protocol: got 2, expected 1"),
        ("name=", "name: got ''"),
        ("name=" + "x" * 33, "name: got"),
        ("rate=1", "rate: got 1, expected 8000 to 192000"),
        ("rate=" + "9" * 5000, "rate: got 99999"),
        ("encoding=mp3", "encoding: got mp3"),
        ("transport=pigeon", "transport: got pigeon"),
        ("frames=7", "frames: got 7, expected 8 to 1024"),
    ],
)
def test_a_hello_without_sense_is_refused(line, sentence):
    _, fields = decode_text(HELLO)
    key, _, value = line.partition("=")
    with pytest.raises(ProtocolError, match=re.escape(sentence)):
        decode_hello(fields | {key: value})


@pytest.mark.parametrize("encoding", [Encoding.F32, Encoding.S16, Encoding.S24])
def test_encodings_keep_what_they_can(encoding):
    noise = np.random.default_rng(0).uniform(-1, 1, (128, 3)).astype(np.float32)
    back = decode_block(encode_block(noise, encoding), 3, encoding)
    step = {Encoding.F32: 0.0, Encoding.S16: 2.0**-16, Encoding.S24: 2.0**-24}[encoding]
    assert np.abs(back - noise).max() <= step * 1.01  # half a step
    loud = decode_block(encode_block(4 * noise, encoding), 3, encoding)
    assert np.abs(loud).max() <= (4.0 if encoding == Encoding.F32 else 1.0)


def test_what_is_no_audio_becomes_silence():
    wrong = np.array([[np.nan, np.inf], [-3e38, 0.5]], np.float32)
    back = decode_block(encode_block(wrong, Encoding.F32), 2, Encoding.F32)
    np.testing.assert_array_equal(back, [[0, 0], [0, 0.5]])


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("copies", [0, 1, 3])
def test_a_block_fits_a_datagram(channels, copies):
    for encoding in (Encoding.F32, Encoding.S16, Encoding.S24):
        frames = largest_block(channels, encoding, copies, 1024)
        size = payload_bytes(frames, channels, encoding, copies) + HEADER_BYTES + TAG_BYTES
        more = payload_bytes(frames + 8, channels, encoding, copies) + HEADER_BYTES + TAG_BYTES
        assert size <= MAX_DATAGRAM < more


def sealed(sealer):
    header = audio_header(counter=sealer.counter)
    return unpack_header(header).counter, header, sealer.seal(header, PAYLOAD)[HEADER_BYTES:]


def test_nothing_is_let_in_twice_or_changed_or_from_elsewhere():
    key = b"k" * 32
    sealer, opener = Sealer(key, TO_BOX), Opener(key, TO_BOX)
    made = [sealed(sealer) for _ in range(WINDOW + 3)]
    assert opener.open(*made[1]) == PAYLOAD
    assert opener.open(*made[0]) == PAYLOAD  # late is not twice
    for again in (made[0], made[1]):
        with pytest.raises(ProtocolError, match="again"):
            opener.open(*again)
    counter, header, payload = made[2]
    for wrong in (
        (counter, header, bytes([payload[0] ^ 1]) + payload[1:]),
        (counter, header[:-1] + b"\0", payload),
        (counter + 1, header, payload),
        sealed(Sealer(b"x" * 32, TO_BOX)),
        sealed(Sealer(key, TO_SENDER)),
        (counter, header, b""),
    ):
        with pytest.raises(ProtocolError):
            opener.open(*wrong)
    assert opener.open(counter, header, payload) == PAYLOAD  # forgeries spoil nothing
    assert opener.open(*made[WINDOW + 2]) == PAYLOAD
    with pytest.raises(ProtocolError, match="again"):
        opener.open(*made[2])
    with pytest.raises(ProtocolError, match="again"):
        opener.open(*made[0])  # before the window
    assert opener.open(*made[3]) == PAYLOAD


def test_the_page_has_the_header():
    table = PAGE[PAGE.index("## Senders") :]
    rows = re.findall(r"^\| (\d+) \| ([\w ]+?) \| (\w+|4 bytes) \|", table, re.M)
    sizes = {"4 bytes": "4s", "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q"}
    layout = "<" + "".join(sizes[kind] for _, _, kind in rows[:13])
    assert layout == HEADER.format
    names = [name for _, name, _ in rows[:13]]
    assert names == ["magic", "version", *Header._fields]


@pytest.mark.parametrize("session", ["-1", "18446744073709551616", "", "x", "1.5"])
def test_a_welcome_whose_session_no_header_can_say_is_refused(session):
    with pytest.raises(ProtocolError, match="session"):
        decode_welcome({"session": session, "key": "", "port": "1"})
