"""An OSC sink with a clock of the test's own, and ears for it."""

from __future__ import annotations

import socket

from pythonosc.osc_message import OscMessage
from pythonosc.osc_packet import OscPacket

from stemd.sinks.osc import OscSink, Vitals
from stemd.spec import StreamSpec
from stemd.wire import osc
from stemd.wire.directory import outgoing

from .support import PATIENCE_S, SPEC

TWO_FEEDS = StreamSpec.of("live", 48_000, n_feeds=2)
FACTS = Vitals(state=2, load=0.25, xruns=3, lost=480, late=5)
VITALS = {f"/stemd/{n}" for n in ("state", "alive", "latency_ms", "load", "xruns", "lost", "late")}


def new_ear():
    """A socket that hears."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(PATIENCE_S)
    return one


def hear(ear):
    """Addresses and arguments in the next packet."""
    return {m.message.address: m.message.params for m in OscPacket(ear.recv(2000)).messages}


def make_sink(desk, ear=None, listen=("127.0.0.1", 0), vitals=lambda: FACTS, **more):
    """Two feeds; targets where `ear` hears."""
    targets = [ear.getsockname()] if ear else []
    return OscSink(TWO_FEEDS, ("main", "two"), desk, vitals, targets, listen, **more)


class Stage:
    """A sink without sockets; packets as they would have left, time as the test says."""

    def __init__(self, desk, spec=SPEC, **more):
        self.now = 0.0
        feeds = ("main", "two")[: spec.n_feeds]
        self.packets = []
        self.sink = OscSink(
            spec, feeds, desk, lambda: FACTS, [], None, clock=lambda: self.now, **more
        )
        self.sink._targets.send = lambda packet, but=None: self.packets.append(bytes(packet))
        self.prefix = more.get("prefix", "/stemd")
        self.known = outgoing(self.prefix, feeds)

    def write(self, hop):
        self.sink.write(hop)

    def tick(self, now):
        self.now = now
        self.sink.service()

    def messages(self):
        """Address, type and value of everything since the last call, vitals left out."""
        found = []
        for packet in self.packets:
            for data in osc.messages(packet):
                message = OscMessage(data)
                if message.address.replace(self.prefix, "/stemd") not in VITALS:
                    (value,) = message.params
                    found.append((message.address, value))
        self.packets.clear()
        return found

    def take(self):
        """The same as a dictionary."""
        return dict(self.messages())
