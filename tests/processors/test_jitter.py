"""Blocks in any order in, samples in order out, each once; a delay that comes back."""

from __future__ import annotations

import numpy as np
import pytest

from stemd.processors.extrapolate import Extrapolator
from stemd.processors.jitter import JitterBuffer, Put
from stemd.processors.offset import ClockOffset
from stemd.processors.playout import Playout

RATE = 48_000
N = 128
BLOCK_S = N / RATE


class Way:
    """A sender, a network that the test bends, and the buffer behind it, in time of its own."""

    def __init__(self, least_s=0.005, most_s=0.1, start_s=0.015, ppm=0.0):
        self.buffer = JitterBuffer(RATE, N, Playout(RATE, least_s, most_s, start_s))
        self.playout = self.buffer.playout
        self.now_s = 1000.0
        self.sent = 0
        self.flying: list[tuple[float, int, bool]] = []
        self.played: list[tuple[int, int, bool]] = []  # position, length, invented
        self.late = 0
        self._block_s = BLOCK_S / (1 + ppm * 1e-6)
        self._start_s = self.now_s

    def run(self, seconds, delay, lost=lambda i: False, copies=0):
        """`delay(i)` seconds for block i; `lost(i)` drops it."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += 0.5e-3
            while self._start_s + self.sent * self._block_s <= self.now_s:
                i, self.sent = self.sent, self.sent + 1
                if not lost(i):
                    at_s = self._start_s + i * self._block_s + delay(i)
                    for back in range(min(copies, i) + 1):
                        self.flying.append((at_s, i - back, back > 0))
            for one in sorted(f for f in self.flying if f[0] <= self.now_s):
                self.flying.remove(one)
                _, i, copy = one
                block = np.full((N, 1), float(i), np.float32)
                put = self.buffer.put(i * N, block, i, self.now_s, copy)
                self.late += put == Put.LATE and not copy
            self.playout.advance(self.now_s)
            while (piece := self.buffer.pull(self.now_s)) is not None:
                self.played.append((piece.position, piece.n, piece.block is None))
                if piece.block is not None:
                    assert (piece.block == piece.position // N).all()

    @property
    def invented(self):
        return sum(n for _, n, hole in self.played if hole)

    def assert_contiguous(self):
        for (position, n, _), (following, _, _) in zip(self.played, self.played[1:], strict=False):
            assert following == position + n


def steady(i):
    return 0.002


def test_a_quiet_network_costs_the_least():
    way = Way()
    way.run(6.0, steady)
    way.assert_contiguous()
    assert way.invented == way.late == 0
    assert way.playout.delay_s == pytest.approx(0.005, abs=0.001)


def test_jitter_is_covered_and_given_back():
    noise = np.random.default_rng(0).uniform(0.0, 0.02, 100_000)
    way = Way()
    way.run(4.0, steady)
    way.run(20.0, lambda i: 0.002 + noise[i])
    assert 0.015 < way.playout.delay_s < 0.03
    learned = way.invented
    way.run(10.0, lambda i: 0.002 + noise[i])
    assert way.invented - learned <= 0.002 * 10 * RATE  # 0.2 %
    way.run(30.0, steady)
    way.assert_contiguous()
    assert way.playout.delay_s < 0.005 + BLOCK_S


def test_an_outage_is_invented_sample_for_sample_and_costs_no_delay():
    way = Way()
    way.run(5.0, steady)
    before_s = way.playout.delay_s
    first = way.sent
    way.run(0.2, steady, lost=lambda i: True)
    n_lost = (way.sent - first) * N
    way.run(3.0, steady)
    way.assert_contiguous()
    assert way.invented == n_lost
    assert way.playout.delay_s == pytest.approx(before_s, abs=0.001)


def test_a_queue_that_bursts_is_late_once_and_forgotten_within_30_s():
    way = Way()
    way.run(5.0, steady)
    held_until_s = way.now_s + 0.2
    start_s, first = way.now_s, way.sent
    way.run(0.3, lambda i: max(held_until_s - start_s - (i - first) * BLOCK_S, 0.002))
    way.run(30.0, steady)
    way.assert_contiguous()
    assert way.playout.delay_s < 0.005 + BLOCK_S


def test_copies_replace_what_was_lost():
    way = Way()
    random = np.random.default_rng(1)
    drop = random.uniform(size=100_000) < 0.05
    way.run(20.0, steady, lost=lambda i: bool(drop[i]), copies=1)
    way.assert_contiguous()
    ran = slice(0, way.sent)
    both = int((drop[ran][:-1] & drop[ran][1:]).sum())
    assert way.invented <= (both + 1) * N
    assert way.invented < 0.01 * 20 * RATE


def test_any_order_is_put_right():
    way = Way()
    way.run(10.0, lambda i: 0.002 + (0.004 if i % 3 == 0 else 0.0))
    way.assert_contiguous()
    assert way.invented == 0


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_a_clock_that_is_off_loses_nothing(ppm):
    way = Way(ppm=ppm)
    way.run(60.0, steady)
    way.assert_contiguous()
    assert way.invented == way.late == 0
    assert way.playout.delay_s < 0.005 + BLOCK_S


def test_a_way_that_becomes_longer_than_the_buffer_is_followed():
    way = Way()
    way.run(5.0, steady)
    way.run(10.0, lambda i: 0.302)
    way.assert_contiguous()
    before = way.invented
    way.run(10.0, lambda i: 0.302)
    assert way.invented == before
    assert before < RATE


def test_a_sender_that_is_away_is_not_waited_for_and_comes_back():
    way = Way()
    way.run(5.0, steady)
    way.run(3.0, steady, lost=lambda i: True)
    assert way.buffer.stalled
    assert way.invented <= RATE + N
    n = len(way.played)
    way.run(2.0, steady)
    assert not way.buffer.stalled
    assert not any(hole for _, _, hole in way.played[n:])
    assert way.played[n][0] > way.played[n - 1][0] + RATE  # and it is known how much


def test_what_comes_twice_is_played_once():
    playout = Playout(RATE, 0.005, 0.1, 0.01)
    buffer = JitterBuffer(RATE, N, playout)
    block = np.zeros((N, 1), np.float32)
    assert buffer.put(0, block, 0, 10.0) == Put.TAKEN
    assert buffer.put(0, block, 0, 10.0) == Put.DUPLICATE
    assert buffer.pull(10.02) is not None
    assert buffer.put(0, block, 0, 10.02) == Put.LATE


def test_what_is_missing_is_asked_for_while_there_is_time():
    buffer = JitterBuffer(RATE, N, Playout(RATE, 0.05, 0.1, 0.05))
    block = np.zeros((N, 1), np.float32)
    for i in (0, 1, 3, 4, 6):
        buffer.put(i * N, block, 0, 10.0 + i * BLOCK_S)
    now_s = 10.0 + 6 * BLOCK_S
    assert buffer.missing(now_s, 0.002, copies=0) == [2 * N, 5 * N]
    assert buffer.missing(now_s, 0.002, copies=0) == []  # not again at once
    assert buffer.missing(now_s + 0.011, 0.002, copies=0) == [2 * N, 5 * N]
    assert buffer.missing(now_s + 0.025, 0.002, copies=0) == []  # twice is enough
    other = JitterBuffer(RATE, N, Playout(RATE, 0.05, 0.1, 0.05))
    for i in (0, 1, 3):
        other.put(i * N, block, 0, 10.0)
    assert other.missing(10.0, 0.002, copies=1) == []  # the copy may still come
    assert other.missing(10.0, 0.05, copies=0) == []  # too late


def test_a_tone_goes_on_through_a_hole():
    t = np.arange(RATE)
    tone = np.stack([np.sin(2 * np.pi * 220 * t / RATE)] * 2, axis=1).astype(np.float32)
    hole = slice(20_000, 20_000 + 960)
    ours = Extrapolator(RATE, 2)
    for at in range(0, hole.start, 160):
        ours.process(tone[at : at + 160].copy())
    made = np.concatenate([ours.conceal(240) for _ in range(4)])
    # The period is a whole number of samples: off by 0.2 of one each time, four times over.
    assert np.abs(made - tone[hole]).max() < 0.05
    after = tone[hole.stop : hole.stop + 480].copy()
    assert ours.process(after)
    assert np.abs(after - tone[hole.stop : hole.stop + 480]).max() < 0.05
    again = tone[hole.stop + 480 : hole.stop + 960].copy()
    assert not ours.process(again)
    np.testing.assert_array_equal(again, tone[hole.stop + 480 : hole.stop + 960])


def test_a_long_hole_becomes_silence_after_25_ms_without_a_click():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (4800, 2)).astype(np.float32)
    ours = Extrapolator(RATE, 2)
    ours.process(noise)
    made = ours.conceal(4800)
    assert np.abs(made[:960]).max() > 0.1
    assert np.abs(made[1200:]).max() == 0.0
    assert np.abs(made[1160:1200]).max() < 0.1
    back = np.ones((480, 2), np.float32)
    ours.process(back)
    assert back[0, 0] < 0.01
    assert np.abs(np.diff(back[:, 0])).max() < 0.02


@pytest.mark.parametrize("first", [N, 1440])
def test_another_hole_before_the_way_back_is_over_does_not_click(first):
    t = np.arange(RATE // 2)
    tone = np.stack([0.5 * np.sin(2 * np.pi * 220 * t / RATE)] * 2, axis=1).astype(np.float32)
    ours = Extrapolator(RATE, 2)
    heard, at = [], 0

    def play(n, lose=False):
        nonlocal at
        block = tone[at : at + n].copy()
        at += n
        if lose:
            block = ours.conceal(n)
        else:
            ours.process(block)
        heard.append(block)

    for _ in range(20):
        play(480)
    play(first, lose=True)
    play(N)  # 5 ms would be 240
    play(480, lose=True)
    play(960)
    made = np.concatenate(heard)
    assert np.abs(np.diff(made, axis=0)).max() < 2 * np.abs(np.diff(tone, axis=0)).max()


@pytest.mark.parametrize("n", [1, 8, 100, 2000])
def test_holes_of_any_length_at_any_time_are_finite_and_as_long(n):
    ours = Extrapolator(RATE, 3)
    random = np.random.default_rng(n)
    for _ in range(30):
        if random.uniform() < 0.5:
            made = ours.conceal(n)
            assert made.shape == (n, 3)
        else:
            made = random.uniform(-1, 1, (n, 3)).astype(np.float32)
            ours.process(made)
        assert np.isfinite(made).all()
        assert np.abs(made).max() <= 3.1


def test_clocks_are_compared_through_the_quickest_exchange():
    ours = ClockOffset()
    assert not ours.known
    random = np.random.default_rng(0)
    offset_ns = 123_456_789
    for i in range(8):
        asked = 10_000_000_000 + i * 1_000_000_000
        there, back = (int(1e6 * w) for w in random.exponential(5.0, 2) + 0.2)
        heard = asked + there + offset_ns
        ours.add(asked, heard, heard + 50_000, asked + there + back + 50_000)
    now_ns = 18_000_000_000
    assert abs(ours.offset_ns - offset_ns) * 1e-9 <= ours.uncertainty_s(now_ns)
    assert ours.uncertainty_s(now_ns) < 0.01
    ours.add(5, 0, 10, 0)  # cannot be
    assert ours.way_s > 0


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_an_hour_with_another_clock_loses_nothing(ppm: float):
    playout = Playout(RATE, 0.005, 0.1, 0.015)
    buffer = JitterBuffer(RATE, N, playout)
    random = np.random.default_rng(0)
    block = np.zeros((N, 1), np.float32)
    block_s = BLOCK_S / (1 + ppm * 1e-6)
    n_blocks = round(3600 / block_s)
    jitter = random.uniform(0.0, 2e-3, n_blocks)
    played, least_s, most_s = 0, 1.0, 0.0
    for i in range(n_blocks):
        now_s = 1000.0 + i * block_s + 0.004 + jitter[i]
        assert buffer.put(i * N, block, i, now_s) == Put.TAKEN
        playout.advance(now_s)
        while (piece := buffer.pull(now_s)) is not None:
            assert piece.position == played
            played += piece.n
            assert piece.block is not None
        if i % 4096 == 4095:
            least_s, most_s = min(least_s, playout.delay_s), max(most_s, playout.delay_s)
    assert played > (n_blocks - 12) * N
    assert 0.0049 < least_s <= most_s < 0.008
