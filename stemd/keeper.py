"""The state file: what clients turned and chose, kept over a restart of the daemon."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .files import write_whole
from .roles.scene import knobs_of, turn_back
from .shared import text
from .status import Status

log = logging.getLogger("stemd")

VERSION = 1
MAX_BYTES = 1_000_000
# What a client may choose of the configuration.
_CHOICES = (*("model.name=", "profile=", "source.kind=", "source.device=", "source.host_api="),)
PERIOD_S = 1.0  # a fader that is moved is written once a second


class Keeper:
    """Reads and writes one state file.

    Parameters
    ----------
    path : str
        Empty: nothing is kept.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._written: Any = None
        self._next_s = 0.0
        self._failed = ""

    def read(self) -> dict[str, Any]:
        """What was kept; empty when there is nothing that makes sense."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            if self._path.stat().st_size > MAX_BYTES:
                raise ValueError("a file of more than a megabyte")
            kept = json.loads(self._path.read_bytes())
            if not isinstance(kept, dict) or kept.get("version") != VERSION:
                raise ValueError(f"something else than version {VERSION}")
        except (OSError, ValueError, RecursionError) as error:
            log.warning("state.file: got %s (%s), expected what stemd wrote: starting without",
                        self._path, error)  # fmt: skip
            return {}
        return kept

    def overrides(self) -> list[str]:
        """The model or profile a client chose."""
        kept = self.read().get("overrides", [])
        if not isinstance(kept, list):
            return []
        return [str(one) for one in kept if str(one).startswith(_CHOICES)]

    def restore(self, status: Status, feeds: Sequence[str]) -> None:
        """Turn the knobs back, and say so."""
        kept = self.read()
        turned = turn_back(status, feeds, kept.get("knobs"))
        if turned:
            log.warning("restored from %s: %s", self._path, ", ".join(turned))
        Status.set_text(status.mixer, "preset", str(kept.get("preset", ""))[:32])

    def keep(self, status: Status, feeds: Sequence[str], overrides: Sequence[str]) -> None:
        """Write what changed, at most once a second."""
        if self._path is None or time.monotonic() < self._next_s:
            return
        now = int(status.mixer["rev"]), tuple(overrides)
        if now == self._written:
            return
        self._next_s = time.monotonic() + PERIOD_S
        content = {
            "version": VERSION,
            "overrides": list(overrides),
            "preset": text(status.mixer["preset"]),
            "knobs": knobs_of(status, feeds),
        }
        try:
            write_whole(self._path, json.dumps(content, indent=1).encode())
        except OSError as error:
            if str(error) != self._failed:
                self._failed = str(error)
                log.warning("state.file: got %s, expected a place to write", error)
            return
        self._failed = ""
        self._written = now
