"""The publish process: outbox → sinks. Every socket is born, used and closed here.

One thread, which waits only for the next hop. Whatever clients do, or fail to do, costs them, never
the audio: they are served between hops, a bounded number of them at a time.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from .. import __version__
from ..codec import check_opus
from ..config import Config, split_endpoint
from ..desk import Desk, Operations, session_text
from ..errors import EXIT_DEVICE, EXIT_OK, ConfigError, DeviceError, StemdError
from ..hatch import Hatch
from ..outbox import Outbox
from ..shared import text
from ..sinks.control import ControlServer
from ..sinks.datagrams import DatagramSink
from ..sinks.hatch import HatchServer
from ..sinks.midi import MidiSink
from ..sinks.osc import OscSink, Vitals
from ..sinks.zeromq import ZeroMQSink
from ..spec import FEATURES, OPUS_RATE, SOURCES, STEMS, StreamSpec
from ..status import State, Status, step_bucket
from ..wire.plugin import local_file
from .keyring import Keyring, forget_local, leave_local
from .links import Links, Role, wait
from .rendezvous import StreamNotice
from .scene import settings_of

if TYPE_CHECKING:
    from ..sinks.mapping import MappingSink

WAIT_S = 0.01  # clients are served this often
HOPS_PER_ROUND = 64  # then clients have a turn, also behind a file that is read at full speed
RETRY_S = 1.0  # a port that was taken is tried again this often


class Sink(Protocol):
    """Anything hops go to."""

    def write(self, hop: Any) -> None: ...
    def service(self) -> None: ...
    def close(self) -> None: ...


def run(links: Links) -> None:
    """Publish until told to stop."""
    status = Status.attach(links.status)
    outbox = Outbox.attach(links.outbox)
    role = Role("publish", status)
    publisher = Publish(links.config, links.spec, status, links.hatch[0] if links.hatch else None)
    reader = outbox.reader("publish")
    wake = links.wake["publish"]
    publisher.open()
    role.reason(publisher.reason)
    if publisher.missing and role.is_first_start:
        publisher.close()
        sys.exit(EXIT_DEVICE)
    role.ready()
    while not role.stopping:
        wait(wake, WAIT_S)
        for _ in range(HOPS_PER_ROUND):
            if not reader.read():
                break
            publisher.write(reader.hop)
        else:
            wake.release()  # more is waiting
        if publisher.service():
            publisher.count(role.section)
            role.reason(publisher.reason)
            role.beat()
    publisher.close()
    sys.exit(EXIT_OK)


class Publish:
    """All sinks of this process, opened again and again until they are there."""

    def __init__(
        self,
        config: Config,
        spec: StreamSpec,
        status: Status,
        hatch: socket.socket | None = None,
    ) -> None:
        self._config = config
        self._spec = spec
        self._status = status
        self._context = zmq.Context()
        self._feeds = tuple(feed.name for feed in config.feed)
        presets = {n: settings_of(p, len(self._feeds)) for n, p in config.preset.items()}
        self._desk = Desk(status, self._feeds, presets)
        self._operations = Operations(
            status, self._desk, self.describe, subscribers=self.subscribers
        )
        answer = self._operations.answer
        self._hatch = HatchServer(Hatch(hatch), answer) if hatch else None
        self._zeromq: ZeroMQSink | None = None
        self._control: ControlServer | None = None
        self._osc: OscSink | None = None
        self._midi: MidiSink | None = None
        self._mapping: MappingSink | None = None
        self._datagrams: DatagramSink | None = None
        self._keyring: Keyring | None = None
        self._opus_kbps = 0
        self._no_opus = ""  # why, though it is configured
        self._left = False  # a way in for this user's programs
        self._notice: StreamNotice | None = None
        self._unfound = ""  # why receivers do not find us by themselves
        self._closed: dict[str, str] = {}  # what could not be opened, and why
        self._retry_at = 0.0
        self._serve_at = 0.0
        self._state = State.STOPPED
        self._hops = 0
        self._held = False

    @property
    def reason(self) -> str:
        """What is missing, and why; empty when all is well."""
        lines = [
            *self._closed.values(),
            *filter(None, [self._unfound, self._no_opus]),
            *(self._osc.unresolved if self._osc else ()),
        ]
        sinks = (self._midi, self._mapping, self._datagrams)
        lines += [sink.reason for sink in sinks if sink and sink.reason]
        return "; ".join(lines)

    @property
    def missing(self) -> bool:
        """Something could not be opened."""
        return bool(self._closed)

    def open(self) -> None:
        """Open what is configured and not open. What cannot be opened is tried again later."""
        if self._config.zeromq.enabled:
            if self._config.zeromq_guarded and self._keyring is None:
                self._keyring = self._attempt("keys", self._open_keyring)
            if self._keyring is not None or not self._config.zeromq_guarded:
                if self._zeromq is None:
                    self._zeromq = self._attempt("zeromq", self._open_zeromq)
                if self._control is None:
                    self._control = self._attempt("control", self._open_control)
        if self._config.osc.enabled and self._osc is None:
            self._osc = self._attempt("osc", self._open_osc)
        if self._config.midi.enabled and self._midi is None:
            self._midi = self._open_midi()
        if self._config.mapping and self._mapping is None:
            self._mapping = self._open_mapping()
            if self._midi:
                self._midi.on_open = self._mapping.repeat_midi
        datagrams = self._config.datagrams
        if (datagrams.vban or datagrams.reastream) and self._datagrams is None:
            self._datagrams = DatagramSink(self._spec, self._feeds, datagrams)
        self._retry_at = time.monotonic() + RETRY_S

    def write(self, hop: Any) -> None:
        """One hop to every sink."""
        self._hops += 1
        delay_ns = time.monotonic_ns() - int(hop["t_arrival_ns"])
        section = self._status.publish
        section["delays"][step_bucket(delay_ns)] += 1
        section["delays_ns"] += delay_ns
        if self._zeromq:
            self._zeromq.write(hop)
        if self._datagrams:
            self._datagrams.write(hop)
        if self._holds(hop):
            return
        if self._osc:
            self._osc.write(hop)
        if self._midi:
            self._midi.write(hop)
        if self._mapping:
            self._mapping.write(hop)

    def service(self) -> bool:
        """Let OSC keep its rhythm; serve clients, where the answer is True, every `WAIT_S`."""
        if self._osc:
            self._osc.service()
        now = time.monotonic()
        if now < self._serve_at:
            return False
        self._serve_at = now + WAIT_S
        if self._closed and now >= self._retry_at:
            self.open()
        if self._mapping:
            self._mapping.service()
        if self._midi:
            self._midi.service()
        if self._keyring:
            self._keyring.service()
        state = self._status.state
        if self._zeromq:
            if state is not self._state:
                self._zeromq.announce()
            self._zeromq.service()
        self._state = state
        if self._control:
            self._control.service()
        if self._hatch:
            self._hatch.service()
        return True

    def count(self, section: Any) -> None:
        """Write our counters down."""
        section["hops"] = self._hops
        section["subscribers"] = self._zeromq.subscribers if self._zeromq else 0
        section["osc_clients"] = self._osc.clients if self._osc else 0
        if self._zeromq:
            section["sent"] = self._zeromq.sent
            section["bytes"] = self._zeromq.bytes
            section["evicted"] = self._zeromq.evicted
        senders = [sink for sink in (self._osc, self._mapping) if sink]
        section["osc_sent"] = sum(sink.sent for sink in senders)
        section["osc_errors"] = sum(sink.errors for sink in senders)
        if self._osc:
            section["osc_received"] = self._osc.received
        if self._datagrams:
            section["datagrams_sent"] = self._datagrams.sent
            section["datagrams_errors"] = self._datagrams.errors
        if self._midi:
            section["midi_sent"] = self._midi.sent
            section["midi_dropped"] = self._midi.errors
        if self._control:
            section["requests"] = self._control.requests
            section["refused"] = self._control.refused
        doors = [door for door in (self._zeromq, self._control) if door]
        section["turned_away"] = sum(door.turned_away for door in doors)
        section["strangers"] = sum(door.strangers for door in doors)
        if self._keyring:
            section["strangers"] += self._keyring.refused

    def close(self) -> None:
        """Close every socket; returns soon, whoever is at the other end."""
        # A mapping may end its notes through the MIDI port.
        sinks = (self._mapping, self._midi, self._osc, self._control, self._zeromq)
        for sink in (*sinks, self._datagrams):
            if sink:
                sink.close()
        if self._keyring:
            self._keyring.close()
        if self._left:
            forget_local(self._config.zeromq.control_port)
        if self._notice:
            self._notice.close()
        self._operations.close()
        self._context.term()

    def describe(self) -> dict[str, Any]:
        """The welcome descriptor."""
        separate, zeromq = self._status.separate, self._config.zeromq
        return {
            "proto": 1,
            "minor": 0,
            "version": __version__,
            "session": session_text(int(self._status.daemon["session"])),
            "samplerate": self._spec.samplerate,
            "hop_length": self._spec.hop_length,
            "n_fft": self._spec.n_fft,
            "profile": self._config.profile,
            "feeds": self._feeds,
            "stems": STEMS,
            "sources": SOURCES,
            "channels": 2,
            "dtype": "f32",
            "layout": "planar",
            "latency": self._spec.latency,
            "feature_latency": self._spec.feature_latency,
            "features": FEATURES,
            "model": text(separate["model"]),
            "provider": text(separate["provider"]),
            "config_rev": int(self._status.daemon["config_rev"]),
            "audio_port": self._zeromq.audio_port if self._zeromq else zeromq.audio_port,
            "features_port": self._zeromq.features_port if self._zeromq else zeromq.features_port,
            "control_port": self._control.port if self._control else zeromq.control_port,
            "curve": self._keyring.public if self._keyring else "",
            "opus_kbps": self._opus_kbps,
        }

    def subscribers(self) -> dict[str, Any]:
        """Who is sent to, and what they want."""
        zeromq, osc = self._zeromq, self._osc
        return {
            "zeromq": zeromq.subscriptions if zeromq else [],
            "connections": zeromq.subscribers if zeromq else 0,
            "osc_targets": [*self._config.osc.targets, *self._config.osc.text_targets]
            if osc
            else [],
            "osc": osc.subscriptions if osc else [],
        }

    def _holds(self, hop: Any) -> bool:
        """Whether somebody holds the picture: values stay, nothing happens, nothing hangs."""
        held = bool(self._status.mixer["hold"])
        if held and not self._held:
            if self._osc:
                self._osc.release(hop)
            for sink in (self._midi, self._mapping):
                if sink:
                    sink.release()
        self._held = held
        return held

    def _attempt(self, name: str, door: Callable[[], Any]) -> Any:
        try:
            sink = door()
        except (ConfigError, DeviceError) as error:
            self._closed[name] = str(error)
            return None
        self._closed.pop(name, None)
        return sink

    def _open_keyring(self) -> Keyring:
        return Keyring(self._config.security.folder, self._context)

    def _open_zeromq(self) -> ZeroMQSink:
        config = self._config.zeromq
        opus_kbps = self._check_opus(config.opus_kbps)
        sink = ZeroMQSink(
            self._context,
            config.bind,
            config.audio_port,
            config.features_port,
            self._spec,
            self._feeds,
            self.describe,
            self._operations.status,
            self._keyring,
            self._config.security.max_peers,
            opus_kbps,
        )
        self._opus_kbps = opus_kbps
        self._announce(sink)
        return sink

    def _check_opus(self, kbps: int) -> int:
        """What of `zeromq.opus_kbps` can be had at the rate the source turned out to have."""
        rate = self._spec.samplerate
        if kbps and rate != OPUS_RATE:
            self._no_opus = (
                f"zeromq.opus_kbps: got {kbps} with a stream at {rate} Hz, "
                f"expected one at {OPUS_RATE} Hz: no Opus is sent"
            )
            return 0
        return self._attempt("opus", lambda: check_opus(kbps)) or 0

    def _announce(self, sink: ZeroMQSink) -> None:
        """Receiver plugins on this machine find the stream by themselves; others are told."""
        bind = self._config.zeromq.bind
        host = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(bind, bind)
        host = f"[{host}]" if ":" in host else host
        facts = {
            "stream": f"tcp://{host}:{sink.audio_port}",
            "hop": self._spec.hop_length,
            "curve": self._keyring.public if self._keyring else "",
            "pair": local_file(self._config.zeromq.control_port).name if self._keyring else "",
        }
        try:
            self._notice = StreamNotice(self._config.inserts.session, facts)
            self._unfound = ""
        except (DeviceError, OSError) as error:
            self._unfound = str(error)

    def _open_control(self) -> ControlServer:
        config = self._config.zeromq
        server = ControlServer(
            self._context,
            config.bind,
            config.control_port,
            self._operations.answer,
            self._keyring,
            self._config.security.max_peers,
        )
        if self._keyring is None:
            forget_local(config.control_port)  # of a daemon before us that was killed
        else:
            # Without it, programs on this machine need a key as all others do.
            with contextlib.suppress(StemdError):
                leave_local(config.control_port, self._keyring)
                self._left = True
        return server

    def _open_osc(self) -> OscSink:
        config = self._config.osc
        listen = split_endpoint(config.listen) if config.listen else None
        return OscSink(
            self._spec,
            self._feeds,
            self._desk,
            self._vitals,
            [split_endpoint(target) for target in config.targets],
            listen,
            config.prefix,
            config.rate_hz,
            text_targets=[split_endpoint(target) for target in config.text_targets],
            groups=config.features,
            networks=config.allow if config.allow or not config.insecure else None,
            answer=self._operations.answer,
            query=(listen[0] if listen else "127.0.0.1", config.query_port)
            if config.query_port
            else None,
        )

    def _open_midi(self) -> MidiSink:
        config = self._config.midi
        feed = self._feeds.index(config.feed) if config.feed else 0
        sink = MidiSink(
            self._spec,
            self._feeds,
            config,
            self._config.runtime.stall_ms * 1e-3,
            lambda: bool(self._status.mixer["bypass"][feed]),
        )
        sink.service()
        return sink

    def _open_mapping(self) -> MappingSink:
        # It loads numba: a second of start that nobody without mappings waits for.
        from ..sinks.mapping import MappingSink

        return MappingSink(
            self._spec,
            self._feeds,
            self._config.mapping,
            [split_endpoint(target) for target in self._config.osc.targets],
            self._midi.send if self._midi else None,
            self._config.runtime.stall_ms * 1e-3,
        )

    def _vitals(self) -> Vitals:
        separate = self._status.separate
        return Vitals(
            state=int(self._status.state),
            load=float(separate["load"]),
            xruns=int(separate["discontinuities"]),
            lost=int(separate["lost_input"]),
            late=int(separate["late"]),
        )
