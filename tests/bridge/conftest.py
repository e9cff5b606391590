"""One daemon for all of bridge/: who listens disturbs nobody, who turns knobs turns them back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support import Demo, Speaker, demo


@pytest.fixture(scope="package")
def daemon() -> Iterator[Demo]:
    with demo() as running:
        yield running


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    one = Speaker()
    yield one
    one.close()
