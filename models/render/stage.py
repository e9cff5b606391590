"""From the desk to the input jack: rooms, spill, crowds, tired cables, lossy streams.

Linear steps touch every stem alike or each by itself, so the stems keep summing to the mixture.
What is not linear (a clipped input, a lossy stream) leaves its residual in `nobody`.
"""

import io

import numpy as np
import soundfile as sf
import soxr

from models.library import SAMPLERATE
from models.render.audio import convolve, gain, log_uniform, pan, power
from models.render.desk import level_of, room
from models.render.filters import bell, envelope, filtered, highpass, lowpass
from models.render.score import DEAF

CODECS = ("MP3", "OGG")


def perform(rng, stems, told=(DEAF,) * 4):
    """Put (4, 2, n) on a stage and take them to the input; returns (5, 2, n).

    The four listeners `told` hear which stems now hold onsets that nobody played there.
    """
    n = stems.shape[2]
    if rng.random() < 0.25:
        stems = spill(rng, stems)
        for part in (told[0], *told[2:]):  # into drums, the loudest, little spills
            part.unknown("onsets")
    if rng.random() < 0.2:
        stems = hall(rng, stems)
    mix_power = power(stems.sum(0))
    if rng.random() < 0.2 and mix_power > 0:
        stems[3] += noises(rng, n) * np.float32(np.sqrt(mix_power))
        told[3].unknown("onsets")  # hands clap, and hiss hides what is soft
    rows = [*loudspeakers(rng), *microphone(rng)]
    if rows:
        stems = filtered(stems.reshape(-1, n), *rows).reshape(stems.shape)
    stems = wires(rng, stems)
    peak = level_of(stems.sum(0)).max()
    if peak > 0:
        # Full scale down to -30 dB; nearly silent mixes are not torn up from the noise.
        stems *= gain(-rng.uniform(0, 30)) / max(peak, 0.02)
    stems = np.concatenate([stems, np.zeros((1, 2, n), np.float32)])
    if rng.random() < 0.04:
        stems[4] += clip(rng, stems.sum(0))
    if rng.random() < 0.05:
        stems[4] += lossy(rng, stems.sum(0))
    return stems


def spill(rng, stems):
    """Each source in the others' microphones: later, duller, elsewhere."""
    out = stems.copy()
    n = stems.shape[2]
    loudest = rng.uniform(-26, -8)
    for s in range(4):
        if not stems[s].any():
            continue
        mono = stems[s].mean(0, keepdims=True)
        for _ in range(int(rng.integers(1, 4))):
            late = int(log_uniform(rng, 0.001, 0.02) * SAMPLERATE)
            tone = (highpass(log_uniform(rng, 40, 400)), lowpass(log_uniform(rng, 1500, 14000)))
            heard = filtered(mono, *tone) * pan(rng.uniform(-1, 1))
            out[s, :, late:] += heard[:, : n - late] * gain(loudest - rng.uniform(0, 14))
    return out


def hall(rng, stems):
    """One hall for all, heard from farther or nearer; the sources stand at different distances."""
    tail = room(rng)
    wet = rng.uniform(-18, 0)
    dry = np.float32(1.0 if rng.random() < 0.7 else rng.uniform(0.2, 0.8))
    out = np.empty_like(stems)
    for s in range(4):
        if not stems[s].any():
            out[s] = 0
            continue
        mono = stems[s].mean(0, keepdims=True)
        sent = np.repeat(mono, 2, axis=0)
        out[s] = dry * stems[s] + gain(wet + rng.normal(0, 2)) * convolve(sent, tail)
    return out


def noises(rng, n):
    """A crowd, hands, hiss, hum: (2, n) at a random level below unity."""
    t = np.arange(n, dtype=np.float32) / SAMPLERATE
    out = np.zeros((2, n), np.float32)
    if rng.random() < 0.5:
        out += _crowd(rng, n) * gain(rng.uniform(-45, -14))
    if rng.random() < 0.25:
        out += _applause(rng, n) * gain(rng.uniform(-40, -8))
    if rng.random() < 0.6:
        hiss = rng.standard_normal((2, n)).astype(np.float32)
        hiss = filtered(hiss, lowpass(log_uniform(rng, 300, 16000)))
        out += hiss / hiss.std() * gain(rng.uniform(-65, -32))
    if rng.random() < 0.25:
        mains = float(rng.choice((50, 60)))
        hum = sum(
            rng.uniform(0, 1) / k * np.sin(2 * np.pi * mains * k * t + rng.uniform(0, 6))
            for k in range(1, 9)
        )
        out += (hum * gain(rng.uniform(-55, -30))).astype(np.float32)
    return out


def _crowd(rng, n):
    """A murmur of noise in the bands of speech, swelling and falling; of unit power."""
    out = np.zeros((2, n), np.float32)
    for _ in range(5):
        noise = rng.standard_normal((2, n)).astype(np.float32)
        centre = log_uniform(rng, 250, 3000)
        noise = filtered(noise, highpass(centre / 1.5), lowpass(centre * 1.5))
        knots = rng.uniform(0.2, 1, max(2, n // 8000))
        swell = np.interp(np.arange(n), np.linspace(0, n, knots.size), knots)
        out += noise / (noise.std() + 1e-9) * swell.astype(np.float32) / np.sqrt(centre / 500)
    return out / (out.std() + 1e-9)


def _applause(rng, n):
    """Many hands: short bursts at random, each with its own colour and place; of unit power."""
    clap = rng.standard_normal((1, 700)) * np.exp(-np.arange(700) / 120)
    shapes = [
        filtered(
            clap.astype(np.float32), highpass(log_uniform(rng, 500, 1500)),
            lowpass(log_uniform(rng, 2500, 9000)),
        )
        for _ in range(8)
    ]  # fmt: skip
    out = np.zeros((2, n), np.float32)
    per_second = log_uniform(rng, 15, 250)
    for at in rng.integers(0, max(1, n - 700), int(n / SAMPLERATE * per_second)):
        shape = shapes[int(rng.integers(8))] * np.float32(rng.uniform(0.2, 1))
        out[:, at : at + 700] += (shape * pan(rng.uniform(-1, 1)))[:, : n - at]
    return out / (out.std() + 1e-9)


def loudspeakers(rng):
    """Filters of a PA, its room and its near-feedback."""
    rows = []
    if rng.random() < 0.15:
        rows += [highpass(log_uniform(rng, 30, 120)), lowpass(log_uniform(rng, 6000, 16000))]
        rows.append(bell(log_uniform(rng, 50, 120), rng.uniform(0, 8), 1.0))
    if rng.random() < 0.15:  # modes of a room
        for _ in range(int(rng.integers(2, 7))):
            rows.append(bell(log_uniform(rng, 40, 400), rng.normal(0, 6), log_uniform(rng, 3, 15)))
    if rng.random() < 0.06:  # about to howl
        for _ in range(int(rng.integers(1, 3))):
            rows.append(bell(log_uniform(rng, 250, 4000), rng.uniform(6, 16), rng.uniform(15, 60)))
    return rows


def microphone(rng):
    """A cheap capsule, or a telephone's band."""
    draw = rng.random()
    if draw < 0.03:
        edges = log_uniform(rng, 150, 400), log_uniform(rng, 3000, 5000)
        return [highpass(edges[0]), highpass(edges[0]), lowpass(edges[1]), lowpass(edges[1])]
    if draw < 0.10:
        return [
            highpass(log_uniform(rng, 60, 250)),
            bell(log_uniform(rng, 1500, 6000), rng.uniform(0, 9), 0.8),
            lowpass(log_uniform(rng, 5000, 14000)),
        ]
    return []


def wires(rng, stems):
    """Mono, swapped, turned, lopsided: what cables do, to all stems alike."""
    if rng.random() < 0.12:
        stems = np.repeat(stems.mean(1, keepdims=True), 2, axis=1)
    elif rng.random() < 0.03:  # one side is dead
        stems = stems * np.array([[[1.0], [0.0]]], np.float32)
    elif rng.random() < 0.06:
        stems = stems * gain(rng.normal(0, 3, (1, 2, 1))).astype(np.float32)
    elif rng.random() < 0.05:  # a spaced pair: one side hears it later
        late = int(rng.integers(1, 60))
        stems = stems.copy()
        stems[:, 1, late:] = stems[:, 1, :-late].copy()
    if rng.random() < 0.5:
        stems = stems[:, ::-1]
    if rng.random() < 0.5:
        stems = -stems
    if rng.random() < 0.05:  # an automatic gain control: one curve for all
        level = envelope(level_of(stems.sum(0)), 0.05, log_uniform(rng, 0.3, 3))
        floor = 0.1 * level.max() + 1e-9
        stems = stems * (1 / np.maximum(level, floor)) * level.mean()
    return np.ascontiguousarray(stems, np.float32)


def clip(rng, mix):
    """What an overloaded input adds to a mix."""
    ceiling = level_of(mix).max() * gain(-rng.uniform(0.5, 6))
    return np.clip(mix, -ceiling, ceiling) - mix


def lossy(rng, mix):
    """What a lossy codec adds to a mix (2, n); zero where the codec is not built in."""
    name = CODECS[int(rng.integers(len(CODECS)))]
    quality = float(rng.uniform(0.0, 0.75))
    peak = level_of(mix).max()
    if name not in sf.available_formats() or peak < 1e-4:
        return np.zeros_like(mix)
    scale = np.float32(min(1.0, 0.9 / peak))
    file = io.BytesIO()
    sf.write(file, (mix * scale).T, SAMPLERATE, format=name, compression_level=quality)
    file.seek(0)
    coded, samplerate = sf.read(file, dtype="float32", always_2d=True)
    coded = coded.T
    if samplerate != SAMPLERATE:
        coded = soxr.resample(coded.T, samplerate, SAMPLERATE).T
    n = mix.shape[1]
    if coded.shape[1] < n:
        coded = np.pad(coded, ((0, 0), (0, n - coded.shape[1])))
    return coded[:, :n] / scale - mix
