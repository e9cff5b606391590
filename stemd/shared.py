"""One numpy record in shared memory, created by the daemon and attached by its children."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

PREFIX = "stemd-"  # of the names of our shared memory; then the creator's process number
PLACE = Path("/dev/shm")  # where Linux shows shared memory as files; elsewhere it ends by itself


def sweep() -> int:
    """Remove memory that daemons left behind which were killed with all their processes.

    Returns
    -------
    n : int
        Pieces removed.
    """
    removed = 0
    for path in PLACE.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            with contextlib.suppress(OSError):  # another user's
                path.unlink()
                removed += 1
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
        """Take zeroed memory for one record of `dtype`."""
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        memory = SharedMemory(name, create=True, size=dtype.itemsize)
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
