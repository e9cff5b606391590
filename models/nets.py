"""The first network: bands, a little memory in each band, two recurrent layers over all of them.

One frame goes through it like this (b feeds, k = 96 bands):

    |L|^2 |R|^2 |M|^2 |S|^2 in bands     (b, 4, k)    bins below 1.5 kHz stay single
    divided by a one-second mean, log    (b, 4, k)    so the input gain does not matter
    convolution over bands -> z, n       (b, 32, k)   local shape: a peak, a plateau, a slope
    local <- local + z (n - local)       (b, 16, k)   one leaky memory per band and channel:
                                                      it tells tones (stay) from hits (start)
    strided convolution, linear          (b, 160)     the whole spectrum in one vector
    2 x GRU with skip                    (b, 160)     the music of the last seconds
    linear                               (b, 8, k)    what that says about each band
    join with the local features, 3-tap convolution, 1-tap convolution
    softmax over stems                   (b, 4, 2, k) masks sum to one: nothing is lost or invented
    bands -> bins                        (b, 4, 2, f)

The weights next to each band are shared between bands (a semitone up is the same sound), the
recurrent layers are not (a bass is low). Everything that is not learned is a matrix made here.
"""

import math

import numpy as np
import torch
from torch import nn

PROFILES = {  # name: n_fft, hop_length, window kind
    "tight": (2048, 128, "asymmetric"),
    "live": (2048, 256, "asymmetric"),
    "quality": (2048, 512, "asymmetric"),
    "classic": (1024, 512, "hann"),
}
NOMINAL_SAMPLERATE = 48000  # bands are laid out at this rate; at 44.1 kHz all of them sit 8 % lower
N_LOW, N_BANDS = 64, 96
LOW_SPACING_HZ = 48000 / 2048
LEVEL_S = 1.0  # how long the level that normalises the input remembers
FLOOR = 1e-7  # of the normalised power: 70 dB under the mean of all bands
TINY = 1e-7  # power below which silence is silence: about -100 dBFS of noise


def asymmetric_window(n_fft, hop_length):
    """Analysis window, (n_fft,) float64.

    Source: Mauler & Martin, A low delay, variable resolution, perfect reconstruction spectral
    analysis-synthesis system for speech enhancement, EUSIPCO 2007. With n_fft = 2 hop_length it is
    the sine window.
    """
    n = np.arange(n_fft)
    rise, fall = n_fft - hop_length, hop_length
    u = np.sin(np.pi * n / (2 * rise))
    v = np.sin(np.pi * (n - n_fft + 2 * fall) / (2 * fall))
    return np.where(n < rise, u, v)


def synthesis_window(n_fft, hop_length):
    """Its partner, (n_fft,) float64: zero but for the last 2 hop_length samples."""
    n = np.arange(n_fft)
    rise, fall = n_fft - hop_length, hop_length
    u = np.sin(np.pi * n / (2 * rise))
    v = np.sin(np.pi * (n - n_fft + 2 * fall) / (2 * fall))
    middle = np.divide(v**2, u, out=np.zeros(n_fft), where=u > 0)
    return np.where(n < n_fft - 2 * fall, 0.0, np.where(n < rise, middle, v))


def band_edges_hz():
    """Edges of the bands at the nominal rate, (N_BANDS + 1,): bin-wide, then 8 to an octave."""
    low = (np.arange(N_LOW + 1) - 0.5) * LOW_SPACING_HZ
    high = np.geomspace(low[-1], NOMINAL_SAMPLERATE / 2 + LOW_SPACING_HZ, N_BANDS - N_LOW + 1)
    return np.concatenate([low, high[1:]])


def band_centres_hz():
    edges = band_edges_hz()
    return np.concatenate(
        [np.arange(N_LOW) * LOW_SPACING_HZ, np.sqrt(edges[N_LOW:-1] * edges[N_LOW + 1 :])]
    )


def filterbank(n_fft):
    """Power of bins -> power of bands, (k, f) float64.

    A bin belongs to the band it lies in. Where bands are narrower than bins (n_fft below 2048) a
    band takes from its two neighbours instead.
    """
    bins = np.arange(n_fft // 2 + 1) * NOMINAL_SAMPLERATE / n_fft
    edges = band_edges_hz()
    weight = ((bins >= edges[:-1, None]) & (bins < edges[1:, None])).astype(float)
    spacing = bins[1]
    if spacing > LOW_SPACING_HZ * 1.01:
        centres = band_centres_hz()
        near = np.maximum(0.0, 1 - np.abs(centres[:, None] - bins) / spacing)
        narrow = np.diff(edges) < 2 * spacing
        weight[narrow] = near[narrow] * np.minimum(1, np.diff(edges) / spacing)[narrow, None]
    return weight


def interpolation(n_fft):
    """Bands -> bins, (k, f) float64, columns sum to one: linear between band centres."""
    bins = np.arange(n_fft // 2 + 1) * NOMINAL_SAMPLERATE / n_fft
    return np.stack([np.interp(bins, band_centres_hz(), row) for row in np.eye(N_BANDS)])


class FirstNet(nn.Module):
    """The network above; `forward` takes whole sequences, `step` one frame.

    Parameters
    ----------
    n_fft, hop_length : int
        Of the profile. They set filterbank and time constant of the level, no learned shape.
    """

    def __init__(
        self, n_fft=2048, hop_length=256, local=16, reduced=16, hidden=160, context=8, mixed=24
    ):
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.hidden, self.context_channels, self.local_channels = hidden, context, local
        self.register_buffer(
            "weight_bands", torch.tensor(filterbank(n_fft), dtype=torch.float32), persistent=False
        )
        self.register_buffer(
            "weight_bins", torch.tensor(interpolation(n_fft), dtype=torch.float32), persistent=False
        )
        self.keep = math.exp(-hop_length / (LEVEL_S * NOMINAL_SAMPLERATE))

        self.shape = nn.Conv1d(4, 2 * local, 5, padding=2, bias=False)
        self.place = nn.Parameter(
            torch.zeros(2 * local, N_BANDS)
        )  # where in the spectrum a band is
        self.reduce = nn.Conv1d(2 * local, reduced, 5, stride=4, padding=2)
        self.gather = nn.Linear(reduced * N_BANDS // 4, hidden)
        self.grus = nn.ModuleList(nn.GRU(hidden, hidden, batch_first=True) for _ in range(2))
        self.context = nn.Linear(hidden, context * N_BANDS)
        self.mix = nn.Conv1d(2 * local + context, mixed, 3, padding=1)
        self.head = nn.Conv1d(mixed, 8, 1)
        with torch.no_grad():
            self.shape.weight *= 0.3  # logs run from -16 to 5
            # z starts at time constants from a frame to a second, spread over the channels
            self.place[:local] = torch.linspace(0.0, -4.5, local)[:, None]
            self.place[local:] = 0.5

    def zero_state(self, batch):
        """States at the start of a stream, in the order of the contract."""
        return {
            "level": torch.zeros(batch, 2),
            "local": torch.zeros(batch, self.local_channels, N_BANDS),
            "h0": torch.zeros(batch, self.hidden),
            "h1": torch.zeros(batch, self.hidden),
        }

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
        total = power.mean((2, 3))  # (b, t)
        levels = []
        for t in range(power.shape[1]):
            now = torch.stack([total[:, t], torch.ones_like(total[:, t])], 1)
            level = self.keep * level + (1 - self.keep) * now
            levels.append(level)
        levels = torch.stack(levels, 1)
        mean = (levels[..., 0] / levels[..., 1])[..., None, None]
        return torch.log(power / (mean + TINY) + FLOOR), level

    def bands(self, logs, state, scored=slice(None)):
        """Logs (b, t, 4, k) to band masks (b, t, k, s, c), and the next local, h0 and h1.

        `scored` picks the frames whose masks are wanted; training looks at every second one.
        """
        # One image per feed, time by band, channels innermost: the layout CPUs convolve fastest.
        # Nothing is concatenated or split: weights are, which are small.
        image = logs.transpose(1, 2).contiguous(memory_format=torch.channels_last)  # (b, 4, t, k)
        n = self.local_channels
        gate = torch.sigmoid(over_bands(image, self.shape, out=slice(n)) + self.place[:n, None])
        new = torch.tanh(over_bands(image, self.shape, out=slice(n, None)) + self.place[n:, None])
        memory = leak(gate, new, state["local"])  # (b, local, t, k)
        x = over_bands(memory, self.reduce, slice(n)) + over_bands(new, self.reduce, slice(n, None))
        x = torch.relu(x + self.reduce.bias[:, None, None])  # (b, reduced, t, k / 4)
        x = torch.relu(self.gather(x.transpose(1, 2).flatten(2)))  # (b, t, hidden)
        following = {"local": memory[:, :, -1]}
        for i, gru in enumerate(self.grus):
            y, last = gru(x, state[f"h{i}"][None].contiguous())
            following[f"h{i}"] = last[0]
            x = x + y
        memory, new, x = memory[:, :, scored], new[:, :, scored], x[:, scored]
        far = self.context(x).unflatten(2, (N_BANDS, -1)).permute(0, 3, 1, 2)  # (b, context, t, k)
        x = over_bands(memory, self.mix, slice(n)) + over_bands(new, self.mix, slice(n, 2 * n))
        x = x + over_bands(far, self.mix, slice(2 * n, None))
        x = over_bands(torch.relu(x + self.mix.bias[:, None, None]), self.head)  # (b, 8, t, k)
        x = (x + self.head.bias[:, None, None]).permute(0, 2, 3, 1)
        return torch.softmax(x.unflatten(3, (4, 2)), 3), following

    def forward(self, mix, state=None):
        """Spectra (b, t, c, f, 2) to masks (b, t, s, c, f) and the states after the last frame."""
        state = self.zero_state(mix.shape[0]) if state is None else state
        logs, level = self.normalise(self.power(mix), state["level"])
        masks, following = self.bands(logs, state)
        return masks.permute(0, 1, 3, 4, 2) @ self.weight_bins, {"level": level, **following}

    def step(self, mix, state):
        """One frame: (b, c, f, 2) to (b, s, c, f)."""
        masks, state = self.forward(mix[:, None], state)
        return masks[:, 0], state


def over_bands(image, conv, inputs=slice(None), out=slice(None)):
    """Apply part of a Conv1d, without its bias, along the bands of (b, channels, t, k)."""
    weight = conv.weight[out, inputs, None].contiguous(memory_format=torch.channels_last)
    return nn.functional.conv2d(
        image, weight, stride=(1, conv.stride[0]), padding=(0, conv.padding[0])
    )


class _Leak(torch.autograd.Function):
    """m_t = m_{t-1} + z_t (n_t - m_{t-1}); the loop is over frames, outside autograd, for speed."""

    @staticmethod
    def forward(ctx, gate, new, start):
        memory = torch.empty_like(new)
        m = start
        for t in range(gate.shape[2]):
            m = torch.lerp(m, new[:, :, t], gate[:, :, t])
            memory[:, :, t] = m
        ctx.save_for_backward(gate, new, start, memory)
        return memory

    @staticmethod
    def backward(ctx, grad):
        gate, new, start, memory = ctx.saved_tensors
        keep = 1 - gate
        total = torch.empty_like(gate)
        g = torch.zeros_like(start)
        for t in range(gate.shape[2] - 1, -1, -1):
            g = g + grad[:, :, t]
            total[:, :, t] = g
            g = g * keep[:, :, t]
        before = torch.cat([start[:, :, None], memory[:, :, :-1]], 2)
        return total * (new - before), total * gate, g


def leak(gate, new, start):
    """Leaky memory along time; gate, new (b, channels, t, k), start (b, channels, k)."""
    return _Leak.apply(gate, new, start)
