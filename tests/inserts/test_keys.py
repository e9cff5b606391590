"""Beyond loopback: only those on the list, and nothing in clear."""

from __future__ import annotations

import json
import re
import stat

import numpy as np
import pytest
import zmq

from stemd.config import load_config
from stemd.errors import ConfigError, ProtocolError
from stemd.roles.keyring import Keyring
from tests.inserts.conftest import Door, client, noise


@pytest.fixture
def guarded(slots, place, tmp_path):
    door = Door(slots, endpoint="tcp://127.0.0.1:*", keys=str(tmp_path / "keys"))
    door.start()
    yield door
    door.close()


def test_who_is_on_the_list_is_served(guarded, tmp_path):
    ours = zmq.curve_keypair()
    (tmp_path / "keys" / "clients").write_text(f"\n{ours[0].decode()} the mixing desk\n")
    audio = noise(5000)
    with client(offline=True, keys=ours) as instance:  # finds endpoint and key by itself
        np.testing.assert_allclose(instance.separate(audio).sum(axis=0), audio.T, atol=1e-6)
    assert guarded.close_early()["strangers"] == 0


@pytest.mark.parametrize("keys", [None, "no key at all"])
def test_who_is_not_on_the_list_hears_nothing(guarded, tmp_path, keys):
    (tmp_path / "keys" / "clients").write_text(zmq.curve_keypair()[0].decode())
    settings = {} if keys is None else {"endpoint": guarded.endpoint}
    with (
        client(offline=True, **settings) as instance,
        pytest.raises(ProtocolError, match="got no answer"),
    ):
        instance.greet(2.0)
    counters = guarded.close_early()
    assert counters["hellos"] == 0
    if keys is None:
        assert counters["strangers"] > 0


def test_a_line_that_is_added_counts_at_once(guarded, tmp_path):
    ours = zmq.curve_keypair()
    with client(offline=True, keys=ours) as early, pytest.raises(ProtocolError):
        early.greet(1.0)
    (tmp_path / "keys" / "clients").write_text(ours[0].decode())
    with client(offline=True, keys=ours) as instance:
        assert instance.greet(10.0)["model"] == "band_live"


def test_the_key_is_made_once_and_kept_secret(tmp_path, guarded, place):
    path = tmp_path / "keys" / "server.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = Keyring(tmp_path / "keys")
    assert Keyring(tmp_path / "keys").public == first.public == path.read_text().split()[0]
    facts = json.loads((place / "stemd" / "0.json").read_text())
    assert facts["curve"] == first.public
    assert path.read_text().split()[1] not in json.dumps(facts)


def test_a_file_that_holds_no_keys_is_refused(tmp_path):
    (tmp_path / "server.key").write_text("hello\n")
    with pytest.raises(ConfigError, match=r"server.key: got 1 words, expected two keys"):
        Keyring(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"inserts.keys: got .*, expected a folder of ours"):
        Keyring(tmp_path / "file")


def test_keys_allow_an_endpoint_on_the_network(tmp_path):
    path = tmp_path / "stage.toml"
    path.write_text('[inserts]\nendpoint = "tcp://0.0.0.0:5580"\nkeys = "keys"\n')
    assert load_config(path).inserts.keys == str(tmp_path / "keys")
    path.write_text(re.sub("keys.*", "", path.read_text()))
    with pytest.raises(ConfigError, match=r"inserts.endpoint: got .0\.0\.0\.0., expected 127"):
        load_config(path)
