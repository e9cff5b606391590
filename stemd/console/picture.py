"""What browsers draw of the stream, gathered hop by hop and packed thirty times a second."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..spec import DRUMS, FEATURES, SOURCES, StreamSpec
from .spectrogram import N_BANDS, Spectrogram

PICTURE = 1  # first byte of a picture; AUDIO of a piece of audio
AUDIO = 2
HEAD = struct.Struct("<BBHIQ")  # kind, feed, columns or samples, flags, sample_pos
# Floats of a source, and of the feed, in this order.
SOURCE_VALUES = (
    *("peak_l", "peak_r", "rms_l", "rms_r", "onset", "onset_count"),
    *("f0_hz", "voicing", "note", "lufs", "width", "centroid_hz"),
)
FEED_VALUES = (*DRUMS, "tempo_bpm", "tempo_confidence", "beat_count", "beat_phase", "chord")

_ONSET, _STRENGTH = FEATURES.index("onset"), FEATURES.index("onset_strength")
_F0, _RMS = FEATURES.index("f0_hz"), FEATURES.index("rms")
# What is simply the newest; peaks, means and onsets are of all hops since the last picture.
_NEWEST = SOURCE_VALUES.index("onset_count")
_FROM = np.array([FEATURES.index(name) for name in SOURCE_VALUES[_NEWEST:]])
_FEED_FROM = np.array([FEATURES.index(name) for name in FEED_VALUES[len(DRUMS) :]])
_HITS = slice(FEATURES.index(DRUMS[0]), FEATURES.index(DRUMS[0]) + len(DRUMS))
_DRUMS, _MIX = SOURCES.index("drums"), SOURCES.index("mix")
_VALUE_ONSET = SOURCE_VALUES.index("onset")
MAX_COLUMNS = 64  # of one picture: a browser that was away for a second has missed the rest


class Picture:
    """One feed, as a browser sees it.

    Parameters
    ----------
    spec : StreamSpec
    feed : int
    """

    def __init__(self, spec: StreamSpec, feed: int) -> None:
        self._feed = feed
        self._spectrogram = Spectrogram(len(SOURCES), spec.samplerate, spec.hop_length)
        self.columns_per_s = spec.samplerate / spec.hop_length / self._spectrogram.hops
        self.bands_hz = self._spectrogram.bands_hz
        self._hops = self._spectrogram.hops  # to a column
        self._most, self._hop_length = MAX_COLUMNS * self._hops, spec.hop_length
        self._audio = np.zeros((len(SOURCES), 2, self._most * spec.hop_length), np.float32)
        self._features = np.zeros((self._most, len(SOURCES), len(FEATURES)), np.float32)
        n_values = len(SOURCES) * len(SOURCE_VALUES)
        self._numbers = np.zeros(n_values + len(FEED_VALUES), np.float32)
        self._values = self._numbers[:n_values].reshape(len(SOURCES), -1)
        self._of_feed = self._numbers[n_values:]
        self._phase = 0  # hops of the unfinished column
        self._onsets = np.zeros((self._most + self._hops, len(SOURCES)), bool)  # from its start
        self._n = self._flags = self._sample_pos = 0

    def write(self, hop: Any) -> None:
        """One hop of the stream; it is looked at when all are, which costs a fraction."""
        if self._n == self._most:  # nobody has taken a picture for long
            self._analyse()
            self._n = 0
        b, n = self._feed, self._n
        here = slice(n * self._hop_length, (n + 1) * self._hop_length)
        self._audio[0, :, here], self._audio[1:, :, here] = hop["mix"][b], hop["stems"][b]
        self._features[n] = hop["features"][b]
        self._flags |= int(hop["flags"])
        self._sample_pos = int(hop["sample_pos"])
        self._n += 1

    def take(self, levels: bytes) -> bytes | None:
        """Everything since the last call, packed; None when nothing came.

        levels : one byte for each feed, 0..255 for -60..0 dBFS.

        Head, then float32: SOURCE_VALUES of each source, FEED_VALUES, f0_hz of each column and
        source; then bytes: bands of each column and source, onsets of each column and source,
        levels.
        """
        if not self._n:
            return None
        f0, bands, struck = self._analyse()
        self._numbers[~np.isfinite(self._numbers)] = 0.0
        packed = b"".join(
            (
                HEAD.pack(PICTURE, self._feed, len(bands), self._flags, self._sample_pos),
                self._numbers.tobytes(),
                f0.tobytes(),
                bands.tobytes(),
                struck.tobytes(),
                levels,
            )
        )
        self._n = self._flags = 0
        return packed

    def _analyse(self) -> tuple[Any, Any, Any]:
        """Fill in the values; f0_hz, bands and onsets of the columns that are complete."""
        audio = self._audio[:, :, : self._n * self._hop_length]
        features = self._features[: self._n]
        values, newest = self._values, features[-1]
        np.maximum.reduce(np.abs(audio), axis=2, out=values[:, :2])
        power = np.einsum("scn,scn->sc", audio, audio)
        power /= audio.shape[2]
        np.sqrt(power, out=values[:, 2:4])
        onsets = self._onsets[self._phase : self._phase + self._n]
        np.greater(features[:, :, _ONSET], 0.0, out=onsets)
        values[:, _VALUE_ONSET] = 0.0
        if onsets.any():
            strength = np.maximum(features[:, :, _STRENGTH], 0.05)
            np.maximum.reduce(np.where(onsets, strength, 0.0), out=values[:, _VALUE_ONSET])
        values[:, _NEWEST:] = newest.take(_FROM, axis=1)
        np.maximum.reduce(features[:, _DRUMS, _HITS], out=self._of_feed[: len(DRUMS)])
        self._of_feed[len(DRUMS) :] = newest[_MIX].take(_FEED_FROM)
        bands = self._spectrogram.write(0.5 * (audio[:, 0] + audio[:, 1]))
        # Hops by columns; those of the column that is not complete wait for the rest.
        ended = len(bands) * self._hops
        struck = self._onsets[:ended].reshape(len(bands), self._hops, len(SOURCES)).any(axis=1)
        f0 = features[self._hops - self._phase - 1 :: self._hops, :, _F0]
        self._phase += self._n - ended
        self._onsets[: self._phase] = self._onsets[ended : ended + self._phase]
        return f0, bands, struck


class Levels:
    """The loudest of each feed's mix since the last look: the overview."""

    def __init__(self, feeds: Sequence[str]) -> None:
        self._rms = np.zeros(len(feeds), np.float32)

    def write(self, hop: Any) -> None:
        """One hop of the stream."""
        np.fmax(self._rms, hop["features"][:, _MIX, _RMS], out=self._rms)  # NaN does not last

    def take(self) -> bytes:
        """A byte for each feed, 0..255 for -60..0 dBFS."""
        levels = [20.0 * math.log10(max(rms, 1e-6)) for rms in self._rms.tolist()]
        self._rms[:] = 0.0
        return bytes(min(max(int((db + 60.0) * (255.0 / 60.0)), 0), 255) for db in levels)


class Ear:
    """One source of one feed as pieces of 16-bit audio, for those who listen to it."""

    PIECE_S = 0.02

    def __init__(self, spec: StreamSpec, feed: int, source: int) -> None:
        self._feed, self._source = feed, source
        self._hop_length = spec.hop_length
        wanted = max(round(self.PIECE_S / spec.hop_s), 1)
        self._heard = np.zeros((wanted * spec.hop_length, 2), np.float32)
        self._n = self._sample_pos = 0

    def write(self, hop: Any) -> bytes | None:
        """One hop of the stream; a piece now and then: head, then int16 left and right in turn."""
        b, s = self._feed, self._source
        audio = hop["mix"][b] if s == 0 else hop["stems"][b, s - 1]
        if self._n == 0:
            self._sample_pos = int(hop["sample_pos"])
        self._heard[self._n : self._n + self._hop_length] = audio.T
        self._n += self._hop_length
        heard = self._heard
        if self._n < len(heard):
            return None
        self._n = 0
        np.clip(heard, -1.0, 1.0, out=heard)
        heard[np.isnan(heard)] = 0.0
        heard *= 32_767
        head = HEAD.pack(AUDIO, b, len(heard), s, self._sample_pos)
        # Truncated as it is: 16 bits are for checking by ear, the stems themselves are float32.
        return head + heard.astype("<i2").tobytes()


__all__ = ["FEED_VALUES", "N_BANDS", "SOURCE_VALUES", "Ear", "Levels", "Picture"]
