"""`stemd models`: the list is of what the cards say, and a bad model is refused by name."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from onnx import helper, numpy_helper

from stemd import errors
from stemd.cli.models import mean_usdr
from stemd.processors.catalogue import DEFAULT_MODELS, released
from stemd.processors.describe import describe
from stemd.processors.inspection import inspect
from stemd.processors.masknet import MaskNet
from stemd.spec import PROFILES, StreamSpec
from tests.processors.support import write_model

LIVE = StreamSpec.of("live", 48_000)
CHECKS = ["card", "sha256", "graph", "self-test", "finite", "causal", "reset", "feeds"]


@pytest.fixture
def path(tmp_path):
    return write_model(tmp_path, LIVE)


def write_card(path, **fields):
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | fields))


# -- list ------------------------------------------------------------------------------------------


def test_the_list_is_what_is_released(invoke):
    result = invoke("models", "--json")
    assert result.exit_code == 0, result.stderr
    listed = {model["name"]: model for model in json.loads(result.stdout)}
    assert set(listed) == {path.stem for path in released()}
    for profile, name in DEFAULT_MODELS.items():
        assert listed[name]["profile"] == profile
        assert listed[name]["default"]
    for path in released():
        card = json.loads(path.with_suffix(".json").read_text())
        model = listed[path.stem]
        assert model["size_mb"] == path.stat().st_size / 1e6
        assert model["latency_ms"] == pytest.approx(2e3 * card["hop_length"] / 48_000)
        assert model["date"] == card["training"]["date"]
        assert {field: model[field] for field in ("masks", "parameters", "license")} == {
            field: card[field] for field in ("masks", "parameters", "license")
        }


def test_the_table_has_a_row_for_each_and_marks_the_defaults(invoke):
    shown = invoke("models").stdout
    for path in released():
        mark = "*" if path.stem in DEFAULT_MODELS.values() else " "
        assert f"\n{path.stem}{mark} " in shown


def test_paths_and_folders_are_listed_too(invoke, path):
    write_card(path, parameters=1_234_567, scores={"songs": {"model": {"usdr": {"mean": 4.25}}}})
    for which in (path, path.parent):
        shown = invoke("models", which).stdout
        assert "tiny" in shown
        assert "1.2 M" in shown
        assert "4.2" in shown
        assert "songs" in shown
    (model,) = json.loads(invoke("models", "list", path, "--json").stdout)
    assert (model["profile"], model["default"], model["usdr"]) == ("live", False, {"songs": 4.25})


def test_a_model_without_a_card_is_listed_and_said_to_have_none(invoke, path):
    path.with_suffix(".json").unlink()
    result = invoke("models", path.parent)
    assert result.exit_code == 0
    assert "tiny" in result.stdout
    assert "got no readable file, expected the model's card" in result.stderr
    (model,) = json.loads(invoke("models", path, "--json").stdout)
    assert "expected the model's card" in model["problem"]


@pytest.mark.parametrize("verb", ["list", "verify", "speed"])
def test_an_unknown_name_is_a_model_error(invoke, verb):
    result = invoke("models", verb, "nosuch")
    assert result.exit_code == errors.EXIT_MODEL
    assert "got 'nosuch', expected a path or the name of a model" in result.stderr


MIX = {"usdr": {"vocals": -5.0, "mean": -5.2}}


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ({}, {}),
        ({"songs": ["one", "two"], "samplerate": 44100}, {}),
        ({"usdr": 3.5}, {"mean": 3.5}),
        ({"usdr": {"mean": 3.5, "vocals": 9.0}}, {"mean": 3.5}),
        ({"usdr": {"vocals": 1, "drums": 2, "bass": 3, "other": 4}}, {"mean": 2.5}),
        ({"song": {"model": {"usdr": {"mean": 1.1}}, "mix": MIX}}, {"song": 1.1}),
        ({"a": {"uSDR": {"mean": 1}}, "b": {"c": {"mean_usdr": 2}}}, {"a": 1.0, "b c": 2.0}),
        ({"a": {"usdr": None}, "b": {"usdr": {"mean": None}}, "c": {"usdr": {}}}, {}),
        (
            {"44100 Hz": {"songs": {"model": {"usdr": {"mean": 4}}, "tracks": {"x": MIX}}}},
            {"44100 Hz songs": 4.0},
        ),
        ({"model": {"song": {"usdr": {"mean": 7}}}, "mix": {"song": MIX}}, {"song": 7.0}),
    ],
)
def test_scores_are_found_however_they_are_nested(scores, found):
    assert mean_usdr(scores) == found


# -- verify ----------------------------------------------------------------------------------------


def refused(path):
    """Names and sentences of the checks that failed."""
    return {check.name: check.found for check in inspect(path, "cpu") if not check.ok}


def test_released_models_are_verified(invoke):
    result = invoke("models", "verify", "--provider", "cpu", "--json")
    assert result.exit_code == 0, result.stdout
    verified = json.loads(result.stdout)
    assert [model["name"] for model in verified] == [path.stem for path in released()]
    for model in verified:
        assert model["ok"]
        assert [check["name"] for check in model["checks"]] == CHECKS


def test_one_line_for_each_check_and_104_for_one_that_is_refused(invoke, path, tmp_path):
    bad = write_model(tmp_path, LIVE, "bad")
    bad.write_bytes(bad.read_bytes() + b"\0")
    result = invoke("models", "verify", path, bad)
    assert result.exit_code == errors.EXIT_MODEL
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:3] if i == 0 else line[:2] for i, line in enumerate(lines[:8])] == [
        ["tiny", "card", "ok"],
        *([name, "ok"] for name in CHECKS[1:]),
    ]
    assert [line[:3] for line in lines[8:10]] == [
        ["bad", "card", "ok"],
        ["sha256", "refused", "bad.json.sha256:"],
    ]


@pytest.mark.parametrize("complex_masks", [False, True])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_model_that_keeps_the_contract_is_taken(tmp_path, profile, complex_masks):
    path = write_model(tmp_path, StreamSpec.of(profile, 48_000), complex_masks=complex_masks)
    assert refused(path) == {}


def test_a_model_of_one_rate_is_examined_at_that_rate(path):
    write_card(path, samplerates=[44_100])
    assert refused(path) == {}
    write_card(path, samplerates=[])
    assert refused(path)["card"].endswith("got [], expected a list of rates in Hz")


def test_what_comes_after_a_broken_door_is_not_looked_at(tmp_path, path):
    write_card(path, hop_length=300)
    assert list(refused(path)) == ["card"]
    assert (
        "got n_fft, hop_length, window 2048 300 'asymmetric', expected one of"
        in refused(path)["card"]
    )
    write_model(tmp_path, LIVE, change_card=lambda card: card["states"][0].update(name="x"))
    assert list(refused(path)) == ["graph"]


def test_another_result_than_the_trainers_is_refused(tmp_path):
    def spoil(card):
        card["selftest"]["masks"][3] += 0.003

    found = refused(write_model(tmp_path, LIVE, change_card=spoil))
    assert list(found) == ["self-test"]
    assert "got masks 0.003 off the stored self-test, expected at most 0.002" in found["self-test"]


def described(tmp_path, change):
    """A spoiled graph with a card of its own making, as its author would have it."""
    path = write_model(tmp_path, LIVE, change=change)
    path.with_suffix(".json").write_text(json.dumps(describe(path)))
    return path


def node_that_makes(parts, output):
    return next(i for i, node in enumerate(parts["nodes"]) if output in node.output)


def no_floor(parts):
    """0 / 0 where nothing sounds."""
    parts["nodes"][node_that_makes(parts, "whole")] = helper.make_node(
        "Identity", ["both"], ["whole"]
    )


def dice(parts):
    """Drop-out left on, as it were, and little enough of it to pass the self-test."""
    at = node_that_makes(parts, "share")
    parts["nodes"][at : at + 1] = [
        helper.make_node("Div", ["power", "whole"], ["clean"]),
        helper.make_node("RandomUniformLike", ["clean"], ["dice"], low=0.0, high=1e-3),
        helper.make_node("Add", ["clean", "dice"], ["share"]),
    ]


def batch_norm(parts):
    """A mean over all axes, where all but the first was meant."""
    at = node_that_makes(parts, "whole")
    parts["nodes"][at : at + 1] = [
        helper.make_node("ReduceMean", ["both"], ["level"], keepdims=1),
        helper.make_node("Add", ["both", "level"], ["whole"]),
    ]


@pytest.mark.parametrize(
    ("change", "check", "sentence"),
    [
        (no_floor, "finite", "got a mask that is not finite on silence, expected numbers"),
        (dice, "causal", "got masks of a past that differ with its future"),
        (batch_norm, "feeds", "got masks that hear a neighbour in the batch by"),
    ],
)
def test_streaming_faults_are_named(tmp_path, change, check, sentence):
    found = refused(described(tmp_path, change))
    assert f"tiny.onnx on cpu: {sentence}" in found[check]


@pytest.mark.parametrize(
    ("slot", "sentence"),
    [(None, "got masks that remember"), (1, "got masks that a neighbour's reset changed")],
)
def test_a_reset_that_does_too_little_or_too_much_is_named(monkeypatch, path, slot, sentence):
    whole = MaskNet.reset

    def reset(self, which=None):
        if which is None:
            whole(self)
        elif slot is not None:
            whole(self, which)
            whole(self, slot)

    monkeypatch.setattr(MaskNet, "reset", reset)
    found = refused(path)
    assert list(found) == ["reset"]
    assert sentence in found["reset"]


def test_a_graph_that_loads_but_does_not_run_is_a_model_error(tmp_path):
    def misfit(parts):
        """A size the exporter left open, and that the inside has another opinion of."""
        parts["inputs"]["mean"] = parts["outputs"]["next_mean"] = ["b", 2, "n"]
        weights = np.zeros((LIVE.n_bins, 1), np.float32)
        parts["initializers"].append(numpy_helper.from_array(weights, "weights"))
        nodes = [node for node in parts["nodes"] if "mean" not in node.input]
        at = next(i for i, node in enumerate(nodes) if "next_mean" in node.output)
        nodes[at : at + 1] = [
            helper.make_node("Identity", ["mean"], ["next_mean"]),
            helper.make_node("MatMul", ["mean", "weights"], ["sums"]),
        ]
        at = next(i for i, node in enumerate(nodes) if "both" in node.output)
        nodes[at] = helper.make_node("Add", ["power", "sums"], ["both"])
        parts["nodes"] = nodes

    path = write_model(
        tmp_path,
        LIVE,
        change=misfit,
        change_card=lambda card: card.update(states=[{"name": "mean", "shape": [2, 7]}]),
    )
    found = refused(path)
    assert list(found) == ["graph"]
    assert "expected a graph that runs" in found["graph"]


# -- speed -----------------------------------------------------------------------------------------


def test_speed_has_percentiles_of_step_and_hop(invoke, path):
    result = invoke(
        *("models", "speed", path, DEFAULT_MODELS["tight"], "--seconds", "0.5", "--json")
    )
    assert result.exit_code == 0, result.stderr
    tiny, tight = json.loads(result.stdout)
    assert (tiny["name"], tiny["profile"], tiny["hops"]) == ("tiny", "live", 94)
    assert (tight["profile"], tight["hops"]) == ("tight", 188)
    for model in (tiny, tight):
        step, hop = model["us"]["model"], model["us"]["hop"]
        assert 0 < step["p50"] <= step["p99"] <= step["p99.9"]
        assert step["p50"] < hop["p50"] <= hop["p99"] <= hop["p99.9"]
        assert model["load"]["p50"] == pytest.approx(hop["p50"] / model["hop_us"])


def test_the_speed_table_has_a_line_for_step_and_hop(invoke, path):
    shown = invoke("models", "speed", path, "--seconds", "0.5").stdout
    assert "tiny  step" in shown
    assert "hop of 5333" in shown


# -- describe --------------------------------------------------------------------------------------


@pytest.mark.parametrize("complex_masks", [False, True])
def test_a_described_model_is_taken(invoke, tmp_path, complex_masks):
    path = write_model(tmp_path, LIVE, complex_masks=complex_masks)
    theirs = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").unlink()
    result = invoke(
        *("models", "describe", path, "--profile", "live"),
        *("--license", "CC0", "--data", "one song"),
    )
    assert result.exit_code == 0, result.stderr
    assert f"stemd models verify {path}" in result.stdout
    assert refused(path) == {}
    ours = json.loads(path.with_suffix(".json").read_text())
    assert ours["license"] == "CC0"
    assert ours["training"]["data"] == "one song"
    for field in set(theirs) - {"license", "training", "selftest"}:
        assert ours[field] == theirs[field], field
    assert ours["selftest"]["masks"] == pytest.approx(theirs["selftest"]["masks"], abs=1e-5)


def test_a_new_export_is_described_anew_and_what_was_written_by_hand_stays(invoke, path, tmp_path):
    training = {"data": "mine", "hours_of_audio": 9, "steps": 8, "seed": 7, "date": "2030-01-01"}
    by_hand = {
        "training": training,
        "scores": {"usdr": 5.0},
        "license": "secret",
        "samplerates": [44_100],
        "note": "kept",
    }
    write_card(path, **by_hand)
    card = path.with_suffix(".json").read_text()
    write_model(tmp_path, LIVE, complex_masks=True)
    path.with_suffix(".json").write_text(card)
    assert list(refused(path)) == ["sha256"]
    assert invoke("models", "describe", path).exit_code == 0
    assert refused(path) == {}
    after = json.loads(path.with_suffix(".json").read_text())
    assert {field: after[field] for field in by_hand} == by_hand
    assert after["masks"] == "complex"


def free_bins(parts):
    for nodes in (parts["inputs"], parts["outputs"]):
        for shape in nodes.values():
            shape[shape.index(LIVE.n_bins)] = "n"


def no_mix(parts):
    parts["inputs"] = {"audio": parts["inputs"]["mix"], "mean": parts["inputs"]["mean"]}
    for node in parts["nodes"]:
        for i, name in enumerate(node.input):
            if name == "mix":
                node.input[i] = "audio"


def masks_last(parts):
    masks = parts["outputs"].pop("masks")
    parts["outputs"]["masks"] = masks


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (
            None,
            [],
            r"tiny\.onnx\.mix: got 1025 bins, which tight, live, quality have; say --profile",
        ),
        (
            None,
            ["--profile", "classic"],
            r"tiny\.onnx\.mix: got shape \[2, 1025, 2\], expected \[2, 513",
        ),
        (free_bins, [], r"tiny\.onnx\.mix: got n bins, expected one of \[513, 1025\]"),
        (
            free_bins,
            ["--profile", "live"],
            r"tiny\.onnx\.mean: got shape \['b', 2, 'n'\], expected sizes",
        ),
        (no_mix, [], r"tiny\.onnx\.mix: got nothing, expected \(b, 2, f, 2\)"),
        (
            masks_last,
            ["--profile", "live"],
            r"tiny\.onnx\.outputs: got \['next_mean', 'masks'\], expected \['masks'",
        ),
    ],
)
def test_a_graph_that_cannot_be_described_is_refused_by_name(
    invoke, tmp_path, change, arguments, sentence
):
    path = write_model(tmp_path, LIVE, change=change)
    path.with_suffix(".json").unlink()
    result = invoke("models", "describe", path, *arguments)
    assert result.exit_code == errors.EXIT_MODEL
    assert re.search(sentence, result.stderr), result.stderr
    assert not path.with_suffix(".json").exists()


def test_the_classic_profile_is_told_by_its_bins(invoke, tmp_path):
    path = write_model(tmp_path, StreamSpec.of("classic", 48_000))
    path.with_suffix(".json").unlink()
    assert invoke("models", "describe", path).exit_code == 0
    assert refused(path) == {}


def test_a_model_that_computes_no_numbers_gets_no_card(invoke, tmp_path):
    def infinite(parts):
        parts["nodes"][node_that_makes(parts, "whole")] = helper.make_node(
            "Sub", ["both", "both"], ["whole"]
        )

    path = write_model(tmp_path, LIVE, change=infinite)
    result = invoke("models", "describe", path)
    assert result.exit_code == errors.EXIT_MODEL
    assert "got a mask that is not finite on the self-test's input" in result.stderr
