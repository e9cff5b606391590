"""What training rests on: band statistics, losses, the split; skips itself without torch."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("numba", "scipy", "soxr", "soundfile"):
    pytest.importorskip(needed)
sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

import data  # noqa: E402
import nets  # noqa: E402
import synth  # noqa: E402
import train  # noqa: E402


def spectra(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def test_band_products_equal_their_slow_twin():
    rng = np.random.default_rng(0)
    stems, mix = spectra(rng, 8, 3, 1025), spectra(rng, 2, 3, 1025)
    weight = nets.filterbank(2048).astype(np.float32)
    used = weight > 0
    first, last = used.argmax(1), used.shape[1] - used[:, ::-1].argmax(1)
    energy, cross = np.empty((2, 8, 3, nets.N_BANDS), np.float32)
    data.band_products(stems, mix, weight, first, last, energy, cross)
    np.testing.assert_allclose(energy, np.abs(stems) ** 2 @ weight.T, rtol=1e-4)
    product = (stems * np.tile(mix, (4, 1, 1)).conj()).real
    np.testing.assert_allclose(cross, product @ weight.T, rtol=1e-3, atol=1e-2)


def test_loss_sees_the_squared_error_of_masked_spectra():
    """Band statistics and masked spectra must agree on the SDR of a mask."""
    rng = np.random.default_rng(1)
    stems = spectra(rng, 4, 2, 5, 1025)
    mix = stems.sum(0)
    weight = nets.filterbank(2048)
    energy = np.abs(stems) ** 2 @ weight.T
    cross = (stems * mix.conj()).real @ weight.T
    order = (2, 3, 0, 1)  # (s, c, t, k) -> (t, k, s, c)
    e, c = (torch.tensor(x.transpose(order)[None], dtype=torch.float32) for x in (energy, cross))
    masks = torch.full_like(e, 0.25)
    error = (np.abs(stems - 0.25 * mix) ** 2).sum((1, 2, 3))
    expected = 10 * np.log10(error / (np.abs(stems) ** 2).sum((1, 2, 3)))
    got = train.losses(masks, e, c)["sdr"]
    assert float(got) == pytest.approx(expected.mean(), abs=0.05)  # TAU softens it a little


def test_loss_is_finite_for_silence_and_for_absent_stems():
    zero = torch.zeros(1, 4, nets.N_BANDS, 4, 2)
    masks = torch.full_like(zero, 0.25, requires_grad=True)
    one = zero.clone()
    one[..., 1, :] = 1.0
    for energy in (zero, one):
        loss = train.score(train.losses(masks, energy, energy))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(masks.grad).all()


@pytest.mark.parametrize("stem", ["bass", "other"])
def test_drawn_instruments_are_finite_and_repeatable(stem):
    for seed in range(20):
        one, two = (
            synth.note(rng, synth.draw_patch(rng, stem), 40, 9000)
            for rng in (np.random.default_rng(seed), np.random.default_rng(seed))
        )
        np.testing.assert_array_equal(one, two)
        assert np.isfinite(one).all()
        assert one.shape == (2, 9000)


def test_split_holds_out_whole_songs_and_every_stem():
    split = json.loads(data.SPLIT.read_text())
    assert split["test_songs"] == ["eif_potassium", "eif_sodium"]
    assert {folder.split("/")[0] for folder in split["validation_folders"]} == set(data.STEMS)
