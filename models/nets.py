"""The band family: 48 tokens of two bands each, linear recurrences in time, everything parallel.

One frame goes through it like this (b feeds, k = 96 bands, p = 48 tokens, d channels):

    |L|^2 |R|^2 |M|^2 |S|^2 in bands     (b, 4, k)    bins below 1.5 kHz stay single
    divided by a one-second mean, log    (b, 4, k)    so the input gain does not matter
    six bands to a token, + place        (b, p, d)    by one matrix for all places, or one each
    blocks x                             (b, p, d)
        time    h <- a h + (1 - a) n     per token and channel; a and n come from the frame alone
        bands   p -> tokens -> p         the same for all channels
        whole   p r -> g -> p r          the spectrum in one vector, with a memory of its own
        local   d -> 2 d -> d            the same for all tokens
    d -> 2 bands x 4 stems x 2 channels  (b, 4, 2, k) likewise
    softmax over stems                   masks sum to one: nothing is lost or invented
    bands -> bins                        (b, 4, 2, f)

Why linear recurrences: a and n do not depend on h, so all frames of a clip are one matrix product
and the recurrence is a scan of multiplications and additions. On two processor cores this net
trains an order of magnitude faster than one with GRUs of the same cost per step. And since a is a
decay per frame, a net trained at one hop length runs at another with a ** (hop / 512): profiles
share weights and differ by a short finishing run.

Sources: minimal gated recurrences, Feng et al., Were RNNs All We Needed?, 2024. Token and channel
mixing, Tolstikhin et al., MLP-Mixer, NeurIPS 2021. Bands: Luo & Yu, Music source separation with
band-split RNN, TASLP 2023.
"""

import datetime
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.spectra import N_BANDS, NOMINAL_SAMPLERATE, filterbank, interpolation

LEVEL_S = 1.0  # how long the level that normalises the input remembers
FLOOR = 1e-7  # of the normalised power: 70 dB under the mean of all bands
TINY = 1e-7  # power below which silence is silence: about -100 dBFS of noise
REFERENCE_HOP = 512  # the hop at which decays are written down
N_TOKENS = N_BANDS // 2
N_STEMS = 4


class MaskNet(nn.Module):
    """What nets of the family have in common: before `bands` and after it.

    `forward` takes whole sequences, `step` one frame. A net of the family has `sizes`, what
    `made` needs to make it again, `zero_state` and `bands`.
    """

    n_fft = 2048

    def __init__(self, hop_length):
        super().__init__()
        self.hop_length = hop_length
        for name, matrix in (("weight_bands", filterbank()), ("weight_bins", interpolation())):
            tensor = torch.tensor(matrix, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    @property
    def keep(self):
        """Of the level, from one frame to the next."""
        return math.exp(-self.hop_length / (LEVEL_S * NOMINAL_SAMPLERATE))

    def power(self, mix):
        """Spectra (…, 2, f, 2) to band powers of L, R, mid, side (…, 4, k)."""
        left, right = mix[..., 0, :, :], mix[..., 1, :, :]
        views = torch.stack([left, right, (left + right) / 2, (left - right) / 2], -3)
        return views.square().sum(-1) @ self.weight_bands.T

    def normalise(self, power, level):
        """Band powers (b, t, 4, k) to logs of the same shape, and the next level (b, 2).

        The level is a leaky mean of the total power and, beside it, of one: their quotient is free
        of the start from zero.
        """
        total = power.mean((2, 3)).T  # (t, b)
        now = torch.stack([total, torch.ones_like(total)], 2)
        levels = scan(torch.full_like(now, self.keep), (1 - self.keep) * now, level)
        mean = (levels[..., 0] / levels[..., 1]).T[..., None, None]
        return torch.log(power / (mean + TINY) + FLOOR), levels[-1]

    def forward(self, mix, state=None):
        """Spectra (b, t, c, f, 2) to masks (b, t, s, c, f) and the states after the last frame."""
        state = self.zero_state(mix.shape[0], mix.device) if state is None else state
        logs, level = self.normalise(self.power(mix), state["level"])
        masks, following = self.bands(logs, state)
        return masks.permute(0, 1, 3, 4, 2) @ self.weight_bins, {"level": level, **following}

    def step(self, mix, state):
        """One frame: (b, c, f, 2) to (b, s, c, f)."""
        masks, state = self.forward(mix[:, None], state)
        return masks[:, 0], state


class BandNet(MaskNet):
    """The network above.

    Parameters
    ----------
    hop_length : int
        Sets how far decays reach per frame; no learned shape.
    channels, blocks, tokens, whole, reduced : int
        Sizes d, number of blocks, and of what they mix through.
    placed : bool
        Whether each place has a matrix of its own where bands become a token and a token masks: the
        same multiplications, more weights.
    """

    def __init__(
        self, hop_length, channels=48, blocks=3, tokens=64, whole=128, reduced=4, placed=False
    ):
        super().__init__(hop_length)
        self.channels = channels
        self.sizes = {
            "channels": channels,
            "blocks": blocks,
            "tokens": tokens,
            "whole": whole,
            "reduced": reduced,
            "placed": placed,
        }

        self.placed = placed
        if placed:
            self.embed = PlacedLinear(4 * 6, channels, bias=False)
        else:
            self.embed = nn.Conv1d(4, channels, 6, stride=2, padding=2)
        self.place = nn.Parameter(0.02 * torch.randn(N_TOKENS, channels))
        self.blocks = nn.ModuleList(
            Block(channels, tokens, whole, reduced, hop_length / REFERENCE_HOP)
            for _ in range(blocks)
        )
        self.norm = PlacedNorm(channels)
        self.head_in = nn.Linear(channels, 2 * channels)
        self.head_out = (PlacedLinear if placed else nn.Linear)(2 * channels, 2 * N_STEMS * 2)
        with torch.no_grad():
            self.head_out.weight *= 0.1

    def at_hop(self, hop_length):
        """Run at another hop length from now on, with the same weights."""
        self.hop_length = hop_length
        for block in self.blocks:
            block.hops = hop_length / REFERENCE_HOP

    def inherit(self, weights):
        """Take over the weights of a trained net that may have more or fewer blocks, and be wider;
        of nets together those of the last, which is the smallest.

        Blocks too many are left behind; blocks too few start silent, so that a net that grew is at
        first as good as the one it grew from. Of units too many those stay that matter most.
        """
        weights = apart(weights)[-1]
        own = self.state_dict()
        known = {name: value for name, value in weights.items() if name in own}
        known |= narrowed(known, self.sizes)
        grown = {name.split(".")[1] for name in own.keys() - known.keys()}
        self.load_state_dict(own | known)
        with torch.no_grad():
            for i in grown:
                self.blocks[int(i)].silence()

    def zero_state(self, batch, device=None):
        """States at the start of a stream, in the order of the contract."""
        states = {"level": torch.zeros(batch, 2, device=device)}
        for i, block in enumerate(self.blocks):
            states[f"near{i}"] = torch.zeros(batch, N_TOKENS, self.channels, device=device)
            states[f"whole{i}"] = torch.zeros(batch, block.whole, device=device)
        return states

    def bands(self, logs, state, scored=slice(None)):
        """Logs (b, t, 4, k) to band masks (b, t, k, s, c), and the next states but the level.

        `scored` picks the frames whose masks are wanted.
        """
        b, t = logs.shape[:2]
        x = logs.transpose(0, 1).reshape(t * b, 4, N_BANDS)  # frames first: scans walk over them
        x = 0.25 * x + 1.5  # logs run from -16 to 5
        x = self.embed(sixes(x)) if self.placed else self.embed(x).transpose(1, 2)
        x = (x + self.place).view(t, b, N_TOKENS, self.channels)
        following = {}
        for i, block in enumerate(self.blocks):
            x, near, whole = block(x, state[f"near{i}"], state[f"whole{i}"])
            following[f"near{i}"], following[f"whole{i}"] = near, whole
        x = self.norm(x[scored])
        x = self.head_out(functional.relu(self.head_in(x)))  # (t', b, p, 2 * s * c)
        x = x.view(*x.shape[:2], N_BANDS, N_STEMS, 2).transpose(0, 1)
        return torch.softmax(x, 3), following

    def macs(self):
        """Multiplications of learned weights per frame."""
        d, p = self.channels, N_TOKENS
        return (
            p * 24 * d
            + sum(block.macs() for block in self.blocks)
            + p * (2 * d * d + 2 * d * 2 * N_STEMS * 2)
        )


class Together(MaskNet):
    """Several nets whose masks are averaged: what one is sure of and wrong about another is not.

    They are placed and of the same sizes but for the number of blocks, of which the first has most.
    The state of a block that several have is that of all of them: near0 (b, n, p, d) and whole0
    (b, n, 1, g), so that an exported step goes through such blocks once.
    """

    def __init__(self, nets):
        super().__init__(nets[0].hop_length)
        self.nets = nn.ModuleList(nets)
        if any(net.hop_length != self.hop_length for net in nets):
            raise ValueError(
                f"Together: got hop lengths {[net.hop_length for net in nets]}, expected one"
            )
        blocks = [net.sizes["blocks"] for net in nets]
        self.sizes = nets[0].sizes | {"blocks": blocks}
        alike = all(net.sizes | {"blocks": blocks} == self.sizes for net in nets)
        if not alike or not nets[0].placed or blocks != sorted(blocks, reverse=True):
            raise ValueError(
                f"Together: got {[net.sizes for net in nets]}, expected the same sizes, placed, "
                "but for blocks, of which the first has most"
            )

    def at_hop(self, hop_length):
        """As of `BandNet`."""
        self.hop_length = hop_length
        for net in self.nets:
            net.at_hop(hop_length)

    def inherit(self, weights):
        """Take over the weights of as many nets, each as in `BandNet.inherit`."""
        each = apart(weights)
        if len(each) != len(self.nets):
            given = "one net" if len(each) == 1 else f"{len(each)} nets"
            raise ValueError(
                f"Together: got the weights of {given}, expected those of {len(self.nets)}"
            )
        for net, own in zip(self.nets, each, strict=True):
            net.inherit(own)

    def zero_state(self, batch, device=None):
        """States at the start of a stream, in the order of the contract."""
        return self._joined([net.zero_state(batch, device) for net in self.nets])

    def bands(self, logs, state, scored=slice(None), one=BandNet.bands):
        """As of `BandNet`; `one` is what does it for one net."""
        masks, following = 0, []
        for i, net in enumerate(self.nets):
            own = {}
            for k in range(len(net.blocks)):
                near, whole = state[f"near{k}"], state[f"whole{k}"]
                shared = near.dim() == 4
                own[f"near{k}"] = near[:, i] if shared else near
                own[f"whole{k}"] = whole[:, i, 0] if shared else whole
            more, last = one(net, logs, own, scored)
            masks = masks + more / len(self.nets)
            following.append(last)
        return masks, self._joined(following)

    def _joined(self, states):
        """States of each net -> those of all."""
        out = {name: value for name, value in states[0].items() if name == "level"}
        for k in range(len(self.nets[0].blocks)):
            own = [state for state in states if f"near{k}" in state]
            out[f"near{k}"], out[f"whole{k}"] = own[0][f"near{k}"], own[0][f"whole{k}"]
            if len(own) > 1:
                out[f"near{k}"] = torch.stack([state[f"near{k}"] for state in own], 1)
                out[f"whole{k}"] = torch.stack([state[f"whole{k}"] for state in own], 1)[:, :, None]
        return out


def made(hop_length, blocks=3, **sizes):
    """A net of these sizes: as `BandNet`, or several `Together` where `blocks` is a list."""
    if isinstance(blocks, int):
        return BandNet(hop_length, blocks=blocks, **sizes)
    return Together([BandNet(hop_length, blocks=n, **sizes) for n in blocks])


def apart(weights):
    """Weights of a net, or of nets together -> a list of those of each."""
    each = {}
    for name, value in weights.items():
        _, i, own = name.split(".", 2) if name.startswith("nets.") else ("", "0", name)
        each.setdefault(int(i), {})[own] = value
    return list(each.values())


def sixes(x):
    """Bands (n, 4, k) to those each token sees, (n, p, 24); zeros beyond the edges."""
    x = functional.pad(x, (2, 2)).unfold(-1, 6, 2)
    return x.transpose(1, 2).reshape(x.shape[0], N_TOKENS, -1)


def narrowed(weights, sizes):
    """Those weights of blocks that lose units through which bands and the whole are mixed.

    A unit matters as much as what goes into it times what comes out of it (norms of both).
    """
    out = {}
    for name in [name for name in weights if name.endswith("bands_in.weight")]:
        at = name.removesuffix("bands_in.weight")
        into, after = weights[name], weights[f"{at}bands_out.weight"]
        keep = _loudest(into.norm(dim=1) * after.norm(dim=0), sizes["tokens"])
        out[name], out[f"{at}bands_out.weight"] = into[keep], after[:, keep]
        out[f"{at}bands_in.bias"] = weights[f"{at}bands_in.bias"][keep]

        into, after = weights[f"{at}whole_in.weight"], weights[f"{at}whole_out.weight"]
        new = into.chunk(3)[0]
        keep = _loudest(new.norm(dim=1) * after.norm(dim=0), sizes["whole"])
        rows = torch.cat([keep + i * len(new) for i in range(3)])  # what is new, forget, gate
        out[f"{at}whole_in.weight"], out[f"{at}whole_out.weight"] = into[rows], after[:, keep]
        out[f"{at}whole_in.bias"] = weights[f"{at}whole_in.bias"][rows]
    return out


def _loudest(strengths, n):
    """Which `n` of them, in their order; all where there are no more."""
    return strengths.topk(min(n, len(strengths))).indices.sort().values


class PlacedLinear(nn.Module):
    """A linear layer for each place: (…, p, n) to (…, p, m)."""

    def __init__(self, n, m, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(N_TOKENS, n, m).uniform_(-1, 1) / math.sqrt(n))
        self.bias = nn.Parameter(torch.zeros(N_TOKENS, m)) if bias else None

    def forward(self, x):
        y = self.first(x.reshape(-1, *x.shape[-2:]).transpose(0, 1))
        return y.transpose(0, 1).contiguous().view(*x.shape[:-1], -1)

    def first(self, x):
        """The same with places first: (p, n_rows, n) to (p, n_rows, m)."""
        weight = self.weight.to(x.dtype)
        if self.bias is None:
            return torch.bmm(x, weight)
        return torch.baddbmm(self.bias[:, None].to(x.dtype), x, weight)


class PlacedNorm(nn.Module):
    """Layer norm over channels, with a gain and an offset for each token."""

    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(N_TOKENS, channels))
        self.offset = nn.Parameter(torch.zeros(N_TOKENS, channels))

    def forward(self, x):
        x = functional.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.offset, x, self.gain)


class Block(nn.Module):
    """Four ways for (t, b, p, d) to know more: time, other bands, the whole, itself."""

    def __init__(self, channels, tokens, whole, reduced, hops):
        super().__init__()
        self.channels, self.whole, self.reduced, self.hops = channels, whole, reduced, hops
        self.norm_time = PlacedNorm(channels)
        self.time_in = nn.Linear(channels, 3 * channels)
        self.time_out = nn.Linear(channels, channels, bias=False)
        self.norm_bands = PlacedNorm(channels)
        self.bands_in = nn.Linear(N_TOKENS, tokens)
        self.bands_out = nn.Linear(tokens, N_TOKENS, bias=False)
        self.reduce = nn.Linear(channels, reduced)
        self.whole_in = nn.Linear(N_TOKENS * reduced, 3 * whole)
        self.whole_out = nn.Linear(whole, N_TOKENS * reduced)
        self.expand = nn.Linear(reduced, channels, bias=False)
        self.norm_local = PlacedNorm(channels)
        self.local_in = nn.Linear(channels, 2 * channels)
        self.local_out = nn.Linear(2 * channels, channels, bias=False)
        with torch.no_grad():
            # Forget gates start at time constants from one frame to 5 s, spread over channels.
            for linear, n, longest in ((self.time_in, channels, 1.0), (self.whole_in, whole, 5.0)):
                frames = torch.logspace(
                    0, math.log10(longest * NOMINAL_SAMPLERATE / REFERENCE_HOP), n
                )
                forget = 1 - torch.exp(-1 / frames)
                linear.bias[n : 2 * n] = torch.logit(forget.clamp(max=0.95))
                linear.weight[n : 2 * n] *= 0.3
            for linear in (self.time_out, self.bands_out, self.expand, self.local_out):
                linear.weight *= 0.5

    def silence(self):
        """Add nothing to what passes through."""
        for linear in (self.time_out, self.bands_out, self.expand, self.local_out):
            linear.weight.zero_()

    def forward(self, x, near, whole):
        u = self.norm_time(x)
        y, near = self._remember(self.time_in(u), near)
        x = x + self.time_out(y)
        u = self.norm_bands(x)
        y = functional.relu(torch.matmul(self.bands_in.weight, u) + self.bands_in.bias[:, None])
        y = torch.matmul(self.bands_out.weight, y)
        z, whole = self._remember(self.whole_in(self.reduce(u).flatten(2)), whole)
        z = functional.relu(self.whole_out(z)).unflatten(2, (N_TOKENS, self.reduced))
        x = x + y + self.expand(z)
        u = self.norm_local(x)
        return x + self.local_out(functional.relu(self.local_in(u))), near, whole

    def _remember(self, u, start):
        """Gated linear recurrence: (t, b, …, 3 n) -> (t, b, …, n), and the last state."""
        # Not in bfloat16, should autocast have made it so: there 0.998 and 1 are the same decay.
        new, forget, gate = u.float().chunk(3, -1)
        if self.hops == 1:
            keep = torch.sigmoid(-forget)
        else:
            keep = torch.exp(-self.hops * functional.softplus(forget))
        memory = scan(keep, (1 - keep) * new, start)
        return memory * functional.silu(gate), memory[-1]

    def macs(self):
        d, p, r, g = self.channels, N_TOKENS, self.reduced, self.whole
        tokens = self.bands_in.out_features
        whole = p * d * r + p * r * 3 * g + g * p * r + p * r * d
        return p * 4 * d * d + 2 * p * tokens * d + whole + p * 4 * d * d


def scan(keep, new, start):
    """h[t] = keep[t] h[t - 1] + new[t] along the first axis, from `start`; returns all h."""
    return (_Doubling if new.is_cuda else _Walk).apply(keep, new, start)


class _Walk(torch.autograd.Function):
    """Frame by frame: no extra memory traffic, right for processors."""

    @staticmethod
    def forward(ctx, keep, new, start):
        out = torch.empty_like(new, memory_format=torch.contiguous_format)
        h = start
        for t in range(new.shape[0]):
            h = torch.addcmul(new[t], keep[t], h, out=out[t])
        ctx.save_for_backward(keep, start, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        keep, start, out = ctx.saved_tensors
        total = torch.empty_like(grad, memory_format=torch.contiguous_format)
        g = total[-1].copy_(grad[-1])
        for t in range(grad.shape[0] - 2, -1, -1):
            g = torch.addcmul(grad[t], keep[t + 1], g, out=total[t])
        return _gradients(total, keep, start, out)


class _Doubling(torch.autograd.Function):
    """In log2(t) sweeps over the whole clip: few launches, right for GPUs."""

    @staticmethod
    def forward(ctx, keep, new, start):
        out = new.clone(memory_format=torch.contiguous_format)
        out[0] += keep[0] * start
        _sweep(keep, out)
        ctx.save_for_backward(keep, start, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        keep, start, out = ctx.saved_tensors
        total = grad.flip(0).contiguous()
        _sweep(torch.cat([torch.zeros_like(keep[:1]), keep[1:].flip(0)]), total)
        return _gradients(total.flip(0), keep, start, out)


def _sweep(keep, out):
    """Recursive doubling in place; keep[0] is not used."""
    keep, reach = keep.clone(memory_format=torch.contiguous_format), 1
    while reach < len(out):
        out[reach:] += keep[reach:] * out[:-reach].clone()
        keep[reach:] *= keep[:-reach].clone()
        reach *= 2


def _gradients(total, keep, start, out):
    """Of keep, new, start, from the sum of all that reaches h."""
    before = torch.cat([start[None], out[:-1]])
    return total * before, total, total[0] * keep[0]


def load(run, hop_length=None):
    """The averaged weights of a run folder, as (net, facts of the run).

    hop_length : samples; without it that of the run
    """
    saved = torch.load(Path(run) / "ema.pt", map_location="cpu")
    net = made(hop_length or saved["facts"]["hop_length"], **saved["facts"]["net"]).eval()
    net.load_state_dict(saved["net"])
    return net, saved["facts"]


def unlearned(hop_length, sizes, seed, **more):
    """Facts of a run folder whose weights were put together, and learned elsewhere."""
    return {
        "hop_length": hop_length,
        "net": sizes,
        "steps": 0,
        "minutes": 0.0,
        "hours_of_audio": 0.0,
        "seed": seed,
        "date": datetime.date.today().isoformat(),
        "machine": "none",
        "stages": [],
        "started_from": None,
        **more,
    }


def parameters(net):
    """How many numbers were learned."""
    return int(np.sum([p.numel() for p in net.parameters()]))
