"""The metrics process: shared memory → what Prometheus reads. A scrape costs the audio nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from ..errors import EXIT_DEVICE, EXIT_OK, DeviceError
from ..outbox import Outbox
from ..ring import Ring
from ..sinks.http_server import HttpServer
from ..sinks.metrics import CONTENT_TYPE, Exporter
from ..status import Status
from .links import Links, Role

WAIT_S = 0.1  # between looks at our orders
RETRY_S = 1.0  # a port that was taken is tried again this often
NICENESS = 5  # scrapes wait for everybody


def run(links: Links) -> None:
    """Answer scrapes until told to stop."""
    status = Status.attach(links.status)
    role = Role("metrics", status)
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
    exporter = Exporter(
        status, Ring.attach(links.ring), Outbox.attach(links.outbox), links.config.profile
    )
    server = _open(links, role, exporter)
    if server is None and role.is_first_start:
        sys.exit(EXIT_DEVICE)
    retry_s = time.monotonic() + RETRY_S
    role.ready()
    while not role.stopping:
        role.beat()
        if server is not None:
            server.wait(WAIT_S)
            server.service()
            role.section["requests"] = server.requests
        elif time.monotonic() >= retry_s:
            server = _open(links, role, exporter)
            retry_s = time.monotonic() + RETRY_S
        else:
            time.sleep(WAIT_S)
    if server is not None:
        server.close()
    sys.exit(EXIT_OK)


def _open(links: Links, role: Role, exporter: Exporter) -> HttpServer | None:
    config = links.config.metrics
    try:
        server = HttpServer(
            config.bind,
            config.port,
            exporter.answer,
            key="metrics.port",
            content_type=CONTENT_TYPE,
        )
    except DeviceError as error:
        role.reason(str(error))
        return None
    role.reason("")
    return server
