"""A small builder of ONNX graphs, and what every exported step must pass.

Graphs are built node by node and not traced: at this size a step costs as much in nodes (1-2 us
each) as in arithmetic, so every node is wanted.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from stemd.processors.modelcard import (
    CONTRACT,
    SELFTEST_BINS,
    SELFTEST_FRAMES,
    digest_of,
    selftest_input,
)
from stemd.spec import STEMS

DATA = (
    "Mixes rendered from the openly licensed recordings named in NOTICE.md: sections of real "
    "songs, loops, phrases, speech, one-shots and synthesisers played by a sequencer, mixed, staged"
)


class Graph:
    """Nodes and constants in the order they are asked for."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value, name=None):
        """Name of a new constant; floats become float32."""
        array = np.ascontiguousarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values):
        """A constant shape or list of axes."""
        return self.constant(np.array(values, np.int64))

    def add(self, kind, *inputs, outputs=1, name=None, **attributes):
        """Append a node; arrays among its inputs become constants. Returns its output name(s)."""
        inputs = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        names = [name] if name else [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, f, states):
        """The step as a checked ModelProto.

        f : bins of the spectrum
        states : {name: shape without the batch axis}
        """
        value = helper.make_tensor_value_info
        inputs = [value("mix", TensorProto.FLOAT, ["b", 2, f, 2])]
        outputs = [value("masks", TensorProto.FLOAT, ["b", len(STEMS), 2, f])]
        for name, shape in states.items():
            inputs.append(value(name, TensorProto.FLOAT, ["b", *shape]))
            outputs.append(value("next_" + name, TensorProto.FLOAT, ["b", *shape]))
        graph = helper.make_graph(self.nodes, "stemd_step", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model


def session(path):
    """One thread, no spinning, as the daemon runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def selftest(path, states, f):
    """What the contract's self-test signal ends in: the last masks, every 64th bin."""
    frames = np.stack([selftest_input((1, 2, f, 2), t) for t in range(SELFTEST_FRAMES)])
    masks = stepped(path, states, frames)[-1]
    return [round(float(x), 6) for x in masks[0, :, :, ::SELFTEST_BINS].ravel()]


def noise_frames(n_frames, feeds, f, seed=0):
    """Spectra of noise that leaps in level by 80 dB, (t, b, 2, f, 2) float32."""
    rng = np.random.default_rng(seed)
    loud = 10 ** rng.uniform(-2, 2, (n_frames, 1, 1, 1, 1))
    shape = (n_frames, feeds, 2, f, 2)
    tilt = 1 + np.arange(f)[:, None] / 20
    return (rng.standard_normal(shape) * loud / tilt).astype(np.float32)


def stepped(path, states, frames):
    """Masks of (t, b, 2, f, 2) frames, stepped through the file: (t, b, s, c, f)."""
    run = session(path)
    at = {name: np.zeros((frames.shape[1], *s), np.float32) for name, s in states.items()}
    out = []
    for frame in frames:
        masks, *following = run.run(None, {"mix": frame, **at})
        at = dict(zip(states, following, strict=True))
        out.append(masks)
    return np.stack(out)


def write(model, states, path, window, n_fft, hop_length, n_parameters, training):
    """The .onnx and its .json under the contract; scores and speed are added by who measures them.

    training : dict
        With data, hours_of_audio, steps, seed, date.
    """
    path = Path(path)
    onnx.save(model, path)
    description = {
        "contract": CONTRACT,
        "name": path.stem,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "window": window,
        "channels": 2,
        "stems": list(STEMS),
        "masks": "real",
        "states": [{"name": name, "shape": list(shape)} for name, shape in states.items()],
        "lookahead_frames": 0,
        "samplerates": [44100, 48000],
        "sha256": digest_of(path),
        "parameters": n_parameters,
        "license": "MIT",
        "training": training,
        "scores": {},
        "selftest": {
            "frames": SELFTEST_FRAMES,
            "stride": SELFTEST_BINS,
            "masks": selftest(path, states, n_fft // 2 + 1),
        },
    }
    path.with_suffix(".json").write_text(json.dumps(description, indent=1) + "\n")
