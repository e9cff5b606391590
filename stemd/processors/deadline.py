"""A model that may be late: in its own thread, and the audio never waits past a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

import numpy as np

from stemd.errors import ModelError
from stemd.processors.masknet import MaskNet
from stemd.processors.presence import PresentNet
from stemd.processors.stft import Complex64Array, Float32Array
from stemd.spec import N_CHANNELS, StreamSpec

CATCH_UP = 2  # older frames that may wait beside the newest before the oldest is dropped
CLOSE_S = 2.0  # a model that does not return in this time is left to die with the process

T = TypeVar("T")


class DeadlineModel:
    """Run a model beside the audio; masks in time or None.

    Frames reach the model in order. While it stalls, up to two wait and are caught up, so that its
    state sees all of them; beyond that the oldest waiting frame is dropped and counted.

    Parameters
    ----------
    model : MaskNet
        Touched by our thread only, from now on.
    spec : StreamSpec
    budget_s : float
        Time a frame may take when `process` is given no deadline.
    clock : () -> float
        Seconds, monotonic; deadlines are on it.
    on_start : () -> object or None
        Called once in the thread before the first frame, e.g. `flush_denormals`.

    Attributes
    ----------
    late, skipped : int
        Frames whose masks were not in time; frames the model never saw. Since start.
    unanswered : int
        Frames in a row during which none was finished, the newest included.
    failed : str
        What the model raised; it is treated as absent from then on. Empty while it works.
    last_step_s : float
        Time the model took for the newest frame it finished.
    """

    latency = 0

    def __init__(
        self,
        model: MaskNet | PresentNet,
        spec: StreamSpec,
        budget_s: float,
        clock: Callable[[], float] = time.monotonic,
        on_start: Callable[[], object] | None = None,
    ) -> None:
        self.complex_masks = model.complex_masks
        self.late = 0
        self.skipped = 0
        self.unanswered = 0
        self.failed = ""
        self.last_step_s = 0.0
        self._model = model
        self._budget_s = budget_s
        self._clock = clock
        self._on_start = on_start
        shape = (spec.n_feeds, N_CHANNELS, spec.n_bins)
        # one frame in work, CATCH_UP waiting, the newest
        self._frames = [np.zeros(shape, np.complex64) for _ in range(CATCH_UP + 2)]
        # deque.append and popleft are atomic, SimpleQueue wakes its reader: no lock of ours
        self._free = deque(range(len(self._frames)))
        self._waiting: deque[tuple[int, int]] = deque()  # sequence, slot
        self._commands: deque[Callable[[], None]] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, Float32Array | None]] = SimpleQueue()
        self._sequence = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def process(
        self, spectra: Complex64Array, deadline: float | None = None
    ) -> Float32Array | None:
        """Hand over the newest frame and wait for its masks until the deadline.

        Parameters
        ----------
        spectra : (b, c, f) complex64
            Copied.
        deadline : float or None
            On `clock`; None is `budget_s` from now.

        Returns
        -------
        masks : (b, s, c, f[, 2]) float32 or None
            The model's own array, untouched until the next call. None: late, failed or closed.
        """
        if self.failed or self._closing:
            return None
        until = self._clock() + self._budget_s if deadline is None else deadline
        self._sequence += 1
        self.unanswered += 1
        slot = self._slot()
        np.copyto(self._frames[slot], spectra)
        self._waiting.append((self._sequence, slot))
        self._wake.put(None)
        while True:
            try:
                sequence, masks = self._done.get(timeout=max(until - self._clock(), 0.0))
            except Empty:
                self.late += 1
                return None
            self.unanswered = 0
            if sequence == self._sequence:
                return masks

    def reset(self, slot: int | None = None) -> None:
        """Forget one feed's past, or every feed's, before the next frame; does not wait."""
        self._commands.append(lambda: self._model.reset(slot))
        self._wake.put(None)

    def export_state(self, slot: int) -> bytes:
        """See `MaskNet.export_state`. Waits for the frame in work: not for the audio's thread."""
        return self._call(lambda: self._model.export_state(slot))

    def import_state(self, slot: int, data: bytes) -> None:
        """See `MaskNet.import_state`. Waits for the frame in work: not for the audio's thread."""
        self._call(lambda: self._model.import_state(slot, data))

    @property
    def threads(self) -> tuple[int, ...]:
        """Native id of our thread, for who sets priorities."""
        return (self._thread.native_id,) if self._thread.native_id else ()

    def close(self) -> None:
        """End the thread after the frame in work."""
        self._closing = True
        self._wake.put(None)
        self._thread.join(CLOSE_S)

    def _slot(self) -> int:
        """A frame buffer to write to; the oldest waiting frame's if too many wait."""
        if len(self._waiting) > CATCH_UP:
            try:
                _, slot = self._waiting.popleft()
            except IndexError:  # the thread was faster and took them all
                return self._free.popleft()
            self.skipped += 1
            return slot
        return self._free.popleft()

    def _call(self, function: Callable[[], T]) -> T:
        """Run `function` in the thread, between frames."""
        answer: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

        def command() -> None:
            try:
                answer.put((function(), None))
            except ModelError as error:
                answer.put((None, error))

        self._commands.append(command)
        self._wake.put(None)
        while True:
            try:
                result, error = answer.get(timeout=0.1)
                break
            except Empty:
                if not self._thread.is_alive():
                    reason = self.failed or "a closed one"
                    raise ModelError(f"model: got {reason}, expected a running one") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _run(self) -> None:
        if self._on_start is not None:
            self._on_start()
        while True:
            self._wake.get()
            if self._closing:
                return
            try:
                while self._commands:
                    self._commands.popleft()()
                while (work := self._oldest()) is not None:
                    self._step(*work)
            except Exception as error:  # whatever it is, the audio goes on dry
                self.failed = f"{type(error).__name__}: {error}"
                self._done.put((self._sequence, None))
                return

    def _oldest(self) -> tuple[int, int] | None:
        try:
            return self._waiting.popleft()
        except IndexError:  # nothing waits, or the audio dropped it before us
            return None

    def _step(self, sequence: int, slot: int) -> None:
        started = self._clock()
        masks = self._model.process(self._frames[slot])
        self.last_step_s = self._clock() - started
        self._free.append(slot)
        self._done.put((sequence, masks))
