"""A few seconds of a song the models never heard, separated as the daemon would."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

sf = pytest.importorskip("soundfile")

MODELS = Path(__file__).parents[2] / "models"
CLIP = Path(__file__).parents[1] / "data"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))
STEMS = ("vocals", "drums", "bass", "other")


def windows(n_fft, hop):
    """Analysis and synthesis window, from the formula of the contract, written out again."""
    n, rise = np.arange(n_fft), n_fft - hop
    u = np.sin(np.pi * n / (2 * rise))
    v = np.sin(np.pi * (n - n_fft + 2 * hop) / (2 * hop))
    analysis = np.where(n < rise, u, v)
    middle = np.divide(v**2, u, out=np.zeros(n_fft), where=u > 0)
    synthesis = np.where(n < n_fft - 2 * hop, 0.0, np.where(n < rise, middle, v))
    return analysis, synthesis


def separate(name, mix):
    """(2, n) to (s, 2, n), aligned."""
    facts = json.loads((MODELS / f"{name}.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(MODELS / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
    )
    n_fft, hop = facts["n_fft"], facts["hop_length"]
    analysis, synthesis = windows(n_fft, hop)
    states = {q["name"]: np.zeros((1, *q["shape"]), np.float32) for q in facts["states"]}
    frames = mix.shape[1] // hop
    padded = np.pad(mix, ((0, 0), (n_fft - hop, 0)))
    out = np.zeros((4, 2, padded.shape[1]))
    for t in range(frames):
        place = slice(t * hop, t * hop + n_fft)
        spectrum = np.fft.rfft(padded[:, place] * analysis)
        frame = np.stack([spectrum.real, spectrum.imag], -1)[None].astype(np.float32)
        masks, *following = session.run(None, {"mix": frame, **states})
        states = dict(zip(states, following, strict=True))
        out[:, :, place] += np.fft.irfft(masks[0] * spectrum, n_fft) * synthesis
    return out[:, :, n_fft - hop : n_fft - hop + (frames - 1) * hop]


def sdr(truth, guess):
    return 10 * np.log10((truth**2).sum() / ((truth - guess) ** 2).sum())


@pytest.fixture(scope="module")
def clip():
    """Mixture (2, n) and stems (s, 2, n). The mixture is the sum: Vorbis is not, quite."""
    stems = np.stack([sf.read(CLIP / f"heldout_{stem}.ogg")[0].T for stem in STEMS])
    return stems.sum(0), stems


@pytest.fixture(scope="module", params=NAMES)
def separated(request, clip):
    mix, stems = clip
    estimates = separate(request.param, mix)
    n = estimates.shape[2]
    return mix[:, :n], stems[:, :, :n], estimates


def test_stems_add_up_to_the_mixture(separated):
    mix, _, estimates = separated
    np.testing.assert_allclose(estimates.sum(0), mix, atol=1e-5)


def test_stems_are_closer_to_the_truth_than_the_mixture_is(separated):
    mix, stems, estimates = separated
    gains = [sdr(t, e) - sdr(t, mix) for t, e in zip(stems, estimates, strict=True)]
    assert min(gains) > 0, gains
    assert np.mean(gains) > 3, gains


def test_stems_beat_a_quarter_of_the_mixture(separated):
    mix, stems, estimates = separated
    gains = [sdr(t, e) - sdr(t, mix / 4) for t, e in zip(stems, estimates, strict=True)]
    assert np.mean(gains) > 1, gains
