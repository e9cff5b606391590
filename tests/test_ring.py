"""The shared-memory ring: order, wrapping, counts instead of exceptions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from stemd.ring import N_BLOCKS, Ring


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(1000, 3)
    yield made
    made.close()


def ramp(start: int, n: int) -> np.ndarray:
    """(n, 3) samples that say which they are."""
    return np.add.outer(np.arange(start, start + n), [0.0, 0.25, 0.5]).astype(np.float32)


def put(ring: Ring, block: np.ndarray, adc_s: float = 0.0) -> int:
    return ring.write(block, adc_s, first_ns=1, arrival_ns=2)


def test_samples_come_out_in_order_across_many_wraps(ring: Ring) -> None:
    written = read = 0
    out = np.empty((2, 400), np.float32)
    rng = np.random.default_rng(0)
    for _ in range(500):
        n = int(rng.integers(1, 400))
        written += put(ring, ramp(written, n))
        block = ring.block()
        assert block is not None
        n = int(block["n_samples"])
        ring.copy(int(block["start"]), n, (0, 2), out[:, :n])
        np.testing.assert_array_equal(out[0, :n], np.arange(read, read + n, dtype=np.float32))
        np.testing.assert_array_equal(out[1, :n], out[0, :n] + 0.5)
        ring.release(n, True)
        read += n
    assert ring.backlog == 0
    assert ring.overruns == 0


def test_what_does_not_fit_is_counted_and_told_to_the_next_block(ring: Ring) -> None:
    assert put(ring, ramp(0, 900)) == 900
    assert put(ring, ramp(900, 200)) == 0
    assert ring.overruns == 200
    ring.release(900, True)
    assert put(ring, ramp(1100, 10)) == 10
    block = ring.block()
    assert block is not None
    assert block["overruns"] == 200


def test_the_block_log_may_be_full_before_the_samples_are(ring: Ring) -> None:
    tiny = Ring.create(10 * N_BLOCKS, 1)
    for _ in range(N_BLOCKS):
        assert put(tiny, np.zeros((1, 1), np.float32)) == 1
    assert put(tiny, np.zeros((1, 1), np.float32)) == 0
    assert tiny.overruns == 1
    tiny.close()


def test_skipping_tells_all_that_went_unheard(ring: Ring) -> None:
    put(ring, ramp(0, 900))
    put(ring, ramp(900, 300))  # lost at the door
    assert ring.skip() == 1200
    assert ring.skip() == 0
    assert ring.block() is None


def test_another_process_sees_the_same_ring(ring: Ring) -> None:
    other = Ring.attach(ring.handle)
    put(other, ramp(0, 5))
    other.end()
    out = np.empty((1, 5), np.float32)
    ring.copy(0, 5, (1,), out)
    np.testing.assert_array_equal(out[0], np.arange(5) + 0.25)
    assert not ring.ended  # something is still to be read
    ring.release(5, True)
    assert ring.ended
    other.close()
