"""`stemd send`: source → blocks → link.

The source's thread sends what it brings: a wake-up less for each block, and on a small machine
those are what sending costs. The main thread speaks with the box. Who holds the link sends whatever
waits; nobody waits for it, so that a name that takes seconds to resolve costs no sample.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import threading
import time
from typing import Any

from ..errors import StemdError
from ..sinks.http_server import HttpServer
from ..sources.base import Source
from .blocks import Blocks, Door
from .link import Link

log = logging.getLogger("stemd.send")

WAIT_S = 0.1
SAY_S = 60.0  # how things are, in the log


class Node:
    """A source and its way to the box.

    Parameters
    ----------
    source : Source
        Opened.
    link : Link
    status : (str, int) or None
        Where HTTP answers with JSON.
    """

    def __init__(self, source: Source, link: Link, status: tuple[str, int] | None) -> None:
        hello = link.hello
        self._source, self._link = source, link
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._door = Door(hello.rate, self._forward)
        self._held = threading.Lock()  # the link and the blocks
        self._blocks = Blocks(hello.rate, hello.channels, hello.frames)
        self._stopping = False
        self._ended = self._closed = False
        self._error: StemdError | None = None
        self._started_s = time.monotonic()
        self._web = HttpServer(*status, self._reply, key="--status") if status else None

    def run(self) -> StemdError | None:
        """Send until told to stop, or until the source ends; what it died of, or None."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        thread = threading.Thread(target=self._capture, name="source", daemon=True)
        thread.start()
        said_s = web_s = served_s = 0.0
        while not self._stopping:
            heard = self._wait()
            ended = self._ended  # before the last look at the queue
            now_s = time.monotonic()
            if heard or now_s - served_s > WAIT_S:
                served_s = now_s
                with self._held:
                    self._link.service(now_s)
            self._forward()
            if self._web is not None and now_s - web_s > WAIT_S:
                web_s = now_s
                self._web.service()
            if now_s - said_s > SAY_S:
                said_s = now_s
                log.debug("%s", json.dumps(self.status()))
            if ended:
                break
        self._stopping = True
        with self._held:
            self._closed = True
            self._link.close()
        if self._web is not None:
            self._web.close()
        return self._error

    def status(self) -> dict[str, Any]:
        """Everything one may want to know."""
        link = self._link
        return {
            "state": "SENDING" if link.welcome is not None else "SEARCHING",
            "reason": link.said,
            "source": self._source.label,
            "name": link.hello.name,
            "box": f"{link.host}:{link.port}",
            "feeds": link.welcome.feeds if link.welcome is not None else "",
            "transport": link.hello.transport,
            "encrypted": link.secure,
            "rate_hz": link.hello.rate,
            "rate_measured_hz": round(self._blocks.samplerate, 3),
            "channels": link.hello.channels,
            "frames": link.hello.frames,
            "encoding": link.hello.encoding.name.lower(),
            "uptime_s": round(time.monotonic() - self._started_s, 1),
            "samples": self._blocks.position,
            "lost_samples": self._blocks.lost,
            **vars(link.counts),
        }

    def _reply(self, target: str) -> tuple[int, bytes]:
        if target.partition("?")[0] not in ("/", "/status"):
            return 404, b""
        return 200, json.dumps(self.status(), indent=1).encode()

    def _capture(self) -> None:
        """The source's thread."""
        try:
            self._source.run(self._door, lambda: self._stopping)
        except StemdError as error:
            self._error = error
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake
            os.write(self._wake_write, b"\0")

    def _wait(self) -> bool:
        """Sleep until there is something to do; whether the box may have said something."""
        with self._held:
            files = [self._wake_read, *self._link.files()]
        ready = select.select(files, [], [], WAIT_S)[0]
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
            ready.remove(self._wake_read)
        return bool(ready)

    def _forward(self) -> None:
        """Send what waits, unless another thread is at it: it will look again."""
        blocks = self._blocks
        while self._door.waiting and not self._closed and self._held.acquire(blocking=False):
            try:
                while not self._closed and (read := self._door.read()) is not None:
                    samples, adc_s, first_ns = read
                    run = blocks.process(samples, adc_s, first_ns, self._door.dropped)
                    if run is not None:
                        self._link.send(run, blocks.samplerate)
            finally:
                self._held.release()

    def _stop(self, *_: Any) -> None:
        self._stopping = True
        self._wake()
