"""Who has no key, a wrong one, or a copy of what somebody sent: refused, counted, and not heard."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from stemd.keys import KeyStore
from stemd.roles.keyring import Keyring
from stemd.wire.uplink import Encoding, Hello, Type, encode_hello, pack_header, unpack_header

from .relay import HOST, Relay
from .support import Ear, Program, until


class Stage:
    """A box that asks for keys, a bad network before it, and a sender whose key it knows."""

    def __init__(self, folder: Path) -> None:
        self.store = KeyStore(folder / "box")
        self.folder = folder
        self.box = Ear(
            [{"name": "main"}, {"name": "second"}],
            lambda context: Keyring(folder / "box", context),
            buffer_start_ms=100,
            buffer_min_ms=100,
            buffer_max_ms=900,
        )
        self.relay = Relay(self.box.port)
        self.senders: list[Program] = []
        self.store.authorise("pi", KeyStore(folder / "pi").own().public, ["send"])

    def send(self, keys: str, *more: str, key: str = "") -> Program:
        """Start a sender with the pair in a folder."""
        self.senders.append(
            Program(
                *("send", f"{HOST}:{self.box.port}", "--tone", 440, "--status", "off"),
                *("--keys", self.folder / keys, "--name", keys, *more),
                *((f"--key={key or self.store.server().public}",) if key != "none" else ()),
            )
        )
        return self.senders[-1]

    def heard(self) -> dict:
        """The status once the sender with the key is heard."""
        return self.box.until(lambda n: n["present"][0] and n["sealed"][0] and n, "audio, sealed")

    def close(self) -> None:
        for one in self.senders:
            one.end()
        self.relay.close()
        self.box.end()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    one = Stage(tmp_path)
    yield one
    one.close()


def test_only_who_is_on_the_list_is_heard(stage: Stage):
    stranger = stage.send("stranger")
    open_one = stage.send("open", "--insecure", key="none")
    liar = stage.send("pi", key=KeyStore(stage.folder / "other").own().public)
    status = stage.box.until(lambda n: n["strangers_refused"] >= 2 and n, "refusals")
    assert status["hellos"] == status["senders"] == 0
    assert all(one.process.poll() is None for one in (stranger, open_one, liar))
    liar.end()
    stage.send("pi")
    assert stage.heard()["sender"] == ["pi", ""]
    stage.store.authorise("stranger", KeyStore(stage.folder / "stranger").own().public, ["listen"])
    time.sleep(1.0)
    assert stage.box.status()["senders"] == 1  # who may listen may not send


def test_a_box_far_away_is_reached(stage: Stage):
    """A handshake with keys goes there and back some five times."""
    stage.relay.way_s = 0.04
    stage.send("pi")
    assert stage.heard()["sender"] == ["pi", ""]


def test_copies_forgeries_and_a_flood_leave_the_audio_alone(stage: Stage):
    stage.send("pi")
    stage.heard()
    until(lambda: len(stage.relay.caught) > 150, "datagrams")
    caught = [one for one in stage.relay.caught if len(one) > 500]
    place = ("127.0.0.1", stage.box.port)
    before = stage.box.status()
    for one in caught[:100]:
        stage.relay.back.sendto(one, place)  # again, from where the sender is
    stage.box.until(lambda n: n["replayed"] >= before["replayed"] + 90, "replays")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as enemy:
        for i, one in enumerate(caught[:100]):
            wrong = bytearray(one)
            wrong[16:24] = (10**6 + i).to_bytes(8, "little")  # a counter that is yet to come
            enemy.sendto(wrong, place)
            enemy.sendto(bytes(wrong[:60]), place)
        stage.box.until(lambda n: n["forged"] >= before["forged"] + 150, "forgeries")
        # 20 times what the sender sends, for a second: 7500 datagrams.
        for i in range(1500):
            wrong[16:24] = (10**7 + i).to_bytes(8, "little")
            enemy.sendto(wrong, place)
            if i % 10 == 0:
                time.sleep(0.001)
    stage.box.until(lambda n: n["flooded_by_feed"][0] > 0 or n["forged"] > 1000, "flood")
    received = stage.box.status()["received"][0]
    stage.box.until(lambda n: n["received"][0] > received + 100, "audio goes on")
    assert stage.box.status()["senders"] == 1


@pytest.mark.parametrize("kind", [Type.PONG, Type.BYE])
def test_a_flood_ends_no_session_and_hears_no_answer(stage: Stage, kind: Type):
    """What is dropped unopened may say of itself what it likes."""
    stage.send("pi")
    before = stage.heard()
    session = unpack_header(stage.relay.caught[-1]).session
    # Most of the audio is lost meanwhile: what is missed would be asked for where the flood is.
    stage.relay.fate = lambda random: (0.0,) if random.random() < 0.1 else ()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as enemy:
        enemy.setblocking(False)

        def flooded() -> bool:
            for i in range(500):
                header = pack_header(kind, session=session, counter=10**7 + i, t_ns=0)
                enemy.sendto(header, ("127.0.0.1", stage.box.port))
            after = stage.box.status()
            dropped = after["flooded_by_feed"][0] - before["flooded_by_feed"][0]
            return dropped > 5000 or after["admissions"] != before["admissions"]

        until(flooded, "flood")
        with pytest.raises(BlockingIOError):
            enemy.recv(2048)
    stage.relay.fate = lambda _: (0.0,)
    received = stage.box.status()["received"][0]
    after = stage.box.until(lambda n: n["received"][0] > received + 100 and n, "audio goes on")
    assert after["admissions"] == before["admissions"]  # in the session it had
    assert after["senders"] == 1


def test_who_is_revoked_is_heard_no_more(stage: Stage):
    stage.send("pi")
    stage.heard()
    stage.store.revoke("pi")
    stage.box.until(lambda n: n["senders"] == 0, "the end")
    time.sleep(1.0)
    assert stage.box.status()["senders"] == 0


def test_nobody_takes_the_name_of_another(stage: Stage):
    stage.send("pi")
    stage.heard()
    stage.store.authorise("thief", KeyStore(stage.folder / "thief").own().public, ["send"])
    thief = stage.send("thief", "--name", "pi")
    until(lambda: [line for line in thief.lines if "no other sender has" in line], "refusal")
    assert stage.box.status()["senders"] == 1


def test_crowds_and_nonsense_at_the_door_are_counted(stage: Stage):
    stage.send("pi")
    stage.heard()
    own = KeyStore(stage.folder / "pi").own()
    context = zmq.Context()
    door = context.socket(zmq.DEALER)
    door.curve_serverkey = stage.store.server().public.encode()
    door.curve_publickey, door.curve_secretkey = own.public.encode(), own.secret.encode()
    door.linger = 0
    door.connect(f"tcp://127.0.0.1:{stage.box.port}")
    hello = encode_hello(Hello("pi", 44_100, 2, 128, Encoding.S16, "udp"))
    try:
        for _ in range(300):
            door.send(hello)
        door.send(b"x" * 5000)
        door.send_multipart([b"a", b"b", b"c"])
        door.send(bytes(100_000))  # more than a message may be: cut off
        status = stage.box.until(lambda n: n["flooded"] >= 100 and n["bad"] >= 1 and n, "counts")
        assert status["hellos"] < 200
        assert status["senders"] == 1
        quiet = [threading.Thread(target=_hold, args=(stage.box.port,)) for _ in range(20)]
        for one in quiet:
            one.start()
        n = len(stage.box.written)
        until(lambda: len(stage.box.written) > n + 100, "audio goes on")
        for one in quiet:
            one.join()
    finally:
        context.destroy(linger=0)


def _hold(port: int) -> None:
    """A connection that says nothing, slowly."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        for _ in range(10):
            one.sendall(b"\xff")
            time.sleep(0.1)
