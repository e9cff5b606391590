"""What clients may ask of a running stream: turn its knobs, look at it, reload or end it.

The only writer of `status.mixer` and of the asking half of `status.command`; lives in `publish`.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import ProtocolError
from .shared import text
from .spec import DRUMS, SOURCES, STEMS
from .status import Command, Status
from .wire.control import (
    LOCAL_OPS,
    PAIRS,
    SETTINGS,
    Request,
    Setting,
    db_of_gain,
    decode_feed,
    decode_settings,
)

COMMAND_TIMEOUT_S = 30.0  # loading a model takes seconds
PROBE_TIMEOUT_S = 15.0  # a slow sound server takes seconds; a dead one for ever
PROBE = (sys.executable, "-m", "stemd.sources.probe", "--json")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEVICE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,120}")

Answer = dict[str, Any]
Pending = Callable[[], Answer | None]  # asked again until it answers; never blocks


class Desk:
    """The mixer as clients see it.

    Parameters
    ----------
    status : Status
    feeds : sequence of str
    presets : mapping of str to settings
        What `preset` recalls by name.
    """

    def __init__(
        self,
        status: Status,
        feeds: Sequence[str],
        presets: Mapping[str, Sequence[Setting]] | None = None,
    ) -> None:
        self._status = status
        self.feeds = tuple(feeds)
        self.presets = dict(presets or {})

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
        for setting in settings:
            self._push(setting)
        mixer["rev"] += 1

    def tap(self, feed: int) -> None:
        """A beat of this feed is now, says somebody."""
        mixer = self._status.mixer
        mixer["tap_ns"][feed] = time.monotonic_ns()
        mixer["tap_count"][feed] += 1
        mixer["rev"] += 1

    def preset(self, name: str) -> None:
        """Recall a named set of settings.

        Raises
        ------
        ProtocolError
            When the configuration has none of that name.
        """
        if name not in self.presets:
            known = ", ".join(self.presets) or "a [preset.NAME] in the configuration"
            raise ProtocolError(f"preset: got {name[:40]!r}, expected {known}")
        self.set(self.presets[name])
        Status.set_text(self._status.mixer, "preset", name)

    def value(self, name: str, feed: int, source: int) -> float:
        """Where one knob stands."""
        field = self._status.mixer[name]
        place = self._place(name, feed, source)
        return float(field if place is None else field[place])

    def state(self) -> Answer:
        """All knobs."""
        return {
            "rev": self.rev,
            "paused": bool(self.value("paused", 0, 0)),
            "recording": bool(self.value("recording", 0, 0)),
            "hold": bool(self.value("hold", 0, 0)),
            "presets": list(self.presets),
            "feeds": {feed: self._feed(b) for b, feed in enumerate(self.feeds)},
        }

    def _feed(self, feed: int) -> Answer:
        answer: Answer = {}
        for name, limits in SETTINGS.items():
            if limits.scope == "feed":
                value = self.value(name, feed, 0)
                answer[name] = bool(value) if limits.switch else value
            elif limits.scope in ("source", "drum"):
                names = SOURCES if limits.scope == "source" else DRUMS
                answer[name] = {one: self.value(name, feed, i) for i, one in enumerate(names)}
        answer["stems"] = {stem: self._stem(feed, s + 1) for s, stem in enumerate(STEMS)}
        return answer

    def _stem(self, feed: int, source: int) -> Answer:
        gain = self.value("gain", feed, source)
        return {
            "gain": gain,
            "gain_db": round(db_of_gain(gain), 2),
            "mute": bool(self.value("mute", feed, source)),
            "solo": bool(self.value("solo", feed, source)),
        }

    def _push(self, setting: Setting) -> None:
        """The end of a range that was turned past the other takes it along."""
        for low, high in PAIRS:
            if setting.name not in (low, high):
                continue
            value = self.value(setting.name, setting.feed, setting.source)
            other = high if setting.name == low else low
            across = self.value(other, setting.feed, setting.source)
            if (across < value) if other == high else (across > value):
                place = self._place(other, setting.feed, setting.source)
                self._status.mixer[other][place] = value

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
    subscribers : callable
        Returns who is sent to.
    """

    def __init__(
        self,
        status: Status,
        desk: Desk,
        describe: Callable[[], Answer],
        probe: Sequence[str] = PROBE,
        subscribers: Callable[[], Answer] = dict,
    ) -> None:
        self._status = status
        self._desk = desk
        self._describe = describe
        self._probe_command = probe
        self._subscribers = subscribers
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
        if request.op == "tap":
            self._desk.tap(decode_feed(fields, self._desk.feeds))
            return self._desk.state()
        if request.op == "preset":
            self._desk.preset(str(fields.get("name")))
            return self._desk.state()
        if request.op == "status":
            return self.status()
        if request.op == "devices":
            if self._probe is None or self._probe.done:
                self._probe = _Probe(self._probe_command)
            return self._probe.poll
        if request.op == "subscribers":
            return self._subscribers()
        if request.op == "device":
            argument = _device(fields)
            most = self._status.command.dtype["argument"].itemsize
            if len(argument.encode()) > most:  # half of it would mean nothing to the daemon
                raise ProtocolError(f"device: got names too long, expected {most} bytes at most")
            return self._command(Command.DEVICE, argument)
        argument = ""
        if request.op in ("model", "profile"):
            argument = str(fields.get("name"))
            # A name, not a path: nobody chooses files from outside.
            if not _NAME.fullmatch(argument):
                raise ProtocolError(f"{request.op}: got {argument[:40]!r}, expected a name")
        return self._command(Command[request.op.upper()], argument)

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

    def _command(self, what: Command, argument: str) -> Pending:
        command = self._status.command
        now = time.monotonic()
        if int(command["done"]) != int(command["asked"]) and now < self._busy_until:
            raise ProtocolError(
                f"{what.name.lower()}: got it while busy, expected it a little later"
            )
        asked = int(command["asked"]) + 1
        command["what"] = what
        Status.set_text(command, "argument", argument)
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


def _device(fields: Mapping[str, Any]) -> str:
    """The source a request names, as the daemon is told."""
    kind = fields.get("kind", "device")
    if kind not in ("device", "demo", "auto"):
        raise ProtocolError(f"device: got kind {str(kind)[:40]!r}, expected device, demo or auto")
    names = [fields.get("host_api", ""), fields.get("name", "")]
    if not all(isinstance(name, str) and _DEVICE.fullmatch(name) for name in names):
        raise ProtocolError("device: got no name, expected name and host_api as devices lists them")
    return json.dumps([kind, *names], ensure_ascii=False)


class _Probe:
    """The device listing, made by a child and collected without waiting for it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._deadline = time.monotonic() + PROBE_TIMEOUT_S
        self._devices: Answer | None = None
        self.done = False
        self._child: subprocess.Popen[bytes] | None = None
        # a file: pipes that do not block are not to be had everywhere, and a sound server that the
        # child has started would keep one open
        with contextlib.suppress(OSError):
            self._output = tempfile.TemporaryFile()  # noqa: SIM115, closed in `close`
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.DEVNULL
            )

    def poll(self) -> Answer | None:
        if self._devices is not None:
            return self._devices
        if self._child is None:
            self.done = True
            raise ProtocolError("devices: got no listing process, expected one")
        if self._child.poll() is None:
            if time.monotonic() < self._deadline:
                return None
            self.close()
            raise ProtocolError(
                f"devices: got no list in {PROBE_TIMEOUT_S:g} s, is the sound server alive?"
            )
        self._output.seek(0)
        output = self._output.read()
        self.close()
        try:
            listing = json.loads(output)
        except ValueError as error:
            raise ProtocolError(f"devices: got {output[:60]!r}, expected a list") from error
        self._devices = {"devices": listing}
        return self._devices

    def close(self) -> None:
        self.done = True
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._output.close()
            self._child = None


def session_text(session: int) -> str:
    """A session id as JSON carries it."""
    return f"{session:016x}"
