"""The music: rendered songs whose truth is known, real songs, and loops whose names tell a tempo.

Rendered takes are kept on disk, as rendering takes longer than listening.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.features.truth import Events, Piece, from_score, merged

RATE = 44100
SEED = 4
SECONDS = 20
# Takes of (SEED, index) of the part `test` in which every stem is heard, none is more than 15 dB
# below the mixture in drums and bass, a tempo is agreed upon, and drums and bass are played from
# the score: the first of them; those whose singing is known come first.
RENDERED = (5, 9, 14, 29, 38, 4, 8, 12, 39, 41)
FULL_SCALE = 2.0  # of int16: a single stem may be louder than the mixture
SONGS = {  # sections of the held-out songs with drums, by start in seconds
    "eif_lithium": (60, 100, 120, 180, 240),
    "eif_sodium": (60, 120, 200, 240),
}
N_LOOPS = 10
LOOP_S = 15
FEWEST = 8  # onsets; a stem with fewer of them rests
GRAIN = 64
FRAME, HOP = 1024, 220  # of the offline detector, 5 ms
STRONG, FAINT = 3.0, 1.2  # times the local mean absolute rise: surely an onset; perhaps one


def rendered(samples: Path, cache: Path, folder: Path, count: int) -> list[Piece]:
    """The first `count` rendered songs; those not in `folder` yet are rendered into it."""
    from models.render.score import Score

    folder.mkdir(parents=True, exist_ok=True)
    pieces, renderer = [], None
    for index in RENDERED[:count]:
        sound, text = folder / f"take_{index:03d}.npy", folder / f"take_{index:03d}.json"
        if not (sound.exists() and text.exists()):
            if renderer is None:
                from models.library import Library
                from models.render import Renderer

                renderer = Renderer(Library(samples, cache, "test"))
            rng = np.random.default_rng((SEED, index))
            take, score = renderer.take_with_score(rng, SECONDS * RATE)
            keep(folder, index, take, score.to_json())
        sources = np.load(sound).astype(np.float32) * np.float32(FULL_SCALE / 32768)
        score = Score.from_json(text.read_text())
        pieces.append(from_score(f"take_{index:03d}", sources, score))
    return pieces


def keep(folder: Path, index: int, take: np.ndarray, text: str) -> None:
    whole = np.clip(np.round(take * (32768 / FULL_SCALE)), -32768, 32767).astype(np.int16)
    np.save(folder / f"take_{index:03d}.npy", whole)
    (folder / f"take_{index:03d}.json").write_text(text)


def songs(samples: Path, cache: Path, count: int) -> list[Piece]:
    """Sections of the held-out songs; onsets of drums and bass from their isolated stems."""
    from models.library import Library
    from models.testset import sections

    wanted = [(song, start) for song, starts in SONGS.items() for start in starts]
    wanted = wanted[:: max(1, len(wanted) // count)][:count] if count else []
    pieces = []
    for song, start_s, sources in sections(Library(samples, cache, "songs")):
        if (song, int(start_s)) not in wanted:
            continue
        piece = Piece(f"{song}_{int(start_s):03d}s", "songs", sources)
        for stem, s in (("drums", 1), ("bass", 2)):
            events = annotate(sources[s])
            if (~events.weak).sum() >= FEWEST:
                piece.onsets[stem] = events
        pieces.append(piece)
    return pieces


def loops(samples: Path, cache: Path, count: int) -> list[Piece]:
    """Loops that say their tempo, one after the other until they last; none twice from a folder
    before every folder has given one."""
    from models.library import Library

    groups: dict[str, list[tuple]] = {}
    for part in ("validation", "test", "train"):
        library = Library(samples, cache, part)
        for entry in library.entries:
            if entry["kind"] == "loop" and entry["bpm"] and entry["length"] > 1.5 * RATE:
                beats = entry["length"] / RATE * entry["bpm"] / 60
                if abs(beats - round(beats)) < 0.05:  # it goes round in time
                    groups.setdefault(entry["folder"], []).append((library, entry))
    chosen = []
    rng = np.random.default_rng(SEED)
    for group in groups.values():
        rng.shuffle(group)
    while len(chosen) < count and any(groups.values()):
        for folder in sorted(groups):
            if groups[folder] and len(chosen) < count:
                chosen.append(groups[folder].pop())
    pieces = []
    for library, entry in chosen:
        audio = library.read(entry)
        audio = np.repeat(audio, 2, 0) if audio.shape[0] == 1 else audio
        audio = np.tile(audio, (1, -(-LOOP_S * RATE // audio.shape[1])))[:, : LOOP_S * RATE]
        sources = np.zeros((5, 2, audio.shape[1]), np.float32)
        sources[3] = audio
        name = entry["path"].rsplit("/", 1)[-1]
        pieces.append(Piece(name, "loops", sources, tempo_bpm=float(entry["bpm"])))
    return pieces


def annotate(audio: np.ndarray) -> Events:
    """Onsets of an isolated stem (2, n), looking at all of it: not causal, and no ear's work.

    Log rise of 40 Hz to 16 kHz against a maximum over neighbouring bins two frames before, peaks
    picked over ± 30 ms, weighed by the mean rise of the second around. Peaks STRONG times it, after
    which the energy of 20 ms also doubles, are onsets; down to FAINT they may be, and are weak:
    neither asked for nor held against anybody. The time is where the energy of 1.5 ms grains grows
    most. Every flux detector, ours and others', resembles this one; an ear might differ.
    """
    mono = audio.astype(np.float64)
    n = mono.shape[1]
    t = 1 + (n - FRAME) // HOP
    window = np.hanning(FRAME)
    index = np.arange(FRAME)[None] + HOP * np.arange(t)[:, None]
    magnitude = sum(np.abs(np.fft.rfft(channel[index] * window)) for channel in mono)
    log = np.log1p(1000 * magnitude[:, 1 : int(16000 * FRAME / RATE)] / FRAME)
    wide = np.maximum(log, np.maximum(np.roll(log, 1, 1), np.roll(log, -1, 1)))
    rise = np.zeros(t)
    rise[2:] = np.maximum(log[2:] - wide[:-2], 0).mean(1)
    around = np.convolve(rise, np.ones(201) / 201, "same") + 0.01
    near = int(0.03 * RATE / HOP)
    padded = np.pad(rise, near)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * near + 1).max(1)
    peaks = np.flatnonzero((rise == highest) & (rise > FAINT * around))
    times = np.array([_attack(mono, int(p * HOP)) for p in peaks]) / RATE
    power = np.concatenate([[0.0], np.cumsum(np.square(np.diff(mono, prepend=0.0)).sum(0))])
    reach = int(0.02 * RATE)
    at = np.clip((times * RATE).astype(int) - 32, reach, n - reach - 1)
    grows = (power[at + reach] - power[at]) > 2 * (power[at] - power[at - reach])
    loud = power[at + reach] - power[at]
    heard = loud > 1e-3 * np.percentile(loud, 95) if loud.size else loud > 0
    strong = (rise[peaks] > STRONG * around[peaks]) & grows & heard
    times, weights = merged(times, np.where(strong, 1.0, 0.1) * rise[peaks] + strong)
    return Events(times, weights < 1.0)


def _attack(mono: np.ndarray, first: int) -> int:
    """Sample near a frame's start where energy grows most, from grain to grain."""
    begin, end = max(0, first - 8 * GRAIN), min(mono.shape[1], first + FRAME)
    x = np.square(np.diff(mono[:, begin:end], prepend=mono[:, begin : begin + 1])).sum(0)
    grains = x[: x.size // GRAIN * GRAIN].reshape(-1, GRAIN).sum(1)
    past = np.convolve(grains, np.ones(6) / 6)[: grains.size]
    ratio = grains[1:] / (past[:-1] + 0.02 * grains.max(initial=1e-12) + 1e-15)
    return begin + (1 + int(np.argmax(ratio))) * GRAIN
