"""What all rooms agree on: stem order, axis letters, profiles, one place where ms become samples.

Axis letters, always in this order: b feed, s stem, c channel, t frame, f bin, n sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STEMS = ("vocals", "drums", "bass", "other")
SOURCES = (
    "mix",
    *STEMS,
)  # what has features; the stem byte on the wire indexes it
N_STEMS = len(STEMS)
OTHER = STEMS.index("other")
LOUDEST = 64.0  # +36 dBFS: float devices overshoot full scale, but no music is beyond this
N_CHANNELS = 2  # inside, everything is stereo; a mono feed is heard on both
OPUS_RATE, OPUS_FRAME = 48_000, 480  # Hz, and samples of a packet; Opus knows no 44.1 kHz

BAND_EDGES_HZ = (0.0, 90.0, 180.0, 355.0, 710.0, 1400.0, 2800.0, 5600.0)  # lower ones, octaves
DRUMS = ("kick", "snare", "hihat")
PITCH_CLASSES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")  # s: sharp

# One row of features per source and hop, float32, in this order. What makes no sense for a source
# stays 0. Onsets, hits and beats are of the newest hop of input; levels and pitch are of the audio
# that leaves with them, one hop older.
FEATURES = (
    "rms",  # linear, full scale 1.0
    "peak",  # linear, full scale 1.0
    "onset_strength",  # 0..1, how steeply the spectrum rises, while odds pass the threshold
    "onset",  # 1.0 in the hop an onset is declared, else 0.0
    "onset_count",  # onsets since start (exact up to 2**24)
    "onset_offset",  # samples from the start of this hop to the onset; negative: it lies before
    "f0_hz",  # 0.0 while unvoiced
    "voicing",  # 0..1
    "note",  # MIDI number of the note that sounds, 0.0: none
    "note_velocity",  # 0..1 in the hop a note begins, else 0.0
    "note_count",  # notes begun since start
    *DRUMS,  # velocity 0..1 in the hop a hit is declared, else 0.0; drums only
    "lufs",  # momentary loudness (400 ms, ITU-R BS.1770), LUFS
    "crest_db",  # peak over rms of the last 400 ms
    "centroid_hz",  # 0.0 in silence
    "flux",  # mean rise over bands, nats
    "width",  # 0 mono .. 1 side only
    *(f"band_{i + 1}" for i in range(len(BAND_EDGES_HZ))),  # rms per octave band, full scale 1.0
    *(f"chroma_{name}" for name in PITCH_CLASSES),  # 0..1, the largest is 1; all 0 in silence
    "chord",  # 0 none, 1..12 major on C..B, 13..24 minor on C..B
    "tempo_bpm",  # 0.0 unknown; mix only, as all of tempo
    "tempo_confidence",  # 0..1
    "beat",  # 1.0 in the hop in which a beat falls, predicted: it is on time, not late
    "beat_phase",  # 0..1 from the last beat to the next
    "beat_count",  # beats since start
)
N_FEATURES = len(FEATURES)

# What `osc.features` chooses from, and what it chooses when nobody does: enough for most shows.
LIGHT_GROUPS = ("level", "onset", "pitch", "note", "hits", "tempo", "lufs")
GROUPS = (*LIGHT_GROUPS, "crest", "centroid", "flux", "width", "bands", "chroma", "chord")

# What clients may turn while the stream runs starts here.
ONSET_THRESHOLD = 1.0  # odds from which something is an onset
PITCH_CONFIDENCE = 0.7  # periodicity from which f0 is given
PITCH_RANGES_HZ = {
    "mix": (35.0, 1200.0),
    "vocals": (60.0, 1200.0),
    "drums": (35.0, 1200.0),
    "bass": (30.0, 600.0),
    "other": (35.0, 1200.0),
}
TEMPO_RANGE_BPM = (70.0, 180.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """A named trade of latency against frequency resolution and load."""

    n_fft: int
    hop_length: int
    window: str  # "asymmetric" or "hann"; see kernels/window.py


PROFILES = {
    "tight": Profile(2048, 128, "asymmetric"),
    "live": Profile(2048, 256, "asymmetric"),
    "quality": Profile(2048, 512, "asymmetric"),
    "classic": Profile(1024, 512, "hann"),
}


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The shape of one stream, fixed for as long as it runs."""

    samplerate: int  # Hz
    n_fft: int  # samples
    hop_length: int  # samples
    window: str = "asymmetric"
    lookahead_hops: int = 0
    n_feeds: int = 1

    def __post_init__(self) -> None:
        assert min(self.samplerate, self.n_feeds, self.hop_length) > 0
        assert self.n_fft >= 2 * self.hop_length

    @classmethod
    def of(cls, profile: str, samplerate: int, n_feeds: int = 1) -> StreamSpec:
        """Spec of a named profile."""
        p = PROFILES[profile]
        return cls(samplerate, p.n_fft, p.hop_length, p.window, 0, n_feeds)

    @property
    def n_bins(self) -> int:
        """Bins of one spectrum."""
        return self.n_fft // 2 + 1

    @property
    def latency(self) -> int:
        """Input sample to the same sample in the stems: collecting a hop, and overlap-add."""
        return (2 + self.lookahead_hops) * self.hop_length

    @property
    def feature_latency(self) -> int:
        """Input sample to the features of the hop that holds it: collecting the hop."""
        return self.hop_length

    @property
    def hop_s(self) -> float:
        """Time available for one hop, in seconds."""
        return self.hop_length / self.samplerate

    def samples(self, ms: float) -> int:
        """Milliseconds to the nearest whole sample."""
        return round(ms * 1e-3 * self.samplerate)

    @property
    def nearest_profile(self) -> str:
        """The profile of the same window and the nearest hop, for nets made for each profile."""

        def distance(name: str) -> tuple[bool, float]:
            profile = PROFILES[name]
            hops = profile.hop_length / self.hop_length
            return profile.window != self.window, abs(math.log(hops))

        return min(PROFILES, key=distance)
