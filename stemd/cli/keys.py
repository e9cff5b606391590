"""`stemd keys`: who may come from beyond this machine, and whom we trust there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemd.keys import DEFAULT_ROLES, ROLES

from .options import ConfigFile, Json, completes

keys = typer.Typer(
    help="Keys for talking beyond this machine: make, show, authorise, revoke, list, trust.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="What to call it: a word, or a host's name.")]
Key = Annotated[str, typer.Argument(help="A public key: 40 characters, as `stemd keys show` says.")]


def _roles(values: list[str] | None) -> list[str] | None:
    for value in values or ():
        if value not in ROLES:
            raise typer.BadParameter(f"got {value!r}, expected one of {', '.join(ROLES)}")
    return values


Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="ROLE",
        help=f"{', '.join(ROLES)}: audio in, stems and features out, knobs. "
        f"May be given several times; else {' and '.join(DEFAULT_ROLES)}.",
        callback=_roles,
        autocompletion=completes(ROLES),
    ),
]


@keys.command()
def generate(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Else this user's own, beside the daemon's."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the pair that is there.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Make a pair of keys and print the public one."""
    from stemd.keys import OWN_FILE, make_pair, write_pair

    target = path or _store(config).folder / OWN_FILE
    pair = make_pair()
    write_pair(target, pair, replace=overwrite)
    typer.echo(pair.public)


@keys.command()
def show(config: ConfigFile = None, as_json: Json = False) -> None:
    """Print the public keys of this machine: the daemon's, and this user's own.

    Those that are missing are made. Secret keys are never printed.
    """
    from stemd.keys import fingerprint

    from .printing import print_json

    store = _store(config)
    pairs = {"daemon": store.server().public, "own": store.own().public}
    if as_json:
        found = {n: {"key": k, "fingerprint": fingerprint(k)} for n, k in pairs.items()}
        print_json({"folder": str(store.folder), **found})
        return
    for name, key in pairs.items():
        typer.echo(f"{name:7} {key}  {fingerprint(key)}")


@keys.command()
def authorise(name: Name, key: Key, role: Roles = None, config: ConfigFile = None) -> None:
    """Let a key in, from its next connection on. Who had that name or key is replaced."""
    entry = _store(config).authorise(name, key, role or DEFAULT_ROLES)
    typer.echo(f"{entry.name} may {_said(entry.roles)}")


@keys.command()
def revoke(
    who: Annotated[str, typer.Argument(help="Name or public key.", metavar="NAME")],
    config: ConfigFile = None,
) -> None:
    """Take a key off the list; a daemon that runs ends its connections within a second."""
    for entry in _store(config).revoke(who):
        typer.echo(f"{entry.name or entry.key} may nothing any more")


@keys.command("list")
def list_(config: ConfigFile = None, as_json: Json = False) -> None:
    """Print who may come, and which daemons are trusted from here."""
    from stemd.keys import fingerprint

    from .printing import console, print_json, table

    store = _store(config)
    clients, daemons = store.clients().values(), store.daemons().values()
    if as_json:
        print_json(
            {
                "clients": [
                    {"name": e.name, "key": e.key, "roles": sorted(e.roles)} for e in clients
                ],
                "daemons": [{"name": e.name, "key": e.key} for e in daemons],
                "complaints": store.complaints(),
            }
        )
        return
    rows: Any = table("name", "may", "key", "fingerprint")
    for e in clients:
        rows.add_row(e.name, _said(e.roles), e.key, fingerprint(e.key))
    for e in daemons:
        rows.add_row(e.name, "be trusted", e.key, fingerprint(e.key))
    if rows.row_count:
        console().print(rows)
    else:
        typer.echo(f"{store.folder}: nobody is on the lists")
    for line in store.complaints():
        typer.echo(line, err=True)


@keys.command()
def trust(
    name: Annotated[str, typer.Argument(help="Name or address the daemon is reached by.")],
    key: Key,
    config: ConfigFile = None,
) -> None:
    """Remember the key of a daemon elsewhere, so that commands need no --key."""
    _store(config).trust(name, key)
    typer.echo(f"{name} is trusted when it has this key")


def _store(config: Path | None) -> Any:
    """The keys a daemon with this configuration uses."""
    from stemd.config import load_config
    from stemd.keys import KeyStore

    return KeyStore(load_config(config).security.folder if config else None)


def _said(roles: frozenset[str]) -> str:
    return ", ".join(role for role in ROLES if role in roles)
