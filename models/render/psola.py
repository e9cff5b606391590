"""Another pitch, another speed, another throat: pitch-synchronous overlap-add.

Sources: A. de Cheveigné and H. Kawahara, YIN, JASA 2002, steps 1 to 4; E. Moulines and
F. Charpentier, Pitch-synchronous waveform processing techniques, Speech Communication 1990.
Deviation: formants move by reading each grain faster or slower than it is laid down.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numba import njit

from models.library import SAMPLERATE

STEP = 441  # samples between pitch estimates: 10 ms
SLOW = 4  # the tracker listens at a quarter of the rate
LOWEST_HZ, HIGHEST_HZ = 65.0, 900.0


@njit(cache=True, nogil=True, fastmath=True)
def track(x, step, window, first, last, lags, dips):
    """Period (in samples of x, 0 = unvoiced) of each frame; x (n,) float32; lags, dips (t,)."""
    curve = np.zeros(last + 1, np.float32)
    for t in range(lags.size):
        start = int(t * step)
        total = 0.0
        lags[t] = 0.0
        dips[t] = 1.0
        if start + window + last >= x.size:
            continue
        energy = 0.0
        for n in range(window):
            energy += x[start + n] * x[start + n]
        if energy < 1e-6 * window:
            continue
        best = 0
        for lag in range(1, last + 1):
            d = 0.0
            for n in range(window):
                e = x[start + n] - x[start + n + lag]
                d += e * e
            total += d
            curve[lag] = d * lag / (total + 1e-12)
        for lag in range(first, last):
            # The first dip that is deep enough, followed down to its bottom.
            if curve[lag] < 0.2 and curve[lag] <= curve[lag + 1]:
                best = lag
                break
        if best > 1:
            a = curve[best - 1]
            b = curve[best]
            c = curve[best + 1]
            bend = a - 2 * b + c
            lags[t] = best + (0.5 * (a - c) / bend if bend > 1e-9 else 0.0)
            dips[t] = b


@njit(cache=True, nogil=True)
def mark(x, periods, step, marks, lengths):
    """Pitch marks on the peaks of x (n,); returns their number. lengths < 0: unvoiced."""
    count = 0
    at = 0.0
    while at < x.size and count < marks.size:
        t = min(int(at / step), periods.size - 1)
        period = periods[t]
        if period <= 0:
            marks[count] = int(at)
            lengths[count] = -step / 2.0
            count += 1
            at += step / 2.0
            continue
        reach = int(0.2 * period)
        low = max(0, int(at) - reach)
        high = min(x.size, int(at) + reach + 1)
        best = low
        for n in range(low, high):
            if x[n] > x[best]:
                best = n
        marks[count] = best
        lengths[count] = period
        count += 1
        at = best + period
    return count


@njit(cache=True, nogil=True, fastmath=True)
def overlap_add(x, marks, lengths, where, factor, formant, step, out):
    """Lay grains of x around `marks` into out (m,).

    where : (t,) source sample of every output frame of `step` samples, rising or falling
    factor : (t,) how much higher the pitch becomes there
    """
    at = 0.0
    k = 0
    while at < out.size:
        t = min(int(at / step), where.size - 1)
        part = at / step - t
        after = min(t + 1, where.size - 1)
        source = where[t] + (where[after] - where[t]) * part
        while k + 1 < marks.size and abs(marks[k + 1] - source) <= abs(marks[k] - source):
            k += 1
        while k > 0 and abs(marks[k - 1] - source) < abs(marks[k] - source):
            k -= 1
        length = abs(lengths[k])
        half = int(length / formant)
        centre = int(at)
        for j in range(-half, half + 1):
            n = centre + j
            if n < 0 or n >= out.size:
                continue
            position = marks[k] + j * formant
            whole = int(np.floor(position))
            if whole < 0 or whole + 1 >= x.size:
                continue
            rest = position - whole
            y = x[whole] + rest * (x[whole + 1] - x[whole])
            out[n] += y * (0.5 + 0.5 * np.cos(np.pi * j / (half + 1)))
        at += max(16.0, length / factor[t] if lengths[k] > 0 else length)


# A period is told by the window that begins at its frame: what it says is true this much later.
LOOKAHEAD = 600  # samples; half of a window of 23 ms and of a period of 4 ms


@dataclass(frozen=True)
class Voice:
    """One voice, analysed."""

    x: np.ndarray  # (n,)
    periods: np.ndarray  # (t,) samples, 0 = unvoiced, every STEP samples
    marks: np.ndarray
    lengths: np.ndarray

    @property
    def pitches(self):
        """MIDI pitch of each frame, nan where unvoiced."""
        with np.errstate(divide="ignore"):
            pitch = 69 + 12 * np.log2(SAMPLERATE / self.periods / 440)
        return np.where(self.periods > 0, pitch, np.nan)


def analyse(x):
    """Pitch and pitch marks of one voice, (n,) float32."""
    x = np.ascontiguousarray(x, np.float32)
    slow = soxr.resample(x, SLOW, 1, quality="LQ").astype(np.float32)
    peak = np.abs(slow).max(initial=0.0)
    rate = SAMPLERATE / SLOW
    n_frames = max(1, x.size // STEP)
    periods, dips = np.zeros(n_frames, np.float32), np.ones(n_frames, np.float32)
    if peak > 1e-4:
        track(
            slow / peak * 0.5,
            STEP / SLOW,
            int(0.023 * rate),
            int(rate / HIGHEST_HZ),
            int(rate / LOWEST_HZ),
            periods,
            dips,
        )
    periods *= SLOW
    _despike(periods)
    flip = -1 if -x.min(initial=0.0) > x.max(initial=0.0) else 1
    marks = np.zeros(x.size // 40 + 16, np.int64)
    lengths = np.zeros(marks.size, np.float64)
    count = mark(flip * x, periods, STEP, marks, lengths)
    return Voice(x, periods, marks[:count], lengths[:count])


def sounding(voice, where, factor):
    """MIDI pitch of what `resing` makes of the same, (t,), nan where it has none."""
    frames = np.round((np.asarray(where) - LOOKAHEAD) / STEP).astype(np.int64)
    pitches = voice.pitches[np.clip(frames, 0, voice.pitches.size - 1)]
    return pitches + 12 * np.log2(np.clip(np.asarray(factor, np.float64), 0.25, 4))


def _despike(periods):
    """Median of five voiced frames; octave slips of a frame or two disappear."""
    padded = np.pad(periods, 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5)
    middle = np.median(windows, axis=1)
    periods[:] = np.where((periods > 0) & (middle > 0), middle, 0)


def resing(voice, where, factor, formant=1.0):
    """Lay a voice anew.

    Parameters
    ----------
    where : (t,) float
        Source sample for every STEP output samples.
    factor : (t,) float
        Pitch there over pitch before, 1 = as it was.
    formant : float
        Above 1: a smaller throat.

    Returns
    -------
    (t * STEP,) float32
    """
    out = np.zeros(where.size * STEP, np.float32)
    overlap_add(
        voice.x,
        voice.marks,
        voice.lengths,
        np.asarray(where, np.float64),
        np.clip(np.asarray(factor, np.float64), 0.25, 4),
        formant,
        STEP,
        out,
    )
    return out
