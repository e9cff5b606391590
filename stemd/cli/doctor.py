"""`stemd doctor`: what will hurt live audio here, and what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from . import machine
from .machine import Finding
from .options import ConfigFile, Json

if TYPE_CHECKING:
    from stemd.config import Config


def doctor(config: ConfigFile = None, as_json: Json = False) -> None:
    """Look for what of this machine will hurt live audio, and say how to mend it.

    Exit code 102 when something is bad enough to keep stemd from running.
    """
    from rich.text import Text

    from stemd.config import load_config
    from stemd.errors import EXIT_FAILED, EXIT_OK

    from .printing import console, print_json, table

    findings = list(examine(load_config(config)))
    bad = any(f.verdict == "bad" for f in findings)
    if as_json:
        print_json([asdict(f) for f in findings])
        raise typer.Exit(EXIT_FAILED if bad else EXIT_OK)
    styles = {"ok": "green", "warn": "yellow", "bad": "bold red"}
    rows = table("", "", "")
    rows.show_header = False
    for f in findings:
        rows.add_row(Text(f.verdict, styles[f.verdict]), f.name, Text(f.found))
        if f.fix:
            rows.add_row("", "", Text(f.fix, "italic"))
    console().print(rows)
    raise typer.Exit(EXIT_FAILED if bad else EXIT_OK)


def examine(config: Config) -> Iterator[Finding]:
    """All checks, one after the other."""
    yield machine.cores()
    yield machine.realtime()
    yield machine.memory_lock()
    yield machine.governor()
    yield machine.preemption()
    yield machine.memory()
    yield machine.swap()
    yield machine.clock()
    yield machine.throttling()
    yield numba_cache()
    yield from sound(config)
    yield model(config)
    yield from ports(config)
    yield keys(config)
    for found in config.insecure:
        yield Finding(
            "insecure",
            "warn",
            found,
            "Everybody on that network may come: leave insecure off, or name the network trusted.",
        )


def numba_cache() -> Finding:
    """Compiled kernels are kept on disk; without that every start compiles them again."""
    name = "compiled kernels"
    configured = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(configured) if configured else Path(__file__).parents[1] / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(name, "ok", f"kept in {folder}")
    except OSError as error:
        return Finding(
            name,
            "warn",
            f"{folder}: {error.strerror}",
            "Set NUMBA_CACHE_DIR to a folder stemd may write, or wait at each start.",
        )


def sound(config: Config) -> Iterator[Finding]:
    """PortAudio, and the input device the configuration means."""
    from stemd.errors import DeviceError

    from .devices import ask_devices

    try:
        found = ask_devices()
    except DeviceError as error:
        yield Finding(
            "PortAudio", "bad", str(error), "make run installs it; see docs/platforms.md elsewhere."
        )
        return
    yield Finding("PortAudio", "ok", f"{len(found)} devices")
    if config.source.kind in ("auto", "device"):
        yield input_device(config, [d for d in found if d["max_input_channels"]])


def input_device(config: Config, inputs: list[dict[str, Any]]) -> Finding:
    """Whether the input is there, and whether it runs at the rate asked for."""
    name, source = "input device", config.source
    meant = [
        d
        for d in inputs
        if source.device.lower() in d["name"].lower()
        and source.host_api.lower() in d["host_api"].lower()
    ]
    if not meant:
        wanted = f"{source.device or 'any'} {source.host_api}".strip()
        demo = not inputs and source.kind == "auto" and not source.device
        fix = (
            "Plug one in or start the sound server; until then the demo loop plays."
            if demo
            else "It will be waited for; stemd devices lists what is there."
        )
        return Finding(name, "warn", "none" if demo else f"no {wanted}", fix)
    device = next((d for d in meant if d["default_input"]), meant[0])
    rate = round(device["default_samplerate"])
    found = f"{device['name']} ({device['host_api']}), {rate} Hz"
    if source.samplerate in (0, rate):
        return Finding(name, "ok", found)
    return Finding(
        name, "warn", found, f"Set source.samplerate = 0, or the device to {source.samplerate} Hz."
    )


def model(config: Config) -> Finding:
    """Whether the model loads, and where it would run."""
    from stemd.errors import ModelError
    from stemd.processors.catalogue import find_model
    from stemd.processors.masknet import MaskNet

    name = "model"
    try:
        net = MaskNet(
            find_model(config.model.name, config.profile), config.spec, config.model.provider
        )
    except ModelError as error:
        return Finding(name, "bad", str(error), "Name a released model in model.name.")
    if net.provider == "cpu" and shutil.which("nvidia-smi"):
        return Finding(
            name,
            "warn",
            f"{net.name} on the CPU, although there is a GPU",
            "pip install 'onnxruntime-gpu[cuda,cudnn]' into the same environment.",
        )
    return Finding(name, "ok", f"{net.name} on {net.provider}")


def keys(config: Config) -> Finding:
    """Whether those who come from beyond this machine could be let in."""
    from stemd.errors import ConfigError
    from stemd.keys import SERVER_FILE, KeyStore, fingerprint, read_pair

    name = "keys"
    asked = config.zeromq_guarded or (config.inserts.enabled and config.inserts_guarded)
    try:
        store = KeyStore(config.security.folder)
        wrong = store.complaints()
        path = store.folder / SERVER_FILE
        own = fingerprint(read_pair(path).public) if path.exists() else "made at the first start"
    except ConfigError as error:
        fix = "See docs/security.md, The folder."
        return Finding(name, "bad" if asked else "warn", str(error), fix)
    if wrong:
        return Finding(name, "warn", "; ".join(wrong), "See docs/security.md, The folder.")
    if not asked:
        return Finding(name, "ok", "none asked for: all is bound to this machine, or insecure")
    if not store.clients():
        return Finding(
            name,
            "warn",
            f"{own}; nobody is on the list in {store.folder}",
            "stemd keys authorise NAME KEY lets somebody in.",
        )
    return Finding(name, "ok", f"{own}; {len(store.clients())} may come")


def ports(config: Config) -> Iterator[Finding]:
    """Whether what we would bind is free."""
    from stemd.config import split_endpoint

    if config.zeromq.enabled:
        z = config.zeromq
        for port in (z.audio_port, z.features_port, z.control_port):
            yield port_free(z.bind, port, socket.SOCK_STREAM, "zeromq")
    if config.osc.enabled and config.osc.listen:
        host, port = split_endpoint(config.osc.listen)
        yield port_free(host, port, socket.SOCK_DGRAM, "osc")
    if config.console.enabled:
        yield port_free(config.console.bind, config.console.port, socket.SOCK_STREAM, "console")
    if config.osc.enabled and config.osc.query_port:
        yield port_free("127.0.0.1", config.osc.query_port, socket.SOCK_STREAM, "osc")


def port_free(host: str, port: int, kind: socket.SocketKind, section: str) -> Finding:
    """Bind it and let go."""
    name = f"port {port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:  # a connection that ended a moment ago does not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                name,
                "warn",
                str(error.strerror),
                f"Another stemd runs, or another program has it: change it in [{section}].",
            )
    return Finding(name, "ok", "free")
