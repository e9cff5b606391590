"""A model that raises or never comes back in the middle of a stream costs seconds, not the show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper

from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.errors import EXIT_MODEL
from stemd.spec import StreamSpec
from stemd.status import ROLES, State

from ..device.conftest import START_S, port_overrides, running
from ..processors.support import write_model
from ..servers import wait_for

SPEC = StreamSpec.of("live", 48_000)
TREBLE = 900  # bins; the self-test has next to nothing there, noise and our burst have
# Power of a bin there: that of a full tone is 1e5, of warm-up noise about 10, of the self-test 0.5.
BURST, NOISE = 1e4, 1.0


def write_failing_model(folder: Path, way: str, limit: float) -> Path:
    """A small model that raises or hangs at the first frame with more than `limit` of treble."""

    def change(parts: dict[str, Any]) -> None:
        values = {
            "start": np.array([TREBLE], np.int64),
            "stop": np.array([SPEC.n_bins], np.int64),
            "two": np.array([2], np.int64),
            "limit": np.float32(limit),
            "always": np.ones(1, np.float32),
            "ages": np.int64(1 << 60),
            "on": np.bool_(True),
        }
        parts["initializers"] += [
            numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()
        ]
        parts["nodes"][-1].output[0] = "plain"
        parts["nodes"] += [
            helper.make_node("Slice", ["power", "start", "stop", "two"], ["treble"]),
            helper.make_node("ReduceMax", ["treble"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "limit"], ["over"]),
            helper.make_node("Cast", ["over"], ["times"], to=TensorProto.INT64),
        ]
        if way == "raises":  # element 1 of 1
            parts["nodes"].append(helper.make_node("Gather", ["always", "times"], ["gate"]))
        else:
            parts["nodes"] += [
                helper.make_node("Mul", ["times", "ages"], ["rounds"]),
                helper.make_node("Loop", ["rounds", "on", "always"], ["gate"], body=round_()),
            ]
        parts["nodes"].append(helper.make_node("Mul", ["plain", "gate"], ["masks"]))

    return write_model(folder, SPEC, name=way, change=change)


def round_() -> Any:
    """One round of a loop that changes nothing."""

    def value(name: str, kind: int, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    return helper.make_graph(
        [
            helper.make_node("Identity", ["on_in"], ["on_out"]),
            helper.make_node("Identity", ["kept_in"], ["kept_out"]),
        ],
        "round",
        [
            value("i", TensorProto.INT64, []),
            value("on_in", TensorProto.BOOL, []),
            value("kept_in", TensorProto.FLOAT, [1]),
        ],
        [value("on_out", TensorProto.BOOL, []), value("kept_out", TensorProto.FLOAT, [1])],
    )


def write_burst(path: Path, at_s: float, n_s: float) -> None:
    """Soft noise with 0.2 s of a loud tone at 22 kHz in it."""
    noise = np.random.default_rng(1).uniform(-0.01, 0.01, (round(n_s * 48_000), 2))
    t = np.arange(9_600)
    tone = 0.8 * np.sin(2 * np.pi * 22_000 / 48_000 * t)
    noise[round(at_s * 48_000) :][: len(t)] += tone[:, None]
    soundfile.write(path, noise, 48_000, subtype="PCM_16")


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("raises", r"model: got \w+: .*Gather.*, expected masks"),
        ("hangs", r"model: got no masks for 2 s, expected those of some hop"),
    ],
)
def test_a_model_that_fails_in_the_stream_is_started_again(
    way: str, sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_failing_model(tmp_path, way, BURST)
    write_burst(tmp_path / "burst.wav", at_s=2.0, n_s=120.0)
    source = ["source.kind=file", f'source.path="{tmp_path}/burst.wav"']
    with running(*source, f'model.name="{path}"', "model.provider=cpu") as it:
        role = ROLES.index("separate")
        it.until(lambda: int(it.status.daemon["restarts"][role]) == 1, 30.0, "the replacement")
        assert re.search(rf"separate ended \({sentence}\): starting it again", caplog.text)
        it.until(lambda: it.status.separate["ready"], START_S, "a new separator")
        it.until_sound()
        dry = int(it.status.separate["dry"])
        hops = it.collect(0.5).hops
        assert int(it.status.separate["dry"]) == dry
        assert np.abs(hops["stems"][:, 0, 0]).max() > 1e-4  # masked, not all in `other`
        assert it.status.reason == ""


def test_a_model_that_fails_while_it_warms_up_is_refused(tmp_path: Path) -> None:
    path = write_failing_model(tmp_path, "raises", NOISE)
    ports, _ = port_overrides()
    settings = [*ports, "source.kind=tone", f'model.name="{path}"', "model.provider=cpu"]
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    try:
        wait_for(lambda: not daemon.poll(0.1), START_S, "the refusal")
        assert daemon.status.state is State.FAILED
        assert re.search(r"model: got \w+: .*Gather.*, expected masks", daemon.status.reason)
    finally:
        daemon.stop()
    assert daemon.exit_code == EXIT_MODEL
