"""Senders on the network: handshake over ZeroMQ, audio over UDP or through the same connection.

The first sender's own clock drives the stream: its samples go on as they came, each once. Other
senders are resampled to it, for all feeds of one daemon share one sample clock. When it is away,
the next one drives.
"""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from ..config import Config
from ..errors import ConfigError, DeviceError, ProtocolError
from ..processors.seam import raised_cosine
from ..spec import N_CHANNELS
from ..status import Status
from ..wire.uplink import (
    MAGIC,
    MAX_MESSAGE,
    Hello,
    Type,
    Welcome,
    decode_hello,
    decode_text,
    encode_text,
    encode_welcome,
    unpack_header,
)
from .base import Stopping, Writer
from .senders import GONE_S, Counts, Inbound, next_due_s

PER_ROUND = 256  # datagrams and messages each, so that a flood leaves time to play
WAIT_S = 0.02  # without anything to do
LATE_LOOK_S = 3e-3  # what is read then says nothing of the network
HELLOS_PER_S = 20.0
MOST_COUNTED = (1 << 63) - 1  # what the status holds
MAX_COUNTED = 256  # names whose counts go on when they come back
RECEIVE_BYTES = 1 << 20
EXPEDITED = 0xB8
STATUS_S = 0.2


class NetworkSource:
    """The box's end of `stemd send`.

    Parameters
    ----------
    config : Config
        `network`, and of `feed` the names, senders and channels.
    section : status section, written to
    guard : (zmq.Context) -> Keyring, or None
        Who may come; None: everybody, and nothing is encrypted.
    fits : () -> int
        How many feeds can be separated in time; 0: not known.
    """

    def __init__(
        self,
        config: Config,
        section: Any,
        guard: Callable[[Any], Any] | None = None,
        fits: Callable[[], int] = lambda: 0,
    ) -> None:
        network = config.network
        self.samplerate = config.stream_rate
        self.blocksize = 0
        self.label = f"network, {network.bind}:{network.port}"
        self._config, self._network, self._section = config, network, section
        self._make_guard = guard
        self._guard: Any = None
        self._fits = fits
        self._context = zmq.Context()
        self._router: Any = None
        self._udp: Any = None
        self._senders: dict[int, Inbound] = {}  # by session
        self._feeds: dict[int, list[int]] = {}  # session: feeds it fills
        self._counts: dict[str, Counts] = {}  # by name
        self._last: dict[int, str] = {}  # feed: sender that filled it
        self._driver: Inbound | None = None
        self._tokens, self._refilled_s = HELLOS_PER_S, time.monotonic()
        self._written = self._lost = 0
        self._stall_s = config.runtime.stall_ms * 1e-3  # then the stream itself ends softly
        self._heard: dict[int, Inbound] = {}  # feed: who filled it in the newest rows …
        self._heard_s = 0.0  # … and when that was
        self._newest = np.zeros((0, N_CHANNELS * len(config.feed)), np.float32)
        self._status_s = 0.0

    def open(self) -> None:
        """Listen."""
        # Odd where a process that was killed had a sender: it never saw them go.
        self._section["admissions"] += self._section["admissions"] & 1
        network = self._network
        router = self._router = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.MAXMSGSIZE, MAX_MESSAGE),
            (zmq.RCVHWM, 1024),
            (zmq.SNDHWM, 64),
            (zmq.HEARTBEAT_IVL, 1000),
            (zmq.HEARTBEAT_TIMEOUT, 3000),
            (zmq.TOS, EXPEDITED),
        ):
            router.setsockopt(option, value)
        if self._make_guard is not None:
            try:
                self._guard = self._make_guard(self._context)
            except ConfigError as error:
                raise DeviceError(str(error)) from error
            self._guard.guard(router, "send")
        family = socket.AF_INET6 if ":" in network.bind else socket.AF_INET
        host = f"[{network.bind}]" if ":" in network.bind else network.bind
        if family == socket.AF_INET6:
            router.setsockopt(zmq.IPV6, 1)
        place = f"{host}:{network.port}"
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._udp.setblocking(False)
        try:
            router.bind(f"tcp://{place}")
            self._udp.bind((network.bind, network.port))
        except (OSError, zmq.ZMQError) as error:
            raise DeviceError(f"network: got {place} ({error}), expected a free address") from error
        Status.set_text(self._section, "endpoint", place)
        self._section["secure"] = self._guard is not None
        self.label = f"network, {place}, " + (
            f"encrypted, key {self._guard.public}"
            if self._guard is not None
            else "INSECURE: everybody may send and listen"
        )

    def run(self, writer: Writer, stopping: Stopping) -> bool:
        """Play what comes until told to stop."""
        files = [self._udp.fileno(), self._router.getsockopt(zmq.FD)]
        planned_s = time.monotonic()
        while not stopping():
            now_s = time.monotonic()
            fresh = now_s - planned_s < LATE_LOOK_S
            if self._guard is not None:
                self._guard.service()
            self._read_messages(now_s, fresh)
            self._read_datagrams(fresh)
            self._play(writer)
            now_s = time.monotonic()
            self._tell(now_s)
            self._tidy(now_s)
            wait_s = min(
                max(next_due_s(list(self._senders.values())) - time.monotonic(), 0), WAIT_S
            )
            planned_s = time.monotonic() + wait_s
            if wait_s > 0 and not self._router.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                ready = select.select(files, [], [], wait_s)[0]
                if ready:
                    planned_s = time.monotonic()
        for one in list(self._senders.values()):
            self._send(one, one.bye())
        return False

    def close(self) -> None:
        """Give the ports back."""
        if self._udp is not None:
            self._udp.close()
        if self._guard is not None:
            self._guard.close()
        self._context.destroy(linger=0)

    # -- in ---------------------------------------------------------------------------------------

    def _read_datagrams(self, fresh: bool) -> None:
        section = self._section
        for _ in range(PER_ROUND):
            try:
                datagram, address = self._udp.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier datagram
                continue
            one = self._senders.get(int.from_bytes(datagram[8:16], "little"))
            if one is None or one.hello.transport != "udp":
                section["strangers"] += 1
                continue
            if self._receive(one, datagram, fresh, address):
                one.address = address

    def _read_messages(self, now_s: float, fresh: bool) -> None:
        router = self._router
        for _ in range(PER_ROUND):
            if not router.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                return
            parts = router.recv_multipart(zmq.NOBLOCK, copy=False)
            if len(parts) != 2:
                self._section["bad"] += 1
                continue
            route, message = parts[0].bytes, parts[1]
            data = message.bytes
            if data[:4] == MAGIC:
                one = self._senders.get(int.from_bytes(data[8:16], "little"))
                if one is None or one.route != route:
                    self._section["strangers"] += 1
                else:
                    self._receive(one, data, fresh)
            else:
                self._greet(route, message, data, now_s)

    def _receive(self, one: Inbound, datagram: bytes, fresh: bool, address: Any = None) -> bool:
        """Whether it was the sender's."""
        section, opener = self._section, one.opener
        forged, replayed = opener.forged, opener.replayed
        try:
            header = unpack_header(datagram)
            opened = one.receive(header, datagram, time.monotonic(), fresh, address)
        except ProtocolError:
            section["forged"] += opener.forged - forged
            section["replayed"] += opener.replayed - replayed
            section["bad"] += (opener.forged, opener.replayed) == (forged, replayed)
            return False
        if opened and header.type == Type.BYE:
            self._evict(one)
        return opened

    # -- who comes --------------------------------------------------------------------------------

    def _greet(self, route: bytes, frame: Any, data: bytes, now_s: float) -> None:
        self._tokens = min(self._tokens + (now_s - self._refilled_s) * HELLOS_PER_S, HELLOS_PER_S)
        self._refilled_s = now_s
        if self._tokens < 1.0:
            self._section["flooded"] += 1
            return
        self._tokens -= 1.0
        self._section["hellos"] += 1
        try:
            verb, fields = decode_text(data)
            if verb != "HELLO":
                raise ProtocolError(f"message: got {verb[:20]!r}, expected HELLO")
            hello = decode_hello(fields)
            identity = _identity(frame)
            answer = encode_welcome(self._admit(hello, route, identity, now_s))
        except ProtocolError as error:
            self._section["refused"] += 1
            answer = encode_text("REFUSED", {"reason": str(error)})
        try:
            self._router.send_multipart([route, answer], zmq.NOBLOCK)
        except zmq.ZMQError:
            self._section["unsent"] += 1

    def _admit(self, hello: Hello, route: bytes, identity: str, now_s: float) -> Welcome:
        if hello.rate != self.samplerate:
            raise ProtocolError(
                f"rate: got {hello.rate} Hz, expected {self.samplerate} as this box runs at"
            )
        for one in list(self._senders.values()):
            if one.hello.name == hello.name:
                alive = now_s - one.heard_s < GONE_S
                if alive and one.identity != identity:
                    raise ProtocolError(
                        f"name: got {hello.name!r}, expected one that no other sender has"
                    )
                self._evict(one)
        feeds = self._feeds_for(hello)
        session = secrets.randbits(64) | 1
        key = secrets.token_bytes(32) if self._guard is not None else b""
        if hello.transport == "tcp":
            key = b""  # the connection itself is sealed, or nothing is
        counts = self._counts_of(hello.name)
        one = Inbound(hello, session, key, self._network, counts)
        one.route, one.identity = route, identity
        one.begin_softly()
        self._senders[session] = one
        self._feeds[session] = feeds
        for feed in feeds:
            self._last[feed] = hello.name
            self._section["admissions"][feed] += 1
        names = ",".join(self._config.feed[i].name for i in feeds)
        return Welcome(session, key, self._network.port, names)

    def _counts_of(self, name: str) -> Counts:
        """Of a sender since the daemon started; who was away longest is forgotten."""
        counts = self._counts.pop(name, None) or Counts()
        while len(self._counts) >= MAX_COUNTED:
            del self._counts[next(iter(self._counts))]
        self._counts[name] = counts
        return counts

    def _feeds_for(self, hello: Hello) -> list[int]:
        """Feeds that name this sender; else one that names none and is free."""
        config = self._config.feed
        taken = {i for feeds in self._feeds.values() for i in feeds}
        wanted = [i for i, feed in enumerate(config) if feed.sender == hello.name]
        if not wanted:
            free = [i for i, feed in enumerate(config) if not feed.sender and i not in taken]
            # A sender that comes back finds its place.
            free.sort(key=lambda i: (self._last.get(i) != hello.name, i in self._last, i))
            wanted = free[:1]
        if not wanted:
            named = ", ".join(feed.sender for feed in config if feed.sender)
            raise ProtocolError(
                f"feeds: got one more, expected {len(config)} at most"
                + (f" (kept for {named})" if named else "")
            )
        fits = self._network.limit or self._fits()
        if fits and len(taken) + len(wanted) > fits:
            raise ProtocolError(
                f"feeds: got {len(taken) + len(wanted)}, expected {fits} at most: this machine "
                f"separates no more in time with profile {self._config.profile}"
            )
        need = max(max(config[i].channels) for i in wanted)
        if hello.channels < need and hello.channels != 1:
            raise ProtocolError(f"channels: got {hello.channels}, expected {need} for the feeds")
        return wanted

    def _evict(self, one: Inbound) -> None:
        if self._senders.pop(one.session, None) is None:
            return
        for feed in self._feeds.pop(one.session):
            self._section["admissions"][feed] += 1
        if self._driver is one:
            self._driver = None

    # -- out --------------------------------------------------------------------------------------

    def _play(self, writer: Writer) -> None:
        now_s = time.monotonic()
        for one in self._senders.values():
            one.playout.advance(now_s)
        driver = self._choose_driver()
        if driver is None:
            return
        frames = driver.hello.frames
        for one in self._senders.values():
            if one is not driver:
                fifo = one.follow(frames)
                while (pulled := one.pull(now_s)) is not None:
                    one.counts.slips += fifo.put(pulled[0], pulled[3])
        while (pulled := driver.pull(now_s)) is not None:
            samples, first_ns, lost, seam = pulled
            self._write(writer, driver, samples, first_ns, lost, seam)

    def _choose_driver(self) -> Inbound | None:
        if self._driver is not None and not self._driver.away:
            return self._driver
        ready = [one for one in self._senders.values() if not one.away]
        ready.sort(key=lambda one: self._feeds[one.session])
        if not ready:
            return self._driver
        self._driver = ready[0]
        self._driver.lead()
        if not self._written:  # the stream itself begins softly, and to the bit
            self._driver.extrapolator.reset()
        return self._driver

    def _write(
        self, writer: Writer, driver: Inbound, samples: Any, first_ns: int, lost: int, seam: bool
    ) -> None:
        config = self._config.feed
        n = len(samples)
        rows = np.zeros((n, N_CHANNELS * len(config)), np.float32)
        seams = 0
        heard: dict[int, Inbound] = {}
        for one in self._senders.values():
            if one is driver:
                mine, torn = samples, seam
            else:
                mine, slipped, torn = one.follow(driver.hello.frames).take(n)
                one.counts.slips += slipped
            for feed in self._feeds[one.session]:
                heard[feed] = one
                for side in range(N_CHANNELS):
                    channel = config[feed].channels[0 if side == 0 else -1] - 1
                    rows[:, N_CHANNELS * feed + side] = mine[:, min(channel, mine.shape[1] - 1)]
                seams |= torn << feed
        now_s = time.monotonic()
        if now_s - self._heard_s > self._stall_s:
            self._heard.clear()
        for feed, one in self._heard.items():
            if heard.get(feed) is not one or one.cut:
                _end_softly(rows, self._newest, N_CHANNELS * feed)
                seams |= 1 << feed
        for one in self._senders.values():
            one.cut = False
        self._heard, self._newest, self._heard_s = heard, rows, now_s
        self._lost += lost
        adc_s = (self._written + self._lost) / self.samplerate
        self._written += n
        writer.write(rows, adc_s, first_ns, time.monotonic_ns(), 0, seams)

    def _tell(self, now_s: float) -> None:
        for one in self._senders.values():
            for datagram in one.datagrams(now_s):
                self._send(one, datagram)

    def _send(self, one: Inbound, datagram: bytes) -> None:
        try:
            if one.hello.transport == "tcp":
                self._router.send_multipart([one.route, datagram], zmq.NOBLOCK)
            elif one.address is not None:
                self._udp.sendto(datagram, one.address)
        except (OSError, zmq.ZMQError):
            self._section["unsent"] += 1

    # -- what is known of them --------------------------------------------------------------------

    def _tidy(self, now_s: float) -> None:
        if now_s < self._status_s:
            return
        self._status_s = now_s + STATUS_S
        for one in list(self._senders.values()):
            revoked = self._guard is not None and not self._guard.allows(one.identity, ("send",))
            if revoked:
                self._send(one, one.bye())
            if revoked or now_s - one.heard_s > GONE_S:
                self._evict(one)
        section = self._section
        section["senders"] = len(self._senders)
        section["strangers_refused"] = 0 if self._guard is None else self._guard.refused
        section["present"] = 0
        now_ns = time.monotonic_ns()
        for one in self._senders.values():
            for feed in self._feeds[one.session]:
                self._report(one, feed, now_ns)

    def _report(self, one: Inbound, feed: int, now_ns: int) -> None:
        section, counts = self._section, one.counts
        section["sender"][feed] = one.hello.name.encode()
        section["present"][feed] = not one.away
        section["drives"][feed] = one is self._driver
        section["sealed"][feed] = one.secure
        section["buffer_ms"][feed] = one.playout.delay_s * 1e3
        section["target_ms"][feed] = one.playout.target_s * 1e3
        section["rate"][feed] = one.samplerate
        section["way_ms"][feed] = one.offset.way_s * 1e3
        section["offset_ms"][feed] = one.offset.offset_ns * 1e-6
        uncertain_s = one.offset.uncertainty_s(now_ns) if one.offset.known else 0.0
        section["offset_error_ms"][feed] = uncertain_s * 1e3
        for name, value in vars(counts).items():
            # A sender may jump through all the positions there are, again and again.
            told = min(value, MOST_COUNTED)
            section[name + "_by_feed" if name == "flooded" else name][feed] = told


def _end_softly(rows: Any, before: Any, first: int) -> None:
    """Add to two columns what they held before, mirrored and fading: it goes on no other way."""
    n = min(len(rows), len(before))
    columns = slice(first, first + N_CHANNELS)
    rows[:n, columns] += before[::-1][:n, columns] * raised_cosine(n)[::-1, None]


def _identity(frame: Any) -> str:
    """Who is on the other end, as far as the connection tells: its key, or its address."""
    for name in ("User-Id", "Peer-Address"):
        try:
            if value := frame.get(name):
                return str(value)
        except zmq.ZMQError:
            continue
    return ""
