"""One separator takes over from another between two hops, and no sample is lost.

The old one writes down where it is (the hop half filled, the overlap-add, every detector) and ends;
the new one, loaded and warm, goes on from there. Only the model differs, and its masks are
cross-faded from the last ones of the old.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

from ..processors.transplant import transplant
from ..shared import PLACE, PREFIX

# What a pipeline is, beside its model and its doors.
CARRIED = ("intake", "separator", "mixer", "features")
VALUES = ("_mixer_rev", "_taps", "_tempi", "_pitches", "_paused", "_utc_offset_ns", "_utc_read_ns")


def place_of(daemon_pid: int, token: str) -> Path:
    """Where the state lies for a moment: in memory where the system has such files."""
    folder = PLACE if PLACE.is_dir() else Path(tempfile.gettempdir())
    return folder / f"{PREFIX}{daemon_pid}-{token}"  # swept with the memory of killed daemons


def give(pipeline: Any, path: Path) -> None:
    """Write a pipeline's state down; it makes no hop any more.

    Raises
    ------
    OSError
        When there is no room; nothing was given then.
    """
    pipeline.separator.model = pipeline.separator.rest = None  # theirs, as configured
    pipeline.intake.let_go()
    parts = [getattr(pipeline, name) for name in CARRIED]
    values = [getattr(pipeline, name) for name in VALUES]
    content = pickle.dumps((parts, values), pickle.HIGHEST_PROTOCOL)
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(part, path)


def take(pipeline: Any, path: Path) -> None:
    """Go on where the other one was.

    Raises
    ------
    OSError
        When nothing was given.
    """
    # Our own file, of our own user, in a place nobody else may write to.
    parts, values = pickle.loads(path.read_bytes())
    path.unlink()
    for name, part in zip(CARRIED, parts, strict=True):
        transplant(part, getattr(pipeline, name))
    for name, value in zip(VALUES, values, strict=True):
        setattr(pipeline, name, value)
    pipeline.separator.cross_fade()
