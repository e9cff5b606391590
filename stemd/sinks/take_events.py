"""What happened during a recording, one JSON object a line, at its sample in the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..spec import FEATURES, N_FEATURES, SOURCES, StreamSpec
from ..wire.addresses import CHORD, EVENTS, NOTE
from .osc_events import delay_of

_TRIGGER = [FEATURES.index(event.trigger) for event in EVENTS]
_VALUE = [FEATURES.index(event.feature) for event in EVENTS]
_OFFSET = [FEATURES.index(event.offset) if event.offset else -1 for event in EVENTS]
_VELOCITY = FEATURES.index("note_velocity")
# A note that is struck again is another note: its count tells.
_LASTING = [FEATURES.index(name) for name in ("note", "note_count", "chord")]


class TakeEvents:
    """Writes `events.jsonl`.

    Parameters
    ----------
    path : Path
        Must not exist.
    spec : StreamSpec
    feeds : sequence of str

    Raises
    ------
    OSError
        From everything, when the disk does not want to.
    """

    def __init__(self, path: Path, spec: StreamSpec, feeds: Sequence[str]) -> None:
        self._spec = spec
        self._feeds = feeds
        self._file = path.open("x", encoding="utf-8")
        self._delays = [delay_of(spec, event) for event in EVENTS]
        self._lasting = np.zeros((len(feeds) * len(SOURCES), len(_LASTING)), np.float32)

    def write(self, hop: Any, origin: int) -> None:
        """Events of one hop; `origin` is the position of the take's first sample."""
        rows = hop["features"].reshape(-1, N_FEATURES)
        position = int(hop["sample_pos"]) - origin
        # Features are of the newest input, whose stems come later.
        newest = position - self._spec.feature_latency + self._spec.latency
        fired = rows[:, _TRIGGER] > 0.0
        if fired.any():
            for row, k in np.argwhere(fired).tolist():
                offset = float(rows[row, _OFFSET[k]]) if _OFFSET[k] >= 0 else -self._delays[k]
                self._say(newest + round(offset), row, EVENTS[k].name, rows[row, _VALUE[k]])
        lasting = rows[:, _LASTING]
        changed = lasting != self._lasting
        if changed.any():
            self._lasting = lasting.copy()
            for row in np.flatnonzero(changed[:, :2].any(axis=1)).tolist():
                # Notes are of the audio that leaves with them.
                velocity = round(float(rows[row, _VELOCITY]), 3)
                self._say(position, row, NOTE, lasting[row, 0], velocity=velocity)
            for row in np.flatnonzero(changed[:, 2]).tolist():
                self._say(newest, row, CHORD, lasting[row, 2])

    def flush(self) -> None:
        """Hand what there is to the system."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _say(self, sample: int, row: int, kind: str, value: Any, **more: float) -> None:
        feed, source = divmod(row, len(SOURCES))
        line = {
            "sample": max(sample, 0),
            "t": round(max(sample, 0) / self._spec.samplerate, 5),
            "feed": self._feeds[feed],
            "source": SOURCES[source],
            "kind": kind,
            "value": round(float(value), 4),
            **more,
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
