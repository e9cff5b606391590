"""Songs of the user's own, as folders of stems: MUSDB18-HQ, MoisesDB, or plain trees.

    MUSDB18-HQ   root/train/<song>/{mixture,vocals,drums,bass,other}.wav, root/test/…
    MoisesDB     root/<song>/data.json and root/<song>/<stem>/<track>.wav; see `MOISES`
    plain        root/<anything>/{vocals,drums,bass,other}.{wav,flac,ogg}; missing stem = silence

`songs(root)` finds out which and gives a list of `Song`. Files are opened when read, so a list of a
thousand songs costs nothing; what is wrong with a file is said when the list is made.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from models.library import SAMPLERATE
from stemd.errors import ConfigError
from stemd.spec import STEMS

EXTENSIONS = (".wav", ".flac", ".ogg")

# MoisesDB's top-level stems, folded into four as MUSDB18 does: percussion without pitch is drums,
# mallets and bells (a kind of track inside percussion) are other. MoisesDB's own `mix_4_stems` puts
# all percussion into other.
MOISES = {
    "vocals": "vocals",
    "drums": "drums",
    "percussion": "drums",
    "bass": "bass",
    "guitar": "other",
    "piano": "other",
    "other_keys": "other",
    "bowed_strings": "other",
    "wind": "other",
    "other_plucked": "other",
    "other": "other",
}
PITCHED = "pitched percussion"


@dataclass(frozen=True)
class Song:
    """One multitrack song on disk.

    Parameters
    ----------
    name : str
        Of the song.
    files : dict
        {stem: [(Path, samplerate), …]}; several files of a stem are summed, missing stems are
        silence.
    length : int
        Samples of its longest file, at 44100 Hz.
    part : {"train", "test"}
        By the folder it lies in; MoisesDB has no parts and is all "train".
    """

    name: str
    files: dict[str, list[tuple[Path, int]]]
    length: int
    part: str = "train"

    @property
    def stems(self):
        """The stems it has, in order."""
        return tuple(stem for stem in STEMS if self.files.get(stem))

    def read(self, stem, start=0, length=None):
        """Samples of one stem, (2, length) float32 at 44100 Hz; silence beyond the end.

        Parameters
        ----------
        stem : str
            One of vocals, drums, bass, other, or "mixture": the sum of the four.
        start, length : int
            Samples at 44100 Hz; no length means to the end.
        """
        if stem == "mixture":
            return sum(self.read(each, start, length) for each in STEMS)
        if stem not in STEMS:
            raise ConfigError(f"{self.name}: got stem {stem!r}, expected one of {', '.join(STEMS)}")
        length = max(0, self.length - start) if length is None else length
        out = np.zeros((2, length), np.float32)
        for path, samplerate in self.files.get(stem, ()):
            audio = _read(path, start, length, samplerate)
            out[:, : audio.shape[1]] += audio
        return out


def songs(root):
    """Every song under a folder, sorted by name; the layout is found out.

    Raises
    ------
    ConfigError
        No folder, no song in it, or a song whose files do not fit together.
    """
    root = Path(root)
    if not root.is_dir():
        raise ConfigError(f"folders: got {root}, expected a folder")
    found = moises(root) if next(root.rglob("data.json"), None) else plain(root)
    if not found:
        raise ConfigError(
            f"folders: got {root} without songs, expected MUSDB18-HQ, MoisesDB, or folders "
            f"with some of {', '.join(STEMS)} as .wav, .flac or .ogg"
        )
    return found


def plain(root):
    """Songs of MUSDB18-HQ or of any tree whose folders hold <stem>.wav, .flac or .ogg."""
    folders = {
        path.parent
        for stem in STEMS
        for extension in EXTENSIONS
        for path in Path(root).rglob(stem + extension)
    }
    found = []
    for folder in sorted(folders):
        files = {}
        for stem in STEMS:
            paths = [folder / (stem + extension) for extension in EXTENSIONS]
            paths = [path for path in paths if path.is_file()]
            if len(paths) > 1:
                raise ConfigError(f"{folder}: got {stem} in {len(paths)} files, expected one")
            files[stem] = paths
        part = "test" if folder.parent.name == "test" else "train"
        found.append(_song(folder, folder.name, files, part))
    return found


def moises(root):
    """Songs of MoisesDB: a data.json that names stems and their tracks, one folder a stem."""
    return [_moises_song(path) for path in sorted(Path(root).rglob("data.json"))]


def _moises_song(path):
    try:
        data = json.loads(path.read_text())
        stems = [(stem["stemName"], stem.get("tracks", [])) for stem in data["stems"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: got {error}, expected MoisesDB's list of stems") from error
    files = {stem: [] for stem in STEMS}
    for name, tracks in stems:
        if name not in MOISES:
            raise ConfigError(f"{path}: got stem {name!r}, expected one of {', '.join(MOISES)}")
        for track in tracks:
            stem = MOISES[name]
            if name == "percussion" and track.get("trackType", "").startswith(PITCHED):
                stem = "other"
            base = path.parent / name / f"{track.get('id', '')}"
            extension = f".{track.get('extension', 'wav')}"
            file = base.with_name(base.name + extension)
            if not file.is_file():
                raise ConfigError(f"{path}: names {name}/{file.name}, no such file")
            files[stem].append(file)
    return _song(path.parent, data.get("song") or path.parent.name, files, "train")


def _song(folder, name, files, part):
    """Look at every file's header once."""
    known, length = {}, 0
    for stem, paths in files.items():
        known[stem] = []
        for path in paths:
            try:
                info = sf.info(path)
            except sf.LibsndfileError as error:
                raise ConfigError(f"{path}: got {error}, expected an audio file") from error
            if info.channels > 2:
                raise ConfigError(f"{path}: got {info.channels} channels, expected 1 or 2")
            known[stem].append((path, info.samplerate))
            length = max(length, info.frames * SAMPLERATE // info.samplerate)
    if not length:
        raise ConfigError(f"{folder}: got no audio, expected at least one stem")
    return Song(name, known, length, part)


def _read(path, start, length, samplerate):
    """(2, at most length) float32 at 44100 Hz."""
    if samplerate == SAMPLERATE:
        first, margin = start, 0
    else:  # a little more on both sides, so that the resampler's edges stay outside
        # The excerpt begins on a multiple of the common period: no fraction of a sample is lost.
        period = samplerate // math.gcd(samplerate, SAMPLERATE)
        margin = 1024
        first = max(0, start * samplerate // SAMPLERATE - margin) // period * period
    with sf.SoundFile(path) as file:
        if first >= file.frames:
            return np.zeros((2, 0), np.float32)
        file.seek(first)
        count = length * samplerate // SAMPLERATE + (start * samplerate // SAMPLERATE - first)
        audio = file.read(count + margin, dtype="float32", always_2d=True)
    if samplerate != SAMPLERATE:
        audio = soxr.resample(audio, samplerate, SAMPLERATE)
    skip = start - first * SAMPLERATE // samplerate
    audio = audio[skip : skip + length].T
    return np.broadcast_to(audio, (2, audio.shape[1]))
