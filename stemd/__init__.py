"""Live stem separation: vocals, drums, bass and other, while they sound.

Names load on first use: a capture process that imports `stemd` pays for nothing it does not use.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["Config", "Daemon", "Separator", "StemdError", "load_config"]

_HOMES = {
    "Config": "config",
    "load_config": "config",
    "Daemon": "daemon",
    "Separator": "processors.separator",
    "StemdError": "errors",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
