"""`stemd check`: would this configuration run, and what does it mean in full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Json, Overrides


def check(
    file: Annotated[Path, typer.Argument(help="A TOML file.", show_default=False)],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Check a configuration and print it with all defaults filled in.

    Exit code 101 and a sentence with file, line and key when it would be refused.
    """
    from stemd.config import load_config

    from .printing import print_json

    config = load_config(file, overrides or ())
    if as_json:
        print_json(config.to_dict())
    else:
        typer.echo(to_toml(config.to_dict()), nl=False)


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """TOML of nested tables with text, numbers, truths and lists: all a Config has."""
    lines, tables = [], []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            tables.append(f"\n[{name}]\n{to_toml(value, f'{name}.')}")
        elif isinstance(value, tuple | list) and value and isinstance(value[0], dict):
            tables += [f"\n[[{name}]]\n{to_toml(item, f'{name}.')}" for item in value]
        else:
            lines.append(f"{key} = {_value(value)}\n")
    return "".join(lines + tables)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(map(_character, value)) + '"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _character(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    return c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}"
