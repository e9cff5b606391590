"""Write a trained network as one ONNX step under the model contract.

    python models/export.py --run runs/live --name first_live

The graph is built node by node and not traced: at this size a step costs as much in nodes (1-2 us
each) as in arithmetic, so every node is wanted. What the builder does to the network on the way:

- squares and sums of (re, im) pairs become one product with a filterbank that has each row twice;
- bins below 1.5 kHz are their own bands, so the big matrices start above them (n_fft 2048);
- the level, its weight and their update are one Gemm over the band powers;
- softmax over stems is exp, sum, divide: the Softmax kernel would transpose twice.

The file is checked against the torch network, frame by frame, before its description is written.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from nets import FLOOR, N_BANDS, N_LOW, PROFILES, TINY, FirstNet
from onnx import TensorProto, helper, numpy_helper

STEMS = ("vocals", "drums", "bass", "other")
DATA = (
    "Mixes made on the fly from the openly licensed recordings named in NOTICE.md: sections of "
    "real songs, loops, phrases, speech, and one-shots played by a sequencer"
)


class Graph:
    """Nodes and constants in the order they are asked for."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value, name=None):
        array = np.ascontiguousarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def add(self, kind, *inputs, outputs=1, name=None, **attributes):
        """Append a node; arrays among its inputs become constants. Returns its output name(s)."""
        inputs = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        names = [name] if name else [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names


def stored(name, array):
    """How the file keeps a learned array: matrices (in, out), contexts (c, k) and not (k, c)."""
    if name.startswith("context."):
        array = array.reshape(N_BANDS, -1, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)
    return array.T if is_matrix(name, array) else array


def is_matrix(name, array):
    return array.ndim == 2 and name != "place"


def weights_of(model, net):
    """The other way: a state_dict for `net` out of a file."""
    found = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    weights = {}
    for name in net.state_dict():
        array = found[name].T if is_matrix(name, found[name]) else found[name]
        if name.startswith("context."):
            array = array.reshape(-1, N_BANDS, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)
        weights[name] = torch.from_numpy(array.copy())
    return weights


def build(net):
    """FirstNet -> onnx.ModelProto of one step."""
    g = Graph()
    learned = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    w = {name: g.constant(stored(name, array), name) for name, array in learned.items()}
    f, hidden, local = net.n_fft // 2 + 1, net.hidden, net.local_channels
    bands = net.weight_bands.double().numpy()  # (k, f)
    bins = net.weight_bins.double().numpy()  # (k, f)
    single = net.n_fft == 2048
    low = N_LOW if single else 0

    # Band powers of left, right, mid, side.
    views = np.array([[1, 0], [0, 1], [0.5, 0.5], [0.5, -0.5]])
    x = g.add("Reshape", "mix", g.ints(0, 2, 2 * f))
    x = g.add("MatMul", views, x)  # (b, 4, 2f)
    x = g.add("Mul", x, x)
    pairs = np.repeat(bands.T, 2, axis=0)  # (2f, k): re^2 and im^2 weigh the same
    if single:
        assert not bands[:low, low:].any()
        assert not bands[low:, :low].any()
        below, above = g.add("Split", x, g.ints(2 * low, 2 * (f - low)), outputs=2, axis=2)
        below = g.add("MatMul", below, pairs[: 2 * low, :low])
        above = g.add("MatMul", above, pairs[2 * low :, low:])
        power = g.add("Concat", below, above, axis=2)
    else:
        power = g.add("MatMul", x, pairs)
    power = g.add("Reshape", power, g.ints(0, 4 * N_BANDS))

    # Level: leaky mean of the power, and of one.
    update = np.zeros((4 * N_BANDS, 2))
    update[:, 0] = (1 - net.keep) / (4 * N_BANDS)
    now = g.add("Gemm", power, update, np.array([0, 1 - net.keep]))
    level = g.add("Mul", "level", np.array(net.keep))
    level = g.add("Add", level, now, name="next_level")
    total, weight = g.add("Split", level, g.ints(1, 1), outputs=2, axis=1)
    mean = g.add("Add", g.add("Div", total, weight), np.array(TINY))
    logs = g.add("Log", g.add("Add", g.add("Div", power, mean), np.array(FLOOR)))
    logs = g.add("Reshape", logs, g.ints(0, 4, N_BANDS))

    # A little memory in each band.
    x = g.add("Conv", logs, w["shape.weight"], kernel_shape=[5], pads=[2, 2])
    x = g.add("Add", x, w["place"])
    gate, new = g.add("Split", x, g.ints(local, local), outputs=2, axis=1)
    gate, new = g.add("Sigmoid", gate), g.add("Tanh", new)
    change = g.add("Mul", gate, g.add("Sub", new, "local"))
    memory = g.add("Add", "local", change, name="next_local")
    near = g.add("Concat", memory, new, axis=1)

    # The whole spectrum, and the last seconds of it.
    x = g.add(
        "Conv",
        near,
        w["reduce.weight"],
        w["reduce.bias"],
        kernel_shape=[5],
        strides=[4],
        pads=[2, 2],
    )
    x = g.add("Reshape", g.add("Relu", x), g.ints(0, learned["gather.weight"].shape[1]))
    x = g.add("Relu", g.add("Gemm", x, w["gather.weight"], w["gather.bias"]))
    for i in range(2):
        x = g.add("Add", x, gru(g, x, i, w, hidden))

    # Masks of bands, masks of bins.
    far = g.add("Gemm", x, w["context.weight"], w["context.bias"])
    far = g.add("Reshape", far, g.ints(0, net.context_channels, N_BANDS))
    x = g.add("Concat", near, far, axis=1)
    x = g.add(
        "Relu", g.add("Conv", x, w["mix.weight"], w["mix.bias"], kernel_shape=[3], pads=[1, 1])
    )
    x = g.add("Conv", x, w["head.weight"], w["head.bias"], kernel_shape=[1])
    x = g.add("Reshape", x, g.ints(0, 4, 2, N_BANDS))
    # Bounded, so that exp is finite whatever comes in; trained logits stay far inside.
    x = g.add("Exp", g.add("Clip", x, np.array(-30.0), np.array(30.0)))
    x = g.add("Div", x, g.add("ReduceSum", x, g.ints(1), keepdims=1))
    if single:
        assert np.array_equal(bins[:low, :low], np.eye(low))
        assert not bins[: low - 1, low:].any()
        below, _ = g.add("Split", x, g.ints(low, N_BANDS - low), outputs=2, axis=3)
        above = g.add("Slice", x, g.ints(low - 1), g.ints(N_BANDS), g.ints(3))
        above = g.add("MatMul", above, bins[low - 1 :, low:])
        g.add("Concat", below, above, axis=3, name="masks")
    else:
        g.add("MatMul", x, bins, name="masks")

    shapes = {name: list(state.shape[1:]) for name, state in net.zero_state(1).items()}
    value = helper.make_tensor_value_info
    inputs = [value("mix", TensorProto.FLOAT, ["b", 2, f, 2])]
    outputs = [value("masks", TensorProto.FLOAT, ["b", 4, 2, f])]
    for name, shape in shapes.items():
        inputs.append(value(name, TensorProto.FLOAT, ["b", *shape]))
        outputs.append(value("next_" + name, TensorProto.FLOAT, ["b", *shape]))
    graph = helper.make_graph(g.nodes, "stemd_step", inputs, outputs, g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model, shapes


def gru(g, x, i, w, hidden):
    """One torch.nn.GRU cell, gates in torch's order r, z, n; returns the new state's name."""
    state, at = f"h{i}", f"grus.{i}."
    from_x = g.add("Gemm", x, w[at + "weight_ih_l0"], w[at + "bias_ih_l0"])
    from_h = g.add("Gemm", state, w[at + "weight_hh_l0"], w[at + "bias_hh_l0"])
    sizes = g.ints(2 * hidden, hidden)
    x_rz, x_n = g.add("Split", from_x, sizes, outputs=2, axis=1)
    h_rz, h_n = g.add("Split", from_h, sizes, outputs=2, axis=1)
    rz = g.add("Sigmoid", g.add("Add", x_rz, h_rz))
    r, z = g.add("Split", rz, g.ints(hidden, hidden), outputs=2, axis=1)
    new = g.add("Tanh", g.add("Add", x_n, g.add("Mul", r, h_n)))
    keep = g.add("Mul", z, g.add("Sub", state, new))
    return g.add("Add", new, keep, name=f"next_{state}")


def session(path):
    """One thread, no spinning, as the daemon runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def selftest_frame(t, f):
    """Frame t of the contract's self-test signal, (1, 2, f, 2) float32."""
    c, k, i = np.arange(2)[:, None, None], np.arange(f)[None, :, None], np.arange(2)
    phase = 0.37 * (t + 1) * (c + 1) + 0.011 * k * k / (c + 1) + i * np.pi / 2
    return (20 / (1 + k / 32) * np.sin(phase)).astype(np.float32)[None]


def selftest(path, shapes, f):
    """The last masks of eight frames, every 64th bin."""
    run = session(path)
    states = {name: np.zeros((1, *shape), np.float32) for name, shape in shapes.items()}
    for t in range(8):
        masks, *following = run.run(None, {"mix": selftest_frame(t, f), **states})
        states = dict(zip(shapes, following, strict=True))
    return [round(float(x), 6) for x in masks[0, :, :, ::64].ravel()]


def check(path, net, shapes):
    """Largest difference between file and torch network over 40 frames of two feeds."""
    run, worst = session(path), 0.0
    f = net.n_fft // 2 + 1
    rng = np.random.default_rng(0)
    loud = 10 ** rng.uniform(-2, 2, (40, 1, 1, 1, 1))
    mix = (rng.standard_normal((40, 2, 2, f, 2)) * loud / (1 + np.arange(f)[:, None] / 20)).astype(
        np.float32
    )
    ours, theirs = {n: np.zeros((2, *s), np.float32) for n, s in shapes.items()}, net.zero_state(2)
    with torch.no_grad():
        for frame in mix:
            masks, *following = run.run(None, {"mix": frame, **ours})
            ours = dict(zip(shapes, following, strict=True))
            expected, theirs = net.step(torch.from_numpy(frame), theirs)
            worst = max(worst, float(np.abs(masks - expected.numpy()).max()))
    return worst


def history(facts):
    """Facts of a run and of those it started from, as the description tells them."""
    stages, at = [], facts
    while at:
        kept = (
            "profile",
            "steps",
            "minutes",
            "hours_of_audio",
            "hours_of_new_mixes",
            "seed",
            "date",
        )
        stages.insert(0, {name: at[name] for name in kept})
        at = at.get("started_from")
    return {
        "data": DATA,
        "hours_of_audio": round(sum(stage["hours_of_audio"] for stage in stages), 1),
        "hours_of_recordings": facts["hours_of_recordings"],
        "steps": sum(stage["steps"] for stage in stages),
        "seed": facts["seed"],
        "date": facts["date"],
        "stages": stages,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()

    saved = torch.load(args.run / "ema.pt", map_location="cpu")
    facts = saved["facts"]
    n_fft, hop_length, window = PROFILES[facts["profile"]]
    net = FirstNet(n_fft, hop_length).eval()
    net.load_state_dict(saved["net"])
    model, shapes = build(net)
    path = args.out / f"{args.name}.onnx"
    onnx.save(model, path)
    worst = check(path, net, shapes)
    assert worst < 1e-4, f"export.check: got a difference of {worst}, expected less than 1e-4"

    description = {
        "contract": 1,
        "name": args.name,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "window": window,
        "channels": 2,
        "stems": list(STEMS),
        "masks": "real",
        "states": [{"name": name, "shape": shape} for name, shape in shapes.items()],
        "lookahead_frames": 0,
        "samplerates": [44100, 48000],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": sum(p.numel() for p in net.parameters()),
        "license": "MIT",
        "training": history(facts),
        "scores": {},
        "selftest": {"frames": 8, "stride": 64, "masks": selftest(path, shapes, n_fft // 2 + 1)},
    }
    path.with_suffix(".json").write_text(json.dumps(description, indent=1) + "\n")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(model.graph.node)} nodes, ", end="")
    print(f"{worst:.1e} from the torch network")


if __name__ == "__main__":
    main()
