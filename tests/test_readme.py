"""What the README says is so: commands, options, tables, examples, links."""

from __future__ import annotations

import itertools
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from stemd import Separator, errors
from stemd.cli.app import app
from stemd.config import load_config
from stemd.spec import PROFILES, STEMS, StreamSpec
from stemd.status import State
from stemd.wire import topics
from tests.cli.conftest import RunningCommand, end, start

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {
    page: (ROOT / page).read_text("utf-8")
    for page in (
        *("README.md", "docs/platforms.md", "docs/models.md", "docs/mappings.md"),
        *("docs/operate.md", "docs/start.md", "docs/console.md", "docs/tuning.md"),
        "docs/services.md",
        *("bridge/README.md", "benchmarks/features.md"),
    )
}
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def fenced(page: str, language: str) -> list[str]:
    """Contents of the page's fences of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.M | re.S)


def command_lines() -> Iterator[str]:
    for page in PAGES:
        for block in fenced(page, "sh"):
            for line in block.splitlines():
                if command := line.partition("#")[0].strip():
                    yield from (part.strip() for part in command.split("&&"))


STEMD = sorted({line for line in command_lines() if re.search(r"\bstemd\s+\w", line)})


def test_there_are_commands_to_check():
    assert len(STEMD) >= 4


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def takes_value(parameter: Any) -> bool:
    return not getattr(parameter, "is_flag", False)


@pytest.mark.parametrize("line", STEMD)
def test_stemd_commands_are_understood(line):
    """Parsed by the command itself, not run."""
    words = shlex.split(line)
    at = next(i for i, word in enumerate(words) if Path(word).name == "stemd")
    verb, *arguments = words[at + 1 :]
    assert verb in COMMANDS
    command = COMMANDS[verb]
    if inner := getattr(command, "commands", {}):
        command = inner[arguments[0] if arguments and arguments[0] in inner else "list"]
    known = {name: p for p in command.params for name in p.opts if name.startswith("-")}
    given = [word for word in arguments if word.startswith("-")]
    assert set(given) <= set(known)
    overrides = []
    for option, value in itertools.pairwise(arguments):
        if option == "--set":
            overrides.append(value)
        elif option in ("-c", "--config") and takes_value(known[option]):
            assert (ROOT / value).is_file()
    load_config(None, overrides)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_is_named(verb):
    assert re.search(rf"`(stemd )?{verb}\b", README)


def test_verbs_named_exist():
    listed = README[README.index("`stemd run` · ") :].partition("; each")[0]
    assert {words.split()[0] for words in re.findall(r"`(?:stemd )?([^`]+)`", listed)} == set(
        COMMANDS
    )


@pytest.mark.parametrize(
    "target", sorted({m for line in command_lines() for m in re.findall(r"^make (\S+)", line)})
)
def test_make_targets_exist(target):
    subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", PAGES[page]):
        assert link.startswith("http") or ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("block", fenced("README.md", "toml"))
def test_configuration_examples_load(tmp_path, block):
    (tmp_path / "example.toml").write_text(block)
    load_config(tmp_path / "example.toml")


# -- tables ----------------------------------------------------------------------------------------


def rows(after: str) -> list[list[str]]:
    """Cells of the first table after a text, without its head."""
    lines = README[README.index(after) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_latency_table():
    table = rows("## How late it is")
    assert [row[0].strip("`") for row in table] == list(PROFILES)
    for row in table:
        name = row[0].strip("`")
        at_48, at_44 = StreamSpec.of(name, 48_000), StreamSpec.of(name, 44_100)
        assert row[1:6] == [
            str(at_48.hop_length),
            str(at_48.latency),
            f"{1e3 * at_48.latency / 48_000:.1f} ms",
            f"{1e3 * at_44.latency / 44_100:.1f} ms",
            f"{1e3 * at_48.feature_latency / 48_000:.1f} ms",
        ]


def test_states_and_exit_codes_table():
    table = rows("| state |")
    assert {row[0].strip("`") for row in table if row[0]} == {state.name for state in State}
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(row[2]) for row in table if row[2]} == codes


def test_stream_table_names_topics_that_are_sent():
    table = rows("## What it sends")
    sent = {
        topics.audio("<feed>", "<stem>"),
        topics.features("<feed>", "<stem>"),
        topics.events("<feed>"),
        topics.STATUS,
    }
    assert {topic.encode() for row in table for topic in re.findall(r"`([^`]+)`", row[1])} == sent


# -- examples, beside a daemon ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon() -> Iterator[RunningCommand]:
    running = start("--set", "source.kind=demo")
    try:
        running.until_running()
        yield running
    finally:
        end(running)


def osc_port(daemon: RunningCommand) -> str:
    """Where this daemon's features go, from its own command line."""
    arguments = daemon.process.args
    assert isinstance(arguments, list)
    target = next(word for word in arguments if word.startswith("osc.targets="))
    return re.findall(r":(\d+)", target)[0]


@pytest.mark.parametrize("number", range(len(fenced("README.md", "python"))))
def test_python_examples_receive(daemon, number):
    """They run for ever, so each is ended after its first lines."""
    program = fenced("README.md", "python")[number]
    program = program.replace(
        'connect("127.0.0.1")', f'connect("127.0.0.1", control_port={daemon.control_port})'
    ).replace("9701", osc_port(daemon))
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = time.monotonic() + 20
    lines = []
    while len(lines) < 3 and time.monotonic() < watchdog:
        line = process.stdout.readline()
        if not line:
            break
        lines.append(line.split())
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert len(lines) == 3, said
    assert all(len(line) == 2 for line in lines)
    assert all(float(line[1]) >= 0 for line in lines)


def test_stems_of_the_example_come_in_order():
    assert f"{', '.join(STEMS)} = block.stems" in README


def test_the_one_line_without_a_daemon():
    line = 'Separator.load("live").process(block)'
    assert line in README
    block = np.zeros((2, 100), np.float32)
    assert eval(line, {"Separator": Separator, "block": block}).shape == (4, 2, 100)
