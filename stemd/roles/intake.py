"""From blocks in the ring to whole hops, with every sample accounted for.

The session's sample clock is kept here: it never stands still and never runs back. Samples that
were lost become concealment of the same length when the gap is short, a jump of the clock when it
is long, and are counted either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.repair import repair
from ..processors.clock import DeviceClock
from ..processors.seam import Seam
from ..ring import Ring
from ..spec import LOUDEST, N_CHANNELS, StreamSpec
from ..wire.header import FLAG_CONCEALED, FLAG_DISCONTINUITY

SECOND_NS = 1_000_000_000
MAX_CONCEALED_S = 1.0  # a longer gap is a jump of the clock, not a queue of silence
ELSEWHERE_NS = 5_000_000  # from where a block was expected: more than jitter
JITTER = 48  # samples; device clocks read up to 24 off without any loss
KEEP_HOPS = 2  # what a skip leaves waiting: enough to go on without starving at once
FORGET_S = 1.0  # after a stall this long the model's memory means nothing any more


class Intake:
    """Assembles hops.

    Parameters
    ----------
    ring : Ring
    channels : sequence of tuple of int
        For each feed its two 0-based channels of the ring.
    spec : StreamSpec
    section : status section
        `separate`'s; its counters are updated here.
    stall_s : float
        Silence of the source that means STALLED.
    max_backlog : int
        Samples; a longer queue is skipped. 0: never, the source can wait.
    trust_clock : bool
        Whether a jump of the device clock is lost audio.
    anew : bool
        False: leave the ring alone, another one still reads it; see `let_go`.

    Attributes
    ----------
    hop : (b, c, hop_length) float32
        Valid after `take` returned True, until the next call.
    flags, first_ns, arrival_ns, position
        Of that hop: wire flags; CLOCK_MONOTONIC of its first sample at the ADC (0: unknown) and of
        its last sample's arrival; session sample index of its first sample.
    stalled : bool
    forget : bool
        True for the hop before which the separator must be reset.
    seams : int
        A bit for each feed of which a part of that hop was invented, by the source or here.
    """

    def __init__(
        self,
        ring: Ring,
        channels: Sequence[tuple[int, int]],
        spec: StreamSpec,
        section: Any,
        stall_s: float,
        max_backlog: int,
        trust_clock: bool,
        anew: bool = True,
    ) -> None:
        self._ring = ring
        self._channels = channels
        self._spec = spec
        self._section = section
        self._stall_ns = int(stall_s * SECOND_NS)
        self._max_backlog = max_backlog
        self._trust_clock = trust_clock
        self._hop_ns = spec.hop_length * SECOND_NS // spec.samplerate
        self.clock = DeviceClock(spec.samplerate)
        self._seams = [Seam(spec) for _ in channels]
        self.hop = np.zeros((spec.n_feeds, N_CHANNELS, spec.hop_length), np.float32)
        self.flags = 0
        self.first_ns = 0
        self.arrival_ns = 0
        self.stalled = False
        self.forget = False
        self.seams = 0
        self._fill = 0
        self._gap = 0  # samples still to conceal
        self._offset = 0  # samples used of the oldest block
        self._stream = -1
        self._entered = -1  # start of the block that was looked at last
        self._next_adc_s = 0.0
        self._next_first_ns = 0
        self._overruns = ring.overruns
        self._residual = 0.0
        self._last_ns = 0  # arrival of the newest block; 0: none yet
        self._due_ns = 0
        self._stalled_at_ns = 0
        self._flush = spec.latency // spec.hop_length
        # After a restart of this process the clock goes on where it was, plus what went by.
        self.position = int(section["sample_pos"])
        self._pending_flags = 0
        if not anew:
            return
        unheard = ring.skip()
        if self.position:
            self._lose(unheard, 0)

    def take(self, now_ns: int) -> bool:
        """Assemble the next hop from what there is; True when it is whole."""
        hop_length = self._spec.hop_length
        if self._fill == 0:
            self.flags, self._pending_flags = self._pending_flags, 0
            self.forget = False
            self.seams = 0
        while self._fill < hop_length:
            if self._gap:
                n = min(self._gap, hop_length - self._fill)
                self._gap -= n
                self._conceal(n)
                continue
            block = self._ring.block()
            if block is None:
                if not self._starved(now_ns):
                    return False
                continue
            if self._offset == 0 and self._enter(block):
                continue
            self._copy(block)
        self._fill = 0
        self.position += hop_length
        return True

    def let_go(self) -> None:
        """Drop what belongs to this process; what is left another one can go on with."""
        self._ring = self._section = None  # type: ignore[assignment]

    def hold(self, ring: Ring, section: Any) -> None:
        """Go on with a ring and counters."""
        self._ring, self._section = ring, section

    @property
    def hop_position(self) -> int:
        """Session index of the first sample of `hop`."""
        return self.position - self._spec.hop_length

    @property
    def finished(self) -> bool:
        """The source ended and its last sample has left the separator."""
        return self._ring.ended and self._flush == 0 and self._fill == 0

    # -- pieces of `take` -----------------------------------------------------------------------

    def _copy(self, block: Any) -> None:
        n_block = int(block["n_samples"])
        n = min(n_block - self._offset, self._spec.hop_length - self._fill)
        start = int(block["start"]) + self._offset
        if self._fill == 0:
            self.first_ns = self._first_ns + self._offset * SECOND_NS // self._spec.samplerate
        for feed, channels in enumerate(self._channels):
            part = self.hop[feed, :, self._fill : self._fill + n]
            self._ring.copy(start, n, channels, part)
            self._section["repaired"] += repair(part, LOUDEST)
            self._seams[feed].process(part)
        if seams := int(block["seams"]):
            self.seams |= seams
            self.flags |= FLAG_CONCEALED
        self._fill += n
        self._offset += n
        self.arrival_ns = int(block["arrival_ns"])
        done = self._offset == n_block
        self._ring.release(n, done)
        if done:
            self._offset = 0

    def _conceal(self, n: int) -> None:
        """Invent `n` samples: what was last heard, mirrored and faded, then nothing."""
        if self._fill == 0 and self.first_ns:
            self.first_ns += self._hop_ns
        for feed in range(len(self._channels)):
            self._seams[feed].conceal(self.hop[feed, :, self._fill : self._fill + n])
        self._fill += n
        self.flags |= FLAG_CONCEALED
        self.seams |= (1 << len(self._channels)) - 1
        self._section["concealed"] += n

    def _enter(self, block: Any) -> bool:
        """First look at a block; True when something must come before it."""
        if int(block["start"]) == self._entered:
            return False  # what had to come before it has come
        self._entered = int(block["start"])
        n = int(block["n_samples"])
        adc_s, first_ns = float(block["adc_s"]), int(block["first_ns"])
        rate = self._spec.samplerate
        anew = int(block["stream"]) != self._stream
        door = int(block["overruns"]) - self._overruns
        self._overruns = int(block["overruns"])
        lost = 0.0
        resumed = bool(self._stalled_at_ns)
        if resumed:
            self._resume(int(block["arrival_ns"]))
        elif anew and self._stream >= 0:
            if self._trust_clock:
                lost = (first_ns - self._next_first_ns) * rate / SECOND_NS
            self.flags |= FLAG_DISCONTINUITY
        elif not anew:
            lost = float(door)
            if self._trust_clock:
                jump = (adc_s - self._next_adc_s) * rate + self._residual
                if jump - door > max(n / 2, JITTER):
                    # A clock read at the wrong moment is off by part of a block, a loss is whole.
                    lost = max(n * round(jump / n), door)
                    self._residual = jump - lost
        if anew:
            self._stream = int(block["stream"])
            self._residual = 0.0
            self.clock.reset()
        elif resumed or lost >= 1 or (block["seams"] and self._is_elsewhere(first_ns)):
            self.clock.resume()
        self._first_ns = self.clock.process(n, first_ns)
        self._next_adc_s = adc_s + n / rate
        self._next_first_ns = first_ns + n * SECOND_NS // rate
        self._last_ns = int(block["arrival_ns"])
        self._section["rate_measured"] = self.clock.samplerate
        if lost >= 1:
            self._lose(round(lost), int(MAX_CONCEALED_S * rate))
        elif self._max_backlog and self._ring.backlog > max(self._max_backlog, n):
            self._skip()  # one block alone is no queue, however long it is
        return self._gap > 0

    def _is_elsewhere(self, first_ns: int) -> bool:
        """Whether a block was not heard right after the one before: of another sender, perhaps."""
        return abs(first_ns - self._next_first_ns) > ELSEWHERE_NS

    def _lose(self, n: int, concealable: int) -> None:
        """Account for `n` samples that never came."""
        self._section["lost_input"] += n
        self._section["discontinuities"] += 1
        self.flags |= FLAG_DISCONTINUITY
        self._pending_flags |= FLAG_DISCONTINUITY
        if n <= concealable:
            self._gap = n
        else:
            self._gap = self._spec.hop_length  # ends the old sound and starts the new one softly
            self.position += max(n - self._gap, 0)

    def _skip(self) -> None:
        """The queue is too long: go on with its newest part, so that latency comes back."""
        skipped = 0
        while self._ring.backlog > KEEP_HOPS * self._spec.hop_length:
            block = self._ring.block()
            if block is None:
                break
            n = int(block["n_samples"])
            if n == self._ring.backlog:  # the newest stays, or of long blocks nothing would be left
                break
            skipped += n
            self._overruns = int(block["overruns"])
            self._next_adc_s = float(block["adc_s"]) + n / self._spec.samplerate
            self._ring.release(n, True)
        if skipped:
            self.clock.resume()
            self._lose(skipped, 0)

    def _starved(self, now_ns: int) -> bool:
        """Nothing to read. True when silence has filled the hop."""
        rest = self._spec.hop_length - self._fill
        if self._ring.ended:
            if self._flush == 0:
                return False
            self._flush -= 1
            if self._fill == 0:
                self.first_ns += self._hop_ns
            self.hop[:, :, self._fill :] = 0.0
            self.arrival_ns = now_ns
            self._fill += rest
            return True
        if self._last_ns == 0:
            self._last_ns = now_ns  # the first block may take its time, but not for ever
        if not self.stalled:
            if now_ns - self._last_ns < self._stall_ns:
                return False
            self.stalled = True
            self._stalled_at_ns = self._last_ns
            waited = (now_ns - self._last_ns) * self._spec.samplerate // SECOND_NS
            self._lose(waited, 0)
            self._gap = 0
            self._due_ns = now_ns
        if now_ns < self._due_ns:
            return False
        first_ns = self._due_ns - self._hop_ns if self._fill == 0 else self.first_ns
        self._due_ns = max(self._due_ns + self._hop_ns, now_ns - self._stall_ns)
        self.flags |= FLAG_DISCONTINUITY
        self.arrival_ns = now_ns
        self._conceal(rest)
        self.first_ns = first_ns  # of the time it stands for, also where nothing ever came
        self._section["lost_input"] += rest
        return True

    def _resume(self, now_ns: int) -> None:
        """Audio is back after a stall."""
        self.forget = now_ns - self._stalled_at_ns > FORGET_S * SECOND_NS
        self.stalled = False
        self._stalled_at_ns = 0
        self.flags |= FLAG_DISCONTINUITY
        self._pending_flags |= FLAG_DISCONTINUITY

    def wait_s(self, now_ns: int) -> float:
        """How long to sleep for a block before looking again."""
        if self.stalled:
            return max(min((self._due_ns - now_ns) * 1e-9, 0.05), 0.0)
        return 0.05
