"""Make a model's .json: what the .onnx file shows, what was said before, the rest blank."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np

from stemd.errors import ModelError
from stemd.processors.masknet import MaskNet, graph_shapes
from stemd.processors.modelcard import (
    CONTRACT,
    SELFTEST_BINS,
    SELFTEST_FRAMES,
    digest_of,
    profile_of,
)
from stemd.spec import N_CHANNELS, PROFILES, STEMS, StreamSpec

NOT_STATED = "not stated"
SAMPLERATES = (44_100, 48_000)


def describe(path: Path, profile: str | None = None) -> dict[str, Any]:
    """The card of an .onnx file, complete, and believed by `MaskNet`.

    What the file shows is looked up in it: states, kind of masks, checksum, self-test.  Everything
    else is kept from the .json beside it, if there is one, or left blank to be filled in by hand.

    Parameters
    ----------
    path : Path
        The .onnx file.
    profile : str or None
        A name in `spec.PROFILES`; None: as before, or the only one with so many bins.

    Raises
    ------
    ModelError
        Where the graph does not keep the contract, or the profile cannot be told.
    """
    before = _before(path)
    digest = digest_of(path)
    inputs, outputs = graph_shapes(path)
    for name, nodes, wanted, ranks in (
        ("mix", inputs, "(b, 2, f, 2)", (4,)),
        ("masks", outputs, "(b, 4, 2, f) or (b, 4, 2, f, 2)", (4, 5)),
    ):
        if name not in nodes or len(nodes[name]) not in ranks:
            raise ModelError(
                f"{path.name}.{name}: got {nodes.get(name, 'nothing')}, expected {wanted}"
            )
    name = profile or _profile(path, before, inputs["mix"][2])
    chosen = PROFILES[name]
    states = {state: shape for state, shape in inputs.items() if state != "mix"}
    for state, shape in states.items():
        if not all(isinstance(size, int) for size in shape[1:]):
            raise ModelError(
                f"{path.name}.{state}: got shape {shape}, expected sizes after the batch axis"
            )
    training = {
        "data": NOT_STATED,
        "hours_of_audio": 0,
        "steps": 0,
        "seed": 0,
        "date": datetime.date.fromtimestamp(path.stat().st_mtime).isoformat(),
    }
    derived = {
        "contract": CONTRACT,
        "name": path.stem,
        "n_fft": chosen.n_fft,
        "hop_length": chosen.hop_length,
        "window": chosen.window,
        "channels": N_CHANNELS,
        "stems": list(STEMS),
        "masks": "complex" if len(outputs["masks"]) == 5 else "real",
        "states": [{"name": state, "shape": shape[1:]} for state, shape in states.items()],
        "lookahead_frames": 0,
        "sha256": digest,
    }
    blank = {
        "samplerates": list(SAMPLERATES),
        "license": NOT_STATED,
        "training": training,
        "scores": {},
    }
    card = {**derived, **blank, **before, **derived}  # in the order of a first card
    card.pop("selftest", None)
    net = MaskNet(path, StreamSpec.of(name, SAMPLERATES[0]), "cpu", card)
    masks = net.selftest_masks()[0]
    if not np.isfinite(masks).all():
        raise ModelError(f"{path.name}: got a mask that is not finite on the self-test's input")
    card["selftest"] = {
        "frames": SELFTEST_FRAMES,
        "stride": SELFTEST_BINS,
        "masks": [round(float(mask), 6) for mask in masks],
    }
    return card


def _before(path: Path) -> dict[str, Any]:
    """What stands in the .json already."""
    card = path.with_suffix(".json")
    if not card.exists():
        return {}
    try:
        before = json.loads(card.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{card}: got {error}, expected JSON; mend or remove it") from error
    if not isinstance(before, dict):
        raise ModelError(f"{card}: got {type(before).__name__}, expected an object")
    return before


def _profile(path: Path, before: dict[str, Any], n_bins: Any) -> str:
    """As it was before, or the only one with so many bins."""
    if {"n_fft", "hop_length", "window"} <= before.keys():
        return profile_of(path, before)
    fitting = [name for name, p in PROFILES.items() if n_bins == p.n_fft // 2 + 1]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        bins = sorted({p.n_fft // 2 + 1 for p in PROFILES.values()})
        raise ModelError(f"{path.name}.mix: got {n_bins} bins, expected one of {bins}")
    raise ModelError(
        f"{path.name}.mix: got {n_bins} bins, which {', '.join(fitting)} have; say --profile"
    )
