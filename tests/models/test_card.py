"""Cards: every number of the .json finds its place, and what is missing is said."""

import json
import shutil

import pytest

from models import card, evaluate, speed
from stemd.processors.catalogue import find_model
from stemd.spec import STEMS

ROW = dict.fromkeys(STEMS, 1.0)


def rows(mean):
    """Scores of one method."""
    metrics = ("sdr", "usdr", "si_sdr", "leak", "leak_median", "flicker")
    return {metric: {**ROW, "drums": None, "mean": mean} for metric in metrics}


SCORES = {
    "date": "2026-11-22",
    "set": {"parts": {"songs": 18}, "sha256": "0", "seconds": None},
    "bss_items": 0,
    "44100 Hz": {
        "songs": {
            "model": rows(5.43),
            "mixture": rows(-3.21),
            "ratio_mask": rows(11.67),
            "oracle_gain": {"model": {"mean": 0.58}, "quarter_mix": {"mean": 0.33}},
            "tracks": {
                "a_song": {
                    "model": {"sdr": {**ROW, "bass": 4.25, "mean": 2.0}},
                    "mixture": {"sdr": {**ROW, "bass": -2.0, "mean": 0.0}},
                }
            },
        }
    },
    "48000 Hz": {"songs": {"model": rows(5.5)}},
}
SPEED = {
    "samplerate": 48000,
    "hops": 5625,
    "budget_us": 5333.3,
    "step_us": {"p50": 150.2, "p99": 181.0, "p99.9": 240.0},
    "hop_us": {"p50": 411.0, "p99": 480.0, "p99.9": 777.0},
    "load": {"p50": 0.0771, "p99": 0.09, "p99.9": 0.1457},
    "busy": 0.1,
    "processor": "a processor",
    "onnxruntime": "1.31.1",
    "date": "2026-11-22",
}


@pytest.fixture
def model(tmp_path):
    """A released model whose .json has scores and speed as above."""
    path = find_model("default", "live")
    for suffix in (".onnx", ".json"):
        shutil.copy(path.with_suffix(suffix), tmp_path)
    path = tmp_path / path.name
    write(path, scores=SCORES, speed=SPEED)
    return path


def write(path, **facts):
    known = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**known, **facts}))


def test_a_card_quotes_scores_speed_latency_and_checksum(model):
    text = card.card(model)
    facts = json.loads(model.with_suffix(".json").read_text())
    assert facts["sha256"] in text
    assert "10.7 ms at 48 kHz, 11.6 ms at 44.1 kHz" in text
    assert "| **this model** | 1.00 | - | 1.00 | 1.00 | 5.43 |" in text
    assert "| the whole hop | 411 | 480 | 777 |" in text
    assert "| load: hop over its 5333 us | 7.7 % | 9.0 % | 14.6 % |" in text
    assert "songs: 58 % of what the true ratio mask gains" in text
    assert "a_song: sdr over the mixture, dB: vocals +0.0, drums +0.0, bass +6.2" in text
    assert "48000 Hz minus 44100 Hz, mean: sdr +0.07 dB" in text
    assert f"{facts['training']['hours_of_audio']:,} hours" in text
    assert all(len(line) <= 100 or line.startswith("|") for line in text.splitlines())


def test_a_card_says_what_nobody_measured(model):
    write(model, scores={}, speed=None)
    text = card.card(model)
    assert "Not scored yet: `python -m models.evaluate" in text
    assert "Not timed yet: `python -m models.speed" in text


def test_limits_come_from_name_family_and_all(monkeypatch, tmp_path):
    known = 'all = ["d"]\npack = ["c"]\n[band]\nlimits = ["b"]\n[band_live]\nlimits = ["a"]\n'
    (tmp_path / "limits.toml").write_text(known)
    monkeypatch.setattr(card, "LIMITS", tmp_path / "limits.toml")
    ours, theirs = {"data": "recordings named in NOTICE.md"}, {"data": "my own songs"}
    assert card.limits({"name": "band_live", "training": ours}) == ["a", "b", "c", "d"]
    assert card.limits({"name": "pi_live", "training": theirs}) == ["d"]


def test_the_limits_that_are_released_are_sentences():
    for name in ("band_live", "pi_live", "cnn_classic", "another"):
        facts = {"name": name, "training": {"data": "NOTICE.md"}}
        assert all(line.endswith(".") for line in card.limits(facts))


def test_speed_of_a_model_goes_into_its_json(model, monkeypatch, capsys):
    arguments = ["speed", model.stem, "--models", str(model.parent), "--seconds", "0.5"]
    monkeypatch.setattr("sys.argv", arguments)
    speed.main()
    found = json.loads(model.with_suffix(".json").read_text())["speed"]
    assert found["step_us"]["p50"] < found["hop_us"]["p50"]
    assert found["load"]["p50"] == pytest.approx(
        found["hop_us"]["p50"] / found["budget_us"], rel=0.01
    )
    assert "| hop |" in capsys.readouterr().out
    card.card(model)


def test_names_are_looked_up_in_a_folder_and_paths_are_taken(tmp_path):
    assert evaluate.find("band_live", tmp_path) == tmp_path / "band_live.onnx"
    assert str(evaluate.find("runs/x.onnx", tmp_path)) == "runs/x.onnx"
