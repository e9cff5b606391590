"""Notes from the columns they read, and from melodies whose notes are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemd.processors.meter import Meter
from stemd.processors.notes import COUNT, NOTE, VELOCITY, Notes
from stemd.processors.onset import Onset
from stemd.processors.pitch import Pitch
from stemd.processors.powers import Powers
from stemd.processors.stft import Analysis
from stemd.spec import FEATURES, N_FEATURES, PROFILES, SOURCES

from .support import spec_of

F0, VOICING, RMS, ONSET = (FEATURES.index(name) for name in ("f0_hz", "voicing", "rms", "onset"))
VOCALS, DRUMS, BASS = (SOURCES.index(name) for name in ("vocals", "drums", "bass"))
HOP_S = 256 / 48000


def hertz(pitch):
    return 440 * 2 ** ((np.asarray(pitch, float) - 69) / 12)


def told(pitches, rms=0.1, onsets=(), spec=None, source=VOCALS, notes=None, seams=()):
    """(note, velocity, count) of each hop for pitches in semitones, nan: unvoiced."""
    spec = spec or spec_of("live")
    notes = notes or Notes(spec)
    out = np.zeros((spec.n_feeds, len(SOURCES), N_FEATURES), np.float32)
    rms = np.broadcast_to(rms, np.shape(pitches))
    rows = []
    for k, pitch in enumerate(pitches):
        out[:, source, F0] = 0.0 if math.isnan(pitch) else hertz(pitch)
        out[:, source, VOICING] = 0.0 if math.isnan(pitch) else 0.95
        out[:, source, RMS] = rms[k]
        out[:, source, ONSET] = k in onsets
        if k in seams:
            notes.mute(0)
        notes.process(out)
        rows.append(out[0, source, [NOTE, VELOCITY, COUNT]].copy())
    return np.array(rows).T


def events(note, velocity):
    """(hop, note) of each beginning."""
    return [(int(k), int(note[k])) for k in np.flatnonzero(velocity)]


def seconds(s, value):
    return np.full(round(s / HOP_S), float(value))


GAP = math.nan


def test_a_held_pitch_is_one_note_from_soon_after_its_start_to_soon_after_its_end():
    pitches = np.concatenate([seconds(0.2, GAP), seconds(1.0, 60.2), seconds(0.5, GAP)])
    note, velocity, count = told(pitches)
    ((begun, pitch),) = events(note, velocity)
    assert pitch == 60
    assert 0.2 <= begun * HOP_S < 0.26
    over = np.flatnonzero(note)[-1] * HOP_S
    assert 1.2 <= over < 1.3
    assert count[-1] == 1
    assert (note[begun : np.flatnonzero(note)[-1] + 1] == 60).all()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("rate_hz", [4.5, 5.5, 7.0])
@pytest.mark.parametrize("depth", [0.3, 1.0])
@pytest.mark.parametrize("centre", [60.0, 60.4])
def test_vibrato_of_a_semitone_each_way_is_one_note(profile, rate_hz, depth, centre):
    spec = spec_of(profile)
    t = np.arange(round(3 / spec.hop_s)) * spec.hop_s
    swing = depth * np.minimum(1, t / 0.4) * np.sin(2 * np.pi * rate_hz * t)
    note, velocity, _ = told(centre + swing, spec=spec)
    assert [pitch for _, pitch in events(note, velocity)] == [60]


@pytest.mark.parametrize("step", [1, -1, 2, 5, -7, 12, -12])
def test_a_step_without_a_gap_is_a_new_note(step):
    pitches = np.concatenate([seconds(0.5, 60), seconds(0.5, 60 + step)])
    note, velocity, _ = told(pitches)
    (_, first), (hop, second) = events(note, velocity)
    assert (first, second) == (60, 60 + step)
    assert hop * HOP_S - 0.5 < 0.11


def test_a_step_with_an_onset_is_seen_sooner_and_once():
    pitches = np.concatenate([seconds(0.5, 60), seconds(0.5, 61)])
    begun = len(seconds(0.5, 60))
    rms = np.concatenate([np.full(begun, 0.05), seconds(0.5, 0.1)])
    with_onset = events(*told(pitches, rms, onsets={begun})[:2])
    without = events(*told(pitches, rms)[:2])
    assert [p for _, p in with_onset] == [p for _, p in without] == [60, 61]
    assert with_onset[1][0] < without[1][0]


def test_the_same_pitch_begins_again_at_an_onset_that_is_louder():
    pitches = seconds(1.0, 40)
    rms = 0.2 * np.exp(-(np.arange(len(pitches)) % 60) * HOP_S / 0.15)
    note, velocity, count = told(pitches, rms, onsets={0, 60, 120})
    assert [p for _, p in events(note, velocity)] == [40, 40, 40]
    assert (note[10:] == 40).all()
    assert count[-1] == 3
    steady = told(pitches, 0.1, onsets={60, 120})  # a rattle in the same stem is none
    assert steady[2][-1] == 1


def test_what_leaps_at_a_seam_is_not_struck_again_and_what_leaps_later_is():
    pitches = seconds(1.5, 60)
    rms = np.full(len(pitches), 0.05)
    rms[90:] = 0.2
    assert told(pitches, rms)[2][-1] == 2
    assert told(pitches, rms, onsets={85}, seams={90})[2][-1] == 1
    rms[90:96] = 0.0  # a hole, and sound comes back as it was before
    rms[96:180] = 0.05
    note, velocity, _ = told(pitches, rms, seams=range(90, 96))
    (_, first), (again, second) = events(note, velocity)
    assert (first, second) == (60, 60)
    assert 180 <= again < 180 + 0.1 / HOP_S


def test_a_gap_of_a_consonant_does_not_end_a_note_and_a_rest_does():
    for gap, wanted in ((0.03, 1), (0.15, 2)):
        pitches = np.concatenate([seconds(0.4, 60), seconds(gap, GAP), seconds(0.4, 60)])
        assert told(pitches)[2][-1] == wanted


def test_an_octave_that_is_not_clear_waits_for_the_octave_below():
    """A bass begins with a strong second partial: its octave is heard first, less periodic."""
    spec, begun = spec_of("live"), []
    for voicing in (0.8, 0.95):
        notes = Notes(spec)
        out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
        out[0, BASS, [F0, RMS, VOICING]] = 82.4, 0.1, voicing
        for k in range(40):
            notes.process(out)
            if out[0, BASS, VELOCITY]:
                begun.append(k)
    unclear, clear = begun
    assert 0.025 < (unclear - clear) * HOP_S < 0.05


def test_a_short_wrong_octave_is_no_note():
    pitches = seconds(1.0, 60)
    pitches[60:66] += 12
    pitches[100:104] -= 12
    assert told(pitches)[2][-1] == 1


def test_a_glide_is_heard_when_it_rests():
    glide = np.linspace(55, 62, round(0.15 / HOP_S))
    note, velocity, _ = told(np.concatenate([glide, seconds(0.5, 62)]))
    assert [pitch for _, pitch in events(note, velocity)] == [62]


def test_what_fades_away_ends_though_its_pitch_stays():
    pitches = seconds(4.0, 45)
    rms = 0.3 * np.exp(-np.arange(len(pitches)) * HOP_S / 0.2)
    note, _, count = told(pitches, rms)
    assert count[-1] == 1
    assert note[-1] == 0
    assert note[round(0.5 / HOP_S)] == 45


def test_velocity_is_how_loud_it_is_and_only_where_a_note_begins():
    heard = []
    for rms in (0.003, 0.03, 0.3):
        _, velocity, count = told(seconds(0.5, 60), rms)
        assert np.count_nonzero(velocity) == count[-1] == 1
        heard.append(velocity.max())
    assert 0 < heard[0] < heard[1] < heard[2] <= 1


def test_nothing_is_played_below_the_floor_nor_by_drums():
    assert told(seconds(1, 60), 5e-4)[2][-1] == 0
    assert told(seconds(1, 60), 0.1, source=DRUMS)[2][-1] == 0
    for source in set(range(len(SOURCES))) - {DRUMS}:
        assert told(seconds(1, 60), 0.1, source=source)[2][-1] == 1


def obeys(note, velocity, count):
    """The laws at every hop."""
    before = np.concatenate([[0], note[:-1]])
    begun = velocity > 0
    assert (note >= 0).all()
    assert (note <= 127).all()
    assert (note == np.round(note)).all()
    assert (velocity >= 0).all()
    assert (velocity <= 1).all()
    assert (note[begun] > 0).all()
    changed = note != before
    assert (begun | (note == 0))[changed].all()
    np.testing.assert_array_equal(count, np.cumsum(begun))


STRETCH = st.tuples(
    st.sampled_from([0.0, 30.0, 55.0, 110.0, 220.0, 233.0, 440.0, 1200.0, np.nan, np.inf, -1.0]),
    st.sampled_from([0.0, 1e-4, 2e-3, 0.05, 0.7, 50.0, np.nan, np.inf, -1.0]),
    st.integers(1, 40),
    st.floats(0, 3),  # semitones of noise
    st.floats(0, 0.3),  # chance of an onset
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(STRETCH, min_size=1, max_size=30),
    st.integers(0, 2**31),
    st.sampled_from(sorted(PROFILES)),
)
def test_no_stream_of_columns_breaks_the_laws_and_silence_ends_every_note(stretches, seed, profile):
    rng = np.random.default_rng(seed)
    spec = spec_of(profile)
    notes = Notes(spec)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    rows = []

    def hop(f0, rms, onset):
        out[0, :, F0], out[0, :, RMS], out[0, :, ONSET] = f0, rms, onset
        notes.process(out)
        rows.append(out[0][:, [NOTE, VELOCITY, COUNT]].copy())

    for f0, rms, hops, spread, chance in stretches:
        for _ in range(hops):
            hop(f0 * 2 ** (spread * rng.standard_normal() / 12), rms, rng.random() < chance)
    for _ in range(math.ceil(0.12 / spec.hop_s)):
        hop(0.0, 0.0, 0.0)
    told_ = np.array(rows)
    for source in range(len(SOURCES)):
        obeys(*told_[:, source].T)
    assert (told_[-1, :, 0] == 0).all()


def test_an_hour_of_chance_leaves_no_note_hanging():
    """Random walks of pitch, voicing and level; each note is over before 0.2 s of silence are."""
    rng = np.random.default_rng(4)
    hops = round(3600 / HOP_S / 4)  # a quarter of it on each of four sources
    steps = np.where(rng.random(hops) < 0.02, rng.normal(0, 5, hops), rng.normal(0, 0.05, hops))
    pitches = 40 + np.abs((np.cumsum(steps) % 80) - 40)
    quiet = np.repeat(rng.random(hops // 90 + 1) < 0.3, 90)[:hops]
    pitches[quiet | (rng.random(hops) < 0.02)] = np.nan
    rms = np.where(quiet, 0.0, 0.2 * rng.random(hops))
    onsets = set(np.flatnonzero(rng.random(hops) < 0.03).tolist())
    note, velocity, count = told(pitches, rms, onsets)
    obeys(note, velocity, count)
    assert count[-1] > 500
    silent_for = 0
    for k in range(hops):
        silent_for = silent_for + 1 if quiet[k] else 0
        assert not (silent_for * HOP_S > 0.2 and note[k])


def test_reset_ends_the_note_of_one_feed_and_starts_again():
    spec = spec_of("live", n_feeds=2)
    notes = Notes(spec)
    out = np.zeros((2, len(SOURCES), N_FEATURES), np.float32)
    out[:, :, F0], out[:, :, RMS] = 220.0, 0.1
    for _ in range(40):
        notes.process(out)
    assert (out[:, VOCALS, NOTE] == 57).all()
    notes.reset(1)
    notes.process(out)
    assert out[:, VOCALS, NOTE].tolist() == [57, 0]
    assert out[:, VOCALS, COUNT].tolist() == [1, 0]
    notes.reset()
    fresh, again = told(seconds(0.5, 50), notes=Notes(spec_of("live"))), told(seconds(0.5, 50))
    np.testing.assert_array_equal(fresh, again)


def test_feeds_are_what_each_is_alone():
    rng = np.random.default_rng(6)
    spec = spec_of("live", n_feeds=2)
    both, alone = Notes(spec), [Notes(spec_of("live")) for _ in range(2)]
    out = np.zeros((2, len(SOURCES), N_FEATURES), np.float32)
    for _ in range(800):
        if rng.random() < 0.05:
            out[:, :, F0] = rng.choice([0.0, 110.0, 220.0, 247.0], out.shape[:2])
            out[:, :, RMS] = rng.choice([0.0, 0.05, 0.2], out.shape[:2])
        out[:, :, ONSET] = rng.random(out.shape[:2]) < 0.02
        singles = [out[feed : feed + 1].copy() for feed in range(2)]
        both.process(out)
        for feed in range(2):
            alone[feed].process(singles[feed])
            np.testing.assert_array_equal(out[feed], singles[feed][0])
    assert out[:, :, COUNT].sum() > 20


def played(melody, partials, source, samplerate=48000):
    """Audio of (pitch, start s, length s) through level, onset, pitch and notes."""
    end = max(start + length for _, start, length in melody) + 0.5
    audio = np.zeros(round(end * samplerate))
    for pitch, start, length in melody:
        t = np.arange(round((length + 0.03) * samplerate)) / samplerate
        body = sum(a * np.sin(2 * np.pi * hertz(pitch) * (k + 1) * t + k) for k, a in partials)
        shape = np.minimum(1, t / 0.004) * np.exp(-t / 0.5) * np.minimum(1, (t[-1] - t) / 0.03)
        at = round(start * samplerate)
        audio[at : at + len(t)] += 0.2 * body * shape
    spec = spec_of("live", samplerate)
    parts = Analysis(spec), Meter(spec), Onset(spec), Pitch(spec), Notes(spec)
    analysis, meter, onset, pitch, notes = parts
    powers = Powers(spec)
    out = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
    masked = np.zeros((1, 3, *analysis.spectra.shape[1:]), np.complex64)
    masked_frames = np.zeros((1, 3, *analysis.frames.shape[1:]), np.float32)
    stems, mix = np.zeros((1, 4, 2, 256), np.float32), np.zeros((1, 2, 256), np.float32)
    hop, rows = np.zeros((1, 2, 256), np.float32), []
    for k in range(len(audio) // 256):
        mix[:] = hop  # the audio is a hop older than the spectra
        stems[:, source - 1] = hop
        hop[:] = audio[k * 256 : (k + 1) * 256]
        analysis.process(hop)
        masked[:, source - 1] = analysis.spectra
        masked_frames[:, source - 1] = analysis.frames
        powers.process(analysis.spectra, masked)
        onset.process(powers, analysis.frames, masked_frames, out)
        meter.process(mix, stems, powers, onset.flux, out)
        pitch.process(mix, stems, out)
        notes.process(out)
        rows.append(out[0, source].copy())
    rows = np.array(rows)
    hops = np.flatnonzero(rows[:, VELOCITY])
    times = ((hops + 1) * 256 - notes.latency) / samplerate
    return [(int(rows[k, NOTE]), time) for k, time in zip(hops, times, strict=True)], rows


RICH = [(k, 1 / (k + 1)) for k in range(6)]
TRAP = [(0, 0.3), (1, 1.0), (2, 0.4), (3, 0.5)]


@pytest.mark.parametrize("partials", [RICH, TRAP], ids=["rich", "strong second"])
@pytest.mark.parametrize("source", [VOCALS, BASS])
def test_the_notes_of_a_melody_are_found_in_time(source, partials):
    base = 60 if source == VOCALS else 28
    tune = [0, 2, 4, 4, 7, 5, 0, 12, 11, 0, 1, 0]
    melody = [(base + p, 0.2 + 0.3 * i, 0.27) for i, p in enumerate(tune)]
    found, rows = played(melody, partials, source)
    assert [pitch for pitch, _ in found] == [pitch for pitch, _, _ in melody]
    late = np.abs(np.array([time for _, time in found]) - [start for _, start, _ in melody])
    assert np.sort(late)[-2] < 0.05  # mir_eval's tolerance
    assert late.max() < 0.1  # a semitone without an onset takes longer
    assert rows[-1, NOTE] == 0
