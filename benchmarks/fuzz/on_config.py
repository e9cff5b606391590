"""Configuration: TOML of any kind, tables built of known keys and odd values, and `--set`.

What is accepted must also be usable: every property of it, its knobs, its JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stemd.config import Config, build_config, load_config, split_endpoint
from stemd.errors import ConfigError
from stemd.roles.scene import settings_of
from stemd.wire.control import check_value

from .taker import Taker, check_sentence

ROOT = Path(__file__).resolve().parents[2]
MAX_ENTRIES = 12


class Target:
    """See `surfaces.Target`; the first byte: a file, a table, or overrides."""

    words = (
        *(f"\n{f.name}".encode() for f in dataclasses.fields(Config)),
        b"[[feed]]", b"[[mapping]]", b"[preset.verse]", b"'''", b'"""', b"0x", b"= [", b"= {",
        b"1979-05-27T07:32:00Z", b"nan", b"-inf", b"\\U0010FFFF", b"tcp://", b"ipc://", b"~nobody/",
    )  # fmt: skip

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stemd-fuzz-")
        self._file = Path(self._folder.name) / "fuzz.toml"
        self._shapes = {name: _fields(hint) for name, hint in _hints(Config).items()}
        self._keys = [f"{s}.{k}" for s, keys in self._shapes.items() for k in keys or ("",)]

    def __call__(self, data: bytes) -> None:
        taker = Taker(data)
        kind = taker.byte() % 4
        try:
            if kind == 0:
                self._file.write_bytes(taker.rest())
                config = load_config(self._file)
            elif kind == 1:
                config = load_config(None, taker.rest().decode("utf-8", "replace").split("\x1e"))
            elif kind == 2:
                config = build_config(self._table(taker))
            else:
                config = load_config(None, self._overrides(taker))
        except ConfigError as error:
            check_sentence(str(error), 2000)
            return
        use(config)

    def seeds(self) -> Sequence[bytes]:
        """Every configuration we ship, and those that are broken on purpose."""
        files = sorted((ROOT / "configs").rglob("*.toml"))
        whole = [b"\0" + path.read_bytes()[:4000] for path in files]
        lines = [
            b"\1osc.rate_hz=30\x1efeed.channels=[3,4]\x1esource.kind=file\x1esource.path=a.wav"
        ]
        return whole + lines + [bytes([2, n, *range(40)]) for n in range(0, 250, 25)]

    def close(self) -> None:
        """Give the folder back."""
        self._folder.cleanup()

    def _table(self, taker: Taker) -> dict[str, Any]:
        table: dict[str, Any] = {}
        names = [*self._shapes]
        for _ in taker.turns(MAX_ENTRIES):
            name = taker.pick(names)
            fields = self._shapes[name]
            if fields is None:
                table[name] = _value(taker, Config, name)
            elif name in ("feed", "mapping"):
                rows = table.setdefault(name, [])
                if isinstance(rows, list):
                    if not rows or taker.chance(3):
                        rows.append({})
                    self._put(taker, rows[-1], name)
            elif name == "preset":
                self._put(taker, table.setdefault(name, {}).setdefault(taker.text(), {}), "mixer")
            else:
                self._put(taker, table.setdefault(name, {}), name)
        return table

    def _put(self, taker: Taker, inner: dict[str, Any], section: str) -> None:
        fields = self._shapes[section]
        assert fields is not None
        key = taker.pick([*fields])
        inner[key] = _value(taker, fields[key][0], key)

    def _overrides(self, taker: Taker) -> list[str]:
        lines = []
        for _ in taker.turns(MAX_ENTRIES):
            value = taker.value()
            with contextlib.suppress(ValueError):  # no integers of more than 4300 digits
                said = value if isinstance(value, str) else json.dumps(value)
                lines.append(f"{taker.pick(self._keys)}={said}")
        return lines


def use(config: Config) -> None:
    """Everything the daemon reads of a configuration it was given."""
    for name, kind in vars(Config).items():
        if isinstance(kind, property):
            getattr(config, name)
    json.dumps(config.to_dict())
    for mixer in (config.mixer, *config.preset.values()):
        for setting in settings_of(mixer, len(config.feed)):
            check_value(setting.name, setting.value)
    for target in (*config.osc.targets, *config.osc.text_targets):
        split_endpoint(target)
    assert config.output.channel_pairs
    assert config.security.folder is None or str(config.security.folder)


def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fields(hint: Any) -> dict[str, tuple[Any, Any]] | None:
    """Keys of a section, with the class they are in; None where it is a plain value."""
    arguments = [a for a in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(a)]
    if not arguments:
        return None
    return {f.name: (arguments[0], f) for f in dataclasses.fields(arguments[0])}


def _value(taker: Taker, cls: Any, key: str) -> Any:
    """Something that may be meant, or anything."""
    if taker.chance(3):
        return taker.value()
    hint = _hints(cls)[key]
    field = next(f for f in dataclasses.fields(cls) if f.name == key)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    low, high = field.metadata.get("between", (-1e3, 1e3))
    if "choices" in field.metadata:
        one = taker.pick(field.metadata["choices"])
        return [one] if origin is tuple else one
    if origin is typing.Literal:
        return taker.pick(arguments)
    if dataclasses.is_dataclass(hint):
        names = [f.name for f in dataclasses.fields(hint)]
        return {n: _value(taker, hint, n) for n in names if taker.chance(2)}
    if origin is tuple:
        if arguments[0] is str:
            return [taker.text() for _ in range(taker.byte() % 4)]
        return [taker.whole() if taker.chance(2) else taker.real() for _ in range(taker.byte() % 4)]
    if origin is not None and "keys" in field.metadata:
        names = [n for n in field.metadata["keys"] if taker.chance(2)]
        return {n: low + (high - low) * taker.byte() / 255 for n in names}
    if hint is bool:
        return taker.chance(2)
    if hint is int:
        return round(low + (high - low) * taker.byte() / 255)
    if hint is float:
        return low + (high - low) * taker.byte() / 255
    return taker.text()
