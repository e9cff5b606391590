"""Notes of the mix and each stem but the drums: begin, velocity, end."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stemd.kernels.notes import COUNT as STATE_COUNT
from stemd.kernels.notes import N_STATE, track_notes
from stemd.processors.onset import seam_hops
from stemd.processors.stft import Float32Array
from stemd.spec import FEATURES, SOURCES, StreamSpec

_NAMES = ("f0_hz", "rms", "onset", "note", "note_velocity", "note_count", "voicing")
_COLUMNS = np.array([FEATURES.index(name) for name in _NAMES], np.int64)
NOTE, VELOCITY, COUNT = (FEATURES.index(n) for n in ("note", "note_velocity", "note_count"))

MEDIAN_MS = 40.0  # pitches that agree over this time are a note
NEAR_MS = 80.0  # a step of a semitone must be flat for so long: vibrato is not
LONG_MS = 200.0  # or be away for so long: no half of a vibrato lasts
FAR_MS = 40.0  # a leap, or a step with an onset
WIDE_MS = 50.0  # a leap of most of an octave
ATTACK_MS = 80.0  # after an onset the pitch window still holds what was before
LEAST_MS = 60.0  # a note is not shorter
HOLD_MS = 50.0  # a gap of a consonant does not end a note
DOUBT_MS = 28.0  # see `doubt`
HISTORY_MS = 80.0  # in which a level is said to have risen
LEVEL_MS = 8.0  # over which a level is taken
BASS_LEVEL_MS = 20.0  # about a period of a low note
CENTRE_MS = 500.0  # memory of a note's centre, longer than a turn of vibrato
BASS_SHARP = 0.1  # semitones: a plucked string is tighter at first, up to half a semitone
LATENCY_MS = 100.0  # from the onset to the hop that declares the note, in the middle


class Notes:
    """A note is a pitch that rests, until another one rests, it begins again, or it fades.

    Reads the columns `f0_hz`, `voicing`, `rms` and `onset` of the same hop.  At every hop a source
    has one note or none; `note` changes to another number only in a hop whose `note_velocity` is
    above 0.  The same note begins again when there is an onset or a leap of the level and the pitch
    stays.

    Latency:  about 100 ms from the onset: the pitch's window must fill, and its pitch rest.
    """

    def __init__(self, spec: StreamSpec) -> None:
        shape = (spec.n_feeds, len(SOURCES))

        def hops(ms: float) -> int:
            return max(1, round(spec.samples(ms) / spec.hop_length))

        times = (
            *(MEDIAN_MS, NEAR_MS, LONG_MS, FAR_MS, WIDE_MS),
            *(ATTACK_MS, LEAST_MS, HOLD_MS, DOUBT_MS),
        )
        self._times = np.array([hops(ms) for ms in times], np.int64)
        history = max(hops(HISTORY_MS), hops(MEDIAN_MS), hops(NEAR_MS))
        level_ms = [BASS_LEVEL_MS if name == "bass" else LEVEL_MS for name in SOURCES]
        self._smoothing = 1.0 - np.exp(-spec.hop_s * 1e3 / np.array(level_ms))
        self._following = 1.0 - math.exp(-spec.hop_s * 1e3 / CENTRE_MS)
        self._plays = np.array([name != "drums" for name in SOURCES])
        self._sharp = np.array([BASS_SHARP if name == "bass" else 0.0 for name in SOURCES])
        self._state = np.zeros((*shape, N_STATE))
        self._past = np.zeros((*shape, 2, history))
        self._scratch = np.zeros(history)
        self._muted = np.zeros(spec.n_feeds, np.int64)
        self._seam_hops = seam_hops(spec)
        self.latency = spec.samples(LATENCY_MS)

    def process(self, out: Float32Array) -> None:
        """Take the newest hop.

        Parameters
        ----------
        out : (b, source, feature) float32
            Columns `note`, `note_velocity` and `note_count` overwritten.
        """
        track_notes(
            _COLUMNS,
            self._plays,
            self._sharp,
            self._state,
            self._past,
            self._scratch,
            self._muted,
            self._times,
            self._smoothing,
            self._following,
            out,
        )

    def mute(self, feed: int) -> None:
        """A discontinuity lies in this feed's newest hop: strike nothing again for 30 ms."""
        self._muted[feed] = self._seam_hops

    @property
    def counts(self) -> npt.NDArray[np.float64]:
        """(b, source), running: notes begun."""
        return self._state[..., STATE_COUNT]

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past and count, or every feed's; a note that sounded is over."""
        which = slice(None) if feed is None else feed
        self._state[which] = 0.0
        self._past[which] = 0.0
        self._muted[which] = 0
