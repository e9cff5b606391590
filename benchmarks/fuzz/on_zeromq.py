"""Everything that comes over ZeroMQ, and the datagrams of senders.

Requests, the console's lines, senders, plugins; and what clients, receivers, plugins and senders
are told, for a daemon may not be one. Sockets and clocks are stands, all that reads is the real
thing, with the desk, the daemon's answers and the plugins' slots behind it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
import zmq

import stemd.client
import stemd.daemon
import stemd.machine
import stemd.send.link
import stemd.sources.network
import stemd.sources.senders
import stemd.wire.insert
from stemd.config import InsertsConfig, build_config, load_config
from stemd.daemon import Daemon
from stemd.desk import Desk, Operations
from stemd.errors import ProtocolError, StemdError
from stemd.hatch import Hatch
from stemd.processors.slots import Slots
from stemd.roles.inserts import HELLOS_PER_S, Inserts
from stemd.send.blocks import Run
from stemd.send.link import Link
from stemd.sinks.control import ControlServer
from stemd.sinks.hatch import HatchServer
from stemd.sources.network import HELLOS_PER_S as SENDERS_PER_S
from stemd.sources.network import NetworkSource
from stemd.spec import FEATURES, SOURCES, STEMS, StreamSpec
from stemd.status import Status
from stemd.wire import header, plugin, topics, uplink
from stemd.wire.control import OPS, SETTINGS, Setting
from stemd.wire.insert import InsertClient
from stemd.wire.messages import EVENT, decode_event, decode_features, encode_json
from stemd.wire.receiver import Assembler, Counters, Freshness
from stemd.wire.seal import TO_BOX, Opener, Sealer

from .stands import Clock, Swapped, Wire
from .taker import Taker, as_json, check_sentence, deep

FEEDS = ("main", "two")
SPEC = StreamSpec.of("live", 48_000, 2)
MAX_SAID = 24  # messages of one input
KEY = bytes(range(32))
MAX_FILLED_S = 2.0  # a client asks for holes up to a second to be filled
TRANSPORTS = ("udp", "tcp")
NAMES = ("one", "two", "three")
U64 = 1 << 64
FIELDS = (*SETTINGS, "gain_db", "feed", "stem", "drum", "name", "kind", "host_api", "id", "local")


class Target:
    """See `surfaces.Target`; the first byte says who speaks."""

    words = (
        b'{"op":"', b'"id":', b'"set"', b'"stem":"vocals"', b'"gain_db":', b'"name":"verse"',
        b'"device"', b"STMD", b"STUP", b"STIN", b"stemd/1/a/main/all/", b"stemd/1/f/main/mix/\0",
        b"stemd/1/w/\0", b"HELLO\n", b"WELCOME\n", b"REFUSED\nreason=", b"protocol=1\n",
        b"session=",
        b"role=insert\n", b"\nname=", b"rate=48000\n", b"encoding=f32\n", b"transport=tcp\n",
        b"minimum=", b"credit=", b"algorithmic=", b'"feeds":', b'"features":', b'"\\ud800"',
    )  # fmt: skip

    def __init__(self) -> None:
        logging.getLogger("stemd").setLevel(logging.CRITICAL)
        self._clock = Clock()
        self._swapped = Swapped()
        for module in (
            stemd.sources.network,
            stemd.sources.senders,
            stemd.wire.insert,
            stemd.send.link,
            stemd.daemon,
        ):
            self._swapped.put(module, "time", self._clock)
        self._swapped.put(stemd.client, "_Control", _FedControl)
        self._swapped.put(stemd.machine, "probe", lambda *_: [])
        self._context = zmq.Context()
        self._status = Status.create(len(FEEDS))
        self._make_desk()
        self._make_box()
        self._make_door()
        self._make_link()
        self._kinds = (
            self._request,
            self._request_built,
            self._console,
            self._received,
            self._senders,
            self._senders,
            self._plugins,
            self._plugins,
            self._welcomed,
            self._inserted,
            self._told,
        )

    def __call__(self, data: bytes) -> None:
        taker = Taker(data)
        self._kinds[taker.byte() % len(self._kinds)](taker)

    def seeds(self) -> Sequence[bytes]:
        """Good messages of each kind."""
        requests = [{"op": op, "id": 1} for op in OPS]
        requests += [
            {"op": "set", "stem": "vocals", "gain_db": -3, "id": "a"},
            {"op": "set", "stem": "mix", "onset_threshold": 2.0, "feed": "two"},
            {"op": "set", "drum": "kick", "drum_threshold": 1.5, "tempo_low_bpm": 90},
            {"op": "preset", "name": "verse"},
            {"op": "model", "name": "pi"},
            {"op": "device", "kind": "device", "name": "ALSA", "host_api": "x"},
            {"op": "tap", "feed": "two"},
        ]
        made = [bytes([kind]) + json.dumps(one).encode() for kind in (0, 2) for one in requests]
        for depth in range(900, 1000, 9):
            nested = deep(depth).encode()
            made += [b'\0{"op":"preset","name":' + nested + b"}", b'\2{"op":' + nested + b"}"]
            made.append(b'\0{"op":"get","id":' + nested + b"}")
        made += [bytes([1, n, *range(60)]) for n in range(0, 200, 40)]
        made += [bytes([3, k, *range(1, 120)]) for k in range(4)]
        made += [bytes([4, *_script(n)]) for n in range(8)] + [
            bytes([6, *_script(n)]) for n in range(8)
        ]
        welcome = {"feeds": ["main"], "samplerate": 48_000, "hop_length": 256, "latency": 512,
                   "features": [*FEATURES],
                   "audio_port": 1, "features_port": 2, "ok": True, "id": 1}  # fmt: skip
        made += [b"\x08\1" + json.dumps(welcome).encode(), bytes([8, 0, *range(80)])]
        words = {"hop": 256, "algorithmic": 512, "minimum": 700, "credit": 9000, "session": 0}
        made += [b"\x09\1" + plugin.encode_fields(words), bytes([9, 0, *range(80)])]
        ours = uplink.Welcome(9, b"", 5573, "main")
        made += [b"\x0a\1" + uplink.encode_welcome(ours), bytes([10, 0, *range(80)])]
        return made

    def close(self) -> None:
        """Give everything back."""
        self._hatch_in.close()
        self._hatch_out.close()
        self._control.close()
        self._source.close()
        self._inserts._socket = None
        self._inserts.close()
        self._inserts._context.term()
        self._client_context.term()
        self._link.welcome = None
        self._link.close()
        self._swapped.close()
        self._context.term()
        self._status.close()

    # -- requests -------------------------------------------------------------------------------

    def _make_desk(self) -> None:
        presets = {"verse": [Setting("mute", 0, 1, 1.0)]}
        desk = Desk(self._status, FEEDS, presets)
        operations = Operations(
            self._status, desk, lambda: {"feeds": FEEDS}, ("/nowhere/stemd-probe",)
        )
        self._daemon = Daemon(load_config())
        self._daemon.status = self._status
        self._daemon._apply = lambda *_: ""  # type: ignore[method-assign]
        self._control = ControlServer(
            self._context, "127.0.0.1", 0, lambda request, local: operations.answer(request, True)
        )
        self._control._send = self._check_reply  # type: ignore[method-assign]
        self._hatch_in, there = socket.socketpair()
        self._hatch_in.setblocking(False)
        self._hatch_out = Hatch(there)
        self._hatch = HatchServer(self._hatch_out, operations.answer)

    def _request(self, taker: Taker) -> None:
        self._ask(taker.rest())

    def _request_built(self, taker: Taker) -> None:
        for _ in range(4):
            request = {"op": taker.pick(OPS), "id": taker.whole() % 99}
            for _ in range(taker.byte() % 4):
                request[taker.pick(FIELDS)] = taker.value()
            if taker.chance(2):
                request["stem"] = taker.pick(SOURCES)
            with contextlib.suppress(ValueError):  # no integers of more than 4300 digits
                self._ask(json.dumps(request).encode())
            if not taker.left:
                return

    def _ask(self, data: bytes) -> None:
        self._control._buckets.clear()
        before = len(self._replies)
        self._control._take([zmq.Frame(b"peer"), zmq.Frame(data)])
        self._daemon._obey()
        self._control._later = [
            one for one in self._control._later if not self._control._finish(one)
        ]
        assert len(self._replies) > before, "a request without an answer"
        self._replies.clear()
        self._check_knobs()

    _replies: list[Any] = []  # noqa: RUF012

    def _check_reply(self, envelope: list[bytes], reply: dict[str, Any]) -> None:
        json.loads(encode_json(reply))
        if not reply["ok"]:
            check_sentence(reply["error"], 2000)
        self._replies.append(reply)

    def _check_knobs(self) -> None:
        for name, limits in SETTINGS.items():
            value = np.asarray(self._status.mixer[name])
            assert (value >= np.float32(limits.low)).all(), name
            assert (value <= np.float32(limits.high)).all(), name

    def _console(self, taker: Taker) -> None:
        """Lines of our own console, which pass on what browsers say."""
        self._hatch_in.send(b"\n" + taker.rest() + b"\n")
        self._hatch.service()
        self._daemon._obey()
        self._hatch.service()
        with contextlib.suppress(BlockingIOError):
            for line in self._hatch_in.recv(1 << 20).split(b"\n"):
                if line:
                    json.loads(line)
        self._check_knobs()

    # -- receivers ------------------------------------------------------------------------------

    def _received(self, taker: Taker) -> None:
        counters = Counters()
        stems = taker.pick((STEMS, ("bass",), ()))
        late = Freshness(taker.chance(2), math.inf)
        assembler = Assembler("main", stems, not stems or taker.chance(2), late, 1.0, counters)
        for _ in taker.turns(MAX_SAID):
            frames = self._frames(taker)
            assembler.take(frames)
            seconds = 0.0
            while block := assembler.pop():
                seconds += block.stems.shape[-1] / max(block.samplerate, 1)
                assert block.filled or block.stems.dtype == np.float32
            assert seconds <= MAX_FILLED_S
            for decode in (decode_event, lambda f: decode_features(b"".join(f))):
                with contextlib.suppress(ProtocolError):
                    decode(frames)

    def _frames(self, taker: Taker) -> list[bytes]:
        kind = taker.byte()
        if kind < 16:
            return [taker.piece() for _ in range(kind % 5)]
        name = taker.pick(("all", "mix", *STEMS))
        channels = 8 if name == "all" else 2
        n = taker.pick((256, 1, 0, 3))
        payload = np.zeros(channels * n, "<f4").tobytes()
        if kind > 200:
            topic, payload, channels = topics.events("main"), taker.bytes(EVENT.size), 0
        elif kind > 150:
            channels, n = taker.pick((len(FEATURES), 1, 300)), 1
            topic = topics.features("main", "mix") + b"\0"
            payload = taker.bytes(4 * channels).ljust(4 * channels, b"\0")
        else:
            topic = topics.audio(taker.pick(("main", "two", "é")), name)
        head = header.HEADER.pack(
            b"STMD" if taker.byte() < 250 else taker.bytes(4).ljust(4),
            1 + taker.chance(64),
            taker.byte() % 3,
            96 if taker.byte() < 240 else taker.number(2),
            taker.byte() % 3,
            taker.number(2),
            taker.pick((taker.byte() * 256, taker.number(8))),
            taker.number(8, signed=True),
            taker.number(8, signed=True),
            taker.real(),
            taker.pick((48_000, 0, taker.number(4))),
            n if taker.byte() < 240 else taker.number(4),
            channels if taker.byte() < 240 else taker.number(2),
            (1 if kind <= 200 else 0) if taker.byte() < 240 else taker.byte(),
            1 if taker.byte() < 240 else taker.byte(),
            taker.byte() % 8,
            taker.byte(),
            taker.number(2),
            taker.number(4),
            taker.number(4),
            taker.number(4),
            len(payload) if taker.byte() < 240 else taker.number(4),
            taker.number(4),
            taker.number(4),
        )
        return [topic, head, payload]

    # -- senders --------------------------------------------------------------------------------

    def _make_box(self) -> None:
        table = {
            "source": {"kind": "network"},
            "feed": [{"name": "main"}, {"name": "two", "sender": "two", "channels": [1]}],
        }
        self._source: Any = NetworkSource(build_config(table), self._status.network)
        self._source._router = self._source._udp = self._box = Wire()

    def _senders(self, taker: Taker) -> None:
        source, ear = self._source, _Ear()
        source._tokens = SENDERS_PER_S
        known: list[tuple[int, Sealer]] = []
        for _ in taker.turns(MAX_SAID):
            what = taker.byte() % 16
            if what < 2:
                source._greet(b"route", zmq.Frame(b""), taker.piece(), self._clock.now_s)
            elif what < 5:
                hello = self._hello(taker)
                source._greet(b"route", zmq.Frame(b""), hello, self._clock.now_s)
                fresh = [s for s in source._senders if s not in [k for k, _ in known]]
                for session in fresh:
                    sealed = taker.chance(2)
                    source._senders[session].opener = Opener(KEY if sealed else b"", TO_BOX)
                    known.append((session, Sealer(KEY if sealed else b"", TO_BOX)))
            elif what < 14:
                datagram = self._datagram(taker, known)
                one = source._senders.get(int.from_bytes(datagram[8:16], "little"))
                if one is not None:
                    address = ("127.0.0.1", taker.byte() % 3)
                    if source._receive(one, datagram, taker.chance(2), address):
                        one.address = address
            else:
                self._clock.now_s += taker.byte() * (1e-3 if what == 14 else 0.01)
            source._play(ear)
            source._tell(self._clock.now_s)
            source._tidy(self._clock.now_s)
        for _ in range(8):
            self._clock.now_s += 0.02
            source._play(ear)
        for answer in self._box.sent:
            if answer[-1][:4] != uplink.MAGIC:
                verb, fields = uplink.decode_text(answer[-1])
                if verb == "REFUSED":
                    check_sentence(fields["reason"])
        self._box.sent.clear()
        for one in list(source._senders.values()):
            source._evict(one)
        source._written = source._lost = 0

    def _hello(self, taker: Taker) -> bytes:
        hello = uplink.Hello(
            taker.pick(NAMES) if taker.byte() < 200 else _plain(taker.text()),
            taker.pick((48_000, 48_000, 48_000, 44_100)),
            taker.pick((2, 1, 6, 64)),
            taker.pick((128, 256, 64, 1024)),
            taker.pick((uplink.Encoding.F32, uplink.Encoding.S16, uplink.Encoding.S24)),
            taker.pick(TRANSPORTS),
        )
        said = bytearray(uplink.encode_hello(hello))
        while taker.chance(8) and said:
            said[taker.byte() % len(said)] = taker.byte()
        return bytes(said)

    def _datagram(self, taker: Taker, known: list[tuple[int, Sealer]]) -> bytes:
        session, sealer = taker.pick(known) if known else (1, Sealer(b"", TO_BOX))
        one = self._source._senders.get(session)
        frames, channels, encoding = 128, 2, uplink.Encoding.F32
        if one is not None:
            frames, channels, encoding = one.hello.frames, one.hello.channels, one.hello.encoding
        kind = taker.pick([uplink.Type.AUDIO] * 5 + [*uplink.Type])
        sound = kind is uplink.Type.AUDIO
        copies = taker.byte() % 4 if taker.chance(3) else 0
        base = taker.pick((0, 10_000, 1 << 61, 1 << 62))
        payload = b""
        if sound:
            if taker.chance(16):
                frames = taker.number(2)
            size = uplink.payload_bytes(frames % 1025, channels, encoding, copies)
            some = taker.bytes(taker.byte() % 32) or b"\0"
            payload = (some * (size // len(some) + 1))[:size]
        elif kind is uplink.Type.PONG:
            payload = uplink.encode_times(taker.number(8, True), taker.number(8, True))
        head = uplink.HEADER.pack(
            uplink.MAGIC,
            uplink.VERSION,
            kind,
            channels if sound else taker.byte() % 2 * taker.chance(8),
            encoding if sound else 0,
            session % U64,
            sealer.counter if taker.byte() < 230 else taker.number(8),
            base + frames * (taker.byte() % 64) if sound else 0,
            taker.pick((round(self._clock.now_s * 1e9), taker.number(8, True))),
            frames if sound else 0,
            copies if sound else 0,
            taker.byte() % 4,
            taker.pick((48_000_000, 0, taker.number(4))),
        )
        sealed = bytearray(sealer.seal(head, payload))
        if taker.chance(24):
            sealed[taker.number(2) % len(sealed)] = taker.byte()
        return bytes(sealed[: taker.number(2)]) if taker.chance(48) else bytes(sealed)

    # -- plugins --------------------------------------------------------------------------------

    def _make_door(self) -> None:
        self._slots = Slots(StreamSpec.of("tight", 48_000, 3))
        config = InsertsConfig(enabled=True, limit=3)
        self._inserts: Any = Inserts(config, "tight", self._slots, "dry", self._status.inserts)
        self._inserts._socket = self._door = Wire()

    def _plugins(self, taker: Taker) -> None:
        inserts = self._inserts
        inserts._hellos._tokens = HELLOS_PER_S
        inserts._errors._tokens = HELLOS_PER_S
        positions = [0, 0, 0]
        for _ in taker.turns(MAX_SAID):
            self._door.inbox.append(self._message(taker, positions))
            inserts.receive()
            for _ in range(200):
                if not inserts.step():
                    break
            inserts.tidy(inserts._tidied_s + 1.0)
        for route, head, payload in self._door.sent:
            assert route
            said = plugin.unpack_message(head, payload)
            if said.type is plugin.Type.STEMS:
                assert np.isfinite(np.frombuffer(payload, "<f4")).all()
            elif said.type is plugin.Type.ERROR:
                check_sentence(payload.decode())
        self._door.sent.clear()
        for instance in list(inserts._inserts):
            inserts._leave(instance)
        assert self._slots.room == 3

    def _message(self, taker: Taker, positions: list[int]) -> list[bytes]:
        kind = taker.byte()
        if kind < 16:
            return [b"route", *(taker.piece() for _ in range(kind % 4))]
        who = taker.byte() % 3
        what = taker.pick([plugin.Type.HELLO, *[plugin.Type.AUDIO] * 6, *plugin.Type])
        channels = {plugin.Type.AUDIO: 2, plugin.Type.STEMS: 8}.get(what, 0)
        frames = taker.pick((128, 1, 500, 2000, 8192)) if channels else 0
        payload = b""
        if channels:
            some = taker.bytes(taker.byte() % 16) or b"\0"
            size = frames * channels * 4
            payload = (some * (size // len(some) + 1))[:size]
        elif what is plugin.Type.HELLO:
            hello = plugin.Hello(
                taker.pick((512, 1, 1 << 20, 64)),
                taker.pick((0, 48_000, 192_000, 700)),
                taker.chance(2),
                taker.text().encode("utf-8", "replace").decode(),
            )
            payload = plugin.encode_hello(hello)[: plugin.MAX_TEXT]
        elif taker.chance(2):
            payload = taker.piece()
        at = positions[who]
        if taker.chance(12):
            at = taker.pick((0, at + 64, at + 40_000, at + 500_000, 1 << 62, max(at - 100, 0)))
        if what is plugin.Type.AUDIO:
            positions[who] = at + frames
        head = plugin.HEADER.pack(
            plugin.MAGIC if taker.byte() < 252 else taker.bytes(4).ljust(4),
            plugin.VERSION,
            what if taker.byte() < 250 else taker.byte(),
            channels if taker.byte() < 250 else taker.number(2),
            1 + taker.chance(24),
            taker.pick((48_000, 48_000, 48_000, 44_100, 96_000, taker.number(4))),
            at % U64,
            frames if taker.byte() < 250 else taker.number(4),
            taker.byte() % 4,
            taker.number(8),
            who,
        )
        return [b"route", head, payload]

    # -- what clients, plugins and senders are told ---------------------------------------------

    def _welcomed(self, taker: Taker) -> None:
        """A client's greeting by whoever is at that port."""
        raw = taker.byte() % 2 == 1
        if raw:
            said = taker.rest()
        else:
            welcome = {"feeds": ["main"], "samplerate": 48_000, "hop_length": 256, "latency": 512,
                       "features": list(FEATURES), "audio_port": 1, "features_port": 2,
                       "ok": True, "id": 1}  # fmt: skip
            said = as_json(taker.changed(welcome))
        _FedControl.said = [[said]]
        try:
            client = stemd.client.Client(
                "127.0.0.1", control_port=1, feed=None, stems=STEMS, mix=False,
                budget_s=1.0, fill_s=1.0, timeout_s=1.0,
            )  # fmt: skip
        except StemdError as error:
            check_sentence(str(error), len(said) + 500)
            return
        with client:
            assert client.samplerate > 0
            assert client.hop_length > 0
            assert client.latency >= 0
            assert 0 < int(client.info["audio_port"]) < 65_536
            client._took_welcome([topics.WELCOME + b"\0" + said])
            with contextlib.suppress(ProtocolError):
                client._decode_features([said])

    def _make_link(self) -> None:
        self._client_context = zmq.Context()
        self._hello_of_link = uplink.Hello("x", 48_000, 2, 128, uplink.Encoding.F32, "udp")
        self._link: Any = Link("127.0.0.1", 9, self._hello_of_link, 1, None)
        self._link._socket.close()
        self._link._socket = Wire()
        self._instance: Any = InsertClient("inproc://stemd-fuzz", context=self._client_context)
        self._instance.instance = 7
        self._instance._socket.close(linger=0)

    def _inserted(self, taker: Taker) -> None:
        """A plugin instance in Python, and whoever it found."""
        raw = taker.byte() % 2 == 1
        fields = {"hop": 128, "algorithmic": 256, "minimum": 700, "credit": 9000, "session": 0,
                  "stems": ",".join(STEMS)}  # fmt: skip
        words = taker.rest() if raw else plugin.encode_fields(_flat(taker.changed(fields)))
        instance, wire = self._instance, Wire()
        instance._socket = wire
        instance.hello = plugin.Hello(512, 0, True, "python")
        instance.epoch, instance.position, instance.received = 1, 0, 0
        instance.welcome, instance.error = {}, ""
        instance._stems.clear()
        with contextlib.suppress(ProtocolError):
            wire.inbox.append(self._answer(plugin.Type.WELCOME, words[: plugin.MAX_TEXT]))
            for _ in range(4):
                if not taker.left:
                    break
                kind = taker.pick(tuple(plugin.Type))
                size = 32 * taker.byte() if kind is plugin.Type.STEMS else taker.byte()
                wire.inbox.append(self._answer(kind, taker.bytes(size)))
            instance.separate(np.zeros((300, 2), np.float32), 0.01)

    @staticmethod
    def _answer(kind: plugin.Type, payload: bytes) -> list[bytes]:
        stems = kind is plugin.Type.STEMS
        n = len(payload) // 32 if stems else 0
        head = plugin.pack_header(kind, instance=7, epoch=1, rate=48_000, frames=n)
        return [head, payload[: 32 * n] if stems else payload]

    def _told(self, taker: Taker) -> None:
        """A sender, and whoever says to be a box."""
        link, now_s = self._link, self._clock.now_s
        link.welcome = None
        raw = taker.byte() % 2 == 1
        answers = [taker.rest()] if raw else []
        if not raw:
            fields = {"session": 5, "key": "", "port": 9, "feeds": "main"}
            answers.append(uplink.encode_text("WELCOME", _flat(taker.changed(fields))))
            while taker.left and len(answers) < 6:
                answers.append(self._box_says(taker))
        for answer in answers:
            link._socket.inbox.append([answer])
            link._read_socket(now_s)
            if link._udp is not None:  # what is sent goes nowhere
                link._udp.close()
                link._udp = _Nowhere()
        link.send(Run(0, np.zeros((256, 2), np.float32), 0, False), 48_000.0)
        link._udp = None
        assert len(link.said) < 400

    @staticmethod
    def _box_says(taker: Taker) -> bytes:
        kind = taker.pick((uplink.Type.PING, uplink.Type.NACK, uplink.Type.BYE, uplink.Type.AUDIO))
        head = uplink.HEADER.pack(
            uplink.MAGIC, 1, kind, 0, 0, taker.pick((5, 6)), taker.number(2), 0,
            taker.number(8, True), 0, 0, 0, 0,
        )  # fmt: skip
        return head + taker.bytes(taker.byte())


class _FedControl(stemd.client._Control):
    """A client's control socket that hears what it is given."""

    said: list[list[bytes]] = []  # noqa: RUF012

    def __init__(self, client: Any, endpoint: str) -> None:
        super().__init__(client, endpoint)
        wire: Any = Wire()
        self._socket = self._monitor = wire
        wire.inbox.extend(self.said)

    def _wait(self, socket: Any, deadline: float) -> bool:
        return bool(socket.inbox)

    def _read_monitor(self) -> None:
        """There is none."""


class _Nowhere:
    """A UDP socket to nobody."""

    def send(self, datagram: bytes) -> None:
        """Gone."""

    def recv(self, n: int) -> bytes:
        """Nothing there."""
        raise BlockingIOError

    def close(self) -> None:
        """Nothing to give back."""


class _Ear:
    """Where a box writes its stream to."""

    def write(self, rows: Any, adc_s: float, first_ns: int, arrival_ns: int, *more: Any) -> None:
        """Finite, of both feeds, and of about now."""
        assert abs(arrival_ns - first_ns) < 2**40
        assert rows.shape[1] == 4
        assert np.isfinite(rows).all()
        assert math.isfinite(adc_s)


def _script(n: int) -> bytes:
    """Some bytes that say hello, send and wait, different for each n."""
    return bytes((i * (2 * n + 1) + 3 * n) % 256 for i in range(160))


def _flat(value: Any) -> dict[str, Any]:
    """As `key=value` lines can say it."""
    fields = value if isinstance(value, dict) else {"x": value}
    return {_plain(key): _plain(inner) for key, inner in fields.items()}


def _plain(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "9" * 5000
