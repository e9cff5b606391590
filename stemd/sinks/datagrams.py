"""Stems as VBAN and ReaStream: one stereo stream for each, to fixed addresses, over UDP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config import DatagramsConfig, split_endpoint
from ..spec import SOURCES, STEMS, StreamSpec
from ..wire.datagrams import VBAN_RATES, reastream_packets, vban_packets
from .osc_sender import OscSender

MIX = SOURCES[0]


class DatagramSink:
    """Sends each hop at once; nothing waits, and a packet nobody takes is lost.

    Streams are called `<name>-vocals`, `<name>-drums` … A feed's stems of one hop leave together.

    Parameters
    ----------
    spec : StreamSpec
    feeds : sequence of str
    config : DatagramsConfig

    Process:  publish only, one thread.
    """

    def __init__(self, spec: StreamSpec, feeds: Sequence[str], config: DatagramsConfig) -> None:
        self._samplerate = spec.samplerate
        self._feed = feeds.index(config.feed) if config.feed else 0
        self._streams = [(stem, f"{config.name}-{stem}") for stem in config.stems]
        self._counters = dict.fromkeys(config.stems, 0)
        vban = config.vban if spec.samplerate in VBAN_RATES else ()
        self._vban = OscSender([split_endpoint(one) for one in vban], "datagrams.vban")
        self._reastream = OscSender(
            [split_endpoint(one) for one in config.reastream], "datagrams.reastream"
        )
        lines = [*self._vban.unresolved, *self._reastream.unresolved]
        if len(vban) < len(config.vban):
            lines.append(
                f"datagrams.vban: got {spec.samplerate} Hz, expected a rate VBAN has a number for"
            )
        self.reason = "; ".join(lines)

    @property
    def sent(self) -> int:
        """Packets."""
        return self._vban.sent + self._reastream.sent

    @property
    def errors(self) -> int:
        """Packets the system refused."""
        return self._vban.errors + self._reastream.errors

    def write(self, hop: Any) -> None:
        """All streams of one hop."""
        for stem, name in self._streams:
            block = hop["mix"] if stem == MIX else hop["stems"][:, STEMS.index(stem)]
            block = block[self._feed]
            if self._vban.targets:
                for packet in vban_packets(name, self._samplerate, block, self._counters[stem]):
                    self._vban.send(packet)
                    self._counters[stem] += 1
            if self._reastream.targets:
                for packet in reastream_packets(name, self._samplerate, block):
                    self._reastream.send(packet)

    def service(self) -> None:
        """Nothing comes back."""

    def close(self) -> None:
        """Close the sockets."""
        self._vban.close()
        self._reastream.close()
