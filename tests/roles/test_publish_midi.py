"""MIDI and mappings out of the publish process itself."""

import dataclasses
import time

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage

from stemd.config import build_config
from stemd.shared import text
from stemd.sinks.midi_port import SEQUENCER
from stemd.spec import FEATURES, SOURCES
from stemd.wire import midi
from tests.servers import jack, wait_for
from tests.sinks.support import fill_hop, wait_until

from .test_publish import Stage

START_S = 90.0


@pytest.fixture
def stage():
    one = Stage()
    yield one
    one.close()


def configure(stage, mapping=(), **midi_config):
    """Two feeds as before, and these."""
    table = {
        "midi": {"enabled": bool(midi_config), **midi_config},
        "mapping": [{"target": f"127.0.0.1:{stage.ear.getsockname()[1]}", **m} for m in mapping],
    }
    given = build_config(table)
    stage.config = dataclasses.replace(
        stage.config,
        osc=dataclasses.replace(stage.config.osc, enabled=False),
        midi=given.midi,
        mapping=given.mapping,
    )


def start(stage):
    """With patience: mappings load numba, and a machine that runs other tests is slow."""
    stage.start(wait=False)
    wait_for(lambda: stage.status.publish["ready"], START_S, "publish")


def play(stage, **values):
    """One hop with features such as drums_kick=0.5."""
    hop = stage.outbox.claim()
    fill_hop(hop, stage.k, stage.spec)
    for name, value in values.items():
        source, _, feature = name.partition("_")
        hop["features"][0, SOURCES.index(source), FEATURES.index(feature)] = value
    stage.outbox.publish()
    stage.wake.release()
    stage.k += 1


def test_a_hit_leaves_as_a_mapping_says(stage):
    configure(stage, [{"source": "drums.kick", "mode": "trigger", "osc": "/fire", "before": [3]}])
    start(stage)
    play(stage)
    play(stage, drums_kick=0.5)
    message = OscMessage(stage.ear.recv(2000))
    assert (message.address, message.params) == ("/fire", [3, 0.5])
    wait_until(lambda: stage.count("osc_sent") == 1, "the count")


@pytest.mark.skipif(SEQUENCER.exists(), reason="there is an ALSA sequencer here")
def test_a_missing_midi_system_is_a_reason_not_an_end(stage):
    configure(stage, port="", channels={"vocals": 1})
    start(stage)
    assert "no ALSA sequencer" in text(stage.status.publish["reason"])
    play(stage, vocals_note=60, vocals_note_count=1)
    wait_until(lambda: stage.count("midi_dropped") > 0, "the count")
    assert stage.process.is_alive()
    with stage.connect() as client:
        assert client.control("ping")["ok"]


@pytest.mark.device
def test_notes_leave_and_panic_ends_them(stage, monkeypatch):
    with jack() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        configure(
            stage,
            [
                {
                    "source": "drums.snare",
                    "mode": "trigger",
                    "target": "",
                    "midi": {"type": "note", "channel": 4, "number": 50},
                    "hold_ms": 60_000,
                }
            ],
            api="jack",
            drum_channel=0,
            pitch_bend=False,
        )
        start(stage)
        assert text(stage.status.publish["reason"]) == ""
        import rtmidi

        ear = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="ear")
        ports = ear.get_ports()
        ear.open_port(ports.index("stemd:notes"))
        got = []

        def step():
            while (message := ear.get_message()) is not None:
                got.append(bytes(message[0]))
            play(stage, vocals_note=60, vocals_note_count=1)  # the stream goes on
            time.sleep(0.005)

        play(stage, vocals_note=60, vocals_note_count=1, vocals_note_velocity=1, drums_snare=1)
        wait_until(lambda: len(got) >= 2, "notes", step)
        assert got[:2] == [midi.note_on(1, 60, 127), midi.note_on(4, 50, 127)]
        stage.status.mixer["bypass"][0] = 1
        wait_until(lambda: midi.note_off(1, 60) in got, "the end of the note", step)
        assert midi.all_notes_off(1) in got
        stage.status.publish["stop"] = 1
        wait_until(lambda: midi.note_off(4, 50) in got, "the end of the other", step)
        assert np.count_nonzero([m[0] & 0xF0 == 0x90 for m in got]) == 2
        stage.process.join(10)
        ear.delete()


def test_hold_keeps_values_stops_events_and_ends_what_sounds(stage):
    configure(
        stage,
        [
            {"source": "drums.kick", "mode": "trigger", "osc": "/fire"},
            {"source": "vocals.rms", "mode": "gate", "threshold": 0.5, "osc": "/open"},
        ],
    )
    start(stage)

    def heard(n):
        return [(m.address, m.params) for m in (OscMessage(stage.ear.recv(2000)) for _ in range(n))]

    play(stage)
    play(stage, drums_kick=0.5, vocals_rms=1.0)
    assert sorted(heard(2)) == [("/fire", [0.5]), ("/open", [1.0])]
    with stage.connect() as client:
        assert client.control("set", hold=True)["hold"] is True
        play(stage, drums_kick=1.0, vocals_rms=1.0)
        assert heard(1) == [("/open", [0.0])]
        play(stage, drums_kick=1.0, vocals_rms=1.0)
        wait_until(lambda: stage.count("hops") == 4, "the hops")
        assert client.control("set", hold=False)["hold"] is False
    play(stage)
    play(stage, drums_kick=0.25)
    assert heard(1) == [("/fire", [0.25])]
