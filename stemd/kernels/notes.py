"""Notes: when a pitch is a note, when it is another one, and when it is over."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel

# Places in a row's state.
SOUNDING, CENTRE, AGE, AWAY, GONE, WAIT, LOWEST, LOUDEST, VOICED, POWER, SPENT, COUNT = range(12)
N_STATE = 12
# Places in `times`, in hops.
MEDIAN, NEAR, LONG, FAR, WIDE, ATTACK, LEAST, HOLD, DOUBT = range(9)

SPREAD = 0.5  # semitones around their median in which pitches are one note's
FLAT = 0.25  # the same of a step without an onset: the crest of a vibrato is rounder
DRIFT = 0.7  # semitones off the note's centre from which it may be another
ASTRAY = 0.9  # semitones a note's centre may creep away from the note
LEAP = 1.5  # semitones; wider than any vibrato
JUMP = 9.0  # semitones; two notes in one window often sound an octave or a twelfth away
FLOOR = 1e-3  # rms, -60 dBFS: below, no note begins or goes on
FADED = 0.02  # of the loudest of the note, -34 dB
RISE = 1.3  # of the level: an onset on the same pitch is a new note
SURGE = 2.2  # of the level: it is an onset, even if nobody said so
CLEAR = 0.88  # voicing from which the octave is beyond doubt


@kernel("float64(float64[::1], int64, float64[::1])")
def median_voiced(pitches, n, scratch):
    """Median of those of the newest n pitches that are there (> 0); 0 if fewer than half are.

    pitches : (history,) float64, newest first
    scratch : (>= n,) float64, overwritten
    """
    count = 0
    for k in range(n):
        if pitches[k] > 0.0:
            at = count
            while at > 0 and scratch[at - 1] > pitches[k]:
                scratch[at] = scratch[at - 1]
                at -= 1
            scratch[at] = pitches[k]
            count += 1
    if 2 * count < n:
        return 0.0
    return 0.5 * (scratch[(count - 1) // 2] + scratch[count // 2])


@kernel("boolean(float64[::1], int64, float64, float64)")
def is_steady(pitches, n, middle, spread):
    """Is each of the newest n pitches there and nearer to `middle` than `spread`?"""
    steady = True
    for k in range(n):
        steady = steady and abs(pitches[k] - middle) < spread
    return steady


@kernel("void(float64[::1], float64)")
def push_newest(past, value):
    """Move (history,) one on, newest first."""
    for k in range(past.shape[0] - 1, 0, -1):
        past[k] = past[k - 1]
    past[0] = value


@kernel("float64(float64, float64, int64)")
def doubt(f0_hz, voicing, hops):
    """Hops until an octave below would be heard too when a sound begins; at most 1.5 times `hops`.

    hops : of a pitch of 120 Hz
    """
    if f0_hz < 60.0 or voicing > CLEAR:  # no octave below 30 Hz is looked for
        return 0.0
    return hops * min(120.0 / f0_hz, 1.5)


@kernel("void(float64[::1], float64[::1], float64, float32[::1], int64)")
def begin(s, levels, pitch, row, column):
    """Begin a note, or the same again; its velocity is how loud it has become."""
    loudest = np.max(levels)
    s[SOUNDING] = min(max(float(round(pitch)), 1.0), 127.0)
    s[CENTRE] = pitch
    s[AGE] = 0.0
    s[AWAY] = 0.0
    s[GONE] = 0.0
    s[WAIT] = 0.0
    s[LOUDEST] = loudest
    s[COUNT] += 1.0
    db = 20.0 * math.log10(max(loudest, FLOOR))
    row[column] = np.float32(min(max((db + 60.0) / 54.0, 0.02), 1.0))  # 1 at -6 dBFS


@kernel("boolean(float64[::1], float64[::1], float64, boolean, int64[::1])")
def is_elsewhere(s, pitches, middle, steady, times):
    """Has the pitch left the note's centre for good?  AWAY counts the hops since it left."""
    off = abs(middle - s[CENTRE])
    if off > JUMP:
        return steady and s[AWAY] >= times[WIDE]
    if off > LEAP or s[WAIT] > 0.0:
        return steady and s[AWAY] >= times[FAR]
    if s[AWAY] >= times[LONG]:
        return steady
    return s[AWAY] >= times[NEAR] and is_steady(pitches, times[NEAR], middle, FLAT)


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64, boolean, boolean, boolean, boolean,"
    "int64[::1], float64)"
)
def go_on(s, pitches, levels, middle, steady, told, onset, seam, times, following):
    """One hop of a note that sounds: AGE -1 asks for a new one on CENTRE, SOUNDING 0 is its end.

    seam : whatever the level does, nobody struck
    """
    level = levels[0]
    s[AGE] += 1.0
    s[LOUDEST] = max(s[LOUDEST], level)
    grown = s[AGE] >= times[LEAST]
    if seam:
        s[WAIT] = 0.0
    elif s[WAIT] == 0.0 and grown and (onset or level > SURGE * np.min(levels) + FLOOR):
        s[WAIT] = float(times[ATTACK])
        s[LOWEST] = np.min(levels)

    if middle > 0.0:
        if abs(middle - s[CENTRE]) < DRIFT:
            s[CENTRE] += following * (middle - s[CENTRE])
            s[AWAY] = 0.0
            if grown and steady and abs(s[CENTRE] - s[SOUNDING]) > ASTRAY:
                s[AGE] = -1.0
                return
        else:
            s[AWAY] += 1.0
            if level > FLOOR and is_elsewhere(s, pitches, middle, steady, times):
                if float(round(middle)) == s[SOUNDING]:
                    s[CENTRE] = middle
                    s[AWAY] = 0.0
                elif grown:
                    s[CENTRE] = middle
                    s[AGE] = -1.0
                    return

    if s[WAIT] > 0.0:
        s[WAIT] -= 1.0
        # the window must have let go of the old pitch before the same pitch is a new note
        s[LOWEST] = min(s[LOWEST], level)
        rests = s[WAIT] == 0.0 and s[AWAY] == 0.0 and abs(pitches[0] - s[CENTRE]) < DRIFT
        if rests and level > FLOOR and level > RISE * s[LOWEST]:
            s[AGE] = -1.0
            return

    faded = not (level > FLOOR and level > FADED * s[LOUDEST])
    if told and not faded:
        s[GONE] = 0.0
        return
    s[GONE] += 1.0
    if s[GONE] >= times[HOLD] and grown:
        s[SOUNDING] = 0.0
        s[SPENT] = 1.0 if told else 0.0


@kernel(
    "void(int64[::1], boolean[::1], float64[::1], float64[:, :, ::1], float64[:, :, :, ::1],"
    "float64[::1], int64[::1], int64[::1], float64[::1], float64, float32[:, :, ::1])"
)
def track_notes(
    columns, plays, sharp, state, past, scratch, muted, times, smoothing, following, out
):
    """One hop of every source: begin, change or end its note.

    columns : (7,) int64, of f0, rms, onset, note, velocity, count, voicing
    plays : (source,) bool, False: has no notes
    sharp : (source,) float64, semitones by which a note begins higher than it is
    state : (b, source, N_STATE) float64, running
    past : (b, source, 2, history) float64, running; pitch (0: none) and level, newest first
    scratch : (history,) float64, overwritten
    muted : (b,) int64, running; hops in which nothing is struck, after a discontinuity
    times : (9,) int64, hops
    smoothing : (source,) float64, share of a new power in the level's
    following : share of a new pitch in a note's centre
    out : (b, source, features) float32; three columns overwritten
    """
    for feed in range(out.shape[0]):
        seam = muted[feed] > 0
        for source in range(out.shape[1]):
            row, s = out[feed, source], state[feed, source]
            row[columns[4]] = np.float32(0.0)
            if plays[source]:
                pitches, levels = past[feed, source, 0], past[feed, source, 1]
                f0, level = float(row[columns[0]]), float(row[columns[1]])
                level = level if level > 0.0 and level < math.inf else 0.0  # also if no number
                # a hop holds less than a period of a bass: its level goes up and down in it
                s[POWER] += smoothing[source] * (level * level - s[POWER])
                level = math.sqrt(s[POWER])
                told = f0 > 0.0 and f0 < math.inf
                onset = row[columns[2]] > 0.0
                pitch = 69.0 + 12.0 * math.log2(f0 / 440.0) - sharp[source] if told else 0.0
                push_newest(pitches, pitch)
                push_newest(levels, level)
                if seam:  # a rise from before it, or within it, is none
                    levels[:] = level
                middle = median_voiced(pitches, times[MEDIAN], scratch)
                steady = is_steady(pitches, times[MEDIAN], middle, SPREAD)
                s[VOICED] = s[VOICED] + 1 if told else 0.0
                if s[SOUNDING] == 0.0:
                    # what faded away while it was voiced begins again only when something happens
                    if not told or onset or level > RISE * np.min(levels):
                        s[SPENT] = 0.0
                    begins = steady and s[VOICED] >= times[MEDIAN] + doubt(
                        f0, row[columns[6]], times[DOUBT]
                    )
                    if begins and middle > 0.0 and level > FLOOR and s[SPENT] == 0.0:
                        begin(s, levels, middle, row, columns[4])
                else:
                    go_on(s, pitches, levels, middle, steady, told, onset, seam, times, following)
                    if s[AGE] < 0.0:  # it is to begin again
                        begin(s, levels, s[CENTRE], row, columns[4])
            row[columns[3]] = np.float32(s[SOUNDING])
            row[columns[5]] = np.float32(s[COUNT])
        muted[feed] -= seam
