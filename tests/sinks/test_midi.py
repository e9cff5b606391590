"""MIDI out: what a receiver hears, whatever the stream does."""

import math
import random
import time

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stemd.config import MidiConfig
from stemd.sinks.midi import MidiSink
from stemd.sinks.midi_clock import LEAN_MOST, BeatClock
from stemd.sinks.midi_notes import UNSEEN_VELOCITY, NotePlayer
from stemd.sinks.midi_port import CHECK_S, RETRY_S, SEQUENCER, MidiPort
from stemd.spec import FEATURES, SOURCES, StreamSpec
from stemd.status import State
from stemd.wire import midi

from ..servers import jack
from .support import SPEC, make_hop, wait_until

VOCALS, DRUM_ROW, BASS = (SOURCES.index(s) for s in ("vocals", "drums", "bass"))
MIX = SOURCES.index("mix")


class Receiver:
    """A synthesizer that believes every byte: what sounds, and complaints about what made no sense.

    A note on for a note that sounds, a note off for one that does not: real receivers then play two
    voices and end one, which is how notes come to hang.
    """

    def __init__(self):
        self.sounding = {}
        self.bend = {}
        self.range = {}
        self.wrong = []
        self.begun = self.clocks = self.starts = 0
        self.running = False
        self._parameter = {}

    def __call__(self, message):
        assert isinstance(message, bytes)
        status, data = message[0], message[1:]
        assert all(b < 128 for b in data)
        if status == 0xF8:
            self.clocks += 1
            self._expect(self.running, "a clock while stopped")
        elif status in (0xFA, 0xFC):
            self._expect(self.running == (status == 0xFC), f"{message.hex()} twice")
            self.running = status == 0xFA
            self.starts += self.running
        else:
            self._channel(status & 0xF0, (status & 0x0F) + 1, data)

    def _channel(self, kind, channel, data):
        if kind == 0x90:
            key = (channel, data[0])
            assert data[1] > 0
            self._expect(key not in self.sounding, f"{key} begun twice")
            self.sounding[key] = data[1]
            self.begun += 1
        elif kind == 0x80:
            key = (channel, data[0])
            self._expect(key in self.sounding, f"{key} ended twice")
            self.sounding.pop(key, None)
        elif kind == 0xE0:
            self.bend[channel] = (data[0] | data[1] << 7) - 8192
        elif kind == 0xB0 and data[0] == 123:
            self.sounding = {k: v for k, v in self.sounding.items() if k[0] != channel}
        elif kind == 0xB0:
            self._parameter[data[0]] = data[1]
            if data[0] == 6 and self._parameter[101] == self._parameter[100] == 0:
                self.range[channel] = data[1]
        else:
            raise AssertionError(f"unknown {kind:02x}")

    def _expect(self, holds, what):
        if not holds:
            self.wrong.append(what)


class FakePort:
    """A port that is there, or not."""

    def __init__(self, on_open, receiver):
        self.reason = ""
        self.sent = self.dropped = 0
        self.receiver = receiver
        self.on_open = on_open
        self.closed = False

    def send(self, message):
        if self.reason:
            self.dropped += 1
        else:
            self.sent += 1
            self.receiver(message)

    def service(self):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def ear():
    return Receiver()


def make_player(ear, spec=SPEC, **config):
    return NotePlayer(spec, MidiConfig(**config), ear)


def rows(**values):
    """Feature rows; `vocals_note=60` sets one."""
    out = np.zeros((len(SOURCES), len(FEATURES)), np.float32)
    for name, value in values.items():
        source, _, feature = name.partition("_")
        out[SOURCES.index(source), FEATURES.index(feature)] = value
    return out


class Stage:
    """A sink with a fake port and a clock the test turns."""

    def __init__(self, feeds=("main",), stall_s=0.25, **config):
        self.ear = Receiver()
        self.now = 1000.0
        self.bypassed = False
        self.port = None
        self.k = 0

        def port(on_open):
            self.port = FakePort(on_open, self.ear)
            return self.port

        self.spec = StreamSpec.of("live", 48_000, len(feeds))
        self.sink = MidiSink(
            self.spec,
            feeds,
            MidiConfig(enabled=True, **config),
            stall_s,
            lambda: self.bypassed,
            port,
            lambda: self.now,
        )

    def play(self, features, feed=0, skip=0, **fields):
        self.k += 1 + skip
        self.now += self.spec.hop_s
        arrival_ns = round(self.now * 1e9)
        hop = make_hop(self.k, self.spec, **{"t_arrival_ns": arrival_ns, **fields})
        hop["features"][feed] = features
        self.sink.write(hop)
        self.sink.service()


# -- bytes -----------------------------------------------------------------------------------------


def test_messages_are_the_bytes_of_the_standard():
    assert midi.note_on(1, 60, 100) == b"\x90\x3c\x64"
    assert midi.note_off(10, 36) == b"\x89\x24\x00"
    assert midi.control_change(16, 7, 127) == b"\xbf\x07\x7f"
    assert midi.program_change(2, 5) == b"\xc1\x05"
    assert midi.pitch_bend(1, 8192) == b"\xe0\x00\x40"
    assert midi.pitch_bend(1, 16383) == b"\xe0\x7f\x7f"
    assert midi.all_notes_off(3) == b"\xb2\x7b\x00"
    assert b"".join(midi.bend_range(1, 2)).hex(" ", 3) == (
        "b06500 b06400 b00602 b02600 b0657f b0647f"
    )
    assert (midi.CLOCK, midi.START, midi.STOP) == (b"\xf8", b"\xfa", b"\xfc")


@pytest.mark.parametrize(
    ("strength", "velocity"), [(0.0, 1), (0.5, 64), (1.0, 127), (7.0, 127), (math.inf, 127)]
)
def test_velocity(strength, velocity):
    assert midi.velocity(strength) == velocity


# -- notes -----------------------------------------------------------------------------------------


def test_a_note_begins_and_ends_with_its_rows(ear):
    player = make_player(ear, pitch_bend=False)
    player.play(rows(vocals_note=60, vocals_note_velocity=0.5, vocals_note_count=1), 0)
    assert ear.sounding == {(1, 60): 64}
    player.play(rows(vocals_note=60, vocals_note_count=1), 256)
    assert ear.sounding == {(1, 60): 64}
    player.play(rows(vocals_note_count=1), 512)
    assert ear.sounding == {}
    assert (ear.begun, ear.wrong) == (1, [])


def test_a_note_that_changes_ends_the_one_before_first(ear):
    sent = []
    player = NotePlayer(SPEC, MidiConfig(pitch_bend=False), sent.append)
    player.play(rows(bass_note=40, bass_note_velocity=1, bass_note_count=1), 0)
    player.play(rows(bass_note=43, bass_note_velocity=1, bass_note_count=2), 256)
    assert sent == [midi.note_on(2, 40, 127), midi.note_off(2, 40), midi.note_on(2, 43, 127)]


def test_the_same_key_again_is_a_new_note(ear):
    player = make_player(ear)
    player.play(rows(bass_note=40, bass_note_velocity=1, bass_note_count=1), 0)
    player.play(rows(bass_note=40, bass_note_velocity=0.5, bass_note_count=2), 256)
    assert ear.sounding == {(2, 40): 64}
    assert (ear.begun, ear.wrong) == (2, [])


def test_a_note_whose_first_hop_was_lost_is_still_played(ear):
    player = make_player(ear)
    player.play(rows(), 0)
    player.play(rows(bass_note=40, bass_note_count=7), 256 * 90)
    assert ear.sounding == {(2, 40): midi.velocity(UNSEEN_VELOCITY)}


def test_no_number_is_no_note(ear):
    player = make_player(ear)
    player.play(rows(bass_note=40, bass_note_velocity=1, bass_note_count=1), 0)
    player.play(np.full((len(SOURCES), len(FEATURES)), np.nan, np.float32), 256)
    assert ear.sounding == {}
    begun = ear.begun
    for value in (np.inf, -np.inf, -3.0, 128.0, 1e30):
        player.play(np.full((len(SOURCES), len(FEATURES)), value, np.float32), 512)
        assert all(0 <= note < 128 for _, note in ear.sounding)
    player.release()
    assert ear.sounding == {}
    assert ear.begun >= begun
    assert ear.wrong == []


def test_what_was_released_waits_for_the_next_note(ear):
    player = make_player(ear)
    on = rows(vocals_note=60, vocals_note_velocity=0.5, vocals_note_count=1)
    held = rows(vocals_note=60, vocals_note_count=1)
    player.play(on, 0)
    player.release()
    player.play(held, 256)
    assert ear.sounding == {}
    player.play(rows(vocals_note=60, vocals_note_count=2), 512)
    assert list(ear.sounding) == [(1, 60)]


def test_a_stem_without_a_channel_plays_nothing(ear):
    player = make_player(ear, channels={"bass": 5}, drum_channel=0)
    player.play(
        rows(vocals_note=60, vocals_note_count=1, bass_note=40, bass_note_count=1, drums_kick=1), 0
    )
    assert list(ear.sounding) == [(5, 40)]
    player.release()
    assert ear.wrong == []


# -- bends -----------------------------------------------------------------------------------------


def hz(note):
    return 440.0 * 2 ** ((note - 69) / 12)


@pytest.mark.parametrize("reach", [1, 2, 12, 48])
@pytest.mark.parametrize("off", [-0.9, -0.3, 0.0, 0.25, 0.9])
def test_the_wheel_is_where_the_pitch_is(ear, reach, off):
    player = make_player(ear, bend_range=reach)
    player.prepare()
    assert ear.range == {1: reach, 2: reach, 3: reach}
    note = rows(vocals_note=60, vocals_note_count=1)
    note[VOCALS, FEATURES.index("f0_hz")] = hz(60 + off)
    player.play(note, 0)
    assert ear.bend[1] / 8192 * reach == pytest.approx(off, abs=0.01 + reach / 8192)


def test_the_wheel_is_moved_before_the_note_begins():
    sent = []
    player = NotePlayer(SPEC, MidiConfig(), sent.append)
    note = rows(vocals_note=60, vocals_note_count=1)
    note[VOCALS, FEATURES.index("f0_hz")] = hz(60.5)
    player.play(note, 0)
    assert [m[0] for m in sent] == [0xE0, 0x90]


def test_vibrato_moves_the_wheel_at_most_a_hundred_times_a_second(ear):
    sent = []
    player = NotePlayer(SPEC, MidiConfig(), lambda m: (sent.append(m), ear(m)))
    seconds = 2.0
    for k in range(round(seconds / SPEC.hop_s)):
        row = rows(vocals_note=60, vocals_note_count=1)
        t = k * SPEC.hop_s
        row[VOCALS, FEATURES.index("f0_hz")] = hz(60 + 0.5 * math.sin(2 * math.pi * 6 * t))
        player.play(row, k * 256)
    wheel = [m for m in sent if m[0] == 0xE0]
    assert 60 <= len(wheel) <= 100 * seconds + 1
    player.release()
    assert ear.bend[1] == 0


def test_an_octave_error_does_not_pull_the_wheel(ear):
    player = make_player(ear)
    note = rows(vocals_note=60, vocals_note_count=1)
    note[VOCALS, FEATURES.index("f0_hz")] = hz(60.5)
    player.play(note, 0)
    at = ear.bend[1]
    for f0 in (hz(72), hz(48), 0.0, np.nan, np.inf, -1.0):
        note[VOCALS, FEATURES.index("f0_hz")] = f0
        player.play(note, 4800)
        assert ear.bend[1] == at


def test_without_bend_no_wheel_is_touched(ear):
    player = make_player(ear, pitch_bend=False)
    player.prepare()
    note = rows(vocals_note=60, vocals_note_count=1)
    note[VOCALS, FEATURES.index("f0_hz")] = hz(60.5)
    player.play(note, 0)
    assert (ear.bend, ear.range) == ({}, {})


# -- drums -----------------------------------------------------------------------------------------


def test_hits_are_on_channel_ten_and_end_by_themselves(ear):
    player = make_player(ear, drum_length_ms=20.0)
    player.play(rows(drums_kick=1.0, drums_hihat=0.5), 0)
    assert ear.sounding == {(10, 36): 127, (10, 42): 64}
    player.play(rows(), 959)
    assert len(ear.sounding) == 2
    player.play(rows(), 960)
    assert ear.sounding == {}
    assert ear.wrong == []


def test_a_roll_is_faster_than_its_notes(ear):
    player = make_player(ear, drum_length_ms=100.0)
    for k in range(10):
        player.play(rows(drums_snare=0.5), k * 256)
    assert (player.hits, ear.begun, len(ear.sounding), ear.wrong) == (10, 10, 1, [])


def test_drums_may_share_a_note(ear):
    player = make_player(ear, drums={"kick": 36, "snare": 36})
    player.play(rows(drums_kick=1.0, drums_snare=1.0, drums_hihat=1.0), 0)
    assert list(ear.sounding) == [(10, 36)]
    player.release()
    assert (ear.sounding, ear.wrong) == ({}, [])


# -- laws ------------------------------------------------------------------------------------------


def stream(rng, length):
    """Hops with gaps, sessions, stalls, panics, pauses; rows from sane to absurd."""
    note = {s: [0, 0] for s in (VOCALS, BASS, 4)}
    for _ in range(length):
        row = np.zeros((len(SOURCES), len(FEATURES)), np.float32)
        for source, (held, count) in note.items():
            if rng.random() < 0.2:
                held = rng.choice([0, 0, rng.randrange(1, 128)])
                count += held > 0
                row[source, FEATURES.index("note_velocity")] = rng.random() * (rng.random() < 0.8)
            note[source] = [held, count]
            row[source, FEATURES.index("note")] = held
            row[source, FEATURES.index("note_count")] = count
            row[source, FEATURES.index("f0_hz")] = hz(held + rng.uniform(-15, 15))
        for drum in ("kick", "snare", "hihat"):
            if rng.random() < 0.1:
                row[DRUM_ROW, FEATURES.index(drum)] = rng.uniform(0, 2)
        row[MIX, FEATURES.index("tempo_bpm")] = rng.choice([0, 120, 125, 500, 60])
        row[MIX, FEATURES.index("tempo_confidence")] = rng.random()
        row[MIX, FEATURES.index("beat")] = rng.random() < 0.1
        row[MIX, FEATURES.index("beat_phase")] = rng.random()
        if rng.random() < 0.03:
            bad = rng.choice([np.nan, np.inf, -np.inf, 1e30, -5.0])
            row[rng.randrange(5), rng.randrange(len(FEATURES))] = bad
        what = rng.choices(
            ["hop", "gap", "session", "stall", "panic", "pause"], [60, 5, 1, 2, 2, 2]
        )
        yield what[0], row, rng.randrange(2000)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 2**32), st.integers(1, 400), st.booleans(), st.floats(5, 200))
def test_nothing_hangs_whatever_the_stream_does(seed, length, bend, length_ms):
    stage = Stage(pitch_bend=bend, drum_length_ms=length_ms, clock=True)
    ear, session = stage.ear, 1
    for what, row, n in stream(random.Random(seed), length):
        session += what == "session"
        if stage.bypassed:
            stage.bypassed = False
            stage.sink.service()
        stage.bypassed = what == "panic"
        if what == "stall":
            stage.now += 0.3
            stage.sink.service()
            assert ear.sounding == {}
            assert not ear.running
            continue
        state = State.PAUSED if what == "pause" else State.RUNNING
        before = ear.clocks
        stage.play(row, skip=n if what == "gap" else 0, session=session, state=state)
        assert ear.clocks - before <= 2  # no burst
        assert sorted(ear.sounding) == sorted(stage.sink.player.sounding)
        if what in ("panic", "pause"):
            assert ear.sounding == {}
        for source, channel in ((VOCALS, 1), (BASS, 2), (4, 3)):
            notes = [note for c, note in ear.sounding if c == channel]
            value = row[source, FEATURES.index("note")]
            wanted = [int(value + 0.5)] if 0.5 <= value < 127.5 else []
            assert notes in ([], wanted)
    # one quiet hop after the drums' length, and nothing is left
    stage.play(rows(), skip=round(length_ms / 5.0) + 2, session=session)
    assert ear.sounding == {}
    stage.sink.close()
    assert stage.port.closed
    assert not ear.running
    assert ear.wrong == []


@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_hours_of_events(ear, hours):
    """Every hop in which anything happens, the quiet hops between left out."""
    player = make_player(ear, pitch_bend=False)
    rng = random.Random(4)
    hits = begun = 0
    row = rows()
    position = 0
    note, ends_at = 0, 0
    columns = [FEATURES.index(n) for n in ("note", "note_velocity", "note_count")]
    kick, snare, hihat = (FEATURES.index(n) for n in ("kick", "snare", "hihat"))
    hop = SPEC.hop_length
    end = hours * 3600 * SPEC.samplerate
    while position < end:
        position += rng.randrange(1, 120) * hop  # three events a second
        row[DRUM_ROW] = 0.0
        row[VOCALS, columns[1]] = 0.0
        for column, chance in ((kick, 0.5), (snare, 0.3), (hihat, 0.8)):
            if rng.random() < chance:
                row[DRUM_ROW, column] = 0.7
                hits += 1
        if position >= ends_at or rng.random() < 0.3:
            note = 0 if note and rng.random() < 0.5 else rng.randrange(36, 84)
            ends_at = position + rng.randrange(1, 300) * hop
            if note:
                begun += 1
                row[VOCALS, columns[1]] = 0.5
        row[VOCALS, columns[0]] = note
        row[VOCALS, columns[2]] = begun
        player.play(row, position)
    assert hits > 15_000 * hours
    assert (player.hits, player.notes) == (hits, begun)
    assert ear.begun == hits + begun
    assert ear.wrong == []
    player.release()
    assert ear.sounding == {}


# -- the clock -------------------------------------------------------------------------------------


class Tracker:
    """A beat tracker that knows the answer, and corrects itself when told to."""

    def __init__(self, bpm, spec=SPEC):
        self.bpm, self.spec = bpm, spec
        self.phase = 0.0

    def next(self):
        beats = self.bpm / 60 * self.spec.hop_s
        self.phase += beats
        beat = self.phase >= 1.0
        self.phase %= 1.0
        return self.bpm, 0.9, float(beat), self.phase


def run_clock(clock, tracker, seconds, times, now=0.0):
    """Times of the ticks of some seconds."""
    hop_s = tracker.spec.hop_s
    for _ in range(round(seconds / hop_s)):
        before = clock.ticks
        clock.tick(*tracker.next(), hop_s)
        now += hop_s
        times += [now] * (clock.ticks - before)
    return now


@pytest.mark.parametrize("bpm", [50, 97.3, 120, 174, 220])
@pytest.mark.parametrize("profile", ["tight", "live", "quality"])
def test_the_clock_has_24_even_ticks_a_beat(ear, bpm, profile):
    spec = StreamSpec.of(profile, 48_000)
    clock = BeatClock(spec, ear)
    tracker, times = Tracker(bpm, spec), []
    run_clock(clock, tracker, 20, times)
    assert ear.starts == 1
    seconds = times[-1] - times[0]
    assert (len(times) - 1) / seconds * 60 / 24 == pytest.approx(bpm, rel=2e-3)
    gaps = np.diff(times)
    even = 60 / bpm / 24
    assert gaps.max() <= even * (1 + LEAN_MOST) + spec.hop_s * 1.01
    assert gaps.min() >= even * (1 - LEAN_MOST) - spec.hop_s * 1.01
    # the 25th tick is the next beat
    assert clock.ticks == ear.clocks
    clock.stop()
    assert ear.wrong == []


def test_the_clock_starts_on_a_beat_and_with_confidence(ear):
    clock = BeatClock(SPEC, ear)
    clock.tick(120, 0.9, 0.0, 0.5, 0.005)
    clock.tick(120, 0.1, 1.0, 0.0, 0.005)
    clock.tick(0, 0.9, 1.0, 0.0, 0.005)
    clock.tick(math.nan, math.nan, math.nan, math.nan, 0.005)
    assert (ear.starts, ear.clocks) == (0, 0)
    clock.tick(120, 0.9, 1.0, 0.0, 0.005)
    assert (ear.starts, ear.clocks) == (1, 1)


def beat_error(clock, tracker):
    """Ticks between our place in the beat and the tracker's."""
    return (clock._place - tracker.phase * 24 + 12) % 24 - 12


def test_a_correction_of_the_tracker_is_leaned_towards(ear):
    clock, tracker, times = BeatClock(SPEC, ear), Tracker(120), []
    run_clock(clock, tracker, 5, times)
    assert abs(beat_error(clock, tracker)) < 0.5
    tracker.phase = (tracker.phase + 0.4) % 1.0  # the tracker changes its mind
    now, times = 0.0, []
    now = run_clock(clock, tracker, 10, times)
    assert abs(beat_error(clock, tracker)) < 0.5
    even = 60 / 120 / 24
    gaps = np.diff(times)
    assert gaps.min() >= even * 0.89 - SPEC.hop_s * 1.01
    assert gaps.max() <= even * 1.12 + SPEC.hop_s * 1.01
    tracker.bpm = 128
    run_clock(clock, tracker, 10, times, now)
    assert abs(beat_error(clock, tracker)) < 0.5


def test_the_clock_goes_on_through_a_break_and_stops_when_the_beat_is_gone(ear):
    clock, tracker = BeatClock(SPEC, ear), Tracker(120)
    run_clock(clock, tracker, 2, [])
    before = ear.clocks
    for _ in range(round(2 / SPEC.hop_s)):
        clock.tick(0.0, 0.0, 0.0, 0.0, SPEC.hop_s)
    assert ear.clocks - before == pytest.approx(96, abs=2)
    for _ in range(round(3 / SPEC.hop_s)):
        clock.tick(0.0, 0.0, 0.0, 0.0, SPEC.hop_s)
    assert not ear.running
    run_clock(clock, tracker, 1, [])
    assert (ear.running, ear.starts, ear.wrong) == (True, 2, [])


def tempo_rows(tracker):
    bpm, confidence, beat, phase = tracker.next()
    return rows(
        mix_tempo_bpm=bpm, mix_tempo_confidence=confidence, mix_beat=beat, mix_beat_phase=phase
    )


def test_hops_that_come_all_at_once_are_no_burst_of_clocks():
    stage, tracker = Stage(clock=True), Tracker(120)
    for _ in range(400):
        stage.play(tempo_rows(tracker))
    before = stage.ear.clocks
    stage.now += 0.24  # we slept; then all that waited
    for i in range(45):
        arrival = stage.now - 0.24 + i * SPEC.hop_s
        stage.k += 1
        hop = make_hop(stage.k, stage.spec, t_arrival_ns=round(arrival * 1e9))
        hop["features"][0] = tempo_rows(tracker)
        stage.sink.write(hop)
    assert stage.ear.clocks - before <= 0.1 / (60 / 120 / 24) * 1.1 + 2
    for _ in range(2000):
        stage.play(tempo_rows(tracker))
    assert abs(beat_error(stage.sink.clock, tracker)) < 0.5
    assert (stage.ear.starts, stage.ear.wrong) == (1, [])


def test_a_gap_is_no_burst_of_clocks():
    stage, tracker = Stage(clock=True), Tracker(120)
    for _ in range(400):
        stage.play(tempo_rows(tracker))
    for _ in range(30):
        before = stage.ear.clocks
        for _ in range(37):
            tracker.next()
        stage.play(tempo_rows(tracker), skip=37)
        assert stage.ear.clocks - before <= 1
    for _ in range(2000):
        stage.play(tempo_rows(tracker))
    assert abs(beat_error(stage.sink.clock, tracker)) < 0.5


# -- the sink --------------------------------------------------------------------------------------

HELD = rows(vocals_note=60, vocals_note_velocity=0.5, vocals_note_count=1, drums_kick=1.0)


def test_a_stall_a_state_and_a_new_session_end_everything():
    stage = Stage()
    stage.play(HELD)
    assert len(stage.ear.sounding) == 2
    stage.now += 0.26
    stage.sink.service()
    assert stage.ear.sounding == {}
    stage.play(HELD + rows(vocals_note_count=1))
    assert len(stage.ear.sounding) == 2
    stage.play(HELD, state=State.STALLED)
    assert stage.ear.sounding == {}
    stage.play(HELD + rows(vocals_note_count=2))
    assert len(stage.ear.sounding) == 2
    stage.play(rows(), session=77)
    assert stage.ear.sounding == {}
    stage.play(HELD, session=77)
    assert len(stage.ear.sounding) == 2
    stage.sink.close()
    assert (stage.ear.sounding, stage.ear.wrong) == ({}, [])


def test_a_stream_that_begins_again_is_a_new_one():
    stage = Stage()
    stage.play(HELD)
    stage.k = 0
    stage.play(HELD)
    assert len(stage.ear.sounding) == 2
    assert (stage.ear.begun, stage.ear.wrong) == (4, [])


def test_panic_ends_everything_once():
    stage = Stage()
    stage.play(HELD)
    stage.bypassed = True
    stage.sink.service()
    assert stage.ear.sounding == {}
    sent = stage.port.sent
    stage.sink.service()
    assert stage.port.sent == sent


def test_only_its_feed_is_played():
    stage = Stage(("main", "two"), feed="two")
    stage.play(HELD, feed=0)
    assert stage.ear.sounding == {}
    stage.play(HELD, feed=1)
    assert len(stage.ear.sounding) == 2


def test_a_port_that_comes_late_hears_no_stale_note():
    stage = Stage()
    stage.port.reason = "nobody there"
    stage.play(HELD)
    assert stage.ear.begun == 0
    assert stage.sink.errors > 0
    stage.port.reason = ""
    told = []
    stage.sink.on_open = lambda: told.append(1)
    stage.port.on_open()
    assert told == [1]
    assert stage.ear.range == {1: 2, 2: 2, 3: 2}
    stage.play(rows(vocals_note=60, vocals_note_count=1))
    assert stage.ear.sounding == {}
    stage.play(rows(vocals_note=62, vocals_note_count=2))
    assert list(stage.ear.sounding) == [(1, 62)]


# -- ports -----------------------------------------------------------------------------------------


def test_a_missing_port_is_one_sentence_and_tried_again(monkeypatch):
    now = [0.0]
    tries = []
    port = MidiPort("", clock=lambda: now[0])

    class Absent:
        @staticmethod
        def exists():
            tries.append(now[0])
            return False

        def __str__(self):
            return "/dev/snd/seq"

    monkeypatch.setattr("stemd.sinks.midi_port.SEQUENCER", Absent())
    monkeypatch.setattr("stemd.sinks.midi_port.sys.platform", "linux")
    for _ in range(100):
        port.service()
        now[0] += RETRY_S / 10
    assert "no ALSA sequencer (/dev/snd/seq is missing)" in port.reason
    assert "\n" not in port.reason
    assert 9 <= len(tries) <= 11
    port.send(midi.START)
    assert (port.sent, port.dropped, port.is_open) == (0, 1, False)
    port.close()


@pytest.fixture
def jack_server(monkeypatch):
    with jack() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


def jack_ear(part):
    """What arrives at a JACK client of another's making."""
    import rtmidi

    ear = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="ear")
    ear.ignore_types(timing=False)
    for i, port in enumerate(ear.get_ports()):
        if part in port:
            ear.open_port(i)
            return ear
    raise AssertionError(f"no port {part} in {ear.get_ports()}")


def take(ear, n):
    """The next n messages."""
    got = []

    def step():
        while (message := ear.get_message()) is not None:
            got.append(bytes(message[0]))
        time.sleep(0.005)

    wait_until(lambda: len(got) >= n, f"{n} messages, got {got}", step)
    return got


@pytest.mark.device
def test_a_jack_client_hears_what_is_played(jack_server):
    config = MidiConfig(enabled=True, api="jack", pitch_bend=False)
    sink = MidiSink(SPEC, ("main",), config)
    sink.service()
    assert sink.reason == ""
    ear = jack_ear("stemd:notes")
    hop = make_hop(1)
    hop["features"][0] = HELD
    sink.write(hop)
    assert take(ear, 2) == [midi.note_on(1, 60, 64), midi.note_on(10, 36, 127)]
    sink.close()
    assert take(ear, 2)[:2] == [midi.note_off(1, 60), midi.note_off(10, 36)]
    ear.delete()


@pytest.mark.device
def test_a_named_port_is_found_lost_and_found_again(jack_server):
    import rtmidi

    now = [0.0]
    opened = []
    port = MidiPort("SYNTH", "jack", lambda: opened.append(1), lambda: now[0])
    port.service()
    assert port.reason.startswith("midi.port: got 'SYNTH', expected part of one of ")
    synth = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="synth")
    synth.open_virtual_port("keys")
    now[0] += 100
    port.service()
    assert (port.reason, len(opened)) == ("", 1)
    port.send(midi.note_on(1, 60, 1))
    assert take(synth, 1) == [midi.note_on(1, 60, 1)]
    synth.delete()
    now[0] += CHECK_S * 1.1
    port.service()
    assert "went away" in port.reason
    port.close()


@pytest.mark.device
def test_a_dead_server_does_not_hold_us(jack_server):
    now = [0.0]
    port = MidiPort("", "jack", clock=lambda: now[0])
    port.service()
    assert port.is_open
    jack_server.kill()
    for _ in range(20_000):
        port.send(midi.CLOCK)
    assert port.dropped > 18_000
    now[0] += 2.0
    port.service()
    assert "JACK server is silent" in port.reason
    port.close()


@pytest.mark.device
@pytest.mark.skipif(not SEQUENCER.exists(), reason="no ALSA sequencer: /dev/snd/seq is missing")
def test_an_alsa_client_hears_what_is_played():
    import rtmidi

    sink = MidiSink(SPEC, ("main",), MidiConfig(enabled=True, pitch_bend=False))
    sink.service()
    assert sink.reason == ""
    ear = rtmidi.MidiIn(rtmidi.API_LINUX_ALSA, name="ear")
    ear.open_port(next(i for i, p in enumerate(ear.get_ports()) if "stemd" in p))
    hop = make_hop(1)
    hop["features"][0] = HELD
    sink.write(hop)
    assert take(ear, 2) == [midi.note_on(1, 60, 64), midi.note_on(10, 36, 127)]
    sink.close()
    ear.delete()
