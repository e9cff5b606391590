"""bridge/ speaks of nothing PROTOCOL.md does not: every OSC address, and every page it links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stemd.spec import DRUMS, PITCH_CLASSES, SOURCES
from stemd.wire import addresses, directory

from .support import BRIDGE

PROTOCOL = (BRIDGE.parent / "stemd/wire/PROTOCOL.md").read_text("utf-8")
FILES = sorted(
    file
    for file in BRIDGE.rglob("*")
    if file.suffix in {".md", ".pd", ".sc", ".scd", ".py", ".js", ".html", ".maxpat", ".toml"}
    and "plugin" not in file.parts
)
WORD = r"[\w.<>*?!\[\]{},%]+"


def documented() -> set[str]:
    """Addresses of the OSC tables, with <s>, <d> and the like written out."""
    section = PROTOCOL[PROTOCOL.index("\n## OSC") : PROTOCOL.index("\n## Security")]
    found = set(re.findall(r"`(/stemd/[\w./]+)`", section))  # in sentences
    for row in re.findall(r"^\|(.*?)\|", section, re.M):
        base = ""
        for name in re.findall(r"`(/[^`]+)`", row):
            if name.startswith("/stemd/"):
                base = name
                full = name
            else:  # beside the one before: in place of its end, where that is longest
                full = beside(base, name, found)
            found.add(full)
    return {written for name in found for written in write_out(name)}


def beside(base: str, name: str, known: set[str]) -> str:
    """`/stemd/<s>/level` and `/peak` are `/stemd/<s>/peak`; `/onset/count` goes with `/onset`."""
    parts = name.strip("/").split("/")
    start = base.split("/")
    # The neighbour shares all of the base but its own first part and what follows that.
    cut = start.index(parts[0]) if parts[0] in start[2:] else len(start) - 1
    if "/" in base.removeprefix("/stemd/") and cut == len(start) - 1 and start[2] not in parts:
        prefix = start[: 3 if start[2] in ("<s>", "<stem>", "drums") else 2]
    else:
        prefix = start[:cut]
    return "/".join([*prefix, *parts])


def write_out(name: str) -> list[str]:
    """Every address a documented one stands for."""
    options = {"<s>": SOURCES, "<stem>": SOURCES[1:], "<d>": DRUMS}
    for placeholder, values in options.items():
        if placeholder in name:
            return [w for value in values for w in write_out(name.replace(placeholder, value))]
    return [name]


def in_file(file: Path) -> set[str]:
    """Addresses used, quoted or as words of Pd's oscformat; formats and patterns left as such."""
    content = file.read_text("utf-8").replace("\\,", ",").replace("\\$1", "vocals")
    found = set(re.findall(rf"(?<![\w./])/stemd((?:/{WORD})+)", content))
    if file.suffix == ".pd":
        for line in re.findall(r"oscformat(?: -f \w+)? stemd ([\w. ]+?);", content):
            found.add("/" + line.replace(" ", "/"))
    return {"/stemd" + rest.rstrip(".,!?") for rest in found}


def is_known(address: str, known: set[str]) -> bool:
    """Also a pattern that means one, and a name with a place to be filled in."""
    for placeholder in ("%", "{name}", "{stem}", "{drum}", "<stem>", "<s>"):
        address = address.replace(placeholder, "*")
    below = {f"/stemd{rest}" for a in known for rest in _starts(a)}
    return bool(addresses.matching(address, [*known, *below]))


def _starts(address: str) -> list[str]:
    parts = address.split("/")[2:]
    return ["/" + "/".join(parts[:n]) for n in range(1, len(parts))]


def test_the_table_is_read_right():
    """What was read from the page is what the code sends and takes."""
    known = documented()
    said = directory.outgoing("/stemd", ("main",))
    shorthand = {f"/stemd/{s}/chroma/{c}" for s in SOURCES for c in PITCH_CLASSES}
    shorthand |= {f"/stemd/{s}/band/{i + 1}" for s in SOURCES for i in range(8)}
    missing = {*said, *directory.settings("/stemd", ("main",))} - known - shorthand
    assert not missing, f"not in PROTOCOL.md: {sorted(missing)}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(BRIDGE)))
def test_every_address_is_documented(file):
    known = documented()
    unknown = {a for a in in_file(file) if not is_known(a, known)}
    assert not unknown, f"{file.name}: {sorted(unknown)} are not in PROTOCOL.md"


def test_addresses_were_found_at_all():
    found = {file.name: in_file(file) for file in FILES}
    assert len(found["stemd-strip.pd"]) >= 3
    assert len(found["Stemd.sc"]) >= 5
    assert "/stemd/vocals/gain" in found["control.py"]
    assert not is_known("/stemd/vocals/gian", documented())
    assert not is_known("/stemd/nonsense", documented())


PAGES = [*sorted(BRIDGE.glob("*/README.md")), BRIDGE / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
    if page.parent != BRIDGE:
        assert re.search(r"^!\[", text, re.M), "a page without a picture"
    if page.parent not in (BRIDGE, BRIDGE / "plugin"):  # the plugin is no matter of ports
        assert re.search(r"^3\. ", text, re.M), "a page without three steps"
        assert "**Ports.**" in text
