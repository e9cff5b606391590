"""Builds the plugin, runs the mini-host, keeps a daemon, real or fake."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "plugin"
PROGRAMS = BUILD / "tests"
BOTH = ("vst3", "clap")
# GPL, and for tests only: both may live in an environment of their own.
HOSTS_PYTHON = os.environ.get("DAWDREAMER_PYTHON", sys.executable)
DPF = Path(os.environ.get("DPF_DIR", "/usr/share/dpf"))
STATUS = (
    "off",
    "searching",
    "connected",
    "refused",
    "latency too low",
    "no descriptors",
    "needs key",
    "strange answer",
    "no such feed",
)


def bundle(format_: str, plugin: str = "insert") -> Path:
    """What a host opens."""
    machine = f"{os.uname().machine}-linux"
    return {
        "vst3": BUILD / f"bin/stemd-{plugin}.vst3/Contents/{machine}/stemd-{plugin}.so",
        "clap": BUILD / f"bin/stemd-{plugin}.clap",
        "core": Path(plugin),
    }[format_]


def build() -> None:
    """Everything, or a reason to skip."""
    for program in ("cmake", "g++", "pkg-config"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if not (DPF / "cmake/DPF-plugin.cmake").exists():
        pytest.skip("dpf-source is not installed")
    for package, name in (
        ("libzmq", "libzmq3-dev"),
        ("nlohmann_json", "nlohmann-json3-dev"),
        ("samplerate", "libsamplerate0-dev"),
    ):
        if subprocess.run(["pkg-config", "--exists", package], check=False).returncode:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        ["bash", "bridge/plugin/build.sh", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def noise(seconds: float, rate: int = 48_000, seed: int = 1) -> np.ndarray:
    """(n, c) float32 of noise and a moving tone, so that no stretch equals another."""
    n = int(seconds * rate)
    tone = np.sin(np.cumsum(np.linspace(0.005, 0.2, n)))[:, None]
    mix = np.random.default_rng(seed).standard_normal((n, 2)) * 0.05 + 0.2 * tone
    return mix.astype(np.float32)


class Heard:
    """What the mini-host reported; `stems` (n, s, c) per instance."""

    def __init__(self, report: dict, stems: list[np.ndarray], given: np.ndarray) -> None:
        self.report, self.stems, self.given = report, stems, given
        self.latency = report["latency"]
        # position, connected, status, missed, not sent; or what was asked for
        self.trace = np.array(report["trace"])

    def parameters(self, instance: int = 0) -> dict[str, float]:
        return self.report["instances"][instance]["parameters"]

    @property
    def missed(self) -> int:
        return int(self.parameters()["Frames missed"])

    def delayed(self) -> np.ndarray:
        return np.concatenate([np.zeros((self.latency, 2), np.float32), self.given])[
            : len(self.given)
        ]

    def null(self, instance: int = 0) -> float:
        """The largest difference of the sum of stems from the delayed input."""
        return float(np.abs(self.stems[instance].sum(axis=1) - self.delayed()).max())

    def wrong_stems(self, shares: np.ndarray, instance: int = 0) -> np.ndarray:
        """(n,) bool: frames that are not the shares of the delayed input."""
        expected = self.delayed()[:, None, :] * shares[None, :, None]
        return (self.stems[instance] != expected).any(axis=(1, 2))


class Host:
    """The mini-host, in a place of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.runtime = place / "stemd"
        self.runtime.mkdir(mode=0o700)
        self.endpoint = f"ipc://{self.runtime}/plugin-0.sock"
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("STEMD_PLUGIN", "STEMD_STREAM")},
            "XDG_RUNTIME_DIR": str(place),
            "XDG_CONFIG_HOME": str(place / "config"),
            "HOME": str(place),
            "TSAN_OPTIONS": f"suppressions={Path(__file__).with_name('tsan.supp')} exitcode=66",
            "LSAN_OPTIONS": f"suppressions={Path(__file__).with_name('lsan.supp')}"
            " print_suppressions=0",
        }

    def start(
        self, kind: str, given: np.ndarray, environment: dict[str, str] | None = None, **order
    ) -> tuple[subprocess.Popen, dict, np.ndarray]:
        format_, _, sanitizer = kind.partition("-")
        given.tofile(self.place / "input.f32")
        order = {
            "format": format_,
            "plugin": str(bundle(format_, order.pop("plugin", "insert"))),
            "input": str(self.place / "input.f32"),
            "output": str(self.place / "output"),
            "offline": True,
            **order,
        }
        program = PROGRAMS / ("minihost" + (f"-{sanitizer}" if sanitizer else ""))
        process = subprocess.Popen(
            [program, json.dumps(order)],
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return process, order, given

    def finish(self, started: tuple[subprocess.Popen, dict, np.ndarray]) -> Heard:
        process, order, given = started
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "Sanitizer" not in errors, errors
        stems = [
            np.fromfile(f"{order['output']}.{n}", np.float32).reshape(-1, 4, 2)
            for n in range(order.get("instances", 1))
        ]
        report = json.loads(out)
        assert all(one["good"] and one["sentinels"] == 0 for one in report["instances"])
        report["errors"] = errors
        return Heard(report, stems, given)

    def run(self, kind: str, given: np.ndarray, **order) -> Heard:
        return self.finish(self.start(kind, given, **order))

    def python_host(
        self, package: str, given: np.ndarray | None, plugin: str = "insert", **order
    ) -> tuple[dict, list[np.ndarray]]:
        """A render through the VST3 in DawDreamer or pedalboard: its report, and (n, c) of each.

        Without `given` it renders `seconds` of what arrives.
        """
        known = subprocess.run(
            [HOSTS_PYTHON, "-c", f"import {package}"], capture_output=True, check=False
        )
        if known.returncode:
            pytest.skip(f"{package} is not installed")
        order = {
            "package": package,
            "plugin": str(BUILD / f"bin/stemd-{plugin}.vst3"),
            "input": None,
            "output": str(self.place / "rendered"),
            "instances": 1,
            **order,
        }
        if given is not None:
            order["input"] = str(self.place / "input.f32")
            given.tofile(order["input"])
        done = subprocess.run(
            [HOSTS_PYTHON, Path(__file__).with_name("python_host.py"), json.dumps(order)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        audio = [
            np.fromfile(f"{order['output']}.{n}", np.float32).reshape(-1, channels)
            for n, (_, channels) in enumerate(report["channels"])
        ]
        return report, audio

    @contextlib.contextmanager
    def fake(
        self, behaviour: str = "exact", endpoint: str = "", secret: str = ""
    ) -> Iterator[subprocess.Popen]:
        """A fake daemon that has bound its socket."""
        arguments = [endpoint or self.endpoint, behaviour, *([secret] if secret else [])]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bridge.plugin.fake", *arguments], cwd=ROOT
        )
        try:
            if (endpoint or self.endpoint).startswith("ipc://"):
                path = Path((endpoint or self.endpoint).removeprefix("ipc://"))
                wait_until(path.exists, 30)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
            if not endpoint:
                Path(self.endpoint.removeprefix("ipc://")).unlink(missing_ok=True)


def wait_until(ready, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
