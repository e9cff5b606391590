"""Output that never waits for whoever reads it."""

from __future__ import annotations

import contextlib
import os
import threading
from queue import Full, Queue

MAX_PIECES = 64  # waiting: a minute of status
END_S = 1.0  # of patience with a reader, at the end


class Unhurried:
    """A text stream whose writes are done by a thread; when nobody reads, the newest are lost.

    A pipe that is full, or a terminal that was stopped (Ctrl-S), would hold up whoever writes: the
    daemon would look after nothing any more.

    Parameters
    ----------
    fd : int
        Where it goes in the end, as UTF-8. Not a file object: a thread that waits in one for ever
        holds its lock, without which the interpreter does not end.
    raises : bool
        False where a person looks, who may close the window: then all of it is lost, as above.

    Raises
    ------
    OSError
        From `write`, what the system said before: the reader is gone.
    """

    def __init__(self, fd: int, raises: bool = True) -> None:
        self._fd, self._raises = fd, raises
        self._pieces: Queue[str | None] = Queue(MAX_PIECES)
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    encoding = "utf-8"

    def fileno(self) -> int:
        """Where it goes in the end."""
        return self._fd

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return os.isatty(self._fd)

    def write(self, text: str) -> None:
        """Hand it over."""
        if self._error is not None:
            if self._raises:
                raise self._error
            return
        with contextlib.suppress(Full):
            self._pieces.put_nowait(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Wait until all of it has been taken, but not for ever; the descriptor stays open."""
        try:
            self._pieces.put(None, timeout=END_S)
        except Full:
            return
        self._thread.join(END_S)

    def _run(self) -> None:
        while (text := self._pieces.get()) is not None:
            rest = text.encode(errors="backslashreplace")
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError as error:
                self._error = error
                return
