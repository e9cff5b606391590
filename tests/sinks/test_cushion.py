"""The cushion in front of an output device."""

from __future__ import annotations

import numpy as np

from stemd.sinks.player import Cushion


def ramp(start: int, n: int) -> np.ndarray:
    return np.arange(start, start + n, dtype=np.float32)[:, None] + np.float32([0.0, 0.5])


def test_what_goes_in_comes_out_once_the_target_is_reached() -> None:
    cushion = Cushion(1000, 2, 300)
    out = np.ones((100, 2), np.float32)
    cushion.write(ramp(1, 200))
    cushion.read(out)
    assert not out.any()  # still filling: that is no underrun
    assert cushion.underruns == 0
    written, read = 201, 1
    for _ in range(50):
        assert cushion.write(ramp(written, 100)) == 0
        written += 100
        cushion.read(out)
        np.testing.assert_array_equal(out, ramp(read, 100))
        read += 100
    assert cushion.underruns == 0


def test_running_dry_is_counted_fades_out_and_waits_for_the_target() -> None:
    cushion = Cushion(1000, 2, 200)
    out = np.empty((150, 2), np.float32)
    cushion.write(np.full((200, 2), 0.8, np.float32))
    cushion.read(out)
    cushion.read(out)
    assert cushion.underruns == 100
    assert (out[:50] == np.float32(0.8)).all()
    assert np.abs(np.diff(out[:, 0])).max() < 0.05  # no click
    assert out[-1, 0] == 0.0
    cushion.write(np.full((100, 2), 0.8, np.float32))
    cushion.read(out)
    assert not out.any()
    assert cushion.underruns == 100


def test_too_much_is_refused_and_dropping_takes_the_oldest() -> None:
    cushion = Cushion(500, 2, 100)
    assert cushion.write(ramp(0, 600)) == 100
    cushion.drop(400)
    out = np.empty((100, 2), np.float32)
    cushion.read(out)
    np.testing.assert_array_equal(out, ramp(400, 100))
