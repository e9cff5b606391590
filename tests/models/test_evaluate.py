"""A released model scored from end to end on two short items."""

import json
import shutil

import numpy as np
import pytest

from models import baselines, evaluate, testset
from models.testset import read_set
from stemd.processors.catalogue import find_model
from stemd.spec import STEMS

pytest.importorskip("soundfile")


@pytest.fixture
def folder(tmp_path):
    """Two items of one second of tones and clicks, the second without vocals."""
    n = np.arange(44100)
    sources = np.zeros((5, 2, n.size), np.float32)
    for s, freq_hz in enumerate((440, 5000, 70, 1200)):
        sources[s] = 0.1 * np.sin(2 * np.pi * freq_hz * n / 44100)
    rows = [testset.write_item(tmp_path, "songs", "one", "song", sources)]
    sources[0] = 0.0
    rows.append(testset.write_item(tmp_path, "songs", "two", "song", sources))
    testset.write_list(tmp_path, rows, "a test")
    return tmp_path


@pytest.fixture
def model(tmp_path):
    path = find_model("default", "live")
    for suffix in (".onnx", ".json"):
        shutil.copy(path.with_suffix(suffix), tmp_path)
    return tmp_path / path.name


def test_scores_hold_model_and_baselines_at_both_rates(folder, model, monkeypatch):
    items = read_set(folder)
    result = evaluate.evaluate(model, folder, items, bss=0)
    for samplerate in ("44100 Hz", "48000 Hz"):
        rows = result[samplerate]["songs"]
        names = baselines.NAMES if samplerate == "44100 Hz" else evaluate.FREE
        assert {"model", *names} <= rows.keys()
        for name in ("model", *names):
            assert all(rows[name]["usdr"][stem] is not None for stem in STEMS), name
        assert rows["quarter_mix"]["leak"]["vocals"] == pytest.approx(-12.041, abs=1e-3)
    rows = result["44100 Hz"]["songs"]
    assert rows["ratio_mask"]["usdr"]["mean"] > 15
    assert 0 < rows["oracle_gain"]["quarter_mix"]["mean"] < 1
    assert result["44100 Hz"]["songs"]["tracks"]["song"]["mixture"]["sdr"]["vocals"] < 0
    json.dumps(result)

    def nothing(*_):
        raise AssertionError("baselines were computed twice")

    monkeypatch.setattr(baselines, "estimates", nothing)
    assert evaluate.evaluate(model, folder, items, bss=0) == result


def test_the_command_writes_scores_into_the_json_and_prints_them(
    folder, model, monkeypatch, capsys
):
    arguments = ["evaluate", str(model), "--set", str(folder), "--rates", "44100", "--bss", "0"]
    monkeypatch.setattr("sys.argv", arguments)
    evaluate.main()
    card = json.loads(model.with_suffix(".json").read_text())
    assert card["scores"]["44100 Hz"]["songs"]["model"]["usdr"]["mean"] is not None
    printed = capsys.readouterr().out
    assert "| **this model** |" in printed
    assert "of what the true ratio mask gains" in printed


def test_quick_leaves_scores_alone_that_are_there(folder, model, monkeypatch, capsys):
    card = json.loads(model.with_suffix(".json").read_text()) | {"scores": {"known": 1}}
    model.with_suffix(".json").write_text(before := json.dumps(card))
    monkeypatch.setattr("sys.argv", ["evaluate", str(model), "--set", str(folder), "--quick"])
    evaluate.main()
    assert model.with_suffix(".json").read_text() == before
    assert "| usdr, dB |" in capsys.readouterr().out


def test_a_few_items_are_those_with_most_stems_and_some_others(folder):
    items = read_set(folder)
    assert [item.name for item in evaluate.some(items, {"songs": 2})] == ["one", "two"]
    assert [item.name for item in evaluate.some(items[::-1], {"songs": 1})] == ["two"]
    assert [item.name for item in evaluate.some([items[1], *items], {"songs": 3})][-1] == "two"
    assert evaluate.museval_items(items, 1) == {"one"}
    assert evaluate.museval_items(items, 0) == set()
