"""The model's door, and what comes through it, with real ONNX files."""

import hashlib
import json

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from stemd.errors import ModelError
from stemd.kernels.denormals import denormals_are_flushed, flush_denormals
from stemd.processors import masknet
from stemd.processors.catalogue import find_model
from stemd.processors.masknet import MaskNet
from stemd.spec import PROFILES, StreamSpec

from .support import spec_of, tiny_masks, write_model

SPEC = StreamSpec(48000, 256, 64)
BATCH = StreamSpec(48000, 256, 64, n_feeds=3)


def spectra(spec, frames, seed=0):
    rng = np.random.default_rng(seed)
    shape = (frames, spec.n_feeds, 2, spec.n_bins)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


@pytest.fixture
def path(tmp_path):
    return write_model(tmp_path, SPEC)


def test_masks_and_states_are_the_models(path):
    net = MaskNet(path, BATCH, "cpu")
    mean = np.zeros((3, 2, BATCH.n_bins), np.float32)
    for frame in spectra(BATCH, 10):
        wanted, mean = tiny_masks(frame, mean)
        np.testing.assert_allclose(net.process(frame), wanted, atol=1e-6)
    assert (net.name, net.provider, net.complex_masks) == ("tiny", "cpu", False)


def test_complex_masks_come_in_pairs(tmp_path):
    net = MaskNet(write_model(tmp_path, SPEC, complex_masks=True), SPEC, "cpu")
    frame = spectra(SPEC, 1)[0]
    wanted, _ = tiny_masks(frame, 0.0)
    masks = net.process(frame)
    assert net.complex_masks
    assert masks.shape == (1, 4, 2, SPEC.n_bins, 2)
    np.testing.assert_allclose(masks[..., 0], wanted, atol=1e-6)
    assert (masks[..., 1] == 0.0).all()


def test_a_new_model_has_forgotten_its_self_test(path):
    frame = spectra(SPEC, 1)[0]
    wanted, _ = tiny_masks(frame, 0.0)
    np.testing.assert_allclose(MaskNet(path, SPEC, "cpu").process(frame), wanted, atol=1e-6)


def test_reset_of_a_slot_clears_that_slot_only(path):
    net, frames = MaskNet(path, BATCH, "cpu"), spectra(BATCH, 6)
    mean = np.zeros((3, 2, BATCH.n_bins), np.float32)
    for t, frame in enumerate(frames):
        if t == 3:
            net.reset(1)
            mean[1] = 0.0
        wanted, mean = tiny_masks(frame, mean)
        np.testing.assert_allclose(net.process(frame), wanted, atol=1e-6)
    net.reset()
    first = net.process(frames[0]).copy()
    np.testing.assert_allclose(first, tiny_masks(frames[0], 0.0)[0], atol=1e-6)


@pytest.mark.parametrize("steps", [3, 4])  # both ping-pong turns
def test_an_exported_state_goes_on_bit_for_bit_in_another_slot(path, steps):
    frames = spectra(BATCH, 10)
    frames[:, 2] = frames[:, 0]
    net, other = MaskNet(path, BATCH, "cpu"), MaskNet(path, BATCH, "cpu")
    for frame in frames[:steps]:
        net.process(frame)
    data = net.export_state(0)
    other.process(frames[0])
    other.import_state(2, data)
    assert other.export_state(2) == data
    for frame in frames[steps:]:
        np.testing.assert_array_equal(net.process(frame)[0], other.process(frame)[2])


def test_a_state_of_something_else_is_refused(path, tmp_path):
    net = MaskNet(path, SPEC, "cpu")
    data = net.export_state(0)
    with pytest.raises(ModelError, match=r"state: got bytes of something else, expected one of t"):
        net.import_state(0, b"x" * len(data))
    with pytest.raises(
        ModelError, match=rf"state: got {len(data) - 4} bytes, expected {len(data)}"
    ):
        net.import_state(0, data[:-4])


def test_auto_names_the_provider_it_found(path, monkeypatch):
    monkeypatch.setattr(masknet, "_cuda_missing", lambda: "no CUDA driver")
    assert MaskNet(path, SPEC, "auto").provider == "cpu"
    with pytest.raises(ModelError, match="provider: got no CUDA driver, expected a working CUDA"):
        MaskNet(path, SPEC, "cuda")
    with pytest.raises(ModelError, match="provider: got 'tpu', expected 'auto', 'cpu' or 'cuda'"):
        MaskNet(path, SPEC, "tpu")


def test_a_provider_that_loads_but_falls_back_is_not_silent(path, monkeypatch):
    # this machine has no CUDA libraries: the runtime itself falls back to the CPU
    if (
        "CUDAExecutionProvider"
        in masknet._make_session(
            path, ["CUDAExecutionProvider", "CPUExecutionProvider"]
        ).get_providers()
    ):
        pytest.skip("CUDA works here")
    monkeypatch.setattr(masknet, "_cuda_missing", lambda: "")
    assert MaskNet(path, SPEC, "auto").provider == "cpu"
    with pytest.raises(ModelError, match="got a CUDA provider that does not load"):
        MaskNet(path, SPEC, "cuda")


@pytest.mark.gpu
def test_cuda_computes_what_the_cpu_does(path):
    try:
        net = MaskNet(path, BATCH, "cuda")
    except ModelError as error:
        pytest.skip(str(error))
    mean = np.zeros((3, 2, BATCH.n_bins), np.float32)
    for t, frame in enumerate(spectra(BATCH, 20)):
        if t == 7:
            net.reset(1)
            mean[1] = 0.0
        if t == 11:
            net.import_state(2, net.export_state(0))
            mean[2] = mean[0]
        wanted, mean = tiny_masks(frame, mean)
        np.testing.assert_allclose(net.process(frame), wanted, atol=1e-5)


def set_(field, value):
    return lambda card: card.__setitem__(field, value)


def drop(field):
    return lambda card: card.pop(field)


BAD_CARDS = [
    (drop("n_fft"), r"tiny\.json\.n_fft: got nothing, expected int"),
    (drop("selftest"), r"tiny\.json\.selftest: got nothing, expected dict"),
    (drop("scores"), r"tiny\.json\.scores: got nothing, expected dict"),
    (set_("contract", 2), r"tiny\.json\.contract: got 2, expected 1"),
    (set_("contract", True), r"tiny\.json\.contract: got True, expected int"),
    (set_("name", "other"), r"tiny\.json\.name: got 'other', expected 'tiny'"),
    (set_("n_fft", 512), r"tiny\.json\.n_fft: got 512, expected 256"),
    (set_("hop_length", 32), r"tiny\.json\.hop_length: got 32, expected 64"),
    (set_("hop_length", "64"), r"tiny\.json\.hop_length: got '64', expected int"),
    (set_("window", "hann"), r"tiny\.json\.window: got 'hann', expected 'asymmetric'"),
    (set_("channels", 1), r"tiny\.json\.channels: got 1, expected 2"),
    (set_("stems", ["drums"]), r"tiny\.json\.stems: got \['drums'\], expected \['vocals'"),
    (set_("masks", "both"), r"tiny\.json\.masks: got 'both', expected 'real' or 'complex'"),
    (set_("masks", "complex"), r"tiny\.onnx\.masks: got rank 4, expected 5"),
    (set_("lookahead_frames", 1), r"tiny\.json\.lookahead_frames: got 1, expected 0"),
    (set_("samplerates", [44100]), r"samplerates: got \[44100\], expected 48000 among them"),
    (set_("sha256", "00"), r"tiny\.json\.sha256: got '00', expected '[0-9a-f]{64}' of tiny\.onnx"),
    (set_("license", ""), r"tiny\.json\.license: got nothing, expected a licence"),
    (lambda c: c["training"].pop("seed"), r"training\.seed: got nothing, expected a value"),
    (set_("states", [{"name": "mean"}]), r"states\[0\]\.shape: got None, expected a list of pos"),
    (set_("states", ["mean"]), r"states\[0\]: got 'mean', expected an object with name and shape"),
    (set_("states", [{"name": "x", "shape": [0]}]), r"states\[0\]\.shape: got \[0\], expected"),
    (
        set_("states", [{"name": "x", "shape": [1]}] * 2),
        r"states\[1\]\.name: got 'x' twice, expected different names",
    ),
    (
        set_("states", [{"name": "x", "shape": [2, 129]}]),
        r"tiny\.onnx\.inputs: got \['mix', 'mean'\], expected \['mix', 'x'\]",
    ),
    (
        set_("states", [{"name": "mean", "shape": [2, 5]}]),
        r"tiny\.onnx\.mean: got shape \[2, 129\], expected \[2, 5\]",
    ),
    (
        set_("states", [{"name": "mean", "shape": [258]}]),
        r"tiny\.onnx\.mean: got rank 3, expected 2",
    ),
    (
        set_("states", [{"name": "x", "shape": [1 << 20, 1 << 20]}]),
        r"states\[0\]\.shape: got \[1048576, 1048576\], expected 16777216 values at most",
    ),
    (
        set_("states", [{"name": "x", "shape": [1] * 99}]),
        r"states\[0\]\.shape: got 99 axes, expected 8 at most",
    ),
    (
        set_("states", [{"name": "mix", "shape": [1]}]),
        r"states\[0\]\.name: got 'mix' twice, expected different names",
    ),
    (set_("license", ["x" * 9999]), r"license: got \['x{118}…, expected str"),
    (lambda c: c["selftest"].update(masks=[10**400]), r"selftest\.masks: got no mask, expected"),
    (lambda c: c["selftest"].update(frames=9), r"selftest\.frames: got 9, expected 8"),
    (lambda c: c["selftest"].update(masks="no"), r"selftest\.masks: got str, expected numbers"),
    (lambda c: c["selftest"]["masks"].pop(), r"selftest\.masks: got 23 values, expected 24"),
    (
        lambda c: c["selftest"]["masks"].__setitem__(7, c["selftest"]["masks"][7] + 0.003),
        r"tiny\.onnx on cpu: got masks 0\.003 off the stored self-test, expected at most 0\.002",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD_CARDS, ids=[m for _, m in BAD_CARDS])
def test_a_wrong_card_is_refused_by_field(tmp_path, change, message):
    path = write_model(tmp_path, SPEC, change_card=change)
    with pytest.raises(ModelError, match=message):
        MaskNet(path, SPEC, "cpu")


def fixed_batch(parts):
    parts["inputs"]["mix"][0] = 1


def extra_output(parts):
    parts["outputs"]["power"] = ["b", 2, SPEC.n_bins]


def double(parts):
    parts["type"] = TensorProto.DOUBLE
    for i, initializer in enumerate(parts["initializers"]):
        array = numpy_helper.to_array(initializer)
        if array.dtype == np.float32:
            wide = numpy_helper.from_array(array.astype(np.float64), initializer.name)
            parts["initializers"][i] = wide


BAD_GRAPHS = [
    (fixed_batch, r"tiny\.onnx\.mix: got batch 1, expected a dynamic axis"),
    (extra_output, r"tiny\.onnx\.outputs: got \['masks', 'next_mean', 'power'\], expected \['m"),
    (double, r"tiny\.onnx\.mix: got tensor\(double\), expected tensor\(float\)"),
]


@pytest.mark.parametrize(("change", "message"), BAD_GRAPHS, ids=[m for _, m in BAD_GRAPHS])
def test_a_wrong_graph_is_refused_by_name(tmp_path, change, message):
    path = write_model(tmp_path, SPEC, change=change)
    with pytest.raises(ModelError, match=message):
        MaskNet(path, SPEC, "cpu")


def odd_axis(parts):
    parts["inputs"]["mix"][0] = "odd axis"


def test_a_graph_whose_names_are_no_text_is_refused(tmp_path):
    path = write_model(tmp_path, SPEC, change=odd_axis)
    graph = path.read_bytes().replace(b"odd axis", b"\xffdd axis")
    path.write_bytes(graph)
    card = path.with_suffix(".json")
    digest = hashlib.sha256(graph).hexdigest()
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sha256": digest}))
    with pytest.raises(ModelError, match=r"tiny\.onnx: got a name that is no UTF-8, expected"):
        MaskNet(path, SPEC, "cpu")


def test_files_that_are_missing_or_broken_are_refused(tmp_path, path):
    card = path.with_suffix(".json")
    text = card.read_text()
    card.write_text("{")
    with pytest.raises(ModelError, match=r"tiny\.json: got .*, expected JSON"):
        MaskNet(path, SPEC)
    card.write_text("[]")
    with pytest.raises(ModelError, match=r"tiny\.json: got list, expected an object"):
        MaskNet(path, SPEC)
    card.unlink()
    with pytest.raises(ModelError, match=r"tiny\.json: got no readable file, expected the model's"):
        MaskNet(path, SPEC)
    path.write_bytes(b"not a model")
    digest = hashlib.sha256(b"not a model").hexdigest()
    card.write_text(json.dumps(json.loads(text) | {"sha256": digest}))
    with pytest.raises(ModelError, match=r"tiny\.onnx: got .*, expected a loadable ONNX model"):
        MaskNet(path, SPEC)
    path.unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx: got no readable file, expected the model"):
        MaskNet(path, SPEC)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("samplerate", [44100, 48000])
def test_the_default_model_of_each_profile_passes_the_door(profile, samplerate):
    path = find_model("default", profile)
    net = MaskNet(path, spec_of(profile, samplerate, 2), "cpu")
    masks = net.process(np.zeros((2, 2, net._mix.shape[2]), np.complex64))
    assert np.isfinite(masks).all()


@pytest.mark.parametrize("flushed", [False, True])
def test_loading_a_model_leaves_the_threads_denormal_switch_alone(path, flushed):
    try:
        if flush_denormals(flushed) != flushed:
            pytest.skip("no such switch on this processor")
        MaskNet(path, SPEC, "cpu")
        assert denormals_are_flushed() == flushed
    finally:
        flush_denormals(False)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"[" * 100_000], ids=["bytes", "deep"])
def test_a_card_that_is_no_json_is_refused(path, content):
    path.with_suffix(".json").write_bytes(content)
    with pytest.raises(ModelError, match=r"tiny\.json: got .*, expected (UTF-8|JSON)$"):
        MaskNet(path, SPEC, "cpu")
