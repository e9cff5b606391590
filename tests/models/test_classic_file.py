"""What the released CNN's file promises beyond every model's promises; needs no torch."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

PATH = Path(__file__).parents[2] / "models" / "cnn_classic.onnx"
PAST = 33  # frames before the newest

pytestmark = pytest.mark.skipif(not PATH.exists(), reason="not released yet")


def play(frames, states):
    """Masks after (t, 2, f, 2) from given states."""
    session = onnxruntime.InferenceSession(str(PATH), providers=["CPUExecutionProvider"])
    for frame in frames:
        masks, *following = session.run(None, {"mix": frame[None], **states})
        states = dict(zip(states, following, strict=True))
    return masks, states


def zeros():
    facts = json.loads(PATH.with_suffix(".json").read_text())
    return {q["name"]: np.zeros((1, *q["shape"]), np.float32) for q in facts["states"]}


def test_caches_forget_after_33_frames_and_not_before():
    """Two different pasts, the same level, the same last frames."""
    rng = np.random.default_rng(0)
    pasts = rng.standard_normal((2, 40, 2, 513, 2)).astype(np.float32)
    last = rng.standard_normal((PAST + 1, 2, 513, 2)).astype(np.float32)
    states = [play(past, zeros())[1] for past in pasts]
    states[1]["level"] = states[0]["level"]  # the only memory without an end
    for n_frames, same in ((PAST, False), (PAST + 1, True)):
        one, other = (play(last[:n_frames], state)[0] for state in states)
        assert (np.abs(one - other).max() < 1e-6) == same, n_frames


def test_channels_are_treated_alike_and_alone():
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((40, 2, 513, 2)).astype(np.float32)
    masks, _ = play(frames, zeros())
    swapped, _ = play(frames[:, ::-1].copy(), zeros())
    np.testing.assert_allclose(swapped[:, :, ::-1], masks, atol=1e-6)
    mono = frames.copy()
    mono[:, 1] = mono[:, 0]
    np.testing.assert_allclose(play(mono, zeros())[0][:, :, 0], masks[:, :, 0], atol=1e-6)
