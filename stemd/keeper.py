"""The state file: what clients turned and chose, kept over a restart of the daemon."""

from __future__ import annotations

import json
import logging
import threading
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
FINISH_S = 1.0


class Keeper:
    """Reads and writes one state file, the latter in a thread: a disk may hang, and a card be slow.

    Parameters
    ----------
    path : str
        Empty: nothing is kept.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._turn = 0
        self._written: Any = None
        self._next_s = 0.0
        self._failed = self._error = ""
        self._writing: threading.Thread | None = None

    def turn_to(self, path: str) -> None:
        """Keep it there from now on: one keeper for each process, whose thread is the only one."""
        self._path = Path(path) if path else None
        self._turn += 1

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
        """Have what changed written, at most once a second."""
        if self._path is None or time.monotonic() < self._next_s:
            return
        if self._writing is not None and self._writing.is_alive():
            return
        self._tell()
        now = self._turn, int(status.mixer["rev"]), tuple(overrides)
        if now == self._written:
            return
        self._next_s = time.monotonic() + PERIOD_S
        content = {
            "version": VERSION,
            "overrides": list(overrides),
            "preset": text(status.mixer["preset"]),
            "knobs": knobs_of(status, feeds),
        }
        job = (self._path, json.dumps(content, indent=1).encode(), now)
        self._writing = threading.Thread(target=self._write, args=job, name="keeper", daemon=True)
        self._writing.start()

    def finish(self) -> None:
        """Wait until what is being written is, but not for ever."""
        if self._writing is not None:
            self._writing.join(FINISH_S)
        self._tell()

    def _write(self, path: Path, content: bytes, what: Any) -> None:
        try:
            write_whole(path, content)
        except OSError as error:
            self._error = str(error)
            return
        self._error = ""
        self._written = what

    def _tell(self) -> None:
        """Of what the thread met: it does not write to the log itself."""
        if self._error != self._failed:
            self._failed = self._error
            if self._failed:
                log.warning("state.file: got %s, expected a place to write", self._failed)
