"""Where a network lost something no onset is heard that was not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemd.processors.extrapolate import Extrapolator
from stemd.processors.features import Features
from stemd.processors.separator import HopSeparator
from stemd.spec import FEATURES, N_CHANNELS, N_FEATURES, N_STEMS, SOURCES, StreamSpec

AUDIO = Path(__file__).parents[1] / "data" / "heldout_mix.ogg"
BLOCK = 128
ONSET, OFFSET = FEATURES.index("onset"), FEATURES.index("onset_offset")
NEAR_S = 0.05  # two that are closer are one


def onsets(samples: np.ndarray, rate: int, seams: np.ndarray, odds: float = 1.0) -> np.ndarray:
    """Seconds; samples (n, c), seams (n,) bool: invented, or faded into."""
    spec = StreamSpec.of("live", rate)
    separator, features = HopSeparator(spec, None), Features(spec)
    features.onset.threshold[:] = odds
    hop_length = spec.hop_length
    stems = np.zeros((1, N_STEMS, N_CHANNELS, hop_length), np.float32)
    mix = np.zeros((1, N_CHANNELS, hop_length), np.float32)
    rows = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    found = []
    for at in range(0, len(samples) - hop_length + 1, hop_length):
        hop = np.ascontiguousarray(samples[at : at + hop_length].T)[None]
        if seams[at : at + hop_length].any():
            features.seam(0)
        separator.process(hop, stems, mix)
        features.process(separator, mix, stems, rows)
        if rows[0, 0, ONSET]:
            found.append((at + rows[0, 0, OFFSET]) / rate)
    return np.array(found)


def with_holes(samples: np.ndarray, rate: int, share: float, longest: int) -> tuple:
    """The same with blocks lost and invented; where; and how many holes."""
    random = np.random.default_rng(2)
    ours = Extrapolator(rate, samples.shape[1])
    out, seams = samples.copy(), np.zeros(len(samples), bool)
    holes, left = 0, 0
    for at in range(0, len(samples) - BLOCK + 1, BLOCK):
        block = out[at : at + BLOCK]
        if left == 0 and random.uniform() < share:
            left = int(random.integers(1, longest + 1))
            holes += 1
        if left:
            left -= 1
            block[:] = ours.conceal(BLOCK)
            seams[at : at + BLOCK] = True
        else:
            seams[at : at + BLOCK] = ours.process(block)
    return out, seams, holes


@pytest.mark.parametrize(
    ("share", "longest"), [pytest.param(0.005, 2, marks=pytest.mark.slow), (0.002, 75)]
)
def test_holes_make_no_onsets(share: float, longest: int):
    samples, rate = soundfile.read(AUDIO, dtype="float32", always_2d=True)
    samples = np.concatenate([samples] * max(1, round(40 * rate / len(samples))))
    whole = np.zeros(len(samples), bool)
    there = onsets(samples, rate, whole)
    torn, seams, holes = with_holes(samples, rate, share, longest)
    heard = onsets(torn, rate, seams)
    assert holes > 15
    assert len(there) > 20
    ends = np.flatnonzero(np.diff(seams.astype(int))) / rate
    false = [
        t for t in heard if np.abs(there - t).min() > NEAR_S and np.abs(ends - t).min() < NEAR_S
    ]
    assert len(false) <= 0.01 * holes
    # What was masked is only what lay at a seam, and of what is heard by a hair nearly all: a net
    # remembers.
    clear = onsets(samples, rate, whole, 1.25)
    assert len(clear) > 0.9 * len(there)
    assert not swallowed(clear, heard, seams, rate)
    assert len(swallowed(there, heard, seams, rate)) <= 0.01 * len(there)


def swallowed(there: np.ndarray, heard: np.ndarray, seams: np.ndarray, rate: int) -> list[float]:
    """Onsets missed though no seam is within 0.1 s of them."""
    ends = np.flatnonzero(np.diff(seams.astype(int))) / rate
    missed = [t for t in there if np.abs(heard - t).min(initial=9) > NEAR_S]
    return [t for t in missed if np.abs(ends - t).min() >= 0.1 and not seams[int(t * rate)]]
