"""`stemd find`: which boxes a network has."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json


def find(
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long to listen.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Look for running daemons on the network.

    Only those are found that are bound beyond loopback. A fingerprint proves nothing by itself:
    compare it with what `stemd keys show` says on the box. Exit code 106 when nobody is there.
    """
    from rich.text import Text

    from stemd.discovery import find as look
    from stemd.errors import EXIT_NO_DAEMON
    from stemd.keys import KeyStore

    from .printing import console, print_json, table

    here = look(timeout_s=seconds)
    store = KeyStore()
    if as_json:
        print_json([{**f.to_dict(), "trusted": bool(store.key_of(print_of=f.key))} for f in here])
    elif here:
        rows = table("name", "address", "control", "rate", "feeds", "key")
        for f in here:
            key = f.key and f"{f.key} {'trusted' if store.key_of(print_of=f.key) else 'unknown'}"
            cells = (f.name, f.address, str(f.port), *map(f.properties.get, ("rate", "feeds")))
            rows.add_row(*(Text(cell or "") for cell in cells), Text(key or "asks for none"))
        console().print(rows)
    else:
        typer.echo(f"nobody was found in {seconds:g} s", err=True)
    raise typer.Exit(0 if here else EXIT_NO_DAEMON)
