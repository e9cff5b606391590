"""Things that play a pitch: recorded groups of one-shots, patches, plucked strings.

`play(pitch, length, velocity)` gives (c, m) float32, m a little longer than `length`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.library import SAMPLERATE
from models.render import synth
from models.render.audio import fade_out, pick, repitch

STRENGTH = {"pp": 0.1, "p": 0.3, "mp": 0.45, "mf": 0.6, "f": 0.8, "ff": 0.95, "fff": 1.0}


@dataclass
class Heard:
    """What the last note of an instrument sounds like.

    pitches : MIDI numbers; two where the waveform holds an octave below, none where it has no pitch
    settles_s : until each bend has come within 15 cents of its pitch
    """

    pitches: tuple = ()
    settles_s: float = 0.0


@dataclass(frozen=True)
class Instrument:
    play: Callable
    low: int
    high: int
    name: str
    heard: Heard = field(default_factory=Heard)


def settling(semitones, fall_s):
    """Seconds until a bend that dies away with time constant `fall_s` is within 15 cents."""
    return fall_s * math.log(max(1.0, abs(semitones) / 0.15))


def strength(entry):
    """0 … 1 of a manifest's velocity: pp … fff, 2/4, vl3; None where it says nothing."""
    mark = entry["velocity"]
    if mark in STRENGTH:
        return STRENGTH[mark]
    if "/" in mark:
        part, whole = mark.split("/")
        return int(part) / int(whole)
    if mark.startswith("vl"):
        return int(mark[2:]) / 5
    return None


def groups_of(entries):
    """Pitched one-shots by folder and instrument, those of three notes and more."""
    groups = {}
    for entry in entries:
        if entry["kind"] == "one-shot" and entry["pitch"] is not None:
            groups.setdefault((entry["folder"], entry["instrument"]), []).append(entry)
    return [group for group in groups.values() if len({e["pitch"] for e in group}) > 2]


def sampler(rng, library, group):
    """A recorded instrument; each instance has its own detuning, damping and habits."""
    pitches = np.array([e["pitch"] for e in group])
    loud = [strength(e) for e in group]
    forces = np.array([0.6 if force is None else force for force in loud])
    detune = rng.normal(0, 0.08)
    stretch = rng.random() < 0.3  # a neighbour stretched by a third is one more instrument
    release = int(rng.uniform(0.02, 0.25) * SAMPLERATE)
    heard = Heard()

    def play(pitch, length, velocity=0.8):
        far = np.abs(pitches - pitch) + 3.0 * np.abs(forces - velocity)
        near = np.flatnonzero(far <= far.min() + (5 if stretch else 1))
        entry = group[pick(rng, near)]
        semitones = pitch - entry["pitch"]
        while abs(semitones) > 14:  # beyond an octave it is no longer the instrument
            semitones -= 12 * np.sign(semitones)
        ratio = 2 ** ((semitones + detune) / 12)
        heard.pitches = (entry["pitch"] + tuning(library, entry) + semitones + detune,)
        start = entry["lead"]
        audio = repitch(library.read(entry, start, int((length + release) * ratio) + 8), ratio)
        audio = audio[:, : length + release].copy()
        if audio.shape[1] > length:
            audio[:, length:] *= np.linspace(1, 0, audio.shape[1] - length, dtype=np.float32)
        fade_out(audio, 256)
        return audio * np.float32(0.5 * (0.3 + 0.7 * velocity) / (entry["peak"] + 1e-6))

    low, high = int(pitches.min()) - 5, int(pitches.max()) + 5
    return Instrument(play, low, high, group[0]["folder"], heard)


def patch(rng, role, low=24, high=96, wave=None):
    """A synthesiser; see `synth.draw_patch` for the roles, `synth` for the waves."""
    drawn = synth.draw_patch(rng, role)
    if wave is not None:
        drawn["wave"] = wave
    heard = Heard()

    def play(pitch, length, velocity=0.8, glide_from=None):
        heard.pitches = synth.octaves(drawn, pitch)
        heard.settles_s = 0.0
        if drawn["drop"]:
            heard.settles_s = settling(12 * math.log2(1 + drawn["drop"]), drawn["drop_s"])
        if glide_from is not None:
            glide_s = settling(glide_from - pitch, drawn["glide_s"])
            heard.settles_s = max(heard.settles_s, glide_s)
        return synth.note(rng, drawn, pitch, max(length, 400), velocity, glide_from)

    return Instrument(play, low, high, f"synth {role}", heard)


def strings(rng, role, low=40, high=84):
    """Plucked strings; see `synth.draw_string` for the roles."""
    drawn = synth.draw_string(rng, role)
    heard = Heard()

    def play(pitch, length, velocity=0.8):
        heard.pitches = (pitch,)
        return synth.string(rng, drawn, pitch, max(length, 400), velocity)

    return Instrument(play, low, high, f"string {role}", heard)


_TUNINGS = {}


def tuning(library, entry):
    """Semitones by which a recorded note is higher than its name, measured once.

    Strings of real basses are up to half a semitone off, and so is the truth that names tell.
    """
    key = (library.samples, entry["path"])
    if key not in _TUNINGS:
        begin = entry["lead"] + SAMPLERATE // 20  # a pluck begins sharp
        _TUNINGS[key] = deviation(library.read(entry, begin, SAMPLERATE // 2), entry["pitch"])
    return _TUNINGS[key]


def deviation(audio, pitch):
    """Semitones, at most one, from MIDI `pitch` to the partials of (c, n); 0 where none is near."""
    x = audio.mean(0)
    if x.size < 4096 or not x.any():
        return 0.0
    size = 1 << int(np.ceil(np.log2(8 * x.size)))
    magnitude = np.abs(np.fft.rfft(x * np.hanning(x.size), size))
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    total = weight = 0.0
    for k in range(1, 7):
        first, last = (int(k * f0 * 2 ** (s / 12) * size / SAMPLERATE) for s in (-1, 1))
        band = magnitude[first : last + 2]
        if band.size < 3 or not 0 < (best := int(band.argmax())) < band.size - 1:
            continue  # no peak of its own: the skirt of a neighbour
        a = band[best] / k  # stiff strings bend their upper partials up
        total += a * 12 * np.log2((first + best) * SAMPLERATE / size / (k * f0))
        weight += a
    return float(total / weight) if weight > 0.02 * magnitude.max() else 0.0


def pitch_of(audio):
    """MIDI pitch (float) of a one-shot, from the peak of its autocorrelation; None if unclear.

    audio : (c, n)
    """
    x = audio.mean(0)[: SAMPLERATE // 2]
    if x.size < 4096:
        return None
    spectrum = np.fft.rfft(x * np.hanning(x.size), 2 * x.size)
    r = np.fft.irfft(np.abs(spectrum) ** 2)[: x.size]
    r = r / (r[0] + 1e-12) / np.linspace(1, 0.05, r.size)
    first, last = SAMPLERATE // 500, SAMPLERATE // 25
    crossing = int(np.argmax(r < 0))
    first = max(first, crossing)
    if first >= last or crossing == 0:
        return None
    best = first + int(np.argmax(r[first:last]))
    if r[best] < 0.4:
        return None
    # Twice the period repeats as well as the period does: take the first peak nearly as high.
    peaks = 1 + np.flatnonzero((r[1:-1] >= r[:-2]) & (r[1:-1] > r[2:]))
    peaks = peaks[(peaks >= first) & (peaks < last) & (r[peaks] > 0.85 * r[best])]
    lag = int(peaks[0]) if peaks.size else best
    return 69 + 12 * np.log2(SAMPLERATE / lag / 440)
