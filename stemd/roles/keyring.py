"""Who may speak to a socket beyond loopback: a key of the daemon's, and a list of those it knows.

CURVE encrypts, and tells both sides whom they talk to; ZeroMQ asks us about each new connection
(ZAP, rfc.zeromq.org/spec/27) and is answered by the loop that owns the socket.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import zmq
import zmq.utils.z85

from ..errors import ConfigError

SERVER_FILE = "server.key"  # public key, secret key: a line each
CLIENTS_FILE = "clients"  # public keys of those who may come, one a line; anything behind a blank
KEY_CHARACTERS = 40  # 32 bytes as Z85
ASKED_AT_ONCE = 16
DOMAIN = b"stemd"


class Keyring:
    """The keys in one folder.

    Parameters
    ----------
    folder : Path
        `server.key` is made there when it is missing. `clients` is read again for each connection,
        so that a new one needs no restart.

    Attributes
    ----------
    public : str
        What clients must know, Z85.
    refused : int
        Connections of those who are not on the list.

    Raises
    ------
    ConfigError
        When the folder or the file in it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.refused = 0
        self._clients = folder / CLIENTS_FILE
        self._door: Any = None
        path = folder / SERVER_FILE
        try:
            if not path.exists():
                _make(path)
            keys = path.read_text("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"inserts.keys: got {error}, expected a folder of ours") from error
        if len(keys) != 2 or any(len(key) != KEY_CHARACTERS for key in keys):
            raise ConfigError(f"{path}: got {len(keys)} words, expected two keys of 40 characters")
        self.public, self._secret = keys

    def guard(self, context: zmq.Context[Any], socket: zmq.Socket[Any]) -> None:
        """Let only those on the list speak to `socket`; before it is bound."""
        self._door = context.socket(zmq.REP)
        self._door.setsockopt(zmq.LINGER, 0)
        self._door.bind("inproc://zeromq.zap.01")
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)

    def service(self) -> None:
        """Answer for those who knock."""
        for _ in range(ASKED_AT_ONCE):
            if not self._door.poll(0):
                return
            version, request, _, _, _, mechanism, *credentials = self._door.recv_multipart()
            known = mechanism == b"CURVE" and len(credentials) == 1
            known = known and zmq.utils.z85.encode(credentials[0]).decode() in self._known()
            self.refused += not known
            answer = (b"200", b"OK") if known else (b"400", b"this key is not on the list")
            self._door.send_multipart([version, request, *answer, b"", b""])

    def close(self) -> None:
        """Stop answering; after the socket."""
        if self._door is not None:
            self._door.close(linger=0)
            self._door = None

    def _known(self) -> set[str]:
        try:
            lines = self._clients.read_text("utf-8", "replace").splitlines()
        except OSError:
            return set()
        return {line.split()[0] for line in lines if line.strip()}


def _make(path: Path) -> None:
    """A pair of keys only we can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public, secret = zmq.curve_keypair()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(public + b"\n" + secret + b"\n")
