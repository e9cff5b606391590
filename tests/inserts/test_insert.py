"""One instance's stream: whatever pieces come, stems of every position, once, in order, exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemd.processors.slots import Slots
from stemd.roles.insert import FIFO_S, MAX_GAP_S, Insert, Pushed, minimum_latency
from stemd.spec import StreamSpec
from stemd.wire.plugin import FLAG_DRY, FLAG_GAP, FLAG_LATE, FLAG_OFFLINE, MAX_FRAMES, Hello
from tests.inserts.conftest import noise

SPEC = StreamSpec.of("live", 48_000)
HOP, LATENCY = SPEC.hop_length, SPEC.latency
RATE = 48_000


class Rig:
    """An insert with nobody at the other end: what leaves it is kept."""

    def __init__(self, slots=None, rate=RATE, **hello):
        self.slots = slots or Slots(StreamSpec.of("live", RATE, 2))
        slot = self.slots.admit(rate)
        fields = {"block": 512, "latency": 4096, "offline": False, "name": "", **hello}
        self.insert = Insert(self.slots, slot, Hello(**fields))
        self.out = []  # (position, stems (n, 8), flags, t_ns)

    def push(self, position, frames, offline=False, t_ns=0):
        return self.insert.push(position, frames, offline, t_ns)

    def step(self):
        """One hop if there is one; as the door does it."""
        insert = self.insert
        if not insert.ready:
            return False
        late = insert.late
        insert.begin_hop()
        self.slots.process([] if late else [insert.slot], [insert.slot] if late else [])
        insert.end_hop()
        self.take()
        return True

    def take(self):
        insert = self.insert
        if len(insert.out):
            item = insert.out_position, insert.out.copy(), insert.out_flags, insert.out_t_ns
            self.out.append(item)
            insert.sent()

    def run(self):
        while self.step():
            pass

    def heard(self):
        """Positions and sums over stems of all that left."""
        positions = [np.arange(p, p + len(stems)) for p, stems, *_ in self.out]
        sums = [stems.reshape(-1, 4, 2).sum(axis=1) for _, stems, *_ in self.out]
        return np.concatenate(positions), np.concatenate(sums)


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 2**40),
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=30),
    rate=st.sampled_from([44_100, 48_000, 96_000]),
    eager=st.booleans(),
)
def test_every_position_comes_once_in_order_and_sums_to_the_input(start, cuts, rate, eager):
    rig = Rig(rate=rate)
    audio = noise(sum(cuts))
    done = 0
    for cut in cuts:
        assert rig.push(start + done, audio[done : done + cut]) is Pushed.TAKEN
        done += cut
        if eager:
            rig.run()
    rig.run()
    hop = rig.insert.slot.spec.hop_length
    ready = max(done // hop - 1, 0) * hop
    if ready == 0:
        assert not rig.out
        return
    positions, sums = rig.heard()
    np.testing.assert_array_equal(positions, np.arange(start, start + ready))
    np.testing.assert_allclose(sums, audio[:ready], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.integers(-2000, 2000), st.integers(1, 2000)), min_size=1, max_size=25
    ),
    eager=st.booleans(),
)
def test_gaps_become_zeros_and_repeats_are_passed_over(pieces, eager):
    rig = Rig()
    source = noise(100_000)
    expected = np.zeros((100_000, 2), np.float32)
    end = position = 1000
    filled = 0
    for step, n in pieces:
        position = max(position + step, 1000)
        what = rig.push(position, source[position : position + n])
        if what is Pushed.STALE:
            assert position + n <= end
        else:
            assert what is Pushed.TAKEN
            filled += max(position - end, 0)
            first = max(position, end)
            expected[first : position + n] = source[first : position + n]
            end = position + n
        position += n
        if eager:
            rig.run()
    rig.run()
    assert rig.insert.zero_filled == filled - max(pieces[0][0], 0) * (pieces[0][0] > 0)
    if rig.out:
        positions, sums = rig.heard()
        np.testing.assert_array_equal(positions, positions[0] + np.arange(len(positions)))
        np.testing.assert_allclose(sums, expected[positions], atol=1e-6)


@pytest.mark.parametrize("first", [1, HOP - 1, HOP, HOP + 1, 1000, 7000])
def test_a_long_jump_pushes_out_what_was_there_and_starts_anew(slots, first):
    jump = 5 * RATE
    audio = noise(first + 4 * HOP)
    rig = Rig(slots)
    rig.push(0, audio[:first])
    rig.run()
    assert rig.push(jump, audio[first:]) is Pushed.TAKEN
    rig.run()
    positions, sums = rig.heard()
    expected = [*range(first), *range(jump, jump + 3 * HOP)]
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_allclose(sums, audio[: first + 3 * HOP], atol=1e-6)
    flags = {position: flags for position, _, flags, _ in rig.out}
    assert flags[jump] & FLAG_GAP
    assert not any(flag & FLAG_GAP for position, flag in flags.items() if position != jump)
    assert rig.insert.zero_filled == 0
    # the model has forgotten what was before
    fresh = Rig(slots)
    fresh.push(0, audio[first:])
    fresh.run()
    at = np.flatnonzero(positions >= jump)[0]
    np.testing.assert_allclose(
        np.concatenate([stems for _, stems, *_ in rig.out])[at:],
        np.concatenate([stems for _, stems, *_ in fresh.out]),
        atol=1e-6,
    )


def test_a_second_jump_waits_for_the_first():
    rig = Rig()
    rig.push(0, noise(100))
    assert rig.push(10 * RATE, noise(100)) is Pushed.TAKEN
    assert rig.push(20 * RATE, noise(100)) is Pushed.FULL
    rig.run()
    assert rig.push(20 * RATE, noise(4 * HOP)) is Pushed.TAKEN
    rig.run()
    positions, _ = rig.heard()
    expected = [*range(100), *range(10 * RATE, 10 * RATE + 100)]
    expected += range(20 * RATE, 20 * RATE + 3 * HOP)
    np.testing.assert_array_equal(positions, expected)


def test_a_gap_is_flagged_where_it_is_heard_and_only_there():
    rig = Rig()
    rig.push(0, noise(4 * HOP))
    rig.run()
    rig.push(5 * HOP, noise(6 * HOP))
    rig.run()
    flagged = [position for position, _, flags, _ in rig.out if flags & FLAG_GAP]
    assert flagged == [4 * HOP]
    assert rig.insert.zero_filled == HOP


@pytest.mark.parametrize("cut", [1, 64, 255, 256, 257, 1000, 4096])
def test_stems_do_not_depend_on_how_messages_are_cut(slots, cut):
    audio = noise(6000)
    outs = []
    for n in (6000, cut):
        rig = Rig(slots, latency=8192)
        for first in range(0, len(audio), n):
            rig.push(first, audio[first : first + n])
            rig.run()
        outs.append(np.concatenate([stems for _, stems, *_ in rig.out]))
        slots.evict(rig.insert.slot)
    np.testing.assert_array_equal(*outs)


def test_numbers_that_are_none_are_zeros_and_counted(slots):
    rig = Rig(slots)
    audio = noise(8 * HOP)
    audio[300, 0], audio[301, 1], audio[302, 0] = np.nan, np.inf, 1e9
    rig.push(0, audio)
    rig.run()
    audio[300, 0] = audio[301, 1] = audio[302, 0] = 0.0
    positions, sums = rig.heard()
    np.testing.assert_allclose(sums, audio[: len(positions)], atol=1e-6)
    assert rig.insert.repaired == 3
    assert not any(flags & (FLAG_LATE | FLAG_DRY) for *_, flags, _ in rig.out)


def test_silence_is_silence(slots):
    rig = Rig(slots)
    rig.push(0, np.zeros((8000, 2), np.float32))
    rig.run()
    assert not any(stems.any() for _, stems, *_ in rig.out)


def test_what_the_host_has_played_already_costs_no_model(slots):
    rig = Rig(slots, latency=2048)
    audio = noise(8192)
    rig.push(0, audio)
    rig.run()
    late = [position for position, _, flags, _ in rig.out if flags & FLAG_LATE]
    # it begins with a backlog of the latency, and ends with one of a hop and a block
    assert late == [position for position, *_ in rig.out][: len(late)]
    assert rig.insert.slot.core.late_hops[0] == (8192 - 512 - HOP) // HOP + 1
    for first in range(8192, 12_288, 512):
        rig.push(first, audio[:512])
        rig.run()
    assert rig.out[-1][2] == 0
    positions, sums = rig.heard()
    audio = np.concatenate([audio, *[audio[:512]] * 8])
    np.testing.assert_allclose(sums, audio[: len(positions)], atol=1e-6)


def test_a_block_as_long_as_announced_is_not_late(slots):
    for block in (64, 512, 4096, 8192):
        rig = Rig(slots, block=block, latency=minimum_latency(SPEC, block))
        for first in range(0, 3 * 8192, block):
            rig.push(first, noise(block))
            rig.run()
        assert rig.insert.slot.core.late_hops[0] == 0
        slots.evict(rig.insert.slot)


def test_a_latency_that_cannot_be_is_no_reason_to_be_late(slots):
    rig = Rig(slots, block=512, latency=0)
    for first in range(0, 8192, 512):
        rig.push(first, noise(512))
        rig.run()
    assert rig.insert.slot.core.late_hops[0] == 0


def test_offline_is_never_late(slots):
    rig = Rig(slots, latency=2048, offline=True)
    audio = noise(40_000)
    for first in range(0, len(audio), MAX_FRAMES):
        rig.push(first, audio[first : first + MAX_FRAMES], offline=True)
    rig.run()
    assert rig.insert.slot.core.late_hops[0] == 0
    assert all(flags == FLAG_OFFLINE for *_, flags, _ in rig.out)


def test_a_sender_that_runs_away_is_bounded_and_comes_back():
    rig = Rig()
    position, full = 0, 0
    while full < 5:
        full += rig.push(position, noise(MAX_FRAMES)) is Pushed.FULL
        position += MAX_FRAMES
    assert rig.insert.waiting <= FIFO_S * RATE + MAX_FRAMES
    rig.run()
    assert rig.push(position, noise(MAX_FRAMES)) is Pushed.TAKEN
    rig.run()
    positions, _ = rig.heard()
    assert 4 * MAX_FRAMES < MAX_GAP_S * RATE
    np.testing.assert_array_equal(positions, np.arange(len(positions)))
    assert rig.insert.zero_filled == 5 * MAX_FRAMES


@pytest.mark.parametrize("latency", [1000, 48_000, 190_000])
def test_an_offline_sender_within_its_credit_always_fits_and_never_locks(latency):
    """It sends all its credit, and waits for stems before it sends more."""
    rig = Rig(offline=True, latency=latency)
    sent = got = 0
    while got < 4 * RATE:
        while rig.insert.credit - (sent - got) > 0:
            n = min(MAX_FRAMES, rig.insert.credit - (sent - got))
            assert rig.push(sent, np.zeros((n, 2), np.float32), offline=True) is Pushed.TAKEN
            sent += n
        before = got
        rig.run()
        got = sum(len(stems) for _, stems, *_ in rig.out)
        assert got > before
    # what the plugin needs to have sent before it can play its first frame
    assert rig.insert.credit >= latency + LATENCY + MAX_FRAMES


def test_stems_wait_for_the_other_side_and_are_not_lost(slots):
    rig = Rig(slots, offline=True)
    audio = noise(3 * MAX_FRAMES)
    for first in range(0, len(audio), MAX_FRAMES):
        rig.push(first, audio[first : first + MAX_FRAMES], offline=True)
    insert = rig.insert
    while insert.ready:
        insert.begin_hop()
        slots.process([insert.slot])
        insert.end_hop()
    assert len(insert.out) == MAX_FRAMES
    rig.take()
    rig.run()
    positions, sums = rig.heard()
    np.testing.assert_array_equal(positions, np.arange(len(audio) - HOP))
    np.testing.assert_allclose(sums, audio[: len(sums)], atol=1e-6)


def test_the_clock_of_the_newest_input_comes_back():
    rig = Rig()
    for i in range(6):
        rig.push(i * 200, noise(200), t_ns=1000 + i)
        rig.run()
    # hops end at 256, 512, 768, 1024: in pieces 1, 2, 3, 5
    assert [t_ns for *_, t_ns in rig.out] == [1002, 1003, 1005]


def test_memory_is_taken_once():
    rig = Rig()
    insert = rig.insert
    before = insert._fifo, insert._out
    for i in range(300):
        rig.push(i * 700, noise(700))
        rig.run()
    assert (insert._fifo, insert._out) == before
    assert len(insert._marks) <= 2
    assert not insert._gaps
