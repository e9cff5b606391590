"""Writes docs/api.md from the docstrings: `python scripts/api.py`; a test compares."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "api.md"
HEAD = """# Python API

Written by `python scripts/api.py` from the docstrings; do not edit. Shapes are of NumPy arrays.
`from stemd import …` for the first part, `from stemd.client import …` for the second.
"""
PARTS = {
    "In your own process": ("stemd", ("Separator", "Daemon", "load_config", "StemdError")),
    "A client of a running daemon": (
        "stemd.client",
        ("connect", "Client", "StemBlock", "Features", "Event", "Counters"),
    ),
}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, (module, names) in PARTS.items():
        parts.append(f"## {title}\n")
        home = importlib.import_module(module)
        for name in names:
            parts += entry(f"{module}.{name}", getattr(home, name))
    return "\n".join(parts)


def entry(name: str, thing: Any) -> list[str]:
    """A function, or a class with what is public of it."""
    lines = [f"### `{name}`\n", *described(thing, name.rpartition(".")[2])]
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            value = getattr(value, "__func__", value)
            if member.startswith("_") or not inspect.getdoc(value):
                continue
            if isinstance(value, property):
                lines += [f"#### `.{member}`\n", f"{inspect.getdoc(value)}\n"]
            elif inspect.isfunction(value):
                lines += [f"#### `.{member}`\n", *described(value, member)]
    return lines


def described(thing: Any, name: str) -> list[str]:
    """Signature and docstring."""
    lines = []
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        # Annotations are kept as text, which is printed in quotes; defaults are values.
        signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
        signature = re.sub(r"\((self|cls)(, |(?=\)))", "(", signature)
        lines.append(f"```python\n{name}{signature}\n```\n")
    text = inspect.getdoc(thing) or ""
    first, _, rest = text.partition("\n\n")
    lines.append(f"{first}\n")
    if rest:
        lines.append(f"```text\n{rest}\n```\n")
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
