"""LISTEN of OSCQuery: browsers name addresses over a WebSocket, and are sent them as they change.

Source: OSCQuery proposal, Vidvox, third revision; RFC 6455 through wsproto.
"""

from __future__ import annotations

import socket
import time
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from ..errors import ProtocolError
from ..wire.messages import decode_json
from .osc_levels import Board, Outlet

MAX_LISTENERS = 8
MAX_COMMAND_BYTES = 4096
COMMANDS_PER_SERVICE = 32  # of one client
MAX_PENDING_BYTES = 65_536  # what a client has not taken; beyond, packets are left out
STUCK_S = 10.0  # who takes nothing for so long while something waits is hung up on
TOO_BIG = 1009
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(slots=True)
class _Listener:
    """One WebSocket, and what it listens to."""

    socket: socket.socket
    active_at: float
    protocol: WSConnection = field(default_factory=lambda: WSConnection(ConnectionType.SERVER))
    wanted: set[str] = field(default_factory=set)
    outlet: Outlet | None = None
    left: bytearray = field(default_factory=bytearray)
    said: str = ""  # a command whose end has not come yet
    more: bool = False  # commands that were received and not looked at
    over: bool = False


class OscListeners:
    """All WebSockets; a bounded number, each with bounded memory, none of them waited for.

    Parameters
    ----------
    board : Board
    offered : iterable of str
        Addresses that may be listened to.
    rate_hz : float
        How often continuous values are sent.
    """

    def __init__(self, board: Board, offered: Iterable[str], rate_hz: float) -> None:
        self._board = board
        self._offered = frozenset(offered)
        self._rate_hz = rate_hz
        self._all: list[_Listener] = []
        self.sent = 0
        self.dropped = 0  # packets for who was too slow
        self.refused = 0  # commands that made no sense

    def __len__(self) -> int:
        return len(self._all)

    @property
    def outlets(self) -> list[Outlet]:
        """Where to send to."""
        return [one.outlet for one in self._all if one.outlet]

    def take(self, one: socket.socket, heard: bytes) -> bool:
        """Take over a connection that asked for a WebSocket; False when there are too many."""
        if len(self._all) >= MAX_LISTENERS:
            return False
        listener = _Listener(one, time.monotonic())
        self._all.append(listener)
        self._hear(listener, heard)
        return True

    def service(self) -> None:
        """Hear and send; never blocks, never raises."""
        now = time.monotonic()
        for one in tuple(self._all):
            try:
                if not one.over:
                    self._receive(one)
                self._send(one, now)
            except OSError:  # gone
                one.over = True
                one.left.clear()
            if (one.over and not one.left) or (one.left and now - one.active_at > STUCK_S):
                one.socket.close()
                self._all.remove(one)

    def close(self) -> None:
        """Hang up."""
        for one in self._all:
            one.socket.close()
        self._all.clear()

    def _receive(self, one: _Listener) -> None:
        heard = b""
        if not one.more:
            try:
                heard = one.socket.recv(MAX_COMMAND_BYTES)
            except BlockingIOError:
                return
            if not heard:
                raise ConnectionError
        self._hear(one, heard)

    def _hear(self, one: _Listener, heard: bytes) -> None:
        one.more = False
        try:
            if heard:
                one.protocol.receive_data(heard)
            for count, event in enumerate(one.protocol.events(), 1):
                self._happen(one, event)
                if one.over:
                    return
                if count == COMMANDS_PER_SERVICE:
                    one.more = True  # the rest next time
                    return
        except (RemoteProtocolError, UnicodeDecodeError) as error:  # headers beyond ASCII
            self.refused += 1
            one.over = True
            if hint := getattr(error, "event_hint", None):
                one.left += one.protocol.send(hint)

    def _happen(self, one: _Listener, event: Event) -> None:
        if isinstance(event, Request):
            if _is_ours(event):
                one.left += one.protocol.send(AcceptConnection())
            else:
                one.left += one.protocol.send(RejectConnection(status_code=403))
                one.over = True
        elif isinstance(event, Ping):
            if len(one.left) < MAX_PENDING_BYTES:
                one.left += one.protocol.send(event.response())
            else:  # who asks on and on and does not read the answers
                one.left.clear()
                one.over = True
        elif isinstance(event, CloseConnection):
            one.left += one.protocol.send(event.response())
            one.over = True
        elif isinstance(event, TextMessage):
            one.said += event.data
            if len(one.said) > MAX_COMMAND_BYTES:
                one.left += one.protocol.send(CloseConnection(TOO_BIG))
                one.over = True
            elif event.message_finished:
                said, one.said = one.said, ""
                self._obey(one, said)
        elif isinstance(event, BytesMessage):
            self.refused += 1  # OSC comes in over UDP

    def _obey(self, one: _Listener, said: str) -> None:
        try:
            command = decode_json(said.encode(), MAX_COMMAND_BYTES)
        except ProtocolError:
            self.refused += 1
            return
        verb, address = command.get("COMMAND"), command.get("DATA")
        # What is no text cannot be looked up either: lists have no hash.
        if (
            verb not in ("LISTEN", "IGNORE")
            or not isinstance(address, str)
            or address not in self._offered
        ):
            self.refused += 1
            return
        before = len(one.wanted)
        (one.wanted.add if verb == "LISTEN" else one.wanted.discard)(address)
        if len(one.wanted) != before:
            send = self._sender(one)
            one.outlet = Outlet(self._board, one.wanted, send, self._rate_hz)

    def _sender(self, one: _Listener) -> Callable[..., None]:
        def send(packet: bytes, *but: Any) -> None:
            if len(one.left) + len(packet) > MAX_PENDING_BYTES:
                self.dropped += 1
            elif not one.over:
                one.left += one.protocol.send(BytesMessage(bytes(packet)))
                self.sent += 1

        return send

    @staticmethod
    def _send(one: _Listener, now: float) -> None:
        if not one.left:
            one.active_at = now
            return
        try:
            sent = one.socket.send(one.left)
        except BlockingIOError:
            return
        if sent:
            del one.left[:sent]
            one.active_at = now


def _is_ours(request: Request) -> bool:
    """Programs name no origin; a page of somebody else's, in a browser here, does."""
    origins: Sequence[str] = [
        value.decode("latin-1") for name, value in request.extra_headers if name == b"origin"
    ]
    try:
        return all(urllib.parse.urlsplit(origin).hostname in LOCAL for origin in origins)
    except ValueError:  # "http://[" is no address
        return False
