"""One numpy record in shared memory, created by the daemon and attached by its children."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

from .errors import StemdError

PREFIX = "stemd-"  # of the names of our shared memory; then the creator's process number
SEMAPHORE = "sem."  # before a semaphore's name, where Linux shows it
PLACE = Path("/dev/shm")  # where Linux shows shared memory as files; elsewhere it ends by itself


def sweep() -> int:
    """Remove memory that daemons left behind which were killed with all their processes.

    Returns
    -------
    n : int
        Pieces removed.
    """
    removed = 0
    for path, pid in pieces():
        if not _alive(pid):
            with contextlib.suppress(OSError):  # another user's
                path.unlink()
                removed += 1
    return removed


def pieces() -> list[tuple[Path, int]]:
    """Shared memory and semaphores of daemons, and whose they are: the daemon's process number."""
    found = []
    for prefix in (PREFIX, SEMAPHORE + PREFIX):
        for path in PLACE.glob(f"{prefix}*-*"):
            pid = path.name.removeprefix(prefix).split("-")[0]
            if pid.isdigit():
                found.append((path, int(pid)))
    return found


def name_semaphores() -> None:
    """Have the semaphores this process makes from now on named as ours, so that `sweep` finds them.

    multiprocessing calls them all alike, and has no public way to say otherwise.
    """
    settings = getattr(multiprocessing.current_process(), "_config", {})
    settings["semprefix"] = f"/{PREFIX}{os.getpid()}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reserve(name: str, n_bytes: int) -> None:
    """Have pages for it: writing to one that is not to be had would end the process (SIGBUS)."""
    if not (PLACE / name).exists():  # not Linux
        return
    fd = os.open(PLACE / name, os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, n_bytes)
    finally:
        os.close(fd)


def _refused(dtype: np.dtype[Any], error: OSError) -> StemdError:
    return StemdError(
        f"shared memory: got {error.strerror or error}, expected {dtype.itemsize / 1e6:.1f} MB in "
        f"{PLACE}, writable (in a container: --shm-size)"
    )


@dataclass(frozen=True, slots=True)
class SharedHandle:
    """What a child needs to find the memory again; travels through `spawn`."""

    name: str
    dtype: Any  # numpy dtype description, picklable

    def attach(self) -> SharedRecord:
        """Map the memory in this process."""
        return SharedRecord(SharedMemory(name=self.name), np.dtype(self.dtype), owner=False)


class SharedRecord:
    """A single structured record; `view` writes through to the shared memory."""

    def __init__(self, memory: SharedMemory, dtype: np.dtype[Any], owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        self._dtype = dtype
        array: np.ndarray[Any, np.dtype[Any]] = np.ndarray((1,), dtype, buffer=memory.buf)
        self.view: Any = array[0]

    @classmethod
    def create(cls, dtype: np.dtype[Any]) -> SharedRecord:
        """Take zeroed memory for one record of `dtype`.

        Raises
        ------
        StemdError
            When the system has none to give.
        """
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            memory = SharedMemory(name, create=True, size=dtype.itemsize)
        except OSError as error:
            raise _refused(dtype, error) from error
        try:
            _reserve(name, memory.size)
        except OSError as error:
            memory.close()
            memory.unlink()
            raise _refused(dtype, error) from error
        # Touching every page now keeps page faults out of the audio path.
        np.ndarray((memory.size,), np.uint8, buffer=memory.buf).fill(0)
        return cls(memory, dtype, owner=True)

    @property
    def handle(self) -> SharedHandle:
        """To be sent to a child."""
        return SharedHandle(self._memory.name, self._dtype)

    def close(self) -> None:
        """Unmap; the creator also removes the memory."""
        self.view = None
        # A view somewhere else keeps the mapping alive until the process ends: harmless.
        with contextlib.suppress(BufferError):
            self._memory.close()
        if self._owner:
            with contextlib.suppress(FileNotFoundError):
                self._memory.unlink()


def text(value: bytes) -> str:
    """Decode a fixed-width text field."""
    return value.decode("utf-8", "replace")


def encode(value: str, size: int) -> bytes:
    """Encode for a fixed-width text field without cutting a character in half.

    Half a surrogate pair, which JSON can say and UTF-8 cannot, becomes a question mark.
    """
    return value.encode("utf-8", "replace")[:size].decode("utf-8", "ignore").encode()
