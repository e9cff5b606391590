"""The console's web server: one page, one websocket for each browser, one bundle to download."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

from aiohttp import http_exceptions, web

from .browser import Browser
from .guard import Guard, is_loopback

MAX_CONNECTIONS = 128  # of all kinds; a browser opens six while it loads the page
BACKLOG = 32  # taken at once, so many more there may be for a moment
MAX_MESSAGE_BYTES = 8192
LOG = "stemd.console"
IDLE_S = 15.0  # a connection that asks nothing is closed
HEARTBEAT_S = 15.0  # a browser that went without a word is noticed

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

Welcome = Callable[[Browser], None]
Ask = Callable[[Browser, dict[str, Any]], None]
Bundle = Callable[[], Any]


class Server:
    """Serves until closed.

    Parameters
    ----------
    guard : Guard
    limit : int
        Browsers at once.
    welcome, ask : callable
        Told of a browser that came, and of what it asks for.
    bundle : coroutine function
        Makes the diagnostic bundle.
    """

    def __init__(
        self, guard: Guard, limit: int, welcome: Welcome, ask: Ask, bundle: Bundle
    ) -> None:
        self._guard = guard
        self._limit = limit
        self._welcome = welcome
        self._ask = ask
        self._bundle = bundle
        self._files = _page()
        self._bundling = asyncio.Lock()
        self._sockets: list[asyncio.AbstractServer] = []
        self._runner: web.AppRunner | None = None
        self.browsers: list[Browser] = []
        self.refused = 0
        self._closed = (0, 0)  # sent and dropped by those who left
        self._log = logging.Logger(LOG, logging.ERROR)
        self._log.parent = logging.getLogger(LOG)
        self._log.addFilter(self._is_ours)
        self._silent: dict[Any, float] = {}  # connections that asked nothing yet, and until when

    @property
    def sent(self) -> int:
        """Messages to browsers."""
        return self._closed[0] + sum(browser.sent for browser in self.browsers)

    @property
    def dropped(self) -> int:
        """Messages browsers were too slow for."""
        return self._closed[1] + sum(browser.dropped for browser in self.browsers)

    async def open(self, host: str, port: int) -> None:
        """Listen.

        Raises
        ------
        OSError
            When the address cannot be had.
        """
        app = web.Application(middlewares=[self._judge], client_max_size=MAX_MESSAGE_BYTES)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/session", self._session)
        app.router.add_post("/session", self._enter)
        app.router.add_get("/bundle.zip", self._download)
        app.router.add_get("/{name:[a-z.-]*}", self._file)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=IDLE_S,
            logger=self._log,
            auto_decompress=False,  # nothing we are told is long enough to be packed
        )
        await self._runner.setup()
        serve = self._runner.server
        assert serve is not None

        def admit() -> asyncio.BaseProtocol:
            if len(serve.connections) >= MAX_CONNECTIONS:
                self.refused += 1
                return _Refusal()
            handler = serve()
            self._silent[handler] = time.monotonic() + IDLE_S
            return handler

        loop = asyncio.get_running_loop()
        self._sockets = [await loop.create_server(admit, host, port, backlog=BACKLOG)]

    def service(self) -> None:
        """Hang up on who opened a connection and has not asked anything for too long."""
        now = time.monotonic()
        for handler in [one for one, until in self._silent.items() if now > until]:
            del self._silent[handler]
            handler.force_close()

    async def close(self) -> None:
        """Tell the browsers, and give the port back."""
        for one in self._sockets:
            one.close()
        for browser in self.browsers:
            browser.close("the daemon ends")
        await asyncio.sleep(0.05)
        if self._runner is not None:
            await self._runner.cleanup()

    def _is_ours(self, record: logging.LogRecord) -> bool:
        """Whether a line of the log is about us; what is no request is only counted."""
        error = record.exc_info[1] if record.exc_info else None
        # aiohttp quotes an Expect header that is no text, and cannot.
        foreign = isinstance(error, http_exceptions.HttpProcessingError | UnicodeEncodeError)
        self.refused += foreign
        return not foreign

    @web.middleware
    async def _judge(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._silent.pop(request.protocol, None)
        own = request.method in ("GET", "HEAD") and request.path != "/socket"
        if not self._guard.knows_host(request.headers.get("Host")):
            answer: web.StreamResponse = self._refuse("the address of this machine as host")
        elif not own and not self._guard.is_own_page(request.headers):
            answer = self._refuse("a request of the console's own page")
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                answer = web.Response(status=error.status, text=f"{error.status}\n")
            except ConnectionError:  # gone in the middle: nobody is there to be told
                answer = web.Response(status=400)
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    def _refuse(self, expected: str) -> web.Response:
        self.refused += 1
        return web.Response(status=403, text=f"refused: expected {expected}\n")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"] or "index.html"
        if name not in self._files:
            raise web.HTTPNotFound
        kind, content = self._files[name]
        return web.Response(body=content, content_type=kind, charset="utf-8")

    async def _session(self, request: web.Request) -> web.Response:
        return web.json_response({"admitted": self._guard.admits(request.cookies)})

    async def _enter(self, request: web.Request) -> web.Response:
        try:
            token = str(json.loads(await request.text())["token"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise web.HTTPBadRequest from None
        if not self._guard.accepts(token):
            self.refused += 1
            return web.json_response({"admitted": False}, status=401)
        answer = web.json_response({"admitted": True})
        answer.set_cookie(
            self._guard.cookie,
            self._guard.pass_,
            max_age=30 * 86_400,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return answer

    async def _download(self, request: web.Request) -> web.Response:
        if not self._guard.admits(request.cookies):
            self.refused += 1
            raise web.HTTPUnauthorized
        if self._bundling.locked():
            raise web.HTTPTooManyRequests
        async with self._bundling:
            name, content = await self._bundle()
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=content, content_type="application/zip", headers=disposition)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self._guard.admits(request.cookies):
            self.refused += 1
            raise web.HTTPUnauthorized
        if len(self.browsers) >= self._limit:
            self.refused += 1
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False, timeout=2.0
        )
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest
        peer = request.remote or "?"
        assert request.transport is not None
        browser = Browser(socket, peer, is_loopback(peer), request.transport)
        self.browsers.append(browser)
        sending = None
        try:
            await socket.prepare(request)
            sending = asyncio.create_task(browser.send())
            self._welcome(browser)
            with contextlib.suppress(ConnectionError):
                async for fields in browser.requests():
                    self._ask(browser, fields)
        finally:
            self.browsers.remove(browser)
            self._closed = (
                self._closed[0] + browser.sent,
                self._closed[1] + browser.dropped,
            )
            if sending is not None:
                sending.cancel()
        return socket


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _page() -> dict[str, tuple[str, bytes]]:
    """The page's files by name: what is not in here cannot be asked for."""
    found = {}
    for file in resources.files(__package__).joinpath("page").iterdir():
        ending = file.name[file.name.rfind(".") :]
        if ending in TYPES:
            found[file.name] = TYPES[ending], file.read_bytes()
    return found
