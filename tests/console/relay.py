"""A path to the console that may fall silent, as when a cable is pulled: nothing is closed."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

HOST = "127.0.0.1"


class Relay:
    """Passes TCP on, in a thread.

    Parameters
    ----------
    to : int
        Port of the console.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._door = socket.create_server((HOST, 0))
        self.port: int = self._door.getsockname()[1]
        self._lock = threading.Lock()
        self._other: dict[socket.socket, socket.socket] = {}
        self._cut: list[socket.socket] = []
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._door, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cut(self) -> int:
        """Let all connections there are fall silent, and return how many; new ones are served."""
        with self._lock:
            n = len(self._other) // 2
            for one in self._other:
                self._ready.unregister(one)
                self._cut.append(one)
            self._other.clear()
        return n

    def close(self) -> None:
        """End everything."""
        self._ended.set()
        self._thread.join()
        for one in (self._door, *self._other, *self._cut):
            one.close()
        self._ready.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            ready = self._ready.select(0.02)
            with self._lock:
                for key, _ in ready:
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    if one is self._door:
                        self._join()
                    elif one in self._other:
                        self._pass(one)

    def _join(self) -> None:
        near, _ = self._door.accept()
        far = socket.create_connection((HOST, self._to))
        self._other |= {near: far, far: near}
        for one in (near, far):
            self._ready.register(one, selectors.EVENT_READ)

    def _pass(self, one: socket.socket) -> None:
        other = self._other[one]
        data = b""
        with contextlib.suppress(OSError):
            data = one.recv(65_536)
            other.sendall(data)
        if not data:
            for end in (one, other):
                self._ready.unregister(end)
                del self._other[end]
                end.close()


@contextlib.contextmanager
def relay(to: int) -> Iterator[Relay]:
    """One that ends with its block."""
    one = Relay(to)
    try:
        yield one
    finally:
        one.close()
