"""One plugin instance's stream: input in pieces of any size, hops out, stems by position.

No sockets and no clock: how late a hop is, the host tells by how far it has gone on.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

import numpy as np

from ..kernels.repair import repair
from ..processors.slots import Slot, Slots
from ..processors.stft import Float32Array
from ..spec import LOUDEST, N_CHANNELS, StreamSpec
from ..wire.plugin import (
    FLAG_DRY,
    FLAG_GAP,
    FLAG_LATE,
    FLAG_OFFLINE,
    MAX_FRAMES,
    STEM_CHANNELS,
    Hello,
)

FIFO_S = 1.5  # input of a host that has gone ahead; beyond, it is dropped and counted
MAX_GAP_S = 1.0  # longer ones are not filled with zeros: the stream goes on behind them
MARGIN_MS = 3.0  # a hop's step and two ways over a local socket, on a machine that does more
CREDIT_BLOCKS = 3  # messages on their way while stems of earlier ones are


def minimum_latency(spec: StreamSpec, block: int) -> int:
    """Smallest latency, in frames, at which a real-time host of such blocks hears no hole.

    The hop that holds a frame and the next one must be complete, a block's frames are asked for at
    once, and the answer takes its time.
    """
    return spec.latency + block + spec.samples(MARGIN_MS)


class Pushed(IntEnum):
    """What became of a piece of input."""

    TAKEN = 0
    STALE = 1  # all of it was there before
    FULL = 2  # no room: dropped, to be filled with zeros when the next one comes


class Insert:
    """Input, positions and stems of one instance between HELLO and BYE.

    Parameters
    ----------
    slots, slot : Slots, Slot
    hello : Hello

    Attributes
    ----------
    credit : int
        Frames an offline sender may be ahead of its stems.
    offline : bool
        What the newest input said.
    zero_filled, repaired : int
        Frames that never came, samples that were no numbers.
    """

    def __init__(self, slots: Slots, slot: Slot, hello: Hello) -> None:
        self.slot = slot
        self._slots = slots
        rate, hop_length = slot.spec.samplerate, slot.spec.hop_length
        self._hop_length = hop_length
        self._max_gap = round(MAX_GAP_S * rate)
        # What cannot be reached at all is no reason to call every hop late.
        algorithmic = slot.spec.latency
        self.hello = hello
        self.offline = hello.offline
        self.latency = max(hello.latency, algorithmic + hello.block)
        self.credit = self.latency + algorithmic + CREDIT_BLOCKS * MAX_FRAMES
        room = max(round(FIFO_S * rate), self.credit)
        # Twice, so that what waits moves to the front once in a while rather than at each hop.
        self._fifo = np.zeros((N_CHANNELS, 2 * (room + MAX_FRAMES)), np.float32)
        self._room = room + MAX_FRAMES
        n_out = -(-MAX_FRAMES // hop_length) * hop_length
        self._out = np.zeros((n_out, STEM_CHANNELS), np.float32)
        self.zero_filled = 0
        self.repaired = 0
        self.reset()

    def reset(self) -> None:
        """Forget all input and what came of it; the next piece may be at any position."""
        self._slots.reset(self.slot)
        self._read = self._write = 0
        self._origin = -1  # position of the first frame; -1: none came yet
        self._taken = 0  # frames since then that went into hops
        self._marks: deque[tuple[int, int]] = deque()  # end of a piece, its t_ns
        self._gaps: deque[tuple[int, int]] = deque()  # positions from, to, not of the host
        self._seam: tuple[int, int, int] | None = None  # see _jump
        self._t_ns = 0
        self._jumped = False
        self._behind = False
        self.out_position = 0
        self.out_flags = 0
        self._out_n = 0

    @property
    def waiting(self) -> int:
        """Frames of input that went into no hop yet."""
        return self._write - self._read

    @property
    def ready(self) -> bool:
        """A hop is complete, and there is room for what comes of it."""
        return (
            self.waiting >= self._hop_length
            and self._out_n + self._hop_length <= len(self._out)
            and not self._at_seam
        )

    @property
    def late(self) -> bool:
        """The host has played what the next hop gives, or had in this episode.

        An episode ends when all but the newest block is done: from then on stems are early again,
        where letting go at the first hop in time would keep every one at the edge.
        """
        behind = self._hop_length + self.hello.block if self._behind else self.latency
        return not self.offline and self.waiting >= behind

    def push(self, position: int, frames: Float32Array, offline: bool, t_ns: int) -> Pushed:
        """Take a piece of input.

        Parameters
        ----------
        position : int
            Of its first frame. What is missing before it becomes zeros; what came before is
            passed over.
        frames : (n, c) float32
        t_ns : int
            The sender's clock.
        """
        self.offline = offline
        if self._origin < 0:
            self._origin = position
        expected = self._next
        gap = position - expected
        if gap < 0:
            if -gap >= len(frames):
                return Pushed.STALE
            frames = frames[-gap:]
            gap = 0
        n = len(frames)
        if gap > self._max_gap:
            if self._seam is not None or self.waiting + n + 2 * self._hop_length > self._room:
                return Pushed.FULL
            self._jump(position)
            gap = 0
        if self.waiting + gap + n > self._room:
            return Pushed.FULL
        if gap:
            self._append(gap)[:] = 0.0
            self._gaps.append((expected, position))
            self.zero_filled += gap
        fresh = self._append(n)
        fresh[:] = frames.T
        self.repaired += repair(fresh, LOUDEST)
        self._marks.append((self._taken + self.waiting, t_ns))
        return Pushed.TAKEN

    def begin_hop(self) -> None:
        """Move the next hop into the slot; only when `ready`."""
        self._behind = self.late
        read, hop_length = self._read, self._hop_length
        self.slot.hop[:] = self._fifo[:, read : read + hop_length]
        self._read += hop_length
        self._taken += hop_length
        while self._marks and self._marks[0][0] < self._taken:
            self._marks.popleft()
        if self._marks:
            self._t_ns = self._marks[0][1]

    def end_hop(self) -> None:
        """Add what the slot made of it to `out`."""
        hop_length = self._hop_length
        position = self._origin + self._taken - 2 * hop_length
        first = max(self._origin - position, 0)
        last = hop_length
        if self._seam is not None:
            last = min(max(self._seam[1] - position, 0), hop_length)
        n = last - first
        if n <= 0:
            return
        if self._out_n == 0:
            self.out_position = position + first
            self.out_flags = FLAG_OFFLINE if self.offline else 0
        stems = self.slot.stems.reshape(STEM_CHANNELS, hop_length)
        self._out[self._out_n : self._out_n + n] = stems[:, first:last].T
        self._out_n += n
        self._flag(position + first, position + last)

    @property
    def out(self) -> Float32Array:
        """Stems that wait to be sent, (n, 8), from `out_position` on."""
        return self._out[: self._out_n]

    @property
    def out_t_ns(self) -> int:
        """The sender's clock at the newest input they answer."""
        return self._t_ns

    def sent(self) -> None:
        """`out` is gone."""
        self._out_n = 0
        if self._at_seam:
            self._start_anew()

    @property
    def _next(self) -> int:
        """Position of the next frame to come."""
        if self._seam is not None:
            taken, _, position = self._seam
            return position + self._taken + self.waiting - taken
        return self._origin + self._taken + self.waiting

    @property
    def _at_seam(self) -> bool:
        return self._seam is not None and self._taken >= self._seam[0]

    def _start_anew(self) -> None:
        """Go on behind a jump."""
        assert self._seam is not None
        taken, _, position = self._seam
        self._seam = None
        self._marks = deque((end - taken, t_ns) for end, t_ns in self._marks)
        self._taken = 0
        self._origin = position
        self._jumped = True
        self._slots.reset(self.slot)

    def _flag(self, first: int, last: int) -> None:
        """Say what there is to say of the stems of positions first ... last."""
        core = self.slot.core
        while self._gaps and self._gaps[0][1] <= first:
            self._gaps.popleft()
        if self._jumped or (self._gaps and self._gaps[0][0] < last):
            self.out_flags |= FLAG_GAP
        self._jumped = False
        self.out_flags |= FLAG_LATE if core.late[0] else 0
        self.out_flags |= FLAG_DRY if core.dry[0] else 0

    def _jump(self, position: int) -> None:
        """Push out what is in work with zeros; what comes then starts anew at `position`."""
        end = self._next
        pad = -(self._taken + self.waiting) % self._hop_length + self._hop_length
        self._append(pad)[:] = 0.0
        self._seam = (self._taken + self.waiting, end, position)

    def _append(self, n: int) -> Float32Array:
        """Room for n more frames, (c, n), to be filled."""
        if self._write + n > self._fifo.shape[1]:
            waiting = self.waiting
            self._fifo[:, :waiting] = self._fifo[:, self._read : self._write]
            self._read, self._write = 0, waiting
        self._write += n
        return self._fifo[:, self._write - n : self._write]
