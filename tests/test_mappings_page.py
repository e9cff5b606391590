"""docs/mappings.md: its examples do what it says, its tables are the configuration's."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from stemd.config import (
    ALIASES,
    EVENTS,
    MappingConfig,
    MidiConfig,
    build_config,
    load_config,
    mapping_source,
)
from stemd.sinks.mapping import HELD, follow_of
from stemd.spec import FEATURES, SOURCES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "mappings.md").read_text("utf-8")
MINUS = "\N{MINUS SIGN}"
EXAMPLES = [tomllib.loads(text) for text in re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)]


def table(section):
    """Cells of the first table of a section."""
    text = PAGE[PAGE.index(f"\n## {section}\n") :]
    lines = text[text.index("\n|") :].strip().split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_every_example_loads():
    assert len(EXAMPLES) == 4
    for example in EXAMPLES:
        build_config(example)


def test_the_first_and_second_examples_are_the_ready_file_s():
    ready = load_config(ROOT / "configs" / "resolume.toml").mapping
    first, second = (build_config(example).mapping[0] for example in EXAMPLES[:2])
    assert first.osc == ready[0].osc
    assert dataclasses.replace(second, threshold=0.3) == ready[2]


def test_the_third_example_says_its_decibels():
    (mapping,) = build_config(EXAMPLES[2]).mapping
    follow = follow_of(mapping)
    assert (follow.curve, follow.low, follow.high) == ("db", -60.0, 0.0)
    opens = follow.low + mapping.threshold * 60
    closes = follow.low + (mapping.threshold - mapping.hysteresis) * 60
    assert (round(opens), round(closes)) == (-24, -48)


@pytest.mark.parametrize(
    ("section", "cls"), [("Keys of a mapping", MappingConfig), ("MIDI", MidiConfig)]
)
def test_the_tables_have_every_key_and_its_default(section, cls):
    defaults = cls()
    said = {}
    for cell, default, *_ in table(section):
        for name in names(cell):
            said[name] = default.strip("`")
    assert set(said) == {field.name for field in dataclasses.fields(cls)}
    for name, text in said.items():
        if text:
            value = tomllib.loads(f"x = {text}")["x"]
            actual = getattr(defaults, name)
            assert value == (list(actual) if isinstance(actual, tuple) else actual), name


def test_every_feature_is_listed_once():
    listed = []
    for cell, *_ in table("Features"):
        several = names(cell)
        if "…" in cell:
            first, last = several[0], several[-1]
            at = [FEATURES.index(name) for name in (first, last)]
            several = list(FEATURES[at[0] : at[1] + 1])
        listed += several
    assert sorted(listed) == sorted((*FEATURES, *ALIASES))


def test_the_sources_of_a_feature_are_those_it_says():
    for cell, where, *_ in table("Features"):
        allowed = {"drums": {"drums"}, "mix": {"mix"}}.get(where)
        for name in names(cell):
            for source in SOURCES:
                if name.endswith("_count") or allowed is None or source in allowed:
                    continue
                with pytest.raises(ValueError, match="it has no meaning"):
                    mapping_source(f"{source}.{name}")


def test_events_and_held_features_are_those_it_says():
    rows = {name: text for cell, _, _, text in table("Features") for name in names(cell)}
    said = {name for name, text in rows.items() if "event" in text and f"`{name}`" in text}
    assert said | {"kick", "snare", "hihat"} == set(EVENTS)
    sentence = re.search(r"^not missed\. (.*) hold their last value", PAGE, re.M)[1].lower()
    for name in HELD:
        word = {"f0_hz": "pitch", "tempo_bpm": "tempo", "centroid_hz": "centroid"}.get(name, name)
        assert word in sentence


def test_a_range_of_auto_is_the_followers():
    for cell, _, text, _ in table("Features"):
        text = text.replace(MINUS, "-")
        if not (numbers := re.match(r"(-?\d+)…(\d+)", text)):
            continue
        low, high = map(float, numbers.groups())
        name = names(cell)[0]
        source = next(s for s in SOURCES if _means(s, name))
        follow = follow_of(MappingConfig(source=f"{source}.{name}"))
        assert (follow.low, follow.high) == (low, high), name
        assert ("log" in text, "dB" in text and name != "crest_db") == (
            follow.curve == "log",
            follow.curve == "db",
        )


def _means(source, name):
    try:
        mapping_source(f"{source}.{name}")
    except ValueError:
        return False
    return True


def test_the_ready_files_it_names_are_there():
    for path in re.findall(r"\]\((\.\./configs/[^)]+)\)", PAGE):
        assert (ROOT / "docs" / path).resolve().exists()
