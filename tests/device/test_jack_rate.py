"""A JACK server has one rate, and stemd's own ports run at it."""

from __future__ import annotations

import pytest

from ..servers import feeder, jack
from .conftest import START_S, running

pytestmark = pytest.mark.device


def test_the_rate_of_a_jack_server_is_taken_over() -> None:
    with jack(samplerate=44_100) as server, feeder(server), running("source.kind=jack") as it:
        it.until(lambda: it.status.capture["blocks"] > 10, START_S, "audio from the ports")
        assert int(it.status.capture["samplerate"]) == 44_100
        assert it.daemon.config.source.samplerate == 44_100
