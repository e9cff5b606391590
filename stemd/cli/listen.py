"""`stemd listen`: hear a stem of a daemon that runs elsewhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Annotated, Any

import typer

from stemd.spec import SOURCES, STEMS

from .options import CONTROL_PORT, Feed, Host, Identity, Json, Key, Port, located

STEP_S = 0.1
SAY_S = 1.0
RARELY_S = 10.0  # when nothing changed
WORRYING = ("underruns", "overruns", "late", "filled", "lost", "skipped", "sessions", "alive")


def _stems(value: str) -> str:
    names = value.split("+")
    if names != ["mix"] and (set(names) - set(STEMS) or len(set(names)) < len(names)):
        raise typer.BadParameter(f"got {value!r}, expected one of {', '.join(SOURCES)}, or a+b")
    return value


def listen(
    stem: Annotated[
        str,
        typer.Argument(
            help=f"One of {', '.join(SOURCES)}, or several stems as a+b.",
            callback=_stems,
            show_default=False,
        ),
    ],
    device: Annotated[
        str, typer.Option("--device", help="Part of an output's name; else the default.")
    ] = "",
    host_api: Annotated[
        str, typer.Option("--host-api", help="Part of its name: ALSA, JACK, WASAPI …")
    ] = "",
    margin_ms: Annotated[
        float,
        typer.Option(
            "--margin-ms", min=0.0, max=500.0, help="Cushion for a late network; Wi-Fi wants 60."
        ),
    ] = 10.0,
    opus: Annotated[
        bool, typer.Option("--opus", help="Over a narrow way: a 20th of the data, and not exact.")
    ] = False,
    feed: Feed = None,
    host: Host = "127.0.0.1",
    port: Port = CONTROL_PORT,
    key: Key = "",
    identity: Identity = None,
    as_json: Json = False,
) -> None:
    """Play a stem of a running daemon on an output device here.

    The device's clock is followed, a lost network is silence, and audio that comes too late is
    dropped and counted. Ends on SIGINT or SIGTERM.
    """
    from stemd import realtime
    from stemd.client import connect
    from stemd.errors import EXIT_OK, StemdError
    from stemd.listener import Listener

    wanted: dict[str, Any] = {"stems": (), "mix": True}
    if stem != "mix":
        wanted = {"stems": tuple(stem.split("+"))}
    client = connect(feed=feed, identity=identity, opus=opus, **located(host, port, key), **wanted)
    code = EXIT_OK
    try:
        realtime.enter("play", realtime=True, lock_memory=False)
        listener = Listener(client, device, host_api, margin_ms)
        _play(listener, stem, as_json)
    except StemdError as error:
        typer.echo(f"stemd: {error}", err=True)
        code = error.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # PortAudio's own ending hangs where a sound server died


def _play(listener: Any, stem: str, as_json: bool) -> None:
    """Until somebody asks for the end."""
    from .printing import print_json

    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: asked.append(number))
    told: dict[str, Any] = {}
    said_s = 0.0
    while not asked:
        listener.step(STEP_S)
        now_s = time.monotonic()
        if now_s - said_s < SAY_S:
            continue
        counters = listener.counters()
        changed = [name for name in WORRYING if counters[name] != told.get(name)]
        if as_json:
            print_json(counters, indent=None)
        elif changed or now_s - said_s > RARELY_S:
            typer.echo(_line(stem, counters), err=True)
        else:
            continue
        told, said_s = counters, now_s
    if not as_json:
        typer.echo(_line(stem, listener.counters()), err=True)


def _line(stem: str, c: dict[str, Any]) -> str:
    """The counters for people."""
    cushion_ms = 1e3 * c["fill"] / c["samplerate"]
    wrong = [f"{c[name]} {name}" for name in WORRYING[:-2] if c[name]]
    state = "" if c["alive"] else "nothing comes; "
    return (
        f"{stem} to {c['device']}: {state}{c['played'] / c['samplerate']:.0f} s, "
        f"cushion {cushion_ms:.1f} ms, {c['ppm']:+.0f} ppm, {', '.join(wrong) or 'nothing lost'}"
    )
