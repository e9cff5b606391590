"""The article's convolutional network, four variants, in a form that computes each column once.

One stem, one channel, one patch of 513 bins x 25 frames (K. 2019):

    conv 3x3 to 32, conv 3x3 to 16       (16, 25, 513)
    max over 3x3                         (16, 8, 171)
    conv 3x3 to 64, conv 3x3 to 16       (16, 8, 171)
    max over 3x3                         (16, 2, 57)
    dense 128, dense 513, sigmoid        one mask: 323,233 parameters

The article runs the patch anew for every frame, though 24 of 25 of its frames were there before.
Here convolutions look into the past only, and pools end at the newest frame. Then a column of any
layer depends on the audio alone and not on where the patch begins, so it is computed once and
kept: after the first pool, columns that belong together are three frames apart, after the second
nine. Weights and their number stay as they are. What differs from the article:

- a patch of 25 frames sees zeros before its first frame, we see the true past: 34 frames;
- a patch sees zeros after its newest frame too, we put all taps into the past;
- leaky ReLU between layers, no dropout, and log magnitudes over a running level as input;
- batch normalisation behind the convolutions while training, folded into them afterwards.

In training whole clips go through at once. Only every third frame needs a mask there, since
targets of neighbours are alike, and the columns after the first pool are then the article's own.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from models.spectra import NOMINAL_SAMPLERATE, asymmetric_window

N_FFT, HOP_LENGTH, WINDOW = 1024, 512, "hann"
N_BINS = N_FFT // 2 + 1  # 513 -> 171 -> 57 in pools
N_STEMS = 4
POOL = 3
MIDDLE = 12  # frames the middle of the article's patch lies behind its newest
PAST = 33  # frames before the newest that a mask depends on: 2+2, pool 2, 6+6, pool 6, dense 9
SLOPE = 0.1  # of the leaky ReLU
LEVEL_S = 1.0  # how long the level that normalises the input remembers
TINY = 1e-7  # power below which silence is silence: about -100 dBFS of noise
CONTRAST = 30.0  # magnitudes 30 dB under the level come out as log 2
TILT_BINS = 8  # above, music falls by about 6 dB an octave; features are flat
CENTRE, SPREAD = 2.2, 1.6  # of the logs of mixtures; features have mean 0, variance 1
LOGIT_BOUND = 15.0  # keeps sums of sigmoids away from zero; trained logits stay inside
KEEP = math.exp(-HOP_LENGTH / (LEVEL_S * NOMINAL_SAMPLERATE))


@dataclass(frozen=True)
class Variant:
    """How many times the layers before and after the first pool exist, and what they end in."""

    fronts: int
    backs: int
    hidden: int
    stems: int = N_STEMS


VARIANTS = {
    "branch": Variant(1, 1, 128, 1),  # one stem
    "branches": Variant(4, 4, 128),  # one of them for each stem
    "bottleneck": Variant(1, 1, 77),  # one for all stems
    "shared": Variant(1, 4, 128),  # the first two layers for all stems
}


class Front(nn.Module):
    """Layers that run at every frame."""

    convolutions = ("first", "second")

    def __init__(self, normed):
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3)
        self.second = nn.Conv2d(32, 16, 3)
        self.norms = norms((32, 16), normed)

    def forward(self, x):
        """(b, 1, t, f) to (b, 16, t, f), not yet rectified: the pool does not mind the order."""
        x = leaky(self.norms[0](self.first(functional.pad(x, (1, 1, 2, 0)))))
        return self.norms[1](self.second(functional.pad(x, (1, 1, 2, 0))))


class Back(nn.Module):
    """Layers after the first pool; their columns are `gap` entries of the sequence apart."""

    convolutions = ("third", "fourth")

    def __init__(self, hidden, stems, normed):
        super().__init__()
        n_last = N_BINS // POOL // POOL
        self.third = nn.Conv2d(16, 64, 3)
        self.fourth = nn.Conv2d(64, 16, 3)
        self.norms = norms((64, 16), normed)
        self.hidden = nn.Linear(2 * 16 * n_last, hidden)  # columns old, new; channels; bins
        self.out = nn.Linear(hidden, stems * N_BINS)

    def forward(self, x, gap):
        """(b, 16, t, f / 3) to logits (b, t, stems * f)."""
        x = leaky(self.norms[0](self._convolve(x, self.third, gap)))
        x = self.norms[1](self._convolve(x, self.fourth, gap))
        x = functional.pad(x, (0, 0, 2 * gap, 0))
        x = leaky(functional.max_pool2d(x, POOL, (1, POOL), dilation=(gap, 1)))
        x = x.transpose(1, 2).flatten(2)  # (b, t, 16 * 57)
        old = functional.pad(x, (0, 0, 3 * gap, 0))[:, : x.shape[1]]
        return self.out(leaky(self.hidden(torch.cat([old, x], 2))))

    @staticmethod
    def _convolve(x, conv, gap):
        x = functional.pad(x, (1, 1, 2 * gap, 0))
        return functional.conv2d(x, conv.weight, conv.bias, dilation=(gap, 1))


class ClassicNet(nn.Module):
    """A variant; `forward` takes whole sequences.

    Parameters
    ----------
    variant : str
        A name in `VARIANTS`.
    normed : bool
        For training; `settle` makes the network without, which has the article's parameters.
    """

    def __init__(self, variant="branches", normed=False):
        super().__init__()
        self.name, self.normed = variant, normed
        self.variant = kind = VARIANTS[variant]
        self.fronts = nn.ModuleList(Front(normed) for _ in range(kind.fronts))
        per_back = kind.stems // kind.backs
        self.backs = nn.ModuleList(Back(kind.hidden, per_back, normed) for _ in range(kind.backs))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.zeros_(module.bias)

    def forward(self, features, every=1):
        """
        Parameters
        ----------
        features : (b, t, f) float32
            Of one channel. Before them lies silence.
        every : 1 or 3
            With 3, logits of frames 2, 5, 8, … only, which cost less.

        Returns
        -------
        logits : (b, t // every, s, f)
            Sigmoids of them are the article's masks.
        """
        if every not in (1, POOL):
            raise ValueError(f"every: got {every}, expected 1 or {POOL}")
        pooled = [self._pool(front(features[:, None]), every) for front in self.fronts]
        if len(pooled) < len(self.backs):
            pooled *= len(self.backs)
        gap = POOL // every
        logits = [back(x, gap) for back, x in zip(self.backs, pooled, strict=True)]
        return torch.cat(logits, 2).unflatten(2, (self.variant.stems, N_BINS))

    @staticmethod
    def _pool(x, every):
        if every == 1:
            x = functional.pad(x, (0, 0, POOL - 1, 0))
        return leaky(functional.max_pool2d(x, POOL, (every, POOL)))


def patch(net, features, padding):
    """The slow twin: everything computed anew for one frame, as the article does.

    Parameters
    ----------
    net : ClassicNet
        Settled.
    features : (b, t, f)
        The last frame is the newest. 25 frames with padding, or PAST + 1 without.
    padding : 0 or 1
        Zeros around the patch in time, at every convolution. With 1 this is the article's network,
        with 0 it equals `net(features)[:, -1]`.

    Returns
    -------
    logits : (b, s, f)
    """
    logits = []
    for i, back in enumerate(net.backs):
        front = net.fronts[min(i, len(net.fronts) - 1)]
        x = features[:, None]
        for block in ((front.first, front.second), (back.third, back.fourth)):
            for conv in block:
                x = leaky(functional.conv2d(x, conv.weight, conv.bias, padding=(padding, 1)))
            x = functional.max_pool2d(x, POOL)  # (b, 16, 8 or 10, 171), then (b, 16, 2, 57)
        logits.append(back.out(leaky(back.hidden(x.transpose(1, 2).flatten(1)))))
    return torch.cat(logits, 1).unflatten(1, (net.variant.stems, N_BINS))


def leaky(x):
    return functional.leaky_relu(x, SLOPE)


def count_products(net):
    """Multiplications per frame and channel: streamed, twin of 34 frames, article's 25."""
    first, second = net.fronts[0].first, net.fronts[0].second
    back, kind = net.backs[0], net.variant
    per_column = (
        kind.fronts * first.weight.numel() * N_BINS,
        kind.fronts * second.weight.numel() * N_BINS,
        kind.backs * back.third.weight.numel() * (N_BINS // POOL),
        kind.backs * back.fourth.weight.numel() * (N_BINS // POOL),
        kind.backs * (back.hidden.weight.numel() + back.out.weight.numel()),
    )
    # With shared first layers the patch, too, computes them once.
    columns = {"stream": (1, 1, 1, 1, 1), "twin": (32, 30, 8, 6, 1), "article": (25, 25, 8, 8, 1)}
    return {
        name: sum(n * cost for n, cost in zip(count, per_column, strict=True))
        for name, count in columns.items()
    }


def norms(channels, normed):
    """A normalisation for each convolution, or none."""
    return nn.ModuleList(nn.BatchNorm2d(n) if normed else nn.Identity() for n in channels)


@torch.no_grad()
def settle(net):
    """The same network with its normalisations folded into the convolutions, to be used."""
    settled = ClassicNet(net.name)
    settled.load_state_dict(net.state_dict(), strict=False)  # all but the normalisations
    pairs = zip([*net.fronts, *net.backs], [*settled.fronts, *settled.backs], strict=True)
    for source, part in pairs if net.normed else ():
        for name, norm in zip(part.convolutions, source.norms, strict=True):
            conv = getattr(part, name)
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            conv.weight *= gain[:, None, None, None]
            conv.bias.copy_((conv.bias - norm.running_mean) * gain + norm.bias)
    return settled.eval()


def merge(branches):
    """Four nets of one stem, trained apart, as one net of four stems."""
    whole = ClassicNet("branches", branches[0].normed)
    for i, branch in enumerate(branches):
        whole.fronts[i].load_state_dict(branch.fronts[0].state_dict())
        whole.backs[i].load_state_dict(branch.backs[0].state_dict())
    return whole


def spectra_of(audio):
    """(…, n) to complex (…, t, f); frame t ends with sample N_FFT + t HOP_LENGTH."""
    window = torch.tensor(asymmetric_window(N_FFT, HOP_LENGTH), dtype=torch.float32)
    return torch.fft.rfft(audio.unfold(-1, N_FFT, HOP_LENGTH) * window)


def features_of(spectra):
    """Complex (b, t, f) of one channel to the network's input, float32 of the same shape.

    The level is a leaky mean of the power and, beside it, of one: their quotient is free of the
    start from zero.
    """
    power = spectra.real.square() + spectra.imag.square()
    t = torch.arange(power.shape[1], dtype=torch.float64)
    age = t[:, None] - t
    weight = torch.where(age >= 0, (1 - KEEP) * KEEP ** age.clamp(min=0), 0.0)
    weight = (weight / weight.sum(1, keepdim=True)).float()
    level = weight @ power.mean(2, keepdim=True)  # (b, t, 1)
    logs = torch.log1p(contrast() * torch.sqrt(power / (level + TINY)))
    return (logs - CENTRE) / SPREAD


def contrast():
    """What magnitudes over the level are multiplied by, (f,): more where music is softer."""
    return CONTRAST * (1 + torch.arange(N_BINS) / TILT_BINS)


def sum_to_one(logits):
    """Sigmoids that sum to one over stems (axis -2): the masks of a released file."""
    p = torch.sigmoid(logits.clamp(-LOGIT_BOUND, LOGIT_BOUND))
    return p / p.sum(-2, keepdim=True)
