"""The console process: a page for web browsers. It may be late, slow or gone; the audio is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from typing import Any

from .. import __version__
from ..config import Config
from ..console import bundle, facts
from ..console.browser import Browser
from ..console.guard import Guard
from ..console.picture import FEED_VALUES, SOURCE_VALUES, Ear, Levels, Picture
from ..console.server import Server
from ..console.spectrogram import FLOOR_DB, N_BANDS
from ..desk import Desk
from ..hatch import Hatch
from ..logbook import Logbook
from ..outbox import Outbox, OutboxReader
from ..processors.catalogue import released
from ..spec import PROFILES, SOURCES, STEMS
from ..status import Status
from .links import Links, Role

PICTURES_PER_S = 30.0
ASLEEP_S = 0.1  # how long a first browser waits at most
STATE_S = 0.5
COUNTED_S = 0.2
SUBSCRIBERS_S = 2.0
RETRY_S = 1.0
NICENESS = 5  # who looks waits for who plays
HOPS_PER_ROUND = 256  # the rest has a turn after the browsers
REPLY_S = 40.0  # forgotten then; the daemon itself answers within 30 s
MAX_ASKED = 256
# What a browser may ask publish for.
FORWARDED = ("set", "tap", "preset", "devices", "reload", "model", "profile", "device")


def run(links: Links) -> None:
    """Serve until told to stop."""
    status = Status.attach(links.status)
    role = Role("console", status)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    asyncio.run(_serve(Console(links, role), links.config, role))


async def _serve(console: Console, config: Config, role: Role) -> None:
    place = config.console
    guard = Guard(place.token, place.port)
    server = Server(guard, place.limit, console.welcome, console.ask, console.bundle)
    role.ready()
    opened, retry_at = False, 0.0
    due = time.monotonic()
    while not role.stopping:
        role.beat()
        if not opened and time.monotonic() >= retry_at:
            retry_at = time.monotonic() + RETRY_S
            opened = await _open(server, place.bind, place.port, role)
        server.service()
        console.tick(server)
        period = 1.0 / PICTURES_PER_S if server.browsers else ASLEEP_S
        due = max(due + period, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
    console.end(server)
    await server.close()


async def _open(server: Server, host: str, port: int, role: Role) -> bool:
    where = f"[{host}]" if ":" in host else host
    try:
        await server.open(host, port)
    except OSError as error:
        role.reason(f"console.port: got {where}:{port} ({error.strerror}), expected a free port")
        return False
    role.reason("")
    role.note([f"console: http://{where}:{port}/"])
    Status.set_text(role.section, "endpoint", f"http://{where}:{port}/")
    return True


class Console:
    """Everything between the stream and the browsers.

    Parameters
    ----------
    links : Links
    role : Role
    """

    def __init__(self, links: Links, role: Role) -> None:
        self._config, self._spec = links.config, links.spec
        self._status, self._section = role.status, role.section
        self._outbox = Outbox.attach(links.outbox)
        self._reader: OutboxReader | None = None
        self._logbook = Logbook.attach(links.logbook)
        self._hatch = Hatch(links.hatch[1])
        self._feeds = tuple(feed.name for feed in links.config.feed)
        self._desk = Desk(role.status, self._feeds, dict.fromkeys(links.config.preset, ()))
        self._history = facts.History(role.status)
        self._pictures: dict[int, Picture] = {}
        self._ears: dict[tuple[int, int], Ear] = {}
        self._levels = Levels(self._feeds)
        self._asked: dict[int, tuple[float, Browser | None, Any]] = {}
        self._next_id = 1
        self._server: Server | None = None
        self._rev = -1
        self._line = 0
        self._state_due = self._subscribers_due = self._counted_due = 0.0
        self._models = [path.stem for path in released()]

    # -- browsers ---------------------------------------------------------------------------------

    def welcome(self, browser: Browser) -> None:
        """Everything a page needs to begin with."""
        picture = self._picture(0)
        browser.tell(
            {
                "type": "hello",
                "version": __version__,
                "feeds": self._feeds,
                "sources": SOURCES,
                "stems": STEMS,
                "source_values": SOURCE_VALUES,
                "feed_values": FEED_VALUES,
                "n_bands": N_BANDS,
                "bands_hz": [round(float(hz), 1) for hz in picture.bands_hz],
                "floor_db": FLOOR_DB,
                "columns_per_s": picture.columns_per_s,
                "samplerate": self._spec.samplerate,
                "models": self._models,
                "model": self._config.model.name,
                "profiles": tuple(PROFILES),
                "profile": self._config.profile,
                "device": {
                    "kind": self._config.source.kind,
                    "name": self._config.source.device,
                    "host_api": self._config.source.host_api,
                },
                "places": self._places(),
                "counters": [[name, meaning] for name, _, _, meaning in facts.COUNTERS],
                "history": self._history.rows,
                "log": [_line(line) for line in self._logbook.since(0)],
            }
        )
        browser.tell({"type": "state", **facts.state(self._status)})
        browser.tell({"type": "mixer", **self._desk.state()})
        self._subscribers_due = 0.0

    def ask(self, browser: Browser, fields: dict[str, Any]) -> None:
        """What a browser wants: to look, to listen, or something of the daemon."""
        op, request_id = fields.get("op"), _id(fields.get("id"))
        if not browser.allowed() or len(self._asked) >= MAX_ASKED:
            self._section["refused"] += 1
            browser.tell(_refusal(request_id, "requests: got too many, expected fewer"))
            return
        self._section["requests"] += 1
        if op == "watch":
            browser.feed = _place(fields.get("feed"), self._feeds)
        elif op == "listen":
            source = fields.get("source")
            browser.ear = None
            if source in SOURCES:
                browser.ear = _place(fields.get("feed"), self._feeds), SOURCES.index(source)
        elif op in FORWARDED:
            if not self._forward(browser, fields):
                browser.tell(_refusal(request_id, "publish: got no answer, expected one soon"))
        else:
            got = repr(op[:40]) if isinstance(op, str) else type(op).__name__
            browser.tell(_refusal(request_id, f"op: got {got}, expected another"))

    async def bundle(self) -> tuple[str, bytes]:
        """The diagnostic bundle."""
        return await bundle.bundle(
            self._config, self._status.snapshot(), self._history.rows, self._logbook.since(0)
        )

    # -- thirty times a second --------------------------------------------------------------------

    def tick(self, server: Server) -> None:
        """Hear the stream, show it, tell what changed."""
        self._server = server
        browsers = server.browsers
        recorded = self._history.service()
        self._hear(browsers)
        self._answers()
        if browsers:
            self._show(browsers)
            self._tell(browsers, recorded)
        if time.monotonic() >= self._counted_due:
            self._counted_due = time.monotonic() + COUNTED_S
            self._count(server)

    def end(self, server: Server) -> None:
        """Say goodbye, with what is known of why."""
        for browser in server.browsers:
            browser.tell({"type": "state", **facts.state(self._status)})

    def _count(self, server: Server) -> None:
        """Say how many there are, and hang up on who takes nothing."""
        browsers, section = server.browsers, self._section
        for browser in browsers:
            if browser.stuck:
                browser.abort()
        section["browsers"] = len(browsers)
        section["listeners"] = len([b for b in browsers if b.ear])
        section["sent"], section["dropped"] = server.sent, server.dropped
        section["refused"] = max(int(section["refused"]), server.refused)

    def _hear(self, browsers: list[Browser]) -> None:
        """Take what has come of the stream; nothing at all while nobody looks."""
        if not browsers:
            if self._reader is not None:
                self._outbox.detach("console")
                self._reader = None
                self._pictures.clear()
            return
        if self._reader is None:
            self._reader = self._outbox.reader("console")
        pictures = [self._picture(feed) for feed in {browser.feed for browser in browsers}]
        wanted = {browser.ear for browser in browsers if browser.ear}
        self._ears = {ear: self._ears.get(ear) or Ear(self._spec, *ear) for ear in wanted}
        for _ in range(HOPS_PER_ROUND):
            if not self._reader.read():
                break
            hop = self._reader.hop
            self._levels.write(hop)
            for picture in pictures:
                picture.write(hop)
            for place, ear in self._ears.items():
                if piece := ear.write(hop):
                    for browser in browsers:
                        if browser.ear == place:
                            browser.play(piece)

    def _show(self, browsers: list[Browser]) -> None:
        levels = self._levels.take()
        for feed in {browser.feed for browser in browsers}:
            packed = self._picture(feed).take(levels)
            if packed is None:
                continue
            for browser in browsers:
                if browser.feed == feed:
                    browser.show(packed)

    def _tell(self, browsers: list[Browser], recorded: bool) -> None:
        now = time.monotonic()
        words = []
        if self._desk.rev != self._rev:
            self._rev = self._desk.rev
            words.append({"type": "mixer", **self._desk.state()})
        if now >= self._state_due:
            self._state_due = now + STATE_S
            words.append({"type": "state", **facts.state(self._status)})
        if recorded:
            words.append({"type": "history", "row": self._history.rows[-1]})
        if lines := self._logbook.since(self._line):
            words.append({"type": "log", "lines": [_line(line) for line in lines]})
            self._line = lines[-1].seq
        if now >= self._subscribers_due:
            self._subscribers_due = now + SUBSCRIBERS_S
            self._send({"op": "subscribers"}, None, None, True)
        for word in words:
            text = json.dumps(word, separators=(",", ":"))
            for browser in browsers:
                browser.tell_text(text)

    # -- the daemon -------------------------------------------------------------------------------

    def _forward(self, browser: Browser, fields: dict[str, Any]) -> bool:
        # Who knows the token may do what this machine may.
        local = browser.local or bool(self._config.console.token)
        request_id = _id(fields.pop("id", None))
        return self._send(fields, browser, request_id, local)

    def _send(
        self, fields: dict[str, Any], browser: Browser | None, request_id: Any, local: bool
    ) -> bool:
        ours = self._next_id
        self._next_id += 1
        if not self._hatch.send({**fields, "id": ours, "local": local}):
            return False
        self._asked[ours] = (time.monotonic() + REPLY_S, browser, request_id)
        return True

    def _answers(self) -> None:
        browsers = self._server.browsers if self._server else []
        for reply in self._hatch.receive():
            _, browser, request_id = self._asked.pop(reply.get("id", 0), (0.0, None, None))
            if browser is not None:
                browser.tell({"type": "reply", **reply, "id": request_id})
            elif "osc" in reply:
                for one in browsers:
                    one.tell({"type": "subscribers", **reply, "browsers": _list(browsers)})
        if self._asked:
            now = time.monotonic()
            self._asked = {k: one for k, one in self._asked.items() if now < one[0]}

    def _picture(self, feed: int) -> Picture:
        if feed not in self._pictures:
            self._pictures[feed] = Picture(self._spec, feed)
        return self._pictures[feed]

    def _places(self) -> list[list[str]]:
        """Where programs connect."""
        config, places = self._config, []
        if config.zeromq.enabled:
            z = config.zeromq
            ports = f"{z.audio_port} audio, {z.features_port} features, {z.control_port} control"
            places.append(["ZeroMQ", f"tcp://{z.bind}: {ports}"])
        if config.osc.enabled:
            places.append(["OSC out", ", ".join(config.osc.targets) or "subscribers only"])
            places.append(["OSC in", config.osc.listen or "off"])
        if config.midi.enabled:
            places.append(["MIDI", config.midi.port or "virtual port stemd"])
        return places


def _place(feed: Any, feeds: tuple[str, ...]) -> int:
    """Number of a feed; what is not there is the first."""
    return feeds.index(feed) if feed in feeds else 0


def _line(line: Any) -> list[Any]:
    return [line.seq, line.t_utc_ns // 1_000_000, line.level, line.text]


def _list(browsers: list[Browser]) -> list[dict[str, Any]]:
    return [
        {
            "address": one.address,
            "listens": SOURCES[one.ear[1]] if one.ear else "",
            "dropped": one.dropped,
            "since_utc_ms": round(one.since_s * 1e3),
        }
        for one in browsers
    ]


def _id(said: Any) -> Any:
    """What comes back with an answer; what is nested, perhaps without end, does not."""
    return said if isinstance(said, str | int | float) else None


def _refusal(request_id: Any, why: str) -> dict[str, Any]:
    return {"type": "reply", "ok": False, "id": request_id, "error": why}
