"""A second separator with another model, which takes over when it is warm: see `handover`."""

from __future__ import annotations

import sys
import time

from .. import realtime
from ..errors import StemdError
from ..kernels.denormals import flush_denormals
from ..shared import text
from ..status import Status
from .handover import place_of, take
from .links import Links, Role
from .separate import Pipeline, serve

POLL_S = 0.0005  # a fifth of the shortest hop; only from being warm to taking over


def run(links: Links) -> None:
    """Load, warm up, wait for the order, take over, separate until stopped.

    At ordinary priority until it is warm: loading must not take the processor from the one that
    plays.
    """
    status = Status.attach(links.status)
    role = Role("spare", status)
    flush_denormals()
    try:
        pipeline = Pipeline(links, role)
        pipeline.hear_the_past()
        pipeline.check()
    except StemdError as error:
        role.reason(str(error))
        sys.exit(error.exit_code)
    pipeline.listen_to(links, anew=False)
    # From here on it is a matter of milliseconds: everything slow is behind us.
    runtime = links.config.runtime
    refused = realtime.enter("separate", runtime.realtime, runtime.lock_memory, pipeline.threads)
    role.ready()
    path = None
    while path is None or not path.exists():
        if role.stopping:
            pipeline.close()
            return
        role.beat()
        if path is None and (token := text(status.separate["hand_over"])):
            path = place_of(int(status.daemon["pid"]), token)
        time.sleep(POLL_S)
    take(pipeline, path)
    role = Role("separate", status)
    role.section["hand_over"] = b""
    role.note(refused)
    pipeline.take_over(role)
    status.spare["took"] = 1
    serve(pipeline, role, links)
