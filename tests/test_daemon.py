"""The supervisor with sources that need no sound card: ends, faults, recording, reload."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import stemd.client
from benchmarks.kills import processes_of, shared_of
from stemd.config import load_config
from stemd.daemon import Daemon, _Child
from stemd.desk import Desk
from stemd.errors import EXIT_FORCED, EXIT_MODEL, EXIT_OK
from stemd.ring import Ring
from stemd.shared import SEMAPHORE, sweep, text
from stemd.spec import FEATURES, PROFILES, SOURCES, STEMS
from stemd.status import State, Status
from stemd.wire.control import Setting

from .device.conftest import START_S, Running, port_overrides, running
from .servers import wait_for

SRC = ["source.kind=tone", "source.frequency_hz=330"]


def write_noise(path: Path, n: int, samplerate: int = 48_000) -> np.ndarray[Any, Any]:
    """A stereo float file; returns (c, n)."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (n, 2)).astype(np.float32)
    soundfile.write(path, noise, samplerate, subtype="FLOAT")
    return noise.T


@pytest.mark.parametrize(
    "profile",
    [
        # at `live` always; at the others the separator's own tests tell the latency
        pytest.param(name, marks=[] if name == "live" else pytest.mark.slow)
        for name in PROFILES
    ],
)
def test_an_impulse_arrives_exactly_the_published_number_of_samples_later(
    profile: str, tmp_path: Path
) -> None:
    """Through file source, ring, separator, outbox and ZeroMQ into a client."""
    at = 48_000 + 777
    signal_in = np.zeros((2 * 48_000, 2), np.float32)
    signal_in[at] = 0.5
    path = tmp_path / "impulse.wav"
    soundfile.write(path, signal_in, 48_000, subtype="FLOAT")
    ports, control = port_overrides()
    settings = [*ports, "source.kind=file", f'source.path="{path}"', f"profile={profile}"]
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    try:
        wait_for(
            lambda: daemon.poll(0.01) and int(daemon.status.publish["ready"]), START_S, "publish"
        )
        with stemd.client.connect(control_port=control, mix=True, budget_s=5.0) as client:
            found = {}
            latency = client.latency
            deadline = time.monotonic() + START_S
            while "mix" not in found and time.monotonic() < deadline:
                daemon.poll(0.0)
                block = client.read_block(timeout_s=0.1)
                if block is None:
                    continue
                for name, audio in (("mix", block.mix), ("sum", block.stems.sum(axis=0))):
                    assert audio is not None
                    peaks = np.flatnonzero(np.abs(audio[0]) > 0.4)
                    if len(peaks):
                        found[name] = block.sample_pos + int(peaks[0])
    finally:
        daemon.stop()
    assert latency == 2 * PROFILES[profile].hop_length
    assert found == {"mix": at + latency, "sum": at + latency}


def test_an_onset_is_known_before_the_audio_that_carries_it(tmp_path: Path) -> None:
    clicks = [100_000, 124_000, 148_000]
    audio = np.zeros((240_000, 2), np.float32)
    for at in clicks:
        audio[at : at + 300] = np.random.default_rng(at).uniform(-0.7, 0.7, (300, 1))
    path = tmp_path / "clicks.wav"
    soundfile.write(path, audio, 48_000, subtype="FLOAT")
    with running("source.kind=file", f'source.path="{path}"') as it:
        hops = it.collect(3.4).hops
    onset, offset = FEATURES.index("onset"), FEATURES.index("onset_offset")
    mix = hops["features"][:, 0, SOURCES.index("mix")]
    declared = np.flatnonzero(mix[:, onset])
    assert len(declared) == len(clicks)
    for record, at in zip(declared, clicks, strict=True):
        # Features describe the newest hop of input: one hop of latency, not two.
        heard_at = hops["sample_pos"][record] - 256 + int(mix[record, offset])
        assert abs(heard_at - at) <= 256
        carries = np.flatnonzero(hops["sample_pos"] <= at + 512)[-1]
        assert np.abs(hops["mix"][carries]).max() > 0.1
        assert not np.abs(hops["mix"][carries - 1]).max() > 0.1
        assert record <= carries - 1


def test_a_file_played_to_its_end_ends_the_daemon_and_loses_nothing(tmp_path: Path) -> None:
    audio = write_noise(tmp_path / "noise.wav", 100_000)
    ports, _ = port_overrides()
    settings = [
        *ports,
        "source.kind=file",
        f'source.path="{tmp_path}/noise.wav"',
        "source.pace=fast",
        "record.enabled=true",
        f'record.directory="{tmp_path}/out"',
    ]
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    end = time.monotonic() + START_S
    while daemon.poll(0.1):
        assert time.monotonic() < end
    daemon.stop()
    assert daemon.exit_code == EXIT_OK
    assert daemon.final["state"] == "STOPPED"
    assert "noise.wav: end" in daemon.final["reason"]
    (directory,) = (tmp_path / "out").iterdir()
    heard = {}
    for name in SOURCES:
        data, rate = soundfile.read(directory / f"{name}.wav", dtype="float32")
        assert rate == 48_000
        heard[name] = data.T
    n = audio.shape[1]
    # The recording starts with the stream; the hop and overlap-add latency minus the hop that
    # `sample_pos` starts at lies before the first sample.
    lag = 256
    np.testing.assert_array_equal(heard["mix"][:, lag : lag + n], audio)
    total = sum(heard[stem][:, lag : lag + n] for stem in STEMS)
    np.testing.assert_allclose(total, audio, atol=1e-6, rtol=0)


def test_a_stream_that_turns_out_to_be_at_44100_hz_offers_no_opus_and_says_why(
    tmp_path: Path,
) -> None:
    write_noise(tmp_path / "noise.wav", 44_100, 44_100)
    source = ["source.kind=file", f'source.path="{tmp_path}/noise.wav"', "source.loop=true"]
    with running(*source, "zeromq.opus_kbps=64") as it:
        assert it.daemon.spec.samplerate == 44_100
        with stemd.client.connect(control_port=it.control_port) as client:
            assert client.info["opus_kbps"] == 0
            assert client.read_block(5.0) is not None
        assert it.status.reason == (
            "zeromq.opus_kbps: got 64 with a stream at 44100 Hz, expected one at 48000 Hz: "
            "no Opus is sent"
        )
        assert it.status.state is State.RUNNING


def test_a_model_at_rest_is_told_and_costs_no_hop(tmp_path: Path) -> None:
    path = tmp_path / "stemd.toml"
    silent = '[source]\nkind = "tone"\nlevel_db = {level}\n[model]\nrest_after_s = {after}\n'
    path.write_text(silent.format(level=-120.0, after=0.2))
    ports, _ = port_overrides()
    daemon = Daemon(load_config(path, ports), config_path=path, overrides=ports)
    daemon.start()
    it = Running(daemon, 0)
    try:
        it.until_state(State.RUNNING, START_S)
        it.until(lambda: int(it.status.separate["rested"]) > 100, 20.0, "rest")
        hops = it.collect(1.0)
        assert set(np.diff(hops.hops["sample_pos"])) == {daemon.spec.hop_length}
        assert it.status.state is State.RUNNING
        assert int(it.status.separate["late"]) == int(it.status.separate["dry"]) == 0
        # Another time of rest is another model section: the next separator takes over, awake.
        path.write_text(silent.format(level=-120.0, after=0.0))
        separate = int(it.status.separate["pid"])
        assert daemon.reload()[0]
        it.until(lambda: int(it.status.separate["pid"]) != separate, START_S, "the next one")
        it.until(lambda: not it.status.separate["resting"], 5.0, "no more rest")
        rested = int(it.status.separate["rested"])
        it.collect(0.5)
        assert int(it.status.separate["rested"]) == rested
        path.write_text(silent.format(level=-120.0, after=0.3))
        assert daemon.reload()[0]
        it.until(lambda: int(it.status.separate["rested"]) > rested, START_S, "rest again")
    finally:
        daemon.stop()


def test_a_killed_publisher_costs_the_audio_nothing() -> None:
    with running(*SRC) as it:
        it.collect(0.2)
        pid = int(it.status.publish["pid"])
        with stemd.client.connect(control_port=it.control_port, budget_s=5.0) as client:
            assert client.read_block(5.0) is not None
            os.kill(pid, signal.SIGKILL)
            sink = it.collect(1.5)
            it.until(
                lambda: int(it.status.publish["pid"]) != pid and it.status.publish["ready"],
                20.0,
                "a new publisher",
            )
            hops = sink.hops

            def newer() -> bool:  # what the old publisher had sent may still wait at the client
                block = client.read_block(0.05)
                return block is not None and block.sample_pos > hops["sample_pos"][-1]

            it.until(newer, 20.0, "blocks after the restart")
        assert (np.diff(hops["seq"]) == 1).all()
        assert (np.diff(hops["sample_pos"]) == 256).all()
        assert int(it.status.daemon["restarts"][0]) == 0  # capture


def test_a_hanging_separator_is_replaced() -> None:
    with running(*SRC) as it:
        pid = int(it.status.separate["pid"])
        os.kill(pid, signal.SIGSTOP)
        hops = int(it.status.separate["hops"])
        it.until(
            lambda: (
                int(it.status.separate["pid"]) != pid
                and int(it.status.separate["hops"]) > hops + 20
            ),
            START_S,
            "hops from a new separator",
        )
        assert it.status.state is State.RUNNING


def test_children_end_when_the_daemon_is_killed() -> None:
    ports, _ = port_overrides()
    command = [sys.executable, "-m", "stemd", "run", "--json"]
    for setting in [*SRC, *ports]:
        command += ["--set", setting]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    for line in daemon.stdout:
        status = json.loads(line)
        if status["state"] == "RUNNING":
            break
    pids = [status[role]["pid"] for role in ("capture", "separate", "publish")]
    daemon.kill()
    daemon.wait()
    wait_for(lambda: not any(map(alive, pids)), 10.0, "the children's end")


@contextlib.contextmanager
def starting() -> Iterator[int]:
    """The process number, and session, of a daemon whose children have just been made."""
    ports, _ = port_overrides()
    command = [sys.executable, "-m", "stemd", "run", "--json"]
    for setting in [*SRC, *ports]:
        command += ["--set", setting]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        # itself, multiprocessing's tracker, three roles
        wait_for(lambda: len(processes_of({daemon.pid})) >= 5, START_S, "children")
        yield daemon.pid
    finally:
        kill_session(daemon.pid)
        daemon.wait()


def kill_session(pid: int) -> None:
    """Stopped first, so that nobody is left to clean up or begin anew."""
    for signum in (signal.SIGSTOP, signal.SIGKILL):
        for one in processes_of({pid}):
            os.kill(one, signum)


@pytest.mark.parametrize("after_s", [0.0, pytest.param(0.3, marks=pytest.mark.slow), 1.0])
def test_children_end_when_the_daemon_is_killed_while_they_start(after_s: float) -> None:
    """They have not looked who their parent is yet."""
    with starting() as pid:
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not processes_of({pid}), START_S, "the children's end")


def test_memory_of_a_daemon_killed_with_all_its_processes_is_swept() -> None:
    with starting() as pid:
        kill_session(pid)
    left = shared_of({pid})
    if not left:
        pytest.skip("shared memory is not shown as files here")
    assert any(name.startswith(SEMAPHORE) for name in left)
    before = set(shared_of({os.getpid()}))  # of other tests
    mine = Ring.create(1000, 2)
    sweep()
    after = set(shared_of({os.getpid()}))
    assert before <= after
    assert len(after - before) == 1  # what lives stays
    mine.close()
    assert not shared_of({pid})


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie nobody reaps does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


# That a second signal forces is also seen in tests/cli/test_run.py.
@pytest.mark.parametrize(
    ("signals", "code"),
    [(1, EXIT_OK), pytest.param(2, EXIT_FORCED, marks=pytest.mark.slow)],
)
def test_signals_end_the_daemon_with_the_documented_code(signals: int, code: int) -> None:
    ports, _ = port_overrides()
    command = [sys.executable, "-m", "stemd", "run", "--json"]
    for setting in [*SRC, *ports]:
        command += ["--set", setting]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert daemon.stdout is not None
    for line in daemon.stdout:
        status = json.loads(line)
        if status["state"] == "RUNNING":
            break
    # The whole group gets it, as from a terminal or a service manager.
    order = signal.SIGINT if signals == 2 else signal.SIGTERM
    if signals == 2:
        # A child that does not end by itself keeps the orderly way busy for the second signal.
        os.kill(status["publish"]["pid"], signal.SIGSTOP)
    os.killpg(daemon.pid, order)
    if signals == 2:
        wait_for(lambda: not alive(status["separate"]["pid"]), 10.0, "the orderly stop's progress")
        time.sleep(0.3)  # what comes at once is the same order again
        daemon.send_signal(signal.SIGINT)
    assert daemon.wait(20) == code
    pids = [status[role]["pid"] for role in ("capture", "separate", "publish")]
    wait_for(lambda: not any(map(alive, pids)), 10.0, "the children's end")


def test_a_model_that_is_refused_fails_with_its_sentence(tmp_path: Path) -> None:
    ports, _ = port_overrides()
    (tmp_path / "wrong.onnx").write_bytes(b"not a model")
    daemon = Daemon(load_config(None, [*ports, *SRC, f'model.name="{tmp_path}/wrong.onnx"']))
    daemon.start()
    end = time.monotonic() + START_S
    while daemon.poll(0.1):
        assert time.monotonic() < end
    assert daemon.status.state is State.FAILED
    assert re.search(r"wrong\.json: got .*expected", daemon.status.reason)
    daemon.stop()
    assert daemon.exit_code == EXIT_MODEL


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of eight megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", str(place)], check=False)


@pytest.mark.parametrize(
    ("keep_free_mb", "sentence"),
    [(0, "got a full disk, expected a place to write"), (4, "[123] MB left, expected 4")],
)
def test_a_full_disk_ends_the_recording_and_nothing_else(
    small_disk: Path, keep_free_mb: int, sentence: str
) -> None:
    record = ["record.enabled=true", f'record.directory="{small_disk}"']
    with running(*SRC, *record, f"record.keep_free_mb={keep_free_mb}") as it:
        it.until(lambda: it.status.record["reason"], 60.0, "the recorder's complaint")
        snapshot = it.status.snapshot()
        assert re.search(sentence, snapshot["record"]["reason"])
        assert snapshot["record"]["recording"] == 0
        hops = it.collect(0.5).hops
        assert (np.diff(hops["seq"]) == 1).all()
        assert it.status.state is State.RUNNING
        assert int(it.status.daemon["restarts"].sum()) == 0
        if keep_free_mb:
            # Files closed while there was room are whole.
            (directory,) = small_disk.iterdir()
            lengths = {soundfile.info(file).frames for file in directory.glob("*.wav")}
            assert len(lengths) == 1
            assert lengths.pop() > 0


def test_reload_changes_what_changed_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "stemd.toml"
    ports, control = port_overrides()
    path.write_text('[source]\nkind = "tone"\n')
    daemon = Daemon(load_config(path, ports), config_path=path, overrides=ports)
    daemon.start()
    try:

        def ask(op: str, condition: Any, **fields: Any) -> Any:
            """A client's request, while the daemon is supervised."""
            with stemd.client.connect(control_port=control, timeout_s=10.0) as client:
                import threading

                answer: list[Any] = []

                def request() -> None:
                    try:
                        answer.append(client.control(op, **fields))
                    except Exception as error:
                        answer.append(error)

                thread = threading.Thread(target=request)
                thread.start()
                wait_for(lambda: daemon.poll(0.01) and answer and condition(), START_S, op)
                thread.join()
            return answer[0]

        wait_for(
            lambda: daemon.poll(0.01) and daemon.status.state is State.RUNNING, START_S, "running"
        )
        separate = int(daemon.status.separate["pid"])
        path.write_text('[source]\nkind = "tone"\n[mixer]\nmute = ["drums"]\n')
        ask("reload", lambda: daemon.status.mixer["mute"][0, 1] == 1)
        assert int(daemon.status.separate["pid"]) == separate
        path.write_text('[source]\nkind = "tune"\n')
        refusal = ask("reload", lambda: True)
        assert "expected one of 'auto', 'device'" in str(refusal)
        assert daemon.status.state is State.RUNNING
        path.write_text('profile = "tight"\n[source]\nkind = "tone"\n')
        ok, sentence = daemon.reload()
        assert ok
        assert "profile" in sentence
        wait_for(
            lambda: daemon.poll(0.01) and daemon.status.state is State.RUNNING, START_S, "running"
        )
        assert int(daemon.status.separate["hop_length"]) == 128
        refusal = ask("model", lambda: True, name="nobody")
        assert "nobody" in str(refusal)
        assert daemon.status.state is State.RUNNING
        ask("profile", lambda: int(daemon.status.separate["hop_length"]) == 512, name="quality")
        # Until the daemon ends, it stands above the file.
        ok, sentence = daemon.reload()
        assert (ok, sentence) == (True, "nothing changed")
    finally:
        daemon.stop()


def test_a_stream_that_starts_anew_is_paused_and_recorded_as_before(tmp_path: Path) -> None:
    path = tmp_path / "stemd.toml"
    content = (
        '[source]\nkind = "tone"\n[record]\nenabled = {enabled}\nat_start = {at_start}\n'
        f'directory = "{tmp_path}/out"\n'
    )

    def write(profile: str, enabled: bool = True, at_start: bool = False) -> None:
        told = content.format(enabled=str(enabled).lower(), at_start=str(at_start).lower())
        path.write_text(f'profile = "{profile}"\n{told}')

    write("live", at_start=True)
    ports, _ = port_overrides()
    daemon = Daemon(load_config(path, ports), config_path=path, overrides=ports)
    daemon.start()
    it = Running(daemon, 0)

    def switches() -> list[int]:
        return [int(it.status.mixer[name]) for name in ("paused", "recording", "hold")]

    def anew(*arguments: Any, **options: Any) -> None:
        session = int(it.status.daemon["session"])
        write(*arguments, **options)
        assert daemon.reload()[0]
        assert int(it.status.daemon["session"]) != session

    try:
        it.until_state(State.RUNNING, START_S)
        assert switches() == [0, 1, 0]
        Desk(it.status, ["main"]).set([Setting("recording", 0, 0, 0.0)])
        anew("tight", at_start=True)
        it.until_state(State.RUNNING, START_S)
        assert switches() == [0, 0, 0]
        Desk(it.status, ["main"]).set(
            [Setting(name, 0, 0, 1.0) for name in ("paused", "recording", "hold")]
        )
        Status.set_text(it.status.mixer, "preset", "verse")
        it.until_state(State.PAUSED)
        anew("live")
        it.until_state(State.PAUSED, START_S)
        assert switches() == [1, 1, 1]
        assert text(it.status.mixer["preset"]) == "verse"
        it.until(lambda: it.status.record["recording"], START_S, "a take of the new stream")
        # Nobody was there to be told to stop.
        anew("tight", enabled=False)
        assert switches() == [1, 0, 1]
        anew("live", at_start=True)
        assert switches() == [1, 1, 1]
    finally:
        daemon.stop()


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[Any]:
    """A daemon whose file is written anew and reloaded."""
    path = tmp_path / "stemd.toml"
    ports, _ = port_overrides()
    made: list[Daemon] = []

    def write(content: str) -> Running:
        path.write_text(content)
        if made:
            assert made[0].reload()[0]
        else:
            made.append(Daemon(load_config(path, ports), config_path=path, overrides=ports))
            made[0].start()
        it = Running(made[0], 0)
        it.until_state(State.RUNNING, START_S)
        return it

    yield write
    for one in made:
        one.stop()


TONE = '[source]\nkind = "tone"\n'


def test_what_a_section_does_begins_and_ends_with_it(reloaded: Any, tmp_path: Path) -> None:
    record = f'{TONE}[record]\ndirectory = "{tmp_path}/out"\nenabled = '
    it = reloaded(f"{record}false\n")
    reloaded(f"{record}true\n")
    it.until(lambda: it.status.record["recording"], START_S, "a take")
    reloaded(f"{record}false\n")
    assert it.status.mixer["recording"] == 0
    assert it.status.record["recording"] == it.status.record["ready"] == 0

    reloaded(f'{TONE}[output]\nenabled = true\ndevice = "nobody\'s"\n')
    it.until(lambda: "nobody's" in it.status.reason, START_S, "the complaint")
    reloaded(TONE)
    assert it.status.reason == ""

    # knobs of a feed stay when another one comes
    Desk(it.status, ["main"]).set([Setting("mute", 0, 1, 1.0)])
    assert it.status.mixer["mute"].tolist() == [[1, 0, 0, 0]]
    reloaded(TONE + '[[feed]]\nname = "choir"\n[[feed]]\nname = "main"\n')
    assert it.status.mixer["mute"].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.slow
def test_a_state_file_that_comes_with_a_new_stream_is_written(
    reloaded: Any, tmp_path: Path
) -> None:
    it = reloaded(TONE)
    kept = tmp_path / "state.json"
    reloaded(f'profile = "tight"\n{TONE}[state]\nfile = "{kept}"\n')
    Desk(it.status, ["main"]).set([Setting("mute", 0, 1, 1.0)])
    it.until(kept.exists, 20.0, "the state file")


class Undead:
    """A process that waits for a disk which does not answer: not even SIGKILL ends it."""

    def __init__(self) -> None:
        self.exitcode: int | None = None

    def is_alive(self) -> bool:
        return self.exitcode is None

    def kill(self) -> None:
        pass

    def join(self, timeout: float | None = None) -> None:
        assert timeout is not None or not self.is_alive()


def test_a_process_that_cannot_be_ended_holds_nothing_up() -> None:
    with running("source.kind=tone") as it:
        child, undead = _Child("record"), Undead()
        child.process = undead
        it.daemon._children["record"] = child
        it.status.record["ready"], it.status.record["heartbeat_ns"] = 1, 1
        it.collect(0.5)
        assert child.stuck
        assert it.daemon.stuck
        assert "waits for a disk" in text(it.status.record["reason"])
        assert int(it.status.daemon["restarts"].sum()) == 0
        undead.exitcode = -signal.SIGKILL
        it.until(lambda: child.process is not undead, START_S, "its successor")
        assert not child.stuck
        assert not it.daemon.stuck
        assert it.status.record["reason"] == b""
        assert it.status.state is State.RUNNING


def test_standard_input_is_separated_to_its_end(tmp_path: Path) -> None:
    audio = write_noise(tmp_path / "noise.wav", 48_000)
    ports, _ = port_overrides()
    command = [sys.executable, "-m", "stemd", "run", "--json"]
    settings = ["source.kind=stdin", "source.encoding=s16le", "record.enabled=true"]
    for setting in [*settings, *ports, f'record.directory="{tmp_path}/out"']:
        command += ["--set", setting]
    pcm = np.rint(audio.T * 32767).astype("<i2")
    subprocess.run(command, input=pcm.tobytes(), check=True, timeout=START_S, capture_output=True)
    (directory,) = (tmp_path / "out").iterdir()
    heard, _ = soundfile.read(directory / "mix.wav", dtype="float32")
    np.testing.assert_array_equal(heard[256 : 256 + 48_000], pcm.astype(np.float32) / 32768)


def test_a_file_at_96_khz_is_resampled_at_the_door_and_stays_in_place(tmp_path: Path) -> None:
    at = 96_000
    t = np.arange(2 * at)
    click = np.where(np.abs(t - at) < 200, 0.5 * np.cos(np.pi * (t - at) / 400), 0.0)
    path = tmp_path / "click.wav"
    soundfile.write(path, np.stack([click, click], axis=1), 96_000, subtype="FLOAT")
    ports, _ = port_overrides()
    settings = [*ports, "source.kind=file", f'source.path="{path}"', "source.pace=fast"]
    settings += ["record.enabled=true", f'record.directory="{tmp_path}/out"']
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    end = time.monotonic() + START_S
    while daemon.poll(0.1):
        assert time.monotonic() < end
    daemon.stop()
    (directory,) = (tmp_path / "out").iterdir()
    heard, rate = soundfile.read(directory / "mix.wav", dtype="float32")
    assert rate == 48_000
    assert int(np.argmax(heard[:, 0])) == at // 2 + 256
    np.testing.assert_allclose(heard[:, 0].max(), 0.5, atol=1e-3)


def test_without_the_right_to_real_time_the_log_says_so_and_the_daemon_runs() -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    ports, _ = port_overrides()
    drop = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
    if subprocess.run([*drop, "true"], check=False, capture_output=True).returncode:
        drop = []  # an ordinary user has no such right in the first place
    command = [*drop, sys.executable, "-m", "stemd", "run", "--json"]
    for setting in [*SRC, *ports]:
        command += ["--set", setting]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    for line in daemon.stdout:
        if json.loads(line)["state"] == "RUNNING":
            break
    daemon.terminate()
    _, log = daemon.communicate(timeout=20)
    assert daemon.returncode == EXIT_OK
    assert log.count("separate: no real-time scheduling") == 1
