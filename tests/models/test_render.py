"""Takes: the laws every one of them keeps, and the truths of the rooms they pass through."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from models.folders import songs
from models.library import SAMPLERATE
from models.render import (
    Renderer,
    audio,
    bass,
    desk,
    drums,
    filters,
    grammar,
    harmony,
    instruments,
    kits,
    psola,
    sections,
    stage,
    voices,
    wild,
)
from models.render.taste import TRAINING
from stemd.spec import STEMS
from tests.models import tinypack

N = 2 * SAMPLERATE


def rng(*seed):
    return np.random.default_rng(seed or (0,))


@pytest.fixture(scope="module")
def takes(renderer):
    return [renderer.take(rng(7, i), N) for i in range(30)]


def db(x):
    return 10 * np.log10(np.square(x, dtype=np.float64).mean() + 1e-20)


# ---- takes


def test_takes_have_five_sources_and_stay_inside_full_scale(takes):
    for take in takes:
        assert take.shape == (5, 2, N)
        assert take.dtype == np.float32
        assert np.isfinite(take).all()
        assert np.abs(take.sum(0)).max() <= 1.0 + 1e-4


def test_takes_are_of_many_levels_and_many_casts(takes):
    peaks = [np.abs(take.sum(0)).max() for take in takes]
    assert max(peaks) > 0.3
    assert min(peaks) < 0.1
    for s in range(4):
        present = [bool(take[s].any()) for take in takes]
        assert any(present)
        assert not all(present)
    assert any(all(take[s].any() for s in range(4)) for take in takes)


def test_the_same_seed_gives_the_same_take_whatever_came_before(libraries, renderer, takes):
    fresh = Renderer(libraries["train"])
    for i in (3, 11, 20):
        np.testing.assert_array_equal(fresh.take(rng(7, i), N), takes[i])
        np.testing.assert_array_equal(renderer.take(rng(7, i), N), takes[i])
    assert not np.array_equal(takes[3], takes[4])


def test_another_taste_makes_other_music(libraries, takes):
    trained = Renderer(libraries["train"], taste=TRAINING)
    others = [trained.take(rng(7, i), N) for i in range(24)]
    assert not all(np.array_equal(one, two) for one, two in zip(takes, others, strict=False))
    for take in others:
        assert np.isfinite(take).all()
        assert np.abs(take).max() < 2
    again = Renderer(libraries["train"], taste=TRAINING).take(rng(7, 11), N)
    np.testing.assert_array_equal(again, others[11])


def test_compressors_that_go_by_what_sounds_leave_the_floor_between_notes_down():
    """Of a part that is silent most of the time, with a noise 60 dB under its notes."""
    audio = np.zeros((2, 4 * SAMPLERATE), np.float32)
    t = np.arange(SAMPLERATE // 4) / SAMPLERATE
    audio[:, SAMPLERATE : SAMPLERATE + t.size] = 0.5 * np.sin(2 * np.pi * 220 * t)
    floor = slice(2 * SAMPLERATE, SAMPLERATE * 9 // 4)
    audio[:, floor] = 5e-4 * rng(1).standard_normal((2, t.size))
    for i in range(20):
        squeezed = desk.compress(rng(i), audio, heard=True)
        note = squeezed[:, SAMPLERATE * 9 // 8 : SAMPLERATE * 5 // 4]
        assert db(note) - db(squeezed[:, floor]) > 35
    assert not desk.compress(rng(0), np.zeros_like(audio), heard=True).any()


@pytest.mark.parametrize("part", ["validation", "test", "songs"])
def test_every_part_of_the_split_renders(libraries, part):
    renderer = Renderer(libraries[part])
    assert any(renderer.take(rng(1, i), N).any() for i in range(4))


def test_takes_may_be_short_or_odd(renderer):
    for n in (2048, 30_001):
        assert renderer.take(rng(2), n).shape == (5, 2, n)


@pytest.mark.parametrize("style", sorted(grammar.STYLES))
def test_every_style_plays_every_part(renderer, style):
    plan = replace(grammar.draw_plan(rng(4), 4 * SAMPLERATE, style), sure=frozenset(range(99)))
    for stem in STEMS:
        part, _ = renderer._part(rng(5), stem, plan, 4 * SAMPLERATE, acoustic=style < "k")
        assert part.shape == (2, 4 * SAMPLERATE)
        assert np.isfinite(part).all()
        assert part.any() or stem == "vocals", stem  # a singer may come in later


@pytest.mark.parametrize("manner", sorted(voices.MANNERS))
def test_every_manner_of_singing_is_heard(renderer, manner):
    n = 8 * SAMPLERATE
    plan = grammar.draw_plan(rng(3), n, "pop", 120.0)
    sung = renderer.vocalist._lead(rng(6), manner, plan, n, np.ones(plan.bars, bool))
    assert sung.shape == (2, n)
    assert db(sung) > -60


@pytest.mark.parametrize("manner", sorted({m for row in harmony.MANNERS.values() for m in row}))
def test_every_manner_of_the_band_is_heard(renderer, manner):
    n = 4 * SAMPLERATE
    plan = grammar.draw_plan(rng(3), n, "pop", 120.0)
    played = renderer.harmonist.layer(rng(6), manner, plan, n, True, np.ones(plan.bars, bool))
    if manner == "texture":
        assert played is None  # the tiny pack has no textures
    else:
        assert played.shape[1] == n
        assert db(played) > -70


def test_own_songs_are_rendered_beside_the_pack(libraries, tmp_path):
    whistle = tinypack.tone(100, 3, 1)  # a pitch nothing else plays
    for stem in STEMS:
        (tmp_path / "song").mkdir(exist_ok=True)
        sf.write(tmp_path / "song" / f"{stem}.wav", whistle, SAMPLERATE)
    renderer = Renderer(libraries["train"], songs=songs(tmp_path))
    heard = 0
    for i in range(20):
        spectrum = np.abs(np.fft.rfft(renderer.take(rng(8, i), N).sum((0, 1))))
        hertz = np.fft.rfftfreq(N, 1 / SAMPLERATE)
        peak = hertz[spectrum.argmax()]
        heard += 2637 * 2 ** (-3.2 / 12) < peak < 2637 * 2 ** (3.2 / 12)
    assert heard >= 2


# ---- real songs


def test_windows_of_a_song_join_where_they_touch(tiny, libraries):
    found = sections.pack_songs(libraries["train"])
    assert [song.length for song in found] == [4 * SAMPLERATE, 2 * SAMPLERATE]  # a gap at 4 s
    first, _ = sf.read(tiny / "bass/known/0.wav", dtype="float32")
    second, _ = sf.read(tiny / "bass/known/2.wav", dtype="float32")
    whole = np.concatenate([first, second]).T
    heard = found[0].read("bass", 87_000, 3000)
    np.testing.assert_allclose(heard, whole[:, 87_000:90_000], atol=1e-4)
    assert not found[0].read("bass", 4 * SAMPLERATE + 5, 100).any()


@pytest.mark.parametrize("bpm", [90, 120, 128, 160])
def test_tempo_and_phase_of_clicks_are_found(bpm):
    clicks = np.zeros((2, 15 * SAMPLERATE), np.float32)
    for k in range(24):
        at = int((0.2 + k * 60 / bpm) * SAMPLERATE)
        if at + 500 < clicks.shape[1]:
            clicks[:, at : at + 500] = 0.5
    clicks += 1e-4 * rng(1).standard_normal(clicks.shape).astype(np.float32)
    found, first_s = sections.beats_of(clicks)
    assert found == pytest.approx(bpm, abs=1)
    beats = (first_s - 0.2) * bpm / 60
    assert abs(beats - round(beats)) < 0.1


@pytest.mark.parametrize(("root", "minor"), [(0, False), (9, True), (4, True), (7, False)])
def test_the_key_of_a_cadence_is_found(root, minor):
    third = 3 if minor else 4
    chords = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    cadence = [sum(tinypack.tone(48 + root + p, 1, 4) for p in chord) for chord in chords]
    assert sections.key_of(np.concatenate(cadence).T.astype(np.float32)) == (root, minor)


# ---- grammar


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_covers_its_take_without_gaps(seed):
    plan = grammar.draw_plan(rng(seed), N)
    assert plan.at(0) <= 0
    assert plan.at(plan.bars * plan.meter) >= N
    ends = [chord.beat + chord.length for chord in plan.chords]
    np.testing.assert_allclose(ends[:-1], [chord.beat for chord in plan.chords[1:]])
    assert ends[-1] >= plan.bars * plan.meter - 1e-6
    assert sum(section.bars for section in plan.sections) == plan.bars
    times = [plan.at(beat / 8) for beat in range(8 * plan.bars * plan.meter)]
    assert (np.diff(times) > 0).all()


def test_swing_moves_the_offbeat_and_nothing_else():
    straight = replace(grammar.draw_plan(rng(1), N, "jazz"), swing=0.0, unit=0.5)
    swung = replace(straight, swing=1 / 3)
    assert swung.at(5) == straight.at(5)
    assert swung.at(5.5) - swung.at(5) == pytest.approx(straight.beat_length * 2 / 3, abs=2)


def test_numerals_mean_what_musicians_mean():
    assert grammar._numeral("bVII") == (10, (0, 4, 7))
    assert grammar._numeral("ii") == (2, (0, 3, 7))
    assert grammar._numeral("V7") == (7, (0, 4, 7, 10))
    assert grammar._numeral("iio") == (2, (0, 3, 6))


# ---- players


def test_bass_lines_sound_the_roots_of_the_chords(libraries):
    bassist = bass.Bassist(libraries["train"])
    n = 8 * SAMPLERATE
    plan = grammar.draw_plan(rng(5), n, "pop", 100.0, root=4, minor=True)
    plan = replace(plan, chords=(grammar.Chord(0, 99, 4, (0, 3, 7), plan.chords[0].scale),))
    part = bassist.play(rng(9), replace(plan, sure=frozenset(range(99))), n, acoustic=True)
    spectrum = np.abs(np.fft.rfft(part.mean(0)))
    hertz = np.fft.rfftfreq(n, 1 / SAMPLERATE)
    inside = (hertz > 35) & (hertz < 400)
    classes = np.round(69 + 12 * np.log2(hertz[inside] / 440)).astype(int) % 12
    strongest = np.bincount(classes, spectrum[inside], 12).argmax()
    assert strongest in (4, 11)  # E, or its fifth


def test_walks_stay_on_scale_or_lead_by_step(libraries):
    plan = grammar.draw_plan(rng(2), N, "jazz")
    for beat in np.arange(4, 12, 1.0):
        chord = plan.chord_at(beat)
        pitch = bass.Bassist._pitch(rng(int(beat)), "w", chord, plan, beat, 33, 35)
        near = {(plan.chord_at(beat + 1).root + d) % 12 for d in (-1, 1, 2)}
        assert pitch % 12 in set(chord.scale) | near | {chord.root}


def test_the_pitch_of_a_hit_is_heard():
    for pitch in (30, 38, 45.5):
        heard = instruments.pitch_of(tinypack.tone(pitch, 1, 5, 0.4).T.astype(np.float32))
        assert heard == pytest.approx(pitch, abs=0.3)
    assert instruments.pitch_of(tinypack.noise(1, 1).T.astype(np.float32)) is None


def test_samplers_play_in_tune(libraries):
    group = next(g for g in instruments.groups_of(libraries["train"].entries) if len(g) == 4)
    voice = instruments.sampler(rng(3), libraries["train"], group)
    for pitch in (voice.low + 6, voice.low + 9):
        heard = instruments.pitch_of(audio.stereo(voice.play(pitch, SAMPLERATE)))
        assert heard == pytest.approx(pitch, abs=0.4)


@pytest.mark.parametrize("pitch", [33, 45, 57, 64])
def test_plucked_strings_are_in_tune(pitch):
    voice = instruments.strings(rng(4), "guitar")
    heard = voice.play(pitch, SAMPLERATE)[0, 4000:]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size), 8 * heard.size))
    hertz = np.fft.rfftfreq(8 * heard.size, 1 / SAMPLERATE)
    expected = 440 * 2 ** ((pitch - 69) / 12)
    near = (hertz > expected * 0.9) & (hertz < expected * 1.1)
    assert 12 * np.log2(hertz[near][spectrum[near].argmax()] / expected) == pytest.approx(
        0, abs=0.2
    )


def test_roles_of_drums_are_told_from_names():
    def role(instrument, name):
        return kits.role_of({"instrument": instrument, "path": f"drums/x/{name}.ogg"})

    assert role("kick", "KdrumL_v3") == "kick"
    assert role("hihat open", "ho_v1") == "open"
    assert role("hihat closed", "hc_v2_rr1") == "hat"
    assert role("snare brushed", "a") == "brush"
    assert role("bass drum 1", "b") == "kick"
    assert role("snare (wires off/rim)", "c") == "rim"
    assert role("tabla", "tabla_ghe") == "percussion"


def test_harder_strokes_take_harder_layers(libraries):
    pool = kits.Pool.of([e for e in libraries["train"].entries if e["kind"] == "one-shot"])
    (kick,) = pool.pieces["kick"]
    assert [layer for layer, _ in kick] == [1, 2, 3]
    piece = kits.Piece([[np.full((1, 4), layer)] for layer in (1, 2, 3)])
    soft = np.mean([piece.strike(rng(i), 0.1)[0].max() for i in range(50)])
    hard = np.mean([piece.strike(rng(i), 0.95)[0].max() for i in range(50)])
    assert soft < 1.2
    assert hard > 2.8


def test_grooves_have_marks_for_sixteen_steps():
    for groove in drums.GROOVES.values():
        for line in (line for lines in groove.values() for line in lines):
            assert len(line) == 16
            assert set(line) <= {".", "x", "X", "o"}
    for line in (line for lines in bass.LINES.values() for line in lines):
        assert len(line) == 16


# ---- voices


def vowel(pitch, seconds=1.0):
    """A buzz through a fixed throat, (n,) float32."""
    buzz = tinypack.tone(pitch, seconds, 60).T.astype(np.float32)
    return filters.filtered(buzz, filters.bell(800, 20, 4), filters.lowpass(3000))[0]


def heard_pitch(x):
    pitches = psola.analyse(x).pitches[10:-10]
    return float(np.nanmedian(pitches))


@pytest.mark.parametrize("pitch", [45, 52, 60, 69])
def test_the_pitch_of_a_voice_is_tracked(pitch):
    assert heard_pitch(vowel(pitch)) == pytest.approx(pitch, abs=0.1)


@pytest.mark.parametrize("semitones", [-5, 3, 7])
def test_resung_voices_move_in_pitch_but_keep_their_throat(semitones):
    x = vowel(52)
    voice = psola.analyse(x)
    where = np.arange(x.size // psola.STEP) * float(psola.STEP)
    sung = psola.resing(voice, where, np.full(where.size, 2 ** (semitones / 12)))
    assert heard_pitch(sung) == pytest.approx(52 + semitones, abs=0.15)

    def formant(y):
        spectrum = np.abs(np.fft.rfft(y[8000:36000] * np.hanning(28000)))
        smooth = np.convolve(spectrum, np.ones(150) / 150, "same")
        band = slice(int(500 * 28000 / 44100), int(1500 * 28000 / 44100))
        return (band.start + smooth[band].argmax()) * 44100 / 28000

    # Harmonics are 165 Hz apart, so a formant is seen no more sharply than that.
    assert formant(x) == pytest.approx(800, rel=0.12)
    assert formant(sung) == pytest.approx(800, rel=0.15)
    wider = psola.resing(voice, where, np.ones(where.size), formant=1.26)
    assert formant(wider) == pytest.approx(1.26 * 800, rel=0.12)
    assert heard_pitch(wider) == pytest.approx(52, abs=0.15)


def test_resung_voices_keep_their_pitch_when_slowed():
    x = vowel(57)
    where = np.arange(0, x.size, psola.STEP / 2)
    slow = psola.resing(psola.analyse(x), where, np.ones(where.size))
    assert slow.size == pytest.approx(2 * x.size, rel=0.02)
    assert heard_pitch(slow) == pytest.approx(57, abs=0.15)


def test_syllables_are_found_where_they_start():
    x = tinypack.talk(50, 3)[:, 0].astype(np.float32)
    starts = [first / SAMPLERATE for first, _ in voices.split(x)]
    expected = np.arange(1, 7) * 0.4
    assert all(min(abs(s - e) for s in starts) < 0.04 for e in expected)


def test_phrases_move_to_the_key_by_the_shortest_way():
    plan = grammar.draw_plan(rng(1), N, root=9, minor=True)
    assert voices.transposition((9, "minor"), plan) == 0
    assert voices.transposition((0, "major"), plan) == 0  # the relative key
    assert voices.transposition((10, "minor"), plan) == -1
    assert abs(voices.transposition((3, "minor"), plan)) == 6


def test_tuning_pulls_a_voice_onto_the_scale():
    plan = grammar.draw_plan(rng(1), N, root=0, minor=False)
    chord = replace(plan.chords[0], scale=grammar.MAJOR)
    plan = replace(plan, chords=(chord,))
    track = np.array([60.4, np.nan, 61.8])
    np.testing.assert_allclose(voices.tuned(track, plan, 1.0), [60, np.nan, 62])
    np.testing.assert_allclose(voices.harmony(track, plan, 2), [64.4, np.nan, 64.8])


# ---- desk and stage: the sum law


def some_stems(seed):
    stems = rng(seed).standard_normal((4, 2, SAMPLERATE)).astype(np.float32) * 0.1
    return np.cumsum(stems, axis=2) * 0.1


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("step", [desk.master, stage.wires])
def test_the_bus_treats_the_sum_as_it_treats_the_stems(step, seed):
    """One filter, one gain curve, one cable for all: the order of adding does not matter."""
    stems = some_stems(seed)
    alone = np.zeros_like(stems)
    alone[0] = stems.sum(0)
    scale = np.abs(alone).max()
    one = step(rng(seed), stems.copy()).sum(0)
    other = step(rng(seed), alone.copy()).sum(0)
    np.testing.assert_allclose(one, other, atol=3e-4 * scale)


@pytest.mark.parametrize("step", [stage.spill, stage.hall])
def test_what_is_absent_stays_absent_on_stage(step):
    stems = some_stems(1)
    stems[[0, 2]] = 0
    out = step(rng(2), stems.copy())
    assert not out[[0, 2]].any()
    assert out[[1, 3]].any()
    twice = step(rng(2), stems * 2)
    np.testing.assert_allclose(twice, 2 * out, rtol=1e-3, atol=1e-4)  # linear


def test_limiting_holds_the_peak():
    mix = some_stems(3).sum(0)
    mix[:, 20_000:20_050] *= 8
    curve = desk.limit(mix, 0.4)
    assert np.abs(mix * curve).max() <= 0.4 * np.abs(mix).max() * 1.001
    assert curve.max() == pytest.approx(1.0)


def test_the_residual_of_a_clipped_input_belongs_to_nobody():
    mix = some_stems(4).sum(0)
    residual = stage.clip(rng(5), mix)
    heard = mix + residual
    flat = np.isclose(np.abs(heard), np.abs(heard).max(), rtol=1e-4)
    assert flat.sum() > 10
    assert np.array_equal(heard[~flat], mix[~flat])


def test_the_residual_of_a_codec_is_small_and_aligned():
    mix = 0.2 * np.repeat(tinypack.tone(60, 2, 12).T, 2, 0).astype(np.float32)
    for seed in range(6):
        residual = stage.lossy(rng(seed), mix)
        assert residual.shape == mix.shape
        assert db(residual) < db(mix) - 12
    assert any(stage.lossy(rng(seed), mix).any() for seed in range(6))
    assert not stage.lossy(rng(1), np.zeros_like(mix)).any()


def test_convolution_equals_its_slow_twin():
    x = rng(1).standard_normal((2, 30_000)).astype(np.float32)
    h = rng(2).standard_normal((2, 700)).astype(np.float32)
    slow = np.stack([np.convolve(a, b)[:30_000] for a, b in zip(x, h, strict=True)])
    np.testing.assert_allclose(audio.convolve(x, h), slow, atol=2e-3)


def test_filters_equal_their_slow_twin_and_their_name():
    x = rng(3).standard_normal((1, 500)).astype(np.float32)
    row = filters.bell(1000, 6, 1.0)
    b, a = np.array(row[:3]) / row[3], np.array(row[3:]) / row[3]
    slow = np.zeros(500)
    for n in range(500):
        for k in range(3):
            if n >= k:
                slow[n] += b[k] * x[0, n - k] - (a[k] * slow[n - k] if k else 0)
    np.testing.assert_allclose(filters.filtered(x, row)[0], slow, atol=1e-5)
    impulse = np.zeros((1, 1 << 15), np.float32)
    impulse[0, 0] = 1

    def response(row, hertz):
        spectrum = np.abs(np.fft.rfft(filters.filtered(impulse, row)[0]))
        return 20 * np.log10(spectrum[round(hertz * (1 << 15) / SAMPLERATE)])

    assert response(filters.bell(1000, 6, 1.0), 1000) == pytest.approx(6, abs=0.05)
    assert response(filters.lowpass(1000), 1000) == pytest.approx(-3, abs=0.1)
    assert response(filters.highpass(1000), 60) < -40
    assert response(filters.low_shelf(200, -5), 30) == pytest.approx(-5, abs=0.2)
    assert response(filters.high_shelf(3000, 4), 18_000) == pytest.approx(4, abs=0.2)


def test_ducking_gives_way_to_kicks_only():
    curve = desk.duck(rng(1), SAMPLERATE, [10_000], SAMPLERATE / 4)
    assert (curve[:9_990] == 1).all()
    assert curve[10_000:11_000].min() < 0.85
    assert (curve[30_000:] == 1).all()


def test_temple_blocks_are_played_as_kicks_and_told_as_what_they_are(libraries):
    library = libraries["train"]
    entries = [e for e in library.entries if e["kind"] == "one-shot"]
    kick = next(e for e in entries if kits.role_of(e) == "kick")
    blocks = kick | {"instrument": "temple blocks", "path": "drums/x/temple_blocks_1.ogg"}
    assert kits.role_of(blocks) == "kick"
    pool = kits.Pool.of([blocks])
    seen = {kits.draw_kit(rng(i), library, pool, True)["kick"].role for i in range(5)}
    assert seen == {"percussion"}
    assert kits.draw_kit(rng(0), library, kits.Pool.of(entries), True)["kick"].role == ""


def test_wild_kits_have_every_role_bent_and_clean(libraries):
    library = libraries["train"]
    pool = kits.Pool.of([e for e in library.entries if e["kind"] == "one-shot"])
    bright = set()
    for seed in range(4):
        kit = wild.wild_kit(rng(3, seed), library, pool, True)
        again = wild.wild_kit(rng(3, seed), library, pool, True)
        assert set(kits.KIT_ROLES) < set(kit)
        for role, piece in kit.items():
            for takes, same in zip(piece.layers, again[role].layers, strict=True):
                for take, one in zip(takes, same, strict=True):
                    np.testing.assert_array_equal(take, one)
                    assert take.shape[0] == 2
                    assert 0.9 < np.abs(take).max() <= 1.0
        snare = kit["snare"].layers[-1][0][0]
        bright.add(round(float(np.square(np.diff(snare)).sum() / np.square(snare).sum()), 2))
    assert len(bright) == 4  # the pack has one snare
