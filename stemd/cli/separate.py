"""`stemd separate`: files instead of a microphone, through the same streaming code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stemd.spec import PROFILES

from .options import Json, ModelName, Provider, choice

FORMATS = ("wav", "flac")


def separate(
    files: Annotated[
        list[Path], typer.Argument(help="Sound files, mono or stereo.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="song.wav goes to DIR/song/vocals.wav …"
        ),
    ],
    profile: Annotated[str, choice("--profile", PROFILES, "Latency against quality")] = "quality",
    model: ModelName = "default",
    provider: Provider = "auto",
    file_format: Annotated[str, choice("--format", FORMATS, "32-bit float or 24-bit")] = "wav",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace stems that are there already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Separate sound files into vocals, drums, bass and other.

    Stems are aligned to the file, as long as it is, and add up to it. A file that fails does not
    stop the others; the exit code is that of the first failure.
    """
    from stemd.errors import StemdError

    from .offline import separate_file
    from .printing import console, print_json, progress

    names = [file.stem for file in files]
    for file in files:
        if names.count(file.stem) > 1:
            raise typer.BadParameter(f"two files would both go to {output / file.stem}")
    models = Models(model, profile, provider)
    err = console(err=True)
    exit_code, results = 0, []
    for file in files:
        start_s = time.monotonic()
        try:
            with progress(file.name, not as_json) as advance:
                done = separate_file(
                    file, output, models.get, profile, file_format, overwrite, advance
                )
        except StemdError as error:
            typer.echo(f"stemd: {error}", err=True)
            exit_code = exit_code or error.exit_code
            results.append({"file": str(file), "ok": False, "error": str(error)})
            continue
        took_s = time.monotonic() - start_s
        length_s = done.n_samples / done.samplerate
        results.append(
            {
                "file": str(file),
                "ok": True,
                "stems": {stem: str(path) for stem, path in done.stems.items()},
                "samplerate": done.samplerate,
                "n_samples": done.n_samples,
                "clipped": done.clipped,
                "model": models.names,
                "took_s": round(took_s, 3),
            }
        )
        if not as_json:
            err.print(
                f"{file} -> {output / file.stem}  {length_s:.1f} s in {took_s:.1f} s, "
                f"{', '.join(models.names)}",
                markup=False,
                soft_wrap=True,
            )
        if done.clipped:
            err.print(f"{file}: {done.clipped} samples were cut at full scale; wav keeps them")
    if as_json:
        print_json(results)
    raise typer.Exit(exit_code)


class Models:
    """The model for each rate, loaded when the first file needs it."""

    def __init__(self, name: str, profile: str, provider: str) -> None:
        self._name, self._profile, self._provider = name, profile, provider
        self._loaded: dict[int, Any] = {}

    def get(self, spec: Any) -> Any:
        """The model for this spec; its past is forgotten.

        Raises
        ------
        ModelError
        """
        from stemd.processors.catalogue import find_model
        from stemd.processors.masknet import MaskNet

        if spec.samplerate not in self._loaded:
            path = find_model(self._name, self._profile)
            self._loaded[spec.samplerate] = MaskNet(path, spec, self._provider)
        return self._loaded[spec.samplerate]

    @property
    def names(self) -> list[str]:
        """Name and provider of what is loaded."""
        return sorted({f"{net.name} on {net.provider}" for net in self._loaded.values()})
