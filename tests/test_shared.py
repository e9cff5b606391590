"""What is said where there is no shared memory to be had."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stemd.errors import EXIT_FAILED, StemdError
from stemd.shared import PLACE, PREFIX, SharedRecord

ROOT = Path(__file__).parents[1]
LINUX = pytest.mark.skipif(not PLACE.exists(), reason="shared memory is not a folder here")


@LINUX
def test_where_there_is_none_nothing_is_left(monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = {path.name for path in PLACE.glob(f"{PREFIX}{os.getpid()}-*")}
    with pytest.raises(StemdError, match=r"^shared memory: got No space .*, expected 4.0 MB in "):
        SharedRecord.create(np.dtype([("much", "u1", (4_000_000,))]))
    assert {path.name for path in PLACE.glob(f"{PREFIX}{os.getpid()}-*")} == before


SMALL = """
set -e
mount -t tmpfs -o size=1m,mode=1777 tmpfs /dev/shm
exec "$@"
"""


@LINUX
def test_a_container_with_little_of_it_is_told():
    inside = ["unshare", "--mount", "--map-root-user", "sh", "-c", SMALL, "sh"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    ran = subprocess.run(
        [*inside, sys.executable, "-m", "stemd", "run", "--set", "source.kind=demo"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert ran.returncode == EXIT_FAILED, ran.stderr
    assert "stemd: shared memory: got No space left on device, expected " in ran.stderr
    assert "--shm-size" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "leaked" not in ran.stderr
