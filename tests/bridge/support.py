"""A real daemon on the demo loop for the starting points in bridge/."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cli.conftest import end, start
from tests.sinks.support import free_ports, wait_until

BRIDGE = Path(__file__).parents[2] / "bridge"


@dataclass(frozen=True)
class Demo:
    """Where a daemon can be reached."""

    control: int
    features: int
    osc_in: int
    osc_out: int  # its static target


@contextlib.contextmanager
def demo() -> Iterator[Demo]:
    """`stemd run` with the built-in loop: no device, all ports its own."""
    audio, features, control = free_ports(3)
    osc_in, osc_out = free_ports(2, socket.SOCK_DGRAM)
    overrides = [
        f"zeromq.audio_port={audio}",
        f"zeromq.features_port={features}",
        f"zeromq.control_port={control}",
        f'osc.listen="127.0.0.1:{osc_in}"',
        f'osc.targets=["127.0.0.1:{osc_out}"]',
        "source.kind=demo",
    ]
    running = start(ports=(overrides, control))
    try:
        running.until_running()
        yield Demo(control, features, osc_in, osc_out)
    finally:
        end(running)


__all__ = ["BRIDGE", "Demo", "demo", "wait_until"]
