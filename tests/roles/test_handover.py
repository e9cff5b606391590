"""Another model takes over in the middle of a stream: nothing is lost, nothing jumps."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemd.config import build_config
from stemd.outbox import Outbox
from stemd.processors.catalogue import find_model
from stemd.processors.features import Features
from stemd.processors.mixer import Mixer
from stemd.processors.separator import HopSeparator
from stemd.processors.transplant import transplant
from stemd.ring import Ring
from stemd.roles.handover import give, place_of, take
from stemd.roles.links import Links, Role
from stemd.roles.separate import Pipeline, serve
from stemd.shared import PLACE, PREFIX, text
from stemd.spec import N_FEATURES, N_STEMS, SOURCES, StreamSpec
from stemd.status import Command, State, Status

from ..device.conftest import START_S, Running, running
from ..servers import wait_for

SPEC = StreamSpec.of("live", 48_000)


class Constant:
    """A model that gives each stem a share of everything."""

    complex_masks = False

    def __init__(self, *shares: float) -> None:
        self._masks = np.zeros((1, N_STEMS, 2, SPEC.n_bins), np.float32)
        self._masks[0] = np.array(shares, np.float32)[:, None, None]

    def process(self, spectra: Any, deadline: float | None = None) -> Any:
        return self._masks

    def reset(self, slot: int | None = None) -> None:
        pass


class Line:
    """What is carried from one separator to the next, and what comes out of it."""

    def __init__(self, model: Any) -> None:
        self.parts = (HopSeparator(SPEC, model), Mixer(SPEC), Features(SPEC))

    def hop(self, samples: Any) -> list[Any]:
        separator, mixer, features = self.parts
        stems = np.zeros((1, N_STEMS, 2, SPEC.hop_length), np.float32)
        mix = np.zeros((1, 2, SPEC.hop_length), np.float32)
        rows = np.zeros((1, len(SOURCES), N_FEATURES), np.float32)
        separator.process(samples, stems, mix)
        features.process(separator, mix, stems, rows)
        mixer.process(stems)
        return [stems, mix, rows]


def music(n: int) -> list[Any]:
    """Hops of decaying bursts over a hum: there are onsets, notes and a beat in it."""
    t = np.arange(n * SPEC.hop_length)
    noise = np.random.default_rng(7).standard_normal(len(t)) * np.exp(-(t % 24_000) / 2_000)
    tone = 0.3 * np.sin(2 * np.pi * 110 * t / 48_000)
    audio = (0.2 * noise + tone).astype(np.float32)
    return [np.stack([h, h])[None] for h in audio.reshape(n, SPEC.hop_length)]


def test_a_transplanted_line_goes_on_bit_by_bit() -> None:
    model = Constant(0.4, 0.3, 0.2, 0.1)
    old, new = Line(model), Line(model)
    old.parts[1].set_gain(2, 0.5, 0)
    given = music(900)
    for hop in given[:700]:
        old.hop(hop)
    for hop in given[100:150]:  # the new one has heard something else before
        new.hop(hop)
    for source, target in zip(old.parts, new.parts, strict=True):
        source.model = None  # as it travels
        transplant(pickle.loads(pickle.dumps(source)), target)
    old.parts[0].model = new.parts[0].model = model
    for hop in given[700:]:
        for mine, theirs in zip(old.hop(hop), new.hop(hop), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_masks_of_two_models_are_cross_faded() -> None:
    separator = HopSeparator(SPEC, Constant(0.8, 0.1, 0.1, 0.0))
    hop = np.full((1, 2, SPEC.hop_length), 0.5, np.float32)
    stems = np.zeros((1, N_STEMS, 2, SPEC.hop_length), np.float32)
    mix = np.zeros((1, 2, SPEC.hop_length), np.float32)
    heard = []
    for k in range(60):
        if k == 30:
            separator.cross_fade()
            separator.model = Constant(0.2, 0.1, 0.1, 0.6)
        separator.process(hop, stems, mix)
        np.testing.assert_allclose(stems.sum(axis=1), mix, atol=1e-6)
        heard.append(stems[0, 0, 0].copy())
    vocals = np.concatenate(heard[20:]) / 0.5
    assert vocals[0] == pytest.approx(0.8, abs=1e-3)
    assert vocals[-1] == pytest.approx(0.2, abs=1e-3)
    # 40 ms long: at no sample steeper than a raised cosine of that length, with its steps smoothed.
    assert np.abs(np.diff(vocals)).max() < 3 * 0.6 / (0.04 * 48_000)


class Box:
    """What pipelines share in a box of two feeds, the first of which a sender has taken."""

    def __init__(self) -> None:
        table = {"source": {"kind": "network"}, "feed": [{"name": "main"}, {"name": "second"}]}
        config = build_config(table)
        self.spec = config.spec
        self.status = Status.create(2)
        self.ring = Ring.create(4 * self.spec.samplerate, 4)
        self.outbox = Outbox.create(2, self.spec.hop_length, self.spec.samplerate)
        self.tap: Any = self.outbox.reader("memory")
        wake = {name: threading.Semaphore(0) for name in ("separate", "publish", "play", "record")}
        handles = (self.status.handle, self.ring.handle, self.outbox.handle)
        self.links = Links(config, self.spec, *handles, wake)
        self.status.network["admissions"][0] = 1

    def heard(self, pipeline: Pipeline, audio: Any) -> list[Any]:
        """The first feed's mix, hop by hop, of (n, c) samples that come in."""
        heard = []
        for block in audio.reshape(-1, self.spec.hop_length, 2):
            now_ns = time.monotonic_ns()
            self.ring.write(np.hstack([block, np.zeros_like(block)]), math.nan, now_ns, now_ns)
            assert pipeline.step(now_ns)
            assert self.tap.read()
            heard.append(self.tap.hop["mix"][0].copy())
        return heard

    def close(self) -> None:
        self.tap = None
        for one in (self.outbox, self.ring, self.status):
            one.close()


@pytest.fixture
def box() -> Iterator[Box]:
    handlers = [(n, signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)]
    one = Box()
    yield one
    one.close()
    for number, handler in handlers:  # a role ignores them
        signal.signal(number, handler)


def test_who_sends_over_the_network_is_handed_over_with_the_rest(box: Box, tmp_path: Path) -> None:
    links, status, spec = box.links, box.status, box.spec
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (300 * spec.hop_length, 2))
    audio = noise.astype(np.float32)
    before, after = np.split(audio, [250 * spec.hop_length])
    old = Pipeline(links, Role("separate", status))
    old.listen_to(links)
    heard = box.heard(old, before)
    new = Pipeline(links, Role("spare", status))
    new.hear_the_past()
    # Of who is there the model knows what is playing, of nobody nothing.
    assert new.separator.model.export_state(0) != new.separator.model.export_state(1)
    new.listen_to(links, anew=False)
    give(old, tmp_path / "state")
    old.close()
    take(new, tmp_path / "state")
    status.separate["fits"] = -1  # with the old model
    new.take_over(Role("separate", status))
    assert status.separate["fits"] == status.spare["fits"] >= 0
    heard += box.heard(new, after)
    new.close()
    delay = spec.latency - spec.hop_length
    mix = np.concatenate(heard, axis=-1)
    np.testing.assert_array_equal(mix[:, delay:], audio[:-delay].T)


def test_who_is_behind_all_the_time_hands_over_too(box: Box) -> None:
    """A model that is too slow is what one changes for a lighter one."""
    status, role = box.status, Role("separate", box.status)
    old = Pipeline(box.links, role)
    old.listen_to(box.links)
    hops = iter(range(1000))
    behind: Any = old
    behind.step = lambda now_ns: next(hops) >= 0  # always one more, and no end
    status.separate["hand_over"] = b"token"
    status.daemon["pid"] = os.getpid()
    serve(old, role, box.links)
    state = place_of(os.getpid(), "token")
    assert state.exists()
    state.unlink()


def test_senders_that_come_at_the_same_moment_all_begin_anew(box: Box) -> None:
    pipeline = Pipeline(box.links, Role("separate", box.status))
    pipeline.listen_to(box.links)
    admissions, reset = box.status.network["admissions"], pipeline.separator.reset
    begun: list[int | None] = []

    def slowly(feed: int | None = None) -> None:
        begun.append(feed)
        admissions[1] |= 1  # meanwhile
        reset(feed)

    pipeline.separator.reset = slowly  # type: ignore[method-assign]
    pipeline._attend()
    pipeline._attend()
    assert begun == [0, 1]
    del pipeline.separator.reset  # in a circle it would hold the memory
    pipeline.close()


def another_model(folder: Path) -> Path:
    """The released model under another name."""
    path = find_model("default", "live")
    for suffix in (".onnx", ".json"):
        shutil.copy(path.with_suffix(suffix), folder / f"twin_live{suffix}")
    card = json.loads((folder / "twin_live.json").read_text())
    (folder / "twin_live.json").write_text(json.dumps({**card, "name": "twin_live"}))
    return folder / "twin_live.onnx"


def broken_model(folder: Path) -> Path:
    """A model whose card is in order, and that does not load."""
    path = another_model(folder)
    path.write_bytes(b"not a model")
    card = json.loads(path.with_suffix(".json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({**card, "sha256": digest}))
    return path


def choose(it: Running, model: Path | str) -> None:
    """A client chooses a model, behind the door where it may only name those of the folder."""
    command = it.status.command
    command["what"] = Command.MODEL
    Status.set_text(command, "argument", str(model))
    command["asked"] += 1
    it.until(lambda: command["done"] == command["asked"], START_S, "an answer")
    assert command["ok"], text(command["text"])


def swap(it: Running, model: str) -> Any:
    """Load `model` into a running daemon; the hops until it plays."""
    it.daemon._overrides = (*it.daemon._overrides, f'model.name="{model}"')
    ok, said = it.daemon.reload()
    assert ok, said
    collected = []
    pid = int(it.status.separate["pid"])

    def took_over() -> bool:
        collected.append(it.collect(0.1).hops)
        return int(it.status.separate["pid"]) != pid

    wait_for(took_over, 280.0, "the new model")  # it loads at ordinary priority
    collected.append(it.collect(0.5).hops)
    return collected


def test_a_model_is_swapped_in_a_running_daemon_and_no_hop_is_lost(tmp_path: Path) -> None:
    with running("source.kind=demo") as it:
        it.collect(0.5)
        session, publish = int(it.status.daemon["session"]), int(it.status.publish["pid"])
        first = int(it.status.separate["hops"])
        counted = it.status.snapshot()["separate"]
        swap(it, str(another_model(tmp_path)))
        after = it.status.snapshot()["separate"]
        assert after["model"] == "twin_live"
        assert after["hops"] > first
        for count in ("lost_input", "overruns", "concealed", "discontinuities"):
            assert after[count] == counted[count], count
        hops = it.collect(0.5).hops
        assert (np.diff(hops["seq"]) == 1).all()
        assert (np.diff(hops["sample_pos"]) == SPEC.hop_length).all()
        # Every hop that was made stands where the clock says: none is missing since the start.
        assert hops["sample_pos"][-1] == (hops["seq"][-1] + 1) * SPEC.hop_length
        np.testing.assert_allclose(hops["stems"][:, 0].sum(axis=1), hops["mix"][:, 0], atol=1e-6)
        assert int(it.status.daemon["session"]) == session
        assert int(it.status.publish["pid"]) == publish
        assert int(it.status.daemon["restarts"].sum()) == 0
        assert it.status.state is State.RUNNING
        if PLACE.is_dir():
            assert not [p for p in PLACE.glob(f"{PREFIX}{os.getpid()}-*") if p.suffix == ".part"]


def test_a_model_that_does_not_load_is_forgotten(tmp_path: Path) -> None:
    kept = tmp_path / "state.json"

    def chosen() -> Any:
        return kept.exists() and json.loads(kept.read_bytes())["overrides"]

    with running("source.kind=demo", f'state.file="{kept}"') as it:
        it.until(lambda: chosen() == [], START_S, "the state file")
        before = it.daemon.config
        plays, pid = it.status.separate["model"], int(it.status.separate["pid"])
        choose(it, broken_model(tmp_path))
        assert it.daemon._spare is not None
        it.until(lambda: it.daemon._spare is None, START_S, "the end of the attempt")
        it.collect(1.2)  # the state file is written once a second
        assert chosen() == []
        assert it.daemon.config == before
        assert it.daemon.reload() == (True, "nothing changed")
        assert it.daemon._spare is None
        # What is started again is what played.
        os.kill(pid, signal.SIGKILL)
        hops = int(it.status.separate["hops"])
        it.until(lambda: int(it.status.separate["hops"]) > hops + 20, START_S, "hops again")
        assert int(it.status.separate["pid"]) != pid
        assert it.status.separate["model"] == plays
        # The same name may mean a better file by now.
        model = another_model(tmp_path)
        choose(it, model)
        it.until(lambda: text(it.status.separate["model"]) == "twin_live", START_S, "the new one")
        it.until(chosen, START_S, "what was chosen")
        assert chosen() == [f'model.name="{model}"']
        assert it.daemon.reload() == (True, "nothing changed")


@pytest.mark.slow
def test_a_file_that_names_a_model_that_does_not_load_is_tried_again_when_reloaded(
    tmp_path: Path,
) -> None:
    with running("source.kind=demo") as it:
        model = broken_model(tmp_path)
        it.daemon._overrides = (*it.daemon._overrides, f'model.name="{model}"')
        assert it.daemon.reload() == (True, "reloaded: model")
        assert it.daemon.reload() == (True, "nothing changed")  # it is at it
        it.until(lambda: it.daemon._spare is None, START_S, "the end of the attempt")
        another_model(tmp_path)
        assert it.daemon.reload() == (True, "reloaded: model")
        it.until(lambda: text(it.status.separate["model"]) == "twin_live", START_S, "the new one")


def test_a_swap_that_is_called_off_or_dies_leaves_the_old_model_playing(tmp_path: Path) -> None:
    """The old one is wanted back; the one that loads dies; the one that plays dies meanwhile."""
    model = another_model(tmp_path)
    with running("source.kind=demo") as it:
        before, plays = it.daemon.config, it.status.separate["model"]
        pid = int(it.status.separate["pid"])
        choose(it, model)
        assert it.daemon._spare is not None
        choose(it, "default")
        assert it.daemon._spare is None
        assert it.daemon.config.model == before.model
        it.collect(0.3)
        assert int(it.status.separate["pid"]) == pid

        it.status.spare["pid"] = 0  # of the one that was called off
        choose(it, model)
        it.until(lambda: int(it.status.spare["pid"]), START_S, "the spare process")
        os.kill(int(it.status.spare["pid"]), signal.SIGKILL)
        it.until(lambda: it.daemon._spare is None, START_S, "the end of the attempt")
        hops = it.collect(0.5).hops
        assert int(it.status.separate["pid"]) == pid
        assert (np.diff(hops["seq"]) == 1).all()
        assert it.status.state is State.RUNNING

        choose(it, model)
        os.kill(pid, signal.SIGKILL)
        it.until(lambda: int(it.status.separate["pid"]) != pid, START_S, "a new separator")
        it.until_sound(START_S)
        assert it.status.separate["model"] == plays
        assert it.daemon.config == before


def give_the_order(it: Running, model: Path) -> None:
    """Choose a model, and look away from when it is told to take over until it has."""
    choose(it, model)

    def ordered() -> Any:
        assert it.daemon._supervise()  # one look at a time: the next one sees that it has
        return it.daemon._spare is None or it.daemon._spare.handing_s

    wait_for(ordered, 280.0, "the order")
    assert it.daemon._spare is not None
    wait_for(lambda: it.status.spare["took"], START_S, "the new separator")


def test_the_order_to_hand_over_is_given_once(tmp_path: Path) -> None:
    """The one that takes over clears it a moment before it says that it has taken over."""
    with running("source.kind=demo") as it:
        give_the_order(it, another_model(tmp_path))
        it.status.spare["took"] = 0
        it.daemon._swap(time.monotonic())
        assert text(it.status.separate["hand_over"]) == ""
        it.status.spare["took"] = 1
        it.until(lambda: it.daemon._spare is None, START_S, "the end of the swap")
        it.collect(0.3)
        assert int(it.status.daemon["restarts"].sum()) == 0


@pytest.mark.slow
def test_another_model_chosen_just_after_the_handover_finds_a_separator(tmp_path: Path) -> None:
    with running("source.kind=demo") as it:
        plays = it.daemon.config.model
        give_the_order(it, another_model(tmp_path))
        playing = it.daemon._spare.process
        it.daemon._begin_swap(plays)
        assert it.daemon._children["separate"].process is playing
        assert playing.is_alive()
        released = find_model("default", "live").stem
        it.until(lambda: text(it.status.separate["model"]) == released, 280.0, "the third one")
        assert int(it.status.daemon["restarts"].sum()) == 0


@pytest.mark.slow
def test_a_separator_that_handed_over_to_nobody_is_started_again(tmp_path: Path) -> None:
    with running("source.kind=demo") as it:
        plays = text(it.status.separate["model"])
        give_the_order(it, another_model(tmp_path))
        it.daemon._spare.kill()
        it.status.spare["took"] = 0  # it fell between taking the state and saying so
        pid = int(it.status.separate["pid"])
        it.until(lambda: int(it.status.separate["pid"]) != pid, START_S, "a new separator")
        it.until_sound(START_S)
        assert text(it.status.separate["model"]) == plays
        assert it.daemon._spare is None
