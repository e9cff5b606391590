"""The command itself: help, version, usage errors, speed of start by what it imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from stemd import __version__, errors
from stemd.cli.app import EPILOG

from .conftest import stemd

VERBS = (
    "run",
    "check",
    "devices",
    "separate",
    "export",
    "tap",
    "monitor",
    "bench",
    "doctor",
    "models",
)
VERBS_OF_MODELS = ("list", "verify", "speed", "describe")


def test_version(invoke):
    assert invoke("--version").stdout == f"stemd {__version__}\n"


def test_help_lists_every_verb(invoke):
    shown = invoke("--help")
    assert shown.exit_code == 0
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b +\S", shown.stdout), f"{verb} has no line of help"


@pytest.mark.parametrize("verb", [*VERBS, *(f"models {verb}" for verb in VERBS_OF_MODELS)])
def test_every_option_of_every_verb_is_explained(invoke, verb):
    shown = invoke(*verb.split(), "--help")
    assert shown.exit_code == 0
    options = [line for line in shown.stdout.splitlines() if re.search(r"[│ ]+--\w", line)]
    assert options
    for line in options:
        words = re.sub(r"[│*]|--?[\w-]+,?|<.*?>|\b[A-Z=]+\b|\[.*?\]", " ", line).split()
        assert len(words) >= 2, line


def test_epilog_names_every_exit_code():
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert codes == {int(code) for code in re.findall(r"\d+", EPILOG)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run", "--nonsense"],
        ["run", "--profile", "fast"],
        ["check"],
        ["separate", "x.wav"],
        ["separate", "x.wav", "-o", "d", "--format", "mp3"],
        ["separate", "x.wav", "-o", "d", "--provider", "gpu"],
        ["separate", "a/x.wav", "b/x.flac", "-o", "d"],
        ["tap", "guitar", "-o", "x.wav"],
        ["tap", "vocals", "-o", "x.mp3"],
        ["bench", "--feeds", "0"],
        ["monitor", "--port", "70000"],
        ["models", "describe"],
        ["models", "describe", "model.json"],
        ["models", "verify", "--provider", "gpu"],
        ["models", "speed", "--feeds", "0"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense_is_usage(invoke, arguments):
    result = invoke(*arguments)
    assert result.exit_code == errors.EXIT_USAGE
    assert "Traceback" not in result.stderr


def test_no_arguments_show_the_help(invoke):
    assert "Commands" in invoke().output


def test_help_imports_nothing_heavy():
    """What makes a command slow to answer: half a second for numba alone."""
    program = (
        "import sys\n"
        "from stemd.cli.app import app\n"
        "try:\n    app(['run', '--help'], prog_name='stemd')\nexcept SystemExit:\n    pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(ran.stderr.split())
    assert "stemd.cli.run" in loaded
    heavy = {"numpy", "numba", "onnxruntime", "zmq", "soundfile", "soxr", "stemd.daemon"}
    assert not loaded & heavy


def test_a_crash_is_a_traceback_and_exit_code_1():
    """Mistakes of ours must not look like mistakes of the user's."""
    program = (
        "import sys, stemd.config\n"
        "stemd.config.load_config = lambda *_: 1 / 0\n"
        "from stemd.cli import main\n"
        "sys.argv = ['stemd', 'check', 'x']\n"
        "main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == errors.EXIT_CRASH
    assert "ZeroDivisionError" in ran.stderr


def test_python_m_stemd_is_the_command():
    assert stemd("--version").stdout == f"stemd {__version__}\n"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("stemd mon", "monitor"),
        ("stemd run --profile ti", "tight"),
        ("stemd tap dr", "drums"),
        ("stemd separate --format fl", "flac"),
        ("stemd models ve", "verify"),
    ],
)
def test_completion(line, offered):
    """As bash asks for it."""
    environment = {
        **os.environ,
        "_STEMD_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    program = "from stemd.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ran.stdout.split() == [offered]
