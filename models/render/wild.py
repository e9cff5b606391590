"""Drum kits that no shop sells: recordings bent far out of shape, layered, struck anew.

A net that is to know kicks and snares of kits it has never met must meet many. The pack has some
sixty of each, so every piece is drawn, then tuned, shortened or lengthened, given another attack,
another colour, another room, overdriven, or laid over a second one of its kind. How hard a piece is
struck also changes its sound, as layers of recordings do. What it is called stays true.
"""

import numpy as np

from models.library import SAMPLERATE
from models.render import hits
from models.render.audio import convolve, fade_out, gain, log_uniform, pick, repitch, stereo
from models.render.desk import room
from models.render.filters import bell, filtered, high_shelf, highpass, low_shelf, lowpass
from models.render.kits import KIT_ROLES, LONGEST_S, Piece

SYNTHETIC = (0.0, 0.2, 0.5)  # share of synthesised pieces, one for a kit
LAYERED = {"kick": 0.25, "snare": 0.35, "clap": 0.2}
TUNED = {"kick": 4.0, "tom": 4.0, "snare": 3.0}  # semitones, others 2.5
SHORTEST_S = {"kick": 0.06, "snare": 0.05, "hat": 0.02, "open": 0.12, "clap": 0.06}


def wild_kit(rng, library, pool, acoustic):
    """{role: Piece} as `draw_kit` makes it."""
    folders = pool.folders()
    home = pick(rng, folders) if folders and rng.random() < 0.4 else None
    synthetic = pick(rng, SYNTHETIC)
    wear = rng.uniform(0.2, 1.3)  # of the whole kit
    tuning = rng.normal(0, 1.5)
    tail = room(rng, log_uniform(rng, 0.05, 1.2)) if rng.random() < 0.4 else None
    wet = gain(rng.uniform(-22, -2))
    kit = {}
    for role in (*KIT_ROLES, "percussion", "percussion 2", "brush"):
        name = role.split()[0]
        takes = _takes(rng, library, pool, name, home, synthetic)
        if rng.random() < LAYERED.get(name, 0.0):
            other = "clap" if name == "snare" and rng.random() < 0.3 else name
            under = _takes(rng, library, pool, other, None, 0.4)[-1]
            takes = [_over(take, under, rng.uniform(0.2, 1.0)) for take in takes]
        takes = _worn(rng, takes, name, wear, tuning)
        if tail is not None:
            takes = [_levelled(_in_room(take, tail, wet)) for take in takes]
        wide = 0.1 if name in ("kick", "snare") else 0.7
        piece = Piece(_layers(rng, takes))
        piece.place = float(np.clip(rng.normal(0, wide / 2), -wide, wide))
        kit[role] = piece
    return kit


def _takes(rng, library, pool, name, home, synthetic):
    """Up to three takes of a piece, soft to hard, each (2, n)."""
    known = pool.pieces.get(name, [])
    near = [piece for piece in known if piece[0][1]["folder"] == home]
    if near and rng.random() > 0.2:
        known = near
    elif known:  # folders alike, however many pieces they have
        folder = pick(rng, sorted({piece[0][1]["folder"] for piece in known}))
        known = [piece for piece in known if piece[0][1]["folder"] == folder]
    if not known or rng.random() < synthetic:
        return [_levelled(stereo(hits.hit(rng, name)))]
    piece = pick(rng, known)
    at = np.unique(np.linspace(0, len(piece) - 1, 3).astype(int))
    longest = int(LONGEST_S.get(name, 1.2) * SAMPLERATE)
    entries = [piece[i][1] for i in at]
    return [_levelled(stereo(library.read(e, e["lead"], longest))) for e in entries]


def _worn(rng, takes, name, wear, tuning):
    """The same change for all takes of a piece."""
    ratio = 2 ** (np.clip(tuning + rng.normal(0, TUNED.get(name, 2.5)) * wear, -9, 9) / 12)
    shortest = SHORTEST_S.get(name, 0.08)
    fall = log_uniform(rng, shortest, 1.5) if rng.random() < 0.6 * wear else None
    attack_db, attack_s = rng.normal(0, 5) * wear, log_uniform(rng, 0.002, 0.025)
    rows = []
    for _ in range(int(rng.integers(1, 4))):
        rows.append(bell(log_uniform(rng, 45, 9000), rng.normal(0, 5) * wear, rng.uniform(0.4, 3)))
    if rng.random() < 0.5:
        rows.append(low_shelf(log_uniform(rng, 60, 400), rng.normal(0, 5) * wear))
    if rng.random() < 0.5:
        rows.append(high_shelf(log_uniform(rng, 1500, 9000), rng.normal(0, 6) * wear))
    if rng.random() < 0.12 * wear:
        rows.append(lowpass(log_uniform(rng, 900, 8000)))
    if name not in ("kick", "tom") and rng.random() < 0.25 * wear:
        rows.append(highpass(log_uniform(rng, 80, 500)))
    drive = log_uniform(rng, 0.5, 8) if rng.random() < 0.25 * wear else 0.0
    shape = rng.normal(0, 0.35) * wear  # of the level's curve: gates and compressors
    out = []
    for take in takes:
        x = filtered(repitch(take, ratio), *rows)
        t = np.arange(x.shape[1], dtype=np.float32) / SAMPLERATE
        if fall is not None:
            x *= np.exp(-np.maximum(t - 0.4 * shortest, 0) / fall)
        x *= gain(attack_db) ** np.exp(-t / attack_s)
        if abs(shape) > 0.1:
            x *= _curve(x, np.clip(shape, -0.5, 0.8))
        x = _levelled(x)
        if drive:
            x = np.tanh(x * drive)
        out.append(_levelled(fade_out(np.ascontiguousarray(x, np.float32), 800)))
    return out


def _curve(x, power):
    """Gain (n,) that steepens the level's curve (power > 0) or flattens it."""
    level = np.abs(x).max(0)
    size = SAMPLERATE // 100
    blocks = np.pad(level, (0, -level.size % size)).reshape(-1, size).max(1)
    at = np.arange(level.size) / size - 0.5
    smooth = np.interp(at, np.arange(blocks.size), np.maximum.accumulate(blocks[::-1])[::-1])
    return ((smooth + 3e-3) ** power).astype(np.float32)


def _layers(rng, takes):
    """Three layers, the softer ones duller and shorter of attack, each in two takes."""
    dull = log_uniform(rng, 1200, 14000)
    layers = []
    for layer in range(3):
        take = takes[min(layer * len(takes) // 3, len(takes) - 1)]
        soft = take
        if layer < 2 and len(takes) < 3:
            soft = _levelled(filtered(take, high_shelf(dull, -6.0 * (2 - layer))))
        other = filtered(soft, bell(log_uniform(rng, 100, 6000), rng.normal(0, 2), 1.0))
        layers.append([soft, _levelled(other)])
    return layers


def _over(take, under, share):
    out = np.zeros((2, max(take.shape[1], under.shape[1])), np.float32)
    out[:, : take.shape[1]] += take
    out[:, : under.shape[1]] += np.float32(share) * under
    return _levelled(out)


def _in_room(take, tail, wet):
    longer = np.pad(take, ((0, 0), (0, min(tail.shape[1], SAMPLERATE // 2))))
    return fade_out(longer + wet * convolve(longer, tail), 4000)


def _levelled(audio):
    return (audio / (np.abs(audio).max(initial=0) + 1e-6)).astype(np.float32)
