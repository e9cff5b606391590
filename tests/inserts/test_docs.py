"""The page, the example and the configuration say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemd.config import load_config
from stemd.roles.insert import minimum_latency
from stemd.sources.file import DEMO
from stemd.spec import PROFILES, STEMS, StreamSpec
from stemd.status import Status
from tests.bridge.test_python import follow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "inserts.md").read_text("utf-8")


def test_every_number_of_the_status_is_on_the_page():
    status = Status.create(1)
    numbers = set(status.snapshot()["inserts"])
    status.close()
    for name in numbers - {"pid", "heartbeat_ns", "ready", "stop", "note"}:
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("profile", ["tight", "live", "quality"])
def test_the_latencies_of_the_page_are_those_of_the_code(profile):
    spec = StreamSpec.of(profile, 48_000)
    least = minimum_latency(spec, 256)
    row = (
        f"| `{profile}` | {PROFILES[profile].hop_length} | {spec.latency} = "
        f"{spec.latency / 48:.1f} ms | {least} = {least / 48:.1f} ms |"
    )
    assert row in PAGE


def test_the_commands_of_the_page_are_accepted():
    (commands,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
    for line in commands.splitlines():
        words = line.partition("#")[0].split()
        assert words[:2] == ["stemd", "run"]
        path = words[words.index("-c") + 1] if "-c" in words else None
        changes = [words[words.index("--set") + 1]] if "--set" in words else []
        changes += ["inserts.enabled=true"] if "--inserts" in words else []
        config = load_config(ROOT / path if path else None, changes)
        assert config.inserts.enabled


def test_the_studio_has_no_stream():
    config = load_config(ROOT / "configs" / "studio.toml")
    assert config.source.kind == "none"
    assert config.inserts.enabled


def test_the_example_bounces_and_plays(door, tmp_path):
    door.start()
    folder = tmp_path / "stems"
    space, said = follow("insert", TRACK=DEMO, FOLDER=folder)
    assert "band_live, hops of 256, credit" in said
    assert space["difference"] < 1e-6
    assert space["live_difference"] < 1e-6
    heard = [soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in STEMS]
    track = soundfile.read(DEMO, dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(sum(heard), np.broadcast_to(track, heard[0].shape), atol=1e-6)
