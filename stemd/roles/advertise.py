"""The advertising process: tells the networks we are bound to that we are there.

A process of its own, because whatever comes over multicast is parsed here.
"""

from __future__ import annotations

import sys
import time

from ..config import Config, is_loopback
from ..desk import session_text
from ..discovery import OSCQUERY, STEMD, Announcer, Service, addresses_for, host_label
from ..errors import EXIT_OK, StemdError
from ..keys import KeyStore, fingerprint
from ..spec import STEMS, StreamSpec
from ..status import Status
from .links import Links, Role

WAIT_S = 0.1
LOOK_S = 5.0  # networks come and go: Wi-Fi is up later than we are, cables are pulled


def run(links: Links) -> None:
    """Advertise until told to stop."""
    status = Status.attach(links.status)
    role = Role("advertise", status)
    told: Announcer | None = None
    on: tuple[str, ...] = ()
    look_s = 0.0
    role.ready()
    while not role.stopping:
        role.beat()
        if time.monotonic() >= look_s:
            look_s = time.monotonic() + LOOK_S
            now_on = addresses_for(links.config.advertised)
            if now_on != on:
                if told is not None:
                    told.close()
                told, on = None, now_on
            if told is None and on:
                try:
                    session = int(status.daemon["session"])
                    told = Announcer(services(links.config, links.spec, session), on)
                    role.reason("")
                except StemdError as error:
                    role.reason(str(error))
            Status.set_text(role.section, "names", ", ".join(told.names) if told else "")
            Status.set_text(role.section, "addresses", ", ".join(on) if told else "")
        time.sleep(WAIT_S)
    if told is not None:
        told.close()
    sys.exit(EXIT_OK)


def services(config: Config, spec: StreamSpec, session: int) -> list[Service]:
    """What there is to tell.

    Raises
    ------
    ConfigError
        When the keys cannot be used.
    """
    name = config.discovery.name or f"stemd on {host_label()}"
    found = []
    senders = config.source.kind == "network" and not is_loopback(config.network.bind)
    if senders or (config.zeromq.enabled and not is_loopback(config.zeromq.bind)):
        key = ""
        if config.zeromq_guarded or (senders and config.network_guarded):
            key = fingerprint(KeyStore(config.security.folder).server().public)
        properties = {
            "proto": "1",
            "role": "box",
            "session": session_text(session),
            "rate": str(spec.samplerate),
            "profile": config.profile,
            "feeds": ",".join(feed.name for feed in config.feed),
            "stems": ",".join(STEMS),
            "audio": str(config.zeromq.audio_port),
            "features": str(config.zeromq.features_port),
            "control": str(config.zeromq.control_port),
            "key": key,
        }
        if senders:
            properties["send"] = str(config.network.port)
        found.append(Service(STEMD, name, config.zeromq.control_port, properties))
    if config.oscquery_host and not is_loopback(config.oscquery_host):
        found.append(Service(OSCQUERY, name, config.osc.query_port, {"txtvers": "1"}))
    return found
