"""How verbs print: plain JSON for programs, rich text for people."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def console(out: Any = None, err: bool = False) -> Console:
    """A console, on stdout or `out`, that guesses nothing about what is printed."""
    from rich.console import Console

    return Console(file=out, stderr=err, highlight=False)


def table(*columns: str) -> Table:
    """An empty table; a column name that starts with `>` is aligned to the right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    return made


def print_json(value: Any, indent: int | None = 2, out: Any = None) -> None:
    """Print for programs, to stdout or `out`; one line when `indent` is None."""
    out = out or sys.stdout
    out.write(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")
    out.flush()


def decibels(linear: float, floor_db: float = -120.0) -> float:
    """dBFS of a linear level, never below the floor."""
    return max(20 * math.log10(linear), floor_db) if linear > 0 else floor_db


def note_name(f0_hz: float) -> str:
    """Name of the nearest equal-tempered note at A4 = 440 Hz, and the cents it is off."""
    if f0_hz <= 0 or not math.isfinite(f0_hz):
        return ""
    midi = 69 + 12 * math.log2(f0_hz / 440.0)
    nearest = math.floor(midi + 0.5)
    return f"{NOTES[nearest % 12]}{nearest // 12 - 1} {round(100 * (midi - nearest)):+d}"


@contextlib.contextmanager
def progress(name: str, wanted: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while somebody looks."""
    if not wanted or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(escape(name)), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console(err=True), transient=True
    ) as bar:
        task = bar.add_task(name)
        yield lambda done, total: bar.update(task, completed=done, total=total)
