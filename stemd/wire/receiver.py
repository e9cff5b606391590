"""The receiver's side of the protocol: messages become fresh, aligned blocks without holes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ProtocolError
from ..spec import N_CHANNELS, STEMS
from . import topics
from .header import FLAG_CONCEALED, FLAG_DISCONTINUITY, FLAG_SILENCE, Header
from .messages import AudioMessage, Float32Array, decode_audio

BUDGET_BLOCKS = 3
# Two clocks that never meet drift apart by less than this; see Freshness.
DRIFT = 200e-6
MAX_RELAX_NS = 10_000_000
GIVE_UP_NS = 3_000_000_000  # without a message in time
PAUSE_NS = 1_000_000_000  # between two messages that are read: nobody read
MAX_FILLED_BLOCKS = 65_536  # of one hole: minutes of the shortest hops, and bounded memory


@dataclass(frozen=True, slots=True)
class StemBlock:
    """One hop of audio, all stems aligned.

    Attributes
    ----------
    sample_pos : int
        First sample, on the output clock: the next block's is `sample_pos + n`.
    stems : (s, c, n) float32
        In the order asked for. Yours to change.
    mix : (c, n) float32 or None
        The input, equally late, when it was asked for.
    flags : int
        `FLAG_…` of `stemd.wire.header`.
    state : int
        `stemd.status.State`.
    latency : int
        Samples; the block holds input from `sample_pos - latency` on.
    t_capture_ns : int
        UTC at the ADC of the first sample; 0: unknown.
    filled : bool
        Silence in place of a block that was lost on the way.
    lost : int
        Samples missing before this block that were too many to be filled.
    """

    sample_pos: int
    stems: Float32Array
    mix: Float32Array | None
    flags: int
    state: int
    latency: int
    t_capture_ns: int
    t_publish_mono_ns: int
    samplerate: int
    rate_measured: float
    session: int
    config_rev: int
    seq: int
    filled: bool = False
    lost: int = 0


@dataclass(slots=True)
class Counters:
    """What happened to blocks on the way here, since `connect`."""

    blocks: int = 0  # handed out, filled ones not counted
    late: int = 0  # dropped because they were older than the budget
    late_rows: int = 0  # of features, dropped for the same reason
    filled: int = 0  # samples of silence handed out in place of lost ones
    lost: int = 0  # samples never handed out
    incomplete: int = 0  # blocks of which a stem was missing
    sessions: int = 0  # streams that started, the first one too
    malformed: int = 0  # messages that were not understood


class Freshness:
    """How old a message is, for a publisher whose clock may be ours or another machine's.

    On one machine both read one monotonic clock. Between two, the smallest difference ever seen
    stands for a message that took no time; it gives way slowly, for clocks that drift, and at once
    where the clock is another one: after a start, or when nothing has been in time for a while, as
    of a machine that slept.

    Parameters
    ----------
    same_clock : bool
        The publisher is on this machine.
    budget_s : float
        Older messages are late; at least `BUDGET_BLOCKS` hops.
    """

    def __init__(self, same_clock: bool, budget_s: float) -> None:
        self._same_clock = same_clock
        self._budget_s = budget_s
        self._offset_ns: int | None = None
        self._at_ns = 0
        self._session = -1
        self._late_since_ns = 0  # 0: they are in time

    def is_late(self, header: Header) -> bool:
        """Whether the message is older than the budget."""
        if header.session != self._session:
            self._session, self._offset_ns, self._late_since_ns = header.session, None, 0
        blocks_s = BUDGET_BLOCKS * header.n_frames / max(header.rate_nominal, 1)
        budget_ns = max(self._budget_s, blocks_s) * 1e9
        before_ns = self._at_ns
        if self.age_ns(header.t_publish_mono_ns) <= budget_ns:
            self._late_since_ns = 0
            return False
        # From the first that was late, not from the last in time: who did not read for a while has
        # a queue before it that is as old as that.
        if not self._late_since_ns or self._at_ns - before_ns > PAUSE_NS:
            self._late_since_ns = self._at_ns
        if self._at_ns - self._late_since_ns > GIVE_UP_NS:
            self._offset_ns, self._late_since_ns = None, 0
        return True

    def age_ns(self, t_publish_mono_ns: int) -> int:
        """Time since a message left its publisher."""
        now = time.monotonic_ns()
        waited_ns, self._at_ns = now - self._at_ns, now
        difference = now - t_publish_mono_ns
        if self._same_clock:
            return difference
        offset = self._offset_ns  # once: another thread may begin anew
        if offset is None:
            offset = difference
        relaxed = offset + min(round(waited_ns * DRIFT), MAX_RELAX_NS)
        offset = self._offset_ns = min(difference, relaxed)
        return difference - offset


class Form(NamedTuple):
    """How audio travels."""

    topic: Callable[[str, str], bytes]  # of a feed and a stem
    decode: Callable[[list[bytes]], AudioMessage]  # raises ProtocolError
    together: bool  # there is a topic with all stems


RAW = Form(topics.audio, decode_audio, True)


class Assembler:
    """Messages to blocks: aligned, fresh, without holes.

    A block is complete when every topic asked for has spoken of the same `sample_pos`; the
    publisher sends a hop's topics one after the other, so a new position closes the old one.

    Parameters
    ----------
    feed, stems, mix
        What was asked for; `topics` says what to subscribe to.
    fill_s : float
        Gaps up to this long become silence, longer ones a jump.
    counters : Counters
        Counted into.
    form : Form
    """

    def __init__(
        self,
        feed: str,
        stems: tuple[str, ...],
        mix: bool,
        freshness: Freshness,
        fill_s: float,
        counters: Counters,
        form: Form = RAW,
    ) -> None:
        self._freshness = freshness
        self._decode = form.decode
        self._counters = counters
        self._stems = stems
        self._mix = mix
        whole = form.together and stems == STEMS
        names = ((topics.ALL,) if whole else stems) + (("mix",) if mix or not stems else ())
        self._names = frozenset(names)
        self.topics = [form.topic(feed, name) for name in names]
        self._fill_s = fill_s
        self._parts: dict[str, AudioMessage] = {}
        self._at = (0, -1)  # session and position of `_parts`
        self._session: int | None = None
        self._next_pos = 0
        self._late_pos = (0, -1)
        self._ready: deque[StemBlock] = deque()

    def pop(self) -> StemBlock | None:
        """The next finished block."""
        return self._ready.popleft() if self._ready else None

    def take(self, frames: list[bytes]) -> None:
        """One message."""
        try:
            message = self._decode(frames)
        except ProtocolError:
            self._counters.malformed += 1
            return
        header = message.header
        if message.stem not in self._names or len(message.samples) != self._channels(message.stem):
            self._counters.malformed += 1
            return
        at = (header.session, header.sample_pos)
        if self._freshness.is_late(header):
            if at != self._late_pos:
                self._counters.late += 1
                self._late_pos = at
            return
        if at != self._at:
            if self._parts:
                self._counters.incomplete += 1
            self._parts = {}
            self._at = at
        self._parts[message.stem] = message
        if len(self._parts) == len(self._names):
            self._finish(header)
            self._parts = {}

    def _channels(self, name: str) -> int:
        return N_CHANNELS * len(STEMS) if name == topics.ALL else N_CHANNELS

    def _finish(self, header: Header) -> None:
        flags, lost = header.flags, 0
        if header.session != self._session:
            self._session = header.session
            self._counters.sessions += 1
            flags |= FLAG_DISCONTINUITY
        else:
            gap = header.sample_pos - self._next_pos
            short = 0 < gap <= self._fill_s * header.rate_nominal
            if short and gap <= MAX_FILLED_BLOCKS * header.n_frames:
                self._fill(header, gap)
            elif gap:
                flags |= FLAG_DISCONTINUITY
                lost = max(gap, 0)
                self._counters.lost += lost
        self._next_pos = header.sample_pos + header.n_frames
        self._counters.blocks += 1
        self._ready.append(
            self._block(header, header.sample_pos, self._samples(), self._mixed(), flags, lost)
        )

    def _fill(self, header: Header, gap: int) -> None:
        """Silence for `gap` samples before this message, in blocks no longer than it."""
        self._counters.filled += gap
        flags = FLAG_CONCEALED | FLAG_SILENCE | FLAG_DISCONTINUITY
        at = self._next_pos
        while at < header.sample_pos:
            n = min(header.n_frames, header.sample_pos - at)
            stems = np.zeros((len(self._stems), N_CHANNELS, n), np.float32)
            mix = np.zeros((N_CHANNELS, n), np.float32) if self._mix else None
            self._ready.append(self._block(header, at, stems, mix, flags, 0, filled=True))
            at += n

    def _samples(self) -> Float32Array:
        if topics.ALL in self._parts:
            samples = self._parts[topics.ALL].samples
            # (s * c, n) -> (s, c, n)
            return samples.reshape(len(STEMS), N_CHANNELS, -1).copy()
        if not self._stems:
            n = next(iter(self._parts.values())).samples.shape[1]
            return np.zeros((0, N_CHANNELS, n), np.float32)
        return np.stack([self._parts[stem].samples for stem in self._stems])

    def _mixed(self) -> Float32Array | None:
        return self._parts["mix"].samples.copy() if self._mix else None

    @staticmethod
    def _block(
        header: Header,
        sample_pos: int,
        stems: Float32Array,
        mix: Float32Array | None,
        flags: int,
        lost: int,
        filled: bool = False,
    ) -> StemBlock:
        earlier_ns = round((header.sample_pos - sample_pos) * 1e9 / max(header.rate_nominal, 1))
        return StemBlock(
            sample_pos=sample_pos,
            stems=stems,
            mix=mix,
            flags=flags,
            state=header.state,
            latency=header.latency_frames,
            t_capture_ns=header.t_capture_ns - earlier_ns if header.t_capture_ns else 0,
            t_publish_mono_ns=header.t_publish_mono_ns,
            samplerate=header.rate_nominal,
            rate_measured=header.rate_measured,
            session=header.session,
            config_rev=header.config_rev,
            seq=header.seq,
            filled=filled,
            lost=lost,
        )
