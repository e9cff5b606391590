"""What nobody calls but a person with a question must work when the question comes."""

import pytest

from benchmarks import dsp
from benchmarks.soak.report import outside


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
