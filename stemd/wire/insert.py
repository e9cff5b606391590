"""A plugin instance in Python: send a track, get its stems back, sample by sample.

For programs that want what the DAW plugin gets: bounces, tests, measurements.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import zmq

from ..errors import ProtocolError
from ..spec import N_CHANNELS, N_STEMS
from .plugin import (
    FLAG_OFFLINE,
    MAX_FRAMES,
    Header,
    Hello,
    Type,
    decode_welcome,
    default_endpoint,
    discovery_file,
    encode_hello,
    pack_header,
    runtime_directory,
    unpack_message,
)

Float32Array = npt.NDArray[np.float32]

WELCOME_S = 0.5  # after which HELLO is said again
PING_S = 0.5
SEND_S = 2.0  # audio waits for somebody who takes it
QUEUED = 4096  # messages; credit ends earlier


class Stems(NamedTuple):
    """What came back of some frames."""

    position: int  # of the first, counted in frames sent
    audio: Float32Array  # (s, c, n)
    flags: int
    t_ns: int  # the clock of `InsertClient.send` at the newest input they answer


def find_endpoint(session: int = 0) -> str:
    """Where the daemon of a session listens, from its discovery file; else the usual place."""
    return _discovered(session, "plugin") or default_endpoint(session)


def find_key(session: int = 0) -> str:
    """The public key of a session's daemon; empty where it has none."""
    return _discovered(session, "curve")


def _discovered(session: int, name: str) -> str:
    try:
        return str(json.loads(discovery_file(session).read_text("utf-8"))[name])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _left_pair(session: int) -> tuple[bytes, bytes] | None:
    """The pair a session's daemon made for programs of its own user; None where it made none."""
    name = _discovered(session, "pair")
    if not name:
        return None
    try:
        _, secret = (runtime_directory() / Path(name).name).read_bytes().split()
        return zmq.curve_public(secret), secret
    except (OSError, ValueError, zmq.ZMQError):
        return None


class InsertClient:
    """One instance.

    Parameters
    ----------
    endpoint : str
        Empty: of the daemon of `session`.
    samplerate : int
        Hz.
    session : int
        Of the daemon, as in its `[inserts]`.
    block : int
        Most frames sent at once, in real time.
    latency : int or None
        Frames between input and stems the caller can live with; None: what the daemon advises.
    offline : bool
        Never late, and never faster than `credit` allows.
    name : str
        For people who look at the daemon.
    server_key : str
        The daemon's public key where it has one; empty: what its discovery file says.
    keys : (public, secret) or None
        Ours, Z85; the daemon must know the public one. None: those it left for this user's
        programs, or new ones.

    Attributes
    ----------
    welcome : dict of str
        The daemon's answer; empty before.
    position : int
        Of the next frame to be sent.
    received : int
        Frames of stems that came.
    error : str
        What the daemon complained of last.
    """

    def __init__(
        self,
        endpoint: str = "",
        samplerate: int = 48_000,
        *,
        session: int = 0,
        block: int = 512,
        latency: int | None = None,
        offline: bool = False,
        name: str = "python",
        server_key: str = "",
        keys: tuple[bytes, bytes] | None = None,
        context: zmq.Context[Any] | None = None,
    ) -> None:
        self.samplerate = samplerate
        self.hello = Hello(block, latency or 0, offline, name)
        self.instance = secrets.randbits(64)
        self.epoch = 1
        self.position = self.received = 0
        self.welcome: dict[str, str] = {}
        self.error = ""
        self._stems: deque[Stems] = deque()
        self._spoke_ns = self._answered_ns = 0
        self._socket = (context or zmq.Context.instance()).socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.SNDHWM, QUEUED)
        self._socket.setsockopt(zmq.RCVHWM, QUEUED)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.SNDTIMEO, round(1e3 * SEND_S))
        if not endpoint:
            endpoint, known = find_endpoint(session), find_key(session)
            server_key, keys = server_key or known, keys or _left_pair(session)
        if server_key:
            public, secret = keys or zmq.curve_keypair()
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, server_key.encode())
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        if "[" in endpoint:
            self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.connect(endpoint)

    def __enter__(self) -> InsertClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def greet(self, timeout_s: float = 10.0) -> dict[str, str]:
        """Say HELLO until the daemon answers.

        Returns
        -------
        welcome : dict of str

        Raises
        ------
        ProtocolError
            When it refuses, or does not answer in time.
        """
        self.welcome = {}
        until_s = time.monotonic() + timeout_s
        while not self.welcome:
            self.say(Type.HELLO, encode_hello(self.hello))
            asked_ns = self._spoke_ns
            again_s = min(time.monotonic() + WELCOME_S, until_s)
            while not self.welcome and (left_s := again_s - time.monotonic()) > 0.0:
                self.error = ""
                self._listen(left_s)
                # complaints of what was said before are no answer
                if self.error and self._answered_ns == asked_ns:
                    raise ProtocolError(self.error)
            if not self.welcome and time.monotonic() >= until_s:
                raise ProtocolError(f"inserts: got no answer in {timeout_s:g} s, expected WELCOME")
        if not self.hello.latency:
            self.hello = self.hello._replace(latency=int(self.welcome["minimum"]))
        return self.welcome

    def restart(self, timeout_s: float = 10.0) -> dict[str, str]:
        """Begin again at position 0, as a host does that activates a plugin."""
        self.epoch += 1
        self.position = self.received = 0
        self._stems.clear()
        return self.greet(timeout_s)

    def send(self, frames: Float32Array, flags: int = 0) -> None:
        """Send the next frames, (n, c); of any length."""
        for first in range(0, len(frames), MAX_FRAMES):
            piece = np.ascontiguousarray(frames[first : first + MAX_FRAMES], "<f4")
            self.say(Type.AUDIO, piece.tobytes(), self.position, len(piece), flags)
            self.position += len(piece)

    def say(
        self, type_: Type, payload: bytes = b"", position: int = 0, frames: int = 0, flags: int = 0
    ) -> None:
        """Send one message.

        Raises
        ------
        ProtocolError
            When AUDIO cannot leave for two seconds.
        """
        self._spoke_ns = time.monotonic_ns()
        header = pack_header(
            type_,
            instance=self.instance,
            epoch=self.epoch,
            rate=self.samplerate,
            position=position,
            frames=frames,
            flags=flags | (FLAG_OFFLINE if self.hello.offline else 0),
            t_ns=self._spoke_ns,
        )
        waits = type_ is Type.AUDIO
        try:
            self._socket.send_multipart([header, payload], 0 if waits else zmq.NOBLOCK)
        except zmq.Again as error:
            if waits:  # the others are said again, or need not be heard
                raise ProtocolError("audio: got nobody who takes it, expected a daemon") from error

    def receive(self, timeout_s: float = 0.0) -> Stems | None:
        """The next stems, or None when none came in time."""
        until_s = time.monotonic() + timeout_s
        while not self._stems:
            left_s = until_s - time.monotonic()
            if not self._listen(max(left_s, 0.0)) and left_s <= 0.0:
                return None
        return self._stems.popleft()

    def separate(self, audio: Float32Array, timeout_s: float = 60.0) -> Float32Array:
        """Stems of a whole track, as fast as the daemon makes them.

        Parameters
        ----------
        audio : (n, c) float32
        timeout_s : float
            Without stems for this long it is given up.

        Returns
        -------
        stems : (s, c, n) float32
            Aligned with `audio`, to which they sum.

        Raises
        ------
        ProtocolError
            When the daemon refuses or falls silent.
        """
        assert self.hello.offline
        if not self.welcome:
            self.greet(timeout_s)
        elif self.position:
            self.restart(timeout_s)
        n = len(audio)
        out = np.zeros((N_STEMS, N_CHANNELS, n), np.float32)
        tail = np.zeros((int(self.welcome["algorithmic"]), N_CHANNELS), np.float32)
        padded = np.concatenate([audio, tail])
        credit = int(self.welcome["credit"])
        done = 0
        while done < n:
            sent = self.position
            room = min(credit - (sent - done), MAX_FRAMES, len(padded) - sent)
            if room > 0:
                self.send(padded[sent : sent + room])
            more = room > 0 and sent - done + MAX_FRAMES < credit
            stems = self.receive(0.0 if more else timeout_s)
            if self.error:
                raise ProtocolError(self.error)
            if stems is None:
                if more:
                    continue
                raise ProtocolError(f"stems: got none in {timeout_s:g} s, expected {n - done} more")
            at = stems.position
            if at != done:
                raise ProtocolError(f"stems: got position {at}, expected {done}")
            take = min(stems.audio.shape[2], n - at)
            out[:, :, at : at + take] = stems.audio[:, :, :take]
            done = at + stems.audio.shape[2]
        return out

    def ping(self) -> None:
        """Say that we are still here, when nothing else was said for a while."""
        if self.welcome and time.monotonic_ns() - self._spoke_ns >= PING_S * 1e9:
            self.say(Type.PING)

    def close(self, goodbye: bool = True) -> None:
        """Leave; without `goodbye` as a host does that crashed."""
        if goodbye:
            self.say(Type.BYE)
        self._socket.close()

    def _listen(self, timeout_s: float) -> bool:
        """Take one message; False when none came."""
        if not self._socket.poll(timeout_s * 1e3):
            self.ping()
            return False
        parts = self._socket.recv_multipart()
        if len(parts) == 2:
            header = unpack_message(parts[0], parts[1])
            if (header.instance, header.epoch) == (self.instance, self.epoch):
                self._take(header, parts[1])
        return True

    def _take(self, header: Header, payload: bytes) -> None:
        if header.type is Type.WELCOME:
            self.welcome = decode_welcome(payload)
        elif header.type is Type.ERROR:
            self.error = payload.decode("utf-8", "replace")
            self._answered_ns = header.t_ns
        elif header.type is Type.STEMS:
            audio = np.frombuffer(payload, "<f4").reshape(header.frames, N_STEMS, N_CHANNELS)
            stems = np.ascontiguousarray(audio.transpose(1, 2, 0))
            self.received += header.frames
            self._stems.append(Stems(header.position, stems, header.flags, header.t_ns))
