"""docs/models.md is followed to the letter: its example, its commands, its table of refusals."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stemd.errors import EXIT_MODEL, ModelError
from stemd.processors.describe import describe
from stemd.processors.inspection import inspect
from stemd.processors.masknet import MaskNet
from stemd.processors.modelcard import digest_of
from stemd.processors.separator import Separator
from stemd.spec import PROFILES, STEMS, StreamSpec
from tests.cli.conftest import command, end, start

GUIDE = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S)
(COMMANDS,) = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.M | re.S)


def table(head):
    """Cells of the table under a head."""
    lines = GUIDE[GUIDE.index(head) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def run_in(folder, *words):
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def guided(tmp_path_factory):
    """The folder of somebody who did what the guide says, and what they were told."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "simple.py").write_text(PROGRAMS[0])
    said = {}
    for line in COMMANDS.splitlines():
        words = re.findall(r'"[^"]*"|\S+', line)
        words = [word.strip('"') for word in words]
        if words[:2] != ["stemd", "run"]:
            program = [sys.executable] if words[0] == "python" else command()
            said[line] = run_in(folder, *program, *words[1:])
    return folder, said


@pytest.fixture
def path(guided, tmp_path):
    """A copy of the example, to be spoiled."""
    for suffix in (".onnx", ".json"):
        shutil.copy(guided[0] / f"simple{suffix}", tmp_path)
    return tmp_path / "simple.onnx"


def test_the_example_is_verified_and_timed(guided):
    _, said = guided
    assert len(said) == 4
    verified = next(text for line, text in said.items() if "verify" in line)
    assert len(re.findall(r" ok ", verified)) == 8
    assert "simple" in next(text for line, text in said.items() if "speed" in line)


def test_the_example_runs_live(guided):
    folder, _ = guided
    line = "stemd run --model simple.onnx"
    assert line in COMMANDS
    running = start("--model", folder / "simple.onnx", "--set", "source.kind=demo")
    try:
        status = running.until_running()
        assert status["separate"]["model"] == "simple"
        assert status["separate"]["latency"] == StreamSpec.of("live", 48_000).latency
    finally:
        end(running)


def test_the_example_does_what_it_says(path):
    """A tone below 200 Hz is bass, one in the middle is vocals, one on the left is other."""
    spec = StreamSpec.of("live", 48_000)
    t = np.arange(24_000) / 48_000
    for f0_hz, left_right, stem in (
        (100, (1, 1), "bass"),
        (1000, (1, 1), "vocals"),
        (1000, (1, 0), "other"),
    ):
        tone = np.sin(2 * np.pi * f0_hz * t) * np.array(left_right)[:, None]
        stems = Separator(spec, MaskNet(path, spec, "cpu")).process(0.1 * tone)
        power = (stems[:, :, 12_000:] ** 2).sum((1, 2))
        assert STEMS[int(np.argmax(power))] == stem
        # what one side has alone is shared by half: |L + R|^2 is half of twice the power
        assert power.max() > (0.2 if stem == "other" else 0.9) * power.sum()


def test_the_torch_example_is_taken(tmp_path):
    pytest.importorskip("torch")
    run_in(tmp_path, sys.executable, "-c", PROGRAMS[1])
    path = tmp_path / "step.onnx"
    path.with_suffix(".json").write_text(json.dumps(describe(path, "tight")))
    assert [check.found for check in inspect(path, "cpu") if not check.ok] == []


def test_the_table_of_profiles():
    for name, n_fft, hop_length, n_bins, window, latency in table("| profile | n_fft"):
        spec = StreamSpec.of(name.strip("`"), 48_000)
        assert (int(n_fft), int(hop_length), window) == (spec.n_fft, spec.hop_length, spec.window)
        assert int(n_bins) == spec.n_bins
        assert latency == f"{1e3 * spec.latency / 48_000:.1f} ms"
    assert [row[0].strip("`") for row in table("| profile | n_fft")] == list(PROFILES)


# -- the table of refusals -------------------------------------------------------------------------


def refusal(path):
    """The first sentence of `stemd models verify`."""
    return next(check.found for check in inspect(path, "cpu") if not check.ok)


def edit_card(path, **fields):
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | fields))


def edit_graph(path, change, described=True):
    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, path)
    if described:
        path.with_suffix(".json").write_text(json.dumps(describe(path)))
    else:
        edit_card(path, sha256=digest_of(path))


def insert(graph, made, *nodes):
    """Put nodes before the one that makes `made`."""
    at = next(i for i, node in enumerate(graph.node) if made in node.output)
    for node in reversed(nodes):
        graph.node.insert(at, node)


def rewire(graph, maker, old, new):
    node = next(node for node in graph.node if maker in node.output)
    node.input[list(node.input).index(old)] = new


def exported_again(path):
    path.write_bytes(path.read_bytes() + b"\0")
    return refusal(path)


def no_json(path):
    path.with_suffix(".json").unlink()
    return refusal(path).replace(f"{path.parent}/", "")


def renamed(path):
    path.rename(path.with_stem("other"))
    path.with_suffix(".json").rename(path.with_name("other.json"))
    return refusal(path.with_stem("other"))


def no_licence(path):
    edit_card(path, license="")
    return refusal(path)


def another_profile(path):
    with pytest.raises(ModelError) as caught:
        MaskNet(path, StreamSpec.of("tight", 48_000), "cpu")
    return str(caught.value)


def fixed_batch(path):
    def change(graph):
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    edit_graph(path, change, described=False)
    return refusal(path)


def another_input(path):
    def change(graph):
        graph.input.append(helper.make_tensor_value_info("gain", TensorProto.FLOAT, ["b"]))

    edit_graph(path, change, described=False)
    return refusal(path)


def another_size(path):
    edit_card(path, states=[{"name": "mean", "shape": [2, 513]}])
    return refusal(path)


def doubles(path):
    def change(graph):
        graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
        cast = helper.make_node("Cast", ["mix"], ["mix32"], to=TensorProto.FLOAT)
        for node in graph.node:
            for i, name in enumerate(node.input):
                if name == "mix":
                    node.input[i] = "mix32"
        graph.node.insert(0, cast)

    edit_graph(path, change, described=False)
    return refusal(path)


def another_result(path):
    card = json.loads(path.with_suffix(".json").read_text())
    card["selftest"]["masks"][0] += 0.01
    edit_card(path, selftest=card["selftest"])
    return refusal(path)


def no_floor(path):
    def change(graph):
        (tiny,) = (x for x in graph.initializer if x.name == "tiny")
        tiny.CopyFrom(numpy_helper.from_array(np.float32(0), "tiny"))

    edit_graph(path, change)
    return refusal(path)


def drop_out(path):
    def change(graph):
        insert(
            graph,
            "drums",
            helper.make_node("RandomUniformLike", ["drums_gate"], ["dice"], low=0.0, high=1e-3),
            helper.make_node("Add", ["drums_gate", "dice"], ["thrown"]),
        )
        rewire(graph, "drums", "drums_gate", "thrown")

    edit_graph(path, change)
    return refusal(path)


def mean_over_feeds(path):
    def change(graph):
        insert(
            graph,
            "drums_gate",
            helper.make_node("ReduceMean", ["audible"], ["level"], keepdims=1),
            helper.make_node("Add", ["audible", "level"], ["levelled"]),
        )
        rewire(graph, "drums_gate", "audible", "levelled")

    edit_graph(path, change)
    return refusal(path)


SPOILERS = {
    "exported again, not described": exported_again,
    "no .json": no_json,
    "file renamed": renamed,
    "a licence forgotten": no_licence,
    "run in another profile": another_profile,
    "`b` fixed to 1": fixed_batch,
    "another input beside the states": another_input,
    "a state of another size": another_size,
    "in float64": doubles,
    "another result here than where it was described": another_result,
    "0 / 0 in silence": no_floor,
    "drop-out left on": drop_out,
    "a mean over the feeds": mean_over_feeds,
}
REFUSALS = {done: sentence for done, sentence in table("| done | refused with |")}


def test_every_refusal_of_the_table_is_tried():
    assert set(REFUSALS) == set(SPOILERS)


@pytest.mark.parametrize("done", SPOILERS)
def test_a_refusal_reads_as_the_table_says(path, done):
    wanted = ".*".join(map(re.escape, REFUSALS[done].strip("`").split("…")))
    assert re.fullmatch(wanted, SPOILERS[done](path))


@pytest.mark.parametrize("done", list(SPOILERS)[-3:])
def test_what_only_verify_finds_passes_the_daemons_door(path, done):
    SPOILERS[done](path)
    MaskNet(path, StreamSpec.of("live", 48_000), "cpu")


def test_the_daemon_refuses_with_the_same_sentence(path):
    exported_again(path)
    ran = subprocess.run(
        command("run", "--no-view", "--model", path, "--set", "source.kind=tone"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == EXIT_MODEL
    assert refusal(path) in ran.stderr
