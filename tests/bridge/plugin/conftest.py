"""The plugin is built once; every test has a runtime directory of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .support import Host, build


@pytest.fixture(scope="session")
def built() -> None:
    build()


@pytest.fixture
def host(built: None) -> Iterator[Host]:
    # Not pytest's own directory: the path of an ipc socket has 107 bytes.
    place = Path(tempfile.mkdtemp(prefix="stemd-", dir="/tmp"))
    yield Host(place)
    shutil.rmtree(place, ignore_errors=True)
