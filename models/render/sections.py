"""Real multitrack songs: the windows of the pack end to end, and their beats and keys."""

import numpy as np

from models.library import SAMPLERATE
from models.render.audio import pick, repitch, stereo
from stemd.spec import STEMS

FRAME = 441  # of the onset envelope: 10 ms
PROFILE = {  # of pitch classes above the tonic: Krumhansl, Cognitive foundations of musical pitch
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


class PackSong:
    """Windows of one song that follow each other without a gap; the face of `folders.Song`."""

    def __init__(self, library, windows):
        self.library = library
        self.windows = windows  # [(first sample, {stem: [entry, …]}), …]
        self.name = windows[0][1][next(iter(windows[0][1]))][0]["song"]
        self.stems = tuple(s for s in STEMS if any(s in stems for _, stems in windows))
        first, stems = windows[-1]
        self.length = first + max(e["length"] for group in stems.values() for e in group)

    def read(self, stem, start, length):
        """(2, length) float32; silence where the song is silent or over."""
        out = np.zeros((2, length), np.float32)
        for first, stems in self.windows:
            for entry in stems.get(stem, ()):
                begin, end = max(start, first), min(start + length, first + entry["length"])
                if end > begin:
                    audio = stereo(self.library.read(entry, begin - first, end - begin))
                    out[:, begin - start : end - start] += audio
        return out


def pack_songs(library):
    """Every stretch of every song of a library that has at least two stems."""
    songs = {}
    for entry in library.entries:
        if entry["kind"] == "song-stem" and entry["start_s"] is not None:
            window = songs.setdefault(entry["song"], {}).setdefault(entry["start_s"], {})
            window.setdefault(entry["stem"], []).append(entry)
    found = []
    for _, windows in sorted(songs.items()):
        run, begun, ends = [], 0.0, None
        for start_s, stems in sorted(windows.items()):
            if ends is not None and abs(start_s - ends) > 0.01:
                found.append(PackSong(library, run))
                run = []
            if not run:
                begun = start_s
            run.append((round((start_s - begun) * SAMPLERATE), stems))
            length = max(e["length"] for group in stems.values() for e in group)
            ends = start_s + length / SAMPLERATE
        found.append(PackSong(library, run))
    return [song for song in found if len(song.stems) > 1]


def excerpt(rng, song, n, ratio):
    """({stem: (2, n)}, start): stems of one place, `ratio` times as fast, but silent ones."""
    length = int(n * ratio) + 64
    start = int(rng.integers(max(1, song.length - length)))
    stems = {}
    for stem in song.stems:
        audio = song.read(stem, start, length)
        if np.abs(audio).max(initial=0) > 3e-3:  # below is the floor of a codec
            audio = repitch(audio, ratio)
            if audio.shape[1] < n:
                audio = np.pad(audio, ((0, 0), (0, n - audio.shape[1])))
            stems[stem] = audio[:, :n]
    return stems, start


def beats_of(audio):
    """(bpm, first beat in seconds) of (c, n): the comb of beats that its onsets fit best."""
    n_frames = audio.shape[1] // FRAME
    energy = np.square(audio[:, : n_frames * FRAME]).reshape(-1, n_frames, FRAME).mean((0, 2))
    level = np.log10(energy + 1e-6)
    rise = np.maximum(np.diff(level, prepend=level[0]), 0)
    rise -= rise.mean()
    best = (-np.inf, 120.0, 0.0)
    for bpm in np.arange(70, 180, 0.25):
        period = 60 / bpm * SAMPLERATE / FRAME
        n_beats = int(n_frames / period) - 1
        if n_beats < 4:
            continue
        grid = np.arange(n_beats) * period
        for phase in np.arange(0, period, 1.0):
            at = (grid + phase).astype(np.int64)
            near = np.maximum(rise[at], rise[np.minimum(at + 1, n_frames - 1)])
            # Slow combs fit everything: the likely tempo decides between halves and doubles.
            score = near.mean() * np.exp(-0.5 * (np.log2(bpm / 118) / 0.6) ** 2)
            if score > best[0]:
                best = (score, float(bpm), phase * FRAME / SAMPLERATE)
    return best[1], best[2]


def key_of(audio):
    """(root, minor) of (c, n), by its pitch-class profile."""
    size = 16384
    n_frames = audio.shape[1] // size
    if n_frames == 0:
        return 0, True
    frames = audio.mean(0)[: n_frames * size].reshape(n_frames, size) * np.hanning(size)
    magnitude = np.sqrt(np.abs(np.fft.rfft(frames, axis=1)))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLERATE)
    # Peaks only: the skirts of a loud partial are not its neighbours.
    peak = (magnitude[:, 1:-1] > magnitude[:, :-2]) & (magnitude[:, 1:-1] > magnitude[:, 2:])
    weight = np.where(peak, magnitude[:, 1:-1], 0).sum(0)
    inside = (hertz[1:-1] > 80) & (hertz[1:-1] < 1000)
    classes = np.round(69 + 12 * np.log2(hertz[1:-1][inside] / 440)).astype(int) % 12
    chroma = np.bincount(classes, weight[inside], 12)
    if chroma.std() == 0:  # silence has no key
        return 0, True
    scores = {
        (root, mode == "minor"): np.corrcoef(np.roll(profile, root), chroma)[0, 1]
        for mode, profile in PROFILE.items()
        for root in range(12)
    }
    return max(scores, key=lambda key: scores[key])


def choose(rng, songs, own, share):
    """A song of the user's or of the pack; `share` is the users' share when there are any."""
    if own and (not songs or rng.random() < share):
        return pick(rng, own)
    return pick(rng, songs) if songs else None
