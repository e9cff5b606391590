"""Audio as other programs expect it in UDP packets: VBAN and ReaStream.

Pure: no sockets here. Both split a block into packets of at most an Ethernet frame. Sources:
VB-Audio, VBAN protocol specifications, revision 11; Cockos, ReaStream format.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

VBAN_PORT = 6980
VBAN_HEADER = struct.Struct("<4sBBBB16sI")
VBAN_BYTES = 1436  # of samples in a packet
VBAN_FRAMES = 256
VBAN_FLOAT32 = 4
VBAN_NAME = 16
# The place in this list is what the header says.
VBAN_RATES = tuple(low << octave for low in (6_000, 8_000, 11_025) for octave in range(7))

REASTREAM_PORT = 58710
REASTREAM_HEADER = struct.Struct("<4sI32sBIH")
REASTREAM_BYTES = 1200
REASTREAM_NAME = 31  # the last byte is always 0

SAMPLE_BYTES = 4


def vban_packets(name: str, samplerate: int, block: np.ndarray[Any, Any], counter: int) -> Any:
    """Packets of one block; the next block's first counter is `counter` and their number on.

    name : at most 16 ASCII characters
    samplerate : Hz, one of `VBAN_RATES`
    block : (c, n) float32
    """
    channels = len(block)
    most = min(VBAN_FRAMES, VBAN_BYTES // (SAMPLE_BYTES * channels))
    for k, part in enumerate(_parts(block, most)):
        header = VBAN_HEADER.pack(
            b"VBAN",
            VBAN_RATES.index(samplerate),
            part.shape[1] - 1,
            channels - 1,
            VBAN_FLOAT32,
            name.encode(),
            (counter + k) & 0xFFFFFFFF,
        )
        yield header + np.ascontiguousarray(part.T, "<f4").tobytes()


def reastream_packets(name: str, samplerate: int, block: np.ndarray[Any, Any]) -> Any:
    """Packets of one block; they carry neither number nor time.

    name : at most 31 ASCII characters
    samplerate : Hz
    block : (c, n) float32
    """
    channels = len(block)
    for part in _parts(block, REASTREAM_BYTES // (SAMPLE_BYTES * channels)):
        size = part.size * SAMPLE_BYTES
        total = REASTREAM_HEADER.size + size
        header = REASTREAM_HEADER.pack(b"MRSR", total, name.encode(), channels, samplerate, size)
        yield header + np.ascontiguousarray(part, "<f4").tobytes()


def _parts(block: np.ndarray[Any, Any], most: int) -> list[np.ndarray[Any, Any]]:
    """As few pieces as possible, of nearly equal length."""
    n = -(-block.shape[1] // most)
    return np.array_split(block, n, axis=1)
