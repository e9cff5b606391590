"""A daemon that can be told to be a bad one: fixed shares of the input instead of a model.

`python -m tests.bridge.plugin.fake ENDPOINT BEHAVIOUR [SECRET KEY]`, in a process of its own so
that it can be stopped and killed. Shares are powers of two: what comes back is exact, and every
stem knows its place.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import zmq

from stemd.wire.plugin import Type, decode_fields, pack_header, unpack_message

SHARES = np.array([0.5, 0.25, 0.125, 0.125], np.float32)
HOP = 256


class Feed:
    """One instance: what it sent and is not yet answered."""

    def __init__(self, epoch: int, rate: int, position: int) -> None:
        self.epoch, self.rate = epoch, rate
        self.hop = HOP * (1 if rate < 88_000 else 2)
        self.position = position  # of the next stems
        self.input = np.zeros((0, 2), np.float32)


class Fake:
    """Behaviours: exact slow silent refuse once garbage oversize foreign high miser stall fuzz."""

    def __init__(self, endpoint: str, behaviour: str, secret: str = "") -> None:
        self.behaviour = behaviour
        self.router = zmq.Context.instance().socket(zmq.ROUTER)
        if secret:
            self.router.curve_server = True
            self.router.curve_secretkey = secret.encode()
        self.router.linger = 0
        self.router.ipv6 = "[" in endpoint
        self.router.bind(endpoint)
        self.feeds: dict[int, Feed] = {}
        self.epochs: dict[int, int] = {}  # of each instance the first
        self.random = np.random.default_rng(5)
        self.answered = 0

    def run(self) -> None:
        while True:
            try:
                route, head, payload = self.router.recv_multipart()
                header = unpack_message(head, payload)
            except ValueError:
                continue
            self.answer(route, header, payload)

    def say(self, route, type_, header, payload=b"", **more) -> None:
        fields = dict(instance=header.instance, epoch=header.epoch, rate=header.rate)
        fields.update(more)
        self.router.send_multipart([route, pack_header(type_, **fields), payload])

    def answer(self, route, header, payload) -> None:
        if self.behaviour == "silent":
            return
        if header.type == Type.HELLO:
            return self.welcome(route, header, payload)
        if header.type == Type.PING:
            return self.say(route, Type.PONG, header, t_ns=header.t_ns)
        if header.type == Type.BYE:
            self.feeds.pop(header.instance, None)
        if header.type != Type.AUDIO:
            return None
        feed = self.feeds.get(header.instance)
        if feed is None or feed.epoch != header.epoch:
            return self.say(route, Type.ERROR, header, b"unknown instance: say HELLO first")
        return self.separate(route, header, payload, feed)

    def welcome(self, route, header, payload) -> None:
        first = self.epochs.setdefault(header.instance, header.epoch)
        if self.behaviour == "refuse" or (self.behaviour == "once" and header.epoch != first):
            return self.say(route, Type.ERROR, header, b"full: 0 instances are the limit")
        hello = decode_fields(payload)
        feed = self.feeds.get(header.instance)
        if feed is None or feed.epoch != header.epoch:
            self.feeds[header.instance] = feed = Feed(header.epoch, header.rate, -1)
        text = {
            "hop": feed.hop,
            "algorithmic": 2 * feed.hop,
            "minimum": 2 * feed.hop + int(hello["block"]) + 100,
            "model": "fake",
            "profile": "live",
            "stems": "vocals,drums,bass,other",
            "credit": int(hello["latency"]) + 2 * feed.hop + 8192,
            "session": 0,
        }
        if self.behaviour == "high":
            text["minimum"] = text["algorithmic"] = 150_000
        if self.behaviour == "miser":
            text["credit"] = 2 * feed.hop + 1024
        if self.behaviour == "garbage":
            text["hop"] = "two hundred"
        data = "".join(f"{key}={value}\n" for key, value in text.items()).encode()
        return self.say(route, Type.WELCOME, header, data)

    def separate(self, route, header, payload, feed) -> None:
        audio = np.frombuffer(payload, np.float32).reshape(-1, 2)
        if feed.position < 0:
            feed.position = header.position
        hole = header.position - feed.position - len(feed.input)
        if hole > header.rate or hole < 0:
            feed.position, feed.input, hole = header.position, feed.input[:0], 0
        feed.input = np.concatenate([feed.input, np.zeros((hole, 2), np.float32), audio])
        while len(feed.input) >= 2 * feed.hop:
            mine, feed.input = feed.input[: feed.hop], feed.input[feed.hop :]
            stems = np.ascontiguousarray(mine[:, None, :] * SHARES[None, :, None])
            self.send_stems(route, header, feed, stems.tobytes())
            feed.position += feed.hop

    def send_stems(self, route, header, feed, data) -> None:
        self.answered += 1
        where = dict(position=feed.position, frames=feed.hop, t_ns=header.t_ns)
        if self.behaviour == "slow":
            time.sleep(0.004)
        if self.behaviour == "stall" and self.answered > 40:
            return None
        if self.behaviour == "oversize":
            data += bytes(32)
        if self.behaviour == "foreign":
            where["epoch"] = header.epoch + 1
        if self.behaviour == "fuzz":
            self.fuzz(route, header, where, data)
        return self.say(route, Type.STEMS, header, data, **where)

    def fuzz(self, route, header, where, data) -> None:
        """Everything but the truth, before it."""
        random = self.random
        fields = dict(instance=header.instance, epoch=header.epoch, rate=header.rate)
        good = pack_header(Type.STEMS, **{**fields, **where})
        broken = bytearray(good)
        broken[int(random.integers(len(broken) - 8))] ^= int(random.integers(1, 256))
        # nothing that is a wrong but possible position: nobody could tell
        broken[16:24] = good[16:24] if broken[16:24] == good[16:24] else b"\xff" * 8
        odd = [
            [bytes(broken), bytes(len(data) - 4)],
            [good],
            [good, data, data],
            [b"", b""],
            [random.bytes(48), random.bytes(100)],
            [random.bytes(int(random.integers(200)))],
            [pack_header(Type.STEMS, **fields, frames=8192, position=1 << 62), bytes(8192 * 32)],
            [pack_header(Type.WELCOME, **fields), random.bytes(200)],
            [pack_header(Type.WELCOME, **fields), b"hop=256\n" * 100],
            [pack_header(Type.HELLO, **fields), b"x"],
            [pack_header(Type.PONG, **fields), data],
        ]
        for message in odd:
            self.router.send_multipart([route, *message])


if __name__ == "__main__":
    Fake(*sys.argv[1:]).run()
