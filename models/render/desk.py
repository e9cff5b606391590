"""What engineers do to a channel and to the bus.

Everything on a channel may bend; everything on the bus is either linear, or one gain curve that
multiplies all stems alike, so that stems still sum to the mixture.
"""

import numpy as np

from models.library import SAMPLERATE
from models.render.audio import convolve, gain, log_uniform, pan
from models.render.filters import (
    bell,
    envelope,
    filtered,
    high_shelf,
    highpass,
    low_shelf,
    lowpass,
)
from models.render.score import DEAF
from models.render.taste import FIRST

REVERB = {"vocals": 0.65, "drums": 0.35, "bass": 0.06, "other": 0.5}
DELAY = {"vocals": 0.25, "drums": 0.04, "bass": 0.01, "other": 0.15}
SQUEEZE = {"vocals": 0.6, "drums": 0.4, "bass": 0.45, "other": 0.2}
DRIVE = {"vocals": 0.12, "drums": 0.2, "bass": 0.3, "other": 0.15}


def channel(rng, stem, audio, plan=None, told=DEAF, taste=FIRST):
    """A channel strip over (2, n), in the order of a desk; returns a new array."""
    audio = equalise(rng, stem, audio)
    if rng.random() < SQUEEZE[stem]:
        audio = compress(rng, audio, taste.heard)
    if rng.random() < DRIVE[stem]:
        audio = saturate(rng, audio)
    if rng.random() < (0.15 if stem == "other" else 0.03):
        audio = chorus(rng, audio)
    if plan is not None and rng.random() < DELAY[stem]:
        audio = audio + echo(rng, audio, plan.beat_length)
        told.unknown("onsets")  # repeats are heard, but nobody played them
    if rng.random() < REVERB[stem]:
        audio = reverb(rng, audio)
    if stem in ("vocals", "other"):
        audio = place(rng, audio, 0.15 if stem == "vocals" else 0.6)
    return audio


def equalise(rng, stem, audio):
    """Low cut, shelves, two bells; bass keeps its bottom."""
    rows = []
    if stem in ("vocals", "other") and rng.random() < 0.6:
        rows.append(highpass(log_uniform(rng, 40, 250 if stem == "vocals" else 160)))
    if rng.random() < 0.5:
        rows.append(low_shelf(log_uniform(rng, 80, 400), rng.normal(0, 3)))
    if rng.random() < 0.6:
        rows.append(high_shelf(log_uniform(rng, 2000, 10000), rng.normal(0, 4)))
    for _ in range(int(rng.integers(3))):
        rows.append(bell(log_uniform(rng, 80, 9000), rng.normal(0, 4), log_uniform(rng, 0.4, 4)))
    if rng.random() < 0.08:
        rows.append(lowpass(log_uniform(rng, 1500, 9000)))
    return filtered(audio, *rows)


def level_of(audio):
    """The louder side of (2, n) at each sample."""
    return np.abs(audio).max(0)


def squeeze(level, threshold, ratio, attack_s, release_s):
    """Gain curve (n,) of a compressor for a level (n,); threshold linear."""
    followed = envelope(level, attack_s, release_s)
    over = np.maximum(followed / threshold, 1)
    return over ** np.float32(1 / ratio - 1)


def compress(rng, audio, heard=False):
    """`heard`: the threshold goes by what sounds, for the silence of a sparse part has none."""
    level = level_of(audio)
    seen, share = level[::64], rng.uniform(0.6, 0.98)
    if heard:
        seen, share = seen[seen > 0.01 * seen.max(initial=0)], share - 0.2
        if not seen.size:
            return audio
    threshold = np.quantile(seen, share) + 1e-6
    attack_s, release_s = log_uniform(rng, 0.001, 0.04), log_uniform(rng, 0.04, 0.4)
    return audio * squeeze(level, threshold, log_uniform(rng, 1.5, 10), attack_s, release_s)


def saturate(rng, audio):
    """Soft clipping, parallel or not."""
    scale = np.float32(1 / (np.quantile(np.abs(audio[:, ::64]), 0.99) + 1e-6))
    drive = np.float32(log_uniform(rng, 0.3, 5)) * scale
    bent = np.tanh(audio * drive) / drive
    wet = np.float32(rng.choice((1.0, 1.0, 0.5)))
    return wet * bent + (1 - wet) * audio


def chorus(rng, audio):
    """A slowly moving second voice a few milliseconds late, another for each ear."""
    n = audio.shape[1]
    t = np.arange(n, dtype=np.float32) / SAMPLERATE
    rate, depth = log_uniform(rng, 0.1, 5), rng.uniform(0.0005, 0.003)
    base = rng.uniform(0.004, 0.02)
    out = audio.copy()
    index = np.arange(n, dtype=np.float32)
    for c in range(2):
        late = base + depth * np.sin(2 * np.pi * rate * t + c * rng.uniform(0.5, 3))
        at = np.maximum(index - late * SAMPLERATE, 0)
        whole = at.astype(np.int64)
        part = at - whole
        after = np.minimum(whole + 1, n - 1)
        out[c] += np.float32(0.7) * (audio[c, whole] * (1 - part) + audio[c, after] * part)
    return out


def echo(rng, audio, beat_length):
    """Repeats on the grid, darker each time, from side to side or not."""
    n = audio.shape[1]
    step = int(beat_length * rng.choice((0.25, 0.5, 0.75, 1.0)))
    if rng.random() < 0.2:
        step = int(rng.uniform(0.06, 0.14) * SAMPLERATE)  # slap
    feedback, crossing = rng.uniform(0.2, 0.65), rng.random() < 0.5
    tone = lowpass(log_uniform(rng, 1500, 8000))
    repeat = audio * gain(rng.uniform(-18, -7))
    out = np.zeros_like(audio)
    for k in range(1, 7):
        if k * step >= n:
            break
        repeat = filtered(repeat, tone) * np.float32(1 if k == 1 else feedback)
        if crossing:
            repeat = repeat[::-1]
        out[:, k * step :] += repeat[:, : n - k * step]
    return out


def room(rng, seconds=None):
    """A room's impulse response without its direct sound, (2, m), of unit energy a side."""
    if seconds is None:
        seconds = log_uniform(rng, 0.15, 2.5)
    m = int(seconds * SAMPLERATE)
    t = np.arange(m, dtype=np.float32) / SAMPLERATE
    noise = rng.standard_normal((2, m)).astype(np.float32)
    dark = filtered(noise, lowpass(log_uniform(rng, 1200, 6000)))
    # Highs die first: the tail turns from the noise into its dark copy.
    bright = np.exp(-t / (0.25 * seconds))
    tail = (bright * noise + (1 - bright) * dark) * np.exp(-6.9 * t / seconds)
    for _ in range(int(rng.integers(4, 12))):  # first reflections
        tail[int(rng.integers(2)), int(rng.uniform(0, min(0.06, seconds)) * SAMPLERATE)] += (
            rng.normal() * 2
        )
    tail = filtered(tail, highpass(log_uniform(rng, 60, 400)))
    tail /= np.sqrt(np.square(tail).sum(1, keepdims=True)) + 1e-9
    before = int(rng.uniform(0, 0.05) * SAMPLERATE)
    return np.pad(tail, ((0, 0), (before, 0)))


def reverb(rng, audio):
    return audio + gain(rng.uniform(-20, -4)) * convolve(audio, room(rng))


def place(rng, audio, width):
    """Pan, and make narrower or wider."""
    mid = audio.mean(0, keepdims=True)
    spread = np.float32(rng.choice((0.3, 0.7, 1.0, 1.0, 1.0, 1.4)))
    return (mid + spread * (audio - mid)) * pan(rng.normal(0, width / 2))


def cabinet(rng, impulse):
    return filtered(
        impulse,
        highpass(rng.uniform(60, 130)),
        bell(rng.uniform(90, 180), rng.uniform(0, 6), 1.5),
        bell(rng.uniform(350, 800), rng.uniform(-7, 1), 1.0),
        bell(rng.uniform(1800, 4000), rng.uniform(2, 9), 1.2),
        lowpass(rng.uniform(3500, 7000), 0.9),
        lowpass(rng.uniform(4500, 9000), 0.7),
    )


def duck(rng, n, kicks, beat_length):
    """Gain curve (n,) of a sidechain: everything gives way to the kick."""
    curve = np.ones(n, np.float32)
    depth = rng.uniform(0.2, 0.95)
    length = int(beat_length * rng.uniform(0.3, 0.95))
    shape = 1 - depth * np.linspace(1, 0, length, dtype=np.float32) ** rng.uniform(0.7, 2.5)
    shape[:64] = np.linspace(1, shape[63], 64)
    for at in kicks:
        first, last = max(0, at), min(n, at + length)
        if last > first:
            curve[first:last] = np.minimum(curve[first:last], shape[first - at : last - at])
    return curve


def master(rng, stems):
    """Bus equaliser, bus compressor, limiter, over (s, 2, n) in place; one curve for all stems."""
    n = stems.shape[2]
    if rng.random() < 0.4:
        rows = [low_shelf(log_uniform(rng, 60, 300), rng.normal(0, 2))]
        rows.append(high_shelf(log_uniform(rng, 2500, 10000), rng.normal(0, 2.5)))
        stems[:] = filtered(stems.reshape(-1, n), *rows).reshape(stems.shape)
    if rng.random() < 0.45:
        level = level_of(stems.sum(0))
        threshold = np.quantile(level[::64], rng.uniform(0.7, 0.97)) + 1e-6
        attack_s, release_s = log_uniform(rng, 0.003, 0.05), log_uniform(rng, 0.05, 0.5)
        stems *= squeeze(level, threshold, log_uniform(rng, 1.3, 4), attack_s, release_s)
    if rng.random() < 0.7:
        stems *= limit(stems.sum(0), rng.uniform(0.2, 0.9))
    return stems


def limit(mix, share, ahead=220):
    """Gain curve (n,) that holds a mix under `share` of its peak, looking 5 ms ahead."""
    level = level_of(mix)
    ceiling = share * level.max() + 1e-9
    blocks = -(-level.size // ahead)
    peaks = np.pad(level, (0, blocks * ahead - level.size)).reshape(blocks, ahead).max(1)
    wanted = np.minimum(1, ceiling / np.maximum(peaks, 1e-9))
    held = np.minimum(wanted, np.minimum(np.roll(wanted, -1), np.roll(wanted, 1)))
    held[0], held[-1] = min(wanted[:2]), min(wanted[-2:])
    centres = (np.arange(blocks) + 0.5) * ahead
    curve = np.interp(np.arange(level.size), centres, held)
    return np.minimum(curve, 1).astype(np.float32)
