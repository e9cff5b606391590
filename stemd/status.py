"""State and counters in shared memory: each section has one writer, everybody reads.

The mixer section is the way in: `publish` writes what clients asked for, `separate` reads it each
hop. The command section is the way up: `publish` asks, the daemon acknowledges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from .shared import SharedHandle, SharedRecord, encode, text
from .spec import (
    DRUMS,
    N_STEMS,
    ONSET_THRESHOLD,
    PITCH_CONFIDENCE,
    PITCH_RANGES_HZ,
    SOURCES,
    TEMPO_RANGE_BPM,
)


class State(IntEnum):
    """Run state, as the wire and OSC number it."""

    STOPPED = 0
    STARTING = 1
    RUNNING = 2
    PAUSED = 3
    STALLED = 4
    FAILED = 5


class Command(IntEnum):
    """What a client may ask of the daemon through `publish`."""

    NONE = 0
    RELOAD = 1
    SHUTDOWN = 2
    MODEL = 3
    PROFILE = 4
    DEVICE = 5


ROLES = (
    "capture",
    "separate",
    "publish",
    "play",
    "record",
    "inserts",
    "metrics",
    "console",
    "advertise",
)

# Step times are counted in logarithmic buckets: 1 µs … 1 s, 20 to the decade (12 % wide).
STEP_BUCKETS = 121


def step_bucket(step_ns: int) -> int:
    """Bucket of one step time."""
    return min(max(round(20 * math.log10(max(step_ns, 1) / 1000)), 0), STEP_BUCKETS - 1)


def step_edge_us(bucket: int) -> float:
    """Upper edge of a bucket, µs."""
    return float(10 ** ((bucket + 0.5) / 20))


def step_percentile(histogram: Any, q: float) -> float:
    """Upper edge, in µs, of the bucket that holds the q-th fraction of all steps."""
    total = int(np.sum(histogram))
    if total == 0:
        return 0.0
    i = int(np.searchsorted(np.cumsum(histogram), q * total))
    return step_edge_us(i)


_COMMON = [
    ("pid", "<i8"),
    ("heartbeat_ns", "<i8"),  # CLOCK_MONOTONIC; the daemon replaces a process that stops beating
    ("ready", "<i8"),
    ("stop", "<i8"),  # written by the daemon
    ("note", "S240"),  # one line for the log: what this process had to do without
]
_SECTIONS: dict[str, list[tuple[Any, ...]]] = {
    "daemon": [
        *_COMMON,
        ("state", "<i8"),
        ("reason", "S240"),
        ("session", "<u8"),
        ("config_rev", "<i8"),
        ("insecure", "S240"),  # what everybody on some network may reach
        ("started_utc_ns", "<i8"),
        ("restarts", "<i8", (len(ROLES),)),
    ],
    "capture": [
        *_COMMON,
        ("blocks", "<i8"),
        ("samples", "<i8"),
        ("last_block_ns", "<i8"),
        ("age_ns", "<i8"),  # of the newest block's first sample when the callback saw it
        ("host_flags", "<i8"),  # callbacks for which the host API raised one
        ("samplerate", "<i8"),
        ("device_rate", "<i8"),  # what a device that was refused runs at, Hz; 0: unknown
        ("channels", "<i8"),
        ("blocksize", "<i8"),
        ("latency", "<i8"),  # samples of the stream that resampling at this door adds
        ("source", "S240"),
        ("reason", "S240"),
    ],
    "separate": [
        *_COMMON,
        ("state", "<i8"),
        ("hops", "<i8"),
        ("sample_pos", "<i8"),
        ("overruns", "<i8"),  # samples lost at the ring's door
        ("lost_input", "<i8"),  # samples that never came, or came too late to be heard
        ("concealed", "<i8"),  # samples invented in their place
        ("repaired", "<i8"),  # samples that were no numbers, or absurdly loud; set to 0
        ("discontinuities", "<i8"),
        ("late", "<i8"),  # hops that went out with older masks or dry
        ("dry", "<i8"),  # of those, hops that went out dry
        ("skipped", "<i8"),  # frames the model never saw
        ("resting", "<i8"),  # there is silence, and the model rests
        ("rested", "<i8"),  # hops it did not hear because of that
        ("fits", "<i8"),  # network: feeds that are separated in time here, as measured; 0: no limit
        ("misses", "<i8"),  # hops ready more than one hop after their last sample came
        ("step_ns", "<i8"),  # the last hop's
        ("load", "<f8"),  # time used over time available, smoothed over about a second
        ("steps", "<i8", (STEP_BUCKETS,)),
        ("steps_ns", "<i8"),  # of all steps together
        ("latency", "<i8"),
        ("feature_latency", "<i8"),
        ("rate_measured", "<f8"),
        ("samplerate", "<i8"),
        ("hop_length", "<i8"),
        ("n_fft", "<i8"),
        ("model", "S80"),
        ("provider", "S40"),
        ("reason", "S240"),
        ("hand_over", "S40"),  # written by the daemon: end, and leave your state under this name
        ("took", "<i8"),  # this one took over
    ],
    "spare": [],
    "publish": [
        *_COMMON,
        ("hops", "<i8"),
        ("delays", "<i8", (STEP_BUCKETS,)),  # from the arrival of a hop's input to here
        ("delays_ns", "<i8"),  # of all hops together
        ("sent", "<i8"),
        ("bytes", "<i8"),
        ("subscribers", "<i8"),
        ("osc_sent", "<i8"),
        ("osc_errors", "<i8"),
        ("osc_received", "<i8"),
        ("osc_clients", "<i8"),
        ("midi_sent", "<i8"),
        ("midi_dropped", "<i8"),  # messages there was no port for
        ("datagrams_sent", "<i8"),  # packets of VBAN and ReaStream
        ("datagrams_errors", "<i8"),  # packets the system refused
        ("requests", "<i8"),
        ("refused", "<i8"),
        ("strangers", "<i8"),  # connections without a key, or with one that is not on the list
        ("turned_away", "<i8"),  # connections beyond security.max_peers
        ("evicted", "<i8"),  # subscribers that asked for too much, or whose key was revoked
        ("reason", "S240"),
    ],
    "play": [
        *_COMMON,
        ("samples", "<i8"),
        ("underruns", "<i8"),  # samples
        ("overruns", "<i8"),  # samples dropped to come back to the target
        ("fill", "<f8"),  # samples between separate and the device
        ("ppm", "<f8"),  # correction in force
        ("samplerate", "<i8"),
        ("latency", "<i8"),  # samples this output adds
        ("device", "S240"),
        ("reason", "S240"),
    ],
    "record": [
        *_COMMON,
        ("recording", "<i8"),
        ("samples", "<i8"),
        ("lost", "<i8"),
        ("held", "<i8"),  # samples kept for who presses record too late
        ("path", "S400"),
        ("reason", "S240"),
    ],
    "inserts": [
        *_COMMON,
        ("alone", "<i8"),  # there is no stream beside them
        ("instances", "<i8"),  # connected now
        ("offline", "<i8"),  # of those, rendering faster than real time
        ("limit", "<i8"),
        ("hellos", "<i8"),
        ("refused", "<i8"),  # HELLOs: no slot, no such rate, no sense, too many a second
        ("strangers", "<i8"),  # connections whose key is not on the list
        ("evicted", "<i8"),  # that went without BYE
        ("hops", "<i8"),  # of all instances
        ("rounds", "<i8"),  # calls of the model, each for all instances that were ready
        ("frames_in", "<i8"),
        ("frames_out", "<i8"),
        ("late", "<i8"),  # hops no model was asked for, because the host had gone on
        ("dry", "<i8"),  # hops any part of which went out dry
        ("gaps", "<i8"),  # pieces of input that did not come, or did not fit
        ("zero_filled", "<i8"),  # frames
        ("overflows", "<i8"),  # AUDIO dropped because a sender ran too far ahead
        ("stale", "<i8"),  # AUDIO of frames that were there before
        ("repaired", "<i8"),  # samples that were no numbers, or absurdly loud; set to 0
        ("dropped", "<i8"),  # frames of stems an instance did not take, or left behind
        ("unknown", "<i8"),  # messages of nobody we know
        ("bad", "<i8"),  # messages that made no sense
        ("errors", "<i8"),  # ERRORs sent
        ("step_ns", "<i8"),  # the last round's
        ("load", "<f8"),  # share of the time spent separating, smoothed over about a second
        ("steps", "<i8", (STEP_BUCKETS,)),
        ("names", "S400"),  # who is there
        ("endpoint", "S240"),
        ("model", "S80"),
        ("provider", "S40"),
        ("reason", "S240"),
    ],
    "metrics": [
        *_COMMON,
        ("requests", "<i8"),
        ("reason", "S240"),
    ],
    "console": [
        *_COMMON,
        ("browsers", "<i8"),  # connected now
        ("listeners", "<i8"),  # of those, hearing a stem
        ("refused", "<i8"),  # requests and connections: too many, or from where they may not come
        ("sent", "<i8"),  # pictures, pieces of audio and words
        ("dropped", "<i8"),  # of those, for browsers that were too slow
        ("requests", "<i8"),  # of clients, understood
        ("endpoint", "S240"),
        ("reason", "S240"),
    ],
    "advertise": [
        *_COMMON,
        ("names", "S240"),  # what the services are called on the network
        ("addresses", "S240"),  # where they are told to be
        ("reason", "S240"),
    ],
    "command": [
        ("asked", "<i8"),
        ("what", "<i8"),
        ("argument", "S600"),
        ("done", "<i8"),
        ("ok", "<i8"),
        ("text", "S400"),
    ],
}
_SECTIONS["spare"] = _SECTIONS["separate"]  # of a separator that waits to take over


# What is known of the sender of each feed; counts since the daemon started.
_OF_A_FEED = [
    ("sender", "S32"),
    ("admissions", "<i8"),  # +1 when a sender takes the feed, and when it is gone: odd is taken
    ("present", "<i8"),  # there is something to play
    ("drives", "<i8"),  # its clock is the stream's
    ("sealed", "<i8"),  # its audio is encrypted
    ("buffer_ms", "<f8"),  # beyond the fastest way, now
    ("target_ms", "<f8"),  # … and wanted
    ("rate", "<f8"),  # Hz, as the sender measures its device
    ("way_ms", "<f8"),  # there and back, at best
    ("offset_ms", "<f8"),  # the sender's clock minus ours
    ("offset_error_ms", "<f8"),  # … and no further off than this
    ("received", "<i8"),  # datagrams of audio
    ("late", "<i8"),  # blocks after their time
    ("duplicates", "<i8"),
    ("recovered", "<i8"),  # blocks played from a copy, or sent again
    ("asked", "<i8"),  # blocks asked for again
    ("concealed", "<i8"),  # samples invented
    ("lost", "<i8"),  # samples passed over: the sender was away, or lost them itself
    ("seams", "<i8"),  # holes
    ("slips", "<i8"),  # samples invented or dropped between two senders' clocks
    ("flooded_by_feed", "<i8"),  # datagrams beyond what its blocks need
]


def _dtype(n_feeds: int) -> np.dtype[Any]:
    mixer = [
        ("rev", "<i8"),
        ("gain", "<f4", (n_feeds, N_STEMS)),
        ("mute", "<i4", (n_feeds, N_STEMS)),
        ("solo", "<i4", (n_feeds, N_STEMS)),
        ("bypass", "<i4", (n_feeds,)),
        ("onset_threshold", "<f4", (n_feeds, len(SOURCES))),  # odds asked for
        ("pitch_confidence", "<f4", (n_feeds, len(SOURCES))),  # periodicity from which f0 is given
        ("pitch_low_hz", "<f4", (n_feeds, len(SOURCES))),
        ("pitch_high_hz", "<f4", (n_feeds, len(SOURCES))),
        ("drum_threshold", "<f4", (n_feeds, len(DRUMS))),  # factor on the built-in threshold
        ("tempo_low_bpm", "<f4", (n_feeds,)),
        ("tempo_high_bpm", "<f4", (n_feeds,)),
        ("tempo_lock", "<i4", (n_feeds,)),
        ("tap_count", "<i8", (n_feeds,)),
        ("tap_ns", "<i8", (n_feeds,)),  # CLOCK_MONOTONIC of the newest tap
        ("paused", "<i4"),
        ("recording", "<i4"),
        ("hold", "<i4"),
        ("preset", "S40"),  # last recalled
    ]
    network = [
        ("endpoint", "S80"),
        ("secure", "<i8"),  # senders need keys, and what they send is encrypted
        ("senders", "<i8"),  # connected now
        ("hellos", "<i8"),
        ("refused", "<i8"),  # HELLOs: no feed left, another rate, no sense
        ("strangers", "<i8"),  # datagrams of no session
        ("strangers_refused", "<i8"),  # connections whose key is not on the list
        ("forged", "<i8"),  # datagrams that are not their sender's
        ("replayed", "<i8"),  # datagrams that were here before
        ("bad", "<i8"),  # datagrams and messages that made no sense
        ("flooded", "<i8"),  # HELLOs beyond what one has time for
        ("unsent", "<i8"),  # answers nobody took
        *[(name, kind, (n_feeds,)) for name, kind in _OF_A_FEED],
    ]
    sections = {**_SECTIONS, "mixer": mixer, "network": network}
    return np.dtype([(name, np.dtype(fields, align=True)) for name, fields in sections.items()])


@dataclass(frozen=True, slots=True)
class StatusHandle:
    """What a child needs to find the status."""

    shared: SharedHandle
    n_feeds: int


class Status:
    """All sections; `status.separate["hops"]` reads, assignment writes."""

    def __init__(self, shared: SharedRecord, n_feeds: int) -> None:
        self._shared = shared
        self.n_feeds = n_feeds
        v = shared.view
        self.daemon: Any = v["daemon"]
        self.capture: Any = v["capture"]
        self.separate: Any = v["separate"]
        self.spare: Any = v["spare"]
        self.publish: Any = v["publish"]
        self.play: Any = v["play"]
        self.record: Any = v["record"]
        self.inserts: Any = v["inserts"]
        self.advertise: Any = v["advertise"]
        self.metrics: Any = v["metrics"]
        self.console: Any = v["console"]
        self.mixer: Any = v["mixer"]
        self.network: Any = v["network"]
        self.command: Any = v["command"]

    @classmethod
    def create(cls, n_feeds: int) -> Status:
        """Take the memory; gains at unity."""
        status = cls(SharedRecord.create(_dtype(n_feeds)), n_feeds)
        status.mixer["gain"] = 1.0
        status.mixer["onset_threshold"] = ONSET_THRESHOLD
        status.mixer["pitch_confidence"] = PITCH_CONFIDENCE
        ranges = [PITCH_RANGES_HZ[name] for name in SOURCES]
        status.mixer["pitch_low_hz"] = [low for low, _ in ranges]
        status.mixer["pitch_high_hz"] = [high for _, high in ranges]
        status.mixer["drum_threshold"] = 1.0
        status.mixer["tempo_low_bpm"], status.mixer["tempo_high_bpm"] = TEMPO_RANGE_BPM
        return status

    @classmethod
    def attach(cls, handle: StatusHandle) -> Status:
        """Map the status in another process."""
        return cls(handle.shared.attach(), handle.n_feeds)

    @property
    def handle(self) -> StatusHandle:
        """To be sent to a child."""
        return StatusHandle(self._shared.handle, self.n_feeds)

    def close(self) -> None:
        """Unmap; the creator also removes the memory."""
        for name in (*_SECTIONS, "mixer", "network"):
            setattr(self, name, None)
        self._shared.close()

    @property
    def state(self) -> State:
        """What the daemon as a whole is doing: the stream's own state while the daemon runs."""
        daemon = State(int(self.daemon["state"]))
        if daemon is not State.RUNNING or self.inserts["alone"]:
            return daemon
        return State(int(self.separate["state"]))

    @property
    def reason(self) -> str:
        """Why the state is what it is; empty when all is well."""
        if State(int(self.daemon["state"])) is State.RUNNING:
            parts = (self.separate, self.capture, self.publish, self.play, self.record)
            late = (self.inserts, self.metrics, self.console, self.advertise)
            reasons = (text(part["reason"]) for part in (*parts, *late))
            return next(filter(None, reasons), "")
        return text(self.daemon["reason"])

    @staticmethod
    def set_text(section: Any, field: str, value: str) -> None:
        """Write a text field, cut to its width."""
        section[field] = encode(value, section.dtype[field].itemsize)

    def snapshot(self) -> dict[str, Any]:
        """Everything as plain Python values, for JSON."""
        out: dict[str, Any] = {"state": self.state.name, "reason": self.reason}
        for name in (*_SECTIONS, "mixer", "network"):
            if name == "spare":
                continue
            section = getattr(self, name)
            values: dict[str, Any] = {}
            for field in section.dtype.names:
                value = section[field]
                if isinstance(value, bytes):
                    values[field] = text(value)
                elif field == "sender":
                    values[field] = [text(one) for one in value]
                elif field in ("steps", "delays"):
                    values[f"{field[:-1]}_us"] = {
                        str(q): round(step_percentile(value, q), 1) for q in (0.5, 0.99, 0.999)
                    }
                else:
                    values[field] = value.tolist()
            out[name] = values
        out["daemon"]["restarts"] = dict(zip(ROLES, out["daemon"]["restarts"], strict=True))
        return out
