"""A feature becomes a control from 0 to 1: curve, range, gate, attack and release."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemd.errors import ConfigError
from stemd.kernels.follow import follow
from stemd.processors.stft import Float32Array

CURVES = ("linear", "db", "log")  # "db": 20 log10 of an amplitude; "log": octaves, for Hz
MIN_SPAN = 0.05  # of the range: history never zooms in further, or hiss would fill it


@dataclass(frozen=True, slots=True)
class Follow:
    """How one value becomes a control.

    The value goes through `curve`, `low` .. `high` become 0 .. 1 (clipped), to the power of
    `exponent`; below `threshold` it counts as 0; attack and release smooth what is left.

    Parameters
    ----------
    low, high : float
        Range, after the curve: dB where the curve is "db", else the value's own unit.
    curve : str
        A name in `CURVES`.
    exponent : float
        2 leaves small values small, 0.5 lifts them.
    attack_ms, release_ms : float
        Time to 63 % of a rise, of a fall; 0: at once.
    history_s : float
        0: the range is fixed. Else it closes in, within this time, on what values there are, and
        opens at once; values at or below `low` are silence and teach nothing.
    threshold, hysteresis : float
        The gate opens at `threshold` (0..1, 0: always open), closes below threshold - hysteresis.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    low: float = 0.0
    high: float = 1.0
    curve: str = "linear"
    exponent: float = 1.0
    attack_ms: float = 0.0
    release_ms: float = 0.0
    history_s: float = 0.0
    threshold: float = 0.0
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        if self.curve not in CURVES:
            raise ConfigError(f"curve: got {self.curve!r}, expected one of {', '.join(CURVES)}")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"range: got {self.low} .. {self.high}, expected low < high")
        if self.curve == "log" and self.low <= 0.0:
            raise ConfigError(f"range: got {self.low} on a log curve, expected above 0")
        if not 0.05 <= self.exponent <= 20.0:
            raise ConfigError(f"exponent: got {self.exponent}, expected 0.05 .. 20")
        for name in ("attack_ms", "release_ms", "history_s"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected 0 or more")
        for name in ("threshold", "hysteresis"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected 0 .. 1")


# What a feature usually does, so that it fills 0 .. 1; what is not here is 0 .. 1 already.
_DB = Follow(-60.0, 0.0, "db")
_USUAL = {
    "rms": _DB,
    "peak": _DB,
    "f0_hz": Follow(55.0, 1760.0, "log"),
    "note": Follow(24.0, 96.0),
    "lufs": Follow(-60.0, 0.0),
    "crest_db": Follow(0.0, 24.0),
    "centroid_hz": Follow(100.0, 10000.0, "log"),
    "chord": Follow(0.0, 24.0),
    "tempo_bpm": Follow(60.0, 200.0),
}


def usual(feature: str) -> Follow:
    """Curve and range that suit a feature of `spec.FEATURES`; change them with `replace`."""
    return _USUAL.get(feature, _DB if feature.startswith("band_") else Follow())


class Follower:
    """Many values, each followed its own way.

    Parameters
    ----------
    follows : sequence of Follow
        One per value.

    Attributes
    ----------
    controls : (n,) float32
        0..1, as of the last `process`; owned by the follower.
    gate : (n,) bool
        Open now. It is decided before attack and release: a trigger is not late.
    edge : (n,) int8
        1 where the gate opened in the last `process`, -1 where it closed, else 0.
    """

    latency = 0

    def __init__(self, follows: Sequence[Follow]) -> None:
        n = len(follows)
        self._curve = np.array([CURVES.index(f.curve) for f in follows], np.int64).reshape(n)
        limits = [
            (math.log2(f.low), math.log2(f.high)) if f.curve == "log" else (f.low, f.high)
            for f in follows
        ]
        self._limits = _columns(limits, 2)
        self._shape = _columns(
            [
                (
                    f.exponent,
                    f.threshold,
                    max(f.threshold - f.hysteresis, 0.0),
                    MIN_SPAN * (high - low),
                )
                for f, (low, high) in zip(follows, limits, strict=True)
            ],
            4,
        )
        self._times_s = _columns(
            [(f.attack_ms * 1e-3, f.release_ms * 1e-3, f.history_s) for f in follows], 3
        )
        self._dt_s = 0.0
        self._step = np.zeros((3, n), np.float32)
        self._learned = self._limits.copy()
        self.controls = np.zeros(n, np.float32)
        self.gate = np.zeros(n, np.bool_)
        self.edge = np.zeros(n, np.int8)
        self.reset()

    def process(self, values: Float32Array, dt_s: float) -> Float32Array:
        """Take the next values.

        Parameters
        ----------
        values : (n,) float32
            What is NaN or infinite leaves its control where it is.
        dt_s : float
            Seconds since the last call: a hop, or a tick.

        Returns
        -------
        controls : (n,) float32
            The attribute of that name.
        """
        if dt_s != self._dt_s:
            self._set_dt(dt_s)
        follow(
            values,
            self._curve,
            self._limits,
            self._shape,
            self._step,
            self._learned,
            self.gate,
            self.edge,
            self.controls,
        )
        return self.controls

    def learned_range(self) -> npt.NDArray[np.float32]:
        """(2, n) float32: low and high that history has found, after the curve."""
        return self._learned.copy()

    def reset(self, index: int | None = None) -> None:
        """Forget one value's past, or every value's; ranges open again."""
        which = slice(None) if index is None else index
        self._learned[:, which] = self._limits[:, which]
        self.controls[which] = 0.0
        self.gate[which] = self._shape[1, which] <= 0.0
        self.edge[which] = 0

    def _set_dt(self, dt_s: float) -> None:
        self._dt_s = dt_s
        with np.errstate(divide="ignore"):
            self._step[:] = -np.expm1(-dt_s / self._times_s)
        self._step[2, self._times_s[2] == 0.0] = 0.0  # no history: the range is fixed


def _columns(rows: Sequence[tuple[float, ...]], width: int) -> Float32Array:
    """One row per value to one column per value."""
    return np.ascontiguousarray(np.array(rows, np.float32).reshape(len(rows), width).T)
