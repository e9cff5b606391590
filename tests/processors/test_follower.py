"""Controls made of features: curves, ranges, gates, attack and release."""

import math
from dataclasses import replace

import numpy as np
import pytest

from stemd.errors import ConfigError
from stemd.processors.follower import MIN_SPAN, Follow, Follower, usual
from stemd.spec import FEATURES


def run(follow, values, dt_s=0.005):
    """One value over time: (controls, gates, edges)."""
    follower = Follower([follow])
    rows = []
    for value in values:
        follower.process(np.array([value], np.float32), dt_s)
        rows.append((follower.controls[0], follower.gate[0], follower.edge[0]))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def twin(follow, values, dt_s):
    """What one value becomes, word for word as `Follow` says it."""

    def curved(v):
        if follow.curve == "db":
            return 20 * math.log10(max(abs(v), 1e-30))
        return math.log2(max(v, 1e-30)) if follow.curve == "log" else v

    ends = (follow.low, follow.high)
    low, high = map(math.log2, ends) if follow.curve == "log" else ends
    floor, least = low, MIN_SPAN * (high - low)
    limit = high
    y, is_open, out = 0.0, follow.threshold == 0, []
    for v in values:
        if math.isfinite(v):
            x = curved(v)
            if follow.history_s and x > floor:
                keep = math.exp(-dt_s / follow.history_s)
                x_in = min(x, limit)
                high = x_in if x_in > high else x_in + keep * (high - x_in)
                low = x_in if x_in < low else x_in + keep * (low - x_in)
            top = max(high, low + least) if follow.history_s else high
            x = min(max((x - low) / (top - low), 0.0), 1.0) ** follow.exponent
            bar = follow.threshold - (follow.hysteresis if is_open else 0.0)
            is_open = x >= bar
            x = x if is_open else 0.0
            time_s = 1e-3 * (follow.attack_ms if x > y else follow.release_ms)
            y = x + (y - x) * (math.exp(-dt_s / time_s) if time_s else 0.0)
        out.append(y)
    return out


@pytest.mark.parametrize("history_s", [0.0, 2.0])
@pytest.mark.parametrize("threshold", [0.0, 0.4])
@pytest.mark.parametrize(
    "curve", [("linear", 0.1, 0.9, 2.0), ("db", -40.0, -3.0, 1.0), ("log", 0.05, 1.0, 0.5)]
)
def test_every_way_equals_its_twin(curve, threshold, history_s):
    name, low, high, exponent = curve
    follow = Follow(low, high, name, exponent, 7.0, 60.0, history_s, threshold, 0.2)
    rng = np.random.default_rng(0)
    values = np.abs(np.cumsum(rng.normal(0, 0.1, 2000)) % 1.2 - 0.1).astype(np.float32)
    values[[5, 700]] = np.nan, np.inf
    got, _, _ = run(follow, values)
    # single against double precision, through a power of 1/2 that is steep at 0
    np.testing.assert_allclose(got, twin(follow, map(float, values), 0.005), atol=2e-3)
    assert np.ptp(got) > 0.5  # it moved


def test_a_step_is_63_percent_up_after_attack_and_down_after_release():
    follow = Follow(attack_ms=20.0, release_ms=100.0)
    control, _, _ = run(follow, [1.0] * 400 + [0.0] * 400, dt_s=0.001)
    assert control[19] == pytest.approx(1 - math.exp(-1), abs=1e-4)
    assert control[499] == pytest.approx(math.exp(-1), abs=1e-3)


@pytest.mark.parametrize("every", [2, 5, 10])
def test_the_hop_makes_no_difference_to_a_held_value(every):
    """Exact for what holds still over the longer hop."""
    follow = Follow(-60.0, 0.0, "db", attack_ms=30.0, release_ms=200.0, history_s=3.0)
    held = np.repeat(np.random.default_rng(1).uniform(0.01, 1.0, 60), 10)
    fine, _, _ = run(follow, held, dt_s=0.002)
    coarse, _, _ = run(follow, held[::every], dt_s=0.002 * every)
    # the range closes in while it is held, so the two are equal only nearly
    np.testing.assert_allclose(coarse, fine[every - 1 :: every], atol=0.01)


def test_db_spans_its_range():
    control, _, _ = run(Follow(-60.0, 0.0, "db"), [1.0, 10**-1.5, 1e-3, 1e-9, 0.0, -1.0])
    np.testing.assert_allclose(control, [1.0, 0.5, 0.0, 0.0, 0.0, 1.0], atol=1e-6)


def test_log_spans_octaves():
    control, _, _ = run(Follow(100.0, 1600.0, "log"), [100.0, 400.0, 1600.0, 0.0])
    np.testing.assert_allclose(control, [0.0, 0.5, 1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.3, 0.05])
def test_history_fills_the_range_whatever_the_level(scale):
    t = np.arange(6000) * 0.005
    level = scale * (0.5 + 0.45 * np.sin(2 * np.pi * 0.9 * t))  # 26 dB up and down
    follow = Follow(-80.0, 0.0, "db", history_s=3.0)
    control, _, _ = run(follow, level)
    settled = control[4000:]
    assert settled.max() > 0.99
    assert settled.min() < 0.1
    fixed, _, _ = run(replace(follow, history_s=0.0), level)
    assert np.ptp(settled) > 2.0 * np.ptp(fixed[4000:])


def test_silence_teaches_history_nothing():
    follower = Follower([Follow(-60.0, 0.0, "db", history_s=2.0)])
    for k in range(2000):
        follower.process(np.array([0.1 + 0.05 * (k % 7)], np.float32), 0.005)
    before = follower.learned_range()
    for _ in range(4000):
        follower.process(np.zeros(1, np.float32), 0.005)
    np.testing.assert_array_equal(follower.learned_range(), before)


def test_a_steady_hiss_is_not_blown_up_to_the_whole_range():
    rng = np.random.default_rng(2)
    level = 0.01 * (1 + 0.01 * rng.standard_normal(8000))  # 0.1 dB of flutter
    control, _, _ = run(Follow(-60.0, 0.0, "db", history_s=1.0), level)
    assert np.ptp(control[4000:]) < 0.5


def test_the_gate_opens_once_in_spite_of_flutter():
    follow = Follow(threshold=0.5, hysteresis=0.1)
    control, gate, edge = run(follow, [0.0, 0.55, 0.45, 0.52, 0.41, 0.39, 0.49, 0.6])
    assert list(gate) == [False, True, True, True, True, False, False, True]
    assert list(edge) == [0, 1, 0, 0, 0, -1, 0, 1]
    np.testing.assert_allclose(control, [0, 0.55, 0.45, 0.52, 0.41, 0, 0, 0.6], atol=1e-6)


def test_what_is_no_number_leaves_the_control():
    control, _, edge = run(Follow(), [0.5, np.nan, np.inf, -np.inf, 0.25])
    assert list(control) == [0.5, 0.5, 0.5, 0.5, 0.25]
    assert not edge.any()


def test_a_long_release_ends_in_zero():
    control, _, _ = run(Follow(release_ms=50.0), [1.0] + [0.0] * 400)
    assert control[-1] == 0.0


def test_values_know_nothing_of_each_other_and_reset_forgets():
    rng = np.random.default_rng(3)
    values = rng.random((300, 3)).astype(np.float32)
    follows = [
        Follow(attack_ms=10.0, release_ms=90.0, history_s=1.0),
        Follow(-30.0, 0.0, "db", threshold=0.3, hysteresis=0.1),
        usual("rms"),
    ]
    together = Follower(follows)
    got = np.array([together.process(row, 0.005).copy() for row in values])
    for i, follow in enumerate(follows):
        np.testing.assert_array_equal(got[:, i], run(follow, values[:, i])[0])
    together.reset()
    again = np.array([together.process(row, 0.005).copy() for row in values])
    np.testing.assert_array_equal(again, got)
    together.reset(1)
    assert together.controls[1] == 0.0
    assert together.controls[0] == got[-1, 0]


def test_none_is_a_number_of_values():
    assert Follower([]).process(np.zeros(0, np.float32), 0.005).shape == (0,)


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_has_a_usual_way(feature):
    control, _, _ = run(usual(feature), [0.0, 1e-6, 1.0, 1e5])
    assert (control >= 0.0).all()
    assert (control <= 1.0).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"curve": "cubic"}, "curve: got 'cubic', expected one of linear, db, log"),
        ({"low": 1.0}, "range: got 1.0 .. 1.0, expected low < high"),
        ({"high": math.nan}, "range: got 0.0 .. nan, expected low < high"),
        ({"curve": "log"}, "range: got 0.0 on a log curve, expected above 0"),
        ({"exponent": 0.0}, "exponent: got 0.0, expected 0.05 .. 20"),
        ({"attack_ms": -1.0}, "attack_ms: got -1.0, expected 0 or more"),
        ({"history_s": math.inf}, "history_s: got inf, expected 0 or more"),
        ({"threshold": 1.5}, "threshold: got 1.5, expected 0 .. 1"),
    ],
)
def test_what_makes_no_sense_is_refused(change, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence.replace('.', '[.]')}$"):
        Follow(**change)
