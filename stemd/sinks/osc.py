"""OSC both ways for one daemon: features out to targets and subscribers, control in.

Numbers only go out, one `f` or `i` per address, so that a TouchDesigner CHOP can read them all;
text goes to text targets, and to a peer that asked or did something wrong. Nothing here waits:
an address is resolved when the daemon starts, a packet that the system does not take is counted
and forgotten.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import __version__
from ..errors import DeviceError, ProtocolError
from ..spec import FEATURES, LIGHT_GROUPS, StreamSpec
from ..wire import addresses, directory, osc
from .http_server import HttpServer
from .osc_clients import OscClients
from .osc_events import EventLog, OscEvents
from .osc_inlet import Arguments, Gate, OscInlet, Peer
from .osc_levels import Board, Element, Outlet
from .osc_listen import OscListeners
from .osc_mixer import Mixer, OscMixer
from .osc_orders import Answerer, OscOrders
from .osc_sender import OscSender
from .oscquery import OscQuery

BEAT_S = 1.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What OSC says about the stream once a second."""

    state: int
    load: float
    xruns: int
    lost: int
    late: int


class OscSink:
    """OSC both ways for one daemon.

    Parameters
    ----------
    spec : StreamSpec
    feeds : sequence of str
    mixer : Mixer
    vitals : callable
        Returns what `/stemd/state` and its neighbours say.
    targets : sequence of (host, port)
    listen : (host, port) or None
        Port 0: the system chooses; see `port`.
    prefix : str
        First part of every address.
    rate_hz : float
        How often continuous values may be sent.
    text_targets : sequence of (host, port)
        Where events go in words.
    groups : sequence of str
        What of `spec.GROUPS` goes to `targets`.
    networks : sequence of str or None
        Who may speak besides this machine; None: everybody.
    answer : callable or None
        Passes reload and its like on to the daemon.
    query : (host, port) or None
        Where browsers ask what there is; port 0: the system chooses, see `query_port`.
    clock : callable
        Seconds.

    Raises
    ------
    DeviceError
        When the port to listen on is taken.

    Process:  publish only, one thread.
    """

    def __init__(
        self,
        spec: StreamSpec,
        feeds: Sequence[str],
        mixer: Mixer,
        vitals: Callable[[], Vitals],
        targets: Sequence[tuple[str, int]],
        listen: tuple[str, int] | None,
        prefix: str = "/stemd",
        rate_hz: float = 60.0,
        *,
        text_targets: Sequence[tuple[str, int]] = (),
        groups: Sequence[str] = LIGHT_GROUPS,
        networks: Sequence[str] | None = (),
        answer: Answerer | None = None,
        query: tuple[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._vitals = vitals
        self._spec = spec
        gate = Gate(networks)
        self._inlet = (
            None if listen is None else OscInlet(listen, prefix, gate, self._handle, self._heard)
        )
        self._board = Board(spec, feeds, prefix)
        said = directory.outgoing(prefix, feeds)
        knobs = directory.settings(prefix, feeds)
        self._sender = OscSender(targets)
        self._targets = Outlet(
            self._board,
            [a for a, node in said.items() if not node.group or node.group in groups] + [*knobs],
            self._sender.send,
            rate_hz,
        )
        self._clients = OscClients(
            self._board, [*said, *knobs], prefix, rate_hz, self._reply, clock
        )
        texts = OscSender(text_targets, "osc.text_targets")
        self._log = EventLog(spec, feeds, prefix, texts, __version__) if text_targets else None
        self._events = OscEvents(spec, feeds, prefix, self._say, self._log)
        self._ticker = _VitalsTicker(prefix, vitals, self._say, clock)
        self._mixer = OscMixer(prefix, feeds, mixer, self._reply, self._tell)
        self._orders = OscOrders(prefix, feeds, mixer, self._status, answer, self._reply)
        self._verbs = {
            **self._orders.verbs,
            f"{prefix}/{addresses.SUBSCRIBE}": self._clients.subscribe,
            f"{prefix}/{addresses.RENEW}": self._clients.renew,
            f"{prefix}/{addresses.UNSUBSCRIBE}": self._clients.unsubscribe,
        }
        self._last: dict[str, float] = {}
        self._query: HttpServer | None = None
        self._listeners: OscListeners | None = None
        if query:
            nodes = {**said, **knobs, **directory.verbs(prefix, feeds, [*mixer.presets])}
            host = {"NAME": f"stemd {prefix}", "OSC_PORT": self.port, "OSC_TRANSPORT": "UDP"}
            browser = OscQuery(nodes if self._inlet else said, self._reading, host)
            self._listeners = OscListeners(self._board, [*said, *knobs], rate_hz)
            try:
                self._query = HttpServer(
                    *query, browser.answer, gate.allows, upgrade=self._listeners.take
                )
            except DeviceError:
                self.close()
                raise
        self._places = {address: k for k, address in enumerate(self._board.addresses)}
        self.unresolved = (*self._sender.unresolved, *texts.unresolved)

    @property
    def port(self) -> int:
        """Where we listen; 0 when we do not."""
        return self._inlet.port if self._inlet else 0

    @property
    def query_port(self) -> int:
        """Where browsers ask; 0 when they cannot."""
        return self._query.port if self._query else 0

    @property
    def sent(self) -> int:
        """Datagrams out."""
        return self._sender.sent + (self._inlet.sent if self._inlet else 0)

    @property
    def errors(self) -> int:
        """Datagrams the system did not take, and datagrams in that were not understood."""
        return self._sender.errors + (self._inlet.errors if self._inlet else 0)

    @property
    def received(self) -> int:
        """Datagrams in."""
        return self._inlet.received if self._inlet else 0

    @property
    def clients(self) -> int:
        """Subscriptions that live."""
        return len(self._clients)

    @property
    def subscriptions(self) -> list[dict[str, Any]]:
        """Who asked for what, and how long they will get it without a word, s."""
        return self._clients.described

    def write(self, hop: Any) -> None:
        """Send events at once, keep the rest for the next tick."""
        rows = hop["features"].reshape(-1, len(FEATURES))
        # NaN and infinity never leave. (np.nan_to_num takes 60 µs.)
        numbers = np.isfinite(rows)
        if not numbers.all():
            rows = np.where(numbers, rows, np.float32(0.0))
        arrival_ns = int(hop["t_arrival_ns"])
        since_ms = (time.monotonic_ns() - arrival_ns) * 1e-6 if arrival_ns else 0.0
        self._ticker.write(int(hop["latency"]) * 1e3 / self._spec.samplerate + since_ms)
        self._board.write(rows)
        self._targets.hear()
        for outlet in self._others():
            outlet.hear()
        self._events.write(hop, rows, since_ms)

    def release(self, hop: Any) -> None:
        """End every note that sounds: what follows `hop` is held back."""
        self._events.release(hop)

    def service(self) -> None:
        """Hear what came in, send what is due."""
        self._clients.service()
        if self._inlet:
            self._inlet.service()
        self._orders.service()
        self._mixer.service()
        if self._query:
            self._query.service()
        if self._listeners:
            self._listeners.service()
        now = self._clock()
        self._ticker.service(now)
        if self._board.live:
            self._targets.tick(now)
            for outlet in self._others():
                outlet.tick(now)
            self._events.tick(now)

    def close(self) -> None:
        """Say that we are gone, close the sockets."""
        self._ticker.goodbye()
        if self._log:
            self._log.close()
        for one in (self._inlet, self._query, self._listeners, self._sender):
            if one:
                one.close()

    def _handle(self, address: str, arguments: Arguments, peer: Peer) -> None:
        if address in self._verbs:
            self._verbs[address](arguments, peer)
        elif self._mixer.takes(address):
            self._mixer.take(address, arguments, peer)
        else:
            raise ProtocolError(f"{address}: got an unknown address, expected one of PROTOCOL.md")

    def _heard(self, peer: Peer) -> None:
        self._clients.heard(peer)

    def _reply(self, packet: bytes, peer: Peer) -> None:
        if self._inlet:
            self._inlet.send(packet, peer)

    def _say(self, elements: Sequence[Element]) -> None:
        self._targets.say(elements)
        for outlet in self._others():
            outlet.say(elements)
        if self._query:
            self._last.update((address, value) for address, _, value in elements)

    def _reading(self, address: str) -> float | None:
        """What an address says now, for browsers."""
        if address in self._places:
            return float(self._board.values()[self._places[address]])
        if self._mixer.knows(address):
            return self._mixer.reading(address)
        return self._last.get(address)

    def _tell(self, elements: Sequence[Element], but: Peer) -> None:
        self._targets.say(elements, but)
        listeners = self._listeners.outlets if self._listeners else []
        for outlet in (*self._clients.others(but), *listeners):
            outlet.say(elements)

    def _others(self) -> list[Outlet]:
        """Subscribers and listeners."""
        listeners = self._listeners.outlets if self._listeners else []
        return self._clients.outlets + listeners

    def _status(self) -> tuple[float, ...]:
        """What `/stemd/status` is answered."""
        vitals = self._vitals()
        return (vitals.state, finite(vitals.load), vitals.xruns, vitals.lost, vitals.late)


class _VitalsTicker:
    """State, heartbeat and counters of the stream."""

    def __init__(
        self,
        prefix: str,
        vitals: Callable[[], Vitals],
        say: Callable[[Sequence[Element]], None],
        clock: Callable[[], float],
    ) -> None:
        self._vitals = vitals
        self._say = say

        def at(name: str, tag: str) -> tuple[str, bytes]:
            address = f"{prefix}/{name}"
            return address, osc.head(address, tag)

        self._state = at(addresses.STATE, "i")
        self._alive = at(addresses.ALIVE, "i")
        self._latency = at(addresses.LATENCY_MS, "f")
        self._load = at(addresses.LOAD, "f")
        self._counters = [at(n, "i") for n in (addresses.XRUNS, addresses.LOST, addresses.LATE)]
        self._started = clock()
        self._due = 0.0
        self._last: tuple[int, ...] = ()
        self._latency_ms = 0.0

    def write(self, latency_ms: float) -> None:
        """How old this hop was when it came."""
        # Smoothed over about a quarter second: it is a property of the stream, not of one hop.
        weight = 0.02 if self._latency_ms else 1.0
        self._latency_ms += (latency_ms - self._latency_ms) * weight

    def service(self, now: float) -> None:
        vitals = self._vitals()
        facts = (vitals.state, vitals.xruns, vitals.lost, vitals.late)
        if now < self._due and facts == self._last:
            return
        if now >= self._due:
            self._due = now + BEAT_S
        self._last = facts
        self._say(
            [
                (*self._state, vitals.state),
                (*self._alive, int(now - self._started)),
                (*self._latency, self._latency_ms),
                (*self._load, finite(vitals.load)),
                *(
                    (*head, osc.clip_int(count))
                    for head, count in zip(self._counters, facts[1:], strict=True)
                ),
            ]
        )

    def goodbye(self) -> None:
        self._say([(*self._state, 0)])


def finite(value: float) -> float:
    """NaN and infinity never leave."""
    return value if math.isfinite(value) else 0.0
