"""What a training step spends its time on, done in one pass each: for processors.

With bfloat16 products (AMX) matrices are a seventh of a step of the band family in plain torch, in
float32 half of it; the rest is reading and writing memory between elementwise operations. Here a
norm with the sums before it, and a gated recurrence with its gates, are one walk each over memory,
forward and backward, in float32 inside. What lies between them is bfloat16 where the processor
multiplies that quickly, else float32.

`tests/models/test_fused.py` holds both against torch's own operations and gradients.
"""

import functools
import math

import numpy as np
import torch
from numba import extending, njit, types
from torch.nn import functional

from models.nets import Together, sixes

EPSILON = 1e-5  # of torch's layer_norm
LOG2E = np.float32(1.4426950408889634)
LN2 = np.float32(0.6931471805599453)
ONE, HALF = np.float32(1), np.float32(0.5)
# Of losses: added to a band's energy and to a mask, and the most that a magnitude is off, squared.
EPS, ROOT_EPS, FARTHEST = 1e-5, 1e-4, 1e3


@njit(inline="always")
def _exp(x):
    """exp in float32 to 2e-7 of itself; arguments beyond ±80 are taken for ±80."""
    x = min(max(x, np.float32(-80)), np.float32(80))
    n = np.floor(x * LOG2E + HALF)
    r = x - n * LN2
    # Taylor to the sixth power on ±ln(2)/2
    p = np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + HALF
    p = p * r + ONE
    p = p * r + ONE
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


def _read(x):
    """bfloat16 bits -> float32; a float32 is one."""


@extending.overload(_read, inline="always")
def _read_of(x):
    if isinstance(x, types.Float):
        return lambda x: x
    return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)


def _put(out, j, x):
    """out[j] = x, to the nearest bfloat16 where `out` holds bits of such."""


@extending.overload(_put, inline="always")
def _put_of(out, j, x):
    if isinstance(out.dtype, types.Float):

        def same(out, j, x):
            out[j] = x

        return same

    def rounded(out, j, x):
        bits = np.float32(x).view(np.uint32)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        out[j] = np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    return rounded


# Rows have functions of their own: LLVM makes vectors of a loop there, not of the same one among
# others, where it would have to show of a dozen arrays that they do not overlap.
_walk = njit(cache=True, fastmath=True, error_model="numpy")


@_walk
def _shut(x, out):
    """sigmoid(-x)"""
    for j in range(len(out)):
        out[j] = ONE / (ONE + _exp(_read(x[j])))


@_walk
def _raised(x, squarings):
    """x to the power of 2 ** squarings, in place."""
    if squarings == 1:
        for j in range(len(x)):
            x[j] *= x[j]
    for _ in range(-squarings):
        for j in range(len(x)):
            x[j] = np.sqrt(x[j])


@_walk
def _moved(new, keep, was, out):
    for j in range(len(out)):
        n = _read(new[j])
        out[j] = n + keep[j] * (was[j] - n)


@_walk
def _told(memory, gate, shut, out):
    for j in range(len(out)):
        _put(out, j, memory[j] * _read(gate[j]) * (ONE - shut[j]))


@_walk
def _remember(u, start, squarings, y, memory):
    """u (p, t, b, 3 d), start (p, b, d) -> y and memory (p, t, b, d); u and y may be bits."""
    places, frames, rows, d = memory.shape
    keep, shut = np.empty(d, np.float32), np.empty(d, np.float32)
    for p in range(places):
        for t in range(frames):
            for i in range(rows):
                was = start[p, i] if t == 0 else memory[p, t - 1, i]
                new, forget, gate = u[p, t, i, :d], u[p, t, i, d : 2 * d], u[p, t, i, 2 * d :]
                _shut(forget, keep)
                _raised(keep, squarings)
                _moved(new, keep, was, memory[p, t, i])
                _shut(gate, shut)
                _told(memory[p, t, i], gate, shut, y[p, t, i])


@_walk
def _slope(keep, power, out):
    """What keep ** power changes by for a forget gate, over keep ** power."""
    for j in range(len(out)):
        out[j] = power * (ONE - keep[j])


@_walk
def _opened(grad, shut, out):
    for j in range(len(out)):
        out[j] = _read(grad[j]) * (ONE - shut[j])


@_walk
def _carried(grad, gate, keep, later, out):
    """The gradient of what is remembered now -> out, and of what was before -> later."""
    for j in range(len(out)):
        out[j] = later[j] + grad[j] * _read(gate[j])
        later[j] = out[j] * keep[j]


@_walk
def _to_gate(grad, memory, gate, shut, out):
    for j in range(len(out)):
        _put(out, j, grad[j] * memory[j] * (ONE + _read(gate[j]) * shut[j]))


@_walk
def _to_new(dh, keep, out):
    for j in range(len(out)):
        _put(out, j, dh[j] * (ONE - keep[j]))


@_walk
def _to_forget(dh, new, was, slope, keep, out):
    for j in range(len(out)):
        _put(out, j, dh[j] * (_read(new[j]) - was[j]) * slope[j] * keep[j])


@_walk
def _remember_back(u, start, squarings, memory, dy, carry, du):
    """Gradient of u from that of y; carry (p, b, d) float32 starts as zeros."""
    places, frames, rows, d = memory.shape
    power = np.float32(2.0**squarings)
    keep, slope, shut, grad, dh = [np.empty(d, np.float32) for _ in range(5)]
    for p in range(places):
        for t in range(frames - 1, -1, -1):
            for i in range(rows):
                was = start[p, i] if t == 0 else memory[p, t - 1, i]
                new, forget, gate = u[p, t, i, :d], u[p, t, i, d : 2 * d], u[p, t, i, 2 * d :]
                _shut(forget, keep)
                _slope(keep, power, slope)
                _raised(keep, squarings)
                _shut(gate, shut)
                _opened(dy[p, t, i], shut, grad)
                _carried(grad, gate, keep, carry[p, i], dh)
                to = du[p, t, i]
                _to_gate(grad, memory[p, t, i], gate, shut, to[2 * d :])
                _to_new(dh, keep, to[:d])
                _to_forget(dh, new, was, slope, keep, to[d : 2 * d])


@_walk
def _norm(x, first, second, gain, offset, total, u, facts):
    """x + first + second -> total, and its norm -> u; facts (rows, 2) keeps mean and 1 / deviation.

    x, total (rows, d) float32; first, second, u (rows, d) may be bits, first and second empty;
    gain, offset (p, d); rows are places first.
    """
    rows, d = x.shape
    each = rows // gain.shape[0]
    for i in range(rows):
        a, out = x[i], total[i]
        if first.shape[0]:
            b = first[i]
            if second.shape[0]:
                c = second[i]
                for j in range(d):
                    out[j] = a[j] + _read(b[j]) + _read(c[j])
            else:
                for j in range(d):
                    out[j] = a[j] + _read(b[j])
        else:
            for j in range(d):
                out[j] = a[j]
        mean = np.float32(0)
        for j in range(d):
            mean += out[j]
        mean /= d
        power = np.float32(0)
        for j in range(d):
            power += (out[j] - mean) * (out[j] - mean)
        scale = ONE / np.sqrt(power / np.float32(d) + np.float32(EPSILON))
        facts[i, 0], facts[i, 1] = mean, scale
        w, o, row = gain[i // each], offset[i // each], u[i]
        for j in range(d):
            _put(row, j, (out[j] - mean) * scale * w[j] + o[j])


@_walk
def _norm_back(total, facts, gain, d_total, du, dx, bits, d_gain, d_offset):
    """Gradients of x, gain and offset (these start as zeros); `bits` is dx again, or empty."""
    rows, d = total.shape
    each = rows // gain.shape[0]
    for i in range(rows):
        x, mean, scale = total[i], facts[i, 0], facts[i, 1]
        w, gw, go, grad = gain[i // each], d_gain[i // each], d_offset[i // each], du[i]
        plain, turned = np.float32(0), np.float32(0)
        for j in range(d):
            g, hat = _read(grad[j]), (x[j] - mean) * scale
            gw[j] += g * hat
            go[j] += g
            plain += g * w[j]
            turned += g * w[j] * hat
        plain /= np.float32(d)
        turned /= np.float32(d)
        out, through = dx[i], d_total[i]
        for j in range(d):
            hat = (x[j] - mean) * scale
            out[j] = through[j] + scale * (_read(grad[j]) * w[j] - plain - hat * turned)
        if bits.shape[0]:
            low = bits[i]
            for j in range(d):
                _put(low, j, out[j])


def _bits(x):
    """A tensor's memory, (…, last axis): bfloat16 as uint16."""
    x = x.detach().contiguous()
    return x.numpy() if x.dtype == torch.float32 else x.view(torch.int16).numpy().view(np.uint16)


_NONE = {
    torch.bfloat16: np.zeros((0, 0), np.uint16),
    torch.float32: np.zeros((0, 0), np.float32),
}


@njit(cache=True)
def _relu(x, y):
    """Bits without a sign stay."""
    for i in range(x.shape[0]):
        y[i] = x[i] if x[i] < np.uint16(0x8000) else np.uint16(0)


@njit(cache=True)
def _relu_back(y, dy, dx):
    for i in range(y.shape[0]):
        dx[i] = dy[i] if y[i] != np.uint16(0) else np.uint16(0)


class Remember(torch.autograd.Function):
    """Gated linear recurrence over t: u (p, t, b, 3 d), start (p, b, d) float32.

    Returns y (p, t, b, d), of u's type, and the last memory (p, b, d).
    """

    @staticmethod
    def forward(ctx, u, start, squarings):
        u, start = u.contiguous(), start.detach().contiguous()
        y = torch.empty(*u.shape[:-1], u.shape[-1] // 3, dtype=u.dtype)
        memory = torch.empty(y.shape, dtype=torch.float32)
        _remember(_bits(u), start.numpy(), squarings, _bits(y), memory.numpy())
        ctx.save_for_backward(u, start, memory)
        ctx.squarings = squarings
        last = memory[:, -1].clone()
        ctx.mark_non_differentiable(last)
        return y, last

    @staticmethod
    def backward(ctx, dy, _):
        u, start, memory = ctx.saved_tensors
        du, carry = torch.empty_like(u), torch.zeros_like(start)
        _remember_back(
            _bits(u), start.numpy(), ctx.squarings, memory.numpy(), _bits(dy), carry.numpy(),
            _bits(du),
        )  # fmt: skip
        return du, None, None


class Relu(torch.autograd.Function):
    """Of bfloat16, as integers."""

    @staticmethod
    def forward(ctx, x):
        y = torch.empty(x.shape, dtype=torch.bfloat16)
        _relu(_bits(x).reshape(-1), _bits(y).reshape(-1))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        dx = torch.empty_like(y)
        _relu_back(_bits(y).reshape(-1), _bits(dy).reshape(-1), _bits(dx).reshape(-1))
        return dx


class Linear(torch.autograd.Function):
    """x (…, n) bfloat16 through weight (m, n), bias (m,); gradients add up in products."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        low = weight.detach().bfloat16()
        ctx.save_for_backward(x.detach(), low)
        ctx.biased = bias is not None
        return functional.linear(x, low, bias.detach().bfloat16() if ctx.biased else None)

    @staticmethod
    def backward(ctx, dy):
        x, low = ctx.saved_tensors
        flat, rows = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
        dx = (flat @ low).view(x.shape)
        ones = torch.ones(8, len(flat), dtype=torch.bfloat16) if ctx.biased else None
        return dx, (flat.T @ rows).float(), (ones @ flat)[0].float() if ctx.biased else None


class AddNorm(torch.autograd.Function):
    """x (…, p, d) float32 plus up to two addends of type `low`; the sum, and its norm as `low`."""

    @staticmethod
    def forward(ctx, x, first, second, gain, offset, low):
        d = x.shape[-1]
        x = x.detach().contiguous()
        total = torch.empty_like(x)
        u = torch.empty(x.shape, dtype=low)
        facts = torch.empty(x.numel() // d, 2)
        rows = [_NONE[low] if y is None else _bits(y).reshape(-1, d) for y in (first, second)]
        _norm(
            x.numpy().reshape(-1, d), *rows, gain.detach().numpy(), offset.detach().numpy(),
            total.numpy().reshape(-1, d), _bits(u).reshape(-1, d), facts.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(total, facts, gain)
        ctx.given, ctx.low = (first is not None, second is not None), low
        return total, u

    @staticmethod
    def backward(ctx, d_total, du):
        total, facts, gain = ctx.saved_tensors
        d = total.shape[-1]
        dx = torch.empty_like(total)
        same = ctx.low == torch.float32  # then the addends' gradient is that of x
        low = dx if same else torch.empty(total.shape, dtype=ctx.low)
        bits = _NONE[ctx.low] if same else _bits(low).reshape(-1, d)
        d_gain, d_offset = torch.zeros_like(gain), torch.zeros_like(gain)
        _norm_back(
            total.numpy().reshape(-1, d), facts.numpy(), gain.detach().numpy(),
            d_total.contiguous().numpy().reshape(-1, d), _bits(du).reshape(-1, d),
            dx.numpy().reshape(-1, d), bits, d_gain.numpy(), d_offset.numpy(),
        )  # fmt: skip
        first, second = ctx.given
        return dx, low if first else None, low if second else None, d_gain, d_offset, None


@_walk
def _errors(masks, root, energy, cross, mixture, target, soft, weight, error):
    """Sums for `Errors.forward`: error (b t, s) is filled, the two others are returned.

    masks, root, energy, cross, target (b t, k, s, c); mixture, soft, weight (b t, k, c)
    """
    rows, bands_, stems, channels = masks.shape
    weighted = magnitude = 0.0
    for i in range(rows):
        for k in range(bands_):
            for s in range(stems):
                for c in range(channels):
                    m = masks[i, k, s, c]
                    e = energy[i, k, s, c] - m * (
                        cross[i, k, s, c] + cross[i, k, s, c] - m * mixture[i, k, c]
                    )
                    e = max(e, np.float32(0))
                    error[i, s] += e
                    weighted += e * weight[i, k, c]
                    off = (root[i, k, s, c] - target[i, k, s, c]) * soft[i, k, c]
                    magnitude += min(off * off, np.float32(FARTHEST))
    return weighted, magnitude


@_walk
def _errors_back(
    masks, root, energy, cross, mixture, target, soft, weight, d_error, d_weighted, d_magnitude, out
):
    """The gradient of masks, (b t, k, s, c) like them."""
    rows, bands_, stems, channels = masks.shape
    share, two = np.float32(0.8) * d_magnitude, np.float32(2)  # 0.8: of a root squared
    for i in range(rows):
        for k in range(bands_):
            for s in range(stems):
                for c in range(channels):
                    m, x, r = masks[i, k, s, c], mixture[i, k, c], root[i, k, s, c]
                    slope = m * x - cross[i, k, s, c]
                    e = energy[i, k, s, c] + m * (slope - cross[i, k, s, c])
                    d = np.float32(0)
                    if e >= np.float32(0):
                        d = two * slope * (d_error[i, s] + d_weighted * weight[i, k, c])
                    off = (r - target[i, k, s, c]) * soft[i, k, c]
                    if off * off <= np.float32(FARTHEST):
                        d += share * off * soft[i, k, c] * r / (m + np.float32(ROOT_EPS))
                    out[i, k, s, c] = d


class Errors(torch.autograd.Function):
    """`train.plain_errors`, one pass over memory instead of thirty."""

    @staticmethod
    def forward(ctx, masks, energy, cross, mixture, target, soft):
        weight = soft.square() / (mixture + EPS)
        root = (masks + ROOT_EPS) ** 0.4
        tensors = (masks, root, energy, cross, mixture, target, soft, weight)
        tensors = [x.detach().contiguous() for x in tensors]
        error = torch.zeros(*masks.shape[:2], masks.shape[3])
        sums = _errors(*(x.flatten(0, 1).numpy() for x in tensors), error.flatten(0, 1).numpy())
        ctx.save_for_backward(*tensors)
        weighted, magnitude = (torch.tensor(x / masks.numel(), dtype=torch.float32) for x in sums)
        return error, weighted, magnitude

    @staticmethod
    def backward(ctx, d_error, d_weighted, d_magnitude):
        tensors = ctx.saved_tensors
        out = torch.empty_like(tensors[0])
        n = out.numel()
        _errors_back(
            *(x.flatten(0, 1).numpy() for x in tensors),
            d_error.contiguous().flatten(0, 1).numpy(),
            np.float32(d_weighted / n), np.float32(d_magnitude / n), out.flatten(0, 1).numpy(),
        )  # fmt: skip
        return out, None, None, None, None, None


errors = Errors.apply  # instead of `train.plain_errors`


def bands(net, logs, state, scored=slice(None), low=None):
    """`BandNet.bands` with the walks above: masks, next states.

    Products are of type `low`, by default the one that `quick` says. Places come first in here, so
    that mixing them is one product.
    """
    low = low or (torch.bfloat16 if quick() else torch.float32)
    if isinstance(net, Together):
        return net.bands(logs, state, scored, functools.partial(bands, low=low))
    b, t = logs.shape[:2]
    x = logs.transpose(0, 1).reshape(t * b, *logs.shape[2:])
    x = (0.25 * x + 1.5).to(low)
    if net.placed:
        x = net.embed.first(sixes(x).transpose(0, 1))
    else:
        weight, bias = net.embed.weight.to(low), net.embed.bias.to(low)
        x = functional.conv1d(x, weight, bias, stride=2, padding=2).permute(2, 0, 1)
    x = x.float().view(-1, t, b, net.channels) + net.place[:, None, None]
    squarings = round(math.log2(net.blocks[0].hops))
    following, first, second = {}, None, None
    for i, block in enumerate(net.blocks):
        x, u = _add_norm(x, first, second, block.norm_time, low)
        y, near = Remember.apply(_linear(u, block.time_in), _places(state[f"near{i}"]), squarings)
        first = _linear(y, block.time_out)

        x, u = _add_norm(x, first, None, block.norm_bands, low)
        flat = u.view(u.shape[0], -1)
        inward, outward = block.bands_in.weight.to(low), block.bands_out.weight.to(low)
        y = torch.addmm(block.bands_in.bias.to(low)[:, None], inward, flat)
        first = (outward @ _relu_of(y)).view(u.shape)
        z = _linear(u, block.reduce).permute(1, 2, 0, 3).reshape(1, t, b, -1)
        z, whole = Remember.apply(_linear(z, block.whole_in), state[f"whole{i}"][None], squarings)
        z = _relu_of(_linear(z, block.whole_out)).view(t, b, -1, block.reduced)
        second = _linear(z.permute(2, 0, 1, 3), block.expand)

        x, u = _add_norm(x, first, second, block.norm_local, low)
        first, second = _linear(_relu_of(_linear(u, block.local_in)), block.local_out), None
        following[f"near{i}"], following[f"whole{i}"] = _places(near), whole[0]
    _, u = _add_norm(x[:, scored], first[:, scored], None, net.norm, low)
    x = _relu_of(_linear(u, net.head_in))
    if net.placed:
        x = net.head_out.first(x.flatten(1, 2)).view(*x.shape[:3], -1).float()
    else:
        x = _linear(x, net.head_out).float()
    x = x.permute(2, 1, 0, 3).reshape(b, -1, logs.shape[-1], 4, 2)
    return torch.softmax(x, 3), following


def _linear(x, layer):
    if x.dtype == torch.float32:
        return functional.linear(x, layer.weight, layer.bias)
    return Linear.apply(x, layer.weight, layer.bias)


def _relu_of(x):
    return functional.relu(x) if x.dtype == torch.float32 else Relu.apply(x)


def _add_norm(x, first, second, norm, low):
    return AddNorm.apply(x, first, second, norm.gain, norm.offset, low)


def _places(x):
    return x.transpose(0, 1).contiguous()


def quick():
    """Whether this processor multiplies bfloat16 faster than float32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
