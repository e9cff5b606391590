"""`stemd devices`: what PortAudio sees now."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from .options import Json

TIMEOUT_S = 20.0  # a slow sound server takes seconds; a dead one hangs PortAudio for good


def devices(as_json: Json = False) -> None:
    """List audio devices.

    Name one in the configuration by any part of its name, and by its host API where names repeat.
    """
    from .printing import console, print_json, table

    found = ask_devices()
    if as_json:
        print_json(found)
        return
    if not found:
        console(err=True).print(
            "No audio devices. stemd runs without one: from a file, a tone or the demo loop."
        )
        return
    rows = table("name", "host API", ">in", ">out", ">Hz", ">latency ms", "default")
    for d in found:
        default = [word for word in ("input", "output") if d.get(f"default_{word}")]
        rows.add_row(
            d["name"],
            d["host_api"],
            str(d["max_input_channels"]),
            str(d["max_output_channels"]),
            f"{d['default_samplerate']:.0f}",
            f"{1e3 * d['default_low_input_latency_s']:.1f}" if d["max_input_channels"] else "",
            " and ".join(default),
        )
    console().print(rows)


def ask_devices(timeout_s: float = TIMEOUT_S) -> list[dict[str, Any]]:
    """Devices as a fresh process sees them: PortAudio freezes its list when it starts.

    Raises
    ------
    DeviceError
        When that process fails or does not answer.
    """
    import json

    from stemd.errors import DeviceError

    command = [sys.executable, "-m", "stemd.sources.probe", "--json"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"devices: got no answer from PortAudio in {timeout_s:g} s, expected a list; "
            "a sound server hangs: restart it"
        ) from error
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["nothing"])[-1]
        raise DeviceError(f"devices: got {last}, expected a list of audio devices")
    try:
        found: list[dict[str, Any]] = json.loads(answer.stdout)
    except ValueError as error:
        raise DeviceError(f"devices: got {answer.stdout[:80]!r}, expected JSON") from error
    return found
