"""Guarded sockets against those who may come, those who may not, and those who come to hurt."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import zmq

import stemd.client
from stemd.errors import ProtocolError, StemdError
from stemd.keys import KeyStore, make_pair
from stemd.sinks.sockets import TOPICS_AT_ONCE

from .support import PATIENCE_S, make_hop, mini_daemon, subscriber, wait_until


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Of this test's user: nobody else's keys, no daemon that left a way in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "box")


@pytest.fixture
def guarded(store):
    with mini_daemon(keys=store.folder) as one:
        yield one


def known(store, *roles):
    """The pair of somebody who is on the list."""
    pair = make_pair()
    store.authorise(f"with-{'-'.join(roles)}", pair.public, roles)
    return pair


def join(daemon, store, pair, **settings):
    return stemd.client.connect(
        control_port=daemon.control_port,
        key=store.server().public,
        identity=pair,
        budget_s=PATIENCE_S,
        timeout_s=settings.pop("timeout_s", PATIENCE_S),
        **settings,
    )


@contextmanager
def listening(daemon, store, pair):
    """A client that hears audio."""
    n = len(daemon.sink._audio._subscribers)
    with join(daemon, store, pair) as client:
        client.blocks()
        wait_until(lambda: len(daemon.sink._audio._subscribers) > n, "a subscription")
        yield client


def counted(daemon, name):
    """A counter of the daemon's sockets, as they stand in its own thread."""
    found = []
    daemon.do(lambda: found.append(getattr(daemon.sink, name)))
    return found[0]


def strangers(daemon):
    return daemon.sink.strangers + daemon.control.strangers + daemon.keyring.refused


def raw(kind, port, pair=None, server=""):
    """A socket of ZeroMQ's own, and the context to be ended after it."""
    context = zmq.Context()
    one = context.socket(kind)
    one.setsockopt(zmq.LINGER, 0)
    if pair is not None:
        stemd.client.Curve(server, pair).apply(one)
    one.connect(f"tcp://127.0.0.1:{port}")
    return context, one


def test_who_may_listen_hears_what_was_sent(guarded, store):
    with listening(guarded, store, known(store, "listen")) as client:
        guarded.send(*(make_hop(k) for k in range(3)))
        blocks = [client.read_block(PATIENCE_S) for _ in range(3)]
        for k, block in enumerate(blocks):
            np.testing.assert_array_equal(block.stems, make_hop(k)["stems"][0])
    assert strangers(guarded) == 0


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("no key", r"got no welcome without a key, expected the daemon's key \(--key"),
        ("wrong key", "got no welcome for our key, expected a daemon with the key"),
        ("stranger", "got our key refused, expected it to know us .*stemd keys authorise"),
    ],
)
def test_who_has_no_right_key_is_told_and_counted(guarded, store, case, sentence):
    settings = {"key": store.server().public, "identity": make_pair()}
    if case == "no key":
        settings = {}
    elif case == "wrong key":
        settings = {"key": make_pair().public, "identity": known(store, "listen")}
    with pytest.raises(ProtocolError, match=sentence):
        stemd.client.connect(control_port=guarded.control_port, timeout_s=1.0, **settings)
    assert guarded.requests == []
    wait_until(lambda: strangers(guarded), "a stranger")


def test_who_may_turn_knobs_hears_no_audio(guarded, store):
    pair = known(store, "control")
    with join(guarded, store, pair) as client:
        assert client.control("ping")["ok"]
        client.blocks()
        wait_until(lambda: guarded.keyring.refused, "a refusal")
        guarded.send(make_hop(0))
        assert client.read_block(0.2) is None


@pytest.mark.parametrize("op", ["set", "tap", "preset", "devices", "reload", "shutdown", "model"])
def test_who_may_listen_turns_no_knobs(guarded, store, op):
    with join(guarded, store, known(store, "listen", "send")) as client:
        for looking in ("hello", "ping", "get", "status"):
            assert client.control(looking)["ok"]
        before = len(guarded.requests)
        with pytest.raises(StemdError, match=f"{op}: got a key without a role, expected control"):
            client.control(op)
        assert len(guarded.requests) == before


def test_a_revoked_key_is_refused_with_its_next_request(guarded, store):
    with join(guarded, store, known(store, "control")) as client:
        assert client.control("set", gain=1.0)["ok"]
        store.revoke("with-control")
        for op in ("set", "status"):
            with pytest.raises(StemdError, match=f"{op}: got a key without a role"):
                client.control(op)


def test_a_revoked_listener_is_cut_and_the_others_hear_on(guarded, store):
    with (
        listening(guarded, store, known(store, "listen")) as revoked,
        listening(guarded, store, known(store, "listen", "control")) as other,
    ):
        guarded.send(make_hop(0))
        assert revoked.read_block(PATIENCE_S) is not None
        assert other.read_block(PATIENCE_S) is not None
        store.revoke("with-listen")
        wait_until(lambda: guarded.keyring.refused, "it to come back in vain")
        assert counted(guarded, "evicted") == 1
        guarded.send(*(make_hop(k) for k in range(1, 50)))
        for k in range(1, 50):
            np.testing.assert_array_equal(
                other.read_block(PATIENCE_S).stems, make_hop(k)["stems"][0]
            )
        assert revoked.read_block(0.2) is None
        assert other.counters.lost == other.counters.filled == 0


def test_a_key_that_is_added_counts_at_the_next_connection(guarded, store):
    pair = make_pair()
    with pytest.raises(ProtocolError, match="refused"):
        join(guarded, store, pair)
    store.authorise("late", pair.public, ["listen"])
    with join(guarded, store, pair) as client:
        assert client.control("ping")["ok"]


def test_keys_are_found_by_the_name_of_the_daemon(guarded, store):
    mine = KeyStore()
    store.authorise("me", mine.own().public)
    mine.trust("127.0.0.1", store.server().public)
    with stemd.client.connect(control_port=guarded.control_port) as client:
        assert client.control("ping")["ok"]


def test_a_trusted_daemon_that_asks_for_no_key_is_not_believed():
    KeyStore().trust("127.0.0.1", make_pair().public)
    with mini_daemon() as open_to_all, pytest.raises(ProtocolError, match="got no welcome"):
        stemd.client.connect(control_port=open_to_all.control_port, timeout_s=1.0)


def test_a_flood_of_topics_is_cut_and_the_others_hear_on(guarded, store):
    with listening(guarded, store, known(store, "listen")) as other:
        context, sprayer = raw(
            zmq.SUB, guarded.sink.audio_port, known(store, "listen", "send"), store.server().public
        )
        for i in range(20 * TOPICS_AT_ONCE):
            sprayer.subscribe(b"stemd/1/a/%d/" % i)
        wait_until(lambda: counted(guarded, "evicted") > 0, "an end to it")
        guarded.send(*(make_hop(k) for k in range(50)))
        for k in range(50):
            assert other.read_block(PATIENCE_S).sample_pos == make_hop(k)["sample_pos"]
        assert other.counters.lost == other.counters.filled == 0
        sprayer.close()
        context.term()
    wait_until(lambda: not counted(guarded, "subscribers"), "all to be gone")


def test_an_oversize_subscription_ends_its_connection(guarded, store):
    with listening(guarded, store, known(store, "listen")) as other:
        context, rude = raw(
            zmq.SUB, guarded.sink.audio_port, known(store, "listen", "send"), store.server().public
        )
        rude.subscribe(b"x" * 5000)
        rude.subscribe(b"stemd/1/a/")
        guarded.send(make_hop(0))
        assert other.read_block(PATIENCE_S) is not None
        assert rude.poll(200) == 0
        rude.close()
        context.term()


def test_no_more_come_than_there_is_room_for(store):
    with (
        mini_daemon(keys=store.folder, max_peers=8) as crowded,
        listening(crowded, store, known(store, "listen")) as client,
        ExitStack() as stack,
    ):
        for _ in range(40):  # nobody of these ever says who it is
            stack.enter_context(socket.create_connection(("127.0.0.1", crowded.sink.audio_port)))
        wait_until(lambda: counted(crowded, "turned_away") >= 40 - 7, "them to be turned away")
        wait_until(lambda: counted(crowded, "subscribers") <= 8, "their connections to end")
        crowded.send(make_hop(0))
        assert client.read_block(PATIENCE_S) is not None


def test_silence_at_the_door_ends(monkeypatch, store):
    monkeypatch.setattr("stemd.sinks.sockets.HANDSHAKE_MS", 200)
    with mini_daemon(keys=store.folder) as guarded:
        with socket.create_connection(("127.0.0.1", guarded.sink.audio_port)) as mute:
            mute.settimeout(PATIENCE_S)
            while mute.recv(100):
                pass  # its greeting, and then the end
        wait_until(lambda: strangers(guarded), "a stranger")


def test_a_subscriber_that_never_reads_costs_the_others_nothing(guarded, store):
    """Its queue is full soon, and what is more it loses."""
    with listening(guarded, store, known(store, "listen")) as other:
        context, loris = raw(
            zmq.SUB, guarded.sink.audio_port, known(store, "listen", "send"), store.server().public
        )
        loris.setsockopt(zmq.RCVHWM, 1)
        loris.subscribe(b"stemd/1/")
        wait_until(lambda: guarded.sink._audio.wants(b"stemd/1/a/main/all/"), "it")
        longest = 0.0
        for k in range(600):
            began = time.monotonic()
            guarded.send(make_hop(k))
            longest = max(longest, time.monotonic() - began)
            block = other.read_block(PATIENCE_S)
            np.testing.assert_array_equal(block.stems, make_hop(k)["stems"][0])
        assert other.counters.lost == other.counters.filled == 0
        assert longest < PATIENCE_S / 2
        loris.close()
        context.term()


def test_a_flood_of_requests_is_refused_and_the_others_are_answered(guarded, store):
    """Twenty times what one peer may ask."""
    with (
        listening(guarded, store, known(store, "listen")) as other,
        join(guarded, store, known(store, "control")) as friend,
    ):
        context, flood = raw(
            zmq.DEALER, guarded.control_port, known(store, "send"), store.server().public
        )
        flood.setsockopt(zmq.SNDHWM, 100_000)
        for _ in range(2000):
            flood.send(b'{"op": "ping"}')
        for k in range(100):
            guarded.send(make_hop(k))
            assert other.read_block(PATIENCE_S).sample_pos == make_hop(k)["sample_pos"]
        assert friend.control("ping")["ok"]
        wait_until(lambda: guarded.control.requests >= 2000, "all of them")
        assert guarded.control.refused > 1500
        replies = []
        while flood.poll(500):
            replies.append(json.loads(flood.recv()))
        assert any("too many" in reply.get("error", "") for reply in replies)
        assert other.counters.lost == other.counters.filled == 0
        flood.close()
        context.term()


def test_subscribers_without_keys_hear_nothing_at_all(guarded, store):
    with (
        listening(guarded, store, known(store, "listen")) as other,
        subscriber(guarded.sink.audio_port, b"") as open_ear,
    ):
        guarded.send(*(make_hop(k) for k in range(20)))
        assert other.read_block(PATIENCE_S) is not None
        assert open_ear.poll(300) == 0
