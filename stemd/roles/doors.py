"""Ports a configuration wants of the system, tried before a stream that runs gives its own up."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from ..config import Config, split_endpoint
from ..errors import DeviceError
from ..sinks.ports import open_port

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


@dataclass(frozen=True, slots=True)
class Door:
    """One port, and the key of the configuration that asks for it."""

    key: str
    kind: socket.SocketKind
    host: str
    port: int


def doors_of(config: Config) -> Iterator[Door]:
    """Every port that will be bound."""
    zeromq, network, osc = config.zeromq, config.network, config.osc
    if zeromq.enabled:
        for name in ("audio_port", "features_port", "control_port"):
            yield Door(f"zeromq.{name}", TCP, zeromq.bind, getattr(zeromq, name))
    if config.source.kind == "network":
        yield Door("network.port", TCP, network.bind, network.port)
        yield Door("network.port", UDP, network.bind, network.port)
    if osc.enabled and osc.listen:
        yield Door("osc.listen", UDP, *split_endpoint(osc.listen))
    if osc.enabled and osc.query_port:
        host = split_endpoint(osc.listen)[0] if osc.listen else "127.0.0.1"
        yield Door("osc.query_port", TCP, host, osc.query_port)
    if config.metrics.enabled:
        yield Door("metrics.port", TCP, config.metrics.bind, config.metrics.port)
    if config.console.enabled:
        yield Door("console.port", TCP, config.console.bind, config.console.port)
    kind, _, place = config.inserts.endpoint.partition("://")
    if config.inserts.enabled and kind == "tcp":
        yield Door("inserts.endpoint", TCP, *split_endpoint(place))


def check_doors(new: Config, old: Config) -> None:
    """Whether `new` could open its ports beside those that `old` has open.

    Raises
    ------
    DeviceError
        When another program has one, or this machine has no such address.
    """
    ours = [*doors_of(old)]
    for door in doors_of(new):
        if not any((d.kind, d.host, d.port) == (door.kind, door.host, door.port) for d in ours):
            _try(door, any((d.kind, d.port) == (door.kind, door.port) for d in ours))


def _try(door: Door, mine: bool) -> None:
    """Open a port and let go.

    mine : the number is ours already, at another address: whose it is there, nobody can tell.
    """
    try:
        open_port(door.kind, door.host, door.port, door.key).close()
    except DeviceError as error:
        cause = error.__cause__
        # ZeroMQ knows addresses by the names of their interfaces too.
        unknown = isinstance(cause, socket.gaierror) and door.key.startswith(("zeromq", "inserts"))
        taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        if not (unknown or (taken and mine)):
            raise
