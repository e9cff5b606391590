"""What browsers draw, against sounds whose picture is known on paper."""

from __future__ import annotations

import numpy as np
import pytest

from stemd.console.picture import (
    AUDIO,
    FEED_VALUES,
    HEAD,
    PICTURE,
    SOURCE_VALUES,
    Ear,
    Levels,
    Picture,
)
from stemd.console.spectrogram import FLOOR_DB, N_BANDS, Spectrogram
from stemd.spec import SOURCES, StreamSpec
from tests.sinks.support import make_hop

SPEC = StreamSpec.of("live", 48_000)


def columns(spectrogram, signal, hop):
    found = []
    for start in range(0, signal.shape[1] - hop + 1, hop):
        found.extend(spectrogram.write(signal[:, start : start + hop]))
    return np.array(found)


def test_columns_do_not_depend_on_how_many_hops_come_at_once():
    noise = np.random.default_rng(0).standard_normal((2, 256 * 40)).astype(np.float32)
    whole = Spectrogram(2, 48_000, 256).write(noise)
    np.testing.assert_array_equal(columns(Spectrogram(2, 48_000, 256), noise, 256), whole)
    assert len(whole) == 40 // Spectrogram(2, 48_000, 256).hops


def sine(hz, db, samplerate, seconds=0.5):
    t = np.arange(round(seconds * samplerate)) / samplerate
    return (10 ** (db / 20) * np.sin(2 * np.pi * hz * t))[None].astype(np.float32)


@pytest.mark.parametrize("samplerate", [44_100, 48_000])
@pytest.mark.parametrize("hop", [128, 256, 512])
@pytest.mark.parametrize("hz", [60.0, 220.0, 1000.0, 9000.0])
def test_a_sine_stands_where_it_sounds(samplerate, hop, hz):
    spectrogram = Spectrogram(1, samplerate, hop)
    column = columns(spectrogram, sine(hz, -20.0, samplerate), hop)[-1][0]
    found = spectrogram.bands_hz[int(np.argmax(column))]
    assert abs(found - hz) < max(0.07 * hz, samplerate / 2048)
    # A Hann window loses at most 1.42 dB between two bins.
    level = FLOOR_DB - column.max() * FLOOR_DB / 255
    assert -22.0 < level < -19.0


def test_silence_is_black_and_nan_harms_one_window_only():
    spectrogram = Spectrogram(2, 48_000, 256)
    assert not columns(spectrogram, np.zeros((2, 4800), np.float32), 256).any()
    noise = np.random.default_rng(0).standard_normal((2, 256 * 40)).astype(np.float32)
    clean = Spectrogram(2, 48_000, 256).write(noise)
    broken = noise.copy()
    broken[0, 300] = np.nan
    found = Spectrogram(2, 48_000, 256).write(broken)
    np.testing.assert_array_equal(found[:, 1], clean[:, 1])
    np.testing.assert_array_equal(found[2:], clean[2:])
    assert not found[:2, 0].any()


def test_columns_come_half_a_window_apart():
    for profile in ("tight", "live", "quality"):
        spec = StreamSpec.of(profile, 48_000)
        assert 45 < Picture(spec, 0).columns_per_s < 50


def test_a_picture_holds_what_came_since_the_last():
    picture = Picture(SPEC, 0)
    assert picture.take(b"\0") is None
    for k in range(8):
        hop = make_hop(k, kick=0.7 * (k == 2), f0_hz=220.0, onset=float(k == 1), flags=0)
        hop["stems"][:] = 0.0
        hop["mix"][0, 0], hop["mix"][0, 1] = 0.5, 0.25
        hop["features"][0, 0, :] = np.nan
        picture.write(hop)
    packed = picture.take(b"\x80")
    kind, feed, n, _, position = HEAD.unpack_from(packed)
    assert (kind, feed, n) == (PICTURE, 0, 2)
    assert position == 8 * SPEC.hop_length
    at = HEAD.size
    values = np.frombuffer(packed, "<f4", len(SOURCES) * len(SOURCE_VALUES), at)
    values = values.reshape(len(SOURCES), -1)
    assert np.isfinite(values).all()
    row = dict(zip(SOURCE_VALUES, values[0], strict=True))
    assert (row["peak_l"], row["peak_r"]) == (0.5, 0.25)
    assert (row["rms_l"], row["rms_r"]) == (0.5, 0.25)
    drums = dict(zip(SOURCE_VALUES, values[2], strict=True))
    assert drums["f0_hz"] == 220.0
    assert drums["onset"] > 0
    at += values.nbytes
    of_feed = np.frombuffer(packed, "<f4", len(FEED_VALUES), at)
    assert of_feed[0] == np.float32(0.7)
    at += of_feed.nbytes
    f0 = np.frombuffer(packed, "<f4", n * len(SOURCES), at).reshape(n, -1)
    assert (f0[:, 1:] == 220.0).all()
    at += f0.nbytes
    bands = np.frombuffer(packed, "u1", n * len(SOURCES) * N_BANDS, at)
    assert bands.reshape(n, len(SOURCES), -1)[1, 0].max() > 0
    at += bands.nbytes
    onsets = np.frombuffer(packed, "u1", n * len(SOURCES), at).reshape(n, -1)
    assert onsets[:, 1:].sum() == len(SOURCES) - 1  # each once
    at += onsets.nbytes
    assert packed[at:] == b"\x80"
    assert picture.take(b"\0") is None


def columns_of(packed):
    """What a picture says of its columns: f0_hz, bands, onsets, each (columns, sources, ...)."""
    _, _, n, _, _ = HEAD.unpack_from(packed)
    at = HEAD.size + 4 * (len(SOURCES) * len(SOURCE_VALUES) + len(FEED_VALUES))
    parts = []
    for kind, width in (("<f4", 1), ("u1", N_BANDS), ("u1", 1)):
        part = np.frombuffer(packed, kind, n * len(SOURCES) * width, at)
        parts.append(part.reshape(n, len(SOURCES), width))
        at += part.nbytes
    assert at == len(packed) - 1
    return parts


def test_columns_are_the_same_however_few_hops_a_picture_holds():
    """One hop ends no column: such a picture has none, and its onsets are in the next."""
    hops = [make_hop(k, f0_hz=100.0 + k, onset=float(k in (2, 3, 9))) for k in range(24)]
    taken = []
    for sizes in ([24], [1] * 24, [1, 2, 5, 3, 1, 4, 8]):
        picture, told, rest = Picture(SPEC, 0), [], iter(hops)
        for size in sizes:
            for _ in range(size):
                picture.write(next(rest))
            told.append(columns_of(picture.take(b"\0")))
        taken.append([np.concatenate(part) for part in zip(*told, strict=True)])
    assert len(taken[0][0]) == 24 // 4
    assert taken[0][2][:, 1, 0].tolist() == [1, 0, 1, 0, 0, 0]
    for others in taken[1:]:
        for found, wanted in zip(others, taken[0], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_what_is_heard_is_what_the_stem_is():
    ear = Ear(SPEC, 0, 1)
    hops = [make_hop(k) for k in range(4)]
    for k, hop in enumerate(hops):
        hop["stems"][0, 0] = np.linspace(-1.5, 1.0, 512).reshape(2, 256) / (k + 1)
    pieces = [piece for hop in hops if (piece := ear.write(hop))]
    assert len(pieces) == 1
    kind, feed, n, source, position = HEAD.unpack_from(pieces[0])
    assert (kind, feed, n, source, position) == (AUDIO, 0, 4 * 256, 1, 256)
    heard = np.frombuffer(pieces[0], "<i2", offset=HEAD.size).reshape(-1, 2).T / 32_767
    wanted = np.concatenate([hop["stems"][0, 0] for hop in hops], axis=1).clip(-1, 1)
    np.testing.assert_allclose(heard, wanted, atol=1 / 32_767)


def test_levels_are_a_byte_for_each_feed():
    levels = Levels(("a",))
    levels.write(make_hop(0, rms=0.1))
    assert levels.take() == bytes([int(40 / 60 * 255)])
    assert levels.take() == b"\0"
