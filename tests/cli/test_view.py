"""The picture: meters with a clock of their own, and every line from the status alone."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from stemd.cli.printing import decibels, note_name
from stemd.cli.run import about, endpoints
from stemd.cli.view import FALL_DB_PER_S, FLOOR_DB, HOLD_S, LAMP_S, About, Meters, picture
from stemd.config import build_config
from stemd.spec import FEATURES, SOURCES
from stemd.status import State, Status, step_bucket

MIX = SOURCES.index("mix")
BASS = SOURCES.index("bass")


def features(n_feeds=1, **values):
    rows = np.zeros((n_feeds, len(SOURCES), len(FEATURES)), np.float32)
    for name, value in values.items():
        rows[..., FEATURES.index(name)] = value
    return rows


@pytest.fixture
def status():
    made = Status.create(1)
    made.daemon["state"] = State.RUNNING
    made.separate["state"] = State.RUNNING
    made.separate["samplerate"] = made.capture["samplerate"] = 48_000
    made.separate["hop_length"] = 256
    made.separate["latency"], made.separate["feature_latency"] = 512, 256
    yield made
    made.close()


def drawn(snapshot, meters=None, width=100, now_s=0.0, **about_fields):
    fields = {"version": "9.9.9", "profile": "live", "feeds": ("main",), **about_fields}
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False)
    meters = meters or Meters(len(fields["feeds"]))
    console.print(picture(snapshot, meters, About(**fields), now_s, width))
    return out.getvalue()


# -- meters ----------------------------------------------------------------------------------------


def test_level_jumps_up_and_sinks():
    meters = Meters(1)
    meters.fall(0.0)
    meters.hear(features(rms=0.1), 0.0)
    assert meters.level_db[0, MIX] == pytest.approx(-20.0)
    meters.fall(0.5)
    assert meters.level_db[0, MIX] == pytest.approx(-20.0 - FALL_DB_PER_S / 2)
    meters.fall(60.0)
    assert meters.level_db[0, MIX] == FLOOR_DB


def test_peak_is_held_and_then_sinks():
    meters = Meters(1)
    meters.fall(0.0)
    meters.hear(features(peak=1.0), 0.0)
    meters.hear(features(peak=0.01), 0.1)
    meters.fall(HOLD_S - 0.01)
    assert meters.held_db[0, MIX] == 0.0
    meters.fall(HOLD_S + 0.5)
    assert meters.held_db[0, MIX] < -10.0


def test_lamp_is_lit_by_an_onset_and_goes_out():
    meters = Meters(1)
    meters.hear(features(onset=1.0, onset_count=1), 1.0)
    assert meters.lit(0, MIX, 1.0 + LAMP_S / 2)
    assert not meters.lit(0, MIX, 1.0 + LAMP_S * 1.01)


def test_lamp_is_lit_by_an_onset_whose_hop_was_missed():
    meters = Meters(1)
    meters.hear(features(onset_count=4), 0.0)
    meters.hear(features(onset_count=5), 1.0)
    assert meters.lit(0, MIX, 1.0)
    assert meters.onsets[0, MIX] == 5


def test_pitch_is_shown_only_while_voiced():
    meters = Meters(1)
    meters.hear(features(f0_hz=440.0, voicing=0.9), 0.0)
    assert meters.notes[0][BASS] == "A4 +0"
    meters.hear(features(f0_hz=440.0, voicing=0.1), 0.1)
    assert meters.notes[0][BASS] == ""


@pytest.mark.parametrize(
    ("f0_hz", "name"),
    [
        (440.0, "A4 +0"),
        (261.6256, "C4 +0"),
        (41.2034, "E1 +0"),
        (440.0 * 2 ** (0.3 / 12), "A4 +30"),
        (440.0 * 2 ** (0.7 / 12), "A#4 -30"),
        (0.0, ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (1e-3, "C-13 +28"),
    ],
)
def test_note_name(f0_hz, name):
    if name == "C-13 +28":  # far below hearing: only that it does not fail
        assert note_name(f0_hz)
    else:
        assert note_name(f0_hz) == name


@pytest.mark.parametrize(
    ("linear", "db"),
    [(1.0, 0.0), (0.1, -20.0), (0.0, -120.0), (1e-9, -120.0), (float("nan"), -120)],
)
def test_decibels(linear, db):
    assert decibels(linear) == pytest.approx(db)


# -- the picture -----------------------------------------------------------------------------------


def test_running_stream(status):
    status.separate["load"] = 0.25
    status.separate["steps"][step_bucket(1_000_000)] = 100
    shown = drawn(status.snapshot())
    assert "9.9.9" in shown
    assert "RUNNING" in shown
    assert "512 samples = 10.7 ms, features 5.3 ms  (live)" in shown
    assert re.search(r"███░+ +25%", shown)
    assert re.search(r"p50 1\.\d\d", shown)


def test_before_anything_is_known(status):
    status.daemon["state"] = State.STARTING
    status.separate["samplerate"] = status.capture["samplerate"] = 0
    shown = drawn(status.snapshot())
    assert "STARTING" in shown
    assert "latency" not in shown


def test_the_reason_stands_beside_the_state(status):
    status.separate["state"] = State.STALLED
    Status.set_text(status.separate, "reason", "no samples for 250 ms [device]")
    assert "STALLED  no samples for 250 ms [device]" in drawn(status.snapshot())


@pytest.mark.parametrize(
    ("section", "field", "word"),
    [
        ("separate", "late", "late"),
        ("separate", "misses", "misses"),
        ("separate", "overruns", "overruns"),
        ("separate", "lost_input", "lost"),
        ("separate", "discontinuities", "gaps"),
        ("publish", "subscribers", "subscribers"),
    ],
)
def test_every_count_is_shown(status, section, field, word):
    getattr(status, section)[field] = 4321
    assert f"{word} 4321" in drawn(status.snapshot())


def test_meter_length_follows_the_level(status):
    meters = Meters(1)
    bars = []
    for rms in (0.0, 0.01, 0.1, 1.0):
        meters.hear(features(rms=rms), 0.0)
        line = next(row for row in drawn(status.snapshot(), meters).splitlines() if "mix" in row)
        bars.append(line.count("█"))
    assert bars[0] == 0
    assert bars == sorted(set(bars))
    assert bars[3] == 100 - 52


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_it_fits_the_terminal(status, width):
    meters = Meters(1)
    meters.hear(features(rms=1.0, peak=1.0, f0_hz=466.0, voicing=1.0, onset_count=99999), 0.0)
    assert all(len(line) <= width for line in drawn(status.snapshot(), meters, width).splitlines())


def test_what_clients_changed_is_shown(status):
    status.mixer["mute"][0, 0] = 1
    status.mixer["gain"][0, 1] = 0.5
    status.mixer["solo"][0, 3] = 1
    status.mixer["bypass"][0] = 1
    shown = drawn(status.snapshot())
    for word in ("mute", "-6.0 dB", "solo", "bypass"):
        assert word in shown


def test_several_feeds_are_told_apart():
    made = Status.create(2)
    shown = drawn(made.snapshot(), feeds=("desk", "drums-mic"))
    made.close()
    assert "desk" in shown
    assert "drums-mic" in shown
    assert shown.count("vocals") == 2


def test_text_from_outside_is_not_markup(status):
    Status.set_text(status.capture, "source", "USB [bold]Audio[/bold] [x")
    assert "USB [bold]Audio[/bold] [x" in drawn(status.snapshot())


@pytest.mark.parametrize("role", ["capture", "publish", "play", "record"])
def test_a_process_that_complains_is_shown(status, role):
    Status.set_text(getattr(status, role), "reason", "port 5570 is taken [x]")
    assert "port 5570 is taken [x]" in drawn(status.snapshot())


def test_endpoints_name_what_is_on():
    everything = build_config({"output": {"enabled": True, "device": "HDMI"}})
    assert [what for what, _ in endpoints(everything)] == ["ZeroMQ", "OSC", "console", "output"]
    nothing = build_config({name: {"enabled": False} for name in ("zeromq", "osc", "console")})
    assert endpoints(nothing) == ()
    assert about(everything).feeds == ("main",)


def test_listeners_output_and_pre_roll_are_told(status):
    status.separate["samplerate"], status.separate["latency"] = 48_000, 512
    status.separate["hop_length"] = 256
    status.publish["hops"] = 10
    status.publish["delays"][step_bucket(2_000_000)] = 10
    status.publish["osc_clients"] = 3
    Status.set_text(status.play, "device", "Main Out")
    status.play["ppm"] = 12.0
    status.record["held"] = 48_000 * 30
    shown = drawn(status.snapshot())
    assert "12.8 ms after the input came, p99 12.8; 0 subscriptions, 3 OSC clients" in shown
    assert "Main Out  0 Hz, +12 ppm" in shown
    assert "the last 30 s are kept" in shown
