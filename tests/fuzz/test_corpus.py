"""What fuzzing has found, fed again to the same targets, without the fuzzer.

`python -m benchmarks.fuzz` looks for more; see benchmarks/README.md.
"""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from benchmarks.fuzz.packed import pack, unpack
from benchmarks.fuzz.surfaces import SURFACES, make
from benchmarks.fuzz.taker import Taker

from . import CORPUS


@pytest.mark.parametrize("surface", SURFACES)
def test_nothing_escapes_that_is_not_a_refusal(surface, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    inputs = unpack(CORPUS / surface)
    assert inputs
    log = logging.getLogger("stemd")
    level = log.level
    target = make(surface)  # quiet: it is told a great deal of nonsense
    try:
        for data in (*target.seeds(), *inputs):
            try:
                target(data)
            except Exception as error:
                error.add_note(f"input: {data[:200]!r}")
                raise
    finally:
        target.close()
        log.setLevel(level)


def test_targets_need_no_fuzzer():
    code = (
        "import sys; sys.modules['atheris'] = None\n"
        "from benchmarks.fuzz.surfaces import SURFACES\n"
        "import importlib\n"
        "for one in SURFACES: importlib.import_module(f'benchmarks.fuzz.on_{one}')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_packed_corpus_comes_out_as_it_went_in(tmp_path):
    inputs = [b"", b"a", bytes(range(256)) * 4]
    size = pack(tmp_path / "x", inputs)
    assert (tmp_path / "x.zip").stat().st_size == size
    assert sorted(unpack(tmp_path / "x")) == sorted(inputs)
    assert pack(tmp_path / "y", inputs[::-1]) == size
    assert (tmp_path / "y.zip").read_bytes() == (tmp_path / "x.zip").read_bytes()


def test_bytes_that_run_out_are_zeros():
    taker = Taker(b"\x05\x01\x02")
    assert taker.pick("abc") == "c"
    assert taker.number(4) == 0x0201
    assert (taker.left, taker.byte(), taker.bytes(3), taker.chance(2)) == (0, 0, b"", False)
    assert Taker(b"").changed({"a": [1]}) == {"a": [1]}
