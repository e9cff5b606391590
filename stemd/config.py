"""Load, check, freeze.

A configuration is a TOML file read into the frozen classes below: their fields are the keys, their
defaults the defaults, their comments the reference. Everything is checked here, once, and every
complaint names file, line and key. After this door nobody checks again.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import ConfigError
from .spec import (
    DRUMS,
    FEATURES,
    GROUPS,
    LIGHT_GROUPS,
    OPUS_RATE,
    PROFILES,
    SOURCES,
    STEMS,
    StreamSpec,
)

VERSION = 1

MIN_OPUS_KBPS = 6
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
DEFAULT_RATE_HZ = 48_000
MAX_CHANNELS = 128  # the widest interfaces in use have fewer
MAX_FEEDS = 64
MAX_PREFIX = 64  # characters; a bundle of 1400 bytes must still hold an address
MAX_MAPPINGS = 128  # what one hop has time for, with room to spare
MAX_ARGUMENTS = 16
MAX_ADDRESS = 256  # characters
MAX_STREAM_NAME = 9  # VBAN has 16 bytes, and "-vocals" needs seven of them
MIDI_STEMS = ("vocals", "bass", "other")  # whose notes are played; the drums have their own channel
NATIVE_RATES = (44_100, 48_000)  # what models are trained for; other rates go through soxr

Kind = Literal["auto", "device", "jack", "file", "tone", "demo", "stdin", "network", "none"]


def _between(low: float, high: float) -> dict[str, Any]:
    return {"between": (low, high)}


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where audio comes from."""

    # auto: the input device; the demo loop where there is none at all, and none is named.
    # jack: ports stemd:in_L and stemd:in_R of JACK or PipeWire, for others to connect.
    # network: what `stemd send` brings, see [network].
    # none: no stream at all; the daemon is there for DAW plugins, see [inserts].
    kind: Kind = "auto"
    device: str = ""  # part of the device's name, any case; empty: the host API's default
    host_api: str = ""  # part of its name: "ALSA", "JACK", "Core Audio", "WASAPI"; empty: any
    # Hz; 0: whatever the device or file has, followed when it changes; 48000 where it has none
    samplerate: int = field(default=0, metadata=_between(0, MAX_RATE_HZ))
    blocksize: int = field(default=0, metadata=_between(0, 16_384))  # samples; 0: the hop length
    # "device": a jump of the device clock is lost audio and becomes as much silence.
    # "content": only what arrives counts; for servers that stop their clock and lose nothing.
    timeline: Literal["device", "content"] = "device"
    path: str = ""  # file: any format libsndfile reads
    pace: Literal["real", "fast"] = "real"  # file, tone, demo: as it plays, or as fast as we can
    loop: bool = False  # file: start again at its end
    channels: int = field(default=2, metadata=_between(1, MAX_CHANNELS))  # stdin: interleaved
    encoding: Literal["f32le", "s16le", "s32le"] = "f32le"  # stdin
    frequency_hz: float = field(default=440.0, metadata=_between(1.0, 20_000.0))  # tone
    level_db: float = field(default=-12.0, metadata=_between(-120.0, 0.0))  # tone, dBFS peak


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """One stereo (or mono) signal to separate, taken from channels of the source."""

    name: str = "main"  # appears in topics, and in OSC addresses but for the first feed
    channels: tuple[int, ...] = (1, 2)  # 1-based; one channel is heard as mono
    # network: name of the sender it comes from; empty: any that no other feed names
    sender: str = ""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Where senders come in when source.kind is "network", and how long they are waited for."""

    bind: str = "127.0.0.1"
    port: int = field(default=5573, metadata=_between(1, 65_535))  # TCP, and UDP of that number
    insecure: bool = False  # beyond loopback, ask nobody for a key and encrypt nothing
    # The buffer against jitter follows what it sees between these limits, from this start.
    buffer_min_ms: float = field(default=5.0, metadata=_between(1.0, 1_000.0))
    buffer_max_ms: float = field(default=100.0, metadata=_between(5.0, 1_000.0))
    buffer_start_ms: float = field(default=15.0, metadata=_between(1.0, 1_000.0))
    buffer_ms: float = field(default=0.0, metadata=_between(0.0, 1_000.0))  # not 0: fixed
    # Blocks more than seem needed: 0 is fast, 3 is safe.
    bias: float = field(default=0.0, metadata=_between(0.0, 16.0))
    resend: bool = True  # ask for what is missing while there is time (UDP)
    # Feeds at once; 0: as many as could be separated in time when the daemon started.
    limit: int = field(default=0, metadata=_between(0, MAX_FEEDS))


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The network that makes the masks."""

    name: str = "default"  # a released model, or a path to an .onnx file
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    # Share of a hop the model may take before older masks are used instead.
    deadline: float = field(default=0.8, metadata=_between(0.05, 4.0))
    # All feeds quieter than `rest_below_db` (dBFS, peak) for this long, it rests until sound comes;
    # 0: never. A minute: by then it has forgotten most of what it heard.
    rest_after_s: float = field(default=0.0, metadata=_between(0.0, 3_600.0))
    rest_below_db: float = field(default=-90.0, metadata=_between(-200.0, -60.0))


@dataclass(frozen=True, slots=True)
class MixerConfig:
    """Levels and thresholds at start, or of a preset; clients change them while the daemon runs.

    Levels are set as a whole: a stem that is not named is at unity and heard. Of what the detectors
    are told, only what is named is set.
    """

    gain_db: Mapping[str, float] = field(
        default_factory=dict, metadata={"keys": STEMS, **_between(-120.0, 20.0)}
    )
    mute: tuple[str, ...] = field(default=(), metadata={"choices": STEMS})
    solo: tuple[str, ...] = field(default=(), metadata={"choices": STEMS})
    bypass: bool = False
    # Odds from which something is an onset: more hears less.
    onset_threshold: Mapping[str, float] = field(
        default_factory=dict, metadata={"keys": SOURCES, **_between(0.01, 100.0)}
    )
    # Periodicity from which pitch is given, and where it is looked for.
    pitch_confidence: Mapping[str, float] = field(
        default_factory=dict, metadata={"keys": SOURCES, **_between(0.0, 1.0)}
    )
    pitch_low_hz: Mapping[str, float] = field(
        default_factory=dict, metadata={"keys": SOURCES, **_between(20.0, 5_000.0)}
    )
    pitch_high_hz: Mapping[str, float] = field(
        default_factory=dict, metadata={"keys": SOURCES, **_between(20.0, 5_000.0)}
    )
    # Factor on a drum's built-in threshold: 2 wants hits twice as clear.
    drum_threshold: Mapping[str, float] = field(
        default_factory=dict, metadata={"keys": DRUMS, **_between(0.1, 10.0)}
    )
    tempo_low_bpm: float = field(default=0.0, metadata=_between(0.0, 400.0))  # 0: not set
    tempo_high_bpm: float = field(default=0.0, metadata=_between(0.0, 400.0))  # 0: not set


@dataclass(frozen=True, slots=True)
class ZeroMQConfig:
    """Stems, features, status and control over ZeroMQ."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    audio_port: int = field(default=5570, metadata=_between(1, 65_535))
    features_port: int = field(default=5571, metadata=_between(1, 65_535))
    control_port: int = field(default=5572, metadata=_between(1, 65_535))
    insecure: bool = False  # beyond loopback, ask nobody for a key
    # Serve stems in Opus too, so many kbit/s each (0: not; 6 to 510), encoded while somebody asks.
    opus_kbps: int = field(default=0, metadata=_between(0, 510))


@dataclass(frozen=True, slots=True)
class SecurityConfig:
    """Who may come to ZeroMQ sockets beyond loopback: keys, and how many at once."""

    # Folder with the daemon's key, made when missing, and `clients`, the list of those who may come
    # (stemd keys). Empty: ~/.config/stemd. Relative: to the configuration file.
    keys: str = ""
    loopback: bool = False  # ask for keys on loopback too: other people use this machine
    # Connections of each ZeroMQ socket; who comes when it is full is turned away and counted.
    max_peers: int = field(default=64, metadata=_between(1, 1_000))

    @property
    def folder(self) -> Path | None:
        """Of the keys; None: the usual one."""
        return Path(self.keys) if self.keys else None


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """Telling the network, over mDNS, of what is bound beyond loopback."""

    enabled: bool = True
    name: str = ""  # empty: "stemd on" and the machine's


@dataclass(frozen=True, slots=True)
class OscConfig:
    """Features out to fixed targets and subscribers, control in."""

    enabled: bool = True
    targets: tuple[str, ...] = ("127.0.0.1:9701",)  # numbers only
    text_targets: tuple[str, ...] = ()  # events in words, one by one; a TouchDesigner DAT
    # Groups of numbers that go to `targets`; subscribers choose for themselves.
    features: tuple[str, ...] = field(default=LIGHT_GROUPS, metadata={"choices": GROUPS})
    listen: str = "127.0.0.1:9700"  # empty: no control
    insecure: bool = False  # allow `listen` beyond loopback
    # Networks that may control and subscribe, besides this machine; empty: with `insecure`, all.
    allow: tuple[str, ...] = ()
    query_port: int = field(default=0, metadata=_between(0, 65_535))  # OSCQuery, TCP; 0: none
    prefix: str = "/stemd"
    rate_hz: float = field(default=60.0, metadata=_between(1.0, 240.0))


@dataclass(frozen=True, slots=True)
class MidiConfig:
    """Notes, drum hits and the beat of one feed as MIDI."""

    enabled: bool = False
    port: str = ""  # part of an output port's name, any case; empty: a virtual port "stemd"
    api: Literal["auto", "jack"] = "auto"  # auto: ALSA, Core MIDI or Windows MM
    feed: str = ""  # empty: the first
    # MIDI channel of each stem's notes, 1..16; a stem that is not named plays none.
    channels: Mapping[str, int] = field(
        default_factory=lambda: {"vocals": 1, "bass": 2, "other": 3},
        metadata={"keys": MIDI_STEMS, **_between(1, 16)},
    )
    drum_channel: int = field(default=10, metadata=_between(0, 16))  # 0: no drums
    # Note of each drum; a drum that is not named plays none. These are General MIDI's.
    drums: Mapping[str, int] = field(
        default_factory=lambda: {"kick": 36, "snare": 38, "hihat": 42},
        metadata={"keys": DRUMS, **_between(0, 127)},
    )
    drum_length_ms: float = field(default=50.0, metadata=_between(5.0, 2_000.0))
    pitch_bend: bool = True  # what is sung between the keys
    bend_range: int = field(default=2, metadata=_between(1, 48))  # semitones; receivers are told
    clock: bool = False  # 24 to the beat of the mix, start and stop


@dataclass(frozen=True, slots=True)
class MidiMessageConfig:
    """What a mapping plays."""

    type: Literal["", "note", "cc", "program", "bend"] = ""  # empty: the mapping sends OSC
    channel: int = field(default=1, metadata=_between(1, 16))
    number: int = field(default=-1, metadata=_between(-1, 127))  # of the note or controller


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """One feature that moves one control of another program."""

    source: str = ""  # "drums.kick", "vocals.pitch", "mix.lufs": source and feature
    feed: str = ""  # empty: the first
    # value: the control follows. trigger: sent once when it rises above `threshold`, as strong as
    # it is. gate: output[1] when it rises above, output[0] when it falls below again.
    mode: Literal["value", "trigger", "gate"] = "value"
    # auto: what suits the feature. db: of a linear level. log: of Hz. power: linear, then
    # `exponent`. steps: each of the `output` values for an equal part of the range.
    curve: Literal["auto", "linear", "db", "log", "power", "steps"] = "auto"
    input: tuple[float, ...] = ()  # low, high; dB where the curve is db; empty: suits the feature
    output: tuple[float, ...] = ()  # at low, at high; empty: [0, 1], for MIDI [0, 127]
    exponent: float = field(default=2.0, metadata=_between(0.05, 20.0))  # of the curve power
    attack_ms: float = field(default=0.0, metadata=_between(0.0, 60_000.0))  # value only
    release_ms: float = field(default=0.0, metadata=_between(0.0, 60_000.0))  # value only
    # Learn the range from this many seconds of history; 0: it is fixed.
    history_s: float = field(default=0.0, metadata=_between(0.0, 3_600.0))
    # Part of the input range, 0..1. value: what is below counts as nothing.
    threshold: float = field(default=0.0, metadata=_between(0.0, 1.0))
    hysteresis: float = field(default=0.0, metadata=_between(0.0, 1.0))  # it ends this far below
    hold_ms: float = field(default=50.0, metadata=_between(0.0, 60_000.0))  # shortest gate or note
    rate_hz: float = field(default=60.0, metadata=_between(0.1, 1_000.0))  # at most, also triggers
    # OSC values that do not change are sent again, because UDP loses packets; 0: never
    repeat_s: float = field(default=1.0, metadata=_between(0.0, 3_600.0))
    osc: str = ""  # address
    before: tuple[int | float | str, ...] = ()  # arguments in front of the value
    after: tuple[int | float | str, ...] = ()  # arguments behind it
    value: Literal["float", "int", "none"] = "float"  # type of the value; none: not sent at all
    target: str = ""  # host:port; empty: every one of osc.targets
    midi: MidiMessageConfig = field(default_factory=MidiMessageConfig)


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """Stems on an output device, or on JACK ports `stemd:vocals_L` and so on."""

    enabled: bool = False
    kind: Literal["device", "jack"] = "device"
    device: str = ""
    host_api: str = ""
    feed: str = ""  # empty: the first
    samplerate: int = field(default=0, metadata=_between(0, MAX_RATE_HZ))  # 0: the source's
    blocksize: int = field(default=0, metadata=_between(0, 16_384))  # samples; 0: the hop length
    # Each entry feeds the next pair of output channels; "a+b" plays a mix of stems on one pair.
    # Empty: all on one pair of a device, a pair of JACK ports for each stem.
    pairs: tuple[str, ...] = ()
    # Cushion between the two clocks beyond one block of each side, ms.
    margin_ms: float = field(default=2.0, metadata=_between(0.0, 500.0))

    @property
    def channel_pairs(self) -> tuple[tuple[str, ...], ...]:
        """Sources that are added up on each pair of channels."""
        if not self.pairs:
            return tuple((stem,) for stem in STEMS) if self.kind == "jack" else (STEMS,)
        return tuple(tuple(name.strip() for name in pair.split("+")) for pair in self.pairs)


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """Stems into files."""

    enabled: bool = False
    directory: str = "recordings"  # relative: to the configuration file
    format: Literal["wav", "flac"] = "wav"  # wav is 32-bit float, flac 24-bit
    stems: tuple[str, ...] = field(default=SOURCES, metadata={"choices": SOURCES})
    at_start: bool = True  # false: when a client says so
    # What was heard before somebody said so is recorded too; it waits in memory, 1.9 MB a second
    # for each feed at 48 kHz.
    preroll_s: float = field(default=30.0, metadata=_between(0.0, 300.0))
    rotate_min: float = field(default=0.0, metadata=_between(0.0, 1_440.0))  # new files; 0: never
    keep_free_mb: int = field(
        default=200, metadata=_between(0, 1e9)
    )  # stop before the disk is full


@dataclass(frozen=True, slots=True)
class DatagramsConfig:
    """Stems as plain audio in UDP packets, a stereo stream each, for programs that take such."""

    vban: tuple[str, ...] = ()  # host:port; Voicemeeter and PipeWire listen on 6980
    reastream: tuple[str, ...] = ()  # host:port; ReaStream listens on 58710
    stems: tuple[str, ...] = field(default=STEMS, metadata={"choices": SOURCES})
    name: str = "stemd"  # of the streams: "stemd-vocals" …; at most 9 characters
    feed: str = ""  # empty: the first


@dataclass(frozen=True, slots=True)
class InsertsConfig:
    """DAW plugins that send a track and get its stems back, each a feed of its own."""

    enabled: bool = False
    # "ipc:///path" or "tcp://host:port"; empty: a socket in the user's runtime directory, TCP on
    # loopback where there are none
    endpoint: str = ""
    session: int = field(default=0, metadata=_between(0, 15))  # several daemons of one user differ
    limit: int = field(default=16, metadata=_between(1, 64))  # instances at once
    # Without a word, the plugin's heartbeat included, for this long, an instance is gone.
    timeout_s: float = field(default=10.0, metadata=_between(1.0, 3_600.0))
    insecure: bool = False  # beyond loopback, ask nobody for a key


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Counters for Prometheus: `http://bind:port/metrics`."""

    enabled: bool = False
    bind: str = "127.0.0.1"
    port: int = field(default=9731, metadata=_between(1, 65_535))
    insecure: bool = False  # allow `bind` beyond loopback, for everybody on that network


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """A page for web browsers: meters, mixer, health, listening."""

    enabled: bool = True
    bind: str = "127.0.0.1"
    port: int = field(default=5560, metadata=_between(1, 65_535))
    # What a browser must be told to be let in, 16 characters and more; needed where `bind` goes
    # beyond loopback.
    token: str = ""
    insecure: bool = False  # allow `bind` beyond loopback without a token
    limit: int = field(default=16, metadata=_between(1, 64))  # browsers at once


@dataclass(frozen=True, slots=True)
class StateConfig:
    """What clients turned, kept over a restart."""

    # Levels, thresholds, and an input, model or profile clients chose are written here and restored
    # at start, with a warning. Empty: nothing is kept. Relative: to the configuration file.
    file: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """How hard to hold on to the processor."""

    realtime: bool = True  # real-time scheduling where the system allows it
    lock_memory: bool = True
    # Samples that do not arrive for this long make state STALLED.
    stall_ms: float = field(default=250.0, metadata=_between(20.0, 10_000.0))
    # Backlog beyond this many hops is skipped and counted: latency returns instead of growing.
    max_backlog_hops: int = field(default=16, metadata=_between(2, 1_000))


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the daemon is told."""

    version: int = VERSION
    profile: str = field(default="live", metadata={"choices": tuple(PROFILES)})
    source: SourceConfig = field(default_factory=SourceConfig)
    feed: tuple[FeedConfig, ...] = (FeedConfig(),)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    mixer: MixerConfig = field(default_factory=MixerConfig)
    preset: Mapping[str, MixerConfig] = field(default_factory=dict)  # recalled by name
    zeromq: ZeroMQConfig = field(default_factory=ZeroMQConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    osc: OscConfig = field(default_factory=OscConfig)
    midi: MidiConfig = field(default_factory=MidiConfig)
    mapping: tuple[MappingConfig, ...] = ()
    output: OutputConfig = field(default_factory=OutputConfig)
    datagrams: DatagramsConfig = field(default_factory=DatagramsConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    inserts: InsertsConfig = field(default_factory=InsertsConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    state: StateConfig = field(default_factory=StateConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    @property
    def spec(self) -> StreamSpec:
        """Shape of the stream this configuration asks for, at the rate used inside."""
        return StreamSpec.of(self.profile, self.stream_rate, len(self.feed))

    @property
    def ring_channels(self) -> list[tuple[int, int]]:
        """For each feed the two 0-based channels that capture hands on."""
        if self.source.kind == "network":  # of any number of senders, a pair for each feed
            return [(2 * i, 2 * i + 1) for i in range(len(self.feed))]
        return [(feed.channels[0] - 1, feed.channels[-1] - 1) for feed in self.feed]

    @property
    def stream_rate(self) -> int:
        """Rate used inside, Hz: the source's own, or 48 kHz when no model was trained for it."""
        rate = self.source.samplerate
        return rate if rate in NATIVE_RATES else DEFAULT_RATE_HZ

    @property
    def zeromq_guarded(self) -> bool:
        """Audio, features and control go only to those who hold a key."""
        return self._guarded(self.zeromq.bind, self.zeromq.insecure)

    @property
    def inserts_guarded(self) -> bool:
        """Plugins are served only when they hold a key."""
        kind, _, place = self.inserts.endpoint.partition("://")
        if kind != "tcp":
            return False
        return self._guarded(split_endpoint(place)[0], self.inserts.insecure)

    @property
    def network_guarded(self) -> bool:
        """Senders are heard only when they hold a key, and what they send is encrypted."""
        return self._guarded(self.network.bind, self.network.insecure)

    @property
    def insecure(self) -> tuple[str, ...]:
        """What everybody on some network may reach, in words."""
        found = []
        if self.zeromq.enabled and not (is_loopback(self.zeromq.bind) or self.zeromq_guarded):
            found.append(f"zeromq at {self.zeromq.bind} without keys")
        network = self.network
        if self.source.kind == "network" and not self.network_guarded:
            safe = is_loopback(network.bind)
            found += [] if safe else [f"senders at {network.bind} without keys, in clear"]
        inserts = self.inserts
        kind, _, place = inserts.endpoint.partition("://")
        if inserts.enabled and kind == "tcp" and not self.inserts_guarded:
            host = split_endpoint(place)[0]
            found += [] if is_loopback(host) else [f"inserts at {host} without keys"]
        if self.osc.enabled and self.osc.listen:
            host = split_endpoint(self.osc.listen)[0]
            whom = f"for {', '.join(self.osc.allow)}" if self.osc.allow else "for all"
            found += [] if is_loopback(host) else [f"osc at {host} {whom}, in clear"]
        if self.metrics.enabled and not is_loopback(self.metrics.bind):
            found.append(f"metrics at {self.metrics.bind}")
        console = self.console
        if console.enabled and not console.token and not is_loopback(console.bind):
            found.append(f"console at {console.bind} without a token")
        return tuple(found)

    @property
    def oscquery_host(self) -> str:
        """Where OSCQuery is served; empty: nowhere."""
        osc = self.osc
        if not (osc.enabled and osc.listen and osc.query_port):
            return ""
        return split_endpoint(osc.listen)[0]

    @property
    def advertised(self) -> tuple[str, ...]:
        """Addresses beyond loopback at which there is something the network is told of."""
        hosts = [self.zeromq.bind] if self.zeromq.enabled else []
        hosts += [self.oscquery_host] if self.oscquery_host else []
        hosts += [self.network.bind] if self.source.kind == "network" else []
        return tuple(h for h in hosts if self.discovery.enabled and not is_loopback(h))

    def _guarded(self, host: str, insecure: bool) -> bool:
        return self.security.loopback if is_loopback(host) else not insecure

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and for comparison."""
        return dataclasses.asdict(self)


def load_config(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, apply `section.key=value` overrides, check everything.

    Parameters
    ----------
    path : str, Path or None
        None starts from the defaults.
    overrides : sequence of str
        Values are TOML where they parse as TOML, text otherwise.

    Raises
    ------
    ConfigError
        `file:line: section.key: got …, expected …`
    """
    content = ""
    name = "defaults"
    if path is not None:
        name = str(path)
        try:
            content = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}: got {error}, expected a readable UTF-8 file") from error
    try:
        table = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: got {error}, expected TOML") from error
    for override in overrides:
        _override(table, override)
    directory = Path(path).resolve().parent if path is not None else Path.cwd()
    set_keys = frozenset(override.partition("=")[0].strip() for override in overrides)
    return build_config(table, directory, _Where(name, content, set_keys))


def build_config(
    table: dict[str, Any], directory: Path | None = None, where: _Where | None = None
) -> Config:
    """Check a table as TOML gives it and freeze it.

    Parameters
    ----------
    directory : Path or None
        What relative paths are relative to; None: where we are.

    Raises
    ------
    ConfigError
    """
    where = where or _Where("configuration", "")
    config = _build(Config, table, "", where)
    _check(config, where)
    return _resolve_paths(config, directory or Path.cwd(), where)


@dataclass(frozen=True)
class _Where:
    """Says where in the file a key stands, or that it came from `--set`."""

    name: str
    content: str
    set_keys: frozenset[str] = frozenset()

    def error(self, key: str, got: Any, expected: str) -> ConfigError:
        return self.complain(key, f"got {_shown(got)}, expected {expected}")

    def complain(self, key: str, sentence: str) -> ConfigError:
        shown = "".join(c if c.isprintable() else "?" for c in key)  # TOML's may be any text
        return ConfigError(f"{self._place(key)}: {shown[:SHOWN_CHARACTERS]}: {sentence}")

    def _place(self, key: str) -> str:
        plain = re.sub(r"\[\d+\]", "", key)
        if any(plain == k or plain.startswith(f"{k}.") for k in self.set_keys):
            return "--set"
        line = self._line(key)
        return f"{self.name}:{line}" if line else self.name

    def _line(self, key: str) -> int:
        """Line of the assignment to `key`, else of what holds it; 0 when it is not in the file."""
        lines: dict[str, int] = {}
        table = ""
        counts: dict[str, int] = {}
        for i, line in enumerate(self.content.splitlines(), 1):
            if header := re.match(r"\s*(\[+)\s*([\w.\-]+)\s*\]+", line):
                table = header[2]
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = f"{table}[{counts[table]}]"
                lines.setdefault(table, i)
            elif assignment := re.match(r"\s*([\w.\-]+)\s*=", line):
                lines.setdefault(f"{table}.{assignment[1]}".strip("."), i)
        while key and key not in lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return lines.get(key, 0)


SHOWN_CHARACTERS = 120  # of a wrong value; the rest of a long one tells nobody anything


def _shown(value: Any) -> str:
    if isinstance(value, _Said):
        return value
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a huge number"
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"


class _Said(str):
    """Text that goes into a message without quotes."""

    __slots__ = ()


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set: got {_shown(override)}, expected section.key=value")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError, KeyError):
        parsed = value
    for part in parts[:-1]:
        inner = table.setdefault(part, [{}] if part in ("feed", "mapping") else {})
        if isinstance(inner, list) and inner:
            inner = inner[0]  # `--set feed.channels=[3,4]` means the first feed
        if not isinstance(inner, dict):
            got, known = _shown(part), _shown(inner)
            raise ConfigError(f"--set: got {got} as a table, expected {known} to be one")
        table = inner
    table[parts[-1]] = parsed


def _build(cls: Any, table: Any, key: str, where: _Where) -> Any:
    """Turn a table into a frozen class, checking names, types, ranges and choices."""
    if not isinstance(table, dict):
        raise where.error(key, table, f"a table [{key}]")
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}
    values = {}
    for name, value in table.items():
        full = f"{key}.{name}".strip(".")
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            if close:
                raise where.complain(full, f"got an unknown key, did you mean {close[0]!r}?")
            raise where.error(full, _Said("an unknown key"), f"one of {', '.join(sorted(known))}")
        values[name] = _value(hints[name], value, full, known[name].metadata, where)
    return cls(**values)


def _value(hint: Any, value: Any, key: str, limits: Mapping[str, Any], where: _Where) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, key, where)
    if origin is Literal:
        return _choice(value, arguments, key, where)
    if origin is tuple:
        if not isinstance(value, list):
            tables = dataclasses.is_dataclass(arguments[0])
            raise where.error(key, value, f"tables [[{key}]]" if tables else "a list")
        return tuple(
            _value(arguments[0], item, f"{key}[{i}]", limits, where) for i, item in enumerate(value)
        )
    if origin in (Mapping, types.MappingProxyType) or hint is Mapping or _is_mapping(origin):
        if not isinstance(value, dict):
            raise where.error(key, value, "a table")
        for name in value:
            if "keys" in limits:
                _choice(name, limits["keys"], f"{key}.{name}", where)
            elif not _NAME.fullmatch(name):
                raise where.error(f"{key}.{name}", name, "up to 32 of a-z 0-9 - _")
        return {
            name: _value(arguments[1], item, f"{key}.{name}", limits, where)
            for name, item in value.items()
        }
    if origin is types.UnionType:
        if isinstance(value, bool) or not isinstance(value, arguments):
            raise where.error(key, value, "a number or text in quotes")
        if isinstance(value, str) and _CONTROL.search(value):
            raise where.error(key, value, "text without control characters")
        return value
    checks: dict[Any, tuple[Callable[[Any], bool], str]] = {
        bool: (lambda v: isinstance(v, bool), "true or false"),
        int: (lambda v: isinstance(v, int) and not isinstance(v, bool), "a whole number"),
        float: (lambda v: isinstance(v, int | float) and not isinstance(v, bool), "a number"),
        str: (lambda v: isinstance(v, str), "text in quotes"),
    }
    accepts, expected = checks[hint]
    if not accepts(value):
        raise where.error(key, value, expected)
    if "choices" in limits:
        return _choice(value, limits["choices"], key, where)
    if hint is str and _CONTROL.search(value):
        raise where.error(key, value, "text without control characters")
    if "between" in limits and hint in (int, float):
        low, high = limits["between"]
        if not low <= value <= high:  # also refuses nan
            raise where.error(key, value, f"a value from {low:g} to {high:g}")
    if hint is not float:
        return value
    try:
        return float(value)
    except OverflowError as error:
        raise where.error(key, value, "a number a float can hold") from error


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _choice(value: Any, choices: Sequence[Any], key: str, where: _Where) -> Any:
    if value in choices:
        return value
    said = value if isinstance(value, str) else _shown(value)
    close = difflib.get_close_matches(said, [str(c) for c in choices], 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise where.error(key, value, "one of " + ", ".join(map(repr, choices)) + hint)


def _resolve_paths(config: Config, directory: Path, where: _Where) -> Config:
    """Relative paths are relative to the file that names them."""

    def resolved(key: str, path: str) -> str:
        try:
            return str(directory / Path(path).expanduser())
        except RuntimeError as error:
            raise where.error(key, path, "a home folder that exists") from error

    source, record, model = config.source, config.record, config.model
    if source.path:
        source = dataclasses.replace(source, path=resolved("source.path", source.path))
    record = dataclasses.replace(record, directory=resolved("record.directory", record.directory))
    security = config.security
    if security.keys:
        security = dataclasses.replace(security, keys=resolved("security.keys", security.keys))
    state = config.state
    if state.file:
        state = dataclasses.replace(state, file=resolved("state.file", state.file))
    if model.name.endswith(".onnx"):
        model = dataclasses.replace(model, name=resolved("model.name", model.name))
    return dataclasses.replace(
        config, source=source, record=record, model=model, security=security, state=state
    )


_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # what no path, name or address holds
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")
_PREFIX = re.compile(r"(/[A-Za-z0-9_\-]+)+")


def _check(config: Config, where: _Where) -> None:
    """What one field alone cannot tell."""
    if config.version != VERSION:
        raise where.error("version", config.version, f"{VERSION}")
    if 0 < config.source.samplerate < MIN_RATE_HZ:
        raise where.error(
            "source.samplerate", config.source.samplerate, f"0, or at least {MIN_RATE_HZ}"
        )
    _check_network(config, where)
    if config.source.kind == "file" and not config.source.path:
        raise where.error("source.path", "", "the path of a sound file when source.kind is 'file'")
    if not 1 <= len(config.feed) <= MAX_FEEDS:
        raise where.error("feed", _Said(f"{len(config.feed)} feeds"), f"1 to {MAX_FEEDS}")
    names = [f.name for f in config.feed]
    for i, feed in enumerate(config.feed):
        key = f"feed[{i}]"
        if not _NAME.fullmatch(feed.name) or feed.name in (*SOURCES, "all"):
            raise where.error(
                f"{key}.name", feed.name, "up to 32 of a-z 0-9 - _, and not the name of a stem"
            )
        if feed.name in names[:i]:
            raise where.error(f"{key}.name", feed.name, "a name no other feed has")
        if len(feed.channels) not in (1, 2) or not all(
            1 <= c <= MAX_CHANNELS for c in feed.channels
        ):
            raise where.error(
                f"{key}.channels", list(feed.channels), f"one or two of 1 to {MAX_CHANNELS}"
            )
    ports = [config.zeromq.audio_port, config.zeromq.features_port, config.zeromq.control_port]
    if len(set(ports)) < len(ports):
        raise where.error("zeromq", _Said(f"ports {ports}"), "three different ports")
    kbps = config.zeromq.opus_kbps
    if 0 < kbps < MIN_OPUS_KBPS:
        raise where.error("zeromq.opus_kbps", kbps, f"0, or {MIN_OPUS_KBPS} to 510")
    if kbps and config.stream_rate != OPUS_RATE:
        got = _Said(f"{kbps} with a stream at {config.stream_rate} Hz")
        raise where.error("zeromq.opus_kbps", got, f"0, or a stream at {OPUS_RATE} Hz")
    _check_bind("metrics.bind", config.metrics.bind, "metrics", config.metrics.insecure, where)
    if config.osc.listen:
        host, _ = split_endpoint(config.osc.listen, "osc.listen", where)
        _check_bind("osc.listen", host, "osc", config.osc.insecure, where)
    for i, target in enumerate(config.osc.targets):
        split_endpoint(target, f"osc.targets[{i}]", where)
    for i, target in enumerate(config.osc.text_targets):
        split_endpoint(target, f"osc.text_targets[{i}]", where)
    _check_datagrams(config, where)
    for i, network in enumerate(config.osc.allow):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise where.error(
                f"osc.allow[{i}]", network, "a network such as '192.168.1.0/24'"
            ) from error
    if not _PREFIX.fullmatch(config.osc.prefix) or len(config.osc.prefix) > MAX_PREFIX:
        raise where.error("osc.prefix", config.osc.prefix, "a short OSC address such as '/stemd'")
    _check_midi(config, where)
    for i, mapping in enumerate(config.mapping):
        _check_mapping(config, mapping, f"mapping[{i}]", where)
    if len(config.mapping) > MAX_MAPPINGS:
        got = _Said(f"{len(config.mapping)} mappings")
        raise where.error("mapping", got, f"{MAX_MAPPINGS} at most")
    if 0 < config.output.samplerate < MIN_RATE_HZ:
        expected = f"0 for the source's, or {MIN_RATE_HZ} and more"
        raise where.error("output.samplerate", config.output.samplerate, expected)
    if config.output.feed and config.output.feed not in names:
        raise where.error("output.feed", config.output.feed, f"one of {', '.join(names)}")
    for i, pair in enumerate(config.output.channel_pairs):
        for name in pair:
            _choice(name, SOURCES, f"output.pairs[{i}]", where)
    if config.record.enabled and not config.record.stems:
        raise where.error("record.stems", [], "at least one stem")
    _check_inserts(config, where)
    _check_console(config, where)


def _check_console(config: Config, where: _Where) -> None:
    console = config.console
    if console.token and not _TOKEN.fullmatch(console.token):
        got = _Said(f"{len(console.token)} characters")  # a secret is not repeated
        raise where.error("console.token", got, "16 to 256 letters, digits, - and _")
    if not console.token and not console.insecure and not is_loopback(console.bind):
        expected = "127.0.0.1, or a console.token, or console.insecure = true to let everybody in"
        raise where.error("console.bind", console.bind, expected)


def _check_inserts(config: Config, where: _Where) -> None:
    endpoint = config.inserts.endpoint
    kind, _, place = endpoint.partition("://")
    if kind == "tcp":
        split_endpoint(place, "inserts.endpoint", where)
    elif endpoint and (kind != "ipc" or not place):
        expected = "ipc:///path, tcp://127.0.0.1:port, or nothing for the usual place"
        raise where.error("inserts.endpoint", endpoint, expected)
    if config.source.kind == "none":
        if not config.inserts.enabled:
            got = _Said("'none' and no inserts")
            raise where.error("source.kind", got, "a source, or inserts.enabled = true")
        for name in ("output", "record"):
            if getattr(config, name).enabled:
                expected = "false where source.kind is 'none': there is no stream"
                raise where.error(f"{name}.enabled", True, expected)


def _check_datagrams(config: Config, where: _Where) -> None:
    datagrams = config.datagrams
    for key in ("vban", "reastream"):
        for i, target in enumerate(getattr(datagrams, key)):
            split_endpoint(target, f"datagrams.{key}[{i}]", where)
    if not _NAME.fullmatch(datagrams.name) or len(datagrams.name) > MAX_STREAM_NAME:
        raise where.error(
            "datagrams.name", datagrams.name, f"1 to {MAX_STREAM_NAME} of a-z 0-9 - _"
        )
    if datagrams.feed and datagrams.feed not in [f.name for f in config.feed]:
        raise where.error("datagrams.feed", datagrams.feed, "the name of a feed")


def _check_midi(config: Config, where: _Where) -> None:
    midi = config.midi
    names = [f.name for f in config.feed]
    if midi.feed and midi.feed not in names:
        raise where.error("midi.feed", midi.feed, f"one of {', '.join(names)}")
    channels = [*midi.channels.values(), *([midi.drum_channel] if midi.drum_channel else [])]
    if len(set(channels)) < len(channels):
        # one stem's note off would end the other's note
        raise where.error("midi.channels", _Said(f"channels {channels}"), "all different")


# Features that are a number only in the hop in which something happens.
EVENTS = ("onset", "note_velocity", *DRUMS, "beat")
# Names of features as OSC says them, beside those of spec.FEATURES.
ALIASES = {"level": "rms", "pitch": "f0_hz"}


def mapping_source(source: str) -> tuple[int, str]:
    """`vocals.pitch` as place in SOURCES and name of the feature.

    Raises
    ------
    ValueError
        Says what was expected.
    """
    name, dot, feature = source.partition(".")
    if not dot or name not in SOURCES:
        raise ValueError(f"one of {', '.join(SOURCES)}, a dot and a feature")
    if feature not in FEATURES and feature not in ALIASES:
        close = difflib.get_close_matches(feature, (*FEATURES, *ALIASES), 1)
        hint = f" (did you mean {name}.{close[0]}?)" if close else ""
        raise ValueError(f"a feature such as {name}.level{hint}")
    only = "drums" if feature in DRUMS else "mix" if feature in _OF_THE_MIX else name
    if name != only:
        raise ValueError(f"{only}.{feature}: it has no meaning for {name}")
    return SOURCES.index(name), feature


_OF_THE_MIX = ("tempo_bpm", "tempo_confidence", "beat", "beat_phase", "beat_count")
_OSC_ADDRESS = re.compile(r"(/[\x21-\x7e]+)+")


def _check_mapping(config: Config, mapping: MappingConfig, key: str, where: _Where) -> None:
    """What a mapping's keys have to do with each other."""
    m = mapping

    def refuse(name: str, got: Any, expected: str) -> ConfigError:
        return where.error(f"{key}.{name}", got, expected)

    try:
        _, feature = mapping_source(m.source)
    except ValueError as error:
        raise refuse("source", m.source, str(error)) from error
    names = [f.name for f in config.feed]
    if m.feed and m.feed not in names:
        raise refuse("feed", m.feed, f"one of {', '.join(names)}")
    _check_mapping_range(m, feature, refuse)
    if m.mode != "value":
        if m.threshold == 0.0 and feature not in EVENTS:
            raise refuse("threshold", m.threshold, f"above 0 for a {m.mode} from {m.source}")
        if m.curve == "steps":
            raise refuse("curve", m.curve, "another for a " + m.mode)
        for name in ("attack_ms", "release_ms"):
            if getattr(m, name):
                raise refuse(name, getattr(m, name), f"0: a {m.mode} is not smoothed")
    if m.hysteresis > m.threshold:
        raise refuse("hysteresis", m.hysteresis, f"at most the threshold, {m.threshold:g}")
    if bool(m.osc) == bool(m.midi.type):
        got = _Said("both osc and midi.type" if m.osc else "neither osc nor midi.type")
        raise where.error(key, got, "one of them")
    if m.osc:
        _check_mapping_osc(config, m, key, where)
    else:
        _check_mapping_midi(config, m, refuse)


def _check_mapping_range(
    m: MappingConfig, feature: str, refuse: Callable[[str, Any, str], ConfigError]
) -> None:
    if m.input and not (len(m.input) == 2 and -1e9 <= m.input[0] < m.input[1] <= 1e9):
        raise refuse("input", list(m.input), "[low, high]")
    if not m.input and (feature.endswith("_count") or feature == "onset_offset"):
        raise refuse("input", [], f"[low, high]: {m.source} has no range of its own")
    if m.curve == "log" and (m.input[0] <= 0.0 if m.input else not feature.endswith("_hz")):
        raise refuse("input", list(m.input), "[low, high] above 0 for the curve log")
    if feature == "pitch" and m.curve in ("db", "log"):
        raise refuse("curve", m.curve, "linear or power: pitch is in semitones")
    if not all(-1e9 <= v <= 1e9 for v in m.output):
        raise refuse("output", list(m.output), "finite numbers")
    if m.curve == "steps":
        if not 2 <= len(m.output) <= 128:
            raise refuse("output", list(m.output), "2 to 128 values for the curve steps")
    elif m.output and len(m.output) != 2:
        raise refuse("output", list(m.output), "two values, at low and at high")


def _check_mapping_osc(config: Config, m: MappingConfig, key: str, where: _Where) -> None:
    if not _OSC_ADDRESS.fullmatch(m.osc) or len(m.osc) > MAX_ADDRESS:
        raise where.error(f"{key}.osc", m.osc, "an OSC address such as '/layer/1/opacity'")
    if m.target:
        split_endpoint(m.target, f"{key}.target", where)
    elif not config.osc.targets:
        raise where.error(f"{key}.target", m.target, "host:port where osc.targets is empty")
    if m.value == "none" and m.mode != "trigger":
        raise where.error(f"{key}.value", m.value, "float or int: only a trigger goes without one")
    for name in ("before", "after"):
        arguments = getattr(m, name)
        if len(arguments) > MAX_ARGUMENTS:
            raise where.error(
                f"{key}.{name}", _Said(f"{len(arguments)} arguments"), f"{MAX_ARGUMENTS} at most"
            )
        for i, argument in enumerate(arguments):
            if isinstance(argument, str):
                fits = argument.isascii() and len(argument) <= MAX_ADDRESS
            elif isinstance(argument, int):
                fits = -(2**31) <= argument < 2**31
            else:
                fits = -3e38 <= argument <= 3e38
            if not fits:
                raise where.error(
                    f"{key}.{name}[{i}]", argument, "a number of 32 bits or ASCII text"
                )


def _check_mapping_midi(
    config: Config, m: MappingConfig, refuse: Callable[[str, Any, str], ConfigError]
) -> None:
    if not config.midi.enabled:
        raise refuse("midi.type", m.midi.type, "midi.enabled = true for a mapping to MIDI")
    if m.midi.type in ("note", "cc") and m.midi.number < 0:
        raise refuse("midi.number", m.midi.number, f"0 to 127 for a {m.midi.type}")
    if m.midi.type == "note" and m.mode == "value":
        raise refuse("mode", m.mode, "trigger or gate for a note")
    most = 16_383 if m.midi.type == "bend" else 127
    if not all(0 <= v <= most for v in m.output):
        raise refuse("output", list(m.output), f"values from 0 to {most}")
    for name in ("before", "after"):
        if getattr(m, name):
            raise refuse(name, list(getattr(m, name)), "none: MIDI has no arguments")


def _check_network(config: Config, where: _Where) -> None:
    network = config.network
    if config.source.kind == "network" and config.source.samplerate not in (0, *NATIVE_RATES):
        expected = "44100 or 48000 as the senders have it, or 0 for 48000"
        raise where.error("source.samplerate", config.source.samplerate, expected)
    if network.buffer_min_ms > network.buffer_max_ms:
        expected = f"at most network.buffer_max_ms, {network.buffer_max_ms:g}"
        raise where.error("network.buffer_min_ms", network.buffer_min_ms, expected)


def _check_bind(key: str, host: str, section: str, insecure: bool, where: _Where) -> None:
    """For what knows no keys."""
    if not is_loopback(host) and not insecure:
        raise where.error(
            key, host, f"127.0.0.1, or {section}.insecure = true to let everybody on it in"
        )


def is_loopback(host: str) -> bool:
    """Whether what is bound there is for this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def split_endpoint(
    endpoint: str, key: str = "endpoint", where: _Where | None = None
) -> tuple[str, int]:
    """`host:port` as a pair.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    host, _, port = endpoint.rpartition(":")
    # isdigit alone is also true of digits int() does not read, and so is it of thousands of them
    read = port.isascii() and port.isdigit() and len(port.lstrip("0")) <= 5
    if not host or not read or not 1 <= int(port) <= 65_535:
        raise (where or _Where("endpoint", "")).error(key, endpoint, "host:port")
    return host.strip("[]"), int(port)
