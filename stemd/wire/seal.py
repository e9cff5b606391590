"""Datagrams nobody else can make, read or send twice: ChaCha20-Poly1305 and a replay window.

The key is new for each session and was agreed over CURVE. The header is authenticated, the payload
also encrypted; the nonce is the direction and the datagram's own counter, so none is used twice.
"""

from __future__ import annotations

import struct
from typing import Any

from ..errors import ProtocolError

TO_BOX, TO_SENDER = 0, 1
WINDOW = 1024  # datagrams: how far behind the newest one may come in; 2 s of small ones

_NONCE = struct.Struct("<IQ")


class Sealer:
    """Protects what goes one way.

    Parameters
    ----------
    key : bytes
        32, or none: nothing is protected.
    direction : int
    """

    def __init__(self, key: bytes, direction: int) -> None:
        self._cipher = _cipher(key)
        self._direction = direction
        self.counter = 0  # of the next datagram; the header must carry it

    def seal(self, header: bytes, payload: bytes) -> bytes:
        """The datagram."""
        nonce = _NONCE.pack(self._direction, self.counter)
        self.counter += 1
        if self._cipher is None:
            return header + payload
        sealed: bytes = self._cipher.encrypt(nonce, payload, header)
        return header + sealed


class Opener:
    """Lets in what was sealed for us, once.

    Attributes
    ----------
    forged, replayed : int
        Datagrams refused.
    """

    def __init__(self, key: bytes, direction: int) -> None:
        self._cipher = _cipher(key)
        self._direction = direction
        self._newest = -1
        self._seen = 0  # bit i: newest - i has come
        self.forged = 0
        self.replayed = 0

    def open(self, counter: int, header: Any, sealed: Any) -> bytes:
        """The payload.

        Raises
        ------
        ProtocolError
            When it was not made by the holder of the key, or has been here before.
        """
        behind = self._newest - counter
        # The cheap question first: what was here before needs no arithmetic.
        if behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):
            self.replayed += 1
            raise ProtocolError(f"counter: got {counter} again, expected a new one")
        if self._cipher is None:
            payload = bytes(sealed)
        else:
            from cryptography.exceptions import InvalidTag

            try:
                nonce = _NONCE.pack(self._direction, counter)
                payload = self._cipher.decrypt(nonce, bytes(sealed), bytes(header))
            except InvalidTag as error:
                self.forged += 1
                raise ProtocolError("datagram: got one that is not the sender's") from error
        if behind < 0:
            self._seen = (self._seen << min(-behind, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self._newest = counter
        else:
            self._seen |= 1 << behind
        return payload


def _cipher(key: bytes) -> Any:
    if not key:
        return None
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)
