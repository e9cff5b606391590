"""The time side of the STFT: history and window on the way in, overlap-add on the way out."""

from __future__ import annotations

import numpy as np

from stemd.kernels.jit import FLUSH, kernel


@kernel("void(float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1])")
def push_hop(hop, history, window, frames):
    """Append a hop to the history and write the windowed frame that ends with it.

    hop : (rows, hop_length) float32; what is denormal or nearly so enters as 0
    history : (rows, n_fft) float32, moved on by hop_length
    window : (n_fft,) float32
    frames : (rows, n_fft) float32, overwritten
    """
    n_fft = history.shape[1]
    hop_length = hop.shape[1]
    kept = n_fft - hop_length
    for row in range(hop.shape[0]):
        past = history[row]
        frame = frames[row]
        # not a slice assignment: numba makes a copy first where both sides overlap
        moved = past[hop_length:]
        for n in range(kept):
            past[n] = moved[n]
        fresh = past[kept:]
        for n in range(hop_length):
            x = hop[row, n]
            fresh[n] = x if abs(x) >= FLUSH else np.float32(0.0)
        for n in range(n_fft):
            frame[n] = past[n] * window[n]


@kernel("void(float32[:, :, :, ::1], float32[::1], float32[:, :, :, ::1], float32[:, :, :, ::1])")
def overlap_add(frames, window, overlap, out):
    """Finish the oldest hop under the synthesis window and keep the newest for the next call.

    frames : (b, s, c, n_fft) float32
    window : (2 * hop_length,) float32
    overlap : (b, s, c, hop_length) float32, overwritten
    out : (b, >= s, c, hop_length) float32, its first s stems overwritten
    """
    n_feeds, n_stems, n_channels, n_fft = frames.shape
    hop_length = out.shape[3]
    first = n_fft - 2 * hop_length
    second = n_fft - hop_length
    rise, fall = window[:hop_length], window[hop_length:]
    for b in range(n_feeds):
        for s in range(n_stems):
            for c in range(n_channels):
                older = frames[b, s, c, first:second]
                newer = frames[b, s, c, second:]
                tail = overlap[b, s, c]
                done = out[b, s, c]
                for n in range(hop_length):
                    done[n] = tail[n] + older[n] * rise[n]
                    tail[n] = newer[n] * fall[n]


@kernel("void(float32[:, :, ::1], int64, float32[:, :, :, ::1], float32[:, :, ::1])")
def close_sum(history, start, stems, mix):
    """Copy the delayed input and make the last stem what the others leave of it.

    history : (b, c, n_fft) float32
    start : first sample of the delayed hop in `history`
    stems : (b, s, c, hop_length) float32, [:, -1] overwritten
    mix : (b, c, hop_length) float32, overwritten
    """
    n_feeds, n_stems, n_channels, hop_length = stems.shape
    last = n_stems - 1
    for b in range(n_feeds):
        for c in range(n_channels):
            past = history[b, c, start : start + hop_length]
            rest = stems[b, last, c]
            whole = mix[b, c]
            for n in range(hop_length):
                whole[n] = past[n]
                rest[n] = past[n]
            for s in range(last):
                stem = stems[b, s, c]
                for n in range(hop_length):
                    rest[n] -= stem[n]
