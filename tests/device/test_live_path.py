"""From a real device through the whole daemon: exactness, latency, several feeds, output."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..servers import JackServer, feeder, wait_for
from .conftest import START_S, port_overrides, running

pytestmark = pytest.mark.device

FEED = [
    "source.kind=device",
    "source.device=feed",
    "source.timeline=content",
]

SUBSCRIBER = """
import sys, numpy as np, stemd.client
port, hops, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with stemd.client.connect(control_port=port, mix=True, budget_s=5.0) as client:
    blocks = []
    for block in client.blocks(timeout_s=20.0):
        blocks.append(block)
        if len(blocks) == hops:
            break
    np.savez(
        path,
        stems=np.concatenate([b.stems for b in blocks], axis=-1),
        mix=np.concatenate([b.mix for b in blocks], axis=-1),
        sample_pos=[b.sample_pos for b in blocks],
        latency=client.latency,
        flags=[b.flags for b in blocks],
    )
"""


def counter(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which sample of the feeder each one is."""
    return np.rint(samples.astype(np.float64) * 2**24).astype(np.int64) - 1


def test_a_subscriber_receives_stems_that_sum_to_the_signal_of_the_device(
    server: JackServer, feed: Any, tmp_path: Path
) -> None:
    settings, control = port_overrides()
    command = [sys.executable, "-m", "stemd", "run", "--json"]
    for setting in [*FEED, *settings]:
        command += ["--set", setting]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, env=server.env(), text=True)
    try:
        assert daemon.stdout is not None
        for line in daemon.stdout:
            if json.loads(line)["state"] == "RUNNING":
                break
        path = tmp_path / "heard.npz"
        subprocess.run(
            [sys.executable, "-c", SUBSCRIBER, str(control), "600", str(path)],
            check=True,
            timeout=START_S,
        )
    finally:
        daemon.terminate()
        assert daemon.wait(20) == 0
    heard = np.load(path)
    # The input as the subscriber got it: every sample of the feeder, once, in order, to the bit.
    first = counter(heard["mix"][0, :1])[0]
    expected = (np.arange(first, first + heard["mix"].shape[1]) + 1).astype(np.float32) / 2**24
    np.testing.assert_array_equal(heard["mix"][0], expected)
    np.testing.assert_array_equal(heard["mix"][1], -expected)
    np.testing.assert_allclose(heard["stems"].sum(axis=0), heard["mix"], atol=1e-6, rtol=0)
    assert (np.diff(heard["sample_pos"]) == 256).all()
    assert heard["latency"] == 512


def test_capture_time_is_when_the_sample_was_at_the_device(server: JackServer, feed: Any) -> None:
    with running(*FEED) as it:
        hops = it.collect(1.5).hops
    # Published when the newest hop was there, so the content began `latency` samples before, plus
    # the device's own period, plus what the step took: bounded by physics, not by tuning.
    utc_minus_mono = np.median(hops["t_capture_ns"] - hops["t_arrival_ns"])
    now_minus_mono = time.time_ns() - time.monotonic_ns()
    age_ms = (now_minus_mono - utc_minus_mono) * 1e-6
    least_ms = 512 / 48.0
    assert -0.5 < age_ms - least_ms < 2 * 256 / 48.0


def test_several_feeds_come_from_channel_pairs_of_one_device(server: JackServer) -> None:
    with (
        feeder(server, channels=6),
        running(
            *FEED,
            'feed=[{name="left", channels=[1]}, {name="swapped", channels=[6, 5]}]',
        ) as it,
    ):
        sink = it.collect(1.0)
    left, swapped = sink.mix(0), sink.mix(1)
    n = counter(left[0])
    assert (np.diff(n) == 1).all()
    np.testing.assert_array_equal(left[0], left[1])  # mono is heard on both sides
    np.testing.assert_array_equal(swapped[0], -left[0])  # channel 6 carries the counter negated
    np.testing.assert_array_equal(swapped[1], left[0])
    for feed_index, mix in enumerate((left, swapped)):
        total = sink.stems(feed_index).sum(axis=0)
        np.testing.assert_allclose(total, mix, atol=1e-6, rtol=0)


def test_a_device_that_is_not_there_is_waited_for(server: JackServer) -> None:
    ports, _ = port_overrides()
    from stemd.config import load_config
    from stemd.daemon import Daemon

    daemon = Daemon(load_config(None, [*FEED, *ports, "zeromq.enabled=false"]))
    daemon.start()
    try:

        def complains() -> bool:
            assert daemon.poll(0.02)
            reason = daemon.status.reason
            return "got 'feed', expected one of the inputs: " in reason and "system" in reason

        wait_for(complains, START_S, "the sentence that names the devices there are")
        with feeder(server):

            def heard() -> bool:
                assert daemon.poll(0.02)
                return int(daemon.status.capture["blocks"]) > 10

            wait_for(heard, 20.0, "audio after the device appeared")
    finally:
        daemon.stop()


def test_jack_ports_of_our_own_take_what_others_connect(server: JackServer, feed: Any) -> None:
    with running("source.kind=jack", "source.timeline=content") as it:
        ports = server.ports()
        assert "stemd-in:in_L" in ports
        assert "stemd-in:in_R" in ports
        assert not it.collect(0.3).mix(0).any()  # nobody has connected anything
        for side, port in (("L", "feed:out_1"), ("R", "feed:out_2")):
            subprocess.run(["jack_connect", port, f"stemd:in_{side}"], check=True, env=server.env())
        it.collect(0.5)  # a connection at a time: between the two, one side is silent
        sink = it.collect(1.0)
        mix = sink.mix(0)
        lost = int(it.status.separate["lost_input"])
    n = counter(mix[0])
    assert (np.diff(n) == 1).all()
    np.testing.assert_array_equal(mix[1], -mix[0])
    np.testing.assert_allclose(sink.stems(0).sum(axis=0), mix, atol=1e-6, rtol=0)
    assert lost == 0


LISTENER = """
import sys, jack, numpy as np
heard = []
client = jack.Client("ear", no_start_server=True)
port = client.inports.register("in_1")
@client.set_process_callback
def process(frames):
    heard.append(port.get_array().copy())
with client:
    print("listening", flush=True)
    for line in sys.stdin:
        word, argument = line.split()
        if word == "connect":
            client.connect(argument, port)
            print("connected", flush=True)
        else:
            np.save(argument, np.concatenate(heard))
            print("saved", flush=True)
"""


@pytest.mark.parametrize("kind", ["device", "jack"])
def test_an_output_plays_the_stems_in_order(
    server: JackServer, feed: Any, tmp_path: Path, kind: str
) -> None:
    output = ["output.enabled=true", f"output.kind={kind}", 'output.pairs=["mix"]']
    output += ["output.device=system"]  # JACK ports have none
    output += ["output.margin_ms=150"]  # what is tested is order, not this machine's scheduling
    ear = subprocess.Popen(
        [sys.executable, "-c", LISTENER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=server.env(),
        text=True,
    )
    try:
        assert ear.stdin is not None
        assert ear.stdout is not None
        assert ear.stdout.readline() == "listening\n"
        with running(*FEED, *output) as it:
            it.until(lambda: int(it.status.play["samples"]) > 0, 20.0, "the output's first samples")
            start = "stemd:mix_L" if kind == "jack" else f"stemd-out-{int(it.status.play['pid'])}"
            port = wait_for(
                lambda: [p for p in server.ports().split() if p.startswith(start)],
                10.0,
                "the output's port",
            )[0]
            ear.stdin.write(f"connect {port}\n")
            ear.stdin.flush()
            assert ear.stdout.readline() == "connected\n"
            it.collect(3.0)
            path = tmp_path / "heard.npy"
            ear.stdin.write(f"save {path}\n")
            ear.stdin.flush()
            assert ear.stdout.readline() == "saved\n"
            underruns = int(it.status.play["underruns"])
    finally:
        ear.kill()
        ear.wait()
    heard = np.load(path).astype(np.float64)
    heard = heard[np.argmax(heard > 0) :]
    ramp = heard[4800:][: 48_000 * 2] * 2**24
    # The counter goes up by one a sample, give or take the drift correction's part per thousand
    # and the last bit of a float32, which is half a step after minutes of counting;
    # a lost or repeated block would be a step of hundreds.
    steps = np.diff(ramp)
    assert underruns == 0
    assert np.abs(steps - 1.0).max() < 2.0
