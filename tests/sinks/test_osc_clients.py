"""Subscriptions: several clients, each with its own port, rate and end."""

import contextlib
import math
import select

import pytest
from pythonosc.osc_message import OscMessage

from stemd.sinks import osc_clients
from stemd.sinks.osc_inlet import BURST, MAX_PEERS, Gate
from stemd.wire import osc

from .osc_support import TWO_FEEDS, VITALS, hear, make_sink, new_ear
from .support import make_hop, wait_until


class Room:
    """A sink on real sockets with a clock of the test's own, and any number of clients."""

    def __init__(self, desk, **more):
        self.now = 100.0
        self.sink = make_sink(desk, clock=lambda: self.now, **more)
        self.k = 0

    def say(self, ear, *packets):
        expected = self.sink.received + len(packets)
        for packet in packets:
            ear.sendto(packet, ("127.0.0.1", self.sink.port))
        wait_until(lambda: self.sink.received >= expected, "the packets", self.sink.service)

    def subscribe(self, ear, *arguments):
        self.say(ear, osc.message("/stemd/subscribe", *arguments))
        reply = OscMessage(ear.recv(2000))
        assert reply.address == "/stemd/subscribed", (reply.address, reply.params)
        return reply.params

    def play(self, seconds, **fields):
        """Hops that move every value, and time that goes by."""
        for _ in range(round(seconds * 100)):
            self.k += 1
            self.now += 0.01
            self.sink.write(make_hop(self.k, TWO_FEEDS, rms=0.1 + 0.01 * (self.k % 37), **fields))
            self.sink.service()


@pytest.fixture
def room(desk):
    one = Room(desk)
    yield one
    one.sink.close()


@pytest.fixture
def ears():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(new_ear())) for _ in range(4)]


def drain(ear):
    """Every packet that has come."""
    packets = []
    while select.select([ear], [], [], 0)[0]:
        packets.append(hear(ear))
    return packets


def test_two_clients_on_different_ports_are_both_served(room, ears):
    asker, receiver, other, _ = ears
    port = receiver.getsockname()[1]
    one = room.subscribe(asker, "/stemd/*/level", 50, 10, port)
    two = room.subscribe(other, "/stemd/two/bass/level_db", 10.0, 10.0)
    assert one[1:] == ["/stemd/*/level", 10.0]
    assert one[0] != two[0]
    room.play(1.0)
    fast, slow = drain(receiver), drain(other)
    assert drain(asker) == []  # it asked for another port
    assert set().union(*fast) == {
        f"/stemd/{s}/level" for s in ("mix", "vocals", "drums", "bass", "other")
    }
    assert set().union(*slow) == {"/stemd/two/bass/level_db"}
    assert 45 <= len(fast) <= 51
    assert 9 <= len(slow) <= 11


def test_a_pattern_means_all_below_it_and_events_at_once(room, ears):
    room.subscribe(ears[0], "/stemd/drums", 0.1)
    room.play(0.01)
    drain(ears[0])
    hop = make_hop(1, TWO_FEEDS, onset=1.0, onset_strength=0.5, onset_count=3, kick=0.75)
    room.sink.write(hop)
    onset, kick = drain(ears[0])  # nobody else's
    assert set(onset) == {f"/stemd/drums/onset{more}" for more in ("", "/count", "/age_ms")}
    assert kick["/stemd/drums/kick"] == [0.75]


def test_everything_is_one_word(room, ears):
    room.subscribe(ears[0], "/stemd", 240.0)
    room.play(1.2)
    said = set().union(*drain(ears[0]))
    assert said > VITALS
    assert {"/stemd/bass/chroma/fs", "/stemd/two/beat/phase", "/stemd/other/chord"} < said


def test_a_subscription_dies_ten_seconds_after_the_last_renewal(room, ears):
    asker, receiver, *_ = ears
    number, _, ttl = room.subscribe(asker, "/stemd/mix/level", 20, 10, receiver.getsockname()[1])
    assert ttl == 10.0
    room.play(9.0)
    room.say(asker, osc.message("/stemd/renew", number))
    assert OscMessage(asker.recv(2000)).params == [number, "/stemd/mix/level", 10.0]
    drain(receiver)
    room.play(9.9)
    assert drain(receiver)
    assert room.sink.clients == 1
    room.play(0.2)
    assert room.sink.clients == 0
    drain(receiver)
    room.play(1.0)
    assert drain(receiver) == []
    room.say(asker, osc.message("/stemd/renew", number))
    address, (where, why) = (reply := OscMessage(asker.recv(2000))).address, reply.params
    assert (address, where) == ("/stemd/error", "subscription")
    assert str(number) in why


def test_any_message_of_the_client_renews(room, ears):
    asker, receiver, other, _ = ears
    room.subscribe(asker, "/stemd/mix/level", 1, 2, receiver.getsockname()[1])
    for ear in (asker, receiver):
        room.play(1.5)
        room.say(ear, osc.message("/stemd/ping", 1))
    room.play(1.5)
    assert room.sink.clients == 1
    room.say(other, osc.message("/stemd/ping", 1))  # somebody else's renews nothing
    room.play(0.6)
    assert room.sink.clients == 0


def test_unsubscribing_ends_it_for_the_owner_only(room, ears):
    number, *_ = room.subscribe(ears[0], "/stemd/mix/level")
    room.say(ears[0], osc.message("/stemd/unsubscribe", number + 1))
    assert OscMessage(ears[0].recv(2000)).address == "/stemd/error"
    room.sink._inlet.take(osc.message("/stemd/unsubscribe", number), ("192.0.2.7", 9000))
    assert room.sink.clients == 1
    room.say(ears[0], osc.message("/stemd/unsubscribe", number))
    done = OscMessage(ears[0].recv(2000))
    assert (done.address, done.params) == ("/stemd/done", ["/stemd/unsubscribe"])
    assert room.sink.clients == 0


def test_asking_again_keeps_the_number_and_takes_the_new_rate(room, ears):
    first = room.subscribe(ears[0], "/stemd/mix/level", 10)
    again = room.subscribe(ears[0], "/stemd/mix/level", 50)
    assert first == again
    assert room.sink.clients == 1
    room.play(1.0)
    assert len(drain(ears[0])) >= 45


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1,),
        ("/stemd/piano/level",),
        ("/stemd/mix/level", 60, 10, 80),
        ("/stemd/mix/level", 60, 10, 70_000),
        ("/stemd/mix/level", "often"),
        ("/stemd/mix/level", math.nan),
        ("*" * 200,),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(room, ears, arguments):
    room.say(ears[0], osc.message("/stemd/subscribe", *arguments))
    assert OscMessage(ears[0].recv(2000)).address == "/stemd/error"
    assert room.sink.clients == 0


def test_rate_and_life_are_bounded(room, ears):
    assert room.subscribe(ears[0], "/stemd/mix/level", 1e9, 1e9)[2] == 60.0
    assert room.subscribe(ears[1], "/stemd/mix/level", -5, -5)[2] == 1.0


def test_there_are_so_many_places_and_no_more(room):
    take = room.sink._inlet.take
    room.sink._inlet.send = lambda packet, peer: None
    room.sink._inlet._gate = Gate(None)
    for host in range(20):
        for port in range(20):
            wish = osc.message("/stemd/subscribe", "/stemd/mix/level")
            take(wish, (f"192.0.2.{host}", 5000 + port))
            room.sink._clients.service()
        assert room.sink.clients <= min(osc_clients.MAX_PER_HOST * (host + 1), 16)
    assert room.sink.clients == osc_clients.MAX_CLIENTS
    assert room.sink.errors == 400 - osc_clients.MAX_CLIENTS


def test_wishes_are_taken_a_few_at_a_time(room, ears):
    room.sink._inlet.send = lambda packet, peer: None
    wish = osc.message("/stemd/subscribe", "/stemd/mix/level")
    for _ in range(100):
        room.sink._inlet.take(wish, ears[0].getsockname())
    assert room.sink.errors == 100 - osc_clients.WISHES_PER_SERVICE
    assert room.sink.clients == 1


def test_strangers_are_neither_obeyed_nor_answered(desk, status):
    stage = make_sink(desk, networks=["192.168.7.0/24", "fd00::/8"])
    said = []
    stage._inlet.send = lambda packet, peer: said.append(peer)
    bad = [("192.0.2.1", 9), ("fe80::1%eth0", 9, 0, 2), ("::ffff:192.0.2.1", 9, 0, 0), ("?", 1)]
    good = [("192.168.7.9", 9), ("fd00::5", 9, 0, 0), ("::ffff:192.168.7.1", 9, 0, 0), ("::1", 9)]
    for peer in bad + good:
        stage._inlet.take(osc.message("/stemd/ping", 1), peer)
        stage._inlet.take(osc.message("/stemd/subscribe", "/stemd"), peer)
        stage._inlet.take(b"nonsense", peer)
    assert set(said) == set(good)
    assert stage.clients == len(good)
    everybody = make_sink(desk, networks=None)
    everybody._inlet.send = lambda packet, peer: said.append(peer)
    everybody._inlet.take(osc.message("/stemd/ping", 1), bad[0])
    assert said[-1] == bad[0]
    stage.close()
    everybody.close()


def test_a_flood_of_one_sender_is_cut_and_others_are_heard(room, status, ears):
    mute = osc.message("/stemd/bass/mute", 1)
    take = room.sink._inlet.take
    room.sink._inlet.send = lambda packet, peer: None
    for _ in range(round(BURST) + 500):
        take(mute, ("127.0.0.1", 6001))
    assert status.mixer["rev"] < BURST + 400
    assert room.sink.errors > 0
    before = int(status.mixer["rev"])
    take(mute, ("127.0.0.1", 6002))
    assert status.mixer["rev"] == before + 1


def test_the_memory_of_senders_is_bounded():
    gate = Gate(())
    for port in range(10_000):
        gate.spends(("127.0.0.1", port), 1.0)
    assert len(gate._peers) == MAX_PEERS


def test_a_change_is_told_to_all_but_who_made_it(desk, ears):
    target, one, two, _ = ears
    room = Room(desk, ear=target)
    room.sink.service()
    for ear in (one, two):
        room.subscribe(ear, "/stemd/bass/gain")
    for ear in ears:
        drain(ear)
    room.say(one, osc.message("/stemd/bass/gain", 0.5))
    room.sink.service()
    assert drain(one) == []
    assert {"/stemd/bass/gain": [0.5]} in drain(two)
    assert {"/stemd/bass/gain": [0.5], "/stemd/bass/gain_db": [pytest.approx(-6.02, abs=0.01)]} in (
        drain(target)
    )
    # Who asked for more than there is hears what it became.
    room.say(one, osc.message("/stemd/bass/gain", 5.0))
    room.sink.service()
    assert drain(one) == [{"/stemd/bass/gain": [1.0]}]
    room.sink.close()
