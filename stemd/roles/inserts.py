"""The inserts process: plugin instances in DAWs send a track each and get its stems back.

Here, unlike in `separate`, the socket *is* the input: a second process between it and the model
would add a way and protect nothing. What this process does when it is late costs the plugins; the
stage's feeds have a process and a model session of their own, which go before this one.

Hops of all instances that wait for one go through the model in one call. Instances in real time
come first; those that render offline get what is left, a hop between two looks at the socket.

All memory for kernels and the model is taken, compiled and planned before the socket is opened, for
every rate: a window of another length needs no code of its own. What one instance needs, half a
millisecond's worth, is taken at its first HELLO and kept for the next.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from .. import realtime
from ..config import InsertsConfig
from ..errors import EXIT_OK, DeviceError, ProtocolError, StemdError
from ..kernels.denormals import flush_denormals
from ..processors.catalogue import find_model
from ..processors.masknet import SlotNet
from ..processors.slots import GROWTH, Slots
from ..sinks.peers import sender
from ..sinks.sockets import hardened, has_input
from ..spec import STEMS, StreamSpec
from ..status import Status, step_bucket
from ..wire.plugin import (
    AUDIO_CHANNELS,
    FLAG_OFFLINE,
    MAX_MESSAGE_BYTES,
    Header,
    Type,
    decode_hello,
    encode_fields,
    local_file,
    pack_header,
    unpack_message,
)
from .insert import Insert, Pushed, minimum_latency
from .keyring import Keyring
from .links import Links, Role
from .rendezvous import Rendezvous

MESSAGES_PER_ROUND = 64  # so that a flood leaves time for audio
MAX_PARTS = 3  # of a message: route, header, payload
QUEUED = 512  # messages each way and instance: more than any credit, less than a minute
WAIT_MS = 20  # without work; the daemon's order to stop is seen as soon
BLOCKED_MS = 2  # when an offline instance does not take its stems
TIDY_S = 0.05
LINGER_MS = 200  # the last words of a daemon that ends
HELLOS_PER_S = 50.0  # of all instances; a session of a hundred loads in two seconds
ERRORS_PER_S = 50.0
USUAL_HZ = 48_000
MAX_LATENCY_S = 4.0
LOAD_SMOOTHING_S = 1.0
NICENESS = 5  # beside a stage's feed, where real-time scheduling is refused
WARM_HOPS = 8
RETRY_S = 0.5  # an address that was taken


class Inserts:
    """The socket and everybody at it.

    Parameters
    ----------
    config : InsertsConfig
    profile : str
    slots : Slots
    model : str
        Its name, for those who ask.
    section : status section, written to
    guarded : bool
        Only those come in whom the list of clients has as `send`.
    keys : Path or None
        Folder of that list; None: the usual one.
    pair : str
        Name of the file with keys for this user's programs, as the control port leaves it.

    Raises
    ------
    ConfigError
        When the keys cannot be used.

    Process:  the inserts role only, one thread.
    """

    def __init__(
        self,
        config: InsertsConfig,
        profile: str,
        slots: Slots,
        model: str,
        section: Any,
        *,
        guarded: bool = False,
        keys: Path | None = None,
        pair: str = "",
    ) -> None:
        self._config = config
        self._pair = pair
        self._profile, self._model = profile, model
        self._slots = slots
        self._section = section
        self._context = zmq.Context()
        self._socket: Any = None
        self._place: Rendezvous | None = None
        self._keys = Keyring(keys, self._context) if guarded else None
        self._inserts: dict[int, _Client] = {}
        self._hellos = _Bucket(HELLOS_PER_S)
        self._errors = _Bucket(ERRORS_PER_S)
        self._turn = 0  # whose turn it is among those that render
        self._blocked = False
        self._busy_ns = 0
        self._named = ""
        self._tidied_s = time.monotonic()
        self._fifo = _is_fifo()

    def open(self) -> None:
        """Listen.

        Raises
        ------
        DeviceError
            When the place is taken or not ours.
        """
        self._place = Rendezvous(self._config.session)
        endpoint = self._config.endpoint or self._place.endpoint
        socket = self._socket = hardened(self._context.socket(zmq.ROUTER))
        # An answer to somebody who is gone or does not read is an error to be counted, not a loss
        # nobody sees.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.SNDHWM, QUEUED)
        socket.setsockopt(zmq.RCVHWM, QUEUED)
        if endpoint.startswith("tcp://["):
            socket.setsockopt(zmq.IPV6, 1)
        if self._keys is not None:
            self._keys.guard(socket, "send")
        mask = os.umask(0o177)  # a local socket is for its owner alone
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise DeviceError(
                f"inserts.endpoint: got {endpoint} ({error.strerror}), expected a free address"
            ) from error
        finally:
            os.umask(mask)
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._place.announce(self._facts())
        Status.set_text(self._section, "endpoint", self.endpoint)

    @property
    def public_key(self) -> str:
        """What plugins must know, Z85; empty where none is needed."""
        return "" if self._keys is None else self._keys.public

    def wait(self) -> None:
        """Until somebody says something, or for a short while."""
        self._socket.poll(BLOCKED_MS if self._blocked else WAIT_MS)

    def receive(self) -> None:
        """Take what has come, a bounded number of messages; fair among the instances."""
        if self._keys is not None:
            self._keys.service()
        for _ in range(MESSAGES_PER_ROUND):
            if not has_input(self._socket):
                return
            parts = [self._socket.recv(zmq.NOBLOCK)]
            n_parts, revoked = 1, False
            while self._socket.getsockopt(zmq.RCVMORE):
                if n_parts == 1 and self._keys is not None:
                    frame = self._socket.recv(zmq.NOBLOCK, copy=False)
                    revoked = not self._keys.allows(sender(frame), ("send",))
                    part = frame.bytes
                else:
                    part = self._socket.recv(zmq.NOBLOCK)
                n_parts += 1
                if n_parts <= MAX_PARTS:
                    parts.append(part)
            if revoked:
                continue  # its instance is evicted when it has been silent for long enough
            if n_parts != MAX_PARTS:
                self._section["bad"] += 1
                continue
            try:
                header = unpack_message(parts[1], parts[2])
            except ProtocolError:
                self._section["bad"] += 1
                continue
            self._take(parts[0], header, parts[2])

    def step(self) -> bool:
        """One round of the model; False when there was nothing to do."""
        clients = list(self._inserts.values())
        live = [client for client in clients if not client.insert.offline]
        for client in live:
            if not client.insert.ready and len(client.insert.out):
                self._send(client)  # left from a render: sent now, or dropped and counted
        ready = [client for client in live if client.insert.ready]
        if ready:
            self._round(ready)
            return True
        rendering = [client for client in clients if client.insert.offline]
        self._blocked = False
        for client in rendering:
            if not client.insert.ready and len(client.insert.out) and not self._send(client):
                self._blocked = True
        ready = [client for client in rendering if client.insert.ready]
        if not ready:
            return False
        if live:
            # A hop of somebody in real time may come any moment: one at a time.
            self._turn += 1
            ready = [ready[self._turn % len(ready)]]
        with self._calm():
            self._round(ready)
        return True

    def tidy(self, now_s: float) -> None:
        """Let those go who said nothing for long, and write the counters down."""
        passed_s = now_s - self._tidied_s
        if passed_s < TIDY_S:
            return
        self._tidied_s = now_s
        for instance, client in list(self._inserts.items()):
            if now_s - client.heard_s > self._config.timeout_s:
                self._leave(instance)
                self._section["evicted"] += 1
        section = self._section
        busy, self._busy_ns = self._busy_ns * 1e-9 / passed_s, 0
        section["load"] += min(passed_s / LOAD_SMOOTHING_S, 1.0) * (busy - section["load"])
        section["strangers"] = 0 if self._keys is None else self._keys.refused
        section["instances"] = len(self._inserts)
        section["offline"] = sum(client.insert.offline for client in self._inserts.values())
        named = ", ".join(client.described for client in self._inserts.values())
        if named != self._named:
            self._named = named
            Status.set_text(section, "names", named)

    def close(self) -> None:
        """Tell everybody, and give the place back."""
        for client in self._inserts.values():
            self._say(client, Type.ERROR, b"stopped: the daemon ended")
        self._inserts.clear()
        self._section["instances"] = self._section["offline"] = 0
        for name in ("endpoint", "names"):
            Status.set_text(self._section, name, "")
        if self._socket is not None:
            self._socket.close(linger=LINGER_MS)
        if self._keys is not None:
            self._keys.close()
        if self._place is not None:
            self._place.close()
        self._socket = self._place = None

    # -- what comes in --------------------------------------------------------------------------

    def _take(self, route: bytes, header: Header, payload: bytes) -> None:
        now_s = time.monotonic()
        if header.type is Type.HELLO:
            self._greet(route, header, payload, now_s)
            return
        client = self._inserts.get(header.instance)
        if client is None or client.epoch != header.epoch:
            if header.type in (Type.AUDIO, Type.PING):
                self._section["unknown"] += 1
                self._refuse(route, header, "unknown instance: say HELLO first")
            return
        # A connection that broke and came back has another route.
        client.route = route
        client.heard_s = now_s
        if header.type is Type.AUDIO:
            self._push(client, header, payload)
        elif header.type is Type.PING:
            self._say(client, Type.PONG, b"", header.t_ns)
        elif header.type is Type.BYE:
            self._leave(header.instance)
        else:
            self._section["bad"] += 1

    def _greet(self, route: bytes, header: Header, payload: bytes, now_s: float) -> None:
        section = self._section
        section["hellos"] += 1
        if not self._hellos.take(now_s):
            section["refused"] += 1  # it will say so again
            return
        client = self._inserts.get(header.instance)
        if client is None or (client.epoch, client.rate) != (header.epoch, header.rate):
            if client is not None:
                self._leave(header.instance)
            try:
                client = self._admit(header, payload)
            except ProtocolError as error:
                section["refused"] += 1
                self._refuse(route, header, str(error))
                return
            self._inserts[header.instance] = client
        client.route = route
        client.heard_s = now_s
        self._say(client, Type.WELCOME, encode_fields(self._welcome(client.insert)), header.t_ns)

    def _admit(self, header: Header, payload: bytes) -> _Client:
        hello = decode_hello(payload)
        if header.rate not in GROWTH:
            rates = ", ".join(map(str, GROWTH))
            raise ProtocolError(f"rate: got {header.rate} Hz, expected one of {rates}")
        most = round(MAX_LATENCY_S * header.rate)
        if hello.latency > most:
            raise ProtocolError(f"latency: got {hello.latency}, expected {most} at most")
        slot = self._slots.admit(header.rate)
        if slot is None:
            limit = self._config.limit
            raise ProtocolError(f"inserts: got {limit + 1}, expected {limit} at most")
        return _Client(Insert(self._slots, slot, hello), header)

    def _push(self, client: _Client, header: Header, payload: bytes) -> None:
        section = self._section
        if header.rate != client.rate:
            section["bad"] += 1
            return
        insert = client.insert
        frames = np.frombuffer(payload, "<f4").reshape(header.frames, AUDIO_CHANNELS)
        filled, repaired = insert.zero_filled, insert.repaired
        offline = bool(header.flags & FLAG_OFFLINE)
        what = insert.push(header.position, frames, offline, header.t_ns)
        if what is Pushed.TAKEN:
            section["frames_in"] += header.frames
            section["gaps"] += insert.zero_filled > filled
            section["zero_filled"] += insert.zero_filled - filled
            section["repaired"] += insert.repaired - repaired
        elif what is Pushed.STALE:
            section["stale"] += 1
        else:
            section["overflows"] += 1

    def _leave(self, instance: int) -> None:
        client = self._inserts.pop(instance)
        self._slots.evict(client.insert.slot)

    # -- what goes out --------------------------------------------------------------------------

    def _round(self, clients: Sequence[_Client]) -> None:
        """One hop of each of these instances, through the model in one call, and out."""
        started_ns = time.monotonic_ns()
        late = [client.insert for client in clients if client.insert.late]
        timely = [client.insert for client in clients if not client.insert.late]
        for insert in (*timely, *late):
            insert.begin_hop()
        self._slots.process([i.slot for i in timely], [i.slot for i in late])
        section = self._section
        for client in clients:
            insert = client.insert
            insert.end_hop()
            section["dry"] += bool(insert.slot.core.dry[0])
            # In real time every hop is awaited; offline, few large messages cost less.
            if len(insert.out) and not (insert.offline and insert.ready):
                self._send(client)
        step_ns = time.monotonic_ns() - started_ns
        self._busy_ns += step_ns
        section["hops"] += len(clients)
        section["late"] += len(late)
        section["rounds"] += 1
        section["step_ns"] = step_ns
        section["steps"][step_bucket(step_ns)] += 1

    def _send(self, client: _Client) -> bool:
        """Send the stems that wait; False when an offline instance cannot take them yet."""
        insert = client.insert
        n = len(insert.out)
        header = pack_header(
            Type.STEMS,
            instance=client.instance,
            epoch=client.epoch,
            rate=client.rate,
            position=insert.out_position,
            frames=n,
            flags=insert.out_flags,
            t_ns=insert.out_t_ns,
        )
        try:
            self._socket.send_multipart([client.route, header, insert.out], zmq.NOBLOCK)
            self._section["frames_out"] += n
        except zmq.ZMQError:
            # full, or gone: it may come back with another route
            if insert.offline:
                return False
            self._section["dropped"] += n
        insert.sent()
        return True

    def _say(self, client: _Client, type_: Type, payload: bytes, t_ns: int = 0) -> None:
        header = pack_header(
            type_, instance=client.instance, epoch=client.epoch, rate=client.rate, t_ns=t_ns
        )
        with contextlib.suppress(zmq.ZMQError):  # it will ask again
            self._socket.send_multipart([client.route, header, payload], zmq.NOBLOCK)
        self._section["errors"] += type_ is Type.ERROR

    def _refuse(self, route: bytes, to: Header, sentence: str) -> None:
        if not self._errors.take(time.monotonic()):
            return
        header = pack_header(
            Type.ERROR, instance=to.instance, epoch=to.epoch, rate=to.rate, t_ns=to.t_ns
        )
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart([route, header, sentence.encode()], zmq.NOBLOCK)
        self._section["errors"] += 1

    def _welcome(self, insert: Insert) -> dict[str, Any]:
        spec = insert.slot.spec
        return {
            "hop": spec.hop_length,
            "algorithmic": spec.latency,
            "minimum": minimum_latency(spec, insert.hello.block),
            "model": self._model,
            "profile": self._profile,
            "stems": ",".join(STEMS),
            "credit": insert.credit,
            "session": self._config.session,
        }

    def _facts(self) -> dict[str, Any]:
        """What the discovery file says; lengths at 44.1 and 48 kHz, without the host's block."""
        spec = self._slots.spec
        return {
            # where it is reached from this machine
            "plugin": self.endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("[::]", "[::1]"),
            "pid": os.getpid(),
            "session": self._config.session,
            "hop": spec.hop_length,
            "minimum": minimum_latency(spec, 0),
            "rates": list(GROWTH),
            "profile": self._profile,
            "model": self._model,
            "curve": self.public_key,
            "pair": self._pair if self.public_key else "",
        }

    @contextlib.contextmanager
    def _calm(self) -> Iterator[None]:
        """Without real-time scheduling: a bounce would take a processor away from everybody."""
        if not self._fifo:
            yield
            return
        ours = os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        try:
            yield
        finally:
            os.sched_setscheduler(0, os.SCHED_FIFO, ours)


class _Client:
    """An instance and the way to it."""

    def __init__(self, insert: Insert, header: Header) -> None:
        self.insert = insert
        self.instance, self.epoch, self.rate = header.instance, header.epoch, header.rate
        self.route = b""
        self.heard_s = 0.0

    @property
    def described(self) -> str:
        """For people: its name, what is not usual about it."""
        insert = self.insert
        rate = "" if self.rate == USUAL_HZ else f" {self.rate / 1000:g} kHz"
        return f"{insert.hello.name or 'unnamed'}{rate}{' offline' if insert.offline else ''}"


class _Bucket:
    """So many a second, and a second's worth at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s = self._tokens = per_s
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed."""
        grown = self._tokens + (now_s - self._at_s) * self._per_s
        self._tokens, self._at_s = min(grown, self._per_s), now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def _is_fifo() -> bool:
    scheduler = getattr(os, "sched_getscheduler", None)
    return scheduler is not None and scheduler(0) == os.SCHED_FIFO


def _warm(slots: Slots) -> None:
    """One feed of each rate through everything: transforms of every length are planned."""
    for rate in GROWTH:
        slot = slots.admit(rate)
        assert slot is not None
        for _ in range(WARM_HOPS):
            slots.process([slot])
        slots.evict(slot)


def _open(inserts: Inserts, role: Role) -> None:
    """Listen; what is taken in the middle of a show is tried again."""
    while not role.stopping:
        try:
            inserts.open()
            return
        except DeviceError as error:
            inserts.close()
            if role.is_first_start:
                raise
            role.reason(str(error))
        role.beat()
        time.sleep(RETRY_S)


def run(links: Links) -> None:
    """Serve plugins until told to stop."""
    status = Status.attach(links.status)
    role = Role("inserts", status)
    config = links.config
    role.section["alone"] = config.source.kind == "none"
    refused = realtime.enter("inserts", config.runtime.realtime, config.runtime.lock_memory)
    role.note(refused)
    if config.source.kind != "none" and not _is_fifo() and hasattr(os, "nice"):
        os.nice(NICENESS)
    flush_denormals()
    try:
        spec = StreamSpec.of(config.profile, 48_000, config.inserts.limit)
        path = find_model(config.model.name, config.profile)
        net = SlotNet(path, spec, config.model.provider)
        slots = Slots(spec, net)
        _warm(slots)
        inserts = Inserts(
            config.inserts,
            config.profile,
            slots,
            net.name,
            role.section,
            guarded=config.inserts_guarded,
            keys=config.security.folder,
            pair=local_file(config.zeromq.control_port).name,
        )
        _open(inserts, role)
    except StemdError as error:
        role.reason(str(error))
        sys.exit(error.exit_code)
    role.reason("")
    if inserts.public_key:
        role.note([*refused, f"inserts: plugins need the key {inserts.public_key}"])
    role.section["limit"] = config.inserts.limit
    Status.set_text(role.section, "model", net.name)
    Status.set_text(role.section, "provider", net.provider)
    role.ready()
    while not role.stopping:
        inserts.receive()
        if not inserts.step():
            inserts.wait()
        inserts.tidy(time.monotonic())
        role.beat()
    inserts.close()
    role.section["ready"] = 0
    sys.exit(EXIT_OK)
