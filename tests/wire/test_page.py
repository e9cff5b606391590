"""PROTOCOL.md says what the code does."""

import re
import struct
from pathlib import Path

import stemd.wire
from stemd.spec import FEATURES
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


def test_every_address_is_on_the_page():
    for level in addresses.LEVELS:
        assert re.search(rf"/{re.escape(level.name)}`", PAGE), level.name
    for name in (
        *addresses.STEM_SETTINGS,
        *addresses.SOURCE_SETTINGS,
        *addresses.FEED_SETTINGS,
        *addresses.STREAM_SETTINGS,
        *(addresses.STATE, addresses.ALIVE, addresses.LATENCY_MS, addresses.LOAD),
        *(addresses.XRUNS, addresses.LOST, addresses.LATE, addresses.PANIC, addresses.PING),
        *(addresses.PONG, addresses.STATUS, addresses.STATUS_REPLY, addresses.ERROR),
    ):
        assert re.search(rf"/{re.escape(name)}`", PAGE), name
