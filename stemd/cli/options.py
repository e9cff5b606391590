"""Options that several verbs share, spelled once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

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
Host = Annotated[str, typer.Option("--host", metavar="NAME", help="Where the daemon runs.")]
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
