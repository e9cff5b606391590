"""Each kernel beside its twin, and what all kernels share."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import stemd.processors.features
import stemd.processors.mixer  # noqa: F401  so that every kernel is there
from stemd.kernels import denormals
from stemd.kernels.fft import LAST_OF_TWO, forward, inverse
from stemd.kernels.flux import attack_start, band_levels, rising_flux
from stemd.kernels.jit import KERNELS
from stemd.kernels.level import measure_levels
from stemd.kernels.masking import (
    apply_complex,
    apply_real,
    find_usable,
    project_complex,
    project_real,
)
from stemd.kernels.overlap import close_sum, overlap_add, push_hop
from stemd.kernels.ramp import apply_gains

from .. import reference

B, S, C, F, K, M = 2, 4, 2, 33, 64, 8


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def cplx(rng, *shape):
    return (real(rng, *shape) + 1j * real(rng, *shape)).astype(np.complex64)


def test_every_kernel_has_one_signature_and_is_found():
    assert len(KERNELS) >= 20
    assert all(len(k.signatures) == 1 for k in KERNELS)


def test_a_wrong_layout_is_an_error_and_no_compile(rng):
    frames, spectra = real(rng, 2, 2 * K)[:, ::2], cplx(rng, 2, F)
    with pytest.raises(TypeError, match="No matching definition"):
        forward(frames, spectra, LAST_OF_TWO)
    assert len(forward.signatures) == 1


def test_kernels_work_where_no_cache_can_be_written(tmp_path):
    # a numba that finds no place for its cache raises when a cached function is made
    code = (
        "import numba.core.caching as c\n"
        "c.FunctionCache._impl_class._locator_classes = []\n"
        "from stemd.kernels.level import measure_levels\n"
        "import numpy as np\n"
        "out = np.zeros((1, 2, 2), 'f')\n"
        "measure_levels(np.ones((1, 2, 8), 'f'), np.ones((1, 1, 2, 8), 'f'), 0, 1, out)\n"
        "assert (out == 1).all() and not measure_levels.stats.cache_path\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.getcwd())


def test_transforms_equal_numpy(rng):
    frames = real(rng, 6, K)
    spectra = np.zeros((6, F), np.complex64)
    forward(frames, spectra, LAST_OF_TWO)
    # float32 with log2(64) stages: a few 1e-7 of the largest value
    np.testing.assert_allclose(spectra, np.fft.rfft(frames), atol=1e-5)
    back = np.zeros_like(frames)
    inverse(spectra, back, LAST_OF_TWO)
    np.testing.assert_allclose(back, frames, atol=1e-6)


def test_push_hop_moves_history_and_windows_it(rng):
    hop, history, window = real(rng, 3, M), real(rng, 3, K), real(rng, K)
    hop[0, 0] = 1e-20  # so quiet that products of it would be denormal: taken for 0
    wanted = np.concatenate([history[:, M:], hop], axis=1)
    wanted[0, K - M] = 0.0
    frames = np.zeros_like(history)
    push_hop(hop, history, window, frames)
    np.testing.assert_array_equal(history, wanted)
    np.testing.assert_array_equal(frames, wanted * window)


def test_overlap_add_finishes_one_hop_and_keeps_the_next(rng):
    frames, overlap, window = real(rng, B, 3, C, K), real(rng, B, 3, C, M), real(rng, 2 * M)
    out = np.full((B, S, C, M), 9.0, np.float32)
    wanted = overlap + frames[..., K - 2 * M : K - M] * window[:M]
    kept = frames[..., K - M :] * window[M:]
    overlap_add(frames, window, overlap, out)
    # the compiler may fuse multiply and add: one rounding less
    np.testing.assert_allclose(out[:, :3], wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(overlap, kept)
    assert (out[:, 3] == 9.0).all()


def test_close_sum_gives_the_last_stem_what_is_left(rng):
    history, stems = real(rng, B, C, K), real(rng, B, S, C, M)
    mix = np.zeros((B, C, M), np.float32)
    first = stems[:, :3].copy()
    close_sum(history, K - 2 * M, stems, mix)
    np.testing.assert_array_equal(mix, history[:, :, K - 2 * M : K - M])
    np.testing.assert_array_equal(stems[:, :3], first)
    np.testing.assert_allclose(stems.sum(axis=1), mix, atol=1e-6)


def test_real_masks_are_projected_as_the_twin_does(rng):
    masks = rng.random((B, S, C, F)).astype(np.float32)
    masks[0, :, :, 0] = 0.0  # nothing anywhere: all goes to the last stem
    held = np.zeros((B, 3, C, F), np.float32)
    project_real(masks, np.ones(B, np.bool_), held)
    for b in range(B):
        np.testing.assert_allclose(held[b], reference.project(masks[b])[:3], atol=2e-6)
    assert (held[0, :, :, 0] == 0.0).all()


def test_complex_masks_are_projected_as_the_twin_does(rng):
    masks = cplx(rng, B, S, C, F)
    held = np.zeros((B, 3, C, F), np.complex64)
    project_complex(masks.view(np.float32), np.ones(B, np.bool_), held)
    for b in range(B):
        wanted = reference.project(masks[b].astype(np.complex128))[:3]
        np.testing.assert_allclose(held[b], wanted, atol=5e-6)


def test_masks_that_sum_to_one_are_left_alone(rng):
    masks = rng.random((1, S, C, F)).astype(np.float32)
    masks /= masks.sum(axis=1, keepdims=True)
    held = np.zeros((1, 3, C, F), np.float32)
    project_real(masks, np.ones(1, np.bool_), held)
    np.testing.assert_allclose(held, masks[:, :3], atol=2e-7)


def test_a_feed_whose_masks_are_not_usable_keeps_what_it_holds(rng):
    masks = rng.random((3, S, C, F)).astype(np.float32)
    masks[0, 1, 1, 5] = np.nan
    masks[1, 3, 0, F - 1] = np.inf
    usable = np.zeros(3, np.bool_)
    find_usable(masks.reshape(3, -1), usable)
    assert usable.tolist() == [False, False, True]
    held = np.full((3, 3, C, F), 0.5, np.float32)
    project_real(masks, usable, held)
    assert (held[:2] == 0.5).all()
    assert (held[2] != 0.5).any()


def test_masks_are_applied_with_each_feeds_gain(rng):
    spectra, wet = cplx(rng, B, C, F), np.array([1.0, 0.25], np.float32)
    masked = np.zeros((B, 3, C, F), np.complex64)
    held = real(rng, B, 3, C, F)
    apply_real(held, spectra, wet, masked)
    gains = wet[:, None, None, None]
    np.testing.assert_allclose(masked, held * gains * spectra[:, None], rtol=1e-6)
    held = cplx(rng, B, 3, C, F)
    apply_complex(held, spectra, wet, masked)
    np.testing.assert_allclose(masked, held * gains * spectra[:, None], atol=2e-6)


def test_levels_equal_the_twin(rng):
    mix, stems = real(rng, B, C, 256), real(rng, B, S, C, 256)
    out = np.zeros((B, 5, 3), np.float32)
    measure_levels(mix, stems, 1, 2, out)
    for b in range(B):
        for i, audio in enumerate([mix[b], *stems[b]]):
            # a float32 sum of 512 squares
            np.testing.assert_allclose(out[b, i, 1:], reference.levels(audio), rtol=1e-5)
    assert (out[:, :, 0] == 0.0).all()


def test_band_levels_equal_the_twin(rng):
    powers = rng.random((B, 5, F)).astype(np.float32)
    edges = np.array([1, 2, 5, 12, F], np.int64)
    out = np.zeros((B, 5, 4), np.float32)
    band_levels(powers, edges, np.float32(0.3), out)
    wanted = 0.3 * np.sqrt(np.add.reduceat(powers[..., 1:], edges[:-1] - 1, axis=-1))
    np.testing.assert_allclose(out, wanted, rtol=1e-5)


def test_flux_equals_the_twin_and_remembers(rng):
    past = rng.random((3, B, 5, 6)).astype(np.float32)
    levels = rng.random((B, 5, 6)).astype(np.float32)
    leak = (0.1 * rng.random((6, 6))).astype(np.float32)
    before, flux = past.copy(), np.zeros((B, 5), np.float32)
    rising_flux(levels, past, 2, leak, np.float32(0.01), flux)
    for b in range(B):
        for s in range(5):
            wanted = reference.rising_flux(
                levels[b, s], before[2, b, s], before[0, b, s], leak, 0.01
            )
            assert flux[b, s] == pytest.approx(wanted, abs=1e-5)
    np.testing.assert_array_equal(past[2], levels)
    np.testing.assert_array_equal(past[:2], before[:2])


@pytest.mark.parametrize("source", range(5))
def test_attack_start_equals_the_twin(rng, source):
    n_fft, grain = 1024, 32
    window = np.sin(np.pi * np.arange(n_fft) / n_fft).astype(np.float32)
    frames = 0.01 * real(rng, C, n_fft) * window
    masked = 0.01 * real(rng, 3, C, n_fft) * window
    frames[:, 700] += 0.5
    if 1 <= source <= 3:
        masked[source - 1, :, 740] += 0.7
    energies = np.zeros(n_fft // grain, np.float32)
    got = attack_start(frames, masked, window, source, 512, grain, energies)
    audio = [frames, *masked, frames - masked.sum(axis=0)][source].astype(np.float64)
    assert got == reference.attack_start(audio, window, 512, grain)
    struck = 740 if 1 <= source <= 3 else 700
    assert got <= struck < got + grain


def test_gains_equal_the_twin(rng):
    stems, ramp = real(rng, 1, 2, C, 20), np.linspace(0.1, 0.9, 12).astype(np.float32)
    start, target = np.array([[1.0, 0.5]], np.float32), np.array([[0.0, 2.0]], np.float32)
    place, before = np.zeros((1, 2), np.int64), stems.copy()
    apply_gains(stems, start, target, place, ramp)
    for s in range(2):
        wanted = reference.ramped(before[0, s], start[0, s], target[0, s], ramp)
        np.testing.assert_allclose(stems[0, s], wanted, rtol=1e-5, atol=1e-7)
    assert (place == 12).all()


def test_denormals_are_flushed_in_the_thread_that_asks_and_given_back():
    seen = []

    def work():
        seen.append(denormals.flush_denormals())
        seen.append(denormals.denormals_are_flushed())
        denormals.flush_denormals(False)
        seen.append(denormals.denormals_are_flushed())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    known = denormals._SWAP is not None
    assert seen == [known, known, False]
    assert not denormals.denormals_are_flushed()


def test_an_unknown_processor_is_no_error(monkeypatch):
    monkeypatch.setattr(denormals, "_SWAP", None)
    assert denormals.flush_denormals() is False


@pytest.mark.parametrize("machine", [(False, False), (False, True), (True, False)])
def test_the_switch_is_made_only_for_known_processors(monkeypatch, machine):
    x86, arm = machine
    if (arm and not denormals._ARM) or (x86 and not denormals._X86):
        pytest.skip("assembly of another processor")
    monkeypatch.setattr(denormals, "_X86", x86)
    monkeypatch.setattr(denormals, "_ARM", arm)
    swap, bits = denormals._make_swap()
    assert (swap is not None, bits != 0) == (x86 or arm, x86 or arm)
