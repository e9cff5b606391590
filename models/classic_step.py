"""ClassicNet as one ONNX step under the model contract, each column computed once.

A convolution of three taps in time needs its input of earlier frames. There are two ways to keep
it, and each layer takes the one with fewer numbers:

- the inputs themselves, when they are fewer than the outputs (1 to 32 and 16 to 64 channels);
- otherwise all three products of the newest input are made at once, and those meant for later
  frames wait, already added up (32 to 16 and 64 to 16 channels, and the dense layer).

What waits is a line of frames that moves up by one at every step. Both channels of a feed share
the weights: they are one batch of 2 b inside. Branches are groups of the same convolution.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch

from models import classic
from models.classic import N_BINS, N_STEMS, POOL
from models.graph import Graph, noise_frames, session, stepped, write


class _Builder:
    """Nodes of one step; every state is declared where it is used."""

    def __init__(self, net):
        if net.variant.stems != N_STEMS or net.normed:
            raise ValueError(f"net: got {net.name}, expected a settled one of {N_STEMS} stems")
        self.g, self.net, self.shapes = Graph(), net, {}

    def line(self, name, newest, length, shape):
        """Delay: `newest` (n, *shape) goes in, the one of `length` frames ago comes out.

        Returns that and, should others of the line be wanted, the whole old line.
        """
        g = self.g
        self.shapes[name] = [2, length, *shape]
        old = g.add("Reshape", name, g.ints(-1, length, *shape))
        new = g.add("Reshape", newest, g.ints(-1, 1, *shape))
        if length > 1:
            rest = g.add("Slice", old, g.ints(1), g.ints(length), g.ints(1))
            new = g.add("Concat", rest, new, axis=1)
        g.add("Reshape", new, g.ints(-1, 2, length, *shape), name=f"next_{name}")
        return self.at(old, 0, shape), old

    def at(self, line, index, shape):
        """Frame `index` of a line, oldest first, without the axis of frames."""
        g = self.g
        frame = g.add("Slice", line, g.ints(index), g.ints(index + 1), g.ints(1))
        return g.add("Reshape", frame, g.ints(-1, *shape))

    def leaky(self, x):
        return self.g.add("LeakyRelu", x, alpha=classic.SLOPE)

    def convolve(self, x, weight, bias, groups=1):
        """(n, channels, 1, bins) with a kernel of three bins."""
        return self.g.add(
            "Conv", x, weight, bias, group=groups, kernel_shape=[1, 3], pads=[0, 1, 0, 1]
        )

    def keep_inputs(self, name, x, convs, groups, bins, gap):
        """Three taps, `gap` frames apart, of the kept inputs x (n, groups * channels, 1, bins).

        Returns (n, groups * outputs, 1, bins), rectified.
        """
        g = self.g
        weight, bias = stacked(convs)  # (out, channels, 3, 3)
        channels = weight.shape[1]
        shape = (groups, channels, bins)
        oldest, line = self.line(name, x, 2 * gap, shape)
        frames = [oldest, self.at(line, gap, shape), g.add("Reshape", x, g.ints(-1, *shape))]
        x = g.add("Concat", *frames, axis=2)  # (n, groups, 3 * channels, bins)
        x = g.add("Reshape", x, g.ints(-1, groups * 3 * channels, 1, bins))
        weight = weight.transpose(0, 2, 1, 3).reshape(len(weight), 3 * channels, 1, 3)
        return self.leaky(self.convolve(x, weight, bias, groups))

    def keep_products(self, name, x, convs, bins, gap):
        """Three taps of x (n, groups * channels, 1, bins); what later frames need waits.

        Returns (n, groups * outputs, 1, bins), not rectified.
        """
        g, groups = self.g, len(convs)
        weight, bias = stacked(convs)
        outputs = len(weight) // groups
        taps = weight.reshape(groups, outputs, -1, 3, 3).transpose(0, 3, 1, 2, 4)
        taps = taps.reshape(groups * 3 * outputs, -1, 1, 3)
        biases = np.zeros((groups, 3, outputs), np.float32)
        biases[:, 2] = bias.reshape(groups, outputs)  # once, with the newest frame
        x = self.convolve(x, taps, biases.ravel(), groups)
        x = g.add("Reshape", x, g.ints(-1, groups, 3, outputs, bins))
        old, middle, new = g.add("Split", x, g.ints(1, 1, 1), outputs=3, axis=2)
        shape = (groups, 1, outputs, bins)
        waited, _ = self.line(f"{name}_old", old, gap, shape)
        waited, _ = self.line(f"{name}_middle", g.add("Add", middle, waited), gap, shape)
        x = g.add("Add", new, waited)
        return g.add("Reshape", x, g.ints(-1, groups * outputs, 1, bins))

    def pool(self, name, x, channels, bins, gap):
        """Largest of three bins and of three frames, `gap` apart; rectified (n, channels, 1, f)."""
        g = self.g
        x = g.add("MaxPool", x, kernel_shape=[1, POOL], strides=[1, POOL])
        shape = (channels, 1, bins // POOL)
        oldest, line = self.line(name, x, 2 * gap, shape)
        return self.leaky(g.add("Max", oldest, self.at(line, gap, shape), x))

    def features(self):
        """`mix` to (n, 1, 1, f)."""
        g = self.g
        power = g.add("ReduceSum", g.add("Mul", "mix", "mix"), g.ints(3), keepdims=0)  # (b, 2, f)
        self.shapes["level"] = [2, 2]
        update = np.zeros((N_BINS, 2))
        update[:, 0] = (1 - classic.KEEP) / N_BINS
        now = g.add("Add", g.add("MatMul", power, update), np.array([0, 1 - classic.KEEP]))
        level = g.add("Mul", "level", np.array(classic.KEEP))
        level = g.add("Add", level, now, name="next_level")
        total, weight = g.add("Split", level, g.ints(1, 1), outputs=2, axis=2)
        level = g.add("Add", g.add("Div", total, weight), np.array(classic.TINY))
        x = g.add("Sqrt", g.add("Div", power, level))
        x = g.add("Add", g.add("Mul", x, classic.contrast().numpy()), np.array(1.0))
        x = g.add("Sub", g.add("Log", x), np.array(classic.CENTRE))
        x = g.add("Div", x, np.array(classic.SPREAD))
        return g.add("Reshape", x, g.ints(-1, 1, 1, N_BINS))

    def dense(self, x):
        """(n, backs * 16, 1, 57) to logits (n, 4, f)."""
        g, backs = self.g, self.net.backs
        n_backs, size, hidden = (
            len(backs),
            backs[0].hidden.in_features // 2,
            self.net.variant.hidden,
        )
        x = g.add("Reshape", x, g.ints(-1, n_backs, size))
        x = g.add("Transpose", x, perm=[1, 0, 2])  # a matrix for each branch
        weight = np.stack([array(back.hidden.weight) for back in backs])  # (backs, hidden, 2 size)
        old, new = weight[:, :, :size], weight[:, :, size:]
        both = np.concatenate([old, new], 1).transpose(0, 2, 1)  # (backs, size, 2 hidden)
        x = g.add("Transpose", g.add("MatMul", x, both), perm=[1, 0, 2])
        old, new = g.add("Split", x, g.ints(hidden, hidden), outputs=2, axis=2)
        waited, _ = self.line("dense", old, POOL * POOL, (n_backs, hidden))
        bias = np.stack([array(back.hidden.bias) for back in backs])
        x = self.leaky(g.add("Add", g.add("Add", new, waited), bias))
        x = g.add("Transpose", x, perm=[1, 0, 2])
        weight = np.stack([array(back.out.weight).T for back in backs])
        x = g.add("Transpose", g.add("MatMul", x, weight), perm=[1, 0, 2])
        x = g.add("Add", x, np.stack([array(back.out.bias) for back in backs]))
        return g.add("Reshape", x, g.ints(-1, N_STEMS, N_BINS))

    def masks(self, logits):
        """Sigmoids over their sum, (b, 4, 2, f)."""
        g = self.g
        bound = classic.LOGIT_BOUND
        x = g.add("Sigmoid", g.add("Clip", logits, np.array(-bound), np.array(bound)))
        x = g.add("Div", x, g.add("ReduceSum", x, g.ints(1), keepdims=1))
        x = g.add("Reshape", x, g.ints(-1, 2, N_STEMS, N_BINS))
        g.add("Transpose", x, perm=[0, 2, 1, 3], name="masks")


def array(tensor):
    return tensor.detach().numpy()


def stacked(convs):
    """Weights and biases of convolutions side by side: groups of one."""
    weight = np.concatenate([array(conv.weight) for conv in convs])
    return weight, np.concatenate([array(conv.bias) for conv in convs])


def build(net):
    """Settled ClassicNet of four stems -> onnx.ModelProto of one step, shapes of its states."""
    step = _Builder(net)
    n_fronts, n_backs = len(net.fronts), len(net.backs)
    x = step.features()
    # All branches look at the same frames: one convolution, no groups.
    x = step.keep_inputs("frames", x, [front.first for front in net.fronts], 1, N_BINS, 1)
    x = step.keep_products("early", x, [front.second for front in net.fronts], N_BINS, 1)
    x = step.pool("early_pool", x, 16 * n_fronts, N_BINS, 1)
    third = [back.third for back in net.backs]
    x = step.keep_inputs("pooled", x, third, n_fronts, N_BINS // POOL, POOL)
    x = step.keep_products("late", x, [back.fourth for back in net.backs], N_BINS // POOL, POOL)
    x = step.pool("late_pool", x, 16 * n_backs, N_BINS // POOL, POOL)
    step.masks(step.dense(x))

    return step.g.model(N_BINS, step.shapes), step.shapes


def check(path, net, shapes):
    """Largest difference between the file's steps and the network's whole sequence, two feeds."""
    frames = noise_frames(60, 2, N_BINS)
    with torch.no_grad():
        spectra = torch.view_as_complex(torch.from_numpy(frames)).permute(
            1, 2, 0, 3
        )  # (b, c, t, f)
        masks = classic.sum_to_one(net(classic.features_of(spectra.flatten(0, 1))))
    whole = masks.unflatten(0, (2, 2)).permute(2, 0, 3, 1, 4).numpy()  # (t, b, s, c, f)
    return float(np.abs(stepped(path, shapes, frames) - whole).max())


def export(net, path, training):
    """ClassicNet to .onnx and .json; returns what `check` found."""
    model, shapes = build(net)
    n_parameters = sum(p.numel() for p in net.parameters())
    write(
        model,
        shapes,
        path,
        classic.WINDOW,
        classic.N_FFT,
        classic.HOP_LENGTH,
        n_parameters,
        training,
    )
    worst = check(path, net, shapes)
    if not worst < 1e-4:
        raise SystemExit(f"{path}: got masks {worst:.1e} off the network, expected less than 1e-4")
    return worst


def time_step(net, n_frames=30):
    """Median processor time of one step of a stereo feed, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.onnx"
        model, shapes = build(net)
        onnx.save(model, path)
        run = session(path)
    feed = {"mix": noise_frames(1, 1, N_BINS)[0]}
    feed |= {name: np.zeros((1, *shape), np.float32) for name, shape in shapes.items()}
    times = []
    for _ in range(n_frames):
        begun = time.process_time()
        run.run(None, feed)
        times.append(time.process_time() - begun)
    return float(np.median(times))


def count_graph_products(model):
    """Multiplications per frame and channel in convolutions and matrix products of a file."""
    inferred = onnx.shape_inference.infer_shapes(model)
    weights = {x.name: list(x.dims) for x in model.graph.initializer}
    shapes = {
        x.name: [d.dim_value for d in x.type.tensor_type.shape.dim]
        for x in inferred.graph.value_info
    }
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            bins = shapes[node.output[0]][3]
            total += int(np.prod(weights[node.input[1]])) * bins
        elif node.op_type == "MatMul" and len(weights[node.input[1]]) == 3:
            total += int(np.prod(weights[node.input[1]]))
    return total
