"""Pitch: decimation, the normalised square difference, its peaks, and the path through them."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.fft import forward, inverse
from stemd.kernels.jit import kernel
from stemd.kernels.reduce import largest


@kernel("void(float32[:, ::1], float32[::1])", fastmath=True)
def add_channels(audio, mono):
    """Mean of the channels.

    audio : (c, n) float32
    mono : (n,) float32, overwritten
    """
    share = np.float32(1.0) / np.float32(audio.shape[0])
    for n in range(mono.shape[0]):
        mono[n] = audio[0, n] * share
    for c in range(1, audio.shape[0]):
        for n in range(mono.shape[0]):
            mono[n] += audio[c, n] * share


@kernel(
    "void(float32[:, :, ::1], float32[:, :, :, ::1], float32[:, ::1], int64[::1], int64[::1],"
    "float32[:, :, ::1], float32[:, :, ::1])",
    fastmath=True,
)
def decimate(mix, stems, taps, n_taps, factors, tail, past):
    """Mono, low-pass, one sample of every so many, appended to each source's past.

    mix : (b, c, hop_length) float32
    stems : (b, s, c, hop_length) float32
    taps : (rows, most_taps) float32, symmetric; a shorter filter comes first, the rest unused; of
        the mix, the stems, and whatever follows, which is the mix again
    n_taps, factors : (rows,) int64
    tail : (b, rows, most_taps + hop_length) float32, running; mono, earlier hops first
    past : (b, rows, n) float32, moved on by hop_length // factor
    """
    n_feeds, n_stems, _, hop_length = stems.shape
    most = taps.shape[1]
    for b in range(n_feeds):
        for source in range(taps.shape[0]):
            factor, reach = factors[source], n_taps[source]
            h = taps[source, :reach]
            made = hop_length // factor
            kept = past.shape[2] - made
            x = tail[b, source]
            y = past[b, source]
            # not slice assignments: numba makes a copy first where both sides overlap
            moved = x[hop_length:]
            for n in range(most):
                x[n] = moved[n]
            fresh = x[most:]
            if source == 0 or source > n_stems:
                add_channels(mix[b], fresh)
            else:
                add_channels(stems[b, source - 1], fresh)
            moved = y[made:]
            for n in range(kept):
                y[n] = moved[n]
            # slices: with an index sum numba checks for negatives and LLVM does not vectorise
            zero, whole = np.float32(0.0), made - made % 4
            for n in range(0, whole, 4):  # four at once: taps are loaded once, and no sum waits
                start = most + (n + 1) * factor - reach
                x0 = x[start : start + reach]
                x1 = x[start + factor : start + factor + reach]
                x2 = x[start + 2 * factor : start + 2 * factor + reach]
                x3 = x[start + 3 * factor : start + 3 * factor + reach]
                t0, t1, t2, t3 = zero, zero, zero, zero
                for k in range(reach):
                    t0 += h[k] * x0[k]
                    t1 += h[k] * x1[k]
                    t2 += h[k] * x2[k]
                    t3 += h[k] * x3[k]
                four = y[kept + n : kept + n + 4]
                four[0], four[1], four[2], four[3] = t0, t1, t2, t3
            for n in range(whole, made):
                end = most + (n + 1) * factor
                heard = x[end - reach : end]
                total = zero
                for k in range(reach):
                    total += h[k] * heard[k]
                y[kept + n] = total


@kernel("void(float32[:, :, ::1], int64[::1], int64[::1], float32[:, ::1])", fastmath=True)
def centre(past, sources, lengths, frames):
    """The newest of some sources' past without its mean, padded with zeros.

    past : (b, n_sources, n) float32
    sources : (k,) int64, those taken; row r of frames is feed r // k, source sources[r % k]
    lengths : (k,) int64, samples taken
    frames : (>= b * k, n_padded) float32, [: b * k, :length] overwritten, the rest stays 0
    """
    taken = sources.shape[0]
    for row in range(past.shape[0] * taken):
        n_samples = lengths[row % taken]
        x = past[row // taken, sources[row % taken], past.shape[2] - n_samples :]
        mean = np.float32(0.0)
        for n in range(n_samples):
            mean += x[n]
        mean /= np.float32(n_samples)
        for n in range(n_samples):
            frames[row, n] = x[n] - mean


@kernel("void(complex64[:, ::1])")
def square_magnitude(spectra):
    """|X|^2 in place; its inverse transform is the autocorrelation.

    spectra : (rows, f) complex64, overwritten
    """
    for row in range(spectra.shape[0]):
        x = spectra[row].view(np.float32)
        for f in range(spectra.shape[1]):
            re, im = x[2 * f], x[2 * f + 1]
            x[2 * f] = re * re + im * im
            x[2 * f + 1] = np.float32(0.0)


@kernel("float64(float32[::1], int64)")
def refine(d, n):
    """Place of the parabola's top through three points around a peak."""
    curve = d[n - 1] - 2.0 * d[n] + d[n + 1]
    if curve >= 0.0:
        return float(n)
    return n + 0.5 * (d[n - 1] - d[n + 1]) / curve


@kernel("float32(float32[::1], int64)")
def crest(d, n):
    """Height of the parabola's top through three points around a peak."""
    curve = d[n - 1] - 2.0 * d[n] + d[n + 1]
    slope = d[n - 1] - d[n + 1]
    if curve >= 0.0:
        return d[n]
    return np.float32(d[n] - 0.125 * slope * slope / curve)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], int64[::1], int64[:, ::1], float32, float32[:, ::1])"
)
def normalise(frames, correlation, lengths, lags, quiet, nsdf):
    """Normalised square difference of each row, 1 where it repeats exactly.

    frames : (rows, n_padded) float32, without mean
    correlation : (rows, n_padded) float32, autocorrelation of `frames`
    lengths : (k,) int64, samples in a row; row r is of the source r % k of those taken
    lags : (rows, 2) int64, shortest and longest that matters
    quiet : mean square below which there is nothing: nsdf[:, 0] is 0
    nsdf : (rows, > longest + 1) float32, overwritten up to longest + 1

    Source: McLeod & Wyvill, A smarter way to find pitch, ICMC 2005.
    """
    for row in range(frames.shape[0]):
        n_samples = lengths[row % lengths.shape[0]]
        x, r, d = frames[row], correlation[row], nsdf[row]
        energy = float(r[0])
        d[0] = np.float32(0.0)
        if not energy > quiet * n_samples:  # also when it is no number
            continue
        both = 2.0 * energy  # double: it is a long running difference
        least = 1e-6 * energy
        d[0] = np.float32(1.0)
        for lag in range(1, lags[row, 1] + 2):
            head, foot = x[lag - 1], x[n_samples - lag]
            both -= head * head + foot * foot
            d[lag] = np.float32(max(both, least))
        for lag in range(1, lags[row, 1] + 2):
            d[lag] = np.float32(2.0) * r[lag] / d[lag]


@kernel(
    "void(float32[:, :, ::1], int64[::1], int64[::1], int64[:, ::1], float32, int64[::1],"
    "float32[:, ::1], complex64[:, ::1], float32[:, ::1], float32[:, ::1])"
)
def repeat(past, sources, lengths, lags, quiet, axis, frames, spectra, correlation, nsdf):
    """How much some sources' newest past repeats, all of it in one call: see `centre`, `normalise`.

    axis : LAST_OF_TWO
    frames, correlation : (rows, n_padded) float32; rows beyond b * k stay silent
    spectra : (rows, n_padded // 2 + 1) complex64, overwritten; powers
    nsdf : (b * k, > longest + 1) float32, overwritten
    """
    centre(past, sources, lengths, frames)
    forward(frames, spectra, axis)
    square_magnitude(spectra)
    inverse(spectra, correlation, axis)
    rows = nsdf.shape[0]
    normalise(frames[:rows], correlation[:rows], lengths, lags, quiet, nsdf)


@kernel("void(float32[:, ::1], int64[:, ::1], float32[:, ::1], float32, float64[:, :, ::1])")
def find_peaks(nsdf, lags, octave_cost, least, peaks):
    """The peaks that may be the period, the most likely ones of them.

    nsdf : (rows, lags) float32
    lags : (rows, 2) int64, shortest and longest
    octave_cost : (rows, 2) float32, cost of an octave down if the highest peak is 1, and how much
        more for each unit it is lower: noise makes long lags' peaks as high as the period's
    least : height below which a peak is none
    peaks : (rows, n_peaks, 4) float64, overwritten; lag in samples (0: no more), its binary
        logarithm, height, and the height less the cost
    """
    n_peaks = peaks.shape[1]
    for row in range(nsdf.shape[0]):
        d, found = nsdf[row], peaks[row]
        found[:] = 0.0
        if d[0] == 0.0:
            continue
        low, high = lags[row]
        lag = 1
        while lag <= high and d[lag] > 0.0:  # leave the peak at lag 0
            lag += 1
        first = max(lag, low)
        top = largest(d[first : high + 1])
        cost = octave_cost[row, 0] + octave_cost[row, 1] * (1.0 - min(float(top), 1.0))
        count, worst, octaves = 0, 0, 0.0
        for n in range(first, high + 1):
            if not (d[n] > least and d[n] >= d[n - 1] and d[n] > d[n + 1]):
                continue
            height = crest(d, n)
            # lags grow: it costs no less than the one before did
            if count == n_peaks and height - cost * octaves <= found[worst, 3]:
                continue
            place = refine(d, n)
            octaves = math.log2(place)
            score = height - cost * octaves
            slot = worst
            if count < n_peaks:
                slot = count
                count += 1
            elif score <= found[worst, 3]:
                continue
            found[slot, 0] = place
            found[slot, 1] = octaves
            found[slot, 2] = height
            found[slot, 3] = score
            if count == n_peaks:
                worst = 0
                for i in range(1, n_peaks):
                    if found[i, 3] < found[worst, 3]:
                        worst = i


@kernel(
    "void(float64[:, :, ::1], float64, float64, float64, float64, float64[:, :, ::1], int64[::1])"
)
def follow(peaks, weight, keep, jump, most, paths, chosen):
    """The end of the cheapest path through the peaks of the frames so far.

    peaks : see `find_peaks`
    weight : of this frame's heights
    keep : of the cost of earlier frames
    jump : cost of an octave's leap; a leap of more costs no more
    most : cost of a path that begins here
    paths : (rows, n_peaks, 2) float64, running; binary logarithm of the lag at each path's end (0:
        none) and its cost
    chosen : (rows,) int64, overwritten; index of the peak, -1: there is none

    Source: after P. Boersma, Accurate short-term analysis of the fundamental frequency, IFA 1993,
    section 3.  Deviation: no frame is decided later, and costs fade.
    """
    n_peaks = peaks.shape[1]
    for row in range(peaks.shape[0]):
        here, past = peaks[row], paths[row]
        cheapest = math.inf
        for i in range(n_peaks):
            if past[i, 0] > 0.0:
                cheapest = min(cheapest, past[i, 1])
        chosen[row] = -1
        best = math.inf
        for j in range(n_peaks):
            if here[j, 0] == 0.0:
                continue
            before = most
            for i in range(n_peaks):
                if past[i, 0] > 0.0:
                    leap = min(abs(here[j, 1] - past[i, 0]), 1.0)
                    before = min(before, keep * (past[i, 1] - cheapest) + jump * leap)
            total = before - weight * here[j, 3]
            here[j, 3] = total
            if total < best:
                best = total
                chosen[row] = j
        for j in range(n_peaks):
            past[j, 0] = here[j, 1] if here[j, 0] > 0.0 else 0.0
            past[j, 1] = here[j, 3]


@kernel("float64(float32[::1], float64, float64, float64)")
def sharpen(d, period, height, longest):
    """The period from the peak at its largest multiple that is still a high peak, at most longest.

    d : (lags,) float32, longer than longest + 1
    """
    multiple = 2
    while multiple * period < longest:
        near = round(multiple * period)
        if d[near - 1] > d[near]:
            near -= 1
        elif d[near + 1] > d[near]:
            near += 1
        is_peak = d[near] >= d[near - 1] and d[near] >= d[near + 1]
        if not is_peak or d[near] < 0.8 * height:
            break
        period = refine(d, near) / multiple
        multiple += 1
    return period


@kernel(
    "void(float32[:, ::1], float64[:, :, ::1], int64[::1], int64[:, ::1], int64[::1],"
    "float64[::1], float32[:, ::1], float64[::1], float64, float64, float64[::1],"
    "float32[:, :, ::1])"
)
def tell_pitch(
    nsdf, peaks, chosen, lags, sources, rates, voiced, told, slowest, agree, steady, out
):
    """Fundamental and voicing of the chosen peaks; steady tones are averaged.

    nsdf, peaks, chosen, lags : as above
    sources : (k,) int64, row r is feed r // k, source sources[r % k]
    rates : (k,) float64, Hz
    voiced : (b, n_sources) float32, voicing from which f0 is given
    told : (rows,) float64, voicing somebody else tells; negative: nobody does, the peak's height
    slowest : share of a new value in the average while it does not move
    agree : octaves off the average from which a new value replaces it
    steady : (rows,) float64, running; the average's binary logarithm of Hz, 0: none
    out : (b, n_sources, 2) float32, of these sources overwritten; f0 in Hz (0: unvoiced) and
        voicing 0 ... 1
    """
    taken = sources.shape[0]
    for row in range(nsdf.shape[0]):
        feed, source = row // taken, sources[row % taken]
        f0_hz, voicing = 0.0, 0.0
        if chosen[row] >= 0:
            height = peaks[row, chosen[row], 2]
            voicing = told[row]
            if voicing < 0.0:
                # the share of the energy that repeats; of the amplitude, as a level is heard
                voicing = math.sqrt(min(max(height, 0.0), 1.0))
            if voicing >= voiced[feed, source]:
                rate = rates[row % taken]
                longest = min(float(lags[row, 1]), 0.01 * rate)
                period = peaks[row, chosen[row], 0]
                if height > 0.0:
                    period = sharpen(nsdf[row], period, height, longest)
                pitch = math.log2(rate / period)
                off = abs(pitch - steady[row]) / agree
                if steady[row] != 0.0 and off < 1.0:
                    pitch = steady[row] + max(slowest, off * off) * (pitch - steady[row])
                steady[row] = pitch
                f0_hz = 2.0**pitch
        if f0_hz == 0.0:
            steady[row] = 0.0
        out[feed, source, 0] = np.float32(f0_hz)
        out[feed, source, 1] = np.float32(voicing)


@kernel(
    "void(float32[:, ::1], float64[:, :, ::1], float64[::1], float64[:, :, ::1], int64[::1],"
    "int64[:, ::1], int64[::1], float64[::1], float32[:, ::1], float64[::1], float64,"
    "float64[::1], float32[:, :, ::1])"
)
def decide(
    nsdf, peaks, costs, paths, chosen, lags, sources, rates, voiced, told, agree, steady, out
):
    """The peak on the cheapest path and what it says, in one call: see `follow`, `tell_pitch`.

    costs : (5,) float64; weight, keep, jump and most of `follow`, slowest of `tell_pitch`
    """
    follow(peaks, costs[0], costs[1], costs[2], costs[3], paths, chosen)
    tell_pitch(
        nsdf, peaks, chosen, lags, sources, rates, voiced, told, costs[4], agree, steady, out
    )
