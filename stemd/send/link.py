"""The way to a box: handshake, audio, answers, and all over again when it is gone."""

from __future__ import annotations

import logging
import random
import socket
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import zmq

from ..errors import DeviceError, ProtocolError
from ..wire.seal import TO_BOX, TO_SENDER, Opener, Sealer
from ..wire.uplink import (
    COPY,
    FLAG_GAP,
    FLAG_RESENT,
    HEADER_BYTES,
    MAGIC,
    Hello,
    Type,
    Welcome,
    decode_positions,
    decode_text,
    decode_welcome,
    encode_block,
    encode_hello,
    encode_times,
    pack_header,
    unpack_header,
)
from .blocks import Run

log = logging.getLogger("stemd.send")

KEPT_S = 1.0  # to be sent again
SILENT_S = 3.0  # a box asks for the time every second
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
REFUSED_S = 2.0
DIALLED_S = 5.0  # for a connection to come about
TCP_QUEUE_S = 0.25  # more would be stale when it arrives
PER_ROUND = 64
EXPEDITED = 0xB8


@dataclass
class Counts:
    """Since the start."""

    sent: int = 0  # datagrams of audio
    bytes: int = 0
    resent: int = 0  # blocks
    unsent: int = 0  # datagrams the system did not take
    unheard: int = 0  # blocks while there was no box
    sessions: int = 0
    refused: int = 0
    bad: int = 0  # answers that made no sense or are not the box's


class Keys(NamedTuple):
    """Our own two, and the box's public one; Z85."""

    public: str
    secret: str
    box: str


class Link:
    """A session with a box, or the search for one.

    Parameters
    ----------
    host, port : str, int
    hello : Hello
    copies : int
        Earlier blocks repeated in each datagram.
    keys : Keys or None
        None: nothing is encrypted.

    Attributes
    ----------
    said : str
        Why there is no session; empty while there is one.
    """

    def __init__(self, host: str, port: int, hello: Hello, copies: int, keys: Keys | None) -> None:
        self.host, self.port, self.hello = host, port, hello
        self.counts = Counts()
        self.said = "no answer yet"
        self.welcome: Welcome | None = None
        self.secure = keys is not None
        self._copies = copies if hello.transport == "udp" else 0
        self._keys = keys
        self._context = zmq.Context()
        self._udp: Any = None
        self._socket: Any = None
        self._sealer, self._opener = Sealer(b"", TO_BOX), Opener(b"", TO_SENDER)
        block_s = hello.frames / hello.rate
        self._kept: OrderedDict[int, tuple[bytes, int, float]] = OrderedDict()
        self._n_kept = max(1, round(KEPT_S / block_s))
        self._queue = max(4, round(TCP_QUEUE_S / block_s))
        self._earlier: deque[bytes] = deque(maxlen=max(copies, 1))
        self._tries = 0
        self._next_s = 0.0
        self._heard_s = 0.0
        self._connect()

    def files(self) -> list[int]:
        """To be waited for."""
        found = [int(self._socket.getsockopt(zmq.FD))]
        return found if self._udp is None else [*found, self._udp.fileno()]

    # -- session ----------------------------------------------------------------------------------

    def service(self, now_s: float) -> None:
        """Read what came, answer it, knock again when it is time."""
        self._read_socket(now_s)
        self._read_udp(now_s)
        if self.welcome is not None and now_s - self._heard_s > SILENT_S:
            self._lose(now_s, "the box has fallen silent")
        if self.welcome is None and now_s >= self._next_s:
            self._knock(now_s)

    def _connect(self) -> None:
        self._spoke, self._dialled_s = False, time.monotonic()
        socket_ = self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.IMMEDIATE, 1),
            (zmq.SNDHWM, self._queue),
            (zmq.RCVHWM, 64),
            (zmq.RECONNECT_IVL, 100),
            (zmq.RECONNECT_IVL_MAX, 2000),
            (zmq.HEARTBEAT_IVL, 1000),
            (zmq.HEARTBEAT_TIMEOUT, 3000),
            (zmq.TOS, EXPEDITED),
        ):
            socket_.setsockopt(option, value)
        if self._keys is not None:
            socket_.setsockopt(zmq.CURVE_SERVERKEY, self._keys.box.encode())
            socket_.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public.encode())
            socket_.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
        host = f"[{self.host}]" if ":" in self.host else self.host
        if ":" in self.host:
            socket_.setsockopt(zmq.IPV6, 1)
        try:
            socket_.connect(f"tcp://{host}:{self.port}")
        except zmq.ZMQError as error:
            raise DeviceError(f"host: got {self.host} ({error}), expected an address") from error

    def _knock(self, now_s: float) -> None:
        # What waits in a socket that has spoken is of an old session. Another may still
        # shake hands, which takes some five times the way there and back.
        if self._spoke or now_s - self._dialled_s > DIALLED_S:
            self._socket.close(linger=0)
            self._connect()
        pause_s = RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        self._tries += 1
        # Connecting takes a moment, and without it nothing is taken.
        if not self._socket.poll(100, zmq.POLLOUT):
            self.said = f"nobody at {self.host}:{self.port}, or the keys do not match"
        else:
            self._spoke = True
            self._socket.send(encode_hello(self.hello), zmq.NOBLOCK)
            pause_s = max(pause_s, 0.5)
        self._next_s = now_s + pause_s * random.uniform(0.75, 1.25)

    def _greeted(self, message: bytes, now_s: float) -> None:
        verb, fields = decode_text(message)
        if verb == "REFUSED":
            reason = "".join(c for c in fields.get("reason", "") if c.isprintable())[:200]
            self.counts.refused += 1
            if reason != self.said:
                log.warning("%s refuses: %s", self.host, reason)
            self.said = reason
            self._next_s = now_s + REFUSED_S * random.uniform(0.75, 1.25)
        elif verb == "WELCOME" and self.welcome is None:
            welcome = decode_welcome(fields)
            if self.secure and self.hello.transport == "udp" and not welcome.key:
                raise ProtocolError("key: got none over an encrypted connection, expected one")
            if self.hello.transport == "udp":
                self._open_udp(welcome.port)
            self._sealer, self._opener = (
                Sealer(welcome.key, TO_BOX),
                Opener(welcome.key, TO_SENDER),
            )
            self.welcome, self.said = welcome, ""
            self._tries, self._heard_s = 0, now_s
            self._kept.clear()
            self._earlier.clear()
            self.counts.sessions += 1
            how = "encrypted" if self.secure else "not encrypted"
            log.info("sending to %s as feed %s, %s", self.host, welcome.feeds, how)

    def _open_udp(self, port: int) -> None:
        """A socket of its own for each session: late answers of an old one reach nobody."""
        if self._udp is not None:
            self._udp.close()
        try:
            # The family that the handshake went by: a name may have addresses of both.
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            address = socket.getaddrinfo(self.host, port, family, socket.SOCK_DGRAM)[0][4]
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._udp.setblocking(False)
            self._udp.connect(address)
            if family == socket.AF_INET:
                self._udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
        except OSError as error:
            raise ProtocolError(f"host: got {self.host} ({error}), expected a UDP way") from error

    def _lose(self, now_s: float, why: str) -> None:
        log.warning("%s: %s; knocking again", self.host, why)
        self.welcome, self.said = None, why
        self._next_s = now_s + RETRY_S[0] * random.uniform(0.5, 1.5)
        self._tries = 1

    # -- out --------------------------------------------------------------------------------------

    def send(self, run: Run, rate: float) -> None:
        """Send blocks, or count them as unheard."""
        hello = self.hello
        n_blocks = len(run.samples) // hello.frames
        if self.welcome is None:
            self.counts.unheard += n_blocks
            return
        # One call of each encoder however many blocks there are: it is what a node does most.
        whole = encode_block(run.samples, hello.encoding)
        copy = whole
        if self._copies and hello.encoding != COPY:
            copy = encode_block(run.samples, COPY)
        step, copy_step = len(whole) // n_blocks, len(copy) // n_blocks
        flags = FLAG_GAP if run.gap else 0
        if run.gap:
            self._earlier.clear()
        for n in range(n_blocks):
            position = run.position + n * hello.frames
            first_ns = run.first_ns + n * hello.frames * 1_000_000_000 // hello.rate
            newest = whole[n * step : (n + 1) * step]
            copies = len(self._earlier) if self._copies else 0
            payload = b"".join((newest, *reversed(self._earlier))) if copies else newest
            self._audio(position, first_ns, payload, copies, flags, rate)
            flags = 0
            if self._copies:
                self._earlier.append(copy[n * copy_step : (n + 1) * copy_step])
            if hello.transport == "udp":
                self._kept[position] = newest, first_ns, rate
                if len(self._kept) > self._n_kept:
                    self._kept.popitem(last=False)

    def _audio(
        self, position: int, first_ns: int, payload: bytes, copies: int, flags: int, rate: float
    ) -> None:
        header = pack_header(
            Type.AUDIO,
            session=self._session,
            counter=self._sealer.counter,
            t_ns=first_ns,
            position=position,
            channels=self.hello.channels,
            encoding=self.hello.encoding,
            frames=self.hello.frames,
            copies=copies,
            flags=flags,
            rate=rate,
        )
        self.counts.sent += self._put(self._sealer.seal(header, payload))

    @property
    def _session(self) -> int:
        assert self.welcome is not None
        return self.welcome.session

    def _put(self, datagram: bytes) -> bool:
        try:
            if self.hello.transport == "udp":
                self._udp.send(datagram)
            else:
                self._socket.send(datagram, zmq.NOBLOCK)
        except (OSError, zmq.ZMQError):  # full, or the box's port is closed for the moment
            self.counts.unsent += 1
            return False
        self.counts.bytes += len(datagram)
        return True

    def _answer(self, type_: Type, payload: bytes) -> None:
        header = pack_header(
            type_,
            session=self._session,
            counter=self._sealer.counter,
            t_ns=time.monotonic_ns(),
        )
        self._put(self._sealer.seal(header, payload))

    def close(self) -> None:
        """Say good-bye."""
        if self.welcome is not None:
            self._answer(Type.BYE, b"")
        self._socket.close(linger=100)
        if self._udp is not None:
            self._udp.close()
        self._context.term()

    # -- in ---------------------------------------------------------------------------------------

    def _read_socket(self, now_s: float) -> None:
        for _ in range(PER_ROUND):
            if not self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                return
            message = self._socket.recv(zmq.NOBLOCK)
            try:
                if message[:4] == MAGIC:
                    self._heard(message, now_s)
                else:
                    self._greeted(message, now_s)
            except ProtocolError as error:
                self.counts.bad += 1
                self.said = self.said and str(error)

    def _read_udp(self, now_s: float) -> None:
        for _ in range(PER_ROUND):
            if self._udp is None:
                return
            try:
                datagram = self._udp.recv(2048)
            except OSError:  # nothing there, or the box's port is closed
                return
            try:
                self._heard(datagram, now_s)
            except ProtocolError:
                self.counts.bad += 1

    def _heard(self, datagram: bytes, now_s: float) -> None:
        heard_ns = time.monotonic_ns()
        header = unpack_header(datagram)
        if self.welcome is None or header.session != self._session:
            raise ProtocolError("session: got an old one, expected the newest")
        payload = self._opener.open(
            header.counter, datagram[:HEADER_BYTES], datagram[HEADER_BYTES:]
        )
        self._heard_s = now_s
        if header.type == Type.PING:
            self._answer(Type.PONG, encode_times(header.t_ns, heard_ns))
        elif header.type == Type.NACK:
            for position in decode_positions(payload):
                if position in self._kept:
                    again, first_ns, rate = self._kept[position]
                    self.counts.resent += 1
                    self._audio(position, first_ns, again, 0, FLAG_RESENT, rate)
        elif header.type == Type.BYE:
            self._lose(now_s, "the box ended the session")
