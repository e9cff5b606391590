"""What stands in for sockets and clocks, so that parsers run as they are and nothing waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import zmq


class Wire:
    """A socket whose other end is the test: what comes in is put there, what goes out is kept."""

    def __init__(self) -> None:
        self.inbox: deque[list[bytes]] = deque()
        self.sent: list[list[bytes]] = []
        self._parts: deque[bytes] = deque()

    def getsockopt(self, option: int) -> int:
        """EVENTS and RCVMORE."""
        if option == zmq.RCVMORE:
            return int(bool(self._parts))
        return zmq.POLLOUT | (zmq.POLLIN if self.inbox or self._parts else 0)

    def poll(self, timeout_ms: float = 0, flags: int = zmq.POLLIN) -> int:
        """Whether there is anything to take."""
        return self.getsockopt(zmq.EVENTS) & flags

    def recv(self, flags: int = 0, copy: bool = True) -> bytes:
        """The next part."""
        if not self._parts:
            self._parts.extend(self.inbox.popleft())
        return self._parts.popleft()

    def recv_multipart(self, flags: int = 0, copy: bool = True) -> list[bytes]:
        """A whole message."""
        return self.inbox.popleft()

    def send(self, data: Any, flags: int = 0) -> None:
        """One part."""
        self.sent.append([bytes(data)])

    def send_multipart(self, parts: Sequence[Any], flags: int = 0) -> None:
        """A whole message."""
        self.sent.append([bytes(part) for part in parts])

    def sendto(self, data: bytes, address: Any) -> None:
        """A datagram."""
        self.sent.append([bytes(data)])

    def close(self, linger: int = 0) -> None:
        """Nothing to give back."""

    def disable_monitor(self) -> None:
        """There is none."""


class Clock:
    """Stands in for the module `time`; moves when told to, and a little when asked."""

    def __init__(self, step_s: float = 1e-5) -> None:
        self.now_s = 1000.0
        self._step_s = step_s

    def monotonic(self) -> float:
        """Seconds."""
        self.now_s += self._step_s
        return self.now_s

    def monotonic_ns(self) -> int:
        """Nanoseconds."""
        return round(self.monotonic() * 1e9)

    def time_ns(self) -> int:
        """UTC of long ago."""
        return self.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Nobody waits."""
        self.now_s += max(seconds, 0.0)


class Swapped:
    """Names in modules that stand for something else until given back."""

    def __init__(self) -> None:
        self._before: list[tuple[ModuleType, str, Any]] = []

    def put(self, module: ModuleType, name: str, value: Any) -> None:
        """Put `value` in the place of `module.name`."""
        self._before.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    def close(self) -> None:
        """As it was."""
        while self._before:
            module, name, value = self._before.pop()
            setattr(module, name, value)
