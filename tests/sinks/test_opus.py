"""Hops to packets: the same ones, whatever the hop length and whenever somebody began to listen."""

from __future__ import annotations

import numpy as np
import pytest

from stemd.codec import Decoder
from stemd.sinks.opus import OpusStream, Packet
from stemd.spec import OPUS_FRAME, StreamSpec
from stemd.wire.header import FLAG_CLIPPED, FLAG_DISCONTINUITY

from .support import SPEC, make_hop

DELAY = 120
KBPS = 128
N = 48_000
T_NS = 1_700_000_000_000_000_000
# Dull noise: no DC, which Opus takes away.
WHITE = np.random.default_rng(5).standard_normal((2, N))
MUSIC = np.stack([np.convolve(row, 0.98 ** np.arange(300))[:N] for row in WHITE])
MUSIC = (MUSIC / np.abs(MUSIC).max()).astype(np.float32)


def packets_of(spec: StreamSpec, first: int = 0, **flags: int) -> list[Packet]:
    """Packets of a second of `MUSIC` from hop `first` on; `flags` of a hop as `at_3=...`."""
    stream, packets = OpusStream(KBPS), []
    m = spec.hop_length
    for k in range(first, N // m):
        at = k * m
        hop = make_hop(k, spec, sample_pos=at, flags=flags.get(f"at_{k}", 0))
        hop["t_capture_ns"] = T_NS + at * 10**9 // spec.samplerate
        packets += stream.process(hop, MUSIC[:, at : at + m])
    return packets


@pytest.mark.parametrize("profile", ["tight", "live", "quality"])
def test_any_hop_length_gives_the_same_packets(profile):
    packets = packets_of(StreamSpec.of(profile, 48_000))
    reference = packets_of(SPEC)
    n = min(len(packets), len(reference))
    assert n >= N // OPUS_FRAME - 3
    for one, other in zip(packets[:n], reference[:n], strict=True):
        assert one.data == other.data
        assert one.sample_pos == other.sample_pos
        assert abs(one.t_capture_ns - other.t_capture_ns) <= 1


def test_positions_and_times_are_of_what_is_decoded():
    packets = packets_of(SPEC)
    assert [p.sample_pos for p in packets] == [
        (i + 1) * OPUS_FRAME - DELAY for i in range(len(packets))
    ]
    for packet in packets:
        assert packet.t_capture_ns == pytest.approx(
            T_NS + packet.sample_pos * 10**9 / 48_000, abs=2
        )
    decoder = Decoder()
    heard = np.concatenate([decoder.decode(p.data) for p in packets], axis=1)
    at, begin, end = packets[0].sample_pos, 4800, heard.shape[1] - 10
    errors = {
        shift: float(
            np.sum((heard[:, begin:end] - MUSIC[:, at + begin + shift : at + end + shift]) ** 2)
        )
        for shift in range(-3, 4)
    }
    assert min(errors, key=lambda shift: errors[shift]) == 0
    assert errors[0] < 0.1 * np.sum(MUSIC[:, at + begin : at + end] ** 2)


def test_who_begins_later_gets_packets_at_the_same_places():
    all_of_them = {p.sample_pos for p in packets_of(SPEC)}
    later = packets_of(SPEC, first=37)
    assert {p.sample_pos for p in later} <= all_of_them
    assert later[0].flags & FLAG_DISCONTINUITY
    assert later[0].sample_pos >= 37 * SPEC.hop_length - DELAY


def test_flags_are_of_every_packet_a_hop_is_in():
    # Hop 4 of 256 holds samples 1024 to 1279: of the packets from 960 and from 1440 only the first.
    # Hop 5 holds 1280 to 1535, of both.
    for hop, marked in ((4, [1]), (5, [1, 2])):
        packets = packets_of(SPEC, **{f"at_{hop}": FLAG_CLIPPED})
        assert [i for i, p in enumerate(packets) if p.flags & FLAG_CLIPPED] == marked
        assert [i for i, p in enumerate(packets) if p.flags & FLAG_DISCONTINUITY] == [0]


@pytest.mark.parametrize("change", ["hole", "session"])
def test_a_hole_or_a_new_session_begins_anew(change):
    stream = OpusStream(KBPS)
    m = SPEC.hop_length
    packets = []
    for k in range(40):
        torn = change == "hole" and k >= 20
        hop = make_hop(k, sample_pos=k * m + 1000 * torn)
        if change == "session" and k >= 20:
            hop["session"], hop["sample_pos"] = 0xDEF, (k - 20) * m
        packets += stream.process(hop, np.zeros((2, m), np.float32))
    begun = [p for p in packets if p.flags & FLAG_DISCONTINUITY]
    assert len(begun) == 2
    assert all((p.sample_pos + DELAY) % OPUS_FRAME == 0 for p in packets)
    # Nothing is made of samples of both sides.
    first = begun[1].sample_pos + DELAY
    assert first == (-(-(20 * m + 1000) // OPUS_FRAME) * OPUS_FRAME if change == "hole" else 480)
