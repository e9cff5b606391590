"""What strangers and ill-willed peers cost the audio of others: quiet and attack, in turns.

    python benchmarks/attack.py --seconds 15

A real daemon that asks for keys plays its demo loop to one subscriber. Attacks come one after the
other, each from a process of its own, with a quiet turn of the same length before each. Printed for
each turn: hops `separate` had ready too late, and what the subscriber lost; then what was counted.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zmq

sys.path.insert(0, str(Path(__file__).parents[1]))

from stemd.client import Curve, connect
from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.keys import KeyStore, Pair, make_pair
from tests.device.conftest import port_overrides

REQUESTS_PER_S = 2000  # twenty times what one peer may


def strangers(info: dict[str, int], server: str, _: Pair) -> None:
    """Connect as fast as it goes: without a key, with a wrong one, with one nobody knows."""
    context = zmq.Context()
    while True:
        sockets = []
        for key in ("", make_pair().public, server):
            one = context.socket(zmq.SUB)
            one.setsockopt(zmq.LINGER, 0)
            one.setsockopt(zmq.RECONNECT_IVL, 1)
            if key:
                Curve(key, make_pair()).apply(one)
            one.subscribe(b"")
            one.connect(f"tcp://127.0.0.1:{info['audio_port']}")
            sockets.append(one)
        time.sleep(0.02)
        for one in sockets:
            one.close()


def crowd(info: dict[str, int], *_: Any) -> None:
    """Two hundred connections that never say who they are."""
    while True:
        here = [socket.create_connection(("127.0.0.1", info["audio_port"])) for _ in range(200)]
        time.sleep(1.0)
        for one in here:
            one.close()


def oversize(info: dict[str, int], server: str, own: Pair) -> None:
    """A friend's key; requests of a megabyte, again and again."""
    for one in _forever(zmq.DEALER, info["control_port"], server, own):
        one.send(b"x" * (1 << 20))


def flood(info: dict[str, int], server: str, own: Pair) -> None:
    """A friend's key; twenty times as many requests as one peer may send."""
    _context, one = _socket(zmq.DEALER, info["control_port"], server, own)
    while True:
        for _ in range(REQUESTS_PER_S // 100):
            one.send(b'{"op": "status"}', zmq.NOBLOCK)
        time.sleep(0.01)
        while one.poll(0):
            one.recv()


def spray(info: dict[str, int], server: str, own: Pair) -> None:
    """A friend's key; ten thousand topics, and again when it was cut."""
    for one in _forever(zmq.SUB, info["audio_port"], server, own):
        for i in range(10_000):
            one.subscribe(b"stemd/1/a/%d/" % i)


def loris(info: dict[str, int], server: str, own: Pair) -> None:
    """A friend's key; sixteen subscribers of everything that never read."""
    held = [_socket(zmq.SUB, info[port], server, own) for port in _PORTS for _ in range(8)]
    for _, one in held:
        one.setsockopt(zmq.RCVHWM, 1)
        one.subscribe(b"")
    threading.Event().wait()


_PORTS = ("audio_port", "features_port")
ATTACKS = (strangers, crowd, oversize, flood, spray, loris)


def _socket(kind: int, port: int, server: str, own: Pair) -> tuple[Any, Any]:
    context = zmq.Context()
    one = context.socket(kind)
    one.setsockopt(zmq.LINGER, 0)
    one.setsockopt(zmq.SNDHWM, 0)
    Curve(server, own).apply(one)
    one.connect(f"tcp://127.0.0.1:{port}")
    return context, one


def _forever(kind: int, port: int, server: str, own: Pair) -> Any:
    while True:
        context, one = _socket(kind, port, server, own)
        yield one
        time.sleep(0.2)
        one.close()
        context.term()


class Listening(threading.Thread):
    """The subscriber whose audio must not suffer."""

    def __init__(self, port: int, server: str, own: Pair) -> None:
        super().__init__(daemon=True)
        self.client = connect(control_port=port, key=server, identity=own, timeout_s=10.0)

    def run(self) -> None:
        for _ in self.client.blocks():
            pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    parser.add_argument("--only", default="", help="one of the attacks")
    parser.add_argument("--attack", help=argparse.SUPPRESS)  # this process is one
    parser.add_argument("--about", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        info, server, public, secret = json.loads(options.about)
        print("attacking", flush=True)
        globals()[options.attack](info, server, Pair(public, secret))
        return
    with tempfile.TemporaryDirectory() as folder:
        attacks = [one for one in ATTACKS if options.only in ("", one.__name__)]
        measure(options.seconds, KeyStore(Path(folder) / "keys"), attacks)


def measure(seconds: float, store: KeyStore, attacks: Sequence[Any]) -> None:
    friend, listener = make_pair(), make_pair()
    store.authorise("friend", friend.public, ["listen", "control"])
    store.authorise("listener", listener.public, ["listen"])
    ports, control = port_overrides()
    settings = [*ports, "source.kind=demo", "security.loopback=true"]
    settings += [f"security.keys={store.folder}"]
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    try:
        while not (int(daemon.status.separate["hops"]) and daemon.status.publish["ready"]):
            assert daemon.poll(0.05), daemon.status.reason
        server = store.server().public
        ears = Listening(control, server, listener)
        ears.start()
        about = json.dumps([ears.client.info, server, friend.public, friend.secret])
        for attack in attacks:
            for word in ("quiet", attack.__name__):
                print(json.dumps(turn(daemon, ears.client, word, about, seconds)), flush=True)
    finally:
        daemon.stop()


def turn(daemon: Daemon, client: Any, word: str, about: str, seconds: float) -> dict[str, Any]:
    process = None
    if word != "quiet":
        command = [sys.executable, __file__, "--attack", word, "--about", about]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while not select.select([process.stdout], [], [], 0.0)[0]:
            daemon.poll(0.05)
    before = counted(daemon, client)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        assert daemon.poll(0.05), daemon.status.reason
    after = counted(daemon, client)
    if process is not None:
        assert process.poll() is None, "the attack ended by itself"
        process.kill()
        process.wait()
        end_s = time.monotonic() + 3.0  # what it left behind is not the next turn's
        while time.monotonic() < end_s:
            daemon.poll(0.05)
    rss = Path(f"/proc/{int(daemon.status.publish['pid'])}/statm").read_text().split()[1]
    change = {name: after[name] - before[name] for name in after}
    return {"turn": word, **change, "publish_mb": round(int(rss) * 4096 / 1e6, 1)}


def counted(daemon: Daemon, client: Any) -> dict[str, int]:
    separate, publish, heard = daemon.status.separate, daemon.status.publish, client.counters
    return {
        **{name: int(separate[name]) for name in ("hops", "misses", "late", "lost_input")},
        "heard": heard.blocks,
        "heard_late": heard.late,
        "heard_lost": heard.lost + heard.filled,
        **{name: int(publish[name]) for name in ("strangers", "turned_away", "evicted", "refused")},
        "restarts": int(daemon.status.daemon["restarts"].sum()),
    }


if __name__ == "__main__":
    main()
