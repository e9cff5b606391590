"""Opus of real music: what it costs in decibels, and what it does when packets are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from stemd.codec import Decoder, Encoder, check_opus
from stemd.errors import DeviceError, ProtocolError
from stemd.spec import OPUS_FRAME, OPUS_RATE

KBPS = 128
MUSIC = Path(__file__).parent / "data" / "heldout_mix.ogg"


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """(c, n) of whole packets."""
    samples, rate = soundfile.read(MUSIC, dtype="float32", always_2d=True)
    samples = np.asarray(soxr.resample(samples, rate, OPUS_RATE)).T
    return np.ascontiguousarray(samples[:, : samples.shape[1] // OPUS_FRAME * OPUS_FRAME])


def packets_of(music: np.ndarray, encoder: Encoder) -> list[bytes]:
    return [
        encoder.encode(music[:, at : at + OPUS_FRAME])
        for at in range(0, music.shape[1], OPUS_FRAME)
    ]


def decode(packets: list[bytes]) -> np.ndarray:
    decoder = Decoder()
    return np.concatenate([decoder.decode(packet) for packet in packets], axis=1)


def sdr_db(truth: np.ndarray, heard: np.ndarray) -> float:
    error = max(float(np.sum((heard - truth) ** 2)), 1e-12)
    return float(10 * np.log10(np.sum(truth**2) / error))


def test_music_is_itself_and_where_the_encoder_says(music):
    encoder = Encoder(KBPS)
    packets = packets_of(music, encoder)
    heard = decode(packets)
    sdr = {
        delay: sdr_db(music[:, : -delay or None], heard[:, delay:])
        for delay in range(encoder.delay - 2, encoder.delay + 3)
    }
    assert max(sdr, key=lambda delay: sdr[delay]) == encoder.delay == 120
    assert sdr[encoder.delay] > 15.0
    seconds = music.shape[1] / OPUS_RATE
    assert sum(map(len, packets)) * 8 / seconds == pytest.approx(KBPS * 1000, rel=0.1)


def test_who_joins_late_or_misses_some_hears_the_same_soon(music):
    packets = packets_of(music, Encoder(KBPS))
    whole = decode(packets)
    joined = decode(packets[100:])
    begin = 20 * OPUS_FRAME  # 200 ms
    assert sdr_db(whole[:, 100 * OPUS_FRAME + begin :], joined[:, begin:]) > 30.0
    torn = decode(packets[:100] + packets[105:])
    assert sdr_db(whole[:, 105 * OPUS_FRAME + begin :], torn[:, 100 * OPUS_FRAME + begin :]) > 30.0


@given(st.binary(max_size=1400))
def test_noise_is_refused_or_decoded_and_nothing_else(packet):
    try:
        heard = Decoder().decode(packet)
    except ProtocolError:
        return
    assert heard.shape == (2, OPUS_FRAME)


def test_what_libopus_cannot_do_is_said():
    assert check_opus(0) == 0
    assert check_opus(KBPS) == KBPS
    with pytest.raises(DeviceError, match=r"^zeromq.opus_kbps: got .*, expected PyAV"):
        check_opus(100_000_000)
