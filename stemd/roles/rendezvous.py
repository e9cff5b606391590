"""Where plugins find the daemon: a file and a socket in the user's own directory.

One session has one daemon: a lock says whose it is, and ends with its process.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from ..wire.plugin import default_endpoint, discovery_file, runtime_directory, stream_file

FALLBACK_PORT = 5580  # plus the session, where there are no local sockets


class Rendezvous:
    """The place of one session.

    Parameters
    ----------
    session : int
        0 ... 15.

    Raises
    ------
    DeviceError
        When another daemon has the session, or the directory is not ours alone.
    """

    def __init__(self, session: int) -> None:
        self.session = session
        self._file = discovery_file(session)
        self._lock: Any = None
        directory = runtime_directory()
        claim(directory)
        self._hold(directory / f"{session}.lock")

    @property
    def endpoint(self) -> str:
        """Where to listen when the configuration does not say."""
        if sys.platform == "win32":
            return f"tcp://127.0.0.1:{FALLBACK_PORT + self.session}"
        return default_endpoint(self.session)

    def announce(self, facts: dict[str, Any]) -> None:
        """Write the discovery file, whole or not at all."""
        _write(self._file, facts)

    def close(self) -> None:
        """Take the file away and let others have the session."""
        self._file.unlink(missing_ok=True)
        # ZeroMQ leaves its end of a local socket; nobody else has this one while we hold the lock
        Path(default_endpoint(self.session).partition("://")[2]).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def _hold(self, path: Path) -> None:
        if sys.platform == "win32":
            return  # two daemons there would want the same port
        import fcntl

        self._lock = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = self._lock.read(20).strip()
            self._lock.close()
            raise DeviceError(
                f"inserts.session: got {self.session}, which process {pid} has, "
                "expected a free one (is another stemd running?)"
            ) from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()


class StreamNotice:
    """The file that tells receivers on this machine where the stream is.

    Of two daemons of one session the last is found; each takes away its own file only.

    Raises
    ------
    DeviceError
        When the directory is not ours alone.
    """

    def __init__(self, session: int, facts: dict[str, Any]) -> None:
        self._file = stream_file(session)
        claim(self._file.parent)
        _write(self._file, {**facts, "session": session, "pid": os.getpid()})

    def close(self) -> None:
        """Take the file away, when it is still ours."""
        try:
            if json.loads(self._file.read_bytes()).get("pid") == os.getpid():
                self._file.unlink()
        except (OSError, ValueError, AttributeError):
            return  # somebody else's, or nobody's


def _write(path: Path, facts: dict[str, Any]) -> None:
    """Whole or not at all, for our eyes only."""
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(facts, file)
    os.replace(fresh, path)


def claim(directory: Path) -> None:
    """Make the directory, or refuse one that others can write to or read."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise DeviceError(
            f"{directory}: got {error.strerror}, expected a directory of ours"
        ) from error
    if sys.platform == "win32":
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DeviceError(f"{directory}: got something of others, expected a directory of ours")
    if found.st_mode & 0o077:
        directory.chmod(0o700)
