"""Presets and start levels as settings, and models that would not start."""

import dataclasses

import pytest

from stemd.config import build_config
from stemd.desk import Desk
from stemd.errors import ModelError
from stemd.roles.scene import apply_mixer, check_model, settings_of
from stemd.status import Status
from stemd.wire.control import check_value

TABLE = {
    "feed": [{"name": "main"}, {"name": "two"}],
    "mixer": {"gain_db": {"bass": -20.0}, "mute": ["drums"], "onset_threshold": {"mix": 0.2}},
    "preset": {
        "verse": {
            "solo": ["vocals"],
            "pitch_low_hz": {"bass": 41.0},
            "drum_threshold": {"hihat": 3.0},
            "tempo_low_bpm": 90,
        },
        "loud": {},
    },
}


@pytest.fixture
def status():
    one = Status.create(2)
    yield one
    one.close()


def test_the_mixer_of_the_configuration_is_every_feeds(status):
    apply_mixer(status, build_config(TABLE))
    for feed in (0, 1):
        assert status.mixer["gain"][feed].tolist() == pytest.approx([1, 1, 0.1, 1])
        assert status.mixer["mute"][feed].tolist() == [0, 1, 0, 0]
        assert status.mixer["onset_threshold"][feed, 0] == pytest.approx(0.2)
    assert status.mixer["rev"] == 1


def test_a_preset_sets_levels_whole_and_of_the_detectors_what_it_names(status):
    config = build_config(TABLE)
    apply_mixer(status, config)
    presets = {name: settings_of(preset, 2) for name, preset in config.preset.items()}
    desk = Desk(status, ("main", "two"), presets)
    desk.preset("verse")
    mixer = status.mixer
    assert mixer["gain"].tolist() == [[1] * 4] * 2  # not named: unity
    assert mixer["mute"].tolist() == [[0] * 4] * 2
    assert mixer["solo"][1].tolist() == [1, 0, 0, 0]
    assert mixer["pitch_low_hz"][1, 3] == 41.0
    assert mixer["drum_threshold"][0].tolist() == [1, 1, 3]
    assert mixer["tempo_low_bpm"].tolist() == [90, 90]
    assert mixer["onset_threshold"][0, 0] == pytest.approx(0.2)  # not named: as it was
    desk.preset("loud")
    assert mixer["solo"].tolist() == [[0] * 4] * 2
    assert mixer["drum_threshold"][0].tolist() == [1, 1, 3]


def test_what_a_configuration_may_say_a_client_may_say_too():
    config = build_config(
        {
            "mixer": {
                "gain_db": {"bass": 20.0, "drums": -120.0},
                "pitch_confidence": {"mix": 1.0},
                "pitch_high_hz": {"vocals": 5000.0},
                "drum_threshold": {"kick": 0.1},
                "tempo_low_bpm": 1.0,
                "tempo_high_bpm": 400.0,
            }
        }
    )
    for setting in settings_of(config.mixer, 1):
        assert check_value(setting.name, setting.value) == setting.value


def test_a_model_that_would_not_start_is_refused():
    config = build_config({"profile": "live"})
    check_model(config)
    wrong = dataclasses.replace(config, model=dataclasses.replace(config.model, name="band_tight"))
    with pytest.raises(ModelError, match="hop_length"):
        check_model(wrong)
    nobody = dataclasses.replace(config, model=dataclasses.replace(config.model, name="nobody"))
    with pytest.raises(ModelError, match="nobody"):
        check_model(nobody)
