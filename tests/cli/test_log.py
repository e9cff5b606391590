"""What `stemd run` says when nobody looks at meters."""

from __future__ import annotations

import io
import json
import logging
from types import SimpleNamespace

import pytest

from stemd.cli import log as cli_log
from stemd.cli.log import SETTLED_S, Narrator, described, verdict
from stemd.status import State, Status, step_bucket


@pytest.fixture
def status():
    made = Status.create(1)
    made.daemon["state"] = State.RUNNING
    made.separate["state"] = State.RUNNING
    made.separate["samplerate"] = made.capture["samplerate"] = 48_000
    made.separate["hop_length"], made.separate["latency"] = 256, 512
    Status.set_text(made.capture, "source", "USB Audio")
    Status.set_text(made.separate, "model", "oak_live")
    Status.set_text(made.separate, "provider", "cpu")
    yield made
    made.close()


@pytest.fixture
def said(monkeypatch, status):
    """`said(t)`: what a narrator says of `status` at time t."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.Logger("stemd-test")
    logger.addHandler(Keep())
    monkeypatch.setattr(cli_log, "log", logger)
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(cli_log.time, "monotonic", lambda: now.s)
    narrator = Narrator()

    def at(t: float) -> list[str]:
        now.s = t
        lines.clear()
        narrator(SimpleNamespace(status=status))
        return list(lines)

    return at


def test_running_names_source_model_and_latency(status):
    assert described(status.snapshot()) == (
        "running: USB Audio, 48000 Hz, oak_live on cpu, stems 10.7 ms late"
    )


def test_a_stall_comes_with_its_reason(status):
    status.separate["state"] = State.STALLED
    Status.set_text(status.separate, "reason", "no samples")
    assert described(status.snapshot()) == "stalled: no samples"


def test_verdict_counts_only_what_went_wrong(status):
    status.separate["load"] = 0.14
    status.separate["steps"][step_bucket(1_000_000)] = 100
    assert verdict(status.snapshot()) == "load 14%, step p99 1.1 of 5.3 ms, nothing late or lost"
    status.separate["late"], status.separate["lost_input"] = 3, 512
    assert verdict(status.snapshot()).endswith(", 3 late, 512 lost samples")


def test_each_change_is_said_once(status, said):
    assert len(said(0.0)) == 1
    assert said(1.0) == []
    status.separate["state"] = State.STALLED
    assert said(2.0) == ["stalled"]
    assert said(3.0) == []


def test_a_process_that_complains_is_heard_once(status, said):
    said(0.0)
    Status.set_text(status.publish, "reason", "port 5570 is taken")
    (line,) = said(1.0)
    assert line.endswith("; port 5570 is taken")
    assert said(2.0) == []


def test_a_failure_is_left_to_the_daemon_to_say(status, said):
    status.daemon["state"] = State.FAILED
    assert said(0.0) == []


def test_the_verdict_comes_after_ten_seconds_and_once(said):
    said(0.0)
    assert said(SETTLED_S) == []
    (line,) = said(SETTLED_S + 0.1)
    assert line.startswith("after 10 s: load")
    assert said(SETTLED_S + 1.0) == []


def test_a_stall_starts_the_ten_seconds_again(status, said):
    said(0.0)
    status.separate["state"] = State.STALLED
    said(5.0)
    assert said(15.0) == []
    status.separate["state"] = State.RUNNING
    said(16.0)
    assert said(25.0) == []
    assert len(said(26.5)) == 1


class Collected(logging.StreamHandler):
    """A handler of ours over a stream in memory."""

    def __init__(self, as_json=False):
        super().__init__(io.StringIO())
        self.setFormatter(cli_log.JsonFormatter() if as_json else logging.Formatter("%(message)s"))
        self.addFilter(cli_log.Few())

    def lines(self):
        return self.stream.getvalue().splitlines()


def say(handler, at_s, message, *arguments):
    record = logging.LogRecord("stemd", logging.WARNING, "", 0, message, arguments, None)
    record.created = at_s
    handler.handle(record)


def test_a_flood_of_one_kind_is_cut_and_counted():
    handler = Collected()
    for i in range(100):
        say(handler, 1000.0 + i * 0.01, "%s ended (%s)", "play", f"try {i}")
    say(handler, 1001.0, "another kind")
    say(handler, 1011.0, "%s ended (%s)", "play", "later")
    assert handler.lines() == [
        *[f"play ended (try {i})" for i in range(cli_log.Few.BURST)],
        "another kind",
        "play ended (later) (95 more like it before)",
    ]


def test_sentences_without_blanks_are_kinds_of_their_own():
    handler = Collected()
    for i in range(50):
        say(handler, 1000.0, "%s", f"line {i}")
    assert len(handler.lines()) == 50


def test_json_lines_are_objects_with_time_level_and_message():
    handler = Collected(as_json=True)
    say(handler, 0.25, 'a "quoted" %s\nline', "ü")
    (line,) = handler.lines()
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "warning",
        "message": 'a "quoted" ü\nline',
    }
