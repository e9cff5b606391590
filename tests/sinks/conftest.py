"""What the tests of OSC share."""

import contextlib

import pytest

from stemd.desk import Desk
from stemd.status import Status

from .osc_support import Stage, new_ear


@pytest.fixture
def status():
    one = Status.create(2)
    yield one
    one.close()


@pytest.fixture
def desk(status):
    return Desk(status, ("main", "two"))


@pytest.fixture
def ear():
    with contextlib.closing(new_ear()) as one:
        yield one


@pytest.fixture
def stage(desk):
    return Stage(desk)
