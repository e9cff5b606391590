"""The supervisor: builds the shared memory, starts the processes, watches and stops them.

It is the only file that creates processes, and it never touches audio.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .config import Config, ModelConfig, SourceConfig, load_config
from .errors import EXIT_DEVICE, EXIT_FAILED, EXIT_MODEL, EXIT_OK, StemdError
from .keeper import Keeper
from .logbook import LogKeeper
from .machine import follows_rate, resolve
from .outbox import READERS, Outbox, OutboxReader
from .ring import Ring
from .roles.doors import check_doors
from .roles.links import Links
from .roles.scene import (
    apply_mixer,
    check_model,
    knobs_of,
    switch_back,
    switches_of,
    turn_back,
)
from .shared import name_semaphores, sweep, text
from .spec import StreamSpec
from .status import ROLES, Command, State, Status

log = logging.getLogger("stemd")

RING_S = 4.0  # audio that waits while `separate` is replaced; more would be stale anyway
START_LIMIT_S = 90.0  # a cold start compiles for half a minute on a small machine
OPEN_LIMIT_S = 10.0  # opening a device on a sound server that hangs never returns
# Silence of a heartbeat that means a process hangs. Capture beats from the source's own loop.
HEARTBEAT_LIMIT_S = {
    "capture": 1.0,
    "separate": 2.0,
    "publish": 3.0,
    "play": 3.0,
    "record": 30.0,  # a disk may think for long
    "console": 15.0,  # it yields to everybody, and nobody waits for it
    "inserts": 3.0,
    "advertise": 20.0,
    "metrics": 10.0,
}
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
HEALTHY_S = 5.0  # alive for this long, a process starts again with the shortest pause
MAX_CRASHES = 5  # in a row, of a process the audio depends on, before the daemon gives up
SWAP_LIMIT_S = 300.0  # nobody waits for a second separator: the first one plays
HANDOVER_LIMIT_S = 5.0  # from one separator to the next
STOP_LIMIT_S = 2.0  # for each process, then it is killed
KILLED_S = 1.0  # the system takes so long at most to end who waits for no disk
POLL_S = 0.02
OVERLOAD_S = 0.1  # load above 1 for this long is said once
ESSENTIAL = ("separate",)  # capture may wait for its device for ever, sinks for their clients

_SECTION_ROLES = {
    "zeromq": ("publish",),
    "osc": ("publish",),
    "preset": ("publish", "console"),
    "midi": ("publish",),
    "mapping": ("publish",),
    "datagrams": ("publish",),
    "output": ("play",),
    "record": ("record",),
    "inserts": ("inserts",),
    "metrics": ("metrics",),
    "console": ("console",),
    "discovery": ("advertise",),
}
# What a client may put in the configuration's place, until the daemon ends.
_OVERRIDES = {
    Command.MODEL: ("model.name",),
    Command.PROFILE: ("profile",),
    Command.DEVICE: ("source.kind", "source.host_api", "source.device"),
}


class _Child:
    """One process and its history."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: Any = None
        self.started_s = 0.0
        self.crashes = 0
        self.restart_at_s = 0.0
        self.said = ""
        self.done = False
        self.stuck = False  # killed, and waiting for a disk that does not answer

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join(KILLED_S)
            self.stuck = self.alive


class _Spare(_Child):
    """A separator that is to take over, and what holds from then on, not before."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__("spare")
        self.model = model
        self.chosen: tuple[str, ...] = ()
        self.handing_s = 0.0


class Daemon:
    """Run a configuration.

    Parameters
    ----------
    config : Config
    config_path : path or None
        What `reload` reads again; None: reload only re-applies `overrides` to the defaults.
    overrides : sequence of str
        `section.key=value`, applied again at reload.

    Examples
    --------
    >>> daemon = Daemon(load_config("configs/live.toml"))
    >>> daemon.start()
    >>> while daemon.poll(0.1):
    ...     print(daemon.status.state)
    >>> daemon.stop()
    """

    def __init__(
        self,
        config: Config,
        config_path: str | Path | None = None,
        overrides: Sequence[str] = (),
    ) -> None:
        self.config = config
        self.exit_code = EXIT_OK
        self._path = config_path
        self._overrides = tuple(overrides)
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[str, _Child] = {}
        self._notes: dict[str, str] = {}
        self._asked = 0
        self._overloaded_s = 0.0
        self._stdin: Any = None
        self._log = LogKeeper()
        self._hatch: Any = None
        self._revision = 0
        self._written = config.source  # as the configuration has it, see `machine`
        self._keeper = Keeper("")
        self._chosen: tuple[str, ...] = ()  # by clients, above `overrides`; kept over a restart
        self._spare: _Spare | None = None
        self._links: Links
        self._built = False
        self._left: list[_Child] = []  # that could not be ended

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Build everything and start the processes; returns before they are ready.

        Raises
        ------
        DeviceError
            When a file to be played is not a sound file.
        """
        sweep()
        name_semaphores()
        log.addHandler(self._log)
        self._keeper.turn_to(self.config.state.file)
        source = resolve(self._written, self._written, None)
        self.config = dataclasses.replace(self.config, source=source)
        if chosen := self._keeper.overrides():
            self._choose(chosen)
        self._build()
        self._keeper.restore(self.status, self._feeds)

    def poll(self, timeout_s: float = 0.1) -> bool:
        """Supervise for up to `timeout_s`; False when the daemon has ended by itself."""
        deadline = time.monotonic() + timeout_s
        while True:
            running = self._supervise()
            if not running or time.monotonic() >= deadline:
                return running
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End in order: no more input, then what is in flight, then the listeners."""
        if not self._built:
            return
        self._end_swap()
        sinks = ("play", "record", "publish", "console")
        for name in ("advertise", "metrics", "capture", "inserts", "separate", *sinks):
            self._stop_child(name)
            if name == "separate" and self.status.state is not State.FAILED:
                # Publish is still there to tell it.
                self._set_state(State.STOPPED, text(self.status.daemon["reason"]) or "stopped")
                time.sleep(2 * POLL_S)
        self._keeper.finish()
        self._teardown()

    @property
    def stuck(self) -> bool:
        """Whether a process could not be ended, and would hold up the end of this one for ever."""
        return any(child.stuck and child.alive for child in self._left)

    def kill(self) -> None:
        """End at once: what a second signal asks for."""
        self._end_swap()
        for child in self._children.values():
            self._kill(child)
        self._teardown()

    def reload(self) -> tuple[bool, str]:
        """Read the configuration again and apply what changed.

        Returns
        -------
        ok : bool
            False: the new configuration was refused and the old one goes on.
        text : str
            What happened, in one sentence.
        """
        try:
            _, chosen = self._wanted
            new, written = self._read(chosen)
        except StemdError as error:
            log.error("reload refused: %s", error)
            return False, str(error)
        return True, self._apply(new, written, chosen)

    def _apply(self, new: Config, written: SourceConfig, chosen: tuple[str, ...]) -> str:
        """Do what `_read` found, and no more; returns what happened, in one sentence."""
        wanted, _ = self._wanted
        changed = [
            f.name
            for f in dataclasses.fields(Config)
            if getattr(new, f.name) != getattr(wanted, f.name)
        ]
        self._written = written
        separate = self._children.get("separate")
        streaming = separate is not None and separate.alive and self._state is State.RUNNING
        if set(changed) <= {*_SECTION_ROLES, "mixer", "state", *(("model",) if streaming else ())}:
            # The model stays what it is until another one has loaded.
            if new.record.enabled != self.config.record.enabled:
                self.status.mixer["recording"] = new.record.enabled and new.record.at_start
                self.status.mixer["rev"] += 1
            self.config = dataclasses.replace(new, model=self.config.model)
            follow = self._follow_rate
            self._links = dataclasses.replace(self._links, config=self.config, follow_rate=follow)
            if "model" in changed:
                self._begin_swap(new.model)
            self._take_choice(chosen)
            if not changed:
                return "nothing changed"
            self._revision += 1
            self.status.daemon["config_rev"] = self._revision
            self._say_insecure()
            if "state" in changed:
                self._keeper.turn_to(new.state.file)
            if "mixer" in changed:
                apply_mixer(self.status, new)
            roles = {role for name in changed for role in _SECTION_ROLES.get(name, ())}
            roles |= {"advertise"} if "publish" in roles else set()  # it tells of its sockets
            for role in roles:  # all of them first: one may get the port of another
                self._end_sink(role)
            for role in roles & {*self._wanted_roles()}:
                self._children[role] = _Child(role)
                self._spawn(self._children[role])
        else:
            self._revision += 1
            self.config, self._chosen = new, chosen
            self._restart_all(keep="mixer" not in changed)
        message = f"reloaded: {', '.join(changed)}"
        log.info(message)
        return message

    # -- another model, without a gap -----------------------------------------------------------

    @property
    def _wanted(self) -> tuple[Config, tuple[str, ...]]:
        """What holds, and what clients chose of it, once the model that loads has taken over."""
        if self._spare is None:
            return self.config, self._chosen
        return dataclasses.replace(self.config, model=self._spare.model), self._spare.chosen

    def _take_choice(self, chosen: tuple[str, ...]) -> None:
        """What clients chose holds now, or as soon as the model that loads has taken over."""
        if self._spare is None:
            self._chosen = chosen
        else:
            self._spare.chosen = chosen

    def _begin_swap(self, model: ModelConfig) -> None:
        """Let a second separator load; `_supervise` looks after it."""
        if self.status.spare["took"]:
            self._swap(time.monotonic())
        self._end_swap()
        if model == self.config.model:
            return  # wanted back before the other one had loaded
        spare = self.status.spare
        for field in ("ready", "stop", "took"):
            spare[field] = 0
        spare["hand_over"] = b""
        Status.set_text(spare, "reason", "")
        self._spare = _Spare(model)
        self._spawn(self._spare, dataclasses.replace(self.config, model=model))
        log.info("loading %s beside the one that runs", model.name)

    def _swap(self, now_s: float) -> None:
        """One look at a separator that is to take over."""
        spare, separate = self._spare, self._children["separate"]
        if spare is None:
            return
        section = self.status.spare
        if section["took"]:
            old = separate.process
            separate.process, separate.started_s = spare.process, spare.started_s
            self.config, self._chosen = self._wanted
            self._links = dataclasses.replace(self._links, config=self.config)
            self._spare = None
            old.join(STOP_LIMIT_S)
            gone = _Child("separate")
            gone.process = old
            self._kill(gone)
            log.info("%s took over", text(self.status.separate["model"]))
            if "inserts" in self._children:  # its hosts greet again by themselves
                self._end_sink("inserts")
                self._children["inserts"] = _Child("inserts")
                self._spawn(self._children["inserts"])
        elif not spare.alive or now_s - spare.started_s > SWAP_LIMIT_S:
            reason = text(section["reason"]) or f"exit code {spare.process.exitcode}"
            log.error("%s goes on: the new model ended (%s)", text(self.status.separate["model"]),
                      reason)  # fmt: skip
            self._end_swap()
        elif section["ready"] and not spare.handing_s:
            spare.handing_s = now_s
            self.status.separate["hand_over"] = secrets.token_hex(8).encode()
            self._links.wake["separate"].release()
        elif spare.handing_s and now_s - spare.handing_s > HANDOVER_LIMIT_S:
            log.error("the new model did not take over within %.0f s", HANDOVER_LIMIT_S)
            self._end_swap()

    def _end_swap(self) -> None:
        """Whoever has not taken over ends; what runs goes on, or is started again."""
        if self._spare is not None:
            self._kill(self._spare)
            self._spare = None
            self.status.separate["hand_over"] = b""

    def tap(self) -> OutboxReader:
        """A reader of the hops for this process: meters, tests."""
        return self._outbox.reader("memory")

    @property
    def spec(self) -> StreamSpec:
        """Shape of the stream."""
        return self.config.spec

    # -- building -------------------------------------------------------------------------------

    def _read(self, chosen: Sequence[str]) -> tuple[Config, SourceConfig]:
        """The configuration as it stands in its file, known to be one the stream can start with.

        Returns
        -------
        config : Config
        written : SourceConfig
            Its source before the machine was asked.

        Raises
        ------
        StemdError
            When it is not.
        """
        config = load_config(self._path, (*self._overrides, *chosen))
        written = config.source
        source = resolve(written, self._written, self.config.source)
        config = dataclasses.replace(config, source=source)
        if (config.model, config.profile) != (self.config.model, self.config.profile):
            check_model(config)
        check_doors(config, self.config)
        return config, written

    def _choose(self, chosen: list[str]) -> None:
        """Take up what a client chose before the last end, if it still makes sense."""
        try:
            self.config, self._written = self._read(chosen)
        except StemdError as error:
            log.warning("%s: starting without what was chosen before", error)
            return
        self._chosen = tuple(chosen)
        log.warning("restored from %s: %s", self.config.state.file, ", ".join(chosen))

    @property
    def _feeds(self) -> tuple[str, ...]:
        return tuple(feed.name for feed in self.config.feed)

    @property
    def _follow_rate(self) -> bool:
        return follows_rate(self._written, self.config.source)

    def _build(self) -> None:
        config = self.config
        spec = config.spec
        channels = 1 + max(max(pair) for pair in config.ring_channels)
        with contextlib.ExitStack() as undo:
            self.status = Status.create(spec.n_feeds)
            undo.callback(self.status.close)
            self._ring = Ring.create(round(RING_S * spec.samplerate), channels)
            undo.callback(self._ring.close)
            self._outbox = Outbox.create(spec.n_feeds, spec.hop_length, spec.samplerate)
            undo.pop_all()
        self._hatch = socket.socketpair()
        wake = {name: self._context.Semaphore(0) for name in ROLES if name != "capture"}
        if config.source.kind == "stdin" and self._stdin is None:
            self._stdin = multiprocessing.connection.Connection(os.dup(0), writable=False)
        self._links = Links(
            config,
            spec,
            self.status.handle,
            self._ring.handle,
            self._outbox.handle,
            wake,
            self._follow_rate,
            self._log.open().handle,
            self._hatch,
            self._stdin,
        )
        daemon = self.status.daemon
        daemon["pid"] = os.getpid()
        daemon["session"] = secrets.randbits(63) | 1
        daemon["started_utc_ns"] = time.time_ns()
        daemon["config_rev"] = self._revision
        self._say_insecure()
        self._asked = 0
        apply_mixer(self.status, config)
        self.status.mixer["recording"] = config.record.enabled and config.record.at_start
        self._set_state(State.STARTING, "")
        self._children = {name: _Child(name) for name in self._wanted_roles()}
        self._built = True
        for child in self._children.values():
            self._spawn(child)

    def _wanted_roles(self) -> list[str]:
        streams = self.config.source.kind != "none"
        roles = ["separate", "capture", "publish"] if streams else ["publish"]
        roles += ["inserts"] if self.config.inserts.enabled else []
        roles += ["advertise"] if self.config.advertised else []
        roles += ["play"] if self.config.output.enabled else []
        roles += ["record"] if self.config.record.enabled else []
        roles += ["metrics"] if self.config.metrics.enabled else []
        roles += ["console"] if self.config.console.enabled else []
        return roles

    def _spawn(self, child: _Child, config: Config | None = None) -> None:
        section = getattr(self.status, child.name)
        child.stuck = False
        section["ready"] = section["stop"] = 0
        section["heartbeat_ns"] = time.monotonic_ns()
        child.started_s = time.monotonic()
        # Imported here only to be named: the child imports it for itself.
        target = f"stemd.roles.{child.name}"
        links = self._links if config is None else dataclasses.replace(self._links, config=config)
        child.process = self._context.Process(
            target=_run_role, args=(target, links), name=f"stemd-{child.name}", daemon=True
        )
        child.process.start()

    def _teardown(self) -> None:
        if not self._built:
            return
        self._built = False
        self._outbox.close()
        self._ring.close()
        self.final = self.status.snapshot()
        self.status.close()
        self._log.close_book()
        for end in self._hatch:
            end.close()

    def _restart_all(self, keep: bool = True) -> None:
        """Start the stream anew; knobs stay where they are, or go where `[mixer]` says.

        A stream that was paused, or recorded, still is: nobody asked for another.
        """
        old = self._links.config
        feeds = tuple(feed.name for feed in old.feed)
        knobs, switches = knobs_of(self.status, feeds), switches_of(self.status)
        preset = text(self.status.mixer["preset"])
        if not (old.record.enabled and self.config.record.enabled):
            del switches["recording"]  # there was nobody, or will be nobody, to ask
        self.stop()
        self._build()
        switch_back(self.status, switches)
        if keep:
            turn_back(self.status, self._feeds, knobs)
            Status.set_text(self.status.mixer, "preset", preset)
        self._keeper.turn_to(self.config.state.file)

    # -- watching -------------------------------------------------------------------------------

    def _supervise(self) -> bool:
        now_s = time.monotonic()
        self.status.daemon["heartbeat_ns"] = time.monotonic_ns()
        for child in tuple(self._children.values()):
            self._log_note(child)
            if not self._watch(child, now_s):
                return False
            if child not in self._children.values():
                return True  # everything was started anew
        if self._spare is not None:
            self._swap(now_s)
        self._warn_overload(now_s)
        self._keeper.keep(self.status, self._feeds, self._chosen)
        if self._state is State.STARTING and self._started:
            self._set_state(State.RUNNING, "")
        streaming = [self._children.get(name) for name in ("capture", "separate")]
        if all(child is not None and child.done for child in streaming):
            self._set_state(State.STOPPED, text(self.status.capture["reason"]) or "source ended")
            return False
        return self._obey()

    @property
    def _started(self) -> bool:
        """The first sound is out, or plugins may come where there is no stream."""
        if "separate" in self._children:
            return int(self.status.separate["hops"]) > 0
        return bool(self.status.inserts["ready"])

    @property
    def _state(self) -> State:
        return State(int(self.status.daemon["state"]))

    def _watch(self, child: _Child, now_s: float) -> bool:
        """Look after one process; False when the daemon must end."""
        if child.done or (child.stuck and child.alive):
            return True
        section = getattr(self.status, child.name)
        if child.alive:
            age_s = (time.monotonic_ns() - int(section["heartbeat_ns"])) * 1e-9
            limit_s = HEARTBEAT_LIMIT_S[child.name]
            if not section["ready"]:
                warm = bool(self.status.separate["ready"])
                opening = warm and child.name in ("capture", "play")
                limit_s = OPEN_LIMIT_S if opening else START_LIMIT_S
            if age_s < limit_s:
                if now_s - child.started_s > HEALTHY_S and section["ready"]:
                    child.crashes = 0
                return True
            log.error("%s gave no sign for %.1f s: replacing it", child.name, age_s)
            self._kill(child)
            if child.stuck:
                self._leave(child)
                return True
        if self._spare is not None and child.name == "separate":
            if self.status.spare["took"] or not child.process.exitcode:
                return True  # it has handed over; the other one begins
            log.error("separate ended while %s was loaded: it starts again without",
                      self._spare.model.name)  # fmt: skip
            self._end_swap()
        if child.restart_at_s == 0.0:
            return self._bury(child, now_s)
        if now_s >= child.restart_at_s:
            child.restart_at_s = 0.0
            self.status.daemon["restarts"][ROLES.index(child.name)] += 1
            self._spawn(child)
        return True

    def _leave(self, child: _Child) -> None:
        """A process cannot be ended: nobody waits for it, and what it does not do is not told."""
        section = getattr(self.status, child.name)
        if child.name in READERS:
            self._outbox.detach(child.name)
        if child.name == "record":
            section["recording"] = section["held"] = 0
        waits = f"{child.name}: killed, and waits for a disk or a driver that does not answer"
        Status.set_text(section, "reason", waits)
        log.error("%s", waits)

    def _bury(self, child: _Child, now_s: float) -> bool:
        """A process ended: is that the end, a failure, or a reason to start it again?"""
        child.process.join()
        code = child.process.exitcode
        section = getattr(self.status, child.name)
        if child.stuck:  # see `_leave`
            Status.set_text(section, "reason", "")
        reason = text(section["reason"])
        # Where the source is not through, a separator gave its place to one that is gone.
        through = child.name == "capture" or (child.name == "separate" and self._ring.ended)
        if code == EXIT_OK and through:
            child.done = True
            return True
        if child.name == "capture" and self._rate_changed():
            return True
        first = not section["ready"]
        taken = first and child.name in ("publish", "inserts", "metrics") and code == EXIT_DEVICE
        # A stream that runs does not end because plugins lack their model.
        refused = code == EXIT_MODEL and (child.name == "separate" or self._state is State.STARTING)
        if refused or taken:
            return self._fail(code, reason)
        child.crashes += 1
        if child.name in ESSENTIAL and child.crashes >= MAX_CRASHES:
            return self._fail(
                EXIT_FAILED, reason or f"{child.name} ended {child.crashes} times (code {code})"
            )
        if child.name in READERS:
            self._outbox.detach(child.name)
        pause_s = BACKOFF_S[min(child.crashes, len(BACKOFF_S)) - 1]
        child.restart_at_s = now_s + pause_s
        reason = reason or f"exit code {code}"
        if child.crashes == 1 or reason != child.said:
            child.said = reason  # once, not every two seconds while a device is away
            log.warning("%s ended (%s): starting it again", child.name, reason)
        return True

    def _rate_changed(self) -> bool:
        """Follow a device that came back with another rate: that is another stream."""
        rate = int(self.status.capture["device_rate"])
        if not self._follow_rate or rate in (0, self.config.source.samplerate):
            return False
        log.warning("the input device now runs at %d Hz: starting the stream anew", rate)
        source = dataclasses.replace(self.config.source, samplerate=rate)
        self.config = dataclasses.replace(self.config, source=source)
        self._revision += 1
        self._restart_all()
        return True

    def _fail(self, code: int, reason: str) -> bool:
        log.error("%s", reason)
        self.exit_code = code
        self._set_state(State.FAILED, reason)
        return False

    def _obey(self) -> bool:
        """Carry out what clients asked through `publish`; False on shutdown."""
        command = self.status.command
        asked = int(command["asked"])
        if asked == self._asked:
            return True
        self._asked = asked
        what = int(command["what"])
        if what == Command.SHUTDOWN:
            self._answer(asked, True, "shutting down")
            self._set_state(State.STOPPED, "a client asked for the end")
            return False
        wanted, chosen = self._wanted
        if keys := _OVERRIDES.get(Command(what)):
            argument = text(command["argument"])
            values = json.loads(argument) if what == Command.DEVICE else [argument]
            kept = (one for one in chosen if one.partition("=")[0] not in keys)
            made = (f"{k}={_toml(value)}" for k, value in zip(keys, values, strict=True))
            chosen = (*kept, *made)
        try:
            new, written = self._read(chosen)
        except StemdError as error:
            self._answer(asked, False, str(error))
            return True
        # Answer first: applying it may replace the process that passes the answer on.
        same = new == wanted
        self._answer(asked, True, "nothing changed" if same else "reloading")
        if not same:
            time.sleep(0.1)
        self._apply(new, written, chosen)
        return True

    def _answer(self, asked: int, ok: bool, sentence: str) -> None:
        command = self.status.command
        command["ok"] = ok
        Status.set_text(command, "text", sentence)
        command["done"] = asked

    def _say_insecure(self) -> None:
        """What is open to a whole network is said each time, in the log and in the status."""
        found = "; ".join(self.config.insecure)
        Status.set_text(self.status.daemon, "insecure", found)
        if found:
            log.warning("insecure: %s", found)

    def _set_state(self, state: State, reason: str) -> None:
        Status.set_text(self.status.daemon, "reason", reason)
        self.status.daemon["state"] = state

    def _log_note(self, child: _Child) -> None:
        note = text(getattr(self.status, child.name)["note"])
        if note and self._notes.get(child.name) != note:
            self._notes[child.name] = note
            log.info("%s", note)

    def _warn_overload(self, now_s: float) -> None:
        """Say once per episode that the machine is too slow."""
        load = float(self.status.separate["load"])
        if load <= 1.0:
            if self._overloaded_s < 0 and load < 0.8:
                log.info("load is back to %.0f %%", load * 100)
                self._overloaded_s = 0.0
            return
        if self._overloaded_s == 0.0:
            self._overloaded_s = now_s
        elif 0 < self._overloaded_s < now_s - OVERLOAD_S:
            log.warning("load is %.0f %%: this machine is too slow for this profile", load * 100)
            self._overloaded_s = -1.0

    # -- stopping -------------------------------------------------------------------------------

    def _stop_child(self, name: str) -> None:
        child = self._children.get(name)
        if child is None or child.process is None or (child.stuck and child.alive):
            return
        getattr(self.status, name)["stop"] = 1
        if name != "capture":
            self._links.wake[name].release()
        child.process.join(STOP_LIMIT_S)
        if child.alive:
            log.warning("%s did not stop within %.0f s: killed", name, STOP_LIMIT_S)
        self._kill(child)

    def _kill(self, child: _Child) -> None:
        """End it, or remember that this was not possible."""
        child.kill()
        if child.stuck:
            self._left.append(child)

    def _end_sink(self, name: str) -> None:
        """End a sink and forget it; the stream goes on."""
        self._stop_child(name)
        self._clear(name)
        if name in READERS:
            self._outbox.detach(name)
        self._children.pop(name, None)

    def _clear(self, name: str) -> None:
        """What a sink said of itself is no longer so."""
        section = getattr(self.status, name)
        section["ready"] = 0
        Status.set_text(section, "reason", "")
        if name == "play":
            Status.set_text(section, "device", "")
            section["samplerate"] = section["latency"] = 0
        elif name == "record":
            section["recording"] = section["held"] = 0


def _toml(value: str) -> str:
    """Text as TOML writes it: JSON's strings are TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _run_role(target: str, links: Links) -> None:
    """First line of every child."""
    with contextlib.suppress(KeyboardInterrupt):
        import_module(target).run(links)
    sys.stdout.flush()
