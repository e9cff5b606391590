"""`stemd run` as a process: signals, exit codes, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

import stemd.client as stemd_client
from stemd.errors import (
    EXIT_CONFIG,
    EXIT_DEVICE,
    EXIT_FORCED,
    EXIT_MODEL,
    EXIT_NO_DAEMON,
    EXIT_OK,
    StemdError,
)
from tests.device.conftest import START_S, free_ports, port_overrides
from tests.servers import wait_for

from .conftest import ROOT, alive, command, pending, stemd


def test_a_wrong_configuration_starts_nothing():
    ran = stemd("run", "-c", ROOT / "configs/broken/unknown_key.toml")
    assert ran.returncode == EXIT_CONFIG
    assert ran.stderr.count("\n") == 1
    assert "did you mean 'device'?" in ran.stderr


def test_a_wrong_override_starts_nothing():
    ran = stemd("run", "--set", "osc.rate_hz=0")
    assert ran.returncode == EXIT_CONFIG
    assert ran.stderr.startswith("stemd: --set: osc.rate_hz: got 0")


def test_a_file_that_is_none():
    ran = stemd("run", "--set", "source.kind=file", "--set", "source.path=/nowhere.wav")
    assert ran.returncode == EXIT_DEVICE
    assert "/nowhere.wav" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_model_that_is_none(run_command):
    running = run_command("--set", "source.kind=tone", "--set", "model.name=nobody")
    _, said = running.process.communicate(timeout=90)
    assert running.process.returncode == EXIT_MODEL
    assert "got 'nobody'" in said


def test_a_model_file_is_where_the_command_was_typed(run_command, tmp_path):
    path = tmp_path / "stemd.toml"
    path.write_text('[source]\nkind = "tone"\n')
    running = run_command("-c", path, "--model", "models/band_live.onnx")
    assert running.until_running()["separate"]["model"] == "band_live"


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_in_order(run_command, order):
    running = run_command("--set", "source.kind=tone")
    running.until_running()
    children = running.children()
    assert all(alive(pid) for pid in children)
    running.process.send_signal(order)
    _, said = running.process.communicate(timeout=20)
    assert running.process.returncode == EXIT_OK, said
    assert "Traceback" not in said
    assert not any(alive(pid) for pid in children)


def test_a_signal_while_starting_ends_too(run_command):
    running = run_command("--set", "source.kind=tone")
    running.next_status()
    running.process.send_signal(signal.SIGTERM)
    _, said = running.process.communicate(timeout=30)
    assert running.process.returncode == EXIT_OK, said


def test_one_order_that_comes_twice_is_one(run_command):
    """`timeout make run` ends the whole group, and make passes the signal on."""
    running = run_command("--set", "source.kind=tone")
    running.until_running()
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.02)
    running.process.send_signal(signal.SIGTERM)
    _, said = running.process.communicate(timeout=30)
    assert running.process.returncode == EXIT_OK, said


def test_a_second_signal_forces(run_command):
    """A child that does not stop in time must not keep the command from ending at once."""
    running = run_command("--set", "source.kind=tone")
    running.until_running()
    children = running.children()
    publish = children[-1]
    os.kill(publish, signal.SIGSTOP)  # it will not notice that it should end
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    running.process.send_signal(signal.SIGTERM)
    _, said = running.process.communicate(timeout=10)
    assert running.process.returncode == EXIT_FORCED
    assert "forced to stop" in said
    wait_for(lambda: not any(alive(pid) for pid in children), 5, "the children's end")


def test_a_file_at_its_end_ends_the_command(run_command, tmp_path):
    soundfile.write(tmp_path / "s.wav", np.zeros((24_000, 2), np.float32), 48_000)
    running = run_command(
        *("--set", "source.kind=file", "--set", f"source.path={tmp_path / 's.wav'}"),
        *("--set", "source.pace=fast"),
    )
    _, said = running.process.communicate(timeout=90)
    assert running.process.returncode == EXIT_OK, said


def test_hang_up_reloads(run_command, tmp_path):
    path = tmp_path / "stemd.toml"
    path.write_text('[source]\nkind = "tone"\n')
    running = run_command("-c", path)
    before = running.until_running()
    path.write_text('[source]\nkind = "tone"\n[mixer]\nmute = ["bass"]\n')
    running.process.send_signal(signal.SIGHUP)
    after = wait_for(
        lambda: (s := running.next_status())["mixer"]["mute"][0][2] and s, 20, "the new mixer"
    )
    assert after["daemon"]["session"] == before["daemon"]["session"]
    path.write_text("[source]\nkind = 5\n")
    running.process.send_signal(signal.SIGHUP)
    assert running.next_status()["state"] == "RUNNING"
    running.process.terminate()
    _, said = running.process.communicate(timeout=20)
    assert "reload refused" in said
    assert f"{path}:2: source.kind: got 5" in said


@pytest.mark.parametrize("arguments", [["monitor"], ["tap", "vocals", "-o", "{}/x.wav"]])
def test_client_verbs_without_a_daemon(tmp_path, arguments):
    (port,) = free_ports(1)
    ran = stemd(*(a.format(tmp_path) for a in arguments), "--port", port)
    assert ran.returncode == EXIT_NO_DAEMON
    assert "expected a running stemd" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_stopped_holds_nothing_up():
    """Neither of the status nor of the log; and then the daemon ends as ever."""
    out, err = os.pipe(), os.pipe()
    for _, end in (out, err):
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    overrides, control_port = port_overrides()
    sets = [word for one in [*overrides, "source.kind=tone"] for word in ("--set", one)]
    process = subprocess.Popen(command("run", "--json", *sets), stdout=out[1], stderr=err[1])
    try:
        with contextlib.ExitStack() as undo:
            for end in (*out, *err):
                undo.callback(os.close, end)
            wait_for(lambda: pending(out[0]) > 3000, START_S, "a full pipe")
            with stemd_client.connect(control_port=control_port, timeout_s=START_S) as client:
                for _ in range(30):  # each is a line of the log
                    with pytest.raises(StemdError, match="nobody"):
                        client.control("model", name="nobody")
                assert client.control("reload")["text"] == "nothing changed"
            process.terminate()
            assert process.wait(START_S) == EXIT_OK
    finally:
        process.kill()
        process.wait()
