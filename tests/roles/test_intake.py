"""From blocks to hops: every sample accounted for, whatever the source does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from stemd.ring import Ring
from stemd.roles.intake import SECOND_NS, Intake
from stemd.spec import StreamSpec
from stemd.status import Status
from stemd.wire.header import FLAG_CONCEALED, FLAG_DISCONTINUITY

RATE = 48_000
SPEC = StreamSpec.of("live", RATE)
HOP = SPEC.hop_length


class Stage:
    """A ring, an intake behind it, and a device whose clock the test turns."""

    def __init__(
        self, trust_clock: bool = True, max_backlog: int = 16 * HOP, feeds: int = 1
    ) -> None:
        self.feeds = feeds
        self.status = Status.create(feeds)
        self.ring = Ring.create(4 * RATE, 2)
        self.section = self.status.separate
        self._options = (trust_clock, max_backlog)
        self.intake = self.listen()
        self.device = 0  # samples the device has heard
        self.now_ns = 7 * SECOND_NS
        self.seams: list[int] = []  # of all hops so far

    def listen(self) -> Intake:
        """A new intake on the same ring, as after the separator died."""
        trust_clock, max_backlog = self._options
        spec = StreamSpec.of("live", RATE, self.feeds)
        channels = [(0, 1)] * self.feeds
        return Intake(self.ring, channels, spec, self.section, 0.25, max_backlog, trust_clock)

    def open(self) -> None:
        """The source is opened anew."""
        self.ring.begin_stream()

    def play(self, n: int, lose: bool = False) -> None:
        """The device hears `n` samples, and delivers them unless they get lost."""
        block = np.multiply.outer(np.arange(self.device, self.device + n), [1.0, 0.5])
        block = (block * 2.0**-22).astype(np.float32)
        adc_s = self.device / RATE
        first_ns = 7 * SECOND_NS + self.device * SECOND_NS // RATE
        self.device += n
        self.now_ns = 7 * SECOND_NS + self.device * SECOND_NS // RATE
        if not lose:
            self.ring.write(block, adc_s, first_ns, self.now_ns)

    def wait(self, seconds: float) -> None:
        """Time goes by and nothing comes."""
        self.device += round(seconds * RATE)
        self.now_ns += round(seconds * SECOND_NS)

    def hops(self) -> list[tuple[int, int, np.ndarray[Any, Any]]]:
        """(position, flags, hop) of all that can be assembled now."""
        got = []
        while self.intake.take(self.now_ns):
            got.append((self.intake.hop_position, self.intake.flags, self.intake.hop[0].copy()))
            self.seams.append(self.intake.seams)
        return got

    def close(self) -> None:
        self.ring.close()
        self.section = None
        self.status.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Stage]]:
    made = []

    def factory(**options: Any) -> Stage:
        made.append(Stage(**options))
        made[-1].open()
        return made[-1]

    yield factory
    for stage in made:
        stage.close()


@pytest.mark.parametrize("blocksize", [1, 63, 256, 1000])
def test_hops_do_not_depend_on_the_blocks(make: Callable[..., Stage], blocksize: int) -> None:
    stage = make()
    audio, positions, flags = [], [], 0
    while stage.device < 8000:
        stage.play(blocksize)
        for position, flag, hop in stage.hops():
            audio.append(hop)
            positions.append(position)
            flags |= flag
    heard = np.concatenate(audio, axis=-1)
    np.testing.assert_array_equal(heard[0], np.arange(heard.shape[1], dtype=np.float32) * 2.0**-22)
    np.testing.assert_array_equal(heard[1], heard[0] / 2)
    assert positions == [HOP * i for i in range(len(positions))]
    assert flags == 0
    assert int(stage.section["lost_input"]) == 0


@pytest.mark.parametrize("lost_blocks", [1, 3, 20])
def test_a_jump_of_the_device_clock_becomes_as_much_silence(
    make: Callable[..., Stage], lost_blocks: int
) -> None:
    stage = make(feeds=2)
    for _ in range(10):
        stage.play(HOP)
    before = stage.hops()
    for _ in range(lost_blocks):
        stage.play(HOP, lose=True)
    for _ in range(10):
        stage.play(HOP)
    after = stage.hops()
    assert len(before) == 10
    assert len(after) == lost_blocks + 10
    assert int(stage.section["lost_input"]) == lost_blocks * HOP
    assert int(stage.section["concealed"]) == lost_blocks * HOP
    for position, flags, hop in after[lost_blocks + 2 :]:
        # Back in place: the content again says which sample it is.
        assert hop[0, 0] == np.float32(position * 2.0**-22)
        assert flags & FLAG_CONCEALED == 0
    assert all(flags & FLAG_CONCEALED for _, flags, _ in after[:lost_blocks])
    assert after[0][1] & FLAG_DISCONTINUITY
    # Whoever listens for onsets must know of each hop of it, for both feeds.
    assert stage.seams == [0] * 10 + [0b11] * lost_blocks + [0] * 10
    # What is invented fades: no step at either seam louder than the signal's own.
    sound = np.concatenate([hop for _, _, hop in before + after], axis=-1)[0]
    assert np.abs(np.diff(sound)).max() < 0.02 * np.abs(sound).max()


def test_a_gap_longer_than_a_second_moves_the_clock(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.play(HOP)
    stage.hops()
    for _ in range(3 * RATE // HOP):
        stage.play(HOP, lose=True)
    lost = stage.device - HOP
    for _ in range(4):
        stage.play(HOP)
    after = stage.hops()
    assert len(after) == 5
    assert after[-1][0] == stage.device - HOP
    assert int(stage.section["lost_input"]) == lost
    assert int(stage.section["concealed"]) == HOP


def test_where_only_content_counts_the_clock_may_jump(make: Callable[..., Stage]) -> None:
    stage = make(trust_clock=False)
    stage.play(HOP)
    stage.play(HOP, lose=True)
    stage.play(HOP)
    assert [flags for _, flags, _ in stage.hops()] == [0, 0]
    assert int(stage.section["lost_input"]) == 0


def test_jitter_of_the_device_clock_is_no_loss(make: Callable[..., Stage]) -> None:
    stage = make()
    rng = np.random.default_rng(0)
    for i in range(200):
        jitter = rng.uniform(-40, 40) / RATE
        block = np.zeros((HOP, 2), np.float32)
        stage.ring.write(block, i * HOP / RATE + jitter, stage.now_ns, stage.now_ns)
        stage.hops()
    assert int(stage.section["discontinuities"]) == 0


def test_a_silent_source_stalls_and_silence_flows_in_real_time(make: Callable[..., Stage]) -> None:
    stage = make()
    for _ in range(4):
        stage.play(HOP)
    stage.hops()
    stage.wait(0.2)
    assert stage.hops() == []
    assert not stage.intake.stalled
    heard = []
    for _ in range(200):
        stage.wait(0.005)
        heard += stage.hops()
    assert stage.intake.stalled
    positions = [position for position, _, _ in heard]
    assert all(flags & FLAG_DISCONTINUITY and flags & FLAG_CONCEALED for _, flags, _ in heard)
    assert not any(hop.any() for _, _, hop in heard[2:])
    # A second of silence in about a second; the clock jumped over the wait before it.
    assert abs(len(heard) * HOP / RATE - 0.95) < 0.05
    assert abs(positions[-1] - stage.device) < 2 * HOP
    stage.open()
    stage.play(HOP)
    stage.play(HOP)
    back = stage.hops()
    assert not stage.intake.stalled
    assert back[0][0] == positions[-1] + HOP
    assert back[0][1] & FLAG_DISCONTINUITY
    assert stage.intake.forget is False  # only of the hop that came first


@pytest.mark.parametrize("heard_before", [False, True])
def test_silence_is_of_the_time_it_stands_for(
    make: Callable[..., Stage], heard_before: bool
) -> None:
    """Also where nothing ever came, such as a box whose senders have not started yet."""
    stage = make()
    if heard_before:
        stage.play(HOP)
        stage.hops()
    times = []
    for _ in range(200):
        stage.wait(0.005)
        while stage.intake.take(stage.now_ns):
            assert stage.intake.stalled
            age_ns = stage.now_ns - stage.intake.first_ns
            assert 0 < age_ns < 3 * HOP * SECOND_NS // RATE
            times.append(stage.intake.first_ns)
    assert len(times) > 100
    np.testing.assert_allclose(np.diff(times), HOP * SECOND_NS / RATE, atol=2)


def test_what_comes_before_anything_was_heard_has_no_time(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.play(HOP)
    stage.hops()
    stage.section["sample_pos"] = stage.intake.position
    stage.play(HOP)  # while nobody reads
    stage.intake = stage.listen()
    stage.play(HOP)
    assert stage.intake.take(stage.now_ns)  # it ends the old sound softly
    assert stage.intake.first_ns == 0
    assert stage.intake.take(stage.now_ns)
    assert stage.intake.first_ns > 7 * SECOND_NS


def test_memory_is_dropped_only_after_a_long_stall(make: Callable[..., Stage]) -> None:
    for seconds, forget in ((0.5, False), (3.0, True)):
        stage = make()
        stage.play(HOP)
        stage.hops()
        for _ in range(round(seconds / 0.01)):
            stage.wait(0.01)
            stage.hops()
        stage.open()
        stage.play(HOP)
        assert stage.intake.take(stage.now_ns)
        assert stage.intake.forget is forget


def test_a_long_queue_is_skipped_and_counted(make: Callable[..., Stage]) -> None:
    stage = make(max_backlog=8 * HOP)
    stage.play(HOP)
    stage.hops()
    for _ in range(40):
        stage.play(HOP)
    after = stage.hops()
    assert len(after) < 6
    assert int(stage.section["lost_input"]) == stage.device - HOP - (len(after) - 1) * HOP
    # The clock counts what was skipped, less the hop that ends the old sound softly.
    assert after[-1][0] == stage.device - HOP
    assert after[0][1] & FLAG_DISCONTINUITY


def test_blocks_longer_than_the_longest_queue_come_through(make: Callable[..., Stage]) -> None:
    stage = make(max_backlog=4 * HOP)
    heard = []
    for _ in range(3):
        stage.play(8 * HOP)
        heard += stage.hops()
    audio = np.concatenate([hop[0] for _, _, hop in heard])
    np.testing.assert_array_equal(audio, np.arange(24 * HOP, dtype=np.float32) * 2.0**-22)
    assert not any(flags for _, flags, _ in heard)
    assert int(stage.section["lost_input"]) == 0


def test_of_a_queue_of_long_blocks_the_newest_is_played(make: Callable[..., Stage]) -> None:
    stage = make(max_backlog=4 * HOP)
    for _ in range(3):
        stage.play(8 * HOP)
    heard = stage.hops()
    assert int(stage.section["lost_input"]) == 16 * HOP
    # One hop ends the old sound softly, and the clock counts the other 15.
    assert [position for position, _, _ in heard] == [HOP * i for i in range(15, 24)]
    for position, _, hop in heard[3:]:  # faded in by then
        assert hop[0, 0] == np.float32(position * 2.0**-22)


def test_a_new_intake_goes_on_where_the_clock_would_be(make: Callable[..., Stage]) -> None:
    stage = make()
    for _ in range(10):
        stage.play(HOP)
    stage.hops()
    stage.section["sample_pos"] = stage.intake.position
    for _ in range(30):
        stage.play(HOP)  # while nobody reads
    stage.intake = stage.listen()
    for _ in range(5):
        stage.play(HOP)
    after = stage.hops()
    assert after[-1][0] == stage.device - HOP
    assert int(stage.section["lost_input"]) == 30 * HOP


def test_the_end_of_a_source_flushes_the_latency(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.play(HOP + 100)
    stage.ring.end()
    hops = stage.hops()
    assert len(hops) == 1 + 1 + SPEC.latency // HOP - 1
    np.testing.assert_array_equal(hops[1][2][0, 100:], 0.0)
    assert stage.intake.finished


def test_the_measured_rate_is_the_devices(make: Callable[..., Stage]) -> None:
    stage = make()
    true_rate = RATE * (1 + 80e-6)
    rng = np.random.default_rng(0)
    for i in range(60 * RATE // HOP):
        at_ns = 7 * SECOND_NS + int((i * HOP / true_rate + rng.normal(0, 1e-4)) * SECOND_NS)
        stage.ring.write(np.zeros((HOP, 2), np.float32), i * HOP / RATE, at_ns, at_ns)
        stage.now_ns = at_ns
        stage.hops()
    assert abs(stage.intake.clock.samplerate / true_rate - 1) < 20e-6


def test_what_is_no_audio_does_not_come_in(make: Callable[..., Stage]) -> None:
    stage = make()
    block = np.full((HOP, 2), 0.25, np.float32)
    block[3, 0], block[4, 1], block[5, 0], block[6, 1] = np.nan, np.inf, -np.inf, 1e30
    stage.ring.write(block, 0.0, stage.now_ns, stage.now_ns)
    ((_, _, hop),) = stage.hops()
    expected = np.full((2, HOP), 0.25, np.float32)
    expected[0, [3, 5]] = expected[1, [4, 6]] = 0.0
    np.testing.assert_array_equal(hop, expected)
    assert int(stage.section["repaired"]) == 4


@pytest.mark.parametrize("hole", ["stall", "loss", "queue"])
def test_time_is_right_again_with_the_first_block_after_a_hole(
    make: Callable[..., Stage], hole: str
) -> None:
    """One second off would take the loop over a minute to walk; the rate is known already."""
    stage = make(trust_clock=hole != "stall")
    for _ in range(12 * RATE // HOP):
        stage.play(HOP)
        stage.hops()
    for _ in range(3 * RATE // HOP):
        if hole == "stall":
            stage.wait(HOP / RATE)
            stage.hops()
        else:
            stage.play(HOP, lose=hole == "loss")
    for _ in range(4):
        stage.play(HOP)
        stage.hops()
        assert abs(float(stage.section["rate_measured"]) / RATE - 1) < 1e-5
    heard_ns = 7 * SECOND_NS + (stage.device - HOP) * SECOND_NS // RATE
    assert abs(stage.intake.first_ns - heard_ns) < 1e-4 * SECOND_NS


def test_time_is_that_of_the_sender_who_takes_the_lead(make: Callable[..., Stage]) -> None:
    """Its first block says by its seam that it does not follow the one before."""
    stage = make(trust_clock=False)
    for _ in range(12 * RATE // HOP):
        stage.play(HOP)
        stage.hops()
    block, later_ns = np.zeros((HOP, 2), np.float32), 50_000_000
    for k in range(3):
        first_ns = 7 * SECOND_NS + stage.device * SECOND_NS // RATE + later_ns
        stage.device += HOP
        stage.ring.write(block, stage.device / RATE, first_ns, first_ns, 0, int(k == 0))
        stage.hops()
        assert abs(stage.intake.first_ns - first_ns) < 1e-4 * SECOND_NS
