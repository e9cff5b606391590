"""The playing process: outbox → output device."""

from __future__ import annotations

import os
import sys

from .. import realtime
from ..config import Config
from ..errors import EXIT_DEVICE, EXIT_OK, DeviceError
from ..outbox import Outbox
from ..sinks.player import Player
from ..spec import StreamSpec
from ..status import Status
from .links import Links, Role, wait

WAIT_S = 0.05


def run(links: Links) -> None:
    """Play until stopped or until the device died; the daemon then starts us again."""
    status = Status.attach(links.status)
    role = Role("play", status)
    section = role.section
    runtime = links.config.runtime
    role.note(realtime.enter("play", runtime.realtime, runtime.lock_memory))
    code = EXIT_OK
    try:
        while not status.separate["ready"] and not role.stopping:
            role.beat()
            wait(links.wake["play"], WAIT_S)
        device = open_player(links.config, links.spec)
        Status.set_text(section, "device", device.label)
        section["samplerate"] = device.samplerate
        section["latency"] = device.target
        reader = Outbox.attach(links.outbox).reader("play")
        role.reason("")
        role.ready()
        underruns, overruns = int(section["underruns"]), int(section["overruns"])
        while not role.stopping:
            role.beat()
            while reader.read():
                device.write(reader.hop)
            device.check()
            section["samples"] = device.played
            section["underruns"] = underruns + device.underruns
            section["overruns"] = overruns + device.overruns
            section["fill"] = device.fill
            section["ppm"] = device.ppm
            wait(links.wake["play"], WAIT_S)
    except DeviceError as error:
        role.reason(str(error))
        code = EXIT_DEVICE
    sys.stderr.flush()
    os._exit(code)


def open_player(config: Config, spec: StreamSpec) -> Player:
    """What `output.kind` asks for; each brings its own audio library."""
    if config.output.kind == "jack":
        from ..sinks.jack_ports import JackPorts

        return JackPorts(config, spec)
    from ..sinks.device import OutputDevice

    return OutputDevice(config, spec)
