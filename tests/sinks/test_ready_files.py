"""The ready configurations, driven hop by hop: exact packets at real UDP sockets."""

import dataclasses
import math
import socket
import struct
from pathlib import Path

import pytest

from stemd.config import load_config, split_endpoint
from stemd.sinks.mapping import MappingSink
from stemd.spec import FEATURES, SOURCES
from stemd.wire.osc import message

from .support import make_hop

CONFIGS = Path(__file__).parents[2] / "configs"


class Show:
    """A ready file whose targets are sockets of ours."""

    def __init__(self, name, *overrides):
        config = load_config(CONFIGS / f"{name}.toml", overrides)
        self.spec = config.spec
        self.ears = {}
        mappings = [
            dataclasses.replace(m, target=self._ear(m.target) if m.target else "")
            for m in config.mapping
        ]
        targets = [split_endpoint(self._ear(target)) for target in config.osc.targets]
        self.now = 50.0
        self.sink = MappingSink(self.spec, ("main",), mappings, targets, clock=lambda: self.now)
        self.config = config
        self.k = 0

    def _ear(self, target):
        port = split_endpoint(target)[1]
        if port not in self.ears:
            self.ears[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.ears[port].bind(("127.0.0.1", 0))
            self.ears[port].setblocking(False)
        return f"127.0.0.1:{self.ears[port].getsockname()[1]}"

    def hop(self, **values):
        """One hop; {port: packets} of what it moved."""
        self.k += 1
        self.now += self.spec.hop_s
        hop = make_hop(self.k, self.spec)
        for name, value in values.items():
            source, _, feature = name.partition("_")
            hop["features"][0, SOURCES.index(source), FEATURES.index(feature)] = value
        self.sink.write(hop)
        self.sink.service()
        return {port: packets for port, ear in self.ears.items() if (packets := received(ear))}

    def seconds(self, seconds, **values):
        """The same hop for some time; all it moved, as {port: packets}."""
        out = {}
        for _ in range(round(seconds / self.spec.hop_s)):
            for port, packets in self.hop(**values).items():
                out.setdefault(port, []).extend(packets)
        return out

    def close(self):
        self.sink.close()
        for ear in self.ears.values():
            ear.close()


def received(ear):
    packets = []
    while True:
        try:
            packets.append(ear.recv(2000))
        except BlockingIOError:
            return packets


@pytest.fixture
def show():
    shows = []

    def make(*arguments):
        shows.append(Show(*arguments))
        return shows[-1]

    yield make
    for one in shows:
        one.close()


def test_ableton(show):
    one = show("ableton")
    volume, macro, tempo = (
        "/live/track/set/volume",
        "/live/device/set/parameter/value",
        "/live/song/set/tempo",
    )
    # at rest: the fader at 0 dB, the macro closed, no tempo until there is one, no scene
    assert one.hop() == {11000: [message(volume, 0, 0.85), message(macro, 1, 0, 1, 0.0)]}
    # a full hit; AbletonOSC hears of it at its own pace, 20 times a second
    moved = one.seconds(0.06, drums_kick=1.0)[11000]
    assert message(macro, 1, 0, 1, 127.0) in moved
    assert len(moved) == 1
    # the voice ducks the track to 0.6 in the end
    one.seconds(1.0, vocals_rms=1.0)
    fader = [p for p in one.seconds(1.5, vocals_rms=1.0)[11000] if volume.encode() in p]
    assert fader[-1] == pytest.approx(message(volume, 0, 0.6))
    # a tempo, told twice a second; without one the last is kept
    one.seconds(60.0, mix_tempo_bpm=128.0)
    told = [p for p in one.seconds(2.0)[11000] if tempo.encode() in p]
    assert 1 <= len(told) <= 4
    assert abs(float_of(told[-1]) - 128.0) < 0.3
    assert 9701 in one.ears  # the device's own stream goes there, not our mappings


def float_of(packet):
    """Last argument."""
    return struct.unpack(">f", packet[-4:])[0]


def test_ableton_starts_a_scene_when_the_bass_comes_in(show):
    one = show("ableton")
    scene = message("/live/scene/fire", 1)
    one.seconds(1.0)
    loud, soft, gone = (10 ** (db / 20) for db in (-20.0, -30.0, -54.0))
    first = one.hop(bass_rms=loud)[11000]
    assert scene in first
    # it stays, it wobbles, it comes again too early: nothing
    later = []
    for level in (loud, soft, loud, gone, loud):
        later += one.seconds(0.5, bass_rms=level).get(11000, [])
    assert scene not in later
    one.seconds(10.0, bass_rms=gone)
    assert scene in one.hop(bass_rms=loud)[11000]


def test_ableton_over_midi(show):
    one = show("ableton", "midi.enabled=true")
    midi = one.config.midi
    assert (dict(midi.channels), midi.drum_channel) == ({"vocals": 1, "bass": 2}, 10)


def test_touchdesigner(show):
    one = show("touchdesigner")
    assert one.config.osc.text_targets == ("127.0.0.1:9702",)
    assert one.hop() == {
        9701: [
            message("/show/flash", 0.0),
            message("/show/voice", 0.0),
            message("/show/look", 0),
        ]
    }
    one.seconds(0.5)
    assert one.hop(drums_kick=0.5)[9701] == [message("/show/flash", 0.25)]
    # it falls to 37 % in 120 ms
    flash = [p for p in one.seconds(0.12)[9701] if b"/show/flash" in p]
    assert float_of(flash[-1]) == pytest.approx(0.25 * math.exp(-1), rel=0.15)
    # sub bass: on at once, off when it is gone and 250 ms are over
    moved = one.hop(bass_band_1=0.1)[9701]
    assert message("/show/sub", 1) in moved
    gone = one.seconds(0.4)[9701]
    assert gone.count(message("/show/sub", 0)) == 1
    # the melody: E4 is 64, between 36 and 84
    one.seconds(1.0, vocals_f0_hz=440.0 * 2 ** (-5 / 12))
    melody = [p for p in one.seconds(1.1)[9701] if b"/show/melody" in p]
    assert melody  # held while nobody sings
    assert float_of(melody[-1]) == pytest.approx(28 / 48, abs=0.003)


def test_touchdesigner_looks_follow_the_loudness(show):
    one = show("touchdesigner")
    looks = []
    for lufs in (-30, -23, -16, -8, -120):
        packets = one.seconds(20.0, mix_lufs=lufs)[9701]
        looks.append([p for p in packets if b"/show/look" in p][-1])
    assert looks == [message("/show/look", n) for n in (0, 1, 2, 3, 0)]


def test_touchdesigner_gets_one_number_an_address(show):
    one = show("touchdesigner")
    for k in range(400):
        level = (k % 40) / 40
        moved = one.hop(
            drums_kick=level, vocals_rms=level, bass_band_1=level, vocals_f0_hz=100 + k, mix_lufs=-k
        )
        for packet in moved.get(9701, []):
            tags = packet[packet.index(b",") :].split(b"\0")[0]
            assert tags in (b",f", b",i")


def test_resolume(show):
    one = show("resolume")
    clip, tap = (
        "/composition/layers/3/clips/1/connect",
        "/composition/tempocontroller/tempotap",
    )
    position = "/composition/layers/4/clips/1/transport/position"
    assert one.hop() == {
        7000: [
            message("/composition/layers/1/video/opacity", 0.0),
            message("/composition/layers/2/video/opacity", 0.0),
            message(position, 0.0),
        ]
    }
    one.seconds(0.1)
    assert one.hop(drums_kick=1.0)[7000] == [message("/composition/layers/2/video/opacity", 1.0)]
    one.seconds(1.0)
    assert one.hop(drums_snare=0.2) == {}  # a ghost note
    assert one.hop(drums_snare=0.6)[7000] == [message(clip, 1)]
    assert one.seconds(0.2)[7000].count(message(clip, 0)) == 1
    assert one.hop(mix_beat=1.0)[7000] == [message(tap, 1)]
    assert message(tap, 0) in one.seconds(0.06)[7000]
    assert message(position, 0.25) in one.seconds(0.05, mix_beat_phase=0.25)[7000]


def test_grandma3(show):
    one = show("grandma3")
    assert one.hop() == {8000: [message("/Page1/Fader201", 0)]}
    one.seconds(0.2)
    assert one.hop(drums_snare=1.0)[8000] == [message("/Page1/Key202", 1)]
    assert message("/Page1/Key202", 0) in one.seconds(0.1)[8000]
    assert message("/Page1/Fader201", 100) in one.seconds(1.0, vocals_rms=1.0)[8000]
    assert not any(p.startswith(b"#bundle") for p in one.seconds(2.0, vocals_rms=0.1)[8000])
