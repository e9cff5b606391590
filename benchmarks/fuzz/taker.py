"""Bytes of a fuzzer, spent as choices: numbers, names, text. Out of bytes, everything is zero."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

WHOLE = (0, 1, 2, -1, 127, 255, 4096, 48_000, 65_536, 2**31 - 1, 2**31, 2**53, 2**62, 2**63, 2**64)
REAL = (0.0, -0.0, 0.5, 1.0, -1.0, 1e-30, 1e9, 3.5e38, 1e308, float("inf"), float("nan"))
WORDS = ("", "a", "main", "vocals", "drums", "mix", "..", "127.0.0.1", "127.0.0.1:9700", "/stemd",
         "[::1]:1", "x" * 300, "é", "\ud800", "\0", "\n", "9" * 5000)  # fmt: skip


class Taker:
    """Spends `data` from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes."""
        return max(len(self._data) - self._at, 0)

    def turns(self, most: int) -> Iterator[int]:
        """So many at most, and none without a byte to spend on it."""
        for turn in range(most):
            if not self.left:
                return
            yield turn

    def bytes(self, n: int) -> bytes:
        """The next `n`, or as many as there are."""
        found = self._data[self._at : self._at + n]
        self._at += n
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self.bytes(self.left)

    def byte(self) -> int:
        """0..255."""
        return int.from_bytes(self.bytes(1), "little")

    def number(self, n_bytes: int = 4, signed: bool = False) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.bytes(n_bytes), "little", signed=signed)

    def pick(self, choices: Sequence[T]) -> T:
        """One of up to 65536."""
        wide = 2 if len(choices) > 256 else 1
        return choices[self.number(wide) % len(choices)]

    def chance(self, out_of: int) -> bool:
        """Once in so many; never when there are no bytes left."""
        return self.byte() % out_of == out_of - 1

    def piece(self) -> bytes:
        """A run of bytes that says itself how long it is."""
        return self.bytes(self.number(2) % 2048)

    def text(self) -> str:
        """A word somebody knows, or any."""
        if self.chance(2):
            return self.bytes(self.byte()).decode("utf-8", "surrogateescape")
        return self.pick(WORDS)

    def real(self) -> float:
        """A float, seldom a usual one."""
        if self.chance(2):
            return float(struct.unpack("<d", self.bytes(8).ljust(8, b"\0"))[0])
        return self.pick(REAL)

    def whole(self) -> int:
        """An int of any size."""
        if self.chance(2):
            return self.number(1 + self.byte() % 9, signed=True)
        if self.chance(16):
            return 10 ** (self.byte() * 20)
        return self.pick(WHOLE)

    def value(self, depth: int = 0) -> Any:
        """What JSON can say."""
        kind = self.byte() % (8 if depth < 4 else 6)
        if kind < 2:
            return self.text()
        if kind == 2:
            return self.whole()
        if kind == 3:
            return self.real()
        if kind < 6:
            return (True, False, None)[self.byte() % 3]
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.byte() % 5)]
        return {self.text(): self.value(depth + 1) for _ in range(self.byte() % 4)}

    def changed(self, value: Any, depth: int = 0) -> Any:
        """A copy of a JSON value, here and there something else; as it is when bytes run out."""
        if not self.left:
            return value
        what = self.byte()
        if what < 24:
            return self.value()
        if isinstance(value, dict):
            copy = {}
            for key, inner in value.items():
                how = self.byte()
                if how < 8:
                    continue
                copy[self.text() if how < 12 else key] = self.changed(inner, depth + 1)
            if what > 240:
                copy[self.text()] = self.value()
            return copy
        if isinstance(value, list) and len(value) < 64:
            copy_ = [self.changed(inner, depth + 1) for inner in value]
            return copy_ if what < 240 else [*copy_, self.value()]
        return value


def as_json(value: Any) -> bytes:
    """A value in JSON; `{}` for what Python does not write."""
    try:
        return json.dumps(value).encode()
    except ValueError:  # integers of more than 4300 digits
        return b"{}"


def deep(n: int, brackets: str = "[]") -> str:
    """JSON that is nested `n` deep."""
    return brackets[0] * n + brackets[1] * n


def check_sentence(said: str, most: int = 1500) -> None:
    """What a person is told is one line of printable text that says what was got."""
    assert 0 < len(said) <= most, f"a sentence of {len(said)} characters"
    assert "\n" not in said, f"a sentence of several lines: {said[:200]!r}"
