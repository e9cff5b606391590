"""The guard at sockets beyond loopback: who holds a key that is on the list may come in.

CURVE encrypts, and tells both sides whom they talk to; ZeroMQ asks us about each new connection
(ZAP, rfc.zeromq.org/spec/27) and is answered by the loop that owns the sockets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zmq
import zmq.utils.z85

from ..keys import ROLES, KeyStore, Pair, write_pair
from ..sinks.peers import ANYBODY
from ..wire.plugin import local_file, runtime_directory
from .rendezvous import claim

ASKED_AT_ONCE = 16  # so that a crowd at the door leaves time for audio


def leave_local(port: int, keyring: Keyring) -> None:
    """Let this user's programs on this machine know how to talk to the control port.

    Raises
    ------
    DeviceError, ConfigError
        When the runtime directory is not ours alone, or full.
    """
    claim(runtime_directory())
    write_pair(local_file(port), Pair(keyring.public, keyring.local.secret), replace=True)


def forget_local(port: int) -> None:
    """Take back what `leave_local` left."""
    with contextlib.suppress(OSError):
        local_file(port).unlink()


class Keyring:
    """Answers for all guarded sockets of one context.

    Parameters
    ----------
    folder : Path or None
        Of the `KeyStore`; the daemon's pair is made there when it is missing. The list of clients
        is read again when it changes: a new line needs no restart.
    context : zmq.Context

    Attributes
    ----------
    public : str
        What clients must know, Z85.
    local : Pair
        For programs of this user on this machine: may do everything.
    refused : int
        Connections of those who are not on the list for what they came for.

    Raises
    ------
    ConfigError
        When the folder or the daemon's pair in it cannot be used.

    Process:  whoever owns the sockets, its loop's thread.
    """

    def __init__(self, folder: Path | None, context: zmq.Context[Any]) -> None:
        self.refused = 0
        self._store = KeyStore(folder)
        self._server = self._store.server()
        self.public = self._server.public
        self.local: Pair = self._store.local()
        self._context = context
        self._door: Any = None

    def guard(self, socket: zmq.Socket[Any], role: str = ANYBODY) -> None:
        """Let only those speak to `socket` who have the role; before it is bound."""
        if self._door is None:
            self._door = self._context.socket(zmq.REP)
            self._door.setsockopt(zmq.LINGER, 0)
            self._door.bind("inproc://zeromq.zap.01")
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._server.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, role.encode())

    def allows(self, key: str, roles: Iterable[str]) -> bool:
        """Whether a public key has any of these roles, now: the list may have changed since it
        came in."""
        return key == self.local.public or self._store.allows(key, roles)

    def service(self) -> None:
        """Answer for those who knock."""
        for _ in range(ASKED_AT_ONCE):
            if self._door is None or not self._door.poll(0):
                return
            version, request, domain, _, _, mechanism, *credentials = self._door.recv_multipart()
            key = ""
            if mechanism == b"CURVE" and len(credentials) == 1:
                key = zmq.utils.z85.encode(credentials[0]).decode()
            role = domain.decode()
            known = bool(key) and self.allows(key, ROLES if role == ANYBODY else (role,))
            self.refused += not known
            answer = (b"200", b"OK") if known else (b"400", b"this key is not on the list")
            self._door.send_multipart([version, request, *answer, key.encode(), b""])

    def close(self) -> None:
        """Stop answering; after the sockets. `guard` begins anew."""
        if self._door is not None:
            self._door.close(linger=0)
            self._door = None
