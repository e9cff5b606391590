"""Features out to fixed OSC targets; the mixer both ways is in osc_mixer.py.

Numbers only go out, one `f` or `i` per address, so that a TouchDesigner CHOP can read them all;
text goes only to a peer that did something wrong. Nothing here waits: an address is resolved when
the daemon starts, a packet that the system does not take is counted and forgotten.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spec import FEATURES, SOURCES, StreamSpec
from ..wire import addresses, osc
from .osc_mixer import Echo, Mixer, OscInlet

KEEP_ALIVE_S = 0.25  # a value that did not change is sent again, because UDP loses packets
BEAT_S = 1.0
FLOOR_DB = -120.0
LEVEL_RANGE_DB = 60.0  # /level is 0…1, linear in dB over -60…0 dBFS
ENVELOPE_HALF_S = 0.1
PITCH_CONFIDENCE = 0.5  # below, /pitch holds its last value
A4_HZ, A4_NOTE = 440.0, 69

_RMS, _PEAK = FEATURES.index("rms"), FEATURES.index("peak")
_STRENGTH, _ONSET = FEATURES.index("onset_strength"), FEATURES.index("onset")
_COUNT, _OFFSET = FEATURES.index("onset_count"), FEATURES.index("onset_offset")
_F0, _VOICING = FEATURES.index("f0_hz"), FEATURES.index("voicing")


@dataclass(frozen=True, slots=True)
class Vitals:
    """What OSC says about the stream once a second."""

    state: int
    load: float
    xruns: int
    lost: int
    late: int


@dataclass(frozen=True, slots=True)
class _Target:
    address: Any  # as sendto wants it
    socket: socket.socket


class OscSender:
    """Fixed targets, resolved once; sends never wait and never raise."""

    def __init__(self, targets: Sequence[tuple[str, int]]) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._targets = []
        self.unresolved = []
        for host, port in targets:
            try:
                family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            except OSError as error:
                self.unresolved.append(
                    f"osc.targets: got {host}:{port} ({error.strerror}), expected a known host"
                )
                continue
            self._targets.append(_Target(address, self._socket(family)))
        self.sent = 0
        self.errors = 0

    def send(self, packet: Any) -> None:
        """One datagram to each target."""
        for target in self._targets:
            try:
                target.socket.sendto(packet, target.address)
                self.sent += 1
            except OSError:
                self.errors += 1

    def send_all(self, numbers: Iterable[tuple[bytes, float]]) -> None:
        """Heads and values in as few packets as they fit in."""
        bundle = osc.Bundle()
        for start, value in numbers:
            if not bundle.add(start, value):
                self.send(bundle.packet)
                bundle.clear()
                bundle.add(start, value)
        if not bundle.empty:
            self.send(bundle.packet)

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()

    def _socket(self, family: int) -> socket.socket:
        if family not in self._sockets:
            one = socket.socket(family, socket.SOCK_DGRAM)
            one.setblocking(False)
            self._sockets[family] = one
        return self._sockets[family]


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
    ) -> None:
        self._vitals = vitals
        self._inlet = (
            None if listen is None else OscInlet(listen, prefix, feeds, mixer, self._status)
        )
        self._sender = OscSender(targets)
        self._levels = OscLevels(spec, feeds, prefix, self._sender)
        self._ticker = _VitalsTicker(prefix, vitals, self._sender)
        self._echo = Echo(prefix, feeds, mixer, self._sender.send_all)
        self._period_s = 1.0 / rate_hz
        self._due = 0.0
        self.unresolved = tuple(self._sender.unresolved)

    @property
    def port(self) -> int:
        """Where we listen; 0 when we do not."""
        return self._inlet.port if self._inlet else 0

    @property
    def sent(self) -> int:
        """Datagrams out."""
        return self._sender.sent

    @property
    def errors(self) -> int:
        """Datagrams the system did not take, and datagrams in that were not understood."""
        return self._sender.errors + (self._inlet.errors if self._inlet else 0)

    @property
    def received(self) -> int:
        """Datagrams in."""
        return self._inlet.received if self._inlet else 0

    def write(self, hop: Any) -> None:
        """Send onsets at once, keep the rest for the next tick."""
        self._levels.write(hop)
        self._ticker.write(hop, self._levels.latency_ms)

    def service(self) -> None:
        """Hear what came in, send what is due."""
        if self._inlet:
            self._inlet.service()
        self._echo.service()
        now = time.monotonic()
        self._ticker.service(now)
        if now >= self._due:
            # Behind by more than a tick: start a new rhythm instead of a burst.
            self._due = max(self._due + self._period_s, now)
            self._levels.tick(now)

    def _status(self) -> tuple[float, ...]:
        """What `/stemd/status` is answered."""
        vitals = self._vitals()
        return (vitals.state, finite(vitals.load), vitals.xruns, vitals.lost, vitals.late)

    def close(self) -> None:
        """Say that we are gone, close the sockets."""
        self._ticker.goodbye()
        if self._inlet:
            self._inlet.close()
        self._sender.close()


class OscLevels:
    """Onsets and continuous values of every source."""

    def __init__(
        self, spec: StreamSpec, feeds: Sequence[str], prefix: str, sender: OscSender
    ) -> None:
        self._spec = spec
        self._sender = sender
        self._bundle = osc.Bundle()
        bases = addresses.bases(prefix, feeds)
        places = [(base, i) for base in bases for i in range(len(SOURCES))]
        at = addresses.source_address
        self._heads = [
            osc.head(at(base, i, level.name), "f")
            for base, i in places
            for level in addresses.LEVELS
        ]
        self._onset_heads = [osc.head(at(base, i, "onset"), "f") for base, i in places]
        self._count_heads = [osc.head(at(base, i, "onset/count"), "i") for base, i in places]
        self._age_heads = [osc.head(at(base, i, "onset/age_ms"), "f") for base, i in places]
        shape = (len(places), len(addresses.LEVELS))
        self._steps = np.tile(np.array([v.step for v in addresses.LEVELS]), (len(places), 1))
        self._voiced_only = np.array([v.voiced_only for v in addresses.LEVELS])
        self._values = np.zeros(shape)
        self._values[:, 2] = FLOOR_DB
        self._sent_values = np.full(shape, np.inf)  # so that the first tick sends everything
        self._sent_at = np.zeros(shape)
        self._peak = np.zeros(len(places))
        self._rms = np.zeros(len(places))
        self._voicing = np.zeros(len(places))
        self._f0 = np.zeros(len(places))
        self._envelope = np.zeros(len(places))
        self._decay = 0.5 ** (spec.hop_s / ENVELOPE_HALF_S)
        self._counts = [0] * len(places)
        self._counts_due = 0.0
        self._live = False
        self.latency_ms = 0.0

    def write(self, hop: Any) -> None:
        """Take one hop's features; onsets leave now."""
        rows = hop["features"].reshape(-1, len(FEATURES))
        # NaN and infinity never leave. (np.nan_to_num takes 60 µs.)
        finite_rows = np.isfinite(rows)
        if not finite_rows.all():
            rows = np.where(finite_rows, rows, np.float32(0.0))
        self._live = True
        self._rms = rows[:, _RMS]
        np.maximum(self._peak, rows[:, _PEAK], out=self._peak)
        self._voicing = rows[:, _VOICING]
        self._f0 = rows[:, _F0]
        self._envelope *= self._decay
        arrival_ns = int(hop["t_arrival_ns"])
        since_ms = (time.monotonic_ns() - arrival_ns) * 1e-6 if arrival_ns else 0.0
        ms = 1e3 / self._spec.samplerate
        now_ms = int(hop["latency"]) * ms + since_ms
        # Smoothed over about a quarter second: it is a property of the stream, not of one hop.
        self.latency_ms += (now_ms - self.latency_ms) * (0.02 if self.latency_ms else 1.0)
        for i in np.flatnonzero(rows[:, _ONSET] > 0.0).tolist():
            strength = float(rows[i, _STRENGTH])
            self._envelope[i] = max(self._envelope[i], strength)
            self._counts[i] = int(rows[i, _COUNT])
            age_ms = since_ms + (self._spec.feature_latency - float(rows[i, _OFFSET])) * ms
            self._send_onset(i, strength, max(age_ms, 0.0))

    def tick(self, now: float) -> None:
        """Send what has changed, and what has not been said for a while."""
        if not self._live:
            return
        values = self._measure()
        due = (np.abs(values - self._sent_values) > self._steps) | (
            now - self._sent_at > KEEP_ALIVE_S
        )
        due[:, self._voiced_only] &= ((self._voicing >= PITCH_CONFIDENCE) & (self._f0 > 0.0))[
            :, None
        ]
        if due.any():
            self._sent_values[due] = values[due]
            self._sent_at[due] = now
            self._send_floats(np.flatnonzero(due).tolist(), values.ravel().tolist())
        if now >= self._counts_due:
            self._counts_due = now + BEAT_S
            self._send_counts()
        self._peak.fill(0.0)

    def _measure(self) -> Any:
        """Feature rows to what the addresses say."""
        values = self._values
        db = 20 * np.log10(np.maximum(self._rms, 10 ** (FLOOR_DB / 20)))
        values[:, 0] = np.clip(1.0 + db / LEVEL_RANGE_DB, 0.0, 1.0)
        values[:, 1] = np.clip(self._peak, 0.0, 1.0)
        values[:, 2] = db
        values[:, 3] = np.clip(self._envelope, 0.0, 1.0)
        f0 = np.maximum(self._f0, 1.0)
        values[:, 4] = A4_NOTE + 12 * np.log2(f0 / A4_HZ)
        values[:, 5] = self._f0
        values[:, 6] = np.clip(self._voicing, 0.0, 1.0)
        return values

    def _send_floats(self, which: list[int], values: list[float]) -> None:
        starts = [self._heads[k] for k in which]
        numbers = [values[k] for k in which]
        bundle, at = self._bundle, 0
        while at < len(starts):
            bundle.clear()
            # An address longer than a packet is left out, not tried for ever.
            at = max(bundle.add_floats(starts, numbers, at), at + 1)
            self._sender.send(bundle.packet)

    def _send_onset(self, i: int, strength: float, age_ms: float) -> None:
        bundle = self._bundle
        bundle.clear()
        bundle.add(self._onset_heads[i], strength)
        bundle.add(self._count_heads[i], self._counts[i])
        bundle.add(self._age_heads[i], age_ms)
        self._sender.send(bundle.packet)

    def _send_counts(self) -> None:
        self._sender.send_all(zip(self._count_heads, self._counts, strict=True))


class _VitalsTicker:
    """State, heartbeat and counters of the stream."""

    def __init__(self, prefix: str, vitals: Callable[[], Vitals], sender: OscSender) -> None:
        self._vitals = vitals
        self._sender = sender
        self._bundle = osc.Bundle()

        def at(name: str, tag: str) -> bytes:
            return osc.head(f"{prefix}/{name}", tag)

        self._state = at(addresses.STATE, "i")
        self._alive = at(addresses.ALIVE, "i")
        self._latency = at(addresses.LATENCY_MS, "f")
        self._load = at(addresses.LOAD, "f")
        self._counters = [at(n, "i") for n in (addresses.XRUNS, addresses.LOST, addresses.LATE)]
        self._started = time.monotonic()
        self._due = 0.0
        self._last: tuple[int, ...] = ()
        self._latency_ms = 0.0

    def write(self, hop: Any, latency_ms: float) -> None:
        self._latency_ms = latency_ms

    def service(self, now: float) -> None:
        vitals = self._vitals()
        facts = (vitals.state, vitals.xruns, vitals.lost, vitals.late)
        if now < self._due and facts == self._last:
            return
        if now >= self._due:
            self._due = now + BEAT_S
        self._last = facts
        bundle = self._bundle
        bundle.clear()
        bundle.add(self._state, vitals.state)
        bundle.add(self._alive, int(now - self._started))
        bundle.add(self._latency, self._latency_ms)
        bundle.add(self._load, finite(vitals.load))
        for start, count in zip(self._counters, facts[1:], strict=True):
            bundle.add(start, osc.clip_int(count))
        self._sender.send(bundle.packet)

    def goodbye(self) -> None:
        self._bundle.clear()
        self._bundle.add(self._state, 0)
        self._sender.send(self._bundle.packet)


def finite(value: float) -> float:
    """NaN and infinity never leave."""
    return value if math.isfinite(value) else 0.0
