"""Hops of any length to Opus packets that all listeners of a feed find at the same positions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..codec import Encoder
from ..spec import N_CHANNELS, OPUS_FRAME, OPUS_RATE
from ..wire.header import FLAG_DISCONTINUITY


class Packet(NamedTuple):
    """What became of OPUS_FRAME samples."""

    sample_pos: int  # of the first sample it decodes to
    t_capture_ns: int  # of that sample; 0: unknown
    flags: int
    data: bytes


class OpusStream:
    """One stem, encoded while somebody listens.

    Packets begin at multiples of OPUS_FRAME of the output clock, whenever it was that somebody
    began to listen, so that the stems of a feed stay aligned. A new session or a hole begins anew.

    Parameters
    ----------
    kbps : int
    """

    def __init__(self, kbps: int) -> None:
        self._kbps = kbps
        self._samples = np.zeros((N_CHANNELS, OPUS_FRAME), np.float32)
        self._encoder: Encoder  # made by the first hop, as by each that does not follow the last
        self._session = 0
        self._next = -1  # sample expected
        self._fill = self._flags = self._first_ns = self._skip = 0

    def _begin(self, session: int, sample_pos: int) -> None:
        self._encoder = Encoder(self._kbps)
        self._session, self._next = session, sample_pos
        self._fill = 0
        self._flags = FLAG_DISCONTINUITY
        self._first_ns = 0
        # What lies before the first whole frame is left out; nothing is dated before the start.
        first = max(sample_pos, self._encoder.delay)
        self._skip = -(-first // OPUS_FRAME) * OPUS_FRAME - sample_pos

    def process(self, hop: Any, samples: np.ndarray[Any, Any]) -> list[Packet]:
        """Packets that (c, n) samples of a hop complete."""
        session, sample_pos = int(hop["session"]), int(hop["sample_pos"])
        if (session, sample_pos) != (self._session, self._next):
            self._begin(session, sample_pos)
        n = samples.shape[1]
        self._next = sample_pos + n
        at = min(self._skip, n)
        self._skip -= at
        packets = []
        while at < n:
            if self._fill == 0:
                self._first_ns = _later(int(hop["t_capture_ns"]), at - self._encoder.delay)
            self._flags |= int(hop["flags"])
            taken = min(n - at, OPUS_FRAME - self._fill)
            self._samples[:, self._fill : self._fill + taken] = samples[:, at : at + taken]
            self._fill += taken
            at += taken
            if self._fill == OPUS_FRAME:
                first = sample_pos + at - OPUS_FRAME - self._encoder.delay
                data = self._encoder.encode(self._samples)
                packets.append(Packet(first, self._first_ns, self._flags, data))
                self._fill = self._flags = 0
        return packets


def _later(t_ns: int, samples: int) -> int:
    return t_ns + samples * 1_000_000_000 // OPUS_RATE if t_ns else 0
