"""The kernels of drum hits beside their slow twins."""

import numpy as np
import pytest

from stemd.kernels.drums import drum_logits, pick_hits, weigh_company
from tests.kernels.layers import kept

B, N_BANDS = 2, 5
N_IN, H1, H2 = 3 * N_BANDS, 12, 6


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


class SlowNet:
    """All frames kept; everything from the beginning each time."""

    def __init__(self, lags, limits, weights):
        self.lags, self.limits, self.weights = lags, limits.astype(np.float64), weights
        self.frames = []

    def __call__(self, levels):
        levels = levels.astype(np.float64)
        total = np.sqrt((levels**2).sum(axis=-1))
        self.frames.append(np.where(total[..., None] < 1e6, levels, 0.0))
        totals = np.sqrt((np.array(self.frames) ** 2).sum(axis=-1))  # (t, b, row)
        kept = self.limits[0] ** np.arange(len(totals))[::-1, None, None]
        drums, mix = (kept * totals).max(axis=0).T
        scale = np.maximum(np.maximum(drums, self.limits[1] * mix), self.limits[2])[:, None]
        x = []
        for row, hops in self.lags:
            past = len(self.frames) > hops
            then = self.frames[-1 - hops][:, row] if past else 0.0 * levels[:, row]
            x.append(0.4 * np.log(then / scale + self.limits[3]) + 1.4)
        x = np.concatenate(x, axis=1)
        for i, w in enumerate(self.weights):
            x = x @ w[:-1] + w[-1]
            if i < 2:
                x = np.maximum(x, 0)
        return x


def test_the_net_sees_what_was(rng):
    lags = np.array([[0, 0], [0, 3], [1, 1]], np.int64)
    limits = np.array([0.9, 0.1, 1e-3, 1e-2], np.float32)
    layers = [0.3 * real(rng, N_IN + 1, H1), 0.3 * real(rng, H1 + 1, H2), real(rng, H2 + 1, 3)]
    layers, weights, steps = kept(layers)
    slow = SlowNet(lags, limits, layers)
    past, loudest = np.zeros((4, B, 2, N_BANDS), np.float32), np.zeros((B, 2), np.float32)
    scratch = np.zeros(N_IN + H1 + H2, np.float32)
    logits = np.zeros((B, 3), np.float32)
    for t in range(40):
        levels = np.abs(real(rng, B, 2, N_BANDS)) * np.float32(10.0 ** rng.uniform(-5, 0))
        if t == 20:
            levels[0, 0, 2], levels[1, 1, 0] = np.nan, np.inf
        wanted = slow(levels.copy())
        drum_logits(levels, past, t % 4, lags, loudest, limits, weights, steps, H1, scratch, logits)
        # three layers of sums in float32
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=2e-5)


class Picker:
    """`pick_hits` with state of its own."""

    def __init__(self, n_feeds=1, refractory=4):
        shape = (n_feeds, 3)
        self.threshold = np.ones(shape, np.float32)
        self.built_in = np.array([[-20.0, 12.0]] * 3, np.float32)
        self.spans = np.array([[0, 2], [1, 4], [3, 5]], np.int64)
        self.armed = np.ones(shape, np.bool_)
        self.since = np.full(shape, 100, np.int64)
        self.heard = np.zeros((2, *shape), np.float32)
        self.muted = np.zeros(n_feeds, np.int64)
        self.refractory = refractory
        self.out = np.full((n_feeds, 2, 5), 9.0, np.float32)

    def __call__(self, logits, level=0.1, others=(9.0, 9.0, 9.0), share=0.0):
        levels = np.zeros((len(self.muted), 2, 5), np.float32)
        levels[:, 0] = level
        levels[:, 1] = 7.0  # the mix is not measured
        logits = np.tile(np.asarray(logits, np.float32) - np.float32(1.0), (len(self.muted), 1))
        n_feeds = len(self.muted)
        others = np.tile(np.asarray((7.0, *others), np.float32), (n_feeds, 1))
        shares = np.full(n_feeds, share, np.float32)
        pick_hits(
            logits, others, shares, levels, self.threshold, self.built_in, self.spans,
            self.armed, self.since, self.heard, self.muted, self.refractory, 1, 2, self.out,
        )  # fmt: skip
        return self.out[0, 1, 2:].copy()


HIT, NONE = [2.0, 2.0, 2.0], [-5.0, -5.0, -5.0]


def test_only_the_three_columns_are_written():
    pick = Picker()
    pick(NONE)
    assert (pick.out[0, 0] == 9.0).all()
    assert (pick.out[0, 1, :2] == 9.0).all()
    assert (pick.out[0, 1, 2:] == 0.0).all()


def test_a_hit_is_declared_once_until_its_likelihood_falls():
    pick = Picker()
    assert all(pick(HIT) > 0.0)
    for _ in range(20):
        assert not pick(HIT).any()
    pick(NONE)
    assert pick(HIT).all()


def test_classes_are_declared_by_themselves():
    pick = Picker()
    np.testing.assert_array_equal(pick([2.0, 0.5, 2.0]) > 0, [True, False, True])
    np.testing.assert_array_equal(pick([-5.0, 2.0, 2.0]) > 0, [False, True, False])


@pytest.mark.parametrize(
    ("others", "told"),
    [((2.0, 0.4, -9.0), [True, False, False]), ((0.5, 4.0, 1.1), [False, True, True])],
)
def test_another_opinion_counts_by_its_share(others, told):
    # its own are 0.5 below
    got = Picker()([0.5, 0.5, 0.5], 0.1, others, 0.5) > 0
    np.testing.assert_array_equal(got, told)


def test_company_counts_from_two_fifths_on(rng):
    limits, keep = np.array([0.9, 0.6, 0.5], np.float32), np.float32(0.9)
    energies, shares = np.zeros((B, 2), np.float32), np.zeros(B, np.float32)
    slow = np.zeros((B, 2))
    for _ in range(30):
        levels = np.abs(real(rng, B, 2, N_BANDS))
        levels[:, 1] = levels[:, 0] * rng.uniform(1.0, 1.4, (B, 1)).astype(np.float32)
        weigh_company(levels, keep, limits, energies, shares)
        slow = 0.9 * slow + np.square(levels.astype(np.float64)).sum(-1)
        wanted = 0.5 * np.clip((0.9 - slow[:, 0] / slow[:, 1]) / 0.3, 0, 1)
        np.testing.assert_allclose(shares, wanted, atol=1e-4)
    weigh_company(np.zeros((B, 2, N_BANDS), np.float32), np.float32(0.0), limits, energies, shares)
    assert np.isfinite(shares).all()


def test_no_two_hits_within_the_refractory_time():
    pick = Picker(refractory=4)
    hits = [pick(HIT if k % 2 == 0 else NONE)[0] > 0 for k in range(12)]
    assert np.flatnonzero(hits).tolist() == [0, 4, 8]


def test_velocity_is_in_decibels_below_hard_hits():
    pick = Picker(refractory=1)

    def hit(db):
        pick(NONE)
        return pick(HIT, 10 ** (db / 20) / np.sqrt(2))[0]  # two bands

    assert [hit(-20.0) for _ in range(4)] == pytest.approx([1.0] * 4, abs=1e-3)
    assert hit(-26.0) == pytest.approx(1 - 6 / 12, abs=0.12)  # the scale follows a little
    for _ in range(300):
        hit(-40.0)
    assert hit(-40.0) > 0.9  # a quiet track has loud hits too
    assert hit(-52.0) < 0.1
    assert hit(0.0) == 1.0


def test_the_threshold_is_a_factor_on_the_odds():
    pick = Picker()
    pick.threshold[0] = [1.0, 10.0, 0.1]
    logit = 1.0 + np.log(10.0)
    np.testing.assert_array_equal(pick([logit - 0.01] * 3) > 0, [True, False, True])
    pick(NONE)
    for _ in range(4):
        pick(NONE)
    np.testing.assert_array_equal(pick([0.0] * 3) > 0, [False, False, True])


def test_nothing_is_declared_while_muted_nor_right_after():
    pick = Picker()
    pick.muted[0] = 3
    assert not any(pick(HIT).any() for _ in range(10))
    pick(NONE)
    assert pick(HIT).all()


def test_a_likelihood_that_is_no_number_is_no_hit():
    pick = Picker()
    assert not pick([np.nan] * 3).any()
    assert pick(HIT).all()


def test_what_nobody_hears_is_no_hit():
    pick = Picker()
    assert not pick(HIT, 5e-6).any()
    pick(NONE)
    assert pick(HIT, 2e-5).all()
