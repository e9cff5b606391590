"""The log as another process reads it."""

from __future__ import annotations

import logging

import pytest

from stemd.logbook import LINES, Logbook, LogKeeper


@pytest.fixture
def keeper():
    one = LogKeeper()
    yield one
    one.close_book()


def say(keeper, text, level=logging.INFO):
    keeper.handle(logging.LogRecord("stemd", level, "", 0, text, None, None))


def test_lines_are_read_once_each(keeper):
    reader = Logbook.attach(keeper.open().handle)
    say(keeper, "first")
    say(keeper, "ü" * 300, logging.WARNING)
    first, second = reader.since(0)
    assert (first.seq, first.level, first.text) == (1, "INFO", "first")
    assert (second.seq, second.level, second.text) == (2, "WARNING", "ü" * 200)
    assert reader.since(2) == []
    reader.close()


def test_a_late_reader_misses_the_oldest(keeper):
    reader = Logbook.attach(keeper.open().handle)
    for n in range(3 * LINES):
        say(keeper, str(n))
    lines = reader.since(0)
    assert LINES - 2 <= len(lines) <= LINES
    assert lines[-1].text == str(3 * LINES - 1)
    assert [line.seq for line in lines] == list(range(lines[0].seq, 3 * LINES + 1))
    reader.close()


def test_a_new_book_begins_with_what_was_kept(keeper):
    say(keeper, "before there was one")
    keeper.open()
    say(keeper, "then")
    reader = Logbook.attach(keeper.open().handle)
    assert [line.text for line in reader.since(0)] == ["before there was one", "then"]
    reader.close()
