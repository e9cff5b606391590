"""One MIDI output port that may be missing, come later, and go in the middle of a show."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

SEQUENCER = Path("/dev/snd/seq")
RETRY_S = 1.0
RETRY_JACK_S = 10.0  # each try makes JACK's library complain on the terminal
CHECK_S = 1.0  # a port that went away is noticed this soon
# RtMidi waits in a loop for room in its JACK queue of 16 kB, for ever once the server is gone. So
# we listen to ourselves, and hold back when this many messages have not come out at the other end.
UNHEARD_MOST = 1000
UNHEARD_S = 1.0
CLIENT = "stemd"


class MidiPort:
    """A port by part of its name, or a virtual one that others connect to.

    Parameters
    ----------
    name : str
        Part of an existing port's name, any case; empty: a virtual port.
    api : str
        "auto" or "jack".
    on_open : callable
        Called each time a receiver appears.

    Attributes
    ----------
    reason : str
        Why there is no port; empty while there is one.
    """

    def __init__(
        self,
        name: str,
        api: Literal["auto", "jack"] = "auto",
        on_open: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._jack = api == "jack"
        self._on_open = on_open
        self._clock = clock
        self._out: Any = None
        self._echo: Any = None
        self._graves: list[Any] = []  # clients of dead servers: closing one would wait for ever
        self._found = ""
        self._retry_at = 0.0
        self._check_at = 0.0
        self._unheard = 0
        self._heard_at = 0.0
        self.reason = ""
        self.sent = 0
        self.dropped = 0  # messages nobody was there for

    @property
    def is_open(self) -> bool:
        """Somebody can hear us."""
        return self._out is not None

    def send(self, message: bytes) -> None:
        """One message, now or never."""
        if self._out is None or self._unheard >= UNHEARD_MOST:
            self.dropped += 1
            return
        try:
            self._out.send_message(message)
        except OSError as error:  # what RtMidi raises is one
            self.dropped += 1
            self._lose(f"midi.port: got {_one_line(error)}, expected it to take a message")
            return
        self.sent += 1
        if self._echo is not None:
            self._unheard += 1

    def service(self) -> None:
        """Open what is not open, notice what went away."""
        now = self._clock()
        if self._out is None:
            if now >= self._retry_at:
                self._retry_at = now + (RETRY_JACK_S if self._jack else RETRY_S)
                self._open()
            return
        if self._echo is not None:
            self._listen(now)
        if self._out is not None and now >= self._check_at:
            self._check_at = now + CHECK_S
            if self._found and self._found not in self._out.get_ports():
                self._lose(f"midi.port: {self._found!r} went away, expected it to come back")

    def close(self) -> None:
        """Close the port; what was sent arrives."""
        for one in (self._echo, self._out):
            if one is not None:
                one.delete()
        self._out = self._echo = None

    def _open(self) -> None:
        if sys.platform == "linux" and not self._jack and not SEQUENCER.exists():
            self.reason = (
                f"midi.port: got no ALSA sequencer ({SEQUENCER} is missing), "
                "expected one: modprobe snd-seq"
            )
            return
        try:
            import rtmidi
        except ImportError as error:  # there is no wheel for every Python
            self.reason = f"midi: got {_one_line(error)}, expected it: pip install python-rtmidi"
            return
        api = rtmidi.API_UNIX_JACK if self._jack else rtmidi.API_UNSPECIFIED
        out = None
        try:
            out = rtmidi.MidiOut(api, name=CLIENT)
            self.reason = self._connect(rtmidi, out)
            if not self.reason and self._jack:
                self._hear_ourselves(rtmidi, api)
        except OSError as error:
            self.reason = f"midi.port: got {_one_line(error)}, expected a MIDI system"
        if self.reason:
            if out is not None:
                out.delete()
            return
        self._out = out
        self._check_at = self._clock() + CHECK_S
        self._on_open()

    def _connect(self, rtmidi: Any, out: Any) -> str:
        """Open the port in question; returns the complaint, empty when there is none."""
        self._found = ""
        if not self._name:
            try:
                out.open_virtual_port("notes")
            except (NotImplementedError, rtmidi.RtMidiError) as error:
                return f"midi.port: got '' ({_one_line(error)}), expected the name of a port"
            return ""
        ports = out.get_ports()
        for i, port in enumerate(ports):
            if self._name.lower() in port.lower():
                out.open_port(i, "notes")
                self._found = port
                return ""
        return (
            f"midi.port: got {self._name!r}, expected part of one of {', '.join(ports) or 'none'}"
        )

    def _hear_ourselves(self, rtmidi: Any, api: int) -> None:
        self._unheard = 0
        self._heard_at = self._clock()
        echo = rtmidi.MidiIn(api, name=f"{CLIENT}-echo")
        echo.ignore_types(timing=False)
        for i, port in enumerate(echo.get_ports()):
            if port == f"{CLIENT}:notes":
                echo.open_port(i, "echo")
                self._echo = echo
                return
        echo.delete()

    def _listen(self, now: float) -> None:
        """Count what came out of the JACK server."""
        while self._unheard > 0 and self._echo.get_message() is not None:
            self._unheard -= 1
            self._heard_at = now
        if self._unheard == 0:
            self._heard_at = now
        elif now - self._heard_at > UNHEARD_S:
            self._graves += [self._out, self._echo]
            self._out = self._echo = None
            self._retry_at = now + RETRY_JACK_S
            self.reason = "midi.port: the JACK server is silent, expected it to come back"

    def _lose(self, reason: str) -> None:
        self.reason = reason
        self.close()
        self._retry_at = self._clock() + RETRY_S


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
