"""Write a trained band net as one ONNX step under the model contract.

    python -m models.export --run ../runs/live --name band_live

What the builder does to the network on the way:

- squares and sums of (re, im) pairs become one product with a filterbank that has each row twice;
- bins below 1.5 kHz are their own bands, so the big matrices start above them;
- the level, its weight and their update are one Gemm over the band powers;
- offsets of the norms go through the linear layers and become constants for each token;
- a decay at another hop length is its square root, once or twice;
- nets whose masks are averaged go through the blocks they both have as one, one axis more, and so
  have fewer nodes than one after the other;
- softmax over stems is exp, sum, divide: the Softmax kernel would transpose twice.

The file is checked against the torch network, frame by frame, before its description is written.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from models.graph import DATA, Graph, noise_frames, stepped, write
from models.nets import FLOOR, N_TOKENS, REFERENCE_HOP, TINY, load, parameters
from models.spectra import N_BANDS, N_LOW, PROFILES


def build(net):
    """BandNet or Together -> (onnx.ModelProto of one step, {state: shape})."""
    g = Graph()
    nets = list(getattr(net, "nets", [net]))
    weights = [
        {name: tensor.detach().double().numpy() for name, tensor in one.state_dict().items()}
        for one in nets
    ]
    halvings = math.log2(REFERENCE_HOP / net.hop_length)
    assert halvings in (0, 1, 2), net.hop_length

    x = embedded(g, nets[0], weights, normalised_logs(g, nets[0]))
    alive, ended = len(nets), []  # nets that have more blocks; what came out of the others
    for i, made in enumerate(nets[0].blocks):
        n = sum(len(one.blocks) > i for one in nets)
        if n < alive:
            x, rest = g.add("Split", x, g.ints(n, alive - n), outputs=2, axis=1)
            if n == 1:
                x = g.add("Reshape", x, g.ints(0, N_TOKENS, made.channels))
            alive, ended = n, [rest, *ended]
        parts = [of_block(w, i) for w in weights[:n]]
        x = block(g, x, parts, i, made, int(halvings))
    if ended:
        if alive == 1:
            x = g.add("Reshape", x, g.ints(0, 1, N_TOKENS, nets[0].channels))
        x = g.add("Concat", x, *ended, axis=1)
    x = band_masks(g, nets[0], weights, x)

    f, bins = net.n_fft // 2 + 1, nets[0].weight_bins.double().numpy()
    assert np.array_equal(bins[:N_LOW, :N_LOW], np.eye(N_LOW))
    assert not bins[: N_LOW - 1, N_LOW:].any()
    below, _ = g.add("Split", x, g.ints(N_LOW, N_BANDS - N_LOW), outputs=2, axis=3)
    above = g.add("Slice", x, g.ints(N_LOW - 1), g.ints(N_BANDS), g.ints(3))
    above = g.add("MatMul", above, bins[N_LOW - 1 :, N_LOW:])
    g.add("Concat", below, above, axis=3, name="masks")

    states = {name: tuple(state.shape[1:]) for name, state in net.zero_state(1).items()}
    return g.model(f, states), states


def of_each(parts, make):
    """What `make` makes of each net's weights, one after the other; of one net as it is."""
    return make(parts[0]) if len(parts) == 1 else np.stack([make(w) for w in parts])


def of_block(w, i):
    """Weights of one block, without the first part of their names."""
    at = f"blocks.{i}."
    return {name.removeprefix(at): value for name, value in w.items() if name.startswith(at)}


def embedded(g, net, parts, logs):
    """Logs (b, 4 k) to tokens (b, p, d), or (b, n, p, d) for n nets."""
    # The scale and offset of the logs go into the weights; where a token sees the zeros beyond the
    # edges it must not see the offset.
    d, windows, lead = net.channels, edges(), leading(parts)
    if not net.placed:
        (w,) = parts
        kernel = w["embed.weight"]
        offset = np.einsum("ipk,dik->pd", windows, kernel) + w["embed.bias"] + w["place"]
        x = g.add("Reshape", logs, g.ints(0, 4, N_BANDS))
        x = g.add("Conv", x, 0.25 * kernel, kernel_shape=[6], strides=[2], pads=[2, 2])
        return g.add("Add", g.add("Transpose", x, perm=[0, 2, 1]), offset)

    def kernel(w):
        inside = (windows > 0).transpose(1, 0, 2)[..., None]
        return w["embed.weight"].reshape(N_TOKENS, 4, 6, d) * inside

    x = g.add("Gather", logs, seen(), axis=1)  # (b, p, 1, 24)
    if lead:
        x = g.add("Reshape", x, g.ints(0, 1, N_TOKENS, 1, 24))
    x = g.add("MatMul", x, of_each(parts, lambda w: 0.25 * kernel(w).reshape(N_TOKENS, 24, d)))
    offset = of_each(parts, lambda w: np.einsum("ipk,pikd->pd", windows, kernel(w)) + w["place"])
    return g.add("Add", g.add("Reshape", x, g.ints(0, *lead, N_TOKENS, d)), offset)


def leading(parts):
    """What shapes begin with, after the batch: () for one net, (n,) for several."""
    return (len(parts),) if len(parts) > 1 else ()


def band_masks(g, net, parts, x):
    """From the last tokens to masks of bands (b, 4, 2, k), averaged over nets."""
    d, lead = net.channels, leading(parts)
    u = norm(g, x, parts, "norm")
    x = g.add("Relu", through(g, u, parts, "head_in", "norm"))
    if net.placed:
        x = g.add("Reshape", x, g.ints(0, *lead, N_TOKENS, 1, 2 * d))
        x = g.add("MatMul", x, of_each(parts, lambda w: w["head_out.weight"]))
        x = g.add("Add", x, of_each(parts, lambda w: w["head_out.bias"][:, None]))
    else:
        (w,) = parts
        x = g.add("MatMul", x, w["head_out.weight"].T)
        x = g.add("Add", x, w["head_out.bias"])  # (b, p, 2 bands * s * c)
    x = g.add("Reshape", x, g.ints(0, *lead, N_BANDS, 8))
    x = g.add("Transpose", x, perm=[0, 1, 3, 2] if lead else [0, 2, 1])
    x = g.add("Reshape", x, g.ints(0, *lead, 4, 2, N_BANDS))
    # Bounded, so that exp is finite whatever comes in; trained logits stay far inside.
    x = g.add("Exp", g.add("Clip", x, np.array(-30.0), np.array(30.0)))
    x = g.add("Div", x, g.add("ReduceSum", x, g.ints(1 + len(lead)), keepdims=1))
    return g.add("ReduceMean", x, g.ints(1), keepdims=0) if lead else x


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


def norm(g, x, parts, name):
    """PlacedNorm without its offset, which `through` takes along."""
    gain = of_each(parts, lambda w: w[f"{name}.gain"])
    x = g.add("LayerNormalization", x, np.ones(gain.shape[-1]), axis=-1, epsilon=1e-5)
    return g.add("Mul", x, gain)


def through(g, u, parts, name, norm_name):
    """A linear layer over channels of u and the offset of the norm before it."""

    def constant(w):
        moved = w[f"{norm_name}.offset"] @ w[f"{name}.weight"].T
        return moved + w[f"{name}.bias"] if f"{name}.bias" in w else moved

    return g.add("Add", product(g, u, parts, name), of_each(parts, constant))


def product(g, x, parts, name):
    """The same without offset or bias."""
    return g.add("MatMul", x, of_each(parts, lambda w: w[f"{name}.weight"].T))


def affine(g, x, parts, name):
    """A linear layer of one vector a net, (b, m) or (b, n, 1, m)."""
    weight = of_each(parts, lambda w: w[f"{name}.weight"].T)
    if not leading(parts):
        return g.add("Gemm", x, weight, parts[0][f"{name}.bias"])
    return g.add(
        "Add", g.add("MatMul", x, weight), of_each(parts, lambda w: w[f"{name}.bias"][None])
    )


def block(g, x, parts, i, made, halvings):
    """One Block of one net, x (b, p, d), or of several at once, x (b, n, p, d)."""
    p, r, lead = N_TOKENS, made.reduced, leading(parts)
    u = through(g, norm(g, x, parts, "norm_time"), parts, "time_in", "norm_time")
    y = remember(g, u, made.channels, f"near{i}", halvings)
    x = g.add("Add", x, product(g, y, parts, "time_out"))

    def mixed(w):
        return w["bands_in.weight"] @ w["norm_bands.offset"] + w["bands_in.bias"][:, None]

    u = norm(g, x, parts, "norm_bands")
    y = g.add("MatMul", of_each(parts, lambda w: w["bands_in.weight"]), u)
    y = g.add("Relu", g.add("Add", y, of_each(parts, mixed)))
    y = g.add("MatMul", of_each(parts, lambda w: w["bands_out.weight"]), y)
    z = through(g, u, parts, "reduce", "norm_bands")
    z = g.add("Reshape", z, g.ints(0, *(*lead, 1) if lead else (), p * r))
    z = remember(g, affine(g, z, parts, "whole_in"), made.whole, f"whole{i}", halvings)
    z = g.add("Relu", affine(g, z, parts, "whole_out"))
    z = g.add("Reshape", z, g.ints(0, *lead, p, r))
    x = g.add("Add", x, g.add("Add", y, product(g, z, parts, "expand")))

    u = norm(g, x, parts, "norm_local")
    y = g.add("Relu", through(g, u, parts, "local_in", "norm_local"))
    return g.add("Add", x, product(g, y, parts, "local_out"))


def remember(g, u, n, state, halvings):
    """Gated linear recurrence of one frame: new, forget, gate (…, 3 n) -> (…, n)."""
    new, forget, gate = g.add("Split", u, g.ints(n, n, n), outputs=3, axis=-1)
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
    stages = runs_of(facts)
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


def runs_of(facts):
    """Each run that is behind these facts once, the oldest first."""
    before = list(facts.get("before", []))  # of the released file it was revived from
    for earlier in (facts.get("started_from"), *facts.get("together", [])):
        before += [run for run in runs_of(earlier) if run not in before] if earlier else []
    if not facts["steps"]:
        return before
    kept = ("steps", "minutes", "hours_of_audio", "seed", "date", "machine")
    hops = [stage["hop_length"] for stage in facts["stages"]]
    return [*before, {"hop_lengths": hops, **{name: facts[name] for name in kept}}]


def export(run, path):
    """ema.pt of a run folder to .onnx and .json; returns (largest difference, number of nodes)."""
    net, facts = load(run)
    model, states = build(net)
    window = next(w for n, h, w in PROFILES.values() if (n, h) == (net.n_fft, net.hop_length))
    training = history(facts) | {"nets": len(getattr(net, "nets", [net]))}
    write(model, states, path, window, net.n_fft, net.hop_length, parameters(net), training)
    worst = check(path, net, states)
    if not worst < 1e-4:
        raise SystemExit(f"{path}: got masks {worst:.1e} off the network, expected less than 1e-4")
    return worst, len(model.graph.node)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    path = args.out / f"{args.name}.onnx"
    worst, nodes = export(args.run, path)
    size = path.stat().st_size / 1e6
    print(f"{path}: {size:.2f} MB, {nodes} nodes, {worst:.1e} from the torch network")


if __name__ == "__main__":
    main()
