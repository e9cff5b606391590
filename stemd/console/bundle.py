"""What somebody who helps from afar needs to see, in one file without secrets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import platform
import sys
import time
import zipfile
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from .. import __version__
from ..config import Config
from ..logbook import Line

DOCTOR = (sys.executable, "-m", "stemd", "doctor", "--json")
DOCTOR_S = 60.0  # it loads a model; on a busy machine that takes its time
PACKAGES = ("numpy", "numba", "onnxruntime", "onnxruntime-gpu", "PyAudio", "pyzmq", "aiohttp")
SECRETS = ("token", "password", "secret")  # ends of names of keys whose values stay here


async def bundle(
    config: Config, status: dict[str, Any], history: Any, lines: Sequence[Line]
) -> tuple[str, bytes]:
    """Name and content of the zip file."""
    now = time.gmtime()
    files = {
        "config.json": without_secrets(config.to_dict()),
        "status.json": status,
        "history.json": {
            "columns": ["load", "missed or late hops", "lost samples"],
            "rows": history,
        },
        "doctor.json": await _doctor(),
        "versions.json": _versions(),
    }
    log = "".join(f"{_clock(line.t_utc_ns)} {line.level} {line.text}\n" for line in lines)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content, indent=2, default=str))
        archive.writestr("log.txt", log)
    return time.strftime("stemd-%Y%m%d-%H%M%SZ.zip", now), packed.getvalue()


def without_secrets(value: Any) -> Any:
    """The same with every secret replaced by whether there is one."""
    if isinstance(value, dict):
        return {
            key: ("(set)" if inner else "")
            if str(key).lower().endswith(SECRETS)
            else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return value


async def _doctor() -> Any:
    """What `stemd doctor` says of this machine; it may say that it could not."""
    child = await asyncio.create_subprocess_exec(
        *DOCTOR,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), DOCTOR_S)
        return json.loads(said)
    except TimeoutError:
        return f"no answer in {DOCTOR_S:g} s"
    except ValueError:
        return f"ended with {child.returncode}"
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()


def _versions() -> dict[str, str]:
    versions = {"stemd": __version__, "python": sys.version, "platform": platform.platform()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _clock(t_utc_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t_utc_ns // 1_000_000_000))
