"""The article's network in stream form against its slow twin; skips itself without torch."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import classic, row_scores, rows  # noqa: E402

FOUR_STEMS = ("branches", "bottleneck", "shared")
PARAMETERS = {  # by hand, from kernel and layer sizes
    "branch": 323_233,
    "branches": 4 * 323_233,
    "bottleneck": 23_456 + 1824 * 77 + 77 + 77 * 2052 + 2052,
    "shared": 4 * 323_233 - 3 * (320 + 4624),
}


def made(variant, seed=0):
    torch.manual_seed(seed)
    return classic.ClassicNet(variant).eval()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_variants_have_the_parameters_of_the_article(variant):
    assert sum(p.numel() for p in made(variant).parameters()) == PARAMETERS[variant]


@pytest.mark.parametrize("variant", FOUR_STEMS)
@torch.no_grad()
def test_every_column_once_equals_the_whole_patch_every_frame(variant):
    net, features = made(variant), draw(2, 45, classic.N_BINS).abs()
    whole = net(features)
    for t in range(classic.PAST, 45):
        window = features[:, t - classic.PAST : t + 1]
        torch.testing.assert_close(classic.patch(net, window, 0), whole[:, t], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_mask_depends_on_its_34_frames_and_on_no_other():
    net, features = made("branch"), draw(1, 50, classic.N_BINS).abs()
    t = 40
    before = net(features)[:, t]
    for other, matters in ((t - classic.PAST - 1, False), (t - classic.PAST, True), (t + 1, False)):
        changed = features.clone()
        changed[:, other] += 1.0
        assert bool((net(changed)[:, t] != before).any()) == matters, other


@pytest.mark.parametrize("variant", FOUR_STEMS)
@torch.no_grad()
def test_training_sees_every_third_of_the_frames_of_a_stream(variant):
    net, features = made(variant), draw(2, 60, classic.N_BINS).abs()
    torch.testing.assert_close(net(features, every=3), net(features)[:, 2::3], atol=1e-5, rtol=0)


@torch.no_grad()
def test_nothing_but_the_zeros_around_it_sets_the_article_apart():
    """Without biases, silence around a sound is what the article's padding is.

    Its taps look one frame ahead at each of two convolutions before the pool, two pooled frames
    after: the patch of frames 8 to 32 of the twin's 34 lines up.
    """
    net, features = made("branch"), torch.zeros(1, classic.PAST + 1, classic.N_BINS)
    features[:, 16:22] = draw(1, 6, classic.N_BINS).abs()
    article = classic.patch(net, features[:, 8:33], 1)
    torch.testing.assert_close(article, classic.patch(net, features, 0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", PARAMETERS)
@torch.no_grad()
def test_a_settled_net_says_what_the_trained_one_said(variant):
    torch.manual_seed(0)
    net, features = classic.ClassicNet(variant, normed=True), draw(2, 36, classic.N_BINS)
    for norm in [*net.fronts[0].norms, *net.backs[-1].norms]:
        norm.weight.uniform_(-1, 2)  # also where the sign turns
        norm.bias.normal_()
    for _ in range(3):
        net(features)  # moves the running means
    settled = classic.settle(net)
    assert sum(p.numel() for p in settled.parameters()) == PARAMETERS[variant]
    torch.testing.assert_close(settled(features), net.eval()(features), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_four_branches_trained_apart_merge_into_one_net():
    branches = [made("branch", seed) for seed in range(4)]
    features = draw(1, 36, classic.N_BINS).abs()
    apart = torch.cat([branch(features) for branch in branches], 2)
    torch.testing.assert_close(classic.merge(branches)(features), apart)


@pytest.mark.parametrize("variant", PARAMETERS)
@torch.no_grad()
def test_multiplications_are_those_torch_counts(variant):
    from torch.utils.flop_counter import FlopCounterMode

    net, count = made(variant), classic.count_products(made(variant))
    for name, frames, padding in (("twin", classic.PAST + 1, 0), ("article", 25, 1)):
        with FlopCounterMode(display=False) as counter:
            classic.patch(net, draw(1, frames, classic.N_BINS), padding)
        again = net.variant.backs // net.variant.fronts  # `patch` repeats shared layers
        shared = sum(
            classic.N_BINS * n * layer.weight.numel() * (again - 1)
            for layer, n in zip(
                (net.fronts[0].first, net.fronts[0].second),
                (32, 30) if padding == 0 else (25, 25),
                strict=True,
            )
        )
        assert counter.get_total_flops() == 2 * (count[name] + shared)
    if variant == "branches":
        assert 14 < count["article"] / count["stream"] < 16


@torch.no_grad()
def test_features_do_not_depend_on_the_gain():
    spectra = torch.view_as_complex(draw(1, 40, classic.N_BINS, 2)) * 10
    loud, soft = classic.features_of(spectra), classic.features_of(spectra * 0.03)
    torch.testing.assert_close(loud, soft, atol=1e-4, rtol=0)
    silence = classic.features_of(spectra * 0)
    assert (silence == silence[0, 0, 0]).all()
    assert silence[0, 0, 0] < loud.min()


def test_sums_of_masks_are_one_even_where_every_stem_says_no():
    masks = classic.sum_to_one(torch.tensor([[-1e9], [-1e9], [-1e9], [-1e9]]))
    torch.testing.assert_close(masks, torch.full((4, 1), 0.25))


def test_binary_masks_known_on_paper():
    silence, third, opposed = [0] * 5, [3, 2, 2, 2, 0], [5, -4, 0, 0, 0]
    crowd = [1, 0, 0, 0, 2]
    tracks = torch.tensor([silence, third, opposed, crowd]).T[:, None].to(torch.complex64)
    competition = row_scores.binary_masks(tracks, "competition")[0].T.tolist()
    assert competition == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    ratio = row_scores.binary_masks(tracks, "ratio")[0].T.tolist()
    # 3 of 9 is less than half; 5 and 4 are both more than half of 5 - 4
    assert ratio == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_sdr_of_half_the_mixture_is_known_on_paper():
    tracks = torch.zeros(5, 6, 4, dtype=torch.complex64)
    tracks[0], tracks[2] = 2.0, 2.0j
    masks = torch.zeros(6, 4, 4)
    masks[:, 0] = 0.5
    # half the mixture is 1 + j: off by 1 - j, half the stem's energy
    stem = 10 * np.log10(2)
    assert row_scores.sdr(tracks, masks) == [pytest.approx(stem), None, pytest.approx(0), None]


@pytest.mark.parametrize("delay", [0, classic.MIDDLE])
def test_rows_are_judged_on_the_same_frames_whatever_their_delay(delay):
    frames = np.arange(100)
    content, spoken = frames[row_scores.judged(100)], frames[row_scores.judged(100, delay)]
    np.testing.assert_array_equal(spoken - delay, content)
    assert (content % classic.POOL == classic.POOL - 1).all()
    assert content[0] >= classic.PAST


class Noise:
    """Takes of noise in bands of bins: bass lowest, then other, voices, drums."""

    BANDS = ((60, 200), (200, 500), (0, 15), (15, 60), (0, 0))

    def batch(self, rng, batch, n):
        spectra = np.zeros((batch, 5, 2, n // 2 + 1), complex)
        per_bin = n / classic.N_FFT
        for s, band in enumerate(self.BANDS):
            low, high = (round(edge * per_bin) for edge in band)
            shape = (2, batch, 2, high - low)
            real, imaginary = rng.standard_normal(shape)
            spectra[:, s, :, low:high] = real + 1j * imaginary
        return np.fft.irfft(spectra, n).astype(np.float32) * 30


@pytest.mark.parametrize("name", rows.ROWS)
def test_every_row_learns(name, monkeypatch):
    monkeypatch.setattr(rows, "CLIP", 18)
    monkeypatch.setattr(rows, "BATCH", 1)
    row, variant = rows.ROWS[name], rows.ROWS[name].variant
    torch.manual_seed(0)
    net = classic.ClassicNet("branch" if row.apart else variant, normed=True)
    curve, _ = rows.fit(net, row, Noise(), (0,), 40, stem=1 if row.apart else None)
    first, last = curve[0][1], curve[-1][1]
    assert last < 0.8 * first, curve


def test_the_middle_row_alone_looks_ahead():
    ahead = {name for name, row in rows.ROWS.items() if row.delay}
    assert ahead == {"middle"}
    changed = {name: sum(
        getattr(row, field.name) != getattr(rows.CENTRE, field.name)
        for field in dataclasses.fields(row) if field.name != "text"
    ) for name, row in rows.ROWS.items()}  # fmt: skip
    assert changed.pop("joint") == 0
    assert set(changed.values()) == {1}  # a star: one thing at a time


@pytest.fixture(scope="module", params=FOUR_STEMS)
def written(request, tmp_path_factory):
    """(network, its file, largest difference between them) of a variant."""
    pytest.importorskip("onnx")
    step = pytest.importorskip("models.classic_step")
    path = tmp_path_factory.mktemp("classic") / "cnn_classic.onnx"
    net = made(request.param)
    training = dict.fromkeys(("data", "hours_of_audio", "steps", "seed", "date"), 0)
    return net, path, step.export(net, path, training)


def test_steps_of_the_file_equal_the_whole_sequence(written):
    assert written[2] < 1e-5


def test_the_file_multiplies_as_often_as_counted(written):
    import onnx

    from models.classic_step import count_graph_products

    net, path, _ = written
    assert count_graph_products(onnx.load(path)) == classic.count_products(net)["stream"]


def test_the_daemon_takes_the_file(written):
    from stemd.processors.masknet import MaskNet
    from stemd.spec import StreamSpec

    net = MaskNet(written[1], StreamSpec.of("classic", 44100), "cpu")
    masks = net.process(np.zeros((1, 2, classic.N_BINS), np.complex64))
    np.testing.assert_allclose(masks.sum(1), 1, atol=1e-5)
