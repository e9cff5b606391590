"""The benchmark of the features, judged itself: truth scores 1, what is not true scores 0."""

import numpy as np
import pytest

pytest.importorskip("mir_eval")

from benchmarks.features import material, measures, truth
from models.render.score import Hit, Note, Part, Score

RATE = 44100
TIMES = np.arange(1, 20) * 0.5


def events(times, weak=(), unknown=None):
    times = np.asarray(times, float)
    mask = np.isin(np.arange(times.size), weak)
    if unknown is None:
        return truth.Events(times, mask)
    first, last = unknown
    return truth.Events(times, mask, lambda at: (at < first) | (at >= last))


def test_truth_against_itself_scores_one():
    found = measures.match_events(events(TIMES), TIMES, TIMES + 0.007, 0.025)
    assert found.f1 == 1.0
    assert found.delay_ms(50) == pytest.approx(7.0)
    assert found.delay_ms(95) == pytest.approx(7.0)


@pytest.mark.parametrize(("shift_s", "at_50", "at_25"), [(0.03, 1.0, 0.0), (0.2, 0.0, 0.0)])
def test_shifted_truth_scores_by_its_shift(shift_s, at_50, at_25):
    scores = [
        measures.match_events(events(TIMES), TIMES + shift_s, None, window).f1
        for window in measures.WINDOWS_S
    ]
    assert scores == [at_50, at_25]


def test_order_and_doubles():
    twice = np.concatenate([TIMES, TIMES + 0.01])[::-1]
    found = measures.match_events(events(TIMES), twice, twice, 0.05)
    assert (found.right, found.wrong, found.missed) == (TIMES.size, TIMES.size, 0)


def test_weak_and_unknown_events_are_neither_asked_for_nor_held_against_anybody():
    asked = events(TIMES, weak=(3, 4))
    without = np.delete(TIMES, (3, 4))
    for told in (TIMES, without):
        assert measures.match_events(asked, told, None, 0.05).f1 == 1.0
    asked = events(TIMES, unknown=(0.0, 5.0))
    told = np.concatenate([np.arange(0.1, 4.9, 0.1), TIMES[TIMES >= 5]])
    found = measures.match_events(asked, told, None, 0.05)
    assert found.f1 == 1.0
    assert found.right == (TIMES >= 5).sum()


def test_nothing_heard_scores_nothing():
    assert measures.match_events(events(TIMES), np.zeros(0), np.zeros(0), 0.05).f1 == 0.0


# ---- pitch


def contour(second=None):
    midi = np.full((1000, 2), np.nan)
    midi[100:900] = 45.0
    midi[500:900] = 48.0
    if second:
        midi[:, 1] += second
    return truth.Contour(midi, np.ones(1000, bool))


def hertz(midi):
    return np.nan_to_num(440 * 2 ** ((midi - 69) / 12))


def test_a_contour_against_itself_scores_one():
    asked = contour()
    score = measures.match_contour(asked, asked.times, hertz(asked.midi[:, 0])).summary()
    assert (score["rpa"], score["rca"], score["voicing_recall"]) == (1.0, 1.0, 1.0)
    assert score["voicing_false_alarm"] == 0.0
    assert score["lag_ms"] == 0.0


@pytest.mark.parametrize(("off", "rpa", "rca"), [(1, 0, 0), (12, 0, 1), (-0.4, 1, 1)])
def test_pitch_is_right_within_fifty_cents(off, rpa, rca):
    asked = contour()
    score = measures.match_contour(asked, asked.times, hertz(asked.midi[:, 0] + off)).summary()
    assert (score["rpa"], score["rca"]) == (rpa, rca)


def test_a_waveform_with_an_octave_below_may_be_heard_either_way():
    asked = contour(second=-12)
    for k in (0, 1):
        score = measures.match_contour(asked, asked.times, hertz(asked.midi[:, k])).summary()
        assert score["rpa"] == 1.0


def test_a_late_tracker_is_told_how_late_it_is():
    asked = contour()
    score = measures.match_contour(asked, asked.times + 0.05, hertz(asked.midi[:, 0])).summary()
    assert score["lag_ms"] == pytest.approx(50)
    assert score["rpa"] == 1.0


def test_pitch_scores_agree_with_mir_eval():
    rng = np.random.default_rng(0)
    asked = contour()
    heard = hertz(asked.midi[:, 0] + rng.choice((0, 0.3, 0.7, 12, -12), 1000))
    track = measures.match_contour(asked, asked.times, heard)
    import mir_eval

    reference = hertz(asked.midi[:, 0])
    table = mir_eval.melody.evaluate(asked.times, reference, asked.times, heard)
    assert track.pitch[0] / track.asked == pytest.approx(table["Raw Pitch Accuracy"], abs=0.004)
    assert track.chroma[0] / track.asked == pytest.approx(table["Raw Chroma Accuracy"], abs=0.004)


# ---- notes, tempo, beats


def test_notes_against_themselves_score_one_and_a_semitone_off_nothing():
    notes = np.stack([TIMES, TIMES + 0.3, 40 + np.arange(TIMES.size) % 5], 1)
    assert measures.match_notes(notes, notes[:, 0], notes[:, 2]).summary()["f1"] == 1.0
    assert measures.match_notes(notes, notes[:, 0], notes[:, 2] + 1).summary()["f1"] == 0.0
    late = measures.match_notes(notes, notes[:, 0] + 0.1, notes[:, 2]).summary()
    assert (late["f1"], late["f1_no_lag"]) == (1.0, 0.0)
    assert late["lag_ms"] == pytest.approx(100, abs=50.1)  # any lag within the window will do


def test_tempo_is_asked_with_and_without_octaves():
    assert measures.tempo_is_right(120, 123) == (True, True)
    assert measures.tempo_is_right(120, 61) == (False, True)
    assert measures.tempo_is_right(120, 90) == (False, False)


def test_beats_on_the_grid_score_one_and_between_it_nothing():
    assert measures.beat_f1(TIMES, TIMES) == 1.0
    assert measures.beat_f1(TIMES, TIMES + 0.25) == 0.0
    assert measures.beat_f1(TIMES, np.zeros(0)) == 0.0


# ---- truth


def test_strokes_together_are_one_onset():
    times, weights = truth.merged(np.array([1.0, 1.01, 2.0]), np.array([1.0, 9.0, 1.0]))
    np.testing.assert_allclose(times, [1.01, 2.0])  # the ghost before the stroke is not it
    np.testing.assert_allclose(weights, [9.0, 1.0])


def clicks(times, seconds=10):
    audio = np.zeros((2, seconds * RATE), np.float32)
    shape = np.random.default_rng(1).standard_normal(2000) * np.exp(-np.arange(2000) / 400)
    for at in times:
        audio[:, int(at * RATE) : int(at * RATE) + 2000] += 0.3 * shape.astype(np.float32)
    return audio


def test_the_offline_annotation_finds_clicks_where_they_are():
    annotated = material.annotate(clicks(TIMES))
    strong = annotated.times[~annotated.weak]
    assert strong.size == TIMES.size
    np.testing.assert_allclose(strong, TIMES, atol=0.004)


@pytest.mark.parametrize("played", [28.0, 40.0, 52.0])
def test_a_string_is_asked_for_the_pitch_that_sounds(played):
    """Plucked hard it begins 80 cents sharp; its second partial is louder than its first."""
    t = np.arange(2 * RATE) / RATE
    midi = played + 0.8 * np.exp(-t / 0.25)
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((midi - 69) / 12)) / RATE
    tone = 0.1 * np.sin(phase) + 0.3 * np.sin(2 * phase + 1) + 0.1 * np.sin(3 * phase)
    audio = np.zeros((2, 4 * RATE), np.float32)
    audio[:, RATE : 3 * RATE] = tone
    part = Part(4 * RATE)
    part.notes = [Note(1.0, 3.0, (played,), 0.8, 1.0)]
    asked = truth.contour_of_notes(part, audio, RATE).midi[:, 0]
    at = np.arange(108, 292)
    assert np.abs(asked[at] - midi[at * RATE // 100 - RATE]).max() < 0.1
    assert np.isnan(asked[:99]).all()
    assert np.isnan(asked[302:]).all()


def test_noise_bends_no_note():
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 2 * RATE)).astype(np.float32)
    part = Part(2 * RATE)
    part.notes = [Note(0.0, 2.0, (40.0,), 0.8, 0.0)]
    asked = truth.contour_of_notes(part, noise, RATE).midi[:, 0]
    assert (asked == 40.0).all()


def test_a_score_becomes_what_can_be_asked():
    n = 10 * RATE
    drums, bass = Part(n), Part(n)
    drums.hits = [Hit(float(t), "kick", "kick", 1.0, 0.5) for t in TIMES]
    drums.hits.append(Hit(0.2, "kick", "kick", 0.05, 0.001))
    bass.notes = [
        Note(1.0, 2.0, (40.0,), 0.8, 1.1),
        Note(3.0, 4.0, (41.0, 29.0), 0.8, 3.0),
        Note(5.0, 6.0, (), 0.8, 5.0),
    ]
    parts = {"vocals": Part(n), "drums": drums, "bass": bass, "other": Part(n)}
    parts["other"].unknown("onsets", 0, n // 2)
    sources = np.zeros((5, 2, n), np.float32)
    sources[1] = clicks(TIMES)
    sources[2] = 0.1
    score = Score(10.0, 120.0, [0.0, 0.5], [0.0], [], parts)
    piece = truth.from_score("a", sources, score)
    assert piece.hits["kick"].weak.tolist() == [True] + [False] * TIMES.size
    assert piece.hits["snare"].times.size == 0
    known = piece.onsets["mix"].known(np.array([1.0, 9.0]))
    assert known.tolist() == [False, True]
    asked = piece.contours["bass"]
    assert not asked.known[105]  # still bending
    assert asked.known[150]
    assert asked.midi[150].tolist() == [40.0, 40.0]
    assert asked.midi[350].tolist() == [41.0, 29.0]
    assert not asked.known[550]  # a bell
    assert piece.tempo_bpm == 120.0
    assert piece.notes["bass"][:, 2].tolist() == [40.0, 41.0]
