"""The socket: real DEALER clients, many at once, some of them hostile."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time

import numpy as np
import pytest
import zmq

from stemd.errors import DeviceError, ProtocolError
from stemd.processors.slots import GROWTH
from stemd.wire.insert import InsertClient
from stemd.wire.plugin import (
    FLAG_LATE,
    HEADER_BYTES,
    MAX_FRAMES,
    Hello,
    Type,
    encode_hello,
    pack_header,
)
from tests.inserts.conftest import LIMIT, Door, client, noise


def play(instance, audio, block):
    """Send in blocks as a host does, each when the one before it is answered; all stems."""
    heard = []
    for first in range(0, len(audio), block):
        instance.send(audio[first : first + block])
        # what must be there by now
        hop = int(instance.welcome["hop"])
        due = max((instance.position // hop - 1) * hop, 0)
        while instance.received < due:
            stems = instance.receive(10.0)
            assert stems is not None
            heard.append(stems)
        while stems := instance.receive():
            heard.append(stems)
    return heard


def joined(heard):
    """Stems (s, c, n) without a hole."""
    at = heard[0].position
    for stems in heard:
        assert stems.position == at
        at += stems.audio.shape[2]
    return np.concatenate([stems.audio for stems in heard], axis=-1)


# -- what it is for ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", GROWTH)
def test_a_bounce_sums_to_the_track(door, rate):
    door.start()
    audio = noise(rate + 777)
    with client(samplerate=rate, offline=True) as instance:
        stems = instance.separate(audio)
        np.testing.assert_allclose(stems.sum(axis=0), audio.T, atol=1e-6)
        again = instance.separate(audio)
        np.testing.assert_allclose(again.sum(axis=0), audio.T, atol=1e-6)
    counters = door.close_early()
    assert counters["late"] == counters["gaps"] == counters["dropped"] == counters["overflows"] == 0


@pytest.mark.parametrize("block", [1, 64, 441, 512, 4096])
def test_a_host_in_real_time_gets_every_position(door, block):
    door.start()
    audio = noise(min(400 * block, 24_000) + 1000)
    with client(block=block) as instance:
        instance.greet()
        stems = joined(play(instance, audio, block))
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)


def test_live_and_offline_stems_are_the_same(door):
    door.start()
    audio = noise(20_000)
    with client(offline=True) as bounce, client() as live:
        live.greet()
        whole = bounce.separate(audio)
        stems = joined(play(live, audio, 500))
        np.testing.assert_allclose(stems, whole[:, :, : stems.shape[2]], atol=1e-6)


def test_eight_at_once_live_and_offline_at_several_rates(door):
    door.start()
    rates = [*GROWTH, 48_000, 48_000]
    instances = [
        InsertClient(samplerate=rate, offline=i % 3 == 2, block=512, latency=8192)
        for i, rate in enumerate(rates)
    ]
    audios = [noise(20_000 + 100 * i, seed=i) for i in range(len(rates))]
    for instance in instances:
        instance.greet()
    heard = [[] for _ in instances]
    for first in range(0, 24_000, 512):
        for i, (instance, audio) in enumerate(zip(instances, audios, strict=True)):
            instance.send(audio[first : first + 512])
            while stems := instance.receive():
                heard[i].append(stems)
        time.sleep(0.002)
    for i, (instance, audio) in enumerate(zip(instances, audios, strict=True)):
        hop = int(instance.welcome["hop"])
        due = (len(audio) // hop - 1) * hop
        while instance.received < due:
            stems = instance.receive(20.0)
            assert stems is not None
            heard[i].append(stems)
        while heard[i] and (stems := instance.receive()):
            heard[i].append(stems)
        stems = joined(heard[i])
        assert stems.shape[2] == due
        np.testing.assert_allclose(stems.sum(axis=0), audio[:due].T, atol=1e-6)
        assert stems.std(axis=(1, 2)).min() > 0.0
        instance.close()
    door.wait_for(lambda: door.section["instances"] == 0, 5.0)


# -- joining and leaving -----------------------------------------------------------------------


def test_the_welcome_says_what_a_plugin_needs(door):
    door.start()
    with client(samplerate=96_000, block=1024, latency=9000) as instance:
        welcome = instance.greet()
    assert welcome == {
        "hop": "512",
        "algorithmic": "1024",
        "minimum": str(1024 + 1024 + 288),
        "model": "band_live",
        "profile": "live",
        "stems": "vocals,drums,bass,other",
        "credit": str(9000 + 1024 + 3 * MAX_FRAMES),
        "session": "0",
    }


def test_the_discovery_file_tells_where(door, place):
    facts = json.loads((place / "stemd" / "0.json").read_text())
    assert facts == {
        "plugin": f"ipc://{place}/stemd/plugin-0.sock",
        "pid": os.getpid(),
        "session": 0,
        "hop": 256,
        "minimum": 512 + 144,
        "rates": list(GROWTH),
        "profile": "live",
        "model": "band_live",
        "curve": "",
        "pair": "",
    }
    for name, mode in (("", 0o700), ("0.json", 0o600), ("plugin-0.sock", 0o600)):
        assert stat.S_IMODE((place / "stemd" / name).stat().st_mode) == mode


def test_the_discovery_file_goes_with_the_daemon(slots, place):
    door = Door(slots)
    door.close()
    assert [path.name for path in (place / "stemd").iterdir()] == ["0.lock"]


def test_a_session_has_one_daemon_and_another_is_free(door, slots, place):
    with pytest.raises(DeviceError, match=rf"inserts.session: got 0, which process {os.getpid()}"):
        Door(slots)
    second = Door(slots, session=1)
    assert second.endpoint.endswith("plugin-1.sock")
    second.close()


def test_a_directory_of_others_is_refused(slots, place):
    (place / "stemd").symlink_to("/")
    with pytest.raises(DeviceError, match="got something of others"):
        Door(slots)


def test_a_directory_open_to_others_is_closed(slots, place):
    (place / "stemd").mkdir(mode=0o755)
    Door(slots).close()
    assert stat.S_IMODE((place / "stemd").stat().st_mode) == 0o700


def test_tcp_on_loopback_and_a_port_that_is_taken(slots, place):
    door = Door(slots, endpoint="tcp://127.0.0.1:*")
    door.start()
    with client(endpoint=door.endpoint, offline=True) as instance:
        audio = noise(5000)
        np.testing.assert_allclose(instance.separate(audio).sum(axis=0), audio.T, atol=1e-6)
    with pytest.raises(DeviceError, match=r"inserts.endpoint: got tcp://127.0.0.1:\d+ \(Address"):
        Door(slots, session=1, endpoint=door.endpoint)
    door.close()


def test_a_new_epoch_begins_anew(door):
    door.start()
    audio = noise(6000)
    with client(offline=True) as instance:
        first = instance.separate(audio)
        instance.send(noise(1000, seed=8))  # left behind half-way
        instance.restart()
        np.testing.assert_array_equal(instance.separate(audio), first)


def test_hello_again_changes_nothing(door):
    door.start()
    audio = noise(6000)
    with client() as instance:
        welcome = instance.greet()
        heard = play(instance, audio[:3000], 300)
        instance.say(Type.HELLO, encode_hello(instance.hello))
        heard += play(instance, audio[3000:], 300)
        stems = joined(heard)
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)
        assert instance.welcome == welcome
    assert door.close_early()["hops"] == 6000 // 256


def test_a_connection_that_breaks_and_comes_back_goes_on(door):
    """Another route, the same instance and epoch: the newest route wins."""
    door.start()
    audio = noise(6000)
    with client() as instance, client() as reconnected:
        instance.greet()
        heard = play(instance, audio[:3000], 300)
        reconnected.instance, reconnected.position = instance.instance, instance.position
        reconnected.received, reconnected.welcome = instance.received, instance.welcome
        heard += play(reconnected, audio[3000:], 300)
        stems = joined(heard)
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)


def test_audio_of_nobody_is_answered(door):
    door.start()
    with client() as instance:
        instance.send(noise(100))
        with pytest.raises(AssertionError):
            assert instance.receive(0.5)
        assert instance.error == "unknown instance: say HELLO first"
        instance.greet()
        instance.epoch += 1
        instance.send(noise(100))
        assert instance.receive(0.5) is None
        assert instance.error == "unknown instance: say HELLO first"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"samplerate": 32_000}, "rate: got 32000 Hz, expected one of 44100, 48000, 88200, 96000"),
        ({"latency": 200_000}, "latency: got 200000, expected 192000 at most"),
        ({"block": 0}, "block: got 0, expected 1 to"),
    ],
)
def test_who_cannot_be_served_is_told_why(door, change, complaint):
    door.start()
    with client(**change) as instance, pytest.raises(ProtocolError, match=complaint):
        instance.greet()
    counters = door.close_early()
    assert (counters["refused"], counters["errors"]) == (1, 1)


def test_there_are_no_more_than_the_limit_and_bye_makes_room(slots, place):
    door = Door(slots)
    door.start()
    instances = [InsertClient() for _ in range(LIMIT)]
    for instance in instances:
        instance.greet()
    with client() as more:
        with pytest.raises(ProtocolError, match=f"inserts: got {LIMIT + 1}, expected {LIMIT} at"):
            more.greet()
        instances[3].close()
        # the farewell comes over another socket than the greeting, and may be read after it
        door.wait_for(lambda: int(door.section["instances"]) == LIMIT - 1, 10.0)
        more.greet()
    for instance in instances[:3] + instances[4:]:
        instance.close(goodbye=False)
    assert door.close()["refused"] == 1


def test_who_says_nothing_goes_and_who_pings_stays(slots, place):
    door = Door(slots, timeout_s=1.0)
    door.start()
    with client() as silent, client() as present:
        silent.greet()
        present.greet()
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s:
            present.ping()
            present.receive(0.1)
        present.send(noise(2000))
        assert present.receive(5.0) is not None
        silent.send(noise(2000))
        assert silent.receive(0.5) is None
        assert silent.error.startswith("unknown instance")
        silent.greet()  # and is welcome again
    assert door.close()["evicted"] == 1


def test_a_ping_is_answered_with_its_clock(door):
    door.start()
    with client() as instance:
        instance.greet()
        header = pack_header(
            Type.PING, instance=instance.instance, epoch=1, rate=48_000, t_ns=12_345
        )
        instance._socket.send_multipart([header, b""])
        assert instance._socket.poll(5000)
        answer, payload = instance._socket.recv_multipart()
        assert answer[5] == Type.PONG
        assert answer[32:40] == (12_345).to_bytes(8, "little")
        assert payload == b""


def test_a_daemon_that_ends_says_so(slots, place):
    door = Door(slots)
    door.start()
    with client() as instance:
        instance.greet()
        door.close()
        instance.receive(5.0)
        assert instance.error == "stopped: the daemon ended"


def test_the_next_daemon_goes_on_where_the_host_is(slots, place):
    first = Door(slots)
    first.start()
    audio = noise(9000)
    with client() as instance:
        instance.greet()
        play(instance, audio[:3000], 300)
        first.close()
        second = Door(slots)
        second.start()
        instance.greet()  # the same epoch; position 3000 follows
        instance.received = 0
        heard = []
        for start in range(3000, 9000, 300):
            instance.send(audio[start : start + 300])
        while sum(s.audio.shape[2] for s in heard) < (6000 // 256 - 1) * 256:
            heard.append(instance.receive(10.0))
        assert heard[0].position == 3000
        stems = joined(heard)
        n = stems.shape[2]
        np.testing.assert_allclose(stems.sum(axis=0), audio[3000 : 3000 + n].T, atol=1e-6)
        second.close()


# -- those who do not behave -------------------------------------------------------------------


def test_a_live_client_that_does_not_read_loses_stems_and_nobody_else_does(slots, place):
    door = Door(slots)
    door.start()
    audio = noise(8192)
    with client(latency=48_000) as deaf, client() as good:
        deaf._socket.setsockopt(zmq.RCVHWM, 1)
        deaf.greet()
        good.greet()
        until_s = time.monotonic() + 30.0
        while not int(door.section["dropped"]):
            assert time.monotonic() < until_s
            deaf.send(audio)
            stems = joined(play(good, noise(512), 512)) if good.received else None
            if stems is None:
                play(good, noise(1024), 512)
        good.restart()
        stems = joined(play(good, audio, 512))
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)
    assert door.close()["dropped"] > 0


def test_an_offline_client_that_reads_slowly_loses_nothing(slots, place):
    """Its credit is spent and its queue is full; then it reads."""
    door = Door(slots)
    door.start()
    audio = noise(60_000)
    with client(offline=True) as slow:
        credit = int(slow.greet()["credit"])
        heard, sent = [], 0
        while sent < len(audio):
            n = min(credit - (sent - slow.received), len(audio) - sent)
            slow.send(audio[sent : sent + n])
            sent += n
            time.sleep(0.1)
            while stems := slow.receive(0.01):
                heard.append(stems)
        while slow.received < (60_000 // 256 - 1) * 256:
            heard.append(slow.receive(10.0))
        stems = joined(heard)
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)
    assert door.close()["dropped"] == 0


def test_stems_nobody_can_take_wait_offline_and_are_counted_live(door):
    """The connection is gone, the instance is not yet."""
    for offline in (True, False):
        instance = InsertClient(offline=offline, latency=20_000)
        instance.say(Type.HELLO, encode_hello(instance.hello))
        door.until(lambda: door.section["instances"] > 0)
        instance.send(noise(5000))
        door.until(lambda want=offline: door.section["frames_in"] >= (5000 if want else 10_000))
        # as when the host is killed
        (one,) = door.inserts._inserts.values()
        one.route = b"\0gone"
        before = int(door.section["dropped"])
        for _ in range(40):
            door.pump()
        dropped = int(door.section["dropped"]) - before
        assert (dropped == 0) == offline
        instance.close()
        door.until(lambda: door.section["instances"] == 0)


def test_a_sender_that_runs_away_is_kept_within_bounds(door):
    door.start()
    with client(latency=2048) as fast, client() as good:
        fast.greet()
        good.greet()
        for _ in range(60):
            fast.send(noise(MAX_FRAMES))
        audio = noise(5000)
        stems = joined(play(good, audio, 500))
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)
        heard = []
        while stems := fast.receive(1.0):
            heard.append(stems)
        assert any(stems.flags & FLAG_LATE for stems in heard)
    counters = door.close_early()
    assert counters["late"] > 0
    # in order, none twice, and what is not there was counted
    end = missing = 0
    for stems in heard:
        assert stems.position >= end
        missing += stems.position - end
        end = stems.position + stems.audio.shape[2]
    assert missing <= counters["dropped"] + counters["overflows"] * MAX_FRAMES


def test_hellos_have_a_rate(door):
    instance = InsertClient()
    for i in range(500):
        instance.instance = i
        instance.say(Type.HELLO, encode_hello(instance.hello))
    door.until(lambda: door.section["hellos"] == 500)
    instance.close()
    assert door.section["refused"] >= 500 - LIMIT
    assert door.section["errors"] <= 60
    assert door.section["instances"] <= LIMIT


def test_a_flood_of_one_leaves_the_others_their_time(door):
    """Twenty thousand messages that mean nothing while somebody plays."""
    door.start()
    audio = noise(20_000)
    with client() as flood, client() as good:
        good.greet()
        heard = []
        for first in range(0, len(audio), 500):
            for _ in range(500):
                with contextlib.suppress(zmq.Again):  # it has a queue of its own
                    flood._socket.send_multipart([b"x" * HEADER_BYTES, b""], zmq.NOBLOCK)
            heard += play(good, audio[first : first + 500], 500)
        stems = joined(heard)
        np.testing.assert_allclose(stems.sum(axis=0), audio[: stems.shape[2]].T, atol=1e-6)
    assert door.close_early()["bad"] > 1000


def test_a_message_too_large_costs_its_sender_the_connection(door):
    door.start()
    with client() as bad, client() as good:
        bad._socket.send_multipart([bytes(HEADER_BYTES), bytes(1_000_000)])
        good.greet()
        play(good, noise(2000), 500)


# -- any bytes ---------------------------------------------------------------------------------


def fuzzed(rng, instance):
    """A message that was good, or never was."""
    dice = rng.integers(0, 256, 16).tolist()
    if dice[0] < 20:
        return [rng.bytes(dice[2] % 60) for _ in range(1 + dice[1] % 4)]
    type_ = Type(1 + dice[1] % 8)
    frames = 1 + dice[2] if type_ in (Type.AUDIO, Type.STEMS) else 0
    header = bytearray(
        pack_header(
            type_,
            instance=instance.instance if dice[3] < 220 else int(dice[3] % 20),
            epoch=1 + (dice[4] < 3),
            rate=(48_000, 96_000, 0)[(dice[5] > 240) + (dice[5] > 250)],
            position=[instance.position, 0, 2**31, 2**61, 2**62][max(dice[6] - 251, 0)],
            frames=frames,
            flags=dice[7] % 16,
            t_ns=dice[8],
        )
    )
    if type_ is Type.AUDIO:
        instance.position += frames + (2 * dice[9] if dice[10] < 25 else 0)
        instance.position -= 3 * dice[9] if dice[10] > 230 else 0
        instance.position = max(instance.position, 0)
    payload = bytearray(rng.bytes(frames * {Type.AUDIO: 8, Type.STEMS: 32}.get(type_, 0)))
    if type_ is Type.HELLO:
        payload = bytearray(encode_hello(Hello(1 + dice[9], 999 * dice[10], dice[11] < 128, "x")))
    for at in dice[13 : 13 + (dice[12] % 4 if dice[12] > 128 else 0)]:
        target = header if dice[12] % 2 or not payload else payload
        target[int(at) % len(target)] = dice[14]
    if dice[15] < 12:
        del payload[dice[14] :]
    return [bytes(header), bytes(payload)]


@pytest.mark.parametrize("many", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_fuzzed_messages_leave_nothing_behind(door, many):
    """Mutations of good messages, and noise; all counted, and a good client is served after."""
    rng = np.random.default_rng(20)
    section = door.section
    with client(offline=True) as instance:
        instance.say(Type.HELLO, encode_hello(instance.hello))
        for said in range(many):
            instance._socket.send_multipart(fuzzed(rng, instance))
            if said % 100 == 0:
                for _ in range(4):
                    door.pump()
                while instance._socket.poll(0):
                    instance._socket.recv_multipart()
        quiet = 0
        while quiet < 20:  # the rest of what waits
            quiet = quiet + 1 if not door.inserts._socket.poll(2) else 0
            door.pump()
            while instance._socket.poll(0):
                instance._socket.recv_multipart()
    names = (
        "bad",
        "unknown",
        "hellos",
        "refused",
        "frames_in",
        "gaps",
        "stale",
        "repaired",
        "hops",
    )
    counts = {name: int(section[name]) for name in names}
    print(counts)
    assert counts["bad"] > many // 5
    assert min(counts.values()) > 0
    assert section["instances"] <= LIMIT
    # what was admitted on the way would keep its slot until it has been silent for long enough
    for number in list(door.inserts._inserts):
        door.inserts._leave(number)
    door.start()
    audio = noise(20_000)
    with client(offline=True) as good:
        np.testing.assert_allclose(good.separate(audio).sum(axis=0), audio.T, atol=1e-6)
