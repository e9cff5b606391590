"""What a system heard in a piece, in the shapes that `measures` scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Heard:
    """Moments in seconds of the piece; `decided` is when the system could say so, None: afterwards.

    onsets : {source: (times, decided)}
    swept : {threshold factor: onsets}
    hits : {class: (times, decided)}
    tracks : {source: (times, hertz)}
    notes : {source: (onsets, MIDI)}
    """

    onsets: dict[str, tuple[np.ndarray, np.ndarray | None]] = field(default_factory=dict)
    swept: dict[float, dict[str, tuple[np.ndarray, np.ndarray | None]]] = field(
        default_factory=dict
    )
    hits: dict[str, tuple[np.ndarray, np.ndarray | None]] = field(default_factory=dict)
    tracks: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    notes: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    tempo_bpm: float | None = None
    beats: np.ndarray | None = None
    us: np.ndarray | None = None  # processor time of each hop, µs; others on the machine cost none
