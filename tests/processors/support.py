"""Models and signals for the processors' tests."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper

from stemd.processors.features import Features
from stemd.processors.modelcard import selftest_input
from stemd.processors.separator import HopSeparator
from stemd.spec import FEATURES, N_CHANNELS, N_FEATURES, N_STEMS, SOURCES, STEMS, StreamSpec

KEEP = 0.9  # of the tiny model's running mean


class FixedMasks:
    """A model whose masks the test chooses; None is late."""

    def __init__(self, masks, complex_masks=False):
        self.masks = masks
        self.complex_masks = complex_masks
        self.resets = []

    @classmethod
    def one(cls, spec, stem):
        """All of the mix into one stem."""
        masks = np.zeros((spec.n_feeds, N_STEMS, N_CHANNELS, spec.n_bins), np.float32)
        masks[:, STEMS.index(stem)] = 1.0
        return cls(masks)

    @classmethod
    def random(cls, spec, seed=0):
        rng = np.random.default_rng(seed)
        masks = rng.random((spec.n_feeds, N_STEMS, N_CHANNELS, spec.n_bins))
        return cls(masks.astype(np.float32))

    def process(self, spectra, deadline=None):
        return self.masks

    def reset(self, slot=None):
        self.resets.append(slot)


def tiny_masks(spectra, mean):
    """What the tiny ONNX model computes, in NumPy: masks (b, s, c, f) and its next state."""
    power = (np.abs(spectra) ** 2).astype(np.float32)
    following = np.float32(KEEP) * mean + np.float32(1 - KEEP) * power
    share = power / (power + following + np.float32(1e-6))
    rest = (1 - share) / 3
    return np.stack([share, rest, rest, rest], axis=1).astype(np.float32), following


def write_model(folder, spec, name="tiny", complex_masks=False, change=None, change_card=None):
    """Write a small model with one state that keeps the contract; `change*` spoil it.

    change : graph parts dict -> None, before the model is made
    change_card : card dict -> None, before it is written
    """
    f = spec.n_bins
    mask_shape = ["b", N_STEMS, N_CHANNELS, f] + ([2] if complex_masks else [])
    parts = {
        "inputs": {"mix": ["b", N_CHANNELS, f, 2], "mean": ["b", N_CHANNELS, f]},
        "outputs": {"masks": mask_shape, "next_mean": ["b", N_CHANNELS, f]},
        "type": TensorProto.FLOAT,
    }

    def constant(label, value, kind=np.float32):
        return onnx.numpy_helper.from_array(np.asarray(value, kind), label)

    initializers = [
        constant("last", [3], np.int64),
        constant("one", [1], np.int64),
        constant("four", [4], np.int64),
        constant("keep", KEEP),
        constant("fresh", 1 - KEEP),
        constant("tiny", 1e-6),
        constant("unit", 1.0),
        constant("three", 3.0),
    ]
    nodes = [
        helper.make_node("Mul", ["mix", "mix"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "last"], ["power"], keepdims=0),
        helper.make_node("Mul", ["mean", "keep"], ["kept"]),
        helper.make_node("Mul", ["power", "fresh"], ["added"]),
        helper.make_node("Add", ["kept", "added"], ["next_mean"]),
        helper.make_node("Add", ["power", "next_mean"], ["both"]),
        helper.make_node("Add", ["both", "tiny"], ["whole"]),
        helper.make_node("Div", ["power", "whole"], ["share"]),
        helper.make_node("Sub", ["unit", "share"], ["left"]),
        helper.make_node("Div", ["left", "three"], ["third"]),
        helper.make_node("Unsqueeze", ["share", "one"], ["s0"]),
        helper.make_node("Unsqueeze", ["third", "one"], ["s1"]),
    ]
    if complex_masks:
        nodes += [
            helper.make_node("Concat", ["s0", "s1", "s1", "s1"], ["real"], axis=1),
            helper.make_node("Unsqueeze", ["real", "four"], ["re"]),
            helper.make_node("Sub", ["re", "re"], ["im"]),
            helper.make_node("Concat", ["re", "im"], ["masks"], axis=4),
        ]
    else:
        nodes += [helper.make_node("Concat", ["s0", "s1", "s1", "s1"], ["masks"], axis=1)]
    parts["nodes"], parts["initializers"] = nodes, initializers
    if change:
        change(parts)
    graph = helper.make_graph(
        parts["nodes"],
        "tiny",
        [helper.make_tensor_value_info(n, parts["type"], s) for n, s in parts["inputs"].items()],
        [helper.make_tensor_value_info(n, parts["type"], s) for n, s in parts["outputs"].items()],
        parts["initializers"],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())

    mean = np.zeros((1, N_CHANNELS, f), np.float32)
    for step in range(8):
        spectra = selftest_input((1, N_CHANNELS, f, 2), step).view(np.complex64)[..., 0]
        masks, mean = tiny_masks(spectra, mean)
    if complex_masks:
        masks = np.stack([masks, 0 * masks], axis=-1)
    card = {
        "contract": 1,
        "name": name,
        "n_fft": spec.n_fft,
        "hop_length": spec.hop_length,
        "window": spec.window,
        "channels": 2,
        "stems": list(STEMS),
        "masks": "complex" if complex_masks else "real",
        "states": [{"name": "mean", "shape": [N_CHANNELS, f]}],
        "lookahead_frames": 0,
        "samplerates": [44100, 48000],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "training": {"data": "none", "hours_of_audio": 0, "steps": 0, "seed": 0, "date": "today"},
        "scores": {},
        "license": "MIT",
        "selftest": {
            "frames": 8,
            "stride": 64,
            "masks": [round(float(m), 6) for m in masks[0, :, :, ::64].ravel()],
        },
    }
    if change_card:
        change_card(card)
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


class Run:
    """Audio (c, n) through a HopSeparator and Features, all output kept.

    stems (s, c, n), mix (c, n), features (hop, source, feature)
    """

    def __init__(self, audio, spec, model, features=True, before_hop=None):
        hop_length = spec.hop_length
        self.separator = HopSeparator(spec, model)
        self.feature_maker = Features(spec)
        self.hop_length = hop_length
        stems = np.zeros((1, N_STEMS, N_CHANNELS, hop_length), np.float32)
        mix = np.zeros((1, N_CHANNELS, hop_length), np.float32)
        row = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
        all_stems, all_mix, all_rows = [], [], []
        for hop in range(audio.shape[1] // hop_length):
            if before_hop:
                before_hop(hop, self)
            piece = audio[None, :, hop * hop_length : (hop + 1) * hop_length]
            self.separator.process(np.ascontiguousarray(piece, np.float32), stems, mix)
            if features:
                self.feature_maker.process(self.separator, mix, stems, row)
            all_stems.append(stems[0].copy())
            all_mix.append(mix[0].copy())
            all_rows.append(row[0].copy())
        self.stems = np.concatenate(all_stems, axis=-1)
        self.mix = np.concatenate(all_mix, axis=-1)
        self.features = np.array(all_rows)

    def feature(self, name, source="mix"):
        """One feature of one source over hops."""
        return self.features[:, SOURCES.index(source), FEATURES.index(name)]


def stereo(mono):
    """(n,) to (2, n) float32."""
    return np.tile(np.asarray(mono, np.float32), (2, 1))


def db(ratio):
    return 20 * np.log10(max(ratio, 1e-20))


def spec_of(profile, samplerate=48000, n_feeds=1) -> StreamSpec:
    return StreamSpec.of(profile, samplerate, n_feeds)
