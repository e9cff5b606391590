"""The state of one processor into another of its kind, made elsewhere for the same stream.

Arrays are copied into the arrays that are there: processors keep views of their own memory, which
would come apart if one were simply put in the other's place (or through `pickle`).
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from ..spec import StreamSpec

_VALUES = (int, float, complex, str, bytes, type(None), np.generic)


def transplant(source: Any, target: Any) -> None:
    """Let `target` go on where `source` is.

    Parameters
    ----------
    source, target : objects of one class, made with the same arguments
        `target` gets copies; its arrays stay where they are.
    """
    _move(source, target, set())


def _move(source: Any, target: Any, seen: set[int]) -> Any:
    """What belongs in `target`'s place: `target` itself wherever its inside could be changed."""
    if isinstance(source, _VALUES) or type(source) is not type(target):
        return source
    if id(target) in seen:
        return target
    seen.add(id(target))
    if isinstance(target, np.ndarray):
        if source.shape != target.shape:
            return source
        if target.flags.writeable:
            np.copyto(target, source)
        return target
    if isinstance(target, deque):
        target.clear()
        target.extend(source)
        return target
    if isinstance(target, list):
        same = len(source) == len(target)
        target[:] = [
            _move(s, t, seen) for s, t in zip(source, target, strict=True)
        ] if same else source  # fmt: skip
        return target
    if isinstance(target, tuple):
        same = len(source) == len(target)
        if same and not hasattr(target, "_fields"):
            return tuple(_move(s, t, seen) for s, t in zip(source, target, strict=True))
        return source
    if isinstance(target, dict):
        for key, value in source.items():
            target[key] = _move(value, target.get(key), seen)
        for key in [key for key in target if key not in source]:
            del target[key]
        return target
    if callable(target) or isinstance(target, StreamSpec):
        return target
    for name in _fields(source):
        there = getattr(target, name, None)
        value = _move(getattr(source, name), there, seen)
        if value is not there:
            setattr(target, name, value)
    return target


def _fields(thing: Any) -> list[str]:
    names = [*getattr(thing, "__dict__", ())]
    for cls in type(thing).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return [n for n in names if n not in ("__dict__", "__weakref__") and hasattr(thing, n)]
