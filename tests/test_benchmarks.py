"""What nobody calls but a person with a question must work when the question comes."""

import pytest

from benchmarks import dsp
from benchmarks.soak.report import outside, slope


def test_every_row_of_a_hop_is_measured(monkeypatch):
    monkeypatch.setattr(dsp, "WARM_UP", 2)
    monkeypatch.setattr(dsp, "OFFLINE_S", 1)
    monkeypatch.setattr(dsp, "OFFLINE_GOES", 1)
    figures = dsp.bench("live", 48000, 1, "default", 2 * dsp.ROUNDS)
    assert figures["model"]
    assert {"separation", "onset", "pitch", "tempo", "dsp", "model", "hop"} <= set(figures["us"])
    assert all(row["p50"] > 0 for row in figures["us"].values())


def test_misses_of_a_soak_are_put_beside_the_faults_and_the_stops():
    rows = [{"t": float(t), "stemd_hops_total": 187.0 * t} for t in range(11)]
    result = {
        "events": [{"at_s": 3.5, "until_s": 5.5}],
        "series": rows,
        "missed": [(1.2, 1), (4.0, 7), (8.3, 2), (9.9, 1)],
        "stops": [(1.185, 1.19), (4.0, 4.1), (8.1, 8.2)],
    }
    calm = outside(result)
    assert calm["seconds"] == 7.0  # without the three seconds that the fault touches
    assert calm["hops"] == 7 * 187.0
    assert calm["misses"] == 4
    assert calm["explained"] == 1
    assert calm["stops"] == 2
    assert calm["near_s"] == pytest.approx(0.005 + 0.1 + 2 * 0.02)


def test_the_memory_of_a_soak_is_what_grows_beside_first_times():
    """Two lives; in each a first fault takes a lump, the same fault later what leaks."""
    faults = [1000.0, 2000.0, 4000.0, 5000.0]

    def told(an_hour, leak):
        series = []
        for t in range(6000):
            begin = 0 if t < 3000 else 3000
            grown = sum(5e6 if at % 3000 == 1000 else leak for at in faults if begin < at <= t)
            young = 2e6 * min((t - begin) / 200, 1)
            value = 50e6 + young + grown + an_hour * (t - begin) / 3600
            series.append({"t": float(t), "memory[x]": value, "stemd_restarts_total[x]": begin})
        events = [{"at_s": at, "until_s": at + 3, "name": "noise"} for at in faults]
        return slope({"series": series, "events": events, "minutes": 100}, "memory", "x")

    assert told(0.0, 0.0) == pytest.approx(0.0, abs=1.0)
    assert told(2e6, 0.0) == pytest.approx(2e6, rel=1e-6)
    assert told(0.0, 1e6) > 1e6
