"""How good separated stems are, from the true ones: every number a card quotes is defined here.

All but two of them come from five sums per frame of one second and stem: of the true stem squared,
the estimate squared, their product, their difference squared, the mixture squared. In dB:

sdr      BSS Eval v4, the `SDR` of museval: frames of 1 s, median of frames, then median of tracks.
         Its distortion filters cancel out of this one ratio, which is the true stem's energy over
         that of the difference; `tests/models/test_scores.py` holds it against the package.
usdr     10 log10(sum s^2 / sum (s - e)^2) over a track, mean of tracks.
si_sdr   the same after the estimate was scaled to fit best, so loudness does not count.
leak     energy of the estimate of a stem that is absent over that of the mixture, all such frames
         together: the loud and the worst decide. Lower is better.
leak_median   the same of each frame, the median.
flicker  how fast an estimate comes and goes under a steady mixture: mean |change| of the gain
         |E| / |X| from one 11.6 ms frame to the next, in bins where the mixture sounds. Musical
         noise raises it; smearing lowers it. Read it beside the oracle's, which is the truth's.
isr, sir, sar   of BSS Eval v4, by the package itself: seconds of work for a second of audio.

Silence. A stem, or the mixture, sounds in a frame that is within 40 dB of the item's loudest frame
of the mixture; only such frames enter the medians. A stem is absent where it lies 60 dB below a
mixture that sounds; only there is there a leak. Between the two nothing is counted. Input gain
changes none of it. museval drops a frame for all stems when one of them, or one estimate, is zero
in it; we drop it for that stem alone, and an estimate of silence scores 0 dB. A track made of
several sections counts those of its sections in which the stem sounds at all.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from stemd.spec import N_STEMS, STEMS

SIGNAL, ESTIMATE, PRODUCT, ERROR, MIX = range(5)
SOUNDS = 10 ** (-40 / 10)  # of the item's loudest second of mixture: a tail below is not heard
ABSENT = 10 ** (-60 / 10)  # of the mixture in the same second
SILENCE = 1e-10  # mean square of a mixture that never sounds
FLOOR_DB = -100.0  # what a leak of nothing is called
N_FLICKER, HOP_FLICKER = 2048, 512
MAX_FLICKER = 12 * 48000  # samples of an item that are looked at
FLICKER_RANGE_DB = (-40.0, 12.0)  # beyond, nobody hears how far
METRICS = ("sdr", "usdr", "si_sdr", "leak", "leak_median", "flicker", "sir", "sar", "isr")


@dataclass
class ItemScores:
    """What one item leaves behind.

    sums : (t, s, 5) float64, the last frame may be partial
    seconds : (t,) float64, length of each frame; below 1 only in a partial last one
    samplerate : int
    flicker : (s,) float64, NaN where the stem does not sound
    bss : (3, s, t) float64 or None; isr, sir, sar, NaN where there is none
    """

    sums: np.ndarray
    seconds: np.ndarray
    samplerate: int
    flicker: np.ndarray | None = None
    bss: np.ndarray | None = None

    def power(self, which):
        """Mean square per frame and stem, (t, s)."""
        samples = self.seconds * self.samplerate * 2  # of two channels
        return self.sums[..., which] / np.maximum(samples, 1)[:, None]

    def sounds(self):
        """Frames in which a stem sounds, (t, s) bool."""
        return self.power(SIGNAL) > self._threshold()

    def absent(self):
        """Frames in which a stem is absent while the mixture sounds, (t, s) bool."""
        signal, mix = self.power(SIGNAL), self.power(MIX)
        return (mix > self._threshold()) & (signal <= ABSENT * mix)

    def _threshold(self):
        return max(SOUNDS * self.power(MIX).max(initial=0.0), SILENCE)


def measure(stems, estimates, mix, samplerate, flicker=False, bss=False):
    """Score one item.

    stems, estimates : (s, c, n); mix : (c, n)
    """
    n = mix.shape[-1]
    starts = range(0, n, samplerate)
    sums = np.zeros((len(starts), N_STEMS, 5))
    for t, start in enumerate(starts):
        here = slice(start, start + samplerate)
        s, e = (x[..., here].astype(np.float64) for x in (stems, estimates))
        sums[t, :, SIGNAL] = np.einsum("scn,scn->s", s, s)
        sums[t, :, ESTIMATE] = np.einsum("scn,scn->s", e, e)
        sums[t, :, PRODUCT] = np.einsum("scn,scn->s", s, e)
        sums[t, :, ERROR] = np.einsum("scn,scn->s", e - s, e - s)
        sums[t, :, MIX] = np.sum(mix[..., here].astype(np.float64) ** 2)
    seconds = np.array([min(samplerate, n - start) / samplerate for start in starts])
    result = ItemScores(sums, seconds, samplerate)
    sounding = result.sounds().any(0)
    if flicker:
        result.flicker = np.full(N_STEMS, np.nan)
        for s in np.flatnonzero(sounding):
            result.flicker[s] = flicker_db(estimates[s], mix)
    if bss:
        result.bss = bss_eval(stems, estimates, samplerate, sounding)
        whole = result.bss.shape[2]
        result.bss[:, ~result.sounds()[:whole].T] = np.nan
    return result


def flicker_db(estimate, mix):
    """Mean |change| of the gain from mixture to estimate per frame, in dB.

    estimate, mix : (c, n)
    """
    return flicker_of(_magnitudes(estimate), _magnitudes(mix))


def flicker_of(e, x):
    """`flicker_db` of magnitudes (t, f)."""
    loud = x > 1e-3 * x.max()
    both = loud[1:] & loud[:-1]
    if not both.any():
        return float("nan")
    gain = 20 * np.log10(np.maximum(e, 1e-9) / np.maximum(x, 1e-9))
    gain = np.clip(gain, *FLICKER_RANGE_DB)
    return float(np.abs(np.diff(gain, axis=0))[both].mean())


def _magnitudes(audio):
    """Of the middle of the stereo image, (t, f) float32."""
    middle = audio[:, :MAX_FLICKER].mean(0, dtype=np.float32)
    if middle.size < N_FLICKER:
        middle = np.pad(middle, (0, N_FLICKER - middle.size))
    frames = np.lib.stride_tricks.sliding_window_view(middle, N_FLICKER)[::HOP_FLICKER]
    window = np.hanning(N_FLICKER + 1)[:-1].astype(np.float32)
    return np.abs(np.fft.rfft(frames * window))


def bss_eval(stems, estimates, samplerate, present):
    """ISR, SIR and SAR of one-second frames by museval, (3, s, t), NaN for stems not `present`.

    Sources that are absent have no distortion filter; the others are judged without them.
    """
    n_frames = stems.shape[-1] // samplerate
    result = np.full((3, N_STEMS, n_frames), np.nan)
    which = np.flatnonzero(present)
    if not which.size or not n_frames:
        return result
    metrics = _museval_metrics()
    metrics._compute_projection_filters.forget()
    _, isr, sir, sar, _ = metrics.bss_eval(
        stems[which].transpose(0, 2, 1).astype(np.float64),
        estimates[which].transpose(0, 2, 1).astype(np.float64),
        window=samplerate,
        hop=samplerate,
        compute_permutation=False,
        filters_len=512,
        framewise_filters=False,
    )
    result[:, which] = isr, sir, sar
    return result


def has_museval():
    """Whether `bss_eval` can be had."""
    return all(importlib.util.find_spec(name) for name in ("museval", "scipy"))


@cache
def _museval_metrics():
    """The module `museval.metrics` alone: the package wants ffmpeg before it can be imported.

    It solves the same equations anew for each estimate; with their factors kept, an item takes a
    third of the time and scores the same to the last bits.
    """
    spec = importlib.util.find_spec("museval")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("museval: not installed; pip install museval, or leave out --bss")
    path = Path(spec.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._compute_projection_filters = _Projections(module)
    return module


class _Projections:
    """`museval.metrics._compute_projection_filters` that factorises one matrix once."""

    def __init__(self, metrics):
        import scipy.linalg

        self._metrics, self._linalg = metrics, scipy.linalg
        self.forget()

    def forget(self):
        """Other references from now on: an array of the same address is another one."""
        self._matrix = self._factors = None

    def __call__(self, matrix, spectra, estimate):
        """matrix : correlations of the references; spectra : theirs; estimate : (n, c)"""
        if matrix.ndim == 4:
            matrix, spectra = matrix[None, None], spectra[None]
        n_sources, n_channels, taps = matrix.shape[0], matrix.shape[2], matrix.shape[-1]
        n_fft = spectra.shape[-1]
        spectrum = np.fft.fft(estimate.T, n_fft)
        cross = np.fft.ifft(spectra[:, :, None] * spectrum.conj()).real  # (s, c, c', n)
        right = np.concatenate([cross[..., :1], cross[..., :-taps:-1]], -1)
        right = np.moveaxis(right, 3, 2).reshape(n_sources * n_channels * taps, n_channels)
        filters = self._linalg.lu_solve(self._factorised(matrix), right)
        filters = filters.reshape(n_sources, n_channels, taps, n_channels)
        return filters[0] if n_sources == 1 else filters

    def _factorised(self, matrix):
        key = (matrix.__array_interface__["data"][0], matrix.shape)
        if key != self._matrix:
            flat = self._metrics._reshape_G(matrix)
            flat = flat + np.finfo(float).eps * np.eye(len(flat))
            self._matrix, self._factors = key, self._linalg.lu_factor(flat, overwrite_a=True)
        return self._factors


def summarise(tracks):
    """All numbers of a set.

    tracks : {track: [ItemScores]}

    Returns
    -------
    {metric: {stem: dB or None, "mean": dB or None}}; metrics that were not measured are left out
    """
    parts = list(tracks.values())
    result = {
        "sdr": _over_tracks(parts, _sdr, np.median),
        "usdr": _over_tracks(parts, _usdr, np.mean),
        "si_sdr": _over_tracks(parts, _si_sdr, np.mean),
        "leak": _row([_leak([item for items in parts for item in items], s) for s in _stems()]),
        "leak_median": _row(
            [_leak_median([item for items in parts for item in items], s) for s in _stems()]
        ),
    }
    items = [item for part in parts for item in part]
    if any(item.flicker is not None for item in items):
        rows = np.array([item.flicker for item in items if item.flicker is not None])
        result["flicker"] = _row([_mean(rows[:, s]) for s in _stems()])
    if any(item.bss is not None for item in items):
        for k, name in enumerate(("isr", "sir", "sar")):
            result[name] = _over_tracks(
                [[item for item in part if item.bss is not None] for part in parts],
                lambda part, s, k=k: _median([x for item in part for x in item.bss[k, s]]),
                np.median,
            )
    return result


def _stems():
    return range(N_STEMS)


def _row(values):
    """Values per stem, None or NaN where there is none, to {stem: rounded, mean: rounded}."""
    values = [None if v is None or not np.isfinite(v) else float(v) for v in values]
    known = [v for v in values if v is not None]
    row = {stem: _rounded(v) for stem, v in zip(STEMS, values, strict=True)}
    row["mean"] = _rounded(np.mean(known)) if known else None
    return row


def _rounded(value):
    return None if value is None else round(float(value), 3)


def _mean(values):
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else None


def _median(values):
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(np.median(values)) if values.size else None


def _over_tracks(parts, score, reduce):
    row = []
    for s in _stems():
        values = [score(part, s) for part in parts]
        values = [v for v in values if v is not None]
        row.append(reduce(values) if values else None)
    return _row(row)


def _db(over, under):
    """Ratio in dB; a perfect estimate is +100 dB, as far as float32 audio can tell."""
    if over <= 0:
        return FLOOR_DB
    return float(10 * np.log10(over / max(under, 1e-10 * over)))


def _sdr(part, s):
    values = []
    for item in part:
        whole = item.sounds()[:, s] & (item.seconds == 1.0)
        values += [_db(row[SIGNAL], row[ERROR]) for row in item.sums[whole, s]]
    return _median(values)


def _pooled(part, s):
    """The five sums over the sections of a track in which the stem sounds, or None."""
    sums = [item.sums[:, s].sum(0) for item in part if item.sounds()[:, s].any()]
    return np.sum(sums, axis=0) if sums else None


def _usdr(part, s):
    sums = _pooled(part, s)
    return None if sums is None else _db(sums[SIGNAL], sums[ERROR])


def _si_sdr(part, s):
    sums = _pooled(part, s)
    if sums is None:
        return None
    fitting = sums[PRODUCT] ** 2 / sums[SIGNAL]  # energy of the part of the estimate that fits
    return _db(fitting, sums[ESTIMATE] - fitting)


def _leak(items, s):
    leaked = offered = 0.0
    for item in items:
        absent = item.absent()[:, s]
        leaked += item.sums[absent, s, ESTIMATE].sum()
        offered += item.sums[absent, s, MIX].sum()
    return max(_db(leaked, offered), FLOOR_DB) if offered else None


def _leak_median(items, s):
    values = []
    for item in items:
        rows = item.sums[item.absent()[:, s], s]
        values += [max(_db(row[ESTIMATE], row[MIX]), FLOOR_DB) for row in rows]
    return _median(values)


def oracle_gain(model, mixture, oracle):
    """Share of what the oracle gains over the mixture that a model gains, per stem and of the mean.

    Each is a row {stem: dB or None, "mean": dB} of one metric, `usdr` on the cards.
    """
    result = {}
    for key, best in oracle.items():
        got, start = model.get(key), mixture.get(key)
        known = None not in (got, start, best) and best != start
        result[key] = round((got - start) / (best - start), 3) if known else None
    return result
