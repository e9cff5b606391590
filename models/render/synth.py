"""Synthesised notes, beside the recorded ones.

The pack holds a handful of basses and guitars; music holds thousands. A patch drawn at random costs
nothing, belongs to nobody, and keeps a network from learning eight instruments by heart.

Subtractive, FM and additive voices through a swept resonant filter, and plucked strings.
Sources: V. Zavalishin, The art of VA filter design (state-variable filter, trapezoidal);
K. Karplus and A. Strong, Digital synthesis of plucked-string and drum timbres, CMJ 1983.
"""

import math

import numpy as np
from numba import njit

from models.library import SAMPLERATE
from models.render.audio import log_uniform

SINE, TRIANGLE, SAW, PULSE, FM, ORGAN, NOISE = range(7)
CONTROL = 16  # samples between updates of the filter's corner


@njit(cache=True, nogil=True, fastmath=True)
def oscillate(out, hertz, detune, place, phase, wave, width, ratio, index, drawbars, noise):
    """Add unison oscillators to (2, n).

    hertz, index (n,); detune (factors), place (0…1), phase (v,); drawbars (9,); noise (n,)
    """
    for v in range(detune.size):
        p = phase[v]
        q = phase[v]
        left = 1.0 - place[v]
        right = place[v]
        for n in range(out.shape[1]):
            dp = hertz[n] * detune[v] / SAMPLERATE
            p += dp
            p -= math.floor(p)
            y = 0.0
            if wave == SINE:
                y = math.sin(2 * math.pi * p)
            elif wave == TRIANGLE:
                y = 4 * abs(p - 0.5) - 1
            elif wave in (SAW, PULSE):
                y = 2 * p - 1
                # Polynomial step: takes the worst of the aliases off the jump.
                if p < dp:
                    t = p / dp
                    y -= t + t - t * t - 1
                elif p > 1 - dp:
                    t = (p - 1) / dp
                    y -= t * t + t + t + 1
                if wave == PULSE:
                    r = p + width
                    r -= math.floor(r)
                    z = 2 * r - 1
                    if r < dp:
                        t = r / dp
                        z -= t + t - t * t - 1
                    elif r > 1 - dp:
                        t = (r - 1) / dp
                        z -= t * t + t + t + 1
                    y -= z
            elif wave == FM:
                q += dp * ratio
                q -= math.floor(q)
                y = math.sin(2 * math.pi * p + index[n] * math.sin(2 * math.pi * q))
            elif wave == ORGAN:
                for k in range(9):
                    if drawbars[k] > 0:
                        y += drawbars[k] * math.sin(2 * math.pi * p * (k + 1))
            else:
                y = noise[n]
            out[0, n] += left * y
            out[1, n] += right * y


@njit(cache=True, nogil=True, fastmath=True)
def sweep(x, corner, damping, mode):
    """State-variable filter over (c, n) in place; corner (n,) hertz; mode 0 low, 1 band, 2 high."""
    for c in range(x.shape[0]):
        s1 = 0.0
        s2 = 0.0
        g = 0.1
        for n in range(x.shape[1]):
            if n % CONTROL == 0:
                g = math.tan(math.pi * min(corner[n], 0.45 * SAMPLERATE) / SAMPLERATE)
            high = (x[c, n] - (damping + g) * s1 - s2) / (1 + damping * g + g * g)
            band = g * high + s1
            low = g * band + s2
            s1 = g * high + band
            s2 = g * band + low
            x[c, n] = low if mode == 0 else (band if mode == 1 else high)


@njit(cache=True, nogil=True, fastmath=True)
def pluck(out, period, burst, soft, decay):
    """A plucked string into (n,): a delay of `period` samples fed by `burst`, damped each turn."""
    size = int(period) + 2
    line = np.zeros(size, np.float64)
    at = 0
    delay = period - soft
    whole = int(delay)
    part = delay - whole
    last = 0.0
    for n in range(out.size):
        a = line[(at - whole) % size]
        b = line[(at - whole - 1) % size]
        y = a + part * (b - a)
        z = (1 - soft) * y + soft * last
        last = y
        x = decay * z + (burst[n] if n < burst.size else 0.0)
        line[at] = x
        at = (at + 1) % size
        out[n] = x


def hertz_of(pitch):
    return 440.0 * 2 ** ((pitch - 69) / 12)


# ---------------------------------------------------------------------------------------- patches


def draw_patch(rng, role):
    """One instrument for any number of notes; role: bass, sub, pad, keys, lead, stab, pluck."""
    low = role in ("bass", "sub")
    slow = role == "pad"
    wave = int(
        rng.choice(
            (SINE, TRIANGLE, SAW, PULSE, FM, ORGAN),
            p={
                "bass": (0.08, 0.1, 0.35, 0.22, 0.25, 0.0),
                "sub": (0.6, 0.3, 0.0, 0.05, 0.05, 0.0),
                "pad": (0.05, 0.08, 0.5, 0.15, 0.07, 0.15),
                "keys": (0.1, 0.1, 0.1, 0.1, 0.4, 0.2),
                "lead": (0.08, 0.1, 0.4, 0.27, 0.15, 0.0),
                "stab": (0.05, 0.05, 0.5, 0.2, 0.15, 0.05),
                "pluck": (0.15, 0.2, 0.3, 0.15, 0.2, 0.0),
            }[role],
        )
    )
    voices = 1 if role in ("sub", "keys") else int(rng.choice((1, 2, 3, 5, 7)))
    if role == "bass" and rng.random() < 0.7:
        voices = int(rng.choice((1, 2)))
    short = role in ("stab", "pluck") or (role == "bass" and rng.random() < 0.4)
    drawbars = np.array([(rng.random() < 0.6) * rng.random() for _ in range(9)])
    drawbars[0] += 0.4
    return {
        "wave": wave,
        "voices": voices,
        "width": rng.uniform(0.05, 0.5),
        "detune": log_uniform(rng, 0.0008, 0.012 if not low else 0.006),
        "spread": rng.uniform(0, 0.3 if low else 1.0),
        "sub": rng.uniform(0.2, 1) if rng.random() < (0.4 if low else 0.1) else 0.0,
        "ratio": float(rng.choice((0.5, 1, 1, 2, 2, 3, 4, 1.41, 3.5, 7, 14))),
        "index": log_uniform(rng, 0.2, 5),
        "drawbars": drawbars,
        "noise": rng.uniform(0, 0.2) if rng.random() < 0.2 else 0.0,
        # Filter corners in multiples of the pitch: where the note ends and what the attack adds.
        "corner": log_uniform(rng, 1, 12) if low else log_uniform(rng, 1.5, 30),
        "bite": log_uniform(rng, 0.5, 60),
        "damping": log_uniform(rng, 0.15, 1.8),
        "mode": 0 if low or rng.random() < 0.9 else int(rng.choice((1, 2))),
        "attack_s": log_uniform(rng, 0.05, 0.8) if slow else log_uniform(rng, 0.001, 0.02),
        "decay_s": log_uniform(rng, 0.05, 0.4) if short else log_uniform(rng, 0.2, 3.0),
        "sustain": 0.0 if short else rng.uniform(0.4, 1) if slow else rng.uniform(0, 1),
        "release_s": log_uniform(rng, 0.2, 1.2) if slow else log_uniform(rng, 0.01, 0.25),
        "sweep_s": log_uniform(rng, 0.02, 0.8),
        "vibrato": rng.uniform(0, 0.006) if rng.random() < (0.5 if role == "lead" else 0.15) else 0,
        "wobble_hz": log_uniform(rng, 0.1, 8) if rng.random() < 0.15 else 0.0,
        "drop": rng.uniform(0.3, 4) if role in ("sub", "bass") and rng.random() < 0.25 else 0.0,
        "drop_s": log_uniform(rng, 0.006, 0.05),
        "glide_s": log_uniform(rng, 0.01, 0.2),
        "drive": log_uniform(rng, 0.5, 8) if rng.random() < 0.35 else 0.0,
        "level": {SINE: 0.7, TRIANGLE: 0.6, FM: 0.6, ORGAN: 0.35}.get(wave, 0.4),
    }


def octaves(patch, pitch):
    """MIDI numbers one may rightly hear in a note of a patch: none when it is a bell."""
    ratio = patch["ratio"]
    if patch["wave"] == FM and (2 * ratio) % 1:
        return ()
    halved = patch["wave"] == FM and ratio % 1  # sidebands half-way between the harmonics
    return (pitch, pitch - 12) if halved or patch["sub"] else (pitch,)


def note(rng, patch, pitch, length, velocity=1.0, glide_from=None):
    """One note, (2, m) float32: MIDI `pitch` held for `length` samples, then released."""
    total = length + int(patch["release_s"] * SAMPLERATE)
    t = np.arange(total, dtype=np.float32) / SAMPLERATE
    base = hertz_of(pitch)
    hertz = np.full(total, base, np.float32)
    if glide_from is not None:
        hertz *= (hertz_of(glide_from) / base) ** np.exp(-t / patch["glide_s"])
    if patch["vibrato"]:
        hertz *= 1 + patch["vibrato"] * np.minimum(1, 3 * t) * np.sin(2 * np.pi * 5.5 * t)
    if patch["drop"]:  # a beater's fall in pitch: the bass note that begins like a kick
        hertz *= 1 + patch["drop"] * np.exp(-t / patch["drop_s"])
    voices = patch["voices"]
    spread = np.linspace(-1, 1, voices) if voices > 1 else np.zeros(1)
    falling = np.exp(-t / patch["sweep_s"])
    out = np.zeros((2, total), np.float32)
    noise = rng.standard_normal(total).astype(np.float32) if patch["noise"] else hertz
    oscillate(
        out,
        hertz,
        1 + patch["detune"] * spread,
        0.5 + 0.5 * patch["spread"] * spread,
        rng.random(voices),
        patch["wave"],
        patch["width"],
        patch["ratio"],
        (patch["index"] * velocity * (0.2 + 0.8 * falling)).astype(np.float32),
        patch["drawbars"],
        noise,
    )
    out *= 2 / np.sqrt(voices)
    if patch["sub"]:
        out += np.float32(patch["sub"]) * np.sin(np.pi * np.cumsum(hertz) / SAMPLERATE)
    if patch["noise"]:
        out += np.float32(patch["noise"]) * noise
    bite = patch["bite"] * velocity * falling
    if patch["wobble_hz"]:
        bite = bite + patch["corner"] * (1 + np.sin(2 * np.pi * patch["wobble_hz"] * t))
    corner = np.minimum(18000, base * (patch["corner"] + bite)).astype(np.float32)
    sweep(out, corner, patch["damping"], patch["mode"])
    if patch["drive"]:
        out = np.tanh(out * np.float32(patch["drive"])) / np.float32(max(1, 0.6 * patch["drive"]))
    level = patch["sustain"] + (1 - patch["sustain"]) * np.exp(-t / patch["decay_s"])
    level *= np.minimum(1, t / patch["attack_s"])
    level[length:] *= np.exp(-5 * np.linspace(0, 1, total - length, dtype=np.float32))
    level[-64:] *= np.linspace(1, 0, min(64, total), dtype=np.float32)[-level[-64:].size :]
    return out * (patch["level"] * velocity * level).astype(np.float32)


def draw_string(rng, role):
    """A plucked instrument; role: guitar, bass, harp, mute."""
    return {
        "soft": rng.uniform(0.1, 0.5) if role != "harp" else rng.uniform(0.25, 0.5),
        "ring_s": {
            "guitar": log_uniform(rng, 0.8, 6),
            "bass": log_uniform(rng, 0.3, 4),
            "harp": log_uniform(rng, 0.5, 3),
            "mute": log_uniform(rng, 0.06, 0.25),
        }[role],
        "place": rng.uniform(0.06, 0.45),  # of the pick along the string: a comb
        "bright": log_uniform(rng, 1000, 14000),
        "release_s": log_uniform(rng, 0.02, 0.1),
        "body": log_uniform(rng, 90, 350),
    }


def string(rng, patch, pitch, length, velocity=1.0):
    """One plucked note, (1, m) float32, damped after `length` samples."""
    total = length + int(patch["release_s"] * SAMPLERATE)
    period = SAMPLERATE / hertz_of(pitch)
    burst = rng.uniform(-1, 1, int(period) + 1)
    smooth = np.exp(-2 * np.pi * patch["bright"] * (0.3 + 0.7 * velocity) / SAMPLERATE)
    state = 0.0
    for i in range(burst.size):  # a one-pole over a period; the pick's softness
        state = burst[i] = burst[i] + smooth * (state - burst[i])
    burst -= np.roll(burst, max(1, int(patch["place"] * period)))
    burst /= np.abs(burst).max() + 1e-9
    out = np.zeros(total, np.float32)
    decay = 10 ** (-3 * period / SAMPLERATE / patch["ring_s"])
    pluck(out, period, burst, patch["soft"], min(decay, 0.9999))
    out[length:] *= np.exp(-6 * np.linspace(0, 1, total - length, dtype=np.float32))
    return (out * np.float32(velocity))[None]
