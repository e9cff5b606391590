"""Ports of the system that do not wait: UDP, and TCP for who wants to be asked."""

from __future__ import annotations

import socket

from ..errors import DeviceError


def open_port(
    kind: socket.SocketKind, host: str, port: int, key: str, backlog: int = 0
) -> socket.socket:
    """A bound socket that never blocks; with a `backlog` of connections it listens.

    Raises
    ------
    DeviceError
        When there is no such address, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=kind)[0]
        one = socket.socket(family, kind)
    except OSError as error:
        raise DeviceError(
            f"{key}: got {host}:{port} ({error.strerror}), expected a local address"
        ) from error
    try:
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        if backlog:
            one.listen(backlog)
    except OSError as error:
        one.close()
        raise DeviceError(
            f"{key}: got {host}:{port} ({error.strerror}), expected a free port"
        ) from error
    one.setblocking(False)
    return one
