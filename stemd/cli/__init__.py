"""The `stemd` command: one small file per verb, and the only room that prints."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from .app import app

    app(prog_name="stemd")
