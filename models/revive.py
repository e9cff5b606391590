"""Weights of a released band model, as a run to go on from, and wider where asked.

    python -m models.revive band_live --out ../runs/live0
    python -m models.revive band_live --net 0 --channels 96 --out ../runs/wide0
    python -m models.revive pi_live --tokens 64 --whole 128 --out ../runs/pi0

Runs do not travel with the repository, released files do. `export` folds offsets into what follows
them; here they are unfolded again, not to the same numbers but to the same function. Of nets side
by side each can be had alone (`--net`).

A net grows without a change of what it computes: channels are doubled, and each weight into or out
of a double is half of what it was, plus a noise on one and minus it on the other, so that gradients
tell the two apart (Chen, Goodfellow & Shlens, Net2Net, ICLR 2016). New units through which bands
and the whole are mixed start unheard. `check` holds the result against the file it came from.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from models.export import edges
from models.graph import noise_frames, stepped
from models.nets import N_TOKENS, BandNet, apart, made, unlearned

NOISE = 0.5  # of what tells doubles apart, in deviations of the weights it is added to


def released(path):
    """A released .onnx of the band family -> (state dict, sizes, hop length): see `nets.made`."""
    facts = json.loads(Path(path).with_suffix(".json").read_text())
    shapes = {state["name"]: state["shape"] for state in facts["states"]}
    # A block that several nets have has a state for each.
    near = [shape for name, shape in shapes.items() if name.startswith("near")]
    having = [shape[0] if len(shape) == 3 else 1 for shape in near]
    n_nets = having[0]
    if (told := facts["training"].get("nets", 1)) != n_nets:
        raise ValueError(f"{path}: got {told} nets one after the other, expected them side by side")
    blocks = [sum(n > i for n in having) for i in range(n_nets)]

    arrays = [numpy_helper.to_array(c) for c in onnx.load(path).graph.initializer]
    # the weights of the embedding
    first = next(i for i, a in enumerate(arrays) if a.ndim >= 3 and a.dtype == np.float32)
    # Constants stand in the order in which `export.build` asked for them; shapes and scalars go,
    # and the ones that norms without a gain want.
    arrays = [a.astype(float) for a in arrays[first:] if a.dtype == np.float32 and a.size > 1]
    arrays = [a for a in arrays if a.ndim > 1 or not np.all(a == 1)]
    if n_nets == 1:
        weights, sizes = unfolded(iter(arrays), blocks[0])
    else:
        nets = [unfolded(of_net(arrays, i), n_blocks) for i, n_blocks in enumerate(blocks)]
        weights = {
            f"nets.{i}.{name}": w for i, (net, _) in enumerate(nets) for name, w in net.items()
        }
        sizes = nets[0][1] | {"blocks": blocks}
    weights = {name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()}
    return weights, sizes, facts["hop_length"]


def of_net(arrays, i):
    """Constants of one of several nets; what only the first has lacks the axis of nets."""
    for a in arrays:
        if a.ndim > 2 and len(a) > i:
            yield a[i]
        elif a.ndim <= 2 and i == 0:
            yield a


def unfolded(left, n_blocks):
    """Constants of one net, in the order of `export.build` -> (weights, sizes)."""
    w, kernel = {}, 4 * next(left)
    placed = kernel.shape[0] == N_TOKENS and kernel.shape[1] == 24
    d = kernel.shape[2] if placed else kernel.shape[0]

    w["embed.weight"] = kernel
    if placed:
        each = kernel.reshape(N_TOKENS, 4, 6, d)
        w["place"] = next(left) - np.einsum("ipk,pikd->pd", edges(), each)
    else:
        w["embed.bias"] = np.zeros(d)
        w["place"] = next(left) - np.einsum("ipk,dik->pd", edges(), kernel)

    def norm(name):
        w[f"{name}.gain"] = next(left)

    def linear(name, offset):
        """A layer whose constants hold the offset of the norm before it."""
        weight, constant = next(left), next(left)
        mean = constant.mean(0)
        w[offset] = (constant - mean) @ np.linalg.pinv(weight)
        w[f"{name}.weight"], w[f"{name}.bias"] = weight.T, mean

    def affine(name):
        w[f"{name}.weight"], w[f"{name}.bias"] = next(left).T, next(left).ravel()

    for i in range(n_blocks):
        at = f"blocks.{i}."
        norm(at + "norm_time")
        linear(at + "time_in", at + "norm_time.offset")
        w[at + "time_out.weight"] = next(left).T
        norm(at + "norm_bands")
        mixing, constant = next(left), next(left)
        w[at + "bands_out.weight"] = next(left)
        reduce, reduced = next(left), next(left)
        # offset = varied + even + unseen: what the mixing of places sees change over channels, what
        # it sees of all channels alike, and what it does not see at all but `reduce` does.
        inverse = np.linalg.pinv(mixing)
        seen = inverse @ mixing
        varied = inverse @ (constant - constant.mean(1, keepdims=True))
        rest, along = reduced - varied @ reduce, reduce.sum(0)
        across = np.eye(len(along)) - np.outer(along, along) / (along @ along)
        ones = seen.sum(1)
        bias = ones @ (seen @ rest) @ across / (ones @ ones)
        even = seen @ (rest - bias) @ along / (along @ along)
        unseen = (rest - bias - np.outer(even, along)) @ np.linalg.pinv(reduce)
        w[at + "norm_bands.offset"] = varied + even[:, None] + unseen - seen @ unseen
        w[at + "bands_in.weight"] = mixing
        w[at + "bands_in.bias"] = constant.mean(1) - mixing @ even
        w[at + "reduce.weight"], w[at + "reduce.bias"] = reduce.T, bias
        affine(at + "whole_in")
        affine(at + "whole_out")
        w[at + "expand.weight"] = next(left).T
        norm(at + "norm_local")
        linear(at + "local_in", at + "norm_local.offset")
        w[at + "local_out.weight"] = next(left).T
    norm("norm")
    linear("head_in", "norm.offset")
    weight, bias = next(left), next(left)
    w["head_out.weight"], w["head_out.bias"] = (weight, bias[:, 0]) if placed else (weight.T, bias)
    sizes = {
        "channels": d,
        "blocks": n_blocks,
        "tokens": w["blocks.0.bands_in.weight"].shape[0],
        "whole": w["blocks.0.whole_out.weight"].shape[1],
        "reduced": w["blocks.0.reduce.weight"].shape[0],
        "placed": placed,
    }
    assert w["place"].shape == (N_TOKENS, d)
    return w, sizes


def widened(weights, sizes, channels, tokens, whole, reduced, seed=0):
    """The same function in a wider net: weights and sizes of it."""
    if not isinstance(sizes["blocks"], int):
        raise ValueError(f"widened: got nets of {sizes['blocks']} blocks, expected one net")
    torch.manual_seed(seed)
    d, g, r = sizes["channels"], sizes["whole"], sizes["reduced"]
    least = sizes["tokens"], g, r
    if channels not in (d, 2 * d) or np.less((tokens, whole, reduced), least).any():
        raise ValueError(
            f"widened: got {channels} channels, {tokens}, {whole} and {reduced}, expected {d} or "
            f"{2 * d}, and no less than {least}"
        )
    sizes = sizes | {"channels": channels, "tokens": tokens, "whole": whole, "reduced": reduced}
    out = dict(weights)
    if channels == 2 * d:
        out = {name: _doubled(name, value, d) for name, value in weights.items()}
    fresh = BandNet(512, **sizes).state_dict()
    mixing = ("whole", "reduce", "expand", ".bands_in", ".bands_out")
    for name in [name for name in out if any(kind in name for kind in mixing)]:
        out[name] = _extended(name, out[name], fresh[name], (g, whole), (r, reduced))
    return out, sizes


def one_of(weights, sizes, i):
    """Weights and sizes of one of several nets side by side."""
    each = apart(weights)
    if not 0 <= i < len(each) or len(each) == 1:
        raise SystemExit(f"--net: got {i} of {len(each)}, expected one of several side by side")
    return each[i], sizes | {"blocks": sizes["blocks"][i]}


def with_places(weights, sizes):
    """The same function with a matrix for each place: weights and sizes of it."""
    if sizes.get("placed"):
        return weights, sizes
    out = dict(weights)
    kernel, bias = out["embed.weight"], out.pop("embed.bias")
    out["embed.weight"] = kernel.flatten(1).T.repeat(N_TOKENS, 1, 1)
    out["place"] = out["place"] + bias
    out["head_out.weight"] = out["head_out.weight"].T.repeat(N_TOKENS, 1, 1)
    out["head_out.bias"] = out["head_out.bias"].repeat(N_TOKENS, 1)
    return out, sizes | {"placed": True}


def _doubled(name, value, d):
    kind = name.removesuffix(".weight").rsplit(".", 1)[-1]
    if kind in ("gain", "offset", "place"):
        return value.repeat(1, 2)
    if name == "embed.weight" and len(value) == N_TOKENS:  # a matrix for each place
        return value.repeat(1, 1, 2)
    if name.startswith("embed"):
        return value.repeat(2, *[1] * (value.dim() - 1))
    if kind in ("time_in", "local_in", "head_in"):
        parts = value.chunk(3 if kind == "time_in" else 2)
        parts = [torch.cat([_split(part), _split(part)]) for part in parts]
        return torch.cat(parts)
    if kind in ("time_out", "local_out"):
        parts = value.chunk(2, 1) if kind == "local_out" else [value]
        value = torch.cat([_split(part) for part in parts], 1)
        return value.repeat(2, 1)
    if kind == "head_out" and value.dim() == 3:
        parts = value.transpose(1, 2).chunk(2, 2)
        return torch.cat([_split(part) for part in parts], 2).transpose(1, 2)
    if kind == "head_out":
        return torch.cat([_split(part) for part in value.chunk(2, 1)], 1)
    if kind == "reduce":
        return _split(value)
    if kind == "expand":
        return value.repeat(2, 1)
    if kind == "bias" and name.split(".")[-2] in ("time_in", "local_in", "head_in"):
        parts = value.chunk(3 if "time_in" in name else 2)
        return torch.cat([part.repeat(2) for part in parts])
    return value


def _split(weight):
    """(…, n) -> (…, 2 n): halves, told apart by a noise that cancels while the inputs are equal."""
    noise = NOISE * weight.std() * torch.randn_like(weight)
    return torch.cat([weight / 2 + noise, weight / 2 - noise], -1)


def _extended(name, value, fresh, whole, reduced):
    """What more units to mix through add: inputs as new, outputs silent."""
    (g, wide), (r, more) = whole, reduced
    kind = name.split(".")[-2]
    if kind in ("reduce", "bands_in"):
        out = fresh.clone()
        out[: len(value)] = value
    elif kind in ("expand", "bands_out"):
        out = torch.zeros_like(fresh)
        out[:, : value.shape[1]] = value
    elif kind == "whole_in":
        out = fresh.clone()
        for i in range(3):
            to, rows = out[i * wide : i * wide + g], value[i * g : (i + 1) * g]
            if value.dim() == 1:
                to.copy_(rows)
            else:
                to.zero_()
                to.view(g, N_TOKENS, more)[..., :r] = rows.view(g, N_TOKENS, r)
    else:  # whole_out
        out = fresh.clone() if value.dim() == 2 else torch.zeros_like(fresh)
        if value.dim() == 1:
            out.view(N_TOKENS, more)[:, :r] = value.view(N_TOKENS, r)
        else:
            out = out.view(N_TOKENS, more, wide)
            out[:, :r, :g], out[:, :r, g:] = value.view(N_TOKENS, r, g), 0
            out = out.view(-1, wide)
    return out


def masks_of(net):
    """What a net makes of 60 frames of noise; the frames and the masks."""
    frames = noise_frames(60, 1, net.n_fft // 2 + 1)
    with torch.no_grad():
        masks, _ = net(torch.from_numpy(frames).transpose(0, 1))
    return frames, masks.transpose(0, 1).numpy()


def check(path, net):
    """Largest difference of masks between a file and a net at its hop, over 60 frames."""
    frames, masks = masks_of(net)
    facts = json.loads(Path(path).with_suffix(".json").read_text())
    states = {state["name"]: tuple(state["shape"]) for state in facts["states"]}
    return float(np.abs(stepped(path, states, frames) - masks).max())


def loaded(hop_length, weights, sizes):
    """The net of these weights."""
    net = made(hop_length, **sizes).eval()
    net.load_state_dict(weights)
    return net


def held(worst, what):
    """Refuse masks that are not the same."""
    if not worst < 1e-4:
        raise SystemExit(f"{what}: got masks {worst:.1e} off, expected less than 1e-4")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", help="a released model of the band family")
    parser.add_argument("--net", type=int, help="one of several side by side, from 0: it alone")
    parser.add_argument("--channels", type=int)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--whole", type=int)
    parser.add_argument("--reduced", type=int)
    parser.add_argument("--placed", action="store_true", help="a matrix for each place")
    parser.add_argument("--out", type=Path, required=True, help="a run folder, for --start")
    args = parser.parse_args()
    path = Path(__file__).parent / f"{args.name}.onnx"
    weights, sizes, hop = released(path)
    held(check(path, loaded(hop, weights, sizes)), path)
    if args.net is not None:
        weights, sizes = one_of(weights, sizes, args.net)
    before = masks_of(loaded(hop, weights, sizes))[1]
    names = "channels", "tokens", "whole", "reduced"
    wanted = {name: getattr(args, name) or sizes[name] for name in names}
    if any(wanted[name] != sizes[name] for name in names):
        weights, sizes = widened(weights, sizes, **wanted)
    if args.placed:
        weights, sizes = with_places(weights, sizes)
    worst = float(np.abs(masks_of(loaded(hop, weights, sizes))[1] - before).max())
    held(worst, "grown")
    training = json.loads(path.with_suffix(".json").read_text())["training"]
    facts = unlearned(hop, sizes, training["seed"], before=training["runs"])
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save({"net": weights, "facts": facts}, args.out / "ema.pt")
    print(f"{args.out / 'ema.pt'}: {sizes}, masks {worst:.1e} off what it grew from")


if __name__ == "__main__":
    main()
