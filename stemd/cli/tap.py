"""`stemd tap`: record one stem of a running daemon into a file."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemd.spec import SOURCES

from .options import CONTROL_PORT, Feed, Host, Identity, Key, Port, completes, located, one_of

if TYPE_CHECKING:
    from stemd.client import Client

ENDINGS = (".wav", ".flac")
SILENT_S = 5.0  # a daemon that sends nothing for so long is gone


def tap(
    stem: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(SOURCES)}; mix is the input, as late as the stems.",
            callback=one_of(SOURCES),
            autocompletion=completes(SOURCES),
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help=".wav (32-bit float) or .flac."),
    ],
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.0, help="Else until SIGINT.")
    ] = None,
    feed: Feed = None,
    host: Host = "127.0.0.1",
    port: Port = CONTROL_PORT,
    key: Key = "",
    identity: Identity = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Record one stem of a running daemon.

    What was lost on the way is silence in the file, and counted.
    """
    from stemd.client import connect
    from stemd.errors import DeviceError

    if output.suffix.lower() not in ENDINGS:
        raise typer.BadParameter(f"{output}: expected a name that ends in {' or '.join(ENDINGS)}")
    if output.exists() and not overwrite:
        raise DeviceError(f"{output}: got a file that exists, expected none (--overwrite)")
    wanted: dict[str, Any] = {"stems": (), "mix": True} if stem == "mix" else {"stems": (stem,)}
    wanted |= {**located(host, port, key), "identity": identity}
    # A file does not mind what comes late, and is as long as the stream was.
    wanted |= {"budget_s": math.inf, "fill_s": math.inf}
    with connect(feed=feed, **wanted) as client:
        n_samples = _record(client, output, seconds)
        counters = client.counters
        sys.stderr.write(
            f"{output}: {n_samples / client.samplerate:.2f} s of {stem}, "
            f"{counters.filled} samples filled, {counters.lost} lost\n"
        )


def _record(client: Client, output: Path, seconds: float | None) -> int:
    """Write until enough, until SIGINT or SIGTERM, or until the daemon is gone; samples written."""
    import soundfile

    from stemd.errors import DeviceError, ProtocolError
    from stemd.sinks.soundfiles import TrackFile

    end = _End()
    samplerate = client.samplerate
    left = sys.maxsize if seconds is None else round(seconds * samplerate)
    ending = output.suffix.lower()
    unfinished = output.with_name(f".{output.stem}.unfinished-{os.getpid()}{ending}")
    written = 0
    heard_s = time.monotonic()
    try:
        unfinished.unlink(missing_ok=True)  # of a process that had our id and was killed
        with contextlib.closing(TrackFile(unfinished, samplerate, None)) as file:
            while written < left and not end.asked:
                block = client.read_block(timeout_s=0.1)
                if block is None:
                    if time.monotonic() - heard_s > SILENT_S:
                        break
                    continue
                heard_s = time.monotonic()
                if block.samplerate != samplerate:
                    sys.stderr.write(f"the stream is now at {block.samplerate} Hz: ending here\n")
                    break
                audio = block.mix if block.mix is not None else block.stems[0]
                taken = audio[:, : left - written]
                file.write(taken.T)
                written += taken.shape[1]
        if written == 0:
            raise ProtocolError(f"{client.host}: got no audio in {SILENT_S:g} s, expected some")
        os.replace(unfinished, output)
    except (OSError, soundfile.LibsndfileError) as error:
        if written:  # it plays as far as there was room
            with contextlib.suppress(OSError):
                os.replace(unfinished, output)
        raise DeviceError(f"{output}: got {error}, expected to write there") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return written


class _End:
    """Whether somebody asked for the end: what was recorded until then is kept."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True
