"""Our features, hop by hop, from the daemon's own separator and detectors."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import soxr

from benchmarks.features.heard import Heard
from benchmarks.features.truth import CLASSES
from stemd.kernels.denormals import flush_denormals
from stemd.processors.catalogue import find_model
from stemd.processors.features import Features
from stemd.processors.masknet import MaskNet
from stemd.processors.onset import Onset
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.processors.stft import Analysis
from stemd.spec import FEATURES, N_CHANNELS, N_FEATURES, N_STEMS, SOURCES, StreamSpec

COLUMN = {name: i for i, name in enumerate(FEATURES)}
TEMPO_FROM_END_S = 5.0
SWEPT = (0.5, 0.7, 1.5, 2.5, 4.0)  # times the default threshold of onsets


class PerfectSeparator:
    """Has the face `Features` looks at, and gets its stems from the truth instead of a model."""

    def __init__(self, spec: StreamSpec) -> None:
        self._analyses = [Analysis(spec) for _ in range(1 + N_STEMS - 1)]
        self.spectra = self._analyses[0].spectra
        self.frames = self._analyses[0].frames
        shape = (1, N_STEMS - 1, N_CHANNELS)
        self.masked = np.zeros((*shape, spec.n_bins), np.complex64)
        self.masked_frames = np.zeros((*shape, spec.n_fft), np.float32)
        self.fading = np.zeros(1, np.bool_)
        self.late = np.zeros(1, np.bool_)
        self.dry = np.zeros(1, np.bool_)
        self._past_mix = np.zeros((1, N_CHANNELS, spec.hop_length), np.float32)
        self._past = np.zeros((1, N_STEMS, N_CHANNELS, spec.hop_length), np.float32)

    def process(self, mix: Any, stems: Any, stems_out: Any, mix_out: Any) -> None:
        """Take mix (1, c, hop) and stems (1, s, c, hop) of now; hand out those of one hop ago."""
        self._analyses[0].process(mix)
        for s in range(N_STEMS - 1):
            analysis = self._analyses[1 + s]
            analysis.process(np.ascontiguousarray(stems[:, s]))
            self.masked[:, s] = analysis.spectra
            self.masked_frames[:, s] = analysis.frames
        stems_out[:], mix_out[:] = self._past, self._past_mix
        self._past[:], self._past_mix[:] = stems, mix


class Ours:
    """One profile at one rate.

    Parameters
    ----------
    profile, samplerate, model : as `stemd run` takes them
    """

    def __init__(self, profile: str, samplerate: int, model: str) -> None:
        self.spec = StreamSpec.of(profile, samplerate)
        self._net = MaskNet(find_model(model, profile), self.spec, "cpu")
        self.model = self._net.name

    def listen(self, sources: np.ndarray, rate: int, perfect: bool) -> tuple[Heard, np.ndarray]:
        """What the features say of (5, 2, n), and the separated stems (4, 2, n) at `rate`."""
        spec = self.spec
        m = spec.hop_length
        fed = _resampled(sources, rate, spec.samplerate)
        hops = fed.shape[2] // m
        fed = fed[:, :, : hops * m].reshape(5, N_CHANNELS, hops, m)
        mixes = np.ascontiguousarray(fed.sum(0).transpose(1, 0, 2))[:, None]  # (h, 1, c, m)
        stems_in = np.ascontiguousarray(fed[:4].transpose(2, 0, 1, 3))[:, None]
        stems_in[:, :, 3] += fed[4].transpose(1, 0, 2)[:, None]  # ours sum to the mixture too
        features = Features(spec)
        stems = np.zeros((1, N_STEMS, N_CHANNELS, m), np.float32)
        mix = np.zeros((1, N_CHANNELS, m), np.float32)
        out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
        rows = np.zeros((hops, len(SOURCES), N_FEATURES), np.float32)
        audio = np.zeros((N_STEMS, N_CHANNELS, hops, m), np.float32)
        us = np.zeros(hops)
        others, powers = [Onset(spec) for _ in SWEPT], Powers(spec)
        scratch = np.zeros_like(out)
        swept = np.zeros((len(SWEPT), hops, len(SOURCES), N_FEATURES), np.float32)
        for onset, factor in zip(others, SWEPT, strict=True):
            onset.threshold *= np.float32(factor)
        ideal = PerfectSeparator(spec)
        self._net.reset()
        real = HopSeparator(spec, self._net)
        flush_denormals(True)
        for k in range(hops):
            if perfect:
                ideal.process(mixes[k], stems_in[k], stems, mix)
            else:
                real.process(mixes[k], stems, mix)
            begun = time.thread_time()
            features.process(ideal if perfect else real, mix, stems, out)
            us[k] = time.thread_time() - begun
            rows[k] = out[0]
            if not perfect:
                powers.process(real.spectra, real.masked)
            for i, onset in enumerate(others if not perfect else ()):
                onset.process(powers, real.frames, real.masked_frames, scratch)
                swept[i, k] = scratch[0]
            audio[:, :, k] = stems[0]
        flush_denormals(False)
        late = spec.latency - m
        audio = audio.reshape(N_STEMS, N_CHANNELS, hops * m)[:, :, late:]
        heard = self._read(rows)
        heard.us = us[200:] * 1e6
        for factor, told in zip(SWEPT, swept, strict=True):
            heard.swept[factor] = self._read(told).onsets
        return heard, _resampled(audio, spec.samplerate, rate)

    def _read(self, rows: np.ndarray) -> Heard:
        """Columns by name; what is all zero is not there."""
        m, rate = self.spec.hop_length, self.spec.samplerate
        starts = np.arange(len(rows)) * m / rate  # of the hop of input that a row describes
        sent = starts + m / rate
        heard = Heard()
        for i, source in enumerate(SOURCES):

            def column(name: str, row: int = i) -> np.ndarray:
                return rows[:, row, COLUMN[name]]

            at = np.flatnonzero(column("onset"))
            heard.onsets[source] = (starts[at] + column("onset_offset")[at] / rate, sent[at])
            if column("f0_hz").any():
                heard.tracks[source] = (sent, column("f0_hz").astype(float))
            began = np.flatnonzero(column("note_velocity"))
            if began.size:
                heard.notes[source] = (sent[began], column("note")[began].astype(float))
        drums = rows[:, SOURCES.index("drums")]
        if any(drums[:, COLUMN[drum]].any() for drum in CLASSES):
            for drum in CLASSES:
                at = np.flatnonzero(drums[:, COLUMN[drum]])
                heard.hits[drum] = (starts[at], sent[at])
        tempo = rows[:, 0, COLUMN["tempo_bpm"]]
        if tempo.any():
            known = tempo[-int(TEMPO_FROM_END_S * rate / m) :]
            heard.tempo_bpm = float(np.median(known[known > 0])) if known.any() else 0.0
            heard.beats = starts[np.flatnonzero(rows[:, 0, COLUMN["beat"]])] + 0.5 * m / rate
        return heard


def _resampled(audio: np.ndarray, source: int, target: int) -> np.ndarray:
    if source == target:
        return audio
    flat = audio.reshape(-1, audio.shape[-1])
    return soxr.resample(flat.T, source, target).T.reshape(*audio.shape[:-1], -1)
