"""`stemd keys`, and a real daemon that asks for them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import soundfile

from stemd.errors import EXIT_CONFIG, EXIT_NO_DAEMON, EXIT_OK, EXIT_USAGE
from stemd.keys import KeyStore, make_pair, write_pair
from tests.device.conftest import START_S
from tests.sinks.support import wait_until

from .conftest import stemd

KNOWN = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Folders of a user of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "r"))
    (tmp_path / "r").mkdir()
    return tmp_path / "stemd"


def test_keys_are_shown_and_no_secret(here, invoke):
    shown = invoke("keys", "show")
    assert shown.exit_code == EXIT_OK
    store = KeyStore(here)
    assert store.server().public in shown.stdout
    assert store.own().public in shown.stdout
    assert store.server().secret not in shown.stdout
    assert store.own().secret not in shown.stdout
    said = json.loads(invoke("keys", "show", "--json").stdout)
    assert said["own"]["key"] == store.own().public
    assert said["folder"] == str(here)


def test_a_client_is_let_in_listed_and_sent_away(here, invoke):
    assert (
        "desk may listen, control"
        in invoke(
            "keys", "authorise", "desk", KNOWN, "--role", "control", "--role", "listen"
        ).stdout
    )
    listed = json.loads(invoke("keys", "list", "--json").stdout)
    assert listed["clients"] == [{"name": "desk", "key": KNOWN, "roles": ["control", "listen"]}]
    table = invoke("keys", "list").stdout
    assert "desk" in table
    assert KNOWN in table
    assert "desk may nothing any more" in invoke("keys", "revoke", "desk").stdout
    assert "nobody is on the lists" in invoke("keys", "list").stdout
    assert (
        invoke("keys", "authorise", "--role", "listen", "x", "--", "-" + KNOWN[1:]).exit_code == 0
    )


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["authorise", "desk", "short"], EXIT_CONFIG, "key: got 'short'"),
        (["authorise", "a b", KNOWN], EXIT_CONFIG, "name: got 'a b'"),
        (["authorise", "desk", KNOWN, "--role", "root"], EXIT_USAGE, "got 'root', expected one of"),
        (["revoke", "nobody"], EXIT_CONFIG, "revoke: got 'nobody'"),
        (["trust", "stage.local", "x"], EXIT_CONFIG, "key: got 'x'"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(here, arguments, code, complaint):
    ran = stemd("keys", *arguments)
    assert ran.returncode == code
    assert complaint in " ".join(ran.stderr.replace("│", " ").split())


def test_a_pair_is_made_where_asked(here, invoke, tmp_path):
    path = tmp_path / "pi.key"
    made = invoke("keys", "generate", path)
    assert made.stdout.strip() == path.read_text().split()[0]
    again = invoke("keys", "generate", path)
    assert again.exit_code == EXIT_CONFIG
    assert "got a file that exists" in again.stderr
    assert invoke("keys", "generate", path, "--overwrite").stdout != made.stdout


def test_the_keys_of_a_configuration_are_where_it_says(here, invoke, tmp_path):
    path = tmp_path / "stage.toml"
    path.write_text('[security]\nkeys = "box"\n')
    invoke("keys", "authorise", "desk", KNOWN, "-c", path)
    assert (tmp_path / "box" / "clients").exists()
    assert not here.exists()


def test_a_daemon_that_asks_for_keys(here, run_command, tmp_path):
    box = KeyStore(tmp_path / "box")
    running = run_command(
        "--set", "source.kind=demo", "--set", "security.loopback=true",
        "--set", f"security.keys={box.folder}",
    )  # fmt: skip
    status = running.until_running()
    assert status["daemon"]["insecure"] == ""
    there = ("--port", running.control_port)

    # its own user, on its own machine
    ran = stemd("monitor", "--once", "--json", *there)
    assert json.loads(ran.stdout)["state"] == "RUNNING", ran.stderr
    path = tmp_path / "v.wav"
    assert stemd("tap", "vocals", "-o", path, "--seconds", 0.5, *there).returncode == EXIT_OK
    assert soundfile.info(path).frames == 24_000

    # somebody else
    mine = tmp_path / "mine.key"
    write_pair(mine, make_pair())
    keys = ("--key", box.server().public, "--identity", mine)
    refused = stemd("monitor", "--once", *there, *keys)
    assert refused.returncode == EXIT_NO_DAEMON
    assert "got our key refused" in refused.stderr
    box.authorise("me", mine.read_text().split()[0], ["listen"])
    ran = stemd("monitor", "--once", "--json", *there, *keys)
    assert json.loads(ran.stdout)["publish"]["strangers"] == 1, ran.stderr

    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=START_S)
    left = Path(os.environ["XDG_RUNTIME_DIR"]) / "stemd" / f"control-{running.control_port}.key"
    wait_until(lambda: not left.exists(), "the daemon to take back what it left")


def test_an_open_network_is_said_aloud(here, run_command, tmp_path):
    running = run_command(
        "--set", "source.kind=demo", "--set", "zeromq.bind=0.0.0.0", "--set", "zeromq.insecure=true"
    )
    status = running.until_running()
    assert status["daemon"]["insecure"] == "zeromq at 0.0.0.0 without keys"
    running.process.send_signal(signal.SIGTERM)
    _, said = running.process.communicate(timeout=START_S)
    assert "WARNING insecure: zeromq at 0.0.0.0 without keys" in said


def test_keys_that_cannot_be_used_end_the_start(here, run_command, tmp_path):
    (tmp_path / "box").write_text("no folder")
    ran = stemd(
        "run", "--no-view", "--set", "source.kind=demo", "--set", "zeromq.bind=0.0.0.0",
        "--set", f"security.keys={tmp_path / 'box'}",
    )  # fmt: skip
    assert ran.returncode != EXIT_OK
    assert "box/server.key: got" in ran.stderr
    assert "expected a folder of ours" in ran.stderr
