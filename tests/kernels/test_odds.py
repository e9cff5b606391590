"""The kernels behind onsets and hits beside their slow twins."""

import numpy as np
import pytest

from stemd.kernels.flux import pick_onsets
from stemd.kernels.odds import see, think
from tests.kernels.layers import kept

B, N_BANDS, N_SOURCES = 2, 5, 5
LIMITS = np.array([0.9, 0.1, 1e-3, 1e-2], np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


class SlowSight:
    """All frames kept; `loudest` from the beginning each time."""

    def __init__(self, n_past):
        self.n_past = n_past
        self.totals, self.x = [], []

    def __call__(self, levels):
        keep, share, least, knee = LIMITS.astype(np.float64)
        levels = levels.astype(np.float64)
        total = np.sqrt((levels**2).sum(axis=-1))
        levels = np.where(total[..., None] < 1e6, levels, 0.0)
        self.totals.append(np.sqrt((levels**2).sum(axis=-1)))
        kept = keep ** np.arange(len(self.totals))[::-1, None, None]
        loudest = (kept * np.array(self.totals)).max(axis=0)
        scale = np.maximum(np.maximum(loudest, share * loudest[:, :1]), least)
        self.x.append(0.4 * np.log(levels / scale[..., None] + knee) + 1.4)
        silence = np.full_like(levels, 0.4 * np.log(knee) + 1.4)
        old = [self.x[-1 - n] if n < len(self.x) else silence for n in range(self.n_past)][-2:]
        old = np.maximum(*old)
        near = [np.roll(old, n, axis=-1) for n in (-1, 0, 1)]
        near[0][..., -1] = near[2][..., 0] = -np.inf  # beyond the ends there is nothing
        rise = np.maximum(self.x[-1] - np.max(near, axis=0), 0.0)
        return np.stack([self.x[-1], rise], axis=1).reshape(len(levels), -1)


def test_levels_and_rises_are_seen_beside_what_was_loud(rng):
    slow = SlowSight(4)
    silence = np.float32(0.4 * np.log(LIMITS[3]) + 1.4)
    past = np.full((4, B, N_SOURCES, N_BANDS), silence)
    loudest = np.zeros((B, N_SOURCES), np.float32)
    seen = np.zeros((B, 2 * N_SOURCES * N_BANDS), np.float32)
    for t in range(40):
        levels = np.abs(real(rng, B, N_SOURCES, N_BANDS)) * np.float32(10.0 ** rng.uniform(-5, 0))
        if t == 20:
            levels[0, 0, 2], levels[1, 1, 0] = np.nan, np.inf
        wanted = slow(levels.copy())
        see(levels, past, t % 4, loudest, LIMITS, seen)
        np.testing.assert_allclose(seen, wanted, atol=2e-5)  # a logarithm in float32
        assert np.isfinite(levels).all()


def test_the_net_remembers_what_it_should(rng):
    n_in, n_embed, n_hidden, n_state, n_out, lags = 20, 6, 7, 4, 8, np.array([0, 1, 3])
    shapes = [
        (n_in + 1, n_embed),
        (3 * n_embed + 1, n_hidden),
        (n_hidden + 1, 3 * n_state),
        (n_state + 1, 3 * n_state),
        (n_hidden + n_state + 1, n_out),
    ]
    layers, weights, steps = kept([0.5 * real(rng, *shape) for shape in shapes])
    embed, middle, inward, again, outward = [w.astype(np.float64) for w in layers]
    past = np.zeros((4, B, n_embed), np.float32)
    state = np.zeros((B, n_state), np.float32)
    scratch = np.zeros(n_hidden + 6 * n_state, np.float32)
    logits = np.zeros((B, n_out), np.float32)
    told, memory = [np.zeros((B, n_embed))] * 4, np.zeros((B, n_state))
    for t in range(30):
        seen = np.maximum(real(rng, B, n_in), 0)
        think(seen, past, t % 4, lags, weights, steps, state, scratch, logits)
        told.append(seen @ embed[:-1] + embed[-1])
        x = np.concatenate([told[-1 - lag] for lag in lags], axis=1)
        x = np.maximum(x @ middle[:-1] + middle[-1], 0)
        i = np.split(x @ inward[:-1] + inward[-1], 3, axis=1)
        h = np.split(memory @ again[:-1] + again[-1], 3, axis=1)
        reset, update = (1 / (1 + np.exp(-(a + b))) for a, b in zip(i[:2], h[:2], strict=True))
        memory = (1 - update) * np.tanh(i[2] + reset * h[2]) + update * memory
        wanted = np.concatenate([x, memory], axis=1) @ outward[:-1] + outward[-1]
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=2e-5)  # sums in float32


class Picker:
    """`pick_onsets` with state of its own: one feed, two sources."""

    def __init__(self, refractory=4):
        self.threshold = np.ones((1, 2), np.float32)
        self.armed = np.ones((1, 2), np.bool_)
        self.since = np.full((1, 2), 100, np.int64)
        self.count = np.zeros((1, 2), np.int64)
        self.muted = np.zeros(1, np.int64)
        self.refractory = refractory
        self.out = np.full((1, 2, 6), 9.0, np.float32)

    def __call__(self, logits, flux=0.2, hits=np.nan):
        """(strength, onset, count, offset) of both sources."""
        both = np.array([[*np.broadcast_to(logits, 2), 9.0]], np.float32)  # a class behind them
        hits = np.array([np.broadcast_to(hits, 3)], np.float32)  # of the second source
        rise, second = np.full((1, 2), flux, np.float32), np.array([0.5, 1.0], np.float32)
        self.found = pick_onsets(
            both, hits, second, 1, rise, self.threshold, np.float32(0.1), self.armed, self.since,
            self.count, self.muted, self.refractory, np.array([1, 2, 3, 4]), self.out,
        )  # fmt: skip
        return self.out[0, :, 1:5].T.copy()


def test_an_onset_is_declared_once_until_its_odds_fall():
    pick = Picker()
    strength, onset, count, offset = pick(1.0)
    assert pick.found == 2
    np.testing.assert_allclose(strength, 2 / 3, rtol=1e-6)
    for found, wanted in ((onset, 1), (count, 1), (offset, 0)):
        assert (found == wanted).all()
    for _ in range(20):
        assert not pick(1.0)[1].any()
    pick(-3.0)
    assert (pick(1.0)[2] == 2).all()
    assert (pick.out[0, :, [0, 5]] == 9.0).all()  # no other column


def test_the_threshold_is_the_odds_asked_for_by_each_source():
    pick = Picker()
    pick.threshold[0] = [10.0, 0.1]
    np.testing.assert_array_equal(pick(2.0)[1], [0, 1])
    pick(-9.0)
    for _ in range(4):
        pick(-9.0)
    np.testing.assert_array_equal(pick(-2.0)[1], [0, 1])
    pick.threshold[0] = 0.0  # whatever is sent, no infinity
    pick(-50.0)
    assert np.isfinite(pick.out).all()


def test_no_two_onsets_within_the_refractory_time():
    pick = Picker(refractory=4)
    onsets = [pick(2.0 if k % 2 == 0 else -5.0)[1, 0] for k in range(12)]
    assert np.flatnonzero(onsets).tolist() == [0, 4, 8]


def test_without_a_rise_there_is_no_onset_whatever_the_net_says():
    pick = Picker()
    assert not pick(9.0, flux=0.019)[:3].any()
    assert pick(9.0, flux=0.021)[1].all()


def test_nothing_is_declared_while_muted_nor_right_after():
    pick = Picker()
    pick.muted[0] = 3
    assert not any(pick(2.0)[1].any() for _ in range(10))
    pick(-5.0)
    assert pick(2.0)[1].all()


@pytest.mark.parametrize(
    ("own", "hits", "told"),
    [
        (0.5, (-20.0, -0.4, -20.0), [1, 1]),
        (0.5, -0.6, [1, 0]),
        (-0.5, (0.6, -20.0, -20.0), [0, 1]),
        (1.1, -9.0, [1, 1]),  # sure enough
        (0.9, -9.0, [1, 0]),
        (0.5, np.nan, [1, 1]),
    ],
)
def test_hits_have_half_a_say_in_the_onsets_of_one_source(own, hits, told):
    np.testing.assert_array_equal(Picker()(own, hits=hits)[1], told)


def test_odds_that_are_no_number_are_no_onset():
    pick = Picker()
    assert not pick(np.nan)[:3].any()
    assert pick(2.0)[1].all()
