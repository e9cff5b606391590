"""One browser's websocket: what it waits for, and what it was too slow for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections import deque
from typing import Any

from aiohttp import WSMsgType, web

MAX_WORDS = 64  # messages of text that wait
MAX_PIECES = 12  # of audio that wait: a quarter of a second
REQUESTS_PER_S = 120.0  # a fader moved by hand sends 60
BURST = 240.0
STUCK_S = 20.0  # who has taken nothing for so long is hung up on
# A whole binary message of a server, 126 to 65,535 bytes, has this before it (RFC 6455, 5.2).
FRAME = struct.Struct("!BBH")
BINARY, LONG = 0x82, 126


class Browser:
    """Queues that never grow, and the task that empties them.

    Pictures are replaced by newer ones, audio loses its oldest piece; words are kept, and a browser
    that lets them pile up is hung up on. While nothing waits, pictures and audio go out at once: a
    turn of the task for each of ten browsers, thirty times a second, costs more than the sending.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        address: str,
        local: bool,
        transport: asyncio.Transport,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self.address = address
        self.local = local
        self.feed = 0
        self.ear: tuple[int, int] | None = None  # feed and source it listens to
        self.sent = 0
        self.dropped = 0
        self.since_s = time.time()
        self._picture: bytes | None = None
        self._pieces: deque[bytes] = deque()
        self._words: deque[str] = deque()
        self._wake = asyncio.Event()
        self._closing = ""
        self._open = False  # the websocket is agreed upon
        self._tokens = BURST
        self._tokens_at = self._moved_at = time.monotonic()

    @property
    def stuck(self) -> bool:
        """It has had something to take for too long."""
        return self._wake.is_set() and time.monotonic() - self._moved_at > STUCK_S

    def abort(self) -> None:
        """Hang up without a word, for one that takes none."""
        self._transport.abort()

    def show(self, picture: bytes) -> None:
        """The newest picture; the one before, if it still waits, is lost."""
        if self._sent_at_once(picture):
            return
        self.dropped += self._picture is not None
        self._picture = picture
        self._wake.set()

    def play(self, piece: bytes) -> None:
        """More audio."""
        if self._sent_at_once(piece):
            return
        if len(self._pieces) >= MAX_PIECES:
            self._pieces.popleft()
            self.dropped += 1
        self._pieces.append(piece)
        self._wake.set()

    def tell(self, message: dict[str, Any]) -> None:
        """Something in words."""
        self.tell_text(json.dumps(message, separators=(",", ":")))

    def tell_text(self, message: str) -> None:
        """Something in words that many are told."""
        if len(self._words) >= MAX_WORDS:
            self.close("too slow")
            return
        self._words.append(message)
        self._wake.set()

    def close(self, why: str) -> None:
        """Hang up, once what was said is out."""
        self._closing = self._closing or why
        self._wake.set()

    def allowed(self) -> bool:
        """Whether it may ask one thing more."""
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._tokens_at) * REQUESTS_PER_S, BURST)
        self._tokens_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    async def send(self) -> None:
        """Empty the queues until the end; waits for this browser, and nobody waits for that."""
        self._open = True
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not self._socket.closed:
                await self._wake.wait()
                while self._words:
                    await self._socket.send_str(self._words.popleft(), compress=None)
                    self._done()
                if self._closing:
                    break
                while self._pieces:
                    await self._socket.send_bytes(self._pieces.popleft())
                    self._done()
                picture, self._picture = self._picture, None
                if picture is not None:
                    await self._socket.send_bytes(picture)
                    self._done()
                if not (self._words or self._pieces or self._picture or self._closing):
                    self._wake.clear()
                self._moved_at = time.monotonic()
        await self._socket.close(code=1001, message=self._closing.encode()[:100])

    async def requests(self) -> Any:
        """What it asks for, each a JSON object."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                return
            try:
                fields = json.loads(message.data)
            except (ValueError, RecursionError):
                return
            if not isinstance(fields, dict):
                return
            yield fields

    def _sent_at_once(self, message: bytes) -> bool:
        """Whether it is out, which it is when nothing was before it."""
        transport, n = self._transport, len(message)
        if (
            not self._open
            or self._socket.closed  # after the last frame, that of closing, none may follow
            or self._wake.is_set()
            or transport.is_closing()
            or transport.get_write_buffer_size()
            or not LONG <= n < 65_536
        ):
            return False
        transport.write(FRAME.pack(BINARY, LONG, n) + message)
        self._done()
        return True

    def _done(self) -> None:
        self.sent += 1
        self._moved_at = time.monotonic()
