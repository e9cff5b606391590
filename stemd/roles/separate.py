"""The separation process: ring → STFT → model → iSTFT → features → outbox, hop by hop."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

from .. import realtime
from ..errors import EXIT_FAILED, ModelError, StemdError
from ..kernels.denormals import flush_denormals
from ..outbox import READERS, Outbox
from ..processors.catalogue import find_model
from ..processors.deadline import DeadlineModel
from ..processors.features import Features
from ..processors.masknet import MaskNet, SlotNet
from ..processors.mixer import Mixer
from ..processors.presence import PresentNet, feeds_that_fit
from ..processors.rest import Rest
from ..processors.separator import HopSeparator
from ..ring import Ring
from ..shared import text
from ..spec import N_CHANNELS, N_STEMS, SOURCES
from ..status import State, Status, step_bucket
from ..wire.header import (
    FLAG_CLIPPED,
    FLAG_CONFIG,
    FLAG_DISCONTINUITY,
    FLAG_DRY,
    FLAG_LATE,
    FLAG_SILENCE,
)
from .handover import give, place_of
from .intake import SECOND_NS, Intake
from .links import Links, Role

HEARD_S = 1.5  # of the past, by a model that takes over
WARM_HOPS = 60  # enough for every kernel, for ONNX Runtime's plans and for the caches
STUCK_S = 2.0  # of frames and none finished: as long as a process may give no sign
PATIENCE_S = 1.0  # with a model, where nobody waits for the sound
LOAD_SMOOTHING_S = 1.0
UTC_REFRESH_NS = SECOND_NS  # the system clock may be stepped while we run
WOKEN = ("publish", "play", "record")  # by each hop; other readers look when they like
MIX, PEAK = SOURCES.index("mix"), 1


class Pipeline:
    """Everything one hop goes through.

    Parameters
    ----------
    links : Links
    role : Role

    Raises
    ------
    ModelError
        When the model cannot be used with this configuration, or fails while it warms up.
    """

    def __init__(self, links: Links, role: Role) -> None:
        config, spec = links.config, links.spec
        self.spec = spec
        self.status = role.status
        self.section = section = role.section
        self.outbox = Outbox.attach(links.outbox)
        self.ring = Ring.attach(links.ring)
        # Readers come and go with reloads; what tells of hops to nobody would only pile up.
        self._wake = [(READERS.index(name), links.wake[name]) for name in WOKEN]
        self._attached = self.outbox.attached
        path = find_model(config.model.name, config.profile)
        self._present: PresentNet | None = None
        net: MaskNet | PresentNet
        if config.source.kind == "network":  # where feeds come and go
            net = self._present = PresentNet(SlotNet(path, spec, config.model.provider), spec)
        else:
            net = MaskNet(path, spec, config.model.provider)
        self._admissions = np.zeros(spec.n_feeds, np.int64)
        source = config.source
        fast = source.pace == "fast" and source.kind in ("file", "tone", "demo")
        self._lossless = fast or source.kind == "stdin"  # it can wait
        # What is made faster than it plays has the masks of each frame, however long they take.
        self._budget_s = PATIENCE_S if fast else config.model.deadline * spec.hop_s
        self._stuck_hops = STUCK_S / (PATIENCE_S if fast else spec.hop_s)
        self._model = DeadlineModel(net, spec, self._budget_s, on_start=flush_denormals)
        self._names = net.name, net.provider
        self._channels = config.ring_channels
        self.separator = HopSeparator(spec, self._model)
        self.mixer = Mixer(spec)
        self.features = Features(spec)
        self._warm()
        self.check()
        # Only now: what warms it up is quiet for half of the time.
        rest = config.model.rest_after_s, config.model.rest_below_db
        self._rest = self.separator.rest = Rest(spec, *rest)
        self._hop_ns = spec.hop_length * SECOND_NS // spec.samplerate
        self._smoothing = min(spec.hop_s / LOAD_SMOOTHING_S, 1.0)
        self._mixer_rev = -1
        self._taps = self.status.mixer["tap_count"].copy()
        # Ranges as last set, low and high; at first none.
        self._tempi = np.zeros((spec.n_feeds, 2))
        self._pitches = np.zeros((spec.n_feeds, len(SOURCES), 2))
        self._paused = False
        self._utc_offset_ns = 0
        self._utc_read_ns = 0
        self._skipped = int(section["skipped"])
        section["rate_measured"] = spec.samplerate
        section["state"] = State.STARTING
        self._introduce()

    def _introduce(self) -> None:
        """Say what this is."""
        section, spec = self.section, self.spec
        section["latency"] = spec.latency
        section["feature_latency"] = spec.feature_latency
        section["samplerate"] = spec.samplerate
        section["hop_length"] = spec.hop_length
        section["n_fft"] = spec.n_fft
        Status.set_text(section, "model", self._names[0])
        Status.set_text(section, "provider", self._names[1])

    def listen_to(self, links: Links, anew: bool = True) -> None:
        """Begin with what the ring receives from now on; the last thing before the first hop.

        anew : False for who will take over from another, see `handover`.
        """
        config = links.config
        backlog = config.runtime.max_backlog_hops * self.spec.hop_length
        self.intake = Intake(
            self.ring,
            self._channels,
            self.spec,
            self.section,
            stall_s=config.runtime.stall_ms * 1e-3,
            max_backlog=0 if self._lossless else backlog,
            trust_clock=config.source.timeline == "device" and config.source.kind != "network",
            anew=anew,
        )

    def hear_the_past(self) -> None:
        """Let the model hear the last seconds, so that it knows what is playing."""
        self._attend()  # before any of it: at the first hop it would forget what was handed over
        channels = self._channels
        hop = np.zeros((self.spec.n_feeds, N_CHANNELS, self.spec.hop_length), np.float32)
        scratch = np.zeros(1, self.outbox.dtype)[0]
        for start in self.ring.past(round(HEARD_S * self.spec.samplerate), self.spec.hop_length):
            for feed, pair in enumerate(channels):
                self.ring.copy(start, self.spec.hop_length, pair, hop[feed])
            self.separator.process(hop, scratch["stems"], scratch["mix"], time.monotonic() + 1.0)

    @property
    def threads(self) -> tuple[int, ...]:
        """Native ids of the threads the audio waits for, besides the caller's."""
        return self._model.threads

    @property
    def failed(self) -> str:
        """Why no masks will come any more; empty while the model works."""
        if self._model.failed:
            return f"model: got {self._model.failed}, expected masks"
        if self._model.unanswered > self._stuck_hops:
            return f"model: got no masks for {STUCK_S:.0f} s, expected those of some hop"
        return ""

    def check(self) -> None:
        """Raises ModelError when the model failed."""
        if reason := self.failed:
            raise ModelError(reason)

    def take_over(self, role: Role) -> None:
        """Be the separator: after `handover.take`."""
        self.section = section = role.section
        section["fits"] = self.status.spare["fits"]  # measured with this model
        self.intake.hold(self.ring, section)
        self.separator.model = self._model
        self._rest.reset()  # the model has heard no more silence than there was in its past
        self.separator.rest = self._rest
        self._skipped = int(section["skipped"])
        self._introduce()

    def _warm(self) -> None:
        """Compile, plan and touch everything, on memory laid out as the outbox is."""
        scratch = np.zeros(1, self.outbox.dtype)[0]
        hop = np.zeros((self.spec.n_feeds, N_CHANNELS, self.spec.hop_length), np.float32)
        noise = np.random.default_rng(0)
        for i in range(WARM_HOPS):
            hop[:] = 0.1 * noise.standard_normal(hop.shape) if i < WARM_HOPS // 2 else 0.0
            self._hop(hop, scratch, time.monotonic() + 1.0)
        if self._present is not None:
            self._measure(hop, scratch)
        self.separator.reset()
        self.mixer.reset()
        self.features.reset()

    def _measure(self, hop: Any, scratch: Any) -> None:
        """How many feeds fit, before any is there."""
        assert self._present is not None
        n_feeds = self.spec.n_feeds

        def step() -> float:
            started_s = time.monotonic()
            self._hop(hop, scratch, started_s + 1.0)
            return time.monotonic() - started_s

        fits = feeds_that_fit(self._present, n_feeds, self.spec.hop_s, step)
        self.section["fits"] = max(1, fits)  # one is always let in; 0 says: not measured
        self._present.present = ()

    def _attend(self) -> None:
        """Senders have come or gone since the last hop."""
        network = self.status.network
        if self._present is None or (network["admissions"] == self._admissions).all():
            return
        now = network["admissions"].copy()  # more may come meanwhile
        for feed in np.flatnonzero(now != self._admissions):
            if now[feed] & 1:  # odd: somebody is there
                self.separator.reset(int(feed))
                self.features.forget(int(feed))
        self._admissions[:] = now
        self._present.present = tuple(int(f) for f in np.flatnonzero(self._admissions & 1))

    def _hop(self, hop: Any, record: Any, deadline_s: float) -> None:
        """One hop, from samples to stems and features."""
        separator = self.separator
        separator.process(hop, record["stems"], record["mix"], deadline_s)
        self.features.process(separator, record["mix"], record["stems"], record["features"])
        self.mixer.process(record["stems"])

    def step(self, now_ns: int) -> bool:
        """Process the next hop if there is one."""
        intake = self.intake
        if self._lossless and not self.outbox.room():
            return False
        if not intake.take(now_ns):
            return False
        started_ns = time.monotonic_ns()
        self._listen()
        self._attend()
        if intake.forget:
            self.separator.reset()
            self.features.forget()
        if intake.flags & FLAG_DISCONTINUITY:
            for feed in range(self.spec.n_feeds):
                self.features.seam(feed)
        elif intake.seams:
            for feed in range(self.spec.n_feeds):
                if intake.seams >> feed & 1:
                    self.features.seam(feed)
        record = self.outbox.claim()
        deadline_s = max(intake.arrival_ns, started_ns) * 1e-9 + self._budget_s
        self._hop(intake.hop, record, deadline_s)
        self._stamp(record, started_ns)
        self.outbox.publish()
        for reader, semaphore in self._wake:
            if self._attached[reader]:
                semaphore.release()
        return True

    def _listen(self) -> None:
        """Take over what clients changed."""
        mixer = self.status.mixer
        rev = int(mixer["rev"])
        if rev == self._mixer_rev:
            return
        first, self._mixer_rev = self._mixer_rev < 0, rev
        self._paused = bool(mixer["paused"])
        for feed in range(self.spec.n_feeds):
            # Bypass is for emergencies: the input is to be heard whatever the faders say.
            bypass = bool(mixer["bypass"][feed])
            self.separator.set_bypass(bypass, feed)
            for stem in range(N_STEMS):
                gain = 1.0 if bypass else float(mixer["gain"][feed, stem])
                self.mixer.set_gain(stem, gain, feed)
                self.mixer.set_solo(stem, not bypass and bool(mixer["solo"][feed, stem]), feed)
                mute = not bypass and bool(mixer["mute"][feed, stem])
                self.mixer.set_mute(stem, self._paused or mute, feed)
        if first:
            self.mixer.settle()
        self._tune(mixer)
        self.intake.flags |= FLAG_CONFIG

    def _tune(self, mixer: Any) -> None:
        """Thresholds and ranges of the features, and taps."""
        features = self.features
        features.onset.threshold[:] = mixer["onset_threshold"]
        features.pitch.voiced[:] = mixer["pitch_confidence"]
        features.drums.threshold[:] = mixer["drum_threshold"]
        features.tempo.lock[:] = mixer["tempo_lock"]
        # Of what is in the features already the newest sample came one hop before this one's.
        newest_ns = self.intake.arrival_ns - self._hop_ns
        for feed in range(self.spec.n_feeds):
            ends = mixer["tempo_low_bpm"][feed], mixer["tempo_high_bpm"][feed]
            if (self._tempi[feed] != ends).any():
                self._tempi[feed] = ends
                features.tempo.set_range(feed, float(ends[0]), float(ends[1]))
            for source in range(len(SOURCES)):
                ends = mixer["pitch_low_hz"][feed, source], mixer["pitch_high_hz"][feed, source]
                if (self._pitches[feed, source] != ends).any():
                    self._pitches[feed, source] = ends
                    features.pitch.set_range(source, float(ends[0]), float(ends[1]), feed)
            if self._taps[feed] != mixer["tap_count"][feed]:
                self._taps[feed] = mixer["tap_count"][feed]
                features.tempo.tap(feed, (newest_ns - int(mixer["tap_ns"][feed])) * 1e-9)

    def _stamp(self, record: Any, started_ns: int) -> None:
        """Positions, times, flags and counters of the hop just made."""
        intake, section, spec = self.intake, self.section, self.spec
        separator = self.separator
        late, dry = bool(separator.late.any()), bool(separator.dry.any())
        peak = float(record["features"][:, MIX, PEAK].max())
        flags = intake.flags
        flags |= FLAG_LATE if late else 0
        flags |= FLAG_DRY if dry else 0
        flags |= FLAG_CLIPPED if peak >= 1.0 else 0
        flags |= FLAG_SILENCE if peak == 0.0 or self._paused else 0
        state = State.STALLED if intake.stalled else State.RUNNING
        state = State.PAUSED if self._paused and not intake.stalled else state
        now_ns = time.monotonic_ns()
        if now_ns - self._utc_read_ns > UTC_REFRESH_NS:
            self._utc_offset_ns = time.time_ns() - now_ns
            self._utc_read_ns = now_ns
        content_ns = intake.first_ns - (spec.latency - spec.hop_length) * SECOND_NS // (
            spec.samplerate
        )
        record["session"] = self.status.daemon["session"]
        record["sample_pos"] = intake.position
        record["latency"] = spec.latency
        record["t_capture_ns"] = content_ns + self._utc_offset_ns if intake.first_ns else 0
        record["t_arrival_ns"] = intake.arrival_ns
        record["rate_measured"] = intake.clock.samplerate
        record["lost_input"] = section["lost_input"]
        record["config_rev"] = self._mixer_rev
        record["state"] = state
        record["flags"] = flags
        record["t_ready_ns"] = now_ns
        step_ns = now_ns - started_ns
        section["state"] = state
        section["hops"] += 1
        section["sample_pos"] = intake.position
        section["overruns"] = self.ring.overruns
        section["late"] += late
        section["dry"] += dry
        section["resting"] = separator.resting
        section["rested"] += separator.resting
        section["skipped"] = self._skipped + self._model.skipped
        section["misses"] += not self._lossless and now_ns - intake.arrival_ns > self._hop_ns
        section["step_ns"] = step_ns
        section["steps"][step_bucket(step_ns)] += 1
        section["steps_ns"] += step_ns
        section["load"] += self._smoothing * (step_ns / self._hop_ns - section["load"])
        section["heartbeat_ns"] = now_ns

    def close(self) -> None:
        """Stop the model's thread."""
        self._model.close()


def run(links: Links) -> None:
    """Separate until stopped or until the source's last sample is out."""
    status = Status.attach(links.status)
    role = Role("separate", status)
    runtime = links.config.runtime
    role.note(realtime.enter("separate", runtime.realtime, runtime.lock_memory))
    flush_denormals()
    try:
        pipeline = Pipeline(links, role)
    except StemdError as error:
        role.reason(str(error))
        sys.exit(error.exit_code)
    role.reason("")
    role.ready()
    pipeline.listen_to(links)
    serve(pipeline, role, links)


def serve(pipeline: Pipeline, role: Role, links: Links) -> None:
    """Hop after hop, until the end or until another one takes over.

    A model that failed would leave the stream dry for ever: the daemon then starts us again.
    """
    wake = links.wake["separate"]
    section = role.section
    while not role.stopping and not pipeline.intake.finished:
        if pipeline.step(time.monotonic_ns()):
            if reason := pipeline.failed:
                role.reason(reason)
                os._exit(EXIT_FAILED)  # the model's thread may never come back to be ended
            if not section["hand_over"]:  # who is behind all the time hands over all the same
                continue
        if token := text(section["hand_over"]):
            give(pipeline, place_of(int(role.status.daemon["pid"]), token))
            break
        role.beat()
        wake.acquire(True, max(pipeline.intake.wait_s(time.monotonic_ns()), 0.0005))
    pipeline.close()
