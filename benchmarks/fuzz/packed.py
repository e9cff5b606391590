"""Many small inputs in one file a person can carry: a zip of each surface's corpus."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

THEN = (1980, 1, 1, 0, 0, 0)  # the same inputs make the same file


def pack(path: Path, inputs: Sequence[bytes]) -> int:
    """Write `path`.zip; its size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_suffix(".zip")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for data in sorted(set(inputs)):
            name = hashlib.sha1(data).hexdigest()[:8]
            info = zipfile.ZipInfo(name, THEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return file.stat().st_size


def unpack(path: Path) -> list[bytes]:
    """Inputs of `path`.zip; none where there is no such file."""
    file = path.with_suffix(".zip")
    if not file.exists():
        return []
    with zipfile.ZipFile(file) as archive:
        return [archive.read(name) for name in archive.namelist()]
