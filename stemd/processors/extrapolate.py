"""What is heard where a network lost something: the last period again, for a while."""

from __future__ import annotations

import numpy as np

from stemd.processors.seam import raised_cosine
from stemd.processors.stft import Float32Array

HISTORY_MS = 30.0
TEMPLATE_MS = 5.0
SHORTEST_MS, LONGEST_MS = 2.5, 20.0  # period looked for
HOLD_MS = 20.0  # longer, and one hears the repetition instead of the music
FADE_MS = 5.0
JOIN_MS = 1.0  # between repetitions


class Extrapolator:
    """Fill holes in one stream; samples in, as many samples out.

    The period is where the past resembles its own end most. It is repeated for 20 ms, faded out in
    5 ms; then there is silence. What comes after a hole is faded in over 5 ms, while what was
    invented fades out.

    Parameters
    ----------
    samplerate, channels : int

    Latency:  none.
    Source:   ITU-T G.711 Appendix I, 1999. Deviation: no delay, so the join to the past is a ramp
              over the difference instead of an overlap.
    """

    latency = 0

    def __init__(self, samplerate: int, channels: int) -> None:
        def samples(ms: float) -> int:
            return max(1, round(ms * 1e-3 * samplerate))

        self._template = samples(TEMPLATE_MS)
        self._shortest, self._longest = samples(SHORTEST_MS), samples(LONGEST_MS)
        self._join = samples(JOIN_MS)
        fade, hold = samples(FADE_MS), samples(HOLD_MS)
        self._past = np.zeros((samples(HISTORY_MS), channels), np.float32)
        self._fade_in = raised_cosine(fade)[:, None]
        self._gain = np.concatenate([np.ones((hold, 1), np.float32), self._fade_in[::-1]])
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._past.fill(0.0)
        self._period = self._past[:1]
        self._invented = 0  # of this hole; 0: there is none
        self._faded = len(self._fade_in)  # of the way back
        self._level = self._gain[0]

    @property
    def returning(self) -> bool:
        """The next good block is changed."""
        return self._invented > 0

    def process(self, block: Float32Array) -> bool:
        """Take good audio; True when it was changed, in place, because a hole came before it.

        block : (n, c) float32

        What was invented goes on as loud as it was when the hole ended, so that both together are.
        """
        changed = False
        if self._invented:
            changed = True
            n = min(len(block), len(self._fade_in) - self._faded)
            rise = self._fade_in[self._faded : self._faded + n]
            block[:n] *= rise
            block[:n] += self._continued(n) * (1.0 - rise) * self._level
            self._faded += n
            if self._faded == len(self._fade_in):
                self._invented = 0
        self._remember(block)
        return changed

    def conceal(self, n: int) -> Float32Array:
        """The next `n` samples of a hole, (n, c) float32."""
        if not self._invented or self._faded:  # or on the way back from the hole before
            self._invented = 0
            self._period = self._find_period()
        self._faded = 0
        at = self._invented + np.arange(n + 1)
        gain = self._gain[np.minimum(at, len(self._gain) - 1)]
        gain[at >= len(self._gain)] = 0.0
        out: Float32Array = self._continued(n) * gain[:-1]
        self._level = gain[-1]
        self._remember(out)
        return out

    def _continued(self, n: int) -> Float32Array:
        """The period from where it stopped, as loud as it was."""
        index = self._invented + np.arange(n)
        out: Float32Array = self._period[index % len(self._period)].copy()
        start = index < self._join
        if start.any():
            ramp = (1.0 - index[start] / self._join).astype(np.float32)[:, None]
            out[start] += self._step * ramp
        self._invented += n
        return out

    def _find_period(self) -> Float32Array:
        past = self._past
        mono = past.sum(axis=1, dtype=np.float64)
        template = mono[-self._template :]
        # resemblance of the template to what lies `lag` earlier, shortest lag last
        reach = mono[-self._template - self._longest : -self._shortest]
        match = np.correlate(reach, template, "valid")
        power = np.cumsum(np.concatenate([[0.0], reach**2]))
        energy = power[self._template :] - power[: -self._template]
        best = int(np.argmax(match / np.sqrt(energy + 1e-9)))
        lag = self._longest - best
        period = past[-lag:].copy()
        join = min(self._join, lag // 2)
        rise = ((np.arange(join) + 0.5) / join).astype(np.float32)[:, None]
        before = past[-lag - join : -lag]
        period[-join:] = period[-join:] * (1 - rise) + before * rise
        self._step = past[-1] - past[-lag - 1]
        return period

    def _remember(self, block: Float32Array) -> None:
        n = min(len(block), len(self._past))
        self._past[:-n] = self._past[n:].copy()
        self._past[-n:] = block[len(block) - n :]
