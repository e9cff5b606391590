"""The whole daemon with its inserts process: starts, ends, faults, and what people see of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from stemd.cli.view import About, Meters, picture
from stemd.config import load_config
from stemd.daemon import Daemon
from stemd.errors import EXIT_DEVICE, ConfigError
from stemd.processors.catalogue import find_model
from stemd.shared import text
from stemd.status import State
from stemd.wire.insert import InsertClient
from stemd.wire.plugin import discovery_file
from tests.cli.conftest import end, start, stemd
from tests.device.conftest import START_S, Running, port_overrides, running
from tests.inserts.conftest import client, noise
from tests.roles.test_handover import another_model, swap

PLUGINS = ["source.kind=none", "inserts.enabled=true", "inserts.limit=2", "runtime.realtime=false"]


class Served(Running):
    """A daemon that is polled while its clients work."""

    def answered(self, work: Any, timeout_s: float = 60.0) -> Any:
        """What `work` returns in a thread of its own while we supervise."""
        import threading

        got: list[Any] = []
        thread = threading.Thread(target=lambda: got.append(work()))
        thread.start()
        self.until(lambda: not thread.is_alive(), timeout_s, "a client")
        assert got, "the client failed"
        return got[0]


@pytest.fixture
def plugins(place: Any) -> Any:
    """A daemon for plugins alone, ready for them."""
    ports, control = port_overrides()
    overrides = [*ports, *PLUGINS, "inserts.timeout_s=2"]
    daemon = Daemon(load_config(None, overrides), overrides=overrides)
    daemon.start()
    served = Served(daemon, control)
    try:
        served.until_state(State.RUNNING, START_S)
        yield served
    finally:
        daemon.stop()


def bounced(audio: Any, **settings: Any) -> Any:
    """Stems of a track from a client of its own."""
    with InsertClient(offline=True, **settings) as instance:
        return instance.separate(audio)


def test_a_studio_needs_no_audio_device(plugins):
    audio = noise(20_000)
    stems = plugins.answered(lambda: bounced(audio, name="Vocal Bus"))
    np.testing.assert_allclose(stems.sum(axis=0), audio.T, atol=1e-6)
    status = plugins.status.snapshot()
    assert (status["state"], status["reason"]) == ("RUNNING", "")
    assert not status["capture"]["pid"]
    assert not status["separate"]["pid"]
    assert status["inserts"]["frames_in"] == 20_512
    assert status["inserts"]["model"] == "band_live"
    assert status["inserts"]["limit"] == 2


def test_a_process_that_dies_is_replaced_and_hosts_go_on(plugins):
    audio = noise(9000)

    def host() -> Any:
        with client() as instance:
            instance.greet()
            instance.send(audio[:3000])
            assert instance.receive(10.0) is not None
            os.kill(int(plugins.status.inserts["pid"]), signal.SIGKILL)
            time.sleep(0.5)
            instance.greet(START_S)
            instance.send(audio[3000:])
            heard = []
            while sum(s.audio.shape[2] for s in heard) < 5000:
                stems = instance.receive(10.0)
                if stems.position >= 3000:  # else it was on its way
                    heard.append(stems)
            return heard

    heard = plugins.answered(host, START_S)
    stems = np.concatenate([s.audio for s in heard], axis=-1)
    n = stems.shape[2]
    assert heard[0].position == 3000
    np.testing.assert_allclose(stems.sum(axis=0), audio[3000 : 3000 + n].T, atol=1e-6)
    restarts = plugins.status.snapshot()["daemon"]["restarts"]
    assert restarts["inserts"] == 1


def test_a_host_that_is_killed_is_forgotten(plugins):
    program = (
        "import sys, numpy as np\n"
        "from stemd.wire.insert import InsertClient\n"
        "c = InsertClient(); c.greet(60.0); c.send(np.zeros((1000, 2), np.float32))\n"
        "print('there', flush=True); sys.stdin.read()\n"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert host.stdout.readline() == b"there\n"
    plugins.until(lambda: plugins.status.inserts["instances"] == 1, 10.0, "the host")
    host.kill()
    host.wait()
    plugins.until(lambda: plugins.status.inserts["evicted"] == 1, 10.0, "its end")
    plugins.until(lambda: plugins.status.inserts["instances"] == 0, 10.0, "its end")


def test_the_end_leaves_nothing_behind(plugins, place):
    file = discovery_file(0)
    assert file.exists()
    began_s = time.monotonic()
    plugins.daemon.stop()
    assert time.monotonic() - began_s < 5.0
    assert not file.exists()


def test_a_stage_and_a_studio_at_once(place):
    """The stream goes on while tracks are bounced, and neither hears the other."""
    ports, control = port_overrides()
    overrides = [*ports, "source.kind=tone", "inserts.enabled=true", "inserts.limit=2"]
    daemon = Daemon(load_config(None, overrides), overrides=overrides)
    daemon.start()
    served = Served(daemon, control)
    try:
        served.until(lambda: int(daemon.status.separate["hops"]) > 0, START_S, "the stream")
        served.until(lambda: int(daemon.status.inserts["ready"]), START_S, "the inserts")
        before = int(daemon.status.separate["hops"])
        audio = noise(48_000)
        stems = served.answered(lambda: bounced(audio))
        np.testing.assert_allclose(stems.sum(axis=0), audio.T, atol=1e-6)
        assert int(daemon.status.separate["hops"]) > before
        assert daemon.status.state is State.RUNNING
        # the separate process is not the one that served it
        assert daemon.status.inserts["pid"] != daemon.status.separate["pid"]
    finally:
        daemon.stop()


def test_plugins_that_lack_their_model_do_not_end_the_stream(place, tmp_path):
    released = find_model("default", "live")
    model = tmp_path / released.name
    for suffix in (".onnx", ".json"):
        shutil.copy(released.with_suffix(suffix), tmp_path)
    with running(
        *("source.kind=tone", "inserts.enabled=true", "inserts.limit=2"), f'model.name="{model}"'
    ) as it:
        it.until(lambda: int(it.status.inserts["ready"]), START_S, "the inserts")
        away = model.rename(tmp_path / "away")
        os.kill(int(it.status.inserts["pid"]), signal.SIGKILL)
        it.until(lambda: model.name in it.status.reason, START_S, "their complaint")
        hops = it.collect(0.5).hops
        assert (np.diff(hops["seq"]) == 1).all()
        assert it.status.state is State.RUNNING
        away.rename(model)
        it.until(lambda: int(it.status.inserts["ready"]), START_S, "their return")
        assert not it.status.reason


@pytest.mark.slow
def test_plugins_get_the_model_the_stage_gets(place, tmp_path):
    with running("source.kind=tone", "inserts.enabled=true", "inserts.limit=2") as it:
        it.until(lambda: int(it.status.inserts["ready"]), START_S, "the inserts")
        swap(it, str(another_model(tmp_path)))
        it.until(lambda: text(it.status.inserts["model"]) == "twin_live", START_S, "their model")
        it.until(lambda: int(it.status.inserts["ready"]), START_S, "their return")
        assert int(it.status.daemon["restarts"].sum()) == 0


def test_inserts_come_and_go_with_a_reload(place, tmp_path):
    ports, control = port_overrides()
    path = tmp_path / "stage.toml"
    path.write_text("[inserts]\nenabled = true\nlimit = 2\n")
    overrides = [*ports, "source.kind=tone"]
    daemon = Daemon(load_config(path, overrides), config_path=path, overrides=overrides)
    daemon.start()
    served = Served(daemon, control)
    try:
        served.until(lambda: int(daemon.status.inserts["ready"]), START_S, "the inserts")
        served.until(lambda: int(daemon.status.separate["hops"]) > 0, START_S, "the stream")
        stream = int(daemon.status.separate["pid"])
        path.write_text("[inserts]\nenabled = true\nlimit = 3\n")
        assert daemon.reload() == (True, "reloaded: inserts")
        served.until(
            lambda: int(daemon.status.inserts["ready"]) and daemon.status.inserts["limit"] == 3,
            START_S,
            "three inserts",
        )
        path.write_text("")
        assert daemon.reload() == (True, "reloaded: inserts")
        served.until(lambda: not discovery_file(0).exists(), 5.0, "no inserts")
        assert int(daemon.status.separate["pid"]) == stream
    finally:
        daemon.stop()


def test_a_session_that_is_taken_ends_the_second_daemon_with_a_sentence(plugins):
    ports, _ = port_overrides()
    settings = [f"--set={one}" for one in (*ports, *PLUGINS)]
    ran = plugins.answered(lambda: stemd("run", "--no-view", *settings, timeout_s=START_S), START_S)
    assert ran.returncode == EXIT_DEVICE
    sentence = f"inserts.session: got 0, which process {plugins.status.inserts['pid']} has"
    assert sentence in ran.stderr


def test_stemd_run_inserts_is_for_plugins_alone(place):
    running = start("--inserts", ports=port_overrides())
    try:
        status = running.until_running()
        with client(offline=True) as instance:
            audio = noise(5000)
            np.testing.assert_allclose(instance.separate(audio).sum(axis=0), audio.T, atol=1e-6)
    finally:
        end(running)
    assert running.process.returncode == 0
    assert status["inserts"]["endpoint"] == f"ipc://{place}/stemd/plugin-0.sock"
    assert not status["capture"]["pid"]


def test_the_view_shows_who_is_there(plugins):
    with client(offline=True, name="Vocal Bus") as instance:
        plugins.answered(lambda: instance.separate(noise(5000)))
        plugins.until(lambda: plugins.status.inserts["offline"] == 1, 5.0, "the counters")
        text = drawn(plugins.status.snapshot())
    assert "inserts   1 of 2, 1 of them offline" in text
    assert "plugin-0.sock" in text
    assert "Vocal Bus offline" in text
    assert "insert late 0  gaps 0  overflows 0  dropped 0" in text
    assert "vocals" not in text
    assert "input" not in text


def drawn(status: dict[str, Any]) -> str:
    import io

    from rich.console import Console

    out = io.StringIO()
    about = About("9.9.9", "live", ("main",))
    Console(file=out, width=100).print(picture(status, Meters(1), about, 0.0, 100))
    return out.getvalue()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["source.kind=none"], "source.kind: got 'none' and no inserts, expected a source, or"),
        (
            [*PLUGINS, "record.enabled=true"],
            "record.enabled: got True, expected false where source.kind is 'none'",
        ),
        (
            ["inserts.endpoint=udp://x"],
            "inserts.endpoint: got 'udp://x', expected ipc:///path, tcp://127.0.0.1:port",
        ),
        (["inserts.session=16"], "inserts.session: got 16, expected a value from 0 to 15"),
    ],
)
def test_what_cannot_be_is_refused(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_config(None, settings)
