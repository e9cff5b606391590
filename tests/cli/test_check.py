"""`stemd check`: what it prints and how it ends."""

from __future__ import annotations

import json
import tomllib

import pytest

from stemd.config import build_config, load_config
from stemd.errors import EXIT_CONFIG
from tests.test_config import BROKEN, EXAMPLES, EXPECT

from .conftest import stemd


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_a_good_file_is_printed_in_full(invoke, path):
    result = invoke("check", path)
    assert result.exit_code == 0
    assert build_config(tomllib.loads(result.stdout)) == load_config(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_json_says_the_same(invoke, path):
    result = invoke("check", path, "--json")
    assert build_config(json.loads(result.stdout)) == load_config(path)


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_a_broken_file_ends_with_its_sentence(invoke, path):
    result = invoke("check", path)
    assert result.exit_code == EXIT_CONFIG
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert path.read_text().splitlines()[0].removeprefix(EXPECT) in result.stderr


def test_overrides_count(invoke):
    result = invoke("check", EXAMPLES[0], "--set", "profile=tight", "--json")
    assert json.loads(result.stdout)["profile"] == "tight"


def test_a_missing_file(invoke):
    result = invoke("check", "/nowhere/x.toml")
    assert result.exit_code == EXIT_CONFIG
    assert "/nowhere/x.toml" in result.stderr


def test_exit_codes_of_the_real_command():
    assert stemd("check", EXAMPLES[0]).returncode == 0
    broken = stemd("check", BROKEN[0])
    assert broken.returncode == EXIT_CONFIG
    assert broken.stderr.startswith("stemd: ")
