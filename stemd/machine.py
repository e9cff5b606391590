"""What a configuration leaves to the machine: the kind of its source, and the rate."""

from __future__ import annotations

import contextlib
import dataclasses
import logging

from .config import DEFAULT_RATE_HZ, Kind, SourceConfig
from .errors import DeviceError
from .portaudio import DeviceInfo, choose
from .sources.probe import TIMEOUT_S, probe

log = logging.getLogger("stemd")

# Of a stream that runs nobody looks after the processes meanwhile, and systemd waits ten seconds.
RELOAD_TIMEOUT_S = 5.0
_DEVICES = ("device", "jack")
_QUESTION = ("kind", "device", "host_api", "samplerate")  # what an answer depends on


def resolve(written: SourceConfig, before: SourceConfig, runs: SourceConfig | None) -> SourceConfig:
    """Replace what only the machine can tell.

    A device that runs, or is awaited, is not asked for again: only it knows the rate that the
    stream follows, and a stream that waits for its device must not be taken for one without.

    Parameters
    ----------
    written : SourceConfig
        As the configuration has it.
    before : SourceConfig
        As it was written when `runs` came of it.
    runs : SourceConfig or None
        As resolved the last time; None: never.

    Raises
    ------
    DeviceError
        When a file to be played is not a sound file.
    """
    if runs is not None and runs.kind in _DEVICES and _question(written) == _question(before):
        return dataclasses.replace(written, kind=runs.kind, samplerate=runs.samplerate)
    source = written
    devices: list[DeviceInfo] = []
    if source.kind == "auto" or (source.kind == "device" and source.samplerate == 0):
        devices = [DeviceInfo(**d) for d in probe(TIMEOUT_S if runs is None else RELOAD_TIMEOUT_S)]
    if source.kind == "auto":
        inputs = [d for d in devices if d.max_input_channels > 0]
        awaited = source.device or (runs is not None and runs.kind == "device")
        kind: Kind = "device" if inputs or awaited else "demo"
        if kind == "demo":
            log.warning("no audio input device here: playing the built-in demo loop instead")
        source = dataclasses.replace(source, kind=kind)
    if source.kind in ("file", "demo"):
        from .sources.file import DEMO, FileSource

        rate = FileSource.rate_of(source.path if source.kind == "file" else DEMO)
        source = dataclasses.replace(source, samplerate=rate)
    if source.kind == "device" and source.samplerate == 0:
        # A device that is not there yet tells its rate when it comes: see `Daemon._rate_changed`.
        with contextlib.suppress(DeviceError):
            device = choose(devices, "input", source.device, source.host_api, "source")
            source = dataclasses.replace(source, samplerate=device.rates[0])
    if source.samplerate == 0:
        source = dataclasses.replace(source, samplerate=DEFAULT_RATE_HZ)
    return source


def follows_rate(written: SourceConfig, runs: SourceConfig) -> bool:
    """Whether the rate is the device's, and another one makes another stream."""
    return runs.kind in _DEVICES and written.samplerate == 0


def _question(source: SourceConfig) -> tuple[object, ...]:
    return tuple(getattr(source, name) for name in _QUESTION)
