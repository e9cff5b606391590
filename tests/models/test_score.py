"""The truth of a take: what players tell is what is heard, when it is heard."""

from dataclasses import replace

import numpy as np
import pytest

from models.library import SAMPLERATE
from models.render import bass, grammar, instruments, score, stage, synth, voices
from models.render.score import Part, Score
from stemd.spec import STEMS
from tests.models import tinypack

N = 2 * SAMPLERATE


def rng(*seed):
    return np.random.default_rng(seed or (0,))


def test_takes_do_not_change_when_somebody_listens(renderer):
    for i in range(12):
        take, told = renderer.take_with_score(rng(7, i), N)
        np.testing.assert_array_equal(take, renderer.take(rng(7, i), N))
        assert told.seconds == pytest.approx(2.0)


def rise(audio, time, reach_s=0.004):
    """How many times more energy follows a moment than precedes it; audio (2, n)."""
    x = np.square(np.diff(audio, axis=1)).sum(0)  # differences: bass may ring on
    at, reach = int(time * SAMPLERATE), int(reach_s * SAMPLERATE)
    return x[at : at + reach].sum() / (x[max(0, at - reach) : at].sum() + 1e-12)


def test_energy_rises_where_a_stroke_is_said_to_be(renderer):
    n = 6 * SAMPLERATE
    plan = replace(grammar.draw_plan(rng(4), n, "rock", 100.0), swing=0.0)
    plan = replace(plan, sure=frozenset(range(99)))
    part = Part(n)
    audio, kicks = renderer.drummer.groove(rng(3), plan, n, True, part)
    assert len(part.hits) > 8
    assert sum(hit.drum == "kick" for hit in part.hits) == sum(0 <= at < n for at in kicks)
    times = np.array([hit.time for hit in part.hits])
    for hit in part.hits:
        alone = np.sort(np.abs(times - hit.time))[1:2] > 0.03
        loud = hit.level > 0.1 * max(other.level for other in part.hits)
        if alone and loud and 0.01 < hit.time < 5.9:
            assert rise(audio, hit.time - 0.001) > 3, hit


def test_silence_before_a_stroke_is_part_of_its_time():
    stroke = np.zeros((1, 4000), np.float32)
    stroke[0, 1280:] = np.exp(-np.arange(2720) / 300)
    part = Part(N)
    part.hit(10_000, stroke, "clap", 0.5, 0.2)
    (hit,) = part.hits
    assert hit.time == pytest.approx(11_280 / SAMPLERATE, abs=score.GRAIN / SAMPLERATE)
    assert (hit.drum, hit.role, hit.level) == ("snare", "clap", pytest.approx(0.2, rel=1e-3))


def test_notes_end_where_they_have_died():
    tone = np.ones((1, N), np.float32)
    tone[0, 11_025:] = 1e-3
    part = Part(N)
    part.note(-2205, tone, (40,), 0.7)
    part.note(N + 10, tone, (41,), 0.7)  # begins after the take has ended
    (note,) = part.notes
    assert note.onset == pytest.approx(-0.05)
    assert note.offset == pytest.approx(0.2, abs=0.001)


def test_basses_sound_at_one_of_the_pitches_they_tell(renderer):
    n, heard = 4 * SAMPLERATE, 0
    for seed in range(8):
        plan = grammar.draw_plan(rng(seed), n, "ballad", 70.0)
        plan = replace(plan, sure=frozenset(range(99)))
        part = Part(n)
        audio = renderer.bassist.play(rng(seed), plan, n, seed % 2 == 0, part)
        ringing = 0.0
        for note, after in zip(part.notes, [*part.notes[1:], None], strict=True):
            before, ringing = ringing, max(ringing, note.offset)
            until = min(note.offset, after.onset if after else note.offset)
            first = int(max(note.settled, 0.0) * SAMPLERATE) + 500
            last = min(int(until * SAMPLERATE), first + SAMPLERATE // 4)
            # only notes alone, long enough, and not below what pitch_of hears
            clear = before < note.settled + 0.02 and last - first >= 6000
            if not clear or not note.pitches or min(note.pitches) < 21:
                continue
            pitch = instruments.pitch_of(audio[:, first:last])
            if pitch is not None:
                heard += 1
                apart = [abs((pitch - told + 6) % 12 - 6) for told in note.pitches]
                assert min(apart) < 0.6, (note, pitch)
    assert heard > 8


def test_samplers_tell_the_octave_they_really_play(libraries):
    group = next(g for g in instruments.groups_of(libraries["train"].entries) if len(g) == 4)
    voice = instruments.sampler(rng(3), libraries["train"], group)
    for pitch in (voice.low + 6, voice.high + 25):
        heard = instruments.pitch_of(voice.play(pitch, SAMPLERATE))
        (told,) = voice.heard.pitches
        assert heard == pytest.approx(told, abs=0.1)


def test_patches_with_an_octave_below_say_so():
    patch = synth.draw_patch(rng(1), "bass") | {"wave": synth.SAW, "sub": 0.0}
    assert synth.octaves(patch, 40) == (40,)
    assert synth.octaves(patch | {"sub": 0.5}, 40) == (40, 28)
    assert synth.octaves(patch | {"wave": synth.FM, "ratio": 0.5}, 40) == (40, 28)
    assert synth.octaves(patch | {"wave": synth.FM, "ratio": 2.0}, 40) == (40,)
    assert synth.octaves(patch | {"wave": synth.FM, "ratio": 1.41}, 40) == ()


def test_bends_settle_to_thirty_cents():
    boom = bass.boom(rng(5))
    boom.play(36, SAMPLERATE, 0.8, glide_from=43)
    t = boom.heard.settles_s
    assert 0.02 < t < 1.0
    x = boom.play(36, 2 * SAMPLERATE, 0.8, glide_from=43)[0]
    crossings = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0)) / SAMPLERATE
    after = crossings[crossings > t]
    hertz = 1 / np.diff(after)[0]
    assert abs(12 * np.log2(hertz / synth.hertz_of(36))) < 0.3


def test_sung_notes_are_heard_at_their_pitch(renderer):
    n = 6 * SAMPLERATE
    plan = grammar.draw_plan(rng(3), n, "pop", 100.0)
    part = Part(n)
    audio = renderer.vocalist._sung(rng(6), plan, n, np.ones(plan.bars, bool), part)
    times = np.arange(part.sung.size) * score.STEP
    errors = []
    for at, pitch in zip(times, part.sung, strict=True):
        frame = audio[:, at : at + 4096]
        if np.isfinite(pitch) and at > 4096 and frame.shape[1] == 4096:
            heard = instruments.pitch_of(np.repeat(frame, 2, axis=1))
            if heard is not None:
                errors.append((heard - pitch + 6) % 12 - 6)
    assert len(errors) > 50
    assert np.median(np.abs(errors)) < 0.5
    assert part.notes
    assert not part.spans["onsets"]


def test_choirs_and_real_songs_are_unknown(renderer):
    plan = grammar.draw_plan(rng(3), N, "pop", 100.0)
    for manner, aspects in (("choir", ("onsets", "pitch")), ("speech", ("onsets",))):
        part = Part(N)
        renderer.vocalist._lead(rng(6), manner, plan, N, np.ones(plan.bars, bool), part)
        part.tidy()
        for aspect in aspects:
            assert part.spans[aspect] == [(0.0, 2.0)]
            assert not part.knows(aspect, [0.0, 1.0, 1.99]).any()
    assert set(voices.MANNERS) >= {"choir", "speech"}


def test_what_the_stage_adds_is_unknown():
    stems = 0.1 * rng(1).standard_normal((4, 2, N)).astype(np.float32)
    unknown = np.zeros(4, int)
    for seed in range(30):
        parts = [Part(N) for _ in STEMS]
        out = stage.perform(rng(seed), stems.copy(), parts)
        np.testing.assert_array_equal(out, stage.perform(rng(seed), stems.copy()))
        unknown += [bool(part.spans["onsets"]) for part in parts]
        assert not any(part.spans["pitch"] for part in parts)
    assert unknown[1] == 0  # nothing spills into drums
    assert 3 <= unknown[0] == unknown[2] <= 14  # every fourth take has spill
    assert unknown[3] > unknown[0]  # or noises


def test_beats_lie_on_the_grid_of_the_plan(renderer):
    told = [renderer.take_with_score(rng(9, i), N)[1] for i in range(12)]
    agreed = [one for one in told if one.tempo_bpm]
    assert agreed
    for one in agreed:
        steps = np.diff(one.beats)
        np.testing.assert_allclose(steps, 60 / one.tempo_bpm, atol=2 / SAMPLERATE)
        assert set(one.downbeats) <= set(one.beats)
        assert one.chords[0][0] >= 0.0
    assert all(not one.beats for one in told if one.tempo_bpm is None)


def test_absent_stems_play_nothing(renderer):
    for i in range(12):
        take, told = renderer.take_with_score(rng(7, i), N)
        for s, part in enumerate(told.parts.values()):
            if not take[s].any():
                assert not part.hits
                assert not part.notes


def test_scores_survive_json(renderer):
    for i in range(6):
        _, told = renderer.take_with_score(rng(11, i), N)
        again = Score.from_json(told.to_json())
        assert again.beats == told.beats
        assert again.chords == told.chords
        for stem, part in told.parts.items():
            assert again.parts[stem].hits == part.hits
            assert again.parts[stem].notes == part.notes
            assert again.parts[stem].spans == part.spans
            if part.sung is not None:
                np.testing.assert_allclose(again.parts[stem].sung, part.sung, atol=1e-3)


def test_contours_are_cut_at_the_edges_of_a_take():
    part = Part(N)
    part.contour(-3 * score.STEP, [50.0] * 5)
    part.contour(-99 * score.STEP, [60.0] * 5)
    part.contour(N - 2 * score.STEP, [70.0] * 5)
    assert part.sung[:2].tolist() == [50.0, 50.0]
    assert np.isnan(part.sung[2:-2]).all()
    assert part.sung[-2:].tolist() == [70.0, 70.0]


def test_the_pitch_of_a_recorded_voice_is_told_when_it_sounds():
    """A glide: what the tracker's window says is moved to the window's middle."""
    n = 2 * SAMPLERATE
    t = np.arange(n) / SAMPLERATE
    pitch = 50 + 6 * t
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / SAMPLERATE
    x = sum(np.sin(k * phase) / k for k in range(1, 20)).astype(np.float32)
    part = Part(n)
    part.contour(0, voices._natural(part, x, 1.0))
    inside = part.sung[20:-20]
    expected = 50 + 6 * (np.arange(part.sung.size) * score.STEP / SAMPLERATE)[20:-20]
    assert np.nanmedian(inside - expected) == pytest.approx(0, abs=0.03)
    assert tinypack.SAMPLERATE == SAMPLERATE
