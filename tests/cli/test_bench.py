"""`stemd bench`: the figures are figures of what it says, however large they are."""

from __future__ import annotations

import json

import pytest

from stemd.cli.bench import STAGES, verdict
from stemd.kernels.denormals import denormals_are_flushed


def test_every_stage_has_its_percentiles(invoke):
    result = invoke("bench", "--profile", "live", "--seconds", "0.5", "--json")
    assert result.exit_code == 0, result.stderr
    (figures,) = json.loads(result.stdout)
    assert figures["hops"] == 94
    assert figures["hop_us"] == pytest.approx(256 / 48_000 * 1e6)
    assert set(figures["us"]) == set(STAGES)
    for row in figures["us"].values():
        assert 0 < row["p50"] <= row["p99"] <= row["p99.9"]
    parts = sum(figures["us"][stage]["p50"] for stage in STAGES[:-1])
    assert parts == pytest.approx(figures["us"]["hop"]["p50"], rel=0.5)
    assert figures["load"]["p50"] == pytest.approx(figures["us"]["hop"]["p50"] / figures["hop_us"])


def test_the_processor_is_left_as_it_was(invoke):
    """The denormal switch is the thread's, and the thread goes on."""
    before = denormals_are_flushed()
    invoke("bench", "--profile", "classic", "--seconds", "0.5")
    assert denormals_are_flushed() == before


def test_more_feeds_are_asked_of_the_model(invoke):
    result = invoke(
        *("bench", "--profile", "quality", "--seconds", "0.5", "--feeds", "3", "--json")
    )
    (figures,) = json.loads(result.stdout)
    assert figures["feeds"] == 3


def test_the_table_has_a_verdict(invoke):
    result = invoke("bench", "--profile", "classic", "--seconds", "0.5")
    assert any(words in result.stdout for words in ("comfortable", "possible", "too slow"))


@pytest.mark.parametrize(
    ("load", "words"),
    [(0.1, "comfortable"), (0.7, "possible, with little beside it"), (0.9, "too slow")],
)
def test_verdict(load, words):
    assert verdict(load) == words
