"""`stemd devices`: the list of a child process, and what happens when that fails."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import pytest

from stemd.cli import devices
from stemd.errors import EXIT_DEVICE

DEVICE = {
    "index": 3,
    "name": "Scarlett [2i2] USB",
    "host_api": "ALSA",
    "max_input_channels": 2,
    "max_output_channels": 4,
    "default_samplerate": 44_100.0,
    "default_low_input_latency_s": 0.0058,
    "default_low_output_latency_s": 0.0058,
    "default_input": True,
    "default_output": False,
}


@pytest.fixture
def child(monkeypatch):
    """Let the child answer what a test wants."""

    def answers(returncode=0, stdout="", stderr=""):
        result = SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr)
        monkeypatch.setattr(devices.subprocess, "run", lambda *_, **__: result)

    return answers


def test_table(child, invoke):
    child(stdout=json.dumps([DEVICE]))
    result = invoke("devices")
    assert result.exit_code == 0
    line = result.stdout.splitlines()[1]
    assert line.split() == ["Scarlett", "[2i2]", "USB", "ALSA", "2", "4", "44100", "5.8", "input"]


def test_json_is_passed_on(child, invoke):
    child(stdout=json.dumps([DEVICE]))
    assert json.loads(invoke("devices", "--json").stdout) == [DEVICE]


def test_no_devices_is_no_error(child, invoke):
    child(stdout="[]")
    result = invoke("devices")
    assert result.exit_code == 0
    assert "demo loop" in result.stderr
    assert json.loads(invoke("devices", "--json").stdout) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"returncode": 1, "stderr": "Traceback\nModuleNotFoundError: No module named 'pyaudio'\n"},
        {"returncode": -11},
        {"stdout": "no json"},
    ],
)
def test_a_child_that_fails_is_a_sentence(child, invoke, answer):
    child(**answer)
    result = invoke("devices", "--json")
    assert result.exit_code == EXIT_DEVICE
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_sound_server_that_hangs(monkeypatch, invoke):
    def hangs(*arguments, **options):
        raise subprocess.TimeoutExpired(arguments, options["timeout"])

    monkeypatch.setattr(devices.subprocess, "run", hangs)
    result = invoke("devices")
    assert result.exit_code == EXIT_DEVICE
    assert "no answer from PortAudio" in result.stderr


def test_this_machine_answers(invoke):
    """Whatever it has, the real child speaks the schema."""
    result = invoke("devices", "--json")
    assert result.exit_code == 0, result.stderr
    for device in json.loads(result.stdout):
        assert set(device) == set(DEVICE)
