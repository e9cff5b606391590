"""Stems on JACK ports of their own name, for any program of a JACK or PipeWire graph to take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..config import Config
from ..errors import DeviceError
from ..portaudio import open_jack_client
from ..spec import StreamSpec
from .player import Player

STALL_S = 0.5
CLIENT = "stemd"


class JackPorts(Player):
    """Ports `stemd:vocals_L`, `stemd:vocals_R`, … : one pair for each entry of `output.pairs`.

    The server's rate and period count; `output.samplerate` and `output.blocksize` do not. Nothing
    is connected: whoever wants a stem takes it.

    Raises
    ------
    DeviceError
        From the constructor, when there is no server; from `check`, when it died.
    """

    def __init__(self, config: Config, spec: StreamSpec) -> None:
        self._client = open_jack_client(CLIENT, "output.kind")
        super().__init__(config, spec, int(self._client.samplerate), int(self._client.blocksize))
        self.label = f"{self._client.name} (JACK)"
        names = port_names(config.output.channel_pairs)
        self._ports = [self._client.outports.register(name) for name in names]
        self._block = np.zeros((int(self._client.blocksize), self.channels), np.float32)
        self._last_s = time.monotonic() + 1.0
        self._dead = ""
        self._client.set_process_callback(self._process)
        self._client.set_shutdown_callback(self._shutdown)
        self._client.activate()

    def _process(self, frames: int) -> None:
        if frames != len(self._block):  # somebody gave the graph another period
            self._block = np.zeros((frames, self.channels), np.float32)
        self._cushion.read(self._block)
        for i, port in enumerate(self._ports):
            port.get_array()[:] = self._block[:, i]
        self._last_s = time.monotonic()

    def _shutdown(self, _status: Any, reason: str) -> None:
        self._dead = reason or "the server left"

    def check(self) -> None:
        """Raise DeviceError when the server takes nothing any more."""
        if self._dead or time.monotonic() - self._last_s > STALL_S:
            raise DeviceError(f"output: {self.label}: {self._dead or 'it stopped taking audio'}")


def port_names(pairs: Iterable[tuple[str, ...]]) -> list[str]:
    """Names of all ports, each once: those of the second pair of `mix` begin with `mix_2`."""
    seen: Counter[tuple[str, ...]] = Counter()
    names = []
    for pair in pairs:
        seen[pair] += 1
        name = "+".join(pair) if seen[pair] == 1 else f"{'+'.join(pair)}_{seen[pair]}"
        names += [f"{name}_L", f"{name}_R"]
    return names
