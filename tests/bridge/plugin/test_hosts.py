"""VST3 and CLAP in the mini-host, against a daemon that answers exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .fake import SHARES
from .support import BOTH, STATUS, Host, bundle, noise

pytestmark = pytest.mark.parametrize("kind", BOTH)


def test_ports_are_named_after_the_stems(kind: str, host: Host) -> None:
    with host.fake():
        heard = host.run(kind, noise(0.2))
    assert [(channels, main) for _, channels, main in heard.report["inputs"]] == [(2, True)]
    assert heard.report["outputs"] == [
        ["vocals", 2, True],
        ["drums", 2, False],
        ["bass", 2, False],
        ["other", 2, False],
    ]


@pytest.mark.parametrize("rate", [44_100, 96_000])
@pytest.mark.parametrize("blocks", [[1, 4096, 17, 64, 1000, 333], [64], [2048], [16384, 9000]])
def test_stems_are_exact_and_in_time(kind: str, rate: int, blocks: list[int], host: Host) -> None:
    with host.fake():
        heard = host.run(kind, noise(1, rate), rate=rate, blocks=blocks, max_block=max(blocks))
    assert not heard.wrong_stems(SHARES).any()
    assert heard.missed == 0
    assert heard.parameters()["Status"] == STATUS.index("connected")
    assert heard.parameters()["Renders given up"] == 0


def test_a_block_of_one_all_the_way(kind: str, host: Host) -> None:
    with host.fake():
        heard = host.run(kind, noise(0.1), blocks=[1], max_block=1)
    assert not heard.wrong_stems(SHARES).any()


@pytest.mark.parametrize("max_block", [512, 20_000])
@pytest.mark.parametrize("left_out", [[0], [1, 3], [0, 1, 2, 3]])
def test_busses_may_be_left_out(kind: str, left_out: list[int], max_block: int, host: Host) -> None:
    with host.fake():
        heard = host.run(kind, noise(1.5), left_out=left_out, max_block=max_block)
    there = [s for s in range(4) if s not in left_out]
    expected = heard.delayed()[:, None, :] * SHARES[None, there, None]
    np.testing.assert_array_equal(heard.stems[0][:, there], expected)


def test_eight_at_once_share_one_thread(kind: str, host: Host) -> None:
    with host.fake():
        heard = host.run(kind, noise(0.5), instances=8, restarts=2)
    for n in range(8):
        assert not heard.wrong_stems(SHARES, n).any()
    before = heard.report["threads_before"]
    assert before == 1  # nothing runs before the first activation
    assert heard.report["threads"] == before + 3  # ours, and two of libzmq
    assert heard.report["threads_after"] == before


def test_state_comes_back(kind: str, host: Host) -> None:
    settings = {
        "Latency (0: automatic)": 123,
        "Session (0: any)": 7,
        "When stemd is away": 1,
        "Rendering": 2,
        "Vocals": -60,
        "Drums": 6,
        "Bass": -3.5,
    }
    state = host.place / "state"
    host.run(kind, noise(0.02), offline=False, parameters=settings, save=str(state))
    heard = host.run(kind, noise(0.02), offline=False, state=str(state))
    for name, value in settings.items():
        assert heard.parameters()[name] == pytest.approx(value, abs=1e-3)
    assert heard.latency == round(0.123 * 48_000)


def test_the_endpoint_is_part_of_the_state(kind: str, host: Host) -> None:
    state = host.place / "state"
    host.run(kind, noise(0.02), offline=False, save=str(state))
    elsewhere = f"ipc://{host.place}/elsewhere"
    saved = state.read_bytes()
    assert saved.count(b"endpoint\0\0") == 1
    state.write_bytes(saved.replace(b"endpoint\0\0", b"endpoint\0" + elsewhere.encode() + b"\0"))
    with host.fake(endpoint=elsewhere):
        # what the environment says comes after the project
        heard = host.run(
            kind, noise(0.5), state=str(state), environment={"STEMD_PLUGIN": "ipc:///nowhere"}
        )
    assert not heard.wrong_stems(SHARES).any()


def test_the_latency_a_daemon_asked_for_is_remembered(kind: str, host: Host) -> None:
    """The project opens with it although nobody is there yet."""
    state = host.place / "state"
    with host.fake("high"):
        host.run(kind, noise(1), offline=False, paced=True, save=str(state))
    heard = host.run(kind, noise(0.02), offline=False, state=str(state))
    assert heard.latency == 150_000


def test_gains_are_in_decibels(kind: str, host: Host) -> None:
    with host.fake():
        gains = {"Vocals": -60, "Drums": 6.0206, "Bass": 0, "Other": -6.0206}
        heard = host.run(kind, noise(0.5), parameters=gains)
    expected = heard.delayed()[:, None, :] * (SHARES * [0, 2, 1, 0.5])[None, :, None]
    # 0.01 dB of what a host makes of the value on its way
    np.testing.assert_allclose(heard.stems[0], expected, rtol=2e-3)


def test_in_real_time_too(kind: str, host: Host) -> None:
    """How many frames are late is the machine's matter; that the sum holds is ours.

    And that the audio thread asks nothing of the system, whether a daemon answers or not: a system
    call would end the host.
    """
    order = dict(offline=False, paced=True, max_block=256, sealed_after_s=1)
    with host.fake():
        heard = host.run(kind, noise(2), **order)
    assert heard.report["sealed"]
    assert host.run(kind, noise(1.2), **order).report["sealed"]
    assert heard.null() <= 1e-6
    assert heard.parameters()["Connected"] == 1
    assert heard.parameters()["Renders given up"] == 0
    right = ~heard.wrong_stems(SHARES)
    assert right[len(right) // 2 :].any()


def test_a_rest_between_two_blocks_is_no_end(kind: str, host: Host) -> None:
    """Hosts say it in the audio thread: nothing may be taken anew, and nobody is told goodbye."""
    order = dict(offline=False, paced=True, max_block=256, sealed_after_s=1, rest_after_s=1.2)
    with host.fake("once"):
        heard = host.run(kind, noise(2), **order)
    assert heard.report["sealed"]
    assert heard.report["latency_at_end"] == heard.latency
    assert heard.null() <= 1e-6
    assert heard.parameters()["Status"] == STATUS.index("connected")


def test_forced_rendering_modes(kind: str, host: Host) -> None:
    """Offline although the host does not say so: nothing is missed, at any speed."""
    with host.fake():
        heard = host.run(kind, noise(1), offline=False, parameters={"Rendering": 1})
    assert not heard.wrong_stems(SHARES).any()


def test_only_the_entry_points_are_exported(kind: str, host: Host) -> None:
    import subprocess

    table = subprocess.run(
        ["nm", "-D", "--defined-only", bundle(kind)], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split()[-1] for line in table.splitlines()}
    expected = {"vst3": {"GetPluginFactory", "ModuleEntry", "ModuleExit"}, "clap": {"clap_entry"}}
    assert names == expected[kind]
    libraries = subprocess.run(
        ["ldd", bundle(kind)], capture_output=True, text=True, check=True
    ).stdout
    assert "libzmq" in libraries
    assert not any(name in libraries for name in ("libX11", "libGL", "libcairo"))
    assert Path(bundle(kind)).stat().st_size < 2_000_000
