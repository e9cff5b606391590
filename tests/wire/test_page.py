"""PROTOCOL.md says what the code does."""

import re
import struct
from pathlib import Path

import stemd.wire
from stemd.spec import FEATURES, GROUPS, LIGHT_GROUPS
from stemd.wire import addresses, control
from stemd.wire.header import HEADER, Header

PAGE = (Path(stemd.wire.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")

SIZES = {"4 bytes": "4s", "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q", "f64": "d"}


def header_rows():
    table = PAGE[PAGE.index("## Header") : PAGE.index("**content index**")]
    for offsets, fields, types in re.findall(
        r"^\| ([\d, ]+) \| ([\w, ]+) \| ([\w, ]+) \|", table, re.M
    ):
        names, kinds = (
            fields.split(", "),
            types.split(", ") if types in SIZES or "," in types else [],
        )
        yield from zip(map(int, offsets.split(", ")), names, kinds, strict=True)


def test_the_header_table_is_the_header():
    rows = list(header_rows())
    layout = "<"
    for offset, name, kind in rows:
        assert struct.calcsize(layout) == offset, name
        layout += SIZES[kind]
    assert layout == HEADER.format


def test_the_header_table_names_the_fields():
    names = [name for _, name, _ in header_rows()]
    ours = list(Header.__dataclass_fields__)[:19]
    assert names == ["magic", "ver_major", "ver_minor", "header_len", *ours, "reserved"]


def test_every_feature_operation_and_setting_is_on_the_page():
    for word in (*FEATURES, *control.OPS, *control.SETTINGS, "gain_db"):
        assert f"`{word}`" in PAGE, word


def on_the_page(name):
    """How the page writes an address: drums, bands and pitch classes are not named one by one."""
    name = re.sub(r"^(kick|snare|hihat)\b", "<d>", name)
    name = re.sub(r"^band/\d$", "band/1", name)
    return re.sub(r"^chroma/\w+$", "chroma/c", name)


def test_every_address_is_on_the_page():
    for name in (
        *(level.name for level in addresses.LEVELS),
        *(event.name for event in addresses.EVENTS),
        *(f"{event.name}/{more}" for event in addresses.EVENTS for more in ("count", "age_ms")),
        *(addresses.NOTE, addresses.NOTE_VELOCITY, addresses.NOTE_COUNT, addresses.CHORD),
        *addresses.STEM_SETTINGS,
        *addresses.SOURCE_SETTINGS,
        *(f"<d>/{name}" for name in addresses.DRUM_SETTINGS),
        *addresses.FEED_SETTINGS,
        *addresses.STREAM_SETTINGS,
        *(addresses.STATE, addresses.ALIVE, addresses.LATENCY_MS, addresses.LOAD),
        *(addresses.XRUNS, addresses.LOST, addresses.LATE, addresses.PANIC, addresses.PING),
        *(addresses.PONG, addresses.STATUS, addresses.STATUS_REPLY, addresses.ERROR),
        *(addresses.EVENT, addresses.STARTUP, addresses.SHUTDOWN, addresses.TAP),
        *(addresses.SYNC, addresses.SYNCED, addresses.DONE, addresses.FAIL),
        *(addresses.PRESET, addresses.RELOAD, addresses.MODEL, addresses.PROFILE),
        *(addresses.SUBSCRIBE, addresses.SUBSCRIBED, addresses.RENEW, addresses.UNSUBSCRIBE),
    ):
        assert re.search(rf"/{re.escape(on_the_page(name))}`", PAGE), name


def test_every_group_is_on_the_page():
    table = PAGE[PAGE.index("| address | type | group |") : PAGE.index("`osc.text_targets`")]
    for group in GROUPS:
        bold = f"**{group}**" in table
        assert bold == (group in LIGHT_GROUPS), group
        assert re.search(rf"\b{group}\b", table), group
