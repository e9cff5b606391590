"""The core's own tests in C++, under ThreadSanitizer and AddressSanitizer."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from stemd.wire import header
from stemd.wire.plugin import Type, pack_header, unpack_message

from . import make_golden
from .support import PROGRAMS, Host

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.json"
STREAM = HERE / "stream.json"
TESTS = [
    (program, name)
    for program in ("core_test", "receiver_test")
    for name in re.findall(
        r"^    TEST\((\w+)\),$", (HERE / f"{program}.cpp").read_text(), re.MULTILINE
    )
]


@pytest.mark.parametrize("sanitizer", ["tsan", "asan"])
@pytest.mark.parametrize(("program", "name"), TESTS)
def test_core(program: str, name: str, sanitizer: str, host: Host, tmp_path: Path) -> None:
    if (name, sanitizer) == ("two_clocks_stay_together", "tsan"):
        pytest.skip("one thread for minutes: AddressSanitizer's run is enough")
    argument = {
        "header_bytes_are_the_golden_ones": [str(GOLDEN)],
        "stream_bytes_are_the_golden_ones": [str(STREAM)],
        "endpoint_precedence": [str(tmp_path)],
    }
    done = subprocess.run(
        [PROGRAMS / f"{program}-{sanitizer}", name, *argument.get(name, [])],
        env=host.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_python_writes_the_golden_bytes() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert len(golden) == len(make_golden.HEADERS)
    for one, fields in zip(golden, make_golden.HEADERS, strict=True):
        data = pack_header(Type(one["type"]), **{k: v for k, v in fields.items() if k != "type"})
        assert data.hex() == one["hex"]
        payload = bytes(one["frames"] * one["channels"] * 4)
        message = unpack_message(bytes.fromhex(one["hex"]), payload)
        assert message._asdict() == {k: v for k, v in one.items() if k != "hex"}


def test_python_writes_the_golden_bytes_of_streams() -> None:
    golden = json.loads(STREAM.read_text())
    assert len(golden) == len(make_golden.STREAM_HEADERS)
    for one, fields in zip(golden, make_golden.STREAM_HEADERS, strict=True):
        data = bytearray(header.HEADER_BYTES)
        header.pack_header(data, 0, **fields)
        assert data.hex() == one["hex"]
        read = header.unpack_header(data)
        assert {key: getattr(read, key) for key in fields} == fields


def test_one_header_by_hand() -> None:
    """The table of the protocol page, field by field, without any code of ours."""
    by_hand = (
        b"STIN"  # magic
        b"\x01\x03"  # version, AUDIO
        b"\x02\x00"  # channels
        b"\x02\x00\x00\x00"  # epoch
        b"\x44\xac\x00\x00"  # 44100
        b"\x00\x00\x00\x00\x00\x00\x00\x00"  # position
        b"\x01\x00\x00\x00"  # frames
        b"\x00\x00\x00\x00"  # flags
        b"\x01\x00\x00\x00\x00\x00\x00\x00"  # t_ns
        b"\x01\x00\x00\x00\x00\x00\x00\x00"  # instance
    )
    assert by_hand.hex() == json.loads(GOLDEN.read_text())[3]["hex"]
