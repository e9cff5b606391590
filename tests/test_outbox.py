"""The outbox: many readers, one writer that waits for none of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from stemd.outbox import Outbox
from stemd.status import STEP_BUCKETS, State, Status, step_bucket, step_percentile


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    made = Outbox.create(1, 256, 48_000)
    yield made
    made.close()


def write(outbox: Outbox, value: float) -> None:
    hop = outbox.claim()
    hop["stems"] = value
    hop["sample_pos"] = int(value)
    outbox.publish()


def test_each_reader_gets_every_hop(outbox: Outbox) -> None:
    readers = [outbox.reader(name) for name in ("publish", "memory")]
    for i in range(10):
        write(outbox, i)
    for reader in readers:
        got = []
        while reader.read():
            got.append(int(reader.hop["sample_pos"]))
        assert got == list(range(10))
        assert reader.dropped == 0


def test_a_reader_that_sleeps_loses_the_oldest_and_knows_how_many(outbox: Outbox) -> None:
    slow = outbox.reader("record")
    quick = outbox.reader("publish")
    n = outbox.n_slots + 50
    for i in range(n):
        write(outbox, i)
        assert quick.read()
    assert slow.read()
    first = int(slow.hop["sample_pos"])
    assert first == slow.dropped == 51  # one slot is the writer's
    left = 1
    while slow.read():
        left += 1
    assert left + slow.dropped == n
    assert quick.dropped == 0


def test_a_late_reader_starts_with_what_is_new(outbox: Outbox) -> None:
    write(outbox, 1)
    reader = outbox.reader("play")
    assert not reader.read()
    write(outbox, 2)
    assert reader.read()
    assert reader.hop["sample_pos"] == 2


def test_a_hop_is_never_a_mixture_of_two(outbox: Outbox) -> None:
    """The writer laps the reader all the time; what the reader gets is whole or counted."""
    reader = Outbox.attach(outbox.handle).reader("memory")
    n = 20_000
    writer = threading.Thread(target=lambda: [write(outbox, i) for i in range(n)])
    writer.start()
    got = 0
    while writer.is_alive() or reader.lag:
        if reader.read():
            got += 1
            stems = reader.hop["stems"]
            assert stems.min() == stems.max() == reader.hop["sample_pos"]
    writer.join()
    assert got + reader.dropped == n


def test_a_writer_that_can_wait_learns_when_to(outbox: Outbox) -> None:
    assert outbox.room()
    reader = outbox.reader("record")
    while outbox.room():
        write(outbox, 0)
    assert reader.lag < outbox.n_slots
    while reader.read():
        pass
    assert reader.dropped == 0
    assert outbox.room()
    while outbox.room():
        write(outbox, 0)
    outbox.detach("record")  # it died: nobody waits for it
    assert outbox.room()


def test_step_percentiles_are_those_of_the_steps() -> None:
    steps = np.random.default_rng(0).lognormal(13, 0.5, 5000)  # around half a millisecond, ns
    histogram = np.zeros(STEP_BUCKETS, np.int64)
    for step in steps:
        histogram[step_bucket(int(step))] += 1
    for q in (0.5, 0.99):
        expected = np.quantile(steps, q) * 1e-3
        # Buckets are 12 % wide.
        assert abs(step_percentile(histogram, q) / expected - 1) < 0.13


def test_the_snapshot_is_plain_and_names_state_and_reason() -> None:
    status = Status.create(2)
    status.daemon["state"] = State.RUNNING
    status.separate["state"] = State.STALLED
    Status.set_text(status.capture, "reason", "gone: " + "é" * 300)
    other = Status.attach(status.handle)
    snapshot = other.snapshot()
    assert snapshot["state"] == "STALLED"
    assert snapshot["reason"].startswith("gone: éé")
    assert "\ufffd" not in snapshot["reason"]
    assert snapshot["mixer"]["gain"] == [[1.0] * 4] * 2
    import json

    json.dumps(snapshot)
    other.close()
    status.close()
