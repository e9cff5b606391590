"""Stems, features, events and status to whoever subscribes.

Nothing here waits for a subscriber. One that does not read loses messages at its own queue; what
nobody has subscribed to is not even packed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import zmq

from ..errors import DeviceError
from ..spec import FEATURES, N_CHANNELS, N_FEATURES, OPUS_FRAME, SOURCES, STEMS, StreamSpec
from ..wire import topics
from ..wire.header import DTYPE_F32, DTYPE_FIELDS, DTYPE_OPUS, HEADER_BYTES, STEM_ALL, pack_header
from ..wire.messages import EVENT, EVENT_ONSET, encode_event, encode_json
from .opus import OpusStream
from .peers import MAX_PEERS, Guard
from .sockets import Publisher

MIN_QUEUED_HOPS = 64  # a healthy reader was seen to lose hops in a 17 ms stall of the machine
QUEUED_S = 0.2
STATUS_S = 1.0

_ONSET = FEATURES.index("onset")
_STRENGTH = FEATURES.index("onset_strength")
_COUNT = FEATURES.index("onset_count")
_OFFSET = FEATURES.index("onset_offset")


class ZeroMQSink:
    """Two XPUB sockets: audio, and everything small.

    Parameters
    ----------
    context : zmq.Context
    host : str
        Where to bind.
    audio_port, features_port : int
        0: the system chooses; see the attributes of the same names.
    spec : StreamSpec
    feeds : sequence of str
    describe : callable
        Returns the welcome descriptor, JSON-able.
    status : callable
        Returns the status, JSON-able; called once a second and on a change of state.
    guard : Guard or None
        Asked whether a subscriber may listen; None: everybody may.
    max_peers : int
        Connections of each socket.
    opus_kbps : int
        For each stem somebody asks for in Opus; 0: there is none.

    Raises
    ------
    DeviceError
        When a port is taken.

    Process:  publish only, one thread.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        host: str,
        audio_port: int,
        features_port: int,
        spec: StreamSpec,
        feeds: Sequence[str],
        describe: Callable[[], dict[str, Any]],
        status: Callable[[], dict[str, Any]],
        guard: Guard | None = None,
        max_peers: int = MAX_PEERS,
        opus_kbps: int = 0,
    ) -> None:
        self._spec = spec
        self._describe = describe
        self._status = status
        hops = max(MIN_QUEUED_HOPS, math.ceil(QUEUED_S / spec.hop_s))
        # A subscriber of single stems gets four messages per hop.
        self._audio = Publisher(
            context,
            host,
            audio_port,
            "zeromq.audio_port",
            hops * len(STEMS),
            guard,
            max_peers,
        )
        try:
            self._small = Publisher(
                context,
                host,
                features_port,
                "zeromq.features_port",
                hops * len(SOURCES),
                guard,
                max_peers,
            )
        except DeviceError:
            self._audio.close()
            raise
        self.audio_port = self._audio.port
        self.features_port = self._small.port
        self._feeds = tuple(feeds)
        self._feature_messages = [
            [_feature_message(topics.features(feed, source)) for source in SOURCES]
            for feed in feeds
        ]
        self._audio_plan: list[tuple[int, int, bytes]] = []
        self._opus_kbps = opus_kbps
        self._opus_plan: dict[bytes, tuple[int, int, OpusStream]] = {}
        self._feature_plan: list[tuple[int, int, bytearray, int]] = []
        self._event_topics = [topics.events(feed) for feed in feeds]
        self._event_wanted = [False] * len(feeds)
        self._event_seq = [0] * len(feeds)
        self._session = 0
        self._header = bytearray(HEADER_BYTES)
        self._welcome = b""
        self._status_due = 0.0
        self.sent = 0
        self.bytes = 0
        self._set_welcome()

    @property
    def subscribers(self) -> int:
        """Connections of both sockets."""
        return self._audio.subscribers + self._small.subscribers

    @property
    def strangers(self) -> int:
        """Connections of those who had no key, or a wrong one."""
        return self._audio.strangers + self._small.strangers

    @property
    def turned_away(self) -> int:
        """Connections beyond `max_peers`."""
        return self._audio.turned_away + self._small.turned_away

    @property
    def evicted(self) -> int:
        """Subscribers whose connection was ended: too many topics, or a key that was revoked."""
        return self._audio.evicted + self._small.evicted

    @property
    def subscriptions(self) -> list[str]:
        """Topics, or beginnings of topics, somebody asked for."""
        return sorted({*self._audio.prefixes, *self._small.prefixes})

    def write(self, hop: Any) -> None:
        """Send one hop to those who want it."""
        session = int(hop["session"])
        if session != self._session:
            self._session = session
            self._event_seq = [0] * len(self._feeds)
            self._set_welcome()
        now_ns = time.monotonic_ns()
        self._send_features(hop, now_ns)
        self._send_audio(hop, now_ns)
        self._send_opus(hop, now_ns)

    def service(self) -> None:
        """Take new subscriptions, say how we are."""
        if self._audio.service() | self._small.service():
            self._plan()
        now = time.monotonic()
        if now >= self._status_due:
            self._status_due = now + STATUS_S
            self.announce()

    def announce(self) -> None:
        """Send status, and welcome when it changed, now."""
        self._audio.review()
        self._small.review()
        self._set_welcome()
        status = encode_json(self._status())
        self._send(self._small.socket, topics.STATUS + topics.SEPARATOR + status)

    def close(self) -> None:
        """Give the ports back."""
        self._audio.close()
        self._small.close()

    def _plan(self) -> None:
        """List what is wanted, so that a hop looks at nothing else."""
        self._audio_plan = [
            (b, topics.stem_code(stem), topic)
            for b, feed in enumerate(self._feeds)
            for stem in (*SOURCES, topics.ALL)
            if self._audio.wants(topic := topics.audio(feed, stem))
        ]
        self._feature_plan = [
            (b, i, message, at)
            for b, row in enumerate(self._feature_messages)
            for i, (message, at) in enumerate(row)
            if self._small.wants(bytes(message[: at - 1]))
        ]
        self._event_wanted = [self._small.wants(topic) for topic in self._event_topics]
        if self._opus_kbps:
            self._plan_opus()

    def _plan_opus(self) -> None:
        """An encoder for each stem that somebody hears; it goes with the last who does."""
        before = self._opus_plan
        wanted = {
            topic: (b, code)
            for b, feed in enumerate(self._feeds)
            for code, stem in enumerate(SOURCES)
            if self._audio.wants(topic := topics.opus(feed, stem))
        }
        self._opus_plan = {
            topic: before.get(topic) or (b, code, OpusStream(self._opus_kbps))
            for topic, (b, code) in wanted.items()
        }

    def _send_audio(self, hop: Any, now_ns: int) -> None:
        if not self._audio_plan:
            return
        n = self._spec.hop_length
        stems = hop["stems"]
        stamp = _stamp(hop, now_ns)
        first_ns, latency = int(hop["t_capture_ns"]), int(hop["latency"])
        seq, sample_pos = int(hop["seq"]), int(hop["sample_pos"])
        for b, code, topic in self._audio_plan:
            samples = stems[b] if code == STEM_ALL else _samples(hop, b, code)
            pack_header(
                self._header,
                0,
                seq=seq,
                sample_pos=sample_pos,
                t_capture_ns=first_ns,
                rate_nominal=self._spec.samplerate,
                n_frames=n,
                n_channels=samples.size // n,
                dtype=DTYPE_F32,
                stem=code,
                latency_frames=latency,
                payload_bytes=samples.nbytes,
                **stamp,
            )
            self._send(self._audio.socket, topic, self._header, samples)

    def _send_opus(self, hop: Any, now_ns: int) -> None:
        if not self._opus_plan:
            return
        stamp = _stamp(hop, now_ns)
        for topic, (b, code, stream) in self._opus_plan.items():
            for packet in stream.process(hop, _samples(hop, b, code)):
                pack_header(
                    self._header,
                    0,
                    seq=int(hop["seq"]),
                    sample_pos=packet.sample_pos,
                    t_capture_ns=packet.t_capture_ns,
                    rate_nominal=self._spec.samplerate,
                    n_frames=OPUS_FRAME,
                    n_channels=N_CHANNELS,
                    dtype=DTYPE_OPUS,
                    stem=code,
                    latency_frames=int(hop["latency"]),
                    payload_bytes=len(packet.data),
                    **{**stamp, "flags": packet.flags},
                )
                self._send(self._audio.socket, topic, self._header, packet.data)

    def _send_features(self, hop: Any, now_ns: int) -> None:
        features = hop["features"]
        onsets = any(self._event_wanted) and features[:, :, _ONSET].any()
        if not self._feature_plan and not onsets:
            return
        first_ns = self._feature_time(hop)
        stamp = _stamp(hop, now_ns)
        seq, sample_pos = int(hop["seq"]), int(hop["sample_pos"])
        for b, i, message, at in self._feature_plan:
            pack_header(
                message,
                at,
                seq=seq,
                sample_pos=sample_pos,
                t_capture_ns=first_ns,
                rate_nominal=self._spec.samplerate,
                n_frames=self._spec.hop_length,
                n_channels=N_FEATURES,
                dtype=DTYPE_F32,
                stem=i,
                latency_frames=self._spec.feature_latency,
                payload_bytes=4 * N_FEATURES,
                **stamp,
            )
            message[at + HEADER_BYTES :] = features[b, i].tobytes()
            self._send(self._small.socket, message)
        if onsets:
            self._send_events(hop, first_ns, stamp)

    def _send_events(self, hop: Any, first_ns: int, stamp: dict[str, Any]) -> None:
        rate = self._spec.samplerate
        first = int(hop["sample_pos"]) - self._spec.feature_latency
        for b, i in np.argwhere(hop["features"][:, :, _ONSET] > 0.0).tolist():
            if not self._event_wanted[b]:
                continue
            row = hop["features"][b, i]
            offset = round(float(row[_OFFSET]))
            pack_header(
                self._header,
                0,
                seq=self._event_seq[b],
                # An onset may be dated to just before the stream began.
                sample_pos=max(first + offset, 0),
                t_capture_ns=first_ns + round(offset * 1e9 / rate) if first_ns else 0,
                rate_nominal=rate,
                n_frames=1,
                n_channels=1,
                dtype=DTYPE_FIELDS,
                stem=i,
                latency_frames=0,
                payload_bytes=EVENT.size,
                **stamp,
            )
            self._event_seq[b] += 1
            payload = encode_event(EVENT_ONSET, int(row[_COUNT]), float(row[_STRENGTH]))
            self._send(self._small.socket, self._event_topics[b], self._header, payload)

    def _feature_time(self, hop: Any) -> int:
        """UTC of the first sample the features describe: the audio's content began earlier."""
        first_ns = int(hop["t_capture_ns"])
        if first_ns == 0:
            return 0
        later = int(hop["latency"]) - self._spec.feature_latency
        return first_ns + round(later * 1e9 / self._spec.samplerate)

    def _set_welcome(self) -> None:
        """Late joiners get the newest descriptor; those who are here get it when it changes."""
        welcome = topics.WELCOME + topics.SEPARATOR + encode_json(self._describe())
        if welcome == self._welcome:
            return
        self._welcome = welcome
        for publisher in (self._audio, self._small):
            publisher.socket.setsockopt(zmq.XPUB_WELCOME_MSG, welcome)
            self._send(publisher.socket, welcome)

    def _send(self, socket: zmq.Socket[Any], *frames: Any) -> None:
        # XPUB drops for a full subscriber instead of refusing.
        last = len(frames) - 1
        for i, frame in enumerate(frames):
            socket.send(frame, zmq.NOBLOCK | (zmq.SNDMORE if i < last else 0))
            self.bytes += frame.nbytes if isinstance(frame, np.ndarray) else len(frame)
        self.sent += 1


def _samples(hop: Any, feed: int, code: int) -> Any:
    """(c, n) of one stem, or of the mix."""
    return hop["stems"][feed, code - 1] if code else hop["mix"][feed]


def _stamp(hop: Any, now_ns: int) -> dict[str, Any]:
    """Header fields that all messages of a hop share."""
    return {
        "session": int(hop["session"]),
        "t_publish_mono_ns": now_ns,
        "rate_measured": float(hop["rate_measured"]),
        "state": int(hop["state"]),
        "flags": int(hop["flags"]),
        "lost_input_frames": int(hop["lost_input"]),
        "config_rev": int(hop["config_rev"]),
    }


def _feature_message(topic: bytes) -> tuple[bytearray, int]:
    """A whole single-frame message to be filled, and where its header starts."""
    at = len(topic) + 1
    message = bytearray(at + HEADER_BYTES + 4 * N_FEATURES)
    message[:at] = topic + topics.SEPARATOR
    return message, at
