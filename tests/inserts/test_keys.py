"""Beyond loopback: only those on the list, and nothing in clear."""

from __future__ import annotations

import json
import stat

import numpy as np
import pytest
import zmq

from stemd.errors import ProtocolError
from stemd.keys import KeyStore
from tests.inserts.conftest import Door, client, noise


@pytest.fixture
def guarded(slots, place, tmp_path):
    door = Door(slots, endpoint="tcp://127.0.0.1:*", keys=tmp_path / "keys")
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


def test_a_program_of_the_daemons_own_user_brings_the_pair_that_was_left(slots, place, tmp_path):
    """It lies beside the file that says where the daemon is."""
    door = Door(slots, endpoint="tcp://127.0.0.1:*", keys=tmp_path / "keys", pair="0.pair")
    door.start()
    public, secret = zmq.curve_keypair()
    store = KeyStore(tmp_path / "keys")
    store.authorise("own", public.decode(), ["send"])
    left = f"{store.server().public}\n{secret.decode()}\n"
    (place / "stemd" / "0.pair").write_text(left)
    try:
        with client(offline=True) as instance:
            assert instance.greet(10.0)["model"] == "band_live"
    finally:
        assert door.close_early()["strangers"] == 0
        door.close()


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
    facts = json.loads((place / "stemd" / "0.json").read_text())
    assert facts["curve"] == KeyStore(tmp_path / "keys").server().public
    assert path.read_text().split()[1] not in json.dumps(facts)


def test_a_revoked_plugin_is_not_served_any_more(guarded, tmp_path):
    store, ours = KeyStore(tmp_path / "keys"), zmq.curve_keypair()
    store.authorise("desk", ours[0].decode(), ["send"])
    with client(offline=True, keys=ours) as instance:
        assert instance.greet(10.0)["model"] == "band_live"
        store.revoke("desk")
        frames_in = guarded.section["frames_in"]
        with pytest.raises(ProtocolError):
            instance.separate(noise(50_000), timeout_s=2.0)
        assert guarded.section["frames_in"] == frames_in


def test_a_plugin_may_not_come_to_listen(guarded, tmp_path):
    ours = zmq.curve_keypair()
    KeyStore(tmp_path / "keys").authorise("screen", ours[0].decode(), ["listen", "control"])
    with client(offline=True, keys=ours) as instance, pytest.raises(ProtocolError):
        instance.greet(1.0)
    assert guarded.close_early()["strangers"] == 1
