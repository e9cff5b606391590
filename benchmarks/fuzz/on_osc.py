"""Datagrams of the OSC port: any bytes, and messages built of known addresses and odd arguments.

The stand is that of tests/sinks/fuzz.py: a sink with two feeds whose clients come and go.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from stemd.wire import osc
from tests.sinks.fuzz import TAGS, Fuzz

from .taker import Taker, check_sentence

MAX_PACKETS = 16  # of one input
CHECKED_EVERY = 64
MAX_INPUT_BYTES = 8192  # the inlet reads no more of a datagram


class Target:
    """See `surfaces.Target`; the first byte: raw, or built."""

    words = (
        b"#bundle\0",
        b"/stemd/",
        b"/stemd/two/",
        b",sffi\0\0\0",
        b",d\0\0",
        b"{a,b}",
        b"[!a-m]",
    )

    def __init__(self) -> None:
        self._fuzz = Fuzz(0)
        self._known = self._fuzz.addresses
        self._count = 0

    def __call__(self, data: bytes) -> None:
        taker = Taker(data)
        kind = taker.byte()
        if kind % 2 == 0:
            self._fuzz.take(taker.rest()[:MAX_INPUT_BYTES], 5000)
        else:
            for _ in taker.turns(MAX_PACKETS):
                self._fuzz.take(self._packet(taker)[:MAX_INPUT_BYTES], 5000 + taker.byte())
        for address, why in self._fuzz.complaints:
            check_sentence(f"{address}: {why}")
        self._fuzz.complaints.clear()
        self._count += 1
        self._fuzz.serve()
        if self._count % CHECKED_EVERY == 0:
            self._fuzz.check()
            assert self._fuzz.obeys()

    def seeds(self) -> Sequence[bytes]:
        """Good messages of each kind, raw; and some for the builder."""
        messages = [
            osc.message("/stemd/vocals/mute", 1),
            osc.message("/stemd/two/*/gain_db", -3.0),
            osc.message("/stemd/subscribe", "/stemd/*/level", 30.0, 5.0, 9000),
            osc.message("/stemd/renew", 1),
            osc.message("/stemd/preset", "verse"),
            osc.message("/stemd/model", "band_live"),
            osc.message("/stemd/ping", 3),
            osc.message("/stemd/{vocals,bass}/[!a-m]*/mute", 0),
        ]
        bundle = osc.BUNDLE_HEAD + b"".join(struct.pack(">i", len(m)) + m for m in messages[:3])
        nested = osc.BUNDLE_HEAD + struct.pack(">i", len(bundle)) + bundle
        built = [
            bytes([1, i, i * 7 % 256, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8]) for i in range(0, 250, 50)
        ]
        return [b"\0" + one for one in (*messages, bundle, nested)] + built

    def close(self) -> None:
        """Give everything back."""
        self._fuzz.close()

    def _packet(self, taker: Taker, depth: int = 0) -> bytes:
        kind = taker.byte()
        if kind > 160 and depth < 10:
            inside = [self._packet(taker, depth + 1) for _ in range(kind % 4)]
            head = osc.BUNDLE_HEAD[:8] + taker.bytes(8).ljust(8, b"\0")
            return head + b"".join(
                struct.pack(">i", len(one) + 4 * taker.chance(32)) + one for one in inside
            )
        address = taker.pick(self._known) if kind % 4 else "/stemd/" + taker.text()
        tags, body = b",", b""
        for _ in range(taker.byte() % 6):
            tag = bytes([taker.pick(TAGS)])
            tags += tag
            if tag == b"s":
                body += osc.string(taker.text())
            elif tag in b"dht":
                body += taker.bytes(8).ljust(8, b"\0")
            elif tag == b"b":
                blob = taker.bytes(taker.byte() % 16)
                body += struct.pack(">i", len(blob)) + blob + b"\0" * (-len(blob) % 4)
            elif tag in b"ifrmc":
                body += taker.bytes(4).ljust(4, b"\0")
        return osc.string(address) + tags + b"\0" * (4 - len(tags) % 4) + body
