"""Two clocks: the cushion between them stays at its target and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from stemd.processors.drift import MAX_PPM, DriftCorrector

RATE, HOP, BLOCK, TARGET = 48_000, 256, 256, 700


def run(ppm: float, minutes: float, stall_at_s: float | None = None) -> list[float]:
    """Fill of the cushion before each hop, device running `ppm` faster than the stream."""
    drift = DriftCorrector(1.0, 2, TARGET)
    hop = np.zeros((HOP, 2), np.float32)
    fill, played, fills = float(TARGET), 0.0, []
    for i in range(round(minutes * 60 * RATE / HOP)):
        device = i * HOP * (1 + ppm * 1e-6)
        while played + BLOCK <= device:
            played += BLOCK
            fill -= BLOCK
        if stall_at_s is not None and i == round(stall_at_s * RATE / HOP):
            fill += 400  # the device slept for 8 ms
        fills.append(fill)
        fill += len(drift.process(hop, fill, HOP / RATE))
    assert abs(drift.ppm) <= MAX_PPM
    return fills


@pytest.mark.parametrize("ppm", [0.0, 100.0, -100.0, 300.0])
def test_the_cushion_settles_whatever_the_clocks_do(ppm: float) -> None:
    fills = np.array(run(ppm, 3.0))
    assert fills.min() > 0  # never dry
    settled = fills[len(fills) // 2 :]
    # The saw of blocks against hops is as deep as a block; its middle stays put.
    assert abs(settled.mean() - TARGET) < BLOCK / 2
    assert np.ptp(settled) <= 2 * BLOCK


def test_latency_returns_after_a_stall_of_the_device() -> None:
    fills = np.array(run(50.0, 3.0, stall_at_s=60.0))
    assert abs(fills[-2000:].mean() - TARGET) < BLOCK / 2


def test_a_sine_keeps_its_shape_through_the_resampler() -> None:
    drift = DriftCorrector(1.0, 1, TARGET)
    n = np.arange(40 * HOP)
    sine = np.sin(2 * np.pi * 1000 * n / RATE).astype(np.float32)[:, None]
    out = np.concatenate(
        [drift.process(sine[i : i + HOP], TARGET, HOP / RATE) for i in range(0, len(n), HOP)]
    )
    spectrum = np.abs(np.fft.rfft(out[2048 : 2048 + 4800, 0] * np.hanning(4800)))
    tone = spectrum[95:106].max()
    assert 20 * np.log10(np.delete(spectrum, np.s_[90:111]).max() / tone) < -80


def test_reset_forgets_everything() -> None:
    drift = DriftCorrector(1.0, 2, TARGET)
    noise = np.random.default_rng(0).standard_normal((20, HOP, 2)).astype(np.float32)
    fresh = [drift.process(hop, 2 * TARGET, 0.1).copy() for hop in noise]
    drift.reset()
    again = [drift.process(hop, 2 * TARGET, 0.1).copy() for hop in noise]
    for a, b in zip(fresh, again, strict=True):
        np.testing.assert_array_equal(a, b)
