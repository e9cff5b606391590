"""`stemd monitor`: the view of `stemd run`, of a daemon that runs elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemd.spec import SOURCES

from .options import CONTROL_PORT, Feed, Host, Identity, Json, Key, Port, located

if TYPE_CHECKING:
    from stemd.client import Client

PICTURE_S = 0.1
STATUS_S = 1.0


def monitor(
    host: Host = "127.0.0.1",
    port: Port = CONTROL_PORT,
    feed: Feed = None,
    key: Key = "",
    identity: Identity = None,
    once: Annotated[bool, typer.Option("--once", help="Print one status and leave.")] = False,
    as_json: Json = False,
) -> None:
    """Watch a running daemon.

    The view waits for a daemon that went away; ends on SIGINT. With --json one line of status a
    second, until the daemon ends.
    """
    from stemd.client import connect

    with connect(feed=feed, identity=identity, **located(host, port, key)) as client:
        if as_json:
            _lines(client, once)
        else:
            _watch(client, once)


def _lines(client: Client, once: bool) -> None:
    from .printing import print_json

    while True:
        print_json(_status(client), indent=None)
        if once:
            return
        time.sleep(STATUS_S)


def _status(client: Client) -> dict[str, Any]:
    status = client.status()
    return {key: value for key, value in status.items() if key not in ("ok", "op", "id")}


def _watch(client: Client, once: bool) -> None:
    from rich.live import Live

    from stemd.errors import ProtocolError

    from .printing import console
    from .view import Meters, picture

    screen = console()
    meters = Meters(1)
    status, asked_s = _status_of_feed(client), time.monotonic()
    with Live(console=screen, auto_refresh=False) as live:
        while True:
            _hear(client, meters, time.monotonic() + PICTURE_S)
            now_s = time.monotonic()
            if now_s - asked_s >= STATUS_S:
                asked_s = now_s
                try:
                    status = _status_of_feed(client)
                except ProtocolError as error:
                    status = {**status, "state": "GONE", "reason": str(error)}
            meters.fall(now_s)
            live.update(
                picture(status, meters, _about(client), now_s, screen.width),
                refresh=True,
            )
            if once:
                return


def _hear(client: Client, meters: Any, until_s: float) -> None:
    """Take features until it is time for the next picture."""
    while (left_s := until_s - time.monotonic()) > 0:
        row = client.read_features(timeout_s=left_s)
        if row is not None:
            meters.hear_source(0, SOURCES.index(row.source), row.values, time.monotonic())


def _status_of_feed(client: Client) -> dict[str, Any]:
    """The status now, with the knobs of the watched feed alone."""
    from stemd.errors import ProtocolError

    # Asked each time, or another daemon in the place of the first would be read by the old names.
    feeds, status = list(client.control("hello")["feeds"]), client.status()
    if client.feed not in feeds or len(feeds) != len(status["mixer"]["bypass"]):
        raise ProtocolError(f"feed: got {', '.join(feeds)}, expected {client.feed} among them")
    feed = feeds.index(client.feed)
    knobs = {
        name: value[feed : feed + 1] if isinstance(value, list) else value
        for name, value in status["mixer"].items()
    }
    return {**status, "mixer": knobs}


def _about(client: Client) -> Any:
    from stemd import __version__

    from .view import About

    info = client.info
    ports = ", ".join(f"{n} {info[f'{n}_port']}" for n in ("audio", "features", "control"))
    return About(
        str(info.get("version", __version__)),
        str(info.get("profile", "")),
        (client.feed,),
        (("ZeroMQ", f"tcp://{client.host}  {ports}"),),
    )
