"""What a model must keep beyond its card: finite, causal, forgetful, deaf to its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemd.errors import ModelError
from stemd.processors.masknet import MaskNet
from stemd.processors.modelcard import CONTRACT, check_digest, check_stream, load_card, profile_of
from stemd.processors.stft import Complex64Array, Float32Array
from stemd.spec import N_CHANNELS, StreamSpec

FRAMES = 32  # 85 ms at the least: states fill, and all checks together take well under a second
TOLERANCE = 1e-4  # the contract's; products of two rows add in another order than of one


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a model was examined for."""

    name: str
    ok: bool
    found: str  # what was found, or the sentence why it is refused


def inspect(path: Path, provider: str = "auto") -> Iterator[Check]:
    """Examine one model, cheapest checks first; without a card or a graph there is no more to see.

    Parameters
    ----------
    path : Path
        The .onnx file; its .json lies beside it.
    provider : "auto", "cpu" or "cuda"
    """
    inspection = Inspection(path, provider)
    for name, check in inspection.checks().items():
        try:
            found = check()
        except ModelError as error:
            yield Check(name, False, str(error))
            if inspection.net is None:
                return
        else:
            yield Check(name, True, found)


class Inspection:
    """The checks of one model, each of which says what it found or raises ModelError.

    Masks are of noise on two feeds unless said otherwise.
    """

    def __init__(self, path: Path, provider: str) -> None:
        self._path, self._provider = path, provider
        self._card: dict[str, Any] = {}
        self.net: MaskNet | None = None  # once there is one to listen to

    def checks(self) -> dict[str, Callable[[], str]]:
        """By name, in an order in which each finds what it needs."""
        return {
            "card": self.card,
            "sha256": self.sha256,
            "graph": self.graph,
            "self-test": self.self_test,
            "finite": self.finite,
            "causal": self.causal,
            "reset": self.reset,
            "feeds": self.feeds,
        }

    def card(self) -> str:
        """Complete, and for a stream that can be."""
        card = load_card(self._path)
        profile = profile_of(self._path, card)
        self._spec = StreamSpec.of(profile, card["samplerates"][0], n_feeds=2)
        check_stream(self._path, card, self._spec)
        self._card = card
        return f"contract {CONTRACT}, profile {profile}"

    def sha256(self) -> str:
        """The file is the one described."""
        check_digest(self._path, self._card)
        return f"{self._card['sha256'][:12]}…"

    def graph(self) -> str:
        """Names, types and shapes are the contract's, and a step runs."""
        card = {field: value for field, value in self._card.items() if field != "selftest"}
        self.net = MaskNet(self._path, self._spec, self._provider, card)
        return f"{card['masks']} masks, states: {len(card['states'])}"

    def self_test(self) -> str:
        """This runtime computes what the trainer's did."""
        assert self.net is not None
        worst = self.net.self_test(self._card["selftest"])
        return f"{worst:.1e} off on {self.net.provider}"

    def finite(self) -> str:
        """No NaN or infinity, whatever a converter or a stage can send."""
        noise = self._noise(0)
        full = np.exp(1j * np.angle(noise)) * (self._spec.n_fft / 2)  # a sine in every bin
        sounds: dict[str, Any] = {
            "silence": 0 * noise,
            "noise": noise,
            "full scale": full,
            "a thousandfold of full scale": 1000 * full,
            "denormals": noise * np.float32(1e-39),
            "silence after sound": 0 * noise,
        }
        self._fresh()
        for what, frames in sounds.items():
            if not np.isfinite(self._masks(frames)).all():
                raise ModelError(
                    f"{self._where}: got a mask that is not finite on {what}, expected numbers"
                )
        return f"{len(sounds) * FRAMES} frames"

    def causal(self) -> str:
        """The same past gives the same masks, whatever follows: nothing drawn, nothing kept."""
        past, here = self._noise(1), slice(0, FRAMES // 2)
        other = np.concatenate([past[here], self._noise(2)[FRAMES // 2 :]])
        self._fresh()
        one = self._masks(past)
        self._fresh()
        two = self._masks(other)
        self._expect_equal(one[here], two[here], "masks of a past that differ with its future")
        return f"{FRAMES // 2} frames before another future"

    def reset(self) -> str:
        """A feed that was reset is new, and the other goes on."""
        assert self.net is not None
        frames, more = self._noise(3), self._noise(4)
        self._fresh()
        new = self._masks(more)
        self._fresh()
        self._masks(frames)
        unbroken = self._masks(more)
        self._fresh()
        self._masks(frames)
        self.net.reset(0)
        got = self._masks(more)
        self._expect_equal(got[:, 0], new[:, 0], "masks that remember what was before a reset")
        self._expect_equal(got[:, 1], unbroken[:, 1], "masks that a neighbour's reset changed")
        return "one feed anew, the other unbroken"

    def feeds(self) -> str:
        """What one feed hears changes no other."""
        frames = self._noise(5)
        self._fresh()
        one = self._masks(frames)
        frames[:, 1] = 100 * self._noise(6)[:, 1]
        self._fresh()
        two = self._masks(frames)
        self._expect_equal(one[:, 0], two[:, 0], "masks that hear a neighbour in the batch")
        frames[:, 1] = frames[:, 0]
        self._fresh()
        both = self._masks(frames)
        apart = self._expect_equal(both[:, 0], both[:, 1], "other masks for the second feed")
        return f"{apart:.1g} apart on the same sound"

    @property
    def _where(self) -> str:
        assert self.net is not None
        return f"{self._path.name} on {self.net.provider}"

    def _fresh(self) -> None:
        assert self.net is not None
        self.net.reset()

    def _masks(self, frames: Complex64Array) -> Float32Array:
        """Masks (t, b, s, c, f) of frames (t, b, c, f), the past as it is."""
        assert self.net is not None
        return np.stack([self.net.process(frame).copy() for frame in frames])

    def _noise(self, seed: int) -> Complex64Array:
        """Frames (t, b, c, f) of pink-ish noise with beats in it, of the size of real spectra."""
        rng = np.random.default_rng(seed)
        shape = (FRAMES, 2, N_CHANNELS, self._spec.n_bins, 2)
        slope = 20 / (1 + np.arange(self._spec.n_bins)[:, None] / 32)
        loud = 10 ** rng.uniform(-2, 1, (FRAMES, 2, 1, 1, 1))
        return (
            (rng.standard_normal(shape) * slope * loud)
            .astype(np.float32)
            .view(np.complex64)[..., 0]
        )

    def _expect_equal(self, got: Float32Array, wanted: Float32Array, what: str) -> float:
        """Largest difference; raises where it is one that could be heard, or NaN."""
        worst = float(np.max(np.abs(got - wanted)))
        if not worst <= TOLERANCE:
            raise ModelError(
                f"{self._where}: got {what} by {worst:.2g}, expected at most {TOLERANCE}"
            )
        return worst
