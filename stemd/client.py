"""Receive stems and features in a Python program, and turn the daemon's knobs.

    import stemd.client

    with stemd.client.connect("127.0.0.1") as client:
        for block in client.blocks():
            vocals, drums, bass, other = block.stems

Each kind of stream may be read by a thread of its own; `close` from any thread ends them all. No
queue is kept here: what is not read in time is dropped and counted, so that what is read is fresh.
"""

from __future__ import annotations

import ipaddress
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import zmq
from zmq.utils.monitor import parse_monitor_message

from .errors import ConfigError, ProtocolError, StemdError
from .keys import KeyStore, Pair, check_key, read_pair
from .spec import OPUS_FRAME, OPUS_RATE, STEMS
from .wire import topics
from .wire.messages import (
    MAX_RATE_HZ,
    AudioMessage,
    Event,
    Features,
    decode_event,
    decode_features,
    decode_json,
    decode_opus,
    encode_json,
    split_single,
)
from .wire.plugin import local_file
from .wire.receiver import RAW, Assembler, Counters, Form, Freshness, StemBlock

__all__ = ["Client", "Counters", "Event", "Features", "StemBlock", "connect"]

T = TypeVar("T")

CONTROL_PORT = 5572
BUDGET_S = 0.1  # and never less than three blocks
FILL_S = 1.0
TIMEOUT_S = 2.0
DEAD_S = 3.0  # a daemon says something every second
POLL_MS = 50  # how soon a waiting thread notices `close`
QUEUED = 256  # messages; libzmq's, not ours
MAX_JSON_BYTES = 1 << 20


def connect(
    host: str = "127.0.0.1",
    *,
    control_port: int = CONTROL_PORT,
    feed: str | None = None,
    stems: Sequence[str] = STEMS,
    mix: bool = False,
    budget_s: float = BUDGET_S,
    fill_s: float = FILL_S,
    timeout_s: float = TIMEOUT_S,
    key: str = "",
    identity: Path | Pair | None = None,
    opus: bool = False,
) -> Client:
    """Find a daemon.

    Parameters
    ----------
    host : str
        Name or address.
    control_port : int
        The daemon tells the others.
    feed : str, optional
        The first by default.
    stems : sequence of str
        Some of `spec.STEMS`, in the order wanted.
    mix : bool
        Ask for the input too.
    budget_s : float
        Older blocks and rows are dropped until a fresh one comes; `math.inf` keeps them all (a
        recorder). Events are never dropped: they say themselves when they were.
    fill_s : float
        Gaps up to this long become silence, longer ones a jump.
    timeout_s : float
        How long to wait for an answer.
    key : str
        The daemon's public key, where it asks for keys. Empty: what the daemon left for this user
        on this machine, else what `stemd keys trust` was told of the host, else without keys.
    identity : Path or Pair, optional
        Our own pair, which the daemon must know; by default this user's own.
    opus : bool
        Have the audio in Opus, for a narrow way, from a daemon whose `zeromq.opus_kbps` is set:
        blocks are then of 480 samples, and not exact.

    Raises
    ------
    ProtocolError
        When nobody answers, or somebody who is not stemd, or who does not let us in.
    ConfigError
        When a key cannot be used.
    StemdError
        When there is no such feed or stem, or no Opus.
    """
    return Client(
        host,
        control_port=control_port,
        feed=feed,
        stems=stems,
        mix=mix,
        budget_s=budget_s,
        fill_s=fill_s,
        timeout_s=timeout_s,
        curve=find_keys(host, control_port, key, identity),
        opus=opus,
    )


def find_keys(
    host: str, control_port: int, key: str = "", identity: Path | Pair | None = None
) -> Curve | None:
    """What to prove to a daemon, and what to ask of it; None where no keys are known.

    Raises
    ------
    ConfigError
        When a key cannot be used.
    """
    local = local_file(control_port)
    if not key and identity is None and _is_loopback(host) and os.path.exists(local):
        left = read_pair(local)
        secret = left.secret.encode()
        return Curve(left.public, Pair(zmq.curve_public(secret).decode(), left.secret))
    key = check_key(key) if key else _trusted(host)
    if not key:
        return None
    if isinstance(identity, Pair):
        return Curve(key, identity)
    return Curve(key, KeyStore().own() if identity is None else read_pair(identity))


def _trusted(host: str) -> str:
    try:
        return KeyStore().key_of(host)
    except ConfigError:  # nobody's home: nobody is trusted
        return ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Keys of one connection."""

    server: str  # public
    own: Pair

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Speak to nobody else, and nothing in clear; before it connects."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.own.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.own.secret.encode())


class Client:
    """A connection to one daemon; made by `connect`."""

    def __init__(
        self,
        host: str,
        *,
        control_port: int,
        feed: str | None,
        stems: Sequence[str],
        mix: bool,
        budget_s: float,
        fill_s: float,
        timeout_s: float,
        curve: Curve | None = None,
        opus: bool = False,
    ) -> None:
        for stem in stems:
            if stem not in STEMS:
                raise StemdError(f"stems: got {stem!r}, expected some of {', '.join(STEMS)}")
        self.host = host
        self._where = f"[{host}]" if ":" in host else host
        self._curve = curve
        self._context = zmq.Context()
        self._closing = threading.Event()
        self._control = _Control(self, f"tcp://{self._where}:{control_port}")
        self._streams: dict[str, _Stream] = {}
        self._streams_lock = threading.Lock()
        self._timeout_s = timeout_s
        self._last_heard_ns = 0
        self.counters = Counters()
        self.info: dict[str, Any] = {}
        try:
            self._welcome(self.control("hello"))
            self.feed = feed or str(self.info["feeds"][0])
            if self.feed not in self.info["feeds"]:
                known = ", ".join(self.info["feeds"])
                raise StemdError(f"feed: got {self.feed!r}, expected one of {known}")
            if opus and not self.info.get("opus_kbps"):
                raise StemdError(
                    "opus: got a daemon that sends none, expected one with zeromq.opus_kbps set"
                )
        except BaseException:
            self.close()
            raise
        self._freshness = Freshness(_is_loopback(host), budget_s)
        form = _opus_form((*stems, "mix")) if opus else RAW
        self._opus = opus
        self._assembler = Assembler(
            self.feed, tuple(stems), mix, self._freshness, fill_s, self.counters, form
        )

    # -- what the daemon says about itself --------------------------------------------------------

    @property
    def samplerate(self) -> int:
        """Hz."""
        return int(self.info["samplerate"])

    @property
    def hop_length(self) -> int:
        """Samples per hop of the stream, and so per row of features."""
        return int(self.info["hop_length"])

    @property
    def block_length(self) -> int:
        """Samples per block."""
        return OPUS_FRAME if self._opus else self.hop_length

    @property
    def latency(self) -> int:
        """Samples from the input to the stems."""
        return int(self.info["latency"])

    @property
    def closed(self) -> bool:
        """`close` was called."""
        return self._closing.is_set()

    @property
    def alive(self) -> bool:
        """Something was heard in the last three seconds; only while a stream is being read."""
        return time.monotonic_ns() - self._last_heard_ns < DEAD_S * 1e9

    # -- streams ----------------------------------------------------------------------------------

    def read_block(self, timeout_s: float | None = None) -> StemBlock | None:
        """The next block; None when none came in time or the client was closed."""
        stream = self._stream("audio", self._assembler.topics, "audio_port")
        deadline = _deadline(timeout_s)
        while True:
            ready = self._assembler.pop()
            if ready is not None:
                return ready
            frames = stream.receive(deadline)
            if frames is None:
                return None
            if not self._took_welcome(frames):
                self._assembler.take(frames)

    def blocks(self, timeout_s: float | None = None) -> Iterator[StemBlock]:
        """Blocks as they come, until `close`, or until none came for `timeout_s`.

        The subscription starts with this call, not with the first block.
        """
        self._stream("audio", self._assembler.topics, "audio_port")
        return iter(lambda: self.read_block(timeout_s), None)

    def read_features(self, timeout_s: float | None = None) -> Features | None:
        """The next row of features of any source; None as in `read_block`."""
        stream = self._features_stream()
        deadline = _deadline(timeout_s)
        while (row := self._read(stream, self._decode_features, deadline)) is not None:
            if not self._freshness.is_late(row.header):
                return row
            self.counters.late_rows += 1
        return None

    def features(
        self,
        callback: Callable[[Features], None] | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Features]:
        """Rows of features as they come, one per source and hop; ends as `blocks` does.

        With a callback, calls it for each row and returns (an empty iterator) at the end.
        """
        self._features_stream()
        rows = iter(lambda: self.read_features(timeout_s), None)
        if callback is None:
            return rows
        for row in rows:
            callback(row)
        return iter(())

    def read_event(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None as in `read_block`."""
        stream = self._stream("events", [topics.events(self.feed)])
        return self._read(stream, decode_event, _deadline(timeout_s))

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """Onsets as they come; ends as `blocks` does. Nothing is conflated."""
        self._stream("events", [topics.events(self.feed)])
        return iter(lambda: self.read_event(timeout_s), None)

    def read_status(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """The next status the daemon sends: each second, and when its state changes."""
        stream = self._stream("status", [topics.STATUS])
        return self._read(stream, _decode_status, _deadline(timeout_s))

    # -- requests ---------------------------------------------------------------------------------

    def control(self, op: str, *, timeout_s: float | None = None, **fields: Any) -> dict[str, Any]:
        """Ask the daemon for something; see PROTOCOL.md for what there is.

        Raises
        ------
        ProtocolError
            When there was no answer in time.
        StemdError
            When the daemon refused; the text is its sentence.
        """
        return self._control.request(op, fields, timeout_s or self._timeout_s)

    def status(self) -> dict[str, Any]:
        """Everything the daemon knows about itself, now."""
        return self.control("status")

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End all reading and waiting, in whatever thread, and give the sockets back."""
        self._closing.set()
        with self._streams_lock:
            for stream in self._streams.values():
                stream.close()
        self._control.close()
        # All sockets are closed and linger for nothing, so this returns at once.
        self._context.term()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside -----------------------------------------------------------------------------------

    def _features_stream(self) -> _Stream:
        return self._stream("features", [f"{topics.ROOT}f/{self.feed}/".encode()])

    def _decode_features(self, frames: list[bytes]) -> Features:
        return decode_features(_one(frames), tuple(self.info["features"]))

    def _socket(self, kind: int) -> zmq.Socket[Any]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if ":" in self.host:
            socket.setsockopt(zmq.IPV6, 1)
        if self._curve is not None:
            self._curve.apply(socket)
        return socket

    def _stream(self, name: str, wanted: Sequence[bytes], port: str = "features_port") -> _Stream:
        with self._streams_lock:
            if name not in self._streams:
                if self.closed:
                    raise StemdError(f"{name}: got a closed client, expected an open one")
                endpoint = f"tcp://{self._where}:{int(self.info[port])}"
                self._streams[name] = _Stream(self, endpoint, wanted)
            return self._streams[name]

    def _read(
        self, stream: _Stream, decode: Callable[[list[bytes]], T], deadline: float
    ) -> T | None:
        while (frames := stream.receive(deadline)) is not None:
            if self._took_welcome(frames):
                continue
            try:
                return decode(frames)
            except ProtocolError:
                self.counters.malformed += 1
        return None

    def _took_welcome(self, frames: list[bytes]) -> bool:
        if not (len(frames) == 1 and frames[0].startswith(topics.WELCOME)):
            return False
        try:
            self._welcome(decode_json(split_single(frames[0])[1], MAX_JSON_BYTES))
        except ProtocolError:
            self.counters.malformed += 1
        return True

    def _welcome(self, info: dict[str, Any]) -> None:
        for key in ("feeds", "features"):
            names = info.get(key)
            if not isinstance(names, list) or not all(_is_name(name) for name in names):
                raise _foreign(key, names, "names")
        if not info["feeds"]:
            raise _foreign("feeds", [], "one or more")
        for key, (low, high) in _NUMBERS.items():
            value = info.get(key)
            if type(value) is not int or not low <= value <= high:
                raise _foreign(key, value, f"a whole number from {low} to {high}")
        self.info = {key: value for key, value in info.items() if key not in ("ok", "op", "id")}

    def _heard(self) -> None:
        self._last_heard_ns = time.monotonic_ns()


# What a welcome must say, and between what.
_NUMBERS = {
    "samplerate": (1, MAX_RATE_HZ),
    "hop_length": (1, 1 << 16),
    "latency": (0, 1 << 24),
    "audio_port": (1, 65_535),
    "features_port": (1, 65_535),
}


def _is_name(value: Any) -> bool:
    # JSON can say half a surrogate pair, which is no character and part of no topic.
    return isinstance(value, str) and value.isprintable()


def _foreign(key: str, value: Any, expected: str) -> ProtocolError:
    if value is None:
        return ProtocolError(f"welcome: got no {key}, expected a stemd of protocol 1")
    return ProtocolError(f"welcome.{key}: got {repr(value)[:60]}, expected {expected}")


class _Stream:
    """A SUB socket, read by one thread at a time."""

    def __init__(self, client: Client, endpoint: str, wanted: Sequence[bytes]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._socket = client._socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, QUEUED)
        self._socket.setsockopt(zmq.RCVBUF, 131_072)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_JSON_BYTES)
        # The welcome comes only to those who wait for it before they connect.
        for topic in (topics.WELCOME, *wanted):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.connect(endpoint)

    def receive(self, deadline: float) -> list[bytes] | None:
        """One message; None at the deadline or when the client closes."""
        while not self._client.closed:
            left_ms = _left_ms(deadline)
            with self._lock:
                if self._client.closed:
                    return None
                if self._socket.poll(left_ms):
                    frames: list[bytes] = self._socket.recv_multipart(zmq.NOBLOCK)
                    self._client._heard()
                    return frames
            if left_ms == 0:
                return None
        return None

    def close(self) -> None:
        # A reader gives the lock back within POLL_MS.
        with self._lock:
            self._socket.close(linger=0)


class _Control:
    """A DEALER socket, used by one request at a time."""

    def __init__(self, client: Client, endpoint: str) -> None:
        self._client = client
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._socket: zmq.Socket[Any] | None = None
        self._monitor: Any = None
        self._refused = self._failed = self._met = False  # handshakes of this socket

    def request(self, op: str, fields: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        with self._lock:
            if self._client.closed:
                raise StemdError(f"{op}: got a closed client, expected an open one")
            if self._socket is None:
                # Not ZMQ_IMMEDIATE: it loses a reply behind which the daemon closes the connection.
                self._socket = self._client._socket(zmq.DEALER)
                self._monitor = self._socket.get_monitor_socket(_HANDSHAKES)
                self._socket.connect(self._endpoint)
            request_id = next(self._ids)
            self._socket.send(encode_json({**fields, "op": op, "id": request_id}))
            reply = self._reply(self._socket, request_id, deadline)
            if reply is None:
                got, expected = self._complaint()
                self._drop()
        if reply is None:
            where = self._endpoint.removeprefix("tcp://")
            if self._client.closed:
                raise StemdError(f"{op}: got a closed client, expected an open one")
            raise ProtocolError(
                f"{where}: got {got or f'no answer in {timeout_s:g} s'}, expected {expected}"
            )
        if not reply.get("ok"):
            raise StemdError(str(reply.get("error", f"{op}: refused")))
        return reply

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _reply(
        self, socket: zmq.Socket[Any], request_id: int, deadline: float
    ) -> dict[str, Any] | None:
        while self._wait(socket, deadline):
            reply = decode_json(socket.recv_multipart()[-1], MAX_JSON_BYTES)
            if reply.get("id") == request_id or "id" not in reply:
                return reply
        return None

    def _wait(self, socket: zmq.Socket[Any], deadline: float) -> bool:
        while not self._client.closed:
            left_ms = _left_ms(deadline)
            if socket.poll(left_ms):
                return True
            # Refused once, ZeroMQ does not try again.
            self._read_monitor()
            if left_ms == 0 or self._refused:
                return False
        return False

    def _read_monitor(self) -> None:
        """How handshakes went since the socket was made."""
        while self._monitor is not None and self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            self._refused |= event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
            self._failed |= event in _FAILED
            self._met |= event == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def _complaint(self) -> tuple[str, str]:
        """What came instead of an answer, empty when nothing; and what was expected."""
        self._read_monitor()
        curve = self._client._curve
        if self._refused and curve is not None:
            how = f"stemd keys authorise NAME '{curve.own.public}'"
            return "our key refused", f"it to know us ({how}, there)"
        if self._failed and not self._met:
            if curve is None:
                return "no welcome without a key", "the daemon's key (--key, or stemd keys trust)"
            return "no welcome for our key", f"a daemon with the key {curve.server}"
        return "", "a running stemd"

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._socket.close(linger=0)
            self._socket = None
        self._refused = self._failed = self._met = False


_FAILED = (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_HANDSHAKES = sum(_FAILED) | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED


def _deadline(timeout_s: float | None) -> float:
    return math.inf if timeout_s is None else time.monotonic() + timeout_s


def _left_ms(deadline: float) -> int:
    """How long to wait before looking whether the client was closed; 0 at the deadline."""
    return max(math.ceil(min((deadline - time.monotonic()) * 1e3, POLL_MS)), 0)


def _opus_form(names: Sequence[str]) -> Form:
    """Opus packets to the audio they stand for: each stem has a decoder, new in each session."""
    from .codec import Decoder  # loads PyAV

    decoders: dict[str, tuple[int, Decoder]] = {}

    def decode(frames: list[bytes]) -> AudioMessage:
        message = decode_opus(frames)
        header, stem = message.header, message.stem
        shape = header.n_frames, header.rate_nominal
        if stem not in names or shape != (OPUS_FRAME, OPUS_RATE):
            raise ProtocolError(
                f"opus: got {shape} of {stem!r}, expected {OPUS_FRAME} samples at {OPUS_RATE} Hz "
                f"of {', '.join(names)}"
            )
        if decoders.get(stem, (None,))[0] != header.session:
            decoders[stem] = header.session, Decoder()
        samples = decoders[stem][1].decode(message.packet)
        return AudioMessage(message.feed, stem, header, samples)

    return Form(topics.opus, decode, together=False)


def _decode_status(frames: list[bytes]) -> dict[str, Any]:
    return decode_json(split_single(_one(frames))[1], MAX_JSON_BYTES)


def _one(frames: list[bytes]) -> bytes:
    if len(frames) != 1:
        raise ProtocolError(f"message: got {len(frames)} frames, expected one")
    return frames[0]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
