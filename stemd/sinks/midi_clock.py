"""The beat as MIDI clock: even ticks, 24 to the beat; start on a beat, stop when it is lost.

Ticks come from an oscillator of ours that leans towards the tracker's beat. Whatever the tracker
corrects, and whatever hops are lost, is caught up by ticks that are a little closer or wider, never
by a burst or a hole: receivers take their tempo from the distance of ticks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..spec import StreamSpec
from ..wire import midi

START_CONFIDENCE = 0.3
LOST_S = 4.0  # without a tempo; a break in the song must not stop the receiver
LEAN = 0.02  # of the speed for each tick we are off
LEAN_MOST = 0.1  # a receiver follows 10 % without stumbling
LOST_HOPS = 2  # more than this in one row is a gap: the ticks in it are not sent
TICKS = midi.TICKS_PER_BEAT


class BeatClock:
    """Clock, start and stop from the tempo columns of the mix.

    Parameters
    ----------
    spec : StreamSpec
    send : callable
        Takes one message.

    Latency:  ticks leave with a hop: they are up to one hop late, and never earlier than it.
    """

    def __init__(self, spec: StreamSpec, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._hop_s = spec.hop_s
        self._rate = 0.0  # ticks per second
        self._place = 0.0  # ticks since start
        self._due = 0  # next tick
        self._lost_s = 0.0
        self.running = False
        self.ticks = 0

    def tick(
        self, bpm: float, confidence: float, beat: float, phase: float, elapsed_s: float
    ) -> None:
        """Take one hop.

        Parameters
        ----------
        bpm, confidence, beat, phase : float
            As spec.FEATURES has them; bpm 0 or NaN: unknown.
        elapsed_s : float
            Since the last hop; 0 for hops that come late, all at once.
        """
        known = 10.0 <= bpm <= 400.0
        if not self.running:
            if known and confidence >= START_CONFIDENCE and beat > 0.0:
                self._start(bpm)
            return
        if known:
            self._lost_s = 0.0
            self._rate = bpm * TICKS / 60.0
        else:
            self._lost_s += elapsed_s
            if self._lost_s > LOST_S:
                self.stop()
                return
        speed = self._rate * (1.0 + self._lean(phase)) if known else self._rate
        self._place += speed * min(elapsed_s, LOST_HOPS * self._hop_s)
        while self._due <= self._place:
            self._due += 1
            self.ticks += 1
            self._send(midi.CLOCK)

    def stop(self) -> None:
        """Stop the receiver, if it runs."""
        if self.running:
            self.running = False
            self._send(midi.STOP)

    def _start(self, bpm: float) -> None:
        self.running = True
        self._rate = bpm * TICKS / 60.0
        self._place = 0.0
        self._due = 1
        self._lost_s = 0.0
        self.ticks += 1
        self._send(midi.START)
        self._send(midi.CLOCK)  # the first tick after a start is the beat

    def _lean(self, phase: float) -> float:
        """How much faster to go: our place in the beat against the tracker's."""
        if not math.isfinite(phase):
            return 0.0
        behind = (phase * TICKS - self._place + TICKS / 2) % TICKS - TICKS / 2
        return min(max(LEAN * behind, -LEAN_MOST), LEAN_MOST)
