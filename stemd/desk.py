"""What clients may ask of a running stream: turn its knobs, look at it, reload or end it.

The only writer of `status.mixer` and of the asking half of `status.command`; lives in `publish`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .errors import ProtocolError
from .shared import text
from .spec import SOURCES, STEMS
from .status import Command, Status
from .wire.control import LOCAL_OPS, SETTINGS, Request, Setting, db_of_gain, decode_settings

COMMAND_TIMEOUT_S = 30.0  # loading a model takes seconds
PROBE_TIMEOUT_S = 15.0  # a slow sound server takes seconds; a dead one for ever
PROBE = (sys.executable, "-m", "stemd.sources.probe", "--json")

Answer = dict[str, Any]
Pending = Callable[[], Answer | None]  # asked again until it answers; never blocks


class Desk:
    """The mixer as clients see it."""

    def __init__(self, status: Status, feeds: Sequence[str]) -> None:
        self._status = status
        self.feeds = tuple(feeds)

    @property
    def rev(self) -> int:
        """Changes whenever anything on the desk did."""
        return int(self._status.mixer["rev"])

    def set(self, settings: Sequence[Setting]) -> None:
        """Take checked values over; `separate` sees them with its next hop."""
        mixer = self._status.mixer
        for setting in settings:
            place = self._place(setting.name, setting.feed, setting.source)
            if place is None:
                mixer[setting.name] = int(setting.value)
            else:
                mixer[setting.name][place] = setting.value
        mixer["rev"] += 1

    def value(self, name: str, feed: int, source: int) -> float:
        """Where one knob stands."""
        field = self._status.mixer[name]
        place = self._place(name, feed, source)
        return float(field if place is None else field[place])

    def state(self) -> Answer:
        """All knobs."""
        feeds = {
            feed: {
                "bypass": bool(self.value("bypass", b, 0)),
                "onset_threshold": {
                    source: self.value("onset_threshold", b, i) for i, source in enumerate(SOURCES)
                },
                "stems": {stem: self._stem(b, s + 1) for s, stem in enumerate(STEMS)},
            }
            for b, feed in enumerate(self.feeds)
        }
        return {
            "rev": self.rev,
            "paused": bool(self.value("paused", 0, 0)),
            "recording": bool(self.value("recording", 0, 0)),
            "feeds": feeds,
        }

    def _stem(self, feed: int, source: int) -> Answer:
        gain = self.value("gain", feed, source)
        return {
            "gain": gain,
            "gain_db": round(db_of_gain(gain), 2),
            "mute": bool(self.value("mute", feed, source)),
            "solo": bool(self.value("solo", feed, source)),
        }

    @staticmethod
    def _place(name: str, feed: int, source: int) -> tuple[int, ...] | None:
        scope = SETTINGS[name].scope
        if scope == "stream":
            return None
        if scope == "feed":
            return (feed,)
        return (feed, source - 1) if scope == "stem" else (feed, source)


class Operations:
    """Answers control requests; what takes time is answered later, by asking again.

    Parameters
    ----------
    status : Status
    desk : Desk
    describe : callable
        Returns the welcome descriptor.
    probe : sequence of str
        Command that prints the audio devices as a JSON list.
    """

    def __init__(
        self,
        status: Status,
        desk: Desk,
        describe: Callable[[], Answer],
        probe: Sequence[str] = PROBE,
    ) -> None:
        self._status = status
        self._desk = desk
        self._describe = describe
        self._probe_command = probe
        self._probe: _Probe | None = None
        self._busy_until = 0.0

    def answer(self, request: Request, local: bool) -> Answer | Pending:
        """Do what a request asks for.

        Raises
        ------
        ProtocolError
            With a sentence for the sender.
        """
        if request.op in LOCAL_OPS and not local:
            raise ProtocolError(f"{request.op}: got it from another machine, expected this one")
        fields = request.fields
        if request.op == "hello":
            return self._describe()
        if request.op == "ping":
            return {"t_mono_ns": time.monotonic_ns(), "t_utc_ns": time.time_ns()}
        if request.op == "get":
            return self._desk.state()
        if request.op == "set":
            self._desk.set(decode_settings(fields, self._desk.feeds))
            return self._desk.state()
        if request.op == "status":
            return self.status()
        if request.op == "devices":
            if self._probe is None or self._probe.done:
                self._probe = _Probe(self._probe_command)
            return self._probe.poll
        return self._command(Command.RELOAD if request.op == "reload" else Command.SHUTDOWN)

    def status(self) -> Answer:
        """Everything there is to know, as plain values."""
        snapshot = self._status.snapshot()
        # JavaScript and friends keep 53 bits of a number; an id is text.
        snapshot["daemon"]["session"] = session_text(int(snapshot["daemon"]["session"]))
        return {**snapshot, "feeds": self._desk.feeds, "t_utc_ns": time.time_ns()}

    def close(self) -> None:
        """End what still runs."""
        if self._probe is not None:
            self._probe.close()

    def _command(self, what: Command) -> Pending:
        command = self._status.command
        now = time.monotonic()
        if int(command["done"]) != int(command["asked"]) and now < self._busy_until:
            raise ProtocolError(
                f"{what.name.lower()}: got it while busy, expected it a little later"
            )
        asked = int(command["asked"]) + 1
        command["what"] = what
        command["asked"] = asked
        self._busy_until = deadline = now + COMMAND_TIMEOUT_S

        def poll() -> Answer | None:
            if int(command["done"]) >= asked:
                said = text(command["text"])
                if int(command["ok"]):
                    return {"text": said}
                raise ProtocolError(said or f"{what.name.lower()}: refused")
            if time.monotonic() > deadline:
                raise ProtocolError(f"{what.name.lower()}: got no answer from the daemon in 30 s")
            return None

        return poll


class _Probe:
    """The device listing, made by a child and collected without waiting for it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._deadline = time.monotonic() + PROBE_TIMEOUT_S
        self._output = b""
        self._devices: Answer | None = None
        self.done = False
        try:
            self._child: subprocess.Popen[bytes] | None = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            self._child = None
        else:
            assert self._child.stdout is not None
            os.set_blocking(self._child.stdout.fileno(), False)

    def poll(self) -> Answer | None:
        if self._devices is not None:
            return self._devices
        child = self._child
        if child is None or child.stdout is None:
            self.done = True
            raise ProtocolError("devices: got no listing process, expected one")
        ended = child.poll() is not None
        while chunk := _read_available(child.stdout.fileno()):
            self._output += chunk
        if not ended:
            if time.monotonic() < self._deadline:
                return None
            self.close()
            raise ProtocolError(
                f"devices: got no list in {PROBE_TIMEOUT_S:g} s, is the sound server alive?"
            )
        self.close()
        try:
            listing = json.loads(self._output)
        except ValueError as error:
            raise ProtocolError(f"devices: got {self._output[:60]!r}, expected a list") from error
        self._devices = {"devices": listing}
        return self._devices

    def close(self) -> None:
        self.done = True
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            if self._child.stdout is not None:
                self._child.stdout.close()
            self._child = None


def _read_available(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except BlockingIOError:
        return b""


def session_text(session: int) -> str:
    """A session id as JSON carries it."""
    return f"{session:016x}"
