"""The recording process: outbox → files. A slow or full disk is nobody else's trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from .. import realtime
from ..errors import DeviceError
from ..outbox import Outbox, OutboxReader
from ..sinks.recorder import Preroll, Recorder, finish_take, unfinished
from ..status import Status
from .links import Links, Role, wait

WAIT_S = 0.05
SPACE_CHECK_S = 1.0
TRIED_AGAIN = 8  # takes, the newest
END_S = 1.5  # the daemon kills who has not ended two seconds after it was told to
HOPS_PER_ROUND = 64  # of what was kept, then of the newest; then it is time for a heartbeat


def run(links: Links) -> None:
    """Record while `mixer.recording` says so; remember the last seconds while it does not."""
    status = Status.attach(links.status)
    role = Role("record", status)
    role.note(realtime.enter("record", False, False))
    reader = Outbox.attach(links.outbox).reader("record")
    finisher = Finisher(unfinished(links.config.record.directory))
    recording = Recording(links, role, reader, finisher)
    role.ready()
    while True:
        stopping = role.stopping
        role.beat()
        busy = recording.step(bool(status.mixer["recording"]))
        if stopping and not busy:  # what was heard until then is written
            recording.stop("")
            finisher.end()
            return
        if not busy:
            wait(links.wake["record"], WAIT_S)


class Finisher:
    """Writes the exports of takes in a thread: those of three hours of notes take seconds.

    What the disk has no room for is tried again after the next take; what it does not come to is
    done by the next recorder of this folder.

    Parameters
    ----------
    takes : sequence of Path
        Left over from recorders that were killed.
    """

    def __init__(self, takes: Sequence[Path]) -> None:
        self._takes: SimpleQueue[Path | None] = SimpleQueue()
        for take in takes:
            self._takes.put(take)
        self._thread = threading.Thread(target=self._run, name="finisher", daemon=True)
        self._thread.start()

    def finish(self, take: Path) -> None:
        """Its files are closed."""
        self._takes.put(take)

    def end(self) -> None:
        """Wait for what is in work, as long as the daemon waits for us."""
        self._takes.put(None)
        self._thread.join(END_S)

    def _run(self) -> None:
        again: list[Path] = []
        while (take := self._takes.get()) is not None:
            again = [one for one in (*again[-TRIED_AGAIN:], take) if not finish_take(one)]


class Recording:
    """What is written now, and what would be.

    Hops go through `_kept` always: while nothing is recorded it holds the newest, and the first
    hops of a recording are the oldest in it.
    """

    def __init__(self, links: Links, role: Role, reader: OutboxReader, finisher: Finisher) -> None:
        self._finisher = finisher
        self._links = links
        self._role = role
        self._section = role.section
        self._section["recording"] = 0  # of one before us, which was killed
        role.reason("")
        self._reader = reader
        self._kept = Preroll(links.spec, reader.hop.dtype, links.config.record.preroll_s)
        self._recorder: Recorder | None = None
        self._refused = False
        self._checked_s = 0.0

    def step(self, wanted: bool) -> bool:
        """Take what has come; True when more is waiting."""
        if self._refused and not wanted:  # switching it off and on tries again
            self._refused = False
            self._role.reason("")
        busy = False
        try:
            if wanted and not self._refused:
                busy = self._record()
            elif self._recorder is not None:
                self.stop("")
            for _ in range(HOPS_PER_ROUND):
                if not self._reader.read():
                    break
                self._take(self._reader.hop, wanted and not self._refused)
            else:
                busy = True
        except DeviceError as error:
            self._refused = True
            self.stop(str(error))
        self._section["lost"] = self._reader.dropped * self._links.spec.hop_length
        self._section["held"] = len(self._kept) * self._links.spec.hop_length
        return busy

    def stop(self, reason: str) -> None:
        """Finish the files."""
        if self._recorder is not None:
            while len(self._kept) and not reason:
                self._recorder.write(self._kept.pop())
            self._section["samples"] = self._recorder.samples
            self._recorder.close()
            self._finisher.finish(self._recorder.directory)
            self._recorder = None
        self._section["recording"] = 0
        self._role.reason(reason)

    def _record(self) -> bool:
        """Write some of what was kept; True when there is more."""
        for _ in range(HOPS_PER_ROUND):
            if not len(self._kept):
                break
            self._write(self._kept.pop())
        if self._recorder is not None and time.monotonic() - self._checked_s > SPACE_CHECK_S:
            self._checked_s = time.monotonic()
            self._recorder.check_space()
        return len(self._kept) > 0

    def _take(self, hop: object, recording: bool) -> None:
        if recording and not len(self._kept):
            self._write(hop)
        else:
            self._kept.push(hop)

    def _write(self, hop: object) -> None:
        if self._recorder is None:
            self._recorder = Recorder(self._links.config, self._links.spec, hop)
            Status.set_text(self._section, "path", str(self._recorder.directory))
            self._section["recording"] = 1
            self._role.reason("")
        self._recorder.write(hop)
        self._section["samples"] = self._recorder.samples
