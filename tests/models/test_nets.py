"""The torch network and its making; skips itself without torch."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

import nets  # noqa: E402

MODELS = Path(nets.__file__).parent


@pytest.mark.parametrize("profile", nets.PROFILES)
def test_windows_reconstruct(profile):
    n_fft, hop, _ = nets.PROFILES[profile]
    product = nets.asymmetric_window(n_fft, hop) * nets.synthesis_window(n_fft, hop)
    overlapped = product[-2 * hop : -hop] + product[-hop:]
    np.testing.assert_allclose(overlapped, 1, atol=1e-12)


@pytest.mark.parametrize("n_fft", [1024, 2048])
def test_every_bin_gets_a_whole_mask(n_fft):
    np.testing.assert_allclose(nets.interpolation(n_fft).sum(0), 1, atol=1e-12)
    assert (nets.filterbank(n_fft).sum(1) > 0).all()


def test_steps_equal_the_whole_sequence():
    net = nets.FirstNet().eval()
    mix = torch.randn(2, 30, 2, 1025, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, _ = net(mix)
        state = net.zero_state(2)
        for t in range(30):
            masks, state = net.step(mix[:, t], state)
            torch.testing.assert_close(masks, whole[:, t], atol=1e-5, rtol=0)


def test_leak_has_the_gradient_of_the_loop_it_replaces():
    draw = torch.Generator().manual_seed(0)
    gate = torch.rand(2, 3, 5, 4, generator=draw, dtype=torch.double, requires_grad=True)
    new = torch.randn(2, 3, 5, 4, generator=draw, dtype=torch.double, requires_grad=True)
    start = torch.randn(2, 3, 4, generator=draw, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(nets.leak, (gate, new, start))


@pytest.mark.parametrize("path", sorted(MODELS.glob("first_*.onnx")), ids=lambda path: path.stem)
def test_released_file_steps_like_a_whole_sequence_in_torch(path):
    """The weights are read back from the file: this holds for the file, not for a checkpoint."""
    onnx = pytest.importorskip("onnx")
    export = pytest.importorskip("export")
    facts = json.loads(path.with_suffix(".json").read_text())
    net = nets.FirstNet(facts["n_fft"], facts["hop_length"]).eval()
    net.load_state_dict(export.weights_of(onnx.load(path), net))
    f = facts["n_fft"] // 2 + 1
    rng = np.random.default_rng(0)
    mix = (rng.standard_normal((60, 1, 2, f, 2)) * 5).astype(np.float32)
    with torch.no_grad():
        whole = net(torch.from_numpy(mix.transpose(1, 0, 2, 3, 4)))[0][0].numpy()
    session = export.session(path)
    states = {q["name"]: np.zeros((1, *q["shape"]), np.float32) for q in facts["states"]}
    for t, frame in enumerate(mix):
        masks, *following = session.run(None, {"mix": frame, **states})
        states = dict(zip(states, following, strict=True))
        np.testing.assert_allclose(masks[0], whole[t], atol=1e-4)
