"""Stems as the daemon would have played them: its own separators, hop by hop, delay taken out."""

from itertools import cycle

import numpy as np

from stemd.kernels.denormals import denormals_are_flushed, flush_denormals
from stemd.processors.separator import HopSeparator, Separator
from stemd.spec import N_CHANNELS, N_STEMS, StreamSpec

BLOCKSIZES = (480,)  # 10 ms at 48 kHz: divides no hop, so blocks and hops never fall into step


def separate(spec, model, mix, blocksizes=BLOCKSIZES):
    """Stems of one mixture from blocks of any size.

    Parameters
    ----------
    spec : StreamSpec
    model : MaskModel
        Is reset first.
    mix : (2, n) float32
    blocksizes : sequence of int
        Taken in turn, round and round.

    Returns
    -------
    (s, 2, n) float32, aligned with `mix`
    """
    separator = Separator(spec, model)
    separator.reset()
    n = mix.shape[1]
    fed = np.concatenate([mix, np.zeros((N_CHANNELS, spec.latency), np.float32)], 1)
    out = np.empty((N_STEMS, N_CHANNELS, n + spec.latency), np.float32)
    position = 0
    with _Flushed():
        for blocksize in cycle(blocksizes):
            if position >= fed.shape[1]:
                break
            block = fed[:, position : position + blocksize]
            out[:, :, position : position + block.shape[1]] = separator.process(block)
            position += block.shape[1]
    return out[:, :, spec.latency :]


def separate_feeds(spec, model, mix):
    """Stems from a model with several opinions at once: each of its feeds hears the same mixture.

    Returns
    -------
    (b, s, 2, n) float32, aligned with `mix`
    """
    separator = HopSeparator(spec, model)
    separator.reset()
    hop_length, n = spec.hop_length, mix.shape[1]
    hops = -(-(n + separator.latency) // hop_length)
    fed = np.zeros((N_CHANNELS, hops * hop_length), np.float32)
    fed[:, :n] = mix
    hop = np.zeros((spec.n_feeds, N_CHANNELS, hop_length), np.float32)
    stems = np.zeros((spec.n_feeds, N_STEMS, N_CHANNELS, hop_length), np.float32)
    late = np.zeros_like(hop)
    out = np.empty((spec.n_feeds, N_STEMS, N_CHANNELS, fed.shape[1]), np.float32)
    with _Flushed():
        for start in range(0, fed.shape[1], hop_length):
            here = slice(start, start + hop_length)
            hop[:] = fed[:, here]
            separator.process(hop, stems, late)
            out[..., here] = stems
    return out[..., separator.latency : separator.latency + n]


def spec_of(facts, samplerate, n_feeds=1):
    """StreamSpec of a model's description at one rate."""
    return StreamSpec(
        samplerate,
        facts["n_fft"],
        facts["hop_length"],
        facts["window"],
        facts.get("lookahead_frames", 0),
        n_feeds,
    )


class _Flushed:
    """Denormals are zero inside, as in the daemon's separate role."""

    def __enter__(self):
        self._before = denormals_are_flushed()
        flush_denormals(True)

    def __exit__(self, *_):
        flush_denormals(self._before)
