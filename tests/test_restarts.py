"""The daemon ends and starts again under its subscribers: nobody hears what was before."""

from __future__ import annotations

import math
import random
import signal
import threading
import time
from typing import Any

import pytest

import stemd.client
from stemd.wire.header import FLAG_DISCONTINUITY
from tests.cli.conftest import end, start
from tests.device.conftest import port_overrides
from tests.sinks.support import wait_until

RESTARTS = 4
ENOUGH = 40  # blocks of each life


class Ear(threading.Thread):
    """A client that outlives daemons, and what it heard."""

    def __init__(self, client: Any) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.heard: list[Any] = []

    def run(self) -> None:
        for block in self.client.blocks():
            self.heard.append(
                (
                    block.session,
                    block.sample_pos,
                    block.stems.shape[-1],
                    bool(block.flags & FLAG_DISCONTINUITY),
                    block.t_publish_mono_ns,
                )
            )


def lives(heard: list[Any]) -> list[int]:
    """Sessions in the order they were heard, each change named."""
    return [one[0] for i, one in enumerate(heard) if i == 0 or heard[i - 1][0] != one[0]]


@pytest.mark.slow
def test_no_subscriber_hears_a_daemon_that_is_gone():
    ports, control = port_overrides()
    quick = [*ports, "source.kind=demo"]
    chance = random.Random(6)
    daemon = start(ports=(quick, control))
    ears: list[Ear] = []
    ends_ns = []
    try:
        daemon.until_running()
        # one that drops what is late, and one that takes all that ever comes
        for budget_s in (0.1, math.inf):
            client = stemd.client.connect(control_port=control, budget_s=budget_s, timeout_s=30)
            ears.append(Ear(client))
            ears[-1].start()
        for _ in range(RESTARTS):
            hear(ears, len(ends_ns) + 1)
            if chance.random() < 0.5:
                daemon.process.send_signal(signal.SIGKILL)
                daemon.process.communicate()
            end(daemon)
            ends_ns.append(time.monotonic_ns())
            daemon = start(ports=(quick, control))
            daemon.until_running()
        hear(ears, len(ends_ns) + 1)
    finally:
        end(daemon)
        for ear in ears:
            ear.client.close()
    for ear in ears:
        ear.join(10)
        order = lives(ear.heard)
        assert len(order) == len(set(order)) == RESTARTS + 1  # none comes back
        assert ear.client.counters.sessions == RESTARTS + 1
        before = None
        for session, pos, n, jump, sent_ns in ear.heard:
            life = order.index(session)
            if before is None or before[0] != session:
                assert jump
                assert life == 0 or sent_ns > ends_ns[life - 1]
            else:
                assert pos == before[1] + before[2] or jump
                assert pos > before[1]
            before = session, pos, n


def hear(ears: list[Ear], n_lives: int) -> None:
    """Until everybody heard some of the newest life."""

    def settled() -> bool:
        for ear in ears:
            heard = list(ear.heard)
            if len(lives(heard)) < n_lives:
                return False
            if sum(one[0] == heard[-1][0] for one in heard) < ENOUGH:
                return False
        return True

    for _ in range(6):  # sixty seconds: subscribers come back every two seconds at least
        try:
            wait_until(settled, "the newest daemon to be heard")
            return
        except AssertionError:
            continue
    assert settled(), [(lives(ear.heard), ear.client.counters) for ear in ears]
