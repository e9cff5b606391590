"""The Python client against the real sockets of a daemon without audio."""

import itertools
import math
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import zmq

import stemd.client
from stemd.errors import EXIT_NO_DAEMON, ProtocolError, StemdError
from stemd.sinks.zeromq import ZeroMQSink
from stemd.spec import FEATURES
from stemd.status import State
from stemd.wire import topics
from stemd.wire.header import FLAG_CONCEALED, FLAG_DISCONTINUITY, FLAG_SILENCE
from stemd.wire.receiver import Counters, Freshness

from .sinks.support import (
    PATIENCE_S,
    SPEC,
    descriptor,
    free_port,
    make_hop,
    mini_daemon,
    wait_until,
)

M = SPEC.hop_length


@pytest.fixture
def daemon():
    with mini_daemon() as one:
        yield one


@pytest.fixture
def connect(daemon):
    """Clients that have subscribed when they are handed out, and are closed at the end."""
    clients = []

    def connect(stream="blocks", budget_s=PATIENCE_S, **arguments):
        client = stemd.client.connect(
            control_port=daemon.control_port, budget_s=budget_s, **arguments
        )
        clients.append(client)
        if stream:
            getattr(client, stream)()
            for topic in client._assembler.topics if stream == "blocks" else []:
                daemon.wait_for_topic(topic)
        return client

    yield connect
    for client in clients:
        client.close()


def read(client, n):
    blocks = [client.read_block(PATIENCE_S) for _ in range(n)]
    assert None not in blocks
    return blocks


def test_connect_learns_the_shape_of_the_stream(connect):
    client = connect(None)
    assert client.info["features"] == list(FEATURES)
    assert (client.samplerate, client.hop_length, client.latency) == (48_000, 256, 512)
    assert client.feed == "main"
    assert not {"ok", "op", "id"} & set(client.info)


def test_blocks_are_stems_and_mix_of_one_hop(daemon, connect):
    client = connect(mix=True)
    hops = [make_hop(k, flags=4 if k == 2 else 0) for k in range(4)]
    daemon.send(*hops)
    blocks = read(client, 4)
    for hop, block in zip(hops, blocks, strict=True):
        np.testing.assert_array_equal(block.stems, hop["stems"][0])
        np.testing.assert_array_equal(block.mix, hop["mix"][0])
    last = blocks[2]
    assert (last.sample_pos, last.latency, last.session) == (3 * M, 512, 0xABC)
    assert (last.flags, last.state, last.seq) == (4, State.RUNNING, 2)
    assert (last.samplerate, last.rate_measured) == (48_000, 48_000.5)
    assert last.t_capture_ns == 1_700_000_000_000_000_000
    assert not last.filled
    assert client.counters == Counters(blocks=4, sessions=1)
    np.multiply(last.stems, 0.5, out=last.stems)  # yours to change


def test_stems_come_in_the_order_asked_for(daemon, connect):
    client = connect(stems=("bass", "vocals"))
    hop = make_hop(0)
    daemon.send(hop)
    (block,) = read(client, 1)
    np.testing.assert_array_equal(block.stems, hop["stems"][0, [2, 0]])
    assert block.mix is None


def test_the_mix_alone_is_a_wish_too(daemon, connect):
    client = connect(stems=(), mix=True)
    hop = make_hop(0)
    daemon.send(hop)
    (block,) = read(client, 1)
    assert block.stems.shape == (0, 2, M)
    np.testing.assert_array_equal(block.mix, hop["mix"][0])


def test_gaps_become_counted_silence(daemon, connect):
    client = connect(mix=True)
    late = make_hop(7)
    late["sample_pos"] += 100  # a gap need not be whole hops
    daemon.send(make_hop(0), late)
    blocks = read(client, 1 + 7 + 1)
    positions = [b.sample_pos for b in blocks]
    ends = [b.sample_pos + b.stems.shape[2] for b in blocks]
    assert positions[1:] == ends[:-1]
    assert [b.stems.shape[2] for b in blocks] == [M] * 7 + [100, M]
    for block in blocks[1:-1]:
        assert block.filled
        assert block.flags == FLAG_CONCEALED | FLAG_SILENCE | FLAG_DISCONTINUITY
        assert not block.stems.any()
        assert not block.mix.any()
    assert not blocks[-1].filled
    assert blocks[2].t_capture_ns == pytest.approx(
        1_700_000_000_000_000_000 - (6 * M + 100 - M) * 1e9 / 48_000, abs=2e3
    )
    assert client.counters.filled == 6 * M + 100
    assert client.counters.lost == 0


@pytest.fixture
def opus_daemon():
    with mini_daemon(opus_kbps=128) as one:
        yield one


def send_tones(daemon, first, n):
    """Hops of a tone for each stem, the mix their sum."""
    for k in range(first, first + n):
        hop = make_hop(k)
        t = (int(hop["sample_pos"]) + np.arange(M)) / SPEC.samplerate
        tones = [0.2 * np.sin(2 * np.pi * f * t) for f in (300, 500, 700, 1100)]
        hop["stems"][0] = np.repeat(np.array(tones, np.float32)[:, None], 2, axis=1)
        hop["mix"][0] = hop["stems"][0].sum(axis=0)
        daemon.send(hop)


def test_opus_is_the_same_audio_at_the_same_positions(opus_daemon):
    daemon = opus_daemon
    with stemd.client.connect(
        control_port=daemon.control_port, budget_s=PATIENCE_S, mix=True, opus=True
    ) as client:
        assert (client.hop_length, client.block_length) == (M, 480)
        blocks = client.blocks(timeout_s=PATIENCE_S)
        for topic in client._assembler.topics:
            daemon.wait_for_topic(topic)
        send_tones(daemon, 0, 60)
        got = [next(blocks) for _ in range(30)]
        for before, after in itertools.pairwise(got):
            assert after.sample_pos == before.sample_pos + 480
        for block in got[10:]:
            t = (block.sample_pos + np.arange(480)) / SPEC.samplerate
            for stem, f in zip(block.stems, (300, 500, 700, 1100), strict=True):
                np.testing.assert_allclose(stem, [0.2 * np.sin(2 * np.pi * f * t)] * 2, atol=0.02)
            np.testing.assert_allclose(block.mix, block.stems.sum(axis=0), atol=0.05)
        # A hop that was lost before the encoder is a hole here too, and the positions stay true.
        send_tones(daemon, 70, 60)
        more = [next(blocks) for _ in range(35)]
    assert any(block.filled for block in more)
    at = next(i for i, block in enumerate(more) if block.filled)
    for before, after in itertools.pairwise(more[at:]):
        assert after.sample_pos == before.sample_pos + before.stems.shape[-1]
    assert client.counters.malformed == client.counters.incomplete == 0


def test_raw_and_opus_are_served_side_by_side(opus_daemon):
    daemon = opus_daemon
    there = {"control_port": daemon.control_port, "budget_s": PATIENCE_S}
    with (
        stemd.client.connect(**there) as raw,
        stemd.client.connect(stems=("bass",), opus=True, **there) as narrow,
    ):
        for client in (raw, narrow):
            client.blocks()
            for topic in client._assembler.topics:
                daemon.wait_for_topic(topic)
        send_tones(daemon, 0, 30)
        assert len(read(raw, 30)) == 30
        assert [block.stems.shape for block in read(narrow, 10)] == [(1, 2, 480)] * 10


def test_without_opus_there_it_is_said(daemon):
    with pytest.raises(StemdError, match=r"^opus: got a daemon that sends none, expected one with"):
        stemd.client.connect(control_port=daemon.control_port, opus=True)


def test_long_gaps_are_jumps(daemon, connect):
    client = connect(fill_s=0.01)
    daemon.send(make_hop(0), make_hop(100))
    first, second = read(client, 2)
    assert second.lost == 99 * M
    assert second.flags & FLAG_DISCONTINUITY
    assert first.lost == 0
    assert client.counters.lost == 99 * M


def test_a_new_session_starts_from_nothing(daemon, connect):
    client = connect()
    daemon.send(make_hop(10), make_hop(0, session=5), make_hop(1, session=5))
    blocks = read(client, 3)
    assert [b.session for b in blocks] == [0xABC, 5, 5]
    assert [b.sample_pos for b in blocks] == [11 * M, M, 2 * M]
    assert [bool(b.flags & FLAG_DISCONTINUITY) for b in blocks] == [True, True, False]
    assert (client.counters.sessions, client.counters.filled, client.counters.lost) == (2, 0, 0)


def test_old_blocks_are_dropped_until_fresh_ones_come(daemon, connect):
    client = connect(budget_s=0.4)
    daemon.send(*(make_hop(k) for k in range(20)))
    sent = time.monotonic()
    wait_until(lambda: time.monotonic() > sent + 0.41, "the blocks to age")
    daemon.send(make_hop(20), make_hop(21))
    blocks = read(client, 2)
    assert [b.seq for b in blocks] == [20, 21]
    assert client.counters.late == 20


def test_a_recorder_keeps_old_blocks(daemon, connect):
    client = connect(budget_s=math.inf)
    daemon.send(*(make_hop(k) for k in range(20)))
    sent = time.monotonic()
    wait_until(lambda: time.monotonic() > sent + 0.41, "the blocks to age")
    assert [b.seq for b in read(client, 20)] == list(range(20))
    assert client.counters.late == 0


@pytest.fixture
def clock(monkeypatch):
    """CLOCK_MONOTONIC of the receiver, in s."""

    class Clock:
        now_s = 1000.0

        def monotonic_ns(self):
            return round(self.now_s * 1e9)

    one = Clock()
    monkeypatch.setattr("stemd.wire.receiver.time", one)
    return one


def test_age_on_this_machine_is_one_clocks_difference(clock):
    freshness = Freshness(same_clock=True, budget_s=0.1)
    assert freshness.age_ns(round(999.7e9)) == round(0.3e9)


def test_age_on_another_machine_is_what_exceeds_the_shortest_way(clock):
    freshness = Freshness(same_clock=False, budget_s=0.1)
    # The other clock says something else entirely; the way takes 2 ms or more.
    skew_s = -5000.0

    def age_of(way_s):
        return freshness.age_ns(round((clock.now_s - way_s + skew_s) * 1e9)) * 1e-9

    assert age_of(0.005) == 0.0
    assert age_of(0.002) == 0.0
    assert age_of(0.302) == pytest.approx(0.3)
    clock.now_s += 6.0  # stopped meanwhile: what waited is as old as it is
    assert age_of(6.0) == pytest.approx(5.998, abs=0.002)
    # An hour of clocks that drift apart by 100 ppm: fresh messages stay fresh.
    for _ in range(3600):
        clock.now_s += 1.0
        skew_s -= 100e-6
        assert age_of(0.002) < 0.001
    assert skew_s < -5000.3


def stamped(clock, session, skew_s):
    """A header that left its publisher just now, by a clock that is `skew_s` off."""
    ns = round((clock.now_s + skew_s) * 1e9)
    return SimpleNamespace(session=session, n_frames=256, rate_nominal=48_000, t_publish_mono_ns=ns)


def test_a_publisher_that_was_started_anew_has_another_clock(clock):
    freshness = Freshness(same_clock=False, budget_s=0.1)
    assert not freshness.is_late(stamped(clock, 1, 40_000.0))
    clock.now_s += 60.0
    assert not freshness.is_late(stamped(clock, 2, -900.0))
    assert freshness.is_late(stamped(clock, 2, -900.2))


def test_a_publisher_that_slept_is_late_for_a_moment_only(clock):
    freshness = Freshness(same_clock=False, budget_s=0.1)
    assert not freshness.is_late(stamped(clock, 1, 0.0))
    late = 0
    for _ in range(100):
        clock.now_s += 0.1
        late += freshness.is_late(stamped(clock, 1, -3600.0))
    assert 25 < late < 40


def test_what_waited_while_nobody_read_is_late(clock):
    freshness = Freshness(same_clock=False, budget_s=0.1)
    assert not freshness.is_late(stamped(clock, 1, 0.0))
    clock.now_s += 4.0
    for i in range(100):  # of the first half second of the four
        assert freshness.is_late(stamped(clock, 1, -4.0 + 0.005 * i))
    assert not freshness.is_late(stamped(clock, 1, 0.0))


def test_a_block_without_all_its_stems_is_a_gap(daemon, connect):
    client = connect(stems=("bass", "drums"))
    daemon.send(make_hop(0))

    def send_half():
        # Only drums of hop 1, as a full queue may leave it.
        plan = daemon.sink._audio_plan
        daemon.sink._audio_plan = [entry for entry in plan if entry[1] == 2]
        daemon.sink.write(make_hop(1))
        daemon.sink._audio_plan = plan

    daemon.do(send_half)
    daemon.send(make_hop(2))
    blocks = read(client, 3)
    assert [b.filled for b in blocks] == [False, True, False]
    assert client.counters.incomplete == 1


def test_features_by_iterator_and_by_callback(daemon, connect):
    client = connect("features")
    daemon.wait_for_topic(topics.features("main", "bass"))
    daemon.send(make_hop(0, rms=0.25))
    rows = client.features(timeout_s=PATIENCE_S)
    assert [next(rows).source for _ in range(5)] == ["mix", "vocals", "drums", "bass", "other"]
    heard = []
    daemon.send(make_hop(1, rms=0.5))
    assert list(client.features(heard.append, timeout_s=0.2)) == []
    assert [row["rms"] for row in heard] == [0.5] * 5
    assert heard[0].header.content_pos == M


def test_old_rows_are_dropped_until_fresh_ones_come(daemon, connect):
    client = connect("features", budget_s=0.4)
    daemon.wait_for_topic(topics.features("main", "bass"))
    daemon.send(*(make_hop(k) for k in range(10)))
    sent = time.monotonic()
    wait_until(lambda: time.monotonic() > sent + 0.41, "the rows to age")
    daemon.send(make_hop(10))
    assert [client.read_features(PATIENCE_S).header.seq for _ in range(5)] == [10] * 5
    assert client.counters.late_rows == 50


def test_events_are_never_lost_to_newer_ones(daemon, connect):
    client = connect("events")
    daemon.wait_for_topic(topics.events("main"))
    daemon.send(*(make_hop(k, onset=1.0, onset_count=k) for k in range(20)))
    events = [client.read_event(PATIENCE_S) for _ in range(100)]
    assert [e.header.seq for e in events] == list(range(100))
    assert events[-1].count == 19


def test_status_is_a_stream_and_a_request(daemon, connect):
    client = connect(None)
    assert client.read_status(PATIENCE_S) == {"state": "RUNNING"}
    assert client.alive
    client.status()
    assert daemon.requests[-1].op == "status"


def test_requests_carry_their_fields_and_errors_come_back():
    def answer(request, local):
        if request.op == "hello":
            return descriptor(SPEC, audio_port=1, features_port=2)
        if request.op == "get":
            raise ProtocolError("get: got you, expected somebody else")
        return {"fields": request.fields, "local": local}

    with (
        mini_daemon(answer=answer) as daemon,
        stemd.client.connect(control_port=daemon.control_port) as client,
    ):
        reply = client.control("set", stem="bass", gain=0.5)
        assert reply["fields"] == {"stem": "bass", "gain": 0.5}
        assert reply["local"] is True
        with pytest.raises(StemdError, match=r"^get: got you, expected somebody else$"):
            client.control("get")


def test_nobody_there_is_a_sentence_and_an_exit_code():
    port = free_port()
    with pytest.raises(ProtocolError, match=f"127.0.0.1:{port}: got no answer in 0.1 s") as caught:
        stemd.client.connect(control_port=port, timeout_s=0.1)
    assert caught.value.exit_code == EXIT_NO_DAEMON


def test_somebody_else_there_is_a_sentence():
    with (
        mini_daemon(answer=lambda request, local: {"service": "other"}) as daemon,
        pytest.raises(ProtocolError, match="welcome: got no feeds, expected a stemd"),
    ):
        stemd.client.connect(control_port=daemon.control_port)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("feeds", 3, "welcome.feeds: got 3, expected names"),
        ("feeds", [], r"welcome.feeds: got \[\], expected one or more"),
        ("feeds", ["\ud800"], r"welcome.feeds: got \['\\ud800'\], expected names"),
        ("features", [1], r"welcome.features: got \[1\], expected names"),
        ("samplerate", "fast", "welcome.samplerate: got 'fast', expected a whole number from 1"),
        ("latency", -1, "welcome.latency: got -1, expected"),
        ("audio_port", 70_000, "welcome.audio_port: got 70000, expected"),
    ],
)
def test_a_welcome_without_sense_is_a_sentence(key, value, complaint):
    with mini_daemon() as daemon:
        daemon.changes = {key: value}
        with pytest.raises(ProtocolError, match=complaint):
            stemd.client.connect(control_port=daemon.control_port)


def test_wrong_names_are_sentences(daemon):
    with pytest.raises(StemdError, match="feed: got 'x', expected one of main"):
        stemd.client.connect(control_port=daemon.control_port, feed="x")
    with pytest.raises(StemdError, match="stems: got 'piano'"):
        stemd.client.connect(control_port=daemon.control_port, stems=("piano",))


def test_a_request_nobody_answered_is_not_delivered_later():
    with mini_daemon() as first:
        client = stemd.client.connect(control_port=first.control_port)
    with pytest.raises(ProtocolError, match="got no answer"):
        client.control("shutdown", timeout_s=0.1)
    context = zmq.Context()
    successor = context.socket(zmq.ROUTER)
    successor.setsockopt(zmq.LINGER, 0)

    def bound():
        try:
            successor.bind(f"tcp://127.0.0.1:{first.control_port}")
        except zmq.ZMQError:
            return False
        return True

    wait_until(bound, "the port")
    asking = threading.Thread(target=lambda: client.control("ping", timeout_s=PATIENCE_S))
    asking.start()
    assert successor.poll(PATIENCE_S * 1000)
    identity, request = successor.recv_multipart()
    assert b'"ping"' in request
    successor.send_multipart([identity, b'{"ok":true}'])
    asking.join(PATIENCE_S)
    client.close()
    successor.close()
    context.term()


def test_messages_that_make_no_sense_are_counted(daemon, connect):
    client = connect()
    topic = topics.audio("main", "all")

    def babble():
        socket = daemon.sink._audio.socket
        for frames in (
            [topic],
            [topic, b"x", b"y"],
            [topic + b"x/", b"", b""],
            [topics.WELCOME + b"x"],
        ):
            socket.send_multipart(frames)

    daemon.do(babble)
    daemon.send(make_hop(0))
    read(client, 1)
    assert client.counters.malformed == 4


def test_no_block_in_time_is_none_and_the_end_of_the_iteration(connect):
    client = connect()
    assert client.read_block(0.01) is None
    assert list(client.blocks(timeout_s=0.01)) == []


def test_close_ends_all_threads_that_wait(connect):
    client = connect(None)
    ended = []

    def read_all(method):
        ended.append(list(getattr(client, method)()))

    threads = [
        threading.Thread(target=read_all, args=(m,)) for m in ("blocks", "features", "events")
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(client._streams) == 3, "the streams")
    client.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert ended == [[], [], []]
    client.close()
    with pytest.raises(StemdError, match="got a closed client"):
        client.control("ping")
    assert client.read_block(0.01) is None


def test_a_daemon_that_comes_back_is_heard_again():
    ports = {}
    with mini_daemon() as first:
        client = stemd.client.connect(control_port=first.control_port, budget_s=PATIENCE_S)
        client.blocks()
        first.wait_for_topic(topics.audio("main", "all"))
        first.send(make_hop(5))
        assert client.read_block(PATIENCE_S).seq == 5
        ports = {"audio_port": first.sink.audio_port}
    context = zmq.Context()

    def welcome():
        return descriptor(SPEC, **ports, features_port=1, version="second")

    def again():
        try:
            return ZeroMQSink(
                context, "127.0.0.1", ports["audio_port"], 0, SPEC, ("main",), welcome, dict
            )
        except StemdError:
            return None

    second = wait_until(again, "the port")

    def serve():
        second.service()
        assert client.read_block(0.005) is None  # libzmq subscribes again only while it is read

    wait_until(lambda: second._audio.wants(topics.audio("main", "all")), "the client", serve)
    second.service()
    second.write(make_hop(0, session=2))
    block = client.read_block(PATIENCE_S)
    assert (block.session, block.seq) == (2, 0)
    assert client.info["version"] == "second"
    client.close()
    second.close()
    context.term()
