"""HTTP and WebSocket: the console with its daemon's answers, OSCQuery with LISTEN, metrics.

The console's server has a real connection for each input; the two small servers get one end of a
socket pair. No handler may raise, nothing may be left open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from stemd.config import build_config
from stemd.console import guard as guards
from stemd.console.guard import Guard
from stemd.console.server import LOG, Server
from stemd.desk import Desk, Operations
from stemd.hatch import Hatch
from stemd.logbook import Logbook
from stemd.outbox import Outbox
from stemd.ring import Ring
from stemd.roles.console import Console
from stemd.roles.links import Links
from stemd.sinks.hatch import HatchServer
from stemd.sinks.http_server import HttpServer, _Connection
from stemd.sinks.metrics import CONTENT_TYPE, Exporter
from stemd.sinks.osc import OscSink, Vitals
from stemd.spec import SOURCES, StreamSpec
from stemd.status import Status
from stemd.wire.control import OPS, Setting
from tests.sinks.support import make_hop

from .taker import Taker, as_json, deep

TOKEN = "correct-horse-battery"
FEEDS = ("main", "two")
SPEC = StreamSpec.of("live", 48_000, 2)
ROUNDS = 40  # of the loop without a word from the server: it has said all
MAX_FRAMES = 12
CONSOLE_OPS = (*OPS, "watch", "listen")
TARGETS = ("/", "/socket", "/session", "/bundle.zip", "/index.html", "/nothing", "*", "//", "/%00",
           "/?HOST_INFO", "/stemd?VALUE", "/stemd/vocals/gain?VALUE", "/stemd/state",
           "/stemd?RANGE",
           "/stemd?CONTENTS", "/metrics", "http://localhost/session")  # fmt: skip
METHODS = ("GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "get", "")
NAMES = ("Host", "Origin", "Cookie", "Content-Type", "Content-Length", "Transfer-Encoding",
         "Sec-Fetch-Site", "Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key",
         "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol",
         "Expect", "Content-Encoding")  # fmt: skip
VALUES = ("localhost", "127.0.0.1:5560", "evil.example", "http://localhost", "http://[", "null",
          "application/json", "text/plain; charset=nonsense", "text/plain; charset=utf-16",
          "0", "7",
          "chunked", "same-origin", "cross-site", "Upgrade", "websocket", "13", "8", "close",
          "dGhlIHNhbXBsZSBub25jZQ==", "permessage-deflate", "100-continue", "gzip", "deflate",
          "stemd-5560=%s", "stemd-5560=\xff\xfe", "[::1]:80", "-1", "9" * 5000)  # fmt: skip
UPGRADE = (
    "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Target:
    """See `surfaces.Target`; the first byte says which server, and raw or built."""

    words = (
        *(f"\r\n{name}: ".encode() for name in NAMES),
        *(value[:80].encode("latin-1") for value in VALUES),
        b" HTTP/1.1\r\n", b"\r\n\r\n", b"\r\n0\r\n\r\n", b'{"op":"',
        b'{"COMMAND":"LISTEN","DATA":"/stemd',
        b'{"token":"', b'"\\ud800"', b'"id":', b"\x81\x85", b"\x88\x82\0\0\0\0\x03\xe8",
    )  # fmt: skip

    def __init__(self) -> None:
        logging.getLogger("stemd").setLevel(logging.CRITICAL)
        self._errors: list[BaseException] = []
        self._listener = _Complaints(self._errors)
        logging.getLogger(LOG).addHandler(self._listener)
        self._status = Status.create(len(FEEDS))
        self._ring = Ring.create(48_000, 4)
        self._outbox = Outbox.create(2, SPEC.hop_length, SPEC.samplerate)
        self._logbook = Logbook.create()
        self._make_console()
        self._make_osc()
        self._kinds = (
            self._console_raw,
            self._console_built,
            self._socket_raw,
            self._socket_built,
            self._gone,
            self._query_raw,
            self._query_built,
            self._listen_raw,
            self._listen_built,
            self._metrics_raw,
        )

    def __call__(self, data: bytes) -> None:
        taker = Taker(data)
        self._kinds[taker.byte() % len(self._kinds)](taker)
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error

    def seeds(self) -> Sequence[bytes]:
        """What browsers say."""
        host = b"Host: localhost\r\n"
        get = [b"GET " + t.encode("latin-1") + b" HTTP/1.1\r\n" + host + b"\r\n" for t in TARGETS]
        enter = [
            b"POST /session HTTP/1.1\r\n" + host + b"Content-Length: %d\r\n\r\n" % len(b) + b
            for b in (b'{"token": "no"}', json.dumps({"token": TOKEN}).encode(), b'["\\ud800"]',
                      b'{"token":"\\ud800"}', deep(900).encode())
        ]  # fmt: skip
        said: list[Any] = [{"op": op, "id": 1} for op in CONSOLE_OPS]
        said += [{"op": "listen", "source": "bass"}, {"op": "set", "stem": "bass", "gain": 0.5}]
        frames = [_frame(1, json.dumps(one).encode()) for one in said]
        for depth in range(900, 1000, 9):
            nested = deep(depth).encode()
            frames.append(_frame(1, b'{"op":"set","stem":' + nested + b"}"))
            frames.append(_frame(1, b'{"op":"x","id":' + nested + b"}"))
        listen = [
            _frame(1, json.dumps({"COMMAND": "LISTEN", "DATA": data}).encode())
            for data in ("/stemd/vocals/level", "/stemd/state", [], {}, 1)
        ]
        return [
            *(b"\0" + one for one in (*get, *enter)),
            *(b"\2" + one for one in frames),
            *(b"\5" + one for one in get),
            *(b"\7" + one for one in listen),
            *(b"\x09" + one for one in get[:3]),
            *(bytes([kind, n, *range(n, 120)]) for kind in (1, 3, 4, 6, 8) for n in range(4)),
        ]

    def close(self) -> None:
        """Give everything back."""
        self._loop.run_until_complete(self._server.close())
        self._loop.close()
        self._sink.close()
        self._metrics.close()
        for one in (*self._hatches, self._logbook, self._outbox, self._ring, self._status):
            one.close()
        logging.getLogger(LOG).removeHandler(self._listener)

    # -- console --------------------------------------------------------------------------------

    def _make_console(self) -> None:
        table = {"feed": [{"name": name} for name in FEEDS], "console": {"token": TOKEN}}
        ours, theirs = socket.socketpair()
        links = Links(
            build_config(table),
            SPEC,
            self._status.handle,
            self._ring.handle,
            self._outbox.handle,
            {},
            logbook=self._logbook.handle,
            hatch=(theirs, ours),
        )
        role: Any = SimpleNamespace(status=self._status, section=self._status.console)
        self._console = Console(links, role)
        self._desk = Desk(self._status, FEEDS, {"verse": [Setting("mute", 0, 1, 1.0)]})
        operations = Operations(self._status, self._desk, dict, ("/nowhere/stemd-probe",))
        end = Hatch(theirs)
        self._hatch = HatchServer(end, operations.answer)
        self._hatches = (end, self._console._hatch)
        self._guard = Guard(TOKEN, 5560)

        async def bundle() -> tuple[str, bytes]:
            return "stemd.zip", b"PK"

        self._server = Server(self._guard, 16, self._console.welcome, self._console.ask, bundle)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._happened)
        self._loop.run_until_complete(self._server.open("127.0.0.1", 0))
        self._place = self._server._sockets[0].sockets[0].getsockname()

    def _happened(self, loop: Any, context: dict[str, Any]) -> None:
        self._errors.append(context.get("exception") or AssertionError(context["message"]))

    def _console_raw(self, taker: Taker) -> None:
        self._say(taker.rest())

    def _console_built(self, taker: Taker) -> None:
        self._say(_request(taker, self._guard.pass_))

    def _socket_raw(self, taker: Taker) -> None:
        self._say(self._enter() + taker.rest())

    def _socket_built(self, taker: Taker) -> None:
        frames = b""
        for _ in taker.turns(MAX_FRAMES):
            frames += _built_frame(taker, _wish)
        self._say(self._enter() + frames)

    def _gone(self, taker: Taker) -> None:
        """Who hangs up without waiting for the answer."""
        enter = self._enter() if taker.chance(2) else _request(taker, self._guard.pass_)
        self._say(enter + taker.rest(), waits=False)

    def _enter(self) -> bytes:
        head = UPGRADE.format("/socket")
        return f"{head}Cookie: {self._guard.cookie}={self._guard.pass_}\r\n\r\n".encode()

    def _say(self, data: bytes, waits: bool = True) -> None:
        """One connection: say it, hear until nothing comes any more, hang up."""
        self._guard._tries = guards.BURST
        with socket.create_connection(self._place) as one:
            # Hang up at once: thousands of closed connections would use up the ports.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.send(data)
            heard = self._pump(one) if waits else b""
        assert not heard or heard.startswith(b"HTTP/"), heard[:60]
        for _ in range(200):
            if not self._server.browsers and not self._connections:
                break
            self._turn()
        assert not self._server.browsers

    @property
    def _connections(self) -> Any:
        assert self._server._runner is not None
        serve = self._server._runner.server
        return serve.connections if serve else ()

    def _pump(self, one: socket.socket) -> bytes:
        heard = _heard(one, self._turn, ROUNDS, 1 << 18)
        self._console.tick(self._server)
        self._hatch.service()
        self._console.tick(self._server)
        self._turn()
        return heard

    def _turn(self) -> None:
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()
        self._hatch.service()

    # -- OSCQuery and metrics -------------------------------------------------------------------

    def _make_osc(self) -> None:
        self._sink = OscSink(
            SPEC, FEEDS, self._desk, lambda: Vitals(2, 0.1, 0, 0, 0), [], ("127.0.0.1", 0),
            query=("127.0.0.1", 0),
        )  # fmt: skip
        self._hop = make_hop(0, SPEC)
        exporter = Exporter(self._status, self._ring, self._outbox, "live")
        self._metrics = HttpServer("127.0.0.1", 0, exporter.answer, content_type=CONTENT_TYPE)

    def _query_raw(self, taker: Taker) -> None:
        self._ask(taker.rest())

    def _query_built(self, taker: Taker) -> None:
        self._ask(_request(taker, ""))

    def _listen_raw(self, taker: Taker) -> None:
        self._ask(UPGRADE.format("/").encode() + b"\r\n", taker.rest())

    def _listen_built(self, taker: Taker) -> None:
        frames = []
        for _ in taker.turns(MAX_FRAMES):
            frames.append(_built_frame(taker, _listening))
        self._ask(UPGRADE.format("/").encode() + b"\r\n", *frames)

    def _metrics_raw(self, taker: Taker) -> None:
        heard = self._hear(self._metrics, self._metrics.service, [taker.rest()])
        assert not heard or heard.startswith(b"HTTP/1.1 ")

    def _ask(self, *pieces: bytes) -> None:
        def serve() -> None:
            self._sink.write(self._hop)
            self._sink.service()

        assert self._sink._query is not None
        assert self._sink._listeners is not None
        heard = self._hear(self._sink._query, serve, pieces)
        head, _, body = heard.partition(b"\r\n\r\n")
        assert not head or head.startswith(b"HTTP/1.1 "), head[:80]
        if head.startswith(b"HTTP/1.1 200") and body and b"Content-Length: 0" not in head:
            json.loads(body)
        for one in self._sink._listeners._all:
            one.over = True
            one.left.clear()
        self._sink._listeners.service()
        assert not len(self._sink._listeners)

    def _hear(self, server: HttpServer, serve: Any, pieces: Sequence[bytes]) -> bytes:
        here, there = socket.socketpair()
        there.setblocking(False)
        here.setblocking(False)
        server._connections.append(_Connection(there, time.monotonic()))
        left = deque(pieces)

        def turn() -> None:
            if left:
                with contextlib.suppress(OSError):
                    here.send(left.popleft())
            serve()

        heard = _heard(here, turn, len(left) + 3, 1 << 20)
        here.close()
        for _ in range(4):
            serve()
        assert not server._connections
        return heard


def _heard(one: socket.socket, turn: Callable[[], None], rounds: int, most: int) -> bytes:
    """What comes until nothing has come for so many turns, there is no more, or it is enough."""
    heard, quiet = b"", 0
    while quiet < rounds:
        turn()
        quiet += 1
        try:
            more = one.recv(1 << 20)
        except BlockingIOError:
            continue
        except OSError:
            break
        if not more:
            break
        heard += more
        quiet = 0 if len(heard) < most else rounds
    return heard


class _Complaints(logging.Handler):
    """What aiohttp has to say of handlers that failed."""

    def __init__(self, errors: list[BaseException]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception."""
        error = record.exc_info[1] if record.exc_info else None
        self._errors.append(error or AssertionError(record.getMessage()))


def _frame(opcode: int, payload: bytes, first: int = 0x80, mask: bytes = b"\0\0\0\0") -> bytes:
    """A client's frame."""
    n = len(payload)
    size = bytes([0x80 | n]) if n < 126 else struct.pack(">BH", 0x80 | 126, n & 0xFFFF)
    masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if any(mask) else payload
    return bytes([first | opcode]) + size + mask + masked


def _built_frame(taker: Taker, wish: Any) -> bytes:
    kind = taker.byte()
    if kind < 200:
        return _frame(1, wish(taker), first=0 if kind < 12 else 0x80)
    if kind < 210:
        return taker.piece()
    return _frame(taker.byte() % 16, taker.bytes(taker.byte()), first=taker.byte() & 0xF0)


def _wish(taker: Taker) -> bytes:
    """What a browser asks the console for."""
    fields: dict[str, Any] = {
        "op": taker.pick(CONSOLE_OPS) if taker.byte() < 230 else taker.value()
    }
    fields["id"] = taker.value() if taker.chance(4) else 1
    for _ in range(taker.byte() % 4):
        key = taker.pick(
            ("feed", "source", "stem", "gain", "mute", "name", "kind", "host_api", "drum")
        )
        fields[key] = taker.pick(SOURCES) if taker.chance(3) else taker.value()
    return as_json(fields)


def _listening(taker: Taker) -> bytes:
    """What a browser of OSCQuery wants to listen to."""
    place = taker.pick(("/stemd/vocals/level", "/stemd/state", "/stemd/two/drums/kick", "/nothing"))
    data = place if taker.byte() < 200 else taker.value()
    verb = taker.pick(("LISTEN", "IGNORE")) if taker.byte() < 240 else taker.value()
    return as_json({"COMMAND": verb, "DATA": data})


def _request(taker: Taker, pass_: str) -> bytes:
    lines = f"{taker.pick(METHODS)} {taker.pick(TARGETS)} HTTP/1.{1 - taker.chance(32)}\r\n"
    if taker.byte() < 240:
        lines += "Host: localhost\r\n"
    for _ in range(taker.byte() % 8):
        value = taker.pick(VALUES) if taker.byte() < 220 else taker.bytes(20).decode("latin-1")
        lines += f"{taker.pick(NAMES)}: {value.replace('%s', pass_)}\r\n"
    body = taker.bytes(taker.byte())
    if taker.chance(2):
        body = as_json({"token": taker.value() if taker.chance(2) else TOKEN})
    if taker.chance(2):
        lines += f"Content-Length: {len(body)}\r\n"
    return lines.encode("latin-1") + b"\r\n" + body
