"""The surfaces by name, each made when asked for: the fuzzer must be there before its code is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

SURFACES = {
    "osc": "datagrams of the OSC port",
    "zeromq": "requests, senders, plugins and receivers over ZeroMQ and UDP",
    "web": "HTTP and WebSocket: console, OSCQuery, metrics",
    "config": "TOML and --set",
    "files": "sound, models, state, keys, takes",
}


class Target(Protocol):
    """One surface.

    Attributes
    ----------
    words : sequence of bytes
        A dictionary for the fuzzer.
    """

    words: Sequence[bytes]

    def __call__(self, data: bytes) -> None:
        """Feed bytes to the code; what escapes is a fault."""

    def seeds(self) -> Sequence[bytes]:
        """Inputs that are understood."""

    def close(self) -> None:
        """Give everything back."""


def make(surface: str) -> Target:
    """The target of a surface."""
    made: Target = import_module(f"{__package__}.on_{surface}").Target()
    return made
