"""Options that several verbs share, spelled once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from stemd.spec import PROFILES


def one_of(names: Collection[str]) -> Callable[[str | None], str | None]:
    """Callback that refuses anything else, in the words of a usage error."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"got {value!r}, expected one of {', '.join(names)}")
        return value

    return check


def completes(names: Collection[str]) -> Callable[[str], list[str]]:
    """What the shell offers for a beginning."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def choice(option: str, names: Collection[str], help_text: str) -> typer.models.OptionInfo:
    """An option that takes one of a few names."""
    made: typer.models.OptionInfo = typer.Option(
        option,
        metavar="NAME",
        help=f"{help_text}: {', '.join(names)}.",
        callback=one_of(names),
        autocompletion=completes(names),
    )
    return made


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="TOML file; without one, the defaults."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key, e.g. --set source.device=Scarlett; may be given many times.",
    ),
]
Profile = Annotated[str | None, choice("--profile", PROFILES, "Latency against quality")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ModelName = Annotated[
    str, typer.Option("--model", metavar="NAME", help="A released model or an .onnx file.")
]
PROVIDERS = ("auto", "cpu", "cuda")
Provider = Annotated[str, choice("--provider", PROVIDERS, "Where the model runs")]
Samplerate = Annotated[int, typer.Option("--samplerate", min=8000, help="Of the stream, Hz.")]
Feeds = Annotated[
    int, typer.Option("--feeds", min=1, max=64, help="How many are separated at once.")
]
FIND = "auto"
Host = Annotated[
    str,
    typer.Option(
        "--host", metavar="NAME", help=f"Where the daemon runs; {FIND}: the one on the network."
    ),
]
Port = Annotated[int, typer.Option("--port", help="The control port there.", min=1, max=65_535)]
Feed = Annotated[
    str | None, typer.Option("--feed", metavar="NAME", help="Of several; else the first.")
]
Key = Annotated[
    str,
    typer.Option(
        "--key", metavar="KEY", help="The daemon's public key; else what stemd keys trust knows."
    ),
]
Identity = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="Our pair of keys; else this user's own."),
]
CONTROL_PORT = 5572


def located(host: str, port: int, key: str) -> dict[str, Any]:
    """Arguments of `connect`: as given, or those of the one daemon the network tells of.

    Raises
    ------
    ProtocolError
        When there is none, or more than one, or one whose key we do not know.
    """
    if host != FIND:
        return {"host": host, "control_port": port, "key": key}
    from stemd.discovery import find_one
    from stemd.errors import ProtocolError
    from stemd.keys import KeyStore

    box, store = find_one(), KeyStore()
    key = key or store.key_of(print_of=box.key)
    # Whoever trusts some daemon means that one, and nobody else that calls itself one.
    if not key and (box.key or store.daemons()):
        raise ProtocolError(
            f"{box.name}: got the key {box.key or 'of nobody'}, which is not trusted, "
            f"expected stemd keys trust {box.address} KEY before"
        )
    return {"host": box.address, "control_port": box.port, "key": key}
