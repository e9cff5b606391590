"""The recording process: outbox → files. A slow or full disk is nobody else's trouble."""

from __future__ import annotations

import time
from typing import Any

from .. import realtime
from ..errors import DeviceError
from ..outbox import Outbox
from ..sinks.recorder import Recorder
from ..status import Status
from .links import Links, Role

WAIT_S = 0.05
SPACE_CHECK_S = 1.0


def run(links: Links) -> None:
    """Record while `mixer.recording` says so."""
    status = Status.attach(links.status)
    role = Role("record", status)
    section = role.section
    role.note(realtime.enter("record", False, False))
    reader = Outbox.attach(links.outbox).reader("record")
    recorder: Recorder | None = None
    refused = False
    checked_s = 0.0
    role.ready()

    def stop(reason: str) -> None:
        nonlocal recorder
        if recorder is not None:
            recorder.close()
            recorder = None
        section["recording"] = 0
        role.reason(reason)

    while True:
        stopping = role.stopping
        role.beat()
        wanted = bool(status.mixer["recording"])
        refused &= wanted  # switching it off and on tries again
        try:
            if wanted and recorder is None and not refused:
                recorder = _begin(links, section)
                role.reason("")
            if recorder is not None and time.monotonic() - checked_s > SPACE_CHECK_S:
                checked_s = time.monotonic()
                recorder.check_space()
            while reader.read():
                if recorder is not None:
                    recorder.write(reader.hop)
                    section["samples"] = recorder.samples
        except DeviceError as error:
            refused = True
            stop(str(error))
        if recorder is not None and not wanted:
            stop("")
        section["lost"] = reader.dropped * links.spec.hop_length
        if stopping:
            stop("")
            return
        links.wake["record"].acquire(True, WAIT_S)


def _begin(links: Links, section: Any) -> Recorder:
    recorder = Recorder(links.config, links.spec)
    Status.set_text(section, "path", str(recorder.directory))
    section["recording"] = 1
    return recorder
