"""Write a trained band net as one ONNX step under the model contract.

    python -m models.export --run ../runs/live --name band_live
    python -m models.export --run ../runs/a ../runs/b --name band_quality  # the mean of their masks

What the builder does to the network on the way:

- squares and sums of (re, im) pairs become one product with a filterbank that has each row twice;
- bins below 1.5 kHz are their own bands, so the big matrices start above them;
- the level, its weight and their update are one Gemm over the band powers;
- offsets of the norms go through the linear layers and become constants for each token;
- a decay at another hop length is its square root, once or twice;
- softmax over stems is exp, sum, divide: the Softmax kernel would transpose twice.

The file is checked against the torch network, frame by frame, before its description is written.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from models.graph import DATA, Graph, noise_frames, stepped, write
from models.nets import FLOOR, N_TOKENS, REFERENCE_HOP, TINY, Together, load, parameters
from models.spectra import N_BANDS, N_LOW, PROFILES


def build(net):
    """BandNet or Together -> (onnx.ModelProto of one step, {state: shape})."""
    g = Graph()
    nets = list(getattr(net, "nets", [net]))
    logs = normalised_logs(g, nets[0])
    x, first = None, 0
    for one in nets:
        masks = band_masks(g, one, logs, first)
        x = masks if x is None else g.add("Add", x, masks)
        first += len(one.blocks)
    if len(nets) > 1:
        x = g.add("Mul", x, np.array(1 / len(nets)))

    f, bins = net.n_fft // 2 + 1, nets[0].weight_bins.double().numpy()
    assert np.array_equal(bins[:N_LOW, :N_LOW], np.eye(N_LOW))
    assert not bins[: N_LOW - 1, N_LOW:].any()
    below, _ = g.add("Split", x, g.ints(N_LOW, N_BANDS - N_LOW), outputs=2, axis=3)
    above = g.add("Slice", x, g.ints(N_LOW - 1), g.ints(N_BANDS), g.ints(3))
    above = g.add("MatMul", above, bins[N_LOW - 1 :, N_LOW:])
    g.add("Concat", below, above, axis=3, name="masks")

    states = {name: tuple(state.shape[1:]) for name, state in net.zero_state(1).items()}
    assert states["near0"] == (N_TOKENS, nets[0].channels)
    return g.model(f, states), states


def band_masks(g, net, logs, first):
    """From logs (b, 4 k) to masks of bands (b, 4, 2, k); blocks are counted from `first`."""
    w = {name: tensor.detach().double().numpy() for name, tensor in net.state_dict().items()}
    d = net.channels
    # The scale and offset of the logs go into the weights; where a token sees the zeros beyond the
    # edges it must not see the offset.
    kernel, windows = w["embed.weight"], edges()
    if net.placed:
        kernel = kernel.reshape(N_TOKENS, 4, 6, d) * (windows > 0).transpose(1, 0, 2)[..., None]
        offset = np.einsum("ipk,pikd->pd", windows, kernel) + w["place"]
        x = g.add("Gather", logs, seen(), axis=1)  # (b, p, 1, 24)
        x = g.add("MatMul", x, 0.25 * kernel.reshape(N_TOKENS, 24, d))
        x = g.add("Add", g.add("Reshape", x, g.ints(0, N_TOKENS, d)), offset)  # (b, p, d)
    else:
        offset = np.einsum("ipk,dik->pd", windows, kernel) + w["embed.bias"] + w["place"]
        x = g.add("Reshape", logs, g.ints(0, 4, N_BANDS))
        x = g.add("Conv", x, 0.25 * kernel, kernel_shape=[6], strides=[2], pads=[2, 2])
        x = g.add("Add", g.add("Transpose", x, perm=[0, 2, 1]), offset)  # (b, p, d)
    halvings = math.log2(REFERENCE_HOP / net.hop_length)
    assert halvings in (0, 1, 2), net.hop_length
    for i in range(len(net.blocks)):
        part = {k.split(".", 2)[2]: v for k, v in w.items() if k.startswith(f"blocks.{i}.")}
        x = block(g, x, part, first + i, net.blocks[i], int(halvings))

    u = norm(g, x, w["norm.gain"])
    x = through(g, u, w, "head_in", w["norm.offset"])
    x = g.add("Relu", x)
    if net.placed:
        x = g.add("Reshape", x, g.ints(0, N_TOKENS, 1, 2 * d))
        x = g.add("MatMul", x, w["head_out.weight"])
        x = g.add("Add", x, w["head_out.bias"][:, None])
    else:
        x = g.add("MatMul", x, w["head_out.weight"].T)
        x = g.add("Add", x, w["head_out.bias"])  # (b, p, 2 bands * s * c)
    x = g.add("Transpose", g.add("Reshape", x, g.ints(0, N_BANDS, 8)), perm=[0, 2, 1])
    x = g.add("Reshape", x, g.ints(0, 4, 2, N_BANDS))
    # Bounded, so that exp is finite whatever comes in; trained logits stay far inside.
    x = g.add("Exp", g.add("Clip", x, np.array(-30.0), np.array(30.0)))
    return g.add("Div", x, g.add("ReduceSum", x, g.ints(1), keepdims=1))


def edges():
    """What each token sees of the offset of all bands, (4, p, 6): zeros beyond the edges."""
    inside = np.pad(np.full((4, N_BANDS), 1.5), ((0, 0), (2, 2)))
    return np.lib.stride_tricks.sliding_window_view(inside, 6, axis=1)[:, ::2]


def seen():
    """Which of (4 k) numbers each token sees, (p, 1, 24); beyond the edges any."""
    bands = np.clip(2 * np.arange(N_TOKENS)[:, None] + np.arange(6) - 2, 0, N_BANDS - 1)
    views = N_BANDS * np.arange(4)[:, None]
    return (views + bands[:, None]).reshape(N_TOKENS, 1, 24)


def normalised_logs(g, net):
    """From `mix` to logs (b, 4 k); makes next_level."""
    f = net.n_fft // 2 + 1
    bands = net.weight_bands.double().numpy()  # (k, f)
    views = np.array([[1, 0], [0, 1], [0.5, 0.5], [0.5, -0.5]])
    x = g.add("Reshape", "mix", g.ints(0, 2, 2 * f))
    x = g.add("MatMul", views, x)  # (b, 4, 2f)
    x = g.add("Mul", x, x)
    pairs = np.repeat(bands.T, 2, axis=0)  # (2f, k): re^2 and im^2 weigh the same
    assert not bands[:N_LOW, N_LOW:].any()
    assert not bands[N_LOW:, :N_LOW].any()
    below, above = g.add("Split", x, g.ints(2 * N_LOW, 2 * (f - N_LOW)), outputs=2, axis=2)
    below = g.add("MatMul", below, pairs[: 2 * N_LOW, :N_LOW])
    above = g.add("MatMul", above, pairs[2 * N_LOW :, N_LOW:])
    power = g.add("Reshape", g.add("Concat", below, above, axis=2), g.ints(0, 4 * N_BANDS))
    # Level: leaky mean of the power, and of one.
    update = np.zeros((4 * N_BANDS, 2))
    update[:, 0] = (1 - net.keep) / (4 * N_BANDS)
    now = g.add("Gemm", power, update, np.array([0, 1 - net.keep]))
    level = g.add("Add", g.add("Mul", "level", np.array(net.keep)), now, name="next_level")
    total, weight = g.add("Split", level, g.ints(1, 1), outputs=2, axis=1)
    mean = g.add("Add", g.add("Div", total, weight), np.array(TINY))
    return g.add("Log", g.add("Add", g.add("Div", power, mean), np.array(FLOOR)))


def norm(g, x, gain):
    """PlacedNorm without its offset, which `through` takes along."""
    ones = np.ones(gain.shape[1])
    return g.add("Mul", g.add("LayerNormalization", x, ones, axis=-1, epsilon=1e-5), gain)


def through(g, u, w, name, offset):
    """A linear layer over channels of u + offset."""
    weight = w[name + ".weight"].T
    constant = offset @ weight
    if name + ".bias" in w:
        constant = constant + w[name + ".bias"]
    return g.add("Add", g.add("MatMul", u, weight), constant)


def block(g, x, w, i, made, halvings):
    """One Block; x (b, p, d)."""
    d, p, r = made.channels, N_TOKENS, made.reduced
    u = norm(g, x, w["norm_time.gain"])
    u = through(g, u, w, "time_in", w["norm_time.offset"])
    y = remember(g, u, d, 2, f"near{i}", halvings)
    x = g.add("Add", x, g.add("MatMul", y, w["time_out.weight"].T))

    u = norm(g, x, w["norm_bands.gain"])
    offset = w["norm_bands.offset"]
    mixing = w["bands_in.weight"]
    y = g.add("MatMul", mixing, u)
    y = g.add("Relu", g.add("Add", y, mixing @ offset + w["bands_in.bias"][:, None]))
    y = g.add("MatMul", w["bands_out.weight"], y)
    z = g.add("Reshape", through(g, u, w, "reduce", offset), g.ints(0, p * r))
    z = g.add("Gemm", z, w["whole_in.weight"].T, w["whole_in.bias"])
    z = remember(g, z, made.whole, 1, f"whole{i}", halvings)
    z = g.add("Relu", g.add("Gemm", z, w["whole_out.weight"].T, w["whole_out.bias"]))
    z = g.add("MatMul", g.add("Reshape", z, g.ints(0, p, r)), w["expand.weight"].T)
    x = g.add("Add", x, g.add("Add", y, z))

    u = norm(g, x, w["norm_local.gain"])
    y = g.add("Relu", through(g, u, w, "local_in", w["norm_local.offset"]))
    return g.add("Add", x, g.add("MatMul", y, w["local_out.weight"].T))


def remember(g, u, n, axis, state, halvings):
    """Gated linear recurrence of one frame: new, forget, gate (…, 3 n) -> (…, n)."""
    new, forget, gate = g.add("Split", u, g.ints(n, n, n), outputs=3, axis=axis)
    # sigmoid(-forget) to the power of 1, 1/2 or 1/4. Not by the Sigmoid node: ONNX Runtime's ends
    # at 1e-8, whose fourth root is a hundredth where it should be nothing.
    keep = g.add("Add", g.add("Exp", forget), np.array(1.0))
    for _ in range(halvings):
        keep = g.add("Sqrt", keep)
    keep = g.add("Reciprocal", keep)
    kept = g.add("Mul", keep, g.add("Sub", state, new))
    memory = g.add("Add", new, kept, name=f"next_{state}")
    return g.add("Mul", memory, g.add("Mul", gate, g.add("Sigmoid", gate)))


def check(path, net, states):
    """Largest difference between file and torch network over 60 frames of two feeds.

    The torch network hears them in one go, the file frame by frame.
    """
    frames = noise_frames(60, 2, net.n_fft // 2 + 1)
    with torch.no_grad():
        whole, _ = net(torch.from_numpy(frames).transpose(0, 1))
    return float(np.abs(stepped(path, states, frames) - whole.transpose(0, 1).numpy()).max())


def history(facts):
    """Facts of a run and of those it started from, as the description tells them."""
    stages, at = [], facts
    kept = ("steps", "minutes", "hours_of_audio", "seed", "date", "machine")
    while at:
        if at["steps"]:
            hops = [stage["hop_length"] for stage in at["stages"]]
            stages.insert(0, {"hop_lengths": hops, **{name: at[name] for name in kept}})
        stages[:0] = at.get("before", [])  # of the released file it was revived from
        at = at.get("started_from")
    return {
        "data": DATA,
        "hours_of_audio": round(sum(stage["hours_of_audio"] for stage in stages), 1),
        "steps": sum(stage["steps"] for stage in stages),
        "seed": facts["seed"],
        "date": facts["date"],
        "mean_of": facts.get("mean_of", 1),
        "shares": facts.get("shares", []),
        "logits": facts.get("logits", 1.0),
        "runs": stages,
    }


def export(run, path, *others):
    """ema.pt of a run folder to .onnx and .json; returns (largest difference, number of nodes).

    others : more run folders, whose masks are averaged with those of the first
    """
    nets, facts = zip(*map(load, (run, *others)), strict=True)
    training = together([history(one) for one in facts])
    net = nets[0] if len(nets) == 1 else Together(nets)
    model, states = build(net)
    window = next(w for n, h, w in PROFILES.values() if (n, h) == (net.n_fft, net.hop_length))
    write(model, states, path, window, net.n_fft, net.hop_length, parameters(net), training)
    worst = check(path, net, states)
    if not worst < 1e-4:
        raise SystemExit(f"{path}: got masks {worst:.1e} off the network, expected less than 1e-4")
    return worst, len(model.graph.node)


def together(histories):
    """What is told of nets that are one model: every run once."""
    if len(histories) == 1:
        return histories[0]
    runs = []
    for one in histories:
        runs += [run for run in one["runs"] if run not in runs]
    return {
        **histories[0],
        "hours_of_audio": round(sum(run["hours_of_audio"] for run in runs), 1),
        "steps": sum(run["steps"] for run in runs),
        "nets": len(histories),
        "runs": runs,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--run",
        type=Path,
        nargs="+",
        required=True,
        help="one, or several whose masks are averaged",
    )
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    path = args.out / f"{args.name}.onnx"
    worst, nodes = export(args.run[0], path, *args.run[1:])
    size = path.stat().st_size / 1e6
    print(f"{path}: {size:.2f} MB, {nodes} nodes, {worst:.1e} from the torch network")


if __name__ == "__main__":
    main()
