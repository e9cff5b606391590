"""Wrong OSC packets without end, and what must still be true after them."""

from __future__ import annotations

import random
import struct
import time

import numpy as np
from pythonosc.osc_message import OscMessage

from stemd.desk import Desk
from stemd.sinks.osc import OscSink, Vitals
from stemd.sinks.osc_clients import MAX_CLIENTS
from stemd.sinks.osc_inlet import MAX_PEERS, Gate
from stemd.spec import SOURCES, StreamSpec
from stemd.status import Status
from stemd.wire import osc
from stemd.wire.control import SETTINGS, Setting
from stemd.wire.directory import outgoing, settings, verbs

from .support import make_hop

SPEC = StreamSpec.of("live", 48_000, n_feeds=2)
FEEDS = ("main", "two")
TAGS = b"ifsbhdrmtTFNI[]x,\0"


class Fuzz:
    """A sink with two feeds, fed with nonsense; `wrong` counts what it must have refused."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._status = Status.create(len(FEEDS))
        presets = {"verse": [Setting("mute", 0, 1, 1.0)]}
        self._desk = Desk(self._status, FEEDS, presets)
        self.sink = OscSink(
            SPEC,
            FEEDS,
            self._desk,
            lambda: Vitals(2, 0.1, 0, 0, 0),
            [],
            ("127.0.0.1", 0),
            answer=lambda request, local: lambda: {},
        )
        inlet = self.sink._inlet
        assert inlet
        self._inlet = inlet
        self.replies = 0
        self.complaints: list[tuple[str, str]] = []  # where, why
        inlet.send = self._take_reply  # type: ignore[method-assign]
        # Every sender is let in and has as many messages as it likes: the parser is what is tested.
        inlet._gate = _OpenGate()
        # Seldom what only goes out: it is refused at once.
        self._outgoing = [*outgoing("/stemd", FEEDS)]
        self._settings = [*settings("/stemd", FEEDS)]
        self._verbs = [*verbs("/stemd", FEEDS, ["verse"])]
        self._patterns = ["/stemd/*/mute", "/stemd/{vocals,two}/*", "/*", "/stemd/[!a-m]*/gain"]
        self._hop = make_hop(0, SPEC)
        self.sent = 0
        self.wrong = 0
        self.worst_s = 0.0

    @property
    def addresses(self) -> list[str]:
        """All there are, and some patterns."""
        return [*self._settings, *self._verbs, *self._patterns, *self._outgoing]

    def run(self, n: int) -> None:
        """So many packets, a hop and a service every thirty-two."""
        for _ in range(n):
            packet, is_wrong = self._packet()
            counted = self.take(packet, 5000 + self._random.randrange(5000))
            assert counted or not is_wrong, packet
            if self.sent % 32 == 0:
                self.serve()

    def take(self, packet: bytes, port: int) -> bool:
        """One datagram of whoever has this port; whether it was counted as wrong."""
        before = self._inlet.errors
        start = time.perf_counter()
        self._inlet.take(packet, ("127.0.0.1", port))
        self.worst_s = max(self.worst_s, time.perf_counter() - start)
        counted = self._inlet.errors - before
        assert counted <= 1
        self.wrong += counted
        self.sent += 1
        return counted == 1

    def serve(self) -> None:
        """A hop, and what is due."""
        self.sink.write(self._hop)
        self.sink.service()
        self._inlet._messages = 0

    def check(self) -> None:
        """Whatever came in, every knob stands where it may, and nothing is remembered for ever."""
        for name, limits in SETTINGS.items():
            value = np.asarray(self._status.mixer[name])
            assert np.isfinite(value).all(), name
            assert (value >= np.float32(limits.low)).all(), name
            assert (value <= np.float32(limits.high)).all(), name
        assert self.sink.clients <= MAX_CLIENTS
        assert len(self._inlet._gate._peers) <= MAX_PEERS
        assert not self.sink._orders._pending

    def obeys(self) -> bool:
        """Whether a good packet still does what it says."""
        for on in (1, 0, 1):
            self._inlet.take(osc.message("/stemd/two/bass/mute", on), ("127.0.0.1", 9))
            if self._status.mixer["mute"][1, 2] != on:
                return False
        return True

    def close(self) -> None:
        """Give everything back."""
        self.sink.close()
        self._status.close()

    def _take_reply(self, packet: bytes, peer: object) -> None:
        for data in osc.messages(packet):
            osc.check_types(data)
        if packet.startswith((b"/stemd/error\0", b"/stemd/fail\0")):
            where, why = OscMessage(packet).params
            self.complaints.append((where, why))
        self.replies += 1

    def _packet(self) -> tuple[bytes, bool]:
        """Bytes, and whether they are surely wrong."""
        kind = self._random.randrange(5)
        if kind == 0:
            data = self._random.randbytes(self._random.randrange(200))
            return data, not data.startswith((b"/", b"#bundle\0"))
        if kind == 1:
            return self._message(), False
        if kind == 2:
            return self._mutated(self._message()), False
        inside = [self._message() for _ in range(self._random.randrange(4))]
        bundle = self._random.randbytes(8) + b"".join(
            struct.pack(">i", len(one)) + one for one in inside
        )
        bundle = b"#bundle\0" + bundle
        return (bundle if kind == 3 else self._mutated(bundle)), False

    def _message(self) -> bytes:
        (known,) = self._random.choices(
            (self._outgoing, self._settings, self._verbs, self._patterns), (1, 6, 6, 2)
        )
        address = osc.string(self._random.choice(known))
        if self._random.random() < 0.7:  # what somebody means well
            values = (0, 1, 0.5, -3.0, 1e9, "verse", "/stemd/*/level", SOURCES[0])
            count = self._random.randrange(4)
            message = osc.message("/x", *self._random.choices(values, k=count))
            return address + message[4:]
        tags = b"," + bytes(self._random.choices(TAGS, k=self._random.randrange(6)))
        tags += b"\0" * (4 - len(tags) % 4)
        return address + tags + self._random.randbytes(4 * self._random.randrange(8))

    def _mutated(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(1 + self._random.randrange(4)):
            what = self._random.randrange(3)
            at = self._random.randrange(len(changed) + 1)
            if what == 0 and at < len(changed):
                changed[at] = self._random.randrange(256)
            elif what == 1:
                del changed[at : at + self._random.randrange(8)]
            else:
                changed[at:at] = self._random.randbytes(self._random.randrange(8))
        return bytes(changed)


class _OpenGate(Gate):
    """Knows everybody, and counts, but refuses nothing."""

    def __init__(self) -> None:
        super().__init__(None)

    def spends(self, peer: object, now: float) -> bool:
        super().spends(peer, now)
        return True
