"""What programs that listen for VBAN or ReaStream get of a hop, through real sockets."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest

from stemd.config import DatagramsConfig, load_config
from stemd.errors import ConfigError
from stemd.sinks.datagrams import DatagramSink
from stemd.spec import StreamSpec

SPEC = StreamSpec.of("live", 48_000, 2)
HOP: dict[str, Any] = {
    "mix": np.random.default_rng(1).standard_normal((2, 2, 256)).astype(np.float32),
    "stems": np.random.default_rng(2).standard_normal((2, 4, 2, 256)).astype(np.float32),
}


def listener() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(10)
    return one


def test_each_stem_is_a_stream_of_its_own() -> None:
    with listener() as vban, listener() as reastream:
        config = DatagramsConfig(
            vban=(f"127.0.0.1:{vban.getsockname()[1]}",),
            reastream=(f"127.0.0.1:{reastream.getsockname()[1]}",),
            stems=("mix", "bass"),
            feed="two",
        )
        sink = DatagramSink(SPEC, ("one", "two"), config)
        sink.write(HOP)
        sink.write(HOP)
        packets = [vban.recv(2048) for _ in range(8)]  # two hops, two stems, two packets each
        plain = [reastream.recv(2048) for _ in range(8)]
        sink.close()
    assert sink.sent == 16
    assert sink.errors == 0
    for name, block in (("mix", HOP["mix"][1]), ("bass", HOP["stems"][1, 2])):
        mine = [p for p in packets if p[8:24].rstrip(b"\0") == f"stemd-{name}".encode()]
        assert [int.from_bytes(p[24:28], "little") for p in mine] == [0, 1, 2, 3]
        heard = [np.frombuffer(p[28:], "<f4").reshape(-1, 2).T for p in mine[:2]]
        np.testing.assert_array_equal(np.concatenate(heard, axis=1), block)
        mine = [p for p in plain if p[8:40].rstrip(b"\0") == f"stemd-{name}".encode()]
        heard = [np.frombuffer(p[47:], "<f4").reshape(2, -1) for p in mine[:2]]
        np.testing.assert_array_equal(np.concatenate(heard, axis=1), block)


def test_nobody_listens_and_nothing_waits() -> None:
    with listener() as gone:
        port = gone.getsockname()[1]
    sink = DatagramSink(SPEC, ("one", "two"), DatagramsConfig(vban=(f"127.0.0.1:{port}",)))
    for _ in range(100):
        sink.write(HOP)
    sink.close()
    assert sink.sent + sink.errors == 100 * 4 * 2


def test_an_unknown_host_is_said() -> None:
    config = DatagramsConfig(reastream=("no-such-host.invalid:58710",))
    sink = DatagramSink(SPEC, ("one", "two"), config)
    sink.write(HOP)
    assert "datagrams.reastream: got no-such-host.invalid:58710" in sink.reason
    sink.close()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('datagrams.vban=["nowhere"]', r"datagrams\.vban\[0\]"),
        ('datagrams.name="much-too-long"', r"datagrams\.name"),
        ('datagrams.feed="nobody"', r"datagrams\.feed"),
        ('datagrams.stems=["guitar"]', r"datagrams\.stems"),
    ],
)
def test_bad_settings_are_refused(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(None, [setting])
