"""Packets to fixed targets: an address is resolved when the daemon starts, nothing here waits."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Target:
    address: Any  # as sendto wants it
    socket: socket.socket


class OscSender:
    """Fixed targets, resolved once; sends never wait and never raise.

    Parameters
    ----------
    targets : sequence of (host, port)
    key : str
        What the configuration calls them, for complaints.
    """

    def __init__(self, targets: Sequence[tuple[str, int]], key: str = "osc.targets") -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._targets = []
        self.unresolved = []
        for host, port in targets:
            try:
                family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            except OSError as error:
                self.unresolved.append(
                    f"{key}: got {host}:{port} ({error.strerror}), expected a known host"
                )
                continue
            self._targets.append(_Target(address, self._socket(family)))
        self.sent = 0
        self.errors = 0

    @property
    def targets(self) -> int:
        """How many there are."""
        return len(self._targets)

    def send(self, packet: Any, but: Any = None) -> None:
        """One datagram to each target, except the one whose address is `but`."""
        for target in self._targets:
            if target.address == but:
                continue
            try:
                target.socket.sendto(packet, target.address)
                self.sent += 1
            except OSError:
                self.errors += 1

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()

    def _socket(self, family: int) -> socket.socket:
        if family not in self._sockets:
            one = socket.socket(family, socket.SOCK_DGRAM)
            one.setblocking(False)
            self._sockets[family] = one
        return self._sockets[family]
