"""Notes, hits and the beat of one feed out of a MIDI port."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..config import MidiConfig
from ..spec import FEATURES, SOURCES, StreamSpec
from ..status import State
from .midi_clock import BeatClock
from .midi_notes import NotePlayer
from .midi_port import MidiPort

LATE_S = 0.1  # hops older than this come all at once: the clock leaves them out
_TEMPO = [FEATURES.index(f) for f in ("tempo_bpm", "tempo_confidence", "beat", "beat_phase")]
_MIX = SOURCES.index("mix")


class Port(Protocol):
    """Where messages go."""

    reason: str
    sent: int
    dropped: int

    def send(self, message: bytes) -> None: ...
    def service(self) -> None: ...
    def close(self) -> None: ...


def _nothing() -> None:
    """Nobody is to be told."""


class MidiSink:
    """MIDI of one daemon. A port that is missing is a reason, tried again, never an end.

    Parameters
    ----------
    spec : StreamSpec
    feeds : sequence of str
    config : MidiConfig
    stall_s : float
        Without a hop for this long everything that sounds is ended.
    bypassed : callable
        Whether the feed is bypassed; when that begins (panic does it), everything is ended.
    port : callable or None
        Makes the port from what to call when it opens; None: the one `config` names.

    Process:  publish only, one thread.
    """

    def __init__(
        self,
        spec: StreamSpec,
        feeds: Sequence[str],
        config: MidiConfig,
        stall_s: float = 0.25,
        bypassed: Callable[[], bool] = lambda: False,
        port: Callable[[Callable[[], None]], Port] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feeds.index(config.feed) if config.feed else 0
        self._samplerate = spec.samplerate
        self._stall_s = stall_s
        self._bypassed = bypassed
        self._now = clock
        self._port: Port = (
            port(self._prepare) if port else MidiPort(config.port, config.api, self._prepare)
        )
        self.player = NotePlayer(spec, config, self._port.send)
        self.clock = BeatClock(spec, self._port.send) if config.clock else None
        self._session = -1
        self._position = -1
        self._written_at = 0.0
        self._quiet = True  # nothing was played since the last release
        self._was_bypassed = False
        self.on_open: Callable[[], None] = _nothing  # a receiver appeared

    @property
    def reason(self) -> str:
        """Why nobody can hear us; empty when somebody can."""
        return self._port.reason

    @property
    def sent(self) -> int:
        """Messages out."""
        return self._port.sent

    @property
    def errors(self) -> int:
        """Messages there was no port for."""
        return self._port.dropped

    def send(self, message: bytes) -> None:
        """One message of somebody else's, a mapping's."""
        self._port.send(message)

    def write(self, hop: Any) -> None:
        """Play one hop."""
        position, session = int(hop["sample_pos"]), int(hop["session"])
        if session != self._session or position <= self._position:
            self.release()
            self.player.forget()
            self._session, self._position = session, position
        if int(hop["state"]) != State.RUNNING:
            self.release()
            self._position = position
            return
        rows = hop["features"][self._feed]
        self._quiet = False
        self._written_at = self._now()
        self.player.play(rows, position)
        if self.clock:
            arrival_ns = int(hop["t_arrival_ns"])
            late = arrival_ns > 0 and self._written_at - arrival_ns * 1e-9 > LATE_S
            elapsed_s = 0.0 if late else (position - self._position) / self._samplerate
            bpm, confidence, beat, phase = rows[_MIX].take(_TEMPO).tolist()
            self.clock.tick(bpm, confidence, 0.0 if late else beat, phase, elapsed_s)
        self._position = position

    def service(self) -> None:
        """Look after the port; end what sounds when the stream has stalled or was bypassed."""
        self._port.service()
        bypassed = self._bypassed()
        if bypassed and not self._was_bypassed:
            self.panic()
        self._was_bypassed = bypassed
        if not self._quiet and self._now() - self._written_at > self._stall_s:
            self.release()

    def release(self) -> None:
        """End everything that sounds, stop the clock; once."""
        if self._quiet:
            return
        self._quiet = True
        self.player.release()
        if self.clock:
            self.clock.stop()

    def panic(self) -> None:
        """Silence, whatever the receiver thinks it heard."""
        self.release()
        self.player.silence()

    def close(self) -> None:
        """Leave nothing sounding, close the port."""
        self.panic()
        self._port.close()

    def _prepare(self) -> None:
        """A receiver appeared: it knows of nothing."""
        self.player.release()
        if self.clock:
            self.clock.stop()
        self.player.prepare()
        self.on_open()
