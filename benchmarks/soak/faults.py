"""What can go wrong on a stage, done on purpose. Each returns when the listeners are well again."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import stemd.client
from stemd.errors import StemdError
from stemd.spec import STEMS
from stemd.status import State
from tests.servers import feeder, jack

from .watched import Watched

PATIENCE_S = 90.0


class Device:
    """A sound server that can be torn out, with a program that plays into it."""

    def __init__(self) -> None:
        self._playing = contextlib.ExitStack()
        self._around = contextlib.ExitStack()
        self._server = self._around.enter_context(jack(sync=False))
        self._playing.enter_context(feeder(self._server))

    def lose(self) -> None:
        """As when somebody pulls the cable."""
        self._playing.close()
        self._server.kill()

    def give_back(self) -> None:
        """It is there again, under the same name."""
        self._server.start()
        self._playing.enter_context(feeder(self._server))

    def close(self) -> None:
        """No more sound."""
        self._playing.close()
        self._around.close()


@dataclass
class Stage:
    """What faults are done to."""

    it: Watched
    config: Path
    disk: Path
    metrics_port: int
    osc_port: int
    models: tuple[str, str]
    device: Device | None = None
    turn: int = 0
    model: int = 0

    def reload(self) -> None:
        """Write what is wanted now behind what stays, and have it read."""
        always = self.config.read_text().rpartition("[mixer]")[0]
        self.config.write_text(
            f"{always}[mixer]\ngain_db = {{bass = {self.gain_db}}}\n"
            f'[model]\nname = "{self.models[self.model]}"\n'
        )
        self.it.ask("reload")

    @property
    def gain_db(self) -> int:
        """Of the bass; another one each turn."""
        return -(self.turn % 6)

    def well(self) -> bool:
        """Hops flow, and nobody complains."""
        return self.it.status.state is State.RUNNING

    def until_well(self, what: str) -> None:
        """Hops have to come out anew, not only be said to."""
        hops = int(self.it.status.separate["hops"])
        self.it.until(
            lambda: self.well() and int(self.it.status.separate["hops"]) > hops + 20,
            PATIENCE_S,
            what,
        )


def kill(role: str) -> Callable[[Stage], None]:
    """`kill -9`."""

    def fault(stage: Stage) -> None:
        section = getattr(stage.it.status, role)
        pid = int(section["pid"])
        os.kill(pid, signal.SIGKILL)
        stage.it.until(
            lambda: int(section["pid"]) != pid and section["ready"], PATIENCE_S, f"a new {role}"
        )
        stage.until_well(f"hops after {role}")

    return fault


def freeze(role: str) -> Callable[[Stage], None]:
    """`kill -STOP`, for ever: it has to be found out and replaced."""

    def fault(stage: Stage) -> None:
        section = getattr(stage.it.status, role)
        pid = int(section["pid"])
        os.kill(pid, signal.SIGSTOP)
        stage.it.until(
            lambda: int(section["pid"]) != pid and section["ready"], PATIENCE_S, f"a new {role}"
        )
        stage.until_well(f"hops after {role}")

    return fault


def device_loss(stage: Stage) -> None:
    """The device is gone for five seconds."""
    assert stage.device is not None
    stage.device.lose()
    stage.it.until(lambda: stage.it.status.state is State.STALLED, PATIENCE_S, "a stall")
    stage.it.wait(5.0)
    stage.device.give_back()
    stage.until_well("sound")


def clock_steps(stage: Stage) -> None:
    """The wall clock jumps an hour ahead, and two seconds later back to where it would be."""
    wall_s, began_s = time.clock_gettime(time.CLOCK_REALTIME), time.monotonic()
    try:
        time.clock_settime(time.CLOCK_REALTIME, wall_s + 3600.0)
        stage.it.wait(2.0)
    finally:
        time.clock_settime(time.CLOCK_REALTIME, wall_s + time.monotonic() - began_s)
    stage.until_well("hops")


LISTENER = """
import sys
import stemd.client
with stemd.client.connect(control_port=int(sys.argv[1])) as client:
    print("here", flush=True)
    for block in client.blocks():
        pass
"""


def stalled_subscriber(stage: Stage) -> None:
    """Somebody subscribes to everything and then reads nothing."""
    command = [sys.executable, "-c", LISTENER, str(stage.it.control_port)]
    listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout is not None
        ready = listener.stdout
        stage.it.until(lambda: select.select([ready], [], [], 0.0)[0], PATIENCE_S, "a subscriber")
        listener.send_signal(signal.SIGSTOP)
        stage.it.wait(4.0)
    finally:
        listener.kill()
        listener.wait()
    stage.until_well("hops")


def reload(stage: Stage) -> None:
    """Another level in the file."""
    stage.turn += 1
    stage.reload()
    wanted = 10 ** (stage.gain_db / 20)
    gains, bass = stage.it.status.mixer["gain"][0], STEMS.index("bass")
    stage.it.until(lambda: abs(float(gains[bass]) - wanted) < 1e-3, PATIENCE_S, "the gain")
    stage.until_well("hops")


def swap_model(stage: Stage) -> None:
    """The other model."""
    stage.model = 1 - stage.model
    pid = int(stage.it.status.separate["pid"])
    stage.reload()
    stage.it.until(lambda: int(stage.it.status.separate["pid"]) != pid, 240.0, "the model")
    stage.until_well("hops")


def full_disk(stage: Stage) -> None:
    """Somebody else fills the disk of the recordings, and makes room again."""
    filler = stage.disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
    stage.it.until(lambda: not stage.it.status.record["recording"], PATIENCE_S, "it to stop")
    filler.unlink()
    stage.it.ask("set", recording=False)
    stage.it.wait(0.3)
    stage.it.ask("set", recording=True)
    stage.it.until(lambda: stage.it.status.record["recording"], PATIENCE_S, "a recording")
    stage.until_well("hops")


def busy_processors(stage: Stage) -> None:
    """Two programs that only calculate, for each processor."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(2 * (os.cpu_count() or 1))]
    stage.it.wait(5.0)
    for other in others:
        other.kill()
        other.wait()
    stage.until_well("hops")


def short_memory(stage: Stage) -> None:
    """A program that takes 300 MB and touches all of it."""
    command = [sys.executable, "-c", "import time; x = b'1' * 300_000_000; time.sleep(60)"]
    other = subprocess.Popen(command)
    stage.it.wait(5.0)
    other.kill()
    other.wait()
    stage.until_well("hops")


def network_cut(stage: Stage) -> None:
    """The network goes away for two seconds under a subscriber; only in a namespace of our own."""
    with stemd.client.connect(control_port=stage.it.control_port, budget_s=5.0) as client:
        stage.it.until(lambda: client.read_block(0.05), PATIENCE_S, "blocks")
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
        stage.it.wait(2.0)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        while client.read_block(0.0) is not None:
            pass
        stage.it.until(lambda: client.read_block(0.05), PATIENCE_S, "blocks again")
    stage.until_well("hops")


def bad_osc(stage: Stage) -> None:
    """Twenty thousand packets of noise, and of almost OSC."""
    chance = random.Random(stage.turn)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for i in range(20_000):
            noise = chance.randbytes(chance.randrange(1, 200))
            packet = noise if i % 2 else b"/stemd/bass/gain\0\0\0\0,f\0\0" + noise[:5]
            with contextlib.suppress(OSError):
                out.sendto(packet, ("127.0.0.1", stage.osc_port))
    stage.it.ask("set", stem="other", gain=1.0)  # a packet may have meant it
    stage.until_well("hops")


def thousands_of_connections(stage: Stage) -> None:
    """To the metrics and to the control port; they stay open and say nothing."""
    held = []
    for i in range(2_000):
        port = stage.metrics_port if i % 2 else stage.it.control_port
        one = socket.socket()
        one.setblocking(False)
        with contextlib.suppress(OSError):
            one.connect_ex(("127.0.0.1", port))
        held.append(one)
    stage.it.wait(3.0)
    for one in held:
        one.close()

    def answers() -> bool:
        try:
            with stemd.client.connect(control_port=stage.it.control_port, timeout_s=1.0) as client:
                return bool(client.info)
        except StemdError:
            return False

    stage.it.until(answers, PATIENCE_S, "an answer")
    stage.until_well("hops")


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind, what it may cost, and how soon all must be well."""

    name: str
    do: Callable[[Stage], None]
    limit_s: float  # injection included, where that takes time
    restarts: int | None = 0  # of processes that it causes; None: as many as it takes
    costs_audio: bool = False  # whether samples may be lost


FAULTS = (
    Fault("kill -9 capture", kill("capture"), 5.0, 1, True),
    Fault("kill -9 separate", kill("separate"), 20.0, 1, True),
    Fault("kill -9 publish", kill("publish"), 10.0, 1),
    Fault("kill -9 record", kill("record"), 10.0, 1),
    Fault("kill -9 metrics", kill("metrics"), 10.0, 1),
    Fault("kill -STOP capture", freeze("capture"), 10.0, 1, True),
    Fault("kill -STOP separate", freeze("separate"), 22.0, 1, True),
    Fault("kill -STOP publish", freeze("publish"), 13.0, 1),
    Fault("subscriber that stops reading", stalled_subscriber, 15.0),
    Fault("reload", reload, 2.0),
    Fault("another model", swap_model, 120.0),
    Fault("full disk", full_disk, 15.0),
    Fault("busy processors", busy_processors, 8.0, 0, True),
    Fault("300 MB taken", short_memory, 8.0),
    Fault("network cut for 2 s", network_cut, 10.0),
    Fault("20 000 packets of noise", bad_osc, 10.0),
    Fault("2 000 connections", thousands_of_connections, 15.0),
    Fault("device loss for 5 s", device_loss, 20.0, None, True),
    Fault("clock steps", clock_steps, 6.0),
)
NEEDS_NAMESPACE = ("network cut for 2 s",)
NEEDS_DEVICE = ("device loss for 5 s",)
NEEDS_CLOCK = ("clock steps",)
