"""All verbs under one name, and the one place where an error becomes a sentence and an exit code.

`stemd --help` answers at once: a verb imports what it works with when it runs.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stemd import __version__
from stemd.errors import StemdError

from .bench import bench
from .check import check
from .devices import devices
from .doctor import doctor
from .export import export
from .find import find
from .keys import keys
from .listen import listen
from .models import models
from .monitor import monitor
from .run import run
from .send import send
from .separate import separate
from .tap import tap

EPILOG = (
    "Exit codes: 0 well, 1 crash, 2 usage, 101 configuration, 102 gave up, 103 forced, "
    "104 model, 105 device or file, 106 no daemon."
)


class Door(TyperGroup):
    """Errors raised on purpose leave as one sentence on stderr; all others as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StemdError as error:
            typer.echo(f"stemd: {error}", err=True)
            raise typer.Exit(error.exit_code) from error


app = typer.Typer(
    cls=Door,
    help="Split live audio into vocals, drums, bass and other, while it sounds.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"stemd {__version__}")
        raise typer.Exit


@app.callback()
def stemd(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and leave.")
    ] = False,
) -> None:
    pass


for verb in (run, check, devices, separate, export, tap, listen, monitor, bench, doctor, find):
    app.command()(verb)
app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(send)
app.add_typer(models, name="models")
app.add_typer(keys, name="keys")
