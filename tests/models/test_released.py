"""What every released .onnx + .json pair promises, stepped without the daemon's own code."""

import hashlib
import json
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from stemd.processors.catalogue import DEFAULT_MODELS

MODELS = Path(__file__).parents[2] / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))
STEMS = ("vocals", "drums", "bass", "other")
PROFILES = {
    "tight": (2048, 128, "asymmetric"),
    "live": (2048, 256, "asymmetric"),
    "quality": (2048, 512, "asymmetric"),
    "classic": (1024, 512, "hann"),
}
FIELDS = {
    "contract", "name", "n_fft", "hop_length", "window", "channels", "stems", "masks", "states",
    "lookahead_frames", "samplerates", "sha256", "training", "scores", "license", "selftest",
}  # fmt: skip


class Stepper:
    """One released model, one thread, states fed back."""

    def __init__(self, name):
        self.facts = json.loads((MODELS / f"{name}.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(MODELS / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.f = self.facts["n_fft"] // 2 + 1

    def zeros(self, batch):
        return {q["name"]: np.zeros((batch, *q["shape"]), np.float32) for q in self.facts["states"]}

    def step(self, mix, states):
        """(b, 2, f, 2) and states to masks (b, s, 2, f) and states."""
        masks, *following = self.session.run(None, {"mix": mix, **states})
        return masks, dict(zip(states, following, strict=True))

    def run(self, frames):
        """(t, b, 2, f, 2) to (t, b, s, 2, f), states from zero."""
        states, result = self.zeros(frames.shape[1]), []
        for frame in frames:
            masks, states = self.step(frame, states)
            result.append(masks)
        return np.stack(result)


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return Stepper(request.param)


def noise(model, frames, batch, seed=0):
    rng = np.random.default_rng(seed)
    slope = 1 / (1 + np.arange(model.f)[:, None] / 20)
    loud = 10 ** rng.uniform(-1, 2, (frames, 1, 1, 1, 1))
    return (rng.standard_normal((frames, batch, 2, model.f, 2)) * slope * loud).astype(np.float32)


def test_the_default_of_each_profile_is_released_and_of_that_profile():
    assert set(DEFAULT_MODELS) == set(PROFILES)
    for profile, name in DEFAULT_MODELS.items():
        assert name in NAMES
        assert name.endswith(f"_{profile}")


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_takes_them_along(name):
    project = tomllib.loads((MODELS.parent / "pyproject.toml").read_text("utf-8"))
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    for suffix in ("onnx", "json", "md"):
        assert any(fnmatch(f"/models/{name}.{suffix}", pattern) for pattern in taken)


def test_description_is_complete_and_of_its_profile(model):
    facts = model.facts
    assert facts.keys() >= FIELDS
    assert facts["contract"] == 1
    assert tuple(facts["stems"]) == STEMS
    assert facts["channels"] == 2
    assert facts["masks"] == "real"
    assert facts["lookahead_frames"] == 0
    assert facts["samplerates"] == [44100, 48000]
    profile = facts["name"].rpartition("_")[2]
    assert (facts["n_fft"], facts["hop_length"], facts["window"]) == PROFILES[profile]


def test_weights_are_the_ones_described(model):
    path = MODELS / f"{model.facts['name']}.onnx"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == model.facts["sha256"]
    assert path.stat().st_size <= 10e6


def test_card_exists_and_names_the_licence(model):
    card = (MODELS / f"{model.facts['name']}.md").read_text()
    assert model.facts["license"] in card
    assert "NOTICE.md" in card


def test_inputs_and_outputs_follow_the_contract(model):
    states = [q["name"] for q in model.facts["states"]]
    inputs, outputs = model.session.get_inputs(), model.session.get_outputs()
    assert [x.name for x in inputs] == ["mix", *states]
    assert [x.name for x in outputs] == ["masks", *("next_" + name for name in states)]
    assert inputs[0].shape[1:] == [2, model.f, 2]
    assert outputs[0].shape[1:] == [4, 2, model.f]
    for i, state in enumerate(model.facts["states"], start=1):
        assert inputs[i].shape[1:] == outputs[i].shape[1:] == state["shape"]
    assert all(isinstance(x.shape[0], str) for x in [*inputs, *outputs])  # b is free


def test_self_test_vector_is_reproduced(model):
    c, k, i = np.arange(2)[:, None, None], np.arange(model.f)[None, :, None], np.arange(2)
    states = model.zeros(1)
    for t in range(model.facts["selftest"]["frames"]):
        phase = 0.37 * (t + 1) * (c + 1) + 0.011 * k * k / (c + 1) + i * np.pi / 2
        frame = (20 / (1 + k / 32) * np.sin(phase)).astype(np.float32)[None]
        masks, states = model.step(frame, states)
    expected = model.facts["selftest"]["masks"]
    np.testing.assert_allclose(masks[0, :, :, ::64].ravel(), expected, atol=2e-3)


def test_masks_are_gains_that_sum_to_one(model):
    masks = model.run(noise(model, 20, 1))
    assert masks.min() >= 0
    np.testing.assert_allclose(masks.sum(2), 1, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-6, 1e6, 1e12])
def test_masks_are_finite_at_any_level(model, level):
    masks = model.run(noise(model, 5, 1) * np.float32(level))
    assert np.isfinite(masks).all()
    np.testing.assert_allclose(masks.sum(2), 1, atol=1e-5)


def test_sound_after_silence_and_silence_after_sound_stay_finite(model):
    frames = noise(model, 30, 1)
    frames[:10] = 0
    frames[20:] = 0
    assert np.isfinite(model.run(frames)).all()


def test_no_future_frame_influences_a_mask(model):
    frames = noise(model, 24, 1)
    changed = frames.copy()
    changed[12:] = noise(model, 12, 1, seed=1)
    before, after = model.run(frames), model.run(changed)
    np.testing.assert_array_equal(before[:12], after[:12])
    assert np.abs(before[12:] - after[12:]).max() > 1e-3


def test_feeds_in_one_batch_do_not_hear_each_other(model):
    frames = noise(model, 12, 3)
    together = model.run(frames)
    for feed in range(3):
        alone = model.run(frames[:, feed : feed + 1])
        # Products of three rows add in another order than products of one.
        np.testing.assert_allclose(together[:, feed : feed + 1], alone, atol=1e-5)


def test_input_gain_does_not_change_the_masks(model):
    frames = noise(model, 40, 1) * np.float32(10)
    loud, soft = model.run(frames), model.run(frames * np.float32(10 ** (-30 / 20)))
    np.testing.assert_allclose(loud, soft, atol=1e-3)
