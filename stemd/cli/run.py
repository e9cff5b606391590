"""`stemd run`: the daemon in the foreground, with a view when somebody looks."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .log import Above, Narrator, log_to
from .notify import Notifier
from .options import ConfigFile, Overrides, Profile
from .streams import Unhurried

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from stemd.config import Config
    from stemd.daemon import Daemon

PICTURE_S = 0.1  # ten pictures a second show every onset and cost little
SAME_ORDER_S = 0.1
JSON_S = 1.0

Show = Callable[["Daemon"], None]


def run(
    config: ConfigFile = None,
    overrides: Overrides = None,
    profile: Profile = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="A released model or an .onnx file."),
    ] = None,
    inserts: Annotated[
        bool,
        typer.Option(
            "--inserts",
            help="Serve DAW plugins; without --config for them alone, with no audio device.",
        ),
    ] = False,
    no_view: Annotated[bool, typer.Option("--no-view", help="Log lines, no meters.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON status a second on stdout.")
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log lines as JSON on stderr, for log collectors.")
    ] = False,
) -> None:
    """Start the daemon: listen, separate, publish.

    Ends on SIGINT or SIGTERM; a second one forces. SIGHUP reloads the configuration.
    """
    from stemd.config import load_config
    from stemd.daemon import Daemon

    changes = list(overrides or ())
    if profile is not None:
        changes.append(f'profile="{profile}"')
    if model is not None:
        if model.endswith(".onnx"):
            # Where it was typed, as every command takes it; what the file names lies beside it.
            model = os.path.abspath(os.path.expanduser(model))
        changes.append(f"model.name={json.dumps(model)}")  # JSON's strings are TOML's
    if inserts:
        changes.append("inserts.enabled=true")
        if config is None and not any(change.startswith("source.") for change in changes):
            changes.append("source.kind=none")
    daemon = Daemon(load_config(config, changes), config_path=config, overrides=changes)
    look = sys.stdout.isatty() and not (no_view or as_json or log_json)
    with _output(look, as_json, log_json) as show:
        notifier = Notifier.of_environment()
        orders = Orders(lambda: _force(daemon))
        try:
            daemon.start()
            while daemon.poll(PICTURE_S) and not orders.stop:
                if orders.take_reload():
                    daemon.reload()
                notifier.look(daemon)
                show(daemon)
            show(daemon)
        finally:
            notifier.stopping()
            daemon.stop()
    if daemon.stuck:
        os._exit(daemon.exit_code)
    raise typer.Exit(daemon.exit_code)


class Orders:
    """What signals asked for; a second order to stop calls `force`."""

    def __init__(self, force: Callable[[], None]) -> None:
        self.stop = False
        self._stopped_s = 0.0
        self._reload = False
        self._force = force
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGTERM, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._hang_up)

    def take_reload(self) -> bool:
        """True once after it was asked."""
        asked, self._reload = self._reload, False
        return asked

    def _stop(self, *_: Any) -> None:
        now_s = time.monotonic()
        # One order may come twice: to the whole group, and passed on by `make` or a shell.
        if self.stop and now_s - self._stopped_s > SAME_ORDER_S:
            self._force()
        if not self.stop:
            self.stop, self._stopped_s = True, now_s

    def _hang_up(self, *_: Any) -> None:
        self._reload = True


def _force(daemon: Daemon) -> None:
    """Leave now, and leave no process behind."""
    from stemd.errors import EXIT_FORCED

    try:
        daemon.kill()
    finally:
        # A terminal that stands still, or is gone, gets no word.
        with contextlib.suppress(OSError):
            if select.select([], [2], [], 0)[1]:
                os.write(2, b"stemd: forced to stop\n")
        os._exit(EXIT_FORCED)


@contextlib.contextmanager
def _output(look: bool, as_json: bool, log_json: bool) -> Iterator[Show]:
    """Yields what shows the daemon: a picture, a line of JSON, or nothing beside the log."""
    if not look:
        out, err = Unhurried(sys.stdout.fileno()), Unhurried(sys.stderr.fileno())
        log_to(logging.StreamHandler(err), as_json=log_json)
        try:
            yield JsonLines(out) if as_json else Narrator()
        finally:
            out.close()
            err.close()
        return
    from rich.live import Live

    from .printing import console

    # What is lost of a picture the next one draws; a terminal that is gone ends no sound.
    out = Unhurried(sys.stdout.fileno(), raises=False)
    screen = console(out)
    log_to(Above(screen))
    try:
        with Live(console=screen, auto_refresh=False) as live:
            yield View(screen, live)
    finally:
        out.close()


class JsonLines:
    """The whole status, once a second."""

    def __init__(self, out: Unhurried) -> None:
        self._out = out
        self._next_s = 0.0

    def __call__(self, daemon: Daemon) -> None:
        from .printing import print_json

        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + JSON_S
            print_json(daemon.status.snapshot(), indent=None, out=self._out)


class View:
    """The picture of `view.py`, fed from shared memory."""

    def __init__(self, screen: Console, live: Live) -> None:
        self._screen, self._live = screen, live
        self._status: Any = None
        self._narrate = Narrator()

    def __call__(self, daemon: Daemon) -> None:
        from .view import Meters, picture

        self._narrate(daemon)
        now_s = time.monotonic()
        if daemon.status is not self._status:  # a reload may have built everything anew
            self._status = daemon.status
            self._reader = daemon.tap()
            self._meters = Meters(daemon.spec.n_feeds)
        self._meters.fall(now_s)
        while self._reader.read():
            self._meters.hear(self._reader.hop["features"], now_s)
        self._live.update(
            picture(
                daemon.status.snapshot(),
                self._meters,
                about(daemon.config),
                now_s,
                self._screen.width,
            ),
            refresh=True,
        )


def about(config: Config) -> Any:
    """What the view says of a configuration."""
    from stemd import __version__

    from .view import About

    feeds = tuple(feed.name for feed in config.feed)
    return About(__version__, config.profile, feeds, endpoints(config))


def endpoints(config: Config) -> tuple[tuple[str, str], ...]:
    """Where to connect, in the words a client would type."""
    places = []
    if config.zeromq.enabled:
        z = config.zeromq
        ports = f"audio {z.audio_port}, features {z.features_port}, control {z.control_port}"
        places.append(("ZeroMQ", f"tcp://{z.bind}  {ports}"))
    if config.osc.enabled:
        control = f"; control on {config.osc.listen}" if config.osc.listen else ""
        words = (
            f"; words to {', '.join(config.osc.text_targets)}" if config.osc.text_targets else ""
        )
        browse = f"; OSCQuery on {config.osc.query_port}" if config.osc.query_port else ""
        targets = ", ".join(config.osc.targets) or "nobody"
        places.append(("OSC", f"to {targets}{words}{control}{browse}"))
    if config.console.enabled:
        host = f"[{config.console.bind}]" if ":" in config.console.bind else config.console.bind
        places.append(("console", f"http://{host}:{config.console.port}/"))
    if config.output.enabled:
        places.append(("output", config.output.device or "default device"))
    return tuple(places)
