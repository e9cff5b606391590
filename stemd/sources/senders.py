"""One sender on the network, from its datagrams to samples that are due."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import NetworkConfig
from ..errors import ProtocolError
from ..processors.drift import DriftCorrector
from ..processors.extrapolate import Extrapolator
from ..processors.jitter import JitterBuffer, Put
from ..processors.offset import ClockOffset
from ..processors.playout import Playout
from ..wire.seal import TO_BOX, TO_SENDER, Opener, Sealer
from ..wire.uplink import (
    FLAG_RESENT,
    HEADER_BYTES,
    MAX_RESENT,
    Header,
    Hello,
    Type,
    decode_audio,
    decode_times,
    encode_positions,
    pack_header,
)

GONE_S = 3.0  # without a word
ALLOWED = 6.0  # times the datagrams its blocks need: copies sent again, bursts; beyond is a flood
BURST_S = 1.0
FIRST_PINGS, QUICK_S, PING_S = 8, 0.1, 1.0
ABSURD_NS = 60_000_000_000  # a first sample so far from when it must have been is not believed
FIFO_S = 0.5
CUSHION_BLOCKS = 2.0  # of the larger of both blocks, between two senders' clocks


@dataclass
class Counts:
    """Since the daemon started, for the feeds of one sender."""

    received: int = 0  # datagrams of audio
    late: int = 0  # blocks after their time
    duplicates: int = 0
    recovered: int = 0  # blocks played from a copy or sent again
    asked: int = 0  # blocks asked for again
    concealed: int = 0  # samples invented
    lost: int = 0  # samples passed over: the sender was away, or lost them itself
    seams: int = 0
    flooded: int = 0
    slips: int = 0  # samples invented or dropped between two senders' clocks


class Inbound:
    """A session of one sender.

    Parameters
    ----------
    hello : Hello
    session : int
    key : bytes
        32, or none.
    config : NetworkConfig
    counts : Counts
        Goes on from the session before.

    Attributes
    ----------
    address, route : Any, bytes
        Where to answer over UDP, over ZeroMQ.
    """

    def __init__(
        self, hello: Hello, session: int, key: bytes, config: NetworkConfig, counts: Counts
    ) -> None:
        self.hello, self.session, self.counts = hello, session, counts
        self.opener, self.sealer = Opener(key, TO_BOX), Sealer(key, TO_SENDER)
        self.secure = bool(key)
        self.address: Any = None
        self.route = b""
        self.identity = ""  # key or address it came from
        rate, block_s = hello.rate, hello.frames / hello.rate
        least_s, most_s = config.buffer_min_ms * 1e-3, config.buffer_max_ms * 1e-3
        start_s = max(config.buffer_start_ms * 1e-3, 2 * block_s)
        if config.buffer_ms:
            least_s = most_s = start_s = config.buffer_ms * 1e-3
        self.playout = Playout(rate, least_s, max(most_s, least_s), start_s, config.bias * block_s)
        self.jitter = JitterBuffer(rate, hello.frames, self.playout)
        self.extrapolator = Extrapolator(rate, hello.channels)
        self.offset = ClockOffset()
        self.samplerate = float(rate)  # Hz, as the sender measures its own
        self._resend = config.resend and hello.transport == "udp"
        self._copies = 0
        self.heard_s = time.monotonic()
        self._pings = 0
        self._ping_s = 0.0
        # What comes from elsewhere than the sender's own address has a share of its own: strangers
        # who repeat its datagrams use up theirs.
        self._own = _Share(ALLOWED / block_s, self.heard_s)
        self._others = _Share(ALLOWED / block_s, self.heard_s)
        self._fifo: _Fifo | None = None
        self.cut = False  # what is heard of it next does not follow what was

    # -- in ---------------------------------------------------------------------------------------

    def receive(
        self, header: Header, datagram: Any, now_s: float, counts: bool, address: Any = None
    ) -> bool:
        """Take a datagram of this session, from an address.

        Returns
        -------
        opened : bool
            False: part of a flood, dropped unopened. Whose it was, nobody knows.

        Raises
        ------
        ProtocolError
            When it is not the sender's, or makes no sense.
        """
        share = self._own if address == self.address else self._others
        if not share.take(now_s):
            self.counts.flooded += 1
            return False
        view = memoryview(datagram)
        payload = self.opener.open(header.counter, view[:HEADER_BYTES], view[HEADER_BYTES:])
        self.heard_s = now_s
        if header.type == Type.AUDIO:
            self._take(header, payload, now_s, counts)
        elif header.type == Type.PONG:
            asked_ns, heard_ns = decode_times(payload)
            self.offset.add(asked_ns, heard_ns, header.t_ns, round(now_s * 1e9))
        return True

    def _take(self, header: Header, payload: bytes, now_s: float, counts: bool) -> None:
        hello = self.hello
        if header.channels != hello.channels or header.frames > hello.frames:
            raise ProtocolError(
                f"audio: got {header.frames} x {header.channels}, "
                f"expected {hello.frames} x {hello.channels} as in HELLO"
            )
        self.counts.received += 1
        self._copies = header.copies
        if header.rate:
            self.samplerate = header.rate
        resent = bool(header.flags & FLAG_RESENT)
        for i, (position, block) in enumerate(decode_audio(header, payload)):
            first_ns = header.t_ns - (header.position - position) * 1_000_000_000 // hello.rate
            copy = i > 0
            put = self.jitter.put(position, block, first_ns, now_s, copy or resent, counts)
            if put == Put.LATE and not copy:
                self.counts.late += 1
            elif put == Put.DUPLICATE and not copy:
                self.counts.duplicates += 1

    # -- out --------------------------------------------------------------------------------------

    def pull(self, now_s: float) -> tuple[np.ndarray[Any, Any], int, int, bool] | None:
        """What is due: (n, c) samples, time of the first on our clock in ns, samples lost before
        it, and whether there is a seam in it."""
        piece = self.jitter.pull(now_s)
        if piece is None:
            return None
        counts = self.counts
        if piece.block is None:
            samples = self.extrapolator.conceal(piece.n)
            counts.concealed += piece.n
            counts.seams += not self._in_hole
            self._in_hole = seam = True
        else:
            samples = piece.block
            seam = self.extrapolator.process(samples) or piece.lost > 0
            counts.recovered += piece.recovered
            counts.lost += piece.lost
            self._in_hole = False
        first_ns = round((now_s - self.playout.delay_s) * 1e9) - self.block_ns
        if self.offset.known:
            told_ns = piece.first_ns - self.offset.offset_ns
            if abs(told_ns - first_ns) < ABSURD_NS:
                first_ns = told_ns
        return samples, first_ns, piece.lost, seam

    _in_hole = False

    @property
    def block_ns(self) -> int:
        """Length of a block."""
        return self.hello.frames * 1_000_000_000 // self.hello.rate

    @property
    def away(self) -> bool:
        """Nothing to play."""
        return self.jitter.stalled or self.jitter.position < 0

    def datagrams(self, now_s: float) -> list[bytes]:
        """What the sender is to be told now."""
        told = []
        if now_s >= self._ping_s:
            self._pings += 1
            self._ping_s = now_s + (QUICK_S if self._pings < FIRST_PINGS else PING_S)
            told.append(self._datagram(Type.PING, b""))
        if self._resend and self.offset.known:
            missing = self.jitter.missing(now_s, self.offset.way_s, self._copies)
            for i in range(0, len(missing), MAX_RESENT):
                part = missing[i : i + MAX_RESENT]
                self.counts.asked += len(part)
                told.append(self._datagram(Type.NACK, encode_positions(part)))
        return told

    def bye(self) -> bytes:
        """The last word."""
        return self._datagram(Type.BYE, b"")

    def _datagram(self, type_: Type, payload: bytes) -> bytes:
        header = pack_header(
            type_,
            session=self.session,
            counter=self.sealer.counter,
            t_ns=time.monotonic_ns(),
        )
        return self.sealer.seal(header, payload)

    # -- beside another sender's clock ------------------------------------------------------------

    def follow(self, driver_block: int) -> _Fifo:
        """What stands between this sender's clock and the one that drives."""
        target = CUSHION_BLOCKS * max(driver_block, self.hello.frames)
        if self._fifo is not None and self._fifo.target < target:
            self.lead()  # one with longer blocks drives: what waits would never last for one
        if self._fifo is None:
            self._fifo = _Fifo(self.hello, target)
        return self._fifo

    def lead(self) -> None:
        """This sender's clock drives: what waits between the two clocks falls out, softly."""
        if self._fifo is not None:
            self.counts.slips += self._fifo.fill
            self.extrapolator.reset()  # its past was not heard yet
            self.begin_softly()
        self._fifo, self.cut = None, True

    def begin_softly(self) -> None:
        """Fade the next block in, as after a hole."""
        self.extrapolator.conceal(1)


class _Share:
    """So many a second, and so many at once."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._left = per_s * BURST_S
        self._refilled_s = now_s

    def take(self, now_s: float) -> bool:
        """Whether there is room for one more."""
        more = (now_s - self._refilled_s) * self._per_s
        self._left = min(self._left + more, self._per_s * BURST_S)
        self._refilled_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class _Fifo:
    """Samples resampled to another sender's clock."""

    def __init__(self, hello: Hello, target: float) -> None:
        self._hello = hello
        self.target = target
        self._drift = DriftCorrector(1.0, hello.channels, target)
        self._samples = np.zeros((round(FIFO_S * hello.rate), hello.channels), np.float32)
        self._fill = 0
        self._primed = False
        self._taken = self._given = 0
        self._seam_until = 0

    @property
    def fill(self) -> int:
        """Samples that wait."""
        return self._fill

    @property
    def ppm(self) -> float:
        """Correction in force."""
        return float(self._drift.ppm)

    def put(self, samples: np.ndarray[Any, Any], seam: bool) -> int:
        """Take what is due; returns samples dropped."""
        elapsed_s = len(samples) / self._hello.rate
        out = self._drift.process(samples, self._fill, elapsed_s)
        n = min(len(out), len(self._samples) - self._fill)
        self._samples[self._fill : self._fill + n] = out[:n]
        self._fill += n
        self._taken += n
        if seam:
            self._seam_until = self._taken
        return len(out) - n

    def take(self, n: int) -> tuple[np.ndarray[Any, Any], int, bool]:
        """The next `n`, how many of them had to be silence, and whether there is a seam."""
        out = np.zeros((n, self._samples.shape[1]), np.float32)
        if not self._primed and self._fill < self.target:
            return out, 0, False
        starting, self._primed = not self._primed, True
        got = min(n, self._fill)
        out[:got] = self._samples[:got]
        self._samples[: self._fill - got] = self._samples[got : self._fill].copy()
        self._fill -= got
        seam = starting or self._given < self._seam_until or got < n
        self._given += got
        if got < n:
            self._primed = False  # fill up first, or every block would have a hole
            self._drift.reset()
        return out, n - got, seam


def next_due_s(senders: list[Inbound]) -> float:
    """When one of them has something to play."""
    return min((one.jitter.next_due_s() for one in senders), default=math.inf)
