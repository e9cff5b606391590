"""Who reads the hops is woken by them, whenever it came; who does not leaves nothing behind."""

from __future__ import annotations

import multiprocessing
from typing import Any

from stemd.outbox import OutboxReader
from stemd.roles.links import wait

from ..device.conftest import Running, running
from ..servers import wait_for


def drain(wake: Any) -> int:
    """How many hops have been told."""
    n = 0
    while wake.acquire(False):
        n += 1
    return n


def wait_for_hops(it: Running, n: int) -> None:
    enough = int(it.status.separate["hops"]) + n
    it.until(lambda: int(it.status.separate["hops"]) >= enough, 20.0, f"{n} hops")


def test_a_reader_that_came_later_is_woken_and_one_that_went_is_not() -> None:
    with running("source.kind=tone") as it:  # neither plays nor records
        for name in ("play", "record"):  # what a reload would start now
            wake: Any = it.daemon._links.wake[name]
            assert not wake.acquire(False)
            reader = it.daemon._outbox.reader(name)
            told = 0

            def read(reader: OutboxReader = reader, wake: Any = wake) -> bool:
                nonlocal told
                told += drain(wake)
                while reader.read():
                    pass
                return it.daemon.poll(0.01) and told >= 20

            wait_for(read, 20.0, f"20 hops told to {name}")
            it.daemon._outbox.detach(name)
            wait_for_hops(it, 2)  # the one in work when it went
            drain(wake)
            wait_for_hops(it, 20)
            assert not wake.acquire(False)


def test_who_stops_recording_by_a_reload_is_not_told_of_hops_any_more(tmp_path: Any) -> None:
    record = [f'record.directory="{tmp_path}"', "record.at_start=false"]
    with running("source.kind=tone", *record, "record.enabled=true") as it:
        wake = it.daemon._links.wake["record"]
        it.daemon._overrides = (*it.daemon._overrides, "record.enabled=false")
        assert it.daemon.reload()[0]
        wait_for_hops(it, 2)
        drain(wake)
        wait_for_hops(it, 20)
        assert not wake.acquire(False)


def test_one_round_takes_all_that_waits() -> None:
    wake = multiprocessing.get_context("spawn").Semaphore(5)
    wait(wake, 10.0)
    assert drain(wake) == 0
    wait(wake, 0.0)  # and nothing is no error
