"""Two machines on one cable, made of network namespaces; needs the right to make some."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

PREFIX = f"st{os.getpid() % 100_000}"


@dataclass(frozen=True)
class Machine:
    """One end of the cable."""

    namespace: str
    address: str

    def command(self, *words: object) -> list[str]:
        """What a shell would start, on this machine."""
        return ["ip", "netns", "exec", self.namespace, *map(str, words)]

    def stemd(self, *words: object, **options: Any) -> Any:
        """Run the command to its end."""
        return subprocess.run(
            self.command(sys.executable, "-m", "stemd", *words),
            capture_output=True,
            text=True,
            timeout=options.pop("timeout_s", 120.0),
            check=False,
            **options,
        )

    def ip(self, *words: object) -> None:
        """Change its network."""
        _ip("-n", self.namespace, *words)


def _ip(*words: object) -> None:
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True)


def permitted() -> bool:
    """Whether namespaces can be made here."""
    if shutil.which("ip") is None:
        return False
    try:
        with cable():
            return True
    except (subprocess.CalledProcessError, OSError):
        return False


@contextlib.contextmanager
def cable() -> Iterator[tuple[Machine, Machine]]:
    """Two machines that see each other and nobody else."""
    machines: Sequence[Machine] = [
        Machine(f"{PREFIX}{end}", f"10.77.0.{i}") for i, end in enumerate("ab", 1)
    ]
    made = []
    try:
        for one in machines:
            _ip("netns", "add", one.namespace)
            made.append(one.namespace)
            one.ip("link", "set", "lo", "up")
        a, b = machines
        _ip("link", "add", "stemd0", "netns", a.namespace, "type", "veth",
            "peer", "name", "stemd0", "netns", b.namespace)  # fmt: skip
        for one in machines:
            one.ip("addr", "add", f"{one.address}/24", "dev", "stemd0")
            one.ip("link", "set", "stemd0", "up")
        yield a, b
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
