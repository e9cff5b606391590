"""Files somebody else may have written: sound, models, state, keys, discovery, takes.

ONNX Runtime is C++ and comes last: a graph reaches it only with a card that fits, hash and all.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stemd import keys
from stemd.config import SourceConfig, load_config
from stemd.errors import ConfigError, DeviceError, ModelError
from stemd.keeper import Keeper
from stemd.processors.inspection import Inspection, inspect
from stemd.processors.modelcard import check_digest, check_stream, load_card, profile_of, read_card
from stemd.sinks.exports import EVENTS, TAKE
from stemd.sinks.recorder import finish_take, unfinished
from stemd.sources.file import FileSource
from stemd.spec import StreamSpec
from stemd.status import Status
from stemd.wire.insert import find_endpoint, find_key
from stemd.wire.plugin import discovery_file
from tests.processors.support import write_model

from .taker import Taker, as_json, check_sentence, deep

MAX_BLOCKS = 64
SPEC = StreamSpec.of("classic", 48_000)  # of the smallest cards
FEEDS = ("main", "two")
GRAPH_ONE_IN = 4  # of the inputs for models reach ONNX Runtime: it is slow


class Target:
    """See `surfaces.Target`; the first byte says which kind of file the rest is."""

    words = (
        b"RIFF", b"WAVE", b"fmt ", b"data", b"fLaC", b"OggS", b"FORM", b"AIFF", b".snd", b"ID3",
        b'"version"', b'"overrides"', b'"knobs"', b'"preset"', b'"sha256"', b'"states"', b'"shape"',
        b'"selftest"', b'"masks"', b"NaN", b"Infinity", b"1e999", b'"\\ud800"', b"roles=",
        b'"plugin"', b'"curve"', b'"t"', b'"kind"', b'"value"', b'"note"', b'"kick"',
    )  # fmt: skip

    def __init__(self) -> None:
        logging.getLogger("stemd").setLevel(logging.CRITICAL)
        self._folder = tempfile.TemporaryDirectory(prefix="stemd-fuzz-")
        self._path = Path(self._folder.name)
        (self._path / "keys").mkdir(mode=0o700)
        (self._path / "stemd").mkdir(mode=0o700)
        (self._path / "takes" / "one").mkdir(parents=True)
        self._runtime = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = str(self._path)
        self._status = Status.create(len(FEEDS))
        self._model = write_model(self._path, SPEC)
        self._graph = self._model.read_bytes()
        self._card = json.loads(self._model.with_suffix(".json").read_text("utf-8"))
        self._kinds = (
            self._sound,
            self._sound,
            self._card_text,
            self._card_changed,
            self._state,
            self._state_changed,
            self._pair,
            self._list,
            self._discovery,
            self._take,
            self._take_changed,
            self._graph_changed,
        )

    def __call__(self, data: bytes) -> None:
        taker = Taker(data)
        self._kinds[taker.byte() % len(self._kinds)](taker)

    def seeds(self) -> Sequence[bytes]:
        """A file of each kind."""
        found = [b"\0" + bytes([n]) + _sound(n, form) for n, form in enumerate(SOUNDS)]
        card = json.dumps({**self._card, "selftest": {"frames": 8, "masks": [0.5]}})
        take = json.dumps(
            {"feeds": ["main"], "samplerate": 48_000, "tracks": ["vocals"], "parts": [0],
             "format": "wav", "finished": False}
        )  # fmt: skip
        notes = '{"t":0.1,"feed":"main","source":"vocals","kind":"note","value":60,"velocity":0.5}'
        state = {
            "version": 1,
            "overrides": ["profile=tight", 'model.name="x"'],
            "preset": "verse",
            "knobs": {"gain": {"main": {"vocals": 0.5}}, "tempo_lock": {"two": {"": 1}}},
        }
        pair = keys.make_pair()
        lines = f"{pair.public} roles=send,listen me\n# no\n{pair.public} you\n"
        return [
            *found,
            b"\2" + card.encode(),
            bytes([3, 0]),
            bytes([3, *range(100, 200)]),
            b"\4" + json.dumps(state).encode(),
            b"\4" + f'{{"version": 1, "knobs": {deep(900)}}}'.encode(),
            bytes([5, *range(50, 250)]),
            b"\6" + f"{pair.public}\n{pair.secret}\n".encode(),
            b"\7" + lines.encode(),
            b"\x08" + json.dumps({"plugin": "ipc:///x", "curve": pair.public}).encode(),
            b"\x09" + f"{take}\x1e{notes}\n".encode(),
            bytes([10, *range(60, 250)]),
            bytes([11, 1, 2, 3]),
        ]

    def close(self) -> None:
        """Give everything back."""
        if self._runtime is None:
            os.environ.pop("XDG_RUNTIME_DIR", None)
        else:
            os.environ["XDG_RUNTIME_DIR"] = self._runtime
        self._status.close()
        self._folder.cleanup()

    # -- sound ----------------------------------------------------------------------------------

    def _sound(self, taker: Taker) -> None:
        how = taker.byte()
        path = self._path / f"in.{('wav', 'raw', 'flac', 'ogg')[how // 8 % 4]}"
        path.write_bytes(taker.rest())
        config = SourceConfig(kind="file", path=str(path), pace="fast", loop=how % 2 == 1)
        source = FileSource(config, 1 + how // 2 % 3, 512)
        writer = _Ear()
        try:
            source.open()
            source.run(writer, lambda: writer.blocks >= MAX_BLOCKS)
        except DeviceError as error:
            check_sentence(str(error))
        finally:
            source.close()

    # -- models ---------------------------------------------------------------------------------

    def _card_text(self, taker: Taker) -> None:
        self._examine(taker.rest(), self._graph, False)

    def _card_changed(self, taker: Taker) -> None:
        fits = taker.byte() % 2 == 1
        card = taker.changed(self._card)
        if fits and isinstance(card, dict):
            card["sha256"] = self._card["sha256"]
        self._examine(as_json(card), self._graph, fits and taker.chance(GRAPH_ONE_IN))

    def _graph_changed(self, taker: Taker) -> None:
        graph = bytearray(self._graph)
        for _ in range(1 + taker.byte() % 8):
            # Where sizes, names and operators stand: at both ends of the file.
            at = taker.number(2) % min(len(graph), 8192)
            graph[at if taker.chance(2) else -1 - at] = taker.byte()
        if taker.chance(8):
            del graph[taker.number(3) :]
        card = {**self._card, "sha256": hashlib.sha256(graph).hexdigest()}
        self._examine(as_json(card), bytes(graph), taker.byte() % GRAPH_ONE_IN == 0)

    def _examine(self, card: bytes, graph: bytes, run: bool) -> None:
        path = self._path / f"{self._model.stem}.onnx"
        path.write_bytes(graph)
        path.with_suffix(".json").write_bytes(card)
        with contextlib.suppress(ModelError):
            read_card(path, SPEC)
        try:
            found = load_card(path)
            profile_of(path, found)
            check_stream(path, found, SPEC)
            check_digest(path, found)
        except ModelError as error:
            check_sentence(str(error))
        checks = Inspection(path, "cpu").checks()
        with contextlib.suppress(ModelError):
            checks["card"]()
            checks["sha256"]()
        if run:
            for check in inspect(path, "cpu"):
                if not check.ok:
                    assert check.found

    # -- state, keys, discovery -----------------------------------------------------------------

    def _state(self, taker: Taker) -> None:
        self._restore(taker.rest())

    def _state_changed(self, taker: Taker) -> None:
        knobs = {
            name: {feed: {"vocals": taker.value(), "mix": taker.real(), "": taker.whole()}
                   for feed in FEEDS}
            for name in ("gain", "mute", "onset_threshold", "drum_threshold", "tempo_lock")
        }  # fmt: skip
        state = {"version": 1, "overrides": taker.value(), "preset": taker.value(), "knobs": knobs}
        self._restore(as_json(taker.changed(state)))

    def _restore(self, data: bytes) -> None:
        path = self._path / "state.json"
        path.write_bytes(data)
        keeper = Keeper(str(path))
        keeper.restore(self._status, FEEDS)
        overrides = keeper.overrides()
        try:
            load_config(None, overrides)
        except ConfigError as error:
            check_sentence(str(error), 4000)
        for name in ("gain", "onset_threshold", "tempo_low_bpm"):
            assert np.isfinite(np.asarray(self._status.mixer[name])).all()

    def _pair(self, taker: Taker) -> None:
        path = self._path / "keys" / keys.SERVER_FILE
        path.write_bytes(taker.rest())
        path.chmod(0o600)
        try:
            pair = keys.KeyStore(path.parent).server()
            assert keys.is_key(pair.public)
            assert keys.fingerprint(pair.public)
        except ConfigError as error:
            check_sentence(str(error))

    def _list(self, taker: Taker) -> None:
        data = taker.rest()
        for name in (keys.CLIENTS_FILE, keys.DAEMONS_FILE):
            (self._path / "keys" / name).write_bytes(data)
        store = keys.KeyStore(self._path / "keys")
        for entry in (*store.clients().values(), *store.daemons().values()):
            assert keys.is_key(entry.key)
        for line in store.complaints():
            check_sentence(line)
        store.key_of("you")
        store.allows("x", keys.ROLES)

    def _discovery(self, taker: Taker) -> None:
        discovery_file(0).write_bytes(taker.rest())
        assert isinstance(find_endpoint(), str)
        assert isinstance(find_key(), str)

    # -- takes ----------------------------------------------------------------------------------

    def _take(self, taker: Taker) -> None:
        take, _, events = taker.rest().partition(b"\x1e")
        self._finish(take, events)

    def _take_changed(self, taker: Taker) -> None:
        take = {"feeds": ["main", "two"], "samplerate": taker.whole(), "tracks": ["main-vocals"],
                "parts": [0, taker.whole()], "format": "wav", "finished": False}  # fmt: skip
        events = [
            {"t": taker.real(), "feed": taker.text(), "source": taker.pick(("mix", "bass", "x")),
             "kind": taker.pick(("note", "kick", "chord", "?")), "value": taker.real(),
             "velocity": taker.real()}
            for _ in range(taker.byte() % 6)
        ]  # fmt: skip
        lines = b"\n".join(as_json(taker.changed(event)) for event in events)
        self._finish(as_json(taker.changed(take)), lines)

    def _finish(self, take: bytes, events: bytes) -> None:
        folder = self._path / "takes" / "one"
        (folder / TAKE).write_bytes(take)
        (folder / EVENTS).write_bytes(events)
        (folder / "main-vocals.wav").write_bytes(TONE)
        (folder / "vocals.wav").write_bytes(TONE)
        unfinished(str(folder.parent))
        finish_take(folder)


class _Ear:
    """Where a source's blocks go."""

    def __init__(self) -> None:
        self.blocks = 0

    def room(self, n: int) -> bool:
        """There is always."""
        return True

    def write(self, block: Any, *times: Any) -> None:
        """One more."""
        assert block.ndim == 2
        assert block.dtype == np.float32
        self.blocks += 1


SOUNDS = (
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "PCM_24"), ("WAV", "IMA_ADPCM"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"), ("AIFF", "PCM_16"), ("AU", "ULAW"), ("CAF", "PCM_16"), ("W64", "PCM_16"),
    ("RF64", "PCM_16"), ("VOC", "PCM_16"), ("NIST", "PCM_16"), ("RAW", "PCM_16"),
)  # fmt: skip


def _sound(channels: int, form: tuple[str, str]) -> bytes:
    """A short noise."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (600, 1 + channels % 2))
    out = io.BytesIO()
    soundfile.write(out, noise, 48_000, format=form[0], subtype=form[1])
    return out.getvalue()[:3500]


TONE = _sound(1, ("WAV", "PCM_16"))
