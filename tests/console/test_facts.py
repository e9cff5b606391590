"""Figures of the console, from a status whose figures are known."""

import pytest

from stemd.console.facts import latency
from stemd.status import Status


@pytest.mark.parametrize(("rate", "expected"), [(48_000, 20.0), (96_000, 10.0), (0, 20.0)])
def test_what_an_output_adds_is_counted_at_its_own_rate(rate, expected):
    status = Status.create(1)
    status.separate["samplerate"], status.separate["hop_length"] = 48_000, 256
    status.play["samplerate"], status.play["latency"] = rate, 960
    Status.set_text(status.play, "device", "system")
    stages = {stage["name"]: stage["ms"] for stage in latency(status)}
    status.close()
    assert stages["device out"] == expected
