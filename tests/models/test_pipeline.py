"""From recordings to a verified model, by the commands a person types, in a minute and a half.

Everything is tiny and made here: a sample pack of tones and bursts, a few takes, a few steps. It
shows that the pieces still fit together, not that the result is worth hearing.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
for needed in ("onnx", "scipy"):
    pytest.importorskip(needed)

import soundfile  # noqa: E402
import torch  # noqa: E402

from models.library import SAMPLERATE, SPLIT  # noqa: E402
from models.nets import BandNet  # noqa: E402
from stemd.processors.inspection import inspect  # noqa: E402
from stemd.processors.masknet import MaskNet  # noqa: E402
from stemd.spec import StreamSpec  # noqa: E402

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAME = "tiny_live"
SETTINGS = """
seed = 1
batch = 4
seconds = 1.0
warmup_s = 0.1
optimiser = "adamw"
rate = 5e-3
validate_every = 1000
net = { channels = 8, blocks = 1, tokens = 8, whole = 16, reduced = 1 }

[[stages]]
hop_length = 1024
steps = 30

[[stages]]
hop_length = 256
steps = 10
"""
FIELDS = (
    *("path", "stem", "instrument", "midi_pitch", "kind", "seconds", "sr", "channels", "velocity"),
    *("singer", "song_id", "start_s", "gain_db", "bandwidth_hz"),
    *("source_repo", "source_commit", "source_path", "licence", "note"),
)


def decaying(seconds, halving_s):
    t = np.arange(round(seconds * SAMPLERATE)) / SAMPLERATE
    return t, 2.0 ** (-t / halving_s)


def harmonic(midi_pitch, seconds, halving_s, formant_hz=1000.0, vibrato=0.0):
    """A note with overtones, louder about one frequency."""
    t, envelope = decaying(seconds, halving_s)
    f0_hz = 440 * 2 ** ((midi_pitch - 69) / 12)
    phase = 2 * np.pi * f0_hz * (t + vibrato * np.sin(2 * np.pi * 5 * t))
    partials = range(1, int(min(30, 15_000 / f0_hz)) + 1)
    weights = [1 / (1 + abs(k * f0_hz - formant_hz) / 300) for k in partials]
    return envelope * sum(w * np.sin(k * phase) for k, w in zip(partials, weights, strict=True))


def burst(rng, seconds, halving_s, f0_hz=0.0):
    """Noise, or a falling tone if f0_hz."""
    t, envelope = decaying(seconds, halving_s)
    if f0_hz:
        return envelope * np.sin(2 * np.pi * f0_hz * (t + 0.05 * np.exp(-t / 0.02)))
    return envelope * rng.standard_normal(t.size)


def recordings(rng):
    """(stem, instrument, pitch, kind, seconds of sound) of one folder for each stem."""
    for name, halving_s, f0_hz in (
        ("kick", 0.08, 50.0),
        ("snare", 0.06, 0.0),
        ("hihat closed", 0.02, 0.0),
        ("hihat open", 0.2, 0.0),
        ("crash", 0.6, 0.0),
        ("tom", 0.1, 120.0),
        ("percussion", 0.03, 0.0),
    ):
        yield "drums", name, None, "one-shot", burst(rng, 0.5, halving_s, f0_hz)
    for pitch in (33, 38, 43):
        yield "bass", "electric bass", pitch, "one-shot", harmonic(pitch, 1.5, 0.5, 100)
    for pitch in (55, 62, 69):
        yield "other", "piano", pitch, "one-shot", harmonic(pitch, 1.5, 0.4, 800)
    for pitch in (57, 64):
        yield "vocals", "solo female aa", pitch, "one-shot", harmonic(pitch, 2, 9, 900, 1e-3)
    words = [harmonic(p, 0.4, 0.3, f, 1e-3) for p, f in ((60, 700), (62, 1200), (59, 500))]
    yield "vocals", "solo singing", None, "phrase", np.concatenate(words)
    yield "vocals", "read speech", None, "speech", np.concatenate(words[::-1])


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A sample pack whose folders belong to training and to validation."""
    folder = tmp_path_factory.mktemp("samples")
    held_out = json.loads(SPLIT.read_text())["validation_folders"]
    rng, rows = np.random.default_rng(0), []
    for part in ("train", "validation"):
        for number, (stem, instrument, pitch, kind, audio) in enumerate(recordings(rng)):
            place = f"{stem}/generated"
            if part == "validation":
                place = next(name for name in held_out if name.startswith(f"{stem}/"))
            path = f"{place}/{instrument.replace(' ', '_')}_{number}.ogg"
            (folder / place).mkdir(parents=True, exist_ok=True)
            level = 0.5 / np.abs(audio).max()
            soundfile.write(folder / path, (level * audio).astype(np.float32), SAMPLERATE)
            facts = {"path": path, "stem": stem, "instrument": instrument, "kind": kind}
            facts |= {"sr": SAMPLERATE, "channels": 1, "source_path": path, "licence": "CC0-1.0"}
            facts |= {"midi_pitch": "" if pitch is None else pitch, "singer": "nobody"}
            rows.append(dict.fromkeys(FIELDS, "") | facts)
    with open(folder / "MANIFEST.csv", "w", newline="") as file:
        manifest = csv.DictWriter(file, FIELDS)
        manifest.writeheader()
        manifest.writerows(rows)
    return folder


def python_m(module, *arguments):
    """Run a module as the pages say, from the root of the checkout."""
    ran = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        # two threads of tiny products mostly wait for each other, and for others on a busy machine
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


@pytest.fixture(scope="module")
def made(pack, tmp_path_factory):
    """The .onnx file and the run it came from."""
    work = tmp_path_factory.mktemp("made")
    for part, count in (("train", 3), ("validation", 8)):
        python_m(
            "models.takes",
            *("--samples", pack, "--cache", work / "cache", "--pool", work / "pool" / part),
            *("--part", part, "--count", count, "--seconds", 8, "--workers", 2),
        )
    (work / "tiny.toml").write_text(SETTINGS)
    python_m("models.train", work / "tiny.toml", "--run", work / "run", "--pool", work / "pool")
    python_m("models.export", "--run", work / "run", "--name", NAME, "--out", work)
    return work / f"{NAME}.onnx", work / "run"


def test_takes_sound_in_every_stem(made):
    takes = sorted((made[1].parent / "pool").glob("*/take_*.npy"))
    assert len(takes) == 11
    heard = np.zeros(4, bool)
    for path in takes:
        take = np.load(path)
        assert take.shape == (5, 2, 8 * SAMPLERATE)
        heard |= np.abs(take[:4].astype(int)).max((1, 2)) > 300
    assert heard.all()


def test_training_left_weights_a_journal_and_scores(made):
    journal = (made[1] / "log.csv").read_text().splitlines()
    assert any(line.startswith("validation,40,") for line in journal)
    saved = torch.load(made[1] / "ema.pt")
    assert saved["facts"]["steps"] == 40
    assert all(torch.isfinite(weight).all() for weight in saved["net"].values())


def test_the_model_keeps_the_contract(made):
    path, _ = made
    assert [f"{c.name}: {c.found}" for c in inspect(path, "cpu") if not c.ok] == []
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["training"]["steps"] == 40


def test_streaming_equals_the_network_heard_as_a_whole(made):
    """By the daemon's own MaskNet, at the contract's 1e-4; through silence and a jump of level."""
    path, run = made
    saved = torch.load(run / "ema.pt")
    net = BandNet(saved["facts"]["hop_length"], **saved["facts"]["net"]).eval()
    net.load_state_dict(saved["net"])
    spec = StreamSpec.of("live", 48_000)
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((80, 1, 2, spec.n_bins, 2)).astype(np.float32)
    frames[30:40] = 0
    frames[60:] *= 1000
    with torch.no_grad():
        whole = net(torch.from_numpy(frames.swapaxes(0, 1)))[0].numpy()[0]
    stream = MaskNet(path, spec, "cpu")
    spectra = frames.view(np.complex64)[..., 0]
    streamed = np.stack([stream.process(frame)[0].copy() for frame in spectra])
    np.testing.assert_allclose(streamed, whole, atol=1e-4)


def test_no_future_frame_influences_a_mask(made):
    path, _ = made
    spec = StreamSpec.of("live", 48_000)
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((40, 1, 2, spec.n_bins, 2)).astype(np.float32)
    other = frames.copy()
    other[20:] *= -30
    stream, results = MaskNet(path, spec, "cpu"), []
    for sound in (frames, other):
        stream.reset()
        spectra = sound.view(np.complex64)[..., 0]
        results.append(np.stack([stream.process(frame)[0].copy() for frame in spectra]))
    np.testing.assert_array_equal(results[0][:20], results[1][:20])
    assert np.abs(results[0][20:] - results[1][20:]).max() > 1e-4
