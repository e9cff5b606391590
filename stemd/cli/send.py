"""`stemd send` among the verbs: it is there in `stemd --help`, and works without this package."""

from __future__ import annotations

import typer


def send(context: typer.Context) -> None:
    """Capture here, separate elsewhere: send audio to a box on the network."""
    from stemd.send.command import main

    raise typer.Exit(main(context.args))
