"""What a configuration means for a stream that runs: where its knobs go, and which model it has."""

from __future__ import annotations

from ..config import Config, MixerConfig
from ..desk import Desk
from ..processors.catalogue import find_model
from ..processors.modelcard import read_card
from ..spec import DRUMS, SOURCES, STEMS
from ..status import Status
from ..wire.control import Setting, gain_of_db

_OF_SOURCES = ("onset_threshold", "pitch_confidence", "pitch_low_hz", "pitch_high_hz")


def settings_of(mixer: MixerConfig, n_feeds: int) -> list[Setting]:
    """A set of levels and thresholds, for every feed."""
    return [one for feed in range(n_feeds) for one in _of_feed(mixer, feed)]


def apply_mixer(status: Status, config: Config) -> None:
    """Put every knob where `[mixer]` says."""
    feeds = [feed.name for feed in config.feed]
    Desk(status, feeds).set(settings_of(config.mixer, len(feeds)))


def check_model(config: Config) -> None:
    """Whether the stream could start with this configuration's model.

    Raises
    ------
    ModelError
        When it could not.
    """
    read_card(find_model(config.model.name, config.profile), config.spec)


def _of_feed(mixer: MixerConfig, feed: int) -> list[Setting]:
    settings = [Setting("bypass", feed, 0, float(mixer.bypass))]
    for i, stem in enumerate(STEMS, 1):
        settings += [
            Setting("gain", feed, i, gain_of_db(mixer.gain_db.get(stem, 0.0))),
            Setting("mute", feed, i, float(stem in mixer.mute)),
            Setting("solo", feed, i, float(stem in mixer.solo)),
        ]
    for name in _OF_SOURCES:
        for source, value in getattr(mixer, name).items():
            settings.append(Setting(name, feed, SOURCES.index(source), value))
    for drum, value in mixer.drum_threshold.items():
        settings.append(Setting("drum_threshold", feed, DRUMS.index(drum), value))
    for name in ("tempo_low_bpm", "tempo_high_bpm"):
        if getattr(mixer, name) > 0.0:
            settings.append(Setting(name, feed, 0, max(getattr(mixer, name), 20.0)))
    return settings
