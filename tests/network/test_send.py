"""`stemd send` and a box: what goes in comes out, whoever dies, and strangers change nothing."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stemd.config import build_config
from stemd.send.link import Link
from stemd.sources.network import MAX_COUNTED, NetworkSource
from stemd.status import Status
from stemd.wire.uplink import (
    Encoding,
    Hello,
    Type,
    encode_times,
    pack_header,
    unpack_header,
)

from ..sinks.support import free_ports
from .support import Box, Ear, Program, Sender, until

LIGHT = ("runtime.realtime=false", "profile=quality")  # a slow machine is to keep up
FEEDS = [{"name": "main"}, {"name": "second"}, {"name": "third", "sender": "kept"}]


@pytest.fixture
def box() -> Iterator[Ear]:
    one = Ear(FEEDS, buffer_start_ms=100, buffer_min_ms=100, buffer_max_ms=900)
    yield one
    one.end()


@pytest.fixture
def sender(box: Ear) -> Iterator[Callable[..., Sender]]:
    started: list[Sender] = []

    def start(*arguments: object) -> Sender:
        started.append(Sender(box.port, "--insecure", *arguments))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_what_goes_in_comes_out_to_the_bit(box, sender, tmp_path: Path, transport: str):
    noise = np.random.default_rng(5).uniform(-0.5, 0.5, (4 * 48_000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, 48_000, subtype="FLOAT")
    one = sender(
        *("--file", tmp_path / "noise.wav", "--encoding", "f32", "--transport", transport),
        *("--redundancy", 0),
    )
    assert one.process.wait(60) == 0
    network = box.until(lambda n: n["senders"] == 0 and n, "good-bye")
    audio = box.audio()
    # The head goes by before there is a session, the buffer's last 100 ms with the good-bye.
    (first,) = np.flatnonzero((noise[:, 0] == audio[0, 0]) & (noise[:, 1] == audio[1, 0]))
    sent = noise[first : first + audio.shape[1]].T
    assert sent.shape[1] == audio.shape[1] > 48_000
    if network["concealed"][0] == 0:
        np.testing.assert_array_equal(audio[:2], sent)
    else:  # this machine stood still: as many are different as are counted, and those faded into
        different = (audio[:2] != sent).any(axis=0).sum()
        assert different <= network["concealed"][0] + 240 * network["seams"][0]
    assert (audio[2:] == 0).all()


def test_two_senders_are_two_feeds_of_one_stream(box, sender):
    sender("--tone", 440, "--name", "a").until_sending()
    sender("--tone", 1000, "--name", "b", "--encoding", "s16").until_sending()
    network = box.until(lambda n: n["present"] == [1, 1, 0] and n, "two")
    assert network["sender"][:2] == ["a", "b"]
    assert sum(network["drives"]) == 1
    n = sum(len(one[0]) for one in box.written)
    until(lambda: sum(len(one[0]) for one in box.written) > n + 72_000, "a second and a half")
    audio = box.audio()[:, -24_000:]
    for channel, hz in ((0, 440), (1, 440), (2, 1000), (3, 1000)):
        spectrum = np.abs(np.fft.rfft(audio[channel] * np.hanning(24_000)))
        assert abs(np.argmax(spectrum) * 2 - hz) < 5
    assert (audio[4:] == 0).all()


def test_a_feed_too_many_is_refused_and_one_that_is_kept_is_not_given_away(box, sender):
    sender("--tone", 100, "--name", "a").until_sending()
    sender("--tone", 100, "--name", "b").until_sending()
    third = sender("--tone", 100, "--name", "c")
    until(lambda: [line for line in third.lines if "feeds: got one more" in line], "refusal")
    assert "kept for kept" in "".join(third.lines)
    sender("--tone", 100, "--name", "kept").until_sending()
    box.until(lambda n: n["sender"][2] == "kept" and n["present"][2], "its feed")
    sender("--tone", 100, "--name", "d", "--rate", 44_100)
    box.until(lambda n: n["refused"] >= 2, "refusals")


def test_who_would_make_the_others_late_is_refused():
    box = Ear(FEEDS, limit=1)
    senders = [Sender(box.port, "--insecure", "--tone", 100, "--name", name) for name in "ab"]
    try:
        box.until(lambda n: n["senders"] == 1 and n["refused"] >= 1, "one in, one refused")
        lines = senders[0].lines + senders[1].lines
        assert any("feeds: got 2, expected 1 at most" in line for line in lines)
    finally:
        for one in senders:
            one.end()
        box.end()


def test_a_sender_that_was_killed_finds_its_place_again(box, sender):
    first = sender("--tone", 440, "--name", "pi")
    first.until_sending()
    box.until(lambda n: n["present"][0], "audio")
    first.kill()
    sender("--tone", 440, "--name", "pi").until_sending()
    network = box.until(lambda n: n["senders"] == 1 and n["present"][0] and n, "audio again")
    assert network["sender"][0] == "pi"


def test_strangers_and_forgers_change_nothing(box, sender):
    sender("--tone", 440, "--name", "pi").until_sending()
    before = box.until(lambda n: n["present"][0] and n, "audio")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as enemy:
        place = ("127.0.0.1", box.port)
        random = np.random.default_rng(0)
        for i in range(600):
            header = pack_header(
                Type.AUDIO,
                session=int(random.integers(1 << 62)),
                counter=i,
                t_ns=0,
                channels=2,
                encoding=Encoding.S16,
                frames=8,
            )
            enemy.sendto(header + bytes(32), place)
            enemy.sendto(random.bytes(int(random.integers(0, 1400))), place)
    with socket.socket() as enemy:  # and somebody who is no ZeroMQ
        enemy.connect(place)
        enemy.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(1000))
    after = box.until(lambda n: n["strangers"] >= before["strangers"] + 600 and n, "counts")
    assert after["present"][0] == 1
    assert after["forged"] == before["forged"]


def test_a_sender_says_what_is_wrong_and_leaves(tmp_path: Path):
    cases = (
        (["--channels", 0], "--channels: got 0, expected 1 to 64", 101),
        (["--channels", 64], "--channels: got 64 with redundancy 1", 101),
        (["--status", "nowhere"], "--status: got 'nowhere', expected host:port", 101),
        (["--file", tmp_path / "none.wav"], "expected a sound file", 105),
        (["--device", "no such device"], "source.device: got", 105),
    )
    common = ("send", "127.0.0.1:9", "--insecure", "--status", "off")
    programs = [Program(*common, *arguments) for arguments, _, _ in cases]
    for one, (_, sentence, code) in zip(programs, cases, strict=True):
        assert one.process.wait(30) == code
        one.end()
        assert sentence in one.lines[-1], one.lines
    one = Program("send", "--status", "off")  # asks the network, where no box answers
    assert one.process.wait(30) == 106
    one.end()


def test_a_second_node_on_one_machine_goes_without_a_status_page(box):
    with socket.create_server(("127.0.0.1", 5585)) if _is_free(5585) else nullcontext():
        one = Program("send", f"127.0.0.1:{box.port}", "--tone", 440, "--name", "second")
        box.until(lambda n: "second" in n["sender"], "audio")
        assert one.end() == 0
    assert any("going on without" in line for line in one.lines)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_standard_input_is_a_source(box, tmp_path: Path):
    import subprocess
    import sys

    pcm = struct.pack("<2h", 8000, -8000) * 48_000
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "stemd", "send", f"127.0.0.1:{box.port}", "--insecure"),
            *("--stdin", "--status", "off", "--name", "pipe"),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ},
    )
    assert process.stdin is not None
    with process.stdin as pipe:
        for _ in range(4):
            pipe.write(pcm)
            pipe.flush()
            time.sleep(0.9)
    assert process.wait(20) == 0
    network = box.until(lambda n: "pipe" in n["sender"] and n, "pipe")
    assert network["received"][network["sender"].index("pipe")] > 100


def test_a_box_that_was_killed_is_found_again():
    one = Box(*LIGHT)
    sender = None
    try:
        one.until_up()
        sender = Sender(one.port, "--insecure", "--tone", 440)
        sender.until_sending()
        one.kill()
        until(lambda: sender.status()["state"] == "SEARCHING", "notice")
        two = Box(*LIGHT, ports=one.ports)
        try:
            two.until_up()
            two.until(lambda n: n["present"][0], "audio")
            assert sender.status()["sessions"] == 2
        finally:
            two.end()
        assert sender.process.poll() is None
        until(lambda: sender.status()["state"] == "SEARCHING", "a box that ends says so", 2.0)
    finally:
        one.end()
        if sender is not None:
            assert sender.end() == 0


def test_senders_with_ever_new_names_are_not_all_remembered():
    status = Status.create(1)
    source: Any = NetworkSource(build_config({"source": {"kind": "network"}}), status.network)
    one = source._counts_of("pi")
    one.seams = 3
    for i in range(MAX_COUNTED - 1):
        source._counts_of(f"x{i}")
    assert source._counts_of("pi") is one  # it is the newest now
    for i in range(MAX_COUNTED):
        source._counts_of(f"y{i}")
    assert len(source._counts) == MAX_COUNTED
    assert source._counts_of("pi").seams == 0
    source.close()
    status.close()


def test_the_feeds_of_a_source_that_was_killed_are_taken_anew():
    status = Status.create(2)
    table = {
        "source": {"kind": "network"},
        "network": {"port": free_ports(1)[0]},
        "feed": [{"name": "main"}, {"name": "second"}],
    }
    for names in (["pi"], ["pi", "other"], ["pi"]):
        source: Any = NetworkSource(build_config(table), status.network)
        source.open()
        assert not (status.network["admissions"] & 1).any()  # as `separate` sees it: nobody
        for name in names:
            hello = Hello(name, 48_000, 2, 256, Encoding.S16, "udp")
            source._admit(hello, b"", "", time.monotonic())
        taken = [1, 0] if len(names) == 1 else [1, 1]
        assert (status.network["admissions"] & 1).tolist() == taken
        source.close()  # without a word: nobody is evicted
    status.close()


def inbound(status: Any) -> tuple[Any, Any, Callable[..., None]]:
    """A box without sockets, a sender in it, and the sender's voice."""
    source: Any = NetworkSource(build_config({"source": {"kind": "network"}}), status.network)
    hello = Hello("pi", 48_000, 1, 256, Encoding.S16, "udp")
    welcome = source._admit(hello, b"", "", time.monotonic())
    one = source._senders[welcome.session]
    counter = iter(range(1 << 20))

    def say(kind: Type, payload: bytes, at_s: float, **fields: Any) -> None:
        data = pack_header(kind, session=one.session, counter=next(counter), **fields) + payload
        one.receive(unpack_header(data), data, at_s, True)

    return source, one, say


def audio(say: Callable[..., None], position: int, frames: int, at_s: float, t_ns: int) -> None:
    """A block of silence."""
    payload = bytes(2 * frames)
    say(Type.AUDIO, payload, at_s, t_ns=t_ns, position=position, channels=1,
        encoding=Encoding.S16, frames=frames)  # fmt: skip


def test_blocks_that_overlap_are_played_once_and_kept_no_longer():
    status = Status.create(1)
    source, one, say = inbound(status)
    now_s, played = time.monotonic(), 0
    until_s = now_s + 2.0
    for n in range(0, 1024, 256):
        audio(say, n, 256, now_s, 0)
        audio(say, n + 100, 64, now_s, 0)
        audio(say, n + 101, 3, now_s, 0)
    while now_s < until_s:
        now_s += 0.001
        while (pulled := one.pull(now_s)) is not None:
            assert len(pulled[0]) > 0
            played += len(pulled[0])
    assert played >= 1024
    assert one.jitter.waiting == 0
    source.close()
    status.close()


@pytest.mark.parametrize("t_ns", [0, 2**63 - 1, -(2**63)])
def test_a_clock_that_cannot_be_is_not_believed(t_ns: int):
    status = Status.create(1)
    source, one, say = inbound(status)
    now_s = time.monotonic()
    say(Type.PONG, encode_times(round(now_s * 1e9), t_ns), now_s + 0.001, t_ns=t_ns)
    assert one.offset.known
    audio(say, 0, 256, now_s, -t_ns if t_ns > 0 else 0)
    pulled = one.pull(now_s + 0.5)
    assert pulled is not None
    assert abs(pulled[1] * 1e-9 - now_s) < 2.0
    source.close()
    status.close()


def test_a_sender_that_jumps_for_ever_is_counted_as_far_as_there_are_numbers():
    status = Status.create(1)
    source, one, _ = inbound(status)
    one.counts.lost = 1 << 64
    source._tidy(time.monotonic())
    assert status.network["lost"][0] == 2**63 - 1
    source.close()
    status.close()


def test_audio_goes_where_the_handshake_went(box, monkeypatch: pytest.MonkeyPatch):
    """Of a name with addresses of both families the system puts IPv6 first."""
    real = socket.getaddrinfo

    def both(host: Any, port: Any, family: int = 0, *rest: Any, **options: Any) -> Any:
        v6 = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0))
        found = real(host, port, family, *rest, **options)
        return found if family == socket.AF_INET else [v6, *found]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    link = Link("127.0.0.1", box.port, Hello("pi", 48_000, 2, 128, Encoding.S16, "udp"), 0, None)
    link._open_udp(box.port)
    assert link._udp.family == socket.AF_INET
    link.close()


class Rows:
    """What a network source wrote."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.seams: list[int] = []

    def write(self, block: Any, *_: Any) -> None:
        self.rows.append(np.array(block))
        self.seams.append(_[-1])


def test_a_feed_whose_sender_leaves_or_comes_beside_others_does_not_click():
    frames, rate = 240, 48_000
    table: dict[str, Any] = {
        "source": {"kind": "network"},
        "network": {"port": free_ports(1)[0]},
        "feed": [{"name": "main"}, {"name": "second"}],
    }
    status = Status.create(2)
    source: Any = NetworkSource(build_config(table), status.network)
    out = Rows()
    block = np.full((frames, 2), 0.5, np.float32)

    def admit(name: str) -> Any:
        hello = Hello(name, rate, 2, frames, Encoding.S16, "udp")
        return source._senders[source._admit(hello, b"", "", time.monotonic()).session]

    def play(n: int) -> None:
        for _ in range(n):
            for one in source._senders.values():
                if one is not source._driver:
                    fresh = block.copy()
                    torn = one.extrapolator.process(fresh)
                    one.follow(frames).put(fresh, torn)
            source._write(out, source._driver, block, 0, 0, False)

    source._stall_s = 60.0  # however busy this machine is
    source._driver, second = admit("a"), admit("b")
    play(20)
    source._evict(second)
    play(10)
    second = admit("b")
    play(20)
    heard = np.concatenate(out.rows)[:, 2:]
    steepest = 0.5 * np.pi / 2 / frames  # of a raised cosine as long as a block
    assert heard[15 * frames].min() > 0.49
    assert heard[25 * frames].max() == 0.0
    assert heard[-1].min() > 0.49
    assert np.abs(np.diff(heard, axis=0)).max() < 1.2 * steepest
    seams = [bits >> 1 & 1 for bits in out.seams]
    assert seams[20] == 1
    assert sum(seams[30:]) >= 1
    status.close()


def test_who_follows_longer_blocks_than_before_waits_for_more():
    status = Status.create(1)
    source, one, _ = inbound(status)
    first = one.follow(64)
    assert one.follow(64) is first
    assert not one.cut
    longer = one.follow(1024)
    assert longer.target > max(1024, first.target)
    assert one.cut
    assert one.follow(64) is longer
    source.close()


def test_who_takes_the_lead_begins_softly_and_says_so():
    status = Status.create(1)
    source, one, _ = inbound(status)
    one.follow(256).put(np.zeros((256, 1), np.float32), False)
    one.lead()
    assert one.counts.slips > 0
    assert one.extrapolator.process(np.ones((256, 1), np.float32))
    source.close()
    status.close()
