"""Tempo and beats: a filter over all periods and phases at once, and a pendulum that follows it."""

from __future__ import annotations

import math

import numpy as np

from stemd.kernels.jit import kernel
from stemd.kernels.reduce import sum_of

SPREAD = 6  # frames a period may change by from beat to beat
NEAR = 3  # frames: periods this close to the likeliest are the same tempo
FADE = 0.1  # share of belief lost per beat in silence: half of it in 7 beats


@kernel(
    "void(float32[:, :, ::1], int64, float32[:, :, ::1], int64, float32[::1], float32,float64[::1])"
)
def deep_rise(levels, column, past, oldest, weights, knee, rise):
    """Log rise of the mix's low bands above the louder of the two oldest hops, weighted.

    levels : (b, source, features) float32; the bands' from `column` on
    past : (n_past, b, n_bands) float32; the hop at `oldest` is overwritten with the levels
    oldest : place of the hop n_past hops ago
    weights : (n_bands,) float32
    knee : magnitude below which levels are linear rather than logarithmic
    rise : (b,) float64, overwritten
    """
    after = (oldest + 1) % past.shape[0]
    for b in range(rise.shape[0]):
        rise[b] = 0.0
        for band in range(weights.shape[0]):
            level = levels[b, 0, column + band]
            before = max(past[oldest, b, band], past[after, b, band])
            if level > before:
                rise[b] += weights[band] * math.log((level + knee) / (before + knee))
            past[oldest, b, band] = level


@kernel(
    "int64(float32[:, ::1], float32[::1], float64[::1], int64, int64, int64, float64[::1],"
    "float64[:, ::1], int64[::1])"
)
def gather(flux, weights, rise, hop_length, frame_length, fill, sums, frames, done):
    """Novelty of hops to means over frames of fixed length; samples in the unfinished frame.

    flux : (b, source) float32
    weights : (source,) float32
    rise : (b,) float64, counts beside the flux
    fill : samples in the unfinished frame
    sums : (b,) float64, running; of that frame
    frames : (n, b) float64, the first ones overwritten
    done : (1,) int64, overwritten; how many
    """
    done[0] = 0
    left = hop_length
    while left > 0:
        take = min(left, frame_length - fill)
        for b in range(flux.shape[0]):
            total = rise[b]
            for source in range(flux.shape[1]):
                total += weights[source] * flux[b, source]
            if 0.0 <= total < 1e3:  # what is no number is no news
                sums[b] += total * take / frame_length
        fill += take
        left -= take
        if fill == frame_length:
            for b in range(flux.shape[0]):
                frames[done[0], b] = sums[b]
                sums[b] = 0.0
            done[0] += 1
            fill = 0
    return fill


@kernel("float64(float64, float64[::1], float64, float64)")
def standardise(value, stats, share, floor):
    """A frame's novelty in standard deviations above its mean, -1 ... 3.

    stats : (5,) float64, running: weight, mean, mean square, the same of late; overwritten:
        activity 0 ... 1
    share : of the newest frame in the mean
    floor : deviation below which nothing is heard
    """
    # weighted, so that the first seconds are as good as the rest
    stats[0] += share * (1.0 - stats[0])
    stats[1] += share * (value - stats[1])
    stats[2] += share * (value * value - stats[2])
    mean = stats[1] / stats[0]
    deviation = math.sqrt(max(stats[2] / stats[0] - mean * mean, 0.0))
    # a break is noticed sooner than it changes what is usual
    apart = (value - mean) * (value - mean)
    stats[3] += min(4.0 * share, 1.0) * (apart - stats[3])
    late = math.sqrt(stats[3])
    stats[4] = late / (late + floor)
    return min(max((value - mean) / (deviation + floor), -1.0), 3.0)


@kernel("void(float32[::1], int64, int64, int64, int64[::1])")
def spread_evenly(posterior, shortest, first, last, offsets):
    """Belief in no period of first ... last more than in another; none in the others.

    posterior : (n_states,) float32, overwritten
    shortest : period of the first states, frames
    first, last : periods, frames
    offsets : (n_periods + 1,) int64
    """
    posterior[:] = 0.0
    for period in range(first, last + 1):
        i = period - shortest
        for k in range(offsets[i], offsets[i + 1]):
            posterior[k] = np.float32(1.0 / (period * (last - first + 1)))


@kernel("void(float32[::1], int64, int64[::1], int64[::1], int64[::1])")
def change_range(posterior, shortest, old, new, offsets):
    """Give up the periods outside a new range, admit a little belief in those that it adds.

    posterior : (n_states,) float32, running
    shortest : period of the first states, frames
    old : (2,) int64, running; first and last period with belief
    new : (2,) int64
    offsets : (n_periods + 1,) int64
    """
    for i in range(offsets.shape[0] - 1):
        period = shortest + i
        was = old[0] <= period <= old[1]
        shall = new[0] <= period <= new[1]
        if was != shall:
            little = np.float32(1e-6 if shall else 0.0)
            for k in range(offsets[i], offsets[i + 1]):
                posterior[k] = little
    old[0], old[1] = new[0], new[1]


@kernel("void(float32[::1], int64, int64[::1], int64[::1], int64, float64, float64)")
def believe(posterior, shortest, bounds, offsets, time, period, phase):
    """Belief in one period and phase, as taps give them, and 1 % in all others.

    posterior : (n_states,) float32, overwritten
    shortest : period of the first states, frames
    bounds : (2,) int64, first and last period with belief
    offsets : (n_periods + 1,) int64
    time : frames since start
    period : frames
    phase : 0 ... 1, now
    """
    spread_evenly(posterior, shortest, bounds[0], bounds[1], offsets)
    total = 0.0
    for turn in range(2):
        for length in range(bounds[0], bounds[1] + 1):
            begin = offsets[length - shortest]
            # taps are about 2 % right in their period, 20 ms in their phase
            off_period = (length - period) / max(0.02 * period, 1.0)
            for place in range(length):
                off = place / length - phase
                off = (off - math.floor(off + 0.5)) * period / 2.0
                weight = math.exp(-0.5 * (off * off + off_period * off_period))
                if turn == 0:
                    total += weight
                else:
                    k = begin + (place - time) % length
                    posterior[k] = np.float32(0.01 * posterior[k] + 0.99 * weight / total)
        if total == 0.0:
            return


@kernel(
    "void(float64, float64, float32[::1], int64, int64[::1], int64[::1], int64, float64[:, ::1],"
    "float64[::1], float32[:, ::1], float64[::1], float64[:, ::1], float64[::1])"
)
def advance(
    novelty,
    activity,
    posterior,
    shortest,
    bounds,
    offsets,
    time,
    change,
    prior,
    circle,
    strength,
    scratch,
    heard,
):
    """One frame of the filter, and the tempo and phase it finds likeliest.

    Each state is a period and a place in it. A state's belief stays in one slot, and its place is
    slot + time modulo period, so that only the slots at a beat, and half-way, are touched.

    novelty : standardised
    activity : 0 ... 1, how much is heard
    posterior : (n_states,) float32, running; belief, the slots of each period together
    shortest : period of the first states, frames
    bounds : (2,) int64, first and last period with belief
    offsets : (n_periods + 1,) int64, first slot of each period
    time : frames since start
    change : (n_periods, 2 SPREAD + 1) float64, probability of the next beat's period
    prior : (n_periods,) float64, logarithm of the usual tempo's preference, per second
    circle : (2, n_states) float32, cosine and sine of slot / period
    strength : (4,) float64: weight of evidence at the beat per second, of it half-way, share of
        belief that begins anew at each beat, frames per second
    scratch : (3, n_periods) float64, overwritten
    heard : (3,) float64, overwritten: period in frames, phase 0 ... 1, belief in both 0 ... 1

    Source:   Krebs, Böck, Widmer, An efficient state-space model for joint tempo and meter
              tracking, ISMIR 2015, run forwards only. Deviation: evidence counts by the second and
              not by the beat, so that fast tempi gain nothing by having more beats.
    """
    leaving, entering, mass = scratch
    first, last = bounds[0] - shortest, bounds[1] - shortest
    total = 0.0
    for i in range(first, last + 1):
        at = (-time) % (shortest + i)
        mass[i] = at  # where its beat is, until the belief in it takes this place
        leaving[i] = posterior[offsets[i] + at]
        total += leaving[i]
        entering[i] = 0.0
    for i in range(first, last + 1):
        low, high = max(i - SPREAD, first), min(i + SPREAD, last) + 1
        into, likely = entering[low:high], change[i, low - i + SPREAD : high - i + SPREAD]
        for k in range(into.shape[0]):
            into[k] += likely[k] * leaving[i]
    # what nothing confirms is forgotten within some seconds
    lost = strength[2] + FADE * (1.0 - activity)
    anew = lost * total / (last - first + 1)
    total = 0.0
    # evidence grows with the period: by one factor from each to the next
    step = 0.5 * strength[0] * novelty / strength[3]
    outer, more = math.exp(step * bounds[0]), math.exp(step)
    step *= strength[1]
    outer_half, more_half = math.exp(step * bounds[0]), math.exp(step)
    for i in range(first, last + 1):
        period = shortest + i
        slots = posterior[offsets[i] : offsets[i + 1]]
        entry = (1.0 - lost) * entering[i] + anew
        at = int(mass[i])
        slots[at] = np.float32(entry * math.exp(prior[i] * (period / strength[3]) * activity))
        # the newest five places after the beat, the middle of them where flux is expected
        half = at + period // 2
        half = half - period if half >= period else half
        for place in range(5):
            edge = place == 0 or place == 4
            slots[at] *= np.float32(outer if edge else outer * outer)
            slots[half] *= np.float32(outer_half if edge else outer_half * outer_half)
            at = at + 1 if at + 1 < period else 0
            half = half + 1 if half + 1 < period else 0
        outer *= more
        outer_half *= more_half
        inside = sum_of(slots)
        mass[i] = inside
        total += float(inside)
    if not (1e-30 < total < 1e30):
        spread_evenly(posterior, shortest, bounds[0], bounds[1], offsets)
        heard[2] = 0.0
        return
    scale = np.float32(1.0 / total)
    best, likeliest = -1.0, first
    for i in range(first, last + 1):
        slots = posterior[offsets[i] : offsets[i + 1]]
        for k in range(slots.shape[0]):
            slots[k] *= scale
        near = mass[i]
        near += mass[i - 1] if i > first else 0.0
        near += mass[i + 1] if i < last else 0.0
        if near > best:
            best, likeliest = near, i
    x, y, weight, periods = 0.0, 0.0, 0.0, 0.0
    for i in range(max(likeliest - NEAR, first), min(likeliest + NEAR, last) + 1):
        period = shortest + i
        c, s = np.float32(0.0), np.float32(0.0)
        for k in range(offsets[i], offsets[i + 1]):
            c += posterior[k] * circle[0, k]
            s += posterior[k] * circle[1, k]
        angle = 2.0 * math.pi * (time % period) / period
        x += float(c) * math.cos(angle) - float(s) * math.sin(angle)
        y += float(c) * math.sin(angle) + float(s) * math.cos(angle)
        weight += mass[i]
        periods += mass[i] * period
    heard[0] = periods / weight
    phase = math.atan2(y, x) / (2.0 * math.pi)
    heard[1] = phase - math.floor(phase)
    heard[2] = min(math.sqrt(x * x + y * y), 1.0)


@kernel(
    "void(int32[::1], float64[:, ::1], float64[::1], int64[:, ::1], int64, int64, int64,"
    "int64[:, ::1])"
)
def restrict(lock, pendulum, kept, bounds, shortest, longest, frame_length, wanted):
    """Where each feed's tempo may be: in its range, or near the one it is locked to.

    lock : (b,) int32, not 0: the tempo stays
    pendulum : (b, 4) float64, running; its period in samples, see `swing`
    kept : (b,) float64, running; samples, the period a lock is on, 0: none yet
    bounds : (b, 2) int64, frames; first and last period of the range
    shortest, longest : frames; of all periods
    frame_length : samples
    wanted : (b, 2) int64, overwritten; first and last period
    """
    for b in range(lock.shape[0]):
        if lock[b] == 0:
            kept[b] = 0.0
        elif kept[b] == 0.0:
            kept[b] = pendulum[b, 0]
        elif pendulum[b, 0] > 0.0:
            pendulum[b, 0] = kept[b]
        period = int(kept[b] / frame_length)
        if kept[b] > 0.0:
            wanted[b, 0] = max(period - 1, shortest)
            wanted[b, 1] = min(period + 2, longest)
        else:
            wanted[b, 0], wanted[b, 1] = bounds[b, 0], bounds[b, 1]


@kernel(
    "void(float64[:, ::1], int64, int64, float64, float64, float64[:, ::1], float32[:, ::1],"
    "int64, int64[:, ::1], int64[:, ::1], int64[::1], float64[:, ::1], float64[::1],"
    "float32[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1])"
)
def listen(
    frames,
    done,
    time,
    share,
    floor,
    stats,
    posterior,
    shortest,
    bounds,
    wanted,
    offsets,
    change,
    prior,
    circle,
    strength,
    scratch,
    heard,
):
    """Each feed's newest frames through its filter.

    frames : (n, b) float64; `done` of them are new
    time : frames since start, at the first of them
    share, floor, stats (b, 5) : see `standardise`
    posterior : (b, n_states) float32, running
    bounds, wanted : (b, 2) int64; periods that have belief, running, and that shall have it
    heard : (b, 3) float64, overwritten if a frame is new
    the others : see `advance`
    """
    for b in range(frames.shape[1]):
        if bounds[b, 0] != wanted[b, 0] or bounds[b, 1] != wanted[b, 1]:
            change_range(posterior[b], shortest, bounds[b], wanted[b], offsets)
        for t in range(done):
            novelty = standardise(frames[t, b], stats[b], share, floor)
            advance(
                novelty,
                stats[b, 4],
                posterior[b],
                shortest,
                bounds[b],
                offsets,
                time + t,
                change,
                prior,
                circle,
                strength,
                scratch,
                heard[b],
            )


@kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], int32[::1], float64[::1],"
    "float64[::1], int64, float32[:, :, ::1])"
)
def swing(heard, stats, pendulum, lock, lengths, follow, column, out):
    """Move each feed's pendulum by a hop, towards what its filter hears; it never turns back.

    heard : (b, 3) float64, see `advance`; of the newest whole frame
    stats : (b, 5) float64, see `standardise`
    pendulum : (b, 4) float64, running: period in samples (0: none yet), phase 0 ... 1, beats,
        samples since something was heard
    lock : (b,) int32; not 0: the period stays
    lengths : (5,) float64, samples: frame, hop, unfinished frame, detection delay, second
    follow : (7,) float64: belief that starts and moves the pendulum, below which it swings freely;
        samples of silence that stop it; pull per beat; share of the newest period per hop; ratio of
        periods from which it is another tempo, and the belief that takes
    column : of tempo_bpm in `out`; confidence, beat, phase and count follow
    out : (b, source, features) float32, the mix's five columns overwritten
    """
    frame, hop, unfinished, delay, second = lengths
    for b in range(heard.shape[0]):
        period, phase, count, quiet = pendulum[b]
        quiet = quiet + hop if stats[b, 4] < 0.1 else 0.0
        belief = heard[b, 2]
        heard_period = heard[b, 0] * frame
        started = False
        if belief > follow[0]:
            started = period == 0.0
            off = abs(heard_period / period - 1.0) if period > 0.0 else 1.0
            near = off <= follow[5]
            if started or (lock[b] == 0 and not near and belief > follow[6]):
                period = heard_period
            elif lock[b] == 0 and near:
                period += follow[4] * (heard_period - period)
        elif quiet > follow[2]:
            period, phase = 0.0, 0.0
        row = out[b, 0]
        beat = 0.0
        if period > 0.0:
            target = heard[b, 1] + (unfinished + delay) / period
            if started:
                phase = target - math.floor(target) - hop / period
            error = target - phase - hop / period
            error -= math.floor(error + 0.5)
            # the phase of another tempo is none of ours
            heed = belief > follow[1] and abs(heard_period / period - 1.0) <= follow[5]
            pull = follow[3] * belief * error if heed else 0.0
            # at most half as fast again: a beat can come early or late, not twice or never
            phase += hop / period * (1.0 + min(max(pull, -0.5), 0.5))
            if phase >= 1.0:
                phase -= math.floor(phase)
                beat = 1.0
                count += 1.0
        pendulum[b, 0], pendulum[b, 1] = period, phase
        pendulum[b, 2], pendulum[b, 3] = count, quiet
        row[column] = np.float32(60.0 * second / period if period > 0.0 else 0.0)
        row[column + 1] = np.float32(belief)
        row[column + 2] = np.float32(beat)
        row[column + 3] = np.float32(max(phase, 0.0))
        row[column + 4] = np.float32(count)
