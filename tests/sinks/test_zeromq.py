"""What leaves the ZeroMQ sockets, seen by plain subscribers."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import count

import numpy as np
import pytest
import zmq

from stemd.errors import DeviceError
from stemd.sinks.zeromq import ZeroMQSink
from stemd.spec import FEATURES, SOURCES, STEMS, StreamSpec
from stemd.wire import topics
from stemd.wire.messages import decode_audio, decode_event, decode_features, split_single

from .support import SPEC, descriptor, make_hop, mini_daemon, subscriber, wait_until

TWO_FEEDS = StreamSpec.of("live", 48_000, n_feeds=2)


@pytest.fixture
def daemon():
    with mini_daemon() as one:
        yield one


@pytest.fixture
def two_feeds():
    with mini_daemon(TWO_FEEDS) as one:
        yield one


def test_what_nobody_asked_for_is_not_sent(daemon):
    # Status and welcome may pass, hops may not.
    daemon.status = {}
    before = daemon.sink.bytes
    daemon.send(*(make_hop(k, onset=1.0) for k in range(100)))
    assert daemon.sink.bytes - before < make_hop(0)["mix"].nbytes


@pytest.mark.parametrize("stem", [*SOURCES, "all"])
def test_stems_arrive_bit_for_bit(two_feeds, stem):
    topic = topics.audio("two", stem)
    with subscriber(two_feeds.sink.audio_port, topic) as sub:
        two_feeds.wait_for_topic(topic)
        hop = make_hop(3, TWO_FEEDS, flags=5, lost_input=17, config_rev=4)
        two_feeds.send(hop)
        message = decode_audio(sub.recv_multipart())
    expected = {
        "mix": hop["mix"][1],
        "all": hop["stems"][1].reshape(8, -1),
        **dict(zip(STEMS, hop["stems"][1], strict=True)),
    }[stem]
    np.testing.assert_array_equal(message.samples, expected)
    header = message.header
    assert (message.feed, message.stem) == ("two", stem)
    assert (header.session, header.seq, header.sample_pos) == (0xABC, 3, 4 * 256)
    assert (header.latency_frames, header.content_pos) == (512, 512)
    assert (header.flags, header.lost_input_frames, header.config_rev) == (5, 17, 4)
    assert (header.rate_nominal, header.rate_measured) == (48_000, 48_000.5)
    assert header.t_capture_ns == 1_700_000_000_000_000_000
    assert header.stem == (255 if stem == "all" else SOURCES.index(stem))


def test_features_describe_the_newest_hop(daemon):
    topic = topics.features("main", "bass")
    with subscriber(daemon.sink.features_port, topic) as sub:
        daemon.wait_for_topic(topic)
        hop = make_hop(9)
        rows = hop["features"]
        rows[:] = np.arange(rows.size).reshape(rows.shape)
        daemon.send(hop)
        row = decode_features(sub.recv())
    np.testing.assert_array_equal(row.values, hop["features"][0, SOURCES.index("bass")])
    assert row["f0_hz"] == hop["features"][0, 3, FEATURES.index("f0_hz")]
    # One hop newer than the audio beside it: sample_pos - M, and as much later at the ADC.
    assert row.header.content_pos == 10 * 256 - 256
    assert row.header.t_capture_ns == 1_700_000_000_000_000_000 + round(256 * 1e9 / 48_000)


def test_unknown_capture_time_stays_unknown(daemon):
    with subscriber(daemon.sink.features_port, topics.ROOT.encode() + b"f/") as sub:
        daemon.wait_for_topic(topics.features("main", "mix"))
        daemon.send(make_hop(0, t_capture_ns=0))
        assert decode_features(sub.recv()).header.t_capture_ns == 0


def test_an_onset_is_an_event_at_its_sample(daemon):
    topic = topics.events("main")
    with subscriber(daemon.sink.features_port, topic) as sub:
        daemon.wait_for_topic(topic)
        hop = make_hop(9)
        drums = hop["features"][0, 2]
        drums[FEATURES.index("onset")] = 1.0
        drums[FEATURES.index("onset_strength")] = 0.75
        drums[FEATURES.index("onset_count")] = 12
        drums[FEATURES.index("onset_offset")] = -48
        daemon.send(make_hop(8), hop)
        event = decode_event(sub.recv_multipart())
    assert (event.source, event.kind, event.count, event.strength) == ("drums", 1, 12, 0.75)
    assert event.header.content_pos == 9 * 256 - 48
    hop_ns = round(256 * 1e9 / 48_000)
    assert event.header.t_capture_ns == 1_700_000_000_000_000_000 + hop_ns - 1_000_000
    assert event.header.seq == 0


def test_events_of_one_hop_are_all_sent_and_numbered(daemon):
    topic = topics.events("main")
    with subscriber(daemon.sink.features_port, topic) as sub:
        daemon.wait_for_topic(topic)
        daemon.send(make_hop(0, onset=1.0), make_hop(1, onset=1.0))
        events = [decode_event(sub.recv_multipart()) for _ in range(10)]
        daemon.send(make_hop(0, onset=1.0, session=0xDEF))
        anew = decode_event(sub.recv_multipart())
    assert [e.source for e in events] == [*SOURCES, *SOURCES]
    assert [e.header.seq for e in events] == list(range(10))
    assert (anew.header.session, anew.header.seq) == (0xDEF, 0)


def test_single_frame_topics_can_be_conflated(daemon):
    topic = topics.features("main", "vocals")
    with subscriber(daemon.sink.features_port, topic, conflate=True) as sub:
        daemon.wait_for_topic(topic)
        daemon.send(*(make_hop(k, rms=k) for k in range(50)))
        sent = count(50)

        def newest():
            # libzmq gives a row up when somebody looks for one right then, so that the last of
            # all may be lost; a stream goes on.
            k = next(sent)
            daemon.send(make_hop(k, rms=k))
            row = decode_features(sub.recv()) if sub.poll(1000) else None
            return row if row is not None and row["rms"] == k else None

        # Older ones may be seen while the newest is still on its way, torn ones may not.
        row = wait_until(newest, "the newest row")
        assert row.header.seq == row["rms"]
        assert sub.poll(0) == 0


def test_a_late_joiner_is_welcomed(daemon):
    daemon.send(*(make_hop(k) for k in range(5)))
    for port in (daemon.sink.audio_port, daemon.sink.features_port):
        with subscriber(port, topics.WELCOME) as sub:
            topic, content = split_single(sub.recv())
            welcome = json.loads(content)
            assert topic == b"stemd/1/w/"
            assert welcome["features"] == list(FEATURES)
            assert welcome["samplerate"] == 48_000


def test_those_who_are_here_hear_of_a_new_welcome(daemon):
    with subscriber(daemon.sink.audio_port, topics.WELCOME) as sub:
        sub.recv()
        daemon.changes = {"session": "new"}
        daemon.send(make_hop(0, session=77))
        assert json.loads(split_single(sub.recv())[1])["session"] == "new"


def test_status_comes_without_audio_and_on_change(daemon):
    with subscriber(daemon.sink.features_port, topics.STATUS) as sub:
        for _ in range(2):
            assert json.loads(split_single(sub.recv())[1]) == {"state": "RUNNING"}
        daemon.status = {"state": "STALLED", "load": float("nan")}
        daemon.do(daemon.sink.announce)
        assert json.loads(split_single(sub.recv())[1]) == {"state": "STALLED", "load": None}


def test_leaving_ends_the_packing(daemon):
    topic = topics.audio("main", "all")
    with subscriber(daemon.sink.audio_port, topic):
        daemon.wait_for_topic(topic)
        wait_until(lambda: daemon.sink.subscribers == 1, "the connection")
    wait_until(lambda: not daemon.sink._audio.wants(topic), "the end of the subscription")
    wait_until(lambda: daemon.sink.subscribers == 0, "the end of the connection")
    assert daemon.sink._audio_plan == []


def test_a_taken_port_is_said_in_a_sentence():
    context = zmq.Context()
    arguments = (SPEC, ("main",), lambda: descriptor(SPEC), dict)
    first = ZeroMQSink(context, "127.0.0.1", 0, 0, *arguments)
    with pytest.raises(DeviceError, match=r"zeromq.audio_port: got 127.0.0.1:\d+, which another"):
        ZeroMQSink(context, "127.0.0.1", first.audio_port, 0, *arguments)
    with pytest.raises(DeviceError, match=r"zeromq.features_port: got 127.0.0.1:\d+, which"):
        ZeroMQSink(context, "127.0.0.1", 0, first.features_port, *arguments)
    with pytest.raises(DeviceError, match=r"audio_port: got 192.0.2.1:0 .*expected a local"):
        ZeroMQSink(context, "192.0.2.1", 0, 0, *arguments)
    first.close()
    context.term()  # returns only when every socket was closed, the refused ones too
    context = zmq.Context()
    ZeroMQSink(context, "127.0.0.1", first.audio_port, first.features_port, *arguments).close()
    context.term()


# A subscriber in a process of its own that can be stopped: prints how old each block was.
SLOW = """
import sys, time
import stemd.client
client = stemd.client.connect(control_port=int(sys.argv[1]))
print("ready", flush=True)
for block in client.blocks(timeout_s=5.0):
    age = (time.monotonic_ns() - block.t_publish_mono_ns) * 1e-9
    print(block.seq, int(block.filled), age, flush=True)
    if block.config_rev == 99:
        break
c = client.counters
print("end", c.late, c.blocks, flush=True)
client.close()
"""


def test_a_stopped_subscriber_holds_up_nobody_and_hears_nothing_old(daemon):
    n = 2000
    topic = topics.audio("main", "all")
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(daemon.control_port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        assert child.stdout.readline() == "ready\n"
        with subscriber(daemon.sink.audio_port, topic) as healthy:
            wait_until(lambda: daemon.sink._audio.subscribers == 2, "both subscribers")
            daemon.wait_for_topic(topic)
            # Until the child has told of a block, it is not known to be listening.
            k = 0
            os.set_blocking(child.stdout.fileno(), False)

            def speak():
                nonlocal k
                daemon.send(make_hop(k))
                k += 1
                return child.stdout.readline()

            wait_until(speak, "the child's first block")
            os.kill(child.pid, signal.SIGSTOP)
            stopped_at = k
            # Far more than all queues hold. The healthy one reads along and misses nothing.
            while healthy.poll(50):
                healthy.recv_multipart()
            for k in range(stopped_at, stopped_at + n):
                daemon.send(make_hop(k))
                if (k - stopped_at) % 16 == 15:
                    got = [decode_audio(healthy.recv_multipart()).header.seq for _ in range(16)]
                    assert got == list(range(k - 15, k + 1))
            last = k
            sent_at = time.monotonic()
            # What the child finds when it wakes must be too old to be heard.
            wait_until(lambda: time.monotonic() > sent_at + 0.3, "the blocks to age")
            os.kill(child.pid, signal.SIGCONT)
            os.set_blocking(child.stdout.fileno(), True)
            first_fresh = k = last + 1

            def speak_again():
                nonlocal k
                daemon.send(make_hop(k, config_rev=99 if k > first_fresh + 200 else 0))
                k += 1

            wait_until(lambda: child.poll() is not None, "the end of the child", speak_again)
        end = child.stdout.read()
        lines = [line.split() for line in end.splitlines()]
        blocks = [line for line in lines if line[0].isdigit()]
        heard = [int(seq) for seq, filled, _ in blocks if filled == "0"]
        stale = [float(age) for _, filled, age in blocks if filled == "0" and float(age) > 0.25]
        assert lines[-1][0] == "end"
        assert int(lines[-1][1]) > 0, "the child found nothing old: the test did not test"
        # One block may have been between the check and the print when the signal came.
        assert len(stale) <= 1
        assert not [seq for seq in heard if stopped_at + 1 < seq < first_fresh]
        assert heard[-1] > first_fresh
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
