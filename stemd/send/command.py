"""The command line of `stemd send`; argparse, because typer and rich are not there on a node."""

from __future__ import annotations

import argparse
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..config import SourceConfig, is_loopback, split_endpoint
from ..errors import EXIT_OK, ConfigError, DeviceError, StemdError
from ..keys import KeyStore, check_key
from ..sources.base import Source
from ..wire.uplink import (
    ENCODINGS,
    MAX_CHANNELS,
    MAX_COPIES,
    MAX_FRAMES,
    MAX_NAME,
    PORT,
    Hello,
    largest_block,
)
from .link import Keys, Link
from .node import Node

log = logging.getLogger("stemd.send")

STATUS = "127.0.0.1:5585"
BLOCK = 128  # samples: 2.7 ms at 48 kHz
PERIOD = 256  # samples the device hands over at once
TRIED = "STEMD_SEND_TRIED"  # in the environment: a device was there and went away
AGAIN_S = 1.0
STALL_S = 0.5


def parser() -> argparse.ArgumentParser:
    """All options."""
    it = argparse.ArgumentParser(
        prog="stemd send",
        description="Capture here, separate on another machine: send audio to a box that runs "
        '`stemd run` with source.kind = "network".',
    )
    it.add_argument(
        "box",
        metavar="HOST[:PORT]",
        nargs="?",
        default="",
        help=f"the box, port {PORT} if none; else who is found",
    )
    it.add_argument("--name", default="", help="what the box calls this node; else the host's name")
    source = it.add_mutually_exclusive_group()
    source.add_argument("--device", default="", help="part of an input's name; else the default")
    source.add_argument("--stdin", action="store_true", help="raw PCM, as from arecord -t raw")
    source.add_argument("--file", default="", help="a sound file, in real time (needs soundfile)")
    source.add_argument("--tone", type=float, default=0.0, metavar="HZ", help="a sine, for tests")
    it.add_argument("--host-api", default="", help="part of its name: ALSA, JACK")
    it.add_argument("--rate", type=int, default=48_000, metavar="HZ")
    it.add_argument("--channels", type=int, default=2)
    it.add_argument(
        "--format", choices=("f32le", "s16le", "s32le"), default="s16le", help="of --stdin"
    )
    it.add_argument("--loop", action="store_true", help="--file again and again")
    it.add_argument("--encoding", choices=tuple(ENCODINGS), default="s24", help="on the wire")
    it.add_argument("--block", type=int, default=BLOCK, help="samples in a datagram, at most")
    it.add_argument(
        "--redundancy", type=int, default=1, metavar="N", help="earlier blocks in each datagram"
    )
    it.add_argument(
        "--transport", choices=("udp", "tcp"), default="udp", help="tcp for wires and the internet"
    )
    it.add_argument("--keys", default="", metavar="DIR", help="of stemd keys; else the usual one")
    it.add_argument("--key", default="", help="the box's public key; else the one trusted for HOST")
    it.add_argument("--show-key", action="store_true", help="say our public key and leave")
    it.add_argument("--insecure", action="store_true", help="no keys, no encryption")
    it.add_argument("--status", default=STATUS, metavar="HOST:PORT", help="HTTP; `off` for none")
    it.add_argument("-v", "--verbose", action="store_true")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run to the end; the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="stemd send: %(message)s",
        stream=sys.stderr,
    )
    try:
        return _run(options)
    except StemdError as error:
        sys.stderr.write(f"stemd: {error}\n")
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    if options.show_key:
        sys.stdout.write(f"{_store(options).own().public}\n")
        return EXIT_OK
    host, port = _box(options.box) if options.box else _find(options)
    hello = _hello(options)
    keys = None if options.insecure else _keys(options, host)
    if keys is None and not is_loopback(host):
        log.warning("INSECURE: without keys everybody on the way can listen, and send in our name")
    status = None
    if options.status != "off":
        status = split_endpoint(options.status, "--status")
    source = _source(options, hello)
    try:
        source.open()
    except DeviceError as error:
        _again(error)
    os.environ.pop(TRIED, None)
    # The callback must not wait for us longer than it has to.
    sys.setswitchinterval(0.0005)
    link = Link(host, port, hello, options.redundancy, keys)
    try:
        node = Node(source, link, status)
    except DeviceError as error:
        if options.status != STATUS:
            raise
        log.warning("%s; going on without", error)  # a second node on one machine
        node = Node(source, link, None)
    died = node.run()
    if died is None:
        sys.stderr.flush()
        os._exit(EXIT_OK)  # PortAudio's own ending hangs on a dead server
    os.environ[TRIED] = "1"
    _again(died)
    return died.exit_code


def _again(error: StemdError) -> None:
    """A device that was there is waited for: in a new process, for PortAudio lists devices once.

    Raises
    ------
    StemdError
        When it was never there.
    """
    if os.environ.get(TRIED) != "1":
        raise error
    log.warning("%s; trying again", error)
    time.sleep(AGAIN_S)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "stemd", *sys.argv[1:]])


def _find(options: argparse.Namespace) -> tuple[str, int]:
    """Address and port of the one box the network tells of; its key becomes `--key`.

    Raises
    ------
    ProtocolError, ConfigError
        When there is none, or more than one, or one whose key is not known here.
    """
    from ..discovery import find_one

    box = find_one()
    port = box.properties.get("send", "")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65_535:
        raise ConfigError(f"{box.name}: got no port for senders, expected a HOST that has one")
    options.key = options.key or _store(options).key_of(print_of=box.key)
    if not options.key and not options.insecure:
        raise ConfigError(
            f"{box.name}: got the key {box.key or 'of nobody'}, which is not known here, expected "
            f"--key KEY (stemd keys show, there); ours is {_store(options).own().public}"
        )
    return box.address, int(port)


def _box(text: str) -> tuple[str, int]:
    if text.count(":") == 1 or (text.startswith("[") and not text.endswith("]")):
        return split_endpoint(text, "HOST:PORT")
    return text.strip("[]"), PORT


def _hello(options: argparse.Namespace) -> Hello:
    name = options.name or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:MAX_NAME]
    for key, value, low, high in (
        ("--channels", options.channels, 1, MAX_CHANNELS),
        ("--redundancy", options.redundancy, 0, MAX_COPIES),
        ("--rate", options.rate, 8_000, 192_000),
        ("--block", options.block, 8, MAX_FRAMES),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{key}: got {value}, expected {low} to {high}")
    if not 1 <= len(name) <= MAX_NAME or not name.isascii():
        raise ConfigError(f"--name: got {name!r}, expected 1 to {MAX_NAME} ASCII characters")
    encoding = ENCODINGS[options.encoding]
    frames = options.block
    if options.transport == "udp":
        frames = largest_block(options.channels, encoding, options.redundancy, options.block)
    if frames < 8:
        raise ConfigError(
            f"--channels: got {options.channels} with redundancy {options.redundancy}, expected "
            "what fits a datagram: --encoding s16, --redundancy 0 or --transport tcp"
        )
    return Hello(name, options.rate, options.channels, frames, encoding, options.transport)


def _store(options: argparse.Namespace) -> KeyStore:
    return KeyStore(Path(options.keys) if options.keys else None)


def _keys(options: argparse.Namespace, host: str) -> Keys | None:
    store = _store(options)
    box = check_key(options.key, "--key") if options.key else store.key_of(host)
    if not box and is_loopback(host):
        return None  # nobody else hears it
    own = store.own()
    if not box:
        raise ConfigError(
            f"--key: got none for {host}, expected the box's (stemd keys show, there); "
            f"ours is {own.public}; or --insecure"
        )
    return Keys(own.public, own.secret, box)


def _source(options: argparse.Namespace, hello: Hello) -> Source:
    kind = "stdin" if options.stdin else "file" if options.file else "device"
    config = SourceConfig(
        kind="tone" if options.tone else kind,  # type: ignore[arg-type]
        device=options.device,
        host_api=options.host_api,
        samplerate=options.rate,
        path=options.file,
        loop=options.loop,
        channels=options.channels,
        encoding=options.format,
        frequency_hz=options.tone or 440.0,
    )
    # Waking up costs a small machine more than what is to be done then.
    channels, frames = hello.channels, max(hello.frames, PERIOD)
    try:
        return _made(config, channels, frames)
    except ModuleNotFoundError as error:
        expected = "--stdin, or pip install 'stemd[send]'" if error.name == "pyaudio" else "--stdin"
        raise ConfigError(f"source: got no {error.name} here, expected {expected}") from error


def _made(config: SourceConfig, channels: int, frames: int) -> Source:
    if config.kind == "tone":
        from ..sources.tone import ToneSource

        return ToneSource(config, channels, frames)
    if config.kind == "stdin":
        from ..sources.stdin import StdinSource

        class _Pipe:
            @staticmethod
            def fileno() -> int:
                return 0

        return StdinSource(config, channels, frames, _Pipe)
    if config.kind == "file":
        from ..sources.file import FileSource

        source = FileSource(config, channels, frames)
        rate = source.rate_of(config.path)
        if rate != config.samplerate:
            raise ConfigError(f"--rate: got {config.samplerate}, expected the file's, {rate}")
        return source
    from ..sources.device import DeviceSource

    return DeviceSource(config, channels, frames, STALL_S)
