"""`stemd export`: a take for a DJ's program, as one stem file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, choice

CODECS = ("aac", "alac")


def export(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="Takes, or what stemd separate wrote: DIR/song.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to; without it, into the take."),
    ] = None,
    codec: Annotated[str, choice("--codec", CODECS, "Small, or lossless in 24 bits")] = "aac",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace stem files that are there already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a take as .stem.mp4: mix, drums, bass, other and vocals in one file for DJs.

    One file for each feed. A folder that fails does not stop the others; the exit code is that of
    the first failure.
    """
    from stemd.errors import DeviceError, StemdError
    from stemd.sinks.stemfile import ENDING, songs_of, write_stem_file

    from .printing import console, print_json, progress

    err = console(err=True)
    exit_code, results = 0, []
    for folder in folders:
        try:
            for song in songs_of(folder):
                target = (output or folder) / (song.name + ENDING)
                if target.exists() and not overwrite:
                    raise DeviceError(
                        f"{target}: got a file that exists, expected none (--overwrite)"
                    )
                with progress(target.name, not as_json) as advance:
                    clipped = write_stem_file(song, target, codec, advance)
                results.append(
                    {
                        "folder": str(folder),
                        "ok": True,
                        "file": str(target),
                        "samplerate": song.samplerate,
                        "n_samples": song.n_samples,
                        "clipped": clipped,
                    }
                )
                if not as_json:
                    err.print(f"{folder} -> {target}", markup=False, soft_wrap=True)
                if clipped:
                    err.print(f"{target}: {clipped} samples were cut at full scale", markup=False)
        except StemdError as error:
            typer.echo(f"stemd: {error}", err=True)
            exit_code = exit_code or error.exit_code
            results.append({"folder": str(folder), "ok": False, "error": str(error)})
    if as_json:
        print_json(results)
    raise typer.Exit(exit_code)
