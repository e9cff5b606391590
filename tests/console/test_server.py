"""The console's door, as hands, foreign pages and worse would knock."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import socket
import time
import zipfile

import aiohttp
import pytest

from stemd.console.guard import Guard
from stemd.console.server import BACKLOG, LOG, MAX_CONNECTIONS, MAX_MESSAGE_BYTES, Server
from tests.sinks.support import wait_until

from .conftest import TOKEN, told


def run(task):
    return asyncio.run(asyncio.wait_for(task, 60))


async def status(console, method, path, **options):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, console.url + path, **options) as answer,
    ):
        await answer.read()
        return answer.status


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "", {}, 200),
        ("GET", "main.js", {}, 200),
        ("GET", "", {"Host": "evil.example"}, 403),
        ("GET", "", {"Host": "127.0.0.1.evil.example:80"}, 403),
        ("GET", "", {"Host": ""}, 403),
        ("GET", "", {"Host": "localhost"}, 200),
        ("GET", "", {"Host": "[::1]:5560"}, 200),
        ("GET", "secret.toml", {}, 404),
        ("GET", "..%2fserver.py", {}, 404),
        ("GET", "page/main.js", {}, 404),
        ("POST", "", {}, 405),
        ("POST", "session", {"Origin": "http://evil.example"}, 403),
        ("POST", "session", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "socket", {"Origin": "http://evil.example"}, 403),
        ("GET", "socket", {"Origin": "null"}, 403),
        ("GET", "socket", {}, 400),  # no websocket
        ("PUT", "main.js", {}, 405),
    ],
)
def test_what_is_let_in(console, method, path, headers, expected):
    assert run(status(console, method, path, headers=headers)) == expected


def test_no_page_may_frame_or_feed_it(console):
    async def headers():
        async with aiohttp.ClientSession() as session, session.get(console.url) as answer:
            return answer.headers

    said = run(headers())
    assert "frame-ancestors 'none'" in said["Content-Security-Policy"]
    assert said["Content-Security-Policy"].startswith("default-src 'self'")
    assert said["X-Content-Type-Options"] == "nosniff"


async def socket_of(session, console, **options):
    return await session.ws_connect(console.url + "socket", **options)


async def asked(ws, fields):
    await ws.send_json({**fields, "id": 7})
    while (reply := await told(ws, "reply"))["id"] != 7:
        pass
    return reply


def test_requests_are_answered_and_nonsense_is_refused(console):
    async def talk():
        async with aiohttp.ClientSession() as session, await socket_of(session, console) as ws:
            hello = await told(ws, "hello")
            assert hello["feeds"] == ["main"]
            assert "band_live" in hello["models"]
            reply = await asked(ws, {"op": "set", "stem": "bass", "mute": True})
            assert reply["ok"]
            assert reply["feeds"]["main"]["stems"]["bass"]["mute"]
            assert (await asked(ws, {"op": "set", "stem": "bass", "mute": False}))["ok"]
            for nonsense in (
                {"op": "shutdown"},
                {"op": "hello"},
                {"op": None},
                {"op": ["set"]},
                {"op": "set", "gain": 1e9, "stem": "bass"},
                {"op": "set", "feed": {"a": 1}, "bypass": True},
                {"op": "model", "name": "../../etc/passwd"},
                {"op": "device", "name": "a\nb"},
                {"op": "device", "kind": "file", "name": "/etc/passwd"},
                {"op": "preset", "name": "none such"},
            ):
                reply = await asked(ws, nonsense)
                assert not reply["ok"], nonsense
                assert ": got " in reply["error"], reply
            assert (await asked(ws, {"op": "set", "paused": False}))["ok"]

    run(talk())


@pytest.mark.parametrize(
    "message", ["{", "[1]", "null", '"x"', "[" * 5000, "x" * (MAX_MESSAGE_BYTES + 1)]
)
def test_who_speaks_no_json_is_hung_up_on(console, message):
    async def talk():
        async with aiohttp.ClientSession() as session, await socket_of(session, console) as ws:
            await ws.send_str(message)
            async with asyncio.timeout(20):
                async for _ in ws:
                    pass
            return ws.close_code

    assert run(talk()) is not None
    assert run(status(console, "GET", "")) == 200


def test_a_flood_of_requests_is_refused_and_counted(console):
    async def talk():
        async with aiohttp.ClientSession() as session, await socket_of(session, console) as ws:
            # Read meanwhile: who is hung up on while it sends loses what it has not read.
            reply = asyncio.create_task(told(ws, "reply"))
            with contextlib.suppress(ConnectionError):
                for _ in range(600):
                    await ws.send_json({"op": "watch", "feed": "main"})
            return await reply

    assert "too many" in run(talk())["error"]


def ended(one):
    """Whether the other side hung up."""
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_connections_have_a_limit(console):
    held = []
    try:
        for _ in range(MAX_CONNECTIONS + 2 * BACKLOG):
            held.append(socket.create_connection(("127.0.0.1", console.port), 20))
            held[-1].setblocking(False)
        gone = set()
        sure = BACKLOG  # of two times as many that are too many
        wait_until(lambda: len(gone) >= sure, "refusals", lambda: gone.update(filter(ended, held)))
        assert len(gone) <= 2 * BACKLOG
    finally:
        for one in held:
            one.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert run(status(console, "GET", "")) == 200
            break
        except aiohttp.ClientError:
            time.sleep(0.1)


def test_who_sends_half_a_request_is_hung_up_on(console):
    with socket.create_connection(("127.0.0.1", console.port), 40) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert one.recv(1000) == b""


def test_a_browser_that_does_not_read_loses_pictures_and_nobody_else_does(console):
    async def talk():
        async with aiohttp.ClientSession() as session:
            lazy = await socket_of(session, console, receive_timeout=None)
            # It reads nothing more: the kernel's buffers fill, then it is dropped for.
            lazy._response.connection.transport.pause_reading()
            await lazy.send_json({"op": "listen", "feed": "main", "source": "mix"})
            async with await socket_of(session, console) as ws:
                await told(ws, "hello")
                pictures, dropped = 0, 0
                async with asyncio.timeout(50):
                    async for message in ws:
                        pictures += message.type is aiohttp.WSMsgType.BINARY
                        if message.type is aiohttp.WSMsgType.TEXT:
                            fields = json.loads(message.data)
                            if fields["type"] == "state":
                                dropped = fields["counters"]["console dropped"]
                        if dropped and pictures > 60:
                            return pictures, dropped
            return None

    pictures, dropped = run(talk())
    assert pictures > 60
    assert dropped > 0


def test_without_the_token_nothing_is_told(locked):
    async def knock():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await socket_of(session, locked)
            assert refused.value.status == 401
            async with session.get(locked.url + "bundle.zip") as answer:
                assert answer.status == 401
            async with session.get(locked.url + "session") as answer:
                assert await answer.json() == {"admitted": False}
            async with session.post(locked.url + "session", json={"token": "x"}) as answer:
                assert answer.status == 401
            forged = {f"stemd-{locked.port}": "0" * 64}
            async with session.get(locked.url + "session", cookies=forged) as answer:
                assert await answer.json() == {"admitted": False}

    run(knock())


def test_the_token_opens_for_as_many_as_may_be_there(locked):
    async def enter():
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            async with session.post(locked.url + "session", json={"token": TOKEN}) as answer:
                assert answer.status == 200
                cookie = answer.headers["Set-Cookie"]
                assert TOKEN not in cookie
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
            held = [await socket_of(session, locked) for _ in range(3)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await socket_of(session, locked)
            assert refused.value.status == 503
            for one in held:
                await one.close()
            async with session.get(locked.url + "bundle.zip") as answer:
                assert answer.status == 200
                return await answer.read()

    with zipfile.ZipFile(io.BytesIO(run(enter()))) as archive:
        assert set(archive.namelist()) >= {"config.json", "status.json", "doctor.json", "log.txt"}
        everything = b"".join(archive.read(name) for name in archive.namelist())
        assert TOKEN.encode() not in everything
        assert json.loads(archive.read("config.json"))["console"]["token"] == "(set)"
        assert json.loads(archive.read("status.json"))["state"] == "RUNNING"
        assert any(f["name"] == "model" for f in json.loads(archive.read("doctor.json")))


def test_nobody_may_guess_often():
    guard = Guard(TOKEN, 1)
    assert not any(guard.accepts("wrong") for _ in range(50))
    assert not guard.accepts(TOKEN)  # not even the right one, for a moment
    time.sleep(0.7)
    assert guard.accepts(TOKEN)


def test_a_token_that_is_no_text_is_a_wrong_one():
    guard = Guard(TOKEN, 1)
    assert not guard.accepts("\ud800")
    assert not guard.admits({guard.cookie: "\udcff"})  # as headers with the byte 255 are read
    assert guard.admits({guard.cookie: guard.pass_})


def test_half_a_character_as_token_is_a_wrong_token(locked):
    headers = {"Content-Type": "application/json"}
    body = b'{"token": "\\ud800"}'
    assert run(status(locked, "POST", "session", data=body, headers=headers)) == 401


def test_an_id_without_end_does_not_come_back(console):
    async def talk():
        async with aiohttp.ClientSession() as session, await socket_of(session, console) as ws:
            await ws.send_str(f'{{"op": "x", "id": {"[" * 900}{"]" * 900}}}')
            assert (await told(ws, "reply"))["id"] is None

    run(talk())


def test_bytes_that_are_no_request_are_counted_and_fill_no_log():
    async def talk():
        server = Server(Guard("", 1), 1, lambda browser: None, lambda browser, fields: None, None)
        await server.open("127.0.0.1", 0)
        port = server._sockets[0].sockets[0].getsockname()[1]
        for nonsense in (b"\xff\xfe\r\n\r\n", b"GET * HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            assert (await reader.readline()).startswith(b"HTTP/1.0 400")
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff"
        )
        assert (await reader.read()).startswith(b"HTTP/1.1 4")
        writer.close()
        await server.close()
        return server.refused

    logger, said = logging.getLogger(LOG), []
    handler = logging.Handler()
    handler.emit = said.append
    logger.addHandler(handler)
    try:
        assert run(talk()) > 0
    finally:
        logger.removeHandler(handler)
    assert said == []
