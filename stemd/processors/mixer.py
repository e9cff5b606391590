"""Gain, mute and solo of each stem, without clicks."""

from __future__ import annotations

import numpy as np

from stemd.kernels.ramp import apply_gains
from stemd.processors.stft import Float32Array
from stemd.spec import N_STEMS, StreamSpec

RAMP_MS = 20.0  # the longest that still feels immediate; a click needs less than 5 ms


class Mixer:
    """Scale the stems in place; unity gain does not change a bit.

    Latency:  none.
    """

    latency = 0

    def __init__(self, spec: StreamSpec) -> None:
        shape = (spec.n_feeds, N_STEMS)
        n_ramp = max(1, spec.samples(RAMP_MS))
        # raised cosine, from just after 0 to just before 1
        self._ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, n_ramp + 1) / (n_ramp + 1))).astype(
            np.float32
        )
        self._gain = np.ones(shape, np.float32)
        self._mute = np.zeros(shape, np.bool_)
        self._solo = np.zeros(shape, np.bool_)
        self._start = np.ones(shape, np.float32)
        self._target = np.ones(shape, np.float32)
        self._place = np.full(shape, n_ramp, np.int64)

    def process(self, stems: Float32Array) -> None:
        """Scale the next hop.

        Parameters
        ----------
        stems : (b, s, c, n) float32
            Scaled in place; any n.
        """
        apply_gains(stems, self._start, self._target, self._place, self._ramp)

    def set_gain(self, stem: int, gain: float, feed: int | None = None) -> None:
        """Linear gain of a stem, in one feed or all; reached after 20 ms."""
        self._gain[_which(feed), stem] = gain
        self._aim()

    def set_mute(self, stem: int, on: bool, feed: int | None = None) -> None:
        """Silence a stem or give it back; its gain is remembered."""
        self._mute[_which(feed), stem] = on
        self._aim()

    def set_solo(self, stem: int, on: bool, feed: int | None = None) -> None:
        """While any stem of a feed is solo, only those of it are heard; mute still mutes."""
        self._solo[_which(feed), stem] = on
        self._aim()

    def settle(self) -> None:
        """Be where the settings want it, at once: nothing was heard yet."""
        self._start[:] = self._target
        self._place[:] = len(self._ramp)

    def reset(self, feed: int | None = None) -> None:
        """All gains 1 at once, nothing muted, nothing solo."""
        which = _which(feed)
        self._gain[which] = self._start[which] = self._target[which] = 1.0
        self._mute[which] = self._solo[which] = False
        self._place[which] = len(self._ramp)

    def _aim(self) -> None:
        """Start ramps from wherever the gains are now to where the settings want them."""
        any_solo = self._solo.any(axis=1, keepdims=True)
        heard = ~self._mute & (self._solo | ~any_solo)
        wanted = np.where(heard, self._gain, np.float32(0.0))
        moved = wanted != self._target
        reached = np.append(self._ramp, np.float32(1.0))[np.maximum(self._place - 1, 0)]
        reached = np.where(self._place >= len(self._ramp), 1.0, reached)
        reached = np.where(self._place == 0, 0.0, reached)
        now = self._start + (self._target - self._start) * reached
        self._start = np.where(moved, now, self._start).astype(np.float32)
        self._target = wanted.astype(np.float32)
        self._place = np.where(moved, 0, self._place)


def _which(feed: int | None) -> slice | int:
    return slice(None) if feed is None else feed
