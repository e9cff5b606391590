"""Imports go down only: the picture in words below, read from every file with `ast`.

cli → daemon → roles → { processors → kernels }
               roles → { sources, sinks, ring, status, wire }     sources, sinks → wire
kernels know numpy, numba, rocket-fft; wire knows numpy, zmq; the client speaks the wire
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "stemd"
FILES = sorted(PACKAGE.rglob("*.py"))

WORDS = {"spec", "errors"}  # what all rooms but kernels may speak
MEMORY = {
    "shared",
    "ring",
    "outbox",
    "status",
    "realtime",
    "logbook",
    "hatch",
}  # what crosses processes
ROOMS: dict[str, set[str]] = {
    "kernels": set(),
    "spec": set(),
    "errors": set(),
    "processors": {"kernels"},
    "config": set(),
    "shared": set(),
    "ring": {"shared"},
    "outbox": {"shared"},
    "status": {"shared"},
    "logbook": {"shared"},
    "hatch": set(),
    "realtime": set(),
    "files": set(),
    "keys": set(),
    "keeper": {"roles", "files", *MEMORY},
    "discovery": set(),
    "portaudio": set(),
    "wire": set(),
    "codec": set(),
    "client": {"wire", "keys", "codec"},
    "listener": {"client", "sinks", "config"},
    "sources": {"wire", "config", "processors", "portaudio", *MEMORY},
    "sinks": {
        *{"wire", "config", "desk", "keys", "processors", "portaudio", "files", "codec"},
        *MEMORY,
    },
    "desk": {"wire", *MEMORY},
    "console": {"wire", "config", "desk", *MEMORY},
    "roles": {
        "processors",
        "kernels",
        "sources",
        "sinks",
        "console",
        "codec",
        "wire",
        "config",
        "desk",
        "keys",
        "discovery",
        *MEMORY,
    },
    "send": {"wire", "sources", "sinks", "processors", "config", "keys", "discovery"},
    "machine": {"sources", "config", "portaudio"},
    "daemon": {"keeper", "machine", "roles", "config", *MEMORY},
    "cli": {
        *{"daemon", "send", "client", "processors", "kernels", "config", "keys", "discovery"},
        *{"listener", "sinks", *MEMORY},
    },
    "__main__": {"cli", "send"},
    "__init__": set(),
}
# Packages that are not Python's own and not ours: who may know them. numpy is everybody's.
FOREIGN: dict[str, set[str]] = {
    "kernels": {"numba", "rocket_fft", "llvmlite"},
    "wire": {"zmq", "cryptography"},
    "keys": {"zmq"},
    "send": {"zmq"},
    "discovery": {"zeroconf", "ifaddr"},
    "client": {"zmq"},
    "codec": {"av"},
    "sinks": {
        *{"zmq", "pythonosc", "soundfile", "pyaudio", "samplerate", "soxr", "rtmidi"},
        *{"prometheus_client", "pynvml", "mido", "wsproto", "av"},
    },
    "portaudio": {"jack"},
    "sources": {"pyaudio", "soundfile", "soxr", "samplerate", "zmq"},
    "processors": {"soxr", "samplerate"},
    "roles": {"zmq", "soxr"},  # publish owns every socket, capture every rate conversion
    "console": {"aiohttp"},
    "cli": {"typer", "rich", "soundfile", "soxr"},
}
ONNXRUNTIME = "processors/masknet.py"
PRINTERS = ("cli/", "sources/probe.py")  # the probe's output is for its parent
NO_NUMPY = {"__main__", "__init__", "spec", "errors", "config", "keys", "discovery"}


def room_of(path: Path) -> str:
    """First part of the place inside the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a file imports, wherever in it."""
    package = ("stemd", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{name}.{alias.name}"


def ours(name: str) -> str | None:
    """Room a name of ours lives in; None for the package itself or a stranger."""
    parts = name.split(".")
    if parts[0] != "stemd" or len(parts) < 2:
        return None
    return parts[1] if parts[1] in ROOMS else None


def test_every_room_is_in_the_picture():
    assert {room_of(path) for path in FILES} == set(ROOMS)


def test_the_picture_has_no_circle():
    seen: set[str] = set()

    def visit(room: str, above: tuple[str, ...]) -> None:
        assert room not in above, f"{' -> '.join(above)} -> {room}"
        if room not in seen:
            for below in ROOMS[room]:
                visit(below, (*above, room))
            seen.add(room)

    for room in ROOMS:
        visit(room, ())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    room = room_of(path)
    allowed = {room, *ROOMS[room]} | (set() if room == "kernels" else WORDS)
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for line, name in imports(path)
        if (below := ours(name)) is not None and below not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_room_knows_only_its_libraries(path):
    room = room_of(path)
    allowed = FOREIGN.get(room, set()) | (set() if room in NO_NUMPY else {"numpy"})
    if path.relative_to(PACKAGE).as_posix() == ONNXRUNTIME:
        allowed.add("onnxruntime")
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for line, name in imports(path)
        if (top := name.split(".")[0]) not in sys.stdlib_module_names
        and top != "stemd"
        and top not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_prints(path):
    if path.relative_to(PACKAGE).as_posix().startswith(PRINTERS):
        return
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert calls == []


def modules_after(statement: str) -> set[str]:
    """Top-level names of all that is loaded by an import in a fresh process."""
    program = f"{statement}\nimport sys\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(ran.stdout.split())


HEAVY = {"numba", "llvmlite", "onnxruntime", "torch", "rich", "typer", "zmq", "pythonosc", "scipy"}


@pytest.mark.parametrize(
    "module",
    ["stemd.roles.capture", "stemd.roles.play", "stemd.sources.device", "stemd.sources.probe"],
)
def test_what_touches_a_device_loads_nothing_heavy(module):
    """Also not through what it imports: a capture process holds nothing that could delay it."""
    assert modules_after(f"import {module}") & HEAVY == set()


def test_a_node_that_sends_is_light():
    loaded = modules_after("import stemd.send.command")
    assert loaded & (HEAVY - {"zmq"} | {"soundfile", "samplerate", "soxr"}) == set()


def test_a_node_needs_only_what_its_extra_brings():
    for path in (PACKAGE / "send").rglob("*.py"):
        assert strangers(path, declared("send")) == set(), path


def test_a_client_needs_no_daemon():
    loaded = modules_after("import stemd.client")
    assert loaded & (HEAVY - {"zmq"} | {"soundfile", "pyaudio"}) == set()


def test_the_package_itself_loads_nothing():
    assert modules_after("import stemd") & (HEAVY | {"numpy"}) == set()


def test_children_import_the_main_module_again_for_nothing():
    """`spawn` runs the parent's main module once more in each child."""
    assert modules_after("import stemd.__main__") & (HEAVY | {"numpy"}) == set()


def test_models_are_made_elsewhere():
    """torch stays in models/, and stemd never reaches in there."""
    for path in FILES:
        assert not [n for _, n in imports(path) if n.split(".")[0] in ("torch", "onnx", "models")]


@functools.cache
def declared(*extras: str) -> set[str]:
    """Distributions pyproject asks for, by their normalised names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return {re.split(r"[<>=;\[ ]", line)[0].lower().replace("_", "-") for line in wanted}


# Reads what every installed package says of itself.
owners_of = functools.cache(metadata.packages_distributions)


def strangers(path: Path, known: set[str]) -> set[str]:
    """Installed distributions a file imports that are not among `known`."""
    owners = owners_of()
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            for owner in owners.get(name.split(".")[0], []):
                if owner.lower().replace("_", "-") not in {*known, "stemd"}:
                    found.add(owner)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_is_imported_is_a_dependency(path):
    assert strangers(path, declared("daemon")) <= {"llvmlite"}  # numba's own, pinned by it


def test_tests_import_only_what_make_test_installs():
    known = declared("daemon", "test") | {"mir-eval"}  # what needs it skips itself without
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if "models" not in path.relative_to(ROOT).parts:  # skip themselves without torch
            assert strangers(path, known) == set(), path
