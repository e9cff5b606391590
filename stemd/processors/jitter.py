"""Blocks that come in any order, late, twice or never, leave in order, each sample once."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from stemd.processors.playout import Playout
from stemd.processors.stft import Float32Array

MAX_CONCEALED_S = 1.0  # a longer hole is a sender that is away
AHEAD_S = 1.0  # what is further ahead is another place in the sender's time
LATE_RUN_S = 0.2  # everything late for so long: the way has become longer
ASK_AGAIN_S = 0.01
MAX_ASKED = 2


class Put(IntEnum):
    """What became of a block."""

    TAKEN = 0
    DUPLICATE = 1
    LATE = 2


class Piece(NamedTuple):
    """What is to be played next."""

    position: int
    n: int
    block: Float32Array | None  # (n, c); None: it must be invented
    first_ns: int  # of its first sample, as given; of a hole: continued
    lost: int  # samples passed over before it, without a substitute
    recovered: bool  # from a copy, or sent again


class _Block(NamedTuple):
    block: Float32Array
    first_ns: int
    recovered: bool


class JitterBuffer:
    """Holds a sender's blocks until they are due.

    Parameters
    ----------
    samplerate, frames : int
        Nominal rate, samples of a block.
    playout : Playout

    Attributes
    ----------
    position : int
        The sender's sample that is played next; -1 before the first.
    stalled : bool
        Nothing came for `MAX_CONCEALED_S`; nothing is played until something does.
    """

    def __init__(self, samplerate: int, frames: int, playout: Playout) -> None:
        self._rate, self._frames = samplerate, frames
        self.playout = playout
        self._blocks: dict[int, _Block] = {}
        self._asked: dict[int, tuple[int, float]] = {}  # position: times, when last
        self.position = -1
        self.stalled = False
        self._highest = -1
        self._hole = 0  # samples invented in a row
        self._late_run = 0
        self._lost = 0
        self._last_ns = 0

    @property
    def waiting(self) -> int:
        """Blocks held."""
        return len(self._blocks)

    def put(
        self,
        position: int,
        block: Float32Array,
        first_ns: int,
        now_s: float,
        recovered: bool = False,
        counts: bool = True,
    ) -> Put:
        """Take a block.

        block : (n, c) float32; kept, not copied
        recovered : it is a copy, or was sent again
        counts : see `Playout.heard`
        """
        end = position + len(block)
        if position in self._blocks:
            return Put.DUPLICATE
        ahead = position - self.position
        if self.position < 0 or self.stalled or ahead > AHEAD_S * self._rate:
            if recovered or -AHEAD_S * self._rate < ahead <= 0 < self.position:
                return Put.LATE
            self._anchor(position)
        late_s = self.playout.heard(end, now_s, counts)
        self._highest = max(self._highest, position)
        if position < self.position:
            if not recovered and late_s > 0:
                self._late_run += len(block)
                if self._late_run > LATE_RUN_S * self._rate:
                    self.playout.restart()
                    self.playout.heard(end, now_s)
                    self._late_run = 0
            return Put.LATE
        if not recovered:
            self._late_run = 0
        self._blocks[position] = _Block(block, first_ns, recovered)
        return Put.TAKEN

    def pull(self, now_s: float) -> Piece | None:
        """What is due, or None; call again until there is nothing."""
        if self.position < 0 or self.stalled or not self.playout.known:
            return None
        held = self._blocks.get(self.position)
        n = self._frames if held is None else len(held.block)
        if self.playout.due_s(self.position + n) > now_s:
            return None
        if held is None:
            return self._invent()
        del self._blocks[self.position]
        lost, self._lost = self._lost, 0
        self._hole = 0
        return self._play(n, held.block, held.first_ns, lost, held.recovered)

    def next_due_s(self) -> float:
        """When to call `pull`; far away when there is nothing to wait for."""
        if self.position < 0 or self.stalled or not self.playout.known:
            return float("inf")
        return self.playout.due_s(self.position + self._frames)

    def missing(self, now_s: float, way_s: float, copies: int) -> Sequence[int]:
        """Blocks worth asking for again: not here, and time enough.

        way_s : there and back
        copies : earlier blocks each datagram repeats; what they may still bring is not asked for
        """
        if self.position < 0 or self.stalled:
            return ()
        wanted = []
        last = self._highest - (copies + 1) * self._frames
        for position in range(self.position, last + 1, self._frames):
            if position in self._blocks:
                continue
            if self.playout.due_s(position + self._frames) - now_s < way_s + ASK_AGAIN_S:
                continue
            times, last_s = self._asked.get(position, (0, -1.0))
            if times < MAX_ASKED and now_s - last_s > max(ASK_AGAIN_S, way_s):
                self._asked[position] = (times + 1, now_s)
                wanted.append(position)
        return wanted

    def _anchor(self, position: int) -> None:
        """Go on at `position`, wherever we were."""
        if self.position >= 0:
            self._lost += max(position - self.position, 0)
            self.playout.restart()
        self._blocks.clear()
        self._asked.clear()
        self.position = self._highest = position
        self.stalled = False
        self._hole = self._late_run = 0

    def _invent(self) -> Piece | None:
        n = self._frames
        later = [p for p in self._blocks if p < self.position + n]
        if later:
            n = min(later) - self.position  # the sender lost samples: blocks lie otherwise
        self._hole += n
        if self._hole > MAX_CONCEALED_S * self._rate:
            self.stalled = True
            self._blocks.clear()
            return None
        return self._play(n, None, self._last_ns, 0, False)

    def _play(
        self, n: int, block: Float32Array | None, first_ns: int, lost: int, recovered: bool
    ) -> Piece:
        piece = Piece(self.position, n, block, first_ns, lost, recovered)
        self.position += n
        # A sender whose blocks overlap: what lies behind us now will never be played.
        for behind in [p for p in self._blocks if p < self.position]:
            del self._blocks[behind]
        self._last_ns = first_ns + n * 1_000_000_000 // self._rate
        self._asked.pop(piece.position, None)
        return piece
