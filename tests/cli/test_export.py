"""`stemd export`: a take in, one stem file out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stemd.errors import EXIT_DEVICE
from stemd.sinks.stemfile import TRACKS
from stemd.spec import SOURCES, STEMS

from ..sinks.test_recorder import record
from ..sinks.test_stemfile import HOP, decoded, music
from .conftest import ROOT, stemd


def test_the_command_writes_it_beside_the_take_and_not_twice(tmp_path: Path, invoke: Any) -> None:
    folder = record(tmp_path, music(40))
    done = invoke("export", folder, "--json")
    assert done.exit_code == 0, done.stderr
    (told,) = json.loads(done.stdout)
    target = folder / f"{folder.name}.stem.mp4"
    assert (told["file"], told["n_samples"], told["clipped"]) == (str(target), 40 * HOP, 0)
    assert decoded(target).shape == (5, 2, 40 * HOP)
    again = invoke("export", folder)
    assert again.exit_code == EXIT_DEVICE
    assert "got a file that exists, expected none (--overwrite)" in again.stderr
    assert invoke("export", folder, "--overwrite", "--codec", "alac").exit_code == 0
    elsewhere = invoke("export", folder, "-o", tmp_path / "usb")
    assert elsewhere.exit_code == 0
    assert [p.name for p in (tmp_path / "usb").iterdir()] == [target.name]
    assert not [*folder.glob(".*")]


def test_what_separate_wrote_is_a_song_too(tmp_path: Path, invoke: Any) -> None:
    rng = np.random.default_rng(0)
    for stem in STEMS:
        noise = rng.uniform(-0.2, 0.2, (5000, 2)).astype(np.float32)
        soundfile.write(tmp_path / f"{stem}.flac", noise, 44_100, subtype="PCM_24")
    assert invoke("export", tmp_path, "--codec", "alac").exit_code == 0
    heard = decoded(tmp_path / f"{tmp_path.name}.stem.mp4")
    for stem in STEMS:
        wanted, _ = soundfile.read(tmp_path / f"{stem}.flac")
        np.testing.assert_array_equal(heard[TRACKS.index(stem)], wanted.T)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: [p.unlink() for p in f.glob("*.wav")], "got no vocals, drums, bass, other"),
        (lambda f: (f / "bass.wav").unlink(), "got no bass, expected"),
        (lambda f: (f / "bass.wav").write_bytes(b"noise"), "bass.wav: got"),
        (lambda f: (f / "take.json").write_text("{}"), "take.json: got KeyError"),
        (lambda f: (f / "take.json").write_text("[]"), "take.json: got TypeError"),
        (lambda f: (f / "take.json").write_bytes(b"\xff"), "take.json: got"),
    ],
)
def test_what_is_no_take_is_refused(tmp_path: Path, invoke: Any, spoil: Any, sentence: str) -> None:
    folder = record(tmp_path, music(4))
    spoil(folder)
    done = invoke("export", folder)
    assert done.exit_code == EXIT_DEVICE
    assert sentence in done.stderr
    assert "expected" in done.stderr


def test_without_its_package_one_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    folder = record(tmp_path, music(4))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "av.py").write_text("raise ModuleNotFoundError('av')")
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from stemd.__main__ import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(hidden), "export", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ran.returncode == EXIT_DEVICE
    assert ran.stderr == (
        "stemd: av: got no such package, expected it for stem files: pip install av\n"
    )


def test_usage_is_explained() -> None:
    shown = stemd("export", "--help")
    assert shown.returncode == 0
    assert all(source in shown.stdout for source in SOURCES)
