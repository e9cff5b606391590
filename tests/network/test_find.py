"""A sender without an address takes the box the network tells of, if it knows its key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stemd.config import build_config
from stemd.discovery import STEMD
from stemd.keys import KeyStore, fingerprint
from stemd.roles.advertise import services
from tests.networks import cable, permitted

TELL = """
import sys
from stemd.discovery import *
told = Announcer([Service(STEMD, "box", 5572, dict(role="box", key=sys.argv[1], send="5573"))],
                 addresses_for(["0.0.0.0"]))
print("told", flush=True)
sys.stdin.read()
told.close()
"""


def test_the_network_is_told_where_senders_go(tmp_path: Path):
    table = {
        "source": {"kind": "network"},
        "network": {"bind": "0.0.0.0", "port": 6001},
        "security": {"keys": str(tmp_path)},
    }
    config = build_config(table)
    assert config.advertised == ("0.0.0.0",)
    (told,) = services(config, config.spec, 1)
    assert told.kind == STEMD
    assert told.properties["send"] == "6001"
    assert told.properties["key"] == fingerprint(KeyStore(tmp_path).server().public)


@pytest.mark.skipif(not permitted(), reason="may not make network namespaces")
def test_a_sender_finds_a_box_whose_key_it_knows(tmp_path: Path):
    box = KeyStore(tmp_path / "box").server().public
    words = ("-m", "stemd", "send", "--tone", 440, "--status", "off", "--keys", tmp_path / "pi")
    command = [sys.executable, *map(str, words)]
    with cable() as (near, far):
        telling = subprocess.Popen(
            near.command(sys.executable, "-c", TELL, fingerprint(box)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert telling.stdout is not None
            assert telling.stdout.readline() == "told\n"
            ran = subprocess.run(
                far.command(*command), capture_output=True, text=True, timeout=60, check=False
            )
            assert ran.returncode == 101
            assert f"got the key {fingerprint(box)}, which is not known here" in ran.stderr
            KeyStore(tmp_path / "pi").trust("box", box)
            sending = subprocess.Popen(far.command(*command), stderr=subprocess.PIPE, text=True)
            with pytest.raises(subprocess.TimeoutExpired):
                sending.wait(6)  # it knocks at the address it found, for ever
            sending.terminate()
            assert sending.wait(20) == 0
        finally:
            telling.communicate("", timeout=30)
