"""VBAN and ReaStream, byte by byte, and as a receiver would put them together again."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from stemd.wire.datagrams import reastream_packets, vban_packets


def block(n: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(n).standard_normal((channels, n)).astype(np.float32)


def test_a_vban_packet_by_hand() -> None:
    (packet,) = vban_packets("stemd-bass", 48_000, np.array([[0.5], [-1.0]], np.float32), 7)
    assert packet == (
        b"VBAN"
        b"\x03"  # 48 kHz, audio
        b"\x00"  # one frame
        b"\x01"  # two channels
        b"\x04"  # float32, PCM
        b"stemd-bass\0\0\0\0\0\0"
        b"\x07\x00\x00\x00"
        b"\x00\x00\x00\x3f\x00\x00\x80\xbf"
    )


def test_a_reastream_packet_by_hand() -> None:
    block = np.array([[0.5, 0.25], [-1.0, 0.0]], np.float32)
    (packet,) = reastream_packets("stemd-vocals", 44_100, block)
    assert (
        packet
        == (
            b"MRSR"
            b"\x3f\x00\x00\x00"  # 47 bytes of header, 16 of samples
            b"stemd-vocals" + bytes(20) + b"\x02"
            b"\x44\xac\x00\x00"  # 44100
            b"\x10\x00"
            b"\x00\x00\x00\x3f\x00\x00\x80\x3e\x00\x00\x80\xbf\x00\x00\x00\x00"
        )
    )


@pytest.mark.parametrize("n", [1, 128, 256, 512, 1000])
def test_vban_packets_make_the_block_again(n: int) -> None:
    given = block(n)
    heard, counter = [], (1 << 32) - 1
    for packet in vban_packets("x", 44_100, given, counter):
        assert len(packet) <= 1464
        magic, rate, frames, channels, kind, name, number = struct.unpack(
            "<4sBBBB16sI", packet[:28]
        )
        assert (magic, rate, channels, kind, name[:2]) == (b"VBAN", 16, 1, 4, b"x\0")
        assert number == counter & 0xFFFFFFFF
        counter += 1
        heard.append(np.frombuffer(packet[28:], "<f4").reshape(frames + 1, 2).T)
    np.testing.assert_array_equal(np.concatenate(heard, axis=1), given)


@pytest.mark.parametrize("n", [1, 128, 256, 512, 1000])
def test_reastream_packets_make_the_block_again(n: int) -> None:
    given = block(n)
    heard = []
    for packet in reastream_packets("x", 48_000, given):
        magic, total, _, channels, rate, size = struct.unpack("<4sI32sBIH", packet[:47])
        assert (magic, total, channels, rate) == (b"MRSR", len(packet), 2, 48_000)
        assert size == len(packet) - 47 <= 1200
        heard.append(np.frombuffer(packet[47:], "<f4").reshape(2, -1))
    np.testing.assert_array_equal(np.concatenate(heard, axis=1), given)
