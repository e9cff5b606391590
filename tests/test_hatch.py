"""Two ends of a hatch, and what a dead process may leave in it."""

from __future__ import annotations

import socket

import pytest

from stemd.hatch import MAX_LINE_BYTES, MAX_WAITING_BYTES, Hatch


@pytest.fixture
def ends():
    one, two = socket.socketpair()
    yield one, two
    one.close()
    two.close()


def test_what_is_sent_comes(ends):
    here, there = Hatch(ends[0]), Hatch(ends[1])
    messages = [{"op": "set", "n": n, "text": "ü\n"} for n in range(50)]
    assert all(here.send(message) for message in messages)
    assert there.receive() == messages
    assert there.receive() == []
    assert there.send({"ok": True})
    assert here.receive() == [{"ok": True}]


def test_half_a_line_of_a_dead_process_spoils_nothing(ends):
    ends[0].send(b'{"op": "se')
    here, there = Hatch(ends[0]), Hatch(ends[1])
    assert here.send({"op": "get"})
    assert there.receive() == [{"op": "get"}]


def test_nonsense_is_passed_over(ends):
    there = Hatch(ends[1])
    ends[0].send(b'[1]\nnull\n\xff\xff\n{"a":\n{"op":1}\n')
    assert there.receive() == [{"op": 1}]


def test_an_end_that_does_not_read_holds_nobody_up(ends):
    here = Hatch(ends[0])
    sent = 0
    while here.send({"text": "x" * 1000}):
        sent += 1
        assert sent < 10 * MAX_WAITING_BYTES / 1000
    assert sent > 100
    assert not here.send({"text": "x" * MAX_LINE_BYTES})
    there = Hatch(ends[1])
    assert len(there.receive()) > 10


def test_what_is_nested_too_deep_is_passed_over(ends):
    here, there = Hatch(ends[0]), Hatch(ends[1])
    ends[0].send(b'\n{"op":' + b"[" * 20_000 + b"]" * 20_000 + b'}\n{"op":1}\n')
    assert there.receive() == [{"op": 1}]
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert not here.send({"op": deep})
    while deep:  # taken apart by hand: Python would do it without an end, too
        deep = deep.pop()
    assert here.send({"op": 2})
    assert there.receive() == [{"op": 2}]
