"""What the separator makes of holes in its input, and of a source that begins again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stemd.config import load_config
from stemd.outbox import Outbox
from stemd.ring import Ring
from stemd.roles.links import Links
from stemd.roles.separate import Pipeline
from stemd.spec import FEATURES, SOURCES, StreamSpec
from stemd.status import Status

from ..processors.support import write_model

RATE = 48_000
SPEC = StreamSpec.of("live", RATE)
HOP = SPEC.hop_length
START_NS = 10**18  # of the test's own clock, long after any deadline of a model
COUNTS = [FEATURES.index(name) for name in ("onset_count", "note_count", "beat_count")]


class Line:
    """A real pipeline in this process, of one feed, and a device whose clock the test turns."""

    def __init__(self, folder: Path, kind: str, closing: ExitStack) -> None:
        model = write_model(folder, SPEC)
        config = load_config(None, [f"source.kind={kind}", f'model.name="{model}"'])
        self.status = Status.create(1)
        closing.callback(self.status.close)
        self.ring = Ring.create(4 * RATE, 2)
        closing.callback(self.ring.close)
        outbox = Outbox.create(1, HOP, RATE)
        closing.callback(outbox.close)
        wake = {name: multiprocessing.Semaphore(0) for name in ("publish", "play", "record")}
        handles = self.status.handle, self.ring.handle, outbox.handle
        links = Links(config, SPEC, *handles, wake)
        role: Any = SimpleNamespace(status=self.status, section=self.status.separate)
        self.pipeline = Pipeline(links, role)
        closing.callback(self.pipeline.close)
        self.pipeline.listen_to(links)
        self._reader = outbox.reader("memory")
        self._heard = 0
        self.ring.begin_stream()

    def _now_ns(self) -> int:
        return START_NS + self._heard * 10**9 // RATE

    def play(self, mono: np.ndarray[Any, Any], lose: slice = slice(0, 0)) -> Any:
        """Features (hop, source, feature) of what was heard in blocks; those in `lose` are not."""
        rows = []
        for at in range(0, len(mono) - HOP + 1, HOP):
            block = np.stack([mono[at : at + HOP]] * 2, axis=1).astype(np.float32)
            first_ns, seconds = self._now_ns(), self._heard / RATE
            self._heard += HOP
            if not lose.start <= at < lose.stop:
                self.ring.write(block, seconds, first_ns, self._now_ns())
                rows += self._hops()
        return np.array(rows)

    def pause(self, seconds: float) -> Any:
        """Nothing comes for a while; then the source is opened anew."""
        rows = []
        for _ in range(round(seconds * RATE / HOP)):
            self._heard += HOP
            rows += self._hops()
        self.ring.begin_stream()
        return np.array(rows)

    def _hops(self) -> list[Any]:
        rows = []
        while self.pipeline.step(self._now_ns()):
            assert self._reader.read()
            rows.append(self._reader.hop["features"][0].copy())
        return rows


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Line]]:
    with ExitStack() as closing:
        yield lambda kind: Line(tmp_path, kind, closing)


def tone(seconds: float) -> np.ndarray[Any, Any]:
    t = np.arange(round(seconds * RATE)) / RATE
    partials = [np.sin(2 * np.pi * 220 * k * t + k) / k for k in range(1, 7)]
    return np.asarray(0.3 * np.sum(partials, axis=0) * np.minimum(1.0, t / 0.05))


def bursts(seconds: float) -> np.ndarray[Any, Any]:
    """Two a second, at a pitch, struck."""
    t = np.arange(round(seconds * RATE)) / RATE
    body = np.sin(2 * np.pi * 220 * t) + 0.5 * np.sin(2 * np.pi * 440 * t)
    return np.asarray(0.3 * body * np.exp(-(t % 0.5) / 0.15) * np.minimum(1.0, t % 0.5 / 0.002))


@pytest.mark.parametrize("lost_ms", [40, 100, 600])
def test_sound_that_returns_from_a_hole_is_no_onset(
    make: Callable[[str], Line], lost_ms: int
) -> None:
    line = make("device")
    hole = slice(RATE // HOP * HOP, (RATE + lost_ms * RATE // 1000) // HOP * HOP)
    rows = line.play(tone(2.0), hole)
    lost = (hole.stop - hole.start) // HOP
    assert int(line.status.separate["concealed"]) == lost * HOP
    end = hole.stop // HOP
    near = rows[hole.start // HOP : end + round(0.05 * RATE / HOP)]
    assert rows[end + 20 :, 0, FEATURES.index("rms")].min() > 0.1
    for name in ("onset", "kick", "snare", "hihat"):
        assert not near[:, :, FEATURES.index(name)].any(), name


def test_counts_go_on_when_the_past_is_forgotten(make: Callable[[str], Line]) -> None:
    line = make("device")
    rows = np.concatenate([line.play(bursts(6.0)), line.pause(3.0), line.play(bursts(6.0))])
    never_fall(rows)


def test_counts_go_on_when_another_sender_comes(make: Callable[[str], Line]) -> None:
    line = make("network")
    rows = []
    for _ in range(2):
        line.status.network["admissions"][0] += 1  # somebody is there
        rows.append(line.play(bursts(6.0)))
        line.status.network["admissions"][0] += 1  # and gone
        rows.append(line.play(np.zeros(RATE)))
    never_fall(np.concatenate(rows))


def never_fall(rows: Any) -> None:
    """Onsets, notes and beats of the mix, and there are some before and after the middle."""
    counts = rows[:, SOURCES.index("mix"), COUNTS]
    assert (np.diff(counts, axis=0) >= 0).all()
    middle = counts[len(counts) // 2]
    assert (middle >= 3).all()
    assert (counts[-1] >= middle + 3).all()
