"""The plugin's wire as literal bytes, both ways, and what is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stemd.wire
from stemd.errors import ProtocolError
from stemd.spec import STEMS
from stemd.wire import plugin
from stemd.wire.plugin import (
    FLAG_GAP,
    FLAG_OFFLINE,
    HEADER,
    MAX_FRAMES,
    MAX_POSITION,
    MAX_TEXT,
    Header,
    Hello,
    Type,
    decode_fields,
    decode_hello,
    decode_welcome,
    encode_hello,
    pack_header,
    unpack_message,
)

PAGE = (Path(stemd.wire.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")

AUDIO = bytes.fromhex(
    "5354494e 01 03 0200 07000000 80bb0000"  # STIN, version 1, AUDIO, 2 channels, epoch 7, 48 kHz
    "0001000000000000 02000000 03000000"  # position 256, 2 frames, offline and gap
    "8877665544332211 efcdab8967452301"  # t_ns, instance
)
AUDIO_HEADER = Header(Type.AUDIO, 2, 7, 48_000, 256, 2, 3, 0x1122334455667788, 0x0123456789ABCDEF)
STEMS_MESSAGE = bytes.fromhex(
    "5354494e 01 04 0800 07000000 00770100"
    "ff00000000000000 00010000 04000000"
    "0000000000000000 efcdab8967452301"
)
HELLO = b"protocol=1\nrole=insert\nblock=512\nlatency=1168\noffline=0\nname=Vocal Bus\n"


def test_audio_is_these_bytes():
    made = pack_header(
        Type.AUDIO,
        instance=0x0123456789ABCDEF,
        epoch=7,
        rate=48_000,
        position=256,
        frames=2,
        flags=FLAG_OFFLINE | FLAG_GAP,
        t_ns=0x1122334455667788,
    )
    assert made == AUDIO
    assert unpack_message(AUDIO, bytes(16)) == AUDIO_HEADER


def test_stems_are_these_bytes():
    made = pack_header(
        Type.STEMS,
        instance=0x0123456789ABCDEF,
        epoch=7,
        rate=96_000,
        position=255,
        frames=256,
        flags=plugin.FLAG_LATE,
    )
    assert made == STEMS_MESSAGE
    assert unpack_message(STEMS_MESSAGE, bytes(256 * 32)).channels == 2 * len(STEMS)


@pytest.mark.parametrize("kind", [t for t in Type if t not in (Type.AUDIO, Type.STEMS)])
def test_messages_without_audio_have_no_channels(kind):
    made = pack_header(kind, instance=1, epoch=2, rate=44_100, t_ns=3)
    expected = f"5354494e01{kind:02x}0000 02000000 44ac0000" + "00" * 16
    expected += "0300000000000000 0100000000000000"
    assert made == bytes.fromhex(expected)
    assert unpack_message(made, b"") == Header(kind, 0, 2, 44_100, 0, 0, 0, 3, 1)


def test_hello_is_this_text():
    hello = Hello(512, 1168, False, "Vocal Bus")
    assert encode_hello(hello) == HELLO
    assert decode_hello(HELLO) == hello


def test_hello_may_say_more_and_in_any_order():
    assert decode_hello(b"colour=red\n" + b"\n".join(HELLO.splitlines()[::-1])) == decode_hello(
        HELLO
    )


def changed(data, at, value):
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("header", "payload", "complaint"),
    [
        (b"", b"", "header: got 0 bytes, expected 48"),
        (AUDIO + b"\0", bytes(16), "header: got 49 bytes, expected 48"),
        (changed(AUDIO, 0, b"STMD"), bytes(16), "header.magic: got b'STMD', expected b'STIN'"),
        (changed(AUDIO, 4, b"\2"), bytes(16), "header.version: got 2, expected 1"),
        (changed(AUDIO, 5, b"\0"), bytes(16), "header.type: got 0, expected 1 to 8"),
        (changed(AUDIO, 5, b"\x09"), bytes(16), "header.type: got 9, expected 1 to 8"),
        (changed(AUDIO, 6, b"\1"), bytes(16), "header.channels: got 1, expected 2"),
        (changed(AUDIO, 24, bytes(4)), b"", "header.frames: got 0, expected 1 to 8192"),
        (changed(AUDIO, 24, b"\1\x20"), bytes(16), "header.frames: got 8193, expected 1 to 8192"),
        (AUDIO, bytes(15), "payload: got 15 bytes, expected 16"),
        (AUDIO, bytes(17), "payload: got 17 bytes, expected 16"),
        (
            changed(AUDIO, 16, b"\xff" * 8),
            bytes(16),
            f"header.position: got {2**64 - 1}, expected {MAX_POSITION} at most",
        ),
        (
            pack_header(Type.PING, instance=1, epoch=1),
            bytes(MAX_TEXT + 1),
            "payload: got 1025 bytes, expected 1024 at most",
        ),
    ],
)
def test_what_is_impossible_is_refused_with_a_sentence(header, payload, complaint):
    with pytest.raises(ProtocolError, match=re.escape(complaint)):
        unpack_message(header, payload)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"", "protocol: got none, expected 1"),
        (HELLO.replace(b"protocol=1", b"protocol=2"), "protocol: got 2, expected 1"),
        (HELLO.replace(b"insert", b"receiver"), "role: got receiver, expected insert"),
        (HELLO.replace(b"512", b"0"), "block: got 0, expected 1 to"),
        (HELLO.replace(b"1168", b"-1"), "latency: got -1, expected 0 to"),
        (HELLO.replace(b"1168", b"9" * 900), "latency: got 99999999999999999999, expected"),
        (HELLO.replace(b"1168", "¹".encode()), "latency: got ¹, expected"),
        (HELLO.replace(b"offline=0", b"offline=2"), "offline: got 2, expected 0 to 1"),
        (HELLO.replace(b"Vocal", b"\xff"), "payload: got invalid start byte, expected UTF-8"),
    ],
)
def test_a_hello_without_sense_is_refused_with_a_sentence(payload, complaint):
    with pytest.raises(ProtocolError, match=re.escape(complaint)):
        decode_hello(payload)


def test_a_name_is_cut_and_has_no_control_characters():
    payload = HELLO.replace(b"Vocal Bus", b"\x1b[31m" + "é".encode() * 60)
    assert decode_hello(payload).name == "[31m" + "é" * 30


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_any_bytes_are_a_message_or_refused(header, payload):
    try:
        unpack_message(header, payload)
    except ProtocolError:
        return
    assert len(header) == 48


@given(st.binary(max_size=200))
def test_any_bytes_are_a_hello_or_refused(payload):
    try:
        decode_hello(payload)
    except ProtocolError:
        return
    assert decode_fields(payload)["role"] == "insert"


def test_the_runtime_directory_is_the_users_own(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert plugin.default_endpoint(3) == "ipc:///run/user/7/stemd/plugin-3.sock"
    assert str(plugin.discovery_file(0)) == "/run/user/7/stemd/0.json"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert str(plugin.discovery_file(1)) == f"/tmp/stemd-{os.getuid()}/1.json"


def test_the_page_has_the_header_and_every_type():
    chapter = PAGE[PAGE.index("## Plugins") :].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (\w+) \| ([\w ]+) \|", chapter, re.M)
    sizes = {"4 bytes": "4s", "u8": "B", "u16": "H", "u32": "I", "u64": "Q"}
    assert "<" + "".join(sizes[kind] for _, _, kind in rows) == HEADER.format
    assert [name for _, name, _ in rows] == ["magic", "version", *Header._fields]
    for kind in Type:
        assert f"{int(kind)} {kind.name}" in chapter
    assert str(MAX_FRAMES) in chapter


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("algorithmic=", "algorithmic: got , expected 0 to 8388608"),
        ("minimum=x", "minimum: got x"),
        ("credit=99999999", "credit: got 99999999"),
    ],
)
def test_a_welcome_without_sense_is_refused_with_a_sentence(line, complaint):
    good = b"algorithmic=512\nminimum=700\ncredit=9000\n"
    assert decode_welcome(good)["minimum"] == "700"
    with pytest.raises(ProtocolError, match=complaint):
        decode_welcome(good + line.encode())
    with pytest.raises(ProtocolError, match="algorithmic: got none"):
        decode_welcome(b"")
