"""Second-order sections and envelope followers: the inner loops of the desk.

Source: R. Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients.
"""

import numpy as np
from numba import njit

from models.library import SAMPLERATE


@njit(cache=True, nogil=True)
def run_sections(x, sections):
    """Filter (c, n) float32 in place by `sections` (k, 5): b0 b1 b2 a1 a2; float64 inside."""
    for k in range(sections.shape[0]):
        b0, b1, b2, a1, a2 = sections[k]
        for c in range(x.shape[0]):
            z1 = 0.0
            z2 = 0.0
            for n in range(x.shape[1]):
                v = np.float64(x[c, n])
                y = b0 * v + z1
                if abs(y) < 1e-12:  # denormals are ten times slower than silence
                    y = 0.0
                z1 = b1 * v - a1 * y + z2
                z2 = b2 * v - a2 * y
                x[c, n] = y


@njit(cache=True, nogil=True)
def follow(level, attack, release):
    """Envelope of (n,) float32 in place; coefficients of one-pole rise and fall."""
    state = 0.0
    for n in range(level.size):
        v = np.float64(level[n])
        k = attack if v > state else release
        state = v + k * (state - v) + 1e-20
        level[n] = state


def sections(*rows):
    """Rows of (b0 b1 b2 a0 a1 a2), normalised, as `run_sections` wants them."""
    table = np.array(rows, np.float64)
    return table[:, [0, 1, 2, 4, 5]] / table[:, 3:4]


def _angle(hertz, q):
    w = 2 * np.pi * min(hertz, 0.49 * SAMPLERATE) / SAMPLERATE
    return np.cos(w), np.sin(w) / (2 * q)


def lowpass(hertz, q=0.7071):
    c, a = _angle(hertz, q)
    return ((1 - c) / 2, 1 - c, (1 - c) / 2, 1 + a, -2 * c, 1 - a)


def highpass(hertz, q=0.7071):
    c, a = _angle(hertz, q)
    return ((1 + c) / 2, -(1 + c), (1 + c) / 2, 1 + a, -2 * c, 1 - a)


def bandpass(hertz, q):
    c, a = _angle(hertz, q)
    return (a, 0.0, -a, 1 + a, -2 * c, 1 - a)


def bell(hertz, db, q):
    c, a = _angle(hertz, q)
    g = 10 ** (db / 40)
    return (1 + a * g, -2 * c, 1 - a * g, 1 + a / g, -2 * c, 1 - a / g)


def low_shelf(hertz, db):
    c, a = _angle(hertz, 0.7071)
    g = 10 ** (db / 40)
    r = 2 * np.sqrt(g) * a
    return (
        g * ((g + 1) - (g - 1) * c + r),
        2 * g * ((g - 1) - (g + 1) * c),
        g * ((g + 1) - (g - 1) * c - r),
        (g + 1) + (g - 1) * c + r,
        -2 * ((g - 1) + (g + 1) * c),
        (g + 1) + (g - 1) * c - r,
    )


def high_shelf(hertz, db):
    c, a = _angle(hertz, 0.7071)
    g = 10 ** (db / 40)
    r = 2 * np.sqrt(g) * a
    return (
        g * ((g + 1) + (g - 1) * c + r),
        -2 * g * ((g - 1) + (g + 1) * c),
        g * ((g + 1) + (g - 1) * c - r),
        (g + 1) - (g - 1) * c + r,
        2 * ((g - 1) - (g + 1) * c),
        (g + 1) - (g - 1) * c - r,
    )


def filtered(audio, *rows):
    """A filtered copy of (c, n)."""
    out = np.array(audio, np.float32, order="C")
    if rows:
        run_sections(out, sections(*rows))
    return out


def pole(seconds):
    """Coefficient of a one-pole that moves 63 % of the way in `seconds`."""
    return float(np.exp(-1 / max(1.0, seconds * SAMPLERATE)))


def envelope(level, attack_s, release_s):
    """Envelope of (n,), a copy."""
    out = np.array(level, np.float32)
    follow(out, pole(attack_s), pole(release_s))
    return out
