"""List audio devices: `python -m stemd.sources.probe --json`.

A process of its own, because PortAudio freezes its list when it starts and can hang when it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

TIMEOUT_S = 15.0  # a slow sound server takes seconds; a dead one for ever


def probe(timeout_s: float = TIMEOUT_S) -> list[dict[str, Any]]:
    """Devices as PortAudio sees them now, asked of a child process; empty when it fails.

    Each entry has the fields of `stemd.portaudio.DeviceInfo`.
    """
    command = [sys.executable, "-m", "stemd.sources.probe", "--json"]
    try:
        answer = subprocess.run(
            command, capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
        )
        devices: list[dict[str, Any]] = json.loads(answer.stdout or b"[]")
    except (subprocess.TimeoutExpired, ValueError):
        return []
    return devices


def main() -> None:
    """Print the list and leave without PortAudio's own ending, which can hang."""
    import pyaudio

    from ..portaudio import list_devices, name_jack_client, quiet

    quiet()
    name_jack_client(f"stemd-probe-{os.getpid()}")
    devices = [d.to_dict() for d in list_devices(pyaudio.PyAudio())]
    print(json.dumps(devices), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
